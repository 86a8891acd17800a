//! What credentials look like. What does not may not replace any.

use serde_json::Value;

use crate::model::Secret;

/// Both files of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// `client.json`.
    pub client: Secret,
    /// `user.json`, where there still is one.
    pub user: Option<Secret>,
}

/// Whether this is a `client.json`.
///
/// # Errors
/// What is wrong with it, and nothing of what is in it.
pub fn client(text: &str) -> Result<(), &'static str> {
    let Ok(Value::Object(fields)) = serde_json::from_str(text) else {
        return Err("it is no JSON object");
    };
    if !is_text(fields.get("client_id")) {
        return Err("client_id is no text, or empty");
    }
    match fields.get("client_secret") {
        None | Some(Value::Null) => Ok(()),
        secret if is_text(secret) => Ok(()),
        _ => Err("client_secret is neither null nor a text"),
    }
}

/// Whether this `client.json` says that no `user.json` belongs to its version. Those of before said nothing of that.
pub fn is_without_user(text: &str) -> bool {
    let said = serde_json::from_str(text).map(|client: Value| client["user_json"].as_bool());
    matches!(said, Ok(Some(false)))
}

/// Whether this is a `user.json`.
///
/// # Errors
/// As [`client`].
pub fn user(text: &str) -> Result<(), &'static str> {
    let Ok(Value::Object(fields)) = serde_json::from_str(text) else {
        return Err("it is no JSON object");
    };
    for (field, wrong) in [
        (
            "application_username",
            "application_username is no text, or empty",
        ),
        (
            "application_password",
            "application_password is no text, or empty",
        ),
    ] {
        if !is_text(fields.get(field)) {
            return Err(wrong);
        }
    }
    Ok(())
}

fn is_text(value: Option<&Value>) -> bool {
    matches!(value, Some(Value::String(text)) if !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_credentials_are_taken_for_credentials() {
        for good in [
            r#"{"client_id":"a","client_secret":"b"}"#,
            r#"{"client_id":"a","client_secret":null}"#,
            r#"{"client_id":"a","private_key":"-----","version":3}"#,
        ] {
            assert_eq!(client(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "[]",
            "null",
            "{}",
            "{\"client_id\":\"a\"",
            r#"{"client_id":1}"#,
            r#"{"client_id":""}"#,
            r#"{"client_id":"a","client_secret":""}"#,
            r#"{"client_id":"a","client_secret":[]}"#,
            r#"[{"client_id":"a","client_secret":"b"}]"#,
        ] {
            assert!(client(bad).is_err(), "{bad}");
        }
        assert_eq!(
            user(r#"{"application_username":"a","application_password":"b"}"#),
            Ok(())
        );
        for bad in ["[]", "{}", r#"{"application_username":"a"}"#] {
            assert!(user(bad).is_err(), "{bad}");
        }
    }
}
