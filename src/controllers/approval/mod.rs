//! `Approval`: says whether it counts, and if not, why. The counting itself is the release's.

pub mod reasons;

use std::time::Duration;

use async_trait::async_trait;
use kube::ResourceExt;

use super::Caches;
use super::application::in_force;
use crate::api::{Application, Approval, Release};
use crate::engine::conditions::{self, Truth};
use crate::engine::frame::Reconcile;
use crate::engine::reasons::Reason;
use crate::engine::record::Record;
use crate::engine::{Failure, Outcome};
use crate::plan::approval::{Asked, Author, Given, Refusal, judge};

/// The condition that is there while no approval of this type is demanded.
const NOT_DEMANDED: &str = "NotDemanded";
/// How soon an approval of a release without a digest is looked at again if nothing is heard of the release.
const RELEASE_AGAIN: Duration = Duration::from_secs(600);

/// Who made an object, if that can be believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authors {
    /// Whether admission policies see to it that the stamp of an object is true, or not there.
    pub guarded: bool,
    /// Users who are no persons although the cluster authenticates them like persons.
    pub robots: Vec<String>,
}

impl Authors {
    /// Who made this object; `None`: nobody can tell.
    pub fn of(&self, object: &impl ResourceExt) -> Author {
        let stamp = object.annotations().get(crate::api::ANNOTATION_CREATED_BY);
        stamp
            .filter(|stamp| self.guarded && !stamp.is_empty())
            .cloned()
    }

    /// A release, as approvals are judged by it.
    pub fn asked(&self, release: &Release) -> Asked {
        let image = release
            .status
            .as_ref()
            .and_then(|status| status.image.as_ref());
        Asked {
            requester: self.of(release),
            digest: image.map(|image| image.digest.clone()),
        }
    }

    /// An approval, as it is judged.
    pub fn given(&self, approval: &Approval) -> Given {
        Given {
            name: approval.name_any(),
            type_: approval.spec.type_.clone(),
            approver: approval.spec.approver.clone(),
            digest: approval.spec.digest.clone(),
            author: self.of(approval),
            is_robot: self.is_robot(&approval.spec.approver),
            is_review: false,
        }
    }

    /// Whether this user is known for a robot.
    pub fn is_robot(&self, user: &str) -> bool {
        self.robots.iter().any(|robot| robot == user)
    }
}

/// The controller of `Approval`.
pub struct Approvals {
    /// The caches.
    pub caches: Caches,
    /// Who made what.
    pub authors: Authors,
}

#[async_trait]
impl Reconcile for Approvals {
    type Kind = Approval;
    const KIND: &'static str = "Approval";
    const REASONS: &'static [Reason] = reasons::ALL;
    /// Nothing outside of it is owed: its release is told that it is gone.
    const FINALIZES: bool = false;

    async fn pass(
        &self,
        object: &Approval,
        record: &mut Record<Approval>,
    ) -> Result<Outcome, Failure> {
        self.caches.filled().await;
        let name = &object.spec.release;
        let release = self
            .caches
            .releases
            .get(object.namespace().as_deref(), name);
        let asked = release.as_ref().map(|release| self.authors.asked(release));
        let given = self.authors.given(object);
        self.demanded(object, release.as_ref(), record);
        Ok(match judge(&given, asked.as_ref()) {
            Ok(()) => Outcome::Settled { resync: None },
            Err(refusal) => outcome(refusal, object, asked.as_ref()),
        })
    }
}

impl Approvals {
    /// Says so where the application demands no approval of this type: it is in order, and adds to nothing.
    fn demanded(
        &self,
        object: &Approval,
        release: Option<&Release>,
        record: &mut Record<Approval>,
    ) {
        let application = release.and_then(|release| {
            let namespace = release.namespace();
            let applications = &self.caches.applications;
            applications.get(namespace.as_deref(), &release.spec.application)
        });
        let type_ = &object.spec.type_;
        match application.and_then(|application| not_demanded(&application, &self.caches, type_)) {
            Some(message) => {
                record.set(NOT_DEMANDED, Truth::True, reasons::NOT_DEMANDED, &message);
            }
            None => conditions::remove(&mut record.status.conditions, NOT_DEMANDED),
        }
    }
}

