//! Who has reviewed a commit: the pull requests that it is in, and their reviews.

use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;

use super::{Account, Asked, CodeHost, CodeHosts};
use crate::model::SourceRepository;
use crate::registry::Result;

/// How many pull requests that a commit is in are looked at.
const PULLS: usize = 20;
/// What those are to a repository who work on it, as GitHub says.
const INSIDERS: [&str; 3] = ["OWNER", "MEMBER", "COLLABORATOR"];

/// The pull requests that a commit is in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The logins of those who opened them.
    pub proposers: Vec<String>,
    /// Their reviews, in the code host's order.
    pub reviews: Vec<HostReview>,
}

/// What a review says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It approves.
    Approved,
    /// It asks for changes.
    ChangesRequested,
    /// It was dismissed.
    Dismissed,
}

/// A review that decides something; comments are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostReview {
    /// Where people find it.
    pub url: String,
    /// The reviewer's login.
    pub login: String,
    /// Whether it is a person's account.
    pub is_person: bool,
    /// Whether the reviewer is one of those who work on the repository.
    pub is_insider: bool,
    /// What it says.
    pub state: State,
    /// The commit that was looked at.
    pub commit: String,
    /// When, in seconds, and its number.
    pub at: (i64, u64),
}

#[derive(Deserialize)]
struct Pull {
    number: u64,
    user: Option<Account>,
}

#[derive(Deserialize)]
struct Written {
    id: u64,
    user: Option<Account>,
    state: String,
    commit_id: Option<String>,
    submitted_at: Option<Timestamp>,
    html_url: String,
    author_association: Option<String>,
}

impl CodeHosts {
    /// The pull requests of a commit with their reviews, all of them or none.
    ///
    /// # Errors
    /// If one of the answers is missing.
    pub async fn changes(
        &self,
        host: &CodeHost,
        repository: &SourceRepository,
        commit: &str,
    ) -> Result<Changes> {
        let asked = Asked {
            host,
            repository,
            subject: format!("the reviews of commit {commit} of {repository}"),
            transport: &self.transport,
        };
        let pulls = asked.url(&["commits", commit, "pulls"])?;
        let pulls: Vec<Pull> = asked.list(pulls).await?;
        if pulls.len() > PULLS {
            let why = format!("it is in more than {PULLS} pull requests, which are not looked at");
            return Err(asked.invalid(&why));
        }
        let mut changes = Changes::default();
        for pull in pulls {
            let number = pull.number.to_string();
            let reviews = asked.url(&["pulls", &number, "reviews"])?;
            let reviews: Vec<Written> = asked.list(reviews).await?;
            changes.reviews.extend(reviews.into_iter().filter_map(read));
            changes
                .proposers
                .extend(pull.user.and_then(|user| user.login));
        }
        Ok(changes)
    }
}

/// A review, if it decides something and somebody is there whose it is.
fn read(written: Written) -> Option<HostReview> {
    let state = match written.state.to_ascii_uppercase().as_str() {
        "APPROVED" => State::Approved,
        "CHANGES_REQUESTED" => State::ChangesRequested,
        "DISMISSED" => State::Dismissed,
        _ => return None,
    };
    let user = written.user?;
    let association = written.author_association.unwrap_or_default();
    Some(HostReview {
        url: written.html_url,
        login: user.login?,
        is_person: user.kind.is_some_and(|kind| kind == "User"),
        is_insider: INSIDERS.contains(&association.as_str()),
        state,
        commit: written.commit_id.unwrap_or_default(),
        at: (written.submitted_at?.as_second(), written.id),
    })
}
