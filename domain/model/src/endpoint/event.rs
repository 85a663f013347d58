//! What can happen to an endpoint.

use formats::{DeploymentGroupId, EndpointId, RegistrationTokenId, Timestamp};
use policy_engine::Os;
use serde::{Deserialize, Serialize};

use crate::aggregate::{EventData, events};

/// The machine as its agent describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Machine {
    /// The host name, 1 to 200 characters.
    pub name: String,
    /// The operating system family.
    pub os: Os,
    /// The operating system's version.
    pub os_version: String,
    /// What stays the same when the machine is renamed.
    pub machine_id: String,
}

events! {
    /// What can happen to an endpoint.
    EndpointEvent {
        /// An agent registered. It inherits nothing of an endpoint that was known under the same machine id.
        EndpointRegistered {
            endpoint: EndpointId,
            group: DeploymentGroupId,
            token: RegistrationTokenId,
            machine: Machine,
            /// The agent's Ed25519 public key, base64url.
            public_key: String,
            /// The endpoint that had this machine id before: flagged.
            replaces: Option<EndpointId>,
        }
        /// It belongs to another group.
        EndpointMoved {
            endpoint: EndpointId,
            group: DeploymentGroupId,
        }
        /// Its agent enforces this snapshot.
        SnapshotApplied {
            endpoint: EndpointId,
            epoch: u32,
            version: u64,
            applied_at: Timestamp,
        }
        /// Its agent is shut out: requests are cancelled, grants revoked.
        EndpointRemoved {
            endpoint: EndpointId,
            reason: String,
        }
    }
}

impl EventData for EndpointEvent {
    fn occurred_at(&self) -> Option<Timestamp> {
        match self {
            Self::SnapshotApplied(e) => Some(e.applied_at),
            Self::EndpointRegistered(_) | Self::EndpointMoved(_) | Self::EndpointRemoved(_) => None,
        }
    }
}
