//! Recorded actions, delivered in order and stored once.

use policy_engine::{Action, Outcome, Step};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::PolicyRevision;
use crate::{ActivityId, BodyHash, RequestId, Timestamp};

/// The most records in one batch.
pub const MAX_BATCH: usize = 500;

/// `POST /activity`; `Content-Encoding: gzip` is taken. Sending a batch again stores nothing twice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ActivityBatch {
    /// At most [`MAX_BATCH`], by rising `seq`.
    pub records: Vec<ActivityRecord>,
    /// How far the endpoint's clock is ahead of the server's, in milliseconds, as last measured.
    #[serde(default)]
    pub skew_ms: i64,
}

/// One action, its decision and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ActivityRecord {
    /// The record's own id.
    pub id: ActivityId,
    /// Its number on this endpoint, from 1 without a gap. A gap that the server sees is recorded.
    pub seq: u64,
    /// When the decision was made, by the endpoint's clock.
    pub occurred_at: Timestamp,
    /// The whole input of the engine.
    pub action: Action,
    /// The working directory.
    #[serde(default)]
    pub cwd: Option<String>,
    /// What the engine said.
    pub decision: ReportedDecision,
    /// The snapshot it said so on.
    pub snapshot: CitedSnapshot,
    /// What became of the action.
    #[serde(default)]
    pub result: Option<RecordResult>,
    /// What the person wrote.
    #[serde(default)]
    pub justification: Option<String>,
    /// The grant that was used up a little.
    #[serde(default)]
    pub grant_use: Option<GrantUseReport>,
    /// The id of the proof ([`crate::MfaProof`]) that satisfied the one-time code.
    #[serde(default)]
    pub mfa_proof: Option<Uuid>,
}

/// The engine's answer in a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReportedDecision {
    /// The outcome.
    pub outcome: Outcome,
    /// The steps it demanded, in order.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// The enforced policies that matched.
    #[serde(default)]
    pub matched: Vec<PolicyRevision>,
    /// The engine's version.
    pub engine: String,
}

/// The snapshot a record was decided on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CitedSnapshot {
    /// The log's epoch.
    pub epoch: u64,
    /// The version in it.
    pub version: u64,
    /// SHA-256 of the body.
    pub sha256: BodyHash,
}

/// What became of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordResult {
    /// It went on.
    Permitted,
    /// It did not.
    Refused,
    /// The user gave up.
    Cancelled,
}

/// One use of a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GrantUseReport {
    /// The request whose grant it is.
    pub request_id: RequestId,
    /// The number of this use on the endpoint, from 1.
    pub number: u32,
}

/// The answer to `POST /activity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ActivityStored {
    /// The highest `seq` that is stored; 0 for none. The agent forgets its records up to here.
    pub stored_seq: u64,
    /// The server's clock.
    pub server_time: Timestamp,
}
