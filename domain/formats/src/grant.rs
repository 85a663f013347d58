//! Grants: what an approved request permits, verified offline by the agent (`docs/domain.md § 3`).

pub use policy_engine::Step;
use serde::{Deserialize, Serialize};

use crate::{
    ActionDigest, CanonicalError, EndpointId, JwsError, KeySet, PersonId, RequestId, SigningKey, TenantId, Timestamp,
    Typ, jws::sign,
};

/// The claims of a grant. The log holds them; the signature is made when the grant is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GrantClaims {
    /// Whose grant.
    pub tenant: TenantId,
    /// The request that was approved; one request has one grant.
    pub request: RequestId,
    /// The whole action that was approved.
    pub digest: ActionDigest,
    /// Where it may be used.
    pub endpoint: EndpointId,
    /// The endpoint account that may use it, as the agent reports it.
    pub user: String,
    /// The person behind that account.
    pub person: PersonId,
    /// When the grant was signed: anew for each answer that carries it, so not the moment of the approval.
    pub issued_at: Timestamp,
    /// Not usable at and after this moment.
    pub not_after: Timestamp,
    /// How often it may be used; `null` means any number of times.
    pub uses: Option<u32>,
    /// The steps it satisfies. A step of the current decision that is missing here is asked.
    pub satisfies: Vec<Step>,
    /// Whether the user still has to show a one-time code for each use. Such a grant is of no use offline.
    pub mfa_pending: bool,
    /// Whether an approver gave less (uses, window) than the settings allow.
    pub narrowed: bool,
}

/// Why a grant does not permit an action.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// Not signed by a current grant key.
    #[error("the grant does not verify: {0}")]
    Token(#[from] JwsError),
    /// Of another tenant, endpoint or user.
    #[error("the grant is not for this tenant, endpoint and user")]
    Foreign,
    /// For another action.
    #[error("the grant is for another action")]
    Digest,
    /// Past its time.
    #[error("the grant ended at {0}")]
    Expired(Timestamp),
    /// Used as often as it permits.
    #[error("the grant permits {0} uses, which are used up")]
    Exhausted(u32),
}

/// The action that a grant is held against.
#[derive(Debug, Clone, Copy)]
pub struct GrantUse<'a> {
    /// The endpoint that asks.
    pub endpoint: EndpointId,
    /// The endpoint account that acts.
    pub user: &'a str,
    /// The action's digest, computed on the spot.
    pub digest: ActionDigest,
    /// How often the grant was used before.
    pub used: u32,
    /// The present moment.
    pub now: Timestamp,
}

impl GrantClaims {
    /// Signs the grant with a grant key.
    ///
    /// # Errors
    /// [`CanonicalError`]; the claims have no floats or large numbers, so it does not happen.
    pub fn sign(&self, key: &SigningKey) -> Result<String, CanonicalError> {
        sign(Typ::Grant, &key.public().kid(), key, self)
    }

    /// Verifies a grant under the key set, without judging any use of it.
    ///
    /// # Errors
    /// [`GrantError::Token`], [`GrantError::Foreign`] for another tenant's.
    pub fn verify(token: &str, keys: &KeySet, now: Timestamp) -> Result<Self, GrantError> {
        let claims: Self = keys.verify_token(Typ::Grant, token, now)?;
        if claims.tenant == keys.tenant {
            Ok(claims)
        } else {
            Err(GrantError::Foreign)
        }
    }

    /// Judges one use. Steps are not judged here: the engine says which ones the action needs now.
    ///
    /// # Errors
    /// [`GrantError`], except [`GrantError::Token`].
    pub fn permits(&self, attempt: &GrantUse<'_>) -> Result<(), GrantError> {
        if self.endpoint != attempt.endpoint || self.user != attempt.user {
            return Err(GrantError::Foreign);
        }
        if self.digest != attempt.digest {
            return Err(GrantError::Digest);
        }
        if self.not_after <= attempt.now {
            return Err(GrantError::Expired(self.not_after));
        }
        match self.uses {
            Some(uses) if attempt.used >= uses => Err(GrantError::Exhausted(uses)),
            _ => Ok(()),
        }
    }
}
