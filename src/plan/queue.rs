//! The queue for account creation: AWS works on five at a time for the whole organization, so the teams take turns.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

/// Somebody who waits for a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Waiter {
    team: String,
    since: Timestamp,
    /// When it asked last. Who asks no more (suspended, refused, gone) must not hold the others up.
    asked: Timestamp,
}

/// For how long somebody waits without asking again; whoever waits is told to ask more often than that.
const ASKS_AGAIN_WITHIN: i64 = 900;

/// What the queue answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The slot is yours until you give it back.
    Go,
    /// So many come first; roughly so long until your turn.
    Wait {
        /// How many come first.
        position: usize,
        /// How long that should take.
        estimate: Duration,
    },
}

/// The queue. It holds no truth: that is in the objects' statuses, which are told on every question.
#[derive(Debug)]
pub struct Queue {
    configured: usize,
    limit: usize,
    waiting: HashMap<String, Waiter>,
    /// The same by team, first come first.
    lines: BTreeMap<String, BTreeSet<(Timestamp, String)>>,
    /// Who has a slot, and the place in line that it had: whom AWS refuses waits there again.
    holding: HashMap<String, Option<Waiter>>,
    /// Who has given a slot back while the statuses, as far as they are known here, still say otherwise.
    finished: HashSet<String>,
    not_before: Option<Timestamp>,
    typical: Duration,
}

impl Queue {
    /// A queue with so many slots.
    pub fn new(slots: usize) -> Self {
        let slots = slots.max(1);
        Self {
            configured: slots,
            limit: slots,
            waiting: HashMap::new(),
            lines: BTreeMap::new(),
            holding: HashMap::new(),
            finished: HashSet::new(),
            not_before: None,
            typical: Duration::from_secs(60),
        }
    }

    /// Asks for a slot for `uid`. `durable`: the objects whose recorded creation has no outcome yet, whoever began it;
    /// only called when it matters, for it looks at all objects.
    pub fn ask(
        &mut self,
        uid: &str,
        team: &str,
        durable: impl FnOnce() -> HashSet<String>,
        now: Timestamp,
    ) -> Answer {
        if self.holding.contains_key(uid) {
            return Answer::Go;
        }
        self.forget_who_asks_no_more(now);
        // Whoever has so many before it that are known here waits, whatever the statuses say of others.
        if let Some(waiter) = self.waiting.get_mut(uid) {
            waiter.asked = now;
            let (busy, position) = (self.holding.len(), self.position(uid));
            if busy + position >= self.limit {
                return self.wait(busy, position);
            }
        }
        let durable = durable();
        if durable.contains(uid) {
            self.take(uid);
            return Answer::Go;
        }
        self.finished.retain(|uid| durable.contains(uid));
        if !self.waiting.contains_key(uid) {
            let waiter = Waiter {
                team: team.to_owned(),
                since: now,
                asked: now,
            };
            self.enter(uid, waiter);
        }
        let running = durable.difference(&self.finished);
        let busy = running
            .filter(|uid| !self.holding.contains_key(*uid))
            .count()
            + self.holding.len();
        let position = self.position(uid);
        let open = self.not_before.is_none_or(|at| now >= at);
        if open && busy + position < self.limit {
            self.take(uid);
            return Answer::Go;
        }
        self.wait(busy, position)
    }

    fn wait(&self, busy: usize, position: usize) -> Answer {
        let rounds = (busy + position) / self.limit;
        Answer::Wait {
            position,
            estimate: self.typical * u32::try_from(rounds.max(1)).unwrap_or(u32::MAX),
        }
    }

    fn take(&mut self, uid: &str) {
        let place = self.quit(uid);
        self.finished.remove(uid);
        self.holding.insert(uid.to_owned(), place);
    }

    /// Gives the slot back. `took`: how long the creation took, if it came to an end; the estimate learns from it.
    pub fn done(&mut self, uid: &str, took: Option<Duration>) {
        self.holding.remove(uid);
        self.quit(uid);
        self.finished.insert(uid.to_owned());
        if let Some(took) = took {
            self.typical = (self.typical * 7 + took.min(Duration::from_secs(3600))) / 8;
            self.limit = (self.limit + 1).min(self.configured);
        }
    }

    /// AWS refused to begin one more: others, or other tools, hold slots. Fewer from now on, and none for a moment. Who was
    /// refused has its old place in line.
    pub fn refused(&mut self, uid: &str, now: Timestamp) {
        if let Some(Some(waiter)) = self.holding.remove(uid) {
            let waiter = Waiter {
                asked: now,
                ..waiter
            };
            self.enter(uid, waiter);
        }
        self.limit = self.holding.len().clamp(1, self.configured);
        self.not_before = now.checked_add(Duration::from_secs(10)).ok();
    }

