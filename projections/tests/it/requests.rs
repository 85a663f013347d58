//! `request_queue`: from events to rows, and the queries on them.

use formats::{EndpointId, PersonId, RequestId, Timestamp, UserId};
use model::request::{
    Approver, By, CancelCause, Flag, GrantStatus, Narrowing, Request, RequestCommand, Status, Submission,
};
use model::user::{User, UserCommand};
use projections::{
    Cursor, Page, ReadError,
    request_queue::{self, Filter, LiveRequest, QueuedRequest, Routed, Sort},
};

use crate::world::{MINUTE, World, details, facts};

async fn get(world: &World, submission: &Submission) -> QueuedRequest {
    request_queue::find(&mut world.tx().await, submission.request)
        .await
        .unwrap()
        .unwrap()
}

async fn listed(world: &World, filter: &Filter) -> Vec<formats::RequestId> {
    let page = request_queue::list(&mut world.tx().await, filter, Sort::Oldest, &Page::first(200))
        .await
        .unwrap();
    page.nodes().into_iter().map(|r| r.id).collect()
}

#[tokio::test]
async fn a_request_shows_everything_from_submission_to_the_last_use() {
    let world = World::new().await;
    let (person, anna, ben) = (world.id::<PersonId>(), world.id::<UserId>(), world.id::<UserId>());
    let mut submission = world.submission(person, anna);
    submission.route.quorum = 2;
    submission.flags = vec![Flag::AgentDiffers];
    submission.windows.uses = Some(3);
    world.submit(submission.clone()).await;
    world
        .run::<Request>(
            submission.request.uuid(),
            RequestCommand::RepeatRequest {
                at: world.now(),
                secondary_can_decide: false,
            },
        )
        .await
        .unwrap();
    world.drain().await;

    let open = get(&world, &submission).await;
    assert_eq!(
        (open.status, open.times, open.deadline),
        (Status::Pending, 2, world.now() + 30 * MINUTE)
    );
    assert_eq!(open.pending_until, open.deadline);
    assert_eq!(open.details.as_ref().unwrap(), &submission.details);
    assert_eq!((&open.route, open.windows), (&submission.route, submission.windows));
    assert_eq!(open.flags, [Flag::AgentDiffers]);
    assert_eq!((open.submitted_position, open.position), (2, 3));
    assert!(open.grant.is_none() && open.decisions.is_empty() && open.escalation.is_none());

    let id = submission.request.uuid();
    let narrow = RequestCommand::Approve {
        at: world.now(),
        facts: facts(&submission, anna, Some("Once only")),
        narrowing: Narrowing {
            uses: Some(2),
            grant_minutes: Some(60),
        },
    };
    world.run::<Request>(id, narrow).await.unwrap();
    let mut own = facts(&submission, ben, None);
    (own.own, own.self_approval) = (true, true);
    world
        .run::<Request>(
            id,
            RequestCommand::Approve {
                at: world.now(),
                facts: own,
                narrowing: Narrowing::default(),
            },
        )
        .await
        .unwrap();
    for _ in 0..3 {
        world
            .run::<Request>(id, RequestCommand::UseGrant { used_at: world.now() })
            .await
            .unwrap();
    }
    world.drain().await;

    let done = get(&world, &submission).await;
    assert_eq!(
        (done.status, done.settled_by, done.settled_at),
        (Status::Approved, Some(ben), Some(world.now()))
    );
    assert_eq!(done.flags, [Flag::AgentDiffers, Flag::SelfApproval]);
    let said: Vec<_> = done
        .decisions
        .iter()
        .map(|d| (d.approver, d.comment.as_deref(), d.uses, d.self_approval))
        .collect();
    assert_eq!(
        said,
        [(anna, Some("Once only"), Some(2), false), (ben, None, None, true)]
    );
    assert_eq!(done.decisions[0].method.as_deref(), Some("password+totp"));
    let grant = done.grant.unwrap();
    assert_eq!(
        (grant.status, grant.used, grant.overused),
        (GrantStatus::Exhausted, 2, 1)
    );
    assert_eq!(
        (grant.terms.uses, grant.terms.not_after),
        (Some(2), world.now() + 60 * MINUTE)
    );
    assert_eq!(
        request_queue::find(&mut world.other_tx().await, submission.request)
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn escalation_expiry_cancellation_and_revocation_are_told_apart() {
    let world = World::new().await;
    let (person, anna, ben) = (world.id::<PersonId>(), world.id::<UserId>(), world.id::<UserId>());
    let start = world.now();
    let [mut escalated, mut expired, mut cancelled, mut revoked] =
        std::array::from_fn(|_| world.submission(person, anna));
    for submission in [&mut escalated, &mut expired, &mut cancelled, &mut revoked] {
        submission.route.secondary = vec![Approver::User(ben)];
        world.submit(submission.clone()).await;
    }
    world
        .run::<Request>(
            escalated.request.uuid(),
            RequestCommand::Escalate {
                at: start,
                by: By::User {
                    user: anna,
                    permitted: true,
                },
                reason: Some("Away".into()),
                secondary_can_decide: true,
            },
        )
        .await
        .unwrap();
    world.approve(&revoked, anna, None).await;
    let revoke = RequestCommand::RevokeGrant {
        at: start,
        by: By::System,
        cause: CancelCause::EndpointRemoved,
        reason: None,
    };
    world.run::<Request>(revoked.request.uuid(), revoke).await.unwrap();
    let cancel = RequestCommand::CancelRequest {
        secondary_can_decide: false,
        at: start,
        by: By::User {
            user: ben,
            permitted: true,
        },
        cause: CancelCause::Administrator,
        reason: Some("Not needed".into()),
    };
    world.run::<Request>(cancelled.request.uuid(), cancel).await.unwrap();
    world.clock.advance(271 * MINUTE);
    let expire = RequestCommand::Expire {
        at: world.now(),
        by: By::Clock,
        secondary_can_decide: true,
    };
    world.run::<Request>(expired.request.uuid(), expire).await.unwrap();
    world.drain().await;

    let row = get(&world, &escalated).await;
    let escalation = row.escalation.unwrap();
    assert_eq!((row.status, row.deadline), (Status::Escalated, start + 240 * MINUTE));
    assert_eq!(
        (escalation.by, escalation.reason.as_deref(), escalation.at),
        (Some(anna), Some("Away"), start)
    );
    let row = get(&world, &expired).await;
    assert_eq!(
        (row.status, row.settled_by, row.settled_at),
        (Status::Expired, None, Some(start + 270 * MINUTE))
    );
    assert_eq!(
        row.escalation.unwrap().at,
        start + 30 * MINUTE,
        "the clock's escalation stands at its due time"
    );
    let row = get(&world, &cancelled).await;
    assert_eq!(
        (row.status, row.cancel_cause),
        (Status::Cancelled, Some(CancelCause::Administrator))
    );
    assert_eq!(
        (row.settled_by, row.cancel_reason.as_deref()),
        (Some(ben), Some("Not needed"))
    );
    let grant = get(&world, &revoked).await.grant.unwrap();
    assert_eq!(
        (grant.status, grant.cause),
        (GrantStatus::Revoked, Some(CancelCause::EndpointRemoved))
    );
    let counts = request_queue::counts(&mut world.tx().await).await.unwrap();
    assert_eq!((counts.pending, counts.escalated, counts.active_grants), (0, 1, 0));
}

#[tokio::test]
async fn a_code_of_another_user_is_flagged_on_its_request() {
    let world = World::new().await;
    let (person, anna) = (world.id::<PersonId>(), world.id::<UserId>());
    let submission = world.submission(person, anna);
    world.submit(submission.clone()).await;
    let create = UserCommand::CreateUser {
        user: anna,
        person: world.id(),
        email: "anna@example.test".into(),
        name: "Anna".into(),
        source: "demo".into(),
    };
    world.run::<User>(anna.uuid(), create).await.unwrap();
    world
        .run::<User>(anna.uuid(), UserCommand::EnrolMfa { method: "totp".into() })
        .await
        .unwrap();
    let verify = UserCommand::VerifyCode {
        endpoint: submission.endpoint,
        requester: person,
        request: Some(submission.request),
        other_user: true,
    };
    world.run::<User>(anna.uuid(), verify.clone()).await.unwrap();
    world.run::<User>(anna.uuid(), verify).await.unwrap();
    world.drain().await;
    assert_eq!(get(&world, &submission).await.flags, [Flag::MfaOtherUser]);
}

#[tokio::test]
async fn filters_find_what_they_say() {
    let world = World::new().await;
    let (alice, bob) = (world.id::<PersonId>(), world.id::<PersonId>());
    let (anna, ben) = (world.id::<UserId>(), world.id::<UserId>());
    let mut first = world.submission(alice, anna);
    first.details = details("C:\\Users\\alice\\Downloads\\Wireshark-4.exe", "Packet loss in room 7");
    (first.user, first.risk) = (Some(ben), 80);
    let mut second = world.submission(bob, ben);
    second.route.secondary = vec![Approver::User(anna)];
    second.policies = vec![model::request::PolicyRef {
        id: world.id(),
        revision: 3,
    }];
    let third = world.submission(bob, anna);
    for submission in [&first, &second, &third] {
        world.submit(submission.clone()).await;
        world.clock.advance(MINUTE);
    }
    world.deny(&third, anna, Some("No")).await;
    world.drain().await;
    let (one, two, three) = (first.request, second.request, third.request);

    let all = Filter::default();
    assert_eq!(listed(&world, &all).await, [one, two, three]);
    let open = Filter {
        statuses: vec![Status::Pending, Status::Escalated],
        ..all.clone()
    };
    assert_eq!(listed(&world, &open).await, [one, two]);
    assert_eq!(
        listed(
            &world,
            &Filter {
                people: vec![bob],
                ..all.clone()
            }
        )
        .await,
        [two, three]
    );
    assert_eq!(
        listed(
            &world,
            &Filter {
                user: Some(ben),
                ..all.clone()
            }
        )
        .await,
        [one]
    );
    assert_eq!(
        listed(
            &world,
            &Filter {
                endpoint: Some(second.endpoint),
                ..all.clone()
            }
        )
        .await,
        [two]
    );
    assert_eq!(
        listed(
            &world,
            &Filter {
                policy: Some(second.policies[0].id),
                ..all.clone()
            }
        )
        .await,
        [two]
    );
    assert_eq!(
        listed(
            &world,
            &Filter {
                risk_from: Some(51),
                ..all.clone()
            }
        )
        .await,
        [one]
    );
    let from = Filter {
        submitted_from: Some(world.now() - 2 * MINUTE),
        ..all.clone()
    };
    assert_eq!(listed(&world, &from).await, [two, three]);

    let routed = |ids: Vec<uuid::Uuid>, any, people| Filter {
        routed_to: Some(Routed {
            ids,
            any,
            people,
            ..Routed::default()
        }),
        ..all.clone()
    };
    assert_eq!(
        listed(&world, &routed(vec![anna.uuid()], false, vec![])).await,
        [one],
        "not yet escalated to her"
    );
    assert_eq!(
        listed(&world, &routed(vec![], true, vec![alice])).await,
        [two],
        "nobody decides their own"
    );
    let escalate = RequestCommand::Escalate {
        at: world.now(),
        by: By::User {
            user: ben,
            permitted: true,
        },
        reason: Some("Away".into()),
        secondary_can_decide: true,
    };
    world.run::<Request>(two.uuid(), escalate).await.unwrap();
    world.drain().await;
    assert_eq!(
        listed(&world, &routed(vec![anna.uuid()], false, vec![])).await,
        [one, two]
    );

    let search = |text: &str| Filter {
        search: Some(text.into()),
        ..all.clone()
    };
    assert_eq!(listed(&world, &search("wire*")).await, [one]);
    assert_eq!(listed(&world, &search("wire")).await, [], "a whole word");
    assert_eq!(
        listed(&world, &search("LOSS wireshark 4")).await,
        [one],
        "all words, whatever their case and place"
    );
    assert_eq!(listed(&world, &search("compiler alice")).await, [two, three]);
    assert_eq!(listed(&world, &search("wireshark compiler")).await, []);
    let found = request_queue::find_open_by_digest(&mut world.tx().await, &first.digest_mac)
        .await
        .unwrap();
    assert_eq!(found.map(|r| r.id), Some(one));
    let found = request_queue::find_open_by_digest(&mut world.tx().await, &third.digest_mac)
        .await
        .unwrap();
    assert_eq!(found, None, "denied");
    assert_eq!(
        request_queue::live_of_people(&mut world.tx().await, &[bob])
            .await
            .unwrap(),
        [LiveRequest { id: two, open: true }]
    );
    let of = request_queue::live_of_endpoint(&mut world.tx().await, first.endpoint)
        .await
        .unwrap();
    assert_eq!(of, [LiveRequest { id: one, open: true }]);
    assert_eq!(
        request_queue::live_of_endpoint(&mut world.tx().await, world.id::<EndpointId>())
            .await
            .unwrap(),
        []
    );
}

#[tokio::test]
async fn pages_walk_through_a_list_in_both_directions_in_every_order() {
    let world = World::new().await;
    let (person, anna) = (world.id::<PersonId>(), world.id::<UserId>());
    for n in 0..7u32 {
        let mut submission = world.submission(person, anna);
        // Ties in risk and in deadline.
        submission.risk = 10 * (n % 3);
        submission.windows.pending_minutes = 60 - 10 * (n % 2);
        world.submit(submission).await;
    }
    world.drain().await;
    for sort in [Sort::Newest, Sort::Oldest, Sort::Deadline, Sort::Risk] {
        let list = async |page: &Page| {
            request_queue::list(&mut world.tx().await, &Filter::default(), sort, page)
                .await
                .unwrap()
        };
        let whole = list(&Page::first(200)).await;
        assert!(!whole.more);
        let whole: Vec<_> = whole.edges.into_iter().map(|e| e.node).collect();
        let key = |r: &QueuedRequest| match sort {
            Sort::Newest | Sort::Oldest => 0,
            Sort::Deadline => r.deadline.millis(),
            Sort::Risk => -i64::from(r.risk),
        };
        assert!(whole.windows(2).all(|w| key(&w[0]) <= key(&w[1])), "{sort:?}");
        let (mut forth, mut page) = (Vec::new(), Page::first(2));
        loop {
            let part = list(&page).await;
            let last = part.edges.last().unwrap().cursor.clone();
            let more = part.more;
            forth.extend(part.nodes());
            if !more {
                break;
            }
            page = Page::after(last, 2);
        }
        assert_eq!(forth, whole, "{sort:?}");
        let (mut back, mut page) = (
            Vec::new(),
            Page {
                backward: true,
                ..Page::first(3)
            },
        );
        loop {
            let part = list(&page).await;
            let first = part.edges[0].cursor.clone();
            let more = part.more;
            back.splice(0..0, part.nodes());
            if !more {
                break;
            }
            page = Page {
                from: Some(first),
                ..page
            };
        }
        assert_eq!(back, whole, "{sort:?}");
    }
    let foreign = Page::after(Cursor::of(&("soon", 3)).unwrap(), 2);
    let mut tx = world.tx().await;
    for sort in [Sort::Newest, Sort::Deadline, Sort::Risk] {
        let refused = request_queue::list(&mut tx, &Filter::default(), sort, &foreign).await;
        assert!(matches!(refused, Err(ReadError::Cursor)));
    }
    request_queue::counts(&mut tx)
        .await
        .expect("the transaction is still good");
}

#[tokio::test]
async fn an_erased_person_leaves_no_word_behind() {
    let world = World::new().await;
    let (alice, bob, anna) = (world.id::<PersonId>(), world.id::<PersonId>(), world.id::<UserId>());
    let mut hers = world.submission(alice, anna);
    hers.details = details("C:\\canary-path.exe", "canaryjustification");
    let his = world.submission(bob, anna);
    for submission in [&hers, &his] {
        world.submit(submission.clone()).await;
        world.deny(submission, anna, Some("canarycomment")).await;
    }
    world.drain().await;
    assert!(get(&world, &hers).await.details.is_some());
    world.erase(alice).await;
    world.drain().await;

    let row = get(&world, &hers).await;
    assert_eq!(
        (row.status, row.details, row.decisions[0].comment.as_deref()),
        (Status::Denied, None, None)
    );
    let search = Filter {
        search: Some("canaryjustification".into()),
        ..Filter::default()
    };
    assert_eq!(listed(&world, &search).await, []);
    let terms = "select count(*) from request_term where tenant_id = $1 and term like '%canary%'";
    assert_eq!(world.count(terms).await, 0);
    let row = get(&world, &his).await;
    assert!(
        row.details.is_some() && row.decisions[0].comment.is_some(),
        "others keep theirs"
    );
    let moment: Timestamp = row.submitted_at;
    assert_eq!(moment, world.now());
}

#[tokio::test]
async fn what_awaits_an_approver_is_what_they_may_decide_by_its_rule_and_have_not_decided() {
    let world = World::new().await;
    let (ann, ben): (UserId, UserId) = (world.id(), world.id());
    let (anns, account): (PersonId, PersonId) = (world.id(), world.id());
    let mut filed = Vec::new();
    for (user, lets_own) in [(None, false), (Some(ann), false), (Some(ann), true)] {
        let mut submission = world.submission(account, ann);
        submission.user = user;
        submission.route.self_approval = lets_own;
        submission.route.quorum = 2;
        submission.route.primary.push(Approver::User(ben));
        world.submit(submission.clone()).await;
        filed.push(submission);
    }
    world.drain().await;
    let [strangers, own, lets_own] = [0, 1, 2].map(|n| filed[n].request);
    let awaiting = |user: UserId, people: Vec<PersonId>, own| Filter {
        routed_to: Some(Routed {
            ids: vec![user.uuid()],
            user: Some(user),
            people,
            any: false,
            own,
        }),
        ..Filter::default()
    };
    let waits = async |filter: &Filter| {
        let mut found = listed(&world, filter).await;
        found.sort_unstable();
        found
    };
    let sorted = |mut ids: Vec<RequestId>| {
        ids.sort_unstable();
        ids
    };
    assert_eq!(
        waits(&awaiting(ann, vec![anns], false)).await,
        sorted(vec![strangers, lets_own])
    );
    assert_eq!(
        waits(&awaiting(ann, vec![anns], true)).await,
        sorted(vec![strangers, own, lets_own]),
        "the tenant lets everybody"
    );
    assert_eq!(
        waits(&awaiting(ann, vec![anns, account], false)).await,
        [lets_own],
        "the account is hers"
    );
    world.approve(&filed[0], ann, None).await;
    world.drain().await;
    assert_eq!(
        waits(&awaiting(ann, vec![anns], false)).await,
        [lets_own],
        "hers is given"
    );
    assert!(waits(&awaiting(ben, vec![], false)).await.contains(&strangers));
}
