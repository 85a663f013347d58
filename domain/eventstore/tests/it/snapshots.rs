//! I14: a state from memory, from a snapshot and a tail, and from a full replay are the same.

use eventstore::{Options, Store};
use proptest::{prelude::*, test_runner::TestRunner};
use sqlx::Row;
use uuid::Uuid;

use crate::{
    member::{Command, Member},
    world::{World, eventually, process, run},
};

async fn kept(world: &World, id: Uuid) -> Option<i64> {
    sqlx::query("select version from aggregate_snapshot where stream_id = $1")
        .bind(id)
        .fetch_optional(&world.admin)
        .await
        .unwrap()
        .map(|row| row.get(0))
}

/// The check of I14: what a process without memory loads is what a full replay gives.
async fn loads_as_replayed(store: &Store, world: &World, id: Uuid) -> Result<(), String> {
    let replayed = store.replay::<Member>(world.tenant, id).await.unwrap();
    let loaded = store.load::<Member>(world.tenant, id).await.unwrap();
    if loaded == replayed {
        Ok(())
    } else {
        Err(format!("{loaded:?} is loaded, {replayed:?} is replayed"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_snapshot_and_replay_agree_at_random_points() {
    let world = World::with(Options {
        snapshot_every: 7,
        ..Options::default()
    })
    .await;
    let handle = tokio::runtime::Handle::current();
    let commands = prop::collection::vec(
        prop_oneof![
            4 => (0u64..9).prop_map(|by| Command::Count { by }),
            2 => (0u64..6).prop_map(|events| Command::Burst { events }),
            1 => Just(Command::Nothing),
            1 => (0u32..9999).prop_map(|n| Command::ChangeEmail { email: format!("{n}@example.test") }),
        ],
        1..25,
    );
    tokio::task::spawn_blocking(move || {
        let config = ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::with_cases(12)
        };
        TestRunner::new(config)
            .run(&(commands, 0usize..25), |(commands, at)| {
                handle.block_on(async {
                    let id = world.member().await;
                    for (n, command) in commands.iter().enumerate() {
                        let _ = run(&world.store, world.tenant, id, command.clone()).await;
                        if n == at {
                            let (state, version) = world.store.load::<Member>(world.tenant, id).await.unwrap();
                            world
                                .store
                                .keep_snapshot(world.tenant, id, &state, version)
                                .await
                                .unwrap();
                        }
                    }
                    // Memory, and a process without.
                    let options = Options {
                        snapshot_every: 7,
                        ..Options::default()
                    };
                    let cold = process(&world.database.url_app, options).await;
                    for store in [&world.store, &cold] {
                        prop_assert_eq!(loads_as_replayed(store, &world, id).await, Ok(()));
                    }
                    cold.close().await;
                    Ok(())
                })
            })
            .unwrap();
    })
    .await
    .unwrap();
}

/// The broken variant: a snapshot that is not what the events give. The same check notices.
#[tokio::test]
async fn control_a_wrong_snapshot_is_noticed() {
    let world = World::new().await;
    let id = world.member().await;
    run(&world.store, world.tenant, id, Command::Burst { events: 5 })
        .await
        .unwrap();
    let (mut state, version) = world.store.load::<Member>(world.tenant, id).await.unwrap();
    state.trace += 1;
    world
        .store
        .keep_snapshot(world.tenant, id, &state, version)
        .await
        .unwrap();
    let cold = world.process().await;
    assert!(loads_as_replayed(&cold, &world, id).await.is_err());
}

#[tokio::test]
async fn a_snapshot_is_kept_every_so_many_versions() {
    let world = World::with(Options {
        snapshot_every: 10,
        ..Options::default()
    })
    .await;
    let id = world.member().await;
    for _ in 0..8 {
        run(&world.store, world.tenant, id, Command::Count { by: 1 })
            .await
            .unwrap();
    }
    assert_eq!(kept(&world, id).await, None, "version 9");
    run(&world.store, world.tenant, id, Command::Burst { events: 4 })
        .await
        .unwrap();
    eventually("a snapshot at version 13", async || kept(&world, id).await == Some(13)).await;
}

#[tokio::test]
async fn only_a_newer_snapshot_replaces_one() {
    let world = World::new().await;
    let id = world.member().await;
    run(&world.store, world.tenant, id, Command::Burst { events: 5 })
        .await
        .unwrap();
    let (state, version) = world.store.load::<Member>(world.tenant, id).await.unwrap();
    for (at, stays) in [(version, 6), (3, 6), (6, 6)] {
        world.store.keep_snapshot(world.tenant, id, &state, at).await.unwrap();
        assert_eq!(kept(&world, id).await, Some(stays));
    }
    run(&world.store, world.tenant, id, Command::Count { by: 1 })
        .await
        .unwrap();
    let (state, version) = world.store.load::<Member>(world.tenant, id).await.unwrap();
    world
        .store
        .keep_snapshot(world.tenant, id, &state, version)
        .await
        .unwrap();
    assert_eq!(kept(&world, id).await, Some(7));
}

#[tokio::test]
async fn a_snapshot_of_another_program_or_one_that_cannot_be_read_is_ignored() {
    let world = World::new().await;
    let id = world.member().await;
    run(&world.store, world.tenant, id, Command::Burst { events: 5 })
        .await
        .unwrap();
    let (mut state, version) = world.store.load::<Member>(world.tenant, id).await.unwrap();
    state.trace += 1;
    world
        .store
        .keep_snapshot(world.tenant, id, &state, version)
        .await
        .unwrap();
    for spoil in [
        "update aggregate_snapshot set state = '\\x7b7d'",
        "update aggregate_snapshot set fingerprint = sha256('another')",
    ] {
        sqlx::raw_sql(spoil).execute(&world.admin).await.unwrap();
        let cold = world.process().await;
        assert_eq!(loads_as_replayed(&cold, &world, id).await, Ok(()), "{spoil}");
        run(&cold, world.tenant, id, Command::Count { by: 1 }).await.unwrap();
    }
}

#[tokio::test]
async fn a_database_restored_to_an_earlier_point_is_read_as_it_is() {
    let world = World::new().await;
    let id = world.member().await;
    run(&world.store, world.tenant, id, Command::Burst { events: 5 })
        .await
        .unwrap();
    sqlx::raw_sql("set session_replication_role = replica; delete from events where stream_version > 4; update stream set version = 4 where version > 4; update tenant_head set position = 4 where position > 4; reset session_replication_role;")
        .execute(&world.admin)
        .await
        .unwrap();
    let (state, version) = world.store.load::<Member>(world.tenant, id).await.unwrap();
    assert_eq!((state.events, version), (4, 4));
}

#[tokio::test]
async fn a_stream_with_a_missing_event_is_not_replayed() {
    let world = World::new().await;
    let id = world.member().await;
    run(&world.store, world.tenant, id, Command::Burst { events: 5 })
        .await
        .unwrap();
    for missing in [3, 6] {
        let mut tx = world.admin.begin().await.unwrap();
        sqlx::raw_sql("set local session_replication_role = replica")
            .execute(&mut *tx)
            .await
            .unwrap();
        sqlx::query("delete from events where stream_id = $1 and stream_version = $2")
            .bind(id)
            .bind(i64::from(missing))
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let error = world.store.replay::<Member>(world.tenant, id).await.unwrap_err();
        assert!(error.to_string().contains("version 3 is missing"), "{error}");
    }
}
