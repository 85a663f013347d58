//! The thread that starts the server, waits for its end, and by living keeps it alive.
//!
//! Linux can signal a child when the thread that started it ends. That thread must therefore live as long as the
//! server: not one of a runtime's, which come and go, but one of its own.

use std::{
    env, io,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, ExitStatus, Stdio},
    thread,
};

use tokio::sync::{oneshot, watch};

use crate::{account::Account, error::Error};

/// A program that runs as the account, with nothing of our environment but where programs and libraries are: secrets
/// among our variables are none of its business. It leads its own process group, so that a Ctrl-C meant for us does
/// not stop it behind our back.
pub(crate) fn command(program: &Path, account: &Account) -> Command {
    let mut command = Command::new(program);
    let kept = ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR"];
    command
        .env_clear()
        .envs(kept.iter().filter_map(|name| Some((name, env::var_os(name)?))))
        .env("LC_ALL", "C")
        .current_dir("/")
        .stdin(Stdio::null())
        .process_group(0);
    if account.dropped {
        // Between fork and exec the standard library then empties the list of groups, sets the group and last the
        // user, in this order.
        command.gid(account.gid).uid(account.uid);
    }
    command
}

/// Has the program interrupted when the calling thread ends, however it ends: for PostgreSQL an orderly stop. Where
/// the operating system has no such thing, a server outlives a killed process until the next start finds it.
#[expect(unsafe_code, reason = "running code between fork and exec has no safe interface")]
pub(crate) fn die_with_us(command: &mut Command) {
    #[cfg(target_os = "linux")]
    {
        let parent = std::process::id();
        // SAFETY: the closure makes two system calls and nothing else: no allocation, no lock, no shared state. It
        // runs after the change of user, which would undo the request.
        unsafe {
            command.pre_exec(move || {
                rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::INT))?;
                let ours =
                    rustix::process::getppid().is_some_and(|pid| pid.as_raw_nonzero().get().unsigned_abs() == parent);
                // We may have died before the request was made.
                if ours {
                    Ok(())
                } else {
                    Err(io::Error::from_raw_os_error(rustix::io::Errno::SRCH.raw_os_error()))
                }
            });
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = command;
}

/// What the keeper's thread reports once the server runs.
#[derive(Debug)]
pub(crate) struct Running<T> {
    pub(crate) pid: u32,
    /// `None` while it runs; then how it ended, where that could be learnt.
    pub(crate) exit: watch::Receiver<Option<Option<ExitStatus>>>,
    /// What the preparation handed on.
    pub(crate) prepared: T,
}

/// Starts the thread. It prepares (which may take a second), starts the server, reports, and waits for the end.
pub(crate) fn keep<T: Send + 'static>(
    prepare: impl FnOnce() -> Result<(Command, T), Error> + Send + 'static,
) -> Result<oneshot::Receiver<Result<Running<T>, Error>>, Error> {
    let (report, started) = oneshot::channel();
    let work = move || {
        let spawned = prepare().and_then(|(mut command, prepared)| {
            let child = command.spawn().map_err(|source| Error::Io {
                what: "start PostgreSQL".to_owned(),
                source,
            })?;
            Ok((child, prepared))
        });
        match spawned {
            Ok((mut child, prepared)) => {
                let (ended, exit) = watch::channel(None);
                let pid = child.id();
                if report.send(Ok(Running { pid, exit, prepared })).is_err() {
                    // Nobody waits for this server any more.
                    signal(pid, rustix::process::Signal::INT);
                }
                ended.send_replace(Some(child.wait().ok()));
            }
            Err(error) => drop(report.send(Err(error))),
        }
    };
    let thread = thread::Builder::new().name("postgres-keeper".to_owned()).spawn(work);
    thread.map_err(|source| Error::Io {
        what: "start the thread that keeps PostgreSQL".to_owned(),
        source,
    })?;
    Ok(started)
}

/// Sends a signal; a process that is gone is no error.
pub(crate) fn signal(pid: u32, signal: rustix::process::Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}
