//! A client as Cognito writes it: its name, by which it is found and known as ours, what it may, and the spelling of scopes.
//! Pure.

use super::super::{ClientMetadata, ErrorKind, IdentityError, Method, Result};
use crate::cloud::user_pools::{OAuthFlow, PoolClientSettings};

/// What the name of each of our clients begins with. A client has no tags, and its name is all that a list shows.
const OURS: &str = "bailiwick.dev ";
/// Cognito API Reference, CreateUserPoolClient, `ClientName`: 128 of `[\w\s+=,.@-]+`.
const LONGEST: usize = 128;
/// A client for people may always ask who they are; Cognito wants a scope of each client.
const OPENID: &str = "openid";

/// What of a name is ours alone: whose it is and which version.
fn mark(handle: &str, uid: &str) -> String {
    match handle.contains(uid) {
        true => format!("{OURS}{handle}"),
        false => format!("{OURS}{handle} {uid}"),
    }
}

/// The name of a client: our mark, and behind it, as far as there is room, what people know it by.
pub(super) fn name(
    operation: &'static str,
    handle: &str,
    uid: &str,
    known_as: &str,
) -> Result<String> {
    let mark = mark(handle, uid);
    if mark.len() > LONGEST || !mark.chars().all(is_allowed) {
        let message = format!(
            "{mark:?} cannot be the name of an app client: AWS takes {LONGEST} letters, digits, spaces and _+=,.@-"
        );
        return Err(IdentityError::new(ErrorKind::Refused, operation, message));
    }
    let readable = known_as.split(|c| !is_allowed(c) || c == ' ');
    let mut name = mark;
    for word in readable.filter(|word| !word.is_empty()) {
        if name.len() + 1 + word.len() > LONGEST {
            break;
        }
        name.push(' ');
        name.push_str(word);
    }
    Ok(name)
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_ +=,.@-".contains(c)
}

