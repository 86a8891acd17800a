//! A bucket that is away, and a host that has no keys but its instance's role.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{BUCKET, Running, World, agent, client, pair, said, user};

/// What stands before the bucket: it can be shut, so that nobody listens there, and opened again at the same port.
struct Gate {
    port: u16,
    bucket: String,
    open: Option<tokio::task::JoinHandle<()>>,
}

impl Gate {
    async fn shut(world: &World) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let bucket = world.moto.endpoint().trim_start_matches("http://");
        Self {
            port: listener.local_addr().unwrap().port(),
            bucket: bucket.to_owned(),
            open: None,
        }
    }

    fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    async fn open(&mut self) {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", self.port));
        let (listener, bucket) = (listener.await.unwrap(), self.bucket.clone());
        self.open = Some(tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut far = tokio::net::TcpStream::connect(&bucket).await.unwrap();
                tokio::spawn(async move {
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        }));
    }
}

/// The value of a metric in the file, if it has one.
fn metric(path: &Path, name: &str) -> Option<i64> {
    let text = fs::read_to_string(path).ok()?;
    let line = format!("bailiwick_agent_{name}{{application=\"api\"}} ");
    let mut values = text.lines().filter_map(|it| it.strip_prefix(&line));
    values.next()?.parse().ok()
}

async fn until(what: &str, holds: impl Fn() -> bool) -> Duration {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    start.elapsed()
}

/// Nobody listens where the bucket was, and then somebody does again: what is here stays, what is known of the last success
/// too, and it is back long before the next round would have been.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_away_is_found_again_soon_and_nothing_is_lost_meanwhile() {
    let world = World::new().await;
    let directory = world.directory();
    world.deliver(1).await;
    let metrics = world.home.path().join("api.prom");
    let metrics_file = metrics.to_str().unwrap();
    assert!(
        world
            .once(&["--metrics-file", metrics_file])
            .status
            .success()
    );
    let success = metric(&metrics, "last_success_timestamp_seconds");
    assert!(success.is_some());
    // So that a success of now would be seen.
    let text = fs::read_to_string(&metrics).unwrap();
    let earlier = success.map(|at| at - 1000);
    let text = text.replace(&success.unwrap().to_string(), &earlier.unwrap().to_string());
    fs::write(&metrics, text).unwrap();

    let mut gate = Gate::shut(&world).await;
    let common = ["-a", "api", "-m", BUCKET, "--region", "us-east-1"];
    let common = [&common[..], &["--metrics-file", metrics_file]].concat();
    let once = agent(&gate.endpoint(), &directory, &common)
        .arg("--once")
        .output()
        .unwrap();
    assert_eq!(once.status.code(), Some(7), "{}", said(&once));
    let kept = pair(&directory);
    assert_eq!(kept, Some((client(1), Some(user(1)))));
    let unchanged = |failures: i64| {
        assert_eq!(metric(&metrics, "failures"), Some(failures));
        assert_eq!(metric(&metrics, "last_success_timestamp_seconds"), earlier);
        assert_eq!(pair(&directory), kept);
    };
    unchanged(1);
    fs::write(
        &metrics,
        fs::read_to_string(&metrics)
            .unwrap()
            .replace("} 1\n", "} 9\n"),
    )
    .unwrap();

    // Two minutes are between two rounds, unless something is wrong.
    let mut command = agent(&gate.endpoint(), &directory, &common);
    let running = Running(command.spawn().unwrap());
    until("a failure", || metric(&metrics, "failures") == Some(1)).await;
    unchanged(1);
    world.deliver(2).await;
    gate.open().await;
    let wanted = Some((client(2), Some(user(2))));
    let took = until("version 2", || pair(&directory) == wanted).await;
    assert!(
        (Duration::from_secs(3)..Duration::from_secs(30)).contains(&took),
        "after {took:?}: neither at once nor after the whole interval"
    );
    until("a success", || metric(&metrics, "failures") == Some(0)).await;
    assert!(metric(&metrics, "last_success_timestamp_seconds") >= success);
    drop(running);
    gate.open.unwrap().abort();
}

/// An instance's role, as the metadata service gives it: by a token that is asked for first (IMDSv2).
async fn metadata_service(asked: Arc<std::sync::Mutex<Vec<String>>>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let role = "{\"Code\":\"Success\",\"Type\":\"AWS-HMAC\",\"AccessKeyId\":\"ASIAOFTHEROLE\",\"SecretAccessKey\":\"secret\",\
        \"Token\":\"token-of-the-role\",\"LastUpdated\":\"2026-01-01T00:00:00Z\",\"Expiration\":\"2099-01-01T00:00:00Z\"}";
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = vec![0; 4096];
            let count = stream.read(&mut bytes).await.unwrap();
            let head = String::from_utf8_lossy(&bytes[..count]).to_lowercase();
            let line = head.lines().next().unwrap_or_default().to_owned();
            let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
            let is_known = head.contains("x-aws-ec2-metadata-token: a-session");
            let credentials = "/latest/meta-data/iam/security-credentials";
            let (status, body) = match path.strip_prefix(credentials) {
                _ if line.starts_with("put /latest/api/token") => (200, "a-session"),
                _ if !is_known => (401, ""),
                Some("" | "/") => (200, "host"),
                Some("/host") => (200, role),
                _ => (404, ""),
            };
            asked.lock().unwrap().push(format!("{status} {line}"));
            let answer = format!(
                "HTTP/1.1 {status} So\r\nx-aws-ec2-metadata-token-ttl-seconds: 21600\r\nconnection: close\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    endpoint
}

#[tokio::test(flavor = "multi_thread")]
async fn it_gets_in_by_the_role_of_its_instance() {
    let world = World::new().await;
    world.deliver(1).await;
    let asked = Arc::<std::sync::Mutex<Vec<String>>>::default();
    let metadata = metadata_service(asked.clone()).await;
    let arguments = ["-a", "api", "-m", BUCKET, "--once", "--region", "us-east-1"];
    let mut command = world.command(&arguments);
    for variable in [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_EC2_METADATA_DISABLED",
    ] {
        command.env_remove(variable);
    }
    command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata);
    let output = command.output().unwrap();
    let asked = asked.lock().unwrap();
    assert!(output.status.success(), "{}{asked:?}", said(&output));
    assert_eq!(pair(&world.directory()), Some((client(1), Some(user(1)))));
    let tokens = world.moto.headers("x-amz-security-token").unwrap();
    assert!(tokens.contains("token-of-the-role"), "{tokens:?} {asked:?}");
    assert!(
        !asked.iter().any(|line| line.starts_with("401")),
        "{asked:?}"
    );
}
