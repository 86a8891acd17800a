//! The same at a user pool of Amazon Cognito in memory, by the adapter that there is: struck are the single calls to AWS. What
//! goes over HTTP, metadata and tokens, is played: virtual time and sockets do not go together (`tests/identity/cognito.rs` has
//! them).

use std::sync::Arc;

use async_trait::async_trait;
use bailiwick::cloud::simulated::{
    self, Options, PoolClientRecord, SimulatedCloud, UserPoolRecord, tokio_clock,
};
use bailiwick::identity::simulated::{Profile, Verdict};
use bailiwick::identity::{
    Capabilities, ClientMetadata, Credential, Description, Inquiry, Method, NewClient, OAuthServer,
    RealServers, Registration, Result, ServerOptions, Servers, TokenAnswer, TokenRequest,
};
use bailiwick::model::UserPoolId;
use k8s_openapi::jiff::Timestamp;
use serde_json::json;

use super::kills::{alone, changed, drive, each_write, ready, table};
use super::world::{Blow, Life, Readers, World, credential};

const TOKENS: &str = "https://company.auth.eu-central-1.amazoncognito.com/oauth2/token";

#[async_trait]
impl simulated::Interceptor for Life {
    async fn before(&self, call: &simulated::Call) -> simulated::Verdict {
        self.aws(call, true)
    }

    async fn after(&self, call: &simulated::Call, _: bool) -> simulated::Verdict {
        self.aws(call, false)
    }
}

impl Life {
    fn aws(&self, call: &simulated::Call, before: bool) -> simulated::Verdict {
        let write = call.is_write.then(|| call.operation.to_owned());
        match self.rule(write, before) {
            Verdict::Continue => simulated::Verdict::Continue,
            Verdict::Hang => simulated::Verdict::Hang,
            Verdict::LoseReply => simulated::Verdict::LoseReply,
        }
    }
}

/// A pool, and what knows its tokens.
#[derive(Clone)]
struct Pool {
    sim: SimulatedCloud,
    id: UserPoolId,
}

impl Pool {
    fn record(&self) -> UserPoolRecord {
        self.sim.user_pool(&self.id).unwrap()
    }

    fn takes(&self, client: &str, credential: &Credential) -> bool {
        let record = self.record();
        let Some(client) = record.clients.get(client) else {
            return false;
        };
        match credential {
            Credential::Secret(_, secret) => {
                client.secrets.iter().any(|(_, known)| known == secret)
            }
            Credential::Public => client.is_public,
            Credential::Key(_) | Credential::Assertion(_) => false,
        }
    }
}

struct PoolServers {
    pool: Pool,
    real: RealServers,
}

impl Servers for PoolServers {
    fn open(&self, options: ServerOptions) -> Result<Arc<dyn OAuthServer>> {
        let issuer = &options.issuer;
        assert_eq!(issuer.as_str(), self.pool.id.issuer());
        Ok(Arc::new(PoolServer {
            inner: self.real.open(options)?,
            pool: self.pool.clone(),
        }))
    }
}

struct PoolServer {
    inner: Arc<dyn OAuthServer>,
    pool: Pool,
}

#[async_trait]
impl OAuthServer for PoolServer {
    async fn describe(&self, _: Inquiry) -> Result<Description> {
        Ok(Description {
            token_endpoint: TOKENS.parse().unwrap(),
            methods: vec![Method::SecretBasic, Method::SecretPost, Method::Public],
            grant_types: Vec::new(),
            capabilities: Capabilities {
                secrets_in_place: self.pool.record().has_second_secrets,
                older_secret_lives: None,
                updates: true,
                search: true,
            },
        })
    }

    async fn register(&self, new: &NewClient) -> Result<Registration> {
        self.inner.register(new).await
    }

    async fn find(&self, handle: &str, uid: &str) -> Result<Vec<Registration>> {
        self.inner.find(handle, uid).await
    }

    async fn update(&self, registration: &Registration, metadata: &ClientMetadata) -> Result<()> {
        self.inner.update(registration, metadata).await
    }

    async fn add_secret(&self, registration: &Registration) -> Result<Registration> {
        self.inner.add_secret(registration).await
    }

    async fn retire_secret(&self, registration: &Registration) -> Result<()> {
        self.inner.retire_secret(registration).await
    }

    async fn delete(&self, registration: &Registration) -> Result<()> {
        self.inner.delete(registration).await
    }

