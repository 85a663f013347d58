//! What can be asked about policies.

use std::collections::BTreeMap;

use eventstore::TenantTx;
use formats::{Actor, CollectionId, DeploymentGroupId, PolicyId, Timestamp};
use policy_engine::{Control, PolicyDocument, PolicyStatus, PolicyType};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use super::store;
use crate::{
    Page, Paged, ReadError,
    columns::{Columns, search_words, small, tenant, uuids, written},
};

/// A policy as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyView {
    /// Its id.
    pub id: PolicyId,
    /// The number of the live revision, from 1.
    pub revision: u32,
    /// The live revision; name, type, status and controls are in it.
    pub document: PolicyDocument,
    /// The revision that some groups have before the others.
    pub staged: Option<Staged>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// Who changed it last.
    pub updated_by: Actor,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
    /// The position of its last event.
    pub position: u64,
}

/// A staged revision.
#[derive(Debug, Clone, PartialEq)]
pub struct Staged {
    /// Its number.
    pub revision: u32,
    /// What it says.
    pub document: PolicyDocument,
    /// Who has it.
    pub groups: Vec<DeploymentGroupId>,
}

/// A live policy, for evaluation and lint.
#[derive(Debug, Clone, PartialEq)]
pub struct CurrentPolicy {
    /// Its id.
    pub id: PolicyId,
    /// The number of the live revision.
    pub revision: u32,
    /// What it says.
    pub document: PolicyDocument,
}

/// Which policies are listed. Empty lists mean any.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PolicyFilter {
    /// Of these types.
    pub types: Vec<PolicyType>,
    /// With these statuses.
    pub statuses: Vec<PolicyStatus>,
    /// With one of these controls.
    pub controls: Vec<Control>,
    /// Whose scopes name this collection: its id and its name.
    pub collection: Option<(CollectionId, String)>,
    /// Each of these words begins a word of the name.
    pub search: Option<String>,
    /// Deleted ones too.
    pub deleted: bool,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PolicySort {
    /// By name, ignoring case.
    #[default]
    Name,
    /// The one that was changed last comes first.
    NewestFirst,
    /// From `off` to `enforce`, then by name.
    Status,
}

impl PolicySort {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::NewestFirst => "newest",
            Self::Status => "status",
        }
    }
}

/// One revision of a policy.
#[derive(Debug, Clone, PartialEq)]
pub struct RevisionView {
    /// Whose it is.
    pub policy: PolicyId,
    /// Its number, from 1.
    pub number: u32,
    /// How it came about.
    pub change: RevisionChange,
    /// Where it stands now.
    pub state: RevisionState,
    /// What it says.
    pub document: PolicyDocument,
    /// Why, in the author's words; may be empty.
    pub reason: String,
    /// Who made it.
    pub author: Actor,
    /// When.
    pub at: Timestamp,
    /// The position of the event.
    pub position: u64,
    /// Who has it while it is staged.
    pub groups: Vec<DeploymentGroupId>,
    /// When it went from staged to live.
    pub promoted_at: Option<Timestamp>,
    /// When it was taken back.
    pub withdrawn_at: Option<Timestamp>,
}

/// How a revision came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevisionChange {
    /// With the policy.
    Created,
    /// By an edit.
    Revised,
    /// By a new status alone.
    StatusSet,
    /// By saying again what an earlier one said.
    RolledBack {
        /// The earlier one.
        to: u32,
    },
    /// For some groups first.
    Staged,
}

impl RevisionChange {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Revised => "revised",
            Self::StatusSet => "status_set",
            Self::RolledBack { .. } => "rolled_back",
            Self::Staged => "staged",
        }
    }

    pub(super) const fn rolled_back_to(self) -> Option<u32> {
        match self {
            Self::RolledBack { to } => Some(to),
            Self::Created | Self::Revised | Self::StatusSet | Self::Staged => None,
        }
    }

    fn read(row: &PgRow) -> Result<Self, ReadError> {
        Ok(match row.try_get::<&str, _>("change")? {
            "created" => Self::Created,
            "revised" => Self::Revised,
            "status_set" => Self::StatusSet,
            "rolled_back" => Self::RolledBack {
                to: row.small_count("rolled_back_to")?,
            },
            "staged" => Self::Staged,
            other => return Err(ReadError::Unreadable(format!("revision change `{other}`"))),
        })
    }
}

