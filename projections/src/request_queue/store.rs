//! The rows of a batch, one statement a table.

use eventstore::TenantTx;
use formats::{PersonId, TypedId};
use model::request::{Approver, RequestDetails};
use uuid::Uuid;

use super::reducer::{Change, NewDecision, RequestDelta, Submitted, searched};
use crate::{
    Build, FlushError,
    columns::{column, documents, moment, moment_or_null, number, small, text_list, uuid_list, uuids},
};

pub(super) async fn flush(delta: RequestDelta, tx: &mut TenantTx, build: Build) -> Result<(), FlushError> {
    insert(&delta.submitted, tx, build.number).await?;
    insert_terms(&delta.submitted, tx, build.number).await?;
    let changes: Vec<_> = delta.changes.into_iter().collect();
    update(&changes, tx, build.number).await?;
    decide(&delta.decisions, tx, build.number).await?;
    if !delta.erased.is_empty() {
        erase(&delta.erased.into_iter().collect::<Vec<_>>(), tx, build.number).await?;
    }
    Ok(())
}

fn approvers(list: &[Approver]) -> String {
    let ids: Vec<Uuid> = list
        .iter()
        .map(|approver| match approver {
            Approver::User(id) => id.uuid(),
            Approver::Team(id) => id.uuid(),
        })
        .collect();
    let ids: Vec<String> = ids.iter().map(Uuid::to_string).collect();
    format!("{{{}}}", ids.join(","))
}

/// The word of an enum in JSON.
fn word<T: serde::Serialize>(value: &T) -> Result<String, FlushError> {
    match serde_json::to_value(value)? {
        serde_json::Value::String(word) => Ok(word),
        other => Err(FlushError::Value(format!("{other} is no word"))),
    }
}

