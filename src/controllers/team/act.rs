//! Act: the namespace, and the RoleBinding that gives every member and group equal rights.

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::{ClusterRole, RoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, ResourceExt};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

use super::{ACCEPTED, Teams, reasons};
use crate::api::{Application, LABEL_TEAM, Team, TeamAccount};
use crate::controllers::application;
use crate::engine::conditions::{self, Truth};
use crate::engine::record::Record;
use crate::engine::{Failure, Outcome};

/// The ClusterRole that the members are bound to; the chart brings it.
pub const MEMBER_ROLE: &str = "bailiwick-team-member";
/// The binding's name in the team's namespace.
pub const MEMBER_BINDING: &str = "bailiwick-team-members";
/// The ClusterRole with which the operator writes credentials in a team's namespace; the chart brings it.
pub const WRITER_ROLE: &str = "bailiwick-credentials-writer";
/// The binding's name in the team's namespace.
pub const WRITER_BINDING: &str = "bailiwick-credentials-writer";
/// The operator's own service account, as the chart makes it.
const OPERATOR: &str = "bailiwick";
/// Our name as a field manager.
pub const FIELD_MANAGER: &str = "bailiwick";

/// Whose a namespace is that is not this team's, and what to do.
fn taken(found: &Namespace, team: &Team) -> String {
    let name = found.name_any();
    let otherwise =
        "delete this team and declare it with another spec.namespace, which cannot be changed";
    match found.labels().get(LABEL_TEAM) {
        Some(other) => format!("namespace {name} is team {other}'s: {otherwise}"),
        None if name.starts_with("kube-") => {
            format!("namespace {name} is Kubernetes' own: {otherwise}")
        }
        None => format!(
            "namespace {name} exists and is not this team's. If it shall be, a cluster administrator runs: kubectl \
             label namespace {name} {LABEL_TEAM}={}. If not, {otherwise}",
            team.name_any()
        ),
    }
}

impl Teams {
    /// `Some`: the namespace cannot be had.
    pub(super) async fn ensure_namespace(
        &self,
        team: &Team,
        record: &mut Record<Team>,
        name: &str,
    ) -> Result<Option<Outcome>, Failure> {
        let Some(found) = self.namespace_now(name).await? else {
            if team.spec.suspend {
                return Ok(Some(held(&format!("namespace {name} is not made"))));
            }
            record.may_write_in_cluster()?;
            let labels = BTreeMap::from([(LABEL_TEAM.to_owned(), team.name_any())]);
            let metadata = ObjectMeta {
                name: Some(name.to_owned()),
                labels: Some(labels),
                ..ObjectMeta::default()
            };
            let api: Api<Namespace> = Api::all(self.client.clone());
            api.create(
                &PostParams::default(),
                &Namespace {
                    metadata,
                    ..Namespace::default()
                },
            )
            .await?;
            return Ok(None);
        };
        if !is_of(&found, team) {
            let message = taken(&found, team);
            // Not only Ready: whether the team has its namespace decides whose the accounts in it are.
            record.set(ACCEPTED, Truth::False, reasons::NAMESPACE_TAKEN, &message);
            return Ok(Some(Outcome::blocked(reasons::NAMESPACE_TAKEN, message)));
        }
        if found.metadata.deletion_timestamp.is_some() {
            let message =
                format!("namespace {name} is being deleted; a new one is made when it is gone");
            return Ok(Some(Outcome::waiting(
                reasons::NAMESPACE_TERMINATING,
                message,
                Duration::from_secs(10),
            )));
        }
        Ok(None)
    }

    /// The namespace of that name, asked of the API server itself.
    pub(super) async fn namespace_now(&self, name: &str) -> Result<Option<Namespace>, Failure> {
        let api: Api<Namespace> = Api::all(self.client.clone());
        Ok(api.get_opt(name).await?)
    }

