//! Authorization servers on this machine: [`OidcProvider`], which registers clients by RFC 7591 and RFC 7592, and
//! [`Keycloak`], which has an admin API. Both keep everything in their memory.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::plane::{free_port, place};
use super::process::{Detached, Servers};
use super::{Error, http};

/// Keycloak needs most of a minute on two cores, more on a busy machine.
const DEADLINE: Duration = Duration::from_secs(240);
const TRIES: usize = 5;

/// What [`OidcProvider`] wants to see before it registers a client.
pub const INITIAL_ACCESS_TOKEN: &str = "initial-access-token-for-trying";
/// The user of [`Keycloak`]'s realm `master` who may do everything, and the password.
pub const ADMINISTRATOR: (&str, &str) = ("admin", "password-for-trying");

/// The folders with the authorization servers.
#[derive(Clone, Debug)]
pub struct OAuthAssets {
    oidc_provider: PathBuf,
    keycloak: PathBuf,
}

impl OAuthAssets {
    /// Asks `tools/build` of the given checkout, which installs what is missing: about a minute where neither is there.
    pub fn find(repository: &Path) -> Result<Self, Error> {
        let mut lines = print(repository, "--print-oauth")?.into_iter();
        match (lines.next(), lines.next()) {
            (Some(oidc_provider), Some(keycloak)) => Ok(Self {
                oidc_provider,
                keycloak,
            }),
            _ => Err(Error::Assets {
                tool: repository.join("tools/build"),
                status: "fewer than two folders printed".to_owned(),
            }),
        }
    }
}

/// The folder with `oidc-provider` alone. Asks `tools/build` of the given checkout, which installs it if it is missing.
///
/// # Errors
/// If it cannot be installed: without Node.js, for example.
pub fn oidc_provider(repository: &Path) -> Result<PathBuf, Error> {
    let mut lines = print(repository, "--print-oidc-provider")?.into_iter();
    lines.next().ok_or_else(|| Error::Assets {
        tool: repository.join("tools/build"),
        status: "no folder printed".to_owned(),
    })
}

/// The folders that `tools/build` prints.
fn print(repository: &Path, argument: &str) -> Result<Vec<PathBuf>, Error> {
    let tool = repository.join("tools/build");
    let output = Command::new(&tool)
        .arg(argument)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| Error::io("run", &tool, source))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(PathBuf::from)
            .collect()),
        false => Err(Error::Assets {
            tool,
            status: output.status.to_string(),
        }),
    }
}

/// npm's `oidc-provider`. It ends when this value is dropped.
pub struct OidcProvider(Running);

impl OidcProvider {
    /// Starts one that knows these scopes, and waits until it serves.
    pub async fn start(assets: &OAuthAssets, scopes: &[&str]) -> Result<Self, Error> {
        Self::start_at(&assets.oidc_provider, scopes, None).await
    }

    /// Starts the one of this folder, with its log kept in another: for long runs.
    pub async fn start_in(program: &Path, scopes: &[&str], folder: PathBuf) -> Result<Self, Error> {
        Self::start_at(program, scopes, Some(folder)).await
    }

    async fn start_at(
        program: &Path,
        scopes: &[&str],
        folder: Option<PathBuf>,
    ) -> Result<Self, Error> {
        let command = |port: u16, _: &Path| {
            let mut command = Command::new("node");
            command
                .current_dir(program)
                .args(["server.mjs", &port.to_string(), INITIAL_ACCESS_TOKEN])
                .args(scopes);
            command
        };
        let ready = |endpoint: &str| format!("ready on {endpoint}");
        let running = Running::start("oidc-provider", folder, command, ready).await?;
        Ok(Self(running))
    }

    /// Its issuer.
    pub fn issuer(&self) -> &str {
        &self.0.endpoint
    }

    /// The ids of its processes.
    pub fn pids(&self) -> Vec<u32> {
        self.0.servers.pids()
    }

    /// Leaves it running after us and says which process it is. Its folder must have been given.
    pub fn detach(self) -> Vec<Detached> {
        self.0.servers.detach()
    }
}

/// Keycloak, with the features that let a client's secrets overlap and clients show others' assertions; whether they do is up
/// to the policies and identity providers of a realm. It ends when this value is dropped.
pub struct Keycloak(Running);

impl Keycloak {
    /// Starts one and waits until it serves, which takes most of a minute. It has the realm `master` alone.
    pub async fn start(assets: &OAuthAssets) -> Result<Self, Error> {
        Self::start_trusting(assets, None).await
    }

