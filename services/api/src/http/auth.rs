//! `/auth/*`: sign-in, sessions, one-time codes, passwords, short tokens.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
};
use axum_extra::extract::cookie::CookieJar;
use commands::auth::{Proof, SecondFactor, Session, SignIn};
use formats::{SessionId, TenantId, Timestamp, UserId};
use model::Role;
use serde::{Deserialize, Serialize};

use crate::{
    Answer, ApiState, Problem,
    extract::{Authed, From, Json, Params, check_same_origin, session_cookie, spent_cookie},
    layers::strangers,
    openapi::{Door, Login, Op, Shape},
};

pub(super) fn door(state: Option<&ApiState>) -> Door {
    let open = Door::new()
        .post(
            "/auth/sign-in",
            sign_in,
            Op::new(
                "signIn",
                "Begin a session with a password, and a one-time code or a passkey where one is registered",
            )
            .takes(Shape::Json("SignIn"))
            .answers(200, "The session; its cookie is set", Shape::Json("Session"))
            .refuses(
                401,
                "INVALID_SIGN_IN, CODE_NEEDED (with what will do and a passkey's challenge), INVALID_CODE, INVALID_PASSKEY",
            )
            .refuses(403, "TENANT_SUSPENDED, CROSS_SITE")
            .refuses(409, "PASSKEYS_UNAVAILABLE")
            .refuses(429, "LOCKED"),
        )
        .post(
            "/auth/invitation",
            accept_invitation,
            Op::new("acceptInvitation", "Choose a password by a link, and begin a session; with the second factor where one is registered")
                .takes(Shape::Json("AcceptInvitation"))
                .answers(200, "The session; its cookie is set", Shape::Json("Session"))
                .refuses(401, "INVITATION_INVALID, CODE_NEEDED, INVALID_CODE, INVALID_PASSKEY (as at a sign-in)")
                .refuses(403, "TENANT_SUSPENDED, CROSS_SITE")
                .refuses(422, "WEAK_PASSWORD")
                .refuses(429, "LOCKED"),
        )
        .post(
            "/auth/password-reset",
            forgot_password,
            Op::new(
                "forgotPassword",
                "Ask for a link by mail; the answer is the same whether or not there is such a person",
            )
            .takes(Shape::Json("ForgotPassword"))
            .answers(202, "Asked", Shape::Empty)
            .refuses(403, "CROSS_SITE"),
        )
        .post(
            "/auth/password-reset/confirm",
            accept_invitation,
            Op::new("resetPassword", "Choose a new password by a link, and begin a session; with the second factor where one is registered")
                .takes(Shape::Json("AcceptInvitation"))
                .answers(200, "The session; its cookie is set", Shape::Json("Session"))
                .refuses(401, "INVITATION_INVALID, CODE_NEEDED, INVALID_CODE, INVALID_PASSKEY (as at a sign-in)")
                .refuses(403, "TENANT_SUSPENDED, CROSS_SITE")
                .refuses(422, "WEAK_PASSWORD")
                .refuses(429, "LOCKED"),
        )
        .with(|router| match state {
            Some(state) => router.layer(from_fn_with_state(state.clone(), strangers)),
            None => router,
        });
    let user = |name, summary| Op::new(name, summary).by(Login::User);
    Door::new()
        .get(
            "/auth/session",
            session,
            user("session", "Who is signed in").answers(200, "The session", Shape::Json("Session")),
        )
        .post(
            "/auth/sign-out",
            sign_out,
            user("signOut", "End this session").answers(204, "Ended", Shape::Empty),
        )
        .post(
            "/auth/token",
            token,
            user("accessToken", "A short access token of a session or an API key").answers(
                200,
                "The token",
                Shape::Json("AccessToken"),
            ),
        )
        .get(
            "/auth/sessions",
            sessions,
            user("sessions", "One's own sessions, newest first").answers(200, "Sessions", Shape::Json("Sessions")),
        )
        .delete(
            "/auth/sessions/{id}",
            end_session,
            user("endSession", "End one of one's own sessions").answers(204, "Ended", Shape::Empty),
        )
        .post(
            "/auth/password",
            change_password,
            user("changePassword", "Change one's own password; the other sessions end")
                .takes(Shape::Json("ChangePassword"))
                .answers(204, "Changed", Shape::Empty)
                .refuses(401, "INVALID_PASSWORD")
                .refuses(422, "WEAK_PASSWORD")
                .refuses(429, "LOCKED"),
        )
        .post(
            "/auth/totp",
            enrol,
            user(
                "enrolTotp",
                "Begin to enrol one-time codes; they count once a code confirms them",
            )
            .answers(200, "The secret, this once", Shape::Json("TotpEnrolment"))
            .refuses(403, "STEP_UP_NEEDED")
            .refuses(409, "ALREADY_ENROLLED"),
        )
        .post(
            "/auth/totp/confirm",
            confirm,
            user("confirmTotp", "Confirm the enrolment with a code")
                .takes(Shape::Json("Code"))
                .answers(200, "Recovery codes, this once", Shape::Json("RecoveryCodes"))
                .refuses(401, "INVALID_CODE")
                .refuses(409, "NOT_ENROLLED")
                .refuses(429, "LOCKED"),
        )
        .post(
            "/auth/totp/remove",
            remove,
            user("removeTotp", "Remove one's own one-time codes, with a code")
                .takes(Shape::Json("Code"))
                .answers(204, "Removed", Shape::Empty)
                .refuses(401, "INVALID_CODE")
                .refuses(409, "NOT_ENROLLED")
                .refuses(429, "LOCKED"),
        )
        .post(
            "/auth/step-up",
            step_up,
            user("stepUp", "Prove again who one is, for what needs a fresh proof")
                .takes(Shape::Json("Proof"))
                .answers(204, "Proved", Shape::Empty)
                .refuses(401, "INVALID_CODE, INVALID_PASSKEY, INVALID_PASSWORD, CODE_NEEDED")
                .refuses(409, "NOT_ENROLLED, PASSKEYS_UNAVAILABLE")
                .refuses(429, "LOCKED"),
        )
        .and(open)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SignInBody {
    tenant: String,
    email: String,
    password: String,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    passkey: Option<serde_json::Value>,
}

/// A session, as the console needs it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SessionView {
    user: UserView,
    tenant: TenantView,
    roles: Vec<Role>,
    /// How they signed in: `password`, `password+totp`, `password+passkey`, `oidc`, `oidc+mfa`, `oidc+totp`, `token`.
    method: String,
    /// To be sent back in `x-csrf-token`; none for a call with a token, which needs none.
    csrf_token: Option<String>,
    expires_at: Option<Timestamp>,
    stepped_up_at: Option<Timestamp>,
    totp_enrolled: bool,
}

