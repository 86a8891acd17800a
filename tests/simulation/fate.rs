//! What becomes of one operator: it sees every call that its operator makes, and strikes at one of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bailiwick::cloud::simulated;
use bailiwick::dev::api_server;
use tokio::time::Instant;

use crate::weather::{Blow, Weather};

/// What happens at a position of an operator's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It dies before a write is made.
    KillBefore,
    /// It dies when a write has been made, before it hears of it.
    KillAfter,
    /// A write is made and its answer lost.
    LoseAnswer,
    /// The answer of a read is lost.
    LoseRead,
}

impl Fault {
    /// Those that strike at writes.
    pub const AT_WRITES: [Self; 3] = [Self::KillBefore, Self::KillAfter, Self::LoseAnswer];
}

/// A call that an operator made, to AWS or to the API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Instant,
    /// Which operator.
    pub who: String,
    /// What: `organizations.TagResource 123456789012`, `Patch teamaccounts/a status`.
    pub what: String,
    /// Whether it changes something.
    pub is_write: bool,
    /// Whether it goes to AWS.
    pub is_outside: bool,
}

/// All calls of one world, in their order.
#[derive(Clone, Default)]
pub struct Journal(Arc<Mutex<Vec<Entry>>>);

impl Journal {
    pub fn all(&self) -> Vec<Entry> {
        self.0.lock().unwrap().clone()
    }

    /// The writes to AWS since then.
    pub fn outside_writes_since(&self, at: Instant) -> Vec<Entry> {
        let mut all = self.all();
        all.retain(|entry| entry.is_outside && entry.is_write && entry.at >= at);
        all
    }

    /// When calls whose text begins so were made.
    pub fn times_of(&self, what: &str) -> Vec<Instant> {
        let all = self.all();
        let these = all.iter().filter(|entry| entry.what.starts_with(what));
        these.map(|entry| entry.at).collect()
    }
}

/// Strikes at the next writes, so many of them, whose text begins and goes on like this.
#[derive(Debug, Clone, Copy)]
pub struct Aim {
    pub start: &'static str,
    pub has: &'static str,
    pub fault: Fault,
    pub times: u32,
}

/// What somebody else does in between.
type Meanwhile = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    armed: Option<(u64, Fault)>,
    aim: Option<Aim>,
    writes: u64,
    reads: u64,
    /// Nothing but waiting goes on: what is read meanwhile is not counted, nor struck at by its number.
    resting: bool,
    /// The calls that are struck at when they have been answered.
    targets: Vec<(String, Fault)>,
    struck: Option<String>,
    /// What is done when a call whose text begins so has been made, before the operator hears of it.
    meanwhile: Option<(&'static str, Meanwhile)>,
}

enum Ruling {
    Go,
    Hang,
    Lose,
    Throttle,
    Refuse,
}

impl Aim {
    fn is_at(&self, what: &str) -> bool {
        what.starts_with(self.start) && what.contains(self.has)
    }
}

/// One life of an operator.
pub struct Fate {
    who: String,
    journal: Journal,
    weather: Option<Arc<Weather>>,
    state: Mutex<State>,
    dead: AtomicBool,
    partitioned: AtomicBool,
}

impl Fate {
    pub fn new(who: &str, journal: Journal, weather: Option<Arc<Weather>>) -> Arc<Self> {
        Arc::new(Self {
            who: who.to_owned(),
            journal,
            weather,
            state: Mutex::default(),
            dead: AtomicBool::new(false),
            partitioned: AtomicBool::new(false),
        })
    }

    /// Counts from now on, and strikes at the call of that number.
    pub fn arm(&self, strike: Option<(u64, Fault)>) {
        *self.state.lock().unwrap() = State {
            armed: strike,
            ..State::default()
        };
    }

    /// Strikes at certain writes.
    pub fn aim(&self, aim: Aim) {
        self.state.lock().unwrap().aim = Some(aim);
    }

    /// Has somebody do something right after the next call whose text begins so.
    pub fn meanwhile(&self, start: &'static str, what: impl FnOnce() + Send + 'static) {
        self.state.lock().unwrap().meanwhile = Some((start, Box::new(what)));
    }

    /// Leaves reads alone, or counts and strikes at them again.
    pub fn rest(&self, resting: bool) {
        self.state.lock().unwrap().resting = resting;
    }

    /// The writes and the reads since it was armed.
    pub fn counts(&self) -> (u64, u64) {
        let state = self.state.lock().unwrap();
        (state.writes, state.reads)
    }

    /// What was struck.
    pub fn struck(&self) -> Option<String> {
        self.state.lock().unwrap().struck.clone()
    }

    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// The process is gone, without a word.
    pub fn die(&self) {
        self.dead.store(true, Ordering::SeqCst);
    }

    /// From now on, or no longer, the API server does not answer; AWS does.
    pub fn partition(&self, cut: bool) {
        self.partitioned.store(cut, Ordering::SeqCst);
    }

