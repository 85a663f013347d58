//! What the clock and other events cause: each under an id derived from its cause, so that twice is once.

use formats::{EndpointId, PersonId, RequestId, TenantId, UserId, command_id};
use model::request::{By, CancelCause, Request, RequestCommand, Status};
use projections::escalation_schedule::{Timer, TimerKind};
use serde_json::json;
use uuid::Uuid;

use crate::{App, Caller, Outcome};

impl App {
    /// Fires a timer that is due. Late or doubled runs change nothing.
    ///
    /// # Errors
    /// `UNAVAILABLE`, `BUSY`, `CONFLICT`: to be tried again.
    pub async fn fire_timer(&self, tenant: TenantId, timer: &Timer) -> Outcome<()> {
        let request = self.request(tenant, timer.request).await?;
        let at = self.ambient().now();
        let (name, command) = match timer.kind {
            TimerKind::Pending | TimerKind::Escalated => {
                let secondary_can_decide = self.secondary_can_decide(tenant, &request).await?;
                let escalates = timer.kind == TimerKind::Pending
                    && secondary_can_decide
                    && request.status() == Status::Pending
                    && at < request.last_deadline();
                if escalates {
                    (
                        "escalate",
                        RequestCommand::Escalate {
                            at,
                            by: By::Clock,
                            reason: None,
                            secondary_can_decide,
                        },
                    )
                } else {
                    (
                        "expire",
                        RequestCommand::Expire {
                            at,
                            by: By::Clock,
                            secondary_can_decide,
                        },
                    )
                }
            }
            TimerKind::Grant => ("expireGrant", RequestCommand::ExpireGrant { at }),
        };
        self.caused(
            tenant,
            timer.request,
            name,
            timer.command_id(tenant),
            timer.position,
            command,
        )
        .await
    }

    /// Cancels the open requests and revokes the grants of people whose account was closed. `position` is that event's.
    ///
    /// # Errors
    /// As [`App::fire_timer`].
    pub async fn end_requests_of_user(&self, tenant: TenantId, user: UserId, position: u64) -> Outcome<()> {
        let mut tx = self.reading(tenant).await?;
        let people: Vec<PersonId> = projections::directory::persons_of_user(&mut tx, user).await?;
        let live = projections::request_queue::live_of_people(&mut tx, &people).await?;
        drop(tx);
        let requests = live.into_iter().map(|live| live.id).collect();
        self.end_all(tenant, requests, CancelCause::UserDisabled, position)
            .await
    }

    /// Cancels the open requests and revokes the grants of an endpoint that was removed.
    ///
    /// # Errors
    /// As [`App::fire_timer`].
    pub async fn end_requests_of_endpoint(&self, tenant: TenantId, endpoint: EndpointId, position: u64) -> Outcome<()> {
        let mut tx = self.reading(tenant).await?;
        let live = projections::request_queue::live_of_endpoint(&mut tx, endpoint).await?;
        drop(tx);
        let requests = live.into_iter().map(|live| live.id).collect();
        self.end_all(tenant, requests, CancelCause::EndpointRemoved, position)
            .await
    }

    /// Ends a request whose user's account is closed or whose endpoint is removed by now.
    ///
    /// # Errors
    /// As [`App::fire_timer`].
    pub async fn end_if_orphaned(
        &self,
        tenant: TenantId,
        request: RequestId,
        user: Option<UserId>,
        endpoint: EndpointId,
        position: u64,
    ) -> Outcome<()> {
        if let Some(user) = user
            && self.open_account(tenant, user).await?.is_none()
        {
            return self
                .end_all(tenant, vec![request], CancelCause::UserDisabled, position)
                .await;
        }
        let endpoint: model::endpoint::Endpoint = self.state(tenant, endpoint.uuid()).await?;
        if endpoint.is_live() {
            return Ok(());
        }
        self.end_all(tenant, vec![request], CancelCause::EndpointRemoved, position)
            .await
    }

    async fn end_all(
        &self,
        tenant: TenantId,
        requests: Vec<RequestId>,
        cause: CancelCause,
        position: u64,
    ) -> Outcome<()> {
        for id in requests {
            let request = self.request(tenant, id).await?;
            let at = self.ambient().now();
            let secondary_can_decide = self.secondary_can_decide(tenant, &request).await?;
            let (name, command) = if request.status().is_open() {
                (
                    "cancel",
                    RequestCommand::CancelRequest {
                        at,
                        by: By::System,
                        cause,
                        reason: None,
                        secondary_can_decide,
                    },
                )
            } else {
                (
                    "revoke",
                    RequestCommand::RevokeGrant {
                        at,
                        by: By::System,
                        cause,
                        reason: None,
                    },
                )
            };
            // One event ends many requests: the request is part of the name.
            let command_id = command_id::derived(&format!("{name}/{id}"), tenant, position, 0);
            self.caused(tenant, id, name, command_id, position, command).await?;
        }
        Ok(())
    }

    /// Counts a use that an agent recorded at `position`.
    ///
    /// # Errors
    /// As [`App::fire_timer`].
    pub async fn count_grant_use(
        &self,
        tenant: TenantId,
        request: RequestId,
        used_at: formats::Timestamp,
        position: u64,
    ) -> Outcome<()> {
        let command_id = command_id::derived("grant.use", tenant, position, 0);
        self.caused(
            tenant,
            request,
            "useGrant",
            command_id,
            position,
            RequestCommand::UseGrant { used_at },
        )
        .await
    }

    async fn caused(
        &self,
        tenant: TenantId,
        request: RequestId,
        name: &str,
        command_id: Uuid,
        position: u64,
        command: RequestCommand,
    ) -> Outcome<()> {
        let system = Caller::system(tenant, command_id);
        // The content leaves the moment out: a second run under the same id is the same command.
        let mut envelope = self.envelope(&system, name, &json!({ "request": request, "position": position }))?;
        envelope.command_id = command_id;
        envelope.causation = Some(position);
        match self.run_in::<Request>(tenant, request.uuid(), &envelope, command).await {
            Ok(_) | Err(eventstore::ExecuteError::KeyReused) => Ok(()),
            // Its time has moved, or nothing is left to do: a rule of the domain is no reason to try again.
            Err(eventstore::ExecuteError::Refused(error)) => {
                tracing::debug!(%request, name, %error, "nothing to do");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}
