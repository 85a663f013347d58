//! An agent files a request. The server evaluates the action itself; what the agent claimed otherwise is flagged.

use eventstore::{ExecuteError, as_of_now};
use formats::{DigestInput, PersonId, RequestId, TenantId, agent_wire::SubmitRequest};
use model::{
    endpoint::Endpoint,
    person::{ENDPOINT_ACCOUNT, Person, PersonCommand},
    request::{By, Flag, OPEN_REQUEST, PolicyRef, Request, RequestCommand, RequestDetails, SnapshotRef, Submission},
};
use policy_engine::{Decision, Outcome as EngineOutcome, Step};
use serde_json::json;

use crate::{App, Caller, Outcome, Principal, Refusal, Written};

/// A request that was filed, or the open one that was there already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    /// The request.
    pub request: RequestId,
    /// The log's position.
    pub position: u64,
    /// The same action was open already; its counter grew.
    pub repeated: bool,
}

impl App {
    /// Files a request for the endpoint that asks.
    ///
    /// # Errors
    /// `DIGEST_MISMATCH`, `NOW_DENIED`, `APPROVAL_NOT_NEEDED`, `UNLINKED_REQUESTER` where the tenant refuses those,
    /// `BAD_INPUT` on `justification` or `action`, `FORBIDDEN` for anyone but agents.
    pub async fn submit_request(&self, caller: &Caller, input: SubmitRequest) -> Outcome<Submitted> {
        as_of_now(self.submit(caller, input)).await
    }

    async fn submit(&self, caller: &Caller, input: SubmitRequest) -> Outcome<Submitted> {
        let Principal::Endpoint { endpoint, .. } = caller.principal else {
            return Err(Refusal::forbidden("requests are filed by agents"));
        };
        let tenant = caller.tenant;
        let state: Endpoint = self.state(tenant, endpoint.uuid()).await?;
        let group = state.group().ok_or_else(Refusal::unauthenticated)?;
        let claimed = DigestInput::of(tenant, endpoint, &input.action, input.cwd.as_deref());
        let digest = claimed.digest().map_err(Refusal::internal)?;
        if digest != input.digest {
            let message = "the digest is not that of this action; the server computed another one";
            return Err(Refusal::new("DIGEST_MISMATCH", 409, message).on("digest"));
        }
        self.caught_up(tenant).await?;
        let mut action = input.action.clone();
        let mut flags = Vec::new();
        if let Some(machine) = state.machine()
            && (machine.name != action.machine.name || machine.os != action.machine.os)
        {
            // Routed and judged as the machine that registered, whatever it calls itself now.
            action.machine.name.clone_from(&machine.name);
            action.machine.os = machine.os;
            flags.push(Flag::AgentDiffers);
        }
        action.online = true;
        let (decision, engine) = self.evaluate(tenant, group, &action).await?;
        self.needs_approval(&decision)?;
        if differs(&input, &decision) && !flags.contains(&Flag::AgentDiffers) {
            flags.push(Flag::AgentDiffers);
        }

        let settings = self.settings(tenant).await?;
        let person = self.person_of(caller, &action.user.name, endpoint).await?;
        let account: Person = self.state(tenant, person.uuid()).await?;
        let user = account.user();
        if user.is_none() {
            if settings.refuse_unlinked {
                let message = "this endpoint account is linked to no user, and the tenant refuses such requests";
                return Err(Refusal::new("UNLINKED_REQUESTER", 403, message));
            }
            flags.push(Flag::UnlinkedRequester);
        } else if let Some(user) = user
            && self.open_account(tenant, user).await?.is_none()
        {
            return Err(Refusal::new("USER_DISABLED", 403, "the account of this user is closed"));
        }
        let routed = self
            .route(tenant, &settings, &action, decision.risk_level, person)
            .await?;
        if routed.no_approver {
            flags.push(Flag::NoApprover);
        }
        let submission = Submission {
            request: self.ambient().id(),
            person,
            user,
            endpoint,
            action_type: action.action_type,
            digest_mac: self.digest_mac(tenant, &digest).await?,
            details: RequestDetails {
                action,
                cwd: input.cwd.clone(),
                digest: digest.to_string(),
                justification: input.justification.clone(),
            },
            policies: policy_refs(&decision),
            risk: decision.risk_level,
            mfa: decision.steps.contains(&Step::Mfa),
            access_minutes: Some(decision.access_minutes),
            snapshot: SnapshotRef {
                epoch: engine.epoch,
                version: engine.version,
                sha256: Some(engine.sha256),
            },
            route: routed.route,
            windows: routed.windows,
            flags,
            previous: input.retry_of,
            justification_min: settings.justification_min as usize,
        };
        self.file(caller, &input, submission).await
    }

    fn needs_approval(&self, decision: &Decision) -> Outcome<()> {
        if decision.outcome == EngineOutcome::Denied {
            return Err(Refusal::new(
                "NOW_DENIED",
                409,
                "a policy that is in force now denies this action",
            ));
        }
        if decision.steps.contains(&Step::Approval) {
            return Ok(());
        }
        let message = "the policies in force now ask for no approval of this action; get the newest snapshot";
        Err(Refusal::new("APPROVAL_NOT_NEEDED", 409, message))
    }

