//! Which approvals of a release count, and whether they are enough.
//!
//! The API server lets a person write only their own name, and not for what they requested themselves. That is looked
//! at here once more, since a policy can be missing, and since an approval can be older than the release it names.

pub mod reviews;

use std::collections::BTreeSet;

/// Somebody whom the API server has authenticated, as the stamp on the object says; `None`: nobody can tell.
pub type Author = Option<String>;

/// An approval, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The object's name.
    pub name: String,
    /// What is approved.
    pub type_: String,
    /// Who says that they approve.
    pub approver: String,
    /// The digest that they approve.
    pub digest: String,
    /// Who wrote it.
    pub author: Author,
    /// Whether whoever approves is known for a robot: nobody's word.
    pub is_robot: bool,
    /// Whether it is a review on the code host.
    pub is_review: bool,
}

/// The release that approvals are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Who requested it.
    pub requester: Author,
    /// Its digest, once known.
    pub digest: Option<String>,
}

/// Why an approval does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// There is no such release.
    ReleaseNotFound,
    /// The release has no digest yet.
    ReleaseNotResolved,
    /// It is for another digest.
    DigestMismatch,
    /// It was written by the one who requested the release.
    OwnRelease,
    /// It was written by somebody else than its approver.
    NotTheApprover,
    /// It was not written by a person.
    NotAPerson,
    /// Who wrote it is not known.
    AuthorUnknown,
    /// Who requested the release is not known, and so it may be the same person.
    RequesterUnknown,
}

/// Whether an approval counts.
///
/// # Errors
/// Why it does not.
pub fn judge(given: &Given, asked: Option<&Asked>) -> Result<(), Refusal> {
    let asked = asked.ok_or(Refusal::ReleaseNotFound)?;
    let digest = asked.digest.as_ref().ok_or(Refusal::ReleaseNotResolved)?;
    if given.digest != *digest {
        return Err(Refusal::DigestMismatch);
    }
    let author = given.author.as_ref().ok_or(Refusal::AuthorUnknown)?;
    if given.is_robot || author.starts_with("system:") || given.approver.starts_with("system:") {
        return Err(Refusal::NotAPerson);
    }
    if *author != given.approver {
        return Err(Refusal::NotTheApprover);
    }
    match &asked.requester {
        None => Err(Refusal::RequesterUnknown),
        Some(requester) if is_same(requester, given) => Err(Refusal::OwnRelease),
        Some(_) => Ok(()),
    }
}

/// People whose names differ by capitals alone are taken for one, here as where they are counted: a cluster may well know
/// somebody by both, and who has two names must not approve their own.
fn is_same(requester: &str, given: &Given) -> bool {
    requester.eq_ignore_ascii_case(&given.approver)
}

/// What a release needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Required {
    /// The types, each of which must be given.
    pub types: Vec<String>,
    /// By how many different people, over all types together.
    pub people: usize,
}

impl Required {
    /// This, and whatever `floor` demands besides: what was demanded once is not less for being left out later.
    pub fn at_least(&self, floor: &Self) -> Self {
        let more = floor
            .types
            .iter()
            .filter(|type_| !self.types.contains(type_));
        Self {
            types: self.types.iter().chain(more).cloned().collect(),
            people: self.people.max(floor.people),
        }
    }

    /// Whether nothing is demanded by `other` that is not demanded by this.
    pub fn covers(&self, other: &Self) -> bool {
        let has = |type_| self.types.contains(type_);
        self.people >= other.people && other.types.iter().all(has)
    }
}

/// What has been given, and what is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The approvals that count, by type, approver and name: of every person one for each type.
    pub counted: Vec<Given>,
    /// The types that nobody has given.
    pub missing_types: Vec<String>,
    /// How many more people it needs, if all missing types were given by the same people as the others.
    pub missing_people: usize,
    /// Whether an approval does not count for the only reason that nobody can tell who requested or wrote what.
    pub unknown: bool,
}

impl Count {
    /// Whether nothing is missing.
    pub fn is_enough(&self) -> bool {
        self.missing_types.is_empty() && self.missing_people == 0
    }

