//! No secret gets out. The real binary, with keys that can be recognised, says all that it can say, in both formats, while
//! things go well and while they fail: none of the keys is in its log, its metrics, its events or any object, whatever the
//! cluster's etcd ever held. Applications' credentials are among them, at a real authorization server.
#![cfg(feature = "dev")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "secrets/credentials.rs"]
mod credentials;
#[path = "secrets/etcd.rs"]
mod etcd;
mod scan;
#[path = "secrets/wire.rs"]
mod wire;
#[path = "whole/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use bailiwick::dev::http;
use bailiwick::dev::plane::free_port;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use scan::{clean, forms};
use world::{Operator, World};

const READY: &str = ".status.conditions[?(@.type==\"Ready\")].status";
const REASON: &str = ".status.conditions[?(@.type==\"Ready\")].reason";

/// Of the first operator, in the environment.
const KEY: &str = "canary/Secret+Access+Key/In/The/Environ";
const SESSION: &str = "canarySessionToken//InTheEnvironment+++AndLongEnoughToBeOne==";
/// Of the second one, in files; the same entry in both, of which one is overridden.
const FILED_KEY: &str = "canary/Secret+Access+Key/In/The/Profile";
const OVERRIDDEN_KEY: &str = "canary/Secret+Access+Key/In/The/Config1";
const FILED_SESSION: &str = "canarySessionToken//InTheProfile+++AndLongEnoughToBeOne==";
/// The login at a registry.
const PASSWORD: &str = "canaryPasswordAtTheRegistry";

const DECLARED: &str = r#"
{apiVersion: bailiwick.dev/v1alpha1, kind: AccountClass, metadata: {name: test}, spec: {
  organizationalUnitPath: /Workloads, emailTemplate: "aws+{{team}}-{{account}}@example.com",
  aliasTemplate: "acme-{{team}}-{{account}}", passwordPolicy: {minimumLength: 16}, regions: [eu-central-1],
  credentialsBucket: {nameTemplate: "acme-mint-{{account.id}}"}}}
---
{apiVersion: bailiwick.dev/v1alpha1, kind: Team, metadata: {name: payments}, spec: {members: [{user: dev}]}}
"#;

/// What the operator may do in the cluster at first: no team's namespace can be made.
const RIGHTS: &str = r#"
{apiVersion: v1, kind: ServiceAccount, metadata: {name: operator, namespace: default}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: little}, rules: [
  {apiGroups: [bailiwick.dev], resources: ["*"], verbs: ["*"]},
  {apiGroups: ["", events.k8s.io, coordination.k8s.io], resources: [events, leases, configmaps], verbs: ["*"]},
  {apiGroups: [""], resources: [namespaces], verbs: [get, list, watch]},
  {apiGroups: [rbac.authorization.k8s.io], resources: [rolebindings], verbs: [get, list, watch]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: operator}, roleRef: {
  apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: little}, subjects: [
  {kind: ServiceAccount, name: operator, namespace: default}]}
"#;
const ALL_RIGHTS: &str = r#"
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: more}, roleRef: {
  apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}, subjects: [
  {kind: ServiceAccount, name: operator, namespace: default}]}
"#;

fn account(name: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: bailiwick.dev/v1alpha1, kind: TeamAccount, metadata: {{name: {name}, namespace: team-payments}}, \
         spec: {{className: test{spec}}}}}"
    )
}

/// A registry that believes nobody, and remembers what it was told.
struct Registry {
    host: String,
    told: Arc<Mutex<Vec<String>>>,
}

impl Registry {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = told.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let head = lines
                    .map_while(Result::ok)
                    .take_while(|line| !line.is_empty());
                heard.lock().unwrap().extend(head);
                let _ = stream.write_all(
                    b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"r\"\r\n\
                      Content-Length: 0\r\nConnection: close\r\n\r\n",
                );
            }
        });
        Self { host, told }
    }

    fn heard(&self, word: &str) -> bool {
        self.told
            .lock()
            .unwrap()
            .iter()
            .any(|line| line.contains(word))
    }
}

/// The token of the operator's service account.
async fn token(world: &World) -> String {
    world.apply(RIGHTS).await;
    let create = ["create", "token", "operator", "-n", "default"];
    world.kubectl(&create).await.unwrap().trim().to_owned()
}

/// The administrator's kubeconfig with that token in the place of the certificate.
fn kubeconfig(world: &World, token: &str) -> PathBuf {
    let text = std::fs::read_to_string(world.plane.admin_kubeconfig()).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
    config["users"][0]["user"] = serde_json::json!({ "token": token });
    let path = world.plane.folder().join("token.kubeconfig");
    std::fs::write(&path, config.to_string()).unwrap();
    path
}

