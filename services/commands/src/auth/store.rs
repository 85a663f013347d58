//! The statements on credentials' state. Times are milliseconds outside and `timestamptz` inside.

use eventstore::TenantTx;
use formats::{Credential, CredentialKind, EndpointId, SessionId, TenantId, Timestamp, UserId};
use sqlx::{PgPool, Row, postgres::PgRow, types::time::OffsetDateTime};
use uuid::Uuid;

use super::Channel;
use crate::{PLATFORM, platform::PlatformCredential, tenants::TenantRow};

type Sql<T> = Result<T, sqlx::Error>;

fn at(row: &PgRow, column: &str) -> Sql<Timestamp> {
    Ok(Timestamp::from_datetime(row.try_get::<OffsetDateTime, _>(column)?))
}

fn maybe_at(row: &PgRow, column: &str) -> Sql<Option<Timestamp>> {
    Ok(row
        .try_get::<Option<OffsetDateTime>, _>(column)?
        .map(Timestamp::from_datetime))
}

// Tenants --------------------------------------------------------------------------------------------------------------

/// A tenant by slug, with its status. The routing table has no row-level security.
pub(crate) async fn tenant_by_slug(pool: &PgPool, slug: &str) -> Sql<Option<(TenantId, String)>> {
    let row = sqlx::query("select id, status from tenant where slug = $1")
        .bind(slug)
        .fetch_optional(pool)
        .await?;
    row.map(|row| Ok((TenantId::from_uuid(row.try_get("id")?), row.try_get("status")?)))
        .transpose()
}

/// A tenant's status; none where there is no such tenant.
pub(crate) async fn tenant_status(pool: &PgPool, tenant: TenantId) -> Sql<Option<String>> {
    sqlx::query_scalar("select status from tenant where id = $1")
        .bind(tenant.uuid())
        .fetch_optional(pool)
        .await
}

/// Locks a tenant's row in the routing table, so that whoever marks it comes one after the other.
pub(crate) async fn lock_tenant(tx: &mut TenantTx) -> Sql<()> {
    sqlx::query("select from tenant where id = $1 for update")
        .bind(tx.tenant().uuid())
        .fetch_optional(&mut **tx)
        .await?;
    Ok(())
}

