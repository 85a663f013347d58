//! GraphQL over HTTP: `/graphql` (the GraphQL Foundation's draft of it).
//!
//! A query may come by GET or POST, a mutation by POST alone. The answer is `application/graphql-response+json` where
//! it is asked for, else `application/json`: in the first, a document that is refused as a whole is 400; in the second,
//! it is 200 with `errors` and without `data`, as older clients want it. One document a call.

use std::{sync::Arc, time::Instant};

use async_graphql::{Request as Document, Response as Executed, Variables, parser::types::OperationType};
use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use commands::Refusal;
use eventstore::as_of_now;
use serde_json::{Map, Value, json};

use super::{
    ApiSchema,
    context::{Call, Credential},
    error::{first_code, name_errors, refuse},
    limits::{Checked, check},
    measure::{Operation, measure},
};
use crate::{
    ApiState, Problem,
    extract::{Authed, is_json, read_bytes},
};

/// The two forms of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `application/graphql-response+json`
    Response,
    /// `application/json`
    Json,
}

impl Form {
    const fn media_type(self) -> &'static str {
        match self {
            Self::Response => "application/graphql-response+json; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
        }
    }

    /// What the client would rather have; none where it takes neither. Where it does not say, `application/json`.
    fn negotiate(headers: &HeaderMap) -> Option<Self> {
        let mut told = false;
        let mut best: Option<(f32, Self)> = None;
        for value in headers.get_all(header::ACCEPT) {
            for range in value.to_str().unwrap_or_default().split(',') {
                let mut parts = range.split(';').map(str::trim);
                let Some(kind) = parts.next().filter(|kind| !kind.is_empty()) else {
                    continue;
                };
                told = true;
                let quality = parts
                    .filter_map(|part| part.split_once('='))
                    .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
                    .map_or(1.0, |(_, quality)| quality.trim().parse().unwrap_or(0.0));
                let form = match kind.to_ascii_lowercase().as_str() {
                    "application/graphql-response+json" => Self::Response,
                    "application/json" | "application/*" | "*/*" => Self::Json,
                    _ => continue,
                };
                if quality > 0.0 && best.is_none_or(|(known, _)| quality > known) {
                    best = Some((quality, form));
                }
            }
        }
        best.map(|(_, form)| form).or((!told).then_some(Self::Json))
    }
}

/// What a client sends.
#[derive(Debug, Default, PartialEq)]
struct Asked {
    query: String,
    operation_name: Option<String>,
    variables: Map<String, Value>,
}

impl Asked {
    /// From a body.
    fn from_body(bytes: &[u8]) -> Result<Self, Refusal> {
        let value: Value = serde_json::from_slice(bytes)
            .map_err(|error| bad("MALFORMED_JSON", format!("this is not JSON: {error}")))?;
        match value {
            Value::Object(fields) => Self::from_fields(fields),
            Value::Array(_) => Err(bad(
                "BATCH_REFUSED",
                "send one document a call; lists of them are not taken",
            )),
            _ => Err(bad("BAD_INPUT", "the body has to be an object with the field `query`").on("query")),
        }
    }

    /// From the part of an address after `?`.
    fn from_address(query: &str) -> Result<Self, Refusal> {
        let mut fields = Map::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = match &*name {
                "variables" | "extensions" if !value.is_empty() => serde_json::from_str(&value)
                    .map_err(|_| bad("BAD_INPUT", format!("{name} has to be an object in JSON")).on(name.clone()))?,
                "variables" | "extensions" => Value::Null,
                _ => Value::String(value.into_owned()),
            };
            if fields.insert(name.clone().into_owned(), value).is_some() {
                return Err(bad("BAD_INPUT", format!("{name} is given twice")).on(name));
            }
        }
        Self::from_fields(fields)
    }

    fn from_fields(mut fields: Map<String, Value>) -> Result<Self, Refusal> {
        let wrong = |field: &str, wanted: &str| bad("BAD_INPUT", format!("{field} has to be {wanted}")).on(field);
        let query = match fields.remove("query") {
            Some(Value::String(query)) => query,
            _ => return Err(wrong("query", "a string: the document")),
        };
        let operation_name = match fields.remove("operationName") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => Some(name).filter(|name| !name.is_empty()),
            Some(_) => return Err(wrong("operationName", "a string")),
        };
        let variables = match fields.remove("variables") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(variables)) => variables,
            Some(_) => return Err(wrong("variables", "an object")),
        };
        if !matches!(fields.remove("extensions"), None | Some(Value::Null | Value::Object(_))) {
            return Err(wrong("extensions", "an object"));
        }
        if query.contains("\\u0000") || query.contains('\0') || variables.values().any(has_nul) {
            return Err(bad("BAD_INPUT", "the character U+0000 is not taken in any text").on("query"));
        }
        Ok(Self {
            query,
            operation_name,
            variables,
        })
    }
}

