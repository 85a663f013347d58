//! What can happen to a request.

use formats::{ApprovalRuleId, BodyHash, EndpointId, PersonId, PolicyId, RequestId, TeamId, Timestamp, UserId};
use policy_engine::{Action, ActionType};
use serde::{Deserialize, Serialize};

use crate::{
    Personal,
    aggregate::{ClaimChange, EventData, events},
};

/// The space in which an open request holds its digest, so that an identical one is not filed twice.
pub const OPEN_REQUEST: &str = "request.open";

/// The whole action as the approver sees it. Nothing of it is truncated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestDetails {
    /// The engine's input, as the agent sent it.
    pub action: Action,
    /// The working directory, which the digest covers too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// SHA-256 of the action, 64 hexadecimal digits: what an approval binds.
    pub digest: String,
    /// Why the person wants it.
    pub justification: String,
}

/// A policy at the revision that was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyRef {
    pub id: PolicyId,
    pub revision: u32,
}

/// Someone who may decide: a user, or whoever is in a team at that moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Approver {
    /// One user.
    User(UserId),
    /// The members of a team.
    Team(TeamId),
}

/// Who was asked, copied at submission so that later changes of rules don't move a live request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Route {
    /// The rule that matched; none for the tenant's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<ApprovalRuleId>,
    pub primary: Vec<Approver>,
    pub secondary: Vec<Approver>,
    /// How many distinct approvers have to agree, 1 or more.
    pub quorum: u32,
    /// Whether this rule lets people decide their own requests.
    pub self_approval: bool,
}

impl Route {
    /// Whether people may decide their own requests here: the tenant says so for all of them, or the rule for its own.
    #[must_use]
    pub const fn lets_own(&self, settings: &crate::tenant::Settings) -> bool {
        settings.self_approval || self.self_approval
    }
}

/// The windows of `docs/domain.md § 3`, as they were at submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Windows {
    /// Minutes until escalation or expiry, 1 to 43,200.
    pub pending_minutes: u32,
    /// Minutes from escalation until expiry, 1 to 43,200.
    pub escalated_minutes: u32,
    /// Minutes a grant may be used from approval, 1 to 43,200.
    pub grant_minutes: u32,
    /// Uses per grant, 1 to 1,000; none is unlimited.
    pub uses: Option<u32>,
}

impl Default for Windows {
    fn default() -> Self {
        Self {
            pending_minutes: 30,
            escalated_minutes: 4 * 60,
            grant_minutes: 24 * 60,
            uses: Some(1),
        }
    }
}

/// The snapshot that a request was judged on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SnapshotRef {
    pub epoch: u32,
    pub version: u64,
    /// The hash of its body, which is kept as long as something cites it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<BodyHash>,
}

/// What approvers and auditors should look at twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// The endpoint account is linked to no user.
    UnlinkedRequester,
    /// The server's own evaluation differs from what the agent said.
    AgentDiffers,
    /// Nobody whom the rule names can decide; administrators were asked.
    NoApprover,
    /// The requester decided themselves, as the tenant allows.
    SelfApproval,
    /// The one-time code came from another user than the requester.
    MfaOtherUser,
}

/// What an approval permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GrantTerms {
    /// The grant is good strictly before this moment.
    pub not_after: Timestamp,
    /// How many uses; none is unlimited.
    pub uses: Option<u32>,
    /// Whether the one-time code is still to be given.
    pub mfa_pending: bool,
}

