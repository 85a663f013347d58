//! given/when/then: revisions, rollout, exceptions.

use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use formats::{DeploymentGroupId, PolicyId};
use policy_engine::{Control, PolicyDocument, PolicyStatus, PolicyType};

use super::*;
use crate::{Coded, Noun};

fn document(name: &str) -> PolicyDocument {
    let mut document = PolicyDocument::new(name, PolicyType::PrivilegeElevation, PolicyStatus::Enforce);
    document.controls = vec![Control::Approval];
    document.users = vec!["*".into()];
    document.machines = vec!["*".into()];
    document.applications = vec!["path:C:\\Tools\\*".into()];
    document
}

fn created() -> PolicyEvent {
    PolicyCreated {
        policy: PolicyId::default(),
        document: Box::new(document("Tools")),
        reason: String::new(),
        copied_from: None,
    }
    .into()
}

fn revised(revision: u32, name: &str) -> PolicyEvent {
    PolicyRevised {
        policy: PolicyId::default(),
        revision,
        document: Box::new(document(name)),
        reason: String::new(),
    }
    .into()
}

fn given(events: Vec<PolicyEvent>) -> AggregateTestExecutor<Policy> {
    TestFramework::with(()).given([vec![created()], events].concat())
}

fn revise(name: &str, expected: Option<u32>) -> PolicyCommand {
    PolicyCommand::RevisePolicy {
        document: Box::new(document(name)),
        reason: String::new(),
        expected,
        facts: SaveFacts::default(),
    }
}

#[test]
fn each_change_is_the_next_revision() {
    given(vec![])
        .when(revise("A", Some(1)))
        .then_expect_events(vec![revised(2, "A")]);
    given(vec![revised(2, "A")])
        .when(revise("B", Some(2)))
        .then_expect_events(vec![revised(3, "B")]);
    given(vec![]).when(revise("Tools", Some(1))).then_expect_events(vec![]);
}

#[test]
fn a_stale_revision_is_refused() {
    given(vec![revised(2, "A")])
        .when(revise("B", Some(1)))
        .then_expect_error(PolicyError::StaleRevision {
            current: 2,
            expected: 1,
        });
}

#[test]
fn a_rollback_is_a_new_revision_with_the_old_text() {
    let facts = SaveFacts::default();
    given(vec![revised(2, "A")])
        .when(PolicyCommand::RollbackPolicy {
            to: 1,
            reason: "worse".into(),
            expected: Some(2),
            facts,
        })
        .then_expect_events(vec![
            PolicyRolledBack {
                policy: PolicyId::default(),
                revision: 3,
                to: 1,
                document: Box::new(document("Tools")),
                reason: "worse".into(),
            }
            .into(),
        ]);
}

#[test]
fn a_refused_document_names_every_field() {
    let mut bad = document("Tools");
    bad.controls = vec![Control::Allow, Control::Mfa];
    bad.users = vec![];
    let command = PolicyCommand::RevisePolicy {
        document: Box::new(bad),
        reason: String::new(),
        expected: None,
        facts: SaveFacts::default(),
    };
    let mut policy = Policy::default();
    cqrs_es::Aggregate::apply(&mut policy, created());
    let Err(PolicyError::Refused { problems }) = policy.decide(command) else {
        panic!("not refused")
    };
    let fields: Vec<_> = problems.iter().map(|p| p.field.as_str()).collect();
    assert!(fields.contains(&"controls") && fields.contains(&"users"), "{fields:?}");
}

#[test]
fn only_an_owner_saves_an_exception() {
    let mut exception = document("Emergency");
    exception.controls = vec![Control::Allow];
    exception.exception = true;
    let create = |is_owner| PolicyCommand::CreatePolicy {
        policy: PolicyId::default(),
        document: Box::new(exception.clone()),
        reason: String::new(),
        copied_from: None,
        facts: SaveFacts {
            is_owner,
            ..SaveFacts::default()
        },
    };
    let error = Policy::default().decide(create(false)).unwrap_err();
    assert_eq!(
        (error.code(), error.field().as_deref()),
        ("FORBIDDEN", Some("exception"))
    );
    assert!(Policy::default().decide(create(true)).is_ok());
}

#[test]
fn a_staged_revision_is_promoted_or_withdrawn_before_anything_else() {
    let staged = PolicyRevisionStaged {
        policy: PolicyId::default(),
        revision: 2,
        document: Box::new(document("A")),
        groups: vec![DeploymentGroupId::default()],
        reason: String::new(),
    };
    given(vec![staged.clone().into()])
        .when(revise("B", None))
        .then_expect_error(PolicyError::Staged { revision: 2 });
    let promoted = PolicyRevisionPromoted {
        policy: PolicyId::default(),
        revision: 2,
        document: Box::new(document("A")),
    };
    given(vec![staged.clone().into()])
        .when(PolicyCommand::PromotePolicyRevision {
            facts: SaveFacts::default(),
        })
        .then_expect_events(vec![promoted.into()]);
    // A withdrawn revision keeps its number: the next one is the third.
    let withdrawn = PolicyRevisionWithdrawn {
        policy: PolicyId::default(),
        revision: 2,
        reason: String::new(),
    };
    given(vec![staged.into(), withdrawn.into()])
        .when(revise("B", Some(1)))
        .then_expect_events(vec![revised(3, "B")]);
}

#[test]
fn a_deleted_policy_does_not_exist() {
    let deleted = PolicyDeleted {
        policy: PolicyId::default(),
        reason: String::new(),
    };
    given(vec![deleted.into()])
        .when(revise("B", None))
        .then_expect_error(PolicyError::NotFound);
}
