//! Files as logrotate, programs and administrators treat them.

use std::fs;
use std::io::Write;
use std::path::Path;

use super::*;

#[derive(Default)]
struct Collected {
    messages: Vec<String>,
    positions: Positions,
    notes: Vec<Note>,
    events: Vec<Event>,
}

impl Sink for Collected {
    fn record(&mut self, event: Event, (key, position): (Arc<str>, Position), _: bool) -> bool {
        self.messages.push(event.fields["message"].as_str().unwrap().to_owned());
        self.positions.insert(key.to_string(), position);
        self.events.push(event);
        true
    }

    fn note(&mut self, note: Note) {
        self.notes.push(note);
    }
}

struct Fixture {
    folder: tempfile::TempDir,
    tailer: Tailer,
    sink: Collected,
}

impl Fixture {
    fn new(config: FileConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tailer = Self::tailer(&folder, config, Positions::new());
        Self { folder, tailer, sink: Collected::default() }
    }

    fn tailer(folder: &tempfile::TempDir, mut config: FileConfig, positions: Positions) -> Tailer {
        config.paths = vec![format!("{}/*.log", folder.path().display())];
        Tailer::new(&[config], positions).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        append(&self.path(name), text);
    }

    /// Polls often enough that new files are looked for and renamed ones closed.
    fn poll(&mut self) -> Vec<String> {
        for _ in 0..3 * LOOK_EVERY {
            while self.tailer.poll(Timestamp::from_seconds(1), &mut self.sink) {}
        }
        std::mem::take(&mut self.sink.messages)
    }
}

