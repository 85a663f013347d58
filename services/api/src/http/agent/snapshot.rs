//! What an endpoint's group enforces.

use ::bytes::Bytes;
use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use commands::{Principal, Refusal};
use formats::{
    DeploymentGroupId,
    agent_wire::{KEY_SET_HEADER, STATEMENT_HEADER, SnapshotAck},
};

use super::{
    offers::{Offer, Offers},
    poll::Poll,
};
use crate::{
    Answer, ApiState, Problem,
    extract::{Endpoint, Json, SlowPoll},
};

/// The body, at once where the agent has another one, else as soon as there is another one or the wait is over (304).
pub(super) async fn snapshot(
    State(state): State<ApiState>,
    endpoint: Endpoint,
    SlowPoll(wait): SlowPoll,
    headers: HeaderMap,
) -> Answer<Response> {
    let group = group_of(&endpoint)?;
    let mut poll = Poll::open(&state, &endpoint, wait);
    let mut shown = Offers::watch(&state, endpoint.caller.tenant, group).await?;
    loop {
        let offer = shown.borrow_and_update().clone();
        let news = offer.as_ref().is_some_and(|offer| !is_known(&headers, &offer.etag));
        if news || !poll.wait(&mut shown).await? {
            return match offer {
                Some(offer) => answer(&state, &endpoint, &headers, &offer).await,
                None => Err(not_ready()),
            };
        }
    }
}

fn group_of(endpoint: &Endpoint) -> Answer<DeploymentGroupId> {
    match endpoint.caller.principal {
        Principal::Endpoint { group, .. } => Ok(group),
        _ => Err(Refusal::forbidden("this is for agents").into()),
    }
}

/// The read model has not seen the group yet.
fn not_ready() -> Problem {
    let mut refusal = Refusal::new("SNAPSHOT_NOT_READY", 503, "there is no snapshot for this group yet");
    refusal.retry_after = Some(1);
    refusal.into()
}

async fn answer(state: &ApiState, endpoint: &Endpoint, asked: &HeaderMap, offer: &Offer) -> Answer<Response> {
    let (statement, key_set) = offer.statement(state, endpoint.caller.tenant).await?;
    let mut response = if is_known(asked, &offer.etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let (encoding, body) = encoded(asked, offer);
        let mut response = Response::new(Body::from(body));
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(encoding) = encoding {
            response
                .headers_mut()
                .insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        let (epoch, version) = offer.version();
        tracing::debug!(epoch, version, "a snapshot is sent");
        response
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, offer.etag.clone());
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(STATEMENT_HEADER, statement);
    headers.insert(KEY_SET_HEADER, HeaderValue::from(key_set));
    Ok(response)
}

/// Whether the agent says that it has this body.
fn is_known(asked: &HeaderMap, etag: &HeaderValue) -> bool {
    let Ok(etag) = etag.to_str() else { return false };
    let tags = asked
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok());
    tags.flat_map(|value| value.split(','))
        .any(|tag| tag.trim().trim_start_matches("W/") == etag)
}

/// The smallest form that the agent accepts.
fn encoded(asked: &HeaderMap, offer: &Offer) -> (Option<&'static str>, Bytes) {
    if accepts(asked, "zstd") {
        (Some("zstd"), offer.zstd.clone())
    } else if accepts(asked, "gzip") {
        (Some("gzip"), offer.gzip.clone())
    } else {
        (None, offer.plain.clone())
    }
}

fn accepts(asked: &HeaderMap, wanted: &str) -> bool {
    let lists = asked
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|entry| {
        let mut parts = entry.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(wanted));
        let refused = parts.any(|part| {
            part.strip_prefix("q=")
                .is_some_and(|q| q.parse::<f32>().is_ok_and(|q| q <= 0.0))
        });
        named && !refused
    })
}

pub(super) async fn ack(
    State(state): State<ApiState>,
    endpoint: Endpoint,
    Json(ack): Json<SnapshotAck>,
) -> Answer<StatusCode> {
    state.app.ack_snapshot(&endpoint.caller, ack).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        [(name, value.parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn an_agent_gets_a_form_that_it_accepts() {
        let told = |value: &str| {
            let headers = headers(header::ACCEPT_ENCODING, value);
            (accepts(&headers, "zstd"), accepts(&headers, "gzip"))
        };
        assert_eq!(told("gzip, zstd"), (true, true));
        assert_eq!(told("GZIP;q=0.5, zstd;q=0"), (false, true));
        assert_eq!(told("br"), (false, false));
    }

    #[test]
    fn a_body_in_hand_is_known_by_its_tag() {
        let etag = HeaderValue::from_static("\"abc\"");
        assert!(is_known(&headers(header::IF_NONE_MATCH, "\"abc\""), &etag));
        assert!(is_known(&headers(header::IF_NONE_MATCH, "\"x\", W/\"abc\""), &etag));
        assert!(!is_known(&headers(header::IF_NONE_MATCH, "\"abcd\""), &etag));
        assert!(!is_known(&HeaderMap::new(), &etag));
    }
}
