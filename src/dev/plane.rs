//! etcd, kube-apiserver and kube-controller-manager on loopback, for one test binary or for trying.
//!
//! etcd listens on a socket in the plane's folder, the controller manager on nothing: only the API server takes a port,
//! and is given another one if somebody was faster.

use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

use super::certificates::{Authority, Pair, signing_keys};
use super::process::{Detached, Servers};
use super::{Assets, Error};

/// Where ports are taken from: below those that the kernel gives to outgoing connections.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
/// How often another port is tried.
const TRIES: usize = 5;
/// A machine that is busy with a build takes its time.
const DEADLINE: Duration = Duration::from_secs(90);

/// What the controller manager does here: namespaces go away, owned objects follow their owner, service accounts get
/// their tokens, aggregated roles their rules, and admission policies are checked for type errors.
const CONTROLLERS: &str = "--controllers=namespace-controller,garbage-collector-controller,\
    serviceaccount-controller,serviceaccount-token-controller,clusterrole-aggregation-controller,\
    validatingadmissionpolicy-status-controller";

/// A control plane of our own. It ends, and its folder goes away, when this value is dropped.
pub struct ControlPlane {
    // Dropped in this order: first the servers, then the folder they use.
    servers: Servers,
    authority: Authority,
    address: String,
    folder: PathBuf,
    kubectl: PathBuf,
    _temporary: Option<TempDir>,
}

impl ControlPlane {
    /// Starts one and waits until it serves. `folder` is where it keeps its state, logs and kubeconfigs; without one,
    /// a temporary folder that goes away with it.
    pub async fn start(assets: &Assets, folder: Option<PathBuf>) -> Result<Self, Error> {
        let (folder, temporary) = place(folder)?;
        let mut servers = Servers::new(temporary.as_ref().map(TempDir::path))?;
        let authority = Authority::new()?;
        write_credentials(&folder, &authority)?;

        start_etcd(assets, &folder, &mut servers).await?;
        let address = start_api_server(assets, &folder, &authority, &mut servers).await?;
        let plane = Self {
            servers,
            authority,
            address,
            kubectl: assets.program("kubectl"),
            folder,
            _temporary: temporary,
        };
        plane.with_controller_manager(assets).await
    }

    async fn with_controller_manager(mut self, assets: &Assets) -> Result<Self, Error> {
        let kubeconfig = self.admin_kubeconfig();
        let mut command = Command::new(assets.program("kube-controller-manager"));
        command
            .current_dir(&self.folder)
            .arg("--kubeconfig")
            .arg(&kubeconfig)
            .args(["--leader-elect=false", "--secure-port=0", CONTROLLERS])
            .args(["--service-account-private-key-file=pki/service-accounts.key"])
            .args(["--root-ca-file=pki/ca.crt"]);
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin().await?, "default");
        let logs = self.logs();
        let manager = self
            .servers
            .start("kube-controller-manager", &mut command, &logs)?;
        // It has no port to ask. Its first visible work is the service account of every namespace.
        let works = async || match accounts.get_opt("default").await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err("no service account in the namespace default yet".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        manager.ready(DEADLINE, works).await?;
        Ok(self)
    }

