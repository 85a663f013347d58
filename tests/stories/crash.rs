//! The server and its database are killed a hundred times under load: no acknowledged command is lost, none is carried
//! out twice, no row of a read model is doubled.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use formats::Ambient;
use postgres_supervisor::testing;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::installation::{Installation, tool};

const KILLS: u32 = 100;
/// Every fourth kill is the database's; the others are the server's.
const DATABASE_EVERY: u32 = 4;
const CLIENTS: usize = 6;

/// SplitMix64: the moments of a run, which come again with its seed.
struct Moments(u64);

impl Moments {
    /// From `CRASH_SEED`, else by chance.
    fn begin() -> Self {
        let seed = match std::env::var("CRASH_SEED") {
            Ok(seed) => seed.parse().unwrap(),
            Err(_) => u64::from_be_bytes(Ambient::system().bytes()),
        };
        Self(seed)
    }

    /// From 0 to below `n`.
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// What the clients were told: each team that was acknowledged, and its position.
type Acknowledged = Arc<Mutex<BTreeMap<String, u64>>>;

/// Clients that make teams under Idempotency-Keys, each asked for again until it is acknowledged.
struct Clients {
    acknowledged: Acknowledged,
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Clients {
    fn begin(world: &Installation) -> Self {
        let (acknowledged, stop) = (Acknowledged::default(), Arc::new(AtomicBool::new(false)));
        let client = |n| {
            let (url, browser, csrf) = (world.url.clone(), world.browser.clone(), world.csrf.clone());
            tokio::spawn(make_teams(n, url, browser, csrf, acknowledged.clone(), stop.clone()))
        };
        let tasks = (0..CLIENTS).map(client).collect();
        Self {
            acknowledged,
            stop,
            tasks,
        }
    }

    fn count(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    /// Waits until so many more are acknowledged.
    async fn more(&self, n: usize) {
        let (before, begun) = (self.count(), tokio::time::Instant::now());
        while self.count() < before + n {
            assert!(begun.elapsed() < Duration::from_secs(30), "nothing gets through");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Lets each get the answer it waits for.
    async fn finish(self) -> BTreeMap<String, u64> {
        self.stop.store(true, Ordering::SeqCst);
        for task in self.tasks {
            let finished = tokio::time::timeout(Duration::from_secs(30), task).await;
            finished.expect("a client never got its answer").unwrap();
        }
        self.acknowledged.lock().unwrap().clone()
    }

    /// Ends them wherever they are.
    async fn abort(self) -> BTreeMap<String, u64> {
        for task in self.tasks {
            task.abort();
            let _ = task.await;
        }
        self.acknowledged.lock().unwrap().clone()
    }
}

async fn make_teams(
    n: usize,
    url: String,
    browser: Client,
    csrf: String,
    acknowledged: Acknowledged,
    stop: Arc<AtomicBool>,
) {
    for i in 0.. {
        let name = format!("team {n}-{i}");
        let position = loop {
            let answer = make_team(&url, &browser, &csrf, &name).await;
            if let Some((_, body)) = answer
                && let Some(position) = made_at(&body)
            {
                break position;
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        };
        acknowledged.lock().unwrap().insert(name, position);
        if stop.load(Ordering::SeqCst) {
            return;
        }
    }
}

/// Asks for a team under its name as Idempotency-Key; status and body, where there is an answer.
async fn make_team(url: &str, browser: &Client, csrf: &str, name: &str) -> Option<(u16, Value)> {
    let query = "mutation($name: String!) { createTeam(input: {name: $name}) { position } }";
    let answer = browser
        .post(format!("{url}/graphql"))
        .header("x-csrf-token", csrf)
        .header("idempotency-key", name)
        .timeout(Duration::from_secs(5))
        .json(&json!({ "query": query, "variables": { "name": name } }))
        .send()
        .await
        .ok()?;
    Some((answer.status().as_u16(), answer.json().await.ok()?))
}

fn made_at(body: &Value) -> Option<u64> {
    body["data"]["createTeam"]["position"].as_u64()
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
        match at.get(name.as_str()) {
            None => faults.push(format!("{name} was acknowledged at {position} and is not there")),
            Some(there) if there != position => {
                faults.push(format!("{name} was acknowledged at {position} and is at {there}"));
            }
            Some(_) => {}
        }
    }
    faults
}

fn signal(how: &str, pid: u32) {
    let status = Command::new("kill").args([how, &pid.to_string()]).status().unwrap();
    assert!(status.success(), "kill {how} {pid}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_kills_of_server_and_database_lose_no_acknowledged_command_and_double_no_row() {
    let mut moments = Moments::begin();
    println!("the moments of CRASH_SEED={}", moments.0);
    let mut world = Installation::begin().await;
    let clients = Clients::begin(&world);
    for n in 0..KILLS {
        world.ready().await;
        tokio::time::sleep(Duration::from_millis(moments.below(200))).await;
        if n % DATABASE_EVERY == 0 {
            signal("-9", world.postgres.pid());
            world.postgres.restart().await;
        } else {
            world.server.kill();
        }
    }
    world.ready().await;
    clients.more(CLIENTS).await;
    let acknowledged = clients.finish().await;
    assert!(acknowledged.len() > 100, "too little was done: {}", acknowledged.len());
    let log = world.log().await;
    let found = faults(&acknowledged, &log);
    assert!(
        found.is_empty(),
        "{} of {}: {found:#?}",
        found.len(),
        acknowledged.len()
    );
    assert_eq!(log.len(), acknowledged.len(), "every command was answered in the end");

    // The check has teeth for what the control below can't cause: a command that was carried out twice.
    let doubled: Vec<_> = log.iter().chain(log.last()).cloned().collect();
    assert!(!faults(&acknowledged, &doubled).is_empty());

    // Each team once in the read model, and every read model the same after it was built anew.
    let live = world.rows().await;
    assert_eq!(live["directory_team"].len(), log.len());
    for (table, rows) in &live {
        let distinct: BTreeSet<_> = rows.iter().collect();
        assert_eq!(distinct.len(), rows.len(), "a row of {table} is there twice");
    }
    tool(&world.settings, &["projections", "rebuild"]);
    let anew = world.rows().await;
    for (table, rows) in &live {
        assert_eq!(&anew[table], rows, "{table} differs from what the log gives");
    }
    world.postgres.stop().await;
}

/// The broken variant: the database acknowledges before it has written, and whoever would write soon is held.
#[tokio::test(flavor = "multi_thread")]
async fn control_a_database_that_acknowledges_before_it_has_written_is_found_out() {
    let mut forgetful = testing::server().await;
    let off = ("synchronous_commit".to_owned(), "off".to_owned());
    forgetful.options.settings.push(off);
    forgetful.restart().await;
    let mut world = Installation::on(forgetful).await;
    let clients = Clients::begin(&world);
    clients.more(20).await;
    let writer = world.process("walwriter").await;
    signal("-STOP", writer);
    clients.more(20).await;
    signal("-9", world.postgres.pid());
    world.server.end();
    let acknowledged = clients.abort().await;
    signal("-9", writer);
    world.postgres.restart().await;
    let log = world.log().await;
    let found = faults(&acknowledged, &log);
    let lost = found.iter().filter(|fault| fault.ends_with("is not there")).count();
    assert!(
        lost > 0,
        "{} acknowledged, {} there: nothing was found",
        acknowledged.len(),
        log.len()
    );
    world.postgres.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_away_is_said_and_work_goes_on_when_it_is_back() {
    let mut world = Installation::begin().await;
    world.ready().await;
    let make = async |world: &Installation, name: &str| {
        let answer = make_team(&world.url, &world.browser, &world.csrf, name).await;
        answer.expect("an answer within five seconds")
    };
    let (status, body) = make(&world, "before").await;
    assert!(status == 200 && made_at(&body).is_some(), "{body}");

    signal("-9", world.postgres.pid());
    let (_, body) = make(&world, "meanwhile").await;
    assert!(body.to_string().contains("UNAVAILABLE"), "{body}");
    let session = world.browser.get(format!("{}/auth/session", world.url));
    let problem = session.send().await.unwrap();
    assert_eq!(problem.status().as_u16(), 503);
    assert_eq!(problem.headers()["content-type"], "application/problem+json");
    assert_eq!(problem.json::<Value>().await.unwrap()["code"], "UNAVAILABLE");
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
    for name in ["meanwhile", "after", "before"] {
        let (status, body) = make(&world, name).await;
        assert!(status == 200 && made_at(&body).is_some(), "{name}: {body}");
    }
    let mut names: Vec<String> = world.log().await.into_iter().map(|(_, name)| name).collect();
    names.sort();
    assert_eq!(names, ["after", "before", "meanwhile"]);
    world.postgres.stop().await;
}
