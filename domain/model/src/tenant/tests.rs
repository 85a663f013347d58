//! given/when/then.

use std::time::Duration;

use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use formats::{TenantId, Timestamp};

use super::*;
use crate::{Coded, Noun};

fn given() -> AggregateTestExecutor<Tenant> {
    let created = TenantCreated {
        tenant: TenantId::default(),
        slug: "acme".into(),
        name: "Acme".into(),
        settings: Box::default(),
    };
    TestFramework::with(()).given(vec![created.into()])
}

#[test]
fn a_slug_is_small_letters_digits_and_inner_hyphens() {
    for (slug, good) in [
        ("acme", true),
        ("a-1", true),
        ("A", false),
        ("a", false),
        ("-ab", false),
        ("ab-", false),
        ("a b", false),
    ] {
        let command = TenantCommand::CreateTenant {
            tenant: TenantId::default(),
            slug: slug.into(),
            name: "Acme".into(),
            settings: Box::default(),
        };
        assert_eq!(Tenant::default().decide(command).is_ok(), good, "{slug}");
    }
}

#[test]
fn a_suspended_tenant_is_resumed_once() {
    let suspended = TenantSuspended { reason: String::new() };
    given()
        .and(vec![suspended.into()])
        .when(TenantCommand::ResumeTenant { reason: String::new() })
        .then_expect_events(vec![TenantResumed { reason: String::new() }.into()]);
    given()
        .when(TenantCommand::ResumeTenant { reason: String::new() })
        .then_expect_error(TenantError::NotSuspended);
}

#[test]
fn a_deletion_has_a_grace_of_a_day_at_least_and_can_be_called_off() {
    let at = Timestamp::from_millis(0);
    let day = Duration::from_secs(24 * 3600);
    let request = |purge_at| TenantCommand::RequestTenantDeletion { at, purge_at };
    let cancel = |at| TenantCommand::CancelTenantDeletion {
        at,
        reason: "mistake".into(),
    };
    given()
        .when(request(at + day - Duration::from_millis(1)))
        .then_expect_error(TenantError::GraceTooShort);
    given()
        .when(request(at + day))
        .then_expect_events(vec![TenantDeletionRequested { purge_at: at + day }.into()]);
    given()
        .and(vec![TenantDeletionRequested { purge_at: at + day }.into()])
        .when(cancel(at + day - Duration::from_millis(1)))
        .then_expect_events(vec![
            TenantDeletionCancelled {
                reason: "mistake".into(),
            }
            .into(),
        ]);
    given()
        .and(vec![TenantDeletionRequested { purge_at: at + day }.into()])
        .when(cancel(at + day))
        .then_expect_error(TenantError::DeletionDue { purge_at: at + day });
    given()
        .when(cancel(at))
        .then_expect_error(TenantError::NoDeletionRequested);
}

#[test]
fn a_deletion_that_was_called_off_leaves_a_suspended_tenant_suspended() {
    let (at, mut tenant) = (Timestamp::from_millis(0), Tenant::default());
    let events: [(TenantEvent, &str); 6] = [
        (TenantSuspended { reason: String::new() }.into(), "suspended"),
        (TenantDeletionRequested { purge_at: at }.into(), "deleting"),
        (TenantDeletionCancelled { reason: String::new() }.into(), "suspended"),
        (TenantDeletionRequested { purge_at: at }.into(), "deleting"),
        (TenantResumed { reason: String::new() }.into(), "deleting"),
        (TenantDeletionCancelled { reason: String::new() }.into(), "active"),
    ];
    for (event, status) in events {
        cqrs_es::Aggregate::apply(&mut tenant, event);
        assert_eq!(tenant.status(), status);
    }
}

#[test]
fn settings_out_of_range_are_refused_by_their_field() {
    type Change = fn(&mut Settings);
    let wrong: [(&str, Change); 5] = [
        ("settings.windows.pendingMinutes", |s| s.windows.pending_minutes = 0),
        ("settings.windows.grantMinutes", |s| s.windows.grant_minutes = 43_201),
        ("settings.windows.uses", |s| s.windows.uses = Some(1_001)),
        ("settings.justificationMin", |s| s.justification_min = 4_097),
        ("settings.replyTo", |s| s.reply_to = Some("nobody".into())),
    ];
    for (field, change) in wrong {
        let mut settings = Box::<Settings>::default();
        change(&mut settings);
        let mut tenant = Tenant::default();
        let created = TenantCreated {
            tenant: TenantId::default(),
            slug: "acme".into(),
            name: "Acme".into(),
            settings: Box::default(),
        };
        cqrs_es::Aggregate::apply(&mut tenant, created.into());
        let error = tenant.decide(TenantCommand::ChangeSettings { settings }).unwrap_err();
        assert_eq!(error.field().as_deref(), Some(field));
    }
}

#[test]
fn the_epoch_and_the_key_set_only_go_up_by_one() {
    given()
        .when(TenantCommand::RestoreLog {
            epoch: 3,
            reason: String::new(),
        })
        .then_expect_error(TenantError::Version {
            field: "epoch",
            wanted: 2,
        });
    given()
        .when(TenantCommand::ChangeKeySet {
            version: 1,
            purpose: "grant".into(),
            active: None,
            withdrawn: vec![],
        })
        .then_expect_error(TenantError::Version {
            field: "version",
            wanted: 2,
        });
}
