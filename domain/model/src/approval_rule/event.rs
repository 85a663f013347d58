//! What can happen to the tenant's approval rules.

use formats::ApprovalRuleId;
use policy_engine::ActionType;
use serde::{Deserialize, Serialize};

use crate::{
    aggregate::{EventData, events},
    request::{Approver, Windows},
};

/// A rule: what it matches and whom it asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RuleDefinition {
    /// 1 to 200 characters, unique among the rules.
    pub name: String,
    /// The action types it matches; empty matches all.
    #[serde(default)]
    pub types: Vec<ActionType>,
    /// Names or ids of collections: of users, machines or applications. Those of one kind are OR, kinds are AND.
    #[serde(default)]
    pub collections: Vec<String>,
    /// The least risk it matches, 0 to 100.
    #[serde(default)]
    pub risk_from: u32,
    /// The highest risk it matches, 0 to 100.
    #[serde(default = "hundred")]
    pub risk_to: u32,
    /// Who is asked first.
    pub primary: Vec<Approver>,
    /// Who is asked too once the first window ends.
    #[serde(default)]
    pub secondary: Vec<Approver>,
    /// How many distinct approvers have to agree, 1 to 10.
    #[serde(default = "one")]
    pub quorum: u32,
    /// The windows and uses of its requests.
    #[serde(default)]
    pub windows: Windows,
    /// People may decide their own requests that this rule routes; each such decision is marked.
    #[serde(default)]
    pub self_approval: bool,
}

const fn one() -> u32 {
    1
}

const fn hundred() -> u32 {
    100
}

events! {
    /// What can happen to the tenant's approval rules.
    ApprovalRulesEvent {
        /// A rule was added at the end of the list.
        ApprovalRuleCreated {
            rule: ApprovalRuleId,
            definition: Box<RuleDefinition>,
        }
        /// A rule says something else.
        ApprovalRuleChanged {
            rule: ApprovalRuleId,
            definition: Box<RuleDefinition>,
        }
        /// A rule is gone.
        ApprovalRuleDeleted {
            rule: ApprovalRuleId,
        }
        /// The rules are asked in this order now.
        ApprovalRulesReordered {
            order: Vec<ApprovalRuleId>,
        }
    }
}

impl EventData for ApprovalRulesEvent {}
