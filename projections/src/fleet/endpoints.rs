//! Endpoints.

use std::{collections::BTreeMap, time::Duration};

use eventstore::TenantTx;
use formats::{DeploymentGroupId, EndpointId, RegistrationTokenId, Timestamp};
use model::endpoint::{EndpointEvent, Machine};
use policy_engine::Os;
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use super::{heartbeat::Plugin, reducer::EndpointChange};
use crate::{
    FlushError, Page, Paged, ReadError,
    columns::{
        Columns, column, folded, moment, moment_or_null, number, search_words, small, tenant, text_list, uuids,
        without_nul, words, written,
    },
    touched::Touched,
};

/// An endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointView {
    /// Its id.
    pub id: EndpointId,
    /// Its deployment group.
    pub group: DeploymentGroupId,
    /// The token it registered with.
    pub token: RegistrationTokenId,
    /// The machine as its agent described it, with the operating system's version from its last inventory.
    pub machine: Machine,
    /// The agent's Ed25519 public key, base64url.
    pub public_key: String,
    /// When it registered.
    pub registered_at: Timestamp,
    /// The endpoint that had this machine id before.
    pub replaces: Option<EndpointId>,
    /// The endpoint that has this machine id now.
    pub replaced_by: Option<EndpointId>,
    /// What its group offers: epoch and version.
    pub offered: Option<SnapshotState>,
    /// What its agent enforces, as it acknowledged.
    pub applied: Option<SnapshotState>,
    /// When its agent began to enforce that.
    pub applied_at: Option<Timestamp>,
    /// When it was removed.
    pub removed_at: Option<Timestamp>,
    /// Why.
    pub removed_reason: Option<String>,
    /// What its agent said of itself the last time; none where it never did.
    pub status: Option<Liveness>,
}

/// An epoch and a version of a snapshot, in the order in which agents compare them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotState {
    /// The epoch of the log, from 1.
    pub epoch: u32,
    /// The position that made the body what it is.
    pub version: u64,
}

/// What an agent said of itself the last time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Liveness {
    /// When, by the server's clock.
    pub last_seen_at: Timestamp,
    /// The agent's version.
    pub agent_version: Option<String>,
    /// The version of the snapshot it enforces, as it says.
    pub snapshot_version: Option<u64>,
    /// Records that wait on the endpoint.
    pub queue_length: Option<u32>,
    /// The endpoint's clock minus the server's, in milliseconds.
    pub clock_skew_ms: Option<i64>,
    /// What its plugins do.
    pub plugins: Vec<Plugin>,
}

/// An endpoint's state in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointState {
    /// Registered, and nothing since.
    NeverSeen,
    /// Seen lately, and enforcing what its group offers.
    Online,
    /// Not seen lately.
    Offline,
    /// Seen lately, but enforcing an older snapshot.
    Outdated,
    /// Removed.
    Removed,
}

impl EndpointState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::NeverSeen => "never_seen",
            Self::Online => "online",
            Self::Offline => "offline",
            Self::Outdated => "outdated",
            Self::Removed => "removed",
        }
    }
}

impl EndpointView {
    /// Its state, where an agent that was not seen since `seen_after` counts as offline.
    #[must_use]
    pub fn state(&self, seen_after: Timestamp) -> EndpointState {
        match &self.status {
            _ if self.removed_at.is_some() => EndpointState::Removed,
            None => EndpointState::NeverSeen,
            Some(status) if status.last_seen_at < seen_after => EndpointState::Offline,
            Some(_) if self.is_behind() => EndpointState::Outdated,
            Some(_) => EndpointState::Online,
        }
    }

    /// Whether its agent enforces something older than what its group offers.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.offered
            .is_some_and(|offered| self.applied.is_none_or(|applied| applied < offered))
    }
}