    /// A call arrives.
    fn before(&self, entry: Entry) -> Ruling {
        if self.is_dead() {
            return Ruling::Hang;
        }
        let (is_write, what) = (entry.is_write, entry.what.clone());
        self.journal.0.lock().unwrap().push(entry);
        let mut state = self.state.lock().unwrap();
        let number = if is_write {
            state.writes += 1;
            state.writes
        } else if state.resting {
            0
        } else {
            state.reads += 1;
            state.reads
        };
        let struck = match (state.armed, state.aim) {
            (Some((at, fault)), _) if at == number && is_write == (fault != Fault::LoseRead) => {
                Some(fault)
            }
            (_, Some(aim)) if is_write && aim.times > 0 && aim.is_at(&what) => {
                state.aim = Some(Aim {
                    times: aim.times - 1,
                    ..aim
                });
                Some(aim.fault)
            }
            _ => None,
        };
        match struck {
            None => {}
            Some(Fault::KillBefore) => {
                state.struck = Some(what);
                self.die();
                return Ruling::Hang;
            }
            Some(fault) => state.targets.push((what, fault)),
        }
        Ruling::Go
    }

    /// Its answer leaves.
    fn after(&self, what: &str) -> Ruling {
        if self.is_dead() {
            return Ruling::Hang;
        }
        let mut state = self.state.lock().unwrap();
        let now = |(start, _): &mut (&'static str, Meanwhile)| what.starts_with(*start);
        if let Some((_, act)) = state.meanwhile.take_if(now) {
            drop(state);
            act();
            state = self.state.lock().unwrap();
        }
        let Some(place) = state.targets.iter().position(|(target, _)| target == what) else {
            return Ruling::Go;
        };
        let (target, fault) = state.targets.swap_remove(place);
        state.struck = Some(target);
        if fault == Fault::KillAfter {
            self.die();
            return Ruling::Hang;
        }
        Ruling::Lose
    }

    fn entry(&self, what: String, is_write: bool, is_outside: bool) -> Entry {
        Entry {
            at: Instant::now(),
            who: self.who.clone(),
            what,
            is_write,
            is_outside,
        }
    }

    /// The way of a call to the other side: what the weather does to it, and what fate.
    async fn travel(&self, what: &str, is_write: bool, is_outside: bool) -> Ruling {
        let mut blow = Blow::None;
        if let Some(weather) = &self.weather {
            let (delay, drawn) = weather.on(what, is_write, is_outside);
            tokio::time::sleep(delay).await;
            blow = drawn;
        }
        let ruling = self.before(self.entry(what.to_owned(), is_write, is_outside));
        if !matches!(ruling, Ruling::Go) {
            return ruling;
        }
        match blow {
            Blow::None => Ruling::Go,
            Blow::Throttle => Ruling::Throttle,
            Blow::Refuse => Ruling::Refuse,
            Blow::Kill => {
                self.die();
                Ruling::Hang
            }
            Blow::LoseAnswer => {
                let target = (what.to_owned(), Fault::LoseAnswer);
                self.state.lock().unwrap().targets.push(target);
                Ruling::Go
            }
        }
    }
}

#[async_trait]
impl simulated::Interceptor for Fate {
    async fn before(&self, call: &simulated::Call) -> simulated::Verdict {
        let what = format!("{} {}", call.operation, call.target);
        match self.travel(&what, call.is_write, true).await {
            Ruling::Go => simulated::Verdict::Continue,
            Ruling::Hang => simulated::Verdict::Hang,
            Ruling::Lose => simulated::Verdict::LoseReply,
            Ruling::Throttle => simulated::Verdict::Refuse(simulated::throttled(call.operation)),
            Ruling::Refuse => simulated::Verdict::Refuse(simulated::out_of_order(call.operation)),
        }
    }

    async fn after(&self, call: &simulated::Call, _ok: bool) -> simulated::Verdict {
        match Fate::after(self, &format!("{} {}", call.operation, call.target)) {
            Ruling::Hang => simulated::Verdict::Hang,
            Ruling::Lose => simulated::Verdict::LoseReply,
            _ => simulated::Verdict::Continue,
        }
    }
}

fn name_of(call: &api_server::Call) -> String {
    // An event's name has the wall clock in it.
    let name = call
        .name
        .as_deref()
        .filter(|_| call.plural != "events")
        .unwrap_or_default();
    let part = call.subresource.as_deref().unwrap_or_default();
    let written = call.body["status"].as_object();
    let fields: Vec<_> = written
        .into_iter()
        .flat_map(|status| status.keys())
        .collect();
    let fields = fields
        .iter()
        .fold(String::new(), |all, field| all + " " + field);
    format!("{:?} {}/{name} {part}{fields}", call.verb, call.plural)
}

#[async_trait]
impl api_server::Interceptor for Fate {
    async fn before(&self, call: &api_server::Call) -> api_server::Verdict {
        if self.partitioned.load(Ordering::SeqCst) {
            return api_server::Verdict::Hang;
        }
        if call.verb == api_server::Verb::Watch {
            return api_server::Verdict::Continue;
        }
        let what = name_of(call);
        match self.travel(&what, call.is_write(), false).await {
            Ruling::Go => api_server::Verdict::Continue,
            Ruling::Hang => api_server::Verdict::Hang,
            Ruling::Lose => api_server::Verdict::LoseReply,
            Ruling::Throttle | Ruling::Refuse => {
                api_server::Verdict::refuse(503, "ServiceUnavailable", "try again later")
            }
        }
    }

    async fn after(&self, call: &api_server::Call, _status: u16) -> api_server::Verdict {
        if self.partitioned.load(Ordering::SeqCst) {
            return api_server::Verdict::Hang;
        }
        match Fate::after(self, &name_of(call)) {
            Ruling::Hang => api_server::Verdict::Hang,
            Ruling::Lose => api_server::Verdict::LoseReply,
            _ => api_server::Verdict::Continue,
        }
    }

    fn alive(&self) -> bool {
        !self.is_dead()
    }
}
