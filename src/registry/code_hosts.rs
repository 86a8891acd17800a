//! Code hosts with an API like GitHub's: what the message of a commit says, and who has reviewed it. Only those that the
//! operator's configuration names are asked, only about the commit that an image was built from.

mod reviews;

use std::collections::BTreeMap;

use http::Method;
use http::header::HeaderValue;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::Result;
use super::error::{ErrorKind, RegistryError};
use super::oci::Settings;
use super::oci::transport::{Ask, Transport};
use crate::model::Secret;
use crate::model::SourceRepository;
pub use reviews::{Changes, HostReview, State};

/// How much of a message is kept.
const LONGEST: usize = 64 << 10;
/// How many pages of one list are read.
const PAGES: usize = 10;

/// A code host.
#[derive(Debug, Clone)]
pub struct CodeHost {
    /// Its name in the URLs of repositories, `github.com` for example.
    pub host: String,
    /// Where its API begins, `https://api.github.com` for example.
    pub api: Url,
    /// The token that it is asked with.
    pub token: Option<Secret>,
    /// How its reviews count as approvals; not at all if there is nothing here.
    pub reviews: Option<Reviewing>,
}

/// How the reviews on a code host count as approvals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reviewing {
    /// Who people are in the cluster, by their login in small letters.
    pub users: BTreeMap<String, String>,
    /// Who all others are: the name of a user with `{{login}}` for the login in small letters.
    pub user: Option<String>,
    /// Whether they count as well where nobody trusted has signed from which commit the image was built.
    pub unsigned: bool,
}

impl Reviewing {
    /// Who somebody is in the cluster, and whether they are known by name.
    pub fn user(&self, login: &str) -> (Option<String>, bool) {
        let login = login.to_ascii_lowercase();
        if let Some(user) = self.users.get(&login) {
            return (Some(user.clone()), true);
        }
        let user = self.user.as_ref();
        (user.map(|user| user.replace("{{login}}", &login)), false)
    }
}

/// A commit, as its code host knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its whole id.
    pub id: String,
    /// Its message.
    pub message: String,
    /// The id of its tree: all that is in it. The same id is the same content.
    pub tree: Option<String>,
    /// The login of its author, if the code host knows them.
    pub author: Option<String>,
    /// The login of whoever committed it.
    pub committer: Option<String>,
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

    /// The code host of this repository. `None`: it is not one of those that are asked.
    pub fn of(&self, repository: &SourceRepository) -> Option<&CodeHost> {
        self.hosts.get(repository.host())
    }

    /// What a code host says of a commit.
    ///
    /// # Errors
    /// If it cannot be asked, or does not answer.
    pub async fn commit(
        &self,
        host: &CodeHost,
        repository: &SourceRepository,
        revision: &str,
    ) -> Result<Commit> {
        let asked = Asked {
            host,
            repository,
            subject: format!("commit {revision} of {repository}"),
            transport: &self.transport,
        };
        if !is_commit(revision) {
            return Err(asked.invalid("it is no commit's id, so the code host is not asked"));
        }
        let url = asked.url(&["commits", revision])?;
        let (answer, _): (Answer, _) = asked.get(url).await?;
        if !answer.sha.starts_with(&revision.to_ascii_lowercase()) {
            return Err(asked.invalid("its code host answers with another commit"));
        }
        Ok(answer.into())
    }
}

impl From<Answer> for Commit {
    fn from(answer: Answer) -> Self {
        let login = |account: Option<Account>| account.and_then(|account| account.login);
        Self {
            id: answer.sha,
            message: answer.commit.message.chars().take(LONGEST).collect(),
            tree: answer.commit.tree.map(|tree| tree.sha),
            author: login(answer.author),
            committer: login(answer.committer),
        }
    }
}

