//! The owner of all index writing: one thread fed from the log.
//!
//! Entries arrive through a bounded queue as they become durable; what does not fit the queue is
//! read from the log. Commits happen a few times a second while there is something to commit and
//! carry the log position, so that after a crash reading begins there and nothing is indexed
//! twice. When the index fails (disk full), writers are dropped, positions are read back from the
//! last commits and it is tried again; the log keeps everything meanwhile.

mod damage;
mod merge;
mod parts;
mod redact;
mod retain;
mod warm;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, select, tick};
use tantivy::indexer::IndexWriterOptions;
use tantivy::{IndexWriter, TantivyDocument, Term};

use super::handle::{Command, Feed, IndexConfig, IndexCounters, Problems, Shared};
use super::merge::WhileWritten;
use super::routing::Routing;
use crate::store::index::partition::{Partition, PartitionKey, Partitions};
use crate::store::index::schema::{Ties, event_time};
use crate::store::log::append::count;
use crate::store::log::checkpoint;
use crate::store::log::reader::{Reader, Step};
use crate::store::log::{Entry, Handed, Item, Position, Until};
use crate::store::ready::{Filed, indexable};
use crate::store::{Problem, StoreError};

/// Documents indexed between two commits while the index is behind.
const COMMIT_DOCUMENTS: usize = 200_000;
/// Bytes of log not indexed yet from which on commits wait for [`COMMIT_DOCUMENTS`]: nothing is found
/// in time then, and few large commits are cheaper to make and to merge than many small ones.
const BEHIND: u64 = 384 << 10;
/// Ticks after which there is a commit in any case.
const BEHIND_TICKS: u32 = 40;
/// Documents between two ticks from which on commits come every [`BULK_TICKS`]: at more than 10,000 a second a
/// commit for each tick costs more than being found a second earlier is worth.
const BULK: usize = 4_000;
/// See [`BULK`].
const BULK_TICKS: u32 = 5;
/// Ticks to wait after a failure.
const BACK_OFF: u32 = 10;
struct Writer {
    writer: IndexWriter,
    partition: Arc<Partition>,
    dirty: bool,
    used: u64,
    /// When it was used.
    tick: u32,
}

pub(in crate::store::index) struct Worker {
    config: IndexConfig,
    partitions: Arc<Partitions>,
    routing: Routing,
    feed: Feed,
    writers: BTreeMap<PartitionKey, Writer>,
    /// Where the next record to index lies.
    next: Position,
    /// Everything before is committed.
    committed: Position,
    /// Documents added since the last commit.
    dirty: usize,
    turn: u64,
    /// Ticks since the last commit.
    held: u32,
    /// Ticks still to wait after a failure.
    waiting: u32,
    ticks: u32,
    repair: BTreeSet<PartitionKey>,
    merging: merge::Merging,
    counters: Arc<IndexCounters>,
    problems: Arc<Problems>,
}

/// Why indexing stopped; carries the partition.
type Failed = (String, tantivy::TantivyError);
type Work<T> = Result<T, StoreError>;

fn index_error((partition, error): Failed) -> StoreError {
    StoreError::Index { partition, reason: error.to_string() }
}

impl Worker {
    /// A worker that goes on at `next`.
    pub(in crate::store::index) fn new(
        config: IndexConfig,
        shared: Shared,
        (feed, routing): (Feed, Routing),
        next: Position,
    ) -> Self {
        Self {
            routing,
            writers: BTreeMap::new(),
            next,
            committed: next,
            dirty: 0,
            turn: 0,
            held: 0,
            waiting: 0,
            ticks: 0,
            repair: BTreeSet::new(),
            merging: merge::Merging::default(),
            partitions: shared.partitions,
            counters: shared.counters,
            problems: shared.problems,
            config,
            feed,
        }
    }

