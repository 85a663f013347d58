//! Webhooks: the shape of them. This server sends none yet, so that the types have no values, the lists are empty, and
//! what would change one is refused.

#![expect(unreachable_code, reason = "resolvers of types without values are never called")]

use async_graphql::{Context, Enum, ID, InputObject, Object};
use commands::Act;

use super::{
    context::Ask,
    error::{Answer, Fault, not_supported},
    paging::{Connection, cost, page},
    scalars::{DateTime, Position},
};

/// How a webhook's body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum WebhookFormat {
    /// Standard Webhooks.
    Standard,
    /// CloudEvents 1.0.
    CloudEvents,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum WebhookDeliveryStatus {
    /// Not tried yet.
    Waiting,
    /// Taken by the receiver.
    Delivered,
    /// To be tried again.
    Retrying,
    /// Given up.
    Dead,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum WebhookEndpoint {}

/// A receiver of webhooks.
#[Object]
impl WebhookEndpoint {
    pub(crate) async fn id(&self) -> ID {
        match *self {}
    }

    async fn url(&self) -> String {
        match *self {}
    }

    async fn description(&self) -> String {
        match *self {}
    }

    /// Types such as `request.approved`; empty means all.
    async fn event_types(&self) -> Vec<String> {
        match *self {}
    }

    async fn format(&self) -> WebhookFormat {
        match *self {}
    }

    async fn ordered(&self) -> bool {
        match *self {}
    }

    async fn enabled(&self) -> bool {
        match *self {}
    }

    /// Why it was disabled, where the server did it.
    async fn disabled_reason(&self) -> Option<String> {
        match *self {}
    }

    /// Ed25519 key that verifies `v1a` signatures.
    async fn public_key(&self) -> String {
        match *self {}
    }

    async fn created_at(&self) -> DateTime {
        match *self {}
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum WebhookDelivery {}

/// One event on its way to a receiver.
#[Object]
impl WebhookDelivery {
    pub(crate) async fn id(&self) -> ID {
        match *self {}
    }

    async fn endpoint(&self) -> WebhookEndpoint {
        match *self {}
    }

    async fn position(&self) -> Position {
        match *self {}
    }

    #[graphql(name = "type")]
    async fn event_type(&self) -> String {
        match *self {}
    }

    async fn status(&self) -> WebhookDeliveryStatus {
        match *self {}
    }

    async fn next_attempt_at(&self) -> Option<DateTime> {
        match *self {}
    }

    async fn attempts(&self) -> Vec<WebhookAttempt> {
        match *self {}
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum WebhookAttempt {}

/// One try to deliver.
#[Object]
impl WebhookAttempt {
    async fn at(&self) -> DateTime {
        match *self {}
    }

    /// Null where no answer came.
    async fn http_status(&self) -> Option<i32> {
        match *self {}
    }

    async fn latency_ms(&self) -> i32 {
        match *self {}
    }

    /// The first 2 KiB of the answer, or what went wrong.
    async fn answer(&self) -> String {
        match *self {}
    }
}

#[derive(Default)]
pub(crate) struct WebhookQuery;

#[Object]
impl WebhookQuery {
    #[graphql(complexity = "1 + 20 * child_complexity")]
    async fn webhook_endpoints(&self, ctx: &Context<'_>) -> Answer<Vec<WebhookEndpoint>> {
        ctx.frame_for(Act::ReadSettings)?;
        Ok(Vec::new())
    }

    #[graphql(complexity = "cost(first, last, child_complexity)")]
    #[expect(clippy::too_many_arguments, reason = "they are the field's arguments")]
    async fn webhook_deliveries(
        &self,
        ctx: &Context<'_>,
        #[graphql(name = "endpointId")] _endpoint_id: Option<ID>,
        #[graphql(name = "status")] _status: Option<WebhookDeliveryStatus>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Answer<Connection<WebhookDelivery>> {
        ctx.frame_for(Act::ReadSettings)?;
        page(first, after, last, before)?;
        Ok(Connection::new(false, false))
    }
}

#[derive(Debug, InputObject)]
pub(crate) struct CreateWebhookEndpointInput {
    url: String,
    #[graphql(default)]
    description: String,
    #[graphql(default)]
    event_types: Vec<String>,
    #[graphql(default_with = "WebhookFormat::Standard")]
    format: WebhookFormat,
    #[graphql(default)]
    ordered: bool,
}

/// Fields left out stay as they are.
#[derive(Debug, InputObject)]
pub(crate) struct ChangeWebhookEndpointInput {
    webhook_endpoint_id: ID,
    url: Option<String>,
    description: Option<String>,
    event_types: Option<Vec<String>>,
    format: Option<WebhookFormat>,
    ordered: Option<bool>,
    enabled: Option<bool>,
}

#[derive(Debug, InputObject)]
pub(crate) struct DeleteWebhookEndpointInput {
    webhook_endpoint_id: ID,
}

#[derive(Debug, InputObject)]
pub(crate) struct RotateWebhookSecretInput {
    webhook_endpoint_id: ID,
}

#[derive(Debug, InputObject)]
pub(crate) struct ResendWebhooksInput {
    webhook_endpoint_id: ID,
    from_position: Position,
    until_position: Position,
}

macro_rules! payloads {
    ($($name:ident { $($(#[$doc:meta])* $field:ident: $type:ty),* })*) => {$(
        #[derive(Debug, Clone, Copy)]
        pub(crate) enum $name {}

        #[Object]
        impl $name {
            async fn webhook_endpoint(&self) -> WebhookEndpoint {
                match *self {}
            }
            $($(#[$doc])* async fn $field(&self) -> $type {
                match *self {}
            })*
        }
    )*};
}

payloads! {
    WebhookEndpointPayload { position: Position }
    WebhookSecretPayload {
        /// Shown this once; null where the same command was sent before.
        secret: Option<String>,
        position: Position
    }
    ResendWebhooksPayload { queued: i32 }
}

/// Nobody without the role learns that there are none.
fn none(ctx: &Context<'_>) -> Fault {
    let refused = ctx
        .command()
        .and_then(|(_, caller)| Ok(caller.demand(Act::WriteSettings)?));
    match refused {
        Ok(()) => not_supported("input", "this server sends no webhooks yet").into(),
        Err(fault) => fault,
    }
}

#[derive(Default)]
pub(crate) struct WebhookMutation;

#[Object]
impl WebhookMutation {
    /// Refused by this server: it sends no webhooks yet.
    async fn create_webhook_endpoint(
        &self,
        ctx: &Context<'_>,
        #[graphql(name = "input")] _input: CreateWebhookEndpointInput,
    ) -> Answer<WebhookSecretPayload> {
        Err(none(ctx))
    }

    /// Refused by this server: it sends no webhooks yet.
    async fn change_webhook_endpoint(
        &self,
        ctx: &Context<'_>,
        #[graphql(name = "input")] _input: ChangeWebhookEndpointInput,
    ) -> Answer<WebhookEndpointPayload> {
        Err(none(ctx))
    }

    /// Refused by this server: it sends no webhooks yet.
    async fn delete_webhook_endpoint(
        &self,
        ctx: &Context<'_>,
        #[graphql(name = "input")] _input: DeleteWebhookEndpointInput,
    ) -> Answer<WebhookEndpointPayload> {
        Err(none(ctx))
    }

    /// Refused by this server: it sends no webhooks yet.
    async fn rotate_webhook_secret(
        &self,
        ctx: &Context<'_>,
        #[graphql(name = "input")] _input: RotateWebhookSecretInput,
    ) -> Answer<WebhookSecretPayload> {
        Err(none(ctx))
    }

    /// Refused by this server: it sends no webhooks yet.
    async fn resend_webhooks(
        &self,
        ctx: &Context<'_>,
        #[graphql(name = "input")] _input: ResendWebhooksInput,
    ) -> Answer<ResendWebhooksPayload> {
        Err(none(ctx))
    }
}