struct Stage {
    config: PathBuf,
    registry: Registry,
    port: u16,
}

impl Stage {
    fn command(&self, world: &World, format: &str) -> Command {
        let logins = world.plane.folder().join("logins.json");
        let auth = BASE64_STANDARD.encode(format!("robot:{PASSWORD}"));
        let auths = serde_json::json!({"auths": {&self.registry.host: {"auth": auth}}});
        std::fs::write(&logins, auths.to_string()).unwrap();
        let mut command = Operator::command(world);
        command
            .arg(format!("--listen=127.0.0.1:{}", self.port))
            .args(["--log-filter=trace", "--log-format", format])
            .arg(format!("--registry-plain-http={}", self.registry.host))
            .arg(format!("--registry-credentials={}", logins.display()))
            .env("KUBECONFIG", &self.config);
        command
    }

    fn metrics(&self) -> String {
        let endpoint = format!("http://127.0.0.1:{}", self.port);
        let (status, text) = http::get(&endpoint, "/metrics").unwrap();
        assert_eq!(status, 200);
        text
    }
}

/// Profiles as people have them: one file for settings, one for keys, and an entry that is in both.
fn profiles(folder: &Path, command: &mut Command) {
    let (config, credentials) = (folder.join("aws-config"), folder.join("aws-credentials"));
    let session = format!("aws_session_token = {FILED_SESSION}\n");
    let keys =
        |key| format!("aws_access_key_id = AKIDOFTHEPROFILE\naws_secret_access_key = {key}\n");
    let of_config = keys(OVERRIDDEN_KEY);
    std::fs::write(&config, format!("[profile management]\n{of_config}")).unwrap();
    let of_credentials = keys(FILED_KEY) + &session;
    std::fs::write(&credentials, format!("[management]\n{of_credentials}")).unwrap();
    command
        .env("AWS_CONFIG_FILE", config)
        .env("AWS_SHARED_CREDENTIALS_FILE", credentials)
        .env("AWS_PROFILE", "management");
}

/// The first operator: may not do everything in the cluster at first, and is not let in by the registry.
async fn all_goes_well_in_the_end(world: &mut World, stage: &Stage) {
    let mut command = stage.command(world, "human");
    command
        .env("AWS_ACCESS_KEY_ID", "AKIDOFTHEENVIRON")
        .env("AWS_SECRET_ACCESS_KEY", KEY)
        .env("AWS_SESSION_TOKEN", SESSION);
    world.operator = Some(Operator::spawn(command, &world.log()));
    world.apply(DECLARED).await;
    world
        .until("team", "payments", REASON, "ClusterAccessDenied")
        .await;
    world.apply(ALL_RIGHTS).await;
    let again = [
        "annotate",
        "team",
        "payments",
        "bailiwick.dev/reconcile-requested-at=now",
    ];
    world.kubectl(&again).await.unwrap();
    world.until("team", "payments", READY, "True").await;
    world.apply(&account("test", "")).await;
    world.until("teamaccount", "test", READY, "True").await;
    world
        .apply(&account("lost", ", accountId: '999999999999'"))
        .await;
    world
        .until("teamaccount", "lost", REASON, "NotAMember")
        .await;
    let release = format!(
        "{{apiVersion: bailiwick.dev/v1alpha1, kind: Application, metadata: {{name: ledger, namespace: team-payments}}, \
         spec: {{}}}}\n---\n{{apiVersion: bailiwick.dev/v1alpha1, kind: Release, metadata: {{name: ledger-1, namespace: \
         team-payments}}, spec: {{application: ledger, version: '1', image: '{}/ledger:1'}}}}",
        stage.registry.host
    );
    world.apply(&release).await;
    world
        .until("release", "ledger-1", REASON, "RegistryAccessDenied")
        .await;
}

