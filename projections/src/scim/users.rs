//! Users as an identity provider sees them.

use std::collections::BTreeSet;

use eventstore::TenantTx;
use formats::{PersonId, Timestamp, UserId};
use model::user::{Profile, UserEvent};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use super::reducer::Dated;
use crate::{
    FlushError, ReadError,
    columns::{Columns, column, folded, moment, number, tenant, uuids, without_nul},
    touched::Touched,
};

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserView {
    /// Its id.
    pub id: UserId,
    /// Whom it is about.
    pub person: PersonId,
    /// The aggregate's version.
    pub version: u64,
    /// The address they sign in with.
    pub email: Option<String>,
    /// What they are called.
    pub name: Option<String>,
    /// What the identity provider said; none where it said nothing yet.
    pub profile: Option<Profile>,
    /// Whether the account can be used.
    pub active: bool,
    /// Deleted by the identity provider, or erased.
    pub gone: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When something changed last that an identity provider sees.
    pub updated_at: Timestamp,
}

impl UserView {
    /// The name that the identity provider knows them by: the address, until it said another.
    #[must_use]
    pub fn user_name(&self) -> &str {
        match &self.profile {
            Some(profile) => &profile.user_name,
            None => self.email.as_deref().unwrap_or_default(),
        }
    }
}

/// What finds a user by an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserKey {
    /// The id.
    Id(UserId),
    /// The name at the identity provider, ignoring case.
    UserName(String),
    /// The id at the identity provider, exactly.
    ExternalId(String),
}

fn view(row: &PgRow) -> Result<UserView, ReadError> {
    Ok(UserView {
        id: row.id("user_id")?,
        person: row.id("person_id")?,
        version: row.count("version")?,
        email: row.try_get("email")?,
        name: row.try_get("name")?,
        profile: row.document_or_null("profile")?,
        active: row.try_get("active")?,
        gone: row.try_get("gone")?,
        created_at: row.at("created_at")?,
        updated_at: row.at("updated_at")?,
    })
}

/// One user, gone or not.
///
/// # Errors
/// [`ReadError`]
pub async fn user(tx: &mut TenantTx, user: UserId) -> Result<Option<UserView>, ReadError> {
    let row = sqlx::query(
        "select user_id, person_id, version, email, name, profile, active, gone, created_at, updated_at from scim_user
         where tenant_id = $1 and build = live_build('scim') and user_id = $2",
    )
    .bind(tenant(tx))
    .bind(user.uuid())
    .fetch_optional(&mut **tx)
    .await?;
    row.as_ref().map(view).transpose()
}

/// Those users whom a key finds; none that is gone.
///
/// # Errors
/// [`ReadError`]
pub async fn users_by(tx: &mut TenantTx, key: &UserKey) -> Result<Vec<UserView>, ReadError> {
    let (id, user_name, external_id) = match key {
        UserKey::Id(id) => (Some(id.uuid()), None, None),
        UserKey::UserName(name) => (None, Some(folded(name)), None),
        UserKey::ExternalId(id) => (None, None, Some(without_nul(id))),
    };
    let rows = sqlx::query(
        "select user_id, person_id, version, email, name, profile, active, gone, created_at, updated_at from scim_user
         where tenant_id = $1 and build = live_build('scim') and user_id = $2 and not gone
         union all
         select user_id, person_id, version, email, name, profile, active, gone, created_at, updated_at from scim_user
         where tenant_id = $1 and build = live_build('scim') and user_name_folded = $3 and not gone
         union all
         select user_id, person_id, version, email, name, profile, active, gone, created_at, updated_at from scim_user
         where tenant_id = $1 and build = live_build('scim') and external_id = $4 and not gone",
    )
    .bind(tenant(tx))
    .bind(id)
    .bind(user_name)
    .bind(external_id)
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(view).collect()
}

/// The user who is known by this name or address, gone or not: whom a second user of that name would collide with.
///
/// # Errors
/// [`ReadError`]
pub async fn returning_user(tx: &mut TenantTx, user_name: &str, email: &str) -> Result<Option<UserView>, ReadError> {
    let row = sqlx::query(
        "select user_id, person_id, version, email, name, profile, active, gone, created_at, updated_at from scim_user
         where tenant_id = $1 and build = live_build('scim') and (user_name_folded = $2 or email_folded = $3)
         order by (user_name_folded = $2) desc, gone, user_id limit 1",
    )
    .bind(tenant(tx))
    .bind(folded(user_name))
    .bind(folded(email.trim()))
    .fetch_optional(&mut **tx)
    .await?;
    row.as_ref().map(view).transpose()
}

