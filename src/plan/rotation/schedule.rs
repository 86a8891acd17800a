//! When credentials are replaced, if nobody asks for it: so that ten thousand clients never come at once.

use std::collections::BTreeSet;

use k8s_openapi::jiff::Timestamp;

use crate::plan::revision::fnv1a;

const MINUTE: i64 = 60;
const DAY: i64 = 86_400;

/// A time of the day on some days of the week, in UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// The days on which it begins, Monday being 0; every day if empty.
    pub days: BTreeSet<u8>,
    /// When it begins, in minutes of the day.
    pub from: u16,
    /// When it ends; if that is not later than `from`, on the next day.
    pub to: u16,
}

impl Window {
    /// The window that is open at that time, or else the next one: from and to, in seconds.
    fn at_or_after(&self, second: i64) -> Option<(i64, i64)> {
        let today = second.div_euclid(DAY);
        // One that began yesterday may still be open; one that is open on one day of the week comes within eight.
        (today - 1..=today + 8).find_map(|day| {
            let weekday = u8::try_from((day + 3).rem_euclid(7)).ok()?;
            if !self.days.is_empty() && !self.days.contains(&weekday) {
                return None;
            }
            let from = day * DAY + i64::from(self.from) * MINUTE;
            let next_day = if self.to > self.from { 0 } else { DAY };
            let to = day * DAY + i64::from(self.to) * MINUTE + next_day;
            (to > second).then_some((from, to))
        })
    }
}

/// When credentials that are valid from `created` to `expires` are replaced: after two thirds of their life at the
/// latest, and after a twelfth at the earliest.
///
/// Each series of moments, of which every client has taken one ([`turns`](super::turns)), recurs every seven twelfths of a
/// life: the first moment that is a twelfth away counts. A client that came at any time is from then on replaced at its own moments alone, so that it is as even in the
/// tenth year as in the first, however many clients were made, or renewed, in one minute.
pub fn due_at(
    series: &str,
    created: Timestamp,
    expires: Timestamp,
    window: Option<&Window>,
) -> Timestamp {
    let (from, to) = (created.as_second(), expires.as_second());
    let life = (to - from).max(12);
    let (cycle, least) = (cycle(created, expires), life / 12);
    let phase = share(series, Of::Life, cycle);
    let rounds = (from + least - phase).div_euclid(cycle) + 1;
    let at = inside(series, phase + rounds * cycle, to - least, window);
    Timestamp::from_second(at).unwrap_or(expires)
}

/// After how many seconds the moments of a series recur, where credentials live so long.
pub fn cycle(created: Timestamp, expires: Timestamp) -> i64 {
    let life = (expires.as_second() - created.as_second()).max(12);
    (life * 7 / 12).max(1)
}

/// Whether what was due is to be replaced now: not before the next window, unless it would end too soon after that.
/// `Err`: then.
pub fn may_begin(
    series: &str,
    now: Timestamp,
    (created, expires): (Timestamp, Timestamp),
    window: Option<&Window>,
) -> Result<(), Timestamp> {
    let (from, to) = (created.as_second(), expires.as_second());
    let latest = to - (to - from).max(12) / 12;
    let at = inside(series, now.as_second(), latest, window);
    if at <= now.as_second() {
        return Ok(());
    }
    Err(Timestamp::from_second(at).unwrap_or(expires))
}

/// That second if a window is open then, else a moment of the client's own in the next one; the second all the same
/// if that were after `latest`.
fn inside(series: &str, second: i64, latest: i64, window: Option<&Window>) -> i64 {
    let Some((from, to)) = window.and_then(|window| window.at_or_after(second)) else {
        return second;
    };
    if from <= second {
        return second;
    }
    let at = from + share(series, Of::Window, to - from);
    if at > latest { second } else { at }
}

/// What is shared out. Those that wait for one window have neighbouring shares of a life: their shares of the window must
/// have nothing to do with that.
#[derive(Clone, Copy)]
enum Of {
    Life = 0,
    Window = 1,
}

