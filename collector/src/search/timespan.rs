//! Times as people write them in searches: RFC 3339, a day, or relative to now.
//!
//! `now`, `now-15m`, `now-1d/d` (rounded down to the day, with `/w` to Monday); units s, m, h, d, w. Source
//! of the notation: Elasticsearch date math, of which months and years are left out because their
//! length varies.

use event::Timestamp;

use super::calendar::{Step, Unit, Zone, begins};

const SECOND: i64 = 1_000_000;

/// A text that is no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a time: {text:?}; write 2026-11-22T15:04:05Z, 2026-11-22, now, now-15m or now-1d/d (units s m h d w)"
)]
pub struct TimeSpanError {
    text: String,
}

/// The span a text names, microseconds: first and last (inclusive). A point in time is a span of
/// one microsecond, a day one of 24 hours.
///
/// # Errors
/// [`TimeSpanError`].
pub fn span(text: &str, now: Timestamp) -> Result<(i64, i64), TimeSpanError> {
    span_in(text, now, &Zone::utc())
}

/// The same, where days and times without a zone are those of `zone`.
///
/// # Errors
/// [`TimeSpanError`].
pub fn span_in(text: &str, now: Timestamp, zone: &Zone) -> Result<(i64, i64), TimeSpanError> {
    let wrong = || TimeSpanError { text: text.chars().take(64).collect() };
    let trimmed = text.trim();
    if let Some(rest) = trimmed.strip_prefix("now") {
        return relative(rest, now.micros(), zone).map(|at| (at, at)).ok_or_else(wrong);
    }
    if let Some(local) = zone.local(trimmed) {
        return Ok(local);
    }
    let point = trimmed.parse::<Timestamp>().map_err(|_| wrong())?;
    Ok((point.micros(), point.micros()))
}

/// The point in time a text names, a day meaning its start, clamped to what can be stored.
///
/// # Errors
/// [`TimeSpanError`].
pub fn point(text: &str, now: Timestamp) -> Result<i64, TimeSpanError> {
    span(text, now).map(|(start, _)| super::value::clamp(start))
}

fn unit(letter: char) -> Option<i64> {
    let seconds = match letter {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return None,
    };
    Some(seconds * SECOND)
}

fn relative(mut rest: &str, now: i64, zone: &Zone) -> Option<i64> {
    let mut micros = now;
    while !rest.is_empty() {
        let (operator, tail) = (rest.chars().next()?, rest.get(1..)?);
        let digits = tail.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = tail.split_at_checked(digits)?;
        let letter = tail.chars().next()?;
        let width = unit(letter)?;
        match operator {
            '+' | '-' => {
                let count: i64 = number.parse().ok()?;
                let delta = count.checked_mul(width)?;
                micros = if operator == '+' {
                    micros.checked_add(delta)?
                } else {
                    micros.checked_sub(delta)?
                };
            }
            '/' if number.is_empty() => match letter {
                'd' => micros = zone.span(Unit::Day, micros).0,
                'w' => micros = zone.span(Unit::Week, micros).0,
                _ => micros = begins(Step::Width(width), zone, micros),
            },
            _ => return None,
        }
        rest = tail.get(letter.len_utf8()..)?;
    }
    Some(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-22T15:04:05Z";

    #[test]
    fn table() {
        let now: Timestamp = NOW.parse().unwrap();
        let check = |text: &str, expected: &str| {
            let micros = point(text, now).unwrap();
            assert_eq!(Timestamp::from_micros(micros).to_string(), expected, "{text}");
        };
        check("now", "2026-11-22T15:04:05.000000+0000");
        check("now-15m", "2026-11-22T14:49:05.000000+0000");
        check("now-1d/d", "2026-11-21T00:00:00.000000+0000");
        check("now/w", "2026-11-16T00:00:00.000000+0000");
        check("now/h+30s", "2026-11-22T15:00:30.000000+0000");
        check("now-1w", "2026-11-15T15:04:05.000000+0000");
        check("2026-11-22", "2026-11-22T00:00:00.000000+0000");
        check("2026-11-22T15:04:05+01:00", "2026-11-22T14:04:05.000000+0000");
        assert_eq!(span("2026-11-22", now).map(|(a, b)| b - a), Ok(86_400_000_000 - 1));
    }

    #[test]
    fn days_of_a_zone() {
        let now: Timestamp = NOW.parse().unwrap();
        let zone = Zone::named("America/New_York").unwrap();
        let check = |text: &str, expected: &str| {
            let (micros, _) = span_in(text, now, &zone).unwrap();
            assert_eq!(Timestamp::from_micros(micros).to_string(), expected, "{text}");
        };
        check("now", "2026-11-22T15:04:05.000000+0000");
        check("now/d", "2026-11-22T05:00:00.000000+0000");
        check("2026-07-01", "2026-07-01T04:00:00.000000+0000");
        check("2026-07-01T12:00:00", "2026-07-01T16:00:00.000000+0000");
        check("2026-07-01T12:00:00Z", "2026-07-01T12:00:00.000000+0000");
        // A day on which clocks are set back has 25 hours.
        let day = span_in("2026-11-01", now, &zone).map(|(a, b)| b - a);
        assert_eq!(day, Ok(25 * 3_600 * SECOND - 1));
    }

    #[test]
    fn refusals() {
        let now: Timestamp = NOW.parse().unwrap();
        for text in [
            "",
            "nowish",
            "now-",
            "now-5",
            "now-5y",
            "now/5d",
            "now-99999999999999w",
            "12:00",
            "now-é",
        ] {
            assert!(point(text, now).is_err(), "{text}");
        }
    }
}
