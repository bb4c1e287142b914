//! Follows files: globs, rotation by rename, by copying and truncating, and by compression, long lines,
//! records of several lines, encodings.
//!
//! A file is what its device and inode say, not its name: a renamed file is read to its end, its
//! successor from its start. What has moved to another inode (a copy, a compressed file) is found again
//! by its content: its first bytes and those before the place read so far. All reading happens in [`Tailer::poll`]; [`run`] calls it when
//! something has changed.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use event::{Event, Timestamp};
use service::Clock;

use super::{Moved, Position, Positions};
use crate::config::FileConfig;

mod bell;
mod container;
mod encoding;
mod followed;
pub(super) mod glob;
mod group;
mod join;
mod lines;
mod meet;
mod packed;
mod print;
mod rest;
mod rotation;
#[cfg(test)]
mod rotation_tests;
mod run;
#[cfg(test)]
mod storm_tests;
#[cfg(test)]
mod tests;

use bell::{Bell, Rung};
use followed::{Followed, Out, Turn};
use group::Group;

pub use group::TailError;
pub use print::Print;
pub use run::run;
pub(in crate::source) use run::{Asides, tell};

/// Most files followed at once.
const MAX_FILES: usize = 4096;
/// Time between two looks for new files when nothing rings.
const LOOK: Duration = Duration::from_secs(10);
/// Least time between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// Time between two looks at every file when all folders are watched: what does not ring.
const SWEEP: Duration = Duration::from_secs(2);
/// Time between two looks at every file when a folder cannot be watched.
const SWEEP_BLIND: Duration = Duration::from_millis(250);
/// A renamed file that is looked for under no name is closed when nothing was written for so long.
const RENAMED: Duration = Duration::from_secs(300);
/// A deleted file is closed when nothing was written for so long.
const DELETED: Duration = Duration::from_secs(30);

/// What happened besides lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A file became shorter than what was read of it, or another content: it is read from its start.
    /// `lost` bytes were seen in it and neither read before nor found in a copy.
    Truncated {
        /// Which.
        path: PathBuf,
        /// Bytes.
        lost: u64,
    },
    /// The rest of a file was found in a copy or in a compressed file.
    Continued {
        /// The file.
        path: PathBuf,
        /// Where its rest is.
        copy: PathBuf,
    },
    /// A file cannot be read.
    Unreadable(PathBuf, String),
    /// More than 4096 files match.
    TooMany(PathBuf),
}

/// One record read.
#[derive(Debug)]
pub struct Read {
    /// Index of the configuration it came by.
    pub group: usize,
    /// The event.
    pub event: Event,
    /// How far its file is read with it.
    pub position: (Arc<str>, Position),
    /// Positions that move with it although nothing was read; `None` is forgotten.
    pub also: Vec<Moved>,
    /// Whether a parser understood it.
    pub parsed: bool,
    /// Its bytes.
    pub bytes: usize,
}

/// How far the files of one configuration are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Files followed.
    pub files: usize,
    /// Bytes known to be in them and not given out yet.
    pub behind: u64,
    /// The file read last, and how far.
    pub place: String,
}

/// A line that was read and becomes no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aside {
    /// It says how the lines after it are to be read: `#Fields` of W3C, `#separator` of Zeek.
    Directive,
    /// Nothing stands in it.
    Empty,
}

/// Receives what a poll finds.
pub trait Sink {
    /// One record. False stops the poll.
    fn record(&mut self, read: Read) -> bool;
    /// One line of a group of files that becomes no record.
    fn aside(&mut self, group: usize, aside: Aside);
    /// Something besides.
    fn note(&mut self, note: Note);
}

/// Device and inode.
type Id = (u64, u64);

/// A file that is there.
#[derive(Clone, Debug)]
struct Found {
    id: Id,
    path: PathBuf,
    group: usize,
    state: State,
}

/// Size and time of the last change, seconds and nanoseconds: an inode that nobody holds open may be
/// another file at the next look.
type State = (u64, i64, i64);

fn state_of(metadata: &Metadata) -> State {
    (metadata.len(), metadata.mtime(), metadata.mtime_nsec())
}

impl Found {
    fn key(&self) -> Arc<str> {
        format!("file:{}:{}", self.id.0, self.id.1).into()
    }
}

impl Found {
    /// Opens it, as long as its path leads to it: names change at any time.
    fn open(&self) -> io::Result<File> {
        let file = File::open(&self.path)?;
        if id_of(&file.metadata()?) == self.id {
            return Ok(file);
        }
        Err(io::ErrorKind::NotFound.into())
    }
}

fn id_of(metadata: &Metadata) -> Id {
    (metadata.dev(), metadata.ino())
}

/// A file that is a copy of one that is still followed.
#[derive(Debug)]
struct Waiting {
    of: Id,
    found: Found,
    /// Its end, once that was seen to be a place of the original.
    end: Option<Position>,
}

