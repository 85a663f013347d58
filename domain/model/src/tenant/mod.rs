//! One customer organisation: its life, its settings, the epoch of its log and the versions of its key set.

mod aggregate;
mod command;
mod error;
mod event;
#[cfg(test)]
mod tests;

pub(crate) use aggregate::check_windows;
pub use aggregate::*;
pub use command::*;
pub use error::*;
pub use event::*;
