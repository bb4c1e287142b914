//! Rotation torture: a writer that renames, compresses, copies and truncates its log, writes half lines
//! and lines of ten megabytes, while the agent is killed again and again. Every line becomes exactly one
//! event, the long ones in numbered parts, and the books balance.
//!
//! `PIKETT_E2E_SECONDS` sets how long the writer writes (10 unless said otherwise) and
//! `PIKETT_E2E_RATE` how many lines a second (2,000).

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::system::{Options, System, line};

/// Bytes of a long line.
const LONG: usize = 10 * 1024 * 1024;
/// Bytes of one of its parts.
const PART: usize = 64 * 1024;

fn setting(name: &str, usual: u32) -> u32 {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

/// A program that logs and rotates its own log, so that no line falls between a copy and a truncation.
struct Writer {
    path: PathBuf,
    file: File,
    written: u32,
    long: u32,
    half: bool,
}

impl Writer {
    fn open(path: &Path) -> File {
        OpenOptions::new().create(true).append(true).open(path).unwrap()
    }

    fn new(path: PathBuf) -> Self {
        Self { file: Self::open(&path), path, written: 0, long: 0, half: false }
    }

    /// Lines, the last of them without its end, which comes with the next ones.
    fn lines(&mut self, count: u32) {
        let mut text = String::new();
        for _ in 0..count {
            if self.half {
                text.push('\n');
            }
            text.push_str(&line(self.written, 0));
            self.written += 1;
            self.half = true;
        }
        self.file.write_all(text.as_bytes()).unwrap();
    }

    fn end_line(&mut self) {
        if self.half {
            self.file.write_all(b"\n").unwrap();
            self.half = false;
        }
    }

    /// A line of ten megabytes, written in pieces.
    fn long(&mut self) {
        self.end_line();
        let head = format!("<13>1 2026-11-22T15:04:05Z web1 long {} - - ", self.long);
        self.long += 1;
        self.file.write_all(head.as_bytes()).unwrap();
        let piece = vec![b'x'; 256 * 1024];
        let mut left = LONG - head.len();
        while left > 0 {
            let count = left.min(piece.len());
            self.file.write_all(piece.get(..count).unwrap()).unwrap();
            left -= count;
        }
        self.file.write_all(b"\n").unwrap();
    }

    fn numbered(&self, number: u32) -> PathBuf {
        PathBuf::from(format!("{}.{number}", self.path.display()))
    }

    fn shift(&self) {
        for number in (1..500).rev() {
            for ending in ["", ".gz"] {
                let from = PathBuf::from(format!("{}{ending}", self.numbered(number).display()));
                if from.exists() {
                    let to = format!("{}{ending}", self.numbered(number + 1).display());
                    fs::rename(from, to).unwrap();
                }
            }
        }
    }

    fn rotate(&mut self, round: u32) {
        self.end_line();
        self.shift();
        if round % 3 == 2 {
            fs::copy(&self.path, self.numbered(1)).unwrap();
            self.file.set_len(0).unwrap();
        } else {
            fs::rename(&self.path, self.numbered(1)).unwrap();
            // What is still written to the old file after it was renamed belongs to it.
            self.lines(3);
            self.end_line();
            self.file = Self::open(&self.path);
        }
        // The older one is compressed, as logrotate does with `delaycompress`.
        let older = self.numbered(2);
        if older.exists() {
            let gzip = std::process::Command::new("gzip").arg(older).status().unwrap();
            assert!(gzip.success());
        }
    }

    fn write(mut self, stop: &AtomicBool) -> Self {
        let (rate, mut tick) = (setting("PIKETT_E2E_RATE", 2_000), 0_u32);
        while !stop.load(Ordering::SeqCst) {
            self.lines((rate / 50).max(1));
            tick += 1;
            if tick % 73 == 0 {
                self.rotate(tick / 73);
            }
            if tick % 331 == 1 {
                self.long();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.end_line();
        self
    }
}

#[test]
fn rotation_under_kills_repeats_and_loses_nothing() {
    let options = Options { pattern: "app.log*".to_owned(), ..Options::default() };
    let Some(mut system) = System::start(options) else { return };
    let stop = Arc::new(AtomicBool::new(false));
    let (end, path) = (Arc::clone(&stop), system.at("logs/app.log"));
    let thread = std::thread::spawn(move || Writer::new(path).write(&end));
    let pause = setting("PIKETT_E2E_SECONDS", 10) * 1_000 / 11;
    for round in 0..10_u32 {
        std::thread::sleep(Duration::from_millis(u64::from(pause)));
        system.kill("agent");
        std::thread::sleep(Duration::from_millis(u64::from(round * 7919 % 300)));
        system.run("agent");
    }
    stop.store(true, Ordering::SeqCst);
    let writer = thread.join().unwrap();
    system.written = writer.written;
    system.settle();
    let parts = u64::try_from(LONG / PART).unwrap();
    for number in 0..writer.long {
        // The head of a long line is in its first part alone; its other parts are told by their place.
        let query = format!("process.name:long log.syslog.procid:{number}");
        assert_eq!(system.total(&query), Some(1), "long line {number}");
    }
    let long = u64::from(writer.long);
    system.wait("all parts are found", |system| {
        system.total("log.part.number:*") >= Some(long * parts)
    });
    assert_eq!(system.total("log.part.number:*"), Some(long * parts));
    assert_eq!(system.total("log.part.last:true"), Some(long));
    assert_eq!(system.total("log.truncated_bytes:*"), Some(0));
    let report = &system.agent()["agent"]["report"];
    println!(
        "{} lines and {long} of 10 MiB, each found once, residue 0; {}",
        writer.written,
        json!({"resident_bytes": report["resident_bytes"]})
    );
}
