//! Who asks: a person or service account, an agent, an operator.
//!
//! A good credential is charged to its owner, a bad one to the address it came from ([`crate::layers::Limits`]).

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use commands::{
    Caller, Origin, Outcome,
    auth::{Session, SignedIn},
};

use super::{From, check_same_origin, check_token, is_safe};
use crate::{
    Answer, ApiConfig, ApiState, Problem,
    layers::{Held, Who},
};

/// A person with a session or a token, or a service account with a key. A call with the session's cookie that changes
/// something has to be made by our own pages ([`check_same_origin`], [`check_token`]).
#[derive(Debug, Clone)]
pub struct Authed {
    /// Who.
    pub caller: Caller,
    /// The session, for a call with its cookie.
    pub session: Option<Session>,
}

impl FromRequestParts<ApiState> for Authed {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Answer<Self> {
        let From(origin) = From::from_request_parts(parts, state).await?;
        if let Some(token) = bearer(&parts.headers) {
            let caller = known(
                state,
                parts,
                &origin,
                state.app.bearer(&origin, token).await,
                Who::Principal,
            )
            .await?;
            return Ok(Self { caller, session: None });
        }
        let Some(cookie) = read_cookie(&state.config, &parts.headers) else {
            return Err(stranger(state, parts, &origin));
        };
        let session = state.app.session(&origin, &cookie).await;
        let caller = session
            .as_ref()
            .map(|session| session.caller.clone())
            .map_err(Clone::clone);
        let caller = known(state, parts, &origin, caller, Who::Principal).await?;
        let session = session?;
        if !is_safe(&parts.method) {
            check_same_origin(&parts.headers, &state.config.public_url)?;
            check_token(&parts.headers, |token| session.csrf_matches(token))?;
        }
        Ok(Self {
            caller,
            session: Some(session),
        })
    }
}

/// An agent with its access token.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Which endpoint.
    pub caller: Caller,
    /// The token, to be asked about again while a poll is open.
    pub token: String,
}

impl FromRequestParts<ApiState> for Endpoint {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Answer<Self> {
        let From(origin) = From::from_request_parts(parts, state).await?;
        let Some(token) = bearer(&parts.headers) else {
            return Err(stranger(state, parts, &origin));
        };
        let token = token.to_owned();
        let caller = known(
            state,
            parts,
            &origin,
            state.app.agent(&origin, &token).await,
            Who::Agent,
        )
        .await?;
        Ok(Self { caller, token })
    }
}

/// A platform operator with a credential of the platform.
#[derive(Debug, Clone)]
pub struct Operator(pub Caller);

impl FromRequestParts<ApiState> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Answer<Self> {
        let From(origin) = From::from_request_parts(parts, state).await?;
        let Some(token) = bearer(&parts.headers) else {
            return Err(stranger(state, parts, &origin));
        };
        known(
            state,
            parts,
            &origin,
            state.app.platform(&origin, token).await,
            Who::Principal,
        )
        .await
        .map(Self)
    }
}

/// An identity provider with a SCIM token.
#[derive(Debug, Clone)]
pub struct IdentityProvider(pub Caller);

impl FromRequestParts<ApiState> for IdentityProvider {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Answer<Self> {
        let From(origin) = From::from_request_parts(parts, state).await?;
        let Some(token) = bearer(&parts.headers) else {
            return Err(stranger(state, parts, &origin));
        };
        let caller = state.app.scim(&origin, token).await;
        known(state, parts, &origin, caller, Who::Principal).await.map(Self)
    }
}

/// Charges the call, to the principal or to the address.
///
/// Then waits for a place among the tenants' calls, unless the call may be a poll: those wait without work.
async fn known(state: &ApiState, parts: &Parts, origin: &Origin, caller: Outcome<Caller>, who: Who) -> Answer<Caller> {
    match caller {
        Ok(caller) => {
            let key = format!("{}/{}", caller.tenant.uuid().simple(), caller.name());
            state.limits.charge(&parts.extensions, who, &key)?;
            if let Some(held) = parts.extensions.get::<Held>()
                && !(is_safe(&parts.method) || held.is_kept())
            {
                held.keep(state.shares.enter(caller.tenant).await?);
            }
            Ok(caller)
        }
        Err(refusal) if refusal.status == 401 => {
            state.limits.charge_address(&parts.extensions, origin.address)?;
            Err(refusal.into())
        }
        Err(refusal) => Err(refusal.into()),
    }
}

fn stranger(state: &ApiState, parts: &Parts, origin: &Origin) -> Problem {
    match state.limits.charge_address(&parts.extensions, origin.address) {
        Ok(()) => commands::Refusal::unauthenticated().into(),
        Err(problem) => problem,
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// The session cookie's value.
#[must_use]
pub fn read_cookie(config: &ApiConfig, headers: &HeaderMap) -> Option<String> {
    CookieJar::from_headers(headers)
        .get(config.cookie_name())
        .map(|cookie| cookie.value().to_owned())
}

/// The cookie of a session that has just begun: for this host, out of reach of scripts, not sent by other sites' posts.
#[must_use]
pub fn session_cookie(state: &ApiState, signed_in: &SignedIn) -> Cookie<'static> {
    let seconds = signed_in.session.expires_at.since(state.app.ambient().now()).as_secs();
    cookie(
        &state.config,
        signed_in.cookie.to_string(),
        i64::try_from(seconds).unwrap_or(i64::MAX),
    )
}

/// The cookie that takes the session's cookie away.
#[must_use]
pub fn spent_cookie(config: &ApiConfig) -> Cookie<'static> {
    cookie(config, String::new(), 0)
}

fn cookie(config: &ApiConfig, value: String, seconds: i64) -> Cookie<'static> {
    let mut cookie = Cookie::new(config.cookie_name(), value);
    cookie.set_http_only(true);
    cookie.set_same_site(SameSite::Lax);
    cookie.set_path("/");
    cookie.set_secure(config.is_https());
    cookie.set_max_age(time::Duration::seconds(seconds));
    cookie
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_out_of_reach_of_scripts_and_other_sites() {
        let https = ApiConfig {
            public_url: "https://gate.example".to_owned(),
            ..ApiConfig::default()
        };
        assert_eq!(
            cookie(&https, "v".to_owned(), 60).to_string(),
            "__Host-portcullis=v; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=60"
        );
        assert_eq!(
            spent_cookie(&ApiConfig::default()).to_string(),
            "portcullis=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0"
        );
    }

    #[test]
    fn a_bearer_token_is_read_whatever_the_case_of_its_scheme() {
        let headers = |value: &str| {
            [(header::AUTHORIZATION, value.parse().unwrap())]
                .into_iter()
                .collect::<HeaderMap>()
        };
        assert_eq!(bearer(&headers("Bearer abc")), Some("abc"));
        assert_eq!(bearer(&headers("bearer  abc")), Some("abc"));
        assert_eq!(bearer(&headers("Basic abc")), None);
        assert_eq!(bearer(&headers("Bearer")), None);
    }
}