    /// `https://127.0.0.1:<port>`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The file with the certificate authority that its address is trusted by.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("pki/ca.crt")
    }

    /// The folder with everything it writes.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder with what its processes say.
    pub fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }

    /// The ids of its processes, in the order of their start.
    pub fn pids(&self) -> Vec<u32> {
        self.servers.pids()
    }

    /// The kubeconfig of the administrator, who may do everything.
    pub fn admin_kubeconfig(&self) -> PathBuf {
        admin_kubeconfig(&self.folder)
    }

    /// A kubeconfig for a user who is known by a certificate and in these groups (two at most); beyond what RBAC gives
    /// to everybody, they may do nothing yet.
    pub fn kubeconfig(&self, user: &str, groups: &[&str]) -> Result<PathBuf, Error> {
        let name = std::iter::once(&user)
            .chain(groups)
            .map(|part| file_name(part))
            .collect::<Vec<_>>()
            .join("+");
        let pair = self.authority.user(user, groups)?;
        let credentials = write_pair(&self.folder, &format!("user-{name}"), &pair)?;
        write_kubeconfig(&self.folder, &name, &self.address, &credentials)
    }

    /// A client for the administrator.
    pub async fn admin(&self) -> Result<Client, Error> {
        client(&self.admin_kubeconfig()).await
    }

    /// A client for a user as in [`Self::kubeconfig`].
    pub async fn client(&self, user: &str, groups: &[&str]) -> Result<Client, Error> {
        client(&self.kubeconfig(user, groups)?).await
    }

    /// A client without any credentials. (kubectl would ask for some; give it `--as=system:anonymous`.)
    pub async fn anonymous(&self) -> Result<Client, Error> {
        let path = write_kubeconfig(&self.folder, "anonymous", &self.address, &json!({}))?;
        client(&path).await
    }

    /// Runs kubectl with this kubeconfig, as a person would.
    pub async fn kubectl(&self, kubeconfig: &Path, arguments: &[&str]) -> Result<Output, Error> {
        self.kubectl_with_input(kubeconfig, arguments, "").await
    }

    /// The same with something to read, say a manifest for `apply -f -`.
    pub async fn kubectl_with_input(
        &self,
        kubeconfig: &Path,
        arguments: &[&str],
        input: &str,
    ) -> Result<Output, Error> {
        let failed = |source| Error::io("run", &self.kubectl, source);
        let mut child = tokio::process::Command::new(&self.kubectl)
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .arg("--cache-dir")
            .arg(self.folder.join("kubectl-cache"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A kubectl that does not read is fine; what went wrong is in its output.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        child.wait_with_output().await.map_err(failed)
    }

    /// Leaves the control plane running after us and says which processes it is, in the order of their start. Its
    /// folder must have been given.
    pub fn detach(self) -> Vec<Detached> {
        self.servers.detach()
    }
}

/// The administrator's kubeconfig in the folder of a control plane.
pub fn admin_kubeconfig(folder: &Path) -> PathBuf {
    folder.join("admin.kubeconfig")
}

/// A client with what a kubeconfig file says, and nothing else.
pub async fn client(kubeconfig: &Path) -> Result<Client, Error> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

/// A port that is free now. Somebody may still be faster: whoever uses it must be ready to try another.
pub fn free_port() -> Result<u16, Error> {
    (0..100)
        .map(|_| rand::random_range(PORTS))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .ok_or(Error::NoPort { ports: PORTS })
}

/// The given folder, made if need be, or a temporary one; always an absolute path.
pub(super) fn place(folder: Option<PathBuf>) -> Result<(PathBuf, Option<TempDir>), Error> {
    let Some(folder) = folder else {
        let temporary = tempfile::Builder::new()
            .prefix("bailiwick-")
            .tempdir()
            .map_err(|source| Error::io("create", Path::new("a temporary folder"), source))?;
        return Ok((temporary.path().to_path_buf(), Some(temporary)));
    };
    fs::create_dir_all(&folder).map_err(|source| Error::io("create", &folder, source))?;
    let folder = fs::canonicalize(&folder).map_err(|source| Error::io("use", &folder, source))?;
    Ok((folder, None))
}

fn write_credentials(folder: &Path, authority: &Authority) -> Result<(), Error> {
    let pki = folder.join("pki");
    fs::create_dir_all(&pki).map_err(|source| Error::io("create", &pki, source))?;
    write(&folder.join("pki/ca.crt"), &authority.certificate())?;
    write_pair(folder, "server", &authority.server()?)?;
    let (private, public) = signing_keys()?;
    write(&folder.join("pki/service-accounts.key"), &private)?;
    write(&folder.join("pki/service-accounts.pub"), &public)
}

async fn start_etcd(assets: &Assets, folder: &Path, servers: &mut Servers) -> Result<(), Error> {
    // A path relative to the folder, since a socket's whole path has a narrow limit; the `:0` is part of the file's
    // name, because etcd insists on a host and a port.
    let (client, peer) = ("unix://etcd:0", "unix://etcd-peer:0");
    let mut command = Command::new(assets.program("etcd"));
    command
        .current_dir(folder)
        .args([
            "--name=plane",
            "--data-dir=etcd-data",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ])
        .arg(format!("--listen-client-urls={client}"))
        .arg(format!("--advertise-client-urls={client}"))
        .arg(format!("--listen-peer-urls={peer}"))
        .arg(format!("--initial-advertise-peer-urls={peer}"))
        .arg(format!("--initial-cluster=plane={peer}"));
    let socket = folder.join("etcd:0");
    let etcd = servers.start("etcd", &mut command, &folder.join("logs"))?;
    let listens = async || match UnixStream::connect(&socket) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("its socket: {error}")),
    };
    etcd.ready(DEADLINE, listens).await
}

