//! What can be asked of a service account.

use formats::{ApiKeyId, ServiceAccountId, Timestamp};

use crate::Scope;

/// The commands, by their names in the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceAccountCommand {
    /// Make the account.
    CreateServiceAccount {
        account: ServiceAccountId,
        name: String,
        scopes: Vec<Scope>,
    },
    /// Note a new key. Its scopes are among the account's.
    IssueApiKey {
        at: Timestamp,
        key: ApiKeyId,
        scopes: Vec<Scope>,
        expires_at: Option<Timestamp>,
    },
    /// Kill a key.
    RevokeApiKey { key: ApiKeyId },
    /// Remove the account.
    DeleteServiceAccount,
}
