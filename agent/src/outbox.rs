//! From events to the spool: detection over events, batches, positions, checkpoints.
//!
//! One thread owns this. It takes events from the log inputs and the packet workers, lets the
//! detectors see each one and the clock, keeps what they remember, numbers and spools in batches. When the spool is full it waits, so
//! that sources that can wait do; the queues in front fill up and shed what cannot.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::RecvTimeoutError;
use event::{AgentId, Event, EventId, Ledger, Timestamp};
use link::client::SharedSpool;
use link::spool::SpoolError;
use serde::{Deserialize, Serialize};
use service::{Clock, Shutdown};

use crate::inbox::{Arrived, Inbox};
use crate::memory::Memory;
use logs::source::{Moved, Positions};

/// Events after which a batch is spooled; it may have those of one item or parcel of records more.
const BATCH: usize = 512;
/// Bytes of text after which a batch is spooled: what it is sent in is bounded.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Longest wait for a batch to fill.
const LINGER: Duration = Duration::from_millis(50);
/// Wait before trying a full spool or a failing disk again.
const RETRY: Duration = Duration::from_millis(100);
/// Microseconds between two checkpoints.
const CHECKPOINT_EVERY: u128 = 1_000_000;
/// Further microseconds for each position: writing many takes longer.
const CHECKPOINT_EACH: u128 = 1_000;
/// Microseconds between two looks of the detectors at the clock.
const PASS_EVERY: u128 = 1_000_000;
/// Microseconds between two times that what detectors remember is kept.
const KEEP_EVERY: u128 = 60_000_000;

/// Sees every event on its way out and may add detections (events of kind `alert`).
pub trait Detector: Send {
    /// Looks at one event, which will be stored as `id`; what it finds is appended to `found`. It may
    /// complete the event's fields.
    fn event(&mut self, event: &mut Event, id: &EventId, found: &mut Vec<Event>);

    /// Sees the clock once a second, also while no event comes.
    fn pass(&mut self, _now: Timestamp, _found: &mut Vec<Event>) {}

    /// Name and content of what it wants to know again after a restart.
    fn memory(&self) -> Option<(&'static str, Vec<u8>)> {
        None
    }
}

/// Positions that a batch stands for.
#[derive(Default)]
struct Moves {
    set: Positions,
    forgotten: Vec<Arc<str>>,
}

impl Moves {
    fn take(&mut self, moved: Vec<Moved>) {
        for (key, position) in moved {
            match position {
                Some(position) => {
                    match self.set.get_mut(&*key) {
                        Some(slot) => *slot = position,
                        None => drop(self.set.insert(key.to_string(), position)),
                    }
                    self.forgotten.retain(|one| *one != key);
                }
                None => {
                    self.set.remove(&*key);
                    self.forgotten.push(key);
                }
            }
        }
    }
}

/// About how many bytes of text some fields are.
fn weigh(fields: &event::Object) -> usize {
    fields.values().map(weigh_value).fold(0, usize::saturating_add)
}

fn weigh_value(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::String(text) => text.len(),
        serde_json::Value::Array(list) => list.iter().map(weigh_value).sum(),
        serde_json::Value::Object(fields) => weigh(fields),
        _ => 8,
    }
}

/// Counters of the outbox.
#[derive(Debug, Default)]
pub struct Counters {
    seen: AtomicU64,
    spooled: AtomicU64,
    detections: AtomicU64,
    lost: AtomicU64,
    waits: AtomicU64,
}

impl Counters {
    /// As a ledger: events taken, spooled, lost.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        let spooled = self.spooled.load(Ordering::Acquire);
        let lost = self.lost.load(Ordering::Acquire);
        let seen = self.seen.load(Ordering::Acquire);
        let mut ledger = Ledger { seen, processed: spooled, ..Ledger::default() };
        ledger.shed("stopped_while_spool_full", lost);
        ledger.pending = seen.saturating_sub(spooled).saturating_sub(lost);
        ledger
    }

    /// Detections made over events.
    #[must_use]
    pub fn detections(&self) -> u64 {
        self.detections.load(Ordering::Relaxed)
    }

    /// Times a batch had to wait for room in the spool.
    #[must_use]
    pub fn waits(&self) -> u64 {
        self.waits.load(Ordering::Relaxed)
    }
}

/// The file that keeps the positions of all sources.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    boot: u64,
    seq: u64,
    positions: Positions,
}