/// By what is in force: a demand that the name keeps is one.
fn not_demanded(application: &Application, caches: &Caches, type_: &String) -> Option<String> {
    let types = in_force(application, caches).types;
    let demanded = match types.as_slice() {
        [] => "none".to_owned(),
        types => types.join(", "),
    };
    let message = || {
        format!(
            "spec.type: Application {} demands no approval of type {type_} (it demands {demanded}), so this one adds to \
             nothing as long as its spec.requiredApprovals stays as it is",
            application.name_any()
        )
    };
    (!types.contains(type_)).then(message)
}

fn outcome(refusal: Refusal, object: &Approval, asked: Option<&Asked>) -> Outcome {
    let (name, approver) = (&object.spec.release, &object.spec.approver);
    let (reason, message) = match refusal {
        Refusal::ReleaseNotFound => (
            reasons::RELEASE_NOT_FOUND,
            format!("spec.release: there is no Release {name} in this namespace"),
        ),
        Refusal::ReleaseNotResolved => {
            let message = format!("Release {name} has no digest yet; see its condition Resolved");
            return Outcome::waiting(reasons::RELEASE_NOT_RESOLVED, message, RELEASE_AGAIN);
        }
        Refusal::DigestMismatch => (
            reasons::DIGEST_MISMATCH,
            format!(
                "spec.digest is {}, and Release {name} is {}: look at that one, and approve it by a new Approval",
                object.spec.digest,
                asked
                    .and_then(|asked| asked.digest.as_deref())
                    .unwrap_or_default()
            ),
        ),
        Refusal::OwnRelease => (
            reasons::OWN_RELEASE,
            format!("{approver} requested Release {name}: another person must approve it"),
        ),
        Refusal::NotTheApprover => (
            reasons::NOT_THE_APPROVER,
            format!("spec.approver is {approver}, and somebody else wrote this: everybody approves for themselves"),
        ),
        Refusal::NotAPerson => (
            reasons::NOT_A_PERSON,
            format!("{approver} is not a person: robots and service accounts may make releases and never approve them"),
        ),
        Refusal::AuthorUnknown => (
            reasons::AUTHOR_UNKNOWN,
            "nobody can tell who wrote this, since the cluster did not stamp it: the platform team enables \
             admission in the chart, on Kubernetes 1.36 or later; then write it anew"
                .to_owned(),
        ),
        Refusal::RequesterUnknown => (
            reasons::REQUESTER_UNKNOWN,
            format!(
                "nobody can tell who requested Release {name}, since the cluster did not stamp it, and so it may have \
                 been {approver}: the platform team enables admission in the chart, on Kubernetes 1.36 or later; then \
                 make the release anew"
            ),
        ),
    };
    Outcome::blocked(reason, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn approval(by: &str) -> Approval {
        serde_json::from_value(json!({
            "apiVersion": "bailiwick.dev/v1alpha1", "kind": "Approval",
            "metadata": {"name": "one", "annotations": {"bailiwick.dev/created-by": by}},
            "spec": {"release": "shop-1", "digest": "sha256:1", "type": "Test", "approver": by},
        }))
        .unwrap()
    }

    #[test]
    fn who_is_a_robot_is_what_the_platform_team_says() {
        let authors = Authors {
            guarded: true,
            robots: vec!["gitops".to_owned()],
        };
        let asked = Asked {
            requester: Some("dev".to_owned()),
            digest: Some("sha256:1".to_owned()),
        };
        for (by, wanted) in [
            ("gitops", Err(Refusal::NotAPerson)),
            ("system:serviceaccount:ci:robot", Err(Refusal::NotAPerson)),
            ("ann", Ok(())),
        ] {
            assert_eq!(
                judge(&authors.given(&approval(by)), Some(&asked)),
                wanted,
                "{by}"
            );
        }
        let unguarded = Authors::default();
        let nobody = judge(&unguarded.given(&approval("ann")), Some(&asked));
        assert_eq!(nobody, Err(Refusal::AuthorUnknown));
    }
}
