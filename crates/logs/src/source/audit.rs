//! The Linux audit system: its records, from the kernel or from files of auditd, joined into events.
//!
//! [`Source`] is opened while the program still has its privileges and then read in a thread of its own. Which records
//! belong together is told by `assemble`, what they mean by the parser `parse::auditd`, how far files are read by
//! `places`. Files are followed as all files are.

use std::sync::Arc;
use std::time::Duration;

use event::{Event, Timestamp};
use serde_json::Value;
use service::Clock;

use super::tail::{self, Aside, Asides, Note, Read, Sink, TailError, Tailer};
use super::{Intake, Item, Moved, Position, Positions, Stopped};
use crate::config::{AuditConfig, FileConfig, Format};
use crate::parse::auditd::{Head, joined};

mod assemble;
mod netlink;
mod places;
#[cfg(test)]
mod tests;

pub use assemble::EventId;
pub use netlink::AuditError;

use assemble::{Assembler, Ending, Found, Joined, Taken};
use places::{Places, What};

/// Longest wait for a change.
const WAIT: Duration = Duration::from_millis(200);
/// Least time between two polls: lines that come one by one are read many at a time.
const PACE: Duration = Duration::from_millis(20);

/// The audit system, opened.
#[derive(Debug)]
pub struct Source {
    config: AuditConfig,
    live: Option<netlink::Live>,
}

impl Source {
    /// Opens it.
    ///
    /// # Errors
    /// When the kernel's records cannot be had.
    pub fn open(config: &AuditConfig) -> Result<Self, AuditError> {
        let live = config.is_live().then(|| netlink::Live::open(config)).transpose()?;
        Ok(Self { config: config.clone(), live })
    }

    /// What it is, in words.
    #[must_use]
    pub fn name(&self) -> String {
        self.config.name()
    }

    /// Reads it until `intake` stops. Blocks.
    ///
    /// # Errors
    /// When the files cannot be followed as they are configured.
    pub fn run(
        self,
        positions: &Positions,
        intake: Intake,
        clock: &Clock,
    ) -> Result<(), TailError> {
        let timeout = Duration::from_millis(self.config.timeout_milliseconds);
        let Some(live) = self.live else {
            return follow(&self.config, positions, intake, clock);
        };
        let mut out = Out::new(intake, clock.clone(), Assembler::new(false, timeout));
        live.read(&mut out);
        Ok(())
    }
}

/// Records into events without files or sockets, for benches and fuzzing.
#[derive(Debug)]
pub struct Bench {
    assembler: Assembler,
    events: u64,
    /// Bytes of the originals of events, their line feeds apart, and of what found no room.
    bytes: usize,
}

impl Default for Bench {
    fn default() -> Self {
        Self { assembler: Assembler::new(true, Duration::from_secs(2)), events: 0, bytes: 0 }
    }
}

impl Bench {
    /// Takes a line, and makes events of what is over.
    pub fn take(&mut self, line: String) {
        let found = Found { log: Arc::from("audit.log"), place: None, damaged: false };
        self.assembler.take(line, found, Duration::ZERO);
        self.make();
    }

    fn make(&mut self) {
        while let Some(joined) = self.assembler.ready() {
            let cut = usize::try_from(joined.cut.1).unwrap_or(usize::MAX);
            let lines = joined.lines.iter().map(String::len).fold(cut, usize::saturating_add);
            self.bytes = self.bytes.saturating_add(lines);
            std::hint::black_box(event_of(joined, Timestamp::EPOCH));
            self.events = self.events.saturating_add(1);
        }
    }

    /// Ends what is held; gives the bytes that came out.
    pub fn end(&mut self) -> usize {
        self.assembler.tick(Duration::from_secs(3600));
        self.make();
        self.bytes
    }

    /// Events made.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.events
    }
}

/// What was counted besides events.
#[derive(Debug, Default)]
struct Figures {
    records: u64,
    by_time: u64,
    by_crowd: u64,
    cut_records: u64,
    cut_bytes: u64,
    late: u64,
    again: u64,
}

/// The way of events out.
#[derive(Debug)]
struct Out {
    intake: Intake,
    clock: Clock,
    assembler: Assembler,
    figures: Figures,
}

impl Out {
    fn new(intake: Intake, clock: Clock, assembler: Assembler) -> Self {
        Self { intake, clock, assembler, figures: Figures::default() }
    }

    /// Takes a line.
    fn take(&mut self, line: String, found: Found) -> Taken {
        self.figures.records = self.figures.records.saturating_add(1);
        self.assembler.take(line, found, self.clock.monotonic())
    }

    /// Gives out an event with the places that move with it.
    fn give(&mut self, event: Joined, mut moved: Vec<Moved>) -> Result<(), Stopped> {
        self.count(&event);
        let now = Timestamp::from_micros(self.clock.now_micros());
        let bytes = event.lines.iter().map(String::len).sum();
        let (event, parsed) = event_of(event, now);
        // The place of a file goes last, what it needs beside it before.
        let own = moved.iter().position(|(_, place)| matches!(place, Some(Position::File { .. })));
        let own = own.map(|at| moved.swap_remove(at));
        moved.extend(own);
        self.intake.wait(Item { events: vec![event], moved }, parsed, bytes)
    }

    fn count(&mut self, event: &Joined) {
        let figures = &mut self.figures;
        let add = |slot: &mut u64, more: u64| *slot = slot.saturating_add(more);
        add(&mut figures.by_time, u64::from(event.ending == Ending::Time));
        add(&mut figures.by_crowd, u64::from(event.ending == Ending::Crowd));
        add(&mut figures.late, u64::from(event.late));
        add(&mut figures.cut_records, event.cut.0);
        add(&mut figures.cut_bytes, event.cut.1);
    }

