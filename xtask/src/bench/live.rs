//! A wire between two network namespaces made here: tcpreplay at one end as fast as it can, the agent
//! at the other. What was sent must be what was seen and what is counted as dropped, to the packet.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::{Folder, agent, capture, number};
use crate::setup;
use crate::steps::{now, root};

/// Packets of the capture made here.
const PACKETS: usize = 200_000;
/// Longest frame a veth carries.
const MTU: u32 = 65_535;

/// How to measure live capture.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Capture to send; one made here when absent.
    #[arg(long)]
    capture: Vec<PathBuf>,
    /// Numbers of workers, one run for each.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2])]
    workers: Vec<usize>,
    /// How frames come: `auto`, `ring`, `libpcap`.
    #[arg(long, value_delimiter = ',', default_value = "auto")]
    method: Vec<String>,
    /// What several workers share by: `flows`, `hosts`.
    #[arg(long, value_delimiter = ',', default_value = "flows,hosts")]
    share: Vec<String>,
    /// Mebibytes of ring for each worker.
    #[arg(long, default_value_t = 64)]
    ring_megabytes: u32,
    /// Times the capture is sent in a run.
    #[arg(long, default_value_t = 1)]
    times: u32,
    /// Times the rules are read again meanwhile, a second apart.
    #[arg(long, default_value_t = 0)]
    reloads: u64,
    /// Mebibits a second; as fast as possible when absent.
    #[arg(long)]
    mbps: Option<u32>,
    /// Signatures; our own when absent, none with `--rules none`.
    #[arg(long)]
    rules: Option<PathBuf>,
    /// The agent; built when absent.
    #[arg(long)]
    agent: Option<PathBuf>,
}

/// Both namespaces, gone when dropped.
struct Wire {
    sender: String,
    sensor: String,
}

impl Drop for Wire {
    fn drop(&mut self) {
        for namespace in [&self.sender, &self.sensor] {
            drop(Command::new("ip").args(["netns", "del", namespace]).output());
        }
    }
}

fn ip(words: &str) -> Result<()> {
    let output = Command::new("ip").args(words.split(' ')).output().context("cannot start ip")?;
    if output.status.success() {
        return Ok(());
    }
    bail!("ip {words}: {}", String::from_utf8_lossy(&output.stderr).trim())
}

impl Wire {
    fn new() -> Result<Self> {
        let own = std::process::id();
        let wire = Self { sender: format!("pikett-out-{own}"), sensor: format!("pikett-in-{own}") };
        let (sender, sensor) = (&wire.sender, &wire.sensor);
        for words in [
            format!("netns add {sender}"),
            format!("netns add {sensor}"),
            format!("-n {sensor} link add in0 type veth peer name out0 netns {sender}"),
        ] {
            ip(&words)?;
        }
        for (namespace, device) in [(sender, "out0"), (sensor, "in0")] {
            // Nothing but what is sent goes over the wire.
            let quiet = "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6";
            let done = wire.inside(namespace, "sh").args(["-c", quiet]).status()?;
            ensure!(done.success(), "IPv6 cannot be switched off in {namespace}");
            ip(&format!("-n {namespace} link set {device} mtu {MTU} up"))?;
        }
        Ok(wire)
    }

    fn inside(&self, namespace: &str, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace, program]).stdin(Stdio::null());
        command
    }

    /// Fragments the kernel at the sensor's end has taken, less the packets it has made of them.
    fn joined(&self) -> Result<u64> {
        let output = self.inside(&self.sensor, "cat").arg("/proc/net/snmp").output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("Ip: "));
        let (names, values) = (lines.next().unwrap_or(""), lines.next().unwrap_or(""));
        let value = |name: &str| {
            let mut both = names.split(' ').zip(values.split(' '));
            both.find(|(known, _)| *known == name).and_then(|(_, value)| value.parse::<u64>().ok())
        };
        let (taken, made) = (value("ReasmReqds"), value("ReasmOKs"));
        Ok(taken.context("no ReasmReqds")?.saturating_sub(made.context("no ReasmOKs")?))
    }

    /// A counter of one end.
    fn counter(&self, namespace: &str, device: &str, name: &str) -> Result<u64> {
        let path = format!("/sys/class/net/{device}/statistics/{name}");
        let output = self.inside(namespace, "cat").arg(path).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().parse()?)
    }
}

