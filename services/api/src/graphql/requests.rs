//! Requests: actions that wait for human approval, and what became of them. What changes them is in
//! `request_changes.rs`, who may do what to one in `request_standing.rs`.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use commands::Act;
use formats::{EndpointId, RequestId, UserId, id::encode_suffix};
use model::request::Flag;
use projections::request_queue::{Decision, Escalation as Escalated, Filter, Grant as Granted, QueuedRequest, Sort};

use super::{
    action::Action,
    actor::Actor,
    approval_rules::ApprovalRule,
    context::{Ask, Frame},
    endpoints::Endpoint,
    error::Answer,
    ids::{shown, typed},
    loaders::Revision,
    paging::{Connection, Total, connect, cost, page},
    policies::CitedPolicy,
    request_standing::{self as standing, EligibleApprover},
    scalars::{DateTime, Digest, Position},
    users::User,
    words::{ActionType, Control, DecidedAs, DecisionVerdict, GrantStatus, RequestSort, RequestStatus, Step, all},
};

#[derive(Debug, Clone)]
pub(crate) struct Request(pub(crate) Arc<QueuedRequest>);

impl Request {
    /// A request that the caller may see, judged by the log.
    pub(crate) async fn find(frame: &Frame, id: RequestId) -> Answer<Option<Self>> {
        match frame.app.visible_request(&frame.caller, id).await {
            Ok(row) => Ok(Some(Self(Arc::new(row)))),
            Err(refusal) if refusal.code == "NOT_FOUND" => Ok(None),
            Err(refusal) => Err(refusal.into()),
        }
    }
}

/// An action waiting for human approval, or what became of it.
#[Object]
impl Request {
    pub(crate) async fn id(&self) -> ID {
        shown(self.0.id)
    }

    async fn status(&self) -> RequestStatus {
        self.0.status.into()
    }

    async fn action(&self) -> Action {
        let details = self.0.details.as_ref();
        Action {
            action_type: self.0.action_type,
            endpoint: self.0.endpoint,
            told_at: self.0.submitted_at,
            known: details.map(|details| details.action.clone()),
            cwd: details.and_then(|details| details.cwd.clone()),
        }
    }

    /// What `approve` and `deny` must carry.
    async fn digest(&self) -> Digest {
        Digest(
            self.0
                .details
                .as_ref()
                .map(|details| details.digest.clone())
                .unwrap_or_default(),
        )
    }

    async fn justification(&self) -> &str {
        self.0
            .details
            .as_ref()
            .map(|details| details.justification.as_str())
            .unwrap_or_default()
    }

    async fn requester(&self) -> Requester {
        Requester(Arc::clone(&self.0))
    }

    async fn endpoint(&self, ctx: &Context<'_>) -> Answer<Option<Endpoint>> {
        Ok(ctx.frame().load().load_one(self.0.endpoint).await?.map(Endpoint))
    }

    async fn risk_level(&self) -> u32 {
        self.0.risk
    }

    /// Policies that asked for the approval, at the revision the requester met.
    #[graphql(complexity = "1 + 3 * child_complexity")]
    async fn policies(&self) -> Vec<CitedPolicy> {
        let cited = |policy: &model::request::PolicyRef| CitedPolicy {
            id: policy.id.to_string(),
            revision: policy.revision,
            as_cited: None,
        };
        self.0.policies.iter().map(cited).collect()
    }

    /// What those policies demand together.
    async fn controls(&self, ctx: &Context<'_>) -> Answer<Vec<Control>> {
        let frame = ctx.frame();
        let keys = self
            .0
            .policies
            .iter()
            .map(|policy| Revision(policy.id, policy.revision));
        let revisions = frame.load().load_many(keys).await?;
        let demanded = |control: policy_engine::Control| match control {
            policy_engine::Control::Approval => true,
            policy_engine::Control::Mfa => self.0.mfa,
            other => revisions
                .values()
                .any(|revision| revision.document.controls.contains(&other)),
        };
        Ok(policy_engine::Control::ALL
            .into_iter()
            .filter(|control| demanded(*control))
            .map(Into::into)
            .collect())
    }

