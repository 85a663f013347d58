//! The rules a command on a user can break.

use crate::{Coded, text::TextError};

/// A refusal, named by the rule broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// There is no such user.
    #[error("there is no such user")]
    NotFound,
    /// The id is taken.
    #[error("the user exists already")]
    AlreadyExists,
    /// The account is closed.
    #[error("the user is disabled")]
    Disabled,
    /// The account is open.
    #[error("the user is not disabled")]
    NotDisabled,
    /// An owner has to be demoted before.
    #[error("an owner can't be disabled; take the role owner away first")]
    OwnerDisabled,
    /// What an identity provider says of a user is too long.
    #[error("the attributes of a user are longer than the {limit} bytes that are kept")]
    ProfileTooLong {
        /// The most.
        limit: usize,
    },
    /// No such second factor.
    #[error("the user has no {method}")]
    NotEnrolled {
        /// `totp` or `passkey`.
        method: String,
    },
    /// As many passkeys as one may have.
    #[error("a user has at most {limit} passkeys; remove one first")]
    TooManyPasskeys {
        /// The most.
        limit: usize,
    },
    /// No such passkey of this user.
    #[error("there is no such passkey")]
    NoSuchPasskey,
    /// A user is one person at one provider.
    #[error("the user is linked to an identity already; an administrator has to unlink it first")]
    IdentityLinked,
    /// No identity is remembered.
    #[error("the user is not linked to any identity")]
    NotLinked,
    /// A value that is not fit.
    #[error("{field} {error}")]
    Text {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        error: TextError,
    },
}

impl Coded for UserError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::Disabled => "USER_DISABLED",
            Self::NotDisabled => "USER_NOT_DISABLED",
            Self::OwnerDisabled => "OWNER_NOT_DISABLED",
            Self::IdentityLinked => "IDENTITY_LINKED",
            Self::NotLinked => "NOT_LINKED",
            Self::NotEnrolled { .. } => "NOT_ENROLLED",
            Self::TooManyPasskeys { .. } => "TOO_MANY_PASSKEYS",
            Self::NoSuchPasskey => "NOT_FOUND",
            Self::ProfileTooLong { .. } | Self::Text { .. } => "BAD_INPUT",
        }
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::Text { field, .. } => Some((*field).to_owned()),
            _ => None,
        }
    }
}
