//! When it is worth asking AWS whether creations are done: one call tells of all of them, and nobody is told unasked.
//!
//! What past creations took says when the next may be done. Before that no call is made; from then on one every round,
//! and ever fewer for a creation that takes much longer than any before it.

use std::collections::VecDeque;
use std::time::Duration;

/// From one question to the next, while creations may be done at any moment.
const ROUND: Duration = Duration::from_millis(1500);
/// Creations that were asked for together are done together: so long the first one waits for the others.
const TOGETHER: Duration = Duration::from_millis(700);
/// The longest pause, for creations that take longer than ever.
const LONGEST: Duration = Duration::from_secs(60);
/// What creations take at most while none is known, as people tell.
const USUAL: Duration = Duration::from_secs(180);
/// How many creations are remembered.
const MEMORY: usize = 64;
/// So many must be known before anything is concluded from them.
const ENOUGH: usize = 3;

/// How long the last creations took.
#[derive(Debug, Clone, Default)]
pub struct Rounds {
    took: VecDeque<Duration>,
}

impl Rounds {
    /// A creation has taken so long.
    pub fn learn(&mut self, took: Duration) {
        self.took.push_back(took);
        if self.took.len() > MEMORY {
            self.took.pop_front();
        }
    }

    /// How long to wait before the next question, for a creation of that age. `idle`: how long ago the last one was.
    pub fn pause(&self, age: Duration, idle: Duration) -> Duration {
        let (from, to) = self.window();
        if age < from {
            return from - age;
        }
        if idle > age - from {
            // Nothing has been asked since it may be done.
            return Duration::ZERO;
        }
        let round = (age.saturating_sub(to) / 10).clamp(ROUND, LONGEST);
        round.saturating_sub(idle)
    }

    /// The ages between which a creation may be expected to be done.
    fn window(&self) -> (Duration, Duration) {
        let known = self.took.len();
        let (Some(least), Some(most)) = (self.took.iter().min(), self.took.iter().max()) else {
            return (Duration::ZERO, USUAL);
        };
        if known < ENOUGH {
            return (Duration::ZERO, USUAL.max(*most));
        }
        // The next one may take less than any before it: the less is known, and the more they differ, the less by far.
        let unknown = *least / u32::try_from(5 * known).unwrap_or(u32::MAX);
        let margin = unknown.max((*most - *least) / 4);
        (least.saturating_sub(margin) + TOGETHER, *most + margin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(s: f64) -> Duration {
        Duration::from_secs_f64(s)
    }

    fn after(took: &[u64]) -> Rounds {
        let mut rounds = Rounds::default();
        for took in took {
            rounds.learn(Duration::from_secs(*took));
        }
        rounds
    }

    #[test]
    fn who_knows_nothing_asks_every_round() {
        let rounds = Rounds::default();
        assert_eq!(rounds.pause(seconds(0.0), seconds(100.0)), Duration::ZERO);
        assert_eq!(rounds.pause(seconds(5.0), seconds(0.5)), seconds(1.0));
        assert_eq!(rounds.pause(seconds(150.0), seconds(0.5)), seconds(1.0));
    }

    #[test]
    fn creations_that_all_take_a_minute_cost_one_question() {
        let rounds = after(&[60; 64]);
        let wait = rounds.pause(Duration::ZERO, seconds(30.0));
        assert!(wait > seconds(60.2) && wait < seconds(60.8), "{wait:?}");
        assert_eq!(rounds.pause(seconds(60.9), seconds(9.0)), Duration::ZERO);
    }

    #[test]
    fn the_more_they_differ_the_earlier_and_the_longer_it_is_asked() {
        let rounds = after(&[45, 50, 60, 70, 75]);
        let wait = rounds.pause(Duration::ZERO, Duration::ZERO);
        assert!(wait < seconds(40.0), "{wait:?}");
        assert_eq!(rounds.pause(seconds(75.0), Duration::ZERO), ROUND);
    }

    #[test]
    fn a_creation_that_hangs_is_asked_for_ever_less_often() {
        let rounds = after(&[60; 10]);
        assert_eq!(rounds.pause(seconds(161.2), Duration::ZERO), seconds(10.0));
        assert_eq!(rounds.pause(seconds(36_000.0), Duration::ZERO), LONGEST);
    }
}
