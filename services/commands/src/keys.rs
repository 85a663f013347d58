//! Tenants' keys, as operators handle them: changed, withdrawn, and noted in the tenant's log.

use std::time::Duration;

use eventstore::{DataRotation, KeyChange, KeyInfo, VaultError, WrappedColumn};
use formats::{Purpose, TypedId};
use model::tenant::{Tenant, TenantCommand};
use serde_json::json;

use crate::{App, Caller, Outcome, Refusal, auth, platform::Act, tenants::operator};

/// Every column with secrets under tenants' data keys, the vault's own aside. A test compares it with the catalogue.
pub const WRAPPED: &[WrappedColumn] = &[
    WrappedColumn {
        table: "totp",
        key: &[("user_id", "uuid")],
        column: "wrapped",
        name: |key| auth::totp_secret_name(id(&key[0])),
    },
    WrappedColumn {
        table: "passkey",
        key: &[("user_id", "uuid"), ("id", "uuid")],
        column: "wrapped",
        name: |key| auth::passkey_name(id(&key[0]), id(&key[1])),
    },
    WrappedColumn {
        table: "passkey_challenge",
        key: &[("user_id", "uuid"), ("purpose", "text"), ("binding", "bytea")],
        column: "wrapped",
        name: |key| auth::challenge_name(id(&key[0]), &key[1]),
    },
    WrappedColumn {
        table: "identity_provider_secret",
        key: &[("provider_id", "uuid"), ("secret_id", "text")],
        column: "wrapped",
        name: |key| auth::client_secret_name(id(&key[0]), &key[1]),
    },
];

/// An id as the database writes it. Of one that is none, no secret has the name.
fn id<T: TypedId>(text: &str) -> T {
    T::from_uuid(text.parse().unwrap_or_default())
}

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
        let work = async {
            self.note_key_set(caller).await?;
            let change = self.store.vault().rotate(caller.tenant, purpose, overlap).await?;
            let kid = change.active.clone().unwrap_or_default();
            self.note(caller, "rotateKey", change).await?;
            Ok(kid)
        };
        self.noted(caller, Act::on(caller, "rotateKey", purpose.as_str()), work)
            .await
    }

    /// Takes a signing key out of the key set at once, after it was lost or seen: whatever it signed is worth nothing any
    /// more. Gives the id of the key that takes its place, where it was in use.
    ///
    /// # Errors
    /// `NOT_FOUND` where there is no such key that is still in the set, `FORBIDDEN`, `UNAVAILABLE`.
    pub async fn revoke_key(&self, caller: &Caller, kid: &str) -> Outcome<Option<String>> {
        let work = async {
            self.note_key_set(caller).await?;
            let change = match self.store.vault().revoke(caller.tenant, kid).await {
                Err(VaultError::UnknownKey(_)) => return Err(Refusal::not_found("key")),
                change => change?,
            };
            let active = change.active.clone();
            self.note(caller, "revokeKey", change).await?;
            Ok(active)
        };
        self.noted(caller, Act::on(caller, "revokeKey", kid), work).await
    }

    /// Begins to replace a tenant's data key and wraps its secrets anew, or goes on with it, as far as it gets now.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`, `UNAVAILABLE`.
    pub async fn rotate_data_key(&self, caller: &Caller) -> Outcome<DataRotation> {
        let work = async { Ok(self.store.vault().rotate_data(caller.tenant, WRAPPED).await?) };
        self.noted(caller, Act::on(caller, "rotateDataKey", ""), work).await
    }

    /// Wraps the data key of every tenant under the present master key. Gives how many.
    ///
    /// # Errors
    /// `FORBIDDEN`, `UNAVAILABLE`.
    pub async fn rewrap_data_keys(&self, caller: &Caller) -> Outcome<usize> {
        let work = async {
            let tenants = self.store.tenants().await?;
            for tenant in &tenants {
                self.store.vault().rewrap(*tenant).await?;
            }
            Ok(tenants.len())
        };
        self.noted(caller, Act::of("rewrapDataKeys", ""), work).await
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
