//! What agents tell: codes to be checked, records, inventory, that they are alive.

use axum::{extract::State, http::StatusCode};
use commands::{MfaInput, Principal, Refusal};
use eventstore::TenantTx;
use formats::{
    EndpointId,
    agent_wire::{
        ActivityBatch, ActivityStored, EndedGrants, Heartbeat, HeartbeatAnswer, HeldGrants, Inventory, MfaVerified,
        MfaVerify, PluginState,
    },
    hash::from_hex,
};
use projections::fleet;

use super::{body::AgentJson, endings::Endings, poll::Poll};
use crate::{
    Answer, ApiState,
    extract::{Endpoint, Json, SlowPoll},
};

/// The most programs of an inventory, and the most administrators.
const PROGRAMS: usize = 10_000;
const ADMINISTRATORS: usize = 1_000;
/// The most characters of a name in it, of a version or a publisher, and of a path.
const NAME: usize = 500;
const TEXT: usize = 1_000;
const PATH: usize = 32_767;
/// The most bytes of a name and of a publisher: both are a key of an index, which takes 2,704 of a row.
const KEY: usize = 1_000;
/// The most parts of an agent.
const PLUGINS: usize = 32;

fn id_of(endpoint: &Endpoint) -> Answer<EndpointId> {
    match endpoint.caller.principal {
        Principal::Endpoint { endpoint, .. } => Ok(endpoint),
        _ => Err(Refusal::forbidden("this is for agents").into()),
    }
}

pub(super) async fn verify(
    State(state): State<ApiState>,
    endpoint: Endpoint,
    Json(body): Json<MfaVerify>,
) -> Answer<Json<MfaVerified>> {
    let MfaVerify {
        email,
        code,
        action_type,
        endpoint_user,
        digest,
        always,
    } = body;
    let input = MfaInput {
        email,
        code,
        action_type,
        endpoint_user,
        digest,
        always,
    };
    Ok(Json(state.app.mfa_verify(&endpoint.caller, input).await?))
}

pub(super) async fn activity(
    State(state): State<ApiState>,
    endpoint: Endpoint,
    AgentJson(batch): AgentJson<ActivityBatch>,
) -> Answer<Json<ActivityStored>> {
    let stored_seq = state.app.record_activity(&endpoint.caller, batch).await?;
    Ok(Json(ActivityStored {
        stored_seq,
        server_time: state.app.ambient().now(),
    }))
}

