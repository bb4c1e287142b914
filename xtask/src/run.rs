//! `cargo xtask run`: collector and agent on this machine, attacks played, results shown.
//!
//! Everything lives in `data/` of the checkout: a second start goes on with it. What is started
//! here is stopped here, by its own process id, when Ctrl-C is pressed, and by the kernel when this
//! process ends in any other way.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

use crate::steps::{root, seconds};
use crate::{console, setup, steps};

mod demo;
mod live;
mod sink;

/// Options of `cargo xtask run`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Do not play the recorded attacks.
    #[arg(long)]
    no_demo: bool,
    /// Stop by itself after the attacks were seen, instead of waiting for Ctrl-C.
    #[arg(long)]
    once: bool,
    /// Play the attacks this many times and show how long pages took.
    #[arg(long, default_value_t = 1)]
    rounds: u32,
    /// Attack for real, with nmap, curl, dig and hydra in network namespaces made for it (root).
    #[arg(long, conflicts_with = "no_demo")]
    live: bool,
    /// First of three ports: console, link, mail sink.
    #[arg(long, default_value_t = 8443)]
    port: u16,
}

/// Where everything is.
pub(crate) struct Place {
    pub(crate) root: PathBuf,
    pub(crate) data: PathBuf,
    pub(crate) port: u16,
    /// Set when somebody pressed Ctrl-C.
    pub(crate) interrupt: Arc<AtomicBool>,
}

impl Place {
    fn binary(&self, name: &str) -> PathBuf {
        self.root.join("target/release").join(name)
    }

    pub(crate) fn token(&self) -> PathBuf {
        self.data.join("demo.token")
    }

    pub(crate) fn console(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }
}

/// A daemon started here; stopped when dropped.
struct Daemon {
    name: &'static str,
    child: Child,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // SIGTERM lets it drain; only what does not answer is killed.
        let pid = i32::try_from(self.child.id()).ok().map(Pid::from_raw);
        let asked = pid.is_some_and(|pid| kill(pid, Signal::SIGTERM).is_ok());
        let begun = steps::now();
        while asked && begun.elapsed() < Duration::from_secs(12) {
            match self.child.try_wait() {
                Ok(Some(_)) => return println!("{} stopped", self.name),
                Ok(None) => std::thread::sleep(Duration::from_millis(50)),
                Err(_) => break,
            }
        }
        if self.child.kill().and_then(|()| self.child.wait()).is_ok() {
            println!("{} did not stop and was killed", self.name);
        }
    }
}

/// Builds, starts, plays, waits.
///
/// # Errors
/// When something cannot be built or started; the error says what to do.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::ensure()?;
    console::build()?;
    steps::run("cargo", &["build", "--release", "--quiet", "--workspace", "--bins"])?;
    let root = root();
    let interrupt = interruptible()?;
    let place = Place { data: root.join("data"), root, port: options.port, interrupt };
    fs::create_dir_all(&place.data)?;
    fs::create_dir_all(place.data.join("demo-logs"))?;
    // Before the agent starts: it captures there.
    let stage = if options.live { Some(live::set(&place.data)?) } else { None };
    let first = prepare(&place, stage.is_some())?;
    let sink = sink::start(place.port.saturating_add(2))?;
    let collector = start(&place, "pikett-collector", &place.data.join("collector.toml"))?;
    wait_ready(&place)?;
    enrol(&place)?;
    let agent = start(&place, "pikett-agent", &place.data.join("agent.toml"))?;
    println!("\nconsole   {}", place.console());
    match first {
        Some(password) => println!("login     admin, first password {password}"),
        None => println!("login     admin, with the password you chose"),
    }
    println!("mail      pages go to a sink on this machine, see {}", sink.folder(&place).display());
    println!("logs      {}/*.log", place.data.display());
    if !options.no_demo {
        demo::play(&place, &sink, stage.as_ref(), options.rounds)?;
    }
    if !options.once {
        println!("\nCtrl-C stops everything; the data stay in {}", place.data.display());
        wait_for_interrupt(&place);
    }
    drop(agent);
    drop(collector);
    Ok(())
}

