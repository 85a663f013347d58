//! Mails over a server that fails in every way: none is lost, each goes to whoever has to know, none goes twice.

use std::{collections::BTreeSet, time::Duration};

use commands::{Caller, NewUser, Principal};
use formats::{RequestId, UserId};
use model::{Role, request::Narrowing};
use projections::mail_outbox::{self, Figures};
use reqwest::StatusCode;
use serde_json::json;
use sqlx::Row;

use crate::{
    mail_server::{Mail, MailServer, Mood},
    world::World,
};

const LATER: Mood = Mood::Refuses("451 try again later");
const NEVER: Mood = Mood::Refuses("550 no such mailbox");

async fn begin() -> (World, MailServer) {
    let post = MailServer::begin().await;
    (World::with_smtp(post.url()).await, post)
}

async fn figures(world: &World, slug: &str) -> Figures {
    let mut tx = world.app().reading(world.tenant_id(slug)).await.unwrap();
    mail_outbox::figures(&mut tx).await.unwrap()
}

/// Waits until nothing is left to be addressed or sent.
async fn emptied(world: &World, slug: &str) {
    let mut looks = 0;
    world
        .until("the end of the outbox", async || {
            let Figures { open, queued, .. } = figures(world, slug).await;
            looks += 1;
            if queued > 0 && looks % 10 == 0 {
                // What is to be tried again becomes due, and no window of a request ends.
                world.advance(Duration::from_secs(20)).await;
            }
            (open + queued == 0).then_some(())
        })
        .await;
}

/// Waits for the one mail to an address that holds this text.
async fn mail(world: &World, post: &MailServer, to: &str, holding: &str) -> Mail {
    world
        .until(&format!("the mail to {to} that holds {holding:?}"), async || {
            post.mails_to(to, holding).pop()
        })
        .await
}

fn system(world: &World, slug: &str) -> Caller {
    Caller::system(world.tenant_id(slug), world.app().ambient().uuid())
}

