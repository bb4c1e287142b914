//! The owner of the log's end: one thread that takes appends from a bounded queue, leaves out
//! what is stored already, writes the rest in groups and answers after the group's `fdatasync`.
//!
//! Written entries are handed on to the index through a bounded queue; when that is full they are
//! not (the index reads them from the log later), so that appends never wait for the index.

mod keep;

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use keep::load;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::append::{
    APPEND_ROOM, Answer, Appender, Command, Counters, HANDED_ROOM, Handed, Request, count, room_of,
};
use super::dedup::Dedup;
use super::record::{ALIGN, END_FRAME, Entry, end_body, frame_size, pack, seal};
use super::recovery::{Tail, recover};
use super::segment::{SEGMENT_HEADER, Segment};
use super::{LogConfig, Position};
use crate::store::ready::Ready;
use crate::store::{AppendOutcome, Key, Problem, SourceKey, StoreError};
use crate::vault::checkpoint::{LOG, LOG_CLOSED};
use crate::vault::{Head, Vault, names};

/// Handle of the log; cheap operations only, the work is done by its thread. Dropping it (after
/// every [`Appender`]) stops the thread without a checkpoint, as a crash would.
#[derive(Debug)]
pub struct Log {
    appender: Appender,
    thread: Option<JoinHandle<()>>,
    durable: Arc<Mutex<Position>>,
    head: Head,
}

impl Log {
    /// Recovers the log and starts its thread. Entries go to `index` as they become durable.
    /// Gives the problems found too.
    ///
    /// # Errors
    /// [`StoreError::Vault`], [`StoreError::Io`], [`StoreError::Crypto`].
    pub fn open(
        config: LogConfig,
        vault: &Arc<Vault>,
        index: crossbeam_channel::Sender<Handed>,
    ) -> Result<(Self, Vec<Problem>), StoreError> {
        std::fs::create_dir_all(&config.directory)
            .map_err(|source| StoreError::io("make", &config.directory, source))?;
        let keys = &vault.keyring;
        let key = keys.file_key(names::STORE)?;
        let (state, mut problems) = load(&config, &key)?;
        let (mut dedup, from) = (state.dedup, state.covered);
        let recovered = recover(&config, keys, from, &mut dedup)?;
        let head = recovered.head.unwrap_or(state.head);
        problems.extend(recovered.problems);
        let durable = Arc::new(Mutex::new(recovered.current.as_ref().map_or(
            Position { segment: recovered.next_number, offset: SEGMENT_HEADER },
            |tail| Position { segment: tail.segment.number, offset: tail.offset },
        )));
        let counters = Arc::new(Counters::default());
        counters.lost.store(recovered.lost, Ordering::Relaxed);
        if let Some(until) = recovered.until.time() {
            counters.lost_until.get_or_init(|| until);
        }
        counters.torn.store(recovered.torn, Ordering::Relaxed);
        let (commands, queue) = mpsc::channel(config.queue.max(1));
        let to_index = Arc::new(Semaphore::new(HANDED_ROOM as usize));
        let owner = Owner {
            indexed: Position::default(),
            covered: from,
            next_number: recovered.next_number,
            current: recovered.current,
            durable: Arc::clone(&durable),
            counters: Arc::clone(&counters),
            key,
            vault: Arc::clone(vault),
            head,
            config,
            dedup,
            index,
            room: Arc::clone(&to_index),
            closed: true,
        };
        owner.measure();
        owner.begins()?;
        vault.set_head(LOG, head);
        let thread = std::thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || owner.run(queue))
            .map_err(|source| StoreError::io("start a thread", &PathBuf::from("log"), source))?;
        let room = Arc::new(Semaphore::new(APPEND_ROOM as usize));
        let appender = Appender { commands, counters, room, to_index };
        let log = Self { appender, thread: Some(thread), durable, head };
        Ok((log, problems))
    }

    /// A handle for appending. The log's thread ends when all handles are gone.
    #[must_use]
    pub fn appender(&self) -> Appender {
        self.appender.clone()
    }

    /// Tells that everything before `position` is indexed durably; old segments may go.
    pub fn indexed(&self, position: Position) {
        // When the queue is full the next call will tell.
        drop(self.appender.commands.try_send(Command::Indexed(position)));
    }

    /// The end of what is durable.
    #[must_use]
    pub fn durable(&self) -> Position {
        *self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far the log had come when it was opened.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.head
    }

    /// Goes on in a segment that shares its key with none before it; gives where.
    ///
    /// # Errors
    /// As writing; [`StoreError::Stopped`].
    pub(crate) fn roll(&self) -> Result<Position, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Command::Roll(reply), answer)
    }

    /// Lets go of everything before `place`, which must be indexed durably: keys first, then files. Gives
    /// how far the log has come.
    ///
    /// # Errors
    /// As writing; [`StoreError::Stopped`]. Then it may be tried again.
    pub(crate) fn shed(&self, place: Position) -> Result<Head, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Command::Shed(place, reply), answer)
    }

    fn ask<T>(
        &self,
        command: Command,
        answer: oneshot::Receiver<Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.appender.commands.blocking_send(command).map_err(|_| StoreError::Stopped)?;
        answer.blocking_recv().map_err(|_| StoreError::Stopped)?
    }

    /// A shared view of the end of what is durable.
    pub(crate) fn durable_shared(&self) -> Arc<Mutex<Position>> {
        Arc::clone(&self.durable)
    }

    /// Finishes what is queued, writes a checkpoint and ends the thread.
    pub fn stop(&mut self) {
        let (done, wait) = oneshot::channel();
        if self.appender.commands.blocking_send(Command::Stop(done)).is_ok() {
            drop(wait.blocking_recv());
        }
        self.join();
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the log's thread panicked");
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // Leave a closed queue behind, so that the thread ends.
        let (closed, _) = mpsc::channel(1);
        self.appender.commands = closed;
        self.join();
    }
}

