//! Credentials that the server takes no more, and versions that are kept although nothing knows of them.

use k8s_openapi::jiff::Timestamp;

use super::work::{Stop, Work};
use super::{reasons, report};
use crate::engine::Outcome;
use crate::engine::conditions::{self, Truth};
use crate::identity::TokenAnswer;
use crate::plan::rotation::{Auth, State, Version, Way};

impl Work<'_> {
    /// Whether it was said in an earlier pass, for this reason, that the version in use is lost.
    pub(super) fn is_suspected(&self, reason: &str) -> bool {
        let said = conditions::find(&self.record.status.conditions, report::REGISTERED);
        said.is_some_and(|said| said.reason == reason)
    }

    /// Whether the version in use is lost, as far as is known: what was said before holds until the opposite was seen.
    pub(super) fn is_lost(&self) -> bool {
        let said = self.is_suspected(reasons::CLIENT_LOST)
            || self.is_suspected(reasons::CREDENTIALS_MISSING);
        self.seen.lost.is_some() || (said && !self.taken)
    }

    /// The version in use is lost; since when follows from when that was said first.
    pub(super) fn lose(&mut self, reason: &'static str, message: String) {
        let said = conditions::find(&self.record.status.conditions, report::REGISTERED);
        let said = said.filter(|said| said.reason == reason);
        let since: Option<Timestamp> = said.map(|said| said.last_transition_time.0);
        let now = self.record.now;
        self.seen.lost = Some(since.unwrap_or(now));
        self.record
            .set(report::REGISTERED, Truth::False, reason, &message);
        if since.is_none() {
            self.record.warn(reason, message);
        }
    }

    /// The server does not take the version in use.
    pub(super) fn refused(&mut self, number: i64, why: &str) {
        let version = self.known.version(number);
        let id = version.and_then(|version| version.client_id.clone());
        let message = format!(
            "the server does not take version {number}, client {}, any more: {why}{}",
            id.unwrap_or_default(),
            clocks(version.map(|version| version.auth))
        );
        self.lose(reasons::CLIENT_LOST, message);
    }

    /// The client that the version in use needs is not at the server.
    pub(super) fn not_there(&mut self, why: &str) {
        if let Some(number) = self.known.current().map(|current| current.number) {
            self.refused(number, why);
        }
    }

    /// Asks whether the version in use is taken, since one that shares its client is not.
    pub(super) async fn doubt(&mut self) -> Result<(), Stop> {
        let Some(number) = self.known.current().map(|current| current.number) else {
            return Ok(());
        };
        if let Some(TokenAnswer::UnknownClient(why)) = self.token(number).await? {
            self.refused(number, &why);
        }
        Ok(())
    }

    /// Ends what is kept although no version is known by that number any more: whoever made it went by a status that was
    /// not the newest. A number is never used again, so that nobody else waits for it.
    pub(super) async fn end_strays(&mut self) -> Result<(), Stop> {
        let is_stray =
            |number: &&i64| **number <= self.known.newest && self.known.version(**number).is_none();
        let strays: Vec<i64> = self.kept.entries.keys().filter(is_stray).copied().collect();
        for number in strays {
            let Some(version) = self.stray(number) else {
                continue;
            };
            self.record.may_write()?;
            let end = async {
                self.end(&version).await?;
                self.remove_user(&version).await
            };
            match end.await {
                Ok(()) => {}
                Err(Stop::Ended(outcome @ Outcome::Blocked { .. })) => {
                    self.trouble = Some(outcome);
                    continue;
                }
                Err(stop) => return Err(stop),
            }
            self.kept.entries.remove(&number);
            self.write_kept().await?;
            let message = format!(
                "version {number} was kept although nothing knew of it any more, and is removed"
            );
            self.record.note(reasons::RETIRED, message);
        }
        Ok(())
    }

    /// The version that such an entry is of. `None`: it shares the client of what is being made, and must wait.
    fn stray(&self, number: i64) -> Option<Version> {
        let entry = self.kept.entries.get(&number)?;
        let client_id = entry.registration.as_ref().map(|it| it.client_id.clone());
        let shares = |version: &&Version| client_id.is_some() && version.client_id == client_id;
        let shared = self.known.versions.iter().filter(shares).count();
        if shared > 1 || (shared == 1 && self.known.open.is_some()) {
            return None;
        }
        let has_secret = entry
            .registration
            .as_ref()
            .is_some_and(|it| it.secret.is_some());
        let auth = match (&entry.key, has_secret) {
            (Some(_), _) => Auth::Key,
            (None, true) => Auth::SecretBasic,
            (None, false) => Auth::Public,
        };
        Some(Version {
            number,
            state: State::Retiring,
            way: Way::Client,
            auth,
            user: entry.password.is_some(),
            service_account: None,
            client_id,
            revision: String::new(),
            scopes: Vec::new(),
            created: None,
            expires: None,
            retires: None,
        })
    }
}

/// What else may be the cause where the client signs.
pub(super) fn clocks(auth: Option<Auth>) -> &'static str {
    match auth {
        Some(Auth::Key) => {
            " (it signs with a key: if the clocks of the operator and the server differ by more than a minute, that is why)"
        }
        _ => "",
    }
}
