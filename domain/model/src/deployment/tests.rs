//! given/when/then: the limits of registration tokens.

use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use formats::{DeploymentGroupId, EndpointId, RegistrationTokenId, Timestamp};
use uuid::Uuid;

use super::*;

fn group() -> DeploymentGroupId {
    DeploymentGroupId::from_uuid(Uuid::from_u128(1))
}

fn token() -> RegistrationTokenId {
    RegistrationTokenId::from_uuid(Uuid::from_u128(2))
}

fn endpoint() -> EndpointId {
    EndpointId::from_uuid(Uuid::from_u128(3))
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn given(expires_at: Option<i64>, max_uses: Option<u32>, used: u32) -> AggregateTestExecutor<DeploymentGroup> {
    let mut events = vec![
        DeploymentGroupCreated {
            group: group(),
            name: "Pilots".into(),
        }
        .into(),
        RegistrationTokenIssued {
            group: group(),
            token: token(),
            expires_at: expires_at.map(at),
            max_uses,
        }
        .into(),
    ];
    events.extend((1..=used).map(used_once));
    TestFramework::with(()).given(events)
}

fn used_once(number: u32) -> DeploymentGroupEvent {
    RegistrationTokenUsed {
        group: group(),
        token: token(),
        endpoint: endpoint(),
        number,
    }
    .into()
}

fn register(millis: i64) -> DeploymentGroupCommand {
    DeploymentGroupCommand::UseRegistrationToken {
        at: at(millis),
        token: token(),
        endpoint: endpoint(),
    }
}

#[test]
fn a_token_works_until_its_uses_are_made() {
    given(None, Some(2), 1)
        .when(register(1))
        .then_expect_events(vec![used_once(2)]);
    given(None, Some(2), 2)
        .when(register(1))
        .then_expect_error(DeploymentGroupError::TokenInvalid);
}

#[test]
fn a_token_works_strictly_before_its_end() {
    given(Some(1_000), None, 0)
        .when(register(999))
        .then_expect_events(vec![used_once(1)]);
    given(Some(1_000), None, 0)
        .when(register(1_000))
        .then_expect_error(DeploymentGroupError::TokenInvalid);
}

#[test]
fn a_revoked_token_and_an_unknown_one_are_one_answer() {
    given(None, None, 0)
        .and(vec![
            RegistrationTokenRevoked {
                group: group(),
                token: token(),
            }
            .into(),
        ])
        .when(register(1))
        .then_expect_error(DeploymentGroupError::TokenInvalid);
}

#[test]
fn a_group_with_endpoints_is_not_deleted() {
    given(None, None, 0)
        .when(DeploymentGroupCommand::DeleteDeploymentGroup { endpoints: 3 })
        .then_expect_error(DeploymentGroupError::InUse { endpoints: 3 });
}

#[test]
fn a_rotated_token_is_dead_and_the_new_one_has_the_limits_that_were_left() {
    let new = RegistrationTokenId::from_uuid(Uuid::from_u128(9));
    let rotate = |millis| DeploymentGroupCommand::RotateRegistrationToken {
        at: at(millis),
        old: token(),
        token: new,
    };
    let revoked = RegistrationTokenRevoked {
        group: group(),
        token: token(),
    };
    let issued = RegistrationTokenIssued {
        group: group(),
        token: new,
        expires_at: Some(at(1_000)),
        max_uses: Some(3),
    };
    given(Some(1_000), Some(5), 2)
        .when(rotate(999))
        .then_expect_events(vec![revoked.into(), issued.into()]);
    // One that is over or used up is not brought back.
    for over in [given(Some(1_000), None, 0), given(None, Some(2), 2)] {
        over.when(rotate(1_000))
            .then_expect_error(DeploymentGroupError::TokenNotFound);
    }
}