/// A number from 0 to below `of` that is the series' own.
fn share(series: &str, what: Of, of: i64) -> i64 {
    // The last bytes of a text hardly reach the upper bits of its hash; these three lines mix all of them (the finalizer of
    // MurmurHash3, in the public domain).
    let mut hash = fnv1a(series.as_bytes()) ^ (what as u64);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^= hash >> 33;
    let scaled = (u128::from(hash) * u128::try_from(of.max(1)).unwrap_or(1)) >> 64;
    i64::try_from(scaled).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn after(start: Timestamp, seconds: i64) -> Timestamp {
        Timestamp::from_second(start.as_second() + seconds).unwrap()
    }

    /// The rotations of 10,000 clients that were all made in one minute, for each minute of the `lives`th lives.
    fn counts(period: i64, from: i64, minutes: i64) -> Vec<u32> {
        let start = at("2026-01-01T00:00:00Z");
        let mut counts = vec![0; usize::try_from(minutes).unwrap()];
        for client in 0..10_000 {
            let uid = format!("8d9f6a3c-0000-4000-8000-{client:012}");
            let mut created = after(start, client % 60);
            loop {
                let due = due_at(&uid, created, after(created, period), None);
                let age = due.as_second() - created.as_second();
                assert!(age >= period / 12 && age <= period * 2 / 3, "{age}");
                let minute = (due.as_second() - start.as_second()) / 60 - from;
                if minute >= minutes {
                    break;
                }
                if let Ok(minute) = usize::try_from(minute) {
                    counts[minute] += 1;
                }
                // It takes a few seconds until the new one is there.
                created = after(due, 3 + client % 7);
            }
        }
        counts
    }

    #[test]
    fn ten_thousand_clients_never_come_at_once_neither_at_first_nor_later() {
        let period = 6 * 3600;
        let cycle = period * 7 / 12 / 60;
        for (name, from) in [("first", period / 12 / 60), ("fortieth", 40 * cycle)] {
            let counts = counts(period, from, cycle);
            let all: u32 = counts.iter().sum();
            let mean = f64::from(all) / counts.len() as f64;
            let most = f64::from(counts.iter().copied().max().unwrap());
            println!("{name} life of 6 h: {all} rotations, {mean:.1} a minute, {most} at most");
            assert!((9_900..=10_100).contains(&all), "{name}: {all}");
            assert!(most / mean <= 1.5, "{name}: {most} against {mean}");
        }
    }

    #[test]
    fn a_window_is_waited_for_but_not_beyond_the_end() {
        // Tuesdays and Fridays from 22:00 to 04:00. 2026-01-01 is a Thursday.
        let window = Window {
            days: [1, 4].into(),
            from: 22 * 60,
            to: 4 * 60,
        };
        let open = |text: &str| {
            let (from, to) = window.at_or_after(at(text).as_second()).unwrap();
            [from, to].map(|second| Timestamp::from_second(second).unwrap().to_string())
        };
        let friday = ["2026-01-02T22:00:00Z", "2026-01-03T04:00:00Z"];
        assert_eq!(open("2026-01-01T12:00:00Z"), friday);
        assert_eq!(open("2026-01-03T03:59:59Z"), friday, "of yesterday");
        let tuesday = ["2026-01-06T22:00:00Z", "2026-01-07T04:00:00Z"];
        assert_eq!(open("2026-01-03T04:00:00Z"), tuesday);
        let (created, now) = (at("2026-01-01T00:00:00Z"), at("2026-01-01T12:00:00Z"));
        let month = (created, after(created, 30 * DAY));
        let then = may_begin("a", now, month, Some(&window)).unwrap_err();
        assert!(then >= at(friday[0]) && then < at(friday[1]), "{then}");
        let other = may_begin("b", now, month, Some(&window)).unwrap_err();
        assert_ne!(then, other, "not all when it opens");
        assert_eq!(may_begin("a", then, month, Some(&window)), Ok(()));
        // It would have ended by then.
        let day = (created, after(created, DAY));
        assert_eq!(may_begin("a", now, day, Some(&window)), Ok(()));
        assert_eq!(may_begin("a", now, month, None), Ok(()));
        for client in 0..200 {
            let uid = format!("client-{client}");
            let due = due_at(&uid, month.0, month.1, Some(&window));
            assert_eq!(may_begin(&uid, due, month, Some(&window)), Ok(()), "{due}");
        }
    }

    #[test]
    fn lives_of_any_length_have_a_moment_in_them() {
        for life in [1, 60, 3600, 90 * DAY] {
            let created = at("2026-03-04T05:06:07Z");
            let due = due_at("uid", created, after(created, life), None);
            assert!(
                due >= created && due <= after(created, life.max(12)),
                "{due}"
            );
        }
    }
}
