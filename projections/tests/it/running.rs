//! The runner: rows and cursors move together, one worker at a time has a cursor, what fails parks alone, nothing waits
//! for a ring (invariants I7, I9 and I15 of `docs/eventstore.md`). Each comes with the variant on which the same check
//! must fail.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use formats::{PersonId, UserId};
use projections::{
    Options, Runner, WaitError, Waiter,
    request_queue::{self, RequestQueue},
};
use tokio::sync::{Semaphore, oneshot};

use crate::{
    tally::{Faults, Tally},
    world::{World, eventually},
};

/// Files some requests: one event each.
async fn file(world: &World, n: usize) {
    let (person, anna) = (world.id::<PersonId>(), world.id::<UserId>());
    for _ in 0..n {
        world.submit(world.submission(person, anna)).await;
    }
}

/// Every event once.
fn exact(positions: &[i64], head: i64) -> bool {
    positions.iter().copied().eq(1..=head)
}

/// A process dies after its rows are written and before its cursor is; another one goes on.
async fn crash_between(outside: bool) -> Vec<i64> {
    let world = World::new().await;
    Tally::create(&world).await;
    file(&world, 9).await;
    let hanging = Arc::new(Semaphore::new(0));
    let dies = Arc::new(Faults {
        hang: 1.into(),
        hanging: Some(Arc::clone(&hanging)),
        outside: outside.then(|| world.store.pool().clone()),
        ..Faults::default()
    });
    let runner = world.runner_of(vec![Tally::boxed(Arc::clone(&dies))], 100);
    let tenant = world.tenant;
    let process = tokio::spawn(async move { runner.drain(tenant).await });
    hanging.acquire().await.unwrap().forget();
    process.abort();
    assert!(process.await.unwrap_err().is_cancelled());
    world
        .runner_of(vec![Tally::boxed(dies)], 100)
        .drain(tenant)
        .await
        .unwrap();
    assert_eq!(world.cursor("tally").await, 10);
    Tally::positions(&world).await
}

#[tokio::test]
async fn a_crash_between_rows_and_cursor_leaves_neither() {
    assert!(exact(&crash_between(false).await, 10));
}

#[tokio::test]
async fn the_crash_test_fails_where_the_cursor_moves_in_another_transaction_than_the_rows() {
    assert!(!exact(&crash_between(true).await, 10));
}

#[tokio::test]
async fn two_processes_on_one_cursor_write_each_row_once() {
    let world = World::new().await;
    Tally::create(&world).await;
    let faults = Arc::new(Faults::default());
    let process = |store| {
        Runner::with(
            store,
            vec![Tally::boxed(Arc::clone(&faults))],
            Options {
                batch: 3,
                ..Options::default()
            },
        )
    };
    let (one, two) = (process(world.store.clone()), process(world.process().await));
    let writer = async {
        file(&world, 60).await;
    };
    let reader = async |runner: &Runner| {
        for _ in 0..40 {
            runner.drain(world.tenant).await.unwrap();
        }
    };
    tokio::join!(writer, reader(&one), reader(&two));
    one.drain(world.tenant).await.unwrap();
    assert!(exact(&Tally::positions(&world).await, 61));
}

#[tokio::test]
async fn the_two_process_test_fails_where_the_cursor_is_not_locked() {
    let world = World::new().await;
    Tally::create(&world).await;
    file(&world, 20).await;
    world.runner_of(vec![], 1).drain(world.tenant).await.unwrap();
    sqlx::query("insert into projection_checkpoint (tenant_id, projection, build) values ($1, 'tally', 1)")
        .bind(world.tenant.uuid())
        .execute(&world.admin)
        .await
        .unwrap();
    let barrier = tokio::sync::Barrier::new(2);
    // What the runner does, but for the lock.
    let careless = async || {
        let mut tx = eventstore::TenantTx::begin(world.store.pool(), world.tenant)
            .await
            .unwrap();
        let cursor = world.cursor("tally").await;
        let events = world
            .store
            .read_in(&mut tx, u64::try_from(cursor).unwrap(), 100)
            .await
            .unwrap();
        let positions: Vec<i64> = events.iter().map(|e| i64::try_from(e.position).unwrap()).collect();
        barrier.wait().await;
        sqlx::query("insert into tally (tenant_id, build, position) select $1, 1, unnest($2::bigint[])")
            .bind(world.tenant.uuid())
            .bind(&positions)
            .execute(&mut *tx)
            .await
            .unwrap();
        sqlx::query("update projection_checkpoint set position = $2 where tenant_id = $1 and projection = 'tally'")
            .bind(world.tenant.uuid())
            .bind(positions.last())
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    };
    tokio::join!(careless(), careless());
    assert!(!exact(&Tally::positions(&world).await, 21));
}

