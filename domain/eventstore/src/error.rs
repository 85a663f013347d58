//! What can go wrong between a command and the log.

use formats::{EventError, TenantId};
use uuid::Uuid;

use crate::vault::VaultError;

/// A failure of the store itself; never a rule of the domain.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// More commands wait than the tenant's queue holds. Nothing was written; try again in a moment.
    #[error("too many commands of this tenant are waiting")]
    Busy,
    /// The database did not answer in time. Whether the command was written is not known: send it again under the
    /// same id.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// No such tenant, or it was deleted.
    #[error("there is no log of tenant {0}")]
    UnknownTenant(TenantId),
    /// An event cannot be written as it is: a defect of the program.
    #[error("event `{event_type}` cannot be written: {reason}")]
    Unwritable {
        /// The event's type.
        event_type: String,
        /// Why.
        reason: String,
    },
    /// A stored row cannot be read: a defect of the program, or someone changed the database.
    #[error("stored {what} cannot be read: {reason}")]
    Unreadable {
        /// Which row.
        what: String,
        /// Why.
        reason: String,
    },
    /// A key cannot be used.
    #[error(transparent)]
    Vault(VaultError),
    /// The database refused a statement.
    #[error("the database refused: {0}")]
    Database(#[source] sqlx::Error),
}

impl StoreError {
    pub(crate) fn unwritable(event_type: &str, reason: impl ToString) -> Self {
        Self::Unwritable {
            event_type: event_type.to_owned(),
            reason: reason.to_string(),
        }
    }

    pub(crate) fn unreadable(what: impl ToString, reason: impl ToString) -> Self {
        Self::Unreadable {
            what: what.to_string(),
            reason: reason.to_string(),
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if is_outage(&error) {
            Self::Unavailable(error.to_string())
        } else {
            Self::Database(error)
        }
    }
}

impl From<VaultError> for StoreError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::NoKeys(tenant) => Self::UnknownTenant(tenant),
            VaultError::Database(error) => error.into(),
            other => Self::Vault(other),
        }
    }
}

impl From<EventError> for StoreError {
    fn from(error: EventError) -> Self {
        Self::unreadable("event", error)
    }
}

/// Who holds a unique value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The kind of aggregate, such as `user`.
    pub stream_type: String,
    /// The aggregate.
    pub stream_id: Uuid,
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError<E: std::error::Error> {
    /// A rule of the domain was broken.
    #[error(transparent)]
    Refused(E),
    /// The stream changed again and again, or is not at the version that was expected.
    #[error("the stream was changed by another command")]
    Conflict,
    /// The command's id was used before, with other content.
    #[error("this command id was used for another command")]
    KeyReused,
    /// A unique value belongs to another stream.
    #[error("the value in `{space}` is taken")]
    ClaimTaken {
        /// The kind of value, such as `user.email`.
        space: String,
        /// Who has it.
        holder: Holder,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether a statement failed because the database was away for the moment, so that a repeat may succeed. It may have
/// been carried out all the same.
pub(crate) fn is_outage(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
        // A connection that was cut in the middle of an answer.
        sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(e) => e.code().is_some_and(|code| {
            // Connection, insufficient resources (disk full, too many connections), operator intervention, lock and
            // deadlock, serialisation; a system error of the server's machine.
            ["08", "53", "57", "55P03", "40", "58"].iter().any(|class| code.starts_with(class))
                // `57014`: the statement took too long.
                || code == "25006" // a server that is still a standby
        }),
        _ => false,
    }
}
