//! Rotation as logrotate and others do it, while files are followed and while they are not.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::tests::{Fixture, append};
use super::*;

fn gzip(path: &Path) {
    let file = File::create(format!("{}.gz", path.display())).unwrap();
    let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    encoder.write_all(&fs::read(path).unwrap()).unwrap();
    encoder.finish().unwrap();
    fs::remove_file(path).unwrap();
}

fn any() -> Fixture {
    Fixture::of("app.log*", FileConfig::default())
}

/// What is written to a file of its own name alone, so that copies and compressed files do not match.
fn one() -> Fixture {
    Fixture::of("app.log", FileConfig::default())
}

#[test]
fn what_was_compressed_while_nobody_looked_is_read_from_where_it_was_left() {
    for mut fixture in [any(), one()] {
        fixture.append("app.log", "one\ntwo\n");
        assert_eq!(fixture.poll(), ["one", "two"]);
        fixture.append("app.log", "three\nlast");
        fs::rename(fixture.path("app.log"), fixture.path("app.log.1")).unwrap();
        gzip(&fixture.path("app.log.1"));
        fixture.append("app.log", "new\n");
        fixture.restart();
        let mut found = fixture.poll();
        found.sort_unstable();
        assert_eq!(found, ["last", "new", "three"]);
        fixture.append("app.log", "newer\n");
        assert_eq!(fixture.poll(), ["newer"]);
        // Once read it is never read again, under no name.
        fs::rename(fixture.path("app.log.1.gz"), fixture.path("app.log.2.gz")).unwrap();
        fixture.restart();
        assert_eq!(fixture.poll_long(), [""; 0]);
    }
}

#[test]
fn what_is_compressed_while_it_is_followed_is_read_once() {
    for mut fixture in [any(), one()] {
        fixture.append("app.log", "one\n");
        assert_eq!(fixture.poll(), ["one"]);
        fs::rename(fixture.path("app.log"), fixture.path("app.log.1")).unwrap();
        fixture.append("app.log.1", "late\n");
        gzip(&fixture.path("app.log.1"));
        fixture.append("app.log", "new\n");
        let mut found = fixture.poll_long();
        found.extend(fixture.poll_long());
        found.sort_unstable();
        assert_eq!(found, ["late", "new", "one"].map(str::to_owned)[..2]);
        fixture.restart();
        assert_eq!(fixture.poll_long(), [""; 0]);
    }
}

#[test]
fn a_restart_while_a_file_is_being_compressed_reads_it_once() {
    // Of the compressed file there is nothing yet, a part, or all, and the plain one is still there.
    for part in [0, 10, 30, 60, 90, 100] {
        let mut fixture = any();
        let lines: String = (0..20_000).map(|n| format!("line {}\n", n * 7919 % 20_000)).collect();
        let (before, after) = lines.split_at(lines.len() / 2);
        fixture.append("app.log", before);
        let mut found = fixture.poll();
        fs::rename(fixture.path("app.log"), fixture.path("app.log.1")).unwrap();
        fixture.append("app.log.1", after);
        fixture.append("app.log", "new\n");
        fs::copy(fixture.path("app.log.1"), fixture.path("whole")).unwrap();
        gzip(&fixture.path("whole"));
        let bytes = fs::read(fixture.path("whole.gz")).unwrap();
        let (compressed, length) = (fixture.path("app.log.1.gz"), bytes.len() * part / 100);
        fs::write(&compressed, bytes.get(..length).unwrap()).unwrap();
        fixture.restart();
        found.extend(fixture.poll());
        fs::write(&compressed, &bytes).unwrap();
        fs::remove_file(fixture.path("app.log.1")).unwrap();
        found.extend(fixture.poll());
        found.extend(fixture.poll_long());
        fixture.restart();
        found.extend(fixture.poll_long());
        let count = found.len();
        found.sort_unstable();
        found.dedup();
        assert_eq!((count, found.len()), (20_001, 20_001), "{part} % of it");
    }
}