/// The tally beside a projection that is well, over a log of 41 events of which the 18th is at fault.
async fn with_a_fault(faults: Faults) -> (World, Arc<Faults>, Runner) {
    let world = World::new().await;
    Tally::create(&world).await;
    file(&world, 40).await;
    let faults = Arc::new(faults);
    let runner = world.runner_of(vec![Tally::boxed(Arc::clone(&faults)), Box::new(RequestQueue)], 100);
    runner.drain(world.tenant).await.unwrap();
    (world, faults, runner)
}

async fn parked_at_18(world: &World, faults: &Faults, runner: &Runner, says: &str) {
    assert_eq!(
        (world.cursor("tally").await, world.cursor("request_queue").await),
        (17, 41)
    );
    assert!(exact(&Tally::positions(world).await, 17), "what came before is kept");
    let (error, at): (String, i64) = sqlx::query_as(
        "select error, parked_position from projection_checkpoint where tenant_id = $1 and projection = 'tally'",
    )
    .bind(world.tenant.uuid())
    .fetch_one(&world.admin)
    .await
    .unwrap();
    assert!(error.contains(says) && at == 18, "{error}");

    file(world, 3).await;
    runner.drain(world.tenant).await.unwrap();
    assert_eq!(
        (world.cursor("tally").await, world.cursor("request_queue").await),
        (17, 44),
        "the others go on"
    );

    // Tried again too early, it parks again.
    assert_eq!(
        projections::retry(world.store.pool(), Some("tally"), Some(world.tenant))
            .await
            .unwrap(),
        1
    );
    runner.drain(world.tenant).await.unwrap();
    assert_eq!(world.cursor("tally").await, 17);

    for fault in [
        &faults.fold_error_at,
        &faults.fold_panic_at,
        &faults.flush_error_at,
        &faults.flush_panic_at,
    ] {
        fault.store(0, Ordering::Relaxed);
    }
    runner.drain(world.tenant).await.unwrap();
    assert_eq!(world.cursor("tally").await, 17, "parked until somebody says otherwise");
    assert_eq!(projections::retry(world.store.pool(), None, None).await.unwrap(), 1);
    runner.drain(world.tenant).await.unwrap();
    assert!(exact(&Tally::positions(world).await, 44));
}

#[tokio::test]
async fn an_event_that_cannot_be_folded_parks_its_projection_alone() {
    let (world, faults, runner) = with_a_fault(Faults {
        fold_error_at: 18.into(),
        ..Faults::default()
    })
    .await;
    parked_at_18(&world, &faults, &runner, "a fault in a fold").await;
}

#[tokio::test]
async fn a_panic_in_a_fold_parks_its_projection_alone() {
    let (world, faults, runner) = with_a_fault(Faults {
        fold_panic_at: 18.into(),
        ..Faults::default()
    })
    .await;
    parked_at_18(&world, &faults, &runner, "panicked: a panic in a fold").await;
}

#[tokio::test]
async fn a_row_that_the_database_refuses_parks_its_projection_in_front_of_its_event() {
    let (world, faults, runner) = with_a_fault(Faults {
        flush_error_at: 18.into(),
        ..Faults::default()
    })
    .await;
    parked_at_18(&world, &faults, &runner, "division by zero").await;
}

