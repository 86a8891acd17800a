//! Report: what the status says.

use super::act::Acted;
use super::reasons;
use crate::api::{ChangeStatus, CredentialsBucketStatus, TeamAccount, UnitStatus};
use crate::controllers::organization::Row;
use crate::engine::conditions::{self, Truth};
use crate::engine::record::Record;
use crate::engine::{Failure, FailureKind, Outcome};
use crate::model::{AccountId, UnitPath};
use crate::plan::account::{Change, DesiredAccount, Planned};
use crate::plan::credentials_bucket::BucketChange;

/// What the sweep knows of the account.
pub fn row(record: &mut Record<TeamAccount>, row: &Row, path: Option<UnitPath>) {
    let status = &mut record.status;
    status.state = Some(row.account.state.to_string());
    status.email = Some(row.account.email.clone());
    status.account_name = Some(row.account.name.clone());
    status.organizational_unit = Some(UnitStatus {
        id: row.parent.to_string(),
        path: path.map(|path| path.to_string()),
    });
    created(record, &row.account.id);
}

/// The account is there.
pub fn created(record: &mut Record<TeamAccount>, id: &AccountId) {
    record.status.account_id = Some(id.to_string());
    record.status.queue = None;
    record.set(
        "Created",
        Truth::True,
        reasons::CREATED,
        "the account exists and is a member of the organization",
    );
}

/// A look into the account (if this pass was one) found something that is not as declared, or could not see everything.
/// Until one finds everything in order another is owed: a pass that looks at less must not say Ready.
pub fn owed(record: &mut Record<TeamAccount>, looked: bool) {
    if !looked {
        return;
    }
    let message = "the last look into the account did not find everything in order";
    record.set("Baselined", Truth::False, reasons::PROGRESSING, message);
}

/// Changes that are held back: what would be done, and that the account is not in order meanwhile.
pub fn held_back(
    object: &TeamAccount,
    record: &mut Record<TeamAccount>,
    desired: &DesiredAccount,
    id: &AccountId,
    plan: &[Planned],
) -> Outcome {
    let message = format!("the account is to be in {}", desired.unit);
    let planned = (reasons::CHANGES_PLANNED, message.as_str());
    placed(record, desired, moves(plan).then_some(planned));
    let list = listed(id, plan);
    record.status.drift.clone_from(&list);
    record.status.plan = list;
    held(object, record, plan.len())
}

