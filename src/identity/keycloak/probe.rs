//! Whether a client of the realm can have two secrets for a while.
//!
//! That takes a feature of the server, a profile with the executor `secret-rotation`, and a policy whose conditions hold for
//! the client; what they are and how they are judged differs between versions and can be extended. So it is tried, with a
//! client of our own that nobody can use and that goes again at once. Where no profile has that executor there is nothing
//! to try, and nothing is written.

use std::sync::PoisonError;
use std::time::Duration;

use http::{Method as HttpMethod, StatusCode};
use serde_json::{Value, json};

use super::super::http::Payload;
use super::super::{ErrorKind, IdentityError, Inquiry, Result, keys};
use super::representation::text;
use super::{Keycloak, created, gone};

const EXECUTOR: &str = "secret-rotation";
const PREFIX: &str = "bailiwick-probe-";
/// The attribute that such a client bears: when it was made, in seconds of Unix.
const PROBE: &str = "bailiwick.dev/probe";
/// After so many seconds nobody is at it any more: a call takes no longer than a quarter of a minute, and clocks differ.
const LEFT: i64 = 300;

/// What was found out.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Overlap {
    /// A client can have two secrets for a while.
    pub(super) is_had: bool,
    /// How long the older one is taken, if the realm says.
    pub(super) lasts: Option<Duration>,
}

impl Overlap {
    /// What the status kept of it, which does not have how long.
    fn remembered(is_had: bool) -> Self {
        Self {
            is_had,
            lasts: None,
        }
    }
}

impl Keycloak {
    /// Whether the realm lets clients like ours have two secrets. Tried again only when its policies have changed.
    pub(super) async fn rotates(&self, operation: &'static str, how: Inquiry) -> Result<Overlap> {
        let Some(policies) = self.policies(operation).await? else {
            // We may not read them, and so never know that they are the same.
            return match how {
                Inquiry::Trying => self.try_out(operation).await,
                Inquiry::Reading { secrets_in_place } => Ok(Overlap::remembered(secrets_in_place)),
            };
        };
        if !policies.contains(EXECUTOR) {
            return Ok(Overlap::default());
        }
        let probed = self
            .probed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some((under, rotates)) = probed
            && under == policies
        {
            return Ok(rotates);
        }
        if let Inquiry::Reading { secrets_in_place } = how {
            return Ok(Overlap::remembered(secrets_in_place));
        }
        let rotates = self.try_out(operation).await?;
        *self.probed.lock().unwrap_or_else(PoisonError::into_inner) = Some((policies, rotates));
        Ok(rotates)
    }

    /// The profiles and policies as they are; `None` if we may not read them.
    async fn policies(&self, operation: &'static str) -> Result<Option<String>> {
        let mut all = String::new();
        for (what, query) in [
            ("profiles", &[("include-global-profiles", "true")][..]),
            ("policies", &[("include-global-policies", "true")][..]),
        ] {
            let path = ["client-policies", what];
            let reply = self.admin.get(operation, &path, query).await?;
            if reply.status == StatusCode::FORBIDDEN {
                return Ok(None);
            }
            let document: Value = reply.success()?.json()?;
            all.push_str(&document.to_string());
        }
        Ok(Some(all))
    }

    async fn try_out(&self, operation: &'static str) -> Result<Overlap> {
        self.clear(operation).await?;
        let unique = keys::nonce().ok_or_else(|| {
            let message = "the system gives no randomness";
            IdentityError::new(ErrorKind::Unavailable, operation, message)
        })?;
        let client = json!({
            "clientId": format!("{PREFIX}{unique}"),
            "name": "bailiwick tries whether secrets can overlap; it goes by itself",
            "protocol": "openid-connect",
            "enabled": false,
            "publicClient": false,
            "clientAuthenticatorType": "client-secret",
            "standardFlowEnabled": false,
            "serviceAccountsEnabled": true,
            "attributes": {PROBE: self.now().to_string()},
        });
        let post = self.admin.ask(operation, HttpMethod::POST, &["clients"]);
        let reply = self.admin.send(post.with(Payload::json(&client))).await?;
        let uuid = created(&reply.success()?)?;
        let found = self.overlaps(operation, &uuid).await;
        let removed = self.remove(operation, &uuid).await;
        let found = found?;
        removed?;
        Ok(found)
    }

    async fn overlaps(&self, operation: &'static str, uuid: &str) -> Result<Overlap> {
        let first = self.secret(operation, uuid).await?;
        let second = self.renew(operation, uuid).await?;
        let rotated = self.rotated(operation, uuid).await?;
        if first == second || rotated != Some(first) {
            return Ok(Overlap::default());
        }
        let path = ["clients", uuid];
        let client: Value = self
            .admin
            .get(operation, &path, &[])
            .await?
            .success()?
            .json()?;
        Ok(Overlap {
            is_had: true,
            lasts: lasts(&client),
        })
    }

    fn now(&self) -> i64 {
        (self.admin.issuer.clock)().as_second()
    }

    /// Removes what an earlier try left that was killed; not what another operator, or another provider of this realm, is at.
    async fn clear(&self, operation: &'static str) -> Result<()> {
        let query = [("clientId", PREFIX), ("search", "true")];
        let reply = self.admin.get(operation, &["clients"], &query).await?;
        let clients: Vec<Value> = reply.success()?.json()?;
        let left = clients.iter().filter(|client| {
            let id = client["clientId"].as_str().unwrap_or_default();
            let mark = client["attributes"][PROBE].as_str();
            let since = |mark: &str| mark.parse().unwrap_or(i64::MIN);
            id.starts_with(PREFIX)
                && mark.is_some_and(|mark| self.now().saturating_sub(since(mark)) > LEFT)
        });
        for client in left {
            self.remove(operation, text(operation, &client["id"])?)
                .await?;
        }
        Ok(())
    }

    async fn remove(&self, operation: &'static str, uuid: &str) -> Result<()> {
        let delete = self
            .admin
            .ask(operation, HttpMethod::DELETE, &["clients", uuid]);
        gone(self.admin.send(delete).await?)
    }
}

/// How long the older secret of a client lives beside the newer one. Both times are the server's, so that it does not matter
/// what time it is here.
fn lasts(client: &Value) -> Option<Duration> {
    let time = |name: &str| -> Option<u64> {
        let value = &client["attributes"][name];
        value.as_str()?.parse().ok()
    };
    let ends = time("client.secret.rotated.expiration.time")?;
    let since = time("client.secret.creation.time")?;
    Some(Duration::from_secs(ends.saturating_sub(since)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_the_older_secret_lives_is_what_the_server_says() {
        let client = json!({"attributes": {
            "client.secret.creation.time": "1767225600", "client.secret.rotated.expiration.time": "1767226200",
        }});
        assert_eq!(lasts(&client), Some(Duration::from_secs(600)));
        assert_eq!(lasts(&json!({"attributes": {}})), None);
    }
}
