//! Logins and trust out of files, as the chart mounts them from a Secret and a ConfigMap of the operator's namespace.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::attestation::{Identity, Trust, TrustEntry};
use super::code_hosts::{CodeHost, Reviewing};
use super::error::{ErrorKind, RegistryError};
use super::oci::{Login, Logins};
use crate::model::{ImageName, Secret};

/// Logins from a file in Docker's format (`config.json`, the content of a Secret of type
/// `kubernetes.io/dockerconfigjson`). Read whenever a registry wants one, so that a changed Secret is enough.
#[derive(Debug, Clone)]
pub struct FileLogins(PathBuf);

impl FileLogins {
    /// Logins from this file.
    ///
    /// # Errors
    /// If it cannot be read now, or is not in that format.
    pub fn new(path: &Path) -> Result<Self, String> {
        let logins = Self(path.to_owned());
        logins.read()?;
        Ok(logins)
    }

    fn read(&self) -> Result<BTreeMap<String, Login>, String> {
        logins(&text(&self.0)?).map_err(|error| format!("{}: {error}", self.0.display()))
    }
}

#[async_trait]
impl Logins for FileLogins {
    async fn login(&self, name: &ImageName) -> super::Result<Option<Login>> {
        // A file of a few kilobytes, mounted into memory.
        let mut logins = self
            .read()
            .map_err(|error| RegistryError::new(ErrorKind::Unavailable, name, error))?;
        Ok(logins.remove(name.registry()))
    }
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    registrytoken: Option<String>,
}

/// The logins of a file in Docker's format, by registry. What is wrong with an entry is said without what is in it.
///
/// # Errors
/// If it is not in that format.
pub fn logins(text: &str) -> Result<BTreeMap<String, Login>, String> {
    // Where it cannot be read, and not what stands there: it has passwords in it.
    let config: Config = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("it is no Docker configuration: line {line}, column {column}")
    })?;
    let mut logins = BTreeMap::new();
    for (server, entry) in config.auths {
        let login = login(entry).ok_or_else(|| {
            format!("the entry {server:?} has neither auth (base64 of user:password) nor username and password")
        })?;
        logins.insert(host(&server), login);
    }
    Ok(logins)
}

fn login(entry: Entry) -> Option<Login> {
    if let Some(token) = entry.registrytoken.filter(|token| !token.is_empty()) {
        return Some(Login::Token(Secret::new(token)));
    }
    let (user, password) = match (entry.username, entry.password, entry.auth) {
        (Some(user), Some(password), _) => (user, password),
        (_, _, Some(auth)) => {
            let text = String::from_utf8(STANDARD.decode(auth.trim()).ok()?).ok()?;
            let (user, password) = text.split_once(':')?;
            (user.to_owned(), password.to_owned())
        }
        _ => return None,
    };
    let password = Secret::new(password);
    Some(Login::Password { user, password })
}

/// Old files name a registry by the URL of its first version.
fn host(server: &str) -> String {
    let rest = server
        .trim_start_matches("https://")
        .trim_start_matches("http://");
    let host = rest.split('/').next().unwrap_or_default();
    match host {
        "index.docker.io" => "docker.io".to_owned(),
        host => host.to_ascii_lowercase(),
    }
}

/// Certificate authorities, in PEM.
///
/// # Errors
/// If the file cannot be read, or holds none: whoever names it means one.
pub fn authorities(path: &Path) -> Result<String, String> {
    let authorities = text(path)?;
    match authorities.contains("-----BEGIN CERTIFICATE-----") {
        true => Ok(authorities),
        false => Err(format!(
            "{}: it holds no certificate in PEM, which begins with -----BEGIN CERTIFICATE-----",
            path.display()
        )),
    }
}

/// One entry of the trust configuration, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Written {
    name: String,
    key: Option<String>,
    issuer: Option<String>,
    subject: Option<String>,
    roots: Option<String>,
    log: Option<String>,
    timestamps: Option<String>,
    certificate_log: Option<String>,
}

/// Whose signatures count, from a YAML list of `{name, key}` and `{name, issuer, subject, roots, log, timestamps,
/// certificateLog}`; keys and certificates are PEM.
///
/// # Errors
/// If it cannot be read, or one entry cannot be used.
pub fn trust(path: &Path) -> Result<Trust, String> {
    trusted(&text(path)?).map_err(|error| format!("{}: {error}", path.display()))
}

fn trusted(text: &str) -> Result<Trust, String> {
    let written: Vec<Written> = serde_saphyr::from_str(text)
        .map_err(|error| format!("it is no list of keys and identities: {error}"))?;
    let entries: Result<Vec<TrustEntry>, String> = written.into_iter().map(entry).collect();
    Trust::new(&entries?).map_err(|error| error.to_string())
}

fn entry(written: Written) -> Result<TrustEntry, String> {
    let Written {
        name,
        key,
        issuer,
        subject,
        roots,
        log,
        timestamps,
        certificate_log,
    } = written;
    let of_identity =
        roots.is_some() || log.is_some() || timestamps.is_some() || certificate_log.is_some();
    match (key, issuer, subject, roots) {
        (Some(pem), None, None, None) if !of_identity => Ok(TrustEntry::Key { name, pem }),
        (None, Some(issuer), Some(subject), Some(roots)) => Ok(TrustEntry::Identity {
            name,
            identity: Identity {
                issuer,
                subject,
                roots,
                log,
                timestamps,
                certificate_log,
            },
        }),
        _ => Err(format!(
            "the entry {name:?} must have a key; or issuer, subject, roots, and log or timestamps"
        )),
    }
}

