//! Follows files: globs, rotation by rename and by truncation, long lines, multi-line records.
//!
//! A file is what its device and inode say, not its name: a renamed file is read to its end, its
//! successor from its start. All reading happens in [`Tailer::poll`]; a thread of its own calls it.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::Arc;

use event::{Event, Timestamp, set};
use regex::Regex;
use serde_json::Value;

use super::{Position, Positions};
use crate::config::FileConfig;
use crate::parse::{Parser, Zone};

mod glob;
mod lines;
#[cfg(test)]
mod tests;

use lines::{Assembler, Line};

/// Most bytes read from one file in one turn, so that a large file does not starve the others.
const TURN: u64 = 1024 * 1024;
/// Bytes at the head of a file that tell it from another with the same inode.
const HEAD: u64 = 256;
/// Most files followed at once.
const MAX_FILES: usize = 4096;
/// Polls between two looks for new files.
const LOOK_EVERY: u32 = 10;

/// Why a file input cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    /// `starts_with` is no regular expression.
    #[error("starts_with is no regular expression")]
    Pattern(#[source] Box<regex::Error>),
    /// No such time zone.
    #[error("unknown time zone {name:?}")]
    Zone {
        /// As configured.
        name: String,
    },
}

/// What happened besides lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A file became shorter than what was read of it, or its head changed: it is read from its start.
    Truncated(PathBuf),
    /// A file cannot be read.
    Unreadable(PathBuf, String),
    /// More than 4096 files match.
    TooMany(PathBuf),
}

/// Receives what a poll finds.
pub trait Sink {
    /// One record. `parsed` tells whether a parser understood it. False stops the poll.
    fn record(&mut self, event: Event, position: (Arc<str>, Position), parsed: bool) -> bool;
    /// Something besides.
    fn note(&mut self, note: Note);
}

/// One configured group of files.
#[derive(Debug)]
struct Group {
    patterns: Vec<String>,
    parser: Parser,
    starts_with: Option<Regex>,
    from_start: bool,
}

/// One followed file.
#[derive(Debug)]
struct Followed {
    key: Arc<str>,
    path: PathBuf,
    file: File,
    group: usize,
    assembler: Assembler,
    head: u32,
    head_length: u64,
    /// The path leads elsewhere now; closed at its end.
    renamed: bool,
    /// Polls at its end since it was renamed.
    quiet: u32,
}

/// Follows all configured files.
#[derive(Debug)]
pub struct Tailer {
    groups: Vec<Group>,
    followed: BTreeMap<(u64, u64), Followed>,
    positions: Positions,
    polls: u32,
    first_look: bool,
}

fn key(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl Tailer {
    /// A tailer for `configs` that goes on from `positions`.
    ///
    /// # Errors
    /// [`TailError`].
    pub fn new(configs: &[FileConfig], positions: Positions) -> Result<Self, TailError> {
        let groups = configs.iter().map(|config| {
            let zone = match &config.time_zone {
                None => Zone::utc(),
                Some(name) => {
                    Zone::named(name).ok_or_else(|| TailError::Zone { name: name.clone() })?
                }
            };
            let pattern = config.starts_with.as_deref().map(Regex::new).transpose();
            Ok(Group {
                patterns: config.paths.clone(),
                parser: Parser::new(config.format, zone),
                starts_with: pattern.map_err(|error| TailError::Pattern(Box::new(error)))?,
                from_start: config.from_start,
            })
        });
        Ok(Self {
            groups: groups.collect::<Result<_, _>>()?,
            followed: BTreeMap::new(),
            positions,
            polls: 0,
            first_look: true,
        })
    }

    /// Files followed now.
    #[must_use]
    pub fn files(&self) -> usize {
        self.followed.len()
    }

    /// Reads what is new. True when there may be more at once.
    pub fn poll(&mut self, now: Timestamp, sink: &mut dyn Sink) -> bool {
        if self.polls.is_multiple_of(LOOK_EVERY) {
            self.look(sink);
        }
        self.polls = self.polls.wrapping_add(1);
        let mut more = false;
        let mut done = Vec::new();
        for (id, followed) in &mut self.followed {
            let Some(group) = self.groups.get(followed.group) else { continue };
            match followed.turn(group, now, sink) {
                Ok(Turn::Stopped) => return false,
                Ok(Turn::More) => more = true,
                Ok(Turn::End) if followed.renamed && followed.quiet > LOOK_EVERY => done.push(*id),
                Ok(Turn::End) => {}
                Err(error) => {
                    sink.note(Note::Unreadable(followed.path.clone(), error.to_string()));
                    done.push(*id);
                }
            }
        }
        for id in done {
            self.followed.remove(&id);
        }
        more
    }

    /// Gives out records that wait for a continuation; for the end of the program.
    pub fn flush(&mut self, now: Timestamp, sink: &mut dyn Sink) {
        for followed in self.followed.values_mut() {
            if let Some(group) = self.groups.get(followed.group)
                && let Some(line) = followed.assembler.flush()
            {
                followed.emit(group, &line, now, sink);
            }
        }
    }

    /// Looks for new files and for files whose path leads elsewhere now.
    fn look(&mut self, sink: &mut dyn Sink) {
        let first = std::mem::take(&mut self.first_look);
        let mut present = BTreeMap::new();
        for (index, group) in self.groups.iter().enumerate() {
            for path in group.patterns.iter().flat_map(|pattern| glob::expand(pattern)) {
                match std::fs::metadata(&path) {
                    Ok(metadata) if metadata.is_file() => {
                        present.entry(key(&metadata)).or_insert((path, index));
                    }
                    Ok(_) => {}
                    Err(error) => sink.note(Note::Unreadable(path, error.to_string())),
                }
            }
        }
        for (id, followed) in &mut self.followed {
            followed.renamed = present.get(id).is_none_or(|(path, _)| *path != followed.path);
        }
        for (id, (path, group)) in present {
            if self.followed.contains_key(&id) {
                continue;
            }
            if self.followed.len() >= MAX_FILES {
                sink.note(Note::TooMany(path));
                continue;
            }
            match self.open(id, &path, group, first) {
                Ok(followed) => {
                    self.followed.insert(id, followed);
                }
                Err(error) => sink.note(Note::Unreadable(path, error.to_string())),
            }
        }
    }

    fn open(
        &self,
        (device, inode): (u64, u64),
        path: &std::path::Path,
        group: usize,
        first: bool,
    ) -> io::Result<Followed> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        let key: Arc<str> = format!("file:{device}:{inode}").into();
        // Files that appear while we run are new: they are read from their start in any case.
        let from_start = !first || self.groups.get(group).is_none_or(|group| group.from_start);
        let mut offset = if from_start { 0 } else { size };
        if let Some(Position::File { offset: known, head, head_length, .. }) =
            self.positions.get(&*key)
            && *known <= size
            && head_of(&file, *head_length)? == *head
        {
            offset = *known;
        }
        Ok(Followed {
            key,
            path: path.to_owned(),
            file,
            group,
            assembler: Assembler::at(offset),
            head: 0,
            head_length: 0,
            renamed: false,
            quiet: 0,
        })
    }
}

