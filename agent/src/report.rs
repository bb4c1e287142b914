//! The agent's report on itself: to the collector every few seconds, as an event every minute.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use event::{Event, Hop, Kind, Ledger, Object, Report, Timestamp};
use link::client::{LinkStatus, SharedSpool};
use serde_json::{Value, json};
use service::{Clock, Shutdown};
use tokio::sync::watch;

use crate::config::Config;
use crate::memory::Memory;
use crate::outbox;
use crate::run::EventQueue;
use crate::sensor::live;
use crate::sensor::signatures::Signatures;
use logs::source::quiet::Watcher;
use logs::source::{self, Item};

/// Seconds between two reports.
const EVERY: Duration = Duration::from_secs(2);
/// Name under which what is known of log sources is kept.
const SOURCES: &str = "sources";
/// What is said while the spool takes nothing.
const WAITING: &str = "spool is full, sources wait";
/// Reports between two events of kind `health`.
const EVENT_EVERY: u32 = 30;

/// Collects the figures of all parts.
pub struct Reporter {
    /// Clock.
    pub clock: Clock,
    /// When the agent started.
    pub started: Timestamp,
    /// Spool.
    pub spool: Arc<SharedSpool>,
    /// Counters of the log inputs.
    pub logs: Arc<source::Counters>,
    /// Counters of the outbox.
    pub outbox: Arc<outbox::Counters>,
    /// State of the link.
    pub link: watch::Receiver<LinkStatus>,
    /// Inputs in words.
    pub inputs: Vec<String>,
    /// Counters of the packet workers.
    pub(crate) packets: Arc<live::Counters>,
    /// Rules in force and refused, by engine over events.
    pub rules: BTreeMap<String, (u64, u64)>,
    /// Signatures, which are renewed while the agent runs.
    pub(crate) signatures: Arc<Signatures>,
    /// Where what is known of log sources is kept.
    pub(crate) memory: Memory,
}

impl std::fmt::Debug for Reporter {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Reporter(..)")
    }
}

/// The configured inputs in words.
#[must_use]
pub fn describe(config: &Config) -> Vec<String> {
    let mut out = Vec::new();
    for interface in &config.interfaces {
        let name = interface.name.as_deref().unwrap_or(&interface.device);
        out.push(format!("interface {name} ({})", interface.role.as_str()));
    }
    out.extend(config.playback.iter().map(|path| format!("playback {}", path.display())));
    out.extend(config.logs.files.iter().map(|file| format!("files {}", file.paths.join(" "))));
    out.extend(config.logs.containers.iter().map(|_| "containers".to_owned()));
    out.extend(config.logs.journald.iter().map(|_| "journald".to_owned()));
    out.extend(config.logs.audit.iter().map(logs::config::AuditConfig::name));
    out.extend(config.logs.evtx.iter().map(logs::config::EvtxConfig::name));
    out.extend(config.logs.inventory.iter().map(|_| "inventory".to_owned()));
    out.extend(config.logs.commands.iter().map(|one| format!("command {}", one.name)));
    out.extend(config.logs.syslog.iter().map(|one| format!("syslog {}", one.listen)));
    out
}

impl Reporter {
    /// The report of this moment.
    #[must_use]
    pub fn report(&self) -> Report {
        let link = self.link.borrow().clone();
        let spool = self.spool.lock();
        let mut problems = Vec::new();
        let outbox = self.outbox.ledger();
        if let (None, Some(error)) = (&link.connected, &link.last_error) {
            problems.push(format!("link is down: {error}"));
        }
        if self.outbox.waits() > 0 && outbox.pending > 0 {
            problems.push(WAITING.to_owned());
        }
        problems.extend(self.packets.problems());
        problems.extend(self.signatures.problem());
        let mut rules = self.rules.clone();
        rules.insert("signature".to_owned(), self.signatures.figures());
        for (engine, (_, refused)) in &rules {
            if *refused > 0 {
                problems.push(format!("{refused} {engine} rules refused; see the agent's log"));
            }
        }
        // The collector's books hold the other side of this hop.
        let mut shipping =
            Ledger { processed: link.acknowledged, pending: spool.pending(), ..Ledger::default() };
        shipping.shed("rejected", link.rejected);
        shipping.shed("skipped", link.skipped);
        shipping.seen = [link.acknowledged, link.rejected, link.skipped, shipping.pending]
            .into_iter()
            .fold(0, u64::saturating_add);
        Report {
            time: Timestamp::from_micros(self.clock.now_micros()),
            boot: spool.boot(),
            started: self.started,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ledgers: [
                (Hop::Capture, self.packets.capture()),
                (Hop::Sensor, self.packets.sensor()),
                (Hop::Logs, self.logs.ledger()),
                (Hop::Outbox, outbox),
                (Hop::Link, shipping),
            ]
            .into(),
            rules,
            not_inspected: self.packets.losses(),
            last_seq: spool.next_seq().saturating_sub(1),
            pending: spool.pending(),
            spool_bytes: spool.bytes(),
            acknowledged: link.acknowledged,
            rejected: link.rejected,
            skipped: link.skipped,
            inputs: self.inputs.clone(),
            sources: self.logs.sources().iter().map(|source| source.report()).collect(),
            problems,
            resident_bytes: resident(),
        }
    }

    /// Reports until `shutdown`.
    pub async fn run(self, reports: watch::Sender<Vec<u8>>, queue: EventQueue, shutdown: Shutdown) {
        let mut count = 0_u32;
        let mut watcher = self.watcher();
        while !shutdown.is_triggered() {
            let mut report = self.report();
            let blocked = report.problems.iter().any(|problem| problem == WAITING);
            if watcher.observe(&mut report.sources, report.time, blocked) {
                self.keep(&watcher).await;
            }
            match serde_json::to_vec(&report) {
                Ok(json) => {
                    reports.send_replace(json);
                }
                Err(error) => tracing::error!(%error, "report could not be written"),
            }
            if count.is_multiple_of(EVENT_EVERY)
                && let Err(error) = queue.try_send(health(&report))
            {
                tracing::debug!(%error, "no room for a health event; the next one follows");
            }
            count = count.wrapping_add(1);
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = shutdown.wait() => {}
            }
        }
        self.keep(&watcher).await;
    }

    /// What watches the log sources, with what it knew before.
    fn watcher(&self) -> Watcher {
        match self.memory.load(SOURCES).map(|bytes| Watcher::restore(&bytes)) {
            Some(Ok(watcher)) => watcher,
            Some(Err(error)) => {
                self.memory.set_aside(SOURCES, &error.to_string());
                Watcher::default()
            }
            None => Watcher::default(),
        }
    }

    async fn keep(&self, watcher: &Watcher) {
        let (memory, Some(bytes)) = (self.memory.clone(), watcher.snapshot()) else { return };
        let kept = tokio::task::spawn_blocking(move || memory.save(SOURCES, &bytes));
        if let Err(error) = kept.await.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
            tracing::error!(%error, "what is known of log sources could not be kept");
        }
    }
}

/// The report as an event of kind `health`.
fn health(report: &Report) -> Item {
    let mut fields = Object::new();
    fields.insert("message".into(), Value::String("agent report".to_owned()));
    fields.insert("health".into(), json!(report));
    let event = Event { seq: 0, time: report.time, seen: report.time, kind: Kind::Health, fields };
    Item::new(event)
}

/// Resident memory of this process in bytes, as Linux tells it; 0 elsewhere.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0).saturating_mul(4096)
}
