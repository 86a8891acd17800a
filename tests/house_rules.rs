//! The rules of the house: who may know whom, and what there is only one of.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All source files, with their path from `src/`.
fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found)
            } else {
                found.push(path)
            }
        }
    }
    let (source, mut files) = (root().join("src"), Vec::new());
    walk(&source, &mut files);
    files
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .map(|path| {
            let name = path
                .strip_prefix(&source)
                .unwrap()
                .to_string_lossy()
                .into_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// The text that runs in the program: without comments, and without what is compiled for tests alone. Such an item ends at
/// the first `;` or brace in the column of its attribute, as rustfmt sets them.
fn program(text: &str) -> String {
    let (mut kept, mut lines) = (Vec::new(), text.lines());
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            let column = line.len() - line.trim_start().len();
            let is_end = |line: &str| {
                line.len() - line.trim_start().len() == column && line.ends_with([';', '}'])
            };
            lines
                .by_ref()
                .take_while(|line| !is_end(line))
                .for_each(drop);
        } else if !line.trim_start().starts_with("//") {
            kept.push(line);
        }
    }
    kept.join("\n")
}

#[test]
fn what_stands_below_an_item_for_tests_is_read() {
    let text = "use a;\n#[cfg(test)]\nmod tests;\nuse b;\nimpl A {\n    #[cfg(test)]\n    fn c() {\n        d();\n    }\n\
                // e\n    fn f() {}\n}\n#[cfg(test)]\nmod tests {\n    use g;\n}\nuse h;";
    let read = "use a;\nuse b;\nimpl A {\n    fn f() {}\n}\nuse h;";
    assert_eq!(program(text), read);
}

/// Fails for every file outside `allowed` in which one of `words` stands.
fn only_in(allowed: &[&str], words: &[&str]) {
    let mut found = Vec::new();
    for (name, text) in sources() {
        if allowed.iter().any(|start| name.starts_with(start)) || name.contains("/tests") {
            continue;
        }
        let text = program(&text);
        found.extend(
            words
                .iter()
                .filter(|word| text.contains(**word))
                .map(|word| format!("{name}: {word}")),
        );
    }
    assert!(
        found.is_empty(),
        "only {allowed:?} may do this:\n{}",
        found.join("\n")
    );
}

/// Fails for every file under `module` that knows one of `others`.
fn knows_nothing_of(module: &str, others: &[&str]) {
    for (name, text) in sources()
        .into_iter()
        .filter(|(name, _)| name.starts_with(module))
    {
        let text = program(&text);
        for other in others {
            assert!(
                !text.contains(&format!("crate::{other}")),
                "src/{name} must not know {other}"
            );
        }
    }
}

#[test]
fn dependencies_point_inwards() {
    let outer = [
        "api",
        "app",
        "cli",
        "cloud",
        "config",
        "controllers",
        "engine",
        "registry",
        "server",
        "telemetry",
        "dev",
    ];
    knows_nothing_of("model", &outer);
    knows_nothing_of("model", &["plan"]);
    knows_nothing_of("plan", &outer);
    knows_nothing_of(
        "api",
        &[
            "app",
            "cli",
            "cloud",
            "config",
            "controllers",
            "engine",
            "plan",
            "server",
            "dev",
        ],
    );
    knows_nothing_of(
        "trace",
        &[
            "app",
            "cli",
            "cloud",
            "config",
            "controllers",
            "engine",
            "server",
            "dev",
        ],
    );
    knows_nothing_of(
        "cloud/aws",
        &[
            "api",
            "app",
            "cli",
            "controllers",
            "engine",
            "plan",
            "server",
            "dev",
        ],
    );
    // Whoever reads images decides nothing, and knows neither objects nor AWS.
    let but_itself: Vec<&str> = outer
        .into_iter()
        .filter(|name| *name != "registry")
        .collect();
    knows_nothing_of("registry", &but_itself);
    knows_nothing_of("registry", &["plan"]);
    knows_nothing_of(
        "journal",
        &[
            "api",
            "app",
            "cli",
            "config",
            "controllers",
            "engine",
            "plan",
            "server",
            "telemetry",
            "dev",
            "cloud::aws",
            "cloud::simulated",
        ],
    );
    knows_nothing_of("cloud", &["journal", "identity", "outbound"]);
    // Who talks to authorization servers decides nothing, and knows AWS by its port alone.
    let but_the_port: Vec<&str> = outer.into_iter().filter(|name| *name != "cloud").collect();
    knows_nothing_of("identity", &but_the_port);
    knows_nothing_of(
        "identity",
        &["plan", "journal", "cloud::aws", "cloud::simulated"],
    );
    for below in ["causes", "few"] {
        knows_nothing_of(below, &outer);
        knows_nothing_of(below, &["model", "plan", "outbound", "identity", "journal"]);
    }
    knows_nothing_of("outbound", &outer);
    knows_nothing_of("outbound", &["model", "plan", "identity", "journal"]);
    knows_nothing_of(
        "engine",
        &[
            "app",
            "cli",
            "controllers",
            "registry",
            "server",
            "config",
            "dev",
        ],
    );
    knows_nothing_of(
        "controllers",
        &[
            "app",
            "cli",
            "server",
            "config",
            "dev",
            "cloud::aws",
            "cloud::simulated",
            "registry::oci",
        ],
    );
}

