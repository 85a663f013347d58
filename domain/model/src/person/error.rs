//! The rules a command on a person can break.

use formats::UserId;

use crate::{Coded, text::TextError};

/// A refusal, named by the rule broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PersonError {
    /// There is no such person.
    #[error("there is no such endpoint account")]
    NotFound,
    /// The account is known already.
    #[error("this endpoint account is known already")]
    AlreadySeen,
    /// At most one user a person.
    #[error("this endpoint account is linked to {user} already")]
    AlreadyLinked {
        /// To whom.
        user: UserId,
    },
    /// There is nothing to unlink.
    #[error("this endpoint account is linked to nobody")]
    NotLinked,
    /// The person's data is gone.
    #[error("this person was erased")]
    Erased,
    /// The account's name is not fit.
    #[error("account {error}")]
    Account {
        /// What is wrong with it.
        error: TextError,
    },
}

impl Coded for PersonError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "NOT_FOUND",
            Self::AlreadySeen => "ALREADY_EXISTS",
            Self::AlreadyLinked { .. } => "ALREADY_LINKED",
            Self::NotLinked => "NOT_LINKED",
            Self::Erased => "PERSON_ERASED",
            Self::Account { .. } => "BAD_INPUT",
        }
    }

    fn field(&self) -> Option<String> {
        matches!(self, Self::Account { .. }).then(|| "account".to_owned())
    }
}
