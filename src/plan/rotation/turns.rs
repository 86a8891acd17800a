//! Which of its moments a client takes: so that rotations are more even than chance would have them.
//!
//! A few series of moments follow from a client's uid, and it takes the one whose minute the fewest others have. That is
//! decided once, when its first version is made, and kept: what recurs stays as even as it was laid out. Nobody hands turns
//! out; a replica that knows of few others, or two that decide at once, are less even for it and nothing else.

use std::borrow::Cow;
use std::collections::HashMap;

use k8s_openapi::jiff::Timestamp;

use super::schedule::{Window, cycle, due_at};
use crate::plan::revision::fnv1a;

/// How many series a client chooses from. Two would do for new ones; more also fill what those leave that go.
pub const CHOICES: u8 = 4;

/// The series of that number among those that follow from a uid.
pub fn series(uid: &str, turn: Option<u8>) -> Cow<'_, str> {
    match turn {
        None | Some(0) => Cow::Borrowed(uid),
        Some(turn) => Cow::Owned(format!("{uid}/{turn}")),
    }
}

/// How many rotations each minute has: the next one of every client. Asking and noting cost the same however many
/// there are.
#[derive(Debug, Clone, Default)]
pub struct Load {
    // By a hash of the uid, for its size: where two are one, a minute counts one rotation less.
    of: HashMap<u64, i64>,
    minutes: HashMap<i64, u32>,
}

impl Load {
    /// When a client's next rotation is; nothing, where there is none.
    pub fn note(&mut self, uid: &str, next: Option<Timestamp>) {
        let key = fnv1a(uid.as_bytes());
        let new = next.map(minute);
        let old = match new {
            Some(new) => self.of.insert(key, new),
            None => self.of.remove(&key),
        };
        if old == new {
            return;
        }
        if let Some(old) = old
            && let Some(count) = self.minutes.get_mut(&old)
        {
            *count -= 1;
            if *count == 0 {
                self.minutes.remove(&old);
            }
        }
        if let Some(new) = new {
            *self.minutes.entry(new).or_default() += 1;
        }
    }

    /// How many have that minute.
    pub fn at(&self, minute: i64) -> u32 {
        self.minutes.get(&minute).copied().unwrap_or_default()
    }
}

/// The turn that a client takes whose first version is valid from `created` to `expires`, and when that is.
pub fn choose(
    uid: &str,
    (created, expires): (Timestamp, Timestamp),
    window: Option<&Window>,
    load: &Load,
) -> (u8, Timestamp) {
    let of = |turn| {
        (
            turn,
            due_at(&series(uid, Some(turn)), created, expires, window),
        )
    };
    let weight = |(turn, due): &(u8, Timestamp)| {
        // Those whose next moment comes before the twelfth that a new client waits have this one after it. In a window
        // all that wait for it are there already.
        let before = due.as_second() - cycle(created, expires);
        let again = match window {
            None => load.at(before.div_euclid(60)),
            Some(_) => 0,
        };
        (load.at(minute(*due)) + again, *turn)
    };
    (1..CHOICES).map(of).fold(of(0), |best, other| {
        if weight(&other) < weight(&best) {
            other
        } else {
            best
        }
    })
}

