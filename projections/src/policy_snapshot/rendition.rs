//! Policies as they are shipped: canonical bytes, made once when the policy changes.

use formats::{CanonicalError, DeploymentGroupId, PolicyId, canonical};
use policy_engine::{PolicyDocument, PolicyStatus, SnapshotPolicy};

use crate::policies::collection_refs;

/// A revision of a policy as it stands in a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// Canonical bytes of [`SnapshotPolicy`].
    pub(super) bytes: Vec<u8>,
    /// What its scopes write after `collection:`.
    pub(super) refs: Vec<String>,
}

impl Part {
    /// None where the status is `off`: such a policy is not shipped.
    pub(super) fn of(
        policy: PolicyId,
        revision: u32,
        document: &PolicyDocument,
    ) -> Result<Option<Self>, CanonicalError> {
        if document.status == PolicyStatus::Off {
            return Ok(None);
        }
        let shipped = SnapshotPolicy {
            id: policy.to_string(),
            revision: revision.into(),
            document: document.clone(),
        };
        Ok(Some(Self {
            bytes: canonical(&shipped)?,
            refs: collection_refs(document),
        }))
    }
}

/// What the groups have of a policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rendition {
    /// The live revision.
    pub(super) live: Option<Part>,
    /// The staged revision, and who has it instead.
    pub(super) staged: Option<Staged>,
}

/// A staged revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Staged {
    pub(super) part: Option<Part>,
    pub(super) groups: Vec<DeploymentGroupId>,
}

impl Rendition {
    /// Whether this group has the staged revision.
    pub(super) fn is_staged_for(&self, group: DeploymentGroupId) -> bool {
        self.staged
            .as_ref()
            .is_some_and(|staged| staged.groups.contains(&group))
    }

    /// What this group has.
    pub(super) fn for_group(&self, group: DeploymentGroupId) -> Option<&Part> {
        match &self.staged {
            Some(staged) if staged.groups.contains(&group) => staged.part.as_ref(),
            _ => self.live.as_ref(),
        }
    }
}