impl Checkpoint {
    /// The checkpoint in a folder.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { path: folder.join("positions.json") }
    }

    /// The positions to go on from: the kept ones, moved on by the notes of the spool.
    ///
    /// # Errors
    /// When the spool or the checkpoint cannot be read: to begin anew would repeat or pass over lines that the disk
    /// may give again. A damaged checkpoint is set aside and told of in the log.
    pub fn recover(&self, spool: &SharedSpool) -> Result<Positions, SpoolError> {
        let kept = match std::fs::read(&self.path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                self.set_aside(&error);
                Kept::default()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Kept::default(),
            Err(source) => {
                let (action, path) = ("read", self.path.clone());
                return Err(SpoolError::Io { action, path, source });
            }
        };
        let mut positions: Positions = kept.positions;
        for note in spool.lock().notes_after(kept.boot, kept.seq)? {
            match serde_json::from_slice::<Positions>(&note) {
                Ok(later) => positions.extend(later),
                Err(error) => tracing::error!(%error, "a position in the spool is unreadable"),
            }
        }
        Ok(positions)
    }

    fn set_aside(&self, error: &serde_json::Error) {
        let aside = self.path.with_extension("json.damaged");
        let moved = std::fs::rename(&self.path, &aside);
        let (path, aside) = (self.path.display(), aside.display());
        tracing::error!(%path, %error, %aside, ?moved, "positions are damaged and were set aside");
    }

    /// Keeps `positions` durably and lets the spool forget its notes.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn save(&self, spool: &SharedSpool, positions: &Positions) -> io::Result<()> {
        let (boot, seq) = {
            let mut spool = spool.lock();
            // Events first: a position must never be ahead of them.
            spool.sync().map_err(io::Error::other)?;
            (spool.boot(), spool.next_seq().saturating_sub(1))
        };
        let kept = Kept { boot, seq, positions: positions.clone() };
        write_durably(&self.path, &serde_json::to_vec(&kept)?)?;
        spool.lock().set_checkpoint(seq);
        Ok(())
    }
}

/// Replaces a file so that after a crash either the old or the new content is there.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = path.with_extension("part");
    let file = std::fs::File::create(&part)?;
    io::Write::write_all(&mut &file, bytes)?;
    file.sync_all()?;
    std::fs::rename(&part, path)?;
    match path.parent() {
        Some(folder) => std::fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// The outbox; [`Outbox::run`] is the body of its thread.
pub struct Outbox {
    /// Events of packet workers and log inputs.
    pub inbox: Inbox,
    /// Where they go.
    pub spool: Arc<SharedSpool>,
    /// Identity of this agent, for evidence.
    pub agent: AgentId,
    /// Who looks at them.
    pub detectors: Vec<Box<dyn Detector>>,
    /// Positions known so far.
    pub positions: Positions,
    /// Where positions are kept.
    pub checkpoint: Checkpoint,
    /// Where what detectors remember is kept.
    pub memory: Memory,
    /// Counters, shared with the report.
    pub counters: Arc<Counters>,
    /// Clock of the checkpoints.
    pub clock: Clock,
    /// When it triggers, what is in the queue is still spooled.
    pub shutdown: Shutdown,
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Outbox").field("detectors", &self.detectors.len()).finish_non_exhaustive()
    }
}

impl Outbox {
    /// Runs until every sender of the queue is gone, or the shutdown is triggered and the queue is empty.
    pub fn run(mut self) {
        let start = self.clock.monotonic();
        let (mut saved, mut passed, mut kept) = (start, start, start);
        let mut dirty = false;
        loop {
            let (mut events, moved, ended) = self.gather();
            if !events.is_empty() {
                // What was not spooled is read again: its positions are not kept.
                if self.spool_all(&mut events, &moved.set) {
                    dirty |= !moved.set.is_empty() || !moved.forgotten.is_empty();
                    self.positions.extend(moved.set);
                    moved.forgotten.iter().for_each(|key| drop(self.positions.remove(&**key)));
                }
            }
            let now = self.clock.monotonic();
            let due = |last: Duration, every| now.saturating_sub(last).as_micros() >= every;
            if due(passed, PASS_EVERY) {
                passed = now;
                self.pass();
            }
            if ended || due(kept, KEEP_EVERY) {
                kept = now;
                self.keep();
            }
            let many = u128::try_from(self.positions.len()).unwrap_or(0);
            let every = CHECKPOINT_EVERY.saturating_add(many.saturating_mul(CHECKPOINT_EACH));
            if dirty && (ended || due(saved, every)) {
                saved = now;
                match self.checkpoint.save(&self.spool, &self.positions) {
                    Ok(()) => dirty = false,
                    Err(error) => tracing::error!(%error, "positions could not be kept"),
                }
            }
            if ended {
                return;
            }
        }
    }