    /// How many wait and how many hold a slot, and how many slots there are.
    pub fn sizes(&self) -> (usize, usize, usize) {
        (self.waiting.len(), self.holding.len(), self.limit)
    }

    /// Who is next, first first; no more than there are slots.
    pub fn next(&self) -> Vec<String> {
        let mut order = Vec::new();
        for turn in 0.. {
            let mut whose: Vec<_> = self
                .lines
                .values()
                .filter_map(|l| l.iter().nth(turn))
                .collect();
            if whose.is_empty() || order.len() >= self.limit {
                break;
            }
            whose.sort_unstable();
            order.extend(whose.into_iter().map(|(_, uid)| uid.clone()));
        }
        order.truncate(self.limit);
        order
    }

    fn enter(&mut self, uid: &str, waiter: Waiter) {
        let line = self.lines.entry(waiter.team.clone()).or_default();
        line.insert((waiter.since, uid.to_owned()));
        self.waiting.insert(uid.to_owned(), waiter);
    }

    /// The place in line that it leaves.
    fn quit(&mut self, uid: &str) -> Option<Waiter> {
        let waiter = self.waiting.remove(uid)?;
        if let Some(line) = self.lines.get_mut(&waiter.team) {
            line.remove(&(waiter.since, uid.to_owned()));
            if line.is_empty() {
                self.lines.remove(&waiter.team);
            }
        }
        Some(waiter)
    }

    fn forget_who_asks_no_more(&mut self, now: Timestamp) {
        let late =
            |waiter: &Waiter| now.as_second() - waiter.asked.as_second() >= ASKS_AGAIN_WITHIN;
        let gone: Vec<String> = self
            .waiting
            .iter()
            .filter(|(_, waiter)| late(waiter))
            .map(|(uid, _)| uid.clone())
            .collect();
        for uid in gone {
            self.quit(&uid);
        }
    }

