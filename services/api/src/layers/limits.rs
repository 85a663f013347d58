//! Limits in size and time.

use std::time::Duration;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::Problem;

/// How many bytes of a body a route takes; 64 KiB where nothing else is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimit(pub usize);

impl Default for BodyLimit {
    fn default() -> Self {
        Self(64 * 1024)
    }
}

/// A layer that says how many bytes of a body its routes take. To be used with `axum::middleware::from_fn_with_state`.
pub async fn limit_body(State(limit): State<BodyLimit>, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(limit);
    next.run(request).await
}

/// A layer that gives up on handlers which take too long: 503 `TIMEOUT`. To be used with
/// `axum::middleware::from_fn_with_state`. The time of a streamed answer doesn't count.
pub async fn within(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let mut refusal = commands::Refusal::new(
                "TIMEOUT",
                StatusCode::SERVICE_UNAVAILABLE.as_u16(),
                "this took too long; whether it was done is not known, so repeat it under the same Idempotency-Key",
            );
            refusal.retry_after = Some(2);
            Problem::from(refusal).into_response()
        }
    }
}
