//! A rule set with numbered revisions: its life, its staged rollout. What it says is judged by the engine crate.

mod aggregate;
mod command;
mod error;
mod event;
#[cfg(test)]
mod tests;

pub use aggregate::*;
pub use command::*;
pub use error::*;
pub use event::*;
