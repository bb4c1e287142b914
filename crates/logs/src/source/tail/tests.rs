//! Files as logrotate, programs and administrators treat them.

use std::fs;
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::config::Format;

#[derive(Default)]
pub(super) struct Collected {
    pub(super) messages: Vec<String>,
    pub(super) positions: Positions,
    pub(super) notes: Vec<Note>,
    pub(super) asides: Vec<Aside>,
    pub(super) events: Vec<Event>,
}

impl Sink for Collected {
    fn record(&mut self, read: Read) -> bool {
        let Read { event, position: (key, position), also, .. } = read;
        let message = event.fields.get("message").and_then(Value::as_str);
        self.messages.push(message.unwrap_or_default().to_owned());
        for (key, moved) in also {
            match moved {
                Some(position) => self.positions.insert(key.to_string(), position),
                None => self.positions.remove(&*key),
            };
        }
        self.positions.insert(key.to_string(), position);
        self.events.push(event);
        true
    }

    fn aside(&mut self, _: usize, aside: Aside) {
        self.asides.push(aside);
    }

    fn note(&mut self, note: Note) {
        self.notes.push(note);
    }
}

pub(super) struct Fixture {
    pub(super) folder: tempfile::TempDir,
    pub(super) tailer: Tailer,
    pub(super) sink: Collected,
    pub(super) clock: Clock,
    pub(super) config: FileConfig,
}

impl Fixture {
    /// Follows `*.log` of a folder of its own.
    pub(super) fn new(config: FileConfig) -> Self {
        Self::of("*.log", config)
    }

    /// Follows what this pattern says of a folder of its own.
    pub(super) fn of(pattern: &str, mut config: FileConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        config.paths = vec![format!("{}/{pattern}", folder.path().display())];
        let clock = Clock::manual(1_795_359_845_000_000);
        let tailer = Tailer::new(&[config.clone()], Positions::new(), clock.clone()).unwrap();
        Self { folder, tailer, sink: Collected::default(), clock, config }
    }

