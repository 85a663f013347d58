//! I5 and I6: every reader sees all, in order, and nobody's open transaction stalls a feed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use eventstore::TenantTx;
use formats::TenantId;
use sqlx::PgPool;
use tokio::task::JoinSet;

use crate::{
    checks::all_in_order,
    member::Command,
    world::{World, envelope, eventually, join, run},
};

/// What a reader does: asks for what comes after the last position it has.
async fn catch_up(store: &eventstore::Store, tenant: TenantId, read: &mut Vec<u64>) {
    loop {
        let events = store.read(tenant, read.last().copied().unwrap_or(0), 7).await.unwrap();
        if events.is_empty() {
            return;
        }
        read.extend(events.iter().map(|event| event.position));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_see_every_event_in_order_while_others_write() {
    let world = World::new().await;
    let stores = [world.store.clone(), world.process().await];
    let stop = Arc::new(AtomicBool::new(false));
    let mut readers = JoinSet::new();
    for reader in 0..4 {
        let (store, stop, tenant) = (stores[reader % 2].clone(), Arc::clone(&stop), world.tenant);
        readers.spawn(async move {
            let mut read = Vec::new();
            while !stop.load(Ordering::SeqCst) {
                catch_up(&store, tenant, &mut read).await;
            }
            catch_up(&store, tenant, &mut read).await;
            read
        });
    }
    let mut writers = JoinSet::new();
    for writer in 0..12u64 {
        let (store, tenant, id) = (stores[writer as usize % 2].clone(), world.tenant, world.id());
        writers.spawn(async move {
            join(&store, tenant, id, &format!("w{writer}@example.test"))
                .await
                .unwrap();
            for n in 0..10 {
                run(
                    &store,
                    tenant,
                    id,
                    Command::Burst {
                        events: (writer + n) % 4,
                    },
                )
                .await
                .unwrap();
            }
        });
    }
    writers.join_all().await;
    stop.store(true, Ordering::SeqCst);
    let written: Vec<u64> = (1..=world.store.head(world.tenant).await.unwrap()).collect();
    assert!(written.len() > 150);
    for read in readers.join_all().await {
        assert_eq!(all_in_order(&read, &written), Ok(()));
    }
}

/// An append that is kept open: whoever comes later waits for it, so that no reader passes it by.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_append_is_not_passed_by() {
    let world = World::new().await;
    let (slow, fast) = (world.member().await, world.member().await);
    let mut read = Vec::new();
    let mut open = TenantTx::begin(world.store.pool(), world.tenant).await.unwrap();
    append_raw(&mut open, world.tenant, slow, 1).await;
    let later = {
        let (store, tenant) = (world.store.clone(), world.tenant);
        tokio::spawn(async move { run(&store, tenant, fast, Command::Count { by: 1 }).await.unwrap() })
    };
    eventually("the later append waits", async || {
        let waiting: i64 = sqlx::query_scalar("select count(*) from pg_locks where not granted")
            .fetch_one(&world.admin)
            .await
            .unwrap();
        waiting > 0
    })
    .await;
    catch_up(&world.store, world.tenant, &mut read).await;
    open.commit().await.unwrap();
    let last = later.await.unwrap().last();
    catch_up(&world.store, world.tenant, &mut read).await;
    assert_eq!(all_in_order(&read, &(1..=last).collect::<Vec<_>>()), Ok(()));
}

/// The function itself, in a transaction that stays open; any readable body will do.
async fn append_raw(tx: &mut TenantTx, tenant: TenantId, stream: uuid::Uuid, expected: i64) {
    let verdict: String = sqlx::query_scalar(
        "select verdict from append_batch(true, array[$1], array[gen_random_uuid()], array['x'::bytea],
           array[gen_random_uuid()], array['member'], array[$2], array[$3], array[1], array[0], array['Counted'], array[1], array[now()], array[now()],
           array[(select body from events where tenant_id = $1 and position = 1)], array['{}'],
           array[(select leaf from events where tenant_id = $1 and position = 1)], '{}', '{}', '{}')",
    )
    .bind(tenant.uuid())
    .bind(stream)
    .bind(expected)
    .fetch_one(&mut **tx)
    .await
    .unwrap();
    assert_eq!(verdict, "ok");
}

async fn control_table(admin: &PgPool) {
    sqlx::raw_sql(
        "create table control_events (id bigserial primary key, tx xid8 not null default pg_current_xact_id());",
    )
    .execute(admin)
    .await
    .unwrap();
}

const CONTROL_WRITE: &str = "insert into control_events default values returning id";

