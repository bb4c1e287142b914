//! Pikett agent: captures packets and logs, detects, ships.
#![forbid(unsafe_code)]

mod replay;
mod sensor;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Pikett agent: sees packets and logs, detects, ships, blocks.
#[derive(Debug, Parser)]
#[command(name = "pikett-agent", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run capture files through the pipeline and write what it finds.
    Replay(replay::Args),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Replay(args) => replay::run(&args),
    }
}
