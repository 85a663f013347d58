//! How an endpoint becomes known and gets its tokens.

use axum::{
    extract::State,
    http::{Extensions, StatusCode},
};
use commands::{Origin, Outcome};
use formats::{
    Credential, CredentialKind,
    agent_wire::{KeySetResponse, RegisterRequest, RegisterResponse, TokenRequest, TokenResponse},
    token::AssertionClaims,
};

use crate::{
    Answer, ApiState,
    extract::{Endpoint, From, Json},
    layers::Who,
};

/// Calls are charged to the registration token they name, so that a thousand machines behind one address register.
pub(super) async fn register(
    State(state): State<ApiState>,
    From(origin): From,
    extensions: Extensions,
    Json(body): Json<RegisterRequest>,
) -> Answer<(StatusCode, Json<RegisterResponse>)> {
    let token = Credential::parse_kind(CredentialKind::Registration, &body.registration_token);
    let key = token.map(|token| format!("register/{}", token.id)).ok();
    charge(&state, &extensions, &origin, key)?;
    let registered = judged(
        &state,
        &extensions,
        &origin,
        state.app.agent_register(&origin, body).await,
    )?;
    state
        .app
        .settled(registered.response.tenant_id, registered.position)
        .await;
    Ok((StatusCode::CREATED, Json(registered.response)))
}

pub(super) async fn token(
    State(state): State<ApiState>,
    From(origin): From,
    extensions: Extensions,
    Json(body): Json<TokenRequest>,
) -> Answer<Json<TokenResponse>> {
    let key = AssertionClaims::peek(&body.assertion).map(|(_, endpoint)| format!("token/{endpoint}"));
    charge(&state, &extensions, &origin, key)?;
    let access = judged(
        &state,
        &extensions,
        &origin,
        state.app.agent_token(&body.assertion).await,
    )?;
    Ok(Json(TokenResponse {
        access_token: access.token.token,
        token_type: "Bearer".to_owned(),
        expires_in: access.token.expires_in,
        server_time: state.app.ambient().now(),
    }))
}

/// Before anything is verified: to whom the call says it belongs, or to its address.
fn charge(state: &ApiState, extensions: &Extensions, origin: &Origin, key: Option<String>) -> Answer<()> {
    match key {
        Some(key) => state.limits.charge(extensions, Who::Agent, &key),
        None => state.limits.charge_address(extensions, origin.address),
    }
}

/// A credential that was not good counts for the address.
fn judged<T>(state: &ApiState, extensions: &Extensions, origin: &Origin, outcome: Outcome<T>) -> Answer<T> {
    if outcome.as_ref().is_err_and(|refusal| refusal.status == 401) {
        state.limits.charge_address(extensions, origin.address)?;
    }
    Ok(outcome?)
}

pub(super) async fn key_set(State(state): State<ApiState>, endpoint: Endpoint) -> Answer<Json<KeySetResponse>> {
    let keys = state.app.store.vault().tenant(endpoint.caller.tenant).await?;
    Ok(Json(KeySetResponse {
        key_set: keys.key_set_token().to_owned(),
    }))
}
