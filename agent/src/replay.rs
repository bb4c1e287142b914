//! `pikett-agent replay`: capture files through the same pipeline as live traffic.
//!
//! Time is packet time, so a run is deterministic. Writes `eve.json` and `stats.json`; with
//! `--separate` one pair per capture and fresh state for each.

mod direct;
mod output;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use capture::FileReader;
use serde_json::json;
use signature::{RuleSet, Tables};

use crate::sensor::detect::Detector;
use crate::sensor::figures::Figures;
use crate::sensor::report::Reporter;
use crate::sensor::settings::{SettingError, Settings};
use crate::sensor::signatures::files;
use crate::sensor::worker::{Share, Worker};
use crate::sensor::{compat, eve};
use output::{RecordFile, Usage};

/// Whose behaviour to copy exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Compat {
    Suricata,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum YesNo {
    Yes,
    No,
}

/// Options of `replay`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Rule file or folder of rule files; may be repeated.
    #[arg(long, value_name = "FILE_OR_DIR")]
    rules: Vec<PathBuf>,
    /// Run without rules.
    #[arg(long, conflicts_with = "rules")]
    no_rules: bool,
    /// Rule variable, for example HOME_NET=any; may be repeated.
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = pair)]
    vars: Vec<(String, String)>,
    /// Verify checksums.
    #[arg(long, default_value = "yes")]
    checksums: YesNo,
    /// Packet threads.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    workers: u64,
    /// Behave exactly as another system does.
    #[arg(long)]
    compat: Option<Compat>,
    /// Fresh state and an output folder for each capture.
    #[arg(long)]
    separate: bool,
    /// Setting of the agent; with --compat also of the other system; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    settings: Vec<(String, String)>,
    /// Folder for what is written.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Capture files.
    #[arg(required = true, value_name = "PCAP")]
    captures: Vec<PathBuf>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

/// Runs the command.
pub fn run(args: &Args) -> ExitCode {
    let settings = match settings(args) {
        Ok(settings) => settings,
        Err(error) => {
            complain(&error);
            return ExitCode::from(2);
        }
    };
    match replay(args, &settings) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            complain(error.as_ref());
            ExitCode::from(2)
        }
    }
}

/// An error and its causes on one line of stderr.
#[expect(clippy::print_stderr, reason = "a command reports on stderr")]
fn complain(error: &(dyn std::error::Error + 'static)) {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    eprintln!("pikett-agent: {text}");
}

fn settings(args: &Args) -> Result<Settings, SettingError> {
    let mut settings = Settings::default();
    if args.compat == Some(Compat::Suricata) {
        compat::switch_on(&mut settings);
    }
    settings.store.folder = args.out.join("filestore");
    settings.engine.decode.checksums = args.checksums == YesNo::Yes;
    for (key, value) in &args.settings {
        match settings.set(key, value) {
            Err(SettingError::Unknown { .. }) if args.compat.is_some() => {
                compat::set(&mut settings, key, value)?;
            }
            other => other?,
        }
    }
    Ok(settings)
}

/// True when every capture was read to its end.
fn replay(args: &Args, settings: &Settings) -> anyhow::Result<bool> {
    let usage = Usage::begin();
    std::fs::create_dir_all(&args.out)?;
    let mut run = Run { args, settings, rules: None, rejected: 0, skipped: 0, load_seconds: 0.0 };
    if !args.no_rules && !args.rules.is_empty() {
        let (rules, report) = files::load(&args.rules, &args.vars, &settings.addresses)?;
        run.rejected = report.rejected.len().saturating_add(report.rejected_beyond);
        run.skipped = report.skipped();
        for rejected in &report.rejected {
            complain(&RuleRejected { text: files::describe(rejected) });
        }
        run.rules = Some(Arc::new(rules));
    }
    run.load_seconds = usage.seconds();
    if !args.separate {
        return group(&run, &args.captures, &args.out);
    }
    let mut all_good = true;
    for capture in &args.captures {
        let name = capture.file_name().unwrap_or(capture.as_os_str());
        let folder = args.out.join(name);
        std::fs::create_dir_all(&folder)?;
        let one = std::slice::from_ref(capture);
        all_good &= group(&run, one, &folder)?;
    }
    Ok(all_good)
}

/// What all captures of a run have in common.
struct Run<'a> {
    args: &'a Args,
    settings: &'a Settings,
    rules: Option<Arc<RuleSet>>,
    rejected: usize,
    /// Rules that are left out by their own wish, among the rejected.
    skipped: usize,
    load_seconds: f64,
}

