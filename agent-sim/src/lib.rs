//! The reference agent of Portcullis: one endpoint that enforces a deployment group's snapshot, asks people where the
//! policies say so, and records what happened. It shows what the protocol demands of an agent; it elevates nothing itself.
//!
//! It must never know the server's tables or its crates: what both sides share is in `formats` and `policy-engine`.
//! Start reading at [`Agent`]; [`Agent::sync`], [`Agent::ask`], [`Agent::submit`], [`Agent::wait_decision`] and
//! [`Agent::run_with_grant`] are one request's way. `src/plugin` is what `portcullis-agent run` keeps running.

mod agent;
mod approval;
mod ask;
mod attempt;
pub mod cli;
pub mod disk;
pub mod doors;
mod enforced;
mod error;
pub mod fleet;
pub mod link;
pub mod local;
pub mod plugin;
pub mod queue;
mod report;
mod state;
mod sync;

pub use agent::{Agent, Registration, Surroundings};
pub use ask::{Asked, Ran};
pub use attempt::{AttemptStatus, AttemptView};
pub use enforced::{Bodies, Body, Enforced};
pub use error::{AgentError, Untrusted};
pub use report::Status;
pub use state::{FiledRequest, HeldGrant, Identity};
pub use sync::Synced;
