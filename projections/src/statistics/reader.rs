//! What can be asked about figures.

use std::collections::BTreeMap;

use eventstore::TenantTx;
use formats::Timestamp;
use sqlx::{Row, types::time::Date};

use crate::{
    ReadError,
    columns::{Columns, moment, tenant},
};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    /// What became of requests: `submitted`, `approved`, `denied`, `escalated`, `expired`, `cancelled`, and of their
    /// grants: `grant_used`, `grant_overused`.
    Requests,
    /// Recorded actions by their outcome, such as `pass_through`.
    Decisions,
}

impl Figure {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Decisions => "decisions",
        }
    }
}

/// The counts of one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayFigures {
    /// The day in UTC.
    pub day: Date,
    /// The counts, by what they count. Words that never occurred are left out.
    pub counts: BTreeMap<String, u64>,
}

impl DayFigures {
    /// How often that was.
    #[must_use]
    pub fn of(&self, label: &str) -> u64 {
        self.counts.get(label).copied().unwrap_or(0)
    }
}

/// The days from that of `from` to that of `until`, both included, oldest first. Days without anything are there too;
/// at most 366 of them, the latest.
///
/// # Errors
/// [`ReadError`]
pub async fn days(
    tx: &mut TenantTx,
    figure: Figure,
    from: Timestamp,
    until: Timestamp,
) -> Result<Vec<DayFigures>, ReadError> {
    let rows = sqlx::query(
        "select d.day::date as day, s.label, s.count
         from generate_series(
             greatest(($3::timestamptz at time zone 'utc')::date, ($4::timestamptz at time zone 'utc')::date - 365),
             ($4::timestamptz at time zone 'utc')::date, interval '1 day') as d (day)
           left join statistic s on s.tenant_id = $1 and s.build = live_build('statistics') and s.kind = $2
             and s.day = d.day::date
         order by d.day",
    )
    .bind(tenant(tx))
    .bind(figure.as_str())
    .bind(moment(from))
    .bind(moment(until))
    .fetch_all(&mut **tx)
    .await?;
    let mut days: Vec<DayFigures> = Vec::new();
    for row in &rows {
        let day: Date = row.try_get("day")?;
        if days.last().is_none_or(|last| last.day != day) {
            days.push(DayFigures {
                day,
                counts: BTreeMap::new(),
            });
        }
        if let (Some(last), Some(label)) = (days.last_mut(), row.try_get::<Option<String>, _>("label")?) {
            last.counts.insert(label, row.count("count")?);
        }
    }
    Ok(days)
}

/// The counts of all time.
///
/// # Errors
/// [`ReadError`]
pub async fn total(tx: &mut TenantTx, figure: Figure) -> Result<BTreeMap<String, u64>, ReadError> {
    let rows = sqlx::query(
        "select label, sum(count)::bigint as count from statistic
         where tenant_id = $1 and build = live_build('statistics') and kind = $2 group by label",
    )
    .bind(tenant(tx))
    .bind(figure.as_str())
    .fetch_all(&mut **tx)
    .await?;
    rows.iter()
        .map(|row| Ok((row.try_get("label")?, row.count("count")?)))
        .collect()
}
