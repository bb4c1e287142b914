//! Points in time as microseconds since the Unix epoch, and their text forms.
//!
//! Not a clock: values come from packets, records or `service::Clock`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Microseconds since 1970-01-01T00:00:00Z, UTC, may be negative.
///
/// The text form is EVE's: `2026-11-22T15:04:05.123456+0000`. It has room for the years 0 to 9999; a time
/// beyond (a hostile packet may carry one) is written as the nearest that can be read again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// Text that is not a point in time.
#[derive(Debug, thiserror::Error)]
#[error("not a timestamp (RFC 3339 expected): {text:?}")]
pub struct TimeError {
    text: String,
}

/// First and last time that has a text form, microseconds.
const WRITABLE: (i64, i64) = (-62_167_219_200_000_000, 253_402_207_200_999_999);

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);

    /// From microseconds since the epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From whole seconds since the epoch; saturates.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This time plus `micros` (may be negative); saturates.
    #[must_use]
    pub const fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// This time plus `seconds` (may be negative); saturates.
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        self.plus_micros(seconds.saturating_mul(1_000_000))
    }

    /// Microseconds from `earlier` to this time; negative when it is later.
    #[must_use]
    pub const fn micros_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This time, or the nearest that has a text form.
    fn writable(self) -> Self {
        Self(self.0.clamp(WRITABLE.0, WRITABLE.1))
    }

    /// The day as `YYYY-MM-DD`, UTC: the name of a time partition.
    #[must_use]
    pub fn day(self) -> String {
        let (year, month, day) = civil(self.writable().seconds().div_euclid(86_400));
        format!("{year:04}-{month:02}-{day:02}")
    }
}

