//! An action waiting for human approval, and the grant that an approval yields.
//!
//! ```text
//! pending ──(deadline, secondary approvers)──► escalated
//!    │                                             │
//!    ├──► approved ◄──────────────────────────────┤   grant: active ──► exhausted | expired | revoked
//!    ├──► denied ◄────────────────────────────────┤
//!    ├──► expired ◄───────────────────────────────┤
//!    └──► cancelled ◄─────────────────────────────┘
//! ```
//!
//! A command is judged by the moment it carries, not by whether the scheduler ran: it is valid strictly before a
//! deadline and refused at and after it (`docs/domain.md § 3`). Terminal states never reopen.

mod aggregate;
mod command;
mod error;
mod event;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;

pub use aggregate::{GrantState, GrantStatus, Request, Status};
pub use command::{By, DecisionFacts, Narrowing, RequestCommand, Submission};
pub use error::RequestError;
pub use event::*;
