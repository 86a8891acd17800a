//! Authorization servers in memory: what the real ones do and do not do, with faults on demand.
//!
//! Time is tokio's, so that a test can pause it; ids and secrets come from a counter, so that a run can be repeated. A client
//! counts as answered when whoever registered it was told its secret: one that is not is of no use to anybody.

mod users;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::jiff::Timestamp;
use url::Url;

use super::{
    Capabilities, ClientMetadata, Clock, Credential, Description, ErrorKind, IdentityError,
    Inquiry, Management, Method, NewClient, OAuthServer, Registration, Result, ServerOptions,
    Servers, ServiceUser, TokenAnswer, TokenRequest,
};
use crate::model::Secret;

/// How long a call takes.
const LATENCY: Duration = Duration::from_millis(40);

/// What kind of server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Profile {
    /// RFC 7591 and 7592; every change of a client replaces its management token, so that none is made.
    Dynamic,
    /// Keycloak without its policy of rotation: a client has one secret.
    Keycloak,
    /// Keycloak with it: a client has two for a while.
    KeycloakRotating,
    /// Amazon Cognito: ids and secrets are the server's, two secrets, no keys.
    Cognito,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Dynamic,
        Self::Keycloak,
        Self::KeycloakRotating,
        Self::Cognito,
    ];

    fn capabilities(self) -> Capabilities {
        Capabilities {
            older_secret_lives: None,
            secrets_in_place: matches!(self, Self::KeycloakRotating | Self::Cognito),
            updates: self != Self::Dynamic,
            search: self != Self::Dynamic,
        }
    }

    /// The grant types that it names; of Keycloak only, since of the others it does not matter.
    fn grant_types(self) -> Vec<String> {
        let named: &[&str] = match self {
            Self::Dynamic | Self::Cognito => &[],
            Self::Keycloak | Self::KeycloakRotating => &[
                "authorization_code",
                "client_credentials",
                "refresh_token",
                "urn:ietf:params:oauth:grant-type:device_code",
                "urn:ietf:params:oauth:grant-type:token-exchange",
                "password",
            ],
        };
        named.iter().map(|name| (*name).to_owned()).collect()
    }

    fn chooses_secret(self) -> bool {
        !matches!(self, Self::Keycloak | Self::KeycloakRotating)
    }
}

/// A call, as an [`Interceptor`] sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// What is asked.
    pub operation: &'static str,
    /// Whether it changes something.
    pub is_write: bool,
}

/// What becomes of a call or its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Continue,
    /// No answer comes, and the caller learns that.
    LoseReply,
    /// No answer ever: the caller has been killed.
    Hang,
}

/// Faults for one caller: asked around every call.
pub trait Interceptor: Send + Sync {
    /// Before it is carried out.
    fn before(&self, call: Call) -> Verdict;
    /// After it has been.
    fn after(&self, call: Call) -> Verdict;
}

/// What of a server goes wrong for all callers.
#[derive(Clone, Default)]
struct Trouble {
    away: bool,
    hangs: bool,
    throttles: Option<(u32, Duration)>,
    /// Nothing is removed any more.
    keeps: bool,
    /// So many more requests for a token are answered as if nobody knew the client.
    distrusts: u32,
    /// Clients are known, and given no token.
    withholds: bool,
    /// Where tokens are got, if not where they were first.
    token_path: Option<&'static str>,
    /// How long a secret is valid, and what time it is.
    ends: Option<(Duration, Clock)>,
    /// How long the older of two secrets is valid beside the newer one, and what time it is.
    ends_older: Option<(Duration, Clock)>,
}

/// A client, as the server has it.
#[derive(Debug, Clone)]
struct Client {
    handle: String,
    uid: String,
    metadata: ClientMetadata,
    secrets: Vec<String>,
    /// When each of them ends by itself.
    ends: BTreeMap<String, Timestamp>,
    token: String,
    /// Somebody was told its secret.
    answered: bool,
    /// It was so before the call that is under way.
    told: bool,
}

impl Client {
    /// With how many credentials a token can be got.
    fn live(&self) -> usize {
        match self.metadata.method {
            Method::WorkloadIdentity | Method::Public => 1,
            Method::PrivateKeyJwt => self.metadata.keys.len(),
            Method::SecretBasic | Method::SecretPost => self.secrets.len(),
        }
    }
}

