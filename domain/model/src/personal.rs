//! Personal data in events.

use serde::{Deserialize, Serialize};

/// A value that is personal data: it is sealed in the log, and gone once the person's key is destroyed.
///
/// In JSON it is `{"$personal": value}`, or `{"$personal": null}` where it was erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Personal<T> {
    #[serde(rename = "$personal")]
    value: Option<T>,
}

impl<T> Personal<T> {
    /// A known value.
    pub const fn new(value: T) -> Self {
        Self { value: Some(value) }
    }

    /// A value whose key was destroyed.
    #[must_use]
    pub const fn erased() -> Self {
        Self { value: None }
    }

    /// The value, unless it was erased.
    pub const fn get(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// The value, unless it was erased.
    pub fn into_inner(self) -> Option<T> {
        self.value
    }
}

impl<T> Default for Personal<T> {
    fn default() -> Self {
        Self::erased()
    }
}

impl<T> From<T> for Personal<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}
