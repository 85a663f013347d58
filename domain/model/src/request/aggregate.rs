//! The state of a request and its decisions.

use std::time::Duration;

use formats::{EndpointId, PersonId, RequestId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use super::{
    ApprovalGiven, By, CancelCause, DecisionFacts, GrantExhausted, GrantExpired, GrantOverused, GrantRevoked,
    GrantTerms, GrantUsed, Narrowing, RequestApproved, RequestCancelled, RequestCommand, RequestDenied, RequestError,
    RequestEscalated, RequestEvent, RequestExpired, RequestRepeated, RequestSubmitted, Route, Submission, Windows,
};
use crate::{Noun, Personal, aggregate::aggregate, text};

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not filed.
    #[default]
    None,
    /// The primary approvers are asked.
    Pending,
    /// The secondary approvers are asked too.
    Escalated,
    /// Enough approvers agreed.
    Approved,
    /// An approver refused.
    Denied,
    /// Nobody decided in time.
    Expired,
    /// Taken back.
    Cancelled,
}

impl Status {
    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pending => "pending",
            Self::Escalated => "escalated",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it can still be decided.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Escalated)
    }
}

/// Where a grant stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantStatus {
    /// It can be used.
    Active,
    /// All its uses were made.
    Exhausted,
    /// Its window is over.
    Expired,
    /// It was taken back.
    Revoked,
}

impl GrantStatus {
    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Exhausted => "exhausted",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// The state of a grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantState {
    /// What it permits.
    pub terms: GrantTerms,
    /// Uses so far.
    pub used: u32,
    /// Where it stands.
    pub status: GrantStatus,
}

/// One approver's agreement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Agreement {
    approver: UserId,
    uses: Option<u32>,
    grant_minutes: Option<u32>,
}

/// A request. See the module for its life.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    id: RequestId,
    person: PersonId,
    endpoint: EndpointId,
    digest_mac: String,
    user: Option<UserId>,
    status: Status,
    mfa: bool,
    route: Route,
    windows: Windows,
    deadline: Timestamp,
    agreements: Vec<Agreement>,
    settled_by: Option<UserId>,
    settled_at: Timestamp,
    grant: Option<GrantState>,
    count: u32,
}

aggregate!(Request, "request", RequestCommand, RequestEvent, RequestError);

type Decided = Result<Vec<RequestEvent>, RequestError>;

const fn minutes(n: u32) -> Duration {
    Duration::from_secs(n as u64 * 60)
}

impl Noun for Request {
    fn decide(&self, command: RequestCommand) -> Decided {
        if let RequestCommand::SubmitRequest { at, submission } = command {
            return self.submit(at, *submission);
        }
        if self.status == Status::None {
            return Err(RequestError::NotFound);
        }
        match command {
            RequestCommand::SubmitRequest { .. } => Err(RequestError::AlreadySubmitted),
            RequestCommand::RepeatRequest {
                at,
                secondary_can_decide,
            } => self.repeat(at, secondary_can_decide),
            RequestCommand::Approve { at, facts, narrowing } => self.approve(at, facts, narrowing),
            RequestCommand::Deny { at, facts } => self.deny(at, facts),
            RequestCommand::Escalate {
                at,
                by,
                reason,
                secondary_can_decide,
            } => self.escalate(at, by, reason, secondary_can_decide),
            RequestCommand::Expire {
                at,
                by,
                secondary_can_decide,
            } => self.expire(at, by, secondary_can_decide),
            RequestCommand::CancelRequest {
                at,
                by,
                cause,
                reason,
                secondary_can_decide,
            } => self.cancel(at, by, cause, reason, secondary_can_decide),
            RequestCommand::RevokeGrant { at, by, cause, reason } => self.revoke(at, by, cause, reason),
            RequestCommand::UseGrant { used_at } => self.use_grant(used_at),
            RequestCommand::ExpireGrant { at } => self.expire_grant(at),
        }
    }
}

impl Request {
    /// Where it stands in the log (the clock may have settled more: see the deadline).
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// When the present window ends.
    #[must_use]
    pub const fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// The grant, once approved.
    #[must_use]
    pub const fn grant(&self) -> Option<&GrantState> {
        self.grant.as_ref()
    }

