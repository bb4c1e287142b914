//! From a document, nested or flat, to the entries of a record.
//!
//! Windows records (as EVTX writers, Winlogbeat or flat shippers give them) are brought to the names
//! Sigma rules use; everything else keeps its dotted names. Knows documents only as a [`Tree`].

use std::borrow::Cow;

use event::Object;
use serde_json::Value;

use super::{MAX_ENTRIES, Record, Scalar};

/// Deepest nesting that is followed; deeper parts are counted in [`Record::beyond`].
const MAX_DEPTH: usize = 32;

/// A JSON value, however it is kept.
pub(super) trait Tree<'a>: Copy + 'a {
    fn is_object(self) -> bool;
    fn is_array(self) -> bool;
    /// Names and values; nothing when it is no object.
    fn members(self) -> impl Iterator<Item = (&'a str, Self)> + 'a;
    /// Elements; nothing when it is no list.
    fn items(self) -> impl Iterator<Item = Self> + 'a;
    /// The value of a name of an object; the last one when there are several.
    fn get(self, name: &str) -> Option<Self>;
    /// The value itself; `Composite` for objects and lists.
    fn scalar(self) -> Scalar<'a>;
}

/// A value of a map, or the map itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Json<'a> {
    Object(&'a Object),
    Value(&'a Value),
}

impl<'a> Json<'a> {
    fn object(self) -> Option<&'a Object> {
        match self {
            Self::Object(object) => Some(object),
            Self::Value(value) => value.as_object(),
        }
    }

    const fn array(self) -> Option<&'a Vec<Value>> {
        match self {
            Self::Value(Value::Array(items)) => Some(items),
            Self::Value(_) | Self::Object(_) => None,
        }
    }
}

impl<'a> Tree<'a> for Json<'a> {
    fn is_object(self) -> bool {
        self.object().is_some()
    }

    fn is_array(self) -> bool {
        self.array().is_some()
    }

    fn members(self) -> impl Iterator<Item = (&'a str, Self)> + 'a {
        self.object().into_iter().flatten().map(|(name, value)| (name.as_str(), Self::Value(value)))
    }

    fn items(self) -> impl Iterator<Item = Self> + 'a {
        self.array().into_iter().flatten().map(Self::Value)
    }

    fn get(self, name: &str) -> Option<Self> {
        self.object()?.get(name).map(Self::Value)
    }

    fn scalar(self) -> Scalar<'a> {
        match self {
            Self::Object(_) => Scalar::Composite,
            Self::Value(value) => Scalar::from(value),
        }
    }
}

impl<'a> Record<'a> {
    pub(super) fn flatten(document: impl Tree<'a>) -> Self {
        let mut record = Self { entries: Vec::with_capacity(48), windows: false, beyond: 0 };
        let (mut body, mut winlog) = (document, None);
        for (name, value) in document.members().filter(|(_, value)| value.is_object()) {
            match name {
                "Event" => body = value,
                "winlog" => winlog = Some(value),
                _ => {}
            }
        }
        // `{"Event": {"System": ..}}` or `{"System": ..}`.
        if body.get("System").is_some_and(Tree::is_object) {
            record.windows = true;
            record.read_windows(body);
        } else if let Some(winlog) = winlog {
            record.windows = true;
            record.read_winlogbeat(document, winlog);
        } else {
            for (name, value) in document.members() {
                record.walk(Cow::Borrowed(name), value, 0);
            }
            record.windows = record.has("EventID") && record.has("Channel");
        }
        record
    }

    /// Any JSON below a dotted name.
    fn walk(&mut self, name: Cow<'a, str>, value: impl Tree<'a>, depth: usize) {
        if depth > MAX_DEPTH {
            self.beyond += 1;
        } else if value.is_object() {
            for (key, inner) in value.members() {
                self.walk(Cow::Owned(format!("{name}.{key}")), inner, depth + 1);
            }
            self.push(name, Scalar::Composite);
        } else if value.is_array() {
            let mut empty = true;
            for item in value.items() {
                empty = false;
                self.walk(name.clone(), item, depth + 1);
            }
            if empty {
                self.push(name, Scalar::Composite);
            }
        } else {
            self.push(name, value.scalar());
        }
    }