/// Where a revision stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevisionState {
    /// The live one.
    Current,
    /// Some groups have it before the others.
    Staged,
    /// A later one took its place.
    Superseded,
    /// Taken back before it was live.
    Withdrawn,
}

fn view(row: &PgRow) -> Result<PolicyView, ReadError> {
    Ok(PolicyView {
        id: row.id("policy_id")?,
        revision: row.small_count("revision")?,
        document: row.document("document")?,
        staged: store::staged(row)?,
        created_at: row.at("created_at")?,
        updated_at: row.at("updated_at")?,
        updated_by: row.document("updated_by")?,
        deleted_at: row.at_or_null("deleted_at")?,
        position: row.count("position")?,
    })
}

/// A policy, deleted or not.
///
/// # Errors
/// [`ReadError`]
pub async fn find(tx: &mut TenantTx, policy: PolicyId) -> Result<Option<PolicyView>, ReadError> {
    Ok(find_many(tx, &[policy]).await?.pop())
}

/// Those of the policies that exist, deleted or not, in no particular order.
///
/// # Errors
/// [`ReadError`]
pub async fn find_many(tx: &mut TenantTx, policies: &[PolicyId]) -> Result<Vec<PolicyView>, ReadError> {
    let rows = sqlx::query(
        "select policy_id, revision, document, staged_revision, staged_document, staged_groups, created_at, updated_at,
           updated_by, deleted_at, position
         from policy where tenant_id = $1 and build = live_build('policies') and policy_id = any($2)",
    )
    .bind(tenant(tx))
    .bind(uuids(policies))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(view).collect()
}

/// A page of policies.
///
/// A tenant's policies are few enough (`policy_engine::limits`) that one pass over them costs less than an index for
/// each order; search under row-level security could use none anyway.
///
/// # Errors
/// [`ReadError`]
pub async fn list(
    tx: &mut TenantTx,
    filter: &PolicyFilter,
    sort: PolicySort,
    page: &Page,
) -> Result<Paged<PolicyView>, ReadError> {
    let from: Option<(String, Uuid)> = page.key()?;
    let (from_key, from_id) = from.unzip();
    let rows = sqlx::query(
        "with p as (
           select policy_id, revision, document, staged_revision, staged_document, staged_groups, created_at,
             updated_at, updated_by, deleted_at, position,
             case $2
               when 'newest' then lpad((9007199254740991 - position)::text, 16, '0')
               when 'status' then array_position(array['off', 'monitor', 'monitor_and_notify', 'enforce'], status)::text
                 || name_folded
               else name_folded
             end collate \"C\" as sort_key
           from policy
           where tenant_id = $1 and build = live_build('policies')
             and ($3 or deleted_at is null)
             and (cardinality($4::text[]) = 0 or policy_type = any($4))
             and (cardinality($5::text[]) = 0 or status = any($5))
             and (cardinality($6::text[]) = 0 or controls && $6)
             and ($7::text[] is null or collection_refs && $7)
             and (select coalesce(bool_and(exists (select from unnest(words) w where starts_with(w, q))), true)
                  from unnest($8::text[]) q)
         )
         select * from p
         where $9::text is null
           or case when $11 then (sort_key, policy_id) < ($9, $10::uuid) else (sort_key, policy_id) > ($9, $10) end
         order by case when $11 then sort_key end desc, case when $11 then policy_id end desc, sort_key, policy_id
         limit $12",
    )
    .bind(tenant(tx))
    .bind(sort.as_str())
    .bind(filter.deleted)
    .bind(written(&filter.types)?)
    .bind(written(&filter.statuses)?)
    .bind(written(&filter.controls)?)
    .bind(
        filter
            .collection
            .as_ref()
            .map(|(id, name)| vec![id.to_string(), name.clone()]),
    )
    .bind(search_words(filter.search.as_deref()))
    .bind(from_key)
    .bind(from_id)
    .bind(page.backward)
    .bind(page.fetch())
    .fetch_all(&mut **tx)
    .await?;
    let found = rows
        .iter()
        .map(|row| Ok((view(row)?, row.try_get::<String, _>("sort_key")?)))
        .collect::<Result<Vec<_>, ReadError>>()?;
    Ok(page
        .cut(found, |(policy, key)| (key.clone(), policy.id.uuid()))?
        .map(|(policy, _)| policy))
}

