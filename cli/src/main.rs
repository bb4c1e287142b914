//! Pikett command line: search, tail, alerts, rules, scan.
//!
//! Reads arguments and hands over to one module per command. Exit codes are a contract: 0 fine, 1 findings,
//! 2 usage or configuration, 3 unreachable.
#![forbid(unsafe_code)]

mod rules;
mod scan;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Network IDS and SIEM: the tool of analysts and rule authors.
#[derive(Debug, Parser)]
#[command(name = "pikett", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Work with detection rules.
    #[command(subcommand)]
    Rules(rules::Command),
    /// Look for Sigma rules in log files.
    Scan(scan::Scan),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.command {
        Command::Rules(command) => rules::run(command),
        Command::Scan(scan) => scan::run(scan),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the tool talks to its user")]
            {
                eprintln!("pikett: {error:#}");
            }
            ExitCode::from(2)
        }
    }
}
