//! Classes of data: what is kept apart from the rest, in partitions of its own, and may so be kept
//! for another time.
//!
//! An event is of the first class whose selector picks it by what is known when it arrives, else of
//! the default class, which has no name. Not here: how long a class is kept
//! ([`super::figures::RetentionPolicy`]), and which partition an event goes to
//! ([`super::index::write::routing`]).

use std::fmt;

use event::Document;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Most classes beside the default one: each has partitions of its own, which are written at the same time.
pub const MAX_CLASSES: usize = 8;
/// Longest name, bytes.
const MAX_NAME: usize = 24;

/// Name of a class: lower-case letters, digits and `-`, at most 24, a letter first. The default class has
/// the empty name.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClassName([u8; MAX_NAME]);

/// Why something is no class or no list of classes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClassError {
    /// The name cannot be a part of the name of a partition.
    #[error(
        "{name:?} is no name of a class: it is lower-case letters, digits and `-`, at most 24, a letter first"
    )]
    Name {
        /// As it was given.
        name: String,
    },
    /// Two classes have one name.
    #[error("class {name:?} is there twice")]
    Twice {
        /// Which.
        name: String,
    },
    /// The selector says nothing.
    #[error(
        "class {name:?} selects nothing: `select` needs at least one field with at least one value"
    )]
    Empty {
        /// Which.
        name: String,
    },
    /// There are too many.
    #[error("{given} classes are too many, at most {MAX_CLASSES} are possible")]
    TooMany {
        /// How many.
        given: usize,
    },
}

impl ClassName {
    /// The class of everything that no selector picks.
    pub const DEFAULT: Self = Self([0; MAX_NAME]);

    /// Checks a name.
    ///
    /// # Errors
    /// [`ClassError::Name`], also for the empty one.
    pub fn new(name: &str) -> Result<Self, ClassError> {
        let bytes = name.as_bytes();
        let fits = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let first = bytes.first().is_some_and(u8::is_ascii_lowercase);
        if !first || bytes.len() > MAX_NAME || !bytes.iter().all(fits) {
            return Err(ClassError::Name { name: name.to_owned() });
        }
        let mut out = [0; MAX_NAME];
        out.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = *byte);
        Ok(Self(out))
    }

    /// The name; empty for the default class.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(MAX_NAME);
        self.0.get(..end).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    /// Whether it is the default class.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::DEFAULT
    }

    /// The name as people read it.
    #[must_use]
    pub fn shown(&self) -> &str {
        if self.is_default() { "default" } else { self.as_str() }
    }
}

impl fmt::Debug for ClassName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?}", self.as_str())
    }
}

impl TryFrom<String> for ClassName {
    type Error = ClassError;

    fn try_from(name: String) -> Result<Self, ClassError> {
        if name.is_empty() { Ok(Self::DEFAULT) } else { Self::new(&name) }
    }
}

impl From<ClassName> for String {
    fn from(name: ClassName) -> Self {
        name.as_str().to_owned()
    }
}

/// Which events are of a class: every field that is given must have one of its values. A value may end in
/// `*`, which stands for any rest; upper and lower case count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Selector {
    /// `event_type`: `flow`, `dns`, `alert`, `audit`, `log` and so on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub event_type: Vec<String>,
    /// `event.dataset`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dataset: Vec<String>,
    /// `event.module`: the parser that read it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub module: Vec<String>,
    /// `event.category`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub category: Vec<String>,
    /// `event.kind`, of events that senders have put into ECS.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kind: Vec<String>,
    /// `agent.id`: the agent, or the token it came in with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub agent: Vec<String>,
    /// `zone` of the agent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub zone: Vec<String>,
    /// `region` of the agent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub region: Vec<String>,
}

impl Selector {
    fn fields(&self) -> [(&'static str, &[String]); 8] {
        [
            ("event_type", &self.event_type),
            ("event.dataset", &self.dataset),
            ("event.module", &self.module),
            ("event.category", &self.category),
            ("event.kind", &self.kind),
            ("agent.id", &self.agent),
            ("zone", &self.zone),
            ("region", &self.region),
        ]
    }

    /// Whether it picks an event.
    #[must_use]
    pub fn picks(&self, document: &Document) -> bool {
        let mut said =
            self.fields().into_iter().filter(|(_, values)| !values.is_empty()).peekable();
        said.peek().is_some()
            && said.all(|(name, values)| {
                event::get(document, name).is_some_and(|found| has(found, values))
            })
    }
}

/// Whether a value, or one of a list, is among those wanted.
fn has(found: &Value, wanted: &[String]) -> bool {
    match found {
        Value::String(text) => wanted.iter().any(|one| match one.strip_suffix('*') {
            Some(head) => text.starts_with(head),
            None => text == one,
        }),
        Value::Array(items) => items.iter().any(|item| item.is_string() && has(item, wanted)),
        _ => false,
    }
}

/// A class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Class {
    /// Its name.
    pub name: ClassName,
    /// What is of it.
    pub select: Selector,
}

