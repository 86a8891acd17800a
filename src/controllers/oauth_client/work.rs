//! Act: one step after another, until nothing is to be done or something is in the way.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use super::validate::Desired;
use super::vault::Kept;
use super::{OAuthClients, known, reasons};
use crate::api::OAuthClient;
use crate::controllers::oauth_provider::directory::Server;
use crate::engine::record::Record;
use crate::engine::{Failure, FailureKind, Outcome};
use crate::identity::{
    ClientMetadata, Credential, ErrorKind, IdentityError, PublicKey, TokenAnswer, TokenRequest,
    keys,
};
use crate::plan::rotation::{self, Abilities, Auth, Cause, Known, Next, Seen, Step, Version, Way};

/// How many steps one pass takes at most; a whole rotation has nine.
const STEPS: usize = 24;

/// Why a pass does not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stop {
    /// It has failed.
    Failed(Failure),
    /// It ends with this.
    Ended(Outcome),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<IdentityError> for Stop {
    fn from(error: IdentityError) -> Self {
        use ErrorKind as K;
        let reason = match error.kind {
            K::Throttled => reasons::PROVIDER_BUSY,
            K::Unavailable => reasons::PROVIDER_UNAVAILABLE,
            K::Denied => reasons::PROVIDER_DENIED,
            K::NotFound => reasons::CLIENT_LOST,
            K::AlreadyExists | K::Refused | K::Invalid => reasons::PROVIDER_REFUSED,
        };
        let message = error.to_string();
        match error.retry_after {
            Some(after) if error.kind.is_transient() => {
                Self::Ended(Outcome::waiting(reason, message, after))
            }
            _ if error.kind.is_transient() || error.kind == K::NotFound => {
                Self::Failed(Failure::new(FailureKind::Transient, reason, message))
            }
            _ => Self::Ended(Outcome::blocked(reason, message)),
        }
    }
}

impl Stop {
    /// Whether this replica must not, or need not, do anything more in this pass.
    pub(super) fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Failed(failure) if failure.kind == FailureKind::Conflict
                || failure.label == crate::engine::reasons::NOT_LEADER
        )
    }
}

/// What a pass works with.
pub(super) struct Work<'a> {
    pub(super) controller: &'a OAuthClients,
    pub(super) object: &'a OAuthClient,
    pub(super) record: &'a mut Record<OAuthClient>,
    /// What shall be; nothing, where all is removed.
    pub(super) desired: Option<&'a Desired>,
    /// The server, if it has been reached since the operator began.
    pub(super) server: Option<Arc<Server>>,
    pub(super) known: Known,
    pub(super) seen: Seen,
    /// The server takes the version in use, as far as was asked.
    pub(super) taken: bool,
    pub(super) kept: Kept,
    /// What stays in the way although everything else was done.
    pub(super) trouble: Option<Outcome>,
    /// A rotation shall be, be it open or not.
    pub(super) rotates: bool,
    /// What is outside was looked at, and could be.
    pub(super) looked: bool,
}

impl<'a> Work<'a> {
    /// Reads what is kept.
    pub(super) async fn begin(
        controller: &'a OAuthClients,
        object: &'a OAuthClient,
        record: &'a mut Record<OAuthClient>,
        desired: Option<&'a Desired>,
        server: Option<Arc<Server>>,
    ) -> Result<Self, Failure> {
        let known = known::read(&record.status);
        let mut kept = controller.vault.read(object).await?;
        super::workload::recall(&known, &mut kept);
        Ok(Self {
            kept,
            known,
            seen: Seen::default(),
            taken: false,
            trouble: None,
            rotates: false,
            looked: false,
            controller,
            object,
            record,
            desired,
            server,
        })
    }

