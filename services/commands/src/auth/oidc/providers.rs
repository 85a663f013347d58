//! What administrators do with identity providers.

use formats::{IdentityProviderId, TenantId};
use model::{
    Noun, Role,
    identity_provider::{Configured, IdentityProvider, IdentityProviderCommand as C, ProviderDefinition, SecretChange},
};
use serde_json::json;
use zeroize::Zeroizing;

use super::store;
use crate::{Act, App, Caller, Outcome, Refusal, Written, auth::oidc::protocol};

/// What an administrator says of a provider.
pub struct ProviderInput {
    /// The definition.
    pub definition: ProviderDefinition,
    /// The client secret.
    pub secret: SecretInput,
}

/// What becomes of the client secret.
pub enum SecretInput {
    /// It stays as it is; none for a new provider.
    Keep,
    /// This one from now on.
    Set(Zeroizing<String>),
    /// None from now on: a public client, with PKCE alone.
    Drop,
}

impl std::fmt::Debug for SecretInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretInput(…)")
    }
}

pub(crate) fn client_secret_name(provider: IdentityProviderId, id: &str) -> String {
    format!("identity_provider/{provider}/{id}")
}

fn own(caller: &Caller) -> Role {
    // The product itself, which seeds and tests, is not limited.
    caller.limit().unwrap_or(Role::Owner)
}

impl App {
    /// Lets people sign in with a provider.
    ///
    /// # Errors
    /// `BAD_INPUT`, `NAME_TAKEN`, `ROLE_ABOVE_OWN`, `FORBIDDEN`.
    pub async fn create_identity_provider(&self, caller: &Caller, input: ProviderInput) -> Outcome<Written> {
        caller.demand(Act::WriteIdentityProviders)?;
        self.judge_issuer(&input.definition)?;
        let provider: IdentityProviderId = self.ambient().id();
        let secret_id = self.keep_secret(caller.tenant, provider, &input.secret).await?;
        let content = json!({ "definition": input.definition, "secret": secret_id.is_some() });
        let command = C::ConfigureIdentityProvider {
            provider,
            definition: Box::new(input.definition),
            secret_id,
            own: own(caller),
        };
        let done = self
            .run::<IdentityProvider>(caller, "createIdentityProvider", provider.uuid(), &content, command)
            .await;
        if !matches!(&done, Ok(written) if !written.duplicate) {
            self.forget_secrets(caller.tenant, provider, None).await?;
        }
        done
    }

    /// Says something else of a provider.
    ///
    /// # Errors
    /// `BAD_INPUT`, `NAME_TAKEN`, `ROLE_ABOVE_OWN`, `NOT_FOUND`, `FORBIDDEN`.
    pub async fn change_identity_provider(
        &self,
        caller: &Caller,
        provider: IdentityProviderId,
        input: ProviderInput,
    ) -> Outcome<Written> {
        caller.demand(Act::WriteIdentityProviders)?;
        self.judge_issuer(&input.definition)?;
        let content = json!({
            "provider": provider, "definition": input.definition,
            "secret": !matches!(input.secret, SecretInput::Keep),
        });
        let command = |secret| C::ChangeIdentityProvider {
            definition: Box::new(input.definition.clone()),
            secret,
            own: own(caller),
        };
        // Refused before anything is kept.
        let state: IdentityProvider = self.state(caller.tenant, provider.uuid()).await?;
        state
            .decide(command(SecretChange::Keep))
            .map_err(|error| Refusal::of(&error))?;
        let secret = match &input.secret {
            SecretInput::Keep => SecretChange::Keep,
            SecretInput::Drop => SecretChange::Drop,
            SecretInput::Set(_) => self
                .keep_secret(caller.tenant, provider, &input.secret)
                .await?
                .map_or(SecretChange::Keep, SecretChange::Replace),
        };
        let written = self
            .run::<IdentityProvider>(
                caller,
                "changeIdentityProvider",
                provider.uuid(),
                &content,
                command(secret),
            )
            .await?;
        let state: IdentityProvider = self.state(caller.tenant, provider.uuid()).await?;
        let kept = state.configured().and_then(|now| now.secret_id.clone());
        self.forget_secrets(caller.tenant, provider, kept.as_deref()).await?;
        Ok(written)
    }

    /// Asks a provider for its metadata and keys, and notes what is wrong with them.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`. A provider that is away is no error: it is what was found.
    pub async fn check_identity_provider(&self, caller: &Caller, provider: IdentityProviderId) -> Outcome<Written> {
        caller.demand(Act::WriteIdentityProviders)?;
        let (state, _) = self.provider(caller.tenant, provider).await?;
        let problem = protocol::discover(&self.outbound, &state.definition).await.err();
        let command = C::CheckIdentityProvider {
            problem: problem.map(|refusal| refusal.message),
        };
        let content = json!({ "provider": provider, "n": self.ambient().uuid() });
        self.run::<IdentityProvider>(caller, "checkIdentityProvider", provider.uuid(), &content, command)
            .await
    }

