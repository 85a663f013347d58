//! The event store on a real PostgreSQL: every invariant of `docs/eventstore.md` that concerns it, each with a broken
//! variant on which the same check fails.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends at the first thing that is not as it says"
)]

mod apart;
mod batch;
mod cancelled;
mod checks;
mod commands;
mod crash;
mod data_key;
mod doorbell;
mod efficiency;
mod feed;
mod keys;
mod kms;
mod lanes;
mod member;
mod people;
mod pooler;
mod positions;
mod proxy;
mod purge;
mod schema;
mod snapshots;
mod upcast;
mod verify;
mod world;
