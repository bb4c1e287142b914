//! A borrowed event as the rules see it: its time, kind, identity and fields.
//!
//! Names are looked up nested or flat and through lists: `dns.queries.rrname` gives the name of
//! every query.

use std::borrow::Cow;

use event::{Document, Event, Object, Timestamp};
use serde_json::Value;

/// Deepest nesting that is followed.
const MAX_DEPTH: u8 = 16;

/// One event, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct EventView<'a> {
    /// When it happened.
    pub time: Timestamp,
    /// EVE event type.
    pub kind: &'a str,
    /// Identity, when it has one yet.
    pub id: Option<&'a str>,
    /// Fields, canonical names.
    pub fields: &'a Object,
}

impl<'a> EventView<'a> {
    /// The view of an event without an identity.
    #[must_use]
    pub fn of(event: &'a Event) -> Self {
        Self { time: event.time, kind: event.kind.as_str(), id: None, fields: &event.fields }
    }

    /// The view of a stored document; `None` when it lacks a usable `timestamp` or `event_type`.
    #[must_use]
    pub fn of_document(document: &'a Document) -> Option<Self> {
        Some(Self {
            time: document.get("timestamp")?.as_str()?.parse().ok()?,
            kind: document.get("event_type")?.as_str()?,
            id: event::get(document, "event.id").and_then(Value::as_str),
            fields: document,
        })
    }

    /// Calls `test` with every scalar of a field until it says true; whether it did.
    pub(crate) fn any(&self, name: &str, test: &mut dyn FnMut(Cow<'_, Value>) -> bool) -> bool {
        if name == "event_type" {
            return test(Cow::Owned(Value::from(self.kind)));
        }
        descend(self.fields, name, 0, test)
    }

    /// The first scalar of a field as text.
    pub(crate) fn first_text(&self, name: &str) -> Option<String> {
        let mut found = None;
        self.any(name, &mut |value| {
            found = text(&value).map(Cow::into_owned);
            found.is_some()
        });
        found
    }

    /// The first scalar of a field that is a number.
    pub(crate) fn first_number(&self, name: &str) -> Option<f64> {
        let mut found = None;
        self.any(name, &mut |value| {
            found = number(&value);
            found.is_some()
        });
        found
    }
}

/// A scalar as text; `None` for null.
pub(crate) fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(flag) => Some(Cow::Borrowed(if *flag { "true" } else { "false" })),
        _ => None,
    }
}

/// A scalar as finite number; texts that read as one count.
pub(crate) fn number(value: &Value) -> Option<f64> {
    let found = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    found.filter(|number: &f64| number.is_finite())
}

fn descend(
    map: &Object,
    name: &str,
    depth: u8,
    test: &mut dyn FnMut(Cow<'_, Value>) -> bool,
) -> bool {
    if map.get(name).is_some_and(|value| walk(value, "", depth, test)) {
        return true;
    }
    let mut end = name.len();
    while let Some(dot) = name.get(..end).and_then(|head| head.rfind('.')) {
        let (head, rest) = (name.get(..dot), name.get(dot.saturating_add(1)..));
        if let (Some(head), Some(rest)) = (head, rest)
            && map.get(head).is_some_and(|value| walk(value, rest, depth, test))
        {
            return true;
        }
        end = dot;
    }
    false
}

fn walk(
    value: &Value,
    rest: &str,
    depth: u8,
    test: &mut dyn FnMut(Cow<'_, Value>) -> bool,
) -> bool {
    if depth > MAX_DEPTH {
        return false;
    }
    let deeper = depth.saturating_add(1);
    match value {
        Value::Array(items) => items.iter().any(|item| walk(item, rest, deeper, test)),
        Value::Object(map) if !rest.is_empty() => descend(map, rest, deeper, test),
        Value::Object(_) | Value::Null => false,
        scalar => rest.is_empty() && test(Cow::Borrowed(scalar)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_reach_through_lists_and_flat_keys() {
        let Value::Object(fields) = json!({
            "dns": {"queries": [{"rrname": "a"}, {"rrname": "b", "rrtype": "A"}]},
            "user.name": "root", "http": {"status": "404"}, "n": null, "deep": [[[1, [2]]]],
        }) else {
            panic!("an object")
        };
        let view = EventView { time: Timestamp::EPOCH, kind: "dns", id: None, fields: &fields };
        let all = |name: &str| {
            let mut out = Vec::new();
            view.any(name, &mut |value| {
                out.push(text(&value).unwrap().into_owned());
                false
            });
            out.join(",")
        };
        assert_eq!(all("dns.queries.rrname"), "a,b");
        assert_eq!(all("dns.queries.rrtype"), "A");
        assert_eq!(all("user.name"), "root");
        assert_eq!(all("deep"), "1,2");
        assert_eq!(all("event_type"), "dns");
        for absent in ["n", "dns", "dns.queries", "", ".", "user", "user.name.x"] {
            assert_eq!(all(absent), "", "{absent}");
        }
        assert_eq!(view.first_number("http.status"), Some(404.0));
        assert_eq!(view.first_number("user.name"), None);
    }
}
