//! What agents and server say to each other on `/agent/v1` (`docs/contracts.md § 4`). Both sides use these types.
//!
//! All bodies are JSON with names in camelCase; a field that is not known is refused. Errors are
//! `application/problem+json` ([`Problem`]). A call other than `register` and `token` carries
//! `Authorization: Bearer` with the access token. Long polls take `Prefer: wait=SECONDS`, at most [`MAX_WAIT`].
//!
//! | call | body | answer |
//! | --- | --- | --- |
//! | `POST /register` | [`RegisterRequest`] | [`RegisterResponse`] |
//! | `POST /token` | [`TokenRequest`] | [`TokenResponse`] |
//! | `GET /keyset` | – | [`KeySetResponse`] |
//! | `GET /snapshot` | – | the body, or 304; headers [`STATEMENT_HEADER`], [`KEY_SET_HEADER`], `ETag` |
//! | `POST /snapshot/ack` | [`SnapshotAck`] | 204 |
//! | `POST /requests` | [`SubmitRequest`] | [`RequestState`], 201, or 200 for one that was open already |
//! | `GET /requests/{id}` | – | [`RequestState`] |
//! | `POST /requests/{id}/cancel` | [`CancelRequest`] | [`RequestState`] |
//! | `POST /mfa/verify` | [`MfaVerify`] | [`MfaVerified`] |
//! | `POST /activity` | [`ActivityBatch`] | [`ActivityStored`] |
//! | `POST /inventory` | [`Inventory`] | 204 |
//! | `POST /grants` | [`HeldGrants`] | [`EndedGrants`], as soon as one of them has ended |
//! | `POST /heartbeat` | [`Heartbeat`] | [`HeartbeatAnswer`] |

mod activity;
mod enrolment;
mod report;
mod request;

use serde::{Deserialize, Serialize};

pub use crate::statement::STATEMENT_HEADER;
pub use activity::{
    ActivityBatch, ActivityRecord, ActivityStored, CitedSnapshot, GrantUseReport, MAX_BATCH, RecordResult,
    ReportedDecision,
};
pub use enrolment::{
    DeploymentPackage, KeySetResponse, MachineInfo, RegisterRequest, RegisterResponse, TokenRequest, TokenResponse,
};
pub use report::{
    EndedGrants, Heartbeat, HeartbeatAnswer, HeldGrants, InstalledApplication, Inventory, PluginReport, PluginState,
    SnapshotAck,
};
pub use request::{
    CancelRequest, Deadlines, MfaVerified, MfaVerify, PolicyRevision, RequestState, RequestStatus, SnapshotVersion,
    SubmitRequest,
};

/// Where the agent protocol lives below the server's public address.
pub const PREFIX: &str = "/agent/v1";
/// The header with the version of the tenant's newest key set. Where it is above the one in hand, the agent asks for
/// `GET /keyset`.
pub const KEY_SET_HEADER: &str = "portcullis-key-set";
/// The longest long poll, in seconds.
pub const MAX_WAIT: u32 = 50;

/// An error as the server tells it (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Problem {
    /// A short text for people, the same for every occurrence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable code, such as `DIGEST_MISMATCH`.
    pub code: String,
    /// What was wrong this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The field of the body that is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}
