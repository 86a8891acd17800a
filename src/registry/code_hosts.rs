//! Code hosts with an API like GitHub's: what the message of a commit says. Only those that the operator's configuration
//! names are asked, only about the commit that an image was built from.

use std::collections::BTreeMap;

use http::Method;
use http::header::HeaderValue;
use serde::Deserialize;
use url::Url;

use super::Result;
use super::error::{ErrorKind, RegistryError};
use super::oci::Settings;
use super::oci::transport::{Ask, Transport};
use crate::model::Secret;
use crate::model::SourceRepository;

/// How much of a message is kept.
const LONGEST: usize = 64 << 10;

/// A code host.
#[derive(Debug, Clone)]
pub struct CodeHost {
    /// Its name in the URLs of repositories, `github.com` for example.
    pub host: String,
    /// Where its API begins, `https://api.github.com` for example.
    pub api: Url,
    /// The token that it is asked with.
    pub token: Option<Secret>,
}

/// The code hosts that are asked.
pub struct CodeHosts {
    hosts: BTreeMap<String, CodeHost>,
    transport: Transport,
}

impl CodeHosts {
    /// These code hosts, reached as these settings say.
    ///
    /// # Errors
    /// If the settings cannot be used.
    pub fn new(hosts: Vec<CodeHost>, settings: Settings) -> Result<Self> {
        let hosts = hosts.into_iter();
        Ok(Self {
            hosts: hosts.map(|host| (host.host.clone(), host)).collect(),
            transport: Transport::new(settings)?,
        })
    }

    /// The message of a commit. `None`: its host is not one of those that are asked.
    pub async fn message(
        &self,
        repository: &SourceRepository,
        revision: &str,
    ) -> Option<Result<String>> {
        let host = self.hosts.get(repository.host())?;
        Some(self.ask(host, repository, revision).await)
    }

    async fn ask(
        &self,
        host: &CodeHost,
        repository: &SourceRepository,
        revision: &str,
    ) -> Result<String> {
        let subject = format!("commit {revision} of {repository}");
        let invalid = |why: &str| RegistryError::new(ErrorKind::Invalid, &subject, why);
        let is_commit = (7..=64).contains(&revision.len())
            && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_commit {
            return Err(invalid(
                "it is no commit's id, so the code host is not asked",
            ));
        }
        let mut authorization = None;
        if let Some(token) = &host.token {
            let value = format!("Bearer {}", token.reveal());
            let mut value = HeaderValue::from_str(&value)
                .map_err(|_| invalid("the token for its code host is no header's value"))?;
            value.set_sensitive(true);
            authorization = Some(value);
        }
        let ask = Ask {
            method: Method::GET,
            url: commit(&host.api, repository, revision)
                .ok_or_else(|| invalid("the URL of its code host's API takes no path"))?,
            accept: "application/json",
            authorization,
            subject: &subject,
            limits: self.transport.settings().limits,
        };
        let answer = self.transport.ask(ask).await?.success().await?;
        let answer: Answer = serde_json::from_slice(&answer.document().await?)
            .map_err(|_| invalid("its code host does not answer as GitHub's API does"))?;
        Ok(answer.commit.message.chars().take(LONGEST).collect())
    }
}

#[derive(Deserialize)]
struct Answer {
    commit: Commit,
}

#[derive(Deserialize)]
struct Commit {
    message: String,
}

/// `<api>/repos/<owner>/<name>/commits/<revision>`.
fn commit(api: &Url, repository: &SourceRepository, revision: &str) -> Option<Url> {
    let mut url = api.clone();
    url.path_segments_mut()
        .ok()?
        .pop_if_empty()
        .push("repos")
        .extend(repository.owner().split('/'))
        .push(repository.name())
        .extend(["commits", revision]);
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_asked_for_below_the_api() {
        let repository = "https://github.com/acme/shop".parse().unwrap();
        for (api, wanted) in [
            (
                "https://api.github.com",
                "https://api.github.com/repos/acme/shop/commits/abc1234",
            ),
            (
                "https://git.example.com/api/v3/",
                "https://git.example.com/api/v3/repos/acme/shop/commits/abc1234",
            ),
        ] {
            let url = commit(&api.parse().unwrap(), &repository, "abc1234").unwrap();
            assert_eq!(url.as_str(), wanted);
        }
    }

    #[tokio::test]
    async fn only_commits_of_hosts_that_are_named_are_asked_for() {
        let host = CodeHost {
            host: "github.com".to_owned(),
            api: "http://127.0.0.1:1".parse().unwrap(),
            token: None,
        };
        let hosts = CodeHosts::new(vec![host], Settings::default()).unwrap();
        let ours = "https://github.com/acme/shop".parse().unwrap();
        let other = "https://git.example.com/acme/shop".parse().unwrap();
        assert!(hosts.message(&other, "abc1234").await.is_none());
        for bad in ["main", "../../x", "abc", "abc1234/../x"] {
            let error = hosts.message(&ours, bad).await.unwrap().unwrap_err();
            assert!(error.to_string().contains("no commit's id"), "{error}");
        }
        // Plain HTTP is spoken only where that is configured.
        let error = hosts.message(&ours, "abc1234").await.unwrap().unwrap_err();
        assert_eq!(error.kind, ErrorKind::Denied, "{error}");
    }
}
