//! Windows event log files as a source: each record once, in the order of their ids.
//!
//! Files are looked at every few seconds. Which log a file belongs to is told by its content: it has the record that was
//! taken last from the log, or its first record is the log's. So a file that grows, one whose oldest chunks were written
//! over, a copy and an archive under another name are the same log, and nothing of it is read twice; a log that was
//! cleared is another, and is read from its beginning. How far a log was read is kept with its events
//! ([`Position::Record`]). What a file holds is `crate::evtx`'s to say, what a record means the parser of Windows events'.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use event::{Event, Timestamp};
use serde_json::Value;
use service::Clock;

use super::tail::glob::{covers, expand};
use super::{Intake, Item, Moved, Position, Positions, Stopped};
use crate::config::{EvtxConfig, Format};
use crate::evtx::{Damage, EvtxError, Head, Log, Mark, Record, offset_of};
use crate::parse::{Parser, Zone};

#[cfg(test)]
mod tests;

/// Longest time in which a stop is not seen.
const STEP: Duration = Duration::from_millis(200);
/// Time after which a file is read again although it does not seem to have changed: Windows may tell late that it has.
const SWEEP: Duration = Duration::from_secs(60);
/// Most files looked at.
const MAX_FILES: usize = 4096;
/// Most logs whose places are kept.
const MAX_LOGS: usize = 8192;
/// Places of logs that are gone are kept so long, seconds.
const KEEP: i64 = 14 * 86_400;
/// A file that was written to within so many seconds may be written to just now.
const WRITTEN: i64 = 60;
/// Longest record that is taken, bytes of JSON.
const MAX_RECORD: usize = 1 << 20;
/// Begins the keys of positions.
const KEY: &str = "evtx:";

/// How far a log was read.
#[derive(Clone, Debug)]
struct Place {
    path: String,
    last: Mark,
    time: i64,
}

/// What is known of a file since the last look.
#[derive(Debug, Default)]
struct Known {
    /// Bytes and time of writing, nanoseconds; it is read again when they change.
    stamp: (u64, i128),
    log: Option<Arc<str>>,
    /// What was told of chunks that are damaged, by their numbers: how many records.
    told: BTreeMap<u64, usize>,
    problem: Option<String>,
    rest: u64,
}

/// A file that is to be read.
struct Task {
    path: PathBuf,
    /// When its first record was written.
    begins: u64,
    /// It may be written to just now.
    fresh: bool,
}

/// What was counted besides events.
#[derive(Debug, Default)]
struct Figures {
    replaced: u64,
    /// Records that were gone before they were read, as far as ids tell.
    gone_unread: u64,
    /// Logs that were replaced by ones whose ids began anew: how many records went is not told.
    gone_unknown: u64,
    damaged_chunks: u64,
    damaged_records: u64,
    unsure_records: u64,
    repeated_records: u64,
    long_records: u64,
    too_many_files: u64,
}

/// Reads event logs until `intake` stops. Blocks.
pub fn run(config: &EvtxConfig, positions: &Positions, intake: Intake, clock: &Clock) {
    let mut reader = Reader::new(config, positions, intake, clock.clone());
    while !reader.intake.is_stopping() {
        if reader.look().is_err() {
            return;
        }
        let every = Duration::from_secs(config.every_seconds);
        let until = clock.monotonic().saturating_add(every);
        while clock.monotonic() < until && !reader.intake.is_stopping() {
            std::thread::sleep(STEP);
        }
    }
}

/// All files of a configuration.
#[derive(Debug)]
struct Reader {
    config: EvtxConfig,
    parser: Parser,
    intake: Intake,
    clock: Clock,
    logs: BTreeMap<Arc<str>, Place>,
    files: BTreeMap<PathBuf, Known>,
    /// Positions that move with the next event.
    also: Vec<Moved>,
    figures: Figures,
    /// When files were last read whatever their times say.
    swept: Duration,
    /// Nothing was ever read, and this is the first look.
    begins: bool,
}

