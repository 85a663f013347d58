//! Approve and deny.
//!
//! The walkthrough of `ARCHITECTURE.md` follows [`App::approve`]: who asks, what is looked up, the pure decision of the
//! aggregate, one append that only one of two rivals wins.

use eventstore::as_of_now;
use formats::RequestId;
use model::request::{Narrowing, Request, RequestCommand};
use serde_json::json;

use super::mfa::by_approver;
use crate::{Act, App, Caller, Outcome, Refusal, Written};

/// The most requests of one bulk decision.
pub const BULK_MAX: usize = 100;

/// One decision of many.
#[derive(Debug, Clone)]
pub struct BulkItem {
    /// Which request.
    pub request: RequestId,
    /// The digest that was shown.
    pub digest: String,
}

impl App {
    /// Agrees to a request. With the quorum met, the grant is active.
    ///
    /// # Errors
    /// `ALREADY_DECIDED` with who and when, `EXPIRED`, `NOT_ELIGIBLE`, `NOT_ESCALATED`, `SELF_APPROVAL`,
    /// `STEP_UP_NEEDED`, `DECIDED_TWICE`, `DIGEST_MISMATCH`, `NOW_DENIED`, `WIDENED`, `BAD_INPUT`, `NOT_FOUND`, `FORBIDDEN`;
    /// `MFA_BY_APPROVER` where the action's one-time code was the caller's own.
    pub async fn approve(
        &self,
        caller: &Caller,
        request: RequestId,
        digest: &str,
        narrowing: Narrowing,
        comment: Option<String>,
    ) -> Outcome<Written> {
        as_of_now(self.approve_now(caller, request, digest, narrowing, comment)).await
    }

    async fn approve_now(
        &self,
        caller: &Caller,
        request: RequestId,
        digest: &str,
        narrowing: Narrowing,
        comment: Option<String>,
    ) -> Outcome<Written> {
        let state = self.decidable(caller, request).await?;
        if state.status().is_open() {
            self.caught_up(caller.tenant).await?;
        }
        let mut tx = self.reading(caller.tenant).await?;
        let row = projections::request_queue::find(&mut tx, request).await?;
        drop(tx);
        let denied_now = state.status().is_open() && self.is_denied_now(caller.tenant, &state, row.as_ref()).await?;
        let facts = self
            .decision_facts(caller, &state, digest, comment.clone(), denied_now)
            .await?;
        let givers = self.code_givers(caller.tenant, row.as_slice()).await?;
        if givers.contains(&(request, facts.approver)) {
            return Err(by_approver());
        }
        let at = self.ambient().now();
        let content = json!({
            "request": request, "digest": digest, "comment": comment,
            "uses": narrowing.uses, "grantMinutes": narrowing.grant_minutes,
        });
        self.decided(
            caller,
            "approve",
            request,
            &content,
            RequestCommand::Approve { at, facts, narrowing },
        )
        .await
    }

    /// Refuses a request.
    ///
    /// # Errors
    /// As [`App::approve`]; `BAD_INPUT` on `comment` where the tenant wants one.
    pub async fn deny(
        &self,
        caller: &Caller,
        request: RequestId,
        digest: &str,
        comment: Option<String>,
    ) -> Outcome<Written> {
        as_of_now(self.deny_now(caller, request, digest, comment)).await
    }

    async fn deny_now(
        &self,
        caller: &Caller,
        request: RequestId,
        digest: &str,
        comment: Option<String>,
    ) -> Outcome<Written> {
        let state = self.decidable(caller, request).await?;
        let facts = self
            .decision_facts(caller, &state, digest, comment.clone(), false)
            .await?;
        let at = self.ambient().now();
        let content = json!({ "request": request, "digest": digest, "comment": comment });
        self.decided(caller, "deny", request, &content, RequestCommand::Deny { at, facts })
            .await
    }

    /// Decides up to 100 requests the same way; each succeeds or fails on its own.
    ///
    /// # Errors
    /// `BAD_INPUT` where there are none or too many; `FORBIDDEN`.
    pub async fn bulk_decide(
        &self,
        caller: &Caller,
        approve: bool,
        items: Vec<BulkItem>,
        comment: Option<String>,
    ) -> Outcome<Vec<(RequestId, Outcome<Written>)>> {
        caller.demand(Act::Decide)?;
        if items.is_empty() || items.len() > BULK_MAX {
            return Err(Refusal::bad_input(
                "items",
                format!("items has to name 1 to {BULK_MAX} requests"),
            ));
        }
        let mut results = Vec::with_capacity(items.len());
        for item in items {
            let result = if approve {
                self.approve(
                    caller,
                    item.request,
                    &item.digest,
                    Narrowing::default(),
                    comment.clone(),
                )
                .await
            } else {
                self.deny(caller, item.request, &item.digest, comment.clone()).await
            };
            results.push((item.request, result));
        }
        Ok(results)
    }

    async fn decidable(&self, caller: &Caller, request: RequestId) -> Outcome<Request> {
        caller.demand(Act::Decide)?;
        self.may_decide_now(caller).await?;
        self.request(caller.tenant, request).await
    }

    /// Runs a decision. The refusal of the slower of two says who was faster, by name as far as the caller may know it.
    async fn decided(
        &self,
        caller: &Caller,
        operation: &str,
        request: RequestId,
        content: &serde_json::Value,
        command: RequestCommand,
    ) -> Outcome<Written> {
        let operation = format!("{operation}/{request}");
        let envelope = self.envelope(caller, &operation, content)?;
        match self
            .run_in::<Request>(caller.tenant, request.uuid(), &envelope, command)
            .await
        {
            Ok(done) => Ok(done.into()),
            Err(eventstore::ExecuteError::Refused(error)) => {
                let mut refusal = Refusal::of(&error);
                if let model::request::RequestError::AlreadyDecided { status, by, at } = &error {
                    refusal.details = Some(json!({ "status": status, "by": by, "at": at }));
                }
                Err(refusal)
            }
            Err(error) => Err(error.into()),
        }
    }
}