    /// The same, and it trusts the certificate authority of this file where it asks others: a cluster for its keys.
    pub async fn start_trusting(
        assets: &OAuthAssets,
        authority: Option<&Path>,
    ) -> Result<Self, Error> {
        let command = |port: u16, folder: &Path| {
            let mut command = java(&assets.keycloak, port, folder);
            if let Some(authority) = authority {
                command.arg(format!("--truststore-paths={}", authority.display()));
            }
            command
        };
        let ready = |endpoint: &str| format!("Listening on: {endpoint}");
        let running = Running::start("keycloak", None, command, ready).await?;
        // It listens before it answers.
        match http::get(&running.endpoint, "/realms/master") {
            Ok((200, _)) => Ok(Self(running)),
            other => Err(Error::Emulator {
                operation: "GET /realms/master".to_owned(),
                answer: format!("{other:?}"),
            }),
        }
    }

    /// Where it is: `http://127.0.0.1:<port>`. The issuer of a realm is `<endpoint>/realms/<realm>`.
    pub fn endpoint(&self) -> &str {
        &self.0.endpoint
    }

    /// The ids of its processes.
    pub fn pids(&self) -> Vec<u32> {
        self.0.servers.pids()
    }
}

/// Java itself, as Keycloak's script calls it: the script would stay between us and it, and end without it.
fn java(home: &Path, port: u16, folder: &Path) -> Command {
    let mut command = Command::new("java");
    let (user, password) = ADMINISTRATOR;
    command
        .current_dir(folder)
        // It lives for minutes: what the better compiler gains is less than what it costs.
        .args(["-Xms64m", "-Xmx512m", "-XX:TieredStopAtLevel=1"])
        .arg("-Djava.util.concurrent.ForkJoinPool.common.threadFactory=io.quarkus.bootstrap.forkjoin.QuarkusForkJoinWorkerThreadFactory")
        .args(["java.util", "java.util.concurrent", "java.security"].map(|package| {
            format!("--add-opens=java.base/{package}=ALL-UNNAMED")
        }))
        .arg(format!("-Dkc.home.dir={}", home.display()))
        .arg(format!("-Djboss.server.config.dir={}/conf", home.display()))
        .arg(format!("-Djava.io.tmpdir={}", folder.display()))
        .arg("-Djava.util.logging.manager=org.jboss.logmanager.LogManager")
        .arg("-cp")
        .arg(home.join("lib/quarkus-run.jar"))
        .arg("io.quarkus.bootstrap.runner.QuarkusEntryPoint")
        .args(["start", "--optimized", "--cache=local"])
        .args(["--http-enabled=true", "--hostname-strict=false"])
        .args(["--http-host=127.0.0.1", &format!("--http-port={port}")])
        .env("KC_BOOTSTRAP_ADMIN_USERNAME", user)
        .env("KC_BOOTSTRAP_ADMIN_PASSWORD", password);
    command
}

struct Running {
    // Dropped in this order: first the server, then the folder it uses.
    servers: Servers,
    endpoint: String,
    _temporary: Option<TempDir>,
}

impl Running {
    /// Starts a server on a free port, and waits for its own word that it serves: an answer on the port might be somebody
    /// else's.
    async fn start(
        name: &str,
        folder: Option<PathBuf>,
        command: impl Fn(u16, &Path) -> Command,
        word: impl Fn(&str) -> String,
    ) -> Result<Self, Error> {
        let (folder, temporary) = place(folder)?;
        let mut servers = Servers::new(temporary.as_ref().map(TempDir::path))?;
        let logs = folder.join("logs");
        let mut tries = 0;
        loop {
            tries += 1;
            let port = free_port()?;
            let endpoint = format!("http://127.0.0.1:{port}");
            let server = servers.start(name, &mut command(port, &folder), &logs)?;
            let (log, word) = (logs.join(format!("{name}.log")), word(&endpoint));
            let serves = async || match std::fs::read_to_string(&log) {
                Ok(text) if text.contains(&word) => Ok(()),
                _ => Err("it does not serve yet".to_owned()),
            };
            match server.ready(DEADLINE, serves).await {
                Ok(()) => {
                    return Ok(Self {
                        servers,
                        endpoint,
                        _temporary: temporary,
                    });
                }
                Err(Error::Ended { .. }) if tries < TRIES && in_use(&server.said()) => {
                    servers.end_last();
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Somebody was faster with the port.
fn in_use(said: &str) -> bool {
    said.contains("EADDRINUSE") || said.contains("already in use") || said.contains("already bound")
}