/// The class of an event: the first that picks it.
#[must_use]
pub fn of(classes: &[Class], document: &Document) -> ClassName {
    let picked = classes.iter().find(|class| class.select.picks(document));
    picked.map_or(ClassName::DEFAULT, |class| class.name)
}

/// Checks a list of classes.
///
/// # Errors
/// [`ClassError`]: the first thing that is wrong.
pub fn check(classes: &[Class]) -> Result<(), ClassError> {
    if classes.len() > MAX_CLASSES {
        return Err(ClassError::TooMany { given: classes.len() });
    }
    for (at, class) in classes.iter().enumerate() {
        let name = || class.name.as_str().to_owned();
        if class.name.is_default() {
            return Err(ClassError::Name { name: name() });
        }
        if classes.iter().take(at).any(|before| before.name == class.name) {
            return Err(ClassError::Twice { name: name() });
        }
        if class.select.fields().iter().all(|(_, values)| values.is_empty()) {
            return Err(ClassError::Empty { name: name() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn class(name: &str, select: Value) -> Class {
        let select = serde_json::from_value(select).unwrap();
        Class { name: ClassName::new(name).unwrap(), select }
    }

    #[test]
    fn names() {
        for name in ["a", "flows", "a-1", "abcdefghijklmnopqrstuvwx"] {
            let made = ClassName::new(name).unwrap();
            assert_eq!((made.as_str(), made.is_default(), made.shown()), (name, false, name));
            assert_eq!(serde_json::from_value::<ClassName>(json!(made)).unwrap(), made);
        }
        let long = "a".repeat(MAX_NAME + 1);
        for name in ["", "A", "1a", "-", "a_b", "a.b", "a b", "é", "a/b", "..", "a\0", &long] {
            assert!(ClassName::new(name).is_err(), "{name:?}");
        }
        assert_eq!(ClassName::DEFAULT.shown(), "default");
        assert_eq!(serde_json::from_value::<ClassName>(json!("")).unwrap(), ClassName::DEFAULT);
        assert!(serde_json::from_value::<ClassName>(json!("A")).is_err());
    }

    #[test]
    fn the_first_class_that_picks_an_event_has_it() {
        let classes = [
            class("flows", json!({"event_type": ["flow", "netflow"]})),
            class("cloud", json!({"dataset": ["aws.*"], "category": ["iam"]})),
            class("lab", json!({"zone": ["lab"]})),
            class("all-aws", json!({"dataset": ["aws.*"]})),
        ];
        assert_eq!(check(&classes), Ok(()));
        let dataset = "aws.cloudtrail";
        for (document, expected) in [
            (json!({"event_type": "flow", "zone": "lab"}), "flows"),
            (json!({"event_type": "Flow"}), ""),
            (json!({"event_type": "flows"}), ""),
            (json!({"event_type": ["netflow"]}), "flows"),
            (json!({"event_type": [["netflow"]]}), ""),
            (json!({"event": {"dataset": dataset, "category": ["web", "iam"]}}), "cloud"),
            (json!({"event.dataset": dataset, "event": {"category": "iam"}}), "cloud"),
            (json!({"event": {"dataset": dataset}}), "all-aws"),
            (json!({"event": {"dataset": "aws"}}), ""),
            (json!({"event": {"dataset": 7}, "zone": "lab"}), "lab"),
            (json!({"zone": null}), ""),
            (json!({}), ""),
        ] {
            let Value::Object(fields) = &document else { panic!("an object") };
            assert_eq!(of(&classes, fields).as_str(), expected, "{document}");
        }
    }

    #[test]
    fn lists_that_mean_nothing_are_refused() {
        let good = class("a", json!({"kind": ["alert"]}));
        let empty = class("b", json!({"kind": []}));
        let nameless = Class { name: ClassName::DEFAULT, ..good.clone() };
        for (list, words) in [
            (vec![good.clone(), good.clone()], "class \"a\" is there twice"),
            (vec![good.clone(), empty], "class \"b\" selects nothing"),
            (vec![nameless], "\"\" is no name of a class"),
            (vec![good; MAX_CLASSES + 1], "9 classes are too many"),
        ] {
            assert!(check(&list).unwrap_err().to_string().starts_with(words), "{words}");
        }
        assert!(serde_json::from_value::<Selector>(json!({"kinds": []})).is_err());
    }
}