/// Which endpoints are listed. Empty lists mean any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointFilter {
    /// In this group.
    pub group: Option<DeploymentGroupId>,
    /// In one of these states, judged as [`EndpointView::state`] does.
    pub states: Vec<EndpointState>,
    /// From when on an agent counts as seen lately.
    pub seen_after: Timestamp,
    /// With one of these operating systems.
    pub os: Vec<Os>,
    /// Only those that don't enforce what their group offers.
    pub behind: bool,
    /// Each of these words begins a word of the machine's name.
    pub search: Option<String>,
    /// Removed ones too. Without it they are listed only where `states` names them.
    pub removed: bool,
}

impl EndpointFilter {
    /// The usual bound of `seen_after`: a few missed heartbeats.
    pub const LATELY: Duration = Duration::from_secs(5 * 60);
}

fn view(row: &PgRow) -> Result<EndpointView, ReadError> {
    let snapshot = |epoch: &str, version: &str| {
        Ok::<_, ReadError>(match (row.small_or_null(epoch)?, row.count_or_null(version)?) {
            (Some(epoch), Some(version)) => Some(SnapshotState { epoch, version }),
            _ => None,
        })
    };
    Ok(EndpointView {
        id: row.id("endpoint_id")?,
        group: row.id("group_id")?,
        token: row.id("token_id")?,
        machine: Machine {
            name: row.try_get("name")?,
            os: row.word("os")?,
            os_version: row.try_get("os_version")?,
            machine_id: row.try_get("machine_id")?,
        },
        public_key: row.try_get("public_key")?,
        registered_at: row.at("registered_at")?,
        replaces: row.id_or_null("replaces")?,
        replaced_by: row.id_or_null("replaced_by")?,
        offered: snapshot("offered_epoch", "offered_version")?,
        applied: snapshot("applied_epoch", "applied_version")?,
        applied_at: row.at_or_null("applied_at")?,
        removed_at: row.at_or_null("removed_at")?,
        removed_reason: row.try_get("removed_reason")?,
        status: match row.at_or_null("last_seen_at")? {
            None => None,
            Some(last_seen_at) => Some(Liveness {
                last_seen_at,
                agent_version: row.try_get("agent_version")?,
                snapshot_version: row.count_or_null("snapshot_version")?,
                queue_length: row.small_or_null("queue_length")?,
                clock_skew_ms: row.try_get("clock_skew_ms")?,
                plugins: row.document("plugins")?,
            }),
        },
    })
}

/// One endpoint, removed or not.
///
/// # Errors
/// [`ReadError`]
pub async fn endpoint(tx: &mut TenantTx, endpoint: EndpointId) -> Result<Option<EndpointView>, ReadError> {
    Ok(endpoints_by_id(tx, &[endpoint]).await?.pop())
}

/// Those of the endpoints that exist, removed or not, in no particular order.
///
/// # Errors
/// [`ReadError`]
pub async fn endpoints_by_id(tx: &mut TenantTx, endpoints: &[EndpointId]) -> Result<Vec<EndpointView>, ReadError> {
    let rows = sqlx::query(
        "select e.endpoint_id, e.group_id, e.token_id, e.name, e.os,
           coalesce(nullif(v.os_version, ''), e.os_version) as os_version, e.machine_id, e.public_key, e.registered_at,
           e.replaces, e.replaced_by, e.applied_epoch, e.applied_version, e.applied_at, e.removed_at,
           e.removed_reason, t.epoch as offered_epoch, g.version as offered_version, s.last_seen_at, s.agent_version,
           s.snapshot_version, s.queue_length, s.clock_skew_ms, s.plugins
         from fleet_endpoint e
           left join snapshot_group g on g.tenant_id = e.tenant_id and g.build = live_build('policy_snapshot')
             and g.group_id = e.group_id
           left join snapshot_tenant t on t.tenant_id = g.tenant_id and t.build = g.build
           left join endpoint_status s on s.tenant_id = e.tenant_id and s.endpoint_id = e.endpoint_id
           left join endpoint_inventory v on v.tenant_id = e.tenant_id and v.endpoint_id = e.endpoint_id
         where e.tenant_id = $1 and e.build = live_build('fleet') and e.endpoint_id = any($2)",
    )
    .bind(tenant(tx))
    .bind(uuids(endpoints))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(view).collect()
}

