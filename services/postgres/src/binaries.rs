//! Finding the installed PostgreSQL.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::error::Error;

/// The oldest major version that is taken.
pub const MINIMUM_MAJOR: u32 = 15;

/// A directory with `postgres` and `initdb`, and their major version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binaries {
    pub(crate) directory: PathBuf,
    pub(crate) major: u32,
}

impl Binaries {
    /// Finds binaries: those of the setting and no others, else the newest of the packaged ones, the `PATH`'s and
    /// Homebrew's. An existing cluster needs the major version that made it.
    pub(crate) fn find(setting: Option<&Path>, made_by: Option<u32>) -> Result<Self, Error> {
        let candidates = match setting {
            Some(directory) => vec![directory.to_owned()],
            None => candidates(),
        };
        let mut looked = Vec::new();
        for directory in candidates {
            match major_of(&directory) {
                Some(major) if fits(major, made_by) => return Ok(Self { directory, major }),
                Some(major) => looked.push(format!("{} has version {major}", directory.display())),
                None => looked.push(directory.display().to_string()),
            }
        }
        Err(Error::NotInstalled {
            needed: match made_by {
                Some(major) => format!("{major}, which made the existing data,"),
                None => format!("{MINIMUM_MAJOR} or newer"),
            },
            looked: if looked.is_empty() {
                "nothing to look at".to_owned()
            } else {
                looked.join(", ")
            },
            install: install_command(),
        })
    }

    /// One of the programs.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

fn fits(major: u32, made_by: Option<u32>) -> bool {
    major >= MINIMUM_MAJOR && made_by.is_none_or(|made_by| made_by == major)
}

/// The places to look at, the preferred first.
fn candidates() -> Vec<PathBuf> {
    let mut found = numbered(Path::new("/usr/lib/postgresql"), "", "bin");
    found.extend(numbered(Path::new("/usr"), "pgsql-", "bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    found.extend(env::split_paths(&path).filter(|directory| holds_programs(directory)));
    for homebrew in ["/opt/homebrew/opt", "/usr/local/opt", "/home/linuxbrew/.linuxbrew/opt"] {
        found.extend(numbered(Path::new(homebrew), "postgresql@", "bin"));
    }
    found.retain(|directory| holds_programs(directory));
    found
}

fn holds_programs(directory: &Path) -> bool {
    ["postgres", "initdb"]
        .iter()
        .all(|program| directory.join(program).is_file())
}

/// `root/<prefix><number>/<end>` for every number there is, the highest first.
fn numbered(root: &Path, prefix: &str, end: &str) -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((number, entry.path().join(end)))
        })
        .collect();
    found.sort_by(|left, right| right.cmp(left));
    found.into_iter().map(|(_, path)| path).collect()
}

fn major_of(directory: &Path) -> Option<u32> {
    let output = Command::new(directory.join("postgres"))
        .arg("--version")
        .output()
        .ok()?;
    directory
        .join("initdb")
        .is_file()
        .then(|| parse_major(&String::from_utf8_lossy(&output.stdout)))?
}

/// The major version in `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, or in a cluster's `PG_VERSION`.
pub(crate) fn parse_major(text: &str) -> Option<u32> {
    let number = text.rsplit("(PostgreSQL)").next()?.trim_start();
    let digits = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number[..digits].parse().ok()
}

/// The command that installs PostgreSQL on this machine.
#[must_use]
pub fn install_command() -> String {
    let sudo = if rustix::process::geteuid().is_root() {
        ""
    } else {
        "sudo "
    };
    install_command_for(
        env::consts::OS,
        &fs::read_to_string("/etc/os-release").unwrap_or_default(),
        sudo,
    )
}

fn install_command_for(os: &str, release: &str, sudo: &str) -> String {
    if os == "macos" {
        return "brew install postgresql@17".to_owned();
    }
    let families: Vec<&str> = release
        .lines()
        .filter_map(|line| line.strip_prefix("ID=").or_else(|| line.strip_prefix("ID_LIKE=")))
        .flat_map(|value| value.trim_matches('"').split_whitespace())
        .collect();
    let is = |name: &str| families.contains(&name);
    if is("fedora") || is("rhel") || is("centos") {
        format!("{sudo}dnf install -y postgresql-server")
    } else if is("alpine") {
        format!("{sudo}apk add postgresql")
    } else if is("arch") {
        format!("{sudo}pacman -S --noconfirm postgresql")
    } else if is("suse") || is("opensuse") {
        format!("{sudo}zypper install -y postgresql-server")
    } else {
        format!("{sudo}apt-get install -y postgresql")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_either_text() {
        assert_eq!(
            parse_major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"),
            Some(15)
        );
        assert_eq!(parse_major("postgres (PostgreSQL) 18beta2\n"), Some(18));
        assert_eq!(parse_major("16\n"), Some(16));
        assert_eq!(parse_major("psql: not found"), None);
    }

    #[test]
    fn versions_that_are_too_old_or_not_the_clusters_own_do_not_fit() {
        assert!(!fits(14, None));
        assert!(fits(15, None));
        assert!(!fits(17, Some(15)));
        assert!(!fits(14, Some(14)));
    }

    #[test]
    fn numbers_are_ordered_as_numbers() {
        let root = tempfile::tempdir().unwrap();
        for name in ["9", "15", "17", "common"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        let found = numbered(root.path(), "", "bin");
        assert_eq!(found, ["17/bin", "15/bin", "9/bin"].map(|end| root.path().join(end)));
    }

    #[test]
    fn a_setting_that_leads_nowhere_is_an_error_that_names_the_install_command() {
        let nowhere = tempfile::tempdir().unwrap();
        let error = Binaries::find(Some(nowhere.path()), None).unwrap_err().to_string();
        assert!(error.contains(&install_command()), "{error}");
        assert!(error.contains(&nowhere.path().display().to_string()), "{error}");
    }

    #[test]
    fn each_system_has_its_own_install_command() {
        let on = |release: &str| install_command_for("linux", release, "sudo ");
        assert_eq!(on("ID=ubuntu\nID_LIKE=debian\n"), "sudo apt-get install -y postgresql");
        assert_eq!(
            on("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"),
            "sudo dnf install -y postgresql-server"
        );
        assert_eq!(on("ID=alpine\n"), "sudo apk add postgresql");
        assert_eq!(install_command_for("macos", "", ""), "brew install postgresql@17");
    }
}
