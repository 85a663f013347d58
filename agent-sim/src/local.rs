//! The machine the agent runs on: its name, its accounts, its programs, its time.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use formats::{
    Timestamp,
    agent_wire::{InstalledApplication, Inventory, MachineInfo},
    hash::to_hex,
};
use policy_engine::{LocalTime, Os, User};
use sha2::{Digest, Sha256};
use uzers::os::unix::GroupExt;

/// The operating system that this program was built for.
pub const OS: Os = if cfg!(target_os = "macos") {
    Os::Macos
} else {
    Os::Linux
};

/// The most programs in an inventory.
const MAX_APPLICATIONS: usize = 10_000;

/// The machine as it describes itself.
///
/// # Errors
/// Where it has no name, or no id that stays.
pub fn machine() -> io::Result<MachineInfo> {
    let name = read_line("/proc/sys/kernel/hostname").or_else(|_| read_line("/etc/hostname"))?;
    let machine_id = read_line("/etc/machine-id").or_else(|_| read_line("/var/lib/dbus/machine-id"))?;
    Ok(MachineInfo {
        name,
        os: OS,
        os_version: os_version(),
        machine_id,
    })
}

fn read_line(path: &str) -> io::Result<String> {
    let text = fs::read_to_string(path)?;
    let line = text.trim();
    if line.is_empty() {
        Err(io::Error::new(io::ErrorKind::InvalidData, path))
    } else {
        Ok(line.to_owned())
    }
}

fn os_version() -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(
        || std::env::consts::OS.to_owned(),
        |name| name.trim_matches('"').to_owned(),
    )
}

/// The account of this uid with its groups, as the system names them; none for a uid without a name.
#[must_use]
pub fn account(uid: u32) -> Option<User> {
    let user = uzers::get_user_by_uid(uid)?;
    let name = user.name().to_str()?.to_owned();
    let groups = uzers::get_user_groups(user.name(), user.primary_group_id()).unwrap_or_default();
    let groups = groups
        .iter()
        .filter_map(|group| group.name().to_str().map(str::to_owned))
        .collect();
    Some(User { name, groups })
}

/// The values of the variables for this account.
#[must_use]
pub fn variables(uid: u32) -> BTreeMap<String, String> {
    use uzers::os::unix::UserExt;
    let mut values = BTreeMap::from([("temp".to_owned(), "/tmp".to_owned())]);
    if let Some(home) = uzers::get_user_by_uid(uid).and_then(|user| user.home_dir().to_str().map(str::to_owned)) {
        values.insert("downloads".to_owned(), format!("{home}/Downloads"));
        values.insert("desktop".to_owned(), format!("{home}/Desktop"));
        values.insert("userprofile".to_owned(), home.clone());
        values.insert("home".to_owned(), home);
    }
    values
}

/// The moment on the machine's own clock, with its offset.
#[must_use]
pub fn local_time(now: Timestamp) -> LocalTime {
    let zoned = jiff::Timestamp::from_millisecond(now.millis()).map(|at| {
        at.to_zoned(jiff::tz::TimeZone::system())
            .strftime("%Y-%m-%dT%H:%M:%S%:z")
            .to_string()
    });
    zoned
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| now.to_string().parse().expect("a timestamp is RFC 3339"))
}

/// The final path of what is opened: links resolved, in the existing part of it.
#[must_use]
pub fn final_path(path: &Path) -> PathBuf {
    if let Ok(found) = fs::canonicalize(path) {
        return found;
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => final_path(parent).join(name),
        _ => path.to_owned(),
    }
}

/// Hashes of programs, kept as long as device, inode, size and both times stay the same.
#[derive(Debug, Default)]
pub struct Hashes(Mutex<HashMap<(u64, u64, u64), Known>>);

#[derive(Debug, Clone)]
struct Known {
    times: [i64; 4],
    sha256: String,
}

impl Hashes {
    /// SHA-256 of the file's content, in hexadecimal digits.
    ///
    /// # Errors
    /// Where it can't be read.
    pub fn of(&self, path: &Path) -> io::Result<String> {
        let mut file = File::open(path)?;
        // Of the opened file, so that it is not another one by then.
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file"));
        }
        let key = (meta.dev(), meta.ino(), meta.size());
        let times = [meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()];
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(known) = known.filter(|known| known.times == times) {
            return Ok(known.sha256);
        }
        let mut hasher = Sha256::new();
        io::copy(&mut file, &mut hasher)?;
        let sha256 = to_hex(&hasher.finalize());
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= 10_000 {
            kept.clear();
        }
        kept.insert(
            key,
            Known {
                times,
                sha256: sha256.clone(),
            },
        );
        Ok(sha256)
    }
}

