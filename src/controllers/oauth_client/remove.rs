//! Act: removing a version at the server, then from what is kept, then from the status.

use super::reasons;
use super::work::{Stop, Work};
use crate::engine::Outcome;
use crate::identity::{ErrorKind, IdentityError, Registration, TokenAnswer};
use crate::plan::rotation::{Auth, State, Version, Way};

/// What is known of a version after it was ended.
pub(super) enum Ended {
    /// The server has it no more.
    Gone,
    /// What is needed to end it there is not kept.
    Unknown,
}

impl Work<'_> {
    /// Removes it. One that cannot be removed stays, and everything else goes on.
    pub(super) async fn remove(&mut self, number: i64) -> Result<(), Stop> {
        let Some(version) = self.known.version(number).cloned() else {
            return Ok(());
        };
        self.record.may_write()?;
        // The user last: the client that is gone is known by a token that is not given, whoever asks.
        let end = async {
            let ended = self.end(&version).await?;
            self.remove_user(&version).await?;
            Ok::<_, Stop>(ended)
        };
        let ended = match end.await {
            Ok(ended) => ended,
            Err(Stop::Ended(outcome @ Outcome::Blocked { .. })) => {
                self.seen.stuck.insert(number);
                self.trouble = Some(outcome);
                return Ok(());
            }
            Err(stop) => return Err(stop),
        };
        if self.kept.entries.remove(&number).is_some() {
            self.write_kept().await?;
        }
        self.known.removed(number);
        match (ended, version.client_id) {
            (Ended::Gone, _) => {
                let message =
                    format!("version {number} is no longer valid: it was removed at the server");
                self.record.note(reasons::RETIRED, message);
            }
            (Ended::Unknown, Some(id)) => {
                let message = format!(
                    "version {number} is forgotten and may still be valid: what is needed to remove it is not kept any more; \
                     have client {id} removed at the server by hand"
                );
                self.record.warn(reasons::REMOVAL_DENIED, message);
            }
            (Ended::Unknown, None) => {
                let message = format!(
                    "version {number} was given up before the server's answer was kept: if there is a client of it, nobody \
                     has its credentials"
                );
                self.record.note(reasons::RETIRED, message);
            }
        }
        self.save().await
    }

    /// Ends its secret or key where another version uses the same client, else the client.
    pub(super) async fn end(&mut self, version: &Version) -> Result<Ended, Stop> {
        let server = self.server()?;
        if let Some(survivor) = self.survivor(version).cloned() {
            let Some(registration) = self.kept.registration(survivor.number).cloned() else {
                return Ok(Ended::Unknown);
            };
            let ended = match (survivor.auth, self.desired) {
                (Auth::Key, Some(desired)) => {
                    let mut metadata = self.metadata(survivor.number, &desired.metadata);
                    let ended = self.public_key(version.number);
                    metadata.keys.retain(|key| Some(key) != ended.as_ref());
                    server.port.update(&registration, &metadata).await
                }
                (Auth::Key, None) => Ok(()),
                _ => server.port.retire_secret(&registration).await,
            };
            return match ended {
                Ok(()) => Ok(Ended::Gone),
                // With the client all of them are gone, the one that was to stay, too.
                Err(error) if error.kind == ErrorKind::NotFound => {
                    if survivor.state == State::Current {
                        self.not_there(&error.to_string());
                    }
                    Ok(Ended::Gone)
                }
                Err(error) => Err(error.into()),
            };
        }
        if let Some(registration) = self.kept.registration(version.number) {
            self.delete(version, registration).await?;
            return Ok(Ended::Gone);
        }
        if version.way == Way::Client && server.description.capabilities.search {
            let uid = kube::ResourceExt::uid(self.object).unwrap_or_default();
            let handle = self.handle(version.number);
            for found in server.port.find(&handle, &uid).await? {
                server.port.delete(&found).await?;
            }
            return Ok(Ended::Gone);
        }
        Ok(Ended::Unknown)
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
        for auth in ways_to_ask(version.auth) {
            let version = Version {
                auth: *auth,
                ..version.clone()
            };
            let answer = self.token_of(&version).await?;
            if !matches!(answer, Some(TokenAnswer::UnknownClient(_))) {
                return Err(denied(&version, registration, &error));
            }
        }
        Ok(())
    }
}

/// One way to show a secret may be refused where the other is not, and of a stray it is not known which it was.
fn ways_to_ask(auth: Auth) -> &'static [Auth] {
    match auth {
        Auth::Key => &[Auth::Key],
        Auth::Public => &[Auth::Public],
        Auth::Workload => &[Auth::Workload],
        Auth::SecretBasic | Auth::SecretPost => &[Auth::SecretBasic, Auth::SecretPost],
    }
}

fn denied(version: &Version, registration: &Registration, error: &IdentityError) -> Stop {
    let message = format!(
        "version {} is still valid and cannot be removed: have client {} removed at the server by hand ({error})",
        version.number, registration.client_id
    );
    Stop::Ended(Outcome::blocked(reasons::REMOVAL_DENIED, message))
}
