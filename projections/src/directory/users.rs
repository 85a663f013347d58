//! Users and their roles.

use std::collections::{BTreeMap, BTreeSet};

use eventstore::TenantTx;
use formats::{PersonId, TeamId, Timestamp, UserId};
use model::{Role, request::Approver, user::UserEvent};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use crate::{
    FlushError, Page, Paged, ReadError,
    columns::{
        Columns, column, folded, moment, moment_or_null, search_words, tenant, text_list, uuids, without_nul, words,
        written,
    },
    touched::Touched,
};

/// A user's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserView {
    /// Its id.
    pub id: UserId,
    /// Whom it is about.
    pub person: PersonId,
    /// The address; none once erased.
    pub email: Option<String>,
    /// The name; none once erased.
    pub name: Option<String>,
    /// Since when it can't be used.
    pub disabled_at: Option<Timestamp>,
    /// `operator`, `invitation`, `scim`, `oidc` or `demo`.
    pub source: String,
    /// Enrolled second factors: `totp`, `passkey`.
    pub factors: Vec<String>,
    /// Its roles, assigned or by teams, weakest first; `member` where there is nothing else.
    pub roles: Vec<Role>,
    /// Those of them that were assigned.
    pub assigned: Vec<Role>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When a session last began.
    pub last_sign_in_at: Option<Timestamp>,
    /// When the person was erased.
    pub erased_at: Option<Timestamp>,
}

impl UserView {
    /// Whether it can be used.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.disabled_at.is_none()
    }

    /// Whether the account can be used and has a role that decides requests.
    #[must_use]
    pub fn decides(&self) -> bool {
        self.is_enabled() && (self.is_administrator() || self.roles.contains(&Role::Approver))
    }

    /// Whether it has the role owner or admin.
    #[must_use]
    pub fn is_administrator(&self) -> bool {
        self.roles.iter().any(|role| matches!(role, Role::Owner | Role::Admin))
    }
}

/// Which users are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// Only those that can (`false`) or can't (`true`) be used.
    pub disabled: Option<bool>,
    /// With one of these roles; empty means any.
    pub roles: Vec<Role>,
    /// In this team.
    pub team: Option<TeamId>,
    /// Only those whom an identity provider keeps by SCIM (`true`), or does not (`false`).
    pub managed: Option<bool>,
    /// Each of these words begins a word of the name or the address.
    pub search: Option<String>,
}

fn view(row: &PgRow) -> Result<UserView, ReadError> {
    Ok(UserView {
        id: row.id("user_id")?,
        person: row.id("person_id")?,
        email: row.try_get("email")?,
        name: row.try_get("name")?,
        disabled_at: row.at_or_null("disabled_at")?,
        source: row.try_get("source")?,
        factors: row.try_get("factors")?,
        roles: row.words("roles")?,
        assigned: row.words("assigned")?,
        created_at: row.at("created_at")?,
        last_sign_in_at: row.at_or_null("last_sign_in_at")?,
        erased_at: row.at_or_null("erased_at")?,
    })
}

/// One user.
///
/// # Errors
/// [`ReadError`]
pub async fn user(tx: &mut TenantTx, user: UserId) -> Result<Option<UserView>, ReadError> {
    Ok(users_by_id(tx, &[user]).await?.pop())
}

/// Those of the users that exist, in no particular order.
///
/// # Errors
/// [`ReadError`]
pub async fn users_by_id(tx: &mut TenantTx, users: &[UserId]) -> Result<Vec<UserView>, ReadError> {
    let rows = sqlx::query(
        "select u.user_id, u.person_id, u.email, u.name, u.disabled_at, u.source, u.factors, u.created_at,
           u.last_sign_in_at, u.erased_at, coalesce(r.roles, '{member}') as roles,
           coalesce(r.assigned, '{}') as assigned
         from directory_user u
           left join directory_roles r on r.tenant_id = u.tenant_id and r.build = u.build and r.user_id = u.user_id
         where u.tenant_id = $1 and u.build = live_build('directory') and u.user_id = any($2)",
    )
    .bind(tenant(tx))
    .bind(uuids(users))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(view).collect()
}

