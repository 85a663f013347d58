//! Service accounts and their keys.

use formats::{ApiKeyId, Credential, CredentialKind, ServiceAccountId, Timestamp};
use model::{
    Scope,
    service_account::{ServiceAccount, ServiceAccountCommand},
};
use serde_json::json;

use crate::{Act, App, Caller, Outcome, Written, auth::store};

/// Something that is shown once.
#[derive(Debug)]
pub struct Issued {
    /// The command.
    pub written: Written,
    /// The id of the secret.
    pub id: uuid::Uuid,
    /// The secret as text; none where the command was repeated, since a secret is shown once only.
    pub secret: Option<String>,
}

impl App {
    /// Makes a service account.
    ///
    /// # Errors
    /// `BAD_INPUT`, `NAME_TAKEN`, `FORBIDDEN`.
    pub async fn create_service_account(&self, caller: &Caller, name: String, scopes: Vec<Scope>) -> Outcome<Written> {
        caller.demand(Act::WriteServiceAccounts)?;
        let account: ServiceAccountId = self.ambient().id();
        let content = json!({ "name": name, "scopes": scopes });
        let command = ServiceAccountCommand::CreateServiceAccount { account, name, scopes };
        self.run::<ServiceAccount>(caller, "createServiceAccount", account.uuid(), &content, command)
            .await
    }

    /// Issues a key; its secret is in the answer and nowhere else.
    ///
    /// # Errors
    /// `BAD_INPUT`, `SCOPE_BEYOND_ACCOUNT`, `TOO_MANY_KEYS`, `NOT_FOUND`, `FORBIDDEN`.
    pub async fn issue_api_key(
        &self,
        caller: &Caller,
        account: ServiceAccountId,
        scopes: Vec<Scope>,
        expires_at: Option<Timestamp>,
    ) -> Outcome<Issued> {
        caller.demand(Act::WriteServiceAccounts)?;
        let key: ApiKeyId = self.ambient().id();
        let credential = Credential::mint(CredentialKind::ApiKey, caller.tenant, key.uuid(), self.ambient());
        let content = json!({ "account": account, "scopes": scopes, "expiresAt": expires_at });
        let at = self.ambient().now();
        // The secret is stored before the event: a crash between the two leaves a hash that no event speaks of.
        let mut tx = self.writing(caller.tenant).await?;
        store::keep_credential(&mut tx, &credential, account.uuid(), at, expires_at).await?;
        tx.commit().await?;
        let command = ServiceAccountCommand::IssueApiKey {
            at,
            key,
            scopes,
            expires_at,
        };
        let result = self
            .run::<ServiceAccount>(caller, "issueApiKey", account.uuid(), &content, command)
            .await;
        if !matches!(&result, Ok(written) if !written.duplicate) {
            let mut tx = self.writing(caller.tenant).await?;
            store::forget_credential(&mut tx, CredentialKind::ApiKey, key.uuid()).await?;
            tx.commit().await?;
        }
        let written = result?;
        let secret = (!written.duplicate).then(|| credential.expose().to_string());
        Ok(Issued {
            written,
            id: key.uuid(),
            secret,
        })
    }

    /// Kills a key: the next request with it is refused.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`.
    pub async fn revoke_api_key(&self, caller: &Caller, account: ServiceAccountId, key: ApiKeyId) -> Outcome<Written> {
        caller.demand(Act::WriteServiceAccounts)?;
        let content = json!({ "account": account, "key": key });
        let command = ServiceAccountCommand::RevokeApiKey { key };
        let written = self
            .run::<ServiceAccount>(caller, "revokeApiKey", account.uuid(), &content, command)
            .await?;
        let mut tx = self.writing(caller.tenant).await?;
        store::revoke_credential(&mut tx, CredentialKind::ApiKey, key.uuid(), self.ambient().now()).await?;
        tx.commit().await?;
        Ok(written)
    }

    /// When each of these keys was last used, to the minute; those that never were are left out.
    ///
    /// # Errors
    /// `FORBIDDEN`
    pub async fn api_keys_used(&self, caller: &Caller, keys: &[ApiKeyId]) -> Outcome<Vec<(ApiKeyId, Timestamp)>> {
        caller.demand(Act::ReadServiceAccounts)?;
        let ids: Vec<_> = keys.iter().map(|key| key.uuid()).collect();
        let mut tx = self.reading(caller.tenant).await?;
        let used = store::credentials_used(&mut tx, CredentialKind::ApiKey, &ids).await?;
        Ok(used.into_iter().map(|(id, at)| (ApiKeyId::from_uuid(id), at)).collect())
    }

    /// Removes an account and all its keys.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`.
    pub async fn delete_service_account(&self, caller: &Caller, account: ServiceAccountId) -> Outcome<Written> {
        caller.demand(Act::WriteServiceAccounts)?;
        let content = json!({ "account": account });
        let command = ServiceAccountCommand::DeleteServiceAccount;
        let written = self
            .run::<ServiceAccount>(caller, "deleteServiceAccount", account.uuid(), &content, command)
            .await?;
        let mut tx = self.writing(caller.tenant).await?;
        store::revoke_credentials_of(&mut tx, account.uuid(), self.ambient().now()).await?;
        tx.commit().await?;
        Ok(written)
    }
}
