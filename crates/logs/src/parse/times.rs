//! Times as programs and devices write them: one lenient reader for all of them.
//!
//! ISO 8601 with its relatives (blank for `T`, `/` for `-`, comma before the fraction), the times of syslog and
//! of Cisco, of web servers, of `ctime`, and counts since the epoch. Not a clock: the time of reading is given,
//! and tells the year of a time without one.

use event::Timestamp;

/// Zones by the abbreviations that devices write, minutes east of Greenwich.
const ABBREVIATIONS: &[(&str, i64)] = &[
    ("UTC", 0),
    ("GMT", 0),
    ("WET", 0),
    ("WEST", 60),
    ("BST", 60),
    ("CET", 60),
    ("CEST", 120),
    ("MET", 60),
    ("MEST", 120),
    ("EET", 120),
    ("EEST", 180),
    ("MSK", 180),
    ("IST", 330),
    ("HKT", 480),
    ("SGT", 480),
    ("AWST", 480),
    ("JST", 540),
    ("KST", 540),
    ("AEST", 600),
    ("AEDT", 660),
    ("NZST", 720),
    ("NZDT", 780),
    ("EST", -300),
    ("EDT", -240),
    ("CST", -360),
    ("CDT", -300),
    ("MST", -420),
    ("MDT", -360),
    ("PST", -480),
    ("PDT", -420),
];

/// The zone of times that name none.
#[derive(Clone, Debug)]
pub struct Zone(jiff::tz::TimeZone);

impl Zone {
    /// UTC.
    #[must_use]
    pub const fn utc() -> Self {
        Self(jiff::tz::TimeZone::UTC)
    }

    /// A zone by its name, such as `Europe/Zurich`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        jiff::tz::TimeZone::get(name).ok().map(Self)
    }
}

/// The time that a whole text is, blanks around it aside.
pub(crate) fn read(text: &str, zone: &Zone, now: Timestamp) -> Option<Timestamp> {
    let text = text.trim_matches([' ', '[', ']']);
    lead(text, zone, now).filter(|(_, rest)| rest.is_empty()).map(|(time, _)| time)
}

/// A time at the head of a text, and what follows it.
pub(crate) fn lead<'a>(text: &'a str, zone: &Zone, now: Timestamp) -> Option<(Timestamp, &'a str)> {
    let mut cursor = Cursor { rest: text };
    let first = cursor.peek()?;
    let time = if first.is_ascii_digit() {
        digits_first(&mut cursor, zone, now)?
    } else {
        name_first(&mut cursor, zone, now)?
    };
    Some((time, cursor.rest))
}

/// Seconds, or milli-, micro-, nanoseconds since the epoch, by the size of the number.
pub(crate) fn epoch(number: f64) -> Timestamp {
    let scale = match number.abs() {
        size if size < 1e11 => 1e6,
        size if size < 1e14 => 1e3,
        size if size < 1e17 => 1.0,
        _ => 1e-3,
    };
    #[expect(clippy::cast_possible_truncation, reason = "float casts saturate")]
    let micros = (number * scale) as i64;
    Timestamp::from_micros(micros)
}

#[derive(Clone, Copy)]
struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<u8> {
        self.rest.as_bytes().first().copied()
    }

    fn skip(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches(' ');
    }

    /// Takes the byte when it is one of these.
    fn one_of(&mut self, wanted: &[u8]) -> Option<u8> {
        let byte = self.peek().filter(|byte| wanted.contains(byte))?;
        self.skip(1);
        Some(byte)
    }

    fn count_digits(&self) -> usize {
        self.rest.bytes().take(32).take_while(u8::is_ascii_digit).count()
    }

    /// A number of at least `least` and at most `most` digits, all that stand there.
    fn number(&mut self, least: usize, most: usize) -> Option<i64> {
        let count = self.count_digits();
        if !(least..=most).contains(&count) {
            return None;
        }
        let value = self.rest.get(..count)?.parse().ok()?;
        self.skip(count);
        Some(value)
    }

    fn letters(&self) -> &'a str {
        let count = self.rest.bytes().take(12).take_while(u8::is_ascii_alphabetic).count();
        self.rest.get(..count).unwrap_or_default()
    }

    fn month(&mut self) -> Option<i8> {
        let month = month(self.letters())?;
        self.skip(3);
        Some(month)
    }
}

