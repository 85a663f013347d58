//! I3 and I4: rivals on one version, repeats of one command; and what else a command may meet.

use std::sync::Arc;

use cqrs_es::{AggregateContext, AggregateError, EventStore};
use eventstore::{CreateTenantError, ExecuteError, Holder, NewTenant, StoreError};
use formats::TenantId;
use tokio::{sync::Barrier, task::JoinSet};
use uuid::Uuid;

use crate::{
    checks::one_winner,
    member::{Command, EMAIL, Error, Event, Member},
    world::{World, envelope, founding, join, run, run_as},
};

#[tokio::test(flavor = "multi_thread")]
async fn of_rivals_on_one_version_one_comes_through_in_one_lane_and_across_processes() {
    let world = World::new().await;
    let one_lane = vec![world.store.clone()];
    let two_processes = vec![world.store.clone(), world.process().await];
    for stores in [one_lane, two_processes] {
        let id = world.member().await;
        let barrier = Arc::new(Barrier::new(16));
        let mut rivals = JoinSet::new();
        for n in 0..16 {
            let (store, barrier, tenant) = (stores[n % stores.len()].clone(), Arc::clone(&barrier), world.tenant);
            rivals.spawn(async move {
                barrier.wait().await;
                let event = vec![Event::Counted { by: n as u64 }];
                match store.append::<Member>(tenant, id, 1, &envelope(&store), event).await {
                    Ok(done) => done.version == 2,
                    Err(ExecuteError::Conflict) => false,
                    Err(error) => panic!("{error}"),
                }
            });
        }
        assert_eq!(one_winner(&rivals.join_all().await), Ok(()));
        assert_eq!(world.store.load::<Member>(world.tenant, id).await.unwrap().1, 2);
    }
}

