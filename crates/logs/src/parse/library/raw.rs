//! Raw fields of one record under the names its writer gave them, before they are mapped.

use std::borrow::Cow;
use std::collections::HashMap;

use event::Object;
use serde_json::Value;

use crate::parse::entry;

/// Most raw fields of one record; further ones are left out and the record says so.
pub(crate) const MAX_PAIRS: usize = 512;

/// Up to so many names are looked through one by one.
const FEW: usize = 24;

/// Names and texts in the order of the record.
pub(crate) type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// Raw fields by name: what a room gave, and what templates captured.
#[derive(Debug)]
pub(super) struct Names<'a> {
    all: Vec<(&'a str, &'a str)>,
    /// The same by name, once there are more than [`FEW`].
    by_name: HashMap<&'a str, &'a str>,
    /// Values that mean that there is none.
    absent: &'a [String],
}

impl<'a> Names<'a> {
    pub(super) fn new(absent: &'a [String]) -> Self {
        Self { all: Vec::with_capacity(FEW), by_name: HashMap::new(), absent }
    }

    /// Adds a raw field; the first of a name counts.
    pub(super) fn add(&mut self, name: &'a str, value: &'a str) {
        self.all.push((name, value));
        let from = match self.all.len() {
            ..=FEW => return,
            _ if self.by_name.is_empty() => 0,
            count => count.saturating_sub(1),
        };
        for (name, value) in self.all.iter().skip(from) {
            self.by_name.entry(name).or_insert(value);
        }
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        if self.by_name.is_empty() {
            return self.all.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        }
        self.by_name.get(name).copied()
    }
}

/// What maps and conditions see: raw fields by name, then what the record holds already.
#[derive(Clone, Copy, Debug)]
pub(super) struct Values<'v, 'a> {
    pub(super) names: &'v Names<'a>,
    pub(super) object: &'v Object,
}

impl<'v> Values<'v, '_> {
    /// A value, when there is one and it does not mean that there is none.
    pub(super) fn text(&self, name: &str) -> Option<Cow<'v, str>> {
        let text = match self.names.get(name) {
            Some(text) => Cow::Borrowed(text),
            None => scalar(event::get(self.object, name)?)?,
        };
        let none = text.is_empty() || self.names.absent.iter().any(|absent| **absent == *text);
        (!none).then_some(text)
    }

    /// As [`Self::text`], with numbers, truths and lists as they are.
    pub(super) fn value(&self, name: &str) -> Option<Value> {
        if self.names.get(name).is_some() {
            return entry::text(&self.text(name)?);
        }
        match event::get(self.object, name)? {
            Value::String(_) => entry::text(&self.text(name)?),
            Value::Null | Value::Object(_) => None,
            Value::Array(items) if items.is_empty() => None,
            other => Some(other.clone()),
        }
    }

    /// Whether there is such a field, whatever its value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.get(name).is_some() || event::get(self.object, name).is_some()
    }
}

/// A value as text; of a list the first.
pub(super) fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(truth) => Some(Cow::Borrowed(if *truth { "true" } else { "false" })),
        Value::Array(items) => scalar(items.first()?),
        Value::Null | Value::Object(_) => None,
    }
}
