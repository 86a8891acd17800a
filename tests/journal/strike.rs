//! One life of the operator, in which something happens at one of its writes: to the API server or to the bucket.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bailiwick::cloud::{CloudError, simulated};
use bailiwick::dev::api_server;

/// What happens at a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    KillBefore,
    KillAfter,
    LoseAnswer,
}

/// What is done to a call.
enum Ruling {
    Go,
    Hang,
    Lose,
}

/// What the bucket refuses: by operation and key, `s3.GetObject journal/…`.
type Refusal = Box<dyn Fn(&str) -> Option<CloudError> + Send + Sync>;

/// Counts the writes of one life, and strikes at one of them.
#[derive(Default)]
pub struct Strike {
    refusal: Mutex<Option<Refusal>>,
    at: Option<(u64, Fault)>,
    writes: AtomicU64,
    dead: AtomicBool,
    struck: Mutex<Option<String>>,
}

impl Strike {
    pub fn none() -> Arc<Self> {
        Arc::default()
    }

    pub fn at(write: u64, fault: Fault) -> Arc<Self> {
        Arc::new(Self {
            at: Some((write, fault)),
            ..Self::default()
        })
    }

    /// A life in which the bucket refuses calls, until [`Self::relent`].
    pub fn refusing(
        refusal: impl Fn(&str) -> Option<CloudError> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            refusal: Mutex::new(Some(Box::new(refusal))),
            ..Self::default()
        })
    }

    pub fn relent(&self) {
        *self.refusal.lock().unwrap() = None;
    }

    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// The operator is killed between two calls.
    pub fn kill(&self) {
        self.dead.store(true, Ordering::SeqCst);
    }

    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::SeqCst)
    }

    /// What was struck, if anything was.
    pub fn struck(&self) -> Option<String> {
        self.struck.lock().unwrap().clone()
    }

    fn strike(&self, what: &str) {
        *self.struck.lock().unwrap() = Some(what.to_owned());
    }

    fn before(&self, is_write: bool, what: &str) -> Ruling {
        if self.is_dead() {
            return Ruling::Hang;
        }
        if is_write {
            let number = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
            if self.at == Some((number, Fault::KillBefore)) {
                self.strike(what);
                self.kill();
                return Ruling::Hang;
            }
        }
        Ruling::Go
    }

    /// After the call; of several at once, the one that ends first takes the blow.
    fn after(&self, is_write: bool, what: &str) -> Ruling {
        if self.is_dead() {
            return Ruling::Hang;
        }
        let Some((at, fault)) = self.at.filter(|_| is_write) else {
            return Ruling::Go;
        };
        if self.writes() < at || self.struck().is_some() || fault == Fault::KillBefore {
            return Ruling::Go;
        }
        self.strike(what);
        if fault == Fault::LoseAnswer {
            return Ruling::Lose;
        }
        self.kill();
        Ruling::Hang
    }
}

#[async_trait]
impl simulated::Interceptor for Strike {
    async fn before(&self, call: &simulated::Call) -> simulated::Verdict {
        let what = format!("{} {}", call.operation, call.target);
        if let Some(refusal) = &*self.refusal.lock().unwrap()
            && let Some(error) = refusal(&what)
        {
            return simulated::Verdict::Refuse(error);
        }
        of_cloud(Strike::before(self, call.is_write, &what))
    }

    async fn after(&self, call: &simulated::Call, _ok: bool) -> simulated::Verdict {
        let what = format!("{} {}", call.operation, call.target);
        of_cloud(Strike::after(self, call.is_write, &what))
    }
}

fn of_cloud(ruling: Ruling) -> simulated::Verdict {
    match ruling {
        Ruling::Go => simulated::Verdict::Continue,
        Ruling::Hang => simulated::Verdict::Hang,
        Ruling::Lose => simulated::Verdict::LoseReply,
    }
}

#[async_trait]
impl api_server::Interceptor for Strike {
    async fn before(&self, call: &api_server::Call) -> api_server::Verdict {
        of_server(Strike::before(self, call.is_write(), &name_of(call)))
    }

    async fn after(&self, call: &api_server::Call, _status: u16) -> api_server::Verdict {
        of_server(Strike::after(self, call.is_write(), &name_of(call)))
    }

    fn alive(&self) -> bool {
        !self.is_dead()
    }
}

fn of_server(ruling: Ruling) -> api_server::Verdict {
    match ruling {
        Ruling::Go => api_server::Verdict::Continue,
        Ruling::Hang => api_server::Verdict::Hang,
        Ruling::Lose => api_server::Verdict::LoseReply,
    }
}

fn name_of(call: &api_server::Call) -> String {
    let name = call.name.as_deref().unwrap_or_default();
    format!("{:?} {}/{name}", call.verb, call.plural)
}
