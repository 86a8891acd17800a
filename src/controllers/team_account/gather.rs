//! Gather: what AWS has, no more of it than is declared.

use std::collections::BTreeMap;
use std::time::Duration;

use super::identify::owned_by_other;
use super::{TeamAccounts, bucket, reasons};
use crate::api::TeamAccount;
use crate::cloud::{CloudError, ErrorKind, RegionState};
use crate::controllers::organization::Row;
use crate::engine::conditions::Truth;
use crate::engine::record::Record;
use crate::engine::{Failure, Outcome};
use crate::model::{
    AccountId, AccountState, AlternateContact, ContactKind, PasswordPolicy, Region, UnitPath,
};
use crate::plan::account::{DesiredAccount, ObservedAccount, Ownership, ownership};
use crate::plan::credentials_bucket::ObservedBucket;

/// For how long after its creation an account that does not let us in is merely young.
const YOUNG: i64 = 30 * 60;

/// What was seen.
#[derive(Default)]
pub(super) struct Gathered {
    /// The account.
    pub seen: ObservedAccount,
    /// Nothing may be changed, and why.
    pub stop: Option<Outcome>,
    /// Not everything could be seen yet, or something is under way.
    pub unfinished: Option<Outcome>,
}

/// What Account Management tells.
#[derive(Default)]
struct Settings {
    contacts: BTreeMap<ContactKind, Option<AlternateContact>>,
    regions: BTreeMap<&'static str, bool>,
    enabling: Option<Region>,
}

/// What an account tells of itself, as far as it was asked.
struct Inside {
    alias: Option<Option<String>>,
    policy: Option<Option<PasswordPolicy>>,
    bucket: Option<Result<Option<ObservedBucket>, Outcome>>,
}

impl TeamAccounts {
    /// What the sweep has told; and, if `deep`, what only the account itself can tell.
    pub(super) async fn gather(
        &self,
        record: &mut Record<TeamAccount>,
        desired: &DesiredAccount,
        (row, unit): (&Row, UnitPath),
        deep: bool,
    ) -> Result<Gathered, Failure> {
        let mut found = Gathered::default();
        found.seen.email = Some(row.account.email.clone());
        found.seen.name = Some(row.account.name.clone());
        found.seen.unit = Some(unit);
        if deep || row.tags.is_some() {
            let tags = self.tags(row).await?;
            if let Ownership::Others(owner) = ownership(&tags, &desired.owner.uid) {
                found.stop = Some(owned_by_other(
                    &row.account.id,
                    &owner.reference,
                    &owner.cluster,
                ));
                return Ok(found);
            }
            found.seen.tags = Some(tags);
            found.seen.set_by_us = record.status.tag_keys.iter().cloned().collect();
        }
        if deep {
            // Two doors that do not wait for each other.
            let (settings, inside) =
                futures::join!(self.settings(desired, row), self.inside(desired, row));
            let (settings, inside) = (settings?, inside?);
            found.seen.contacts = settings.contacts;
            found.seen.regions = settings.regions;
            found.unfinished = settings.enabling.map(|region| {
                let message = format!("AWS is enabling region {region}; this can take hours");
                Outcome::waiting(reasons::PROGRESSING, message, Duration::from_secs(120))
            });
            match inside {
                Ok(inside) => self.entered(record, row, inside, &mut found),
                Err(denied) => {
                    found.unfinished = Some(not_inside(record, row, desired, &denied));
                }
            }
        }
        Ok(found)
    }

    /// What Account Management tells of the account.
    async fn settings(&self, desired: &DesiredAccount, row: &Row) -> Result<Settings, CloudError> {
        let (settings, mut seen) = (&self.organization.cloud().settings, Settings::default());
        for kind in desired.contacts.keys() {
            let contact = settings.contact(&row.account.id, *kind).await?;
            seen.contacts.insert(*kind, contact);
        }
        for region in desired.regions.iter().filter(|region| region.is_opt_in()) {
            let state = settings.region(&row.account.id, *region).await?;
            let coming = matches!(state, RegionState::Enabled | RegionState::Enabling);
            seen.regions.insert(region.as_str(), coming);
            if state == RegionState::Enabling {
                seen.enabling = Some(*region);
            }
        }
        Ok(seen)
    }

