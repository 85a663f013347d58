//! `/.well-known/security.txt` (RFC 9116): where to report a weakness.

use std::time::Duration;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};

use crate::{
    ApiState,
    openapi::{Door, Op, Shape},
};

/// How long what it says is good.
const GOOD_FOR: Duration = Duration::from_secs(180 * 24 * 60 * 60);

pub(super) fn door() -> Door {
    let op = Op::new("securityTxt", "Where to report a weakness (RFC 9116)").answers(
        200,
        "The contact",
        Shape::Other("text/plain"),
    );
    Door::new().get("/.well-known/security.txt", text, op)
}

async fn text(State(state): State<ApiState>) -> Response {
    let config = &state.config;
    let contact = config.security_contact.clone().unwrap_or_else(|| {
        let host = config
            .public_url
            .split_once("://")
            .map_or(config.public_url.as_str(), |(_, rest)| rest);
        let host = host.split(['/', ':']).next().unwrap_or_default();
        format!("mailto:security@{host}")
    });
    let expires = state.app.ambient().now() + GOOD_FOR;
    let url = &config.public_url;
    let text = format!(
        "Contact: {contact}\nExpires: {expires}\nPreferred-Languages: en\nCanonical: {url}/.well-known/security.txt\n"
    );
    (
        [
            (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
            (header::CACHE_CONTROL, "public, max-age=86400"),
        ],
        text,
    )
        .into_response()
}