/// Whether any text holds U+0000, which no text of the database does.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(has_nul),
        Value::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn bad(code: &'static str, message: impl Into<String>) -> Refusal {
    Refusal::new(code, 400, message)
}

/// The handler of `/graphql`.
pub(super) async fn graphql(State(state): State<ApiState>, schema: ApiSchema, request: Request) -> Response {
    let began = Instant::now();
    let (mut parts, body) = request.into_parts();
    let Some(form) = Form::negotiate(&parts.headers) else {
        let detail = "an answer is application/graphql-response+json or application/json";
        return Problem::new(StatusCode::NOT_ACCEPTABLE, "NOT_ACCEPTABLE", detail).into_response();
    };
    let authed = match Authed::from_request_parts(&mut parts, &state).await {
        Ok(authed) => authed,
        Err(problem) => return problem.into_response(),
    };
    let is_get = parts.method == Method::GET;
    let asked = if is_get {
        Asked::from_address(parts.uri.query().unwrap_or_default())
    } else if is_json(&parts.headers) {
        match read_bytes(Request::from_parts(parts, body)).await {
            Ok(bytes) => Asked::from_body(&bytes),
            Err(problem) => return problem.into_response(),
        }
    } else {
        return Problem::media_type("application/json").into_response();
    };
    let asked = match asked {
        Ok(asked) => asked,
        // Without a document there is nothing to answer in GraphQL's terms: 400, whatever the client takes.
        Err(refusal) => {
            return answer(
                form,
                StatusCode::BAD_REQUEST,
                &Executed::from_errors(vec![refuse(&refusal)]),
            );
        }
    };
    let checked = match check(
        &asked.query,
        asked.operation_name.as_deref(),
        state.config.introspection,
    ) {
        Ok(checked) => checked,
        Err(refusal) => return refused(form, &refusal),
    };
    match checked.kind {
        Some(OperationType::Mutation) if is_get => {
            let mut response = refused(Form::Response, &bad("METHOD_NOT_ALLOWED", "a mutation is sent by POST"));
            *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            response
                .headers_mut()
                .insert(header::ALLOW, HeaderValue::from_static("POST"));
            return response;
        }
        Some(OperationType::Subscription) => {
            return refused(
                form,
                &bad("SUBSCRIPTION_OVER_HTTP", "subscriptions are served at /graphql/ws"),
            );
        }
        _ => {}
    }
    let has_value = |name: &str| asked.variables.get(name).is_some_and(|value| !value.is_null());
    if let Err(refusal) = checked.check_variables(has_value) {
        return refused(form, &refusal);
    }
    // Nobody is asked about again within one call.
    let call = Arc::new(Call::new(state, authed.caller, Credential::Session));
    as_of_now(execute(&schema, call, asked, checked, form, began)).await
}

/// Executes a document that is within the limits.
async fn execute(
    schema: &ApiSchema,
    call: Arc<Call>,
    asked: Asked,
    checked: Checked,
    form: Form,
    began: Instant,
) -> Response {
    let operation = Operation::of(checked.kind, checked.name.as_deref());
    let mut document = Document::new(asked.query).variables(Variables::from_json(Value::Object(asked.variables)));
    if let Some(name) = asked.operation_name {
        document = document.operation_name(name);
    }
    document.set_parsed_query(checked.document);
    let document = document.data(call);
    let mut executed = operation.within_span(schema.execute(document)).await;
    name_errors(&mut executed);
    measure(&operation, first_code(&executed).as_deref(), began.elapsed());
    if is_request_error(&executed) {
        let status = if form == Form::Response {
            StatusCode::BAD_REQUEST
        } else {
            StatusCode::OK
        };
        return answer(form, status, &executed);
    }
    answer(form, StatusCode::OK, &executed)
}