struct Owner {
    config: LogConfig,
    key: Key,
    vault: Arc<Vault>,
    /// Records that are durable, and the digest over them.
    head: Head,
    dedup: Dedup,
    current: Option<Tail>,
    next_number: u64,
    /// The checkpoint covers everything before.
    covered: Position,
    indexed: Position,
    durable: Arc<Mutex<Position>>,
    counters: Arc<Counters>,
    index: crossbeam_channel::Sender<Handed>,
    /// Kibibytes that may still be handed to the index.
    room: Arc<Semaphore>,
    /// The checkpoint on disk may still say that the log is closed.
    closed: bool,
}

/// Records written with one sync.
#[derive(Default)]
struct Group {
    bytes: Vec<u8>,
    staged: Vec<Staged>,
    /// How far the log comes with it.
    head: Option<Head>,
}

struct Staged {
    entry: Arc<Entry>,
    ready: Option<Ready>,
    offset: u64,
    next: u64,
    duplicates: Vec<RangeInclusive<u64>>,
    reply: oneshot::Sender<Answer>,
    room: Option<OwnedSemaphorePermit>,
}

impl Owner {
    fn run(mut self, mut queue: mpsc::Receiver<Command>) {
        while let Some(command) = queue.blocking_recv() {
            let mut group = Group::default();
            let mut next = Some(command);
            while let Some(command) = next.take() {
                match command {
                    Command::Append(request) => self.stage(*request, &mut group),
                    Command::Indexed(position) => self.prune(position),
                    Command::Covered(source, last, reply) => {
                        self.write_group(&mut group);
                        let ranges = self.dedup.overlap(&source, 1, last);
                        if reply.send(length(&ranges)).is_err() {
                            tracing::debug!("nobody waits to hear what is stored");
                        }
                    }
                    Command::Roll(reply) => {
                        self.write_group(&mut group);
                        drop(reply.send(self.roll()));
                    }
                    Command::Shed(place, reply) => {
                        self.write_group(&mut group);
                        drop(reply.send(self.shed(place)));
                    }
                    Command::Stop(done) => {
                        self.write_group(&mut group);
                        self.checkpoint();
                        self.vault.set_head(LOG_CLOSED, self.head);
                        if done.send(()).is_err() {
                            tracing::debug!("nobody waits for the log to stop");
                        }
                        return;
                    }
                }
                if group.bytes.len() < self.config.group_bytes {
                    next = queue.try_recv().ok();
                }
            }
            self.write_group(&mut group);
        }
    }

