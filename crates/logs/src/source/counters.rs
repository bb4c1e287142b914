//! Counters of log inputs: of all together as a ledger, and of each source.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use event::{Event, Ledger, SourceReport, Timestamp};

use super::syslog::PeerCounters;
use crate::config::Quiet;

/// Counters of one source: a group of files, a listener, the journal.
#[derive(Debug, Default)]
pub struct Source {
    name: String,
    lines: AtomicU64,
    bytes: AtomicU64,
    unparsed: AtomicU64,
    header_only: AtomicU64,
    truncated: AtomicU64,
    errors: AtomicU64,
    shed: AtomicU64,
    dropped: AtomicU64,
    /// Time of the last line, microseconds; 0 before the first.
    last: AtomicI64,
    behind: AtomicU64,
    place: Mutex<String>,
    peers: OnceLock<Arc<PeerCounters>>,
    /// Seconds of silence after which an alarm is wanted, 0 for never, as it is configured.
    quiet: OnceLock<u64>,
    further: Mutex<BTreeMap<String, u64>>,
}

impl Source {
    fn new(name: String) -> Self {
        Self { name, ..Self::default() }
    }

    pub(super) fn arrived(&self, tally: &Tally) {
        self.lines.fetch_add(tally.lines, Ordering::Relaxed);
        self.bytes.fetch_add(tally.bytes, Ordering::Relaxed);
        self.unparsed.fetch_add(tally.unparsed, Ordering::Relaxed);
        self.header_only.fetch_add(tally.header_only, Ordering::Relaxed);
        self.truncated.fetch_add(tally.truncated, Ordering::Relaxed);
        self.last.store(tally.last.micros(), Ordering::Relaxed);
    }

