//! One row an event, as it comes.

use std::collections::BTreeSet;

use eventstore::TenantTx;
use formats::{ActorKind, PersonId, TypedId};
use model::{
    activity::ActivityEvent, catalogue::AnyEvent, endpoint::EndpointEvent, person::PersonEvent,
    platform::PlatformEvent, policy::PolicyEvent, request::RequestEvent, tenant::TenantEvent, user::UserEvent,
};
use serde_json::Value;
use sqlx::Row;

use super::{
    NAME,
    content::{document_terms, part},
};
use crate::{
    Build, Delta, Envelope, FlushError, FoldError, Projection,
    columns::{column, moment, number, uuids, without_nul},
    projection::BoxFuture,
};

/// How many rows of an erased person are rewritten at once.
const ERASED_AT_ONCE: i64 = 1_000;

/// The read model of the audit trail.
#[derive(Debug, Clone, Copy, Default)]
pub struct AuditTrail;

impl Projection for AuditTrail {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["audit_term", "audit_trail"]
    }

    fn start(&self) -> Box<dyn Delta> {
        Box::new(AuditDelta::default())
    }
}

#[derive(Default)]
struct AuditDelta {
    rows: Vec<AuditRow>,
    erased: BTreeSet<PersonId>,
}

struct AuditRow {
    event: Meta,
    data: String,
    personal: Option<String>,
    marked: bool,
    terms: BTreeSet<String>,
}

/// What is kept of the envelope beside the data.
struct Meta {
    position: u64,
    event_type: String,
    stream_type: String,
    stream_id: uuid::Uuid,
    stream_version: u64,
    occurred_at: formats::Timestamp,
    recorded_at: formats::Timestamp,
    actor_kind: ActorKind,
    actor_id: Option<String>,
    method: Option<String>,
    address: Option<String>,
    address_person: Option<PersonId>,
    person: Option<PersonId>,
    correlation: uuid::Uuid,
    causation: Option<u64>,
    leaf: [u8; 32],
}

impl From<&Envelope> for Meta {
    fn from(e: &Envelope) -> Self {
        Self {
            position: e.position,
            event_type: e.event_type.clone(),
            stream_type: e.stream_type.clone(),
            stream_id: e.stream_id,
            stream_version: e.stream_version,
            occurred_at: e.occurred_at,
            recorded_at: e.recorded_at,
            actor_kind: e.actor.kind,
            actor_id: e.actor.id.as_deref().map(without_nul),
            method: e.actor.method.as_deref().map(without_nul),
            address: e.address.as_deref().map(without_nul),
            address_person: e.address_person,
            person: e.person,
            correlation: e.meta.correlation,
            causation: e.meta.causation,
            leaf: e.leaf,
        }
    }
}

const fn actor_word(kind: ActorKind) -> &'static str {
    match kind {
        ActorKind::User => "user",
        ActorKind::ServiceAccount => "service_account",
        ActorKind::ScimToken => "scim_token",
        ActorKind::Endpoint => "endpoint",
        ActorKind::Operator => "operator",
        ActorKind::System => "system",
    }
}

