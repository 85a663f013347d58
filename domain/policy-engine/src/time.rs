//! Moments on the endpoint's own clock, and the windows a policy holds in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::document::{DateRange, Day, PolicyDocument, TimeRange};

/// Minutes of a day.
const DAY_MINUTES: u16 = 24 * 60;

/// When an action happens: RFC 3339 with the endpoint's offset, read as local day and minute.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LocalTime {
    text: Box<str>,
    day: i32,
    minute: u16,
}

/// A text that is no RFC 3339 date-time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadTime;

impl fmt::Display for BadTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected an RFC 3339 date and time with an offset, such as 2026-03-02T10:00:00+01:00")
    }
}

impl std::error::Error for BadTime {}

impl LocalTime {
    /// The text it was read from.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Days since 1970-01-01 on the endpoint's calendar.
    #[must_use]
    pub fn day(&self) -> i32 {
        self.day
    }

    /// Minutes since the endpoint's midnight.
    #[must_use]
    pub fn minute(&self) -> u16 {
        self.minute
    }
}

impl FromStr for LocalTime {
    type Err = BadTime;

    fn from_str(text: &str) -> Result<Self, BadTime> {
        let bytes = text.as_bytes();
        if !text.is_ascii() || bytes.len() < 20 || !matches!(bytes[10], b'T' | b't' | b' ') {
            return Err(BadTime);
        }
        let day = parse_date(&text[..10]).ok_or(BadTime)?;
        let (hour, minute, second) = (two(bytes, 11), two(bytes, 14), two(bytes, 17));
        let (Some(hour @ 0..=23), Some(minute @ 0..=59), Some(0..=60)) = (hour, minute, second) else {
            return Err(BadTime);
        };
        if bytes[13] != b':' || bytes[16] != b':' {
            return Err(BadTime);
        }
        let mut offset = &text[19..];
        if let Some(fraction) = offset.strip_prefix('.') {
            let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 {
                return Err(BadTime);
            }
            offset = &fraction[digits..];
        }
        if !is_offset(offset) {
            return Err(BadTime);
        }
        Ok(Self {
            text: text.into(),
            day,
            minute: hour * 60 + minute,
        })
    }
}

fn is_offset(text: &str) -> bool {
    let bytes = text.as_bytes();
    match bytes {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', _, _, b':', _, _] => {
            matches!((two(bytes, 1), two(bytes, 4)), (Some(0..=23), Some(0..=59)))
        }
        _ => false,
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for LocalTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for LocalTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse()
            .map_err(|error| de::Error::custom(format_args!("{error}, not {text:?}")))
    }
}

/// Two digits at a place.
fn two(bytes: &[u8], at: usize) -> Option<u16> {
    let (tens, ones) = (bytes.get(at)?, bytes.get(at + 1)?);
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| u16::from(tens - b'0') * 10 + u16::from(ones - b'0'))
}

/// `YYYY-MM-DD` as days since 1970-01-01.
pub(crate) fn parse_date(text: &str) -> Option<i32> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let year = i32::from(two(bytes, 0)? * 100 + two(bytes, 2)?);
    let (month, day) = (i32::from(two(bytes, 5)?), i32::from(two(bytes, 8)?));
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // Howard Hinnant's civil calendar: years start in March, so that the leap day is the last one.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// Days since 1970-01-01 as `YYYY-MM-DD`; none outside the years 0 to 9999.
pub(crate) fn format_date(days: i64) -> Option<String> {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = year + era * 400 + i64::from(month <= 2);
    (0..=9999)
        .contains(&year)
        .then(|| format!("{year:04}-{month:02}-{day:02}"))
}

/// `HH:MM` as minutes; `24:00` is the end of the day.
pub(crate) fn parse_hour(text: &str) -> Option<u16> {
    let bytes = text.as_bytes();
    if bytes.len() != 5 || bytes[2] != b':' {
        return None;
    }
    match (two(bytes, 0)?, two(bytes, 3)?) {
        (24, 0) => Some(DAY_MINUTES),
        (hour @ 0..=23, minute @ 0..=59) => Some(hour * 60 + minute),
        _ => None,
    }
}

/// A window range that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BadRange {
    /// `dates[i]` holds something that is no date.
    Date(usize),
    /// `times[i]` holds something that is no hour, or `24:00` as its start.
    Time(usize),
    /// `times[i]` starts where it ends.
    EmptyTime(usize),
    /// `dates[i]` ends before it starts.
    InvertedDate(usize),
}

