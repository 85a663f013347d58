//! The rules a command on a service account can break.

use crate::{Coded, Scope, text::TextError};

/// A refusal, named by the rule broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServiceAccountError {
    /// There is no such account.
    #[error("there is no such service account")]
    NotFound,
    /// The id is taken.
    #[error("the service account exists already")]
    AlreadyExists,
    /// There is no such live key.
    #[error("there is no such key")]
    KeyNotFound,
    /// A key can't do more than its account.
    #[error("the account does not have the scope {}", .scope.as_str())]
    ScopeBeyondAccount {
        /// The scope.
        scope: Scope,
    },
    /// A key without a scope does nothing.
    #[error("scopes must not be empty")]
    NoScopes,
    /// Too many live keys.
    #[error("{limit} live keys are the most; revoke one first")]
    TooManyKeys {
        /// The most.
        limit: usize,
    },
    /// The end lies in the past.
    #[error("expiresAt has to lie ahead")]
    ExpiryInThePast,
    /// The name is not fit.
    #[error("name {error}")]
    Name {
        /// What is wrong with it.
        error: TextError,
    },
}

impl Coded for ServiceAccountError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound | Self::KeyNotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::ScopeBeyondAccount { .. } => "SCOPE_BEYOND_ACCOUNT",
            Self::TooManyKeys { .. } => "TOO_MANY_KEYS",
            Self::NoScopes | Self::ExpiryInThePast | Self::Name { .. } => "BAD_INPUT",
        }
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::ScopeBeyondAccount { .. } | Self::NoScopes => Some("scopes".to_owned()),
            Self::ExpiryInThePast => Some("expiresAt".to_owned()),
            Self::Name { .. } => Some("name".to_owned()),
            _ => None,
        }
    }
}
