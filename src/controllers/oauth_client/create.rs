//! Act: a new version beside the one in use, tried before it is delivered and again before it counts.
//!
//! What we choose is durable before the server is called, and what the server gives before anything else is done.

use k8s_openapi::jiff::Timestamp;

use super::reasons;
use super::vault::Entry;
use super::work::{Stop, Work};
use crate::engine::{Failure, FailureKind, Outcome};
use crate::identity::{ErrorKind, IdentityError, NewClient, Registration, TokenAnswer};
use crate::plan::rotation::{Auth, Step, Way};

/// After how many refusals in a row a version that was never in use is given up.
const REFUSALS: u32 = 5;

impl Work<'_> {
    /// The version that the open rotation brings.
    fn pending(&self) -> Result<(i64, Way, Auth), Stop> {
        let pending = self.known.pending();
        let found = pending.map(|version| (version.number, version.way, version.auth));
        found.ok_or_else(|| {
            let message = "a rotation is open without a version that it brings";
            let label = crate::engine::reasons::INTERNAL_ERROR;
            Stop::Failed(Failure::new(FailureKind::Bug, label, message))
        })
    }

    /// Makes the new version at the server, and tries it there.
    pub(super) async fn create(&mut self) -> Result<(), Stop> {
        let (number, way, auth) = self.pending()?;
        let desired = self.desired()?;
        self.prepare(number, auth).await?;
        if self.kept.registration(number).is_none() {
            let registration = match way {
                Way::Client => self.register(number).await?,
                Way::Secret => self.second_secret().await?,
                Way::Key => self.second_key(number).await?,
            };
            let Some(registration) = registration else {
                return Ok(());
            };
            self.keep(number, way, registration).await?;
        }
        self.make_user(number).await?;
        let (client_id, ends) = match self.kept.registration(number) {
            Some(it) => (it.client_id.clone(), it.secret_expires),
            None => return Ok(()),
        };
        let now = self.record.now;
        if let Some(version) = self.version_mut(number) {
            version.client_id = Some(client_id);
            let created = *version.created.get_or_insert(now);
            let until = expires(created, desired.period, ends);
            version.expires = until.filter(|_| auth.ages());
            if let Some(expires) = version.expires {
                let turns = &self.controller.turns;
                turns.take(&desired.wanted, &mut self.known, (created, expires));
            }
        }
        if self.tried(number).await? {
            if let Some(open) = &mut self.known.open {
                open.step = Step::Deliver;
            }
            self.save().await?;
        }
        Ok(())
    }

    /// Makes durable what we choose.
    async fn prepare(&mut self, number: i64, auth: Auth) -> Result<(), Stop> {
        if self.kept.entries.contains_key(&number) {
            return Ok(());
        }
        let maker = &self.controller.maker;
        let with_user = self.known.version(number).is_some_and(|it| it.user);
        let password = with_user.then(|| maker.password());
        let entry = match auth {
            Auth::Workload => Entry::open(None),
            _ => Entry {
                issuer: Some(self.desired()?.issuer.clone()),
                chosen: maker.secret()?,
                password: password.transpose()?,
                key: (auth == Auth::Key).then(|| maker.key()).transpose()?,
                registration: None,
            },
        };
        self.record.may_write()?;
        self.kept.entries.insert(number, entry);
        self.write_kept().await
    }

    pub(super) async fn write_kept(&mut self) -> Result<(), Stop> {
        let vault = &self.controller.vault;
        Ok(vault.write(self.object, &mut self.kept).await?)
    }

    /// Makes durable what the server gave. What could not be is taken back while its management token is at hand: if another
    /// replica has kept its own, that one counts; and where the server cannot be searched, nobody would find ours again.
    async fn keep(
        &mut self,
        number: i64,
        way: Way,
        registration: Registration,
    ) -> Result<(), Stop> {
        if let Some(entry) = self.kept.entries.get_mut(&number) {
            entry.registration = Some(registration.clone());
        }
        let Err(stop) = self.write_kept().await else {
            return Ok(());
        };
        // Without an answer it is not known whether it was written after all.
        if way == Way::Client
            && let Ok(written) = self.controller.vault.read(self.object).await
        {
            let server = self.server()?;
            let is_nobodys = match written.registration(number) {
                Some(kept) => kept.client_id != registration.client_id,
                None => !server.description.capabilities.search,
            };
            if is_nobodys {
                server.port.delete(&registration).await?;
            }
        }
        Err(stop)
    }

    /// Another client; or the one that an earlier call made whose answer was lost.
    async fn register(&mut self, number: i64) -> Result<Option<Registration>, Stop> {
        let (server, desired) = (self.server()?, self.desired()?);
        let Some(entry) = self.kept.entries.get(&number).cloned() else {
            return Ok(None);
        };
        let new = NewClient {
            handle: self.handle(number),
            uid: desired.wanted.uid.clone(),
            metadata: self.metadata(number, &desired.metadata),
            secret: entry.chosen,
        };
        self.record.may_write()?;
        if server.description.capabilities.search {
            let secret = matches!(desired.wanted.auth, Auth::SecretBasic | Auth::SecretPost);
            let mut usable = None;
            for found in server.port.find(&new.handle, &new.uid).await? {
                if usable.is_none() && (found.secret.is_some() || !secret) {
                    usable = Some(found);
                } else {
                    server.port.delete(&found).await?;
                }
            }
            if let Some(found) = usable {
                // Whoever made it may have come no further than that: its scopes are given to it by further calls.
                if server.description.capabilities.updates {
                    server.port.update(&found, &new.metadata).await?;
                }
                return Ok(Some(found));
            }
        }
        Ok(Some(server.port.register(&new).await?))
    }

    /// By which the server is searched, and what the client is called where we may choose that.
    pub(super) fn handle(&self, number: i64) -> String {
        use kube::ResourceExt;
        let uid = self.object.uid().unwrap_or_default();
        format!("{}-{uid}-{number}", self.object.spec.application)
    }

    /// What is kept of the version in use. `None`: it is not kept any more, and is of no use for what was intended.
    async fn of_current(&mut self) -> Result<Option<(i64, Registration)>, Stop> {
        let current = self.known.current().map(|current| current.number);
        let kept =
            current.and_then(|number| Some((number, self.kept.registration(number)?.clone())));
        if kept.is_none() {
            let (number, ..) = self.pending()?;
            self.abandon(number).await?;
        }
        Ok(kept)
    }

    async fn second_secret(&mut self) -> Result<Option<Registration>, Stop> {
        let Some((number, current)) = self.of_current().await? else {
            return Ok(None);
        };
        let server = self.server()?;
        self.record.may_write()?;
        let added = server.port.add_secret(&current).await;
        let added = self.unless_lost(added).await?;
        // From then on the server ends the one in use, which is kept with what was given.
        if let (Some(_), Some(lives)) = (&added, server.description.capabilities.older_secret_lives)
            && let Some(entry) = self.kept.entries.get_mut(&number)
            && let Some(older) = &mut entry.registration
            && let Ok(ends) = self.record.now.checked_add(lives)
        {
            older.secret_expires = Some(older.secret_expires.map_or(ends, |known| known.min(ends)));
        }
        Ok(added)
    }

    /// Nothing can come beside a client that is not there: what was begun is given up, and another client made.
    async fn unless_lost<T>(
        &mut self,
        answer: std::result::Result<T, IdentityError>,
    ) -> Result<Option<T>, Stop> {
        match answer {
            Ok(given) => Ok(Some(given)),
            Err(error) if error.kind == ErrorKind::NotFound => {
                self.not_there(&error.to_string());
                let (number, ..) = self.pending()?;
                self.abandon(number).await?;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn second_key(&mut self, number: i64) -> Result<Option<Registration>, Stop> {
        let Some((current, registration)) = self.of_current().await? else {
            return Ok(None);
        };
        let (server, desired) = (self.server()?, self.desired()?);
        let mut metadata = self.metadata(current, &desired.metadata);
        metadata.keys.extend(self.public_key(number));
        self.record.may_write()?;
        let updated = server.port.update(&registration, &metadata).await;
        let updated = self.unless_lost(updated).await?;
        Ok(updated.map(|()| registration))
    }

    /// Whether the server gives a token for that version.
    async fn tried(&mut self, number: i64) -> Result<bool, Stop> {
        let uid = self.desired()?.wanted.uid.clone();
        match self.token(number).await? {
            Some(TokenAnswer::Accepted) => {
                self.controller.refusals.succeeded(&uid);
                Ok(true)
            }
            Some(TokenAnswer::Refused(why)) if self.subject(number).is_some() => {
                self.put_right(number, &why).await?;
                Ok(false)
            }
            Some(TokenAnswer::Refused(why)) => {
                let message = format!(
                    "the server knows version {number} and gives it no token for what spec.scopes and spec.grantTypes say: {why}"
                );
                Err(Stop::Ended(Outcome::blocked(
                    reasons::TOKEN_REFUSED,
                    message,
                )))
            }
            Some(TokenAnswer::UnknownClient(why)) => {
                if self.controller.refusals.failed(&uid) >= REFUSALS {
                    self.controller.refusals.succeeded(&uid);
                    self.abandon(number).await?;
                    self.doubt().await?;
                    return Ok(false);
                }
                let message = format!(
                    "the server does not take version {number}, which it has just made: {why}{}",
                    super::loss::clocks(self.known.version(number).map(|version| version.auth))
                );
                let failure = Failure::new(
                    FailureKind::Transient,
                    reasons::CREDENTIALS_REFUSED,
                    message,
                );
                Err(Stop::Failed(failure))
            }
            None => {
                self.abandon(number).await?;
                Ok(false)
            }
        }
    }

    /// Tries what was delivered; then it is the one to use.
    pub(super) async fn test(&mut self) -> Result<(), Stop> {
        let (number, ..) = self.pending()?;
        let desired = self.desired()?;
        if !self.tried(number).await? {
            return Ok(());
        }
        let now = self.record.now;
        self.known.promote(desired.overlap, now);
        (self.seen.lost, self.taken) = (None, true);
        super::report::promoted(self.record, &self.known);
        self.save().await
    }
}

/// Until when a version is valid, or should be.
pub(super) fn expires(
    created: Timestamp,
    period: std::time::Duration,
    ends: Option<Timestamp>,
) -> Option<Timestamp> {
    let by_period = created.checked_add(period).ok()?;
    let ends = ends.and_then(|ends| Timestamp::from_second(ends.as_second()).ok());
    Some(ends.map_or(by_period, |ends| ends.min(by_period)))
}