    /// Gives the members their rights, if they have others, and the operator its own: to write Secrets here, since it may do
    /// so nowhere else. `Some`: it may not be done now.
    pub(super) async fn ensure_members(
        &self,
        team: &Team,
        record: &mut Record<Team>,
        namespace: &str,
    ) -> Result<Option<Outcome>, Failure> {
        let bindings = [
            (MEMBER_BINDING, cluster_role(MEMBER_ROLE), subjects(team)),
            (WRITER_BINDING, cluster_role(WRITER_ROLE), self.operator()),
        ];
        for (name, role, subjects) in bindings {
            let there = (namespace, name);
            if let Some(held) = self.bind(team, record, there, role, subjects).await? {
                return Ok(Some(held));
            }
        }
        Ok(None)
    }

    /// Whether the role is there that the members are bound to: a binding alone gives nothing. `Some`: it is not.
    pub(super) async fn missing_role(&self, namespace: &str) -> Result<Option<Outcome>, Failure> {
        let roles: Api<ClusterRole> = Api::all(self.client.clone());
        if roles.get_metadata_opt(MEMBER_ROLE).await?.is_some() {
            return Ok(None);
        }
        let message = format!(
            "ClusterRole {MEMBER_ROLE} does not exist, so RoleBinding {namespace}/{MEMBER_BINDING} gives the members no \
             rights: a cluster administrator installs the chart, which brings the role"
        );
        Ok(Some(Outcome::blocked(reasons::ROLE_MISSING, message)))
    }

    /// Binds these subjects to this role, if they are not.
    async fn bind(
        &self,
        team: &Team,
        record: &mut Record<Team>,
        (namespace, name): (&str, &str),
        role: RoleRef,
        subjects: Vec<Subject>,
    ) -> Result<Option<Outcome>, Failure> {
        let api: Api<RoleBinding> = Api::namespaced(self.client.clone(), namespace);
        let found = api.get_opt(name).await?;
        let misled = found.as_ref().is_some_and(|found| found.role_ref != role);
        let had = found.map(|found| found.subjects.unwrap_or_default());
        if !misled && had.as_ref() == Some(&subjects) {
            return Ok(None);
        }
        if team.spec.suspend {
            let what =
                format!("the rights that RoleBinding {name} of its namespace gives are not given");
            return Ok(Some(held(&what)));
        }
        if misled {
            // A binding's role cannot be changed; one that points elsewhere is not what we made.
            record.may_write_in_cluster()?;
            api.delete(name, &DeleteParams::default()).await?;
        }
        record.may_write_in_cluster()?;
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": { "name": name, "labels": { LABEL_TEAM: team.name_any() } },
            "roleRef": role,
            "subjects": subjects,
        });
        api.patch(
            name,
            &PatchParams::apply(FIELD_MANAGER).force(),
            &Patch::Apply(&binding),
        )
        .await?;
        Ok(None)
    }

    /// The operator itself, as the chart lets it run.
    fn operator(&self) -> Vec<Subject> {
        vec![Subject {
            api_group: None,
            kind: "ServiceAccount".to_owned(),
            name: OPERATOR.to_owned(),
            namespace: Some(self.operator_namespace.clone()),
        }]
    }

    /// The accounts that are in the namespace now.
    pub(super) async fn accounts_now(&self, namespace: &str) -> Result<Vec<String>, Failure> {
        let api: Api<TeamAccount> = Api::namespaced(self.client.clone(), namespace);
        let list = api.list_metadata(&ListParams::default()).await?;
        Ok(list.items.iter().map(ResourceExt::name_any).collect())
    }

    /// The applications that are in the namespace now and in use: neither deleted nor retired nor given away.
    pub(super) async fn active_applications_now(
        &self,
        namespace: &str,
    ) -> Result<Vec<String>, Failure> {
        let api: Api<Application> = Api::namespaced(self.client.clone(), namespace);
        let list = api.list(&ListParams::default()).await?;
        Ok(list
            .items
            .iter()
            .filter(|application| is_active(application))
            .map(ResourceExt::name_any)
            .collect())
    }

    /// Takes the members' rights away, and the operator's; the namespace stays, labelled.
    pub(super) async fn remove_members(&self, team: &Team, namespace: &str) -> Result<(), Failure> {
        let api: Api<RoleBinding> = Api::namespaced(self.client.clone(), namespace);
        for name in [MEMBER_BINDING, WRITER_BINDING] {
            if let Some(found) = api.get_opt(name).await?
                && is_of(&found, team)
            {
                api.delete(name, &DeleteParams::default()).await?;
            }
        }
        Ok(())
    }

    /// Deletes the namespace, if it is this team's; the very one that was looked at.
    pub(super) async fn remove_namespace(&self, team: &Team, name: &str) -> Result<(), Failure> {
        let api: Api<Namespace> = Api::all(self.client.clone());
        let Some(found) = api.get_opt(name).await? else {
            return Ok(());
        };
        if is_of(&found, team) && found.metadata.deletion_timestamp.is_none() {
            let preconditions = Preconditions {
                uid: found.uid(),
                resource_version: None,
            };
            api.delete(name, &DeleteParams::default().preconditions(preconditions))
                .await?;
        }
        Ok(())
    }
}

