//! A table of single decisions, and lives by chance that must keep what is promised.

use proptest::prelude::*;

use super::*;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + second).unwrap()
}

fn wanted() -> Wanted {
    Wanted {
        uid: "u".to_owned(),
        auth: Auth::SecretBasic,
        user: false,
        service_account: None,
        revision: "one".to_owned(),
        scopes: Vec::new(),
        withdrawn: BTreeSet::new(),
        window: None,
        renew: None,
        revoke: None,
    }
}

const NOTHING: Abilities = Abilities {
    secrets_in_place: false,
    updates: false,
};
const EVERYTHING: Abilities = Abilities {
    secrets_in_place: true,
    updates: true,
};

/// Versions in these states; the last one is of the rotation that is open, if one is pending.
fn known(states: &[State]) -> Known {
    let version = |(number, state): (i64, &State)| Version {
        number,
        state: *state,
        way: Way::Client,
        auth: Auth::SecretBasic,
        user: false,
        service_account: None,
        client_id: None,
        revision: "one".to_owned(),
        scopes: Vec::new(),
        created: Some(at(0)),
        expires: Some(at(30 * DAY)),
        retires: (*state == State::Previous).then(|| at(HOUR)),
    };
    let newest = i64::try_from(states.len()).unwrap();
    let open = states.contains(&State::Pending).then(|| Open {
        version: newest,
        cause: Cause::Due,
        step: Step::Create,
        started: at(0),
    });
    Known {
        versions: (1..).zip(states).map(version).collect(),
        open,
        newest,
        ..Known::default()
    }
}

fn decide(wanted: &Wanted, known: &Known, able: Abilities, now: i64) -> Next {
    next(wanted, known, &Seen::default(), able, at(now))
}

#[test]
fn there_is_one_version_and_it_is_replaced_when_its_time_comes() {
    use State::*;
    let none = Known::default();
    assert_eq!(
        decide(&wanted(), &none, NOTHING, 0),
        Next::Begin(Cause::Initial, Way::Client)
    );
    let one = known(&[Current]);
    let Next::Rest(Some(due)) = decide(&wanted(), &one, NOTHING, 0) else {
        panic!("it rests until it is due")
    };
    assert!(due <= at(20 * DAY), "{due}");
    let then = due.as_second() - at(0).as_second();
    for (able, way) in [(NOTHING, Way::Client), (EVERYTHING, Way::Secret)] {
        assert_eq!(
            decide(&wanted(), &one, able, then),
            Next::Begin(Cause::Due, way)
        );
    }
    let both = known(&[Previous, Current]);
    assert_eq!(
        decide(&wanted(), &both, NOTHING, HOUR - 1),
        Next::Rest(Some(at(HOUR)))
    );
    assert_eq!(decide(&wanted(), &both, NOTHING, HOUR), Next::Remove(1));
}

#[test]
fn a_key_follows_a_key_of_the_same_client_where_that_can_be() {
    let wanted = Wanted {
        auth: Auth::Key,
        renew: Some("now".to_owned()),
        ..wanted()
    };
    let mut one = known(&[State::Current]);
    one.versions[0].auth = Auth::Key;
    for (able, way) in [(NOTHING, Way::Client), (EVERYTHING, Way::Key)] {
        assert_eq!(
            decide(&wanted, &one, able, 0),
            Next::Begin(Cause::Requested, way)
        );
    }
}

#[test]
fn what_is_open_is_resumed_or_abandoned_and_never_overtaken() {
    use State::*;
    let mut open = known(&[Current, Pending]);
    let other = Wanted {
        revision: "two".to_owned(),
        renew: Some("now".to_owned()),
        ..wanted()
    };
    assert_eq!(
        decide(&wanted(), &open, NOTHING, 0),
        Next::Continue(Step::Create)
    );
    assert_eq!(decide(&other, &open, NOTHING, 0), Next::Abandon(2));
    // What was delivered may be in use already.
    for step in [Step::Deliver, Step::Test] {
        open.open.as_mut().unwrap().step = step;
        assert_eq!(decide(&other, &open, NOTHING, 0), Next::Continue(step));
    }
    open.abandon(2);
    assert_eq!(decide(&wanted(), &open, NOTHING, 0), Next::Remove(2));
    let seen = Seen {
        stuck: [2].into(),
        ..Seen::default()
    };
    assert_eq!(
        next(&other, &open, &seen, NOTHING, at(0)),
        Next::Stuck(Cause::Changed, 2),
        "one that cannot be removed lives"
    );
}

