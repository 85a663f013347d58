//! What can happen to an identity provider.

use formats::{IdentityProviderId, UserId};

use super::ProviderDefinition;
use crate::{
    Role,
    aggregate::{ClaimChange, EventData, events},
};

/// The space in which a provider holds its name.
pub const PROVIDER_NAME: &str = "identity_provider.name";

events! {
    /// What can happen to an identity provider.
    IdentityProviderEvent {
        /// People can sign in with it.
        IdentityProviderConfigured {
            provider: IdentityProviderId,
            definition: Box<ProviderDefinition>,
            /// Under which id the vault has the client secret; none for a client that has none.
            secret_id: Option<String>,
            /// The highest role of whoever said so: nobody above it signs in with this provider, and it gives none above.
            ceiling: Role,
        }
        /// It is now this.
        IdentityProviderChanged {
            provider: IdentityProviderId,
            definition: Box<ProviderDefinition>,
            secret_id: Option<String>,
            ceiling: Role,
        }
        /// Its metadata and keys were asked for, on an administrator's word.
        IdentityProviderChecked {
            provider: IdentityProviderId,
            /// What is wrong; none where all is well.
            problem: Option<String>,
        }
        /// Nobody can sign in with it for now.
        IdentityProviderDisabled {
            provider: IdentityProviderId,
        }
        /// People can sign in with it again.
        IdentityProviderEnabled {
            provider: IdentityProviderId,
        }
        /// It is gone, and its secret with it.
        IdentityProviderRemoved {
            provider: IdentityProviderId,
        }
        /// Somebody who came back from the provider was not let in.
        ProviderSignInRefused {
            provider: IdentityProviderId,
            /// The code of the refusal.
            code: String,
            /// The account that it would have been, where that is known.
            user: Option<UserId>,
        }
    }
}

impl EventData for IdentityProviderEvent {
    fn claims(&self) -> Vec<ClaimChange> {
        let take = |definition: &ProviderDefinition| ClaimChange::Take {
            space: PROVIDER_NAME,
            value: definition.name.to_lowercase(),
        };
        let release = ClaimChange::ReleaseAll { space: PROVIDER_NAME };
        match self {
            Self::IdentityProviderConfigured(e) => vec![take(&e.definition)],
            Self::IdentityProviderChanged(e) => vec![release, take(&e.definition)],
            Self::IdentityProviderRemoved(_) => vec![release],
            Self::IdentityProviderChecked(_)
            | Self::IdentityProviderDisabled(_)
            | Self::IdentityProviderEnabled(_)
            | Self::ProviderSignInRefused(_) => Vec::new(),
        }
    }
}
