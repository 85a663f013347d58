//! An identity provider with which a tenant's people sign in (OpenID Connect). Its client secret is state beside the
//! log, wrapped; events name it by an id.
//!
//! ```text
//! configure ──► enabled ◄──► disabled ──► removed
//! ```

mod aggregate;
mod command;
mod definition;
mod error;
mod event;
#[cfg(test)]
mod tests;

pub use aggregate::*;
pub use command::*;
pub use definition::*;
pub use error::*;
pub use event::*;
