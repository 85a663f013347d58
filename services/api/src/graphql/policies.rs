//! Policies and their revisions. What changes them is in `policy_changes.rs`, what asks about drafts in
//! `policy_drafts.rs`.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use commands::Act;
use formats::{CollectionId, DeploymentGroupId, PolicyId};
use policy_engine::lint::Warning;
use projections::policies::{PolicyFilter as Filter, PolicyView, RevisionView};

use super::{
    actor::Actor,
    context::{Ask, For, Frame},
    error::Answer,
    groups::DeploymentGroup,
    ids::{shown, typed},
    loaders::{LintOf, Revision},
    paging::{Connection, Total, connect, cost, page},
    scalars::{DateTime, PolicyDocument, Position},
    words::{Control, LintLevel, PolicyRevisionState, PolicySort, PolicyStatus, PolicyType, all},
};

#[derive(Debug, Clone)]
pub(crate) struct Policy(pub(crate) Arc<PolicyView>);

impl Policy {
    pub(crate) fn of(view: PolicyView) -> Self {
        Self(Arc::new(view))
    }

    /// One policy, deleted or not.
    pub(crate) async fn find(frame: &Frame, id: PolicyId) -> Answer<Option<Self>> {
        frame.caller.demand(Act::ReadPolicies)?;
        Ok(frame.load().load_one(id).await?.map(Self))
    }
}

/// A rule set with numbered revisions: name, type, status and revision to whoever sees a request that cites it, everything
/// else to whoever may read policies.
#[Object]
impl Policy {
    pub(crate) async fn id(&self) -> ID {
        shown(self.0.id)
    }

    async fn name(&self) -> &str {
        &self.0.document.name
    }

    #[graphql(name = "type")]
    async fn policy_type(&self) -> PolicyType {
        self.0.document.policy_type.into()
    }

    async fn status(&self) -> PolicyStatus {
        self.0.document.status.into()
    }

    #[graphql(guard = "For(Act::ReadPolicies)")]
    async fn controls(&self) -> Vec<Control> {
        self.0.document.controls.iter().copied().map(Into::into).collect()
    }

    #[graphql(guard = "For(Act::ReadPolicies)")]
    async fn exception(&self) -> bool {
        self.0.document.exception
    }

    #[graphql(guard = "For(Act::ReadPolicies)")]
    async fn risk_level(&self) -> u32 {
        self.0.document.risk_level
    }

    /// The current revision's document.
    async fn document(&self, ctx: &Context<'_>) -> Answer<PolicyDocument> {
        ctx.frame_for(Act::ReadPolicies)?;
        PolicyDocument::of(&self.0.document)
    }

    /// Number of the current revision, from 1.
    async fn revision(&self) -> u32 {
        self.0.revision
    }

    /// The revision that some groups get before the others, if any.
    async fn staged_revision(&self, ctx: &Context<'_>) -> Answer<Option<PolicyRevision>> {
        let frame = ctx.frame_for(Act::ReadPolicies)?;
        let Some(staged) = &self.0.staged else { return Ok(None) };
        Ok(frame
            .load()
            .load_one(Revision(self.0.id, staged.revision))
            .await?
            .map(PolicyRevision))
    }

