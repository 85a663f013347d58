//! The vault: every key of the product (`docs/architecture.md § 4`).
//!
//! A master key outside the database wraps one data key per tenant, which wraps everything else: the keys of claims
//! and links, the root and the signing keys, and one key per person. Unwrapped keys are cached for a minute, bounded,
//! wiped when dropped and never printed.

mod data;
mod keys;
mod kms;
mod master;
mod person;
mod rotate;

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use formats::{
    Ambient, KeySet, PersonKey, PublishedKey, Purpose, SigningKey, TenantId, Timestamp, VerifyingKey,
    keyset::KeySetError, mac::MacKey, wrap::unwrap_key,
};
use sqlx::{PgPool, Row, types::time::OffsetDateTime};
use zeroize::Zeroizing;

use crate::{TenantTx, cache::Cache};

pub use data::{DataRotation, WrappedColumn};
pub use keys::TenantKeys;
use keys::key_name;
pub use kms::CommandMasterKey;
pub use master::{Answer, LocalMasterKey, MasterKey, MasterKeyError};
pub(crate) use person::People;
pub use rotate::{KeyChange, KeyInfo};

/// The purpose of the key that wraps the others.
const DATA: &str = "data";
/// The purpose of the key of claims and fingerprints.
const MAC: &str = "mac";
/// The purpose of the key of mail links.
const LINK: &str = "link";
/// The purpose of the root key.
const ROOT: &str = "root";