#[test]
fn what_was_copied_and_truncated_is_read_on_in_the_copy() {
    for running in [true, false] {
        for mut fixture in [any(), one()] {
            fixture.append("app.log", "one\ntwo\n");
            assert_eq!(fixture.poll(), ["one", "two"]);
            fixture.append("app.log", "three\n");
            fs::copy(fixture.path("app.log"), fixture.path("app.log.1")).unwrap();
            fs::write(fixture.path("app.log"), "").unwrap();
            fixture.append("app.log", "a line so long that the file is longer than it was\n");
            if !running {
                fixture.restart();
            }
            let mut found = fixture.poll();
            found.sort_unstable();
            let long = "a line so long that the file is longer than it was";
            assert_eq!(found, [long, "three"], "running {running}");
            let continued =
                fixture.sink.notes.iter().any(|note| matches!(note, Note::Continued { .. }));
            assert!(continued, "{:?}", fixture.sink.notes);
            fixture.restart();
            assert_eq!(fixture.poll_long(), [""; 0]);
        }
    }
}

#[test]
fn a_copy_that_turns_up_late_is_read_on_and_not_again() {
    for compressed in [false, true] {
        for restarted in [false, true] {
            let mut fixture = any();
            fixture.append("app.log", "one\ntwo\n");
            assert_eq!(fixture.poll(), ["one", "two"]);
            fixture.append("app.log", "three\n");
            fs::rename(fixture.path("app.log"), fixture.path("elsewhere")).unwrap();
            fs::copy(fixture.path("elsewhere"), fixture.path("app.log")).unwrap();
            fs::rename(fixture.path("app.log"), fixture.path("hidden")).unwrap();
            fs::write(fixture.path("elsewhere"), "new\n").unwrap();
            fs::rename(fixture.path("elsewhere"), fixture.path("app.log")).unwrap();
            assert_eq!(fixture.poll(), ["new"]);
            if restarted {
                fixture.restart();
            }
            fs::rename(fixture.path("hidden"), fixture.path("app.log.1")).unwrap();
            if compressed {
                gzip(&fixture.path("app.log.1"));
            }
            let mut found = fixture.poll();
            found.extend(fixture.poll_long());
            fixture.restart();
            found.extend(fixture.poll_long());
            assert_eq!(found, ["three"], "compressed {compressed}, restarted {restarted}");
            let lost = |(key, _): (&String, &Position)| key.matches(':').count() == 3;
            assert!(!fixture.sink.positions.iter().any(lost), "{:?}", fixture.sink.positions);
        }
    }
}

#[test]
fn a_copy_that_is_there_before_the_truncation_waits_for_it() {
    let mut fixture = any();
    fixture.append("app.log", "one\n");
    assert_eq!(fixture.poll(), ["one"]);
    fs::copy(fixture.path("app.log"), fixture.path("app.log.1")).unwrap();
    assert_eq!(fixture.poll(), [""; 0], "a copy is nothing new");
    fixture.append("app.log", "between\n");
    assert_eq!(fixture.poll(), ["between"]);
    fs::write(fixture.path("app.log"), "").unwrap();
    fixture.append("app.log", "two\n");
    assert_eq!(fixture.poll(), ["two"]);
}

#[test]
fn a_copy_in_the_making_is_nothing_new() {
    for (name, part) in [("app.log.1", 0), ("app.log.1", 3), ("app-20261130.log", 700)] {
        let mut fixture = Fixture::of("app*.log*", FileConfig::default());
        let text: String = (0..100).map(|n| format!("line {n}\n")).collect();
        fixture.append("app.log", &text);
        assert_eq!(fixture.poll().len(), 100);
        let (made, rest) = text.split_at(part);
        fixture.append(name, made);
        assert_eq!(fixture.poll(), [""; 0], "{part} bytes of {name}");
        fixture.append(name, rest);
        fs::write(fixture.path("app.log"), "").unwrap();
        assert_eq!(fixture.poll_long(), [""; 0], "{name} is whole");
        fixture.append("app.log", "new\n");
        assert_eq!(fixture.poll(), ["new"]);
        // What is no copy after all is read.
        fixture.append("app.log.9", "ne");
        assert_eq!(fixture.poll(), [""; 0]);
        fixture.append("app.log.9", "xt\n");
        assert_eq!(fixture.poll(), ["next"]);
    }
}

#[test]
fn an_inode_that_is_another_file_now_is_read() {
    let mut fixture = any();
    for text in ["one\n", "of another file\n"] {
        fixture.append("whole", text);
        gzip(&fixture.path("whole"));
        // As when it is removed and its inode given to another file between two looks.
        let bytes = fs::read(fixture.path("whole.gz")).unwrap();
        fs::write(fixture.path("app.log.1.gz"), bytes).unwrap();
        assert_eq!(fixture.poll(), [text.trim_end()]);
    }
    fixture.restart();
    assert_eq!(fixture.poll_long(), [""; 0]);
}

