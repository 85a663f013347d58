//! Groups: the teams that an identity provider keeps.

use eventstore::TenantTx;
use formats::{TeamId, Timestamp, UserId};
use model::team::TeamEvent;
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use super::reducer::Dated;
use crate::{
    FlushError, ReadError,
    columns::{Columns, column, folded, moment, number, tenant, uuids, without_nul},
    touched::Touched,
};

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupView {
    /// Its id.
    pub id: TeamId,
    /// The aggregate's version.
    pub version: u64,
    /// Its name.
    pub name: String,
    /// Its id at the identity provider.
    pub external_id: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it or its members changed last.
    pub updated_at: Timestamp,
}

/// Somebody in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The group.
    pub team: TeamId,
    /// Who.
    pub user: UserId,
    /// What they are called.
    pub name: Option<String>,
}

/// What finds a group by an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupKey {
    /// The id.
    Id(TeamId),
    /// The name, ignoring case.
    Name(String),
    /// The id at the identity provider, exactly.
    ExternalId(String),
}

fn view(row: &PgRow) -> Result<GroupView, ReadError> {
    Ok(GroupView {
        id: row.id("team_id")?,
        version: row.count("version")?,
        name: row.try_get("name")?,
        external_id: row.try_get("external_id")?,
        created_at: row.at("created_at")?,
        updated_at: row.at("updated_at")?,
    })
}

/// One group.
///
/// # Errors
/// [`ReadError`]
pub async fn group(tx: &mut TenantTx, team: TeamId) -> Result<Option<GroupView>, ReadError> {
    Ok(groups_by(tx, &GroupKey::Id(team)).await?.pop())
}

/// Those groups that a key finds.
///
/// # Errors
/// [`ReadError`]
pub async fn groups_by(tx: &mut TenantTx, key: &GroupKey) -> Result<Vec<GroupView>, ReadError> {
    let (id, name, external_id) = match key {
        GroupKey::Id(id) => (Some(id.uuid()), None, None),
        GroupKey::Name(name) => (None, Some(folded(name)), None),
        GroupKey::ExternalId(id) => (None, None, Some(without_nul(id))),
    };
    let rows = sqlx::query(
        "select team_id, version, name, external_id, created_at, updated_at from scim_group
         where tenant_id = $1 and build = live_build('scim') and team_id = $2
         union all
         select team_id, version, name, external_id, created_at, updated_at from scim_group
         where tenant_id = $1 and build = live_build('scim') and name_folded = $3
         union all
         select team_id, version, name, external_id, created_at, updated_at from scim_group
         where tenant_id = $1 and build = live_build('scim') and external_id = $4",
    )
    .bind(tenant(tx))
    .bind(id)
    .bind(name)
    .bind(external_id)
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(view).collect()
}

/// A part of all groups, oldest first.
///
/// # Errors
/// [`ReadError`]
pub async fn groups(tx: &mut TenantTx, skip: u32, limit: u32) -> Result<Vec<GroupView>, ReadError> {
    let rows = sqlx::query(
        "select team_id, version, name, external_id, created_at, updated_at from scim_group
         where tenant_id = $1 and build = live_build('scim') order by team_id offset $2 limit $3",
    )
    .bind(tenant(tx))
    .bind(i64::from(skip))
    .bind(i64::from(limit))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(view).collect()
}

/// The groups after this one, oldest first: to go through all of them.
///
/// # Errors
/// [`ReadError`]
pub async fn groups_after(tx: &mut TenantTx, after: Option<TeamId>, limit: u32) -> Result<Vec<GroupView>, ReadError> {
    let rows = sqlx::query(
        "select team_id, version, name, external_id, created_at, updated_at from scim_group
         where tenant_id = $1 and build = live_build('scim') and team_id > $2 order by team_id limit $3",
    )
    .bind(tenant(tx))
    .bind(after.map_or(Uuid::nil(), TeamId::uuid))
    .bind(i64::from(limit))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(view).collect()
}

/// How many groups there are.
///
/// # Errors
/// [`ReadError`]
pub async fn count_groups(tx: &mut TenantTx) -> Result<u64, ReadError> {
    let row = sqlx::query("select count(*) as n from scim_group where tenant_id = $1 and build = live_build('scim')")
        .bind(tenant(tx))
        .fetch_one(&mut **tx)
        .await?;
    row.count("n")
}

