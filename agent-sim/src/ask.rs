//! Deciding an action, and letting it go on: the engine says what is needed, grants, proofs and a justification satisfy
//! it, and nothing goes on before it is recorded (`docs/domain.md § 2, 3, 5`).

use formats::{
    ActionDigest, ActivityId, DigestInput, GrantClaims, MfaProof, RequestId, Timestamp,
    agent_wire::{ActivityRecord, CitedSnapshot, GrantUseReport, PolicyRevision, RecordResult, ReportedDecision},
    grant::GrantUse,
    mfa::MfaUse,
};
use policy_engine::{Action, Decision, LocalTime, Outcome, Step};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use crate::{agent::Agent, error::AgentError, state::Core};

/// An action that was asked, and what is to be done before it goes on.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The record's id.
    pub id: ActivityId,
    /// When, by the agent's clock.
    pub asked_at: Timestamp,
    /// The engine's input, with the agent's own word on whether the server is there.
    pub action: Action,
    /// The working directory.
    pub cwd: Option<String>,
    /// The action's digest.
    pub digest: ActionDigest,
    /// What the engine said.
    pub decision: Decision,
    /// The snapshot it said so on.
    pub snapshot: CitedSnapshot,
    /// The steps that no grant or proof in hand satisfies, in order.
    pub missing: Vec<Step>,
}

/// What came of an attempt to let an action go on.
#[derive(Debug, Clone)]
pub enum Ran {
    /// It goes on, and is recorded.
    Permitted {
        /// What the engine said.
        decision: Box<Decision>,
        /// The grant that was used.
        grant_use: Option<GrantUseReport>,
    },
    /// It does not, and that is recorded: denied, or in need of a server that is not there.
    Refused {
        /// What the engine said.
        decision: Box<Decision>,
        /// The steps that were missing.
        missing: Vec<Step>,
    },
    /// Steps are missing that can still be taken. Nothing is recorded yet.
    Missing {
        /// What the engine said.
        decision: Box<Decision>,
        /// The steps, in order.
        missing: Vec<Step>,
    },
}

impl Ran {
    /// Whether the action goes on.
    #[must_use]
    pub const fn is_permitted(&self) -> bool {
        matches!(self, Self::Permitted { .. })
    }
}

/// Which steps are missing, and what satisfied the others.
#[derive(Debug)]
struct Coverage {
    missing: Vec<Step>,
    grant: Option<RequestId>,
    proof: Option<Uuid>,
}

/// What an action is held against.
struct Attempt<'a> {
    action: &'a Action,
    digest: ActionDigest,
    decision: &'a Decision,
    justification: Option<&'a str>,
    only_grant: Option<RequestId>,
    now: Timestamp,
}

impl Agent {
    /// Decides an action on the snapshot in force. `online` inside it is replaced by what the agent knows.
    ///
    /// # Errors
    /// [`AgentError::NoSnapshot`]; the action must not go on then.
    pub fn ask(&self, mut action: Action, cwd: Option<String>) -> Result<Asked, AgentError> {
        action.online = self.is_online();
        let now = self.now();
        let core = self.core();
        let enforced = core.enforced.as_ref().ok_or(AgentError::NoSnapshot)?;
        let digest = DigestInput::of(core.identity.tenant, core.identity.endpoint, &action, cwd.as_deref())
            .digest()
            .map_err(|e| AgentError::Protocol(e.to_string()))?;
        let decision = enforced.body.index.decide(&action);
        let attempt = Attempt {
            action: &action,
            digest,
            decision: &decision,
            justification: None,
            only_grant: None,
            now,
        };
        let missing = cover(&core, &attempt).missing;
        let snapshot = enforced.cited();
        let id = self.0.ambient.id();
        Ok(Asked {
            id,
            asked_at: now,
            digest,
            decision,
            snapshot,
            missing,
            cwd,
            action,
        })
    }

    /// Lets the action go on if everything that the current snapshot demands is satisfied. It is decided anew: a policy
    /// that denies by now denies, and a step that became necessary is asked. A grant is used up by one only if an
    /// approval was needed.
    ///
    /// # Errors
    /// [`AgentError::NoSnapshot`], [`AgentError::Justification`], [`AgentError::Disk`]; the action must not go on then.
    pub fn run(&self, asked: &Asked, justification: Option<&str>) -> Result<Ran, AgentError> {
        self.run_in(asked, justification, None)
    }