#[test]
fn bytes_that_nobody_can_read_any_more_are_counted() {
    let mut fixture = one();
    let line = format!("{}\n", "x".repeat(1023));
    fs::write(fixture.path("app.log"), line.repeat(1024)).unwrap();
    assert!(fixture.tailer.poll(&mut fixture.sink), "more is left");
    fs::write(fixture.path("app.log"), "").unwrap();
    fixture.poll();
    let lost = 768 * 1024;
    assert_eq!(fixture.sink.notes, [Note::Truncated { path: fixture.path("app.log"), lost }]);
}

#[test]
fn a_successor_that_begins_like_its_predecessor_is_read_whole() {
    let mut fixture = any();
    fixture.append("app.log", "started\n");
    assert_eq!(fixture.poll(), ["started"]);
    fs::rename(fixture.path("app.log"), fixture.path("app.log.1")).unwrap();
    fixture.append("app.log", "started\n");
    assert_eq!(fixture.poll(), ["started"]);
    fixture.restart();
    fs::rename(fixture.path("app.log.1"), fixture.path("app.log.2")).unwrap();
    fs::rename(fixture.path("app.log"), fixture.path("app.log.1")).unwrap();
    fixture.append("app.log", "started\n");
    assert_eq!(fixture.poll(), ["started"]);
    // Another program that begins with the same words.
    fixture.append("app.log.worker", "started\n");
    assert_eq!(fixture.poll(), ["started"]);
}

#[test]
fn a_compressed_file_that_is_still_written_is_taken_when_it_is_whole() {
    let mut fixture = any();
    // The age of a file is by the machine's clock.
    let micros = Clock::system().now_micros() - fixture.clock.now_micros();
    fixture.clock.advance(micros);
    fixture.append("whole", &"a line\n".repeat(1_000));
    gzip(&fixture.path("whole"));
    let bytes = fs::read(fixture.path("whole.gz")).unwrap();
    fs::write(fixture.path("app.log.1.gz"), &bytes[..20]).unwrap();
    let before = fixture.poll().len();
    fs::write(fixture.path("app.log.1.gz"), &bytes).unwrap();
    assert_eq!(before + fixture.poll().len(), 1_000);
    assert_eq!(fixture.poll_long().len(), 0);
}

#[test]
fn compressions_that_are_not_read_and_damaged_files_are_named() {
    let mut fixture = any();
    fs::write(fixture.path("app.log.1.bz2"), "BZh9").unwrap();
    fs::write(fixture.path("app.log.2.gz"), "no gzip at all").unwrap();
    fixture.clock.advance(400_000_000_000_000);
    assert_eq!(fixture.poll_long(), [""; 0]);
    let named: Vec<String> = fixture.sink.notes.iter().map(|note| format!("{note:?}")).collect();
    assert_eq!(named.len(), 2, "{named:?}");
    assert!(named.iter().any(|note| note.contains("this compression is not read")), "{named:?}");
}

#[test]
fn excluded_and_old_files_are_left_alone() {
    let config = FileConfig {
        exclude: vec!["*.gz".into(), "debug*".into()],
        ignore_older_hours: Some(24),
        ..FileConfig::default()
    };
    let mut fixture = Fixture::of("**/*log*", config);
    fs::create_dir(fixture.path("deep")).unwrap();
    fixture.append("deep/a.log", "deep\n");
    fixture.append("debug.log", "no\n");
    fixture.append("a.log.gz", "no\n");
    assert_eq!(fixture.poll(), ["deep"]);
    fixture.clock.advance(40 * 86_400_000_000 * 100);
    fixture.append("old.log", "old\n");
    assert_eq!(fixture.poll(), [""; 0]);
}

#[test]
fn encodings() {
    let config = FileConfig { encoding: Some("latin1".into()), ..FileConfig::default() };
    let mut fixture = Fixture::new(config);
    fs::write(fixture.path("a.log"), b"Z\xfcrich\nGen\xe8ve\n").unwrap();
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    fs::write(fixture.path("b.log"), wide("\u{feff}caf\u{e9}\r\n\u{ff21}\n")).unwrap();
    let mut found = fixture.poll();
    found.sort_unstable();
    assert_eq!(found, ["Gen\u{e8}ve", "Z\u{fc}rich", "caf\u{e9}", "\u{ff21}"]);
    // Half a unit and half a line wait; after a restart too.
    let more = wide("\u{20ac}\n");
    let mut file = fs::OpenOptions::new().append(true).open(fixture.path("b.log")).unwrap();
    file.write_all(&more[..1]).unwrap();
    assert_eq!(fixture.poll(), [""; 0]);
    fixture.restart();
    assert_eq!(fixture.poll(), [""; 0]);
    file.write_all(&more[1..]).unwrap();
    assert_eq!(fixture.poll(), ["\u{20ac}"]);
}