/// Whether nothing was executed: then there is no `data` at all.
fn is_request_error(executed: &Executed) -> bool {
    executed.data == async_graphql::Value::Null
        && !executed.errors.is_empty()
        && executed.errors.iter().all(|error| error.path.is_empty())
}

fn refused(form: Form, refusal: &Refusal) -> Response {
    measure(&Operation::refused(), Some(refusal.code), std::time::Duration::ZERO);
    let status = if form == Form::Response {
        StatusCode::BAD_REQUEST
    } else {
        StatusCode::OK
    };
    answer(form, status, &Executed::from_errors(vec![refuse(refusal)]))
}

fn answer(form: Form, status: StatusCode, executed: &Executed) -> Response {
    let mut body = Map::new();
    if !is_request_error(executed) {
        body.insert("data".to_owned(), json!(executed.data));
    }
    if !executed.errors.is_empty() {
        body.insert("errors".to_owned(), json!(executed.errors));
    }
    let kind = [(header::CONTENT_TYPE, form.media_type())];
    (status, kind, Value::Object(body).to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(accept: Option<&str>) -> Option<Form> {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert(header::ACCEPT, accept.parse().unwrap());
        }
        Form::negotiate(&headers)
    }

    #[test]
    fn the_client_says_which_form_it_takes() {
        assert_eq!(form(None), Some(Form::Json));
        assert_eq!(form(Some("*/*")), Some(Form::Json));
        assert_eq!(form(Some("application/graphql-response+json")), Some(Form::Response));
        assert_eq!(
            form(Some("application/graphql-response+json, application/json;q=0.9")),
            Some(Form::Response)
        );
        assert_eq!(
            form(Some("application/json, application/graphql-response+json; q=0.5")),
            Some(Form::Json)
        );
        assert_eq!(
            form(Some("application/graphql-response+json;charset=utf-8")),
            Some(Form::Response)
        );
        assert_eq!(form(Some("text/html")), None);
        assert_eq!(form(Some("application/json;q=0")), None);
    }

    fn refusal(body: &str) -> &'static str {
        Asked::from_body(body.as_bytes()).unwrap_err().code
    }

    #[test]
    fn a_body_is_one_document_with_its_variables() {
        let asked =
            Asked::from_body(br#"{"query": "{ a }", "variables": {"n": 1}, "operationName": null, "x": 1}"#).unwrap();
        assert_eq!((asked.query.as_str(), asked.operation_name), ("{ a }", None));
        assert_eq!(asked.variables["n"], 1);
        for body in [
            "{}",
            "null",
            "7",
            r#"{"query": 7}"#,
            r#"{"query": "a", "variables": []}"#,
            r#"{"query": "a", "operationName": 7}"#,
            r#"{"query": "a", "extensions": "b"}"#,
        ] {
            assert_eq!(refusal(body), "BAD_INPUT", "{body}");
        }
        assert_eq!(refusal(r#"[{"query": "{ a }"}]"#), "BATCH_REFUSED");
        assert_eq!(refusal("{"), "MALFORMED_JSON");
    }

    #[test]
    fn a_nul_is_taken_nowhere() {
        assert_eq!(
            refusal(r#"{"query": "{ a }", "variables": {"a": {"b": ["x\u0000"]}}}"#),
            "BAD_INPUT"
        );
        assert_eq!(refusal(r#"{"query": "{ a(b: \"\\u0000\") }"}"#), "BAD_INPUT");
        assert_eq!(refusal(r#"{"query": "{ a(b: \"\u0000\") }"}"#), "BAD_INPUT");
    }

    #[test]
    fn an_address_carries_a_query_once() {
        let asked = Asked::from_address("query=%7B%20a%20%7D&variables=%7B%22n%22%3A1%7D&operationName=").unwrap();
        assert_eq!(
            (asked.query.as_str(), asked.operation_name, &asked.variables["n"]),
            ("{ a }", None, &json!(1))
        );
        assert!(Asked::from_address("query=a&query=b").is_err());
        assert!(Asked::from_address("query=a&variables=x").is_err());
        assert!(Asked::from_address("").is_err());
    }
}
