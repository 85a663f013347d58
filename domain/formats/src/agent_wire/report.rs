//! How an agent is doing.

use serde::{Deserialize, Serialize};

use super::SnapshotVersion;
use crate::{RequestId, Timestamp};

/// `POST /snapshot/ack`: the agent enforces this snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SnapshotAck {
    /// The log's epoch.
    pub epoch: u64,
    /// The version in it.
    pub version: u64,
    /// Since when, by the endpoint's clock.
    pub applied_at: Timestamp,
}

/// `POST /inventory`: what is on the machine. Replaces the last one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Inventory {
    /// The operating system's own version text.
    pub os_version: String,
    /// Installed programs, at most 10,000.
    pub applications: Vec<InstalledApplication>,
    /// The accounts that are administrators.
    pub administrators: Vec<String>,
}

/// An installed program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct InstalledApplication {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its publisher.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publisher: Option<String>,
    /// The final path of the program that is run, as actions name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// SHA-256 of that file, in hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// `POST /heartbeat`, about once a minute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Heartbeat {
    /// The agent's version.
    pub agent_version: String,
    /// The snapshot in force; none before the first.
    #[serde(default)]
    pub snapshot: Option<SnapshotVersion>,
    /// Whether the last statement about it has expired.
    #[serde(default)]
    pub outdated: bool,
    /// Why the last offered snapshot was refused, if it was.
    #[serde(default)]
    pub refusal: Option<String>,
    /// The agent's parts.
    #[serde(default)]
    pub plugins: Vec<PluginReport>,
    /// How many records wait to be delivered.
    #[serde(default)]
    pub queue_length: u64,
    /// The requests whose grants the agent holds, so that it learns which of them have ended.
    #[serde(default)]
    pub grants: Vec<RequestId>,
    /// The endpoint's clock.
    pub clock: Timestamp,
}

/// One part of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PluginReport {
    /// `policy`, `api`, `logging` or `client`.
    pub name: String,
    /// How it is.
    pub state: PluginState,
    /// The last error, without personal data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// How a part of the agent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PluginState {
    /// Not begun yet.
    Starting,
    /// At work.
    Running,
    /// Failed, and about to be tried again.
    Failed,
    /// Ended in an orderly way.
    Stopped,
}

/// The answer to `POST /heartbeat`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeartbeatAnswer {
    /// The server's clock.
    pub server_time: Timestamp,
    /// The version of the newest key set.
    pub key_set_version: u64,
    /// Of the grants that were named: those that may not be used any more (revoked, expired, used up elsewhere).
    #[serde(default)]
    pub ended_grants: Vec<RequestId>,
}

/// The body of `POST /grants`: the requests whose grants the agent holds, at most 1,000.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeldGrants {
    /// The requests.
    pub grants: Vec<RequestId>,
}

/// The answer to `POST /grants`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EndedGrants {
    /// Of the grants that were named: those that may not be used any more. Empty where the wait was over first.
    pub ended_grants: Vec<RequestId>,
}
