//! A person with an account in a tenant. Passwords, TOTP secrets and sessions are state beside the log; the log says that they changed.

mod aggregate;
mod command;
mod error;
mod event;
mod profile;
mod provision;
#[cfg(test)]
mod tests;

pub use aggregate::*;
pub use command::*;
pub use error::*;
pub use event::*;
pub use profile::*;
