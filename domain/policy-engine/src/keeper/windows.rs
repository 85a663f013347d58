//! Dates, hours, days and certificates.

use serde_json::Value;

use super::Importer;
use super::fields::{Object, text_of};
use crate::document::{DateRange, Day, PolicyDocument, TimeRange};
use crate::time::{format_date, parse_date};

/// 0 is Sunday there.
const DAYS: [Day; 7] = [Day::Sun, Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri, Day::Sat];
const MS_PER_DAY: i64 = 24 * 60 * 60 * 1000;

impl Importer<'_> {
    pub(super) fn read_windows(&mut self, document: &mut PolicyDocument) {
        for value in self.evaluated("DateCheck") {
            document.dates.extend(self.read_date_range(&value));
        }
        for value in self.evaluated("TimeCheck") {
            document.times.extend(self.read_time_range(&value));
        }
        for value in self.evaluated("DayCheck") {
            let day = text_of(&value)
                .trim()
                .parse::<usize>()
                .ok()
                .and_then(|day| DAYS.get(day));
            match day {
                Some(day) if !document.days.contains(day) => document.days.push(*day),
                Some(_) => {}
                None => self.note("DayCheck", format!("{value} is no day from 0 to 6; left out")),
            }
        }
        document.days.sort_unstable();
        for value in self.evaluated("CertificationCheck") {
            match text_of(&value) {
                any if any == "*" || any.is_empty() => {}
                thumbprint => document.certificates.push(thumbprint),
            }
        }
    }

    fn read_date_range(&mut self, value: &Value) -> Option<DateRange> {
        let range = value.as_object().map(Object::new);
        let bound = |name: &str| range.and_then(|range| range.get(name));
        let (from, to) = (bound("StartDate").or(bound("from")), bound("EndDate").or(bound("to")));
        let (Some(from), Some(to)) = (from.and_then(read_date), to.and_then(read_date)) else {
            self.note(
                "DateCheck",
                format!("{value} has no start and end that can be read; left out"),
            );
            return None;
        };
        if from.is_instant || to.is_instant {
            self.note(
                "DateCheck",
                "moments were read as days of UTC; the endpoint's own calendar counts here",
            );
        }
        Some(DateRange {
            from: from.date,
            to: to.date,
        })
    }

    fn read_time_range(&mut self, value: &Value) -> Option<TimeRange> {
        let range = value.as_object().map(Object::new);
        let bound = |name: &str| range.and_then(|range| range.get(name)).map(text_of);
        let from = bound("StartTime")
            .or(bound("from"))
            .and_then(|text| read_hour(&text, false));
        let to = bound("EndTime").or(bound("to")).and_then(|text| read_hour(&text, true));
        let (Some((from, from_cut)), Some((to, to_cut))) = (from, to) else {
            self.note(
                "TimeCheck",
                format!("{value} has no start and end that can be read; left out"),
            );
            return None;
        };
        if from_cut || to_cut {
            self.note("TimeCheck", format!("{value}: seconds were rounded to {from} and {to}"));
        }
        if from == to {
            self.note("TimeCheck", format!("{value} starts where it ends; left out"));
            return None;
        }
        Some(TimeRange { from, to })
    }
}

struct ReadDate {
    date: String,
    /// It was a moment, not a calendar day.
    is_instant: bool,
}

/// `YYYY-MM-DD`, a date-time of that day, or milliseconds since 1970.
fn read_date(value: &Value) -> Option<ReadDate> {
    let text = text_of(value);
    let text = text.trim();
    if let Some(day) = text.get(..10).filter(|day| parse_date(day).is_some()) {
        let rest = &text[10..];
        return (rest.is_empty() || rest.starts_with(['T', ' '])).then(|| ReadDate {
            date: day.to_owned(),
            is_instant: !rest.is_empty(),
        });
    }
    let millis: i64 = text.parse().ok()?;
    format_date(millis.div_euclid(MS_PER_DAY)).map(|date| ReadDate { date, is_instant: true })
}

/// `9`, `09:00` or `09:00:00`. A start is rounded down, an end up. True where seconds were lost.
fn read_hour(text: &str, is_end: bool) -> Option<(String, bool)> {
    let mut parts = text.trim().split(':').map(str::parse::<u32>);
    let hour = parts.next()?.ok()?;
    let minute = parts.next().unwrap_or(Ok(0)).ok()?;
    let second = parts.next().unwrap_or(Ok(0)).ok()?;
    if parts.next().is_some() || minute > 59 || second > 59 {
        return None;
    }
    let minutes = hour * 60 + minute + u32::from(is_end && second > 0);
    let limit = if is_end { 24 * 60 } else { 24 * 60 - 1 };
    (minutes <= limit).then(|| (format!("{:02}:{:02}", minutes / 60, minutes % 60), second > 0))
}