/// Whether a client of that name is the one with this handle, of this owner.
pub(super) fn is_the_one(name: &str, handle: &str, uid: &str) -> bool {
    let rest = name.strip_prefix(&mark(handle, uid));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

/// Whether a client of that name is any of ours.
pub(super) fn is_ours(name: &str) -> bool {
    name.starts_with(OURS)
}

/// A scope as Cognito spells it: that of a resource type is one of the resource server of the same name.
pub(super) fn scope(scope: &str) -> String {
    match scope.rsplit_once('.') {
        Some((server, name)) if !scope.contains('/') => format!("{server}/{name}"),
        _ => scope.to_owned(),
    }
}

/// What a client may, or why Cognito has no such clients.
pub(super) fn settings(
    operation: &'static str,
    metadata: &ClientMetadata,
) -> Result<PoolClientSettings> {
    let ClientMetadata {
        // Given once.
        name: _,
        grant_types,
        redirect_uris,
        scopes,
        method,
        // It asks nobody.
        consent: _,
        // It takes no signatures, and nobody else's tokens.
        keys: _,
        subject: _,
    } = metadata;
    let refused = |message: String| Err(IdentityError::new(ErrorKind::Refused, operation, message));
    if matches!(*method, Method::PrivateKeyJwt | Method::WorkloadIdentity) {
        return refused("app clients of Cognito have secrets, and no keys".to_owned());
    }
    let known = ["authorization_code", "client_credentials", "refresh_token"];
    if let Some(other) = grant_types.iter().find(|it| !known.contains(&it.as_str())) {
        return refused(format!(
            "the grant type {other} cannot be given to an app client of Cognito"
        ));
    }
    let has = |grant: &str| grant_types.iter().any(|has| has == grant);
    let mut scopes: Vec<String> = scopes.iter().map(|it| scope(it)).collect();
    let flow = match (has("authorization_code"), has("client_credentials")) {
        (true, true) => {
            return refused(
                "an app client of Cognito has authorization_code or client_credentials, and never both: make two \
                 OAuthClients"
                    .to_owned(),
            );
        }
        (true, false) => {
            scopes.push(OPENID.to_owned());
            OAuthFlow::Code
        }
        (false, true) if *method == Method::Public => {
            return refused(
                "Cognito gives client_credentials to no client without a secret".to_owned(),
            );
        }
        (false, true) if scopes.is_empty() => {
            return refused(
                "Cognito gives client_credentials to no client without a scope: name one in spec.scopes".to_owned(),
            );
        }
        (false, true) => OAuthFlow::ClientCredentials,
        (false, false) => {
            return refused(
                "an app client of Cognito needs the grant type authorization_code or client_credentials".to_owned(),
            );
        }
    };
    scopes.sort();
    scopes.dedup();
    Ok(PoolClientSettings {
        flows: vec![flow],
        scopes,
        callbacks: redirect_uris.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "6f0c1c5e-8a4e-4f2b-9a55-0d6b1f1c2a3b";

    fn named(handle: &str, uid: &str, known_as: &str) -> String {
        name("register", handle, uid, known_as).unwrap()
    }

    #[test]
    fn a_name_says_whose_it_is_in_letters_that_aws_takes() {
        let handle = format!("api-{UID}-12");
        let full = named(&handle, UID, "api (team-payments/api)");
        assert_eq!(
            full,
            format!("bailiwick.dev {handle} api team-payments api")
        );
        assert!(is_ours(&full) && is_the_one(&full, &handle, UID));
        // Neither the version before, nor another's.
        assert!(!is_the_one(&full, &format!("api-{UID}-1"), UID));
        assert!(!is_the_one(&full, &format!("api-{UID}-123"), UID));
        assert!(!is_the_one(&full, &handle, "other"));
        assert!(!is_ours("api") && !is_ours("my bailiwick.dev api"));
        // A handle that does not say whose it is.
        let other = named("h", "u", "");
        assert_eq!(other, "bailiwick.dev h u");
        assert!(is_the_one(&other, "h", "u") && !is_the_one(&other, "h", "v"));
    }

    #[test]
    fn a_name_has_room_for_its_mark_whatever_else() {
        let handle = format!("{}-{UID}-1000000", "a".repeat(40));
        let full = named(&handle, UID, &format!("x ({}/y)", "n".repeat(200)));
        assert!(
            full.len() <= 128 && is_the_one(&full, &handle, UID),
            "{full}"
        );
        for handle in ["a".repeat(200), "sch\u{f6}n".to_owned(), "a/b".to_owned()] {
            let error = name("register", &handle, UID, "").unwrap_err();
            assert_eq!(error.kind, ErrorKind::Refused, "{error}");
        }
    }

    #[test]
    fn a_scope_is_one_of_a_resource_server() {
        for (ours, theirs) in [
            ("sales-order.read", "sales-order/read"),
            ("sales-order/read", "sales-order/read"),
            (
                "https://api.example.com/read",
                "https://api.example.com/read",
            ),
            ("openid", "openid"),
        ] {
            assert_eq!(scope(ours), theirs);
        }
    }

    fn metadata(method: Method, grants: &[&str], scopes: &[&str]) -> ClientMetadata {
        let texts = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect();
        ClientMetadata {
            consent: Default::default(),
            name: "shop/api".to_owned(),
            grant_types: texts(grants),
            redirect_uris: Vec::new(),
            scopes: texts(scopes),
            method,
            keys: Vec::new(),
            subject: None,
        }
    }

    #[test]
    fn a_client_may_what_it_was_given() {
        let own = metadata(
            Method::SecretBasic,
            &["client_credentials"],
            &["b.write", "a.read"],
        );
        let own = settings("register", &own).unwrap();
        assert_eq!(own.flows, [OAuthFlow::ClientCredentials]);
        assert_eq!(own.scopes, ["a/read", "b/write"]);
        let people = ["authorization_code", "refresh_token"];
        let people = settings("register", &metadata(Method::Public, &people, &[])).unwrap();
        assert_eq!(people.flows, [OAuthFlow::Code]);
        assert_eq!(people.scopes, ["openid"]);
    }

    #[test]
    fn what_cognito_has_not_is_refused_before_it_is_asked() {
        let scopes = ["a.read"];
        for (method, grants, scopes) in [
            (
                Method::PrivateKeyJwt,
                &["client_credentials"][..],
                &scopes[..],
            ),
            (Method::SecretBasic, &["password"], &scopes),
            (
                Method::SecretBasic,
                &["authorization_code", "client_credentials"],
                &scopes,
            ),
            (Method::Public, &["client_credentials"], &scopes),
            (Method::SecretBasic, &["client_credentials"], &[]),
            (Method::SecretBasic, &["refresh_token"], &scopes),
        ] {
            let error = settings("register", &metadata(method, grants, scopes)).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Refused, "{error}");
        }
    }
}
