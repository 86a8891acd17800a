//! Report: what the status and the events say.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::validate::{Desired, SOON};
use super::{clean, entries, reasons};
use crate::api::{ANNOTATION_REVOKE, OAuthClient, OAuthClientStatus, Status, VersionStatus};
use crate::engine::conditions::{self, Truth};
use crate::engine::record::Record;
use crate::engine::{Failure, Outcome};
use crate::plan::rotation::{self, Cause, Known, Step};

/// The condition that says whether there are credentials in use.
pub(super) const REGISTERED: &str = "Registered";
/// The condition that is there while a rotation is.
pub(super) const ROTATING: &str = "Rotating";
/// The condition that is there from when a revocation is asked for until there are new credentials.
pub(super) const REVOKED: &str = "Revoked";

/// Why a rotation is, in words.
pub(super) fn why(cause: Cause) -> &'static str {
    match cause {
        Cause::Initial => "there were no credentials",
        Cause::Due => "two thirds of the life of the ones before are over",
        Cause::Requested => "somebody asked for new ones",
        Cause::Changed => "what is declared has changed, and cannot be changed in place",
        Cause::Withdrawn => {
            "a scope that is held is not granted any more, and what is registered cannot be changed in place"
        }
        Cause::Revoked => "the ones before were revoked",
        Cause::Lost => "the server does not take the ones before any more",
    }
}

/// A rotation has begun.
pub(super) fn rotating(record: &mut Record<OAuthClient>, number: i64, cause: Cause) {
    let message = format!(
        "version {number} is being made and delivered: {}",
        why(cause)
    );
    record.set(ROTATING, Truth::True, reasons::ROTATING, &message);
}

/// A new version is in use.
pub(super) fn promoted(record: &mut Record<OAuthClient>, known: &Known) {
    let Some(current) = known.current() else {
        return;
    };
    let mut message = format!(
        "version {} is in use, with client id {}",
        current.number,
        current.client_id.as_deref().unwrap_or_default()
    );
    let mut versions = known.versions.iter();
    let before = versions.find(|version| version.state == rotation::State::Previous);
    if let Some((before, at)) = before.and_then(|before| Some((before.number, before.retires?))) {
        message.push_str(&format!("; version {before} stays valid until {at}"));
    }
    let registered = registered(current);
    record.note(reasons::ROTATED, message);
    conditions::remove(&mut record.status.conditions, REVOKED);
    record.set(REGISTERED, Truth::True, reasons::REGISTERED, &registered);
}

/// What is in use.
fn registered(current: &rotation::Version) -> String {
    match &current.service_account {
        Some(name) => format!(
            "the server has a client for the tokens of ServiceAccount {name}: there are no credentials, and nothing is \
             replaced"
        ),
        None => "there are credentials at the server, and it gave a token for them".to_owned(),
    }
}

/// What a revocation breaks.
pub(super) fn revocation(record: &Record<OAuthClient>, known: &Known) -> String {
    let versions: Vec<String> = known
        .versions
        .iter()
        .map(|version| version.number.to_string())
        .collect();
    let places: Vec<String> = record
        .status
        .destinations
        .iter()
        .map(|place| match place.version {
            Some(version) => format!("{} (version {version})", place.location),
            None => place.location.clone(),
        })
        .collect();
    let places = match places.as_slice() {
        [] => "no place".to_owned(),
        some => some.join(", "),
    };
    format!(
        "revoked as was asked for, since {}: {} removed at the server at once. Whoever reads {places} gets no token \
         until a new version is there and has been read",
        record.now,
        match versions.as_slice() {
            [one] => format!("version {one} is"),
            several => format!("versions {} are", several.join(" and ")),
        }
    )
}

