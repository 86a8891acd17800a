//! Where source code is kept.

mod declared;

use super::InvalidValue;
pub use declared::{LONGEST as LONGEST_DECLARED, RULES as DECLARED_RULES, Rule as DeclaredRule};

/// Hosts whose paths are owner and name and nothing below: what follows shows something inside the repository.
const TWO_LEVELS: &[&str] = &["github.com", "bitbucket.org", "codeberg.org"];
/// Hosts that are known to take names in upper and lower case for the same. Of others it is kept, for they might not find it
/// otherwise, and makes no difference in a comparison.
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
/// user, default port, `.git`, case, and pages below the repository say nothing about which one it is. (Servers that tell
/// repositories apart by case alone are rare, and whoever may make one there that differs by it from another team's is
/// trusted by that server.)
///
/// Never holds the password that a URL may carry.
#[derive(Debug, Clone)]
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

    /// What two of them are compared by.
    fn key(&self) -> (&str, String, String) {
        let (owner, name) = (&self.owner, &self.name);
        (
            &self.host,
            owner.to_ascii_lowercase(),
            name.to_ascii_lowercase(),
        )
    }
}

impl PartialEq for SourceRepository {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for SourceRepository {}

impl PartialOrd for SourceRepository {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SourceRepository {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
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
mod tests;
