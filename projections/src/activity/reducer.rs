//! How recorded actions come in, and what is left of them when a person is erased.

use std::collections::{BTreeMap, BTreeSet};

use eventstore::TenantTx;
use formats::{ActivityId, EndpointId, PersonId, RequestId, Timestamp};
use model::{
    activity::{ActionRecorded, ActionResult, ActivityEvent},
    catalogue::AnyEvent,
    person::PersonEvent,
};

use crate::{
    Build, Delta, Envelope, FlushError, FoldError,
    columns::{
        column, documents, documents_or_null, moment, moment_or_null, number, small, tenant, uuids, without_nul,
    },
    projection::BoxFuture,
};

#[derive(Debug, Default)]
pub(super) struct ActivityDelta {
    records: Vec<Record>,
    endpoints: BTreeMap<EndpointId, Counted>,
    erased: BTreeSet<PersonId>,
}

#[derive(Debug)]
struct Record {
    position: u64,
    event: ActionRecorded,
}

/// What a batch adds to the numbers of an endpoint.
#[derive(Debug, Default)]
struct Counted {
    highest: u64,
    stored: u64,
    reused: u64,
    reused_at: Option<Timestamp>,
}

impl Delta for ActivityDelta {
    fn fold(&mut self, event: &Envelope) -> Result<(), FoldError> {
        match &event.event {
            AnyEvent::Activity(ActivityEvent::ActionRecorded(e)) => {
                let counted = self.endpoints.entry(e.endpoint).or_default();
                counted.highest = counted.highest.max(e.seq);
                if e.reuses.is_none() {
                    counted.stored += 1;
                }
                self.records.push(Record {
                    position: event.position,
                    event: e.clone(),
                });
            }
            AnyEvent::Activity(ActivityEvent::NumbersReused(e)) => {
                let counted = self.endpoints.entry(e.endpoint).or_default();
                counted.reused += u64::from(e.records);
                counted.reused_at = Some(event.recorded_at);
            }
            AnyEvent::Person(PersonEvent::PersonErased(e)) => {
                self.erased.insert(e.person);
            }
            AnyEvent::Person(
                PersonEvent::EndpointAccountSeen(_)
                | PersonEvent::EndpointAccountLinked(_)
                | PersonEvent::EndpointAccountUnlinked(_),
            )
            | AnyEvent::Tenant(_)
            | AnyEvent::User(_)
            | AnyEvent::Roles(_)
            | AnyEvent::Team(_)
            | AnyEvent::Platform(_)
            | AnyEvent::Scim(_)
            | AnyEvent::ServiceAccount(_)
            | AnyEvent::IdentityProvider(_)
            | AnyEvent::DeploymentGroup(_)
            | AnyEvent::Endpoint(_)
            | AnyEvent::Collection(_)
            | AnyEvent::Policy(_)
            | AnyEvent::ApprovalRules(_)
            | AnyEvent::Request(_) => {}
        }
        Ok(())
    }

    fn flush<'a>(self: Box<Self>, tx: &'a mut TenantTx, build: Build) -> BoxFuture<'a, Result<(), FlushError>> {
        Box::pin(async move {
            insert(tx, build.number, &self.records).await?;
            count(tx, build.number, &self.endpoints).await?;
            erase(tx, build.number, &self.erased).await
        })
    }
}

async fn insert(tx: &mut TenantTx, build: i32, records: &[Record]) -> Result<(), FlushError> {
    if records.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into activity (tenant_id, build, endpoint_id, seq, position, activity_id, person_id, at, corrected_at,
           input, outcome, decision, snapshot_epoch, snapshot_version, snapshot_sha256, grant_request_id, result,
           mfa_proof, reuses)
         select $1, $2, r.endpoint_id, r.seq, r.position, r.activity_id, r.person_id, r.at, r.corrected_at,
           r.input::json, r.outcome, r.decision::json, r.snapshot_epoch, r.snapshot_version, r.snapshot_sha256,
           r.grant_request_id, r.result, r.mfa_proof, r.reuses
         from unnest($3::uuid[], $4::bigint[], $5::bigint[], $6::uuid[], $7::uuid[], $8::timestamptz[],
             $9::timestamptz[], $10::text[], $11::text[], $12::text[], $13::int[], $14::bigint[], $15::text[],
             $16::uuid[], $17::text[], $18::uuid[], $19::uuid[])
           as r (endpoint_id, seq, position, activity_id, person_id, at, corrected_at, input, outcome, decision,
             snapshot_epoch, snapshot_version, snapshot_sha256, grant_request_id, result, mfa_proof, reuses)",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(column(records, |r| r.event.endpoint.uuid()))
    .bind(column(records, |r| number(r.event.seq)))
    .bind(column(records, |r| number(r.position)))
    .bind(column(records, |r| r.event.activity.uuid()))
    .bind(column(records, |r| r.event.person.uuid()))
    .bind(column(records, |r| moment(r.event.at)))
    .bind(column(records, |r| moment(r.event.by_server())))
    .bind(documents_or_null(records, |r| r.event.input.get())?)
    .bind(column(records, |r| r.event.decision.outcome.as_str()))
    .bind(documents(records, |r| &r.event.decision)?)
    .bind(column(records, |r| small(r.event.snapshot.epoch)))
    .bind(column(records, |r| number(r.event.snapshot.version)))
    .bind(column(records, |r| without_nul(&r.event.snapshot.sha256)))
    .bind(column(records, |r| r.event.grant.map(RequestId::uuid)))
    .bind(column(records, |r| r.event.result.map(ActionResult::as_str)))
    .bind(column(records, |r| r.event.mfa_proof))
    .bind(column(records, |r| r.event.reuses.map(ActivityId::uuid)))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn count(tx: &mut TenantTx, build: i32, endpoints: &BTreeMap<EndpointId, Counted>) -> Result<(), FlushError> {
    if endpoints.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into activity_endpoint as a (tenant_id, build, endpoint_id, highest, stored, reused, reused_at)
         select $1, $2, r.* from unnest($3::uuid[], $4::bigint[], $5::bigint[], $6::bigint[], $7::timestamptz[]) as r
         on conflict (tenant_id, build, endpoint_id) do update set
           highest = greatest(a.highest, excluded.highest), stored = a.stored + excluded.stored,
           reused = a.reused + excluded.reused, reused_at = coalesce(excluded.reused_at, a.reused_at)",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(uuids(endpoints.keys()))
    .bind(
        endpoints
            .values()
            .map(|counted| number(counted.highest))
            .collect::<Vec<_>>(),
    )
    .bind(
        endpoints
            .values()
            .map(|counted| number(counted.stored))
            .collect::<Vec<_>>(),
    )
    .bind(
        endpoints
            .values()
            .map(|counted| number(counted.reused))
            .collect::<Vec<_>>(),
    )
    .bind(
        endpoints
            .values()
            .map(|counted| moment_or_null(counted.reused_at))
            .collect::<Vec<_>>(),
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn erase(tx: &mut TenantTx, build: i32, erased: &BTreeSet<PersonId>) -> Result<(), FlushError> {
    if erased.is_empty() {
        return Ok(());
    }
    sqlx::query("update activity set input = null where tenant_id = $1 and build = $2 and person_id = any($3)")
        .bind(tenant(tx))
        .bind(build)
        .bind(uuids(erased))
        .execute(&mut **tx)
        .await?;
    Ok(())
}
