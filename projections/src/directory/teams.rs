//! Teams and who is in them.

use eventstore::TenantTx;
use formats::{TeamId, Timestamp, UserId};
use model::{Role, team::TeamEvent};
use sqlx::{Row, postgres::PgRow};

use super::reducer::Members;
use crate::{
    FlushError, ReadError,
    columns::{Columns, column, folded, moment, tenant, text_list, uuids, without_nul},
    touched::Touched,
};

/// A team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamView {
    /// Its id.
    pub id: TeamId,
    /// Its name, unique in the tenant ignoring case.
    pub name: String,
    /// Whether an identity provider keeps it.
    pub managed: bool,
    /// The roles that it gives to its members.
    pub roles: Vec<Role>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its name or its members changed last.
    pub updated_at: Timestamp,
}

fn view(row: &PgRow) -> Result<TeamView, ReadError> {
    Ok(TeamView {
        id: row.id("team_id")?,
        name: row.try_get("name")?,
        managed: row.try_get("managed")?,
        roles: row.words("roles")?,
        created_at: row.at("created_at")?,
        updated_at: row.at("updated_at")?,
    })
}

/// All teams, by name.
///
/// # Errors
/// [`ReadError`]
pub async fn teams(tx: &mut TenantTx) -> Result<Vec<TeamView>, ReadError> {
    let rows = sqlx::query(
        "select team_id, name, managed, roles, created_at, updated_at from directory_team
         where tenant_id = $1 and build = live_build('directory') order by name_folded, team_id",
    )
    .bind(tenant(tx))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(view).collect()
}

/// One team.
///
/// # Errors
/// [`ReadError`]
pub async fn team(tx: &mut TenantTx, team: TeamId) -> Result<Option<TeamView>, ReadError> {
    let row = sqlx::query(
        "select team_id, name, managed, roles, created_at, updated_at from directory_team
         where tenant_id = $1 and build = live_build('directory') and team_id = $2",
    )
    .bind(tenant(tx))
    .bind(team.uuid())
    .fetch_optional(&mut **tx)
    .await?;
    row.as_ref().map(view).transpose()
}

/// The teams of each of these users: pairs of a user and a team, by the team's name.
///
/// # Errors
/// [`ReadError`]
pub async fn teams_of(tx: &mut TenantTx, users: &[UserId]) -> Result<Vec<(UserId, TeamView)>, ReadError> {
    let rows = sqlx::query(
        "select m.user_id, t.team_id, t.name, t.managed, t.roles, t.created_at, t.updated_at
         from directory_team_member m
           join directory_team t on t.tenant_id = m.tenant_id and t.build = m.build and t.team_id = m.team_id
         where m.tenant_id = $1 and m.build = live_build('directory') and m.user_id = any($2)
         order by t.name_folded, t.team_id",
    )
    .bind(tenant(tx))
    .bind(uuids(users))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(|row| Ok((row.id("user_id")?, view(row)?))).collect()
}

/// The members of each of these teams, whatever the state of their accounts.
///
/// # Errors
/// [`ReadError`]
pub async fn members(tx: &mut TenantTx, teams: &[TeamId]) -> Result<Vec<(TeamId, UserId)>, ReadError> {
    let rows = sqlx::query(
        "select team_id, user_id from directory_team_member
         where tenant_id = $1 and build = live_build('directory') and team_id = any($2) order by team_id, user_id",
    )
    .bind(tenant(tx))
    .bind(uuids(teams))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter()
        .map(|row| Ok((row.id("team_id")?, row.id("user_id")?)))
        .collect()
}

pub(super) fn subject(event: &TeamEvent) -> TeamId {
    match event {
        TeamEvent::TeamCreated(e) => e.team,
        TeamEvent::TeamRenamed(e) => e.team,
        TeamEvent::TeamMembersChanged(e) => e.team,
        TeamEvent::TeamDeleted(e) => e.team,
        TeamEvent::TeamExternalIdChanged(e) => e.team,
        TeamEvent::TeamReleased(e) => e.team,
    }
}

/// What changes a team's row.
#[derive(Debug)]
pub(super) enum Change {
    /// The team itself.
    Team(TeamEvent),
    /// The roles that it gives.
    Roles(Vec<Role>),
}

