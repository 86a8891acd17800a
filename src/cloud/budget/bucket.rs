//! The rule of a budget: a token bucket whose rate learns. Pure; the time is an argument.

use std::time::Duration;

use super::Limits;

/// By how much a refusal lowers the rate.
const DECREASE: f64 = 0.5;
/// How much of its ceiling the rate regains for every second of calls that went well: from half to all of it in less
/// than two minutes, and slowly enough that even who always asks runs into a limit below the ceiling with less than
/// one call of a hundred.
const INCREASE_PER_SECOND: f64 = 0.005;
/// What rounding may lack for a whole token.
const ROUNDING: f64 = 1e-9;

/// A token bucket: `burst` calls at once, then as many per second as AWS lets us. Every refusal halves the rate,
/// every success raises it a little (additive increase, multiplicative decrease).
///
/// `now` is the time since any fixed moment.
#[derive(Debug, Clone)]
pub struct Bucket {
    limits: Limits,
    rate: f64,
    tokens: f64,
    /// When `tokens` was right.
    at: Duration,
    /// When the rate was lowered last.
    lowered: Option<Duration>,
}

impl Bucket {
    /// A full bucket.
    pub fn new(limits: Limits) -> Self {
        let rate = limits.rate.clamp(limits.floor, limits.ceiling);
        Self {
            limits,
            rate,
            tokens: limits.burst,
            at: Duration::ZERO,
            lowered: None,
        }
    }

    /// Calls per second at the moment.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Takes a token, or says how long there will be none.
    pub fn take(&mut self, now: Duration) -> Result<(), Duration> {
        self.refill(now);
        if self.tokens + ROUNDING >= 1.0 {
            self.tokens = (self.tokens - 1.0).max(0.0);
            Ok(())
        } else {
            // One more nanosecond, since rounding down would have the asker come too early, over and over.
            let wait = Duration::from_secs_f64((1.0 - self.tokens) / self.rate);
            Err(wait + Duration::from_nanos(1))
        }
    }

    /// Takes a token that may not be there yet. How long until it is.
    pub fn book(&mut self, now: Duration) -> Duration {
        self.refill(now);
        self.tokens -= 1.0;
        if self.tokens + ROUNDING >= 0.0 {
            return Duration::ZERO;
        }
        Duration::from_secs_f64(-self.tokens / self.rate) + Duration::from_nanos(1)
    }

    /// AWS refused a call that was made at `started` because there were too many.
    pub fn on_throttle(&mut self, now: Duration, started: Duration) {
        // Calls that were under way when the rate was lowered say nothing about the lower one; without this a
        // burst of refusals would bring the rate to its floor at once.
        if self.lowered.is_some_and(|lowered| started < lowered) {
            return;
        }
        self.refill(now);
        // AWS's own bucket is empty, whatever ours has.
        self.tokens = self.tokens.min(0.0);
        self.rate = (self.rate * DECREASE).max(self.limits.floor);
        self.lowered = Some(now);
    }

    /// A call went through.
    pub fn on_success(&mut self) {
        // One call stands for 1/rate seconds, so this is the same slope at any rate.
        let step = self.limits.ceiling * INCREASE_PER_SECOND / self.rate;
        self.rate = (self.rate + step).min(self.limits.ceiling);
    }

