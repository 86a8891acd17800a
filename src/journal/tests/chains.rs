//! Which record comes next.

use super::super::chain::{Before, Departure, Head, Seen};
use super::super::record::{Evidence, Operation, Record, TimeSource, Unseen};
use super::{Chain, leaving, seen, time};

fn operations(records: &[Record]) -> Vec<Operation> {
    records.iter().map(|record| record.operation).collect()
}

#[test]
fn a_life_is_created_changed_deleted() {
    let mut chain = Chain::default();
    let created = chain.append(&seen("u", 1)).remove(0);
    assert_eq!(created.operation, Operation::Created);
    assert_eq!(created.who.as_deref(), Some("oidc:jane"));
    assert_eq!(created.who_from, Evidence::CreatedBy);
    assert_eq!(
        (created.at, created.at_from),
        (time(0), TimeSource::Created)
    );
    assert_eq!((created.before, created.previous), (None, None));

    let changed = chain.append(&seen("u", 2)).remove(0);
    assert_eq!(changed.operation, Operation::Changed);
    assert_eq!(changed.who.as_deref(), Some("oidc:user-2"));
    assert_eq!(
        (changed.at, changed.at_from),
        (time(2), TimeSource::ManagedFields)
    );
    assert_eq!(
        (changed.before, changed.after),
        (seen("u", 1).spec, seen("u", 2).spec)
    );
    assert_eq!(changed.observed_at, time(102));

    let deleted = chain.append(&leaving(seen("u", 2))).remove(0);
    assert_eq!(deleted.operation, Operation::Deleted);
    assert_eq!(
        (deleted.who, deleted.who_from),
        (None, Evidence::DeletionIsNotStamped)
    );
    assert!(deleted.note.unwrap().contains("audit log"));
    assert_eq!((deleted.before, deleted.after), (seen("u", 2).spec, None));
    assert_eq!(
        (deleted.at, deleted.at_from),
        (time(500), TimeSource::Deletion)
    );
    assert_eq!(deleted.sequence, 3);
    assert_eq!(chain.append(&leaving(seen("u", 3))), []);
}

/// Whoever changes an object may write into its managed fields when that was: also a year that is to come.
#[test]
fn what_is_said_to_be_done_after_it_was_seen_was_not_done_then() {
    for (changed, wanted) in [
        (time(103), (time(102), TimeSource::Observed)),
        (time(102), (time(102), TimeSource::ManagedFields)),
    ] {
        let mut chain = Chain::of("u", 1);
        let record = chain.append(&Seen {
            changed: Some(changed),
            ..seen("u", 2)
        });
        let record = record.first().unwrap();
        assert_eq!((record.at, record.at_from), wanted);
        assert_eq!(record.observed_at, time(102));
    }
}

#[test]
fn what_is_written_is_not_written_again() {
    let mut chain = Chain::of("u", 3);
    for generation in 1..=3 {
        assert_eq!(chain.append(&seen("u", generation)), [], "{generation}");
    }
    assert_eq!(chain.records.len(), 3);
}

#[test]
fn what_nobody_watched_is_one_record_that_says_so() {
    let mut chain = Chain::of("u", 2);
    let gap = chain.append(&seen("u", 6)).remove(0);
    assert_eq!(gap.operation, Operation::Gap);
    assert_eq!(gap.unseen, Some(Unseen { from: 3, to: 6 }));
    assert_eq!(
        (gap.who.as_deref(), gap.who_from),
        (Some("oidc:user-6"), Evidence::ChangedByOfLast)
    );
    assert_eq!(
        (gap.before, gap.after),
        (seen("u", 2).spec, seen("u", 6).spec)
    );
    // The journal was switched on late.
    let late = Chain::default().append(&seen("u", 4)).remove(0);
    assert_eq!(late.operation, Operation::Gap);
    assert_eq!(late.unseen, Some(Unseen { from: 1, to: 4 }));
}

#[test]
fn a_deletion_brings_the_change_that_was_seen_with_it() {
    let mut chain = Chain::of("u", 1);
    let both = chain.append(&leaving(seen("u", 2)));
    assert_eq!(operations(&both), [Operation::Changed, Operation::Deleted]);
    let all = Chain::default().append(&leaving(seen("u", 1)));
    assert_eq!(operations(&all), [Operation::Created, Operation::Deleted]);
}