fn apply(row: &mut Option<TeamView>, change: Change, at: Timestamp) {
    let event = match (change, &mut *row) {
        (Change::Team(event), _) => event,
        (Change::Roles(roles), Some(row)) => {
            row.roles = roles;
            return;
        }
        (Change::Roles(_), None) => return,
    };
    match event {
        TeamEvent::TeamCreated(e) => {
            *row = Some(TeamView {
                id: e.team,
                name: e.name,
                managed: e.source.is_some(),
                roles: Vec::new(),
                created_at: at,
                updated_at: at,
            });
        }
        TeamEvent::TeamRenamed(e) => {
            if let Some(row) = row {
                row.name = e.name;
                row.updated_at = at;
            }
        }
        TeamEvent::TeamMembersChanged(_) => {
            if let Some(row) = row {
                row.updated_at = at;
            }
        }
        TeamEvent::TeamReleased(_) => {
            if let Some(row) = row {
                row.managed = false;
                row.updated_at = at;
            }
        }
        // Ignored: ids of identity providers are in the read model `scim`.
        TeamEvent::TeamExternalIdChanged(_) => {}
        TeamEvent::TeamDeleted(_) => *row = None,
    }
}

pub(super) async fn flush(
    tx: &mut TenantTx,
    build: i32,
    touched: Touched<TeamId, (Change, Timestamp)>,
) -> Result<(), FlushError> {
    if touched.is_empty() {
        return Ok(());
    }
    let stored = sqlx::query(
        "select team_id, name, managed, roles, created_at, updated_at from directory_team
         where tenant_id = $1 and build = $2 and team_id = any($3)",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(uuids(touched.keys()))
    .fetch_all(&mut **tx)
    .await?;
    let before = stored.iter().map(view).collect::<Result<Vec<_>, _>>()?;
    let after = touched.settle(before, |row| row.id, |row, (change, at)| apply(row, change, at));
    sqlx::query("delete from directory_team where tenant_id = $1 and build = $2 and team_id = any($3)")
        .bind(tenant(tx))
        .bind(build)
        .bind(uuids(&after.gone))
        .execute(&mut **tx)
        .await?;
    sqlx::query(
        "insert into directory_team (tenant_id, build, team_id, name, name_folded, managed, roles, created_at, updated_at)
         select $1, $2, r.team_id, r.name, r.name_folded, r.managed, r.roles::text[], r.created_at, r.updated_at
         from unnest($3::uuid[], $4::text[], $5::text[], $6::boolean[], $7::text[], $8::timestamptz[],
             $9::timestamptz[]) as r (team_id, name, name_folded, managed, roles, created_at, updated_at)
         on conflict (tenant_id, build, team_id) do update set
           name = excluded.name, name_folded = excluded.name_folded, managed = excluded.managed, roles = excluded.roles,
           created_at = excluded.created_at, updated_at = excluded.updated_at",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(column(&after.rows, |r| r.id.uuid()))
    .bind(column(&after.rows, |r| without_nul(&r.name)))
    .bind(column(&after.rows, |r| folded(&r.name)))
    .bind(column(&after.rows, |r| r.managed))
    .bind(column(&after.rows, |r| text_list(r.roles.iter().map(|role| role.as_str()))))
    .bind(column(&after.rows, |r| moment(r.created_at)))
    .bind(column(&after.rows, |r| moment(r.updated_at)))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn flush_members(tx: &mut TenantTx, build: i32, members: &Members) -> Result<(), FlushError> {
    if members.emptied.is_empty() && members.changed.is_empty() {
        return Ok(());
    }
    let (came, left): (Vec<_>, Vec<_>) = members.changed.iter().partition(|(_, is_member)| **is_member);
    let users = |list: &[(&(TeamId, UserId), &bool)]| column(list, |((_, user), _)| user.uuid());
    let teams = |list: &[(&(TeamId, UserId), &bool)]| column(list, |((team, _), _)| team.uuid());
    sqlx::query(
        "delete from directory_team_member m where m.tenant_id = $1 and m.build = $2 and (m.team_id = any($3)
           or (m.team_id, m.user_id) in (select team_id, user_id from unnest($4::uuid[], $5::uuid[]) as r (team_id, user_id)))",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(uuids(&members.emptied))
    .bind(teams(&left))
    .bind(users(&left))
    .execute(&mut **tx)
    .await?;
    sqlx::query(
        "insert into directory_team_member (tenant_id, build, team_id, user_id)
         select $1, $2, r.* from unnest($3::uuid[], $4::uuid[]) as r on conflict do nothing",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(teams(&came))
    .bind(users(&came))
    .execute(&mut **tx)
    .await?;
    Ok(())
}
