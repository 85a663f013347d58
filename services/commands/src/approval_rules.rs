//! Approval rules: which requests go to whom.

use formats::ApprovalRuleId;
use model::approval_rule::{ApprovalRules, ApprovalRulesCommand, RuleDefinition, RuleFacts};
use serde_json::json;

use crate::{Act, App, Caller, Outcome, Written};

impl App {
    /// Adds a rule at the end of the list.
    ///
    /// # Errors
    /// `BAD_INPUT` with the field, `NAME_TAKEN`, `FORBIDDEN`.
    pub async fn create_approval_rule(&self, caller: &Caller, definition: RuleDefinition) -> Outcome<Written> {
        caller.demand(Act::WritePolicies)?;
        let rule: ApprovalRuleId = self.ambient().id();
        let content = json!({ "definition": definition });
        let facts = self.rule_facts(caller).await?;
        let command = ApprovalRulesCommand::CreateApprovalRule {
            rule,
            definition: Box::new(definition),
            facts,
        };
        self.rules(caller, "createApprovalRule", rule, &content, command).await
    }

    /// Changes a rule.
    ///
    /// # Errors
    /// As [`App::create_approval_rule`], `NOT_FOUND`.
    pub async fn change_approval_rule(
        &self,
        caller: &Caller,
        rule: ApprovalRuleId,
        definition: RuleDefinition,
    ) -> Outcome<Written> {
        caller.demand(Act::WritePolicies)?;
        let content = json!({ "rule": rule, "definition": definition });
        let facts = self.rule_facts(caller).await?;
        let command = ApprovalRulesCommand::ChangeApprovalRule {
            rule,
            definition: Box::new(definition),
            facts,
        };
        self.rules(caller, "changeApprovalRule", rule, &content, command).await
    }

    /// Removes a rule. Live requests keep the route they have.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`.
    pub async fn delete_approval_rule(&self, caller: &Caller, rule: ApprovalRuleId) -> Outcome<Written> {
        caller.demand(Act::WritePolicies)?;
        let command = ApprovalRulesCommand::DeleteApprovalRule { rule };
        self.rules(caller, "deleteApprovalRule", rule, &json!({ "rule": rule }), command)
            .await
    }

    /// Asks the rules in another order.
    ///
    /// # Errors
    /// `BAD_INPUT` unless every rule is named once; `FORBIDDEN`.
    pub async fn reorder_approval_rules(&self, caller: &Caller, order: Vec<ApprovalRuleId>) -> Outcome<Written> {
        caller.demand(Act::WritePolicies)?;
        let content = json!({ "order": order });
        let command = ApprovalRulesCommand::ReorderApprovalRules { order };
        self.run::<ApprovalRules>(caller, "reorderApprovalRules", caller.tenant.uuid(), &content, command)
            .await
    }

    /// The stream is the tenant's; what the caller asked about is the rule.
    async fn rules(
        &self,
        caller: &Caller,
        operation: &str,
        rule: ApprovalRuleId,
        content: &serde_json::Value,
        command: ApprovalRulesCommand,
    ) -> Outcome<Written> {
        use model::approval_rule::ApprovalRulesEvent as E;
        let envelope = self.envelope(caller, operation, content)?;
        let done = self
            .run_in::<ApprovalRules>(caller.tenant, caller.tenant.uuid(), &envelope, command)
            .await?;
        // A repeated creation names the rule of the first time.
        let first = done.events.iter().find_map(|event| match event {
            E::ApprovalRuleCreated(e) => Some(e.rule),
            _ => None,
        });
        let mut written = Written::from(done);
        written.id = first.unwrap_or(rule).uuid();
        Ok(written)
    }

    async fn rule_facts(&self, caller: &Caller) -> Outcome<RuleFacts> {
        self.caught_up(caller.tenant).await?;
        let mut tx = self.reading(caller.tenant).await?;
        let collections = projections::collections::lookup(&mut tx).await?.into_keys().collect();
        let approvers = projections::directory::known_approvers(&mut tx).await?;
        Ok(RuleFacts { collections, approvers })
    }
}