fn append(path: &Path, text: &str) {
    let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn follows_and_keeps_the_place() {
    let mut fixture = Fixture::new(FileConfig::default());
    fixture.append("a.log", "one\ntwo\nthr");
    assert_eq!(fixture.poll(), ["one", "two"]);
    fixture.append("a.log", "ee\n");
    fixture.append("b.log", "other\n");
    assert_eq!(fixture.poll(), ["three", "other"]);
    let event = &fixture.sink.events[2];
    assert_eq!(event.fields["log"]["offset"], 8);

    // A restart goes on where the kept positions say.
    let positions = fixture.sink.positions.clone();
    fixture.tailer = Fixture::tailer(&fixture.folder, FileConfig::default(), positions);
    fixture.append("a.log", "four\n");
    assert_eq!(fixture.poll(), ["four"]);
}

#[test]
fn rotation_by_rename_reads_the_old_to_its_end() {
    let mut fixture = Fixture::new(FileConfig::default());
    fixture.append("a.log", "one\n");
    assert_eq!(fixture.poll(), ["one"]);
    append(&fixture.path("a.log"), "late\n");
    fs::rename(fixture.path("a.log"), fixture.path("a.log.1")).unwrap();
    append(&fixture.path("a.log.1"), "later\n");
    fixture.append("a.log", "new\n");
    let mut found = fixture.poll();
    found.sort();
    assert_eq!(found, ["late", "later", "new"]);
    assert_eq!(fixture.tailer.files(), 1, "the renamed file is closed");
}

#[test]
fn rotation_by_truncation_starts_again() {
    let mut fixture = Fixture::new(FileConfig::default());
    fixture.append("a.log", "one\ntwo\n");
    assert_eq!(fixture.poll(), ["one", "two"]);
    fs::write(fixture.path("a.log"), "x\n").unwrap();
    assert_eq!(fixture.poll(), ["x"]);
    // Truncated and grown beyond the old place between two polls: the head tells.
    fs::write(fixture.path("a.log"), "completely other text\nmore\n").unwrap();
    assert_eq!(fixture.poll(), ["completely other text", "more"]);
    assert_eq!(fixture.sink.notes.len(), 2, "{:?}", fixture.sink.notes);
}

#[test]
fn a_file_recreated_on_the_same_inode_is_read_whole() {
    let mut fixture = Fixture::new(FileConfig::default());
    fixture.append("a.log", "aaaa\nbbbb\n");
    fixture.poll();
    let positions = fixture.sink.positions.clone();
    fs::write(fixture.path("a.log"), "cccc\ndddd\n").unwrap();
    fixture.tailer = Fixture::tailer(&fixture.folder, FileConfig::default(), positions);
    assert_eq!(fixture.poll(), ["cccc", "dddd"]);
}

#[test]
fn from_end_skips_the_past_but_not_new_files() {
    let mut fixture = Fixture::new(FileConfig { from_start: false, ..FileConfig::default() });
    fixture.append("a.log", "past\n");
    assert_eq!(fixture.poll(), [""; 0]);
    fixture.append("a.log", "present\n");
    fixture.append("b.log", "new file\n");
    // Files come in the order of their folder, which is that of no name.
    let mut lines = fixture.poll();
    lines.sort_unstable();
    assert_eq!(lines, ["new file", "present"]);
}

#[test]
fn records_of_several_lines() {
    let config = FileConfig { starts_with: Some("^\\d".into()), ..FileConfig::default() };
    let mut fixture = Fixture::new(config);
    fixture.append("a.log", "1 error\n  at x\n  at y\n2 ok\n");
    assert_eq!(fixture.poll(), ["1 error\n  at x\n  at y", "2 ok"]);
}

#[test]
fn long_lines_garbage_and_unreadable_files() {
    let mut fixture = Fixture::new(FileConfig::default());
    let mut bytes = vec![b'x'; 10 * 1024 * 1024];
    bytes.extend_from_slice(b"\n\xff\x00\xfe\n\n\nok\n");
    fs::write(fixture.path("a.log"), bytes).unwrap();
    std::os::unix::fs::symlink("/no/such/target", fixture.path("dangling.log")).unwrap();
    let found = fixture.poll();
    assert_eq!(found.len(), 3);
    assert_eq!(found[2], "ok");
    let first = &fixture.sink.events[0].fields["log"];
    assert_eq!(first["truncated_bytes"], 9 * 1024 * 1024);
}

#[test]
fn a_stopped_sink_repeats_nothing_after_a_restart() {
    struct Two(usize, Positions);
    impl Sink for Two {
        fn record(&mut self, _: Event, (key, position): (Arc<str>, Position), _: bool) -> bool {
            if self.0 == 0 {
                return false;
            }
            self.0 -= 1;
            self.1.insert(key.to_string(), position);
            true
        }
        fn note(&mut self, _: Note) {}
    }
    let mut fixture = Fixture::new(FileConfig::default());
    fixture.append("a.log", "one\ntwo\nthree\nfour\n");
    let mut two = Two(2, Positions::new());
    fixture.tailer.poll(Timestamp::EPOCH, &mut two);
    fixture.tailer = Fixture::tailer(&fixture.folder, FileConfig::default(), two.1);
    assert_eq!(fixture.poll(), ["three", "four"]);
}

#[test]
fn bad_settings_are_named() {
    let error = |config| Tailer::new(&[config], Positions::new()).unwrap_err().to_string();
    assert_eq!(
        error(FileConfig { starts_with: Some("(".into()), ..FileConfig::default() }),
        "starts_with is no regular expression"
    );
    assert_eq!(
        error(FileConfig { time_zone: Some("Mars/Base".into()), ..FileConfig::default() }),
        "unknown time zone \"Mars/Base\""
    );
}

#[test]
fn a_file_that_shrinks_between_two_reads_is_read_from_its_start_once() {
    let mut fixture = Fixture::new(FileConfig::default());
    // More than one turn, so that the file is half read when it shrinks.
    let line = format!("{}\n", "x".repeat(1023));
    fs::write(fixture.path("a.log"), line.repeat(3 * 1024)).unwrap();
    assert!(fixture.tailer.poll(Timestamp::EPOCH, &mut fixture.sink), "more is left");
    assert_eq!(std::mem::take(&mut fixture.sink.messages).len(), 1024);
    fs::write(fixture.path("a.log"), "after\n").unwrap();
    assert_eq!(fixture.poll(), ["after"]);
    assert_eq!(fixture.sink.notes, [Note::Truncated(fixture.path("a.log"))]);
    // To nothing, and to the very length that was read.
    fs::write(fixture.path("a.log"), "").unwrap();
    assert_eq!(fixture.poll(), [""; 0]);
    fs::write(fixture.path("a.log"), "again\n").unwrap();
    assert_eq!(fixture.poll(), ["again"]);
    assert_eq!(fixture.sink.notes.len(), 2, "{:?}", fixture.sink.notes);
}

#[test]
fn a_deleted_file_is_read_to_its_end_and_its_successor_whole() {
    let mut fixture = Fixture::new(FileConfig::default());
    fixture.append("a.log", "one\n");
    assert_eq!(fixture.poll(), ["one"]);
    // Written and deleted between two polls, while it is followed.
    fixture.append("a.log", "last words\n");
    fs::remove_file(fixture.path("a.log")).unwrap();
    assert_eq!(fixture.poll(), ["last words"]);
    assert_eq!(fixture.tailer.files(), 0, "a deleted file is closed");
    fixture.append("a.log", "successor\n");
    assert_eq!(fixture.poll(), ["successor"]);
}

#[test]
fn one_file_under_several_names_is_read_once() {
    let mut fixture = Fixture::new(FileConfig::default());
    fixture.append("a.log", "one\n");
    std::os::unix::fs::symlink(fixture.path("a.log"), fixture.path("b.log")).unwrap();
    fs::hard_link(fixture.path("a.log"), fixture.path("c.log")).unwrap();
    assert_eq!(fixture.poll(), ["one"]);
    // The link is turned to another file: that one is new, the first goes on.
    fixture.append("elsewhere", "two\n");
    fs::remove_file(fixture.path("b.log")).unwrap();
    std::os::unix::fs::symlink(fixture.path("elsewhere"), fixture.path("b.log")).unwrap();
    fixture.append("a.log", "three\n");
    let mut found = fixture.poll();
    found.sort();
    assert_eq!((found, fixture.tailer.files()), (vec!["three".to_owned(), "two".to_owned()], 2));
}

#[test]
fn folders_and_loops_of_links_are_no_files() {
    let mut fixture = Fixture::new(FileConfig::default());
    fs::create_dir(fixture.path("folder.log")).unwrap();
    std::os::unix::fs::symlink(fixture.path("x.log"), fixture.path("y.log")).unwrap();
    std::os::unix::fs::symlink(fixture.path("y.log"), fixture.path("x.log")).unwrap();
    fixture.append("a.log", "one\n");
    assert_eq!((fixture.poll(), fixture.tailer.files()), (vec!["one".to_owned()], 1));
    let named = |name: &str| {
        let path = fixture.path(name);
        fixture.sink.notes.iter().any(|n| matches!(n, Note::Unreadable(p, _) if *p == path))
    };
    assert!(named("x.log") && named("y.log") && !named("folder.log"), "{:?}", fixture.sink.notes);
}

#[test]
fn many_files_are_all_read_and_keep_their_places() {
    let mut fixture = Fixture::new(FileConfig::default());
    let text = |n: usize, round: usize| format!("{n} in round {round}");
    for n in 0..300 {
        fixture.append(&format!("{n}.log"), &format!("{}\n", text(n, 0)));
    }
    assert_eq!(fixture.poll().len(), 300);
    let positions = fixture.sink.positions.clone();
    assert_eq!(positions.len(), 300);
    fixture.tailer = Fixture::tailer(&fixture.folder, FileConfig::default(), positions);
    for n in 0..300 {
        fixture.append(&format!("{n}.log"), &format!("{}\n", text(n, 1)));
    }
    let mut found = fixture.poll();
    found.sort();
    let mut wanted: Vec<_> = (0..300).map(|n| text(n, 1)).collect();
    wanted.sort();
    assert_eq!(found, wanted, "every second line, no first line again");
}

#[test]
fn a_record_of_several_lines_waits_for_its_rest_and_is_given_out_at_the_end() {
    let config = FileConfig { starts_with: Some("^\\d".into()), ..FileConfig::default() };
    let mut fixture = Fixture::new(config.clone());
    fixture.append("a.log", "1 error\n  at x\n");
    while fixture.tailer.poll(Timestamp::EPOCH, &mut fixture.sink) {}
    assert_eq!(fixture.sink.messages, [""; 0], "its rest may still come");
    fixture.append("a.log", "  at y\n");
    while fixture.tailer.poll(Timestamp::EPOCH, &mut fixture.sink) {}
    fixture.tailer.flush(Timestamp::EPOCH, &mut fixture.sink);
    assert_eq!(fixture.sink.messages, ["1 error\n  at x\n  at y"]);
    // A restart behind it repeats nothing.
    let positions = fixture.sink.positions.clone();
    fixture.sink.messages.clear();
    fixture.tailer = Fixture::tailer(&fixture.folder, config, positions);
    assert_eq!(fixture.poll(), [""; 0]);
}

#[test]
fn lines_without_their_end_are_kept_for_the_restart() {
    let mut fixture = Fixture::new(FileConfig::default());
    fixture.append("a.log", "one\nhal");
    assert_eq!(fixture.poll(), ["one"]);
    let positions = fixture.sink.positions.clone();
    fixture.tailer = Fixture::tailer(&fixture.folder, FileConfig::default(), positions);
    fixture.append("a.log", "f\r\ntwo\r\n");
    assert_eq!(fixture.poll(), ["half", "two"]);
}
