//! What commands read from read models again and again, and what changes rarely, kept in memory.
//!
//! An answer is kept with the position that its read model showed. It is current while the tenant's log shows no later
//! event of the streams that the read model is made of, which is asked anew in every use case
//! ([`eventstore::as_of_now`]): what another process wrote counts as well. A read model that lags or stands still keeps
//! nothing.

use std::{collections::BTreeMap, hash::Hash, sync::Arc};

use eventstore::{Cache, Store, TenantTx};
use formats::{DeploymentGroupId, PersonId, TenantId, UserId};
use model::request::Approver;
use policy_engine::Collection;
use projections::{
    Projection,
    collections::Collections,
    directory::{self, Directory},
    policy_snapshot::{self, Offered, PolicySnapshot},
};
use sha2::{Digest, Sha256};

use crate::{App, Outcome};

/// Answers of one kind that are kept, over all tenants.
const CAPACITY: usize = 10_000;

/// Answers of one kind, by the question.
struct Kept<K, V> {
    read_model: &'static dyn Projection,
    answers: Cache<(TenantId, K), (u64, V)>,
}

impl<K: Eq + Hash + Clone, V: Clone> Kept<K, V> {
    fn of(read_model: &'static dyn Projection) -> Self {
        Self {
            read_model,
            answers: Cache::new(CAPACITY),
        }
    }

    /// The answer, where it is current.
    async fn get(&self, store: &Store, tenant: TenantId, question: &K) -> Outcome<Option<V>> {
        let key = (tenant, question.clone());
        let (Some((as_of, answer)), Some(kinds)) = (self.answers.get(&key), self.read_model.streams()) else {
            return Ok(None);
        };
        Ok(store.unchanged(tenant, kinds, as_of).await?.then_some(answer))
    }

    /// Keeps an answer that was read in this transaction, all of whose statements see one snapshot.
    async fn put(&self, tx: &mut TenantTx, question: K, answer: V) -> Outcome<V> {
        let as_of = projections::shown(tx, self.read_model).await?;
        self.answers.insert((tx.tenant(), question), (as_of, answer.clone()));
        Ok(answer)
    }
}

/// Somebody who can decide requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Able {
    pub(crate) user: UserId,
    pub(crate) person: PersonId,
}

/// What is kept: nothing that an erasure takes away.
pub(crate) struct ReadOften {
    offered: Kept<DeploymentGroupId, Option<Offered>>,
    collections: Kept<(), Arc<BTreeMap<String, Collection>>>,
    /// By the hash of the account's name.
    accounts: Kept<[u8; 32], PersonId>,
    able: Kept<Vec<Approver>, Arc<[Able]>>,
    canonical: Kept<PersonId, PersonId>,
}

impl Default for ReadOften {
    fn default() -> Self {
        Self {
            offered: Kept::of(&PolicySnapshot),
            collections: Kept::of(&Collections),
            accounts: Kept::of(&Directory),
            able: Kept::of(&Directory),
            canonical: Kept::of(&Directory),
        }
    }
}

impl App {
    /// What a group's agents are offered now.
    pub(crate) async fn offered_to(&self, tenant: TenantId, group: DeploymentGroupId) -> Outcome<Option<Offered>> {
        let kept = &self.read_often.offered;
        if let Some(offered) = kept.get(&self.store, tenant, &group).await? {
            return Ok(offered);
        }
        let mut tx = self.reading(tenant).await?;
        let offered = policy_snapshot::offered_to(&mut tx, group).await?;
        kept.put(&mut tx, group, offered).await
    }

    /// The tenant's collections, by name and by id.
    pub(crate) async fn collections_by_name(&self, tenant: TenantId) -> Outcome<Arc<BTreeMap<String, Collection>>> {
        let kept = &self.read_often.collections;
        if let Some(collections) = kept.get(&self.store, tenant, &()).await? {
            return Ok(collections);
        }
        let mut tx = self.reading(tenant).await?;
        let collections = projections::collections::lookup(&mut tx).await?;
        kept.put(&mut tx, (), Arc::new(collections)).await
    }

    /// Whose endpoint account this is; none where it was never seen.
    pub(crate) async fn known_account(&self, tenant: TenantId, account: &str) -> Outcome<Option<PersonId>> {
        let kept = &self.read_often.accounts;
        let hash = Sha256::digest(account).into();
        if let Some(person) = kept.get(&self.store, tenant, &hash).await? {
            return Ok(Some(person));
        }
        let mut tx = self.reading(tenant).await?;
        match directory::person_by_account(&mut tx, account).await? {
            Some(known) => kept.put(&mut tx, hash, known.id).await.map(Some),
            None => Ok(None),
        }
    }

    /// Which users these approvers are now, of those that can decide.
    pub(crate) async fn able(&self, tenant: TenantId, approvers: &[Approver]) -> Outcome<Arc<[Able]>> {
        let kept = &self.read_often.able;
        let question = approvers.to_vec();
        if let Some(able) = kept.get(&self.store, tenant, &question).await? {
            return Ok(able);
        }
        let mut tx = self.reading(tenant).await?;
        let users = directory::resolve(&mut tx, approvers).await?;
        let able = users.iter().map(|user| Able {
            user: user.id,
            person: user.person,
        });
        kept.put(&mut tx, question, able.collect()).await
    }

    /// The person that rules about 'own' compare: that of the linked user, else the person itself.
    pub(crate) async fn canonical(&self, tenant: TenantId, person: PersonId) -> Outcome<PersonId> {
        let kept = &self.read_often.canonical;
        if let Some(canonical) = kept.get(&self.store, tenant, &person).await? {
            return Ok(canonical);
        }
        let mut tx = self.reading(tenant).await?;
        let canonical = directory::canonical(&mut tx, person).await?;
        kept.put(&mut tx, person, canonical).await
    }
}