#[test]
fn a_long_line_is_read_on_after_a_kill_within_it() {
    let mut fixture = Fixture::new(FileConfig::default());
    let line: String = (0..40_000).map(|n| format!("{n:05} ")).collect();
    let (first, rest) = line.split_at(150_000);
    fixture.append("a.log", first);
    assert_eq!(fixture.poll().len(), 2);
    fixture.restart();
    fixture.append("a.log", &format!("{rest}\nnext\n"));
    let found = fixture.poll();
    assert_eq!(found.len(), 3, "the rest in two parts and the next line");
    assert_eq!(found[2], "next");
    let texts = fixture.sink.events.iter().map(|event| event.fields["message"].as_str().unwrap());
    assert_eq!(texts.take(4).collect::<String>(), line);
    let last = &fixture.sink.events[3].fields["log"]["part"];
    assert_eq!(*last, serde_json::json!({"number": 4, "last": true, "offset": 0}));
}

#[test]
fn places_of_files_that_are_gone_are_given_up() {
    let mut fixture = Fixture::new(FileConfig::default());
    for n in 0..3 {
        fixture.append(&format!("{n}.log"), &format!("{n}\n"));
    }
    fixture.poll();
    fs::remove_file(fixture.path("0.log")).unwrap();
    fixture.poll_long();
    assert_eq!(fixture.sink.positions.len(), 3, "it may come back compressed");
    fixture.clock.advance(15 * 86_400_000_000);
    fixture.poll();
    fixture.append("1.log", "more\n");
    fixture.poll();
    assert_eq!(fixture.sink.positions.len(), 2);
}

/// One thing that happens to a log.
#[derive(Clone, Debug)]
enum Step {
    /// Lines are written, the last one perhaps without its end, perhaps a long one.
    Write { lines: u8, half: bool, long: bool },
    /// Renamed, and perhaps the older one compressed.
    Rename { compress: bool },
    /// Copied and truncated.
    Copy { compress: bool },
    /// Is being copied, to be truncated then: so many percent of the copy are there.
    Copying { percent: u8 },
    /// The youngest old one is being compressed: so many percent of it are there.
    Compress { percent: u8 },
    /// What is new is read.
    Poll,
    /// Everything that was not given out is forgotten.
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..6_u8, any_bool(), prop::bool::weighted(0.1))
            .prop_map(|(lines, half, long)| Step::Write { lines, half, long }),
        1 => any_bool().prop_map(|compress| Step::Rename { compress }),
        1 => any_bool().prop_map(|compress| Step::Copy { compress }),
        1 => (0..101_u8).prop_map(|percent| Step::Copying { percent }),
        1 => (0..101_u8).prop_map(|percent| Step::Compress { percent }),
        3 => Just(Step::Poll),
        1 => Just(Step::Kill),
    ]
}

fn any_bool() -> impl Strategy<Value = bool> {
    prop::bool::ANY
}

/// A program that writes a log and rotates it.
struct Program {
    log: PathBuf,
    written: u32,
    half: bool,
    /// What is being compressed, and what comes of it.
    compressing: Option<(PathBuf, Vec<u8>)>,
    /// The log is being copied.
    copying: bool,
}

impl Program {
    fn compressed(path: &Path) -> PathBuf {
        PathBuf::from(format!("{}.gz", path.display()))
    }

    /// Begins to compress, as a program that takes a while for it.
    fn compress(&mut self, percent: u8) {
        self.finish();
        let plain = self.first();
        if plain.exists() {
            let whole = plain.with_file_name("whole");
            fs::copy(&plain, &whole).unwrap();
            gzip(&whole);
            let packed = Self::compressed(&whole);
            let bytes = fs::read(&packed).unwrap();
            fs::remove_file(packed).unwrap();
            let part = bytes.len() * usize::from(percent) / 100;
            fs::write(Self::compressed(&plain), bytes.get(..part).unwrap()).unwrap();
            self.compressing = Some((plain, bytes));
        }
    }

