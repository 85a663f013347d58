//! Policies: their life, their lint, and what an action would meet.

use formats::{DeploymentGroupId, PolicyId};
use model::{
    Role,
    policy::{Policy, PolicyCommand, SaveFacts},
};
use policy_engine::{PolicyDocument, PolicyStatus};
use serde_json::json;

use crate::{Act, App, Caller, Outcome, Principal, Refusal, Written};

impl App {
    /// Makes a policy.
    ///
    /// # Errors
    /// `POLICY_REFUSED` with every problem and its field, `NAME_TAKEN`, `FORBIDDEN`.
    pub async fn create_policy(&self, caller: &Caller, document: PolicyDocument, reason: String) -> Outcome<Written> {
        caller.demand(Act::WritePolicies)?;
        let policy: PolicyId = self.ambient().id();
        let content = json!({ "document": document, "reason": reason });
        let facts = self.save_facts(caller).await?;
        let command = PolicyCommand::CreatePolicy {
            policy,
            document: Box::new(document),
            reason,
            copied_from: None,
            facts,
        };
        self.policy(caller, "createPolicy", policy, &content, command).await
    }

    /// Copies a policy under another name, switched off.
    ///
    /// # Errors
    /// As [`App::create_policy`], and `NOT_FOUND`.
    pub async fn duplicate_policy(&self, caller: &Caller, source: PolicyId, name: String) -> Outcome<Written> {
        caller.demand(Act::WritePolicies)?;
        let original: Policy = self.state(caller.tenant, source.uuid()).await?;
        let mut document = original.document().ok_or_else(|| Refusal::not_found("policy"))?.clone();
        document.name = name;
        document.status = PolicyStatus::Off;
        let policy: PolicyId = self.ambient().id();
        let content = json!({ "source": source, "name": document.name });
        let command = PolicyCommand::CreatePolicy {
            policy,
            document: Box::new(document),
            reason: String::new(),
            copied_from: Some(source),
            facts: self.save_facts(caller).await?,
        };
        self.policy(caller, "duplicatePolicy", policy, &content, command).await
    }

    /// Changes what a policy says.
    ///
    /// # Errors
    /// As [`App::create_policy`], `NOT_FOUND`, `STALE_VERSION` where `expected` is not the live revision.
    pub async fn revise_policy(
        &self,
        caller: &Caller,
        policy: PolicyId,
        document: PolicyDocument,
        reason: String,
        expected: Option<u32>,
    ) -> Outcome<Written> {
        caller.demand(Act::WritePolicies)?;
        let content = json!({ "policy": policy, "document": document, "reason": reason, "expected": expected });
        let facts = self.save_facts(caller).await?;
        let command = PolicyCommand::RevisePolicy {
            document: Box::new(document),
            reason,
            expected,
            facts,
        };
        self.policy(caller, "revisePolicy", policy, &content, command).await
    }

    /// Changes how far a policy reaches.
    ///
    /// # Errors
    /// As [`App::revise_policy`].
    pub async fn set_policy_status(
        &self,
        caller: &Caller,
        policy: PolicyId,
        status: PolicyStatus,
        reason: String,
        expected: Option<u32>,
    ) -> Outcome<Written> {
        caller.demand(Act::WritePolicies)?;
        let content = json!({ "policy": policy, "status": status, "reason": reason, "expected": expected });
        let facts = self.save_facts(caller).await?;
        let command = PolicyCommand::SetPolicyStatus {
            status,
            reason,
            expected,
            facts,
        };
        self.policy(caller, "setPolicyStatus", policy, &content, command).await
    }

    /// Lets a policy say again what an earlier revision said, as a new revision.
    ///
    /// # Errors
    /// As [`App::revise_policy`].
    pub async fn rollback_policy(
        &self,
        caller: &Caller,
        policy: PolicyId,
        to: u32,
        reason: String,
        expected: Option<u32>,
    ) -> Outcome<Written> {
        caller.demand(Act::WritePolicies)?;
        let content = json!({ "policy": policy, "to": to, "reason": reason, "expected": expected });
        let facts = self.save_facts(caller).await?;
        self.policy(
            caller,
            "rollbackPolicy",
            policy,
            &content,
            PolicyCommand::RollbackPolicy {
                to,
                reason,
                expected,
                facts,
            },
        )
        .await
    }