/// The second operator: its keys are in files, it makes applications' credentials, and AWS goes away.
async fn aws_goes_away(world: &mut World, stage: &Stage) -> BTreeMap<String, String> {
    let mut command = stage.command(world, "json");
    profiles(world.plane.folder(), &mut command);
    world.operator = Some(Operator::spawn(command, &world.log()));
    world.apply(&account("live", "")).await;
    world.until("teamaccount", "live", READY, "True").await;
    credentials::live(world).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_logged_served_or_written() {
    let mut world = World::start().await;
    let token = token(&world).await;
    let stage = Stage {
        config: kubeconfig(&world, &token),
        registry: Registry::start(),
        port: free_port().unwrap(),
    };
    let mut texts = BTreeMap::new();
    let log = |world: &World| std::fs::read_to_string(world.log()).unwrap();

    all_goes_well_in_the_end(&mut world, &stage).await;
    texts.insert("the first one's metrics", stage.metrics());
    world.operator = None;
    texts.insert("the log for people", log(&world));
    let applications = aws_goes_away(&mut world, &stage).await;
    let sessions = world.moto.headers("x-amz-security-token").unwrap();
    for pid in world.moto.pids() {
        let killed = Command::new("kill")
            .args(["-KILL", &pid.to_string()])
            .status();
        assert!(killed.unwrap().success());
    }
    world.apply(&account("live", ", purpose: live")).await;
    // A settled account is left alone: somebody asks to look at it.
    let look = ["annotate", "-n", "team-payments", "teamaccount", "live"];
    let look = [&look[..], &["bailiwick.dev/reconcile-requested-at=now"]].concat();
    world.kubectl(&look).await.unwrap();
    world
        .until("teamaccount", "live", REASON, "AwsUnavailable")
        .await;
    texts.insert("the second one's metrics", stage.metrics());
    world.operator = None;
    texts.insert("the log for machines", log(&world));
    let kinds = "bailiwick,events,events.events.k8s.io,configmaps,namespaces,leases,rolebindings";
    let all = ["get", kinds, "-A", "-o", "yaml", "--show-managed-fields"];
    let objects = world.kubectl(&all).await.unwrap();
    for word in [
        "NotAMember",
        "RegistryAccessDenied",
        "AwsUnavailable",
        "ClusterAccessDenied",
    ] {
        assert!(objects.contains(word), "nothing of {word} was written");
    }
    texts.insert("an object", objects);
    let (secret, open): (BTreeMap<_, _>, BTreeMap<_, _>) = etcd::dump(world.plane.folder())
        .into_iter()
        .partition(|(key, _)| key.starts_with("/registry/secrets/"));
    let text = |dump: BTreeMap<String, Vec<String>>| {
        let entries = dump.into_iter();
        let lines = entries.map(|(key, values)| format!("{key}\n{}\n", values.join("\n")));
        lines.collect::<String>()
    };
    let (secret, open) = (text(secret), text(open));
    for key in [
        "/bailiwick.dev/oauthclients/team-payments/secret",
        "/events/team-payments/",
        "Revoked",
    ] {
        assert!(open.contains(key), "nothing of {key} is in etcd");
    }
    texts.insert("etcd", open);

    // The keys were really used, and the log is really all that there is to be said.
    for used in [SESSION, FILED_SESSION] {
        assert!(sessions.contains(used), "{used} was not sent: {sessions:?}");
    }
    assert!(
        sessions.len() >= 4,
        "and sessions in two accounts: {sessions:?}"
    );
    let login = BASE64_STANDARD.encode(format!("robot:{PASSWORD}"));
    assert!(stage.registry.heard(&login), "no login at the registry");
    for (place, level) in [
        ("the log for people", "TRACE "),
        ("the log for machines", "\"TRACE\""),
    ] {
        let lines = texts[place]
            .lines()
            .filter(|line| line.contains(level))
            .count();
        assert!(lines > 1000, "{place}: {lines} lines of {level}");
    }

    let signature = token.rsplit('.').next().unwrap().to_owned();
    let mut secrets: BTreeMap<String, String> = [
        ("the secret access key of the environment", KEY),
        ("the session token of the environment", SESSION),
        ("the secret access key of the profile", FILED_KEY),
        ("the overridden secret access key", OVERRIDDEN_KEY),
        ("the session token of the profile", FILED_SESSION),
        ("the registry's password", PASSWORD),
        ("the registry's login", &login),
        ("the service account's token", &token),
        ("the signature of the service account's token", &signature),
    ]
    .map(|(what, secret)| (what.to_owned(), secret.to_owned()))
    .into();
    // The dump shows what is in etcd: where they may be, they are.
    for (what, canary) in &applications {
        let is_kept = ["chosen", "secret", "keyPem"]
            .iter()
            .any(|it| what.starts_with(it));
        let found = secret.contains(&**canary) || secret.contains(&BASE64_STANDARD.encode(canary));
        assert!(found || !is_kept, "{what} is in no Secret of the dump");
    }
    println!("{} secrets of applications", applications.len());
    secrets.extend(applications);
    for (number, session) in sessions.into_iter().enumerate() {
        secrets.insert(format!("session {number}"), session);
    }
    for (place, text) in &texts {
        clean(place, text, &secrets);
    }
}

#[test]
fn a_secret_is_found_in_whatever_form_it_is_written() {
    let secrets = BTreeMap::from([("it".to_owned(), KEY.to_owned())]);
    clean("a text", "nothing of it", &secrets);
    for form in forms(KEY) {
        let text = format!("line\nbefore {form} after\nline");
        let found = std::panic::catch_unwind(|| clean("a text", &text, &secrets));
        assert!(found.is_err(), "{form} is not found");
    }
}