    /// Steps of the decision, in order.
    async fn steps(&self) -> Vec<Step> {
        policy_engine::Steps::of(true, self.0.mfa, true)
            .iter()
            .copied()
            .map(Into::into)
            .collect()
    }

    /// Remarks of the server about the request: `UNLINKED_REQUESTER`, `AGENT_DIFFERS`, `NO_APPROVER` …
    async fn flags(&self) -> Vec<RequestFlag> {
        let erased = self.0.details.is_none().then_some(RequestFlag {
            code: "ERASED",
            message: "The person behind it was erased; the action is not known any more.",
        });
        self.0
            .flags
            .iter()
            .copied()
            .map(RequestFlag::from)
            .chain(erased)
            .collect()
    }

    async fn approval_rule(&self, ctx: &Context<'_>) -> Answer<Option<ApprovalRule>> {
        let Some(rule) = self.0.route.rule else { return Ok(None) };
        ApprovalRule::known(&ctx.frame(), rule).await
    }

    /// Distinct approvals needed.
    async fn quorum(&self) -> u32 {
        self.0.route.quorum.max(1)
    }

    async fn deadlines(&self) -> RequestDeadlines {
        RequestDeadlines {
            pending_until: self.0.pending_until.into(),
            escalated_until: self.0.escalation.as_ref().map(|escalation| escalation.until.into()),
            current: self.0.status.is_open().then(|| self.0.deadline.into()),
            grant_minutes: self.0.windows.grant_minutes,
            grant_uses: self.0.windows.uses,
        }
    }

    async fn submitted_at(&self) -> DateTime {
        self.0.submitted_at.into()
    }

    /// When it was settled, whichever way.
    async fn decided_at(&self) -> Option<DateTime> {
        self.0.settled_at.map(Into::into)
    }

    /// How often the identical request was filed while this one was open, the first included.
    async fn occurrences(&self) -> u32 {
        self.0.times
    }

    /// Who may decide now; empty for a closed request.
    #[graphql(complexity = "1 + 5 * child_complexity")]
    async fn eligible_approvers(&self, ctx: &Context<'_>) -> Answer<Vec<EligibleApprover>> {
        standing::eligible_approvers(&ctx.frame(), &self.0).await
    }

    async fn viewer_can_decide(&self, ctx: &Context<'_>) -> Answer<bool> {
        Ok(standing::refusal(&ctx.frame(), &self.0).await?.is_none())
    }

