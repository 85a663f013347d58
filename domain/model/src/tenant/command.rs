//! What can be asked of a tenant, and its settings.

use formats::{TenantId, Timestamp, UserId};
use policy_engine::Baseline;
use serde::{Deserialize, Serialize};

use crate::request::{Approver, Windows};

/// A tenant's settings, always as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    /// The outcome per action type where no enforced policy matches.
    pub baseline: Baseline,
    /// Windows for requests that no rule routes.
    pub windows: Windows,
    /// Who is asked where no rule matches; empty asks the administrators.
    pub default_approvers: Vec<Approver>,
    /// The least length of a justification, 1 to 4,096 characters.
    pub justification_min: u32,
    /// A denial needs a comment.
    pub denial_needs_comment: bool,
    /// People may decide their own requests; each such decision is marked.
    pub self_approval: bool,
    /// Requests of endpoint accounts that are linked to no user are refused.
    pub refuse_unlinked: bool,
    /// One-time codes have to come from the requester's own account.
    pub mfa_bound_to_requester: bool,
    /// Whoever decides has given a second factor within the last five minutes.
    #[serde(skip_serializing_if = "is_off")]
    pub deciding_needs_second_factor: bool,
    /// Where answers to mails go.
    pub reply_to: Option<String>,
    /// Anyone may read the checkpoints of the log.
    pub public_checkpoints: bool,
}

/// Left out while off, as settings had no such field at first.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_off(on: &bool) -> bool {
    !*on
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            baseline: Baseline::default(),
            windows: Windows::default(),
            default_approvers: Vec::new(),
            justification_min: 1,
            denial_needs_comment: false,
            self_approval: false,
            refuse_unlinked: false,
            mfa_bound_to_requester: false,
            deciding_needs_second_factor: false,
            reply_to: None,
            public_checkpoints: false,
        }
    }
}

/// The commands, by their names in the field.
#[derive(Debug, Clone, PartialEq)]
pub enum TenantCommand {
    /// Make the tenant: the first command of its log.
    CreateTenant {
        tenant: TenantId,
        slug: String,
        name: String,
        settings: Box<Settings>,
    },
    /// Stop its doors.
    SuspendTenant { reason: String },
    /// Open them again.
    ResumeTenant { reason: String },
    /// Delete it after a grace period.
    RequestTenantDeletion { at: Timestamp, purge_at: Timestamp },
    /// Call the deletion off, before its moment has come.
    CancelTenantDeletion { at: Timestamp, reason: String },
    /// Replace the settings.
    ChangeSettings { settings: Box<Settings> },
    /// Note a new version of the key set.
    ChangeKeySet {
        version: u64,
        purpose: String,
        active: Option<String>,
        withdrawn: Vec<String>,
    },
    /// Note that a mail goes out again.
    ResendMail { cause: u64, part: u32, recipient: UserId },
    /// Note that the log was restored to an earlier point.
    RestoreLog { epoch: u32, reason: String },
}
