//! Credentials are shown to no other server than the one at which they are registered: a provider that is made anew under the
//! same name can be another company's.

use kube::ResourceExt;

use super::reasons;
use super::work::Work;
use crate::api::{OAuthClientStatus, OAuthProvider};
use crate::engine::Outcome;

/// Whether what there is was registered at another issuer than the provider's, as far as the status says.
pub(super) fn refusal(status: &OAuthClientStatus, provider: &OAuthProvider) -> Option<Outcome> {
    let at = status.issuer.as_ref()?;
    if status.versions.is_empty() || *at == provider.spec.issuer {
        return None;
    }
    Some(blocked(at, provider))
}

fn blocked(at: &str, provider: &OAuthProvider) -> Outcome {
    let name = provider.name_any();
    let message = format!(
        "the credentials are registered at {at}, and OAuthProvider {name} is {} now: nothing is sent there, and nothing replaced \
         or removed. The platform team declares OAuthProvider {name} with the issuer {at} again; or delete this OAuthClient with \
         spec.deletionPolicy Retain, declare it anew, and have its clients removed at {at} by hand",
        provider.spec.issuer
    );
    Outcome::blocked(reasons::PROVIDER_CHANGED, message)
}

impl Work<'_> {
    /// The same, as far as is kept, which alone decides: asked before anything is sent. What is kept from before there were
    /// issuers is taken to be this one's, and is so from then on.
    pub(super) fn elsewhere(&mut self, provider: &OAuthProvider) -> Option<Outcome> {
        let issuer = &provider.spec.issuer;
        let mut other = None;
        for entry in self.kept.entries.values_mut() {
            let at = entry.issuer.get_or_insert_with(|| issuer.clone());
            if at != issuer {
                other = Some(at.clone());
            }
        }
        let status = &mut self.record.status;
        if other.is_some() {
            status.issuer.clone_from(&other);
        } else if !self.known.versions.is_empty() {
            status.issuer.get_or_insert_with(|| issuer.clone());
        }
        other.map(|at| blocked(&at, provider))
    }
}
