//! given/when/then.

use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use formats::CollectionId;
use policy_engine::CollectionKind;

use super::*;
use crate::{Coded, Noun};

fn given() -> AggregateTestExecutor<Collection> {
    let created = CollectionCreated {
        collection: CollectionId::default(),
        kind: CollectionKind::Machines,
        name: "pilots".into(),
        members: vec!["machine:WS-0*".into()],
    };
    TestFramework::with(()).given(vec![created.into()])
}

#[test]
fn a_member_of_another_kind_is_refused_by_its_field() {
    let command = CollectionCommand::CreateCollection {
        collection: CollectionId::default(),
        kind: CollectionKind::Machines,
        name: "pilots".into(),
        members: vec!["machine:WS-0*".into(), "path:C:\\*".into()],
    };
    let error = Collection::default().decide(command).unwrap_err();
    assert!(
        error.field().is_some_and(|field| field.contains("members[1]")),
        "{error:?}"
    );
}

#[test]
fn a_collection_in_use_is_not_deleted_and_keeps_the_name_it_is_used_by() {
    let used_by = vec!["Installers".to_owned()];
    given()
        .when(CollectionCommand::DeleteCollection {
            used_by: used_by.clone(),
        })
        .then_expect_error(CollectionError::InUse {
            used_by: used_by.clone(),
        });
    given()
        .when(CollectionCommand::ChangeCollection {
            name: Some("ring 1".into()),
            members: None,
            named_by: used_by.clone(),
        })
        .then_expect_error(CollectionError::InUse { used_by });
}

#[test]
fn a_change_that_changes_nothing_is_no_event() {
    given()
        .when(CollectionCommand::ChangeCollection {
            name: Some("pilots".into()),
            members: None,
            named_by: vec![],
        })
        .then_expect_events(vec![]);
}
