//! The rules a command on a tenant's SCIM door can break.

use crate::{Coded, text::TextError};

/// A refusal, named by the rule broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScimError {
    /// There is no such live token.
    #[error("there is no such SCIM token")]
    TokenNotFound,
    /// Two are for a rotation; more are not needed.
    #[error("{limit} live SCIM tokens are the most; revoke one first")]
    TooManyTokens {
        /// The most.
        limit: usize,
    },
    /// The end lies in the past, or beyond what is allowed.
    #[error("expiresAt has to lie ahead")]
    ExpiryInThePast,
    /// The attribute is none that can name an account.
    #[error("the attribute has to be one of {}", super::ACCOUNT_ATTRIBUTES.join(", "))]
    UnknownAttribute,
    /// The label is not fit.
    #[error("label {error}")]
    Label {
        /// What is wrong with it.
        error: TextError,
    },
}

impl Coded for ScimError {
    fn code(&self) -> &'static str {
        match self {
            Self::TokenNotFound => "NOT_FOUND",
            Self::TooManyTokens { .. } => "TOO_MANY_TOKENS",
            Self::ExpiryInThePast | Self::UnknownAttribute | Self::Label { .. } => "BAD_INPUT",
        }
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::ExpiryInThePast => Some("expiresAt".to_owned()),
            Self::UnknownAttribute => Some("attribute".to_owned()),
            Self::Label { .. } => Some("label".to_owned()),
            Self::TokenNotFound | Self::TooManyTokens { .. } => None,
        }
    }
}
