//! What people and integrators do to requests.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use commands::{BulkItem, Outcome, Refusal, Written};
use formats::{RequestId, Timestamp};
use model::request::Narrowing;

use super::{
    actor::Actor,
    context::{Ask, Frame, shown as present, written},
    error::Answer,
    ids::{named, typed},
    requests::Request,
    scalars::{DateTime, Digest, Position},
    words::DecisionVerdict,
};

#[derive(Debug, InputObject)]
pub(crate) struct ApproveInput {
    request_id: ID,
    /// The digest that was shown.
    digest: Digest,
    comment: Option<String>,
    /// Narrower than what the request offers, never wider.
    grant_minutes: Option<u32>,
    grant_uses: Option<u32>,
}

#[derive(Debug, InputObject)]
pub(crate) struct DenyInput {
    request_id: ID,
    /// The digest that was shown.
    digest: Digest,
    comment: Option<String>,
}

#[derive(Debug, InputObject)]
pub(crate) struct EscalateInput {
    request_id: ID,
    reason: String,
}

#[derive(Debug, InputObject)]
pub(crate) struct ExpireInput {
    request_id: ID,
}

#[derive(Debug, InputObject)]
pub(crate) struct CancelRequestInput {
    request_id: ID,
    reason: Option<String>,
}

#[derive(Debug, InputObject)]
pub(crate) struct RevokeGrantInput {
    request_id: ID,
    reason: String,
}

#[derive(Debug, SimpleObject)]
pub(crate) struct RequestPayload {
    request: Request,
    position: Position,
}

impl RequestPayload {
    async fn of(ctx: &Context<'_>, id: RequestId, position: u64) -> Answer<Self> {
        let frame = written(ctx, position).await;
        let request = present(Request::find(&frame, id).await?, position)?;
        Ok(Self {
            request,
            position: Position(position),
        })
    }
}

#[derive(Debug, InputObject)]
pub(crate) struct BulkDecideInput {
    verdict: DecisionVerdict,
    requests: Vec<BulkDecideItem>,
    comment: Option<String>,
}

#[derive(Debug, InputObject)]
pub(crate) struct BulkDecideItem {
    request_id: ID,
    digest: Digest,
}

#[derive(Debug, SimpleObject)]
pub(crate) struct BulkDecidePayload {
    /// In the order of the input.
    results: Vec<BulkDecideResult>,
    /// Null where none succeeded.
    position: Option<Position>,
}

#[derive(Debug, SimpleObject)]
pub(crate) struct BulkDecideResult {
    request_id: ID,
    /// Null where it was refused and may not be seen.
    request: Option<Request>,
    /// Null where it succeeded.
    error: Option<BulkDecideError>,
}

#[derive(Debug, SimpleObject)]
pub(crate) struct BulkDecideError {
    code: &'static str,
    message: String,
    /// When it was decided or its time ended, with `ALREADY_DECIDED` and `EXPIRED`.
    at: Option<DateTime>,
    /// Who was faster, with `ALREADY_DECIDED`; null where it was the clock.
    by: Option<Actor>,
}

impl From<Refusal> for BulkDecideError {
    fn from(refusal: Refusal) -> Self {
        let detail = |name| refusal.details.as_ref()?.get(name)?.as_str();
        Self {
            code: refusal.code,
            at: detail("at").and_then(|at| at.parse::<Timestamp>().ok()).map(Into::into),
            by: detail("by").and_then(|by| by.parse().ok()).map(Actor::user),
            message: refusal.message,
        }
    }
}

/// A decided request as the viewer may see it.
async fn result(frame: &Frame, request_id: ID, outcome: Outcome<Written>) -> Answer<BulkDecideResult> {
    let row = match typed::<RequestId>(&request_id) {
        Some(id) => frame.load().load_one(id).await?,
        None => None,
    };
    let request = match row {
        Some(row) if frame.sees(&row).await? => Some(Request(row)),
        _ => None,
    };
    Ok(BulkDecideResult {
        request_id,
        request,
        error: outcome.err().map(Into::into),
    })
}

#[derive(Default)]
pub(crate) struct RequestMutation;