    /// Files it, or counts that the same action is open already.
    async fn file(&self, caller: &Caller, input: &SubmitRequest, submission: Submission) -> Outcome<Submitted> {
        let content = json!({ "digest": input.digest, "justification": input.justification });
        let envelope = self.envelope(caller, "submitRequest", &content)?;
        let mut again = true;
        loop {
            let request = submission.request;
            let at = self.ambient().now();
            let command = RequestCommand::SubmitRequest {
                at,
                submission: Box::new(submission.clone()),
            };
            match self
                .store
                .begin::<Request>(caller.tenant, request.uuid(), &envelope, |_| command.clone())
                .await
            {
                Ok(done) => {
                    let written = Written::from(done);
                    return Ok(Submitted {
                        request: written.id(),
                        position: written.position,
                        repeated: written.duplicate,
                    });
                }
                Err(ExecuteError::ClaimTaken { space, holder }) if space == OPEN_REQUEST => {
                    let open = RequestId::from_uuid(holder.stream_id);
                    match self.repeat(caller, open).await {
                        Err(refusal) if refusal.code == "EXPIRED" && again => {
                            // The clock has ended it and the scheduler was not here yet.
                            self.expire_overdue(caller.tenant, open).await?;
                            again = false;
                        }
                        Err(refusal) if refusal.code == "ALREADY_DECIDED" && again => again = false,
                        result => return result,
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn repeat(&self, caller: &Caller, open: RequestId) -> Outcome<Submitted> {
        let mut counted = caller.clone();
        counted.origin.idempotency_key = None;
        let state = self.request(caller.tenant, open).await?;
        let secondary_can_decide = self.secondary_can_decide(caller.tenant, &state).await?;
        let at = self.ambient().now();
        let command = RequestCommand::RepeatRequest {
            at,
            secondary_can_decide,
        };
        let content = json!({ "request": open, "n": self.ambient().uuid() });
        let written = self
            .run::<Request>(&counted, "repeatRequest", open.uuid(), &content, command)
            .await?;
        Ok(Submitted {
            request: open,
            position: written.position,
            repeated: true,
        })
    }

    async fn expire_overdue(&self, tenant: TenantId, request: RequestId) -> Outcome<()> {
        let state = self.request(tenant, request).await?;
        let secondary_can_decide = self.secondary_can_decide(tenant, &state).await?;
        let at = self.ambient().now();
        let command = RequestCommand::Expire {
            at,
            by: By::Clock,
            secondary_can_decide,
        };
        let system = Caller::system(tenant, self.ambient().uuid());
        let content = json!({ "request": request, "at": at });
        self.run::<Request>(&system, "expireOverdue", request.uuid(), &content, command)
            .await?;
        Ok(())
    }

    /// The person of an endpoint account, made at first sight.
    pub(crate) async fn person_of(
        &self,
        caller: &Caller,
        account: &str,
        endpoint: formats::EndpointId,
    ) -> Outcome<PersonId> {
        if let Some(known) = self.known_account(caller.tenant, account).await? {
            return Ok(known);
        }
        let person: PersonId = self.ambient().id();
        let command = PersonCommand::SeeEndpointAccount {
            person,
            account: account.to_owned(),
            endpoint,
        };
        let mut seen = caller.clone();
        seen.origin.idempotency_key = None;
        let envelope = self.envelope(&seen, "seeEndpointAccount", &json!({ "person": person }))?;
        match self
            .run_in::<Person>(caller.tenant, person.uuid(), &envelope, command)
            .await
        {
            Ok(done) => {
                // Whose account it is may be known from the identity provider: the first request is theirs already.
                if self.settled(caller.tenant, done.last()).await {
                    self.link_seen_account(caller.tenant, account, person).await?;
                }
                Ok(person)
            }
            Err(ExecuteError::ClaimTaken { space, holder }) if space == ENDPOINT_ACCOUNT => {
                Ok(PersonId::from_uuid(holder.stream_id))
            }
            Err(error) => Err(Refusal::from(error).on("action.user.name")),
        }
    }
}

fn policy_refs(decision: &Decision) -> Vec<PolicyRef> {
    decision
        .matched
        .iter()
        .filter_map(|policy| {
            Some(PolicyRef {
                id: policy.id.parse().ok()?,
                revision: u32::try_from(policy.revision).ok()?,
            })
        })
        .collect()
}

/// Whether the agent named other policies than the server found. An agent that names none claims nothing.
fn differs(input: &SubmitRequest, decision: &Decision) -> bool {
    let mut claimed: Vec<_> = input.policies.iter().map(|p| (p.id.as_str(), p.revision)).collect();
    let mut found: Vec<_> = decision.matched.iter().map(|p| (p.id.as_str(), p.revision)).collect();
    claimed.sort_unstable();
    found.sort_unstable();
    !claimed.is_empty() && claimed != found
}
