//! What answers have in common: `meta`, ETags, and which attributes are wanted.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use commands::scim::Expected;
use formats::Timestamp;
use serde_json::{Map, Value, json};

use super::{path::AttrPath, schema::Resource};

/// The media type of SCIM (RFC 7644 § 3.1).
pub(super) const MEDIA_TYPE: &str = "application/scim+json";

pub(super) fn meta(
    base: &str,
    resource: Resource,
    id: &str,
    version: u64,
    (created, changed): (Timestamp, Timestamp),
) -> Value {
    json!({
        "resourceType": resource.name(),
        "created": created,
        "lastModified": changed,
        "location": format!("{base}/{}/{id}", resource.address()),
        "version": etag(version),
    })
}

/// A weak ETag, made of the aggregate's version.
pub(super) fn etag(version: u64) -> String {
    format!("W/\"{version}\"")
}

/// A document as `application/scim+json`.
pub(super) fn answer(status: StatusCode, document: &Value) -> Response {
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE))];
    (status, kind, document.to_string()).into_response()
}

/// A resource with its ETag and its address.
pub(super) fn resource(status: StatusCode, document: &Map<String, Value>, wanted: &Wanted) -> Response {
    let meta = document.get("meta").cloned().unwrap_or_default();
    let mut response = answer(status, &Value::Object(wanted.of(document.clone())));
    let mut put = |name: HeaderName, value: &Value| {
        if let Some(value) = value.as_str().and_then(|text| HeaderValue::from_str(text).ok()) {
            response.headers_mut().insert(name, value);
        }
    };
    put(header::ETAG, &meta["version"]);
    put(header::LOCATION, &meta["location"]);
    response
}

/// Whether the caller has this version already (`If-None-Match`).
pub(super) fn is_known(headers: &HeaderMap, version: u64) -> bool {
    let Some(versions) = versions(headers, &header::IF_NONE_MATCH) else {
        return false;
    };
    versions.is_none_or(|versions| versions.contains(&version))
}

/// Which version the caller expects (`If-Match`).
pub(super) fn expected(headers: &HeaderMap) -> Expected {
    match versions(headers, &header::IF_MATCH) {
        None | Some(None) => Expected::Any,
        Some(Some(versions)) => Expected::OneOf(versions),
    }
}

/// The versions that a header names: none without the header, `Some(None)` for any. What is no ETag of ours is left out.
fn versions(headers: &HeaderMap, name: &HeaderName) -> Option<Option<Vec<u64>>> {
    let mut lines = headers.get_all(name).iter().peekable();
    lines.peek()?;
    let words: Vec<&str> = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .collect();
    if words.contains(&"*") {
        return Some(None);
    }
    let number = |word: &&str| {
        let quoted = word.strip_prefix("W/").unwrap_or(word);
        quoted.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
    };
    Some(Some(words.iter().filter_map(number).collect()))
}

/// Which attributes are wanted (RFC 7644 § 3.9). `id` and `schemas` always are.
#[derive(Debug, Default, Clone)]
pub(super) struct Wanted {
    only: Vec<AttrPath>,
    without: Vec<AttrPath>,
}

impl Wanted {
    pub(super) fn new(only: &[String], without: &[String]) -> Self {
        let read = |names: &[String]| -> Vec<AttrPath> {
            let words = names.iter().flat_map(|names| names.split(','));
            words
                .filter_map(|name| AttrPath::parse(name.trim()))
                .take(100)
                .collect()
        };
        Self {
            only: read(only),
            without: read(without),
        }
    }

    /// Whether an attribute of the resource is wanted at all.
    pub(super) fn has(&self, name: &str) -> bool {
        let is = |path: &AttrPath| path.name.eq_ignore_ascii_case(name);
        let dropped = self.without.iter().any(|path| is(path) && path.inside.is_none());
        if self.only.is_empty() {
            !dropped
        } else {
            self.only.iter().any(is)
        }
    }

    pub(super) fn of(&self, mut document: Map<String, Value>) -> Map<String, Value> {
        document.retain(|name, _| matches!(name.as_str(), "id" | "schemas") || self.has(name));
        for (name, value) in &mut document {
            let inside = |paths: &[AttrPath]| -> Option<Vec<String>> {
                let of_it = paths.iter().filter(|path| path.name.eq_ignore_ascii_case(name));
                of_it.map(|path| path.inside.clone()).collect()
            };
            let only = inside(&self.only).filter(|names| !names.is_empty());
            let without: Vec<String> = self
                .without
                .iter()
                .filter(|path| path.name.eq_ignore_ascii_case(name))
                .filter_map(|path| path.inside.clone())
                .collect();
            let without = if self.only.is_empty() { without } else { Vec::new() };
            let entries: Vec<&mut Value> = match value {
                Value::Array(list) => list.iter_mut().collect(),
                one => vec![one],
            };
            for entry in entries.into_iter().filter_map(Value::as_object_mut) {
                let named = |names: &[String], part: &str| names.iter().any(|name| name.eq_ignore_ascii_case(part));
                entry.retain(|part, _| only.as_ref().is_none_or(|names| named(names, part)) && !named(&without, part));
            }
        }
        document
    }
}
