//! The rules a command on a request can break.

use formats::{Timestamp, UserId};

use crate::{Coded, text::TextError};

/// A refusal, named by the rule broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// There is no such request.
    #[error("there is no such request")]
    NotFound,
    /// The id is taken by another request.
    #[error("this request was filed already")]
    AlreadySubmitted,
    /// Someone was faster.
    #[error("the request was already {status}")]
    AlreadyDecided {
        /// The state it is in.
        status: &'static str,
        /// Who decided, where a user did.
        by: Option<UserId>,
        /// When.
        at: Timestamp,
    },
    /// The deadline is over.
    #[error("the time to decide this request is over")]
    Expired {
        /// The deadline.
        deadline: Timestamp,
    },
    /// The deadline is not over yet.
    #[error("the request is not due yet")]
    NotDue {
        /// The deadline.
        due: Timestamp,
    },
    /// Not among those who may decide.
    #[error("you are not among the approvers of this request")]
    NotEligible,
    /// Secondary approvers are asked only from escalation on.
    #[error("you are a secondary approver; this request is not escalated yet")]
    NotEscalated,
    /// Nobody decides their own request.
    #[error("nobody decides their own request")]
    SelfApproval,
    /// The same approver agreed before.
    #[error("you have already approved this request; another approver has to agree")]
    DecidedTwice,
    /// What was shown is not what is asked.
    #[error("the digest is not that of this request's action; load it again and look at the whole action")]
    DigestMismatch,
    /// The current policies deny the action.
    #[error("a policy that is in force now denies this action, so it can't be approved")]
    NowDenied,
    /// An approver can only take away.
    #[error("{field} may only be narrowed: {limit} is the most here")]
    Widened {
        /// `uses` or `grantMinutes`.
        field: &'static str,
        /// The rule's value.
        limit: u32,
    },
    /// A value that is out of its range.
    #[error("{field} has to be 1 or more")]
    OutOfRange {
        /// The field.
        field: &'static str,
    },
    /// A text that is not fit.
    #[error("{field} {error}")]
    Text {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        error: TextError,
    },
    /// No secondary approver can decide.
    #[error("there is no secondary approver who can decide this request")]
    NobodyToEscalateTo,
    /// It was escalated before.
    #[error("the request is escalated already")]
    AlreadyEscalated,
    /// The role is too small.
    #[error("this is for the requester, a primary approver or an administrator")]
    NotPermitted,
    /// There is no active grant.
    #[error("the request has no active grant{}", .status.map(|s| format!(" (it is {s})")).unwrap_or_default())]
    NoActiveGrant {
        /// The state of the grant, if there is one.
        status: Option<&'static str>,
    },
}

impl Coded for RequestError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "NOT_FOUND",
            Self::AlreadySubmitted => "ALREADY_SUBMITTED",
            Self::AlreadyDecided { .. } => "ALREADY_DECIDED",
            Self::Expired { .. } => "EXPIRED",
            Self::NotDue { .. } => "NOT_DUE",
            Self::NotEligible => "NOT_ELIGIBLE",
            Self::NotEscalated => "NOT_ESCALATED",
            Self::SelfApproval => "SELF_APPROVAL",
            Self::DecidedTwice => "DECIDED_TWICE",
            Self::DigestMismatch => "DIGEST_MISMATCH",
            Self::NowDenied => "NOW_DENIED",
            Self::Widened { .. } => "WIDENED",
            Self::OutOfRange { .. } | Self::Text { .. } => "BAD_INPUT",
            Self::NobodyToEscalateTo => "NOBODY_TO_ESCALATE_TO",
            Self::AlreadyEscalated => "ALREADY_ESCALATED",
            Self::NotPermitted => "FORBIDDEN",
            Self::NoActiveGrant { .. } => "NO_ACTIVE_GRANT",
        }
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::Widened { field, .. } | Self::OutOfRange { field } | Self::Text { field, .. } => {
                Some((*field).to_owned())
            }
            _ => None,
        }
    }

    fn at(&self) -> Option<Timestamp> {
        match self {
            Self::AlreadyDecided { at, .. } | Self::Expired { deadline: at } | Self::NotDue { due: at } => Some(*at),
            _ => None,
        }
    }
}
