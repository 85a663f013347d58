//! The rules a command on a tenant can break.

use formats::Timestamp;

use crate::{Coded, text::TextError};

/// A refusal, named by the rule broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TenantError {
    /// There is no such tenant.
    #[error("there is no such tenant")]
    NotFound,
    /// It exists already.
    #[error("the tenant exists already")]
    AlreadyExists,
    /// It is suspended already.
    #[error("the tenant is suspended already")]
    AlreadySuspended,
    /// It is not suspended.
    #[error("the tenant is not suspended")]
    NotSuspended,
    /// Its deletion is under way.
    #[error("the tenant is to be deleted at {purge_at}")]
    DeletionRequested {
        /// When its data goes.
        purge_at: Timestamp,
    },
    /// Its deletion is not under way.
    #[error("no deletion of this tenant is under way")]
    NoDeletionRequested,
    /// The grace period is over.
    #[error("the grace period was over at {purge_at}: the tenant is being deleted")]
    DeletionDue {
        /// When it was over.
        purge_at: Timestamp,
    },
    /// The grace period is too short.
    #[error("purgeAt has to lie at least a day ahead")]
    GraceTooShort,
    /// A version that is not the next one.
    #[error("{field} has to be {wanted}")]
    Version {
        /// `epoch` or `version`.
        field: &'static str,
        /// The next value.
        wanted: u64,
    },
    /// A value that is not fit.
    #[error("{field} {error}")]
    Text {
        /// The field.
        field: String,
        /// What is wrong with it.
        error: TextError,
    },
    /// A number out of its range.
    #[error("{field} has to be {least} to {most}")]
    OutOfRange {
        /// The field.
        field: String,
        /// The least.
        least: u32,
        /// The most.
        most: u32,
    },
    /// The baseline is refused.
    #[error("{field}: {message}")]
    Baseline {
        /// The field.
        field: String,
        /// Why.
        message: String,
    },
}

impl Coded for TenantError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::AlreadySuspended => "ALREADY_SUSPENDED",
            Self::NotSuspended => "NOT_SUSPENDED",
            Self::DeletionRequested { .. } => "DELETION_REQUESTED",
            Self::NoDeletionRequested => "NO_DELETION_REQUESTED",
            Self::DeletionDue { .. } => "DELETION_DUE",
            Self::Version { .. } => "STALE_VERSION",
            Self::GraceTooShort | Self::Text { .. } | Self::OutOfRange { .. } | Self::Baseline { .. } => "BAD_INPUT",
        }
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::GraceTooShort => Some("purgeAt".to_owned()),
            Self::Text { field, .. } | Self::OutOfRange { field, .. } | Self::Baseline { field, .. } => {
                Some(field.clone())
            }
            Self::Version { field, .. } => Some((*field).to_owned()),
            _ => None,
        }
    }
}
