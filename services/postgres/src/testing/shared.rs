//! The one server of a test run.
//!
//! `cargo nextest` runs a process per test, so the server has to outlive the process that started it, and end with
//! the run. A small shell loop sees to that: it waits for the runner to go, then ends the server and removes its
//! files. It holds none of the test's streams open and sits in a process group of its own.

use std::{
    env, fs,
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use tokio::sync::OnceCell;
use url::Url;

use super::{ROLES, SERVER_VARIABLE, done, lock};
use crate::{
    Error, Options, SUPERUSER, Supervisor,
    error::Doing,
    sql::{self, socket_url},
};

/// Connections a test server takes: many tests at once, each with a pool or two.
pub(super) const CONNECTIONS: u16 = 300;

/// Waits for a process, then ends a server and removes its files. The waiting for the server is bounded, as a
/// container without an init process keeps dead processes listed.
const JANITOR: &str = r#"
while kill -0 "$1" 2>/dev/null; do sleep 1; done
kill -QUIT "$2" 2>/dev/null
rounds=0
while kill -0 "$2" 2>/dev/null && [ "$rounds" -lt 50 ]; do sleep 0.1; rounds=$((rounds + 1)); done
rm -rf -- "$3"
"#;

/// How to reach the server of the run.
#[derive(Debug)]
pub(super) enum Address {
    Socket(PathBuf),
    Remote(Url),
}

impl Address {
    fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with('/') {
            return Ok(Self::Socket(PathBuf::from(text)));
        }
        let url = Url::parse(text).map_err(|error| format!("{SERVER_VARIABLE} is no address: {error}"))?;
        if !["postgres", "postgresql"].contains(&url.scheme()) || url.cannot_be_a_base() {
            return Err(format!(
                "{SERVER_VARIABLE} must be a socket directory or start with postgres://"
            ));
        }
        Ok(Self::Remote(url))
    }

    pub(super) fn admin_url(&self, database: &str) -> String {
        match self {
            Self::Socket(directory) => socket_url(directory, SUPERUSER, database),
            Self::Remote(url) => on_database(url.clone(), database),
        }
    }

    /// The roles have the superuser's password, where there is one.
    pub(super) fn url(&self, role: &str, database: &str) -> String {
        match self {
            Self::Socket(directory) => socket_url(directory, role, database),
            Self::Remote(url) => {
                let mut url = url.clone();
                let _ = url.set_username(role);
                on_database(url, database)
            }
        }
    }

    /// Makes the roles, once for all processes that try.
    async fn ensure_roles(&self) -> Result<(), Error> {
        let mut connection = sql::connect(&self.admin_url(SUPERUSER)).await?;
        lock(&mut connection, "portcullis test roles").await?;
        let password = match self {
            Self::Remote(url) => url.password().map(|encoded| decoded(encoded).replace('\'', "''")),
            Self::Socket(_) => None,
        };
        for role in ROLES {
            if !sql::role_exists(&mut connection, role).await? {
                let with = password
                    .as_ref()
                    .map(|password| format!(" password '{password}'"))
                    .unwrap_or_default();
                sql::run(
                    &mut connection,
                    format!("create role {} login{with}", sql::identifier(role)),
                )
                .await?;
            }
        }
        Ok(())
    }
}

fn on_database(mut url: Url, database: &str) -> String {
    url.set_path(database);
    url.into()
}

/// Percent-decoding by way of the parser of queries, in which only `+` means something else.
fn decoded(text: &str) -> String {
    let query = format!("x={}", text.replace('+', "%2B"));
    url::form_urlencoded::parse(query.as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

/// The server of the run, found or started once a process.
pub(super) async fn address() -> Arc<Address> {
    static ADDRESS: OnceCell<Arc<Address>> = OnceCell::const_new();
    let find = || async {
        let address = match env::var(SERVER_VARIABLE) {
            Ok(text) if !text.is_empty() => done("understand the setting", Address::parse(&text)),
            _ => Address::Socket(done("start the server of the test run", find_or_start().await)),
        };
        done("make the roles", address.ensure_roles().await);
        Arc::new(address)
    };
    ADDRESS.get_or_init(find).await.clone()
}

/// The directory with PostgreSQL's programs that the developer chose, if any.
pub(super) fn binaries() -> Option<PathBuf> {
    env::var_os("PORTCULLIS_POSTGRES_BINARIES").map(PathBuf::from)
}

/// Finds the server another process of this run started, or starts it. The first holds a lock meanwhile.
async fn find_or_start() -> Result<PathBuf, Error> {
    let (run, owner) = match env::var("NEXTEST_RUN_ID") {
        Ok(run) => (run, std::os::unix::process::parent_id()),
        Err(_) => (std::process::id().to_string(), std::process::id()),
    };
    let home = env::temp_dir().join(format!("portcullis-test-{run}"));
    make_own(&home).doing(|| format!("make {} our own", home.display()))?;
    let locked = {
        let path = home.join("lock");
        let open_and_lock = move || -> io::Result<fs::File> {
            let file = fs::OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)?;
            file.lock()?;
            Ok(file)
        };
        tokio::task::spawn_blocking(open_and_lock)
            .await
            .map_err(io::Error::other)
            .flatten()
    };
    let mut lock = locked.doing(|| "lock the directory of the test run".to_owned())?;
    let mut socket_dir = String::new();
    lock.read_to_string(&mut socket_dir)
        .doing(|| "read the socket's place".to_owned())?;
    if !socket_dir.is_empty() {
        return Ok(PathBuf::from(socket_dir));
    }
    let options = Options {
        binaries: binaries(),
        durable: false,
        max_connections: CONNECTIONS,
        ..Options::new(&home)
    };
    let postgres = Supervisor::launch(options, true).await?;
    start_janitor(owner, postgres.pid(), &home).doing(|| "start what cleans up".to_owned())?;
    let found = postgres.socket_dir().to_owned();
    // The janitor ends it, not this process.
    std::mem::forget(postgres);
    lock.write_all(found.as_os_str().as_encoded_bytes())
        .doing(|| "note the socket's place".to_owned())?;
    Ok(found)
}

/// Makes a directory, or sees that the one that is there is ours: the name can be guessed by others.
fn make_own(home: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o711).create(home) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = fs::symlink_metadata(home)?;
    if found.is_dir() && found.uid() == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        "it belongs to somebody else",
    ))
}

fn start_janitor(owner: u32, postmaster: u32, home: &Path) -> io::Result<()> {
    Command::new("sh")
        .args(["-c", JANITOR, "janitor", &owner.to_string(), &postmaster.to_string()])
        .arg(home)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_a_socket_directory_or_an_address() {
        let socket = Address::parse("/run/x").unwrap();
        assert_eq!(
            socket.url("portcullis_app", "t"),
            "postgres://portcullis_app@%2Frun%2Fx:5432/t"
        );
        let remote = Address::parse("postgres://admin:s%27e+c@db:5433/postgres?sslmode=disable").unwrap();
        assert_eq!(
            remote.url("portcullis_app", "t"),
            "postgres://portcullis_app:s%27e+c@db:5433/t?sslmode=disable"
        );
        assert_eq!(
            remote.admin_url("t"),
            "postgres://admin:s%27e+c@db:5433/t?sslmode=disable"
        );
        assert!(Address::parse("mysql://db/x").is_err());
        assert!(Address::parse("db").is_err());
    }

    #[test]
    fn a_password_is_decoded_whole() {
        assert_eq!(decoded("s%27e+c%26d"), "s'e+c&d");
    }
}
