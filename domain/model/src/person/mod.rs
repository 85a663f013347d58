//! Whom personal data is about: at most one user and any number of endpoint accounts, made at first sight.

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
