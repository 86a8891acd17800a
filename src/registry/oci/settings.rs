//! Which registries are reached how, and with what.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;

use crate::model::{ImageName, Secret};
use crate::registry::Result;

/// How registries are reached.
///
/// Image references are written by teams, so where requests go is bounded: HTTPS only, to hosts that have a name with a
/// domain. Plain HTTP, addresses instead of names, and names without a domain only as listed here. The same holds for
/// where a registry sends us: redirects, and the realm it takes tokens from.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Registries (`host` or `host:port`, as in references) that are reached by plain HTTP, which shows logins to everybody
    /// on the way.
    pub plain_http: BTreeSet<String>,
    /// Registries reached by HTTPS although they are named by an address, or by a name without a domain.
    pub internal: BTreeSet<String>,
    /// Certificate authorities (PEM) that are trusted besides those of this machine: the company's own.
    pub authorities: String,
    /// The bounds for registries that have none of their own.
    pub limits: Limits,
    /// The bounds for single registries.
    pub limits_of: BTreeMap<String, Limits>,
}

impl Settings {
    /// The bounds for this registry.
    pub fn limits(&self, registry: &str) -> Limits {
        self.limits_of.get(registry).copied().unwrap_or(self.limits)
    }
}

/// How long and how much is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From the request to the head of the answer, connecting included.
    pub answer: Duration,
    /// Between two pieces of an answer.
    pub pause: Duration,
    /// For one document altogether.
    pub document: Duration,
    /// Until a layer must come with 64 KiB a second on average.
    pub grace: Duration,
    /// For the search of one layer altogether.
    pub search: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(20),
            pause: Duration::from_secs(20),
            document: Duration::from_secs(60),
            grace: Duration::from_secs(30),
            search: Duration::from_secs(600),
        }
    }
}

/// How we say at a registry who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// A user name and a password or token, which the registry takes itself or exchanges for a token.
    Password {
        /// The user name (`AWS` at ECR).
        user: String,
        /// The password.
        password: Secret,
    },
    /// The same, for the registry itself and nobody else: a service that it names for tokens does not get to see it.
    Here {
        /// The user name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A token that the registry takes as it is.
    Token(Secret),
}

/// Where logins come from; asked whenever a registry wants one, since some end after hours.
#[async_trait]
pub trait Logins: Send + Sync {
    /// The login for this image at its registry; `None`: it is read without. It is sent to that registry alone, or to the
    /// service that this names for tokens.
    async fn login(&self, name: &ImageName) -> Result<Option<Login>>;

    /// The registry does not take the login any more that was given for this image.
    fn refused(&self, _name: &ImageName) {}
}

/// Logins that stay what they are, by registry.
#[async_trait]
impl Logins for BTreeMap<String, Login> {
    async fn login(&self, name: &ImageName) -> Result<Option<Login>> {
        Ok(self.get(name.registry()).cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let login = Login::Password {
            user: "robot".into(),
            password: Secret::new("hunter2"),
        };
        let printed = format!("{login:?} {:#?}", Login::Token(Secret::new("hunter2")));
        assert!(
            printed.contains("robot") && !printed.contains("hunter2"),
            "{printed}"
        );
    }
}
