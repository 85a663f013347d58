//! The tenant itself: one row.

use eventstore::TenantTx;
use formats::Timestamp;
use model::tenant::{Settings, TenantEvent};
use sqlx::{Row, postgres::PgRow};

use crate::{
    FlushError, ReadError,
    columns::{self, Columns, moment, moment_or_null, number, small},
};

/// A tenant and its settings.
#[derive(Debug, Clone, PartialEq)]
pub struct TenantView {
    /// Its name in addresses.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// Its settings, as a whole.
    pub settings: Settings,
    /// Whether an operator stopped its doors.
    pub suspended: bool,
    /// When it will be deleted.
    pub purge_at: Option<Timestamp>,
    /// The epoch of its log, from 1 (`docs/formats.md § 8`).
    pub epoch: u32,
    /// The version of its key set, from 1.
    pub key_set_version: u64,
    /// When any of this changed last.
    pub updated_at: Timestamp,
}

impl TenantView {
    /// Whether its doors refuse: suspended, or about to be deleted.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.suspended || self.purge_at.is_some()
    }
}

/// The tenant of the transaction; none before its first event was projected.
///
/// # Errors
/// [`ReadError`]
pub async fn tenant(tx: &mut TenantTx) -> Result<Option<TenantView>, ReadError> {
    let row = sqlx::query(
        "select slug, name, settings, suspended, purge_at, epoch, key_set_version, updated_at
         from directory_tenant where tenant_id = $1 and build = live_build('directory')",
    )
    .bind(columns::tenant(tx))
    .fetch_optional(&mut **tx)
    .await?;
    row.as_ref().map(view).transpose()
}

fn view(row: &PgRow) -> Result<TenantView, ReadError> {
    Ok(TenantView {
        slug: row.try_get("slug")?,
        name: row.try_get("name")?,
        settings: row.document("settings")?,
        suspended: row.try_get("suspended")?,
        purge_at: row.at_or_null("purge_at")?,
        epoch: row.small_count("epoch")?,
        key_set_version: row.count("key_set_version")?,
        updated_at: row.at("updated_at")?,
    })
}

pub(super) async fn flush(
    tx: &mut TenantTx,
    build: i32,
    events: Vec<(TenantEvent, Timestamp)>,
) -> Result<(), FlushError> {
    if events.is_empty() {
        return Ok(());
    }
    let stored = sqlx::query(
        "select slug, name, settings, suspended, purge_at, epoch, key_set_version, updated_at
         from directory_tenant where tenant_id = $1 and build = $2",
    )
    .bind(columns::tenant(tx))
    .bind(build)
    .fetch_optional(&mut **tx)
    .await?;
    let mut row = stored.as_ref().map(view).transpose()?;
    for (event, at) in events {
        apply(&mut row, event, at);
    }
    let Some(row) = row else { return Ok(()) };
    sqlx::query(
        "insert into directory_tenant (tenant_id, build, slug, name, settings, suspended, purge_at, epoch,
           key_set_version, updated_at)
         values ($1, $2, $3, $4, $5::text::json, $6, $7, $8, $9, $10)
         on conflict (tenant_id, build) do update set
           slug = excluded.slug, name = excluded.name, settings = excluded.settings, suspended = excluded.suspended,
           purge_at = excluded.purge_at, epoch = excluded.epoch, key_set_version = excluded.key_set_version,
           updated_at = excluded.updated_at",
    )
    .bind(columns::tenant(tx))
    .bind(build)
    .bind(&row.slug)
    .bind(columns::without_nul(&row.name))
    .bind(serde_json::to_string(&row.settings)?)
    .bind(row.suspended)
    .bind(moment_or_null(row.purge_at))
    .bind(small(row.epoch))
    .bind(number(row.key_set_version))
    .bind(moment(row.updated_at))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn apply(row: &mut Option<TenantView>, event: TenantEvent, at: Timestamp) {
    if let TenantEvent::TenantCreated(e) = event {
        *row = Some(TenantView {
            slug: e.slug,
            name: e.name,
            settings: *e.settings,
            suspended: false,
            purge_at: None,
            epoch: 1,
            key_set_version: 1,
            updated_at: at,
        });
        return;
    }
    let Some(row) = row else { return };
    row.updated_at = at;
    match event {
        TenantEvent::TenantCreated(_) => {}
        TenantEvent::TenantSuspended(_) => row.suspended = true,
        TenantEvent::TenantResumed(_) => row.suspended = false,
        TenantEvent::TenantDeletionRequested(e) => row.purge_at = Some(e.purge_at),
        TenantEvent::TenantDeletionCancelled(_) => row.purge_at = None,
        TenantEvent::SettingsChanged(e) => row.settings = *e.settings,
        TenantEvent::KeySetChanged(e) => row.key_set_version = e.version,
        TenantEvent::LogRestored(e) => row.epoch = e.epoch,
        TenantEvent::MailResent(_) => {}
    }
}
