//! The agent's own files: readable by its own user only, replaced as a whole or not at all.
//!
//! A file is written beside its place, flushed, renamed over the old one, and the directory is flushed. A process that is
//! killed at any moment leaves the old file or the new one; what it left beside them is swept at the next start.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// Trouble with a file of the agent.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The operating system said no.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Others may read or write what is the agent's alone.
    #[error("{}: others than its owner may enter it; make it mode 0700", .0.display())]
    Open(PathBuf),
    /// Another process uses the directory.
    #[error("{}: another agent is at work here", .0.display())]
    Busy(PathBuf),
    /// A file is there, but not what was written.
    #[error("{path}: {reason}", path = path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Nothing is there.
    #[error("{}: no agent has registered here", .0.display())]
    Empty(PathBuf),
}

/// Where the state is: a directory, or nowhere (the simulated agents of a fleet).
#[derive(Debug)]
pub struct Disk {
    dir: Option<PathBuf>,
    /// Held as long as the agent lives. Without it nothing is written.
    lock: Option<File>,
}

impl Disk {
    /// No directory: nothing is kept.
    #[must_use]
    pub const fn nowhere() -> Self {
        Self { dir: None, lock: None }
    }

    /// A look into a directory that another process may be at work in: nothing is written.
    #[must_use]
    pub fn peek(dir: &Path) -> Self {
        Self {
            dir: Some(dir.to_owned()),
            lock: None,
        }
    }

    /// Takes the directory for this process, and makes it if it is not there.
    ///
    /// # Errors
    /// [`DiskError`], [`DiskError::Busy`] where another process has it.
    pub fn open(dir: &Path) -> Result<Self, DiskError> {
        let io = |source| DiskError::Io {
            path: dir.to_owned(),
            source,
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(io)?;
        if fs::metadata(dir).map_err(io)?.mode() & 0o077 != 0 {
            return Err(DiskError::Open(dir.to_owned()));
        }
        let lock = private().create(true).write(true).open(dir.join("lock")).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DiskError::Busy(dir.to_owned())),
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        for entry in fs::read_dir(dir).map_err(io)? {
            let path = entry.map_err(io)?.path();
            if path.extension().is_some_and(|e| e == "new") {
                fs::remove_file(&path).map_err(io)?;
            }
        }
        Ok(Self {
            dir: Some(dir.to_owned()),
            lock: Some(lock),
        })
    }

    /// Where a file is, unless nothing is kept.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.dir.as_ref().map(|dir| dir.join(name))
    }

    /// Where a file is to be written, unless nothing is.
    pub(crate) fn writable(&self, name: &str) -> Option<PathBuf> {
        self.lock.as_ref().and_then(|_| self.path(name))
    }

    /// The content of a file, if there is one.
    ///
    /// # Errors
    /// [`DiskError::Io`]
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, DiskError> {
        let Some(path) = self.path(name) else { return Ok(None) };
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(DiskError::Io { path, source }),
        }
    }

    /// Replaces a file durably.
    ///
    /// # Errors
    /// [`DiskError::Io`]; the old content is there then.
    pub fn replace(&self, name: &str, parts: &[&[u8]]) -> Result<(), DiskError> {
        let Some(path) = self.writable(name) else { return Ok(()) };
        let beside = path.with_extension("new");
        let write = || -> io::Result<()> {
            let mut file = private().create(true).truncate(true).write(true).open(&beside)?;
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
            for part in parts {
                file.write_all(part)?;
            }
            file.sync_all()?;
            fs::rename(&beside, &path)?;
            match path.parent() {
                Some(dir) => File::open(dir)?.sync_all(),
                None => Ok(()),
            }
        };
        write().map_err(|source| DiskError::Io {
            path: path.clone(),
            source,
        })
    }

    /// Removes a file, if it is there.
    ///
    /// # Errors
    /// [`DiskError::Io`]
    pub fn remove(&self, name: &str) -> Result<(), DiskError> {
        let Some(path) = self.writable(name) else { return Ok(()) };
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(DiskError::Io { path, source }),
            _ => Ok(()),
        }
    }

    /// Replaces a file with a value as JSON.
    ///
    /// # Errors
    /// As [`Disk::replace`].
    pub fn replace_json<T: serde::Serialize>(&self, name: &str, value: &T) -> Result<(), DiskError> {
        let bytes = serde_json::to_vec(value).map_err(|e| self.damaged(name, e))?;
        self.replace(name, &[&bytes])
    }

    /// A value that was kept as JSON.
    ///
    /// # Errors
    /// [`DiskError::Io`], [`DiskError::Damaged`].
    pub fn read_json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<Option<T>, DiskError> {
        let Some(bytes) = self.read(name)? else { return Ok(None) };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|e| self.damaged(name, e))
    }

    /// The error for a file whose content is not what was written.
    pub(crate) fn damaged(&self, name: &str, reason: impl ToString) -> DiskError {
        DiskError::Damaged {
            path: self.path(name).unwrap_or_else(|| name.into()),
            reason: reason.to_string(),
        }
    }
}

/// Options for files that only their owner may read.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_readable_by_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("state");
        let disk = Disk::open(&dir).unwrap();
        disk.replace("a.json", &[b"old"]).unwrap();
        disk.replace("a.json", &[b"n", b"ew"]).unwrap();
        assert_eq!(disk.read("a.json").unwrap().unwrap(), b"new");
        assert_eq!(fs::metadata(dir.join("a.json")).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn what_a_killed_process_left_beside_a_file_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("state");
        let disk = Disk::open(&dir).unwrap();
        disk.replace("a.json", &[b"old"]).unwrap();
        drop(disk);
        fs::write(dir.join("a.new"), b"ha").unwrap();
        let disk = Disk::open(&dir).unwrap();
        assert_eq!(disk.read("a.json").unwrap().unwrap(), b"old");
        assert!(!dir.join("a.new").exists());
    }

    #[test]
    fn a_second_process_and_an_open_directory_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("state");
        let first = Disk::open(&dir).unwrap();
        assert!(matches!(Disk::open(&dir), Err(DiskError::Busy(_))));
        drop(first);
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o750)).unwrap();
        assert!(matches!(Disk::open(&dir), Err(DiskError::Open(_))));
    }
}
