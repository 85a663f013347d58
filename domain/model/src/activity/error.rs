//! The rules a batch of records can break.

use crate::Coded;

/// A refusal, named by the rule broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ActivityError {
    /// Numbers begin at 1.
    #[error("seq has to be 1 or more and below 2^53")]
    SeqOutOfRange,
    /// Too many gaps to remember.
    #[error("the record is too far ahead: more than {limit} gaps are open")]
    TooManyGaps {
        /// The most.
        limit: usize,
    },
    /// Other records came in meanwhile.
    #[error("other records of this endpoint were stored meanwhile")]
    Moved,
}

impl Coded for ActivityError {
    fn code(&self) -> &'static str {
        match self {
            Self::SeqOutOfRange => "BAD_INPUT",
            Self::TooManyGaps { .. } => "TOO_MANY_GAPS",
            Self::Moved => "CONFLICT",
        }
    }

    fn field(&self) -> Option<String> {
        Some("seq".to_owned())
    }
}
