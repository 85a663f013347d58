//! The read models against a real log and a real database.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it says"
)]

mod activity;
mod apart;
mod audit;
mod directory;
mod fleet;
mod history;
mod inventory;
mod mails;
mod policies;
mod races;
mod rebuilding;
mod requests;
mod running;
mod tally;
mod timers;
mod world;