#[test]
fn a_change_is_made_in_place_where_that_can_be() {
    use State::*;
    let one = known(&[Current]);
    let scopes = Wanted {
        revision: "two".to_owned(),
        ..wanted()
    };
    assert_eq!(decide(&scopes, &one, EVERYTHING, 0), Next::Update(1));
    assert_eq!(
        decide(&scopes, &one, NOTHING, 0),
        Next::Begin(Cause::Changed, Way::Client)
    );
    let public = Wanted {
        auth: Auth::Public,
        ..wanted()
    };
    assert_eq!(
        decide(&public, &one, EVERYTHING, 0),
        Next::Begin(Cause::Changed, Way::Client)
    );
    let both = known(&[Previous, Current]);
    assert_eq!(
        decide(&scopes, &both, NOTHING, 0),
        Next::Wait(Cause::Changed, at(HOUR))
    );
    // Nothing of a public client grows old, and there is nothing to renew.
    let mut one = one;
    one.versions[0].auth = Auth::Public;
    let public = Wanted {
        renew: Some("now".to_owned()),
        ..public
    };
    assert_eq!(decide(&public, &one, NOTHING, 100 * DAY), Next::Rest(None));
}

/// How long two versions overlap is the holder's to say, but not for how long it keeps what was taken back.
#[test]
fn what_was_taken_back_is_kept_for_no_overlap_but_ours() {
    use State::*;
    let withdrawn = |revision: &str| Wanted {
        revision: revision.to_owned(),
        withdrawn: ["orders.read".to_owned()].into(),
        ..wanted()
    };
    let long = Duration::from_secs(3333 * 86_400);
    for (cause, until) in [(Cause::Withdrawn, HOUR), (Cause::Changed, 3333 * DAY)] {
        let mut open = known(&[Current, Pending]);
        open.open.as_mut().unwrap().cause = cause;
        open.promote(long, at(0));
        assert_eq!(open.retires(), Some(at(until)), "{cause:?}");
        open.open = known(&[Current, Pending]).open;
        open.versions[0].state = Current;
        open.versions[1].state = Pending;
        open.promote(Duration::from_secs(60), at(0));
        assert_eq!(
            open.retires(),
            Some(at(60)),
            "{cause:?}: shorter is shorter"
        );
    }
    // The version before may hold it still, whatever becomes of the one in use.
    let mut both = known(&[Previous, Current]);
    both.versions[0].retires = Some(at(3333 * DAY));
    let rests = decide(&withdrawn("one"), &both, EVERYTHING, 0);
    assert!(matches!(rests, Next::Rest(_)), "it does not hold it");
    both.versions[0].scopes = vec!["orders.read".to_owned()];
    for (able, revision) in [(NOTHING, "one"), (EVERYTHING, "two")] {
        let shorten = decide(&withdrawn(revision), &both, able, 0);
        assert_eq!(shorten, Next::Shorten(1));
    }
    // Or be in the way of one without it.
    both.versions[0].scopes.clear();
    assert_eq!(
        decide(&withdrawn("two"), &both, EVERYTHING, 0),
        Next::Update(2)
    );
    assert_eq!(
        decide(&withdrawn("two"), &both, NOTHING, 0),
        Next::Shorten(1)
    );
    both.shorten(1, at(0));
    let wait = Next::Wait(Cause::Withdrawn, at(HOUR));
    for now in [0, 60, HOUR - 1] {
        assert_eq!(decide(&withdrawn("two"), &both, NOTHING, now), wait);
    }
    assert_eq!(
        decide(&withdrawn("two"), &both, NOTHING, HOUR),
        Next::Remove(1)
    );
}

