//! Act: removing a version at the server, then from what is kept, then from the status.

use super::reasons;
use super::work::{Stop, Work};
use crate::engine::Outcome;
use crate::identity::{ErrorKind, IdentityError, Registration, TokenAnswer};
use crate::plan::rotation::{Auth, State, Version, Way};

impl Work<'_> {
    /// Removes it. One that cannot be removed stays, and everything else goes on.
    pub(super) async fn remove(&mut self, number: i64) -> Result<(), Stop> {
        let Some(version) = self.known.version(number).cloned() else {
            return Ok(());
        };
        self.record.may_write()?;
        // The user last: the client that is gone is known by a token that is not given, whoever asks.
        let end = async {
            self.end(&version).await?;
            self.remove_user(number).await
        };
        match end.await {
            Ok(()) => {}
            Err(Stop::Ended(outcome @ Outcome::Blocked { .. })) => {
                self.seen.stuck.insert(number);
                self.trouble = Some(outcome);
                return Ok(());
            }
            Err(stop) => return Err(stop),
        }
        if self.kept.entries.remove(&number).is_some() {
            self.write_kept().await?;
        }
        self.known.removed(number);
        let message = format!("version {number} is no longer valid: it was removed at the server");
        self.record.note(reasons::RETIRED, message);
        self.save().await
    }

    /// Ends its secret or key where another version uses the same client, else the client.
    async fn end(&self, version: &Version) -> Result<(), Stop> {
        let server = self.server()?;
        if let Some(survivor) = self.survivor(version) {
            let Some(registration) = self.kept.registration(survivor.number) else {
                return Ok(());
            };
            if survivor.auth != Auth::Key {
                server.port.retire_secret(registration).await?;
                return Ok(());
            }
            if let Some(desired) = self.desired {
                let mut metadata = self.metadata(survivor.number, &desired.metadata);
                let ended = self.public_key(version.number);
                metadata.keys.retain(|key| Some(key) != ended.as_ref());
                server.port.update(registration, &metadata).await?;
            }
            return Ok(());
        }
        if let Some(registration) = self.kept.registration(version.number) {
            return self.delete(version, registration).await;
        }
        if version.way == Way::Client && server.description.capabilities.search {
            let uid = kube::ResourceExt::uid(self.object).unwrap_or_default();
            let handle = self.handle(version.number);
            for found in server.port.find(&handle, &uid).await? {
                server.port.delete(&found).await?;
            }
        }
        Ok(())
    }

    /// The version that stays and whose client this one shares.
    fn survivor(&self, version: &Version) -> Option<&Version> {
        let stays =
            |other: &&Version| other.number != version.number && other.state != State::Retiring;
        let mut staying = self.known.versions.iter().filter(stays);
        staying.find(|other| match (&version.client_id, version.way) {
            (Some(id), _) => other.client_id.as_ref() == Some(id),
            // It was to come beside this one, and whether it did nobody knows.
            (None, Way::Secret | Way::Key) => true,
            (None, Way::Client) => false,
        })
    }

    async fn delete(&self, version: &Version, registration: &Registration) -> Result<(), Stop> {
        let server = self.server()?;
        let error = match server.port.delete(registration).await {
            Ok(()) => return Ok(()),
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(()),
            Err(error) => error,
        };
        if !matches!(error.kind, ErrorKind::Denied | ErrorKind::Invalid) {
            return Err(error.into());
        }
        // With RFC 7592 a client that is gone cannot be told from a token that is not taken any more.
        match self.token(version.number).await? {
            Some(TokenAnswer::UnknownClient(_)) => Ok(()),
            _ => Err(denied(version, registration, &error)),
        }
    }
}

fn denied(version: &Version, registration: &Registration, error: &IdentityError) -> Stop {
    let message = format!(
        "version {} is still valid and cannot be removed: have client {} removed at the server by hand ({error})",
        version.number, registration.client_id
    );
    Stop::Ended(Outcome::blocked(reasons::REMOVAL_DENIED, message))
}
