//! Report: which releases and which credentials there are, and what becomes of an application that was set inactive.

use std::cmp::Reverse;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use super::{ACTIVE, reasons};
use crate::api::{
    Application, CredentialsSummary, OAuthClient, Release, ReleaseSummary, RetirementStatus,
    VersionState,
};
use crate::engine::conditions::{self, Truth};
use crate::engine::record::Record;
use crate::plan::retirement::{Retirement, Step, step};

/// How many releases, and how many credentials, are listed.
const LISTED: usize = 20;

/// As much of a release as is looked at of each, be there thousands.
pub struct Line {
    made: Reverse<Option<Timestamp>>,
    name: Reverse<String>,
    ready: Option<String>,
}

impl Line {
    /// Of this release.
    pub fn of(release: &Release) -> Self {
        Self {
            made: Reverse(release.creation_timestamp().map(|time| time.0)),
            name: Reverse(release.name_any()),
            ready: is_ready(release).then(|| release.spec.version.clone()),
        }
    }
}

/// Lists the newest releases, which `get` gets, counts all, and names the newest that is Ready.
pub fn releases(
    record: &mut Record<Application>,
    mut lines: Vec<Line>,
    get: impl Fn(&str) -> Option<Release>,
) {
    lines.sort_by(|a, b| (a.made, &a.name).cmp(&(b.made, &b.name)));
    record.status.release_count = i64::try_from(lines.len()).ok();
    record.status.latest_ready_version = lines.iter().find_map(|line| line.ready.clone());
    let listed = lines.iter().take(LISTED);
    record.status.releases = listed
        .filter_map(|line| get(&line.name.0).map(|release| summary(&release)))
        .collect();
}

fn is_ready(release: &Release) -> bool {
    let status = release.status.as_ref();
    status.is_some_and(|status| conditions::is_true(&status.conditions, conditions::READY))
}

/// One release, in short: what the list of its application shows of it.
pub fn summary(release: &Release) -> ReleaseSummary {
    let status = release.status.as_ref();
    let ready = is_ready(release);
    let condition =
        status.and_then(|status| conditions::find(&status.conditions, conditions::READY));
    ReleaseSummary {
        name: release.name_any(),
        version: release.spec.version.clone(),
        digest: status
            .and_then(|status| status.image.as_ref())
            .map(|image| image.digest.clone()),
        ready,
        reason: condition
            .filter(|_| !ready)
            .map(|condition| condition.reason.clone()),
    }
}

/// The credentials as they are listed, those first that are not Ready; and how many of all are.
pub fn all_credentials(
    mut all: Vec<CredentialsSummary>,
) -> (Vec<CredentialsSummary>, Option<String>) {
    let ready = all.iter().filter(|one| one.ready).count();
    let count = (!all.is_empty()).then(|| format!("{ready}/{}", all.len()));
    all.sort_by(|a, b| (a.ready, &a.name).cmp(&(b.ready, &b.name)));
    all.truncate(LISTED);
    (all, count)
}

/// Credentials, in short: what their application shows of them.
pub fn credentials(client: &OAuthClient) -> CredentialsSummary {
    let status = client.status.as_ref();
    let ready = status.and_then(|status| conditions::find(&status.conditions, conditions::READY));
    let current = status.and_then(|status| {
        let mut versions = status.versions.iter();
        versions.find(|version| version.state == VersionState::Current)
    });
    let is_ready = ready.is_some_and(|ready| ready.status == "True");
    CredentialsSummary {
        name: client.name_any(),
        ready: is_ready,
        reason: ready
            .filter(|_| !is_ready)
            .map(|ready| ready.reason.clone()),
        expires_at: current.and_then(|version| version.expires_at.clone()),
    }
}

/// Says what becomes of the application: in the status, in a condition and, when it changes, in an event. Gives back
/// when that is, if it has not happened yet.
pub fn retirement(
    object: &Application,
    record: &mut Record<Application>,
    period: Duration,
) -> Option<Timestamp> {
    let before = record.status.retirement.as_ref().map(|status| Retirement {
        announced_at: status.announced_at.0,
        effective_at: status.effective_at.0,
        effective: status.effective,
    });
    let step = step(object.spec.active, period, before, record.now);
    let (after, truth, reason, message) = match step {
        Step::Active | Step::CalledOff(_) => {
            (None, Truth::True, reasons::ACTIVE, IN_USE.to_owned())
        }
        Step::Announced(after) | Step::Waiting(after) => {
            let message = format!(
                "spec.active is false: from {} on nothing new is deployed and the application's credentials are \
                 retired; set spec.active back to true before then to call it off",
                after.effective_at
            );
            (Some(after), Truth::False, reasons::RETIRING, message)
        }
        Step::Effected(after) | Step::Retired(after) => {
            let message = retired(after.effective_at);
            (Some(after), Truth::False, reasons::RETIRED, message)
        }
    };
    match step {
        Step::Announced(_) | Step::Effected(_) => record.warn(reason, message.clone()),
        Step::CalledOff(false) => record.note(
            reasons::RETIREMENT_CALLED_OFF,
            "spec.active is true again before the retirement took effect: nothing was taken away",
        ),
        Step::CalledOff(true) => record.note(
            reasons::RETIREMENT_CALLED_OFF,
            "spec.active is true again: new versions can be deployed, and credentials are issued anew",
        ),
        Step::Active | Step::Waiting(_) | Step::Retired(_) => {}
    }
    record.set(ACTIVE, truth, reason, &message);
    record.status.retirement = after.map(|after| RetirementStatus {
        announced_at: Time(after.announced_at),
        effective_at: Time(after.effective_at),
        effective: after.effective,
    });
    after
        .filter(|after| !after.effective)
        .map(|after| after.effective_at)
}

const IN_USE: &str = "the application is in use";

fn retired(since: Timestamp) -> String {
    format!(
        "spec.active is false: since {since} nothing new is deployed and the application's credentials are retired"
    )
}

/// Says what becomes of a retirement while nothing is written: it is neither announced, nor carried out, nor called off.
pub fn held_retirement(object: &Application, record: &mut Record<Application>) {
    let message = match (&record.status.retirement, object.spec.active) {
        (None, true) => return record.set(ACTIVE, Truth::True, reasons::ACTIVE, IN_USE),
        (Some(retirement), false) if retirement.effective => {
            let message = retired(retirement.effective_at.0);
            record.set(ACTIVE, Truth::False, reasons::RETIRED, &message);
            return;
        }
        (None, false) => {
            "spec.active is false: the retirement is announced when spec.suspend is false"
                .to_owned()
        }
        (Some(retirement), false) => format!(
            "spec.active is false: the retirement was announced for {}, and waits until spec.suspend is false",
            retirement.effective_at.0
        ),
        (Some(_), true) => {
            "spec.active is true: the retirement is called off when spec.suspend is false"
                .to_owned()
        }
    };
    record.set(ACTIVE, Truth::False, reasons::RETIRING, &message);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_credentials_those_are_listed_that_are_not_ready() {
        let all = (0..30).map(|number| CredentialsSummary {
            name: format!("{number:02}"),
            ready: number != 29,
            reason: None,
            expires_at: None,
        });
        let (listed, count) = all_credentials(all.collect());
        assert_eq!((listed.len(), count.as_deref()), (LISTED, Some("29/30")));
        assert_eq!(listed[0].name, "29");
        assert_eq!(listed[1].name, "00");
        assert_eq!(all_credentials(Vec::new()), (Vec::new(), None));
    }
}