/// CRC-32 of the first `length` bytes.
fn head_of(file: &File, length: u64) -> io::Result<u32> {
    let mut bytes = vec![0; usize::try_from(length.min(HEAD)).unwrap_or(0)];
    match file.read_exact_at(&mut bytes, 0) {
        Ok(()) => Ok(crc32fast::hash(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
        Err(error) => Err(error),
    }
}

enum Turn {
    More,
    End,
    Stopped,
}

impl Followed {
    /// Reads at most [`TURN`] bytes and gives out the complete records in them.
    fn turn(&mut self, group: &Group, now: Timestamp, sink: &mut dyn Sink) -> io::Result<Turn> {
        let size = self.file.metadata()?.len();
        let at = self.assembler.read_to();
        let replaced = size > at && head_of(&self.file, self.head_length)? != self.head;
        if size < at || (self.head_length > 0 && replaced) {
            sink.note(Note::Truncated(self.path.clone()));
            self.assembler = Assembler::at(0);
            self.head_length = 0;
        }
        let at = self.assembler.read_to();
        if size == at {
            self.quiet = self.quiet.saturating_add(1);
            return Ok(self.idle(group, now, sink));
        }
        self.quiet = 0;
        let want = size.saturating_sub(at).min(TURN);
        let mut bytes = vec![0; usize::try_from(want).unwrap_or(0)];
        let read = self.file.read_at(&mut bytes, at)?;
        bytes.truncate(read);
        self.assembler.feed(&bytes);
        if self.head_length < HEAD {
            let length = self.assembler.read_to().min(HEAD);
            self.head = head_of(&self.file, length)?;
            self.head_length = length;
        }
        while let Some(line) = self.assembler.next(group.starts_with.as_ref()) {
            if !self.emit(group, &line, now, sink) {
                return Ok(Turn::Stopped);
            }
        }
        Ok(if self.assembler.read_to() < size { Turn::More } else { Turn::End })
    }

    /// Nothing new: a multi-line record that has waited long enough is complete.
    fn idle(&mut self, group: &Group, now: Timestamp, sink: &mut dyn Sink) -> Turn {
        if self.quiet == 5
            && let Some(line) = self.assembler.flush()
            && !self.emit(group, &line, now, sink)
        {
            return Turn::Stopped;
        }
        Turn::End
    }

    fn emit(&self, group: &Group, line: &Line, now: Timestamp, sink: &mut dyn Sink) -> bool {
        if line.bytes.is_empty() && line.cut == 0 {
            return true;
        }
        let (mut event, parsed) = group.parser.event(&line.bytes, now);
        set(&mut event.fields, "log.file.path", self.path.display().to_string().into());
        set(&mut event.fields, "log.offset", line.start.into());
        if line.cut > 0 {
            set(&mut event.fields, "log.truncated_bytes", Value::from(line.cut));
        }
        let position = Position::File {
            path: self.path.display().to_string(),
            offset: line.end,
            head: self.head,
            head_length: self.head_length,
        };
        sink.record(event, (Arc::clone(&self.key), position), parsed)
    }
}
