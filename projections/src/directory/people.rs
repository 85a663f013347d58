//! Persons who are known from endpoints, and the users they turned out to be.
//!
//! The person of a user's account has no row here until it acts on an endpoint; it is its own canonical person.

use std::collections::BTreeMap;

use eventstore::TenantTx;
use formats::{EndpointId, PersonId, Timestamp, UserId};
use model::person::PersonEvent;
use sqlx::{Row, postgres::PgRow};

use crate::{
    FlushError, ReadError,
    columns::{Columns, column, folded, moment, moment_or_null, tenant, uuids, without_nul},
    touched::Touched,
};

/// A person who is known from an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonView {
    /// Its id.
    pub id: PersonId,
    /// The endpoint account; none once erased.
    pub account: Option<String>,
    /// Where it was seen first.
    pub endpoint: Option<EndpointId>,
    /// When it was seen first.
    pub seen_at: Option<Timestamp>,
    /// The user it is, once linked, and that user's person.
    pub link: Option<Link>,
    /// When it was erased.
    pub erased_at: Option<Timestamp>,
}

/// That a person is a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The user.
    pub user: UserId,
    /// The person of that user.
    pub user_person: PersonId,
    /// `admin`, `scim` or `oidc`.
    pub by: String,
    /// Since when.
    pub at: Timestamp,
}

impl PersonView {
    /// The person that rules about 'own' compare: the linked user's, else this one.
    #[must_use]
    pub fn canonical(&self) -> PersonId {
        self.link.as_ref().map_or(self.id, |link| link.user_person)
    }
}

fn view(row: &PgRow) -> Result<PersonView, ReadError> {
    let link = match row.id_or_null("user_id")? {
        Some(user) => Some(Link {
            user,
            user_person: row.id("user_person_id")?,
            by: row.try_get("linked_by")?,
            at: row.at("linked_at")?,
        }),
        None => None,
    };
    Ok(PersonView {
        id: row.id("person_id")?,
        account: row.try_get("account")?,
        endpoint: row.id_or_null("endpoint_id")?,
        seen_at: row.at_or_null("seen_at")?,
        link,
        erased_at: row.at_or_null("erased_at")?,
    })
}

/// One person, known from an endpoint.
///
/// # Errors
/// [`ReadError`]
pub async fn person(tx: &mut TenantTx, person: PersonId) -> Result<Option<PersonView>, ReadError> {
    let row = sqlx::query(
        "select person_id, account, endpoint_id, seen_at, user_id, user_person_id, linked_by, linked_at, erased_at
         from directory_person where tenant_id = $1 and build = live_build('directory') and person_id = $2",
    )
    .bind(tenant(tx))
    .bind(person.uuid())
    .fetch_optional(&mut **tx)
    .await?;
    row.as_ref().map(view).transpose()
}

/// The person behind an endpoint account, ignoring case.
///
/// # Errors
/// [`ReadError`]
pub async fn person_by_account(tx: &mut TenantTx, account: &str) -> Result<Option<PersonView>, ReadError> {
    let row = sqlx::query(
        "select person_id, account, endpoint_id, seen_at, user_id, user_person_id, linked_by, linked_at, erased_at
         from directory_person where tenant_id = $1 and build = live_build('directory') and account_folded = $2",
    )
    .bind(tenant(tx))
    .bind(folded(account.trim()))
    .fetch_optional(&mut **tx)
    .await?;
    row.as_ref().map(view).transpose()
}

/// The person that rules about 'own' compare: that of the linked user, else the person itself.
///
/// # Errors
/// [`ReadError`]
pub async fn canonical(tx: &mut TenantTx, id: PersonId) -> Result<PersonId, ReadError> {
    Ok(person(tx, id).await?.map_or(id, |person| person.canonical()))
}

/// The person of a user's account.
///
/// # Errors
/// [`ReadError`]
pub async fn canonical_of_user(tx: &mut TenantTx, user: UserId) -> Result<Option<PersonId>, ReadError> {
    let row = sqlx::query(
        "select person_id from directory_user
         where tenant_id = $1 and build = live_build('directory') and user_id = $2",
    )
    .bind(tenant(tx))
    .bind(user.uuid())
    .fetch_optional(&mut **tx)
    .await?;
    row.map(|row| row.id("person_id")).transpose()
}