    /// Puts a request into the group, writing the group first where it must be.
    fn stage(&mut self, mut request: Request, group: &mut Group) {
        let (first, last) = (request.entry.first_seq, request.entry.last_seq);
        let source = request.entry.source.clone();
        if group.staged.iter().any(|staged| staged.overlaps(&source, first, last)) {
            self.write_group(group);
        }
        let duplicates = self.dedup.overlap(&source, first, last);
        if covers(&duplicates, first, last) {
            count(&self.counters.duplicates, request.entry.items.len());
            drop(request.reply.send(Ok(AppendOutcome::Duplicate { range: first..=last })));
            return;
        }
        if !duplicates.is_empty() {
            let before = request.entry.items.len();
            let new = |seq: &u64| !duplicates.iter().any(|range| range.contains(seq));
            let keep: Vec<bool> = request.entry.items.iter().map(|item| new(&item.seq)).collect();
            if let Some(ready) = &mut request.ready {
                ready.retain(&keep);
            }
            request.entry.items.retain(|item| new(&item.seq));
            count(&self.counters.duplicates, before.saturating_sub(request.entry.items.len()));
            match pack(&request.entry) {
                Ok(body) => request.body = body,
                Err(error) => return self.refuse(request.reply, &request.entry, &error),
            }
        }
        if let Err(error) = self.make_room(frame_size(&request.body), group) {
            return self.refuse(request.reply, &request.entry, &error);
        }
        self.place(request, duplicates, group);
    }

    fn place(&mut self, request: Request, duplicates: Vec<RangeInclusive<u64>>, group: &mut Group) {
        let Some(tail) = &mut self.current else { return };
        let offset = tail.offset.saturating_add(group.bytes.len() as u64);
        let at = Position { segment: tail.segment.number, offset };
        let place = (at, tail.ordinal, tail.offset);
        let before = group.head.unwrap_or(self.head);
        match seal(&tail.segment.key, place, before, &request.body, &mut group.bytes) {
            Ok(head) => {
                group.head = Some(head);
                tail.ordinal = tail.ordinal.saturating_add(1);
                group.staged.push(Staged {
                    next: tail.offset.saturating_add(group.bytes.len() as u64),
                    entry: Arc::new(request.entry),
                    ready: request.ready,
                    reply: request.reply,
                    room: request.room,
                    offset,
                    duplicates,
                });
            }
            Err(error) => self.refuse(request.reply, &request.entry, &error),
        }
    }

    fn refuse(&self, reply: oneshot::Sender<Answer>, entry: &Entry, error: &StoreError) {
        count(&self.counters.failed, entry.items.len());
        drop(reply.send(Err(error.clone())));
    }

    /// Sees to it that a record of `size` bytes fits the present segment behind the group.
    fn make_room(&mut self, size: usize, group: &mut Group) -> Result<(), StoreError> {
        if let Some(tail) = &self.current {
            let used = tail.offset.saturating_add(group.bytes.len() as u64);
            let needed = used.saturating_add(size as u64).saturating_add(END_FRAME as u64);
            if needed <= tail.segment.size {
                return Ok(());
            }
        }
        self.write_group(group);
        let least = SEGMENT_HEADER.saturating_add(size as u64).saturating_add(END_FRAME as u64);
        self.begin_segment(self.config.segment_bytes.max(least))?;
        self.prune(self.indexed);
        Ok(())
    }

    /// Goes on in a new segment of `bytes` bytes; gives its beginning.
    fn begin_segment(&mut self, bytes: u64) -> Result<Position, StoreError> {
        let bytes = bytes.next_multiple_of(ALIGN as u64);
        let fresh =
            Segment::create(&self.config.directory, self.next_number, bytes, &self.vault.keyring)?;
        self.next_number = self.next_number.saturating_add(1);
        if let Some(old) = self.current.take() {
            self.head = close(&old, self.head);
            self.vault.set_head(LOG, self.head);
        }
        let place = Position { segment: fresh.number, offset: SEGMENT_HEADER };
        self.current = Some(Tail { segment: fresh, offset: SEGMENT_HEADER, ordinal: 0 });
        self.set_durable(place);
        self.checkpoint();
        Ok(place)
    }

    fn set_durable(&self, position: Position) {
        *self.durable.lock().unwrap_or_else(PoisonError::into_inner) = position;
    }

