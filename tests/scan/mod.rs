//! Whether a secret is in a text, in whatever form it is written.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};

/// The ways in which a secret could be written.
pub fn forms(secret: &str) -> Vec<String> {
    let percent = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let numbers: Vec<_> = secret.bytes().map(|byte| byte.to_string()).collect();
    let json = serde_json::to_string(secret).unwrap();
    vec![
        secret.to_owned(),
        percent,
        json.trim_matches('"').to_owned(),
        BASE64_STANDARD.encode(secret),
        BASE64_URL_SAFE.encode(secret),
        // As it looks when bytes are printed.
        numbers.join(", "),
    ]
}

/// Fails if one of the secrets is in the text.
#[track_caller]
pub fn clean(place: &str, text: &str, secrets: &BTreeMap<String, String>) {
    for (what, secret) in secrets {
        assert!(secret.len() >= 12, "{what} is too short to be recognised");
        for form in forms(secret) {
            if let Some(at) = text.find(&form) {
                let line = text[..at].lines().count().max(1) - 1;
                let line = text.lines().nth(line).unwrap_or_default();
                let start: String = line.chars().take(300).collect();
                panic!("{what} is in {place}: {start} …");
            }
        }
    }
    // Whatever AWS gave us for a member account.
    for word in ["<SecretAccessKey>", "<SessionToken>"] {
        assert!(!text.contains(word), "{word} is in {place}");
    }
}
