//! The statements on passkeys and their challenges.

use eventstore::TenantTx;
use formats::{PasskeyId, Timestamp, UserId};
use sqlx::{Row, postgres::PgRow, types::time::OffsetDateTime};

type Sql<T> = Result<T, sqlx::Error>;

/// A passkey as stored.
#[derive(Debug, Clone)]
pub(super) struct PasskeyRow {
    pub(super) id: PasskeyId,
    pub(super) name: String,
    pub(super) credential_hash: Vec<u8>,
    pub(super) wrapped: Vec<u8>,
    pub(super) created_at: Timestamp,
    pub(super) last_used_at: Option<Timestamp>,
    pub(super) flagged: bool,
}

fn passkey_row(row: &PgRow) -> Sql<PasskeyRow> {
    let moment = Timestamp::from_datetime;
    Ok(PasskeyRow {
        id: PasskeyId::from_uuid(row.try_get("id")?),
        name: row.try_get("name")?,
        credential_hash: row.try_get("credential_hash")?,
        wrapped: row.try_get("wrapped")?,
        created_at: moment(row.try_get("created_at")?),
        last_used_at: row.try_get::<Option<OffsetDateTime>, _>("last_used_at")?.map(moment),
        flagged: row.try_get("flagged")?,
    })
}

/// A user's passkeys, oldest first.
pub(super) async fn passkeys(tx: &mut TenantTx, user: UserId) -> Sql<Vec<PasskeyRow>> {
    let rows = sqlx::query(
        "select id, name, credential_hash, wrapped, created_at, last_used_at, flagged_at is not null as flagged
         from passkey where tenant_id = $1 and user_id = $2 order by created_at, id limit 100",
    )
    .bind(tx.tenant().uuid())
    .bind(user.uuid())
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(passkey_row).collect()
}

/// Keeps a passkey; false where some user of the tenant has the credential already.
pub(super) async fn add_passkey(tx: &mut TenantTx, user: UserId, row: &PasskeyRow) -> Sql<bool> {
    let done = sqlx::query(
        "insert into passkey (tenant_id, user_id, id, name, credential_hash, wrapped, created_at)
         values ($1, $2, $3, $4, $5, $6, $7) on conflict (tenant_id, credential_hash) do nothing",
    )
    .bind(tx.tenant().uuid())
    .bind(user.uuid())
    .bind(row.id.uuid())
    .bind(&row.name)
    .bind(&row.credential_hash)
    .bind(&row.wrapped)
    .bind(row.created_at.to_datetime())
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes a use. False where the counter did not go up, though there is one: of two uses with the same count, one fails.
pub(super) async fn use_passkey(
    tx: &mut TenantTx,
    user: UserId,
    id: PasskeyId,
    wrapped: &[u8],
    sign_count: u32,
    now: Timestamp,
) -> Sql<bool> {
    let done = sqlx::query(
        "update passkey set wrapped = $4, sign_count = $5, last_used_at = $6
         where tenant_id = $1 and user_id = $2 and id = $3 and flagged_at is null
           and ($5 > sign_count or (sign_count = 0 and $5 = 0))",
    )
    .bind(tx.tenant().uuid())
    .bind(user.uuid())
    .bind(id.uuid())
    .bind(wrapped)
    .bind(i64::from(sign_count))
    .bind(now.to_datetime())
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn flag_passkey(tx: &mut TenantTx, user: UserId, id: PasskeyId, now: Timestamp) -> Sql<()> {
    sqlx::query(
        "update passkey set flagged_at = $4
         where tenant_id = $1 and user_id = $2 and id = $3 and flagged_at is null",
    )
    .bind(tx.tenant().uuid())
    .bind(user.uuid())
    .bind(id.uuid())
    .bind(now.to_datetime())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Drops one passkey, or all of them, and the challenges of the user with it.
pub(super) async fn drop_passkeys(tx: &mut TenantTx, user: UserId, only: Option<PasskeyId>) -> Sql<()> {
    sqlx::query("delete from passkey where tenant_id = $1 and user_id = $2 and ($3::uuid is null or id = $3)")
        .bind(tx.tenant().uuid())
        .bind(user.uuid())
        .bind(only.map(PasskeyId::uuid))
        .execute(&mut **tx)
        .await?;
    sqlx::query("delete from passkey_challenge where tenant_id = $1 and user_id = $2")
        .bind(tx.tenant().uuid())
        .bind(user.uuid())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Where a challenge counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot<'a> {
    pub(super) user: UserId,
    pub(super) purpose: &'a str,
    pub(super) binding: &'a [u8; 32],
}

/// Keeps a challenge instead of an earlier one of the same slot; sweeps those that are over.
pub(super) async fn keep_challenge(
    tx: &mut TenantTx,
    slot: Slot<'_>,
    wrapped: &[u8],
    now: Timestamp,
    expires_at: Timestamp,
) -> Sql<()> {
    sqlx::query("delete from passkey_challenge where tenant_id = $1 and expires_at <= $2")
        .bind(tx.tenant().uuid())
        .bind(now.to_datetime())
        .execute(&mut **tx)
        .await?;
    sqlx::query(
        "insert into passkey_challenge (tenant_id, user_id, purpose, binding, wrapped, expires_at)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (tenant_id, user_id, purpose, binding)
           do update set wrapped = excluded.wrapped, expires_at = excluded.expires_at",
    )
    .bind(tx.tenant().uuid())
    .bind(slot.user.uuid())
    .bind(slot.purpose)
    .bind(&slot.binding[..])
    .bind(wrapped)
    .bind(expires_at.to_datetime())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Takes a challenge, once.
pub(super) async fn take_challenge(tx: &mut TenantTx, slot: Slot<'_>, now: Timestamp) -> Sql<Option<Vec<u8>>> {
    let taken: Option<(Vec<u8>, OffsetDateTime)> = sqlx::query_as(
        "delete from passkey_challenge
         where tenant_id = $1 and user_id = $2 and purpose = $3 and binding = $4
         returning wrapped, expires_at",
    )
    .bind(tx.tenant().uuid())
    .bind(slot.user.uuid())
    .bind(slot.purpose)
    .bind(&slot.binding[..])
    .fetch_optional(&mut **tx)
    .await?;
    Ok(taken
        .filter(|(_, expires_at)| now < Timestamp::from_datetime(*expires_at))
        .map(|(wrapped, _)| wrapped))
}
