//! I2, and I1 across crashes: acknowledged means durable, exactly once, whatever dies in between.

use std::{
    path::PathBuf,
    process::Command as Process,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use eventstore::{ExecuteError, Options, StoreError};
use postgres_supervisor::testing::{self, TestServer};
use sqlx::{PgPool, Row, postgres::PgConnectOptions};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    checks::{exactly_once, gapless},
    member::Command,
    proxy::Proxy,
    world::{World, envelope, eventually, join, make_tenant, process, run, run_as},
};

/// Kills a process of this test by its number.
fn kill(pid: u32) {
    let killed = Process::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    assert!(killed.success());
}

async fn commands(admin: &PgPool) -> Vec<Uuid> {
    sqlx::query_scalar("select command_id from events where event_type = 'Counted'")
        .fetch_all(admin)
        .await
        .unwrap()
}

/// A database of its own on a durable server.
async fn durable() -> (TestServer, String) {
    let server = testing::server().await;
    let first = PgPool::connect(&server.url("postgres", "postgres")).await.unwrap();
    sqlx::raw_sql("create database es").execute(&first).await.unwrap();
    first.close().await;
    let admin = PgPool::connect(&server.url("es", "postgres")).await.unwrap();
    eventstore::migrate(&admin).await.unwrap();
    admin.close().await;
    let app = server.url("es", "portcullis_app");
    (server, app)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_the_death_of_the_database_exactly_once() {
    let (mut server, url) = durable().await;
    let store = process(&url, Options::default()).await;
    let tenant = make_tenant(&store, "acme").await;
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for writer in 0..16 {
        let id = store.ambient().uuid();
        join(&store, tenant, id, &format!("w{writer}@example.test"))
            .await
            .unwrap();
        let (store, stop, acknowledged) = (store.clone(), Arc::clone(&stop), Arc::clone(&acknowledged));
        writers.spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                let same = envelope(&store);
                // As a client does: the same command again until there is an answer.
                loop {
                    match run_as(&store, tenant, id, &same, Command::Count { by: 1 }).await {
                        Ok(done) => {
                            assert_eq!(done.events.len(), 1);
                            acknowledged.lock().unwrap().push(same.command_id);
                            break;
                        }
                        Err(ExecuteError::Store(StoreError::Unavailable(_) | StoreError::Busy)) => {
                            tokio::time::sleep(Duration::from_millis(20)).await;
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        });
    }
    let count = || acknowledged.lock().unwrap().len();
    for crash in 0..4 {
        let before = count();
        eventually("commands get through", async || count() > before + 50).await;
        if crash % 2 == 0 {
            kill(server.pid());
            server.restart().await;
        } else {
            // One backend in the middle of its work; the postmaster restarts them all.
            let admin = PgPool::connect(&server.url("es", "postgres")).await.unwrap();
            let pid: i32 = sqlx::query_scalar(
                "select pid from pg_stat_activity where usename = 'portcullis_app' order by state_change desc limit 1",
            )
            .fetch_one(&admin)
            .await
            .unwrap();
            kill(u32::try_from(pid).unwrap());
        }
    }
    let before = count();
    eventually("commands get through again", async || count() > before + 50).await;
    stop.store(true, Ordering::SeqCst);
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    let admin = PgPool::connect(&server.url("es", "postgres")).await.unwrap();
    let acknowledged = acknowledged.lock().unwrap().clone();
    let stored = commands(&admin).await;
    assert_eq!(exactly_once(&acknowledged, &stored), Ok(()));
    assert_eq!(
        stored.len(),
        acknowledged.len(),
        "every command was answered in the end"
    );
    assert_eq!(gapless(&crate::world::positions(&admin, tenant).await), Ok(()));
    admin.close().await;
    store.close().await;
    server.stop().await;
}

async fn through_proxy(world: &World) -> (Proxy, PgConnectOptions, String) {
    let direct: PgConnectOptions = world.database.url_app.parse().unwrap();
    let socket = direct
        .get_socket()
        .cloned()
        .unwrap_or_else(|| PathBuf::from(direct.get_host()));
    let proxy = Proxy::before(&socket.join(format!(".s.PGSQL.{}", direct.get_port()))).await;
    let url = format!(
        "postgres://portcullis_app@127.0.0.1:{}/{}?sslmode=disable",
        proxy.port, world.database.name
    );
    (proxy, direct, url)
}

#[tokio::test]
async fn an_answer_lost_after_the_commit_costs_a_retry_and_nothing_else() {
    let world = World::new().await;
    let (proxy, _, url) = through_proxy(&world).await;
    let store = process(&url, Options::default()).await;
    let id = world.member().await;
    // Statements are prepared, the state is in memory: from now on an append is the next thing that is sent.
    run(&store, world.tenant, id, Command::Count { by: 1 }).await.unwrap();
    let mut acknowledged = Vec::new();
    for n in 0..5 {
        proxy.lose(1);
        let same = envelope(&store);
        let done = run_as(&store, world.tenant, id, &same, Command::Count { by: 2 })
            .await
            .unwrap();
        assert_eq!(proxy.lost(), n + 1, "an answer was lost");
        assert!(!done.duplicate, "for the caller it is the first time");
        assert_eq!(done.version, n as u64 + 3);
        acknowledged.push(same.command_id);
    }
    let stored: Vec<Uuid> =
        sqlx::query_scalar("select command_id from events where stream_id = $1 and stream_version > 2")
            .bind(id)
            .fetch_all(&world.admin)
            .await
            .unwrap();
    assert_eq!(exactly_once(&acknowledged, &stored), Ok(()));
    assert_eq!(gapless(&world.positions(world.tenant).await), Ok(()));
}

/// The broken variant: no table of commands. The writer cannot know that its lost answer was a yes.
#[tokio::test]
async fn control_without_a_table_of_commands_a_lost_answer_writes_twice() {
    let world = World::new().await;
    sqlx::raw_sql(
        "create table control_events (position bigserial, command_id uuid);
         grant select, insert on control_events to portcullis_app;
         grant usage on sequence control_events_position_seq to portcullis_app;",
    )
    .execute(&world.admin)
    .await
    .unwrap();
    let (proxy, _, url) = through_proxy(&world).await;
    let pool = eventstore::connect(&url, 1).await.unwrap();
    let append = "insert into control_events (command_id) values ($1)";
    sqlx::query(append).bind(Uuid::nil()).execute(&pool).await.unwrap();
    proxy.lose(1);
    let command = world.id();
    while sqlx::query(append).bind(command).execute(&pool).await.is_err() {}
    assert_eq!(proxy.lost(), 1);
    let stored: Vec<Uuid> = sqlx::query("select command_id from control_events")
        .fetch_all(&world.admin)
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(
        exactly_once(&[command], &stored),
        Err(format!("{command:?} is there 2 times"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_answered_for_within_two_seconds_and_found_again() {
    let (mut server, url) = durable().await;
    let store = process(&url, Options::default()).await;
    let tenant = make_tenant(&store, "acme").await;
    let id = store.ambient().uuid();
    join(&store, tenant, id, "a@example.test").await.unwrap();
    kill(server.pid());
    // Backends outlive their postmaster for a moment.
    eventually("the last backend is gone", async || {
        run(&store, tenant, id, Command::Count { by: 1 }).await.is_err()
    })
    .await;
    for _ in 0..2 {
        let begun = tokio::time::Instant::now();
        let answer = run(&store, tenant, id, Command::Count { by: 1 }).await;
        assert!(
            matches!(answer, Err(ExecuteError::Store(StoreError::Unavailable(_)))),
            "{answer:?}"
        );
        assert!(begun.elapsed() < Duration::from_millis(2_500), "{:?}", begun.elapsed());
    }
    server.restart().await;
    eventually("the database is found again", async || {
        run(&store, tenant, id, Command::Count { by: 1 }).await.is_ok()
    })
    .await;
    store.close().await;
    server.stop().await;
}
