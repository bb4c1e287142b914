//! Live capture: interfaces opened with privileges, then one worker thread for each ring.
//!
//! A worker owns its ring, its engine and its detector. Records go into the agent's queue; when it
//! is full they are shed and counted: capture never waits. A worker that panics is counted,
//! reported and made anew with an empty engine; the packets it had in hand are shed by name.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use capture::{Burst, Live, LiveError, LiveOptions, LiveStats, Method};
use crossbeam_channel::Sender;
use event::{Kind, Ledger, Timestamp};
use service::{Clock, Shutdown};
use signature::{RuleSet, Tables};

use super::alarm::{self, Texts};
use super::detect::Detector;
use super::eve::fields::{Fields as _, Line};
use super::figures::{Figures, LOSSES, ORDINARY};
use super::records::{Parcel, Records};
use super::report::{Output, Reporter};
use super::settings::Settings;
use super::signatures::Signatures;
use super::worker::{Share, Source, Worker};
use crate::config::{CaptureMethod, InterfaceConfig, WorkerShare};
use logs::source::Item;

/// Packets taken from a ring before counters are published and the clock is looked at.
const PIECE: usize = 1024;
/// Longest wait for packets, milliseconds.
const WAIT: i32 = 100;

/// Counters of all packet workers together.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Packets the kernel gave or dropped.
    kernel: AtomicU64,
    dropped: AtomicU64,
    packets: AtomicU64,
    /// What [`LOSSES`] counts.
    losses: [AtomicU64; LOSSES.len()],
    records: AtomicU64,
    records_shed: AtomicU64,
    panics: AtomicU64,
    /// Packets a worker had in hand when it panicked.
    panicked: AtomicU64,
}

impl Counters {
    /// Kernel to worker: packets.
    pub(crate) fn capture(&self) -> Ledger {
        let packets = self.packets.load(Ordering::Acquire);
        let panicked = self.panicked.load(Ordering::Acquire);
        let dropped = self.dropped.load(Ordering::Acquire);
        let known = packets.saturating_add(panicked).saturating_add(dropped);
        let seen = self.kernel.load(Ordering::Acquire).max(known);
        let pending = seen.saturating_sub(known);
        let mut ledger = Ledger { seen, processed: packets, dropped, pending, ..Ledger::default() };
        ledger.shed("worker_panicked", panicked);
        ledger
    }

    /// Counts a capture file that was played: its packets came without a kernel.
    pub(super) fn played(&self, figures: &Figures) {
        self.kernel.fetch_add(figures.net.packets, Ordering::Release);
        Published::default().figures(figures, self);
    }

    /// What was not fully inspected, by cause.
    pub(crate) fn losses(&self) -> BTreeMap<String, u64> {
        let counted = LOSSES.iter().zip(&self.losses);
        let counted = counted.map(|(loss, n)| (loss.name.to_owned(), n.load(Ordering::Relaxed)));
        counted.filter(|(_, count)| *count > 0).collect()
    }

    /// Worker to outbox: records.
    pub(crate) fn sensor(&self) -> Ledger {
        let records = self.records.load(Ordering::Acquire);
        let shed = self.records_shed.load(Ordering::Acquire);
        let mut ledger =
            Ledger { seen: records.saturating_add(shed), processed: records, ..Ledger::default() };
        ledger.shed("queue_full", shed);
        ledger
    }

    /// What was not fully inspected, in words; empty when everything was.
    pub(crate) fn problems(&self) -> Vec<String> {
        let own = [
            (&self.dropped, "packets dropped by the kernel"),
            (&self.records_shed, "records shed because the queue was full"),
            (&self.panics, "restarts of a packet worker"),
        ];
        let losses = LOSSES.iter().zip(&self.losses);
        let losses = losses.filter(|(loss, _)| !ORDINARY.contains(&loss.name));
        let all = own.into_iter().chain(losses.map(|(loss, counter)| (counter, loss.words)));
        let counted = all.map(|(counter, words)| (counter.load(Ordering::Relaxed), words));
        counted.filter(|(n, _)| *n > 0).map(|(n, words)| format!("{n} {words}")).collect()
    }
}

