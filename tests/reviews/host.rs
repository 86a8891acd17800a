//! A code host with an API like GitHub's, as far as it is asked, on loopback.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bailiwick::controllers::release::gather::RegistryOrigins;
use bailiwick::controllers::release::origins::Origins;
use bailiwick::model::Secret;
use bailiwick::registry::attestation::Trust;
use bailiwick::registry::code_hosts::{CodeHost, CodeHosts, Reviewing};
use bailiwick::registry::oci::{Limits, Login, Registries, Settings};
use serde_json::{Value, json};

use super::server::{Reply, Request, Server};

/// The commit that images are built from.
pub const COMMIT: &str = "0123abc0123abc0123abc0123abc0123abc01234";
/// What is in it.
pub const TREE: &str = "7eee000";

/// What the code host does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Answers,
    Broken,
    Limits,
    Denies,
    Silent,
    Rubbish,
    /// It answers everything but the last page of reviews.
    LosesPages,
}

struct State {
    mood: Mood,
    author: Value,
    committer: Value,
    reviews: Vec<Value>,
    /// What the pull request says of itself besides, and its commits.
    pull: Value,
    commits: Vec<Value>,
}

/// The code host, with one commit in one pull request.
pub struct Host {
    state: Arc<Mutex<State>>,
    pub server: Server,
}

/// A review, as the API says it.
pub fn review(at: u32, login: &str, state: &str, commit: &str) -> Value {
    json!({
        "id": at, "user": {"login": login, "type": "User"}, "state": state, "commit_id": commit,
        "author_association": "MEMBER", "submitted_at": format!("2026-01-01T00:{:02}:{:02}Z", at / 60, at % 60),
        "html_url": format!("https://github.com/acme/shop/pull/7#pullrequestreview-{at}"),
    })
}

impl Host {
    pub async fn start() -> Self {
        let state = Arc::new(Mutex::new(State {
            mood: Mood::Answers,
            author: json!({"login": "dev", "type": "User"}),
            committer: json!({"login": "web-flow", "type": "User"}),
            reviews: Vec::new(),
            pull: json!({}),
            commits: Vec::new(),
        }));
        let of_server = state.clone();
        let server = Server::start(move |request| {
            let state = of_server.lock().unwrap();
            answer(&state, request)
        })
        .await;
        Self { state, server }
    }

    pub fn becomes(&self, mood: Mood) {
        self.state.lock().unwrap().mood = mood;
    }

    pub fn author(&self, author: Value) {
        self.state.lock().unwrap().author = author;
    }

    pub fn committer(&self, committer: Value) {
        self.state.lock().unwrap().committer = committer;
    }

    /// The pull request ends with this commit and became that one; its commits.
    pub fn merged(&self, head: &str, into: &str, commits: Vec<Value>) {
        let mut state = self.state.lock().unwrap();
        state.pull = json!({"head": {"sha": head}, "merge_commit_sha": into});
        state.commits = commits;
    }

    /// All reviews of this person say that from now on.
    pub fn now_says(&self, login: &str, word: &str) {
        let mut state = self.state.lock().unwrap();
        let theirs = state.reviews.iter_mut();
        for review in theirs.filter(|one| one["user"]["login"] == login) {
            review["state"] = json!(word);
        }
    }

    pub fn review(&self, review: Value) {
        self.state.lock().unwrap().reviews.push(review);
    }

    pub fn requests(&self) -> Vec<String> {
        let requests = self.server.requests();
        requests.iter().map(|one| one.path().to_owned()).collect()
    }

    /// The operator's way to it, as `github.com`.
    pub fn origins(&self, reviews: Option<Reviewing>) -> Arc<dyn Origins> {
        let settings = Settings {
            plain_http: [self.server.host.clone()].into(),
            limits: Limits {
                answer: std::time::Duration::from_secs(3),
                ..Limits::default()
            },
            ..Settings::default()
        };
        let host = CodeHost {
            host: "github.com".to_owned(),
            api: format!("http://{}/api/v3", self.server.host)
                .parse()
                .unwrap(),
            token: Some(Secret::new("t0ken")),
            reviews,
        };
        let nobody: BTreeMap<String, Login> = BTreeMap::new();
        Arc::new(RegistryOrigins {
            images: Arc::new(Registries::new(settings.clone(), Arc::new(nobody)).unwrap()),
            trust: Trust::default(),
            code_hosts: Some(CodeHosts::new(vec![host], settings).unwrap()),
            own: None,
        })
    }
}

/// Two reviews a page.
fn answer(state: &State, request: &Request) -> Reply {
    match state.mood {
        Mood::Answers | Mood::LosesPages => {}
        Mood::Broken => return Reply::new("502 Bad Gateway", "", "<html>"),
        Mood::Limits => return Reply::new("429 Too Many Requests", "Retry-After: 1\r\n", "{}"),
        Mood::Denies => return Reply::new("403 Forbidden", "", "{}"),
        Mood::Silent => return Reply::silence(),
        Mood::Rubbish => return Reply::ok("application/json", "[]]"),
    }
    if request.header("authorization") != Some("Bearer t0ken") {
        return Reply::new("401 Unauthorized", "", "{}");
    }
    let (path, query) = request
        .path()
        .split_once('?')
        .unwrap_or((request.path(), ""));
    let commit = format!("/api/v3/repos/acme/shop/commits/{COMMIT}");
    let reviews = "/api/v3/repos/acme/shop/pulls/7/reviews";
    if path == commit {
        let body = json!({
            "sha": COMMIT, "author": state.author, "committer": state.committer,
            "commit": {"message": "Sell shoes\n\nSHOP-8", "tree": {"sha": TREE}},
        });
        Reply::ok("application/json", body.to_string())
    } else if path == format!("{commit}/pulls") {
        let mut pull = json!({"number": 7, "user": {"login": "opener", "type": "User"}});
        let more = state.pull.as_object().unwrap().clone();
        pull.as_object_mut().unwrap().extend(more);
        Reply::ok("application/json", json!([pull]).to_string())
    } else if path == "/api/v3/repos/acme/shop/pulls/7/commits" {
        Reply::ok("application/json", json!(state.commits).to_string())
    } else if path == reviews {
        let page: usize = query
            .split("page=")
            .last()
            .unwrap()
            .parse()
            .unwrap_or_default();
        let page = if query.contains("&page=") { page } else { 1 };
        let pages = state.reviews.len().div_ceil(2).max(1);
        if page == pages && state.mood == Mood::LosesPages {
            return Reply::new("500 Internal Server Error", "", "{}");
        }
        let here: Vec<&Value> = state.reviews.iter().skip(2 * (page - 1)).take(2).collect();
        let host = request.header("host").unwrap();
        let mut headers = "Content-Type: application/json\r\n".to_owned();
        if page < pages {
            headers += &format!(
                "Link: <http://{host}{reviews}?per_page=100&page={}>; rel=\"next\"\r\n",
                page + 1
            );
        }
        Reply::new("200 OK", &headers, json!(here).to_string())
    } else {
        Reply::new("404 Not Found", "", "{}")
    }
}
