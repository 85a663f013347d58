//! What each event means for the row of its request.

use std::collections::{BTreeMap, BTreeSet};

use eventstore::TenantTx;
use formats::{PersonId, RequestId, Timestamp, UserId};
use model::{
    Personal,
    catalogue::AnyEvent,
    person::PersonEvent,
    request::{CancelCause, GrantStatus, GrantTerms, RequestEvent, RequestSubmitted, Status},
    user::UserEvent,
};

use super::NAME;
use crate::{Build, Delta, Envelope, FlushError, FoldError, Projection, projection::BoxFuture};

/// The read model of requests.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestQueue;

impl Projection for RequestQueue {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["request_term", "request_decision", "request_queue"]
    }

    fn streams(&self) -> Option<&'static [&'static str]> {
        Some(&["request", "person", "user"])
    }

    fn start(&self) -> Box<dyn Delta> {
        Box::new(RequestDelta::default())
    }
}

/// What a batch changes: new rows, changes of rows (new ones included), decisions, and who was erased.
#[derive(Debug, Default)]
pub(super) struct RequestDelta {
    pub(super) submitted: Vec<Submitted>,
    pub(super) changes: BTreeMap<RequestId, Change>,
    pub(super) decisions: Vec<NewDecision>,
    pub(super) erased: BTreeSet<PersonId>,
}

/// A new request.
#[derive(Debug)]
pub(super) struct Submitted {
    pub(super) event: Box<RequestSubmitted>,
    pub(super) position: u64,
    pub(super) at: Timestamp,
}

/// What changes in a row; `None` leaves the column as it is.
#[derive(Debug, Default)]
pub(super) struct Change {
    pub(super) status: Option<Status>,
    pub(super) times: Option<u32>,
    pub(super) deadline: Option<Timestamp>,
    pub(super) escalated_at: Option<Timestamp>,
    pub(super) escalated_until: Option<Timestamp>,
    pub(super) escalated_by: Option<UserId>,
    pub(super) escalation_reason: Option<String>,
    pub(super) settled_at: Option<Timestamp>,
    pub(super) settled_by: Option<UserId>,
    pub(super) cancel_cause: Option<CancelCause>,
    pub(super) cancel_reason: Option<String>,
    pub(super) grant: Option<GrantTerms>,
    pub(super) grant_status: Option<GrantStatus>,
    pub(super) grant_used: Option<u32>,
    pub(super) grant_last_used_at: Option<Timestamp>,
    /// Comes on top of what the row has.
    pub(super) grant_overused: u32,
    pub(super) grant_ended_at: Option<Timestamp>,
    pub(super) grant_ended_by: Option<UserId>,
    pub(super) grant_cause: Option<CancelCause>,
    pub(super) grant_reason: Option<String>,
    /// The one-time code came from another user than the requester.
    pub(super) mfa_other_user: bool,
    pub(super) position: u64,
    pub(super) changed_at: Timestamp,
}

impl Change {
    fn settle(&mut self, status: Status, by: Option<UserId>, at: Timestamp) {
        self.status = Some(status);
        self.settled_by = by;
        self.settled_at = Some(at);
    }

    fn end_grant(&mut self, status: GrantStatus, at: Timestamp) {
        self.grant_status = Some(status);
        self.grant_ended_at = Some(at);
    }
}

/// An approver's word.
#[derive(Debug)]
pub(super) struct NewDecision {
    pub(super) request: RequestId,
    pub(super) position: u64,
    pub(super) approver: UserId,
    pub(super) approved: bool,
    pub(super) comment: Option<String>,
    pub(super) uses: Option<u32>,
    pub(super) grant_minutes: Option<u32>,
    pub(super) self_approval: bool,
    pub(super) method: Option<String>,
    pub(super) at: Timestamp,
}

/// What somebody wrote, unless it was nothing or is gone.
fn said(text: &Personal<String>) -> Option<String> {
    text.get()
        .filter(|text| !text.is_empty())
        .map(|text| crate::columns::without_nul(text))
}

impl Delta for RequestDelta {
    fn fold(&mut self, event: &Envelope) -> Result<(), FoldError> {
        match &event.event {
            AnyEvent::Request(e) => self.request(event, e),
            AnyEvent::Person(e) => match e {
                PersonEvent::PersonErased(e) => {
                    self.erased.insert(e.person);
                }
                PersonEvent::EndpointAccountSeen(_)
                | PersonEvent::EndpointAccountLinked(_)
                | PersonEvent::EndpointAccountUnlinked(_) => {}
            },
            AnyEvent::User(e) => match e {
                UserEvent::CodeVerified(e) => {
                    if let (Some(request), true) = (e.request, e.other_user) {
                        self.change(event, request).mfa_other_user = true;
                    }
                }
                UserEvent::UserCreated(_)
                | UserEvent::UserInvited(_)
                | UserEvent::UserChanged(_)
                | UserEvent::UserDisabled(_)
                | UserEvent::UserEnabled(_)
                | UserEvent::UserProvisioned(_)
                | UserEvent::UserDeprovisioned(_)
                | UserEvent::PasswordChanged(_)
                | UserEvent::MfaEnrolled(_)
                | UserEvent::PasskeyRegistered(_)
                | UserEvent::PasskeyRemoved(_)
                | UserEvent::PasskeyFlagged(_)
                | UserEvent::MfaRemoved(_)
                | UserEvent::ChannelLocked(_)
                | UserEvent::SignedIn(_)
                | UserEvent::IdentityLinked(_)
                | UserEvent::IdentitiesUnlinked(_)
                | UserEvent::SignedOut(_) => {}
            },
            AnyEvent::Tenant(_)
            | AnyEvent::Roles(_)
            | AnyEvent::Team(_)
            | AnyEvent::Platform(_)
            | AnyEvent::Scim(_)
            | AnyEvent::ServiceAccount(_)
            | AnyEvent::IdentityProvider(_)
            | AnyEvent::DeploymentGroup(_)
            | AnyEvent::Endpoint(_)
            | AnyEvent::Activity(_)
            | AnyEvent::Collection(_)
            | AnyEvent::Policy(_)
            | AnyEvent::ApprovalRules(_) => {}
        }
        Ok(())
    }

