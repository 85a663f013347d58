//! given/when/then.

use cqrs_es::test::TestFramework;
use formats::{ScimTokenId, Timestamp};
use uuid::Uuid;

use super::*;
use crate::Role;

fn token(n: u128) -> ScimTokenId {
    ScimTokenId::from_uuid(Uuid::from_u128(n))
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_767_225_600_000 + seconds * 1000)
}

fn issued(n: u128, expires_at: Option<Timestamp>) -> ScimEvent {
    ScimTokenIssued {
        token: token(n),
        label: "Directory".into(),
        role: Role::Admin,
        expires_at,
    }
    .into()
}

fn issue(n: u128, now: Timestamp, expires_at: Option<Timestamp>) -> ScimCommand {
    ScimCommand::IssueScimToken {
        at: now,
        token: token(n),
        label: "Directory".into(),
        role: Role::Admin,
        expires_at,
    }
}

#[test]
fn two_tokens_are_live_at_once_and_a_third_waits_until_one_is_over() {
    let given = || TestFramework::<Scim>::with(()).given(vec![issued(1, None), issued(2, Some(at(60)))]);
    given()
        .when(issue(3, at(59), None))
        .then_expect_error(ScimError::TooManyTokens { limit: 2 });
    given()
        .when(issue(3, at(60), None))
        .then_expect_events(vec![issued(3, None)]);
}

#[test]
fn a_rotation_leaves_the_old_token_good_for_the_overlap_and_never_longer_than_it_was() {
    for (old_end, until) in [(None, at(100)), (Some(at(50)), at(50))] {
        TestFramework::<Scim>::with(())
            .given(vec![issued(1, old_end)])
            .when(ScimCommand::RotateScimToken {
                at: at(0),
                old: token(1),
                token: token(2),
                role: Role::Admin,
                until: at(100),
                expires_at: None,
            })
            .then_expect_events(vec![
                issued(2, None),
                ScimTokenReplaced {
                    token: token(1),
                    by: token(2),
                    until,
                }
                .into(),
            ]);
    }
}

#[test]
fn a_token_that_is_over_or_revoked_opens_nothing() {
    let mut door = Scim::default();
    for event in [issued(1, Some(at(10))), issued(2, None)] {
        cqrs_es::Aggregate::apply(&mut door, event);
    }
    assert!(door.token(token(1), at(9)).is_some());
    assert!(door.token(token(1), at(10)).is_none());
    cqrs_es::Aggregate::apply(&mut door, ScimTokenRevoked { token: token(2) }.into());
    assert!(door.token(token(2), at(0)).is_none());
}

#[test]
fn an_end_in_the_past_and_an_attribute_that_names_no_account_are_refused() {
    TestFramework::<Scim>::with(())
        .given_no_previous_events()
        .when(issue(1, at(5), Some(at(5))))
        .then_expect_error(ScimError::ExpiryInThePast);
    TestFramework::<Scim>::with(())
        .given_no_previous_events()
        .when(ScimCommand::ChangeAccountAttribute {
            attribute: Some("password".into()),
        })
        .then_expect_error(ScimError::UnknownAttribute);
}
