//! Applications that have no credentials: the server takes the tokens that the cluster gives to the pods of a ServiceAccount.
//!
//! There is nothing to choose, to keep or to replace. The operator has no such token and must not be able to get one, or it
//! could be anybody in a team's namespace; so what was registered is read back where else a token would be asked for.

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::validate::{Desired, SOON};
use super::vault::{Entry, Kept};
use super::work::{Stop, Work};
use super::{OAuthClients, reasons};
use crate::api::{OAuthClient, OAuthProvider};
use crate::engine::Outcome;
use crate::identity::{Method, Registration, TokenAnswer};
use crate::plan::revision::revision;
use crate::plan::rotation::{Auth, Known};

/// Where applications are asked to mount the token: `client.json` says so.
const TOKEN_FILE: &str = "/var/run/secrets/bailiwick.dev/serviceaccount/token";

/// What of a workload's identity is demanded.
pub(super) struct Demand {
    pub(super) service_account: Option<String>,
    pub(super) audience: String,
    identity_provider: Option<String>,
}

/// What of a workload's identity is demanded.
pub(super) fn demand(object: &OAuthClient, provider: &OAuthProvider, method: Method) -> Demand {
    let keycloak = provider.spec.keycloak.as_ref();
    let how = keycloak.and_then(|keycloak| keycloak.workload_identity.as_ref());
    let is_meant = method == Method::WorkloadIdentity;
    let own = how.and_then(|how| how.audience.clone());
    Demand {
        service_account: object.spec.service_account.clone().filter(|_| is_meant),
        audience: own.unwrap_or_else(|| provider.spec.issuer.clone()),
        identity_provider: how
            .filter(|_| is_meant)
            .map(|how| how.identity_provider.clone()),
    }
}

/// The revision of what is registered, with who vouches for the workload. Others have none, and keep the one they have.
pub(super) fn revision_of(demand: &Demand, of_others: String) -> String {
    match &demand.identity_provider {
        Some(alias) => revision(&format!("{of_others} {alias}")),
        None => of_others,
    }
}

/// Whether the object names whose identity counts.
pub(super) fn is_named(object: &OAuthClient) -> bool {
    object.spec.service_account.is_some()
}

/// Nothing else is chosen instead: that would be credentials, for somebody who wants none.
pub(super) fn not_offered(provider: &OAuthProvider) -> Outcome {
    let message = format!(
        "spec.serviceAccount: OAuthProvider {} does not take the identity of workloads (status.authMethods of the provider): \
         the platform team names an identity provider of the realm in spec.keycloak.workloadIdentity, which must be there \
         and enabled, or remove spec.serviceAccount",
        provider.name_any()
    );
    Outcome::blocked(reasons::METHOD_NOT_SUPPORTED, message)
}

/// Puts in what need not be kept, since it follows from the status.
pub(super) fn recall(known: &Known, kept: &mut Kept) {
    let open = known
        .versions
        .iter()
        .filter(|version| version.auth == Auth::Workload);
    for version in open {
        if let Some(client_id) = version.client_id.clone() {
            let registration = Registration {
                client_id,
                secret: None,
                secret_id: None,
                secret_expires: None,
                management: None,
            };
            let entry = Entry::open(Some(registration));
            kept.entries.insert(version.number, entry);
        }
    }
}

/// What `client.json` says besides: whose token, for whom, and where it is expected.
pub(super) fn describe(client: &mut Value, subject: &str, audience: &str) {
    client["subject"] = json!(subject);
    client["audience"] = json!(audience);
    client["token_file"] = json!(TOKEN_FILE);
}

