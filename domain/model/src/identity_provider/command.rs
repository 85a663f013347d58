//! What can be asked of an identity provider.

use formats::{IdentityProviderId, UserId};

use super::ProviderDefinition;
use crate::Role;

/// The commands, by their names in the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityProviderCommand {
    /// Let people sign in with it.
    ConfigureIdentityProvider {
        provider: IdentityProviderId,
        definition: Box<ProviderDefinition>,
        secret_id: Option<String>,
        /// The highest role of whoever asks.
        own: Role,
    },
    /// Say something else of it.
    ChangeIdentityProvider {
        definition: Box<ProviderDefinition>,
        /// Another secret, no secret, or the one it has.
        secret: SecretChange,
        own: Role,
    },
    /// Note what its metadata looked like.
    CheckIdentityProvider { problem: Option<String> },
    /// Let nobody sign in with it for now.
    DisableIdentityProvider,
    /// Let people sign in with it again.
    EnableIdentityProvider { own: Role },
    /// Take it away.
    RemoveIdentityProvider,
    /// Note that somebody was not let in.
    RefuseProviderSignIn { code: String, user: Option<UserId> },
}

/// What becomes of the client secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretChange {
    /// It stays.
    Keep,
    /// Another one, under this id.
    Replace(String),
    /// None from now on.
    Drop,
}