    /// Lets nobody sign in with a provider for now. Sessions stay.
    ///
    /// # Errors
    /// `PROVIDER_DISABLED`, `NOT_FOUND`, `FORBIDDEN`.
    pub async fn disable_identity_provider(&self, caller: &Caller, provider: IdentityProviderId) -> Outcome<Written> {
        self.of_provider(caller, "disableIdentityProvider", provider, C::DisableIdentityProvider)
            .await
    }

    /// Lets people sign in with it again.
    ///
    /// # Errors
    /// `PROVIDER_NOT_DISABLED`, `ROLE_ABOVE_OWN`, `NOT_FOUND`, `FORBIDDEN`.
    pub async fn enable_identity_provider(&self, caller: &Caller, provider: IdentityProviderId) -> Outcome<Written> {
        let command = C::EnableIdentityProvider { own: own(caller) };
        self.of_provider(caller, "enableIdentityProvider", provider, command)
            .await
    }

    /// Takes a provider away, and its secret with it. Whom it knew stays known under issuer and subject.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`.
    pub async fn remove_identity_provider(&self, caller: &Caller, provider: IdentityProviderId) -> Outcome<Written> {
        let written = self
            .of_provider(caller, "removeIdentityProvider", provider, C::RemoveIdentityProvider)
            .await?;
        self.forget_secrets(caller.tenant, provider, None).await?;
        Ok(written)
    }

    async fn of_provider(
        &self,
        caller: &Caller,
        operation: &str,
        provider: IdentityProviderId,
        command: C,
    ) -> Outcome<Written> {
        caller.demand(Act::WriteIdentityProviders)?;
        let content = json!({ "provider": provider });
        self.run::<IdentityProvider>(caller, operation, provider.uuid(), &content, command)
            .await
    }

    /// A provider as the log has it now, and whether it is disabled.
    pub(super) async fn provider(&self, tenant: TenantId, provider: IdentityProviderId) -> Outcome<(Configured, bool)> {
        let state: IdentityProvider = self.state(tenant, provider.uuid()).await?;
        let disabled = state.is_disabled();
        match state.configured() {
            Some(configured) => Ok((configured.clone(), disabled)),
            None => Err(Refusal::not_found("identity provider").on("identityProviderId")),
        }
    }

    fn judge_issuer(&self, definition: &ProviderDefinition) -> Outcome<()> {
        let judged = self.outbound.guard().url(&definition.issuer);
        judged
            .map(drop)
            .map_err(|error| Refusal::bad_input("issuer", format!("the address {error}")))
    }

    async fn keep_secret(
        &self,
        tenant: TenantId,
        provider: IdentityProviderId,
        secret: &SecretInput,
    ) -> Outcome<Option<String>> {
        let SecretInput::Set(secret) = secret else {
            return Ok(None);
        };
        if !(1..=1_024).contains(&secret.len()) {
            return Err(Refusal::bad_input("clientSecret", "has to be 1 to 1,024 bytes"));
        }
        let id = self.ambient().uuid().simple().to_string();
        let keys = self.store.vault().tenant(tenant).await?;
        let wrapped = keys.wrap_secret(
            &client_secret_name(provider, &id),
            secret.as_bytes(),
            self.ambient().bytes(),
        );
        let mut tx = self.writing(tenant).await?;
        store::keep_secret(&mut tx, provider, &id, &wrapped, self.ambient().now()).await?;
        tx.commit().await?;
        Ok(Some(id))
    }

    async fn forget_secrets(&self, tenant: TenantId, provider: IdentityProviderId, but: Option<&str>) -> Outcome<()> {
        let mut tx = self.writing(tenant).await?;
        store::forget_secrets(&mut tx, provider, but).await?;
        Ok(tx.commit().await?)
    }

    /// The client secret in clear, wiped when dropped.
    pub(super) async fn client_secret(
        &self,
        tenant: TenantId,
        provider: IdentityProviderId,
        configured: &Configured,
    ) -> Outcome<Option<Zeroizing<String>>> {
        let Some(id) = &configured.secret_id else {
            return Ok(None);
        };
        let mut tx = self.reading(tenant).await?;
        let wrapped = store::secret(&mut tx, provider, id).await?;
        drop(tx);
        let wrapped = wrapped.ok_or_else(|| Refusal::internal("a client secret is not in the vault"))?;
        let keys = self.store.vault().tenant(tenant).await?;
        let secret = keys
            .unwrap_secret(&client_secret_name(provider, id), &wrapped)
            .map_err(Refusal::internal)?;
        let text = std::str::from_utf8(&secret).map_err(Refusal::internal)?;
        Ok(Some(Zeroizing::new(text.to_owned())))
    }
}
