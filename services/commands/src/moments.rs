//! Moments as people read them, where no script knows their time zone: in mails and on the page behind their links.

use std::time::Duration;

use formats::Timestamp;

/// In words and to the minute, by clocks that are `offset` minutes ahead of UTC: `26 November 2026, 22:40 UTC`.
#[must_use]
pub fn moment(at: Timestamp, offset: i32) -> String {
    let apart = Duration::from_secs(u64::from(offset.unsigned_abs()) * 60);
    let local = if offset < 0 { at - apart } else { at + apart }.to_datetime();
    let (day, month, year) = (local.day(), local.month(), local.year());
    format!(
        "{day} {month} {year}, {:02}:{:02} {}",
        local.hour(),
        local.minute(),
        zone(offset)
    )
}

fn zone(offset: i32) -> String {
    let (hours, minutes) = (offset.unsigned_abs() / 60, offset.unsigned_abs() % 60);
    let sign = if offset < 0 { '-' } else { '+' };
    let ahead = match (hours, minutes) {
        (0, 0) => String::new(),
        (hours, 0) => format!("{sign}{hours}"),
        (hours, minutes) => format!("{sign}{hours}:{minutes:02}"),
    };
    format!("UTC{ahead}")
}

/// How long, in the largest unit that fits: `28 minutes`. Rounded down, so that no deadline looks further away than it
/// is.
#[must_use]
pub fn span(long: Duration) -> String {
    let minutes = long.as_secs() / 60;
    let (number, unit) = match minutes {
        0 => return "less than a minute".to_owned(),
        1..=59 => (minutes, "minute"),
        60..=1_439 => (minutes / 60, "hour"),
        _ => (minutes / 1_440, "day"),
    };
    let many = if number == 1 { "" } else { "s" };
    format!("{number} {unit}{many}")
}

/// How far away: `in 28 minutes`, `3 hours ago`.
#[must_use]
pub fn distance(at: Timestamp, now: Timestamp) -> String {
    if at > now {
        format!("in {}", span(at.since(now)))
    } else {
        format!("{} ago", span(now.since(at)))
    }
}

/// The offset in minutes at the end of an RFC 3339 text; 0 where there is none.
#[must_use]
pub fn offset_minutes(text: &str) -> i32 {
    let Some(offset) = text.len().checked_sub(6).and_then(|from| text.get(from..)) else {
        return 0;
    };
    let sign = match offset.as_bytes().first() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return 0,
    };
    let Some((hours, minutes)) = offset.get(1..).and_then(|offset| offset.split_once(':')) else {
        return 0;
    };
    sign * (hours.parse::<i32>().unwrap_or(0) * 60 + minutes.parse::<i32>().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_in_words_by_the_clock_that_is_named() {
        let at = Timestamp::from_millis(1_790_000_000_000);
        assert_eq!(moment(at, 0), "21 September 2026, 14:13 UTC");
        assert_eq!(moment(at, 600), "22 September 2026, 00:13 UTC+10");
        assert_eq!(moment(at, -210), "21 September 2026, 10:43 UTC-3:30");
        assert_eq!(moment(Timestamp::from_millis(0), 60), "1 January 1970, 01:00 UTC+1");
    }

    #[test]
    fn a_distance_is_rounded_towards_now() {
        let now = Timestamp::from_millis(1_790_000_000_000);
        let after = |seconds| distance(now + Duration::from_secs(seconds), now);
        assert_eq!(after(59), "in less than a minute");
        assert_eq!(after(119), "in 1 minute");
        assert_eq!(after(7_199), "in 1 hour");
        assert_eq!(after(172_800), "in 2 days");
        assert_eq!(distance(now, now + Duration::from_secs(180)), "3 minutes ago");
        assert_eq!(distance(now, now), "less than a minute ago");
    }

    #[test]
    fn an_endpoints_offset_is_read_from_the_end_of_its_clock() {
        assert_eq!(offset_minutes("2026-03-02T10:00:00+01:00"), 60);
        assert_eq!(offset_minutes("2026-03-02T10:00:00.5-03:30"), -210);
        assert_eq!(offset_minutes("2026-03-02T10:00:00Z"), 0);
        assert_eq!(offset_minutes(""), 0);
    }
}
