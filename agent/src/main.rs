//! Pikett agent: captures packets and logs, detects, ships.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use pikett_agent::config::Config;
use pikett_agent::{filestore, identity, replay, run, watch};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Pikett agent: sees packets and logs, detects, ships, blocks.
#[derive(Debug, Parser)]
#[command(name = "pikett-agent", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the agent.
    Run {
        /// Configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Check configuration, identity and rules without running.
    Check {
        /// Configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Enrol this host with a collector; done once.
    Enroll {
        /// Address of the collector, `https://HOST:PORT`.
        #[arg(long)]
        collector: String,
        /// One-time token made by the collector.
        #[arg(long)]
        token: String,
        /// Data folder of the agent.
        #[arg(long, default_value = "/var/lib/pikett-agent")]
        data: PathBuf,
        /// Name to enrol under; this host's when absent.
        #[arg(long)]
        name: Option<String>,
    },
    /// List the files in transit that are kept on this host, or write one out.
    Files(filestore::Args),
    /// Run capture files through the pipeline and write what it finds.
    Replay(replay::Args),
    /// Capture on an interface without a collector; says at the end what was seen.
    Watch(watch::Args),
}

#[expect(clippy::print_stdout, reason = "a command answers on standard output")]
fn execute(command: Command) -> Result<ExitCode> {
    match command {
        Command::Run { config } => run::run(&service::config::load::<Config>(&config)?)?,
        Command::Check { config } => {
            let refused = run::check(&service::config::load::<Config>(&config)?)?;
            if refused > 0 {
                println!("{}: {refused} rules are refused, the rest is good", config.display());
                return Ok(ExitCode::from(1));
            }
            println!("{} is good", config.display());
        }
        Command::Enroll { collector, token, data, name } => {
            let host = name.unwrap_or_else(run::host_name);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .context("cannot start the IO thread")?;
            let agent = runtime.block_on(identity::enrol(&data, &collector, &token, &host))?;
            println!("enrolled as {agent}; identity kept in {}", data.display());
        }
        Command::Files(args) => println!("{}", filestore::run(&args)?),
        Command::Watch(args) => println!("{:#}", watch::run(&args)?),
        Command::Replay(args) => return Ok(replay::run(&args)),
    }
    Ok(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    match execute(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "errors go to standard error")]
            {
                eprintln!("pikett-agent: {error:#}");
                if let Some(disk) = service::Disk::of(error.as_ref()) {
                    eprintln!("pikett-agent: {disk}");
                }
            }
            ExitCode::from(2)
        }
    }
}
