//! The embedded store beside the bare index library: events per CPU second, bytes on disk, memory,
//! CPU time of queries, time until an event is found. The programs run in turn, so that a slow
//! minute of the machine is shared.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use super::{Folder, middle};
use crate::steps::{root, run};

/// What is measured, and how often.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Events taken in.
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
    /// Rounds.
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    /// Lines of JSON instead of made events.
    #[arg(long)]
    input: Option<PathBuf>,
    /// Seconds at 5,000 events a second until which it is measured how soon they are found; 0 is none.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// What is compared, the yardstick first.
    #[arg(long, value_delimiter = ',', value_parser = MODES, default_values = MODES)]
    modes: Vec<String>,
    /// The measuring program; built when absent.
    #[arg(long)]
    program: Option<PathBuf>,
}

/// What can be compared.
const MODES: [&str; 4] = ["bare", "sealed", "store", "behind"];

/// The mode of the measuring program, and how many events may wait for the index.
fn mode_of(mode: &str) -> (&str, Option<&'static str>) {
    match mode {
        "store" => ("store", Some("10000")),
        "behind" => ("store", None),
        other => (other, None),
    }
}

fn program(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = given {
        return path.canonicalize().with_context(|| format!("no {}", path.display()));
    }
    let build = ["build", "--release", "-p", "pikett-collector", "--example", "store_bench"];
    run("cargo", &build)?;
    Ok(root().join("target/release/examples/store_bench"))
}

/// Runs the program and reads the figures it tells.
fn figures(command: &mut Command) -> Result<Value> {
    let done = command.output().context("cannot start the measuring program")?;
    if !done.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
    Ok(serde_json::from_slice(&done.stdout)?)
}

/// The middle of one figure over rounds.
fn over(rounds: &[Value], pointer: &str) -> f64 {
    middle(rounds.iter().filter_map(|round| round.pointer(pointer)?.as_f64()).collect())
}

pub(crate) fn bench(options: &Options) -> Result<()> {
    let program = program(options.program.as_deref())?;
    let folder = Folder::new()?;
    let at = |mode: &str| folder.at(mode);
    let modes = &options.modes;
    let mut taken = vec![Vec::new(); modes.len()];
    let mut asked = vec![Vec::new(); modes.len()];
    for round in 1..=options.repeats {
        println!("round {round} of {}: taking in {} events", options.repeats, options.events);
        for (taken, mode) in taken.iter_mut().zip(modes) {
            if at(mode).exists() {
                std::fs::remove_dir_all(at(mode))?;
            }
            std::fs::create_dir_all(at(mode))?;
            let mut command = Command::new(&program);
            let (kind, ahead) = mode_of(mode);
            command.args(["ingest", "--mode", kind, "--events", &options.events.to_string()]);
            command.args(ahead.into_iter().flat_map(|ahead| ["--ahead", ahead]));
            if let Some(input) = &options.input {
                command.arg("--input").arg(input);
            }
            taken.push(figures(command.arg(at(mode)))?);
        }
    }
    for round in 1..=options.repeats {
        println!("round {round} of {}: queries", options.repeats);
        for (asked, mode) in asked.iter_mut().zip(modes) {
            asked.push(figures(
                Command::new(&program).args(["queries", "--mode", mode_of(mode).0]).arg(at(mode)),
            )?);
        }
    }
    show_ingest(modes, &taken);
    show_queries(modes, &asked);
    if options.seconds > 0 {
        let seconds = options.seconds.to_string();
        std::fs::create_dir_all(at("latency"))?;
        let mut command = Command::new(&program);
        command.args(["latency", "--seconds", &seconds]).arg(at("latency"));
        println!(
            "from acknowledgement to found, 5,000 events a second: {}",
            figures(&mut command)?
        );
    }
    Ok(())
}

fn show_ingest(modes: &[String], taken: &[Vec<Value>]) {
    println!(
        "{:8} {:>12} {:>9} {:>13} {:>9}",
        "", "events/CPU s", "of bare", "size of input", "peak MB"
    );
    let yardstick = taken.first().map_or(0.0, |rounds| over(rounds, "/events_per_cpu_second"));
    for (rounds, mode) in taken.iter().zip(modes) {
        let speed = over(rounds, "/events_per_cpu_second");
        println!(
            "{mode:8} {speed:>12.0} {:>8.1}% {:>13.3} {:>9.0}",
            speed / yardstick.max(1.0) * 100.0,
            over(rounds, "/index_of_input"),
            over(rounds, "/peak_bytes") / 1e6,
        );
    }
}

fn show_queries(modes: &[String], asked: &[Vec<Value>]) {
    let heads: String = modes.iter().map(|mode| format!(" {mode:>9}")).collect();
    println!("{:28}{heads}  CPU ms, warm", "");
    let names = asked.first().and_then(|rounds| rounds.first()).and_then(Value::as_object);
    for name in names.into_iter().flat_map(|names| names.keys()) {
        let pointer = format!("/{name}/cpu_ms");
        let cells = asked.iter().map(|rounds| format!(" {:>9.2}", over(rounds, &pointer)));
        println!("{name:28}{}", cells.collect::<String>());
    }
}
