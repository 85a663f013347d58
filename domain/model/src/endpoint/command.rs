//! What can be asked of an endpoint.

use formats::{DeploymentGroupId, EndpointId, RegistrationTokenId, Timestamp};

use super::Machine;

/// The commands, by their names in the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointCommand {
    /// Make the endpoint of an agent that showed a good token.
    RegisterEndpoint {
        endpoint: EndpointId,
        group: DeploymentGroupId,
        token: RegistrationTokenId,
        machine: Machine,
        public_key: String,
        replaces: Option<EndpointId>,
    },
    /// Put it into another group.
    MoveEndpoint { group: DeploymentGroupId },
    /// Note what its agent enforces. The version is one that was offered to its group.
    ApplySnapshot {
        epoch: u32,
        version: u64,
        applied_at: Timestamp,
        offered: u64,
    },
    /// Shut its agent out.
    RemoveEndpoint { reason: String },
}