    /// How many come first. The teams take turns; within a team, who came first. Told without putting all in order:
    /// everybody who waits asks this again and again.
    fn position(&self, uid: &str) -> usize {
        let Some(waiter) = self.waiting.get(uid) else {
            return 0;
        };
        let me = (waiter.since, uid.to_owned());
        let turn = self
            .lines
            .get(&waiter.team)
            .and_then(|line| line.iter().position(|other| *other == me))
            .unwrap_or(0);
        let before = self.lines.values().map(|line| {
            let same_turn_first = line.iter().nth(turn).is_some_and(|other| *other < me);
            line.len().min(turn) + usize::from(same_turn_first)
        });
        before.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn never_more_than_the_slots_and_teams_take_turns() {
        let (mut queue, none) = (Queue::new(2), HashSet::new());
        for n in 0..4 {
            queue.ask(&format!("a{n}"), "a", || none.clone(), at(n));
        }
        queue.ask("b0", "b", || none.clone(), at(10));
        assert_eq!(queue.sizes().1, 2, "two hold a slot");
        queue.done("a0", None);
        queue.done("a1", None);
        assert_eq!(
            queue.next(),
            ["a2", "b0"],
            "b's first comes before a's second in line"
        );
        assert_eq!(
            queue.ask("a3", "a", || none.clone(), at(11)),
            Answer::Wait {
                position: 2,
                estimate: Duration::from_secs(60)
            }
        );
        assert_eq!(queue.ask("b0", "b", || none.clone(), at(11)), Answer::Go);
    }

    #[test]
    fn the_position_is_the_place_in_the_order_of_all() {
        let (mut queue, full) = (Queue::new(1), HashSet::from(["full".to_owned()]));
        for n in 0..60i64 {
            let team = ["a", "b", "b", "c", "c", "c"][usize::try_from(n).unwrap() % 6];
            // Some come at the same moment.
            queue.ask(&format!("u{n:02}"), team, || full.clone(), at(n / 4));
        }
        queue.limit = 60;
        let order = queue.next();
        assert_eq!(order.len(), 60);
        for (place, uid) in order.iter().enumerate() {
            assert_eq!(queue.position(uid), place, "{uid} in {order:?}");
        }
        assert_eq!(&order[..4], ["u00", "u01", "u03", "u02"]);
    }

    #[test]
    fn what_the_statuses_say_counts_after_a_restart() {
        let mut queue = Queue::new(2);
        let durable = HashSet::from(["x".to_owned(), "y".to_owned()]);
        assert!(matches!(
            queue.ask("a", "a", || durable.clone(), at(0)),
            Answer::Wait { .. }
        ));
        assert_eq!(
            queue.ask("x", "a", || durable.clone(), at(0)),
            Answer::Go,
            "it has one already"
        );
    }

    #[test]
    fn a_slot_given_back_is_free_before_the_statuses_say_so() {
        let (mut queue, none) = (Queue::new(1), HashSet::new());
        assert_eq!(queue.ask("x", "a", || none.clone(), at(0)), Answer::Go);
        let durable = HashSet::from(["x".to_owned()]);
        assert!(matches!(
            queue.ask("y", "a", || durable.clone(), at(1)),
            Answer::Wait { .. }
        ));
        queue.done("x", Some(Duration::from_secs(60)));
        assert_eq!(queue.ask("y", "a", || durable.clone(), at(61)), Answer::Go);
        // What the statuses say of x later is another creation.
        let running = HashSet::from(["y".to_owned()]);
        queue.ask("z", "a", || running.clone(), at(62));
        queue.done("y", None);
        let both = HashSet::from(["x".to_owned(), "y".to_owned()]);
        assert!(matches!(
            queue.ask("z", "a", || both.clone(), at(63)),
            Answer::Wait { .. }
        ));
    }

    #[test]
    fn who_asks_no_more_holds_nobody_up() {
        let (mut queue, none) = (Queue::new(1), HashSet::new());
        assert_eq!(queue.ask("a", "a", || none.clone(), at(0)), Answer::Go);
        assert!(matches!(
            queue.ask("gone", "a", || none.clone(), at(1)),
            Answer::Wait { .. }
        ));
        queue.done("a", None);
        assert!(matches!(
            queue.ask("b", "a", || none.clone(), at(2)),
            Answer::Wait { .. }
        ));
        assert_eq!(queue.ask("b", "a", || none.clone(), at(2000)), Answer::Go);
    }

    #[test]
    fn a_refusal_lowers_the_limit_and_success_raises_it_again() {
        let (mut queue, none) = (Queue::new(5), HashSet::new());
        for n in 0..3 {
            assert_eq!(
                queue.ask(&format!("a{n}"), "a", || none.clone(), at(0)),
                Answer::Go
            );
        }
        queue.refused("a2", at(0));
        assert_eq!(queue.sizes().2, 2);
        assert!(matches!(
            queue.ask("a2", "a", || none.clone(), at(1)),
            Answer::Wait { .. }
        ));
        queue.done("a0", Some(Duration::from_secs(60)));
        assert_eq!(queue.ask("a2", "a", || none.clone(), at(20)), Answer::Go);
        assert_eq!(queue.sizes().2, 3);
    }

    #[test]
    fn whom_aws_refuses_has_its_old_place_in_line() {
        let (mut queue, none) = (Queue::new(1), HashSet::new());
        assert_eq!(queue.ask("first", "a", || none.clone(), at(0)), Answer::Go);
        for (uid, second) in [("second", 1), ("third", 2)] {
            queue.ask(uid, "a", || none.clone(), at(second));
        }
        queue.refused("first", at(3));
        assert_eq!(queue.next(), ["first"]);
        // Once AWS may be asked again, whoever asks first.
        for (uid, position) in [("third", 2), ("second", 1)] {
            let answer = queue.ask(uid, "a", || none.clone(), at(20));
            assert!(
                matches!(answer, Answer::Wait { position: at, .. } if at == position),
                "{uid}: {answer:?}"
            );
        }
        assert_eq!(queue.ask("first", "a", || none.clone(), at(20)), Answer::Go);
        queue.done("first", None);
        assert_eq!(queue.next(), ["second"]);
    }

    #[test]
    fn the_statuses_are_looked_at_only_by_who_may_be_next() {
        let (mut queue, none) = (Queue::new(1), HashSet::new);
        assert_eq!(queue.ask("a", "a", none, at(0)), Answer::Go);
        for waiter in ["b", "c"] {
            assert!(matches!(
                queue.ask(waiter, "a", none, at(1)),
                Answer::Wait { .. }
            ));
        }
        let looked = std::cell::Cell::new(0);
        let look = || {
            looked.set(looked.get() + 1);
            HashSet::new()
        };
        queue.ask("c", "a", look, at(2));
        assert_eq!(looked.get(), 0, "two come first");
        queue.done("a", None);
        queue.ask("c", "a", look, at(3));
        assert_eq!(looked.get(), 0, "one comes first");
        assert_eq!(queue.ask("b", "a", look, at(3)), Answer::Go);
        assert_eq!(looked.get(), 1);
    }
}