#[test]
fn the_sdk_is_known_to_its_adapters_only() {
    only_in(
        &["cloud/aws"],
        &[
            "aws_sdk_",
            "aws_config",
            "aws_smithy",
            "aws_credential_types",
        ],
    );
}

#[test]
fn clients_servers_environment_and_time_have_their_places() {
    let with_clients = ["engine", "controllers", "app", "cli", "dev"];
    only_in(
        &[&with_clients[..], &["api", "trace"]].concat(),
        &["kube::"],
    );
    only_in(
        &with_clients,
        &["kube::Client", "kube::Api", "kube::api", "kube::runtime"],
    );
    only_in(&["server"], &["axum::"]);
    only_in(&["telemetry"], &["opentelemetry"]);
    only_in(
        &["cli/print.rs"],
        &["println!", "print!(", "eprintln!", "eprint!", "stdout()"],
    );
    // The AWS SDK and the Kubernetes client bring their own; the API server in memory serves, and asks nobody.
    only_in(
        &[
            "outbound.rs",
            "registry/oci",
            "identity/http.rs",
            "telemetry",
        ],
        &["hyper::", "hyper_util::", "hyper_rustls::"],
    );
    only_in(&["outbound.rs", "telemetry"], &["legacy::Client"]);
    only_in(
        &[
            "outbound.rs",
            "registry/oci/transport.rs",
            "identity/http.rs",
        ],
        &["HttpClient<"],
    );
    only_in(
        &["registry/layer"],
        &["use tar::", "use flate2::", "use ruzstd::"],
    );
    only_in(&["config.rs"], &["env::var", "env::vars"]);
    only_in(
        &["engine/clock.rs"],
        &["Timestamp::now()", "SystemTime::now()"],
    );
}

/// Who takes a secret out of its cover: what sends it to where it belongs, and what keeps it.
#[test]
fn secrets_are_revealed_only_where_they_are_sent_or_kept() {
    only_in(
        &[
            "agent/",
            "cloud/aws/",
            "controllers/oauth_client/destinations/",
            // What `client.json` says, and what the vault keeps.
            "controllers/oauth_client/places.rs",
            "controllers/oauth_client/vault.rs",
            // Read from a Secret, and parsed.
            "controllers/oauth_provider/gather.rs",
            "identity/",
            "model/secret.rs",
            "registry/code_hosts.rs",
            "registry/oci/tokens.rs",
        ],
        &[".reveal()", "::reveal"],
    );
}

#[test]
fn no_module_is_a_drawer_for_everything() {
    for (name, _) in sources() {
        for word in ["utils", "common", "helpers", "misc"] {
            assert!(
                !name.split(['/', '.']).any(|part| part == word),
                "src/{name}: call it by what it does"
            );
        }
    }
}

