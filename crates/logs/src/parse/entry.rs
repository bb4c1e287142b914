//! What a line becomes: its time and its fields, and how fields are written.
//!
//! Names are paths made once, when parsers are loaded. A scalar that stands where an object is wanted is kept
//! below it as `original`: what a record itself says is moved, never lost.

use event::{Kind, Object, Timestamp};
use serde_json::Value;
use serde_json::map::Entry as MapEntry;

use super::MAX_FIELD;

/// Fields at the top of most records. One more would take blocks of memory that the allocator of the system hands
/// out ten times slower.
const USUAL: usize = 9;

/// A dotted name in its parts.
pub(crate) type Path = Box<[Box<str>]>;

/// The parts of a dotted name.
pub(crate) fn path(name: &str) -> Path {
    name.split('.').map(Box::from).collect()
}

/// Which parser of the library understood a record, and by which of its patterns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct By {
    /// Number of the parser.
    pub(crate) parser: usize,
    /// Number of the pattern, when it has such.
    pub(crate) pattern: Option<usize>,
}

/// What a line became.
#[derive(Debug)]
pub struct Entry {
    /// When it happened; the time of reading when the line does not say.
    pub time: Timestamp,
    /// Fields.
    pub fields: Object,
    /// Whether a parser understood it.
    pub parsed: bool,
    /// What it tells of.
    pub kind: Kind,
    pub(crate) by: Option<By>,
}

impl Entry {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { time: now, fields: Object::new(), parsed: false, kind: Kind::Log, by: None }
    }

    /// Makes as much room as most records take: growing it step by step costs more than a whole header.
    pub(crate) fn make_room(&mut self) {
        if self.fields.is_empty() {
            self.fields = Object::with_capacity(USUAL);
        }
    }

    /// Sets a dotted field to a text; empty ones are left out, long ones cut.
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        let Some(value) = text(value) else { return };
        match name.split_once('.') {
            None => {
                self.fields.insert(name.to_owned(), value);
            }
            Some(_) => put(&mut self.fields, name.split('.'), value),
        }
    }

    /// Sets a dotted field to a number when `value` is one.
    pub(crate) fn number(&mut self, name: &str, value: &str) {
        if let Ok(number) = value.parse::<i64>() {
            put(&mut self.fields, name.split('.'), Value::from(number));
        }
    }

    /// Sets a dotted field to an address when `value` is one; true when it was.
    pub(crate) fn address(&mut self, name: &str, value: &str) -> bool {
        let Ok(address) = value.parse::<std::net::IpAddr>() else { return false };
        put(&mut self.fields, name.split('.'), Value::String(address.to_string()));
        true
    }

    /// Sets a field to a value.
    pub(crate) fn put(&mut self, path: &Path, value: Value) {
        put(&mut self.fields, path.iter().map(|part| &**part), value);
    }

    /// Sets a field whose name is known when the program is made.
    pub(crate) fn put_static(&mut self, path: &[&str], value: Value) {
        put(&mut self.fields, path.iter().copied(), value);
    }

    /// Sets constants: a whole object at once where nothing stands yet.
    pub(crate) fn merge(&mut self, name: &str, value: &Value) {
        merge(&mut self.fields, name, value);
    }

    /// Parser that read the record (`event.module`); none when no more than a header was understood.
    #[must_use]
    pub fn module(&self) -> Option<&str> {
        self.fields.get("event")?.get("module")?.as_str()
    }

    /// Whether the header of syslog was understood and no parser knows the message.
    #[must_use]
    pub fn is_header_only(&self) -> bool {
        super::is_header_only(&self.fields)
    }

    /// Says in `log.flags` what was done to the record.
    pub(crate) fn flag(&mut self, flag: &str) {
        let mut flags = match event::get(&self.fields, "log.flags") {
            Some(Value::Array(flags)) => flags.clone(),
            _ => Vec::new(),
        };
        if !flags.iter().any(|known| known == flag) {
            flags.push(Value::from(flag));
            put(&mut self.fields, ["log", "flags"].into_iter(), Value::Array(flags));
        }
    }
}

fn merge(object: &mut Object, name: &str, value: &Value) {
    match (value, object.entry(name)) {
        (_, MapEntry::Vacant(free)) => {
            free.insert(value.clone());
        }
        (Value::Object(more), MapEntry::Occupied(mut there)) => {
            if let Value::Object(there) = there.get_mut() {
                for (name, value) in more {
                    merge(there, name, value);
                }
            } else {
                there.insert(value.clone());
            }
        }
        (_, MapEntry::Occupied(mut there)) => {
            there.insert(value.clone());
        }
    }
}

/// A text as a value, cut at [`MAX_FIELD`]; none when it is empty.
pub(crate) fn text(value: &str) -> Option<Value> {
    let end = value.floor_char_boundary(MAX_FIELD);
    let kept = value.get(..end).filter(|kept| !kept.is_empty())?;
    Some(Value::String(kept.to_owned()))
}

/// As [`text`], for a text that is owned already.
pub(crate) fn owned(value: String) -> Option<Value> {
    if value.len() > MAX_FIELD {
        return text(&value);
    }
    (!value.is_empty()).then_some(Value::String(value))
}

/// Sets the value at the end of a path, making the objects on the way. Names have few parts: those of parser files
/// at most 16 (`library::map`), those in the program as many as one sees.
pub(crate) fn put<'a>(object: &mut Object, mut path: impl Iterator<Item = &'a str>, value: Value) {
    if let Some(name) = path.next() {
        put_below(object, name, &mut path, value);
    }
}

fn put_below(object: &mut Object, name: &str, path: &mut dyn Iterator<Item = &str>, value: Value) {
    let Some(next) = path.next() else {
        object.insert(name.to_owned(), value);
        return;
    };
    if let Some(slot) = object.get_mut(name) {
        if !slot.is_object() {
            let mut moved = Object::new();
            if !slot.is_null() {
                moved.insert("original".to_owned(), slot.take());
            }
            *slot = Value::Object(moved);
        }
        if let Value::Object(inner) = slot {
            put_below(inner, next, path, value);
        }
        return;
    }
    let mut inner = Object::new();
    put_below(&mut inner, next, path, value);
    object.insert(name.to_owned(), Value::Object(inner));
}
