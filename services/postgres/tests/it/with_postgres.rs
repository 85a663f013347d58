//! The program `with-postgres`.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::{eventually, is_alive};

/// Prints where the server is, then the process number of its postmaster, and waits for its input to end.
const SHOW_AND_WAIT: &str = r#"
    trap 'echo interrupted; exit 3' INT TERM
    echo "$PORTCULLIS_TEST_POSTGRES"
    head -n 1 "$PORTCULLIS_TEST_POSTGRES/../cluster/postmaster.pid"
    while read -r line; do :; done
    exit 7
"#;

fn with_postgres(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_with-postgres"));
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Starts it around the script and reads what that says of the server: its socket's directory and process.
fn running() -> (Child, BufReader<std::process::ChildStdout>, String, u32) {
    let mut child = with_postgres(&["--", "sh", "-c", SHOW_AND_WAIT]).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = || {
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    };
    let (socket_dir, pid) = (line(), line().parse().unwrap());
    (child, output, socket_dir, pid)
}

#[tokio::test]
async fn the_command_s_exit_code_is_passed_on_and_the_server_is_gone() {
    let (mut child, _, socket_dir, pid) = running();
    assert!(is_alive(pid));
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(7));
    assert!(!is_alive(pid));
    assert!(!Path::new(&socket_dir).exists());
}

#[test]
fn a_wrong_call_and_a_missing_command_are_told_apart() {
    assert_eq!(with_postgres(&[]).output().unwrap().status.code(), Some(2));
    let missing = with_postgres(&["no-such-command"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no-such-command"));
}

#[test]
fn a_request_to_stop_reaches_the_command() {
    for name in ["-INT", "-TERM"] {
        let (mut child, mut output, _, pid) = running();
        Command::new("kill")
            .args([name, &child.id().to_string()])
            .status()
            .unwrap();
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        assert_eq!(rest.trim(), "interrupted");
        assert_eq!(child.wait().unwrap().code(), Some(3));
        assert!(!is_alive(pid));
    }
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn the_server_stops_when_its_keeper_is_killed() {
    let (mut child, _, socket_dir, pid) = running();
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("the server is gone", || !is_alive(pid)).await;
    // Nobody was left to remove the directory.
    std::fs::remove_dir_all(Path::new(&socket_dir).parent().unwrap()).unwrap();
}