/// Whether an auditor should look at it twice.
fn marked(event: &AnyEvent) -> bool {
    match event {
        AnyEvent::Request(event) => match event {
            RequestEvent::RequestSubmitted(e) => !e.flags.is_empty(),
            RequestEvent::ApprovalGiven(e) => e.self_approval,
            RequestEvent::RequestDenied(e) => e.self_approval,
            RequestEvent::GrantOverused(_) => true,
            RequestEvent::RequestRepeated(_)
            | RequestEvent::RequestApproved(_)
            | RequestEvent::RequestEscalated(_)
            | RequestEvent::RequestExpired(_)
            | RequestEvent::RequestCancelled(_)
            | RequestEvent::GrantUsed(_)
            | RequestEvent::GrantExhausted(_)
            | RequestEvent::GrantExpired(_)
            | RequestEvent::GrantRevoked(_) => false,
        },
        AnyEvent::Policy(event) => match event {
            PolicyEvent::PolicyCreated(e) => e.document.exception,
            PolicyEvent::PolicyRevised(e) => e.document.exception,
            PolicyEvent::PolicyStatusSet(e) => e.document.exception,
            PolicyEvent::PolicyRolledBack(e) => e.document.exception,
            PolicyEvent::PolicyRevisionStaged(e) => e.document.exception,
            PolicyEvent::PolicyRevisionPromoted(e) => e.document.exception,
            PolicyEvent::PolicyRevisionWithdrawn(_) | PolicyEvent::PolicyDeleted(_) => false,
        },
        AnyEvent::Endpoint(event) => match event {
            EndpointEvent::EndpointRegistered(e) => e.replaces.is_some(),
            EndpointEvent::EndpointMoved(_) | EndpointEvent::SnapshotApplied(_) | EndpointEvent::EndpointRemoved(_) => {
                false
            }
        },
        AnyEvent::User(event) => match event {
            UserEvent::ChannelLocked(_) | UserEvent::PasskeyFlagged(_) | UserEvent::IdentityLinked(_) => true,
            UserEvent::CodeVerified(e) => e.other_user,
            UserEvent::UserInvited(_) => false,
            UserEvent::UserCreated(_)
            | UserEvent::UserChanged(_)
            | UserEvent::UserDisabled(_)
            | UserEvent::UserEnabled(_)
            | UserEvent::UserProvisioned(_)
            | UserEvent::UserDeprovisioned(_)
            | UserEvent::PasswordChanged(_)
            | UserEvent::MfaEnrolled(_)
            | UserEvent::PasskeyRegistered(_)
            | UserEvent::PasskeyRemoved(_)
            | UserEvent::MfaRemoved(_)
            | UserEvent::SignedIn(_)
            | UserEvent::IdentitiesUnlinked(_)
            | UserEvent::SignedOut(_) => false,
        },
        AnyEvent::Activity(event) => match event {
            ActivityEvent::NumbersReused(_) => true,
            ActivityEvent::ActionRecorded(_) => false,
        },
        AnyEvent::Tenant(event) => match event {
            TenantEvent::LogRestored(_) => true,
            TenantEvent::TenantCreated(_)
            | TenantEvent::TenantSuspended(_)
            | TenantEvent::TenantResumed(_)
            | TenantEvent::TenantDeletionRequested(_)
            | TenantEvent::TenantDeletionCancelled(_)
            | TenantEvent::SettingsChanged(_)
            | TenantEvent::MailResent(_)
            | TenantEvent::KeySetChanged(_) => false,
        },
        AnyEvent::Platform(event) => matches!(event, PlatformEvent::OperatorActRefused(_)),
        AnyEvent::Person(_)
        | AnyEvent::Roles(_)
        | AnyEvent::Team(_)
        | AnyEvent::Scim(_)
        | AnyEvent::ServiceAccount(_)
        | AnyEvent::IdentityProvider(_)
        | AnyEvent::DeploymentGroup(_)
        | AnyEvent::Collection(_)
        | AnyEvent::ApprovalRules(_) => false,
    }
}

impl Delta for AuditDelta {
    fn fold(&mut self, event: &Envelope) -> Result<(), FoldError> {
        if let AnyEvent::Person(PersonEvent::PersonErased(e)) = &event.event {
            self.erased.insert(e.person);
        }
        let (clear, personal) = part(&event.data);
        let mut terms = document_terms(&clear);
        if let Some(personal) = &personal {
            terms.append(&mut document_terms(personal));
        }
        self.rows.push(AuditRow {
            event: Meta::from(event),
            data: serde_json::to_string(&clear)?,
            personal: personal.as_ref().map(serde_json::to_string).transpose()?,
            marked: marked(&event.event),
            terms,
        });
        Ok(())
    }

    fn flush<'a>(self: Box<Self>, tx: &'a mut TenantTx, build: Build) -> BoxFuture<'a, Result<(), FlushError>> {
        Box::pin(async move {
            insert(&self.rows, tx, build.number).await?;
            insert_terms(&self.rows, tx, build.number).await?;
            if !self.erased.is_empty() {
                erase(&self.erased.into_iter().collect::<Vec<_>>(), tx, build.number).await?;
            }
            Ok(())
        })
    }
}

