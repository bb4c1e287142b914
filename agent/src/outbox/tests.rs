//! What the outbox spools, keeps and loses, with spools that are full and agents that stop.

use super::*;
use crate::memory::MemoryKey;
use crate::sensor::records;
use event::{Detection, Engine, Entity, Kind, Object, Severity, Timestamp};
use link::spool::{Cursor, Item as Spooled, Limits, Spool, SpoolKey, WhenFull};
use logs::source::{Item, Position};

struct Evil;

impl Detector for Evil {
    fn event(&mut self, event: &mut Event, id: &EventId, found: &mut Vec<Event>) {
        if event.fields.get("message").is_some_and(|m| m == "evil 3") {
            let detection = Detection {
                engine: Engine::Sigma,
                rule_id: "r".into(),
                rule_rev: String::new(),
                title: "evil".into(),
                severity: Severity::High,
                category: String::new(),
                entity: Entity { field: "host.name".into(), value: "h".into() },
                explanation: String::new(),
                advice: String::new(),
                evidence: vec![id.to_string()],
                attack: Vec::new(),
                rule_text: String::new(),
            };
            found.push(detection.into_event(event.time, event.seen, Object::new()));
        }
    }
}

fn item(n: u64) -> Item {
    let event = Event {
        seq: 0,
        time: Timestamp::EPOCH,
        seen: Timestamp::EPOCH,
        kind: Kind::Log,
        fields: Object::from_iter([("message".to_owned(), format!("evil {n}").into())]),
    };
    Item::at(event, "journald".into(), Position::Cursor(n.to_string()))
}

fn open(folder: &Path, boot: u64, limits: Limits) -> Arc<SharedSpool> {
    let spool = Spool::open(&folder.join("spool"), SpoolKey::new([1; 32]), limits, boot);
    SharedSpool::new(spool.unwrap())
}

fn outbox(folder: &Path, spool: &Arc<SharedSpool>, items: Vec<Item>) -> Outbox {
    let (sender, queue) = crossbeam_channel::bounded(items.len().max(1));
    for item in items {
        sender.send(item).unwrap();
    }
    Outbox {
        inbox: Inbox::new(queue, records::queue().1),
        spool: Arc::clone(spool),
        agent: AgentId::new("a").unwrap(),
        detectors: vec![Box::new(Evil)],
        positions: Positions::new(),
        checkpoint: Checkpoint::new(folder),
        memory: Memory::new(folder.to_owned(), MemoryKey::derive(&[1; 32]).unwrap()),
        counters: Arc::default(),
        clock: Clock::system(),
        shutdown: Shutdown::new(),
    }
}

fn spooled(spool: &SharedSpool) -> Vec<Event> {
    let mut cursor = Cursor::default();
    let mut out = Vec::new();
    while let Some((item, next)) = spool.lock().read(cursor).unwrap() {
        cursor = next;
        let Spooled::Batch { first_seq, last_seq, payload, .. } = item else { panic!() };
        out.extend(link::payload::unpack(&payload, first_seq, last_seq).unwrap());
    }
    out
}

#[test]
fn events_detections_and_positions_reach_the_spool() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path(), 1, Limits::default());
    let outbox = outbox(folder.path(), &spool, (0..1_000).map(item).collect());
    let counters = Arc::clone(&outbox.counters);
    outbox.run();
    let events = spooled(&spool);
    assert_eq!(events.len(), 1_001);
    assert!(events.iter().enumerate().all(|(at, event)| event.seq == at as u64 + 1));
    let alerts: Vec<_> = events.iter().filter(|event| event.kind == Kind::Alert).collect();
    let evidence = &alerts[0].fields["detection"]["evidence"][0];
    assert_eq!((alerts.len(), evidence), (1, &"a/0000000000000001/4".into()));
    assert_eq!(events[3].fields["message"], "evil 3");
    assert_eq!((counters.ledger().residue(), counters.detections()), (0, 1));
    let recovered = Checkpoint::new(folder.path()).recover(&spool).unwrap();
    assert_eq!(recovered["journald"], Position::Cursor("999".into()));
}

#[test]
fn after_a_kill_positions_come_from_the_spool() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path(), 1, Limits::default());
    let outbox = outbox(folder.path(), &spool, Vec::new());
    let moved = Positions::from([("journald".into(), Position::Cursor("7".into()))]);
    // A checkpoint, then one more batch, then the kill.
    Checkpoint::new(folder.path()).save(&spool, &Positions::new()).unwrap();
    assert!(outbox.spool_all(&mut item(7).events, &moved));
    drop((outbox, spool));
    let spool = open(folder.path(), 2, Limits::default());
    let recovered = Checkpoint::new(folder.path()).recover(&spool).unwrap();
    assert_eq!(recovered, moved);
    let path = folder.path().join("positions.json");
    std::fs::write(&path, "garbage").unwrap();
    assert_eq!(Checkpoint::new(folder.path()).recover(&spool).unwrap(), moved);
    assert_eq!(std::fs::read(path.with_extension("json.damaged")).unwrap(), b"garbage");
    // What the disk does not give may be whole: nothing is begun anew.
    std::fs::create_dir(&path).unwrap();
    let refused = Checkpoint::new(folder.path()).recover(&spool).unwrap_err().to_string();
    assert_eq!(refused, format!("cannot read {}", path.display()));
    assert!(path.exists());
}

