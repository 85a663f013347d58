//! Rotation and revocation of signing keys, and moving to another master key.

use std::time::Duration;

use formats::{Purpose, TenantId, Timestamp};
use sqlx::{Row, types::time::OffsetDateTime};
use zeroize::Zeroizing;

use super::{DATA, Vault, VaultError, key_name};
use crate::TenantTx;

/// What a change of signing keys did to the key set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyChange {
    /// The version of the new set.
    pub version: u64,
    /// The purpose whose key was added or withdrawn.
    pub purpose: Purpose,
    /// The key of that purpose that signs from now on, where it is a new one.
    pub active: Option<String>,
    /// Keys that are no longer in the set.
    pub withdrawn: Vec<String>,
}

/// A signing key, without anything secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// The key's id.
    pub kid: String,
    /// What it signs.
    pub purpose: Purpose,
    /// `active`, `retiring` or `revoked`.
    pub status: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it verifies, where it signs no more.
    pub not_after: Option<Timestamp>,
}

impl Vault {
    /// Replaces the active key of a purpose and publishes a new key set. What the old key signed verifies until
    /// `overlap` has passed.
    ///
    /// # Errors
    /// [`VaultError`]
    pub async fn rotate(&self, tenant: TenantId, purpose: Purpose, overlap: Duration) -> Result<KeyChange, VaultError> {
        let mut tx = TenantTx::begin(&self.0.pool, tenant).await?;
        let data = self.lock_in(&mut tx).await?;
        sqlx::query(
            "update tenant_key set status = 'retiring', not_after = $3
             where tenant_id = $1 and purpose = $2 and status = 'active'",
        )
        .bind(tenant.uuid())
        .bind(purpose.as_str())
        .bind((self.0.ambient.now() + overlap).to_datetime())
        .execute(&mut *tx)
        .await?;
        let kid = self.insert_signing_key(&mut tx, &data, purpose.as_str()).await?;
        let (version, withdrawn) = self.publish_in(&mut tx, &data).await?;
        tx.commit().await?;
        self.0.tenants.remove(&tenant);
        Ok(KeyChange {
            version,
            purpose,
            active: Some(kid),
            withdrawn,
        })
    }

    /// Takes a key out of the key set at once and destroys it; if it was the active one, another takes its place.
    ///
    /// # Errors
    /// [`VaultError::UnknownKey`] where the tenant has no such signing key, and the others.
    pub async fn revoke(&self, tenant: TenantId, kid: &str) -> Result<KeyChange, VaultError> {
        let mut tx = TenantTx::begin(&self.0.pool, tenant).await?;
        let data = self.lock_in(&mut tx).await?;
        let unknown = || VaultError::UnknownKey(kid.to_owned());
        let row = sqlx::query(
            "select purpose, status from tenant_key where tenant_id = $1 and kid = $2 and status <> 'revoked'",
        )
        .bind(tenant.uuid())
        .bind(kid)
        .fetch_optional(&mut *tx)
        .await?
        .ok_or_else(unknown)?;
        let purpose = purpose_of(row.try_get("purpose")?).ok_or_else(unknown)?;
        let was_active = row.try_get::<&str, _>("status")? == "active";
        sqlx::query("update tenant_key set status = 'revoked', wrapped = null where tenant_id = $1 and kid = $2")
            .bind(tenant.uuid())
            .bind(kid)
            .execute(&mut *tx)
            .await?;
        let active = if was_active {
            Some(self.insert_signing_key(&mut tx, &data, purpose.as_str()).await?)
        } else {
            None
        };
        let (version, over) = self.publish_in(&mut tx, &data).await?;
        tx.commit().await?;
        self.0.tenants.remove(&tenant);
        let withdrawn = std::iter::once(kid.to_owned()).chain(over).collect();
        Ok(KeyChange {
            version,
            purpose,
            active,
            withdrawn,
        })
    }

