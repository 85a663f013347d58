//! Who has to be told what, by mail: rows that follow from the log, and beside them the state of their delivery.
//!
//! A row names its recipients by their part in the matter, not by address. The notifier takes [open tasks](open_tasks),
//! looks the recipients up, [addresses](address) the row to users and then works through the [due
//! deliveries](due_deliveries). A task is made once, together with the first build of its row, and only for events after
//! the build's `effects_after`: a rebuild repeats rows, never mails. `n` is fixed per kind, so that a later reducer
//! cannot give an old mail another name.

mod delivery;
mod reader;
mod reducer;

pub use delivery::{
    Attempt, Delivery, DeliveryStatus, Figures, Waiting, address, due_deliveries, figures, open_tasks, record,
    settle_work, waiting,
};
pub use reader::{MailView, RefusedAddress, find, list, refused_addresses, resend};
pub use reducer::MailOutbox;

use formats::{RequestId, Timestamp, UserId};

/// The name of the projection.
pub const NAME: &str = "mail_outbox";

/// What a mail says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailKind {
    /// A request waits for you.
    Submitted,
    /// A request waits, and nobody whom its rule names can decide.
    NoApprover,
    /// A request was escalated to you.
    Escalated,
    /// A request that you were asked about is settled; there is nothing left to do.
    Handled,
    /// Your request was approved.
    Approved,
    /// Your request was denied.
    Denied,
    /// Nobody decided your request in time.
    Expired,
    /// Your request was cancelled.
    Cancelled,
    /// Your grant was taken back.
    GrantRevoked,
    /// A grant was used beyond what it permits.
    GrantOverused,
    /// An account was locked after too many wrong codes or passwords.
    ChannelLocked,
    /// Choose a password: you have an account.
    Invited,
    /// Choose a password: you lost yours.
    PasswordReset,
}

impl MailKind {
    /// The word in the table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::NoApprover => "no_approver",
            Self::Escalated => "escalated",
            Self::Handled => "handled",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::GrantRevoked => "grant_revoked",
            Self::GrantOverused => "grant_overused",
            Self::ChannelLocked => "channel_locked",
            Self::Invited => "invited",
            Self::PasswordReset => "password_reset",
        }
    }

    /// The row's number among those of its event. Fixed for ever.
    const fn n(self) -> u32 {
        match self {
            Self::Submitted
            | Self::Escalated
            | Self::Approved
            | Self::Denied
            | Self::Expired
            | Self::Cancelled
            | Self::GrantRevoked
            | Self::GrantOverused
            | Self::ChannelLocked
            | Self::Invited
            | Self::PasswordReset => 0,
            Self::NoApprover | Self::Handled => 1,
        }
    }
}

/// Who is told, by their part in the matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipients {
    /// The request's primary approvers.
    Primary,
    /// The request's secondary approvers.
    Secondary,
    /// All who were asked about the request so far, administrators included where they were asked.
    Asked,
    /// The user of the person who filed the request, if there is one.
    Requester,
    /// The tenant's administrators and owners.
    Administrators,
    /// The user it is about.
    User,
}

impl Recipients {
    /// The word in the table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
            Self::Asked => "asked",
            Self::Requester => "requester",
            Self::Administrators => "administrators",
            Self::User => "user",
        }
    }
}

/// A row of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The position of the event.
    pub position: u64,
    /// The row's number among those of the event.
    pub n: u32,
    /// What the mail says.
    pub kind: MailKind,
    /// Who is told.
    pub recipients: Recipients,
    /// The request it is about.
    pub request: Option<RequestId>,
    /// The user it is about.
    pub user: Option<UserId>,
    /// Who caused it, and is not told.
    pub by: Option<UserId>,
    /// When the event was recorded.
    pub at: Timestamp,
}