/// One code host, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenHost {
    host: String,
    api: String,
    token: Option<String>,
    reviews: Option<WrittenReviewing>,
}

/// How its reviews count, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenReviewing {
    #[serde(default)]
    users: BTreeMap<String, String>,
    user: Option<String>,
    #[serde(default)]
    unsigned: bool,
}

/// The code hosts that are asked for commits, from a YAML list of `{host, api, token, reviews}`.
///
/// # Errors
/// If it cannot be read. What stands in it is not said: it has tokens in it.
pub fn code_hosts(path: &Path) -> Result<Vec<CodeHost>, String> {
    hosts(&text(path)?).map_err(|error| format!("{}: {error}", path.display()))
}

fn hosts(text: &str) -> Result<Vec<CodeHost>, String> {
    let written: Vec<WrittenHost> = serde_saphyr::from_str(text).map_err(|_| {
        "it is no list of code hosts, each with host, api (a URL) and perhaps token and reviews (users, user, unsigned)"
            .to_owned()
    })?;
    let hosts = written.into_iter().map(|written| {
        let api = written.api.parse();
        let reviews = written.reviews.map(|it| reviewing(&written.host, it));
        Ok(CodeHost {
            reviews: reviews.transpose()?,
            api: api.map_err(|_| format!("the api of {:?} is no URL", written.host))?,
            host: written.host.to_ascii_lowercase(),
            token: written.token.map(|token| Secret::new(token.trim())),
        })
    });
    hosts.collect()
}

fn reviewing(host: &str, written: WrittenReviewing) -> Result<Reviewing, String> {
    let WrittenReviewing {
        users,
        user,
        unsigned,
    } = written;
    if user
        .as_ref()
        .is_some_and(|user| !user.contains("{{login}}"))
    {
        return Err(format!(
            "reviews.user of {host:?} has no {{{{login}}}} in it: all reviewers would be one user"
        ));
    }
    if user.is_none() && users.is_empty() {
        return Err(format!(
            "reviews of {host:?} must say who people are in the cluster: by users (a user for each login), or by user, a \
             name with {{{{login}}}} in it"
        ));
    }
    let users = users.into_iter();
    Ok(Reviewing {
        users: users
            .map(|(login, user)| (login.to_ascii_lowercase(), user))
            .collect(),
        user,
        unsigned,
    })
}

fn text(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path)
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_read_in_all_forms_and_by_host() {
        let text = r#"{"auths": {
            "registry.example.com": {"auth": "cm9ib3Q6czplY3JldA=="},
            "https://Other.example.com:5000/v1/": {"username": "u", "password": "p"},
            "https://index.docker.io/v1/": {"registrytoken": "t"}
        }}"#;
        let logins = logins(text).unwrap();
        let password = |user: &str, password: &str| Login::Password {
            user: user.to_owned(),
            password: Secret::new(password),
        };
        assert_eq!(logins["registry.example.com"], password("robot", "s:ecret"));
        assert_eq!(logins["other.example.com:5000"], password("u", "p"));
        assert_eq!(logins["docker.io"], Login::Token(Secret::new("t")));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret() {
        for text in [
            r#"{"auths": {"r": {"auth": "hunter2"}}}"#,
            r#"{"auths": {"r": {"username": "hunter2"}}}"#,
            r#"{"auths": "hunter2"}"#,
            "hunter2",
        ] {
            let error = logins(text).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert!(logins("{}").unwrap().is_empty());
    }

    #[test]
    fn code_hosts_are_read_without_telling_their_tokens() {
        let hosts =
            super::hosts("- {host: GitHub.com, api: 'https://api.github.com', token: hunter2}")
                .unwrap();
        assert_eq!(
            (hosts[0].host.as_str(), hosts[0].api.as_str()),
            ("github.com", "https://api.github.com/")
        );
        assert!(!format!("{hosts:?}").contains("hunter2"));
        // Reviews count for nothing unless somebody says so, and then for signed commits alone.
        assert_eq!(hosts[0].reviews, None);
        let counted = "- {host: a, api: 'https://b', reviews: {users: {OctoCat: ann}}}";
        let reviews = super::hosts(counted).unwrap().remove(0).reviews.unwrap();
        assert!(!reviews.unsigned);
        assert_eq!(reviews.user("octocat"), (Some("ann".to_owned()), true));
        for bad in [
            "- {host: a, token: hunter2}",
            "- {host: a, api: hunter2}",
            "hunter2",
            "- {host: a, api: 'https://b', tokens: hunter2}",
            "- {host: a, api: 'https://b', token: hunter2, reviews: {}}",
            "- {host: a, api: 'https://b', token: hunter2, reviews: {user: ann}}",
            "- {host: a, api: 'https://b', token: hunter2, reviews: {signed: false}}",
        ] {
            let error = super::hosts(bad).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_trust_that_cannot_be_used_is_refused_as_a_whole() {
        for (text, words) in [
            ("- {name: ci}", "must have a key"),
            ("- {name: ci, key: none}", "PEM"),
            (
                "- {name: ci, issuer: i, subject: s}",
                "must have a key; or issuer",
            ),
            ("- {name: ci, key: k, log: l}", "must have a key; or issuer"),
            (
                "- {name: ci, issuer: i, subject: s, roots: r}",
                "needs log or timestamps",
            ),
            (
                "- {name: ci, issuer: i, subject: s, roots: r, log: l}",
                "roots holds no certificate",
            ),
            ("- {name: ci, keys: []}", "no list of keys"),
            ("name: ci", "no list of keys"),
        ] {
            let error = trusted(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
        assert!(trusted("[]").unwrap().is_empty());
    }
}
