//! The cursors: how far each projection of each tenant has come, in which build, and what stopped it.
//!
//! A tenant has at most one live build of a projection, which readers see, and now and then one that is building. Parked
//! is not a state of its own: a live build whose cursor stopped goes on being read.

use eventstore::TenantTx;
use formats::{TenantId, Timestamp};
use sqlx::{PgPool, Row, postgres::PgRow};

use crate::{
    Build, Projection, ReadError,
    columns::{Columns, moment, number, small},
};

/// The names and versions that this process knows.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) names: Vec<&'static str>,
    pub(crate) versions: Vec<i32>,
}

impl Known {
    pub(crate) fn of<'a>(projections: impl Iterator<Item = &'a dyn Projection>) -> Self {
        let (names, versions) = projections.map(|p| (p.name(), small(p.version()))).unzip();
        Self { names, versions }
    }
}

/// A build of a tenant's projection and where its cursor stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) projection: String,
    pub(crate) build: Build,
    pub(crate) version: u32,
    /// The last event that the rows know of.
    pub(crate) position: u64,
    pub(crate) parked: bool,
}

fn checkpoint(row: &PgRow) -> Result<Checkpoint, ReadError> {
    Ok(Checkpoint {
        projection: row.try_get("projection")?,
        build: Build {
            number: row.try_get("build")?,
            live: row.try_get::<&str, _>("state")? == "live",
            effects_after: row.count("effects_after")?,
        },
        version: row.small_count("version")?,
        position: row.count("position")?,
        parked: row.try_get("parked")?,
    })
}

/// Where a cursor goes, and what stopped it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Move {
    pub(crate) projection: String,
    pub(crate) build: i32,
    pub(crate) position: u64,
    /// Why the next event could not be taken in.
    pub(crate) parked: Option<String>,
}

/// Locks the live cursors, or those of builds under way, that nobody else has locked and that are not parked. Also
/// returns whether there are builds beside the live ones, as far as is known: yes where nothing could be locked.
pub(crate) async fn lock_free(tx: &mut TenantTx, live: bool) -> Result<(Vec<Checkpoint>, bool), ReadError> {
    let rows = sqlx::query(
        "select projection, build, version, position, state, effects_after, false as parked,
           exists (select from projection_checkpoint s where s.tenant_id = $1 and s.state in ('building', 'retired'))
             as sides
         from projection_checkpoint where tenant_id = $1 and state = $2 and parked_at is null
         order by projection for update skip locked",
    )
    .bind(tx.tenant().uuid())
    .bind(if live { "live" } else { "building" })
    .fetch_all(&mut **tx)
    .await?;
    let sides = rows.first().map_or(Ok(true), |row| row.try_get("sides"))?;
    Ok((rows.iter().map(checkpoint).collect::<Result<_, _>>()?, sides))
}

/// Locks one build's cursor, unless somebody else has it or it is parked.
pub(crate) async fn lock_one(tx: &mut TenantTx, projection: &str, build: i32) -> Result<Option<Checkpoint>, ReadError> {
    let row = sqlx::query(
        "select projection, build, version, position, state, effects_after, false as parked
         from projection_checkpoint where tenant_id = $1 and projection = $2 and build = $3
           and state in ('live', 'building') and parked_at is null
         for update skip locked",
    )
    .bind(tx.tenant().uuid())
    .bind(projection)
    .bind(build)
    .fetch_optional(&mut **tx)
    .await?;
    row.as_ref().map(checkpoint).transpose()
}

/// Locks the live and the building cursors of a projection, parked or not, and waits for whoever has them.
pub(crate) async fn lock_both(tx: &mut TenantTx, projection: &str) -> Result<Vec<Checkpoint>, ReadError> {
    let rows = sqlx::query(
        "select projection, build, version, position, state, effects_after, parked_at is not null as parked
         from projection_checkpoint where tenant_id = $1 and projection = $2 and state in ('live', 'building')
         order by build for update",
    )
    .bind(tx.tenant().uuid())
    .bind(projection)
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(checkpoint).collect()
}