    pub(super) fn shed(&self) {
        self.shed.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts something that could not be read, a connection that failed.
    pub fn count_error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    /// How many the kernel has dropped so far.
    pub(super) fn set_dropped(&self, dropped: u64) {
        self.dropped.store(dropped, Ordering::Relaxed);
    }

    /// Where reading is, in words, and how many bytes are known to lie behind it.
    pub fn set_place(&self, place: String, behind: u64) {
        self.behind.store(behind, Ordering::Relaxed);
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }

    /// Sets a count that only this kind of source has.
    pub(super) fn set_further(&self, name: &str, count: u64) {
        let mut further = self.further.lock().unwrap_or_else(PoisonError::into_inner);
        further.insert(name.to_owned(), count);
    }

    /// After how much silence an alarm is wanted.
    pub(super) fn set_quiet(&self, quiet: Quiet) {
        self.quiet.get_or_init(|| match quiet {
            Quiet::Never => 0,
            Quiet::After(time) => time.as_secs(),
        });
    }

    /// Counts senders too.
    pub(super) fn set_peers(&self, peers: Arc<PeerCounters>) {
        self.peers.get_or_init(|| peers);
    }

    /// As part of the agent's report.
    #[must_use]
    pub fn report(&self) -> SourceReport {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let last = self.last.load(Ordering::Relaxed);
        let (peers, peer_count) = self.peers.get().map(|peers| peers.report()).unwrap_or_default();
        SourceReport {
            name: self.name.clone(),
            lines: get(&self.lines),
            bytes: get(&self.bytes),
            unparsed: get(&self.unparsed),
            header_only: get(&self.header_only),
            truncated: get(&self.truncated),
            errors: get(&self.errors),
            shed: get(&self.shed),
            dropped: get(&self.dropped),
            last_event: (last > 0).then(|| Timestamp::from_micros(last)),
            behind_bytes: get(&self.behind),
            position: self.place.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            quiet_after_seconds: self.quiet.get().copied(),
            quiet_learned: false,
            silent_since: None,
            peers,
            peer_count,
            further: self.further.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

/// What is counted of some lines of one source.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) lines: u64,
    bytes: u64,
    unparsed: u64,
    header_only: u64,
    truncated: u64,
    /// When the last of them was seen.
    last: Timestamp,
}

impl Tally {
    /// Counts one more line.
    pub(super) fn add(&mut self, event: &Event, parsed: bool, bytes: usize) {
        let truncated = event::get(&event.fields, "log.truncated_bytes").is_some();
        self.lines = self.lines.saturating_add(1);
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(0));
        self.unparsed = self.unparsed.saturating_add(u64::from(!parsed));
        let header_only = parsed && crate::parse::is_header_only(&event.fields);
        self.header_only = self.header_only.saturating_add(u64::from(header_only));
        self.truncated = self.truncated.saturating_add(u64::from(truncated));
        self.last = event.seen;
    }
}

/// Counters of all log inputs together.
#[derive(Debug, Default)]
pub struct Counters {
    pub(super) seen: AtomicU64,
    pub(super) processed: AtomicU64,
    pub(super) queue_full: AtomicU64,
    unparsed: AtomicU64,
    truncated: AtomicU64,
    truncated_lost: AtomicU64,
    oversized: AtomicU64,
    sources: Mutex<Vec<Arc<Source>>>,
}

impl Counters {
    /// As a ledger: lines seen, passed on, shed, dropped by the kernel.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        // Processed is read first: what arrives meanwhile is pending, never negative.
        let processed = self.processed.load(Ordering::Acquire);
        let shed = self.queue_full.load(Ordering::Acquire);
        let arrived = self.seen.load(Ordering::Acquire);
        let dropped = self
            .sources()
            .iter()
            .fold(0_u64, |sum, source| sum.saturating_add(source.dropped.load(Ordering::Relaxed)));
        let seen = arrived.saturating_add(dropped);
        let mut ledger = Ledger { seen, processed, dropped, ..Ledger::default() };
        ledger.shed("queue_full", shed);
        ledger.pending = arrived.saturating_sub(processed).saturating_sub(shed);
        ledger
    }

    /// Adds a source of this name.
    pub(super) fn source(&self, name: &str) -> Arc<Source> {
        let source = Arc::new(Source::new(name.to_owned()));
        self.lock().push(Arc::clone(&source));
        source
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Source>>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sources, in the order in which they were added.
    #[must_use]
    pub fn sources(&self) -> Vec<Arc<Source>> {
        self.lock().clone()
    }

    pub(super) fn arrived(&self, tally: &Tally) {
        self.seen.fetch_add(tally.lines, Ordering::Release);
        self.unparsed.fetch_add(tally.unparsed, Ordering::Relaxed);
        self.oversized.fetch_add(tally.truncated, Ordering::Relaxed);
    }

    /// Lines that no parser understood; they are kept whole.
    #[must_use]
    pub fn unparsed(&self) -> u64 {
        self.unparsed.load(Ordering::Relaxed)
    }

    /// Files that were truncated while being read.
    #[must_use]
    pub fn truncated(&self) -> u64 {
        self.truncated.load(Ordering::Relaxed)
    }

    /// Bytes that were seen in files before these were truncated, and never read.
    #[must_use]
    pub fn truncated_lost(&self) -> u64 {
        self.truncated_lost.load(Ordering::Relaxed)
    }

    /// Lines that were cut because they were too long.
    #[must_use]
    pub fn oversized(&self) -> u64 {
        self.oversized.load(Ordering::Relaxed)
    }

    /// Counts a file that was truncated while being read, and the bytes that nobody can read any more.
    pub fn count_truncated(&self, lost: u64) {
        self.truncated.fetch_add(1, Ordering::Relaxed);
        self.truncated_lost.fetch_add(lost, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Format;
    use crate::parse::{Parser, Zone};

    #[test]
    fn messages_that_nobody_knows_are_counted_apart_from_lines_that_nobody_knows() {
        let parser = Parser::new(Format::Auto, Zone::utc());
        let source = Source::new("files".to_owned());
        let mut tally = Tally::default();
        for line in [
            "Nov 22 15:04:05 web1 sshd[7]: Accepted publickey for a from 192.0.2.1 port 1 ssh2",
            "Nov 22 15:04:05 web1 sshd[7]: something new",
            "Nov 22 15:04:05 web1 app: something new",
            "something new",
        ] {
            let (event, parsed) = parser.event(line.as_bytes(), Timestamp::EPOCH);
            tally.add(&event, parsed, line.len());
        }
        source.arrived(&tally);
        let report = source.report();
        assert_eq!((report.lines, report.header_only, report.unparsed), (4, 2, 1));
    }
}
