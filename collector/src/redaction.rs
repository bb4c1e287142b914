//! Redaction: events, or fields of them, that are taken out of what is stored for good, and what is left
//! in their place.
//!
//! An [`Order`] is noted in the keyring before anything is done, so that what a kill interrupts is ended at
//! the next start. The store edits the partitions that hold the events, writes those anew under new keys,
//! destroys the old keys and lets go of the log that held the events. A [`Tombstone`], signed and in the
//! journal, stays: events by a keyed hash, when, who, why, and how far the partitions had come before and
//! after. Whatever is stored or indexed from then on is screened ([`Redactions`]), so that an event that is
//! sent again or read from the log again does not come back. Not here: how partitions and log are written
//! anew ([`crate::store`]), and who may ask ([`crate::web`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use event::{Document, Object};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::keyring::hex;
use crate::keys::KeyBytes;
use crate::vault::Head;

/// Most events of one redaction.
pub const MAX_EVENTS: usize = 1_000;
/// Most fields of one redaction.
pub const MAX_FIELDS: usize = 50;
/// Deepest nesting that is looked into; as deep as names of fields are followed.
const MAX_DEPTH: usize = 32;
/// Fields that make an event what it is; they go with the whole event alone.
pub const KEPT: [&str; 4] = ["timestamp", "event.id", "event_type", "agent.id"];

/// An event that is to be redacted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Its `event.id`.
    pub id: String,
    /// Its time, microseconds since the epoch.
    pub time: i64,
}

/// A partition that held such events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rewritten {
    /// How far it had come before.
    pub before: Head,
    /// How far it had come when it was written anew under a new key; `None` while that is not done, and
    /// when retention has taken it meanwhile.
    pub after: Option<Head>,
}

/// What is to be done. Holds what must not stay: kept sealed, and only until it is done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Identity, hexadecimal digits.
    pub id: String,
    /// When, microseconds since the epoch.
    pub time: i64,
    /// Who.
    pub who: String,
    /// Why.
    pub reason: String,
    /// Canonical names of the fields that go; none when the events go whole.
    pub fields: Vec<String>,
    /// The events.
    pub events: Vec<Target>,
    /// Partitions that hold them; known when it is begun.
    #[serde(default)]
    pub partitions: BTreeMap<String, Rewritten>,
}

/// An event that was redacted, as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// Keyed hash of its identity, hexadecimal digits.
    pub event: String,
    /// Its time, microseconds since the epoch.
    pub time: i64,
}

/// What stays of a redaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// Identity of the redaction.
    pub id: String,
    /// When it was ordered, microseconds since the epoch.
    pub time: i64,
    /// By whom.
    pub who: String,
    /// Why.
    pub reason: String,
    /// Fields that are gone; none when the events are gone whole.
    pub fields: Vec<String>,
    /// The events.
    pub events: Vec<Gone>,
    /// Partitions that held them, before and after.
    pub partitions: BTreeMap<String, Rewritten>,
    /// How far the log had come when what it held of the events was let go.
    pub log: Head,
}

type Hash = [u8; 16];

#[derive(Debug, Default)]
struct Known {
    /// Fields that are gone, by event; none when the event is gone.
    fields: BTreeMap<Hash, BTreeSet<String>>,
    /// Times of redacted events, ascending; one event may stand there several times.
    times: Vec<i64>,
}

/// What is redacted; looked at with every event that is stored. Cheap while there is nothing.
pub struct Redactions {
    key: hmac::Key,
    known: RwLock<Known>,
    /// How often something was learnt.
    learned: AtomicU64,
}

impl std::fmt::Debug for Redactions {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Redactions(..)")
    }
}

/// What is left of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Left {
    /// All of it.
    All,
    /// It without some fields.
    Some(Document),
    /// Nothing.
    Nothing,
}

impl Redactions {
    /// None yet; identities are hashed with a key of their own under `secret`.
    #[must_use]
    pub fn new(secret: &KeyBytes) -> Self {
        let root = hmac::Key::new(HMAC_SHA256, &**secret);
        let derived = hmac::sign(&root, b"pikett redaction identities 1");
        let key = hmac::Key::new(HMAC_SHA256, derived.as_ref());
        Self { key, known: RwLock::default(), learned: AtomicU64::new(0) }
    }

    fn hash(&self, id: &str) -> Hash {
        let signed = hmac::sign(&self.key, id.as_bytes());
        signed.as_ref().first_chunk().copied().unwrap_or_default()
    }

    /// Takes an order into account from now on.
    pub(crate) fn begin(&self, order: &Order) {
        let hashes = order.events.iter().map(|one| (self.hash(&one.id), one.time));
        self.learn(hashes, &order.fields);
    }