/// How long an unwrapped key is used before the database is asked again: the longest that a rotation or an erasure in
/// another process goes unnoticed by writers here. (Readers ask each time.)
const FRESH: Duration = Duration::from_secs(60);

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The tenant has no keys: there is no such tenant, or it was deleted.
    #[error("tenant {0} has no keys")]
    NoKeys(TenantId),
    /// The tenant's keys were wrapped by a master key that this process does not have.
    #[error("the keys of tenant {tenant} were wrapped by the master key `{wanted}`, but this process has {known}")]
    ForeignMasterKey {
        /// Whose keys.
        tenant: TenantId,
        /// The id of the key they need.
        wanted: String,
        /// The ids of the keys at hand.
        known: String,
    },
    /// The master key failed.
    #[error(transparent)]
    Master(#[from] MasterKeyError),
    /// A stored key does not open, or is missing: someone changed the database.
    #[error("the key `{0}` of the tenant is missing, was altered, or belongs to another tenant")]
    Altered(String),
    /// No such key, or it was revoked.
    #[error("the tenant has no key `{0}`")]
    UnknownKey(String),
    /// The stored key set is not signed by the root key.
    #[error("the stored key set does not verify: {0}")]
    KeySet(#[from] KeySetError),
    /// The database failed.
    #[error("keys cannot be read: {0}")]
    Database(#[from] sqlx::Error),
}

/// All keys of all tenants. Cheap to clone.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    pool: PgPool,
    ambient: Ambient,
    masters: Vec<Arc<dyn MasterKey>>,
    tenants: Cache<TenantId, (Timestamp, Arc<TenantKeys>)>,
    people: Cache<person::Who, person::Kept>,
}

impl Vault {
    /// A vault whose new data keys are wrapped by the first master key; the others still open what they wrapped
    /// (see [`Vault::rewrap`]).
    #[must_use]
    pub fn new(pool: PgPool, ambient: Ambient, master: Arc<dyn MasterKey>, older: Vec<Arc<dyn MasterKey>>) -> Self {
        let masters = std::iter::once(master).chain(older).collect();
        Self(Arc::new(Inner {
            pool,
            ambient,
            masters,
            tenants: Cache::new(2_048),
            people: Cache::new(16_384),
        }))
    }

    /// A tenant's keys.
    ///
    /// # Errors
    /// [`VaultError`]
    pub async fn tenant(&self, tenant: TenantId) -> Result<Arc<TenantKeys>, VaultError> {
        let now = self.0.ambient.now();
        if let Some((at, keys)) = self.0.tenants.get(&tenant)
            && now.since(at) < FRESH
        {
            return Ok(keys);
        }
        let mut tx = TenantTx::begin_read(&self.0.pool, tenant).await?;
        let keys = self.tenant_in(&mut tx).await?;
        tx.commit().await?;
        Ok(keys)
    }

    /// As [`Vault::tenant`], on the caller's connection.
    ///
    /// # Errors
    /// [`VaultError`]
    pub async fn tenant_in(&self, tx: &mut TenantTx) -> Result<Arc<TenantKeys>, VaultError> {
        let (tenant, now) = (tx.tenant(), self.0.ambient.now());
        if let Some((at, keys)) = self.0.tenants.get(&tenant)
            && now.since(at) < FRESH
        {
            return Ok(keys);
        }
        let keys = Arc::new(self.read_in(tx).await?);
        self.0.tenants.insert(tenant, (now, Arc::clone(&keys)));
        Ok(keys)
    }

    /// Makes a new tenant's keys in the transaction that makes the tenant.
    pub(crate) async fn create_in(&self, tx: &mut TenantTx) -> Result<TenantKeys, VaultError> {
        let tenant = tx.tenant();
        let data = Zeroizing::new(self.0.ambient.bytes::<32>());
        let master = &self.0.masters[0];
        let wrapped = master
            .wrap(&key_name(tenant, DATA, DATA), &data[..], self.0.ambient.bytes())
            .await?;
        let now = self.0.ambient.now().to_datetime();
        sqlx::query(
            "insert into tenant_key (tenant_id, kid, purpose, status, wrapped, master_id, created_at)
             values ($1, 'data', 'data', 'active', $2, $3, $4)",
        )
        .bind(tenant.uuid())
        .bind(wrapped)
        .bind(master.id())
        .bind(now)
        .execute(&mut **tx)
        .await?;
        for purpose in [MAC, LINK] {
            let secret = Zeroizing::new(self.0.ambient.bytes::<32>());
            self.insert_key(tx, &data, purpose, purpose, &secret, None).await?;
        }
        self.insert_signing_key(tx, &data, ROOT).await?;
        for purpose in Purpose::ALL {
            self.insert_signing_key(tx, &data, purpose.as_str()).await?;
        }
        self.publish_in(tx, &data).await?;
        self.read_in(tx).await
    }

    async fn read_in(&self, tx: &mut TenantTx) -> Result<TenantKeys, VaultError> {
        let tenant = tx.tenant();
        let rows = sqlx::query(
            "select kid, purpose, wrapped, master_id
             from tenant_key where tenant_id = $1 and (status = 'active' or purpose = 'data' and status = 'retiring')
             order by status, created_at",
        )
        .bind(tenant.uuid())
        .fetch_all(&mut **tx)
        .await?;
        if rows.is_empty() {
            return Err(VaultError::NoKeys(tenant));
        }
        let mut stored = HashMap::new();
        // The one that new secrets are wrapped under comes first: `active` before `retiring`.
        let mut data_keys = Vec::new();
        for row in &rows {
            let (purpose, kid): (String, String) = (row.try_get("purpose")?, row.try_get("kid")?);
            let wrapped: Vec<u8> = row.try_get("wrapped")?;
            if purpose == DATA {
                let master_id: String = row.try_get("master_id")?;
                data_keys.push(self.open_data(tenant, &master_id, &kid, &wrapped).await?);
            } else {
                stored.insert(purpose, (kid, wrapped));
            }
        }
        let missing = |purpose: &str| VaultError::Altered(purpose.to_owned());
        let mut data_keys = data_keys.into_iter();
        let data = data_keys.next().ok_or_else(|| missing(DATA))?;
        let older_data: Vec<_> = data_keys.collect();
        let open = |purpose: &str| {
            let (kid, wrapped) = stored.get(purpose).ok_or_else(|| missing(purpose))?;
            let secret = unwrap_key(&data, &key_name(tenant, purpose, kid), wrapped).map_err(|_| missing(purpose))?;
            Ok::<_, VaultError>((kid.clone(), secret))
        };
        let root = SigningKey::from_seed(&open(ROOT)?.1);
        let mut signing = HashMap::new();
        for purpose in Purpose::ALL {
            let (kid, seed) = open(purpose.as_str())?;
            signing.insert(purpose, (kid, SigningKey::from_seed(&seed)));
        }
        let (mac, link) = (MacKey::from_bytes(*open(MAC)?.1), MacKey::from_bytes(*open(LINK)?.1));
        let token: String = sqlx::query_scalar("select token from tenant_key_set where tenant_id = $1")
            .bind(tenant.uuid())
            .fetch_optional(&mut **tx)
            .await?
            .ok_or_else(|| missing("key set"))?;
        let set = KeySet::verify(&root.public(), &token, Some(tenant), 0)?;
        Ok(TenantKeys {
            tenant,
            data,
            older_data,
            mac,
            link,
            root,
            signing,
            set,
            token,
        })
    }

    /// Unwraps a data key with the master key that wrapped it.
    async fn open_data(
        &self,
        tenant: TenantId,
        master_id: &str,
        kid: &str,
        wrapped: &[u8],
    ) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        let Some(master) = self.0.masters.iter().find(|master| master.id() == master_id) else {
            let known = self
                .0
                .masters
                .iter()
                .map(|m| format!("`{}`", m.id()))
                .collect::<Vec<_>>()
                .join(", ");
            return Err(VaultError::ForeignMasterKey {
                tenant,
                wanted: master_id.to_owned(),
                known,
            });
        };
        let secret = master.unwrap(&key_name(tenant, DATA, kid), wrapped).await?;
        let bytes: [u8; 32] = secret
            .as_slice()
            .try_into()
            .map_err(|_| VaultError::Altered(DATA.to_owned()))?;
        Ok(Zeroizing::new(bytes))
    }

    /// A new key pair of a purpose; returns its id.
    async fn insert_signing_key(
        &self,
        tx: &mut TenantTx,
        data: &[u8; 32],
        purpose: &str,
    ) -> Result<String, VaultError> {
        let key = SigningKey::from_seed(&Zeroizing::new(self.0.ambient.bytes()));
        let kid = key.public().kid();
        self.insert_key(tx, data, purpose, &kid, key.expose_seed(), Some(key.public()))
            .await?;
        Ok(kid)
    }

    async fn insert_key(
        &self,
        tx: &mut TenantTx,
        data: &[u8; 32],
        purpose: &str,
        kid: &str,
        secret: &[u8; 32],
        public: Option<VerifyingKey>,
    ) -> Result<(), VaultError> {
        let tenant = tx.tenant();
        let wrapped = formats::wrap::wrap(data, &key_name(tenant, purpose, kid), secret, self.0.ambient.bytes());
        sqlx::query(
            "insert into tenant_key (tenant_id, kid, purpose, status, wrapped, public, created_at)
             values ($1, $2, $3, 'active', $4, $5, $6)",
        )
        .bind(tenant.uuid())
        .bind(kid)
        .bind(purpose)
        .bind(wrapped)
        .bind(public.map(|key| key.to_bytes().to_vec()))
        .bind(self.0.ambient.now().to_datetime())
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Signs the set of the keys that are active or retiring now, one version higher than before. The caller holds the
    /// row of the set, or is the first to write it.
    ///
    /// Gives the new version, and the keys that are over and so no longer in the set.
    async fn publish_in(&self, tx: &mut TenantTx, data: &[u8; 32]) -> Result<(u64, Vec<String>), VaultError> {
        let tenant = tx.tenant();
        let now = self.0.ambient.now().to_datetime();
        let withdrawn: Vec<String> = sqlx::query_scalar(
            "update tenant_key set status = 'revoked', wrapped = null
             where tenant_id = $1 and status = 'retiring' and purpose <> 'data' and not_after <= $2 returning kid",
        )
        .bind(tenant.uuid())
        .bind(now)
        .fetch_all(&mut **tx)
        .await?;
        let rows = sqlx::query(
            "select kid, purpose, public, not_after, wrapped from tenant_key
             where tenant_id = $1 and status <> 'revoked' and public is not null order by created_at, kid",
        )
        .bind(tenant.uuid())
        .fetch_all(&mut **tx)
        .await?;
        let mut keys = Vec::new();
        let mut root = None;
        for row in &rows {
            let (kid, purpose): (String, String) = (row.try_get("kid")?, row.try_get("purpose")?);
            let altered = || VaultError::Altered(kid.clone());
            if let Some(purpose) = Purpose::ALL.into_iter().find(|p| p.as_str() == purpose) {
                let public: [u8; 32] = row.try_get::<Vec<u8>, _>("public")?.try_into().map_err(|_| altered())?;
                let public = VerifyingKey::from_bytes(&public).map_err(|_| altered())?;
                let not_after: Option<OffsetDateTime> = row.try_get("not_after")?;
                keys.push(PublishedKey {
                    not_after: not_after.map(Timestamp::from_datetime),
                    ..PublishedKey::new(purpose, public)
                });
            } else {
                let wrapped: Vec<u8> = row.try_get("wrapped")?;
                let seed = unwrap_key(data, &key_name(tenant, ROOT, &kid), &wrapped).map_err(|_| altered())?;
                root = Some(SigningKey::from_seed(&seed));
            }
        }
        let root = root.ok_or_else(|| VaultError::Altered(ROOT.to_owned()))?;
        let version: Option<i64> = sqlx::query_scalar("select version from tenant_key_set where tenant_id = $1")
            .bind(tenant.uuid())
            .fetch_optional(&mut **tx)
            .await?;
        let version = version.unwrap_or(0) + 1;
        let published = crate::append::to_u64(version);
        let set = KeySet {
            tenant,
            version: published,
            keys,
        };
        let token = set.sign(&root).map_err(|_| VaultError::Altered("key set".to_owned()))?;
        sqlx::query(
            "insert into tenant_key_set (tenant_id, version, token) values ($1, $2, $3)
             on conflict (tenant_id) do update set version = excluded.version, token = excluded.token",
        )
        .bind(tenant.uuid())
        .bind(version)
        .bind(token)
        .execute(&mut **tx)
        .await?;
        Ok((published, withdrawn))
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault")
            .field("masters", &self.0.masters)
            .finish_non_exhaustive()
    }
}

/// A person's key and its version, where it was not destroyed.
pub(crate) type Person = Option<(u32, PersonKey)>;
