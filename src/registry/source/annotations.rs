//! `org.opencontainers.image.source` and `….revision` (OCI image specification, "Annotations").

use super::{Evidence, NoSource, SourceFacts, revision, split_reference};
use crate::registry::manifest::Annotations;

/// Where to get the source code.
pub const SOURCE: &str = "org.opencontainers.image.source";
/// The commit.
pub const REVISION: &str = "org.opencontainers.image.revision";

/// The tickets that an image is about, separated by commas or blanks.
pub const TICKETS: &str = "dev.bailiwick.tickets";

/// What annotations say; `None`: nothing. Source and revision are taken from the same set or not at all: those of
/// different documents need not be about the same build.
pub fn from_annotations(annotations: &Annotations) -> Option<Result<SourceFacts, NoSource>> {
    let source = annotations.get(SOURCE)?;
    let (url, reference) = split_reference(source.trim());
    let repository = match url.parse() {
        Ok(repository) => repository,
        Err(error) => return Some(Err(NoSource(format!("the annotation {SOURCE}: {error}")))),
    };
    let said = annotations.get(REVISION).map(String::as_str).or(reference);
    let (revision, changed) = said.map(revision).unwrap_or_default();
    Some(Ok(SourceFacts {
        repository,
        revision,
        // Only the mark says something; its absence may be that of a builder who knows no marks.
        dirty: changed.then_some(true),
        // `…authors` is whom to write to about the image, not who built it.
        author: None,
        evidence: Evidence::Annotation,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotations(pairs: &[(&str, &str)]) -> Annotations {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn annotations_say_where_an_image_comes_from() {
        for (pairs, expected) in [
            (
                &[
                    (SOURCE, "https://github.com/Acme/Shop.git"),
                    (REVISION, "abc"),
                ][..],
                (Some("abc"), None),
            ),
            (
                &[(SOURCE, "git@github.com:acme/shop.git")][..],
                (None, None),
            ),
            (
                &[(SOURCE, "https://github.com/acme/shop#def")][..],
                (Some("def"), None),
            ),
            (
                &[
                    (SOURCE, "https://github.com/acme/shop#def"),
                    (REVISION, "abc"),
                ][..],
                (Some("abc"), None),
            ),
            (
                &[
                    (SOURCE, "https://github.com/acme/shop"),
                    (REVISION, "abc-dirty"),
                ][..],
                (Some("abc"), Some(true)),
            ),
        ] {
            let facts = from_annotations(&annotations(pairs)).unwrap().unwrap();
            assert_eq!(facts.repository.to_string(), "https://github.com/acme/shop");
            assert_eq!(
                (facts.revision.as_deref(), facts.dirty),
                expected,
                "{pairs:?}"
            );
            assert_eq!(facts.evidence, Evidence::Annotation);
        }
        assert_eq!(from_annotations(&annotations(&[(REVISION, "abc")])), None);
    }

    #[test]
    fn an_annotation_that_is_no_repository_says_so() {
        let error = from_annotations(&annotations(&[(SOURCE, "our wiki")]))
            .unwrap()
            .unwrap_err();
        assert!(
            error.to_string().contains(SOURCE) && error.to_string().contains("our wiki"),
            "{error}"
        );
    }
}
