//! `/audit/v1`: a tenant's log as it is stored, for those who check it elsewhere.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use bytes::{BufMut, Bytes, BytesMut};
use commands::Act;
use eventstore::Recorded;
use formats::{TenantId, hash::to_hex};
use futures_util::{StreamExt, stream};
use serde::Deserialize;

use crate::{
    Answer, ApiState, Problem,
    extract::{Authed, Params, Query},
    layers::compressed,
    openapi::{Door, Login, Op, Shape},
};

/// Events read at once; each batch is a short transaction of its own.
const BATCH: u32 = 500;

pub(super) fn door() -> Door {
    let op = Op::new(
        "auditEvents",
        "A range of the log, one JSON object a line: {position, leaf, body}. `body` is the \
                                     event exactly as it was hashed: leaf = SHA-256(0x00 || body).",
    )
    .by(Login::User)
    .query("from", "integer", "The first position, 1 or more; by default 1")
    .query("to", "integer", "The last position; by default the last there is now")
    .answers(200, "The events", Shape::Other("application/x-ndjson"))
    .refuses(422, "BAD_INPUT");
    Door::new()
        .get("/audit/v1/{tenant}/events", events, op)
        .with(|router| router.layer(compressed()))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    #[serde(default)]
    from: Option<u64>,
    #[serde(default)]
    to: Option<u64>,
}

async fn events(
    State(state): State<ApiState>,
    authed: Authed,
    Params(name): Params<String>,
    Query(range): Query<Range>,
) -> Answer<Response> {
    let caller = authed.caller;
    let tenant = caller.tenant;
    if named(&state, &name).await? != Some(tenant) || !caller.may(Act::ReadAudit) {
        return Err(Problem::not_found("log"));
    }
    let head = state.app.store.head(tenant).await?;
    let from = range.from.unwrap_or(1);
    let to = range.to.unwrap_or(head);
    if from == 0 || from > to.saturating_add(1) {
        return Err(commands::Refusal::bad_input("from", "from has to be 1 or more, and not above to").into());
    }
    let last = to.min(head);
    let caller = Arc::new(caller);
    let lines = stream::try_unfold(from - 1, move |after| {
        let (state, caller) = (state.clone(), Arc::clone(&caller));
        async move {
            if after >= last {
                return Ok::<_, Problem>(None);
            }
            // Whoever lost the role or the session meanwhile gets no further.
            state.app.still(&caller).await?.demand(Act::ReadAudit)?;
            let wanted = u32::try_from(last - after).unwrap_or(BATCH).min(BATCH);
            let batch = state.app.store.read(tenant, after, wanted).await?;
            let Some(reached) = batch.last().map(|event| event.position) else {
                return Ok(None);
            };
            Ok(Some((lines_of(&batch), reached)))
        }
    });
    // A stream that cannot go on is cut, so that nobody takes a part for the whole.
    let lines = lines.map(|line| line.map_err(|problem| std::io::Error::other(problem.code())));
    let name = format!("attachment; filename=\"{tenant}-{from}-{last}.ndjson\"");
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, Body::from_stream(lines)).into_response())
}

/// A tenant by its id or its slug.
async fn named(state: &ApiState, name: &str) -> Answer<Option<TenantId>> {
    match name.parse() {
        Ok(id) => Ok(Some(id)),
        Err(_) => Ok(state.app.store.find_tenant(name).await?),
    }
}

/// The stored bytes are JSON in one line; they are copied, not written anew.
fn lines_of(events: &[Recorded]) -> Bytes {
    let mut lines = BytesMut::with_capacity(events.iter().map(|event| event.bytes.len() + 128).sum());
    for event in events {
        let start = format!(
            "{{\"position\":{},\"leaf\":\"{}\",\"body\":",
            event.position,
            to_hex(&event.leaf)
        );
        lines.put_slice(start.as_bytes());
        lines.put_slice(&event.bytes);
        lines.put_slice(b"}\n");
    }
    lines.freeze()
}