/// The broken variant: ids from a sequence and a reader that asks for `id > last`.
#[tokio::test]
async fn control_a_reader_of_sequence_ids_loses_the_slow_one() {
    let world = World::new().await;
    control_table(&world.admin).await;
    let read_on = async |read: &mut Vec<i64>| {
        let more: Vec<i64> = sqlx::query_scalar("select id from control_events where id > $1 order by id")
            .bind(read.last().copied().unwrap_or(0))
            .fetch_all(&world.admin)
            .await
            .unwrap();
        read.extend(more);
    };
    let mut read = Vec::new();
    let mut open = world.admin.begin().await.unwrap();
    let slow: i64 = sqlx::query_scalar(CONTROL_WRITE).fetch_one(&mut *open).await.unwrap();
    let fast: i64 = sqlx::query_scalar(CONTROL_WRITE).fetch_one(&world.admin).await.unwrap();
    read_on(&mut read).await;
    open.commit().await.unwrap();
    read_on(&mut read).await;
    assert_eq!(
        all_in_order(&read, &[slow, fast]),
        Err(format!("{slow} was never read"))
    );
}

/// Opens a transaction that has written something, and does nothing more.
async fn idle_writer(admin: &PgPool) -> sqlx::Transaction<'static, sqlx::Postgres> {
    let mut idle = admin.begin().await.unwrap();
    sqlx::query("create table control_idle ()")
        .execute(&mut *idle)
        .await
        .unwrap();
    idle
}

#[tokio::test]
async fn an_idle_transaction_does_not_stall_the_feed() {
    let world = World::new().await;
    let id = world.member().await;
    let idle = idle_writer(&world.admin).await;
    let mut elsewhere = TenantTx::begin(world.store.pool(), world.other).await.unwrap();
    sqlx::query("select position from tenant_head where tenant_id = $1 for update")
        .bind(world.other.uuid())
        .execute(&mut *elsewhere)
        .await
        .unwrap();
    let begun = tokio::time::Instant::now();
    let done = run(&world.store, world.tenant, id, Command::Count { by: 1 })
        .await
        .unwrap();
    let read = world.store.read(world.tenant, done.last() - 1, 10).await.unwrap();
    assert_eq!(read.len(), 1, "visible at once");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    idle.rollback().await.unwrap();
}

/// The broken variant: a reader that waits for a watermark of transaction ids.
#[tokio::test]
async fn control_a_watermark_of_transaction_ids_stalls_behind_an_idle_transaction() {
    let world = World::new().await;
    control_table(&world.admin).await;
    let idle = idle_writer(&world.admin).await;
    let id: i64 = sqlx::query_scalar(CONTROL_WRITE).fetch_one(&world.admin).await.unwrap();
    let read: Vec<i64> =
        sqlx::query_scalar("select id from control_events where tx < pg_snapshot_xmin(pg_current_snapshot())")
            .fetch_all(&world.admin)
            .await
            .unwrap();
    assert_eq!(all_in_order(&read, &[id]), Err(format!("{id} was never read")));
    idle.rollback().await.unwrap();
}

#[tokio::test]
async fn an_event_reads_back_with_all_that_surrounds_it() {
    let world = World::new().await;
    let id = world.member().await;
    let mut sent = envelope(&world.store);
    sent.address = Some("203.0.113.7".into());
    sent.causation = Some(1);
    sent.traceparent = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into());
    sent.time = Some("2026-01-31T08:00:00.123Z".parse().unwrap());
    let done = crate::world::run_as(&world.store, world.tenant, id, &sent, Command::Count { by: 9 })
        .await
        .unwrap();
    let read = world.store.read(world.tenant, done.last() - 1, 10).await.unwrap();
    let [event] = read.as_slice() else { panic!("{read:?}") };
    let body = &event.body;
    assert_eq!(event.position, done.last());
    assert_eq!(
        (body.tenant, body.stream.id, body.stream.version),
        (world.tenant, id, 2)
    );
    assert_eq!(
        (body.event_type.as_str(), body.schema, body.command_id),
        ("Counted", 1, sent.command_id)
    );
    assert_eq!((Some(body.recorded_at), Some(body.occurred_at)), (sent.time, sent.time));
    assert_eq!((&body.actor, body.meta.correlation), (&sent.actor, sent.correlation));
    assert_eq!(
        (body.meta.causation, &body.meta.traceparent),
        (Some(1), &sent.traceparent)
    );
    assert_eq!(body.meta.address, Some(formats::Address::Clear("203.0.113.7".into())));
    assert_eq!(body.data, *serde_json::json!({"by": 9}).as_object().unwrap());
    assert_eq!(event.leaf, formats::leaf_hash(&event.bytes));
}
