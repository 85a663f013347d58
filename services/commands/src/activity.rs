//! What agents report: records of actions, which snapshot they enforce, and that they are alive.

use eventstore::ExecuteError;
use formats::{
    ActivityId, EndpointId, PersonId, Timestamp,
    agent_wire::{ActivityBatch, ActivityRecord, MAX_BATCH, PolicyRevision, RecordResult, SnapshotAck},
};
use model::{
    activity::{
        ActionRecorded, ActionResult, Activity, ActivityCommand, ActivityError, CitedSnapshot, RecordedDecision,
        RecordedInput,
    },
    endpoint::{Endpoint, EndpointCommand},
    request::PolicyRef,
};
use serde_json::json;

use crate::{App, Caller, Outcome, Principal, Refusal, Written};

/// How often a batch is looked at again that another of its endpoint overtook.
const ATTEMPTS: u32 = 5;

impl App {
    /// Stores a batch of records; what is there already is passed over. Gives the highest number below which nothing is
    /// missing or known to be missing.
    ///
    /// # Errors
    /// `CONFLICT` where other batches of this endpoint are faster each time; `BAD_INPUT` for more than 500 records or numbers out of range; `FORBIDDEN` for anyone but agents.
    pub async fn record_activity(&self, caller: &Caller, batch: ActivityBatch) -> Outcome<u64> {
        let Principal::Endpoint { endpoint, .. } = caller.principal else {
            return Err(Refusal::forbidden("this is for agents"));
        };
        if batch.records.len() > MAX_BATCH {
            return Err(Refusal::bad_input(
                "records",
                format!("records has to hold at most {MAX_BATCH}"),
            ));
        }
        for _ in 0..ATTEMPTS {
            let known: Activity = self.state(caller.tenant, endpoint.uuid()).await?;
            let records = self.unknown(caller, endpoint, &known, &batch).await?;
            if records.is_empty() {
                return Ok(known.highest());
            }
            let ids: Vec<_> = records.iter().map(|record| (record.seq, record.activity)).collect();
            let known = Box::new(known);
            let command = ActivityCommand::RecordActions { known, records };
            let content = json!({ "records": ids });
            let envelope = self.envelope(caller, "recordActions", &content)?;
            let done = self
                .run_in::<Activity>(caller.tenant, endpoint.uuid(), &envelope, command)
                .await;
            match done {
                Ok(_) => {
                    let state: Activity = self.state(caller.tenant, endpoint.uuid()).await?;
                    return Ok(state.highest());
                }
                // Another batch was faster: what is known is looked up once more.
                Err(ExecuteError::Refused(ActivityError::Moved)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Refusal::of(&ActivityError::Moved))
    }

    /// The records of a batch that are not stored. One whose number another record has says so: agents number without
    /// a gap and forget nothing that was not confirmed, so that this one, or its disk, is a copy.
    async fn unknown(
        &self,
        caller: &Caller,
        endpoint: EndpointId,
        known: &Activity,
        batch: &ActivityBatch,
    ) -> Outcome<Vec<ActionRecorded>> {
        let taken: Vec<u64> = batch
            .records
            .iter()
            .map(|r| r.seq)
            .filter(|seq| known.has(*seq))
            .collect();
        let mut stored = Vec::new();
        if !taken.is_empty() {
            let head = self.store.head(caller.tenant).await?;
            if !self.shows(&[projections::activity::NAME], caller.tenant, head).await {
                return Err(Refusal::unavailable("the recorded actions are behind the log"));
            }
            let mut tx = self.reading(caller.tenant).await?;
            stored = projections::activity::under_numbers(&mut tx, endpoint, &taken).await?;
        }
        let mut records = Vec::new();
        for record in &batch.records {
            let under = || stored.iter().filter(|(seq, _)| *seq == record.seq);
            if under().any(|(_, id)| *id == record.id) {
                continue;
            }
            let reuses = under().next().map(|(_, id)| *id);
            stored.push((record.seq, record.id));
            let person = self.person_of(caller, &record.action.user.name, endpoint).await?;
            records.push(recorded(endpoint, person, batch.skew_ms, record.clone(), reuses));
        }
        Ok(records)
    }

    /// Notes which snapshot an agent enforces.
    ///
    /// # Errors
    /// `NEVER_OFFERED` for a version above what its group was offered; `FORBIDDEN` for anyone but agents.
    pub async fn ack_snapshot(&self, caller: &Caller, ack: SnapshotAck) -> Outcome<Written> {
        let Principal::Endpoint { endpoint, group } = caller.principal else {
            return Err(Refusal::forbidden("this is for agents"));
        };
        let mut tx = self.reading(caller.tenant).await?;
        let current = projections::policy_snapshot::offered_to(&mut tx, group).await?;
        drop(tx);
        let offered = current.map_or(0, |current| current.version);
        let epoch = u32::try_from(ack.epoch).map_err(|_| Refusal::bad_input("epoch", "epoch is out of range"))?;
        let content = json!({ "epoch": epoch, "version": ack.version });
        let command = EndpointCommand::ApplySnapshot {
            epoch,
            version: ack.version,
            applied_at: ack.applied_at,
            offered,
        };
        self.run::<Endpoint>(caller, "applySnapshot", endpoint.uuid(), &content, command)
            .await
    }

    /// The version that the endpoint's group is offered now; 0 before the first.
    ///
    /// # Errors
    /// `FORBIDDEN` for anyone but agents.
    pub async fn offered_version(&self, caller: &Caller) -> Outcome<u64> {
        let Principal::Endpoint { group, .. } = caller.principal else {
            return Err(Refusal::forbidden("this is for agents"));
        };
        let mut tx = self.reading(caller.tenant).await?;
        let offered = projections::policy_snapshot::offered_to(&mut tx, group).await?;
        Ok(offered.map_or(0, |offered| offered.version))
    }

    /// The server's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.ambient().now()
    }
}

/// A record as the log has it.
fn recorded(
    endpoint: EndpointId,
    person: PersonId,
    skew_ms: i64,
    record: ActivityRecord,
    reuses: Option<ActivityId>,
) -> ActionRecorded {
    let cited = |policy: PolicyRevision| {
        Some(PolicyRef {
            id: policy.id.parse().ok()?,
            revision: u32::try_from(policy.revision).ok()?,
        })
    };
    ActionRecorded {
        endpoint,
        person,
        activity: record.id,
        seq: record.seq,
        at: record.occurred_at,
        skew_ms,
        decision: RecordedDecision {
            outcome: record.decision.outcome,
            steps: record.decision.steps,
            matched: record.decision.matched.into_iter().filter_map(cited).collect(),
            engine: record.decision.engine,
        },
        input: RecordedInput {
            action: record.action,
            cwd: record.cwd,
            justification: record.justification,
        }
        .into(),
        snapshot: CitedSnapshot {
            epoch: u32::try_from(record.snapshot.epoch).unwrap_or(u32::MAX),
            version: record.snapshot.version,
            sha256: record.snapshot.sha256.to_string(),
        },
        grant: record.grant_use.map(|used| used.request_id),
        result: record.result.map(|result| match result {
            RecordResult::Permitted => ActionResult::Permitted,
            RecordResult::Refused => ActionResult::Refused,
            RecordResult::Cancelled => ActionResult::Cancelled,
        }),
        mfa_proof: record.mfa_proof,
        reuses,
    }
}
