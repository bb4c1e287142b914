//! The agent's replay of captures: packets per CPU second, memory, time to load the rules. Rounds go
//! over all captures one after the other, so that a slow minute of the machine is shared by all.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::Args;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

use super::{Folder, agent, capture, middle, number, replay_command, stats};
use crate::steps::root;

/// What is replayed, and how often.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Folder with captures (`*.pcap`); one made here is taken when absent.
    #[arg(long)]
    captures: Option<PathBuf>,
    /// Signatures; our own when absent.
    #[arg(long)]
    rules: Option<PathBuf>,
    /// Rounds.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// The agent; built when absent.
    #[arg(long)]
    agent: Option<PathBuf>,
}

/// CPU seconds of the children of this process that have ended.
fn spent() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let milliseconds =
        usage.user_time().num_milliseconds() + usage.system_time().num_milliseconds();
    Ok(milliseconds as f64 / 1e3)
}

/// One run: CPU seconds, peak memory in MB, packets.
fn once(mut command: Command, out: &Path) -> Result<(f64, u64, u64)> {
    if out.exists() {
        std::fs::remove_dir_all(out)?;
    }
    std::fs::create_dir_all(out)?;
    let before = spent()?;
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut child = child.context("cannot start the agent")?;
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let code = loop {
        if let Some(code) = child.try_wait()? {
            break code.code();
        }
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        peak = kilobytes.unwrap_or(0).max(peak);
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    ensure!(matches!(code, Some(0 | 1)), "the agent ended with {code:?}");
    Ok((spent()? - before, peak / 1024, number(&stats(out)?, "/packets")?))
}

/// The captures of a folder by name, or one made here.
fn captures(options: &Options, folder: &Folder) -> Result<Vec<PathBuf>> {
    let Some(given) = &options.captures else {
        let made = folder.at("made.pcap");
        capture(200_000, &made)?;
        return Ok(vec![made]);
    };
    if !given.is_dir() {
        println!("skipped: there is no folder {}", given.display());
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(given)?.flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|ending| ending == "pcap")).collect();
    found.sort();
    Ok(found)
}

pub(crate) fn bench(options: &Options) -> Result<()> {
    let folder = Folder::new()?;
    let captures = captures(options, &folder)?;
    if captures.is_empty() {
        return Ok(());
    }
    let agent = agent(options.agent.as_deref())?;
    let own = root().join("rules/signatures");
    let rules = options.rules.as_deref().unwrap_or(&own);
    let (tiny, out) = (folder.at("one.pcap"), folder.at("out"));
    capture(1, &tiny)?;
    let kinds = [("rules", Some(rules)), ("no rules", None)];
    let mut loads = vec![Vec::new(); 2];
    let mut runs = vec![Vec::new(); captures.len() * 2];
    for round in 1..=options.rounds {
        println!("round {round} of {}", options.rounds);
        for (load, (_, rules)) in loads.iter_mut().zip(kinds) {
            load.push(once(replay_command(&agent, rules, &out, &tiny), &out)?.0);
        }
        let all = captures.iter().flat_map(|capture| kinds.map(|(_, rules)| (capture, rules)));
        for (runs, (capture, rules)) in runs.iter_mut().zip(all) {
            runs.push(once(replay_command(&agent, rules, &out, capture), &out)?);
        }
    }
    let loads: Vec<f64> = loads.into_iter().map(middle).collect();
    println!(
        "{:24} {:>9} {:>9} {:>15} {:>8} {:>7}",
        "capture", "packets", "CPU s", "kpkt a CPU s", "peak MB", "load s"
    );
    for (at, runs) in runs.iter().enumerate() {
        let (name, load) = (&captures[at / 2], loads[at % 2]);
        let cpu = (middle(runs.iter().map(|run| run.0).collect()) - load).max(0.001);
        let peak = runs.iter().map(|run| run.1).max().unwrap_or(0);
        let packets = runs.first().map_or(0, |run| run.2);
        println!(
            "{:24} {packets:>9} {cpu:>9.2} {:>15.0} {peak:>8} {load:>7.2}",
            format!(
                "{} {}",
                name.file_stem().unwrap_or_default().to_string_lossy(),
                kinds[at % 2].0
            ),
            packets as f64 / cpu / 1e3,
        );
    }
    Ok(())
}
