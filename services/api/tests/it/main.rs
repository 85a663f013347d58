//! The doors over a real database: what callers send and what they get.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends at the first thing that is not as it says"
)]

mod agents;
mod approve;
mod audit;
mod auth;
mod doors;
mod errors;
mod graphql;
mod passkeys;
mod keys;
mod oidc;
mod platform;
mod sweep;
mod unknown;
mod scim;
mod world;
