//! Days, weeks, months, quarters and years as people in a time zone have them, and where spans of time
//! begin there.
//!
//! Zones are fixed offsets or names of the IANA time zone database. Not a clock, and no reader of times as
//! text but for those without a zone ([`super::timespan`] has the rest).

use event::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};
use serde::{Deserialize, Serialize};

use super::value::clamp;

const SECOND: i64 = 1_000_000;
/// Longest name of a zone, bytes; the database has none over 32.
const MAX_NAME: usize = 64;

/// A span of time whose length the calendar says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// From midnight to midnight: 23 to 25 hours.
    Day,
    /// From Monday on.
    Week,
    /// A month.
    Month,
    /// Three months, from January on.
    Quarter,
    /// A year.
    Year,
}

impl Unit {
    /// The first day of the span that holds a day.
    fn first(self, day: Date) -> Option<Date> {
        let month = |month: i8| Date::new(day.year(), month, 1).ok();
        match self {
            Self::Day => Some(day),
            Self::Week => {
                let back = i32::from(day.weekday().to_monday_zero_offset());
                day.checked_sub(jiff::Span::new().days(back)).ok()
            }
            Self::Month => month(day.month()),
            Self::Quarter => month((day.month() - 1) / 3 * 3 + 1),
            Self::Year => month(1),
        }
    }

    /// The first day of the next span, given that of one.
    fn next(self, first: Date) -> Option<Date> {
        let span = jiff::Span::new();
        let span = match self {
            Self::Day => span.days(1),
            Self::Week => span.days(7),
            Self::Month => span.months(1),
            Self::Quarter => span.months(3),
            Self::Year => span.years(1),
        };
        first.checked_add(span).ok()
    }
}

/// A text that is no time zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a time zone: {text:?}; write UTC, +02:00 or a name such as Europe/Zurich")]
pub struct ZoneError {
    text: String,
}

/// A time zone.
#[derive(Clone, Debug)]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

