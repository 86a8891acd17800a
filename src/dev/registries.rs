//! Registries on this machine, and the tools with which people push images and sign them.
//!
//! Two that differ where it matters: [`Kind::Distribution`] is the one that most others descend from, and has no
//! referrers API; [`Kind::Referrers`] has it, and keeps everything in its memory.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::certificates::Authority;
use super::loopback::Loopback;
use super::plane::{free_port, place};
use super::process::{Detached, Servers};
use super::{Error, http};

const DEADLINE: Duration = Duration::from_secs(60);
const TRIES: usize = 5;

/// The folder with the registries, crane, cosign, oras and the timestamp authority.
#[derive(Clone, Debug)]
pub struct ImageTools(PathBuf);

impl ImageTools {
    /// Asks `tools/build` of the given checkout, which builds what is missing: about six minutes where nothing is there.
    pub fn find(repository: &Path) -> Result<Self, Error> {
        let tool = repository.join("tools/build");
        let output = Command::new(&tool)
            .arg("--print-registry")
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|source| Error::io("run", &tool, source))?;
        let text = String::from_utf8_lossy(&output.stdout);
        match (output.status.success(), text.lines().next()) {
            (true, Some(folder)) => Ok(Self(folder.into())),
            _ => Err(Error::Assets {
                tool,
                status: output.status.to_string(),
            }),
        }
    }

    /// Runs `crane` with these arguments, and gives back what it prints.
    pub fn crane<I, S>(&self, home: &Path, arguments: I) -> Result<String, Error>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.run("crane", home, arguments)
    }

    /// Pushes an image with one file in it, and these annotations. What it needs for that is left in `home`.
    pub fn push(
        &self,
        home: &Path,
        reference: &str,
        file: (&str, &str),
        annotations: &[(&str, &str)],
    ) -> Result<(), Error> {
        let layer = home.join("layer.tar");
        archive(&layer, file).map_err(|source| Error::io("write", &layer, source))?;
        let layer = layer.display().to_string();
        let append = ["append", "--insecure", "--oci-empty-base"];
        let what = ["--new_layer", &layer, "--new_tag", reference];
        self.crane(home, append.iter().chain(&what))?;
        if annotations.is_empty() {
            return Ok(());
        }
        let mut mutate = vec!["mutate".to_owned(), "--insecure".to_owned()];
        mutate.extend(
            annotations
                .iter()
                .map(|(key, value)| format!("--annotation={key}={value}")),
        );
        mutate.extend(["--tag", reference, reference].map(str::to_owned));
        self.crane(home, mutate).map(drop)
    }

    /// Runs `cosign` with these arguments in the folder `home`; keys that it makes have no password.
    pub fn cosign<I, S>(&self, home: &Path, arguments: I) -> Result<String, Error>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.run("cosign", home, arguments)
    }

    /// Runs `oras` with these arguments in the folder `home`.
    pub fn oras<I, S>(&self, home: &Path, arguments: I) -> Result<String, Error>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.run("oras", home, arguments)
    }

    /// Starts a timestamp authority (RFC 3161), with certificates of its own; they are at
    /// `/api/v1/timestamp/certchain`.
    pub async fn timestamp_authority(&self) -> Result<Loopback, Error> {
        let program = self.0.join("timestamp-server");
        let serve = |port: u16, _: &Path| {
            let mut command = Command::new(&program);
            command.args(["--port", &port.to_string()]);
            command
        };
        Loopback::start("timestamp-server", "/api/v1/timestamp/certchain", serve).await
    }

    /// Nothing of the user's own configuration counts: neither logins nor keys.
    fn run<I, S>(&self, program: &str, home: &Path, arguments: I) -> Result<String, Error>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let path = self.0.join(program);
        let output = Command::new(&path)
            .args(arguments)
            .current_dir(home)
            .env("HOME", home)
            .env("DOCKER_CONFIG", home)
            .env("COSIGN_PASSWORD", "")
            .stdin(Stdio::null())
            .output()
            .map_err(|source| Error::io("run", &path, source))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        Err(Error::Tool {
            tool: program.to_owned(),
            status: output.status.to_string(),
            said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }
}

/// Which registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The distribution project's: no referrers API.
    Distribution,
    /// The same, and it wants this user and password (`robot`, `secret`) for everything.
    DistributionWithLogin,
    /// The same over HTTPS, with the certificate of an authority of its own: [`Registry::authority`].
    DistributionWithTls,
    /// go-containerregistry's, with the referrers API.
    Referrers,
}

/// The service whose tokens a registry of ours takes, as the registry calls itself: the tokens' audience.
pub const SERVICE: &str = "registry.dev";

/// A service that gives out tokens.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// Where they are to be had.
    pub realm: String,
    /// Who they say issued them.
    pub issuer: String,
    /// The public keys that they are signed with, as a JSON Web Key Set.
    pub keys: String,
}