    /// Whose it is.
    #[must_use]
    pub const fn person(&self) -> PersonId {
        self.person
    }

    /// The user the requester was linked to when it was filed.
    #[must_use]
    pub const fn user(&self) -> Option<UserId> {
        self.user
    }

    /// Who was asked.
    #[must_use]
    pub const fn route(&self) -> &Route {
        &self.route
    }

    /// HMAC of the action's digest, hexadecimal.
    #[must_use]
    pub fn digest_mac(&self) -> &str {
        &self.digest_mac
    }

    /// How often the action was asked for while it was open, from 1.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Whether an approver took something away from the grant.
    #[must_use]
    pub fn is_narrowed(&self) -> bool {
        self.agreements
            .iter()
            .any(|a| a.uses.is_some() || a.grant_minutes.is_some())
    }

    /// Whether this user is among those who agreed.
    #[must_use]
    pub fn was_approved_by(&self, user: UserId) -> bool {
        self.agreements.iter().any(|a| a.approver == user)
    }

    /// Where it was asked.
    #[must_use]
    pub const fn endpoint(&self) -> EndpointId {
        self.endpoint
    }

    fn submit(&self, at: Timestamp, s: Submission) -> Decided {
        if self.status != Status::None {
            return Err(RequestError::AlreadySubmitted);
        }
        let mut details = s.details;
        details.justification =
            text::free_text(&details.justification, s.justification_min.max(1)).map_err(|error| {
                RequestError::Text {
                    field: "justification",
                    error,
                }
            })?;
        Ok(vec![
            RequestSubmitted {
                request: s.request,
                person: s.person,
                user: s.user,
                endpoint: s.endpoint,
                action_type: s.action_type,
                digest_mac: s.digest_mac,
                details: details.into(),
                policies: s.policies,
                risk: s.risk,
                mfa: s.mfa,
                access_minutes: s.access_minutes,
                snapshot: s.snapshot,
                pending_until: at + minutes(s.windows.pending_minutes),
                route: s.route,
                windows: s.windows,
                flags: s.flags,
                previous: s.previous,
            }
            .into(),
        ])
    }

    fn repeat(&self, at: Timestamp, secondary_can_decide: bool) -> Decided {
        self.still_open()?;
        self.overdue_escalation(at, secondary_can_decide)?;
        Ok(vec![
            RequestRepeated {
                request: self.id,
                person: self.person,
                count: self.count + 1,
            }
            .into(),
        ])
    }

    fn approve(&self, at: Timestamp, facts: DecisionFacts, narrowing: Narrowing) -> Decided {
        let mut events = self.judge(at, &facts)?;
        if facts.denied_now {
            return Err(RequestError::NowDenied);
        }
        narrowed("uses", narrowing.uses, self.windows.uses)?;
        narrowed(
            "grantMinutes",
            narrowing.grant_minutes,
            Some(self.windows.grant_minutes),
        )?;
        let comment = comment(facts.comment.as_deref(), false)?;
        events.push(
            ApprovalGiven {
                request: self.id,
                person: self.person,
                approver: facts.approver,
                comment,
                uses: narrowing.uses,
                grant_minutes: narrowing.grant_minutes,
                self_approval: facts.own,
            }
            .into(),
        );
        let agreed = self.agreements.len() + 1;
        if agreed >= self.route.quorum.max(1) as usize {
            let least = |all: &mut dyn Iterator<Item = Option<u32>>| all.flatten().min();
            let uses = least(
                &mut self
                    .agreements
                    .iter()
                    .map(|a| a.uses)
                    .chain([narrowing.uses, self.windows.uses]),
            );
            let window = least(
                &mut self
                    .agreements
                    .iter()
                    .map(|a| a.grant_minutes)
                    .chain([narrowing.grant_minutes, Some(self.windows.grant_minutes)]),
            )
            .unwrap_or(self.windows.grant_minutes);
            let grant = GrantTerms {
                not_after: at + minutes(window),
                uses,
                mfa_pending: self.mfa,
            };
            events.push(
                RequestApproved {
                    request: self.id,
                    person: self.person,
                    approver: facts.approver,
                    endpoint: self.endpoint,
                    digest_mac: self.digest_mac.clone(),
                    grant,
                    at,
                }
                .into(),
            );
        }
        Ok(events)
    }

