//! What the scheduler owes: the end of each request's present window and of each grant's, one row each.
//!
//! The reducer keeps the moment at which a tenant's earliest timer is due among the [due work](crate::work), so that the
//! scheduler finds it without looking into every tenant.

use std::collections::BTreeMap;

use eventstore::TenantTx;
use formats::{RequestId, TenantId, Timestamp, command_id};
use model::{catalogue::AnyEvent, request::RequestEvent};
use sqlx::Row;
use uuid::Uuid;

use crate::{
    Build, Delta, Envelope, FlushError, FoldError, Projection, ReadError,
    columns::{Columns, column, moment, number, read_word},
    projection::BoxFuture,
    work,
};

/// The most timers that are read at once.
const MOST_DUE: u32 = 2_000;

/// The name of the projection.
pub const NAME: &str = "escalation_schedule";

/// The read model of timers.
#[derive(Debug, Clone, Copy, Default)]
pub struct EscalationSchedule;

/// What ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimerKind {
    /// The first window: escalate, or expire where nobody is to be asked.
    Pending,
    /// The second window: expire.
    Escalated,
    /// The grant's window.
    Grant,
}

impl TimerKind {
    /// The word in the table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Escalated => "escalated",
            Self::Grant => "grant",
        }
    }

    /// The name that the command's id is derived from. Never changes.
    const fn command_name(self) -> &'static str {
        match self {
            Self::Pending => "timer.pending",
            Self::Escalated => "timer.escalated",
            Self::Grant => "timer.grant",
        }
    }
}

/// A timer that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timer {
    /// Whose end.
    pub request: RequestId,
    /// What ends.
    pub kind: TimerKind,
    /// When.
    pub due_at: Timestamp,
    /// The position of the event that set it.
    pub position: u64,
}

impl Timer {
    /// The id of the command that this timer sends: the same however often it fires.
    #[must_use]
    pub fn command_id(&self, tenant: TenantId) -> Uuid {
        command_id::derived(self.kind.command_name(), tenant, self.position, 0)
    }
}

impl Projection for EscalationSchedule {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["escalation_schedule"]
    }

    fn streams(&self) -> Option<&'static [&'static str]> {
        Some(&["request"])
    }

    fn start(&self) -> Box<dyn Delta> {
        Box::new(TimerDelta::default())
    }

    fn went_live<'a>(&'a self, tx: &'a mut TenantTx, build: Build) -> BoxFuture<'a, Result<(), FlushError>> {
        Box::pin(keep_earliest(tx, build))
    }
}

/// The timer that each request has after the batch; none where it has none.
#[derive(Debug, Default)]
struct TimerDelta(BTreeMap<RequestId, Option<(TimerKind, Timestamp, u64)>>);

impl TimerDelta {
    fn set(&mut self, request: RequestId, kind: TimerKind, due_at: Timestamp, position: u64) {
        self.0.insert(request, Some((kind, due_at, position)));
    }
}

impl Delta for TimerDelta {
    fn fold(&mut self, event: &Envelope) -> Result<(), FoldError> {
        let position = event.position;
        match &event.event {
            AnyEvent::Request(event) => match event {
                RequestEvent::RequestSubmitted(e) => {
                    self.set(e.request, TimerKind::Pending, e.pending_until, position);
                }
                RequestEvent::RequestEscalated(e) => {
                    self.set(e.request, TimerKind::Escalated, e.escalated_until, position);
                }
                RequestEvent::RequestApproved(e) => self.set(e.request, TimerKind::Grant, e.grant.not_after, position),
                RequestEvent::RequestDenied(e) => drop(self.0.insert(e.request, None)),
                RequestEvent::RequestExpired(e) => drop(self.0.insert(e.request, None)),
                RequestEvent::RequestCancelled(e) => drop(self.0.insert(e.request, None)),
                RequestEvent::GrantExhausted(e) => drop(self.0.insert(e.request, None)),
                RequestEvent::GrantExpired(e) => drop(self.0.insert(e.request, None)),
                RequestEvent::GrantRevoked(e) => drop(self.0.insert(e.request, None)),
                RequestEvent::RequestRepeated(_)
                | RequestEvent::ApprovalGiven(_)
                | RequestEvent::GrantUsed(_)
                | RequestEvent::GrantOverused(_) => {}
            },
            AnyEvent::Tenant(_)
            | AnyEvent::Person(_)
            | AnyEvent::User(_)
            | AnyEvent::Roles(_)
            | AnyEvent::Team(_)
            | AnyEvent::Platform(_)
            | AnyEvent::Scim(_)
            | AnyEvent::ServiceAccount(_)
            | AnyEvent::IdentityProvider(_)
            | AnyEvent::DeploymentGroup(_)
            | AnyEvent::Endpoint(_)
            | AnyEvent::Activity(_)
            | AnyEvent::Collection(_)
            | AnyEvent::Policy(_)
            | AnyEvent::ApprovalRules(_) => {}
        }
        Ok(())
    }