/// How many policies there are that are not deleted.
///
/// # Errors
/// [`ReadError`]
pub async fn count(tx: &mut TenantTx) -> Result<u64, ReadError> {
    let row = sqlx::query(
        "select count(*) as count from policy
         where tenant_id = $1 and build = live_build('policies') and deleted_at is null",
    )
    .bind(tenant(tx))
    .fetch_one(&mut **tx)
    .await?;
    row.count("count")
}

/// How many policies have each status. Statuses that none has are left out.
///
/// # Errors
/// [`ReadError`]
pub async fn counts_by_status(tx: &mut TenantTx) -> Result<BTreeMap<PolicyStatus, u64>, ReadError> {
    let rows = sqlx::query(
        "select status, count(*) as count from policy
         where tenant_id = $1 and build = live_build('policies') and deleted_at is null group by status",
    )
    .bind(tenant(tx))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter()
        .map(|row| Ok((row.word("status")?, row.count("count")?)))
        .collect()
}

/// All policies that are not deleted, in the order in which they were made: what lint and evaluation look at. Those
/// with status `off` are among them.
///
/// # Errors
/// [`ReadError`]
pub async fn current(tx: &mut TenantTx) -> Result<Vec<CurrentPolicy>, ReadError> {
    let rows = sqlx::query(
        "select policy_id, revision, document from policy
         where tenant_id = $1 and build = live_build('policies') and deleted_at is null order by policy_id",
    )
    .bind(tenant(tx))
    .fetch_all(&mut **tx)
    .await?;
    let read = rows.iter().map(|row| {
        Ok(CurrentPolicy {
            id: row.id("policy_id")?,
            revision: row.small_count("revision")?,
            document: row.document("document")?,
        })
    });
    read.collect()
}

/// The policies whose scopes, live or staged, name a collection: id, name, and whether it is by the collection's name
/// (so that the collection can't be renamed).
///
/// # Errors
/// [`ReadError`]
pub async fn using_collection(
    tx: &mut TenantTx,
    collection: CollectionId,
    name: &str,
) -> Result<Vec<(PolicyId, String, bool)>, ReadError> {
    let rows = sqlx::query(
        "select policy_id, name, $3 = any(collection_refs) as by_name from policy
         where tenant_id = $1 and build = live_build('policies') and deleted_at is null
           and collection_refs && array[$2, $3] order by name_folded, policy_id",
    )
    .bind(tenant(tx))
    .bind(collection.to_string())
    .bind(name)
    .fetch_all(&mut **tx)
    .await?;
    rows.iter()
        .map(|row| Ok((row.id("policy_id")?, row.try_get("name")?, row.try_get("by_name")?)))
        .collect()
}

/// Whether any revision of the policy was in a monitoring status: a fact for lint.
///
/// # Errors
/// [`ReadError`]
pub async fn ever_monitored(tx: &mut TenantTx, policy: PolicyId) -> Result<bool, ReadError> {
    let row = sqlx::query(
        "select exists (select from policy_revision where tenant_id = $1 and build = live_build('policies')
           and policy_id = $2 and status in ('monitor', 'monitor_and_notify')) as monitored",
    )
    .bind(tenant(tx))
    .bind(policy.uuid())
    .fetch_one(&mut **tx)
    .await?;
    Ok(row.try_get("monitored")?)
}

/// A page of a policy's revisions, newest first.
///
/// # Errors
/// [`ReadError`]
pub async fn revisions(tx: &mut TenantTx, policy: PolicyId, page: &Page) -> Result<Paged<RevisionView>, ReadError> {
    let from: Option<u32> = page.key()?;
    let rows = sqlx::query(
        "select r.policy_id, r.revision, r.change, r.rolled_back_to, r.document, r.reason, r.author, r.at, r.position,
           r.groups, r.promoted_at, r.withdrawn_at, p.revision as current, p.staged_revision as staged
         from policy_revision r
           join policy p on p.tenant_id = r.tenant_id and p.build = r.build and p.policy_id = r.policy_id
         where r.tenant_id = $1 and r.build = live_build('policies') and r.policy_id = $2
           and ($3::int is null or case when $4 then r.revision > $3 else r.revision < $3 end)
         order by case when $4 then r.revision end, r.revision desc
         limit $5",
    )
    .bind(tenant(tx))
    .bind(policy.uuid())
    .bind(from.map(small))
    .bind(page.backward)
    .bind(page.fetch())
    .fetch_all(&mut **tx)
    .await?;
    page.cut(rows.iter().map(revision_view).collect::<Result<_, _>>()?, |r| r.number)
}

