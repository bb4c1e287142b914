//! The process that appends until it dies.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use event::{AgentId, Document, EventId, Timestamp};
use pikett_collector::keys::{MasterKey, MasterSource};
use pikett_collector::redaction::{Order, Target};
use pikett_collector::search::{Cancel, SearchRequest};
use pikett_collector::store::class::{Class, ClassName, Selector};
use pikett_collector::store::index::write::mover::Warm;
use pikett_collector::store::retention::HotPolicy;
use pikett_collector::store::{
    Append, AppendOutcome, Config, Embedded, RetentionPolicy, SourceKey, Store as _, StoreError,
};
use pikett_collector::vault::Vault;
use serde_json::json;

/// Batches appended.
pub(crate) const BATCHES: u64 = 120;
/// Events of each.
pub(crate) const EACH: u64 = 20;
/// Batches of a day that retention takes away.
const OLD: u64 = 20;
/// The last batch of a day that is over, and is moved.
const PAST: u64 = 45;

fn now() -> Timestamp {
    "2026-11-22T15:00:00Z".parse().unwrap()
}

/// Small segments and parts, quick commits and moves: everything happens often.
fn config(folder: &Path) -> anyhow::Result<Config> {
    let hot = HotPolicy { max_bytes: None, days: Some(0) };
    let warm = Warm { folder: folder.join("warm"), hot, every: Duration::from_millis(40) };
    let flows = Selector { event_type: vec!["flow".to_owned()], ..Selector::default() };
    Ok(Config {
        warm: Some(warm),
        part_documents: 600,
        classes: vec![Class { name: ClassName::new("flows")?, select: flows }],
        segment_bytes: 32 << 10,
        keep_log_bytes: 64 << 10,
        writer_bytes: 15_000_000,
        commit_every: Duration::from_millis(15),
        quiet: Duration::from_millis(90),
        ..Config::new(folder.join("store"), vault(folder)?, Arc::new(now))
    })
}

fn vault(folder: &Path) -> anyhow::Result<Arc<Vault>> {
    let key = folder.join("master.key");
    if !key.exists() {
        MasterKey::create(&key)?;
    }
    Ok(Vault::open(folder, &MasterSource::File(key), service::Clock::system())?)
}

/// Opens the store of a folder.
pub(crate) fn open(folder: &Path) -> anyhow::Result<Embedded> {
    Ok(Embedded::open(config(folder)?)?)
}

fn source() -> SourceKey {
    SourceKey { agent: AgentId::new("a").unwrap(), boot: 1 }
}

fn document(seq: u64, batch: u64) -> Document {
    let id = EventId { agent: source().agent, boot: 1, seq };
    let days = if batch <= OLD {
        5
    } else if batch <= PAST {
        1
    } else {
        0
    };
    let age = days * 86_400;
    let time = now().plus_seconds(-age - i64::try_from(seq).unwrap());
    let noise = seq.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut fields = Document::default();
    fields.insert("timestamp".to_owned(), json!(time.to_string()));
    let event_type = if seq.is_multiple_of(3) { "flow" } else { "log" };
    fields.insert("event_type".to_owned(), json!(event_type));
    fields.insert("message".to_owned(), json!(format!("event {noise:x} of batch {batch}")));
    event::set(&mut fields, "event.id", json!(id.to_string()));
    fields
}

/// Appends a batch; always the same one under its number.
pub(crate) fn append(store: &Embedded, batch: u64) -> Result<AppendOutcome, StoreError> {
    let (first_seq, last_seq) = ((batch - 1) * EACH + 1, batch * EACH);
    let documents = (first_seq..=last_seq).map(|seq| document(seq, batch)).collect();
    store.append_blocking(&Append {
        source: source(),
        first_seq,
        last_seq,
        documents: Arc::new(documents),
    })
}

/// Sequences of events that retention may have taken away.
pub(crate) fn dropped() -> std::ops::RangeInclusive<u64> {
    1..=OLD * EACH
}

/// The batch that is redacted.
const REDACTED: u64 = 40;

