//! Redaction: what is taken out is gone from index and log and from every copy, stays gone, and a kill at any
//! step leaves nothing half done.

use super::*;
use crate::redaction::{Order, Rewritten, Target};
use crate::store::log::reader::{Reader, Step};
use crate::store::log::{Position, segment};
use crate::vault::{Head, fresh_key, partition_key};

const CANARY: &str = "kanarienvogel";
const DAY: &str = "2026-11-22";

/// Events of two days; every tenth holds the canary in text, keyword and a field of its own.
fn filled(directory: &Path) -> (Embedded, SourceKey) {
    let (store, source) = (open(directory), source("a"));
    for first in [1_u64, 31] {
        let one = |seq: u64| {
            let time = if first == 1 { "2026-11-22T10:00:00Z" } else { "2026-11-20T10:00:00Z" };
            let word = if seq.is_multiple_of(10) { CANARY } else { "sparrow" };
            let fields = json!({
                "n": seq, "message": format!("saw {word} number{seq}"),
                "user": {"name": format!("{word}{seq}")}, "own": {"word": word},
            });
            document(&source, seq, time, fields)
        };
        append(&store, &source, (first..first + 30).map(one).collect());
        store.flush().unwrap();
    }
    (store, source)
}

fn order(id: &str, seqs: &[u64], fields: &[&str]) -> Order {
    let target = |seq: &u64| Target { id: format!("a/1/{seq}"), time: now().micros() };
    let id_of = |seq: &u64| EventId { agent: source("a").agent, boot: 1, seq: *seq }.to_string();
    Order {
        id: id.into(),
        who: "ada".into(),
        reason: "because of a test".into(),
        fields: fields.iter().map(|name| (*name).to_owned()).collect(),
        events: seqs.iter().map(|seq| Target { id: id_of(seq), ..target(seq) }).collect(),
        ..Order::default()
    }
}

/// Whether any record of the log holds the text.
fn log_holds(store: &Embedded, directory: &Path, text: &str) -> bool {
    let keys = store.vault.keyring.clone();
    let mut reader = Reader::new(directory.join("log"), keys, Position::default());
    loop {
        match reader.step().unwrap() {
            Step::Record(_, packed, _) => {
                let entry = packed.unpack().unwrap();
                if String::from_utf8_lossy(&entry.json).contains(text) {
                    return true;
                }
            }
            Step::Damage(problem) => panic!("{problem:?}"),
            Step::End(_) => return false,
        }
    }
}

