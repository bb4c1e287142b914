//! Single values of a rule document: every key is asked for by name, what is left over is unknown.

use serde_yaml_ng::{Mapping, Value};

use crate::error::Problem;

/// The path of a key and what is wrong there.
pub(super) type Fault = (String, Problem);

/// Shortest and longest period a rule may name, microseconds: 1 ms and 400 days.
const PERIODS: std::ops::RangeInclusive<i64> = 1_000..=400 * 86_400 * 1_000_000;

/// The keys of one mapping.
pub(super) struct Keys<'a> {
    map: &'a Mapping,
    path: String,
    used: Vec<&'static str>,
}

impl<'a> Keys<'a> {
    pub(super) fn of(value: &'a Value, path: &str) -> Result<Self, Fault> {
        let Value::Mapping(map) = value else { return Err(wrong(path, value, "a mapping")) };
        Ok(Self { map, path: path.to_owned(), used: Vec::new() })
    }

    /// The dotted path of a key here.
    pub(super) fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(super) fn get(&mut self, key: &'static str) -> Option<&'a Value> {
        self.used.push(key);
        self.map.get(key)
    }

    pub(super) fn need(&mut self, key: &'static str) -> Result<&'a Value, Fault> {
        self.get(key).ok_or_else(|| (self.at(key), Problem::Missing))
    }

    pub(super) fn text(&mut self, key: &'static str) -> Result<Option<String>, Fault> {
        let path = self.at(key);
        self.get(key).map(|value| text(value, &path)).transpose()
    }

    pub(super) fn texts(&mut self, key: &'static str) -> Result<Vec<String>, Fault> {
        let path = self.at(key);
        match self.get(key) {
            None => Ok(Vec::new()),
            Some(Value::Sequence(items)) => items.iter().map(|item| text(item, &path)).collect(),
            Some(one) => Ok(vec![text(one, &path)?]),
        }
    }

    pub(super) fn number(&mut self, key: &'static str) -> Result<Option<f64>, Fault> {
        let path = self.at(key);
        self.get(key).map(|value| number(value, &path)).transpose()
    }

    pub(super) fn whole(&mut self, key: &'static str) -> Result<Option<usize>, Fault> {
        let path = self.at(key);
        let Some(value) = self.get(key) else { return Ok(None) };
        let found = value.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
        found.map(Some).ok_or_else(|| wrong(&path, value, "a whole number above 0"))
    }

    pub(super) fn period(&mut self, key: &'static str) -> Result<Option<i64>, Fault> {
        let path = self.at(key);
        let Some(value) = self.get(key) else { return Ok(None) };
        let found = value.as_str().and_then(parse_period);
        found.map(Some).ok_or_else(|| wrong(&path, value, "a period such as 60s, 5m, 1h, 7d"))
    }

    /// Ends the reading: a key nobody asked for is an error.
    pub(super) fn finish(self) -> Result<(), Fault> {
        for key in self.map.keys() {
            match key.as_str() {
                Some(name) if self.used.contains(&name) => {}
                Some(name) => return Err((self.at(name), Problem::Unknown)),
                None => return Err(wrong(&self.path, key, "a text as key")),
            }
        }
        Ok(())
    }
}

/// A fault for a value that does not fit.
pub(super) fn wrong(path: &str, found: &Value, expected: &'static str) -> Fault {
    let shown = serde_yaml_ng::to_string(found).unwrap_or_default();
    let found = shown.trim().replace('\n', " ").chars().take(60).collect();
    (path.to_owned(), Problem::Value { found, expected })
}

pub(super) fn text(value: &Value, path: &str) -> Result<String, Fault> {
    match value {
        Value::String(text) => Ok(text.trim().to_owned()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        _ => Err(wrong(path, value, "a text")),
    }
}

pub(super) fn number(value: &Value, path: &str) -> Result<f64, Fault> {
    let found = value.as_f64().filter(|number| number.is_finite());
    found.ok_or_else(|| wrong(path, value, "a number"))
}

/// `250ms`, `60s`, `5m`, `1h`, `7d` in microseconds.
fn parse_period(text: &str) -> Option<i64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at_checked(digits)?;
    let unit = match unit {
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return None,
    };
    count.parse::<i64>().ok()?.checked_mul(unit).filter(|micros| PERIODS.contains(micros))
}
