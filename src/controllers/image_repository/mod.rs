//! `ImageRepository`: a repository for an application's images, in Amazon ECR.
//!
//! | step | file |
//! |---|---|
//! | gather: what AWS has | `gather.rs` |
//! | validate: spec, account and class → `Place`, `DesiredRepository` | `validate.rs` |
//! | decide | `plan::repository`, `plan::policy_document` |
//! | act: create, change; leave | `act.rs`, `leave.rs` |
//! | report: status | `report.rs` |
//! | the logins by which releases read what is in them | `logins.rs` |
//!
//! A digest that a `Release` was resolved to is kept for good: it gets a tag of ours, `bailiwick-keep-` and the digest,
//! and images with a tag never expire. So what was deployed outlives its release, its object and the operator; whoever
//! wants it gone deletes that tag by hand.

mod act;
mod gather;
mod leave;
pub mod logins;
pub mod reasons;
mod report;
mod validate;

use std::collections::BTreeSet;

use async_trait::async_trait;
use kube::ResourceExt;
use tokio::sync::OnceCell;

use super::{Caches, application, keys};
use crate::api::{
    ANNOTATION_RECONCILE, Evidence, ImageRepository, Mode, Release, Team, TeamAccount,
};
use crate::cloud::{Cloud, Company};
use crate::engine::conditions::Truth;
use crate::engine::due::DeepChecks;
use crate::engine::frame::Reconcile;
use crate::engine::reasons::Reason;
use crate::engine::record::Record;
use crate::engine::{Failure, Outcome};
use crate::model::{AccountId, EcrRegistry, Region, RoleName};
use crate::plan::repository::{DesiredRepository, changes};

/// The account for the repositories of objects that name none.
#[derive(Debug, Clone)]
pub struct PlatformAccount {
    /// The account.
    pub account: AccountId,
    /// The role through which it is entered.
    pub role: RoleName,
    /// Whether its repositories may have tags that can be moved.
    pub mutable_tags: bool,
}

/// The controller of `ImageRepository`.
pub struct ImageRepositories {
    /// The caches.
    pub caches: Caches,
    /// AWS.
    pub cloud: Cloud,
    /// The cluster's name, for ownership tags.
    pub cluster: String,
    /// The account of those who name none.
    pub platform: Option<PlatformAccount>,
    /// How often a repository is looked at although nothing has changed here.
    pub checks: DeepChecks,
    /// The organization, once it has been asked for.
    pub company: OnceCell<Company>,
}

/// Where a repository is, and how to get there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    account: AccountId,
    role: RoleName,
    region: Region,
}

#[async_trait]
impl Reconcile for ImageRepositories {
    type Kind = ImageRepository;
    const KIND: &'static str = "ImageRepository";
    const REASONS: &'static [Reason] = reasons::ALL;

    async fn pass(
        &self,
        object: &ImageRepository,
        record: &mut Record<ImageRepository>,
    ) -> Result<Outcome, Failure> {
        self.caches.filled().await;
        if object.metadata.deletion_timestamp.is_some() {
            return self.leave(object, record).await;
        }
        let (place, desired) = match self.demands(object, record).await? {
            Ok(demands) => demands,
            Err(outcome) => {
                if let Outcome::Blocked { reason, message } = &outcome {
                    record.set("Accepted", Truth::False, reason, message);
                    report::nothing_planned(record);
                }
                return Ok(outcome);
            }
        };
        record.set(
            "Accepted",
            Truth::True,
            reasons::ACCEPTED,
            "the spec can be carried out",
        );
        let uid = object.uid().unwrap_or_default();
        let requested = object.annotations().get(ANNOTATION_RECONCILE);
        let settled = record.is_true("InSync")
            && record.status.observed_generation == Some(record.generation)
            && record.status.revision.as_deref() == Some(&desired.revision())
            && record.status.last_handled_reconcile_at.as_ref() == requested;
        if settled && !self.checks.is_due(&uid) {
            let resync = Some(self.checks.next(&uid, false));
            return Ok(Outcome::Settled { resync });
        }
        if let Some(outcome) = self.application(object, record) {
            return Ok(outcome);
        }
        if let Some(outcome) = self.settle(object, record, &place, &desired).await? {
            return Ok(outcome);
        }
        record.status.last_handled_reconcile_at = requested.cloned();
        Ok(Outcome::Settled {
            resync: Some(self.checks.next(&uid, true)),
        })
    }
}

impl ImageRepositories {
    /// What the object demands, and where; without a call but one in the life of the process.
    async fn demands(
        &self,
        object: &ImageRepository,
        record: &Record<ImageRepository>,
    ) -> Result<Result<(Place, DesiredRepository), Outcome>, Failure> {
        let namespace = object.namespace().unwrap_or_default();
        let team = self.caches.team_of(&namespace);
        let account = self.account_of(object);
        let class = account
            .as_ref()
            .and_then(|account| self.caches.class(&account.spec.class_name));
        let given = validate::Given {
            team: team.as_ref(),
            account: account.as_ref(),
            class: class.as_ref(),
            platform: self.platform.as_ref(),
        };
        let place = match validate::place(object, &given) {
            Ok(place) => place,
            Err(outcome) => return Ok(Err(outcome)),
        };
        let known = record.status.created_at.is_some();
        if let Some(outcome) = validate::not_ready(account.as_ref().filter(|_| !known)) {
            return Ok(Err(outcome));
        }
        // It does not change as long as the organization exists, and we with it.
        let company = self
            .company
            .get_or_try_init(|| self.cloud.units.company())
            .await?;
        let company = match validate::company(company, &place, object) {
            Ok(company) => company,
            Err(outcome) => return Ok(Err(outcome)),
        };
        let own: BTreeSet<AccountId> = validate::pushing(
            &self
                .caches
                .accounts(|account| account.namespace().as_deref() == Some(&namespace)),
        );
        let keep = self.released(object, &place, team.as_ref());
        let desired = validate::desired(object, &given, &self.cluster, (company, &own, keep));
        let desired = match desired {
            Ok(desired) => desired,
            Err(outcome) => return Ok(Err(outcome)),
        };
        let team = team.map(|team| team.name_any()).unwrap_or_default();
        if let Some(outcome) = self.namesake(object, record, &desired, &team) {
            return Ok(Err(outcome));
        }
        Ok(Ok((place, desired)))
    }

