//! JSON objects read key by key: what is of another type, and what nobody asked for, is refused with
//! its place. Not here: what the keys mean.

use serde_json::{Map, Value};

use super::Wrong;

/// An object whose keys are taken one after the other; none may be left.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    at: String,
    map: Map<String, Value>,
}

impl Keys {
    /// The object at a place.
    ///
    /// # Errors
    /// [`Wrong`] when it is no object.
    pub(super) fn of(at: &str, value: Value) -> Result<Self, Wrong> {
        match value {
            Value::Object(map) => Ok(Self { at: at.to_owned(), map }),
            other => Err(Wrong::parsing(format!("[{at}] must be an object, not {}", kind(&other)))),
        }
    }

    /// Its place.
    pub(super) fn at(&self) -> &str {
        &self.at
    }

    /// The value of a key; null is none.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.map.shift_remove(key).filter(|value| !value.is_null())
    }

    /// The one entry of an object that must have exactly one.
    ///
    /// # Errors
    /// [`Wrong`] when it has none or several.
    pub(super) fn only(self) -> Result<(String, Value), Wrong> {
        let number = self.map.len();
        let mut entries = self.map.into_iter();
        match (entries.next(), number) {
            (Some(entry), 1) => Ok(entry),
            _ => Err(Wrong::parsing(format!("[{}] needs exactly one key, has {number}", self.at))),
        }
    }

    /// All entries.
    pub(super) fn entries(self) -> impl Iterator<Item = (String, Value)> {
        self.map.into_iter()
    }

    /// Nothing may be left.
    ///
    /// # Errors
    /// [`Wrong`] that names the first key left.
    pub(super) fn finish(self) -> Result<(), Wrong> {
        match self.map.iter().find(|(_, value)| !value.is_null()) {
            None => Ok(()),
            Some((key, _)) => {
                let key: String = key.chars().take(64).collect();
                Err(Wrong::parsing(format!("[{}] does not support [{key}]", self.at)))
            }
        }
    }

    fn wrong(&self, key: &str, wanted: &str, value: &Value) -> Wrong {
        Wrong::parsing(format!("[{}.{key}] must be {wanted}, not {}", self.at, kind(value)))
    }

    /// A text.
    ///
    /// # Errors
    /// [`Wrong`] when it is something else.
    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, Wrong> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(key, "a text", &other)),
        }
    }

    /// A text, number or truth as text.
    ///
    /// # Errors
    /// [`Wrong`] when it is something else.
    pub(super) fn scalar(&mut self, key: &str) -> Result<Option<String>, Wrong> {
        match self.take(key) {
            None => Ok(None),
            Some(value) => scalar(&value)
                .map(Some)
                .ok_or_else(|| self.wrong(key, "a text or a number", &value)),
        }
    }

    /// A truth, also as text.
    ///
    /// # Errors
    /// [`Wrong`] when it is something else.
    pub(super) fn flag(&mut self, key: &str) -> Result<Option<bool>, Wrong> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Bool(truth)) => Ok(Some(truth)),
            Some(Value::String(text)) if text == "true" => Ok(Some(true)),
            Some(Value::String(text)) if text == "false" => Ok(Some(false)),
            Some(other) => Err(self.wrong(key, "true or false", &other)),
        }
    }

    /// A whole number from 0 on, also as text, as Grafana writes it.
    ///
    /// # Errors
    /// [`Wrong`] when it is something else.
    pub(super) fn number(&mut self, key: &str) -> Result<Option<u64>, Wrong> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let number = match &value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        number.map(Some).ok_or_else(|| self.wrong(key, "a whole number", &value))
    }

    /// A number, also as text.
    ///
    /// # Errors
    /// [`Wrong`] when it is something else or not finite.
    pub(super) fn float(&mut self, key: &str) -> Result<Option<f64>, Wrong> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let number = match &value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        let number = number.filter(|number: &f64| number.is_finite());
        number.map(Some).ok_or_else(|| self.wrong(key, "a number", &value))
    }

    /// A key that only says how much something weighs; nothing is weighed here, so it is looked at
    /// and left.
    ///
    /// # Errors
    /// [`Wrong`] when it is no number.
    pub(super) fn weight(&mut self) -> Result<(), Wrong> {
        self.float("boost").map(drop)
    }

    /// Keys that may stand there with this value only, which is what is done anyway.
    ///
    /// # Errors
    /// [`Wrong`] when one has another.
    pub(super) fn only_flag(&mut self, key: &str, allowed: bool) -> Result<(), Wrong> {
        match self.flag(key)? {
            Some(given) if given != allowed => {
                Err(Wrong::parsing(format!("[{}] supports [{key}] only as {allowed}", self.at)))
            }
            _ => Ok(()),
        }
    }

    /// A key that may be one of these texts, which all mean what is done anyway.
    ///
    /// # Errors
    /// [`Wrong`] when it is another.
    pub(super) fn only_text(&mut self, key: &str, allowed: &[&str]) -> Result<(), Wrong> {
        match self.text(key)? {
            Some(given) if !allowed.contains(&given.as_str()) => {
                let allowed = allowed.join(", ");
                Err(Wrong::parsing(format!("[{}] supports [{key}] only as {allowed}", self.at)))
            }
            _ => Ok(()),
        }
    }

    /// A key that must be there.
    ///
    /// # Errors
    /// [`Wrong`] when it is not.
    pub(super) fn must<T>(&self, key: &str, value: Option<T>) -> Result<T, Wrong> {
        value.ok_or_else(|| Wrong::parsing(format!("[{}] needs [{key}]", self.at)))
    }
}

/// A scalar as text.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// One text or a list of them, also with commas between when `commas`.
///
/// # Errors
/// [`Wrong`] when it is something else.
pub(super) fn texts(at: &str, value: Value, commas: bool) -> Result<Vec<String>, Wrong> {
    let list = match value {
        Value::Array(list) => list,
        one => vec![one],
    };
    let mut out = Vec::new();
    for one in list {
        match one {
            Value::String(text) if commas => {
                out.extend(text.split(',').map(|part| part.trim().to_owned()));
            }
            Value::String(text) => out.push(text),
            other => {
                return Err(Wrong::parsing(format!("[{at}] must be texts, not {}", kind(&other))));
            }
        }
    }
    out.retain(|text| !text.is_empty());
    Ok(out)
}

/// What a value is, in words.
pub(super) const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
