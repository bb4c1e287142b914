//! The agent's disk spool: encrypted, bounded, first in first out.
//!
//! Events get their sequence here and stay until the collector has acknowledged them. A spool is a
//! folder of segment files, written once and deleted whole. A record may carry a note: what the
//! writer must know again after a kill, such as how far it had read; notes are never sent. After a kill everything that was
//! appended is still there; a record that cannot be read any more becomes a [`Skipped`] range, so
//! that the collector can account for it.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

use event::Event;

use crate::payload;

#[cfg(test)]
mod crash_tests;
mod segment;
#[cfg(test)]
mod tests;

use segment::{Content, Record, Segment, Writer};

/// For fuzzing: how many records are found in the bytes of a file.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn scan(bytes: &[u8]) -> std::io::Result<usize> {
    Segment::scan(bytes)
}

/// The key under which the spool is encrypted: 32 secret bytes that cannot be printed.
#[derive(Clone)]
pub struct SpoolKey(zeroize::Zeroizing<[u8; 32]>);

impl SpoolKey {
    /// Takes 32 secret bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(zeroize::Zeroizing::new(bytes))
    }
}

impl std::fmt::Debug for SpoolKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("SpoolKey(..)")
    }
}

/// What happens when the spool has reached its size.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Deserialize,
    serde::Serialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// New events are refused; files being tailed wait, other sources shed and count.
    #[default]
    RefuseNew,
    /// The oldest segment is given up and reported to the collector as skipped.
    DropOldest,
}

/// Bounds of a spool.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most bytes on disk.
    pub bytes: u64,
    /// Bytes after which a new segment is begun.
    pub segment_bytes: u64,
    /// What to do at the limit.
    pub when_full: WhenFull,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 1024 * 1024 * 1024,
            segment_bytes: 8 * 1024 * 1024,
            when_full: WhenFull::default(),
        }
    }
}

/// Most records kept, whatever their size: bounds the memory of the index (40 bytes each).
const MAX_RECORDS: usize = 262_144;

/// Why the spool could not take or give events.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The size limit is reached and the policy is to refuse.
    #[error("spool is full ({bytes} bytes)")]
    Full {
        /// Bytes on disk.
        bytes: u64,
    },
    /// The disk refuses.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another process has the spool open.
    #[error("spool {} is in use by another process", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// Encryption failed.
    #[error("spool encryption failed")]
    Crypto,
}

/// Events that will never be sent, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Their boot.
    pub boot: u64,
    /// First of them.
    pub first_seq: u64,
    /// Last of them.
    pub last_seq: u64,
    /// `spool_full` or `spool_corrupt`.
    pub reason: &'static str,
}

/// What comes next out of the spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Events as packed by [`payload::pack`].
    Batch {
        /// Their boot.
        boot: u64,
        /// First of them.
        first_seq: u64,
        /// Last of them.
        last_seq: u64,
        /// The packed events.
        payload: Vec<u8>,
    },
    /// Events that cannot be had any more.
    Skipped(Skipped),
}

/// A reading position; starts at the oldest unacknowledged record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// Skipped ranges already passed, counted since the spool was opened.
    skipped: u64,
    segment: u64,
    record: usize,
}

/// The spool. Not shared: its owner serialises access.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    key: SpoolKey,
    limits: Limits,
    boot: u64,
    next_seq: u64,
    /// Oldest first; the last one may still be written to.
    segments: VecDeque<Segment>,
    writer: Option<Writer>,
    next_segment: u64,
    /// Given up and not yet acknowledged as such by the collector.
    skipped: VecDeque<Skipped>,
    /// Ranges that have left `skipped` since the spool was opened.
    skipped_done: u64,
    /// Sequence up to which the writer keeps its notes elsewhere.
    checkpoint: u64,
    damage: Vec<String>,
    _lock: fs::File,
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> SpoolError {
    let path = path.to_owned();
    move |source| SpoolError::Io { action, path, source }
}

