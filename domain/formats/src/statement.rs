//! The signed statement about a policy snapshot, sent with the body and with each 304 (`docs/formats.md § 7`).

use serde::{Deserialize, Serialize};

use crate::{
    BodyHash, CanonicalError, DeploymentGroupId, JwsError, KeySet, SigningKey, TenantId, Timestamp, Typ, jws::sign,
};

/// The HTTP header that carries the statement.
pub const STATEMENT_HEADER: &str = "portcullis-statement";

/// What the server says of a group's snapshot. Signed anew every hour, so that a freeze shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Statement {
    /// Whose policies.
    pub tenant: TenantId,
    /// Which group enforces them.
    pub group: DeploymentGroupId,
    /// Raised when the log was restored to an earlier point (`docs/formats.md § 8`).
    pub epoch: u64,
    /// The last position that changed this group's body.
    pub version: u64,
    /// SHA-256 of the canonical body.
    pub sha256: BodyHash,
    /// When it was signed.
    pub issued_at: Timestamp,
    /// From this moment on the agent reports itself outdated.
    pub expires_at: Timestamp,
}

/// What an agent holds: the statement it last accepted, or less.
pub type Known<'a> = Option<&'a Statement>;

/// What an accepted statement means for the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// The body in hand is still the current one; only the statement is newer.
    Same,
    /// Another body is due, with the statement's hash.
    NewBody,
}

/// Why a statement was refused. The agent keeps what it has.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// Not signed by a current snapshot key.
    #[error("the snapshot statement does not verify: {0}")]
    Token(#[from] JwsError),
    /// About another tenant.
    #[error("the snapshot statement is about another tenant")]
    Tenant,
    /// About another group.
    #[error("the snapshot statement is about another deployment group")]
    Group,
    /// Expired when it arrived: somebody replays it.
    #[error("the snapshot statement expired at {0}")]
    Expired(Timestamp),
    /// Older than what the agent has enforced.
    #[error("snapshot {epoch}/{version} is older than {known_epoch}/{known_version}, which is in force")]
    Rollback {
        /// The epoch that was offered.
        epoch: u64,
        /// The version that was offered.
        version: u64,
        /// The epoch in force.
        known_epoch: u64,
        /// The version in force.
        known_version: u64,
    },
    /// The same epoch and version with another body.
    #[error("snapshot {epoch}/{version} has two bodies")]
    Fork {
        /// The epoch.
        epoch: u64,
        /// The version.
        version: u64,
    },
    /// Signed before the statement that the agent already holds for the same snapshot.
    #[error("the snapshot statement was signed before the one in hand")]
    Stale,
    /// The times or the numbers make no sense.
    #[error("the snapshot statement expires before it was issued")]
    Times,
}

impl Statement {
    /// Signs the statement with a snapshot key.
    ///
    /// # Errors
    /// [`CanonicalError`] for numbers beyond 2^53 − 1.
    pub fn sign(&self, key: &SigningKey) -> Result<String, CanonicalError> {
        sign(Typ::Snapshot, &key.public().kid(), key, self)
    }

    /// Verifies a statement under the key set and judges it against what the agent holds.
    ///
    /// # Errors
    /// [`StatementError`]
    pub fn accept(
        token: &str,
        keys: &KeySet,
        group: DeploymentGroupId,
        known: Known<'_>,
        now: Timestamp,
    ) -> Result<(Self, Accepted), StatementError> {
        let offered: Self = keys.verify_token(Typ::Snapshot, token, now)?;
        if offered.tenant != keys.tenant {
            return Err(StatementError::Tenant);
        }
        if offered.group != group {
            return Err(StatementError::Group);
        }
        if offered.expires_at <= offered.issued_at {
            return Err(StatementError::Times);
        }
        if offered.expires_at <= now {
            return Err(StatementError::Expired(offered.expires_at));
        }
        let Some(known) = known else {
            return Ok((offered, Accepted::NewBody));
        };
        match (offered.epoch, offered.version).cmp(&(known.epoch, known.version)) {
            std::cmp::Ordering::Less => Err(StatementError::Rollback {
                epoch: offered.epoch,
                version: offered.version,
                known_epoch: known.epoch,
                known_version: known.version,
            }),
            std::cmp::Ordering::Equal if offered.sha256 != known.sha256 => Err(StatementError::Fork {
                epoch: offered.epoch,
                version: offered.version,
            }),
            std::cmp::Ordering::Equal if offered.issued_at < known.issued_at => Err(StatementError::Stale),
            std::cmp::Ordering::Equal => Ok((offered, Accepted::Same)),
            std::cmp::Ordering::Greater => Ok((offered, Accepted::NewBody)),
        }
    }
}