    /// What only the account itself can tell; or the words with which it does not let us in.
    async fn inside(
        &self,
        desired: &DesiredAccount,
        row: &Row,
    ) -> Result<Result<Inside, String>, Failure> {
        let sessions = &self.organization.cloud().sessions;
        let member = match sessions.enter(&row.account.id, &desired.access_role).await {
            Ok(member) => member,
            Err(error) if error.kind == ErrorKind::Denied => return Ok(Err(error.to_string())),
            Err(error) => return Err(error.into()),
        };
        let alias = async {
            match desired.alias {
                Some(_) => member.alias().await.map(Some),
                None => Ok(None),
            }
        };
        let policy = async {
            match desired.password_policy {
                Some(_) => member.password_policy().await.map(Some),
                None => Ok(None),
            }
        };
        let bucket = async {
            match &desired.credentials_bucket {
                Some(bucket) => bucket::gather(member.as_ref(), bucket).await.map(Some),
                None => Ok(None),
            }
        };
        let (alias, policy, bucket) = futures::join!(alias, policy, bucket);
        Ok(Ok(Inside {
            alias: alias?,
            policy: policy?,
            bucket: bucket?,
        }))
    }

    fn entered(
        &self,
        record: &mut Record<TeamAccount>,
        row: &Row,
        inside: Inside,
        found: &mut Gathered,
    ) {
        let letting_in = "the access role lets us in";
        record.set("Accessible", Truth::True, "Accessible", letting_in);
        if row.account.state == AccountState::PendingActivation {
            // Whoever lets us in is active; the next sweep will say so as well.
            self.organization.update(&row.account.id, |row| {
                row.account.state = AccountState::Active;
            });
        }
        found.seen.alias = inside.alias;
        found.seen.password_policy = inside.policy;
        match inside.bucket {
            Some(Ok(seen)) => found.seen.credentials_bucket = Some(seen),
            Some(Err(outcome)) => found.unfinished = Some(outcome),
            None => {}
        }
    }
}

/// How soon we look again at an account that is young, and does not let us in, or is not shown, yet.
pub(super) const YOUNG_AGAIN: Duration = Duration::from_secs(15);

fn not_inside(
    record: &mut Record<TeamAccount>,
    row: &Row,
    desired: &DesiredAccount,
    error: &str,
) -> Outcome {
    let (id, role) = (&row.account.id, &desired.access_role);
    if is_young(record) {
        let message =
            format!("account {id} exists; AWS is still setting it up and does not let us in yet");
        record.set("Accessible", Truth::False, reasons::ACTIVATING, &message);
        return Outcome::waiting(reasons::ACTIVATING, message, YOUNG_AGAIN);
    }
    let message = format!(
        "role {role} of account {id} does not let us in: it must exist there and trust the management account ({error})"
    );
    record.set("Accessible", Truth::False, reasons::ACCESS_DENIED, &message);
    Outcome::blocked(reasons::ACCESS_DENIED, message)
}

/// Whether the account was created by us a short time ago.
pub(super) fn is_young(record: &Record<TeamAccount>) -> bool {
    let creation = record.status.creation.as_ref();
    creation.is_some_and(|creation| {
        let age = record.now.as_second() - creation.started_at.0.as_second();
        creation.failure.is_none() && age < YOUNG
    })
}

/// AWS does not show the account: if we created it a short time ago, it has not got round to it yet.
pub(super) fn not_shown(record: &mut Record<TeamAccount>, id: &AccountId) -> Outcome {
    if is_young(record) {
        let message =
            format!("account {id} was created; AWS does not show it in the organization yet");
        return Outcome::waiting(reasons::ACTIVATING, message, YOUNG_AGAIN);
    }
    let message = format!(
        "account {id} is not a member of this organization (any more); nothing is created in its place: invite it again, \
         or delete this object"
    );
    record.set("Created", Truth::False, reasons::NOT_A_MEMBER, &message);
    record.set("Placed", Truth::False, reasons::NOT_A_MEMBER, &message);
    Outcome::blocked(reasons::NOT_A_MEMBER, message)
}
