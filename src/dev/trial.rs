//! What `bailiwick dev up` leaves running, written down so that the next call, and `bailiwick dev down`, find it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::oauth::OidcProvider;
use super::process::Detached;
use super::registries::{ImageTools, Kind, Registry};
use super::{Assets, ControlPlane, Error, Moto};

/// All that is ours in the folder; what else may lie there is never touched.
const OURS: &[&str] = &[
    "running.json",
    "control-plane",
    "emulator",
    "registry",
    "oauth",
    "credentials",
    "examples",
    "operator.log",
    "operator.kubeconfig",
    "kubectl-cache",
    "helm",
];

/// How long the operator may take to finish what it is at: before the next one takes over, and before all of it is
/// forgotten, perhaps with its API server gone already.
const GRACE: Duration = Duration::from_secs(30);
const LAST_GRACE: Duration = Duration::from_secs(3);

/// A control plane, an emulator and an image registry that belong together, and the operator between them.
#[derive(Debug, Serialize, Deserialize)]
pub struct Trial {
    /// Where all of it lives. Not written down: the folder may be moved while nothing runs.
    #[serde(skip)]
    folder: PathBuf,
    /// The emulator's endpoint.
    emulator: String,
    /// The image registry's host and port; empty in what an older version wrote down.
    #[serde(default)]
    registry: String,
    /// The authorization server's issuer, if there is one.
    #[serde(default)]
    issuer: Option<String>,
    /// The servers, in the order of their start.
    servers: Vec<Detached>,
    /// The operator, if it was started.
    operator: Option<Detached>,
}

impl Trial {
    /// What was written down in this folder, if anything.
    pub fn load(folder: &Path) -> Result<Option<Self>, Error> {
        let path = file(folder);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read", &path, error)),
        };
        let mut trial: Self = serde_json::from_str(&text).map_err(|error| Error::State {
            path,
            problem: error.to_string(),
        })?;
        trial.folder = folder.to_path_buf();
        Ok(Some(trial))
    }

    /// Starts the servers, with nothing of what was here before.
    pub async fn start(assets: &Assets, tools: &ImageTools, folder: &Path) -> Result<Self, Error> {
        clear(folder)?;
        fs::create_dir_all(folder).map_err(|source| Error::io("create", folder, source))?;
        // All are ours until all are there: if one fails, the others end too.
        let (plane, moto, images) = tokio::try_join!(
            ControlPlane::start(assets, Some(plane_folder(folder))),
            Moto::start_in(assets, folder.join("emulator")),
            Registry::start_in(tools, Kind::Distribution, folder.join("registry")),
        )?;
        let (emulator, registry) = (moto.endpoint().to_owned(), images.host().to_owned());
        let mut servers = plane.detach();
        servers.extend(moto.detach());
        servers.extend(images.detach());
        let trial = Self {
            folder: folder.to_path_buf(),
            emulator,
            registry,
            issuer: None,
            servers,
            operator: None,
        };
        trial.save()?;
        Ok(trial)
    }

    /// Starts an authorization server that knows these scopes, and makes it one of the servers.
    pub async fn start_oauth(&mut self, program: &Path, scopes: &[&str]) -> Result<(), Error> {
        let folder = self.folder.join("oauth");
        let server = OidcProvider::start_in(program, scopes, folder).await?;
        self.issuer = Some(server.issuer().to_owned());
        self.servers.extend(server.detach());
        self.save()
    }

    /// Whether every server is still there. One alone is of no use: the accounts that the control plane knows are in
    /// the emulator's memory.
    pub fn is_whole(&self) -> bool {
        !self.registry.is_empty() && self.servers.iter().all(Detached::is_running)
    }

    /// Whether the operator is still there.
    pub fn operator_runs(&self) -> bool {
        self.operator.as_ref().is_some_and(Detached::is_running)
    }

    /// Notes which process the operator is.
    pub fn set_operator(&mut self, operator: Detached) -> Result<(), Error> {
        self.operator = Some(operator);
        self.save()
    }

    /// Ends the operator, if it runs, after it has finished what it is at.
    pub fn end_operator(&mut self) {
        if let Some(operator) = self.operator.take() {
            operator.end(GRACE);
        }
    }

    /// Ends everything, the operator first and etcd last, and removes what they wrote.
    pub fn end(mut self) -> Result<(), Error> {
        if let Some(operator) = self.operator.take() {
            operator.end(LAST_GRACE);
        }
        for server in self.servers.iter().rev() {
            server.end(Duration::ZERO);
        }
        clear(&self.folder)
    }

    /// Its servers, in the order of their start.
    pub fn servers(&self) -> &[Detached] {
        &self.servers
    }

    /// The operator, if it was started.
    pub fn operator(&self) -> Option<&Detached> {
        self.operator.as_ref()
    }

    /// The emulator's endpoint.
    pub fn emulator(&self) -> &str {
        &self.emulator
    }

    /// The image registry, as it stands in references.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The authorization server's issuer, if there is one.
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        super::plane::admin_kubeconfig(&plane_folder(&self.folder))
    }

    fn save(&self) -> Result<(), Error> {
        let path = file(&self.folder);
        let text = serde_json::to_string_pretty(self).map_err(|error| Error::State {
            path: path.clone(),
            problem: error.to_string(),
        })?;
        fs::write(&path, text).map_err(|source| Error::io("write", &path, source))
    }
}

/// Removes what is ours from the folder, and the folder if nothing else is in it.
fn clear(folder: &Path) -> Result<(), Error> {
    for path in OURS.iter().map(|name| folder.join(name)) {
        let removed = if path.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        match removed {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Error::io("remove", &path, error));
            }
            _ => {}
        }
    }
    match fs::remove_dir(folder) {
        Err(error)
            if !matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty
            ) =>
        {
            Err(Error::io("remove", folder, error))
        }
        _ => Ok(()),
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("running.json")
}

fn plane_folder(folder: &Path) -> PathBuf {
    folder.join("control-plane")
}