/// What one run came to.
struct Outcome {
    sent: u64,
    /// Lost by the sender's end.
    lost: u64,
    /// Packets fewer than there were because the kernel has joined fragments.
    joined: u64,
    summary: Value,
    send_seconds: f64,
}

struct Run<'a> {
    agent: &'a Path,
    options: &'a Options,
    rules: Option<&'a Path>,
    workers: usize,
    method: &'a str,
    share: &'a str,
}

impl Run<'_> {
    fn start(&self, wire: &Wire) -> Result<Child> {
        let mut command = wire.inside(&wire.sensor, &self.agent.display().to_string());
        command.args(["watch", "--device", "in0", "--method", self.method]);
        command.args(["--workers", &self.workers.to_string(), "--share", self.share]);
        command.args(["--ring-megabytes", &self.options.ring_megabytes.to_string()]);
        if let Some(rules) = self.rules {
            command.arg("--rules").arg(rules);
        }
        let agent = command.stdout(Stdio::piped()).spawn()?;
        // Its rings are there when the device has its sockets.
        for _ in 0..600 {
            let open = wire.inside(&wire.sensor, "cat").arg("/proc/net/packet").output()?;
            if String::from_utf8_lossy(&open.stdout).lines().count() > self.workers {
                std::thread::sleep(Duration::from_millis(300));
                return Ok(agent);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        bail!("the agent does not capture")
    }

    fn send(&self, wire: &Wire, pcap: &Path, agent: u32) -> Result<f64> {
        let rate = match self.options.mbps {
            Some(mbps) => format!("--mbps={mbps}"),
            None => "--topspeed".to_owned(),
        };
        let mut command = wire.inside(&wire.sender, "tcpreplay");
        command.args(["-i", "out0", "--preload-pcap", &rate]);
        command.arg(format!("--loop={}", self.options.times)).arg(pcap);
        let began = now();
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let sending = command.spawn().context("cannot start tcpreplay")?;
        for _ in 0..self.options.reloads {
            std::thread::sleep(Duration::from_secs(1));
            signal(agent, Signal::SIGHUP)?;
        }
        let done = sending.wait_with_output()?;
        ensure!(done.status.success(), "tcpreplay: {}", String::from_utf8_lossy(&done.stderr));
        Ok(began.elapsed().as_secs_f64())
    }

    fn run(&self, pcap: &Path) -> Result<Outcome> {
        let wire = Wire::new()?;
        let mut agent = Watching(self.start(&wire)?);
        let send_seconds = self.send(&wire, pcap, agent.0.id())?;
        settle(agent.0.id())?;
        // To the agent by its number: `ip netns exec` became it.
        signal(agent.0.id(), Signal::SIGTERM)?;
        let mut text = String::new();
        agent.0.stdout.take().context("no output")?.read_to_string(&mut text)?;
        ensure!(agent.0.wait()?.success(), "the agent failed: {text}");
        let sent = wire.counter(&wire.sender, "out0", "tx_packets")?;
        let lost = wire.counter(&wire.sender, "out0", "tx_dropped")?;
        let summary = serde_json::from_str(&text).with_context(|| text.clone())?;
        let joined = wire.joined()?;
        Ok(Outcome { sent: sent + lost, lost, joined, summary, send_seconds })
    }
}

/// An agent that does not outlive its run, however that ends.
struct Watching(Child);

impl Drop for Watching {
    fn drop(&mut self) {
        // It is gone already when all went well.
        let _ended = self.0.kill().and_then(|()| self.0.wait());
    }
}

fn signal(process: u32, signal: Signal) -> Result<()> {
    let process = nix::unistd::Pid::from_raw(i32::try_from(process)?);
    nix::sys::signal::kill(process, signal).context("the agent is gone")
}

/// CPU time of a process in clock ticks.
fn ticks(process: u32) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let field = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok());
    Ok(field(11).unwrap_or(0) + field(12).unwrap_or(0))
}

