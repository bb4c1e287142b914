//! Rotation torture: a writer that renames, compresses, copies and truncates its log, writes half lines
//! and lines of ten megabytes, while the agent is killed again and again. Every line becomes exactly one
//! event, the long ones in numbered parts, and the books balance.
//!
//! `PIKETT_E2E_SECONDS` sets how long the writer writes (10 unless said otherwise) and
//! `PIKETT_E2E_RATE` how many lines a second (2,000). With a minute or more rsyslog, when it is installed, reads the
//! same log in the same run; what both have used is told at the end.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use std::process::{Child, Command, Stdio};

use crate::system::{Options, System, line, usage};

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
            let gzip = Command::new("gzip").arg(older).status().unwrap();
            assert!(gzip.success());
        }
    }

    fn write(mut self, stop: &AtomicBool) -> Self {
        let each = (setting("PIKETT_E2E_RATE", 2_000) / 50).max(1);
        let clock = service::Clock::system();
        let (began, mut tick) = (clock.monotonic(), 0_u32);
        while !stop.load(Ordering::SeqCst) {
            self.lines(each);
            tick += 1;
            if tick % 73 == 0 {
                self.rotate(tick / 73);
            }
            if tick % 331 == 1 {
                self.long();
            }
            // What rotation has taken is made up for: the rate is that of the whole run.
            let due = Duration::from_millis(20) * tick;
            std::thread::sleep(due.saturating_sub(clock.monotonic().saturating_sub(began)));
        }
        self.end_line();
        self
    }
}

/// rsyslog on the same log, shipping what it reads over TCP, with a queue on disk, to one who counts lines.
struct Rsyslog(Child, Arc<AtomicU64>);

impl Rsyslog {
    fn start(system: &System) -> Option<Self> {
        let config = system.at("rsyslog.conf");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let lines = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&lines);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, mut buffer) = (stream.unwrap(), vec![0; 256 * 1024]);
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    let read = buffer.get(..length).unwrap_or_default();
                    let ends = read.iter().filter(|byte| **byte == b'\n').count();
                    counted.fetch_add(u64::try_from(ends).unwrap(), Ordering::SeqCst);
                }
            }
        });
        let text = format!(
            "global(workDirectory={:?} maxMessageSize=\"64k\")\nmodule(load=\"imfile\")\n\
             input(type=\"imfile\" file={:?} tag=\"app:\")\n\
             template(name=\"raw\" type=\"string\" string=\"%rawmsg%\\n\")\n\
             action(type=\"omfwd\" target=\"127.0.0.1\" port=\"{port}\" protocol=\"tcp\" template=\"raw\" \
             queue.type=\"LinkedList\" queue.filename=\"forward\" queue.saveOnShutdown=\"on\" queue.size=\"200000\")\n",
            system.folder.path(),
            system.at("logs/app.log"),
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new("rsyslogd");
        command.arg("-n").arg("-f").arg(config).arg("-i").arg(system.at("rsyslog.pid"));
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        quiet.spawn().ok().map(|child| Self(child, lines))
    }

    /// What it has used and how many lines it has shipped.
    fn end(mut self) -> String {
        let (cpu, resident) = usage(self.0.id());
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        self.0.wait().unwrap();
        let lines = self.1.load(Ordering::SeqCst);
        format!("rsyslog: {lines} lines, {cpu:.2} CPU seconds, {resident} bytes resident")
    }
}

#[test]
fn rotation_under_kills_repeats_and_loses_nothing() {
    let options = Options { pattern: "app.log*".to_owned(), ..Options::default() };
    let Some(mut system) = System::start(options) else { return };
    let seconds = setting("PIKETT_E2E_SECONDS", 10);
    let rsyslog = (seconds >= 60).then(|| Rsyslog::start(&system)).flatten();
    let stop = Arc::new(AtomicBool::new(false));
    let (end, path) = (Arc::clone(&stop), system.at("logs/app.log"));
    let thread = std::thread::spawn(move || Writer::new(path).write(&end));
    let (mut cpu, mut resident) = (0.0, 0);
    let mut count = |system: &System| {
        let (used, bytes) = system.usage("agent");
        cpu += used;
        resident = bytes.max(resident);
    };
    for round in 0..10_u32 {
        std::thread::sleep(Duration::from_millis(u64::from(seconds * 1_000 / 11)));
        count(&system);
        system.kill("agent");
        std::thread::sleep(Duration::from_millis(u64::from(round * 7919 % 300)));
        system.run("agent");
    }
    std::thread::sleep(Duration::from_millis(u64::from(seconds * 1_000 / 11)));
    stop.store(true, Ordering::SeqCst);
    let writer = thread.join().unwrap();
    system.written = writer.written;
    system.settle();
    count(&system);
    let long = u64::from(writer.long);
    let parts = long * u64::try_from(LONG / PART).unwrap();
    for number in 0..writer.long {
        // The head of a long line is in its first part; the others are told by their place.
        let query = format!("process.name:long log.syslog.procid:{number}");
        assert_eq!(system.total(&query), Some(1), "long line {number}");
    }
    system.wait("all parts", |system| system.total("log.part.number>=1") >= Some(parts));
    assert_eq!(system.total("log.part.number>=1"), Some(parts));
    assert_eq!(system.total("log.part.last:true"), Some(long));
    println!(
        "{} lines in {seconds} s and {long} of 10 MiB, each found once, residue 0\n\
         agent, killed ten times: {cpu:.2} CPU seconds, {resident} bytes resident at most",
        writer.written
    );
    if let Some(rsyslog) = rsyslog {
        println!("{}", rsyslog.end());
    }
}