/// Links the endpoint account of the requests to the tenant's member, once it was seen.
async fn link_to_member(world: &World) {
    let app = world.app();
    world.file(&world.endpoint("acme").await, "setup-first.exe").await;
    let person = world
        .until("the account", async || {
            let mut tx = app.reading(world.tenant_id("acme")).await.unwrap();
            projections::directory::person_by_account(&mut tx, "demo\\robin")
                .await
                .unwrap()
        })
        .await
        .id;
    let member = world.caller("acme", "member").await.user().unwrap();
    let admin = world.caller("acme", "admin").await;
    let linked = app.link_endpoint_account(&admin, person, member).await.unwrap();
    app.settled(admin.tenant, linked.position).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_outlast_a_server_that_puts_off_and_breaks_off_each_once_under_one_message_id() {
    let (world, post) = begin().await;
    let (endpoint, to) = (
        world.endpoint("acme").await,
        world.user("acme", "approver").email.clone(),
    );
    emptied(&world, "acme").await;
    let before = figures(&world, "acme").await;
    post.treat(&to, LATER);
    let mut filed = BTreeSet::new();
    for n in 0..5 {
        filed.insert(world.file(&endpoint, &format!("setup-post-{n}.exe")).await.0);
    }
    world
        .until("five mails in the outbox", async || {
            (figures(&world, "acme").await.queued == 5).then_some(())
        })
        .await;
    post.treat(&to, Mood::BreaksOff);
    world.advance(Duration::from_secs(20)).await;
    let begun = world
        .until("five attempts that were broken off", async || {
            let ids: BTreeSet<String> = post.broken_off().into_iter().collect();
            (ids.len() == 5).then_some(ids)
        })
        .await;
    assert!(filed.iter().all(|id| post.mails_to(&to, &id.to_string()).is_empty()));
    post.treat(&to, Mood::Takes);
    emptied(&world, "acme").await;
    let mut ids = BTreeSet::new();
    for request in &filed {
        let mails = post.mails_to(&to, &request.to_string());
        assert_eq!(mails.len(), 1, "{mails:?}");
        ids.insert(mails[0].message_id.clone());
    }
    assert_eq!(ids, begun, "an attempt has the Message-ID of the one before");
    let after = figures(&world, "acme").await;
    assert_eq!((after.sent, after.failed), (before.sent + 5, before.failed));

    // A server that takes a mail and dies before it says so: the copy can be told by its Message-ID.
    post.treat(&to, Mood::SaysNothing);
    let (request, _) = world.file(&endpoint, "setup-post-unsaid.exe").await;
    mail(&world, &post, &to, &request.to_string()).await;
    post.treat(&to, Mood::Takes);
    emptied(&world, "acme").await;
    let copies = post.mails_to(&to, &request.to_string());
    assert!(copies.len() >= 2, "{copies:?}");
    assert!(copies.iter().all(|copy| copy.message_id == copies[0].message_id));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_address_is_recorded_and_keeps_no_other_mail_back() {
    let (world, post) = begin().await;
    let to = world.user("acme", "approver").email.clone();
    emptied(&world, "acme").await;
    let before = figures(&world, "acme").await;
    post.treat(&to, NEVER);
    let (request, _) = world.file(&world.endpoint("acme").await, "setup-refused.exe").await;
    let member = world.caller("acme", "member").await.user().unwrap();
    world
        .app()
        .invite(&system(&world, "acme"), member, false)
        .await
        .unwrap();
    let invited = mail(&world, &post, &world.user("acme", "member").email, "Choose a password").await;
    assert!(invited.text.contains("within three days"), "{}", invited.text);
    emptied(&world, "acme").await;
    let after = figures(&world, "acme").await;
    assert_eq!((after.failed, after.sent), (before.failed + 1, before.sent + 1));
    assert!(post.mails_to(&to, &request.to_string()).is_empty());
    let mut tx = world.app().reading(world.tenant_id("acme")).await.unwrap();
    let row = sqlx::query(
        "select attempts, last_error from mail_delivery where tenant_id = $1 and status = 'refused' and recipient = $2",
    )
    .bind(world.tenant_id("acme").uuid())
    .bind(world.caller("acme", "approver").await.user().unwrap().uuid())
    .fetch_one(&mut *tx)
    .await
    .unwrap();
    assert_eq!(row.get::<i32, _>("attempts"), 1, "it is not tried again");
    assert_eq!(row.get::<String, _>("last_error"), "the mail server answered 550");
    drop(tx);

    // Administrators see it, at the mail and at the user, and have it sent again once the address works.
    let admin = world.browser("acme", "admin").await;
    let seen = "{ mails(states: [REFUSED, FAILED]) { nodes { position part state attempts lastAnswer requestId
        user { id email mailRefused } } } mailFigures { waiting sent failed sending } }";
    let answer = admin.ask(seen, json!({})).await;
    let refused = &answer["data"]["mails"]["nodes"][0];
    assert_eq!(refused["requestId"], request.to_string(), "{answer}");
    assert_eq!(
        (&refused["state"], &refused["attempts"]),
        (&json!("REFUSED"), &json!(1))
    );
    assert_eq!(refused["user"]["email"], to);
    for said in [&refused["lastAnswer"], &refused["user"]["mailRefused"]] {
        assert_eq!(said, "the mail server answered 550");
    }
    let figures_shown = &answer["data"]["mailFigures"];
    assert_eq!(figures_shown["failed"], json!(after.failed), "{answer}");
    assert_eq!(figures_shown["sending"], true);
    post.treat(&to, Mood::Takes);
    let resend = "mutation($i: ResendMailInput!) { resendMail(input: $i) { mail { state } } }";
    let which = json!({ "i": {
        "position": refused["position"], "part": refused["part"], "userId": refused["user"]["id"],
    } });
    let answer = admin.ask(resend, which.clone()).await;
    assert!(answer["errors"].is_null(), "{answer}");
    mail(&world, &post, &to, &request.to_string()).await;
    emptied(&world, "acme").await;
    assert_eq!(post.mails_to(&to, &request.to_string()).len(), 1);
    let answer = admin.ask(resend, which).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "MAIL_NOT_ENDED", "{answer}");
    let answer = admin.ask(seen, json!({})).await;
    assert!(!answer["data"]["mails"]["nodes"].to_string().contains(&to), "{answer}");
    let user = "query($id: ID!) { user(id: $id) { mailRefused } }";
    let id = world.caller("acme", "approver").await.user().unwrap();
    let answer = admin.ask(user, json!({ "id": id })).await;
    assert_eq!(answer["data"]["user"], json!({ "mailRefused": null }), "{answer}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_for_one_tenant_keeps_no_other_tenants_mails_back() {
    let (world, post) = begin().await;
    let (stuck, free) = (
        world.user("acme", "approver").email.clone(),
        world.user("globex", "approver").email.clone(),
    );
    emptied(&world, "acme").await;
    emptied(&world, "globex").await;
    post.treat(&stuck, Mood::Hangs);
    let (request, _) = world.file(&world.endpoint("acme").await, "setup-stuck.exe").await;
    world
        .until("the hang", async || (post.hanging() == 1).then_some(()))
        .await;
    let begun = tokio::time::Instant::now();
    for n in 0..3 {
        let (other, _) = world
            .file(&world.endpoint("globex").await, &format!("setup-{n}.exe"))
            .await;
        mail(&world, &post, &free, &other.to_string()).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(post.hanging(), 1, "the other tenant's mails did not wait for its end");
    post.treat(&stuck, Mood::Takes);
    emptied(&world, "acme").await;
    assert_eq!(post.mails_to(&stuck, &request.to_string()).len(), 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mails_of_a_suspended_tenant_hold_and_go_out_when_it_is_resumed() {
    let (world, post) = begin().await;
    let to = world.user("acme", "approver").email.clone();
    emptied(&world, "acme").await;
    post.treat(&to, LATER);
    let (request, _) = world.file(&world.endpoint("acme").await, "setup-held.exe").await;
    world
        .until("the mail in the outbox", async || {
            (figures(&world, "acme").await.queued == 1).then_some(())
        })
        .await;
    let operator = Caller {
        principal: Principal::Operator {
            name: "development".to_owned(),
            method: "platform_credential",
        },
        ..system(&world, "acme")
    };
    world
        .app()
        .suspend_tenant(&operator, "unpaid".to_owned())
        .await
        .unwrap();
    post.treat(&to, Mood::Takes);
    world.advance(Duration::from_secs(600)).await;
    // The neighbour's mails show that the notifier was at work after the held one was due.
    for n in 0..3 {
        let (other, _) = world
            .file(&world.endpoint("globex").await, &format!("setup-{n}.exe"))
            .await;
        let other = other.to_string();
        mail(&world, &post, &world.user("globex", "approver").email, &other).await;
    }
    assert!(post.mails_to(&to, &request.to_string()).is_empty());
    world.app().resume_tenant(&operator, "paid".to_owned()).await.unwrap();
    mail(&world, &post, &to, &request.to_string()).await;
    emptied(&world, "acme").await;
    assert_eq!(post.mails_to(&to, &request.to_string()).len(), 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_end_of_a_request_reaches_its_requester_and_whoever_was_asked() {
    let (world, post) = begin().await;
    link_to_member(&world).await;
    let (app, endpoint) = (world.app(), world.endpoint("acme").await);
    let (admin, owner) = (world.caller("acme", "admin").await, world.caller("acme", "owner").await);
    let address = |role: &str| world.user("acme", role).email.clone();
    let (requester, asked) = (address("member"), address("approver"));
    let reason = || Some("Not needed".to_owned());

    let (approved, digest) = world.file(&endpoint, "setup-approved.exe").await;
    app.approve(&admin, approved, &digest, Narrowing::default(), None)
        .await
        .unwrap();
    let (denied, digest) = world.file(&endpoint, "setup-denied.exe").await;
    app.deny(&admin, denied, &digest, reason()).await.unwrap();
    let (cancelled, _) = world.file(&endpoint, "setup-cancelled.exe").await;
    app.cancel_request(&admin, cancelled, reason()).await.unwrap();
    app.revoke_grant(&admin, approved, reason()).await.unwrap();
    let (own, digest) = world.file(&endpoint, "setup-own.exe").await;
    let approver = world.caller("acme", "approver").await;
    app.deny(&approver, own, &digest, reason()).await.unwrap();

    let subject = async |to: &str, request: RequestId, starts: &str| {
        let id = request.to_string();
        world
            .until(&format!("{starts} to {to}"), async || {
                let mut mails = post.mails_to(to, &id);
                mails.retain(|mail| mail.subject.starts_with(starts));
                mails.pop()
            })
            .await
    };
    for (request, said) in [(approved, "Approved"), (denied, "Denied"), (cancelled, "Cancelled")] {
        subject(&requester, request, said).await;
        let told = subject(&asked, request, "No longer needed").await;
        assert!(told.text.contains("Demo Admin"), "{}", told.text);
    }
    let told = subject(&requester, approved, "Taken back").await;
    assert!(told.text.contains("can't be used any more"));
    subject(&requester, own, "Denied").await;

    // Escalated to the administrators, then over: both rounds of approvers learn of it.
    let (expired, _) = world.file(&endpoint, "setup-expired.exe").await;
    subject(&asked, expired, "Approval wanted").await;
    world.advance(Duration::from_secs(30 * 60)).await;
    for role in ["admin", "owner"] {
        subject(&address(role), expired, "Escalated").await;
    }
    world.advance(Duration::from_secs(4 * 3600)).await;
    subject(&requester, expired, "Expired").await;
    for role in ["approver", "admin", "owner"] {
        subject(&address(role), expired, "No longer needed").await;
    }
    emptied(&world, "acme").await;
    // Whoever settled it was not told so, and nobody was told twice.
    for (request, by) in [(approved, "admin"), (denied, "admin"), (own, "approver")] {
        let mut mails = post.mails_to(&address(by), &request.to_string());
        mails.retain(|mail| mail.subject.starts_with("No longer"));
        assert!(mails.is_empty(), "{mails:?}");
    }
    let mails = post.mails();
    let ids: BTreeSet<_> = mails.iter().map(|mail| &mail.message_id).collect();
    assert_eq!(ids.len(), mails.len());
    assert!(post.mails_to(&address("auditor"), "").is_empty());
    assert!(owner.user().is_some());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_are_told_where_nobody_else_can_decide_and_where_an_account_was_locked() {
    let (world, post) = begin().await;
    let app = world.app();
    let admin = world.caller("acme", "admin").await;
    let approver = world.caller("acme", "approver").await.user().unwrap();
    let closed = app.disable_user(&admin, approver, "left".to_owned()).await.unwrap();
    app.settled(admin.tenant, closed.position).await;
    let (request, digest) = world.file(&world.endpoint("acme").await, "setup-nobody.exe").await;
    let administrators = ["admin", "owner"].map(|role| world.user("acme", role).email.clone());
    for to in &administrators {
        let told = mail(&world, &post, to, &request.to_string()).await;
        assert!(told.subject.starts_with("No approver"), "{}", told.subject);
        let page = world.nobody.get(told.link()).send().await.unwrap();
        assert_eq!(page.status(), StatusCode::OK, "the link is its reader's own");
    }
    app.deny(&admin, request, &digest, Some("no".to_owned())).await.unwrap();
    world
        .until("the end, to the other administrator", async || {
            let mut mails = post.mails_to(&administrators[1], &request.to_string());
            mails.retain(|mail| mail.subject.starts_with("No longer needed"));
            mails.pop()
        })
        .await;
    assert!(
        post.mails_to(&world.user("acme", "approver").email, &request.to_string())
            .is_empty()
    );

    let victim = world.user("acme", "member").email.clone();
    for _ in 0..5 {
        let body = json!({ "tenant": "acme", "email": victim, "password": "not the portcullis" });
        let answer = world
            .nobody
            .post(format!("{}/auth/sign-in", world.url()))
            .json(&body)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    }
    for to in &administrators {
        let told = mail(&world, &post, to, "Locked after wrong attempts").await;
        assert!(told.text.contains("Demo Member"), "{}", told.text);
    }
    assert!(post.mails_to(&victim, "Locked").is_empty());
    emptied(&world, "acme").await;
    assert_eq!(post.mails_to(&administrators[0], "Locked after").len(), 1);
    world.end().await;
}

/// Chooses a password by the token in a mail's link.
async fn choose(world: &World, mail: &Mail, password: &str) -> StatusCode {
    let (head, token) = mail.link().rsplit_once('/').unwrap();
    let (page, door) = if mail.text.contains("asked for a new password") {
        ("password-reset", "password-reset/confirm")
    } else {
        ("invitation", "invitation")
    };
    assert_eq!(head, format!("{}/{page}", world.url()));
    world
        .nobody
        .post(format!("{}/auth/{door}", world.url()))
        .json(&json!({ "token": token, "password": password }))
        .send()
        .await
        .unwrap()
        .status()
}

async fn sign_in(world: &World, email: &str, password: &str) -> StatusCode {
    let body = json!({ "tenant": "acme", "email": email, "password": password });
    let sent = world
        .nobody
        .post(format!("{}/auth/sign-in", world.url()))
        .json(&body)
        .send();
    sent.await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn invitations_and_lost_passwords_come_by_mail_with_links_that_work_once() {
    const FIRST: &str = "a gate of seven bars";
    const SECOND: &str = "a moat without a bridge";
    let (world, post) = begin().await;
    let (app, admin) = (world.app(), world.caller("acme", "admin").await);
    let email = "newcomer@acme.test";
    let new = NewUser {
        email: email.to_owned(),
        name: "Newcomer".to_owned(),
        roles: vec![Role::Member],
        password: None,
        source: "invitation",
    };
    let user: UserId = app.create_user(&admin, new).await.unwrap().id();
    app.invite(&admin, user, false).await.unwrap();
    let invited = mail(&world, &post, email, "An account was made for you").await;
    // Following the link, as scanners do, uses nothing up.
    for _ in 0..3 {
        world.nobody.get(invited.link()).send().await.unwrap();
    }
    assert_eq!(
        choose(&world, &invited, "short").await,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(choose(&world, &invited, FIRST).await, StatusCode::OK);
    assert_eq!(choose(&world, &invited, SECOND).await, StatusCode::UNAUTHORIZED);
    assert_eq!(sign_in(&world, email, FIRST).await, StatusCode::OK);

    // Nobody learns whether there is such a person, and one who is there gets one link for many calls.
    world.advance(Duration::from_secs(600)).await;
    for (tenant, who) in [
        ("acme", email),
        ("acme", "nobody@acme.test"),
        ("nowhere", email),
        ("acme", email),
    ] {
        let answer = world
            .nobody
            .post(format!("{}/auth/password-reset", world.url()))
            .json(&json!({ "tenant": tenant, "email": who }))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        assert!(answer.bytes().await.unwrap().is_empty());
        if who == email {
            mail(&world, &post, email, "asked for a new password").await;
        }
    }
    let lost = mail(&world, &post, email, "asked for a new password").await;
    assert!(lost.text.contains("within an hour"), "{}", lost.text);
    assert_eq!(choose(&world, &lost, SECOND).await, StatusCode::OK);
    assert_eq!(choose(&world, &lost, FIRST).await, StatusCode::UNAUTHORIZED);
    assert_eq!(sign_in(&world, email, FIRST).await, StatusCode::UNAUTHORIZED);
    assert_eq!(sign_in(&world, email, SECOND).await, StatusCode::OK);

    // A link that is too old, and one that a newer one replaced.
    app.invite(&admin, user, true).await.unwrap();
    let older = world
        .until("a second link", async || {
            let mails = post.mails_to(email, "asked for a new password");
            mails.get(1).cloned()
        })
        .await;
    app.invite(&admin, user, true).await.unwrap();
    let newer = world
        .until("a third link", async || {
            let mails = post.mails_to(email, "asked for a new password");
            mails.get(2).cloned()
        })
        .await;
    assert_eq!(choose(&world, &older, FIRST).await, StatusCode::UNAUTHORIZED);
    world.advance(Duration::from_secs(72 * 3600)).await;
    assert_eq!(choose(&world, &newer, FIRST).await, StatusCode::UNAUTHORIZED);
    emptied(&world, "acme").await;
    assert_eq!(post.mails_to(email, "").len(), 4);
    assert!(post.mails_to("nobody@acme.test", "").is_empty());
    world.end().await;
}
