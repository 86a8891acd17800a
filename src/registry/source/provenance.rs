//! Provenance: in-toto statements with a SLSA predicate. Whether a statement is to be believed is not decided here, but
//! by whoever has checked its signature.

use serde::Deserialize;
use serde_json::Value;

use super::{Evidence, NoSource, SourceFacts, revision, split_reference};
use crate::model::{Digest, SourceRepository};

/// The predicates that are understood.
pub const PREDICATES: [&str; 2] = [SLSA_1, SLSA_02];
const SLSA_1: &str = "https://slsa.dev/provenance/v1";
const SLSA_02: &str = "https://slsa.dev/provenance/v0.2";
const STATEMENTS: [&str; 2] = [
    "https://in-toto.io/Statement/v1",
    "https://in-toto.io/Statement/v0.1",
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    #[serde(default)]
    subject: Vec<Subject>,
    predicate_type: String,
    #[serde(default)]
    predicate: Value,
}

#[derive(Deserialize)]
struct Subject {
    #[serde(default)]
    digest: std::collections::BTreeMap<String, String>,
}

/// What a statement says about where the image with this digest comes from. It must be about that digest, and name one
/// repository: the one that the build was started with, or the only one among what went into it.
pub fn from_statement(statement: &[u8], image: &Digest) -> Result<SourceFacts, NoSource> {
    let statement: Statement = serde_json::from_slice(statement)
        .map_err(|error| NoSource(format!("it is no in-toto statement: {error}")))?;
    let refused = |why: String| Err(NoSource(why));
    if !STATEMENTS.contains(&statement.kind.as_str()) {
        return refused(format!(
            "it is no in-toto statement but {:.80}",
            statement.kind
        ));
    }
    let is_about = |subject: &Subject| {
        subject
            .digest
            .get(image.algorithm().as_str())
            .map(String::as_str)
            == Some(image.hex())
    };
    if !statement.subject.iter().any(is_about) {
        return refused("it is about another digest".to_owned());
    }
    let predicate = &statement.predicate;
    let (started_with, inputs, metadata) = match statement.predicate_type.as_str() {
        SLSA_1 => {
            let definition = &predicate["buildDefinition"];
            (
                &definition["externalParameters"],
                &definition["resolvedDependencies"],
                &predicate["runDetails"]["metadata"]["buildkit_metadata"],
            )
        }
        SLSA_02 => (
            &predicate["invocation"],
            &predicate["materials"],
            &predicate["metadata"]["https://mobyproject.org/buildkit@v1#metadata"],
        ),
        other => return refused(format!("it is no provenance but {other:.80}")),
    };
    source(started_with, inputs, &metadata["vcs"])
}

/// A repository and, where it is said, the commit.
struct Origin {
    repository: SourceRepository,
    commit: Option<String>,
}

fn source(started_with: &Value, inputs: &Value, vcs: &Value) -> Result<SourceFacts, NoSource> {
    let inputs: Vec<Origin> = inputs
        .as_array()
        .map(|inputs| inputs.iter().filter_map(input).collect())
        .unwrap_or_default();
    let chosen = match declared(started_with)?.or(from_vcs(vcs)) {
        Some(declared) => {
            // What the build was started with is a repository, perhaps with a branch; which commit it got is among
            // what went in.
            let commits = commits(
                inputs
                    .iter()
                    .filter(|input| input.repository == declared.repository),
            );
            match (declared.commit, commits.as_slice()) {
                (Some(commit), _) => Origin {
                    repository: declared.repository,
                    commit: Some(commit),
                },
                (None, []) => Origin {
                    repository: declared.repository,
                    commit: None,
                },
                (None, [commit]) => Origin {
                    repository: declared.repository,
                    commit: Some(commit.clone()),
                },
                (None, several) => {
                    return Err(NoSource(format!(
                        "it names {} commits of {}",
                        several.len(),
                        declared.repository
                    )));
                }
            }
        }
        None => only(inputs)?,
    };
    let (revision, dirty) = chosen.commit.as_deref().map(revision).unwrap_or_default();
    Ok(SourceFacts {
        repository: chosen.repository,
        revision,
        dirty: dirty.then_some(true),
        author: None,
        evidence: Evidence::Attestation,
    })
}

/// The only repository among what went into a build.
fn only(inputs: Vec<Origin>) -> Result<Origin, NoSource> {
    let commits = commits(inputs.iter());
    let mut repositories: Vec<SourceRepository> =
        inputs.into_iter().map(|input| input.repository).collect();
    repositories.sort();
    repositories.dedup();
    match (repositories.len(), commits.len()) {
        (0, _) => Err(NoSource("it names no source repository".to_owned())),
        (1, 0 | 1) => Ok(Origin {
            repository: repositories.remove(0),
            commit: commits.into_iter().next(),
        }),
        (1, count) => Err(NoSource(format!(
            "it names {count} commits of {}",
            repositories[0]
        ))),
        (count, _) => Err(NoSource(format!(
            "it names {count} source repositories, and not which of them the image is built from"
        ))),
    }
}

