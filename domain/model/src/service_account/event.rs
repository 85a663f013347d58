//! What can happen to a service account.

use formats::{ApiKeyId, ServiceAccountId, Timestamp};

use crate::{
    Scope,
    aggregate::{ClaimChange, EventData, events},
};

/// The space in which a service account holds its name.
pub const SERVICE_ACCOUNT_NAME: &str = "service_account.name";

events! {
    /// What can happen to a service account.
    ServiceAccountEvent {
        /// The account exists.
        ServiceAccountCreated {
            account: ServiceAccountId,
            name: String,
            scopes: Vec<Scope>,
        }
        /// A key was shown once.
        ApiKeyIssued {
            account: ServiceAccountId,
            key: ApiKeyId,
            scopes: Vec<Scope>,
            expires_at: Option<Timestamp>,
        }
        /// A key is dead.
        ApiKeyRevoked {
            account: ServiceAccountId,
            key: ApiKeyId,
        }
        /// The account and all its keys are gone.
        ServiceAccountDeleted {
            account: ServiceAccountId,
        }
    }
}

impl EventData for ServiceAccountEvent {
    fn claims(&self) -> Vec<ClaimChange> {
        match self {
            Self::ServiceAccountCreated(e) => {
                vec![ClaimChange::Take {
                    space: SERVICE_ACCOUNT_NAME,
                    value: e.name.to_lowercase(),
                }]
            }
            Self::ServiceAccountDeleted(_) => vec![ClaimChange::ReleaseAll {
                space: SERVICE_ACCOUNT_NAME,
            }],
            Self::ApiKeyIssued(_) | Self::ApiKeyRevoked(_) => Vec::new(),
        }
    }
}
