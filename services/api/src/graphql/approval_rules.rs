//! Approval rules: which requests go to whom.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use commands::{Act, Refusal};
use formats::ApprovalRuleId;
use model::{
    approval_rule::{ApprovalRules, RuleDefinition},
    request::{Approver, Windows},
};
use projections::approval_rules::ApprovalRuleView;

use super::{
    collections::Collection,
    context::{Ask, For, Frame, shown as present, written},
    error::Answer,
    ids::{named, named_all, shown},
    request_standing::deciders,
    scalars::{DateTime, Position},
    teams::Team,
    users::User,
    words::{ActionType, all},
};

#[derive(Debug, Clone)]
pub(crate) struct ApprovalRule(pub(crate) ApprovalRuleView);

impl ApprovalRule {
    /// One rule.
    pub(crate) async fn find(frame: &Frame, id: ApprovalRuleId) -> Answer<Option<Self>> {
        frame.caller.demand(Act::ReadPolicies)?;
        Self::known(frame, id).await
    }

    /// As [`ApprovalRule::find`], whoever asks: something that they may see names it.
    pub(crate) async fn known(frame: &Frame, id: ApprovalRuleId) -> Answer<Option<Self>> {
        Ok(frame
            .rules()
            .await?
            .iter()
            .find(|rule| rule.id == id)
            .cloned()
            .map(Self))
    }
}

/// Routing of requests to approvers: the name to whoever sees a request that it routed, everything else to whoever may
/// read policies.
#[Object]
impl ApprovalRule {
    pub(crate) async fn id(&self) -> ID {
        shown(self.0.id)
    }

    async fn name(&self) -> &str {
        &self.0.definition.name
    }

    /// What is probably not meant.
    #[graphql(complexity = "5 + child_complexity")]
    async fn warnings(&self, ctx: &Context<'_>) -> Answer<Vec<RuleWarning>> {
        let frame = ctx.frame_for(Act::ReadPolicies)?;
        let rule = &self.0.definition;
        let primary = deciders(&frame, &rule.primary).await?;
        let secondary = deciders(&frame, &rule.secondary).await?;
        let mut warnings = Vec::new();
        if primary == 0 {
            warnings.push(RuleWarning {
                code: "NO_APPROVER",
                message: "Nobody whom this rule asks first can decide: administrators are asked.",
            });
        } else if primary < rule.quorum as usize {
            warnings.push(RuleWarning {
                code: "QUORUM_OUT_OF_REACH",
                message: "Fewer people than have to agree can decide: administrators have to join them.",
            });
        }
        if secondary == 0 && !rule.secondary.is_empty() {
            warnings.push(RuleWarning {
                code: "NO_SECONDARY_APPROVER",
                message: "Nobody whom this rule asks second can decide: requests expire at the first deadline.",
            });
        }
        Ok(warnings)
    }

    /// Place in the order, from 1.
    #[graphql(guard = "For(Act::ReadPolicies)")]
    async fn rank(&self) -> u32 {
        self.0.rank
    }

    /// Empty means any.
    #[graphql(guard = "For(Act::ReadPolicies)")]
    async fn action_types(&self) -> Vec<ActionType> {
        self.0.definition.types.iter().copied().map(Into::into).collect()
    }

    /// Collections that the action must touch: one of each kind that is named; empty means any.
    #[graphql(complexity = "1 + 5 * child_complexity")]
    async fn collections(&self, ctx: &Context<'_>) -> Answer<Vec<Collection>> {
        let frame = ctx.frame_for(Act::ReadPolicies)?;
        let named = &self.0.definition.collections;
        let all = frame.collections().await?;
        let used = all
            .iter()
            .filter(|c| named.contains(&c.name) || named.contains(&c.id.to_string()));
        Ok(used.cloned().map(Collection).collect())
    }

    #[graphql(guard = "For(Act::ReadPolicies)")]
    async fn minimum_risk(&self) -> u32 {
        self.0.definition.risk_from
    }

    #[graphql(guard = "For(Act::ReadPolicies)")]
    async fn maximum_risk(&self) -> u32 {
        self.0.definition.risk_to
    }