    /// Takes a tombstone into account.
    pub(crate) fn remember(&self, stone: &Tombstone) {
        let hash = |gone: &Gone| Some((unhex(&gone.event)?, gone.time));
        self.learn(stone.events.iter().filter_map(hash), &stone.fields);
    }

    fn learn(&self, events: impl Iterator<Item = (Hash, i64)>, fields: &[String]) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for (hash, time) in events {
            let new = !known.fields.contains_key(&hash);
            let slot = known.fields.entry(hash).or_default();
            if fields.is_empty() {
                slot.clear();
            } else if new || !slot.is_empty() {
                slot.extend(fields.iter().cloned());
            }
            if new {
                known.times.push(time);
            }
        }
        known.times.sort_unstable();
        self.learned.fetch_add(1, Ordering::SeqCst);
    }

    /// How often something was learnt: what was screened when this was less must be screened again.
    #[must_use]
    pub fn learned(&self) -> u64 {
        self.learned.load(Ordering::SeqCst)
    }

    /// What stays of an order that is done.
    pub(crate) fn tombstone(&self, order: Order, log: Head) -> Tombstone {
        let Order { id, time, who, reason, fields, events, partitions } = order;
        let gone = |one: Target| Gone { event: hex(&self.hash(&one.id)), time: one.time };
        let events = events.into_iter().map(gone).collect();
        Tombstone { id, time, who, reason, fields, events, partitions, log }
    }

    /// How many events of a window of time (microseconds, both ends within) were redacted.
    #[must_use]
    pub fn count(&self, low: i64, high: i64) -> u64 {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let from = known.times.partition_point(|time| *time < low);
        let to = known.times.partition_point(|time| *time <= high);
        to.saturating_sub(from) as u64
    }

    /// What is left of an event that is about to be stored or indexed.
    #[must_use]
    pub fn screen(&self, document: &Document) -> Left {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if known.fields.is_empty() {
            return Left::All;
        }
        let id = event::get(document, "event.id").and_then(Value::as_str).unwrap_or_default();
        match known.fields.get(&self.hash(id)) {
            None => Left::All,
            Some(fields) if fields.is_empty() => Left::Nothing,
            Some(fields) => {
                let mut left = document.clone();
                strip(&mut left, fields);
                Left::Some(left)
            }
        }
    }

    /// The documents as they may be stored; those that are gone are left empty.
    pub(crate) fn screen_all(&self, documents: &Arc<Vec<Document>>) -> Arc<Vec<Document>> {
        let screened: Vec<Left> = documents.iter().map(|one| self.screen(one)).collect();
        if screened.iter().all(|left| *left == Left::All) {
            return Arc::clone(documents);
        }
        let left = screened.into_iter().zip(documents.iter()).map(|(left, one)| match left {
            Left::All => one.clone(),
            Left::Some(stripped) => stripped,
            Left::Nothing => Document::new(),
        });
        Arc::new(left.collect())
    }
}

