//! Attempts of local users: one action from the question to its end, step by step, as the Unix socket offers it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use formats::{
    ActivityId, RequestId,
    agent_wire::{RecordResult, RequestStatus},
};
use policy_engine::{Action, Outcome, Step};
use serde::Serialize;

use crate::{
    agent::Agent,
    ask::{Asked, Ran},
    error::AgentError,
};

/// The most attempts that are remembered. Ended ones go first.
const MAX: usize = 1_000;

/// The attempts of this process; a restart forgets them, not their records, requests and grants.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<BTreeMap<ActivityId, Attempt>>);

#[derive(Debug, Clone)]
struct Attempt {
    asked: Asked,
    uid: u32,
    justification: Option<String>,
    request: Option<RequestId>,
    status: AttemptStatus,
    missing: Vec<Step>,
}

/// How an attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptStatus {
    /// A step is missing.
    Waiting,
    /// The action may go on. Recorded.
    Permitted,
    /// It may not. Recorded.
    Refused,
    /// The user gave up. Recorded.
    Cancelled,
}

/// An attempt as its user sees it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptView {
    /// Its id.
    pub id: ActivityId,
    /// How it stands.
    pub status: AttemptStatus,
    /// What the engine said.
    pub outcome: Outcome,
    /// The steps it demanded.
    pub steps: Vec<Step>,
    /// The ones that are missing, in order; the first is next.
    pub missing: Vec<Step>,
    /// The request for approval, if one was filed.
    pub request: Option<RequestId>,
    /// Where that stands.
    pub request_status: Option<RequestStatus>,
    /// What the policies tell the user.
    pub messages: Vec<String>,
    /// Whether they want it confirmed.
    pub require_acknowledgement: bool,
}

impl Attempts {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ActivityId, Attempt>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Agent {
    /// Begins an attempt of this account.
    ///
    /// # Errors
    /// [`AgentError::NoSnapshot`], [`AgentError::NotNow`] where too many are open.
    pub fn begin(&self, uid: u32, action: Action, cwd: Option<String>) -> Result<AttemptView, AgentError> {
        let asked = self.ask(action, cwd)?;
        let id = asked.id;
        {
            let mut attempts = self.0.attempts.lock();
            if attempts.len() >= MAX {
                let oldest = attempts
                    .iter()
                    .find(|(_, a)| a.status != AttemptStatus::Waiting)
                    .map(|(id, _)| *id);
                let oldest = oldest.ok_or(AgentError::NotNow("too many attempts are open"))?;
                attempts.remove(&oldest);
            }
            let missing = asked.missing.clone();
            let status = AttemptStatus::Waiting;
            attempts.insert(
                id,
                Attempt {
                    asked,
                    uid,
                    justification: None,
                    request: None,
                    status,
                    missing,
                },
            );
        }
        self.look(uid, id)
    }

    /// How an attempt stands now. One whose last step was taken is settled by this.
    ///
    /// # Errors
    /// [`AgentError::UnknownAttempt`], also for another account's.
    pub fn look(&self, uid: u32, id: ActivityId) -> Result<AttemptView, AgentError> {
        let mut attempts = self.0.attempts.lock();
        let attempt = attempts
            .get_mut(&id)
            .filter(|attempt| attempt.uid == uid)
            .ok_or(AgentError::UnknownAttempt)?;
        let request = attempt
            .request
            .and_then(|id| self.core().requests.get(&id).map(|filed| filed.state.status));
        if attempt.status == AttemptStatus::Waiting {
            // Under the lock, so that two looks don't settle one attempt twice.
            self.settle(attempt, request)?;
        }
        Ok(view(id, attempt, request))
    }

