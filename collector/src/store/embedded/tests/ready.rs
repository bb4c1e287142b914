//! What is made ready where events are taken in is what the index would make itself, and is not used when
//! something has changed since.

use super::*;
use crate::redaction::{Order, Target};
use crate::store::class::{Class, ClassName, Selector};
use crate::store::index::files::directory::SealedDirectory;
use crate::store::index::partition::Reach;
use crate::store::index::schema::{Fields, Ties, schema, settings, tokenizers};
use crate::store::index::write::routing::Routing;
use crate::store::log::Position;
use crate::store::ready::indexable;
use crate::vault::partition_key;
use tantivy::{Document as _, Index};

fn of(documents: Vec<Document>, source: &SourceKey) -> Append {
    let last_seq = documents.len() as u64;
    Append { source: source.clone(), first_seq: 1, last_seq, documents: Arc::new(documents) }
}

#[test]
fn both_ways_give_the_same_documents_and_places() {
    let directory = tempfile::tempdir().unwrap();
    let select = Selector { event_type: vec!["dns".to_owned()], ..Selector::default() };
    let class = Class { name: ClassName::new("names").unwrap(), select };
    let store = Embedded::open(Config { classes: vec![class.clone()], ..config(directory.path()) })
        .unwrap();
    let source = source("a");
    let time = "2026-11-22T10:00:00Z";
    let documents: Vec<Document> = [
        json!({"event_type": "dns", "src_ip": "10.0.0.1", "dest_port": 53}),
        json!({"event_type": "flow", "src_ip": "no address", "dest_port": "x"}),
        json!({"message": "a\u{1f}b \u{0} ä", "own": {"n": [1, 2.5, "x", null, {"d": true}]}}),
        json!({"a..b": 1, "bad\\name": 2, "timestamp": "not at all"}),
        (0..2000).map(|n| (format!("k{n}"), json!(n))).collect::<Document>().into(),
    ]
    .into_iter()
    .enumerate()
    .map(|(at, fields)| document(&source, at as u64 + 1, time, fields))
    .collect();
    let (entry, ready) = store.entry(&of(documents, &source)).unwrap();
    assert!(entry.documents.is_empty());
    let (ready, again) = (ready.unwrap(), entry.parsed().unwrap());
    let file = (directory.path().join("other"), crate::store::Key::new([1; 32]));
    let reach = Reach { past: 30, future: 2 };
    let (routing, _) = Routing::open(file, reach, &[class], Position::default(), &[]).unwrap();
    let fields = Fields::of(&schema()).unwrap();
    assert_eq!(ready.documents.len(), 5);
    for (filed, item) in ready.documents.iter().zip(&again.items) {
        let event = indexable(&again, item, Ties::new(&source)).unwrap();
        let (made, left_out) = fields.document(&event);
        assert_eq!(made.to_json(&schema()), filed.document.to_json(&schema()));
        assert_eq!((left_out, event.time), (filed.left_out, filed.time));
        assert_eq!(routing.class(Position::default(), event.document), filed.class);
    }
    assert!(ready.documents[4].left_out > 0 && !ready.documents[0].class.is_default());
}

#[test]
fn what_is_redacted_on_its_way_is_not_indexed() {
    let directory = tempfile::tempdir().unwrap();
    let (store, source) = (open(directory.path()), source("a"));
    let append = of(batch(&source, 1..=9), &source);
    let (entry, ready) = store.entry(&append).unwrap();
    assert!(ready.is_some());
    let target = |seq: u64| {
        let id = EventId { agent: source.agent.clone(), boot: 1, seq }.to_string();
        Target { id, time: now().micros() }
    };
    let order = |id: &str, seq, fields: &[&str]| Order {
        id: id.into(),
        fields: fields.iter().map(|name| (*name).to_owned()).collect(),
        events: vec![target(seq)],
        ..Order::default()
    };
    store.vault.redactions.begin(&order("x", 3, &[]));
    store.vault.redactions.begin(&order("y", 4, &["message"]));
    store.appender.append_blocking(entry, ready).unwrap();
    assert_eq!(set(&store, "*").len(), 8);
    assert_eq!((find(&store, "number3").total, find(&store, "number4").total), (0, 0));
    assert_eq!((find(&store, "n:4").total, find(&store, "number5").total), (1, 1));
}

#[test]
fn what_is_partly_there_already_keeps_its_order() {
    let directory = tempfile::tempdir().unwrap();
    let (store, source) = (open(directory.path()), source("a"));
    append(&store, &source, batch(&source, 3..=5));
    let outcome = append(&store, &source, batch(&source, 1..=9));
    assert_eq!(outcome, AppendOutcome::Partly { events: 6, duplicates: vec![3..=5] });
    assert_eq!(set(&store, "*").len(), 9);
    for seq in 1..=9 {
        let id = EventId { agent: source.agent.clone(), boot: 1, seq }.to_string();
        assert_eq!(ids(&store, &format!("n:{seq} AND number{seq}")), [id]);
    }
}

/// A partition of an older program has its fields elsewhere.
#[test]
fn partitions_of_another_schema_get_documents_of_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let mut fields = serde_json::to_value(schema()).unwrap();
    fields.as_array_mut().unwrap().rotate_left(7);
    let older = serde_json::from_value(fields).unwrap();
    let name = "2026-11-22";
    {
        let vault = vault(directory.path());
        vault.keyring.ensure(&partition_key(name)).unwrap();
        let key = vault.keyring.file_key(&partition_key(name)).unwrap();
        let path = directory.path().join("index").join(name);
        std::fs::create_dir_all(&path).unwrap();
        let files = SealedDirectory::new(path, name, key, Arc::new(PageCache::new(1 << 20)));
        files.prepare().unwrap();
        let builder = Index::builder().schema(older).tokenizers(tokenizers());
        builder.settings(settings()).open_or_create(files).unwrap();
    }
    let (store, source) = (open(directory.path()), source("a"));
    let partition = store.index.partitions.all().remove(0);
    assert!(partition.key.to_string() == name && !partition.is_current);
    let documents: Vec<Document> = (1..=5)
        .map(|seq| {
            let fields = json!({"n": seq, "message": format!("event number{seq}"),
                "src_ip": format!("10.0.0.{seq}"), "event_type": "flow"});
            document(&source, seq, "2026-11-22T10:00:00Z", fields)
        })
        .collect();
    append(&store, &source, documents);
    assert_eq!(set(&store, "event_type:flow").len(), 5);
    assert_eq!(ids(&store, "src_ip:10.0.0.4"), ids(&store, "number4"));
    assert_eq!(find(&store, "src_ip:10.0.0.4").total, 1);
}