    /// The body of a record as EVTX writers nest it: `System`, then `EventData` and `UserData`.
    fn read_windows(&mut self, body: impl Tree<'a>) {
        if let Some(system) = body.get("System") {
            for (name, value) in system.members() {
                self.read_system(name, value);
            }
        }
        for part in ["EventData", "UserData"] {
            if let Some(data) = body.get(part) {
                self.read_data(data, 0);
            }
        }
    }

    fn read_system(&mut self, name: &'a str, value: impl Tree<'a>) {
        let attributes = value.get("#attributes").filter(|part| part.is_object());
        match name {
            "Provider" | "Execution" | "Security" => {
                for (key, inner) in attributes.into_iter().flat_map(Tree::members) {
                    self.push(system_name(name, key), inner.scalar());
                }
            }
            "TimeCreated" => {
                let time = attributes.and_then(|map| map.get("SystemTime"));
                self.push(Cow::Borrowed("SystemTime"), time.map_or(Scalar::Null, Tree::scalar));
            }
            "Correlation" => {}
            _ => self.read_leaf(name, value),
        }
    }

    /// Below `EventData` and `UserData` every value has its own innermost name; what came first wins.
    fn read_data(&mut self, data: impl Tree<'a>, depth: usize) {
        if depth > MAX_DEPTH {
            self.beyond += 1;
            return;
        }
        for (name, value) in data.members() {
            if name == "#attributes" {
                continue;
            }
            if self.entries.len() >= MAX_ENTRIES {
                // Nothing is looked up any more: that would take quadratic time.
                self.beyond += 1;
            } else if value.is_object() && value.get("#text").is_none() {
                self.read_data(value, depth + 1);
            } else if !self.has(name) {
                self.read_leaf(name, value);
            }
        }
    }

    fn read_leaf(&mut self, name: &'a str, value: impl Tree<'a>) {
        let value = value.get("#text").unwrap_or(value);
        let mut empty = true;
        for item in value.items() {
            empty = false;
            self.push(Cow::Borrowed(name), item.get("#text").unwrap_or(item).scalar());
        }
        if empty {
            self.push(Cow::Borrowed(name), value.scalar());
        }
    }

    /// Winlogbeat's shape: system fields under `winlog`, the data under `winlog.event_data`.
    fn read_winlogbeat(&mut self, document: impl Tree<'a>, winlog: impl Tree<'a>) {
        const NAMES: [(&str, &str); 5] = [
            ("channel", "Channel"),
            ("event_id", "EventID"),
            ("provider_name", "Provider_Name"),
            ("computer_name", "Computer"),
            ("record_id", "EventRecordID"),
        ];
        for (from, to) in NAMES {
            let Some(value) = winlog.get(from).map(Tree::scalar) else { continue };
            let number = match &value {
                Scalar::Text(text) if from == "event_id" => text.parse().ok(),
                _ => None,
            };
            self.push(Cow::Borrowed(to), number.map_or(value, Scalar::Integer));
        }
        for part in ["event_data", "user_data"] {
            if let Some(data) = winlog.get(part) {
                self.read_data(data, 0);
            }
        }
        for (name, value) in document.members() {
            self.walk(Cow::Borrowed(name), value, 0);
        }
    }
}

/// The flat name of an attribute of the system part; the usual ones without making a text.
fn system_name<'a>(part: &str, key: &str) -> Cow<'a, str> {
    const USUAL: [(&str, &str, &str); 5] = [
        ("Provider", "Name", "Provider_Name"),
        ("Provider", "Guid", "Provider_Guid"),
        ("Execution", "ProcessID", "Execution_ProcessID"),
        ("Execution", "ThreadID", "Execution_ThreadID"),
        ("Security", "UserID", "Security_UserID"),
    ];
    let known = USUAL.iter().find(|(of, name, _)| *of == part && *name == key);
    known.map_or_else(|| Cow::Owned(format!("{part}_{key}")), |(.., flat)| Cow::Borrowed(*flat))
}
