//! The rules a change of the approval rules can break.

use crate::{Coded, text::TextError};

/// A refusal, named by the rule broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalRulesError {
    /// There is no such rule.
    #[error("there is no such approval rule")]
    NotFound,
    /// The id is taken.
    #[error("the approval rule exists already")]
    AlreadyExists,
    /// Another rule has the name.
    #[error("another approval rule is called {name}")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// Too many rules.
    #[error("{limit} approval rules are the most")]
    TooMany {
        /// The most.
        limit: usize,
    },
    /// A number or a list out of its range.
    #[error("{field} has to be {least} to {most}")]
    OutOfRange {
        /// The field.
        field: String,
        /// The least.
        least: u32,
        /// The most.
        most: u32,
    },
    /// It names what does not exist.
    #[error("{field}: there is no {what}")]
    Unknown {
        /// The field.
        field: String,
        /// What was named.
        what: String,
    },
    /// The order names other rules than there are.
    #[error("order has to name every approval rule once")]
    Order,
    /// The name is not fit.
    #[error("name {error}")]
    Name {
        /// What is wrong with it.
        error: TextError,
    },
}

impl Coded for ApprovalRulesError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::NameTaken { .. } => "NAME_TAKEN",
            Self::TooMany { .. } => "TOO_MANY_RULES",
            Self::OutOfRange { .. } | Self::Unknown { .. } | Self::Order | Self::Name { .. } => "BAD_INPUT",
        }
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::OutOfRange { field, .. } | Self::Unknown { field, .. } => Some(field.clone()),
            Self::Order => Some("order".to_owned()),
            Self::Name { .. } | Self::NameTaken { .. } => Some("name".to_owned()),
            _ => None,
        }
    }
}
