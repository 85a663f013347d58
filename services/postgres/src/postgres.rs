//! A private server that runs.

use std::{
    fmt,
    future::Future,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::{sync::watch, time::timeout};

use crate::{Error, keeper::signal, sql};

/// How long an orderly stop may take: the last checkpoint writes everything out.
const STOP_WITHIN: Duration = Duration::from_secs(60);

/// How long PostgreSQL may take to drop everything at once.
const QUIT_WITHIN: Duration = Duration::from_secs(5);

/// A running private server. Dropping it asks the server to stop without waiting; [`Postgres::stop`] waits.
#[derive(Debug)]
pub struct Postgres {
    pid: u32,
    major: u32,
    cluster: PathBuf,
    socket_dir: PathBuf,
    /// Removes a temporary socket directory at the end.
    _socket_guard: Option<TempDir>,
    exit: watch::Receiver<Option<Option<ExitStatus>>>,
}

/// How a server ended; displays as a sentence for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exited {
    status: Option<ExitStatus>,
}

impl Exited {
    /// Whether it ended because it was asked to, and cleanly.
    #[must_use]
    pub fn is_clean(self) -> bool {
        self.status.is_some_and(|status| status.success())
    }
}

impl fmt::Display for Exited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) if status.success() => f.write_str("PostgreSQL was stopped"),
            Some(status) => write!(f, "PostgreSQL ended with {status}"),
            None => f.write_str("PostgreSQL ended"),
        }
    }
}

impl Postgres {
    pub(crate) fn new(
        pid: u32,
        major: u32,
        cluster: PathBuf,
        socket_dir: PathBuf,
        socket_guard: Option<TempDir>,
        exit: watch::Receiver<Option<Option<ExitStatus>>>,
    ) -> Self {
        Self {
            pid,
            major,
            cluster,
            socket_dir,
            _socket_guard: socket_guard,
            exit,
        }
    }

    /// The address of a database for a role. Every role is let in without a password: the socket's directory is the
    /// lock. The superuser is [`crate::SUPERUSER`], and so is the name of the database that is always there.
    #[must_use]
    pub fn url(&self, database: &str, role: &str) -> String {
        sql::socket_url(&self.socket_dir, role, database)
    }

    /// The directory of the socket.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    /// PostgreSQL's own data directory.
    #[must_use]
    pub fn cluster_dir(&self) -> &Path {
        &self.cluster
    }

    /// The process number of the postmaster.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The major version.
    #[must_use]
    pub fn major(&self) -> u32 {
        self.major
    }

    /// Completes when the server has ended, for whatever reason: also when it was killed from outside. The future
    /// does not borrow from this value, so that a task of its own can await it.
    pub fn exited(&self) -> impl Future<Output = Exited> + Send + 'static {
        let mut exit = self.exit.clone();
        async move {
            let status = exit
                .wait_for(Option::is_some)
                .await
                .ok()
                .and_then(|seen| seen.flatten());
            Exited { status }
        }
    }

    /// Stops the server: it ends every session, writes a last checkpoint and goes. Stopping one that is gone already
    /// is no error.
    ///
    /// # Errors
    /// When it did not stop in time and was killed. Its data is safe then too.
    pub async fn stop(&self) -> Result<(), Error> {
        for (how, within) in [(Signal::INT, STOP_WITHIN), (Signal::QUIT, QUIT_WITHIN)] {
            self.signal(how);
            if timeout(within, self.exited()).await.is_ok() {
                return Ok(());
            }
        }
        self.signal(Signal::KILL);
        let _ = timeout(QUIT_WITHIN, self.exited()).await;
        Err(Error::NotStopped {
            pid: self.pid,
            seconds: (STOP_WITHIN + QUIT_WITHIN).as_secs(),
        })
    }

    /// Kills the postmaster as a crash would, without any warning, and waits until it is gone. Its children follow
    /// by themselves.
    pub async fn kill(&self) {
        self.signal(Signal::KILL);
        self.exited().await;
    }

    /// Ends every session and the server at once, without the last checkpoint: for data that is thrown away.
    pub(crate) async fn quit(&self) -> Exited {
        self.signal(Signal::QUIT);
        self.exited().await
    }

    /// Signals the postmaster while it has not been waited for, after which its number may be somebody else's.
    fn signal(&self, how: Signal) {
        if self.exit.borrow().is_none() {
            signal(self.pid, how);
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.signal(Signal::INT);
    }
}
