//! Service accounts and their keys.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use commands::{Act, Refusal};
use formats::{ApiKeyId, ServiceAccountId};
use model::Scope;
use projections::directory::{ApiKeyView, ServiceAccountView};

use super::{
    context::{Ask, Frame, shown as present, written},
    error::Answer,
    ids::{named, shown},
    loaders::{KeysOf, UseOf},
    scalars::{DateTime, Position},
};

#[derive(Debug, Clone)]
pub(crate) struct ServiceAccount(pub(crate) Arc<ServiceAccountView>);

impl ServiceAccount {
    /// One account, deleted or not.
    pub(crate) async fn find(frame: &Frame, id: ServiceAccountId) -> Answer<Option<Self>> {
        frame.caller.demand(Act::ReadServiceAccounts)?;
        Ok(frame.load().load_one(id).await?.map(Self))
    }
}

/// A non-human principal, for integrators.
#[Object]
impl ServiceAccount {
    pub(crate) async fn id(&self) -> ID {
        shown(self.0.id)
    }

    async fn name(&self) -> &str {
        &self.0.name
    }

    /// The most that its keys may do.
    async fn scopes(&self) -> Vec<&'static str> {
        self.0.scopes.iter().map(|scope| scope.as_str()).collect()
    }

    /// Dead ones too, oldest first.
    #[graphql(complexity = "1 + 5 * child_complexity")]
    async fn api_keys(&self, ctx: &Context<'_>) -> Answer<Vec<ApiKey>> {
        let frame = ctx.frame_for(Act::ReadServiceAccounts)?;
        let keys = frame.load().load_one(KeysOf(self.0.id)).await?.unwrap_or_default();
        Ok(keys.iter().cloned().map(ApiKey).collect())
    }

    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    async fn deleted_at(&self) -> Option<DateTime> {
        self.0.deleted_at.map(Into::into)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct ApiKey(pub(crate) ApiKeyView);

impl ApiKey {
    /// One key, dead or not.
    pub(crate) async fn find(frame: &Frame, id: ApiKeyId) -> Answer<Option<Self>> {
        frame.caller.demand(Act::ReadServiceAccounts)?;
        let mut tx = frame.tx().await?;
        Ok(projections::directory::api_key(&mut tx, id).await?.map(Self))
    }
}

/// A key of a service account.
#[Object]
impl ApiKey {
    pub(crate) async fn id(&self) -> ID {
        shown(self.0.id)
    }

    /// What tells it from its siblings: the end of its id.
    async fn label(&self) -> String {
        ending(&self.0.id.to_string())
    }

    async fn scopes(&self) -> Vec<&'static str> {
        self.0.scopes.iter().map(|scope| scope.as_str()).collect()
    }

    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    async fn expires_at(&self) -> Option<DateTime> {
        self.0.expires_at.map(Into::into)
    }

    /// To the minute.
    async fn last_used_at(&self, ctx: &Context<'_>) -> Answer<Option<DateTime>> {
        let frame = ctx.frame_for(Act::ReadServiceAccounts)?;
        Ok(frame.load().load_one(UseOf(self.0.id)).await?.map(Into::into))
    }

    async fn revoked_at(&self) -> Option<DateTime> {
        self.0.revoked_at.map(Into::into)
    }
}

/// A short name for what has none: `…x7q2m9`.
pub(crate) fn ending(id: &str) -> String {
    let from = id.len().saturating_sub(6);
    format!("…{}", id.get(from..).unwrap_or(id))
}

#[derive(Default)]
pub(crate) struct ServiceAccountQuery;

#[Object]
impl ServiceAccountQuery {
    /// All service accounts, by name.
    #[graphql(complexity = "1 + 20 * child_complexity")]
    async fn service_accounts(&self, ctx: &Context<'_>) -> Answer<Vec<ServiceAccount>> {
        let frame = ctx.frame_for(Act::ReadServiceAccounts)?;
        let mut tx = frame.tx().await?;
        let accounts = projections::directory::service_accounts(&mut tx).await?;
        Ok(accounts
            .into_iter()
            .map(|account| ServiceAccount(Arc::new(account)))
            .collect())
    }
}

#[derive(Debug, InputObject)]
pub(crate) struct CreateServiceAccountInput {
    name: String,
    /// The most that its keys may do; every scope where this is left out.
    scopes: Option<Vec<String>>,
}

#[derive(Debug, InputObject)]
pub(crate) struct DeleteServiceAccountInput {
    service_account_id: ID,
}

#[derive(Debug, SimpleObject)]
pub(crate) struct ServiceAccountPayload {
    service_account: ServiceAccount,
    position: Position,
}

#[derive(Debug, InputObject)]
pub(crate) struct IssueApiKeyInput {
    service_account_id: ID,
    /// Not kept: the end of the key's id stands for it.
    label: String,
    scopes: Vec<String>,
    expires_at: Option<DateTime>,
}

#[derive(Debug, SimpleObject)]
pub(crate) struct IssueApiKeyPayload {
    api_key: ApiKey,
    service_account: ServiceAccount,
    /// Shown this once; null where the same command was sent before.
    secret: Option<String>,
    position: Position,
}

#[derive(Debug, InputObject)]
pub(crate) struct RevokeApiKeyInput {
    api_key_id: ID,
}

#[derive(Debug, SimpleObject)]
pub(crate) struct ApiKeyPayload {
    api_key: ApiKey,
    service_account: ServiceAccount,
    position: Position,
}

