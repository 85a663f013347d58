//! JSON and form bodies.

use axum::{
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use commands::Refusal;
use serde::{Serialize, de::DeserializeOwned};

use super::read_bytes;
use crate::{Answer, Problem};

/// A JSON body, in and out. In: `Content-Type: application/json` only, within the route's length, without U+0000; an
/// unknown, missing or wrong field is named by its path.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Answer<Self> {
        if !is_json(request.headers()) {
            return Err(Problem::media_type("application/json"));
        }
        let bytes = read_bytes(request).await?;
        if has_nul(&bytes) {
            return Err(Problem::bad_request(
                "MALFORMED_JSON",
                "the character U+0000 is not taken in any text",
            ));
        }
        read_json(&bytes).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// A body as HTML forms send it. An unknown field is refused where the type says so.
#[derive(Debug, Clone, Copy)]
pub struct Form<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Form<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Answer<Self> {
        if !is(request.headers(), "application/x-www-form-urlencoded") {
            return Err(Problem::media_type("application/x-www-form-urlencoded"));
        }
        let bytes = read_bytes(request).await?;
        let read = serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(url_pairs(&bytes)));
        read.map(Self)
            .map_err(|error| wrong_field(&error.path().to_string(), &error.inner().to_string()))
    }
}

fn url_pairs(bytes: &[u8]) -> form_urlencoded::Parse<'_> {
    form_urlencoded::parse(bytes)
}

/// Whether a body says that it is JSON.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    is(headers, "application/json")
}

/// Whether a body says that it is SCIM's JSON.
pub(crate) fn is_scim(headers: &HeaderMap) -> bool {
    is(headers, "application/scim+json")
}

fn is(headers: &HeaderMap, wanted: &str) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    kind.split(';')
        .next()
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case(wanted))
}

/// Reads JSON. What is not JSON is 400 `MALFORMED_JSON`; what is JSON of another shape is 422 `BAD_INPUT` on a field.
pub(crate) fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Answer<T> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let cause = error.into_inner();
        if cause.is_data() {
            wrong_field(&path, &cause.to_string())
        } else {
            malformed(&cause)
        }
    })?;
    deserializer.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

fn malformed(error: &serde_json::Error) -> Problem {
    Problem::bad_request("MALFORMED_JSON", format!("this is not JSON: {error}"))
}

/// Whether any string holds U+0000, which no text of the database does. A backslash stands in strings only.
pub(crate) fn has_nul(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        if rest[at + 1..].starts_with(b"u0000") {
            return true;
        }
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    false
}

/// serde says which field it does not know or misses, but as a part of its sentence.
pub(super) fn wrong_field(path: &str, message: &str) -> Problem {
    let message = message.rsplit_once(" at line ").map_or(message, |(words, _)| words);
    let within = if path == "." || path == "?" {
        ""
    } else {
        path.trim_end_matches(".?").trim_end_matches('?')
    };
    let named = ["unknown field `", "missing field `", "duplicate field `"]
        .iter()
        .find_map(|start| message.strip_prefix(start)?.split_once('`').map(|(name, _)| name));
    let field = match named {
        Some(name) if within == name || within.ends_with(&format!(".{name}")) => within.to_owned(),
        Some(name) if within.is_empty() => name.to_owned(),
        Some(name) => format!("{within}.{name}"),
        None => within.to_owned(),
    };
    let problem = Problem::from(Refusal::new(
        "BAD_INPUT",
        StatusCode::UNPROCESSABLE_ENTITY.as_u16(),
        message,
    ));
    if field.is_empty() { problem } else { problem.on(field) }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Outer {
        inner: Vec<Inner>,
        #[serde(default)]
        some_text: String,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        number: u32,
    }

    fn field(json: &str) -> (&'static str, Option<String>) {
        let problem = read_json::<Outer>(json.as_bytes()).unwrap_err();
        (problem.code(), problem.refusal().field.clone())
    }

    #[test]
    fn a_wrong_field_is_named_by_its_path() {
        assert_eq!(
            field(r#"{"inner":[{"number":"x"}]}"#),
            ("BAD_INPUT", Some("inner[0].number".to_owned()))
        );
        assert_eq!(
            field(r#"{"inner":[],"someText":3}"#),
            ("BAD_INPUT", Some("someText".to_owned()))
        );
    }

    #[test]
    fn unknown_and_missing_fields_are_named() {
        assert_eq!(
            field(r#"{"inner":[],"extra":1}"#),
            ("BAD_INPUT", Some("extra".to_owned()))
        );
        assert_eq!(
            field(r#"{"inner":[{"number":1,"more":2}]}"#),
            ("BAD_INPUT", Some("inner[0].more".to_owned()))
        );
        assert_eq!(field("{}"), ("BAD_INPUT", Some("inner".to_owned())));
        assert_eq!(
            field(r#"{"inner":[{}]}"#),
            ("BAD_INPUT", Some("inner[0].number".to_owned()))
        );
        assert_eq!(
            field(r#"{"inner":[],"inner":[]}"#),
            ("BAD_INPUT", Some("inner".to_owned()))
        );
    }

    #[test]
    fn what_is_no_json_is_malformed() {
        for text in ["", "{", r#"{"inner":[]} x"#, "\u{feff}{}"] {
            assert_eq!(field(text).0, "MALFORMED_JSON", "{text:?}");
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(
            read_json::<serde_json::Value>(deep.as_bytes()).unwrap_err().code(),
            "MALFORMED_JSON"
        );
    }

    #[test]
    fn a_nul_is_found_and_a_backslash_before_u0000_is_none() {
        assert!(has_nul(br#"{"someText":"a\u0000"}"#) && has_nul(br#"{"someText":"\\\u0000"}"#));
        assert!(!has_nul(br#"{"someText":"\\u0000"}"#));
        assert!(!has_nul(br#"{"someText":"\n\u0001"}"#));
    }
}