/// Follows all configured files.
#[derive(Debug)]
pub struct Tailer {
    groups: Vec<Group>,
    clock: Clock,
    followed: BTreeMap<Id, Followed>,
    /// Copies of files that are still followed, by the id of the copy: read when the file is truncated.
    copies: BTreeMap<Id, Waiting>,
    /// Files that were read to their end and do not grow (compressed ones), or hold nothing new.
    settled: BTreeMap<Id, State>,
    /// Positions of files that are not followed now.
    positions: Positions,
    /// Positions that move with the next event.
    also: Vec<Moved>,
    /// Problems told already, by path.
    told: BTreeMap<PathBuf, String>,
    bell: Bell,
    /// Ids by the paths that ring for them.
    by_path: BTreeMap<PathBuf, Id>,
    looked: Option<Duration>,
    swept: Duration,
    /// Names have changed since the last look.
    names: bool,
    first_look: bool,
}

impl Tailer {
    /// A tailer for `configs` that goes on from `positions`.
    ///
    /// # Errors
    /// [`TailError`].
    pub fn new(
        configs: &[FileConfig],
        positions: Positions,
        clock: Clock,
    ) -> Result<Self, TailError> {
        Ok(Self {
            groups: configs.iter().map(Group::new).collect::<Result<_, _>>()?,
            clock,
            followed: BTreeMap::new(),
            copies: BTreeMap::new(),
            settled: BTreeMap::new(),
            positions,
            also: Vec::new(),
            told: BTreeMap::new(),
            bell: Bell::new(),
            by_path: BTreeMap::new(),
            looked: None,
            swept: Duration::ZERO,
            names: false,
            first_look: true,
        })
    }

    /// Files followed now.
    #[must_use]
    pub fn files(&self) -> usize {
        self.followed.len()
    }

    /// How far reading is, by configuration.
    #[must_use]
    pub fn progress(&self) -> Vec<Progress> {
        let mut out = vec![Progress::default(); self.groups.len()];
        let mut newest = vec![Duration::ZERO; self.groups.len()];
        for followed in self.followed.values() {
            let Some(progress) = out.get_mut(followed.group) else { continue };
            let Some(newest) = newest.get_mut(followed.group) else { continue };
            progress.files = progress.files.saturating_add(1);
            progress.behind = progress.behind.saturating_add(followed.unread());
            if followed.read >= *newest {
                *newest = followed.read;
                progress.place = followed.place();
            }
        }
        out
    }

    /// Waits until a file may have changed, at most so long.
    pub fn wait(&mut self, timeout: Duration) {
        let Rung { written, names, all } = self.bell.wait(timeout);
        self.names |= names || all;
        for id in written.iter().filter_map(|path| self.by_path.get(path)) {
            if let Some(followed) = self.followed.get_mut(id) {
                followed.dirty = true;
            }
            self.names |= self.copies.contains_key(id);
        }
        if all {
            self.followed.values_mut().for_each(|followed| followed.dirty = true);
        }
    }

    /// Reads what is new, one turn for each file that may have changed. True when there may be more at once.
    pub fn poll(&mut self, sink: &mut dyn Sink) -> bool {
        let clock = self.clock.monotonic();
        let since = self.looked.map(|looked| clock.saturating_sub(looked));
        let look = since.is_none_or(|since| since >= LOOK || (self.names && since >= LOOK_AGAIN));
        let sweep = if self.bell.is_complete() { SWEEP } else { SWEEP_BLIND };
        if look || clock.saturating_sub(self.swept) >= sweep {
            self.swept = clock;
            self.followed.values_mut().for_each(|followed| followed.dirty = true);
        }
        let Some(mut more) = self.turns(sink) else { return false };
        if look {
            // After the turns: what followed files have become tells what new ones are.
            self.names = false;
            self.look(sink);
            self.looked = Some(clock);
            more |= self.turns(sink).unwrap_or(false);
        }
        more
    }

    /// One turn for each file that may have changed; `None` when the sink takes no more.
    fn turns(&mut self, sink: &mut dyn Sink) -> Option<bool> {
        let turns: Vec<Id> = self
            .followed
            .iter()
            .filter_map(|(id, followed)| (followed.dirty || followed.waits()).then_some(*id))
            .collect();
        let mut more = false;
        for id in turns {
            match self.turn(id, sink) {
                Turn::Stopped => return None,
                Turn::More => more = true,
                _ => {}
            }
        }
        Some(more)
    }

    /// Gives out records that wait for a continuation; for the end of the program.
    pub fn flush(&mut self, sink: &mut dyn Sink) {
        let (now, clock) = self.now();
        for followed in self.followed.values_mut() {
            if let Some(group) = self.groups.get(followed.group) {
                let mut out = Out { sink, also: &mut self.also, now, clock };
                if !followed.flush(group, &mut out) {
                    return;
                }
            }
        }
    }

    fn now(&self) -> (Timestamp, Duration) {
        (Timestamp::from_micros(self.clock.now_micros()), self.clock.monotonic())
    }

