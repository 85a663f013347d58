//! The served description of the REST doors.

use std::sync::LazyLock;

use axum::{
    body::Bytes,
    http::header,
    response::{IntoResponse, Response},
};

use crate::{
    layers::compressed,
    openapi::{Door, Op, Shape, of_agents},
    router::description,
};

static WHOLE: LazyLock<Bytes> = LazyLock::new(|| description().to_string().into());
static AGENTS: LazyLock<Bytes> = LazyLock::new(|| of_agents(&description()).to_string().into());

pub(super) fn door() -> Door {
    let op = |name, summary| Op::new(name, summary).answers(200, "OpenAPI 3.1", Shape::Other("application/json"));
    Door::new()
        .get("/openapi.json", whole, op("openapi", "This description"))
        .get(
            "/agent/v1/openapi.json",
            agents,
            op("agentOpenapi", "The part of this description that agents need"),
        )
        .with(|router| router.layer(compressed()))
}

async fn whole() -> Response {
    answer(&WHOLE)
}

async fn agents() -> Response {
    answer(&AGENTS)
}

fn answer(text: &Bytes) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "public, max-age=300"),
    ];
    (headers, text.clone()).into_response()
}