fn commits<'a>(inputs: impl Iterator<Item = &'a Origin>) -> Vec<String> {
    let mut commits: Vec<String> = inputs.filter_map(|input| input.commit.clone()).collect();
    commits.sort();
    commits.dedup();
    commits
}

/// One of the things that went into a build, if it is a source repository.
fn input(descriptor: &Value) -> Option<Origin> {
    let uri = descriptor["uri"].as_str()?;
    let (url, reference) = split_reference(uri);
    let commit = commit_in(&descriptor["digest"]);
    // A package or an image has a URL as well. Git says so, by its scheme, its kind of digest, or its ending.
    let is_git = uri.starts_with("git+")
        || uri.starts_with("git:")
        || uri.starts_with("ssh:")
        || uri.starts_with("git@")
        || url.ends_with(".git")
        || commit.is_some();
    let repository = is_git.then(|| url.parse().ok())??;
    let commit = commit.or_else(|| reference.filter(|text| is_commit(text)).map(str::to_owned));
    Some(Origin { repository, commit })
}

/// What a build was started with, in the words of the builders: GitHub's workflow, BuildKit's and SLSA 0.2's
/// configSource, and a plain `source` or `repository`.
fn declared(started_with: &Value) -> Result<Option<Origin>, NoSource> {
    let places = [
        (&started_with["workflow"]["repository"], &Value::Null),
        (
            &started_with["configSource"]["uri"],
            &started_with["configSource"]["digest"],
        ),
        (
            &started_with["source"]["uri"],
            &started_with["source"]["digest"],
        ),
        (&started_with["source"], &started_with["revision"]),
        (&started_with["repository"], &started_with["revision"]),
    ];
    for (place, digest) in places {
        let Some(text) = place.as_str().filter(|text| !text.is_empty()) else {
            continue;
        };
        let (url, reference) = split_reference(text);
        let repository = url.parse().map_err(|error| {
            NoSource(format!("it says the build was started with what {error}"))
        })?;
        let commit = commit_in(digest)
            .or_else(|| {
                digest
                    .as_str()
                    .filter(|text| is_commit(text))
                    .map(str::to_owned)
            })
            .or_else(|| reference.filter(|text| is_commit(text)).map(str::to_owned));
        return Ok(Some(Origin { repository, commit }));
    }
    Ok(None)
}

/// What BuildKit saw of the tree that it built from.
fn from_vcs(vcs: &Value) -> Option<Origin> {
    Some(Origin {
        repository: vcs["source"].as_str()?.parse().ok()?,
        commit: vcs["revision"].as_str().map(str::to_owned),
    })
}

fn commit_in(digest: &Value) -> Option<String> {
    ["gitCommit", "sha1"]
        .iter()
        .find_map(|name| digest[*name].as_str())
        .map(str::to_owned)
}

