//! The state of a service account and its decisions.

use std::collections::{BTreeMap, BTreeSet};

use formats::{ApiKeyId, ServiceAccountId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    ApiKeyIssued, ApiKeyRevoked, ServiceAccountCommand, ServiceAccountCreated, ServiceAccountDeleted,
    ServiceAccountError, ServiceAccountEvent,
};
use crate::{Noun, Scope, aggregate::aggregate, text};

/// The most live keys of one account.
pub const API_KEYS_MAX: usize = 20;

/// A service account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceAccount {
    id: Option<ServiceAccountId>,
    scopes: BTreeSet<Scope>,
    keys: BTreeMap<Uuid, Vec<Scope>>,
}

aggregate!(
    ServiceAccount,
    "service_account",
    ServiceAccountCommand,
    ServiceAccountEvent,
    ServiceAccountError
);

impl ServiceAccount {
    /// What a live key may do; none where there is no such key.
    #[must_use]
    pub fn scopes_of(&self, key: ApiKeyId) -> Option<Vec<Scope>> {
        self.keys.get(&key.uuid()).cloned()
    }

    fn fold(&mut self, event: ServiceAccountEvent) {
        match event {
            ServiceAccountEvent::ServiceAccountCreated(e) => {
                self.id = Some(e.account);
                self.scopes = e.scopes.into_iter().collect();
            }
            ServiceAccountEvent::ApiKeyIssued(e) => {
                self.keys.insert(e.key.uuid(), e.scopes);
            }
            ServiceAccountEvent::ApiKeyRevoked(e) => {
                self.keys.remove(&e.key.uuid());
            }
            ServiceAccountEvent::ServiceAccountDeleted(_) => *self = Self::default(),
        }
    }
}

impl Noun for ServiceAccount {
    fn decide(&self, command: ServiceAccountCommand) -> Result<Vec<ServiceAccountEvent>, ServiceAccountError> {
        use ServiceAccountCommand as C;
        if let C::CreateServiceAccount { account, name, scopes } = command {
            if self.id.is_some() {
                return Err(ServiceAccountError::AlreadyExists);
            }
            let name = text::name(&name).map_err(|error| ServiceAccountError::Name { error })?;
            let scopes = distinct(scopes)?;
            return Ok(vec![ServiceAccountCreated { account, name, scopes }.into()]);
        }
        let account = self.id.ok_or(ServiceAccountError::NotFound)?;
        Ok(vec![match command {
            C::CreateServiceAccount { .. } => return Err(ServiceAccountError::AlreadyExists),
            C::IssueApiKey {
                at,
                key,
                scopes,
                expires_at,
            } => {
                let scopes = distinct(scopes)?;
                if let Some(scope) = scopes.iter().copied().find(|scope| !self.scopes.contains(scope)) {
                    return Err(ServiceAccountError::ScopeBeyondAccount { scope });
                }
                if expires_at.is_some_and(|end| end <= at) {
                    return Err(ServiceAccountError::ExpiryInThePast);
                }
                if self.keys.len() >= API_KEYS_MAX {
                    return Err(ServiceAccountError::TooManyKeys { limit: API_KEYS_MAX });
                }
                ApiKeyIssued {
                    account,
                    key,
                    scopes,
                    expires_at,
                }
                .into()
            }
            C::RevokeApiKey { key } if !self.keys.contains_key(&key.uuid()) => {
                return Err(ServiceAccountError::KeyNotFound);
            }
            C::RevokeApiKey { key } => ApiKeyRevoked { account, key }.into(),
            C::DeleteServiceAccount => ServiceAccountDeleted { account }.into(),
        }])
    }
}

fn distinct(scopes: Vec<Scope>) -> Result<Vec<Scope>, ServiceAccountError> {
    let scopes: BTreeSet<_> = scopes.into_iter().collect();
    if scopes.is_empty() {
        return Err(ServiceAccountError::NoScopes);
    }
    Ok(scopes.into_iter().collect())
}
