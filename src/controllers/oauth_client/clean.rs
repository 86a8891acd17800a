//! Act: cleaning places that are declared no more.

use futures::future::join_all;

use super::places::{Refusal, patiently, stop, trouble_at};
use super::reasons;
use super::work::{Stop, Work};
use crate::api::DestinationStatus;
use crate::engine::Outcome;

impl Work<'_> {
    /// Cleans places that are declared no more, once all that are hold the version in use.
    pub(super) async fn clean(&mut self) -> Result<(), Stop> {
        let declared = self.desired.map(|desired| &desired.places);
        let gone = self.record.status.destinations.clone();
        let gone: Vec<DestinationStatus> = gone
            .into_iter()
            .filter(|place| !declared.is_some_and(|all| all.contains(&place.delivery)))
            .collect();
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
