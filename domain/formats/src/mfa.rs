//! Proofs of a one-time code: what the server gives an agent after it checked a code (`docs/domain.md § 4`).

use policy_engine::ActionType;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    ActionDigest, CanonicalError, EndpointId, JwsError, KeySet, SigningKey, TenantId, Timestamp, Typ, UserId, jws::sign,
};

/// The claims of a proof. Bound to identity, endpoint, endpoint user and action type, and to one action where a policy
/// says `mfaAlways`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MfaProof {
    /// Whose.
    pub tenant: TenantId,
    /// The proof's own id.
    pub id: Uuid,
    /// The tenant user whose code was checked.
    pub identity: UserId,
    /// The endpoint it was shown at.
    pub endpoint: EndpointId,
    /// The endpoint account that acts.
    pub endpoint_user: String,
    /// The action type it is good for.
    pub action_type: ActionType,
    /// The one action it is good for; `null` for a session.
    pub digest: Option<ActionDigest>,
    /// When the code was checked.
    pub issued_at: Timestamp,
    /// Not good at and after this moment, five minutes later.
    pub expires_at: Timestamp,
}

/// Why a proof does not count for an action.
#[derive(Debug, thiserror::Error)]
pub enum MfaProofError {
    /// Not signed by a current MFA key.
    #[error("the proof does not verify: {0}")]
    Token(#[from] JwsError),
    /// For another tenant, endpoint, user, action type or action.
    #[error("the proof is not for this endpoint, user and action")]
    Foreign,
    /// Past its time.
    #[error("the proof ended at {0}")]
    Expired(Timestamp),
}

/// The action that a proof is held against.
#[derive(Debug, Clone, Copy)]
pub struct MfaUse<'a> {
    /// The endpoint that asks.
    pub endpoint: EndpointId,
    /// The endpoint account that acts.
    pub endpoint_user: &'a str,
    /// The action's type.
    pub action_type: ActionType,
    /// The action's digest.
    pub digest: ActionDigest,
    /// Whether a policy demands a code for each single action (`mfaAlways`).
    pub always: bool,
    /// The present moment.
    pub now: Timestamp,
}

impl MfaProof {
    /// Signs the proof with an MFA key.
    ///
    /// # Errors
    /// [`CanonicalError`]; the claims have no floats or large numbers, so it does not happen.
    pub fn sign(&self, key: &SigningKey) -> Result<String, CanonicalError> {
        sign(Typ::Mfa, &key.public().kid(), key, self)
    }

    /// Verifies a proof under the key set, without judging any use of it.
    ///
    /// # Errors
    /// [`MfaProofError::Token`], [`MfaProofError::Foreign`] for another tenant's.
    pub fn verify(token: &str, keys: &KeySet, now: Timestamp) -> Result<Self, MfaProofError> {
        let proof: Self = keys.verify_token(Typ::Mfa, token, now)?;
        if proof.tenant == keys.tenant {
            Ok(proof)
        } else {
            Err(MfaProofError::Foreign)
        }
    }

    /// Judges one use. With `always`, only a proof for this very action counts.
    ///
    /// # Errors
    /// [`MfaProofError`], except [`MfaProofError::Token`].
    pub fn covers(&self, attempt: &MfaUse<'_>) -> Result<(), MfaProofError> {
        let action_fits = match self.digest {
            Some(digest) => digest == attempt.digest,
            None => !attempt.always,
        };
        if self.endpoint != attempt.endpoint
            || self.endpoint_user != attempt.endpoint_user
            || self.action_type != attempt.action_type
            || !action_fits
        {
            return Err(MfaProofError::Foreign);
        }
        if self.expires_at <= attempt.now {
            Err(MfaProofError::Expired(self.expires_at))
        } else {
            Ok(())
        }
    }
}
