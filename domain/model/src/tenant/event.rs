//! What can happen to a tenant.

use formats::{TenantId, Timestamp, UserId};

use super::Settings;
use crate::aggregate::{EventData, events};

events! {
    /// What can happen to a tenant.
    TenantEvent {
        /// The tenant exists: the first event of its log.
        TenantCreated {
            tenant: TenantId,
            slug: String,
            name: String,
            settings: Box<Settings>,
        }
        /// Commands and doors refuse, timers run, outboxes hold, agents act as offline.
        TenantSuspended {
            reason: String,
        }
        /// Everything goes on.
        TenantResumed {
            reason: String,
        }
        /// The tenant will be deleted, data and keys, at the end of the grace period.
        TenantDeletionRequested {
            purge_at: Timestamp,
        }
        /// The deletion was called off.
        TenantDeletionCancelled {
            reason: String,
        }
        /// The whole of the settings as they are now.
        SettingsChanged {
            settings: Box<Settings>,
        }
        /// A new version of the signed key set is in force.
        KeySetChanged {
            version: u64,
            /// The purpose whose key was added or withdrawn.
            purpose: String,
            /// The key that is now used to sign; none where one was only withdrawn.
            active: Option<String>,
            /// Keys that are no longer in the set.
            withdrawn: Vec<String>,
        }
        /// A mail that was refused or given up goes out again. Mails are named by the event that caused them.
        MailResent {
            cause: u64,
            part: u32,
            recipient: UserId,
        }
        /// The log was restored to an earlier point: agents take only the higher epoch.
        LogRestored {
            epoch: u32,
            reason: String,
        }
    }
}

impl EventData for TenantEvent {}
