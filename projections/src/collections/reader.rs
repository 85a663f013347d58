//! What can be asked about collections.

use std::collections::BTreeMap;

use eventstore::TenantTx;
use formats::{ApprovalRuleId, CollectionId, PolicyId, Timestamp};
use policy_engine::{Collection, CollectionKind};
use uuid::Uuid;

use super::store::view;
use crate::{
    Page, Paged, ReadError, approval_rules,
    columns::{search_words, tenant},
    policies,
};

/// A collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionView {
    /// Its id.
    pub id: CollectionId,
    /// What its members are.
    pub kind: CollectionKind,
    /// Its name, unique in the tenant ignoring case.
    pub name: String,
    /// Typed scope entries.
    pub members: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl CollectionView {
    /// As the engine wants it.
    #[must_use]
    pub fn collection(&self) -> Collection {
        Collection {
            kind: self.kind,
            members: self.members.clone(),
        }
    }
}

/// Which collections are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CollectionFilter {
    /// Of this kind.
    pub kind: Option<CollectionKind>,
    /// Each of these words begins a word of the name.
    pub search: Option<String>,
}

/// Who uses a collection: id, name, and whether it is by the collection's name, so that the name has to stay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Policies whose scopes name it, live or staged.
    pub policies: Vec<(PolicyId, String, bool)>,
    /// Approval rules that name it.
    pub rules: Vec<(ApprovalRuleId, String, bool)>,
}

impl Usage {
    /// What uses it, for people: the names of policies and rules.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.policies
            .iter()
            .map(|p| p.1.clone())
            .chain(self.rules.iter().map(|r| r.1.clone()))
            .collect()
    }

    /// What uses it by its name.
    #[must_use]
    pub fn by_name(&self) -> Vec<String> {
        let policies = self.policies.iter().filter(|p| p.2).map(|p| p.1.clone());
        policies
            .chain(self.rules.iter().filter(|r| r.2).map(|r| r.1.clone()))
            .collect()
    }
}

/// A collection by its id.
///
/// # Errors
/// [`ReadError`]
pub async fn find(tx: &mut TenantTx, collection: CollectionId) -> Result<Option<CollectionView>, ReadError> {
    let row = sqlx::query(
        "select collection_id, kind, name, members, created_at, updated_at
         from collection where tenant_id = $1 and build = live_build('collections') and collection_id = $2",
    )
    .bind(tenant(tx))
    .bind(collection.uuid())
    .fetch_optional(&mut **tx)
    .await?;
    row.as_ref().map(view).transpose()
}

/// A collection by what a scope writes after `collection:`, its exact name or its id.
///
/// # Errors
/// [`ReadError`]
pub async fn find_by_ref(tx: &mut TenantTx, name_or_id: &str) -> Result<Option<CollectionView>, ReadError> {
    let id = name_or_id.parse::<CollectionId>().ok();
    let row = sqlx::query(
        "select collection_id, kind, name, members, created_at, updated_at
         from collection
         where tenant_id = $1 and build = live_build('collections') and (name = $2 or collection_id = $3)
         order by collection_id = $3 desc nulls last limit 1",
    )
    .bind(tenant(tx))
    .bind(name_or_id)
    .bind(id.map(CollectionId::uuid))
    .fetch_optional(&mut **tx)
    .await?;
    row.as_ref().map(view).transpose()
}

/// A page of collections, by name.
///
/// # Errors
/// [`ReadError`]
pub async fn list(
    tx: &mut TenantTx,
    filter: &CollectionFilter,
    page: &Page,
) -> Result<Paged<CollectionView>, ReadError> {
    let from: Option<(String, Uuid)> = page.key()?;
    let (from_name, from_id) = from.unzip();
    let rows = sqlx::query(
        "select collection_id, kind, name, members, created_at, updated_at
         from collection
         where tenant_id = $1 and build = live_build('collections')
           and ($2::text is null or kind = $2)
           and (select coalesce(bool_and(exists (select from unnest(words) w where starts_with(w, q))), true)
                from unnest($3::text[]) q)
           and ($4::text is null or case when $6 then (name_folded, collection_id) < ($4, $5::uuid)
                else (name_folded, collection_id) > ($4, $5) end)
         order by case when $6 then name_folded end desc, case when $6 then collection_id end desc, name_folded,
           collection_id
         limit $7",
    )
    .bind(tenant(tx))
    .bind(filter.kind.map(CollectionKind::as_str))
    .bind(search_words(filter.search.as_deref()))
    .bind(from_name)
    .bind(from_id)
    .bind(page.backward)
    .bind(page.fetch())
    .fetch_all(&mut **tx)
    .await?;
    let found = rows.iter().map(view).collect::<Result<_, _>>()?;
    page.cut(found, |c| (crate::columns::folded(&c.name), c.id.uuid()))
}

/// All collections, by name.
///
/// # Errors
/// [`ReadError`]
pub async fn all(tx: &mut TenantTx) -> Result<Vec<CollectionView>, ReadError> {
    let rows = sqlx::query(
        "select collection_id, kind, name, members, created_at, updated_at
         from collection where tenant_id = $1 and build = live_build('collections') order by name_folded",
    )
    .bind(tenant(tx))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(view).collect()
}

/// All collections under each string by which a scope may name them: their names and their ids. A fact for saving
/// policies.
///
/// # Errors
/// [`ReadError`]
pub async fn lookup(tx: &mut TenantTx) -> Result<BTreeMap<String, Collection>, ReadError> {
    let all = all(tx).await?;
    let by_name = all.iter().map(|c| (c.name.clone(), c.collection()));
    // An id wins over a name that is spelled like it, as it does in the engine.
    Ok(by_name
        .chain(all.iter().map(|c| (c.id.to_string(), c.collection())))
        .collect())
}

/// Who uses a collection.
///
/// # Errors
/// [`ReadError`]
pub async fn used_by(tx: &mut TenantTx, collection: CollectionId) -> Result<Usage, ReadError> {
    let Some(CollectionView { name, .. }) = find(tx, collection).await? else {
        return Ok(Usage::default());
    };
    let id = collection.to_string();
    let policies = policies::using_collection(tx, collection, &name).await?;
    let rules = approval_rules::all(tx)
        .await?
        .into_iter()
        .filter_map(|rule| {
            let by_name = rule.definition.collections.contains(&name);
            (by_name || rule.definition.collections.contains(&id)).then_some((rule.id, rule.definition.name, by_name))
        })
        .collect();
    Ok(Usage { policies, rules })
}