/// The position up to which a transaction sees the rows of a read model; 0 before its first batch.
///
/// # Errors
/// Where the database fails.
pub async fn shown(tx: &mut TenantTx, projection: &dyn Projection) -> Result<u64, ReadError> {
    let position: Option<i64> = sqlx::query_scalar(
        "select position from projection_checkpoint where tenant_id = $1 and projection = $2 and state = 'live'",
    )
    .bind(tx.tenant().uuid())
    .bind(projection.name())
    .fetch_optional(&mut **tx)
    .await?;
    Ok(position.and_then(|position| u64::try_from(position).ok()).unwrap_or(0))
}

/// Moves cursors, in the transaction that wrote the rows.
pub(crate) async fn advance(tx: &mut TenantTx, moves: &[Move], now: Timestamp) -> Result<(), ReadError> {
    sqlx::query(
        "update projection_checkpoint c set position = r.position, error = r.error,
           parked_at = case when r.error is not null then $6 end,
           parked_position = case when r.error is not null then r.position + 1 end,
           attempts = case when r.error is not null then c.attempts + 1 else 0 end
         from unnest($2::text[], $3::integer[], $4::bigint[], $5::text[]) as r (projection, build, position, error)
         where c.tenant_id = $1 and c.projection = r.projection and c.build = r.build",
    )
    .bind(tx.tenant().uuid())
    .bind(moves.iter().map(|m| m.projection.as_str()).collect::<Vec<_>>())
    .bind(moves.iter().map(|m| m.build).collect::<Vec<_>>())
    .bind(moves.iter().map(|m| number(m.position)).collect::<Vec<_>>())
    .bind(
        moves
            .iter()
            .map(|m| m.parked.as_deref().map(crate::columns::without_nul))
            .collect::<Vec<_>>(),
    )
    .bind(moment(now))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Gives a tenant the cursors it lacks, and begins builds where the rows were made by an older reducer. Returns whether
/// anything changed.
///
/// A projection that is new to a tenant whose log others have already read causes no effects of those old events.
pub(crate) async fn ensure(pool: &PgPool, known: &Known, tenant: TenantId) -> Result<bool, ReadError> {
    let made = sqlx::query(
        "insert into projection_checkpoint (tenant_id, projection, build, version, state, effects_after)
         select $1, r.projection, 1, r.version, 'live',
           (select coalesce(max(c.position), 0) from projection_checkpoint c where c.tenant_id = $1 and c.state = 'live')
         from unnest($2::text[], $3::integer[]) as r (projection, version)
         where exists (select from tenant_head h where h.tenant_id = $1)
           and not exists (
             select from projection_checkpoint c where c.tenant_id = $1 and c.projection = r.projection)
         on conflict do nothing",
    )
    .bind(tenant.uuid())
    .bind(&known.names)
    .bind(&known.versions)
    .execute(pool)
    .await?
    .rows_affected();
    Ok(made + begin_builds(pool, known, Some(tenant), true).await? > 0)
}

/// Begins a build of these projections, for one tenant or for all, where none of this version is under way; only where
/// the live rows are of an older version, if asked. Returns how many were begun.
pub(crate) async fn begin_builds(
    pool: &PgPool,
    known: &Known,
    tenant: Option<TenantId>,
    outdated_only: bool,
) -> Result<u64, ReadError> {
    let begun = sqlx::query(
        "with wanted as (
           select c.tenant_id, c.projection, r.version, greatest(c.position, c.effects_after) as effects_after
           from unnest($1::text[], $2::integer[]) as r (projection, version)
             join projection_checkpoint c on c.projection = r.projection and c.state = 'live'
           where ($3::uuid is null or c.tenant_id = $3) and (not $4 or c.version < r.version)
             and not exists (
               select from projection_checkpoint b where b.tenant_id = c.tenant_id and b.projection = c.projection
                 and b.state = 'building' and b.version >= r.version)
         ), outdated as (
           update projection_checkpoint b set state = 'retired', error = null, parked_at = null, parked_position = null
           from wanted w where b.tenant_id = w.tenant_id and b.projection = w.projection and b.state = 'building'
         )
         insert into projection_checkpoint (tenant_id, projection, build, version, state, effects_after)
         select w.tenant_id, w.projection,
           (select max(x.build) + 1 from projection_checkpoint x
            where x.tenant_id = w.tenant_id and x.projection = w.projection),
           w.version, 'building', w.effects_after
         from wanted w on conflict do nothing",
    )
    .bind(&known.names)
    .bind(&known.versions)
    .bind(tenant.map(TenantId::uuid))
    .bind(outdated_only)
    .execute(pool)
    .await?
    .rows_affected();
    Ok(begun)
}

