//! What is wrong with a document, by field.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One reason why a document is refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Problem {
    /// The field in JSON, with an index where one entry of a list is meant: `applications[2]`.
    pub field: String,
    /// Stable code in SCREAMING_SNAKE_CASE.
    pub code: String,
    /// One sentence for people.
    pub message: String,
}

impl Problem {
    /// A problem of one field.
    #[must_use]
    pub fn new(field: impl Into<String>, code: &str, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            code: code.to_owned(),
            message: message.into(),
        }
    }

    /// The same problem seen from outside: `prefix.field`.
    #[must_use]
    pub fn within(mut self, prefix: &str) -> Self {
        self.field = if self.field.is_empty() {
            prefix.to_owned()
        } else {
            format!("{prefix}.{}", self.field)
        };
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}
