//! What the routes of users and groups do.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use commands::{Caller, Refusal, scim::Expected};
use formats::{TeamId, UserId};
use projections::scim::{GroupView, UserView};
use serde_json::{Map, Value};

use super::{
    Token, base,
    body::Document,
    groups,
    list::{Query, Search, with_groups, with_members},
    patch::Patch,
    schema::Resource,
    show::{Wanted, answer, etag, expected, is_known, resource},
    users,
};
use crate::{
    Answer, ApiState, Problem,
    extract::{Params, Query as Parameters},
};

/// An id of another kind, or no id at all, names nothing.
fn id<T: std::str::FromStr>(text: &str, what: &str) -> Answer<T> {
    text.parse().map_err(|_| Problem::not_found(what))
}

/// What a use case asks of a body: its refusals are the door's.
fn refused(problem: Problem) -> Refusal {
    problem.refusal().clone()
}

async fn show_user(state: &ApiState, caller: &Caller, user: UserView) -> Answer<Map<String, Value>> {
    let shown = with_groups(state, caller, &base(state), vec![user]).await?;
    Ok(shown
        .into_iter()
        .next()
        .and_then(|(_, document)| document.as_object().cloned())
        .unwrap_or_default())
}

async fn show_group(
    state: &ApiState,
    caller: &Caller,
    group: GroupView,
    wanted: &Wanted,
) -> Answer<Map<String, Value>> {
    let shown = with_members(state, caller, &base(state), vec![group], wanted.has("members")).await?;
    Ok(shown
        .into_iter()
        .next()
        .and_then(|(_, document)| document.as_object().cloned())
        .unwrap_or_default())
}

fn not_modified(version: u64) -> Response {
    (StatusCode::NOT_MODIFIED, [(header::ETAG, etag(version))]).into_response()
}

pub(super) async fn list_users(
    State(state): State<ApiState>,
    Token(caller): Token,
    Parameters(query): Parameters<Query>,
) -> Answer<Response> {
    let found = query.search()?.run(&state, &caller, &[Resource::User]).await?;
    Ok(answer(StatusCode::OK, &found))
}

pub(super) async fn list_groups(
    State(state): State<ApiState>,
    Token(caller): Token,
    Parameters(query): Parameters<Query>,
) -> Answer<Response> {
    let found = query.search()?.run(&state, &caller, &[Resource::Group]).await?;
    Ok(answer(StatusCode::OK, &found))
}

async fn search(state: &ApiState, caller: &Caller, body: &Map<String, Value>, kinds: &[Resource]) -> Answer<Response> {
    let found = Search::read(body)?.run(state, caller, kinds).await?;
    Ok(answer(StatusCode::OK, &found))
}

pub(super) async fn search_all(
    State(state): State<ApiState>,
    Token(caller): Token,
    Document(body): Document,
) -> Answer<Response> {
    search(&state, &caller, &body, &[Resource::User, Resource::Group]).await
}

pub(super) async fn search_users(
    State(state): State<ApiState>,
    Token(caller): Token,
    Document(body): Document,
) -> Answer<Response> {
    search(&state, &caller, &body, &[Resource::User]).await
}

pub(super) async fn search_groups(
    State(state): State<ApiState>,
    Token(caller): Token,
    Document(body): Document,
) -> Answer<Response> {
    search(&state, &caller, &body, &[Resource::Group]).await
}

pub(super) async fn create_user(
    State(state): State<ApiState>,
    Token(caller): Token,
    Parameters(query): Parameters<Query>,
    Document(body): Document,
) -> Answer<Response> {
    let made = state.app.scim_create_user(&caller, users::wanted(&body, true)?).await?;
    let document = show_user(&state, &caller, made).await?;
    Ok(resource(StatusCode::CREATED, &document, &query.wanted()))
}

pub(super) async fn get_user(
    State(state): State<ApiState>,
    Token(caller): Token,
    Params(user): Params<String>,
    Parameters(query): Parameters<Query>,
    headers: HeaderMap,
) -> Answer<Response> {
    let user = state.app.scim_user(&caller, id(&user, "user")?).await?;
    if is_known(&headers, user.version) {
        return Ok(not_modified(user.version));
    }
    let document = show_user(&state, &caller, user).await?;
    Ok(resource(StatusCode::OK, &document, &query.wanted()))
}

