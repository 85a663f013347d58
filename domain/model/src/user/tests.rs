//! given/when/then.

use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use formats::{PasskeyId, PersonId, UserId};

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

fn said(active: bool, is_owner: bool) -> UserCommand {
    UserCommand::ProvisionUser {
        user: UserId::default(),
        person: PersonId::default(),
        account: None,
        profile: None,
        active,
        is_owner,
    }
}

#[test]
fn an_identity_provider_makes_closes_and_opens_an_account() {
    let profile = Profile {
        user_name: "Dana@Corp".into(),
        ..Profile::default()
    };
    let new = UserCommand::ProvisionUser {
        user: UserId::default(),
        person: PersonId::default(),
        account: Some(("dana@example.test".into(), "Dana".into())),
        profile: Some(Box::new(profile)),
        active: false,
        is_owner: false,
    };
    let events = TestFramework::<User>::with(())
        .given_no_previous_events()
        .when(new)
        .inspect_result()
        .unwrap();
    let [UserEvent::UserCreated(made), provisioned, UserEvent::UserDisabled(_)] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(made.source, "scim");
    assert_eq!(
        provisioned.claims()[1],
        ClaimChange::Take {
            space: USER_NAME,
            value: "dana@corp".into()
        }
    );
    let enabled = UserEnabled {
        user: UserId::default(),
        person: PersonId::default(),
    };
    given()
        .and(vec![disabled()])
        .when(said(true, false))
        .then_expect_events(vec![enabled.into()]);
    given().when(said(true, false)).then_expect_events(vec![]);
}

#[test]
fn an_identity_provider_closes_no_owners_account() {
    given()
        .when(said(false, true))
        .then_expect_error(UserError::OwnerDisabled);
    given()
        .when(UserCommand::DeprovisionUser { is_owner: true })
        .then_expect_error(UserError::OwnerDisabled);
}

#[test]
fn a_deleted_user_is_closed_and_gone_for_the_identity_provider() {
    let gone: UserEvent = UserDeprovisioned {
        user: UserId::default(),
        person: PersonId::default(),
    }
    .into();
    let command = UserCommand::DeprovisionUser { is_owner: false };
    let events = given().when(command.clone()).inspect_result().unwrap();
    assert!(matches!(events.as_slice(), [UserEvent::UserDisabled(_), last] if *last == gone));
    given()
        .and(vec![disabled()])
        .when(command)
        .then_expect_events(vec![gone]);
}

#[test]
fn a_profile_of_more_than_16_kib_is_refused() {
    let mut attributes = serde_json::Map::new();
    attributes.insert("title".into(), "x".repeat(PROFILE_MAX).into());
    let profile = Box::new(Profile {
        user_name: "dana".into(),
        attributes,
        ..Profile::default()
    });
    let UserCommand::ProvisionUser { user, person, .. } = said(true, false) else {
        unreachable!()
    };
    let command = UserCommand::ProvisionUser {
        user,
        person,
        account: None,
        profile: Some(profile),
        active: true,
        is_owner: false,
    };
    given()
        .when(command)
        .then_expect_error(UserError::ProfileTooLong { limit: PROFILE_MAX });
}

fn passkey(n: u128) -> PasskeyId {
    PasskeyId::from_uuid(uuid::Uuid::from_u128(n))
}

fn registered(n: u128) -> UserEvent {
    PasskeyRegistered {
        user: UserId::default(),
        person: PersonId::default(),
        passkey: passkey(n),
        name: "Blue key".to_owned().into(),
    }
    .into()
}

#[test]
fn a_passkey_has_a_name_and_there_are_ten_at_most() {
    given()
        .when(UserCommand::RegisterPasskey {
            passkey: passkey(1),
            name: " Blue key ".into(),
        })
        .then_expect_events(vec![registered(1)]);
    let another = |name: &str| UserCommand::RegisterPasskey {
        passkey: passkey(99),
        name: name.into(),
    };
    given().when(another("  ")).then_expect_error(UserError::Text {
        field: "name",
        error: crate::text::TextError::Empty,
    });
    given()
        .and((0..10).map(registered).collect())
        .when(another("One more"))
        .then_expect_error(UserError::TooManyPasskeys { limit: 10 });
}

#[test]
fn a_removed_passkey_tells_how_many_are_left() {
    let removed = |n, left| -> UserEvent {
        PasskeyRemoved {
            user: UserId::default(),
            person: PersonId::default(),
            passkey: passkey(n),
            cause: "own".to_owned(),
            left,
        }
        .into()
    };
    let remove = |n| UserCommand::RemovePasskey {
        passkey: passkey(n),
        cause: "own".into(),
    };
    let two = || vec![registered(1), registered(2)];
    given()
        .and(two())
        .when(remove(2))
        .then_expect_events(vec![removed(2, 1)]);
    given()
        .and(two())
        .when(remove(3))
        .then_expect_error(UserError::NoSuchPasskey);
    let all = UserCommand::RemovePasskeys { cause: "own".into() };
    given()
        .and(two())
        .when(all.clone())
        .then_expect_events(vec![removed(1, 1), removed(2, 0)]);
    given().when(all).then_expect_events(Vec::new());
}

#[test]
fn a_disabled_user_comes_back_without_passkeys() {
    let mut user = User::default();
    for event in [registered(1), disabled()] {
        cqrs_es::Aggregate::apply(&mut user, event);
    }
    assert!(!user.has_passkey(passkey(1)) && !user.has_passkeys());
}

#[test]
fn a_passkey_is_flagged_once() {
    let flag = UserCommand::FlagPasskey { passkey: passkey(1) };
    let flagged: UserEvent = PasskeyFlagged {
        user: UserId::default(),
        person: PersonId::default(),
        passkey: passkey(1),
    }
    .into();
    given()
        .and(vec![registered(1)])
        .when(flag.clone())
        .then_expect_events(vec![flagged.clone()]);
    given()
        .and(vec![registered(1), flagged])
        .when(flag)
        .then_expect_events(Vec::new());
}
