//! The platform's own log: what operators asked for. It has no state; one stream, in a tenant of its own.

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