    async fn primary(&self) -> Approvers {
        Approvers(self.0.definition.primary.clone())
    }

    async fn secondary(&self) -> Approvers {
        Approvers(self.0.definition.secondary.clone())
    }

    #[graphql(guard = "For(Act::ReadPolicies)")]
    async fn quorum(&self) -> u32 {
        self.0.definition.quorum
    }

    /// Whether people may decide their own requests that this rule routes.
    #[graphql(guard = "For(Act::ReadPolicies)")]
    async fn self_approval(&self) -> bool {
        self.0.definition.self_approval
    }

    #[graphql(guard = "For(Act::ReadPolicies)")]
    async fn windows(&self) -> RequestWindows {
        self.0.definition.windows.into()
    }

    #[graphql(guard = "For(Act::ReadPolicies)")]
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    #[graphql(guard = "For(Act::ReadPolicies)")]
    async fn updated_at(&self) -> DateTime {
        self.0.updated_at.into()
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Approvers(pub(crate) Vec<Approver>);

/// Users and teams that are asked, for whoever may read policies.
#[Object]
impl Approvers {
    #[graphql(complexity = "1 + 5 * child_complexity")]
    async fn users(&self, ctx: &Context<'_>) -> Answer<Vec<User>> {
        let frame = ctx.frame_for(Act::ReadPolicies)?;
        let users: Vec<_> = self
            .0
            .iter()
            .filter_map(|approver| match approver {
                Approver::User(user) => Some(*user),
                Approver::Team(_) => None,
            })
            .collect();
        User::each(&frame, &users).await
    }

    #[graphql(complexity = "1 + 5 * child_complexity")]
    async fn teams(&self, ctx: &Context<'_>) -> Answer<Vec<Team>> {
        let frame = ctx.frame_for(Act::ReadPolicies)?;
        let all = frame.teams().await?;
        let asked = all.iter().filter(|team| self.0.contains(&Approver::Team(team.id)));
        Ok(asked.cloned().map(Team).collect())
    }
}

/// Minutes; the tenant's settings stand where a rule says nothing.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct RequestWindows {
    pending_minutes: u32,
    escalated_minutes: u32,
    grant_minutes: u32,
    /// Null is unlimited.
    grant_uses: Option<u32>,
}

impl From<Windows> for RequestWindows {
    fn from(windows: Windows) -> Self {
        Self {
            pending_minutes: windows.pending_minutes,
            escalated_minutes: windows.escalated_minutes,
            grant_minutes: windows.grant_minutes,
            grant_uses: windows.uses,
        }
    }
}

#[derive(Default)]
pub(crate) struct ApprovalRuleQuery;

#[Object]
impl ApprovalRuleQuery {
    /// In the order in which they are tried.
    #[graphql(complexity = "1 + 20 * child_complexity")]
    async fn approval_rules(&self, ctx: &Context<'_>) -> Answer<Vec<ApprovalRule>> {
        let frame = ctx.frame_for(Act::ReadPolicies)?;
        Ok(frame.rules().await?.iter().cloned().map(ApprovalRule).collect())
    }
}

#[derive(Debug, Default, InputObject)]
pub(crate) struct ApproversInput {
    #[graphql(default)]
    user_ids: Vec<ID>,
    #[graphql(default)]
    team_ids: Vec<ID>,
}

impl ApproversInput {
    pub(crate) fn read(&self, field: &str) -> Answer<Vec<Approver>> {
        let users = named_all(&self.user_ids, "user", &format!("{field}.userIds"))?;
        let teams = named_all(&self.team_ids, "team", &format!("{field}.teamIds"))?;
        Ok(users
            .into_iter()
            .map(Approver::User)
            .chain(teams.into_iter().map(Approver::Team))
            .collect())
    }
}

/// Null means the tenant's setting; `unlimitedUses` overrides `grantUses`.
#[derive(Debug, Default, InputObject)]
pub(crate) struct RequestWindowsInput {
    pending_minutes: Option<u32>,
    escalated_minutes: Option<u32>,
    grant_minutes: Option<u32>,
    grant_uses: Option<u32>,
    #[graphql(default)]
    unlimited_uses: bool,
}

impl RequestWindowsInput {
    /// With `base` where nothing is said.
    pub(crate) fn over(&self, base: Windows) -> Windows {
        Windows {
            pending_minutes: self.pending_minutes.unwrap_or(base.pending_minutes),
            escalated_minutes: self.escalated_minutes.unwrap_or(base.escalated_minutes),
            grant_minutes: self.grant_minutes.unwrap_or(base.grant_minutes),
            uses: if self.unlimited_uses {
                None
            } else {
                self.grant_uses.or(base.uses)
            },
        }
    }
}

/// A remark about an approval rule, by the users, teams and roles of this moment.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct RuleWarning {
    /// `NO_APPROVER`, `QUORUM_OUT_OF_REACH` or `NO_SECONDARY_APPROVER`.
    code: &'static str,
    message: &'static str,
}