/// The user with this address, ignoring case.
///
/// # Errors
/// [`ReadError`]
pub async fn user_by_email(tx: &mut TenantTx, email: &str) -> Result<Option<UserView>, ReadError> {
    let row = sqlx::query(
        "select u.user_id, u.person_id, u.email, u.name, u.disabled_at, u.source, u.factors, u.created_at,
           u.last_sign_in_at, u.erased_at, coalesce(r.roles, '{member}') as roles,
           coalesce(r.assigned, '{}') as assigned
         from directory_user u
           left join directory_roles r on r.tenant_id = u.tenant_id and r.build = u.build and r.user_id = u.user_id
         where u.tenant_id = $1 and u.build = live_build('directory') and u.email_folded = $2",
    )
    .bind(tenant(tx))
    .bind(folded(email.trim()))
    .fetch_optional(&mut **tx)
    .await?;
    row.as_ref().map(view).transpose()
}

/// The user whose person this is. See [`super::canonical`] for persons that are known from an endpoint.
///
/// # Errors
/// [`ReadError`]
pub async fn user_by_person(tx: &mut TenantTx, person: PersonId) -> Result<Option<UserView>, ReadError> {
    let row = sqlx::query(
        "select u.user_id, u.person_id, u.email, u.name, u.disabled_at, u.source, u.factors, u.created_at,
           u.last_sign_in_at, u.erased_at, coalesce(r.roles, '{member}') as roles,
           coalesce(r.assigned, '{}') as assigned
         from directory_user u
           left join directory_roles r on r.tenant_id = u.tenant_id and r.build = u.build and r.user_id = u.user_id
         where u.tenant_id = $1 and u.build = live_build('directory') and u.person_id = $2",
    )
    .bind(tenant(tx))
    .bind(person.uuid())
    .fetch_optional(&mut **tx)
    .await?;
    row.as_ref().map(view).transpose()
}

/// A page of users, by name.
///
/// # Errors
/// [`ReadError`]
pub async fn users(tx: &mut TenantTx, filter: &UserFilter, page: &Page) -> Result<Paged<UserView>, ReadError> {
    let from: Option<(String, Uuid)> = page.key()?;
    let (from_name, from_id) = from.unzip();
    let rows = sqlx::query(
        "select u.user_id, u.person_id, u.email, u.name, u.disabled_at, u.source, u.factors, u.created_at,
           u.last_sign_in_at, u.erased_at, coalesce(r.roles, '{member}') as roles,
           coalesce(r.assigned, '{}') as assigned
         from directory_user u
           left join directory_roles r on r.tenant_id = u.tenant_id and r.build = u.build and r.user_id = u.user_id
         where u.tenant_id = $1 and u.build = live_build('directory')
           and ($2::boolean is null or (u.disabled_at is not null) = $2)
           and (cardinality($3::text[]) = 0 or coalesce(r.roles, '{member}') && $3)
           and ($4::uuid is null or exists (select from directory_team_member m
             where m.tenant_id = u.tenant_id and m.build = u.build and m.team_id = $4 and m.user_id = u.user_id))
           and (select coalesce(bool_and(exists (select from unnest(u.words) w where starts_with(w, q))), true)
                from unnest($5::text[]) q)
           and ($10::boolean is null or (u.source = 'scim') = $10)
           and ($6::text is null or case when $8 then (u.name_folded, u.user_id) < ($6, $7::uuid)
                else (u.name_folded, u.user_id) > ($6, $7) end)
         order by case when $8 then u.name_folded end desc, case when $8 then u.user_id end desc, u.name_folded,
           u.user_id
         limit $9",
    )
    .bind(tenant(tx))
    .bind(filter.disabled)
    .bind(written(&filter.roles)?)
    .bind(filter.team.map(TeamId::uuid))
    .bind(search_words(filter.search.as_deref()))
    .bind(from_name)
    .bind(from_id)
    .bind(page.backward)
    .bind(page.fetch())
    .bind(filter.managed)
    .fetch_all(&mut **tx)
    .await?;
    let found = rows.iter().map(view).collect::<Result<_, _>>()?;
    page.cut(found, |u| {
        (u.name.as_deref().map(folded).unwrap_or_default(), u.id.uuid())
    })
}

/// A user's roles, weakest first; `member` where nothing else was assigned, or there is no such user.
///
/// # Errors
/// [`ReadError`]
pub async fn roles_of(tx: &mut TenantTx, user: UserId) -> Result<Vec<Role>, ReadError> {
    let row = sqlx::query(
        "select roles from directory_roles
         where tenant_id = $1 and build = live_build('directory') and user_id = $2",
    )
    .bind(tenant(tx))
    .bind(user.uuid())
    .fetch_optional(&mut **tx)
    .await?;
    row.map_or_else(|| Ok(vec![Role::Member]), |row| row.words("roles"))
}

