use proptest::prelude::*;

use super::*;

fn normal(text: &str) -> String {
    text.parse::<SourceRepository>()
        .map_or_else(|error| error.to_string(), |found| found.to_string())
}

#[test]
fn one_repository_has_one_normal_form() {
    for (normal_form, ways) in [
        (
            "https://github.com/acme/shop",
            &[
                "https://github.com/acme/shop",
                "https://github.com/acme/shop/",
                "https://github.com/acme/shop.git",
                "https://github.com/acme/shop.git/",
                "https://github.com//acme//shop",
                "http://github.com/acme/shop",
                "HTTPS://GitHub.COM/Acme/Shop",
                "https://github.com:443/acme/shop",
                "http://github.com:80/acme/shop.git",
                "https://github.com./acme/shop",
                "https://www.github.com/acme/shop",
                "https://user:secret@github.com/acme/shop",
                "https://token@github.com/acme/shop.git",
                "git@github.com:acme/shop.git",
                "git@github.com:/acme/shop.git",
                "github.com:acme/shop",
                "ssh://git@github.com/acme/shop.git",
                "ssh://git@github.com:22/acme/shop.git",
                "ssh://git@ssh.github.com:443/acme/shop.git",
                "git://github.com/acme/shop.git",
                "git://github.com:9418/acme/shop.git",
                "git+https://github.com/acme/shop.git",
                "git+ssh://git@github.com/acme/shop.git",
                "git:git@github.com:acme/shop.git",
                "git:https://github.com/acme/shop",
                "scm:git:git://github.com/acme/shop.git",
                "https://github.com/acme/shop/tree/main",
                "https://github.com/acme/shop/tree/main/deep/er",
                "https://github.com/acme/shop/pull/7/files",
                "https://github.com/acme/shop.git/info/refs",
            ][..],
        ),
        (
            "https://gitlab.com/acme/web/shop",
            &[
                "https://gitlab.com/acme/web/shop",
                "git@gitlab.com:Acme/web/shop.git",
                "https://gitlab.com/acme/web/shop/-/tree/main",
                "https://gitlab.com/acme/web/shop/tree/main",
                "https://gitlab.com/acme/web/shop.git/",
            ][..],
        ),
        (
            "https://git.example.com/Acme/Shop",
            &[
                "https://git.example.com/Acme/Shop",
                "ssh://git@GIT.example.com:2222/Acme/Shop.git",
                "https://git.example.com/Acme/Shop/src/branch/main",
                "https://git.example.com/scm/Acme/Shop.git",
                "https://git.example.com/projects/Acme/repos/Shop/browse",
            ][..],
        ),
        (
            "https://git.example.com:8443/acme/shop",
            &[
                "https://git.example.com:8443/acme/shop",
                "http://git.example.com:8443/acme/shop.git",
            ][..],
        ),
        (
            "https://dev.azure.com/acme/web/shop",
            &[
                "https://dev.azure.com/acme/web/_git/shop",
                "https://acme@dev.azure.com/acme/web/_git/shop",
                "git@ssh.dev.azure.com:v3/acme/web/shop",
            ][..],
        ),
        (
            "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/shop",
            &[
                "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/shop",
                "ssh://APKA@git-codecommit.eu-west-1.amazonaws.com/v1/repos/shop",
            ][..],
        ),
        (
            "https://github.com/123/456",
            &["git@github.com:123/456.git"][..],
        ),
    ] {
        for way in ways {
            assert_eq!(normal(way), normal_form, "{way}");
        }
    }
}

#[test]
fn different_repositories_stay_different() {
    let all: Vec<String> = [
        "https://github.com/acme/shop",
        "https://github.com/acme/shop2",
        "https://github.com/acme2/shop",
        "https://gitlab.com/acme/shop",
        "https://git.example.com/acme/shop",
        "https://git.example.com:8443/acme/shop",
        "https://git.example.com/acme/sub/shop",
        "https://git.example.com/acme/sub/tree",
        "https://github.com.example.com/acme/shop",
    ]
    .iter()
    .map(|text| normal(text))
    .collect();
    let mut different = all.clone();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), all.len(), "{all:?}");
}

#[test]
fn case_makes_no_difference_and_is_kept_where_a_host_may_need_it() {
    let all: Vec<SourceRepository> = [
        "https://git.example.com/acme/shop",
        "git@Git.Example.com:Acme/Shop.git",
        "ssh://git@git.example.com/ACME/shop",
    ]
    .iter()
    .map(|text| text.parse().unwrap())
    .collect();
    assert!(all.iter().all(|one| *one == all[0]), "{all:?}");
    assert_eq!(all[1].to_string(), "https://git.example.com/Acme/Shop");
    assert_eq!(
        normal("https://GitHub.com/Acme/Shop"),
        "https://github.com/acme/shop"
    );
}

