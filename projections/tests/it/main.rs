//! The read models against a real log and a real database.

mod requests;
mod world;
