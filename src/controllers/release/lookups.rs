//! Questions to registries and code hosts, asked aside of the passes: one that answers slowly, or never, holds up those
//! who asked it and nobody else.
//!
//! A pass waits a moment for its answer; if it takes longer, the pass ends and the answer, once it is there, asks for
//! another one. Of one host, and for one namespace, only a few questions are under way at once, and only so many
//! altogether: that also bounds the memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::origins::{
    CommitRef, Origins, Resolved, ReviewsCount, Said, Searched, Trouble, TroubleKind,
};
use super::turns::{Limit, Turns};
use crate::api::Release;
use crate::engine::trigger::Trigger;
use crate::model::{Digest, ImageRef, SourceRepository};

/// How long a pass waits for an answer before it lets others go first.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many questions to one registry or code host are under way at once.
const OF_HOST: usize = 4;
/// How many questions of one namespace's releases are.
const OF_NAMESPACE: usize = 8;
/// How many searches of one namespace's are: each may unpack layers for minutes.
const SEARCHES_OF_NAMESPACE: usize = 3;
/// How many searches are under way altogether: each holds the manifests of an image.
const SEARCHES: usize = 12;
/// How many questions are altogether.
const ALTOGETHER: usize = 32;
/// What a question may take, with all that is read for its answer: a search unpacks layers.
const LONGEST: Duration = Duration::from_secs(900);

/// What a question is about; of each a release has one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Subject {
    Resolve,
    Current,
    Search,
    Commit,
}

/// A question.
#[derive(Debug, Clone)]
enum Question {
    Resolve(ImageRef),
    Current(ImageRef),
    Search(ImageRef),
    Commit(CommitRef),
}

enum Answer {
    Resolved(Resolved),
    Current(Digest),
    Searched(Searched),
    Commit(Said),
}

impl Question {
    fn subject(&self) -> Subject {
        match self {
            Self::Resolve(_) => Subject::Resolve,
            Self::Current(_) => Subject::Current,
            Self::Search(_) => Subject::Search,
            Self::Commit(_) => Subject::Commit,
        }
    }

    /// Who is asked.
    fn host(&self) -> String {
        match self {
            Self::Resolve(image) | Self::Current(image) | Self::Search(image) => {
                format!("the registry {}", image.name().registry())
            }
            Self::Commit(commit) => format!("the code host {}", commit.repository.host()),
        }
    }

    fn trouble(&self, why: &str) -> Trouble {
        let message = match self {
            Self::Resolve(image) | Self::Current(image) | Self::Search(image) => {
                format!("{image}: {why}")
            }
            Self::Commit(commit) => format!("{commit}: {why}"),
        };
        Trouble::new(TroubleKind::Transient, message)
    }
}

struct Job {
    work: JoinHandle<Result<Answer, Trouble>>,
    ends: Arc<Ends>,
    begun: Instant,
}