/// Waits until the agent has worked off what it holds: it hardly uses the CPU any more.
fn settle(process: u32) -> Result<()> {
    let mut before = ticks(process)?;
    for _ in 0..300 {
        std::thread::sleep(Duration::from_secs(1));
        let after = ticks(process)?;
        if after.saturating_sub(before) <= 3 {
            return Ok(());
        }
        before = after;
    }
    bail!("the agent never comes to rest")
}

/// Whether it can run here; says why not.
fn ready() -> bool {
    for program in ["ip", "tcpreplay"] {
        if !setup::in_path(program) {
            println!("skipped: {program} is not installed");
            return false;
        }
    }
    if !setup::is_root() {
        println!("skipped: network namespaces need root");
    }
    setup::is_root()
}

pub(crate) fn bench(options: &Options) -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let (agent, folder) = (agent(options.agent.as_deref())?, Folder::new()?);
    let mut captures = options.capture.clone();
    if let Some(missing) = captures.iter().find(|capture| !capture.is_file()) {
        bail!("no capture at {}", missing.display());
    }
    if captures.is_empty() {
        let made = folder.at("made.pcap");
        capture(PACKETS, &made)?;
        captures.push(made);
    }
    let own = root().join("rules/signatures");
    let rules = options.rules.as_deref().unwrap_or(&own);
    let rules = (rules != Path::new("none")).then_some(rules);
    println!(
        "{:12} {:>7} {:8} {:6} {:>9} {:>8} {:>9} {:>9} {:>7} {:>7} {:>8} {:>8} {:>6}",
        "capture",
        "workers",
        "method",
        "share",
        "sent",
        "kpkt/s",
        "handled",
        "dropped",
        "joined",
        "lost",
        "cpu s",
        "peak MB",
        "books"
    );
    let mut wrong = 0;
    for pcap in &captures {
        for method in &options.method {
            for workers in options.workers.iter().copied() {
                // One worker does not share.
                let ways = if workers > 1 { options.share.len() } else { 1 };
                for share in options.share.iter().take(ways) {
                    let run = Run { agent: &agent, options, rules, workers, method, share };
                    wrong += u32::from(!tell(&run, pcap)?);
                }
            }
        }
    }
    ensure!(wrong == 0, "the books of {wrong} runs do not balance");
    Ok(())
}

/// Runs once and prints a line; whether all that was sent is accounted for.
fn tell(run: &Run<'_>, pcap: &Path) -> Result<bool> {
    let outcome = run.run(pcap)?;
    let figure = |name: &str| number(&outcome.summary, name);
    let (seen, handled) = (figure("/capture/seen")?, figure("/capture/processed")?);
    let dropped = figure("/capture/dropped")?;
    // What the sender's end lost never came to the interface that is watched.
    let balanced =
        handled + dropped == seen && seen + outcome.joined + outcome.lost == outcome.sent;
    println!(
        "{:12} {:>7} {:8} {:6} {:>9} {:>8.0} {:>9} {:>9} {:>7} {:>7} {:>8.2} {:>8} {:>6}",
        pcap.file_stem().unwrap_or_default().to_string_lossy(),
        run.workers,
        run.method,
        if run.workers > 1 { run.share } else { "-" },
        outcome.sent,
        outcome.sent as f64 / outcome.send_seconds / 1e3,
        handled,
        dropped,
        outcome.joined,
        outcome.lost,
        outcome.summary["cpu_seconds"].as_f64().unwrap_or(0.0),
        outcome.summary["peak_kilobytes"].as_u64().unwrap_or(0) / 1024,
        if balanced { "yes" } else { "NO" }
    );
    // Each time is told once; asked while they are being read, they are read once more for all.
    let told = outcome.summary["kinds"]["health"].as_u64().unwrap_or(0);
    if run.options.reloads > 0 {
        println!("  rules were renewed {told} times");
    }
    if !balanced {
        println!("  {}", outcome.summary);
    }
    Ok(balanced && (told > 0 || run.options.reloads == 0))
}