#[derive(Default)]
struct State {
    clients: BTreeMap<String, Client>,
    users: BTreeMap<String, ServiceUser>,
    most_users: BTreeMap<String, usize>,
    takes_workloads: bool,
    made: u64,
    /// How often it was tried whether secrets overlap.
    tried: u64,
    trouble: Trouble,
    calls: BTreeMap<&'static str, u64>,
    most: BTreeMap<String, usize>,
    busy: (u32, u32),
}

fn end((life, clock): &(Duration, Clock), secret: &str) -> Option<(String, Timestamp)> {
    Some((secret.to_owned(), clock().checked_add(*life).ok()?))
}

impl State {
    /// When a secret that is made now ends by itself, if it does.
    fn ends(&self, secret: &str) -> Option<(String, Timestamp)> {
        end(self.trouble.ends.as_ref()?, secret)
    }
}

/// A server; clones share everything.
#[derive(Clone)]
pub struct SimulatedServer {
    issuer: Url,
    profile: Profile,
    state: Arc<Mutex<State>>,
}

impl SimulatedServer {
    /// A server without clients.
    pub fn new(issuer: Url, profile: Profile) -> Self {
        Self {
            issuer,
            profile,
            state: Arc::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It cannot be reached, or can again.
    pub fn set_away(&self, away: bool) {
        self.state().trouble.away = away;
    }

    /// It takes calls and answers none, or answers again.
    pub fn set_hanging(&self, hangs: bool) {
        self.state().trouble.hangs = hangs;
    }

    /// The next calls are too many; each is told to come again after so long.
    pub fn throttle(&self, calls: u32, retry_after: Duration) {
        self.state().trouble.throttles = Some((calls, retry_after));
    }

    /// Whether its administrators let workloads show the identity that the cluster gives them.
    pub fn set_takes_workloads(&self, takes: bool) {
        self.state().takes_workloads = takes;
    }

    /// Somebody has given the client to another workload there.
    pub fn give_away(&self, client_id: &str, subject: &str) {
        if let Some(client) = self.state().clients.get_mut(client_id) {
            client.metadata.subject = Some(subject.to_owned());
        }
    }

    /// It refuses to remove anything, or removes again.
    pub fn set_keeping(&self, keeps: bool) {
        self.state().trouble.keeps = keeps;
    }

    /// It knows every client and gives it no token, or gives tokens again.
    pub fn set_withholding(&self, withholds: bool) {
        self.state().trouble.withholds = withholds;
    }

    /// Tokens are got elsewhere from now on, as its metadata says.
    pub fn move_token_endpoint(&self, path: &'static str) {
        self.state().trouble.token_path = Some(path);
    }

    /// So many requests for a token are answered as if nobody knew the client: another replica, or a clock, is late.
    pub fn distrust(&self, requests: u32) {
        self.state().trouble.distrusts = requests;
    }

    /// Secrets that are given from now on end by themselves after so long, by this clock.
    pub fn end_secrets_after(&self, life: Duration, clock: Clock) {
        self.state().trouble.ends = Some((life, clock));
    }

    /// The older of two secrets ends by itself so long after the newer one was made, by this clock.
    pub fn end_older_secrets_after(&self, life: Duration, clock: Clock) {
        self.state().trouble.ends_older = Some((life, clock));
    }

    /// A policy that is newer than the client has set an end to its secret, since it was used.
    pub fn end_secrets_of(&self, client_id: &str) {
        let mut state = self.state();
        let ends = state.trouble.ends.clone();
        if let Some(client) = state.clients.get_mut(client_id) {
            for secret in &client.secrets {
                let ends = ends.as_ref().and_then(|ends| end(ends, secret));
                client.ends.extend(ends);
            }
        }
    }

    /// Somebody has removed the client there.
    pub fn forget_client(&self, client_id: &str) {
        self.state().clients.remove(client_id);
    }

    /// How often an operation was called.
    pub fn calls(&self, operation: &str) -> u64 {
        self.state().calls.get(operation).copied().unwrap_or(0)
    }

    /// How often somebody has made a client and removed it to find out whether secrets overlap.
    pub fn trials(&self) -> u64 {
        self.state().tried
    }

    /// How often anything was called.
    pub fn all_calls(&self) -> u64 {
        self.state().calls.values().sum()
    }

    /// How many calls were under way at the same time at most.
    pub fn busiest(&self) -> u32 {
        self.state().busy.1
    }

    /// The clients of an object, by its uid or, where the server knows none, by its name; how many credentials each has, and
    /// whether anybody was ever told them.
    pub fn live(&self, name: &str) -> Vec<(String, usize, bool)> {
        let state = self.state();
        let named = state
            .clients
            .iter()
            .filter(|(_, client)| client.metadata.name.contains(name));
        named
            .map(|(id, client)| (id.clone(), client.live(), client.answered))
            .collect()
    }

    /// How many credentials that somebody was told an object had at most, at any time.
    pub fn most_live(&self, name: &str) -> usize {
        let state = self.state();
        let mut named = state.most.iter().filter(|(known, _)| known.contains(name));
        named.next().map_or(0, |(_, most)| *most)
    }

    /// The scopes of each client of an object.
    pub fn scopes(&self, name: &str) -> Vec<Vec<String>> {
        let state = self.state();
        let clients = state.clients.values();
        clients
            .filter(|client| client.metadata.name.contains(name))
            .map(|client| client.metadata.scopes.clone())
            .collect()
    }

    /// What persons are shown who are asked for consent, of each client of an object.
    pub fn consent(&self, name: &str) -> Vec<BTreeMap<String, String>> {
        let state = self.state();
        let clients = state.clients.values();
        clients
            .filter(|client| client.metadata.name.contains(name))
            .map(|client| client.metadata.consent.clone())
            .collect()
    }

    /// Whether a token is given for that: what a reader of credentials asks. Not counted, and never in trouble.
    pub fn takes(&self, client_id: &str, credential: &Credential) -> bool {
        takes(&self.state(), client_id, credential)
    }

    fn remember_most(state: &mut State) {
        let mut live: BTreeMap<String, usize> = BTreeMap::new();
        for client in state.clients.values().filter(|client| client.answered) {
            *live.entry(client.metadata.name.clone()).or_default() += client.live();
        }
        for (name, live) in live {
            let most = state.most.entry(name).or_default();
            *most = live.max(*most);
        }
    }
}

fn takes(state: &State, client_id: &str, credential: &Credential) -> bool {
    let Some(client) = state.clients.get(client_id) else {
        return false;
    };
    match (credential, client.metadata.method) {
        (Credential::Public, Method::Public) => true,
        // It is told by whom it was signed; and two for one subject are none, as with Keycloak.
        (Credential::Assertion(subject), Method::WorkloadIdentity) => {
            let theirs =
                |client: &&Client| client.metadata.subject.as_deref() == Some(subject.reveal());
            theirs(&client) && state.clients.values().filter(theirs).count() == 1
        }
        (Credential::Secret(method, secret), own) => {
            let secret = secret.reveal();
            let clocks = [&state.trouble.ends, &state.trouble.ends_older];
            let clock = clocks
                .into_iter()
                .flatten()
                .next()
                .map(|(_, clock)| clock());
            let ends = client.ends.get(secret);
            let is_over = ends.zip(clock).is_some_and(|(ends, now)| *ends <= now);
            *method == own && !is_over && client.secrets.iter().any(|known| known == secret)
        }
        (Credential::Key(key), Method::PrivateKeyJwt) => {
            // A key's id is its thumbprint, so that one need not be compared any further.
            let mut known = client.metadata.keys.iter();
            known.any(|known| known.id == key.id)
        }
        _ => false,
    }
}

/// Servers by their issuers, for one caller.
pub struct SimulatedServers {
    /// The servers that there are.
    pub servers: Vec<SimulatedServer>,
    /// What befalls the caller.
    pub interceptor: Arc<dyn Interceptor>,
}

impl Servers for SimulatedServers {
    fn open(&self, options: ServerOptions) -> Result<Arc<dyn OAuthServer>> {
        let wanted = |server: &&SimulatedServer| server.issuer == options.issuer;
        let found = self.servers.iter().find(wanted);
        let server = found.ok_or_else(|| {
            let message = format!("there is no server {}", options.issuer);
            IdentityError::new(ErrorKind::Unavailable, "open", message)
        })?;
        Ok(Arc::new(Caller {
            server: server.clone(),
            interceptor: self.interceptor.clone(),
        }))
    }
}

/// A server as one caller has it.
struct Caller {
    server: SimulatedServer,
    interceptor: Arc<dyn Interceptor>,
}

/// One call less under way when it is over, however it ends.
struct Busy<'a>(&'a SimulatedServer);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.state().busy.0 -= 1;
    }
}

