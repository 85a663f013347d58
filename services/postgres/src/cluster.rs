//! The data directory: where things lie in it, and how the cluster is made.
//!
//! ```text
//! DATA_DIR/              enterable by the account that runs PostgreSQL
//!   cluster/             PostgreSQL's own, 0700
//!   socket/              0700: whoever can enter it is trusted
//!   postgres.log         since the last start; postgres.log.old before it
//! ```

use std::{
    env, fs,
    io::{Read, Seek, SeekFrom},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Stdio,
};

use tempfile::TempDir;

use crate::{
    SUPERUSER,
    account::Account,
    binaries::{Binaries, parse_major},
    error::{Doing, Error},
    keeper, sql,
};

/// The longest path of a Unix socket, in bytes, without its closing zero.
const LONGEST_SOCKET_PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Where `portcullis dev` keeps its data unless told: `/var/lib/portcullis` for root, otherwise `portcullis` in the
/// XDG data home. `None` when there is no home directory either.
#[must_use]
pub fn default_data_dir() -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Some(PathBuf::from("/var/lib/portcullis"));
    }
    let absolute = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path: &PathBuf| path.is_absolute())
    };
    absolute("XDG_DATA_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".local/share")))
        .map(|home| home.join("portcullis"))
}

/// A data directory that exists and that the account can enter.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) root: PathBuf,
    pub(crate) account: Account,
}

impl Layout {
    /// Makes the directory if need be. One that is ours is opened so far that the account can pass through it; those
    /// above are only checked.
    pub(crate) fn prepare(root: &Path) -> Result<Self, Error> {
        let what = || format!("make the data directory {}", root.display());
        let mode = if rustix::process::geteuid().is_root() {
            0o711
        } else {
            0o700
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(mode)
            .create(root)
            .doing(what)?;
        let root = root.canonicalize().doing(what)?;
        let account = Account::for_cluster(&root.join("cluster"));
        if account.dropped {
            let found = fs::metadata(&root).doing(what)?;
            if found.uid() == 0 && found.mode() & 0o111 != 0o111 {
                fs::set_permissions(&root, fs::Permissions::from_mode(found.mode() | 0o111)).doing(what)?;
            }
        }
        account.check_enterable(&root)?;
        Ok(Self { root, account })
    }

    pub(crate) fn cluster(&self) -> PathBuf {
        self.root.join("cluster")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("postgres.log")
    }

    /// The version that made the cluster, if there is one.
    pub(crate) fn made_by(&self) -> Option<u32> {
        parse_major(&fs::read_to_string(self.cluster().join("PG_VERSION")).ok()?)
    }

    /// Makes the cluster: under another name first, so that an interrupted attempt is never taken for a whole one.
    pub(crate) fn make_cluster(&self, binaries: &Binaries, durable: bool) -> Result<(), Error> {
        let unfinished = self.root.join("cluster.unfinished");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).doing(|| format!("remove {}", unfinished.display()))?;
        }
        self.account.own_private_dir(&unfinished)?;
        let mut initdb = keeper::command(&binaries.program("initdb"), &self.account);
        keeper::die_with_us(&mut initdb);
        initdb
            .args([
                "--data-checksums",
                "--encoding=UTF8",
                "--locale=C",
                "--auth-local=trust",
                "--auth-host=reject",
            ])
            .arg(format!("--username={SUPERUSER}"))
            .arg("--pgdata")
            .arg(&unfinished);
        if !durable {
            initdb.arg("--no-sync");
        }
        let output = initdb.output().doing(|| "run initdb".to_owned())?;
        if !output.status.success() {
            let said = [output.stderr, output.stdout].concat();
            return Err(Error::Initdb {
                output: String::from_utf8_lossy(&said).trim().to_owned(),
            });
        }
        fs::rename(&unfinished, self.cluster()).doing(|| "put the new cluster in its place".to_owned())
    }

    /// The directory of the socket: in the data directory, or where that path is too long a temporary one that is
    /// removed with the returned guard.
    pub(crate) fn socket_dir(&self) -> Result<(PathBuf, Option<TempDir>), Error> {
        let near = self.root.join("socket");
        if fits(&near) {
            self.account.own_private_dir(&near)?;
            return Ok((near, None));
        }
        let far = tempfile::Builder::new()
            .prefix("portcullis-socket-")
            .tempdir()
            .doing(|| "make a temporary directory for the socket".to_owned())?;
        if !fits(far.path()) {
            return Err(Error::SocketPathTooLong {
                path: socket_in(far.path()),
                limit: LONGEST_SOCKET_PATH,
            });
        }
        self.account.own_private_dir(far.path())?;
        self.account.check_enterable(far.path())?;
        Ok((far.path().to_owned(), Some(far)))
    }

    /// A fresh log for both streams of the server, the last one kept beside it.
    pub(crate) fn open_log(&self) -> Result<(Stdio, Stdio), Error> {
        let log = self.log();
        if log.exists() {
            fs::rename(&log, self.root.join("postgres.log.old")).doing(|| "keep the last log".to_owned())?;
        }
        let what = || format!("open {}", log.display());
        let file = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&log)
            .doing(what)?;
        Ok((file.try_clone().doing(what)?.into(), file.into()))
    }
}

/// The end of a log, for an error message.
pub(crate) fn tail(log: &Path) -> String {
    const BYTES: u64 = 2_000;
    let read = || -> std::io::Result<String> {
        let mut file = fs::File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(BYTES)))?;
        let mut end = Vec::new();
        file.read_to_end(&mut end)?;
        Ok(String::from_utf8_lossy(&end).trim().to_owned())
    };
    read().unwrap_or_else(|error| format!("({error})"))
}

fn socket_in(directory: &Path) -> PathBuf {
    directory.join(format!(".s.PGSQL.{}", sql::PORT))
}

fn fits(directory: &Path) -> bool {
    socket_in(directory).as_os_str().len() <= LONGEST_SOCKET_PATH
}

#[cfg(test)]
mod tests {
    use super::*;

    fn private_dir() -> TempDir {
        tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir()
            .unwrap()
    }

    #[test]
    fn a_socket_path_of_the_longest_length_fits_and_one_byte_more_does_not() {
        let file = "/.s.PGSQL.5432".len();
        assert!(fits(Path::new(&format!(
            "/{}",
            "d".repeat(LONGEST_SOCKET_PATH - file - 1)
        ))));
        assert!(!fits(Path::new(&format!(
            "/{}",
            "d".repeat(LONGEST_SOCKET_PATH - file)
        ))));
    }

    #[test]
    fn a_closed_directory_above_the_data_is_named() {
        let closed = private_dir();
        let inner = closed.path().join("data");
        let outcome = Layout::prepare(&inner);
        if rustix::process::geteuid().is_root() {
            let named = closed.path().canonicalize().unwrap();
            assert!(
                matches!(&outcome, Err(Error::NotEnterable { directory, .. }) if *directory == named),
                "{outcome:?}"
            );
        } else {
            assert!(!outcome.unwrap().account.dropped);
        }
    }

    #[test]
    fn the_data_directory_itself_is_opened_just_far_enough() {
        let data = private_dir();
        let layout = Layout::prepare(data.path()).unwrap();
        let mode = fs::metadata(data.path()).unwrap().mode() & 0o777;
        assert_eq!(mode, if layout.account.dropped { 0o711 } else { 0o700 });
    }
}