async fn start_api_server(
    assets: &Assets,
    folder: &Path,
    authority: &Authority,
    servers: &mut Servers,
) -> Result<String, Error> {
    let admin = authority.user("admin", &["system:masters"])?;
    let mut tries = 0;
    loop {
        tries += 1;
        let port = free_port()?;
        let address = format!("https://127.0.0.1:{port}");
        let credentials = write_pair(folder, "admin", &admin)?;
        let kubeconfig = write_kubeconfig(folder, "admin", &address, &credentials)?;
        let client = client(&kubeconfig).await?;
        let mut command = api_server(assets, folder, port);
        let server = servers.start("kube-apiserver", &mut command, &folder.join("logs"))?;
        let ready = async || {
            let request = http::Request::get("/readyz")
                .body(Vec::new())
                .map_err(|error| error.to_string())?;
            client
                .request_text(request)
                .await
                .map(drop)
                .map_err(|error| error.to_string())
        };
        match server.ready(DEADLINE, ready).await {
            Ok(()) => return Ok(address),
            Err(Error::Ended { .. })
                if tries < TRIES && server.said().contains("address already in use") =>
            {
                servers.end_last();
            }
            Err(error) => return Err(error),
        }
    }
}

fn api_server(assets: &Assets, folder: &Path, port: u16) -> Command {
    let mut command = Command::new(assets.program("kube-apiserver"));
    command
        .current_dir(folder)
        .args([
            "--etcd-servers=unix://etcd:0",
            "--authorization-mode=RBAC",
            "--allow-privileged",
        ])
        .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
        .arg(format!("--secure-port={port}"))
        .args([
            "--tls-cert-file=pki/server.crt",
            "--tls-private-key-file=pki/server.key",
        ])
        .args([
            "--client-ca-file=pki/ca.crt",
            "--service-cluster-ip-range=10.0.0.0/24",
        ])
        // Where others find the keys by which ServiceAccounts' tokens are signed.
        .arg(format!("--service-account-issuer=https://127.0.0.1:{port}"))
        .args(["--service-account-signing-key-file=pki/service-accounts.key"])
        .args(["--service-account-key-file=pki/service-accounts.pub"]);
    command
}

/// Writes certificate and key to `pki/` and returns how a kubeconfig refers to them.
fn write_pair(folder: &Path, name: &str, pair: &Pair) -> Result<Value, Error> {
    let certificate = folder.join(format!("pki/{name}.crt"));
    let key = folder.join(format!("pki/{name}.key"));
    write(&certificate, &pair.certificate)?;
    write(&key, &pair.key)?;
    Ok(json!({ "client-certificate": certificate, "client-key": key }))
}

fn write_kubeconfig(
    folder: &Path,
    name: &str,
    address: &str,
    credentials: &Value,
) -> Result<PathBuf, Error> {
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "dev",
            "cluster": { "server": address, "certificate-authority": folder.join("pki/ca.crt") },
        }],
        "users": [{ "name": name, "user": credentials }],
        "contexts": [{ "name": "dev", "context": { "cluster": "dev", "user": name } }],
        "current-context": "dev",
    });
    let path = folder.join(format!("{name}.kubeconfig"));
    // JSON is YAML, which is what everybody expects of a kubeconfig.
    write(&path, &format!("{kubeconfig:#}\n"))?;
    Ok(path)
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(|source| Error::io("write", path, source))
}

fn file_name(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        })
        .collect()
}