    /// The account that the spec names, in the same namespace.
    fn account_of(&self, object: &ImageRepository) -> Option<TeamAccount> {
        let name = object.spec.account.as_ref()?;
        let same = |account: &TeamAccount| {
            account.namespace() == object.namespace() && account.name_any() == *name
        };
        self.caches.accounts(same).into_iter().next()
    }

    /// Brings the repository to what is declared. `Some`: something is in the way.
    async fn settle(
        &self,
        object: &ImageRepository,
        record: &mut Record<ImageRepository>,
        place: &Place,
        desired: &DesiredRepository,
    ) -> Result<Option<Outcome>, Failure> {
        let gathered = match self.gather(place, desired).await? {
            Ok(gathered) => gathered,
            Err(outcome) => return Ok(Some(outcome)),
        };
        let known = record.status.created_at.as_ref().map(|at| at.0.as_second());
        let plan = match changes(desired, gathered.seen.as_ref(), known) {
            Ok(plan) => plan,
            Err(obstacle) => {
                let outcome = report::obstacle(place, desired, &obstacle);
                if let Outcome::Blocked { reason, message } = &outcome {
                    record.set("Created", Truth::False, reason, message);
                    report::nothing_planned(record);
                }
                return Ok(Some(outcome));
            }
        };
        let held = object.spec.mode == Mode::Plan || object.spec.suspend;
        report::plan(record, &gathered.target(place, desired), &plan, held);
        if !plan.is_empty() && held {
            return Ok(Some(report::held(object, record, plan.len())));
        }
        report::about_to_change(record, desired, &gathered, &plan);
        if let Some(outcome) = self.act(record, place, desired, &gathered, &plan).await? {
            if let Outcome::Blocked { reason, message } = &outcome {
                record.set("InSync", Truth::False, reason, message);
            }
            return Ok(Some(outcome));
        }
        report::settled(record, desired, &gathered);
        Ok(None)
    }

    /// Every repository is an application's, and is not made before that has its name: it may be another team's. What there
    /// is goes on being kept, whatever becomes of the name.
    fn application(
        &self,
        object: &ImageRepository,
        record: &Record<ImageRepository>,
    ) -> Option<Outcome> {
        let (namespace, name) = (
            object.namespace().unwrap_or_default(),
            &object.spec.application,
        );
        match self.caches.applications.get(Some(&namespace), name) {
            Some(_) if record.status.created_at.is_some() => None,
            Some(application) => {
                application::refusal(&application).map(|why| validate::not_accepted(name, &why))
            }
            None => Some(validate::no_application(name, &namespace)),
        }
    }

    /// Of two objects that declare the same repository the older one has it, unless it is the other's already: then its
    /// tags say so. They are in one namespace: names in the platform's account begin with the team's, and another
    /// account is the team's own.
    fn namesake(
        &self,
        object: &ImageRepository,
        record: &Record<ImageRepository>,
        desired: &DesiredRepository,
        team: &str,
    ) -> Option<Outcome> {
        if record.status.created_at.is_some() {
            return None;
        }
        let age = |object: &ImageRepository| {
            let created = object.creation_timestamp().map(|at| at.0);
            (created, object.uid())
        };
        let same = |other: &ImageRepository| {
            other.namespace() == object.namespace()
                && other.spec.account == object.spec.account
                && other.spec.region == object.spec.region
                && validate::name(other, team) == desired.name.as_str()
        };
        let older = |other: &ImageRepository| same(other) && age(other) < age(object);
        let older = self.caches.repositories.select(older);
        older
            .first()
            .map(|other| validate::name_taken(other, desired))
    }

    /// The digests that releases were resolved to in this object's repository, wherever the releases are: another
    /// team may run the image. And the attestations by which their source is known. By the repository's address, which
    /// is known before the repository is: one that is adopted may have been released from for years.
    fn released(
        &self,
        object: &ImageRepository,
        place: &Place,
        team: Option<&Team>,
    ) -> BTreeSet<String> {
        let Some(team) = team.map(ResourceExt::name_any) else {
            return BTreeSet::new();
        };
        let mut digests = BTreeSet::new();
        for uri in place.uris(&validate::name(object, &team)) {
            let kept = |release: &Release| {
                let status = release.status.as_ref()?;
                let image = status.image.as_ref().map(|image| image.digest.clone());
                let source = status.source.as_ref();
                let attested = source.filter(|it| it.evidence == Evidence::Attestation);
                let evidence = attested.and_then(|source| source.evidence_digest.clone());
                Some(image.into_iter().chain(evidence))
            };
            let of_each = self.caches.releases.each_by(&keys::repository(&uri), kept);
            digests.extend(of_each.into_iter().flatten());
        }
        digests
    }
}

impl Place {
    /// The addresses that a repository has here, over either version of IP.
    fn uris(&self, name: &str) -> [String; 2] {
        let registry = EcrRegistry {
            account: self.account.clone(),
            region: self.region,
        };
        registry.hosts().map(|host| format!("{host}/{name}"))
    }
}