/// The owners and admins whose accounts can be used: they may always decide, and are asked where nobody else can be.
///
/// # Errors
/// [`ReadError`]
pub async fn administrators(tx: &mut TenantTx) -> Result<Vec<UserView>, ReadError> {
    let rows = sqlx::query(
        "select u.user_id, u.person_id, u.email, u.name, u.disabled_at, u.source, u.factors, u.created_at,
           u.last_sign_in_at, u.erased_at, r.roles, r.assigned
         from directory_roles r
           join directory_user u on u.tenant_id = r.tenant_id and u.build = r.build and u.user_id = r.user_id
         where r.tenant_id = $1 and r.build = live_build('directory') and r.roles && '{owner,admin}'
           and u.disabled_at is null
         order by u.user_id",
    )
    .bind(tenant(tx))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(view).collect()
}

/// The users whom a route names, directly or by a team, and whom their accounts and roles let decide; each once.
///
/// # Errors
/// [`ReadError`]
pub async fn resolve(tx: &mut TenantTx, approvers: &[Approver]) -> Result<Vec<UserView>, ReadError> {
    let (mut users, mut teams) = (Vec::new(), Vec::new());
    for approver in approvers {
        match approver {
            Approver::User(user) => users.push(user.uuid()),
            Approver::Team(team) => teams.push(team.uuid()),
        }
    }
    let rows = sqlx::query(
        "select u.user_id, u.person_id, u.email, u.name, u.disabled_at, u.source, u.factors, u.created_at,
           u.last_sign_in_at, u.erased_at, coalesce(r.roles, '{member}') as roles,
           coalesce(r.assigned, '{}') as assigned
         from directory_user u
           left join directory_roles r on r.tenant_id = u.tenant_id and r.build = u.build and r.user_id = u.user_id
         where u.tenant_id = $1 and u.build = live_build('directory') and u.disabled_at is null
           and r.roles && '{approver,admin,owner}'
           and (u.user_id = any($2) or u.user_id in (
             select m.user_id from directory_team_member m
             where m.tenant_id = $1 and m.build = live_build('directory') and m.team_id = any($3)))
         order by u.user_id",
    )
    .bind(tenant(tx))
    .bind(users)
    .bind(teams)
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(view).collect()
}

/// All users and teams that a rule may name. A fact for saving approval rules.
///
/// # Errors
/// [`ReadError`]
pub async fn known_approvers(tx: &mut TenantTx) -> Result<BTreeSet<Approver>, ReadError> {
    let rows = sqlx::query(
        "select user_id as id, true as is_user from directory_user
         where tenant_id = $1 and build = live_build('directory') and disabled_at is null
         union all
         select team_id, false from directory_team where tenant_id = $1 and build = live_build('directory')",
    )
    .bind(tenant(tx))
    .fetch_all(&mut **tx)
    .await?;
    let read = rows.iter().map(|row| {
        Ok(if row.try_get("is_user")? {
            Approver::User(row.id("id")?)
        } else {
            Approver::Team(row.id("id")?)
        })
    });
    read.collect()
}

pub(super) fn subject(event: &UserEvent) -> UserId {
    match event {
        UserEvent::UserCreated(e) => e.user,
        UserEvent::UserChanged(e) => e.user,
        UserEvent::UserDisabled(e) => e.user,
        UserEvent::UserEnabled(e) => e.user,
        UserEvent::UserProvisioned(e) => e.user,
        UserEvent::UserDeprovisioned(e) => e.user,
        UserEvent::PasswordChanged(e) => e.user,
        UserEvent::MfaEnrolled(e) => e.user,
        UserEvent::MfaRemoved(e) => e.user,
        UserEvent::PasskeyRegistered(e) => e.user,
        UserEvent::PasskeyRemoved(e) => e.user,
        UserEvent::PasskeyFlagged(e) => e.user,
        UserEvent::ChannelLocked(e) => e.user,
        UserEvent::SignedIn(e) => e.user,
        UserEvent::IdentityLinked(e) => e.user,
        UserEvent::IdentitiesUnlinked(e) => e.user,
        UserEvent::CodeVerified(e) => e.user,
        UserEvent::UserInvited(e) => e.user,
        UserEvent::SignedOut(e) => e.user,
    }
}

