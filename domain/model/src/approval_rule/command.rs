//! What can be asked of the tenant's approval rules.

use std::collections::BTreeSet;

use formats::ApprovalRuleId;

use super::RuleDefinition;
use crate::request::Approver;

/// What was looked up before a rule is saved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleFacts {
    /// Names and ids of the tenant's collections.
    pub collections: BTreeSet<String>,
    /// The users and teams that exist.
    pub approvers: BTreeSet<Approver>,
}

/// The commands, by their names in the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApprovalRulesCommand {
    /// Add a rule at the end.
    CreateApprovalRule {
        rule: ApprovalRuleId,
        definition: Box<RuleDefinition>,
        facts: RuleFacts,
    },
    /// Change a rule.
    ChangeApprovalRule {
        rule: ApprovalRuleId,
        definition: Box<RuleDefinition>,
        facts: RuleFacts,
    },
    /// Remove a rule.
    DeleteApprovalRule { rule: ApprovalRuleId },
    /// Ask the rules in another order. All rules are named, once each.
    ReorderApprovalRules { order: Vec<ApprovalRuleId> },
}
