//! Requests for approval and one-time codes.

use policy_engine::{Action, ActionType};
use serde::{Deserialize, Serialize};

use crate::{ActionDigest, RequestId, Timestamp, UserId};

/// `POST /requests`. `Idempotency-Key` is honoured; an identical open request comes back instead of a second one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubmitRequest {
    /// The whole action. The server evaluates it again.
    pub action: Action,
    /// The working directory.
    #[serde(default)]
    pub cwd: Option<String>,
    /// Why the person wants it, 1 to 4,096 characters after trimming.
    pub justification: String,
    /// The policies that the agent found to demand the approval.
    #[serde(default)]
    pub policies: Vec<PolicyRevision>,
    /// The snapshot it decided on.
    pub snapshot_version: SnapshotVersion,
    /// The action's digest; the server refuses another one than it computes.
    pub digest: ActionDigest,
    /// The ended request that this one tries again.
    #[serde(default)]
    pub retry_of: Option<RequestId>,
}

/// A policy at one revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyRevision {
    /// The policy's id.
    pub id: String,
    /// Which of its revisions.
    pub revision: u64,
}

/// A snapshot by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SnapshotVersion {
    /// The log's epoch.
    pub epoch: u64,
    /// The version in it.
    pub version: u64,
}

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestStatus {
    /// The primary approvers are asked.
    Pending,
    /// The secondary approvers are asked too.
    Escalated,
    /// Approved; there is a grant.
    Approved,
    /// Denied.
    Denied,
    /// Nobody decided in time.
    Expired,
    /// Withdrawn.
    Cancelled,
}

impl RequestStatus {
    /// Whether it never changes again.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Escalated)
    }
}

/// A request as its endpoint sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestState {
    /// The request.
    pub request_id: RequestId,
    /// Where it stands.
    pub status: RequestStatus,
    /// Until when.
    pub deadlines: Deadlines,
    /// How often the same action was asked for while it was open, from 1.
    pub asked: u32,
    /// What the approver wrote.
    #[serde(default)]
    pub comment: Option<String>,
    /// The grant, of type [`crate::Typ::Grant`], while it may be used.
    #[serde(default)]
    pub grant: Option<String>,
}

/// The moments at which a request changes by itself. It counts as changed at the moment, not after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Deadlines {
    /// It escalates, or expires if nobody else can be asked; none once that has happened.
    pub escalates_at: Option<Timestamp>,
    /// It expires; none before it is known (while it may still escalate) and once it is decided.
    pub expires_at: Option<Timestamp>,
}

/// `POST /requests/{id}/cancel`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CancelRequest {
    /// Why, in the user's words.
    #[serde(default)]
    pub reason: Option<String>,
}

/// `POST /mfa/verify`. The server finds an open or approved request by the digest.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MfaVerify {
    /// The tenant user whose code it is.
    pub email: String,
    /// The six digits.
    pub code: String,
    /// What the user is about to do.
    pub action_type: ActionType,
    /// The endpoint account that acts.
    pub endpoint_user: String,
    /// The action.
    pub digest: ActionDigest,
    /// Whether a policy demands a code for this single action. The proof is then good for nothing else.
    #[serde(default)]
    pub always: bool,
}

impl std::fmt::Debug for MfaVerify {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MfaVerify")
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

/// The answer to `POST /mfa/verify`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MfaVerified {
    /// The proof, of type [`crate::Typ::Mfa`].
    pub proof: String,
    /// Whose code it was.
    pub identity: UserId,
    /// Until when it is good.
    pub expires_at: Timestamp,
}
