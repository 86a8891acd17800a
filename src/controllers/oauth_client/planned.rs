//! Report: what would be done, with what is there and what would be, where nothing may be.

use super::validate::Desired;
use super::{entries, known, report};
use crate::api::{ChangeStatus, DestinationStatus, OAuthClient};
use crate::engine::record::Record;
use crate::plan::rotation::{Known, Next, Version};

/// What would be done, in its order; `left` are the places that would be cleaned.
pub(super) fn held(
    record: &Record<OAuthClient>,
    next: Next,
    desired: &Desired,
    left: &[DestinationStatus],
) -> Vec<ChangeStatus> {
    let known = known::read(&record.status);
    let mut plan: Vec<ChangeStatus> = at_server(&known, next, desired).into_iter().collect();
    let current = super::in_use(&known, desired);
    let begins = matches!(next, Next::Begin(..) | Next::Continue(_) | Next::Revoke);
    for delivery in &desired.places {
        if begins || !entries::holds(record, delivery, current.as_slice()) {
            let after = if begins {
                "a new version"
            } else {
                "the version in use"
            };
            let mut all = record.status.destinations.iter();
            let there = all.find(|place| place.delivery == *delivery);
            let before = there.and_then(|place| place.version).map(version);
            let target = delivery.name.clone();
            plan.push(change("Deliver", target, before, after.to_owned()));
        }
    }
    for place in left {
        let (target, before) = (place.location.clone(), place.version.map(version));
        plan.push(change("Clean", target, before, "nothing".to_owned()));
    }
    plan
}

/// What would be done at the server.
fn at_server(known: &Known, next: Next, desired: &Desired) -> Option<ChangeStatus> {
    let of = |number: i64| known.version(number).map(described);
    let (action, before, after) = match next {
        Next::Rest(_) | Next::Wait(..) | Next::Stuck(..) => return None,
        Next::Revoke => {
            let all: Vec<String> = known.versions.iter().map(described).collect();
            ("Revoke", Some(all.join("; ")), "no version".to_owned())
        }
        Next::Remove(number) | Next::Abandon(number) => {
            ("Remove", of(number), "nothing".to_owned())
        }
        Next::Shorten(number) => {
            let before = known
                .version(number)
                .map(|it| format!("{}{}", described(it), end(it)));
            let after = format!("{} for another hour at most", version(number));
            ("Shorten", before, after)
        }
        Next::Update(number) => {
            let after = format!("{} with {}", version(number), registered(desired));
            ("Update", of(number), after)
        }
        Next::Continue(_) => {
            let pending = known.pending().map(described);
            ("Continue", pending, "a new version in use".to_owned())
        }
        Next::Begin(cause, _) => {
            let after = format!(
                "a new version with {}, since {}",
                registered(desired),
                report::why(cause)
            );
            ("Register", known.current().map(described), after)
        }
    };
    Some(change(action, desired.issuer.clone(), before, after))
}

fn change(action: &str, target: String, before: Option<String>, after: String) -> ChangeStatus {
    ChangeStatus {
        action: action.to_owned(),
        target,
        before,
        after: Some(after),
    }
}

fn version(number: i64) -> String {
    format!("version {number}")
}

/// A version, as far as it is kept what it is registered with.
fn described(one: &Version) -> String {
    format!("{} with {}", version(one.number), scopes(&one.scopes))
}

fn end(one: &Version) -> String {
    let until = one.retires.map(|at| format!(" until {at}"));
    until.unwrap_or_default()
}

/// What shall be registered.
fn registered(desired: &Desired) -> String {
    let metadata = &desired.metadata;
    let mut said = scopes(&metadata.scopes);
    said.push_str(&format!(", grant types {}", metadata.grant_types.join(" ")));
    if !metadata.redirect_uris.is_empty() {
        let uris = metadata.redirect_uris.join(" ");
        said.push_str(&format!(", redirection URIs {uris}"));
    }
    said
}

fn scopes(scopes: &[String]) -> String {
    match scopes {
        [] => "no scopes".to_owned(),
        some => format!("scopes {}", some.join(" ")),
    }
}