/// Scopes from their words.
fn scopes(words: &[String]) -> Answer<Vec<Scope>> {
    let read = |(i, word): (usize, &String)| {
        Scope::ALL
            .into_iter()
            .find(|scope| scope.as_str() == word)
            .ok_or_else(|| {
                let known: Vec<_> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
                Refusal::bad_input(
                    format!("scopes[{i}]"),
                    format!("there are the scopes {}", known.join(", ")),
                )
                .into()
            })
    };
    words.iter().enumerate().map(read).collect()
}

async fn account(frame: &Frame, id: ServiceAccountId, position: u64) -> Answer<ServiceAccount> {
    Ok(ServiceAccount(present(frame.load().load_one(id).await?, position)?))
}

async fn key(frame: &Frame, id: ApiKeyId, position: u64) -> Answer<ApiKey> {
    let mut tx = frame.tx().await?;
    Ok(ApiKey(present(
        projections::directory::api_key(&mut tx, id).await?,
        position,
    )?))
}

#[derive(Default)]
pub(crate) struct ServiceAccountMutation;

#[Object]
impl ServiceAccountMutation {
    async fn create_service_account(
        &self,
        ctx: &Context<'_>,
        input: CreateServiceAccountInput,
    ) -> Answer<ServiceAccountPayload> {
        let (frame, caller) = ctx.command()?;
        let scopes = match &input.scopes {
            Some(words) => scopes(words)?,
            None => Scope::ALL.to_vec(),
        };
        let done = frame.app.create_service_account(&caller, input.name, scopes).await?;
        let frame = written(ctx, done.position).await;
        let service_account = account(&frame, done.id(), done.position).await?;
        Ok(ServiceAccountPayload {
            service_account,
            position: Position(done.position),
        })
    }

    /// Kills all its keys.
    async fn delete_service_account(
        &self,
        ctx: &Context<'_>,
        input: DeleteServiceAccountInput,
    ) -> Answer<ServiceAccountPayload> {
        let (frame, caller) = ctx.command()?;
        let id = named(&input.service_account_id, "service account", "serviceAccountId")?;
        let done = frame.app.delete_service_account(&caller, id).await?;
        let frame = written(ctx, done.position).await;
        let service_account = account(&frame, id, done.position).await?;
        Ok(ServiceAccountPayload {
            service_account,
            position: Position(done.position),
        })
    }

    async fn issue_api_key(&self, ctx: &Context<'_>, input: IssueApiKeyInput) -> Answer<IssueApiKeyPayload> {
        let (frame, caller) = ctx.command()?;
        let id = named(&input.service_account_id, "service account", "serviceAccountId")?;
        let expires_at = input.expires_at.map(|at| at.0);
        let issued = frame
            .app
            .issue_api_key(&caller, id, scopes(&input.scopes)?, expires_at)
            .await?;
        let position = issued.written.position;
        let frame = written(ctx, position).await;
        let api_key = if issued.written.duplicate {
            first_key(&frame, id, position).await?
        } else {
            key(&frame, ApiKeyId::from_uuid(issued.id), position).await?
        };
        Ok(IssueApiKeyPayload {
            api_key,
            service_account: account(&frame, id, position).await?,
            secret: issued.secret,
            position: Position(position),
        })
    }

    /// The next request with it is refused.
    async fn revoke_api_key(&self, ctx: &Context<'_>, input: RevokeApiKeyInput) -> Answer<ApiKeyPayload> {
        let (frame, caller) = ctx.command()?;
        caller.demand(Act::WriteServiceAccounts)?;
        let id: ApiKeyId = named(&input.api_key_id, "API key", "apiKeyId")?;
        let mut tx = frame.tx().await?;
        let known = projections::directory::api_key(&mut tx, id).await?;
        let owner = known
            .ok_or_else(|| Refusal::not_found("API key").on("apiKeyId"))?
            .account;
        drop(tx);
        let done = frame.app.revoke_api_key(&caller, owner, id).await?;
        let frame = written(ctx, done.position).await;
        Ok(ApiKeyPayload {
            api_key: key(&frame, id, done.position).await?,
            service_account: account(&frame, owner, done.position).await?,
            position: Position(done.position),
        })
    }
}

/// The key that a repeated command issued the first time: the one whose event stands at that position.
async fn first_key(frame: &Frame, account: ServiceAccountId, position: u64) -> Answer<ApiKey> {
    let mut tx = frame.tx().await?;
    let event = present(projections::audit_trail::find(&mut tx, position).await?, position)?;
    drop(tx);
    let named = event
        .data
        .get("key")
        .and_then(|key| key.as_str())
        .and_then(|key| key.parse().ok());
    match named {
        Some(id) => key(frame, id, position).await,
        None => {
            let keys = frame.load().load_one(KeysOf(account)).await?.unwrap_or_default();
            Ok(ApiKey(present(keys.last().cloned(), position)?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_by_their_words_and_a_wrong_one_is_named() {
        assert_eq!(scopes(&["audit:read".to_owned()]).unwrap(), [Scope::AuditRead]);
        let error = async_graphql::Error::from(scopes(&["audit:read".into(), "root".into()]).unwrap_err());
        assert_eq!(serde_json::to_value(error).unwrap()["extensions"]["field"], "scopes[1]");
    }

    #[test]
    fn what_has_no_name_is_told_by_the_end_of_its_id() {
        assert_eq!(ending("key_01h2xcejqtf2nbrexx3vqjhp41"), "…qjhp41");
        assert_eq!(ending("abc"), "…abc");
    }
}