/// Where a package's own program is looked for.
const PROGRAMS: [&str; 4] = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"];

/// What is on the machine: the packages that dpkg knows, each with the program of its name, and the members of the groups
/// that may become root.
#[must_use]
pub fn inventory() -> Inventory {
    let status = fs::read_to_string("/var/lib/dpkg/status").unwrap_or_default();
    let mut administrators: Vec<String> = ["sudo", "wheel", "admin"]
        .iter()
        .filter_map(uzers::get_group_by_name)
        .flat_map(|group| {
            group
                .members()
                .iter()
                .filter_map(|m| m.to_str().map(str::to_owned))
                .collect::<Vec<_>>()
        })
        .collect();
    administrators.sort();
    administrators.dedup();
    Inventory {
        os_version: os_version(),
        applications: status
            .split("\n\n")
            .filter_map(package)
            .take(MAX_APPLICATIONS)
            .map(|package| with_program(package, &PROGRAMS))
            .collect(),
        administrators,
    }
}

/// One paragraph of dpkg's list, if the package is installed.
fn package(paragraph: &str) -> Option<InstalledApplication> {
    let field = |name: &str| {
        let line = paragraph.lines().find(|line| line.starts_with(name))?;
        line[name.len()..].strip_prefix(": ").map(str::to_owned)
    };
    if field("Status")? != "install ok installed" {
        return None;
    }
    Some(InstalledApplication {
        name: field("Package")?,
        version: field("Version")?,
        publisher: field("Maintainer"),
        ..InstalledApplication::default()
    })
}

/// With the program that is called like the package, as actions name it, if there is one in these directories.
fn with_program(package: InstalledApplication, directories: &[&str]) -> InstalledApplication {
    let mut programs = directories
        .iter()
        .map(|directory| Path::new(directory).join(&package.name));
    let Some(program) = programs.find(|program| program.is_file()) else {
        return package;
    };
    let path = final_path(&program);
    InstalledApplication {
        sha256: Hashes::default().of(&path).ok(),
        path: path.to_str().map(str::to_owned),
        ..package
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_followed_and_a_missing_file_keeps_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        fs::write(real.join("tool"), "x").unwrap();
        std::os::unix::fs::symlink(real.join("tool"), real.join("link")).unwrap();
        std::os::unix::fs::symlink(&real, real.join("dir")).unwrap();
        assert_eq!(final_path(&real.join("link")), real.join("tool"));
        assert_eq!(final_path(&real.join("dir/new/file")), real.join("new/file"));
    }

    #[test]
    fn a_changed_file_is_hashed_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tool");
        let hashes = Hashes::default();
        fs::write(&path, "abc").unwrap();
        let first = hashes.of(&path).unwrap();
        assert_eq!(
            first,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(hashes.of(&path).unwrap(), first);
        fs::write(&path, "abcd").unwrap();
        assert_ne!(hashes.of(&path).unwrap(), first);
        assert!(hashes.of(dir.path()).is_err());
    }

    #[test]
    fn only_installed_packages_are_listed() {
        let text = "Package: vim\nStatus: install ok installed\nMaintainer: Vim people\nVersion: 2:9.0\nDescription: an editor\n Status: no";
        let found = package(text).unwrap();
        assert_eq!((found.name.as_str(), found.version.as_str()), ("vim", "2:9.0"));
        assert_eq!(
            package("Package: gone\nStatus: deinstall ok config-files\nVersion: 1"),
            None
        );
        assert_eq!(package(""), None);
    }

    #[test]
    fn a_package_is_listed_with_the_program_of_its_name_as_an_action_would_name_it() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        fs::write(real.join("vim.basic"), "abc").unwrap();
        std::os::unix::fs::symlink(real.join("vim.basic"), real.join("vim")).unwrap();
        let package = |name: &str| InstalledApplication {
            name: name.to_owned(),
            ..InstalledApplication::default()
        };
        let found = with_program(package("vim"), &["/nowhere", real.to_str().unwrap()]);
        assert_eq!(found.path.as_deref(), real.join("vim.basic").to_str());
        assert_eq!(found.sha256, Hashes::default().of(&real.join("vim")).ok());
        assert!(found.sha256.is_some());
        assert_eq!(
            with_program(package("fonts"), &[real.to_str().unwrap()]),
            package("fonts")
        );
    }

    #[test]
    fn root_has_a_name_and_a_nobody_has_none() {
        assert_eq!(account(0).unwrap().name, "root");
        assert_eq!(account(4_000_000_123), None);
    }

    #[test]
    fn the_local_time_is_the_same_moment() {
        let now: Timestamp = "2026-03-02T09:00:05.000Z".parse().unwrap();
        assert_eq!(local_time(now).as_str().parse(), Ok(now));
    }
}
