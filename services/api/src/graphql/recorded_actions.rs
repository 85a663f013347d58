//! What agents recorded: each action with its decision and what became of it.

use async_graphql::{Context, Enum, ID, Object, SimpleObject};
use commands::Act;
use formats::ActivityId;
use projections::activity::ActivityView;

use super::{
    action::Action,
    context::{Ask, Frame},
    error::Answer,
    ids::shown,
    policies::CitedPolicy,
    requests::Request,
    scalars::{DateTime, Position},
    words::{Outcome, Step},
};

/// What became of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "model::activity::ActionResult")]
pub(crate) enum ActionResult {
    /// It went on.
    Permitted,
    /// It did not.
    Refused,
    /// The user gave up.
    Cancelled,
}

/// The snapshot a record was decided on.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct RecordedSnapshot {
    epoch: u32,
    version: Position,
    /// SHA-256 of its body, in hexadecimal.
    sha256: String,
}

#[derive(Debug, Clone)]
pub(crate) struct RecordedAction(pub(crate) ActivityView);

impl RecordedAction {
    /// One record.
    pub(crate) async fn find(frame: &Frame, id: ActivityId) -> Answer<Option<Self>> {
        frame.caller.demand(Act::ReadAudit)?;
        let mut tx = frame.tx().await?;
        Ok(projections::activity::find(&mut tx, id).await?.map(Self))
    }
}

/// An action that an agent recorded, with its decision and what became of it.
#[Object]
impl RecordedAction {
    pub(crate) async fn id(&self) -> ID {
        shown(self.0.id)
    }

    /// Position of its event.
    async fn position(&self) -> Position {
        Position(self.0.position)
    }

    /// The agent's number of the record, from 1 without a gap.
    async fn number(&self) -> u64 {
        self.0.seq
    }

    /// Null once the person was erased.
    async fn action(&self) -> Option<Action> {
        let input = self.0.input.as_ref()?;
        Some(Action {
            action_type: input.action.action_type,
            endpoint: self.0.endpoint,
            told_at: self.0.at,
            known: Some(input.action.clone()),
            cwd: input.cwd.clone(),
        })
    }

    /// By the endpoint's clock.
    async fn occurred_at(&self) -> DateTime {
        self.0.at.into()
    }

    /// By the server's clock, as far as the endpoint's skew was known.
    async fn corrected_at(&self) -> DateTime {
        self.0.corrected_at.into()
    }

    async fn outcome(&self) -> Outcome {
        self.0.decision.outcome.into()
    }

    /// Steps that the decision demanded, in order.
    async fn steps(&self) -> Vec<Step> {
        self.0.decision.steps.iter().copied().map(Into::into).collect()
    }

    /// The enforced policies that matched, at the revisions of the endpoint's snapshot.
    #[graphql(complexity = "1 + 3 * child_complexity")]
    async fn policies(&self) -> Vec<CitedPolicy> {
        let cited = |policy: &model::request::PolicyRef| CitedPolicy {
            id: policy.id.to_string(),
            revision: policy.revision,
            as_cited: None,
        };
        self.0.decision.matched.iter().map(cited).collect()
    }

    /// The version of the engine that decided.
    async fn engine(&self) -> &str {
        &self.0.decision.engine
    }

    async fn snapshot(&self) -> RecordedSnapshot {
        RecordedSnapshot {
            epoch: self.0.snapshot.epoch,
            version: Position(self.0.snapshot.version),
            sha256: self.0.snapshot.sha256.clone(),
        }
    }

    /// Null where the agent did not say.
    async fn result(&self) -> Option<ActionResult> {
        self.0.result.map(Into::into)
    }

    async fn justification(&self) -> Option<&str> {
        self.0.input.as_ref()?.justification.as_deref()
    }

    /// Id of the proof that satisfied the one-time code.
    async fn mfa_proof_id(&self) -> Option<ID> {
        self.0.mfa_proof.map(|id| ID(id.to_string()))
    }

    /// The request whose grant was used, where the viewer may see it.
    async fn request(&self, ctx: &Context<'_>) -> Answer<Option<Request>> {
        let Some(id) = self.0.grant else { return Ok(None) };
        let frame = ctx.frame();
        match frame.load().load_one(id).await? {
            Some(row) if frame.sees(&row).await? => Ok(Some(Request(row))),
            _ => Ok(None),
        }
    }

    /// The record that the endpoint gave this number before: it was restored from a copy, or a copy of it runs.
    async fn reuses_number_of_id(&self) -> Option<ID> {
        self.0.reuses.map(shown)
    }
}
