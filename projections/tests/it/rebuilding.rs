//! Building anew: equal rows, readers served meanwhile, effects once (invariants I7 and I8 of `docs/eventstore.md`).

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use formats::{PersonId, UserId};
use projections::{
    Options, Page, Projection, RunError, Runner,
    mail_outbox::{self, MailOutbox},
    request_queue::{self, Filter, Sort},
};

use crate::{
    history::History,
    tally::{Faults, Tally},
    world::World,
};

/// The rows of all live builds, by table.
async fn rows(world: &World) -> BTreeMap<&'static str, Vec<String>> {
    let mut all = BTreeMap::new();
    for projection in projections::all() {
        let build = world.live_build(projection.name()).await;
        for table in projection.tables() {
            all.insert(*table, world.rows(table, build).await);
        }
    }
    all
}

/// What is not the same, if anything is not.
fn difference(
    grown: &BTreeMap<&'static str, Vec<String>>,
    rebuilt: &BTreeMap<&'static str, Vec<String>>,
) -> Option<String> {
    let (table, grown) = grown.iter().find(|(table, rows)| rebuilt.get(*table) != Some(*rows))?;
    let rebuilt = rebuilt.get(table).cloned().unwrap_or_default();
    let lost: Vec<_> = grown.iter().filter(|row| !rebuilt.contains(row)).take(3).collect();
    let new: Vec<_> = rebuilt.iter().filter(|row| !grown.contains(row)).take(3).collect();
    Some(format!(
        "{table} differs\ngrown only: {lost:#?}\nrebuilt only: {new:#?}"
    ))
}

fn names() -> Vec<&'static str> {
    projections::all().iter().map(|p| p.name()).collect()
}

/// The event types of the product that are not in the tenant's log.
async fn missing(world: &World) -> Vec<&'static str> {
    let happened: Vec<String> = sqlx::query_scalar("select distinct event_type from events where tenant_id = $1")
        .bind(world.tenant.uuid())
        .fetch_all(&world.admin)
        .await
        .unwrap();
    let all = model::catalogue::EVENT_TYPES
        .iter()
        .flat_map(|(_, types)| types.iter().copied());
    all.filter(|event_type| !happened.iter().any(|h| h == event_type))
        .collect()
}

#[tokio::test]
async fn rows_built_anew_equal_those_that_grew_with_the_log() {
    const EVENTS: u64 = 5_000;
    let world = World::new().await;
    let mut history = History::new(&world, 20_260_302);
    let mut next_drain = 0;
    loop {
        let head = world.store.head(world.tenant).await.unwrap();
        // Long enough, and nothing that can happen is missing.
        if head >= EVENTS && (missing(&world).await.is_empty() || head >= 4 * EVENTS) {
            break;
        }
        if head >= next_drain {
            // Batches of every size: what a batch holds must not show in the rows.
            let batch = 1 + history.chance.small(60);
            next_drain = head + 1 + history.chance.below(400);
            Runner::new(
                world.store.clone(),
                Options {
                    batch,
                    ..Options::default()
                },
            )
            .drain(world.tenant)
            .await
            .unwrap();
        }
        for _ in 0..10 {
            history.step().await;
        }
    }
    world.drain().await;
    let missing = missing(&world).await;
    assert!(missing.is_empty(), "not once in this history: {missing:?}");

    let grown = rows(&world).await;
    for (table, rows) in &grown {
        assert!(!rows.is_empty(), "no rows in {table}");
    }
    assert_eq!(
        world.runner.rebuild(&names(), Some(world.tenant)).await.unwrap(),
        names().len() as u64
    );
    world.drain().await;
    let rebuilt = rows(&world).await;
    if let Some(difference) = difference(&grown, &rebuilt) {
        panic!("{difference}");
    }
    for projection in projections::all() {
        assert_eq!(world.live_build(projection.name()).await, 2);
        for table in projection.tables() {
            assert_eq!(world.rows(table, 1).await.len(), 0, "the old rows of {table} are gone");
        }
    }
    let left = world
        .count("select count(*) from projection_checkpoint where tenant_id = $1")
        .await;
    assert_eq!(left, i64::try_from(names().len()).unwrap());

    // One wrong figure in one row would have been found.
    sqlx::query(
        "update request_queue set times = times + 1 where tenant_id = $1 and submitted_position =
           (select max(submitted_position) from request_queue where tenant_id = $1)",
    )
    .bind(world.tenant.uuid())
    .execute(&world.admin)
    .await
    .unwrap();
    assert!(difference(&grown, &rows(&world).await).is_some_and(|text| text.starts_with("request_queue differs")));
}

