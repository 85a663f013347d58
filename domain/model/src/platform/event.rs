//! What can happen on the platform.

use formats::TenantId;

use crate::aggregate::{EventData, events};

events! {
    /// What can happen on the platform.
    PlatformEvent {
        /// An operator asked for this. Written before it is done, so that nothing is done without an entry.
        OperatorActed {
            /// The act's name, such as `suspendTenant`.
            act: String,
            /// The tenant it is about, by the id and by the name it had.
            tenant: Option<TenantId>,
            slug: Option<String>,
            /// What else is to be known of it: the reason that was given, or which key.
            detail: Option<String>,
        }
        /// It was refused. In the same call as the entry before.
        OperatorActRefused {
            act: String,
            tenant: Option<TenantId>,
            slug: Option<String>,
            /// The refusal's code.
            code: String,
        }
    }
}

impl EventData for PlatformEvent {}
