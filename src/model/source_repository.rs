//! Where source code is kept.

use super::InvalidValue;

/// Hosts whose paths are owner and name and nothing below: what follows shows something inside the repository.
const TWO_LEVELS: &[&str] = &["github.com", "bitbucket.org", "codeberg.org"];
/// Hosts that take names in upper and lower case for the same. Of other hosts we cannot know it, and keep the case.
const ANY_CASE: &[&str] = &[
    "github.com",
    "bitbucket.org",
    "codeberg.org",
    "gitlab.com",
    "dev.azure.com",
];
/// Other names that these hosts answer to.
const ALSO_CALLED: &[(&str, &str)] = &[
    ("www.github.com", "github.com"),
    ("ssh.github.com", "github.com"),
    ("www.gitlab.com", "gitlab.com"),
    ("altssh.gitlab.com", "gitlab.com"),
    ("www.bitbucket.org", "bitbucket.org"),
    ("altssh.bitbucket.org", "bitbucket.org"),
    ("ssh.dev.azure.com", "dev.azure.com"),
];
/// Where the pages of a repository begin on hosts that allow groups in groups, if something follows.
const PAGES: &[&str] = &[
    "tree", "blob", "commit", "commits", "raw", "src", "browse", "pull", "pulls",
];
const SCHEMES: &[&str] = &["https", "http", "ssh", "git"];
const LONGEST: usize = 500;

const EXPECTED: &str = "the URL of a source repository, like https://github.com/owner/name or git@github.com:owner/name.git";
const NO_NAME: &str = "the URL of a source repository: behind the host it must have an owner and a name, like \
     https://github.com/owner/name";
const NO_QUERY: &str = "the URL of a source repository: leave out everything from the ? or # on";
const NO_PORT: &str = "the URL of a source repository: git@host:owner/name takes no port; write \
     ssh://git@host:port/owner/name";

/// A source repository in its normal form: two URLs of the same repository are equal, however it is reached. Scheme,
/// user, default port, `.git`, and pages below the repository say nothing about which one it is; case does only where
/// the host tells names apart by it.
///
/// Never holds the password that a URL may carry.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceRepository {
    /// With a port, if it is one that HTTP does not use by itself.
    host: String,
    /// Everything between host and name: one owner, or groups in groups.
    owner: String,
    name: String,
}

impl SourceRepository {
    /// The host, with a port if it is an unusual one.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The owner; with groups in groups, all of them, divided by `/`.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The repository's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl std::fmt::Display for SourceRepository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "https://{}/{}/{}", self.host, self.owner, self.name)
    }
}

impl std::str::FromStr for SourceRepository {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        // The value is shown to people, and a URL may carry a password.
        let invalid = |expected| InvalidValue::new(&without_user(text), expected);
        if text.len() > LONGEST || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(invalid(EXPECTED));
        }
        if text.contains(['?', '#']) {
            return Err(invalid(NO_QUERY));
        }
        let (host, path) = take_apart(text).map_err(invalid)?;
        if path.contains('\\') || path.contains('%') {
            return Err(invalid(EXPECTED));
        }
        let mut parts: Vec<String> = path
            .split('/')
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect();
        // Until nothing is left to take off, so that the normal form is its own normal form.
        loop {
            let fewer = repository_of(&host, &parts);
            if fewer == parts {
                break;
            }
            parts = fewer;
        }
        let Some((name, owners)) = parts.split_last().filter(|(_, owners)| !owners.is_empty())
        else {
            return Err(invalid(NO_NAME));
        };
        if !parts.iter().all(|part| is_part(part)) {
            return Err(invalid(EXPECTED));
        }
        let (mut owner, mut name) = (owners.join("/"), name.clone());
        if ANY_CASE.contains(&host.as_str()) {
            owner.make_ascii_lowercase();
            name.make_ascii_lowercase();
        }
        Ok(Self { host, owner, name })
    }
}