/// All was revoked: in the status with the revocation itself, since its event is published only when the pass is over.
pub(super) fn revoked(record: &mut Record<OAuthClient>, message: &str) {
    record.set(REVOKED, Truth::True, reasons::REVOKED, message);
    let none = "no credentials are in use";
    record.set(REGISTERED, Truth::False, reasons::NOT_REGISTERED, none);
    let at = (record.generation, record.now);
    let on_its_way = Ok(Outcome::waiting(reasons::REVOKED, message, SOON));
    conditions::summarise(record.status.conditions(), &on_its_way, 0, at);
}

/// The revocation that was asked for and is not done.
pub(super) fn revocation_asked<'a>(
    object: &'a OAuthClient,
    status: &OAuthClientStatus,
) -> Option<&'a String> {
    let asked = object.annotations().get(ANNOTATION_REVOKE)?;
    let is_open = status.last_handled_revoke_at.as_ref() != Some(asked);
    let is_there = !(status.versions.is_empty() && status.destinations.is_empty());
    (is_open && is_there).then_some(asked)
}

/// A revocation that was asked for and is not done says so, whatever is in the way.
pub(super) fn held_back(
    object: &OAuthClient,
    record: &mut Record<OAuthClient>,
    end: Result<Outcome, Failure>,
) -> Result<Outcome, Failure> {
    let asked = revocation_asked(object, &record.status);
    let Some(asked) = asked else {
        let status = &mut record.status;
        if conditions::find(&status.conditions, REVOKED).is_some_and(|it| it.status == "False") {
            conditions::remove(&mut status.conditions, REVOKED);
        }
        return end;
    };
    let why = match &end {
        Ok(Outcome::Blocked { message, .. } | Outcome::Waiting { message, .. }) => message,
        Err(failure) => &failure.message,
        Ok(Outcome::Released | Outcome::Begun { .. }) => return end,
        Ok(Outcome::Settled { .. }) => "the authorization server cannot be reached",
    };
    let message = format!(
        "the revocation that was asked for ({asked}) is not done, and the credentials are still valid: {why}"
    );
    let reason = reasons::REVOCATION_HELD_BACK;
    record.set(REVOKED, Truth::False, reason, &message);
    match end {
        Ok(Outcome::Settled { .. }) => Ok(Outcome::waiting(reason, message, SOON)),
        end => end,
    }
}

/// What was asked of a client that has nothing to renew is answered, too.
pub(super) fn renewal_of_nothing(record: &mut Record<OAuthClient>, desired: &Desired) {
    let known = super::known::read(&record.status);
    let has_none = known.current().is_some_and(|current| !current.auth.ages());
    let wanted = &desired.wanted;
    if has_none && !wanted.auth.ages() && wanted.renew.is_some() && wanted.renew != known.renewed {
        record
            .status
            .last_handled_renew_at
            .clone_from(&wanted.renew);
        let message = "it was asked to renew the credentials, and there are none: a public client and one with the identity of a \
                       workload have nothing that grows old; for another client id ask to revoke";
        record.note(reasons::NOTHING_TO_RENEW, message);
    }
}

/// The conditions and times that follow from what is known.
pub(super) fn known(
    record: &mut Record<OAuthClient>,
    known: &Known,
    lost: bool,
    desired: &Desired,
) {
    let current = known.current();
    let due = current.and_then(|current| rotation::due_at(&desired.wanted, current, known.turn));
    record.status.next_rotation = due.map(Time);
    match current {
        None => {
            let message = "no credentials are in use";
            record.set(REGISTERED, Truth::False, reasons::NOT_REGISTERED, message);
        }
        Some(_) if lost => {}
        Some(_)
            if known
                .open
                .as_ref()
                .is_some_and(|open| open.cause == Cause::Lost) => {}
        Some(current) => {
            let message = registered(current);
            record.set(REGISTERED, Truth::True, reasons::REGISTERED, &message);
        }
    }
    if current.is_some() && record.is_true(REVOKED) {
        conditions::remove(&mut record.status.conditions, REVOKED);
    }
    delivered(record, known, desired);
}