/// Ctrl-C and a request to end.
fn signals() -> SigSet {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    signals
}

/// A flag that is set by Ctrl-C or a request to end; the signals do nothing else from here on.
fn interruptible() -> Result<Arc<AtomicBool>> {
    let signals = signals();
    signals.thread_block().context("cannot listen for signals")?;
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        if signals.wait().is_ok() {
            set.store(true, Ordering::SeqCst);
        }
    })?;
    Ok(flag)
}

/// Waits until Ctrl-C, or until a daemon has ended by itself.
fn wait_for_interrupt(place: &Place) {
    while !place.interrupt.load(Ordering::SeqCst) {
        if !alive(place) {
            println!("the collector has ended; see {}/pikett-collector.log", place.data.display());
            return;
        }
        std::thread::sleep(Duration::from_millis(300));
    }
}

fn alive(place: &Place) -> bool {
    std::net::TcpStream::connect(("127.0.0.1", place.port)).is_ok()
}

/// Makes configuration, keys and certificates at the first start; the first password then.
fn prepare(place: &Place, live: bool) -> Result<Option<String>> {
    let collector = place.data.join("collector");
    let (web, link, mail) =
        (place.port, place.port.saturating_add(1), place.port.saturating_add(2));
    let config = place.data.join("collector.toml");
    let text = format!(
        "data = {collector:?}\nweb = \"127.0.0.1:{web}\"\nlink = \"127.0.0.1:{link}\"\n\
         console_url = \"https://127.0.0.1:{web}\"\nlink_names = [\"127.0.0.1:{link}\"]\n\n\
         [rules]\nsigma = [{:?}, {:?}]\nanomaly = [{:?}]\n\n\
         [mail]\nhost = \"127.0.0.1\"\nport = {mail}\nsecurity = \"none\"\n\
         from = \"Pikett <pikett@localhost.example>\"\n",
        place.root.join("rules/sigma"),
        place.root.join("rules/correlation"),
        place.root.join("rules/anomaly"),
    );
    fs::write(&config, text)?;
    fs::write(place.data.join("agent.toml"), agent_config(place, live))?;
    if collector.join("keys/master.key").exists() {
        return Ok(None);
    }
    let output = Command::new(place.binary("pikett-collector"))
        .args(["init", "--name", "127.0.0.1", "--name", "localhost"])
        .args(["--mail", "admin@localhost.example", "--data"])
        .arg(&collector)
        .output()
        .context("cannot start pikett-collector")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let password = text.lines().find_map(|line| line.strip_prefix("password "));
    let Some(password) = password else {
        bail!("collector init: {}", String::from_utf8_lossy(&output.stderr));
    };
    let token = Command::new(place.binary("pikett-collector"))
        .args(["token", "--name", "demo", "--scope", "read", "--scope", "respond", "--config"])
        .arg(&config)
        .output()?;
    fs::write(place.token(), token.stdout.trim_ascii())?;
    Ok(Some(password.to_owned()))
}

/// The interface that leads outside, from the routing table.
fn default_interface() -> Option<String> {
    let table = fs::read_to_string("/proc/net/route").ok()?;
    table.lines().skip(1).map(str::split_whitespace).find_map(|mut words| {
        let (device, destination) = (words.next()?, words.next()?);
        (destination == "00000000").then(|| device.to_owned())
    })
}

/// Whether this process may capture: root, or CAP_NET_RAW (bit 13) in effect.
fn may_capture() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = line.and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
    bits.is_some_and(|bits| bits & (1 << 13) != 0)
}

