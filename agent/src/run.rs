//! The agent's daemon: opens everything, gives up its privileges, starts the threads, stops in order.
//!
//! Order of stopping: inputs, then the outbox (what is queued is spooled), then the link (what is
//! spooled is shipped while the collector answers), then exit. What is not shipped stays spooled.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use caps::Capability;
use crossbeam_channel::Sender;
use event::{AgentId, Timestamp};
use link::client::{self, ClientConfig, LinkStatus, SharedSpool};
use link::proto::Hello;
use link::spool::{Limits, Spool};
use service::{Clock, Shutdown};
use signature::{Names, Tables};
use tokio::sync::watch;

use crate::config::Config;
use crate::exporters::Exporters;
use crate::filestore::Files;
use crate::identity::Identity;
use crate::inbox::Inbox;
use crate::memory::Memory;
use crate::outbox::{Checkpoint, Detector, Outbox};
use crate::report::Reporter;
use crate::sensor::settings::Settings;
use crate::sensor::signatures::{self, Signatures};
use crate::sensor::{live, playback, records};
use crate::{detect, outbox, privileges, report};
use logs::config::{EvtxConfig, FileConfig};
use logs::source::command::Scheduled;
use logs::source::tail::{self, Tailer};
use logs::source::{self, Intake, Item, Positions, audit, evtx, inventory, journald, syslog};

/// Events between the inputs and the outbox.
const QUEUE: usize = 8192;
/// Items of many events between files and outbox.
const BULK: usize = 16;
/// Name of the inventory as a source, a thread and in the agent's memory.
const INVENTORY: &str = "inventory";
/// Longest time to ship what is spooled when stopping.
const DRAIN: Duration = Duration::from_secs(5);

/// Everything that was opened with privileges.
struct Opened {
    listeners: Vec<syslog::Listener>,
    exporters: Exporters,
    audit: Vec<audit::Source>,
    rings: Vec<live::Opened>,
}

/// Runs the agent until it is told to stop.
///
/// # Errors
/// When something cannot be opened; the error names it.
pub fn run(config: &Config) -> Result<()> {
    service::init_logging(&config.log, config.log_format).map_err(anyhow::Error::msg)?;
    let identity = Identity::load(&config.data)?;
    let clock = Clock::system();
    let boot = random()?;
    let limits = Limits {
        bytes: config.spool.megabytes.saturating_mul(1024 * 1024),
        when_full: config.spool.when_full,
        ..Limits::default()
    };
    let memory = Memory::new(config.data.clone(), identity.memory_key.clone());
    let opened = open(config, &memory)?;
    privileges::drop(config.user.as_deref(), &wanted(config))?;
    // By the user that goes on writing it: what root made here nobody else could write.
    let folder = config.data.join("spool");
    let mut spool = Spool::open(&folder, identity.spool_key.clone(), limits, boot)?;
    for damage in spool.damage() {
        tracing::error!(damage, "spool was damaged");
    }
    let spool = SharedSpool::new(spool);
    tracing::info!(agent = identity.agent, version = env!("CARGO_PKG_VERSION"), "agent starts");
    Daemon { config, identity, clock, spool }.run(opened)
}

/// What the inputs need beyond what every agent keeps.
fn wanted(config: &Config) -> Vec<Capability> {
    let lost = config.logs.audit.iter().any(|one| one.is_live() && one.kernel_lost);
    let users = config.logs.commands.iter().any(|one| one.user.is_some());
    let owners = config.logs.inventory.as_ref().is_some_and(|one| one.owners);
    let mut wanted = Vec::new();
    wanted.extend(lost.then_some(Capability::CAP_AUDIT_CONTROL));
    wanted.extend(owners.then_some(Capability::CAP_SYS_PTRACE));
    if users {
        // To become them, and to end what they have started.
        wanted.extend([Capability::CAP_SETUID, Capability::CAP_SETGID, Capability::CAP_KILL]);
    }
    wanted
}

fn random() -> Result<u64> {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).context("the system gives no random numbers")?;
    Ok(u64::from_le_bytes(bytes))
}