#[tokio::test]
async fn a_panic_in_a_flush_parks_its_projection_in_front_of_its_event() {
    let (world, faults, runner) = with_a_fault(Faults {
        flush_panic_at: 18.into(),
        ..Faults::default()
    })
    .await;
    parked_at_18(&world, &faults, &runner, "panicked: a panic in a flush").await;
}

#[tokio::test]
async fn a_database_that_is_away_for_a_moment_parks_nothing() {
    let world = World::new().await;
    Tally::create(&world).await;
    file(&world, 5).await;
    let runner = world.runner_of(
        vec![Tally::boxed(Arc::new(Faults {
            away: 2.into(),
            ..Faults::default()
        }))],
        100,
    );
    assert!(runner.drain(world.tenant).await.is_err());
    assert!(runner.drain(world.tenant).await.is_err());
    runner.drain(world.tenant).await.unwrap();
    assert!(exact(&Tally::positions(&world).await, 6));
}

/// Changes the body of the last event behind the product's back.
async fn damage(world: &World, from: &str, to: &str) {
    let mut tx = world.admin.begin().await.unwrap();
    sqlx::query("set local session_replication_role = replica")
        .execute(&mut *tx)
        .await
        .unwrap();
    let changed = sqlx::query(
        "update events set body = convert_to(replace(convert_from(body, 'utf8'), $2, $3), 'utf8')
         where tenant_id = $1 and position = (select position from tenant_head where tenant_id = $1)
           and position(convert_to($2, 'utf8') in body) > 0",
    )
    .bind(world.tenant.uuid())
    .bind(from)
    .bind(to)
    .execute(&mut *tx)
    .await
    .unwrap();
    assert_eq!(changed.rows_affected(), 1);
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn an_event_of_a_type_nobody_knows_parks_those_who_follow_its_stream_until_it_is_repaired() {
    let world = World::new().await;
    file(&world, 5).await;
    damage(&world, "\"type\":\"RequestSubmitted\"", "\"type\":\"RequestVanished\"").await;
    file(&world, 4).await;
    world.drain().await;
    let followers = ["audit_trail", "escalation_schedule", "mail_outbox", "request_queue"];
    for projection in projections::all() {
        let parked = projection.streams().is_none_or(|streams| streams.contains(&"request"));
        assert_eq!(
            world.cursor(projection.name()).await,
            if parked { 5 } else { 10 },
            "{}",
            projection.name()
        );
    }
    let status = projections::status(world.store.pool()).await.unwrap();
    for name in followers {
        let status = status.iter().find(|s| s.name == name).unwrap();
        assert_eq!(
            (status.lag, status.behind),
            (5, 2),
            "the outsider's log was not read at all"
        );
        assert_eq!(status.parked.len(), 1);
        let parked = &status.parked[0];
        assert_eq!(
            (parked.tenant, parked.position, parked.live, parked.attempts),
            (world.tenant, 6, true, 1)
        );
        assert!(parked.error.contains("RequestVanished"), "{}", parked.error);
    }
    world.runner.drain(world.other).await.unwrap();
    let left = projections::status(world.store.pool()).await.unwrap();
    assert!(
        left.iter().all(|s| s.behind == u64::from(s.lag > 0)),
        "other tenants go on"
    );

    let mut tx = world.admin.begin().await.unwrap();
    sqlx::query("set local session_replication_role = replica")
        .execute(&mut *tx)
        .await
        .unwrap();
    sqlx::query(
        "update events set body = convert_to(replace(convert_from(body, 'utf8'), 'RequestVanished', 'RequestSubmitted'),
           'utf8') where tenant_id = $1 and position = 6",
    )
    .bind(world.tenant.uuid())
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    projections::retry(world.store.pool(), None, Some(world.tenant))
        .await
        .unwrap();
    world.drain().await;
    let status = projections::status(world.store.pool()).await.unwrap();
    assert!(
        status
            .iter()
            .all(|s| s.lag == 0 && s.parked.is_empty() && s.tenants == 2),
        "{status:?}"
    );
    let counts = request_queue::counts(&mut world.tx().await).await.unwrap();
    assert_eq!(counts.pending, 9);
}