    /// What is missing, as a person would say it.
    pub fn missing(&self) -> String {
        let people = match self.missing_people {
            0 => None,
            1 => Some("one more person".to_owned()),
            many => Some(format!("{many} more people")),
        };
        let types = (!self.missing_types.is_empty()).then(|| self.missing_types.join(", "));
        match (types, people) {
            (Some(types), Some(people)) => format!("{types}, and approvals by {people}"),
            (Some(types), None) => types,
            (None, Some(people)) => format!("an approval by {people}"),
            (None, None) => "nothing".to_owned(),
        }
    }
}

/// Counts approvals over different people; only the types that are required count.
pub fn count(required: &Required, asked: &Asked, given: &[Given]) -> Count {
    let mut counted: Vec<Given> = Vec::new();
    let mut unknown = false;
    let wanted = given
        .iter()
        .filter(|one| required.types.contains(&one.type_));
    for one in wanted {
        match judge(one, Some(asked)) {
            Ok(()) => counted.push(one.clone()),
            Err(Refusal::AuthorUnknown | Refusal::RequesterUnknown) => unknown = true,
            Err(_) => {}
        }
    }
    counted.sort_by(|a, b| (&a.type_, &a.approver, &a.name).cmp(&(&b.type_, &b.approver, &b.name)));
    counted.dedup_by(|b, a| (&a.type_, &a.approver) == (&b.type_, &b.approver));
    let types: BTreeSet<&str> = counted.iter().map(|one| one.type_.as_str()).collect();
    // A person who approves here and there is still one.
    let people: BTreeSet<String> = counted
        .iter()
        .map(|one| one.approver.to_ascii_lowercase())
        .collect();
    let missing_types = required
        .types
        .iter()
        .filter(|type_| !types.contains(type_.as_str()));
    let missing_types: Vec<String> = missing_types.cloned().collect();
    let missing_people = required.people.saturating_sub(people.len());
    Count {
        missing_people: if required.types.is_empty() {
            0
        } else {
            missing_people
        },
        missing_types,
        counted,
        unknown,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn given(type_: &str, approver: &str) -> Given {
        Given {
            name: format!("{approver}-{type_}").to_lowercase(),
            type_: type_.to_owned(),
            approver: approver.to_owned(),
            digest: "sha256:1".to_owned(),
            author: Some(approver.to_owned()),
            is_robot: false,
            is_review: false,
        }
    }

    fn asked() -> Asked {
        Asked {
            requester: Some("dev".to_owned()),
            digest: Some("sha256:1".to_owned()),
        }
    }

    fn required(types: &[&str], people: usize) -> Required {
        Required {
            types: types.iter().map(|type_| (*type_).to_owned()).collect(),
            people,
        }
    }

    #[test]
    fn an_approval_counts_or_says_why_not() {
        let ann = given("Test", "ann");
        assert_eq!(judge(&ann, Some(&asked())), Ok(()));
        assert_eq!(judge(&ann, None), Err(Refusal::ReleaseNotFound));
        let unresolved = Asked {
            digest: None,
            ..asked()
        };
        assert_eq!(
            judge(&ann, Some(&unresolved)),
            Err(Refusal::ReleaseNotResolved)
        );
        let other = Given {
            digest: "sha256:2".to_owned(),
            ..ann.clone()
        };
        assert_eq!(judge(&other, Some(&asked())), Err(Refusal::DigestMismatch));
        assert_eq!(
            judge(&given("Test", "dev"), Some(&asked())),
            Err(Refusal::OwnRelease)
        );
        let forged = Given {
            author: Some("dev".to_owned()),
            ..ann.clone()
        };
        assert_eq!(judge(&forged, Some(&asked())), Err(Refusal::NotTheApprover));
        // However the name is written, in an approval as in a review.
        assert_eq!(
            judge(&given("Test", "Dev"), Some(&asked())),
            Err(Refusal::OwnRelease)
        );
        let reviewed = Given {
            is_review: true,
            ..given("CodeChange", "Dev")
        };
        assert_eq!(judge(&reviewed, Some(&asked())), Err(Refusal::OwnRelease));
        let unsigned = Given {
            author: None,
            ..ann.clone()
        };
        assert_eq!(
            judge(&unsigned, Some(&asked())),
            Err(Refusal::AuthorUnknown)
        );
        let robot = given("Test", "system:serviceaccount:ci:robot");
        assert_eq!(judge(&robot, Some(&asked())), Err(Refusal::NotAPerson));
        let known = Given {
            is_robot: true,
            ..ann.clone()
        };
        assert_eq!(judge(&known, Some(&asked())), Err(Refusal::NotAPerson));
        let nobody = Asked {
            requester: None,
            ..asked()
        };
        assert_eq!(judge(&ann, Some(&nobody)), Err(Refusal::RequesterUnknown));
    }

    #[test]
    fn all_types_by_enough_different_people() {
        let (code, test) = (given("CodeChange", "ann"), given("Test", "ann"));
        let by_bob = given("Test", "bob");
        let both = required(&["CodeChange", "Test"], 2);
        for (case, required, given, missing) in [
            ("nothing is required", required(&[], 0), vec![], "nothing"),
            (
                "nobody has",
                both.clone(),
                vec![],
                "CodeChange, Test, and approvals by 2 more people",
            ),
            (
                "one person for both",
                both.clone(),
                vec![code.clone(), test.clone()],
                "an approval by one more person",
            ),
            (
                "one type",
                both.clone(),
                vec![code.clone()],
                "Test, and approvals by one more person",
            ),
            (
                "both",
                both.clone(),
                vec![code.clone(), by_bob.clone()],
                "nothing",
            ),
            (
                "one type by two",
                required(&["Test"], 2),
                vec![test.clone(), by_bob],
                "nothing",
            ),
            (
                "one person here and, as a review, there",
                both.clone(),
                vec![
                    Given {
                        is_review: true,
                        ..given("CodeChange", "Ann")
                    },
                    test.clone(),
                ],
                "an approval by one more person",
            ),
            (
                "the same twice",
                required(&["Test"], 2),
                vec![test.clone(), test],
                "an approval by one more person",
            ),
            (
                "the requester",
                required(&["Test"], 1),
                vec![given_by("dev")],
                "Test, and approvals by one more person",
            ),
            (
                "a type that nobody asked for",
                required(&["Test"], 1),
                vec![code],
                "Test, and approvals by one more person",
            ),
        ] {
            let count = count(&required, &asked(), &given);
            assert_eq!(count.missing(), missing, "{case}");
            assert_eq!(count.is_enough(), missing == "nothing", "{case}");
        }
    }

    fn given_by(approver: &str) -> Given {
        given("Test", approver)
    }

    #[test]
    fn who_cannot_be_known_is_not_counted_and_is_said() {
        let nobody = Asked {
            requester: None,
            ..asked()
        };
        let count = count(&required(&["Test"], 1), &nobody, &[given_by("ann")]);
        assert!(count.unknown && !count.is_enough() && count.counted.is_empty());
    }

    proptest! {
        /// Whatever is demanded later, what was demanded before stays; and to demand both is to demand nothing else.
        #[test]
        fn a_floor_only_adds(
            now in proptest::collection::btree_set("[A-D]", 0..4), people in 0usize..4,
            before in proptest::collection::btree_set("[A-D]", 0..4), many in 0usize..4,
        ) {
            let of = |types: BTreeSet<String>, people| Required { types: types.into_iter().collect(), people };
            let (now, floor) = (of(now, people), of(before, many));
            let both = now.at_least(&floor);
            prop_assert!(both.covers(&now) && both.covers(&floor));
            prop_assert_eq!(both.at_least(&floor), both.clone());
            let known = |type_: &String| now.types.contains(type_) || floor.types.contains(type_);
            prop_assert!(both.types.iter().all(known) && both.people == people.max(many));
            prop_assert_eq!(now.covers(&floor), both == now);
        }

        /// Whatever is written, the requester is never among those who count, and enough means enough.
        #[test]
        fn the_requester_never_counts(
            who in proptest::collection::vec(("[a-d]", "[a-d]", "(Code|Test)"), 0..12), people in 1usize..4,
        ) {
            let given: Vec<Given> = who
                .iter()
                .map(|(approver, author, type_)| Given { author: Some(author.clone()), ..given(type_, approver) })
                .collect();
            let asked = Asked { requester: Some("a".to_owned()), ..asked() };
            let count = count(&required(&["Code", "Test"], people), &asked, &given);
            prop_assert!(count.counted.iter().all(|one| one.approver != "a" && one.author.as_ref() == Some(&one.approver)));
            let different: BTreeSet<_> = count.counted.iter().map(|one| &one.approver).collect();
            prop_assert!(!count.is_enough() || different.len() >= people);
        }
    }
}