    fn settle(&self, attempt: &mut Attempt, request: Option<RequestStatus>) -> Result<(), AgentError> {
        let justification = attempt.justification.as_deref();
        if request.is_some_and(|status| status.is_final() && status != RequestStatus::Approved) {
            self.record_end(&attempt.asked, justification, RecordResult::Refused)?;
            attempt.status = AttemptStatus::Refused;
            return Ok(());
        }
        let (status, decision, missing) = match self.run(&attempt.asked, justification)? {
            Ran::Permitted { decision, .. } => (AttemptStatus::Permitted, decision, Vec::new()),
            Ran::Refused { decision, missing } => (AttemptStatus::Refused, decision, missing),
            Ran::Missing { decision, missing } => (AttemptStatus::Waiting, decision, missing),
        };
        attempt.status = status;
        attempt.asked.decision = *decision;
        attempt.asked.missing.clone_from(&missing);
        attempt.missing = missing;
        Ok(())
    }

    /// The attempt, if this is its next step.
    fn next_step(&self, uid: u32, id: ActivityId, step: Step) -> Result<Attempt, AgentError> {
        let attempts = self.0.attempts.lock();
        let attempt = attempts
            .get(&id)
            .filter(|attempt| attempt.uid == uid)
            .ok_or(AgentError::UnknownAttempt)?;
        if attempt.status == AttemptStatus::Waiting && attempt.missing.first() == Some(&step) {
            Ok(attempt.clone())
        } else {
            Err(AgentError::NotNow("this is not the attempt's next step"))
        }
    }

    /// Takes the user's reason, and files the request for approval where one is needed.
    ///
    /// # Errors
    /// [`AgentError::NotNow`], [`AgentError::Justification`], and those of [`Agent::submit`].
    pub async fn justify(&self, uid: u32, id: ActivityId, text: &str) -> Result<AttemptView, AgentError> {
        let attempt = self.next_step(uid, id, Step::Justification)?;
        let text = self.check_justification(text)?.to_owned();
        let request = if attempt.missing.contains(&Step::Approval) {
            Some(self.submit(&attempt.asked, &text).await?.request_id)
        } else {
            None
        };
        if let Some(attempt) = self.0.attempts.lock().get_mut(&id) {
            attempt.justification = Some(text);
            attempt.request = request;
        }
        self.look(uid, id)
    }

    /// Has the user's one-time code checked.
    ///
    /// # Errors
    /// [`AgentError::NotNow`], and those of [`Agent::verify_mfa`].
    pub async fn show_code(
        &self,
        uid: u32,
        id: ActivityId,
        email: &str,
        code: &str,
    ) -> Result<AttemptView, AgentError> {
        let attempt = self.next_step(uid, id, Step::Mfa)?;
        self.verify_mfa(&attempt.asked, email, code).await?;
        self.look(uid, id)
    }

    /// Gives an attempt up and withdraws its request.
    ///
    /// # Errors
    /// [`AgentError::NotNow`] where it has ended, and those of [`Agent::cancel_request`].
    pub async fn cancel(&self, uid: u32, id: ActivityId) -> Result<AttemptView, AgentError> {
        let request = {
            let attempts = self.0.attempts.lock();
            let attempt = attempts
                .get(&id)
                .filter(|attempt| attempt.uid == uid)
                .ok_or(AgentError::UnknownAttempt)?;
            if attempt.status != AttemptStatus::Waiting {
                return Err(AgentError::NotNow("the attempt has ended"));
            }
            attempt.request
        };
        if let Some(request) = request {
            self.cancel_request(request, None).await?;
        }
        let mut attempts = self.0.attempts.lock();
        let attempt = attempts.get_mut(&id).ok_or(AgentError::UnknownAttempt)?;
        if attempt.status == AttemptStatus::Waiting {
            self.record_end(
                &attempt.asked,
                attempt.justification.as_deref(),
                RecordResult::Cancelled,
            )?;
            attempt.status = AttemptStatus::Cancelled;
        }
        let status = request.map(|_| RequestStatus::Cancelled);
        Ok(view(id, attempt, status))
    }
}

fn view(id: ActivityId, attempt: &Attempt, request_status: Option<RequestStatus>) -> AttemptView {
    let decision = &attempt.asked.decision;
    AttemptView {
        id,
        status: attempt.status,
        outcome: decision.outcome,
        steps: decision.steps.to_vec(),
        missing: attempt.missing.clone(),
        request: attempt.request,
        request_status,
        messages: decision.notification.messages.clone(),
        require_acknowledgement: decision.notification.require_acknowledgement,
    }
}