    fn turn(&mut self, id: Id, sink: &mut dyn Sink) -> Turn {
        let (now, clock) = self.now();
        let Some(followed) = self.followed.get_mut(&id) else { return Turn::End };
        let Some(group) = self.groups.get(followed.group) else { return Turn::End };
        let mut out = Out { sink, also: &mut self.also, now, clock };
        match followed.turn(group, &mut out) {
            Ok(Turn::More) => {
                followed.dirty = true;
                Turn::More
            }
            Ok(Turn::End) => self.quiet(id, sink),
            Ok(Turn::Done) => {
                let path = followed.seen_at.clone();
                self.settle(id, &path);
                self.close(id, sink)
            }
            Ok(Turn::Replaced) => self.replaced(id, sink),
            Ok(Turn::Stopped) => Turn::Stopped,
            Err(error) => {
                self.failed(id, &error, sink);
                Turn::End
            }
        }
    }

    /// Nothing more for now: what is over is closed, a line that will have no end is given out.
    fn quiet(&mut self, id: Id, sink: &mut dyn Sink) -> Turn {
        let (now, clock) = self.now();
        let Some(followed) = self.followed.get_mut(&id) else { return Turn::End };
        let quiet = clock.saturating_sub(followed.read);
        let deleted = quiet >= DELETED && followed.gone && followed.is_deleted();
        if deleted || (quiet >= RENAMED && followed.gone) {
            return self.close(id, sink);
        }
        let Some(group) = self.groups.get(followed.group) else { return Turn::End };
        let ended = followed.is_halfway() && rotation::is_rotated(&followed.seen_at);
        let mut out = Out { sink, also: &mut self.also, now, clock };
        if ended && quiet >= RENAMED && !followed.finish(group, &mut out) {
            return Turn::Stopped;
        }
        Turn::End
    }

    /// A file is read to its end and over.
    fn close(&mut self, id: Id, sink: &mut dyn Sink) -> Turn {
        let (now, clock) = self.now();
        let Some(followed) = self.followed.get_mut(&id) else { return Turn::End };
        if let Some(group) = self.groups.get(followed.group) {
            let mut out = Out { sink, also: &mut self.also, now, clock };
            if !followed.finish(group, &mut out) {
                return Turn::Stopped;
            }
        }
        self.leave(id);
        self.release(id);
        Turn::End
    }

    /// Follows a file no longer, and keeps its place.
    fn leave(&mut self, id: Id) {
        let (now, _) = self.now();
        if let Some(followed) = self.followed.remove(&id) {
            let position = followed.position(now);
            if place_of(&position) > 0 {
                self.also.push((Arc::clone(&followed.key), Some(position.clone())));
                self.positions.insert(followed.key.to_string(), position);
            }
        }
    }

    /// What waited for a file as its copy is looked at again.
    fn release(&mut self, original: Id) {
        let waited = self.copies.len();
        self.copies.retain(|_, copy| copy.of != original);
        self.names |= self.copies.len() < waited;
    }

    fn failed(&mut self, id: Id, error: &io::Error, sink: &mut dyn Sink) {
        let Some(followed) = self.followed.get(&id) else { return };
        let path = followed.path.clone();
        // A compressed file may still be written; an old one is damaged and left at its place.
        let recent = self.is_recent(&path);
        self.leave(id);
        if !recent {
            self.settle(id, &path);
            self.tell(path, error.to_string(), sink);
        }
    }

    /// Leaves a file alone for as long as it stays as it is.
    fn settle(&mut self, id: Id, path: &Path) {
        let metadata = std::fs::metadata(path).ok().filter(|metadata| id_of(metadata) == id);
        self.settled.insert(id, metadata.as_ref().map(state_of).unwrap_or_default());
    }

    /// Whether a file was written a short time ago.
    fn is_recent(&self, path: &Path) -> bool {
        std::fs::metadata(path).is_ok_and(|metadata| {
            let age = self.now().0.micros() / 1_000_000 - metadata.mtime();
            (-60..60).contains(&age)
        })
    }

    /// Tells a problem with a path once.
    fn tell(&mut self, path: PathBuf, reason: String, sink: &mut dyn Sink) {
        if self.told.len() >= MAX_FILES {
            self.told.clear();
        }
        if self.told.insert(path.clone(), reason.clone()).as_ref() != Some(&reason) {
            sink.note(Note::Unreadable(path, reason));
        }
    }
}

/// The offset in a position of a file.
const fn place_of(position: &Position) -> u64 {
    match position {
        Position::File { offset, .. } => *offset,
        _ => 0,
    }
}

/// A line of a container runtime, for fuzzing.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn unwrapped(line: &[u8]) {
    if let Some(inner) = container::unwrap(line) {
        debug_assert!(inner.text.len() <= line.len(), "no byte comes from nowhere");
    }
    container::identity(Path::new(&*String::from_utf8_lossy(line)));
}
