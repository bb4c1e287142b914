//! Pikett collector: receives, stores, searches, correlates, alerts, pages.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use pikett_collector::config::Config;
use pikett_collector::keyring::Listed;
use pikett_collector::keys::MasterSource;
use pikett_collector::state::StateError;
use pikett_collector::{custody, init, local, process, run, verify};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Receives events from agents, stores and searches them, raises alerts and calls people.
#[derive(Debug, Parser)]
#[command(name = "pikett-collector", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the collector.
    Run {
        /// Configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Check configuration, keys, certificates and channels without running, and tell how long stored
    /// data lasts.
    Check {
        /// Configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Make a new collector: keys, certificates, state, first administrator.
    Init {
        /// Data folder.
        #[arg(long)]
        data: PathBuf,
        /// Host name or address it is reached under; may be repeated.
        #[arg(long = "name", required = true)]
        names: Vec<String>,
        /// Mail address of the administrator, who is then on call.
        #[arg(long, default_value = "")]
        mail: String,
    },
    /// Make a one-time enrolment token on this machine, without the console.
    EnrolmentToken {
        /// Configuration file.
        #[arg(long)]
        config: PathBuf,
        /// Minutes it lasts.
        #[arg(long, default_value_t = 60)]
        minutes: i64,
    },
    /// Look after keys: `key list`, `key rotate`, `key reseal`.
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// List partitions whose keys were destroyed, with signed proof.
    Deletions {
        /// Configuration file.
        #[arg(long)]
        config: PathBuf,
        /// One JSON array, with the proofs.
        #[arg(long)]
        json: bool,
    },
    /// Tell how long each class of stored data lasts at the present rate, where it lies, and what goes
    /// and moves next. Drops and moves nothing.
    Retention {
        /// Configuration file.
        #[arg(long)]
        config: PathBuf,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Look whether what is stored is what was written, and say where it is not. The collector must
    /// not run.
    Verify {
        /// Configuration file.
        #[arg(long)]
        config: PathBuf,
        /// A checkpoint that was kept elsewhere (`pikett-collector anchor`).
        #[arg(long)]
        anchor: Option<PathBuf>,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Write the last signed checkpoint to standard output, to be kept elsewhere.
    Anchor {
        /// Configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Make a token for a program on this machine, without the console.
    Token {
        /// Configuration file.
        #[arg(long)]
        config: PathBuf,
        /// Name; events sent with it carry it as their agent.
        #[arg(long)]
        name: String,
        /// `ingest`, `read`, `respond`, `tune`, `metrics`; may be repeated.
        #[arg(long = "scope", required = true)]
        scopes: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// List the keys by name, nothing secret.
    List {
        /// Configuration file.
        #[arg(long)]
        config: PathBuf,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Change the master key. The keys of data stay; nothing is written anew but the keyring.
    Rotate {
        /// Configuration file.
        #[arg(long)]
        config: PathBuf,
        /// Where the next master key is found: `file:PATH`, `env:NAME`, `credential:NAME`,
        /// `command:PROGRAM ARGUMENTS`. A new one is made in place of the present file when absent.
        #[arg(long)]
        to: Option<MasterSource>,
    },
    /// Have partitions and log sealed under new keys, while the collector runs or at its next start; the old
    /// keys are destroyed. `key list` shows when it is done.
    Reseal {
        /// Configuration file.
        #[arg(long)]
        config: PathBuf,
    },
}

/// Whether a key is of a partition that is to be sealed anew.
fn is_due(key: &Listed, asked: i64) -> bool {
    key.name.starts_with("partition/") && key.made < asked
}

#[expect(clippy::print_stdout, reason = "a command answers on standard output")]
fn key(command: KeyCommand) -> Result<()> {
    match command {
        KeyCommand::List { config, json } => {
            let keys = custody::keys(&service::config::load::<Config>(&config)?)?;
            if json {
                println!("{}", serde_json::to_string(&keys)?);
                return Ok(());
            }
            println!("master key {}\npublic key {}", keys.master, keys.public_key);
            if let Some(asked) = keys.reseal {
                let left = keys.keys.iter().filter(|key| is_due(key, asked)).count();
                println!("being sealed anew: {left} partitions are left, then the log");
            }
            for key in keys.keys {
                let made = event::Timestamp::from_micros(key.made);
                println!("{made} {}{}", key.name, if key.shared { " (shared)" } else { "" });
            }
            Ok(())
        }
        KeyCommand::Reseal { config } => {
            let count = custody::reseal(&service::config::load::<Config>(&config)?)?;
            println!("asked for: {count} partitions, then the log; key list shows how far it is");
            Ok(())
        }
        KeyCommand::Rotate { config, to } => {
            let config = service::config::load::<Config>(&config)?;
            println!("master key {}", custody::rotate(&config, to.as_ref())?);
            if let Some(to) = to {
                println!("now name it in the configuration, `keys.master`: {to}");
            }
            Ok(())
        }
    }
}

#[expect(clippy::print_stdout, reason = "a command answers on standard output")]
fn deletions(config: &Path, json: bool) -> Result<()> {
    let found = custody::list_deletions(&service::config::load::<Config>(config)?)?;
    if json {
        println!("{}", serde_json::to_string(&found)?);
        return Ok(());
    }
    for proven in found {
        let one = &proven.deletion;
        let how = if one.shredded { "key destroyed" } else { "removed, its key was shared" };
        println!(
            "{} {} {} documents, {} bytes, {}: {how}",
            proven.when, one.partition, one.documents, one.bytes, one.reason
        );
    }
    Ok(())
}

/// Exit code 1 when something was found.
#[expect(clippy::print_stdout, reason = "a command answers on standard output")]
fn verify(config: &Path, anchor: Option<&Path>, json: bool) -> Result<ExitCode> {
    let config = service::config::load::<Config>(config)?;
    let bar = ProgressBar::new(verify::size(&config));
    let style = ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let report = verify::verify(&config, anchor, &mut |bytes| bar.inc(bytes));
    bar.finish_and_clear();
    let report = report?;
    if json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        for one in &report.findings {
            println!("{} at byte {}: {}", one.place, one.offset, one.what);
        }
        report.notes.iter().for_each(|note| println!("note: {note}"));
        println!(
            "{} findings in {} log records, {} index files, {} journal entries, {} audit records",
            report.findings.len(),
            report.records,
            report.files,
            report.entries,
            report.audit.records
        );
    }
    Ok(if report.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

#[expect(clippy::print_stdout, reason = "a command answers on standard output")]
fn execute(command: Command) -> Result<ExitCode> {
    match command {
        Command::Verify { config, anchor, json } => {
            return verify(&config, anchor.as_deref(), json);
        }
        Command::Anchor { config } => {
            println!("{}", verify::anchor(&service::config::load::<Config>(&config)?)?);
        }
        Command::Run { config } => {
            process::keep_memory();
            run::run(&service::config::load::<Config>(&config)?)?;
        }
        Command::Check { config } => {
            let loaded = service::config::load::<Config>(&config)?;
            run::check(&loaded)?;
            println!("{} is good", config.display());
            run::retention(&loaded)?.lines().iter().for_each(|line| println!("{line}"));
        }
        Command::Init { data, names, mail } => {
            let made = init::init(&data, &names, &mail, &service::Clock::system())?;
            println!("user {}\npassword {}", made.admin, made.password.expose());
        }
        Command::Key { command } => key(command)?,
        Command::Deletions { config, json } => deletions(&config, json)?,
        Command::Retention { config, json } => {
            let found = run::retention(&service::config::load::<Config>(&config)?)?;
            if json {
                println!("{}", serde_json::to_string(&found)?);
            } else {
                found.lines().iter().for_each(|line| println!("{line}"));
            }
        }
        Command::EnrolmentToken { config, minutes } => {
            let config = service::config::load::<Config>(&config)?;
            println!("{}", local::enrolment_token(&config, minutes)?.expose());
        }
        Command::Token { config, name, scopes } => {
            let config = service::config::load::<Config>(&config)?;
            println!("{}", local::token(&config, &name, &scopes)?.expose());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What the disk did, if it is to blame; SQLite has its own words for that.
fn disk(error: &anyhow::Error) -> Option<service::Disk> {
    let state = error.chain().find_map(|cause| cause.downcast_ref::<StateError>());
    service::Disk::of(error.as_ref()).or_else(|| state?.disk())
}

fn main() -> ExitCode {
    match execute(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "errors go to standard error")]
            {
                eprintln!("pikett-collector: {error:#}");
                if let Some(disk) = disk(&error) {
                    eprintln!("pikett-collector: {disk}");
                }
            }
            ExitCode::from(2)
        }
    }
}