fn agent_config(place: &Place, live: bool) -> String {
    let rules = place.root.join("rules");
    let mut text = format!(
        "data = {:?}\nplayback = {:?}\n\n[rules]\nsignatures = [{:?}]\nsigma = [{:?}]\nanomaly = [{:?}]\n\n[rules.vars]\n\
         HOME_NET = \"[10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,127.0.0.0/8]\"\nEXTERNAL_NET = \"any\"\n\n",
        place.data.join("agent"),
        place.data.join("playback"),
        rules.join("signatures"),
        rules.join("sigma"),
        rules.join("anomaly"),
    );
    if may_capture() {
        let mut devices = vec!["lo".to_owned()];
        devices.extend(default_interface());
        devices.extend(live.then(|| live::DEVICE.to_owned()));
        let (web, link) = (place.port, place.port.saturating_add(1));
        for device in devices {
            text.push_str(&format!(
                "[[interfaces]]\ndevice = \"{device}\"\nfilter = \"not port {web} and not port {link}\"\n\n"
            ));
        }
    } else {
        println!("no right to capture packets (CAP_NET_RAW): logs and recorded attacks only");
    }
    let demo = place.data.join("demo-logs/*.log").display().to_string();
    let mut files = vec![demo];
    if Path::new("/run/systemd/journal").exists() && setup::answers("journalctl") {
        text.push_str("[logs.journald]\n\n");
    } else {
        files.extend(["/var/log/auth.log", "/var/log/syslog"].map(str::to_owned));
    }
    for path in files {
        let from_start = path.contains("demo-logs");
        text.push_str(&format!(
            "[[logs.files]]\npaths = [{path:?}]\nfrom_start = {from_start}\n\n"
        ));
    }
    text
}

fn start(place: &Place, name: &'static str, config: &Path) -> Result<Daemon> {
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(place.data.join(format!("{name}.log")))?;
    // A child inherits which signals are blocked; the daemons must hear theirs.
    signals().thread_unblock()?;
    let child = bound(&place.binary(name))
        .args(["run", "--config"])
        .arg(config)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn();
    signals().thread_block()?;
    Ok(Daemon { name, child: child.with_context(|| format!("cannot start {name}"))? })
}

/// A command whose process is asked to end when this one is no more, even when it was killed. Needs
/// `setpriv` (util-linux); without it only an orderly end stops the children.
fn bound(program: &Path) -> Command {
    if !setup::in_path("setpriv") {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "--"]).arg(program);
    command
}

fn wait_ready(place: &Place) -> Result<()> {
    let begun = steps::now();
    while begun.elapsed() < Duration::from_secs(30) {
        if alive(place) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    bail!(
        "the collector does not answer after {}; see {}/pikett-collector.log",
        seconds(begun.elapsed()),
        place.data.display()
    )
}

/// Enrols the agent at the first start.
fn enrol(place: &Place) -> Result<()> {
    let data = place.data.join("agent");
    if data.join("identity/about.json").exists() {
        return Ok(());
    }
    let token = Command::new(place.binary("pikett-collector"))
        .args(["enrolment-token", "--config"])
        .arg(place.data.join("collector.toml"))
        .output()?;
    let token = String::from_utf8_lossy(&token.stdout).trim().to_owned();
    let collector = format!("https://127.0.0.1:{}", place.port.saturating_add(1));
    let status = Command::new(place.binary("pikett-agent"))
        .args(["enroll", "--collector", &collector, "--token", &token, "--data"])
        .arg(&data)
        .status()?;
    if status.success() { Ok(()) } else { bail!("the agent could not be enrolled") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Not by a test's own thread: what a thread starts is asked to end with it.
    #[test]
    fn what_is_started_ends_with_whoever_started_it() {
        if !setup::in_path("setpriv") {
            return println!("skipped: setpriv is missing");
        }
        let started = std::thread::spawn(|| {
            let child = bound(Path::new("sleep")).arg("60").spawn().unwrap();
            // It can be asked from when it is no longer `setpriv`.
            let name = format!("/proc/{}/comm", child.id());
            while fs::read_to_string(&name).unwrap() != "sleep\n" {
                std::thread::sleep(Duration::from_millis(5));
            }
            child
        });
        let mut child = started.join().unwrap();
        let status = child.wait().unwrap();
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        assert_eq!(signal, Some(Signal::SIGTERM as i32));
    }
}
