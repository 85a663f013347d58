//! The tenant's ordered approval rules and their decisions.

use std::collections::BTreeSet;

use formats::ApprovalRuleId;
use serde::{Deserialize, Serialize};

use super::{
    ApprovalRuleChanged, ApprovalRuleCreated, ApprovalRuleDeleted, ApprovalRulesCommand, ApprovalRulesError,
    ApprovalRulesEvent, ApprovalRulesReordered, RuleDefinition, RuleFacts,
};
use crate::{Noun, aggregate::aggregate, request::Approver, tenant::check_windows, text};

/// The most rules of a tenant.
pub const APPROVAL_RULES_MAX: usize = 500;
/// The most approvers and the most collections of one rule.
pub const RULE_LIST_MAX: u32 = 200;

/// The tenant's rules, in the order in which they are asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRules {
    rules: Vec<(ApprovalRuleId, RuleDefinition)>,
}

aggregate!(
    ApprovalRules,
    "approval_rules",
    ApprovalRulesCommand,
    ApprovalRulesEvent,
    ApprovalRulesError
);

impl ApprovalRules {
    /// The rules in the order in which they are asked.
    #[must_use]
    pub fn rules(&self) -> &[(ApprovalRuleId, RuleDefinition)] {
        &self.rules
    }

    fn position(&self, rule: ApprovalRuleId) -> Option<usize> {
        self.rules.iter().position(|(id, _)| *id == rule)
    }

    fn fold(&mut self, event: ApprovalRulesEvent) {
        match event {
            ApprovalRulesEvent::ApprovalRuleCreated(e) => self.rules.push((e.rule, *e.definition)),
            ApprovalRulesEvent::ApprovalRuleChanged(e) => {
                if let Some(at) = self.position(e.rule) {
                    self.rules[at].1 = *e.definition;
                }
            }
            ApprovalRulesEvent::ApprovalRuleDeleted(e) => self.rules.retain(|(id, _)| *id != e.rule),
            ApprovalRulesEvent::ApprovalRulesReordered(e) => {
                self.rules.sort_by_key(|(id, _)| e.order.iter().position(|o| o == id));
            }
        }
    }

    fn check(
        &self,
        rule: ApprovalRuleId,
        definition: &mut RuleDefinition,
        facts: &RuleFacts,
    ) -> Result<(), ApprovalRulesError> {
        let range = |field: &str, least, most, value: u32| {
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err(ApprovalRulesError::OutOfRange {
                    field: field.to_owned(),
                    least,
                    most,
                })
            }
        };
        definition.name = text::name(&definition.name).map_err(|error| ApprovalRulesError::Name { error })?;
        let folded = definition.name.to_lowercase();
        if self
            .rules
            .iter()
            .any(|(id, other)| *id != rule && other.name.to_lowercase() == folded)
        {
            return Err(ApprovalRulesError::NameTaken {
                name: definition.name.clone(),
            });
        }
        let length = |list: usize| u32::try_from(list).unwrap_or(u32::MAX);
        range("primary", 1, RULE_LIST_MAX, length(definition.primary.len()))?;
        range("secondary", 0, RULE_LIST_MAX, length(definition.secondary.len()))?;
        range("collections", 0, RULE_LIST_MAX, length(definition.collections.len()))?;
        range("quorum", 1, 10, definition.quorum)?;
        range("riskTo", 0, 100, definition.risk_to)?;
        range("riskFrom", 0, definition.risk_to, definition.risk_from)?;
        check_windows(&definition.windows, "windows").map_err(|(field, most)| ApprovalRulesError::OutOfRange {
            field,
            least: 1,
            most,
        })?;
        for (field, approvers) in [("primary", &definition.primary), ("secondary", &definition.secondary)] {
            for (i, approver) in approvers.iter().enumerate() {
                if !facts.approvers.contains(approver) {
                    let what = match approver {
                        Approver::User(user) => format!("user {user}"),
                        Approver::Team(team) => format!("team {team}"),
                    };
                    return Err(ApprovalRulesError::Unknown {
                        field: format!("{field}[{i}]"),
                        what,
                    });
                }
            }
        }
        for (i, collection) in definition.collections.iter().enumerate() {
            if !facts.collections.contains(collection) {
                let what = format!("collection {collection}");
                return Err(ApprovalRulesError::Unknown {
                    field: format!("collections[{i}]"),
                    what,
                });
            }
        }
        Ok(())
    }
}

impl Noun for ApprovalRules {
    fn decide(&self, command: ApprovalRulesCommand) -> Result<Vec<ApprovalRulesEvent>, ApprovalRulesError> {
        use ApprovalRulesCommand as C;
        Ok(vec![match command {
            C::CreateApprovalRule {
                rule,
                mut definition,
                facts,
            } => {
                if self.position(rule).is_some() {
                    return Err(ApprovalRulesError::AlreadyExists);
                }
                if self.rules.len() >= APPROVAL_RULES_MAX {
                    return Err(ApprovalRulesError::TooMany {
                        limit: APPROVAL_RULES_MAX,
                    });
                }
                self.check(rule, &mut definition, &facts)?;
                ApprovalRuleCreated { rule, definition }.into()
            }
            C::ChangeApprovalRule {
                rule,
                mut definition,
                facts,
            } => {
                let at = self.position(rule).ok_or(ApprovalRulesError::NotFound)?;
                self.check(rule, &mut definition, &facts)?;
                if self.rules[at].1 == *definition {
                    return Ok(Vec::new());
                }
                ApprovalRuleChanged { rule, definition }.into()
            }
            C::DeleteApprovalRule { rule } => {
                self.position(rule).ok_or(ApprovalRulesError::NotFound)?;
                ApprovalRuleDeleted { rule }.into()
            }
            C::ReorderApprovalRules { order } => {
                let wanted: BTreeSet<_> = order.iter().collect();
                let known: BTreeSet<_> = self.rules.iter().map(|(id, _)| id).collect();
                if wanted != known || order.len() != self.rules.len() {
                    return Err(ApprovalRulesError::Order);
                }
                ApprovalRulesReordered { order }.into()
            }
        }])
    }
}