/// Where a worker gets its frames: an interface, or what a test puts in its place.
pub(super) trait Ring {
    fn wait(&mut self, milliseconds: i32) -> Result<bool, LiveError>;
    fn next_burst(&mut self, most: usize) -> Result<Burst<'_>, LiveError>;
    fn stats(&mut self) -> Result<LiveStats, LiveError>;
}

impl Ring for Live {
    fn wait(&mut self, milliseconds: i32) -> Result<bool, LiveError> {
        Self::wait(self, milliseconds)
    }

    fn next_burst(&mut self, most: usize) -> Result<Burst<'_>, LiveError> {
        Self::next_burst(self, most)
    }

    fn stats(&mut self) -> Result<LiveStats, LiveError> {
        Self::stats(self)
    }
}

/// An interface opened for one worker.
pub(crate) struct Opened<R = Live> {
    ring: R,
    interface: Arc<Interface>,
    index: u64,
    /// It is the one of its interface that tells what the interface itself dropped.
    leads: bool,
    /// What the kernel's counters said last; they outlive a worker, as the ring does.
    kernel: LiveStats,
}

impl<R> std::fmt::Debug for Opened<R> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Opened").field("interface", &self.interface).finish_non_exhaustive()
    }
}

/// What records say of their interface.
#[derive(Debug)]
pub(super) struct Interface {
    name: String,
    role: &'static str,
    zone: Option<String>,
    verify_checksums: bool,
}

impl Interface {
    /// Of a capture file that is played.
    pub(super) fn playback() -> Self {
        Self { name: "playback".to_owned(), role: "mirror", zone: None, verify_checksums: false }
    }
}

/// Opens one ring per worker of an interface. Needs the right to capture.
///
/// # Errors
/// [`LiveError`].
pub(crate) fn open(config: &InterfaceConfig, first: u64) -> Result<Vec<Opened>, LiveError> {
    let interface = Arc::new(Interface {
        name: config.name.clone().unwrap_or_else(|| config.device.clone()),
        role: config.role.as_str(),
        zone: config.zone.clone(),
        verify_checksums: config.verify_checksums,
    });
    let options = options(config, first);
    (first..)
        .take(config.workers)
        .map(|index| {
            let (ring, interface) = (Live::open(&options)?, Arc::clone(&interface));
            tell(&config.device, index, &ring);
            let leads = index == first;
            Ok(Opened { ring, interface, index, leads, kernel: LiveStats::default() })
        })
        .collect()
}

/// Says how a worker reads its interface, and why not as it was meant to.
fn tell(device: &str, worker: u64, ring: &Live) {
    let method = ring.method().as_str();
    match ring.fallback() {
        Some(error) => {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            let cause = cause.unwrap_or_default();
            tracing::warn!(device, worker, method, %error, cause, "capture without the ring");
        }
        None => tracing::info!(device, worker, method, "capture"),
    }
}

fn options(config: &InterfaceConfig, first: u64) -> LiveOptions {
    let group = u16::try_from(std::process::id() & 0xffff).unwrap_or(1);
    let group = group.wrapping_add(u16::try_from(first & 0xffff).unwrap_or(0));
    let mut options = LiveOptions::new(&config.device);
    options.method = match config.method {
        CaptureMethod::Auto => Method::Auto,
        CaptureMethod::Ring => Method::Ring,
        CaptureMethod::Libpcap => Method::Libpcap,
    };
    options.share = match config.share {
        WorkerShare::Flows => capture::Share::Flows,
        WorkerShare::Hosts => capture::Share::Hosts,
    };
    options.filter = config.filter.clone().unwrap_or_default();
    options.snaplen = i32::try_from(config.snap_length).unwrap_or(i32::MAX);
    options.buffer =
        i32::try_from(config.ring_megabytes.saturating_mul(1024 * 1024)).unwrap_or(i32::MAX);
    options.fanout_group = (config.workers > 1).then_some(group);
    options
}