    pub(super) fn desired(&self) -> Result<&'a Desired, Stop> {
        self.desired.ok_or_else(|| {
            let message = "a step was taken that needs to know what shall be";
            let label = crate::engine::reasons::INTERNAL_ERROR;
            Stop::Failed(Failure::new(FailureKind::Bug, label, message))
        })
    }

    pub(super) fn server(&self) -> Result<Arc<Server>, Stop> {
        let missing = || {
            Stop::Ended(super::validate::provider_not_ready(
                &self.object.spec.provider,
            ))
        };
        self.server.clone().ok_or_else(missing)
    }

    /// Makes what is known durable.
    pub(super) async fn save(&mut self) -> Result<(), Stop> {
        known::write(&self.known, &mut self.record.status);
        self.record.save().await?;
        Ok(())
    }

    /// What comes next.
    pub(super) fn next(&self) -> Result<Next, Stop> {
        let desired = self.desired()?;
        let able = self
            .server
            .as_ref()
            .map(|server| server.description.capabilities);
        // What needs the server says so itself.
        let able = Abilities {
            secrets_in_place: able.is_some_and(|able| {
                able.secrets_in_place
                    && rotation::outlasts(able.older_secret_lives, desired.overlap)
            }),
            updates: able.is_some_and(|able| able.updates),
        };
        Ok(rotation::next(
            &desired.wanted,
            &self.known,
            &self.seen,
            able,
            self.record.now,
        ))
    }

    /// One step after another.
    pub(super) async fn run(&mut self) -> Result<(), Stop> {
        for _ in 0..STEPS {
            let next = self.next()?;
            self.rotates |= matches!(
                next,
                Next::Begin(..) | Next::Continue(_) | Next::Wait(..) | Next::Stuck(..)
            );
            if !matches!(
                next,
                Next::Rest(_) | Next::Wait(..) | Next::Stuck(..) | Next::Shorten(_)
            ) {
                // What the server can do decides how; without it only what is in use can be looked after.
                self.server()?;
            }
            match next {
                Next::Rest(_) => return Ok(()),
                Next::Wait(cause, until) => return Err(Stop::Ended(self.wait(cause, until))),
                Next::Stuck(cause, number) => return Err(Stop::Ended(self.stuck(cause, number))),
                Next::Revoke => self.revoke().await?,
                Next::Abandon(number) => self.abandon(number).await?,
                Next::Remove(number) => self.remove(number).await?,
                Next::Update(number) => self.update(number).await?,
                Next::Shorten(number) => self.shorten(number).await?,
                Next::Begin(cause, way) => self.intend(cause, way).await?,
                Next::Continue(Step::Create) => self.create().await?,
                Next::Continue(Step::Deliver) => self.deliver().await?,
                Next::Continue(Step::Test) => self.test().await?,
            }
        }
        Ok(())
    }

    /// There are never three.
    fn wait(&self, cause: Cause, until: Timestamp) -> Outcome {
        let why = why(cause);
        let message = format!(
            "{why}; the version before the current one is valid until {until}, and there are never three: it goes on then"
        );
        Outcome::waiting(
            reasons::OVERLAP,
            message,
            until_then(self.record.now, until),
        )
    }

    /// There are never three, not even for one that cannot be removed.
    fn stuck(&self, cause: Cause, number: i64) -> Outcome {
        let in_the_way = match &self.trouble {
            Some(Outcome::Blocked { message, .. }) => message.as_str(),
            _ => "it cannot be removed",
        };
        let message = format!(
            "{}; version {number} is in the way, and there are never three: {in_the_way}",
            why(cause)
        );
        Outcome::blocked(reasons::REMOVAL_DENIED, message)
    }

    /// The intent, once every place has said that it takes what will come.
    async fn intend(&mut self, cause: Cause, way: Way) -> Result<(), Stop> {
        let desired = self.desired()?;
        self.preflight(cause).await?;
        self.record.may_write()?;
        let now = self.record.now;
        let number = self.known.begin(&desired.wanted, cause, way, now);
        self.record.status.issuer = Some(desired.issuer.clone());
        super::report::rotating(self.record, number, cause);
        self.save().await
    }

    async fn revoke(&mut self) -> Result<(), Stop> {
        let desired = self.desired()?;
        self.record.may_write()?;
        let message = super::report::revocation(self.record, &self.known);
        self.known.revoke(desired.wanted.revoke.clone());
        // Whoever is killed behind this leaves a status that says so.
        super::report::revoked(self.record, &message);
        self.record.warn(reasons::REVOKED, message);
        self.save().await
    }

    /// Gives one up.
    pub(super) async fn abandon(&mut self, number: i64) -> Result<(), Stop> {
        let message = format!(
            "version {number} is given up and removed; what was in use before it stays in use"
        );
        self.record.note(reasons::ABANDONED, message);
        self.known.abandon(number);
        self.save().await
    }

    pub(super) fn version_mut(&mut self, number: i64) -> Option<&mut Version> {
        let mut versions = self.known.versions.iter_mut();
        versions.find(|version| version.number == number)
    }

    /// What the client of that version is registered with: the keys of all its versions that live.
    pub(super) fn metadata(&self, number: i64, base: &ClientMetadata) -> ClientMetadata {
        let client = self
            .known
            .version(number)
            .and_then(|version| version.client_id.clone());
        let same = |version: &&Version| {
            version.number == number
                || (version.client_id == client && version.state != rotation::State::Retiring)
        };
        let numbers = self.known.versions.iter().filter(same);
        let keys = numbers.filter_map(|version| self.public_key(version.number));
        ClientMetadata {
            subject: self.subject(number),
            keys: keys.collect(),
            ..base.clone()
        }
    }

    pub(super) fn public_key(&self, number: i64) -> Option<PublicKey> {
        keys::public_of(self.kept.entries.get(&number)?.key.as_ref()?)
    }

    /// Asks for a token with the credentials of that version. `None`: they are not kept any more.
    pub(super) async fn token(&self, number: i64) -> Result<Option<TokenAnswer>, Stop> {
        if let Some(subject) = self.subject(number) {
            return self.confirm(number, &subject).await;
        }
        match self.known.version(number) {
            Some(version) => self.token_of(version).await,
            None => Ok(None),
        }
    }

    /// The same, of a version that need not be known.
    pub(super) async fn token_of(&self, version: &Version) -> Result<Option<TokenAnswer>, Stop> {
        let Some(request) = self.token_request(version) else {
            return Ok(None);
        };
        let (server, number) = (self.server()?, version.number);
        let with_user = self.known.version(number).is_some_and(|it| it.user);
        // Where the user shows that the client is known, a code that does not exist need not.
        if request.scopes.is_some() || !with_user {
            let answer = server.port.request_token(&request).await?;
            if answer != TokenAnswer::Accepted || !with_user {
                return Ok(Some(answer));
            }
        }
        let scopes = self.scopes_of(number);
        self.token_of_user(number, &request, scopes).await
    }

    /// The scopes that a version certainly may ask for.
    fn scopes_of(&self, number: i64) -> Vec<String> {
        let revision = self.known.version(number).map(|it| &it.revision);
        match self.desired {
            Some(desired) if Some(&desired.wanted.revision) == revision => {
                desired.metadata.scopes.clone()
            }
            // What an older version was registered with is not known any more.
            _ => Vec::new(),
        }
    }

    fn token_request(&self, version: &Version) -> Option<TokenRequest> {
        let entry = self.kept.entries.get(&version.number)?;
        let registration = entry.registration.as_ref()?;
        let method = known::at_server(version.auth);
        let credential = match version.auth {
            Auth::Key => Credential::Key(entry.key.clone()?),
            Auth::Workload => return None,
            Auth::Public => Credential::Public,
            Auth::SecretBasic | Auth::SecretPost => {
                Credential::Secret(method, registration.secret.clone()?)
            }
        };
        let own_behalf = self
            .object
            .spec
            .grant_types
            .contains(&crate::api::GrantType::ClientCredentials)
            && version.auth != Auth::Public;
        Some(TokenRequest {
            client_id: registration.client_id.clone(),
            credential,
            scopes: own_behalf.then(|| self.scopes_of(version.number)),
        })
    }
}

fn why(cause: Cause) -> &'static str {
    match cause {
        Cause::Changed => "what is declared has changed",
        Cause::Withdrawn => "a scope that is held is not granted any more",
        Cause::Requested => "new credentials were asked for",
        Cause::Revoked => "all credentials were revoked",
        Cause::Lost => "the server does not take the credentials in use any more",
        Cause::Initial | Cause::Due => "new credentials are due",
    }
}

/// How long it is until then; a second more, since the clock of a pass has no fractions.
pub(super) fn until_then(now: Timestamp, then: Timestamp) -> Duration {
    Duration::try_from(then.duration_since(now)).unwrap_or_default() + Duration::from_secs(1)
}
