//! Asking people: filing a request, waiting for what becomes of it, and one-time codes.

use std::time::Duration;

use formats::{
    GrantClaims, MfaProof, RequestId,
    agent_wire::{
        CancelRequest, MAX_WAIT, MfaVerified, MfaVerify, RequestState, RequestStatus, SnapshotVersion, SubmitRequest,
    },
    grant::GrantError,
    jws::JwsError,
    mfa::{MfaProofError, MfaUse},
};
use policy_engine::Step;

use crate::{
    agent::Agent,
    ask::{Asked, cite},
    error::{AgentError, Untrusted},
    link::Call,
    state::{FiledRequest, HeldGrant},
};

impl Agent {
    /// Files a request for approval. Nothing is queued offline.
    ///
    /// # Errors
    /// [`AgentError::NotNow`] where no approval is missing, [`AgentError::Justification`], [`AgentError::Offline`],
    /// [`AgentError::Refused`].
    pub async fn submit(&self, asked: &Asked, justification: &str) -> Result<RequestState, AgentError> {
        self.submit_again(asked, justification, None).await
    }

    /// As [`Agent::submit`], as another try of a request that has ended.
    ///
    /// # Errors
    /// As [`Agent::submit`].
    pub async fn submit_again(
        &self,
        asked: &Asked,
        justification: &str,
        retry_of: Option<RequestId>,
    ) -> Result<RequestState, AgentError> {
        if !asked.missing.contains(&Step::Approval) {
            return Err(AgentError::NotNow("no approval is missing"));
        }
        let justification = self.check_justification(justification)?.to_owned();
        let request = SubmitRequest {
            action: asked.action.clone(),
            cwd: asked.cwd.clone(),
            justification,
            policies: cite(&asked.decision),
            snapshot_version: SnapshotVersion {
                epoch: asked.snapshot.epoch,
                version: asked.snapshot.version,
            },
            digest: asked.digest,
            retry_of,
        };
        let key = self.0.ambient.uuid().to_string();
        let call = Call::post("/requests", &request)?.with("idempotency-key", &key);
        let state: RequestState = match self.send(call.clone()).await {
            // The answer may have been lost on its way; the key makes the second call the same one.
            Err(AgentError::Offline(_)) => self.send(call).await?.json()?,
            other => other?.json()?,
        };
        self.note(state, Some(asked)).await
    }

    /// Waits until the request has ended, at most so long, and takes its grant if it has one. The state is what the
    /// server said last, final or not.
    ///
    /// # Errors
    /// [`AgentError::Offline`] where the server could not be reached to the end, [`AgentError::Untrusted`] for a grant
    /// that does not verify or is not for the action that was asked.
    pub async fn wait_decision(&self, request: RequestId, patience: Duration) -> Result<RequestState, AgentError> {
        let until = tokio::time::Instant::now() + patience;
        let mut pause = Duration::from_millis(200);
        loop {
            let left = until.saturating_duration_since(tokio::time::Instant::now());
            let wait = u32::try_from(left.as_secs()).unwrap_or(MAX_WAIT).min(MAX_WAIT);
            match self.poll_request(request, wait).await {
                Ok(state) if state.status.is_final() || left.is_zero() => return Ok(state),
                // A server that answers at once, though it was asked to wait, is not asked in a hot loop.
                Ok(_) => tokio::time::sleep(Duration::from_millis(200).min(left)).await,
                Err(e) if e.is_passing() && !left.is_zero() => {
                    tokio::time::sleep(pause.min(left)).await;
                    pause = (pause * 2).min(Duration::from_secs(15));
                }
                Err(other) => return Err(other),
            }
        }
    }

    /// Asks once where a request stands, waiting up to so many seconds for it to change.
    ///
    /// # Errors
    /// As [`Agent::wait_decision`].
    pub async fn poll_request(&self, request: RequestId, wait: u32) -> Result<RequestState, AgentError> {
        let state = self
            .send(Call::get(&format!("/requests/{request}")).waiting(wait))
            .await?
            .json()?;
        self.note(state, None).await
    }

    /// Withdraws a request.
    ///
    /// # Errors
    /// As any call.
    pub async fn cancel_request(&self, request: RequestId, reason: Option<String>) -> Result<RequestState, AgentError> {
        let reply = self
            .post(&format!("/requests/{request}/cancel"), &CancelRequest { reason })
            .await?;
        self.note(reply.json()?, None).await
    }

    /// The requests that wait for a decision.
    #[must_use]
    pub fn open_requests(&self) -> Vec<RequestId> {
        let core = self.core();
        core.requests
            .iter()
            .filter(|(_, filed)| !filed.state.status.is_final())
            .map(|(id, _)| *id)
            .collect()
    }

