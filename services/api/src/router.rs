//! All doors together.

use std::time::Duration;

use axum::{
    Router,
    http::StatusCode,
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
};
use serde_json::Value;
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    ApiState, Problem,
    http::{console, doors},
    layers::{caught, compressed, surround, within},
    openapi,
};

/// The longest a handler may take: a poll of 50 seconds and its answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Every door of the server.
pub fn router(state: ApiState) -> Router {
    let (rest, _) = doors(Some(&state)).into_parts();
    let routes = Router::new()
        .merge(rest)
        .merge(crate::graphql::routes())
        .fallback_service(Router::new().fallback(console).layer(compressed()));
    around(routes, state)
}

/// What surrounds every route, the innermost first.
fn around(routes: Router<ApiState>, state: ApiState) -> Router {
    routes
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(ANSWER_WITHIN, within))
        .layer(CatchPanicLayer::custom(caught))
        .layer(from_fn_with_state(state.clone(), surround))
        .with_state(state)
}

/// `/healthz`, `/readyz` and `/metrics` alone, for a process without the role `api`.
pub fn probes(state: ApiState) -> Router {
    let (probes, _) = crate::http::probes().into_parts();
    around(
        Router::new()
            .merge(probes)
            .fallback(async || Problem::not_found("address")),
        state,
    )
}

/// The description of every REST route.
#[must_use]
pub fn description() -> Value {
    let (_, operations) = doors(None).into_parts();
    openapi::describe(&operations)
}

pub(crate) async fn wrong_method() -> Response {
    let detail = "this address knows other methods; the header Allow names them";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", detail).into_response()
}
