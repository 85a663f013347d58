//! The write side's rules: one folder per aggregate, each with its events, commands, errors and a pure `decide`.
//!
//! Nothing here knows a database, a network, a clock or randomness: the moment, the ids and whatever was looked up
//! come in the command. Start reading at [`request`], the heart of the product; the words are those of
//! `docs/domain.md § 1`.
//!
//! Personal data stands only in fields of type [`Personal`]; the event store seals them under the key of
//! [`EventData::person`]. The state of an aggregate holds none, so that its snapshots need no sealing.

mod aggregate;
mod error;
mod personal;

pub mod activity;
pub mod approval_rule;
pub mod catalogue;
pub mod collection;
pub mod deployment;
pub mod endpoint;
pub mod identity_provider;
pub mod person;
pub mod platform;
pub mod policy;
mod read_event;
pub mod request;
pub mod role;
pub mod roles;
pub mod schema;
pub mod scim;
pub mod service_account;
pub mod team;
pub mod tenant;
pub mod text;
pub mod user;

pub use aggregate::{ClaimChange, EventData, Noun};
pub use error::Coded;
pub use personal::Personal;
pub use read_event::read_event;
pub use role::{Role, Scope};
