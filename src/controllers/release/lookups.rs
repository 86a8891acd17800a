//! Questions to registries, asked aside of the passes: a registry that answers slowly, or never, holds up those who asked
//! it and nobody else.
//!
//! A pass waits a moment for its answer; if it takes longer, the pass ends and the answer, once it is there, asks for
//! another one. Of one registry, and for one namespace, only a few questions are under way at once, and only so many
//! altogether: that also bounds the memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::origins::{Origins, Resolved, Searched, Trouble, TroubleKind};
use super::turns::Turns;
use crate::api::Release;
use crate::engine::trigger::Trigger;
use crate::model::{Digest, ImageRef};

/// How long a pass waits for an answer before it lets others go first.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many questions to one registry are under way at once.
const OF_REGISTRY: usize = 4;
/// How many questions of one namespace's releases are.
const OF_NAMESPACE: usize = 8;
/// How many are altogether.
const ALTOGETHER: usize = 32;
/// What a question may take, with all that is read for its answer: a search unpacks layers.
const LONGEST: Duration = Duration::from_secs(900);

/// A question about an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Question {
    Resolve,
    Current,
    Search,
}

enum Answer {
    Resolved(Resolved),
    Current(Digest),
    Searched(Searched),
}

struct Job {
    work: JoinHandle<Result<Answer, Trouble>>,
    ends: Arc<Ends>,
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
    jobs: Mutex<HashMap<(String, Question), Job>>,
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
        let answer = self.ask(asker, Question::Resolve, image).await?;
        Some(answer.and_then(|answer| match answer {
            Answer::Resolved(resolved) => Ok(resolved),
            _ => Err(mistaken(image)),
        }))
    }

    /// The digest that the reference's tag has now. `None`: that takes longer; a pass will be asked for.
    pub async fn current(
        &self,
        asker: &Asker,
        image: &ImageRef,
    ) -> Option<Result<Digest, Trouble>> {
        let answer = self.ask(asker, Question::Current, image).await?;
        Some(answer.and_then(|answer| match answer {
            Answer::Current(digest) => Ok(digest),
            _ => Err(mistaken(image)),
        }))
    }

    /// Where the image comes from. `None`: that takes longer; a pass will be asked for.
    pub async fn search(
        &self,
        asker: &Asker,
        image: &ImageRef,
    ) -> Option<Result<Searched, Trouble>> {
        let answer = self.ask(asker, Question::Search, image).await?;
        Some(answer.and_then(|answer| match answer {
            Answer::Searched(searched) => Ok(searched),
            _ => Err(mistaken(image)),
        }))
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

    async fn ask(
        &self,
        asker: &Asker,
        question: Question,
        image: &ImageRef,
    ) -> Option<Result<Answer, Trouble>> {
        let key = (asker.uid.clone(), question);
        let begun = self.jobs().remove(&key);
        let mut job = begun.unwrap_or_else(|| self.begin(asker, question, image));
        job.ends.left.store(false, Ordering::SeqCst);
        let ended = match tokio::time::timeout(PATIENCE, &mut job.work).await {
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
        Some(ended.unwrap_or_else(|_| {
            let message = format!("{image}: the question to the registry was cut off");
            Err(Trouble::new(TroubleKind::Transient, message))
        }))
    }

    fn begin(&self, asker: &Asker, question: Question, image: &ImageRef) -> Job {
        let limits = vec![
            (format!("registry {}", image.name().registry()), OF_REGISTRY),
            (format!("namespace {}", asker.namespace), OF_NAMESPACE),
            ("all".to_owned(), ALTOGETHER),
        ];
        let turns = self.turns.clone();
        let ends = Arc::new(Ends::default());
        let (origins, wake) = (self.origins.clone(), self.wake.clone());
        let (image, asker, both) = (image.clone(), asker.clone(), ends.clone());
        let work = tokio::spawn(async move {
            let _turn = turns.wait(limits).await;
            let answer = tokio::time::timeout(LONGEST, put(&*origins, question, &image)).await;
            both.answered.store(true, Ordering::SeqCst);
            if both.left.load(Ordering::SeqCst) {
                wake.fire(Some(&asker.namespace), &asker.name);
            }
            answer.unwrap_or_else(|_| {
                let message = format!(
                    "{image}: the registry took longer than {} s",
                    LONGEST.as_secs()
                );
                Err(Trouble::new(TroubleKind::Transient, message))
            })
        });
        Job { work, ends }
    }

    fn jobs(&self) -> MutexGuard<'_, HashMap<(String, Question), Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn put(
    origins: &dyn Origins,
    question: Question,
    image: &ImageRef,
) -> Result<Answer, Trouble> {
    match question {
        Question::Resolve => origins.resolve(image).await.map(Answer::Resolved),
        Question::Current => origins.current(image).await.map(Answer::Current),
        Question::Search => origins.search(image).await.map(Answer::Searched),
    }
}

fn mistaken(image: &ImageRef) -> Trouble {
    Trouble::new(
        TroubleKind::Transient,
        format!("{image}: the answer is to another question"),
    )
}