    fn flush<'a>(self: Box<Self>, tx: &'a mut TenantTx, build: Build) -> BoxFuture<'a, Result<(), FlushError>> {
        Box::pin(async move {
            if self.0.is_empty() {
                return Ok(());
            }
            let stopped: Vec<Uuid> = self
                .0
                .iter()
                .filter(|(_, timer)| timer.is_none())
                .map(|(r, _)| r.uuid())
                .collect();
            let set: Vec<_> = self
                .0
                .into_iter()
                .filter_map(|(request, timer)| Some((request, timer?)))
                .collect();
            sqlx::query("delete from escalation_schedule where tenant_id = $1 and build = $2 and request_id = any($3)")
                .bind(tx.tenant().uuid())
                .bind(build.number)
                .bind(stopped)
                .execute(&mut **tx)
                .await?;
            sqlx::query(
                "insert into escalation_schedule (tenant_id, build, request_id, kind, due_at, position)
                 select $1, $2, * from unnest($3::uuid[], $4::text[], $5::timestamptz[], $6::bigint[])
                 on conflict (tenant_id, build, request_id) do update
                   set kind = excluded.kind, due_at = excluded.due_at, position = excluded.position",
            )
            .bind(tx.tenant().uuid())
            .bind(build.number)
            .bind(column(&set, |(request, _)| request.uuid()))
            .bind(column(&set, |(_, (kind, ..))| kind.as_str()))
            .bind(column(&set, |(_, (_, due_at, _))| moment(*due_at)))
            .bind(column(&set, |(_, (.., position))| number(*position)))
            .execute(&mut **tx)
            .await?;
            if build.live {
                keep_earliest(tx, build).await
            } else {
                Ok(())
            }
        })
    }
}

async fn keep_earliest(tx: &mut TenantTx, build: Build) -> Result<(), FlushError> {
    let row = sqlx::query("select min(due_at) as due_at from escalation_schedule where tenant_id = $1 and build = $2")
        .bind(tx.tenant().uuid())
        .bind(build.number)
        .fetch_one(&mut **tx)
        .await?;
    let due_at = row.at_or_null("due_at")?;
    Ok(work::set(tx, work::TIMERS, due_at).await?)
}

/// How many of a tenant's timers are due.
///
/// # Errors
/// [`ReadError`]
pub async fn count_due(tx: &mut TenantTx, now: Timestamp) -> Result<u64, ReadError> {
    let row = sqlx::query(
        "select count(*) as due from escalation_schedule
         where tenant_id = $1 and build = live_build('escalation_schedule') and due_at <= $2",
    )
    .bind(tx.tenant().uuid())
    .bind(moment(now))
    .fetch_one(&mut **tx)
    .await?;
    row.count("due")
}

/// The timers that are due at this moment, in the order in which they fell due; at most 1,000.
///
/// # Errors
/// [`ReadError`]
pub async fn due(tx: &mut TenantTx, now: Timestamp, limit: u32) -> Result<Vec<Timer>, ReadError> {
    let rows = sqlx::query(
        "select request_id, kind, due_at, position from escalation_schedule
         where tenant_id = $1 and build = live_build('escalation_schedule') and due_at <= $2
         order by due_at, position limit $3",
    )
    .bind(tx.tenant().uuid())
    .bind(moment(now))
    .bind(i64::from(limit.clamp(1, MOST_DUE)))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Timer {
                request: row.id("request_id")?,
                kind: read_word(row.try_get("kind")?)?,
                due_at: row.at("due_at")?,
                position: row.count("position")?,
            })
        })
        .collect()
}
