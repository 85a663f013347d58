//! `mail_outbox`: who is told what, and the state of deliveries.

use eventstore::TenantTx;
use formats::{PersonId, UserId};
use model::{
    request::{Approver, By, CancelCause, Flag, Request, RequestCommand},
    user::{User, UserCommand},
};
use projections::{
    Page,
    mail_outbox::{self, Attempt, DeliveryStatus, MailKind, Outgoing, Recipients},
    work,
};

use crate::world::{MINUTE, World, eventually};

async fn open(world: &World) -> Vec<Outgoing> {
    let mut tx = TenantTx::begin(world.store.pool(), world.tenant).await.unwrap();
    let open = mail_outbox::open_tasks(&mut tx, 200).await.unwrap();
    // The locks end here and not some time later.
    tx.rollback().await.unwrap();
    open
}

fn short(mails: &[Outgoing]) -> Vec<(MailKind, Recipients)> {
    mails.iter().map(|mail| (mail.kind, mail.recipients)).collect()
}

/// Addresses everything that is open to one user.
async fn address_all(world: &World, to: UserId) {
    let mut tx = TenantTx::begin(world.store.pool(), world.tenant).await.unwrap();
    for mail in mail_outbox::open_tasks(&mut tx, 200).await.unwrap() {
        let id = format!("<{}.{}@example.test>", mail.position, mail.n);
        mail_outbox::address(&mut tx, std::slice::from_ref(&mail), &[(&mail, to, id)], world.now())
            .await
            .unwrap();
    }
    mail_outbox::settle_work(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn each_event_is_told_to_those_whom_it_concerns() {
    let world = World::new().await;
    let (person, anna, ben) = (world.id::<PersonId>(), world.id::<UserId>(), world.id::<UserId>());
    let mut submission = world.submission(person, anna);
    submission.route.secondary = vec![Approver::User(ben)];
    world.submit(submission.clone()).await;
    let escalate = RequestCommand::Escalate {
        at: world.now(),
        by: By::User {
            user: anna,
            permitted: true,
        },
        reason: Some("Away".into()),
        secondary_can_decide: true,
    };
    world.run::<Request>(submission.request.uuid(), escalate).await.unwrap();
    world.approve(&submission, ben, None).await;
    let id = submission.request.uuid();
    world
        .run::<Request>(id, RequestCommand::UseGrant { used_at: world.now() })
        .await
        .unwrap();
    world
        .run::<Request>(id, RequestCommand::UseGrant { used_at: world.now() })
        .await
        .unwrap();
    let mut orphan = world.submission(person, anna);
    orphan.flags = vec![Flag::NoApprover];
    world.submit(orphan.clone()).await;
    let cancel = RequestCommand::CancelRequest {
        secondary_can_decide: false,
        at: world.now(),
        by: By::System,
        cause: CancelCause::UserDisabled,
        reason: None,
    };
    world.run::<Request>(orphan.request.uuid(), cancel).await.unwrap();
    world.drain().await;

    let mails = open(&world).await;
    assert_eq!(
        short(&mails),
        [
            (MailKind::Submitted, Recipients::Primary),
            (MailKind::Escalated, Recipients::Secondary),
            (MailKind::Approved, Recipients::Requester),
            (MailKind::Handled, Recipients::Asked),
            (MailKind::GrantOverused, Recipients::Administrators),
            (MailKind::NoApprover, Recipients::Administrators),
            (MailKind::Cancelled, Recipients::Requester),
            (MailKind::Handled, Recipients::Asked),
        ]
    );
    assert_eq!(mails[1].by, Some(anna));
    assert_eq!(mails[3].by, Some(ben), "whoever decided need not be told");
    assert_eq!((mails[2].position, mails[2].n, mails[3].n), (mails[3].position, 0, 1));
    assert!(mails.iter().all(|mail| mail.request.is_some()));
}

#[tokio::test]
async fn a_lock_is_told_to_administrators_a_link_to_its_user_and_other_account_events_to_nobody() {
    let world = World::new().await;
    let user = world.id::<UserId>();
    let create = UserCommand::CreateUser {
        user,
        person: world.id(),
        email: "carl@example.test".into(),
        name: "Carl".into(),
        source: "demo".into(),
    };
    world.run::<User>(user.uuid(), create).await.unwrap();
    world
        .run::<User>(
            user.uuid(),
            UserCommand::SignIn {
                method: "password".into(),
            },
        )
        .await
        .unwrap();
    for reset in [false, true] {
        let invite = UserCommand::InviteUser {
            invitation: world.id(),
            reset,
        };
        world.run::<User>(user.uuid(), invite).await.unwrap();
    }
    let until = world.now() + 15 * MINUTE;
    world
        .run::<User>(
            user.uuid(),
            UserCommand::LockChannel {
                channel: "sign-in".into(),
                until,
            },
        )
        .await
        .unwrap();
    world.drain().await;
    let mails = open(&world).await;
    assert_eq!(
        short(&mails),
        [
            (MailKind::Invited, Recipients::User),
            (MailKind::PasswordReset, Recipients::User),
            (MailKind::ChannelLocked, Recipients::Administrators),
        ]
    );
    assert!(
        mails
            .iter()
            .all(|mail| mail.user == Some(user) && mail.request.is_none())
    );
}

#[tokio::test]
async fn a_mail_is_tried_until_it_is_sent_and_the_work_is_due_when_the_next_attempt_is() {
    let world = World::new().await;
    let anna = world.id::<UserId>();
    let submission = world.submission(world.id(), anna);
    world.submit(submission).await;
    world.drain().await;
    let due_of = async || {
        work::due_of(world.store.pool(), work::MAIL, world.tenant)
            .await
            .unwrap()
    };
    assert_eq!(due_of().await, Some(world.now()));
    address_all(&world, anna).await;
    assert_eq!(open(&world).await, []);

    let attempt = async |attempt: Attempt| {
        let mut tx = TenantTx::begin(world.store.pool(), world.tenant).await.unwrap();
        let due = mail_outbox::due_deliveries(&mut tx, world.now(), 10).await.unwrap();
        assert_eq!(due.len(), 1);
        mail_outbox::record(&mut tx, &[(due[0].clone(), attempt.clone())])
            .await
            .unwrap();
        mail_outbox::settle_work(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        due.into_iter().next().unwrap()
    };
    let next = world.now() + 5 * MINUTE;
    let first = attempt(Attempt::Retry {
        error: "451 later".into(),
        at: next,
    })
    .await;
    assert_eq!(
        (first.recipient, first.attempts, first.mail.kind),
        (anna, 0, MailKind::Submitted)
    );
    assert_eq!(due_of().await, Some(next));
    let mut tx = world.tx().await;
    assert_eq!(mail_outbox::figures(&mut tx).await.unwrap().queued, 1);
    drop(tx);
    world.clock.advance(5 * MINUTE);
    let second = attempt(Attempt::Sent { at: world.now() }).await;
    assert_eq!((second.attempts, second.message_id), (1, first.message_id));
    assert_eq!(due_of().await, None);
    let figures = mail_outbox::figures(&mut world.tx().await).await.unwrap();
    assert_eq!(
        (figures.open, figures.queued, figures.sent, figures.failed),
        (0, 0, 1, 0)
    );
}

#[tokio::test]
async fn a_mail_with_nothing_left_to_say_is_no_failure_and_only_failures_are_sent_again() {
    let world = World::new().await;
    let anna = world.id::<UserId>();
    for attempt in [
        Attempt::Moot,
        Attempt::Ended {
            refused: true,
            error: "the mail server answered 550".into(),
        },
    ] {
        world.submit(world.submission(world.id(), anna)).await;
        world.drain().await;
        address_all(&world, anna).await;
        let mut tx = TenantTx::begin(world.store.pool(), world.tenant).await.unwrap();
        let due = mail_outbox::due_deliveries(&mut tx, world.now(), 10).await.unwrap();
        mail_outbox::record(&mut tx, &[(due[0].clone(), attempt.clone())])
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }
    let mut tx = TenantTx::begin(world.store.pool(), world.tenant).await.unwrap();
    let figures = mail_outbox::figures(&mut tx).await.unwrap();
    assert_eq!((figures.queued, figures.sent, figures.failed), (0, 0, 1));
    let listed = mail_outbox::list(&mut tx, &[], &Page::first(10)).await.unwrap().nodes();
    let states: Vec<_> = listed.iter().map(|mail| mail.status).collect();
    assert_eq!(
        states,
        [DeliveryStatus::Refused, DeliveryStatus::Moot],
        "the newest first"
    );
    let first = Page::first(1);
    let page = mail_outbox::list(&mut tx, &[], &first).await.unwrap();
    let next = Page::after(page.edges[0].cursor.clone(), 1);
    assert_eq!(
        mail_outbox::list(&mut tx, &[], &next).await.unwrap().nodes(),
        listed[1..]
    );
    let refused = mail_outbox::refused_addresses(&mut tx).await.unwrap();
    assert_eq!(refused.len(), 1);
    assert_eq!(
        (refused[0].user, refused[0].error.as_str()),
        (anna, "the mail server answered 550")
    );
    for mail in &listed {
        let again = mail_outbox::resend(&mut tx, mail.position, mail.n, anna, world.now()).await;
        assert_eq!(again.unwrap(), mail.status == DeliveryStatus::Refused);
    }
    assert_eq!(mail_outbox::figures(&mut tx).await.unwrap().queued, 1);
    assert_eq!(mail_outbox::refused_addresses(&mut tx).await.unwrap(), []);
}

#[tokio::test]
async fn two_notifiers_never_have_the_same_mail() {
    let world = World::new().await;
    let anna = world.id::<UserId>();
    for _ in 0..2 {
        world.submit(world.submission(world.id(), anna)).await;
    }
    world.drain().await;
    let begin = async || TenantTx::begin(world.store.pool(), world.tenant).await.unwrap();
    let (mut one, mut two) = (begin().await, begin().await);
    let of_one = mail_outbox::open_tasks(&mut one, 1).await.unwrap();
    let of_two = mail_outbox::open_tasks(&mut two, 10).await.unwrap();
    assert_eq!((of_one.len(), of_two.len()), (1, 1));
    assert_ne!(of_one[0].position, of_two[0].position);
    one.rollback().await.unwrap();
    two.rollback().await.unwrap();
    address_all(&world, anna).await;
    let (mut one, mut two) = (begin().await, begin().await);
    let of_one = mail_outbox::due_deliveries(&mut one, world.now(), 1).await.unwrap();
    let of_two = mail_outbox::due_deliveries(&mut two, world.now(), 10).await.unwrap();
    assert_ne!(of_one[0].mail.position, of_two[0].mail.position);
}

#[tokio::test]
async fn work_that_is_added_while_a_notifier_sums_up_is_not_taken_away() {
    let world = World::new().await;
    let due_of = || work::due_of(world.store.pool(), work::MAIL, world.tenant);
    assert_eq!(due_of().await.unwrap(), None);
    // A reducer adds the tenant's first work. Its table can be read meanwhile and not changed, so that the notifier sees
    // nothing to do and would take the row away at the moment in which it appears.
    let mut reducer = TenantTx::begin(world.store.pool(), world.tenant).await.unwrap();
    sqlx::query("insert into tenant_work (tenant_id, kind, due_at) values ($1, $2, now())")
        .bind(world.tenant.uuid())
        .bind(work::MAIL)
        .execute(&mut *reducer)
        .await
        .unwrap();
    sqlx::query("lock table tenant_work in share mode")
        .execute(&mut *reducer)
        .await
        .unwrap();
    let (pool, tenant) = (world.store.pool().clone(), world.tenant);
    let notifier = tokio::spawn(async move {
        let mut tx = TenantTx::begin(&pool, tenant).await.unwrap();
        mail_outbox::settle_work(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
    });
    eventually("the notifier is done or waits", async || {
        let waits = "select count(*) from pg_locks l join pg_database d on d.oid = l.database
            where d.datname = current_database() and not l.granted and $1::uuid is not null";
        notifier.is_finished() || world.count(waits).await > 0
    })
    .await;
    reducer.commit().await.unwrap();
    notifier.await.unwrap();
    assert!(due_of().await.unwrap().is_some());
}