impl Caller {
    async fn call<T>(
        &self,
        operation: &'static str,
        is_write: bool,
        work: impl FnOnce(&mut State) -> Result<T> + Send,
    ) -> Result<T> {
        let call = Call {
            operation,
            is_write,
        };
        let _busy = self.enter(call).await?;
        tokio::time::sleep(LATENCY).await;
        let answer = {
            let mut state = self.server.state();
            work(&mut state)
        };
        let verdict = self.interceptor.after(call);
        if verdict != Verdict::Continue {
            let mut state = self.server.state();
            for client in state.clients.values_mut() {
                // With Keycloak a client is given its scopes by calls of their own, and this one came no further.
                if operation == "register" && client.answered && !client.told {
                    client
                        .metadata
                        .scopes
                        .retain(|_| self.server.profile.chooses_secret());
                }
                // What was made by this call nobody is told of.
                client.answered = client.told;
            }
        }
        for client in self.server.state().clients.values_mut() {
            client.told = client.answered;
        }
        SimulatedServer::remember_most(&mut self.server.state());
        match verdict {
            Verdict::Continue => answer,
            Verdict::Hang => std::future::pending().await,
            Verdict::LoseReply => Err(unavailable(operation)),
        }
    }

    /// Counts the call, and lets it not come through if something is wrong.
    async fn enter(&self, call: Call) -> Result<Busy<'_>> {
        let operation = call.operation;
        match self.interceptor.before(call) {
            Verdict::Continue => {}
            Verdict::Hang => std::future::pending().await,
            Verdict::LoseReply => return Err(unavailable(operation)),
        }
        let hangs = {
            let mut state = self.server.state();
            *state.calls.entry(operation).or_default() += 1;
            state.busy.0 += 1;
            state.busy.1 = state.busy.1.max(state.busy.0);
            state.trouble.hangs
        };
        let busy = Busy(&self.server);
        if hangs {
            std::future::pending::<()>().await;
        }
        let mut state = self.server.state();
        if state.trouble.away {
            return Err(unavailable(operation));
        }
        if let Some((left, after)) = &mut state.trouble.throttles
            && *left > 0
        {
            *left -= 1;
            return Err(IdentityError {
                retry_after: Some(*after),
                ..IdentityError::new(ErrorKind::Throttled, operation, "too many requests")
            });
        }
        drop(state);
        Ok(busy)
    }
}