/// The number of a month by the three letters it is written with.
pub(crate) fn month(name: &str) -> Option<i8> {
    Some(match name {
        "Jan" => 1,
        "Feb" => 2,
        "Mar" => 3,
        "Apr" => 4,
        "May" => 5,
        "Jun" => 6,
        "Jul" => 7,
        "Aug" => 8,
        "Sep" => 9,
        "Oct" => 10,
        "Nov" => 11,
        "Dec" => 12,
        _ => return None,
    })
}

/// A day, and the year when it is written.
struct Day {
    year: Option<i64>,
    month: i8,
    day: i64,
}

fn digits_first(cursor: &mut Cursor<'_>, zone: &Zone, now: Timestamp) -> Option<Timestamp> {
    let count = cursor.count_digits();
    let next = cursor.rest.as_bytes().get(count).copied().unwrap_or_default();
    match (count, next) {
        (4, b'-' | b'/' | b'.') => year_first(cursor, zone, now),
        (1 | 2, b'-' | b'/' | b' ') => {
            let day = cursor.number(1, 2)?;
            cursor.skip(1);
            let month = cursor.month()?;
            cursor.one_of(b"-/ ")?;
            let year = Some(cursor.number(4, 4)?);
            cursor.one_of(b": T")?;
            clock_and_zone(cursor, &Day { year, month, day }, zone, now)
        }
        (8, b'T') => {
            let (year, month, day) = split_date(cursor.number(8, 8)?)?;
            cursor.skip(1);
            let clock = cursor.number(6, 6)?;
            let clock = clock / 10_000 * 3600 + clock / 100 % 100 * 60 + clock % 100;
            finish(cursor, &Day { year: Some(year), month, day }, clock * 1_000_000, zone, now)
        }
        (9..=19, _) => count_since_epoch(cursor),
        _ => None,
    }
}

fn split_date(number: i64) -> Option<(i64, i8, i64)> {
    Some((number / 10_000, i8::try_from(number / 100 % 100).ok()?, number % 100))
}

fn year_first(cursor: &mut Cursor<'_>, zone: &Zone, now: Timestamp) -> Option<Timestamp> {
    let year = Some(cursor.number(4, 4)?);
    let separator = cursor.one_of(b"-/.")?;
    let month = i8::try_from(cursor.number(1, 2)?).ok()?;
    cursor.one_of(&[separator])?;
    let day = cursor.number(1, 2)?;
    cursor.one_of(b"T t-")?;
    cursor.blanks();
    clock_and_zone(cursor, &Day { year, month, day }, zone, now)
}

/// Digits and a fraction: exact to the microsecond, unlike a float.
fn count_since_epoch(cursor: &mut Cursor<'_>) -> Option<Timestamp> {
    let count = cursor.count_digits();
    let whole = cursor.number(9, 19)?;
    let fraction = fraction(cursor);
    Some(match count {
        ..=11 => Timestamp::from_seconds(whole).plus_micros(fraction),
        12..=14 => Timestamp::from_micros(whole.saturating_mul(1_000)),
        15..=17 => Timestamp::from_micros(whole),
        _ => Timestamp::from_micros(whole / 1_000),
    })
}

/// `[Sat] Nov 22 [2026] 15:04:05[.123] [CET|+0100] [2026]`
fn name_first(cursor: &mut Cursor<'_>, zone: &Zone, now: Timestamp) -> Option<Timestamp> {
    let word = cursor.letters();
    if matches!(word, "Mon" | "Tue" | "Wed" | "Thu" | "Fri" | "Sat" | "Sun") {
        cursor.skip(3);
        cursor.one_of(b",");
        cursor.blanks();
        if cursor.peek()?.is_ascii_digit() {
            return digits_first(cursor, zone, now);
        }
    }
    let month = cursor.month()?;
    cursor.one_of(b" ")?;
    cursor.blanks();
    let day = cursor.number(1, 2)?;
    cursor.one_of(b",");
    cursor.one_of(b" ")?;
    cursor.blanks();
    let mut day = Day { year: None, month, day };
    if cursor.rest.as_bytes().get(4) == Some(&b' ') && cursor.count_digits() == 4 {
        day.year = cursor.number(4, 4);
        cursor.blanks();
    }
    let clock = clock(cursor)?;
    let mut ahead = *cursor;
    ahead.blanks();
    let year = ahead.number(4, 4).filter(|year| (1990..2200).contains(year));
    let ends = ahead.peek().is_none_or(|byte| matches!(byte, b' ' | b':' | b']'));
    if day.year.is_none() && year.is_some() && ends {
        day.year = year;
        *cursor = ahead;
    }
    finish(cursor, &day, clock, zone, now)
}

