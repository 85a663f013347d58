//! Dates, hours and days.

use super::{Problems, has_duplicate};
use crate::document::PolicyDocument;
use crate::limits;
use crate::time::{BadRange, read_dates, read_times};

/// Where and how a range is wrong: field, code, sentence.
pub(crate) fn describe(error: &BadRange) -> (String, &'static str, &'static str) {
    match error {
        BadRange::Date(i) => (format!("dates[{i}]"), "BAD_DATE", "dates are written YYYY-MM-DD"),
        BadRange::InvertedDate(i) => (
            format!("dates[{i}]"),
            "INVERTED_RANGE",
            "the range ends before it starts",
        ),
        BadRange::Time(i) => (
            format!("times[{i}]"),
            "BAD_TIME",
            "hours are written HH:MM; 24:00 may only end a range",
        ),
        BadRange::EmptyTime(i) => (format!("times[{i}]"), "EMPTY_RANGE", "the range starts where it ends"),
    }
}

pub(super) fn check(document: &PolicyDocument, problems: &mut Problems) {
    problems.check_count("dates", document.dates.len(), limits::RANGES_PER_LIST);
    problems.check_count("times", document.times.len(), limits::RANGES_PER_LIST);
    if has_duplicate(&document.days) {
        problems.add("days", "DUPLICATE_ENTRY", "a day is named twice");
    }
    match read_dates(&document.dates) {
        Ok(dates) => {
            // Both ends belong to a range, so the next one starts a day later.
            let ranges = dates
                .iter()
                .enumerate()
                .map(|(i, (from, to))| (i, i64::from(*from), i64::from(*to) + 1));
            refuse_overlap("dates", ranges.collect(), problems);
        }
        Err(error) => add(&error, problems),
    }
    match read_times(&document.times) {
        Ok(times) => {
            let mut ranges = Vec::new();
            for (i, &(from, to)) in times.iter().enumerate() {
                let (from, to) = (i64::from(from), i64::from(to));
                if from < to {
                    ranges.push((i, from, to));
                } else {
                    ranges.extend([(i, from, 24 * 60), (i, 0, to)]);
                }
            }
            refuse_overlap("times", ranges, problems);
        }
        Err(error) => add(&error, problems),
    }
}

fn add(error: &BadRange, problems: &mut Problems) {
    let (field, code, message) = describe(error);
    problems.add(field, code, message);
}

/// Ranges are half-open here. Names the later one of the first pair that overlaps.
fn refuse_overlap(field: &str, mut ranges: Vec<(usize, i64, i64)>, problems: &mut Problems) {
    ranges.retain(|(_, from, to)| from < to);
    ranges.sort_unstable_by_key(|(_, from, _)| *from);
    let overlapping = ranges.windows(2).find(|pair| pair[1].1 < pair[0].2);
    if let Some([(a, ..), (b, ..)]) = overlapping {
        let later = a.max(b);
        let message = format!("overlaps {field}[{}]", a.min(b));
        problems.add(format!("{field}[{later}]"), "OVERLAPPING_RANGES", message);
    }
}