fn unavailable(operation: &'static str) -> IdentityError {
    IdentityError::new(ErrorKind::Unavailable, operation, "no answer")
}

fn may_remove(state: &State, operation: &'static str) -> Result<()> {
    match state.trouble.keeps {
        true => Err(IdentityError::new(
            ErrorKind::Denied,
            operation,
            "nothing is removed here",
        )),
        false => Ok(()),
    }
}

fn not_found(operation: &'static str) -> IdentityError {
    IdentityError::new(ErrorKind::NotFound, operation, "there is no such client")
}

impl SimulatedServer {
    fn shown(&self, id: &str, client: &Client) -> Registration {
        let management = (self.profile == Profile::Dynamic).then(|| self.issuer.join(id).ok());
        let secret = client.secrets.last().filter(|_| {
            matches!(
                client.metadata.method,
                Method::SecretBasic | Method::SecretPost
            )
        });
        Registration {
            client_id: id.to_owned(),
            secret: secret.map(Secret::new),
            secret_id: None,
            secret_expires: secret.and_then(|secret| client.ends.get(secret).copied()),
            management: management.flatten().map(|uri| Management {
                uri,
                token: Secret::new(&client.token),
            }),
        }
    }

    fn make(&self, state: &mut State, new: &NewClient) -> Result<Registration> {
        if !self.profile.chooses_secret()
            && let Some(client) = state.clients.get_mut(&new.handle)
        {
            if client.uid != new.uid {
                let message = "somebody else's client has that id";
                return Err(IdentityError::new(
                    ErrorKind::AlreadyExists,
                    "register",
                    message,
                ));
            }
            client.metadata = new.metadata.clone();
            client.secrets = vec![new.secret.reveal().to_owned()];
            return Ok(self.shown(&new.handle, client));
        }
        state.made += 1;
        let (id, secret) = match self.profile.chooses_secret() {
            true => {
                let number = state.made;
                (
                    format!("client-{number}"),
                    format!("canary-secret-{number}"),
                )
            }
            false => (new.handle.clone(), new.secret.reveal().to_owned()),
        };
        let ends = state.ends(&secret);
        let client = Client {
            handle: new.handle.clone(),
            uid: new.uid.clone(),
            metadata: new.metadata.clone(),
            secrets: vec![secret],
            ends: ends.into_iter().collect(),
            token: format!("canary-token-{}", state.made),
            answered: true,
            told: false,
        };
        let shown = self.shown(&id, &client);
        state.clients.insert(id, client);
        Ok(shown)
    }

