//! What may be saved.
use crate::time::BadRange;

/// Where and how a range is wrong: field, code, sentence.
pub(crate) fn describe_range(error: &BadRange) -> (String, &'static str, &'static str) {
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
