//! What can go wrong while a private server is found, made, started or stopped.

use std::{io, path::PathBuf};

/// Why a private server could not be had. Each message says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No usable binaries were found.
    #[error(
        "PostgreSQL {needed} was not found (looked at: {looked}). Install it with `{install}`, \
         or set PORTCULLIS_POSTGRES_BINARIES to the directory that holds `postgres` and `initdb`"
    )]
    NotInstalled {
        /// The version asked for, in words.
        needed: String,
        /// The places that were looked at, with the version found there.
        looked: String,
        /// The command that installs it on this machine.
        install: String,
    },
    /// The account that runs PostgreSQL cannot enter a directory above its data.
    #[error(
        "the account {account} that runs PostgreSQL cannot enter {}; choose another data directory or run `chmod o+x {}`",
        directory.display(), directory.display()
    )]
    NotEnterable {
        /// The first directory that is closed.
        directory: PathBuf,
        /// The account, by name or number.
        account: String,
    },
    /// Neither the data directory nor the temporary directory gives a socket path that fits.
    #[error("no directory for the socket gives a path of at most {limit} bytes; the last one tried was {}", path.display())]
    SocketPathTooLong {
        /// The socket's path.
        path: PathBuf,
        /// The most the operating system takes, in bytes.
        limit: usize,
    },
    /// Another PostgreSQL works on the same data directory.
    #[error("the data directory {} is in use by process {pid}; stop that one first", directory.display())]
    InUse {
        /// The cluster's directory.
        directory: PathBuf,
        /// A process that works there.
        pid: u32,
    },
    /// Making the cluster failed.
    #[error("initdb failed: {output}")]
    Initdb {
        /// What it said.
        output: String,
    },
    /// The server ended, or was not ready in time.
    #[error("PostgreSQL did not start: {reason}. The end of {} says:\n{tail}", log.display())]
    NotStarted {
        /// How it ended.
        reason: String,
        /// The log file.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// The server had to be killed because it did not stop in time. Its data is safe: the next start recovers.
    #[error("PostgreSQL (process {pid}) did not stop within {seconds} s and was killed")]
    NotStopped {
        /// The server's process.
        pid: u32,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The operating system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// The refusal.
        source: io::Error,
    },
    /// The server refused a statement of ours.
    #[error("{what}: {source}")]
    Sql {
        /// What was being done.
        what: String,
        /// The refusal.
        source: sqlx::Error,
    },
}

/// Adds what was being done to an error of the operating system.
pub(crate) trait Doing<T> {
    /// The same result with the activity named.
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::Io { what: what(), source })
    }
}

impl<T> Doing<T> for Result<T, sqlx::Error> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::Sql { what: what(), source })
    }
}
