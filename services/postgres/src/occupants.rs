//! Who works in a cluster's directory, and whether its `postmaster.pid` is a leftover.
//!
//! PostgreSQL judges a leftover by whether its process number is alive. After a reboot, or in a container, that number
//! may belong to anybody. Here the processes that really work in the directory are looked for; only when there are
//! none and the number is taken by a stranger is the file removed. Otherwise PostgreSQL's own check, which also sees
//! shared memory still in use, has the last word.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::{
    error::{Doing, Error},
    sql,
};

/// How long a server that is on its way out is waited for.
const GRACE: Duration = Duration::from_secs(30);

/// How long a server may look untouched: the signal its dying keeper sent may not have reached it yet.
const PATIENCE: Duration = Duration::from_secs(1);

/// Waits until nobody works in the directory and takes a misleading `postmaster.pid` away.
pub(crate) fn clear(cluster: &Path) -> Result<(), Error> {
    let began = Instant::now();
    while let Some(pid) = occupant(cluster) {
        let limit = if is_leaving(cluster, pid) { GRACE } else { PATIENCE };
        if began.elapsed() > limit {
            return Err(Error::InUse {
                directory: cluster.to_owned(),
                pid,
            });
        }
        thread::sleep(Duration::from_millis(20));
    }
    let file = cluster.join("postmaster.pid");
    if recorded_postmaster(cluster).is_some_and(|pid| Path::new("/proc").join(pid.to_string()).exists()) {
        fs::remove_file(&file).doing(|| format!("remove the stale {}", file.display()))?;
        // The socket's lock file names the same process and would be misread in the same way.
        let _ = fs::remove_file(
            cluster
                .with_file_name("socket")
                .join(format!(".s.PGSQL.{}.lock", sql::PORT)),
        );
    }
    Ok(())
}

/// A process whose working directory is the cluster: the postmaster and all its children have it.
fn occupant(cluster: &Path) -> Option<u32> {
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        (fs::read_link(entry.path().join("cwd")).ok()? == cluster).then_some(pid)
    })
}

/// Whether the server there is stopping: its postmaster was told to stop, or is gone and its children follow.
fn is_leaving(cluster: &Path, pid: u32) -> bool {
    let status = fs::read_to_string(cluster.join("postmaster.pid"))
        .ok()
        .and_then(|text| text.lines().nth(7).map(|line| line.trim().to_owned()));
    let postmaster = recorded_postmaster(cluster);
    status.as_deref() == Some("stopping")
        || postmaster.is_none_or(|postmaster| {
            postmaster != pid && fs::read_link(format!("/proc/{postmaster}/cwd")).ok().as_deref() != Some(cluster)
        })
}

fn recorded_postmaster(cluster: &Path) -> Option<u32> {
    fs::read_to_string(cluster.join("postmaster.pid"))
        .ok()?
        .lines()
        .next()?
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_pid_file_that_names_a_stranger_is_removed() {
        let cluster = tempfile::tempdir().unwrap();
        let file = cluster.path().join("postmaster.pid");
        fs::write(&file, format!("{}\n{}\n", std::process::id(), cluster.path().display())).unwrap();
        clear(cluster.path()).unwrap();
        assert!(!file.exists());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_pid_file_that_names_nobody_is_left_to_postgresql() {
        let cluster = tempfile::tempdir().unwrap();
        let file = cluster.path().join("postmaster.pid");
        fs::write(&file, "4194999\n").unwrap();
        clear(cluster.path()).unwrap();
        assert!(file.exists());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_directory_somebody_works_in_is_in_use() {
        let cluster = tempfile::tempdir().unwrap();
        let cluster = cluster.path().canonicalize().unwrap();
        let mut worker = Command::new("cat")
            .current_dir(&cluster)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        fs::write(cluster.join("postmaster.pid"), format!("{}\n", worker.id())).unwrap();
        let outcome = clear(&cluster);
        worker.kill().unwrap();
        worker.wait().unwrap();
        assert!(
            matches!(outcome, Err(Error::InUse { pid, .. }) if pid == worker.id()),
            "{outcome:?}"
        );
    }
}
