//! Whole files through the source: each record once, whatever becomes of the file and whenever reading ends.

use super::*;
use crate::evtx::CHUNK;
use crate::evtx::written::{EACH, chunk, file, log};
use crate::source::Counters;
use expect_test::expect;

/// When all files of these tests were written, seconds since the epoch.
const WRITTEN_AT: i64 = 1_795_400_000;

/// A folder of logs, and what outbox and spool keep.
struct Place {
    folder: tempfile::TempDir,
    kept: Positions,
    /// Seconds after the files were written at which they are looked at.
    later: i64,
    writes: u32,
}

/// One run of the source.
struct Run {
    reader: Reader,
    items: crossbeam_channel::Receiver<Item>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, kept: Positions::new(), later: 3600, writes: 0 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file in place; each time is another.
    fn write(&mut self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
        self.writes += 1;
        let seconds = u64::try_from(WRITTEN_AT).unwrap();
        let time = std::time::UNIX_EPOCH + Duration::new(seconds, self.writes);
        File::options().write(true).open(self.path(name)).unwrap().set_modified(time).unwrap();
    }

    fn config(&self) -> EvtxConfig {
        EvtxConfig::new(vec![self.path("*.evtx").display().to_string()])
    }

    fn start(&self) -> Run {
        self.start_with(&self.config())
    }

    fn start_with(&self, config: &EvtxConfig) -> Run {
        let (queue, items) = crossbeam_channel::bounded(10_000);
        let clock = Clock::manual((WRITTEN_AT + self.later) * 1_000_000);
        let intake = Intake::new(queue, Arc::new(Counters::default()), service::Shutdown::new());
        let reader = Reader::new(config, &self.kept, intake.of(&config.name()), clock);
        Run { reader, items }
    }

    /// What one more look gives, at most `most` of it; the places of these alone are kept.
    fn look(&mut self, run: &mut Run, most: usize) -> Vec<String> {
        run.reader.look().unwrap();
        let taken: Vec<Item> = run.items.try_iter().take(most).collect();
        let mut told = Vec::new();
        for item in taken {
            for (key, place) in item.moved {
                match place {
                    Some(place) => drop(self.kept.insert(key.to_string(), place)),
                    None => drop(self.kept.remove(&*key)),
                }
            }
            told.extend(item.events.iter().map(name));
        }
        told
    }

    /// What a new run gives.
    fn read(&mut self) -> Vec<String> {
        let mut run = self.start();
        self.look(&mut run, usize::MAX)
    }
}

impl Run {
    /// Records that were gone before they were read, and logs of which nobody knows how many.
    fn gone(&self) -> (u64, u64) {
        assert_eq!(self.reader.intake.source().report().dropped, self.further("gone_unread"));
        (self.further("gone_unread"), self.further("gone_unknown"))
    }

    fn further(&self, name: &str) -> u64 {
        self.reader.intake.source().report().further.get(name).copied().unwrap_or(0)
    }
}

/// User and id of a record.
fn name(event: &Event) -> String {
    let get = |name: &str| event::get(&event.fields, name);
    let user = get("user.name").and_then(Value::as_str).unwrap_or("?");
    format!("{user}{}", get("winlog.record_id").unwrap())
}

fn names(user: &str, ids: impl Iterator<Item = u64>) -> Vec<String> {
    ids.map(|id| format!("{user}{id}")).collect()
}

