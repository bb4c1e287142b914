//! One event as rules see it: flat names and scalar values, built once and borrowed from the event.
//!
//! Takes a JSON object, nested or flat. Windows records (as EVTX writers, Winlogbeat or flat shippers
//! give them) are brought to the names Sigma rules use; everything else keeps its dotted names. Not a
//! store: it lives as long as the event it was made from.

use std::borrow::Cow;

use event::{Object, Timestamp};
use serde_json::Value;

/// Most entries of one record; further ones are counted in [`Record::beyond`].
const MAX_ENTRIES: usize = 8192;
/// Deepest nesting that is followed; deeper parts are counted in [`Record::beyond`].
const MAX_DEPTH: usize = 32;

/// A value of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// Whole number.
    Integer(i128),
    /// Other number.
    Float(f64),
    /// Truth value.
    Bool(bool),
    /// JSON null: the field counts as absent for every test but `exists`.
    Null,
    /// An object or an empty list: the field exists, and has no value to compare.
    Composite,
}

/// A name with one value; a list is one entry for each element.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry<'a> {
    /// Flat name.
    pub name: Cow<'a, str>,
    /// Value.
    pub value: Scalar<'a>,
}

/// The flat view of one event.
#[derive(Clone, Debug, Default)]
pub struct Record<'a> {
    entries: Vec<Entry<'a>>,
    windows: bool,
    beyond: usize,
}

impl<'a> Record<'a> {
    /// The view of a document, nested or flat.
    #[must_use]
    pub fn new(object: &'a Object) -> Self {
        let mut record = Self { entries: Vec::with_capacity(48), windows: false, beyond: 0 };
        if let Some(body) = windows_body(object) {
            record.windows = true;
            record.read_windows(body);
        } else if let Some(Value::Object(winlog)) = object.get("winlog") {
            record.windows = true;
            record.read_winlogbeat(object, winlog);
        } else {
            record.windows = object.contains_key("EventID") && object.contains_key("Channel");
            for (name, value) in object {
                record.walk(name, value, 0);
            }
        }
        record
    }

    /// All entries, in the order of the event.
    #[must_use]
    pub fn entries(&self) -> &[Entry<'a>] {
        &self.entries
    }

    /// Entries left out because of the limits (8,192 entries, 32 levels).
    #[must_use]
    pub const fn beyond(&self) -> usize {
        self.beyond
    }

    /// Whether this is a Windows event log record.
    #[must_use]
    pub const fn is_windows(&self) -> bool {
        self.windows
    }