impl Default for Zone {
    fn default() -> Self {
        Self::utc()
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Zone {
    /// UTC.
    #[must_use]
    pub fn utc() -> Self {
        Self { name: "UTC".to_owned(), zone: TimeZone::UTC }
    }

    /// A zone as it is written: `UTC`, `Z`, `+02:00`, `-0530`, `+2`, `Europe/Zurich`.
    ///
    /// # Errors
    /// [`ZoneError`].
    pub fn named(text: &str) -> Result<Self, ZoneError> {
        let wrong = || ZoneError { text: text.chars().take(MAX_NAME).collect() };
        if text.eq_ignore_ascii_case("utc") || text.eq_ignore_ascii_case("z") {
            return Ok(Self::utc());
        }
        let zone = match text.strip_prefix(['+', '-']) {
            Some(rest) => {
                let seconds = offset(rest).ok_or_else(wrong)?;
                let seconds = if text.starts_with('-') { -seconds } else { seconds };
                TimeZone::fixed(Offset::from_seconds(seconds).map_err(|_| wrong())?)
            }
            None if text.len() <= MAX_NAME => TimeZone::get(text).map_err(|_| wrong())?,
            None => return Err(wrong()),
        };
        Ok(Self { name: text.to_owned(), zone })
    }

    /// Its name as it was written.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Seconds that its clocks are ahead of UTC at a time, microseconds.
    #[must_use]
    pub fn ahead(&self, micros: i64) -> i64 {
        i64::from(self.zone.to_offset(instant(micros)).seconds())
    }

    /// The seconds that its clocks are ahead from one time to another, when that does not change.
    #[must_use]
    pub fn steady(&self, (low, high): (i64, i64)) -> Option<i64> {
        let next = self.change(low);
        next.is_none_or(|next| next > high).then(|| self.ahead(low))
    }

    /// When its clocks are set next, microseconds.
    fn change(&self, after: i64) -> Option<i64> {
        let ahead = self.ahead(after);
        let changes = self.zone.following(instant(after));
        let mut changes = changes.map(|change| change.timestamp().as_microsecond());
        changes.find(|at| self.ahead(*at) != ahead)
    }

    /// When a day begins, microseconds: where midnight is left out, the first moment behind it.
    fn midnight(&self, day: Date) -> i64 {
        let begins = self.zone.to_timestamp(day.to_datetime(jiff::civil::Time::midnight()));
        begins.map_or(i64::MAX, |time| clamp(time.as_microsecond()))
    }

    fn day(&self, micros: i64) -> Date {
        self.zone.to_datetime(instant(micros)).date()
    }

    /// The first moment of the span that holds a time, and that of the next span.
    #[must_use]
    pub fn span(&self, unit: Unit, micros: i64) -> (i64, i64) {
        let first = unit.first(self.day(micros));
        let next = first.and_then(|first| unit.next(first));
        let begins = first.map_or(micros, |first| self.midnight(first));
        (begins, next.map_or(i64::MAX, |next| self.midnight(next)))
    }

    /// A day or a time of day without a zone: its first and its last microsecond.
    #[must_use]
    pub fn local(&self, text: &str) -> Option<(i64, i64)> {
        if text.len() == "2026-11-22".len() {
            let day: Date = text.parse().ok()?;
            let (begins, next) = (self.midnight(day), self.midnight(Unit::Day.next(day)?));
            return Some((begins, next.saturating_sub(1)));
        }
        // What names its own offset is no time of this zone.
        if text.parse::<jiff::Timestamp>().is_ok() {
            return None;
        }
        let time: DateTime = text.parse().ok()?;
        let point = self.zone.to_timestamp(time).ok()?.as_microsecond();
        Some((point, point))
    }
}

fn instant(micros: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_microsecond(clamp(micros)).unwrap_or_default()
}

/// Seconds of `2`, `02`, `0230` or `02:30`.
fn offset(text: &str) -> Option<i32> {
    let (hours, minutes) = match (text.split_once(':'), text.len()) {
        (Some(pair), _) => pair,
        (None, 1 | 2) => (text, "0"),
        (None, 4) => text.split_at_checked(2)?,
        _ => return None,
    };
    let digits = |part: &str, most: i32| {
        let all = (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        part.parse().ok().filter(|number| all && (0..=most).contains(number))
    };
    Some(digits(hours, 18)? * 3600 + digits(minutes, 59)? * 60)
}

/// How long spans of time are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// As the calendar says.
    Unit(Unit),
    /// So many microseconds, counted from midnight of the zone's clocks.
    Width(i64),
}

/// Where spans begin that hold the times from `low` to `high`, microseconds, and where the last one ends;
/// all of it `shift` later.
///
/// # Errors
/// More than `most`: how many there would be at least.
pub fn borders(
    step: Step,
    zone: &Zone,
    (low, high): (i64, i64),
    (shift, most): (i64, usize),
) -> Result<Vec<i64>, usize> {
    let (low, high) = (low.saturating_sub(shift), high.saturating_sub(shift));
    let mut out = vec![begins(step, zone, low)];
    let mut last = out.first().copied().unwrap_or(low);
    while last <= high {
        last = following(step, zone, last).max(last.saturating_add(1));
        out.push(last);
        if out.len() > most.saturating_add(1) {
            return Err(out.len());
        }
    }
    out.iter_mut().for_each(|border| *border = border.saturating_add(shift));
    Ok(out)
}

/// When the span begins that holds a time.
#[must_use]
pub fn begins(step: Step, zone: &Zone, micros: i64) -> i64 {
    match step {
        Step::Unit(unit) => zone.span(unit, micros).0,
        Step::Width(width) => {
            let ahead = zone.ahead(micros).saturating_mul(SECOND);
            let local = micros.saturating_add(ahead);
            local.saturating_sub(local.rem_euclid(width.max(1))).saturating_sub(ahead)
        }
    }
}

/// The first border behind one.
fn following(step: Step, zone: &Zone, border: i64) -> i64 {
    let width = match step {
        Step::Unit(unit) => return zone.span(unit, border).1,
        Step::Width(width) => width.max(1),
    };
    let mut at = border;
    loop {
        let next = begins(step, zone, at).saturating_add(width);
        match zone.change(at) {
            // What began before the clocks are set ends where they say then.
            Some(change) if change < next => {
                let begun = begins(step, zone, change);
                if begun > border {
                    return begun;
                }
                at = change;
            }
            _ => return next,
        }
    }
}

/// A time as it is written with the offset of a zone.
#[must_use]
pub fn written(zone: &Zone, time: Timestamp) -> (Timestamp, i64) {
    let ahead = zone.ahead(time.micros());
    (time.plus_seconds(ahead), ahead)
}

#[cfg(test)]
#[path = "calendar_tests.rs"]
mod tests;