/// The second factor that a user has with one passkey or more.
const PASSKEY: &str = "passkey";

fn add_factor(row: &mut UserView, method: String) {
    if !row.factors.contains(&method) {
        row.factors.push(method);
        row.factors.sort_unstable();
    }
}

fn apply(row: &mut Option<UserView>, event: UserEvent, at: Timestamp) {
    if let UserEvent::UserCreated(e) = event {
        *row = Some(UserView {
            id: e.user,
            person: e.person,
            email: e.email.into_inner(),
            name: e.name.into_inner(),
            disabled_at: None,
            source: e.source,
            factors: Vec::new(),
            roles: Vec::new(),
            assigned: Vec::new(),
            created_at: at,
            last_sign_in_at: None,
            erased_at: None,
        });
        return;
    }
    let Some(row) = row else { return };
    match event {
        UserEvent::UserCreated(_) => {}
        UserEvent::UserChanged(e) => {
            row.email = e.email.into_inner();
            row.name = e.name.into_inner();
        }
        UserEvent::UserDisabled(_) => {
            row.disabled_at = Some(at);
            row.factors.retain(|factor| factor != PASSKEY);
        }
        UserEvent::UserEnabled(_) => row.disabled_at = None,
        UserEvent::MfaEnrolled(e) => add_factor(row, e.method),
        UserEvent::PasskeyRegistered(_) => add_factor(row, PASSKEY.to_owned()),
        UserEvent::PasskeyRemoved(e) if e.left == 0 => row.factors.retain(|factor| factor != PASSKEY),
        UserEvent::MfaRemoved(e) => row.factors.retain(|factor| *factor != e.method),
        UserEvent::SignedIn(_) => row.last_sign_in_at = Some(at),
        // Ignored: nothing of them is shown here; what identity providers say is in the read model `scim`.
        UserEvent::UserProvisioned(_) | UserEvent::UserDeprovisioned(_) => {}
        UserEvent::PasswordChanged(_)
        | UserEvent::PasskeyRemoved(_)
        | UserEvent::PasskeyFlagged(_)
        | UserEvent::ChannelLocked(_)
        | UserEvent::IdentityLinked(_)
        | UserEvent::IdentitiesUnlinked(_)
        | UserEvent::SignedOut(_)
        | UserEvent::UserInvited(_)
        | UserEvent::CodeVerified(_) => {}
    }
}

pub(super) async fn flush(
    tx: &mut TenantTx,
    build: i32,
    touched: Touched<UserId, (UserEvent, Timestamp)>,
) -> Result<(), FlushError> {
    if touched.is_empty() {
        return Ok(());
    }
    let stored = sqlx::query(
        "select user_id, person_id, email, name, disabled_at, source, factors, created_at, last_sign_in_at, erased_at,
           array[]::text[] as roles, array[]::text[] as assigned
         from directory_user where tenant_id = $1 and build = $2 and user_id = any($3)",
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
        "insert into directory_user (tenant_id, build, user_id, person_id, email, email_folded, name, name_folded,
           words, disabled_at, source, factors, created_at, last_sign_in_at, erased_at)
         select $1, $2, r.user_id, r.person_id, r.email, r.email_folded, r.name, r.name_folded, r.words::text[],
           r.disabled_at, r.source, r.factors::text[], r.created_at, r.last_sign_in_at, r.erased_at
         from unnest($3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
             $10::timestamptz[], $11::text[], $12::text[], $13::timestamptz[], $14::timestamptz[], $15::timestamptz[])
           as r (user_id, person_id, email, email_folded, name, name_folded, words, disabled_at, source, factors,
             created_at, last_sign_in_at, erased_at)
         on conflict (tenant_id, build, user_id) do update set
           person_id = excluded.person_id, email = excluded.email, email_folded = excluded.email_folded,
           name = excluded.name, name_folded = excluded.name_folded, words = excluded.words,
           disabled_at = excluded.disabled_at, source = excluded.source, factors = excluded.factors,
           created_at = excluded.created_at, last_sign_in_at = excluded.last_sign_in_at,
           erased_at = excluded.erased_at",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(column(&rows, |r| r.id.uuid()))
    .bind(column(&rows, |r| r.person.uuid()))
    .bind(column(&rows, |r| r.email.as_deref().map(without_nul)))
    .bind(column(&rows, |r| r.email.as_deref().map(folded)))
    .bind(column(&rows, |r| r.name.as_deref().map(without_nul)))
    .bind(column(&rows, |r| r.name.as_deref().map(folded).unwrap_or_default()))
    .bind(column(&rows, |r| text_list(searched(r))))
    .bind(column(&rows, |r| moment_or_null(r.disabled_at)))
    .bind(column(&rows, |r| r.source.as_str()))
    .bind(column(&rows, |r| text_list(&r.factors)))
    .bind(column(&rows, |r| moment(r.created_at)))
    .bind(column(&rows, |r| moment_or_null(r.last_sign_in_at)))
    .bind(column(&rows, |r| moment_or_null(r.erased_at)))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn searched(user: &UserView) -> Vec<String> {
    let mut all = user.name.as_deref().map(words).unwrap_or_default();
    all.extend(user.email.as_deref().map(words).unwrap_or_default());
    all
}

/// What changed of a user's roles in a batch; none where that part stays.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct RolesChange {
    pub(super) assigned: Option<Vec<Role>>,
    pub(super) by_teams: Option<Vec<Role>>,
}