pub(super) async fn inventory(
    State(state): State<ApiState>,
    endpoint: Endpoint,
    AgentJson(inventory): AgentJson<Inventory>,
) -> Answer<StatusCode> {
    judge(&inventory)?;
    let now = state.app.ambient().now();
    let mut tx = TenantTx::begin(state.app.pool(), endpoint.caller.tenant).await?;
    fleet::record_inventory(&mut tx, id_of(&endpoint)?, now, &inventory).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Refuses an inventory that is too long, or names nothing where something has to be named.
fn judge(inventory: &Inventory) -> Result<(), Refusal> {
    let count = |field: &str, count: usize, most: usize| {
        let message = || format!("{field} has to hold at most {most}");
        (count <= most)
            .then_some(())
            .ok_or_else(|| Refusal::bad_input(field, message()))
    };
    let text = |field: String, text: &str, least: usize, most: usize| {
        let fits = text.trim().len() >= least && text.chars().count() <= most;
        let message = || format!("{field} has to have {least} to {most} characters");
        fits.then_some(())
            .ok_or_else(|| Refusal::bad_input(field.clone(), message()))
    };
    let key = |field: String, text: &str| {
        let message = || format!("{field} has to have at most {KEY} bytes in UTF-8");
        (text.to_lowercase().len() <= KEY)
            .then_some(())
            .ok_or_else(|| Refusal::bad_input(field.clone(), message()))
    };
    count("applications", inventory.applications.len(), PROGRAMS)?;
    count("administrators", inventory.administrators.len(), ADMINISTRATORS)?;
    text("osVersion".to_owned(), &inventory.os_version, 0, NAME)?;
    for (n, account) in inventory.administrators.iter().enumerate() {
        text(format!("administrators[{n}]"), account, 1, NAME)?;
        key(format!("administrators[{n}]"), account)?;
    }
    for (n, program) in inventory.applications.iter().enumerate() {
        let field = |name: &str| format!("applications[{n}].{name}");
        text(field("name"), &program.name, 1, NAME)?;
        key(field("name"), &program.name)?;
        text(field("version"), &program.version, 0, TEXT)?;
        text(
            field("publisher"),
            program.publisher.as_deref().unwrap_or_default(),
            0,
            TEXT,
        )?;
        key(field("publisher"), program.publisher.as_deref().unwrap_or_default())?;
        text(field("path"), program.path.as_deref().unwrap_or_default(), 0, PATH)?;
        if program
            .sha256
            .as_deref()
            .is_some_and(|hash| from_hex(&hash.to_ascii_lowercase()).is_err())
        {
            return Err(Refusal::bad_input(
                field("sha256"),
                "a SHA-256 is written as 64 hexadecimal digits",
            ));
        }
    }
    Ok(())
}

/// Those of the held grants that have ended; with a wait, as soon as one has.
pub(super) async fn grants(
    State(state): State<ApiState>,
    endpoint: Endpoint,
    SlowPoll(wait): SlowPoll,
    Json(HeldGrants { grants }): Json<HeldGrants>,
) -> Answer<Json<EndedGrants>> {
    let mut poll = Poll::open(&state, &endpoint, wait);
    // Listened to before the grants are looked at, so that none ends between the two.
    let mut ending = Endings::listen(&state, endpoint.caller.tenant).await?;
    loop {
        let ended_grants = state.app.ended_grants(&endpoint.caller, &grants).await?;
        if !ended_grants.is_empty() || poll.wait_on(ending.of_any(&grants)).await?.is_none() {
            return Ok(Json(EndedGrants { ended_grants }));
        }
    }
}

pub(super) async fn heartbeat(
    State(state): State<ApiState>,
    endpoint: Endpoint,
    Json(beat): Json<Heartbeat>,
) -> Answer<Json<HeartbeatAnswer>> {
    let (id, tenant, now) = (id_of(&endpoint)?, endpoint.caller.tenant, state.app.ambient().now());
    if beat.plugins.len() > PLUGINS {
        return Err(Refusal::bad_input("plugins", format!("plugins has to hold at most {PLUGINS}")).into());
    }
    let plugins = beat.plugins.iter().map(|plugin| fleet::Plugin {
        name: plugin.name.clone(),
        state: word(plugin.state).to_owned(),
    });
    let seen = fleet::Heartbeat {
        endpoint: id,
        at: now,
        agent_version: Some(beat.agent_version.chars().take(100).collect()),
        snapshot_version: beat.snapshot.map(|snapshot| snapshot.version),
        queue_length: Some(u32::try_from(beat.queue_length).unwrap_or(u32::MAX)),
        clock_skew_ms: Some(beat.clock.millis().saturating_sub(now.millis())),
        plugins: plugins.collect(),
    };
    let mut tx = TenantTx::begin(state.app.pool(), tenant).await?;
    fleet::record_heartbeat(&mut tx, &seen).await?;
    tx.commit().await?;
    let keys = state.app.store.vault().tenant(tenant).await?;
    Ok(Json(HeartbeatAnswer {
        server_time: now,
        key_set_version: keys.key_set().version,
        ended_grants: state.app.ended_grants(&endpoint.caller, &beat.grants).await?,
    }))
}

const fn word(state: PluginState) -> &'static str {
    match state {
        PluginState::Starting => "starting",
        PluginState::Running => "running",
        PluginState::Failed => "failed",
        PluginState::Stopped => "stopped",
    }
}
