//! What can be asked of a request. Every command carries the moment by which it is judged and whatever was looked up.

use formats::{RequestId, Timestamp, UserId};
use policy_engine::ActionType;

use super::{CancelCause, Flag, PolicyRef, RequestDetails, Route, SnapshotRef, Windows};

/// A new request, evaluated by the server.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    pub request: RequestId,
    pub person: formats::PersonId,
    pub user: Option<UserId>,
    pub endpoint: formats::EndpointId,
    pub action_type: ActionType,
    pub digest_mac: String,
    pub details: RequestDetails,
    pub policies: Vec<PolicyRef>,
    pub risk: u32,
    pub mfa: bool,
    pub access_minutes: Option<u32>,
    pub snapshot: SnapshotRef,
    pub route: Route,
    pub windows: Windows,
    pub flags: Vec<Flag>,
    pub previous: Option<RequestId>,
    /// The tenant's minimum length of a justification, in characters.
    pub justification_min: usize,
}

/// A smaller permission than the rule would give. Larger values than the rule's are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Narrowing {
    pub uses: Option<u32>,
    pub grant_minutes: Option<u32>,
}

/// What was looked up before a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionFacts {
    pub approver: UserId,
    /// The approver is primary (or secondary, once escalated), an admin or an owner.
    pub eligible: bool,
    /// The approver is among the secondary approvers only: eligible from escalation on.
    pub secondary_only: bool,
    /// The approver and the requester are the same person.
    pub own: bool,
    /// The tenant or the rule lets people decide their own requests.
    pub self_approval: bool,
    /// At least one secondary approver can decide, so that the first deadline escalates.
    pub secondary_can_decide: bool,
    /// The HMAC of the digest that the approver was shown.
    pub digest_mac: String,
    /// The engine denies the action on the current snapshot.
    pub denied_now: bool,
    /// The tenant wants a comment with each denial.
    pub denial_needs_comment: bool,
    pub comment: Option<String>,
}

/// Who asked for an end or an escalation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The scheduler.
    Clock,
    /// A reactor: what its cause was stands beside it.
    System,
    /// A user, and whether they may.
    User {
        /// Who.
        user: UserId,
        /// They may do this to this request.
        permitted: bool,
    },
}

/// The commands, by their names in the field.
#[derive(Debug, Clone, PartialEq)]
pub enum RequestCommand {
    /// File a new request.
    SubmitRequest {
        /// The moment.
        at: Timestamp,
        /// The request.
        submission: Box<Submission>,
    },
    /// Count that an open request was asked for again.
    RepeatRequest {
        /// The moment.
        at: Timestamp,
        /// At least one secondary approver can decide: the first deadline is not the end.
        secondary_can_decide: bool,
    },
    /// Agree.
    Approve {
        /// The moment.
        at: Timestamp,
        /// What was looked up.
        facts: DecisionFacts,
        /// What the approver takes away from the grant.
        narrowing: Narrowing,
    },
    /// Refuse.
    Deny {
        /// The moment.
        at: Timestamp,
        /// What was looked up.
        facts: DecisionFacts,
    },
    /// Ask the secondary approvers.
    Escalate {
        /// The moment.
        at: Timestamp,
        /// Who.
        by: By,
        /// Why, for a person.
        reason: Option<String>,
        /// At least one secondary approver can decide.
        secondary_can_decide: bool,
    },
    /// Settle that nobody decided in time.
    Expire {
        /// The moment.
        at: Timestamp,
        /// Who.
        by: By,
        /// At least one secondary approver can decide: the first deadline escalates instead.
        secondary_can_decide: bool,
    },
    /// Take it back.
    CancelRequest {
        /// The moment.
        at: Timestamp,
        /// Who.
        by: By,
        /// Why.
        cause: CancelCause,
        /// Why, in words.
        reason: Option<String>,
        /// At least one secondary approver can decide: the first deadline is not the end.
        secondary_can_decide: bool,
    },
    /// Take the grant back.
    RevokeGrant {
        /// The moment.
        at: Timestamp,
        /// Who.
        by: By,
        /// Why.
        cause: CancelCause,
        /// Why, in words.
        reason: Option<String>,
    },
    /// Record a use that an agent reports.
    UseGrant {
        /// When it was used, by the endpoint's clock corrected by its skew.
        used_at: Timestamp,
    },
    /// Settle that the grant's window is over.
    ExpireGrant {
        /// The moment.
        at: Timestamp,
    },
}