/// A build beside the live one.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) projection: String,
    pub(crate) build: i32,
    pub(crate) version: u32,
    /// To be deleted, rather than under way.
    pub(crate) retired: bool,
}

/// The builds of a tenant beside the live ones: under way and not parked, or to be deleted.
pub(crate) async fn side_builds(pool: &PgPool, tenant: TenantId) -> Result<Vec<Side>, ReadError> {
    let rows = sqlx::query(
        "select projection, build, version, state = 'retired' as retired from projection_checkpoint
         where tenant_id = $1 and (state = 'retired' or state = 'building' and parked_at is null)
         order by projection, build",
    )
    .bind(tenant.uuid())
    .fetch_all(pool)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Side {
                projection: row.try_get("projection")?,
                build: row.try_get("build")?,
                version: row.small_count("version")?,
                retired: row.try_get("retired")?,
            })
        })
        .collect()
}

/// Puts a build in the place of the live one.
pub(crate) async fn flip(tx: &mut TenantTx, projection: &str, build: i32) -> Result<(), ReadError> {
    for statement in [
        "update projection_checkpoint set state = 'retired', error = null, parked_at = null, parked_position = null
         where tenant_id = $1 and projection = $2 and build <> $3 and state = 'live'",
        "update projection_checkpoint set state = 'live' where tenant_id = $1 and projection = $2 and build = $3",
    ] {
        sqlx::query(statement)
            .bind(tx.tenant().uuid())
            .bind(projection)
            .bind(build)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

/// Forgets a build whose rows are gone.
pub(crate) async fn forget(pool: &PgPool, tenant: TenantId, projection: &str, build: i32) -> Result<(), ReadError> {
    sqlx::query(
        "delete from projection_checkpoint
         where tenant_id = $1 and projection = $2 and build = $3 and state = 'retired'",
    )
    .bind(tenant.uuid())
    .bind(projection)
    .bind(build)
    .execute(pool)
    .await?;
    Ok(())
}

/// Tenants that there is something to do for, at most `limit` of them.
pub(crate) async fn with_work(pool: &PgPool, known: &Known, limit: u32) -> Result<Vec<TenantId>, ReadError> {
    let ids = sqlx::query_scalar(
        "select h.tenant_id from tenant_head h
         where h.position > 0 and (
           exists (
             select from unnest($1::text[], $2::integer[]) as r (projection, version)
               left join projection_checkpoint c
                 on c.tenant_id = h.tenant_id and c.projection = r.projection and c.state = 'live'
             where c.tenant_id is null
               or c.version = r.version and c.parked_at is null and c.position < h.position
               or c.version < r.version and not exists (
                 select from projection_checkpoint b where b.tenant_id = h.tenant_id and b.projection = r.projection
                   and b.state = 'building' and b.version >= r.version))
           or exists (
             select from projection_checkpoint c join unnest($1, $2) as r (projection, version)
                 on c.projection = r.projection
             where c.tenant_id = h.tenant_id
               and (c.state = 'building' and c.version = r.version and c.parked_at is null or c.state = 'retired')))
         limit $3",
    )
    .bind(&known.names)
    .bind(&known.versions)
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await?;
    Ok(ids.into_iter().map(TenantId::from_uuid).collect())
}

/// Whether there is something to do for this tenant, though perhaps somebody else is at it.
pub(crate) async fn has_work(pool: &PgPool, known: &Known, tenant: TenantId) -> Result<bool, ReadError> {
    Ok(sqlx::query_scalar(
        "select exists (
           select from unnest($1::text[], $2::integer[]) as r (projection, version)
             join projection_checkpoint c on c.projection = r.projection and c.tenant_id = $3
             left join tenant_head h on h.tenant_id = c.tenant_id
           where c.state = 'retired' or c.version = r.version and c.parked_at is null
             and (c.state = 'building' or c.position < h.position))",
    )
    .bind(&known.names)
    .bind(&known.versions)
    .bind(tenant.uuid())
    .fetch_one(pool)
    .await?)
}