/// All persons that are this user: the account's own, and those linked to it.
///
/// # Errors
/// [`ReadError`]
pub async fn persons_of_user(tx: &mut TenantTx, user: UserId) -> Result<Vec<PersonId>, ReadError> {
    let rows = sqlx::query(
        "select person_id from directory_user
         where tenant_id = $1 and build = live_build('directory') and user_id = $2
         union
         select person_id from directory_person
         where tenant_id = $1 and build = live_build('directory') and user_id = $2",
    )
    .bind(tenant(tx))
    .bind(user.uuid())
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(|row| row.id("person_id")).collect()
}

/// The endpoint accounts that are linked to a user.
///
/// # Errors
/// [`ReadError`]
pub async fn accounts_of_user(tx: &mut TenantTx, user: UserId) -> Result<Vec<PersonView>, ReadError> {
    let rows = sqlx::query(
        "select person_id, account, endpoint_id, seen_at, user_id, user_person_id, linked_by, linked_at, erased_at
         from directory_person where tenant_id = $1 and build = live_build('directory') and user_id = $2
         order by seen_at, person_id",
    )
    .bind(tenant(tx))
    .bind(user.uuid())
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(view).collect()
}

/// Those of these persons that are known from an endpoint, in no particular order.
///
/// # Errors
/// [`ReadError`]
pub async fn persons(tx: &mut TenantTx, persons: &[PersonId]) -> Result<Vec<PersonView>, ReadError> {
    let rows = sqlx::query(
        "select person_id, account, endpoint_id, seen_at, user_id, user_person_id, linked_by, linked_at, erased_at
         from directory_person where tenant_id = $1 and build = live_build('directory') and person_id = any($2)",
    )
    .bind(tenant(tx))
    .bind(uuids(persons))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(view).collect()
}

/// The endpoint accounts that are linked to each of these users, in the order they were seen.
///
/// # Errors
/// [`ReadError`]
pub async fn accounts_of_users(tx: &mut TenantTx, users: &[UserId]) -> Result<Vec<PersonView>, ReadError> {
    let rows = sqlx::query(
        "select person_id, account, endpoint_id, seen_at, user_id, user_person_id, linked_by, linked_at, erased_at
         from directory_person where tenant_id = $1 and build = live_build('directory') and user_id = any($2)
         order by seen_at, person_id",
    )
    .bind(tenant(tx))
    .bind(uuids(users))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(view).collect()
}

/// The accounts that were first seen on each of these endpoints, at most 200 of an endpoint.
///
/// # Errors
/// [`ReadError`]
pub async fn accounts_on_endpoints(tx: &mut TenantTx, endpoints: &[EndpointId]) -> Result<Vec<PersonView>, ReadError> {
    let rows = sqlx::query(
        "select p.person_id, p.account, p.endpoint_id, p.seen_at, p.user_id, p.user_person_id, p.linked_by, p.linked_at,
           p.erased_at
         from unnest($2::uuid[]) as e (endpoint_id) cross join lateral (
           select * from directory_person d
           where d.tenant_id = $1 and d.build = live_build('directory') and d.endpoint_id = e.endpoint_id
           order by d.seen_at, d.person_id limit 200) p",
    )
    .bind(tenant(tx))
    .bind(uuids(endpoints))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(view).collect()
}

/// The accounts that were first seen on an endpoint, at most 200.
///
/// # Errors
/// [`ReadError`]
pub async fn accounts_on(tx: &mut TenantTx, endpoint: EndpointId) -> Result<Vec<PersonView>, ReadError> {
    let rows = sqlx::query(
        "select person_id, account, endpoint_id, seen_at, user_id, user_person_id, linked_by, linked_at, erased_at
         from directory_person where tenant_id = $1 and build = live_build('directory') and endpoint_id = $2
         order by seen_at, person_id limit 200",
    )
    .bind(tenant(tx))
    .bind(endpoint.uuid())
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(view).collect()
}