    /// As after a kill: what the sink got is kept, the rest is forgotten.
    pub(super) fn restart(&mut self) {
        let positions = self.sink.positions.clone();
        let text = serde_json::to_string(&positions).unwrap();
        let positions = serde_json::from_str(&text).unwrap();
        let configs = [self.config.clone()];
        self.tailer = Tailer::new(&configs, positions, self.clock.clone()).unwrap();
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn append(&self, name: &str, text: &str) {
        append(&self.path(name), text);
    }

    /// Polls until nothing more comes, with a look at all names.
    pub(super) fn poll(&mut self) -> Vec<String> {
        self.clock.advance(10_000_000);
        for _ in 0..3 {
            while self.tailer.poll(&mut self.sink) {}
            self.clock.advance(2_000_000);
        }
        std::mem::take(&mut self.sink.messages)
    }

    /// Polls for so long that what is over is closed.
    pub(super) fn poll_long(&mut self) -> Vec<String> {
        let mut found = self.poll();
        self.clock.advance(400_000_000);
        found.extend(self.poll());
        found
    }
}

pub(super) fn append(path: &Path, text: &str) {
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
    fixture.restart();
    fixture.append("a.log", "four\n");
    assert_eq!(fixture.poll(), ["four"]);
}

#[test]
fn the_head_of_a_file_says_how_its_lines_are_read() {
    let config = FileConfig { format: Format::Zeek, ..FileConfig::default() };
    let mut fixture = Fixture::new(config);
    let head = "#separator \\x09\n#path\tdns\n#fields\tts\tquery\n#types\ttime\tstring\n";
    fixture.append("dns.log", &format!("{head}1795359845.0\ta.example\n1795359846.0\tb.example\n"));
    fixture.poll();
    // After a restart the head is no longer among what is read.
    fixture.restart();
    fixture.append("dns.log", "1795359847.0\tc.example\n#close\t2026-11-22-16-00-00\n");
    fixture.poll();
    // Another file has other columns.
    let head = head.replace("ts\tquery", "query\tts").replace("time\tstring", "string\ttime");
    fixture.append("dns-2.log", &format!("{head}d.example\t1795359848.0\n"));
    fixture.poll();
    let names: Vec<_> =
        fixture.sink.events.iter().map(|one| &one.fields["dns"]["rrname"]).collect();
    assert_eq!(names, ["a.example", "b.example", "c.example", "d.example"]);
    assert_eq!(fixture.sink.events[3].time, Timestamp::from_seconds(1_795_359_848));
}

/// A program that is started anew writes a head anew, perhaps with other columns; also known after a restart of ours.
#[test]
fn a_head_in_the_middle_of_a_file_holds_from_there() {
    let config = FileConfig { format: Format::named("iis").unwrap(), ..FileConfig::default() };
    let mut fixture = Fixture::new(config);
    let head = |columns: &str| format!("#Software: x\r\n#Version: 1.0\r\n#Fields: {columns}\r\n");
    let time = "2026-11-22 15:04:05";
    fixture.append("u.log", &format!("{}{time} 192.0.2.1\r\n", head("date time c-ip")));
    fixture.append("u.log", &format!("{}192.0.2.2 {time}\r\n", head("c-ip date time")));
    fixture.poll();
    fixture.restart();
    fixture.append("u.log", &format!("192.0.2.3 {time}\r\n{time} 192.0.2.4 5\r\n"));
    fixture.poll();
    let events = &fixture.sink.events;
    let addresses: Vec<_> = events.iter().map(|one| one.fields.get("src_ip").cloned()).collect();
    let address = |last: u8| Some(json!(format!("192.0.2.{last}")));
    assert_eq!(addresses, [address(1), address(2), address(3), None]);
    assert_eq!(events[3].fields["log"]["flags"], json!(["unparsed"]), "another number of columns");
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
    let mut found = fixture.poll_long();
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
    fs::write(fixture.path("a.log"), "cccc\ndddd\n").unwrap();
    fixture.restart();
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
    assert_eq!(found.len(), 162);
    assert_eq!(found.iter().take(160).map(String::len).sum::<usize>(), 10 * 1024 * 1024);
    assert_eq!(found[161], "ok");
    let part = |n: usize| fixture.sink.events[n].fields["log"]["part"].clone();
    assert_eq!(part(0), json!({"number": 1, "last": false, "offset": 0}));
    assert_eq!(part(159), json!({"number": 160, "last": true, "offset": 0}));
    assert_eq!(part(160), Value::Null);
}

#[test]
fn a_stopped_sink_repeats_nothing_after_a_restart() {
    struct Two(usize, Positions);
    impl Sink for Two {
        fn record(&mut self, read: Read) -> bool {
            if self.0 == 0 {
                return false;
            }
            self.0 -= 1;
            let (key, position) = read.position;
            self.1.insert(key.to_string(), position);
            true
        }
        fn aside(&mut self, _: usize, _: Aside) {}
        fn note(&mut self, _: Note) {}
    }
    let mut fixture = Fixture::new(FileConfig::default());
    fixture.append("a.log", "one\ntwo\nthree\nfour\n");
    let mut two = Two(2, Positions::new());
    fixture.tailer.poll(&mut two);
    fixture.sink.positions = two.1;
    fixture.restart();
    assert_eq!(fixture.poll(), ["three", "four"]);
}

#[test]
fn bad_settings_are_named() {
    let error = |config| {
        let clock = Clock::manual(0);
        Tailer::new(&[config], Positions::new(), clock).unwrap_err().to_string()
    };
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
    assert!(fixture.tailer.poll(&mut fixture.sink), "more is left");
    assert_eq!(std::mem::take(&mut fixture.sink.messages).len(), 256);
    fs::write(fixture.path("a.log"), "after\n").unwrap();
    assert_eq!(fixture.poll(), ["after"]);
    assert_eq!(
        fixture.sink.notes,
        [Note::Truncated { path: fixture.path("a.log"), lost: (3 * 1024 - 256) * 1024 }]
    );
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
    assert_eq!(fixture.poll_long(), ["last words"]);
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
    assert_eq!(fixture.sink.positions.len(), 300);
    fixture.restart();
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
    let mut fixture = Fixture::new(config);
    fixture.append("a.log", "1 error\n  at x\n");
    while fixture.tailer.poll(&mut fixture.sink) {}
    assert_eq!(fixture.sink.messages, [""; 0], "its rest may still come");
    fixture.append("a.log", "  at y\n");
    while fixture.tailer.poll(&mut fixture.sink) {}
    fixture.tailer.flush(&mut fixture.sink);
    assert_eq!(fixture.sink.messages, ["1 error\n  at x\n  at y"]);
    // A restart behind it repeats nothing.
    fixture.sink.messages.clear();
    fixture.restart();
    assert_eq!(fixture.poll(), [""; 0]);
}

#[test]
fn lines_without_their_end_are_kept_for_the_restart() {
    let mut fixture = Fixture::new(FileConfig::default());
    fixture.append("a.log", "one\nhal");
    assert_eq!(fixture.poll(), ["one"]);
    fixture.restart();
    fixture.append("a.log", "f\r\ntwo\r\n");
    assert_eq!(fixture.poll(), ["half", "two"]);
}

#[test]
fn logs_of_containers_are_put_together() {
    let config = FileConfig { containers: true, ..FileConfig::default() };
    let mut fixture = Fixture::of("pods/*/*/*.log", config);
    fs::create_dir_all(fixture.path("pods/shop_web-1_uid/nginx")).unwrap();
    let name = "pods/shop_web-1_uid/nginx/0.log";
    let time = "2026-11-22T15:04:05.5Z";
    let line = |stream: &str, tag: &str, text: &str| format!("{time} {stream} {tag} {text}\n");
    fixture.append(name, &line("stdout", "F", "one"));
    fixture.append(name, &line("stdout", "P", "be"));
    assert_eq!(fixture.poll(), ["one", "be"], "what waits for its rest is given out after a while");
    fixture.append(name, &line("stdout", "P", "half "));
    fixture.append(name, &line("stdout", "F", "a line"));
    fixture.append(name, &line("stderr", "F", "{\"message\": \"inside\", \"n\": 7}"));
    fixture.append(name, "no such format\n");
    assert_eq!(fixture.poll(), ["half a line", "inside", "no such format"]);
    let event = &fixture.sink.events[3];
    assert_eq!((&event.fields["n"], &event.fields["stream"]), (&json!(7), &json!("stderr")));
    assert_eq!(event.time, "2026-11-22T15:04:05.5Z".parse().unwrap());
    assert_eq!(event.fields["orchestrator"]["resource"]["name"], "web-1");
    assert_eq!(event.fields["container"]["name"], "nginx");
    fixture.restart();
    assert_eq!(fixture.poll(), [""; 0]);
}
