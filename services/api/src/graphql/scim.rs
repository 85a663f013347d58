//! The door for identity providers: its tokens, and the attribute that names endpoint accounts.

use std::time::Duration;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use commands::{Act, Issued, Refusal};
use formats::ScimTokenId;
use projections::scim::{self as rows, TokenView};

use super::{
    context::{Ask, Frame, shown as present, written},
    error::Answer,
    ids::{named, shown},
    loaders::ScimUseOf,
    scalars::{DateTime, Position},
    words::Role,
};

#[derive(Debug, Clone)]
pub(crate) struct ScimToken(TokenView);

impl ScimToken {
    /// One token, dead or not.
    pub(crate) async fn find(frame: &Frame, id: ScimTokenId) -> Answer<Option<Self>> {
        frame.caller.demand(Act::ReadServiceAccounts)?;
        let mut tx = frame.tx().await?;
        Ok(rows::token(&mut tx, id).await?.map(Self))
    }
}

/// An identity provider's access to /scim/v2.
#[Object]
impl ScimToken {
    pub(crate) async fn id(&self) -> ID {
        shown(self.0.id)
    }

    async fn label(&self) -> &str {
        &self.0.label
    }

    /// It does nothing to users above this role: the highest of whoever issued it.
    async fn role(&self) -> Role {
        self.0.role.into()
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
        Ok(frame.load().load_one(ScimUseOf(self.0.id)).await?.map(Into::into))
    }

    async fn revoked_at(&self) -> Option<DateTime> {
        self.0.revoked_at.map(Into::into)
    }

    /// The token that takes its place; until it expires both are good.
    async fn replaced_by_id(&self) -> Option<ID> {
        self.0.replaced_by.map(shown)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct ScimAccess;

/// How identity providers reach this tenant.
#[Object]
impl ScimAccess {
    /// The address to give to the identity provider.
    async fn address(&self, ctx: &Context<'_>) -> String {
        format!("{}/scim/v2", ctx.frame().app.config.public_url)
    }

    /// The newest 50, dead ones too, newest first.
    #[graphql(complexity = "1 + 5 * child_complexity")]
    async fn tokens(&self, ctx: &Context<'_>) -> Answer<Vec<ScimToken>> {
        let frame = ctx.frame_for(Act::ReadServiceAccounts)?;
        let mut tx = frame.tx().await?;
        Ok(rows::tokens(&mut tx).await?.into_iter().map(ScimToken).collect())
    }

    /// The attribute of a user that names their account on endpoints; null where accounts are not linked by SCIM.
    async fn account_attribute(&self, ctx: &Context<'_>) -> Answer<Option<String>> {
        let frame = ctx.frame_for(Act::ReadServiceAccounts)?;
        Ok(frame.app.account_attribute(&frame.caller).await?)
    }

    /// The attributes that it may be.
    async fn account_attributes(&self) -> Vec<&'static str> {
        model::scim::ACCOUNT_ATTRIBUTES.to_vec()
    }
}

#[derive(Default)]
pub(crate) struct ScimQuery;

#[Object]
impl ScimQuery {
    /// How identity providers reach this tenant.
    async fn scim(&self, ctx: &Context<'_>) -> Answer<ScimAccess> {
        ctx.frame_for(Act::ReadServiceAccounts)?;
        Ok(ScimAccess)
    }
}

#[derive(Debug, InputObject)]
pub(crate) struct IssueScimTokenInput {
    /// What people call it, such as the identity provider's name.
    label: String,
    expires_at: Option<DateTime>,
}

#[derive(Debug, InputObject)]
pub(crate) struct RotateScimTokenInput {
    scim_token_id: ID,
    /// How long the old one stays good, 0 to 168.
    #[graphql(default = 24)]
    overlap_hours: u32,
    expires_at: Option<DateTime>,
}

#[derive(Debug, InputObject)]
pub(crate) struct RevokeScimTokenInput {
    scim_token_id: ID,
}

#[derive(Debug, InputObject)]
pub(crate) struct ChangeScimAccountAttributeInput {
    /// One of `accountAttributes`; null links nothing.
    attribute: Option<String>,
}

#[derive(Debug, SimpleObject)]
pub(crate) struct IssueScimTokenPayload {
    /// Null where the same command was sent before.
    scim_token: Option<ScimToken>,
    /// Shown this once; null where the same command was sent before.
    secret: Option<String>,
    position: Position,
}

#[derive(Debug, SimpleObject)]
pub(crate) struct ScimTokenPayload {
    scim_token: ScimToken,
    position: Position,
}

#[derive(Debug, SimpleObject)]
pub(crate) struct ScimAccessPayload {
    scim: ScimAccess,
    position: Position,
}

async fn token(frame: &Frame, id: ScimTokenId, position: u64) -> Answer<ScimToken> {
    let mut tx = frame.tx().await?;
    Ok(ScimToken(present(rows::token(&mut tx, id).await?, position)?))
}

async fn issued(ctx: &Context<'_>, issued: Issued) -> Answer<IssueScimTokenPayload> {
    let position = issued.written.position;
    let frame = written(ctx, position).await;
    let scim_token = if issued.written.duplicate {
        None
    } else {
        Some(token(&frame, ScimTokenId::from_uuid(issued.id), position).await?)
    };
    Ok(IssueScimTokenPayload {
        scim_token,
        secret: issued.secret,
        position: Position(position),
    })
}

#[derive(Default)]
pub(crate) struct ScimMutation;

#[Object]
impl ScimMutation {
    /// Two are live at once at most.
    async fn issue_scim_token(&self, ctx: &Context<'_>, input: IssueScimTokenInput) -> Answer<IssueScimTokenPayload> {
        let (frame, caller) = ctx.command()?;
        let expires_at = input.expires_at.map(|at| at.0);
        let done = frame.app.issue_scim_token(&caller, input.label, expires_at).await?;
        issued(ctx, done).await
    }