#[test]
fn what_vanished_unseen_says_so() {
    let mut chain = Chain::of("u", 2);
    let gone = Seen {
        spec: None,
        departed: Some(Departure {
            at: None,
            gone: true,
        }),
        ..seen("u", 2)
    };
    let deleted = chain.append(&gone).remove(0);
    assert_eq!(deleted.before, seen("u", 2).spec);
    assert_eq!(deleted.at_from, TimeSource::Observed);
    assert!(deleted.note.unwrap().contains("vanished"));
}

#[test]
fn without_a_stamp_the_author_is_not_known() {
    let bare = |generation| Seen {
        created_by: None,
        changed_by: None,
        changed: None,
        ..seen("u", generation)
    };
    let mut chain = Chain::default();
    for generation in [1, 2, 5] {
        let record = chain.append(&bare(generation)).remove(0);
        assert_eq!(
            (record.who, record.who_from),
            (None, Evidence::NotStamped),
            "{generation}"
        );
    }
    // On an object that was made before the policy, only later changes are stamped.
    let created = Chain::default()
        .append(&Seen {
            created_by: None,
            ..seen("u", 1)
        })
        .remove(0);
    assert_eq!(created.who_from, Evidence::ChangedBy);
}

#[test]
fn a_cluster_that_was_set_back_is_told_from_a_late_message() {
    let mut chain = Chain::of("u", 5);
    assert_eq!(chain.append(&seen("u", 3)), []);
    let rewound = chain
        .append(&Seen {
            listed: true,
            ..seen("u", 3)
        })
        .remove(0);
    assert_eq!(rewound.operation, Operation::Gap);
    assert!(rewound.note.unwrap().contains("set back"));
    let changed = chain.append(&seen("u", 4)).remove(0);
    assert_eq!(changed.operation, Operation::Changed);
}

#[test]
fn what_was_before_is_unknown_and_not_nothing() {
    let chain = Chain::of("u", 2);
    let draft = super::next(chain.head.as_ref(), &seen("u", 3)).unwrap();
    let of = |before| {
        draft
            .clone()
            .into_record("test", chain.head.as_ref(), before, &seen("u", 3))
    };
    let known = of(Before::Spec(seen("u", 2).spec));
    assert_eq!((known.before_unknown, known.note), (false, None));
    let unknown = of(Before::Unknown);
    assert_eq!((unknown.before_unknown, unknown.before), (true, None));
    let note = unknown.note.unwrap();
    assert!(note.contains("what was before is not known"), "{note}");
}

#[test]
fn what_was_seen_and_forgotten_for_want_of_room_says_so() {
    let forgotten = |generation| Seen {
        spec: None,
        ..leaving(seen("u", generation))
    };
    let mut chain = Chain::of("u", 2);
    let whole = chain.clone().append(&forgotten(2)).remove(0);
    assert!(!whole.note.unwrap().contains("its last changes"));
    let late = chain.append(&forgotten(4)).remove(0);
    assert_eq!(
        (late.operation, late.generation),
        (Operation::Deleted, Some(2))
    );
    assert!(
        late.note
            .unwrap()
            .contains("its last changes are not known")
    );
    assert!(!late.before_unknown);
    // Nothing of it was ever written.
    let unknown = Chain::default().append(&forgotten(1)).remove(0);
    assert_eq!(
        (unknown.operation, unknown.sequence),
        (Operation::Deleted, 1)
    );
    assert!(unknown.before_unknown && unknown.note.unwrap().contains("its last changes"));
}

#[test]
fn a_record_that_cannot_be_read_stops_nothing() {
    let mut chain = Chain::of("u", 2);
    chain.head = Some(Head::of(&seen("u", 2), 2, b"rubbish"));
    let gap = super::next(chain.head.as_ref(), &seen("u", 3)).unwrap();
    let before = Before::Unknown;
    let record = gap.into_record("test", chain.head.as_ref(), before, &seen("u", 3));
    assert_eq!((record.operation, record.sequence), (Operation::Gap, 3));
    assert!(record.note.unwrap().contains("cannot be read"));
    assert!(record.before_unknown && record.before.is_none());
    let head = Head::of(&seen("u", 3), 3, &Chain::of("u", 3).records[2]);
    assert_eq!(super::next(Some(&head), &seen("u", 3)), None);
}
