//! The identity providers with which people sign in.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use commands::{
    Act,
    auth::oidc::{ProviderInput, SecretInput},
};
use formats::{IdentityProviderId, UserId};
use model::identity_provider::{ProviderDefinition, RoleMapping as Mapping};
use projections::identity_providers::{self as rows, ProviderView};

use super::{
    context::{Ask, Frame, shown as present, written},
    error::Answer,
    ids::{named, shown},
    scalars::{DateTime, Position},
    words::Role,
};

#[derive(Debug, Clone)]
pub(crate) struct IdentityProvider(ProviderView);

impl IdentityProvider {
    /// One provider, removed or not.
    pub(crate) async fn find(frame: &Frame, id: IdentityProviderId) -> Answer<Option<Self>> {
        frame.caller.demand(Act::ReadIdentityProviders)?;
        let mut tx = frame.tx().await?;
        Ok(rows::provider(&mut tx, id).await?.map(Self))
    }
}

/// An identity provider with which people sign in (OpenID Connect).
#[Object]
impl IdentityProvider {
    pub(crate) async fn id(&self) -> ID {
        shown(self.0.id)
    }

    async fn name(&self) -> &str {
        &self.0.definition.name
    }

    async fn issuer(&self) -> &str {
        &self.0.definition.issuer
    }

    async fn client_id(&self) -> &str {
        &self.0.definition.client_id
    }

    /// Whether a client secret is kept. It is never shown.
    async fn has_client_secret(&self) -> bool {
        self.0.has_secret
    }

    /// What is asked for beside `openid`.
    async fn scopes(&self) -> &[String] {
        &self.0.definition.scopes
    }

    async fn groups_claim(&self) -> &str {
        &self.0.definition.groups_claim
    }

    /// The claim that names the person's endpoint account; null links none.
    async fn account_claim(&self) -> Option<&str> {
        self.0.definition.account_claim.as_deref()
    }

    async fn role_mapping(&self) -> Vec<RoleMapping> {
        let mapping = self.0.definition.role_mapping.iter();
        mapping
            .map(|mapping| RoleMapping {
                group: mapping.group.clone(),
                role: mapping.role.into(),
            })
            .collect()
    }

    /// People who have no account get one when they sign in for the first time.
    async fn provision(&self) -> bool {
        self.0.definition.provision
    }

    /// Domains of addresses that are believed; empty believes all that the provider verified.
    async fn email_domains(&self) -> &[String] {
        &self.0.definition.email_domains
    }

    /// Values of `amr` or `acr` that count as a second factor.
    async fn trusted_factors(&self) -> &[String] {
        &self.0.definition.trusted_factors
    }

    /// The highest role of whoever said so last: nobody above it signs in with this provider.
    async fn ceiling(&self) -> Role {
        self.0.ceiling.into()
    }

    async fn disabled(&self) -> bool {
        self.0.disabled
    }

    /// When its metadata and keys were last looked at.
    async fn checked_at(&self) -> Option<DateTime> {
        self.0.checked_at.map(Into::into)
    }

    /// What was wrong then.
    async fn problem(&self) -> Option<&str> {
        self.0.problem.as_deref()
    }

    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    async fn updated_at(&self) -> DateTime {
        self.0.updated_at.into()
    }

    async fn removed_at(&self) -> Option<DateTime> {
        self.0.removed_at.map(Into::into)
    }
}

/// People in this group at the provider have this role here.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct RoleMapping {
    group: String,
    role: Role,
}

#[derive(Default)]
pub(crate) struct IdentityProviderQuery;

#[Object]
impl IdentityProviderQuery {
    /// The identity providers that are not removed, by name.
    #[graphql(complexity = "1 + 5 * child_complexity")]
    async fn identity_providers(&self, ctx: &Context<'_>) -> Answer<Vec<IdentityProvider>> {
        let frame = ctx.frame_for(Act::ReadIdentityProviders)?;
        let mut tx = frame.tx().await?;
        Ok(rows::providers(&mut tx)
            .await?
            .into_iter()
            .map(IdentityProvider)
            .collect())
    }

    /// The address to give to an identity provider as the redirect URI.
    async fn sign_in_redirect_uri(&self, ctx: &Context<'_>) -> Answer<String> {
        let frame = ctx.frame_for(Act::ReadIdentityProviders)?;
        let slug = frame.tenant().await?.slug.clone();
        Ok(format!("{}/auth/oidc/{slug}/callback", frame.app.config.public_url))
    }
}

#[derive(Debug, InputObject)]
pub(crate) struct RoleMappingInput {
    /// Exactly as the provider writes it.
    group: String,
    /// `AUDITOR`, `APPROVER` or `ADMIN`, not above one's own.
    role: Role,
}

// Without `Debug`: it holds a secret.
#[derive(InputObject)]
pub(crate) struct IdentityProviderInput {
    /// What people read behind "Sign in with".
    name: String,
    /// Exactly as the provider writes it. Stays once it is set.
    issuer: String,
    client_id: String,
    /// Left out: it stays, or there is none. Empty: none from now on. It is kept in the vault and never shown.
    client_secret: Option<String>,
    #[graphql(default_with = "vec![\"email\".to_owned(), \"profile\".to_owned()]")]
    scopes: Vec<String>,
    #[graphql(default_with = "\"groups\".to_owned()")]
    groups_claim: String,
    account_claim: Option<String>,
    #[graphql(default)]
    role_mapping: Vec<RoleMappingInput>,
    #[graphql(default)]
    provision: bool,
    #[graphql(default)]
    email_domains: Vec<String>,
    #[graphql(default)]
    trusted_factors: Vec<String>,
}

