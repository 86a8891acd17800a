//! Who has reviewed a commit: the pull requests that it is in, and their reviews.

use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;

use super::{Account, Answer, Asked, CodeHost, CodeHosts, Commit, Named};
use crate::model::SourceRepository;
use crate::registry::Result;

/// How many pull requests that a commit is in are looked at.
const PULLS: usize = 20;
/// How many commits of a pull request GitHub lists at most.
const COMMITS: usize = 250;
/// What those are to a repository who work on it, as GitHub says.
const INSIDERS: [&str; 3] = ["OWNER", "MEMBER", "COLLABORATOR"];

/// The pull requests that a commit is in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The logins of those who opened them; and of those who made the commits of those whose reviews may count.
    pub proposers: Vec<String>,
    /// Whether one of those commits is of somebody whom the code host does not know, or there are more than it lists.
    pub unknown_makers: bool,
    /// The commits at which they were merged into this one, where that has changed nothing: it holds the same content.
    pub same: Vec<String>,
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
    merge_commit_sha: Option<String>,
    head: Option<Named>,
}

impl Pull {
    /// The commit at which it was merged or squashed into this one, which is another one.
    fn merged_at(&self, commit: &Commit) -> Option<&str> {
        let into = self.merge_commit_sha.as_deref()?;
        let head = self.head.as_ref()?.sha.as_str();
        (into == commit.id && head != commit.id).then_some(head)
    }
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
        commit: &Commit,
    ) -> Result<Changes> {
        let asked = Asked {
            host,
            repository,
            subject: format!("the reviews of commit {} of {repository}", commit.id),
            transport: &self.transport,
        };
        let pulls = asked.url(&["commits", &commit.id, "pulls"])?;
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
            let reviews: Vec<HostReview> = reviews.into_iter().filter_map(read).collect();
            let is_of = |id: &str| {
                let mut reviews = reviews.iter();
                reviews.any(|review| review.commit.eq_ignore_ascii_case(id))
            };
            let merged = pull.merged_at(commit).filter(|head| is_of(head));
            // Nobody has reviewed it: then nobody needs to be kept from it.
            if merged.is_some() || is_of(&commit.id) {
                let made = made(&asked, &number).await?;
                let (makers, of_itself) = (makers(&made), is_of(&commit.id));
                changes.unknown_makers |= of_itself && makers.is_none();
                let same = merged.filter(|head| is_same(&made, head, commit));
                if let Some(makers) = makers.filter(|_| of_itself || same.is_some()) {
                    changes.same.extend(same.map(str::to_owned));
                    changes.proposers.extend(makers);
                }
            }
            changes.reviews.extend(reviews);
            changes
                .proposers
                .extend(pull.user.and_then(|user| user.login));
        }
        Ok(changes)
    }
}

/// The commits of a pull request.
async fn made(asked: &Asked<'_>, number: &str) -> Result<Vec<Commit>> {
    let url = asked.url(&["pulls", number, "commits"])?;
    let commits: Vec<Answer> = asked.list(url).await?;
    Ok(commits.into_iter().map(Commit::from).collect())
}

/// Who made these commits of a pull request. `None`: nobody can say it of all of them.
fn makers(commits: &[Commit]) -> Option<Vec<String>> {
    if commits.len() >= COMMITS {
        return None;
    }
    let makers = commits.iter().flat_map(|one| [&one.author, &one.committer]);
    makers.cloned().collect()
}

/// Whether the last of these commits, `head`, holds just what `commit` does: whoever has reviewed the one has seen the
/// other.
fn is_same(commits: &[Commit], head: &str, commit: &Commit) -> bool {
    let last = commits.iter().find(|one| one.id == head);
    last.is_some_and(|last| last.tree.is_some() && last.tree == commit.tree)
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
