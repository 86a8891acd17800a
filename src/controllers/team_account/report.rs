//! Report: what the status says.

use super::reasons;
use crate::api::{ChangeStatus, CredentialsBucketStatus, Mode, TeamAccount, UnitStatus};
use crate::controllers::organization::Row;
use crate::engine::Outcome;
use crate::engine::conditions::{self, Truth};
use crate::engine::record::Record;
use crate::model::{AccountId, UnitPath};
use crate::plan::account::{Change, DesiredAccount, Planned};

/// What the sweep knows of the account.
pub fn row(record: &mut Record<TeamAccount>, row: &Row, path: Option<UnitPath>) {
    let status = &mut record.status;
    status.account_id = Some(row.account.id.to_string());
    status.state = Some(row.account.state.to_string());
    status.email = Some(row.account.email.clone());
    status.account_name = Some(row.account.name.clone());
    status.organizational_unit = Some(UnitStatus {
        id: row.parent.to_string(),
        path: path.map(|path| path.to_string()),
    });
    status.queue = None;
    record.set(
        "Created",
        Truth::True,
        reasons::CREATED,
        "the account exists and is a member of the organization",
    );
}

/// What would be changed, if it is not to be changed; and whether that is drift.
pub fn plan(
    record: &mut Record<TeamAccount>,
    id: &AccountId,
    plan: &[Planned],
    object: &TeamAccount,
) {
    let held = object.spec.mode == Mode::Plan || object.spec.suspend;
    let list: Vec<ChangeStatus> = plan
        .iter()
        .map(|planned| ChangeStatus {
            action: planned.action().to_owned(),
            target: id.to_string(),
            before: planned.before.clone(),
            after: Some(planned.after()),
        })
        .collect();
    let unit = plan
        .iter()
        .find(|planned| matches!(planned.change, Change::Move(_)));
    if let Some(planned) = unit.filter(|_| held) {
        let message = format!("the account is to be in {}", planned.after());
        record.set("Placed", Truth::False, reasons::CHANGES_PLANNED, &message);
    }
    record.status.drift = if held { list.clone() } else { Vec::new() };
    record.status.plan = if held { list } else { Vec::new() };
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
pub fn settled(record: &mut Record<TeamAccount>, desired: &DesiredAccount) {
    let unit = format!("the account is in {}", desired.unit);
    record.set("Placed", Truth::True, "Placed", &unit);
    record.set("InSync", Truth::True, "InSync", "no difference was found");
}