/// A whole SHA-1 or SHA-256, and not a branch.
fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const COMMIT: &str = "5c1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b";

    fn image() -> Digest {
        format!("sha256:{}", "ab".repeat(32)).parse().unwrap()
    }

    fn read(kind: &str, predicate: Value) -> Result<SourceFacts, NoSource> {
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v0.1", "predicateType": kind, "predicate": predicate,
            "subject": [{"name": "x", "digest": {"sha256": "00"}}, {"digest": {"sha256": image().hex()}}],
        });
        from_statement(statement.to_string().as_bytes(), &image())
    }

    fn v1(parameters: Value, dependencies: Value) -> Result<SourceFacts, NoSource> {
        let definition =
            json!({"externalParameters": parameters, "resolvedDependencies": dependencies});
        read(SLSA_1, json!({"buildDefinition": definition}))
    }

    fn git(repository: &str) -> Value {
        json!({"uri": format!("git+https://github.com/{repository}@refs/heads/main"), "digest": {"gitCommit": COMMIT}})
    }

    #[test]
    fn builders_say_in_different_words_what_they_built() {
        let action = json!({"uri": "git+https://github.com/acme/action@v1", "digest": {"gitCommit": "0".repeat(40)}});
        let package = json!({"uri": "pkg:docker/debian@12", "digest": {"sha256": "1".repeat(64)}});
        let vcs = json!({"vcs": {"source": "git@github.com:acme/shop.git", "revision": COMMIT}});
        let source = json!({"uri": "git+https://github.com/acme/shop", "digest": {"sha1": COMMIT}});
        for (builder, facts) in [
            (
                "the only dependency",
                v1(json!({}), json!([git("acme/shop"), package])),
            ),
            (
                "the same dependency twice",
                v1(json!({}), json!([git("acme/shop"), git("Acme/shop")])),
            ),
            (
                "GitHub",
                v1(
                    json!({"workflow": {"repository": "https://github.com/acme/shop", "ref": "refs/heads/main"}}),
                    json!([action.clone(), git("acme/shop")]),
                ),
            ),
            (
                "BuildKit, from a remote context",
                v1(
                    json!({"configSource": {"uri": format!("https://github.com/acme/shop.git#{COMMIT}")}}),
                    json!([package]),
                ),
            ),
            (
                "BuildKit, from a local tree",
                read(
                    SLSA_1,
                    json!({"runDetails": {"metadata": {"buildkit_metadata": vcs}}}),
                ),
            ),
            (
                "a plain source",
                v1(
                    json!({"source": "https://github.com/acme/shop", "revision": COMMIT}),
                    json!([]),
                ),
            ),
            (
                "SLSA 0.2",
                read(
                    SLSA_02,
                    json!({"invocation": {"configSource": source}, "materials": [action]}),
                ),
            ),
            (
                "SLSA 0.2, materials only",
                read(SLSA_02, json!({"materials": [source]})),
            ),
            (
                "BuildKit's 0.2",
                read(
                    SLSA_02,
                    json!({"metadata": {"https://mobyproject.org/buildkit@v1#metadata": vcs}}),
                ),
            ),
        ] {
            let facts = facts.unwrap_or_else(|error| panic!("{builder}: {error}"));
            assert_eq!(
                facts.repository.to_string(),
                "https://github.com/acme/shop",
                "{builder}"
            );
            assert_eq!(facts.revision.as_deref(), Some(COMMIT), "{builder}");
            assert_eq!(
                (facts.dirty, facts.evidence),
                (None, Evidence::Attestation),
                "{builder}"
            );
        }
    }

    #[test]
    fn a_changed_tree_is_one_in_provenance_too() {
        let vcs = json!({"vcs": {"source": "git@github.com:acme/shop.git", "revision": format!("{COMMIT}-dirty")}});
        let facts = read(
            SLSA_1,
            json!({"runDetails": {"metadata": {"buildkit_metadata": vcs}}}),
        )
        .unwrap();
        assert_eq!(
            (facts.revision.as_deref(), facts.dirty),
            (Some(COMMIT), Some(true))
        );
    }

    #[test]
    fn a_branch_is_no_commit() {
        let branch = json!([{"uri": "git+https://github.com/acme/shop@refs/heads/main"}]);
        assert_eq!(v1(json!({}), branch).unwrap().revision, None);
    }

    #[test]
    fn what_does_not_say_one_source_of_this_image_is_refused_for_its_reason() {
        let about_another = json!({
            "_type": "https://in-toto.io/Statement/v1", "predicateType": SLSA_1,
            "subject": [{"digest": {"sha256": "cd".repeat(32), "sha512": image().hex()}}], "predicate": {},
        });
        let not_a_statement =
            json!({"_type": "https://example.com", "predicateType": SLSA_1, "predicate": {}});
        let mut other_commit = git("acme/shop");
        other_commit["digest"]["gitCommit"] = json!("1".repeat(40));
        for (facts, reason) in [
            (from_statement(b"{}", &image()), "no in-toto statement"),
            (from_statement(b"\xff", &image()), "no in-toto statement"),
            (
                from_statement(not_a_statement.to_string().as_bytes(), &image()),
                "but https://example.com",
            ),
            (
                from_statement(about_another.to_string().as_bytes(), &image()),
                "another digest",
            ),
            (
                read("https://cyclonedx.org/bom", json!({})),
                "no provenance",
            ),
            (read(SLSA_1, Value::Null), "names no source repository"),
            (
                v1(json!({}), json!([git("acme/shop"), git("acme/tool")])),
                "2 source repositories",
            ),
            (
                v1(json!({}), json!([git("acme/shop"), other_commit.clone()])),
                "2 commits",
            ),
            (
                v1(
                    json!({"repository": "https://github.com/acme/shop"}),
                    json!([git("acme/shop"), other_commit]),
                ),
                "2 commits",
            ),
            (
                v1(json!({"repository": "file:///tmp/shop"}), json!([])),
                "started with",
            ),
        ] {
            let error = facts.unwrap_err().to_string();
            assert!(error.contains(reason), "{reason}: {error}");
        }
    }
}