#[tokio::test]
async fn readers_are_served_whole_while_a_build_grows_and_takes_over() {
    let world = World::new().await;
    let (person, anna) = (world.id::<PersonId>(), world.id::<UserId>());
    for _ in 0..80 {
        world.submit(world.submission(person, anna)).await;
    }
    world.drain().await;
    let slow = world.runner_of(projections::all(), 1);
    slow.rebuild(&["request_queue"], None).await.unwrap();
    let done = AtomicBool::new(false);
    let build = async {
        slow.drain(world.tenant).await.unwrap();
        done.store(true, Ordering::Relaxed);
    };
    let read = async {
        let (mut reads, mut partial) = (0, 0);
        while !done.load(Ordering::Relaxed) {
            let page = Page::first(200);
            let list = request_queue::list(&mut world.tx().await, &Filter::default(), Sort::Newest, &page)
                .await
                .unwrap();
            assert_eq!(list.edges.len(), 80);
            let counts = request_queue::counts(&mut world.tx().await).await.unwrap();
            assert_eq!(counts.pending, 80);
            let of_two = world.rows("request_queue", 2).await.len();
            reads += 1;
            partial += usize::from((1..80).contains(&of_two));
        }
        (reads, partial)
    };
    let ((), (reads, partial)) = tokio::join!(build, read);
    assert!(partial > 0, "of {reads} reads none fell into the time of the build");
    assert_eq!(world.live_build("request_queue").await, 2);
}

/// Mails that the notifier would still have to send.
async fn unsent(world: &World) -> usize {
    let mut tx = eventstore::TenantTx::begin(world.store.pool(), world.tenant)
        .await
        .unwrap();
    let open = mail_outbox::open_tasks(&mut tx, 200).await.unwrap().len();
    // The locks end here and not some time later.
    tx.rollback().await.unwrap();
    open
}

