//! Rivals on one request, from two processes: whoever is first settles it, once and for ever.

use std::time::Duration;

use formats::{PersonId, RequestId, UserId};
use model::request::{By, CancelCause, Narrowing, Request, RequestCommand, Submission};
use tokio::task::JoinSet;

use crate::world::{World, facts, process};

const RACES: u64 = 10_000;
const AT_ONCE: u64 = 100;
const TERMINAL: [&str; 4] = ["RequestApproved", "RequestDenied", "RequestExpired", "RequestCancelled"];

/// The four ways to end a request, each by its own lights in time: the clock of the one that expires it is a
/// millisecond ahead of the others'.
fn rivals(world: &World, submission: &Submission, approver: UserId, admin: UserId) -> [RequestCommand; 4] {
    let due = world.now() + Duration::from_secs(30 * 60);
    let before = due - Duration::from_millis(1);
    [
        RequestCommand::Approve {
            at: before,
            facts: facts(submission, approver, None),
            narrowing: Narrowing::default(),
        },
        RequestCommand::Deny {
            at: before,
            facts: facts(submission, admin, None),
        },
        RequestCommand::Expire {
            at: due,
            by: By::User {
                user: admin,
                permitted: true,
            },
            secondary_can_decide: false,
        },
        RequestCommand::CancelRequest {
            at: before,
            by: By::User {
                user: admin,
                permitted: true,
            },
            cause: CancelCause::Administrator,
            reason: None,
            secondary_can_decide: false,
        },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn of_ten_thousand_races_to_approve_deny_expire_and_cancel_each_ends_in_one_terminal_event() {
    let world = World::new().await;
    let stores = [
        process(&world.database, &world.clock).await,
        process(&world.database, &world.clock).await,
    ];
    let (person, approver, admin): (PersonId, UserId, UserId) = (world.id(), world.id(), world.id());
    let begun = world.store.head(world.tenant).await.unwrap();
    let mut wins = [0; 4];
    for _ in 0..RACES / AT_ONCE {
        let mut racing = JoinSet::new();
        let submissions: Vec<_> = (0..AT_ONCE).map(|_| world.submission(person, approver)).collect();
        let filing = submissions.iter().cloned().map(|submission| world.submit(submission));
        futures_util::future::join_all(filing).await;
        for (n, submission) in submissions.iter().enumerate() {
            for (way, command) in rivals(&world, submission, approver, admin).into_iter().enumerate() {
                // Two in each process, another two each time.
                let store = stores[(way + n / 2 + n * (way / 2)) % 2].clone();
                let (tenant, request, envelope) =
                    (world.tenant, submission.request, crate::world::envelope(&world.store));
                racing.spawn(async move {
                    let done = store
                        .execute::<Request>(tenant, request.uuid(), &envelope, |_| command.clone())
                        .await;
                    (request, way, done)
                });
            }
        }
        let mut settled = std::collections::HashMap::<RequestId, Vec<usize>>::new();
        for (request, way, done) in racing.join_all().await {
            match done {
                Ok(done) => {
                    assert!(!done.events.is_empty());
                    settled.entry(request).or_default().push(way);
                }
                Err(eventstore::ExecuteError::Refused(error)) => {
                    let code = model::Coded::code(&error);
                    assert!(matches!(code, "ALREADY_DECIDED" | "EXPIRED"), "{code}");
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(settled.len(), submissions.len());
        for winners in settled.into_values() {
            assert_eq!(winners.len(), 1, "two won");
            wins[winners[0]] += 1;
        }
    }
    let (mut terminal, mut position) = (std::collections::HashMap::<_, u64>::new(), begun);
    loop {
        let events = world.store.read(world.tenant, position, 1_000).await.unwrap();
        let Some(last) = events.last() else { break };
        position = last.position;
        for event in events {
            let ends = TERMINAL.contains(&event.body.event_type.as_str());
            *terminal.entry(event.body.stream.id).or_default() += u64::from(ends);
        }
    }
    assert_eq!(terminal.len() as u64, RACES);
    assert!(terminal.values().all(|ends| *ends == 1), "one terminal event each");
    assert!(
        wins.iter().all(|wins| *wins > 0),
        "each way was first at times: {wins:?}"
    );
}
