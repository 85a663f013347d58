//! The challenge for a passkey that decides.

use axum::{
    extract::State,
    http::{Extensions, HeaderMap},
};
use serde::Deserialize;
use serde_json::Value;

use super::enter;
use crate::{
    Answer, ApiState,
    extract::{From, Json, Params, check_same_origin},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shown {
    /// The digest that the page shows: the answer decides this action and no other.
    digest: String,
}

pub(super) async fn options(
    State(state): State<ApiState>,
    From(origin): From,
    Params(token): Params<String>,
    extensions: Extensions,
    headers: HeaderMap,
    Json(shown): Json<Shown>,
) -> Answer<Json<Value>> {
    let visit = enter(&state, &origin, &token, &extensions, &headers).await?;
    check_same_origin(&headers, &state.config.public_url)?;
    Ok(Json(state.app.link_passkey_options(&visit.link, &shown.digest).await?))
}
