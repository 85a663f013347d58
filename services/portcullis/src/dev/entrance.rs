//! The ways in that only development mode has, both for callers on this machine alone: what scripts read, and a link
//! that signs in once.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use axum::{
    Extension, Json, Router,
    extract::{ConnectInfo, Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use formats::Ambient;
use serde_json::json;

use super::{PASSWORD, Ready};

type Peer = Option<Extension<ConnectInfo<SocketAddr>>>;

/// Known once everything answers.
#[derive(Clone, Default)]
pub(super) struct Entrance {
    ready: Arc<OnceLock<Ready>>,
    /// What the link names; taken by whoever follows it first.
    token: Arc<Mutex<Option<String>>>,
}

impl Entrance {
    /// Opens both ways; the link is for the demo data's owner, and there is none without demo data.
    pub(super) fn open(&self, ready: &Ready, ambient: &Ambient) -> Option<String> {
        let _ = self.ready.set(ready.clone());
        ready.tenants.first()?;
        let token = ambient
            .bytes::<16>()
            .iter()
            .fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        let link = format!("{}/dev/sign-in/{token}", ready.url);
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
        Some(link)
    }

    pub(super) fn doors(&self) -> Router {
        Router::new()
            .route("/dev/ready.json", get(answer))
            .route("/dev/sign-in/{token}", get(sign_in))
            .with_state(self.clone())
    }

    fn take(&self, token: &str) -> bool {
        let mut kept = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        kept.take_if(|kept| kept == token).is_some()
    }
}

fn local(peer: &Peer) -> bool {
    peer.as_ref()
        .is_none_or(|Extension(ConnectInfo(peer))| peer.ip().is_loopback())
}

async fn answer(State(entrance): State<Entrance>, peer: Peer) -> Response {
    match entrance.ready.get() {
        Some(ready) if local(&peer) => Json(ready.clone()).into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Signs in through the usual door, with the owner's known password. A link that was followed before, or whose owner
/// has another password by now, leads to the form.
async fn sign_in(State(entrance): State<Entrance>, peer: Peer, Path(token): Path<String>) -> Response {
    let Some(ready) = entrance.ready.get().filter(|_| local(&peer)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let Some(tenant) = ready.tenants.first() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let form = Redirect::to(&format!("/sign-in?tenant={}", tenant.slug)).into_response();
    let Some(owner) = tenant.users.first().filter(|_| entrance.take(&token)) else {
        return form;
    };
    let asked = reqwest::Client::new()
        .post(format!("{}/auth/sign-in", ready.url))
        .json(&json!({ "tenant": tenant.slug, "email": owner.email, "password": PASSWORD }))
        .send()
        .await;
    let cookie = asked
        .ok()
        .filter(|answer| answer.status().is_success())
        .and_then(|answer| answer.headers().get(header::SET_COOKIE).cloned());
    match cookie {
        Some(cookie) => ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response(),
        None => form,
    }
}
