//! `/auth/oidc/*`: sign-in with an identity provider. A browser leaves, comes back, and is in, or stands before the
//! sign-in page again with the code of a refusal.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use commands::{
    Refusal,
    auth::oidc::{Begun, Came, FLOW_MINUTES, Finished},
};
use formats::IdentityProviderId;
use serde::{Deserialize, Serialize};

use crate::{
    Answer, ApiState,
    extract::{Authed, From, Json, Params, Query, check_same_origin, session_cookie},
    http::auth::view,
    layers::strangers,
    openapi::{Door, Op, Shape},
};

pub(super) fn door(state: Option<&ApiState>) -> Door {
    Door::new()
        .get(
            "/auth/providers",
            providers,
            Op::new(
                "signInProviders",
                "The identity providers with which people of a tenant sign in",
            )
            .query(
                "tenant",
                "string",
                "The tenant's slug; of an unknown one there are none",
            )
            .answers(200, "The providers, by name", Shape::Json("SignInProviders")),
        )
        .get(
            "/auth/oidc/{tenant}/start",
            start,
            Op::new("startOidc", "Send the browser to an identity provider")
                .query("provider", "string", "The provider's id")
                .query("returnTo", "string", "A path of this server to go to afterwards")
                .answers(303, "To the provider, or to /sign-in with refused=CODE", Shape::Empty)
                .refuses(422, "BAD_INPUT"),
        )
        .get(
            "/auth/oidc/{tenant}/callback",
            callback,
            Op::new(
                "finishOidc",
                "Take a browser back from an identity provider, and begin a session",
            )
            .query("state", "string", "As it was sent")
            .query("code", "string", "The authorization code")
            .query("iss", "string", "The issuer (RFC 9207)")
            .query("error", "string", "What the provider says is wrong")
            .answers(
                303,
                "To the path; or to /sign-in with ticket, or refused=CODE",
                Shape::Empty,
            )
            .refuses(422, "BAD_INPUT"),
        )
        .post(
            "/auth/oidc/code",
            code,
            Op::new(
                "finishOidcWithCode",
                "Begin the session for which only a one-time code was missing",
            )
            .takes(Shape::Json("TicketAndCode"))
            .answers(200, "The session; its cookie is set", Shape::Json("Session"))
            .refuses(401, "OIDC_STATE, INVALID_CODE")
            .refuses(403, "CROSS_SITE")
            .refuses(429, "LOCKED"),
        )
        .with(|router| match state {
            Some(state) => router.layer(from_fn_with_state(state.clone(), strangers)),
            None => router,
        })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfTenant {
    tenant: String,
}

#[derive(Serialize)]
struct ProviderRow {
    id: IdentityProviderId,
    name: String,
}

#[derive(Serialize)]
struct ProviderRows {
    providers: Vec<ProviderRow>,
}

async fn providers(State(state): State<ApiState>, Query(of): Query<OfTenant>) -> Answer<Json<ProviderRows>> {
    let mut providers = Vec::new();
    if let Some(tenant) = state.app.store.find_tenant(&of.tenant).await.map_err(Refusal::from)? {
        let mut tx = state.app.reading(tenant).await?;
        let rows = projections::identity_providers::providers(&mut tx)
            .await
            .map_err(Refusal::from)?;
        let open = rows.into_iter().filter(|row| !row.disabled);
        providers.extend(open.map(|row| ProviderRow {
            id: row.id,
            name: row.definition.name,
        }));
    }
    Ok(Json(ProviderRows { providers }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StartQuery {
    provider: IdentityProviderId,
    return_to: Option<String>,
}

async fn start(
    State(state): State<ApiState>,
    Params(tenant): Params<String>,
    Query(query): Query<StartQuery>,
    headers: HeaderMap,
) -> Response {
    let known = read(&state, &headers);
    let begun = state
        .app
        .oidc_begin(&tenant, query.provider, query.return_to.as_deref(), known.as_deref());
    match begun.await {
        Ok(Begun { url, browser }) => (CookieJar::new().add(cookie(&state, browser)), to(&url)).into_response(),
        Err(refusal) => refused(&tenant, &refusal),
    }
}

#[derive(Deserialize)]
struct CallbackQuery {
    #[serde(default)]
    state: String,
    code: Option<String>,
    error: Option<String>,
    iss: Option<String>,
}

async fn callback(
    State(state): State<ApiState>,
    From(origin): From,
    Params(tenant): Params<String>,
    Query(query): Query<CallbackQuery>,
    headers: HeaderMap,
) -> Response {
    let came = Came {
        tenant: tenant.clone(),
        state: query.state,
        code: query.code,
        error: query.error,
        iss: query.iss,
        browser: read(&state, &headers),
    };
    match state.app.oidc_finish(&origin, came).await {
        Ok(Finished::In { signed_in, return_to }) => {
            (CookieJar::new().add(session_cookie(&state, &signed_in)), to(&return_to)).into_response()
        }
        Ok(Finished::CodeNeeded { ticket, return_to }) => {
            to(&page(&[("tenant", &tenant), ("ticket", &ticket), ("next", &return_to)])).into_response()
        }
        Err(refusal) => refused(&tenant, &refusal),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CodeBody {
    ticket: String,
    code: String,
}

async fn code(
    State(state): State<ApiState>,
    From(origin): From,
    headers: HeaderMap,
    Json(body): Json<CodeBody>,
) -> Answer<Response> {
    check_same_origin(&headers, &state.config.public_url)?;
    let browser = read(&state, &headers);
    let signed_in = state
        .app
        .oidc_code(&origin, &body.ticket, &body.code, browser.as_deref())
        .await?;
    let jar = CookieJar::new().add(session_cookie(&state, &signed_in));
    let authed = Authed {
        caller: signed_in.session.caller.clone(),
        session: Some(signed_in.session),
    };
    Ok((jar, Json(view(&state, &authed).await?)).into_response())
}

/// Sends the browser on. The address is a provider's, judged when it was read, or a path of our own.
fn to(address: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, address.to_owned())]).into_response()
}

/// The sign-in page, with what it should know.
fn page(query: &[(&str, &str)]) -> String {
    let mut text = form_urlencoded::Serializer::new(String::new());
    for (name, value) in query {
        text.append_pair(name, value);
    }
    format!("/sign-in?{}", text.finish())
}

fn refused(tenant: &str, refusal: &Refusal) -> Response {
    to(&page(&[("tenant", tenant), ("refused", refusal.code)]))
}

fn name(state: &ApiState) -> &'static str {
    if state.config.is_https() {
        "__Host-portcullis-oidc"
    } else {
        "portcullis-oidc"
    }
}

fn read(state: &ApiState, headers: &HeaderMap) -> Option<String> {
    let jar = CookieJar::from_headers(headers);
    jar.get(name(state)).map(|cookie| cookie.value().to_owned())
}

/// Binds a sign-in to the browser that began it. `Lax`, since the way back is a link of another site.
fn cookie(state: &ApiState, value: String) -> Cookie<'static> {
    let mut cookie = Cookie::new(name(state), value);
    cookie.set_http_only(true);
    cookie.set_same_site(SameSite::Lax);
    cookie.set_path("/");
    cookie.set_secure(state.config.is_https());
    let minutes = i64::try_from(2 * FLOW_MINUTES).unwrap_or(i64::MAX);
    cookie.set_max_age(time::Duration::minutes(minutes));
    cookie
}
