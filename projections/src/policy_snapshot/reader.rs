//! What can be asked about snapshots.

use std::time::Duration;

use eventstore::TenantTx;
use formats::{BodyHash, DeploymentGroupId, Timestamp};
use policy_engine::Snapshot;
use sqlx::{Row, postgres::PgRow};

use super::store::hash;
use crate::{
    ReadError,
    columns::{Columns, tenant},
};

/// What a group's agents are given; the statement about it is signed from this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Whose agents.
    pub group: DeploymentGroupId,
    /// The epoch of the log, from 1.
    pub epoch: u32,
    /// The last position that changed the body.
    pub version: u64,
    /// The hash of the body.
    pub sha256: BodyHash,
    /// How many policies it has.
    pub policies: u32,
    /// When that position was recorded.
    pub changed_at: Timestamp,
}

/// What waits for a confirmation because it drops too much at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldSnapshot {
    /// Whose agents.
    pub group: DeploymentGroupId,
    /// The version to confirm.
    pub version: u64,
    /// The hash of the body.
    pub sha256: BodyHash,
    /// How many policies it has.
    pub policies: u32,
    /// When the last change to it was recorded.
    pub at: Timestamp,
    /// The version that is served meanwhile.
    pub served_version: u64,
    /// How many policies that has.
    pub served_policies: u32,
}

/// A body in the forms in which it is sent. Sent with another encoding, it is made from `plain`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// Its hash, which is its name.
    pub sha256: BodyHash,
    /// Canonical JSON.
    pub plain: Vec<u8>,
    /// The same, compressed.
    pub zstd: Vec<u8>,
}

impl Body {
    /// What the engine evaluates.
    ///
    /// # Errors
    /// [`ReadError::Unreadable`] where a newer program wrote it in another shape.
    pub fn snapshot(&self) -> Result<Snapshot, ReadError> {
        Ok(serde_json::from_slice(&self.plain)?)
    }
}

fn view(row: &PgRow) -> Result<Offered, ReadError> {
    Ok(Offered {
        group: row.id("group_id")?,
        epoch: row.small_count("epoch")?,
        version: row.count("version")?,
        sha256: hash(row, "sha256")?,
        policies: row.small_count("policies")?,
        changed_at: row.at("changed_at")?,
    })
}

/// What a group's agents are given; none where there is no such group.
///
/// # Errors
/// [`ReadError`]
pub async fn offered_to(tx: &mut TenantTx, group: DeploymentGroupId) -> Result<Option<Offered>, ReadError> {
    let row = sqlx::query(
        "select g.group_id, coalesce(t.epoch, 1) as epoch, g.version, g.sha256, g.policies, g.changed_at
         from snapshot_group g left join snapshot_tenant t on t.tenant_id = g.tenant_id and t.build = g.build
         where g.tenant_id = $1 and g.build = live_build('policy_snapshot') and g.group_id = $2",
    )
    .bind(tenant(tx))
    .bind(group.uuid())
    .fetch_optional(&mut **tx)
    .await?;
    row.as_ref().map(view).transpose()
}

/// What the agents of each group are given.
///
/// # Errors
/// [`ReadError`]
pub async fn offered(tx: &mut TenantTx) -> Result<Vec<Offered>, ReadError> {
    let rows = sqlx::query(
        "select g.group_id, coalesce(t.epoch, 1) as epoch, g.version, g.sha256, g.policies, g.changed_at
         from snapshot_group g left join snapshot_tenant t on t.tenant_id = g.tenant_id and t.build = g.build
         where g.tenant_id = $1 and g.build = live_build('policy_snapshot') order by g.group_id",
    )
    .bind(tenant(tx))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(view).collect()
}

/// The body that a group's agents are given.
///
/// # Errors
/// [`ReadError`]
pub async fn body_of(tx: &mut TenantTx, group: DeploymentGroupId) -> Result<Option<Body>, ReadError> {
    let row = sqlx::query(
        "select b.sha256, b.plain, b.zstd
         from snapshot_group g join snapshot_body b on b.tenant_id = g.tenant_id and b.sha256 = g.sha256
         where g.tenant_id = $1 and g.build = live_build('policy_snapshot') and g.group_id = $2",
    )
    .bind(tenant(tx))
    .bind(group.uuid())
    .fetch_optional(&mut **tx)
    .await?;
    row.as_ref().map(body_view).transpose()
}

/// A body by its hash, as long as it is kept.
///
/// # Errors
/// [`ReadError`]
pub async fn body(tx: &mut TenantTx, sha256: BodyHash) -> Result<Option<Body>, ReadError> {
    let row = sqlx::query("select sha256, plain, zstd from snapshot_body where tenant_id = $1 and sha256 = $2")
        .bind(tenant(tx))
        .bind(&sha256.as_bytes()[..])
        .fetch_optional(&mut **tx)
        .await?;
    row.as_ref().map(body_view).transpose()
}

fn body_view(row: &PgRow) -> Result<Body, ReadError> {
    Ok(Body {
        sha256: hash(row, "sha256")?,
        plain: row.try_get("plain")?,
        zstd: row.try_get("zstd")?,
    })
}

/// The groups whose newest version waits for a confirmation.
///
/// # Errors
/// [`ReadError`]
pub async fn held(tx: &mut TenantTx) -> Result<Vec<HeldSnapshot>, ReadError> {
    let rows = sqlx::query(
        "select group_id, version, policies, held_version, held_sha256, held_policies, held_at from snapshot_group
         where tenant_id = $1 and build = live_build('policy_snapshot') and held_version is not null order by group_id",
    )
    .bind(tenant(tx))
    .fetch_all(&mut **tx)
    .await?;
    let read = rows.iter().map(|row| {
        Ok(HeldSnapshot {
            group: row.id("group_id")?,
            version: row.count("held_version")?,
            sha256: hash(row, "held_sha256")?,
            policies: row.small_count("held_policies")?,
            at: row.at("held_at")?,
            served_version: row.count("version")?,
            served_policies: row.small_count("policies")?,
        })
    });
    read.collect()
}

/// Drops bodies that neither a group, nor a request, nor a recorded action refers to and that were stored longer ago than `age`, by the
/// database's clock: agents that were offline may still send records that cite a younger one. Returns how many.
///
/// # Errors
/// Where the database refuses, or is away.
pub async fn forget_bodies(tx: &mut TenantTx, age: Duration) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        "delete from snapshot_body b
         where b.tenant_id = $1 and b.stored_at < clock_timestamp() - make_interval(secs => $2)
           and not exists (select from snapshot_group g
             where g.tenant_id = b.tenant_id and b.sha256 in (g.sha256, g.held_sha256))
           and not exists (select from request_queue r
             where r.tenant_id = b.tenant_id and r.build = live_build('request_queue')
               and r.snapshot_sha256 = encode(b.sha256, 'hex'))
           and not exists (select from activity a
             where a.tenant_id = b.tenant_id and a.build = live_build('activity') and a.snapshot_sha256 = encode(b.sha256, 'hex'))",
    )
    .bind(tenant(tx))
    .bind(age.as_secs_f64())
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected())
}