/// The endpoint that has this machine id now; one that was removed only where no other has it.
///
/// # Errors
/// [`ReadError`]
pub async fn by_machine_id(tx: &mut TenantTx, machine_id: &str) -> Result<Option<EndpointId>, ReadError> {
    let row = sqlx::query(
        "select endpoint_id from fleet_endpoint
         where tenant_id = $1 and build = live_build('fleet') and machine_id = $2
         order by removed_at is null desc, registered_at desc, endpoint_id desc limit 1",
    )
    .bind(tenant(tx))
    .bind(without_nul(machine_id.trim()))
    .fetch_optional(&mut **tx)
    .await?;
    row.map(|row| row.id("endpoint_id")).transpose()
}

/// The public key (base64url) under which an endpoint's assertions are judged; none where it is unknown or removed.
///
/// # Errors
/// [`ReadError`]
pub async fn public_key(tx: &mut TenantTx, endpoint: EndpointId) -> Result<Option<String>, ReadError> {
    let row = sqlx::query(
        "select public_key from fleet_endpoint
         where tenant_id = $1 and build = live_build('fleet') and endpoint_id = $2 and removed_at is null",
    )
    .bind(tenant(tx))
    .bind(endpoint.uuid())
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|row| row.try_get("public_key")).transpose()?)
}

/// How many endpoints that are not removed each group has. Groups without any are left out.
///
/// # Errors
/// [`ReadError`]
pub async fn counts_by_group(tx: &mut TenantTx) -> Result<BTreeMap<DeploymentGroupId, u64>, ReadError> {
    let rows = sqlx::query(
        "select group_id, count(*) as count from fleet_endpoint
         where tenant_id = $1 and build = live_build('fleet') and removed_at is null group by group_id",
    )
    .bind(tenant(tx))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter()
        .map(|row| Ok((row.id("group_id")?, row.count("count")?)))
        .collect()
}

/// How many endpoints that are not removed were seen at or after this moment.
///
/// # Errors
/// [`ReadError`]
pub async fn online(tx: &mut TenantTx, seen_after: Timestamp) -> Result<u64, ReadError> {
    let row = sqlx::query(
        "select count(*) as count from fleet_endpoint e
           join endpoint_status s on s.tenant_id = e.tenant_id and s.endpoint_id = e.endpoint_id
         where e.tenant_id = $1 and e.build = live_build('fleet') and e.removed_at is null and s.last_seen_at >= $2",
    )
    .bind(tenant(tx))
    .bind(moment(seen_after))
    .fetch_one(&mut **tx)
    .await?;
    row.count("count")
}

