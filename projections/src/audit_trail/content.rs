//! The data of an event, parted into what is personal and what is not, and the words by which it is found.

use std::collections::BTreeSet;

use formats::{Timestamp, id::decode_suffix};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::terms::terms;

/// Fields whose values are words of the product, keys or hashes: nobody searches for them in free text.
const SKIPPED: &[&str] = &[
    "actionType",
    "by",
    "cause",
    "channel",
    "digest",
    "digestMac",
    "engine",
    "flags",
    "how",
    "kind",
    "leaf",
    "method",
    "os",
    "outcome",
    "publicKey",
    "purpose",
    "source",
    "status",
    "steps",
    "type",
    "types",
];

/// Parts data into what stays in clear (personal fields are null there) and the personal fields; the latter are none
/// where there are none or the person was erased.
pub(super) fn part(data: &Map<String, Value>) -> (Value, Option<Value>) {
    let mut clear = Map::new();
    let mut personal = Map::new();
    for (name, value) in data {
        match value.as_object().and_then(|object| object.get("$personal")) {
            Some(value) => {
                clear.insert(name.clone(), Value::Null);
                if !value.is_null() {
                    personal.insert(name.clone(), value.clone());
                }
            }
            None => {
                clear.insert(name.clone(), value.clone());
            }
        }
    }
    (
        Value::Object(clear),
        (!personal.is_empty()).then_some(Value::Object(personal)),
    )
}

/// Puts the parts together again.
pub(super) fn join(clear: Value, personal: Option<Value>) -> Value {
    match (clear, personal) {
        (Value::Object(mut clear), Some(Value::Object(personal))) => {
            clear.extend(personal);
            Value::Object(clear)
        }
        (clear, _) => clear,
    }
}

/// The words of a document: of its texts, not of its ids, moments, hashes and enums.
pub(super) fn document_terms(document: &Value) -> BTreeSet<String> {
    let mut texts = Vec::new();
    gather(document, &mut texts);
    terms(texts)
}

fn gather<'a>(value: &'a Value, texts: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => {
            if id(text).is_none() && text.parse::<Timestamp>().is_err() {
                texts.push(text);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| gather(value, texts)),
        Value::Object(fields) => {
            for (name, value) in fields {
                if !SKIPPED.contains(&name.as_str()) {
                    gather(value, texts);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The UUID of an id of any kind, such as `req_01h2xcejqtf2nbrexx3vqjhp41`.
pub(super) fn id(text: &str) -> Option<Uuid> {
    let (prefix, suffix) = text.split_once('_')?;
    if prefix.len() != 3 || !prefix.bytes().all(|b| b.is_ascii_lowercase()) {
        return None;
    }
    decode_suffix(suffix).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn personal_fields_are_parted_from_the_rest_and_come_back() {
        let data = json!({"request": "req_01h2xcejqtf2nbrexx3vqjhp41", "comment": {"$personal": "Fine"}});
        let (clear, personal) = part(data.as_object().unwrap());
        assert_eq!(
            clear,
            json!({"request": "req_01h2xcejqtf2nbrexx3vqjhp41", "comment": null})
        );
        assert_eq!(personal, Some(json!({"comment": "Fine"})));
        assert_eq!(join(clear.clone(), personal)["comment"], "Fine");
        let erased = json!({"request": "req_01h2xcejqtf2nbrexx3vqjhp41", "comment": {"$personal": null}});
        assert_eq!(part(erased.as_object().unwrap()), (clear, None));
    }

    #[test]
    fn texts_are_searched_and_ids_moments_and_enums_are_not() {
        let document = json!({
            "request": "req_01h2xcejqtf2nbrexx3vqjhp41", "at": "2026-03-02T09:00:00.500Z", "outcome": "denied",
            "input": {"action": {"type": "file_access", "application": {"path": "C:\\Temp\\Setup.exe"}}, "n": 3},
            "members": ["machine:WS-04*"],
        });
        let all: Vec<_> = document_terms(&document).into_iter().collect();
        assert_eq!(all, ["04", "exe", "machine", "setup", "temp", "ws"]);
    }
}