    /// The client, if whoever asks may manage it.
    fn managed<'s>(
        &self,
        state: &'s mut State,
        operation: &'static str,
        registration: &Registration,
    ) -> Result<&'s mut Client> {
        let dynamic = self.profile == Profile::Dynamic;
        let Some(client) = state.clients.get_mut(&registration.client_id) else {
            return Err(match dynamic {
                // RFC 7592 section 2.3: 401, for the token is not known any more.
                true => IdentityError::new(ErrorKind::Denied, operation, "invalid_token"),
                false => not_found(operation),
            });
        };
        let token = registration.management.as_ref().map(|it| it.token.reveal());
        if dynamic && token != Some(&client.token) {
            return Err(IdentityError::new(
                ErrorKind::Denied,
                operation,
                "invalid_token",
            ));
        }
        Ok(client)
    }
}

#[async_trait]
impl OAuthServer for Caller {
    async fn describe(&self, how: Inquiry) -> Result<Description> {
        let server = &self.server;
        let mut methods = match server.profile {
            Profile::Cognito => vec![Method::SecretBasic, Method::SecretPost, Method::Public],
            _ => vec![
                Method::PrivateKeyJwt,
                Method::SecretBasic,
                Method::SecretPost,
                Method::Public,
            ],
        };
        if server.state().takes_workloads {
            methods.insert(0, Method::WorkloadIdentity);
        }
        let older = server.state().trouble.ends_older.as_ref().map(|it| it.0);
        let path = server.state().trouble.token_path.unwrap_or("token");
        let token_endpoint = server.issuer.join(path);
        let description = Description {
            token_endpoint: token_endpoint.unwrap_or_else(|_| server.issuer.clone()),
            methods,
            grant_types: server.profile.grant_types(),
            capabilities: Capabilities {
                older_secret_lives: older,
                ..server.profile.capabilities()
            },
        };
        self.call("describe", false, |state| {
            let mut description = description;
            // Of no other kind of server it must be tried.
            if server.profile == Profile::KeycloakRotating {
                match how {
                    Inquiry::Trying => state.tried += 1,
                    Inquiry::Reading { secrets_in_place } => {
                        description.capabilities.secrets_in_place = secrets_in_place;
                    }
                }
            }
            Ok(description)
        })
        .await
    }

    async fn register(&self, new: &NewClient) -> Result<Registration> {
        let server = &self.server;
        self.call("register", true, |state| server.make(state, new))
            .await
    }

    async fn find(&self, handle: &str, uid: &str) -> Result<Vec<Registration>> {
        let server = &self.server;
        self.call("find", false, |state| {
            let mut ours = Vec::new();
            for (id, client) in &mut state.clients {
                if client.handle == handle && client.uid == uid {
                    client.answered = true;
                    ours.push(server.shown(id, client));
                }
            }
            Ok(ours)
        })
        .await
    }

    async fn update(&self, registration: &Registration, metadata: &ClientMetadata) -> Result<()> {
        let server = &self.server;
        self.call("update", true, |state| {
            let secret = registration.secret.as_ref().map(Secret::reveal);
            let ends = secret.and_then(|secret| state.ends(secret));
            let client = server.managed(state, "update", registration)?;
            client.metadata = metadata.clone();
            // As Keycloak's policy does where there was none before.
            if let Some((secret, ends)) = ends {
                client.ends.entry(secret).or_insert(ends);
            }
            Ok(())
        })
        .await
    }