async fn insert(rows: &[AuditRow], tx: &mut TenantTx, build: i32) -> Result<(), FlushError> {
    sqlx::query(
        "insert into audit_trail (tenant_id, build, position, event_type, stream_type, stream_id, stream_version,
           occurred_at, recorded_at, actor_kind, actor_id, method, address, address_person_id, correlation_id, causation,
           data, personal, person_id, marked, leaf)
         select $1, $2, position, event_type, stream_type, stream_id, stream_version, occurred_at, recorded_at, actor_kind,
           actor_id, method, address, address_person_id, correlation_id, causation, data::json, personal::json, person_id,
           marked, leaf
         from unnest($3::bigint[], $4::text[], $5::text[], $6::uuid[], $7::bigint[], $8::timestamptz[], $9::timestamptz[],
           $10::text[], $11::text[], $12::text[], $13::text[], $14::uuid[], $15::uuid[], $16::bigint[], $17::text[],
           $18::text[], $19::uuid[], $20::boolean[], $21::bytea[])
           as r (position, event_type, stream_type, stream_id, stream_version, occurred_at, recorded_at, actor_kind,
             actor_id, method, address, address_person_id, correlation_id, causation, data, personal, person_id, marked,
             leaf)",
    )
    .bind(tx.tenant().uuid())
    .bind(build)
    .bind(column(rows, |r| number(r.event.position)))
    .bind(column(rows, |r| r.event.event_type.as_str()))
    .bind(column(rows, |r| r.event.stream_type.as_str()))
    .bind(column(rows, |r| r.event.stream_id))
    .bind(column(rows, |r| number(r.event.stream_version)))
    .bind(column(rows, |r| moment(r.event.occurred_at)))
    .bind(column(rows, |r| moment(r.event.recorded_at)))
    .bind(column(rows, |r| actor_word(r.event.actor_kind)))
    .bind(column(rows, |r| r.event.actor_id.as_deref()))
    .bind(column(rows, |r| r.event.method.as_deref()))
    .bind(column(rows, |r| r.event.address.as_deref()))
    .bind(column(rows, |r| r.event.address_person.map(TypedId::uuid)))
    .bind(column(rows, |r| r.event.correlation))
    .bind(column(rows, |r| r.event.causation.map(number)))
    .bind(column(rows, |r| r.data.as_str()))
    .bind(column(rows, |r| r.personal.as_deref()))
    .bind(column(rows, |r| r.event.person.map(TypedId::uuid)))
    .bind(column(rows, |r| r.marked))
    .bind(column(rows, |r| &r.event.leaf[..]))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn insert_terms(rows: &[AuditRow], tx: &mut TenantTx, build: i32) -> Result<(), FlushError> {
    let mut pairs: Vec<(&str, i64)> = rows
        .iter()
        .flat_map(|row| row.terms.iter().map(|term| (term.as_str(), number(row.event.position))))
        .collect();
    // In the index's order: neighbours land on the same page.
    pairs.sort_unstable();
    sqlx::query(
        "insert into audit_term (tenant_id, build, term, position)
         select $1, $2, term, position from unnest($3::text[], $4::bigint[]) as r (term, position)",
    )
    .bind(tx.tenant().uuid())
    .bind(build)
    .bind(column(&pairs, |(term, _)| *term))
    .bind(column(&pairs, |(_, position)| *position))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Takes everything personal of these people out of the rows, and the words by which it was found.
async fn erase(people: &[PersonId], tx: &mut TenantTx, build: i32) -> Result<(), FlushError> {
    let tenant = tx.tenant().uuid();
    let people = uuids(people);
    loop {
        let rows = sqlx::query(
            "select position, data::text as data, personal::text as personal from audit_trail
             where tenant_id = $1 and build = $2 and person_id = any($3) and personal is not null limit $4",
        )
        .bind(tenant)
        .bind(build)
        .bind(&people)
        .bind(ERASED_AT_ONCE)
        .fetch_all(&mut **tx)
        .await?;
        if rows.is_empty() {
            break;
        }
        let mut positions: Vec<i64> = Vec::with_capacity(rows.len());
        let mut pairs: Vec<(String, i64)> = Vec::new();
        for row in &rows {
            let position = row.try_get("position")?;
            let clear: Value = serde_json::from_str(row.try_get("data")?)?;
            let personal: Value = serde_json::from_str(row.try_get("personal")?)?;
            let kept = document_terms(&clear);
            let gone = document_terms(&personal)
                .into_iter()
                .filter(|term| !kept.contains(term));
            pairs.extend(gone.map(|term| (term, position)));
            positions.push(position);
        }
        sqlx::query(
            "delete from audit_term t using unnest($3::text[], $4::bigint[]) as r (term, position)
             where t.tenant_id = $1 and t.build = $2 and t.term = r.term and t.position = r.position",
        )
        .bind(tenant)
        .bind(build)
        .bind(column(&pairs, |(term, _)| term.as_str()))
        .bind(column(&pairs, |(_, position)| *position))
        .execute(&mut **tx)
        .await?;
        sqlx::query(
            "update audit_trail set personal = null where tenant_id = $1 and build = $2 and position = any($3)",
        )
        .bind(tenant)
        .bind(build)
        .bind(&positions)
        .execute(&mut **tx)
        .await?;
    }
    sqlx::query(
        "update audit_trail set address = null where tenant_id = $1 and build = $2 and address_person_id = any($3)",
    )
    .bind(tenant)
    .bind(build)
    .bind(&people)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
