//! Rotation and revocation of signing keys, and moving to another master key.

use std::time::Duration;

use formats::{Purpose, TenantId};
use sqlx::Row;
use zeroize::Zeroizing;

use super::{DATA, Vault, VaultError, key_name};
use crate::TenantTx;

impl Vault {
    /// Replaces the active key of a purpose and publishes a new key set. What the old key signed verifies until
    /// `overlap` has passed. Returns the new key's id.
    ///
    /// # Errors
    /// [`VaultError`]
    pub async fn rotate(&self, tenant: TenantId, purpose: Purpose, overlap: Duration) -> Result<String, VaultError> {
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
        self.publish_in(&mut tx, &data).await?;
        tx.commit().await?;
        self.0.tenants.remove(&tenant);
        Ok(kid)
    }

    /// Takes a key out of the key set at once and destroys it; if it was the active one, another takes its place.
    ///
    /// # Errors
    /// [`VaultError::UnknownKey`] where the tenant has no such signing key, and the others.
    pub async fn revoke(&self, tenant: TenantId, kid: &str) -> Result<(), VaultError> {
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
        let purpose: String = row.try_get("purpose")?;
        let purpose = Purpose::ALL
            .into_iter()
            .find(|p| p.as_str() == purpose)
            .ok_or_else(unknown)?;
        let was_active = row.try_get::<&str, _>("status")? == "active";
        sqlx::query("update tenant_key set status = 'revoked', wrapped = null where tenant_id = $1 and kid = $2")
            .bind(tenant.uuid())
            .bind(kid)
            .execute(&mut *tx)
            .await?;
        if was_active {
            self.insert_signing_key(&mut tx, &data, purpose.as_str()).await?;
        }
        self.publish_in(&mut tx, &data).await?;
        tx.commit().await?;
        self.0.tenants.remove(&tenant);
        Ok(())
    }

    /// Wraps a tenant's data key anew with the first master key of this vault. After all tenants, the older master keys
    /// are no longer needed.
    ///
    /// # Errors
    /// [`VaultError`]
    pub async fn rewrap(&self, tenant: TenantId) -> Result<(), VaultError> {
        let mut tx = TenantTx::begin(&self.0.pool, tenant).await?;
        let data = self.lock_in(&mut tx).await?;
        let master = &self.0.masters[0];
        let wrapped = master
            .wrap(&key_name(tenant, DATA, DATA), &data[..], self.0.ambient.bytes())
            .await?;
        sqlx::query("update tenant_key set wrapped = $2, master_id = $3 where tenant_id = $1 and purpose = 'data'")
            .bind(tenant.uuid())
            .bind(wrapped)
            .bind(master.id())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        self.0.tenants.remove(&tenant);
        Ok(())
    }

    /// Locks the tenant's key set, so that changes come one after the other, and opens the data key.
    async fn lock_in(&self, tx: &mut TenantTx) -> Result<Zeroizing<[u8; 32]>, VaultError> {
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
