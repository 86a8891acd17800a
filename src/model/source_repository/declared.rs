//! What a source repository looks like where people declare one. Images and code hosts write their URLs in more ways, which
//! are read as well; what is declared is kept, and shown to everybody, and so it is refused what may be a secret.
//!
//! The rules are regular expressions, so that admission (by CEL, from the schema) and we go by the very same ones.

use std::sync::LazyLock;

use regex::Regex;

use super::{InvalidValue, SourceRepository, without_user};

/// The longest URL that is taken.
pub const LONGEST: usize = super::LONGEST;

/// A rule: what matches `when` must match `then`, if there is one, and is refused if there is none.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Whom it concerns.
    pub when: &'static str,
    /// What they must match.
    pub then: Option<&'static str>,
    /// What is expected of them.
    pub message: &'static str,
}

/// All of them, in the order in which they are looked at.
pub const RULES: &[Rule] = &[
    Rule {
        when: r"^[A-Za-z+]+://[^/]*:[^/]*@|^https?://[^/]*@",
        then: None,
        message: "the URL of a source repository as everybody may see it: leave out what stands before the @, which may be a \
            password or a token, as in https://host/owner/name",
    },
    Rule {
        when: r"^[A-Za-z0-9._-]+@[^/:]+:/?[0-9]+/[^/]+/[^/]",
        then: None,
        message: "the URL of a source repository: git@host:owner/name takes no port; write ssh://git@host:port/owner/name",
    },
    Rule {
        when: r"^",
        then: Some(
            r"^((https?|ssh|git|git[+]ssh)://([A-Za-z0-9._~-]+@)?[A-Za-z0-9-]+([.][A-Za-z0-9-]+)+[.]?(:([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?/|[A-Za-z0-9._-]+@[A-Za-z0-9-]+([.][A-Za-z0-9-]+)+[.]?:/?)[A-Za-z0-9_.~-]+(/[A-Za-z0-9_.~-]+)+/?$",
        ),
        message: "the URL of a source repository, like https://host/owner/name, ssh://git@host/owner/name or \
            git@host:owner/name, with the whole name of the host",
    },
    Rule {
        when: r"[/:]([.]{1,2}([.]git)*|([.]git)+)(/|$)",
        then: None,
        message: "the URL of a source repository: no part of its path is '.', '..' or '.git', as in https://host/owner/name",
    },
    Rule {
        when: r"^[^/]*(//)?([^/@]*@)?([Ss][Ss][Hh][.])?[Dd][Ee][Vv][.][Aa][Zz][Uu][Rr][Ee][.][Cc][Oo][Mm][.]?(:[0-9]*)?[/:]",
        then: Some(
            r"^([A-Za-z+]+://[^/]*/|[^/:]+:/?)(v3/[^/]+/[^/]+/[^/]+(/[^/]+)*|[^/]+/[^/]+/_git/[^/]+(/[^/]+)*|[^/]+/_git/[^/]+|[^/]+/[^/]+/[^/]+)/?$",
        ),
        message: "the URL of a repository of Azure DevOps, like https://dev.azure.com/organization/project/_git/name",
    },
];

/// A rule whose expressions are read.
struct Compiled {
    when: Option<Regex>,
    then: Option<Regex>,
    message: &'static str,
}

static COMPILED: LazyLock<Vec<Compiled>> = LazyLock::new(|| {
    let compiled = |pattern: &str| Regex::new(pattern).ok();
    let rules = RULES.iter().map(|rule| Compiled {
        when: compiled(rule.when),
        then: rule.then.and_then(compiled),
        message: rule.message,
    });
    rules.collect()
});

impl SourceRepository {
    /// Reads one that people declare: what admission lets through, and nothing else.
    ///
    /// # Errors
    /// What is wrong with it, without what may be a secret in it.
    pub fn declared(text: &str) -> Result<Self, InvalidValue> {
        for rule in COMPILED.iter() {
            let concerns = rule.when.as_ref().is_none_or(|when| when.is_match(text));
            let is_fine = rule.then.as_ref().is_some_and(|then| then.is_match(text));
            if concerns && !is_fine {
                return Err(InvalidValue::new(&without_user(text), rule.message));
            }
        }
        if text.len() > LONGEST {
            let expected = "the URL of a source repository, of 500 letters at most";
            return Err(InvalidValue::new(&without_user(text), expected));
        }
        text.parse()
    }
}