/// Writes both parts and what they make together; a user without any role but `member` has no row.
pub(super) async fn flush_roles(
    tx: &mut TenantTx,
    build: i32,
    roles: &BTreeMap<UserId, RolesChange>,
) -> Result<(), FlushError> {
    if roles.is_empty() {
        return Ok(());
    }
    let parts = |part: fn(&RolesChange) -> Option<&Vec<Role>>| -> Vec<Option<String>> {
        let words = |roles: &Vec<Role>| {
            let more = roles.iter().any(|role| *role != Role::Member);
            let words: BTreeSet<_> = roles.iter().filter(|_| more).collect();
            text_list(words.iter().map(|role| role.as_str()))
        };
        roles.values().map(|change| part(change).map(words)).collect()
    };
    sqlx::query(
        "insert into directory_roles (tenant_id, build, user_id, roles, assigned, by_teams)
         select $1, $2, r.user_id, '{}', coalesce(r.assigned::text[], '{}'), coalesce(r.by_teams::text[], '{}')
         from unnest($3::uuid[], $4::text[], $5::text[]) as r (user_id, assigned, by_teams)
         on conflict (tenant_id, build, user_id) do nothing",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(uuids(roles.keys()))
    .bind(parts(|change| change.assigned.as_ref()))
    .bind(parts(|change| change.by_teams.as_ref()))
    .execute(&mut **tx)
    .await?;
    sqlx::query(
        "update directory_roles d set assigned = n.assigned, by_teams = n.by_teams,
           roles = array(select w from unnest(array['member', 'auditor', 'approver', 'admin', 'owner']) with ordinality as o (w, n)
             where w = any(n.assigned || n.by_teams) order by o.n)
         from (select r.user_id, coalesce(r.assigned::text[], k.assigned) as assigned,
             coalesce(r.by_teams::text[], k.by_teams) as by_teams
           from unnest($3::uuid[], $4::text[], $5::text[]) as r (user_id, assigned, by_teams)
             join directory_roles k on k.tenant_id = $1 and k.build = $2 and k.user_id = r.user_id) n
         where d.tenant_id = $1 and d.build = $2 and d.user_id = n.user_id",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(uuids(roles.keys()))
    .bind(parts(|change| change.assigned.as_ref()))
    .bind(parts(|change| change.by_teams.as_ref()))
    .execute(&mut **tx)
    .await?;
    sqlx::query(
        "delete from directory_roles where tenant_id = $1 and build = $2 and user_id = any($3) and cardinality(roles) = 0",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(uuids(roles.keys()))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn erase(
    tx: &mut TenantTx,
    build: i32,
    erased: &BTreeMap<PersonId, Timestamp>,
) -> Result<(), FlushError> {
    sqlx::query(
        "update directory_user u set email = null, email_folded = null, name = null, name_folded = '', words = '{}',
           erased_at = r.erased_at
         from unnest($3::uuid[], $4::timestamptz[]) as r (person_id, erased_at)
         where u.tenant_id = $1 and u.build = $2 and u.person_id = r.person_id",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(uuids(erased.keys()))
    .bind(erased.values().map(|at| moment(*at)).collect::<Vec<_>>())
    .execute(&mut **tx)
    .await?;
    Ok(())
}