pub(crate) fn read_dates(ranges: &[DateRange]) -> Result<Vec<(i32, i32)>, BadRange> {
    ranges
        .iter()
        .enumerate()
        .map(|(i, range)| match (parse_date(&range.from), parse_date(&range.to)) {
            (Some(from), Some(to)) if from <= to => Ok((from, to)),
            (Some(_), Some(_)) => Err(BadRange::InvertedDate(i)),
            _ => Err(BadRange::Date(i)),
        })
        .collect()
}

pub(crate) fn read_times(ranges: &[TimeRange]) -> Result<Vec<(u16, u16)>, BadRange> {
    ranges
        .iter()
        .enumerate()
        .map(|(i, range)| match (parse_hour(&range.from), parse_hour(&range.to)) {
            (Some(from), Some(to)) if from < DAY_MINUTES && from != to => Ok((from, to)),
            (Some(from), Some(to)) if from == to => Err(BadRange::EmptyTime(i)),
            _ => Err(BadRange::Time(i)),
        })
        .collect()
}

/// When a policy holds, in the endpoint's local time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    dates: Box<[(i32, i32)]>,
    times: Box<[(u16, u16)]>,
    /// Bit 0 is Monday; zero means any day.
    days: u8,
}

impl Window {
    /// None where the policy always holds.
    pub(crate) fn of(document: &PolicyDocument) -> Result<Option<Self>, BadRange> {
        if document.dates.is_empty() && document.times.is_empty() && document.days.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self {
            dates: read_dates(&document.dates)?.into(),
            times: read_times(&document.times)?.into(),
            days: document.days.iter().fold(0, |days, day| days | day_bit(*day)),
        }))
    }

    /// Whether the moment is inside. A window that wraps midnight belongs to the day it started on.
    pub(crate) fn holds(&self, at: &LocalTime) -> bool {
        self.excluded_by(at).is_none()
    }

    /// The first field that keeps the moment out: `times`, `days` or `dates`.
    pub(crate) fn excluded_by(&self, at: &LocalTime) -> Option<&'static str> {
        if self.times.is_empty() {
            return self.day_excluded_by(at.day);
        }
        let mut reason = Some("times");
        for &(from, to) in &self.times {
            let started = if from < to {
                (from..to).contains(&at.minute).then_some(at.day)
            } else if at.minute >= from {
                Some(at.day)
            } else {
                (at.minute < to).then(|| at.day - 1)
            };
            match started.map(|day| self.day_excluded_by(day)) {
                Some(None) => return None,
                Some(excluded) => reason = excluded,
                None => {}
            }
        }
        reason
    }

    fn day_excluded_by(&self, day: i32) -> Option<&'static str> {
        // 1970-01-01 was a Thursday, the fourth day of the week.
        let weekday = (day + 3).rem_euclid(7);
        if self.days != 0 && self.days & (1 << weekday) == 0 {
            return Some("days");
        }
        let dated = self.dates.is_empty() || self.dates.iter().any(|&(from, to)| (from..=to).contains(&day));
        (!dated).then_some("dates")
    }
}

