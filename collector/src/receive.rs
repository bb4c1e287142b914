//! Sources that the collector reads itself: syslog, NetFlow and IPFIX, files of sensors and event logs on its host.
//!
//! They are those of the agent (crate `logs`) and go through one bounded queue into the pipeline in
//! batches. While the pipeline takes nothing, a batch is tried again and the queue fills: senders
//! over TCP and files wait, datagrams too, in the kernel's buffer, and what it drops is counted. How far files were read is kept by
//! `book`, so that a line is stored once, whenever the collector is killed.
//!
//! Order of stopping: the inputs, then what is in the queue, then the templates of exporters.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use event::{AgentId, Event, Ledger, Origin, SourceReport, Timestamp, set};
use logs::config::{EvtxConfig, FileConfig, NetflowConfig, Quiet, SyslogConfig, Transport};
use logs::netflow::Templates;
use logs::source::quiet::Watcher;
use logs::source::tail::Tailer;
use logs::source::{Counters, Intake, Item, Positions, evtx, netflow, syslog, tail};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::{Clock, Shutdown};

use crate::correlate::Memory;
use crate::init::Folder;
use crate::pipeline::{Pipeline, Sent};

mod book;
#[cfg(test)]
mod tests;

use book::{Book, Moves};

/// Events between the inputs and the pipeline.
const QUEUE: usize = 16_384;
/// Items of many events between files and the pipeline.
const BULK: usize = 16;
/// Events after which a batch is stored; it may have those of one item more.
const BATCH: usize = 2_048;
/// Longest wait for a batch to fill.
const LINGER: Duration = Duration::from_millis(50);
/// Wait before a batch that was not taken is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// Time between two savings of templates.
const KEEP: Duration = Duration::from_secs(60);
/// Name under which templates are kept.
const TEMPLATES: &str = "netflow";
/// Name under which it is kept what sources usually do.
const QUIET: &str = "sources";
/// Who the events are from.
const NAME: &str = "collector-inputs";

/// What the collector reads itself.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, remote = "Self")]
pub struct ReceiveConfig {
    /// Syslog listeners. TLS uses the collector's own certificate unless another is named.
    pub syslog: Vec<SyslogConfig>,
    /// Listeners for NetFlow and IPFIX.
    pub netflow: Vec<NetflowConfig>,
    /// Files on this host, such as those of a Suricata or Zeek beside the collector.
    pub files: Vec<FileConfig>,
    /// Windows event log files, where hosts copy them to.
    pub evtx: Vec<EvtxConfig>,
    /// Folders of further parsers (`NAME.toml`); one replaces a built-in one of the same name.
    pub parsers: Vec<PathBuf>,
}

impl<'de> Deserialize<'de> for ReceiveConfig {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut config = Self::deserialize(deserializer)?;
        let parsers = logs::config::resolve(&config.parsers, &mut config.files, &mut config.syslog)
            .map_err(serde::de::Error::custom)?;
        config.evtx.iter_mut().for_each(|one| one.parsers = parsers.clone());
        Ok(config)
    }
}

impl ReceiveConfig {
    /// Whether there is nothing to read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        let files = self.files.is_empty() && self.evtx.is_empty();
        self.syslog.is_empty() && self.netflow.is_empty() && files
    }
}

/// What was received, for ledger and console.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ReceiveFigures {
    /// Of all sources together.
    pub ledger: Ledger,
    /// Of each.
    pub sources: Vec<SourceReport>,
}

/// Figures of the collector's own inputs. Cheap to clone; without inputs all is nothing.
#[derive(Clone, Debug, Default)]
pub struct Receiving(Option<Arc<Received>>);

#[derive(Debug)]
struct Received {
    counters: Arc<Counters>,
    memory: Memory,
    /// Who watches for silence, and what the reports were when it looked last.
    watched: Mutex<(Watcher, Vec<SourceReport>)>,
}

impl Received {
    fn watched(&self) -> MutexGuard<'_, (Watcher, Vec<SourceReport>)> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reports(&self) -> Vec<SourceReport> {
        self.counters.sources().iter().map(|source| source.report()).collect()
    }
}

impl Receiving {
    /// What was received so far.
    #[must_use]
    pub fn figures(&self) -> ReceiveFigures {
        let Some(received) = &self.0 else { return ReceiveFigures::default() };
        let mut sources = received.reports();
        for (source, seen) in sources.iter_mut().zip(&received.watched().1) {
            source.quiet_after_seconds = seen.quiet_after_seconds;
            source.quiet_learned = seen.quiet_learned;
            source.silent_since = seen.silent_since;
        }
        ReceiveFigures { ledger: received.counters.ledger(), sources }
    }

