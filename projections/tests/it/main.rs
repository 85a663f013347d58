//! The read models against a real log and a real database.

mod activity;
mod audit;
mod directory;
mod fleet;
mod mails;
mod policies;
mod requests;
mod timers;
mod world;
