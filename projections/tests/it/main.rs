//! The read models against a real log and a real database.

mod activity;
mod audit;
mod directory;
mod fleet;
mod mails;
mod policies;
mod requests;
mod running;
mod tally;
mod timers;
mod world;
