//! Deciding: rivals, late approvers, a scheduler that was away, one-time codes.

use std::{collections::BTreeMap, time::Duration};

use formats::RequestId;
use model::{
    Role as Standing,
    request::{Approver, Narrowing},
};
use portcullis::config::Role;
use tokio_util::sync::CancellationToken;

use crate::world::World;

/// When what happened to a request, in milliseconds.
#[derive(Debug, Default, Clone, Copy)]
struct Due {
    submitted: Option<i64>,
    escalated: Option<i64>,
    expired: Option<i64>,
}

const TERMINAL: [&str; 4] = ["RequestApproved", "RequestDenied", "RequestExpired", "RequestCancelled"];

/// How often each request met each terminal event.
async fn endings(world: &World, after: u64) -> BTreeMap<RequestId, Vec<String>> {
    let mut endings: BTreeMap<RequestId, Vec<String>> = BTreeMap::new();
    for event in world.log("acme", after).await {
        if event.body.event_type == "RequestSubmitted" {
            endings.entry(event.body.stream.id.into()).or_default();
        }
        if TERMINAL.contains(&event.body.event_type.as_str()) {
            endings
                .entry(event.body.stream.id.into())
                .or_default()
                .push(event.body.event_type);
        }
    }
    endings
}

#[tokio::test(flavor = "multi_thread")]
async fn two_approvers_who_race_a_thousand_times_end_in_one_decision_each() {
    let world = World::begin().await;
    let app = world.app();
    let after = app.store.head(world.tenant_id("acme")).await.unwrap();
    let (endpoint, approver, admin) = (
        world.endpoint("acme").await,
        world.caller("acme", "approver").await,
        world.caller("acme", "admin").await,
    );
    for round in 0..20 {
        let mut filed = Vec::new();
        for n in 0..50 {
            filed.push(world.file(&endpoint, &format!("race-{round}-{n}.exe")).await);
        }
        let races = filed.into_iter().map(|(request, digest)| {
            let (app, approver, admin) = (app.clone(), approver.clone(), admin.clone());
            tokio::spawn(async move {
                let none = Narrowing::default();
                let (a, b) = tokio::join!(
                    app.approve(&approver, request, &digest, none, None),
                    app.deny(&admin, request, &digest, Some("no".to_owned())),
                );
                let (winner, loser) = if a.is_ok() { (a, b) } else { (b, a) };
                winner.unwrap();
                let refusal = loser.unwrap_err();
                assert_eq!(refusal.code, "ALREADY_DECIDED", "{refusal}");
                let details = refusal.details.unwrap();
                assert!(details["by"].is_string() && details["at"].is_string(), "{details}");
            })
        });
        for race in races.collect::<Vec<_>>() {
            race.await.unwrap();
        }
    }
    let endings = endings(&world, after).await;
    assert_eq!(endings.len(), 1_000);
    assert!(endings.values().all(|terminal| terminal.len() == 1), "{endings:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_was_away_catches_up_once_at_the_due_times_and_late_approvals_are_refused_meanwhile() {
    let world = World::with_roles(&[Role::Api, Role::Projector, Role::Notifier]).await;
    let app = world.app();
    let tenant = world.tenant_id("acme");
    let after = app.store.head(tenant).await.unwrap();
    let (endpoint, approver) = (world.endpoint("acme").await, world.caller("acme", "approver").await);
    let mut filed = Vec::new();
    for n in 0..200 {
        filed.push(world.file(&endpoint, &format!("late-{n}.exe")).await);
    }
    // Across both deadlines, and an hour more.
    world.advance(Duration::from_secs(30 * 60 + 4 * 3600 + 3600)).await;
    let (request, digest) = &filed[0];
    let refusal = app
        .approve(&approver, *request, digest, Narrowing::default(), None)
        .await
        .unwrap_err();
    assert_eq!(refusal.code, "EXPIRED", "{refusal}");

    let stop = CancellationToken::new();
    let schedulers: Vec<_> = (0..2)
        .map(|_| tokio::spawn(worker::scheduler::run(app.clone(), stop.clone())))
        .collect();
    world
        .until("the end of every request", async || {
            let endings = endings(&world, after).await;
            endings.values().all(|terminal| !terminal.is_empty()).then_some(())
        })
        .await;
    stop.cancel();
    for scheduler in schedulers {
        scheduler.await.unwrap();
    }
    let mut due: BTreeMap<RequestId, Due> = BTreeMap::new();
    for event in world.log("acme", after).await {
        let entry = due.entry(event.body.stream.id.into()).or_default();
        let at = event.body.occurred_at.millis();
        match event.body.event_type.as_str() {
            // The windows run from the moment by which the command was judged, a little before it was written.
            "RequestSubmitted" => {
                let until: formats::Timestamp =
                    serde_json::from_value(event.body.data["pendingUntil"].clone()).unwrap();
                entry.submitted = Some(until.millis() - 30 * 60_000);
            }
            "RequestEscalated" => {
                assert_eq!(entry.expired, None, "in order");
                assert_eq!(entry.escalated.replace(at), None, "escalated twice");
            }
            "RequestExpired" => assert_eq!(entry.expired.replace(at), None, "expired twice"),
            _ => continue,
        }
        // Both times are told: when it was due, and when it was written down, an hour or more later.
        if event.body.event_type != "RequestSubmitted" {
            let late = event.body.recorded_at.millis() - at;
            assert!(
                late >= 3_600_000 - 60_000,
                "{} was recorded {late} ms late",
                event.body.event_type
            );
        }
    }
    for (request, _) in &filed {
        let Due {
            submitted,
            escalated,
            expired,
        } = due[request];
        let submitted = submitted.unwrap();
        assert_eq!(escalated, Some(submitted + 30 * 60_000));
        assert_eq!(expired, Some(submitted + 270 * 60_000));
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_sent_again_after_a_restart_is_carried_out_once_and_answered_alike() {
    let world = World::begin().await;
    let after = world.app().store.head(world.tenant_id("acme")).await.unwrap();
    let endpoint = world.endpoint("acme").await;
    let (request, digest) = world.file(&endpoint, "again.exe").await;
    let send = async |world: &World, digest: &str| {
        let mut admin = world.caller("acme", "admin").await;
        admin.origin.idempotency_key = Some("attempt-7".to_owned());
        world
            .app()
            .approve(&admin, request, digest, Narrowing::default(), None)
            .await
    };
    let first = send(&world, &digest).await.unwrap();
    let world = world.restart().await;
    let again = send(&world, &digest).await.unwrap();
    assert_eq!((again.position, again.duplicate), (first.position, true));
    // The same key with another content is no repetition.
    let other = send(&world, &"0".repeat(64)).await.unwrap_err();
    assert_eq!(other.code, "IDEMPOTENCY_KEY_REUSED", "{other}");
    let told = world.log("acme", after).await;
    let given = told.iter().filter(|e| e.body.event_type == "ApprovalGiven").count();
    assert_eq!(given, 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_not_decide_does_not_and_an_identical_request_is_not_filed_twice() {
    let world = World::begin().await;
    let app = world.app();
    let endpoint = world.endpoint("acme").await;
    let (request, digest) = world.file(&endpoint, "setup-once.exe").await;
    assert_eq!(world.file(&endpoint, "setup-once.exe").await.0, request);
    let none = Narrowing::default();
    for (role, code) in [("auditor", "FORBIDDEN"), ("member", "FORBIDDEN")] {
        let caller = world.caller("acme", role).await;
        let refusal = app.approve(&caller, request, &digest, none, None).await.unwrap_err();
        assert_eq!(refusal.code, code, "{role}");
    }
    // The neighbour's approver and administrator see no such request.
    for role in ["approver", "admin", "owner"] {
        let caller = world.caller("globex", role).await;
        let refusal = app.approve(&caller, request, &digest, none, None).await.unwrap_err();
        assert_eq!(refusal.code, "NOT_FOUND", "{role}");
    }
    let approver = world.caller("acme", "approver").await;
    let other = "00".repeat(32);
    let refusal = app.approve(&approver, request, &other, none, None).await.unwrap_err();
    assert_eq!(refusal.code, "DIGEST_MISMATCH");
    let refusal = app
        .approve(
            &approver,
            request,
            &digest,
            Narrowing {
                uses: Some(2),
                grant_minutes: None,
            },
            None,
        )
        .await
        .unwrap_err();
    assert_eq!((refusal.code, refusal.field.as_deref()), ("WIDENED", Some("uses")));

    // A linked account is the user's own, whoever linked it.
    let admin = world.caller("acme", "admin").await;
    let person = {
        let mut tx = app.reading(admin.tenant).await.unwrap();
        projections::directory::person_by_account(&mut tx, "demo\\ROBIN")
            .await
            .unwrap()
            .unwrap()
            .id
    };
    app.link_endpoint_account(&admin, person, approver.user().unwrap())
        .await
        .unwrap();
    let refusal = app.approve(&approver, request, &digest, none, None).await.unwrap_err();
    assert_eq!(refusal.code, "SELF_APPROVAL");
    app.approve(&admin, request, &digest, none, None).await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_account_and_a_removed_endpoint_end_their_requests_and_grants() {
    let world = World::begin().await;
    let app = world.app();
    let tenant = world.tenant_id("acme");
    let after = app.store.head(tenant).await.unwrap();
    let (endpoint, admin) = (world.endpoint("acme").await, world.caller("acme", "admin").await);
    let (open, _) = world.file(&endpoint, "setup-open.exe").await;
    let (granted, digest) = world.file(&endpoint, "setup-granted.exe").await;
    app.approve(&admin, granted, &digest, Narrowing::default(), None)
        .await
        .unwrap();
    let commands::Principal::Endpoint { endpoint: id, .. } = endpoint.principal else {
        panic!("no endpoint")
    };
    app.remove_endpoint(&admin, id, "lost".to_owned()).await.unwrap();
    world
        .until("the end of what the endpoint had", async || {
            let events = world.log("acme", after).await;
            let has = |request: RequestId, kind: &str| {
                events
                    .iter()
                    .any(|e| e.body.stream.id == request.uuid() && e.body.event_type == kind)
            };
            (has(open, "RequestCancelled") && has(granted, "GrantRevoked")).then_some(())
        })
        .await;
    let refusal = app.request_for_agent(&endpoint, granted).await.unwrap();
    assert!(refusal.grant.is_none(), "a revoked grant is not served");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_one_code_given_fifty_times_at_once_one_succeeds_and_failures_lock_one_channel_only() {
    let world = World::begin().await;
    let user = world.user("acme", "approver").clone();
    let code = world.code(user.totp_secret.as_deref().unwrap()).await;
    let attempts: Vec<_> = (0..50)
        .map(|_| {
            let (client, url) = (crate::world::client(true), format!("{}/auth/sign-in", world.url()));
            let body = serde_json::json!({
                "tenant": "acme", "email": user.email, "password": user.password, "code": code,
            });
            tokio::spawn(async move { client.post(url).json(&body).send().await.unwrap().status().as_u16() })
        })
        .collect();
    let mut good = 0;
    for attempt in attempts {
        let status = attempt.await.unwrap();
        assert!([200, 401, 429].contains(&status), "{status}");
        good += usize::from(status == 200);
    }
    assert_eq!(good, 1);
    // Forty-nine failures locked the codes at sign-in. Deciding is another channel: it stays open.
    let (request, digest) = world.file(&world.endpoint("acme").await, "setup-locked.exe").await;
    let mail = world
        .until("the mail", async || {
            let mails = world.mails().await;
            mails.into_iter().find(|mail| {
                mail["text"].as_str().unwrap().contains(&request.to_string()) && mail["to"][0] == user.email
            })
        })
        .await;
    let link = mail["links"][0].as_str().unwrap();
    let code = world.code(user.totp_secret.as_deref().unwrap()).await;
    let form = [
        ("button", "approve"),
        ("digest", digest.as_str()),
        ("code", code.as_str()),
    ];
    let answer = world
        .nobody
        .post(link)
        .header("origin", world.url())
        .form(&form)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 303, "{}", answer.text().await.unwrap());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_escalates_to_the_requester_alone_only_where_the_tenant_lets_people_decide_their_own() {
    let world = World::begin().await;
    let (app, owner) = (world.app(), world.caller("acme", "owner").await);
    let (endpoint, tenant) = (world.endpoint("acme").await, world.tenant_id("acme"));
    let member = world.caller("acme", "member").await.user().unwrap();
    let (first, _) = world.file(&endpoint, "whose.exe").await;
    let head = app.store.head(tenant).await.unwrap();
    assert!(app.settled(tenant, head).await);
    let mut tx = app.reading(tenant).await.unwrap();
    let row = projections::request_queue::find(&mut tx, first).await.unwrap().unwrap();
    let rules = projections::approval_rules::all(&mut tx).await.unwrap();
    let mut settings = projections::directory::tenant(&mut tx).await.unwrap().unwrap().settings;
    drop(tx);
    app.link_endpoint_account(&owner, row.person, member).await.unwrap();
    app.assign_roles(&owner, member, vec![Standing::Member, Standing::Approver])
        .await
        .unwrap();
    for rule in rules {
        let mut definition = rule.definition;
        definition.secondary = vec![Approver::User(member)];
        app.change_approval_rule(&owner, rule.id, definition).await.unwrap();
    }
    for (lets, wanted) in [(false, "RequestExpired"), (true, "RequestEscalated")] {
        settings.self_approval = lets;
        app.change_settings(&owner, settings.clone()).await.unwrap();
        let (request, _) = world.file(&endpoint, &format!("own-{lets}.exe")).await;
        world.advance(Duration::from_secs(30 * 60)).await;
        let met = world
            .until("the deadline", async || {
                let mut events = world.log("acme", head).await.into_iter();
                let of = events.find(|event| {
                    let kind = event.body.event_type.as_str();
                    event.body.stream.id == request.uuid() && ["RequestExpired", "RequestEscalated"].contains(&kind)
                });
                of.map(|event| event.body.event_type)
            })
            .await;
        assert_eq!(met, wanted);
        if lets {
            let to = world.user("acme", "member").email.clone();
            world
                .until("the mail to whom it was escalated", async || {
                    let mails = world.mails().await;
                    mails.into_iter().find(|mail| {
                        mail["to"][0] == to && mail["text"].as_str().unwrap().contains(&request.to_string())
                    })
                })
                .await;
        }
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_model_that_stands_still_stops_only_what_is_decided_by_it() {
    let world = World::begin().await;
    let (app, admin) = (world.app(), world.caller("acme", "admin").await);
    let (endpoint, tenant) = (world.endpoint("acme").await, world.tenant_id("acme"));
    let park = async |name: &str| {
        let head = app.store.head(tenant).await.unwrap();
        assert!(app.settled(tenant, head).await || name == "request_queue");
        sqlx::query(
            "update projection_checkpoint set parked_at = now(), error = 'a story', parked_position = position + 1
             where tenant_id = $1 and projection = $2 and state = 'live'",
        )
        .bind(tenant.uuid())
        .bind(name)
        .execute(app.pool())
        .await
        .unwrap();
    };
    let none = Narrowing::default();
    park("audit_trail").await;
    let mut filed = Vec::new();
    for n in 0..3 {
        filed.push(world.file(&endpoint, &format!("parked-{n}.exe")).await);
    }
    app.approve(&admin, filed[0].0, &filed[0].1, none, None).await.unwrap();
    world
        .until("the queue's row", async || {
            let mut tx = app.reading(tenant).await.unwrap();
            let row = projections::request_queue::find(&mut tx, filed[2].0).await.unwrap();
            row.map(drop)
        })
        .await;

    // The control: what is decided by the queue is refused as long as that stands still.
    park("request_queue").await;
    let no = Some("no".to_owned());
    app.deny(&admin, filed[1].0, &filed[1].1, no).await.unwrap();
    let refusal = app
        .approve(&admin, filed[2].0, &filed[2].1, none, None)
        .await
        .unwrap_err();
    assert_eq!(refusal.code, "UNAVAILABLE", "{refusal}");
    world.end().await;
}
