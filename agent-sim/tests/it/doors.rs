//! The agent's own doors, with its parts at work.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use formats::agent_wire::{PluginState, RequestStatus};
use portcullis_agent::{
    link,
    plugin::{self, Api, Client, Doors, Logging, Plugin, Policy},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    approvals::World,
    fake::{body, policy},
};

struct Running {
    world: World,
    http: reqwest::Client,
    listen: SocketAddr,
    socket: PathBuf,
    stop: CancellationToken,
    ended: tokio::task::JoinHandle<()>,
}

impl Running {
    async fn start(controls: &[&str]) -> Self {
        let world = World::demanding(controls).await;
        let listen = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let socket = world.dir.path().join("agent.sock");
        let doors = Doors {
            listen: Some(listen),
            socket: Some(socket.clone()),
        };
        let plugins: Vec<Box<dyn Plugin>> = vec![
            Box::new(Policy),
            Box::new(Api(doors)),
            Box::new(Logging),
            Box::new(Client),
        ];
        let stop = CancellationToken::new();
        let ended = tokio::spawn(plugin::run(world.agent.clone(), plugins, stop.clone()));
        let running = Self {
            world,
            http: link::client(None).unwrap(),
            listen,
            socket,
            stop,
            ended,
        };
        running
            .until(async |r: &Self| r.socket.exists() && r.get("/healthz").await.is_ok())
            .await;
        running
    }

