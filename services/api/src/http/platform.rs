//! `/platform/v1`: what operators do, and the log of it. They read no tenant's policies or requests (`docs/domain.md § 6`).

use std::time::Duration;

use axum::{extract::State, http::StatusCode};
use commands::{Caller, NewTenant, NewUser, PLATFORM_LOG_MAX, PlatformEntry, Purge, Refusal, TenantRow};
use formats::{TenantId, Timestamp};
use model::Role;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Answer, ApiState,
    extract::{Json, Operator, Params, Query},
    openapi::{Door, Login, Op, Shape},
};

pub(super) fn door() -> Door {
    let op = |name, summary| Op::new(name, summary).by(Login::Platform);
    Door::new()
        .get(
            "/platform/v1/tenants",
            list,
            op("listTenants", "All tenants, by slug").answers(200, "Tenants", Shape::Json("Tenants")),
        )
        .post(
            "/platform/v1/tenants",
            create,
            op("createTenant", "Make a tenant, its keys and its first owner")
                .takes(Shape::Json("CreateTenant"))
                .answers(201, "The tenant", Shape::Json("Tenant"))
                .refuses(409, "NAME_TAKEN")
                .refuses(422, "WEAK_PASSWORD"),
        )
        .get(
            "/platform/v1/tenants/{id}",
            get,
            op("getTenant", "One tenant").answers(200, "The tenant", Shape::Json("Tenant")),
        )
        .post(
            "/platform/v1/tenants/{id}/suspend",
            suspend,
            op("suspendTenant", "Close a tenant's doors at once; nothing is lost")
                .takes(Shape::Json("Reason"))
                .answers(200, "The tenant", Shape::Json("Tenant"))
                .refuses(409, "ALREADY_SUSPENDED"),
        )
        .post(
            "/platform/v1/tenants/{id}/resume",
            resume,
            op("resumeTenant", "Open a tenant's doors again")
                .takes(Shape::Json("Reason"))
                .answers(200, "The tenant", Shape::Json("Tenant"))
                .refuses(409, "NOT_SUSPENDED"),
        )
        .post(
            "/platform/v1/tenants/{id}/delete",
            delete,
            op(
                "deleteTenant",
                "Have a tenant deleted, data and keys, at the end of a grace period",
            )
            .takes(Shape::Json("DeleteTenant"))
            .answers(202, "The tenant, until then", Shape::Json("Tenant"))
            .refuses(409, "DELETION_REQUESTED")
            .refuses(422, "CONFIRMATION_NEEDED"),
        )
        .post(
            "/platform/v1/tenants/{id}/cancel-deletion",
            cancel_deletion,
            op(
                "cancelTenantDeletion",
                "Call a deletion off while its grace period lasts",
            )
            .takes(Shape::Json("Reason"))
            .answers(200, "The tenant", Shape::Json("Tenant"))
            .refuses(409, "NO_DELETION_REQUESTED, DELETION_DUE"),
        )
        .get(
            "/platform/v1/purges",
            purges,
            op(
                "listPurges",
                "Deletions that were begun, the latest first: how far they are",
            )
            .answers(200, "Deletions", Shape::Json("Purges")),
        )
        .get(
            "/platform/v1/log",
            log,
            op(
                "listOperatorActs",
                "What operators did, the latest first: an entry before each act, and one where it was refused",
            )
            .query("before", "integer", "Only entries before this position")
            .query("limit", "integer", "At most so many entries, 1 to 500; by default 100")
            .answers(200, "Entries", Shape::Json("OperatorActs"))
            .refuses(422, "BAD_INPUT"),
        )
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TenantView {
    id: TenantId,
    slug: String,
    /// `active`, `suspended`, `deleting` or `purging`.
    status: String,
    created_at: Timestamp,
    /// When its deletion may begin, where one was asked for.
    purge_at: Option<Timestamp>,
}

impl std::convert::From<TenantRow> for TenantView {
    fn from(row: TenantRow) -> Self {
        Self {
            id: row.id,
            slug: row.slug,
            status: row.status,
            created_at: row.created_at,
            purge_at: row.purge_at,
        }
    }
}

#[derive(Debug, Serialize)]
struct TenantViews {
    tenants: Vec<TenantView>,
}

async fn list(State(state): State<ApiState>, Operator(caller): Operator) -> Answer<Json<TenantViews>> {
    let tenants = state
        .app
        .list_tenants(&caller)
        .await?
        .into_iter()
        .map(TenantView::from)
        .collect();
    Ok(Json(TenantViews { tenants }))
}

async fn get(
    State(state): State<ApiState>,
    Operator(caller): Operator,
    Params(id): Params<TenantId>,
) -> Answer<Json<TenantView>> {
    find(&state, &caller, id).await.map(Json)
}

async fn find(state: &ApiState, caller: &Caller, id: TenantId) -> Answer<TenantView> {
    Ok(state.app.get_tenant(caller, id).await?.into())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CreateBody {
    slug: String,
    name: String,
    owner: OwnerBody,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OwnerBody {
    email: String,
    name: String,
    #[serde(default)]
    password: Option<String>,
}

async fn create(
    State(state): State<ApiState>,
    Operator(caller): Operator,
    Json(body): Json<CreateBody>,
) -> Answer<(StatusCode, Json<TenantView>)> {
    let owner = NewUser {
        email: body.owner.email,
        name: body.owner.name,
        roles: vec![Role::Owner],
        password: body.owner.password,
        source: "operator",
    };
    let new = NewTenant {
        id: None,
        slug: body.slug,
        name: body.name,
        owner: Some(owner),
    };
    let created = state.app.create_tenant(&caller, new).await?;
    Ok((StatusCode::CREATED, Json(find(&state, &caller, created.id).await?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReasonBody {
    reason: String,
}

/// The operator, acting on one tenant.
fn on(caller: &Caller, tenant: TenantId) -> Caller {
    Caller {
        tenant,
        ..caller.clone()
    }
}

async fn suspend(
    State(state): State<ApiState>,
    Operator(caller): Operator,
    Params(id): Params<TenantId>,
    Json(body): Json<ReasonBody>,
) -> Answer<Json<TenantView>> {
    find(&state, &caller, id).await?;
    state.app.suspend_tenant(&on(&caller, id), body.reason).await?;
    find(&state, &caller, id).await.map(Json)
}

async fn resume(
    State(state): State<ApiState>,
    Operator(caller): Operator,
    Params(id): Params<TenantId>,
    Json(body): Json<ReasonBody>,
) -> Answer<Json<TenantView>> {
    find(&state, &caller, id).await?;
    state.app.resume_tenant(&on(&caller, id), body.reason).await?;
    find(&state, &caller, id).await.map(Json)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DeleteBody {
    /// The tenant's slug, typed again.
    confirm: String,
    /// Days until it is gone, 1 to 3,650.
    #[serde(default)]
    grace_days: Option<u32>,
}

async fn delete(
    State(state): State<ApiState>,
    Operator(caller): Operator,
    Params(id): Params<TenantId>,
    Json(body): Json<DeleteBody>,
) -> Answer<(StatusCode, Json<TenantView>)> {
    find(&state, &caller, id).await?;
    let days = |days: u32| Duration::from_secs(u64::from(days) * 24 * 60 * 60);
    let grace = body.grace_days.map(days);
    state.app.delete_tenant(&on(&caller, id), &body.confirm, grace).await?;
    Ok((StatusCode::ACCEPTED, Json(find(&state, &caller, id).await?)))
}

async fn cancel_deletion(
    State(state): State<ApiState>,
    Operator(caller): Operator,
    Params(id): Params<TenantId>,
    Json(body): Json<ReasonBody>,
) -> Answer<Json<TenantView>> {
    find(&state, &caller, id).await?;
    state.app.cancel_tenant_deletion(&on(&caller, id), body.reason).await?;
    find(&state, &caller, id).await.map(Json)
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PurgeView {
    id: TenantId,
    /// What it was called; the slug may be another tenant's by now.
    slug: String,
    began_at: Timestamp,
    rows_removed: u64,
    finished_at: Option<Timestamp>,
}

impl std::convert::From<Purge> for PurgeView {
    fn from(purge: Purge) -> Self {
        Self {
            id: purge.tenant,
            slug: purge.slug,
            began_at: purge.began_at,
            rows_removed: purge.rows_removed,
            finished_at: purge.finished_at,
        }
    }
}

#[derive(Debug, Serialize)]
struct PurgeViews {
    purges: Vec<PurgeView>,
}

async fn purges(State(state): State<ApiState>, Operator(caller): Operator) -> Answer<Json<PurgeViews>> {
    let purges = state.app.list_purges(&caller).await?;
    let purges = purges.into_iter().map(PurgeView::from).collect();
    Ok(Json(PurgeViews { purges }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogRange {
    #[serde(default)]
    before: Option<u64>,
    #[serde(default)]
    limit: Option<u32>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ActView {
    position: u64,
    at: Timestamp,
    operator: String,
    method: String,
    address: Option<String>,
    correlation_id: Uuid,
    act: String,
    tenant_id: Option<TenantId>,
    tenant_slug: Option<String>,
    detail: Option<String>,
    refused: Option<String>,
}

impl std::convert::From<PlatformEntry> for ActView {
    fn from(entry: PlatformEntry) -> Self {
        Self {
            position: entry.position,
            at: entry.at,
            operator: entry.operator,
            method: entry.method,
            address: entry.address,
            correlation_id: entry.correlation,
            act: entry.act,
            tenant_id: entry.tenant,
            tenant_slug: entry.slug,
            detail: entry.detail,
            refused: entry.refused,
        }
    }
}

#[derive(Debug, Serialize)]
struct ActViews {
    acts: Vec<ActView>,
}

async fn log(
    State(state): State<ApiState>,
    Operator(caller): Operator,
    Query(range): Query<LogRange>,
) -> Answer<Json<ActViews>> {
    let limit = range.limit.unwrap_or(100);
    if !(1..=PLATFORM_LOG_MAX).contains(&limit) {
        let message = format!("limit has to be 1 to {PLATFORM_LOG_MAX}");
        return Err(Refusal::bad_input("limit", message).into());
    }
    let entries = state.app.platform_log(&caller, range.before, limit).await?;
    let acts = entries.into_iter().map(ActView::from).collect();
    Ok(Json(ActViews { acts }))
}
