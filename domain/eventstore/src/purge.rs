//! The deletion of a tenant, carried out with the role `portcullis_purge` and never with the server's.
//!
//! The log of the tenant says when it may begin; from then on its rows go in batches, each a transaction of its own, so
//! that a purge may be stopped at any moment and gone on with by anyone.

use std::time::Duration;

use formats::{TenantId, Timestamp};
use sqlx::{
    PgPool, Row,
    postgres::{PgRow, types::PgInterval},
    types::time::OffsetDateTime,
};

use crate::append::to_u64;

/// Rows that one transaction removes.
const BATCH: i32 = 2_000;
/// A purge is looked at again until a look this long after its end: a transaction that began before the tenant was closed
/// may have written a row since. The server ends every statement and idle transaction within half a minute.
const AFTERMATH: Duration = Duration::from_secs(60 * 60);

/// Why a tenant was not removed.
#[derive(Debug, thiserror::Error)]
pub enum PurgeError {
    /// Its log asks for no deletion, or there is no such tenant.
    #[error("no deletion of tenant {0} is under way")]
    NotRequested(TenantId),
    /// The grace period is not over.
    #[error("the grace period of tenant {0} is not over")]
    TooEarly(TenantId),
    /// The database failed; whatever was removed before stays removed, and the next call goes on from there.
    #[error("the tenant was not removed: {0}")]
    Database(#[from] sqlx::Error),
}

/// A tenant whose deletion was begun: what stays of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purge {
    /// The tenant that was.
    pub tenant: TenantId,
    /// Its slug, which may be another tenant's by now.
    pub slug: String,
    /// Since when there is no way back.
    pub began_at: Timestamp,
    /// Rows that are gone.
    pub rows_removed: u64,
    /// When the last of them went.
    pub finished_at: Option<Timestamp>,
}

/// What a step did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PurgeStep {
    /// Rows of this table are gone.
    Removed {
        /// The table.
        table: String,
        /// How many.
        rows: u64,
    },
    /// There is nothing left of the tenant.
    Finished,
}

/// Tenants with something to remove at this moment, the longest due first, at most a thousand.
///
/// # Errors
/// Where the database fails.
pub async fn due_purges(purge: &PgPool, now: Timestamp) -> Result<Vec<TenantId>, sqlx::Error> {
    let ids = sqlx::query_scalar(
        "select id from (
           select id, purge_at as since from tenant where status in ('deleting', 'purging') and purge_at <= $1
           union
           select id, began_at from tenant_purge
             where finished_at is not null and (looked_at is null or looked_at < finished_at + $2)
         ) due group by id order by min(since), id limit 1000",
    )
    .bind(now.to_datetime())
    .bind(PgInterval::try_from(AFTERMATH).map_err(sqlx::Error::Encode)?)
    .fetch_all(purge)
    .await?;
    Ok(ids.into_iter().map(TenantId::from_uuid).collect())
}

/// Begins the deletion, where it is time and was not begun, and removes one batch of rows. Call it again until it answers
/// [`PurgeStep::Finished`]. Keys go first: from the first step on, nothing personal in the log can be read.
///
/// # Errors
/// [`PurgeError`]
pub async fn purge_step(purge: &PgPool, tenant: TenantId, now: Timestamp) -> Result<PurgeStep, PurgeError> {
    sqlx::query("select begin_purge($1, $2)")
        .bind(tenant.uuid())
        .bind(now.to_datetime())
        .execute(purge)
        .await
        .map_err(|error| refused(tenant, error))?;
    let row = sqlx::query("select purged, removed from purge_batch($1, $2, $3)")
        .bind(tenant.uuid())
        .bind(now.to_datetime())
        .bind(BATCH)
        .fetch_one(purge)
        .await
        .map_err(|error| refused(tenant, error))?;
    Ok(match row.try_get(0)? {
        Some(table) => PurgeStep::Removed {
            table,
            rows: to_u64(row.try_get(1)?),
        },
        None => PurgeStep::Finished,
    })
}

/// Deletions that were begun, the latest first, at most a thousand.
///
/// # Errors
/// Where the database fails.
pub async fn purges(pool: &PgPool) -> Result<Vec<Purge>, sqlx::Error> {
    let rows = sqlx::query(
        "select id, slug, began_at, rows_removed, finished_at from tenant_purge order by began_at desc, id limit 1000",
    )
    .fetch_all(pool)
    .await?;
    rows.iter().map(read).collect()
}

fn read(row: &PgRow) -> Result<Purge, sqlx::Error> {
    let finished_at: Option<OffsetDateTime> = row.try_get("finished_at")?;
    Ok(Purge {
        tenant: TenantId::from_uuid(row.try_get("id")?),
        slug: row.try_get("slug")?,
        began_at: Timestamp::from_datetime(row.try_get("began_at")?),
        rows_removed: to_u64(row.try_get("rows_removed")?),
        finished_at: finished_at.map(Timestamp::from_datetime),
    })
}

fn refused(tenant: TenantId, error: sqlx::Error) -> PurgeError {
    match error.as_database_error().and_then(|e| e.code()).as_deref() {
        Some("PT409") => PurgeError::NotRequested(tenant),
        Some("PT425") => PurgeError::TooEarly(tenant),
        _ => PurgeError::Database(error),
    }
}