fn minute(at: Timestamp) -> i64 {
    at.as_second().div_euclid(60)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: i64 = 6 * 3600;
    const CYCLE: i64 = LIFE * 7 / 12;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + second).unwrap()
    }

    struct Client {
        uid: String,
        turn: Option<u8>,
        created: i64,
    }

    /// Clients that were made at those seconds, and have chosen as they came.
    fn take(uids: impl Iterator<Item = (String, i64)>, load: &mut Load) -> Vec<Client> {
        uids.map(|(uid, created)| {
            let (turn, due) = choose(&uid, (at(created), at(created + LIFE)), None, load);
            load.note(&uid, Some(due));
            Client {
                uid,
                turn: Some(turn),
                created,
            }
        })
        .collect()
    }

    /// Lets them live until then, and notes what comes next.
    fn live(clients: &mut [Client], until: i64, load: &mut Load) {
        for client in clients {
            loop {
                let series = series(&client.uid, client.turn);
                let due = due_at(&series, at(client.created), at(client.created + LIFE), None);
                let age = due.as_second() - at(client.created).as_second();
                assert!((LIFE / 12..=LIFE * 2 / 3).contains(&age), "{age}");
                if due >= at(until) {
                    load.note(&client.uid, Some(due));
                    break;
                }
                client.created += age + 5;
            }
        }
    }

    /// The most in a minute against the mean, over a cycle that begins then.
    fn unevenness(clients: &mut [Client], from: i64) -> f64 {
        let mut load = Load::default();
        live(clients, from, &mut load);
        let minutes = from / 60..(from + CYCLE) / 60;
        let start = minute(at(0));
        let most = minutes.map(|minute| load.at(start + minute)).max().unwrap();
        f64::from(most) / (clients.len() as f64 / (CYCLE / 60) as f64)
    }

    fn uids(name: &str, count: i64) -> impl Iterator<Item = (String, i64)> {
        (0..count).map(move |number| (format!("{name}-{number:012}"), number % 60))
    }

    #[test]
    fn those_that_come_at_once_are_even_and_stay_so() {
        for seed in 0..20 {
            let mut load = Load::default();
            let mut clients = take(uids(&format!("s{seed}"), 10_000), &mut load);
            for from in [LIFE / 12, 40 * CYCLE] {
                let found = unevenness(&mut clients, from);
                println!("seed {seed}, from {from} s: {found:.2}");
                assert!(found <= 1.2, "seed {seed} from {from}: {found}");
            }
            // As chance would have it.
            for client in &mut clients {
                client.turn = None;
            }
            assert!(
                unevenness(&mut clients, 40 * CYCLE) > 1.25,
                "nothing is gained"
            );
        }
    }

    #[test]
    fn what_some_leave_others_fill() {
        let mut load = Load::default();
        let mut clients = take(uids("first", 10_000), &mut load);
        // Later, at any moment, one goes and another one comes, until half of them are others.
        for number in 0..5_000 {
            let now = 3 * CYCLE + number * 11;
            if number % 500 == 0 {
                live(&mut clients, now, &mut load);
            }
            let gone = clients.remove(usize::try_from(number * 7_919 % 5_000).unwrap());
            load.note(&gone.uid, None);
            let new = (format!("later-{number}"), now);
            clients.extend(take(std::iter::once(new), &mut load));
        }
        let found = unevenness(&mut clients, 40 * CYCLE);
        println!("half of them others: {found:.2}");
        assert!(found <= 1.3, "{found}");
    }

    #[test]
    fn the_first_of_equals_is_taken_and_what_is_taken_is_avoided() {
        let life = (at(0), at(LIFE));
        let mut load = Load::default();
        let (turn, due) = choose("a", life, None, &load);
        assert_eq!((turn, due), (0, due_at("a", life.0, life.1, None)));
        load.note("b", Some(due));
        let (other, later) = choose("a", life, None, &load);
        assert_eq!(other, 1);
        assert_ne!(minute(later), minute(due));
        // One that has that moment a cycle earlier has it again.
        load.note(
            "b",
            Some(Timestamp::from_second(due.as_second() - CYCLE).unwrap()),
        );
        assert_eq!(choose("a", life, None, &load).0, 1);
        load.note("b", None);
        assert_eq!(choose("a", life, None, &load).0, 0);
        assert!(load.minutes.is_empty() && load.of.is_empty());
    }

    #[test]
    fn a_window_is_shared_out_too() {
        let window = Window {
            days: [].into(),
            from: 60,
            to: 120,
        };
        let life = (at(0), at(30 * 86_400));
        let (mut load, mut most) = (Load::default(), HashMap::<i64, u32>::new());
        for client in 0..10_000 {
            let uid = format!("w-{client}");
            let (_, due) = choose(&uid, life, Some(&window), &load);
            let of_day = minute(due).rem_euclid(1440);
            assert!((60..120).contains(&of_day), "{due}");
            assert!(due <= at(20 * 86_400 + 86_400), "{due}");
            load.note(&uid, Some(due));
            *most.entry(minute(due)).or_default() += 1;
        }
        let most = most.into_values().max().unwrap();
        // Fewer than eighteen days of sixty minutes: nine and a half a minute.
        assert!(most <= 14, "{most}");
    }
}
