//! A worker on a ring made here: panics, failures, a full queue, what the counters say afterwards.

use std::collections::VecDeque;

use crossbeam_channel::Receiver;
use etherparse::PacketBuilder;
use event::{Detection, Event, Severity};
use signature::{LoadOptions, Names, RuleSet, Source as RuleSource};

use super::*;

/// What the ring does next.
enum Step {
    /// Gives these frames in one burst.
    Frames(Vec<Vec<u8>>),
    /// Gives a frame, then panics when asked for the next one.
    Panic(Vec<u8>),
    /// Says that the interface is gone.
    Fail,
    /// Gives an empty burst; meanwhile newer rules have come.
    Rules(&'static str),
}

/// A ring that follows a script and stops the agent at its end.
struct Scripted {
    steps: VecDeque<Step>,
    burst: VecDeque<Vec<u8>>,
    current: Vec<u8>,
    bomb: bool,
    given: u64,
    dropped: u64,
    shutdown: Shutdown,
    signatures: Arc<Signatures>,
}

fn load(text: &str, names: &Names) -> RuleSet {
    let source = RuleSource { name: "t.rules".into(), text: text.into() };
    let options = LoadOptions { names: names.clone(), ..LoadOptions::default() };
    RuleSet::load(vec![source], &options).0
}

impl Ring for Scripted {
    fn wait(&mut self, _: i32) -> Result<bool, LiveError> {
        match self.steps.pop_front() {
            Some(Step::Frames(frames)) => self.burst = frames.into(),
            Some(Step::Panic(frame)) => {
                self.burst = [frame].into();
                self.bomb = true;
            }
            Some(Step::Rules(text)) => {
                let old = self.signatures.current().unwrap();
                let new = Arc::new(load(text, old.names()));
                drop(self.signatures.replace(new, 0));
            }
            Some(Step::Fail) => {
                return Err(LiveError::Wait {
                    interface: "test0".into(),
                    source: std::io::Error::other("gone"),
                });
            }
            None => {
                self.shutdown.trigger();
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn next_burst(&mut self, _: usize) -> Result<Burst<'_>, LiveError> {
        let Some(frame) = self.burst.pop_front() else {
            assert!(!std::mem::take(&mut self.bomb), "the scripted panic");
            return Ok(Burst::new());
        };
        self.given += 1;
        self.current = frame;
        let wire_len = u32::try_from(self.current.len()).unwrap();
        let ts = 1_000_000_000 + i64::try_from(self.given).unwrap();
        let (bytes, checksums_pending) = (self.current.as_slice(), false);
        let frame =
            capture::Frame { ts, interface: 0, bytes, wire_len, link: 1, checksums_pending };
        Ok([frame].into_iter().collect())
    }

    fn stats(&mut self) -> Result<LiveStats, LiveError> {
        let received = self.given + self.dropped;
        Ok(LiveStats { received, dropped: self.dropped, interface_dropped: 0 })
    }
}

/// A DNS query from `port`.
fn query(port: u16) -> Vec<u8> {
    let payload = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03bad\x07example\0\0\x01\0\x01";
    let mut frame = Vec::new();
    let ip = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([10, 0, 0, 1], [192, 0, 2, 7], 64);
    ip.udp(port, 53).write(&mut frame, payload).unwrap();
    frame
}

const RULE: &str = "alert dns any any -> any any (msg:\"bad name\"; dns.query; content:\"bad.example\"; sid:4; rev:2; priority:1;)";

/// Runs the script to its end; what came out and what was counted.
fn run(steps: Vec<Step>, room: usize, dropped: u64) -> (Receiver<Records>, Arc<Counters>) {
    let (queue, _) = crossbeam_channel::bounded(1);
    let (records, taken) = crossbeam_channel::bounded(room);
    let shutdown = Shutdown::new();
    let signatures = Arc::new(Signatures::new(Some(Arc::new(load(RULE, &Names::default()))), 0));
    let shared = Shared {
        settings: Settings::default(),
        signatures: Arc::clone(&signatures),
        tables: Arc::new(Tables::default()),
        records,
        queue,
        counters: Arc::new(Counters::default()),
        clock: Clock::manual(2_000_000_000),
        shutdown: shutdown.clone(),
    };
    let ring = Scripted {
        steps: steps.into(),
        burst: VecDeque::new(),
        current: Vec::new(),
        bomb: false,
        given: 0,
        dropped,
        shutdown,
        signatures,
    };
    let interface = Interface {
        name: "test0".into(),
        role: "ingress",
        zone: Some("dmz".into()),
        verify_checksums: true,
    };
    let interface = Arc::new(interface);
    supervise(
        Opened { ring, interface, index: 0, leads: true, kernel: LiveStats::default() },
        &shared,
    );
    (taken, shared.counters)
}

fn events(records: &Receiver<Records>) -> impl Iterator<Item = Event> {
    records.try_iter().flat_map(Records::into_events)
}

fn kinds(records: &Receiver<Records>) -> Vec<String> {
    let mut kinds: Vec<_> = events(records).map(|event| event.kind.as_str().to_owned()).collect();
    kinds.sort();
    kinds
}

#[test]
fn a_panic_is_counted_its_packets_are_shed_and_the_next_worker_goes_on() {
    let steps = vec![
        Step::Frames(vec![query(1), query(2)]),
        Step::Panic(query(3)),
        Step::Frames(vec![query(4)]),
        Step::Panic(query(5)),
        Step::Frames(vec![query(6)]),
    ];
    let (items, counters) = run(steps, 64, 3);
    let ledger = counters.capture();
    assert_eq!((ledger.seen, ledger.processed, ledger.dropped, ledger.pending), (9, 4, 3, 0));
    assert_eq!(ledger.shed.get("worker_panicked"), Some(&2));
    assert_eq!(ledger.residue(), 0, "the kernel's counters are not counted again: {ledger:?}");
    assert_eq!(
        counters.problems(),
        ["3 packets dropped by the kernel", "2 restarts of a packet worker"]
    );
    // Every query was recorded before the panic came; only the last worker ends its flow in order.
    let kinds = kinds(&items);
    assert_eq!(kinds.iter().filter(|kind| *kind == "dns").count(), 6);
    assert_eq!(kinds.iter().filter(|kind| *kind == "alert").count(), 6);
    assert_eq!(kinds.iter().filter(|kind| *kind == "flow").count(), 1);
}

#[test]
fn a_failing_interface_is_tried_again_and_its_flows_get_their_records() {
    let steps = vec![Step::Frames(vec![query(1)]), Step::Fail, Step::Frames(vec![query(2)])];
    let (items, counters) = run(steps, 64, 0);
    let kinds = kinds(&items);
    assert_eq!(kinds.iter().filter(|kind| *kind == "flow").count(), 2, "{kinds:?}");
    let ledger = counters.capture();
    assert_eq!((ledger.seen, ledger.processed, ledger.residue()), (2, 2, 0));
    assert!(counters.problems().is_empty(), "{:?}", counters.problems());
}

#[test]
fn records_without_room_are_shed_and_counted() {
    let frames = |from| Step::Frames((from..from + 10).map(query).collect());
    let (items, counters) = run(vec![frames(1), frames(11), frames(21)], 1, 0);
    // Thirty queries, alerts and flows; what the first ten packets gave found room.
    let ledger = counters.sensor();
    assert_eq!((ledger.seen, ledger.processed, ledger.residue()), (90, 20, 0));
    assert_eq!(ledger.shed.get("queue_full"), Some(&70));
    assert_eq!(counters.problems(), ["70 records shed because the queue was full"]);
    assert_eq!(events(&items).count(), 20);
}

#[test]
fn an_alert_becomes_a_detection_that_names_its_rule_and_interface() {
    let (items, _) = run(vec![Step::Frames(vec![query(7)])], 64, 0);
    let alert = events(&items).find(|e| e.kind == Kind::Alert).unwrap();
    let detection = Detection::from_document(&alert.fields).unwrap();
    assert_eq!((detection.rule_id.as_str(), detection.rule_rev.as_str()), ("4", "2"));
    assert_eq!((detection.severity, detection.rule_text.as_str()), (Severity::High, RULE));
    assert_eq!(detection.entity.value, "10.0.0.1");
    let text = |name| event::get(&alert.fields, name).cloned().unwrap();
    assert_eq!(
        (text("in_iface"), text("in_role"), text("zone")),
        ("test0".into(), "ingress".into(), "dmz".into())
    );
    assert_eq!((alert.time.micros(), alert.seen.micros()), (1_000_000_001, 2_000_000_000));
    assert!(!alert.fields.contains_key("timestamp") && !alert.fields.contains_key("event_type"));
}

#[test]
fn a_wrong_checksum_is_a_loss_by_name_and_a_problem_in_words() {
    let mut bad = query(9);
    let last = bad.len() - 1;
    bad[last] ^= 0xff;
    let (_, counters) = run(vec![Step::Frames(vec![bad, query(10)])], 64, 0);
    assert_eq!(counters.losses(), BTreeMap::from([("bad_checksum".to_owned(), 1)]));
    assert_eq!(counters.problems(), ["1 packets with a wrong checksum, not reassembled"]);
}

#[test]
fn a_played_capture_is_in_the_ledger_and_does_not_hide_what_an_interface_lost() {
    let counters = Counters::default();
    counters.kernel.store(10, Ordering::Release);
    counters.packets.store(6, Ordering::Release);
    counters.dropped.store(4, Ordering::Release);
    let mut figures = Figures::default();
    figures.net.packets = 100;
    figures.net.stream_shed = 2;
    figures.net.stream_gaps = 5;
    counters.played(&figures);
    counters.played(&figures);
    let ledger = counters.capture();
    assert_eq!((ledger.seen, ledger.processed, ledger.dropped, ledger.pending), (210, 206, 4, 0));
    let losses = counters.losses();
    assert_eq!((losses["stream_memory"], losses["stream_gap"], losses.len()), (4, 10, 2));
    // A gap is a fact about the traffic; the memory cap is a problem of this agent.
    let problems = counters.problems();
    assert_eq!(
        problems,
        ["4 packets dropped by the kernel", "4 segments not reassembled: memory cap"]
    );
}

#[test]
fn newer_rules_apply_from_the_next_burst_on_and_flows_remember() {
    const BITS: &str = "alert dns any any -> any any (dns.query; content:\"bad\"; flowbits:set,seen; noalert; sid:1;)";
    const NEWER: &str = "alert dns any any -> any any (dns.query; content:\"bad\"; flowbits:isset,other; sid:2;)\n\
        alert dns any any -> any any (msg:\"again\"; dns.query; content:\"bad\"; flowbits:isset,seen; sid:3; rev:9;)";
    let steps = vec![
        Step::Frames(vec![query(1)]),
        Step::Rules(BITS),
        Step::Frames(vec![query(1), query(2)]),
        Step::Rules(NEWER),
        Step::Frames(vec![query(1), query(2), query(3)]),
    ];
    let (items, counters) = run(steps, 64, 0);
    let events: Vec<Event> = events(&items).collect();
    let alerts = events.iter().filter(|event| event.kind == Kind::Alert);
    let found: Vec<(String, String)> = alerts
        .map(|event| Detection::from_document(&event.fields).unwrap())
        .map(|detection| (detection.rule_id, detection.rule_text))
        .collect();
    let again = NEWER.lines().nth(1).unwrap().trim().to_owned();
    let expected = [
        ("4".to_owned(), RULE.to_owned()),
        ("3".to_owned(), again.clone()),
        ("3".to_owned(), again),
    ];
    assert_eq!(found, expected);
    // Six packets, three flows: none was begun anew.
    assert_eq!(events.iter().filter(|event| event.kind.as_str() == "flow").count(), 3);
    let ledger = counters.capture();
    assert_eq!((ledger.seen, ledger.processed, ledger.residue()), (6, 6, 0));
}
