//! Scalars of the API.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use commands::Refusal;
use formats::{ActionDigest, Timestamp};

use super::error::Answer;

/// RFC 3339 in UTC with milliseconds: `2026-11-26T05:36:56.123Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DateTime(pub(crate) Timestamp);

#[Scalar]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) => Ok(Self(text.parse::<Timestamp>()?)),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

impl From<Timestamp> for DateTime {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

/// The gapless number of an event in the tenant's log, a JSON number from 1 to 2^53 - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position(pub(crate) u64);

/// The greatest integer that every JSON reader keeps.
const GREATEST: u64 = (1 << 53) - 1;

#[Scalar]
impl ScalarType for Position {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::Number(number) => match number.as_u64().filter(|n| *n <= GREATEST) {
                Some(number) => Ok(Self(number)),
                None => Err(InputValueError::custom("an integer from 0 to 2^53 - 1 is wanted here")),
            },
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::Number(self.0.into())
    }
}

/// SHA-256 of an action (64 lower-case hexadecimal digits), see docs/formats.md § 5.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digest(pub(crate) String);

#[Scalar]
impl ScalarType for Digest {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) => Ok(Self(text.parse::<ActionDigest>()?.to_string())),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

/// A policy document: a JSON object in the shape of docs/domain.md § 2, the same for editors, import and snapshots.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PolicyDocument(serde_json::Value);

#[Scalar]
impl ScalarType for PolicyDocument {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::Object(_) => Ok(Self(value.into_json()?)),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn to_value(&self) -> Value {
        Value::from_json(self.0.clone()).unwrap_or_default()
    }
}

impl PolicyDocument {
    /// The document as the engine has it, every default filled in.
    pub(crate) fn of(document: &policy_engine::PolicyDocument) -> Answer<Self> {
        Ok(Self(serde_json::to_value(document).map_err(Refusal::internal)?))
    }

    /// What it says. What cannot be read is `BAD_INPUT` on `document` and the field.
    pub(crate) fn read(&self) -> Answer<policy_engine::PolicyDocument> {
        read_at("document", &self.0)
    }
}

/// Reads JSON that stands in an input field.
pub(crate) fn read_at<T: serde::de::DeserializeOwned>(field: &str, value: &serde_json::Value) -> Answer<T> {
    let bytes = serde_json::to_vec(value).map_err(Refusal::internal)?;
    crate::extract::read_json(&bytes).map_err(|problem| {
        let refusal = problem.refusal().clone();
        let inner = refusal.field.as_deref().unwrap_or_default();
        let path = if inner.is_empty() {
            field.to_owned()
        } else {
            format!("{field}.{inner}")
        };
        refusal.on(path).into()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_position_is_a_json_number_that_every_reader_keeps() {
        assert_eq!(Position::parse(Value::Number(7.into())).unwrap(), Position(7));
        assert!(Position::parse(Value::Number((GREATEST + 1).into())).is_err());
        assert!(Position::parse(Value::Number((-1).into())).is_err());
        assert!(Position::parse(Value::String("7".into())).is_err());
    }

    #[test]
    fn a_wrong_field_of_a_document_is_named_from_the_input() {
        let document = PolicyDocument(json!({"name": "x", "type": "privilege_elevation", "status": "on"}));
        let error = async_graphql::Error::from(document.read().unwrap_err());
        let extensions = serde_json::to_value(error).unwrap()["extensions"].clone();
        assert_eq!(extensions["field"], "document.status");
        assert_eq!(extensions["code"], "BAD_INPUT");
    }
}
