//! What can be asked of a deployment group.

use formats::{DeploymentGroupId, EndpointId, RegistrationTokenId, Timestamp};

/// The commands, by their names in the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeploymentGroupCommand {
    /// Make the group.
    CreateDeploymentGroup { group: DeploymentGroupId, name: String },
    /// Give it another name.
    RenameDeploymentGroup { name: String },
    /// Note a new token.
    IssueRegistrationToken {
        at: Timestamp,
        token: RegistrationTokenId,
        expires_at: Option<Timestamp>,
        max_uses: Option<u32>,
    },
    /// Count a registration.
    UseRegistrationToken {
        at: Timestamp,
        token: RegistrationTokenId,
        endpoint: EndpointId,
    },
    /// Let another token take one's place, with the limits that it has left. The old one is dead.
    RotateRegistrationToken {
        at: Timestamp,
        old: RegistrationTokenId,
        token: RegistrationTokenId,
    },
    /// Kill a token.
    RevokeRegistrationToken { token: RegistrationTokenId },
    /// Let a held snapshot out.
    ConfirmSnapshot { version: u64 },
    /// Remove the group, unless endpoints are in it.
    DeleteDeploymentGroup { endpoints: u64 },
}