/// Which of the two ended first: of both at least one sees that the other has ended.
#[derive(Default)]
struct Ends {
    /// The pass that asked waits no longer.
    left: AtomicBool,
    /// The question is answered.
    answered: AtomicBool,
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct Asker {
    /// The release.
    pub uid: String,
    /// Where it is.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Questions under way, and answers that nobody has fetched yet.
pub struct Lookups {
    origins: Arc<dyn Origins>,
    wake: Trigger<Release>,
    turns: Arc<Turns>,
    jobs: Mutex<HashMap<(String, Subject), Job>>,
}

impl Lookups {
    /// Asks `origins`; answers that come late are announced by `wake`.
    pub fn new(origins: Arc<dyn Origins>, wake: Trigger<Release>) -> Self {
        Self {
            origins,
            wake,
            turns: Arc::default(),
            jobs: Mutex::default(),
        }
    }

    /// What the reference means now. `None`: that takes longer; a pass will be asked for.
    pub async fn resolve(
        &self,
        asker: &Asker,
        image: &ImageRef,
    ) -> Option<Result<Resolved, Trouble>> {
        let question = Question::Resolve(image.clone());
        let take = |answer| match answer {
            Answer::Resolved(resolved) => Some(resolved),
            _ => None,
        };
        self.ask(asker, question, take).await
    }

    /// The digest that the reference's tag has now. `None`: that takes longer; a pass will be asked for.
    pub async fn current(
        &self,
        asker: &Asker,
        image: &ImageRef,
    ) -> Option<Result<Digest, Trouble>> {
        let question = Question::Current(image.clone());
        let take = |answer| match answer {
            Answer::Current(digest) => Some(digest),
            _ => None,
        };
        self.ask(asker, question, take).await
    }

    /// Where the image comes from. `None`: that takes longer; a pass will be asked for.
    pub async fn search(
        &self,
        asker: &Asker,
        image: &ImageRef,
    ) -> Option<Result<Searched, Trouble>> {
        let question = Question::Search(image.clone());
        let take = |answer| match answer {
            Answer::Searched(searched) => Some(searched),
            _ => None,
        };
        self.ask(asker, question, take).await
    }

    /// What its code host says of a commit. `None`: that takes longer; a pass will be asked for.
    pub async fn commit(&self, asker: &Asker, commit: &CommitRef) -> Option<Result<Said, Trouble>> {
        let question = Question::Commit(commit.clone());
        let take = |answer| match answer {
            Answer::Commit(said) => Some(said),
            _ => None,
        };
        self.ask(asker, question, take).await
    }

    /// Whether a code host is being asked about this release's commit, or its answer waits to be fetched.
    pub fn asks_about_commit(&self, asker: &Asker) -> bool {
        let key = (asker.uid.clone(), Subject::Commit);
        self.jobs().contains_key(&key)
    }

    /// For how long the oldest question to a registry about this release has been waiting for its answer. Zero: there is
    /// none.
    pub fn waited(&self, asker: &Asker) -> Duration {
        let jobs = self.jobs();
        [Subject::Resolve, Subject::Current, Subject::Search]
            .into_iter()
            .filter_map(|subject| jobs.get(&(asker.uid.clone(), subject)))
            .map(|job| job.begun.elapsed())
            .max()
            .unwrap_or_default()
    }

    /// See [`Origins::code_host`].
    pub fn code_host(&self, repository: &SourceRepository, revision: &str) -> Option<ReviewsCount> {
        self.origins.code_host(repository, revision)
    }

    /// Forgets what a release that is gone has asked.
    pub fn forget(&self, uid: &str) {
        self.jobs().retain(|(of, _), job| {
            if of == uid {
                job.work.abort();
            }
            of != uid
        });
    }

    async fn ask<T>(
        &self,
        asker: &Asker,
        question: Question,
        take: impl Fn(Answer) -> Option<T>,
    ) -> Option<Result<T, Trouble>> {
        let key = (asker.uid.clone(), question.subject());
        let begun = self.jobs().remove(&key);
        // Only for an answer that may come at once: passes are few, and those that wait here keep others from theirs.
        let (mut job, patience) = match begun {
            Some(job) => (job, Duration::ZERO),
            None => {
                let limits = limits(asker, &question);
                let patience = match self.turns.are_free(&limits) {
                    true => PATIENCE,
                    false => Duration::ZERO,
                };
                (self.begin(asker, &question, limits), patience)
            }
        };
        job.ends.left.store(false, Ordering::SeqCst);
        let ended = match tokio::time::timeout(patience, &mut job.work).await {
            Ok(ended) => ended,
            Err(_) => {
                job.ends.left.store(true, Ordering::SeqCst);
                let answered = job.ends.answered.load(Ordering::SeqCst);
                self.jobs().insert(key, job);
                if answered {
                    // In this very moment, and it may have asked for no pass.
                    self.wake.fire(Some(&asker.namespace), &asker.name);
                }
                return None;
            }
        };
        let cut_off =
            |_| Err(question.trouble(&format!("the question to {} was cut off", question.host())));
        let mistaken = || question.trouble("the answer is to another question");
        let answer = ended.unwrap_or_else(cut_off);
        Some(answer.and_then(|answer| take(answer).ok_or_else(mistaken)))
    }

    fn begin(&self, asker: &Asker, question: &Question, limits: Vec<Limit>) -> Job {
        let turns = self.turns.clone();
        let ends = Arc::new(Ends::default());
        let (origins, wake) = (self.origins.clone(), self.wake.clone());
        let (question, asker, both) = (question.clone(), asker.clone(), ends.clone());
        let work = tokio::spawn(async move {
            let _turn = turns.wait(limits).await;
            let answer = tokio::time::timeout(LONGEST, put(&*origins, &question)).await;
            both.answered.store(true, Ordering::SeqCst);
            if both.left.load(Ordering::SeqCst) {
                wake.fire(Some(&asker.namespace), &asker.name);
            }
            answer.unwrap_or_else(|_| {
                let why = format!(
                    "{} took longer than {} s",
                    question.host(),
                    LONGEST.as_secs()
                );
                Err(question.trouble(&why))
            })
        });
        Job {
            work,
            ends,
            begun: Instant::now(),
        }
    }

    fn jobs(&self) -> MutexGuard<'_, HashMap<(String, Subject), Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is counted, and how many of it there may be: a namespace leaves a place at every host to others, and of the long
/// searches it has but a few.
fn limits(asker: &Asker, question: &Question) -> Vec<Limit> {
    let (host, namespace) = (question.host(), &asker.namespace);
    let mut limits = vec![
        (format!("{host} for {namespace}"), OF_HOST - 1),
        (host, OF_HOST),
        (format!("namespace {namespace}"), OF_NAMESPACE),
        ("all".to_owned(), ALTOGETHER),
    ];
    if question.subject() == Subject::Search {
        limits.push((format!("searches for {namespace}"), SEARCHES_OF_NAMESPACE));
        limits.push(("searches".to_owned(), SEARCHES));
    }
    limits
}

async fn put(origins: &dyn Origins, question: &Question) -> Result<Answer, Trouble> {
    match question {
        Question::Resolve(image) => origins.resolve(image).await.map(Answer::Resolved),
        Question::Current(image) => origins.current(image).await.map(Answer::Current),
        Question::Search(image) => origins.search(image).await.map(Answer::Searched),
        Question::Commit(commit) => origins.commit(commit).await.map(Answer::Commit),
    }
}