    /// A new token in the place of another one, which stays good for the overlap.
    async fn rotate_scim_token(&self, ctx: &Context<'_>, input: RotateScimTokenInput) -> Answer<IssueScimTokenPayload> {
        let (frame, caller) = ctx.command()?;
        let old = named(&input.scim_token_id, "SCIM token", "scimTokenId")?;
        let overlap = Duration::from_secs(u64::from(input.overlap_hours) * 3600);
        let expires_at = input.expires_at.map(|at| at.0);
        let done = frame.app.rotate_scim_token(&caller, old, overlap, expires_at).await?;
        issued(ctx, done).await
    }

    /// The next call with it is refused.
    async fn revoke_scim_token(&self, ctx: &Context<'_>, input: RevokeScimTokenInput) -> Answer<ScimTokenPayload> {
        let (frame, caller) = ctx.command()?;
        let id: ScimTokenId = named(&input.scim_token_id, "SCIM token", "scimTokenId")?;
        let done = frame.app.revoke_scim_token(&caller, id).await.map_err(|refusal| {
            if refusal.code == "NOT_FOUND" {
                Refusal::not_found("SCIM token").on("scimTokenId")
            } else {
                refusal
            }
        })?;
        let frame = written(ctx, done.position).await;
        Ok(ScimTokenPayload {
            scim_token: token(&frame, id, done.position).await?,
            position: Position(done.position),
        })
    }

    /// Accounts that are known already are linked soon after.
    async fn change_scim_account_attribute(
        &self,
        ctx: &Context<'_>,
        input: ChangeScimAccountAttributeInput,
    ) -> Answer<ScimAccessPayload> {
        let (frame, caller) = ctx.command()?;
        let done = frame.app.change_account_attribute(&caller, input.attribute).await?;
        written(ctx, done.position).await;
        Ok(ScimAccessPayload {
            scim: ScimAccess,
            position: Position(done.position),
        })
    }
}
