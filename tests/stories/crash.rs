//! The server and its database are killed a hundred times under load: no acknowledged command is lost, none is carried
//! out twice, no row of a read model is doubled.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use formats::Ambient;
use postgres_supervisor::testing::{self, TestServer};
use reqwest::Client;
use serde_json::{Value, json};
use sqlx::{PgPool, Row};

use crate::world::client;

const KILLS: u32 = 100;
/// Every fourth kill is the database's; the others are the server's.
const DATABASE_EVERY: u32 = 4;
const CLIENTS: usize = 6;

/// Where the workspace's programs are built.
fn program() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("portcullis");
    assert!(path.is_file(), "{} is not built: cargo build --bins", path.display());
    path
}

struct Server {
    child: Child,
    settings: Vec<(&'static str, String)>,
    arguments: Vec<String>,
}

impl Server {
    fn start(settings: Vec<(&'static str, String)>, arguments: Vec<String>) -> Self {
        let child = Self::spawn(&settings, &arguments);
        Self {
            child,
            settings,
            arguments,
        }
    }

    fn spawn(settings: &[(&'static str, String)], arguments: &[String]) -> Child {
        let mut command = Command::new(program());
        command
            .args(arguments)
            .envs(settings.iter().map(|(k, v)| (*k, v)))
            .stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// SIGKILL, then a new process.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = Self::spawn(&self.settings, &self.arguments);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tool(settings: &[(&'static str, String)], arguments: &[&str]) -> Value {
    let output = Command::new(program())
        .args(arguments)
        .envs(settings.iter().map(|(k, v)| (*k, v)))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

/// Makes teams under Idempotency-Keys until told to stop, each asked for again until it is acknowledged.
async fn make_teams(
    n: usize,
    url: String,
    browser: Client,
    csrf: String,
    acknowledged: Arc<Mutex<BTreeMap<String, u64>>>,
    stop: Arc<AtomicBool>,
) {
    let query = "mutation($name: String!) { createTeam(input: {name: $name}) { position } }";
    for i in 0.. {
        let name = format!("team {n}-{i}");
        loop {
            let answer = browser
                .post(format!("{url}/graphql"))
                .header("x-csrf-token", &csrf)
                .header("idempotency-key", &name)
                .timeout(Duration::from_secs(5))
                .json(&json!({ "query": query, "variables": { "name": name } }))
                .send()
                .await;
            let body: Option<Value> = match answer {
                Ok(answer) => answer.json().await.ok(),
                Err(_) => None,
            };
            if let Some(position) = body.as_ref().and_then(|b| b["data"]["createTeam"]["position"].as_u64()) {
                acknowledged.lock().unwrap().insert(name.clone(), position);
                break;
            }
            if stop.load(Ordering::SeqCst) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        if stop.load(Ordering::SeqCst) {
            return;
        }
    }
}

/// What is wrong with what the clients were told, given what the log holds: nothing, if all is well.
fn faults(acknowledged: &BTreeMap<String, u64>, log: &[(u64, String)]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut at: BTreeMap<&str, u64> = BTreeMap::new();
    for (position, name) in log {
        if let Some(first) = at.insert(name, *position) {
            faults.push(format!("{name} was made twice, at {first} and {position}"));
        }
    }
    for (name, position) in acknowledged {
        if at.get(name.as_str()).is_none_or(|p| p > position) {
            faults.push(format!("{name} was acknowledged at {position} and is not there"));
        }
    }
    faults
}

struct Installation {
    postgres: TestServer,
    server: Server,
    settings: Vec<(&'static str, String)>,
    url: String,
    browser: Client,
    csrf: String,
}

impl Installation {
    async fn begin() -> Self {
        let postgres = testing::server().await;
        let first = PgPool::connect(&postgres.url("postgres", "postgres")).await.unwrap();
        sqlx::raw_sql("create database portcullis")
            .execute(&first)
            .await
            .unwrap();
        first.close().await;
        let owner = PgPool::connect(&postgres.url("portcullis", "postgres")).await.unwrap();
        eventstore::migrate(&owner).await.unwrap();
        owner.close().await;
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let url = format!("http://127.0.0.1:{port}");
        let key: String = Ambient::system()
            .bytes::<32>()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        let settings = vec![
            ("PORTCULLIS_DATABASE_URL", postgres.url("portcullis", "portcullis_app")),
            ("PORTCULLIS_MASTER_KEY", key),
            ("PORTCULLIS_PUBLIC_URL", url.clone()),
        ];
        let arguments = vec!["serve".to_owned(), "--listen".to_owned(), format!("127.0.0.1:{port}")];
        let server = Server::start(settings.clone(), arguments);
        let created = [
            "tenant",
            "create",
            "--slug",
            "acme",
            "--name",
            "Acme",
            "--owner",
            "owner@acme.test",
            "--json",
        ];
        let made = tool(&settings, &created);
        let token = made["welcomeUrl"]
            .as_str()
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap()
            .to_owned();
        let browser = client(true);
        let (mut csrf, begun) = (None, tokio::time::Instant::now());
        while csrf.is_none() {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "the server does not let the owner in"
            );
            let body = json!({ "token": token, "password": "a phrase of some length" });
            if let Ok(answer) = browser.post(format!("{url}/auth/invitation")).json(&body).send().await {
                let body: Value = answer.json().await.unwrap_or_default();
                csrf = body["csrfToken"].as_str().map(str::to_owned);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Self {
            postgres,
            server,
            settings,
            url,
            browser,
            csrf: csrf.unwrap(),
        }
    }

    async fn ready(&self) {
        let begun = tokio::time::Instant::now();
        loop {
            let answer = self
                .browser
                .get(format!("{}/readyz", self.url))
                .timeout(Duration::from_secs(3))
                .send()
                .await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "the server does not come back"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The teams of the log, with their positions, which have to be without a gap.
    async fn log(&self) -> Vec<(u64, String)> {
        let pool = PgPool::connect(&self.postgres.url("portcullis", "postgres"))
            .await
            .unwrap();
        let rows = sqlx::query("select position, event_type, body from events order by position")
            .fetch_all(&pool)
            .await
            .unwrap();
        let mut teams = Vec::new();
        for (n, row) in (1i64..).zip(&rows) {
            let position: i64 = row.get("position");
            assert_eq!(position, n, "a gap");
            if row.get::<String, _>("event_type") == "TeamCreated" {
                let body: Value = serde_json::from_slice(row.get("body")).unwrap();
                let name = body["data"]["name"].as_str().unwrap().to_owned();
                teams.push((u64::try_from(position).unwrap(), name));
            }
        }
        pool.close().await;
        teams
    }

    /// The rows of the teams' read model, without the number of their build.
    async fn rows(&self) -> Vec<String> {
        let pool = PgPool::connect(&self.postgres.url("portcullis", "postgres"))
            .await
            .unwrap();
        let rows: Vec<String> =
            sqlx::query_scalar("select (to_jsonb(t) - 'build')::text from directory_team t order by 1")
                .fetch_all(&pool)
                .await
                .unwrap();
        pool.close().await;
        rows
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_kills_of_server_and_database_lose_no_acknowledged_command_and_double_no_row() {
    let mut world = Installation::begin().await;
    let acknowledged = Arc::new(Mutex::new(BTreeMap::new()));
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| {
            tokio::spawn(make_teams(
                n,
                world.url.clone(),
                world.browser.clone(),
                world.csrf.clone(),
                acknowledged.clone(),
                stop.clone(),
            ))
        })
        .collect();
    for n in 0..KILLS {
        world.ready().await;
        // A moment that is another one each time.
        let [a, b] = Ambient::system().bytes::<2>();
        tokio::time::sleep(Duration::from_millis(u64::from(u16::from_be_bytes([a, b])) % 200)).await;
        if n % DATABASE_EVERY == 0 {
            let pid = world.postgres.pid().to_string();
            assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
            world.postgres.restart().await;
        } else {
            world.server.kill();
        }
    }
    world.ready().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    let acknowledged = acknowledged.lock().unwrap().clone();
    assert!(acknowledged.len() > 100, "too little was done: {}", acknowledged.len());
    let log = world.log().await;
    let found = faults(&acknowledged, &log);
    assert!(
        found.is_empty(),
        "{} of {}: {found:#?}",
        found.len(),
        acknowledged.len()
    );

    // The check has teeth: one acknowledged command taken out of the log, and one put in twice, are found.
    let lost: Vec<_> = log
        .iter()
        .filter(|(_, name)| acknowledged.contains_key(name))
        .skip(1)
        .cloned()
        .collect();
    assert!(!faults(&acknowledged, &lost).is_empty());
    let doubled: Vec<_> = log.iter().chain(log.last()).cloned().collect();
    assert!(!faults(&acknowledged, &doubled).is_empty());

    // Each team once in the read model, and the same after it was built anew.
    let begun = tokio::time::Instant::now();
    let live = loop {
        let rows = world.rows().await;
        if rows.len() >= log.len() {
            break rows;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{} rows of {}",
            rows.len(),
            log.len()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(live.len(), log.len());
    assert_eq!(live.iter().collect::<BTreeSet<_>>().len(), live.len());
    tool(&world.settings, &["projections", "rebuild", "directory"]);
    assert_eq!(world.rows().await, live);
    world.postgres.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_away_is_said_and_work_goes_on_when_it_is_back() {
    let mut world = Installation::begin().await;
    world.ready().await;
    let make = async |world: &Installation, name: &str| {
        let query = "mutation($name: String!) { createTeam(input: {name: $name}) { position } }";
        let answer = world
            .browser
            .post(format!("{}/graphql", world.url))
            .header("x-csrf-token", &world.csrf)
            .json(&json!({ "query": query, "variables": { "name": name } }))
            .send()
            .await
            .unwrap();
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.unwrap())
    };
    let (status, body) = make(&world, "before").await;
    assert!(
        status == 200 && body["data"]["createTeam"]["position"].is_u64(),
        "{body}"
    );

    let pid = world.postgres.pid().to_string();
    assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    let begun = tokio::time::Instant::now();
    let (_, body) = make(&world, "meanwhile").await;
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "an answer took {:?}",
        begun.elapsed()
    );
    assert!(body.to_string().contains("UNAVAILABLE"), "{body}");
    let readyz = world.browser.get(format!("{}/readyz", world.url)).send().await.unwrap();
    assert_eq!(readyz.status().as_u16(), 503);
    let readyz = readyz.text().await.unwrap();
    assert!(readyz.contains("database"), "{readyz}");

    // A server that is started now says what is missing, and is ready once it is there.
    world.server.kill();
    let begun = tokio::time::Instant::now();
    loop {
        let answer = world
            .browser
            .get(format!("{}/readyz", world.url))
            .timeout(Duration::from_secs(2))
            .send()
            .await;
        if let Ok(answer) = answer {
            assert_eq!(answer.status().as_u16(), 503);
            assert!(answer.text().await.unwrap().contains("database"));
            break;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(15),
            "no probe is answered while the database is away"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    world.postgres.restart().await;
    world.ready().await;
    let (status, body) = make(&world, "after").await;
    assert!(
        status == 200 && body["data"]["createTeam"]["position"].is_u64(),
        "{body}"
    );
    let names: Vec<String> = world.log().await.into_iter().map(|(_, name)| name).collect();
    assert!(
        names.contains(&"before".to_owned()) && names.contains(&"after".to_owned()),
        "{names:?}"
    );
    world.postgres.stop().await;
}