    fn deny(&self, at: Timestamp, facts: DecisionFacts) -> Decided {
        let mut events = self.judge(at, &facts)?;
        let comment = comment(facts.comment.as_deref(), facts.denial_needs_comment)?;
        events.push(
            RequestDenied {
                request: self.id,
                person: self.person,
                approver: facts.approver,
                comment,
                self_approval: facts.own,
                at,
            }
            .into(),
        );
        Ok(events)
    }

    /// What an approval and a denial have in common. Where the first deadline is over and the scheduler has not been
    /// here yet, the escalation that it owes comes first.
    fn judge(&self, at: Timestamp, facts: &DecisionFacts) -> Decided {
        self.still_open()?;
        let overdue = self.overdue_escalation(at, facts.secondary_can_decide)?;
        if !facts.eligible {
            return Err(RequestError::NotEligible);
        }
        let escalated = self.status == Status::Escalated || overdue.is_some();
        if facts.secondary_only && !escalated {
            return Err(RequestError::NotEscalated);
        }
        if facts.own && !facts.self_approval {
            return Err(RequestError::SelfApproval);
        }
        if self.agreements.iter().any(|a| a.approver == facts.approver) {
            return Err(RequestError::DecidedTwice);
        }
        if facts.digest_mac != self.digest_mac {
            return Err(RequestError::DigestMismatch);
        }
        Ok(overdue.into_iter().collect())
    }

    fn still_open(&self) -> Result<(), RequestError> {
        if self.status.is_open() {
            return Ok(());
        }
        if self.status == Status::Expired {
            return Err(RequestError::Expired {
                deadline: self.deadline,
            });
        }
        Err(RequestError::AlreadyDecided {
            status: self.status.as_str(),
            by: self.settled_by,
            at: self.settled_at,
        })
    }

    /// The last moment at which a decision could still come, were it escalated at the first deadline.
    #[must_use]
    pub fn last_deadline(&self) -> Timestamp {
        if self.status == Status::Pending {
            self.deadline + minutes(self.windows.escalated_minutes)
        } else {
            self.deadline
        }
    }

    /// The escalation the clock already owes at this moment, or the refusal where it owes the end.
    fn overdue_escalation(
        &self,
        at: Timestamp,
        secondary_can_decide: bool,
    ) -> Result<Option<RequestEvent>, RequestError> {
        if at < self.deadline {
            return Ok(None);
        }
        if self.status == Status::Pending && secondary_can_decide && at < self.last_deadline() {
            return Ok(Some(self.escalated(None, None, self.deadline, Some(self.deadline))));
        }
        let deadline = if self.status == Status::Pending && secondary_can_decide {
            self.last_deadline()
        } else {
            self.deadline
        };
        Err(RequestError::Expired { deadline })
    }

    fn escalated(
        &self,
        by: Option<UserId>,
        reason: Option<String>,
        from: Timestamp,
        due: Option<Timestamp>,
    ) -> RequestEvent {
        RequestEscalated {
            request: self.id,
            person: self.person,
            by,
            reason: Personal::new(reason.unwrap_or_default()),
            escalated_until: from + minutes(self.windows.escalated_minutes),
            due,
        }
        .into()
    }

    fn escalate(&self, at: Timestamp, by: By, reason: Option<String>, secondary_can_decide: bool) -> Decided {
        let By::User { user, permitted } = by else {
            // The scheduler: late and doubled runs change nothing.
            if self.status != Status::Pending {
                return Ok(Vec::new());
            }
            if at < self.deadline {
                return Err(RequestError::NotDue { due: self.deadline });
            }
            if !secondary_can_decide {
                return Err(RequestError::NobodyToEscalateTo);
            }
            return Ok(vec![self.escalated(None, None, self.deadline, Some(self.deadline))]);
        };
        self.still_open()?;
        if !permitted {
            return Err(RequestError::NotPermitted);
        }
        if self.status == Status::Escalated || self.overdue_escalation(at, secondary_can_decide)?.is_some() {
            return Err(RequestError::AlreadyEscalated);
        }
        if !secondary_can_decide {
            return Err(RequestError::NobodyToEscalateTo);
        }
        let reason = text::free_text(reason.as_deref().unwrap_or_default(), 1)
            .map_err(|error| RequestError::Text { field: "reason", error })?;
        Ok(vec![self.escalated(Some(user), Some(reason), at, None)])
    }

