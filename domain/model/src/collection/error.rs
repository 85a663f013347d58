//! The rules a command on a collection can break.

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
            Self::Member { .. } | Self::Name { .. } => "BAD_INPUT",
        }
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::Member { field, .. } => Some(field.clone()),
            Self::Name { .. } => Some("name".to_owned()),
            _ => None,
        }
    }
}