#[test]
fn a_workload_has_nothing_to_replace_and_another_one_comes_beside_it() {
    use State::*;
    let of = |name: &str| Wanted {
        auth: Auth::Workload,
        service_account: Some(name.to_owned()),
        ..wanted()
    };
    let secret = known(&[Current]);
    let begin = Next::Begin(Cause::Changed, Way::Client);
    assert_eq!(decide(&of("api"), &secret, EVERYTHING, 0), begin);
    let mut one = secret;
    one.versions[0].auth = Auth::Workload;
    one.versions[0].service_account = Some("api".to_owned());
    let renewed = Wanted {
        renew: Some("now".to_owned()),
        ..of("api")
    };
    for wanted in [of("api"), renewed] {
        let much_later = decide(&wanted, &one, EVERYTHING, 100 * DAY);
        assert_eq!(much_later, Next::Rest(None));
    }
    assert_eq!(decide(&of("other"), &one, EVERYTHING, 0), begin);
    assert_eq!(decide(&wanted(), &one, EVERYTHING, 0), begin);
    let scopes = Wanted {
        revision: "two".to_owned(),
        ..of("api")
    };
    assert_eq!(decide(&scopes, &one, EVERYTHING, 0), Next::Update(1));
    // Back to the one before: not beside it, while it is there.
    let mut both = known(&[Previous, Current]);
    for (version, name) in both.versions.iter_mut().zip(["api", "other"]) {
        version.auth = Auth::Workload;
        version.service_account = Some(name.to_owned());
    }
    let wait = Next::Wait(Cause::Changed, at(HOUR));
    assert_eq!(decide(&of("api"), &both, EVERYTHING, 0), wait);
    // Nor where what came after it was lost.
    both.versions.truncate(1);
    let wait = Next::Wait(Cause::Lost, at(HOUR));
    assert_eq!(decide(&of("api"), &both, EVERYTHING, 0), wait);
    let mut open = known(&[Current, Pending]);
    open.versions[1].auth = Auth::Workload;
    open.versions[1].service_account = Some("api".to_owned());
    assert_eq!(decide(&of("other"), &open, EVERYTHING, 0), Next::Abandon(2));
}

#[test]
fn a_revocation_takes_all_and_makes_one_anew() {
    use State::*;
    let revoke = Wanted {
        revoke: Some("now".to_owned()),
        ..wanted()
    };
    for states in [&[Current][..], &[Previous, Current], &[Current, Pending]] {
        let mut all = known(states);
        assert_eq!(decide(&revoke, &all, EVERYTHING, 0), Next::Revoke);
        all.revoke(revoke.revoke.clone());
        for number in 1..=all.newest {
            assert_eq!(decide(&revoke, &all, EVERYTHING, 0), Next::Remove(number));
            all.removed(number);
        }
        assert_eq!(
            decide(&revoke, &all, EVERYTHING, 0),
            Next::Begin(Cause::Revoked, Way::Client)
        );
        let number = all.begin(&revoke, Cause::Revoked, Way::Client, at(0));
        assert_eq!(number, i64::try_from(states.len()).unwrap() + 1);
    }
}

#[test]
fn one_that_the_server_takes_no_more_is_replaced() {
    use State::*;
    let lost = Seen {
        lost: Some(at(0)),
        ..Seen::default()
    };
    let then = |known: &Known, now| next(&wanted(), known, &lost, EVERYTHING, at(now));
    let decide = |known: &Known| then(known, 0);
    assert_eq!(
        decide(&known(&[Current])),
        Next::Begin(Cause::Lost, Way::Client)
    );
    let mut both = known(&[Previous, Current]);
    // Once may be a replica that is late: the one in use is not removed for that.
    assert_eq!(decide(&both), Next::Rest(Some(at(180))));
    assert_eq!(then(&both, 179), Next::Rest(Some(at(180))));
    assert_eq!(then(&both, 180), Next::Abandon(2));
    both.abandon(2);
    both.removed(2);
    assert_eq!(decide(&both), Next::Begin(Cause::Lost, Way::Client));
}