/// No rotation shall be.
pub(super) fn rests(record: &mut Record<OAuthClient>) {
    conditions::remove(&mut record.status.conditions, ROTATING);
}

fn delivered(record: &mut Record<OAuthClient>, known: &Known, desired: &Desired) {
    let current = super::in_use(known, desired);
    let mut lacking: Vec<String> = desired
        .places
        .iter()
        .filter(|delivery| !entries::holds(record, delivery, current.as_slice()))
        .map(|delivery| {
            let mut all = record.status.destinations.iter();
            let problem = all
                .find(|place| place.delivery == *delivery)
                .and_then(|place| place.problem.as_deref());
            format!("{}: {}", delivery.name, problem.unwrap_or("not yet"))
        })
        .collect();
    let all = record.status.destinations.iter();
    let left = all.filter(|place| !desired.places.contains(&place.delivery));
    lacking.extend(left.filter_map(|place| {
        let problem = place.problem.as_ref()?;
        Some(clean::left_behind(&place.location, problem))
    }));
    let troubled = record
        .status
        .destinations
        .iter()
        .any(|place| place.problem.is_some());
    let delivering = known
        .open
        .as_ref()
        .is_some_and(|open| open.step > Step::Create);
    let (truth, reason, message) = if known.current().is_some() && lacking.is_empty() {
        let message = "every place holds the version in use".to_owned();
        (Truth::True, reasons::DELIVERED, message)
    } else if troubled {
        (Truth::False, reasons::DELIVERY_FAILED, lacking.join("; "))
    } else if delivering && record.is_true("Delivered") {
        // On the way from one version to the next, both of which are valid.
        return;
    } else {
        (Truth::False, reasons::NOT_DELIVERED, lacking.join("; "))
    };
    record.set("Delivered", truth, reason, &message);
}

/// A rotation is due or open and cannot go on, while the version in use works.
pub(super) fn delayed(record: &mut Record<OAuthClient>, loud: bool, reason: &str, why: &str) {
    let was = conditions::find(&record.status.conditions, ROTATING)
        .is_some_and(|it| it.reason == reasons::ROTATION_DELAYED);
    if reason == reasons::OVERLAP {
        record.set(ROTATING, Truth::True, reasons::OVERLAP, why);
    } else if loud || was {
        let message = format!("the version in use is valid; a new one cannot be brought: {why}");
        record.set(ROTATING, Truth::True, reasons::ROTATION_DELAYED, &message);
        if !was {
            record.warn(reasons::ROTATION_DELAYED, message);
        }
    }
}

/// What stays when the object goes.
pub(super) fn retained(record: &mut Record<OAuthClient>, vault: &str, why: &str) {
    let status = &record.status;
    let client = |version: &VersionStatus| {
        let id = version.client_id.clone()?;
        Some(match version.user {
            true => format!("{id} and the user of version {}", version.number),
            false => id,
        })
    };
    let clients: Vec<String> = status.versions.iter().filter_map(client).collect();
    let places = status.destinations.iter();
    let places: Vec<String> = places.map(|place| place.location.clone()).collect();
    let list = |names: &[String]| match names {
        [] => "none".to_owned(),
        some => some.join(", "),
    };
    let scopes = match status.scopes.as_slice() {
        [] => "no scopes".to_owned(),
        some => format!("the scopes {}", some.join(", ")),
    };
    let message = format!(
        "{why}: the clients at the server ({}) with {scopes}, what was delivered ({}) and the operator's Secret {vault} stay as they are, and \
         nobody rotates them any more",
        list(&clients),
        list(&places)
    );
    record.note(reasons::CREDENTIALS_RETAINED, message);
}

/// The refusal of an object that is not accepted.
pub(super) fn refused(record: &mut Record<OAuthClient>, outcome: &Outcome) {
    if let Outcome::Blocked { reason, message }
    | Outcome::Waiting {
        reason, message, ..
    } = outcome
    {
        record.set("Accepted", Truth::False, reason, message);
    }
    record.status.plan.clear();
}