/// Sequences of events that are redacted.
pub(crate) fn redacted() -> std::ops::RangeInclusive<u64> {
    (REDACTED - 1) * EACH + 1..=REDACTED * EACH
}

fn order() -> Order {
    let id = |seq| EventId { agent: source().agent, boot: 1, seq }.to_string();
    Order {
        id: "0123".to_owned(),
        who: "ada".to_owned(),
        reason: "a test".to_owned(),
        events: redacted().map(|seq| Target { id: id(seq), time: 0 }).collect(),
        ..Order::default()
    }
}

/// Stores all batches, without any fault.
pub(crate) fn fill(folder: &Path) {
    let store = open(folder).unwrap();
    for batch in 1..=BATCHES {
        append(&store, batch).unwrap();
        if batch.is_multiple_of(30) {
            store.flush().unwrap();
        }
    }
    store.flush().unwrap();
    store.close();
}

/// Not a test by itself: what looks for everything under `strace`, while reading fails.
#[test]
fn reads() {
    let Some(folder) = std::env::var_os("PIKETT_CRASH_READS") else { return };
    for _ in 0..3 {
        let store = match open(Path::new(&folder)) {
            Ok(store) => store,
            Err(error) => {
                println!("told: refused to open: {error:#}");
                continue;
            }
        };
        for query in ["*", "event AND batch", "message:7*"] {
            let request =
                SearchRequest { query: query.to_owned(), limit: 1_000, ..SearchRequest::default() };
            match store.search(&request, &Cancel::new()) {
                Ok(found) if found.failures.is_empty() => {
                    println!("found {} of {query}", found.total);
                }
                Ok(found) => println!("told: {:?}", found.failures),
                Err(error) => println!("told: {error}"),
            }
        }
        if let Err(error) = append(&store, BATCHES + 1) {
            println!("told: {error}");
        }
        for problem in store.figures().problems {
            println!("told: {}", problem.what);
        }
        store.close();
    }
    println!("done");
}

/// Not a test by itself: what the other one starts under `strace`.
#[test]
fn appends() {
    let Some(folder) = std::env::var_os("PIKETT_CRASH_FOLDER") else { return };
    let store = match open(Path::new(&folder)) {
        Ok(store) => store,
        Err(error) => {
            println!("refused to open: {error:#}");
            return;
        }
    };
    for batch in 1..=BATCHES {
        // As an agent: what is refused is sent again, for a while.
        let mut tries = 0..6;
        while tries.next().is_some() {
            match append(&store, batch) {
                Ok(_) => {
                    println!("acknowledged {batch}");
                    break;
                }
                Err(error) => {
                    println!("refused {batch}: {error}");
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        }
        if batch % 8 == 0 {
            std::thread::sleep(Duration::from_millis(20));
        }
        if batch == BATCHES * 2 / 3 {
            // What is quiet is merged, and then written to again.
            println!("settled {:?}", store.flush().is_ok());
            std::thread::sleep(Duration::from_millis(400));
        }
        if batch == BATCHES * 3 / 4 {
            println!("redaction {:?}", store.redact(order()).map(|stone| stone.events.len()));
        }
        if batch == BATCHES / 2 {
            // What is old is indexed, and may be moving, when it is dropped.
            println!("flushed {:?}", store.flush().is_ok());
            let older_than = Some(now().plus_seconds(-2 * 86_400));
            let dropped =
                store.retain(&RetentionPolicy { older_than, ..RetentionPolicy::default() });
            println!("retention {:?}", dropped.map(|report| report.dropped.len()));
        }
    }
    // Days that are over go on moving for a moment, and what is quiet now is merged.
    println!("settled {:?}", store.flush().is_ok());
    std::thread::sleep(Duration::from_millis(400));
    let figures = store.figures();
    println!("moved {} merged {}", figures.warm.moved, figures.merges);
    for problem in figures.problems {
        println!("refused or repaired: {}", problem.what);
    }
    store.close();
    println!("done");
}
