//! given/when/then.

use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use formats::{DeploymentGroupId, EndpointId, RegistrationTokenId, Timestamp};
use policy_engine::Os;
use uuid::Uuid;

use super::*;
use crate::text::TextError;

fn endpoint() -> EndpointId {
    EndpointId::from_uuid(Uuid::from_u128(1))
}

fn machine(name: &str) -> Machine {
    Machine {
        name: name.into(),
        os: Os::Windows,
        os_version: "11".into(),
        machine_id: "m-1".into(),
    }
}

fn registered() -> EndpointEvent {
    EndpointRegistered {
        endpoint: endpoint(),
        group: DeploymentGroupId::default(),
        token: RegistrationTokenId::default(),
        machine: machine("WS-001"),
        public_key: "key".into(),
        replaces: None,
    }
    .into()
}

fn given() -> AggregateTestExecutor<Endpoint> {
    TestFramework::with(()).given(vec![registered()])
}

fn apply(version: u64) -> EndpointCommand {
    EndpointCommand::ApplySnapshot {
        epoch: 1,
        version,
        applied_at: Timestamp::from_millis(5),
        offered: 10,
    }
}

#[test]
fn a_machine_without_a_name_is_refused_by_its_field() {
    TestFramework::<Endpoint>::with(())
        .given_no_previous_events()
        .when(EndpointCommand::RegisterEndpoint {
            endpoint: endpoint(),
            group: DeploymentGroupId::default(),
            token: RegistrationTokenId::default(),
            machine: machine(" "),
            public_key: "key".into(),
            replaces: None,
        })
        .then_expect_error(EndpointError::Text {
            field: "machine.name",
            error: TextError::Empty,
        });
}

#[test]
fn a_version_that_was_never_offered_is_not_believed() {
    given().when(apply(11)).then_expect_error(EndpointError::NeverOffered {
        version: 11,
        offered: 10,
    });
}

#[test]
fn the_same_snapshot_is_noted_once() {
    let applied = SnapshotApplied {
        endpoint: endpoint(),
        epoch: 1,
        version: 10,
        applied_at: Timestamp::from_millis(5),
    };
    given().when(apply(10)).then_expect_events(vec![applied.clone().into()]);
    given()
        .and(vec![applied.into()])
        .when(apply(10))
        .then_expect_events(vec![]);
}

#[test]
fn a_removed_endpoint_does_nothing_any_more() {
    given()
        .and(vec![
            EndpointRemoved {
                endpoint: endpoint(),
                reason: String::new(),
            }
            .into(),
        ])
        .when(apply(10))
        .then_expect_error(EndpointError::Removed);
}