impl Spool {
    /// Opens or makes the spool in `folder`. `boot` is a fresh random number; sequences start at 1.
    ///
    /// # Errors
    /// [`SpoolError::Io`], [`SpoolError::InUse`]. Damage in the files is no error: see [`Spool::damage`].
    pub fn open(
        folder: &Path,
        key: SpoolKey,
        limits: Limits,
        boot: u64,
    ) -> Result<Self, SpoolError> {
        fs::create_dir_all(folder).map_err(io("make", folder))?;
        let lock_path = folder.join("lock");
        let lock = fs::File::create(&lock_path).map_err(io("make", &lock_path))?;
        lock.try_lock().map_err(|_| SpoolError::InUse { path: folder.to_owned() })?;
        let mut spool = Self {
            folder: folder.to_owned(),
            key,
            limits,
            boot,
            next_seq: 1,
            segments: VecDeque::new(),
            writer: None,
            next_segment: 1,
            skipped: VecDeque::new(),
            skipped_done: 0,
            checkpoint: 0,
            damage: Vec::new(),
            _lock: lock,
        };
        spool.recover()?;
        Ok(spool)
    }

    fn recover(&mut self) -> Result<(), SpoolError> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(io("list", &self.folder))? {
            let entry = entry.map_err(io("list", &self.folder))?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".spool")?.parse().ok());
            numbers.extend::<Option<u64>>(number);
        }
        numbers.sort_unstable();
        for number in numbers {
            let path = segment::path(&self.folder, number);
            let (segment, note) = Segment::recover(&path, number).map_err(io("read", &path))?;
            self.damage.extend(note.map(|note| format!("{}: {note}", path.display())));
            self.next_segment = number.saturating_add(1);
            if segment.records.is_empty() {
                fs::remove_file(&path).map_err(io("remove", &path))?;
            } else {
                self.segments.push_back(segment);
            }
        }
        self.note_holes();
        Ok(())
    }

    /// Sequences missing between the records of one boot were lost to damage: they are skipped. Damage
    /// ends a file, so a hole stands at the end of one; there it is told in its turn, because an
    /// acknowledgement covers everything before it.
    fn note_holes(&mut self) {
        let firsts: Vec<Option<(u64, u64)>> = self
            .segments
            .iter()
            .skip(1)
            .map(|next| next.records.first().map(|record| (record.boot, record.first_seq)))
            .collect();
        for (segment, first) in self.segments.iter_mut().zip(firsts) {
            let (Some(last), Some((boot, first))) = (segment.records.last(), first) else {
                continue;
            };
            let (from, to) = (last.last_seq.saturating_add(1), first.saturating_sub(1));
            if last.boot == boot && from <= to {
                segment.records.push(Record::hole(boot, from, to));
            }
        }
    }

    /// What was found damaged when the spool was opened, in words; taken once.
    pub fn damage(&mut self) -> Vec<String> {
        std::mem::take(&mut self.damage)
    }

    /// The notes of all records behind (`boot`, `seq`), oldest first; unreadable ones are left out.
    ///
    /// # Errors
    /// [`SpoolError::Io`] when the disk cannot be read.
    pub fn notes_after(&self, boot: u64, seq: u64) -> Result<Vec<Vec<u8>>, SpoolError> {
        let mut out = Vec::new();
        let mut behind = !self.records().any(|record| record.boot == boot);
        for segment in &self.segments {
            for (index, record) in segment.records.iter().enumerate() {
                behind |= record.boot == boot && record.last_seq > seq;
                if !behind {
                    continue;
                }
                let content = segment.read(index, record, &self.key);
                out.extend(content.map_err(io("read", &segment.path))?.map(|content| content.note));
            }
        }
        out.retain(|note| !note.is_empty());
        Ok(out)
    }

    /// Tells the spool that the notes of this boot up to `seq`, and all of earlier boots, are kept
    /// elsewhere. Until then no file that holds them is deleted, acknowledged or not.
    pub fn set_checkpoint(&mut self, seq: u64) {
        self.checkpoint = seq;
        for segment in &mut self.segments {
            segment.noted &= segment
                .records
                .last()
                .is_some_and(|last| last.boot == self.boot && last.last_seq > seq);
        }
    }

    fn records(&self) -> impl Iterator<Item = &Record> {
        self.segments.iter().flat_map(|segment| &segment.records)
    }

    /// The boot of events appended now.
    #[must_use]
    pub const fn boot(&self) -> u64 {
        self.boot
    }

    /// Sequence the next event gets.
    #[must_use]
    pub const fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Bytes on disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segments.iter().fold(0, |sum, segment| sum.saturating_add(segment.bytes))
    }

    /// Events waiting for an acknowledgement.
    #[must_use]
    pub fn pending(&self) -> u64 {
        let records = self.segments.iter().flat_map(Segment::waiting);
        records.fold(0, |sum, record| sum.saturating_add(record.events()))
    }

    /// Numbers the events and writes them, with `note`, as one record. They survive a kill of the process when
    /// this returns, and a loss of power after [`Spool::sync`].
    ///
    /// # Errors
    /// [`SpoolError::Full`] or [`SpoolError::Io`]; then none of them was taken and no sequence used.
    pub fn append(&mut self, events: &mut [Event], note: &[u8]) -> Result<(), SpoolError> {
        let mut seq = self.next_seq;
        for event in events.iter_mut() {
            event.seq = seq;
            seq = seq.saturating_add(1);
        }
        let (Some(first), Some(last)) = (events.first(), events.last()) else { return Ok(()) };
        let (first_seq, last_seq) = (first.seq, last.seq);
        let payload = payload::pack(events).map_err(io("pack events for", &self.folder))?;
        self.make_room(payload.len().saturating_add(note.len()).saturating_add(segment::OVERHEAD))?;
        let content = Content { note: note.to_vec(), payload };
        let record = Record { boot: self.boot, first_seq, last_seq, offset: 0, length: 0 };
        if let Err(error) = self.write(record, &content) {
            // What was written of it is unreadable and ignored; nothing goes behind it.
            self.writer = None;
            return Err(error);
        }
        self.next_seq = seq;
        Ok(())
    }

    fn write(&mut self, record: Record, content: &Content) -> Result<(), SpoolError> {
        let most = self.segment_bytes();
        let roll = self.segments.back().is_none_or(|last| last.bytes >= most);
        if roll || self.writer.is_none() {
            self.sync()?;
            let path = segment::path(&self.folder, self.next_segment);
            let (writer, segment) =
                Writer::create(&path, self.next_segment, &self.key).map_err(io("make", &path))?;
            self.segments.push_back(segment);
            self.writer = Some(writer);
            self.next_segment = self.next_segment.saturating_add(1);
        }
        let (Some(writer), Some(segment)) = (&mut self.writer, self.segments.back_mut()) else {
            return Err(SpoolError::Crypto);
        };
        writer.append(segment, record, content)
    }

    /// Bytes after which a new file is begun: a small spool has several files too, so that giving one
    /// up or having one acknowledged makes room.
    fn segment_bytes(&self) -> u64 {
        self.limits.segment_bytes.min(self.limits.bytes / 4)
    }

    fn make_room(&mut self, more: usize) -> Result<(), SpoolError> {
        let more = u64::try_from(more).unwrap_or(u64::MAX);
        if more > self.limits.bytes {
            // No room that could be made is enough.
            return Err(SpoolError::Full { bytes: self.bytes() });
        }
        // What waited for a checkpoint when it was acknowledged may be free by now.
        self.drop_done()?;
        loop {
            let bytes = self.bytes();
            let records = self.segments.iter().map(|segment| segment.records.len()).sum::<usize>();
            if bytes.saturating_add(more) <= self.limits.bytes && records < MAX_RECORDS {
                return Ok(());
            }
            if self.limits.when_full == WhenFull::RefuseNew || self.segments.is_empty() {
                return Err(SpoolError::Full { bytes });
            }
            if let Some(oldest) = self.segments.pop_front() {
                if self.segments.is_empty() {
                    self.writer = None;
                }
                self.skipped.extend(oldest.waiting().map(|record| Skipped {
                    boot: record.boot,
                    first_seq: record.first_seq,
                    last_seq: record.last_seq,
                    reason: "spool_full",
                }));
                oldest.remove().map_err(io("remove", &oldest.path))?;
            }
        }
    }

    /// Makes everything appended so far survive a loss of power.
    ///
    /// # Errors
    /// [`SpoolError::Io`].
    pub fn sync(&mut self) -> Result<(), SpoolError> {
        match &self.writer {
            Some(writer) => writer.sync().map_err(io("sync", &self.folder)),
            None => Ok(()),
        }
    }

    /// The item at `cursor` and the position behind it; `None` when there is nothing more yet.
    ///
    /// # Errors
    /// [`SpoolError::Io`] when the disk cannot be read. Damage is no error but a skipped range.
    pub fn read(&self, cursor: Cursor) -> Result<Option<(Item, Cursor)>, SpoolError> {
        let passed = cursor.skipped.saturating_sub(self.skipped_done);
        let waiting = usize::try_from(passed).ok().and_then(|index| self.skipped.get(index));
        if let Some(skipped) = waiting {
            let number = cursor.skipped.max(self.skipped_done).saturating_add(1);
            return Ok(Some((
                Item::Skipped(skipped.clone()),
                Cursor { skipped: number, ..cursor },
            )));
        }
        let Some((segment, at)) = self.locate(cursor) else { return Ok(None) };
        let Some(record) = segment.records.get(at) else { return Ok(None) };
        let next = Cursor { segment: segment.number, record: at.saturating_add(1), ..cursor };
        let (boot, first_seq, last_seq) = (record.boot, record.first_seq, record.last_seq);
        let item = match segment.read(at, record, &self.key).map_err(io("read", &segment.path))? {
            Some(content) => Item::Batch { boot, first_seq, last_seq, payload: content.payload },
            None => Item::Skipped(Skipped { boot, first_seq, last_seq, reason: "spool_corrupt" }),
        };
        Ok(Some((item, next)))
    }

    /// The segment and record a cursor stands for, after skipping what is acknowledged.
    fn locate(&self, cursor: Cursor) -> Option<(&Segment, usize)> {
        for segment in &self.segments {
            if segment.number < cursor.segment {
                continue;
            }
            let wanted = if segment.number == cursor.segment { cursor.record } else { 0 };
            let at = wanted.max(segment.acknowledged);
            if at < segment.records.len() {
                return Some((segment, at));
            }
        }
        None
    }

    /// Deletes every file in which nothing is waiting, for the end of the program: else what is
    /// acknowledged in the newest one would be sent, and dropped as known, at the next start.
    ///
    /// # Errors
    /// [`SpoolError::Io`] when a file cannot be deleted.
    pub fn finish(&mut self) -> Result<(), SpoolError> {
        self.writer = None;
        while self.segments.front().is_some_and(|first| first.is_done() && !first.noted) {
            if let Some(done) = self.segments.pop_front() {
                done.remove().map_err(io("remove", &done.path))?;
            }
        }
        Ok(())
    }

    /// Forgets everything of `boot` up to `last_seq`; whole segments are deleted.
    ///
    /// # Errors
    /// [`SpoolError::Io`] when a segment cannot be deleted; it is forgotten all the same.
    pub fn acknowledge(&mut self, boot: u64, last_seq: u64) -> Result<(), SpoolError> {
        while self.skipped.front().is_some_and(|s| s.boot == boot && s.last_seq <= last_seq) {
            self.skipped.pop_front();
            self.skipped_done = self.skipped_done.saturating_add(1);
        }
        for segment in &mut self.segments {
            segment.acknowledge(boot, last_seq);
        }
        self.drop_done()
    }

    /// Deletes the oldest files while nothing of them is needed any more.
    fn drop_done(&mut self) -> Result<(), SpoolError> {
        let mut outcome = Ok(());
        while let Some(first) = self.segments.front() {
            if !first.is_done() || first.noted {
                break;
            }
            // The one being written is closed only when it has grown.
            let writing = self.writer.is_some() && self.segments.len() == 1;
            if writing && first.bytes < self.segment_bytes() / 8 {
                break;
            }
            if writing {
                self.writer = None;
            }
            if let Some(done) = self.segments.pop_front() {
                let removed = done.remove().map_err(io("remove", &done.path));
                outcome = outcome.and(removed);
            }
        }
        outcome
    }
}