/// Captures that share their state, and what their workers share.
struct Group<'a> {
    run: &'a Run<'a>,
    captures: &'a [PathBuf],
    tables: Arc<Tables>,
}

/// Runs captures that share their state.
fn group(run: &Run<'_>, captures: &[PathBuf], folder: &Path) -> anyhow::Result<bool> {
    let workers = run.args.workers;
    let group = Group { run, captures, tables: Arc::new(Tables::default()) };
    let usage = Usage::begin();
    let mut good = true;
    let mut results = Vec::new();
    if workers == 1 {
        let share = Share { index: 0, count: 1 };
        results.push(work(&group, &folder.join("eve.json"), share)?);
    } else {
        results.extend(in_parallel(workers, &group, folder)?);
    }
    if let Some(rules) = &run.rules {
        output::save_datasets(rules, &group.tables, folder)?;
    }
    let mut total = Figures::default();
    let mut alerts = 0u64;
    let mut parts = Vec::new();
    for result in results {
        good &= result.complete;
        total.add(&result.figures);
        alerts = alerts.saturating_add(result.file.alerts());
        parts.push(result.file);
    }
    let mut file = output::join(parts, &folder.join("eve.json"))?;
    let last = eve::timestamp(file.newest());
    let mut counters = eve::stats::counters(&total);
    if let Some(rules) = &run.rules
        && let Some(counters) = counters.as_object_mut()
    {
        let engine = json!({
            "id": 0,
            "rules_loaded": rules.len(),
            "rules_failed": run.rejected.saturating_sub(run.skipped),
            "rules_skipped": run.skipped,
        });
        let detect = counters.entry("detect").or_insert_with(|| json!({}));
        if let Some(detect) = detect.as_object_mut() {
            detect.insert("engines".into(), json!([engine]));
        }
    }
    file.write(&json!({"timestamp": last, "event_type": "stats", "stats": counters}))?;
    file.finish()?;
    let stats = json!({
        "packets": total.net.packets,
        "bytes": total.net.bytes,
        "flows": total.net.flows,
        "alerts": alerts,
        "rules": {
            "loaded": run.rules.as_ref().map_or(0, |rules| rules.len()),
            "rejected": run.rejected,
        },
        "load_seconds": run.load_seconds,
        "run_seconds": usage.seconds(),
        "user_seconds": usage.user_seconds(),
        "peak_rss_bytes": output::peak_rss_bytes(),
    });
    std::fs::write(folder.join("stats.json"), format!("{stats:#}\n"))?;
    Ok(good)
}

/// What one worker leaves.
struct Finished {
    file: RecordFile,
    figures: Figures,
    complete: bool,
}

fn in_parallel(workers: u64, group: &Group<'_>, folder: &Path) -> anyhow::Result<Vec<Finished>> {
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for index in 0..workers {
            let share = Share { index, count: workers };
            let path = folder.join(format!("eve.json.{index}"));
            let thread = std::thread::Builder::new()
                .name(format!("packets-{index}"))
                .spawn_scoped(scope, move || work(group, &path, share))?;
            threads.push(thread);
        }
        threads
            .into_iter()
            .map(|thread| {
                thread.join().unwrap_or_else(|_| anyhow::bail!("a packet worker panicked"))
            })
            .collect()
    })
}

/// One worker through all captures.
fn work(group: &Group<'_>, path: &Path, share: Share) -> anyhow::Result<Finished> {
    let settings = group.run.settings;
    let detector = group
        .run
        .rules
        .as_ref()
        .map(|rules| Detector::new(Arc::clone(rules), Arc::clone(&group.tables)));
    let file = RecordFile::create(path)?;
    let reporter = Reporter::new(settings.clone(), file, detector);
    let mut worker = Worker::new(settings.engine.clone(), reporter, share);
    let mut complete = true;
    for capture in group.captures {
        let result = FileReader::open(capture).and_then(|mut reader| worker.run(&mut reader));
        if let Err(error) = result {
            complete = false;
            if share.index == 0 {
                complain(&CaptureFailed { path: capture.clone(), source: error });
            }
        }
    }
    let (mut file, figures) = worker.finish();
    file.check()?;
    Ok(Finished { file, figures, complete })
}

#[derive(Debug, thiserror::Error)]
#[error("{path}")]
struct CaptureFailed {
    path: PathBuf,
    #[source]
    source: capture::FileError,
}

#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct RuleRejected {
    text: String,
}
