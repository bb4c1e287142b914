//! Capture without a collector: workers on an interface as in the daemon, with what they find counted
//! and thrown away, or written as lines of JSON. For trying an interface, a filter, a number of
//! workers or rules, and for measuring.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Args as ClapArgs, ValueEnum};
use crossbeam_channel::RecvTimeoutError;
use event::{Event, Kind};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use serde_json::{Value, json};
use service::{Clock, Shutdown};
use signature::{Names, Tables};

use crate::config::{
    CaptureMethod, InterfaceConfig, ReputationConfig, Role, RulesConfig, WorkerShare,
};
use crate::inbox::{Arrived, Inbox};
use crate::sensor::settings::Settings;
use crate::sensor::signatures::{self, Signatures};
use crate::sensor::{live, records};

/// Events about the sensor itself that may wait.
const QUEUE: usize = 1024;

/// How frames come from the kernel.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Method {
    /// The ring, libpcap where it cannot be had.
    #[default]
    Auto,
    /// The kernel's ring.
    Ring,
    /// libpcap.
    Libpcap,
}

/// Which packets come to the same worker.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Share {
    /// Those of a flow; the kernel joins IPv4 fragments.
    #[default]
    Flows,
    /// Those between two hosts; fragments come as they are.
    Hosts,
}

/// What to watch, and how.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Device, such as `eth0`.
    #[arg(long)]
    device: String,
    /// Packet workers.
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// How frames come from the kernel.
    #[arg(long, value_enum, default_value_t)]
    method: Method,
    /// What several workers share packets by.
    #[arg(long, value_enum, default_value_t)]
    share: Share,
    /// Capture ring of each worker in mebibytes.
    #[arg(long, default_value_t = 64)]
    ring_megabytes: u32,
    /// BPF filter; everything when absent.
    #[arg(long)]
    filter: Option<String>,
    /// Signature files or folders; read again on SIGHUP.
    #[arg(long)]
    rules: Vec<PathBuf>,
    /// Categories of reputations, for `iprep`.
    #[arg(long)]
    reputation_categories: Option<PathBuf>,
    /// Scores of addresses, for `iprep`.
    #[arg(long)]
    reputation: Vec<PathBuf>,
    /// MaxMind DB of countries, for `geoip`.
    #[arg(long)]
    geoip_database: Option<PathBuf>,
    /// File for the records, one JSON object a line; they are only counted without.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Stop after so many seconds; else on SIGINT or SIGTERM.
    #[arg(long)]
    seconds: Option<u64>,
}

impl Args {
    fn interface(&self) -> InterfaceConfig {
        InterfaceConfig {
            device: self.device.clone(),
            name: None,
            role: Role::Mirror,
            zone: None,
            method: match self.method {
                Method::Auto => CaptureMethod::Auto,
                Method::Ring => CaptureMethod::Ring,
                Method::Libpcap => CaptureMethod::Libpcap,
            },
            filter: self.filter.clone(),
            snap_length: 262_144,
            ring_megabytes: self.ring_megabytes,
            verify_checksums: false,
            workers: self.workers,
            share: match self.share {
                Share::Flows => WorkerShare::Flows,
                Share::Hosts => WorkerShare::Hosts,
            },
        }
    }

    fn config(&self) -> RulesConfig {
        let categories = self.reputation_categories.clone();
        RulesConfig {
            signatures: self.rules.clone(),
            reputation: ReputationConfig { categories, files: self.reputation.clone() },
            geoip_database: self.geoip_database.clone(),
            ..RulesConfig::default()
        }
    }

    fn rules(&self) -> Result<Signatures> {
        if self.rules.is_empty() {
            return Ok(Signatures::default());
        }
        let config = self.config();
        let (rules, report) = signatures::read(&config, &Names::default(), None)?;
        Ok(Signatures::new(Some(Arc::new(rules)), signatures::refused(&report)))
    }
}

