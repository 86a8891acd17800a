//! Applications' credentials, by the real binary at a real authorization server: registered, delivered to every kind of place,
//! rotated, revoked.

use std::collections::BTreeMap;

use bailiwick::dev::oauth::{INITIAL_ACCESS_TOKEN, OidcProvider, oidc_provider};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::READY;
use super::wire::Wire;
use super::world::World;

const SCOPE: &str = "ledger.read";
const VERSION: &str = ".status.version";

/// Whoever signs names the issuer in what is signed, so that the way by the wire, which goes by another name, is for secrets.
fn declared(wire: &str, server: &str) -> String {
    format!(
        r#"
{{apiVersion: v1, kind: Secret, metadata: {{name: login, namespace: default}}, stringData: {{
  initial-access-token: {INITIAL_ACCESS_TOKEN}}}}}
---
{{apiVersion: bailiwick.dev/v1alpha1, kind: OAuthProvider, metadata: {{name: company}}, spec: {{
  issuer: "{wire}", dynamicRegistration: {{initialAccessToken: {{name: login, key: initial-access-token}}}}}}}}
---
{{apiVersion: bailiwick.dev/v1alpha1, kind: OAuthProvider, metadata: {{name: direct}}, spec: {{
  issuer: "{server}", dynamicRegistration: {{initialAccessToken: {{name: login, key: initial-access-token}}}}}}}}
---
{{apiVersion: bailiwick.dev/v1alpha1, kind: ResourceType, metadata: {{name: ledger}}, spec: {{
  application: ledger, namespace: team-payments, scopes: [
  {{name: read, summary: Read the ledger., class: Application, grantedTo: [ledger]}}]}}}}
---
{{apiVersion: bailiwick.dev/v1alpha1, kind: OAuthClient, metadata: {{name: secret, namespace: team-payments}}, spec: {{
  application: ledger, provider: company, scopes: [{SCOPE}], authMethod: client_secret_basic, delivery: [
  {{name: cluster, secret: {{name: by-secret}}}}, {{name: bucket, s3: {{account: live}}}},
  {{name: store, secretsManager: {{account: live, region: eu-central-1}}}}]}}}}
---
{{apiVersion: bailiwick.dev/v1alpha1, kind: OAuthClient, metadata: {{name: key, namespace: team-payments}}, spec: {{
  application: ledger, provider: direct, scopes: [{SCOPE}], authMethod: private_key_jwt, delivery: [
  {{name: cluster, secret: {{name: by-key}}}}]}}}}
"#
    )
}

/// Lets it all happen in this world; every secret that there was, by what it is.
pub async fn live(world: &World) -> BTreeMap<String, String> {
    let program = oidc_provider(std::path::Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    let folder = world.plane.folder().join("oauth");
    let server = OidcProvider::start_in(&program, &[SCOPE], folder);
    let server = server.await.unwrap();
    let wire = Wire::to(&server);
    world.apply(&declared(&wire.issuer, server.issuer())).await;
    let mut secrets = BTreeMap::new();
    for (client, version) in [("secret", "1"), ("key", "1")] {
        world.until("oauthclient", client, VERSION, version).await;
        world.until("oauthclient", client, READY, "True").await;
    }
    kept(world, &mut secrets).await;
    for (what, version) in [("renew", "2"), ("revoke", "3")] {
        let annotation = format!("bailiwick.dev/{what}-requested-at=now");
        for client in ["secret", "key"] {
            let ask = ["annotate", "-n", "team-payments", "oauthclient", client];
            let ask = [&ask[..], &[&annotation]].concat();
            world.kubectl(&ask).await.unwrap();
        }
        for client in ["secret", "key"] {
            world.until("oauthclient", client, VERSION, version).await;
        }
        kept(world, &mut secrets).await;
    }
    secrets.insert(
        "the initial access token".into(),
        INITIAL_ACCESS_TOKEN.into(),
    );
    given(&wire, &mut secrets);
    secrets
}

/// What goes over the wire is secret whether it is kept or not.
fn given(wire: &Wire, secrets: &mut BTreeMap<String, String>) {
    assert!(wire.sent(&format!("Bearer {INITIAL_ACCESS_TOKEN}")));
    for (member, least) in [
        ("client_secret", 3),
        ("registration_access_token", 3),
        ("access_token", 3),
    ] {
        let given = wire.given(member);
        assert!(given.len() >= least, "{member}: {}", given.len());
        for (number, value) in given.into_iter().enumerate() {
            // A token that is signed is worth something by its signature alone.
            if let Some((_, signature)) = value.rsplit_once('.') {
                let what = format!("the signature of {member} {number}");
                secrets.insert(what, signature.to_owned());
            }
            secrets.insert(format!("{member} {number}"), value);
        }
    }
    // One of those that were revoked.
    let managed = wire.given("registration_access_token");
    let used = |token: &String| wire.sent(&format!("Bearer {token}"));
    assert!(managed.iter().any(used), "no client was removed");
}

/// What is in the operator's own Secrets.
async fn kept(world: &World, secrets: &mut BTreeMap<String, String>) {
    let all = ["get", "secrets", "-n", "default", "-o", "json"];
    let all: Value = serde_json::from_str(&world.kubectl(&all).await.unwrap()).unwrap();
    let (mut found, before) = (0, secrets.len());
    for vault in all["items"].as_array().unwrap() {
        let name = vault["metadata"]["name"].as_str().unwrap();
        if !name.starts_with("bailiwick-oauth-") {
            continue;
        }
        for (version, entry) in vault["data"].as_object().unwrap() {
            let bytes = BASE64_STANDARD.decode(entry.as_str().unwrap()).unwrap();
            let Ok(entry) = serde_json::from_slice::<Value>(&bytes) else {
                continue;
            };
            for member in ["chosen", "keyPem", "secret", "managementToken"] {
                let text = entry[member].as_str().unwrap_or_default();
                let lines = text.lines().filter(|line| !line.starts_with("-----"));
                for (number, line) in lines.filter(|line| line.len() >= 12).enumerate() {
                    found += 1;
                    let what = format!("{member} of {name} {version}, line {number}");
                    secrets.insert(what, line.to_owned());
                }
            }
        }
    }
    assert!(found >= 6 && secrets.len() > before, "{found} of {before}");
}
