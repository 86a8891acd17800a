//! Whose an application's name is: the first who claims it has it, and keeps it until they give it away or are gone.

/// Who wants a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimant {
    /// Their team.
    pub team: String,
    /// Where their application is.
    pub namespace: String,
    /// Their application: one that was made anew under the same name is another one.
    pub uid: String,
    /// The team that they offer the application to.
    pub offers_to: Option<String>,
}

/// Who has a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Their team.
    pub team: String,
    /// Their application.
    pub uid: String,
    /// Whether the application was deleted: the name waits for the same team, or for the platform team to release it.
    pub tombstone: bool,
}

/// What has become of the holder's application, as the API server itself says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// There is none any more.
    Gone,
    /// It is there, and is offered to a team, or not.
    Lives {
        /// The team that it is offered to.
        offers_to: Option<String>,
    },
}

/// What to do about a name that somebody has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the claimant's.
    Ours,
    /// It was the claimant's team's: take it again.
    Reclaim,
    /// Its holder gives it to the claimant's team: take it over.
    TakeOver,
    /// The claimant has given it away.
    GivenAway,
    /// Another team has it.
    Taken,
    /// Another team had it, and nobody has released it.
    Buried,
}

/// Whose name it is. `owner` is what has become of the holder's application, if the holder is not the claimant.
pub fn decide(claimant: &Claimant, holder: &Holder, owner: &Owner) -> Verdict {
    if holder.uid == claimant.uid {
        let settled = !holder.tombstone && holder.team == claimant.team;
        return if settled {
            Verdict::Ours
        } else {
            Verdict::Reclaim
        };
    }
    let same_team = holder.team == claimant.team;
    match owner {
        Owner::Gone if same_team => Verdict::Reclaim,
        Owner::Gone => Verdict::Buried,
        // A team that still offers it to the holder has given it away; otherwise two that offer it to each other would
        // take it from each other for ever.
        Owner::Lives { .. } if claimant.offers_to.as_ref() == Some(&holder.team) => {
            Verdict::GivenAway
        }
        Owner::Lives { offers_to } if offers_to.as_ref() == Some(&claimant.team) => {
            Verdict::TakeOver
        }
        Owner::Lives { .. } => Verdict::Taken,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claimant(team: &str, uid: &str, offers_to: Option<&str>) -> Claimant {
        Claimant {
            team: team.to_owned(),
            namespace: format!("team-{team}"),
            uid: uid.to_owned(),
            offers_to: offers_to.map(str::to_owned),
        }
    }

    fn holder(team: &str, uid: &str, tombstone: bool) -> Holder {
        Holder {
            team: team.to_owned(),
            uid: uid.to_owned(),
            tombstone,
        }
    }

    fn lives(offers_to: Option<&str>) -> Owner {
        Owner::Lives {
            offers_to: offers_to.map(str::to_owned),
        }
    }

    #[test]
    fn a_name_is_kept_given_and_taken_by_the_rules() {
        use Verdict::{Buried, GivenAway, Ours, Reclaim, TakeOver, Taken};
        for (case, us, them, owner, wanted) in [
            (
                "ours",
                claimant("a", "1", None),
                holder("a", "1", false),
                lives(None),
                Ours,
            ),
            (
                "ours, wrongly buried",
                claimant("a", "1", None),
                holder("a", "1", true),
                lives(None),
                Reclaim,
            ),
            (
                "our namespace has another team now",
                claimant("b", "1", None),
                holder("a", "1", false),
                lives(None),
                Reclaim,
            ),
            (
                "another team's",
                claimant("b", "2", None),
                holder("a", "1", false),
                lives(None),
                Taken,
            ),
            (
                "offered to a third",
                claimant("b", "2", None),
                holder("a", "1", false),
                lives(Some("c")),
                Taken,
            ),
            (
                "offered to us",
                claimant("b", "2", None),
                holder("a", "1", false),
                lives(Some("b")),
                TakeOver,
            ),
            (
                "offered, in deletion",
                claimant("b", "2", None),
                holder("a", "1", true),
                lives(Some("b")),
                TakeOver,
            ),
            (
                "made anew",
                claimant("a", "2", None),
                holder("a", "1", true),
                Owner::Gone,
                Reclaim,
            ),
            (
                "made anew without a tombstone",
                claimant("a", "2", None),
                holder("a", "1", false),
                Owner::Gone,
                Reclaim,
            ),
            (
                "another team's tombstone",
                claimant("b", "2", None),
                holder("a", "1", true),
                Owner::Gone,
                Buried,
            ),
            (
                "another team's, gone",
                claimant("b", "2", None),
                holder("a", "1", false),
                Owner::Gone,
                Buried,
            ),
            (
                "we gave it to them",
                claimant("a", "1", Some("b")),
                holder("b", "2", false),
                lives(None),
                GivenAway,
            ),
            (
                "each offers it to the other",
                claimant("a", "1", Some("b")),
                holder("b", "2", false),
                lives(Some("a")),
                GivenAway,
            ),
        ] {
            assert_eq!(decide(&us, &them, &owner), wanted, "{case}");
        }
    }

    proptest! {
        /// A living holder of another team loses the name only by its own offer to exactly that team.
        #[test]
        fn nothing_is_taken_that_is_not_offered(
            us in "[abc]", them in "[abc]", ours in proptest::option::of("[abc]"), theirs in proptest::option::of("[abc]"),
            tombstone: bool,
        ) {
            prop_assume!(us != them);
            let verdict = decide(
                &claimant(&us, "1", ours.as_deref()),
                &holder(&them, "2", tombstone),
                &lives(theirs.as_deref()),
            );
            let takes = matches!(verdict, Verdict::Reclaim | Verdict::TakeOver | Verdict::Ours);
            prop_assert!(!takes || theirs.as_ref() == Some(&us));
        }

        /// Of two who offer it to each other, at most one would take it from the other.
        #[test]
        fn two_teams_do_not_take_it_in_turns(ours in proptest::option::of("[ab]"), theirs in proptest::option::of("[ab]")) {
            let (a, b) = (claimant("a", "1", ours.as_deref()), claimant("b", "2", theirs.as_deref()));
            let from_b = decide(&a, &holder("b", "2", false), &lives(theirs.as_deref()));
            let from_a = decide(&b, &holder("a", "1", false), &lives(ours.as_deref()));
            prop_assert!(!(from_a == Verdict::TakeOver && from_b == Verdict::TakeOver));
        }
    }
}
