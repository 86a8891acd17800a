//! What a server says of itself: RFC 8414, else OpenID Connect Discovery.

use http::Method as HttpMethod;
use serde::Deserialize;
use url::Url;

use super::http::{Ask, Http, Reply};
use super::{ErrorKind, IdentityError, Method, Result};

const OPERATION: &str = "discover";

/// What RFC 8414 section 2 has, as far as it is needed. A member that is left out is not known, which is not the same as an
/// empty list.
#[derive(Debug, Clone, Deserialize)]
struct Document {
    issuer: String,
    token_endpoint: Option<String>,
    registration_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    token_endpoint_auth_signing_alg_values_supported: Option<Vec<String>>,
    grant_types_supported: Option<Vec<String>>,
    scopes_supported: Option<Vec<String>>,
}

/// The same, checked.
#[derive(Debug, Clone)]
pub(super) struct Metadata {
    /// The issuer as the server spells it: what assertions are addressed to.
    pub(super) issuer: String,
    pub(super) token_endpoint: Url,
    pub(super) registration_endpoint: Option<Url>,
    /// The ways to authenticate that we can make credentials for, preferred first.
    pub(super) methods: Vec<Method>,
    pub(super) grant_types: Vec<String>,
    /// The scopes that it names; it need not name all (RFC 8414 section 2).
    pub(super) scopes: Vec<String>,
}

/// Reads the metadata of the issuer.
pub(super) async fn discover(http: &Http, issuer: &Url) -> Result<Metadata> {
    let first = http.send(ask(&oauth(issuer))).await?;
    // A server without RFC 8414 may say so by any refusal, or by a page for people. One that is overloaded has said
    // nothing.
    let passing = !first.status.is_success() && first.refusal().kind.is_transient();
    if passing {
        return Err(first.refusal());
    }
    let document = match read(first) {
        Ok(document) => document,
        Err(_) => read(http.send(ask(&openid(issuer))).await?)?,
    };
    checked(http, issuer, document)
}

/// Reads the metadata of the issuer from where it is kept for it: by OpenID Connect Discovery alone, below `at`.
pub(super) async fn discover_at(http: &Http, at: &Url, issuer: &Url) -> Result<Metadata> {
    let document = read(http.send(ask(&openid(at))).await?)?;
    checked(http, issuer, document)
}

fn ask(url: &Url) -> Ask<'_> {
    Ask::new(OPERATION, HttpMethod::GET, url)
}

fn read(reply: Reply) -> Result<Document> {
    reply.success()?.json()
}

/// RFC 8414 section 3: between the host and the path.
fn oauth(issuer: &Url) -> Url {
    let mut url = issuer.clone();
    let path = issuer.path().trim_end_matches('/');
    url.set_path(&format!("/.well-known/oauth-authorization-server{path}"));
    url
}

/// OpenID Connect Discovery section 4: behind the path.
fn openid(issuer: &Url) -> Url {
    let mut url = issuer.clone();
    let path = issuer.path().trim_end_matches('/');
    url.set_path(&format!("{path}/.well-known/openid-configuration"));
    url
}

fn checked(http: &Http, issuer: &Url, document: Document) -> Result<Metadata> {
    let invalid = |message: String| IdentityError::new(ErrorKind::Invalid, OPERATION, message);
    let Document {
        issuer: named,
        token_endpoint,
        registration_endpoint,
        token_endpoint_auth_methods_supported: methods,
        token_endpoint_auth_signing_alg_values_supported: algorithms,
        grant_types_supported: grant_types,
        scopes_supported: scopes,
    } = document;
    // Compared as URLs, which spell an empty path in one way only; nothing else is forgiven.
    if Url::parse(&named).ok().as_ref() != Some(issuer) {
        let named: String = named
            .chars()
            .filter(|c| !c.is_control())
            .take(200)
            .collect();
        return Err(invalid(format!(
            "the metadata is of another issuer, {named}: spec.issuer must be spelled as the server spells it"
        )));
    }
    let endpoint = |text: String, what: &str| -> Result<Url> {
        let url = text
            .parse()
            .map_err(|_| invalid(format!("the metadata names a {what} that is no URL")))?;
        http.may_go(&url, OPERATION, what)?;
        Ok(url)
    };
    let token_endpoint =
        token_endpoint.ok_or_else(|| invalid("the metadata names no token_endpoint".to_owned()))?;
    let token_endpoint = endpoint(token_endpoint, "token_endpoint")?;
    let registration_endpoint = registration_endpoint
        .map(|text| endpoint(text, "registration_endpoint"))
        .transpose()?;
    Ok(Metadata {
        issuer: named,
        token_endpoint,
        registration_endpoint,
        methods: methods_of(methods, algorithms.unwrap_or_default()),
        scopes: scopes.unwrap_or_default(),
        grant_types: grant_types.unwrap_or_else(|| {
            ["authorization_code", "implicit"]
                .map(str::to_owned)
                .to_vec()
        }),
    })
}

/// Of the ways that the server has those that we can make credentials for. RFC 8414: `client_secret_basic` if it says
/// nothing; and what signatures it takes it must say, so that a server which does not name ours takes none of ours.
fn methods_of(named: Option<Vec<String>>, algorithms: Vec<String>) -> Vec<Method> {
    let named = named.unwrap_or_else(|| vec![Method::SecretBasic.name().to_owned()]);
    let has = |method: &Method| named.iter().any(|name| name == method.name());
    let signs = algorithms.iter().any(|name| name == "ES256");
    Method::ALL
        .into_iter()
        .filter(has)
        .filter(|method| *method != Method::PrivateKeyJwt || signs)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_well_known_paths_are_those_of_the_standards() {
        for (issuer, first, second) in [
            (
                "https://id.example.com",
                "https://id.example.com/.well-known/oauth-authorization-server",
                "https://id.example.com/.well-known/openid-configuration",
            ),
            (
                "https://id.example.com/realms/shop",
                "https://id.example.com/.well-known/oauth-authorization-server/realms/shop",
                "https://id.example.com/realms/shop/.well-known/openid-configuration",
            ),
            (
                "https://id.example.com:8443/a/",
                "https://id.example.com:8443/.well-known/oauth-authorization-server/a",
                "https://id.example.com:8443/a/.well-known/openid-configuration",
            ),
        ] {
            let issuer = issuer.parse().unwrap();
            assert_eq!(oauth(&issuer).as_str(), first);
            assert_eq!(openid(&issuer).as_str(), second);
        }
    }

    #[test]
    fn methods_are_those_that_both_have() {
        let list = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        let all = list(&[
            "none",
            "client_secret_post",
            "private_key_jwt",
            "tls_client_auth",
        ]);
        assert_eq!(
            methods_of(Some(all.clone()), list(&["RS256", "ES256"])),
            [Method::PrivateKeyJwt, Method::SecretPost, Method::Public]
        );
        assert_eq!(
            methods_of(Some(all), list(&["RS256"])),
            [Method::SecretPost, Method::Public]
        );
        assert_eq!(methods_of(None, Vec::new()), [Method::SecretBasic]);
        assert_eq!(methods_of(Some(Vec::new()), Vec::new()), []);
    }
}
