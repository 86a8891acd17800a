//! A server that says what it is told to say; and one plain request to another.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One request, as it came.
#[derive(Debug, Clone)]
pub struct Request {
    pub head: String,
    pub body: String,
}

impl Request {
    /// Method and path.
    pub fn line(&self) -> String {
        self.head.split(' ').take(2).collect::<Vec<_>>().join(" ")
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

/// What is said.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Status, headers (each with its line end), body.
    Says(u16, String, String),
    /// The head, so many bytes of a body without an announced length, and no end.
    Endless,
    /// Nothing, for ever.
    Silent,
    /// A byte now and then, and no end.
    Trickles,
    /// The connection ends without a word.
    HangsUp,
}

impl Reply {
    pub fn json(status: u16, body: impl ToString) -> Self {
        let kind = "Content-Type: application/json\r\n".to_owned();
        Self::Says(status, kind, body.to_string())
    }
}

/// Answers every request as the function says.
pub struct Server {
    pub endpoint: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// The function gets the server's own address, too.
    pub async fn start(answer: impl Fn(&Request, &str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (requests, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(answer));
        let (seen, own) = (Arc::clone(&requests), endpoint.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, answer, own) = (Arc::clone(&seen), Arc::clone(&answer), own.clone());
                tokio::spawn(async move { serve(stream, &seen, &*answer, &own).await });
            }
        });
        Self { endpoint, requests }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Method and path of all requests.
    pub fn lines(&self) -> Vec<String> {
        self.requests().iter().map(Request::line).collect()
    }
}

async fn serve(
    mut stream: TcpStream,
    seen: &Mutex<Vec<Request>>,
    answer: &(impl Fn(&Request, &str) -> Reply + Sync),
    own: &str,
) {
    let Some(request) = read(&mut stream).await else {
        return;
    };
    seen.lock().unwrap().push(request.clone());
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n";
    match answer(&request, own) {
        Reply::HangsUp => {}
        Reply::Silent => std::future::pending().await,
        Reply::Says(status, headers, body) => {
            let length = body.len();
            let text = format!(
                "HTTP/1.1 {status} Said\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
            );
            let _ = stream.write_all(text.as_bytes()).await;
        }
        Reply::Endless => {
            let _ = stream.write_all(head.as_bytes()).await;
            while stream.write_all(&[b' '; 4096]).await.is_ok() {}
        }
        Reply::Trickles => {
            let _ = stream.write_all(head.as_bytes()).await;
            while stream.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let request = Request {
                head: head.to_owned(),
                body: body.to_owned(),
            };
            let length = request.header("content-length");
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(request);
            }
        }
        match stream.read(&mut chunk).await {
            Ok(count) if count > 0 => bytes.extend_from_slice(&chunk[..count]),
            _ => return None,
        }
    }
}

/// One request to a server on this machine: status and body of the answer. `headers` have their line ends.
pub async fn ask(
    endpoint: &str,
    method: &str,
    path: &str,
    kind: &str,
    headers: &str,
    body: &str,
) -> (u16, String) {
    let (status, _, body) = exchange(endpoint, method, path, kind, headers, body).await;
    (status, body)
}

/// The same, with the answer's headers.
pub async fn exchange(
    endpoint: &str,
    method: &str,
    path: &str,
    kind: &str,
    headers: &str,
    body: &str,
) -> (u16, String, String) {
    let address = endpoint.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    // HTTP/1.0, so that the answer comes in one piece and ends with the connection.
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_owned(), body.to_owned())
}
