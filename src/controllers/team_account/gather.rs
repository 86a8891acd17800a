//! Gather: what AWS has, no more of it than is declared.

use std::time::Duration;

use super::identify::owned_by_other;
use super::{TeamAccounts, bucket, reasons};
use crate::api::TeamAccount;
use crate::cloud::{ErrorKind, RegionState};
use crate::controllers::organization::Row;
use crate::engine::conditions::Truth;
use crate::engine::record::Record;
use crate::engine::{Failure, Outcome};
use crate::model::AccountState;
use crate::plan::account::{DesiredAccount, ObservedAccount, Ownership, ownership};

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

impl TeamAccounts {
    /// What the sweep has told; and, if `deep`, what only the account itself can tell.
    pub(super) async fn gather(
        &self,
        record: &mut Record<TeamAccount>,
        desired: &DesiredAccount,
        row: &Row,
        deep: bool,
    ) -> Result<Gathered, Failure> {
        let mut found = Gathered::default();
        found.seen.email = Some(row.account.email.clone());
        found.seen.name = Some(row.account.name.clone());
        found.seen.unit = self.organization.path(&row.parent);
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
        }
        if deep {
            self.gather_settings(desired, row, &mut found).await?;
            self.gather_inside(record, desired, row, &mut found).await?;
        }
        Ok(found)
    }

    async fn gather_settings(
        &self,
        desired: &DesiredAccount,
        row: &Row,
        found: &mut Gathered,
    ) -> Result<(), Failure> {
        let settings = &self.organization.cloud().settings;
        for kind in desired.contacts.keys() {
            let contact = settings.contact(&row.account.id, *kind).await?;
            found.seen.contacts.insert(*kind, contact);
        }
        for region in desired.regions.iter().filter(|region| region.is_opt_in()) {
            let state = settings.region(&row.account.id, *region).await?;
            let coming = matches!(state, RegionState::Enabled | RegionState::Enabling);
            found.seen.regions.insert(region.as_str(), coming);
            if state == RegionState::Enabling {
                let message = format!("AWS is enabling region {region}; this can take hours");
                found.unfinished = Some(Outcome::waiting(
                    reasons::PROGRESSING,
                    message,
                    Duration::from_secs(120),
                ));
            }
        }
        Ok(())
    }

    async fn gather_inside(
        &self,
        record: &mut Record<TeamAccount>,
        desired: &DesiredAccount,
        row: &Row,
        found: &mut Gathered,
    ) -> Result<(), Failure> {
        let id = &row.account.id;
        let member = match self
            .organization
            .cloud()
            .sessions
            .enter(id, &desired.access_role)
            .await
        {
            Ok(member) => member,
            Err(error) if error.kind == ErrorKind::Denied => {
                found.unfinished = Some(not_inside(record, row, desired, &error.to_string()));
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        record.set(
            "Accessible",
            Truth::True,
            "Accessible",
            "the access role lets us in",
        );
        if row.account.state == AccountState::PendingActivation {
            // Whoever lets us in is active; the next sweep will say so as well.
            self.organization
                .update(id, |row| row.account.state = AccountState::Active);
        }
        if desired.alias.is_some() {
            found.seen.alias = Some(member.alias().await?);
        }
        if desired.password_policy.is_some() {
            found.seen.password_policy = Some(member.password_policy().await?);
        }
        if let Some(bucket) = &desired.credentials_bucket {
            match bucket::gather(member.as_ref(), bucket).await? {
                Ok(seen) => found.seen.credentials_bucket = Some(seen),
                Err(outcome) => found.unfinished = Some(outcome),
            }
        }
        Ok(())
    }
}

fn not_inside(
    record: &mut Record<TeamAccount>,
    row: &Row,
    desired: &DesiredAccount,
    error: &str,
) -> Outcome {
    let (id, role) = (&row.account.id, &desired.access_role);
    let began = record
        .status
        .creation
        .as_ref()
        .map(|creation| creation.started_at.0.as_second());
    if began.is_some_and(|began| record.now.as_second() - began < YOUNG) {
        let message =
            format!("account {id} exists; AWS is still setting it up and does not let us in yet");
        record.set("Accessible", Truth::False, reasons::ACTIVATING, &message);
        return Outcome::waiting(reasons::ACTIVATING, message, Duration::from_secs(15));
    }
    let message = format!(
        "role {role} of account {id} does not let us in: it must exist there and trust the management account ({error})"
    );
    record.set("Accessible", Truth::False, reasons::ACCESS_DENIED, &message);
    Outcome::blocked(reasons::ACCESS_DENIED, message)
}
