//! One followed file: reads what is new, tells a file that was truncated or written anew, makes events of
//! its lines.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use event::{Object, Timestamp, set};
use serde_json::{Value, json};

use super::container::{self, Inner, Outer};
use super::encoding::{MARK, Text};
use super::group::Group;
use super::join::{Glue, Joiner, Next, Record};
use super::lines::{Cut, Line, Splitter, Within};
use super::packed::{Packed, Packing};
use super::print::{HEAD, NEAR, Print, filled, head_of};
use super::{Aside, Found, Moved, Position, Sink};
use crate::parse::{MAX_FIELD, Parser};

/// Most bytes read from one file in one turn, so that a large file does not starve the others.
const TURN: usize = 256 * 1024;

/// Most bytes of the head of a file that says how its lines are to be read.
const MAX_LEGEND: usize = 16 * 1024;
/// So far before the place where reading goes on is a head looked for that began anew, bytes.
const MAX_BACK: u64 = 1024 * 1024;

/// Where the bytes come from.
#[derive(Debug)]
pub(super) enum Content {
    /// The file as it is.
    Plain(File),
    /// What is compressed in it.
    Packed(Packed),
}

impl Content {
    /// CRC-32 of its first bytes, and how many they are; at most 256.
    fn head(&self) -> io::Result<(u32, u64)> {
        match self {
            Self::Plain(file) => {
                let length = file.metadata()?.len().min(HEAD);
                Ok(head_of(file, length)?.map_or((0, 0), |head| (head, length)))
            }
            Self::Packed(packed) => {
                let head = packed.head();
                Ok((crc32fast::hash(head), u64::try_from(head.len()).unwrap_or(0)))
            }
        }
    }
}

/// What a turn came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// There may be more.
    More,
    /// Nothing more for now.
    End,
    /// A compressed file was read to its end.
    Done,
    /// The file was truncated or written anew: what was read is over.
    Replaced,
    /// The sink takes no more.
    Stopped,
}

/// Where events go while a file has its turn.
pub(super) struct Out<'a> {
    pub(super) sink: &'a mut dyn Sink,
    /// Positions that move without an event of their own; they go with the next event.
    pub(super) also: &'a mut Vec<Moved>,
    /// Wall clock.
    pub(super) now: Timestamp,
    /// Monotonic clock.
    pub(super) clock: Duration,
}

/// One followed file.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) key: Arc<str>,
    /// Path it was met under.
    pub(super) path: PathBuf,
    /// Path it was seen under last.
    pub(super) seen_at: PathBuf,
    shown: String,
    pub(super) group: usize,
    content: Content,
    text: Option<Text>,
    splitter: Splitter,
    joiner: Joiner,
    /// Of the container line before: whether it went to standard error, whether its rest follows.
    partial: Option<(bool, bool)>,
    /// Fields that tell which container it is of.
    identity: Object,
    head: u32,
    head_length: u64,
    /// The head that says how lines are to be read, and the parser it makes.
    legend: (Vec<u8>, Option<Parser>),
    /// Place behind the last record given out.
    given: (u64, Within, Print),
    /// Size and time of the last change that were seen last.
    state: (u64, i64, i64),
    /// When something was read last, by the monotonic clock.
    pub(super) read: Duration,
    /// No name that is looked for leads here any more.
    pub(super) gone: bool,
    /// It may have changed since its last turn.
    pub(super) dirty: bool,
}

fn state(metadata: &Metadata) -> (u64, i64, i64) {
    (metadata.len(), metadata.mtime(), metadata.mtime_nsec())
}

/// The place that a position names.
pub(super) fn place(position: &Position) -> (u64, Within, Print) {
    match position {
        Position::File { offset, line, tail, .. } => {
            let (start, parts) = line.unwrap_or_default();
            (*offset, Within { start, parts }, tail.unwrap_or_default())
        }
        _ => (0, Within::default(), Print::default()),
    }
}