#[test]
fn a_spool_that_fills_within_one_checkpoint_goes_on_when_it_is_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    // Room for the first record only; the clock stands still, so no checkpoint is due.
    let limits = Limits { bytes: 2_500, segment_bytes: 1_000, when_full: WhenFull::RefuseNew };
    let spool = open(folder.path(), 1, limits);
    let count = u64::try_from(BATCH).unwrap() * 40;
    let outbox = outbox(folder.path(), &spool, (0..count).map(item).collect());
    let counters = Arc::clone(&outbox.counters);
    let thread = std::thread::spawn(move || outbox.run());
    while counters.waits() == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    while !thread.is_finished() {
        let last = spool.lock().next_seq().saturating_sub(1);
        spool.lock().acknowledge(1, last).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    thread.join().unwrap();
    assert_eq!(counters.ledger().processed, count + counters.detections());
}

#[test]
fn a_full_spool_makes_sources_wait_and_stopping_counts_what_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { bytes: 40, segment_bytes: 1_000, when_full: WhenFull::RefuseNew };
    let spool = open(folder.path(), 1, limits);
    let outbox = outbox(folder.path(), &spool, (0..3).map(item).collect());
    let (counters, shutdown) = (Arc::clone(&outbox.counters), outbox.shutdown.clone());
    let thread = std::thread::spawn(move || outbox.run());
    while counters.waits() == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(counters.ledger().processed, 0);
    shutdown.trigger();
    thread.join().unwrap();
    let ledger = counters.ledger();
    assert_eq!(ledger.shed.get("stopped_while_spool_full"), Some(&3));
    assert_eq!(ledger.residue(), 0);
}

/// Tells the clock it is shown, and remembers how often it was shown it.
struct Ticker(u64, &'static str);

impl Detector for Ticker {
    fn event(&mut self, _: &mut Event, _: &EventId, _: &mut Vec<Event>) {}

    fn pass(&mut self, now: Timestamp, found: &mut Vec<Event>) {
        self.0 += 1;
        let fields = Object::from_iter([("message".to_owned(), "tick".into())]);
        found.push(Event { seq: 0, time: now, seen: now, kind: Kind::Anomaly, fields });
    }

    fn memory(&self) -> Option<(&'static str, Vec<u8>)> {
        Some((self.1, self.0.to_le_bytes().to_vec()))
    }
}

/// Waits for something that the outbox's thread does.
fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..20_000 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("never: {what}");
}

#[test]
fn detectors_see_the_clock_without_events_and_their_memory_is_kept_each_minute_and_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path(), 1, Limits::default());
    let mut outbox = outbox(folder.path(), &spool, Vec::new());
    let (sender, queue) = crossbeam_channel::bounded(1);
    outbox.inbox = Inbox::new(queue, records::queue().1);
    outbox.detectors = vec![Box::new(Ticker(0, "one")), Box::new(Ticker(10, "two"))];
    outbox.clock = Clock::manual(7_000_000);
    let (clock, memory) = (outbox.clock.clone(), outbox.memory.clone());
    let counters = Arc::clone(&outbox.counters);
    let thread = std::thread::spawn(move || outbox.run());
    // The thread runs once it has taken an event. Less than a second is no look.
    sender.send(item(1)).unwrap();
    until("an event", || counters.ledger().processed == 1);
    clock.advance(999_999);
    std::thread::sleep(LINGER * 3);
    assert_eq!(counters.detections(), 0);
    clock.advance(1);
    until("a look", || counters.detections() == 2);
    assert_eq!(memory.load("one"), None, "no minute has passed");
    clock.advance(59_000_000);
    until("a kept state", || memory.load("two").is_some());
    assert_eq!(counters.detections(), 4);
    clock.advance(1_000_000);
    until("another look", || counters.detections() == 6);
    assert_eq!(memory.load("one").unwrap(), 2_u64.to_le_bytes());
    drop(sender);
    thread.join().unwrap();
    assert_eq!(memory.load("one").unwrap(), 3_u64.to_le_bytes(), "kept at the end");
    assert_eq!(memory.load("two").unwrap(), 13_u64.to_le_bytes());
    let times: Vec<i64> = spooled(&spool).iter().skip(1).map(|event| event.time.micros()).collect();
    assert_eq!(times, [8_000_000, 8_000_000, 67_000_000, 67_000_000, 68_000_000, 68_000_000]);
    assert_eq!((counters.ledger().seen, counters.ledger().residue()), (7, 0));
}

#[test]
fn memory_that_cannot_be_kept_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path(), 1, Limits::default());
    let mut outbox = outbox(folder.path(), &spool, vec![item(1)]);
    outbox.detectors = vec![Box::new(Ticker(0, "one"))];
    let gone = folder.path().join("gone");
    outbox.memory = Memory::new(gone, MemoryKey::derive(&[1; 32]).unwrap());
    let counters = Arc::clone(&outbox.counters);
    outbox.run();
    assert_eq!(counters.ledger().processed, 1);
}