fn words(store: &Embedded, field: &str, prefix: &str) -> usize {
    store.values(field, prefix, 10).unwrap().len()
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for item in std::fs::read_dir(from).unwrap() {
        let path = item.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

#[test]
fn whole_events_are_gone_from_index_and_log_and_the_rest_stays() {
    let directory = tempfile::tempdir().unwrap();
    let (store, source) = filled(directory.path());
    assert_eq!(find(&store, CANARY).total, 6);
    assert!(log_holds(&store, directory.path(), CANARY));
    assert!(words(&store, "own.word", CANARY) > 0);
    let before = store.index.partitions.all()[0].directory.head();
    let key = store.vault.keyring.get(&partition_key(DAY)).unwrap();
    let stone = store.redact(order("x", &[10, 20, 30, 40, 50, 60], &[])).unwrap();
    assert_eq!((stone.events.len(), stone.partitions.len()), (6, 2));
    let part = stone.partitions["2026-11-20"];
    assert!(part.before == before && part.after.unwrap().count > before.count, "{part:?}");
    for query in [CANARY, "own.word:kanarienvogel", "user.name:kanarienvogel*", "n:10", "n:60"] {
        assert_eq!(find(&store, query).total, 0, "{query}");
    }
    assert_eq!((find(&store, "*").total, find(&store, "sparrow").total), (54, 54));
    assert!(!log_holds(&store, directory.path(), CANARY));
    assert_eq!(words(&store, "own.word", CANARY) + words(&store, "user.name", CANARY), 0);
    assert_ne!(*store.vault.keyring.get(&partition_key(DAY)).unwrap(), *key);
    assert_eq!(store.vault.keyring.orders(), []);
    assert_eq!(store.vault.redactions.count(i64::MIN, i64::MAX), 6);
    // It goes on as before, over restarts too.
    append(&store, &source, batch(&source, 61..=70));
    assert_eq!(set(&store, "*").len(), 64);
    assert_eq!(store.figures().problems, []);
    store.close();
    let store = open(directory.path());
    assert_eq!((set(&store, "*").len(), find(&store, CANARY).total), (64, 0));
    assert_eq!((store.figures().problems, store.figures().index_quarantined), (vec![], 0));
}

#[test]
fn fields_are_gone_and_the_events_stay() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = filled(directory.path());
    let stone = store.redact(order("x", &[10, 20], &["message", "user.name", "own"])).unwrap();
    assert_eq!(stone.fields, ["message", "user.name", "own"]);
    assert_eq!((find(&store, CANARY).total, find(&store, "*").total), (4, 60));
    let hit = find(&store, "n:10").hits.remove(0).document;
    assert_eq!(hit["redaction"], json!({"fields": ["message", "own", "user.name"]}));
    assert!(!Value::Object(hit).to_string().contains(CANARY));
    assert_eq!(find(&store, "redaction.fields:message").total, 2);
    let again = store.redact(order("y", &[10], &["n"])).unwrap();
    assert_eq!(again.events.len(), 1);
    assert_eq!((find(&store, "n:10").total, find(&store, "*").total), (0, 60));
}

#[test]
fn copies_of_the_old_files_do_not_open_any_more() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = filled(directory.path());
    let (index, aside) = (directory.path().join("index").join(DAY), directory.path().join("copy"));
    copy_folder(&index, &aside);
    let log = directory.path().join("log");
    copy_folder(&log, &directory.path().join("log-copy"));
    store.redact(order("x", &[10], &[])).unwrap();
    let keyring = store.vault.keyring.clone();
    for item in std::fs::read_dir(&aside).unwrap() {
        let path = item.unwrap().path();
        let name = format!("{DAY}/{}", path.file_name().unwrap().to_str().unwrap());
        for key in keyring.list() {
            let (key, cache) = (keyring.file_key(&key.name).unwrap(), PageCache::new(1 << 20));
            let opened = super::super::super::index::files::sealed::SealedFile::open(
                &path,
                &name,
                &key,
                Arc::new(cache),
            );
            assert!(opened.is_err(), "{name}");
        }
    }
    for number in segment::list(&directory.path().join("log-copy")).unwrap() {
        assert!(keyring.get(&segment::key_name(number)).is_err(), "segment {number}");
    }
}

#[test]
fn an_event_that_is_sent_again_or_indexed_again_does_not_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let (store, source) = filled(directory.path());
    store.redact(order("x", &[10], &[])).unwrap();
    store.redact(order("y", &[20], &["message", "user", "own"])).unwrap();
    store.close();
    // What was stored is forgotten: everything that is sent again is taken as new.
    std::fs::remove_file(directory.path().join("log/dedup.state")).unwrap();
    let store = open(directory.path());
    let again = |seq| {
        let fields = json!({"n": seq, "message": CANARY, "user": {"name": CANARY}});
        document(&source, seq, "2026-11-22T10:00:00Z", fields)
    };
    append(&store, &source, vec![again(10), again(20)]);
    store.flush().unwrap();
    assert_eq!((find(&store, "n:10").total, find(&store, "n:20").total), (0, 2));
    assert_eq!(find(&store, "(n:10 OR n:20) AND kanarienvogel").total, 0);
    assert!(!log_holds(&store, directory.path(), CANARY));
}

#[test]
fn what_is_not_there_is_not_begun() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = filled(directory.path());
    let generation = store.vault.keyring.generation();
    let refused = store.redact(order("x", &[1_000], &[])).unwrap_err();
    assert!(matches!(refused, StoreError::Absent), "{refused}");
    assert_eq!(store.vault.keyring.generation(), generation);
    assert_eq!(find(&store, "*").total, 60);
    assert_eq!(store.figures().problems, [], "a refusal is no damage");
}

/// Opens the store after a kill, which ends what was begun; checks that it is done once.
fn ended(directory: &Path) {
    for _ in 0..2 {
        let store = open(directory);
        store.flush().unwrap();
        assert_eq!((find(&store, "*").total, find(&store, CANARY).total), (59, 5));
        assert!(!log_holds(&store, directory, &format!("{CANARY}10")));
        assert_eq!(store.vault.keyring.orders(), []);
        let listed = crate::custody::redactions(store.vault.journal.path(), &store.vault.keyring);
        assert_eq!(listed.unwrap().len(), 1);
        let names = store.vault.keyring.list();
        assert!(!names.iter().any(|key| key.name.starts_with("fresh/")));
        store.close();
    }
}

