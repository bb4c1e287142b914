//! Files of auditd through the whole source: each event once, whenever reading ends.

use super::*;
use crate::source::Counters;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

const RECORDED: &str = include_str!("../../parse/auditd/recorded.log");

/// What keeps the places of items, as the outbox does.
#[derive(Clone, Default)]
struct Kept(Positions);

impl Kept {
    fn take(&mut self, mut item: Item) -> Event {
        for (key, place) in item.moved {
            match place {
                Some(place) => drop(self.0.insert(key.to_string(), place)),
                None => drop(self.0.remove(&*key)),
            }
        }
        item.events.remove(0)
    }
}

struct Run {
    files: Files,
    items: crossbeam_channel::Receiver<Item>,
    clock: Clock,
}

fn run(paths: &[&Path], kept: &Kept) -> Run {
    let (queue, items) = crossbeam_channel::bounded(10_000);
    let clock = Clock::manual(0);
    let intake = Intake::new(queue, Arc::new(Counters::default()), service::Shutdown::new());
    let paths = paths.iter().map(|path| path.display().to_string()).collect();
    let config = AuditConfig { paths, ..AuditConfig::default() };
    let files = Files::new(&config, &kept.0, intake.of("audit"), &clock).unwrap();
    Run { files, items, clock }
}

impl Run {
    /// Reads all that is there, and waits until nothing is held.
    fn finish(&mut self) -> Vec<Item> {
        while self.files.poll() {}
        self.clock.advance(3_000_000);
        while self.files.poll() {}
        self.items.try_iter().collect()
    }

    fn further(&self, name: &str) -> u64 {
        let report = self.files.sink.out.intake.source().report();
        report.further.get(name).copied().unwrap_or(0)
    }
}

/// Serial and original of an event.
fn told(event: &Event) -> (u64, String) {
    let get = |name: &str| event::get(&event.fields, name).unwrap();
    (get("auditd.serial").as_u64().unwrap(), get("event.original").as_str().unwrap().to_owned())
}

#[test]
fn a_recorded_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    std::fs::write(&path, RECORDED).unwrap();
    let mut run = run(&[&path], &Kept::default());
    let events: Vec<_> = run.finish().into_iter().map(|item| told(&item.events[0])).collect();
    let serials: Vec<u64> = events.iter().map(|(serial, _)| *serial).collect();
    assert_eq!(serials, [462, 105, 106, 108, 112, 114, 118, 119]);
    let original: Vec<&str> = events.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(original.join("\n"), RECORDED.trim_end());
    assert_eq!(run.further("records"), 33);
    assert_eq!(run.files.sink.out.intake.source().report().lines, 8);
}

/// Lines of events that stand between each other.
fn mixed(order: &[u8]) -> String {
    let mut sent = BTreeMap::new();
    let mut out = String::new();
    for event in order {
        let count: &mut u32 = sent.entry(*event).or_default();
        *count += 1;
        let kind = match *count {
            1 => "SYSCALL",
            4.. => "PROCTITLE",
            _ => "PATH",
        };
        if *count <= 4 {
            out.push_str(&format!(
                "type={kind} msg=audit(1795359845.{event:03}:{event}): n={count}\n"
            ));
        }
    }
    out
}

/// Kills the source behind each of its items and after any number of polls; every record comes in one event, once.
fn exactly_once(first: &str, second: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("audit.log.1"), folder.path().join("audit.log"));
    std::fs::write(&old, first).unwrap();
    std::fs::write(&new, second).unwrap();
    let paths = [old.as_path(), new.as_path()];
    let whole: Vec<Item> = run(&paths, &Kept::default()).finish();
    let mut all: Vec<String> = first.lines().chain(second.lines()).map(str::to_owned).collect();
    all.sort();
    for kill in 0..=whole.len() {
        let mut kept = Kept::default();
        let mut events = Vec::new();
        let items = run(&paths, &kept).finish();
        events.extend(items.into_iter().take(kill).map(|item| kept.take(item)));
        // A second life that ends early as well.
        let items = run(&paths, &kept).finish();
        events.extend(items.into_iter().take(1).map(|item| kept.take(item)));
        let items = run(&paths, &kept).finish();
        events.extend(items.into_iter().map(|item| kept.take(item)));
        let mut records: Vec<String> = events
            .iter()
            .flat_map(|event| told(event).1.lines().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        records.sort();
        assert_eq!(records, all, "killed behind {kill}");
        assert_eq!(events.len(), whole.len(), "killed behind {kill}");
        assert!(
            run(&paths, &kept).finish().is_empty(),
            "killed behind {kill}: something comes again"
        );
    }
}

#[test]
fn killed_anywhere_nothing_is_lost_or_repeated() {
    exactly_once(&mixed(&[1, 2, 1, 3, 2, 1, 3, 1, 4, 2, 3, 3, 2, 4, 4, 4]), "");
    exactly_once(RECORDED, &mixed(&[1, 2, 2, 2, 2, 1, 1, 1]));
    // An event that goes on behind a rotation.
    let text = mixed(&[1, 2, 3, 2, 1, 3, 2, 1, 3, 1, 2, 3]);
    let at = text.match_indices('\n').nth(4).unwrap().0 + 1;
    let (first, second) = text.split_at(at);
    exactly_once(first, second);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]
    #[test]
    fn any_order_is_read_exactly_once(order in prop::collection::vec(0_u8..5, 1..24), at in 0_usize..24) {
        let text = mixed(&order);
        let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at + 1).collect();
        let (first, second) = text.split_at(ends.get(at).copied().unwrap_or(text.len()));
        exactly_once(first, second);
    }
}

#[test]
fn lines_that_are_no_records_are_kept_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    std::fs::write(&path, b"type=SYSCALL msg=audit(1795359845.1:1): a=b\nnonsense\xff\ntype=EOE msg=audit(1795359845.1:1): \n").unwrap();
    let mut run = run(&[&path], &Kept::default());
    let items = run.finish();
    let messages: Vec<&str> = items
        .iter()
        .map(|item| item.events[0].fields["event"]["original"].as_str().unwrap())
        .collect();
    assert_eq!(messages, ["type=SYSCALL msg=audit(1795359845.1:1): a=b", "nonsense\u{fffd}"]);
    let report = run.files.sink.out.intake.source().report();
    assert_eq!((report.lines, report.unparsed), (2, 1));
}

#[test]
fn a_file_that_grows_is_read_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    std::fs::write(&path, "type=SYSCALL msg=audit(1795359845.1:1): a=b\n").unwrap();
    let mut run = run(&[&path], &Kept::default());
    while run.files.poll() {}
    assert_eq!((run.items.len(), run.further("held")), (0, 1));
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    std::io::Write::write_all(
        &mut file,
        b"type=PROCTITLE msg=audit(1795359845.1:1): proctitle=78\n",
    )
    .unwrap();
    run.clock.advance(1_000_000);
    run.files.tailer.wait(Duration::from_millis(100));
    while run.files.poll() {}
    run.clock.advance(3_000_000);
    while run.files.poll() {}
    let item = run.items.recv().unwrap();
    assert_eq!(told(&item.events[0]).1.lines().count(), 2);
    assert_eq!(run.further("ended_by_time"), 0);
}
