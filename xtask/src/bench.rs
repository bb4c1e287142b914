//! What the sensor costs and whether it keeps up.

mod gate;
mod live;
mod replay;
mod store;
mod traffic;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use serde_json::Value;

use crate::steps::{root, run};

pub(crate) use gate::check as check_instructions;

/// What to measure.
#[derive(Debug, Subcommand)]
pub(crate) enum What {
    /// Packets per CPU second over captures, in rounds one after the other.
    Replay(replay::Options),
    /// A wire between two network namespaces at the highest rate there is; needs root.
    Live(live::Options),
    /// Instructions per packet against the committed figure; needs valgrind.
    Instructions(gate::Options),
    /// The store beside the bare index library: taking in, size, memory, queries.
    Store(store::Options),
    /// Each stage by itself (criterion).
    Stages,
    /// Write the generated capture to a file.
    Capture {
        /// Packets.
        #[arg(long, default_value_t = 20_000)]
        packets: usize,
        /// File.
        out: PathBuf,
    },
}

pub(crate) fn bench(what: &What) -> Result<()> {
    match what {
        What::Replay(options) => replay::bench(options),
        What::Live(options) => live::bench(options),
        What::Instructions(options) => gate::bench(options),
        What::Store(options) => store::bench(options),
        What::Stages => run("cargo", &["bench", "-p", "net", "-p", "signature"]),
        What::Capture { packets, out } => capture(*packets, out),
    }
}

/// Writes the generated capture.
pub(crate) fn capture(packets: usize, path: &Path) -> Result<()> {
    let file = std::fs::File::create(path);
    let file = file.with_context(|| format!("cannot write {}", path.display()))?;
    Ok(traffic::write(packets, std::io::BufWriter::new(file))?)
}

/// The middle one of some figures.
fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// The agent as it is shipped, built when it is not given.
fn agent(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = given {
        return path.canonicalize().with_context(|| format!("no agent at {}", path.display()));
    }
    run("cargo", &["build", "--release", "-p", "pikett-agent", "--quiet"])?;
    Ok(root().join("target/release/pikett-agent"))
}

/// A folder of this process for what a run needs; gone when dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("pikett-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            println!("{} stays: {error}", self.0.display());
        }
    }
}

/// The agent's replay of a capture; no rules when there are none.
pub(crate) fn replay_command(
    agent: &Path,
    rules: Option<&Path>,
    out: &Path,
    capture: &Path,
) -> Command {
    let mut command = Command::new(agent);
    command.args(["replay", "--workers", "1", "--checksums", "no", "--out"]).arg(out);
    match rules {
        Some(rules) => command.arg("--rules").arg(rules),
        None => command.arg("--no-rules"),
    };
    command.arg(capture);
    command
}

/// Figures of a replay by its own words.
pub(crate) fn stats(out: &Path) -> Result<Value> {
    let path = out.join("stats.json");
    let text = std::fs::read(&path).with_context(|| format!("no {}", path.display()))?;
    Ok(serde_json::from_slice(&text)?)
}

pub(crate) fn number(value: &Value, pointer: &str) -> Result<u64> {
    match value.pointer(pointer).and_then(Value::as_u64) {
        Some(number) => Ok(number),
        None => bail!("no {pointer} in {value}"),
    }
}