    /// As [`Agent::run`], with the grant of this request and no other.
    ///
    /// # Errors
    /// As [`Agent::run`].
    pub fn run_with_grant(
        &self,
        asked: &Asked,
        request: RequestId,
        justification: Option<&str>,
    ) -> Result<Ran, AgentError> {
        self.run_in(asked, justification, Some(request))
    }

    fn run_in(
        &self,
        asked: &Asked,
        justification: Option<&str>,
        only_grant: Option<RequestId>,
    ) -> Result<Ran, AgentError> {
        let now = self.now();
        let mut action = asked.action.clone();
        action.online = self.is_online();
        action.at = later(&action.at, now.since(asked.asked_at));
        let mut core = self.core();
        let enforced = core.enforced.as_ref().ok_or(AgentError::NoSnapshot)?;
        let justification = justification
            .map(|text| check(text, enforced.body.justification_min))
            .transpose()?;
        let decision = enforced.body.index.decide(&action);
        let digest = asked.digest;
        let attempt = Attempt {
            action: &action,
            digest,
            decision: &decision,
            justification,
            only_grant,
            now,
        };
        let coverage = cover(&core, &attempt);
        let needs_server = coverage.missing.iter().any(|step| *step != Step::Justification);
        let result = match decision.outcome {
            Outcome::Allowed | Outcome::PassThrough => RecordResult::Permitted,
            Outcome::Denied => RecordResult::Refused,
            Outcome::Required | Outcome::BlockedOffline if coverage.missing.is_empty() => RecordResult::Permitted,
            Outcome::BlockedOffline if needs_server => RecordResult::Refused,
            Outcome::Required | Outcome::BlockedOffline => {
                return Ok(Ran::Missing {
                    decision: Box::new(decision),
                    missing: coverage.missing,
                });
            }
        };
        let snapshot = enforced.cited();
        let is_permitted = result == RecordResult::Permitted;
        let grant_use = match coverage.grant.filter(|_| is_permitted) {
            // Counted before the action is recorded: a crash between the two costs a use and never gives one.
            Some(request) => Some(self.count_use(&mut core, request)?),
            None => None,
        };
        let record = ActivityRecord {
            id: self.0.ambient.id(),
            seq: 0,
            occurred_at: now,
            cwd: asked.cwd.clone(),
            decision: report(&decision),
            snapshot,
            result: Some(result),
            justification: justification.map(str::to_owned),
            grant_use,
            mfa_proof: coverage.proof.filter(|_| is_permitted),
            action,
        };
        core.queue.push(&self.0.disk, record)?;
        drop(core);
        self.0.recorded.notify_one();
        let decision = Box::new(decision);
        Ok(if is_permitted {
            Ran::Permitted { decision, grant_use }
        } else {
            Ran::Refused {
                decision,
                missing: coverage.missing,
            }
        })
    }

    fn count_use(&self, core: &mut Core, request: RequestId) -> Result<GrantUseReport, AgentError> {
        let number = match core.grants.get_mut(&request) {
            Some(grant) => {
                grant.used += 1;
                grant.used
            }
            None => return Err(AgentError::NotNow("the grant is gone")),
        };
        core.keep_grants(&self.0.disk)?;
        Ok(GrantUseReport {
            request_id: request,
            number,
        })
    }

    /// Records how an action ended that never went on: given up, or denied by an approver.
    ///
    /// # Errors
    /// [`AgentError::Disk`]
    pub fn record_end(
        &self,
        asked: &Asked,
        justification: Option<&str>,
        result: RecordResult,
    ) -> Result<(), AgentError> {
        let record = ActivityRecord {
            id: asked.id,
            seq: 0,
            occurred_at: self.now(),
            action: asked.action.clone(),
            cwd: asked.cwd.clone(),
            decision: report(&asked.decision),
            snapshot: asked.snapshot.clone(),
            result: Some(result),
            justification: justification.map(str::to_owned),
            grant_use: None,
            mfa_proof: None,
        };
        self.core().queue.push(&self.0.disk, record)?;
        self.0.recorded.notify_one();
        Ok(())
    }

    /// A justification after trimming, if it has the length that the tenant wants.
    pub(crate) fn check_justification<'a>(&self, text: &'a str) -> Result<&'a str, AgentError> {
        let least = self
            .core()
            .enforced
            .as_ref()
            .map_or(1, |enforced| enforced.body.justification_min);
        check(text, least)
    }
}