impl Followed {
    /// Reads `content` on from a place; it stands there already when it is compressed.
    pub(super) fn new(found: Found, content: Content, place: (u64, Within, Print)) -> Self {
        // Known before anything is read: what copies of it are met in the same look are told by it.
        let (head, head_length) = content.head().unwrap_or_default();
        Self {
            key: found.key(),
            shown: found.path.display().to_string(),
            seen_at: found.path.clone(),
            path: found.path,
            group: found.group,
            content,
            text: None,
            splitter: Splitter::at(place.0, place.1),
            joiner: Joiner::default(),
            partial: None,
            identity: Object::new(),
            head,
            head_length,
            legend: Default::default(),
            given: place,
            state: (0, 0, 0),
            read: Duration::ZERO,
            gone: false,
            dirty: true,
        }
    }

    /// How far it was read, as it is kept.
    pub(super) fn position(&self, now: Timestamp) -> Position {
        let (offset, within, print) = self.given;
        Position::File {
            path: self.shown.clone(),
            offset,
            head: self.head,
            head_length: self.head_length,
            line: (within.parts > 0).then_some((within.start, within.parts)),
            tail: (print.length > 0).then_some(print),
            time: now.micros() / 1_000_000,
        }
    }

    /// Bytes that are known to be there and were not given out.
    pub(super) fn unread(&self) -> u64 {
        match &self.content {
            Content::Plain(_) => self.state.0.saturating_sub(self.given.0),
            Content::Packed(_) => 0,
        }
    }

    /// Bytes that are known to have been there and were not even read.
    pub(super) fn beyond(&self) -> u64 {
        self.state.0.saturating_sub(self.splitter.read_to())
    }