    fn expire(&self, at: Timestamp, by: By, secondary_can_decide: bool) -> Decided {
        let user = match by {
            By::User { permitted: false, .. } => return Err(RequestError::NotPermitted),
            By::User { user, .. } => {
                self.still_open()?;
                Some(user)
            }
            By::Clock | By::System => {
                if !self.status.is_open() {
                    return Ok(Vec::new());
                }
                None
            }
        };
        if at < self.deadline {
            return Err(RequestError::NotDue { due: self.deadline });
        }
        let mut events = Vec::new();
        let mut due = self.deadline;
        if self.status == Status::Pending && secondary_can_decide {
            if at < self.last_deadline() {
                return Err(RequestError::NotDue {
                    due: self.last_deadline(),
                });
            }
            // Both deadlines passed unseen: the log tells both, each at its time.
            events.push(self.escalated(None, None, self.deadline, Some(self.deadline)));
            due = self.last_deadline();
        }
        events.push(
            RequestExpired {
                request: self.id,
                person: self.person,
                due,
                by: user,
            }
            .into(),
        );
        Ok(events)
    }

    fn cancel(
        &self,
        at: Timestamp,
        by: By,
        cause: CancelCause,
        reason: Option<String>,
        secondary_can_decide: bool,
    ) -> Decided {
        let user = self.ender(by)?;
        let over = self
            .still_open()
            .and_then(|()| self.overdue_escalation(at, secondary_can_decide));
        if user.is_none() && over.is_err() {
            // A reactor finds nothing to do; what the clock has ended is the scheduler's to write down.
            return Ok(Vec::new());
        }
        over?;
        let reason = comment(reason.as_deref(), false)?;
        Ok(vec![
            RequestCancelled {
                request: self.id,
                person: self.person,
                by: user,
                cause,
                reason,
                at,
            }
            .into(),
        ])
    }

    fn revoke(&self, at: Timestamp, by: By, cause: CancelCause, reason: Option<String>) -> Decided {
        let user = self.ender(by)?;
        let status = match &self.grant {
            Some(grant) if grant.status == GrantStatus::Active && at < grant.terms.not_after => None,
            Some(grant) if grant.status == GrantStatus::Active => Some(Some("expired")),
            Some(grant) => Some(Some(grant.status.as_str())),
            None => Some(None),
        };
        match status {
            None => {
                let reason = comment(reason.as_deref(), false)?;
                Ok(vec![
                    GrantRevoked {
                        request: self.id,
                        person: self.person,
                        by: user,
                        cause,
                        reason,
                    }
                    .into(),
                ])
            }
            Some(_) if user.is_none() => Ok(Vec::new()),
            Some(status) => Err(RequestError::NoActiveGrant { status }),
        }
    }

    fn ender(&self, by: By) -> Result<Option<UserId>, RequestError> {
        match by {
            By::User { permitted: false, .. } => Err(RequestError::NotPermitted),
            By::User { user, .. } => Ok(Some(user)),
            By::Clock | By::System => Ok(None),
        }
    }