/// What all workers share.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    /// Settings.
    pub(crate) settings: Settings,
    /// Rules, if any.
    pub(crate) signatures: Arc<Signatures>,
    /// State shared by the workers' rules.
    pub(crate) tables: Arc<Tables>,
    /// Where records go.
    pub(crate) records: Sender<Records>,
    /// Where events about the sensor itself go.
    pub(crate) queue: Sender<Item>,
    /// Counters.
    pub(crate) counters: Arc<Counters>,
    /// Clock: only for "seen" and for timers while no packet comes.
    pub(crate) clock: Clock,
    /// When to stop.
    pub(crate) shutdown: Shutdown,
}

/// Starts the thread of one worker.
///
/// # Errors
/// When no thread can be started.
pub(crate) fn start(opened: Opened, shared: Shared) -> std::io::Result<JoinHandle<()>> {
    let name = format!("packets-{}", opened.index);
    std::thread::Builder::new().name(name).spawn(move || supervise(opened, &shared))
}

/// Runs a worker and makes a new one when it panics.
fn supervise<R: Ring>(mut opened: Opened<R>, shared: &Shared) {
    let mut generation = 0_u64;
    while !shared.shutdown.is_triggered() {
        let index = opened.index.wrapping_add(generation << 8);
        let mut published = Published::default();
        let body = || capture(&mut opened, index, shared, &mut published);
        match catch_unwind(AssertUnwindSafe(body)) {
            Ok(Ok(())) => return,
            Ok(Err(error)) => {
                let interface = opened.interface.name.as_str();
                tracing::error!(interface, %error, "capture failed, trying again");
                std::thread::sleep(std::time::Duration::from_secs(1));
            }
            Err(_) => {
                generation = generation.wrapping_add(1);
                shared.counters.panics.fetch_add(1, Ordering::Relaxed);
                let lost = published.taken.saturating_sub(published.packets);
                shared.counters.panicked.fetch_add(lost, Ordering::Release);
                let interface = opened.interface.name.as_str();
                tracing::error!(interface, lost, "packet worker panicked");
            }
        }
    }
}

/// The ring as a source that ends after a while, so that there is time for other things.
struct Piece<'a, R> {
    ring: &'a mut R,
    left: usize,
    taken: &'a mut u64,
}

impl<R: Ring> Source for Piece<'_, R> {
    type Error = LiveError;

    fn next_burst(&mut self, most: usize) -> Result<Burst<'_>, LiveError> {
        let frames = self.ring.next_burst(most.min(self.left))?;
        self.left = self.left.saturating_sub(frames.len());
        *self.taken = self.taken.saturating_add(u64::try_from(frames.len()).unwrap_or(0));
        Ok(frames)
    }
}

fn capture<R: Ring>(
    opened: &mut Opened<R>,
    index: u64,
    shared: &Shared,
    published: &mut Published,
) -> Result<(), LiveError> {
    let rules = shared.signatures.current();
    let output = ToQueue::new(Arc::clone(&opened.interface), shared.clone(), rules.as_ref());
    let detector = rules.map(|rules| Detector::new(rules, Arc::clone(&shared.tables)));
    let reporter = Reporter::new(shared.settings.clone(), output, detector);
    // The kernel has shared the packets out already: this worker takes all it gets.
    let share = Share { index, count: 1 };
    let mut engine = shared.settings.engine.clone();
    engine.decode.checksums = opened.interface.verify_checksums;
    let mut worker = Worker::new(engine, reporter, share);
    let mut outcome = Ok(());
    while outcome.is_ok() && !shared.shutdown.is_triggered() {
        let waited = opened.ring.wait(WAIT);
        if let Some(rules) = worker.rules().and_then(|mine| shared.signatures.newer_than(mine)) {
            worker.renew(rules);
        }
        outcome = match waited {
            Ok(true) => {
                let taken = &mut published.taken;
                worker.run(&mut Piece { ring: &mut opened.ring, left: PIECE, taken })
            }
            Ok(false) => {
                worker.tick(shared.clock.now_micros());
                Ok(())
            }
            Err(error) => Err(error),
        };
        published.figures(&worker.figures(), &shared.counters);
        publish_kernel(opened, &shared.counters);
    }
    // Also when the ring fails: flows that were seen get their records.
    let (_, figures) = worker.finish();
    published.figures(&figures, &shared.counters);
    outcome
}