#[tokio::test]
async fn an_event_that_is_no_event_parks_the_tenant_and_nobody_else() {
    let world = World::new().await;
    file(&world, 5).await;
    damage(&world, "{", "[").await;
    file(&world, 2).await;
    world.drain().await;
    world.runner.drain(world.other).await.unwrap();
    let status = projections::status(world.store.pool()).await.unwrap();
    for status in status {
        assert_eq!(
            (status.parked.len(), status.parked[0].position, status.behind),
            (1, 6, 1),
            "{}",
            status.name
        );
        assert_eq!(world.cursor(&status.name).await, 5);
    }
}

#[tokio::test]
async fn a_running_process_shows_a_writer_its_own_writes() {
    let world = World::new().await;
    let (stop, stopped) = oneshot::channel::<()>();
    let runner = world.runner.clone();
    let running = tokio::spawn(async move {
        runner
            .run(async {
                let _ = stopped.await;
            })
            .await;
    });
    for waiter in [world.runner.waiter(), Waiter::new(world.store.pool().clone())] {
        let (person, anna) = (world.id::<PersonId>(), world.id::<UserId>());
        let submission = world.submission(person, anna);
        let request = world.submit(submission).await;
        let head = world.store.head(world.tenant).await.unwrap();
        waiter
            .wait_for(world.tenant, head, Duration::from_secs(20))
            .await
            .unwrap();
        assert!(
            request_queue::find(&mut world.tx().await, request)
                .await
                .unwrap()
                .is_some()
        );
    }
    stop.send(()).unwrap();
    running.await.unwrap();
}

#[tokio::test]
async fn waiting_ends_with_the_names_of_those_behind_and_does_not_wait_for_what_is_parked() {
    let world = World::new().await;
    file(&world, 2).await;
    let waiter = world.runner.waiter();
    let lagging = waiter
        .wait_for_some(&["request_queue"], world.tenant, 3, Duration::from_millis(20))
        .await;
    let Err(WaitError::Lagging(behind)) = lagging else {
        panic!("{lagging:?}")
    };
    assert_eq!(
        (behind[0].projection.as_str(), behind[0].position, behind[0].parked),
        ("request_queue", None, false)
    );
    world.drain().await;
    waiter.wait_for(world.tenant, 3, Duration::ZERO).await.unwrap();

    damage(&world, "\"type\":\"RequestSubmitted\"", "\"type\":\"RequestVanished\"").await;
    file(&world, 1).await;
    damage(&world, "\"type\":\"RequestSubmitted\"", "\"type\":\"RequestVanished\"").await;
    world.drain().await;
    let lagging = waiter.wait_for(world.tenant, 4, Duration::from_secs(3_600)).await;
    let Err(WaitError::Lagging(behind)) = lagging else {
        panic!("{lagging:?}")
    };
    assert!(behind.iter().all(|b| b.parked && b.position == Some(3)), "{behind:?}");
    waiter
        .wait_for_some(&["fleet", "directory"], world.tenant, 4, Duration::ZERO)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_lost_ring_costs_a_sweep_and_nothing_else() {
    let world = World::new().await;
    // The doorbell of the process that writes is not that of the process that runs.
    let elsewhere = Runner::new(
        world.process().await,
        Options {
            sweep: Duration::from_millis(20),
            tenants: 1,
            ..Options::default()
        },
    );
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn({
        let elsewhere = elsewhere.clone();
        async move {
            elsewhere
                .run(async {
                    let _ = stopped.await;
                })
                .await;
        }
    });
    file(&world, 3).await;
    let waiter = Waiter::new(world.store.pool().clone());
    waiter.wait_for(world.tenant, 4, Duration::from_secs(20)).await.unwrap();
    waiter.wait_for(world.other, 1, Duration::from_secs(20)).await.unwrap();
    file(&world, 3).await;
    eventually("the sweep finds the new events", async || {
        world.cursor("audit_trail").await == 7
    })
    .await;
    stop.send(()).unwrap();
    running.await.unwrap();
}
