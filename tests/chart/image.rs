//! The Containerfile against what it builds and what the chart runs. No engine builds it here; what can be known without one
//! is: that its paths, features, user and ports are those of the package and of the chart.

use std::path::Path;

use bailiwick::config::RunOptions;
use clap::Parser;

use super::chart;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    run: RunOptions,
}

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(root.join(path)).unwrap()
}

/// The instructions, each with its arguments.
fn instructions() -> Vec<(String, String)> {
    let text = read("Containerfile");
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let split = lines.map(|line| line.split_once(' ').unwrap());
    split
        .map(|(word, rest)| (word.to_owned(), rest.to_owned()))
        .collect()
}

fn of(word: &str) -> Vec<String> {
    let all = instructions().into_iter();
    all.filter(|(one, _)| one == word)
        .map(|(_, rest)| rest)
        .collect()
}

/// The default of a build argument.
fn argument(name: &str) -> String {
    let found = of("ARG").into_iter().find_map(|one| {
        let (key, value) = one.split_once('=')?;
        (key == name).then(|| value.to_owned())
    });
    found.unwrap_or_else(|| panic!("there is no ARG {name}"))
}

fn version(text: &str) -> Vec<u32> {
    text.split('.').map(|part| part.parse().unwrap()).collect()
}

#[test]
fn its_base_images_are_fixed_and_fit_each_other_and_the_code() {
    let (build, base) = (argument("BUILD_IMAGE"), argument("BASE_IMAGE"));
    assert_eq!(of("FROM"), ["${BUILD_IMAGE} AS build", "${BASE_IMAGE}"]);
    for image in [&build, &base] {
        let name = image.rsplit('/').next().unwrap();
        let tag = name.split_once(':').map_or("", |(_, tag)| tag);
        assert!(!["", "latest"].contains(&tag), "{image}: which one is it?");
    }
    // Debian 12 by both of its names: the binary finds the glibc that it was linked against.
    assert!(
        build.ends_with("-bookworm") && base.contains("debian12"),
        "{build} {base}"
    );
    let compiler = build.rsplit(':').next().unwrap().split('-').next().unwrap();
    assert!(
        version(compiler) >= version(env!("CARGO_PKG_RUST_VERSION")),
        "{compiler}"
    );
}

#[test]
fn it_builds_what_there_is_and_copies_what_it_builds() {
    let folder = of("WORKDIR").remove(0);
    let run = of("RUN").remove(0);
    for word in ["--release", "--locked", "--no-default-features"] {
        assert!(run.contains(word), "{run}");
    }
    let manifest = read("Cargo.toml");
    let features = manifest.split("[features]").nth(1).unwrap();
    let features = features.split("\n[").next().unwrap();
    for feature in argument("FEATURES").split(',') {
        assert!(features.contains(&format!("\n{feature} = [")), "{feature}");
        assert_ne!(
            feature, "dev",
            "what is for tests does not belong in the image"
        );
    }
    let binary = format!("{folder}/target/release/{}", env!("CARGO_PKG_NAME"));
    let place = format!("/usr/local/bin/{}", env!("CARGO_PKG_NAME"));
    assert_eq!(
        of("COPY"),
        [". .".to_owned(), format!("--from=build {binary} {place}")]
    );
    assert_eq!(of("ENTRYPOINT"), [format!("[\"{place}\"]")]);
    // Nothing that is compiled is left out of the build.
    let ignored = read(".dockerignore");
    let ignored: Vec<&str> = ignored
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert_eq!(ignored, [".git", "target"]);
    assert!(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("Cargo.lock")
            .exists()
    );
}

#[test]
fn its_user_and_its_port_are_those_of_the_chart() {
    let deployment = std::fs::read_to_string(chart().join("templates/deployment.yaml")).unwrap();
    let user = of("USER").remove(0);
    let (user, group) = user.split_once(':').unwrap();
    assert!(user.parse::<u32>().unwrap() > 0, "not root");
    for line in [
        "runAsNonRoot: true".to_owned(),
        format!("runAsUser: {user}\n"),
        format!("runAsGroup: {group}\n"),
        "          args:\n            - run\n".to_owned(),
    ] {
        assert!(deployment.contains(&line), "{line}");
    }
    let options = Arguments::parse_from(["test", "--cluster-name", "c"]).run;
    let port = options.listen.port();
    assert!(
        options.listen.ip().is_unspecified(),
        "probes come from outside of the pod"
    );
    for line in [
        format!("containerPort: {port}}}"),
        format!("port: {port}, targetPort: http}}"),
        format!("- ports: [{{port: {port}, protocol: TCP}}]"),
    ] {
        assert!(deployment.contains(&line), "{line}");
    }
    // An argument of the chart that the binary does not know would end every pod at once.
    for line in deployment
        .lines()
        .filter(|line| line.contains("BAILIWICK_"))
    {
        let name = line
            .split(['{', ' ', ',', ':'])
            .find(|word| word.starts_with("BAILIWICK_"))
            .unwrap();
        assert!(
            read("docs/cli.md").contains(name),
            "{name} is no variable of `bailiwick run`"
        );
    }
}
