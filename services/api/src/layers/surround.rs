//! The outermost layer: an id, an origin and a span for the call; headers, a count and a line in the log for its answer.

use std::{
    any::Any,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, UNIX_EPOCH},
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Response as HttpResponse, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use commands::Origin;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use uuid::Uuid;

use super::{
    fair::Place,
    headers::{Policy, protect},
    measure::method_label,
    rates::Slot,
};
use crate::{ApiConfig, ApiState, Problem, extract::read_origin, problem::ProblemCode};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Counts a call as open until it is answered or its client goes away.
struct Open<'a>(&'a ApiState);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.metrics.end();
    }
}

/// Carries a place among its tenant's calls from wherever it was taken to the end of the work.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held(Arc<Mutex<Option<Place>>>);

impl Held {
    pub(crate) fn keep(&self, place: Place) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn release(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// See the module.
pub(crate) async fn surround(State(state): State<ApiState>, mut request: Request, next: Next) -> Response {
    let began = tokio::time::Instant::now();
    let (id, correlation) = request_id(&state, &request);
    let origin = read_origin(&state.config, request.extensions(), request.headers(), correlation);
    let route = route(&request);
    let method = request.method().clone();
    let span = span(&method, &route, &id, &origin);
    let slot = Slot::default();
    request.extensions_mut().insert(origin);
    request.extensions_mut().insert(slot.clone());
    let held = Held::default();
    request.extensions_mut().insert(held.clone());
    state.metrics.begin();
    let open = Open(&state);
    let mut response = next.run(request).instrument(span.clone()).await;
    drop(open);
    held.release();
    let took = began.elapsed();
    finish(&state.config, &slot, &id, &mut response);
    if route.starts_with(formats::agent_wire::PREFIX) {
        // Agents measure their clocks by it, and theirs is judged by ours.
        let now = UNIX_EPOCH + Duration::from_millis(state.app.ambient().now().millis().max(0).unsigned_abs());
        if let Ok(date) = HeaderValue::from_str(&httpdate::fmt_http_date(now)) {
            response.headers_mut().insert(header::DATE, date);
        }
    }
    state.metrics.count(&method, &route, response.status(), took);
    log(&span, &response, took);
    response
}

/// The id that a proxy of ours gave, or a new one. The log's correlation id is the same where it is a UUID.
fn request_id(state: &ApiState, request: &Request) -> (HeaderValue, Uuid) {
    let peer = request
        .extensions()
        .get::<axum::extract::ConnectInfo<std::net::SocketAddr>>();
    let given = peer
        .filter(|peer| state.config.trusts(peer.0.ip()))
        .and_then(|_| given_id(request.headers()));
    if let Some((value, id)) = given {
        return (value.clone(), id.unwrap_or_else(|| state.app.ambient().uuid()));
    }
    let id = state.app.ambient().uuid();
    (
        HeaderValue::from_str(&id.to_string()).unwrap_or(HeaderValue::from_static("none")),
        id,
    )
}

fn given_id(headers: &HeaderMap) -> Option<(&HeaderValue, Option<Uuid>)> {
    let value = headers.get(REQUEST_ID)?;
    let text = value.to_str().ok()?;
    let good =
        (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    good.then(|| (value, text.parse().ok()))
}

/// The template, never the path: paths hold tokens.
fn route(request: &Request) -> String {
    let matched = request.extensions().get::<MatchedPath>();
    matched.map_or("unmatched", |path| path.as_str()).to_owned()
}

fn span(method: &axum::http::Method, route: &str, id: &HeaderValue, origin: &Origin) -> Span {
    let trace = origin.traceparent.as_deref().and_then(remote_parent);
    let span = tracing::info_span!(
        "http",
        method = method_label(method),
        route,
        request_id = id.to_str().unwrap_or_default(),
        trace_id = trace
            .as_ref()
            .map(|context| tracing::field::display(context.trace_id())),
        status = tracing::field::Empty,
    );
    if let Some(context) = trace {
        // Fails only where traces are not exported.
        let _ = span.set_parent(opentelemetry::Context::new().with_remote_span_context(context));
    }
    span
}

/// A trace context that was checked already, as OpenTelemetry has it.
fn remote_parent(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.split('-').skip(1);
    let trace = TraceId::from_hex(parts.next()?).ok()?;
    let span = SpanId::from_hex(parts.next()?).ok()?;
    let flags = u8::from_str_radix(parts.next()?, 16).ok()?;
    Some(SpanContext::new(
        trace,
        span,
        TraceFlags::new(flags & 1),
        true,
        TraceState::NONE,
    ))
}

fn finish(config: &ApiConfig, slot: &Slot, id: &HeaderValue, response: &mut Response) {
    let policy = response.extensions().get::<Policy>().copied().unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id.clone());
    slot.write(headers);
    protect(config, policy, headers);
}

fn log(span: &Span, response: &Response, took: Duration) {
    let status = response.status();
    span.record("status", status.as_u16());
    let code = response.extensions().get::<ProblemCode>().map(|code| code.0);
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    span.in_scope(|| {
        if status.is_server_error() {
            tracing::warn!(status = status.as_u16(), code, ms, "answered");
        } else {
            tracing::info!(status = status.as_u16(), code, ms, "answered");
        }
    });
}

/// What a panic of a handler becomes: 500 for the caller, the message for the log.
pub(crate) fn caught(panic: Box<dyn Any + Send + 'static>) -> HttpResponse<axum::body::Body> {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    tracing::error!(message, "a handler panicked");
    let detail = "something went wrong here; it is logged under the request's id";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", detail).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxys_request_id_is_taken_when_it_is_plain() {
        let given = |text: &str| {
            let headers: HeaderMap = [(REQUEST_ID, text.parse().unwrap())].into_iter().collect();
            given_id(&headers).map(|(_, id)| id.is_some())
        };
        assert_eq!(given("edge-7.a_B"), Some(false));
        assert_eq!(given("01998e2c-0000-7000-8000-000000000001"), Some(true));
        assert_eq!(given("a b"), None);
        assert_eq!(given(&"a".repeat(129)), None);
    }

    #[test]
    fn a_remote_parent_keeps_trace_span_and_sampling() {
        let parent = remote_parent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        assert_eq!(parent.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(parent.is_sampled() && parent.is_remote());
    }
}
