//! Problems in SCIM's form (RFC 7644 § 3.12). Whatever a handler, an extractor or a layer inside refuses comes through here.

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::Response,
};
use serde_json::{Value, json};

use super::show::MEDIA_TYPE;

/// The longest problem of ours.
const PROBLEM_MAX: usize = 64 * 1024;

/// The `scimType` that says the same as a code; none where SCIM has none.
fn scim_type(code: &str) -> Option<&'static str> {
    Some(match code {
        "NAME_TAKEN" => "uniqueness",
        "INVALID_FILTER" => "invalidFilter",
        "INVALID_PATH" => "invalidPath",
        "INVALID_SYNTAX" | "MALFORMED_JSON" => "invalidSyntax",
        "BAD_INPUT" => "invalidValue",
        "MUTABILITY" => "mutability",
        "NO_TARGET" => "noTarget",
        "TOO_MANY" => "tooMany",
        _ => return None,
    })
}

/// A layer that gives problems SCIM's form; their headers stay.
pub(super) async fn in_scims_form(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let is_problem = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind == "application/problem+json");
    if !is_problem {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let problem: Value = match to_bytes(body, PROBLEM_MAX).await {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
        Err(_) => Value::Null,
    };
    let code = problem["code"].as_str().unwrap_or_default();
    // A wrong value is 400 here.
    if code == "BAD_INPUT" {
        parts.status = StatusCode::BAD_REQUEST;
    }
    let mut document = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
        "status": parts.status.as_str(),
        "detail": problem["detail"],
    });
    if let Some(kind) = scim_type(code) {
        document["scimType"] = kind.into();
    }
    parts
        .headers
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(document.to_string()))
}
