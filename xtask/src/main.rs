//! Development tasks, so that nobody needs another tool: `cargo xtask run`, `cargo xtask test`, ...
//!
//! Each command is one module. They print what they do and stop at the first failure.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool for the terminal")]

mod bench;
mod console;
mod profile;
mod run;
mod setup;
mod steps;
mod tidy;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Development tasks of Pikett.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build, start collector and agent on this machine, play attacks, show what happens.
    Run(run::Options),
    /// Install what is missing, then formats, lints, tidy, console and all tests.
    Test,
    /// Everything `test` does, then documentation and dependency licences.
    Check,
    /// The rules of the house: layers, sizes, module heads, lints.
    Tidy,
    /// Our own rules and parsers against their fixtures.
    Case,
    /// What the sensor costs, and whether it keeps up.
    #[command(subcommand)]
    Bench(bench::What),
    /// Count what the packet path does, for the compiler; after changes that cost speed.
    Profile(profile::Options),
    /// Build the console into dashboards/dist.
    Console,
    /// Install what is missing on this machine.
    Setup,
}

fn execute(command: Command) -> Result<()> {
    match command {
        Command::Run(options) => run::run(&options),
        Command::Test => steps::test(),
        Command::Check => steps::check(),
        Command::Tidy => tidy::tidy(),
        Command::Case => steps::case(),
        Command::Bench(what) => bench::bench(&what),
        Command::Profile(options) => profile::profile(&options),
        Command::Console => setup::ensure().and_then(|()| console::build()),
        Command::Setup => setup::ensure(),
    }
}

fn main() -> ExitCode {
    match execute(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nfailed: {error:#}");
            ExitCode::FAILURE
        }
    }
}
