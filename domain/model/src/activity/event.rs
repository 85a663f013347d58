//! What an endpoint recorded.

use formats::{ActivityId, EndpointId, PersonId, RequestId, Timestamp};
use policy_engine::{Action, Outcome, Step};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Personal,
    aggregate::{EventData, events},
    request::PolicyRef,
};

/// The snapshot a record was decided on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CitedSnapshot {
    pub epoch: u32,
    pub version: u64,
    /// SHA-256 of the body, 64 hexadecimal digits.
    pub sha256: String,
}

/// What the engine said on the endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordedDecision {
    pub outcome: Outcome,
    pub steps: Vec<Step>,
    pub matched: Vec<PolicyRef>,
    /// The engine's version.
    pub engine: String,
}

/// The input that only the person's key opens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordedInput {
    /// The whole of the engine's input.
    pub action: Action,
    /// The working directory, where the endpoint told one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// What the person wrote, if a justification was asked.
    pub justification: Option<String>,
}

/// What became of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionResult {
    /// It went on.
    Permitted,
    /// It did not.
    Refused,
    /// The user gave up.
    Cancelled,
}

impl ActionResult {
    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permitted => "permitted",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
        }
    }
}

events! {
    /// What an endpoint recorded.
    ActivityEvent {
        /// One action and its decision.
        ActionRecorded {
            endpoint: EndpointId,
            person: PersonId,
            activity: ActivityId,
            /// The agent's number of the record, from 1.
            seq: u64,
            /// When, by the endpoint's clock.
            at: Timestamp,
            /// How far the endpoint's clock was ahead of the server's, in milliseconds.
            skew_ms: i64,
            input: Personal<RecordedInput>,
            decision: RecordedDecision,
            snapshot: CitedSnapshot,
            /// The request whose grant was used.
            grant: Option<RequestId>,
            /// What became of the action, where the agent knew.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            result: Option<ActionResult>,
            /// The id of the proof that satisfied the one-time code.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            mfa_proof: Option<Uuid>,
            /// The other record that the endpoint gave this number before: see [`NumbersReused`].
            #[serde(default, skip_serializing_if = "Option::is_none")]
            reuses: Option<ActivityId>,
        }
        /// A batch had records under numbers that other records have: the endpoint was restored from a copy, or a copy of
        /// it runs beside it. The records stand before this event.
        NumbersReused {
            endpoint: EndpointId,
            /// The lowest of the numbers.
            first: u64,
            /// The highest of them.
            last: u64,
            /// How many records of the batch it were.
            records: u32,
        }
    }
}

impl ActionRecorded {
    /// When it happened by the server's clock, as far as the endpoint's skew was known.
    #[must_use]
    pub fn by_server(&self) -> Timestamp {
        Timestamp::from_millis(self.at.millis().saturating_sub(self.skew_ms))
    }
}

impl EventData for ActivityEvent {
    fn person(&self) -> Option<PersonId> {
        match self {
            Self::ActionRecorded(e) => Some(e.person),
            Self::NumbersReused(_) => None,
        }
    }

    fn occurred_at(&self) -> Option<Timestamp> {
        match self {
            Self::ActionRecorded(e) => Some(e.at),
            Self::NumbersReused(_) => None,
        }
    }
}
