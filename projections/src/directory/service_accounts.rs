//! Service accounts and their keys. What a key hashes to is state, elsewhere.

use std::collections::BTreeMap;

use eventstore::TenantTx;
use formats::{ApiKeyId, ServiceAccountId, Timestamp};
use model::{Scope, service_account::ServiceAccountEvent};
use sqlx::{Row, postgres::PgRow};

use crate::{
    FlushError, ReadError,
    columns::{Columns, column, moment, moment_or_null, tenant, text_list, uuids, without_nul},
    touched::Touched,
};

/// A service account. It keeps its row when it is deleted, so that the audit trail can name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccountView {
    /// Its id.
    pub id: ServiceAccountId,
    /// Its name.
    pub name: String,
    /// The most that its keys may do.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
}

/// A key of a service account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyView {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose it is.
    pub account: ServiceAccountId,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it was issued.
    pub created_at: Timestamp,
    /// When it ends; none for never.
    pub expires_at: Option<Timestamp>,
    /// When it, or its account, was taken away.
    pub revoked_at: Option<Timestamp>,
}

impl ApiKeyView {
    /// Whether it opens anything at this moment.
    #[must_use]
    pub fn is_usable(&self, at: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| at < end)
    }
}

fn view(row: &PgRow) -> Result<ServiceAccountView, ReadError> {
    Ok(ServiceAccountView {
        id: row.id("account_id")?,
        name: row.try_get("name")?,
        scopes: row.words("scopes")?,
        created_at: row.at("created_at")?,
        deleted_at: row.at_or_null("deleted_at")?,
    })
}

fn key_view(row: &PgRow) -> Result<ApiKeyView, ReadError> {
    Ok(ApiKeyView {
        id: row.id("key_id")?,
        account: row.id("account_id")?,
        scopes: row.words("scopes")?,
        created_at: row.at("created_at")?,
        expires_at: row.at_or_null("expires_at")?,
        revoked_at: row.at_or_null("revoked_at")?,
    })
}

/// All service accounts that are not deleted, by name.
///
/// # Errors
/// [`ReadError`]
pub async fn service_accounts(tx: &mut TenantTx) -> Result<Vec<ServiceAccountView>, ReadError> {
    let rows = sqlx::query(
        "select account_id, name, scopes, created_at, deleted_at from directory_service_account
         where tenant_id = $1 and build = live_build('directory') and deleted_at is null order by name, account_id",
    )
    .bind(tenant(tx))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(view).collect()
}

/// One service account, deleted or not.
///
/// # Errors
/// [`ReadError`]
pub async fn service_account(
    tx: &mut TenantTx,
    account: ServiceAccountId,
) -> Result<Option<ServiceAccountView>, ReadError> {
    let row = sqlx::query(
        "select account_id, name, scopes, created_at, deleted_at from directory_service_account
         where tenant_id = $1 and build = live_build('directory') and account_id = $2",
    )
    .bind(tenant(tx))
    .bind(account.uuid())
    .fetch_optional(&mut **tx)
    .await?;
    row.as_ref().map(view).transpose()
}

/// The keys of these accounts, dead ones too, oldest first.
///
/// # Errors
/// [`ReadError`]
pub async fn api_keys(tx: &mut TenantTx, accounts: &[ServiceAccountId]) -> Result<Vec<ApiKeyView>, ReadError> {
    let rows = sqlx::query(
        "select key_id, account_id, scopes, created_at, expires_at, revoked_at from directory_api_key
         where tenant_id = $1 and build = live_build('directory') and account_id = any($2) order by created_at, key_id",
    )
    .bind(tenant(tx))
    .bind(uuids(accounts))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(key_view).collect()
}

/// One key, dead or not.
///
/// # Errors
/// [`ReadError`]
pub async fn api_key(tx: &mut TenantTx, key: ApiKeyId) -> Result<Option<ApiKeyView>, ReadError> {
    let row = sqlx::query(
        "select key_id, account_id, scopes, created_at, expires_at, revoked_at from directory_api_key
         where tenant_id = $1 and build = live_build('directory') and key_id = $2",
    )
    .bind(tenant(tx))
    .bind(key.uuid())
    .fetch_optional(&mut **tx)
    .await?;
    row.as_ref().map(key_view).transpose()
}

fn apply(row: &mut Option<ServiceAccountView>, event: ServiceAccountEvent, at: Timestamp) {
    match event {
        ServiceAccountEvent::ServiceAccountCreated(e) => {
            *row = Some(ServiceAccountView {
                id: e.account,
                name: e.name,
                scopes: e.scopes,
                created_at: at,
                deleted_at: None,
            });
        }
        ServiceAccountEvent::ServiceAccountDeleted(_) => {
            if let Some(row) = row {
                row.deleted_at = Some(at);
            }
        }
        // Ignored: of keys.
        ServiceAccountEvent::ApiKeyIssued(_) | ServiceAccountEvent::ApiKeyRevoked(_) => {}
    }
}