/// A page of endpoints, by the machine's name.
///
/// # Errors
/// [`ReadError`]
pub async fn endpoints(
    tx: &mut TenantTx,
    filter: &EndpointFilter,
    page: &Page,
) -> Result<Paged<EndpointView>, ReadError> {
    let from: Option<(String, Uuid)> = page.key()?;
    let (from_name, from_id) = from.unzip();
    let rows = sqlx::query(
        "with e as (
           select e.endpoint_id, e.group_id, e.token_id, e.name, e.name_folded, e.words, e.os,
             coalesce(nullif(v.os_version, ''), e.os_version) as os_version, e.machine_id, e.public_key,
             e.registered_at, e.replaces, e.replaced_by, e.applied_epoch, e.applied_version, e.applied_at, e.removed_at, e.removed_reason, t.epoch as offered_epoch, g.version as offered_version,
             s.last_seen_at, s.agent_version, s.snapshot_version, s.queue_length, s.clock_skew_ms, s.plugins,
             g.version is not null and (e.applied_version is null
               or (e.applied_epoch, e.applied_version) < (t.epoch, g.version)) as behind
           from fleet_endpoint e
             left join snapshot_group g on g.tenant_id = e.tenant_id and g.build = live_build('policy_snapshot')
               and g.group_id = e.group_id
             left join snapshot_tenant t on t.tenant_id = g.tenant_id and t.build = g.build
             left join endpoint_status s on s.tenant_id = e.tenant_id and s.endpoint_id = e.endpoint_id
             left join endpoint_inventory v on v.tenant_id = e.tenant_id and v.endpoint_id = e.endpoint_id
           where e.tenant_id = $1 and e.build = live_build('fleet')
             and ($2::uuid is null or e.group_id = $2)
             and (cardinality($3::text[]) = 0 or e.os = any($3))
             and ($4::text is null or case when $6 then (e.name_folded, e.endpoint_id) < ($4, $5::uuid)
                  else (e.name_folded, e.endpoint_id) > ($4, $5) end)
         )
         select e.* from e
         where (cardinality($7::text[]) = 0 and ($8 or removed_at is null)
             or case
               when removed_at is not null then 'removed'
               when last_seen_at is null then 'never_seen'
               when last_seen_at < $9 then 'offline'
               when behind then 'outdated'
               else 'online'
             end = any($7))
           and (not $10 or behind)
           and (select coalesce(bool_and(exists (select from unnest(words) w where starts_with(w, q))), true)
                from unnest($11::text[]) q)
         order by case when $6 then name_folded end desc, case when $6 then endpoint_id end desc, name_folded,
           endpoint_id
         limit $12",
    )
    .bind(tenant(tx))
    .bind(filter.group.map(DeploymentGroupId::uuid))
    .bind(written(&filter.os)?)
    .bind(from_name)
    .bind(from_id)
    .bind(page.backward)
    .bind(filter.states.iter().map(|state| state.as_str()).collect::<Vec<_>>())
    .bind(filter.removed)
    .bind(moment(filter.seen_after))
    .bind(filter.behind)
    .bind(search_words(filter.search.as_deref()))
    .bind(page.fetch())
    .fetch_all(&mut **tx)
    .await?;
    let found = rows.iter().map(view).collect::<Result<_, _>>()?;
    page.cut(found, |e| (folded(&e.machine.name), e.id.uuid()))
}

fn apply(row: &mut Option<EndpointView>, change: EndpointChange, at: Timestamp) {
    match change {
        EndpointChange::Own(EndpointEvent::EndpointRegistered(e)) => {
            *row = Some(EndpointView {
                id: e.endpoint,
                group: e.group,
                token: e.token,
                machine: e.machine,
                public_key: e.public_key,
                registered_at: at,
                replaces: e.replaces,
                replaced_by: None,
                offered: None,
                applied: None,
                applied_at: None,
                removed_at: None,
                removed_reason: None,
                status: None,
            });
        }
        EndpointChange::Own(EndpointEvent::EndpointMoved(e)) => {
            if let Some(row) = row {
                row.group = e.group;
            }
        }
        EndpointChange::Own(EndpointEvent::SnapshotApplied(e)) => {
            if let Some(row) = row {
                row.applied = Some(SnapshotState {
                    epoch: e.epoch,
                    version: e.version,
                });
                row.applied_at = Some(e.applied_at);
            }
        }
        EndpointChange::Own(EndpointEvent::EndpointRemoved(e)) => {
            if let Some(row) = row {
                row.removed_at = Some(at);
                row.removed_reason = Some(e.reason);
            }
        }
        EndpointChange::ReplacedBy(by) => {
            if let Some(row) = row {
                row.replaced_by = Some(by);
            }
        }
    }
}