/// A part of all users who are not gone, oldest first.
///
/// # Errors
/// [`ReadError`]
pub async fn users(tx: &mut TenantTx, skip: u32, limit: u32) -> Result<Vec<UserView>, ReadError> {
    let rows = sqlx::query(
        "select user_id, person_id, version, email, name, profile, active, gone, created_at, updated_at from scim_user
         where tenant_id = $1 and build = live_build('scim') and not gone order by user_id offset $2 limit $3",
    )
    .bind(tenant(tx))
    .bind(i64::from(skip))
    .bind(i64::from(limit))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(view).collect()
}

/// The users after this one, oldest first: to go through all of them.
///
/// # Errors
/// [`ReadError`]
pub async fn users_after(tx: &mut TenantTx, after: Option<UserId>, limit: u32) -> Result<Vec<UserView>, ReadError> {
    let rows = sqlx::query(
        "select user_id, person_id, version, email, name, profile, active, gone, created_at, updated_at from scim_user
         where tenant_id = $1 and build = live_build('scim') and not gone and user_id > $2 order by user_id limit $3",
    )
    .bind(tenant(tx))
    .bind(after.map_or(Uuid::nil(), UserId::uuid))
    .bind(i64::from(limit))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(view).collect()
}

/// How many users are not gone.
///
/// # Errors
/// [`ReadError`]
pub async fn count_users(tx: &mut TenantTx) -> Result<u64, ReadError> {
    let row = sqlx::query(
        "select count(*) as n from scim_user where tenant_id = $1 and build = live_build('scim') and not gone",
    )
    .bind(tenant(tx))
    .fetch_one(&mut **tx)
    .await?;
    row.count("n")
}

/// Those of these users who exist and are not gone.
///
/// # Errors
/// [`ReadError`]
pub async fn users_known(tx: &mut TenantTx, users: &[UserId]) -> Result<BTreeSet<UserId>, ReadError> {
    let rows = sqlx::query(
        "select user_id from scim_user
         where tenant_id = $1 and build = live_build('scim') and not gone and user_id = any($2)",
    )
    .bind(tenant(tx))
    .bind(uuids(users))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(|row| row.id("user_id")).collect()
}

/// The users for whom an attribute (one of [`model::scim::ACCOUNT_ATTRIBUTES`]) names this account, ignoring case; two
/// at most, since then nobody knows whose it is.
///
/// # Errors
/// [`ReadError`]
pub async fn users_with_account(tx: &mut TenantTx, attribute: &str, account: &str) -> Result<Vec<UserView>, ReadError> {
    let rows = sqlx::query(
        "select user_id, person_id, version, email, name, profile, active, gone, created_at, updated_at from scim_user
         where tenant_id = $1 and build = live_build('scim') and not gone and profile is not null
           and lower(case $2
             when 'userName' then profile->>'userName'
             when 'externalId' then profile->>'externalId'
             when 'emails.value' then email
             when 'displayName' then profile->'attributes'->>'displayName'
             when 'nickName' then profile->'attributes'->>'nickName'
             when 'employeeNumber' then
               profile->'attributes'->'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User'->>'employeeNumber'
           end) = $3
         order by user_id limit 2",
    )
    .bind(tenant(tx))
    .bind(attribute)
    .bind(folded(account.trim()))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(view).collect()
}

