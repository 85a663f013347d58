//! What one deployment group's agents enforce: the body that is signed and shipped (`docs/formats.md § 7`).

use serde::{Deserialize, Serialize};

use crate::document::{Baseline, Collection, CollectionKind, PolicyDocument};

/// Everything a decision depends on besides the action.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Snapshot {
    /// In document order, which is the order of `matched`.
    pub policies: Vec<SnapshotPolicy>,
    /// The sets that scopes refer to.
    pub collections: Vec<SnapshotCollection>,
    /// The answer where no enforced policy matches.
    pub baseline: Baseline,
    /// Tenant settings for the agent. Carried, never read by the engine.
    pub settings: serde_json::Map<String, serde_json::Value>,
}

/// One revision of one policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SnapshotPolicy {
    /// The policy's id, opaque to the engine.
    pub id: String,
    /// Which of its revisions.
    pub revision: u64,
    /// What it says.
    pub document: PolicyDocument,
}

/// One collection by both of its names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SnapshotCollection {
    /// The collection's id, opaque to the engine; entries may refer to it.
    pub id: String,
    /// Its name; entries may refer to it.
    pub name: String,
    /// What its members are.
    pub kind: CollectionKind,
    /// Typed entries.
    #[serde(default)]
    pub members: Vec<String>,
}

impl SnapshotCollection {
    /// The kind and members alone.
    #[must_use]
    pub fn collection(&self) -> Collection {
        Collection {
            kind: self.kind,
            members: self.members.clone(),
        }
    }
}