#[Object]
impl RequestMutation {
    /// With the quorum met, the grant is active.
    async fn approve(&self, ctx: &Context<'_>, input: ApproveInput) -> Answer<RequestPayload> {
        let (frame, caller) = ctx.command()?;
        let id = named(&input.request_id, "request", "requestId")?;
        let narrowing = Narrowing {
            uses: input.grant_uses,
            grant_minutes: input.grant_minutes,
        };
        let done = frame
            .app
            .approve(&caller, id, &input.digest.0, narrowing, input.comment)
            .await?;
        RequestPayload::of(ctx, id, done.position).await
    }

    async fn deny(&self, ctx: &Context<'_>, input: DenyInput) -> Answer<RequestPayload> {
        let (frame, caller) = ctx.command()?;
        let id = named(&input.request_id, "request", "requestId")?;
        let done = frame.app.deny(&caller, id, &input.digest.0, input.comment).await?;
        RequestPayload::of(ctx, id, done.position).await
    }

    /// Asks the secondary approvers before the time.
    async fn escalate(&self, ctx: &Context<'_>, input: EscalateInput) -> Answer<RequestPayload> {
        let (frame, caller) = ctx.command()?;
        let id = named(&input.request_id, "request", "requestId")?;
        let done = frame.app.escalate(&caller, id, input.reason).await?;
        RequestPayload::of(ctx, id, done.position).await
    }

    /// Settles by hand what the clock has settled already.
    async fn expire(&self, ctx: &Context<'_>, input: ExpireInput) -> Answer<RequestPayload> {
        let (frame, caller) = ctx.command()?;
        let id = named(&input.request_id, "request", "requestId")?;
        let done = frame.app.expire(&caller, id).await?;
        RequestPayload::of(ctx, id, done.position).await
    }

    /// By its requester or an administrator.
    async fn cancel_request(&self, ctx: &Context<'_>, input: CancelRequestInput) -> Answer<RequestPayload> {
        let (frame, caller) = ctx.command()?;
        let id = named(&input.request_id, "request", "requestId")?;
        let done = frame.app.cancel_request(&caller, id, input.reason).await?;
        RequestPayload::of(ctx, id, done.position).await
    }

    async fn revoke_grant(&self, ctx: &Context<'_>, input: RevokeGrantInput) -> Answer<RequestPayload> {
        let (frame, caller) = ctx.command()?;
        let id = named(&input.request_id, "request", "requestId")?;
        let done = frame.app.revoke_grant(&caller, id, Some(input.reason)).await?;
        RequestPayload::of(ctx, id, done.position).await
    }

    /// Up to 100 decisions, each for itself.
    async fn bulk_decide(&self, ctx: &Context<'_>, input: BulkDecideInput) -> Answer<BulkDecidePayload> {
        let (frame, caller) = ctx.command()?;
        let approve = input.verdict == DecisionVerdict::Approved;
        // What has no id's form is refused for itself, as what does not exist is.
        let known = input.requests.iter().filter_map(|item| {
            Some(BulkItem {
                request: typed(&item.request_id)?,
                digest: item.digest.0.clone(),
            })
        });
        let items: Vec<_> = if input.requests.len() > 100 {
            Vec::new()
        } else {
            known.collect()
        };
        let mut outcomes = if items.is_empty() && (1..=100).contains(&input.requests.len()) {
            caller.demand(commands::Act::Decide)?;
            Vec::new().into_iter()
        } else {
            frame
                .app
                .bulk_decide(&caller, approve, items, input.comment)
                .await?
                .into_iter()
        };
        let outcomes: Vec<(ID, Outcome<Written>)> = input
            .requests
            .into_iter()
            .map(|item| {
                let outcome = typed::<RequestId>(&item.request_id).and_then(|_| outcomes.next());
                let outcome = outcome.map_or_else(|| Err(Refusal::not_found("request")), |(_, outcome)| outcome);
                (item.request_id, outcome)
            })
            .collect();
        let position = outcomes
            .iter()
            .filter_map(|(_, outcome)| Some(outcome.as_ref().ok()?.position))
            .max();
        let frame = match position {
            Some(position) => written(ctx, position).await,
            None => Arc::clone(&frame),
        };
        // All rows at once; what follows finds them there.
        frame
            .load()
            .load_many(outcomes.iter().filter_map(|(id, _)| typed::<RequestId>(id)))
            .await?;
        let mut results = Vec::with_capacity(outcomes.len());
        for (id, outcome) in outcomes {
            results.push(result(&frame, id, outcome).await?);
        }
        Ok(BulkDecidePayload {
            results,
            position: position.map(Position),
        })
    }
}
