//! The rules a command on a team can break.

use crate::{Coded, text::TextError};

/// A refusal, named by the rule broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TeamError {
    /// There is no such team.
    #[error("there is no such team")]
    NotFound,
    /// The id is taken.
    #[error("the team exists already")]
    AlreadyExists,
    /// Something still names it.
    #[error("the team is used by {}", .used_by.join(", "))]
    InUse {
        /// The approval rules.
        used_by: Vec<String>,
    },
    /// An identity provider keeps it.
    #[error("an identity provider keeps this team by SCIM; change it there, or release it first")]
    Managed,
    /// No identity provider keeps it.
    #[error("this team is kept by hand; no identity provider keeps it")]
    NotManaged,
    /// The id at the identity provider is not fit.
    #[error("externalId {error}")]
    ExternalId {
        /// What is wrong with it.
        error: TextError,
    },
    /// Too many members.
    #[error("members: {limit} are the most")]
    TooManyMembers {
        /// The most.
        limit: usize,
    },
    /// The name is not fit.
    #[error("name {error}")]
    Name {
        /// What is wrong with it.
        error: TextError,
    },
}

impl Coded for TeamError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::InUse { .. } => "IN_USE",
            Self::Managed => "TEAM_MANAGED",
            Self::NotManaged => "TEAM_NOT_MANAGED",
            Self::ExternalId { .. } | Self::TooManyMembers { .. } | Self::Name { .. } => "BAD_INPUT",
        }
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::TooManyMembers { .. } => Some("members".to_owned()),
            Self::ExternalId { .. } => Some("externalId".to_owned()),
            Self::Name { .. } => Some("name".to_owned()),
            _ => None,
        }
    }
}
