//! The rules a command on a collection can break.

use policy_engine::Problem;

use crate::{Coded, text::TextError};

/// A refusal, named by the rule broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CollectionError {
    /// There is no such collection.
    #[error("there is no such collection")]
    NotFound,
    /// The id is taken.
    #[error("the collection exists already")]
    AlreadyExists,
    /// Something still uses it.
    #[error("the collection is used by {}", .used_by.join(", "))]
    InUse {
        /// Policies and rules, by name.
        used_by: Vec<String>,
    },
    /// With these members a policy that uses it could not be saved any more.
    #[error("the policy {policy:?} would be refused: {problem}")]
    SpoilsPolicy {
        /// The policy's name.
        policy: String,
        /// The first thing that would be wrong with it.
        problem: Problem,
    },
    /// An exception uses it, and only owners say what an exception is for.
    #[error("the exception {policy:?} uses the collection, so only owners change its members")]
    ExceptionNeedsOwner {
        /// The policy's name.
        policy: String,
    },
    /// A member is not fit.
    #[error("{field}: {message}")]
    Member {
        /// `members[3]`.
        field: String,
        /// Why.
        message: String,
    },
    /// The name is not fit.
    #[error("name {error}")]
    Name {
        /// What is wrong with it.
        error: TextError,
    },
}

impl Coded for CollectionError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::InUse { .. } => "IN_USE",
            Self::SpoilsPolicy { .. } => "POLICY_REFUSED",
            Self::ExceptionNeedsOwner { .. } => "FORBIDDEN",
            Self::Member { .. } | Self::Name { .. } => "BAD_INPUT",
        }
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::Member { field, .. } => Some(field.clone()),
            Self::Name { .. } => Some("name".to_owned()),
            Self::SpoilsPolicy { .. } | Self::ExceptionNeedsOwner { .. } => Some("members".to_owned()),
            _ => None,
        }
    }
}