    /// Why the viewer may not decide, as a code such as `SELF_APPROVAL`; null where they may.
    async fn viewer_refusal(&self, ctx: &Context<'_>) -> Answer<Option<&'static str>> {
        standing::refusal(&ctx.frame(), &self.0).await
    }

    async fn viewer_can_escalate(&self, ctx: &Context<'_>) -> Answer<bool> {
        standing::can_escalate(&ctx.frame(), &self.0).await
    }

    async fn viewer_can_expire(&self, ctx: &Context<'_>) -> bool {
        standing::can_expire(&ctx.frame(), &self.0)
    }

    async fn viewer_can_cancel(&self, ctx: &Context<'_>) -> Answer<bool> {
        standing::can_cancel(&ctx.frame(), &self.0).await
    }

    #[graphql(complexity = "1 + 2 * child_complexity")]
    async fn decisions(&self) -> Vec<RequestDecision> {
        let decision = |decision: &Decision| RequestDecision {
            request: Arc::clone(&self.0),
            decision: decision.clone(),
        };
        self.0.decisions.iter().map(decision).collect()
    }

    async fn escalation(&self) -> Option<Escalation> {
        self.0.escalation.clone().map(Into::into)
    }

    /// Reason given for cancellation.
    async fn cancel_reason(&self) -> Option<&str> {
        self.0.cancel_reason.as_deref()
    }

    async fn grant(&self) -> Option<Grant> {
        Grant::of(&self.0)
    }

    /// The ended request that this one tries again, where the viewer may see it.
    async fn previous_request(&self, ctx: &Context<'_>) -> Answer<Option<Request>> {
        let Some(previous) = self.0.previous else {
            return Ok(None);
        };
        let frame = ctx.frame();
        match frame.load().load_one(previous).await? {
            Some(row) if frame.sees(&row).await? => Ok(Some(Self(row))),
            _ => Ok(None),
        }
    }

    async fn position(&self) -> Position {
        Position(self.0.position)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Requester(Arc<QueuedRequest>);

impl Requester {
    /// The user the account is linked to now; else the one it was linked to when the request was filed.
    async fn linked_user(&self, frame: &Frame) -> Answer<Option<UserId>> {
        let person = frame.load().load_one(self.0.person).await?;
        Ok(person
            .and_then(|person| Some(person.link.as_ref()?.user))
            .or(self.0.user))
    }
}

#[Object]
impl Requester {
    /// The account on the endpoint.
    async fn account(&self) -> &str {
        self.0
            .details
            .as_ref()
            .map(|details| details.action.user.name.as_str())
            .unwrap_or_default()
    }

    /// False until the account is linked to a person.
    async fn linked(&self, ctx: &Context<'_>) -> Answer<bool> {
        Ok(self.linked_user(&ctx.frame()).await?.is_some())
    }

    async fn user(&self, ctx: &Context<'_>) -> Answer<Option<User>> {
        let frame = ctx.frame();
        let Some(user) = self.linked_user(&frame).await? else {
            return Ok(None);
        };
        Ok(frame.load().load_one(user).await?.map(User))
    }
}

#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct RequestFlag {
    code: &'static str,
    message: &'static str,
}

impl From<Flag> for RequestFlag {
    fn from(flag: Flag) -> Self {
        let (code, message) = match flag {
            Flag::UnlinkedRequester => ("UNLINKED_REQUESTER", "The endpoint account is linked to no user."),
            Flag::AgentDiffers => (
                "AGENT_DIFFERS",
                "The server's own evaluation differs from what the agent said.",
            ),
            Flag::NoApprover => (
                "NO_APPROVER",
                "Nobody whom the rule names can decide; administrators were asked.",
            ),
            Flag::SelfApproval => (
                "SELF_APPROVAL",
                "The requester decided it themselves, as the tenant allows.",
            ),
            Flag::MfaOtherUser => (
                "MFA_OTHER_USER",
                "The one-time code came from another user than the requester.",
            ),
        };
        Self { code, message }
    }
}

#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct RequestDeadlines {
    /// Escalation, or expiry where nobody is there to escalate to. Deciding at or after it is too late, unless escalated.
    pending_until: DateTime,
    /// Set once escalated.
    escalated_until: Option<DateTime>,
    /// The deadline that counts now; null for a closed request.
    current: Option<DateTime>,
    /// What the grant may at most be.
    grant_minutes: u32,
    /// Null is unlimited.
    grant_uses: Option<u32>,
}

#[derive(Debug, Clone)]
pub(crate) struct RequestDecision {
    request: Arc<QueuedRequest>,
    decision: Decision,
}

#[Object]
impl RequestDecision {
    async fn verdict(&self) -> DecisionVerdict {
        if self.decision.approved {
            DecisionVerdict::Approved
        } else {
            DecisionVerdict::Denied
        }
    }

    async fn by(&self) -> Actor {
        Actor::user(self.decision.approver)
    }

    /// By the teams of this moment.
    #[graphql(name = "as")]
    async fn decided_as(&self, ctx: &Context<'_>) -> Answer<DecidedAs> {
        standing::side(&ctx.frame(), &self.request.route, self.decision.approver).await
    }