fn clock_and_zone(
    cursor: &mut Cursor<'_>,
    day: &Day,
    zone: &Zone,
    now: Timestamp,
) -> Option<Timestamp> {
    let clock = clock(cursor)?;
    finish(cursor, day, clock, zone, now)
}

/// `15:04[:05[.123]]` in microseconds; a leap second is the last of its minute.
fn clock(cursor: &mut Cursor<'_>) -> Option<i64> {
    let hour = cursor.number(1, 2).filter(|hour| *hour < 24)?;
    cursor.one_of(b":")?;
    let minute = cursor.number(2, 2).filter(|minute| *minute < 60)?;
    let mut second = 0;
    let mut micros = 0;
    if cursor.one_of(b":").is_some() {
        second = cursor.number(2, 2).filter(|second| *second <= 60)?.min(59);
        micros = fraction(cursor);
    }
    Some((hour * 3600 + minute * 60 + second) * 1_000_000 + micros)
}

/// A fraction of a second behind a dot or comma, microseconds; further digits are dropped.
fn fraction(cursor: &mut Cursor<'_>) -> i64 {
    let mut behind = *cursor;
    if behind.one_of(b".,").is_none() {
        return 0;
    }
    let count = behind.count_digits();
    if count == 0 {
        return 0;
    }
    let digits = behind.rest.get(..count.min(6)).unwrap_or_default();
    let value: i64 = digits.parse().unwrap_or(0);
    behind.skip(count);
    *cursor = behind;
    (digits.len()..6).fold(value, |value, _| value * 10)
}

/// The zone behind a clock, else the given one, and all of it together.
fn finish(
    cursor: &mut Cursor<'_>,
    day: &Day,
    clock: i64,
    zone: &Zone,
    now: Timestamp,
) -> Option<Timestamp> {
    const DAY: i64 = 86_400_000_000;
    let offset = offset(cursor);
    if let Some(year) = day.year {
        return placed(local(year, day, clock)?, offset, zone);
    }
    // No year: the newest that does not lie more than a day ahead (29 February needs a leap year). Zones differ by
    // less than a day, so that a year that is too late by more needs no look at them.
    let this = jiff::Timestamp::from_microsecond(now.micros()).ok()?;
    let this = i64::from(jiff::tz::Offset::UTC.to_datetime(this).year());
    let latest = now.micros().saturating_add(DAY);
    (0..9).map(|back| this + 1 - back).find_map(|year| {
        let local = local(year, day, clock).filter(|local| *local <= latest + DAY)?;
        placed(local, offset, zone).filter(|time| time.micros() <= latest)
    })
}

/// Microseconds east of Greenwich: `Z`, `+01:00`, `+0100`, `CET` before a colon, a bracket or the end.
fn offset(cursor: &mut Cursor<'_>) -> Option<i64> {
    const MINUTE: i64 = 60_000_000;
    let mut behind = *cursor;
    behind.blanks();
    let blank = behind.rest.len() != cursor.rest.len();
    let word = behind.letters();
    if word.is_empty() {
        let sign = behind.one_of(b"+-")?;
        let hours = behind.rest.get(..2)?.parse::<i64>().ok().filter(|hours| *hours <= 15)?;
        behind.skip(2);
        behind.one_of(b":");
        let minutes = if behind.count_digits() >= 2 { behind.number(2, 2)? } else { 0 };
        *cursor = behind;
        let east = (hours * 60 + minutes) * MINUTE;
        return Some(if sign == b'-' { -east } else { east });
    }
    behind.skip(word.len());
    if word == "Z" && !blank {
        *cursor = behind;
        return Some(0);
    }
    let ends = behind.peek().is_none_or(|byte| matches!(byte, b':' | b']'));
    let (_, minutes) = ABBREVIATIONS.iter().find(|(name, _)| ends && *name == word)?;
    *cursor = behind;
    Some(minutes * MINUTE)
}

/// Microseconds since the epoch if the zone were UTC; `None` for a day that is none.
fn local(year: i64, day: &Day, clock: i64) -> Option<i64> {
    let year = i16::try_from(year).ok()?;
    let date = jiff::civil::Date::new(year, day.month, i8::try_from(day.day).ok()?).ok()?;
    let civil = date.to_datetime(jiff::civil::Time::midnight());
    Some(jiff::tz::Offset::UTC.to_timestamp(civil).ok()?.as_microsecond() + clock)
}