events! {
    /// What can happen to a request.
    RequestEvent {
        /// A person asked for an action that needs approval.
        RequestSubmitted {
            request: RequestId,
            person: PersonId,
            /// The user the person was linked to at that moment.
            user: Option<UserId>,
            endpoint: EndpointId,
            action_type: ActionType,
            /// HMAC of the action digest under the tenant's key, hexadecimal.
            digest_mac: String,
            details: Personal<RequestDetails>,
            /// The policies that demand the approval, at the revisions the server evaluated.
            policies: Vec<PolicyRef>,
            /// The server's risk, 0 to 100.
            risk: u32,
            /// Whether a one-time code is demanded too, after the approval.
            mfa: bool,
            /// How long the elevation lasts once it runs, in minutes, where policies say so.
            access_minutes: Option<u32>,
            snapshot: SnapshotRef,
            route: Route,
            windows: Windows,
            /// When the first window ends.
            pending_until: Timestamp,
            flags: Vec<Flag>,
            /// The request this one repeats after its end.
            previous: Option<RequestId>,
        }
        /// The same action was asked for again while this request was open.
        RequestRepeated {
            request: RequestId,
            person: PersonId,
            /// How often it was asked for by now, 2 or more.
            count: u32,
        }
        /// One approver agreed.
        ApprovalGiven {
            request: RequestId,
            person: PersonId,
            approver: UserId,
            comment: Personal<String>,
            /// The uses this approver allows; none adds no limit.
            uses: Option<u32>,
            /// The minutes this approver allows; none adds no limit.
            grant_minutes: Option<u32>,
            self_approval: bool,
        }
        /// The quorum is met; the grant is active.
        RequestApproved {
            request: RequestId,
            person: PersonId,
            approver: UserId,
            endpoint: EndpointId,
            digest_mac: String,
            grant: GrantTerms,
            at: Timestamp,
        }
        /// One approver refused, which settles it.
        RequestDenied {
            request: RequestId,
            person: PersonId,
            approver: UserId,
            comment: Personal<String>,
            self_approval: bool,
            at: Timestamp,
        }
        /// The secondary approvers are asked too.
        RequestEscalated {
            request: RequestId,
            person: PersonId,
            /// Who escalated it before its time; none for the clock.
            by: Option<UserId>,
            reason: Personal<String>,
            /// When the second window ends.
            escalated_until: Timestamp,
            /// The moment it was due, where the clock did it.
            due: Option<Timestamp>,
        }
        /// Nobody decided in time.
        RequestExpired {
            request: RequestId,
            person: PersonId,
            due: Timestamp,
            /// Who set the state that the clock had already settled; none for the scheduler.
            by: Option<UserId>,
        }
        /// It was taken back, or its user or endpoint went away.
        RequestCancelled {
            request: RequestId,
            person: PersonId,
            /// Who did; none for a reactor.
            by: Option<UserId>,
            cause: CancelCause,
            reason: Personal<String>,
            at: Timestamp,
        }
        /// The grant was used once.
        GrantUsed {
            request: RequestId,
            person: PersonId,
            /// The number of this use, from 1.
            number: u32,
            /// When, by the endpoint's clock.
            used_at: Timestamp,
        }
        /// The last permitted use was made.
        GrantExhausted {
            request: RequestId,
            person: PersonId,
        }
        /// The grant was used although it was spent, over or taken back: an alert.
        GrantOverused {
            request: RequestId,
            person: PersonId,
            used_at: Timestamp,
            /// The state the grant was in.
            status: String,
        }
        /// The grant was not used up in time.
        GrantExpired {
            request: RequestId,
            person: PersonId,
            due: Timestamp,
        }
        /// The grant was taken back.
        GrantRevoked {
            request: RequestId,
            person: PersonId,
            /// Who did; none for a reactor.
            by: Option<UserId>,
            cause: CancelCause,
            reason: Personal<String>,
        }
    }
}

/// Why a request or grant ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelCause {
    /// The requester took it back.
    Withdrawn,
    /// An administrator did.
    Administrator,
    /// Its user was disabled.
    UserDisabled,
    /// Its endpoint was removed.
    EndpointRemoved,
}

impl EventData for RequestEvent {
    fn person(&self) -> Option<PersonId> {
        Some(match self {
            Self::RequestSubmitted(e) => e.person,
            Self::RequestRepeated(e) => e.person,
            Self::ApprovalGiven(e) => e.person,
            Self::RequestApproved(e) => e.person,
            Self::RequestDenied(e) => e.person,
            Self::RequestEscalated(e) => e.person,
            Self::RequestExpired(e) => e.person,
            Self::RequestCancelled(e) => e.person,
            Self::GrantUsed(e) => e.person,
            Self::GrantExhausted(e) => e.person,
            Self::GrantOverused(e) => e.person,
            Self::GrantExpired(e) => e.person,
            Self::GrantRevoked(e) => e.person,
        })
    }

    fn occurred_at(&self) -> Option<Timestamp> {
        match self {
            Self::RequestEscalated(e) => e.due,
            Self::RequestExpired(e) => Some(e.due),
            Self::GrantExpired(e) => Some(e.due),
            Self::GrantUsed(e) => Some(e.used_at),
            Self::GrantOverused(e) => Some(e.used_at),
            Self::RequestSubmitted(_)
            | Self::RequestRepeated(_)
            | Self::ApprovalGiven(_)
            | Self::RequestApproved(_)
            | Self::RequestDenied(_)
            | Self::RequestCancelled(_)
            | Self::GrantExhausted(_)
            | Self::GrantRevoked(_) => None,
        }
    }

    fn claims(&self) -> Vec<ClaimChange> {
        match self {
            Self::RequestSubmitted(e) => vec![ClaimChange::Take {
                space: OPEN_REQUEST,
                value: e.digest_mac.clone(),
            }],
            Self::RequestApproved(_) | Self::RequestDenied(_) | Self::RequestExpired(_) | Self::RequestCancelled(_) => {
                vec![ClaimChange::ReleaseAll { space: OPEN_REQUEST }]
            }
            Self::RequestRepeated(_)
            | Self::ApprovalGiven(_)
            | Self::RequestEscalated(_)
            | Self::GrantUsed(_)
            | Self::GrantExhausted(_)
            | Self::GrantOverused(_)
            | Self::GrantExpired(_)
            | Self::GrantRevoked(_) => Vec::new(),
        }
    }
}