/// Sends all mails; then forgets that they were sent, as if nothing but the build itself could know.
async fn send_and_forget(world: &World) {
    let (person, anna) = (world.id::<PersonId>(), world.id::<UserId>());
    for _ in 0..5 {
        let submission = world.submission(person, anna);
        world.submit(submission.clone()).await;
        world.deny(&submission, anna, None).await;
    }
    world.drain().await;
    assert_eq!(unsent(world).await, 15);
    sqlx::query("delete from mail_task")
        .execute(&world.admin)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_rebuild_sends_no_mail_again_and_misses_none_that_comes_meanwhile() {
    let world = World::new().await;
    send_and_forget(&world).await;
    let grown = world.rows("mail_outbox", 1).await;
    world.runner.rebuild(&["mail_outbox"], None).await.unwrap();
    let meanwhile = world.submission(world.id(), world.id());
    world.submit(meanwhile).await;
    world.drain().await;
    assert_eq!(world.live_build("mail_outbox").await, 2);
    assert_eq!(world.rows("mail_outbox", 2).await.len(), grown.len() + 1);
    assert_eq!(unsent(&world).await, 1, "the one that came meanwhile, once");
    world.submit(world.submission(world.id(), world.id())).await;
    world.drain().await;
    assert_eq!(unsent(&world).await, 2);
}

#[tokio::test]
async fn the_mail_test_fails_where_a_build_causes_the_effects_of_old_events() {
    let world = World::new().await;
    send_and_forget(&world).await;
    world.runner.rebuild(&["mail_outbox"], None).await.unwrap();
    sqlx::query("update projection_checkpoint set effects_after = 0 where state = 'building'")
        .execute(&world.admin)
        .await
        .unwrap();
    world.drain().await;
    assert_ne!(unsent(&world).await, 0);
}

#[tokio::test]
async fn dropping_every_read_model_and_reading_the_log_again_sends_no_mail_again() {
    let world = World::new().await;
    let (person, anna) = (world.id::<PersonId>(), world.id::<UserId>());
    for _ in 0..5 {
        world.submit(world.submission(person, anna)).await;
    }
    world.drain().await;
    let grown = rows(&world).await;
    let mut tx = eventstore::TenantTx::begin(world.store.pool(), world.tenant)
        .await
        .unwrap();
    for mail in mail_outbox::open_tasks(&mut tx, 200).await.unwrap() {
        mail_outbox::address(
            &mut tx,
            std::slice::from_ref(&mail),
            &[(&mail, anna, "<1@example.test>".into())],
            world.now(),
        )
        .await
        .unwrap();
    }
    tx.commit().await.unwrap();
    for projection in projections::all() {
        for table in projection.tables() {
            sqlx::query(sqlx::AssertSqlSafe(format!("delete from {table}")))
                .execute(&world.admin)
                .await
                .unwrap();
        }
    }
    sqlx::query("delete from projection_checkpoint")
        .execute(&world.admin)
        .await
        .unwrap();
    world.drain().await;
    assert_eq!(rows(&world).await, grown);
    assert_eq!(unsent(&world).await, 0);
    let sent = "select count(*) from mail_delivery where tenant_id = $1";
    assert_eq!(world.count(sent).await, 5);
}

#[tokio::test]
async fn a_newer_reducer_builds_beside_the_older_one_which_goes_on_until_then() {
    let world = World::new().await;
    Tally::create(&world).await;
    let faults = Arc::new(Faults::default());
    let of = |version| {
        let tally = Tally {
            version,
            streams: None,
            faults: Arc::clone(&faults),
        };
        world.runner_of(vec![Box::new(tally) as Box<dyn Projection>], 2)
    };
    let (old, new) = (of(1), of(2));
    let file = async |n| {
        for _ in 0..n {
            world.submit(world.submission(world.id(), world.id())).await;
        }
    };
    file(4).await;
    old.drain(world.tenant).await.unwrap();
    file(2).await;
    // The new process leaves the old rows alone and builds its own; the old one may go on beside it.
    let (first, second) = tokio::join!(new.drain(world.tenant), old.drain(world.tenant));
    first.unwrap();
    second.unwrap();
    new.drain(world.tenant).await.unwrap();
    assert_eq!(world.live_build("tally").await, 2);
    assert_eq!(Tally::positions(&world).await, (1..=7).collect::<Vec<i64>>());
    assert_eq!(world.rows("tally", 1).await.len(), 0);
    file(1).await;
    old.drain(world.tenant).await.unwrap();
    assert_eq!(
        world.cursor("tally").await,
        7,
        "the old process cannot write rows of the new shape"
    );
    new.drain(world.tenant).await.unwrap();
    assert_eq!(world.cursor("tally").await, 8);
}

#[tokio::test]
async fn a_build_takes_over_from_a_live_one_that_is_parked() {
    let world = World::new().await;
    Tally::create(&world).await;
    for _ in 0..9 {
        world.submit(world.submission(world.id(), world.id())).await;
    }
    let faults = Arc::new(Faults {
        fold_error_at: 6.into(),
        ..Faults::default()
    });
    let runner = world.runner_of(vec![Tally::boxed(Arc::clone(&faults))], 100);
    runner.drain(world.tenant).await.unwrap();
    assert_eq!(world.cursor("tally").await, 5);
    faults.fold_error_at.store(0, Ordering::Relaxed);
    assert_eq!(runner.rebuild(&["tally"], Some(world.tenant)).await.unwrap(), 1);
    assert_eq!(
        runner.rebuild(&["tally"], Some(world.tenant)).await.unwrap(),
        0,
        "one is under way"
    );
    runner.drain(world.tenant).await.unwrap();
    assert_eq!((world.live_build("tally").await, world.cursor("tally").await), (2, 10));
    assert_eq!(Tally::positions(&world).await, (1..=10).collect::<Vec<i64>>());
    assert!(matches!(
        runner.rebuild(&["no_such_thing"], None).await,
        Err(RunError::Unknown(_))
    ));
}

#[tokio::test]
async fn a_projection_that_is_new_to_an_old_log_tells_nobody_of_old_news() {
    let world = World::new().await;
    for _ in 0..3 {
        world.submit(world.submission(world.id(), world.id())).await;
    }
    let others = projections::all()
        .into_iter()
        .filter(|p| p.name() != mail_outbox::NAME)
        .collect();
    world.runner_of(others, 100).drain(world.tenant).await.unwrap();
    let whole = world.runner_of(vec![Box::new(MailOutbox)], 100);
    whole.drain(world.tenant).await.unwrap();
    assert_eq!((world.rows("mail_outbox", 1).await.len(), unsent(&world).await), (3, 0));
    world.submit(world.submission(world.id(), world.id())).await;
    whole.drain(world.tenant).await.unwrap();
    assert_eq!(unsent(&world).await, 1);
}
