//! The scheduler under load and under loss: each due event once, at its due time, whoever fires it and however late.

use std::{collections::BTreeMap, time::Duration};

use formats::{RequestId, Timestamp};
use portcullis::config::Role;
use projections::{escalation_schedule, work};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::world::World;

const PENDING: Duration = Duration::from_secs(30 * 60);

async fn without_a_scheduler() -> (World, u64) {
    let world = World::with_roles(&[Role::Api, Role::Projector]).await;
    let after = world.app().store.head(world.tenant_id("acme")).await.unwrap();
    (world, after)
}

/// Files so many requests, 64 at once.
async fn file(world: &World, n: u32) {
    let endpoint = world.endpoint("acme").await;
    for batch in 0..n.div_ceil(64) {
        let numbers = (batch * 64)..n.min((batch + 1) * 64);
        let names: Vec<String> = numbers.map(|n| format!("due-{n}.exe")).collect();
        let filing = names.iter().map(|name| Box::pin(world.file(&endpoint, name)));
        futures_util::future::join_all(filing).await;
    }
    let head = world.app().store.head(endpoint.tenant).await.unwrap();
    assert!(world.app().settled(endpoint.tenant, head).await);
}

/// When each request was due to escalate, and the moments of its `RequestEscalated` events.
async fn escalations(world: &World, after: u64) -> BTreeMap<RequestId, (Timestamp, Vec<Timestamp>)> {
    let mut found: BTreeMap<RequestId, (Timestamp, Vec<Timestamp>)> = BTreeMap::new();
    for event in world.log("acme", after).await {
        let id = event.body.stream.id.into();
        match event.body.event_type.as_str() {
            "RequestSubmitted" => {
                let due = serde_json::from_value(event.body.data["pendingUntil"].clone()).unwrap();
                found.insert(id, (due, Vec::new()));
            }
            // The request of the demo data was filed before.
            "RequestEscalated" if found.contains_key(&id) => {
                found.get_mut(&id).unwrap().1.push(event.body.occurred_at);
            }
            _ => {}
        }
    }
    found
}

/// Waits, for at most a minute, until nothing is due any more; then each has to have escalated once, at its time.
async fn all_escalated_once(world: &World, after: u64, n: usize) {
    let (app, tenant) = (world.app(), world.tenant_id("acme"));
    let begun = tokio::time::Instant::now();
    loop {
        let due = work::due_of(app.pool(), work::TIMERS, tenant).await.unwrap();
        if due.is_none_or(|due| due > app.now()) {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "timers are still due");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(escalations(world, after).await.len(), n);
    for (request, (due, fired)) in escalations(world, after).await {
        assert_eq!(fired, [due], "{request}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_timers_of_one_moment_fire_once_each_stamped_with_their_due_times() {
    let (world, after) = without_a_scheduler().await;
    file(&world, 2_000).await;
    world.advance(PENDING + Duration::from_secs(60)).await;
    let stop = CancellationToken::new();
    let mut schedulers = JoinSet::new();
    for _ in 0..2 {
        schedulers.spawn(worker::scheduler::run(world.app().clone(), stop.clone()));
    }
    all_escalated_once(&world, after, 2_000).await;
    stop.cancel();
    schedulers.join_all().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_dies_in_the_middle_is_followed_by_another_and_one_that_wakes_late_changes_nothing() {
    let (world, after) = without_a_scheduler().await;
    let (app, tenant) = (world.app(), world.tenant_id("acme"));
    file(&world, 1_500).await;
    world.advance(PENDING + Duration::from_secs(60)).await;
    // What a scheduler that freezes now has in mind: one batch.
    let mut tx = app.reading(tenant).await.unwrap();
    let frozen = escalation_schedule::due(&mut tx, app.now(), 1_000).await.unwrap();
    drop(tx);
    assert!(frozen.len() >= 200, "{}", frozen.len());

    let dying = tokio::spawn(worker::scheduler::run(app.clone(), CancellationToken::new()));
    world
        .until("the first escalation", async || {
            let found = escalations(&world, after).await;
            found.values().any(|(_, fired)| !fired.is_empty()).then_some(())
        })
        .await;
    dying.abort();
    assert!(dying.await.unwrap_err().is_cancelled());
    let fired = escalations(&world, after).await;
    let fired = fired.values().filter(|(_, fired)| !fired.is_empty()).count();
    assert!(fired < 1_500, "it was to die in the middle");
    // Its claim outlives it: nobody else gets the tenant before the lease is over.
    let lease = Duration::from_secs(15);
    let claimed = work::claim(app.pool(), work::TIMERS, app.now(), lease, 8)
        .await
        .unwrap();
    assert!(claimed.iter().all(|claim| claim.tenant != tenant), "{claimed:?}");
    for claim in claimed {
        work::release(app.pool(), work::TIMERS, claim.tenant).await.unwrap();
    }
    // Leases go by the database's clock, which no test moves: this one ends by hand.
    sqlx::query(
        "update tenant_work set leased_until = clock_timestamp() - interval '1 ms' where tenant_id = $1 and kind = $2",
    )
    .bind(tenant.uuid())
    .bind(work::TIMERS)
    .execute(app.pool())
    .await
    .unwrap();
    let stop = CancellationToken::new();
    let next = tokio::spawn(worker::scheduler::run(app.clone(), stop.clone()));
    all_escalated_once(&world, after, 1_500).await;
    stop.cancel();
    next.await.unwrap();

    // The frozen one wakes up and goes on where it was.
    let head = app.store.head(tenant).await.unwrap();
    for timer in &frozen {
        app.fire_timer(tenant, timer).await.unwrap();
    }
    assert_eq!(app.store.head(tenant).await.unwrap(), head, "not one event more");
    world.end().await;
}