/// Marks a tenant for the doors, unless its deletion has begun.
pub(crate) async fn mark_tenant(tx: &mut TenantTx, status: &str, purge_at: Option<Timestamp>) -> Sql<()> {
    sqlx::query("update tenant set status = $2, purge_at = $3 where id = $1 and status <> 'purging'")
        .bind(tx.tenant().uuid())
        .bind(status)
        .bind(purge_at.map(Timestamp::to_datetime))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// What a tenant is called; none where there is no such tenant.
pub(crate) async fn tenant_slug(pool: &PgPool, tenant: TenantId) -> Sql<Option<String>> {
    sqlx::query_scalar("select slug from tenant where id = $1")
        .bind(tenant.uuid())
        .fetch_optional(pool)
        .await
}

/// All tenants but the platform's own, at most ten thousand.
pub(crate) async fn tenants(pool: &PgPool) -> Sql<Vec<TenantRow>> {
    let rows = sqlx::query(
        "select id, slug, status, created_at, purge_at from tenant where id <> $1 order by slug limit 10000",
    )
    .bind(PLATFORM.uuid())
    .fetch_all(pool)
    .await?;
    rows.iter().map(tenant_row).collect()
}

/// One of them.
pub(crate) async fn tenant(pool: &PgPool, tenant: TenantId) -> Sql<Option<TenantRow>> {
    let row = sqlx::query("select id, slug, status, created_at, purge_at from tenant where id = $1 and id <> $2")
        .bind(tenant.uuid())
        .bind(PLATFORM.uuid())
        .fetch_optional(pool)
        .await?;
    row.as_ref().map(tenant_row).transpose()
}

fn tenant_row(row: &PgRow) -> Sql<TenantRow> {
    Ok(TenantRow {
        id: TenantId::from_uuid(row.try_get("id")?),
        slug: row.try_get("slug")?,
        status: row.try_get("status")?,
        created_at: at(row, "created_at")?,
        purge_at: maybe_at(row, "purge_at")?,
    })
}

// Passwords ------------------------------------------------------------------------------------------------------------

pub(crate) async fn password(tx: &mut TenantTx, user: UserId) -> Sql<Option<String>> {
    sqlx::query_scalar("select hash from user_password where tenant_id = $1 and user_id = $2")
        .bind(tx.tenant().uuid())
        .bind(user.uuid())
        .fetch_optional(&mut **tx)
        .await
}

pub(crate) async fn set_password(tx: &mut TenantTx, user: UserId, hash: &str, now: Timestamp) -> Sql<()> {
    sqlx::query(
        "insert into user_password (tenant_id, user_id, hash, changed_at) values ($1, $2, $3, $4)
         on conflict (tenant_id, user_id) do update set hash = excluded.hash, changed_at = excluded.changed_at",
    )
    .bind(tx.tenant().uuid())
    .bind(user.uuid())
    .bind(hash)
    .bind(now.to_datetime())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Sets a password where the present one is this; whether it was.
pub(crate) async fn replace_password(
    tx: &mut TenantTx,
    user: UserId,
    old: &str,
    hash: &str,
    now: Timestamp,
) -> Sql<bool> {
    let done = sqlx::query(
        "update user_password set hash = $4, changed_at = $5 where tenant_id = $1 and user_id = $2 and hash = $3",
    )
    .bind(tx.tenant().uuid())
    .bind(user.uuid())
    .bind(old)
    .bind(hash)
    .bind(now.to_datetime())
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Whether this is the present password. It stays so until the transaction ends.
pub(crate) async fn is_password(tx: &mut TenantTx, user: UserId, hash: &str) -> Sql<bool> {
    let found: Option<bool> =
        sqlx::query_scalar("select hash = $3 from user_password where tenant_id = $1 and user_id = $2 for share")
            .bind(tx.tenant().uuid())
            .bind(user.uuid())
            .bind(hash)
            .fetch_optional(&mut **tx)
            .await?;
    Ok(found.unwrap_or(false))
}

// Sessions -------------------------------------------------------------------------------------------------------------

/// A session as stored.
#[derive(Debug, Clone)]
pub(crate) struct SessionRow {
    pub(crate) id: SessionId,
    pub(crate) user: UserId,
    pub(crate) secret_hash: Vec<u8>,
    pub(crate) method: String,
    pub(crate) address: Option<String>,
    pub(crate) agent: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) seen_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) stepped_up_at: Option<Timestamp>,
    /// `totp` or `passkey`.
    pub(crate) stepped_up_by: Option<String>,
    pub(crate) proved_at: Option<Timestamp>,
}

fn session_row(row: &PgRow) -> Sql<SessionRow> {
    Ok(SessionRow {
        id: SessionId::from_uuid(row.try_get("id")?),
        user: UserId::from_uuid(row.try_get("user_id")?),
        secret_hash: row.try_get("secret_hash")?,
        method: row.try_get("method")?,
        address: row.try_get("address")?,
        agent: row.try_get("agent")?,
        created_at: at(row, "created_at")?,
        seen_at: at(row, "seen_at")?,
        expires_at: at(row, "expires_at")?,
        stepped_up_at: maybe_at(row, "stepped_up_at")?,
        stepped_up_by: row.try_get("stepped_up_by")?,
        proved_at: maybe_at(row, "proved_at")?,
    })
}

pub(crate) async fn add_session(tx: &mut TenantTx, row: &SessionRow) -> Sql<()> {
    sqlx::query(
        "insert into session (tenant_id, id, user_id, secret_hash, method, address, agent, created_at, seen_at,
           expires_at, stepped_up_at, stepped_up_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(tx.tenant().uuid())
    .bind(row.id.uuid())
    .bind(row.user.uuid())
    .bind(&row.secret_hash)
    .bind(&row.method)
    .bind(&row.address)
    .bind(&row.agent)
    .bind(row.created_at.to_datetime())
    .bind(row.seen_at.to_datetime())
    .bind(row.expires_at.to_datetime())
    .bind(row.stepped_up_at.map(Timestamp::to_datetime))
    .bind(&row.stepped_up_by)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// A live session.
pub(crate) async fn session(tx: &mut TenantTx, id: SessionId, now: Timestamp) -> Sql<Option<SessionRow>> {
    let row = sqlx::query(
        "select id, user_id, secret_hash, method, address, agent, created_at, seen_at, expires_at, stepped_up_at,
           stepped_up_by, proved_at
         from session where tenant_id = $1 and id = $2 and ended_at is null and expires_at > $3",
    )
    .bind(tx.tenant().uuid())
    .bind(id.uuid())
    .bind(now.to_datetime())
    .fetch_optional(&mut **tx)
    .await?;
    row.as_ref().map(session_row).transpose()
}

/// A user's live sessions, newest first, at most 100.
pub(crate) async fn sessions(tx: &mut TenantTx, user: UserId, now: Timestamp) -> Sql<Vec<SessionRow>> {
    let rows = sqlx::query(
        "select id, user_id, secret_hash, method, address, agent, created_at, seen_at, expires_at, stepped_up_at,
           stepped_up_by, proved_at
         from session where tenant_id = $1 and user_id = $2 and ended_at is null and expires_at > $3
         order by created_at desc limit 100",
    )
    .bind(tx.tenant().uuid())
    .bind(user.uuid())
    .bind(now.to_datetime())
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(session_row).collect()
}

pub(crate) async fn touch_session(tx: &mut TenantTx, id: SessionId, now: Timestamp) -> Sql<()> {
    sqlx::query("update session set seen_at = $3 where tenant_id = $1 and id = $2")
        .bind(tx.tenant().uuid())
        .bind(id.uuid())
        .bind(now.to_datetime())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Notes a fresh proof: by a second factor, or by the password where none is named.
pub(crate) async fn step_up_session(tx: &mut TenantTx, id: SessionId, now: Timestamp, factor: Option<&str>) -> Sql<()> {
    sqlx::query(
        "update session set seen_at = $3,
           stepped_up_at = case when $4::text is null then stepped_up_at else $3 end,
           stepped_up_by = coalesce($4, stepped_up_by),
           proved_at = case when $4::text is null then $3 else proved_at end
         where tenant_id = $1 and id = $2",
    )
    .bind(tx.tenant().uuid())
    .bind(id.uuid())
    .bind(now.to_datetime())
    .bind(factor)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(crate) async fn end_session(tx: &mut TenantTx, user: UserId, id: SessionId, now: Timestamp) -> Sql<u64> {
    let done = sqlx::query(
        "update session set ended_at = $4 where tenant_id = $1 and id = $2 and user_id = $3 and ended_at is null",
    )
    .bind(tx.tenant().uuid())
    .bind(id.uuid())
    .bind(user.uuid())
    .bind(now.to_datetime())
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected())
}

/// Ends a user's sessions, but the one that is to stay.
pub(crate) async fn end_sessions(tx: &mut TenantTx, user: UserId, keep: Option<SessionId>, now: Timestamp) -> Sql<u64> {
    let done = sqlx::query(
        "update session set ended_at = $3
         where tenant_id = $1 and user_id = $2 and ended_at is null and id is distinct from $4",
    )
    .bind(tx.tenant().uuid())
    .bind(user.uuid())
    .bind(now.to_datetime())
    .bind(keep.map(SessionId::uuid))
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected())
}

// One-time codes ---------------------------------------------------------------------------------------------------------

/// A TOTP secret as stored.
#[derive(Debug)]
pub(crate) struct TotpRow {
    pub(crate) wrapped: Vec<u8>,
    pub(crate) confirmed: bool,
}

pub(crate) async fn totp(tx: &mut TenantTx, user: UserId) -> Sql<Option<TotpRow>> {
    let row = sqlx::query(
        "select wrapped, confirmed_at is not null as confirmed from totp where tenant_id = $1 and user_id = $2",
    )
    .bind(tx.tenant().uuid())
    .bind(user.uuid())
    .fetch_optional(&mut **tx)
    .await?;
    row.as_ref().map(totp_row).transpose()
}

/// The same, for one attempt at a time: others wait until the transaction ends.
pub(crate) async fn lock_totp(tx: &mut TenantTx, user: UserId) -> Sql<Option<TotpRow>> {
    let row = sqlx::query(
        "select wrapped, confirmed_at is not null as confirmed from totp where tenant_id = $1 and user_id = $2
         for update",
    )
    .bind(tx.tenant().uuid())
    .bind(user.uuid())
    .fetch_optional(&mut **tx)
    .await?;
    row.as_ref().map(totp_row).transpose()
}

fn totp_row(row: &PgRow) -> Sql<TotpRow> {
    Ok(TotpRow {
        wrapped: row.try_get("wrapped")?,
        confirmed: row.try_get("confirmed")?,
    })
}

/// Keeps a secret that is not confirmed yet; a confirmed one stays.
pub(crate) async fn begin_totp(tx: &mut TenantTx, user: UserId, wrapped: &[u8], now: Timestamp) -> Sql<bool> {
    let done = sqlx::query(
        "insert into totp (tenant_id, user_id, wrapped, created_at) values ($1, $2, $3, $4)
         on conflict (tenant_id, user_id) do update
           set wrapped = excluded.wrapped, created_at = excluded.created_at, last_step = 0
           where totp.confirmed_at is null",
    )
    .bind(tx.tenant().uuid())
    .bind(user.uuid())
    .bind(wrapped)
    .bind(now.to_datetime())
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Takes a time step, once: of many with the same or an earlier one, none succeeds after the first.
pub(crate) async fn take_totp_step(tx: &mut TenantTx, user: UserId, step: u64) -> Sql<bool> {
    let done = sqlx::query("update totp set last_step = $3 where tenant_id = $1 and user_id = $2 and last_step < $3")
        .bind(tx.tenant().uuid())
        .bind(user.uuid())
        .bind(i64::try_from(step).unwrap_or(i64::MAX))
        .execute(&mut **tx)
        .await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn confirm_totp(tx: &mut TenantTx, user: UserId, now: Timestamp, codes: &[[u8; 32]]) -> Sql<()> {
    sqlx::query("update totp set confirmed_at = $3 where tenant_id = $1 and user_id = $2")
        .bind(tx.tenant().uuid())
        .bind(user.uuid())
        .bind(now.to_datetime())
        .execute(&mut **tx)
        .await?;
    sqlx::query("delete from recovery_code where tenant_id = $1 and user_id = $2")
        .bind(tx.tenant().uuid())
        .bind(user.uuid())
        .execute(&mut **tx)
        .await?;
    sqlx::query("insert into recovery_code (tenant_id, user_id, code_hash) select $1, $2, unnest($3::bytea[])")
        .bind(tx.tenant().uuid())
        .bind(user.uuid())
        .bind(codes.iter().map(|code| &code[..]).collect::<Vec<_>>())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

pub(crate) async fn drop_totp(tx: &mut TenantTx, user: UserId) -> Sql<()> {
    for statement in [
        "delete from totp where tenant_id = $1 and user_id = $2",
        "delete from recovery_code where tenant_id = $1 and user_id = $2",
    ] {
        sqlx::query(statement)
            .bind(tx.tenant().uuid())
            .bind(user.uuid())
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

pub(crate) async fn use_recovery_code(tx: &mut TenantTx, user: UserId, hash: &[u8; 32], now: Timestamp) -> Sql<bool> {
    let done = sqlx::query(
        "update recovery_code set used_at = $4
         where tenant_id = $1 and user_id = $2 and code_hash = $3 and used_at is null",
    )
    .bind(tx.tenant().uuid())
    .bind(user.uuid())
    .bind(&hash[..])
    .bind(now.to_datetime())
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

// Failures -------------------------------------------------------------------------------------------------------------

/// Adds a failure, sweeps those before `since`, and gives the rest, oldest first, at most 100.
pub(crate) async fn add_failure(
    tx: &mut TenantTx,
    user: UserId,
    channel: Channel,
    now: Timestamp,
    since: Timestamp,
) -> Sql<Vec<Timestamp>> {
    sqlx::query("delete from auth_failure where tenant_id = $1 and identity = $2 and channel = $3 and failed_at < $4")
        .bind(tx.tenant().uuid())
        .bind(user.uuid())
        .bind(channel.as_str())
        .bind(since.to_datetime())
        .execute(&mut **tx)
        .await?;
    sqlx::query("insert into auth_failure (tenant_id, identity, channel, failed_at) values ($1, $2, $3, $4)")
        .bind(tx.tenant().uuid())
        .bind(user.uuid())
        .bind(channel.as_str())
        .bind(now.to_datetime())
        .execute(&mut **tx)
        .await?;
    let rows = sqlx::query(
        "select failed_at from auth_failure where tenant_id = $1 and identity = $2 and channel = $3
         order by failed_at desc limit 100",
    )
    .bind(tx.tenant().uuid())
    .bind(user.uuid())
    .bind(channel.as_str())
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().rev().map(|row| at(row, "failed_at")).collect()
}

/// Forgets failures since a moment; those before it count towards the day.
pub(crate) async fn clear_failures(tx: &mut TenantTx, user: UserId, channel: Channel, since: Timestamp) -> Sql<()> {
    sqlx::query("delete from auth_failure where tenant_id = $1 and identity = $2 and channel = $3 and failed_at >= $4")
        .bind(tx.tenant().uuid())
        .bind(user.uuid())
        .bind(channel.as_str())
        .bind(since.to_datetime())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

pub(crate) async fn lock(tx: &mut TenantTx, user: UserId, channel: Channel) -> Sql<Option<Timestamp>> {
    let row = sqlx::query("select until from auth_lock where tenant_id = $1 and identity = $2 and channel = $3")
        .bind(tx.tenant().uuid())
        .bind(user.uuid())
        .bind(channel.as_str())
        .fetch_optional(&mut **tx)
        .await?;
    row.as_ref().map(|row| at(row, "until")).transpose()
}

pub(crate) async fn set_lock(tx: &mut TenantTx, user: UserId, channel: Channel, until: Timestamp) -> Sql<()> {
    sqlx::query(
        "insert into auth_lock (tenant_id, identity, channel, until) values ($1, $2, $3, $4)
         on conflict (tenant_id, identity, channel) do update set until = greatest(auth_lock.until, excluded.until)",
    )
    .bind(tx.tenant().uuid())
    .bind(user.uuid())
    .bind(channel.as_str())
    .bind(until.to_datetime())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

// Credentials ------------------------------------------------------------------------------------------------------------

/// A credential that is live: not revoked, not over.
#[derive(Debug)]
pub(crate) struct LiveCredential {
    pub(crate) owner: Uuid,
    pub(crate) secret_hash: Vec<u8>,
}

pub(crate) async fn keep_credential(
    tx: &mut TenantTx,
    credential: &Credential,
    owner: Uuid,
    now: Timestamp,
    expires_at: Option<Timestamp>,
) -> Sql<()> {
    sqlx::query(
        "insert into credential (tenant_id, kind, id, secret_hash, owner_id, created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(tx.tenant().uuid())
    .bind(credential.kind.as_str())
    .bind(credential.id)
    .bind(&credential.secret.hash()[..])
    .bind(owner)
    .bind(now.to_datetime())
    .bind(expires_at.map(Timestamp::to_datetime))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(crate) async fn forget_credential(tx: &mut TenantTx, kind: CredentialKind, id: Uuid) -> Sql<()> {
    sqlx::query("delete from credential where tenant_id = $1 and kind = $2 and id = $3")
        .bind(tx.tenant().uuid())
        .bind(kind.as_str())
        .bind(id)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

pub(crate) async fn revoke_credential(tx: &mut TenantTx, kind: CredentialKind, id: Uuid, now: Timestamp) -> Sql<()> {
    sqlx::query(
        "update credential set revoked_at = $4 where tenant_id = $1 and kind = $2 and id = $3 and revoked_at is null",
    )
    .bind(tx.tenant().uuid())
    .bind(kind.as_str())
    .bind(id)
    .bind(now.to_datetime())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Whether a credential of this kind was made for this owner since a moment.
pub(crate) async fn has_credential_since(
    tx: &mut TenantTx,
    kind: CredentialKind,
    owner: Uuid,
    since: Timestamp,
) -> Sql<bool> {
    sqlx::query_scalar(
        "select exists (select from credential
           where tenant_id = $1 and owner_id = $2 and kind = $3 and created_at > $4)",
    )
    .bind(tx.tenant().uuid())
    .bind(owner)
    .bind(kind.as_str())
    .bind(since.to_datetime())
    .fetch_one(&mut **tx)
    .await
}

/// Takes a credential that works once; whether it was still there to be taken.
pub(crate) async fn use_credential(tx: &mut TenantTx, kind: CredentialKind, id: Uuid, now: Timestamp) -> Sql<bool> {
    let done = sqlx::query(
        "update credential set revoked_at = $4, used_at = $4
         where tenant_id = $1 and kind = $2 and id = $3 and revoked_at is null",
    )
    .bind(tx.tenant().uuid())
    .bind(kind.as_str())
    .bind(id)
    .bind(now.to_datetime())
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn revoke_credentials_of(tx: &mut TenantTx, owner: Uuid, now: Timestamp) -> Sql<()> {
    sqlx::query("update credential set revoked_at = $3 where tenant_id = $1 and owner_id = $2 and revoked_at is null")
        .bind(tx.tenant().uuid())
        .bind(owner)
        .bind(now.to_datetime())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

pub(crate) async fn credential(
    tx: &mut TenantTx,
    kind: CredentialKind,
    id: Uuid,
    now: Timestamp,
) -> Sql<Option<LiveCredential>> {
    let row = sqlx::query(
        "select owner_id, secret_hash from credential
         where tenant_id = $1 and kind = $2 and id = $3 and revoked_at is null
           and (expires_at is null or expires_at > $4)",
    )
    .bind(tx.tenant().uuid())
    .bind(kind.as_str())
    .bind(id)
    .bind(now.to_datetime())
    .fetch_optional(&mut **tx)
    .await?;
    row.map(|row| {
        Ok(LiveCredential {
            owner: row.try_get("owner_id")?,
            secret_hash: row.try_get("secret_hash")?,
        })
    })
    .transpose()
}

/// Notes that a credential was used, at most once a minute.
pub(crate) async fn touch_credential(tx: &mut TenantTx, kind: CredentialKind, id: Uuid, now: Timestamp) -> Sql<()> {
    sqlx::query(
        "update credential set used_at = $4
         where tenant_id = $1 and kind = $2 and id = $3 and (used_at is null or used_at < $4 - interval '1 minute')",
    )
    .bind(tx.tenant().uuid())
    .bind(kind.as_str())
    .bind(id)
    .bind(now.to_datetime())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// When each of these credentials was last used, to the minute; those that never were are left out.
pub(crate) async fn credentials_used(
    tx: &mut TenantTx,
    kind: CredentialKind,
    ids: &[Uuid],
) -> Sql<Vec<(Uuid, Timestamp)>> {
    let rows = sqlx::query(
        "select id, used_at from credential
         where tenant_id = $1 and kind = $2 and id = any($3) and used_at is not null",
    )
    .bind(tx.tenant().uuid())
    .bind(kind.as_str())
    .bind(ids)
    .fetch_all(&mut **tx)
    .await?;
    rows.iter()
        .map(|row| Ok((row.try_get("id")?, at(row, "used_at")?)))
        .collect()
}

// Agents ---------------------------------------------------------------------------------------------------------------

/// Takes an assertion's id, once; sweeps those that are over.
pub(crate) async fn take_assertion(tx: &mut TenantTx, jti: Uuid, expires_at: Timestamp, now: Timestamp) -> Sql<bool> {
    sqlx::query("delete from agent_assertion where tenant_id = $1 and expires_at < $2")
        .bind(tx.tenant().uuid())
        .bind(now.to_datetime())
        .execute(&mut **tx)
        .await?;
    let done = sqlx::query(
        "insert into agent_assertion (tenant_id, jti, expires_at) values ($1, $2, $3) on conflict do nothing",
    )
    .bind(tx.tenant().uuid())
    .bind(jti)
    .bind(expires_at.to_datetime())
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes whose endpoint it is, so that an assertion finds its tenant.
pub(crate) async fn route_endpoint(tx: &mut TenantTx, endpoint: EndpointId) -> Sql<()> {
    sqlx::query("insert into endpoint_route (endpoint_id, tenant_id) values ($1, $2) on conflict do nothing")
        .bind(endpoint.uuid())
        .bind(tx.tenant().uuid())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Whose endpoint it is.
pub(crate) async fn tenant_of_endpoint(pool: &PgPool, endpoint: EndpointId) -> Sql<Option<TenantId>> {
    let id: Option<Uuid> = sqlx::query_scalar("select tenant_id from endpoint_route where endpoint_id = $1")
        .bind(endpoint.uuid())
        .fetch_optional(pool)
        .await?;
    Ok(id.map(TenantId::from_uuid))
}

/// An MFA session as it is kept.
#[derive(Debug)]
pub(crate) struct MfaSessionRow<'a> {
    pub(crate) id: Uuid,
    pub(crate) identity: UserId,
    pub(crate) endpoint: EndpointId,
    pub(crate) endpoint_user_mac: &'a [u8; 32],
    pub(crate) action_type: &'a str,
    pub(crate) request: Option<Uuid>,
    pub(crate) expires_at: Timestamp,
}

pub(crate) async fn keep_mfa_session(tx: &mut TenantTx, row: &MfaSessionRow<'_>) -> Sql<()> {
    sqlx::query(
        "insert into mfa_session (tenant_id, id, identity, endpoint, endpoint_user_mac, action_type, request_id, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(tx.tenant().uuid())
    .bind(row.id)
    .bind(row.identity.uuid())
    .bind(row.endpoint.uuid())
    .bind(&row.endpoint_user_mac[..])
    .bind(row.action_type)
    .bind(row.request)
    .bind(row.expires_at.to_datetime())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// A request for whose action a one-time code may have been given.
pub(crate) struct CodeWanted {
    pub(crate) request: Uuid,
    pub(crate) endpoint: EndpointId,
    pub(crate) endpoint_user_mac: [u8; 32],
    pub(crate) action_type: &'static str,
}

/// Who gave a code for which of these requests, or has a session of its account and type that lasts beyond `now`.
pub(crate) async fn code_givers(tx: &mut TenantTx, wanted: &[CodeWanted], now: Timestamp) -> Sql<Vec<(Uuid, Uuid)>> {
    sqlx::query_as(
        "select distinct w.request_id, m.identity
         from unnest($2::uuid[], $3::uuid[], $4::bytea[], $5::text[])
             as w (request_id, endpoint, endpoint_user_mac, action_type)
           join mfa_session m on m.tenant_id = $1 and (m.request_id = w.request_id
             or (m.endpoint = w.endpoint and m.endpoint_user_mac = w.endpoint_user_mac
               and m.action_type = w.action_type and m.expires_at > $6))",
    )
    .bind(tx.tenant().uuid())
    .bind(wanted.iter().map(|w| w.request).collect::<Vec<_>>())
    .bind(wanted.iter().map(|w| w.endpoint.uuid()).collect::<Vec<_>>())
    .bind(wanted.iter().map(|w| &w.endpoint_user_mac[..]).collect::<Vec<_>>())
    .bind(wanted.iter().map(|w| w.action_type).collect::<Vec<_>>())
    .bind(now.to_datetime())
    .fetch_all(&mut **tx)
    .await
}

// Sweep ----------------------------------------------------------------------------------------------------------------

/// Statements that remove what is over, each at most so many rows of the tenant: what is kept for a day's count, what ended,
/// and what could not be taken a second time anyway.
const SWEEP: [&str; 5] = [
    "delete from auth_failure where tenant_id = $1 and ctid = any (array(
       select ctid from auth_failure where tenant_id = $1 and failed_at < $2 - interval '1 day' limit $3))",
    "delete from auth_lock where tenant_id = $1 and ctid = any (array(
       select ctid from auth_lock where tenant_id = $1 and until < $2 limit $3))",
    "delete from session where tenant_id = $1 and ctid = any (array(
       select ctid from session where tenant_id = $1
         and (expires_at < $2 - interval '7 days' or ended_at < $2 - interval '7 days') limit $3))",
    "delete from agent_assertion where tenant_id = $1 and ctid = any (array(
       select ctid from agent_assertion where tenant_id = $1 and expires_at < $2 limit $3))",
    "delete from mfa_session where tenant_id = $1 and ctid = any (array(
       select ctid from mfa_session where tenant_id = $1 and expires_at < $2 - interval '7 days' limit $3))",
];

/// Removes what is over, at most `limit` rows of each table; the most that one of them had.
pub(crate) async fn sweep(tx: &mut TenantTx, now: Timestamp, limit: u32) -> Sql<u64> {
    let mut most = 0;
    for statement in SWEEP {
        let done = sqlx::query(statement)
            .bind(tx.tenant().uuid())
            .bind(now.to_datetime())
            .bind(i64::from(limit))
            .execute(&mut **tx)
            .await?;
        most = most.max(done.rows_affected());
    }
    Ok(most)
}

// Platform -------------------------------------------------------------------------------------------------------------

pub(crate) async fn platform_credential(pool: &PgPool, id: Uuid) -> Sql<Option<(String, Vec<u8>)>> {
    let row = sqlx::query("select name, secret_hash from platform_credential where id = $1 and revoked_at is null")
        .bind(id)
        .fetch_optional(pool)
        .await?;
    row.map(|row| Ok((row.try_get("name")?, row.try_get("secret_hash")?)))
        .transpose()
}

/// Whether it was added: of live ones, each has a name of its own.
pub(crate) async fn add_platform_credential(
    pool: &PgPool,
    id: Uuid,
    name: &str,
    secret_hash: &[u8; 32],
    now: Timestamp,
) -> Sql<bool> {
    let done = sqlx::query(
        "insert into platform_credential (id, name, secret_hash, created_at) select $1, $2, $3, $4
         where not exists (select from platform_credential where name = $2 and revoked_at is null)",
    )
    .bind(id)
    .bind(name)
    .bind(&secret_hash[..])
    .bind(now.to_datetime())
    .execute(pool)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Whether there was a live one of this name.
pub(crate) async fn revoke_platform_credential(pool: &PgPool, name: &str, now: Timestamp) -> Sql<bool> {
    let done = sqlx::query("update platform_credential set revoked_at = $2 where name = $1 and revoked_at is null")
        .bind(name)
        .bind(now.to_datetime())
        .execute(pool)
        .await?;
    Ok(done.rows_affected() > 0)
}

pub(crate) async fn platform_credentials(pool: &PgPool) -> Sql<Vec<PlatformCredential>> {
    let rows = sqlx::query("select name, created_at, revoked_at from platform_credential order by created_at, id")
        .fetch_all(pool)
        .await?;
    let credential = |row: &PgRow| {
        Ok(PlatformCredential {
            name: row.try_get("name")?,
            created_at: at(row, "created_at")?,
            revoked_at: maybe_at(row, "revoked_at")?,
        })
    };
    rows.iter().map(credential).collect()
}
