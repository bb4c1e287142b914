//! A collector's folder changed at random places: everything that carries something is found out,
//! with its place. `PIKETT_VERIFY_ROUNDS=1000` looks longer.

use super::*;
use crate::audit::Act;
use crate::custody;
use crate::init::init;
use crate::journal::What;
use crate::keys::{MasterKey, MasterSource};
use crate::redaction::{Order, Target};
use crate::state::{Record, State};
use crate::store::{Append, Embedded, RetentionPolicy, SourceKey, Store as _};
use crate::vault::Vault;
use event::{AgentId, Document, EventId, Timestamp};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const CANARY: &str = "kanarienvogel";
const NOW: &str = "2026-11-22T15:00:00Z";

#[derive(Serialize, Deserialize)]
struct Thing {
    id: String,
    text: String,
}

impl Record for Thing {
    const KIND: &'static str = "thing";
    fn id(&self) -> &str {
        &self.id
    }
}

/// A collector's folder that is written to and looked at.
struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        init(&folder.path().join("data"), &["127.0.0.1".into()], "", &Clock::system()).unwrap();
        Self { folder }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn config(&self) -> Config {
        let text = format!(
            "data = {:?}\nconsole_url = \"https://c\"\nlink_names = [\"c:8444\"]\n",
            self.data()
        );
        service::config::parse("c.toml", &text).unwrap()
    }

    fn open(&self) -> (Arc<Vault>, Arc<State>, Embedded) {
        let source = self.config().master();
        let vault = Vault::open(&self.data(), &source, Clock::system()).unwrap();
        let folder = Folder::new(&self.data());
        let key = vault.keyring.get(names::STATE).unwrap();
        let state = Arc::new(State::open(&folder.state(), &key).unwrap());
        vault.watch(&state, &folder.state());
        let now = Arc::new(|| NOW.parse::<Timestamp>().unwrap());
        let config = crate::store::Config {
            segment_bytes: 16 << 10,
            writer_bytes: 15_000_000,
            commit_every: Duration::from_millis(20),
            ..crate::store::Config::new(folder.events(), Arc::clone(&vault), now)
        };
        let store = Embedded::open(config).unwrap();
        (vault, state, store)
    }

    /// Stores `count` documents on each of two days from `first` on, a record and a journal entry.
    fn write(&self, first: u64, count: u64, crash: bool) {
        let (vault, state, store) = self.open();
        append(&store, first, count);
        let id = format!("{CANARY}-{first}");
        state.put(&Thing { id: id.clone(), text: CANARY.into() }).unwrap();
        let about = [("text".to_owned(), CANARY.to_owned())].into();
        vault.note(What::Did { who: id.clone(), action: "wrote".into(), about }).unwrap();
        for n in 0..3 {
            let act = Act { who: id.clone(), action: format!("{CANARY} {n}"), ..Act::default() };
            vault.audit.append(act, n == 2).unwrap();
        }
        if crash {
            // As a kill leaves it: no last commit, no last checkpoint.
            drop(store);
        } else {
            store.close();
            vault.checkpoint(true).unwrap();
        }
    }

    fn look(&self) -> Report {
        verify(&self.config(), None, &mut |_| {}).unwrap()
    }

    fn good(&self, what: &str) {
        let report = self.look();
        assert_eq!(report.findings, [], "{what}: {:?}", report.notes);
    }
}

/// Stores documents alone.
fn append(store: &Embedded, first: u64, count: u64) {
    let source = SourceKey { agent: AgentId::new(&format!("{CANARY}-agent")).unwrap(), boot: 1 };
    let document = |seq: u64| -> Document {
        let mut out = Document::new();
        let day = 20 + seq % 2;
        out.insert("timestamp".into(), json!(format!("2026-11-{day}T10:00:00Z")));
        let id = EventId { agent: source.agent.clone(), boot: 1, seq };
        event::set(&mut out, "event.id", json!(id.to_string()));
        event::set(&mut out, "host.name", json!(format!("{CANARY}-host{}", seq % 7)));
        let noise = seq.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        event::set(&mut out, "message", json!(format!("{CANARY} saw {noise:x}")));
        out
    };
    for first_seq in (first..first + count).step_by(20) {
        let documents = Arc::new((first_seq..first_seq + 20).map(document).collect());
        let last_seq = first_seq + 19;
        let append = Append { source: source.clone(), first_seq, last_seq, documents };
        store.append_blocking(&append).unwrap();
        store.flush().unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for item in std::fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        let target = to.join(item.file_name());
        if item.file_type().unwrap().is_dir() {
            copy(&item.path(), &target);
        } else {
            std::fs::copy(item.path(), target).unwrap();
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(next) = todo.pop() {
        for item in std::fs::read_dir(next).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() { todo.push(path) } else { out.push(path) }
        }
    }
    out.sort();
    out
}

/// The same sequence of numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % most.max(1) as u64).unwrap()
    }
}

