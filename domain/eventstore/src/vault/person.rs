//! The keys of people: made at first need, destroyed for good by erasure.

use std::collections::HashMap;

use formats::{PersonId, PersonKey, TenantId, Timestamp, wrap::wrap};
use sqlx::Row;
use zeroize::Zeroizing;

use super::{FRESH, Person, TenantKeys, Vault, VaultError, keys::named};
use crate::TenantTx;

/// A person of a tenant.
pub(super) type Who = (TenantId, PersonId);
/// When the database was asked, and what it said.
pub(super) type Kept = (Timestamp, Person);

/// Keys of people by person; `None` where the person was erased or never had one.
pub(crate) type People = HashMap<PersonId, PersonKey>;

const ENSURE: &str = "select key_version, wrapped from ensure_person_key($1, $2, $3)";

pub(super) fn name(tenant: TenantId, person: PersonId, version: u32) -> Vec<u8> {
    named(
        b"portcullis/person-key/1\n",
        tenant,
        &[&person.to_string(), &version.to_string()],
    )
}

impl Vault {
    /// The key of a person for new personal data, made if need be; none where the person was erased. Trusts the cache
    /// for a minute: what is sealed with a destroyed key stays unreadable.
    pub(crate) async fn person_for_writing(&self, tenant: TenantId, person: PersonId) -> Result<Person, VaultError> {
        let now = self.0.ambient.now();
        if let Some((at, kept)) = self.0.people.get(&(tenant, person))
            && now.since(at) < FRESH
        {
            return Ok(kept);
        }
        let keys = self.tenant(tenant).await?;
        let offer = self.offer(&keys, person);
        let row = sqlx::query(ENSURE)
            .bind(tenant.uuid())
            .bind(person.uuid())
            .bind(offer)
            .fetch_one(&self.0.pool)
            .await?;
        let found = open(&keys, person, row.try_get(0)?, row.try_get(1)?)?;
        self.0.people.insert((tenant, person), (now, found.clone()));
        Ok(found)
    }

    /// As [`Vault::person_for_writing`], for a tenant that is made in the same transaction.
    pub(crate) async fn person_of_new_tenant(
        &self,
        tx: &mut TenantTx,
        keys: &TenantKeys,
        person: PersonId,
    ) -> Result<Person, VaultError> {
        let row = sqlx::query(ENSURE)
            .bind(keys.tenant.uuid())
            .bind(person.uuid())
            .bind(self.offer(keys, person))
            .fetch_one(&mut **tx)
            .await?;
        open(keys, person, row.try_get(0)?, row.try_get(1)?)
    }

    /// A new key for a person who has none, wrapped.
    fn offer(&self, keys: &TenantKeys, person: PersonId) -> Vec<u8> {
        let fresh = Zeroizing::new(self.0.ambient.bytes::<32>());
        wrap(
            &keys.data,
            &name(keys.tenant, person, 1),
            &fresh[..],
            self.0.ambient.bytes(),
        )
    }

    /// The keys of those of these people who have one, as the database says now.
    pub(crate) async fn people_in(&self, tx: &mut TenantTx, people: &[PersonId]) -> Result<People, VaultError> {
        if people.is_empty() {
            return Ok(People::new());
        }
        let tenant = tx.tenant();
        let rows = sqlx::query(
            "select person_id, key_version, wrapped from person_key where tenant_id = $1 and person_id = any($2)",
        )
        .bind(tenant.uuid())
        .bind(people.iter().map(|person| person.uuid()).collect::<Vec<_>>())
        .fetch_all(&mut **tx)
        .await?;
        let now = self.0.ambient.now();
        let mut found = People::with_capacity(rows.len());
        let mut keys = None;
        for row in &rows {
            let person = PersonId::from_uuid(row.try_get(0)?);
            let wrapped: Option<Vec<u8>> = row.try_get(2)?;
            let person_key = match (wrapped.is_some(), self.0.people.get(&(tenant, person))) {
                // A key never changes but by being destroyed.
                (true, Some((_, Some(kept)))) => Some(kept),
                _ => {
                    let keys = match &keys {
                        Some(keys) => keys,
                        None => keys.insert(self.tenant_in(tx).await?),
                    };
                    open(keys, person, row.try_get(1)?, wrapped)?
                }
            };
            self.0.people.insert((tenant, person), (now, person_key.clone()));
            if let Some((_, key)) = person_key {
                found.insert(person, key);
            }
        }
        Ok(found)
    }

    /// Destroys a person's key in the caller's transaction, also where there is none yet, so that none is ever made.
    /// Call [`Vault::forget_person`] after the commit. All their personal data in the log is unreadable from then on;
    /// their rows in read models are the projections' to rewrite (`docs/formats.md § 4`).
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn erase_person_in(&self, tx: &mut TenantTx, person: PersonId) -> Result<(), VaultError> {
        sqlx::query(
            "insert into person_key (tenant_id, person_id, destroyed_at) values ($1, $2, $3)
             on conflict (tenant_id, person_id) do update
               set wrapped = null, destroyed_at = coalesce(person_key.destroyed_at, excluded.destroyed_at)",
        )
        .bind(tx.tenant().uuid())
        .bind(person.uuid())
        .bind(self.0.ambient.now().to_datetime())
        .execute(&mut **tx)
        .await?;
        self.forget_person(tx.tenant(), person);
        Ok(())
    }

    /// As [`Vault::erase_person_in`], in a transaction of its own.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn erase_person(&self, tenant: TenantId, person: PersonId) -> Result<(), VaultError> {
        let mut tx = TenantTx::begin(&self.0.pool, tenant).await?;
        self.erase_person_in(&mut tx, person).await?;
        tx.commit().await?;
        self.forget_person(tenant, person);
        Ok(())
    }

    /// Drops a person's key from this process's cache.
    pub fn forget_person(&self, tenant: TenantId, person: PersonId) {
        self.0.people.remove(&(tenant, person));
    }

    /// Whether the person's key was destroyed.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn is_erased_in(&self, tx: &mut TenantTx, person: PersonId) -> Result<bool, VaultError> {
        let destroyed: Option<bool> = sqlx::query_scalar(
            "select destroyed_at is not null from person_key where tenant_id = $1 and person_id = $2",
        )
        .bind(tx.tenant().uuid())
        .bind(person.uuid())
        .fetch_optional(&mut **tx)
        .await?;
        Ok(destroyed.unwrap_or(false))
    }
}

fn open(keys: &TenantKeys, person: PersonId, version: i32, wrapped: Option<Vec<u8>>) -> Result<Person, VaultError> {
    let Some(wrapped) = wrapped else { return Ok(None) };
    let version = u32::try_from(version).unwrap_or(0);
    let altered = || VaultError::Altered(person.to_string());
    let secret = keys
        .open(&name(keys.tenant, person, version), &wrapped)
        .map_err(|_| altered())?;
    let secret: [u8; 32] = secret.as_slice().try_into().map_err(|_| altered())?;
    Ok(Some((version, PersonKey::from_bytes(secret))))
}
