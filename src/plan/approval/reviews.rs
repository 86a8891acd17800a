//! Which reviews on a code host are approvals of the commit that an image was built from.
//!
//! A code host knows people by logins of its own, and lets many of them review. So a review counts only for exactly that
//! commit, or one of the very same content that was merged into it, only as long as it is the person's last word, and only if it is known who the person is in the cluster: nobody
//! may approve what they wrote or requested, under whatever name.

use std::collections::BTreeMap;

/// The type of approval that a review is.
pub const CODE_CHANGE: &str = "CodeChange";

/// Somebody, as the code host knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The login.
    pub login: String,
    /// Who that is in the cluster; `None`: nobody has said so.
    pub user: Option<String>,
}

impl Person {
    /// Logins are the same in any case; and one person may have several.
    fn is(&self, other: &Self) -> bool {
        let same_user = self.user.is_some() && self.user == other.user;
        same_user || self.login.eq_ignore_ascii_case(&other.login)
    }

    fn key(&self) -> String {
        match &self.user {
            Some(user) => format!("user {user}"),
            None => format!("login {}", self.login.to_ascii_lowercase()),
        }
    }
}

/// What a reviewer says in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// They approve.
    Approved,
    /// They ask for changes.
    ChangesRequested,
    /// What they said was dismissed.
    Dismissed,
}

/// A review that says one of these words; mere comments are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// Where people find it.
    pub url: String,
    /// Whose it is.
    pub by: Person,
    /// Whether the code host says that they are a person.
    pub is_person: bool,
    /// Whether they belong to those who work on the repository, or are known by name.
    pub is_insider: bool,
    /// What it says.
    pub word: Word,
    /// The commit that was looked at.
    pub commit: String,
    /// Reviews are ordered by this: the second, and the number.
    pub at: (i64, u64),
}

/// The commit that reviews are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reviewed {
    /// The commit.
    pub revision: String,
    /// Other commits of which everything in it is the same, and which were merged into it.
    pub same: Vec<String>,
    /// Whose work it is: its author and whoever proposed or committed it. `None`: the code host does not know its author.
    pub authors: Option<Vec<Person>>,
}

impl Reviewed {
    fn is(&self, commit: &str) -> bool {
        let mut all = std::iter::once(&self.revision).chain(&self.same);
        all.any(|one| one.eq_ignore_ascii_case(commit))
    }
}

/// Why a person's reviews are no approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReviewRefusal {
    /// Their last word is that changes are wanted, or was dismissed.
    Withdrawn,
    /// They approved another commit only.
    OtherCommit,
    /// They are no person.
    NotAPerson,
    /// They are not of those who work on the repository.
    Stranger,
    /// It is their own work.
    OwnCommit,
    /// Whose work the commit is is not known, and it may be theirs.
    AuthorUnknown,
    /// Who they are in the cluster is not known.
    UserUnknown,
}

/// What a person's reviews come to: an approval by a user of the cluster, or why none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The review that decides it.
    pub review: Review,
    /// The user who approves by it.
    pub verdict: Result<String, ReviewRefusal>,
}

/// Judges all reviews: of every person the last word counts. In the order of the reviews' URLs.
pub fn judge(reviewed: &Reviewed, reviews: &[Review]) -> Vec<Judged> {
    let mut of_person: BTreeMap<String, Vec<&Review>> = BTreeMap::new();
    for review in reviews {
        of_person.entry(review.by.key()).or_default().push(review);
    }
    let mut judged: Vec<Judged> = of_person
        .into_values()
        .filter_map(|reviews| of_one(reviewed, reviews))
        .collect();
    judged.sort_by(|a, b| a.review.url.cmp(&b.review.url));
    judged
}

fn of_one(reviewed: &Reviewed, mut reviews: Vec<&Review>) -> Option<Judged> {
    reviews.sort_by_key(|review| review.at);
    let last = *reviews.last()?;
    let refused = |review: &Review, refusal| Judged {
        review: review.clone(),
        verdict: Err(refusal),
    };
    if last.word != Word::Approved {
        return Some(refused(last, ReviewRefusal::Withdrawn));
    }
    // What was approved before somebody asked for changes was taken back by that.
    let still_said = reviews
        .iter()
        .rev()
        .take_while(|review| review.word == Word::Approved);
    let of_it = still_said
        .filter(|review| reviewed.is(&review.commit))
        .max_by_key(|review| review.at);
    let Some(review) = of_it else {
        return Some(refused(last, ReviewRefusal::OtherCommit));
    };
    Some(Judged {
        verdict: approver(reviewed, review),
        review: (*review).clone(),
    })
}

