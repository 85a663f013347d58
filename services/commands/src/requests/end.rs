//! Escalate, expire, cancel, revoke: by people. The clock's part is in `timers.rs`.

use formats::RequestId;
use model::request::{By, CancelCause, Request, RequestCommand};
use serde_json::json;

use crate::{Act, App, Caller, Outcome, Principal, Refusal, Written};

impl App {
    /// Asks the secondary approvers before the time. For primary approvers and administrators, with a reason.
    ///
    /// # Errors
    /// `NOBODY_TO_ESCALATE_TO`, `ALREADY_ESCALATED`, `ALREADY_DECIDED`, `EXPIRED`, `BAD_INPUT`, `NOT_FOUND`, `FORBIDDEN`.
    pub async fn escalate(&self, caller: &Caller, request: RequestId, reason: String) -> Outcome<Written> {
        caller.demand(Act::Decide)?;
        let state = self.request(caller.tenant, request).await?;
        let user = self.person_who_asks(caller)?;
        let permitted = caller.is_admin() || self.is_among(caller.tenant, user, &state.route().primary).await?;
        let command = RequestCommand::Escalate {
            at: self.ambient().now(),
            by: By::User { user, permitted },
            reason: Some(reason.clone()),
            secondary_can_decide: self.secondary_can_decide(caller.tenant, &state).await?,
        };
        self.ended(
            caller,
            "escalate",
            request,
            &json!({ "request": request, "reason": reason }),
            command,
        )
        .await
    }

    /// Settles by hand what the clock has settled already.
    ///
    /// # Errors
    /// `NOT_DUE` before the deadline, `ALREADY_DECIDED`, `NOT_FOUND`, `FORBIDDEN`.
    pub async fn expire(&self, caller: &Caller, request: RequestId) -> Outcome<Written> {
        caller.demand(Act::AdministerRequests)?;
        let state = self.request(caller.tenant, request).await?;
        let by = caller
            .user()
            .map_or(By::System, |user| By::User { user, permitted: true });
        let secondary_can_decide = self.secondary_can_decide(caller.tenant, &state).await?;
        let command = RequestCommand::Expire {
            at: self.ambient().now(),
            by,
            secondary_can_decide,
        };
        self.ended(caller, "expire", request, &json!({ "request": request }), command)
            .await
    }

    /// Takes a request back: its requester or an administrator. An agent may for a user of its endpoint.
    ///
    /// # Errors
    /// `ALREADY_DECIDED`, `EXPIRED`, `NOT_FOUND`, `FORBIDDEN`.
    pub async fn cancel_request(
        &self,
        caller: &Caller,
        request: RequestId,
        reason: Option<String>,
    ) -> Outcome<Written> {
        let state = self.request(caller.tenant, request).await?;
        let (by, cause) = match &caller.principal {
            Principal::Endpoint { endpoint, .. } if state.endpoint() == *endpoint => {
                (By::System, CancelCause::Withdrawn)
            }
            Principal::Endpoint { .. } => return Err(Refusal::not_found("request")),
            _ => {
                let own = self.is_own(caller, state.person(), state.user()).await?;
                let administers = caller.may(Act::AdministerRequests);
                if !own && !administers {
                    // Members see only their own requests.
                    self.visible_request(caller, request).await?;
                }
                let cause = if own {
                    CancelCause::Withdrawn
                } else {
                    CancelCause::Administrator
                };
                let by = caller.user().map_or(By::System, |user| By::User {
                    user,
                    permitted: own || administers,
                });
                (by, cause)
            }
        };
        let content = json!({ "request": request, "reason": reason });
        let secondary_can_decide = self.secondary_can_decide(caller.tenant, &state).await?;
        let at = self.ambient().now();
        let command = RequestCommand::CancelRequest {
            at,
            by,
            cause,
            reason,
            secondary_can_decide,
        };
        self.ended(caller, "cancelRequest", request, &content, command).await
    }

    /// Takes a grant back; its agent learns of it at once where it watches its grants, else with its next heartbeat.
    ///
    /// # Errors
    /// `NO_ACTIVE_GRANT`, `NOT_FOUND`, `FORBIDDEN`.
    pub async fn revoke_grant(&self, caller: &Caller, request: RequestId, reason: Option<String>) -> Outcome<Written> {
        let state = self.request(caller.tenant, request).await?;
        let routed = match caller.user() {
            Some(user) if Self::decides(caller) => self.is_among(caller.tenant, user, &state.route().primary).await?,
            _ => false,
        };
        if !routed {
            caller.demand(Act::AdministerRequests)?;
        }
        let by = caller
            .user()
            .map_or(By::System, |user| By::User { user, permitted: true });
        let content = json!({ "request": request, "reason": reason });
        let cause = CancelCause::Administrator;
        let command = RequestCommand::RevokeGrant {
            at: self.ambient().now(),
            by,
            cause,
            reason,
        };
        self.ended(caller, "revokeGrant", request, &content, command).await
    }

    fn person_who_asks(&self, caller: &Caller) -> Outcome<formats::UserId> {
        caller
            .user()
            .ok_or_else(|| Refusal::forbidden("this is done by people"))
    }

    async fn ended(
        &self,
        caller: &Caller,
        operation: &str,
        request: RequestId,
        content: &serde_json::Value,
        command: RequestCommand,
    ) -> Outcome<Written> {
        self.run::<Request>(
            caller,
            &format!("{operation}/{request}"),
            request.uuid(),
            content,
            command,
        )
        .await
    }
}
