//! What a read model has to offer so that the runner can keep it: a pure fold, and one flush.

use std::{future::Future, pin::Pin};

use eventstore::TenantTx;
use formats::{Actor, EventMeta, PersonId, TenantId, Timestamp};
use model::catalogue::AnyEvent;
use serde_json::{Map, Value};
use uuid::Uuid;

/// A future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A read model: its name, the version of its reducer, and where a fold begins.
///
/// Rows are keyed (tenant_id, build, …). They follow from the log alone: whatever is in `fold` and `flush` gives the
/// same rows whether a thousand events come in one batch or in a thousand.
pub trait Projection: Send + Sync + 'static {
    /// The name in `projection_checkpoint`, for ever: snake case, the folder's name.
    fn name(&self) -> &'static str;

    /// The version of the reducer, from 1. A higher one than that of the stored rows has them built anew.
    fn version(&self) -> u32;

    /// The tables it writes, all keyed (tenant_id, build, …), children before parents. The rows of a build that is no
    /// longer wanted are deleted there; tables of state are not named.
    fn tables(&self) -> &'static [&'static str];

    /// The stream types it follows; none for all. An event of another type is not shown to its fold, and cannot stop
    /// it where it is damaged.
    fn streams(&self) -> Option<&'static [&'static str]> {
        None
    }

    /// An empty delta.
    fn start(&self) -> Box<dyn Delta>;

    /// Called in the transaction in which a build takes the place of another one: the moment to bring what lies
    /// outside the rows (due work) up to this build. By default there is nothing of the kind.
    fn went_live<'a>(&'a self, tx: &'a mut TenantTx, build: Build) -> BoxFuture<'a, Result<(), FlushError>> {
        let _ = (tx, build);
        Box::pin(async { Ok(()) })
    }
}

/// What a batch of events changes, gathered in memory.
pub trait Delta: Send {
    /// Takes in one event. Pure: no clock, no randomness, nothing read. An event that fails leaves the delta in no
    /// particular state; it is thrown away.
    ///
    /// # Errors
    /// [`FoldError`] parks this projection of this tenant in front of the event.
    fn fold(&mut self, event: &Envelope) -> Result<(), FoldError>;

    /// Writes what was gathered: one statement a table, with `unnest` over all rows. The caller moves the cursor in the
    /// same transaction.
    ///
    /// # Errors
    /// [`FlushError`]; the transaction is rolled back, and unless the database was only away for the moment the
    /// projection is parked in front of the event at fault.
    fn flush<'a>(self: Box<Self>, tx: &'a mut TenantTx, build: Build) -> BoxFuture<'a, Result<(), FlushError>>;
}

/// Which rows a flush writes, and whether it may cause anything outside them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Build {
    /// The value of the column `build`.
    pub number: i32,
    /// Whether readers see it.
    pub live: bool,
    /// Effects of events up to this position were caused by an earlier build.
    pub effects_after: u64,
}

impl Build {
    /// Whether the event at this position may cause something outside the rows (a mail, a webhook).
    #[must_use]
    pub const fn causes_effects(self, position: u64) -> bool {
        position > self.effects_after
    }
}

/// One event, decoded once for all projections: at its newest schema, personal data opened.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// Whose log it is in.
    pub tenant: TenantId,
    /// Its number in the log, from 1.
    pub position: u64,
    /// The kind of aggregate, such as `request`.
    pub stream_type: String,
    /// The aggregate.
    pub stream_id: Uuid,
    /// Its number in the stream, from 1.
    pub stream_version: u64,
    /// What happened, such as `RequestSubmitted`.
    pub event_type: String,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// When it was written.
    pub recorded_at: Timestamp,
    /// Who did it.
    pub actor: Actor,
    /// In which surroundings. A person's address is in [`Envelope::address`], opened.
    pub meta: EventMeta,
    /// Where the command came from, unless that person was erased.
    pub address: Option<String>,
    /// Whose address it is, where it is a person's.
    pub address_person: Option<PersonId>,
    /// Whom the personal fields of the event are about.
    pub person: Option<PersonId>,
    /// What happened, as JSON: personal fields are `{"$personal": value}`, or `null` inside where erased.
    pub data: Map<String, Value>,
    /// What happened, typed.
    pub event: AnyEvent,
    /// The leaf hash of the stored bytes.
    pub leaf: [u8; 32],
}

/// Why an event cannot be folded: a defect of the reducer or of the event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FoldError(String);

impl FoldError {
    /// From the reason, for the operator who reads it in `projections status`.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl From<serde_json::Error> for FoldError {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// Why rows cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum FlushError {
    /// The database refused, or was away.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// A value has no place in a row.
    #[error("{0}")]
    Value(String),
}

impl From<serde_json::Error> for FlushError {
    fn from(error: serde_json::Error) -> Self {
        Self::Value(error.to_string())
    }
}
