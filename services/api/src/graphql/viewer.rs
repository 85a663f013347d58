//! Who looks, and in which tenant.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};
use commands::Principal;
use formats::TenantId;
use projections::directory::TenantView;

use super::{
    actor::Actor,
    context::{Ask, Frame},
    error::Answer,
    ids::shown,
    scalars::Position,
    users::User,
    words::Role,
};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Viewer;

/// Who is signed in, and in which tenant.
#[Object]
impl Viewer {
    /// A `User` or a `ServiceAccount`.
    async fn principal(&self, ctx: &Context<'_>) -> Actor {
        (&ctx.frame().caller.actor()).into()
    }

    /// Null for a service account.
    async fn user(&self, ctx: &Context<'_>) -> Answer<Option<User>> {
        let frame = ctx.frame();
        let Some(user) = frame.caller.user() else {
            return Ok(None);
        };
        Ok(frame.load().load_one(user).await?.map(User))
    }

    async fn tenant(&self, ctx: &Context<'_>) -> Answer<Tenant> {
        Tenant::own(&ctx.frame()).await
    }

    async fn roles(&self, ctx: &Context<'_>) -> Vec<Role> {
        ctx.frame().caller.roles().iter().copied().map(Into::into).collect()
    }

    /// Scopes of the API key; empty for a user.
    async fn scopes(&self, ctx: &Context<'_>) -> Vec<&'static str> {
        match &ctx.frame().caller.principal {
            Principal::ServiceAccount { scopes, .. } => scopes.iter().map(|scope| scope.as_str()).collect(),
            _ => Vec::new(),
        }
    }

    /// The tenant's present log position.
    async fn position(&self, ctx: &Context<'_>) -> Answer<Position> {
        let frame = ctx.frame();
        Ok(Position(frame.app.store.head(frame.caller.tenant).await?))
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Tenant {
    id: TenantId,
    view: Arc<TenantView>,
}

impl Tenant {
    /// The viewer's own: there is no other.
    pub(crate) async fn own(frame: &Frame) -> Answer<Self> {
        Ok(Self {
            id: frame.caller.tenant,
            view: frame.tenant().await?,
        })
    }
}

/// One customer organisation.
#[Object]
impl Tenant {
    pub(crate) async fn id(&self) -> ID {
        shown(self.id)
    }

    async fn slug(&self) -> &str {
        &self.view.slug
    }

    async fn name(&self) -> &str {
        &self.view.name
    }

    async fn suspended(&self) -> bool {
        self.view.is_closed()
    }

    /// The epoch of its log, from 1.
    async fn epoch(&self) -> u32 {
        self.view.epoch
    }
}

#[derive(Default)]
pub(crate) struct ViewerQuery;

#[Object]
impl ViewerQuery {
    /// Who is signed in, and in which tenant.
    async fn viewer(&self) -> Viewer {
        Viewer
    }
}
