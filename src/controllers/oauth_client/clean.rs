//! Act: cleaning places that are declared no more.

use std::collections::BTreeMap;

use futures::future::join_all;

use super::entries::trouble_at;
use super::places::{Refusal, patiently, stop};
use super::reasons;
use super::work::{Stop, Work};
use crate::api::DestinationStatus;
use crate::engine::Outcome;

/// What is declared no more.
#[derive(Default)]
pub(super) struct Left {
    /// What is there goes.
    pub(super) gone: Vec<DestinationStatus>,
    /// What is there stays: it is another entry's.
    moved: Vec<DestinationStatus>,
}

impl Work<'_> {
    /// Cleans places that are declared no more, once all that are hold the version in use.
    pub(super) async fn clean(&mut self) -> Result<(), Stop> {
        let Left { gone, moved } = self.left().await;
        let all = &mut self.record.status.destinations;
        all.retain(|place| !moved.contains(place));
        if gone.is_empty() {
            return Ok(());
        }
        self.record.may_write()?;
        let destinations = &self.controller.destinations;
        let (out_of_reach, gone): (Vec<_>, Vec<_>) = gone
            .into_iter()
            .partition(|place| destinations.is_out_of_reach(self.object, &place.delivery));
        self.give_up(&out_of_reach);
        let cleaning = gone.iter().map(|place| async {
            let opened = self.open(&place.delivery).await?;
            let Err(failure) = patiently(opened.remove()).await else {
                return Ok(());
            };
            // Somebody may have removed by hand what may not be removed from here.
            match patiently(opened.look()).await {
                Ok(None) => Ok(()),
                _ => Err(Refusal::from(failure)),
            }
        });
        let answers = join_all(cleaning).await;
        let (mut refusals, mut cleaned, mut lasting) = (Vec::new(), Vec::new(), Vec::new());
        for (place, answer) in gone.iter().zip(answers) {
            match answer {
                Ok(()) => {
                    cleaned.push(place.location.as_str());
                    let all = &mut self.record.status.destinations;
                    all.retain(|other| other.name != place.name);
                }
                Err(refusal) => {
                    trouble_at(self.record, &place.name, Some(&refusal));
                    if !refusal.mends {
                        lasting.push(left_behind(&place.location, &refusal.message));
                    }
                    refusals.push((place.name.as_str(), refusal));
                }
            }
        }
        if !cleaned.is_empty() {
            let message = format!(
                "nothing is delivered there any more, and nothing of this client is left there: {}",
                cleaned.join(", ")
            );
            self.record.note(reasons::DELIVERY_REMOVED, message);
        }
        if !lasting.is_empty() && self.trouble.is_none() {
            let outcome = Outcome::blocked(reasons::DELIVERY_FAILED, lasting.join("; "));
            self.trouble = Some(outcome);
        }
        self.save().await?;
        stop(&refusals).map_or(Ok(()), Err)
    }

    /// What is declared no more, and whether something that is declared is at the same place: under another name, or written
    /// another way.
    pub(super) async fn left(&self) -> Left {
        let declared = self.desired.map_or(&[][..], |desired| &desired.places);
        let all = self.record.status.destinations.iter();
        let (entered, gone): (Vec<_>, Vec<_>) =
            all.partition(|place| declared.contains(&place.delivery));
        let mut left = Left::default();
        if gone.is_empty() {
            return left;
        }
        // Where a declared place is, and whether it has an entry by which it can be cleaned one day.
        let mut taken: BTreeMap<String, bool> = BTreeMap::new();
        for delivery in declared {
            let is_entered = entered.iter().any(|place| place.delivery == *delivery);
            if let Ok(opened) = self.open(delivery).await {
                *taken.entry(opened.location()).or_default() |= is_entered;
            }
        }
        for place in entered {
            taken.insert(place.location.clone(), true);
        }
        for place in gone {
            let opened = self.open(&place.delivery).await;
            let location = opened.map_or_else(|_| place.location.clone(), |it| it.location());
            match taken.get(&location) {
                Some(true) => left.moved.push(place.clone()),
                Some(false) => {}
                None => left.gone.push(place.clone()),
            }
        }
        left
    }

    /// What nobody can reach from here any more is told of once, and forgotten.
    fn give_up(&mut self, places: &[DestinationStatus]) {
        if places.is_empty() {
            return;
        }
        let names: Vec<&str> = places.iter().map(|it| it.location.as_str()).collect();
        let message = format!(
            "{}: it cannot be reached any more, since the TeamAccount that it was delivered through is gone; what is there stays: \
             if the AWS account lives on, have it removed there by hand",
            names.join(", ")
        );
        self.record.warn(reasons::DELIVERY_FORGOTTEN, message);
        let all = &mut self.record.status.destinations;
        all.retain(|other| !places.iter().any(|place| place.name == other.name));
    }
}

/// What is said of a place that is declared no more and cannot be cleaned.
pub(super) fn left_behind(location: &str, problem: &str) -> String {
    format!(
        "{location}: it is not in spec.delivery any more, and what is there cannot be removed: {problem}: remove it there by \
         hand, or let the operator"
    )
}
