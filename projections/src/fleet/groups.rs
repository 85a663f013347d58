//! Deployment groups.

use eventstore::TenantTx;
use formats::{DeploymentGroupId, Timestamp};
use model::deployment::DeploymentGroupEvent;
use sqlx::{Row, postgres::PgRow};

use crate::{
    FlushError, ReadError,
    columns::{Columns, column, folded, moment, moment_or_null, tenant, uuids, without_nul},
    touched::Touched,
};

/// A deployment group and how far its endpoints are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupView {
    /// Its id.
    pub id: DeploymentGroupId,
    /// Its name, unique in the tenant ignoring case.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
    /// Endpoints that are not removed.
    pub endpoints: u64,
    /// Those of them that enforce the snapshot which the group offers.
    pub up_to_date: u64,
    /// The version of the snapshot that the group offers.
    pub snapshot_version: Option<u64>,
}

fn view(row: &PgRow) -> Result<GroupView, ReadError> {
    Ok(GroupView {
        id: row.id("group_id")?,
        name: row.try_get("name")?,
        created_at: row.at("created_at")?,
        deleted_at: row.at_or_null("deleted_at")?,
        endpoints: row.count("endpoints")?,
        up_to_date: row.count("up_to_date")?,
        snapshot_version: row.count_or_null("version")?,
    })
}

/// All groups that are not deleted, by name.
///
/// # Errors
/// [`ReadError`]
pub async fn groups(tx: &mut TenantTx) -> Result<Vec<GroupView>, ReadError> {
    let rows = sqlx::query(
        "select g.group_id, g.name, g.created_at, g.deleted_at, s.version,
           count(e.endpoint_id) as endpoints,
           count(e.endpoint_id) filter (where (e.applied_epoch, e.applied_version) = (t.epoch, s.version)) as up_to_date
         from fleet_group g
           left join fleet_endpoint e on e.tenant_id = g.tenant_id and e.build = g.build and e.group_id = g.group_id
             and e.removed_at is null
           left join snapshot_group s on s.tenant_id = g.tenant_id and s.build = live_build('policy_snapshot')
             and s.group_id = g.group_id
           left join snapshot_tenant t on t.tenant_id = s.tenant_id and t.build = s.build
         where g.tenant_id = $1 and g.build = live_build('fleet') and g.deleted_at is null
         group by g.group_id, g.name, g.name_folded, g.created_at, g.deleted_at, s.version
         order by g.name_folded, g.group_id",
    )
    .bind(tenant(tx))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(view).collect()
}

/// One group, deleted or not.
///
/// # Errors
/// [`ReadError`]
pub async fn group(tx: &mut TenantTx, group: DeploymentGroupId) -> Result<Option<GroupView>, ReadError> {
    let row = sqlx::query(
        "select g.group_id, g.name, g.created_at, g.deleted_at, s.version,
           count(e.endpoint_id) as endpoints,
           count(e.endpoint_id) filter (where (e.applied_epoch, e.applied_version) = (t.epoch, s.version)) as up_to_date
         from fleet_group g
           left join fleet_endpoint e on e.tenant_id = g.tenant_id and e.build = g.build and e.group_id = g.group_id
             and e.removed_at is null
           left join snapshot_group s on s.tenant_id = g.tenant_id and s.build = live_build('policy_snapshot')
             and s.group_id = g.group_id
           left join snapshot_tenant t on t.tenant_id = s.tenant_id and t.build = s.build
         where g.tenant_id = $1 and g.build = live_build('fleet') and g.group_id = $2
         group by g.group_id, g.name, g.created_at, g.deleted_at, s.version",
    )
    .bind(tenant(tx))
    .bind(group.uuid())
    .fetch_optional(&mut **tx)
    .await?;
    row.as_ref().map(view).transpose()
}

/// The group of this name, ignoring case.
///
/// # Errors
/// [`ReadError`]
pub async fn group_by_name(tx: &mut TenantTx, name: &str) -> Result<Option<DeploymentGroupId>, ReadError> {
    let row = sqlx::query(
        "select group_id from fleet_group
         where tenant_id = $1 and build = live_build('fleet') and deleted_at is null and name_folded = $2",
    )
    .bind(tenant(tx))
    .bind(folded(name.trim()))
    .fetch_optional(&mut **tx)
    .await?;
    row.map(|row| row.id("group_id")).transpose()
}

#[derive(Debug)]
struct GroupRow {
    id: DeploymentGroupId,
    name: String,
    created_at: Timestamp,
    deleted_at: Option<Timestamp>,
}

fn apply(row: &mut Option<GroupRow>, event: DeploymentGroupEvent, at: Timestamp) {
    match event {
        DeploymentGroupEvent::DeploymentGroupCreated(e) => {
            *row = Some(GroupRow {
                id: e.group,
                name: e.name,
                created_at: at,
                deleted_at: None,
            });
        }
        DeploymentGroupEvent::DeploymentGroupRenamed(e) => {
            if let Some(row) = row {
                row.name = e.name;
            }
        }
        DeploymentGroupEvent::DeploymentGroupDeleted(_) => {
            if let Some(row) = row {
                row.deleted_at = Some(at);
            }
        }
        // Ignored: of tokens and snapshots.
        DeploymentGroupEvent::RegistrationTokenIssued(_)
        | DeploymentGroupEvent::RegistrationTokenUsed(_)
        | DeploymentGroupEvent::RegistrationTokenRevoked(_)
        | DeploymentGroupEvent::SnapshotConfirmed(_) => {}
    }
}

pub(super) async fn flush(
    tx: &mut TenantTx,
    build: i32,
    touched: Touched<DeploymentGroupId, (DeploymentGroupEvent, Timestamp)>,
) -> Result<(), FlushError> {
    if touched.is_empty() {
        return Ok(());
    }
    let stored = sqlx::query(
        "select group_id, name, created_at, deleted_at from fleet_group
         where tenant_id = $1 and build = $2 and group_id = any($3)",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(uuids(touched.keys()))
    .fetch_all(&mut **tx)
    .await?;
    let before = stored
        .iter()
        .map(|row| {
            Ok(GroupRow {
                id: row.id("group_id")?,
                name: row.try_get("name")?,
                created_at: row.at("created_at")?,
                deleted_at: row.at_or_null("deleted_at")?,
            })
        })
        .collect::<Result<Vec<_>, ReadError>>()?;
    let rows = touched
        .settle(before, |row| row.id, |row, (event, at)| apply(row, event, at))
        .rows;
    sqlx::query(
        "insert into fleet_group (tenant_id, build, group_id, name, name_folded, created_at, deleted_at)
         select $1, $2, r.*
         from unnest($3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[]) as r
         on conflict (tenant_id, build, group_id) do update set
           name = excluded.name, name_folded = excluded.name_folded, created_at = excluded.created_at,
           deleted_at = excluded.deleted_at",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(column(&rows, |r| r.id.uuid()))
    .bind(column(&rows, |r| without_nul(&r.name)))
    .bind(column(&rows, |r| folded(&r.name)))
    .bind(column(&rows, |r| moment(r.created_at)))
    .bind(column(&rows, |r| moment_or_null(r.deleted_at)))
    .execute(&mut **tx)
    .await?;
    Ok(())
}
