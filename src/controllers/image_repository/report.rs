//! Report: what the status says.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::gather::Gathered;
use super::{Place, reasons};
use crate::api::{ChangeStatus, ImageRepository};
use crate::cloud::Repository;
use crate::engine::Outcome;
use crate::engine::conditions::Truth;
use crate::engine::record::Record;
use crate::plan::repository::{Change, DesiredRepository, Obstacle, Planned};

/// What is known of the repository, which is this object's.
pub(super) fn repository(
    record: &mut Record<ImageRepository>,
    place: &Place,
    repository: &Repository,
) {
    let status = &mut record.status;
    status.account_id = Some(place.account.to_string());
    status.arn = Some(repository.arn.clone());
    status.uri = Some(repository.uri.clone());
    // A status keeps whole seconds.
    status.created_at = repository
        .created
        .and_then(|at| Timestamp::from_second(at.as_second()).ok())
        .map(Time);
    record.set(
        "Created",
        Truth::True,
        reasons::CREATED,
        "the repository exists and is this object's",
    );
}

/// What would be changed, if it is not to be changed.
pub(super) fn plan(
    record: &mut Record<ImageRepository>,
    target: &str,
    plan: &[Planned],
    held: bool,
) {
    let list = plan.iter().filter(|_| held).map(|planned| ChangeStatus {
        action: planned.action().to_owned(),
        target: target.to_owned(),
        before: planned.before.clone(),
        after: planned.after.clone(),
    });
    record.status.plan = list.collect();
    record.status.drift = record.status.plan.clone();
}

/// Where nothing may be changed, nothing is promised.
pub(super) fn nothing_planned(record: &mut Record<ImageRepository>) {
    record.status.plan.clear();
    record.status.drift.clear();
}

/// The outcome of a pass whose changes are held back.
pub(super) fn held(
    object: &ImageRepository,
    record: &mut Record<ImageRepository>,
    count: usize,
) -> Outcome {
    let (reason, how) = if object.spec.suspend {
        (reasons::SUSPENDED, "set spec.suspend to false")
    } else {
        (reasons::CHANGES_PLANNED, "set spec.mode to Apply")
    };
    let message =
        format!("status.plan lists {count} change(s) that would be made; {how} to have them made");
    record.set("InSync", Truth::False, reason, &message);
    Outcome::blocked(reason, message)
}

/// Why nothing may be changed.
pub(super) fn obstacle(place: &Place, desired: &DesiredRepository, obstacle: &Obstacle) -> Outcome {
    let what = format!(
        "repository {} in account {}, region {},",
        desired.name, place.account, place.region
    );
    match obstacle {
        Obstacle::Unclaimed => Outcome::blocked(
            reasons::REPOSITORY_EXISTS,
            format!(
                "{what} exists and is not managed by anybody: set spec.adopt to true to take it over (spec.mode: Plan \
                 shows first what would be changed), or choose another spec.repositoryName"
            ),
        ),
        Obstacle::Others(owner) => Outcome::blocked(
            reasons::OWNED_BY_OTHER,
            format!(
                "{what} is managed by {} of cluster {}: choose another spec.repositoryName, or delete that object first",
                owner.reference, owner.cluster
            ),
        ),
        Obstacle::Encryption(seen) => Outcome::blocked(
            reasons::ENCRYPTION_DIFFERS,
            format!(
                "{what} is encrypted by {seen}, which cannot be changed: remove spec.kmsKeyArn, or make another repository"
            ),
        ),
    }
}

/// The events about what is going to be done, and why.
pub(super) fn about_to_change(
    record: &mut Record<ImageRepository>,
    desired: &DesiredRepository,
    gathered: &Gathered,
    plan: &[Planned],
) {
    let known = record.status.created_at.is_some();
    let made = plan.iter().any(|planned| planned.change == Change::Create);
    if made && known {
        let message = format!(
            "repository {} was gone, with all its images; it is created anew",
            desired.name
        );
        record.warn(reasons::REPOSITORY_MISSING, message);
        return;
    }
    let Some(repository) = gathered.repository.as_ref().filter(|_| !plan.is_empty()) else {
        return;
    };
    let what: Vec<_> = plan.iter().map(Planned::action).collect();
    let tagged = plan
        .iter()
        .any(|planned| matches!(planned.change, Change::Tag(_)));
    if tagged && !known {
        let message = format!(
            "repository {} is taken over: {}",
            repository.uri,
            what.join(", ")
        );
        record.note(reasons::ADOPTED, message);
    } else if record.is_true("InSync")
        && record.status.observed_generation == Some(record.generation)
        && record.status.revision.as_deref() == Some(&desired.revision())
    {
        let message = format!(
            "repository {} had been changed from outside and is put right: {}",
            repository.uri,
            what.join(", ")
        );
        record.note(reasons::DRIFT_REPAIRED, message);
    }
}

/// Everything is as declared.
pub(super) fn settled(
    record: &mut Record<ImageRepository>,
    desired: &DesiredRepository,
    gathered: &Gathered,
) {
    // Those that were not kept before are now.
    let there = gathered.seen.as_ref().map_or(0, |seen| seen.kept.len());
    record.status.kept_images = i64::try_from(there).ok();
    record.status.revision = Some(desired.revision());
    record.set(
        "InSync",
        Truth::True,
        reasons::IN_SYNC,
        "no difference was found",
    );
}