impl OAuthClients {
    /// Whoever has the ServiceAccount keeps it; of two that want it the older one is given it.
    pub(super) fn rival(
        &self,
        object: &OAuthClient,
        known: &Known,
        desired: &Desired,
    ) -> Option<Outcome> {
        let name = desired.wanted.service_account.as_ref()?;
        let versions = known.versions.iter();
        if versions
            .clone()
            .any(|it| it.service_account.as_ref() == Some(name))
        {
            return None;
        }
        let namespace = object.namespace();
        let age = |client: &OAuthClient| (client.creation_timestamp(), client.uid());
        let has = |client: &OAuthClient| {
            let status = client.status.as_ref()?;
            let mut versions = status.versions.iter();
            versions
                .any(|it| it.service_account.as_ref() == Some(name))
                .then_some(())
        };
        let wants = |client: &OAuthClient| {
            let same = client.spec.service_account.as_ref() == Some(name);
            (same && age(client) < age(object)).then_some(())
        };
        // Two providers may lead to one server.
        let issuer = |provider: &String| {
            let found = self.caches.providers.get(None, provider);
            found.map(|found| found.spec.issuer.trim_end_matches('/').to_owned())
        };
        let own = issuer(&object.spec.provider);
        let is_same = |provider: &String| {
            *provider == object.spec.provider || (own.is_some() && issuer(provider) == own)
        };
        let rivals = self.caches.clients.each(|client: &OAuthClient| {
            let near = client.namespace() == namespace
                && is_same(&client.spec.provider)
                && client.uid() != object.uid();
            let has = has(client).is_some();
            let rival = near && (has || wants(client).is_some());
            rival.then(|| (!has, age(client), client.name_any()))
        });
        // Of several always the same one, and rather who has it than who wants it.
        let (.., rival) = rivals.iter().min()?;
        let message = format!(
            "spec.serviceAccount: OAuthClient {rival} has ServiceAccount {name:?}, and the server takes its tokens for one \
             client alone: name another one, or have that client deleted"
        );
        let reason = reasons::SERVICE_ACCOUNT_TAKEN;
        Some(Outcome::waiting(reason, message, SOON))
    }

    /// What keeps a workload from being known although everything is registered.
    pub(super) async fn without_workload(
        &self,
        object: &OAuthClient,
        provider: &OAuthProvider,
        desired: &Desired,
    ) -> Option<Outcome> {
        let name = desired.wanted.service_account.as_ref()?;
        let server = self.directory.of(provider);
        let offers = |method: &Method| *method == Method::WorkloadIdentity;
        if server.is_some_and(|server| !server.description.methods.iter().any(offers)) {
            return Some(not_offered(provider));
        }
        let namespace = object.namespace().unwrap_or_default();
        let api: Api<ServiceAccount> = Api::namespaced(self.vault.client.clone(), &namespace);
        match api.get_metadata_opt(name).await {
            Ok(Some(_)) => None,
            Ok(None) => {
                let message = format!(
                    "spec.serviceAccount: there is no ServiceAccount {name:?} in namespace {namespace}: make it, or correct \
                     the name; the client is registered meanwhile"
                );
                let reason = reasons::SERVICE_ACCOUNT_NOT_FOUND;
                Some(Outcome::waiting(reason, message, SOON))
            }
            // It is only for people to know.
            Err(error) => {
                tracing::info!(%error, namespace, name, "the ServiceAccount could not be looked for");
                None
            }
        }
    }
}

impl Work<'_> {
    /// Whose tokens the server takes for that version.
    pub(super) fn subject(&self, number: i64) -> Option<String> {
        let name = self.known.version(number)?.service_account.as_ref()?;
        let namespace = self.object.namespace().unwrap_or_default();
        Some(format!("system:serviceaccount:{namespace}:{name}"))
    }

    /// Reads back what is registered for that version.
    pub(super) async fn confirm(
        &self,
        number: i64,
        subject: &str,
    ) -> Result<Option<TokenAnswer>, Stop> {
        let Some(registration) = self.kept.registration(number) else {
            return Ok(None);
        };
        let server = self.server()?;
        Ok(Some(server.port.confirm(registration, subject).await?))
    }

    /// Somebody has changed the client at the server. It is changed back, and not replaced: two clients for one subject are
    /// none.
    pub(super) async fn put_right(&mut self, number: i64, why: &str) -> Result<(), Stop> {
        let (server, desired) = (self.server()?, self.desired()?);
        let Some(registration) = self.kept.registration(number).cloned() else {
            return Ok(());
        };
        let metadata = self.metadata(number, &desired.metadata);
        // What is to be changed in any case, or replaced, is not this one's.
        if metadata.method != Method::WorkloadIdentity {
            return Ok(());
        }
        self.record.may_write()?;
        server.port.update(&registration, &metadata).await?;
        let message = format!("somebody has changed {why}; it was changed back");
        self.record.warn(reasons::UPDATED, message);
        Ok(())
    }
}
