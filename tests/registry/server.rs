//! A registry that says what it is told to say.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bailiwick::model::ImageRef;
use bailiwick::registry::sha256;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One request, as it came.
#[derive(Debug, Clone)]
pub struct Request {
    head: String,
    /// Its body, if it said how long that is.
    pub body: Vec<u8>,
}

impl Request {
    pub fn method(&self) -> &str {
        self.head.split(' ').next().unwrap()
    }

    pub fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self
            .head
            .split("\r\n")
            .filter_map(|line| line.split_once(": "));
        lines
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

/// What is said to it.
#[derive(Debug, Clone)]
pub struct Reply {
    head: String,
    body: Body,
}

#[derive(Debug, Clone)]
enum Body {
    /// These bytes, and the connection ends.
    Bytes(Vec<u8>),
    /// These bytes, then so many times others, and the connection ends.
    Repeated(Vec<u8>, Vec<u8>, u64, Vec<u8>),
    /// These bytes, and then nothing, for ever.
    Stalls(Vec<u8>),
    /// One zero after the other, with this pause between them.
    Trickles(Duration),
}

impl Reply {
    /// A status, headers (each with its line end), and a body with its true length.
    pub fn new(status: &str, headers: &str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let length = format!("{headers}Content-Length: {}\r\n", body.len());
        Self::of_length(status, &length, body)
    }

    /// The same, with whatever length the headers state.
    pub fn of_length(status: &str, headers: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            head: format!("HTTP/1.1 {status}\r\n{headers}Connection: close\r\n\r\n"),
            body: Body::Bytes(body.into()),
        }
    }

    pub fn ok(kind: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new("200 OK", &format!("Content-Type: {kind}\r\n"), body)
    }

    /// `start`, then `count` times `piece`, then `end`.
    pub fn repeated(start: Vec<u8>, piece: Vec<u8>, count: u64, end: Vec<u8>) -> Self {
        let length = start.len() as u64 + piece.len() as u64 * count + end.len() as u64;
        let mut reply = Self::of_length("200 OK", &format!("Content-Length: {length}\r\n"), "");
        reply.body = Body::Repeated(start, piece, count, end);
        reply
    }

    /// Its body is so long, and only this much of it ever comes.
    pub fn stalls(length: usize, body: impl Into<Vec<u8>>) -> Self {
        let mut reply = Self::of_length("200 OK", &format!("Content-Length: {length}\r\n"), "");
        reply.body = Body::Stalls(body.into());
        reply
    }

    /// Its body is so long, and comes byte by byte.
    pub fn trickles(length: usize, pause: Duration) -> Self {
        let mut reply = Self::stalls(length, "");
        reply.body = Body::Trickles(pause);
        reply
    }

    /// Nothing, not even a head.
    pub fn silence() -> Self {
        Self {
            head: String::new(),
            body: Body::Stalls(Vec::new()),
        }
    }
}

/// Answers every request as the function says.
pub struct Server {
    pub host: String,
    requests: Arc<Mutex<Vec<Request>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    pub async fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (requests.clone(), Arc::new(answer));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, answer) = (seen.clone(), answer.clone());
                connections.spawn(async move {
                    if let Some(head) = head(stream).await {
                        let (mut stream, request) = head;
                        seen.lock().unwrap().push(request.clone());
                        let reply = answer(&request);
                        // The client may have had enough.
                        let _ = say(&mut stream, &request, reply).await;
                    }
                });
            }
        });
        Self {
            host,
            requests,
            task,
        }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub fn image(&self, path_and_tag: &str) -> ImageRef {
        format!("{}/{path_and_tag}", self.host).parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn head(mut stream: TcpStream) -> Option<(TcpStream, Request)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut request = Request {
        head,
        body: Vec::new(),
    };
    if let Some(length) = request.header("content-length") {
        request.body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut request.body).await.ok()?;
    }
    Some((stream, request))
}

async fn say(stream: &mut TcpStream, request: &Request, reply: Reply) -> std::io::Result<()> {
    stream.write_all(reply.head.as_bytes()).await?;
    if request.method() == "HEAD" {
        return Ok(());
    }
    match reply.body {
        Body::Bytes(bytes) => stream.write_all(&bytes).await,
        Body::Repeated(start, piece, count, end) => {
            stream.write_all(&start).await?;
            for _ in 0..count {
                stream.write_all(&piece).await?;
            }
            stream.write_all(&end).await
        }
        Body::Trickles(pause) => loop {
            stream.write_all(&[0]).await?;
            tokio::time::sleep(pause).await;
        },
        Body::Stalls(bytes) => {
            stream.write_all(&bytes).await?;
            std::future::pending().await
        }
    }
}

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A descriptor of these bytes.
pub fn descriptor(kind: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": kind, "digest": sha256(bytes).unwrap().as_str(), "size": bytes.len()})
}

/// A manifest with these layers.
pub fn manifest(layers: &[Value]) -> Value {
    json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "layers": layers,
        "config": descriptor("application/vnd.oci.image.config.v1+json", b"{}"),
    })
}
