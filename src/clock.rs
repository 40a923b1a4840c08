//! Points in time and spans of time: the types, and the one place that reads the clock.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// A point in time, UTC, to the microsecond; RFC 3339 as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(DateTime<Utc>);

/// The text is not a point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a point in time: write it as RFC 3339 with an offset, like `2026-11-20T23:15:06Z`")]
pub struct NotATimestamp;

impl Timestamp {
    /// Reads the wall clock.
    #[must_use]
    pub fn now() -> Self {
        Self::from_micros(Utc::now().timestamp_micros())
    }

    /// The point in time this many microseconds after 1970; saturates at the ends of the calendar.
    #[must_use]
    pub fn from_micros(micros: i64) -> Self {
        Self(
            DateTime::from_timestamp_micros(micros).unwrap_or(if micros < 0 {
                DateTime::<Utc>::MIN_UTC
            } else {
                DateTime::<Utc>::MAX_UTC
            }),
        )
    }

    /// Microseconds since 1970.
    #[must_use]
    pub fn micros(self) -> i64 {
        self.0.timestamp_micros()
    }

    /// How long after `earlier` this is; zero when it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Span {
        Span::from_millis(u64::try_from((self.0 - earlier.0).num_milliseconds()).unwrap_or(0))
    }

    /// This point in time, `span` later; saturates.
    #[must_use]
    pub fn plus(self, span: Span) -> Self {
        let micros = i64::try_from(span.millis())
            .unwrap_or(i64::MAX)
            .saturating_mul(1000);
        Self::from_micros(self.micros().saturating_add(micros))
    }

    /// The chrono value, for expressions and calendars.
    #[must_use]
    pub fn as_chrono(self) -> DateTime<Utc> {
        self.0
    }

    /// Time of day for people, UTC, to the second: `23:15:06`.
    #[must_use]
    pub fn time_of_day(self) -> String {
        self.0.format("%H:%M:%S").to_string()
    }
}
impl FromStr for Timestamp {
    type Err = NotATimestamp;
    fn from_str(text: &str) -> Result<Self, NotATimestamp> {
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| NotATimestamp)?;
        Ok(Self::from_micros(time.timestamp_micros()))
    }
}
impl TryFrom<String> for Timestamp {
    type Error = NotATimestamp;
    fn try_from(text: String) -> Result<Self, NotATimestamp> {
        text.parse()
    }
}
impl From<Timestamp> for String {
    fn from(time: Timestamp) -> String {
        time.to_string()
    }
}
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

/// A span of time, in whole milliseconds; as text a number and a unit, or several: `90s`, `1h30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(u64);

/// The text is not a span of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a duration: write numbers with units `ms`, `s`, `m`, `h` or `d`, like `90s` or `1h30m`"
)]
pub struct NotASpan;

/// Units from long to short, with their milliseconds.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

impl Span {
    /// So many seconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// So many milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Whole milliseconds.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// As the standard library's type, for timers.
    #[must_use]
    pub const fn as_std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }

    /// For people: the two largest units, nothing finer than a second unless it is all there is: `1h30m`, `42s`, `350ms`.
    #[must_use]
    pub fn rounded(self) -> String {
        let coarse = if self.0 >= 1000 {
            Self(self.0 - self.0 % 1000)
        } else {
            self
        };
        let parts = coarse.parts();
        parts
            .iter()
            .take(2)
            .map(|(n, unit)| format!("{n}{unit}"))
            .collect()
    }

    fn parts(self) -> Vec<(u64, &'static str)> {
        let mut left = self.0;
        let mut parts = Vec::new();
        for (unit, millis) in UNITS {
            if left >= millis {
                parts.push((left / millis, unit));
                left %= millis;
            }
        }
        if parts.is_empty() {
            parts.push((0, "s"));
        }
        parts
    }
}
impl FromStr for Span {
    type Err = NotASpan;
    fn from_str(text: &str) -> Result<Self, NotASpan> {
        let mut rest = text;
        let mut total: u64 = 0;
        let mut longest_left = u64::MAX;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or(NotASpan)?;
            let number: u64 = rest[..digits].parse().map_err(|_| NotASpan)?;
            rest = &rest[digits..];
            let end = rest
                .find(|c: char| c.is_ascii_digit())
                .unwrap_or(rest.len());
            let (_, millis) = UNITS
                .into_iter()
                .find(|(unit, _)| *unit == &rest[..end])
                .ok_or(NotASpan)?;
            if millis >= longest_left {
                return Err(NotASpan);
            }
            longest_left = millis;
            total = number
                .checked_mul(millis)
                .and_then(|n| total.checked_add(n))
                .ok_or(NotASpan)?;
            rest = &rest[end..];
        }
        if text.is_empty() {
            Err(NotASpan)
        } else {
            Ok(Self(total))
        }
    }
}
impl TryFrom<String> for Span {
    type Error = NotASpan;
    fn try_from(text: String) -> Result<Self, NotASpan> {
        text.parse()
    }
}
impl From<Span> for String {
    fn from(span: Span) -> String {
        span.to_string()
    }
}
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts()
            .iter()
            .try_for_each(|(n, unit)| write!(f, "{n}{unit}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn spans_and_times_survive_their_text(millis in 0..u64::MAX / 2, micros in -62_000_000_000_000_000_i64..250_000_000_000_000_000) {
            let span = Span::from_millis(millis);
            prop_assert_eq!(span.to_string().parse(), Ok(span));
            let time = Timestamp::from_micros(micros);
            prop_assert_eq!(time.to_string().parse(), Ok(time));
        }

        #[test]
        fn no_text_makes_the_parsers_panic(text in ".*") {
            let _ = text.parse::<Span>();
            let _ = text.parse::<Timestamp>();
        }
    }

    #[test]
    fn a_time_without_an_offset_is_refused() {
        for bad in ["2026-11-20T23:15:06", "2026-11-20", "yesterday", ""] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad:?}");
        }
        assert_eq!(
            "2026-11-21T00:15:06+01:00".parse(),
            "2026-11-20T23:15:06Z".parse::<Timestamp>()
        );
    }

    #[test]
    fn a_span_needs_units_in_falling_order() {
        for bad in [
            "",
            "5",
            "m",
            "5 m",
            "-5m",
            "5m1h",
            "1.5h",
            "5m5m",
            "99999999999999999999d",
        ] {
            assert!(bad.parse::<Span>().is_err(), "{bad:?}");
        }
        assert_eq!("1h30m".parse::<Span>().map(Span::millis), Ok(5_400_000));
        assert_eq!(Span::from_millis(5_430_350).rounded(), "1h30m");
        assert_eq!(Span::from_millis(42_350).rounded(), "42s");
    }
}
