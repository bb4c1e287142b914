//! One event as rules see it: flat names and scalar values, built once and borrowed from the event.
//!
//! Takes a JSON object, nested or flat: a map ([`Record::new`]) or text ([`Tape`], [`Record::of`]). What
//! becomes of it is in `flatten`. Not a store: it lives as long as the event it was made from.

mod flatten;
mod tape;

use std::borrow::Cow;

use event::{Object, Timestamp};
use serde_json::Value;

pub use tape::Tape;

/// Most entries of one record; further ones are counted in [`Record::beyond`].
const MAX_ENTRIES: usize = 8192;

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
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record<'a> {
    entries: Vec<Entry<'a>>,
    windows: bool,
    beyond: usize,
}

impl<'a> Record<'a> {
    /// The view of a document, nested or flat.
    #[must_use]
    pub fn new(object: &'a Object) -> Self {
        Self::flatten(flatten::Json::Object(object))
    }

    /// The view of the document that a tape has read last.
    #[must_use]
    pub fn of(tape: &'a Tape) -> Self {
        Self::flatten(tape.root())
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
            let other = if field.name == name { field.alias } else { field.name };
            (!other.is_empty()).then(|| self.get(other))?
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