#[derive(Debug, InputObject)]
pub(crate) struct CreateApprovalRuleInput {
    name: String,
    #[graphql(default)]
    action_types: Vec<ActionType>,
    #[graphql(default)]
    collection_ids: Vec<ID>,
    #[graphql(default = 0)]
    minimum_risk: u32,
    #[graphql(default = 100)]
    maximum_risk: u32,
    primary: ApproversInput,
    secondary: ApproversInput,
    #[graphql(default = 1)]
    quorum: u32,
    windows: Option<RequestWindowsInput>,
    #[graphql(default)]
    self_approval: bool,
}

/// Fields left out stay as they are.
#[derive(Debug, InputObject)]
pub(crate) struct ChangeApprovalRuleInput {
    approval_rule_id: ID,
    name: Option<String>,
    action_types: Option<Vec<ActionType>>,
    collection_ids: Option<Vec<ID>>,
    minimum_risk: Option<u32>,
    maximum_risk: Option<u32>,
    primary: Option<ApproversInput>,
    secondary: Option<ApproversInput>,
    quorum: Option<u32>,
    windows: Option<RequestWindowsInput>,
    self_approval: Option<bool>,
}

#[derive(Debug, InputObject)]
pub(crate) struct DeleteApprovalRuleInput {
    approval_rule_id: ID,
}

#[derive(Debug, InputObject)]
pub(crate) struct ReorderApprovalRulesInput {
    /// Every rule, in the new order.
    approval_rule_ids: Vec<ID>,
}

#[derive(Debug, SimpleObject)]
pub(crate) struct ApprovalRulePayload {
    approval_rule: ApprovalRule,
    position: Position,
}

impl ApprovalRulePayload {
    async fn of(ctx: &Context<'_>, id: ApprovalRuleId, position: u64) -> Answer<Self> {
        let frame = written(ctx, position).await;
        let approval_rule = present(ApprovalRule::known(&frame, id).await?, position)?;
        Ok(Self {
            approval_rule,
            position: Position(position),
        })
    }
}

#[derive(Debug, SimpleObject)]
pub(crate) struct ReorderApprovalRulesPayload {
    approval_rules: Vec<ApprovalRule>,
    position: Position,
}

/// The ids of collections, as rules name them.
fn collection_ids(ids: &[ID]) -> Answer<Vec<String>> {
    let ids: Vec<formats::CollectionId> = named_all(ids, "collection", "collectionIds")?;
    Ok(ids.into_iter().map(|id| id.to_string()).collect())
}

#[derive(Default)]
pub(crate) struct ApprovalRuleMutation;

#[Object]
impl ApprovalRuleMutation {
    /// At the end of the list.
    async fn create_approval_rule(
        &self,
        ctx: &Context<'_>,
        input: CreateApprovalRuleInput,
    ) -> Answer<ApprovalRulePayload> {
        let (frame, caller) = ctx.command()?;
        caller.demand(Act::WritePolicies)?;
        let settings = frame.settings().await?;
        let definition = RuleDefinition {
            name: input.name,
            types: all(Some(input.action_types)),
            collections: collection_ids(&input.collection_ids)?,
            risk_from: input.minimum_risk,
            risk_to: input.maximum_risk,
            primary: input.primary.read("primary")?,
            secondary: input.secondary.read("secondary")?,
            quorum: input.quorum,
            windows: input.windows.unwrap_or_default().over(settings.windows),
            self_approval: input.self_approval,
        };
        let done = frame.app.create_approval_rule(&caller, definition).await?;
        ApprovalRulePayload::of(ctx, done.id(), done.position).await
    }

