//! The rules a command on an endpoint can break.

use crate::{Coded, text::TextError};

/// A refusal, named by the rule broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// There is no such endpoint.
    #[error("there is no such endpoint")]
    NotFound,
    /// The id is taken.
    #[error("the endpoint exists already")]
    AlreadyExists,
    /// It was removed.
    #[error("the endpoint was removed")]
    Removed,
    /// No such version was ever offered to its group.
    #[error("version {version} was never offered to this endpoint's group; {offered} is the newest")]
    NeverOffered {
        /// What the agent says.
        version: u64,
        /// The newest that was offered.
        offered: u64,
    },
    /// A value that is not fit.
    #[error("{field} {error}")]
    Text {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        error: TextError,
    },
}

impl Coded for EndpointError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::Removed => "ENDPOINT_REMOVED",
            Self::NeverOffered { .. } => "NEVER_OFFERED",
            Self::Text { .. } => "BAD_INPUT",
        }
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::Text { field, .. } => Some((*field).to_owned()),
            Self::NeverOffered { .. } => Some("version".to_owned()),
            _ => None,
        }
    }
}