    /// Gives a revision to some deployment groups first.
    ///
    /// # Errors
    /// As [`App::revise_policy`]; `NOT_FOUND` for an unknown group.
    pub async fn stage_policy_revision(
        &self,
        caller: &Caller,
        policy: PolicyId,
        document: PolicyDocument,
        groups: Vec<DeploymentGroupId>,
        reason: String,
        expected: Option<u32>,
    ) -> Outcome<Written> {
        caller.demand(Act::WritePolicies)?;
        for (i, group) in groups.iter().enumerate().take(100) {
            if !self.group_exists(caller.tenant, *group).await? {
                return Err(Refusal::not_found("deployment group").on(format!("groups[{i}]")));
            }
        }
        let content = json!({ "policy": policy, "document": document, "groups": groups, "reason": reason });
        let facts = self.save_facts(caller).await?;
        let document = Box::new(document);
        let command = PolicyCommand::StagePolicyRevision {
            document,
            groups,
            reason,
            expected,
            facts,
        };
        self.policy(caller, "stagePolicyRevision", policy, &content, command)
            .await
    }

    /// Makes the staged revision live everywhere.
    ///
    /// # Errors
    /// `NOTHING_STAGED`, `NOT_FOUND`, `FORBIDDEN`.
    pub async fn promote_policy_revision(&self, caller: &Caller, policy: PolicyId) -> Outcome<Written> {
        caller.demand(Act::WritePolicies)?;
        let facts = self.save_facts(caller).await?;
        let command = PolicyCommand::PromotePolicyRevision { facts };
        self.policy(
            caller,
            "promotePolicyRevision",
            policy,
            &json!({ "policy": policy }),
            command,
        )
        .await
    }

    /// Takes the staged revision back.
    ///
    /// # Errors
    /// As [`App::promote_policy_revision`].
    pub async fn withdraw_policy_revision(
        &self,
        caller: &Caller,
        policy: PolicyId,
        reason: String,
    ) -> Outcome<Written> {
        caller.demand(Act::WritePolicies)?;
        let content = json!({ "policy": policy, "reason": reason });
        self.policy(
            caller,
            "withdrawPolicyRevision",
            policy,
            &content,
            PolicyCommand::WithdrawPolicyRevision { reason },
        )
        .await
    }

    /// Removes a policy; its history stays.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`.
    pub async fn delete_policy(&self, caller: &Caller, policy: PolicyId, reason: String) -> Outcome<Written> {
        caller.demand(Act::WritePolicies)?;
        let content = json!({ "policy": policy, "reason": reason });
        self.policy(
            caller,
            "deletePolicy",
            policy,
            &content,
            PolicyCommand::DeletePolicy { reason },
        )
        .await
    }

    async fn policy(
        &self,
        caller: &Caller,
        operation: &str,
        policy: PolicyId,
        content: &serde_json::Value,
        command: PolicyCommand,
    ) -> Outcome<Written> {
        let envelope = self.envelope(caller, operation, content)?;
        match self
            .run_in::<Policy>(caller.tenant, policy.uuid(), &envelope, command)
            .await
        {
            Ok(done) => Ok(done.into()),
            Err(eventstore::ExecuteError::Refused(error)) => {
                let mut refusal = Refusal::of(&error);
                if let model::policy::PolicyError::Refused { problems } = &error {
                    refusal.details = Some(json!({ "problems": problems }));
                }
                Err(refusal)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What has to be looked up before a document is saved or linted.
    pub(crate) async fn save_facts(&self, caller: &Caller) -> Outcome<SaveFacts> {
        // A collection that was made a moment ago has to be known here.
        self.caught_up(caller.tenant).await?;
        let collections = self.collections_by_name(caller.tenant).await?;
        Ok(SaveFacts {
            collections: (*collections).clone(),
            is_owner: caller.has(Role::Owner) || caller.principal == Principal::System,
        })
    }
}