    /// Works until the handle is gone.
    pub(in crate::store::index) fn run(&mut self, commands: &Receiver<Command>) {
        let ticks = tick(self.config.commit_every);
        let handed = self.feed.handed.clone();
        loop {
            select! {
                recv(commands) -> command => match command {
                    Ok(Command::Stop(done)) => {
                        self.stop();
                        if done.send(()).is_err() {
                            tracing::debug!("nobody waits for the index to stop");
                        }
                        return;
                    }
                    Ok(command) => self.command(command),
                    Err(_) => return,
                },
                recv(handed) -> item => match item {
                    Ok(item) => self.handed(item),
                    Err(_) => return,
                },
                recv(ticks) -> _ => self.tick(),
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Flush(reply) => {
                self.waiting = 0;
                let done = self.settle().and_then(|()| self.go_on());
                drop(reply.send(done.inspect_err(|error| self.fail(error))));
            }
            Command::Retain(policy, reply) => drop(reply.send(self.retain(&policy))),
            Command::Redact(order, reply) => {
                let done = self.redact(*order);
                if let Some(error) = done.as_ref().err().filter(|error| !error.is_refusal()) {
                    self.fail(error);
                }
                drop(reply.send(done));
            }
            Command::Suspect(key) => self.inspect(key),
            Command::Close(key, reply) => drop(reply.send(self.close(key))),
            Command::Moved(key, head, reply) => {
                drop(reply.send(self.moved(key, head)));
            }
            Command::Stop(_) => {}
        }
    }

    fn handed(&mut self, item: Handed) {
        if self.waiting > 0 || item.at < self.next {
            return;
        }
        let work = || {
            self.catch_up(item.at)?;
            self.until().sound(item.entry.received);
            self.take(item)
        };
        if let Err(error) = work() {
            self.fail(&error);
        }
    }

    fn tick(&mut self) {
        self.ticks = self.ticks.wrapping_add(1);
        if self.ticks.is_multiple_of(BACK_OFF) {
            self.look_again();
        }
        if self.waiting > 0 {
            self.waiting = self.waiting.saturating_sub(1);
            return;
        }
        self.held = self.held.saturating_add(1);
        if self.holds() {
            return;
        }
        // What waits in the queue need not be read from the log.
        let done = if self.feed.handed.is_empty() { self.settle() } else { self.finish() };
        if let Err(error) = done.and_then(|()| self.go_on()).and_then(|()| self.merge_quiet()) {
            self.fail(&error);
        }
    }

    /// Indexes what the log has, repairs what was damaged, commits.
    fn settle(&mut self) -> Work<()> {
        self.catch_up(self.durable())?;
        self.finish()
    }

    /// Repairs what was damaged, commits.
    fn finish(&mut self) -> Work<()> {
        if !self.repair.is_empty() {
            self.repair()?;
        }
        self.commit()
    }

    /// Whether a commit waits for more.
    fn holds(&self) -> bool {
        if self.is_behind() {
            return self.dirty < COMMIT_DOCUMENTS && self.held < BEHIND_TICKS;
        }
        let held = usize::try_from(self.held).unwrap_or(usize::MAX);
        self.held < BULK_TICKS && self.dirty > BULK.saturating_mul(held)
    }

    fn is_behind(&self) -> bool {
        let durable = self.durable();
        let more = durable.segment.saturating_sub(self.next.segment) > 1;
        // Over the border of a segment the offset begins anew: what is left in the old one is little.
        let bytes = match durable.segment == self.next.segment {
            true => durable.offset.saturating_sub(self.next.offset),
            false => durable.offset,
        };
        more || bytes > BEHIND
    }

    fn durable(&self) -> Position {
        *self.feed.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Indexes the records from `next` up to `end` from the log.
    fn catch_up(&mut self, end: Position) -> Work<()> {
        if self.next >= end {
            return Ok(());
        }
        let mut reader = Reader::new(self.config.log.clone(), self.feed.keys.clone(), self.next);
        while reader.position() < end {
            match reader.step()? {
                // The first step may lead over a segment's border, right to the end.
                Step::Record(at, _, _) if at >= end => break,
                Step::Record(at, packed, next) => {
                    let entry = packed.unpack();
                    if entry.is_err() {
                        self.unreadable();
                        self.next = next;
                    }
                    self.until().sound(packed.received());
                    if let Ok(entry) = entry {
                        self.entry(at, next, &entry)?;
                    }
                }
                Step::Damage(problem) => {
                    self.unreadable();
                    self.problems.push(problem);
                }
                Step::End(_) => break,
            }
        }
        self.next = self.next.max(end);
        Ok(())
    }

    /// Indexes what was handed on, as it was made ready unless something has changed since.
    fn take(&mut self, handed: Handed) -> Work<()> {
        let Handed { at, next, entry, ready, .. } = handed;
        let Some(ready) = ready else { return self.entry(at, next, &entry) };
        let received = entry.received.micros();
        let filed = ready
            .documents
            .into_iter()
            .map(|filed| (self.routing.partition(at, (filed.time, received), filed.class), filed));
        let mut by_partition: Vec<(PartitionKey, Vec<Filed>)> = Vec::new();
        for (key, filed) in filed {
            match by_partition.iter_mut().find(|(known, _)| *known == key) {
                Some((_, all)) => all.push(filed),
                None => by_partition.push((key, vec![filed])),
            }
        }
        let older = |(key, _): &(PartitionKey, _)| {
            self.partitions.get(*key).is_some_and(|partition| !partition.is_current)
        };
        let learned = self.partitions.vault().redactions.learned();
        let stale = ready.learned != learned || self.routing.is_doubtful(at);
        if stale || by_partition.iter().any(older) {
            let Ok(entry) = entry.parsed() else {
                self.unreadable();
                self.next = next;
                return Ok(());
            };
            return self.entry(at, next, &entry);
        }
        for (key, filed) in by_partition {
            let failed = |error| index_error((key.to_string(), error));
            if let Some(partition) = self.open(key).map_err(failed)?
                && at >= partition.indexed()
            {
                let made = filed.into_iter().map(|filed| (filed.document, filed.left_out));
                self.put(partition, made).map_err(failed)?;
            }
        }
        self.went_on(next)
    }

    /// A record of the log is gone.
    fn unreadable(&self) {
        count(&self.counters.unreadable, 1);
        self.until().lost();
    }

    fn until(&self) -> MutexGuard<'_, Until> {
        self.counters.unreadable_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Indexes one entry; afterwards `next` is behind it.
    fn entry(&mut self, at: Position, next: Position, entry: &Entry) -> Work<()> {
        for item in &entry.items {
            let Some(key) = self.key(at, entry, item) else { continue };
            let doubtful = self.routing.is_doubtful(at) && self.is_known(key, entry, item);
            self.add(key, entry, item, |partition| at >= partition.indexed() && !doubtful)
                .map_err(index_error)?;
        }
        self.went_on(next)
    }

    /// Where an item of the entry at this place of the log belongs.
    fn key(&self, at: Position, entry: &Entry, item: &Item) -> Option<PartitionKey> {
        let document = entry.documents.get(item.index)?;
        let times = (event_time(document, entry.received), entry.received.micros());
        Some(self.routing.partition(at, times, self.routing.class(at, document)))
    }

    /// What comes next in the log is at this place.
    fn went_on(&mut self, next: Position) -> Work<()> {
        self.next = next;
        if self.dirty >= COMMIT_DOCUMENTS {
            self.commit()?;
        }
        if self.writers.len() > self.config.writers {
            self.commit()?;
            self.close_quiet()?;
        }
        Ok(())
    }

    /// Whether a partition of the same day has this document.
    fn is_known(&self, key: PartitionKey, entry: &Entry, item: &Item) -> bool {
        let all = self.partitions.all();
        let mut near = all.iter().filter(|one| (one.key.day, one.key.span) == (key.day, key.span));
        near.any(|partition| !lacks(partition, entry, item))
    }

    /// Adds one item to its partition if `wanted` says so; tells whether it was.
    fn add(
        &mut self,
        key: PartitionKey,
        entry: &Entry,
        item: &Item,
        wanted: impl FnOnce(&Partition) -> bool,
    ) -> Result<bool, Failed> {
        let failed = |error| (key.to_string(), error);
        let Some(partition) = self.open(key).map_err(failed)? else { return Ok(false) };
        if !wanted(&partition) {
            return Ok(false);
        }
        let vault = self.partitions.vault();
        let Some((entry, item)) = redact::screened(vault, entry, item) else { return Ok(false) };
        let Some(event) = indexable(&entry, &item, Ties::new(&entry.source)) else {
            return Ok(false);
        };
        let made = partition.fields.document(&event);
        self.put(partition, std::iter::once(made)).map_err(failed)?;
        Ok(true)
    }

    /// The partition of a key; `None` when it is missing: it is closed, so all that belongs there is there.
    fn open(&self, key: PartitionKey) -> tantivy::Result<Option<Arc<Partition>>> {
        if self.partitions.missing().contains(&key) {
            return Ok(None);
        }
        self.partitions.ensure(key).map(Some)
    }

    /// Adds documents, each with the number of its values that were left out, to a partition.
    fn put(
        &mut self,
        partition: Arc<Partition>,
        documents: impl Iterator<Item = (TantivyDocument, u32)>,
    ) -> tantivy::Result<()> {
        self.turn = self.turn.wrapping_add(1);
        let (turn, tick) = (self.turn, self.ticks);
        let counters = Arc::clone(&self.counters);
        let (mut added, mut done) = (0_usize, Ok(()));
        let writer = self.writer(partition)?;
        (writer.used, writer.tick) = (turn, tick);
        for (document, left_out) in documents {
            writer.dirty = true;
            if let Err(error) = writer.writer.add_document(document) {
                done = Err(error);
                break;
            }
            added = added.saturating_add(1);
            count(&counters.values_capped, usize::try_from(left_out).unwrap_or(0));
        }
        self.dirty = self.dirty.saturating_add(added);
        count(&counters.added, added);
        done
    }

    fn writer(&mut self, partition: Arc<Partition>) -> tantivy::Result<&mut Writer> {
        let tick = self.ticks;
        match self.writers.entry(partition.key) {
            std::collections::btree_map::Entry::Occupied(open) => Ok(open.into_mut()),
            std::collections::btree_map::Entry::Vacant(place) => {
                let options = IndexWriterOptions::builder()
                    .num_worker_threads(1)
                    .num_merge_threads(1)
                    .memory_budget_per_thread(self.config.writer_bytes.max(15_000_000))
                    .build();
                let writer: IndexWriter<TantivyDocument> =
                    partition.index.writer_with_options(options)?;
                writer.set_merge_policy(Box::new(WhileWritten));
                Ok(place.insert(Writer { writer, partition, dirty: false, used: 0, tick }))
            }
        }
    }

    /// Commits all writers at the present position.
    fn commit(&mut self) -> Work<()> {
        if self.next == self.committed && self.dirty == 0 {
            return Ok(());
        }
        for (key, writer) in self.writers.iter_mut().filter(|(_, writer)| writer.dirty) {
            commit_one(writer, self.next).map_err(|error| index_error((key.to_string(), error)))?;
        }
        count(&self.counters.committed, self.dirty);
        count(&self.counters.commits, 1);
        (self.dirty, self.held) = (0, 0);
        let text = self.next.to_string();
        checkpoint::write(&self.config.position_file, &self.feed.key, text.as_bytes(), false)?;
        self.partitions.checkpoint()?;
        // Only now: a position that could not be written is tried again.
        self.committed = self.next;
        self.feed.log.lock().unwrap_or_else(PoisonError::into_inner).indexed(self.next);
        self.split()
    }

    /// Closes the writers that were used the longest ago; all are committed.
    fn close_quiet(&mut self) -> Work<()> {
        while self.writers.len() > self.config.writers {
            let quiet = self.writers.iter().min_by_key(|(_, writer)| writer.used).map(|(k, _)| *k);
            let Some((key, writer)) = quiet.and_then(|key| self.writers.remove_entry(&key)) else {
                break;
            };
            writer
                .writer
                .wait_merging_threads()
                .map_err(|error| index_error((key.to_string(), error)))?;
        }
        Ok(())
    }

    /// Goes back to the last commits and waits a little.
    fn fail(&mut self, error: &StoreError) {
        let known = self.problems.list().last().is_some_and(|last| last.what == error.to_string());
        if !known {
            self.problems.push(Problem {
                path: self.config.position_file.display().to_string(),
                offset: 0,
                what: error.to_string(),
                advice: "indexing is tried again every few seconds; the log keeps the events"
                    .to_owned(),
            });
        }
        self.rewind();
        for partition in self.partitions.all() {
            if let Err(error) = partition.reload_indexed() {
                tracing::warn!(partition = %partition.key, %error, "commit cannot be read back");
            }
        }
        self.waiting = BACK_OFF;
    }

    /// Gives up what is not committed; it is read from the log again.
    fn rewind(&mut self) {
        self.writers.clear();
        self.merging.forget();
        self.next = self.committed;
        self.dirty = 0;
    }

    fn stop(&mut self) {
        if let Err(error) = self.settle() {
            self.fail(&error);
        }
        for (key, writer) in std::mem::take(&mut self.writers) {
            if let Err(error) = writer.writer.wait_merging_threads() {
                tracing::warn!(partition = %key, %error, "merging did not finish");
            }
        }
    }
}

fn commit_one(writer: &mut Writer, position: Position) -> tantivy::Result<()> {
    let mut prepared = writer.writer.prepare_commit()?;
    prepared.set_payload(&position.to_string());
    prepared.commit()?;
    writer.dirty = false;
    writer.partition.set_indexed(position);
    writer.partition.reload()
}

/// Whether a partition does not have this document.
fn lacks(partition: &Partition, entry: &Entry, item: &Item) -> bool {
    let id = entry.documents.get(item.index).and_then(|document| event::get(document, "event.id"));
    let (Some(id), Some(&field)) =
        (id.and_then(|id| id.as_str()), partition.fields.known.get("event.id"))
    else {
        return false;
    };
    partition.reader.searcher().doc_freq(&Term::from_field_text(field, id)).unwrap_or(0) == 0
}