async fn insert(rows: &[Submitted], tx: &mut TenantTx, build: i32) -> Result<(), FlushError> {
    if rows.is_empty() {
        return Ok(());
    }
    let details: Vec<Option<String>> = rows
        .iter()
        .map(|r| r.event.details.get().map(serde_json::to_string).transpose())
        .collect::<Result<_, _>>()?;
    let policy_ids = column(rows, |r| {
        let ids: Vec<_> = r.event.policies.iter().map(|policy| policy.id).collect();
        uuid_list(&ids)
    });
    let flags: Vec<String> = rows
        .iter()
        .map(|r| {
            Ok(text_list(
                r.event.flags.iter().map(word).collect::<Result<Vec<_>, FlushError>>()?,
            ))
        })
        .collect::<Result<_, FlushError>>()?;
    sqlx::query(
        "insert into request_queue (tenant_id, build, request_id, status, action_type, endpoint_id, person_id, user_id,
           digest_mac, details, policies, policy_ids, risk, mfa, access_minutes, snapshot_epoch, snapshot_version, snapshot_sha256, route,
           primary_ids, secondary_ids, windows, flags, previous_id, submitted_at, submitted_position, pending_until,
           deadline, position, changed_at)
         select $1, $2, request_id, 'pending', action_type, endpoint_id, person_id, user_id, digest_mac, details::json,
           policies::json, policy_ids::uuid[], risk, mfa, access_minutes, snapshot_epoch, snapshot_version, snapshot_sha256, route::json,
           primary_ids::uuid[], secondary_ids::uuid[], windows::json, flags::text[], previous_id, at, position,
           pending_until, pending_until, position, at
         from unnest($3::uuid[], $4::text[], $5::uuid[], $6::uuid[], $7::uuid[], $8::text[], $9::text[], $10::text[],
           $11::text[], $12::integer[], $13::boolean[], $14::integer[], $15::integer[], $16::bigint[], $17::text[],
           $18::text[], $19::text[], $20::text[], $21::text[], $22::uuid[], $23::timestamptz[], $24::bigint[],
           $25::timestamptz[], $26::text[])
           as r (request_id, action_type, endpoint_id, person_id, user_id, digest_mac, details, policies, policy_ids, risk,
             mfa, access_minutes, snapshot_epoch, snapshot_version, route, primary_ids, secondary_ids, windows, flags,
             previous_id, at, position, pending_until, snapshot_sha256)",
    )
    .bind(tx.tenant().uuid())
    .bind(build)
    .bind(column(rows, |r| r.event.request.uuid()))
    .bind(column(rows, |r| r.event.action_type.as_str()))
    .bind(column(rows, |r| r.event.endpoint.uuid()))
    .bind(column(rows, |r| r.event.person.uuid()))
    .bind(column(rows, |r| r.event.user.map(TypedId::uuid)))
    .bind(column(rows, |r| r.event.digest_mac.as_str()))
    .bind(details)
    .bind(documents(rows, |r| &r.event.policies)?)
    .bind(policy_ids)
    .bind(column(rows, |r| small(r.event.risk)))
    .bind(column(rows, |r| r.event.mfa))
    .bind(column(rows, |r| r.event.access_minutes.map(small)))
    .bind(column(rows, |r| small(r.event.snapshot.epoch)))
    .bind(column(rows, |r| number(r.event.snapshot.version)))
    .bind(documents(rows, |r| &r.event.route)?)
    .bind(column(rows, |r| approvers(&r.event.route.primary)))
    .bind(column(rows, |r| approvers(&r.event.route.secondary)))
    .bind(documents(rows, |r| r.event.windows)?)
    .bind(flags)
    .bind(column(rows, |r| r.event.previous.map(TypedId::uuid)))
    .bind(column(rows, |r| moment(r.at)))
    .bind(column(rows, |r| number(r.position)))
    .bind(column(rows, |r| moment(r.event.pending_until)))
    .bind(column(rows, |r| r.event.snapshot.sha256.map(|hash| hash.to_string())))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn insert_terms(rows: &[Submitted], tx: &mut TenantTx, build: i32) -> Result<(), FlushError> {
    let mut pairs: Vec<(String, Uuid)> = Vec::new();
    for row in rows {
        if let Some(details) = row.event.details.get() {
            pairs.extend(
                searched(details)?
                    .into_iter()
                    .map(|term| (term, row.event.request.uuid())),
            );
        }
    }
    if pairs.is_empty() {
        return Ok(());
    }
    pairs.sort_unstable();
    sqlx::query(
        "insert into request_term (tenant_id, build, term, request_id)
         select $1, $2, term, request_id from unnest($3::text[], $4::uuid[]) as r (term, request_id)",
    )
    .bind(tx.tenant().uuid())
    .bind(build)
    .bind(column(&pairs, |(term, _)| term.as_str()))
    .bind(column(&pairs, |(_, request)| *request))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn update(rows: &[(formats::RequestId, Change)], tx: &mut TenantTx, build: i32) -> Result<(), FlushError> {
    if rows.is_empty() {
        return Ok(());
    }
    let causes = |cause: fn(&Change) -> Option<model::request::CancelCause>| {
        rows.iter()
            .map(|(_, c)| cause(c).as_ref().map(word).transpose())
            .collect::<Result<Vec<Option<String>>, FlushError>>()
    };
    sqlx::query(
        "update request_queue q set
           status = coalesce(r.status, q.status),
           times = coalesce(r.times, q.times),
           deadline = coalesce(r.deadline, q.deadline),
           escalated_at = coalesce(r.escalated_at, q.escalated_at),
           escalated_until = coalesce(r.escalated_until, q.escalated_until),
           escalated_by = coalesce(r.escalated_by, q.escalated_by),
           escalation_reason = coalesce(r.escalation_reason, q.escalation_reason),
           settled_at = coalesce(r.settled_at, q.settled_at),
           settled_by = coalesce(r.settled_by, q.settled_by),
           cancel_cause = coalesce(r.cancel_cause, q.cancel_cause),
           cancel_reason = coalesce(r.cancel_reason, q.cancel_reason),
           grant_not_after = coalesce(r.grant_not_after, q.grant_not_after),
           grant_uses = coalesce(r.grant_uses, q.grant_uses),
           grant_mfa_pending = coalesce(r.grant_mfa_pending, q.grant_mfa_pending),
           grant_status = coalesce(r.grant_status, q.grant_status),
           grant_used = coalesce(r.grant_used, q.grant_used),
           grant_last_used_at = coalesce(r.grant_last_used_at, q.grant_last_used_at),
           grant_overused = q.grant_overused + r.grant_overused,
           grant_ended_at = coalesce(r.grant_ended_at, q.grant_ended_at),
           grant_ended_by = coalesce(r.grant_ended_by, q.grant_ended_by),
           grant_cause = coalesce(r.grant_cause, q.grant_cause),
           grant_reason = coalesce(r.grant_reason, q.grant_reason),
           flags = case when r.mfa_other_user and not 'mfa_other_user' = any(q.flags)
             then q.flags || 'mfa_other_user'::text else q.flags end,
           position = r.position,
           changed_at = r.changed_at
         from unnest($3::uuid[], $4::text[], $5::integer[], $6::timestamptz[], $7::timestamptz[], $8::timestamptz[],
           $9::uuid[], $10::text[], $11::timestamptz[], $12::uuid[], $13::text[], $14::text[], $15::timestamptz[],
           $16::integer[], $17::boolean[], $18::text[], $19::integer[], $20::timestamptz[], $21::integer[],
           $22::timestamptz[], $23::uuid[], $24::text[], $25::text[], $26::bigint[], $27::timestamptz[],
           $28::boolean[])
           as r (request_id, status, times, deadline, escalated_at, escalated_until, escalated_by, escalation_reason,
             settled_at, settled_by, cancel_cause, cancel_reason, grant_not_after, grant_uses, grant_mfa_pending,
             grant_status, grant_used, grant_last_used_at, grant_overused, grant_ended_at, grant_ended_by, grant_cause,
             grant_reason, position, changed_at, mfa_other_user)
         where q.tenant_id = $1 and q.build = $2 and q.request_id = r.request_id",
    )
    .bind(tx.tenant().uuid())
    .bind(build)
    .bind(column(rows, |(id, _)| id.uuid()))
    .bind(column(rows, |(_, c)| c.status.map(model::request::Status::as_str)))
    .bind(column(rows, |(_, c)| c.times.map(small)))
    .bind(column(rows, |(_, c)| moment_or_null(c.deadline)))
    .bind(column(rows, |(_, c)| moment_or_null(c.escalated_at)))
    .bind(column(rows, |(_, c)| moment_or_null(c.escalated_until)))
    .bind(column(rows, |(_, c)| c.escalated_by.map(TypedId::uuid)))
    .bind(column(rows, |(_, c)| c.escalation_reason.as_deref()))
    .bind(column(rows, |(_, c)| moment_or_null(c.settled_at)))
    .bind(column(rows, |(_, c)| c.settled_by.map(TypedId::uuid)))
    .bind(causes(|c| c.cancel_cause)?)
    .bind(column(rows, |(_, c)| c.cancel_reason.as_deref()))
    .bind(column(rows, |(_, c)| {
        moment_or_null(c.grant.map(|grant| grant.not_after))
    }))
    .bind(column(rows, |(_, c)| c.grant.and_then(|grant| grant.uses).map(small)))
    .bind(column(rows, |(_, c)| c.grant.map(|grant| grant.mfa_pending)))
    .bind(column(rows, |(_, c)| {
        c.grant_status.map(model::request::GrantStatus::as_str)
    }))
    .bind(column(rows, |(_, c)| c.grant_used.map(small)))
    .bind(column(rows, |(_, c)| moment_or_null(c.grant_last_used_at)))
    .bind(column(rows, |(_, c)| small(c.grant_overused)))
    .bind(column(rows, |(_, c)| moment_or_null(c.grant_ended_at)))
    .bind(column(rows, |(_, c)| c.grant_ended_by.map(TypedId::uuid)))
    .bind(causes(|c| c.grant_cause)?)
    .bind(column(rows, |(_, c)| c.grant_reason.as_deref()))
    .bind(column(rows, |(_, c)| number(c.position)))
    .bind(column(rows, |(_, c)| moment(c.changed_at)))
    .bind(column(rows, |(_, c)| c.mfa_other_user))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn decide(rows: &[NewDecision], tx: &mut TenantTx, build: i32) -> Result<(), FlushError> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into request_decision (tenant_id, build, request_id, position, approver_id, approved, comment, uses,
           grant_minutes, self_approval, method, decided_at)
         select $1, $2, * from unnest($3::uuid[], $4::bigint[], $5::uuid[], $6::boolean[], $7::text[], $8::integer[],
           $9::integer[], $10::boolean[], $11::text[], $12::timestamptz[])",
    )
    .bind(tx.tenant().uuid())
    .bind(build)
    .bind(column(rows, |r| r.request.uuid()))
    .bind(column(rows, |r| number(r.position)))
    .bind(column(rows, |r| r.approver.uuid()))
    .bind(column(rows, |r| r.approved))
    .bind(column(rows, |r| r.comment.as_deref()))
    .bind(column(rows, |r| r.uses.map(small)))
    .bind(column(rows, |r| r.grant_minutes.map(small)))
    .bind(column(rows, |r| r.self_approval))
    .bind(column(rows, |r| r.method.as_deref()))
    .bind(column(rows, |r| moment(r.at)))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Takes everything personal out of the rows of these people. What comes after an erasure holds nothing personal, so
/// that it doesn't matter where in the batch it was.
async fn erase(people: &[PersonId], tx: &mut TenantTx, build: i32) -> Result<(), FlushError> {
    let tenant = tx.tenant().uuid();
    let people = uuids(people);
    let details: Vec<(Uuid, String)> = sqlx::query_as(
        "select request_id, details::text from request_queue
         where tenant_id = $1 and build = $2 and person_id = any($3) and details is not null",
    )
    .bind(tenant)
    .bind(build)
    .bind(&people)
    .fetch_all(&mut **tx)
    .await?;
    let mut pairs: Vec<(String, Uuid)> = Vec::new();
    for (request, details) in details {
        let details: RequestDetails = serde_json::from_str(&details)?;
        pairs.extend(searched(&details)?.into_iter().map(|term| (term, request)));
    }
    sqlx::query(
        "delete from request_term t using unnest($3::text[], $4::uuid[]) as r (term, request_id)
         where t.tenant_id = $1 and t.build = $2 and t.term = r.term and t.request_id = r.request_id",
    )
    .bind(tenant)
    .bind(build)
    .bind(column(&pairs, |(term, _)| term.as_str()))
    .bind(column(&pairs, |(_, request)| *request))
    .execute(&mut **tx)
    .await?;
    sqlx::query(
        "with erased as (
           update request_queue set details = null, escalation_reason = null, cancel_reason = null, grant_reason = null
           where tenant_id = $1 and build = $2 and person_id = any($3) returning request_id
         )
         update request_decision d set comment = null from erased e
         where d.tenant_id = $1 and d.build = $2 and d.request_id = e.request_id",
    )
    .bind(tenant)
    .bind(build)
    .bind(&people)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
