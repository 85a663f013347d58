//! Values as they are kept: each of its attribute's kind, without what is not known.

use axum::extract::{FromRequest, Request};
use commands::{Refusal, visible::hides};
use serde_json::{Map, Value};

use super::schema::{Attribute, Kind};
use crate::{
    Answer, Problem,
    extract::{has_nul, is_json, is_scim, read_bytes, read_json},
};

/// The longest text of an attribute, in characters.
const TEXT_MAX: usize = 1_024;
/// The most values of one attribute of a user.
const VALUES_MAX: usize = 50;

/// A body: `application/scim+json` or `application/json`, one object, without U+0000.
pub(super) struct Document(pub(super) Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for Document {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Answer<Self> {
        if !is_scim(request.headers()) && !is_json(request.headers()) {
            return Err(Problem::media_type("application/scim+json"));
        }
        let bytes = read_bytes(request).await?;
        if has_nul(&bytes) {
            return Err(syntax("the character U+0000 is not taken in any text"));
        }
        match read_json(&bytes)? {
            Value::Object(map) => Ok(Self(map)),
            _ => Err(syntax("the body has to be one object")),
        }
    }
}

/// 400 `INVALID_SYNTAX`
pub(super) fn syntax(detail: impl Into<String>) -> Problem {
    Problem::bad_request("INVALID_SYNTAX", detail)
}

/// A value that is not of its attribute's kind.
pub(super) fn bad(field: &str, detail: impl std::fmt::Display) -> Problem {
    Refusal::bad_input(field, format!("{field} {detail}")).into()
}

/// A truth value, also where it is written as a text.
pub(super) fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// A value as it is kept; none where there is nothing to keep.
pub(super) fn kept(attribute: &'static Attribute, value: &Value, field: &str) -> Answer<Option<Value>> {
    if value.is_null() {
        return Ok(None);
    }
    if attribute.many {
        let list = match value {
            Value::Array(list) => list.as_slice(),
            one => std::slice::from_ref(one),
        };
        if list.len() > VALUES_MAX {
            return Err(bad(
                field,
                format!("has {} values, and {VALUES_MAX} are the most", list.len()),
            ));
        }
        let mut values = Vec::new();
        for (i, value) in list.iter().enumerate() {
            values.extend(single(attribute, value, &format!("{field}[{i}]"))?);
        }
        one_primary(&mut values);
        return Ok((!values.is_empty()).then_some(Value::Array(values)));
    }
    single(attribute, value, field)
}

fn single(attribute: &'static Attribute, value: &Value, field: &str) -> Answer<Option<Value>> {
    Ok(match attribute.kind {
        Kind::Boolean => Some(
            truth(value)
                .ok_or_else(|| bad(field, "has to be true or false"))?
                .into(),
        ),
        Kind::Text | Kind::Exact | Kind::Reference(_) | Kind::DateTime => match value {
            Value::Null => None,
            Value::String(text) if text.is_empty() => None,
            Value::String(text) => Some(checked(text, field)?.into()),
            _ => return Err(bad(field, "has to be a text")),
        },
        Kind::Complex(inside) => {
            // Identity providers write a manager, and the only address, as a bare text.
            let bare = |value: &Value| Map::from_iter([("value".to_owned(), value.clone())]);
            let map = match value {
                Value::Null => return Ok(None),
                Value::Object(map) => map.clone(),
                text @ Value::String(_) if super::schema::named(inside, "value").is_some() => bare(text),
                _ => return Err(bad(field, "has to be an object")),
            };
            let mut whole = Map::new();
            for (name, value) in &map {
                let Some(part) = super::schema::named(inside, name) else {
                    continue;
                };
                if let Some(value) = kept(part, value, &format!("{field}.{}", part.name))? {
                    whole.insert(part.name.to_owned(), value);
                }
            }
            (!whole.is_empty()).then_some(Value::Object(whole))
        }
    })
}

/// A text without characters that nobody sees or that turn the text around them.
fn checked<'a>(text: &'a str, field: &str) -> Answer<&'a str> {
    let length = text.chars().count();
    if length > TEXT_MAX {
        return Err(bad(
            field,
            format!("has {length} characters, and {TEXT_MAX} are the most"),
        ));
    }
    // An address has lines.
    let lines = text.replace(['\n', '\r'], " ");
    if hides(if field.ends_with("ddress") || field.ends_with("formatted") {
        &lines
    } else {
        text
    }) {
        return Err(bad(field, "has a character that is not seen or that turns the text"));
    }
    Ok(text)
}

/// At most one value is the first choice: the last one that says so.
fn one_primary(values: &mut [Value]) {
    let mut seen = false;
    for value in values.iter_mut().rev() {
        if value.get("primary") == Some(&Value::Bool(true)) {
            if seen {
                value["primary"] = Value::Bool(false);
            }
            seen = true;
        }
    }
}
