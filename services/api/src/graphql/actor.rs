//! Who did something.

use async_graphql::{Context, ID, Object};
use formats::{EndpointId, ScimTokenId, ServiceAccountId, UserId};

use super::{context::Ask, error::Answer, words::ActorKind};

#[derive(Debug, Clone)]
pub(crate) struct Actor {
    kind: formats::ActorKind,
    id: Option<String>,
}

impl Actor {
    /// As the log names them.
    pub(crate) const fn new(kind: formats::ActorKind, id: Option<String>) -> Self {
        Self { kind, id }
    }

    /// A user.
    pub(crate) fn user(user: UserId) -> Self {
        Self::new(formats::ActorKind::User, Some(user.to_string()))
    }
}

impl From<&formats::Actor> for Actor {
    fn from(actor: &formats::Actor) -> Self {
        Self::new(actor.kind, actor.id.clone())
    }
}

/// Who did something, as recorded: the name stays when the account goes; null once erased.
#[Object]
impl Actor {
    async fn kind(&self) -> ActorKind {
        self.kind.into()
    }

    /// Id of the user, service account, SCIM token or endpoint; null for the system and for operators.
    async fn id(&self) -> Option<ID> {
        use formats::ActorKind as Kind;
        match self.kind {
            Kind::User | Kind::ServiceAccount | Kind::ScimToken | Kind::Endpoint => self.id.clone().map(ID),
            Kind::Operator | Kind::System => None,
        }
    }

    async fn name(&self, ctx: &Context<'_>) -> Answer<Option<String>> {
        use formats::ActorKind as Kind;
        let frame = ctx.frame();
        let id = self.id.as_deref().unwrap_or_default();
        Ok(match self.kind {
            Kind::User => match id.parse::<UserId>() {
                Ok(user) => frame.load().load_one(user).await?.and_then(|user| user.name.clone()),
                Err(_) => None,
            },
            Kind::ServiceAccount => match id.parse::<ServiceAccountId>() {
                Ok(account) => frame
                    .load()
                    .load_one(account)
                    .await?
                    .map(|account| account.name.clone()),
                Err(_) => None,
            },
            Kind::Endpoint => match id.parse::<EndpointId>() {
                Ok(endpoint) => frame
                    .load()
                    .load_one(endpoint)
                    .await?
                    .map(|endpoint| endpoint.machine.name.clone()),
                Err(_) => None,
            },
            Kind::ScimToken => match id.parse::<ScimTokenId>() {
                Ok(token) => {
                    let mut tx = frame.tx().await?;
                    let known = projections::scim::token(&mut tx, token).await?;
                    known.map(|token| format!("SCIM token {}", token.label))
                }
                Err(_) => None,
            },
            Kind::Operator => self.id.clone(),
            Kind::System => None,
        })
    }
}