/// What the program is built from, with these further arguments: `name version` for each.
fn tree(arguments: &[&str]) -> Vec<String> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--edges", "normal", "--prefix", "none", "--locked"])
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        tree.status.success(),
        "{}",
        String::from_utf8_lossy(&tree.stderr)
    );
    let tree = String::from_utf8(tree.stdout).unwrap();
    let mut packages: Vec<String> = tree
        .lines()
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

#[test]
fn there_is_one_stack_for_tls_and_http() {
    for features in [&[][..], &["--features", "otel"]] {
        let tree = tree(features);
        let versions = |name: &str| {
            let start = format!("{name} v");
            tree.iter()
                .filter(|package| package.starts_with(&start))
                .collect::<Vec<_>>()
        };
        for one in [
            "rustls",
            "hyper",
            "hyper-util",
            "hyper-rustls",
            "h2",
            "http",
            "tokio-rustls",
            "kube",
            "aws-lc-rs",
        ] {
            assert!(
                versions(one).len() <= 1,
                "more than one {one} with {features:?}: {:?}",
                versions(one)
            );
        }
        assert_eq!(versions("rustls").len(), 1, "the question is right");
        for none in [
            "ring",
            "openssl",
            "native-tls",
            "openssl-sys",
            "reqwest",
            "ureq",
            "isahc",
            "curl",
        ] {
            assert!(
                versions(none).is_empty(),
                "{none} brings a second TLS library or HTTP client: cargo tree {features:?} -i {none}"
            );
        }
    }
}

/// The feature `otel` adds crates and changes none: what is compiled without it serves with it, too.
#[test]
fn spans_are_exported_without_compiling_the_rest_again() {
    let with_features = |arguments: &[&str]| {
        let format = ["--format", "{p} {f}"];
        let tree = Command::new(env!("CARGO"))
            .args(["tree", "--edges", "normal,build", "--prefix", "none"])
            .args(["--locked"])
            .args(format)
            .args(arguments)
            .current_dir(root())
            .output()
            .unwrap();
        let text = String::from_utf8(tree.stdout).unwrap();
        let lines = text.lines().map(|line| line.replace(" (*)", ""));
        lines.collect::<std::collections::BTreeSet<_>>()
    };
    let (without, with) = (with_features(&[]), with_features(&["--features", "otel"]));
    let gone: Vec<_> = without
        .difference(&with)
        .filter(|line| !line.starts_with("bailiwick "))
        .collect();
    assert!(
        gone.is_empty(),
        "compiled again, with other features: {gone:?}"
    );
    assert!(with.len() > without.len());
}

#[test]
fn the_architecture_fits_two_hundred_lines() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    assert!(
        text.lines().count() <= 200,
        "{} lines",
        text.lines().count()
    );
}

/// The trace tells by the reasons and conditions of others who can mend a hop, and may not know their controllers: a name that
/// nobody gives any more would go to whoever is asked where nothing is known.
#[test]
fn the_trace_knows_no_reason_that_no_controller_gives() {
    let read = |name: &str| std::fs::read_to_string(root().join(name)).unwrap();
    let reference = read("docs/reasons.md") + &read("docs/kinds.md");
    let hops = program(&read("src/trace/hops.rs"));
    let is_name = |word: &&str| {
        word.starts_with(|first: char| first.is_ascii_uppercase())
            && !["True", "False", "Unknown"].contains(word)
            && word.chars().all(|one| one.is_ascii_alphanumeric())
    };
    let mut names: Vec<&str> = hops.split('"').skip(1).step_by(2).filter(is_name).collect();
    names.sort_unstable();
    names.dedup();
    assert!(
        names.contains(&"Duplicate") && names.len() > 10,
        "{names:?}"
    );
    let unknown = |name: &&str| !reference.contains(&format!("`{name}`"));
    let unknown: Vec<&str> = names.into_iter().filter(unknown).collect();
    assert_eq!(
        unknown,
        Vec::<&str>::new(),
        "neither a reason nor a condition"
    );
}