    async fn request_token(&self, request: &TokenRequest) -> Result<TokenAnswer> {
        Ok(
            match self.pool.takes(&request.client_id, &request.credential) {
                true => TokenAnswer::Accepted,
                false => TokenAnswer::UnknownClient("invalid_client".to_owned()),
            },
        )
    }
}

/// A world with a pool, in which somebody else has a client, too; and a client of ours that shall be.
fn begin(has_second_secrets: bool) -> (World, Pool) {
    let epoch: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let pool = Pool {
        sim: SimulatedCloud::new(Options::default(), 1, tokio_clock(epoch)),
        id: "eu-central-1_AbCdEfGhI".parse().unwrap(),
    };
    pool.sim.change_user_pool(&pool.id, |record| {
        record.has_domain = true;
        record.has_second_secrets = has_second_secrets;
        let theirs = PoolClientRecord {
            name: "api".to_owned(),
            ..PoolClientRecord::default()
        };
        record.clients.insert("theirs".to_owned(), theirs);
    });
    let mut world = World::new(Profile::Cognito);
    let (own, time) = (pool.clone(), world.time.clone());
    world.servers = Some(Box::new(move |life| {
        let sessions = own.sim.cloud_with(life.clone()).sessions;
        let real = RealServers::new(time.clone()).with_user_pools(sessions);
        Arc::new(PoolServers {
            pool: own.clone(),
            real,
        })
    }));
    let spec = json!({"issuer": pool.id.issuer(), "cognito": {"userPoolId": pool.id.as_str()}});
    world.put("OAuthProvider", "", "pool", spec);
    world.server.delete("oauthproviders", "", "as");
    let more = json!({"provider": "pool", "authMethod": "client_secret_basic",
        "grantTypes": ["authorization_code"], "redirectUris": ["https://shop.example.com/first"]});
    world.declare("api", &["one", "s3:two"], more);
    (world, pool)
}

async fn life(has_second_secrets: bool, strike: Option<(u64, Blow)>) -> (u64, Option<String>) {
    let (world, pool) = begin(has_second_secrets);
    let asked = pool.clone();
    let readers = Readers::of(&world, move |id, credential, _| asked.takes(id, credential));
    let (first, operators) = drive(&world, strike).await;
    let struck = first.struck.lock().unwrap().clone();
    let context = format!("{has_second_secrets} {strike:?} at {struck:?}");
    let object = world.object("api").unwrap();
    assert!(
        ready(&world) && alone(&world) && changed(&world),
        "{context}: {object:#}"
    );
    // One client, one secret, and nothing that nobody knows, whatever was lost; theirs is as it was.
    let mut clients = pool.record().clients;
    assert_eq!(clients.remove("theirs").unwrap().name, "api", "{context}");
    assert_eq!(clients.len(), 1, "{context}: {clients:?}");
    let (id, client) = clients.pop_first().unwrap();
    assert_eq!(world.kept("api"), std::slice::from_ref(&id), "{context}");
    assert_eq!(client.secrets.len(), 1, "{context}");
    assert_eq!(client.settings.callbacks, ["https://shop.example.com/back"]);
    assert_eq!(object["status"]["clientId"], id.as_str(), "{context}");
    for place in ["secret team-shop/one", "s3://two/api"] {
        let content = world.places.content(place).unwrap();
        let (named, credential) = credential(&content).unwrap();
        assert_eq!(named, id, "{context}: {place}");
        assert!(pool.takes(&named, &credential), "{context}: {place}");
    }
    assert!(readers.end(&context) > 100, "{context}");
    operators.iter().for_each(tokio::task::JoinHandle::abort);
    (first.writes(), struck)
}

async fn whole_table(has_second_secrets: bool, needed: &[&str]) {
    let needed: Vec<_> = needed
        .iter()
        .map(|operation| format!("cognito-idp.{operation}"))
        .collect();
    let needed: Vec<&str> = needed.iter().map(String::as_str).collect();
    let life = async |strike| life(has_second_secrets, strike).await;
    table("a user pool", &needed, each_write, life).await;
}

#[tokio::test(start_paused = true)]
async fn with_second_secrets() {
    let needed = [
        "CreateUserPoolClient",
        "AddUserPoolClientSecret",
        "DeleteUserPoolClientSecret",
        "UpdateUserPoolClient",
    ];
    whole_table(true, &needed).await;
}

#[tokio::test(start_paused = true)]
async fn with_one_secret() {
    let needed = [
        "CreateUserPoolClient",
        "DeleteUserPoolClient",
        "UpdateUserPoolClient",
    ];
    whole_table(false, &needed).await;
}
