//! The same place of the log gives the same partition for ever; what is lost is told.

use std::sync::Arc;

use event::{AgentId, Document, Timestamp};
use serde_json::json;

use super::*;
use crate::store::SourceKey;
use crate::store::class::{ClassName, Selector};
use crate::store::log::{Entry, Item};

const REACH: Reach = Reach { past: 30, future: 2 };

fn class(name: &str, event_type: &str) -> Class {
    let select = Selector { event_type: vec![event_type.to_owned()], ..Selector::default() };
    Class { name: ClassName::new(name).unwrap(), select }
}

fn at(offset: u64) -> Position {
    Position { segment: 1, offset }
}

fn entry(event_type: &str) -> Entry {
    let received: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
    let mut document = Document::new();
    document.insert("timestamp".to_owned(), json!(received.to_string()));
    document.insert("event_type".to_owned(), json!(event_type));
    Entry {
        source: SourceKey { agent: AgentId::new("a").unwrap(), boot: 1 },
        first_seq: 1,
        last_seq: 1,
        received,
        documents: Arc::new(vec![document]),
        items: vec![Item { seq: 1, json: 0..0, index: 0 }],
        json: Arc::new(Vec::new()),
    }
}

fn goes(routing: &Routing, at: Position, event_type: &str) -> String {
    let entry = entry(event_type);
    let micros = entry.received.micros();
    let class = routing.class(at, &entry.documents[0]);
    routing.partition(at, (micros, micros), class).to_string()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("index.routing")
    }

    fn open(&self, classes: &[Class], end: u64, existing: &[&str]) -> (Routing, Option<Problem>) {
        let existing: Vec<_> =
            existing.iter().map(|name| PartitionKey::parse(name).unwrap()).collect();
        let file = (self.path(), Key::new([1; 32]));
        Routing::open(file, REACH, classes, at(end), &existing).unwrap()
    }
}

#[test]
fn classes_hold_from_the_place_where_they_were_changed_on() {
    let folder = Folder::new();
    let (routing, problem) = folder.open(&[], 8, &["2026-11-21"]);
    assert_eq!((goes(&routing, at(9), "flow").as_str(), problem), ("2026-11-22", None));
    let flows = [class("flows", "flow")];
    folder.open(&flows, 100, &[]);
    let (routing, _) = folder.open(&flows, 200, &["2026-11-22_flows"]);
    let other = [class("network", "flow"), class("names", "dns")];
    let (again, _) = folder.open(&other, 300, &["2026-11-22_flows"]);
    for (place, event_type, before, after) in [
        (9, "flow", "2026-11-22", "2026-11-22"),
        (99, "flow", "2026-11-22", "2026-11-22"),
        (100, "flow", "2026-11-22_flows", "2026-11-22_flows"),
        (250, "dns", "2026-11-22", "2026-11-22"),
        (300, "flow", "2026-11-22_flows", "2026-11-22_network"),
        (301, "dns", "2026-11-22", "2026-11-22_names"),
    ] {
        assert_eq!(goes(&routing, at(place), event_type), before, "{place} {event_type}");
        assert_eq!(goes(&again, at(place), event_type), after, "{place} {event_type}");
    }
    assert!(!again.is_doubtful(at(0)));
}

#[test]
fn parts_begin_where_they_were_begun_also_after_a_restart() {
    let folder = Folder::new();
    let flows = [class("flows", "flow")];
    let (mut routing, _) = folder.open(&flows, 0, &[]);
    let key = |name| PartitionKey::parse(name).unwrap();
    let full = key("2026-11-22_flows");
    assert!(routing.is_latest(full));
    routing.begin_part(full, at(50), &[full]).unwrap();
    assert!(!routing.is_latest(full) && routing.is_latest(key("2026-11-22_flows.1")));
    let there = ["2026-11-22_flows", "2026-11-22_flows.1"];
    routing.begin_part(key(there[1]), at(70), &there.map(key)).unwrap();
    let (again, problem) = folder.open(&flows, 90, &there);
    assert_eq!(problem, None);
    for routing in [&routing, &again] {
        for (place, expected) in [(49, ""), (50, ".1"), (69, ".1"), (70, ".2"), (1_000, ".2")] {
            assert_eq!(goes(routing, at(place), "flow"), format!("2026-11-22_flows{expected}"));
            assert_eq!(goes(routing, at(place), "dns"), "2026-11-22", "another class");
        }
    }
    // Days of which nothing is left are forgotten with the next part.
    let other = key("2026-11-20");
    routing.begin_part(other, at(80), &[other]).unwrap();
    assert_eq!(goes(&routing, at(81), "flow"), "2026-11-22_flows");
}

#[test]
fn a_file_that_is_lost_is_told_and_made_again_from_the_partitions() {
    let flows = [class("flows", "flow")];
    let there = ["2026-11-22_flows", "2026-11-22_flows.2", "2026-11-22_flows.1"];
    for damage in [true, false] {
        let folder = Folder::new();
        folder.open(&flows, 0, &[]);
        if damage {
            let mut bytes = std::fs::read(folder.path()).unwrap();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            std::fs::write(folder.path(), bytes).unwrap();
        } else {
            std::fs::remove_file(folder.path()).unwrap();
        }
        for again in 0..2 {
            let (routing, problem) = folder.open(&flows, 60, &there);
            assert_eq!(problem.is_some(), again == 0, "told once");
            assert_eq!(goes(&routing, at(5), "flow"), "2026-11-22_flows.2");
            assert!(routing.is_doubtful(at(59)) && !routing.is_doubtful(at(60)));
        }
    }
    // A store that has neither classes nor parts needs no file.
    let (_, problem) = Folder::new().open(&flows, 60, &["2026-11-22"]);
    assert_eq!(problem, None);
}

#[test]
fn what_cannot_be_written_changes_nothing() {
    let folder = Folder::new();
    let (mut routing, _) = folder.open(&[class("flows", "flow")], 0, &[]);
    let key = PartitionKey::parse("2026-11-22_flows").unwrap();
    // The name that is written beside is taken by a folder.
    std::fs::create_dir(folder.path().with_extension("new")).unwrap();
    routing.begin_part(key, at(50), &[key]).unwrap_err();
    assert_eq!(goes(&routing, at(60), "flow"), "2026-11-22_flows");
    assert!(routing.is_latest(key));
}

#[test]
fn only_so_many_changes_are_remembered() {
    let folder = Folder::new();
    for change in 0..u64::try_from(MAX_EPOCHS).unwrap() + 10 {
        folder.open(&[class(&format!("c{change}"), "flow")], change * 10, &[]);
    }
    let (routing, _) = folder.open(&[class("last", "flow")], 5_000, &[]);
    assert_eq!(routing.content.epochs.len(), MAX_EPOCHS);
    assert_eq!(goes(&routing, at(5_000), "flow"), "2026-11-22_last");
}
