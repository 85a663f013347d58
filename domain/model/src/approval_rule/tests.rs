//! given/when/then: what a rule may say, and the order.

use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use formats::{ApprovalRuleId, UserId};
use uuid::Uuid;

use super::*;
use crate::{Coded, Noun, request::Approver};

fn id(n: u128) -> ApprovalRuleId {
    ApprovalRuleId::from_uuid(Uuid::from_u128(n))
}

fn approver() -> Approver {
    Approver::User(UserId::from_uuid(Uuid::from_u128(7)))
}

fn definition(name: &str) -> RuleDefinition {
    serde_json::from_value(serde_json::json!({ "name": name, "primary": [approver()] })).unwrap()
}

fn facts() -> RuleFacts {
    RuleFacts {
        collections: ["pilots".to_owned()].into(),
        approvers: [approver()].into(),
    }
}

fn created(n: u128, name: &str) -> ApprovalRulesEvent {
    ApprovalRuleCreated {
        rule: id(n),
        definition: Box::new(definition(name)),
    }
    .into()
}

fn given(events: Vec<ApprovalRulesEvent>) -> AggregateTestExecutor<ApprovalRules> {
    TestFramework::with(()).given(events)
}

#[test]
fn what_a_rule_says_wrongly_is_named_by_its_field() {
    type Change = fn(&mut RuleDefinition);
    let wrong: [(&str, Change); 8] = [
        ("name", |r| r.name = String::new()),
        ("primary", |r| r.primary.clear()),
        ("primary[0]", |r| r.primary = vec![Approver::User(UserId::default())]),
        ("collections[0]", |r| r.collections = vec!["gone".into()]),
        ("quorum", |r| r.quorum = 0),
        ("riskTo", |r| r.risk_to = 101),
        ("riskFrom", |r| (r.risk_from, r.risk_to) = (60, 50)),
        ("windows.pendingMinutes", |r| r.windows.pending_minutes = 0),
    ];
    for (field, change) in wrong {
        let mut definition = definition("High risk");
        change(&mut definition);
        let command = ApprovalRulesCommand::CreateApprovalRule {
            rule: id(1),
            definition: Box::new(definition),
            facts: facts(),
        };
        let error = ApprovalRules::default().decide(command).unwrap_err();
        assert_eq!(error.field().as_deref(), Some(field), "{error}");
    }
}

#[test]
fn two_rules_have_two_names() {
    given(vec![created(1, "High risk")])
        .when(ApprovalRulesCommand::CreateApprovalRule {
            rule: id(2),
            definition: Box::new(definition("HIGH RISK")),
            facts: facts(),
        })
        .then_expect_error(ApprovalRulesError::NameTaken {
            name: "HIGH RISK".into(),
        });
}

#[test]
fn an_order_names_every_rule_once() {
    let both = vec![created(1, "A"), created(2, "B")];
    for order in [vec![id(1)], vec![id(1), id(1)], vec![id(1), id(2), id(3)]] {
        given(both.clone())
            .when(ApprovalRulesCommand::ReorderApprovalRules { order })
            .then_expect_error(ApprovalRulesError::Order);
    }
    let mut rules = ApprovalRules::default();
    for event in [
        both,
        vec![
            ApprovalRulesReordered {
                order: vec![id(2), id(1)],
            }
            .into(),
        ],
    ]
    .concat()
    {
        cqrs_es::Aggregate::apply(&mut rules, event);
    }
    assert_eq!(
        rules.rules().iter().map(|(id, _)| *id).collect::<Vec<_>>(),
        [id(2), id(1)]
    );
}
