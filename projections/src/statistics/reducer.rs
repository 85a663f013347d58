//! How figures grow.

use std::collections::BTreeMap;

use eventstore::TenantTx;
use formats::Timestamp;
use model::{activity::ActivityEvent, catalogue::AnyEvent, request::RequestEvent};
use sqlx::types::time::Date;

use super::reader::Figure;
use crate::{Build, Delta, Envelope, FlushError, FoldError, columns::tenant, projection::BoxFuture};

#[derive(Debug, Default)]
pub(super) struct StatisticsDelta {
    counts: BTreeMap<(Figure, Date, &'static str), i64>,
}

impl Delta for StatisticsDelta {
    fn fold(&mut self, event: &Envelope) -> Result<(), FoldError> {
        match &event.event {
            AnyEvent::Request(e) => {
                if let Some(label) = label(e) {
                    self.add(Figure::Requests, event.occurred_at, label);
                }
            }
            AnyEvent::Activity(ActivityEvent::ActionRecorded(e)) => {
                self.add(Figure::Decisions, e.by_server(), e.decision.outcome.as_str());
            }
            AnyEvent::Activity(ActivityEvent::NumbersReused(_))
            | AnyEvent::Tenant(_)
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
            | AnyEvent::Collection(_)
            | AnyEvent::Policy(_)
            | AnyEvent::ApprovalRules(_) => {}
        }
        Ok(())
    }

    fn flush<'a>(self: Box<Self>, tx: &'a mut TenantTx, build: Build) -> BoxFuture<'a, Result<(), FlushError>> {
        Box::pin(async move {
            if self.counts.is_empty() {
                return Ok(());
            }
            sqlx::query(
                "insert into statistic as s (tenant_id, build, kind, day, label, count)
                 select $1, $2, r.* from unnest($3::text[], $4::date[], $5::text[], $6::bigint[]) as r
                 on conflict (tenant_id, build, kind, day, label) do update set count = s.count + excluded.count",
            )
            .bind(tenant(tx))
            .bind(build.number)
            .bind(
                self.counts
                    .keys()
                    .map(|(figure, _, _)| figure.as_str())
                    .collect::<Vec<_>>(),
            )
            .bind(self.counts.keys().map(|(_, day, _)| *day).collect::<Vec<_>>())
            .bind(self.counts.keys().map(|(_, _, label)| *label).collect::<Vec<_>>())
            .bind(self.counts.values().copied().collect::<Vec<_>>())
            .execute(&mut **tx)
            .await?;
            Ok(())
        })
    }
}

impl StatisticsDelta {
    fn add(&mut self, figure: Figure, at: Timestamp, label: &'static str) {
        *self.counts.entry((figure, at.to_datetime().date(), label)).or_default() += 1;
    }
}

/// The word under which an event counts; none for those that change no status.
const fn label(event: &RequestEvent) -> Option<&'static str> {
    match event {
        RequestEvent::RequestSubmitted(_) => Some("submitted"),
        RequestEvent::RequestApproved(_) => Some("approved"),
        RequestEvent::RequestDenied(_) => Some("denied"),
        RequestEvent::RequestEscalated(_) => Some("escalated"),
        RequestEvent::RequestExpired(_) => Some("expired"),
        RequestEvent::RequestCancelled(_) => Some("cancelled"),
        RequestEvent::GrantUsed(_) => Some("grant_used"),
        RequestEvent::GrantOverused(_) => Some("grant_overused"),
        RequestEvent::RequestRepeated(_)
        | RequestEvent::ApprovalGiven(_)
        | RequestEvent::GrantExhausted(_)
        | RequestEvent::GrantExpired(_)
        | RequestEvent::GrantRevoked(_) => None,
    }
}