impl Reader {
    fn new(config: &EvtxConfig, positions: &Positions, intake: Intake, clock: Clock) -> Self {
        let logs = positions.iter().filter_map(|(key, position)| match position {
            Position::Record { path, last, time } if key.starts_with(KEY) => {
                let place = Place { path: path.clone(), last: *last, time: *time };
                Some((Arc::from(key.as_str()), place))
            }
            _ => None,
        });
        let logs: BTreeMap<_, _> = logs.collect();
        let begins = logs.is_empty();
        let swept = clock.monotonic();
        Self {
            config: config.clone(),
            swept,
            parser: config.parsers.parser(Format::Json, Zone::utc()),
            intake,
            clock,
            logs,
            files: BTreeMap::new(),
            also: Vec::new(),
            figures: Figures::default(),
            begins,
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.clock.now_micros())
    }

    fn seconds(&self) -> i64 {
        self.now().micros().div_euclid(1_000_000)
    }

    /// Looks at all files, and reads what is new in them.
    fn look(&mut self) -> Result<(), Stopped> {
        let clock = self.clock.monotonic();
        if clock.saturating_sub(self.swept) >= SWEEP {
            self.swept = clock;
            self.files.values_mut().for_each(|known| known.stamp = (0, 0));
        }
        let mut tasks = self.changed();
        // What was written first is read first: a copy of the beginning of a log comes before the log.
        tasks.sort_by(|a, b| (a.begins, &a.path).cmp(&(b.begins, &b.path)));
        for task in tasks {
            self.file(&task)?;
        }
        self.begins = false;
        self.forget();
        self.tell();
        Ok(())
    }

    /// The files that have changed since the last look.
    fn changed(&mut self) -> Vec<Task> {
        let mut paths: Vec<PathBuf> =
            self.config.paths.iter().flat_map(|pattern| expand(pattern).paths).collect();
        paths.sort();
        paths.dedup();
        paths.retain(|path| !self.config.exclude.iter().any(|one| covers(one, path)));
        let beyond = paths.len().saturating_sub(MAX_FILES);
        paths.truncate(MAX_FILES);
        let beyond = u64::try_from(beyond).unwrap_or(u64::MAX);
        if beyond > self.figures.too_many_files {
            tracing::error!(beyond, "too many event logs, these are not read");
        }
        self.figures.too_many_files = beyond;
        self.files.retain(|path, _| paths.binary_search(path).is_ok());
        paths.into_iter().filter_map(|path| self.task(path)).collect()
    }