fn apply(row: &mut Option<UserView>, id: UserId, Dated { event, version, at }: Dated<UserEvent>) {
    if let UserEvent::UserCreated(e) = event {
        *row = Some(UserView {
            id,
            person: e.person,
            version,
            email: e.email.into_inner(),
            name: e.name.into_inner(),
            profile: None,
            active: true,
            gone: false,
            created_at: at,
            updated_at: at,
        });
        return;
    }
    let Some(row) = row else { return };
    row.version = version;
    match event {
        UserEvent::UserChanged(e) => {
            row.email = e.email.into_inner();
            row.name = e.name.into_inner();
        }
        UserEvent::UserDisabled(_) => row.active = false,
        UserEvent::UserEnabled(_) => {
            row.active = true;
            // Opened again by an administrator: there for the identity provider, too.
            row.gone = false;
        }
        UserEvent::UserProvisioned(e) => {
            row.profile = e.profile.into_inner().map(|profile| *profile);
            row.gone = false;
        }
        UserEvent::UserDeprovisioned(_) => row.gone = true,
        // Of these only the version is seen.
        UserEvent::UserCreated(_)
        | UserEvent::PasswordChanged(_)
        | UserEvent::UserInvited(_)
        | UserEvent::MfaEnrolled(_)
        | UserEvent::MfaRemoved(_)
        | UserEvent::PasskeyRegistered(_)
        | UserEvent::PasskeyRemoved(_)
        | UserEvent::PasskeyFlagged(_)
        | UserEvent::ChannelLocked(_)
        | UserEvent::CodeVerified(_)
        | UserEvent::SignedIn(_)
        | UserEvent::IdentityLinked(_)
        | UserEvent::IdentitiesUnlinked(_)
        | UserEvent::SignedOut(_) => return,
    }
    row.updated_at = at;
}

pub(super) async fn flush(
    tx: &mut TenantTx,
    build: i32,
    touched: Touched<UserId, (UserId, Dated<UserEvent>)>,
) -> Result<(), FlushError> {
    if touched.is_empty() {
        return Ok(());
    }
    let stored = sqlx::query(
        "select user_id, person_id, version, email, name, profile, active, gone, created_at, updated_at from scim_user
         where tenant_id = $1 and build = $2 and user_id = any($3)",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(uuids(touched.keys()))
    .fetch_all(&mut **tx)
    .await?;
    let before = stored.iter().map(view).collect::<Result<Vec<_>, _>>()?;
    let rows = touched
        .settle(before, |row| row.id, |row, (id, dated)| apply(row, id, dated))
        .rows;
    let profiles = rows
        .iter()
        .map(|row| row.profile.as_ref().map(serde_json::to_string).transpose())
        .collect::<Result<Vec<_>, _>>()?;
    sqlx::query(
        "insert into scim_user (tenant_id, build, user_id, person_id, version, email, email_folded, name, name_folded,
           user_name_folded, external_id, profile, active, gone, created_at, updated_at)
         select $1, $2, r.user_id, r.person_id, r.version, r.email, lower(r.email), r.name, lower(r.name),
           r.user_name, r.external_id, r.profile::json, r.active, r.gone, r.created_at, r.updated_at
         from unnest($3::uuid[], $4::uuid[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
             $11::boolean[], $12::boolean[], $13::timestamptz[], $14::timestamptz[])
           as r (user_id, person_id, version, email, name, user_name, external_id, profile, active, gone, created_at,
             updated_at)
         on conflict (tenant_id, build, user_id) do update set
           person_id = excluded.person_id, version = excluded.version, email = excluded.email,
           email_folded = excluded.email_folded, name = excluded.name, name_folded = excluded.name_folded,
           user_name_folded = excluded.user_name_folded, external_id = excluded.external_id,
           profile = excluded.profile, active = excluded.active, gone = excluded.gone,
           created_at = excluded.created_at, updated_at = excluded.updated_at",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(column(&rows, |r| r.id.uuid()))
    .bind(column(&rows, |r| r.person.uuid()))
    .bind(column(&rows, |r| number(r.version)))
    .bind(column(&rows, |r| r.email.as_deref().map(without_nul)))
    .bind(column(&rows, |r| r.name.as_deref().map(without_nul)))
    .bind(column(&rows, |r| folded(r.user_name())))
    .bind(column(&rows, |r| {
        r.profile
            .as_ref()
            .and_then(|p| p.external_id.as_deref())
            .map(without_nul)
    }))
    .bind(profiles)
    .bind(column(&rows, |r| r.active))
    .bind(column(&rows, |r| r.gone))
    .bind(column(&rows, |r| moment(r.created_at)))
    .bind(column(&rows, |r| moment(r.updated_at)))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn erase(tx: &mut TenantTx, build: i32, erased: &BTreeSet<PersonId>) -> Result<(), FlushError> {
    if erased.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update scim_user set email = null, email_folded = null, name = null, name_folded = null,
           user_name_folded = null, external_id = null, profile = null, gone = true
         where tenant_id = $1 and build = $2 and person_id = any($3)",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(uuids(erased))
    .execute(&mut **tx)
    .await?;
    Ok(())
}
