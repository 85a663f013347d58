//! Registration tokens. What a token hashes to is state, elsewhere.

use eventstore::TenantTx;
use formats::{Actor, DeploymentGroupId, RegistrationTokenId, Timestamp};
use model::deployment::DeploymentGroupEvent;
use sqlx::postgres::PgRow;

use crate::{
    FlushError, ReadError,
    columns::{Columns, Stamp, column, documents, moment, moment_or_null, small, tenant, uuids},
    touched::Touched,
};

/// A registration token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenView {
    /// Its id.
    pub id: RegistrationTokenId,
    /// Into which group endpoints register with it.
    pub group: DeploymentGroupId,
    /// When it ends; none for never.
    pub expires_at: Option<Timestamp>,
    /// How many endpoints may register with it; none is unlimited.
    pub max_uses: Option<u32>,
    /// How many did.
    pub uses: u32,
    /// When it was issued.
    pub created_at: Timestamp,
    /// Who issued it.
    pub created_by: Actor,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl TokenView {
    /// Whether an endpoint may register with it at this moment.
    #[must_use]
    pub fn is_usable(&self, at: Timestamp) -> bool {
        self.revoked_at.is_none()
            && self.expires_at.is_none_or(|end| at < end)
            && self.max_uses.is_none_or(|most| self.uses < most)
    }
}

fn view(row: &PgRow) -> Result<TokenView, ReadError> {
    Ok(TokenView {
        id: row.id("token_id")?,
        group: row.id("group_id")?,
        expires_at: row.at_or_null("expires_at")?,
        max_uses: row.small_or_null("max_uses")?,
        uses: row.small_count("uses")?,
        created_at: row.at("created_at")?,
        created_by: row.document("created_by")?,
        revoked_at: row.at_or_null("revoked_at")?,
    })
}

/// One token, dead or not.
///
/// # Errors
/// [`ReadError`]
pub async fn token(tx: &mut TenantTx, token: RegistrationTokenId) -> Result<Option<TokenView>, ReadError> {
    let row = sqlx::query(
        "select token_id, group_id, expires_at, max_uses, uses, created_at, created_by, revoked_at from fleet_token
         where tenant_id = $1 and build = live_build('fleet') and token_id = $2",
    )
    .bind(tenant(tx))
    .bind(token.uuid())
    .fetch_optional(&mut **tx)
    .await?;
    row.as_ref().map(view).transpose()
}

/// The tokens of these groups, dead ones too, newest first.
///
/// # Errors
/// [`ReadError`]
pub async fn tokens(tx: &mut TenantTx, groups: &[DeploymentGroupId]) -> Result<Vec<TokenView>, ReadError> {
    let rows = sqlx::query(
        "select token_id, group_id, expires_at, max_uses, uses, created_at, created_by, revoked_at from fleet_token
         where tenant_id = $1 and build = live_build('fleet') and group_id = any($2)
         order by created_at desc, token_id desc",
    )
    .bind(tenant(tx))
    .bind(uuids(groups))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(view).collect()
}

fn apply(row: &mut Option<TokenView>, event: DeploymentGroupEvent, stamp: Stamp) {
    match event {
        DeploymentGroupEvent::RegistrationTokenIssued(e) => {
            *row = Some(TokenView {
                id: e.token,
                group: e.group,
                expires_at: e.expires_at,
                max_uses: e.max_uses,
                uses: 0,
                created_at: stamp.at,
                created_by: stamp.actor,
                revoked_at: None,
            });
        }
        DeploymentGroupEvent::RegistrationTokenUsed(e) => {
            if let Some(row) = row {
                row.uses = e.number;
            }
        }
        DeploymentGroupEvent::RegistrationTokenRevoked(_) => {
            if let Some(row) = row {
                row.revoked_at = Some(stamp.at);
            }
        }
        // Ignored: of groups and snapshots. A group that still has endpoints can't be deleted; its tokens stay as they
        // were, and the aggregate knows none of them any more.
        DeploymentGroupEvent::DeploymentGroupCreated(_)
        | DeploymentGroupEvent::DeploymentGroupRenamed(_)
        | DeploymentGroupEvent::DeploymentGroupDeleted(_)
        | DeploymentGroupEvent::SnapshotConfirmed(_) => {}
    }
}

pub(super) async fn flush(
    tx: &mut TenantTx,
    build: i32,
    touched: Touched<RegistrationTokenId, (DeploymentGroupEvent, Stamp)>,
) -> Result<(), FlushError> {
    if touched.is_empty() {
        return Ok(());
    }
    let stored = sqlx::query(
        "select token_id, group_id, expires_at, max_uses, uses, created_at, created_by, revoked_at from fleet_token
         where tenant_id = $1 and build = $2 and token_id = any($3)",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(uuids(touched.keys()))
    .fetch_all(&mut **tx)
    .await?;
    let before = stored.iter().map(view).collect::<Result<Vec<_>, _>>()?;
    let rows = touched
        .settle(before, |row| row.id, |row, (event, stamp)| apply(row, event, stamp))
        .rows;
    sqlx::query(
        "insert into fleet_token (tenant_id, build, token_id, group_id, expires_at, max_uses, uses, created_at,
           created_by, revoked_at)
         select $1, $2, r.token_id, r.group_id, r.expires_at, r.max_uses, r.uses, r.created_at, r.created_by::json,
           r.revoked_at
         from unnest($3::uuid[], $4::uuid[], $5::timestamptz[], $6::int[], $7::int[], $8::timestamptz[], $9::text[],
             $10::timestamptz[])
           as r (token_id, group_id, expires_at, max_uses, uses, created_at, created_by, revoked_at)
         on conflict (tenant_id, build, token_id) do update set
           group_id = excluded.group_id, expires_at = excluded.expires_at, max_uses = excluded.max_uses,
           uses = excluded.uses, created_at = excluded.created_at, created_by = excluded.created_by,
           revoked_at = excluded.revoked_at",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(column(&rows, |r| r.id.uuid()))
    .bind(column(&rows, |r| r.group.uuid()))
    .bind(column(&rows, |r| moment_or_null(r.expires_at)))
    .bind(column(&rows, |r| r.max_uses.map(small)))
    .bind(column(&rows, |r| small(r.uses)))
    .bind(column(&rows, |r| moment(r.created_at)))
    .bind(documents(&rows, |r| &r.created_by)?)
    .bind(column(&rows, |r| moment_or_null(r.revoked_at)))
    .execute(&mut **tx)
    .await?;
    Ok(())
}
