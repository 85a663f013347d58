//! What changes policies.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use commands::{Act, Refusal};
use formats::PolicyId;

use super::{
    context::{Ask, Frame, shown as present, written},
    error::Answer,
    ids::{named, named_all},
    policies::Policy,
    scalars::{PolicyDocument, Position},
    words::PolicyStatus,
};

#[derive(Debug, InputObject)]
pub(crate) struct CreatePolicyInput {
    document: PolicyDocument,
    comment: Option<String>,
}

#[derive(Debug, InputObject)]
pub(crate) struct RevisePolicyInput {
    policy_id: ID,
    /// The revision the editor started from; another one refuses with `STALE_VERSION`.
    expected_revision: u32,
    document: PolicyDocument,
    comment: Option<String>,
}

#[derive(Debug, InputObject)]
pub(crate) struct SetPolicyStatusInput {
    policy_id: ID,
    status: PolicyStatus,
    comment: Option<String>,
}

#[derive(Debug, InputObject)]
pub(crate) struct DeletePolicyInput {
    policy_id: ID,
    comment: Option<String>,
}

#[derive(Debug, InputObject)]
pub(crate) struct DuplicatePolicyInput {
    policy_id: ID,
    /// The copy's name; it starts with the status off.
    name: String,
}

#[derive(Debug, InputObject)]
pub(crate) struct RollbackPolicyInput {
    policy_id: ID,
    revision: u32,
    comment: Option<String>,
}

#[derive(Debug, InputObject)]
pub(crate) struct StagePolicyRevisionInput {
    policy_id: ID,
    /// The revision the editor started from; another one refuses with `STALE_VERSION`.
    expected_revision: u32,
    document: PolicyDocument,
    deployment_group_ids: Vec<ID>,
    comment: Option<String>,
}

#[derive(Debug, InputObject)]
pub(crate) struct PromotePolicyRevisionInput {
    policy_id: ID,
    /// The staged one; another one refuses with `STALE_VERSION`.
    revision: u32,
}

#[derive(Debug, InputObject)]
pub(crate) struct WithdrawPolicyRevisionInput {
    policy_id: ID,
    /// The staged one; another one refuses with `STALE_VERSION`.
    revision: u32,
    comment: Option<String>,
}

/// `position` is the log position of the last event the mutation wrote, or of the one that an earlier identical command
/// wrote; the object is read after that position.
#[derive(Debug, SimpleObject)]
pub(crate) struct PolicyPayload {
    policy: Policy,
    position: Position,
}

impl PolicyPayload {
    async fn of(ctx: &Context<'_>, id: PolicyId, position: u64) -> Answer<Self> {
        let frame = written(ctx, position).await;
        let policy = Policy(present(frame.load().load_one(id).await?, position)?);
        Ok(Self {
            policy,
            position: Position(position),
        })
    }
}

/// That the staged revision is the one that was shown.
async fn is_staged(frame: &Frame, id: PolicyId, revision: u32) -> Answer<()> {
    frame.caller.demand(Act::WritePolicies)?;
    let policy = frame.load().load_one(id).await?;
    let Some(staged) = policy.as_ref().and_then(|policy| policy.staged.as_ref()) else {
        return Ok(());
    };
    if staged.revision == revision {
        return Ok(());
    }
    let message = format!("revision {} is staged, not {revision}; load it again", staged.revision);
    Err(Refusal::new("STALE_VERSION", 409, message).on("revision").into())
}

#[derive(Default)]
pub(crate) struct PolicyMutation;

#[Object]
impl PolicyMutation {
    async fn create_policy(&self, ctx: &Context<'_>, input: CreatePolicyInput) -> Answer<PolicyPayload> {
        let (frame, caller) = ctx.command()?;
        caller.demand(Act::WritePolicies)?;
        let document = input.document.read()?;
        let done = frame
            .app
            .create_policy(&caller, document, input.comment.unwrap_or_default())
            .await?;
        PolicyPayload::of(ctx, done.id(), done.position).await
    }

