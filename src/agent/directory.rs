//! The directory that an application reads. Both files are switched at once, by one rename, as the kubelet does it for the
//! volumes of Secrets:
//!
//! ```text
//! client.json -> ..data/client.json
//! user.json   -> ..data/user.json
//! ..data      -> ..v42
//! ..v42/client.json, ..v42/user.json
//! ```
//!
//! So the paths that readers of berry's files know stay what they are, each always whole. Who reads both and must have them
//! of one version resolves `..data` once. The version before the present one stays, for whoever has resolved it just now.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::content::Files;
use crate::model::Secret;

const CLIENT: &str = "client.json";
const USER: &str = "user.json";
const DATA: &str = "..data";
const NEXT: &str = "..data.next";
const LINK: &str = "..link.next";
const VERSION: &str = "..v";

/// Something that could not be done in the directory.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}", path.display())]
pub struct DirectoryError {
    /// Where.
    pub path: PathBuf,
    /// What the system says.
    pub error: io::Error,
}

type Result<T> = std::result::Result<T, DirectoryError>;

fn at(path: &Path) -> impl FnOnce(io::Error) -> DirectoryError + '_ {
    move |error| DirectoryError {
        path: path.to_owned(),
        error,
    }
}

/// The directory. Only one process writes there.
#[derive(Debug, Clone)]
pub struct Directory(PathBuf);

impl Directory {
    /// The directory of that path; it is made when it is first written to.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// What is in place; `None`: nothing that we put there.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(&self) -> Result<Option<Files>> {
        let data = self.0.join(DATA);
        let Some(client) = read(&data.join(CLIENT))? else {
            return Ok(None);
        };
        // A switch is done only when both paths lead where they should: one that was killed before is done again.
        if !self.leads(CLIENT) {
            return Ok(None);
        }
        let user = read(&data.join(USER))?;
        if user.is_some() != self.leads(USER) {
            return Ok(None);
        }
        Ok(Some(Files { client, user }))
    }

    fn leads(&self, name: &str) -> bool {
        fs::read_link(self.0.join(name)).is_ok_and(|to| to == Path::new(DATA).join(name))
    }

    /// Puts other files in place, both at once.
    ///
    /// # Errors
    /// If something cannot be written: then what was in place is so still.
    pub fn switch(&self, files: &Files) -> Result<()> {
        let make = DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(&self.0);
        make.map_err(at(&self.0))?;
        let before = self.present();
        let name = format!(
            "{VERSION}{}",
            before.map_or(1, |number| number.wrapping_add(1))
        );
        let fresh = self.0.join(&name);
        // Of a process that was killed before it had switched.
        remove_all(&fresh)?;
        let make = DirBuilder::new().mode(0o755).create(&fresh);
        make.map_err(at(&fresh))?;
        write(&fresh.join(CLIENT), &files.client)?;
        if let Some(user) = &files.user {
            write(&fresh.join(USER), user)?;
        }
        sync(&fresh)?;
        sync(&self.0)?;
        self.point(DATA, NEXT, Path::new(&name))?;
        self.point(CLIENT, LINK, &Path::new(DATA).join(CLIENT))?;
        match &files.user {
            Some(_) => self.point(USER, LINK, &Path::new(DATA).join(USER))?,
            None => remove(&self.0.join(USER))?,
        }
        sync(&self.0)?;
        self.sweep(&name, before)
    }

    /// The number of the version in place.
    fn present(&self) -> Option<u64> {
        let to = fs::read_link(self.0.join(DATA)).ok()?;
        to.to_str()?.strip_prefix(VERSION)?.parse().ok()
    }

    /// Makes `name` a link to `to`, in one step, whatever it was: berry's plain file, for one.
    fn point(&self, name: &str, over: &str, to: &Path) -> Result<()> {
        let path = self.0.join(name);
        if fs::read_link(&path).is_ok_and(|there| there == to) {
            return Ok(());
        }
        let temporary = self.0.join(over);
        remove(&temporary)?;
        symlink(to, &temporary).map_err(at(&temporary))?;
        fs::rename(&temporary, &path).map_err(at(&path))?;
        sync(&self.0)
    }

    /// Removes all versions but the present one and the one before.
    fn sweep(&self, present: &str, before: Option<u64>) -> Result<()> {
        let before = before.map(|number| format!("{VERSION}{number}"));
        for entry in fs::read_dir(&self.0).map_err(at(&self.0))? {
            let entry = entry.map_err(at(&self.0))?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(VERSION)
                && name != present
                && Some(name.as_ref()) != before.as_deref()
            {
                remove_all(&entry.path())?;
            }
        }
        Ok(())
    }
}

/// Replaces a file as a whole, for everybody to read.
///
/// # Errors
/// If it cannot be written.
pub fn replace(path: &Path, text: &str) -> Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".next");
    let temporary = PathBuf::from(temporary);
    fs::write(&temporary, text).map_err(at(&temporary))?;
    fs::rename(&temporary, path).map_err(at(path))
}

fn read(path: &Path) -> Result<Option<Secret>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(Secret::new(text))),
        // Whatever is there that is no text is nothing that we put there.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData) => {
            Ok(None)
        }
        Err(error) => Err(at(path)(error)),
    }
}

fn write(path: &Path, content: &Secret) -> Result<()> {
    let mut how = OpenOptions::new();
    let mut file = how
        .write(true)
        .create_new(true)
        .mode(0o440)
        .open(path)
        .map_err(at(path))?;
    file.write_all(content.reveal().as_bytes())
        .map_err(at(path))?;
    // Whatever the umask of the process is.
    let mode = Permissions::from_mode(0o440);
    file.set_permissions(mode).map_err(at(path))?;
    file.sync_all().map_err(at(path))
}

fn sync(directory: &Path) -> Result<()> {
    let opened = File::open(directory);
    opened
        .and_then(|opened| opened.sync_all())
        .map_err(at(directory))
}

fn remove(path: &Path) -> Result<()> {
    absent(fs::remove_file(path), path)
}

fn remove_all(path: &Path) -> Result<()> {
    absent(fs::remove_dir_all(path), path)
}

fn absent(removed: io::Result<()>, path: &Path) -> Result<()> {
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(at(path)(error)),
        _ => Ok(()),
    }
}
