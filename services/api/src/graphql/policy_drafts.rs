//! Questions about drafts: what would be said of one, and what it would change.

use async_graphql::{Context, ID, Object, SimpleObject};
use commands::{Act, Draft, ImpactExample};
use formats::PolicyId;

use super::{
    context::{Ask, For},
    error::{Answer, first_refusal},
    ids::named,
    policies::{FieldProblem, LintWarning},
    scalars::PolicyDocument,
    words::{ActionType, Outcome},
};

#[derive(Debug, SimpleObject)]
pub(crate) struct PolicyReport {
    problems: Vec<FieldProblem>,
    warnings: Vec<LintWarning>,
    /// With every default filled in; null while there are problems.
    normalised: Option<PolicyDocument>,
}

/// What a draft would change of recorded actions, were it enforced.
#[derive(Debug, SimpleObject)]
pub(crate) struct PolicyImpact {
    days: u32,
    /// At most 50,000 are looked at.
    actions: i32,
    newly_denied: i32,
    newly_required: i32,
    newly_allowed: i32,
    unchanged: i32,
    /// At most 50, those that occurred most often first; for whoever may read the audit trail.
    #[graphql(guard = "For(Act::ReadAudit)")]
    examples: Vec<PolicyImpactExample>,
}

#[derive(Debug, SimpleObject)]
pub(crate) struct PolicyImpactExample {
    action_type: ActionType,
    /// The program, file or command line.
    summary: String,
    user_name: Option<String>,
    machine_name: Option<String>,
    occurrences: i32,
    before: Outcome,
    after: Outcome,
}

fn number(count: u64) -> i32 {
    count.try_into().unwrap_or(i32::MAX)
}

impl From<ImpactExample> for PolicyImpactExample {
    fn from(example: ImpactExample) -> Self {
        Self {
            action_type: example.action_type.into(),
            summary: example.subject,
            user_name: Some(example.user),
            machine_name: Some(example.machine),
            occurrences: number(example.occurrences),
            before: example.before.into(),
            after: example.after.into(),
        }
    }
}

#[derive(Default)]
pub(crate) struct PolicyDraftQuery;

#[Object]
impl PolicyDraftQuery {
    /// Checks a document without saving it: what would be refused, and what lint says.
    #[graphql(complexity = "100 + child_complexity")]
    async fn validate_policy(
        &self,
        ctx: &Context<'_>,
        document: PolicyDocument,
        policy_id: Option<ID>,
    ) -> Answer<PolicyReport> {
        let frame = ctx.frame_for(Act::ReadPolicies)?;
        let policy = policy_id
            .map(|id| named::<PolicyId>(&id, "policy", "policyId"))
            .transpose()?;
        let read = match document.read() {
            Ok(read) => read,
            Err(fault) => {
                // What has not the shape of a document at all is a problem like any other.
                let refusal = first_refusal(fault)?;
                let field = refusal.field.unwrap_or_default();
                let field = field.strip_prefix("document.").unwrap_or(&field).to_owned();
                let problem = FieldProblem {
                    field,
                    code: refusal.code.to_owned(),
                    message: refusal.message,
                };
                return Ok(PolicyReport {
                    problems: vec![problem],
                    warnings: Vec::new(),
                    normalised: None,
                });
            }
        };
        let normalised = PolicyDocument::of(&read)?;
        let check = frame.app.check_policy(&frame.caller, policy, read).await?;
        Ok(PolicyReport {
            normalised: check.problems.is_empty().then_some(normalised),
            problems: check.problems.into_iter().map(Into::into).collect(),
            warnings: check.warnings.into_iter().map(LintWarning).collect(),
        })
    }

    /// Runs a draft over the recorded actions of the last `days` days (1 to 90).
    #[graphql(complexity = "1000 + 10 * child_complexity")]
    async fn policy_impact(
        &self,
        ctx: &Context<'_>,
        document: PolicyDocument,
        policy_id: Option<ID>,
        #[graphql(default = 7)] days: i32,
    ) -> Answer<PolicyImpact> {
        let frame = ctx.frame_for(Act::ReadPolicies)?;
        let policy = policy_id
            .map(|id| named::<PolicyId>(&id, "policy", "policyId"))
            .transpose()?;
        let draft = Draft {
            policy,
            document: document.read()?,
        };
        let days = u32::try_from(days).unwrap_or(0);
        let impact = frame.app.policy_impact(&frame.caller, draft, days).await?;
        Ok(PolicyImpact {
            days,
            actions: number(impact.actions),
            newly_denied: number(impact.newly_denied),
            newly_required: number(impact.newly_required),
            newly_allowed: number(impact.newly_allowed),
            unchanged: number(impact.unchanged),
            examples: impact.examples.into_iter().map(Into::into).collect(),
        })
    }
}