/// A justification after trimming, if it is neither too short nor too long.
fn check(text: &str, least: usize) -> Result<&str, AgentError> {
    let text = text.trim();
    if (least.max(1)..=4096).contains(&text.chars().count()) {
        Ok(text)
    } else {
        Err(AgentError::Justification { least })
    }
}

/// What of the decision's steps is satisfied. Offline, proofs of a one-time code don't count, and neither do grants that
/// still want one.
fn cover(core: &Core, attempt: &Attempt<'_>) -> Coverage {
    let online = attempt.action.online;
    let mut missing = attempt.decision.steps.to_vec();
    let grant = if missing.contains(&Step::Approval) {
        find_grant(core, attempt)
    } else {
        None
    };
    if let Some(claims) = grant {
        missing.retain(|step| !claims.satisfies.contains(step));
        if claims.mfa_pending && !missing.contains(&Step::Mfa) {
            missing.push(Step::Mfa);
        }
    }
    let mut proof = None;
    if online && missing.contains(&Step::Mfa) {
        proof = find_proof(core, attempt);
        if proof.is_some() {
            missing.retain(|step| *step != Step::Mfa);
        }
    }
    if attempt.justification.is_some() {
        missing.retain(|step| *step != Step::Justification);
    }
    Coverage {
        missing,
        grant: grant.map(|claims| claims.request),
        proof,
    }
}

/// The grant that permits this action and ends first, of those whose signatures hold under the current key set.
fn find_grant<'a>(core: &'a Core, attempt: &Attempt<'_>) -> Option<&'a GrantClaims> {
    let now = core.by_server(attempt.now);
    let usable = core.grants.values().filter(|grant| {
        let attempted = GrantUse {
            endpoint: core.identity.endpoint,
            user: &attempt.action.user.name,
            digest: attempt.digest,
            used: grant.used,
            now,
        };
        !grant.ended
            && attempt.only_grant.is_none_or(|only| only == grant.claims.request)
            && (attempt.action.online || !grant.claims.mfa_pending)
            && grant.claims.satisfies.contains(&Step::Approval)
            && grant.claims.permits(&attempted).is_ok()
            && GrantClaims::verify(&grant.token, &core.keys, now).is_ok_and(|claims| claims == grant.claims)
    });
    usable.map(|grant| &grant.claims).min_by_key(|claims| claims.not_after)
}

fn find_proof(core: &Core, attempt: &Attempt<'_>) -> Option<Uuid> {
    let now = core.by_server(attempt.now);
    let attempted = MfaUse {
        endpoint: core.identity.endpoint,
        endpoint_user: &attempt.action.user.name,
        action_type: attempt.action.action_type,
        digest: attempt.digest,
        always: attempt.decision.mfa_always,
        now,
    };
    let covers = |(token, proof): &&(String, MfaProof)| {
        proof.covers(&attempted).is_ok() && MfaProof::verify(token, &core.keys, now).is_ok()
    };
    core.proofs.iter().find(covers).map(|(_, proof)| proof.id)
}

/// The policies of a decision, as they are cited.
pub(crate) fn cite(decision: &Decision) -> Vec<PolicyRevision> {
    decision
        .matched
        .iter()
        .map(|p| PolicyRevision {
            id: p.id.clone(),
            revision: p.revision,
        })
        .collect()
}

fn report(decision: &Decision) -> ReportedDecision {
    ReportedDecision {
        outcome: decision.outcome,
        steps: decision.steps.to_vec(),
        matched: cite(decision),
        engine: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// The same local clock, so much later.
fn later(at: &LocalTime, by: std::time::Duration) -> LocalTime {
    let moved = OffsetDateTime::parse(at.as_str(), &Rfc3339)
        .ok()
        .and_then(|t| (t + by).format(&Rfc3339).ok());
    moved.and_then(|text| text.parse().ok()).unwrap_or_else(|| at.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actions_local_time_moves_with_the_clock() {
        let at: LocalTime = "2026-03-02T23:59:30+01:00".parse().unwrap();
        assert_eq!(
            later(&at, std::time::Duration::from_secs(45)).as_str(),
            "2026-03-03T00:00:15+01:00"
        );
    }

    #[test]
    fn a_justification_is_counted_after_trimming() {
        assert_eq!(check("  payroll ", 7).unwrap(), "payroll");
        assert!(matches!(
            check("  payrol ", 7),
            Err(AgentError::Justification { least: 7 })
        ));
        assert!(check(" \n\t", 0).is_err());
        assert!(check(&"x".repeat(4097), 1).is_err());
        assert!(check(&"é".repeat(4096), 1).is_ok());
    }
}