/// Year, month, day of a day number (days since the epoch), proleptic Gregorian.
///
/// Source: H. Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.
const fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.writable();
        let seconds = time.seconds();
        let (year, month, day) = civil(seconds.div_euclid(86_400));
        let of_day = seconds.rem_euclid(86_400);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        let micros = time.0.rem_euclid(1_000_000);
        write!(
            out,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}+0000"
        )
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;

    /// Reads RFC 3339 and its common relatives: `+0000`, `+00:00`, `Z`, a space instead of `T`,
    /// any number of fraction digits (kept to microseconds). No zone means UTC.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let trimmed = text.trim();
        let parsed = trimmed.parse::<jiff::Timestamp>().or_else(|_| {
            trimmed
                .parse::<jiff::civil::DateTime>()
                .and_then(|civil| civil.to_zoned(jiff::tz::TimeZone::UTC))
                .map(|zoned| zoned.timestamp())
        });
        parsed
            .map(|time| Self(time.as_microsecond()))
            .map_err(|_| TimeError { text: trimmed.chars().take(64).collect() })
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_forms() {
        let check = |text: &str, expected: &str| {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), expected, "{text}");
        };
        check("2026-11-22T15:04:05.123456+0000", "2026-11-22T15:04:05.123456+0000");
        check("2026-11-22T15:04:05Z", "2026-11-22T15:04:05.000000+0000");
        check("2026-11-22T16:04:05.5+01:00", "2026-11-22T15:04:05.500000+0000");
        check("2026-11-22 15:04:05", "2026-11-22T15:04:05.000000+0000");
        check("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999+0000");
        check("2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000000+0000");
        check("2026-11-22t15:04:05z", "2026-11-22T15:04:05.000000+0000");
        check(" 2026-11-22T15:04:05-00:00 ", "2026-11-22T15:04:05.000000+0000");
        check("2026-01-01T00:30:00+23:59", "2025-12-31T00:31:00.000000+0000");
        check("2026-11-22T15:04:05.1234569Z", "2026-11-22T15:04:05.123456+0000");
        check("0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000000+0000");
        // A leap second is the last moment before it (RFC 3339 section 5.7, appendix D).
        check("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.000000+0000");
        check("2017-01-01T00:59:60+01:00", "2016-12-31T23:59:59.000000+0000");
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in [
            "",
            "yesterday",
            "2026-13-01T00:00:00Z",
            "2026-11-22T25:00:00Z",
            "12",
            "2026-02-29T00:00:00Z",
            "2026-11-22T15:60:00Z",
            "2026-11-22T15:04:61Z",
            "2026-11-22T15:04:05+24:60",
            "2026-11-22T15:04:05Z x",
            "12026-11-22T15:04:05Z",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
        assert_eq!(
            "x".repeat(500).parse::<Timestamp>().unwrap_err().to_string().len(),
            "not a timestamp (RFC 3339 expected): \"\"".len() + 64
        );
    }

    #[test]
    fn extremes_are_written_as_the_nearest_that_can_be_read() {
        for (micros, expected) in [
            (i64::MAX, "9999-12-30T22:00:00.999999+0000"),
            (WRITABLE.1 + 1, "9999-12-30T22:00:00.999999+0000"),
            (WRITABLE.0 - 1, "0000-01-01T00:00:00.000000+0000"),
            (i64::MIN, "0000-01-01T00:00:00.000000+0000"),
        ] {
            let time = Timestamp::from_micros(micros);
            assert_eq!(time.to_string(), expected);
            assert_eq!(expected.parse::<Timestamp>().unwrap().to_string(), expected);
        }
    }

    #[test]
    fn days() {
        assert_eq!(Timestamp::from_seconds(0).day(), "1970-01-01");
        assert_eq!(Timestamp::from_seconds(-1).day(), "1969-12-31");
        assert_eq!(Timestamp::from_seconds(1_795_359_845).day(), "2026-11-22");
    }

    proptest! {
        #[test]
        fn display_and_parse_agree(micros in WRITABLE.0..=WRITABLE.1) {
            let time = Timestamp::from_micros(micros);
            prop_assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
        }

        /// Any time an agent writes can be read by its collector, and stays before or after the others.
        #[test]
        fn every_time_can_be_read_again(left in any::<i64>(), right in any::<i64>()) {
            let again = |micros| {
                let time = Timestamp::from_micros(micros);
                assert!(time.to_string().starts_with(&time.day()));
                let json = serde_json::to_string(&time).unwrap();
                serde_json::from_str::<Timestamp>(&json).unwrap()
            };
            prop_assert!(left > right || again(left) <= again(right));
        }

        /// Arithmetic ends at the bounds instead of turning round.
        #[test]
        fn arithmetic_saturates(at in any::<i64>(), by in any::<i64>()) {
            let time = Timestamp::from_micros(at);
            let exact = i128::from(at) + i128::from(by);
            let bounded = |value: i128| value.clamp(i64::MIN.into(), i64::MAX.into());
            prop_assert_eq!(i128::from(time.plus_micros(by).micros()), bounded(exact));
            let seconds = bounded(i128::from(by) * 1_000_000);
            prop_assert_eq!(i128::from(Timestamp::from_seconds(by).micros()), seconds);
            prop_assert_eq!(i128::from(time.plus_seconds(by).micros()), bounded(i128::from(at) + seconds));
            let since = bounded(i128::from(at) - i128::from(by));
            prop_assert_eq!(i128::from(time.micros_since(Timestamp::from_micros(by))), since);
        }

        /// Days and seconds agree with an independent calendar.
        #[test]
        fn days_are_those_of_the_calendar(seconds in -60_000_000_000_i64..250_000_000_000) {
            let civil = jiff::Timestamp::from_second(seconds).unwrap().to_zoned(jiff::tz::TimeZone::UTC);
            let time = Timestamp::from_seconds(seconds);
            prop_assert_eq!(time.day(), civil.strftime("%Y-%m-%d").to_string());
            prop_assert_eq!(time.seconds(), seconds);
        }

        #[test]
        fn any_text_is_a_time_or_an_error(text in "\\PC{0,40}") {
            if let Ok(time) = text.parse::<Timestamp>() {
                prop_assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
            }
        }
    }
}
