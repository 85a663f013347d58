//! No rule stands in the way of an entry.

use crate::Coded;

/// There is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {}

impl Coded for PlatformError {
    fn code(&self) -> &'static str {
        match *self {}
    }
}
