//! The rules a command on a policy can break.

use policy_engine::Problem;

use crate::{Coded, text::TextError};

/// A refusal, named by the rule broken.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PolicyError {
    /// There is no such policy.
    #[error("there is no such policy")]
    NotFound,
    /// The id is taken.
    #[error("the policy exists already")]
    AlreadyExists,
    /// Someone changed it meanwhile.
    #[error("the policy is at revision {current} by now, and you looked at {expected}")]
    StaleRevision {
        /// The live or staged revision.
        current: u32,
        /// What the author looked at.
        expected: u32,
    },
    /// The document is refused; every problem names its field.
    #[error("{}", .problems.iter().map(|p| format!("{}: {}", p.field, p.message)).collect::<Vec<_>>().join("; "))]
    Refused {
        /// What is wrong, in the order of the document.
        problems: Vec<Problem>,
    },
    /// An exception is for owners.
    #[error("saving an exception needs the role owner")]
    ExceptionNeedsOwner,
    /// No such revision.
    #[error("the policy has no revision {revision}")]
    NoSuchRevision {
        /// What was asked for.
        revision: u32,
    },
    /// There is nothing staged.
    #[error("no revision of this policy is staged")]
    NothingStaged,
    /// One rollout at a time.
    #[error("revision {revision} is staged; promote or withdraw it first")]
    Staged {
        /// The staged revision.
        revision: u32,
    },
    /// A rollout goes somewhere.
    #[error("groups has to name 1 to 100 deployment groups")]
    Groups,
    /// Too many revisions.
    #[error("a policy has at most {limit} revisions; copy it into a new one")]
    TooManyRevisions {
        /// The most.
        limit: u32,
    },
    /// The reason is not fit.
    #[error("reason {error}")]
    Reason {
        /// What is wrong with it.
        error: TextError,
    },
}

impl Coded for PolicyError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound | Self::NoSuchRevision { .. } => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::StaleRevision { .. } => "STALE_VERSION",
            Self::Refused { .. } => "POLICY_REFUSED",
            Self::ExceptionNeedsOwner => "FORBIDDEN",
            Self::NothingStaged => "NOTHING_STAGED",
            Self::Staged { .. } => "REVISION_STAGED",
            Self::TooManyRevisions { .. } => "TOO_MANY_REVISIONS",
            Self::Groups | Self::Reason { .. } => "BAD_INPUT",
        }
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::Refused { problems } => problems.first().map(|p| p.field.clone()),
            Self::ExceptionNeedsOwner => Some("exception".to_owned()),
            Self::StaleRevision { .. } => Some("expectedRevision".to_owned()),
            Self::NoSuchRevision { .. } => Some("revision".to_owned()),
            Self::Groups => Some("groups".to_owned()),
            Self::Reason { .. } => Some("reason".to_owned()),
            _ => None,
        }
    }
}
