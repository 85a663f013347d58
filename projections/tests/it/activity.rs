//! `activity` and `statistics`: from events to rows, and the queries on them.

use formats::{ActivityId, EndpointId, PersonId, Timestamp, UserId};
use model::{
    Personal,
    activity::{
        ActionRecorded, ActionResult, Activity, ActivityCommand, CitedSnapshot, RecordedDecision, RecordedInput,
    },
};
use policy_engine::{Outcome, Step};
use projections::{
    Page, activity,
    statistics::{self, Figure},
};

use crate::world::{MINUTE, World, details};

fn record(
    world: &World,
    endpoint: EndpointId,
    person: PersonId,
    seq: u64,
    at: Timestamp,
    outcome: Outcome,
) -> ActionRecorded {
    ActionRecorded {
        endpoint,
        person,
        activity: world.id::<ActivityId>(),
        seq,
        at,
        skew_ms: 0,
        input: Personal::new(RecordedInput {
            action: details("C:\\canary\\setup.exe", "x").action,
            cwd: Some("C:\\canary".to_owned()),
            justification: Some("A canary reason".to_owned()),
        }),
        decision: RecordedDecision {
            outcome,
            steps: vec![Step::Justification],
            matched: Vec::new(),
            engine: "0.1.0".to_owned(),
        },
        snapshot: CitedSnapshot {
            epoch: 1,
            version: 7,
            sha256: "ab".repeat(32),
        },
        grant: Some(world.id()),
        result: Some(ActionResult::Refused),
        mfa_proof: Some(world.id::<ActivityId>().uuid()),
        reuses: None,
    }
}