/// One revision.
///
/// # Errors
/// [`ReadError`]
pub async fn revision(tx: &mut TenantTx, policy: PolicyId, number: u32) -> Result<Option<RevisionView>, ReadError> {
    let row = sqlx::query(
        "select r.policy_id, r.revision, r.change, r.rolled_back_to, r.document, r.reason, r.author, r.at, r.position,
           r.groups, r.promoted_at, r.withdrawn_at, p.revision as current, p.staged_revision as staged
         from policy_revision r
           join policy p on p.tenant_id = r.tenant_id and p.build = r.build and p.policy_id = r.policy_id
         where r.tenant_id = $1 and r.build = live_build('policies') and r.policy_id = $2 and r.revision = $3",
    )
    .bind(tenant(tx))
    .bind(policy.uuid())
    .bind(small(number))
    .fetch_optional(&mut **tx)
    .await?;
    row.as_ref().map(revision_view).transpose()
}

/// Those of these revisions that exist, in no particular order.
///
/// # Errors
/// [`ReadError`]
pub async fn revisions_by_number(
    tx: &mut TenantTx,
    revisions: &[(PolicyId, u32)],
) -> Result<Vec<RevisionView>, ReadError> {
    let (policies, numbers): (Vec<Uuid>, Vec<i32>) = revisions
        .iter()
        .map(|(policy, number)| (policy.uuid(), small(*number)))
        .unzip();
    let rows = sqlx::query(
        "select r.policy_id, r.revision, r.change, r.rolled_back_to, r.document, r.reason, r.author, r.at, r.position,
           r.groups, r.promoted_at, r.withdrawn_at, p.revision as current, p.staged_revision as staged
         from unnest($2::uuid[], $3::int[]) as w (policy_id, revision)
           join policy_revision r on r.tenant_id = $1 and r.build = live_build('policies')
             and r.policy_id = w.policy_id and r.revision = w.revision
           join policy p on p.tenant_id = r.tenant_id and p.build = r.build and p.policy_id = r.policy_id",
    )
    .bind(tenant(tx))
    .bind(policies)
    .bind(numbers)
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(revision_view).collect()
}

/// Those of the policies of which some revision was in a monitoring status: a fact for lint.
///
/// # Errors
/// [`ReadError`]
pub async fn monitored(tx: &mut TenantTx, policies: &[PolicyId]) -> Result<Vec<PolicyId>, ReadError> {
    let rows = sqlx::query(
        "select distinct policy_id from policy_revision
         where tenant_id = $1 and build = live_build('policies') and policy_id = any($2)
           and status in ('monitor', 'monitor_and_notify')",
    )
    .bind(tenant(tx))
    .bind(uuids(policies))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(|row| row.id("policy_id")).collect()
}

fn revision_view(row: &PgRow) -> Result<RevisionView, ReadError> {
    let number = row.small_count("revision")?;
    let withdrawn_at = row.at_or_null("withdrawn_at")?;
    let state = if withdrawn_at.is_some() {
        RevisionState::Withdrawn
    } else if row.small_or_null("staged")? == Some(number) {
        RevisionState::Staged
    } else if row.small_count("current")? == number {
        RevisionState::Current
    } else {
        RevisionState::Superseded
    };
    Ok(RevisionView {
        policy: row.id("policy_id")?,
        number,
        change: RevisionChange::read(row)?,
        state,
        document: row.document("document")?,
        reason: row.try_get("reason")?,
        author: row.document("author")?,
        at: row.at("at")?,
        position: row.count("position")?,
        groups: row.ids("groups")?,
        promoted_at: row.at_or_null("promoted_at")?,
        withdrawn_at,
    })
}
