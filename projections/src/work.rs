//! Due work, found without looking into any tenant: when the next timer or mail of each tenant is due.
//!
//! A worker claims a tenant here for a short while, then works inside that tenant. What dies with a claim is claimed
//! again when its lease is over; the leases go by the database's clock, due times by the product's.

use std::time::Duration;

use eventstore::TenantTx;
use formats::{TenantId, Timestamp};
use sqlx::PgPool;

use crate::{
    ReadError,
    columns::{Columns, moment},
};

/// Deadlines of requests and ends of grants.
pub const TIMERS: &str = "timers";
/// Mails to be addressed, sent or tried again.
pub const MAIL: &str = "mail";

/// A tenant with due work, for the caller alone until the lease is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claimed {
    /// Whose work.
    pub tenant: TenantId,
    /// Since when it is due.
    pub due_at: Timestamp,
}

/// Claims tenants whose work of this kind is due, the longest due first.
///
/// # Errors
/// Where the database fails.
pub async fn claim(
    pool: &PgPool,
    kind: &str,
    now: Timestamp,
    lease: Duration,
    limit: u32,
) -> Result<Vec<Claimed>, ReadError> {
    let rows = sqlx::query(
        "update tenant_work w set leased_until = clock_timestamp() + make_interval(secs => $3)
         from (
           select tenant_id, kind from tenant_work
           where kind = $1 and due_at <= $2 and (leased_until is null or leased_until <= clock_timestamp())
           order by due_at limit $4 for update skip locked
         ) c
         where w.tenant_id = c.tenant_id and w.kind = c.kind
         returning w.tenant_id, w.due_at",
    )
    .bind(kind)
    .bind(moment(now))
    .bind(lease.as_secs_f64())
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Claimed {
                tenant: row.id("tenant_id")?,
                due_at: row.at("due_at")?,
            })
        })
        .collect()
}

/// Gives a claim back before its lease is over.
///
/// # Errors
/// Where the database fails.
pub async fn release(pool: &PgPool, kind: &str, tenant: TenantId) -> Result<(), ReadError> {
    sqlx::query("update tenant_work set leased_until = null where tenant_id = $1 and kind = $2")
        .bind(tenant.uuid())
        .bind(kind)
        .execute(pool)
        .await?;
    Ok(())
}

/// When the next work of this kind is due, over all tenants.
///
/// # Errors
/// Where the database fails.
pub async fn next_due(pool: &PgPool, kind: &str) -> Result<Option<Timestamp>, ReadError> {
    let row = sqlx::query("select min(due_at) as due_at from tenant_work where kind = $1")
        .bind(kind)
        .fetch_one(pool)
        .await?;
    row.at_or_null("due_at")
}

/// When a tenant's work of this kind is due.
///
/// # Errors
/// Where the database fails.
pub async fn due_of(pool: &PgPool, kind: &str, tenant: TenantId) -> Result<Option<Timestamp>, ReadError> {
    let row = sqlx::query("select due_at from tenant_work where tenant_id = $1 and kind = $2")
        .bind(tenant.uuid())
        .bind(kind)
        .fetch_optional(pool)
        .await?;
    row.map(|row| row.at("due_at")).transpose()
}

/// The tenants that have work of this kind, with the moment at which it is due, the longest due first.
///
/// # Errors
/// Where the database fails.
pub async fn first(pool: &PgPool, kind: &str, limit: u32) -> Result<Vec<(TenantId, Timestamp)>, ReadError> {
    let rows = sqlx::query("select tenant_id, due_at from tenant_work where kind = $1 order by due_at limit $2")
        .bind(kind)
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await?;
    rows.iter()
        .map(|row| Ok((row.id("tenant_id")?, row.at("due_at")?)))
        .collect()
}

/// How many tenants that are not suspended have work of this kind that was due before a moment.
///
/// # Errors
/// Where the database fails.
pub async fn overdue(pool: &PgPool, kind: &str, before: Timestamp) -> Result<u64, ReadError> {
    let row = sqlx::query(
        "select count(*) as tenants from tenant_work w join tenant t on t.id = w.tenant_id
         where w.kind = $1 and w.due_at < $2 and t.status = 'active'",
    )
    .bind(kind)
    .bind(moment(before))
    .fetch_one(pool)
    .await?;
    row.count("tenants")
}

/// Sets when this tenant's work is due, or that there is none. A claim stays as it is.
pub(crate) async fn set(tx: &mut TenantTx, kind: &str, due_at: Option<Timestamp>) -> Result<(), sqlx::Error> {
    let tenant = tx.tenant().uuid();
    let statement = match due_at {
        Some(at) => sqlx::query(
            "insert into tenant_work (tenant_id, kind, due_at) values ($1, $2, $3)
             on conflict (tenant_id, kind) do update set due_at = excluded.due_at
             where tenant_work.due_at <> excluded.due_at",
        )
        .bind(tenant)
        .bind(kind)
        .bind(moment(at)),
        None => sqlx::query("delete from tenant_work where tenant_id = $1 and kind = $2")
            .bind(tenant)
            .bind(kind),
    };
    statement.execute(&mut **tx).await?;
    Ok(())
}

/// Says that this tenant has work at this moment at the latest.
pub(crate) async fn add(tx: &mut TenantTx, kind: &str, due_at: Timestamp) -> Result<(), sqlx::Error> {
    // The row is written even where it says so already: whoever sums up the rest waits for this transaction.
    sqlx::query(
        "insert into tenant_work (tenant_id, kind, due_at) values ($1, $2, $3)
         on conflict (tenant_id, kind) do update set due_at = least(tenant_work.due_at, excluded.due_at)",
    )
    .bind(tx.tenant().uuid())
    .bind(kind)
    .bind(moment(due_at))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Waits for everybody who adds work of this kind, and keeps others from it until the end of the transaction. Where there
/// is no row yet it holds nobody off, and returns false: then work may be added at any moment, and must not be taken away.
pub(crate) async fn lock(tx: &mut TenantTx, kind: &str) -> Result<bool, sqlx::Error> {
    let row = sqlx::query("select from tenant_work where tenant_id = $1 and kind = $2 for update")
        .bind(tx.tenant().uuid())
        .bind(kind)
        .fetch_optional(&mut **tx)
        .await?;
    Ok(row.is_some())
}
