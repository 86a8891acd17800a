//! What the status says of places: how they are called, and what each holds.

use super::destination::Receipt;
use super::places::Refusal;
use super::validate::Desired;
use crate::api::{DeliverySpec, DestinationStatus, OAuthClient};
use crate::engine::record::Record;
use crate::plan::revision::revision;
use crate::plan::rotation::Version;

/// What the files of a version say: whose they are, and the revision of what can change while the version is in use.
pub(super) struct Content {
    number: i64,
    pub(super) revision: String,
}

impl Content {
    pub(super) fn of(version: &Version, desired: &Desired) -> Self {
        let Desired {
            wanted: _,
            metadata: _,
            period,
            overlap: _,
            places: _,
            issuer,
            audience,
            token_endpoint,
        } = desired;
        let mut said = format!("{issuer} {token_endpoint}");
        if version.service_account.is_some() {
            said.push_str(&format!(" for {audience}"));
        }
        // The period, too: a status knows an end that has moved by it only once somebody has looked.
        if version.auth.ages() {
            let ends = version
                .expires
                .map_or_else(String::new, |it| it.to_string());
            said.push_str(&format!(" until {ends}, {} s", period.as_secs()));
        }
        Self {
            number: version.number,
            revision: revision(&said),
        }
    }

    fn is_at(&self, place: &DestinationStatus) -> bool {
        let revision = place.content.as_ref();
        has_received(place, self.number)
            && revision.is_none_or(|revision| *revision == self.revision)
    }
}

fn has_received(place: &DestinationStatus, number: i64) -> bool {
    place.receipt.is_some() && place.version == Some(number)
}

/// Whether the place that is declared has one of these versions, whatever else its files say.
pub(super) fn has(record: &Record<OAuthClient>, delivery: &DeliverySpec, versions: &[i64]) -> bool {
    let mut all = record.status.destinations.iter();
    all.any(|place| {
        place.delivery == *delivery && versions.iter().any(|it| has_received(place, *it))
    })
}

/// Whether the place that is declared holds one of these.
pub(super) fn holds(
    record: &Record<OAuthClient>,
    delivery: &DeliverySpec,
    contents: &[Content],
) -> bool {
    let mut all = record.status.destinations.iter();
    all.any(|place| {
        place.delivery == *delivery && contents.iter().any(|content| content.is_at(place))
    })
}

/// A place is called as it is declared, also if its name was another's meanwhile. One of the same name that is somewhere
/// else keeps its entry, under another name, until it is cleaned.
pub(super) fn name(record: &mut Record<OAuthClient>, delivery: &DeliverySpec) {
    let all = &mut record.status.destinations;
    let bears = |place: &DestinationStatus| place.name == delivery.name;
    let other = all
        .iter()
        .position(|place| bears(place) && place.delivery != *delivery);
    if let Some(other) = other {
        let mut before = all.remove(other);
        before.name = format!("{} before, at {}", before.name, before.location);
        // Two at one place are cleaned as one.
        all.retain(|place| place.name != before.name);
        all.push(before);
    }
    if let Some(place) = all.iter_mut().find(|place| place.delivery == *delivery) {
        place.name.clone_from(&delivery.name);
    }
}

/// A place is about to be written to.
pub(super) fn declare(record: &mut Record<OAuthClient>, delivery: &DeliverySpec, location: String) {
    name(record, delivery);
    let all = &mut record.status.destinations;
    if let Some(place) = all.iter_mut().find(|place| place.delivery == *delivery) {
        place.location = location;
        return;
    }
    all.push(DestinationStatus {
        name: delivery.name.clone(),
        location,
        delivery: delivery.clone(),
        version: None,
        receipt: None,
        content: None,
        problem: None,
    });
}

pub(super) fn at<'a>(
    record: &'a mut Record<OAuthClient>,
    name: &str,
) -> Option<&'a mut DestinationStatus> {
    let mut all = record.status.destinations.iter_mut();
    all.find(|place| place.name == name)
}

pub(super) fn received(
    record: &mut Record<OAuthClient>,
    name: &str,
    content: &Content,
    receipt: Receipt,
) {
    if let Some(place) = at(record, name) {
        (place.version, place.receipt) = (Some(content.number), Some(receipt.0));
        (place.content, place.problem) = (Some(content.revision.clone()), None);
    }
}

pub(super) fn forget(record: &mut Record<OAuthClient>, name: &str) {
    if let Some(place) = at(record, name) {
        (place.version, place.receipt, place.content) = (None, None, None);
    }
}

pub(super) fn trouble_at(record: &mut Record<OAuthClient>, name: &str, refusal: Option<&Refusal>) {
    if let Some(place) = at(record, name) {
        place.problem = refusal.map(|refusal| refusal.message.chars().take(500).collect());
    }
}