    /// Newest first.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn revisions(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Answer<Connection<PolicyRevision, Total>> {
        let frame = ctx.frame_for(Act::ReadPolicies)?;
        let page = page(first, after, last, before)?;
        let mut tx = frame.tx().await?;
        let found = projections::policies::revisions(&mut tx, self.0.id, &page).await?;
        Ok(connect(&page, found, Total::default(), |revision| {
            PolicyRevision(Arc::new(revision))
        }))
    }

    /// What is probably not meant.
    async fn warnings(&self, ctx: &Context<'_>) -> Answer<Vec<LintWarning>> {
        let frame = ctx.frame_for(Act::ReadPolicies)?;
        if self.0.deleted_at.is_some() {
            return Ok(Vec::new());
        }
        let warnings = frame.load().load_one(LintOf(self.0.id)).await?.unwrap_or_default();
        Ok(warnings.iter().cloned().map(LintWarning).collect())
    }

    #[graphql(guard = "For(Act::ReadPolicies)")]
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    #[graphql(guard = "For(Act::ReadPolicies)")]
    async fn updated_at(&self) -> DateTime {
        self.0.updated_at.into()
    }

    #[graphql(guard = "For(Act::ReadPolicies)")]
    async fn updated_by(&self) -> Actor {
        (&self.0.updated_by).into()
    }

    #[graphql(guard = "For(Act::ReadPolicies)")]
    async fn deleted_at(&self) -> Option<DateTime> {
        self.0.deleted_at.map(Into::into)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct PolicyRevision(pub(crate) Arc<RevisionView>);

impl PolicyRevision {
    /// One revision by its id: the policy's, a colon, and the number.
    pub(crate) async fn find(frame: &Frame, id: &str) -> Answer<Option<Self>> {
        frame.caller.demand(Act::ReadPolicies)?;
        let parts = id
            .split_once(':')
            .and_then(|(policy, number)| Some((policy.parse().ok()?, number.parse().ok()?)));
        let Some((policy, number)) = parts else { return Ok(None) };
        Ok(frame.load().load_one(Revision(policy, number)).await?.map(Self))
    }
}

/// One revision of a policy.
#[Object]
impl PolicyRevision {
    /// The policy's id, a colon, and the number.
    pub(crate) async fn id(&self) -> ID {
        ID(format!("{}:{}", self.0.policy, self.0.number))
    }

    async fn number(&self) -> u32 {
        self.0.number
    }

    async fn state(&self) -> PolicyRevisionState {
        self.0.state.into()
    }

    async fn document(&self) -> Answer<PolicyDocument> {
        PolicyDocument::of(&self.0.document)
    }

    async fn comment(&self) -> Option<&str> {
        Some(self.0.reason.as_str()).filter(|reason| !reason.is_empty())
    }

    async fn author(&self) -> Actor {
        (&self.0.author).into()
    }

    async fn at(&self) -> DateTime {
        self.0.at.into()
    }

    async fn position(&self) -> Position {
        Position(self.0.position)
    }

    /// Groups that get this revision while it is staged.
    async fn staged_to(&self, ctx: &Context<'_>) -> Answer<Vec<DeploymentGroup>> {
        let frame = ctx.frame();
        groups(&frame, &self.0.groups).await
    }
}

async fn groups(frame: &Frame, ids: &[DeploymentGroupId]) -> Answer<Vec<DeploymentGroup>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let all = frame.groups().await?;
    Ok(all
        .iter()
        .filter(|group| ids.contains(&group.id))
        .cloned()
        .map(DeploymentGroup)
        .collect())
}

#[derive(Debug, Clone)]
pub(crate) struct LintWarning(pub(crate) Warning);

/// A finding about a policy that may still be saved.
#[Object]
impl LintWarning {
    async fn code(&self) -> &str {
        &self.0.code
    }

    async fn level(&self) -> LintLevel {
        match self.0.code.as_str() {
            "NEVER_MONITORED" | "MATCHES_NO_ENDPOINT" => LintLevel::Info,
            _ => LintLevel::Warning,
        }
    }

    async fn message(&self) -> &str {
        &self.0.message
    }

    async fn field(&self) -> Option<&str> {
        Some(self.0.field.as_str()).filter(|field| !field.is_empty())
    }

    /// The other policy where the finding is about two.
    async fn other(&self, ctx: &Context<'_>) -> Answer<Option<Policy>> {
        let Some(id) = self
            .0
            .other
            .as_ref()
            .and_then(|other| other.id.parse::<PolicyId>().ok())
        else {
            return Ok(None);
        };
        Ok(ctx.frame().load().load_one(id).await?.map(Policy))
    }
}

#[derive(Debug, Clone)]
pub(crate) struct CitedPolicy {
    pub(crate) id: String,
    pub(crate) revision: u32,
    /// As it was cited, where the citation says so; else it is looked up.
    pub(crate) as_cited: Option<AsCited>,
}

/// What a citation says of a policy.
#[derive(Debug, Clone)]
pub(crate) struct AsCited {
    pub(crate) name: String,
    pub(crate) status: policy_engine::PolicyStatus,
    pub(crate) controls: Vec<policy_engine::Control>,
}

impl CitedPolicy {
    async fn document(&self, frame: &Frame) -> Answer<Option<Arc<RevisionView>>> {
        let Ok(policy) = self.id.parse::<PolicyId>() else {
            return Ok(None);
        };
        Ok(frame.load().load_one(Revision(policy, self.revision)).await?)
    }
}