    /// Tells what was counted.
    fn tell(&self) {
        let figures = &self.figures;
        let source = self.intake.source();
        source.set_further("records", figures.records);
        source.set_further("held", u64::try_from(self.assembler.held()).unwrap_or(0));
        for (name, count) in [
            ("ended_by_time", figures.by_time),
            ("ended_by_crowd", figures.by_crowd),
            ("cut_records", figures.cut_records),
            ("cut_bytes", figures.cut_bytes),
            ("late_records", figures.late),
            ("read_again", figures.again),
        ] {
            if count > 0 {
                source.set_further(name, count);
            }
        }
    }
}

/// The event of its records, and whether all of them were understood.
fn event_of(event: Joined, now: Timestamp) -> (Event, bool) {
    let mut entry = joined(&event.lines, now);
    if let Some((path, offset)) = event.found.place {
        entry.text("log.file.path", &path);
        entry.put_static(&["log", "offset"], offset.into());
    }
    for (flag, set) in [
        ("invalid_utf8", event.found.damaged),
        ("late_record", event.late),
        ("too_many_records", event.cut.0 > 0),
    ] {
        if set {
            entry.flag(flag);
        }
    }
    if event.cut.1 > 0 {
        entry.put_static(&["log", "truncated_bytes"], event.cut.1.into());
    }
    let parsed = entry.parsed;
    (Event { seq: 0, time: entry.time, seen: now, kind: entry.kind, fields: entry.fields }, parsed)
}

/// Follows files of auditd.
fn follow(
    config: &AuditConfig,
    positions: &Positions,
    intake: Intake,
    clock: &Clock,
) -> Result<(), TailError> {
    let mut files = Files::new(config, positions, intake, clock)?;
    while !files.sink.out.intake.is_stopping() {
        let began = clock.monotonic();
        if files.poll() {
            continue;
        }
        files.tailer.wait(WAIT);
        std::thread::sleep(PACE.saturating_sub(clock.monotonic().saturating_sub(began)));
    }
    // What is held is read again after the next start.
    Ok(())
}

/// The files of a source that are followed.
#[derive(Debug)]
struct Files {
    tailer: Tailer,
    sink: Lines,
}

impl Files {
    fn new(
        config: &AuditConfig,
        positions: &Positions,
        intake: Intake,
        clock: &Clock,
    ) -> Result<Self, TailError> {
        let file = FileConfig {
            paths: config.paths.clone(),
            exclude: config.exclude.clone(),
            format: Format::Plain,
            from_start: config.from_start,
            ignore_older_hours: config.ignore_older_hours,
            ..FileConfig::default()
        };
        let key = config.name();
        let places = Places::new(&key, positions.get(&key));
        let timeout = Duration::from_millis(config.timeout_milliseconds);
        let out = Out::new(intake, clock.clone(), Assembler::new(true, timeout));
        let tailer = Tailer::new(&[file], positions.clone(), clock.clone())?;
        let asides = Asides::default();
        Ok(Self { tailer, sink: Lines { out, places, asides, stopped: false } })
    }

    /// Reads what is there; true when there may be more at once.
    fn poll(&mut self) -> bool {
        if self.tailer.poll(&mut self.sink) {
            return true;
        }
        let Lines { out, .. } = &mut self.sink;
        out.assembler.tick(out.clock.monotonic());
        self.sink.give();
        let Lines { out, asides, .. } = &self.sink;
        out.tell();
        asides.tell(out.intake.source());
        for progress in self.tailer.progress() {
            out.intake.source().set_place(progress.place, progress.behind);
        }
        false
    }
}

/// Lines of followed files on their way into events.
#[derive(Debug)]
struct Lines {
    out: Out,
    places: Places,
    asides: Asides,
    stopped: bool,
}

impl Lines {
    /// Gives out the events that are over.
    fn give(&mut self) {
        while let Some(event) = self.out.assembler.ready() {
            let moved = self.places.given(event.number);
            self.stopped |= self.out.give(event, moved).is_err();
        }
    }
}

impl Sink for Lines {
    fn record(&mut self, read: Read) -> bool {
        let Read { mut event, position: (file, after), also, .. } = read;
        also.into_iter().for_each(|moved| self.places.moved(moved));
        let start = event::get(&event.fields, "log.offset").and_then(Value::as_u64).unwrap_or(0);
        let path = event::get(&event.fields, "log.file.path").and_then(Value::as_str);
        let place = path.map(|path| (path.to_owned(), start));
        let damaged = event::get(&event.fields, "log.flags").is_some();
        let Some(Value::String(line)) = event.fields.remove("message") else { return true };
        let before = begun(&after, start);
        let again =
            Head::of(&line).map(|head| EventId::of(&head)).filter(|id| self.places.is_again(id));
        let what = match again {
            Some(id) => {
                self.out.figures.again = self.out.figures.again.saturating_add(1);
                What::Again(Arc::new(id))
            }
            None => match self.out.take(line, Found { log: Arc::clone(&file), place, damaged }) {
                Taken::By(number, id) => What::Of(number, id),
                Taken::Empty => What::Empty,
            },
        };
        self.places.read(&file, what, (before, after));
        self.give();
        !self.stopped && !self.out.intake.is_stopping()
    }

    fn aside(&mut self, _: usize, aside: Aside) {
        self.asides.add(aside);
    }

    fn note(&mut self, note: Note) {
        tail::tell(&self.out.intake, note);
    }
}

/// The place before a line that begins at `start`.
fn begun(after: &Position, start: u64) -> Position {
    match after.clone() {
        Position::File { path, head, head_length, time, .. } => {
            Position::File { path, offset: start, head, head_length, line: None, tail: None, time }
        }
        other => other,
    }
}