    /// Begins to copy, as a program that takes a while for it.
    fn copy(&mut self, percent: u8) {
        self.finish();
        if self.log.exists() {
            self.shift();
            let bytes = fs::read(&self.log).unwrap();
            let part = bytes.len() * usize::from(percent) / 100;
            fs::write(self.first(), bytes.get(..part).unwrap()).unwrap();
            self.copying = true;
        }
    }

    /// What is written next is not in the copy.
    fn end_copy(&mut self) {
        if std::mem::take(&mut self.copying) {
            let whole = fs::read(&self.log).unwrap();
            let there = fs::read(self.first()).unwrap().len();
            let rest = String::from_utf8(whole.get(there..).unwrap().to_vec()).unwrap();
            append(&self.first(), &rest);
            fs::write(&self.log, "").unwrap();
            self.half = false;
        }
    }

    fn finish(&mut self) {
        self.end_copy();
        if let Some((plain, bytes)) = self.compressing.take() {
            fs::write(Self::compressed(&plain), bytes).unwrap();
            fs::remove_file(plain).unwrap();
        }
    }

    /// What is being compressed was written just now.
    fn touch(&self, micros: i64) {
        let Some((plain, _)) = &self.compressing else { return };
        let file = File::options().append(true).open(Self::compressed(plain)).unwrap();
        let since = Duration::from_micros(u64::try_from(micros).unwrap());
        file.set_modified(std::time::UNIX_EPOCH + since).unwrap();
    }

    fn shift(&self) {
        for n in (1..20).rev() {
            for ending in ["", ".gz"] {
                let at = |n: u32| PathBuf::from(format!("{}.{n}{ending}", self.log.display()));
                if at(n).exists() {
                    fs::rename(at(n), at(n + 1)).unwrap();
                }
            }
        }
    }

    fn first(&self) -> PathBuf {
        PathBuf::from(format!("{}.1", self.log.display()))
    }

    fn act(&mut self, step: &Step) {
        match step {
            Step::Write { lines, half, long } => {
                self.end_copy();
                for _ in 0..*lines {
                    let noise = "x".repeat(if *long { 70_000 } else { 3 });
                    append(
                        &self.log,
                        &format!(
                            "{}line {} {noise}",
                            if self.half { "\n" } else { "" },
                            self.written
                        ),
                    );
                    self.written += 1;
                    self.half = true;
                }
                if !half {
                    append(&self.log, "\n");
                    self.half = false;
                }
            }
            Step::Copying { percent } => self.copy(*percent),
            Step::Compress { percent } => self.compress(*percent),
            Step::Rename { compress } if self.log.exists() => {
                self.finish();
                self.shift();
                fs::rename(&self.log, self.first()).unwrap();
                self.half = false;
                if *compress {
                    gzip(&self.first());
                }
            }
            Step::Copy { compress } if self.log.exists() => {
                self.finish();
                self.shift();
                fs::copy(&self.log, self.first()).unwrap();
                fs::write(&self.log, "").unwrap();
                self.half = false;
                if *compress {
                    gzip(&self.first());
                }
            }
            _ => {}
        }
    }
}

proptest! {
    /// Whatever happens in whatever order, each line is found exactly once.
    #[test]
    fn every_line_once(steps in prop::collection::vec(step(), 1..25)) {
        let mut fixture = any();
        let log = fixture.path("app.log");
        let mut program = Program { log, written: 0, half: false, compressing: None, copying: false };
        let mut found: Vec<String> = Vec::new();
        for step in &steps {
            program.act(step);
            program.touch(fixture.clock.now_micros());
            match step {
                Step::Poll => found.extend(fixture.poll()),
                Step::Kill => fixture.restart(),
                _ => {}
            }
        }
        if program.half {
            append(&program.log, "\n");
        }
        program.finish();
        for _ in 0..3 {
            found.extend(fixture.poll_long());
        }
        fixture.restart();
        found.extend(fixture.poll_long());
        let mut numbers: Vec<u32> = found
            .iter()
            .filter_map(|text| text.strip_prefix("line ")?.split(' ').next()?.parse().ok())
            .collect();
        numbers.sort_unstable();
        prop_assert_eq!(numbers, (0..program.written).collect::<Vec<_>>(), "{:?}", fixture.sink.notes);
    }
}
