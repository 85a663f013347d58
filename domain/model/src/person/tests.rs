//! given/when/then.

use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use formats::{EndpointId, PersonId, UserId};
use uuid::Uuid;

use super::*;

fn seen() -> PersonEvent {
    EndpointAccountSeen {
        person: PersonId::default(),
        account: "CORP\\dana".to_owned().into(),
        endpoint: EndpointId::default(),
    }
    .into()
}

fn user(n: u128) -> UserId {
    UserId::from_uuid(Uuid::from_u128(n))
}

fn link(n: u128) -> PersonCommand {
    PersonCommand::LinkEndpointAccount {
        user: user(n),
        user_person: PersonId::default(),
        by: "admin".into(),
    }
}

fn linked(n: u128) -> PersonEvent {
    EndpointAccountLinked {
        person: PersonId::default(),
        user: user(n),
        user_person: PersonId::default(),
        by: "admin".into(),
    }
    .into()
}

fn given(events: Vec<PersonEvent>) -> AggregateTestExecutor<Person> {
    TestFramework::with(()).given([vec![seen()], events].concat())
}

#[test]
fn an_account_has_at_most_one_user() {
    given(vec![]).when(link(1)).then_expect_events(vec![linked(1)]);
    given(vec![linked(1)]).when(link(1)).then_expect_events(vec![]);
    given(vec![linked(1)])
        .when(link(2))
        .then_expect_error(PersonError::AlreadyLinked { user: user(1) });
}

#[test]
fn what_is_linked_to_nobody_is_not_unlinked() {
    given(vec![])
        .when(PersonCommand::UnlinkEndpointAccount)
        .then_expect_error(PersonError::NotLinked);
}

#[test]
fn an_erased_person_is_not_linked_any_more() {
    given(vec![
        PersonErased {
            person: PersonId::default(),
        }
        .into(),
    ])
    .when(link(1))
    .then_expect_error(PersonError::Erased);
}
