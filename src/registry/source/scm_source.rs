//! `scm-source.json`, the file that STUPS images carry in their root folder.

use serde::Deserialize;

use super::{Evidence, NoSource, SourceFacts, line, revision, split_reference};

/// The file's name.
pub const FILE: &str = "scm-source.json";

/// All four are strings by the format's own schema; `author` and `status` are taken for optional, as its documentation
/// says, and what else is there is nobody's business.
#[derive(Deserialize)]
struct Written {
    url: String,
    revision: String,
    author: Option<String>,
    status: Option<String>,
}

/// What the file says.
pub fn from_scm_source(content: &[u8]) -> Result<SourceFacts, NoSource> {
    let written: Written = serde_json::from_slice(content)
        .map_err(|error| NoSource(format!("{FILE} in the image cannot be read: {error}")))?;
    let (url, _) = split_reference(written.url.trim());
    let repository = url
        .parse()
        .map_err(|error| NoSource(format!("the url in {FILE}: {error}")))?;
    let (revision, marked) = revision(&written.revision);
    // What `git status --porcelain` prints of a tree without changes is nothing.
    let status = written.status.as_deref().map(str::trim);
    let changed = status.map(|status| !status.is_empty() && !status.eq_ignore_ascii_case("false"));
    Ok(SourceFacts {
        repository,
        revision,
        dirty: if marked { Some(true) } else { changed },
        author: written.author.as_deref().and_then(line),
        evidence: Evidence::ScmSourceFile,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_says_repository_revision_author_and_whether_the_tree_was_changed() {
        let url = r#""url":"git:git@github.com:acme/shop.git""#;
        for (rest, revision, dirty, author) in [
            (
                r#""revision":"abc","author":"jane","status":"""#,
                Some("abc"),
                Some(false),
                Some("jane"),
            ),
            (
                r#""revision":"abc","author":"jane","status":" M src/main.rs\n""#,
                Some("abc"),
                Some(true),
                Some("jane"),
            ),
            (
                r#""revision":"abc (locally modified)","author":"jane","status":"""#,
                Some("abc"),
                Some(true),
                Some("jane"),
            ),
            (
                r#""revision":"abc","author":"","status":"false""#,
                Some("abc"),
                Some(false),
                None,
            ),
            (r#""revision":"abc""#, Some("abc"), None, None),
            (
                r#""revision":"","author":"a\u0000b","extra":1"#,
                None,
                None,
                Some("ab"),
            ),
        ] {
            let facts = from_scm_source(format!("{{{url},{rest}}}").as_bytes()).unwrap();
            assert_eq!(
                facts.repository.to_string(),
                "https://github.com/acme/shop",
                "{rest}"
            );
            assert_eq!(facts.revision.as_deref(), revision, "{rest}");
            assert_eq!(facts.dirty, dirty, "{rest}");
            assert_eq!(facts.author.as_deref(), author, "{rest}");
        }
    }

    #[test]
    fn what_says_nothing_is_refused_for_its_reason() {
        for (content, reason) in [
            ("", "cannot be read"),
            ("[]", "cannot be read"),
            (
                r#"{"url":"git:git@github.com:acme/shop.git"}"#,
                "missing field",
            ),
            (r#"{"url":7,"revision":"abc"}"#, "cannot be read"),
            (
                r#"{"url":"","revision":"abc"}"#,
                "the url in scm-source.json",
            ),
            (
                r#"{"url":"git:/home/jane/shop","revision":"abc"}"#,
                "the url in scm-source.json",
            ),
        ] {
            let error = from_scm_source(content.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(reason), "{content}: {error}");
        }
    }
}