    /// Polls until it is so, at most ten seconds.
    async fn until(&self, is_so: impl AsyncFn(&Self) -> bool) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while !is_so(self).await {
            assert!(
                tokio::time::Instant::now() < deadline,
                "it did not come about in ten seconds"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn get(&self, path: &str) -> reqwest::Result<reqwest::Response> {
        self.http.get(format!("http://{}{path}", self.listen)).send().await
    }

    async fn ask(&self, path: &str, body: &Value) -> (u16, Value) {
        let http = reqwest::Client::builder()
            .unix_socket(self.socket.clone())
            .build()
            .unwrap();
        let request = http
            .post(format!("http://agent{path}"))
            .header("content-type", "application/json");
        let reply = request.body(body.to_string()).send().await.unwrap();
        (reply.status().as_u16(), reply.json().await.unwrap_or_default())
    }

    async fn look(&self, id: &str) -> (u16, Value) {
        let http = reqwest::Client::builder()
            .unix_socket(self.socket.clone())
            .build()
            .unwrap();
        let reply = http.get(format!("http://agent/actions/{id}")).send().await.unwrap();
        (reply.status().as_u16(), reply.json().await.unwrap_or_default())
    }

    /// The policies, for whichever paths the test's files have.
    fn publish_for_everything(&self, controls: &[&str]) {
        let mut policy = policy("p", controls);
        policy["applications"] = json!(["*"]);
        let mut told = self.world.fake.told();
        told.body = body(&[policy]);
        told.version += 1;
    }

    async fn end(self) {
        self.stop.cancel();
        self.ended.await.unwrap();
        assert!(
            self.world
                .agent
                .status()
                .plugins
                .iter()
                .all(|plugin| plugin.state == PluginState::Stopped)
        );
    }
}

#[tokio::test]
async fn the_loopback_door_tells_and_takes_no_orders() {
    let r = Running::start(&["allow"]).await;
    let status: Value = r.get("/status").await.unwrap().json().await.unwrap();
    assert_eq!(
        (&status["snapshot"]["version"], &status["online"], &status["outdated"]),
        (&json!(11), &json!(true), &json!(false))
    );
    let names: Vec<&str> = status["plugins"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["api", "client", "logging", "policy"]);
    let metrics = r.get("/metrics").await.unwrap().text().await.unwrap();
    assert!(metrics.contains("portcullis_agent_snapshot_version 11\n"), "{metrics}");
    for path in ["/healthz", "/status", "/metrics"] {
        for method in ["POST", "PUT", "DELETE", "PATCH"] {
            let request = r
                .http
                .request(method.parse().unwrap(), format!("http://{}{path}", r.listen));
            assert_eq!(request.send().await.unwrap().status(), 405, "{method} {path}");
        }
    }
    for path in ["/actions", "/", "/refresh"] {
        assert_eq!(r.get(path).await.unwrap().status(), 404, "{path}");
    }
    let rebound = r
        .http
        .get(format!("http://{}/status", r.listen))
        .header("host", "attacker.example");
    assert_eq!(rebound.send().await.unwrap().status(), 403);
    r.end().await;
}

#[tokio::test]
async fn an_account_asks_through_the_socket_and_is_who_the_kernel_says() {
    let r = Running::start(&["allow"]).await;
    r.publish_for_everything(&["approval"]);
    assert_eq!(r.ask("/refresh", &json!({})).await.0, 200);
    let tool = r.world.dir.path().canonicalize().unwrap().join("tool");
    std::fs::write(&tool, "abc").unwrap();
    let link = tool.with_file_name("link");
    std::os::unix::fs::symlink(&tool, &link).unwrap();

    let (status, begun) = r
        .ask("/actions", &json!({"type": "privilege_elevation", "application": link}))
        .await;
    assert_eq!(
        (status, &begun["missing"]),
        (200, &json!(["justification", "approval"])),
        "{begun}"
    );
    let id = begun["id"].as_str().unwrap();
    let (status, _) = r.ask(&format!("/actions/{id}/justify"), &json!({"text": "no"})).await;
    assert_eq!(status, 422);
    let (status, filed) = r
        .ask(&format!("/actions/{id}/justify"), &json!({"text": "Payroll update"}))
        .await;
    assert_eq!((status, &filed["missing"]), (200, &json!(["approval"])));
    let submitted = r.world.fake.told().submitted[0].clone();
    let application = submitted.action.application.unwrap();
    assert_eq!(application.path, tool.to_str().unwrap());
    assert_eq!(
        application.sha256.unwrap(),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_eq!(
        submitted.action.user.name,
        portcullis_agent::local::account(uid()).unwrap().name
    );

    // The client plugin follows the request, and the logging plugin delivers the record.
    let request = filed["request"].as_str().unwrap().parse().unwrap();
    r.world
        .fake
        .approve(request, |grant| grant.user.clone_from(&submitted.action.user.name));
    r.until(async |r: &Running| r.look(id).await.1["status"] == "permitted")
        .await;
    r.until(async |r: &Running| r.world.fake.told().stored.len() == 1).await;
    r.end().await;
}

fn uid() -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").unwrap().uid()
}

#[tokio::test]
async fn the_socket_refuses_what_is_the_agents_to_know_and_what_it_cannot_describe() {
    let r = Running::start(&["allow"]).await;
    let bad = [
        json!({"type": "privilege_elevation", "application": "/bin/sh", "user": "root"}),
        json!({"type": "privilege_elevation", "application": "/bin/sh", "online": true}),
        json!({"type": "privilege_elevation", "application": "bin/sh"}),
        json!({"type": "privilege_elevation", "application": "/does/not/exist"}),
        json!({"type": "privilege_elevation", "application": "/tmp"}),
        json!({"type": "least_privilege"}),
        json!([]),
    ];
    for body in bad {
        let (status, problem) = r.ask("/actions", &body).await;
        assert_eq!((status, problem["code"].as_str()), (422, Some("BAD_INPUT")), "{body}");
    }
    assert_eq!(r.look("act_00000000000000000000000000").await.0, 404);
    assert_eq!(r.look("x").await.0, 404);
    r.end().await;
}

#[tokio::test]
async fn an_attempt_is_cancelled_through_the_socket() {
    let r = Running::start(&["allow"]).await;
    r.publish_for_everything(&["approval"]);
    r.ask("/refresh", &json!({})).await;
    let (_, begun) = r
        .ask(
            "/actions",
            &json!({"type": "privilege_elevation", "application": "/bin/sh"}),
        )
        .await;
    let id = begun["id"].as_str().unwrap();
    let (_, filed) = r
        .ask(&format!("/actions/{id}/justify"), &json!({"text": "Payroll update"}))
        .await;
    let (status, ended) = r.ask(&format!("/actions/{id}/cancel"), &json!({})).await;
    assert_eq!((status, ended["status"].as_str()), (200, Some("cancelled")));
    let request = filed["request"].as_str().unwrap().parse().unwrap();
    assert_eq!(r.world.fake.told().requests[&request].status, RequestStatus::Cancelled);
    assert_eq!(r.ask(&format!("/actions/{id}/cancel"), &json!({})).await.0, 409);
    r.end().await;
}

#[tokio::test]
async fn the_parts_come_back_when_the_server_does() {
    let r = Running::start(&["allow"]).await;
    r.world.fake.told().is_down = true;
    r.until(async |r: &Running| {
        let plugins = r.world.agent.status().plugins;
        plugins
            .iter()
            .any(|plugin| plugin.name == "policy" && plugin.state == PluginState::Failed)
    })
    .await;
    assert!(!r.world.agent.is_online());
    r.world.fake.told().is_down = false;
    r.world.fake.publish(&[policy("p", &["deny"])]);
    r.until(async |r: &Running| {
        r.world
            .agent
            .status()
            .snapshot
            .is_some_and(|snapshot| snapshot.version == 12)
    })
    .await;
    assert!(r.world.agent.is_online());
    r.end().await;
}