impl From<IdentityProviderInput> for ProviderInput {
    fn from(input: IdentityProviderInput) -> Self {
        let mapping = input.role_mapping.into_iter();
        Self {
            secret: match input.client_secret {
                None => SecretInput::Keep,
                Some(secret) if secret.is_empty() => SecretInput::Drop,
                Some(secret) => SecretInput::Set(secret.into()),
            },
            definition: ProviderDefinition {
                name: input.name,
                issuer: input.issuer,
                client_id: input.client_id,
                scopes: input.scopes,
                groups_claim: input.groups_claim,
                account_claim: input.account_claim.filter(|claim| !claim.trim().is_empty()),
                role_mapping: mapping
                    .map(|mapping| Mapping {
                        group: mapping.group,
                        role: mapping.role.into(),
                    })
                    .collect(),
                provision: input.provision,
                email_domains: input.email_domains,
                trusted_factors: input.trusted_factors,
            },
        }
    }
}

#[derive(InputObject)]
pub(crate) struct CreateIdentityProviderInput {
    provider: IdentityProviderInput,
}

#[derive(InputObject)]
pub(crate) struct ChangeIdentityProviderInput {
    identity_provider_id: ID,
    provider: IdentityProviderInput,
}

#[derive(Debug, InputObject)]
pub(crate) struct IdentityProviderIdInput {
    identity_provider_id: ID,
}

#[derive(Debug, InputObject)]
pub(crate) struct UnlinkIdentitiesInput {
    user_id: ID,
}

#[derive(Debug, SimpleObject)]
pub(crate) struct IdentityProviderPayload {
    identity_provider: IdentityProvider,
    position: Position,
}

#[derive(Debug, SimpleObject)]
pub(crate) struct UnlinkIdentitiesPayload {
    user_id: ID,
    position: Position,
}

fn provider_id(id: &ID) -> Answer<IdentityProviderId> {
    named(id, "identity provider", "identityProviderId")
}

async fn payload(ctx: &Context<'_>, id: IdentityProviderId, position: u64) -> Answer<IdentityProviderPayload> {
    let frame = written(ctx, position).await;
    let mut tx = frame.tx().await?;
    let row = present(rows::provider(&mut tx, id).await?, position)?;
    Ok(IdentityProviderPayload {
        identity_provider: IdentityProvider(row),
        position: Position(position),
    })
}

#[derive(Default)]
pub(crate) struct IdentityProviderMutation;

#[Object]
impl IdentityProviderMutation {
    /// Lets people sign in with an identity provider.
    async fn create_identity_provider(
        &self,
        ctx: &Context<'_>,
        input: CreateIdentityProviderInput,
    ) -> Answer<IdentityProviderPayload> {
        let (frame, caller) = ctx.command()?;
        let done = frame
            .app
            .create_identity_provider(&caller, input.provider.into())
            .await?;
        payload(ctx, done.id(), done.position).await
    }

    /// Says the whole of it anew.
    async fn change_identity_provider(
        &self,
        ctx: &Context<'_>,
        input: ChangeIdentityProviderInput,
    ) -> Answer<IdentityProviderPayload> {
        let (frame, caller) = ctx.command()?;
        let id = provider_id(&input.identity_provider_id)?;
        let done = frame
            .app
            .change_identity_provider(&caller, id, input.provider.into())
            .await?;
        payload(ctx, id, done.position).await
    }

    /// Asks for its metadata and keys; `problem` says what is wrong with them.
    async fn check_identity_provider(
        &self,
        ctx: &Context<'_>,
        input: IdentityProviderIdInput,
    ) -> Answer<IdentityProviderPayload> {
        let (frame, caller) = ctx.command()?;
        let id = provider_id(&input.identity_provider_id)?;
        let done = frame.app.check_identity_provider(&caller, id).await?;
        payload(ctx, id, done.position).await
    }

    /// Nobody can sign in with it for now; sessions stay.
    async fn disable_identity_provider(
        &self,
        ctx: &Context<'_>,
        input: IdentityProviderIdInput,
    ) -> Answer<IdentityProviderPayload> {
        let (frame, caller) = ctx.command()?;
        let id = provider_id(&input.identity_provider_id)?;
        let done = frame.app.disable_identity_provider(&caller, id).await?;
        payload(ctx, id, done.position).await
    }

    async fn enable_identity_provider(
        &self,
        ctx: &Context<'_>,
        input: IdentityProviderIdInput,
    ) -> Answer<IdentityProviderPayload> {
        let (frame, caller) = ctx.command()?;
        let id = provider_id(&input.identity_provider_id)?;
        let done = frame.app.enable_identity_provider(&caller, id).await?;
        payload(ctx, id, done.position).await
    }

    /// Takes it away, and its secret with it.
    async fn remove_identity_provider(
        &self,
        ctx: &Context<'_>,
        input: IdentityProviderIdInput,
    ) -> Answer<IdentityProviderPayload> {
        let (frame, caller) = ctx.command()?;
        let id = provider_id(&input.identity_provider_id)?;
        let done = frame.app.remove_identity_provider(&caller, id).await?;
        payload(ctx, id, done.position).await
    }

    /// Forgets who a user is at an identity provider, so that a verified address may link them anew.
    async fn unlink_identities(
        &self,
        ctx: &Context<'_>,
        input: UnlinkIdentitiesInput,
    ) -> Answer<UnlinkIdentitiesPayload> {
        let (frame, caller) = ctx.command()?;
        let user: UserId = named(&input.user_id, "user", "userId")?;
        let done = frame.app.unlink_identities(&caller, user).await?;
        written(ctx, done.position).await;
        Ok(UnlinkIdentitiesPayload {
            user_id: input.user_id,
            position: Position(done.position),
        })
    }
}
