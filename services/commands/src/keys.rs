//! Tenants' keys, as operators handle them: changed, withdrawn, and noted in the tenant's log.

use std::time::Duration;

use eventstore::{DataRotation, KeyChange, KeyInfo, VaultError, WrappedColumn};
use formats::{Purpose, UserId};
use model::tenant::{Tenant, TenantCommand};
use serde_json::json;

use crate::{App, Caller, Outcome, Refusal, tenants::operator};

/// Every column with secrets under tenants' data keys, the vault's own aside. A test compares it with the catalogue.
pub const WRAPPED: &[WrappedColumn] = &[WrappedColumn {
    table: "totp",
    id: "user_id",
    column: "wrapped",
    name: |user| crate::auth::totp_secret_name(UserId::from_uuid(user)),
}];

impl App {
    /// A tenant's signing keys, those of the past too.
    ///
    /// # Errors
    /// `FORBIDDEN` for anyone but operators.
    pub async fn signing_keys(&self, caller: &Caller) -> Outcome<Vec<KeyInfo>> {
        operator(caller)?;
        Ok(self.store.vault().signing_keys(caller.tenant).await?)
    }

    /// Gives a tenant a new signing key; the old one stays in the key set until the overlap is over. Gives the new key's
    /// id.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`, `UNAVAILABLE`.
    pub async fn rotate_key(&self, caller: &Caller, purpose: Purpose, overlap: Duration) -> Outcome<String> {
        operator(caller)?;
        self.note_key_set(caller).await?;
        let change = self.store.vault().rotate(caller.tenant, purpose, overlap).await?;
        let kid = change.active.clone().unwrap_or_default();
        self.note(caller, "rotateKey", change).await?;
        Ok(kid)
    }

    /// Takes a signing key out of the key set at once, after it was lost or seen: whatever it signed is worth nothing any
    /// more. Gives the id of the key that takes its place, where it was in use.
    ///
    /// # Errors
    /// `NOT_FOUND` where there is no such key that is still in the set, `FORBIDDEN`, `UNAVAILABLE`.
    pub async fn revoke_key(&self, caller: &Caller, kid: &str) -> Outcome<Option<String>> {
        operator(caller)?;
        self.note_key_set(caller).await?;
        let change = match self.store.vault().revoke(caller.tenant, kid).await {
            Err(VaultError::UnknownKey(_)) => return Err(Refusal::not_found("key")),
            change => change?,
        };
        let active = change.active.clone();
        self.note(caller, "revokeKey", change).await?;
        Ok(active)
    }

    /// Begins to replace a tenant's data key and wraps its secrets anew, or goes on with it, as far as it gets now.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`, `UNAVAILABLE`.
    pub async fn rotate_data_key(&self, caller: &Caller) -> Outcome<DataRotation> {
        operator(caller)?;
        Ok(self.store.vault().rotate_data(caller.tenant, WRAPPED).await?)
    }

    /// Notes the present key set in the log, where it was not: keys and log are written apart, and a process may die in
    /// between. Whether there was something to note.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`, `UNAVAILABLE`.
    pub async fn note_key_set(&self, caller: &Caller) -> Outcome<bool> {
        operator(caller)?;
        let state: Tenant = self.state(caller.tenant, caller.tenant.uuid()).await?;
        match self.store.vault().last_change(caller.tenant).await? {
            Some(change) if change.version > state.key_set_version() => {
                self.note(caller, "noteKeySet", change).await?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    async fn note(&self, caller: &Caller, operation: &str, change: KeyChange) -> Outcome<()> {
        let content = json!({ "version": change.version });
        let command = TenantCommand::ChangeKeySet {
            version: change.version,
            purpose: change.purpose.as_str().to_owned(),
            active: change.active,
            withdrawn: change.withdrawn,
        };
        let noted = self
            .run::<Tenant>(caller, operation, caller.tenant.uuid(), &content, command)
            .await;
        match noted {
            // Another operator's act found it not noted yet, and did so.
            Err(refusal) if refusal.code == "STALE_VERSION" => {
                let state: Tenant = self.state(caller.tenant, caller.tenant.uuid()).await?;
                if state.key_set_version() >= change.version {
                    Ok(())
                } else {
                    Err(refusal)
                }
            }
            noted => noted.map(|_| ()),
        }
    }
}