/// What one worker has published so far.
#[derive(Default)]
struct Published {
    /// Frames taken from the ring.
    taken: u64,
    packets: u64,
    losses: [u64; LOSSES.len()],
}

fn publish(counter: &AtomicU64, published: &mut u64, now: u64) {
    // A counter that went back belongs to a new engine or a new handle.
    let more = if now >= *published { now.saturating_sub(*published) } else { now };
    counter.fetch_add(more, Ordering::Release);
    *published = now;
}

impl Published {
    fn figures(&mut self, figures: &Figures, counters: &Counters) {
        publish(&counters.packets, &mut self.packets, figures.net.packets);
        let places = counters.losses.iter().zip(&mut self.losses);
        for ((counter, published), loss) in places.zip(&LOSSES) {
            publish(counter, published, (loss.count)(figures));
        }
    }
}

fn publish_kernel<R: Ring>(opened: &mut Opened<R>, counters: &Counters) {
    let Ok(now) = opened.ring.stats() else { return };
    let last = &mut opened.kernel;
    publish(&counters.kernel, &mut last.received, now.received);
    publish(&counters.dropped, &mut last.dropped, now.dropped);
    if opened.leads {
        // These never came as far as the kernel's own count.
        let before = last.interface_dropped;
        publish(&counters.dropped, &mut last.interface_dropped, now.interface_dropped);
        publish(&counters.kernel, &mut { before }, now.interface_dropped);
    }
}

/// Records on their way to the agent's outbox.
pub(super) struct ToQueue {
    interface: Arc<Interface>,
    shared: Shared,
    texts: Texts,
    parcel: Parcel,
}

impl ToQueue {
    pub(super) fn new(
        interface: Arc<Interface>,
        shared: Shared,
        rules: Option<&Arc<RuleSet>>,
    ) -> Self {
        let texts = rules.map(Texts::new).unwrap_or_default();
        Self { interface, shared, texts, parcel: Parcel::default() }
    }

    fn seen(&self) -> Timestamp {
        Timestamp::from_micros(self.shared.clock.now_micros())
    }

    fn alert(&mut self, ts: i64) {
        let record = self.parcel.take();
        let detection = alarm::detection(&record, &self.texts);
        let alert = detection.into_event(Timestamp::from_micros(ts), self.seen(), record);
        self.parcel.alert(alert);
    }
}

impl Output for ToQueue {
    type Record = Line;

    fn begin(&mut self) -> &mut Line {
        self.parcel.begin()
    }

    fn renew(&mut self, rules: &Arc<RuleSet>) {
        self.texts = Texts::new(rules);
    }

    fn end(&mut self, ts: i64, kind: &'static str) {
        let record = self.parcel.under_way();
        record.text("in_iface", &self.interface.name);
        record.word("in_role", self.interface.role);
        if let Some(zone) = &self.interface.zone {
            record.text("zone", zone);
        }
        match Kind::from_name(kind) {
            Kind::Alert => self.alert(ts),
            kind => self.parcel.line(ts, kind),
        }
        if self.parcel.is_full() {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.parcel.len() == 0 {
            return;
        }
        let (taken, shed) = self.parcel.send(&self.shared.records, self.seen());
        self.shared.counters.records.fetch_add(taken, Ordering::Release);
        self.shared.counters.records_shed.fetch_add(shed, Ordering::Release);
    }
}

impl Drop for ToQueue {
    /// Also alerts for which there was no room up to the end are counted.
    fn drop(&mut self) {
        self.flush();
        self.shared.counters.records_shed.fetch_add(self.parcel.len(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests;