    /// How far it is read, in words.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.shown, self.given.0)
    }

    /// The end of a plain copy of this file, when it is a place of this file as it is now.
    pub(super) fn end_of_copy(&self, found: &Found) -> io::Result<Option<Position>> {
        let Content::Plain(file) = &self.content else { return Ok(None) };
        let (copy, path) = (found.open()?, &found.path);
        let size = copy.metadata()?.len();
        let mut near = [0; NEAR];
        let length = usize::try_from(size).unwrap_or(NEAR).min(NEAR);
        let near = near.get_mut(..length).unwrap_or_default();
        let at = size.saturating_sub(u64::try_from(length).unwrap_or(0));
        if Packing::of(path).is_some() || !filled(&copy, near, at)? {
            return Ok(None);
        }
        let tail = Print::ending(near, at);
        let head_length = size.min(HEAD);
        let Some(head) = head_of(&copy, head_length)? else { return Ok(None) };
        if head_of(file, head_length)? != Some(head) || !tail.is_in(file)? {
            return Ok(None);
        }
        let path = path.display().to_string();
        let (tail, offset) = (Some(tail), size);
        Ok(Some(Position::File { path, offset, head, head_length, line: None, tail, time: 0 }))
    }

    /// Whether the file has no name at all any more.
    pub(super) fn is_deleted(&self) -> bool {
        match &self.content {
            Content::Plain(file) => file.metadata().is_ok_and(|metadata| metadata.nlink() == 0),
            Content::Packed(_) => self.gone,
        }
    }

    /// Whether a record waits for a further line.
    pub(super) const fn waits(&self) -> bool {
        self.joiner.waits()
    }

    /// Whether a line waits for its end.
    pub(super) fn is_halfway(&self) -> bool {
        !self.splitter.waiting().is_empty()
    }

    /// The same file, as the log of a container.
    pub(super) fn of_container(mut self) -> Self {
        self.identity = container::identity(&self.path);
        self
    }

    /// Reads a stretch and gives out the complete records in it.
    pub(super) fn turn(&mut self, group: &Group, out: &mut Out<'_>) -> io::Result<Turn> {
        self.dirty = false;
        let read = match self.fill(group)? {
            Fill::Replaced => return Ok(Turn::Replaced),
            Fill::Read(read) => read,
        };
        let Some(text) = self.text else { return Ok(Turn::End) };
        if read == 0 {
            let packed = matches!(self.content, Content::Packed(_));
            return Ok(match self.idle(group, out) {
                true if packed => Turn::Done,
                true => Turn::End,
                false => Turn::Stopped,
            });
        }
        self.read = out.clock;
        let part = (MAX_FIELD / text.growth()) & !1;
        let cut = Cut { unit: text.unit(), part, json: group.json };
        let mut splitter = std::mem::take(&mut self.splitter);
        let mut open = true;
        while open && let Some(line) = splitter.next(cut) {
            open = self.line(&line, group, text, out);
        }
        splitter.rest(NEAR);
        self.splitter = splitter;
        if !open {
            return Ok(Turn::Stopped);
        }
        Ok(if read == TURN { Turn::More } else { Turn::End })
    }

    /// Gives out everything that waits, also a last line without its end.
    pub(super) fn finish(&mut self, group: &Group, out: &mut Out<'_>) -> bool {
        let Some(text) = self.text else { return true };
        let mut splitter = std::mem::take(&mut self.splitter);
        let remainder = splitter.remainder().is_none_or(|line| self.line(&line, group, text, out));
        self.splitter = splitter;
        remainder && self.flush(group, out)
    }

    /// Gives out the record that waits for a further line.
    pub(super) fn flush(&mut self, group: &Group, out: &mut Out<'_>) -> bool {
        let Some(record) = self.joiner.flush() else { return true };
        self.joined(&record, group, out)
    }

    /// Begins anew at the start of the file.
    pub(super) fn restart(&mut self) {
        self.splitter = Splitter::default();
        self.joiner = Joiner::default();
        self.partial = None;
        (self.head, self.head_length) = (0, 0);
        self.given = Default::default();
        self.legend = Default::default();
        self.text = None;
        self.state = (0, 0, 0);
        self.dirty = true;
    }

    /// Nothing new: a record that has waited long enough is complete.
    fn idle(&mut self, group: &Group, out: &mut Out<'_>) -> bool {
        if !self.joiner.waits() || out.clock.saturating_sub(self.read) < group.join_wait {
            return true;
        }
        self.flush(group, out)
    }

    fn fill(&mut self, group: &Group) -> io::Result<Fill> {
        match &mut self.content {
            Content::Packed(packed) => {
                let read = self.splitter.put(TURN, |room| packed.read_whole(room))?;
                let head = packed.head();
                self.head = crc32fast::hash(head);
                self.head_length = u64::try_from(head.len()).unwrap_or(0);
                if self.text.is_none() {
                    let mark = head.get(..MARK).unwrap_or(head);
                    // One of a byte or two has no mark.
                    self.text =
                        Text::of(mark, group.encoding).or_else(|| Text::of(b"   ", group.encoding));
                }
                Ok(Fill::Read(read))
            }
            Content::Plain(_) => self.fill_plain(group),
        }
    }

    fn fill_plain(&mut self, group: &Group) -> io::Result<Fill> {
        let Content::Plain(file) = &self.content else { return Ok(Fill::Read(0)) };
        let seen = state(&file.metadata()?);
        let at = self.splitter.read_to();
        if seen.0 < at {
            return Ok(Fill::Replaced);
        }
        if seen == self.state && seen.0 == at {
            return Ok(Fill::Read(0));
        }
        if self.text.is_none() {
            let mut head = [0; MARK];
            let length = usize::try_from(seen.0).unwrap_or(MARK).min(MARK);
            let head = head.get_mut(..length).unwrap_or_default();
            if !filled(file, head, 0)? {
                return Ok(Fill::Read(0));
            }
            self.text = Text::of(head, group.encoding);
            if self.text.is_none() {
                return Ok(Fill::Read(0));
            }
            if at > 0 && group.parser.wants_head() {
                self.legend = legend(file, at, group)?;
            }
        }
        let before = Print::ending(self.splitter.newest(NEAR), 0);
        let before = Print { at: at.saturating_sub(u64::from(before.length)), ..before };
        let want = usize::try_from(seen.0.saturating_sub(at)).unwrap_or(TURN).min(TURN);
        let read = self.splitter.put(want, |room| file.read_at(room, at))?;
        // Looked at after reading: what was read belongs to what was there before.
        let shrunk = file.metadata()?.len() < at;
        if shrunk || !self.is_same(file)? || !before.is_in(file)? {
            self.splitter.unput(read);
            return Ok(Fill::Replaced);
        }
        self.state = seen;
        if self.head_length < HEAD {
            let length = self.splitter.read_to().min(HEAD);
            if let Some(head) = head_of(file, length)? {
                (self.head, self.head_length) = (head, length);
            }
        }
        Ok(Fill::Read(read))
    }

    fn is_same(&self, file: &File) -> io::Result<bool> {
        let (_, _, print) = self.given;
        Ok(head_of(file, self.head_length)?
            .is_some_and(|head| self.head_length == 0 || head == self.head)
            && print.is_in(file)?)
    }

    /// One line, or part of one: joined with others, or given out.
    fn line(&mut self, line: &Line<'_>, group: &Group, text: Text, out: &mut Out<'_>) -> bool {
        let decoded = text.decode(line.bytes, line.start == 0);
        let decoded = trimmed(&decoded);
        let whole = line.within.parts == 0;
        if whole && group.containers {
            return self.container_line(line, decoded, group, out);
        }
        if whole && group.joins {
            let glue = group.rules.glue(decoded);
            let next = Next { line, text: decoded, glue, outer: None };
            return self.join(next, group, out);
        }
        // A part of a long line is joined with nothing.
        if !self.flush(group, out) {
            return false;
        }
        let piece = Piece {
            bytes: decoded,
            start: line.start,
            within: line.within,
            last: line.last,
            outer: None,
        };
        let after = if line.last { Within::default() } else { line.within };
        self.given = (line.end, after, line.print());
        self.emit(&piece, group, out)
    }

    /// A line of a container runtime: its pieces are put together, a piece of the other stream between
    /// them ends what came so far.
    fn container_line(
        &mut self,
        line: &Line<'_>,
        text: &[u8],
        group: &Group,
        out: &mut Out<'_>,
    ) -> bool {
        let Some(Inner { outer, text, partial }) = container::unwrap(text) else {
            self.partial = None;
            let next = Next { line, text, glue: Glue::Begins, outer: None };
            return self.join(next, group, out) && self.flush(group, out);
        };
        let before = self.partial.take();
        self.partial = Some((outer.error, partial));
        let glue = match before {
            Some((error, true)) if error == outer.error => Glue::Piece,
            Some((error, false)) if error == outer.error => group.rules.glue(&text),
            _ => Glue::Begins,
        };
        let next = Next { line, text: &text, glue, outer: Some(outer) };
        self.join(next, group, out) && (partial || group.joins || self.flush(group, out))
    }

    fn join(&mut self, next: Next<'_>, group: &Group, out: &mut Out<'_>) -> bool {
        match self.joiner.take(&group.rules, next) {
            Some(record) => self.joined(&record, group, out),
            None => true,
        }
    }

    fn joined(&mut self, record: &Record, group: &Group, out: &mut Out<'_>) -> bool {
        let Record { bytes, start, end, print, within, last, outer, .. } = record;
        self.given = (*end, Within::default(), *print);
        let piece =
            Piece { bytes, start: *start, within: *within, last: *last, outer: outer.as_ref() };
        self.emit(&piece, group, out)
    }

    fn emit(&mut self, piece: &Piece<'_>, group: &Group, out: &mut Out<'_>) -> bool {
        if piece.bytes.is_empty() && piece.within.parts == 0 {
            out.sink.aside(self.group, Aside::Empty);
            return true;
        }
        if group.parser.wants_head() && piece.bytes.starts_with(b"#") {
            learn(&mut self.legend, piece.bytes, group);
            out.sink.aside(self.group, Aside::Directive);
            return true;
        }
        let parser = self.legend.1.as_ref().unwrap_or(&group.parser);
        let written = piece.outer.and_then(|outer| outer.time).unwrap_or(out.now);
        let (mut event, parsed) = parser.event(piece.bytes, written);
        event.seen = out.now;
        let mut log = |name: &str, value: Value| set(&mut event.fields, name, value);
        log("log.file.path", Value::String(self.shown.clone()));
        log("log.offset", piece.start.into());
        if piece.within.parts > 0 {
            let Within { start, parts } = piece.within;
            log("log.part", json!({"number": parts, "last": piece.last, "offset": start}));
        }
        let cut = lost_in_text(piece.bytes);
        if cut > 0 {
            log("log.truncated_bytes", cut.into());
        }
        if let Some(outer) = piece.outer {
            log("stream", if outer.error { "stderr" } else { "stdout" }.into());
        }
        for (name, value) in &self.identity {
            event.fields.entry(name.clone()).or_insert_with(|| value.clone());
        }
        let position = (Arc::clone(&self.key), self.position(out.now));
        out.sink.record(super::Read {
            group: self.group,
            event,
            position,
            also: std::mem::take(out.also),
            parsed,
            bytes: piece.bytes.len(),
        })
    }
}

