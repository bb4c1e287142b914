//! Instructions per packet of a fixed capture with our own rules, counted by callgrind, against the
//! committed figure. Seconds differ from machine to machine and from run to run; instructions of the
//! same compiler hardly do.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::{Value, json};

use super::{Folder, agent, capture, number, replay_command, stats};
use crate::setup;
use crate::steps::{now, root, seconds};

/// Packets of the capture.
const PACKETS: usize = 20_000;
/// More than the committed figure by so many percent is too many.
const TOLERANCE: f64 = 5.0;
/// Where the figure is.
const FIGURE: &str = "xtask/instructions.json";

/// Instructions per packet.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Commit what is counted now as the figure to hold.
    #[arg(long)]
    update: bool,
    /// The agent; built as it is shipped when absent.
    #[arg(long)]
    agent: Option<PathBuf>,
}

/// The compiler and machine a figure belongs to.
fn compiler() -> Result<String> {
    let said = Command::new("rustc").arg("-vV").output().context("cannot start rustc")?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let line = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("?");
    Ok(format!("{} {}", line("release: "), line("host: ")))
}

/// Instructions of all threads of a command.
fn counted(command: &Command) -> Result<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    valgrind.arg(command.get_program()).args(command.get_args());
    let done = valgrind.output().context("cannot start valgrind")?;
    let text = String::from_utf8_lossy(&done.stderr).into_owned();
    let line = text.lines().find_map(|line| line.split_once("Collected : "));
    match line.map(|(_, count)| count.trim().parse()) {
        Some(Ok(count)) => Ok(count),
        _ => bail!("valgrind counted nothing: {text}"),
    }
}

/// Instructions per packet, those to load the rules left out.
fn measure(agent: &Path) -> Result<f64> {
    let (folder, rules) = (Folder::new()?, root().join("rules/signatures"));
    let mut counts = [0; 2];
    for (count, packets) in counts.iter_mut().zip([1, PACKETS]) {
        let (pcap, out) = (folder.at(&format!("{packets}.pcap")), folder.at("out"));
        capture(packets, &pcap)?;
        std::fs::create_dir_all(&out)?;
        *count = counted(&replay_command(agent, Some(&rules), &out, &pcap))?;
        let seen = number(&stats(&out)?, "/packets")?;
        ensure!(seen == u64::try_from(packets)?, "{seen} of {packets} packets seen");
    }
    let [load, all] = counts;
    Ok(all.saturating_sub(load) as f64 / (PACKETS - 1) as f64)
}

/// By how much a count is above the figure held.
fn percent_more(count: f64, held: f64) -> f64 {
    (count / held - 1.0) * 100.0
}

pub(crate) fn bench(options: &Options) -> Result<()> {
    ensure!(setup::answers("valgrind"), "valgrind is not installed");
    let began = now();
    let agent = agent(options.agent.as_deref())?;
    println!("  built in {}", seconds(began.elapsed()));
    let (began, compiler) = (now(), compiler()?);
    let count = measure(&agent)?;
    println!("  {count:.0} instructions a packet, counted in {}", seconds(began.elapsed()));
    if options.update {
        let figure =
            json!({ "per_packet": count.round(), "packets": PACKETS, "compiler": compiler });
        return Ok(std::fs::write(root().join(FIGURE), format!("{figure:#}\n"))?);
    }
    let figure: Value = serde_json::from_slice(&std::fs::read(root().join(FIGURE))?)?;
    let held = figure["per_packet"].as_f64().context("no figure")?;
    let more = percent_more(count, held);
    println!("  {more:+.1} % of the committed {held:.0}");
    if figure["compiler"].as_str() != Some(compiler.as_str()) {
        println!("  not held against it: that is of {}, this of {compiler}", figure["compiler"]);
        return Ok(());
    }
    if more > TOLERANCE {
        bail!(
            "{count:.0} instructions a packet are {more:.1} % more than {held:.0}. If they are worth it: cargo xtask bench instructions --update"
        );
    }
    Ok(())
}

/// As a step of the tests: without valgrind it says that it is skipped.
pub(crate) fn check() -> Result<()> {
    println!("\ninstructions per packet");
    if !setup::answers("valgrind") {
        println!("  skipped: valgrind is not installed");
        return Ok(());
    }
    bench(&Options { update: false, agent: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_figure_can_be_held_against() {
        let text = std::fs::read(root().join(FIGURE)).unwrap();
        let figure: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(figure["packets"], PACKETS);
        let held = figure["per_packet"].as_f64().unwrap();
        assert!(percent_more(held * 1.049, held) < TOLERANCE);
        assert!(percent_more(held * 1.051, held) > TOLERANCE);
        assert!(percent_more(held * 0.5, held) < 0.0);
    }
}
