//! Lanes under stress: a full queue, a verdict that comes too late, one command at fault in a batch, one connection.

use std::{sync::Arc, time::Duration};

use eventstore::{ExecuteError, InProcess, LocalMasterKey, Options, Store, StoreError, Upcasters, Vault};
use formats::{Ambient, PersonId};
use sqlx::{Postgres, Transaction};
use tokio::task::JoinSet;

use crate::{
    member::{Command, Event, Member},
    world::{MASTER, World, envelope, eventually, join, make_tenant, process, run, run_as},
};

/// Holds the tenant's head, so that its appends wait.
async fn hold_head(world: &World) -> Transaction<'static, Postgres> {
    let mut held = world.admin.begin().await.unwrap();
    sqlx::query("select position from tenant_head where tenant_id = $1 for update")
        .bind(world.tenant.uuid())
        .execute(&mut *held)
        .await
        .unwrap();
    held
}

/// Until an append waits for the head.
async fn appends_wait(world: &World) {
    eventually("an append waits for the head", async || {
        let waiting: i64 = sqlx::query_scalar("select count(*) from pg_locks where not granted")
            .fetch_one(&world.admin)
            .await
            .unwrap();
        waiting > 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_refused_and_those_that_wait_are_carried_out() {
    let world = World::with(Options {
        queue: 3,
        ..Options::default()
    })
    .await;
    let held = hold_head(&world).await;
    let append = || {
        let (store, tenant, id) = (world.store.clone(), world.tenant, world.id());
        let person = store.ambient().id::<PersonId>();
        // Persons get their key before they queue.
        let event = Event::Joined {
            person,
            name: "x".to_owned().into(),
            email: format!("{id}@example.test").into(),
        };
        tokio::spawn(async move {
            store
                .append::<Member>(tenant, id, 0, &envelope(&store), vec![event])
                .await
        })
    };
    let first = append();
    appends_wait(&world).await;
    let mut later = JoinSet::new();
    for _ in 0..8 {
        let append = append();
        later.spawn(async move { append.await.unwrap() });
    }
    // Three wait, five are refused at once, while the head is still held.
    let mut refused = 0;
    while refused < 5 {
        match later.join_next().await.unwrap().unwrap() {
            Err(ExecuteError::Store(StoreError::Busy)) => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    held.rollback().await.unwrap();
    assert!(first.await.unwrap().is_ok());
    for outcome in later.join_all().await {
        assert!(outcome.is_ok(), "{outcome:?}");
    }
    assert_eq!(world.positions(world.tenant).await, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_command_whose_verdict_came_too_late_is_found_by_its_repeat() {
    let world = World::with(Options {
        answer_within: Duration::from_millis(200),
        ..Options::default()
    })
    .await;
    let id = world.member().await;
    let held = hold_head(&world).await;
    let late = envelope(&world.store);
    let none = run_as(&world.store, world.tenant, id, &late, Command::Count { by: 1 }).await;
    assert!(
        matches!(none, Err(ExecuteError::Store(StoreError::Unavailable(_)))),
        "{none:?}"
    );
    held.rollback().await.unwrap();
    eventually("it is carried out all the same", async || {
        world.positions(world.tenant).await.len() == 3
    })
    .await;
    let again = run_as(&world.store, world.tenant, id, &late, Command::Count { by: 1 })
        .await
        .unwrap();
    assert_eq!((again.duplicate, again.version, again.positions), (true, 2, 3..=3));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_that_the_database_refuses_does_not_take_its_neighbours_with_it() {
    let world = World::new().await;
    sqlx::raw_sql(
        "create function poison() returns trigger language plpgsql as $$ begin raise exception 'poison'; end $$;
         create trigger poison before insert on events for each row
           when (new.metadata -> 'actor' ->> 'id' = 'poison') execute function poison();",
    )
    .execute(&world.admin)
    .await
    .unwrap();
    let mut members = Vec::new();
    for _ in 0..6 {
        members.push(world.member().await);
    }
    let held = hold_head(&world).await;
    let mut commands = JoinSet::new();
    for (n, id) in members.into_iter().enumerate() {
        let (store, tenant) = (world.store.clone(), world.tenant);
        let mut envelope = envelope(&store);
        if n == 3 {
            envelope.actor.id = Some("poison".to_owned());
        }
        commands.spawn(async move {
            let outcome = run_as(&store, tenant, id, &envelope, Command::Count { by: 1 }).await;
            (n, outcome)
        });
    }
    appends_wait(&world).await;
    held.rollback().await.unwrap();
    for (n, outcome) in commands.join_all().await {
        match outcome {
            Ok(done) => assert!(n != 3 && done.version == 2),
            Err(ExecuteError::Store(StoreError::Database(error))) => {
                assert!(n == 3 && error.to_string().contains("poison"), "{n}: {error}");
            }
            Err(error) => panic!("{n}: {error}"),
        }
    }
    assert_eq!(crate::checks::gapless(&world.positions(world.tenant).await), Ok(()));
}

#[tokio::test]
async fn what_no_column_can_keep_is_refused_before_it_reaches_a_batch() {
    let world = World::new().await;
    let id = world.member().await;
    let mut bad = envelope(&world.store);
    bad.traceparent = Some("00-\0".to_owned());
    let refused = run_as(&world.store, world.tenant, id, &bad, Command::Count { by: 1 }).await;
    assert!(
        matches!(refused, Err(ExecuteError::Store(StoreError::Unwritable { .. }))),
        "{refused:?}"
    );
}

/// As behind a pooler that gives one connection: nothing waits for a second one while it holds the first.
#[tokio::test(flavor = "multi_thread")]
async fn one_connection_is_enough_for_everything() {
    let world = World::new().await;
    let pool = eventstore::connect(&world.database.url_app, 1).await.unwrap();
    let ambient = Ambient::system();
    let vault = Vault::new(
        pool.clone(),
        ambient.clone(),
        Arc::new(LocalMasterKey::from_bytes(MASTER)),
        vec![],
    );
    let bell = Arc::new(InProcess::new());
    let store = Store::new(pool, vault, ambient, Upcasters::new(), bell, Options::default());
    let tenant = make_tenant(&store, "narrow").await;
    let mut members = JoinSet::new();
    for n in 0..20 {
        let (store, id) = (store.clone(), world.id());
        members.spawn(async move {
            join(&store, tenant, id, &format!("{n}@example.test")).await.unwrap();
            run(&store, tenant, id, Command::Count { by: 1 }).await.unwrap();
            id
        });
    }
    members.join_all().await;
    // Keys and people are read again, on the connection that reads the events.
    let cold = process(&world.database.url_app, Options::default()).await;
    let person = cold.read(tenant, 0, 1).await.unwrap()[0].person().unwrap();
    store
        .vault()
        .rotate(tenant, formats::Purpose::Grant, Duration::ZERO)
        .await
        .unwrap();
    store.vault().erase_person(tenant, person).await.unwrap();
    assert_eq!(store.read(tenant, 0, 100).await.unwrap().len(), 41);
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_go_on_while_one_waits_for_its_head() {
    let world = World::with(Options {
        writers: 1,
        ..Options::default()
    })
    .await;
    let neighbour = make_tenant(&world.store, "neighbour").await;
    let (id, other) = (world.member().await, world.id());
    join(&world.store, neighbour, other, "other@example.test")
        .await
        .unwrap();
    let held = hold_head(&world).await;
    let waiting = {
        let (store, tenant) = (world.store.clone(), world.tenant);
        tokio::spawn(async move { run(&store, tenant, id, Command::Count { by: 1 }).await })
    };
    appends_wait(&world).await;
    for by in 0..5 {
        run(&world.store, neighbour, other, Command::Count { by })
            .await
            .unwrap();
    }
    assert!(!waiting.is_finished(), "its head is still held");
    held.rollback().await.unwrap();
    waiting.await.unwrap().unwrap();
}
