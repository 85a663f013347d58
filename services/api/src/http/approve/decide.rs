//! What the page's forms do.

use axum::{
    extract::State,
    http::{Extensions, HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use axum_extra::extract::cookie::CookieJar;
use commands::{Caller, Outcome, Refusal, auth::SignIn};

use super::{
    enter,
    form::{Button, Fields, Sent, narrowing, on_page},
    gone::Gone,
    page::Page,
    view::Visit,
};
use crate::{
    ApiState, Problem,
    extract::{Form, From, Params, check_same_origin, equal, session_cookie},
};

pub(super) async fn post(
    State(state): State<ApiState>,
    From(origin): From,
    Params(token): Params<String>,
    extensions: Extensions,
    headers: HeaderMap,
    sent: Result<Form<Sent>, Problem>,
) -> Response {
    let entered = enter(&state, &origin, &token, &extensions, &headers).await;
    let allowed = entered.and_then(|visit| check_same_origin(&headers, &state.config.public_url).map(|()| visit));
    let (visit, sent) = match (allowed, sent) {
        (Ok(visit), Ok(Form(sent))) => (visit, sent),
        (Err(problem), _) | (_, Err(problem)) => return Gone::of(&problem).into_response(),
    };
    let mut fields = Fields::again(&sent);
    let done = match sent.button {
        Button::SignIn => sign_in(&state, &visit, &sent).await,
        Button::Approve | Button::Deny => decide(&state, &visit, &sent, &mut fields).await,
    };
    match done {
        Ok(done) => done.into_response(),
        Err(refusal) => refused(&state, &visit, fields, &refusal).await,
    }
}

/// Back to the page, which then shows what is the case.
enum Done {
    SignedIn(CookieJar, String),
    Decided(String),
}

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        match self {
            Self::SignedIn(jar, to) => (jar, Self::Decided(to)).into_response(),
            Self::Decided(to) => (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response(),
        }
    }
}

async fn sign_in(state: &ApiState, visit: &Visit, sent: &Sent) -> Outcome<Done> {
    let input = SignIn {
        tenant: visit.link.slug.clone(),
        email: visit.link.email.clone().unwrap_or_default(),
        password: sent.password.clone(),
        code: Some(sent.code.clone()).filter(|code| !code.trim().is_empty()),
        passkey: None,
    };
    let signed_in = state.app.sign_in(&visit.origin, input).await.map_err(|mut refusal| {
        if refusal.code == "CODE_NEEDED" && !visit.link.totp {
            refusal.message = "use your passkey below, or sign in to the console with it".to_owned();
            refusal.field = Some("password".to_owned());
        }
        refusal
    })?;
    Ok(Done::SignedIn(
        CookieJar::new().add(session_cookie(state, &signed_in)),
        visit.address(),
    ))
}

async fn decide(state: &ApiState, visit: &Visit, sent: &Sent, fields: &mut Fields) -> Outcome<Done> {
    let narrowing = narrowing(sent, fields);
    let comment = Some(sent.comment.trim().to_owned()).filter(|comment| !comment.is_empty());
    if sent.button == Button::Deny && comment.is_none() && visit.denial_needs_comment(state).await? {
        fields.wrong(
            "comment",
            "Say why: this organisation wants a comment with each denial.",
        );
    }
    if !fields.wrong.is_empty() {
        return Err(Refusal::new(
            "BAD_INPUT",
            422,
            "Some fields need another look. Nothing was decided.",
        ));
    }
    // Last, since a code can be used once.
    let caller = prove(state, visit, sent).await?;
    let (request, digest) = (visit.link.request, sent.digest.as_str());
    let written = match sent.button {
        Button::Deny => state.app.deny(&caller, request, digest, comment).await?,
        _ => {
            state
                .app
                .approve(&caller, request, digest, narrowing.unwrap_or_default(), comment)
                .await?
        }
    };
    state.app.settled(caller.tenant, written.position).await;
    Ok(Done::Decided(visit.address()))
}

/// The approver: by their session, with the token of this page; or by a passkey or a one-time code.
async fn prove(state: &ApiState, visit: &Visit, sent: &Sent) -> Outcome<Caller> {
    if let Some(session) = visit.own_session() {
        if !equal(sent.csrf.as_bytes(), visit.csrf(session).as_bytes()) {
            let message = "This page was open for too long, or the form came from elsewhere. Try again.";
            return Err(Refusal::new("CSRF_TOKEN", 403, message));
        }
        if sent.code.trim().is_empty() && sent.passkey.is_empty() {
            return Ok(session.caller.clone());
        }
    }
    if !sent.passkey.is_empty() {
        let credential = serde_json::from_str(&sent.passkey).unwrap_or_default();
        return state
            .app
            .link_passkey(&visit.origin, &visit.link, &sent.digest, &credential)
            .await;
    }
    if sent.code.trim().is_empty() {
        return Err(Refusal::new("CODE_NEEDED", 401, "Sign in first, or give a one-time code.").on("code"));
    }
    state.app.link_step_up(&visit.origin, &visit.link, &sent.code).await
}

/// The page again, with what is wrong at the field that it is about.
async fn refused(state: &ApiState, visit: &Visit, mut fields: Fields, refusal: &Refusal) -> Response {
    let field = refusal.field.as_deref().and_then(on_page);
    match field {
        Some(field) => fields.wrong(field, sentence(&refusal.message)),
        None if refusal.code == "INVALID_SIGN_IN" => fields.wrong("password", "This is not the right password."),
        None => {}
    }
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let notice = fields.wrong.is_empty().then(|| sentence(&refusal.message));
    match Page::of(state, visit, fields, notice).await {
        Ok(page) => {
            let mut response = page.answer(status);
            if let Some(seconds) = refusal.retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            response
        }
        Err(problem) => Gone::of(&problem).into_response(),
    }
}

/// The words of a refusal as a sentence.
fn sentence(message: &str) -> String {
    let mut text = message.trim_end_matches('.').to_owned();
    if let Some(first) = text.chars().next() {
        text.replace_range(..first.len_utf8(), &first.to_uppercase().to_string());
    }
    text.push('.');
    text
}
