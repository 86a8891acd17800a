//! The host side, as a process of its own against moto's S3.

#![cfg(feature = "dev")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "agent/away.rs"]
mod away;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use bailiwick::dev::{Assets, Moto};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const BUCKET: &str = "acme-mint";

struct World {
    moto: Moto,
    s3: Client,
    home: TempDir,
}

impl World {
    async fn new() -> Self {
        let assets = Assets::find(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        let moto = Moto::start(&assets).await.unwrap();
        let base = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .endpoint_url(moto.endpoint())
            .credentials_provider(Credentials::new("AKIA", "secret", None, None, "test"))
            .load()
            .await;
        let s3 = Client::new(&base);
        s3.create_bucket().bucket(BUCKET).send().await.unwrap();
        let home = TempDir::new().unwrap();
        Self { moto, s3, home }
    }

    async fn put(&self, key: &str, text: &str) {
        let body = ByteStream::from(text.as_bytes().to_vec());
        let call = self.s3.put_object().bucket(BUCKET).key(key).body(body);
        call.send().await.unwrap();
    }

    async fn deliver(&self, version: u32) {
        self.put("api/user.json", &user(version)).await;
        self.put("api/client.json", &client(version)).await;
    }

    fn directory(&self) -> PathBuf {
        self.home.path().join("credentials")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        agent(self.moto.endpoint(), &self.directory(), arguments)
    }

    fn once(&self, arguments: &[&str]) -> Output {
        self.command(&["-a", "api", "-m", BUCKET, "--once"])
            .args(arguments)
            .output()
            .unwrap()
    }
}

fn agent(endpoint: &str, directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bailiwick"));
    command
        .args(["agent", "credentials"])
        .arg(directory)
        .args(arguments)
        .env_clear()
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_ACCESS_KEY_ID", "AKIA")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn client(version: u32) -> String {
    format!("{{\"client_id\":\"c{version}\",\"client_secret\":\"canary-{version}\"}}")
}

fn user(version: u32) -> String {
    format!(
        "{{\"application_username\":\"u{version}\",\"application_password\":\"canary-{version}\"}}"
    )
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Both files of one version: `..data` resolved once.
fn pair(directory: &Path) -> Option<(String, Option<String>)> {
    let data = directory.join(fs::read_link(directory.join("..data")).ok()?);
    let client = fs::read_to_string(data.join("client.json")).ok()?;
    Some((client, fs::read_to_string(data.join("user.json")).ok()))
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_fetched_and_nothing_is_written_or_said_when_nothing_changed() {
    let world = World::new().await;
    let directory = world.directory();
    world.put("api/client.json", &client(1)).await;
    let metrics = world.home.path().join("api.prom");
    let metrics_file = metrics.to_str().unwrap();
    let first = world.once(&["--metrics-file", metrics_file]);
    assert!(first.status.success(), "{}", said(&first));
    assert!(said(&first).contains("in place"), "{}", said(&first));
    assert!(!said(&first).contains("canary"));
    assert_eq!(
        fs::read_to_string(directory.join("client.json")).unwrap(),
        client(1)
    );
    assert!(!directory.join("user.json").exists());
    let mode = fs::metadata(directory.join("client.json"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o440);
    let text = fs::read_to_string(&metrics).unwrap();
    assert!(
        text.contains("bailiwick_agent_last_success_timestamp_seconds{application=\"api\"} "),
        "{text}"
    );
    assert!(
        text.contains("bailiwick_agent_failures{application=\"api\"} 0"),
        "{text}"
    );

    let listing = |directory: &Path| {
        let entries = fs::read_dir(directory).unwrap();
        let mut all: Vec<_> = entries
            .map(|entry| {
                let path = entry.unwrap().path();
                let modified = fs::symlink_metadata(&path).unwrap().modified().unwrap();
                (path, modified)
            })
            .collect();
        all.sort();
        all
    };
    let before = listing(&directory);
    let second = world.once(&[]);
    assert!(second.status.success());
    assert_eq!((said(&second).as_str(), listing(&directory)), ("", before));

    // A pair, then a client alone again; silent when told to be.
    world.deliver(2).await;
    let third = world.once(&["--silent"]);
    assert_eq!((third.status.code(), said(&third).as_str()), (Some(0), ""));
    assert_eq!(pair(&directory), Some((client(2), Some(user(2)))));
    assert_eq!(
        fs::read_to_string(directory.join("user.json")).unwrap(),
        user(2)
    );
    let call = world.s3.delete_object().bucket(BUCKET).key("api/user.json");
    call.send().await.unwrap();
    assert!(world.once(&[]).status.success());
    assert_eq!(pair(&directory), Some((client(2), None)));
    assert!(!directory.join("user.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_trouble_has_its_exit_code_and_leaves_what_was_there() {
    let world = World::new().await;
    let directory = world.directory();
    let missing = world.once(&[]);
    assert_eq!(missing.status.code(), Some(5), "{}", said(&missing));
    world.deliver(1).await;
    assert!(world.once(&[]).status.success());
    let kept = pair(&directory);

    for rubbish in [
        "[]",
        "{}",
        "null",
        "{\"client_id\":",
        "{\"client_id\":\"a\",\"client_secret\":[]}",
    ] {
        world.put("api/client.json", rubbish).await;
        let refused = world.once(&[]);
        assert_eq!(
            refused.status.code(),
            Some(6),
            "{rubbish}: {}",
            said(&refused)
        );
        assert_eq!(pair(&directory), kept, "{rubbish}");
    }
    world.put("api/client.json", &client(2)).await;
    world.put("api/user.json", "[]").await;
    assert_eq!(world.once(&[]).status.code(), Some(6));
    assert_eq!(pair(&directory), kept, "neither file is taken over");

    let nowhere = world
        .command(&["-a", "api", "-m", "no-such-bucket", "--once"])
        .output()
        .unwrap();
    assert_eq!(nowhere.status.code(), Some(4), "{}", said(&nowhere));
    let usage = world.command(&["--once", "-a", "api"]).output().unwrap();
    assert_eq!(usage.status.code(), Some(2), "{}", said(&usage));
    assert!(said(&usage).contains("--mint-bucket"), "{}", said(&usage));
    let arguments = ["-a", "api", "-m", BUCKET, "--once", "--region", "us-east-1"];
    let silent = agent("http://127.0.0.1:9", &directory, &arguments)
        .output()
        .unwrap();
    assert_eq!(silent.status.code(), Some(7), "{}", said(&silent));
    let denied = says("HTTP/1.1 403 No\r\ncontent-length: 60\r\nconnection: close\r\n\r\n<Error><Code>AccessDenied</Code><Message>no</Message></Error>").await;
    let denied = agent(&denied, &directory, &arguments).output().unwrap();
    assert_eq!(denied.status.code(), Some(3), "{}", said(&denied));
    assert_eq!(pair(&directory), kept);
}

/// A server that says one thing to everybody.
async fn says(answer: &'static str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    endpoint
}

/// A bucket that may be read and not listed: of a file that is not there it says what it says of one that nobody may read.
async fn unlisted(client: String) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let length = stream.read(&mut head).await.unwrap_or_default();
            let (status, body) = match head[..length].windows(9).any(|it| it == b"user.json") {
                true => ("403 No", "<Error><Code>AccessDenied</Code></Error>"),
                false => ("200 OK", client.as_str()),
            };
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    endpoint
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_may_not_list_learns_from_the_client_that_its_user_is_gone() {
    let world = World::new().await;
    let directory = world.directory();
    world.deliver(1).await;
    assert!(world.once(&[]).status.success());
    let kept = pair(&directory);
    let arguments = ["-a", "api", "-m", BUCKET, "--once", "--region", "us-east-1"];
    let run = |endpoint: String| agent(&endpoint, &directory, &arguments).output().unwrap();
    // One that says nothing of users may have one still.
    let denied = run(unlisted(client(2)).await);
    assert_eq!(denied.status.code(), Some(3), "{}", said(&denied));
    assert_eq!(pair(&directory), kept);
    let with = |user: bool| client(2).replace('}', &format!(",\"user_json\":{user}}}"));
    let denied = run(unlisted(with(true)).await);
    assert_eq!(denied.status.code(), Some(3), "{}", said(&denied));
    assert_eq!(pair(&directory), kept);
    let without = run(unlisted(with(false)).await);
    assert!(without.status.success(), "{}", said(&without));
    assert_eq!(pair(&directory), Some((with(false), None)));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_takes_berrys_place() {
    let world = World::new().await;
    world.deliver(1).await;
    let (taupage, keys) = (
        world.home.path().join("taupage.yaml"),
        world.home.path().join("keys"),
    );
    fs::write(
        &taupage,
        format!("application_id: api\nmint_bucket: {BUCKET}\nruntime: Docker\n"),
    )
    .unwrap();
    fs::write(&keys, "# comment\nother:AKIAX:y\napi:AKIA:secret\n").unwrap();
    // What berry has left: plain files.
    let directory = world.directory();
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("client.json"), client(0)).unwrap();
    fs::write(directory.join("user.json"), user(0)).unwrap();
    let (taupage, keys) = (taupage.to_str().unwrap(), keys.to_str().unwrap());
    let run = |arguments: &[&str]| {
        let mut command = world.command(&["--once", "--config-file", taupage]);
        // The keys of the file do, without any of the environment.
        command
            .env_remove("AWS_ACCESS_KEY_ID")
            .env_remove("AWS_SECRET_ACCESS_KEY");
        command.args(arguments).output().unwrap()
    };
    let first = run(&["--aws-credentials-file", keys]);
    assert!(first.status.success(), "{}", said(&first));
    assert_eq!(
        fs::read_to_string(directory.join("client.json")).unwrap(),
        client(1)
    );
    assert_eq!(
        fs::read_to_string(directory.join("user.json")).unwrap(),
        user(1)
    );
    // The command line wins; and an application without a key is a mistake in the configuration.
    let other = run(&["--aws-credentials-file", keys, "--application-id", "nobody"]);
    assert_eq!(other.status.code(), Some(2), "{}", said(&other));
    let none = run(&[]);
    assert_eq!(none.status.code(), Some(3), "{}", said(&none));
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A reader in a loop, versions that change, and an agent that is killed again and again, in the middle of whatever it is at.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reader_sees_a_mixed_pair_or_half_a_file_whenever_the_agent_is_killed() {
    let world = World::new().await;
    world.deliver(1).await;
    assert!(world.once(&[]).status.success());
    let (directory, over) = (world.directory(), Arc::new(AtomicBool::new(false)));
    let (watched, told) = (directory.clone(), Arc::clone(&over));
    let reader = std::thread::spawn(move || {
        let (mut reads, mut seen) = (0_u64, std::collections::BTreeSet::new());
        while !told.load(Ordering::SeqCst) {
            let number = |text: &str, field: &str| -> u32 {
                let value: serde_json::Value = serde_json::from_str(text).expect(text);
                value[field].as_str().expect(text)[1..].parse().unwrap()
            };
            // What stands at the paths is always whole.
            for (name, field) in [
                ("client.json", "client_id"),
                ("user.json", "application_username"),
            ] {
                let text = fs::read_to_string(watched.join(name)).expect(name);
                number(&text, field);
            }
            let (client, user) = pair(&watched).expect("a pair");
            let pair = (
                number(&client, "client_id"),
                number(&user.expect("both"), "application_username"),
            );
            assert_eq!(pair.0, pair.1, "a mixed pair");
            reads += 1;
            seen.insert(pair.0);
        }
        (reads, seen)
    });
    let start = Instant::now();
    for version in 2..14_u32 {
        world.deliver(version).await;
        let mut command = world.command(&[
            "-a",
            "api",
            "-m",
            BUCKET,
            "-i",
            "1",
            "--region",
            "us-east-1",
        ]);
        let child = Running(command.spawn().unwrap());
        // From before the first request to after the switch.
        tokio::time::sleep(Duration::from_millis(u64::from(version) * 25)).await;
        drop(child);
    }
    let last = world.once(&[]);
    assert!(last.status.success(), "{}", said(&last));
    assert_eq!(pair(&directory), Some((client(13), Some(user(13)))));
    over.store(true, Ordering::SeqCst);
    let (reads, seen) = reader.join().unwrap();
    println!("{reads} reads in {:?}, versions {seen:?}", start.elapsed());
    assert!(reads > 100 && seen.len() >= 2, "{reads} {seen:?}");
    let left = fs::read_dir(&directory).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with("..v")
    });
    assert!(left.count() <= 2, "the present version and the one before");
}

/// Without `--once` it goes on, through a bucket that is away, and ends in order when it is told to.
#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_fresh_and_ends_when_told_to() {
    let world = World::new().await;
    world.deliver(1).await;
    let mut command = world.command(&[
        "-a",
        "api",
        "-m",
        BUCKET,
        "-i",
        "1",
        "--region",
        "us-east-1",
    ]);
    let mut child = Running(command.spawn().unwrap());
    let directory = world.directory();
    for version in 1..4 {
        world.deliver(version).await;
        let wanted = Some((client(version), Some(user(version))));
        let start = Instant::now();
        while pair(&directory) != wanted {
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "version {version} never came"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let id = child.0.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.0.wait().unwrap().code(), Some(0));
}
