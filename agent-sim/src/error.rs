//! What can go wrong, by what the caller can do about it.

use formats::{
    agent_wire::Problem, grant::GrantError, keyset::KeySetError, mfa::MfaProofError, statement::StatementError,
};

use crate::disk::DiskError;

/// Why the agent did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The server can't be reached, is not well, or has suspended the tenant. The agent acts as offline.
    #[error("the server can't be reached: {0}")]
    Offline(String),
    /// The server answered and said no.
    #[error("the server refused ({}): {}", .0.code, .0.detail.as_deref().unwrap_or(&.0.title))]
    Refused(Box<Problem>),
    /// The server's answer is not one of the protocol.
    #[error("the server's answer makes no sense: {0}")]
    Protocol(String),
    /// The server's answer does not verify. Nothing of it was taken.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    /// No snapshot was ever verified, so nothing can be decided.
    #[error("no policy snapshot has been verified yet")]
    NoSnapshot,
    /// There is no such attempt of this account.
    #[error("there is no such attempt")]
    UnknownAttempt,
    /// What was asked does not fit where the action stands.
    #[error("{0}")]
    NotNow(&'static str),
    /// The justification is too short or too long.
    #[error("a justification needs {least} to 4096 characters")]
    Justification {
        /// The tenant's least length.
        least: usize,
    },
    /// The address of the server, or another setting, can't be used.
    #[error("{0}")]
    Setting(String),
    /// The agent's own files.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Something signed that the agent did not accept. It keeps what it has.
#[derive(Debug, thiserror::Error)]
pub enum Untrusted {
    /// A key set.
    #[error(transparent)]
    KeySet(#[from] KeySetError),
    /// A snapshot statement.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// An answer without a statement.
    #[error("the snapshot came without a statement")]
    NoStatement,
    /// 304 together with a statement about a body that the agent does not have.
    #[error("the server says that nothing changed, and states another snapshot")]
    NotModified,
    /// A body that is not the one of the statement.
    #[error("the snapshot's body is not the one of its statement")]
    Body,
    /// A body that is no snapshot, though it was signed.
    #[error("the snapshot can't be read: {0}")]
    Shape(String),
    /// More data than any snapshot has.
    #[error("the answer is longer than {0} bytes")]
    Endless(usize),
    /// A grant.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// A proof of a one-time code.
    #[error(transparent)]
    Mfa(#[from] MfaProofError),
    /// An access token that is not for this endpoint.
    #[error("the access token is not one for this endpoint")]
    Token,
}

impl AgentError {
    /// Whether the same call may succeed later without anybody doing anything.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Offline(_) => true,
            Self::Refused(problem) => problem.status == 429 || problem.status >= 500,
            _ => false,
        }
    }
}
