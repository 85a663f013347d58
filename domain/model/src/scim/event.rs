//! What can happen to a tenant's SCIM door.

use formats::{ScimTokenId, Timestamp};

use crate::{
    Role,
    aggregate::{EventData, events},
};

events! {
    /// What can happen to a tenant's SCIM door.
    ScimEvent {
        /// A token was shown once.
        ScimTokenIssued {
            token: ScimTokenId,
            /// What people call it, such as the identity provider's name.
            label: String,
            /// It does nothing to users above this role: the highest of whoever issued it.
            role: Role,
            expires_at: Option<Timestamp>,
        }
        /// Another token takes this one's place; until then both are good.
        ScimTokenReplaced {
            token: ScimTokenId,
            by: ScimTokenId,
            until: Timestamp,
        }
        /// A token is dead.
        ScimTokenRevoked {
            token: ScimTokenId,
        }
        /// The attribute of a user that names their account on endpoints, from now on; none links nothing.
        ScimAccountAttributeChanged {
            attribute: Option<String>,
        }
    }
}

impl EventData for ScimEvent {}
