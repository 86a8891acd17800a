//! Whether a release can be deployed, from what is known of it: every condition by itself, and the first that is missing.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use crate::model::SourceRepository;

/// One of several releases of the same version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rival {
    /// When it was made, in seconds.
    pub made: i64,
    /// Its uid, which decides between two of the same second.
    pub uid: String,
    /// Its name.
    pub name: String,
}

/// The release that has the version: the oldest. `None`: ours.
pub fn holder<'a>(ours: &Rival, others: &'a [Rival]) -> Option<&'a Rival> {
    others.iter().min().filter(|oldest| *oldest < ours)
}

/// What is known of where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The repository.
    pub repository: SourceRepository,
    /// The commit.
    pub revision: Option<String>,
    /// Whether the tree was modified.
    pub dirty: Option<bool>,
}

/// A condition: its value, its reason, and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// True, False or (`None`) unknown.
    pub holds: Option<bool>,
    /// Why.
    pub reason: Reason,
    /// For a person.
    pub message: String,
}

/// Why a condition has its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It holds.
    Holds,
    /// Nothing says where the image comes from.
    SourceUnknown,
    /// It is known from which repository, and not from which commit.
    RevisionUnknown,
    /// The application has no repositories to compare with.
    NoRepositories,
    /// It is another repository.
    SourceMismatch,
    /// The tree was modified.
    Dirty,
    /// Nothing says whether it was.
    CleanUnknown,
}

fn finding(holds: Option<bool>, reason: Reason, message: impl Into<String>) -> Finding {
    Finding {
        holds,
        reason,
        message: message.into(),
    }
}

/// Whether it is known from which commit the image was built. `evidence` says by what, or why by nothing.
pub fn source_known(known: Option<&Known>, evidence: &str) -> Finding {
    match known {
        None => finding(
            Some(false),
            Reason::SourceUnknown,
            format!(
                "nothing says which commit the image was built from: {evidence}. Build it with the annotations \
                 org.opencontainers.image.source and org.opencontainers.image.revision, or sign its provenance"
            ),
        ),
        Some(known) if known.revision.is_none() => finding(
            Some(false),
            Reason::RevisionUnknown,
            format!(
                "the image was built from {}, and nothing says from which commit ({evidence}): build it with the \
                 annotation org.opencontainers.image.revision too",
                known.repository
            ),
        ),
        Some(known) => finding(
            Some(true),
            Reason::Holds,
            format!(
                "built from {} at {} ({evidence})",
                known.repository,
                known.revision.as_deref().unwrap_or_default()
            ),
        ),
    }
}

/// Whether the image was built from one of the application's repositories.
pub fn source_matches(
    known: Option<&Known>,
    application: &str,
    repositories: &[SourceRepository],
) -> Finding {
    let Some(known) = known else {
        return finding(
            None,
            Reason::SourceUnknown,
            "there is nothing to compare: the image's source is not known",
        );
    };
    if repositories.contains(&known.repository) {
        let message = format!("{} is a repository of {application}", known.repository);
        return finding(Some(true), Reason::Holds, message);
    }
    if repositories.is_empty() {
        let message = format!(
            "Application {application} names no source repository: enter {} in its spec.repositories, if it is right",
            known.repository
        );
        return finding(Some(false), Reason::NoRepositories, message);
    }
    let theirs: Vec<String> = repositories.iter().map(ToString::to_string).collect();
    let message = format!(
        "the image was built from {}, which is none of {application}'s repositories ({}): release an image that was, or \
         enter it in the application's spec.repositories",
        known.repository,
        theirs.join(", ")
    );
    finding(Some(false), Reason::SourceMismatch, message)
}

/// Whether the image was built from what is in the repository and nothing else. Not every evidence says so; that alone
/// keeps no release from being Ready.
pub fn clean(known: Option<&Known>) -> Finding {
    match known.and_then(|known| known.dirty) {
        Some(false) => finding(Some(true), Reason::Holds, "built from an unmodified tree"),
        Some(true) => finding(
            Some(false),
            Reason::Dirty,
            "the image was built from a modified tree, so the commit does not say what is in it: commit, and build anew",
        ),
        None => finding(
            None,
            Reason::CleanUnknown,
            "the evidence does not say whether the tree was modified when the image was built",
        ),
    }
}

/// Whether a release is new to an application that was retired at that time: it was not Ready before. What was may run
/// already, and stays what it is.
pub fn is_new_since(retired: Timestamp, first_ready: Option<Timestamp>) -> bool {
    first_ready.is_none_or(|at| at >= retired)
}