/// An order as it stands when it is begun.
fn begun(store: &Embedded) -> Order {
    let mut order = order("x", &[10], &[]);
    let partition = &store.index.partitions.all()[1];
    let before = partition.directory.head();
    order.partitions.insert(DAY.into(), Rewritten { before, after: None });
    store.vault.begin_redaction(&order).unwrap();
    order
}

#[test]
fn a_kill_right_after_the_beginning_is_made_good() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = filled(directory.path());
    begun(&store);
    drop(store);
    ended(directory.path());
}

#[test]
fn a_kill_while_a_partition_is_copied_is_made_good() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = filled(directory.path());
    begun(&store);
    store.vault.keyring.ensure(&fresh_key(DAY)).unwrap();
    let index = directory.path().join("index");
    copy_folder(&index.join(DAY), &index.join(format!(".fresh-{DAY}")));
    drop(store);
    ended(directory.path());
}

#[test]
fn a_kill_between_keys_and_folders_is_made_good() {
    for old_is_there in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        let (store, _) = filled(directory.path());
        let (index, old) = (directory.path().join("index"), directory.path().join("old"));
        copy_folder(&index.join(DAY), &old);
        store.redact(order("x", &[10], &[])).unwrap();
        store.close();
        // As a kill leaves the folders: the key is exchanged already.
        std::fs::rename(index.join(DAY), index.join(format!(".fresh-{DAY}"))).unwrap();
        if old_is_there {
            std::fs::rename(&old, index.join(DAY)).unwrap();
        }
        let looked = crate::store::index::verify::verify(
            &index,
            &vault(directory.path()).keyring,
            &mut |_| {},
        );
        assert_eq!(looked.unwrap().findings, []);
        ended(directory.path());
    }
}

#[test]
fn a_kill_before_the_order_is_taken_away_is_made_good() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = filled(directory.path());
    let order = begun(&store);
    let stone = store.vault.redactions.tombstone(order, Head::default());
    let proof = store.vault.signer().sign(&stone).unwrap();
    store.vault.note(crate::journal::What::Redacted { stone, proof }).unwrap();
    drop(store);
    ended(directory.path());
}

#[test]
fn a_partition_that_goes_meanwhile_does_not_hold_it_up() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = filled(directory.path());
    let mut order = order("x", &[10], &[]);
    let gone = Rewritten { before: Head::default(), after: None };
    order.partitions.insert("2026-10-01".into(), gone);
    let stone = store.redact(order).unwrap();
    assert_eq!(stone.partitions["2026-10-01"].after, None);
    assert!(stone.partitions[DAY].after.is_some());
}

/// Waits until everything is sealed anew that was asked for.
fn resealed(store: &Embedded, asker: &crate::keyring::Keyring) {
    for _ in 0..2_000 {
        asker.refresh().unwrap();
        if asker.reseal().is_none() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("not sealed anew: {:?}", store.figures().problems);
}

#[test]
fn another_process_has_everything_sealed_anew_while_the_store_runs() {
    for killed in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let (store, source) = filled(directory.path());
        let before: Vec<String> =
            store.vault.keyring.list().into_iter().map(|key| key.name).collect();
        let secrets = |store: &Embedded| -> BTreeSet<[u8; 32]> {
            let names = store.vault.keyring.list().into_iter().map(|key| key.name);
            let names = names.filter(|name| name.contains('/') && !name.starts_with("audit"));
            names.map(|name| *store.vault.keyring.get(&name).unwrap()).collect()
        };
        let old = secrets(&store);
        let asker = vault(directory.path()).keyring.clone();
        asker.ask_reseal().unwrap();
        let store = if killed {
            drop(store);
            open(directory.path())
        } else {
            append(&store, &source, batch(&source, 61..=70));
            store
        };
        resealed(&store, &asker);
        let new = secrets(&store);
        assert!(new.is_disjoint(&old) && new.len() == 3, "{} {before:?}", new.len());
        let all = if killed { 60 } else { 70 };
        assert_eq!((set(&store, "*").len(), store.figures().problems), (all, vec![]));
        let key = store.vault.keyring.file_key(names::JOURNAL).unwrap();
        let journal = crate::journal::scan(store.vault.journal.path(), &key).unwrap();
        let noted = journal
            .entries
            .iter()
            .filter(|(entry, _)| matches!(entry.what, crate::journal::What::Resealed { .. }));
        assert_eq!(noted.count(), 1);
        store.close();
        let store = open(directory.path());
        assert_eq!((set(&store, "*").len(), store.figures().problems), (all, vec![]));
    }
}
