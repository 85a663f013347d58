//! given/when/then.

use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use formats::CollectionId;
use policy_engine::{CollectionKind, Control, PolicyDocument, PolicyStatus, PolicyType};

use super::*;
use crate::{Coded, Noun, policy::SaveFacts};

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
            policies: vec![],
            facts: SaveFacts::default(),
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
            policies: vec![],
            facts: SaveFacts::default(),
        })
        .then_expect_events(vec![]);
}

/// A collection of applications, the facts that know it, and a policy that uses it.
fn installers(control: Control) -> (Collection, SaveFacts, PolicyDocument) {
    let created = CollectionCreated {
        collection: CollectionId::default(),
        kind: CollectionKind::Applications,
        name: "installers".into(),
        members: vec!["path:C:\\Tools\\*".into()],
    };
    let mut state = Collection::default();
    cqrs_es::Aggregate::apply(&mut state, created.into());
    let known = policy_engine::Collection {
        kind: CollectionKind::Applications,
        members: vec!["path:C:\\Tools\\*".into()],
    };
    let names = ["installers".to_owned(), CollectionId::default().to_string()];
    let facts = SaveFacts {
        collections: names.map(|name| (name, known.clone())).into(),
        is_owner: true,
    };
    let mut document = PolicyDocument::new("No installers", PolicyType::PrivilegeElevation, PolicyStatus::Enforce);
    document.controls = vec![control];
    document.users = vec!["*".into()];
    document.machines = vec!["*".into()];
    document.applications = vec!["collection:installers".into()];
    (state, facts, document)
}

fn to_hold(member: &str, document: &PolicyDocument, facts: &SaveFacts) -> CollectionCommand {
    CollectionCommand::ChangeCollection {
        name: None,
        members: Some(vec![member.into()]),
        named_by: vec![],
        policies: vec![document.clone()],
        facts: facts.clone(),
    }
}

#[test]
fn members_that_would_make_a_policy_unfit_are_refused_with_its_name() {
    let (state, facts, mut document) = installers(Control::Deny);
    let protected = "path:C:\\Windows\\System32\\lsass.exe";
    let error = state.clone().decide(to_hold(protected, &document, &facts)).unwrap_err();
    assert_eq!(
        (error.code(), error.field().as_deref()),
        ("POLICY_REFUSED", Some("members"))
    );
    let said = error.to_string();
    assert!(
        said.contains("No installers") && said.contains("confirmProtected"),
        "{said}"
    );
    assert!(state.decide(to_hold("path:C:\\Other\\*", &document, &facts)).is_ok());
    document.confirm_protected = true;
    assert!(state.decide(to_hold(protected, &document, &facts)).is_ok());

    // By its id it is the same collection.
    document.confirm_protected = false;
    document.applications = vec![format!("collection:{}", CollectionId::default())];
    assert!(state.decide(to_hold(protected, &document, &facts)).is_err());

    // Something else that was wrong before keeps nobody from changing the list.
    document.controls = vec![Control::Mfa];
    document.risk_level = 1_000;
    assert!(state.decide(to_hold(protected, &document, &facts)).is_ok());
}

#[test]
fn an_exception_is_not_widened_through_its_collection_by_anybody_but_an_owner() {
    let (state, mut facts, mut document) = installers(Control::Allow);
    document.exception = true;
    let everything = state.decide(to_hold("*", &document, &facts)).unwrap_err();
    assert!(everything.to_string().contains("exception"), "{everything}");
    let more = to_hold("path:C:\\Other\\*", &document, &facts);
    assert!(state.decide(more).is_ok());
    facts.is_owner = false;
    let error = state
        .decide(to_hold("path:C:\\Other\\*", &document, &facts))
        .unwrap_err();
    assert_eq!(error.code(), "FORBIDDEN");
}