/// Host in its normal form, and path.
fn take_apart(text: &str) -> Result<(String, &str), &'static str> {
    // `git+https://…` as package managers and provenance write it; `git:git@host:…` as scm-source does, and
    // `scm:git:…` as Maven does.
    let text = text.strip_prefix("scm:").unwrap_or(text);
    let text = text.strip_prefix("git+").unwrap_or(text);
    let text = match text.strip_prefix("git:") {
        Some(rest) if !rest.starts_with("//") => rest,
        _ => text,
    };
    if let Some((scheme, rest)) = text.split_once("://") {
        let scheme = scheme.to_ascii_lowercase();
        if !SCHEMES.contains(&scheme.as_str()) {
            return Err(EXPECTED);
        }
        let (authority, path) = rest.split_once('/').ok_or(NO_NAME)?;
        let authority = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        let port = match port {
            None | Some("") => None,
            Some(port) => Some(port.parse::<u16>().map_err(|_| EXPECTED)?),
        };
        // The port of SSH says how to get in, that of HTTP which server it is.
        let port = port.filter(|port| scheme.starts_with("http") && ![80, 443].contains(port));
        return Ok((host_of(host, port)?, path));
    }
    // What scp takes: [user@]host:path
    let (host, path) = text.split_once(':').ok_or(EXPECTED)?;
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let mut parts = path.trim_start_matches('/').split('/');
    let first_is_a_port = parts
        .next()
        .is_some_and(|first| first.parse::<u16>().is_ok());
    if first_is_a_port && parts.filter(|part| !part.is_empty()).count() >= 2 {
        return Err(NO_PORT);
    }
    Ok((host_of(host, None)?, path))
}

fn host_of(text: &str, port: Option<u16>) -> Result<String, &'static str> {
    let host = text.trim_end_matches('.').to_ascii_lowercase();
    let fine = host.contains('.')
        && host.split('.').all(|label| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        });
    if !fine {
        return Err(EXPECTED);
    }
    let host = ALSO_CALLED
        .iter()
        .find(|(other, _)| *other == host)
        .map_or(host, |(_, name)| (*name).to_owned());
    Ok(match port {
        Some(port) => format!("{host}:{port}"),
        None => host,
    })
}

/// The parts of the path that name the repository: owners first, the name last.
fn repository_of(host: &str, path: &[String]) -> Vec<String> {
    let parts: Vec<&str> = path.iter().map(String::as_str).collect();
    if host == "dev.azure.com" {
        // Over SSH: v3/organization/project/name; over HTTPS: organization/project/_git/name, or without the project
        // where the repository is called like it.
        return match parts[..] {
            ["v3", organization, project, name, ..] | [organization, project, "_git", name, ..] => {
                named(&[organization, project, name])
            }
            [organization, "_git", name] => named(&[organization, name, name]),
            [organization, project, name] => named(&[organization, project, name]),
            _ => Vec::new(),
        };
    }
    if TWO_LEVELS.contains(&host) {
        return named(&parts[..parts.len().min(2)]);
    }
    // Bitbucket on one's own host has other paths for people and for git.
    match parts[..] {
        ["projects", project, "repos", name, ..] => return named(&[project, name]),
        ["scm", project, name] => return named(&[project, name]),
        _ => {}
    }
    let end = (2..parts.len()).find(|&at| {
        parts[at] == "-"
            || parts[at - 1].ends_with(".git")
            || (PAGES.contains(&parts[at]) && at + 1 < parts.len())
    });
    named(&parts[..end.unwrap_or(parts.len())])
}

/// The parts, with the ending that git takes or leaves off the last one.
fn named(parts: &[&str]) -> Vec<String> {
    let mut parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
    if let Some(name) = parts.last_mut() {
        while name.len() > 4 && name.ends_with(".git") {
            name.truncate(name.len() - 4);
        }
    }
    parts
}

fn is_part(part: &str) -> bool {
    part != "."
        && part != ".."
        && part != ".git"
        && part
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-~".contains(&b))
}

/// The text without what stands between the scheme and an `@`.
fn without_user(text: &str) -> String {
    let start = text.find("://").map_or(0, |at| at + 3);
    let end = text[start..].find('/').map_or(text.len(), |at| start + at);
    match text[start..end].rfind('@') {
        Some(at) => format!("{}{}", &text[..start], &text[start + at + 1..]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
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
            "https://git.example.com/acme/Shop",
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

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

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
}