fn apply_key(row: &mut Option<ApiKeyView>, event: ServiceAccountEvent, at: Timestamp) {
    match event {
        ServiceAccountEvent::ApiKeyIssued(e) => {
            *row = Some(ApiKeyView {
                id: e.key,
                account: e.account,
                scopes: e.scopes,
                created_at: at,
                expires_at: e.expires_at,
                revoked_at: None,
            });
        }
        ServiceAccountEvent::ApiKeyRevoked(_) => {
            if let Some(row) = row {
                row.revoked_at = Some(at);
            }
        }
        // Ignored: of accounts; see `close` for what a deletion does to the keys.
        ServiceAccountEvent::ServiceAccountCreated(_) | ServiceAccountEvent::ServiceAccountDeleted(_) => {}
    }
}

pub(super) async fn flush(
    tx: &mut TenantTx,
    build: i32,
    touched: Touched<ServiceAccountId, (ServiceAccountEvent, Timestamp)>,
) -> Result<(), FlushError> {
    if touched.is_empty() {
        return Ok(());
    }
    let stored = sqlx::query(
        "select account_id, name, scopes, created_at, deleted_at from directory_service_account
         where tenant_id = $1 and build = $2 and account_id = any($3)",
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
    sqlx::query(
        "insert into directory_service_account (tenant_id, build, account_id, name, scopes, created_at, deleted_at)
         select $1, $2, r.account_id, r.name, r.scopes::text[], r.created_at, r.deleted_at
         from unnest($3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[])
           as r (account_id, name, scopes, created_at, deleted_at)
         on conflict (tenant_id, build, account_id) do update set
           name = excluded.name, scopes = excluded.scopes, created_at = excluded.created_at,
           deleted_at = excluded.deleted_at",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(column(&rows, |r| r.id.uuid()))
    .bind(column(&rows, |r| without_nul(&r.name)))
    .bind(column(&rows, |r| {
        text_list(r.scopes.iter().map(|scope| scope.as_str()))
    }))
    .bind(column(&rows, |r| moment(r.created_at)))
    .bind(column(&rows, |r| moment_or_null(r.deleted_at)))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn flush_keys(
    tx: &mut TenantTx,
    build: i32,
    touched: Touched<ApiKeyId, (ServiceAccountEvent, Timestamp)>,
) -> Result<(), FlushError> {
    if touched.is_empty() {
        return Ok(());
    }
    let stored = sqlx::query(
        "select key_id, account_id, scopes, created_at, expires_at, revoked_at from directory_api_key
         where tenant_id = $1 and build = $2 and key_id = any($3)",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(uuids(touched.keys()))
    .fetch_all(&mut **tx)
    .await?;
    let before = stored.iter().map(key_view).collect::<Result<Vec<_>, _>>()?;
    let rows = touched
        .settle(before, |row| row.id, |row, (event, at)| apply_key(row, event, at))
        .rows;
    sqlx::query(
        "insert into directory_api_key (tenant_id, build, key_id, account_id, scopes, created_at, expires_at, revoked_at)
         select $1, $2, r.key_id, r.account_id, r.scopes::text[], r.created_at, r.expires_at, r.revoked_at
         from unnest($3::uuid[], $4::uuid[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::timestamptz[])
           as r (key_id, account_id, scopes, created_at, expires_at, revoked_at)
         on conflict (tenant_id, build, key_id) do update set
           account_id = excluded.account_id, scopes = excluded.scopes, created_at = excluded.created_at,
           expires_at = excluded.expires_at, revoked_at = excluded.revoked_at",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(column(&rows, |r| r.id.uuid()))
    .bind(column(&rows, |r| r.account.uuid()))
    .bind(column(&rows, |r| text_list(r.scopes.iter().map(|scope| scope.as_str()))))
    .bind(column(&rows, |r| moment(r.created_at)))
    .bind(column(&rows, |r| moment_or_null(r.expires_at)))
    .bind(column(&rows, |r| moment_or_null(r.revoked_at)))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The keys of accounts that are gone are dead since that moment, unless they were before.
pub(super) async fn close(
    tx: &mut TenantTx,
    build: i32,
    closed: &BTreeMap<ServiceAccountId, Timestamp>,
) -> Result<(), FlushError> {
    if closed.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update directory_api_key k set revoked_at = r.at
         from unnest($3::uuid[], $4::timestamptz[]) as r (account_id, at)
         where k.tenant_id = $1 and k.build = $2 and k.account_id = r.account_id and k.revoked_at is null",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(uuids(closed.keys()))
    .bind(closed.values().map(|at| moment(*at)).collect::<Vec<_>>())
    .execute(&mut **tx)
    .await?;
    Ok(())
}