fn open(config: &Config, memory: &Memory) -> Result<Opened> {
    let listeners = config.logs.syslog.iter().map(syslog::Listener::open);
    let listeners = listeners.collect::<Result<_, _>>()?;
    let exporters = Exporters::open(&config.logs.netflow, memory)?;
    let audit = config.logs.audit.iter().map(audit::Source::open).collect::<Result<_, _>>()?;
    let mut rings = Vec::new();
    for interface in &config.interfaces {
        let first = u64::try_from(rings.len()).unwrap_or(0);
        rings.extend(live::open(interface, first)?);
    }
    Ok(Opened { listeners, exporters, audit, rings })
}

/// Reads the signatures; each one that is refused is told by name.
fn signatures(config: &Config) -> Result<Signatures> {
    if config.rules.signatures.is_empty() {
        return Ok(Signatures::default());
    }
    let (rules, report) = signatures::read(&config.rules, &Names::default(), None)?;
    let refused = signatures::refused(&report);
    tracing::info!(loaded = rules.len(), refused, "signatures");
    Ok(Signatures::new(Some(Arc::new(rules)), refused))
}

/// This machine's name.
#[must_use]
pub fn host_name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned())
}

/// Everything that detects.
struct Rules {
    signatures: Arc<Signatures>,
    detectors: Vec<Box<dyn Detector>>,
    /// Loaded and refused, by engine.
    figures: BTreeMap<String, detect::Loaded>,
}

struct Daemon<'a> {
    config: &'a Config,
    identity: Identity,
    clock: Clock,
    spool: Arc<SharedSpool>,
}