    /// Looks which sources are silent, as [`Self::figures`] then says; `blocked` while nothing is taken of
    /// them. To be called at least once a minute.
    pub fn watch(&self, now: Timestamp, blocked: bool) {
        let Some(received) = &self.0 else { return };
        let mut sources = received.reports();
        let mut watched = received.watched();
        let keep = watched.0.observe(&mut sources, now, blocked);
        watched.1 = sources;
        if keep && let Some(bytes) = watched.0.snapshot() {
            received.memory.save(&[(QUIET, bytes)]);
        }
    }
}

/// Opened inputs, not yet served.
#[derive(Debug)]
pub struct Opened {
    /// Each with the silence after which an alarm is wanted.
    syslog: Vec<(syslog::Listener, Option<Quiet>)>,
    netflow: Vec<(netflow::Listener, Option<Quiet>)>,
    files: Vec<FileConfig>,
    evtx: Vec<EvtxConfig>,
    templates: Arc<Templates>,
    counters: Arc<Counters>,
    memory: Memory,
    book: PathBuf,
}

/// A listener over TLS has the collector's certificate when it names none.
fn with_certificate(config: &SyslogConfig, folder: &Folder) -> SyslogConfig {
    let mut config = config.clone();
    if config.transport == Transport::Tls && config.certificate.is_none() && config.key.is_none() {
        config.certificate = Some(folder.server());
        config.key = Some(folder.server_key());
    }
    config
}

/// Opens all sockets and checks all patterns.
///
/// # Errors
/// The first thing that cannot be had.
pub fn open(config: &ReceiveConfig, data: &Path, memory: Memory) -> Result<Opened> {
    let folder = Folder::new(data);
    let templates = match memory.load(TEMPLATES).map(|bytes| Templates::restore(&bytes)) {
        Some(Ok(templates)) => templates,
        Some(Err(error)) => {
            tracing::error!(%error, "templates of exporters are learned anew");
            Templates::default()
        }
        None => Templates::default(),
    };
    let templates = Arc::new(templates);
    let mut syslog = Vec::new();
    for one in &config.syslog {
        let listener = syslog::Listener::open(&with_certificate(one, &folder))?;
        syslog.push((listener, one.quiet_after));
    }
    let mut netflow = Vec::new();
    for one in &config.netflow {
        let listener = netflow::Listener::open(one, Arc::clone(&templates))?;
        netflow.push((listener, one.quiet_after));
    }
    Tailer::new(&config.files, Positions::new(), Clock::system())?;
    Ok(Opened {
        syslog,
        netflow,
        files: config.files.clone(),
        evtx: config.evtx.clone(),
        templates,
        counters: Arc::default(),
        memory,
        book: data.join("inputs.book"),
    })
}

impl Opened {
    /// Figures, also while it is served.
    #[must_use]
    pub fn receiving(&self) -> Receiving {
        let watcher = match self.memory.load(QUIET).map(|bytes| Watcher::restore(&bytes)) {
            Some(Ok(watcher)) => watcher,
            Some(Err(error)) => {
                tracing::error!(%error, "what sources usually do is learned anew");
                Watcher::default()
            }
            None => Watcher::default(),
        };
        let (counters, memory) = (Arc::clone(&self.counters), self.memory.clone());
        let watched = Mutex::new((watcher, Vec::new()));
        Receiving(Some(Arc::new(Received { counters, memory, watched })))
    }

    /// Serves until the shutdown; the thread ends once everything in the queue is stored.
    ///
    /// # Errors
    /// When a thread cannot be started or the book cannot be read.
    pub async fn start(
        self,
        pipeline: Arc<Pipeline>,
        clock: Clock,
        shutdown: Shutdown,
        boot: u64,
    ) -> Result<JoinHandle<()>> {
        let (queue, items) = crossbeam_channel::bounded(QUEUE);
        let agent = AgentId::new(NAME)?;
        let book = Book::open(self.book, self.memory.key().clone(), (agent.clone(), boot));
        let book = book.recover(pipeline.store().as_ref()).await?;
        let (bulk_in, bulk) = crossbeam_channel::bounded(BULK);
        let intake = Intake::new(queue, self.counters, shutdown.clone()).with_bulk(bulk_in);
        for (listener, quiet) in self.syslog {
            let intake = intake.of(&format!("syslog {}", listener.name())).quiet(quiet);
            tokio::spawn(listener.serve(intake, clock.clone()));
        }
        for (listener, quiet) in self.netflow {
            let name = listener.address().map_or_else(|_| "?".to_owned(), |one| one.to_string());
            let intake = intake.of(&format!("netflow udp {name}")).quiet(quiet);
            tokio::spawn(listener.serve(intake, clock.clone()));
        }
        if !self.files.is_empty() {
            let tailer = Tailer::new(&self.files, book.positions().clone(), clock.clone())?;
            let named = |file: &FileConfig| {
                intake.of(&format!("files {}", file.paths.join(" "))).quiet(file.quiet_after)
            };
            let intakes = self.files.iter().map(named).collect();
            let clock = clock.clone();
            spawn("tail", move || tail::run(tailer, intakes, &clock))?;
        }
        for config in self.evtx {
            let intake = intake.of(&config.name()).quiet(config.quiet_after);
            let (positions, clock) = (book.positions().clone(), clock.clone());
            spawn("evtx", move || evtx::run(&config, &positions, intake, &clock))?;
        }
        let origin = Origin {
            agent,
            host: NAME.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            zone: String::new(),
            region: String::new(),
        };
        let drain = Drain {
            items,
            bulk,
            open: 2,
            book,
            origin,
            pipeline,
            shutdown,
            runtime: tokio::runtime::Handle::current(),
            templates: self.templates,
            memory: self.memory,
            clock,
        };
        spawn("receive", move || drain.run())
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body);
    thread.with_context(|| format!("cannot start the thread {name}"))
}