/// The broken variant: lock and check in one statement. The check uses the snapshot from before the wait for the lock.
#[tokio::test]
async fn control_lock_and_check_in_one_statement_let_two_rivals_through() {
    let world = World::new().await;
    sqlx::raw_sql(
        "create table control_head (id int primary key, position bigint not null);
         insert into control_head values (1, 0);
         create table control_event (stream uuid not null, version bigint not null);
         create function control_append(p_stream uuid, p_expected bigint) returns bigint language sql volatile as $$
           with h as materialized (select position from control_head where id = 1 for update),
           v as (select coalesce(max(version), 0) as version from control_event where stream = p_stream),
           i as (insert into control_event select p_stream, p_expected + 1 from h, v where v.version = p_expected
                 returning 1),
           m as (update control_head set position = position + 1 where id = 1 and exists (select from i))
           select count(*) from i
         $$;",
    )
    .execute(&world.admin)
    .await
    .unwrap();
    let stream = world.id();
    let append = "select control_append($1, 0)";
    let mut first = world.admin.begin().await.unwrap();
    let one: i64 = sqlx::query_scalar(append)
        .bind(stream)
        .fetch_one(&mut *first)
        .await
        .unwrap();
    let admin = world.admin.clone();
    let rival = tokio::spawn(async move {
        sqlx::query_scalar::<_, i64>(append)
            .bind(stream)
            .fetch_one(&admin)
            .await
            .unwrap()
    });
    crate::world::eventually("the rival waits for the lock", async || {
        let waiting: i64 = sqlx::query_scalar("select count(*) from pg_locks where not granted")
            .fetch_one(&world.admin)
            .await
            .unwrap();
        waiting > 0
    })
    .await;
    first.commit().await.unwrap();
    let two = rival.await.unwrap();
    assert_eq!(
        one_winner(&[one == 1, two == 1]),
        Err("2 of 2 rivals came through".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_repeats_of_one_command_has_one_effect_and_one_answer() {
    let world = World::new().await;
    let id = world.member().await;
    let stores = [world.store.clone(), world.process().await];
    let same = envelope(&world.store);
    let barrier = Arc::new(Barrier::new(40));
    let mut repeats = JoinSet::new();
    for n in 0..40 {
        let (store, barrier, same) = (stores[n % 2].clone(), Arc::clone(&barrier), same.clone());
        let tenant = world.tenant;
        repeats.spawn(async move {
            barrier.wait().await;
            run_as(&store, tenant, id, &same, Command::Burst { events: 3 })
                .await
                .unwrap()
        });
    }
    let answers = repeats.join_all().await;
    assert_eq!(answers.iter().filter(|done| !done.duplicate).count(), 1);
    for done in &answers {
        assert_eq!((&done.positions, done.version), (&answers[0].positions, 4));
        assert_eq!(done.events, (0..3).map(|by| Event::Counted { by }).collect::<Vec<_>>());
    }
    assert_eq!(world.store.load::<Member>(world.tenant, id).await.unwrap().1, 4);
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_even_where_the_rules_would_refuse_it_now() {
    let world = World::new().await;
    let id = world.member().await;
    let count = envelope(&world.store);
    let first = run_as(&world.store, world.tenant, id, &count, Command::Count { by: 5 })
        .await
        .unwrap();
    run(&world.store, world.tenant, id, Command::Leave).await.unwrap();
    for store in [world.store.clone(), world.process().await] {
        let again = run_as(&store, world.tenant, id, &count, Command::Count { by: 5 })
            .await
            .unwrap();
        assert!(again.duplicate);
        assert_eq!(
            (again.positions, again.version, again.events),
            (first.positions.clone(), 2, first.events.clone())
        );
    }
    let refused = run(&world.store, world.tenant, id, Command::Count { by: 5 }).await;
    assert!(matches!(refused, Err(ExecuteError::Refused(Error::NotMember))));
}

#[tokio::test]
async fn a_repeat_on_a_fresh_stream_names_the_stream_of_the_first_time() {
    let world = World::new().await;
    let same = envelope(&world.store);
    let command = founding(&world.store);
    let first = run_as(&world.store, world.tenant, world.id(), &same, command.clone())
        .await
        .unwrap();
    let again = run_as(&world.store, world.tenant, world.id(), &same, command)
        .await
        .unwrap();
    assert!(again.duplicate);
    assert_eq!((again.stream_id, again.positions), (first.stream_id, first.positions));
}

#[tokio::test]
async fn a_command_id_used_for_something_else_is_refused() {
    let world = World::new().await;
    let id = world.member().await;
    let mut used = envelope(&world.store);
    run_as(&world.store, world.tenant, id, &used, Command::Count { by: 1 })
        .await
        .unwrap();
    used.fingerprint = [9; 32];
    for store in [world.store.clone(), world.process().await] {
        let refused = run_as(&store, world.tenant, id, &used, Command::Count { by: 2 }).await;
        assert!(matches!(refused, Err(ExecuteError::KeyReused)), "{refused:?}");
    }
}

#[tokio::test]
async fn a_command_without_events_is_remembered_and_says_what_to_wait_for() {
    let world = World::new().await;
    let id = world.member().await;
    let head = world.store.head(world.tenant).await.unwrap();
    let nothing = envelope(&world.store);
    let done = run_as(&world.store, world.tenant, id, &nothing, Command::Nothing)
        .await
        .unwrap();
    assert!(done.positions.is_empty() && done.events.is_empty());
    assert_eq!((done.last(), done.version, done.duplicate), (head, 1, false));
    let again = run_as(&world.store, world.tenant, id, &nothing, Command::Nothing)
        .await
        .unwrap();
    assert_eq!((again.last(), again.version, again.duplicate), (head, 1, true));
}

#[tokio::test]
async fn a_refusal_is_never_founded_on_an_old_state() {
    let world = World::new().await;
    let other = world.process().await;
    let id = world.id();
    // This process has seen that there is no such member; the other one makes it.
    let none = run(&world.store, world.tenant, id, Command::Count { by: 1 }).await;
    assert!(matches!(none, Err(ExecuteError::Refused(Error::NotMember))));
    join(&other, world.tenant, id, "late@example.test").await.unwrap();
    run(&world.store, world.tenant, id, Command::Count { by: 1 })
        .await
        .unwrap();
    // The other one has version 1 in memory.
    run(&world.store, world.tenant, id, Command::Leave).await.unwrap();
    let left = run(&other, world.tenant, id, Command::Count { by: 1 }).await;
    assert!(matches!(left, Err(ExecuteError::Refused(Error::NotMember))), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rivals_that_only_count_are_all_carried_out() {
    let world = World::new().await;
    let id = world.member().await;
    let stores = [world.store.clone(), world.process().await];
    let mut rivals = JoinSet::new();
    for n in 0..60 {
        let (store, tenant) = (stores[n % 2].clone(), world.tenant);
        rivals.spawn(async move { run(&store, tenant, id, Command::Count { by: 1 }).await.unwrap().version });
    }
    let mut versions = rivals.join_all().await;
    versions.sort_unstable();
    assert_eq!(versions, (2..=61).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unique_value_has_one_holder_and_whoever_is_refused_learns_who() {
    let world = World::new().await;
    let stores = [world.store.clone(), world.process().await];
    let mut rivals = JoinSet::new();
    for n in 0..12 {
        let (store, tenant, id) = (stores[n % 2].clone(), world.tenant, world.id());
        rivals.spawn(async move { (id, join(&store, tenant, id, "One@Example.test").await) });
    }
    let outcomes = rivals.join_all().await;
    let winners: Vec<Uuid> = outcomes
        .iter()
        .filter(|(_, done)| done.is_ok())
        .map(|(id, _)| *id)
        .collect();
    assert_eq!(winners.len(), 1);
    for (_, outcome) in outcomes {
        match outcome {
            Ok(_) => {}
            Err(ExecuteError::ClaimTaken { space, holder }) => {
                assert_eq!(space, EMAIL);
                assert_eq!(
                    holder,
                    Holder {
                        stream_type: "member".into(),
                        stream_id: winners[0]
                    }
                );
            }
            Err(error) => panic!("{error}"),
        }
    }
    // Another tenant has its own values.
    join(&world.store, world.other, world.id(), "one@example.test")
        .await
        .unwrap();

    // Given back by another address, and by leaving.
    let change = Command::ChangeEmail {
        email: "two@example.test".into(),
    };
    run(&world.store, world.tenant, winners[0], change).await.unwrap();
    let second = world.id();
    join(&world.store, world.tenant, second, "one@example.test")
        .await
        .unwrap();
    let taken = Command::ChangeEmail {
        email: "TWO@example.test".into(),
    };
    assert!(matches!(
        run(&world.store, world.tenant, second, taken).await,
        Err(ExecuteError::ClaimTaken { .. })
    ));
    run(&world.store, world.tenant, winners[0], Command::Leave)
        .await
        .unwrap();
    join(&world.store, world.tenant, world.id(), "two@example.test")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_tenant_begins_with_its_creation_and_its_slug_is_unique() {
    let world = World::new().await;
    let new = |id: TenantId, slug: &str| NewTenant {
        id,
        slug: slug.to_owned(),
    };
    let (id, same, command) = (
        world.ambient.id::<TenantId>(),
        envelope(&world.store),
        founding(&world.store),
    );
    let first = world
        .store
        .create_tenant::<Member>(new(id, "newcomer"), &same, command.clone())
        .await
        .unwrap();
    assert_eq!((first.positions.clone(), first.duplicate), (1..=1, false));
    let again = world
        .store
        .create_tenant::<Member>(new(id, "newcomer"), &same, command.clone())
        .await
        .unwrap();
    assert_eq!((again.positions, again.duplicate), (1..=1, true));
    assert_eq!(world.store.find_tenant("newcomer").await.unwrap(), Some(id));

    let rival = world.ambient.id::<TenantId>();
    let taken = world
        .store
        .create_tenant::<Member>(new(rival, "newcomer"), &same, command.clone())
        .await;
    assert!(matches!(taken, Err(CreateTenantError::SlugTaken(_))));
    let invalid = world
        .store
        .create_tenant::<Member>(new(rival, "New Comer"), &same, command)
        .await;
    assert!(matches!(invalid, Err(CreateTenantError::SlugInvalid(_))));
    // Nothing was left behind.
    let refused = world
        .store
        .create_tenant::<Member>(new(rival, "refused"), &same, Command::Leave)
        .await;
    assert!(matches!(
        refused,
        Err(CreateTenantError::Execute(ExecuteError::Refused(Error::NotMember)))
    ));
    assert_eq!(world.store.find_tenant("refused").await.unwrap(), None);
    let unknown = join(&world.store, rival, rival.uuid(), "a@example.test").await;
    assert!(
        matches!(unknown, Err(ExecuteError::Store(StoreError::UnknownTenant(t))) if t == rival),
        "{unknown:?}"
    );
}

#[tokio::test]
async fn the_store_is_one_that_cqrs_es_knows() {
    let world = World::new().await;
    let id = world.member().await;
    let handle = world.store.handle(world.tenant, envelope(&world.store));
    let name = id.to_string();
    let mut loaded = EventStore::<Member>::load_aggregate(&handle, &name).await.unwrap();
    assert_eq!((loaded.version, loaded.aggregate().events), (1, 1));
    let stale = loaded.clone();
    let committed = EventStore::<Member>::commit(&handle, vec![Event::Counted { by: 7 }], loaded, Default::default())
        .await
        .unwrap();
    assert_eq!(committed.iter().map(|e| e.sequence).collect::<Vec<_>>(), [2]);
    let later = world.store.handle(world.tenant, envelope(&world.store));
    let conflict =
        EventStore::<Member>::commit(&later, vec![Event::Counted { by: 8 }], stale, Default::default()).await;
    assert!(matches!(conflict, Err(AggregateError::AggregateConflict)));
    let events = EventStore::<Member>::load_events(&handle, &name).await.unwrap();
    assert_eq!(events.len(), 2);
    assert_eq!(events[1].payload, Event::Counted { by: 7 });
    assert!(matches!(&events[0].payload, Event::Joined { name, .. } if name.get().is_some()));
}
