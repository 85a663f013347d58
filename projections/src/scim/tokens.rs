//! SCIM tokens. What a token hashes to is state, elsewhere.

use eventstore::TenantTx;
use formats::{ScimTokenId, Timestamp};
use model::{Role, scim::ScimEvent};
use sqlx::{Row, postgres::PgRow};

use super::reducer::Dated;
use crate::{
    FlushError, ReadError,
    columns::{Columns, column, moment, moment_or_null, tenant, uuids, without_nul},
    touched::Touched,
};

/// A token, dead or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenView {
    /// Its id.
    pub id: ScimTokenId,
    /// What people call it.
    pub label: String,
    /// It does nothing to users above this role.
    pub role: Role,
    /// When it was issued.
    pub created_at: Timestamp,
    /// When it ends; none for never.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// The token that takes its place.
    pub replaced_by: Option<ScimTokenId>,
}

fn view(row: &PgRow) -> Result<TokenView, ReadError> {
    Ok(TokenView {
        id: row.id("token_id")?,
        label: row.try_get("label")?,
        role: row.word("role")?,
        created_at: row.at("created_at")?,
        expires_at: row.at_or_null("expires_at")?,
        revoked_at: row.at_or_null("revoked_at")?,
        replaced_by: row.id_or_null("replaced_by")?,
    })
}

/// The newest 50 tokens, dead ones too, newest first.
///
/// # Errors
/// [`ReadError`]
pub async fn tokens(tx: &mut TenantTx) -> Result<Vec<TokenView>, ReadError> {
    let rows = sqlx::query(
        "select token_id, label, role, created_at, expires_at, revoked_at, replaced_by from scim_token
         where tenant_id = $1 and build = live_build('scim') order by created_at desc, token_id desc limit 50",
    )
    .bind(tenant(tx))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(view).collect()
}

/// One token, dead or not.
///
/// # Errors
/// [`ReadError`]
pub async fn token(tx: &mut TenantTx, token: ScimTokenId) -> Result<Option<TokenView>, ReadError> {
    let row = sqlx::query(
        "select token_id, label, role, created_at, expires_at, revoked_at, replaced_by from scim_token
         where tenant_id = $1 and build = live_build('scim') and token_id = $2",
    )
    .bind(tenant(tx))
    .bind(token.uuid())
    .fetch_optional(&mut **tx)
    .await?;
    row.as_ref().map(view).transpose()
}

/// Which token an event is about, if it is about one.
pub(super) const fn subject(event: &ScimEvent) -> Option<ScimTokenId> {
    match event {
        ScimEvent::ScimTokenIssued(e) => Some(e.token),
        ScimEvent::ScimTokenReplaced(e) => Some(e.token),
        ScimEvent::ScimTokenRevoked(e) => Some(e.token),
        ScimEvent::ScimAccountAttributeChanged(_) => None,
    }
}

fn apply(row: &mut Option<TokenView>, Dated { event, at, .. }: Dated<ScimEvent>) {
    match (event, row.as_mut()) {
        (ScimEvent::ScimTokenIssued(e), _) => {
            *row = Some(TokenView {
                id: e.token,
                label: e.label,
                role: e.role,
                created_at: at,
                expires_at: e.expires_at,
                revoked_at: None,
                replaced_by: None,
            });
        }
        (ScimEvent::ScimTokenReplaced(e), Some(row)) => {
            row.expires_at = Some(e.until);
            row.replaced_by = Some(e.by);
        }
        (ScimEvent::ScimTokenRevoked(_), Some(row)) => row.revoked_at = Some(at),
        (
            ScimEvent::ScimTokenReplaced(_)
            | ScimEvent::ScimTokenRevoked(_)
            | ScimEvent::ScimAccountAttributeChanged(_),
            _,
        ) => {}
    }
}

pub(super) async fn flush(
    tx: &mut TenantTx,
    build: i32,
    touched: Touched<ScimTokenId, Dated<ScimEvent>>,
) -> Result<(), FlushError> {
    if touched.is_empty() {
        return Ok(());
    }
    let stored = sqlx::query(
        "select token_id, label, role, created_at, expires_at, revoked_at, replaced_by from scim_token
         where tenant_id = $1 and build = $2 and token_id = any($3)",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(uuids(touched.keys()))
    .fetch_all(&mut **tx)
    .await?;
    let before = stored.iter().map(view).collect::<Result<Vec<_>, _>>()?;
    let rows = touched.settle(before, |row| row.id, apply).rows;
    sqlx::query(
        "insert into scim_token (tenant_id, build, token_id, label, role, created_at, expires_at, revoked_at, replaced_by)
         select $1, $2, r.*
         from unnest($3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::timestamptz[],
             $9::uuid[]) as r
         on conflict (tenant_id, build, token_id) do update set
           label = excluded.label, role = excluded.role, created_at = excluded.created_at,
           expires_at = excluded.expires_at, revoked_at = excluded.revoked_at, replaced_by = excluded.replaced_by",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(column(&rows, |r| r.id.uuid()))
    .bind(column(&rows, |r| without_nul(&r.label)))
    .bind(column(&rows, |r| r.role.as_str()))
    .bind(column(&rows, |r| moment(r.created_at)))
    .bind(column(&rows, |r| moment_or_null(r.expires_at)))
    .bind(column(&rows, |r| moment_or_null(r.revoked_at)))
    .bind(column(&rows, |r| r.replaced_by.map(ScimTokenId::uuid)))
    .execute(&mut **tx)
    .await?;
    Ok(())
}