    async fn add_secret(&self, registration: &Registration) -> Result<Registration> {
        let server = &self.server;
        self.call("add_secret", true, |state| {
            state.made += 1;
            let fresh = format!("canary-secret-{}", state.made);
            let ends = state.ends(&fresh);
            let older = registration.secret.as_ref().map(Secret::reveal);
            let older = state.trouble.ends_older.as_ref().zip(older);
            let older = older.and_then(|(after, secret)| end(after, secret));
            let client = server.managed(state, "add_secret", registration)?;
            let own = registration.secret.as_ref().map(Secret::reveal);
            if client.secrets.last().map(String::as_str) == own {
                client.secrets.push(fresh);
                client.ends.extend(ends);
                client.ends.extend(older);
                if client.secrets.len() > 2 {
                    client.secrets.remove(0);
                }
            }
            let client = client.clone();
            Ok(server.shown(&registration.client_id, &client))
        })
        .await
    }

    async fn retire_secret(&self, registration: &Registration) -> Result<()> {
        let server = &self.server;
        self.call("retire_secret", true, |state| {
            may_remove(state, "retire_secret")?;
            let client = server.managed(state, "retire_secret", registration)?;
            let own = registration.secret.as_ref().map(Secret::reveal);
            client.secrets.retain(|secret| Some(secret.as_str()) == own);
            Ok(())
        })
        .await
    }

    async fn secret_ends(&self, registration: &Registration) -> Result<Option<Timestamp>> {
        let server = &self.server;
        self.call("secret_ends", false, |state| {
            let client = server.managed(state, "secret_ends", registration)?;
            let newest = client.secrets.last();
            Ok(newest.and_then(|secret| client.ends.get(secret).copied()))
        })
        .await
    }

    async fn delete(&self, registration: &Registration) -> Result<()> {
        let server = &self.server;
        self.call("delete", true, |state| {
            may_remove(state, "delete")?;
            match server.managed(state, "delete", registration) {
                Ok(_) => {
                    state.clients.remove(&registration.client_id);
                    Ok(())
                }
                Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error),
            }
        })
        .await
    }

    async fn confirm(&self, registration: &Registration, subject: &str) -> Result<TokenAnswer> {
        let id = &registration.client_id;
        self.call("confirm", false, |state| {
            Ok(match state.clients.get(id) {
                None => TokenAnswer::UnknownClient(format!("there is no client {id}")),
                Some(client) if client.metadata.subject.as_deref() == Some(subject) => {
                    TokenAnswer::Accepted
                }
                Some(_) => TokenAnswer::Refused(format!("client {id}: it is another subject's")),
            })
        })
        .await
    }

    async fn request_token(&self, request: &TokenRequest) -> Result<TokenAnswer> {
        self.call("token", false, |state| {
            let distrusts = state.trouble.distrusts;
            state.trouble.distrusts = distrusts.saturating_sub(1);
            if distrusts > 0 || !takes(state, &request.client_id, &request.credential) {
                return Ok(TokenAnswer::UnknownClient("invalid_client".to_owned()));
            }
            if state.trouble.withholds {
                let why = "unauthorized_client: not at the moment";
                return Ok(TokenAnswer::Refused(why.to_owned()));
            }
            let client = state.clients.get(&request.client_id);
            let has = |scope: &String| {
                client.is_some_and(|client| client.metadata.scopes.contains(scope))
            };
            let refused = request.scopes.iter().flatten().find(|scope| !has(scope));
            Ok(match refused {
                Some(scope) => TokenAnswer::Refused(format!("invalid_scope: {scope}")),
                None => TokenAnswer::Accepted,
            })
        })
        .await
    }

    async fn make_user(&self, user: &ServiceUser) -> Result<()> {
        self.call("make_user", true, |state| users::make(state, user))
            .await
    }

    async fn remove_user(&self, username: &str, uid: &str) -> Result<()> {
        self.call("remove_user", true, |state| {
            users::remove(state, username, uid)
        })
        .await
    }

    async fn request_token_as(
        &self,
        request: &TokenRequest,
        user: &ServiceUser,
    ) -> Result<TokenAnswer> {
        self.call("token", false, |state| {
            let (id, password) = (&request.client_id, user.password.reveal());
            let given = takes(state, id, &request.credential)
                && users::is_let_in(state, id, &user.username, password);
            Ok(match given {
                true => TokenAnswer::Accepted,
                false => TokenAnswer::UnknownClient("invalid_grant".to_owned()),
            })
        })
        .await
    }
}
