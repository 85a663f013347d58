//! A tenant's door for identity providers: the tokens that open it, and how endpoint accounts are found by it. One stream
//! a tenant; what a token hashes to is state beside the log.

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