/// Counts records by kind, and writes them when there is a file.
fn count(mut inbox: Inbox, out: Option<File>) -> std::io::Result<BTreeMap<String, u64>> {
    let writing = out.is_some();
    let mut out = out.map(BufWriter::new);
    let mut kinds = BTreeMap::<String, u64>::new();
    let mut note = |kind: &Kind| match kinds.get_mut(kind.as_str()) {
        Some(count) => *count = count.saturating_add(1),
        None => drop(kinds.insert(kind.as_str().to_owned(), 1)),
    };
    let mut write = |event: &Event| match &mut out {
        Some(out) => {
            serde_json::to_writer(&mut *out, &event.fields)?;
            out.write_all(b"\n")
        }
        None => Ok(()),
    };
    loop {
        match inbox.next(Duration::from_secs(1)) {
            Ok(Arrived::Item(item)) => {
                for event in &item.events {
                    note(&event.kind);
                    write(event)?;
                }
            }
            Ok(Arrived::Records(records)) => {
                records.kinds().for_each(&mut note);
                if writing {
                    records.into_events().try_for_each(|event| write(&event))?;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    out.map_or(Ok(()), |mut out| out.flush())?;
    Ok(kinds)
}

/// Watches an interface until it is told to stop; what was seen, as JSON.
///
/// # Errors
/// When the interface or a file cannot be opened.
pub fn run(args: &Args) -> Result<Value> {
    service::init_logging("warn", service::LogFormat::default()).map_err(anyhow::Error::msg)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the IO thread")?;
    runtime.block_on(watch(args))
}

async fn watch(args: &Args) -> Result<Value> {
    let shutdown = Shutdown::new();
    shutdown.on_signals().context("cannot listen for signals")?;
    let signatures = Arc::new(args.rules()?);
    let rings = live::open(&args.interface(), 0)?;
    let out = args.out.as_ref().map(File::create).transpose().context("cannot write records")?;
    let (queue, items) = crossbeam_channel::bounded(QUEUE);
    let (records, parcels) = records::queue();
    let inbox = Inbox::new(items, parcels);
    let counting = std::thread::Builder::new().name("records".to_owned());
    let counting = counting.spawn(move || count(inbox, out))?;
    let counters = Arc::new(live::Counters::default());
    let shared = live::Shared {
        settings: Settings::default(),
        signatures: Arc::clone(&signatures),
        tables: Arc::new(Tables::default()),
        records,
        queue: queue.clone(),
        counters: Arc::clone(&counters),
        clock: Clock::system(),
        shutdown: shutdown.clone(),
    };
    let workers = rings.into_iter().map(|ring| live::start(ring, shared.clone()));
    let mut workers: Vec<JoinHandle<()>> = workers.collect::<Result<_, _>>()?;
    workers.push(signatures::renew_on_hangup(&signatures, args.config(), &shared)?);
    drop((shared, queue));
    match args.seconds {
        Some(seconds) => tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(seconds)) => shutdown.trigger(),
            () = shutdown.wait() => {}
        },
        None => shutdown.wait().await,
    }
    for worker in workers {
        anyhow::ensure!(worker.join().is_ok(), "a worker panicked");
    }
    let records =
        counting.join().map_err(|_| anyhow::anyhow!("the count of records panicked"))??;
    Ok(summary(&counters, &signatures, &records))
}

fn summary(
    counters: &live::Counters,
    signatures: &Signatures,
    records: &BTreeMap<String, u64>,
) -> Value {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok();
    let cpu = usage.as_ref().map(|usage| {
        (usage.user_time().num_milliseconds() + usage.system_time().num_milliseconds()) as f64 / 1e3
    });
    json!({
        "capture": counters.capture(),
        "records": counters.sensor(),
        "kinds": records,
        "not_inspected": counters.losses(),
        "signatures": signatures.figures(),
        "cpu_seconds": cpu,
        "peak_kilobytes": usage.map(|usage| usage.max_rss()),
    })
}
