//! What the errors of all aggregates have in common.

use formats::Timestamp;

/// A refusal with a stable code (`api-schema/errors.md`) and, for bad input, the field it is about.
pub trait Coded: std::error::Error {
    /// SCREAMING_SNAKE_CASE, never changed once shipped.
    fn code(&self) -> &'static str;

    /// The field of the input that is wrong, as the API names it.
    fn field(&self) -> Option<String> {
        None
    }

    /// When what the rule is about happened or is due. Messages leave it out, so that whoever shows it can put it into
    /// the reader's own time zone.
    fn at(&self) -> Option<Timestamp> {
        None
    }
}
