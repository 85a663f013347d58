//! The statements on client secrets and on sign-ins under way.

use eventstore::TenantTx;
use formats::{IdentityProviderId, Timestamp, UserId};
use sqlx::Row;
use uuid::Uuid;

type Sql<T> = Result<T, sqlx::Error>;

pub(crate) async fn keep_secret(
    tx: &mut TenantTx,
    provider: IdentityProviderId,
    id: &str,
    wrapped: &[u8],
    now: Timestamp,
) -> Sql<()> {
    sqlx::query(
        "insert into identity_provider_secret (tenant_id, provider_id, secret_id, wrapped, created_at)
         values ($1, $2, $3, $4, $5)",
    )
    .bind(tx.tenant().uuid())
    .bind(provider.uuid())
    .bind(id)
    .bind(wrapped)
    .bind(now.to_datetime())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Forgets every secret of a provider but the one of this id.
pub(crate) async fn forget_secrets(tx: &mut TenantTx, provider: IdentityProviderId, but: Option<&str>) -> Sql<()> {
    sqlx::query(
        "delete from identity_provider_secret
         where tenant_id = $1 and provider_id = $2 and secret_id is distinct from $3",
    )
    .bind(tx.tenant().uuid())
    .bind(provider.uuid())
    .bind(but)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(crate) async fn secret(tx: &mut TenantTx, provider: IdentityProviderId, id: &str) -> Sql<Option<Vec<u8>>> {
    sqlx::query_scalar(
        "select wrapped from identity_provider_secret where tenant_id = $1 and provider_id = $2 and secret_id = $3",
    )
    .bind(tx.tenant().uuid())
    .bind(provider.uuid())
    .bind(id)
    .fetch_optional(&mut **tx)
    .await
}

/// A sign-in under way.
pub(crate) struct FlowRow {
    pub(crate) id: Uuid,
    pub(crate) provider: IdentityProviderId,
    pub(crate) return_to: String,
    /// Who it is, where only the code is missing.
    pub(crate) user: Option<UserId>,
    pub(crate) expires_at: Timestamp,
}

/// Keeps a sign-in; sweeps those that are over.
pub(crate) async fn begin(tx: &mut TenantTx, row: &FlowRow, browser: &[u8; 32], now: Timestamp) -> Sql<()> {
    sqlx::query("delete from oidc_flow where tenant_id = $1 and expires_at <= $2")
        .bind(tx.tenant().uuid())
        .bind(now.to_datetime())
        .execute(&mut **tx)
        .await?;
    sqlx::query(
        "insert into oidc_flow (tenant_id, id, browser_hash, provider_id, return_to, user_id, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(tx.tenant().uuid())
    .bind(row.id)
    .bind(&browser[..])
    .bind(row.provider.uuid())
    .bind(&row.return_to)
    .bind(row.user.map(UserId::uuid))
    .bind(row.expires_at.to_datetime())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Takes a sign-in of this browser, once: of many who bring the same one, only the first gets it.
pub(crate) async fn take(tx: &mut TenantTx, id: Uuid, browser: &[u8; 32], now: Timestamp) -> Sql<Option<FlowRow>> {
    let row = sqlx::query(
        "delete from oidc_flow
         where tenant_id = $1 and id = $2 and browser_hash = $3 and expires_at > $4 and user_id is null
         returning id, provider_id, return_to, user_id, expires_at",
    )
    .bind(tx.tenant().uuid())
    .bind(id)
    .bind(&browser[..])
    .bind(now.to_datetime())
    .fetch_optional(&mut **tx)
    .await?;
    row.as_ref().map(flow).transpose()
}

/// A sign-in of this browser for which only the code is missing.
pub(crate) async fn waiting(tx: &mut TenantTx, id: Uuid, browser: &[u8; 32], now: Timestamp) -> Sql<Option<FlowRow>> {
    let row = sqlx::query(
        "select id, provider_id, return_to, user_id, expires_at from oidc_flow
         where tenant_id = $1 and id = $2 and browser_hash = $3 and expires_at > $4 and user_id is not null",
    )
    .bind(tx.tenant().uuid())
    .bind(id)
    .bind(&browser[..])
    .bind(now.to_datetime())
    .fetch_optional(&mut **tx)
    .await?;
    row.as_ref().map(flow).transpose()
}

/// Ends a sign-in; whether it was still there.
pub(crate) async fn end(tx: &mut TenantTx, id: Uuid) -> Sql<bool> {
    let done = sqlx::query("delete from oidc_flow where tenant_id = $1 and id = $2")
        .bind(tx.tenant().uuid())
        .bind(id)
        .execute(&mut **tx)
        .await?;
    Ok(done.rows_affected() == 1)
}

fn flow(row: &sqlx::postgres::PgRow) -> Sql<FlowRow> {
    Ok(FlowRow {
        id: row.try_get("id")?,
        provider: IdentityProviderId::from_uuid(row.try_get("provider_id")?),
        return_to: row.try_get("return_to")?,
        user: row.try_get::<Option<Uuid>, _>("user_id")?.map(UserId::from_uuid),
        expires_at: Timestamp::from_datetime(row.try_get("expires_at")?),
    })
}