#[test]
fn a_record_as_an_event() {
    let mut place = Place::new();
    place.write("a.evtx", &log(7..=7, "eve"));
    let mut run = place.start();
    run.reader.look().unwrap();
    let event = run.items.try_recv().unwrap().events.remove(0);
    assert_eq!(event.time.to_string(), "2026-11-22T15:04:12.000000+0000");
    let mut fields = event.fields;
    event::set(&mut fields, "log.file.path", "a.evtx".into());
    expect![[r##"
        {
          "Event": {
            "System": {
              "Provider": {
                "#attributes": {
                  "Name": "Microsoft-Windows-Security-Auditing"
                }
              },
              "EventID": "4625",
              "EventRecordID": "7",
              "Channel": "Security",
              "Computer": "pc1.example.org"
            },
            "EventData": {
              "TargetUserName": "eve",
              "IpAddress": "192.0.2.7"
            }
          },
          "event": {
            "module": "windows",
            "category": "authentication",
            "code": "4625",
            "provider": "Microsoft-Windows-Security-Auditing",
            "action": "logon-failed",
            "outcome": "failure"
          },
          "host": {
            "name": "pc1.example.org"
          },
          "src_ip": "192.0.2.7",
          "user": {
            "name": "eve"
          },
          "message": "Microsoft-Windows-Security-Auditing event 4625, record 7 of Security",
          "log": {
            "file": {
              "path": "a.evtx"
            }
          },
          "winlog": {
            "record_id": 7
          }
        }"##]]
    .assert_eq(&serde_json::to_string_pretty(&fields).unwrap());
    let report = run.reader.intake.source().report();
    assert_eq!((report.lines, report.unparsed, report.errors), (1, 0, 0));
    assert_eq!(report.further.into_iter().collect::<Vec<_>>(), [("files".to_owned(), 1)]);
}

#[test]
fn a_log_that_grows_gives_each_record_once() {
    let mut place = Place::new();
    let mut run = place.start();
    for end in [1, 2, 19, 20, 21, 75] {
        let before = place.kept.values().map(last).max().unwrap_or(0);
        place.write("a.evtx", &log(1..=end, "a"));
        assert_eq!(place.look(&mut run, usize::MAX), names("a", before + 1..=end));
        assert_eq!(place.look(&mut run, usize::MAX), [""; 0], "nothing has changed");
        assert_eq!(place.read(), [""; 0], "nothing is new to another run");
    }
    assert_eq!((place.kept.len(), run.further("replaced")), (1, 0));
}

fn last(position: &Position) -> u64 {
    match position {
        Position::Record { last, .. } => last.id,
        other => panic!("{other:?}"),
    }
}

#[test]
fn after_a_kill_at_any_record_the_rest_comes_once() {
    let all = names("a", 1..=45);
    for cut in 0..=all.len() {
        let mut place = Place::new();
        place.write("a.evtx", &log(1..=45, "a"));
        let mut run = place.start();
        let mut told = place.look(&mut run, cut);
        told.extend(place.read());
        assert_eq!(told, all, "killed after {cut}");
    }
}

#[test]
fn the_oldest_chunks_are_written_over() {
    let mut place = Place::new();
    let ids = |from: u64| (from..from + EACH as u64).collect::<Vec<_>>();
    place.write("a.evtx", &file(&[chunk(&ids(1), "a"), chunk(&ids(21), "a")]));
    assert_eq!(place.read(), names("a", 1..=40));
    place.write("a.evtx", &file(&[chunk(&[41, 42, 43], "a"), chunk(&ids(21), "a")]));
    assert_eq!(place.read(), names("a", 41..=43));
    // What was taken last is gone too: all that is there is new.
    place.write("a.evtx", &file(&[chunk(&[83, 84], "a"), chunk(&ids(63), "a")]));
    let mut run = place.start();
    assert_eq!(place.look(&mut run, usize::MAX), names("a", 63..=84));
    assert_eq!(run.gone(), (63 - 43 - 1, 0));
}

#[test]
fn copies_and_archives_are_not_read_twice() {
    let mut place = Place::new();
    place.write("backup.evtx", &log(1..=10, "a"));
    place.write("live.evtx", &log(1..=30, "a"));
    assert_eq!(place.read(), names("a", 1..=30));
    // Archived with what had not been read, beside a new log that goes on with the next id.
    let mut run = place.start();
    assert_eq!(place.look(&mut run, usize::MAX), [""; 0]);
    place.write("archive.evtx", &log(1..=33, "a"));
    place.write("live.evtx", &log(34..=36, "a"));
    assert_eq!(place.look(&mut run, usize::MAX), names("a", 31..=36));
    assert_eq!((run.further("replaced"), run.gone()), (1, (0, 0)));
    place.write("copy.evtx", &log(34..=36, "a"));
    assert_eq!(place.look(&mut run, usize::MAX), [""; 0]);
    assert_eq!(place.read(), [""; 0]);
}

#[test]
fn a_cleared_log_is_another() {
    let mut place = Place::new();
    place.write("a.evtx", &log(1..=30, "a"));
    let mut run = place.start();
    assert_eq!(place.look(&mut run, usize::MAX).len(), 30);
    place.write("a.evtx", &log(1..=3, "b"));
    assert_eq!(place.look(&mut run, usize::MAX), names("b", 1..=3));
    place.write("a.evtx", &log(1..=40, "b"));
    assert_eq!(place.look(&mut run, usize::MAX), names("b", 4..=40));
    assert_eq!((run.further("replaced"), run.gone()), (1, (0, 1)), "ids began anew");
    // Ids go on: 41 to 49 were cleared before anybody read them.
    place.write("a.evtx", &log(50..=51, "b"));
    assert_eq!(place.look(&mut run, usize::MAX), names("b", 50..=51));
    assert_eq!((run.further("replaced"), run.gone()), (2, (9, 1)));
    let ledger = run.reader.intake.counters().ledger();
    assert_eq!((ledger.dropped, ledger.residue()), (9, 0));
    // During a stop too.
    place.write("a.evtx", &log(1..=2, "c"));
    let mut run = place.start();
    assert_eq!(place.look(&mut run, usize::MAX), names("c", 1..=2));
    assert_eq!((run.further("replaced"), run.gone()), (1, (0, 1)));
    place.write("a.evtx", &log(5..=6, "d"));
    let mut run = place.start();
    assert_eq!(place.look(&mut run, usize::MAX), names("d", 5..=6));
    assert_eq!((run.further("replaced"), run.gone()), (1, (2, 0)));
}

#[test]
fn damage_is_counted_once_and_the_rest_is_read() {
    let mut place = Place::new();
    let mut bytes = log(1..=60, "a");
    bytes[4096 + CHUNK] = b'X';
    let third = 4096 + 2 * CHUNK + 512;
    let size = u32::from_le_bytes(bytes[third + 4..third + 8].try_into().unwrap());
    // Of the third chunk: what stands in the first record, the marker of the second.
    bytes[third + 24 + 4] = 0xee;
    bytes[third + usize::try_from(size).unwrap()] = 0xff;
    place.write("a.evtx", &bytes);
    let mut run = place.start();
    let mut expected = names("a", 1..=20);
    expected.push("?41".to_owned());
    expected.extend(names("a", 43..=60));
    assert_eq!(place.look(&mut run, usize::MAX), expected);
    place.write("a.evtx", &bytes);
    assert_eq!(place.look(&mut run, usize::MAX), [""; 0]);
    assert_eq!((run.further("damaged_chunks"), run.further("damaged_records")), (1, 2));
    assert_eq!(run.further("unsure_records"), 19, "the sum of the third chunk is wrong");
    let report = run.reader.intake.source().report();
    assert_eq!((report.errors, report.unparsed), (2, 1));
}

#[test]
fn the_end_of_a_log_that_is_being_written_is_waited_for() {
    let mut place = Place::new();
    place.later = 5;
    let whole = log(1..=3, "a");
    let mut torn = whole.clone();
    let second = 4096 + 512 + record_bytes(&whole);
    let third = second + record_bytes(&whole);
    torn[third + 30..third + record_bytes(&whole)].fill(0);
    place.write("a.evtx", &torn);
    let mut run = place.start();
    assert_eq!(place.look(&mut run, usize::MAX), names("a", 1..=2));
    assert_eq!(place.look(&mut run, usize::MAX), [""; 0]);
    assert_eq!(run.further("damaged_records"), 0);
    place.write("a.evtx", &whole);
    assert_eq!(place.look(&mut run, usize::MAX), ["a3"]);
    // Nobody goes on writing it.
    let mut place = Place::new();
    place.write("a.evtx", &torn);
    let mut run = place.start();
    assert_eq!(place.look(&mut run, usize::MAX), ["a1", "a2", "?3"]);
    assert_eq!(run.further("damaged_records"), 1);
}

fn record_bytes(bytes: &[u8]) -> usize {
    let size = bytes[4096 + 516..4096 + 520].try_into().unwrap();
    usize::try_from(u32::from_le_bytes(size)).unwrap()
}

#[test]
fn a_change_that_the_time_of_the_file_does_not_tell() {
    let mut place = Place::new();
    place.write("a.evtx", &log(1..=3, "a"));
    let mut run = place.start();
    assert_eq!(place.look(&mut run, usize::MAX).len(), 3);
    place.writes -= 1;
    place.write("a.evtx", &log(1..=4, "a"));
    assert_eq!(place.look(&mut run, usize::MAX), [""; 0]);
    run.reader.clock.advance(60_000_000);
    assert_eq!(place.look(&mut run, usize::MAX), ["a4"]);
}

#[test]
fn only_what_comes_from_now_on() {
    let mut place = Place::new();
    place.write("a.evtx", &log(1..=30, "a"));
    let config = EvtxConfig { from_start: false, ..place.config() };
    let mut run = place.start_with(&config);
    assert_eq!(place.look(&mut run, usize::MAX), [""; 0]);
    place.write("a.evtx", &log(1..=31, "a"));
    place.write("b.evtx", &log(1..=2, "b"));
    let mut told = place.look(&mut run, usize::MAX);
    told.sort();
    assert_eq!(told, ["a31", "b1", "b2"], "a log that appears later is read whole");
    assert_eq!(place.read(), [""; 0]);
}

#[test]
fn what_is_no_log_is_told_once() {
    let mut place = Place::new();
    place.write("a.evtx", b"no log");
    place.write("b.evtx", &log(1..=1, "b"));
    let mut run = place.start();
    assert_eq!(place.look(&mut run, usize::MAX), ["b1"]);
    assert_eq!(place.look(&mut run, usize::MAX), [""; 0]);
    assert_eq!(run.reader.intake.source().report().errors, 1);
    place.write("a.evtx", &log(1..=1, "a"));
    assert_eq!(place.look(&mut run, usize::MAX), ["a1"]);
}

#[test]
fn places_of_logs_that_are_gone_are_forgotten() {
    let mut place = Place::new();
    place.write("a.evtx", &log(1..=3, "a"));
    assert_eq!(place.read().len(), 3);
    std::fs::remove_file(place.path("a.evtx")).unwrap();
    place.later += KEEP + 10;
    place.write("b.evtx", &log(1..=3, "b"));
    let mut run = place.start();
    assert_eq!(place.look(&mut run, usize::MAX).len(), 3);
    place.write("b.evtx", &log(1..=4, "b"));
    assert_eq!(place.look(&mut run, usize::MAX), ["b4"]);
    assert_eq!(place.kept.len(), 1);
}