/// Who is in each of these groups, without those whom the identity provider deleted.
///
/// # Errors
/// [`ReadError`]
pub async fn members(tx: &mut TenantTx, teams: &[TeamId]) -> Result<Vec<Member>, ReadError> {
    let rows = sqlx::query(
        "select m.team_id, m.user_id, u.name from directory_team_member m
           join scim_user u on u.tenant_id = m.tenant_id and u.build = live_build('scim') and u.user_id = m.user_id
         where m.tenant_id = $1 and m.build = live_build('directory') and m.team_id = any($2) and not u.gone
         order by m.team_id, m.user_id",
    )
    .bind(tenant(tx))
    .bind(uuids(teams))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Member {
                team: row.id("team_id")?,
                user: row.id("user_id")?,
                name: row.try_get("name")?,
            })
        })
        .collect()
}

/// The groups of each of these users, by name.
///
/// # Errors
/// [`ReadError`]
pub async fn groups_of(tx: &mut TenantTx, users: &[UserId]) -> Result<Vec<(UserId, TeamId, String)>, ReadError> {
    let rows = sqlx::query(
        "select m.user_id, g.team_id, g.name from directory_team_member m
           join scim_group g on g.tenant_id = m.tenant_id and g.build = live_build('scim') and g.team_id = m.team_id
         where m.tenant_id = $1 and m.build = live_build('directory') and m.user_id = any($2)
         order by m.user_id, g.name_folded, g.team_id",
    )
    .bind(tenant(tx))
    .bind(uuids(users))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter()
        .map(|row| Ok((row.id("user_id")?, row.id("team_id")?, row.try_get("name")?)))
        .collect()
}

fn apply(row: &mut Option<GroupView>, id: TeamId, Dated { event, version, at }: Dated<TeamEvent>) {
    match event {
        TeamEvent::TeamCreated(e) if e.source.is_none() => {}
        TeamEvent::TeamCreated(e) => {
            *row = Some(GroupView {
                id,
                version,
                name: e.name,
                external_id: e.external_id,
                created_at: at,
                updated_at: at,
            });
        }
        TeamEvent::TeamDeleted(_) | TeamEvent::TeamReleased(_) => *row = None,
        TeamEvent::TeamRenamed(_) | TeamEvent::TeamMembersChanged(_) | TeamEvent::TeamExternalIdChanged(_) => {
            let Some(row) = row else { return };
            (row.version, row.updated_at) = (version, at);
            match event {
                TeamEvent::TeamRenamed(e) => row.name = e.name,
                TeamEvent::TeamExternalIdChanged(e) => row.external_id = e.external_id,
                TeamEvent::TeamCreated(_)
                | TeamEvent::TeamMembersChanged(_)
                | TeamEvent::TeamDeleted(_)
                | TeamEvent::TeamReleased(_) => {}
            }
        }
    }
}

pub(super) async fn flush(
    tx: &mut TenantTx,
    build: i32,
    touched: Touched<TeamId, (TeamId, Dated<TeamEvent>)>,
) -> Result<(), FlushError> {
    if touched.is_empty() {
        return Ok(());
    }
    let stored = sqlx::query(
        "select team_id, version, name, external_id, created_at, updated_at from scim_group
         where tenant_id = $1 and build = $2 and team_id = any($3)",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(uuids(touched.keys()))
    .fetch_all(&mut **tx)
    .await?;
    let before = stored.iter().map(view).collect::<Result<Vec<_>, _>>()?;
    let after = touched.settle(before, |row| row.id, |row, (id, dated)| apply(row, id, dated));
    sqlx::query("delete from scim_group where tenant_id = $1 and build = $2 and team_id = any($3)")
        .bind(tenant(tx))
        .bind(build)
        .bind(uuids(&after.gone))
        .execute(&mut **tx)
        .await?;
    sqlx::query(
        "insert into scim_group (tenant_id, build, team_id, version, name, name_folded, external_id, created_at,
           updated_at)
         select $1, $2, r.*
         from unnest($3::uuid[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::timestamptz[],
             $9::timestamptz[]) as r
         on conflict (tenant_id, build, team_id) do update set
           version = excluded.version, name = excluded.name, name_folded = excluded.name_folded,
           external_id = excluded.external_id, created_at = excluded.created_at, updated_at = excluded.updated_at",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(column(&after.rows, |r| r.id.uuid()))
    .bind(column(&after.rows, |r| number(r.version)))
    .bind(column(&after.rows, |r| without_nul(&r.name)))
    .bind(column(&after.rows, |r| folded(&r.name)))
    .bind(column(&after.rows, |r| r.external_id.as_deref().map(without_nul)))
    .bind(column(&after.rows, |r| moment(r.created_at)))
    .bind(column(&after.rows, |r| moment(r.updated_at)))
    .execute(&mut **tx)
    .await?;
    Ok(())
}