/// The outcome of a pass whose changes are held back.
pub fn held(object: &TeamAccount, record: &mut Record<TeamAccount>, count: usize) -> Outcome {
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

/// What was done, and what was not: that is not in order, whatever it was before. `drifted`: nobody has demanded anything
/// else, so that somebody has changed the account.
pub fn acted(
    record: &mut Record<TeamAccount>,
    desired: &DesiredAccount,
    id: &AccountId,
    acted: &Acted,
    drifted: bool,
) {
    if drifted && !acted.done.is_empty() {
        let what = in_words(&acted.done);
        let message = format!("account {id} had been changed from outside: {what}");
        record.note(reasons::DRIFT_REPAIRED, message);
    }
    record.status.plan.clear();
    record.status.drift = listed(id, &acted.undone);
    let Some((reason, message)) = &acted.obstacle else {
        placed(record, desired, None);
        return;
    };
    let (reason, message) = match drifted {
        false => (*reason, message.clone()),
        true => {
            let what = in_words(&acted.undone);
            let message = format!(
                "account {id} was changed from outside, and what is to be done is left ({what}): {message}"
            );
            (reasons::DRIFTED, message)
        }
    };
    record.set("InSync", Truth::False, reason, &message);
    let why = (reason, message.as_str());
    placed(record, desired, moves(&acted.undone).then_some(why));
}

/// Whether somebody has changed the account, and it could not be put right yet.
pub fn has_drifted(record: &Record<TeamAccount>) -> bool {
    let found = conditions::find(&record.status.conditions, "InSync");
    found.is_some_and(|found| {
        found.reason == reasons::DRIFTED && found.observed_generation == Some(record.generation)
    })
}

/// Nothing can be said of differences, or done about them: of what was found before, nothing counts any more.
pub fn stopped(record: &mut Record<TeamAccount>, outcome: Outcome) -> Outcome {
    record.status.plan.clear();
    record.status.drift.clear();
    not_in_sync(record, &outcome);
    outcome
}

/// However a pass that did not settle came to its end, it leaves nothing that says that all is well.
pub fn ended(record: &mut Record<TeamAccount>, end: &Result<Outcome, Failure>) {
    if !record.is_true("InSync") {
        return;
    }
    match end {
        Ok(outcome) => not_in_sync(record, outcome),
        Err(failure) if failure.kind == FailureKind::Terminal => {
            record.set("InSync", Truth::False, failure.label, &failure.message);
        }
        // What fails in passing says nothing about the account.
        Err(_) => {}
    }
}

/// Something takes its time, or is in the way.
pub fn not_in_sync(record: &mut Record<TeamAccount>, outcome: &Outcome) {
    if let Outcome::Waiting {
        reason, message, ..
    }
    | Outcome::Blocked { reason, message } = outcome
    {
        record.set("InSync", Truth::False, reason, message);
    }
}

/// Where the account is; or why it is not where it is to be.
fn placed(
    record: &mut Record<TeamAccount>,
    desired: &DesiredAccount,
    elsewhere: Option<(&str, &str)>,
) {
    let unit = format!("the account is in {}", desired.unit);
    match elsewhere {
        Some((reason, message)) => record.set("Placed", Truth::False, reason, message),
        None => record.set("Placed", Truth::True, reasons::PLACED, &unit),
    }
}

fn moves(plan: &[Planned]) -> bool {
    plan.iter()
        .any(|planned| matches!(planned.change, Change::Move(_)))
}

fn listed(id: &AccountId, plan: &[Planned]) -> Vec<ChangeStatus> {
    let change = |planned: &Planned| ChangeStatus {
        action: planned.action().to_owned(),
        target: id.to_string(),
        before: planned.before.clone(),
        after: Some(planned.after()),
    };
    plan.iter().map(change).collect()
}

fn in_words(plan: &[Planned]) -> String {
    let after = |planned: &Planned| match &planned.change {
        // Some kilobytes, of which a sentence has no use.
        Change::Bucket(BucketChange::PutPolicy(_)) => "the bucket's policy".to_owned(),
        _ => planned.after(),
    };
    let change = |planned: &Planned| format!("{} → {}", planned.action(), after(planned));
    plan.iter().map(change).collect::<Vec<_>>().join("; ")
}

/// A look into the account has found it in order, or it has been put in order since.
pub fn baselined(record: &mut Record<TeamAccount>, desired: &DesiredAccount, class: &str) {
    record.set(
        "Baselined",
        Truth::True,
        "Baselined",
        "the account has the baseline of its class",
    );
    let status = &mut record.status;
    status.class_revision = Some(class.to_owned());
    status.revision = Some(desired.revision());
    status.regions = desired.regions.iter().map(ToString::to_string).collect();
    if let Some(bucket) = &desired.credentials_bucket {
        status.credentials_bucket = Some(CredentialsBucketStatus {
            bucket: bucket.name.to_string(),
            region: bucket.region.to_string(),
        });
    }
    if let Some(alias) = &desired.alias {
        status.alias = Some(alias.to_string());
    }
}

/// What the last look into the account has found holds for this generation of the spec, too: it demands the same.
pub fn still(record: &mut Record<TeamAccount>) {
    for type_ in ["Accessible", "Baselined"] {
        let found = conditions::find(&record.status.conditions, type_).cloned();
        if let Some(found) = found.filter(|found| found.status == "True") {
            record.set(type_, Truth::True, &found.reason, &found.message);
        }
    }
}

/// Everything is as declared.
pub fn settled(record: &mut Record<TeamAccount>) {
    record.set(
        "InSync",
        Truth::True,
        reasons::IN_SYNC,
        "no difference was found",
    );
}
