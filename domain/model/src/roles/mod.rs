//! Who has which roles in a tenant: one stream, so that the last owner stays however many demote each other at once.

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