/// How long to wait before something is asked for again that has been asked for in vain for so long: half as long again,
/// within bounds. So it takes at most half as long again as it would have taken to be noticed at once, and what never
/// comes costs little.
pub fn pause(age: Duration, least: Duration, most: Duration) -> Duration {
    (age / 2).clamp(least, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rival(made: i64, uid: &str) -> Rival {
        Rival {
            made,
            uid: uid.to_owned(),
            name: format!("release-{uid}"),
        }
    }

    fn known(revision: Option<&str>, dirty: Option<bool>) -> Known {
        Known {
            repository: "https://git.example.com/shop/api".parse().unwrap(),
            revision: revision.map(str::to_owned),
            dirty,
        }
    }

    #[test]
    fn the_oldest_release_has_the_version() {
        let ours = rival(10, "b");
        for (others, holder_of) in [
            (vec![], None),
            (vec![rival(11, "a")], None),
            (vec![rival(10, "c")], None),
            (vec![rival(10, "a")], Some("a")),
            (vec![rival(9, "z"), rival(10, "a")], Some("z")),
        ] {
            let found = holder(&ours, &others).map(|rival| rival.uid.as_str());
            assert_eq!(found, holder_of, "{others:?}");
        }
    }

    #[test]
    fn sources_are_known_matched_and_clean_or_not() {
        let (whole, dirty) = (
            known(Some("abc"), Some(false)),
            known(Some("abc"), Some(true)),
        );
        let (bare, unsaid) = (known(None, None), known(Some("abc"), None));
        let ours = vec![whole.repository.clone()];
        let others = vec!["git@git.example.com:shop/web.git".parse().unwrap()];
        type Row<'a> = (
            Option<&'a Known>,
            &'a [SourceRepository],
            [(Option<bool>, Reason); 3],
        );
        let rows: [Row<'_>; 6] = [
            (
                None,
                &ours,
                [
                    (Some(false), Reason::SourceUnknown),
                    (None, Reason::SourceUnknown),
                    (None, Reason::CleanUnknown),
                ],
            ),
            (
                Some(&whole),
                &ours,
                [
                    (Some(true), Reason::Holds),
                    (Some(true), Reason::Holds),
                    (Some(true), Reason::Holds),
                ],
            ),
            (
                Some(&dirty),
                &ours,
                [
                    (Some(true), Reason::Holds),
                    (Some(true), Reason::Holds),
                    (Some(false), Reason::Dirty),
                ],
            ),
            (
                Some(&unsaid),
                &others,
                [
                    (Some(true), Reason::Holds),
                    (Some(false), Reason::SourceMismatch),
                    (None, Reason::CleanUnknown),
                ],
            ),
            (
                Some(&bare),
                &ours,
                [
                    (Some(false), Reason::RevisionUnknown),
                    (Some(true), Reason::Holds),
                    (None, Reason::CleanUnknown),
                ],
            ),
            (
                Some(&whole),
                &[],
                [
                    (Some(true), Reason::Holds),
                    (Some(false), Reason::NoRepositories),
                    (Some(true), Reason::Holds),
                ],
            ),
        ];
        for (known, repositories, wanted) in rows {
            let found = [
                source_known(known, "no evidence"),
                source_matches(known, "shop", repositories),
                clean(known),
            ];
            for (found, (holds, reason)) in found.iter().zip(wanted) {
                assert_eq!(
                    (found.holds, found.reason),
                    (holds, reason),
                    "{known:?}: {}",
                    found.message
                );
            }
        }
    }

    #[test]
    fn what_is_asked_for_in_vain_is_asked_for_ever_more_rarely() {
        let (least, most) = (Duration::from_secs(15), Duration::from_secs(3600));
        for (age, wanted) in [
            (0, 15),
            (30, 15),
            (60, 30),
            (600, 300),
            (7200, 3600),
            (864_000, 3600),
        ] {
            let found = pause(Duration::from_secs(age), least, most);
            assert_eq!(found, Duration::from_secs(wanted), "{age}");
        }
        // An outage of an hour costs so many questions.
        let (mut age, mut questions) = (Duration::ZERO, 0);
        while age < Duration::from_secs(3600) {
            age += pause(age, least, most);
            questions += 1;
        }
        assert!(questions < 20, "{questions}");
    }

    #[test]
    fn repositories_are_compared_however_they_are_written() {
        let of_image = Known {
            repository: "git@Git.Example.com:shop/api.git".parse().unwrap(),
            ..known(Some("abc"), None)
        };
        let ours = ["https://git.example.com/shop/api".parse().unwrap()];
        assert_eq!(
            source_matches(Some(&of_image), "shop", &ours).holds,
            Some(true)
        );
    }
}
