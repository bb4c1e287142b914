//! Measures the embedded store beside the bare index library with the same schema and documents.
//!
//! `store_bench ingest|queries|latency --mode store|bare|sealed ... DIRECTORY`, one measurement a
//! process, figures as one line of JSON; `cargo xtask bench store` runs them in turn and compares.
//! CPU time is the process's own without the thread that makes the events.
#![expect(clippy::print_stdout, reason = "its output is its purpose")]

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod bare;
mod ingest;
mod latency;
mod make;
mod queries;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand, ValueEnum};
use pikett_collector::keys::{MasterKey, MasterSource};
use pikett_collector::store::{Config, Embedded, Store as _};
use pikett_collector::vault::Vault;
use serde_json::json;

/// What stands behind the measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// The embedded store: durable log, deduplication, encryption, index.
    Store,
    /// The index library alone on plain files, its defaults, one writing thread.
    Bare,
    /// The same over the encrypting directory.
    Sealed,
}

#[derive(Debug, Parser)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take in events until all are searchable.
    Ingest {
        #[arg(long)]
        mode: Mode,
        #[arg(long, default_value_t = 1_000_000)]
        events: u64,
        /// The source waits while so many events are not indexed yet; it never does when absent, and
        /// what the index falls behind is read from the log.
        #[arg(long)]
        ahead: Option<u64>,
        /// Lines of JSON instead of made events.
        #[arg(long)]
        input: Option<PathBuf>,
        directory: PathBuf,
    },
    /// Merge what `ingest` left, as when the partition is quiet.
    Merge { directory: PathBuf },
    /// Ask an index that `ingest` made.
    Queries {
        #[arg(long)]
        mode: Mode,
        #[arg(long, default_value_t = 5)]
        repeats: usize,
        directory: PathBuf,
    },
    /// Take in at a steady rate and look how soon each event is found.
    Latency {
        #[arg(long, default_value_t = 5_000)]
        rate: u64,
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        directory: PathBuf,
    },
}

fn main() -> Result<()> {
    pikett_collector::process::keep_memory();
    match Options::parse().command {
        Command::Ingest { mode, events, ahead, input, directory } => {
            ingest::run(mode, &directory, (events, ahead), input)
        }
        Command::Merge { directory } => merge(&directory),
        Command::Queries { mode, repeats, directory } => queries::run(mode, &directory, repeats),
        Command::Latency { rate, seconds, directory } => latency::run(&directory, rate, seconds),
    }
}

/// Waits until a quiet store has nothing more to merge; tells what that took.
fn merge(directory: &std::path::Path) -> Result<()> {
    let store = Embedded::open(Config { quiet: Duration::ZERO, ..config(directory)? })?;
    let before = store.figures();
    let mut last = (before.merges, 0_u32);
    // A look is taken every ten seconds; a merge may take longer than that.
    while last.1 < 120 {
        std::thread::sleep(Duration::from_secs(1));
        let merges = store.figures().merges;
        last = if merges == last.0 { (merges, last.1.saturating_add(1)) } else { (merges, 0) };
    }
    let after = store.figures();
    println!(
        "{}",
        json!({
            "segments_before": before.segments, "segments": after.segments, "merges": after.merges,
            "cpu_seconds": process_seconds()?, "peak_bytes": peak_bytes()?,
            "bytes_before": before.index_bytes, "bytes": after.index_bytes,
        })
    );
    store.close();
    Ok(())
}

/// The store as the collector has it.
fn store(directory: &std::path::Path) -> Result<Embedded> {
    Ok(Embedded::open(config(directory)?)?)
}

fn config(directory: &std::path::Path) -> Result<Config> {
    let now = std::sync::Arc::new(|| event::Timestamp::from_seconds(make::BEGIN + 7_200));
    let key = directory.join("master.key");
    if !key.exists() {
        MasterKey::create(&key)?;
    }
    let vault = Vault::open(directory, &MasterSource::File(key), service::Clock::system())?;
    Ok(Config::new(directory.join("store"), vault, now))
}

/// CPU seconds of the process, user and system (proc(5), hundredths of a second).
fn process_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, rest) = stat.rsplit_once(')').context("an unknown form of /proc/self/stat")?;
    let ticks: u32 =
        rest.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u32>().ok()).sum();
    Ok(f64::from(ticks) / 100.0)
}

/// CPU milliseconds of the calling thread (clock_gettime(2)).
fn thread_millis() -> Result<f64> {
    let spent = nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID)?;
    Ok(Duration::from(spent).as_secs_f64() * 1e3)
}

/// Most bytes that were resident.
fn peak_bytes() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes: u64 =
        line.and_then(|line| line.split_whitespace().next()).context("no VmHWM")?.parse()?;
    Ok(kilobytes * 1024)
}

/// Bytes of the files below a folder.
fn disk_bytes(folder: &std::path::Path) -> u64 {
    let Ok(items) = std::fs::read_dir(folder) else { return 0 };
    items
        .filter_map(Result::ok)
        .map(|item| match item.metadata() {
            Ok(meta) if meta.is_dir() => disk_bytes(&item.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}