    async fn revise_policy(&self, ctx: &Context<'_>, input: RevisePolicyInput) -> Answer<PolicyPayload> {
        let (frame, caller) = ctx.command()?;
        caller.demand(Act::WritePolicies)?;
        let id = named(&input.policy_id, "policy", "policyId")?;
        let (document, comment) = (input.document.read()?, input.comment.unwrap_or_default());
        let done = frame
            .app
            .revise_policy(&caller, id, document, comment, Some(input.expected_revision))
            .await?;
        PolicyPayload::of(ctx, id, done.position).await
    }

    async fn set_policy_status(&self, ctx: &Context<'_>, input: SetPolicyStatusInput) -> Answer<PolicyPayload> {
        let (frame, caller) = ctx.command()?;
        let id = named(&input.policy_id, "policy", "policyId")?;
        let comment = input.comment.unwrap_or_default();
        let done = frame
            .app
            .set_policy_status(&caller, id, input.status.into(), comment, None)
            .await?;
        PolicyPayload::of(ctx, id, done.position).await
    }

    /// Its history stays.
    async fn delete_policy(&self, ctx: &Context<'_>, input: DeletePolicyInput) -> Answer<PolicyPayload> {
        let (frame, caller) = ctx.command()?;
        let id = named(&input.policy_id, "policy", "policyId")?;
        let done = frame
            .app
            .delete_policy(&caller, id, input.comment.unwrap_or_default())
            .await?;
        PolicyPayload::of(ctx, id, done.position).await
    }

    async fn duplicate_policy(&self, ctx: &Context<'_>, input: DuplicatePolicyInput) -> Answer<PolicyPayload> {
        let (frame, caller) = ctx.command()?;
        let source = named(&input.policy_id, "policy", "policyId")?;
        let done = frame.app.duplicate_policy(&caller, source, input.name).await?;
        PolicyPayload::of(ctx, done.id(), done.position).await
    }

    /// Makes the document of an earlier revision the newest one.
    async fn rollback_policy(&self, ctx: &Context<'_>, input: RollbackPolicyInput) -> Answer<PolicyPayload> {
        let (frame, caller) = ctx.command()?;
        let id = named(&input.policy_id, "policy", "policyId")?;
        let comment = input.comment.unwrap_or_default();
        let done = frame
            .app
            .rollback_policy(&caller, id, input.revision, comment, None)
            .await?;
        PolicyPayload::of(ctx, id, done.position).await
    }

    /// Gives a new revision to some deployment groups first.
    async fn stage_policy_revision(&self, ctx: &Context<'_>, input: StagePolicyRevisionInput) -> Answer<PolicyPayload> {
        let (frame, caller) = ctx.command()?;
        caller.demand(Act::WritePolicies)?;
        let id = named(&input.policy_id, "policy", "policyId")?;
        let groups = named_all(&input.deployment_group_ids, "deployment group", "deploymentGroupIds")?;
        let (document, comment) = (input.document.read()?, input.comment.unwrap_or_default());
        let expected = Some(input.expected_revision);
        let done = frame
            .app
            .stage_policy_revision(&caller, id, document, groups, comment, expected)
            .await?;
        PolicyPayload::of(ctx, id, done.position).await
    }

    /// Makes the staged revision everybody's.
    async fn promote_policy_revision(
        &self,
        ctx: &Context<'_>,
        input: PromotePolicyRevisionInput,
    ) -> Answer<PolicyPayload> {
        let (frame, caller) = ctx.command()?;
        let id = named(&input.policy_id, "policy", "policyId")?;
        is_staged(&frame, id, input.revision).await?;
        let done = frame.app.promote_policy_revision(&caller, id).await?;
        PolicyPayload::of(ctx, id, done.position).await
    }

    async fn withdraw_policy_revision(
        &self,
        ctx: &Context<'_>,
        input: WithdrawPolicyRevisionInput,
    ) -> Answer<PolicyPayload> {
        let (frame, caller) = ctx.command()?;
        let id = named(&input.policy_id, "policy", "policyId")?;
        is_staged(&frame, id, input.revision).await?;
        let done = frame
            .app
            .withdraw_policy_revision(&caller, id, input.comment.unwrap_or_default())
            .await?;
        PolicyPayload::of(ctx, id, done.position).await
    }
}
