//! Every dependency may be used under a licence that goes with Apache-2.0; a new licence is a decision of a person.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::Command;

use serde_json::Value;

/// Permissive licences that ask for no more than a notice, as SPDX writes them.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

#[test]
fn every_dependency_has_a_licence_that_we_accept() {
    let unaccepted: Vec<String> = packages()
        .iter()
        .filter(|package| !package["license"].as_str().is_some_and(accepts))
        .map(|package| {
            format!(
                "{} {}: {}",
                package["name"], package["version"], package["license"]
            )
        })
        .collect();
    assert!(
        unaccepted.is_empty(),
        "not (known to be) usable; choose another crate, or add the licence to the list after reading it:\n{}",
        unaccepted.join("\n")
    );
}

/// What is built on Linux, tests included, as Cargo.lock has it.
fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version=1",
            "--locked",
            "--all-features",
        ])
        .args([
            "--filter-platform=x86_64-unknown-linux-gnu",
            "--manifest-path",
        ])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap().clone();
    assert!(
        packages.len() > 100,
        "only {} packages: is the question right?",
        packages.len()
    );
    packages
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    for good in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-3.0-only OR MIT",
        "(Apache-2.0 OR GPL-3.0-only) AND BSD-3-Clause",
        "Apache-2.0 WITH LLVM-exception OR Apache-2.0",
        "MIT OR GPL-3.0-only AND Proprietary",
    ] {
        assert!(accepts(good), "{good}");
    }
    for bad in [
        "",
        "GPL-3.0-only",
        "MIT AND GPL-3.0-only",
        "(MIT OR ISC) AND (GPL-3.0-only OR LicenseRef-Own)",
        "MIT WITH Some-exception",
        "MIT OR",
        "MIT ISC",
        "(MIT",
    ] {
        assert!(!accepts(bad), "{bad}");
    }
}

/// Whether one of the choices that an SPDX expression gives is ours to take. What cannot be read is not accepted.
fn accepts(expression: &str) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    either(&mut rest) == Some(true) && rest.is_empty()
}

fn either(rest: &mut &[&str]) -> Option<bool> {
    let mut accepted = both(rest)?;
    while next_is(rest, "OR") {
        accepted |= both(rest)?;
    }
    Some(accepted)
}

fn both(rest: &mut &[&str]) -> Option<bool> {
    let mut accepted = one(rest)?;
    while next_is(rest, "AND") {
        accepted &= one(rest)?;
    }
    Some(accepted)
}

fn one(rest: &mut &[&str]) -> Option<bool> {
    if next_is(rest, "(") {
        let accepted = either(rest)?;
        return next_is(rest, ")").then_some(accepted);
    }
    let (name, after) = rest.split_first()?;
    *rest = after;
    if !next_is(rest, "WITH") {
        return Some(ALLOWED.contains(name));
    }
    let (exception, after) = rest.split_first()?;
    *rest = after;
    Some(ALLOWED.contains(&format!("{name} WITH {exception}").as_str()))
}

/// Takes the word if it is the next one.
fn next_is(rest: &mut &[&str], word: &str) -> bool {
    match rest.split_first() {
        Some((first, after)) if *first == word => {
            *rest = after;
            true
        }
        _ => false,
    }
}
