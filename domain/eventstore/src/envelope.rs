//! What goes into the store with a command, what comes out, and how the store works.

use std::{ops::RangeInclusive, time::Duration};

use formats::{Actor, PersonId, Timestamp};
use uuid::Uuid;

use crate::append::Written;

/// What surrounds a command: who sent it, under which id, from where.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// The id under which a repeat is recognised (`docs/formats.md § 9`).
    pub command_id: Uuid,
    /// A hash of what was asked for: the same id with another one is refused.
    pub fingerprint: [u8; 32],
    /// Who sent it.
    pub actor: Actor,
    /// The person who acts, under whose key the address is sealed; none for machines.
    pub person: Option<PersonId>,
    /// The request or run it belongs to.
    pub correlation: Uuid,
    /// The position of the event that caused it, where a timer or reactor sent it.
    pub causation: Option<u64>,
    /// The W3C trace context.
    pub traceparent: Option<String>,
    /// The network address it came from.
    pub address: Option<String>,
    /// The moment of the command, where it is not now: `recordedAt` of its events.
    pub time: Option<Timestamp>,
}

impl Envelope {
    /// A command of the product itself, without an address.
    #[must_use]
    pub const fn system(command_id: Uuid, fingerprint: [u8; 32], correlation: Uuid) -> Self {
        Self {
            command_id,
            fingerprint,
            actor: Actor::system(),
            person: None,
            correlation,
            causation: None,
            traceparent: None,
            address: None,
            time: None,
        }
    }
}

impl Envelope {
    /// What a caller may have chosen and a column keeps.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        [&self.actor.id, &self.actor.method, &self.traceparent, &self.address]
            .into_iter()
            .flatten()
            .map(String::as_str)
    }
}

/// A command that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done<E> {
    /// Where its events are in the log. Empty where there was none; its end is then the head at that time, so that
    /// waiting for [`Done::last`] shows the caller at least what the command saw.
    pub positions: RangeInclusive<u64>,
    /// The stream; for a duplicate, the one of the first time.
    pub stream_id: Uuid,
    /// The stream's version after it.
    pub version: u64,
    /// Its events; for a duplicate, as read from the log.
    pub events: Vec<E>,
    /// Whether it had been carried out before, and this is the answer of that time.
    pub duplicate: bool,
}

impl<E> Done<E> {
    /// The position to wait for to read one's own write.
    #[must_use]
    pub const fn last(&self) -> u64 {
        *self.positions.end()
    }
}

/// How a store works. The defaults are meant for production.
#[derive(Debug, Clone)]
pub struct Options {
    /// Commands of a tenant that may wait in this process (1,024).
    pub queue: usize,
    /// Batches of commands under way at once, each on a connection of its own beside the pool's (2). Those that wait for
    /// one tenant's head go aside.
    pub writers: u32,
    /// Batches of reads under way at once, each on a connection of its own beside the pool's (4).
    pub readers: u32,
    /// Commands of a batch, of as many tenants as have any (256).
    pub batch: usize,
    /// Bytes of a batch (1 MiB).
    pub batch_bytes: usize,
    /// How long a command waits for its verdict (2 s).
    pub answer_within: Duration,
    /// How long a batch is sent again while the database is away (1.5 s).
    pub retry_within: Duration,
    /// How often a command is decided anew when the stream changed meanwhile (16).
    pub retries: u32,
    /// Every how many versions of a stream its state is kept (100).
    pub snapshot_every: u64,
    /// States of aggregates kept in memory (8,192).
    pub states: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            queue: 1_024,
            writers: 2,
            readers: 4,
            batch: 256,
            batch_bytes: 1 << 20,
            answer_within: Duration::from_secs(2),
            retry_within: Duration::from_millis(1_500),
            retries: 16,
            snapshot_every: 100,
            states: 8_192,
        }
    }
}

/// An answer from what the database said.
pub(crate) fn done<E>(written: Written, events: Vec<E>, duplicate: bool) -> Done<E> {
    Done {
        positions: written.first..=written.last,
        stream_id: written.stream_id,
        version: written.version,
        events,
        duplicate,
    }
}