/// A further line of a head.
fn learn(legend: &mut (Vec<u8>, Option<Parser>), line: &[u8], group: &Group) {
    let (text, parser) = legend;
    // A program that was started anew begins a head anew, perhaps with other columns.
    if group.parser.begins_head(line) {
        text.clear();
    }
    if text.len().saturating_add(line.len()) < MAX_LEGEND {
        text.extend(line);
        text.push(b'\n');
        *parser = Some(group.parser.of_file(text));
    }
}

/// What holds at `at` in a file that is read on from there: its head, and heads that began anew not far before.
fn legend(file: &File, at: u64, group: &Group) -> io::Result<(Vec<u8>, Option<Parser>)> {
    let part = |from: u64, length: usize| -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let read = file.read_at(&mut bytes, from)?;
        bytes.truncate(read);
        Ok(bytes)
    };
    let mut legend = Default::default();
    let head = part(0, MAX_LEGEND)?;
    let lines = head.split(|byte| *byte == b'\n').take_while(|line| line.starts_with(b"#"));
    lines.for_each(|line| learn(&mut legend, trimmed(line), group));
    let from = at.saturating_sub(MAX_BACK);
    let near = part(from, usize::try_from(at.saturating_sub(from)).unwrap_or(0))?;
    // The first line may be the end of one.
    let lines = near.split(|byte| *byte == b'\n').skip(1).filter(|line| line.starts_with(b"#"));
    lines.for_each(|line| learn(&mut legend, trimmed(line), group));
    Ok(legend)
}

/// What becomes one event.
struct Piece<'a> {
    bytes: &'a [u8],
    start: u64,
    within: Within,
    last: bool,
    outer: Option<&'a Outer>,
}

enum Fill {
    Read(usize),
    Replaced,
}

/// Without the carriage return of a line end.
fn trimmed(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

/// Bytes that find no room in a field once bytes that are no UTF-8 were replaced.
fn lost_in_text(bytes: &[u8]) -> usize {
    if bytes.len() <= MAX_FIELD / 3 || bytes.len() > MAX_FIELD {
        return 0;
    }
    String::from_utf8_lossy(bytes).len().saturating_sub(MAX_FIELD)
}
