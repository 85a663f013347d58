//! What a file of policies holds, before anything of it is written: `createCollection` and `createPolicy` write it.

use async_graphql::{Context, Object, SimpleObject};
use commands::Act;
use policy_engine::{
    Problem,
    import::{Found, Judged},
    keeper,
};

use super::{
    context::Ask,
    error::Answer,
    scalars::PolicyDocument,
    words::{CollectionKind, PolicyFileFormat},
};

/// What a file of policies holds, judged for this tenant.
#[derive(Debug, SimpleObject)]
pub(crate) struct PolicyFile {
    /// Null where it is neither; `refused` says why.
    format: Option<PolicyFileFormat>,
    /// The policies that can be created as they are, once the collections are there, in the order of the file.
    policies: Vec<PolicyDocument>,
    /// The collections that the tenant has not yet, by name.
    collections: Vec<PolicyFileCollection>,
    /// What is refused, a problem each.
    refused: Vec<PolicyFileNote>,
    /// What could not be carried over, or was read with a choice.
    notes: Vec<PolicyFileNote>,
    /// Approvers that stood inside policies; they belong into approval rules.
    approval_rules: Vec<PolicyFileRule>,
    /// The file has a baseline of its own, which is a setting of the tenant.
    has_baseline: bool,
}

#[derive(Debug, SimpleObject)]
pub(crate) struct PolicyFileCollection {
    name: String,
    kind: CollectionKind,
    members: Vec<String>,
}

/// A remark on one field of the file.
#[derive(Debug, SimpleObject)]
pub(crate) struct PolicyFileNote {
    /// The policy's name, or `collection NAME`; empty for the file as a whole.
    policy: String,
    /// The field as the file has it; empty for all of it.
    field: String,
    message: String,
}

/// Approvers of one policy, as they are named there.
#[derive(Debug, SimpleObject)]
pub(crate) struct PolicyFileRule {
    /// The policy's name.
    name: String,
    users: Vec<String>,
    teams: Vec<String>,
    escalated_users: Vec<String>,
    escalated_teams: Vec<String>,
    /// How many have to approve.
    required: u32,
}

impl From<keeper::Note> for PolicyFileNote {
    fn from(note: keeper::Note) -> Self {
        Self {
            policy: note.policy,
            field: note.field,
            message: note.message,
        }
    }
}

impl From<Problem> for PolicyFileNote {
    fn from(problem: Problem) -> Self {
        Self {
            policy: String::new(),
            field: problem.field,
            message: problem.message,
        }
    }
}

impl From<keeper::ApprovalRuleDraft> for PolicyFileRule {
    fn from(rule: keeper::ApprovalRuleDraft) -> Self {
        Self {
            name: rule.name,
            users: rule.users,
            teams: rule.teams,
            escalated_users: rule.escalated_users,
            escalated_teams: rule.escalated_teams,
            required: rule.required,
        }
    }
}

#[derive(Default)]
pub(crate) struct PolicyFileQuery;

#[Object]
impl PolicyFileQuery {
    /// Reads the text of a file with policies, ours or Keeper EPM's in either of its shapes, and judges each for this
    /// tenant. Nothing is written.
    #[graphql(complexity = "1000 + child_complexity")]
    async fn policy_file(&self, ctx: &Context<'_>, text: String) -> Answer<PolicyFile> {
        let frame = ctx.frame_for(Act::ReadPolicies)?;
        let policies = frame.policies().await?;
        let here = projections::collections::lookup(&mut frame.tx().await?).await?;
        let mut found = Found::default();
        let (format, unreadable) = match found.read(&text, &|name| here.contains_key(name)) {
            Ok(format) => (Some(format.into()), Vec::new()),
            Err(problems) => (None, problems),
        };
        let names: Vec<&str> = policies.iter().map(|policy| policy.document.name.as_str()).collect();
        let judged = Judged::of(&found, here, &names);
        let documents = judged.policies.iter().map(PolicyDocument::of);
        let unreadable = unreadable.into_iter().map(PolicyFileNote::from);
        Ok(PolicyFile {
            format,
            policies: documents.collect::<Answer<_>>()?,
            collections: judged
                .collections
                .into_iter()
                .map(|(name, collection)| PolicyFileCollection {
                    name,
                    kind: collection.kind.into(),
                    members: collection.members,
                })
                .collect(),
            refused: unreadable.chain(judged.refused.into_iter().map(Into::into)).collect(),
            notes: judged.notes.into_iter().map(Into::into).collect(),
            approval_rules: found.rules.into_iter().map(Into::into).collect(),
            has_baseline: judged.baseline,
        })
    }
}
