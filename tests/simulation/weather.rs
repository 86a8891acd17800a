//! Everything that can go wrong by chance, drawn from one seed.
//!
//! What happens to a call follows from the seed, the call's own text and how often it was made before: not from the
//! order in which calls of the same moment are made, which the runtime does not promise. Every call takes a time of its
//! own, so that hardly any two arrive at the same moment.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    None,
    /// It is throttled.
    Throttle,
    /// The other side cannot serve it at the moment.
    Refuse,
    /// It takes effect and its answer is lost.
    LoseAnswer,
    /// Its caller dies before it arrives.
    Kill,
}

/// How often, in a thousand calls.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rates {
    pub throttle: u64,
    pub refuse: u64,
    pub lose: u64,
    /// Of writes alone.
    pub kill: u64,
}

pub struct Weather {
    seed: u64,
    rates: Rates,
    seen: Mutex<HashMap<String, u64>>,
    calm: std::sync::atomic::AtomicBool,
}

impl Weather {
    pub fn new(seed: u64, rates: Rates) -> Self {
        Self {
            seed,
            rates,
            seen: Mutex::default(),
            calm: std::sync::atomic::AtomicBool::new(false),
        }
    }

    /// Nothing goes wrong any more; calls still take their time.
    pub fn calm_down(&self) {
        self.calm.store(true, std::sync::atomic::Ordering::SeqCst);
    }

    /// How long the call takes, and what happens to it.
    pub fn on(&self, what: &str, is_write: bool, is_outside: bool) -> (Duration, Blow) {
        let mut seen = self.seen.lock().unwrap();
        let count = seen.entry(what.to_owned()).or_default();
        *count += 1;
        let dice = mix(self.seed, &format!("{what} #{count}"));
        let delay = Duration::from_millis(1 + dice % 997);
        let (mut throw, rates) = ((dice >> 16) % 1000, self.rates);
        // A list that fails has the client library wait for a time that it draws itself, from no seed.
        let is_list = !is_outside && what.starts_with("List");
        if is_list || self.calm.load(std::sync::atomic::Ordering::SeqCst) {
            return (delay, Blow::None);
        }
        let kill = if is_write { rates.kill } else { 0 };
        let table = [
            (rates.throttle, Blow::Throttle),
            (rates.refuse, Blow::Refuse),
            (rates.lose, Blow::LoseAnswer),
            (kill, Blow::Kill),
        ];
        for (rate, blow) in table {
            if throw < rate {
                return (delay, blow);
            }
            throw -= rate;
        }
        (delay, Blow::None)
    }
}

/// A number from a seed and a text: the same for ever (FNV-1a, then the finisher of SplitMix64).
pub fn mix(seed: u64, text: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}
