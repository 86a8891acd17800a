//! Servers of other people's that need no more than a port of 127.0.0.1 and a folder.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::plane::{free_port, place};
use super::process::Servers;
use super::{Error, http};

/// Python takes seconds to start, more on a busy machine.
const DEADLINE: Duration = Duration::from_secs(90);
const TRIES: usize = 5;

/// A server on a port of its own. It ends, and what it keeps goes away, when this value is dropped.
pub struct Loopback {
    // Dropped in this order: first the server, then the folder it uses.
    _servers: Servers,
    host: String,
    _folder: Option<TempDir>,
}

impl Loopback {
    /// Starts what `command` says for a port and a folder, and waits until it answers with 200 at `path`.
    pub async fn start(
        name: &str,
        path: &str,
        command: impl Fn(u16, &Path) -> Command,
    ) -> Result<Self, Error> {
        let (folder, temporary) = place(None)?;
        let mut servers = Servers::new(Some(&folder))?;
        let mut tries = 0;
        loop {
            tries += 1;
            let port = free_port()?;
            let host = format!("127.0.0.1:{port}");
            let endpoint = format!("http://{host}");
            let mut command = command(port, &folder);
            command.current_dir(&folder);
            let server = servers.start(name, &mut command, &folder.join("logs"))?;
            let serves = async || match http::get(&endpoint, path) {
                Ok((200, _)) => Ok(()),
                Ok((status, _)) => Err(format!("it answers {status}")),
                Err(error) => Err(error.to_string()),
            };
            match server.ready(DEADLINE, serves).await {
                Ok(()) => {
                    return Ok(Self {
                        _servers: servers,
                        host,
                        _folder: temporary,
                    });
                }
                Err(Error::Ended { .. }) if tries < TRIES && server.said().contains("in use") => {
                    servers.end_last();
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// `127.0.0.1:<port>`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// What it answers at this path.
    pub fn get(&self, path: &str) -> std::io::Result<(u16, String)> {
        http::get(&format!("http://{}", self.host), path)
    }
}

/// Starts ministack, the AWS emulator whose ECR takes pushes: `127.0.0.1:<port>` is the endpoint of AWS and a registry at
/// once. `tools/build` of the given checkout brings it.
pub async fn ministack(repository: &Path) -> Result<Loopback, Error> {
    ministack_of(repository, "000000000000").await
}

/// The same, where whoever comes with a session that another emulator gave is in this account. It is also the one whose
/// repositories the registry serves.
pub async fn ministack_of(repository: &Path, account: &str) -> Result<Loopback, Error> {
    let tool = repository.join("tools/build");
    let output = Command::new(&tool)
        .arg("--print-ministack")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| Error::io("run", &tool, source))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let (true, Some(folder)) = (output.status.success(), text.lines().next()) else {
        return Err(Error::Assets {
            tool,
            status: output.status.to_string(),
        });
    };
    // Its script names a Python where it was installed, before that was moved to where it is.
    let python = Path::new(folder).join("bin/python");
    let serve = |port: u16, _: &Path| {
        let mut command = Command::new(&python);
        command
            .args(["-m", "ministack"])
            .env("BIND_HOST", "127.0.0.1")
            .env("MINISTACK_ACCOUNT_ID", account)
            .env("GATEWAY_PORT", port.to_string());
        command
    };
    Loopback::start("ministack", "/v2/", serve).await
}
