//! The use cases: who asks, whether they may, what has to be looked up, and the command that follows.
//!
//! Every door (HTTP, GraphQL, scheduler, reactors, command line) comes through [`App`]; none runs an aggregate itself.
//! Roles are judged in one place, [`access`]. Nothing here knows HTTP, GraphQL or SMTP. Start reading at
//! [`App::approve`](crate::App) in `requests/decide.rs`.

pub mod access;
mod activity;
mod app;
mod approval_rules;
pub mod auth;
mod caller;
mod collections;
mod fleet;
mod insight;
mod kept;
pub mod keys;
mod mails;
pub mod moments;
pub mod outbound;
mod people;
mod platform;
mod policies;
mod refusal;
mod requests;
pub mod scim;
mod service_accounts;
mod settings;
mod team_roles;
mod teams;
mod tenants;
pub mod visible;

pub use access::Act;
pub use app::{App, Config, Written};
pub use caller::{Caller, Origin, Principal};
pub use eventstore::Purge;
pub use insight::{Draft, Explained, IMPACT_DAYS, Impact, ImpactExample, PolicyCheck};
pub use people::NewUser;
pub use platform::{PLATFORM, PLATFORM_LOG_MAX, PlatformCredential, PlatformEntry};
pub use refusal::{Outcome, Refusal};
pub use requests::{BulkItem, Eligible, MfaInput, Side, Submitted};
pub use service_accounts::Issued;
pub use tenants::{CreatedTenant, NewTenant, TenantRow};
