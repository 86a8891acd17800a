//! An AWS that says what it is told to say.

use std::sync::{Arc, Mutex};

use bailiwick::cloud::Cloud;
use bailiwick::cloud::aws::{AwsOptions, connect_with};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{base, credentials};

/// One request, as it came.
#[derive(Debug, Clone)]
pub struct Request {
    head: String,
    pub body: String,
}

impl Request {
    /// The operation: from a header (Organizations) or from the form in the body (IAM, STS).
    pub fn operation(&self) -> &str {
        let target = self.head.split("\r\n").find_map(|line| {
            line.strip_prefix("x-amz-target: ")
                .and_then(|target| target.split('.').nth(1))
        });
        let action = self
            .body
            .split('&')
            .find_map(|field| field.strip_prefix("Action="));
        target.or(action).unwrap_or("")
    }

    /// The first line: method and path.
    pub fn line(&self) -> &str {
        self.head.split("\r\n").next().unwrap_or_default()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let start = format!("{name}: ");
        self.head
            .split("\r\n")
            .find_map(|line| line.strip_prefix(start.as_str()))
    }

    /// Whether it was signed with this key.
    pub fn is_signed_with(&self, key: &str) -> bool {
        self.head.contains(&format!("Credential={key}/"))
    }

    /// Whether it was signed for this region.
    pub fn is_signed_for(&self, region: &str) -> bool {
        self.head.contains(&format!("/{region}/"))
    }
}

/// What is said to it.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A status and a body.
    Says(u16, String),
    /// The connection ends without a word.
    HangsUp,
    /// Nothing, for ever.
    IsSilent,
}

/// Answers every request as the function says, which sees the number of the request, too.
pub struct Canned {
    pub endpoint: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Canned {
    pub async fn start(answer: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (requests, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(answer));
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&seen), Arc::clone(&answer)));
            }
        });
        Self { endpoint, requests }
    }

    pub async fn cloud(&self, options: &AwsOptions) -> Cloud {
        let base = base(&self.endpoint, credentials()).await;
        connect_with(&base, options).await.unwrap()
    }

    /// All requests.
    pub fn all(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The requests for an operation.
    pub fn requests(&self, operation: &str) -> Vec<Request> {
        let requests = self.requests.lock().unwrap();
        requests
            .iter()
            .filter(|request| request.operation() == operation)
            .cloned()
            .collect()
    }
}

async fn serve(
    mut stream: TcpStream,
    seen: Arc<Mutex<Vec<Request>>>,
    answer: Arc<impl Fn(&Request, usize) -> Answer>,
) {
    let Some(request) = read(&mut stream).await else {
        return;
    };
    let number = {
        let mut seen = seen.lock().unwrap();
        seen.push(request.clone());
        seen.len()
    };
    match answer(&request, number) {
        Answer::HangsUp => {}
        Answer::IsSilent => std::future::pending().await,
        Answer::Says(status, body) => {
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status} Said\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .split("\r\n")
                .find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(Request {
                    head: head.to_owned(),
                    body: body.to_owned(),
                });
            }
        }
        match stream.read(&mut chunk).await {
            Ok(count) if count > 0 => bytes.extend_from_slice(&chunk[..count]),
            _ => return None,
        }
    }
}

/// An error in the way of the JSON services.
pub fn json_error(status: u16, code: &str, more: &str) -> Answer {
    Answer::Says(
        status,
        format!(r#"{{"__type":"{code}","Message":"said so"{more}}}"#),
    )
}

/// An error in the way of the XML services.
pub fn xml_error(status: u16, code: &str) -> Answer {
    Answer::Says(
        status,
        format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>said so</Message></Error>\
             <RequestId>1</RequestId></ErrorResponse>"
        ),
    )
}

/// STS as it should be: whoever has our key is in the management account, whoever has the session's in `member`.
pub fn sts(request: &Request, member: &str) -> Option<Answer> {
    let account = if request.is_signed_with("AKIAOURS") {
        "000000000001"
    } else {
        member
    };
    let body = match request.operation() {
        "GetCallerIdentity" => format!(
            "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws-cn:sts::{account}:user/x</Arn>\
             <UserId>X</UserId><Account>{account}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
        ),
        "AssumeRole" => "<AssumeRoleResponse><AssumeRoleResult><Credentials>\
             <AccessKeyId>ASIASESSION</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>\
             <SessionToken>token</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>\
             </Credentials></AssumeRoleResult></AssumeRoleResponse>"
            .to_owned(),
        _ => return None,
    };
    Some(Answer::Says(200, body))
}