/// From the queue into the pipeline; the body of a thread.
struct Drain {
    items: Receiver<Item>,
    /// Items of many events.
    bulk: Receiver<Item>,
    /// Queues whose senders are not all gone.
    open: u8,
    book: Book,
    origin: Origin,
    pipeline: Arc<Pipeline>,
    shutdown: Shutdown,
    runtime: tokio::runtime::Handle,
    templates: Arc<Templates>,
    memory: Memory,
    clock: Clock,
}

impl Drain {
    fn run(mut self) {
        let mut kept = self.clock.monotonic();
        loop {
            let (events, moved, ended) = self.gather();
            if !events.is_empty() && !self.store(events, moved) {
                return;
            }
            let now = self.clock.monotonic();
            if ended || now.saturating_sub(kept) >= KEEP {
                kept = now;
                self.keep();
            }
            if ended {
                return;
            }
        }
    }

    /// Up to a batch of events, with the positions they stand for, and whether no more will come.
    fn gather(&mut self) -> (Vec<Event>, Moves, bool) {
        let (mut events, mut moved) = (Vec::new(), Moves::new());
        while events.len() < BATCH {
            match self.next() {
                Ok(item) => {
                    moved.extend(item.moved);
                    events.extend(item.events.into_iter().map(from));
                }
                Err(RecvTimeoutError::Timeout) => {
                    let ended = self.shutdown.is_triggered() && events.is_empty();
                    return (events, moved, ended);
                }
                Err(RecvTimeoutError::Disconnected) => return (events, moved, true),
            }
        }
        (events, moved, false)
    }

    /// What came next, from either queue.
    fn next(&mut self) -> Result<Item, RecvTimeoutError> {
        while self.open > 0 {
            crossbeam_channel::select! {
                recv(self.items) -> item => match item {
                    Ok(item) => return Ok(item),
                    Err(_) => self.items = crossbeam_channel::never(),
                },
                recv(self.bulk) -> item => match item {
                    Ok(item) => return Ok(item),
                    Err(_) => self.bulk = crossbeam_channel::never(),
                },
                default(LINGER) => return Err(RecvTimeoutError::Timeout),
            }
            self.open = self.open.saturating_sub(1);
        }
        Err(RecvTimeoutError::Disconnected)
    }

    /// Stores a batch, again and again; false when the collector stops before that succeeds.
    fn store(&mut self, mut events: Vec<Event>, moved: Moves) -> bool {
        let (boot, count) = (self.book.number(&mut events), events.len());
        let Some(prepared) = self.pipeline.prepare(&self.origin, boot, events) else {
            return true;
        };
        let mut told = false;
        loop {
            let outcome = self.book.intend(&moved).map_err(anyhow::Error::from).and_then(|()| {
                let taking = self.pipeline.take_prepared(&prepared, Sent::Other);
                Ok(self.runtime.block_on(taking)?)
            });
            let Err(error) = outcome else {
                self.book.done(moved);
                return true;
            };
            if !told {
                told = true;
                tracing::error!(%error, events = count, "inputs wait: events are not taken");
            }
            if self.shutdown.is_triggered() {
                tracing::error!(events = count, "stopped before these events were taken");
                return false;
            }
            std::thread::sleep(RETRY);
        }
    }

    fn keep(&self) {
        if let Some(bytes) = self.templates.snapshot() {
            self.memory.save(&[(TEMPLATES, bytes)]);
        }
    }
}

/// An event that names no host is of the one that sent it.
fn from(mut event: Event) -> Event {
    if event::get(&event.fields, "host.name").is_none() {
        let sender = ["log.source.address", "observer.ip"].into_iter().find_map(|name| {
            let text = event::get(&event.fields, name)?.as_str()?;
            text.parse::<IpAddr>().is_ok().then(|| text.to_owned())
        });
        if let Some(sender) = sender {
            set(&mut event.fields, "host.name", Value::String(sender));
        }
    }
    event
}
