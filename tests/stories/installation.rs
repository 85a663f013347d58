//! An installation of several processes that can be killed: PostgreSQL, `portcullis serve`, and tools beside it.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use formats::Ambient;
use postgres_supervisor::testing::{self, TestServer};
use reqwest::Client;
use serde_json::{Value, json};
use sqlx::{PgPool, Row};

use crate::world::client;

/// Where the workspace's programs are built.
pub fn program() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("portcullis");
    assert!(path.is_file(), "{} is not built: cargo build --bins", path.display());
    path
}

/// A process of `portcullis serve`.
pub struct Server {
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

    /// SIGKILL.
    pub fn end(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGKILL, then a new process.
    pub fn kill(&mut self) {
        self.end();
        self.child = Self::spawn(&self.settings, &self.arguments);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs one of the tools; what it printed, where that is JSON.
pub fn tool(settings: &[(&'static str, String)], arguments: &[&str]) -> Value {
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

/// A database of its own, `portcullis serve` on it, and its owner's browser.
pub struct Installation {
    pub postgres: TestServer,
    pub server: Server,
    pub settings: Vec<(&'static str, String)>,
    pub url: String,
    pub browser: Client,
    pub csrf: String,
}

impl Installation {
    /// Starts one with a database that keeps what it acknowledged.
    pub async fn begin() -> Self {
        Self::on(testing::server().await).await
    }

    /// Starts one on this database.
    pub async fn on(mut postgres: TestServer) -> Self {
        // After a crash, one call for the file system in place of one for each of a thousand files.
        let quick = ("recovery_init_sync_method".to_owned(), "syncfs".to_owned());
        postgres.options.settings.push(quick);
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

    /// Waits until the server is ready.
    pub async fn ready(&self) {
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
    pub async fn log(&self) -> Vec<(u64, String)> {
        let pool = PgPool::connect(&self.postgres.url("portcullis", "postgres"))
            .await
            .unwrap();
        let of_tenant = "select position, event_type, body from events
            where tenant_id = (select id from tenant where slug = 'acme') order by position";
        let rows = sqlx::query(of_tenant).fetch_all(&pool).await.unwrap();
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

    /// The rows of every read model's tables, without the number of their build, once all cursors stand at the head.
    pub async fn rows(&self) -> BTreeMap<&'static str, Vec<String>> {
        let pool = PgPool::connect(&self.postgres.url("portcullis", "postgres"))
            .await
            .unwrap();
        let models = projections::all();
        let behind = "select count(*) filter (where c.state = 'live' and c.position = h.position), count(*)
            from projection_checkpoint c join tenant_head h using (tenant_id)";
        let begun = tokio::time::Instant::now();
        loop {
            let row = sqlx::query(behind).fetch_one(&pool).await.unwrap();
            let (there, all): (i64, i64) = (row.get(0), row.get(1));
            if there == all && usize::try_from(all).unwrap() >= models.len() {
                break;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "{there} of {all} cursors are at the head"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let mut rows = BTreeMap::new();
        for table in models.iter().flat_map(|model| model.tables()) {
            let sql = format!("select (to_jsonb(t) - 'build')::text from {table} t order by 1");
            let found: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
                .fetch_all(&pool)
                .await
                .unwrap();
            rows.insert(*table, found);
        }
        pool.close().await;
        rows
    }

    /// The process number of the database's process of this kind.
    pub async fn process(&self, kind: &str) -> u32 {
        let pool = PgPool::connect(&self.postgres.url("portcullis", "postgres"))
            .await
            .unwrap();
        let pid: i32 = sqlx::query_scalar("select pid from pg_stat_activity where backend_type = $1")
            .bind(kind)
            .fetch_one(&pool)
            .await
            .unwrap();
        pool.close().await;
        u32::try_from(pid).unwrap()
    }
}