/// A policy as a request or a decision cites it.
#[Object]
impl CitedPolicy {
    /// Null once deleted.
    async fn policy(&self, ctx: &Context<'_>) -> Answer<Option<Policy>> {
        let Ok(policy) = self.id.parse::<PolicyId>() else {
            return Ok(None);
        };
        let found = ctx.frame().load().load_one(policy).await?;
        Ok(found.filter(|policy| policy.deleted_at.is_none()).map(Policy))
    }

    async fn id(&self) -> ID {
        ID(self.id.clone())
    }

    async fn name(&self, ctx: &Context<'_>) -> Answer<String> {
        if let Some(cited) = &self.as_cited {
            return Ok(cited.name.clone());
        }
        let revision = self.document(&ctx.frame()).await?;
        Ok(revision.map_or_else(|| self.id.clone(), |revision| revision.document.name.clone()))
    }

    async fn revision(&self) -> u32 {
        self.revision
    }

    async fn controls(&self, ctx: &Context<'_>) -> Answer<Vec<Control>> {
        let controls = match &self.as_cited {
            Some(cited) => cited.controls.clone(),
            None => {
                let revision = self.document(&ctx.frame()).await?;
                revision
                    .map(|revision| revision.document.controls.clone())
                    .unwrap_or_default()
            }
        };
        Ok(controls.into_iter().map(Into::into).collect())
    }

    async fn status(&self, ctx: &Context<'_>) -> Answer<PolicyStatus> {
        if let Some(cited) = &self.as_cited {
            return Ok(cited.status.into());
        }
        let revision = self.document(&ctx.frame()).await?;
        Ok(revision.map_or(PolicyStatus::Enforce, |revision| revision.document.status.into()))
    }
}

/// Which policies are listed. Empty lists mean any.
#[derive(Debug, Default, InputObject)]
pub(crate) struct PolicyFilter {
    types: Option<Vec<PolicyType>>,
    statuses: Option<Vec<PolicyStatus>>,
    controls: Option<Vec<Control>>,
    /// Whose scopes name this collection.
    collection_id: Option<ID>,
}

#[derive(Default)]
pub(crate) struct PolicyQuery;

#[Object]
impl PolicyQuery {
    /// Policies that are not deleted.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    #[expect(clippy::too_many_arguments, reason = "they are the field's arguments")]
    async fn policies(
        &self,
        ctx: &Context<'_>,
        filter: Option<PolicyFilter>,
        #[graphql(default_with = "PolicySort::Name")] sort: PolicySort,
        search: Option<String>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Answer<Connection<Policy, Total>> {
        let frame = ctx.frame_for(Act::ReadPolicies)?;
        let page = page(first, after, last, before)?;
        let given = filter.unwrap_or_default();
        let collection = match &given.collection_id {
            Some(id) => {
                let id: Option<CollectionId> = typed(id);
                let all = frame.collections().await?;
                match all.iter().find(|collection| Some(collection.id) == id) {
                    Some(collection) => Some((collection.id, collection.name.clone())),
                    None => return Ok(Connection::with_additional_fields(false, false, Total::default())),
                }
            }
            None => None,
        };
        let filter = Filter {
            types: all(given.types),
            statuses: all(given.statuses),
            controls: all(given.controls),
            collection,
            search,
            deleted: false,
        };
        let mut tx = frame.tx().await?;
        let found = projections::policies::list(&mut tx, &filter, sort.into(), &page).await?;
        let total = if filter == Filter::default() {
            Total::known(projections::policies::count(&mut tx).await?)
        } else {
            Total::default()
        };
        Ok(connect(&page, found, total, Policy::of))
    }

    /// A policy, deleted or not.
    async fn policy(&self, ctx: &Context<'_>, id: ID) -> Answer<Option<Policy>> {
        let frame = ctx.frame_for(Act::ReadPolicies)?;
        let Some(id) = typed(&id) else { return Ok(None) };
        Policy::find(&frame, id).await
    }
}

/// One wrong field of an input; `field` is a path such as `document.times[0].to`.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct FieldProblem {
    pub(crate) field: String,
    pub(crate) code: String,
    pub(crate) message: String,
}

impl From<policy_engine::Problem> for FieldProblem {
    fn from(problem: policy_engine::Problem) -> Self {
        Self {
            field: problem.field,
            code: problem.code,
            message: problem.message,
        }
    }
}
