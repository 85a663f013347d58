//! Errors as callers see them: RFC 9457, one form for every door.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use commands::Refusal;
use projections::ReadError;
use serde_json::{Map, Value};

/// What a handler gives back.
pub type Answer<T> = Result<T, Problem>;

/// An error on its way out. It becomes `application/problem+json` with `type`, `title`, `status`, `code`, `detail` and,
/// where they say something, `field`, `problems` (several wrong fields) and `details`.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem(Box<Refusal>);

/// Left in the response's extensions for the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProblemCode(pub(crate) &'static str);

impl Problem {
    /// A problem of this code and status.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Refusal::new(code, status.as_u16(), detail).into()
    }

    /// A body or parameter that cannot be understood at all.
    #[must_use]
    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// There is nothing here, or nothing that the caller may know of.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Refusal::not_found(what).into()
    }

    /// The body is longer than this address takes.
    #[must_use]
    pub fn too_long(limit: usize) -> Self {
        let detail = format!("the body is longer than the {limit} bytes that are taken here");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LONG", detail)
    }

    /// The body is of another kind than this address takes.
    #[must_use]
    pub fn media_type(wanted: &str) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UNSUPPORTED_MEDIA_TYPE",
            format!("send this as {wanted}"),
        )
    }

    /// Names the field that is wrong.
    #[must_use]
    pub fn on(self, field: impl Into<String>) -> Self {
        Self(Box::new(self.0.on(field)))
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.0.code
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// What it is made of.
    #[must_use]
    pub const fn refusal(&self) -> &Refusal {
        &self.0
    }

    fn body(&self) -> Value {
        let refusal = &*self.0;
        let mut body = Map::new();
        let mut put = |name: &str, value: Value| {
            body.insert(name.to_owned(), value);
        };
        put(
            "type",
            format!(
                "urn:portcullis:problem:{}",
                refusal.code.to_ascii_lowercase().replace('_', "-")
            )
            .into(),
        );
        put("title", title(refusal.code).into());
        put("status", refusal.status.into());
        put("code", refusal.code.into());
        put("detail", refusal.message.clone().into());
        if let Some(field) = &refusal.field {
            put("field", field.clone().into());
        }
        match &refusal.details {
            Some(list @ Value::Array(_)) => put("problems", list.clone()),
            Some(other) => put("details", other.clone()),
            None => {}
        }
        Value::Object(body)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self(Box::new(refusal))
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        Refusal::from(error).into()
    }
}

impl From<eventstore::StoreError> for Problem {
    fn from(error: eventstore::StoreError) -> Self {
        Refusal::from(error).into()
    }
}

impl From<eventstore::VaultError> for Problem {
    fn from(error: eventstore::VaultError) -> Self {
        Refusal::from(error).into()
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Database(error) => error.into(),
            ReadError::Cursor => Refusal::bad_input("cursor", error.to_string()).into(),
            ReadError::Unreadable(_) => Refusal::internal(error).into(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status(), self.body().to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.0.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"portcullis\""),
            );
        }
        response.extensions_mut().insert(ProblemCode(self.0.code));
        response
    }
}

/// The code as words: the same for every occurrence.
fn title(code: &str) -> String {
    let mut words = code.to_ascii_lowercase().replace('_', " ");
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_problem_names_code_status_and_field() {
        let problem = Problem::from(Refusal::bad_input("action.user", "must not be empty"));
        assert_eq!(
            problem.body(),
            json!({
                "type": "urn:portcullis:problem:bad-input", "title": "Bad input", "status": 422, "code": "BAD_INPUT",
                "detail": "must not be empty", "field": "action.user",
            })
        );
        let response = problem.into_response();
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["cache-control"], "no-store");
    }

    #[test]
    fn several_wrong_fields_and_other_details_stand_apart() {
        let list = Problem::from(Refusal::bad_input("controls", "no").with(json!([{"field": "controls"}])));
        assert_eq!(list.body()["problems"], json!([{"field": "controls"}]));
        let other = Problem::from(Refusal::new("ALREADY_DECIDED", 409, "too late").with(json!({"by": "usr_1"})));
        assert_eq!(other.body()["details"], json!({"by": "usr_1"}));
    }

    #[test]
    fn a_refusal_for_a_while_says_how_long() {
        let mut refusal = Refusal::new("LOCKED", 429, "wait");
        refusal.retry_after = Some(900);
        assert_eq!(Problem::from(refusal).into_response().headers()["retry-after"], "900");
    }

    #[test]
    fn an_unreadable_row_is_told_to_the_log_alone() {
        let problem = Problem::from(ReadError::Unreadable("secret column".to_owned()));
        assert_eq!(problem.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!problem.body().to_string().contains("secret column"));
    }
}