pub(super) async fn flush(
    tx: &mut TenantTx,
    build: i32,
    touched: Touched<EndpointId, (EndpointChange, Timestamp)>,
) -> Result<(), FlushError> {
    if touched.is_empty() {
        return Ok(());
    }
    let stored = sqlx::query(
        "select endpoint_id, group_id, token_id, name, os, os_version, machine_id, public_key, registered_at, replaces,
           replaced_by, applied_epoch, applied_version, applied_at, removed_at, removed_reason,
           null::int as offered_epoch, null::bigint as offered_version, null::timestamptz as last_seen_at
         from fleet_endpoint where tenant_id = $1 and build = $2 and endpoint_id = any($3)",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(uuids(touched.keys()))
    .fetch_all(&mut **tx)
    .await?;
    let before = stored.iter().map(view).collect::<Result<Vec<_>, _>>()?;
    let rows = touched
        .settle(before, |row| row.id, |row, (change, at)| apply(row, change, at))
        .rows;
    sqlx::query(
        "insert into fleet_endpoint (tenant_id, build, endpoint_id, group_id, token_id, name, name_folded, words, os,
           os_version, machine_id, public_key, registered_at, replaces, replaced_by, applied_epoch, applied_version,
           applied_at, removed_at, removed_reason)
         select $1, $2, r.endpoint_id, r.group_id, r.token_id, r.name, r.name_folded, r.words::text[], r.os,
           r.os_version, r.machine_id, r.public_key, r.registered_at, r.replaces, r.replaced_by, r.applied_epoch,
           r.applied_version, r.applied_at, r.removed_at, r.removed_reason
         from unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
             $11::text[], $12::text[], $13::timestamptz[], $14::uuid[], $15::uuid[], $16::int[], $17::bigint[],
             $18::timestamptz[], $19::timestamptz[], $20::text[])
           as r (endpoint_id, group_id, token_id, name, name_folded, words, os, os_version, machine_id, public_key,
             registered_at, replaces, replaced_by, applied_epoch, applied_version, applied_at, removed_at,
             removed_reason)
         on conflict (tenant_id, build, endpoint_id) do update set
           group_id = excluded.group_id, token_id = excluded.token_id, name = excluded.name,
           name_folded = excluded.name_folded, words = excluded.words, os = excluded.os,
           os_version = excluded.os_version, machine_id = excluded.machine_id, public_key = excluded.public_key,
           registered_at = excluded.registered_at, replaces = excluded.replaces, replaced_by = excluded.replaced_by,
           applied_epoch = excluded.applied_epoch, applied_version = excluded.applied_version,
           applied_at = excluded.applied_at, removed_at = excluded.removed_at,
           removed_reason = excluded.removed_reason",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(column(&rows, |r| r.id.uuid()))
    .bind(column(&rows, |r| r.group.uuid()))
    .bind(column(&rows, |r| r.token.uuid()))
    .bind(column(&rows, |r| without_nul(&r.machine.name)))
    .bind(column(&rows, |r| folded(&r.machine.name)))
    .bind(column(&rows, |r| text_list(words(&r.machine.name))))
    .bind(column(&rows, |r| r.machine.os.as_str()))
    .bind(column(&rows, |r| without_nul(&r.machine.os_version)))
    .bind(column(&rows, |r| without_nul(&r.machine.machine_id)))
    .bind(column(&rows, |r| without_nul(&r.public_key)))
    .bind(column(&rows, |r| moment(r.registered_at)))
    .bind(column(&rows, |r| r.replaces.map(EndpointId::uuid)))
    .bind(column(&rows, |r| r.replaced_by.map(EndpointId::uuid)))
    .bind(column(&rows, |r| r.applied.map(|applied| small(applied.epoch))))
    .bind(column(&rows, |r| r.applied.map(|applied| number(applied.version))))
    .bind(column(&rows, |r| moment_or_null(r.applied_at)))
    .bind(column(&rows, |r| moment_or_null(r.removed_at)))
    .bind(column(&rows, |r| r.removed_reason.as_deref().map(without_nul)))
    .execute(&mut **tx)
    .await?;
    Ok(())
}
