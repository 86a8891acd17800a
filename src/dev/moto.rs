//! The AWS emulator: moto's server, whose accounts live in its memory and end with it.
//!
//! It answers at once and never throttles, so a test that is green against it proves the shape of requests and the
//! reading of answers; for the rest there is `cloud::simulated`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use k8s_openapi::ByteString;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::plane::{free_port, place};
use super::process::{Detached, Servers};
use super::{Assets, Error, http};

/// Importing it takes seconds, more on a busy machine.
const DEADLINE: Duration = Duration::from_secs(90);
const TRIES: usize = 5;
const CALLS: &str = "calls.jsonl";
/// It reads the service and the region out of the signature, and does not check it.
const CREDENTIALS: &str = "AWS4-HMAC-SHA256 \
    Credential=dev/20260101/us-east-1/organizations/aws4_request, SignedHeaders=host, Signature=0";

/// An AWS of our own, empty at first: not even an organization. It ends when this value is dropped.
pub struct Moto {
    // Dropped in this order: first the server, then the folder it uses.
    servers: Servers,
    endpoint: String,
    folder: PathBuf,
    _temporary: Option<TempDir>,
}

impl Moto {
    /// Starts one and waits until it serves. Every request is recorded, see [`Self::calls`].
    pub async fn start(assets: &Assets) -> Result<Self, Error> {
        Self::start_at(assets, None).await
    }

    /// Starts one whose log is kept in this folder, and which records nothing: for long runs.
    pub async fn start_in(assets: &Assets, folder: PathBuf) -> Result<Self, Error> {
        Self::start_at(assets, Some(folder)).await
    }

    async fn start_at(assets: &Assets, folder: Option<PathBuf>) -> Result<Self, Error> {
        let record = folder.is_none();
        let (folder, temporary) = place(folder)?;
        let mut servers = Servers::new(temporary.as_ref().map(TempDir::path))?;
        let endpoint = start(assets, &folder, record, &mut servers).await?;
        Ok(Self {
            servers,
            endpoint,
            folder,
            _temporary: temporary,
        })
    }

    /// Leaves it running after us and says which process it is. Its folder must have been given.
    pub fn detach(self) -> Vec<Detached> {
        self.servers.detach()
    }

    /// What `AWS_ENDPOINT_URL` is set to: `http://127.0.0.1:<port>`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The ids of its processes.
    pub fn pids(&self) -> Vec<u32> {
        self.servers.pids()
    }

    /// Makes the management account that of an organization, as its owner would have done long ago.
    pub fn create_organization(&self) -> Result<(), Error> {
        create_organization(&self.endpoint)
    }

    /// How often each operation was called since the start, by `<service>:<operation>` as IAM writes them
    /// (`organizations:CreateAccount`, `sts:AssumeRole`).
    pub fn calls(&self) -> Result<BTreeMap<String, usize>, Error> {
        let mut calls = BTreeMap::new();
        for call in self.requests()?.into_iter().filter_map(operation) {
            *calls.entry(call).or_default() += 1;
        }
        Ok(calls)
    }

    /// The values that a header had in the requests since the start.
    pub fn headers(&self, name: &str) -> Result<BTreeSet<String>, Error> {
        let mut values = BTreeSet::new();
        for request in self.requests()? {
            let headers = request["headers"].as_object().into_iter().flatten();
            let these = headers.filter(|(key, _)| key.eq_ignore_ascii_case(name));
            values.extend(these.filter_map(|(_, value)| value.as_str().map(str::to_owned)));
        }
        Ok(values)
    }

    /// The requests since the start.
    fn requests(&self) -> Result<Vec<Value>, Error> {
        let path = self.folder.join(CALLS);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Error::io("read", &path, error)),
        };
        let lines = text.lines();
        Ok(lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect())
    }
}

