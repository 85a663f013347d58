//! What agents did, one event per record, in the stream of the endpoint: the material of backtests and of explanations years later.

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