    fn use_grant(&self, used_at: Timestamp) -> Decided {
        let Some(grant) = &self.grant else {
            return Err(RequestError::NoActiveGrant { status: None });
        };
        // An expiry that the scheduler wrote does not make an earlier use late: uses arrive when an agent reconnects.
        let in_time = used_at < grant.terms.not_after;
        let spent = grant.terms.uses.is_some_and(|limit| grant.used >= limit);
        let alive = match grant.status {
            GrantStatus::Active | GrantStatus::Expired => in_time && !spent,
            GrantStatus::Exhausted | GrantStatus::Revoked => false,
        };
        if !alive {
            let status = if grant.status == GrantStatus::Active && !in_time {
                "expired"
            } else {
                grant.status.as_str()
            };
            return Ok(vec![
                GrantOverused {
                    request: self.id,
                    person: self.person,
                    used_at,
                    status: status.to_owned(),
                }
                .into(),
            ]);
        }
        let number = grant.used + 1;
        let mut events = vec![
            GrantUsed {
                request: self.id,
                person: self.person,
                number,
                used_at,
            }
            .into(),
        ];
        if grant.status == GrantStatus::Active && grant.terms.uses.is_some_and(|limit| number >= limit) {
            events.push(
                GrantExhausted {
                    request: self.id,
                    person: self.person,
                }
                .into(),
            );
        }
        Ok(events)
    }

    fn expire_grant(&self, at: Timestamp) -> Decided {
        match &self.grant {
            Some(grant) if grant.status == GrantStatus::Active => {
                let due = grant.terms.not_after;
                if at < due {
                    return Err(RequestError::NotDue { due });
                }
                Ok(vec![
                    GrantExpired {
                        request: self.id,
                        person: self.person,
                        due,
                    }
                    .into(),
                ])
            }
            _ => Ok(Vec::new()),
        }
    }

    fn settle(&mut self, status: Status, by: Option<UserId>, at: Timestamp) {
        self.status = status;
        self.settled_by = by;
        self.settled_at = at;
    }

    fn fold(&mut self, event: RequestEvent) {
        match event {
            RequestEvent::RequestSubmitted(e) => {
                self.id = e.request;
                self.person = e.person;
                self.endpoint = e.endpoint;
                self.digest_mac = e.digest_mac;
                self.status = Status::Pending;
                self.mfa = e.mfa;
                self.user = e.user;
                self.route = e.route;
                self.windows = e.windows;
                self.deadline = e.pending_until;
                self.count = 1;
            }
            RequestEvent::RequestRepeated(e) => self.count = e.count,
            RequestEvent::ApprovalGiven(e) => self.agreements.push(Agreement {
                approver: e.approver,
                uses: e.uses,
                grant_minutes: e.grant_minutes,
            }),
            RequestEvent::RequestApproved(e) => {
                self.settle(Status::Approved, Some(e.approver), e.at);
                self.grant = Some(GrantState {
                    terms: e.grant,
                    used: 0,
                    status: GrantStatus::Active,
                });
            }
            RequestEvent::RequestDenied(e) => self.settle(Status::Denied, Some(e.approver), e.at),
            RequestEvent::RequestEscalated(e) => {
                self.status = Status::Escalated;
                self.deadline = e.escalated_until;
            }
            RequestEvent::RequestExpired(e) => {
                self.settle(Status::Expired, e.by, e.due);
                self.deadline = e.due;
            }
            RequestEvent::RequestCancelled(e) => self.settle(Status::Cancelled, e.by, e.at),
            RequestEvent::GrantUsed(e) => {
                if let Some(grant) = &mut self.grant {
                    grant.used = e.number;
                }
            }
            RequestEvent::GrantExhausted(_) => self.set_grant(GrantStatus::Exhausted),
            RequestEvent::GrantExpired(_) => self.set_grant(GrantStatus::Expired),
            RequestEvent::GrantRevoked(_) => self.set_grant(GrantStatus::Revoked),
            RequestEvent::GrantOverused(_) => {}
        }
    }

    fn set_grant(&mut self, status: GrantStatus) {
        if let Some(grant) = &mut self.grant {
            grant.status = status;
        }
    }
}

fn comment(text: Option<&str>, required: bool) -> Result<Personal<String>, RequestError> {
    let text = text.unwrap_or_default();
    text::free_text(text, usize::from(required))
        .map(Personal::new)
        .map_err(|error| RequestError::Text {
            field: "comment",
            error,
        })
}

fn narrowed(field: &'static str, asked: Option<u32>, limit: Option<u32>) -> Result<(), RequestError> {
    match (asked, limit) {
        (Some(0), _) => Err(RequestError::OutOfRange { field }),
        (Some(asked), Some(limit)) if asked > limit => Err(RequestError::Widened { field, limit }),
        _ => Ok(()),
    }
}