/// Whether a code host can be asked for it: words like `main` mean another commit tomorrow.
pub fn is_commit(revision: &str) -> bool {
    (7..=64).contains(&revision.len()) && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[derive(Deserialize)]
struct Answer {
    sha: String,
    commit: Text,
    author: Option<Account>,
    committer: Option<Account>,
}

#[derive(Deserialize)]
struct Text {
    message: String,
    tree: Option<Named>,
}

/// A commit or a tree.
#[derive(Deserialize)]
struct Named {
    sha: String,
}

/// Somebody on the code host. Of accounts that are gone nothing is left.
#[derive(Deserialize)]
struct Account {
    login: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// What is asked about one repository.
struct Asked<'a> {
    host: &'a CodeHost,
    repository: &'a SourceRepository,
    subject: String,
    transport: &'a Transport,
}

impl Asked<'_> {
    fn invalid(&self, why: &str) -> RegistryError {
        RegistryError::new(ErrorKind::Invalid, &self.subject, why)
    }

    /// `<api>/repos/<owner>/<name>/…`.
    fn url(&self, path: &[&str]) -> Result<Url> {
        let mut url = self.host.api.clone();
        url.path_segments_mut()
            .map_err(|()| self.invalid("the URL of its code host's API takes no path"))?
            .pop_if_empty()
            .push("repos")
            .extend(self.repository.owner().split('/'))
            .push(self.repository.name())
            .extend(path);
        Ok(url)
    }

    /// A document, and where its next page is.
    async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<(T, Option<Url>)> {
        let mut authorization = None;
        if let Some(token) = &self.host.token {
            let value = format!("Bearer {}", token.reveal());
            let mut value = HeaderValue::from_str(&value)
                .map_err(|_| self.invalid("the token for its code host is no header's value"))?;
            value.set_sensitive(true);
            authorization = Some(value);
        }
        let ask = Ask {
            method: Method::GET,
            url,
            accept: "application/json",
            authorization,
            subject: &self.subject,
            limits: self.transport.settings().limits,
        };
        let read = async {
            let answer = self.transport.ask(ask).await?.success().await?;
            let next = answer.header("link").and_then(next);
            Ok((answer.document().await?, next))
        };
        // The words for errors are those of registries.
        let (document, next) = read.await.map_err(|mut error: RegistryError| {
            error.message = error.message.replace("the registry", "its code host");
            error
        })?;
        let document = serde_json::from_slice(&document)
            .map_err(|_| self.invalid("its code host does not answer as GitHub's API does"))?;
        let next = next.map(|text| self.host.api.join(&text)).transpose();
        let next = next.map_err(|_| self.invalid("its code host names no URL as the next page"))?;
        // The token is for that host alone.
        if next
            .as_ref()
            .is_some_and(|next| next.origin() != self.host.api.origin())
        {
            return Err(self.invalid("its code host names another host's page as the next one"));
        }
        Ok((document, next))
    }

    /// All pages of a list: half a list may lack the word that matters.
    async fn list<T: DeserializeOwned>(&self, mut url: Url) -> Result<Vec<T>> {
        url.query_pairs_mut().append_pair("per_page", "100");
        let mut all = Vec::new();
        for _ in 0..PAGES {
            let (page, next): (Vec<T>, _) = self.get(url).await?;
            all.extend(page);
            match next {
                Some(next) => url = next,
                None => return Ok(all),
            }
        }
        let why = format!("its code host has more than {PAGES} pages of it, which are not read");
        Err(self.invalid(&why))
    }
}

/// The next page in a `Link` header (RFC 8288).
fn next(header: &str) -> Option<String> {
    header.split(',').find_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let mut parameters = parameters.split(';').map(str::trim);
        let is_next = |parameter: &str| matches!(parameter, r#"rel="next""# | "rel=next");
        parameters.any(is_next).then(|| target.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(api: &str) -> CodeHost {
        CodeHost {
            host: "github.com".to_owned(),
            api: api.parse().unwrap(),
            token: None,
            reviews: None,
        }
    }

    #[test]
    fn commits_are_asked_for_below_the_api() {
        let repository = "https://github.com/acme/shop".parse().unwrap();
        let transport = Transport::new(Settings::default()).unwrap();
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
            let asked = Asked {
                host: &host(api),
                repository: &repository,
                subject: String::new(),
                transport: &transport,
            };
            let url = asked.url(&["commits", "abc1234"]).unwrap();
            assert_eq!(url.as_str(), wanted);
        }
    }

    #[test]
    fn the_next_page_is_found_among_the_links() {
        let github = r#"<https://api.github.com/x?page=1>; rel="prev", <https://api.github.com/x?page=3>; rel="next""#;
        assert_eq!(
            next(github).as_deref(),
            Some("https://api.github.com/x?page=3")
        );
        for none in [
            "",
            r#"<https://a/x>; rel="last""#,
            "https://a/x; rel=next",
            "<https://a/x",
        ] {
            assert_eq!(next(none), None, "{none}");
        }
    }

    #[test]
    fn logins_are_users_as_it_is_configured() {
        let reviewing = Reviewing {
            users: [("octocat".to_owned(), "ann@example.com".to_owned())].into(),
            user: Some("github:{{login}}".to_owned()),
            unsigned: false,
        };
        let named = (Some("ann@example.com".to_owned()), true);
        assert_eq!(reviewing.user("OctoCat"), named);
        let other = (Some("github:bob".to_owned()), false);
        assert_eq!(reviewing.user("Bob"), other);
        let none = Reviewing {
            user: None,
            ..reviewing
        };
        assert_eq!(none.user("bob"), (None, false));
    }

    #[tokio::test]
    async fn only_commits_of_hosts_that_are_named_are_asked_for() {
        let hosts = CodeHosts::new(vec![host("http://127.0.0.1:1")], Settings::default()).unwrap();
        let ours = "https://github.com/acme/shop".parse().unwrap();
        let other = "https://git.example.com/acme/shop".parse().unwrap();
        assert!(hosts.of(&other).is_none());
        let host = hosts.of(&ours).unwrap();
        for bad in ["main", "../../x", "abc", "abc1234/../x"] {
            let error = hosts.commit(host, &ours, bad).await.unwrap_err();
            assert!(error.to_string().contains("no commit's id"), "{error}");
        }
        // Plain HTTP is spoken only where that is configured.
        let error = hosts.commit(host, &ours, "abc1234").await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Denied, "{error}");
    }
}