    /// Gives up a request that the server does not know any more.
    pub(crate) fn forget_if_unknown(&self, request: RequestId, error: &AgentError) {
        let is_unknown = matches!(error, AgentError::Refused(problem) if problem.status == 404);
        if let Some(filed) = self.core().requests.get_mut(&request).filter(|_| is_unknown) {
            filed.state.status = RequestStatus::Cancelled;
        }
    }

    /// Keeps where a request stands, and its grant once it has verified.
    async fn note(&self, state: RequestState, asked: Option<&Asked>) -> Result<RequestState, AgentError> {
        let id = state.request_id;
        let grant = match (&state.status, &state.grant) {
            (RequestStatus::Approved, Some(token)) => Some((token.clone(), self.verify_grant(token).await?)),
            _ => None,
        };
        let mut core = self.core();
        if let Some(asked) = asked {
            let filed = FiledRequest {
                digest: asked.digest,
                user: asked.action.user.name.clone(),
                filed_at: self.now(),
                state: state.clone(),
            };
            core.requests.entry(id).or_insert(filed);
        }
        let Some(filed) = core.requests.get_mut(&id) else {
            return Err(AgentError::Protocol("the request was not filed here".to_owned()));
        };
        if let Some((token, claims)) = grant {
            if claims.request != id || claims.user != filed.user {
                return Err(Untrusted::Grant(GrantError::Foreign).into());
            }
            if claims.digest != filed.digest {
                return Err(Untrusted::Grant(GrantError::Digest).into());
            }
            let used = core.grants.get(&id).map_or(0, |held| held.used);
            core.grants.insert(
                id,
                HeldGrant {
                    token,
                    claims,
                    used,
                    ended: false,
                },
            );
            core.keep_grants(&self.0.disk)?;
        }
        // Approved, and there is nothing to hand out any more: used up, over or taken back.
        if state.status == RequestStatus::Approved
            && state.grant.is_none()
            && let Some(held) = core.grants.get_mut(&id)
        {
            held.ended = true;
            core.keep_grants(&self.0.disk)?;
        }
        if let Some(filed) = core.requests.get_mut(&id) {
            filed.state = state.clone();
        }
        core.sweep(self.now());
        core.keep_requests(&self.0.disk)?;
        drop(core);
        self.0.filed.notify_one();
        Ok(state)
    }

    async fn verify_grant(&self, token: &str) -> Result<GrantClaims, AgentError> {
        let verify = || {
            let core = self.core();
            GrantClaims::verify(token, &core.keys, core.by_server(self.now())).and_then(|claims| {
                if claims.endpoint == core.identity.endpoint {
                    Ok(claims)
                } else {
                    Err(GrantError::Foreign)
                }
            })
        };
        let first = verify();
        let claims = match first {
            Err(GrantError::Token(JwsError::UnknownKey)) if self.refresh_keys().await? => verify(),
            other => other,
        };
        Ok(claims.map_err(Untrusted::from)?)
    }

    /// Has a one-time code checked. The proof is good for five minutes, for this account and type of action, and for
    /// this action alone where a policy says so.
    ///
    /// # Errors
    /// [`AgentError::NotNow`] where no code is missing, [`AgentError::Refused`] for a wrong one, [`AgentError::Offline`],
    /// [`AgentError::Untrusted`].
    pub async fn verify_mfa(&self, asked: &Asked, email: &str, code: &str) -> Result<MfaProof, AgentError> {
        if !asked.decision.steps.contains(&Step::Mfa) && !asked.missing.contains(&Step::Mfa) {
            return Err(AgentError::NotNow("no one-time code is missing"));
        }
        let request = MfaVerify {
            email: email.to_owned(),
            code: code.to_owned(),
            action_type: asked.action.action_type,
            endpoint_user: asked.action.user.name.clone(),
            digest: asked.digest,
            always: asked.decision.mfa_always,
        };
        let answer: MfaVerified = self.post("/mfa/verify", &request).await?.json()?;
        let verify = || {
            let core = self.core();
            let now = core.by_server(self.now());
            let proof = MfaProof::verify(&answer.proof, &core.keys, now)?;
            let attempted = MfaUse {
                endpoint: core.identity.endpoint,
                endpoint_user: &request.endpoint_user,
                action_type: request.action_type,
                digest: request.digest,
                always: request.always,
                now,
            };
            proof.covers(&attempted)?;
            Ok::<_, MfaProofError>(proof)
        };
        let first = verify();
        let proof = match first {
            Err(MfaProofError::Token(JwsError::UnknownKey)) if self.refresh_keys().await? => verify(),
            other => other,
        };
        let proof = proof.map_err(Untrusted::from)?;
        let mut core = self.core();
        core.sweep(self.now());
        core.proofs.push((answer.proof, proof.clone()));
        Ok(proof)
    }
}
