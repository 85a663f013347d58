//! What can happen to a policy. Each change of what it says is a numbered revision with the whole document.

use formats::{DeploymentGroupId, PolicyId};
use policy_engine::{PolicyDocument, PolicyStatus};

use crate::aggregate::{ClaimChange, EventData, events};

/// The space in which a policy holds its name.
pub const POLICY_NAME: &str = "policy.name";

events! {
    /// What can happen to a policy.
    PolicyEvent {
        /// The policy exists, at revision 1.
        PolicyCreated {
            policy: PolicyId,
            document: Box<PolicyDocument>,
            /// Why, in the author's words; may be empty.
            reason: String,
            /// The policy it was copied from.
            copied_from: Option<PolicyId>,
        }
        /// It says something else.
        PolicyRevised {
            policy: PolicyId,
            revision: u32,
            document: Box<PolicyDocument>,
            reason: String,
        }
        /// It reaches further or less far: a revision that differs in its status alone.
        PolicyStatusSet {
            policy: PolicyId,
            revision: u32,
            status: PolicyStatus,
            document: Box<PolicyDocument>,
            reason: String,
        }
        /// It says again what an earlier revision said, as a new one.
        PolicyRolledBack {
            policy: PolicyId,
            revision: u32,
            /// The revision whose text it has.
            to: u32,
            document: Box<PolicyDocument>,
            reason: String,
        }
        /// A revision goes to some deployment groups first; the others keep the live one.
        PolicyRevisionStaged {
            policy: PolicyId,
            revision: u32,
            document: Box<PolicyDocument>,
            groups: Vec<DeploymentGroupId>,
            reason: String,
        }
        /// The staged revision is now live everywhere.
        PolicyRevisionPromoted {
            policy: PolicyId,
            revision: u32,
            document: Box<PolicyDocument>,
        }
        /// The staged revision is taken back; all groups have the live one.
        PolicyRevisionWithdrawn {
            policy: PolicyId,
            revision: u32,
            reason: String,
        }
        /// The policy is gone; its history stays.
        PolicyDeleted {
            policy: PolicyId,
            reason: String,
        }
    }
}

impl EventData for PolicyEvent {
    fn claims(&self) -> Vec<ClaimChange> {
        let rename = |document: &PolicyDocument| {
            vec![
                ClaimChange::ReleaseAll { space: POLICY_NAME },
                ClaimChange::Take {
                    space: POLICY_NAME,
                    value: document.name.to_lowercase(),
                },
            ]
        };
        match self {
            Self::PolicyCreated(e) => {
                vec![ClaimChange::Take {
                    space: POLICY_NAME,
                    value: e.document.name.to_lowercase(),
                }]
            }
            Self::PolicyRevised(e) => rename(&e.document),
            Self::PolicyRolledBack(e) => rename(&e.document),
            Self::PolicyRevisionPromoted(e) => rename(&e.document),
            Self::PolicyDeleted(_) => vec![ClaimChange::ReleaseAll { space: POLICY_NAME }],
            Self::PolicyStatusSet(_) | Self::PolicyRevisionStaged(_) | Self::PolicyRevisionWithdrawn(_) => Vec::new(),
        }
    }
}