#[test]
fn the_one_before_stays_while_it_is_all_that_there_is() {
    use State::*;
    let alone = known(&[Previous]);
    assert_eq!(
        decide(&wanted(), &alone, NOTHING, 2 * HOUR),
        Next::Begin(Cause::Lost, Way::Client)
    );
    let followed = known(&[Previous, Pending]);
    assert_eq!(
        decide(&wanted(), &followed, NOTHING, 2 * HOUR),
        Next::Continue(Step::Create)
    );
    let mut followed = followed;
    followed.promote(Duration::from_secs(60), at(2 * HOUR));
    assert_eq!(
        decide(&wanted(), &followed, NOTHING, 2 * HOUR),
        Next::Remove(1)
    );
}

#[test]
fn places_that_refuse_hold_up_nobody_who_would_lose_all() {
    let one = known(&[State::Current]);
    let current = one.current();
    let ends = Some(at(30 * DAY));
    let urgent = |cause, ends, now| is_urgent(cause, current, ends, at(now));
    assert!(!urgent(Cause::Due, ends, 20 * DAY));
    assert!(urgent(Cause::Due, ends, 26 * DAY));
    assert!(
        !urgent(Cause::Due, None, 26 * DAY),
        "nothing ends by itself"
    );
    assert!(urgent(Cause::Lost, None, 0) && urgent(Cause::Revoked, None, 0));
    let passed = |cause, ends, now| may_pass_over(cause, current, ends, at(now));
    assert!(
        !passed(Cause::Due, ends, 26 * DAY),
        "what is there still works"
    );
    assert!(passed(Cause::Due, ends, 30 * DAY));
    assert!(!passed(Cause::Due, None, 40 * DAY));
    assert!(passed(Cause::Lost, None, 0) && passed(Cause::Revoked, None, 0));
}

/// What may happen in a life.
#[derive(Debug, Clone)]
enum Event {
    Pass,
    Passes,
    Later(i64),
    Change(u8),
    Public(bool),
    Workload(u8),
    Renew,
    Revoke,
    Lose,
}

fn events() -> impl Strategy<Value = Vec<(Event, bool)>> {
    let event = prop_oneof![
        6 => Just(Event::Pass),
        3 => Just(Event::Passes),
        3 => (1..40 * HOUR).prop_map(Event::Later),
        1 => (0..3u8).prop_map(Event::Change),
        1 => any::<bool>().prop_map(Event::Public),
        1 => (0..2u8).prop_map(Event::Workload),
        1 => Just(Event::Renew),
        1 => Just(Event::Revoke),
        1 => Just(Event::Lose),
    ];
    // The second: whether the server and the places do what they are asked.
    proptest::collection::vec((event, proptest::bool::weighted(0.8)), 1..80)
}

fn authenticate(wanted: &mut Wanted, auth: Auth, workload: Option<u8>) {
    wanted.auth = auth;
    wanted.service_account = workload.map(|which| format!("account-{which}"));
}

struct Life {
    wanted: Wanted,
    known: Known,
    seen: Seen,
    able: Abilities,
    now: i64,
    begun: BTreeSet<i64>,
    gone: BTreeSet<i64>,
}

