//! A played Cognito: the user pools of the simulated cloud, and a token endpoint that goes by what is in them.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bailiwick::cloud::Sessions;
use bailiwick::cloud::simulated::{
    Call, Interceptor, Options, PoolClientRecord, SimulatedCloud, UserPoolRecord, Verdict,
};
use bailiwick::cloud::user_pools::OAuthFlow;
use bailiwick::identity::{OAuthServer, RealServers, RegistrationOptions, ServerOptions, Servers};
use bailiwick::model::{AccountId, RoleName, UserPoolId};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::jiff::Timestamp;
use serde_json::json;

use super::options;
use super::server::{Reply, Request, Server};

/// Loses the answer to the next call of an operation.
#[derive(Default)]
struct Loser(Mutex<Option<&'static str>>);

#[async_trait]
impl Interceptor for Loser {
    async fn before(&self, _: &Call) -> Verdict {
        Verdict::Continue
    }

    async fn after(&self, call: &Call, _: bool) -> Verdict {
        let mut next = self.0.lock().unwrap();
        match *next == Some(call.operation) {
            true => {
                *next = None;
                Verdict::LoseReply
            }
            false => Verdict::Continue,
        }
    }
}

/// One pool, and what serves its metadata and tokens.
pub struct Played {
    pub sim: SimulatedCloud,
    pub pool: UserPoolId,
    pub server: Server,
    loser: Arc<Loser>,
    /// What time it is.
    seconds: Arc<AtomicI64>,
}

impl Played {
    /// A pool of our own account, with two scopes of the resource server `api`.
    pub async fn start() -> Self {
        let sim = SimulatedCloud::new(Options::default(), 1, Arc::new(Timestamp::now));
        let pool: UserPoolId = "eu-central-1_Played".parse().unwrap();
        sim.change_user_pool(&pool, |record| {
            record.has_domain = true;
            record.has_second_secrets = true;
            record.scopes = ["api/read", "api/write"].map(str::to_owned).into();
        });
        let (world, id) = (sim.clone(), pool.clone());
        let server = Server::start(move |request, own| answer(&world, &id, request, own)).await;
        sim.set_user_pools_at(&server.endpoint);
        let loser = Arc::default();
        Self {
            sim,
            pool,
            server,
            loser,
            seconds: Arc::new(AtomicI64::new(1_795_640_000)),
        }
    }

    /// So much time passes.
    pub fn pass(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    pub fn sessions(&self) -> Arc<dyn Sessions> {
        self.sim.cloud_with(self.loser.clone()).sessions
    }

    /// The server, as an operator has opened it that began a while ago.
    pub fn open(&self) -> Arc<dyn OAuthServer> {
        self.open_in(None)
    }

    pub fn open_in(&self, account: Option<(AccountId, RoleName)>) -> Arc<dyn OAuthServer> {
        let opened = self.open_just_now(account);
        self.pass(60);
        opened
    }

    /// The same, of an operator that has just begun.
    pub fn open_just_now(&self, account: Option<(AccountId, RoleName)>) -> Arc<dyn OAuthServer> {
        let seconds = self.seconds.clone();
        let now = move || Timestamp::from_second(seconds.load(Ordering::SeqCst)).unwrap();
        let servers = RealServers::new(Arc::new(now)).with_user_pools(self.sessions());
        servers.open(of_pool(&self.pool, account)).unwrap()
    }

    pub fn lose(&self, operation: &'static str) {
        *self.loser.0.lock().unwrap() = Some(operation);
    }

    pub fn record(&self) -> UserPoolRecord {
        self.sim.user_pool(&self.pool).unwrap()
    }

    pub fn change(&self, change: impl FnOnce(&mut UserPoolRecord)) {
        self.sim.change_user_pool(&self.pool, change);
    }
}

pub fn of_pool(pool: &UserPoolId, account: Option<(AccountId, RoleName)>) -> ServerOptions {
    let user_pool = pool.clone();
    options(
        &pool.issuer(),
        RegistrationOptions::Cognito { user_pool, account },
    )
}

fn answer(sim: &SimulatedCloud, pool: &UserPoolId, request: &Request, own: &str) -> Reply {
    let metadata = format!("GET /{pool}/.well-known/openid-configuration");
    match request.line() {
        line if line == metadata => Reply::json(
            200,
            json!({
                "issuer": pool.issuer(),
                "token_endpoint": format!("{own}/oauth2/token"),
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            }),
        ),
        line if line == "POST /oauth2/token" => token(&sim.user_pool(pool).unwrap(), request),
        _ => Reply::json(404, json!({})),
    }
}

/// Cognito Developer Guide, "The token issuer endpoint": what is refused, and with which code.
fn token(pool: &UserPoolRecord, request: &Request) -> Reply {
    let form: Vec<(String, String)> = url::form_urlencoded::parse(request.body.as_bytes())
        .into_owned()
        .collect();
    let field = |name: &str| {
        let found = form.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let basic = request
        .header("authorization")
        .and_then(|header| header.strip_prefix("Basic "))
        .map(|pair| String::from_utf8(STANDARD.decode(pair).unwrap()).unwrap());
    let (id, secret) = match &basic {
        Some(pair) => pair.split_once(':').unwrap(),
        None => (&*field("client_id"), &*field("client_secret")),
    };
    let no = |code: &str| Reply::json(400, json!({"error": code}));
    let Some(client) = pool.clients.get(id) else {
        return no("invalid_client");
    };
    if !knows(client, secret) {
        return no("invalid_client");
    }
    let has = |flow: OAuthFlow| client.settings.flows.contains(&flow);
    match field("grant_type").as_str() {
        "authorization_code" if has(OAuthFlow::Code) => {
            // As people have met it: the redirection URI comes first, and a code has the form of a UUID.
            let parts: Vec<usize> = field("code").split('-').map(str::len).collect();
            match client.settings.callbacks.contains(&field("redirect_uri")) {
                false => no("unauthorized_client"),
                true if parts != [8, 4, 4, 4, 12] => no("invalid_request"),
                true => no("invalid_grant"),
            }
        }
        "client_credentials" if has(OAuthFlow::ClientCredentials) => {
            let asked = field("scope");
            let mut asked = asked.split(' ').filter(|scope| !scope.is_empty());
            match asked.all(|scope| client.settings.scopes.iter().any(|has| has == scope)) {
                true => Reply::json(200, json!({"access_token": "t", "token_type": "Bearer"})),
                false => no("invalid_scope"),
            }
        }
        _ => no("unauthorized_client"),
    }
}

fn knows(client: &PoolClientRecord, secret: &str) -> bool {
    client.is_public
        || client
            .secrets
            .iter()
            .any(|(_, known)| known.reveal() == secret)
}
