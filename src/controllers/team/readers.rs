//! Act: let the members read what concerns them outside of their namespace: their own team, and the classes.
//!
//! RBAC can say "this one team" only in a role of its own. It belongs to the team object and goes with it, by the cluster's
//! garbage collection.

use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, RoleRef};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};

use super::act::{FIELD_MANAGER, held, subjects};
use super::{Teams, reasons};
use crate::api::{AccountClass, LABEL_TEAM, Team};
use crate::engine::record::Record;
use crate::engine::{Failure, Outcome};

/// What the names of these roles and bindings begin with; the admission policies let the operator write no others. No
/// team's name has a colon in it, so none can be that of a role of the chart.
pub const READER_PREFIX: &str = "bailiwick:team:";

/// The role that reads this team and the classes.
pub fn role(team: &Team) -> ClusterRole {
    let rule = |resource: String, names: Option<Vec<String>>| PolicyRule {
        api_groups: Some(vec![Team::group(&()).into_owned()]),
        resources: Some(vec![resource]),
        resource_names: names,
        // `kubectl wait` lists and watches the one that it is told of.
        verbs: ["get", "list", "watch"].map(str::to_owned).into(),
        ..PolicyRule::default()
    };
    ClusterRole {
        metadata: metadata(team),
        rules: Some(vec![
            rule(Team::plural(&()).into_owned(), Some(vec![team.name_any()])),
            rule(AccountClass::plural(&()).into_owned(), None),
        ]),
        ..ClusterRole::default()
    }
}

/// Who has it: the members.
pub fn binding(team: &Team) -> ClusterRoleBinding {
    ClusterRoleBinding {
        metadata: metadata(team),
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".to_owned(),
            kind: "ClusterRole".to_owned(),
            name: name(team),
        },
        subjects: Some(subjects(team)),
    }
}

fn name(team: &Team) -> String {
    format!("{READER_PREFIX}{}", team.name_any())
}

fn metadata(team: &Team) -> ObjectMeta {
    ObjectMeta {
        name: Some(name(team)),
        labels: Some([(LABEL_TEAM.to_owned(), team.name_any())].into()),
        owner_references: team.owner_ref(&()).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

/// Whether what was found has our label, and goes with this very team.
fn is_ours(found: &ObjectMeta, wanted: &ObjectMeta) -> bool {
    let label = |metadata: &ObjectMeta| metadata.labels.as_ref()?.get(LABEL_TEAM).cloned();
    let owners = |metadata: &ObjectMeta| -> Vec<OwnerReference> {
        metadata.owner_references.clone().unwrap_or_default()
    };
    label(found) == label(wanted) && owners(found) == owners(wanted)
}

/// A binding has the name that gives other rights. Its role cannot be changed, so it is not what we made; and to delete
/// bindings of the whole cluster is no right of the operator's.
fn taken(name: &str, role: &RoleRef) -> Outcome {
    let message = format!(
        "ClusterRoleBinding {name} exists and binds {} {}, which is not the team's: a cluster administrator removes it \
         (kubectl delete clusterrolebinding {name}), and the right one is made",
        role.kind, role.name
    );
    Outcome::blocked(reasons::BINDING_TAKEN, message)
}

impl Teams {
    /// Lets the members read, if they may not yet. `Some`: it may not be done now.
    pub(super) async fn ensure_readers(
        &self,
        team: &Team,
        record: &mut Record<Team>,
    ) -> Result<Option<Outcome>, Failure> {
        let name = name(team);
        let (role, binding) = (role(team), binding(team));
        let roles: Api<ClusterRole> = Api::all(self.client.clone());
        let bindings: Api<ClusterRoleBinding> = Api::all(self.client.clone());
        let has_role = roles.get_opt(&name).await?.is_some_and(|found| {
            found.rules == role.rules && is_ours(&found.metadata, &role.metadata)
        });
        let found = bindings.get_opt(&name).await?;
        if let Some(found) = &found
            && found.role_ref != binding.role_ref
        {
            return Ok(Some(taken(&name, &found.role_ref)));
        }
        let has_binding = found.is_some_and(|found| {
            found.subjects.unwrap_or_default() == subjects(team)
                && is_ours(&found.metadata, &binding.metadata)
        });
        if has_role && has_binding {
            return Ok(None);
        }
        if team.spec.suspend {
            return Ok(Some(held("the members may not read their team yet")));
        }
        let params = PatchParams::apply(FIELD_MANAGER).force();
        if !has_role {
            record.may_write_in_cluster()?;
            roles.patch(&name, &params, &Patch::Apply(&role)).await?;
        }
        if !has_binding {
            record.may_write_in_cluster()?;
            bindings
                .patch(&name, &params, &Patch::Apply(&binding))
                .await?;
        }
        Ok(None)
    }
}
