//! A control plane on this machine, for trying and for tests: the real etcd, kube-apiserver and kube-controller-manager
//! ([`ControlPlane`]), the AWS emulator ([`Moto`]), registries ([`registries`]), and authorization servers ([`oauth`]); for the simulation an API server in
//! memory ([`api_server`]).
//!
//! The real ones listen on loopback only and end with the value that holds them, also when a test panics or this process is
//! killed (see [`process`]). Nothing outside this module, `cli::dev` and the tests knows that emulators exist.

pub mod api_server;
pub mod certificates;
pub mod http;
pub mod loopback;
pub mod moto;
pub mod oauth;
pub mod plane;
pub mod process;
pub mod registries;
pub mod trial;

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub use moto::Moto;
pub use plane::ControlPlane;

/// Where the programs are that this module starts.
#[derive(Clone, Debug)]
pub struct Assets {
    /// The folder with etcd, kube-apiserver, kube-controller-manager, kubectl and helm.
    pub programs: PathBuf,
    /// The virtual environment that has the AWS emulator.
    pub emulator: PathBuf,
    /// The script that starts it, with what is mended in it.
    pub emulator_server: PathBuf,
}

impl Assets {
    /// Asks `tools/build` of the given checkout, which builds what is missing: at once where nothing is, about ten
    /// minutes on a machine that has nothing yet. Its progress goes to standard error.
    pub fn find(repository: &Path) -> Result<Self, Error> {
        let tool = repository.join("tools/build");
        let server = repository.join("tools/moto/server.py");
        // Whoever starts it does so in a folder of its own.
        let emulator_server =
            std::fs::canonicalize(&server).map_err(|source| Error::io("find", &server, source))?;
        let output = Command::new(&tool)
            .args(["--print-dir", "--print-moto"])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|source| Error::io("run", &tool, source))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let mut lines = text.lines().map(PathBuf::from);
        match (output.status.success(), lines.next(), lines.next()) {
            (true, Some(programs), Some(emulator)) => Ok(Self {
                programs,
                emulator,
                emulator_server,
            }),
            _ => Err(Error::Assets {
                tool,
                status: output.status.to_string(),
            }),
        }
    }

    /// The path of one program in [`Self::programs`].
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// The Python that has the AWS emulator installed.
    pub fn python(&self) -> PathBuf {
        self.emulator.join("bin/python")
    }
}

/// Why a server of ours is not there, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `tools/build` could not bring the programs.
    #[error("{} ended with {status}: its last lines, above, say what to do", tool.display())]
    Assets {
        /// The script.
        tool: PathBuf,
        /// How it ended.
        status: String,
    },
    /// A file, folder or program could not be used.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A server ended while it was needed.
    #[error("{name} ended with {status}; the last lines of {}:\n{tail}", log.display())]
    Ended {
        /// Which one.
        name: String,
        /// Its exit status.
        status: String,
        /// Everything it said.
        log: PathBuf,
        /// The end of that.
        tail: String,
    },
    /// A server runs and does not become ready.
    #[error(
        "{name} is not ready after {seconds} s ({last}); is this machine very busy? The last lines of {}:\n{tail}",
        log.display()
    )]
    NotReady {
        /// Which one.
        name: String,
        /// How long it was waited for.
        seconds: u64,
        /// What the last probe said.
        last: String,
        /// Everything it said.
        log: PathBuf,
        /// The end of that.
        tail: String,
    },
    /// No free port was found.
    #[error("found no free port on 127.0.0.1 between {} and {}", ports.start, ports.end)]
    NoPort {
        /// Where it was looked for.
        ports: std::ops::Range<u16>,
    },
    /// A certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// More groups than a certificate of ours can carry.
    #[error("user {user} is in {groups} groups; a certificate made here carries two at most")]
    Groups {
        /// For whom it was to be.
        user: String,
        /// How many were wanted.
        groups: usize,
    },
    /// A kubeconfig could not be read or written.
    #[error("cannot use the kubeconfig: {0}")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    /// A client could not be made.
    #[error("cannot talk to the API server: {0}")]
    Kube(#[from] kube::Error),
    /// What runs for `bailiwick dev` is written down, and cannot be read.
    #[error("{} cannot be read ({problem}); end what it names by hand, and remove the file", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A tool that a person would use ended with an error.
    #[error("{tool} ended with {status}: {said}")]
    Tool {
        /// Which one.
        tool: String,
        /// How it ended.
        status: String,
        /// What it said.
        said: String,
    },
    /// The emulator refused a call.
    #[error("the AWS emulator answered {operation} with {answer}")]
    Emulator {
        /// What was asked of it.
        operation: String,
        /// What it said.
        answer: String,
    },
}

impl Error {
    /// For `map_err`: what was tried, on what.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_path_buf(),
            source,
        }
    }
}
