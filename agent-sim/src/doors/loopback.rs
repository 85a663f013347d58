//! `GET /healthz`, `/status`, `/metrics` on loopback. Nothing else, and nothing personal.

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Uri, header},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::get,
};

use crate::{agent::Agent, report::Status};

/// The door.
pub fn router(agent: Agent) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/status", get(status))
        .route("/metrics", get(metrics))
        .layer(from_fn(loopback_names_only))
        .with_state(agent)
}

/// A page in a browser that resolves its own name to 127.0.0.1 gets nothing.
async fn loopback_names_only(headers: HeaderMap, request: Request, next: Next) -> Response {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .and_then(|host| host.parse::<Uri>().ok());
    match host.as_ref().and_then(Uri::host) {
        Some("localhost" | "127.0.0.1" | "[::1]") => next.run(request).await,
        _ => StatusCode::FORBIDDEN.into_response(),
    }
}

/// Well while decisions can be made.
async fn healthz(State(agent): State<Agent>) -> Response {
    if agent.status().snapshot.is_some() {
        "ok\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "no snapshot yet\n").into_response()
    }
}

async fn status(State(agent): State<Agent>) -> Json<Status> {
    Json(agent.status())
}

async fn metrics(State(agent): State<Agent>) -> Response {
    let status = agent.status();
    let version = status.snapshot.as_ref().map_or(0, |snapshot| snapshot.version);
    let rows: [(&str, &str, &str, i128); 8] = [
        (
            "online",
            "gauge",
            "Whether the server answered when it was last called.",
            i128::from(status.online),
        ),
        (
            "outdated",
            "gauge",
            "Whether the last statement about the snapshot has expired.",
            i128::from(status.outdated),
        ),
        (
            "snapshot_version",
            "gauge",
            "The version of the snapshot in force, 0 for none.",
            i128::from(version),
        ),
        (
            "key_set_version",
            "gauge",
            "The version of the key set.",
            i128::from(status.key_set_version),
        ),
        (
            "queue_length",
            "gauge",
            "Recorded actions that wait to be delivered.",
            status.queue_length as i128,
        ),
        (
            "grants",
            "gauge",
            "Grants in hand that may still be used.",
            status.grants as i128,
        ),
        (
            "open_requests",
            "gauge",
            "Requests that wait for a decision.",
            status.open_requests as i128,
        ),
        (
            "clock_skew_milliseconds",
            "gauge",
            "How far this clock is ahead of the server's.",
            i128::from(status.skew_ms),
        ),
    ];
    let text: String = rows
        .iter()
        .map(|(name, kind, help, value)| {
            let name = format!("portcullis_agent_{name}");
            format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n")
        })
        .collect();
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text,
    )
        .into_response()
}