pub(super) fn subject(event: &PersonEvent) -> PersonId {
    match event {
        PersonEvent::EndpointAccountSeen(e) => e.person,
        PersonEvent::EndpointAccountLinked(e) => e.person,
        PersonEvent::EndpointAccountUnlinked(e) => e.person,
        PersonEvent::PersonErased(e) => e.person,
    }
}

fn apply(row: &mut Option<PersonView>, id: PersonId, event: PersonEvent, at: Timestamp) {
    let row = row.get_or_insert_with(|| PersonView {
        id,
        account: None,
        endpoint: None,
        seen_at: None,
        link: None,
        erased_at: None,
    });
    match event {
        PersonEvent::EndpointAccountSeen(e) => {
            row.account = e.account.into_inner();
            row.endpoint = Some(e.endpoint);
            row.seen_at = Some(at);
        }
        PersonEvent::EndpointAccountLinked(e) => {
            row.link = Some(Link {
                user: e.user,
                user_person: e.user_person,
                by: e.by,
                at,
            });
        }
        PersonEvent::EndpointAccountUnlinked(_) => row.link = None,
        // The account is cleared by `erase`, after everything else of the batch.
        PersonEvent::PersonErased(_) => row.erased_at = Some(at),
    }
}

pub(super) async fn flush(
    tx: &mut TenantTx,
    build: i32,
    touched: Touched<PersonId, (PersonEvent, Timestamp)>,
) -> Result<(), FlushError> {
    if touched.is_empty() {
        return Ok(());
    }
    let stored = sqlx::query(
        "select person_id, account, endpoint_id, seen_at, user_id, user_person_id, linked_by, linked_at, erased_at
         from directory_person where tenant_id = $1 and build = $2 and person_id = any($3)",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(uuids(touched.keys()))
    .fetch_all(&mut **tx)
    .await?;
    let before = stored.iter().map(view).collect::<Result<Vec<_>, _>>()?;
    let rows = touched
        .settle(
            before,
            |row| row.id,
            |row, (event, at)| apply(row, subject(&event), event, at),
        )
        .rows;
    sqlx::query(
        "insert into directory_person (tenant_id, build, person_id, account, account_folded, endpoint_id, seen_at,
           user_id, user_person_id, linked_by, linked_at, erased_at)
         select $1, $2, r.*
         from unnest($3::uuid[], $4::text[], $5::text[], $6::uuid[], $7::timestamptz[], $8::uuid[], $9::uuid[],
             $10::text[], $11::timestamptz[], $12::timestamptz[]) as r
         on conflict (tenant_id, build, person_id) do update set
           account = excluded.account, account_folded = excluded.account_folded, endpoint_id = excluded.endpoint_id,
           seen_at = excluded.seen_at, user_id = excluded.user_id, user_person_id = excluded.user_person_id,
           linked_by = excluded.linked_by, linked_at = excluded.linked_at, erased_at = excluded.erased_at",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(column(&rows, |r| r.id.uuid()))
    .bind(column(&rows, |r| r.account.as_deref().map(without_nul)))
    .bind(column(&rows, |r| r.account.as_deref().map(folded)))
    .bind(column(&rows, |r| r.endpoint.map(EndpointId::uuid)))
    .bind(column(&rows, |r| moment_or_null(r.seen_at)))
    .bind(column(&rows, |r| r.link.as_ref().map(|link| link.user.uuid())))
    .bind(column(&rows, |r| r.link.as_ref().map(|link| link.user_person.uuid())))
    .bind(column(&rows, |r| r.link.as_ref().map(|link| link.by.as_str())))
    .bind(column(&rows, |r| r.link.as_ref().map(|link| moment(link.at))))
    .bind(column(&rows, |r| moment_or_null(r.erased_at)))
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
        "update directory_person set account = null, account_folded = null
         where tenant_id = $1 and build = $2 and person_id = any($3)",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(uuids(erased.keys()))
    .execute(&mut **tx)
    .await?;
    Ok(())
}