impl Daemon<'_> {
    fn run(self, opened: Opened) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("io")
            .enable_all()
            .build()
            .context("cannot start the IO threads")?;
        runtime.block_on(self.serve(opened))
    }

    async fn serve(self, opened: Opened) -> Result<()> {
        let stop_inputs = Shutdown::new();
        stop_inputs.on_signals().context("cannot listen for signals")?;
        let checkpoint = Checkpoint::new(&self.config.data);
        let positions = checkpoint.recover(&self.spool)?;
        checkpoint.save(&self.spool, &positions)?;

        let (queue, items) = crossbeam_channel::bounded(QUEUE);
        let (bulk_in, bulk) = crossbeam_channel::bounded(BULK);
        let (records, parcels) = records::queue();
        let log_counters = Arc::new(source::Counters::default());
        let outbox_counters = Arc::new(outbox::Counters::default());
        let intake = Intake::new(queue.clone(), Arc::clone(&log_counters), stop_inputs.clone())
            .with_bulk(bulk_in);
        let memory = Memory::new(self.config.data.clone(), self.identity.memory_key.clone());
        let Rules { signatures, detectors, figures } = self.rules(&memory)?;
        let packets = Arc::new(live::Counters::default());
        let store = self.files().options(&self.config.files)?;
        let shared = live::Shared {
            settings: Settings { store, ..Settings::default() },
            signatures: Arc::clone(&signatures),
            tables: Arc::new(Tables::default()),
            records,
            queue: queue.clone(),
            counters: Arc::clone(&packets),
            clock: self.clock.clone(),
            shutdown: stop_inputs.clone(),
        };
        let mut inputs = self.start_inputs(opened, &shared, &positions, &intake)?;
        let config = self.config.rules.clone();
        inputs.push(signatures::renew_on_hangup(&signatures, config, &shared)?);
        drop(shared);
        let stop_outbox = Shutdown::new();
        let outbox = Outbox {
            inbox: Inbox::new(items, parcels).with_bulk(bulk),
            spool: Arc::clone(&self.spool),
            agent: AgentId::new(&self.identity.agent)?,
            detectors,
            positions,
            checkpoint,
            memory,
            counters: Arc::clone(&outbox_counters),
            clock: self.clock.clone(),
            shutdown: stop_outbox.clone(),
        };
        let outbox = spawn("outbox", move || outbox.run())?;

        let (status_in, status) = watch::channel(LinkStatus::default());
        let (reports_in, reports) = watch::channel(Vec::new());
        let stop_link = Shutdown::new();
        let shipped = self.ship(reports, status_in, stop_link.clone());
        let reporter = Reporter {
            clock: self.clock.clone(),
            started: Timestamp::from_micros(self.clock.now_micros()),
            spool: Arc::clone(&self.spool),
            logs: log_counters,
            outbox: outbox_counters,
            link: status,
            inputs: report::describe(self.config),
            packets,
            rules: figures,
            signatures,
            memory: Memory::new(self.config.data.clone(), self.identity.memory_key.clone()),
        };
        let reporting = tokio::spawn(reporter.run(reports_in, queue, stop_link.clone()));

        stop_inputs.wait().await;
        join(inputs).await;
        drop(intake);
        stop_outbox.trigger();
        join(vec![outbox]).await;
        stop_link.trigger();
        shipped.await.context("link failed")?;
        reporting.await.context("report failed")?;
        let mut spool = self.spool.lock();
        spool.finish()?;
        tracing::info!(spooled = spool.pending(), "agent stopped");
        Ok(())
    }

    /// Ships what is in the spool until it is told to stop.
    fn ship(
        &self,
        reports: watch::Receiver<Vec<u8>>,
        status: watch::Sender<LinkStatus>,
        stop: Shutdown,
    ) -> tokio::task::JoinHandle<()> {
        let spool = Arc::clone(&self.spool);
        tokio::spawn(client::run(self.link_config(), spool, reports, status, stop))
    }

    fn link_config(&self) -> ClientConfig {
        let collectors = if self.config.collectors.is_empty() {
            self.identity.collectors.clone()
        } else {
            self.config.collectors.clone()
        };
        ClientConfig {
            collectors,
            authority: self.identity.authority.clone(),
            certificate: self.identity.certificate.clone(),
            key: self.identity.key.clone(),
            hello: Hello {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                host: host_name(),
                zone: self.config.zone.clone(),
                region: self.config.region.clone(),
                ..Hello::default()
            },
            drain: DRAIN,
        }
    }

    /// Loads all rules; what is refused is told by name.
    fn rules(&self, memory: &Memory) -> Result<Rules> {
        let signatures = Arc::new(signatures(self.config)?);
        let mut figures = BTreeMap::new();
        let mut detectors = Vec::new();
        for (engine, found) in [
            ("sigma", detect::sigma(&self.config.rules, &host_name())?),
            ("anomaly", detect::anomaly(&self.config.rules, Some(memory))?),
        ] {
            if let Some((detector, loaded)) = found {
                detectors.push(detector);
                figures.insert(engine.to_owned(), loaded);
            }
        }
        Ok(Rules { signatures, detectors, figures })
    }

    fn files(&self) -> Files {
        Files::new(&self.config.data, self.identity.file_key.clone())
    }

    fn start_inputs(
        &self,
        opened: Opened,
        shared: &live::Shared,
        positions: &Positions,
        intake: &Intake,
    ) -> Result<Vec<JoinHandle<()>>> {
        let mut threads = Vec::new();
        let store = &shared.settings.store;
        if store.enabled {
            let thread = self.files().start(store.clone(), shared.shutdown.clone());
            threads.push(thread.context("cannot start the thread files")?);
        }
        for ring in opened.rings {
            let thread = live::start(ring, shared.clone());
            threads.push(thread.context("cannot start a packet worker")?);
        }
        if let Some(folder) = &self.config.playback {
            let thread = playback::start(folder.clone(), shared.clone());
            threads.push(thread.with_context(|| format!("cannot use {}", folder.display()))?);
        }
        for (listener, config) in opened.listeners.into_iter().zip(&self.config.logs.syslog) {
            let intake = intake.of(&format!("syslog {}", listener.name()));
            let intake = intake.quiet(config.quiet_after);
            tokio::spawn(listener.serve(intake, self.clock.clone()));
        }
        opened.exporters.start(intake, &self.clock);
        for (audit, config) in opened.audit.into_iter().zip(&self.config.logs.audit) {
            let intake = intake.of(&audit.name()).quiet(config.quiet_after);
            let clock = self.clock.clone();
            let positions = positions.clone();
            threads.push(spawn("audit", move || {
                if let Err(error) = audit.run(&positions, intake, &clock) {
                    tracing::error!(%error, "records of the audit system are not read");
                }
            })?);
        }
        for config in &self.config.logs.commands {
            let scheduled = Scheduled::new(config)?;
            let intake = intake.of(&format!("command {}", scheduled.name()));
            let intake = intake.quiet(config.quiet_after);
            tokio::spawn(scheduled.serve(intake, self.clock.clone()));
        }
        let files = self.config.logs.all_files();
        if !files.is_empty() {
            let tailer = Tailer::new(&files, positions.clone(), self.clock.clone())?;
            let named = |file: &FileConfig| {
                let kind = if file.containers { "containers" } else { "files" };
                intake.of(&format!("{kind} {}", file.paths.join(" "))).quiet(file.quiet_after)
            };
            let (intakes, clock) = (files.iter().map(named).collect(), self.clock.clone());
            threads.push(spawn("tail", move || tail::run(tailer, intakes, &clock))?);
        }
        if let Some(config) = self.config.logs.journald.clone() {
            let intake = intake.of("journald").quiet(config.quiet_after);
            let clock = self.clock.clone();
            let positions = positions.clone();
            threads.push(spawn("journald", move || {
                journald::run(&config, &positions, &intake, &clock);
            })?);
        }
        threads.extend(self.start_event_logs(positions, intake)?);
        threads.extend(self.start_inventory(intake)?);
        Ok(threads)
    }

    fn start_event_logs(
        &self,
        positions: &Positions,
        intake: &Intake,
    ) -> Result<Vec<JoinHandle<()>>> {
        let start = |config: &EvtxConfig| {
            let intake = intake.of(&config.name()).quiet(config.quiet_after);
            let (config, positions) = (config.clone(), positions.clone());
            let clock = self.clock.clone();
            spawn("evtx", move || evtx::run(&config, &positions, intake, &clock))
        };
        self.config.logs.evtx.iter().map(start).collect()
    }

    fn start_inventory(&self, intake: &Intake) -> Result<Option<JoinHandle<()>>> {
        let Some(config) = self.config.logs.inventory.clone() else { return Ok(None) };
        let memory = Memory::new(self.config.data.clone(), self.identity.memory_key.clone());
        let (intake, clock) = (intake.of(INVENTORY), self.clock.clone());
        let thread = spawn(INVENTORY, move || {
            let kept = memory.load(INVENTORY);
            let keep = |bytes: &[u8]| {
                if let Err(error) = memory.save(INVENTORY, bytes) {
                    tracing::error!(%error, "what is known of this host is not kept");
                }
            };
            inventory::run(&config, kept.as_deref(), keep, &intake, &clock);
        });
        thread.map(Some)
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body);
    thread.with_context(|| format!("cannot start the thread {name}"))
}

async fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        let name = thread.thread().name().unwrap_or("?").to_owned();
        let joined = tokio::task::spawn_blocking(move || thread.join());
        if !matches!(joined.await, Ok(Ok(()))) {
            tracing::error!(name, "thread panicked");
        }
    }
}

/// Checks everything that can be checked without running: configuration, identity, patterns, rules.
/// Gives how many rules are refused; each is named in the log.
///
/// # Errors
/// The first problem found beyond those of the configuration itself.
pub fn check(config: &Config) -> Result<u64> {
    service::init_logging(&config.log, config.log_format).map_err(anyhow::Error::msg)?;
    Tailer::new(&config.logs.all_files(), Positions::new(), Clock::system())?;
    for command in &config.logs.commands {
        Scheduled::new(command)?;
    }
    let (_, signatures) = signatures(config)?.figures();
    let sigma = detect::sigma(&config.rules, &host_name())?.map_or(0, |(_, loaded)| loaded.1);
    let anomaly = detect::anomaly(&config.rules, None)?.map_or(0, |(_, loaded)| loaded.1);
    Identity::load(&config.data)?;
    Ok(signatures.saturating_add(sigma).saturating_add(anomaly))
}

/// The way of packet workers to the outbox.
pub type EventQueue = Sender<Item>;