/// A registry of our own, empty at first. It ends, and what it keeps goes away, when this value is dropped.
pub struct Registry {
    // Dropped in this order: first the server, then the folder it uses.
    servers: Servers,
    host: String,
    authority: Option<String>,
    _temporary: Option<TempDir>,
}

impl Registry {
    /// Starts one and waits until it serves.
    pub async fn start(tools: &ImageTools, kind: Kind) -> Result<Self, Error> {
        Self::start_at(tools, kind, None, None).await
    }

    /// Starts one that keeps its images and its log in this folder, for long runs.
    pub async fn start_in(tools: &ImageTools, kind: Kind, folder: PathBuf) -> Result<Self, Error> {
        Self::start_at(tools, kind, None, Some(folder)).await
    }

    /// Starts the distribution project's, which lets in whoever brings a token of this service.
    pub async fn start_with_tokens(tools: &ImageTools, service: &Tokens) -> Result<Self, Error> {
        Self::start_at(tools, Kind::Distribution, Some(service), None).await
    }

    /// Leaves it running after us and says which process it is. Its folder must have been given.
    pub fn detach(self) -> Vec<Detached> {
        self.servers.detach()
    }

    async fn start_at(
        tools: &ImageTools,
        kind: Kind,
        service: Option<&Tokens>,
        folder: Option<PathBuf>,
    ) -> Result<Self, Error> {
        let (folder, temporary) = place(folder)?;
        let mut servers = Servers::new(temporary.as_ref().map(TempDir::path))?;
        let mut tries = 0;
        loop {
            tries += 1;
            let host = format!("127.0.0.1:{}", free_port()?);
            let (mut command, authority) = command(tools, kind, service, &folder, &host)?;
            let server = servers.start("registry", &mut command, &folder.join("logs"))?;
            let endpoint = format!("http://{host}");
            let serves = async || match http::get(&endpoint, "/v2/") {
                // To plain HTTP on a port for HTTPS, Go says what is wrong with a 400.
                Ok((200 | 400 | 401, _)) => Ok(()),
                Ok((status, _)) => Err(format!("it answers {status}")),
                Err(error) => Err(error.to_string()),
            };
            match server.ready(DEADLINE, serves).await {
                Ok(()) => {
                    return Ok(Self {
                        servers,
                        host,
                        authority,
                        _temporary: temporary,
                    });
                }
                Err(Error::Ended { .. }) if tries < TRIES && server.said().contains("in use") => {
                    servers.end_last()
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// `127.0.0.1:<port>`, as it stands in references.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The authority that signed its certificate (PEM), where it has one.
    pub fn authority(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    /// The ids of its processes.
    pub fn pids(&self) -> Vec<u32> {
        self.servers.pids()
    }
}

/// What starts it, and the authority of its certificate.
fn command(
    tools: &ImageTools,
    kind: Kind,
    service: Option<&Tokens>,
    folder: &Path,
    host: &str,
) -> Result<(Command, Option<String>), Error> {
    if kind == Kind::Referrers {
        let mut command = Command::new(tools.0.join("referrers-registry"));
        command.args(["-address", host]).current_dir(folder);
        return Ok((command, None));
    }
    let mut configuration = format!(
        "version: 0.1\nlog:\n  level: warn\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {host}\n",
        folder.join("blobs").display()
    );
    let mut authority = None;
    if kind == Kind::DistributionWithTls {
        let (certificate, key) = (folder.join("server.crt"), folder.join("server.key"));
        let ours = Authority::new()?;
        let pair = ours.server()?;
        write(&certificate, &pair.certificate)?;
        write(&key, &pair.key)?;
        configuration += &format!(
            "  tls:\n    certificate: {}\n    key: {}\n",
            certificate.display(),
            key.display()
        );
        authority = Some(ours.certificate());
    }
    if kind == Kind::DistributionWithLogin {
        let users = folder.join("users");
        write(&users, ROBOT)?;
        configuration += &format!(
            "auth:\n  htpasswd:\n    realm: dev\n    path: {}\n",
            users.display()
        );
    }
    if let Some(Tokens {
        realm,
        issuer,
        keys,
    }) = service
    {
        let path = folder.join("keys.json");
        write(&path, keys)?;
        configuration += &format!(
            "auth:\n  token:\n    realm: {realm}\n    service: {SERVICE}\n    issuer: {issuer}\n    jwks: {}\n",
            path.display()
        );
    }
    let path = folder.join("registry.yaml");
    write(&path, &configuration)?;
    let mut command = Command::new(tools.0.join("registry"));
    command.arg("serve").arg(&path).current_dir(folder);
    Ok((command, authority))
}

/// `robot` with the password `secret`, hashed by bcrypt: the only form that this registry takes.
const ROBOT: &str = "robot:$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n";

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(|source| Error::io("write", path, source))
}

/// Writes a layer with one file in it.
fn archive(path: &Path, (name, content): (&str, &str)) -> std::io::Result<()> {
    let mut builder = tar::Builder::new(fs::File::create(path)?);
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, name, content.as_bytes())?;
    builder.finish()
}