    async fn change_approval_rule(
        &self,
        ctx: &Context<'_>,
        input: ChangeApprovalRuleInput,
    ) -> Answer<ApprovalRulePayload> {
        let (frame, caller) = ctx.command()?;
        caller.demand(Act::WritePolicies)?;
        let id: ApprovalRuleId = named(&input.approval_rule_id, "approval rule", "approvalRuleId")?;
        // What is left out stays as the log has it now, not as the read models may still show it.
        let (rules, _) = frame
            .app
            .store
            .load::<ApprovalRules>(caller.tenant, caller.tenant.uuid())
            .await?;
        let known = rules
            .rules()
            .iter()
            .find(|(rule, _)| *rule == id)
            .map(|(_, definition)| definition.clone());
        let mut definition = known.ok_or_else(|| Refusal::not_found("approval rule").on("approvalRuleId"))?;
        if let Some(name) = input.name {
            definition.name = name;
        }
        if let Some(types) = input.action_types {
            definition.types = all(Some(types));
        }
        if let Some(ids) = &input.collection_ids {
            definition.collections = collection_ids(ids)?;
        }
        if let Some(primary) = &input.primary {
            definition.primary = primary.read("primary")?;
        }
        if let Some(secondary) = &input.secondary {
            definition.secondary = secondary.read("secondary")?;
        }
        if let Some(windows) = &input.windows {
            definition.windows = windows.over(frame.settings().await?.windows);
        }
        definition.risk_from = input.minimum_risk.unwrap_or(definition.risk_from);
        definition.risk_to = input.maximum_risk.unwrap_or(definition.risk_to);
        definition.quorum = input.quorum.unwrap_or(definition.quorum);
        definition.self_approval = input.self_approval.unwrap_or(definition.self_approval);
        let done = frame.app.change_approval_rule(&caller, id, definition).await?;
        ApprovalRulePayload::of(ctx, id, done.position).await
    }

    /// Live requests keep the route they have.
    async fn delete_approval_rule(
        &self,
        ctx: &Context<'_>,
        input: DeleteApprovalRuleInput,
    ) -> Answer<ApprovalRulePayload> {
        let (frame, caller) = ctx.command()?;
        caller.demand(Act::WritePolicies)?;
        let id = named(&input.approval_rule_id, "approval rule", "approvalRuleId")?;
        let rule = ApprovalRule::known(&frame, id).await?;
        let done = frame.app.delete_approval_rule(&caller, id).await?;
        written(ctx, done.position).await;
        let approval_rule = rule.ok_or_else(|| Refusal::not_found("approval rule").on("approvalRuleId"))?;
        Ok(ApprovalRulePayload {
            approval_rule,
            position: Position(done.position),
        })
    }

    async fn reorder_approval_rules(
        &self,
        ctx: &Context<'_>,
        input: ReorderApprovalRulesInput,
    ) -> Answer<ReorderApprovalRulesPayload> {
        let (frame, caller) = ctx.command()?;
        let order = named_all(&input.approval_rule_ids, "approval rule", "approvalRuleIds")?;
        let done = frame.app.reorder_approval_rules(&caller, order).await?;
        let frame = written(ctx, done.position).await;
        let approval_rules = frame.rules().await?.iter().cloned().map(ApprovalRule).collect();
        Ok(ReorderApprovalRulesPayload {
            approval_rules,
            position: Position(done.position),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_that_say_nothing_are_the_tenants() {
        let base = Windows::default();
        assert_eq!(RequestWindowsInput::default().over(base), base);
        let given = RequestWindowsInput {
            grant_uses: Some(5),
            ..RequestWindowsInput::default()
        };
        assert_eq!(given.over(base).uses, Some(5));
        let unlimited = RequestWindowsInput {
            unlimited_uses: true,
            grant_uses: Some(5),
            ..given
        };
        assert_eq!(unlimited.over(base).uses, None);
    }
}
