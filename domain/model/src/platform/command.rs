//! What can be noted on the platform.

use formats::TenantId;

/// The commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlatformCommand {
    /// An operator asks for this.
    NoteAct {
        act: String,
        tenant: Option<TenantId>,
        slug: Option<String>,
        detail: Option<String>,
    },
    /// It was refused.
    NoteRefusal {
        act: String,
        tenant: Option<TenantId>,
        slug: Option<String>,
        code: String,
    },
}
