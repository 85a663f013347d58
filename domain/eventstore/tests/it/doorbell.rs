//! I15: a lost ring costs latency only; and the doorbell between processes.

use std::{sync::Arc, time::Duration};

use eventstore::{Doorbell, InProcess, News, Options, PostgresDoorbell, Store, Subscription, Upcasters};
use formats::{Ambient, TenantId};
use tokio::time::timeout;

use crate::{
    checks::all_in_order,
    member::Command,
    world::{World, process_with, run},
};

/// A doorbell whose every ring is lost.
#[derive(Debug)]
struct Deaf(InProcess);

impl Doorbell for Deaf {
    fn ring(&self, _: TenantId) {}
    fn subscribe(&self) -> Subscription {
        self.0.subscribe()
    }
}

/// A consumer that wakes up by the bell, and looks for news itself each time the bell was silent for a moment if it
/// sweeps. Ends when it has been silent `rounds` times.
async fn consume(store: &Store, tenant: TenantId, bell: &mut Subscription, sweeps: bool, rounds: usize) -> Vec<u64> {
    let mut read = Vec::new();
    let mut silent = 0;
    while silent < rounds {
        let rung = timeout(Duration::from_millis(100), bell.next_of(tenant)).await.is_ok();
        if !rung {
            silent += 1;
        }
        let news = sweeps
            && store
                .tenants_with_news("consumer", 100)
                .await
                .unwrap()
                .contains(&tenant);
        if rung || news {
            let events = store
                .read(tenant, read.last().copied().unwrap_or(0), 100)
                .await
                .unwrap();
            read.extend(events.iter().map(|event| event.position));
            let last = i64::try_from(read.last().copied().unwrap_or(0)).unwrap();
            sqlx::query(
                "insert into projection_checkpoint (tenant_id, projection, build, position) values ($1, 'consumer', 1, $2)
                 on conflict (tenant_id, projection, build) do update set position = excluded.position",
            )
            .bind(tenant.uuid())
            .bind(last)
            .execute(store.pool())
            .await
            .unwrap();
        }
    }
    read
}

async fn deaf_consumer(sweeps: bool) -> Result<(), String> {
    let world = World::new().await;
    let deaf = Arc::new(Deaf(InProcess::new()));
    let store = process_with(&world.database.url_app, Options::default(), Upcasters::new(), deaf).await;
    let mut bell = store.subscribe();
    let id = world.member().await;
    for n in 0..5 {
        run(&store, world.tenant, id, Command::Count { by: n }).await.unwrap();
    }
    let written: Vec<u64> = (1..=store.head(world.tenant).await.unwrap()).collect();
    all_in_order(&consume(&store, world.tenant, &mut bell, sweeps, 3).await, &written)
}

#[tokio::test]
async fn with_every_ring_lost_a_consumer_that_sweeps_still_reads_all() {
    assert_eq!(deaf_consumer(true).await, Ok(()));
}

/// The broken variant: a consumer that trusts the bell.
#[tokio::test]
async fn control_a_consumer_that_only_listens_reads_nothing_when_rings_are_lost() {
    assert_eq!(deaf_consumer(false).await, Err("1 was never read".to_owned()));
}

#[tokio::test]
async fn a_commit_rings_for_its_tenant() {
    let world = World::new().await;
    let id = world.member().await;
    let mut bell = world.store.subscribe();
    run(&world.store, world.tenant, id, Command::Count { by: 1 })
        .await
        .unwrap();
    assert_eq!(heard(&mut bell).await, News::Tenant(world.tenant));
}

#[tokio::test]
async fn the_sweep_names_those_with_news_and_leaves_out_the_parked() {
    let world = World::new().await;
    let news = async || world.store.tenants_with_news("p", 100).await.unwrap();
    let all = news().await;
    assert!(
        all.contains(&world.tenant) && all.contains(&world.other),
        "never read at all"
    );
    for (tenant, position, parked) in [(world.tenant, 1, false), (world.other, 0, true)] {
        sqlx::query("insert into projection_checkpoint (tenant_id, projection, build, position, parked_at) values ($1, 'p', 1, $2, case when $3 then now() end)")
            .bind(tenant.uuid())
            .bind(i64::from(position))
            .bind(parked)
            .execute(world.store.pool())
            .await
            .unwrap();
    }
    assert_eq!(news().await, []);
    world.member().await;
    assert_eq!(news().await, [world.tenant]);
}

async fn heard(bell: &mut Subscription) -> News {
    timeout(Duration::from_secs(60), bell.next())
        .await
        .expect("it rings in 60 s")
        .expect("the bell is there")
}

/// Waits for a ring of the tenant, whatever else is heard.
async fn heard_of(bell: &mut Subscription, tenant: TenantId) {
    while heard(bell).await != News::Tenant(tenant) {}
}

#[tokio::test]
async fn a_ring_is_heard_in_every_process_and_a_lost_line_is_mended_and_told() {
    let world = World::new().await;
    let url = &world.database.url_app;
    let ambient = Ambient::system();
    let (here, there) = (
        PostgresDoorbell::start(url, &ambient).await.unwrap(),
        PostgresDoorbell::start(url, &ambient).await.unwrap(),
    );
    let (mut bell_here, mut bell_there) = (here.subscribe(), there.subscribe());
    here.ring(world.tenant);
    heard_of(&mut bell_here, world.tenant).await;
    heard_of(&mut bell_there, world.tenant).await;

    sqlx::query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'portcullis doorbell' and datname = current_database()")
        .execute(&world.admin)
        .await
        .unwrap();
    assert_eq!(
        heard(&mut bell_there).await,
        News::Anywhere,
        "whatever was rung meanwhile may be lost"
    );
    here.ring(world.other);
    heard_of(&mut bell_there, world.other).await;
}

#[tokio::test]
async fn many_rings_travel_in_few_messages() {
    let world = World::new().await;
    let url = &world.database.url_app;
    let ambient = Ambient::system();
    let (here, there) = (
        PostgresDoorbell::start(url, &ambient).await.unwrap(),
        PostgresDoorbell::start(url, &ambient).await.unwrap(),
    );
    let mut bell = there.subscribe();
    let before = commits(&world).await;
    for _ in 0..1_000 {
        here.ring(world.tenant);
    }
    here.ring(world.other);
    heard_of(&mut bell, world.other).await;
    let messages = commits(&world).await - before;
    assert!(messages < 100, "{messages} transactions for 1,001 rings");
}

/// Transactions of this database so far; what is not reported yet does not matter for an upper bound of this size.
async fn commits(world: &World) -> i64 {
    sqlx::query_scalar("select xact_commit from pg_stat_database where datname = current_database()")
        .fetch_one(&world.admin)
        .await
        .unwrap()
}
