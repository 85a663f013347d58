//! The reactor's cursor.

use eventstore::TenantTx;
use sqlx::Row;

use super::NAME;

/// Locks the tenant's cursor, made at first sight; none where another process works there.
pub(super) async fn lock(tx: &mut TenantTx) -> Result<Option<u64>, sqlx::Error> {
    if let Some(position) = lock_made(tx).await? {
        return Ok(Some(position));
    }
    let made = sqlx::query(
        "insert into projection_checkpoint (tenant_id, projection, build) values ($1, $2, 1) on conflict do nothing",
    )
    .bind(tx.tenant().uuid())
    .bind(NAME)
    .execute(&mut **tx)
    .await?;
    if made.rows_affected() == 0 {
        return Ok(None);
    }
    lock_made(tx).await
}

async fn lock_made(tx: &mut TenantTx) -> Result<Option<u64>, sqlx::Error> {
    let row = sqlx::query(
        "select position from projection_checkpoint where tenant_id = $1 and projection = $2 and build = 1
         for update skip locked",
    )
    .bind(tx.tenant().uuid())
    .bind(NAME)
    .fetch_optional(&mut **tx)
    .await?;
    row.map(|row| Ok(u64::try_from(row.try_get::<i64, _>("position")?).unwrap_or(0)))
        .transpose()
}

/// Moves the cursor.
pub(super) async fn advance(tx: &mut TenantTx, position: u64) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update projection_checkpoint set position = $3 where tenant_id = $1 and projection = $2 and build = 1",
    )
    .bind(tx.tenant().uuid())
    .bind(NAME)
    .bind(i64::try_from(position).unwrap_or(i64::MAX))
    .execute(&mut **tx)
    .await?;
    Ok(())
}
