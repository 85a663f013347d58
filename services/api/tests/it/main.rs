//! The doors over a real database: what callers send and what they get.

mod agents;
mod approve;
mod audit;
mod auth;
mod doors;
mod errors;
mod graphql;
mod platform;
mod world;