#[test]
fn what_is_no_repository_is_refused_for_its_reason() {
    for (text, reason) in [
        ("", "URL of a source repository"),
        ("shop", "URL of a source repository"),
        ("acme/shop", "URL of a source repository"),
        ("github.com/acme/shop", "URL of a source repository"),
        ("https://github.com", "an owner and a name"),
        ("https://github.com/", "an owner and a name"),
        ("https://github.com/acme", "an owner and a name"),
        ("https://dev.azure.com/acme/web", "an owner and a name"),
        ("git@github.com:shop.git", "an owner and a name"),
        ("git@github.com:22/acme/shop.git", "takes no port"),
        (
            "https://github.com/acme/shop?tab=readme",
            "from the ? or # on",
        ),
        ("https://github.com/acme/shop#readme", "from the ? or # on"),
        ("file:///srv/git/shop.git", "URL of a source repository"),
        (
            "svn://svn.example.com/acme/shop",
            "URL of a source repository",
        ),
        ("https://localhost/acme/shop", "URL of a source repository"),
        (
            "https://github.com/acme/../shop",
            "URL of a source repository",
        ),
        (
            "https://git.example.com/acme/..",
            "URL of a source repository",
        ),
        (
            "https://git.example.com/acme/%2e%2e",
            "URL of a source repository",
        ),
        (
            "https://git.example.com/acme/.git",
            "URL of a source repository",
        ),
        (
            "https://github.com/acme/my shop",
            "URL of a source repository",
        ),
        (
            "https://github.com:port/acme/shop",
            "URL of a source repository",
        ),
        ("C:\\src\\shop", "URL of a source repository"),
        ("https://gïthub.com/acme/shop", "URL of a source repository"),
    ] {
        let error = text.parse::<SourceRepository>().unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
}

#[test]
fn a_refusal_does_not_repeat_a_password() {
    for text in [
        "https://user:secret@github.com/acme",
        "svn://me:secret@h.example/a/b",
        "u:secret@x",
    ] {
        let error = text.parse::<SourceRepository>().unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}

/// Pieces out of which URLs are made, good and bad.
fn urls() -> impl Strategy<Value = String> {
    (
        prop::sample::select(vec![
            "https://",
            "http://",
            "ssh://git@",
            "git://",
            "git@",
            "git+https://",
            "git:",
            "scm:git:",
            "",
            "git:git:",
            "https://u:p@",
            "GIT+SSH://",
        ]),
        prop::sample::select(vec![
            "github.com",
            "GitHub.com",
            "gitlab.com",
            "git.example.com",
            "dev.azure.com",
            "www.github.com",
            "ssh.dev.azure.com",
            "localhost",
            "git.example.com.",
        ]),
        prop::sample::select(vec!["", ":", ":22", ":443", ":80", ":8443", ":0", ":70000"]),
        prop::sample::select(vec!["/", ":", "//", ":/"]),
        prop::collection::vec(
            prop::sample::select(vec![
                "acme",
                "Shop",
                "shop.git",
                "shop.git.git",
                ".git",
                "tree",
                "src",
                "main",
                "-",
                "scm",
                "projects",
                "repos",
                "v3",
                "_git",
                "..",
                "",
                "123",
                "~me",
            ]),
            0..7,
        ),
        prop::sample::select(vec!["", "/", ".git", ".git/"]),
    )
        .prop_map(|(scheme, host, port, between, parts, end)| {
            format!("{scheme}{host}{port}{between}{}{end}", parts.join("/"))
        })
}

/// What admission lets through is read: everything else that keeps it from being read would come as a surprise later.
#[track_caller]
fn is_read_if_admitted(text: &str) -> Result<(), TestCaseError> {
    let matches = |pattern: &str| regex::Regex::new(pattern).unwrap().is_match(text);
    let admits = |rule: &DeclaredRule| !matches(rule.when) || rule.then.is_some_and(matches);
    if text.len() <= LONGEST_DECLARED && DECLARED_RULES.iter().all(admits) {
        let read = text.parse::<SourceRepository>();
        prop_assert!(read.is_ok(), "{text}: {read:?}");
        prop_assert_eq!(read, SourceRepository::declared(text));
    } else {
        prop_assert!(SourceRepository::declared(text).is_err(), "{}", text);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn what_is_admitted_is_read(url in urls()) {
        is_read_if_admitted(&url)?;
    }

    #[test]
    fn the_normal_form_is_its_own_normal_form(url in urls()) {
        if let Ok(repository) = url.parse::<SourceRepository>() {
            prop_assert_eq!(repository.to_string().parse(), Ok(repository), "{}", url);
        }
    }

    #[test]
    fn neither_user_nor_scheme_nor_ending_makes_a_difference(
        owner in "[a-z][a-z0-9-]{0,8}", name in "[a-z][a-z0-9_]{0,8}", user in "[a-z]{1,6}"
    ) {
        let expected = normal(&format!("https://git.example.com/{owner}/{name}"));
        for other in [
            format!("ssh://{user}@git.example.com:7999/{owner}/{name}.git"),
            format!("{user}@git.example.com:{owner}/{name}"),
            format!("git+https://{user}:x@git.example.com/{owner}/{name}.git/"),
        ] {
            prop_assert_eq!(normal(&other), expected.clone(), "{}", other);
        }
    }

    #[test]
    fn nothing_makes_it_panic(text in "\\PC{0,80}") {
        let _ = text.parse::<SourceRepository>();
    }
}