    /// Takes up to a batch of events, with the positions they stand for.
    fn gather(&mut self) -> (Vec<Event>, Moves, bool) {
        // Nobody else appends: the sequences of this batch are known before it is spooled.
        let (boot, first) = {
            let spool = self.spool.lock();
            (spool.boot(), spool.next_seq())
        };
        let mut events = Vec::new();
        let mut moved = Moves::default();
        let mut ended = false;
        let mut weight = 0_usize;
        while events.len() < BATCH && weight < BATCH_BYTES {
            let wait = if events.is_empty() { 1 } else { 10 };
            match self.inbox.next(LINGER.checked_div(wait).unwrap_or(LINGER)) {
                Ok(Arrived::Item(item)) => {
                    moved.take(item.moved);
                    for event in item.events {
                        weight = weight.saturating_add(weigh(&event.fields));
                        self.take(event, &mut events, (boot, first));
                    }
                }
                Ok(Arrived::Records(records)) => {
                    for event in records.into_events() {
                        self.take(event, &mut events, (boot, first));
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    ended = self.shutdown.is_triggered() && events.is_empty();
                    break;
                }
                Err(RecvTimeoutError::Disconnected) => {
                    ended = true;
                    break;
                }
            }
        }
        (events, moved, ended)
    }

    /// Takes an event of a batch whose first sequence in a boot is known.
    fn take(&mut self, event: Event, events: &mut Vec<Event>, (boot, first): (u64, u64)) {
        self.counters.seen.fetch_add(1, Ordering::Release);
        let ahead = u64::try_from(events.len()).unwrap_or(u64::MAX);
        let seq = first.saturating_add(ahead);
        let id = EventId { agent: self.agent.clone(), boot, seq };
        self.detect(event, &id, events);
    }

    /// The event first, then what was found in it.
    fn detect(&mut self, mut event: Event, id: &EventId, events: &mut Vec<Event>) {
        let mut found = Vec::new();
        for detector in &mut self.detectors {
            detector.event(&mut event, id, &mut found);
        }
        self.count_found(&found);
        events.push(event);
        events.append(&mut found);
    }

    fn count_found(&self, found: &[Event]) {
        let count = u64::try_from(found.len()).unwrap_or(0);
        self.counters.detections.fetch_add(count, Ordering::Relaxed);
        self.counters.seen.fetch_add(count, Ordering::Release);
    }

    /// Shows the detectors the clock, so that silence ends windows too.
    fn pass(&mut self) {
        let now = Timestamp::from_micros(self.clock.now_micros());
        let mut found = Vec::new();
        self.detectors.iter_mut().for_each(|detector| detector.pass(now, &mut found));
        if !found.is_empty() {
            self.count_found(&found);
            if !self.spool_all(&mut found, &Positions::new()) {
                tracing::warn!("detections were lost with the stop of the agent");
            }
        }
    }

    /// Keeps what the detectors remember. What cannot be written is told; the older state stays.
    fn keep(&self) {
        for (name, content) in self.detectors.iter().filter_map(|detector| detector.memory()) {
            if let Err(error) = self.memory.save(name, &content) {
                tracing::error!(name, %error, "what a detector remembers could not be kept");
            }
        }
    }

    /// Spools a batch, waiting while there is no room. False when it was given up because the agent
    /// stops meanwhile.
    fn spool_all(&self, events: &mut [Event], moved: &Positions) -> bool {
        let count = u64::try_from(events.len()).unwrap_or(u64::MAX);
        let note = if moved.is_empty() {
            Vec::new()
        } else {
            serde_json::to_vec(moved).unwrap_or_default()
        };
        let mut told = false;
        loop {
            let error = match self.spool.append(events, &note) {
                Ok(()) => {
                    self.counters.spooled.fetch_add(count, Ordering::Release);
                    return true;
                }
                Err(error) => error,
            };
            if !told {
                told = true;
                self.counters.waits.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%error, events = count, "spool takes no events, waiting");
                // Files whose positions are not kept elsewhere cannot be deleted, acknowledged or not.
                if let Err(error) = self.checkpoint.save(&self.spool, &self.positions) {
                    tracing::error!(%error, "positions could not be kept");
                }
            }
            if self.shutdown.is_triggered() {
                // Sources that keep a position will read these again; the others are lost.
                self.counters.lost.fetch_add(count, Ordering::Release);
                return false;
            }
            std::thread::sleep(RETRY);
        }
    }
}

#[cfg(test)]
mod tests;