fn is_active(application: &Application) -> bool {
    let status = application.status.as_ref();
    let retired = status
        .and_then(|status| status.retirement.as_ref())
        .is_some_and(|retirement| retirement.effective && !application.spec.active);
    let refused = status
        .and_then(|status| conditions::find(&status.conditions, application::ACCEPTED))
        .is_some_and(|accepted| accepted.status == "False");
    !retired && !refused && application.metadata.deletion_timestamp.is_none()
}

/// Whether the label of what was found names this team.
pub(super) fn is_of(found: &impl ResourceExt, team: &Team) -> bool {
    found.labels().get(LABEL_TEAM) == Some(&team.name_any())
}

pub(super) fn held(what: &str) -> Outcome {
    let message = format!("spec.suspend is true: {what}; set spec.suspend to false to go on");
    Outcome::blocked(reasons::SUSPENDED, message)
}

fn cluster_role(name: &str) -> RoleRef {
    RoleRef {
        api_group: "rbac.authorization.k8s.io".to_owned(),
        kind: "ClusterRole".to_owned(),
        name: name.to_owned(),
    }
}

pub(super) fn subjects(team: &Team) -> Vec<Subject> {
    let subject = |kind: &str, name: &str| Subject {
        api_group: Some("rbac.authorization.k8s.io".to_owned()),
        kind: kind.to_owned(),
        name: name.to_owned(),
        namespace: None,
    };
    let users = team
        .spec
        .members
        .iter()
        .map(|member| subject("User", &member.user));
    let groups = team.spec.groups.iter().map(|group| subject("Group", group));
    users.chain(groups).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_that_is_taken_says_whose_it_is_and_advises_nobody_to_take_it() {
        let team: Team = serde_json::from_value(json!({
            "apiVersion": "bailiwick.dev/v1alpha1", "kind": "Team", "metadata": {"name": "a"}, "spec": {},
        }))
        .unwrap();
        let namespace = |name: &str, labels: serde_json::Value| -> Namespace {
            serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}})).unwrap()
        };
        let of_b = taken(&namespace("team-b", json!({LABEL_TEAM: "b"})), &team);
        assert!(
            of_b.contains("is team b's") && !of_b.contains("kubectl"),
            "{of_b}"
        );
        let system = taken(&namespace("kube-system", json!({})), &team);
        assert!(!system.contains("kubectl"), "{system}");
        let free = taken(&namespace("old", json!({})), &team);
        assert!(
            free.contains("kubectl label namespace old bailiwick.dev/team=a"),
            "{free}"
        );
    }
}
