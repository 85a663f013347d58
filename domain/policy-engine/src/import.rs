//! Reading policies from files: our own JSON here, a foreign product's in [`crate::keeper`]; and judging what was read.

mod judge;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::document::{Baseline, Collection, PolicyDocument};
use crate::problem::Problem;

pub use judge::{Found, Judged};

/// What `policy export` writes and `policy import` reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Bundle {
    /// The policies, in document order.
    pub policies: Vec<PolicyDocument>,
    /// Collections by name.
    pub collections: BTreeMap<String, Collection>,
    /// The tenant's baseline.
    pub baseline: Baseline,
}

/// Whose JSON a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A policy document of ours, a list of them, or a [`Bundle`].
    Native,
    /// Keeper EPM's, in either of its shapes.
    Keeper,
}

/// Tells whose JSON a text is; none where it is neither.
#[must_use]
pub fn detect(text: &str) -> Option<Format> {
    let value: Value = serde_json::from_str(text).ok()?;
    let policy = first_policy(&value)?;
    if crate::keeper::looks_like(policy) {
        return Some(Format::Keeper);
    }
    let ours = ["name", "type"].iter().all(|field| policy.contains_key(*field));
    let is_bundle = ["policies", "collections", "baseline"]
        .iter()
        .any(|field| value.get(field).is_some());
    (ours || is_bundle).then_some(Format::Native)
}

/// The first policy of whatever shape: itself, the first of a list, the first under `policies`.
fn first_policy(value: &Value) -> Option<&serde_json::Map<String, Value>> {
    match value {
        Value::Array(list) => list.first()?.as_object(),
        Value::Object(object) => match object.get("policies").or_else(|| object.get("Policies")) {
            Some(Value::Array(list)) => list.first().map_or(Some(object), Value::as_object),
            _ => Some(object),
        },
        _ => None,
    }
}

/// Reads our own JSON: one policy document, a list of them, or a [`Bundle`]. Syntax only; [`crate::validate`] judges.
///
/// # Errors
/// One [`Problem`] that names the place of the first thing that cannot be read.
pub fn parse_native(text: &str) -> Result<Bundle, Vec<Problem>> {
    let value: Value = read(text)?;
    let is_bundle = ["policies", "collections", "baseline"]
        .iter()
        .any(|field| value.get(field).is_some());
    match value {
        Value::Array(_) => Ok(Bundle {
            policies: read(text)?,
            ..Bundle::default()
        }),
        Value::Object(_) if is_bundle => read(text),
        _ => Ok(Bundle {
            policies: vec![read(text)?],
            ..Bundle::default()
        }),
    }
}

/// Reads one policy document, as [`parse_native`] does.
///
/// # Errors
/// One [`Problem`] that names the field.
pub fn parse_policy(text: &str) -> Result<PolicyDocument, Vec<Problem>> {
    read(text)
}

fn read<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, Vec<Problem>> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    match serde_path_to_error::deserialize(&mut deserializer) {
        Ok(value) => match deserializer.end() {
            Ok(()) => Ok(value),
            Err(error) => Err(vec![Problem::new("", "BAD_JSON", error.to_string())]),
        },
        Err(error) => {
            let path = error.path().to_string();
            let inner = error.into_inner();
            let code = if inner.is_data() { "BAD_FIELD" } else { "BAD_JSON" };
            Err(vec![Problem::new(field_of(&path, &inner), code, inner.to_string())])
        }
    }
}

/// The place of an error; a missing or unknown field is named by the message, not by the path.
fn field_of(path: &str, error: &serde_json::Error) -> String {
    let path = if path == "." { "" } else { path };
    let message = error.to_string();
    let named = ["missing field `", "unknown field `", "duplicate field `"]
        .iter()
        .find_map(|start| message.strip_prefix(start)?.split('`').next().map(str::to_owned));
    match named {
        Some(field) if path.is_empty() => field,
        Some(field) if path.rsplit('.').next() != Some(field.as_str()) => format!("{path}.{field}"),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_field_is_named() {
        for (text, field) in [
            (r#"{"name":"a","type":"file_access"}"#, "status"),
            (
                r#"{"name":"a","type":"file_access","status":"off","colour":1}"#,
                "colour",
            ),
            (
                r#"{"name":"a","type":"file_access","status":"off","riskLevel":-1}"#,
                "riskLevel",
            ),
            (
                r#"[{"name":"a","type":"file_access","status":"off","days":["mon","someday"]}]"#,
                "[0].days[1]",
            ),
            (
                r#"{"policies":[{"name":"a","type":"x","status":"off"}]}"#,
                "policies[0].type",
            ),
            (
                r#"{"name":"a","type":"file_access","status":"off","notification":{"text":"x"}}"#,
                "notification.text",
            ),
        ] {
            let problems = parse_native(text).expect_err(text);
            assert_eq!(problems[0].field, field, "{text}: {problems:?}");
        }
    }

    #[test]
    fn one_policy_a_list_and_a_bundle_are_all_read() {
        let one = r#"{"name":"a","type":"file_access","status":"off"}"#;
        for text in [
            one.to_owned(),
            format!("[{one}]"),
            format!(r#"{{"policies":[{one}],"baseline":{{}}}}"#),
        ] {
            assert_eq!(detect(&text), Some(Format::Native));
            assert_eq!(parse_native(&text).expect("readable").policies.len(), 1, "{text}");
        }
        assert_eq!(detect("{}"), None);
        assert_eq!(detect("nonsense"), None);
    }
}