    /// First value of an exact name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Scalar<'a>> {
        self.entries.iter().find(|entry| entry.name == name).map(|entry| &entry.value)
    }

    /// First value of a name or of its other convention's name (EVE or ECS).
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Scalar<'a>> {
        self.get(name).or_else(|| {
            let field = event::by_name(name)?;
            self.get(if field.name == name { field.alias } else { field.name })
        })
    }

    /// Text of the first value of a name (either convention), if it has one.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.find(name).and_then(Scalar::text)
    }

    /// When the event happened, by itself: `timestamp`, `@timestamp`, `SystemTime` or `UtcTime`.
    #[must_use]
    pub fn time(&self) -> Option<Timestamp> {
        ["timestamp", "SystemTime", "UtcTime", "TimeCreated"]
            .into_iter()
            .find_map(|name| self.text(name)?.parse().ok())
    }

    /// Identity of the event, when it carries one (`event.id`, or the record number of Windows).
    #[must_use]
    pub fn id(&self) -> Option<String> {
        self.text("event.id").or_else(|| self.text("EventRecordID")).map(Cow::into_owned)
    }

    fn push(&mut self, name: Cow<'a, str>, value: Scalar<'a>) {
        if self.entries.len() < MAX_ENTRIES {
            self.entries.push(Entry { name, value });
        } else {
            self.beyond += 1;
        }
    }

    fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|entry| entry.name == name)
    }

    /// Any JSON below a dotted name.
    fn walk(&mut self, name: &'a str, value: &'a Value, depth: usize) {
        self.walk_named(Cow::Borrowed(name), value, depth);
    }

    fn walk_named(&mut self, name: Cow<'a, str>, value: &'a Value, depth: usize) {
        if depth > MAX_DEPTH {
            self.beyond += 1;
            return;
        }
        match value {
            Value::Object(map) => {
                for (key, inner) in map {
                    self.walk_named(Cow::Owned(format!("{name}.{key}")), inner, depth + 1);
                }
                self.push(name, Scalar::Composite);
            }
            Value::Array(items) if items.is_empty() => self.push(name, Scalar::Composite),
            Value::Array(items) => {
                for item in items {
                    self.walk_named(name.clone(), item, depth + 1);
                }
            }
            scalar => self.push(name, Scalar::from(scalar)),
        }
    }

    /// The body of a record as EVTX writers nest it: `System`, then `EventData` and `UserData`.
    fn read_windows(&mut self, body: &'a Object) {
        if let Some(Value::Object(system)) = body.get("System") {
            for (name, value) in system {
                self.read_system(name, value);
            }
        }
        for part in ["EventData", "UserData"] {
            if let Some(Value::Object(data)) = body.get(part) {
                self.read_data(data, 0);
            }
        }
    }

    fn read_system(&mut self, name: &'a str, value: &'a Value) {
        let attributes = value.get("#attributes").and_then(Value::as_object);
        match name {
            "Provider" | "Execution" | "Security" => {
                for (key, inner) in attributes.into_iter().flatten() {
                    self.push(Cow::Owned(format!("{name}_{key}")), Scalar::from(inner));
                }
            }
            "TimeCreated" => {
                let time = attributes.and_then(|map| map.get("SystemTime"));
                self.push(Cow::Borrowed("SystemTime"), time.map_or(Scalar::Null, Scalar::from));
            }
            "Correlation" => {}
            _ => self.read_leaf(name, value),
        }
    }

    /// Below `EventData` and `UserData` every value has its own innermost name; what came first wins.
    fn read_data(&mut self, data: &'a Object, depth: usize) {
        if depth > MAX_DEPTH {
            self.beyond += 1;
            return;
        }
        for (name, value) in data {
            match value {
                _ if name == "#attributes" => {}
                Value::Object(inner) if !inner.contains_key("#text") => {
                    self.read_data(inner, depth + 1);
                }
                _ if self.has(name) => {}
                _ => self.read_leaf(name, value),
            }
        }
    }

    fn read_leaf(&mut self, name: &'a str, value: &'a Value) {
        let value = value.get("#text").unwrap_or(value);
        match value {
            Value::Array(items) if items.is_empty() => {
                self.push(Cow::Borrowed(name), Scalar::Composite);
            }
            Value::Array(items) => {
                for item in items {
                    let item = item.get("#text").unwrap_or(item);
                    self.push(Cow::Borrowed(name), Scalar::from(item));
                }
            }
            other => self.push(Cow::Borrowed(name), Scalar::from(other)),
        }
    }

    /// Winlogbeat's shape: system fields under `winlog`, the data under `winlog.event_data`.
    fn read_winlogbeat(&mut self, object: &'a Object, winlog: &'a Object) {
        const NAMES: [(&str, &str); 5] = [
            ("channel", "Channel"),
            ("event_id", "EventID"),
            ("provider_name", "Provider_Name"),
            ("computer_name", "Computer"),
            ("record_id", "EventRecordID"),
        ];
        for (from, to) in NAMES {
            if let Some(value) = winlog.get(from) {
                let value = match value {
                    Value::String(text) if from == "event_id" => {
                        text.parse().map_or_else(|_| Scalar::from(value), Scalar::Integer)
                    }
                    other => Scalar::from(other),
                };
                self.push(Cow::Borrowed(to), value);
            }
        }
        for part in ["event_data", "user_data"] {
            if let Some(Value::Object(data)) = winlog.get(part) {
                self.read_data(data, 0);
            }
        }
        for (name, value) in object {
            self.walk(name, value, 0);
        }
    }
}

/// `{"Event": {"System": ..}}` or `{"System": ..}`.
fn windows_body(object: &Object) -> Option<&Object> {
    let body = object.get("Event").and_then(Value::as_object).unwrap_or(object);
    body.get("System").is_some_and(Value::is_object).then_some(body)
}

impl<'a> From<&'a Value> for Scalar<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Bool(*truth),
            Value::String(text) => Self::Text(Cow::Borrowed(text)),
            Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(whole), _) => Self::Integer(i128::from(whole)),
                (None, Some(whole)) => Self::Integer(i128::from(whole)),
                (None, None) => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::Array(_) | Value::Object(_) => Self::Composite,
        }
    }
}

impl Scalar<'_> {
    /// The value as text; `None` when there is none to compare.
    #[must_use]
    pub fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Integer(whole) => Some(Cow::Owned(whole.to_string())),
            Self::Float(number) => Some(Cow::Owned(number.to_string())),
            Self::Bool(truth) => Some(Cow::Borrowed(if *truth { "true" } else { "false" })),
            Self::Null | Self::Composite => None,
        }
    }

    /// The value as a number; text is read as one.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Text(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
            #[expect(clippy::cast_precision_loss, reason = "comparison of magnitudes")]
            Self::Integer(whole) => Some(*whole as f64),
            Self::Float(number) => Some(*number),
            Self::Bool(_) | Self::Null | Self::Composite => None,
        }
    }

    /// Whether there is a value to compare.
    #[must_use]
    pub const fn is_value(&self) -> bool {
        !matches!(self, Self::Null | Self::Composite)
    }
}
