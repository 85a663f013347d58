//! What can happen to a deployment group.

use formats::{DeploymentGroupId, EndpointId, RegistrationTokenId, Timestamp};

use crate::aggregate::{ClaimChange, EventData, events};

/// The space in which a deployment group holds its name.
pub const GROUP_NAME: &str = "deployment_group.name";

events! {
    /// What can happen to a deployment group.
    DeploymentGroupEvent {
        /// The group exists.
        DeploymentGroupCreated {
            group: DeploymentGroupId,
            name: String,
        }
        /// It has another name.
        DeploymentGroupRenamed {
            group: DeploymentGroupId,
            name: String,
        }
        /// A token was shown once.
        RegistrationTokenIssued {
            group: DeploymentGroupId,
            token: RegistrationTokenId,
            expires_at: Option<Timestamp>,
            /// How many endpoints may register with it; none is unlimited.
            max_uses: Option<u32>,
        }
        /// An endpoint registered with it.
        RegistrationTokenUsed {
            group: DeploymentGroupId,
            token: RegistrationTokenId,
            endpoint: EndpointId,
            /// The number of this use, from 1.
            number: u32,
        }
        /// The token is dead.
        RegistrationTokenRevoked {
            group: DeploymentGroupId,
            token: RegistrationTokenId,
        }
        /// An administrator let a held snapshot go out although it drops more than half of the policies.
        SnapshotConfirmed {
            group: DeploymentGroupId,
            /// The version that was held and may now be served.
            version: u64,
        }
        /// The group is gone.
        DeploymentGroupDeleted {
            group: DeploymentGroupId,
        }
    }
}

impl EventData for DeploymentGroupEvent {
    fn claims(&self) -> Vec<ClaimChange> {
        let take = |name: &str| ClaimChange::Take {
            space: GROUP_NAME,
            value: name.to_lowercase(),
        };
        match self {
            Self::DeploymentGroupCreated(e) => vec![take(&e.name)],
            Self::DeploymentGroupRenamed(e) => vec![ClaimChange::ReleaseAll { space: GROUP_NAME }, take(&e.name)],
            Self::DeploymentGroupDeleted(_) => vec![ClaimChange::ReleaseAll { space: GROUP_NAME }],
            Self::RegistrationTokenIssued(_)
            | Self::RegistrationTokenUsed(_)
            | Self::RegistrationTokenRevoked(_)
            | Self::SnapshotConfirmed(_) => Vec::new(),
        }
    }
}