/// A local time where it belongs: by its own offset, else by the zone.
fn placed(local: i64, offset: Option<i64>, zone: &Zone) -> Option<Timestamp> {
    if let Some(offset) = offset {
        return Some(Timestamp::from_micros(local - offset));
    }
    if zone.0 == jiff::tz::TimeZone::UTC {
        return Some(Timestamp::from_micros(local));
    }
    let civil = jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::from_microsecond(local).ok()?);
    let zoned = civil.to_zoned(zone.0.clone()).ok()?;
    Some(Timestamp::from_micros(zoned.timestamp().as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22T15:04:05Z
    const NOW: Timestamp = Timestamp::from_seconds(1_795_359_845);

    #[test]
    fn times_as_programs_write_them() {
        let zone = Zone::named("Europe/Zurich").unwrap();
        for (text, expected) in [
            ("2026-11-22T15:04:05Z", "2026-11-22T15:04:05.000000+0000"),
            ("2026-11-22T16:04:05.1234567+01:00", "2026-11-22T15:04:05.123456+0000"),
            ("2026-11-22 16:04:05,250", "2026-11-22T15:04:05.250000+0000"),
            ("2026/11/22 16:04:05", "2026-11-22T15:04:05.000000+0000"),
            ("2026-07-01 16:04", "2026-07-01T14:04:00.000000+0000"),
            ("20261122T150405Z", "2026-11-22T15:04:05.000000+0000"),
            ("22/Nov/2026:16:04:05 +0100", "2026-11-22T15:04:05.000000+0000"),
            ("22/Nov/2026:16:04:05.007", "2026-11-22T15:04:05.007000+0000"),
            ("22-Nov-2026 16:04:05.123", "2026-11-22T15:04:05.123000+0000"),
            ("Sun Nov 22 16:04:05.5 2026", "2026-11-22T15:04:05.500000+0000"),
            ("Sun, 22 Nov 2026 15:04:05 GMT", "2026-11-22T15:04:05.000000+0000"),
            ("Nov 22 2026 16:04:05", "2026-11-22T15:04:05.000000+0000"),
            ("Nov 22 15:04:05.123 UTC", "2026-11-22T15:04:05.123000+0000"),
            ("Nov 22 15:04:05 EST", "2026-11-22T20:04:05.000000+0000"),
            ("Nov 22 16:04:60", "2026-11-22T15:04:59.000000+0000"),
            ("1795359845", "2026-11-22T15:04:05.000000+0000"),
            ("1795359845.25", "2026-11-22T15:04:05.250000+0000"),
            ("1795359845123", "2026-11-22T15:04:05.123000+0000"),
            ("1795359845123456", "2026-11-22T15:04:05.123456+0000"),
            ("1795359845123456789", "2026-11-22T15:04:05.123456+0000"),
        ] {
            let time = read(text, &zone, NOW).map(|time| time.to_string());
            assert_eq!(time.as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn the_year_of_a_time_without_one_is_right_around_new_year() {
        for (now, text, expected) in [
            ("2027-01-01T00:00:05Z", "Dec 31 23:59:59", "2026-12-31T23:59:59.000000+0000"),
            ("2026-12-31T23:59:58Z", "Jan 1 00:00:01", "2027-01-01T00:00:01.000000+0000"),
            ("2026-12-30T00:00:00Z", "Jan 1 00:00:01", "2026-01-01T00:00:01.000000+0000"),
            ("2027-03-01T00:00:00Z", "Feb 29 12:00:00", "2024-02-29T12:00:00.000000+0000"),
        ] {
            let time = read(text, &Zone::utc(), now.parse().unwrap()).unwrap();
            assert_eq!(time.to_string(), expected, "{text} read at {now}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            " ",
            "now",
            "Nov",
            "Nov 31 00:00:00",
            "2026-13-01T00:00:00Z",
            "2026-11-22",
            "2026-11-22T25:00:00Z",
            "22/Nov/26:1:1",
            "1795",
            "99999999999999999999",
            "Nov 22 15:04:05 x",
            "Fri",
            "\u{e9}",
            "2026-11-22T15:04:05+zz",
            "1795359845x",
        ] {
            assert_eq!(read(text, &Zone::utc(), NOW), None, "{text:?}");
        }
        let rest = lead("Nov 22 15:04:05 EST sshd: x", &Zone::utc(), NOW).unwrap().1;
        assert_eq!(rest, " EST sshd: x", "a host may be called like a zone");
    }
}
