//! `/auth/passkeys`: one's own passkeys, and the challenges for a fresh proof with one.
//!
//! Options go out as `PublicKeyCredential.parseCreationOptionsFromJSON` and `parseRequestOptionsFromJSON` take them,
//! answers come back as `toJSON` of the credential makes them (WebAuthn level 3).

use axum::{extract::State, http::StatusCode};
use commands::auth::PasskeyInfo;
use formats::{PasskeyId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Answer, ApiState,
    extract::{Authed, Json, Params},
    openapi::{Door, Login, Op, Shape},
};

pub(super) fn door() -> Door {
    let user = |name, summary| Op::new(name, summary).by(Login::User);
    Door::new()
        .get(
            "/auth/passkeys",
            list,
            user("passkeys", "One's own passkeys, oldest first").answers(200, "Passkeys", Shape::Json("Passkeys")),
        )
        .post(
            "/auth/passkeys",
            register,
            user("registerPasskey", "Register the passkey that was made for the options")
                .takes(Shape::Json("RegisterPasskey"))
                .answers(201, "Registered", Shape::Json("Passkey"))
                .refuses(401, "INVALID_PASSKEY")
                .refuses(403, "STEP_UP_NEEDED")
                .refuses(409, "TOO_MANY_PASSKEYS, PASSKEYS_UNAVAILABLE"),
        )
        .post(
            "/auth/passkeys/options",
            options,
            user(
                "passkeyOptions",
                "Begin to register a passkey, after a fresh proof of who one is; the challenge lasts five minutes",
            )
            .answers(
                200,
                "What navigator.credentials.create takes",
                Shape::Json("PasskeyOptions"),
            )
            .refuses(403, "STEP_UP_NEEDED")
            .refuses(409, "TOO_MANY_PASSKEYS, PASSKEYS_UNAVAILABLE"),
        )
        .delete(
            "/auth/passkeys/{id}",
            remove,
            user(
                "removePasskey",
                "Remove one of one's own passkeys, after a fresh proof; nothing else changes",
            )
            .answers(204, "Removed", Shape::Empty)
            .refuses(403, "STEP_UP_NEEDED"),
        )
        .post(
            "/auth/step-up/passkey",
            step_up_options,
            user(
                "passkeyStepUpOptions",
                "Ask for a fresh proof with a passkey; its answer goes to /auth/step-up within five minutes",
            )
            .answers(
                200,
                "What navigator.credentials.get takes",
                Shape::Json("PasskeyOptions"),
            )
            .refuses(409, "NOT_ENROLLED, PASSKEYS_UNAVAILABLE")
            .refuses(429, "LOCKED"),
        )
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PasskeyView {
    id: PasskeyId,
    name: String,
    created_at: Timestamp,
    last_used_at: Option<Timestamp>,
    flagged: bool,
}

impl From<PasskeyInfo> for PasskeyView {
    fn from(info: PasskeyInfo) -> Self {
        Self {
            id: info.id,
            name: info.name,
            created_at: info.created_at,
            last_used_at: info.last_used_at,
            flagged: info.flagged,
        }
    }
}

#[derive(Debug, Serialize)]
struct PasskeyViews {
    /// Whether they work at this server's address.
    available: bool,
    passkeys: Vec<PasskeyView>,
}

async fn list(State(state): State<ApiState>, authed: Authed) -> Answer<Json<PasskeyViews>> {
    let passkeys = state.app.passkeys(&authed.caller).await?;
    Ok(Json(PasskeyViews {
        available: state.app.passkeys_available(),
        passkeys: passkeys.into_iter().map(PasskeyView::from).collect(),
    }))
}

async fn options(State(state): State<ApiState>, authed: Authed) -> Answer<Json<Value>> {
    Ok(Json(state.app.passkey_options(&authed.caller).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegisterBody {
    name: String,
    credential: Value,
}

async fn register(
    State(state): State<ApiState>,
    authed: Authed,
    Json(body): Json<RegisterBody>,
) -> Answer<(StatusCode, Json<PasskeyView>)> {
    let made = state
        .app
        .passkey_register(&authed.caller, &body.name, &body.credential)
        .await?;
    Ok((StatusCode::CREATED, Json(made.into())))
}

async fn remove(State(state): State<ApiState>, authed: Authed, Params(id): Params<PasskeyId>) -> Answer<StatusCode> {
    state.app.passkey_remove(&authed.caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn step_up_options(State(state): State<ApiState>, authed: Authed) -> Answer<Json<Value>> {
    Ok(Json(state.app.passkey_step_up_options(&authed.caller).await?))
}
