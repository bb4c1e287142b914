//! Times of queries and aggregations: numbers, dates and date math, in the formats clients name.

use event::Timestamp;
use serde_json::Value;

use super::super::Wrong;
use super::super::read::{Keys, scalar};
use crate::search::calendar::{Unit, Zone};
use crate::search::{timespan, value};

/// How a number or a text that is only digits is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::web::elastic) enum Format {
    /// Dates as text; numbers are milliseconds.
    #[default]
    Text,
    /// Milliseconds since the epoch.
    Millis,
    /// Seconds since the epoch.
    Seconds,
}

impl Format {
    /// The format keys name; several may be named, and dates are read in every usual form.
    ///
    /// # Errors
    /// [`Wrong`] for formats that are not known.
    pub(in crate::web::elastic) fn read(keys: &mut Keys) -> Result<Self, Wrong> {
        let format = keys.text("format")?.unwrap_or_default();
        let mut found = Self::Text;
        for one in format.split("||").filter(|one| !one.is_empty()) {
            match one {
                "epoch_millis" => found = Self::Millis,
                "epoch_second" => found = Self::Seconds,
                "strict_date_optional_time"
                | "strict_date_optional_time_nanos"
                | "date_optional_time"
                | "strict_date"
                | "date"
                | "strict_date_time"
                | "date_time"
                | "yyyy-MM-dd"
                | "iso8601" => {}
                other => {
                    let words = format!("[{}] does not support the format [{other}]", keys.at());
                    return Err(Wrong::parsing(words));
                }
            }
        }
        Ok(found)
    }
}

/// How times are meant: in which format, and in which zone those that name none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::web::elastic) struct Times {
    /// The format.
    pub format: Format,
    /// The zone.
    pub zone: Zone,
}

impl Times {
    /// Format and zone that keys name.
    ///
    /// # Errors
    /// [`Wrong`] for formats and time zones that are not known.
    pub(in crate::web::elastic) fn read(keys: &mut Keys) -> Result<Self, Wrong> {
        let zone = match keys.text("time_zone")? {
            None => Zone::utc(),
            Some(name) => Zone::named(&name)
                .map_err(|error| Wrong::parsing(format!("[{}.time_zone] {error}", keys.at())))?,
        };
        Ok(Self { format: Format::read(keys)?, zone })
    }

    /// A time as text: its first moment, or its `last`, as of a day or of `now/d`.
    ///
    /// # Errors
    /// [`Wrong`] when it is none.
    pub(in crate::web::elastic) fn point(
        &self,
        at: &str,
        value: &Value,
        (last, now): (bool, Timestamp),
    ) -> Result<String, Wrong> {
        let micros = self.micros(at, value, (last, now))?;
        Ok(Timestamp::from_micros(value::clamp(micros)).to_string())
    }

    /// The same in microseconds.
    ///
    /// # Errors
    /// [`Wrong`] when it is none.
    pub(in crate::web::elastic) fn micros(
        &self,
        at: &str,
        given: &Value,
        (last, now): (bool, Timestamp),
    ) -> Result<i64, Wrong> {
        let wrong = || Wrong::parsing(format!("[{at}] must be a time"));
        let text = scalar(given).filter(|_| !given.is_boolean()).ok_or_else(wrong)?;
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
        let scale = match self.format {
            Format::Seconds => 1e6,
            Format::Text | Format::Millis => 1e3,
        };
        // Four digits are a year in a text and nothing we read; other numbers are meant as numbers.
        match number {
            Some(number) if given.is_number() || self.format != Format::Text => {
                #[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates")]
                let micros = (number * scale).round() as i64;
                return Ok(micros);
            }
            _ => {}
        }
        let read = |text: &str| {
            timespan::span_in(text, now, &self.zone)
                .map_err(|error| Wrong::parsing(error.to_string()).at(at))
        };
        let (low, high) = read(&text)?;
        if !last {
            return Ok(low);
        }
        match text.rsplit_once('/') {
            Some((_, unit)) if text.starts_with("now") => {
                let next = match unit {
                    "d" => self.zone.span(Unit::Day, low).1,
                    "w" => self.zone.span(Unit::Week, low).1,
                    _ => read(&format!("{text}+1{unit}"))?.0,
                };
                Ok(next.saturating_sub(1))
            }
            _ => Ok(high),
        }
    }
}

/// A width of time such as `30s`, `1m`, `2h`, `1d`, `1w`, `500ms`, milliseconds.
pub(in crate::web::elastic) fn width(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let unit = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 604_800_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}
