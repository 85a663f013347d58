//! `with-postgres [--] COMMAND…`: runs a command with a PostgreSQL of its own, for tests.
//!
//! The server flushes nothing to disk, listens on a socket in a temporary directory and is gone with its data when
//! the command ends. The command finds it through `PORTCULLIS_TEST_POSTGRES`, and its exit code is passed on.

use std::{
    env,
    ffi::OsString,
    io,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{ExitCode, ExitStatus},
};

use postgres_supervisor::{Options, Supervisor, testing::SERVER_VARIABLE};
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments: Vec<OsString> = env::args_os().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "--") {
        arguments.remove(0);
    }
    if arguments.is_empty() {
        complain("usage: with-postgres [--] COMMAND [ARGUMENT…]");
        return ExitCode::from(2);
    }
    match run(&arguments).await {
        Ok(status) => ExitCode::from(exit_code(status)),
        Err(error) => {
            complain(&format!("with-postgres: {error}"));
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "a command-line tool tells its user what went wrong")]
fn complain(message: &str) {
    eprintln!("{message}");
}

/// The command's own code; for one that a signal ended what a shell reports.
fn exit_code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

async fn run(arguments: &[OsString]) -> Outcome<ExitStatus> {
    let dir = tempfile::Builder::new().prefix("portcullis-test-").tempdir()?;
    let postgres = Supervisor::start(Options {
        binaries: env::var_os("PORTCULLIS_POSTGRES_BINARIES").map(PathBuf::from),
        durable: false,
        max_connections: 300,
        ..Options::new(dir.path())
    })
    .await?;
    let child = Command::new(&arguments[0])
        .args(&arguments[1..])
        .env(SERVER_VARIABLE, postgres.socket_dir())
        .spawn()
        .map_err(|error| format!("{}: {error}", arguments[0].display()));
    let outcome = match child {
        Ok(child) => wait(child).await.map_err(Into::into),
        Err(error) => Err(error.into()),
    };
    postgres.stop().await?;
    outcome
}

/// Waits for the command and passes on the signals that ask it to stop, except a Ctrl-C of the terminal, which it
/// got from there already.
async fn wait(mut child: Child) -> io::Result<ExitStatus> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let pid = child
        .id()
        .and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed()));
    loop {
        let passed = tokio::select! {
            status = child.wait() => return status,
            _ = interrupt.recv() => (!in_foreground()).then_some(rustix::process::Signal::INT),
            _ = terminate.recv() => Some(rustix::process::Signal::TERM),
            _ = hangup.recv() => Some(rustix::process::Signal::HUP),
        };
        if let (Some(pid), Some(passed)) = (pid, passed) {
            // A command that is gone ends the loop by itself.
            let _ = rustix::process::kill_process(pid, passed);
        }
    }
}

/// Whether we are in the process group that the terminal sends its signals to.
fn in_foreground() -> bool {
    rustix::termios::tcgetpgrp(io::stdin()).is_ok_and(|group| group == rustix::process::getpgrp())
}
