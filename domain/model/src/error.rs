//! What the errors of all aggregates have in common.

/// A refusal with a stable code (`api-schema/errors.md`) and, for bad input, the field it is about.
pub trait Coded: std::error::Error {
    /// SCREAMING_SNAKE_CASE, never changed once shipped.
    fn code(&self) -> &'static str;

    /// The field of the input that is wrong, as the API names it.
    fn field(&self) -> Option<String> {
        None
    }
}
