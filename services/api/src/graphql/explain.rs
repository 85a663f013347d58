//! Why a decision comes out as it does.

use async_graphql::{Context, ID, InputObject, Json, Object, SimpleObject};
use commands::{Act, Draft, Explained, Refusal};
use formats::{ActivityId, DeploymentGroupId, PolicyId, RequestId};
use policy_engine::{Action, Considered as Looked};

use super::{
    context::Ask,
    error::Answer,
    ids::named,
    policies::{AsCited, CitedPolicy},
    scalars::{PolicyDocument, Position, read_at},
    words::{Outcome, Step},
};

#[derive(Debug, SimpleObject)]
pub(crate) struct DecisionExplanation {
    outcome: Outcome,
    steps: Vec<Step>,
    /// Which rule settled it, in words.
    settled_by: String,
    /// What the monitored policies would have made of it; null where none matched, and to whoever may not read policies.
    would_have: Option<WouldHave>,
    /// Policies that were asked; to whoever may not read policies, the enforced ones that matched.
    considered: Vec<ConsideredPolicy>,
    risk_level: u32,
    access_minutes: Option<u32>,
    mfa_always: bool,
    messages: Vec<String>,
    /// Version of the snapshot it was run on; null with a draft.
    snapshot_version: Option<Position>,
    /// For a recorded decision: whether it comes out the same again. Null where its snapshot is gone.
    same: Option<bool>,
    /// For a recorded decision: the snapshot that it cites is not kept any more, and this was run on what the endpoint's
    /// group is offered now.
    snapshot_gone: bool,
}

#[derive(Debug, SimpleObject)]
pub(crate) struct WouldHave {
    outcome: Outcome,
    steps: Vec<Step>,
}

#[derive(Debug, SimpleObject)]
pub(crate) struct ConsideredPolicy {
    policy: CitedPolicy,
    matched: bool,
    /// The first field that did not match, such as `applications`.
    failed_field: Option<String>,
    note: Option<String>,
}

fn steps(steps: &[policy_engine::Step]) -> Vec<Step> {
    steps.iter().copied().map(Into::into).collect()
}

impl From<Explained> for DecisionExplanation {
    fn from(explained: Explained) -> Self {
        let Explained {
            explanation,
            version,
            same,
            gone,
            mut controls,
        } = explained;
        let mut considered = |looked: Looked| ConsideredPolicy {
            matched: looked.matched,
            failed_field: looked.excluded_by,
            note: (!looked.notes.is_empty()).then(|| looked.notes.join(" ")),
            policy: CitedPolicy {
                id: looked.policy.id.clone(),
                revision: u32::try_from(looked.policy.revision).unwrap_or(u32::MAX),
                as_cited: Some(AsCited {
                    name: looked.policy.name.clone(),
                    status: looked.status,
                    controls: controls.remove(&looked.policy.id).unwrap_or_default(),
                }),
            },
        };
        let decision = explanation.decision;
        Self {
            considered: explanation.considered.into_iter().map(&mut considered).collect(),
            outcome: decision.outcome.into(),
            steps: steps(&decision.steps),
            settled_by: explanation.because,
            would_have: decision.would_have.map(|would| WouldHave {
                outcome: would.outcome.into(),
                steps: steps(&would.steps),
            }),
            risk_level: decision.risk_level,
            access_minutes: Some(decision.access_minutes),
            mfa_always: decision.mfa_always,
            messages: decision.notification.messages,
            snapshot_version: version.map(Position),
            same,
            snapshot_gone: gone,
        }
    }
}

#[derive(Debug, InputObject)]
pub(crate) struct ExplainDecisionInput {
    request_id: Option<ID>,
    activity_id: Option<ID>,
    /// An action in the case format of docs/domain.md § 2.
    action: Option<Json<serde_json::Value>>,
    /// Run it on this group's snapshot; the widest group otherwise.
    deployment_group_id: Option<ID>,
    /// Take this draft in place of the policy with its id, or besides all where there is no id. With `action` only.
    draft: Option<PolicyDocument>,
    draft_policy_id: Option<ID>,
}

#[derive(Default)]
pub(crate) struct ExplainQuery;

#[Object]
impl ExplainQuery {
    /// Why an action is, or was, decided as it is. Exactly one of `requestId`, `activityId` and `action` is given. What
    /// was recorded is run again on the snapshot that it cites.
    #[graphql(complexity = "200 + 10 * child_complexity")]
    async fn explain_decision(&self, ctx: &Context<'_>, input: ExplainDecisionInput) -> Answer<DecisionExplanation> {
        let frame = ctx.frame();
        let (app, caller) = (&frame.app, &frame.caller);
        let explained = match (input.request_id, input.activity_id, input.action) {
            (Some(id), None, None) => {
                caller.demand(Act::ReadRequests)?;
                let id: RequestId = named(&id, "request", "requestId")?;
                app.explain_request(caller, id).await?
            }
            (None, Some(id), None) => {
                caller.demand(Act::ReadPolicies)?;
                let id: ActivityId = named(&id, "recorded action", "activityId")?;
                app.explain_activity(caller, id).await?
            }
            (None, None, Some(action)) => {
                caller.demand(Act::ReadPolicies)?;
                let action: Action = read_at("action", &action.0)?;
                let group = input
                    .deployment_group_id
                    .map(|id| named::<DeploymentGroupId>(&id, "deployment group", "deploymentGroupId"))
                    .transpose()?;
                let policy = input
                    .draft_policy_id
                    .map(|id| named::<PolicyId>(&id, "policy", "draftPolicyId"))
                    .transpose()?;
                let draft = match input.draft {
                    Some(document) => Some(Draft {
                        policy,
                        document: document.read()?,
                    }),
                    None => None,
                };
                app.explain_action(caller, group, action, draft).await?
            }
            _ => {
                let message = "give exactly one of requestId, activityId and action";
                return Err(Refusal::bad_input("action", message).into());
            }
        };
        Ok(explained.into())
    }
}
