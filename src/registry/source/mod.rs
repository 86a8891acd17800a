//! Where an image comes from: the source repository and the commit, out of the three kinds of evidence. Pure.

mod annotations;
mod provenance;
mod scm_source;

pub use annotations::{REVISION, SOURCE, TICKETS, from_annotations};
pub use provenance::{PREDICATES, from_statement};
pub use scm_source::{FILE, from_scm_source};

use crate::model::SourceRepository;

/// The longest revision and author that are taken over.
const LONGEST: usize = 200;

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFacts {
    /// The repository.
    pub repository: SourceRepository,
    /// The commit, without marks.
    pub revision: Option<String>,
    /// Whether it was built from a changed tree; `None`: this evidence does not say.
    pub dirty: Option<bool>,
    /// Who built it, as far as it is said.
    pub author: Option<String>,
    /// How we know.
    pub evidence: Evidence,
}

/// How a source is known, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, strum::IntoStaticStr)]
pub enum Evidence {
    /// A signed statement about the image's digest.
    Attestation,
    /// The annotations of the image's manifest: whoever pushed it says so.
    Annotation,
    /// A file in the image: whoever built it says so.
    ScmSourceFile,
}

/// Why something that should say where an image comes from does not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoSource(pub String);

/// The marks that builders put behind the revision of a changed tree.
const CHANGED: [&str; 5] = [
    " (locally modified)",
    "-dirty",
    "+dirty",
    ".dirty",
    "-modified",
];

/// The revision without its mark, and whether there was one.
fn revision(text: &str) -> (Option<String>, bool) {
    let text = text.trim();
    let mark = CHANGED.iter().find_map(|mark| text.strip_suffix(mark));
    (line(mark.unwrap_or(text)), mark.is_some())
}

/// Somebody else's text as one line of bearable length; `None` if nothing is left.
fn line(text: &str) -> Option<String> {
    let text: String = text
        .trim()
        .chars()
        .filter(|c| !c.is_control())
        .take(LONGEST)
        .collect();
    (!text.is_empty()).then_some(text)
}

/// A URL, and the revision that is written behind it: `…@<ref>` by SPDX's and SLSA's rule, `…#<ref>` by BuildKit's.
fn split_reference(url: &str) -> (&str, Option<&str>) {
    if let Some((url, reference)) = url.split_once('#') {
        return (url, Some(reference));
    }
    // An @ in the authority is a user's.
    let path = url
        .find("://")
        .and_then(|at| Some(at + 3 + url[at + 3..].find('/')?));
    match path.and_then(|path| Some(path + url[path..].find('@')?)) {
        Some(at) => (&url[..at], Some(&url[at + 1..])),
        None => (url, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_a_changed_tree_are_told_from_the_revision() {
        for (text, expected, dirty) in [
            ("abc", Some("abc"), false),
            (" abc\n", Some("abc"), false),
            ("abc (locally modified)", Some("abc"), true),
            ("abc-dirty", Some("abc"), true),
            ("1.2.dirty", Some("1.2"), true),
            ("-dirty", None, true),
            ("", None, false),
        ] {
            assert_eq!(
                revision(text),
                (expected.map(str::to_owned), dirty),
                "{text:?}"
            );
        }
        assert_eq!(revision(&"a".repeat(999)).0.unwrap().len(), LONGEST);
    }

    #[test]
    fn references_behind_urls_are_split_off() {
        for (url, expected) in [
            (
                "git+https://h.example/a/b@refs/heads/main",
                ("git+https://h.example/a/b", Some("refs/heads/main")),
            ),
            (
                "https://h.example/a/b.git#abc",
                ("https://h.example/a/b.git", Some("abc")),
            ),
            ("ssh://git@h.example/a/b", ("ssh://git@h.example/a/b", None)),
            (
                "ssh://git@h.example/a/b@v1",
                ("ssh://git@h.example/a/b", Some("v1")),
            ),
            ("git@h.example:a/b", ("git@h.example:a/b", None)),
        ] {
            assert_eq!(split_reference(url), expected);
        }
    }
}
