//! Moments in time: whole milliseconds since 1970 in UTC, written as RFC 3339 with exactly three decimals and `Z`.

use std::{fmt, ops, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A moment, to the millisecond. Years 1970 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// A string that is not an RFC 3339 moment of the years 1970 to 9999.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a moment such as 2026-01-31T08:00:00.000Z (RFC 3339) is wanted here")]
pub struct TimestampError;

/// The last millisecond of the year 9999.
const MAX: i64 = 253_402_300_799_999;

impl Timestamp {
    /// From milliseconds since 1970; values outside 1970 to 9999 are moved to the nearest end.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(0, MAX))
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, as in JWT claims.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0 / 1000
    }

    /// As a date and time in UTC.
    #[must_use]
    pub fn to_datetime(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// Cut to whole milliseconds.
    #[must_use]
    pub fn from_datetime(at: OffsetDateTime) -> Self {
        Self::from_millis(i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000)).unwrap_or(MAX))
    }

    /// How long since `earlier`; zero if it is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}

impl ops::Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, d: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(i64::try_from(d.as_millis()).unwrap_or(MAX)))
    }
}

impl ops::Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, d: Duration) -> Self {
        Self::from_millis(self.0.saturating_sub(i64::try_from(d.as_millis()).unwrap_or(MAX)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = self.to_datetime();
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            t.year(),
            u8::from(t.month()),
            t.day(),
            t.hour(),
            t.minute(),
            t.second(),
            t.millisecond()
        )
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;
    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let at = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| TimestampError)?;
        let millis = i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000)).map_err(|_| TimestampError)?;
        if (0..=MAX).contains(&millis) {
            Ok(Self(millis))
        } else {
            Err(TimestampError)
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_reads_back_what_it_prints() {
        let t: Timestamp = "2026-03-02T10:00:00.5+01:00".parse().unwrap();
        assert_eq!(t.to_string(), "2026-03-02T09:00:00.500Z");
        assert_eq!(t.to_string().parse(), Ok(t));
        assert_eq!(Timestamp::from_datetime(t.to_datetime()), t);
    }

    #[test]
    fn moments_outside_the_range_are_refused() {
        assert_eq!("1969-12-31T23:59:59.999Z".parse::<Timestamp>(), Err(TimestampError));
        assert_eq!("tomorrow".parse::<Timestamp>(), Err(TimestampError));
    }
}
