//! The rules a command on a deployment group can break.

use crate::{Coded, text::TextError};

/// A refusal, named by the rule broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeploymentGroupError {
    /// There is no such group.
    #[error("there is no such deployment group")]
    NotFound,
    /// The id is taken.
    #[error("the deployment group exists already")]
    AlreadyExists,
    /// The token is unknown, revoked, over or used up: outside it is one answer.
    #[error("the registration token is not valid")]
    TokenInvalid,
    /// There is no such live token.
    #[error("there is no such registration token")]
    TokenNotFound,
    /// Endpoints are still in it.
    #[error("{endpoints} endpoints are still in this group")]
    InUse {
        /// How many.
        endpoints: u64,
    },
    /// The end lies in the past.
    #[error("expiresAt has to lie ahead")]
    ExpiryInThePast,
    /// No use at all.
    #[error("maxRegistrations has to be 1 or more")]
    NoUses,
    /// Too many live tokens.
    #[error("{limit} live tokens are the most; revoke one first")]
    TooManyTokens {
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

impl Coded for DeploymentGroupError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound | Self::TokenNotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::TokenInvalid => "REGISTRATION_TOKEN_INVALID",
            Self::InUse { .. } => "IN_USE",
            Self::TooManyTokens { .. } => "TOO_MANY_TOKENS",
            Self::ExpiryInThePast | Self::NoUses | Self::Name { .. } => "BAD_INPUT",
        }
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::ExpiryInThePast => Some("expiresAt".to_owned()),
            Self::NoUses => Some("maxRegistrations".to_owned()),
            Self::Name { .. } => Some("name".to_owned()),
            Self::TokenInvalid => Some("registrationToken".to_owned()),
            _ => None,
        }
    }
}