fn unhex(text: &str) -> Option<Hash> {
    let mut out = Hash::default();
    let pairs = text.as_bytes().chunks_exact(2);
    if text.len() != out.len().saturating_mul(2) {
        return None;
    }
    for (slot, pair) in out.iter_mut().zip(pairs) {
        *slot = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

/// Takes fields, by their canonical names, out of a document, under whichever name it has them, and what lies
/// below them; notes in `redaction.fields` which.
pub fn strip(document: &mut Document, fields: &BTreeSet<String>) {
    strip_below(document, "", fields, 0);
    let names: Vec<&str> = fields.iter().map(String::as_str).collect();
    event::set(document, "redaction.fields", names.into());
}

fn is_wanted(name: &str, fields: &BTreeSet<String>) -> bool {
    fields.contains(event::canonical(name)) || fields.contains(name)
}

fn strip_below(object: &mut Object, above: &str, fields: &BTreeSet<String>, depth: usize) {
    let name_of = |key: &str| match above {
        "" => key.to_owned(),
        _ => format!("{above}.{key}"),
    };
    object.retain(|key, _| !is_wanted(&name_of(key), fields));
    if depth == MAX_DEPTH {
        // Deeper parts have no names that could be asked for.
        return;
    }
    for (key, value) in object.iter_mut() {
        strip_value(value, &name_of(key), fields, depth.saturating_add(1));
    }
    object.retain(|_, value| !value.as_object().is_some_and(Object::is_empty));
}

fn strip_value(value: &mut Value, name: &str, fields: &BTreeSet<String>, depth: usize) {
    match value {
        Value::Object(inner) => strip_below(inner, name, fields, depth),
        Value::Array(items) if depth < MAX_DEPTH => {
            items
                .iter_mut()
                .for_each(|item| strip_value(item, name, fields, depth.saturating_add(1)));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn document(value: Value) -> Document {
        let Value::Object(fields) = value else { panic!("an object") };
        fields
    }

    #[test]
    fn fields_go_under_every_name_with_what_lies_below() {
        let check = |fields: &[&str], given: Value, left: Value| {
            let fields = fields.iter().map(|name| event::canonical(name).to_owned()).collect();
            let mut given = document(given);
            strip(&mut given, &fields);
            given.remove("redaction");
            assert_eq!(Value::Object(given), left, "{fields:?}");
        };
        let given =
            json!({"src_ip": "1.1.1.1", "user": {"name": "bob", "id": 7}, "user.name": "x"});
        check(&["user.name"], given.clone(), json!({"src_ip": "1.1.1.1", "user": {"id": 7}}));
        check(&["user"], given.clone(), json!({"src_ip": "1.1.1.1", "user.name": "x"}));
        check(
            &["source.ip"],
            given.clone(),
            json!({"user": {"name": "bob", "id": 7}, "user.name": "x"}),
        );
        check(&["user.name", "user.id"], given, json!({"src_ip": "1.1.1.1"}));
        let list = json!({"a": [{"b": 1, "c": 2}, {"b": 3}], "d": {"e": [1]}});
        check(&["a.b"], list.clone(), json!({"a": [{"c": 2}, {}], "d": {"e": [1]}}));
        check(&["d.e", "nothing"], list, json!({"a": [{"b": 1, "c": 2}, {"b": 3}]}));
    }

    #[test]
    fn deep_documents_end() {
        let mut deep = json!(1);
        for _ in 0..100 {
            deep = json!({ "a": [deep] });
        }
        let mut given = document(json!({"x": deep, "b": 1}));
        strip(&mut given, &["b".to_owned()].into());
        assert!(!given.contains_key("b"));
    }

    fn order(id: &str, fields: &[&str], events: &[(&str, i64)]) -> Order {
        let target = |(id, time): &(&str, i64)| Target { id: (*id).to_owned(), time: *time };
        Order {
            id: id.to_owned(),
            fields: fields.iter().map(|name| (*name).to_owned()).collect(),
            events: events.iter().map(target).collect(),
            ..Order::default()
        }
    }

    #[test]
    fn events_are_screened_by_orders_and_by_tombstones_alike() {
        let key = KeyBytes::new([5; 32]);
        let (one, two) = (Redactions::new(&key), Redactions::new(&key));
        let event = |id: &str| document(json!({"event": {"id": id}, "n": 1, "m": 2}));
        assert_eq!(one.screen(&event("a/1/1")), Left::All);
        for order in [
            order("x", &["n"], &[("a/1/1", 10), ("a/1/2", 20)]),
            order("y", &[], &[("a/1/2", 20), ("a/1/3", 30)]),
            order("z", &["m"], &[("a/1/1", 10), ("a/1/3", 30)]),
        ] {
            one.begin(&order);
            two.remember(&one.tombstone(order, Head::default()));
        }
        for redactions in [one, two] {
            let Left::Some(left) = redactions.screen(&event("a/1/1")) else { panic!("some") };
            assert_eq!(
                Value::Object(left),
                json!({"event": {"id": "a/1/1"}, "redaction": {"fields": ["m", "n"]}})
            );
            assert_eq!(redactions.screen(&event("a/1/2")), Left::Nothing);
            // What is gone whole does not come back for a field.
            assert_eq!(redactions.screen(&event("a/1/3")), Left::Nothing);
            assert_eq!(redactions.screen(&event("a/1/4")), Left::All);
            assert_eq!(redactions.count(10, 20), 2);
            assert_eq!(redactions.count(i64::MIN, i64::MAX), 3);
            assert_eq!(redactions.count(21, 29), 0);
            let all = Arc::new(vec![event("a/1/4"), event("a/1/2")]);
            assert_eq!(*redactions.screen_all(&all), [event("a/1/4"), Document::new()]);
            let same = Arc::new(vec![event("a/1/4")]);
            assert!(Arc::ptr_eq(&redactions.screen_all(&same), &same));
        }
    }

    #[test]
    fn hashes_tell_nothing_without_the_key() {
        let one = Redactions::new(&KeyBytes::new([5; 32]));
        let two = Redactions::new(&KeyBytes::new([6; 32]));
        let stone = |redactions: &Redactions| {
            let order = order("x", &[], &[("secret-agent/1/1", 10)]);
            serde_json::to_string(&redactions.tombstone(order, Head::default())).unwrap()
        };
        assert!(!stone(&one).contains("secret-agent"));
        assert_ne!(stone(&one), stone(&two));
        for bad in ["", "zz", "é".repeat(16).as_str(), "00"] {
            assert_eq!(unhex(bad), None);
        }
    }
}