pub(super) async fn replace_user(
    State(state): State<ApiState>,
    Token(caller): Token,
    Params(user): Params<String>,
    Parameters(query): Parameters<Query>,
    headers: HeaderMap,
    Document(body): Document,
) -> Answer<Response> {
    let user: UserId = id(&user, "user")?;
    let content = Value::Object(body.clone());
    let changed = state
        .app
        .scim_change_user(&caller, user, &content, &expected(&headers), |row| {
            users::wanted(&body, row.active).map_err(refused)
        })
        .await?;
    let document = show_user(&state, &caller, changed).await?;
    Ok(resource(StatusCode::OK, &document, &query.wanted()))
}

pub(super) async fn patch_user(
    State(state): State<ApiState>,
    Token(caller): Token,
    Params(user): Params<String>,
    Parameters(query): Parameters<Query>,
    headers: HeaderMap,
    Document(body): Document,
) -> Answer<Response> {
    let user: UserId = id(&user, "user")?;
    let patch = Patch::read(&body)?;
    let content = Value::Object(body);
    let changed = state
        .app
        .scim_change_user(&caller, user, &content, &expected(&headers), |row| {
            let mut document = users::writable(row);
            patch.apply(Resource::User, &mut document).map_err(refused)?;
            users::wanted(&document, row.active).map_err(refused)
        })
        .await?;
    let document = show_user(&state, &caller, changed).await?;
    Ok(resource(StatusCode::OK, &document, &query.wanted()))
}

pub(super) async fn delete_user(
    State(state): State<ApiState>,
    Token(caller): Token,
    Params(user): Params<String>,
    headers: HeaderMap,
) -> Answer<StatusCode> {
    let expected: Expected = expected(&headers);
    state
        .app
        .scim_delete_user(&caller, id(&user, "user")?, &expected)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn create_group(
    State(state): State<ApiState>,
    Token(caller): Token,
    Parameters(query): Parameters<Query>,
    Document(body): Document,
) -> Answer<Response> {
    groups::check_members(&body)?;
    let made = state.app.scim_create_group(&caller, groups::wanted(&body)?).await?;
    let wanted = query.wanted();
    let document = show_group(&state, &caller, made, &wanted).await?;
    Ok(resource(StatusCode::CREATED, &document, &wanted))
}

pub(super) async fn get_group(
    State(state): State<ApiState>,
    Token(caller): Token,
    Params(group): Params<String>,
    Parameters(query): Parameters<Query>,
    headers: HeaderMap,
) -> Answer<Response> {
    let group = state.app.scim_group(&caller, id(&group, "group")?).await?;
    if is_known(&headers, group.version) {
        return Ok(not_modified(group.version));
    }
    let wanted = query.wanted();
    let document = show_group(&state, &caller, group, &wanted).await?;
    Ok(resource(StatusCode::OK, &document, &wanted))
}

pub(super) async fn replace_group(
    State(state): State<ApiState>,
    Token(caller): Token,
    Params(group): Params<String>,
    Parameters(query): Parameters<Query>,
    headers: HeaderMap,
    Document(body): Document,
) -> Answer<Response> {
    let group: TeamId = id(&group, "group")?;
    groups::check_members(&body)?;
    let wanted = groups::wanted(&body)?;
    let content = Value::Object(body);
    let changed = state
        .app
        .scim_change_group(&caller, group, &content, &expected(&headers), |_| Ok(wanted.clone()))
        .await?;
    let wanted = query.wanted();
    let document = show_group(&state, &caller, changed, &wanted).await?;
    Ok(resource(StatusCode::OK, &document, &wanted))
}

pub(super) async fn patch_group(
    State(state): State<ApiState>,
    Token(caller): Token,
    Params(group): Params<String>,
    Parameters(query): Parameters<Query>,
    headers: HeaderMap,
    Document(body): Document,
) -> Answer<Response> {
    let group: TeamId = id(&group, "group")?;
    groups::check_members(&body)?;
    let patch = Patch::read(&body)?;
    let content = Value::Object(body);
    let changed = state
        .app
        .scim_change_group(&caller, group, &content, &expected(&headers), |before| {
            let mut document = groups::writable(before);
            patch.apply(Resource::Group, &mut document).map_err(refused)?;
            groups::wanted(&document).map_err(refused)
        })
        .await?;
    let wanted = query.wanted();
    let document = show_group(&state, &caller, changed, &wanted).await?;
    Ok(resource(StatusCode::OK, &document, &wanted))
}

pub(super) async fn delete_group(
    State(state): State<ApiState>,
    Token(caller): Token,
    Params(group): Params<String>,
    headers: HeaderMap,
) -> Answer<StatusCode> {
    let expected = expected(&headers);
    state
        .app
        .scim_delete_group(&caller, id(&group, "group")?, &expected)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whatever else stands under the door's address.
pub(super) async fn nothing(_: Token) -> Problem {
    Problem::not_found("address")
}