/// Files that carry something: not locks, not what keys and certificates are kept in.
fn carriers(data: &Path) -> Vec<PathBuf> {
    let of = |folder: &str| files(&data.join(folder));
    let mut out = [of("events"), of("vault")].concat();
    out.retain(|path| !path.ends_with("lock") && !path.ends_with("keyring.lock"));
    out
}

/// Bytes of a file up to the last that is not zero: a log segment is written out in advance.
fn used(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

/// Harms one file; gives what was done, or nothing when it changed no byte.
fn harm(
    random: &mut Random,
    kind: &str,
    all: &[PathBuf],
    older: &dyn Fn(&Path) -> Option<Vec<u8>>,
) -> Option<(PathBuf, String)> {
    let path = all[random.below(all.len())].clone();
    let bytes = std::fs::read(&path).unwrap();
    let mut bad = bytes.clone();
    let mut words = kind.to_owned();
    match kind {
        "flip" => {
            let at = random.below(bytes.len());
            *bad.get_mut(at)? ^= 1 << random.below(8);
            words = format!("flip at {at}");
        }
        "truncate" => {
            bad.truncate(random.below(used(&bytes)));
            words = format!("truncated to {} of {}", bad.len(), bytes.len());
        }
        "delete" => {
            std::fs::remove_file(&path).unwrap();
            return Some((path, words));
        }
        "swap" => {
            let same = |other: &&PathBuf| {
                **other != path
                    && other.extension() == path.extension()
                    && other.extension().is_some()
            };
            let others: Vec<&PathBuf> = all.iter().filter(same).collect();
            let other = *others.get(random.below(others.len()))?;
            bad = std::fs::read(other).unwrap();
            std::fs::write(other, &bytes).unwrap();
        }
        "reorder" => {
            let length = used(&bytes);
            let size = 1 + random.below(length / 3);
            let (a, b) = (random.below(length - size), random.below(length - size));
            let (a, b) = (a.min(b), a.max(b));
            if a + size > b {
                return None;
            }
            let (head, tail) = bad.split_at_mut(b);
            head[a..a + size].swap_with_slice(&mut tail[..size]);
            words = format!("{size} bytes at {a} and {b} exchanged");
        }
        _ => bad = older(&path)?,
    }
    if bad == bytes {
        return None;
    }
    std::fs::write(&path, bad).unwrap();
    Some((path, words))
}

#[test]
fn whatever_is_changed_is_found_and_located() {
    let rounds = std::env::var("PIKETT_VERIFY_ROUNDS").ok().and_then(|text| text.parse().ok());
    let rounds: usize = rounds.unwrap_or(60);
    let site = Site::new();
    site.write(1, 200, false);
    site.good("as written");
    let before = site.folder.path().join("before");
    copy(&site.data(), &before);
    site.write(1_001, 200, false);
    site.good("as written on");
    let kept = site.folder.path().join("kept");
    copy(&site.data(), &kept);
    let older = |path: &Path| {
        let name = path.strip_prefix(site.data()).unwrap();
        // What these hold is made again from the log; an older one changes nothing. An older
        // checkpoint alone is what a power cut leaves: it takes an anchor to tell.
        let harmless = ["dedup.state", "index.position", ".managed.json", "checkpoint"];
        let skip = harmless.iter().any(|skip| name.ends_with(skip));
        (!skip).then(|| std::fs::read(before.join(name)).ok()).flatten()
    };
    let mut random = Random(0x5eed_0f5a_11d0_7b1d);
    let kinds = ["flip", "truncate", "delete", "swap", "reorder", "older"];
    let mut done = 0;
    while done < rounds {
        let kind = kinds[done % kinds.len()];
        let all = carriers(&site.data());
        let Some((path, words)) = harm(&mut random, kind, &all, &older) else { continue };
        let report = site.look();
        let place = path.display().to_string();
        assert!(!report.findings.is_empty(), "{place}: {words}");
        let folder = path.parent().unwrap().display().to_string();
        let located = |one: &Finding| one.place.starts_with(&place) || one.place == folder;
        assert!(report.findings.iter().any(located), "{place}: {words}: {:?}", report.findings);
        for name in ["events", "vault"] {
            std::fs::remove_dir_all(site.data().join(name)).unwrap();
            copy(&kept.join(name), &site.data().join(name));
        }
        done += 1;
    }
    site.good("after all");
}

#[test]
fn a_part_that_is_put_back_as_a_whole_is_found() {
    let site = Site::new();
    site.write(1, 100, false);
    let before = site.folder.path().join("before");
    copy(&site.data(), &before);
    site.write(1_001, 100, false);
    let kept = site.folder.path().join("kept");
    copy(&site.data(), &kept);
    for (part, expected) in [
        ("events/index/2026-11-20", "has been put back or cut"),
        ("events/log", "has been put back or cut"),
        ("state.db", "has been put back or cut"),
        ("vault/journal", "has been put back or cut"),
        ("vault/audit", "has been put back or cut"),
    ] {
        let target = site.data().join(part);
        if target.is_dir() {
            std::fs::remove_dir_all(&target).unwrap();
            copy(&before.join(part), &target);
        } else {
            std::fs::copy(before.join(part), &target).unwrap();
        }
        let report = site.look();
        let found = |one: &Finding| {
            one.place.starts_with(&target.display().to_string()) && one.what.contains(expected)
        };
        assert!(report.findings.iter().any(found), "{part}: {:?}", report.findings);
        // The collector tells it when it opens, too, and the journal keeps it.
        let (vault, _, store) = site.open();
        assert!(!vault.problems().is_empty(), "{part}");
        drop((vault, store));
        assert!(site.look().notes.iter().any(|note| note.starts_with("found at ")), "{part}");
        std::fs::remove_dir_all(site.data()).unwrap();
        copy(&kept, &site.data());
    }
    site.good("after all");
    std::fs::remove_dir_all(site.data().join("events/index/2026-11-21")).unwrap();
    let report = site.look();
    assert!(report.findings[0].what.starts_with("is gone; it had come to step"), "{report:?}");
}

#[test]
fn an_anchor_tells_that_the_whole_folder_was_put_back_or_written_anew() {
    let site = Site::new();
    assert!(anchor(&site.config()).is_err(), "nothing is there yet");
    site.write(1, 100, false);
    let before = site.folder.path().join("before");
    copy(&site.data(), &before);
    site.write(1_001, 100, false);
    let path = site.folder.path().join("anchor.json");
    std::fs::write(&path, anchor(&site.config()).unwrap()).unwrap();
    let look = || verify(&site.config(), Some(&path), &mut |_| {});
    assert_eq!(look().unwrap().findings, []);
    site.write(2_001, 40, false);
    assert_eq!(look().unwrap().findings, [], "it has gone on from the anchor");
    std::fs::remove_dir_all(site.data()).unwrap();
    copy(&before, &site.data());
    site.good("an older state is sound by itself");
    let report = look().unwrap();
    let what: Vec<&str> = report.findings.iter().map(|one| one.what.as_str()).collect();
    assert!(what[0].starts_with("the checkpoint is older than the anchor"), "{what:?}");
    assert!(what.len() >= 5, "log, journal, state, both partitions: {what:?}");
    // Somebody with all keys goes on from there, as far as the anchor and further.
    site.write(1_001, 140, false);
    site.write(3_001, 100, false);
    let report = look().unwrap();
    let anew = |one: &Finding| one.what.contains("was written anew up to step");
    assert!(report.findings.iter().any(anew), "{:?}", report.findings);
    let text = std::fs::read_to_string(&path).unwrap().replace("\\\"count\\\":", "\\\"count\\\": ");
    std::fs::write(&path, text).unwrap();
    let error = format!("{:#}", look().unwrap_err());
    assert!(error.contains("is not signed by this collector"), "{error}");
}

#[test]
fn a_crash_is_no_tampering() {
    let site = Site::new();
    for round in 0..4 {
        site.write(round * 1_000 + 1, 60, true);
        site.good("after a crash");
    }
    let (_, _, store) = site.open();
    assert_eq!(store.figures().problems, []);
    let policy = RetentionPolicy {
        older_than: Some("2026-11-21T12:00:00Z".parse().unwrap()),
        ..RetentionPolicy::default()
    };
    assert_eq!(store.retain(&policy).unwrap().dropped.len(), 1);
    drop(store);
    site.good("after retention and a crash");
    let deletions = custody::list_deletions(&site.config()).unwrap();
    let deleted: Vec<_> = deletions.iter().map(|one| &*one.deletion.partition).collect();
    assert_eq!(deleted, ["2026-11-20"]);
    assert!(deletions[0].deletion.shredded && deletions[0].deletion.documents == 120);
}

#[test]
fn a_redaction_is_no_tampering_and_is_listed() {
    let site = Site::new();
    site.write(1, 60, false);
    let (vault, _, store) = site.open();
    let target = |seq: u64| {
        let agent = AgentId::new(&format!("{CANARY}-agent")).unwrap();
        Target { id: EventId { agent, boot: 1, seq }.to_string(), time: 0 }
    };
    let (who, reason) = ("ada".to_owned(), "because".to_owned());
    let events = [3, 4].map(target).to_vec();
    let order = Order { id: "x1".into(), who, reason, events, ..Order::default() };
    let stone = store.redact(order).unwrap();
    assert_eq!(stone.partitions.len(), 2);
    append(&store, 61, 20);
    store.close();
    vault.checkpoint(true).unwrap();
    drop(vault);
    let report = site.look();
    assert_eq!((report.findings, report.redactions), (vec![], vec![stone]));
    let told = |note: &&String| note.starts_with("redacted by ada at") && note.ends_with("because");
    assert_eq!(report.notes.iter().filter(told).count(), 1, "{:?}", report.notes);
    site.write(1_001, 60, true);
    site.good("after a crash behind it");
}

#[test]
fn nothing_lies_in_clear_anywhere() {
    let clear = |folder: &Path| {
        let found = |path: &PathBuf| {
            let name = path.display().to_string();
            let bytes = std::fs::read(path).unwrap();
            name.contains(CANARY) || bytes.windows(CANARY.len()).any(|w| w == CANARY.as_bytes())
        };
        let all = files(folder);
        assert!(all.len() > 20, "{}", all.len());
        all.into_iter().filter(found).collect::<Vec<_>>()
    };
    let site = Site::new();
    site.write(1, 100, true);
    assert_eq!(clear(&site.data()), [] as [PathBuf; 0], "after a crash");
    site.write(1_001, 100, false);
    assert_eq!(clear(&site.data()), [] as [PathBuf; 0], "after a stop");
    // Damage moves files to quarantine.
    let log = files(&site.data().join("events/log"));
    let segment = log.iter().find(|path| path.extension().is_some_and(|e| e == "log")).unwrap();
    let mut bytes = std::fs::read(segment).unwrap();
    bytes[20] ^= 1;
    std::fs::write(segment, bytes).unwrap();
    let index = files(&site.data().join("events/index/2026-11-20"));
    let store = index.iter().find(|path| path.extension().is_some_and(|e| e == "store")).unwrap();
    std::fs::write(store, b"").unwrap();
    site.write(2_001, 60, false);
    assert!(!files(&site.data().join("events/quarantine")).is_empty());
    assert_eq!(clear(&site.data()), [] as [PathBuf; 0], "after damage");
}

#[test]
fn hostile_files_are_read_without_harm() {
    let signed = json!({"statement": "{}", "signature": "zz", "public_key": "00"}).to_string();
    let frame = [&b"PKR2"[..], &u32::MAX.to_le_bytes(), &[7; 60]].concat();
    let corpus: [&[u8]; 8] = [
        b"",
        b"PKTRING\x01 and what follows is far too short for anything",
        b"e30=",
        b"{\"pikett\": {\"count\": 1, \"previous\": \"00\", \"files\": []}}",
        b"{\"segments\": [{\"segment_id\": 7}]}",
        signed.as_bytes(),
        &frame,
        &[0; 96],
    ];
    corpus.iter().for_each(|bytes| fuzz_files(bytes));
}

#[test]
fn the_master_key_changes_and_everything_stays_readable() {
    let site = Site::new();
    site.write(1, 60, false);
    let (vault, _, store) = site.open();
    let before = custody::keys(&site.config()).unwrap();
    custody::rotate(&site.config(), None).unwrap();
    // The collector that runs goes on with the old one until it needs a new key.
    vault.keyring.ensure("partition/new").unwrap();
    let next = site.folder.path().join("next.key");
    MasterKey::create(&next).unwrap();
    let next = MasterSource::File(next);
    let error = custody::rotate(&site.config(), Some(&next)).unwrap_err().to_string();
    assert!(error.ends_with("stop it first"), "{error}");
    store.close();
    let after = custody::keys(&site.config()).unwrap();
    assert_ne!(before.master, after.master);
    assert_eq!((before.public_key, before.keys.len() + 1), (after.public_key, after.keys.len()));
    site.write(1_001, 60, false);
    site.good("after the change");
}
