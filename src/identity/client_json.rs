//! Reading what is delivered to an application: `client.json`.

use serde_json::Value;

use super::{Credential, Method, SigningKey};
use crate::model::Secret;

/// The client's id, and how it authenticates. `None` if this is no `client.json` of ours.
pub fn credential(content: &str) -> Option<(String, Credential)> {
    let client: Value = serde_json::from_str(content).ok()?;
    let text = |field: &str| client[field].as_str().map(str::to_owned);
    let secret = |method| {
        Some(Credential::Secret(
            method,
            Secret::new(text("client_secret")?),
        ))
    };
    let credential = match client["token_endpoint_auth_method"].as_str()? {
        "private_key_jwt" => Credential::Key(SigningKey {
            id: text("key_id")?,
            pem: Secret::new(text("private_key")?),
        }),
        "client_secret_basic" => secret(Method::SecretBasic)?,
        "client_secret_post" => secret(Method::SecretPost)?,
        "none" => Credential::Public,
        _ => return None,
    };
    Some((text("client_id")?, credential))
}
