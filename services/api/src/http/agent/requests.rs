//! Requests for approval, as their endpoint sees them.

use axum::{extract::State, http::StatusCode};
use formats::{
    RequestId,
    agent_wire::{CancelRequest, RequestState, SubmitRequest},
};

use super::{body::AgentJson, poll::Poll};
use crate::{
    Answer, ApiState,
    extract::{Endpoint, Json, Params, SlowPoll},
};

pub(super) async fn submit(
    State(state): State<ApiState>,
    endpoint: Endpoint,
    AgentJson(body): AgentJson<SubmitRequest>,
) -> Answer<(StatusCode, Json<RequestState>)> {
    let submitted = state.app.submit_request(&endpoint.caller, body).await?;
    state.app.settled(endpoint.caller.tenant, submitted.position).await;
    let request = state.app.request_for_agent(&endpoint.caller, submitted.request).await?;
    let status = if submitted.repeated {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    Ok((status, Json(request)))
}

/// Where it stands; with a wait, once it is settled or the wait is over.
pub(super) async fn state(
    State(state): State<ApiState>,
    endpoint: Endpoint,
    Params(id): Params<RequestId>,
    SlowPoll(wait): SlowPoll,
) -> Answer<Json<RequestState>> {
    let mut poll = Poll::open(&state, &endpoint, wait);
    let mut news = state.news.watch_stream(endpoint.caller.tenant, id.uuid());
    loop {
        news.mark_unchanged();
        let request = state.app.request_for_agent(&endpoint.caller, id).await?;
        if request.status.is_final() || !poll.wait(&mut news).await? {
            return Ok(Json(request));
        }
    }
}

pub(super) async fn cancel(
    State(state): State<ApiState>,
    endpoint: Endpoint,
    Params(id): Params<RequestId>,
    AgentJson(body): AgentJson<CancelRequest>,
) -> Answer<Json<RequestState>> {
    let written = state.app.cancel_request(&endpoint.caller, id, body.reason).await?;
    state.app.settled(endpoint.caller.tenant, written.position).await;
    Ok(Json(state.app.request_for_agent(&endpoint.caller, id).await?))
}
