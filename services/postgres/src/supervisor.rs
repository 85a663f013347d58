//! Starting a private server.

use std::{
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use crate::{
    Error, Postgres, SUPERUSER,
    binaries::Binaries,
    cluster::{Layout, tail},
    keeper::{self, Running},
    occupants, sql,
};

/// How to run a private server.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where its data lives; made if absent. See [`crate::default_data_dir`]. Other files of the caller may lie in
    /// the same directory.
    pub data_dir: PathBuf,
    /// The directory with `postgres` and `initdb`; without it the newest installed ones are found.
    pub binaries: Option<PathBuf>,
    /// Whether a commit survives a power cut (`fsync`). Off only where the data is thrown away anyway.
    pub durable: bool,
    /// How many connections it takes at once.
    pub max_connections: u16,
    /// How long the first answer is waited for; a recovery after a crash may need a while.
    pub ready_within: Duration,
    /// Further settings of the server, such as `("synchronous_commit", "off")`.
    pub settings: Vec<(String, String)>,
}

impl Options {
    /// A durable server with its data in this directory and otherwise ordinary options.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            binaries: None,
            durable: true,
            max_connections: 100,
            ready_within: Duration::from_secs(60),
            settings: Vec::new(),
        }
    }
}

/// Starts private servers.
#[derive(Debug, Clone, Copy)]
pub struct Supervisor;

struct Prepared {
    layout: Layout,
    major: u32,
    socket_dir: PathBuf,
    socket_guard: Option<TempDir>,
}

impl Supervisor {
    /// Starts the server of a data directory and returns once it answers. The first start makes the cluster (about
    /// two seconds), every later one finds it.
    ///
    /// # Errors
    /// When no PostgreSQL of version 15 or newer is installed, the directory cannot be used, another server works in
    /// it, or the server does not come up; the message says which and what to do.
    pub async fn start(options: Options) -> Result<Postgres, Error> {
        Self::launch(options, false).await
    }

    /// The same for a server that may outlive this process, in which case the caller sees to its end.
    pub(crate) async fn launch(options: Options, outlives_us: bool) -> Result<Postgres, Error> {
        let ready_within = options.ready_within;
        let started = keeper::keep(move || prepare(&options, outlives_us))?;
        let lost = || Error::Io {
            what: "start PostgreSQL".to_owned(),
            source: std::io::ErrorKind::BrokenPipe.into(),
        };
        let Running { pid, exit, prepared } = started.await.map_err(|_| lost())??;
        let Prepared {
            layout,
            major,
            socket_dir,
            socket_guard,
        } = prepared;
        let postgres = Postgres::new(pid, major, layout.cluster(), socket_dir, socket_guard, exit);
        match wait_until_ready(&postgres, ready_within).await {
            Ok(()) => {
                tracing::info!(pid, major, data = %layout.root.display(), "PostgreSQL runs");
                Ok(postgres)
            }
            Err(reason) => {
                let _ = postgres.stop().await;
                Err(Error::NotStarted {
                    reason,
                    log: layout.log(),
                    tail: tail(&layout.log()),
                })
            }
        }
    }
}

fn prepare(options: &Options, outlives_us: bool) -> Result<(Command, Prepared), Error> {
    let layout = Layout::prepare(&options.data_dir)?;
    let made_by = layout.made_by();
    let binaries = Binaries::find(options.binaries.as_deref(), made_by)?;
    if made_by.is_none() {
        layout.make_cluster(&binaries, options.durable)?;
    }
    occupants::clear(&layout.cluster())?;
    let (socket_dir, socket_guard) = layout.socket_dir()?;
    let mut command = keeper::command(&binaries.program("postgres"), &layout.account);
    if !outlives_us {
        keeper::die_with_us(&mut command);
    }
    command.arg("-D").arg(layout.cluster()).arg("-k").arg(&socket_dir);
    for (name, value) in settings(options) {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    let (stdout, stderr) = layout.open_log()?;
    command.stdout(stdout).stderr(stderr);
    Ok((
        command,
        Prepared {
            layout,
            major: binaries.major,
            socket_dir,
            socket_guard,
        },
    ))
}

fn settings(options: &Options) -> Vec<(String, String)> {
    let connections = options.max_connections.to_string();
    let mut settings = vec![
        ("listen_addresses", ""),
        ("unix_socket_permissions", "0700"),
        ("max_connections", connections.as_str()),
        ("timezone", "UTC"),
        ("log_timezone", "UTC"),
        // The details of a refused row hold personal data.
        ("log_error_verbosity", "terse"),
        ("log_checkpoints", "off"),
        // Tables that have just been filled for the first time are planned as if they were empty until then.
        ("autovacuum_naptime", "10s"),
    ];
    if !options.durable {
        settings.extend([
            ("fsync", "off"),
            ("synchronous_commit", "off"),
            ("full_page_writes", "off"),
        ]);
    }
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    settings.into_iter().map(own).chain(options.settings.clone()).collect()
}

/// Tries to connect until it works, the server ends, or the time is over.
async fn wait_until_ready(postgres: &Postgres, within: Duration) -> Result<(), String> {
    let url = postgres.url(SUPERUSER, SUPERUSER);
    let began = Instant::now();
    let mut exited = std::pin::pin!(postgres.exited());
    loop {
        let refused = match PgConnection::connect(&url).await {
            Ok(connection) => {
                let _ = connection.close().await;
                return Ok(());
            }
            Err(refused) => refused,
        };
        if began.elapsed() > within {
            return Err(format!("it was not ready within {} s ({refused})", within.as_secs()));
        }
        tokio::select! {
            exited = &mut exited => return Err(exited.to_string()),
            () = tokio::time::sleep(Duration::from_millis(10)) => {}
        }
    }
}

impl Postgres {
    /// Makes a database of this name unless there is one.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn ensure_database(&self, name: &str) -> Result<(), Error> {
        let mut connection = sql::connect(&self.url(SUPERUSER, SUPERUSER)).await?;
        if !sql::database_exists(&mut connection, name).await? {
            sql::run(&mut connection, format!("create database {}", sql::identifier(name))).await?;
        }
        Ok(())
    }

    /// Makes a role of this name that may log in and nothing else, unless there is one.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn ensure_role(&self, name: &str) -> Result<(), Error> {
        let mut connection = sql::connect(&self.url(SUPERUSER, SUPERUSER)).await?;
        if !sql::role_exists(&mut connection, name).await? {
            sql::run(&mut connection, format!("create role {} login", sql::identifier(name))).await?;
        }
        Ok(())
    }
}
