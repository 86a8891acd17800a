//! Files that are generated are what would be generated now; `make generate` writes them anew.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::path::Path;

use bailiwick::engine::metrics::catalogue;

#[test]
fn generated_files_are_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (path, text) in bailiwick::cli::generate::files().unwrap() {
        let found = std::fs::read_to_string(root.join(&path)).unwrap_or_default();
        assert!(
            found == text,
            "{path} is not what would be generated: run `make generate` and commit it"
        );
    }
}

/// The words in UpperCamelCase that stand alone in quotes.
fn words(text: &str) -> Vec<&str> {
    let camel = |word: &&str| {
        word.len() > 1
            && word.starts_with(|first: char| first.is_ascii_uppercase())
            && word.contains(|any: char| any.is_ascii_lowercase())
            && word.chars().all(|any| any.is_ascii_alphanumeric())
    };
    text.split('"').skip(1).step_by(2).filter(camel).collect()
}

/// What runs in the program, of the files below `folder`.
fn programs(folder: &Path) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(programs(&path));
        } else {
            let text = std::fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]").next().unwrap();
            let lines = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            let text = lines.collect::<Vec<_>>().join("\n");
            all.push((path.display().to_string(), text));
        }
    }
    all
}

/// A reason, or a type of a condition, that the reference does not have cannot be given by mistake: every such word in
/// the code is in the tables. (What a pass really says is checked against them, too, in every test that runs one.)
#[test]
fn every_word_for_programs_is_in_the_reference() {
    use bailiwick::controllers::{
        account_class, application, application_name, approval, image_repository, oauth_client,
        oauth_provider, release, resource_type, team, team_account,
    };
    use bailiwick::engine::reasons::ENGINE;

    // Kubernetes', AWS's, and words of the engine that are neither reason nor condition.
    let other = [
        "RoleBinding",
        "ServiceAccount",
        "Secret",
        "Opaque",
        "ClusterRole",
        "User",
        "Group",
        "True",
        "False",
        "Unknown",
        "Reconcile",
        "CreateAccount",
        "AccountAlreadyClosedException",
        "InvalidInputException",
        "RepositoryNotEmptyException",
        "KmsException",
        // The cause that the API server gives for refusing an event; of a team, a reason.
        "NamespaceTerminating",
        // A condition of accounts that repositories go by.
        "Baselined",
        // What a client's plan says would be done.
        "Revoke",
        "Remove",
        "Update",
        "Continue",
        "Register",
        "Deliver",
        "Shorten",
        "Clean",
    ];
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let kinds = [
        (
            "AccountClass",
            "controllers/account_class",
            account_class::reasons::ALL,
        ),
        ("Team", "controllers/team", team::reasons::ALL),
        (
            "TeamAccount",
            "controllers/team_account",
            team_account::reasons::ALL,
        ),
        (
            "Application",
            "controllers/application",
            application::reasons::ALL,
        ),
        (
            "ApplicationName",
            "controllers/application_name",
            application_name::reasons::ALL,
        ),
        ("Release", "controllers/release", release::reasons::ALL),
        ("Approval", "controllers/approval", approval::reasons::ALL),
        (
            "ImageRepository",
            "controllers/image_repository",
            image_repository::reasons::ALL,
        ),
        (
            "OAuthProvider",
            "controllers/oauth_provider",
            oauth_provider::reasons::ALL,
        ),
        (
            "OAuthClient",
            "controllers/oauth_client",
            oauth_client::reasons::ALL,
        ),
        (
            "ResourceType",
            "controllers/resource_type",
            resource_type::reasons::ALL,
        ),
    ];
    for (kind, folder, reasons) in kinds {
        let conditions = bailiwick::api::conditions_of(kind);
        let known = |word: &str| {
            word == kind
                || other.contains(&word)
                || conditions.iter().any(|(type_, _)| *type_ == word)
                || reasons
                    .iter()
                    .chain(ENGINE)
                    .any(|reason| reason.name == word)
        };
        let mut seen = 0;
        for (path, text) in programs(&source.join(folder)) {
            for word in words(&text) {
                seen += 1;
                assert!(
                    known(word),
                    "{path}: {word:?} is not in the tables of {kind}"
                );
            }
        }
        assert!(seen > 3, "{folder} says nothing");
    }
    let conditions = bailiwick::api::conditions_of("");
    for (path, text) in programs(&source.join("engine")) {
        if path.ends_with("catalogue.rs") {
            continue;
        }
        for word in words(&text) {
            let known = other.contains(&word)
                || conditions.iter().any(|(type_, _)| *type_ == word)
                || ENGINE.iter().any(|reason| reason.name == word);
            assert!(known, "{path}: {word:?} is not in the tables of the engine");
        }
    }
}