fn day_bit(day: Day) -> u8 {
    1 << (day as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_on_the_endpoints_own_clock() {
        let at: LocalTime = "2026-03-02T23:59:59.123-11:30".parse().expect("valid");
        assert_eq!(
            (at.day(), at.minute()),
            (parse_date("2026-03-02").expect("valid"), 1439)
        );
        for bad in [
            "",
            "2026-03-02",
            "2026-03-02T10:00:00",
            "2026-02-30T10:00:00Z",
            "2026-03-02T24:00:00Z",
            "2026-03-02T10:00:00+25:00",
            "2026-03-02T10:00:00.Z",
        ] {
            assert_eq!(bad.parse::<LocalTime>(), Err(BadTime), "{bad}");
        }
    }

    #[test]
    fn dates_count_from_the_epoch_and_back() {
        for (text, days) in [
            ("1970-01-01", 0),
            ("1969-12-31", -1),
            ("2000-02-29", 11_016),
            ("2026-03-02", 20_514),
        ] {
            assert_eq!(parse_date(text), Some(days), "{text}");
            assert_eq!(format_date(i64::from(days)).as_deref(), Some(text));
        }
        assert_eq!(parse_date("2026-02-29"), None);
        assert_eq!(parse_date("2026-13-01"), None);
    }

    #[test]
    fn a_night_shift_belongs_to_the_day_it_started_on() {
        let mut document = PolicyDocument::new("n", crate::PolicyType::CommandLine, crate::PolicyStatus::Enforce);
        document.times = vec![TimeRange {
            from: "22:00".into(),
            to: "06:00".into(),
        }];
        document.days = vec![Day::Fri];
        document.dates = vec![DateRange {
            from: "2026-03-06".into(),
            to: "2026-03-06".into(),
        }];
        let window = Window::of(&document).expect("valid").expect("a window");
        for (at, excluded) in [
            ("2026-03-06T22:00:00Z", None),
            ("2026-03-07T05:59:59Z", None),
            ("2026-03-07T06:00:00Z", Some("times")),
            ("2026-03-06T05:00:00Z", Some("days")),
            ("2026-03-07T23:00:00Z", Some("days")),
            ("2026-03-13T23:00:00Z", Some("dates")),
        ] {
            assert_eq!(window.excluded_by(&at.parse().expect("valid")), excluded, "{at}");
        }
    }

    fn window(change: impl FnOnce(&mut PolicyDocument)) -> Window {
        let mut document = PolicyDocument::new("n", crate::PolicyType::CommandLine, crate::PolicyStatus::Enforce);
        change(&mut document);
        Window::of(&document).expect("valid").expect("a window")
    }

    fn hours(from: &str, to: &str) -> Window {
        window(|document| {
            document.times = vec![TimeRange {
                from: from.into(),
                to: to.into(),
            }];
        })
    }

    #[test]
    fn hours_begin_and_end_to_the_millisecond_in_any_zone() {
        let day = hours("08:00", "18:00");
        for zone in ["Z", "+05:45", "-11:30", "+14:00"] {
            for (time, inside) in [
                ("07:59:59.999", false),
                ("08:00:00.000", true),
                ("08:00:00.001", true),
                ("17:59:59.999", true),
                ("18:00:00.000", false),
                ("18:00:00.001", false),
            ] {
                let at = format!("2026-03-02T{time}{zone}");
                assert_eq!(day.holds(&at.parse().expect("valid")), inside, "{at}");
            }
        }
        let late = hours("22:00", "24:00");
        for (at, inside) in [("2026-03-02T23:59:59.999Z", true), ("2026-03-03T00:00:00.000Z", false)] {
            assert_eq!(late.holds(&at.parse().expect("valid")), inside, "{at}");
        }
    }

    #[test]
    fn a_change_of_the_clocks_repeats_or_skips_what_the_endpoints_clock_does() {
        // Two o'clock to three happens twice in the night of 2026-10-25, and not at all in that of 2026-03-29.
        let night = hours("02:00", "03:00");
        for (at, inside) in [
            ("2026-10-25T01:59:59.999+02:00", false),
            ("2026-10-25T02:00:00.000+02:00", true),
            ("2026-10-25T02:59:59.999+02:00", true),
            ("2026-10-25T02:00:00.000+01:00", true),
            ("2026-10-25T02:59:59.999+01:00", true),
            ("2026-10-25T03:00:00.000+01:00", false),
            ("2026-03-29T01:59:59.999+01:00", false),
            ("2026-03-29T03:00:00.000+02:00", false),
        ] {
            assert_eq!(night.holds(&at.parse().expect("valid")), inside, "{at}");
        }
        // A clock that is an hour off is an hour off: windows go by what the endpoint shows.
        let shift = hours("08:00", "16:00");
        for (at, inside) in [("2026-03-02T07:30:00Z", false), ("2026-03-02T08:30:00Z", true)] {
            assert_eq!(shift.holds(&at.parse().expect("valid")), inside, "{at}");
        }
    }

    #[test]
    fn a_leap_day_is_a_day_of_its_own() {
        let leap = window(|document| {
            document.dates = vec![DateRange {
                from: "2028-02-29".into(),
                to: "2028-02-29".into(),
            }];
            document.days = vec![Day::Tue];
        });
        for (at, inside) in [
            ("2028-02-28T23:59:59.999Z", false),
            ("2028-02-29T00:00:00.000Z", true),
            ("2028-02-29T23:59:59.999+13:00", true),
            ("2028-03-01T00:00:00.000Z", false),
        ] {
            assert_eq!(leap.holds(&at.parse().expect("valid")), inside, "{at}");
        }
        // The shift that begins on it ends on the first of March.
        let night = window(|document| {
            document.times = vec![TimeRange {
                from: "22:00".into(),
                to: "06:00".into(),
            }];
            document.dates = vec![DateRange {
                from: "2028-02-29".into(),
                to: "2028-02-29".into(),
            }];
        });
        assert!(night.holds(&"2028-03-01T05:59:59.999Z".parse().expect("valid")));
        assert!(!night.holds(&"2028-02-29T05:59:59.999Z".parse().expect("valid")));
    }
}
