//! `/approve/{token}`: the page behind the link of a mail (`docs/contracts.md § 5`).
//!
//! Plain HTML forms. A script from a file of its own adds passkeys for who has them; without it the forms do. GET and HEAD show and never change anything, so that whoever fetches links (scanners,
//! previews) does no harm. POST decides, and only with a proof of who it is: the approver's session with a token bound to
//! it and to the link, or a one-time code or a passkey given with the decision.

mod decide;
mod form;
mod gone;
mod page;
mod passkey;
mod view;

use axum::{
    extract::State,
    http::{Extensions, HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use commands::{Origin, Refusal};

use self::{gone::Gone, page::Page, view::Visit};
use crate::{
    ApiState, Problem,
    extract::{From, Params},
    layers::Policy,
    openapi::{Door, Op, Shape},
};

const STYLE: &str = include_str!("../../../assets/approve.css");
const SCRIPT: &str = include_str!("../../../assets/approve.js");

pub(super) fn door() -> Door {
    let html = Shape::Other("text/html");
    Door::new()
        .get(
            "/approve/style.css",
            style,
            Op::new("approveStyle", "How the approval page looks").answers(200, "CSS", Shape::Other("text/css")),
        )
        .get(
            "/approve/passkey.js",
            script,
            Op::new("approveScript", "How the approval page asks for a passkey").answers(
                200,
                "JavaScript",
                Shape::Other("text/javascript"),
            ),
        )
        .post(
            "/approve/{token}/passkey",
            passkey::options,
            Op::new(
                "approvePasskey",
                "Ask the approver of a link for a passkey, to decide this request as shown",
            )
            .takes(Shape::Json("ApprovePasskey"))
            .answers(
                200,
                "What navigator.credentials.get takes",
                Shape::Json("PasskeyOptions"),
            )
            .refuses(403, "CROSS_SITE, TENANT_SUSPENDED")
            .refuses(404, "NOT_FOUND")
            .refuses(409, "NOT_ENROLLED, PASSKEYS_UNAVAILABLE")
            .refuses(429, "LOCKED"),
        )
        .get(
            "/approve/{token}",
            show,
            Op::new("approvePage", "The page behind the link of a mail; changes nothing")
                .answers(200, "The page", html),
        )
        .post(
            "/approve/{token}",
            decide::post,
            Op::new(
                "approvePost",
                "Sign in on that page, or decide; errors are told on the page",
            )
            .takes(Shape::Other("application/x-www-form-urlencoded"))
            .answers(303, "Done: the page shows the outcome", Shape::Empty)
            .answers(200, "The page", html)
            .refuses(401, "INVALID_SIGN_IN, CODE_NEEDED, INVALID_CODE, INVALID_PASSKEY")
            .refuses(
                403,
                "CSRF_TOKEN, CROSS_SITE, NOT_ELIGIBLE, SELF_APPROVAL, STEP_UP_NEEDED",
            )
            .refuses(409, "ALREADY_DECIDED, EXPIRED, DIGEST_MISMATCH, NOW_DENIED"),
        )
}

async fn style() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=3600"),
    ];
    (headers, STYLE).into_response()
}

async fn script() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=3600"),
    ];
    (headers, SCRIPT).into_response()
}

async fn show(
    State(state): State<ApiState>,
    From(origin): From,
    Params(token): Params<String>,
    extensions: Extensions,
    headers: HeaderMap,
) -> Response {
    let visit = match enter(&state, &origin, &token, &extensions, &headers).await {
        Ok(visit) => visit,
        Err(problem) => return Gone::of(&problem).into_response(),
    };
    match Page::of(&state, &visit, form::Fields::default(), None).await {
        Ok(page) => page.answer(StatusCode::OK),
        Err(problem) => Gone::of(&problem).into_response(),
    }
}

/// Who comes with which link. Every visit counts for its address: a link is a secret that can be guessed at.
async fn enter(
    state: &ApiState,
    origin: &Origin,
    token: &str,
    extensions: &Extensions,
    headers: &HeaderMap,
) -> Result<Visit, Problem> {
    state.limits.charge_address(extensions, origin.address)?;
    let link = state.app.mail_link(token).await?;
    if link.email.is_none() {
        return Err(Refusal::not_found("link").into());
    }
    let session = match crate::extract::read_cookie(&state.config, headers) {
        Some(cookie) => state.app.session(origin, &cookie).await.ok(),
        None => None,
    };
    Ok(Visit {
        token: token.to_owned(),
        link,
        origin: origin.clone(),
        session,
    })
}

fn html(status: StatusCode, page: &impl askama::Template, policy: Policy) -> Response {
    match page.render() {
        Ok(text) => {
            let mut response = (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response();
            response.extensions_mut().insert(policy);
            response
        }
        Err(error) => Problem::from(Refusal::internal(error)).into_response(),
    }
}