async fn start(
    assets: &Assets,
    folder: &Path,
    record: bool,
    servers: &mut Servers,
) -> Result<String, Error> {
    let mut tries = 0;
    loop {
        tries += 1;
        let port = free_port()?;
        let endpoint = format!("http://127.0.0.1:{port}");
        let mut command = Command::new(assets.python());
        command
            .current_dir(folder)
            .arg(&assets.emulator_server)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            // Without it every account weighs twenty times as much, and we start no machine from an image.
            .env("MOTO_EC2_LOAD_DEFAULT_AMIS", "false");
        if record {
            command
                .env("MOTO_ENABLE_RECORDING", "true")
                .env("MOTO_RECORDER_FILEPATH", folder.join(CALLS));
        }
        let server = servers.start("moto", &mut command, &folder.join("logs"))?;
        let log = folder.join("logs/moto.log");
        // Its own word for it, and not an answer on the port, which might be somebody else's.
        let listens = async || match fs::read_to_string(&log) {
            Ok(text) if text.contains(&format!("Running on {endpoint}")) => Ok(()),
            _ => Err("it does not listen yet".to_owned()),
        };
        match server.ready(DEADLINE, listens).await {
            Ok(()) => return Ok(endpoint),
            Err(Error::Ended { .. }) if tries < TRIES && server.said().contains("in use") => {
                servers.end_last()
            }
            Err(error) => return Err(error),
        }
    }
}

/// Makes the management account that of an organization; nothing to do where it is one already.
pub fn create_organization(endpoint: &str) -> Result<(), Error> {
    match organizations(
        endpoint,
        "CreateOrganization",
        &json!({"FeatureSet": "ALL"}),
    ) {
        Err(Error::Emulator { answer, .. })
            if answer.contains("AlreadyInOrganizationException") =>
        {
            Ok(())
        }
        other => other.map(drop),
    }
}

/// The accounts of the organization, as the emulator's own API lists them.
pub fn accounts(endpoint: &str) -> Result<Vec<Value>, Error> {
    let answer = organizations(endpoint, "ListAccounts", &json!({}))?;
    Ok(answer["Accounts"].as_array().cloned().unwrap_or_default())
}

/// The keys in a bucket and when each was written, as the emulator's own API lists them.
pub fn files(endpoint: &str, bucket: &str) -> Result<Vec<(String, String)>, Error> {
    let failed = |answer: String| Error::Emulator {
        operation: format!("ListObjectsV2 of {bucket}"),
        answer,
    };
    let listed = match http::get(endpoint, &format!("/{bucket}?list-type=2")) {
        Ok((200, body)) => body,
        Ok((status, body)) => return Err(failed(format!("{status}: {body}"))),
        Err(error) => return Err(failed(error.to_string())),
    };
    let field = |object: &str, name: &str| {
        let (_, rest) = object.split_once(&format!("<{name}>"))?;
        Some(rest.split_once("</")?.0.to_owned())
    };
    let objects = listed.split("<Contents>").skip(1);
    Ok(objects
        .filter_map(|object| Some((field(object, "Key")?, field(object, "LastModified")?)))
        .collect())
}

/// Asks AWS Organizations, the plain way: for what a person would do with the AWS console, not for the operator.
pub fn organizations(endpoint: &str, operation: &str, input: &Value) -> Result<Value, Error> {
    let failed = |answer: String| Error::Emulator {
        operation: operation.to_owned(),
        answer,
    };
    let target = format!("AWSOrganizationsV20161128.{operation}");
    let headers = [
        ("Content-Type", "application/x-amz-json-1.1"),
        ("X-Amz-Target", &target),
        ("Authorization", CREDENTIALS),
    ];
    match http::post(endpoint, &headers, &input.to_string()) {
        Ok((200, body)) => serde_json::from_str(&body).map_err(|error| failed(error.to_string())),
        Ok((status, body)) => Err(failed(format!("{status}: {body}"))),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// `<service>:<operation>` of one recorded request: the service from what it was signed for, the operation from a
/// header (JSON protocols) or the form in its body (query protocols).
fn operation(request: Value) -> Option<String> {
    let headers = &request["headers"];
    let service = headers["Authorization"].as_str()?.split('/').nth(3)?;
    let name = match headers["X-Amz-Target"].as_str() {
        Some(target) => target.rsplit('.').next()?.to_owned(),
        None => {
            let ByteString(body) = serde_json::from_value(request["body"].clone()).ok()?;
            let form = String::from_utf8_lossy(&body).into_owned();
            let action = form
                .split('&')
                .find_map(|pair| pair.strip_prefix("Action="));
            // What is neither is told apart by method and path.
            action.map_or_else(|| method_and_path(&request), str::to_owned)
        }
    };
    Some(format!("{service}:{name}"))
}

fn method_and_path(request: &Value) -> String {
    let url = request["url"].as_str().unwrap_or_default();
    let path = url.splitn(4, '/').nth(3).unwrap_or_default();
    format!("{} /{path}", request["method"].as_str().unwrap_or_default())
}