async fn store(world: &World, endpoint: EndpointId, records: Vec<ActionRecorded>) {
    let known = world
        .store
        .load::<Activity>(world.tenant, endpoint.uuid())
        .await
        .unwrap()
        .0;
    let known = Box::new(known);
    world
        .run::<Activity>(endpoint.uuid(), ActivityCommand::RecordActions { known, records })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_record_comes_back_whole_whatever_characters_it_has() {
    let world = World::new().await;
    let (endpoint, person): (EndpointId, PersonId) = (world.id(), world.id());
    let mut odd = record(&world, endpoint, person, 1, world.now(), Outcome::Required);
    let mut input = odd.input.clone().into_inner().unwrap();
    input.action.command_line = Some("setup\u{0}.exe \u{202e}\u{ffff} \"'\\ 字".to_owned());
    odd.input = Personal::new(input.clone());
    odd.skew_ms = 60_000;
    store(&world, endpoint, vec![odd.clone()]).await;
    let position = world.store.head(world.tenant).await.unwrap();
    world.drain().await;
    let mut tx = world.tx().await;
    let view = activity::find(&mut tx, odd.activity).await.unwrap().unwrap();
    assert_eq!(view.input, Some(input));
    assert_eq!(
        (view.position, view.seq, view.endpoint, view.person),
        (position, 1, endpoint, person)
    );
    assert_eq!((view.at, view.corrected_at), (odd.at, odd.at - MINUTE));
    assert_eq!(
        (view.decision, view.snapshot, view.grant),
        (odd.decision, odd.snapshot, odd.grant)
    );
    assert_eq!((view.result, view.mfa_proof), (odd.result, odd.mfa_proof));
    assert_eq!(
        activity::find(&mut world.other_tx().await, odd.activity).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn records_are_listed_by_number_and_gaps_are_counted() {
    let world = World::new().await;
    let (endpoint, quiet, person): (EndpointId, EndpointId, PersonId) = (world.id(), world.id(), world.id());
    let make = |seq| record(&world, endpoint, person, seq, world.now(), Outcome::Allowed);
    store(&world, endpoint, vec![make(1), make(2), make(6)]).await;
    world.drain().await;
    store(&world, endpoint, vec![make(4), make(2), make(9)]).await;
    world.drain().await;
    let mut tx = world.tx().await;
    let seqs = async |tx: &mut eventstore::TenantTx, page: Page| {
        let page = activity::list(tx, endpoint, &page).await.unwrap();
        (page.more, page.nodes().into_iter().map(|r| r.seq).collect::<Vec<_>>())
    };
    assert_eq!(seqs(&mut tx, Page::first(9)).await, (false, vec![9, 6, 4, 2, 1]));
    let first = activity::list(&mut tx, endpoint, &Page::first(2)).await.unwrap();
    let cursor = first.edges[1].cursor.clone();
    assert_eq!(seqs(&mut tx, Page::after(cursor.clone(), 2)).await, (true, vec![4, 2]));
    assert_eq!(
        seqs(
            &mut tx,
            Page {
                limit: 2,
                from: Some(cursor),
                backward: true
            }
        )
        .await,
        (false, vec![9])
    );
    let numbers = activity::numbers(&mut tx, &[endpoint, quiet]).await.unwrap();
    assert_eq!((numbers.len(), numbers[0].highest, numbers[0].missing), (1, 9, 4));
}

#[tokio::test]
async fn a_record_under_anothers_number_stands_beside_it_and_its_endpoint_is_flagged() {
    let world = World::new().await;
    let (endpoint, person): (EndpointId, PersonId) = (world.id(), world.id());
    let make = |seq| record(&world, endpoint, person, seq, world.now(), Outcome::Allowed);
    let first = vec![make(1), make(2), make(3)];
    let mut other = make(2);
    other.reuses = Some(first[1].activity);
    store(&world, endpoint, first.clone()).await;
    world.drain().await;
    store(&world, endpoint, vec![other.clone(), make(4)]).await;
    world.drain().await;
    let mut tx = world.tx().await;
    let mut shown = Vec::new();
    let mut page = Page::first(2);
    loop {
        let found = activity::list(&mut tx, endpoint, &page).await.unwrap();
        let last = found
            .edges
            .last()
            .filter(|_| found.more)
            .map(|edge| edge.cursor.clone());
        shown.extend(found.nodes().into_iter().map(|r| (r.seq, r.reuses)));
        let Some(last) = last else { break };
        page = Page::after(last, 2);
    }
    assert_eq!(shown, [(4, None), (3, None), (2, other.reuses), (2, None), (1, None)]);
    let found = activity::under_numbers(&mut tx, endpoint, &[2, 7]).await.unwrap();
    assert_eq!(found, [(2, first[1].activity), (2, other.activity)]);
    let numbers = activity::numbers(&mut tx, &[endpoint]).await.unwrap();
    assert_eq!((numbers[0].highest, numbers[0].missing, numbers[0].reused), (4, 0, 1));
    assert!(numbers[0].reused_at.is_some());
}

#[tokio::test]
async fn a_backtest_walks_through_a_span_of_time_in_steps() {
    let world = World::new().await;
    let person: PersonId = world.id();
    let start = world.now();
    for n in 0..3u32 {
        let endpoint: EndpointId = world.id();
        let make = |seq: u64| record(&world, endpoint, person, seq, start + n * MINUTE, Outcome::Allowed);
        store(&world, endpoint, vec![make(1), make(2)]).await;
    }
    world.drain().await;
    let mut tx = world.tx().await;
    let (mut all, mut position) = (Vec::new(), 0);
    loop {
        let step = activity::recorded_between(&mut tx, start + MINUTE, start + 3 * MINUTE, position, 3)
            .await
            .unwrap();
        let Some(last) = step.last() else { break };
        position = last.position;
        all.extend(step.iter().map(|r| r.corrected_at));
    }
    assert_eq!(all, [1, 1, 2, 2].map(|n| start + n * MINUTE));
}

#[tokio::test]
async fn an_erased_persons_actions_keep_their_outcome_and_lose_their_input() {
    let world = World::new().await;
    let (endpoint, erased, other): (EndpointId, PersonId, PersonId) = (world.id(), world.id(), world.id());
    store(
        &world,
        endpoint,
        vec![record(&world, endpoint, erased, 1, world.now(), Outcome::Denied)],
    )
    .await;
    store(
        &world,
        endpoint,
        vec![record(&world, endpoint, other, 2, world.now(), Outcome::Denied)],
    )
    .await;
    world.drain().await;
    world.erase(erased).await;
    world.drain().await;
    let page = activity::list(&mut world.tx().await, endpoint, &Page::first(2))
        .await
        .unwrap()
        .nodes();
    assert_eq!((page[0].person, page[0].input.is_some()), (other, true));
    assert_eq!(
        (page[1].person, page[1].input.is_some(), page[1].decision.outcome),
        (erased, false, Outcome::Denied)
    );
    let build = world.live_build("activity").await;
    let before = world.rows("activity", build).await;
    assert_eq!(before.iter().filter(|row| row.contains("canary")).count(), 1);
    world.runner.rebuild(&["activity"], Some(world.tenant)).await.unwrap();
    world.drain().await;
    assert_eq!(world.rows("activity", world.live_build("activity").await).await, before);
}

#[tokio::test]
async fn figures_add_up_by_day_over_any_number_of_batches() {
    let world = World::new().await;
    let (endpoint, person, approver): (EndpointId, PersonId, UserId) = (world.id(), world.id(), world.id());
    let today = world.now();
    let yesterday = today - 24 * 60 * MINUTE;
    store(
        &world,
        endpoint,
        vec![
            record(&world, endpoint, person, 1, yesterday, Outcome::Allowed),
            record(&world, endpoint, person, 2, today, Outcome::Allowed),
        ],
    )
    .await;
    let (one, two) = (world.submission(person, approver), world.submission(person, approver));
    world.submit(one.clone()).await;
    world.drain().await;
    store(
        &world,
        endpoint,
        vec![
            record(&world, endpoint, person, 3, today, Outcome::Allowed),
            record(&world, endpoint, person, 4, today, Outcome::Denied),
        ],
    )
    .await;
    world.submit(two.clone()).await;
    world.approve(&one, approver, None).await;
    world.deny(&two, approver, None).await;
    world.drain().await;
    let mut tx = world.tx().await;
    let days = statistics::days(&mut tx, Figure::Decisions, yesterday - 24 * 60 * MINUTE, today)
        .await
        .unwrap();
    let shown: Vec<_> = days.iter().map(|d| (d.of("allowed"), d.of("denied"))).collect();
    assert_eq!(shown, [(0, 0), (1, 0), (2, 1)]);
    assert_eq!(days[2].day, today.to_datetime().date());
    let requests = statistics::days(&mut tx, Figure::Requests, today, today)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(
        (requests.of("submitted"), requests.of("approved"), requests.of("denied")),
        (2, 1, 1)
    );
    let total = statistics::total(&mut tx, Figure::Decisions).await.unwrap();
    assert_eq!((total["allowed"], total["denied"]), (3, 1));
    assert!(
        statistics::total(&mut world.other_tx().await, Figure::Decisions)
            .await
            .unwrap()
            .is_empty()
    );
}
