//! The key set of a tenant: which keys sign what, signed by the root key that the deployment package pins
//! (`docs/formats.md § 6`).

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::{
    CanonicalError, JwsError, Purpose, SigningKey, TenantId, Timestamp, Typ, VerifyingKey,
    jws::{sign, verify},
};

/// The versioned set of a tenant's public keys. A key that is not in the newest set is dead at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeySet {
    /// Whose keys.
    pub tenant: TenantId,
    /// Grows with each change; an agent never goes back.
    pub version: u64,
    /// The keys.
    pub keys: Vec<PublishedKey>,
}

/// One public key of a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PublishedKey {
    /// The key's id: its thumbprint.
    pub kid: String,
    /// What it may sign.
    pub purpose: Purpose,
    /// The key.
    pub public: VerifyingKey,
    /// Not to be used before this moment.
    #[serde(default)]
    pub not_before: Option<Timestamp>,
    /// Not to be used at and after this moment.
    #[serde(default)]
    pub not_after: Option<Timestamp>,
}

/// Why a key set was refused.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// Not signed by the pinned root key, or not a key set at all.
    #[error("the key set is not one of the pinned root key: {0}")]
    Token(#[from] JwsError),
    /// Of another tenant.
    #[error("the key set is another tenant's")]
    Tenant,
    /// Not newer than the one that is known.
    #[error("key set version {offered} is not newer than version {known}")]
    NotNewer {
        /// The version that is known.
        known: u64,
        /// The version that was offered.
        offered: u64,
    },
    /// A key's id is not its thumbprint, or a key appears twice.
    #[error("key `{0}` of the set is doubled or not named by its thumbprint")]
    Key(String),
}

impl PublishedKey {
    /// A key with its thumbprint and no limits in time.
    #[must_use]
    pub fn new(purpose: Purpose, public: VerifyingKey) -> Self {
        Self {
            kid: public.kid(),
            purpose,
            public,
            not_before: None,
            not_after: None,
        }
    }

    /// Whether the key may be used at this moment.
    #[must_use]
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.not_before.is_none_or(|t| t <= now) && self.not_after.is_none_or(|t| now < t)
    }
}

impl KeySet {
    /// Signs the set with the tenant's root key.
    ///
    /// # Errors
    /// [`CanonicalError`] for a version beyond 2^53 − 1.
    pub fn sign(&self, root: &SigningKey) -> Result<String, CanonicalError> {
        sign(Typ::KeySet, &root.public().kid(), root, self)
    }

    /// Verifies a set under the pinned root key. `tenant` is the one it has to be of; at registration, where the tenant
    /// is only learnt from the set, the root key alone decides. `known` is the version in hand, 0 for none.
    ///
    /// # Errors
    /// [`KeySetError`]
    pub fn verify(root: &VerifyingKey, token: &str, tenant: Option<TenantId>, known: u64) -> Result<Self, KeySetError> {
        let set: Self = verify(Typ::KeySet, token, |kid| (kid == root.kid()).then_some(*root))?;
        if tenant.is_some_and(|tenant| tenant != set.tenant) {
            return Err(KeySetError::Tenant);
        }
        if set.version <= known {
            return Err(KeySetError::NotNewer {
                known,
                offered: set.version,
            });
        }
        let mut seen = HashSet::new();
        for key in &set.keys {
            if key.kid != key.public.kid() || !seen.insert(&key.kid) {
                return Err(KeySetError::Key(key.kid.clone()));
            }
        }
        Ok(set)
    }

    /// The key of this id, if it may be used for this purpose at this moment.
    #[must_use]
    pub fn find(&self, purpose: Purpose, kid: &str, now: Timestamp) -> Option<VerifyingKey> {
        let key = self.keys.iter().find(|key| key.kid == kid)?;
        (key.purpose == purpose && key.is_valid_at(now)).then_some(key.public)
    }

    /// Verifies a statement that one of the set's keys for its kind has to have signed.
    ///
    /// # Errors
    /// [`JwsError`]; [`JwsError::UnknownKey`] also for kinds that no tenant key signs.
    pub fn verify_token<T: serde::de::DeserializeOwned>(
        &self,
        typ: Typ,
        token: &str,
        now: Timestamp,
    ) -> Result<T, JwsError> {
        verify(typ, token, |kid| self.find(typ.purpose()?, kid, now))
    }
}
