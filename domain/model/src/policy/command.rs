//! What can be asked of a policy.

use std::collections::BTreeMap;

use formats::{DeploymentGroupId, PolicyId};
use policy_engine::{Collection, PolicyDocument, PolicyStatus};

/// What was looked up before a document is saved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SaveFacts {
    /// The tenant's collections, by name and by id.
    pub collections: BTreeMap<String, Collection>,
    /// The author has the role owner, which saving an exception needs.
    pub is_owner: bool,
}

/// The commands, by their names in the field. `expected` is the revision the author looked at.
#[derive(Debug, Clone, PartialEq)]
pub enum PolicyCommand {
    /// Make the policy.
    CreatePolicy {
        policy: PolicyId,
        document: Box<PolicyDocument>,
        reason: String,
        copied_from: Option<PolicyId>,
        facts: SaveFacts,
    },
    /// Change what it says.
    RevisePolicy {
        document: Box<PolicyDocument>,
        reason: String,
        expected: Option<u32>,
        facts: SaveFacts,
    },
    /// Change how far it reaches.
    SetPolicyStatus {
        status: PolicyStatus,
        reason: String,
        expected: Option<u32>,
        facts: SaveFacts,
    },
    /// Say again what an earlier revision said.
    RollbackPolicy {
        to: u32,
        reason: String,
        expected: Option<u32>,
        facts: SaveFacts,
    },
    /// Give a revision to some groups first.
    StagePolicyRevision {
        document: Box<PolicyDocument>,
        groups: Vec<DeploymentGroupId>,
        reason: String,
        expected: Option<u32>,
        facts: SaveFacts,
    },
    /// Make the staged revision live everywhere.
    PromotePolicyRevision { facts: SaveFacts },
    /// Take the staged revision back.
    WithdrawPolicyRevision { reason: String },
    /// Remove the policy.
    DeletePolicy { reason: String },
}