#[derive(Debug, Serialize)]
struct UserView {
    id: UserId,
    email: Option<String>,
    name: Option<String>,
}

#[derive(Debug, Serialize)]
struct TenantView {
    id: TenantId,
    slug: String,
    name: String,
}

async fn sign_in(
    State(state): State<ApiState>,
    From(origin): From,
    headers: HeaderMap,
    Json(body): Json<SignInBody>,
) -> Answer<Response> {
    check_same_origin(&headers, &state.config.public_url)?;
    let SignInBody {
        tenant,
        email,
        password,
        code,
        passkey,
    } = body;
    let signed_in = state
        .app
        .sign_in(
            &origin,
            SignIn {
                tenant,
                email,
                password,
                code,
                passkey,
            },
        )
        .await?;
    let jar = CookieJar::new().add(session_cookie(&state, &signed_in));
    let authed = Authed {
        caller: signed_in.session.caller.clone(),
        session: Some(signed_in.session),
    };
    Ok((jar, Json(view(&state, &authed).await?)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InvitationBody {
    token: String,
    password: String,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    passkey: Option<serde_json::Value>,
}

async fn accept_invitation(
    State(state): State<ApiState>,
    From(origin): From,
    headers: HeaderMap,
    Json(body): Json<InvitationBody>,
) -> Answer<Response> {
    check_same_origin(&headers, &state.config.public_url)?;
    let second = SecondFactor {
        code: body.code,
        passkey: body.passkey,
    };
    let signed_in = state
        .app
        .accept_invitation(&origin, &body.token, &body.password, &second)
        .await?;
    let jar = CookieJar::new().add(session_cookie(&state, &signed_in));
    let authed = Authed {
        caller: signed_in.session.caller.clone(),
        session: Some(signed_in.session),
    };
    Ok((jar, Json(view(&state, &authed).await?)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ForgotBody {
    tenant: String,
    email: String,
}

async fn forgot_password(
    State(state): State<ApiState>,
    From(origin): From,
    headers: HeaderMap,
    Json(body): Json<ForgotBody>,
) -> Answer<StatusCode> {
    check_same_origin(&headers, &state.config.public_url)?;
    state.app.forgot_password(&origin, body.tenant, body.email);
    Ok(StatusCode::ACCEPTED)
}

async fn session(State(state): State<ApiState>, authed: Authed) -> Answer<Json<SessionView>> {
    view(&state, &authed).await.map(Json)
}

pub(super) async fn view(state: &ApiState, authed: &Authed) -> Answer<SessionView> {
    let caller = &authed.caller;
    let commands::Principal::User {
        user,
        roles,
        method,
        stepped_up_at,
        ..
    } = &caller.principal
    else {
        return Err(commands::Refusal::forbidden("only people have sessions").into());
    };
    let mut tx = state.app.reading(caller.tenant).await?;
    let row = projections::directory::user(&mut tx, *user).await?;
    let tenant = projections::directory::tenant(&mut tx).await?;
    drop(tx);
    let (email, name) = row.map_or((None, None), |row| (row.email, row.name));
    let (slug, tenant_name) = tenant.map(|tenant| (tenant.slug, tenant.name)).unwrap_or_default();
    let session = authed.session.as_ref();
    Ok(SessionView {
        user: UserView { id: *user, email, name },
        tenant: TenantView {
            id: caller.tenant,
            slug,
            name: tenant_name,
        },
        roles: roles.clone(),
        method: method.clone(),
        csrf_token: session.map(|session: &Session| session.csrf.clone()),
        expires_at: session.map(|session| session.expires_at),
        stepped_up_at: *stepped_up_at,
        totp_enrolled: state.app.totp_enrolled(caller).await?,
    })
}

async fn sign_out(State(state): State<ApiState>, authed: Authed) -> Answer<Response> {
    state.app.sign_out(&authed.caller).await?;
    Ok((
        CookieJar::new().add(spent_cookie(&state.config)),
        StatusCode::NO_CONTENT,
    )
        .into_response())
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TokenView {
    access_token: String,
    token_type: &'static str,
    expires_in: u32,
}

async fn token(State(state): State<ApiState>, authed: Authed) -> Answer<Json<TokenView>> {
    let token = state.app.access_token(&authed.caller).await?;
    Ok(Json(TokenView {
        access_token: token.token,
        token_type: "Bearer",
        expires_in: token.expires_in,
    }))
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionRow {
    id: SessionId,
    method: String,
    address: Option<String>,
    agent: Option<String>,
    created_at: Timestamp,
    seen_at: Timestamp,
    expires_at: Timestamp,
    current: bool,
}

#[derive(Debug, Serialize)]
struct SessionRows {
    sessions: Vec<SessionRow>,
}

async fn sessions(State(state): State<ApiState>, authed: Authed) -> Answer<Json<SessionRows>> {
    let rows = state
        .app
        .sessions(&authed.caller)
        .await?
        .into_iter()
        .map(|row| SessionRow {
            id: row.id,
            method: row.method,
            address: row.address,
            agent: row.agent,
            created_at: row.created_at,
            seen_at: row.seen_at,
            expires_at: row.expires_at,
            current: row.current,
        });
    Ok(Json(SessionRows {
        sessions: rows.collect(),
    }))
}

async fn end_session(
    State(state): State<ApiState>,
    authed: Authed,
    Params(id): Params<SessionId>,
) -> Answer<StatusCode> {
    let user = authed.caller.user().ok_or_else(|| Problem::not_found("session"))?;
    state.app.end_session(&authed.caller, user, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PasswordBody {
    old_password: String,
    new_password: String,
}

async fn change_password(
    State(state): State<ApiState>,
    authed: Authed,
    Json(body): Json<PasswordBody>,
) -> Answer<StatusCode> {
    state
        .app
        .change_password(&authed.caller, &body.old_password, &body.new_password)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EnrolmentView {
    secret: String,
    uri: String,
    qr_svg: String,
}

async fn enrol(State(state): State<ApiState>, authed: Authed) -> Answer<Json<EnrolmentView>> {
    let enrolment = state.app.totp_enrol(&authed.caller).await?;
    Ok(Json(EnrolmentView {
        secret: enrolment.secret,
        uri: enrolment.uri,
        qr_svg: enrolment.qr_svg,
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CodeBody {
    code: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RecoveryView {
    recovery_codes: Vec<String>,
}

async fn confirm(
    State(state): State<ApiState>,
    authed: Authed,
    Json(body): Json<CodeBody>,
) -> Answer<Json<RecoveryView>> {
    let recovery_codes = state.app.totp_confirm(&authed.caller, &body.code).await?;
    Ok(Json(RecoveryView { recovery_codes }))
}

async fn remove(State(state): State<ApiState>, authed: Authed, Json(body): Json<CodeBody>) -> Answer<StatusCode> {
    state.app.totp_remove(&authed.caller, &body.code).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// One proof of three.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProofBody {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    passkey: Option<serde_json::Value>,
    #[serde(default)]
    password: Option<String>,
}

impl ProofBody {
    fn read(self) -> Answer<Proof> {
        match (self.code, self.passkey, self.password) {
            (Some(code), None, None) => Ok(Proof::Code(code)),
            (None, Some(credential), None) => Ok(Proof::Passkey(credential)),
            (None, None, Some(password)) => Ok(Proof::Password(password)),
            _ => Err(commands::Refusal::bad_input("code", "give one of code, passkey and password").into()),
        }
    }
}

async fn step_up(State(state): State<ApiState>, authed: Authed, Json(body): Json<ProofBody>) -> Answer<StatusCode> {
    state.app.step_up(&authed.caller, body.read()?).await?;
    Ok(StatusCode::NO_CONTENT)
}
