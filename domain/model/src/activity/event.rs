//! What an endpoint recorded.

use formats::{ActivityId, EndpointId, PersonId, RequestId, Timestamp};
use policy_engine::{Action, Outcome, Step};
use serde::{Deserialize, Serialize};

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
    /// What the person wrote, if a justification was asked.
    pub justification: Option<String>,
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
        }
    }
}

impl EventData for ActivityEvent {
    fn person(&self) -> Option<PersonId> {
        match self {
            Self::ActionRecorded(e) => Some(e.person),
        }
    }

    fn occurred_at(&self) -> Option<Timestamp> {
        match self {
            Self::ActionRecorded(e) => Some(e.at),
        }
    }
}
