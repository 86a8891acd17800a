//! What verification finds: whatever is done to a chain, it is not whole any more.

use proptest::prelude::*;
use serde_json::json;

use super::super::record::Record;
use super::super::verify::Problem;
use super::{Chain, check, leaving, numbered, seen};

#[test]
fn an_untouched_chain_is_whole() {
    let mut chain = Chain::of("u", 4);
    chain.append(&seen("u", 9));
    assert_eq!(check(&numbered(&chain), chain.head.clone()).findings, []);
    chain.append(&leaving(seen("u", 10)));
    let report = check(&numbered(&chain), None);
    assert_eq!(report.findings, []);
    assert!(report.ended);
    assert_eq!(report.records, 7);
}

#[test]
fn an_index_that_is_behind_is_no_finding() {
    let mut chain = Chain::of("u", 2);
    let behind = chain.head.clone();
    chain.append(&seen("u", 3));
    assert_eq!(check(&numbered(&chain), behind).findings, []);
}

#[test]
fn a_missing_record_is_named() {
    let chain = Chain::of("u", 5);
    let mut records = numbered(&chain);
    records.drain(1..3);
    let report = check(&records, chain.head);
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    assert_eq!(
        report.findings[0].problem,
        Problem::Missing { from: 2, to: 3 }
    );
    assert_eq!(
        report.findings[0].key,
        "audit/test/Release/u/0000000002.json"
    );
}

#[test]
fn an_end_that_is_cut_off_shows_by_the_index() {
    let chain = Chain::of("u", 5);
    let records = numbered(&chain);
    let report = check(&records[..3], chain.head.clone());
    assert_eq!(report.findings[0].problem, Problem::CutOff { head: 5 });
    let nothing = check(&[], chain.head.clone());
    assert_eq!(nothing.findings[0].problem, Problem::CutOff { head: 5 });
    // The deletion is cut off: an object that is gone is not in the index.
    let mut ended = chain;
    ended.append(&leaving(seen("u", 5)));
    let report = check(&numbered(&ended)[..5], None);
    assert_eq!(report.findings[0].problem, Problem::Unindexed);
}

#[test]
fn a_forged_record_breaks_the_link_after_it() {
    let chain = Chain::of("u", 4);
    let mut records = numbered(&chain);
    let mut forged = Record::from_bytes(&records[1].1).unwrap();
    forged.who = Some("oidc:mallory".to_owned());
    records[1].1 = forged.to_bytes().unwrap();
    let report = check(&records, chain.head.clone());
    assert!(
        matches!(report.findings[0].problem, Problem::Unlinked { .. }),
        "{:?}",
        report.findings
    );
    assert_eq!(
        report.findings[0].key,
        "audit/test/Release/u/0000000003.json"
    );
    // At the end there is no record after it, but the index.
    let mut records = numbered(&chain);
    let mut forged = Record::from_bytes(&records[3].1).unwrap();
    forged.after = Some(json!({ "version": 66 }));
    records[3].1 = forged.to_bytes().unwrap();
    let report = check(&records, chain.head);
    assert_eq!(report.findings[0].problem, Problem::Replaced);
}

#[test]
fn a_record_that_lies_about_what_was_before_is_found() {
    let chain = Chain::of("u", 2);
    let mut records = numbered(&chain);
    let mut forged = Record::from_bytes(&records[1].1).unwrap();
    forged.before = Some(json!({ "version": 0 }));
    records[1].1 = forged.to_bytes().unwrap();
    let report = check(&records, None);
    assert!(
        report
            .findings
            .iter()
            .any(|f| f.problem == Problem::Discontinuous),
        "{report:?}"
    );
}

#[test]
fn nothing_comes_after_the_end() {
    let mut chain = Chain::of("u", 2);
    chain.append(&leaving(seen("u", 2)));
    let mut more = Record::from_bytes(&chain.records[2]).unwrap();
    more.sequence = 4;
    more.before = None;
    more.previous = Some(super::super::record::sha256(&chain.records[2]));
    chain.records.push(more.to_bytes().unwrap());
    let report = check(&numbered(&chain), None);
    assert_eq!(report.findings.len(), 1, "{report:?}");
    assert_eq!(report.findings[0].problem, Problem::AfterEnd);
}

/// What somebody does to a chain.
#[derive(Debug, Clone)]
enum Deed {
    FlipBit(usize),
    Remove(usize),
    Exchange(usize, usize),
    TakeFromAnother(usize),
    Repeat(usize),
    CutOff(usize),
    ForgeAndRehash(usize),
}

fn deeds() -> impl Strategy<Value = Deed> {
    let any = any::<usize>;
    prop_oneof![
        any().prop_map(Deed::FlipBit),
        any().prop_map(Deed::Remove),
        (any(), any()).prop_map(|(one, other)| Deed::Exchange(one, other)),
        any().prop_map(Deed::TakeFromAnother),
        any().prop_map(Deed::Repeat),
        any().prop_map(Deed::CutOff),
        any().prop_map(Deed::ForgeAndRehash),
    ]
}

fn commit(deed: &Deed, records: &mut Vec<(u64, Vec<u8>)>) {
    let count = records.len();
    match *deed {
        Deed::FlipBit(bit) => {
            let (_, bytes) = &mut records[bit % count];
            let at = (bit / count) % (bytes.len() * 8);
            bytes[at / 8] ^= 1 << (at % 8);
        }
        Deed::Remove(which) => drop(records.remove(which % count)),
        Deed::Exchange(one, other) => {
            let (one, other) = (one % count, other % count);
            let bytes = records[one].1.clone();
            records[one].1 = std::mem::replace(&mut records[other].1, bytes);
        }
        Deed::TakeFromAnother(which) => {
            let which = which % count;
            records[which].1 = Chain::of("other", count as i64).records[which].clone();
        }
        Deed::Repeat(which) => {
            let bytes = records[which % count].1.clone();
            records.push((count as u64 + 1, bytes));
        }
        Deed::CutOff(keep) => records.truncate(keep % count),
        Deed::ForgeAndRehash(which) => {
            let (_, bytes) = &mut records[which % count];
            let mut record = Record::from_bytes(bytes).unwrap();
            record.who = Some("oidc:mallory".to_owned());
            *bytes = record.to_bytes().unwrap();
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_done_is_found(length in 1i64..8, deleted in any::<bool>(), deed in deeds()) {
        let mut chain = Chain::of("u", length);
        if deleted {
            chain.append(&leaving(seen("u", length)));
        }
        // The index knows living objects only. Of one that is gone, forging the last record is what hashes alone cannot
        // show: nothing names its hash.
        let head = chain.head.clone().filter(|head| !head.ended);
        let untouched = numbered(&chain);
        prop_assert_eq!(check(&untouched, head.clone()).findings, vec![]);
        let mut records = untouched.clone();
        commit(&deed, &mut records);
        let last = records.len() - records.len().min(1);
        let undetectable = deleted
            && matches!(deed, Deed::ForgeAndRehash(which) if which % records.len() == last);
        // Of a chain that is gone altogether, nothing is left to look at.
        let nothing = records.is_empty() && deleted;
        if records != untouched && !undetectable && !nothing {
            let report = check(&records, head);
            prop_assert!(!report.findings.is_empty(), "{deed:?}");
        }
    }
}
