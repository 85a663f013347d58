//! Canonical JSON (RFC 8785): one byte sequence per value, so that hashes and signatures can cover it.

use serde::Serialize;
use serde_json::{Number, Value};

/// The largest integer that every JSON reader holds exactly: 2^53 − 1.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

/// Why a value has no canonical form here.
#[derive(Debug, thiserror::Error)]
pub enum CanonicalError {
    /// A number with a fraction or an exponent; nothing in the product's formats has one.
    #[error("a floating point number has no place in a canonical value")]
    Float,
    /// An integer beyond ±(2^53 − 1).
    #[error("an integer beyond ±(2^53 − 1) has no place in a canonical value")]
    Integer,
    /// The value could not be made into JSON at all (a map with keys that are no strings, for example).
    #[error("not representable as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// The canonical bytes of a value. No type of the product's formats has a float; one that is not a number would arrive
/// here as `null`, as JSON has no word for it.
///
/// # Errors
/// [`CanonicalError`] for floats, integers beyond ±(2^53 − 1) and values that are not JSON.
pub fn canonical<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    let value = serde_json::to_value(value)?;
    check(&value)?;
    Ok(serde_json_canonicalizer::to_vec(&value)?)
}

fn check(value: &Value) -> Result<(), CanonicalError> {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
        Value::Number(n) => check_number(n),
        Value::Array(items) => items.iter().try_for_each(check),
        Value::Object(fields) => fields.values().try_for_each(check),
    }
}

fn check_number(n: &Number) -> Result<(), CanonicalError> {
    let magnitude = n
        .as_u64()
        .or_else(|| n.as_i64().map(i64::unsigned_abs))
        .ok_or(CanonicalError::Float)?;
    if magnitude <= MAX_INTEGER {
        Ok(())
    } else {
        Err(CanonicalError::Integer)
    }
}