    fn flush<'a>(self: Box<Self>, tx: &'a mut TenantTx, build: Build) -> BoxFuture<'a, Result<(), FlushError>> {
        Box::pin(async move { super::store::flush(*self, tx, build).await })
    }
}

impl RequestDelta {
    fn change(&mut self, event: &Envelope, request: RequestId) -> &mut Change {
        let change = self.changes.entry(request).or_default();
        change.position = event.position;
        change.changed_at = event.recorded_at;
        change
    }

    fn request(&mut self, at: &Envelope, event: &RequestEvent) {
        match event {
            RequestEvent::RequestSubmitted(e) => self.submitted.push(Submitted {
                event: Box::new(e.clone()),
                position: at.position,
                at: at.recorded_at,
            }),
            RequestEvent::RequestRepeated(e) => self.change(at, e.request).times = Some(e.count),
            RequestEvent::ApprovalGiven(e) => {
                self.decisions.push(NewDecision {
                    request: e.request,
                    position: at.position,
                    approver: e.approver,
                    approved: true,
                    comment: said(&e.comment),
                    uses: e.uses,
                    grant_minutes: e.grant_minutes,
                    self_approval: e.self_approval,
                    method: at.actor.method.clone(),
                    at: at.recorded_at,
                });
                self.change(at, e.request);
            }
            RequestEvent::RequestApproved(e) => {
                let change = self.change(at, e.request);
                change.settle(Status::Approved, Some(e.approver), e.at);
                change.grant = Some(e.grant);
                change.grant_status = Some(GrantStatus::Active);
            }
            RequestEvent::RequestDenied(e) => {
                self.decisions.push(NewDecision {
                    request: e.request,
                    position: at.position,
                    approver: e.approver,
                    approved: false,
                    comment: said(&e.comment),
                    uses: None,
                    grant_minutes: None,
                    self_approval: e.self_approval,
                    method: at.actor.method.clone(),
                    at: e.at,
                });
                self.change(at, e.request)
                    .settle(Status::Denied, Some(e.approver), e.at);
            }
            RequestEvent::RequestEscalated(e) => {
                let change = self.change(at, e.request);
                change.status = Some(Status::Escalated);
                change.deadline = Some(e.escalated_until);
                change.escalated_until = Some(e.escalated_until);
                change.escalated_at = Some(e.due.unwrap_or(at.recorded_at));
                change.escalated_by = e.by;
                change.escalation_reason = said(&e.reason);
            }
            RequestEvent::RequestExpired(e) => {
                self.change(at, e.request).settle(Status::Expired, e.by, e.due);
            }
            RequestEvent::RequestCancelled(e) => {
                let change = self.change(at, e.request);
                change.settle(Status::Cancelled, e.by, e.at);
                change.cancel_cause = Some(e.cause);
                change.cancel_reason = said(&e.reason);
            }
            RequestEvent::GrantUsed(e) => {
                let change = self.change(at, e.request);
                change.grant_used = Some(e.number);
                change.grant_last_used_at = Some(e.used_at);
            }
            RequestEvent::GrantExhausted(e) => {
                self.change(at, e.request)
                    .end_grant(GrantStatus::Exhausted, at.recorded_at);
            }
            RequestEvent::GrantOverused(e) => self.change(at, e.request).grant_overused += 1,
            RequestEvent::GrantExpired(e) => self.change(at, e.request).end_grant(GrantStatus::Expired, e.due),
            RequestEvent::GrantRevoked(e) => {
                let change = self.change(at, e.request);
                change.end_grant(GrantStatus::Revoked, at.recorded_at);
                change.grant_ended_by = e.by;
                change.grant_cause = Some(e.cause);
                change.grant_reason = said(&e.reason);
            }
        }
    }
}

/// The texts by which a request is found: all of them personal, so that none is left after an erasure.
pub(super) fn searched(details: &model::request::RequestDetails) -> Result<BTreeSet<String>, serde_json::Error> {
    let action = serde_json::to_value(&details.action)?;
    let places = [
        "/user/name",
        "/machine/name",
        "/application/path",
        "/application/publisher",
        "/commandLine",
        "/file",
    ];
    let texts = places.iter().filter_map(|place| action.pointer(place)?.as_str());
    Ok(crate::terms::terms(texts.chain([details.justification.as_str()])))
}