    fn refill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.rate).min(self.limits.burst);
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(s: f64) -> Duration {
        Duration::from_secs_f64(s)
    }

    /// How many tokens there are at once at `now`.
    fn drain(bucket: &mut Bucket, now: Duration) -> usize {
        std::iter::from_fn(|| bucket.take(now).ok()).count()
    }

    /// How many seconds there is no token from `now` on, to the millisecond.
    fn wait(bucket: &mut Bucket, now: f64) -> f64 {
        let wait = bucket.take(seconds(now)).unwrap_err();
        (wait.as_secs_f64() * 1000.0).round() / 1000.0
    }

    #[test]
    fn a_burst_then_the_rate() {
        let mut bucket = Bucket::new(Limits::published(0.1, 3.0));
        assert_eq!(drain(&mut bucket, seconds(0.0)), 3);
        assert_eq!(wait(&mut bucket, 0.0), 10.0);
        assert_eq!(wait(&mut bucket, 4.0), 6.0);
        assert_eq!(bucket.take(seconds(10.0)), Ok(()));
        // Idle time fills it up to the burst and no further.
        assert_eq!(drain(&mut bucket, seconds(10_000.0)), 3);
    }

    #[test]
    fn a_refusal_halves_the_rate_and_empties_the_bucket() {
        let mut bucket = Bucket::new(Limits::published(2.0, 4.0));
        bucket.on_throttle(seconds(1.0), seconds(0.5));
        assert_eq!(bucket.rate(), 1.0);
        assert_eq!(wait(&mut bucket, 1.0), 1.0);
    }

    #[test]
    fn calls_made_before_the_rate_was_lowered_do_not_lower_it_again() {
        let mut bucket = Bucket::new(Limits::published(8.0, 4.0));
        for _ in 0..4 {
            bucket.on_throttle(seconds(1.0), seconds(0.5));
        }
        assert_eq!(bucket.rate(), 4.0);
        bucket.on_throttle(seconds(2.0), seconds(1.5));
        assert_eq!(bucket.rate(), 2.0);
    }

    #[test]
    fn success_brings_the_rate_back_to_the_ceiling_in_two_minutes() {
        for rate in [0.1, 2.0, 20.0] {
            let mut bucket = Bucket::new(Limits::published(rate, 1.0));
            bucket.on_throttle(seconds(0.0), seconds(0.0));
            let (mut now, mut calls) = (Duration::ZERO, 0);
            while bucket.rate() < rate {
                match bucket.take(now) {
                    Ok(()) => bucket.on_success(),
                    Err(wait) => now += wait,
                }
                calls += 1;
                assert!(calls < 100_000);
            }
            assert!(
                (80.0..=130.0).contains(&now.as_secs_f64()),
                "{rate}/s: {now:?}"
            );
        }
    }

    /// AWS with its own bucket, of which we do not know the rate.
    #[test]
    fn a_limit_below_the_ceiling_is_learned() {
        let mut ours = Bucket::new(Limits::guessed(5.0, 8.0, 8.0));
        let mut theirs = Bucket::new(Limits::published(3.0, 5.0));
        let (mut now, mut made, mut refused) = (Duration::ZERO, 0, 0);
        while now < seconds(3600.0) {
            if let Err(wait) = ours.take(now) {
                now += wait;
                continue;
            }
            made += 1;
            match theirs.take(now) {
                Ok(()) => ours.on_success(),
                Err(_) => {
                    refused += 1;
                    ours.on_throttle(now, now);
                }
            }
        }
        assert!(
            f64::from(refused) < 0.01 * f64::from(made),
            "{refused} of {made}"
        );
        let share = f64::from(made - refused) / (3.0 * 3600.0);
        assert!(share > 0.7, "{share} of what AWS would have taken");
    }

    #[derive(Debug, Clone)]
    enum Event {
        Wait(u32),
        Take,
        Throttle,
        Success,
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let event = prop_oneof![
            (0u32..5_000).prop_map(Event::Wait),
            Just(Event::Take),
            Just(Event::Take),
            Just(Event::Throttle),
            Just(Event::Success),
        ];
        prop::collection::vec(event, 0..200)
    }

    proptest! {
        /// Whatever happens: the rate stays in its bounds, a refused asker is told a moment at which there is a
        /// token (if nobody else comes), and no window sees more than the burst plus the ceiling's share.
        #[test]
        fn the_bucket_keeps_its_promises(events in events(), rate in 0.1f64..20.0, burst in 1.0f64..10.0) {
            let limits = Limits::guessed(rate, burst, rate * 2.0);
            let mut bucket = Bucket::new(limits);
            let mut now = Duration::ZERO;
            let mut taken: Vec<Duration> = Vec::new();
            for event in events {
                match event {
                    Event::Wait(ms) => now += Duration::from_millis(ms.into()),
                    Event::Throttle => bucket.on_throttle(now, now),
                    Event::Success => bucket.on_success(),
                    Event::Take => match bucket.take(now) {
                        Ok(()) => taken.push(now),
                        Err(wait) => {
                            prop_assert!(wait <= seconds(1.0 / limits.floor + 0.001));
                            prop_assert_eq!(bucket.clone().take(now + wait), Ok(()));
                        }
                    },
                }
                prop_assert!((limits.floor..=limits.ceiling).contains(&bucket.rate()));
            }
            for (i, first) in taken.iter().enumerate() {
                for (n, last) in taken[i..].iter().enumerate() {
                    let allowed = burst + limits.ceiling * (*last - *first).as_secs_f64();
                    prop_assert!((n + 1) as f64 <= allowed + 0.001, "{} calls in {:?}", n + 1, *last - *first);
                }
            }
        }
    }
}
