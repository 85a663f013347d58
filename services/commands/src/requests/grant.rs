//! What an agent learns of its request, with the grant signed when it is served.

use eventstore::as_of_now;
use formats::{
    GrantClaims, Purpose, RequestId,
    agent_wire::{Deadlines, RequestState, RequestStatus},
    grant::Step,
};
use model::request::{GrantStatus, Request, Status};
use projections::request_queue::QueuedRequest;

use crate::{App, Caller, Outcome, Principal, Refusal};

/// What the last approver who said something said.
fn last_comment(row: &QueuedRequest) -> Option<String> {
    let comment = row.decisions.iter().rev().find_map(|d| d.comment.clone());
    comment.filter(|comment| !comment.is_empty())
}

impl App {
    /// A request of the endpoint that asks, judged by the clock.
    ///
    /// # Errors
    /// `NOT_FOUND`, also for another endpoint's request.
    pub async fn request_for_agent(&self, caller: &Caller, id: RequestId) -> Outcome<RequestState> {
        as_of_now(self.shown_to_agent(caller, id)).await
    }

    async fn shown_to_agent(&self, caller: &Caller, id: RequestId) -> Outcome<RequestState> {
        let Principal::Endpoint { endpoint, .. } = caller.principal else {
            return Err(Refusal::forbidden("this is for agents"));
        };
        let request = self.request(caller.tenant, id).await?;
        if request.endpoint() != endpoint {
            return Err(Refusal::not_found("request"));
        }
        let status = self.status_now(caller, &request).await?;
        let deadlines = Deadlines {
            escalates_at: (request.status() == Status::Pending && status == RequestStatus::Pending)
                .then(|| request.deadline()),
            expires_at: (status == RequestStatus::Escalated).then(|| request.last_deadline()),
        };
        let row = if matches!(status, RequestStatus::Approved | RequestStatus::Denied) {
            let mut tx = self.reading(caller.tenant).await?;
            projections::request_queue::find(&mut tx, id).await?
        } else {
            None
        };
        let comment = row.as_ref().and_then(last_comment);
        let grant = if status == RequestStatus::Approved {
            self.signed_grant(caller, id, &request, row).await?
        } else {
            None
        };
        Ok(RequestState {
            request_id: id,
            status,
            deadlines,
            asked: request.count(),
            comment,
            grant,
        })
    }

    /// The state by the clock: what the scheduler still owes is taken as done.
    async fn status_now(&self, caller: &Caller, request: &Request) -> Outcome<RequestStatus> {
        let now = self.ambient().now();
        Ok(match request.status() {
            Status::Pending if now >= request.deadline() => {
                let escalates = self.secondary_can_decide(caller.tenant, request).await?;
                if escalates && now < request.last_deadline() {
                    RequestStatus::Escalated
                } else {
                    RequestStatus::Expired
                }
            }
            Status::Pending | Status::None => RequestStatus::Pending,
            Status::Escalated if now >= request.deadline() => RequestStatus::Expired,
            Status::Escalated => RequestStatus::Escalated,
            Status::Approved => RequestStatus::Approved,
            Status::Denied => RequestStatus::Denied,
            Status::Expired => RequestStatus::Expired,
            Status::Cancelled => RequestStatus::Cancelled,
        })
    }

    async fn signed_grant(
        &self,
        caller: &Caller,
        id: RequestId,
        request: &Request,
        row: Option<QueuedRequest>,
    ) -> Outcome<Option<String>> {
        let now = self.ambient().now();
        let Some(grant) = request
            .grant()
            .filter(|g| g.status == GrantStatus::Active && now < g.terms.not_after)
        else {
            return Ok(None);
        };
        // Who was erased gets no grant: nothing would say whose it is.
        let Some(details) = row.and_then(|row| row.details) else {
            return Ok(None);
        };
        let keys = self.store.vault().tenant(caller.tenant).await?;
        let (_, key) = keys
            .signing(Purpose::Grant)
            .ok_or_else(|| Refusal::internal("no grant key"))?;
        let claims = GrantClaims {
            tenant: caller.tenant,
            request: id,
            digest: details
                .digest
                .parse()
                .map_err(|_| Refusal::internal("a stored digest is none"))?,
            endpoint: request.endpoint(),
            user: details.action.user.name,
            person: request.person(),
            issued_at: now,
            not_after: grant.terms.not_after,
            uses: grant.terms.uses,
            satisfies: vec![Step::Justification, Step::Approval],
            mfa_pending: grant.terms.mfa_pending,
            narrowed: request.is_narrowed(),
        };
        claims.sign(key).map(Some).map_err(Refusal::internal)
    }

    /// Of the grants that an agent holds: those that may not be used any more.
    ///
    /// # Errors
    /// `FORBIDDEN` for anyone but agents; `BAD_INPUT` for more than 1,000.
    pub async fn ended_grants(&self, caller: &Caller, held: &[RequestId]) -> Outcome<Vec<RequestId>> {
        let Principal::Endpoint { endpoint, .. } = caller.principal else {
            return Err(Refusal::forbidden("this is for agents"));
        };
        if held.len() > 1_000 {
            return Err(Refusal::bad_input("grants", "grants has to name at most 1000 requests"));
        }
        let now = self.ambient().now();
        let mut ended = Vec::new();
        for id in held {
            let request: Request = self.state(caller.tenant, id.uuid()).await?;
            let live = request.endpoint() == endpoint
                && request
                    .grant()
                    .is_some_and(|g| g.status == GrantStatus::Active && now < g.terms.not_after);
            if !live {
                ended.push(*id);
            }
        }
        Ok(ended)
    }
}
