//! What can be asked of a tenant's SCIM door.

use formats::{ScimTokenId, Timestamp};

use crate::Role;

/// The commands, by their names in the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScimCommand {
    /// Note a new token.
    IssueScimToken {
        at: Timestamp,
        token: ScimTokenId,
        label: String,
        role: Role,
        expires_at: Option<Timestamp>,
    },
    /// Note a new token in the place of another one, which stays good until the overlap ends.
    RotateScimToken {
        at: Timestamp,
        old: ScimTokenId,
        token: ScimTokenId,
        role: Role,
        until: Timestamp,
        expires_at: Option<Timestamp>,
    },
    /// Kill a token.
    RevokeScimToken { token: ScimTokenId },
    /// Say which attribute names a user's account on endpoints.
    ChangeAccountAttribute { attribute: Option<String> },
}