fn approver(reviewed: &Reviewed, review: &Review) -> Result<String, ReviewRefusal> {
    let user = review.by.user.as_deref();
    if !review.is_person || user.is_some_and(|user| user.starts_with("system:")) {
        return Err(ReviewRefusal::NotAPerson);
    }
    if !review.is_insider {
        return Err(ReviewRefusal::Stranger);
    }
    let authors = reviewed.authors.as_ref();
    if authors.is_some_and(|authors| authors.iter().any(|author| author.is(&review.by))) {
        return Err(ReviewRefusal::OwnCommit);
    }
    if authors.is_none() {
        return Err(ReviewRefusal::AuthorUnknown);
    }
    user.map(str::to_owned).ok_or(ReviewRefusal::UserUnknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(login: &str) -> Person {
        Person {
            login: login.to_owned(),
            user: Some(format!("{}@example.com", login.to_lowercase())),
        }
    }

    fn review(login: &str, word: Word, commit: &str, at: i64) -> Review {
        Review {
            url: format!("https://git.example.com/{login}/{at}"),
            by: person(login),
            is_person: true,
            is_insider: true,
            word,
            commit: commit.to_owned(),
            at: (at, 0),
        }
    }

    fn reviewed() -> Reviewed {
        Reviewed {
            revision: "abc1234".to_owned(),
            same: vec!["5a3e000".to_owned()],
            authors: Some(vec![person("dev")]),
        }
    }

    #[test]
    fn a_review_is_an_approval_or_says_why_not() {
        use ReviewRefusal as No;
        use Word::{Approved, ChangesRequested, Dismissed};
        let yes = review("ann", Approved, "abc1234", 1);
        let of = |change: &dyn Fn(&mut Review)| {
            let mut review = yes.clone();
            change(&mut review);
            vec![review]
        };
        let then = |word, commit: &str| vec![yes.clone(), review("ann", word, commit, 2)];
        let ann = || Ok("ann@example.com".to_owned());
        for (case, reviews, wanted) in [
            ("approved", vec![yes.clone()], ann()),
            (
                "in capitals",
                of(&|it| it.commit = "ABC1234".to_owned()),
                ann(),
            ),
            (
                "what was merged into it",
                of(&|it| it.commit = "5A3E000".to_owned()),
                ann(),
            ),
            ("approved twice", then(Approved, "abc1234"), ann()),
            (
                "another commit",
                of(&|it| it.commit = "def5678".to_owned()),
                Err(No::OtherCommit),
            ),
            ("and a later one, too", then(Approved, "def5678"), ann()),
            (
                "changes wanted later",
                then(ChangesRequested, "abc1234"),
                Err(No::Withdrawn),
            ),
            (
                "changes wanted of a later one",
                then(ChangesRequested, "def5678"),
                Err(No::Withdrawn),
            ),
            ("dismissed", then(Dismissed, "abc1234"), Err(No::Withdrawn)),
            (
                "changes wanted first",
                vec![review("ann", ChangesRequested, "abc1234", 0), yes.clone()],
                ann(),
            ),
            (
                "taken back, and another commit approved",
                [
                    then(ChangesRequested, "abc1234"),
                    vec![review("ann", Approved, "def5678", 3)],
                ]
                .concat(),
                Err(No::OtherCommit),
            ),
            (
                "out of order",
                vec![review("ann", Dismissed, "abc1234", 2), yes.clone()],
                Err(No::Withdrawn),
            ),
            (
                "a robot",
                of(&|it| it.is_person = false),
                Err(No::NotAPerson),
            ),
            (
                "a service account",
                of(&|it| it.by.user = Some("system:serviceaccount:ci:robot".to_owned())),
                Err(No::NotAPerson),
            ),
            (
                "a stranger",
                of(&|it| it.is_insider = false),
                Err(No::Stranger),
            ),
            (
                "nobody knows who",
                of(&|it| it.by.user = None),
                Err(No::UserUnknown),
            ),
            (
                "the author",
                of(&|it| it.by = person("Dev")),
                Err(No::OwnCommit),
            ),
            (
                "the author's other login",
                of(&|it| it.by.user = person("dev").user),
                Err(No::OwnCommit),
            ),
            (
                "the author, unknown in the cluster",
                of(&|it| {
                    it.by = Person {
                        login: "DEV".to_owned(),
                        user: None,
                    }
                }),
                Err(No::OwnCommit),
            ),
        ] {
            let judged = judge(&reviewed(), &reviews);
            assert_eq!(judged.len(), 1, "{case}");
            assert_eq!(judged[0].verdict, wanted, "{case}");
        }
        let nobody = Reviewed {
            authors: None,
            ..reviewed()
        };
        assert_eq!(judge(&nobody, &[yes])[0].verdict, Err(No::AuthorUnknown));
        assert_eq!(judge(&reviewed(), &[]), []);
    }

    #[test]
    fn everybody_speaks_for_themselves() {
        let reviews = [
            review("ann", Word::Approved, "abc1234", 1),
            review("bob", Word::ChangesRequested, "abc1234", 2),
            review("cid", Word::Approved, "abc1234", 3),
        ];
        let judged = judge(&reviewed(), &reviews);
        let users: Vec<_> = judged.iter().map(|one| one.verdict.clone()).collect();
        let user = |name: &str| Ok(format!("{name}@example.com"));
        assert_eq!(
            users,
            [user("ann"), Err(ReviewRefusal::Withdrawn), user("cid")]
        );
    }
}
