//! given/when/then.

use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use formats::{PersonId, UserId};

use super::*;
use crate::aggregate::{ClaimChange, EventData};

fn created() -> UserEvent {
    UserCreated {
        user: UserId::default(),
        person: PersonId::default(),
        email: "Dana@Example.test".to_owned().into(),
        name: "Dana".to_owned().into(),
        source: "demo".into(),
    }
    .into()
}

fn given() -> AggregateTestExecutor<User> {
    TestFramework::with(()).given(vec![created()])
}

fn disabled() -> UserEvent {
    UserDisabled {
        user: UserId::default(),
        person: PersonId::default(),
        reason: String::new().into(),
    }
    .into()
}

#[test]
fn an_address_is_unique_without_case() {
    let wanted = ClaimChange::Take {
        space: EMAIL,
        value: "dana@example.test".into(),
    };
    assert_eq!(created().claims(), std::slice::from_ref(&wanted));
    let changed = UserChanged {
        user: UserId::default(),
        person: PersonId::default(),
        email: "Dana@Example.test".to_owned().into(),
        name: "Dana".to_owned().into(),
    };
    assert_eq!(
        UserEvent::from(changed).claims(),
        [ClaimChange::ReleaseAll { space: EMAIL }, wanted]
    );
}

#[test]
fn what_is_no_address_is_refused_by_its_field() {
    for email in [
        "",
        "dana",
        "@example.test",
        "dana@",
        "da na@example.test",
        "a@b@c",
        "dana@ex\nample.test",
    ] {
        let error = crate::Noun::decide(
            &User::default(),
            UserCommand::CreateUser {
                user: UserId::default(),
                person: PersonId::default(),
                email: email.into(),
                name: "Dana".into(),
                source: "demo".into(),
            },
        )
        .unwrap_err();
        assert_eq!(crate::Coded::field(&error).as_deref(), Some("email"), "{email:?}");
    }
}

#[test]
fn an_owner_is_not_disabled() {
    given()
        .when(UserCommand::DisableUser {
            is_owner: true,
            reason: String::new(),
        })
        .then_expect_error(UserError::OwnerDisabled);
}

#[test]
fn a_disabled_user_does_nothing_but_come_back() {
    given()
        .and(vec![disabled()])
        .when(UserCommand::SignIn {
            method: "password".into(),
        })
        .then_expect_error(UserError::Disabled);
    given()
        .and(vec![disabled()])
        .when(UserCommand::EnableUser)
        .then_expect_events(vec![
            UserEnabled {
                user: UserId::default(),
                person: PersonId::default(),
            }
            .into(),
        ]);
}

#[test]
fn a_factor_that_is_not_enrolled_is_not_removed() {
    given()
        .when(UserCommand::RemoveMfa { method: "totp".into() })
        .then_expect_error(UserError::NotEnrolled { method: "totp".into() });
}