    async fn at(&self) -> DateTime {
        self.decision.at.into()
    }

    async fn comment(&self) -> Option<&str> {
        self.decision.comment.as_deref().filter(|comment| !comment.is_empty())
    }

    /// How the approver proved who they are, such as `password`, `password+totp`, `link+totp`; null to whoever sees their
    /// own requests alone.
    async fn authentication(&self, ctx: &Context<'_>) -> Option<&str> {
        let frame = ctx.frame();
        let told = frame.decides() || frame.caller.may(Act::ReadAllRequests);
        told.then(|| self.decision.method.as_deref().unwrap_or("unknown"))
    }

    /// True where the approver is the requester and the tenant lets them.
    async fn own_request(&self) -> bool {
        self.decision.self_approval
    }

    /// What the approver narrowed the grant to.
    async fn grant_minutes(&self) -> Option<u32> {
        self.decision.grant_minutes
    }

    async fn grant_uses(&self) -> Option<u32> {
        self.decision.uses
    }
}

#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Escalation {
    at: DateTime,
    /// Null where the deadline did it.
    by: Option<Actor>,
    reason: Option<String>,
}

impl From<Escalated> for Escalation {
    fn from(escalation: Escalated) -> Self {
        Self {
            at: escalation.at.into(),
            by: escalation.by.map(Actor::user),
            reason: escalation.reason,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Grant {
    request: Arc<QueuedRequest>,
    granted: Granted,
}

impl Grant {
    pub(crate) fn of(request: &Arc<QueuedRequest>) -> Option<Self> {
        Some(Self {
            granted: request.grant.clone()?,
            request: Arc::clone(request),
        })
    }

    /// The request whose grant has this id.
    pub(crate) fn request_of(id: &str) -> Option<RequestId> {
        format!("{}_{}", RequestId::PREFIX, id.strip_prefix("grant_")?)
            .parse()
            .ok()
    }

    fn revoked<T>(&self, value: Option<T>) -> Option<T> {
        value.filter(|_| self.granted.status == model::request::GrantStatus::Revoked)
    }
}

/// The permission that an approved request yields.
#[Object]
impl Grant {
    /// The same id as its request's with the prefix `grant_`.
    pub(crate) async fn id(&self) -> ID {
        ID(format!("grant_{}", encode_suffix(self.request.id.uuid())))
    }

    async fn status(&self) -> GrantStatus {
        self.granted.status.into()
    }

    async fn not_before(&self) -> DateTime {
        self.request.settled_at.unwrap_or(self.request.submitted_at).into()
    }

    async fn expires_at(&self) -> DateTime {
        self.granted.terms.not_after.into()
    }

    /// Null is unlimited.
    async fn uses(&self) -> Option<u32> {
        self.granted.terms.uses
    }

    async fn used(&self) -> u32 {
        self.granted.used
    }

    /// Uses beyond the limit that an offline agent reported.
    async fn overused(&self) -> u32 {
        self.granted.overused
    }

    async fn mfa_outstanding(&self) -> bool {
        self.granted.terms.mfa_pending
    }

    async fn revoked_by(&self) -> Option<Actor> {
        self.revoked(self.granted.ended_by).map(Actor::user)
    }

    async fn revoked_at(&self) -> Option<DateTime> {
        self.revoked(self.granted.ended_at).map(Into::into)
    }

    async fn revoke_reason(&self) -> Option<&str> {
        self.revoked(self.granted.reason.as_deref())
    }
}

/// Which requests are listed.
#[derive(Debug, Default, InputObject)]
pub(crate) struct RequestFilter {
    statuses: Option<Vec<RequestStatus>>,
    /// Only those the viewer may decide now.
    decidable_by_viewer: Option<bool>,
    /// Only those the viewer filed.
    own_only: Option<bool>,
    action_types: Option<Vec<ActionType>>,
    endpoint_id: Option<ID>,
    user_id: Option<ID>,
    policy_id: Option<ID>,
    minimum_risk: Option<u32>,
    submitted_from: Option<DateTime>,
    submitted_until: Option<DateTime>,
}

impl RequestFilter {
    /// What the read model is asked for; none where nothing can match.
    async fn read(self, frame: &Frame, search: Option<String>) -> Answer<Option<Filter>> {
        let mut filter = Filter {
            statuses: all(self.statuses),
            action_types: all(self.action_types),
            risk_from: self.minimum_risk,
            submitted_from: self.submitted_from.map(|at| at.0),
            submitted_until: self.submitted_until.map(|at| at.0),
            search,
            ..Filter::default()
        };
        if let Some(id) = &self.endpoint_id {
            let Some(endpoint) = typed::<EndpointId>(id) else {
                return Ok(None);
            };
            filter.endpoint = Some(endpoint);
        }
        if let Some(id) = &self.user_id {
            let Some(user) = typed(id) else { return Ok(None) };
            filter.user = Some(user);
        }
        if let Some(id) = &self.policy_id {
            let Some(policy) = typed(id) else { return Ok(None) };
            filter.policy = Some(policy);
        }
        if self.own_only == Some(true) {
            let viewer = frame.viewer().await?;
            filter.people = viewer.people.iter().copied().collect();
            if filter.people.is_empty() {
                return Ok(None);
            }
        }
        if self.decidable_by_viewer == Some(true) {
            let Some(routed) = standing::routed(frame).await? else {
                return Ok(None);
            };
            filter.routed_to = Some(routed);
        }
        if !frame.caller.may(Act::ReadAllRequests) {
            filter.seen_by = Some(standing::seer(frame).await?);
        }
        Ok(Some(filter))
    }
}

impl From<RequestSort> for Sort {
    fn from(sort: RequestSort) -> Self {
        match sort {
            RequestSort::NewestFirst => Self::Newest,
            RequestSort::OldestFirst => Self::Oldest,
            RequestSort::DeadlineFirst => Self::Deadline,
            RequestSort::RiskFirst => Self::Risk,
        }
    }
}

#[derive(Default)]
pub(crate) struct RequestQuery;

#[Object]
impl RequestQuery {
    /// Requests that the viewer may see: administrators and auditors all, approvers what is routed to them, everyone
    /// their own.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    #[expect(clippy::too_many_arguments, reason = "they are the field's arguments")]
    async fn requests(
        &self,
        ctx: &Context<'_>,
        filter: Option<RequestFilter>,
        #[graphql(default_with = "RequestSort::NewestFirst")] sort: RequestSort,
        search: Option<String>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Answer<Connection<Request, Total>> {
        let frame = ctx.frame_for(Act::ReadRequests)?;
        let page = page(first, after, last, before)?;
        let Some(filter) = filter.unwrap_or_default().read(&frame, search).await? else {
            return Ok(Connection::with_additional_fields(false, false, Total::default()));
        };
        let mut tx = frame.tx().await?;
        let found = projections::request_queue::list(&mut tx, &filter, sort.into(), &page).await?;
        Ok(connect(&page, found, Total::default(), |request| {
            Request(Arc::new(request))
        }))
    }

    async fn request(&self, ctx: &Context<'_>, id: ID) -> Answer<Option<Request>> {
        let frame = ctx.frame_for(Act::ReadRequests)?;
        let Some(id) = typed(&id) else { return Ok(None) };
        Request::find(&frame, id).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_has_the_id_of_its_request_under_another_prefix() {
        let request = RequestId::from_uuid(uuid::Uuid::from_u128(7));
        let id = format!("grant_{}", encode_suffix(request.uuid()));
        assert_eq!(Grant::request_of(&id), Some(request));
        assert_eq!(Grant::request_of(&request.to_string()), None);
    }
}
