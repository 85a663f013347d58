//! The formats that can't change after the first event: ids, times, canonical bytes, credentials, event bodies,
//! sealing, digests, signatures, snapshot statements and command ids.
//!
//! Everything here is pure: no I/O, no database, no ambient clock or randomness (they come in through [`Ambient`]).
//! Server and agent use the same code. Start reading at [`event`] for the log and at [`id`] for the names of things.
//! The rules are those of `docs/formats.md`; a change is a new version of a format, never a reinterpretation.

pub mod ambient;
pub mod id;
pub mod timestamp;

pub use ambient::{Ambient, Clock, Entropy, ManualClock, SeededEntropy};
pub use id::*;
pub use timestamp::Timestamp;