    /// A file as a task when it has changed.
    fn task(&mut self, path: PathBuf) -> Option<Task> {
        let metadata = match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => metadata,
            Ok(_) => return None,
            Err(error) => {
                self.problem(&path, &EvtxError::Io(error));
                return None;
            }
        };
        let stamp = (metadata.len(), written(&metadata));
        let age = self.seconds().saturating_sub(seconds(stamp.1));
        let known = self.files.get(&path);
        if known.is_some_and(|known| known.stamp == stamp) {
            return None;
        }
        let old = self.config.ignore_older_hours.and_then(|hours| i64::try_from(hours).ok());
        if known.is_none() && old.is_some_and(|hours| age > hours.saturating_mul(3600)) {
            return None;
        }
        let fresh = (-WRITTEN..WRITTEN).contains(&age);
        let begins = match open(&path) {
            Ok(log) => log.first().map_or(u64::MAX, |mark| mark.time),
            Err(error) => {
                self.problem(&path, &error);
                return None;
            }
        };
        self.files.entry(path.clone()).or_default().stamp = stamp;
        Some(Task { path, begins, fresh })
    }

    /// Tells once what is wrong with a file; it is tried again at the next look.
    fn problem(&mut self, path: &Path, error: &EvtxError) {
        let reason = service::causes(error);
        let known = self.files.entry(path.to_owned()).or_default();
        known.stamp = (0, 0);
        if known.problem.as_ref() != Some(&reason) {
            self.intake.source().count_error();
            tracing::warn!(path = %path.display(), reason, "event log cannot be read");
            known.problem = Some(reason);
        }
    }

    /// Reads what is new in a file.
    fn file(&mut self, task: &Task) -> Result<(), Stopped> {
        let path = task.path.as_path();
        let log = match open(path) {
            Ok(log) => log,
            Err(error) => {
                self.problem(path, &error);
                return Ok(());
            }
        };
        self.damaged_heads(path, &log);
        let Some(first) = log.first() else { return Ok(()) };
        let key = self.belongs(&log, &first, path);
        let known = self.files.entry(path.to_owned()).or_default();
        known.problem = None;
        known.rest = log.rest();
        let before = known.log.replace(Arc::clone(&key));
        let name = path.display().to_string();
        let other = |(one, place): (&Arc<str>, &Place)| *one != key && place.path == name;
        let taken_over = !self.logs.contains_key(&key) && self.logs.iter().any(other);
        if before.as_ref().map_or(taken_over, |before| *before != key) {
            known.told.clear();
            self.replaced(path, before.as_ref(), &first);
        }
        if self.begins && !self.config.from_start && !self.logs.contains_key(&key) {
            self.skip(&log, &key, path);
        }
        let newest = log.heads().iter().rev().find(|head| head.last != u64::MAX).copied();
        for head in log.heads() {
            let after = self.logs.get(&key).map(|place| place.last.id);
            if after.is_none_or(|after| head.last > after) {
                let open = task.fresh && newest == Some(*head);
                self.chunk((&log, head), (&key, path), open)?;
            }
        }
        Ok(())
    }

    /// Counts and tells that a log was replaced by one that begins with `first`, and what of the old one
    /// nobody read: its ids go on when Windows clears a log or writes over it.
    fn replaced(&mut self, path: &Path, before: Option<&Arc<str>>, first: &Mark) {
        let name = path.display().to_string();
        let by_path = || self.logs.values().find(|place| place.path == name);
        let last = before.and_then(|key| self.logs.get(key)).or_else(by_path).map(|p| p.last);
        let follows = last.filter(|last| first.id > last.id && first.time >= last.time);
        let gone = follows.map(|last| first.id.saturating_sub(last.id).saturating_sub(1));
        let add = |slot: &mut u64, more: u64| *slot = slot.saturating_add(more);
        add(&mut self.figures.replaced, 1);
        add(&mut self.figures.gone_unread, gone.unwrap_or(0));
        add(&mut self.figures.gone_unknown, u64::from(gone.is_none()));
        let unread = gone.map_or_else(|| "unknown".to_owned(), |gone| gone.to_string());
        tracing::warn!(path = %path.display(), record = first.id, unread, "event log was replaced, read from its start");
    }

    /// The key of the log that a file belongs to.
    fn belongs(&self, log: &Log, first: &Mark, path: &Path) -> Arc<str> {
        let name = path.display().to_string();
        let has = |place: &Place| log.find(place.last.id) == Some(place.last);
        let same = self.logs.iter().find(|(_, place)| place.path == name && has(place));
        let found = same.or_else(|| self.logs.iter().find(|(_, place)| has(place)));
        found.map_or_else(|| key_of(first), |(key, _)| Arc::clone(key))
    }

    /// A log that is read from its end.
    fn skip(&mut self, log: &Log, key: &Arc<str>, path: &Path) {
        let heads = log.heads().iter().rev();
        let mut chunks = heads.filter_map(|head| log.chunk(head.number).ok());
        let last = chunks.find_map(|chunk| chunk.marks().into_iter().max_by_key(|mark| mark.id));
        if let Some(last) = last {
            let moved = self.moved(key, path, last);
            self.also.push(moved);
        }
    }

    /// Notes how far a log was read; gives that as its position.
    fn moved(&mut self, key: &Arc<str>, path: &Path, last: Mark) -> Moved {
        let place = Place { path: path.display().to_string(), last, time: self.seconds() };
        let position =
            Position::Record { path: place.path.clone(), last: place.last, time: place.time };
        self.logs.insert(Arc::clone(key), place);
        (Arc::clone(key), Some(position))
    }

    /// Reads what is new in a chunk; of one that is `open` the end may not be written yet.
    fn chunk(
        &mut self,
        (log, head): (&Log, &Head),
        (key, path): (&Arc<str>, &Path),
        open: bool,
    ) -> Result<(), Stopped> {
        let before = self.logs.get(key).map(|place| place.last.id);
        let read = log.chunk(head.number).and_then(|mut chunk| {
            let found = chunk.records(before)?;
            let marks = chunk.marks().into_iter().map(|mark| (mark.id, mark)).collect();
            Ok((found, marks, chunk.is_intact()))
        });
        let (found, marks, intact): (_, BTreeMap<u64, Mark>, _) = match read {
            Ok(read) => read,
            Err(error) => {
                self.damaged_chunk(path, head.number, &service::causes(&error));
                return Ok(());
            }
        };
        let unsure = !intact && !open;
        let good = found.iter().filter_map(|one| one.as_ref().ok().map(|record| record.id)).max();
        let (mut numbered, mut nameless) = (Vec::new(), Vec::new());
        for one in found {
            match one.as_ref().map_or_else(|damage| damage.id, |record| Some(record.id)) {
                // What is being written is looked at again.
                Some(id) if open && one.is_err() && Some(id) > good => self.again(path),
                Some(id) => numbered.push((id, one)),
                None if open => self.again(path),
                None => nameless.extend(one.err()),
            }
        }
        self.damaged_records(path, head.number, &nameless);
        numbered.sort_by_key(|(id, _)| *id);
        for (id, one) in numbered {
            let after = self.logs.get(key).map(|place| place.last.id);
            if Some(id) <= after {
                self.figures.repeated_records = self.figures.repeated_records.saturating_add(1);
                continue;
            }
            let mark = marks.get(&id).copied().unwrap_or(Mark { id, time: 0, crc: 0 });
            self.give((key, path), (mark, one), unsure)?;
        }
        Ok(())
    }

    /// A file is read again at the next look although it does not change.
    fn again(&mut self, path: &Path) {
        if let Some(known) = self.files.get_mut(path) {
            known.stamp = (0, 0);
        }
    }

    /// Gives out a record, or what is left of it, with the place behind it.
    fn give(
        &mut self,
        (key, path): (&Arc<str>, &Path),
        (mark, record): (Mark, Result<Record, Damage>),
        unsure: bool,
    ) -> Result<(), Stopped> {
        if self.intake.is_stopping() {
            return Err(Stopped);
        }
        let add = |slot: &mut u64, more: bool| *slot = slot.saturating_add(u64::from(more));
        let record = record.map_err(|damage| ("damaged", damage.reason)).and_then(|record| {
            let bytes = record.json.len();
            if bytes > MAX_RECORD {
                Err(("too_long", format!("it has {bytes} bytes")))
            } else {
                Ok(record)
            }
        });
        add(&mut self.figures.damaged_records, matches!(record, Err(("damaged", _))));
        add(&mut self.figures.long_records, matches!(record, Err(("too_long", _))));
        add(&mut self.figures.unsure_records, unsure);
        let bytes = record.as_ref().map_or(0, |record| record.json.len());
        let (event, parsed) = self.event((mark, record), path, unsure);
        let mut moved = std::mem::take(&mut self.also);
        moved.push(self.moved(key, path, mark));
        self.intake.wait(Item { events: vec![event], moved }, parsed, bytes)
    }

    /// The event of a record; of one that cannot be read it says why.
    fn event(
        &self,
        (mark, record): (Mark, Result<Record, (&'static str, String)>),
        path: &Path,
        unsure: bool,
    ) -> (Event, bool) {
        let now = self.now();
        let path = path.display().to_string();
        let json = record.as_ref().map_or("", |record| record.json.as_str());
        let mut entry = self.parser.line(json, now);
        match &record {
            Ok(record) if entry.parsed => {
                if entry.time == now {
                    entry.time = record.time;
                }
                // There is no line of text that could be kept.
                remove(&mut entry.fields, "original");
                entry.text("message", &sentence(&entry.fields, mark.id));
            }
            Ok(record) => entry.time = record.time,
            Err((flag, reason)) => {
                entry.text(
                    "message",
                    &format!("record {} of {path} is not read: {reason}", mark.id),
                );
                entry.flag(flag);
            }
        }
        if unsure {
            entry.flag("bad_checksum");
        }
        entry.text("log.file.path", &path);
        entry.put_static(&["winlog", "record_id"], mark.id.into());
        let parsed = entry.parsed;
        let (time, kind, fields) = (entry.time, entry.kind, entry.fields);
        (Event { seq: 0, time, seen: now, kind, fields }, parsed)
    }

    fn damaged_heads(&mut self, path: &Path, log: &Log) {
        for &number in log.damaged() {
            self.damaged_chunk(path, number, "it does not begin as a chunk");
        }
    }

    /// Counts and tells a damaged chunk once.
    fn damaged_chunk(&mut self, path: &Path, number: u64, reason: &str) {
        let known = self.files.entry(path.to_owned()).or_default();
        if known.told.insert(number, usize::MAX) != Some(usize::MAX) {
            self.intake.source().count_error();
            self.figures.damaged_chunks = self.figures.damaged_chunks.saturating_add(1);
            let offset = offset_of(number);
            tracing::warn!(path = %path.display(), chunk = number, offset, reason, "chunk of an event log is damaged");
        }
    }

    /// Counts and tells records once of which not even the id can be read.
    fn damaged_records(&mut self, path: &Path, number: u64, damages: &[Damage]) {
        let known = self.files.entry(path.to_owned()).or_default();
        let told = known.told.get(&number).copied().unwrap_or(0);
        let new = damages.get(told..).unwrap_or_default();
        let Some(first) = new.first() else { return };
        known.told.insert(number, damages.len());
        let count = u64::try_from(new.len()).unwrap_or(u64::MAX);
        self.intake.source().count_error();
        self.figures.damaged_records = self.figures.damaged_records.saturating_add(count);
        let (path, reason) = (path.display(), &first.reason);
        tracing::warn!(%path, chunk = number, count, reason, "records of an event log are damaged");
    }

    /// Forgets places of logs that are gone for long.
    fn forget(&mut self) {
        let now = self.seconds();
        let here: Vec<&Arc<str>> = self.files.values().filter_map(|one| one.log.as_ref()).collect();
        let gone = |key: &Arc<str>| !here.contains(&key);
        let mut old: Vec<(i64, Arc<str>)> = Vec::new();
        for (key, place) in self.logs.iter().filter(|(key, _)| gone(key)) {
            old.push((place.time, Arc::clone(key)));
        }
        old.sort();
        let mut crowd = self.logs.len().saturating_sub(MAX_LOGS);
        for (time, key) in old {
            if now.saturating_sub(time) > KEEP || crowd > 0 {
                crowd = crowd.saturating_sub(1);
                self.logs.remove(&key);
                self.also.push((key, None));
            }
        }
    }

    /// Tells what was counted.
    fn tell(&self) {
        let (figures, source) = (&self.figures, self.intake.source());
        let files = u64::try_from(self.files.len()).unwrap_or(u64::MAX);
        source.set_further("files", files);
        for (name, count) in [
            ("replaced", figures.replaced),
            ("gone_unread", figures.gone_unread),
            ("gone_unknown", figures.gone_unknown),
            ("damaged_chunks", figures.damaged_chunks),
            ("damaged_records", figures.damaged_records),
            ("unsure_records", figures.unsure_records),
            ("repeated_records", figures.repeated_records),
            ("long_records", figures.long_records),
            ("too_many_files", figures.too_many_files),
        ] {
            if count > 0 {
                source.set_further(name, count);
            }
        }
        // Lost before anybody saw them, as what the kernel drops is.
        source.set_dropped(figures.gone_unread);
        let behind = self.files.values().map(|known| known.rest).fold(0, u64::saturating_add);
        let newest = self.logs.values().max_by_key(|place| place.time);
        let place = newest.map(|place| format!("{} record {}", place.path, place.last.id));
        source.set_place(place.unwrap_or_default(), behind);
    }
}

fn open(path: &Path) -> Result<Log, EvtxError> {
    Log::open(File::open(path)?)
}

fn key_of(first: &Mark) -> Arc<str> {
    format!("{KEY}{}:{:x}:{:x}", first.id, first.time, first.crc).into()
}

/// When a file was written to last, nanoseconds since the epoch.
fn written(metadata: &Metadata) -> i128 {
    use std::os::unix::fs::MetadataExt;
    let seconds = i128::from(metadata.mtime()).saturating_mul(1_000_000_000);
    seconds.saturating_add(i128::from(metadata.mtime_nsec()))
}

fn seconds(nanos: i128) -> i64 {
    i64::try_from(nanos.div_euclid(1_000_000_000)).unwrap_or(i64::MAX)
}

fn remove(fields: &mut event::Object, name: &str) {
    if let Some(Value::Object(event)) = fields.get_mut("event") {
        event.shift_remove(name);
    }
}

/// What a record is, for people.
fn sentence(fields: &event::Object, id: u64) -> String {
    let get = |name: &str| event::get(fields, name).and_then(Value::as_str).unwrap_or_default();
    let channel = get("Event.System.Channel");
    format!("{} event {}, record {id} of {channel}", get("event.provider"), get("event.code"))
}