#[test]
fn every_reason_is_said_once_and_explained() {
    use bailiwick::controllers::{
        account_class, application, application_name, approval, image_repository, oauth_client,
        oauth_provider, release, resource_type, team, team_account,
    };
    use bailiwick::engine::reasons::ENGINE;
    for table in [
        account_class::reasons::ALL,
        team::reasons::ALL,
        team_account::reasons::ALL,
        application::reasons::ALL,
        application_name::reasons::ALL,
        release::reasons::ALL,
        approval::reasons::ALL,
        image_repository::reasons::ALL,
        oauth_provider::reasons::ALL,
        oauth_client::reasons::ALL,
        resource_type::reasons::ALL,
        ENGINE,
    ] {
        let mut names: Vec<_> = table.iter().map(|reason| reason.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(
            names.len(),
            table.len(),
            "a reason is there twice: {names:?}"
        );
        for reason in table {
            for sentence in [reason.means, reason.then] {
                assert!(
                    sentence.ends_with('.') && sentence.len() > 5,
                    "{}: {sentence:?} is no sentence",
                    reason.name
                );
            }
        }
    }
}

/// What the rights in IAM are called where they have another name than the operation.
const RIGHTS: &[(&str, &str)] = &[
    ("s3:GetBucketEncryption", "s3:GetEncryptionConfiguration"),
    ("s3:GetPublicAccessBlock", "s3:GetBucketPublicAccessBlock"),
    ("s3:ListObjectsV2", "s3:ListBucket"),
    ("s3:PutBucketEncryption", "s3:PutEncryptionConfiguration"),
    ("s3:PutPublicAccessBlock", "s3:PutBucketPublicAccessBlock"),
];

/// `service:Operation`, if the text is that with this character in between.
fn right(text: &str, between: char) -> Option<String> {
    let (service, operation) = text.split_once(between)?;
    let mut letters = service.chars();
    let is_service = letters.all(|any| any.is_ascii_lowercase() || any == '-' || any == '3');
    let is_operation = operation.starts_with(|any: char| any.is_ascii_uppercase())
        && operation.chars().all(|any| any.is_ascii_alphanumeric());
    (is_service && is_operation && !service.is_empty()).then(|| format!("{service}:{operation}"))
}

/// The operations that the adapters name.
fn operations() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cloud/aws");
    let mut all = BTreeSet::new();
    for (_, text) in programs(&folder) {
        let quoted = text.split('"').skip(1).step_by(2);
        all.extend(quoted.filter_map(|word| right(word, '.')));
    }
    all
}

#[test]
fn the_labels_of_metrics_are_all_kinds_and_all_services() {
    let label = |name: &str| -> BTreeSet<String> {
        let labels = catalogue::ALL.iter().flat_map(|metric| metric.labels);
        let values = labels.filter(|label| label.name == name);
        let values = values.filter_map(|label| label.values).flat_map(|it| it());
        values.map(str::to_owned).collect()
    };
    let kinds = bailiwick::api::definitions().unwrap().into_iter();
    let kinds: BTreeSet<String> = kinds.map(|one| one.spec.names.kind).collect();
    assert_eq!(label("kind"), kinds);
    let service = |operation: String| operation.split(':').next().unwrap().to_owned();
    let services: BTreeSet<String> = operations().into_iter().map(service).collect();
    assert_eq!(label("service"), services);
}

/// Nobody can follow the documents and lack a right: whatever operation an adapter names, and whatever a session is
/// narrowed to, is listed, and nothing else is.
#[test]
fn the_rights_in_aws_are_those_that_the_code_asks_for() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/aws-rights.md")).unwrap();
    // Whoever is known to AWS may ask who it is, and whoever has a token for a role may take it on.
    let free = ["sts:AssumeRoleWithWebIdentity", "sts:GetCallerIdentity"];
    // The journal's, which has a page of its own.
    let elsewhere = ["s3:GetObject"];
    // Asked for by AWS itself, on our behalf.
    let besides = [
        "ecr:GetDownloadUrlForLayer",
        "iam:CreateServiceLinkedRole",
        "kms:Decrypt",
        "kms:Encrypt",
        "kms:GenerateDataKey",
        "kms:ViaService",
        "secretsmanager:TagResource",
    ];
    let named = |operation: String| {
        let renamed = RIGHTS.iter().find(|(from, _)| *from == operation);
        renamed.map_or(operation, |(_, to)| (*to).to_owned())
    };
    let wanted: BTreeSet<String> = operations().into_iter().map(named).collect();
    assert!(wanted.len() > 60, "{wanted:?}");
    let listed: BTreeSet<String> = page
        .split(['"', '`'])
        .filter_map(|word| right(word, ':'))
        .collect();
    let skip = |name: &&String| {
        let name = name.as_str();
        free.contains(&name) || elsewhere.contains(&name) || besides.contains(&name)
    };
    let missing: Vec<_> = wanted.difference(&listed).filter(|it| !skip(it)).collect();
    assert!(missing.is_empty(), "not in docs/aws-rights.md: {missing:?}");
    let more: Vec<_> = listed.difference(&wanted).filter(|it| !skip(it)).collect();
    assert!(more.is_empty(), "nobody asks for: {more:?}");
}
