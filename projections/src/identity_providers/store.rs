//! The rows of identity providers.

use eventstore::TenantTx;
use formats::{IdentityProviderId, Timestamp};
use model::{
    Role,
    identity_provider::{IdentityProviderEvent, ProviderDefinition},
};
use sqlx::{Row, postgres::PgRow};

use super::reducer::apply;
use crate::{
    FlushError, ReadError,
    columns::{Columns, column, moment, moment_or_null, tenant, uuids, without_nul},
    touched::Touched,
};

/// An identity provider. It keeps its row when it is removed, so that the audit trail can name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderView {
    /// Its id.
    pub id: IdentityProviderId,
    /// What the tenant says of it.
    pub definition: ProviderDefinition,
    /// Whether the vault has a client secret for it.
    pub has_secret: bool,
    /// Nobody above this role signs in with it.
    pub ceiling: Role,
    /// Whether nobody can sign in with it for now.
    pub disabled: bool,
    /// When its metadata was last looked at.
    pub checked_at: Option<Timestamp>,
    /// What was wrong then.
    pub problem: Option<String>,
    /// When it was configured.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// When it was removed.
    pub removed_at: Option<Timestamp>,
}

fn view(row: &PgRow) -> Result<ProviderView, ReadError> {
    Ok(ProviderView {
        id: row.id("provider_id")?,
        definition: row.document("definition")?,
        has_secret: row.try_get("has_secret")?,
        ceiling: row.word("ceiling")?,
        disabled: row.try_get("disabled")?,
        checked_at: row.at_or_null("checked_at")?,
        problem: row.try_get("problem")?,
        created_at: row.at("created_at")?,
        updated_at: row.at("updated_at")?,
        removed_at: row.at_or_null("removed_at")?,
    })
}

/// The providers that are not removed, by name, 50 at most.
///
/// # Errors
/// [`ReadError`]
pub async fn providers(tx: &mut TenantTx) -> Result<Vec<ProviderView>, ReadError> {
    let rows = sqlx::query(
        "select provider_id, definition, has_secret, ceiling, disabled, checked_at, problem, created_at, updated_at,
           removed_at
         from identity_provider
         where tenant_id = $1 and build = live_build('identity_providers') and removed_at is null
         order by name, provider_id limit 50",
    )
    .bind(tenant(tx))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(view).collect()
}

/// One provider, removed or not.
///
/// # Errors
/// [`ReadError`]
pub async fn provider(tx: &mut TenantTx, provider: IdentityProviderId) -> Result<Option<ProviderView>, ReadError> {
    let row = sqlx::query(
        "select provider_id, definition, has_secret, ceiling, disabled, checked_at, problem, created_at, updated_at,
           removed_at
         from identity_provider
         where tenant_id = $1 and build = live_build('identity_providers') and provider_id = $2",
    )
    .bind(tenant(tx))
    .bind(provider.uuid())
    .fetch_optional(&mut **tx)
    .await?;
    row.as_ref().map(view).transpose()
}

pub(super) async fn flush(
    tx: &mut TenantTx,
    build: i32,
    touched: Touched<IdentityProviderId, (IdentityProviderEvent, Timestamp)>,
) -> Result<(), FlushError> {
    if touched.is_empty() {
        return Ok(());
    }
    let stored = sqlx::query(
        "select provider_id, definition, has_secret, ceiling, disabled, checked_at, problem, created_at, updated_at,
           removed_at
         from identity_provider where tenant_id = $1 and build = $2 and provider_id = any($3)",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(uuids(touched.keys()))
    .fetch_all(&mut **tx)
    .await?;
    let before = stored.iter().map(view).collect::<Result<Vec<_>, _>>()?;
    let rows = touched
        .settle(before, |row| row.id, |row, (event, at)| apply(row, event, at))
        .rows;
    let documents = rows
        .iter()
        .map(|row| serde_json::to_string(&row.definition))
        .collect::<Result<Vec<_>, _>>()?;
    sqlx::query(
        "insert into identity_provider (tenant_id, build, provider_id, name, definition, has_secret, ceiling, disabled,
           checked_at, problem, created_at, updated_at, removed_at)
         select $1, $2, provider_id, name, definition::json, has_secret, ceiling, disabled, checked_at, problem,
           created_at, updated_at, removed_at
         from unnest($3::uuid[], $4::text[], $5::text[], $6::boolean[], $7::text[], $8::boolean[], $9::timestamptz[],
           $10::text[], $11::timestamptz[], $12::timestamptz[], $13::timestamptz[])
           as r (provider_id, name, definition, has_secret, ceiling, disabled, checked_at, problem, created_at, updated_at,
             removed_at)
         on conflict (tenant_id, build, provider_id) do update set
           name = excluded.name, definition = excluded.definition, has_secret = excluded.has_secret,
           ceiling = excluded.ceiling, disabled = excluded.disabled, checked_at = excluded.checked_at,
           problem = excluded.problem, created_at = excluded.created_at, updated_at = excluded.updated_at,
           removed_at = excluded.removed_at",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(column(&rows, |r| r.id.uuid()))
    .bind(column(&rows, |r| without_nul(&r.definition.name)))
    .bind(documents)
    .bind(column(&rows, |r| r.has_secret))
    .bind(column(&rows, |r| r.ceiling.as_str()))
    .bind(column(&rows, |r| r.disabled))
    .bind(column(&rows, |r| moment_or_null(r.checked_at)))
    .bind(column(&rows, |r| r.problem.as_deref().map(without_nul)))
    .bind(column(&rows, |r| moment(r.created_at)))
    .bind(column(&rows, |r| moment(r.updated_at)))
    .bind(column(&rows, |r| moment_or_null(r.removed_at)))
    .execute(&mut **tx)
    .await?;
    Ok(())
}
