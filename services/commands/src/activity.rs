//! What agents report: records of actions, which snapshot they enforce, and that they are alive.

use formats::{
    Timestamp,
    agent_wire::{ActivityBatch, MAX_BATCH, SnapshotAck},
};
use model::{
    activity::{ActionRecorded, Activity, ActivityCommand, CitedSnapshot, RecordedDecision, RecordedInput},
    endpoint::{Endpoint, EndpointCommand},
    request::PolicyRef,
};
use serde_json::json;

use crate::{App, Caller, Outcome, Principal, Refusal, Written};

impl App {
    /// Stores a batch of records; what is there already is passed over. Gives the highest number below which nothing is
    /// missing or known to be missing.
    ///
    /// # Errors
    /// `BAD_INPUT` for more than 500 records or numbers out of range; `FORBIDDEN` for anyone but agents.
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
        let known: Activity = self.state(caller.tenant, endpoint.uuid()).await?;
        let mut records = Vec::with_capacity(batch.records.len());
        for record in batch.records {
            if known.has(record.seq) {
                continue;
            }
            let person = self.person_of(caller, &record.action.user.name, endpoint).await?;
            let matched = record
                .decision
                .matched
                .iter()
                .filter_map(|p| {
                    Some(PolicyRef {
                        id: p.id.parse().ok()?,
                        revision: u32::try_from(p.revision).ok()?,
                    })
                })
                .collect();
            records.push(ActionRecorded {
                endpoint,
                person,
                activity: record.id,
                seq: record.seq,
                at: record.occurred_at,
                skew_ms: batch.skew_ms,
                decision: RecordedDecision {
                    outcome: record.decision.outcome,
                    steps: record.decision.steps,
                    matched,
                    engine: record.decision.engine,
                },
                input: RecordedInput {
                    action: record.action,
                    justification: record.justification,
                }
                .into(),
                snapshot: CitedSnapshot {
                    epoch: u32::try_from(record.snapshot.epoch).unwrap_or(u32::MAX),
                    version: record.snapshot.version,
                    sha256: record.snapshot.sha256.to_string(),
                },
                grant: record.grant_use.map(|used| used.request_id),
            });
        }
        if records.is_empty() {
            return Ok(known.highest());
        }
        let content = json!({ "seq": records.iter().map(|r| r.seq).collect::<Vec<_>>() });
        let command = ActivityCommand::RecordActions { records };
        self.run::<Activity>(caller, "recordActions", endpoint.uuid(), &content, command)
            .await?;
        let state: Activity = self.state(caller.tenant, endpoint.uuid()).await?;
        Ok(state.highest())
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
