//! Figures of the front page. What the viewer may not read counts as nothing.

use std::time::Duration;

use async_graphql::{Context, ID, Object, SimpleObject};
use commands::Act;
use model::request::Status;
use policy_engine::PolicyStatus;
use projections::{
    Page,
    audit_trail::Filter as AuditFilter,
    fleet::EndpointFilter,
    request_queue::{Counts, Filter, QueuedRequest, Sort},
    statistics::{DayFigures, Figure},
};

use super::{
    audit::summary,
    context::Ask,
    error::Answer,
    ids::{of_stream, shown},
    request_standing as standing,
    scalars::DateTime,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How many decisions the median is taken of.
const MEDIAN_OF: u32 = 100;
/// How many marked events are shown as alerts.
const ALERTS: u32 = 20;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Overview;

/// Figures of the front page; 0 for what the viewer may not read.
#[Object]
impl Overview {
    async fn pending_requests(&self, ctx: &Context<'_>) -> Answer<i32> {
        Ok(number(counts(ctx).await?.pending))
    }

    async fn escalated_requests(&self, ctx: &Context<'_>) -> Answer<i32> {
        Ok(number(counts(ctx).await?.escalated))
    }

    /// Open requests that the viewer may decide, counted up to 200.
    async fn awaiting_viewer(&self, ctx: &Context<'_>) -> Answer<i32> {
        let frame = ctx.frame();
        let Some(routed) = standing::routed(&frame).await? else {
            return Ok(0);
        };
        let filter = Filter {
            routed_to: Some(routed),
            ..Filter::default()
        };
        let mut tx = frame.tx().await?;
        let page = Page::first(projections::page::LIMIT_MAX);
        let found = projections::request_queue::list(&mut tx, &filter, Sort::Oldest, &page).await?;
        drop(tx);
        let mut awaiting = 0;
        for request in found.nodes() {
            if standing::refusal(&frame, &request).await?.is_none() {
                awaiting += 1;
            }
        }
        Ok(awaiting)
    }

    async fn active_grants(&self, ctx: &Context<'_>) -> Answer<i32> {
        Ok(number(counts(ctx).await?.active_grants))
    }

    /// Requests that were approved or denied today, in UTC.
    async fn decisions_today(&self, ctx: &Context<'_>) -> Answer<i32> {
        let frame = ctx.frame();
        if !frame.caller.may(Act::ReadAllRequests) {
            return Ok(0);
        }
        let mut tx = frame.tx().await?;
        let today = projections::statistics::days(&mut tx, Figure::Requests, frame.now, frame.now).await?;
        Ok(number(
            today.iter().map(|day| day.of("approved") + day.of("denied")).sum(),
        ))
    }

    /// Of the last 100 requests that people decided.
    async fn median_decision_seconds(&self, ctx: &Context<'_>) -> Answer<Option<i32>> {
        let frame = ctx.frame();
        if !frame.caller.may(Act::ReadAllRequests) {
            return Ok(None);
        }
        let filter = Filter {
            statuses: vec![Status::Approved, Status::Denied],
            ..Filter::default()
        };
        let mut tx = frame.tx().await?;
        let found = projections::request_queue::list(&mut tx, &filter, Sort::Newest, &Page::first(MEDIAN_OF)).await?;
        let took = |request: &QueuedRequest| Some(request.settled_at?.since(request.submitted_at).as_secs());
        Ok(median(found.nodes().iter().filter_map(took).collect()).map(number))
    }

    async fn endpoints_online(&self, ctx: &Context<'_>) -> Answer<i32> {
        let frame = ctx.frame();
        if !frame.caller.may(Act::ReadFleet) {
            return Ok(0);
        }
        let mut tx = frame.tx().await?;
        let seen_after = frame.now - EndpointFilter::LATELY;
        Ok(number(projections::fleet::online(&mut tx, seen_after).await?))
    }

    async fn endpoints_total(&self, ctx: &Context<'_>) -> Answer<i32> {
        let frame = ctx.frame();
        if !frame.caller.may(Act::ReadFleet) {
            return Ok(0);
        }
        Ok(number(frame.groups().await?.iter().map(|group| group.endpoints).sum()))
    }

    /// Endpoints that have not applied the newest snapshot of their group.
    async fn endpoints_behind(&self, ctx: &Context<'_>) -> Answer<i32> {
        let frame = ctx.frame();
        if !frame.caller.may(Act::ReadFleet) {
            return Ok(0);
        }
        let behind = |group: &projections::fleet::GroupView| group.endpoints.saturating_sub(group.up_to_date);
        let offered = |group: &&projections::fleet::GroupView| group.snapshot_version.is_some();
        Ok(number(frame.groups().await?.iter().filter(offered).map(behind).sum()))
    }

    async fn policies_enforced(&self, ctx: &Context<'_>) -> Answer<i32> {
        policies(ctx, &[PolicyStatus::Enforce]).await
    }

    async fn policies_monitored(&self, ctx: &Context<'_>) -> Answer<i32> {
        policies(ctx, &[PolicyStatus::Monitor, PolicyStatus::MonitorAndNotify]).await
    }

    /// Recorded actions of the last 14 days, oldest first.
    #[graphql(complexity = "1 + 14 * child_complexity")]
    async fn daily(&self, ctx: &Context<'_>) -> Answer<Vec<DailyFigures>> {
        let frame = ctx.frame();
        if !frame.caller.may(Act::ReadAllRequests) {
            return Ok(Vec::new());
        }
        let mut tx = frame.tx().await?;
        let days = projections::statistics::days(&mut tx, Figure::Decisions, frame.now - DAY * 13, frame.now).await?;
        Ok(days.iter().map(Into::into).collect())
    }

    /// Things an administrator should look at: snapshots that wait for a confirmation, then what was marked in the log
    /// in the last 7 days, newest first.
    #[graphql(complexity = "1 + 20 * child_complexity")]
    async fn alerts(&self, ctx: &Context<'_>) -> Answer<Vec<Alert>> {
        let frame = ctx.frame();
        let mut alerts = Vec::new();
        if frame.caller.may(Act::ReadPolicies) {
            for held in frame.held().await?.iter() {
                alerts.push(Alert {
                    code: "SNAPSHOT_HELD".to_owned(),
                    message: format!(
                        "A snapshot of {} policies waits for a confirmation; agents keep the one with {}.",
                        held.policies, held.served_policies
                    ),
                    at: held.at.into(),
                    subject_id: Some(shown(held.group)),
                });
            }
        }
        if frame.caller.may(Act::ReadAudit) {
            let filter = AuditFilter {
                marked_only: true,
                recorded_from: Some(frame.now - DAY * 7),
                ..AuditFilter::default()
            };
            let mut tx = frame.tx().await?;
            let marked = projections::audit_trail::list(&mut tx, &filter, &Page::first(ALERTS)).await?;
            alerts.extend(marked.nodes().into_iter().map(|entry| Alert {
                code: screaming(&entry.event_type),
                message: summary(&entry.event_type, &entry.data),
                at: entry.recorded_at.into(),
                subject_id: Some(of_stream(&entry.stream_type, entry.stream_id)),
            }));
        }
        Ok(alerts)
    }
}

fn number(count: u64) -> i32 {
    count.try_into().unwrap_or(i32::MAX)
}

async fn counts(ctx: &Context<'_>) -> Answer<Counts> {
    let frame = ctx.frame();
    if !frame.caller.may(Act::ReadAllRequests) {
        return Ok(Counts::default());
    }
    Ok(*frame.counts().await?)
}

async fn policies(ctx: &Context<'_>, statuses: &[PolicyStatus]) -> Answer<i32> {
    let frame = ctx.frame();
    if !frame.caller.may(Act::ReadPolicies) {
        return Ok(0);
    }
    let mut tx = frame.tx().await?;
    let counts = projections::policies::counts_by_status(&mut tx).await?;
    Ok(number(statuses.iter().filter_map(|status| counts.get(status)).sum()))
}

fn median(mut values: Vec<u64>) -> Option<u64> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

/// `GrantOverused` is `GRANT_OVERUSED`.
fn screaming(event_type: &str) -> String {
    let mut code = String::new();
    for character in event_type.chars() {
        if character.is_ascii_uppercase() && !code.is_empty() {
            code.push('_');
        }
        code.push(character.to_ascii_uppercase());
    }
    code
}

#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct DailyFigures {
    /// `2026-11-26`, in UTC.
    day: String,
    /// Allowed, or let through by the operating system.
    allowed: i32,
    denied: i32,
    /// Steps were required, or could not be taken offline.
    required: i32,
}

impl From<&DayFigures> for DailyFigures {
    fn from(figures: &DayFigures) -> Self {
        Self {
            day: figures.day.to_string(),
            allowed: number(figures.of("allowed") + figures.of("pass_through")),
            denied: number(figures.of("denied")),
            required: number(figures.of("required") + figures.of("blocked_offline")),
        }
    }
}

#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Alert {
    code: String,
    message: String,
    at: DateTime,
    /// The endpoint, request, group or user it is about.
    subject_id: Option<ID>,
}

#[derive(Default)]
pub(crate) struct OverviewQuery;

#[Object]
impl OverviewQuery {
    /// Figures of the front page.
    #[graphql(complexity = "50 + child_complexity")]
    async fn overview(&self, ctx: &Context<'_>) -> Answer<Overview> {
        ctx.frame_for(Act::ReadRequests)?;
        Ok(Overview)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_one_of_the_values() {
        assert_eq!(median(vec![9, 1, 5]), Some(5));
        assert_eq!(median(vec![1, 9]), Some(9));
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn an_events_name_becomes_a_code() {
        assert_eq!(screaming("GrantOverused"), "GRANT_OVERUSED");
    }
}
