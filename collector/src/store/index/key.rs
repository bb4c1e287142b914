//! Names of partitions: which events a partition holds.
//!
//! A partition holds the events of one class of data and one UTC day, or a part of them when there are very
//! many. Events claiming to be from too far in the past or future, seen from when they were received, go
//! into partitions of their own by the day of receipt, so that a wrong clock or a replay cannot scatter
//! partitions over the centuries. Not here: the partitions themselves ([`super::partition`]).

use event::Timestamp;

use crate::store::class::ClassName;

const DAY: i64 = 86_400_000_000;

/// How the days of a partition relate to its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Span {
    /// Events received that day that claim to be much older.
    Past,
    /// Events of that day.
    Day,
    /// Events received that day that claim to be from the future.
    Future,
}

/// Identity of a partition; ordered by day. Its name is `[past@|future@]YYYY-MM-DD[_class][.part]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionKey {
    /// Days since the epoch, UTC.
    pub day: i64,
    /// What the day says of the events.
    pub span: Span,
    /// Class of the events.
    pub class: ClassName,
    /// Number of the part, from 0.
    pub part: u32,
}

/// How far event times may be from the time of receipt, days.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// Into the past.
    pub past: i64,
    /// Into the future.
    pub future: i64,
}

impl PartitionKey {
    /// The first part of the default class for an event of `time`, received at `received` (microseconds).
    #[must_use]
    pub const fn of(time: i64, received: i64, reach: Reach) -> Self {
        let (day, receipt) = (time.div_euclid(DAY), received.div_euclid(DAY));
        let (day, span) = if day > receipt.saturating_add(reach.future) {
            (receipt, Span::Future)
        } else if day < receipt.saturating_sub(reach.past) {
            (receipt, Span::Past)
        } else {
            (day, Span::Day)
        };
        Self { day, span, class: ClassName::DEFAULT, part: 0 }
    }

    /// The first part of the same day and class.
    #[must_use]
    pub const fn first(self) -> Self {
        Self { part: 0, ..self }
    }

    /// First and last microsecond its events can have.
    #[must_use]
    pub const fn bounds(self) -> (i64, i64) {
        match self.span {
            Span::Day => {
                let start = self.day.saturating_mul(DAY);
                (start, start.saturating_add(DAY - 1))
            }
            Span::Past | Span::Future => (i64::MIN, i64::MAX),
        }
    }

    /// End of its day, microseconds, exclusive: its age counts from here.
    #[must_use]
    pub const fn ends(self) -> Timestamp {
        Timestamp::from_micros(self.day.saturating_add(1).saturating_mul(DAY))
    }

    /// From the name of its directory.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (span, rest) = match name.split_once('@') {
            Some(("past", rest)) => (Span::Past, rest),
            Some(("future", rest)) => (Span::Future, rest),
            Some(_) => return None,
            None => (Span::Day, name),
        };
        let (rest, part) = match rest.split_once('.') {
            Some((rest, part)) => (rest, part.parse().ok()?),
            None => (rest, 0),
        };
        let (day, class) = match rest.split_once('_') {
            Some((day, class)) => (day, ClassName::new(class).ok()?),
            None => (rest, ClassName::DEFAULT),
        };
        let start = format!("{day}T00:00:00Z").parse::<Timestamp>().ok()?;
        let key = Self { day: start.micros().div_euclid(DAY), span, class, part };
        (key.to_string() == name).then_some(key)
    }
}

impl std::fmt::Display for PartitionKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self.span {
            Span::Past => "past@",
            Span::Day => "",
            Span::Future => "future@",
        })?;
        out.write_str(&Timestamp::from_micros(self.day.saturating_mul(DAY)).day())?;
        if !self.class.is_default() {
            write!(out, "_{}", self.class.as_str())?;
        }
        if self.part > 0 {
            write!(out, ".{}", self.part)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routing_and_names() {
        let reach = Reach { past: 30, future: 2 };
        let micros = |text: &str| text.parse::<Timestamp>().unwrap().micros();
        let received = micros("2026-11-22T12:00:00Z");
        for (time, expected) in [
            ("2026-11-22T23:59:59.999999Z", "2026-11-22"),
            ("2026-11-24T00:00:00Z", "2026-11-24"),
            ("2026-11-25T00:00:00Z", "future@2026-11-22"),
            ("2026-10-23T00:00:00Z", "2026-10-23"),
            ("2026-10-22T23:59:59Z", "past@2026-11-22"),
            ("1960-01-01T00:00:00Z", "past@2026-11-22"),
        ] {
            let key = PartitionKey::of(micros(time), received, reach);
            assert_eq!(key.to_string(), expected);
            assert_eq!(PartitionKey::parse(expected), Some(key));
        }
        for name in ["2026-11-22.1", "2026-11-22_flows", "past@2026-11-22_a-1.17"] {
            let key = PartitionKey::parse(name).unwrap();
            assert_eq!(key.to_string(), name);
            assert!(key.first() <= key && key.first().part == 0);
        }
        for name in [
            "",
            "x",
            "2026-11-22.0",
            "2026-11-22.01",
            "2026-11-22.+1",
            "2026-11-22.-1",
            "2026-11-22.4294967296",
            "2026-11-22_",
            "2026-11-22_A",
            "2026-11-22_a_b",
            "2026-11-22.1_a",
            "_a",
            "other@2026-11-22",
            "2026-1-2",
            ".dropped-2026-11-22",
        ] {
            assert_eq!(PartitionKey::parse(name), None, "{name}");
        }
    }
}
