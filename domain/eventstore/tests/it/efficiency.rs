//! I16: what an append costs, counted rather than timed.

use std::sync::Arc;

use tokio::{sync::Barrier, task::JoinSet};

use crate::{
    member::Command,
    world::{World, envelope, eventually, run},
};

/// Calls of `append_batch` and `load_batch`, as the database counts them.
async fn calls(world: &World) -> (i64, i64) {
    sqlx::query_as(
        "select coalesce(sum(calls) filter (where funcname = 'append_batch'), 0)::bigint,
           coalesce(sum(calls) filter (where funcname = 'load_batch'), 0)::bigint
         from pg_stat_user_functions",
    )
    .fetch_one(&world.admin)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_commands_of_a_tenant_travel_in_few_round_trips_and_head_updates_stay_hot() {
    let world = Arc::new(World::new().await);
    sqlx::raw_sql(
        "do $$ begin execute format('alter database %I set track_functions = ''pl''', current_database()); end $$",
    )
    .execute(&world.admin)
    .await
    .unwrap();
    // The setting holds for new connections.
    let store = world.process().await;
    let mut members = Vec::new();
    for _ in 0..64 {
        members.push(world.member().await);
    }
    let barrier = Arc::new(Barrier::new(64));
    let mut writers = JoinSet::new();
    for id in members {
        let (store, barrier, tenant) = (store.clone(), Arc::clone(&barrier), world.tenant);
        writers.spawn(async move {
            barrier.wait().await;
            for n in 0..20 {
                run(&store, tenant, id, Command::Count { by: n }).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    // Backends report when they go, at the latest.
    store.close().await;
    eventually("the calls are reported", async || calls(&world).await.0 > 0).await;
    let (appends, loads) = calls(&world).await;
    let commands = 64 * 20;
    assert!(appends <= commands / 4, "{appends} appends for {commands} commands");
    assert!(loads <= 64, "{loads} loads for 64 streams");

    let head = || async {
        sqlx::query_as::<_, (i64, i64)>(
            "select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname = 'tenant_head'",
        )
        .fetch_one(&world.admin)
        .await
        .unwrap()
    };
    eventually("the updates are reported", async || head().await.0 >= appends).await;
    let (updates, hot) = head().await;
    assert!(
        hot * 10 >= updates * 9,
        "{hot} of {updates} updates of the head were HOT"
    );
}

#[tokio::test]
async fn a_lone_command_on_a_known_stream_is_one_round_trip() {
    let world = World::new().await;
    sqlx::raw_sql(
        "do $$ begin execute format('alter database %I set track_functions = ''pl''', current_database()); end $$",
    )
    .execute(&world.admin)
    .await
    .unwrap();
    let id = world.member().await;
    let store = world.process().await;
    for n in 0..10 {
        crate::world::run_as(&store, world.tenant, id, &envelope(&store), Command::Count { by: n })
            .await
            .unwrap();
    }
    store.close().await;
    eventually("the calls are reported", async || calls(&world).await.0 >= 10).await;
    assert_eq!(calls(&world).await, (10, 1), "ten appends and the first load");
}