    /// Writes the group durably, answers, hands on.
    fn write_group(&mut self, group: &mut Group) {
        let group = std::mem::take(group);
        if group.staged.is_empty() {
            return;
        }
        self.say_open();
        let Some(tail) = &mut self.current else { return };
        let written = tail.segment.write_durably(tail.offset, &group.bytes);
        count(&self.counters.syncs, 1);
        if let Err(error) = written {
            // What is not durable for sure must not come back: go on in a new segment.
            tail.segment.abandon_from(tail.offset);
            self.current = None;
            for staged in group.staged {
                self.refuse(staged.reply, &staged.entry, &error);
            }
            return;
        }
        tail.offset = tail.offset.saturating_add(group.bytes.len() as u64);
        self.head = group.head.unwrap_or(self.head);
        self.vault.set_head(LOG, self.head);
        let segment = tail.segment.number;
        let end = Position { segment, offset: tail.offset };
        self.set_durable(end);
        for staged in group.staged {
            self.settle(staged, segment);
        }
        self.counters.gaps_closed.store(self.dedup.gaps_closed, Ordering::Relaxed);
        let until = self.dedup.gaps_until.unwrap_or_default();
        self.counters.gaps_until.store(until.micros(), Ordering::Relaxed);
        self.counters.evicted.store(self.dedup.evicted, Ordering::Relaxed);
    }

    /// Says before the first record that the log is open: what lies behind its end may be torn from now on.
    fn say_open(&mut self) {
        if self.closed {
            self.vault.set_head(LOG_CLOSED, Head::default());
            match self.vault.checkpoint(true) {
                Ok(()) => self.closed = false,
                Err(error) => tracing::warn!(%error, "the log is not noted as open"),
            }
        }
    }

    fn settle(&mut self, staged: Staged, segment: u64) {
        let Staged { entry, ready, offset, next, duplicates, reply, room } = staged;
        self.dedup.mark(&entry.source, (entry.first_seq, entry.last_seq), entry.received);
        let events = entry.items.len() as u64;
        count(&self.counters.stored, entry.items.len());
        count(&self.counters.bytes, entry.items.iter().map(|item| item.json.len()).sum());
        let outcome = if duplicates.is_empty() {
            AppendOutcome::Stored { events }
        } else {
            AppendOutcome::Partly { events, duplicates }
        };
        // The sender may have gone; its agent will send again and be told of the duplicate.
        drop(reply.send(Ok(outcome)));
        drop(room);
        // No room is no loss: the index reads from the log what it was not handed.
        let kibibytes = room_of(&entry, HANDED_ROOM);
        let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(kibibytes) else { return };
        let handed = Handed {
            at: Position { segment, offset },
            next: Position { segment, offset: next },
            entry,
            ready,
            _room: room,
        };
        drop(self.index.try_send(handed));
    }
}

impl Staged {
    fn overlaps(&self, source: &SourceKey, first: u64, last: u64) -> bool {
        self.entry.source == *source && self.entry.first_seq <= last && first <= self.entry.last_seq
    }
}

/// Writes the end mark of a segment that is full, behind `head`; gives how far the log has come.
fn close(tail: &Tail, head: Head) -> Head {
    let at = Position { segment: tail.segment.number, offset: tail.offset };
    let mut bytes = Vec::new();
    let place = (at, tail.ordinal, tail.offset);
    let sealed = seal(&tail.segment.key, place, head, &end_body(), &mut bytes);
    let written =
        sealed.and_then(|after| tail.segment.write_durably(tail.offset, &bytes).map(|()| after));
    written.unwrap_or_else(|error| {
        tracing::warn!(%error, "end mark of a log segment not written");
        // What is not durable for sure must not come back.
        tail.segment.abandon_from(tail.offset);
        head
    })
}

/// How many sequences are in ranges that do not overlap.
pub(crate) fn length(ranges: &[RangeInclusive<u64>]) -> u64 {
    ranges.iter().fold(0, |sum, range| {
        let width = range.end().saturating_sub(*range.start()).saturating_add(1);
        sum.saturating_add(width)
    })
}

/// Whether ascending ranges cover all of `first..=last`.
fn covers(ranges: &[RangeInclusive<u64>], first: u64, last: u64) -> bool {
    let mut next = first;
    for range in ranges {
        if *range.start() > next {
            return false;
        }
        if *range.end() >= last {
            return true;
        }
        next = range.end().saturating_add(1);
    }
    false
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "offsets in tests are small")]
#[path = "log_tests.rs"]
mod tests;
