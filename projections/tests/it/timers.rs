//! `escalation_schedule`: which timers run, when the tenant's first is due, and who may take the work.

use std::time::Duration;

use formats::{PersonId, Timestamp, UserId};
use model::request::{Approver, By, Request, RequestCommand};
use projections::{
    escalation_schedule::{self, Timer, TimerKind},
    work,
};

use crate::world::{MINUTE, World};

const LATER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

async fn all(world: &World) -> Vec<(TimerKind, Timestamp)> {
    let timers = escalation_schedule::due(&mut world.tx().await, world.now() + LATER, 200)
        .await
        .unwrap();
    timers.into_iter().map(|timer| (timer.kind, timer.due_at)).collect()
}

async fn first_due(world: &World) -> Option<Timestamp> {
    work::due_of(world.store.pool(), work::TIMERS, world.tenant)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_request_has_one_timer_at_a_time_and_none_at_the_end() {
    let world = World::new().await;
    let (person, anna, ben) = (world.id::<PersonId>(), world.id::<UserId>(), world.id::<UserId>());
    let start = world.now();
    let mut submission = world.submission(person, anna);
    submission.route.secondary = vec![Approver::User(ben)];
    submission.windows.uses = Some(1);
    world.submit(submission.clone()).await;
    world.drain().await;
    assert_eq!(all(&world).await, [(TimerKind::Pending, start + 30 * MINUTE)]);
    assert_eq!(first_due(&world).await, Some(start + 30 * MINUTE));
    assert_eq!(
        escalation_schedule::due(&mut world.tx().await, world.now(), 10)
            .await
            .unwrap(),
        []
    );

    world.clock.advance(31 * MINUTE);
    let escalate = RequestCommand::Escalate {
        at: world.now(),
        by: By::Clock,
        reason: None,
        secondary_can_decide: true,
    };
    world.run::<Request>(submission.request.uuid(), escalate).await.unwrap();
    world.drain().await;
    assert_eq!(all(&world).await, [(TimerKind::Escalated, start + 270 * MINUTE)]);

    world.approve(&submission, ben, None).await;
    world.drain().await;
    assert_eq!(all(&world).await, [(TimerKind::Grant, world.now() + 24 * 60 * MINUTE)]);

    let used = RequestCommand::UseGrant { used_at: world.now() };
    world.run::<Request>(submission.request.uuid(), used).await.unwrap();
    world.drain().await;
    assert_eq!(all(&world).await, []);
    assert_eq!(first_due(&world).await, None);
}

#[tokio::test]
async fn the_earliest_timer_is_the_tenants_due_time_and_a_timers_command_id_never_changes() {
    let world = World::new().await;
    let (person, anna) = (world.id::<PersonId>(), world.id::<UserId>());
    let start = world.now();
    let mut soon = world.submission(person, anna);
    soon.windows.pending_minutes = 5;
    let late = world.submission(person, anna);
    world.submit(late.clone()).await;
    world.submit(soon.clone()).await;
    world.drain().await;
    assert_eq!(first_due(&world).await, Some(start + 5 * MINUTE));
    assert_eq!(
        work::next_due(world.store.pool(), work::TIMERS).await.unwrap(),
        Some(start + 5 * MINUTE)
    );

    let due = async || {
        escalation_schedule::due(&mut world.tx().await, start + 30 * MINUTE, 10)
            .await
            .unwrap()
    };
    let ids = |timers: Vec<Timer>| {
        timers
            .iter()
            .map(|timer| timer.command_id(world.tenant))
            .collect::<Vec<_>>()
    };
    let before = due().await;
    assert_eq!(
        before.iter().map(|timer| timer.request).collect::<Vec<_>>(),
        [soon.request, late.request]
    );
    let before = ids(before);
    assert_ne!(before[0], before[1]);
    world.runner.rebuild(&["escalation_schedule"], None).await.unwrap();
    world.drain().await;
    assert_eq!(ids(due().await), before, "in another build too");

    world.deny(&soon, anna, Some("No")).await;
    world.drain().await;
    assert_eq!(first_due(&world).await, Some(start + 30 * MINUTE));
}

#[tokio::test]
async fn due_work_is_claimed_by_one_and_given_back_or_taken_over() {
    let world = World::new().await;
    let submission = world.submission(world.id(), world.id());
    world.submit(submission).await;
    world.drain().await;
    let claim = async |lease| {
        work::claim(world.store.pool(), work::TIMERS, world.now(), lease, 10)
            .await
            .unwrap()
    };
    assert_eq!(claim(MINUTE).await, [], "not yet due");
    world.clock.advance(30 * MINUTE);
    let claimed = claim(MINUTE).await;
    assert_eq!(
        (claimed.len(), claimed[0].tenant, claimed[0].due_at),
        (1, world.tenant, world.now())
    );
    assert_eq!(claim(MINUTE).await, [], "somebody has it");
    work::release(world.store.pool(), work::TIMERS, world.tenant)
        .await
        .unwrap();
    assert_eq!(claim(Duration::ZERO).await.len(), 1);
    assert_eq!(claim(MINUTE).await.len(), 1, "the lease is over");
    assert_eq!(
        work::claim(world.store.pool(), work::MAIL, world.now(), MINUTE, 10)
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn every_run_of_an_unsettled_request_counts_for_its_own_tenant_alone() {
    let world = World::new().await;
    let submission = world.submission(world.id(), world.id());
    world.submit(submission).await;
    world.drain().await;
    world.runner.drain(world.other).await.unwrap();
    let theirs = escalation_schedule::due(&mut world.other_tx().await, world.now() + LATER, 10)
        .await
        .unwrap();
    assert_eq!(theirs, []);
    assert_eq!(
        work::due_of(world.store.pool(), work::TIMERS, world.other)
            .await
            .unwrap(),
        None
    );
}
