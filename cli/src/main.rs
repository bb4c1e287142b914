//! Pikett command line: search, open, tail, alerts, exceptions, redact, rules, parsers, scan, hunt.
//!
//! Reads arguments and hands over to one module per command. Exit codes are a contract: 0 fine, 1 findings,
//! 2 usage or configuration, 3 unreachable.
#![forbid(unsafe_code)]

mod exceptions;
mod export;
mod hunt;
mod open;
mod output;
mod parsers;
mod redact;
mod remote;
mod rules;
mod scan;
mod sealing;
mod search;
mod terminal;

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
    /// Work with parsers of logs.
    #[command(subcommand)]
    Parsers(parsers::Command),
    /// Look for Sigma rules in log files.
    Scan(scan::Scan),
    /// Run Sigma rules over the events a collector has stored.
    Hunt(hunt::Hunt),
    /// Find events on a collector, newest first, or count and group them.
    Search(search::Search),
    /// Read a sealed export, which `search --output` made.
    Open(open::Open),
    /// Show events as they arrive at a collector.
    Tail(remote::Tail),
    /// List alerts of a collector, or deal with one.
    #[command(subcommand)]
    Alerts(remote::Alerts),
    /// List, test, make and end exceptions of a collector.
    #[command(subcommand)]
    Exceptions(exceptions::Exceptions),
    /// Take events, or fields of them, out of what a collector has stored, for good; list what was.
    Redact(Box<redact::Redact>),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.command {
        Command::Rules(command) => rules::run(command),
        Command::Parsers(command) => parsers::run(command),
        Command::Scan(scan) => scan::run(scan),
        Command::Hunt(hunt) => hunt::run(hunt),
        Command::Search(options) => search::search(options),
        Command::Open(options) => open::run(options),
        Command::Tail(options) => remote::tail(options),
        Command::Alerts(command) => remote::alerts(command),
        Command::Exceptions(command) => exceptions::run(command),
        Command::Redact(options) => redact::run(options),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the tool talks to its user")]
            {
                eprintln!("pikett: {}", terminal::plain(&format!("{error:#}")));
            }
            ExitCode::from(remote::code(&error))
        }
    }
}