    /// A tenant's signing keys, those of the past too, by purpose and age.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn signing_keys(&self, tenant: TenantId) -> Result<Vec<KeyInfo>, VaultError> {
        let mut tx = TenantTx::begin_read(&self.0.pool, tenant).await?;
        let rows = sqlx::query(
            "select kid, purpose, status, created_at, not_after from tenant_key
             where tenant_id = $1 and public is not null order by purpose, created_at, kid",
        )
        .bind(tenant.uuid())
        .fetch_all(&mut *tx)
        .await?;
        let mut keys = Vec::new();
        for row in &rows {
            let Some(purpose) = purpose_of(row.try_get("purpose")?) else {
                continue;
            };
            let not_after: Option<OffsetDateTime> = row.try_get("not_after")?;
            keys.push(KeyInfo {
                kid: row.try_get("kid")?,
                purpose,
                status: row.try_get("status")?,
                created_at: Timestamp::from_datetime(row.try_get("created_at")?),
                not_after: not_after.map(Timestamp::from_datetime),
            });
        }
        Ok(keys)
    }

    /// The change that made the present key set, as far as the keys still tell: for a log in which it was not noted
    /// because the process died in between. None where the set is the first one.
    ///
    /// # Errors
    /// [`VaultError`]
    pub async fn last_change(&self, tenant: TenantId) -> Result<Option<KeyChange>, VaultError> {
        let mut tx = TenantTx::begin_read(&self.0.pool, tenant).await?;
        let version: Option<i64> = sqlx::query_scalar("select version from tenant_key_set where tenant_id = $1")
            .bind(tenant.uuid())
            .fetch_optional(&mut *tx)
            .await?;
        let version = crate::append::to_u64(version.ok_or(VaultError::NoKeys(tenant))?);
        let keys = self.signing_keys(tenant).await?;
        let newest = keys
            .iter()
            .filter(|key| key.status == "active")
            .max_by_key(|key| key.created_at);
        Ok(newest.filter(|_| version > 1).map(|newest| KeyChange {
            version,
            purpose: newest.purpose,
            active: Some(newest.kid.clone()),
            withdrawn: keys
                .iter()
                .filter(|key| key.purpose == newest.purpose && key.status == "revoked")
                .map(|key| key.kid.clone())
                .collect(),
        }))
    }

    /// Wraps a tenant's data key anew with the first master key of this vault. After all tenants, the older master keys
    /// are no longer needed.
    ///
    /// # Errors
    /// [`VaultError`]
    pub async fn rewrap(&self, tenant: TenantId) -> Result<(), VaultError> {
        let mut tx = TenantTx::begin(&self.0.pool, tenant).await?;
        self.lock_in(&mut tx).await?;
        let master = &self.0.masters[0];
        // More than one while a data key is being replaced.
        let rows = sqlx::query(
            "select kid, wrapped, master_id from tenant_key
             where tenant_id = $1 and purpose = 'data' and status <> 'revoked'",
        )
        .bind(tenant.uuid())
        .fetch_all(&mut *tx)
        .await?;
        for row in &rows {
            let kid: String = row.try_get("kid")?;
            let data = self
                .open_data(tenant, row.try_get("master_id")?, &kid, row.try_get("wrapped")?)
                .await?;
            let wrapped = master
                .wrap(&key_name(tenant, DATA, &kid), &data[..], self.0.ambient.bytes())
                .await?;
            sqlx::query("update tenant_key set wrapped = $3, master_id = $4 where tenant_id = $1 and kid = $2")
                .bind(tenant.uuid())
                .bind(&kid)
                .bind(wrapped)
                .bind(master.id())
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        self.0.tenants.remove(&tenant);
        Ok(())
    }

    /// Locks the tenant's key set, so that changes come one after the other, and opens the data key.
    pub(super) async fn lock_in(&self, tx: &mut TenantTx) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        let tenant = tx.tenant();
        sqlx::query("select version from tenant_key_set where tenant_id = $1 for update")
            .bind(tenant.uuid())
            .fetch_optional(&mut **tx)
            .await?
            .ok_or(VaultError::NoKeys(tenant))?;
        let row = sqlx::query(
            "select kid, wrapped, master_id from tenant_key
             where tenant_id = $1 and purpose = 'data' and status = 'active'",
        )
        .bind(tenant.uuid())
        .fetch_optional(&mut **tx)
        .await?
        .ok_or_else(|| VaultError::Altered(DATA.to_owned()))?;
        self.open_data(
            tenant,
            row.try_get("master_id")?,
            row.try_get("kid")?,
            row.try_get("wrapped")?,
        )
        .await
    }
}

fn purpose_of(word: &str) -> Option<Purpose> {
    Purpose::ALL.into_iter().find(|purpose| purpose.as_str() == word)
}
