//! Validate: what the object demands of those whose it is, of its provider and of the owners of scopes, without a call.

use std::collections::BTreeSet;

use kube::ResourceExt;

use super::scopes::{self, Holder, Judged, Name};
use super::validate::{self, Desired, Given, SOON};
use super::{OAuthClients, known, reasons, report, user};
use crate::api::{ANNOTATION_REVOKE, OAuthClient, OAuthProvider};
use crate::engine::Outcome;
use crate::engine::conditions::Truth;
use crate::engine::record::Record;
use crate::plan::rotation::Known;

impl OAuthClients {
    /// What the object demands; and what is in the way of calling it ready even so.
    pub(super) fn demands(
        &self,
        object: &OAuthClient,
        record: &mut Record<OAuthClient>,
        provider: &OAuthProvider,
    ) -> Result<(Desired, Option<Outcome>), Outcome> {
        let known = known::read(&record.status);
        let is_new = known.versions.is_empty();
        let holder = Holder::of(object, &self.caches);
        let mut obstacle = self.homeless(object, holder.name);
        if let Some(outcome) = obstacle.take_if(|_| is_new) {
            return Err(outcome);
        }
        let held: BTreeSet<String> = record.status.scopes.iter().cloned().collect();
        let of = |name: &str| self.caches.resource_types.get(None, name);
        let judged = scopes::judge(&object.spec.scopes, &held, &holder, of);
        let (desired, closed) = match self.parsed(object, provider, &known, &judged) {
            Ok(parsed) => parsed,
            Err(outcome) => {
                // What is taken back, and what is revoked, does not wait for whoever is to correct the spec.
                let revoke = object.annotations().get(ANNOTATION_REVOKE);
                let is_urgent = !judged.withdrawn.is_empty()
                    || (revoke.is_some() && revoke != known.revoked.as_ref());
                let current = known.current().filter(|_| is_urgent);
                let Some(current) = current else {
                    return Err(outcome);
                };
                let tame = validate::as_in_use(object, current);
                let parsed = self.parsed(&tame, provider, &known, &judged);
                let (desired, _) = parsed.map_err(|_| outcome.clone())?;
                report::refused(record, &outcome);
                return Ok((desired, Some(outcome)));
            }
        };
        obstacle = obstacle.or(closed);
        let accepted = "the spec can be carried out";
        record.set("Accepted", Truth::True, reasons::ACCEPTED, accepted);
        if let Some((reason, _)) = judged.refused.first() {
            let told: Vec<_> = judged.refused.iter().map(|it| it.1.as_str()).collect();
            let message = told.join("; ");
            record.set("ScopesGranted", Truth::False, reason, &message);
            let outcome = Outcome::blocked(reason, message);
            if is_new {
                return Err(outcome);
            }
            obstacle = obstacle.or(Some(outcome));
        } else {
            let (message, reason) = (
                "every scope exists and may be held",
                reasons::SCOPES_GRANTED,
            );
            record.set("ScopesGranted", Truth::True, reason, message);
        }
        Ok((desired, obstacle))
    }

    /// The spec as what shall be, and what of it goes on although it may not be asked for any more.
    fn parsed(
        &self,
        object: &OAuthClient,
        provider: &OAuthProvider,
        known: &Known,
        judged: &Judged,
    ) -> Result<(Desired, Option<Outcome>), Outcome> {
        let server = self.directory.of(provider);
        let description = server.as_ref().map(|server| &server.description);
        let closed = user::refusal(object, provider, description);
        if let Some(outcome) = &closed
            // What is in use goes on: it would break, and nobody be the safer for it.
            && !known.versions.iter().any(|version| version.user)
        {
            return Err(outcome.clone());
        }
        let given = Given {
            provider,
            description,
            scopes: judged.granted.clone(),
            consent: judged.consent.clone(),
            withdrawn: judged.withdrawn.clone(),
            in_use: known.current().map(|current| current.auth),
        };
        let desired = validate::desired(object, given)?;
        match self.rival(object, known, &desired) {
            Some(outcome) => Err(outcome),
            None => Ok((desired, closed)),
        }
    }

    /// Every client is an application's of a team. That either is not there takes nothing away.
    fn homeless(&self, object: &OAuthClient, holds: Name) -> Option<Outcome> {
        let namespace = object.namespace().unwrap_or_default();
        if self.caches.team_of(&namespace).is_none() {
            let message = format!(
                "namespace {namespace} belongs to no Team: create the Team first, or use its namespace"
            );
            return Some(Outcome::blocked(reasons::TEAM_NOT_FOUND, message));
        }
        let name = &object.spec.application;
        let reason = reasons::APPLICATION_NOT_FOUND;
        if !self.caches.applications.exists(Some(&namespace), name) {
            let message = format!(
                "spec.application: there is no Application {name:?} in namespace {namespace}; nothing is removed for that: \
                 declare it, or delete this OAuthClient"
            );
            return Some(Outcome::waiting(reason, message, SOON));
        }
        if holds != Name::Ours {
            let message = format!(
                "spec.application: the name {name} is not this namespace's: the conditions of Application {name} say why; \
                 nothing is removed for that"
            );
            return Some(Outcome::waiting(reason, message, SOON));
        }
        None
    }
}
