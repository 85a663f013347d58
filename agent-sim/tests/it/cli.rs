//! The program itself, as a process of its own.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fake::{Fake, TOKEN, action, body, policy};

struct Shell {
    fake: Arc<Fake>,
    dir: TempDir,
}

impl Shell {
    async fn start() -> Self {
        let fake = Fake::start().await;
        // The program has the machine's own clock.
        fake.clock.set(formats::Ambient::system().now());
        Self {
            fake,
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis-agent"));
        command
            .args(arguments)
            .env("PORTCULLIS_AGENT_STATE", self.dir.path().join("state"));
        command
            .env_remove("PORTCULLIS_AGENT_TOKEN")
            .env_remove("PORTCULLIS_AGENT_CA");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap()
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    async fn register(&self) -> Value {
        self.register_as("linux").await
    }

    async fn register_as(&self, os: &str) -> Value {
        let package = self.file(
            "package.json",
            &json!({"installer": null, "server": self.fake.url, "registrationToken": TOKEN,
                "rootKey": self.fake.root.public()}),
        );
        self.json(&[
            "register",
            "--package",
            package.to_str().unwrap(),
            "--machine-name",
            "ws-1",
            "--machine-os",
            os,
            "--machine-id",
            "8f1c",
            "--json",
        ])
        .await
    }

    fn file(&self, name: &str, value: &Value) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, value.to_string()).unwrap();
        path
    }

    fn action(&self) -> String {
        self.file("action.json", &serde_json::to_value(action("tool")).unwrap())
            .to_str()
            .unwrap()
            .to_owned()
    }
}

/// A running agent, killed when the test ends.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn until(is_so: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so().await {
        assert!(Instant::now() < deadline, "it did not come about in twenty seconds");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_usage_is_2_and_a_failure_is_1() {
    let shell = Shell::start().await;
    for wrong in [
        &["register"][..],
        &["evaluate"],
        &["nonsense"],
        &[],
        &["request", "a.json", "--code", "1"],
    ] {
        assert_eq!(shell.run(wrong).await.status.code(), Some(2), "{wrong:?}");
    }
    let action = shell.action();
    for failing in [
        &["status"][..],
        &["refresh"],
        &["run"],
        &["evaluate", &action],
        &["evaluate", "/does/not/exist"],
    ] {
        let output = shell.run(failing).await;
        assert_eq!(output.status.code(), Some(1), "{failing:?}");
        assert!(!output.stderr.is_empty() && output.stdout.is_empty(), "{failing:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_has_help_with_an_example() {
    let shell = Shell::start().await;
    for command in ["register", "run", "evaluate", "request", "status", "refresh", "fleet"] {
        let output = shell.run(&[command, "--help"]).await;
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success() && text.contains("Example:\n  portcullis-agent "),
            "{command}: {text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_registers_once_evaluates_and_asks() {
    let shell = Shell::start().await;
    let status = shell.register().await;
    assert_eq!(
        (&status["snapshot"]["version"], &status["rootPinned"]),
        (&json!(10), &json!(true))
    );
    let again = shell
        .run(&["register", "--server", &shell.fake.url, "--token", TOKEN])
        .await;
    assert_eq!(again.status.code(), Some(1));

    let action = shell.action();
    let decision = shell.json(&["evaluate", &action, "--explain", "--json"]).await;
    assert_eq!(
        (&decision["outcome"], decision["explanation"].is_object()),
        (&json!("allowed"), true)
    );
    let draft = shell.dir.path().join("draft.json");
    fs::write(&draft, body(&[policy("no", &["deny"])])).unwrap();
    let decision = shell
        .json(&["evaluate", &action, "--snapshot", draft.to_str().unwrap(), "--json"])
        .await;
    assert_eq!(decision["outcome"], "denied");

    let answer = shell.json(&["request", &action, "--json"]).await;
    assert_eq!(answer["result"], "permitted");
    shell.fake.publish(&[policy("p", &["approval"])]);
    let waiting = shell
        .run(&[
            "request",
            &action,
            "--justification",
            "Payroll",
            "--wait",
            "0",
            "--json",
        ])
        .await;
    assert_eq!(waiting.status.code(), Some(1));
    let answer: Value = serde_json::from_slice(&waiting.stdout).unwrap();
    assert_eq!(
        (&answer["result"], &answer["requestStatus"]),
        (&json!("not approved"), &json!("pending"))
    );
    let told = shell.fake.told();
    assert_eq!((told.submitted.len(), told.stored.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_another_machine_than_the_one_that_registered_is_not_filed() {
    let shell = Shell::start().await;
    shell.fake.publish(&[policy("p", &["approval"])]);
    shell.register_as("windows").await;
    let asked = shell
        .run(&["request", &shell.action(), "--justification", "Payroll", "--wait", "0"])
        .await;
    assert_eq!(asked.status.code(), Some(1));
    let said = String::from_utf8_lossy(&asked.stderr).into_owned();
    assert!(said.contains("ws-1 (windows), not ws-1 (linux)"), "{said}");
    assert_eq!(shell.fake.told().submitted.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_commands_reach_the_running_agent() {
    let shell = Shell::start().await;
    shell.register().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let socket = shell.dir.path().join("a.sock");
    let run = ["run", "--listen", &port, "--socket", socket.to_str().unwrap()];
    let mut running = Process(shell.command(&run).stderr(Stdio::null()).spawn().unwrap());
    until(async || shell.json(&["status", "--json"]).await["running"] == true && socket.exists()).await;
    let busy = shell.run(&["request", &shell.action()]).await;
    assert_eq!(busy.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&busy.stderr).contains("--unix-socket"));
    shell.fake.publish(&[policy("p", &["deny"])]);
    let refreshed = shell.json(&["refresh", "--json"]).await;
    assert_eq!(refreshed["snapshot"]["version"], 11);
    let pid = running.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    until(async || shell.json(&["status", "--json"]).await["running"] == false).await;
    assert!(running.0.wait().unwrap().success());
    assert!(!socket.exists());
}

/// `docs/quality.md § 3`, R16, against a server that publishes as fast as it can.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_killed_at_any_moment_has_an_old_or_a_new_snapshot_and_never_a_mix() {
    let shell = Shell::start().await;
    shell.fake.told().body = body(&[policy("version-10", &["deny"])]);
    shell.register().await;
    let action = shell.action();
    let publisher = tokio::spawn({
        let fake = shell.fake.clone();
        async move {
            loop {
                let version = fake.told().version + 1;
                fake.publish(&[policy(&format!("version-{version}"), &["deny"])]);
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        }
    });
    let mut last = 10;
    for round in 0..12u64 {
        let run = ["run", "--listen", "127.0.0.1:0", "--socket", "/dev/null/none"];
        let running = Process(shell.command(&run).stderr(Stdio::null()).spawn().unwrap());
        let polls = shell.fake.told().snapshot_polls;
        until(async || shell.fake.told().snapshot_polls > polls).await;
        tokio::time::sleep(Duration::from_millis(round * 17 % 50)).await;
        drop(running);
        let status = shell.json(&["status", "--json"]).await;
        let version = status["snapshot"]["version"].as_u64().unwrap();
        assert!(version >= last, "{version} after {last}");
        last = version;
        let decision = shell.json(&["evaluate", &action, "--json"]).await;
        assert_eq!(decision["outcome"], "denied");
        assert_eq!(decision["matched"][0]["name"], format!("version-{version}"));
    }
    assert!(last > 10);
    publisher.abort();
}
