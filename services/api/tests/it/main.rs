//! The doors over a real database: what callers send and what they get.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends at the first thing that is not as it says"
)]

mod agents;
mod approve;
mod audit;
mod audited;
mod auth;
mod doors;
mod errors;
mod graphql;
mod keys;
mod oidc;
mod passkeys;
mod platform;
mod raw;
mod routes;
mod scim;
mod secrets;
mod sweep;
mod two_processes;
mod unknown;
mod world;