impl Life {
    /// One pass; what it decided.
    fn pass(&mut self, works: bool) -> Next {
        let now = at(self.now);
        let had = self.known.current().map(|current| current.number);
        let decided = next(&self.wanted, &self.known, &self.seen, self.able, now);
        self.gone.extend(had.filter(|_| self.seen.lost.is_some()));
        match decided {
            Next::Revoke => self.known.revoke(self.wanted.revoke.clone()),
            Next::Abandon(number) => self.known.abandon(number),
            Next::Remove(number) if works => self.known.removed(number),
            Next::Begin(cause, way) if works => {
                let number = self.known.begin(&self.wanted, cause, way, now);
                assert!(self.begun.insert(number), "{number} was used before");
            }
            Next::Update(number) if works => {
                let revision = self.wanted.revision.clone();
                let current = self
                    .known
                    .versions
                    .iter_mut()
                    .find(|it| it.number == number);
                current.unwrap().revision = revision;
            }
            Next::Continue(step) if works => self.go_on(step),
            _ => {}
        }
        // It is in use until another one is, unless somebody or the server has ended it.
        if let Some(number) = had
            && self.known.current().is_none()
        {
            assert!(
                decided == Next::Revoke
                    || (self.seen.lost.is_some() && decided == Next::Abandon(number))
            );
        }
        assert!(self.known.versions.len() <= 2, "{:#?}", self.known);
        // One that the server has lost is in nobody's way there.
        let there = self.known.versions.iter();
        let there = there.filter(|it| !self.gone.contains(&it.number));
        let named = there.filter_map(|it| it.service_account.as_ref());
        let different: BTreeSet<_> = named.clone().collect();
        assert_eq!(named.count(), different.len(), "{:#?}", self.known);
        if decided == Next::Abandon(had.unwrap_or(-1)) {
            self.seen.lost = None;
        }
        decided
    }

    fn go_on(&mut self, step: Step) {
        let open = self.known.open.as_mut().unwrap();
        match step {
            Step::Create => {
                let number = open.version;
                open.step = Step::Deliver;
                let made = self
                    .known
                    .versions
                    .iter_mut()
                    .find(|it| it.number == number);
                let made = made.unwrap();
                made.created = Some(at(self.now));
                made.expires = Some(at(self.now + 2 * DAY));
            }
            Step::Deliver => open.step = Step::Test,
            Step::Test => {
                self.known.promote(Duration::from_secs(3600), at(self.now));
                self.seen.lost = None;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order: never more than two versions, no number twice, nothing in use is given up
    /// before another is in use; and when it calms down, one version alone, with all that was declared.
    #[test]
    fn lives_by_chance_keep_what_is_promised(events in events(), in_place: bool, updates: bool) {
        let mut life = Life {
            wanted: wanted(),
            known: Known::default(),
            seen: Seen::default(),
            able: Abilities { secrets_in_place: in_place, updates },
            now: 0,
            begun: BTreeSet::new(),
            gone: BTreeSet::new(),
        };
        for (number, (event, works)) in events.into_iter().enumerate() {
            match event {
                Event::Pass => { life.pass(works); },
                Event::Passes => (0..10).for_each(|_| { life.pass(works); }),
                Event::Later(seconds) => life.now += seconds,
                Event::Change(revision) => life.wanted.revision = format!("{revision}"),
                Event::Public(true) => authenticate(&mut life.wanted, Auth::Public, None),
                Event::Public(false) => authenticate(&mut life.wanted, Auth::SecretBasic, None),
                Event::Workload(which) => authenticate(&mut life.wanted, Auth::Workload, Some(which)),
                Event::Renew => life.wanted.renew = Some(number.to_string()),
                Event::Revoke => life.wanted.revoke = Some(number.to_string()),
                Event::Lose => life.seen.lost = life.known.current().map(|_| at(life.now)),
            }
        }
        // An hour's overlap for each of the rotations that may still be owed, and then it is quiet.
        for _ in 0..60 {
            life.now += 600;
            (0..8).for_each(|_| { life.pass(true); });
        }
        while life.known.versions.len() > 1 {
            life.now += 600;
            (0..8).for_each(|_| { life.pass(true); });
            prop_assert!(life.now < 4000 * DAY);
        }
        let current = life.known.current().cloned();
        let current = current.expect("one in use");
        prop_assert_eq!(life.known.versions.len(), 1);
        prop_assert_eq!(current.revision, life.wanted.revision.clone());
        prop_assert_eq!(current.auth, life.wanted.auth);
        prop_assert_eq!(current.service_account, life.wanted.service_account.clone());
        let rests = matches!(life.pass(true), Next::Rest(_) | Next::Begin(Cause::Due, _));
        prop_assert!(rests, "{:#?}", life.known);
    }
}
