//! The steps of `test` and `check`.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::{bench, console, setup, tidy};

/// Root of the checkout.
pub(crate) fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or_else(|| here.clone(), PathBuf::from)
}

/// Runs a command in the root and fails when it fails.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<()> {
    println!("\n$ {program} {}", arguments.join(" "));
    done(Command::new(program).args(arguments))
}

/// Starts a command in the root and fails when it fails.
pub(crate) fn done(command: &mut Command) -> Result<()> {
    let status = command.current_dir(root()).status();
    let name = command.get_program().to_string_lossy();
    let status = status.with_context(|| format!("cannot start {name}"))?;
    if status.success() { Ok(()) } else { bail!("{name} failed ({status})") }
}

/// Everything a change must pass.
pub(crate) fn test() -> Result<()> {
    setup::ensure_for_tests()?;
    run("cargo", &["fmt", "--all", "--check"])?;
    tidy::tidy()?;
    console::build()?;
    run("cargo", &["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"])?;
    run("cargo", &["test", "--workspace", "--quiet"])?;
    bench::check_instructions()
}

/// Everything a release must pass.
pub(crate) fn check() -> Result<()> {
    test()?;
    run("cargo", &["doc", "--workspace", "--no-deps", "--quiet"])?;
    if !setup::answers("cargo-deny") {
        run("cargo", &["install", "cargo-deny", "--locked", "--quiet"])?;
    }
    run("cargo", &["deny", "--all-features", "check", "licenses", "bans", "sources"])
}

/// Shipped rules and parsers against their fixtures.
pub(crate) fn case() -> Result<()> {
    for package in ["pikett-agent", "anomaly"] {
        run("cargo", &["test", "--quiet", "-p", package, "--test", "shipped_rules"])?;
    }
    run("cargo", &["test", "--quiet", "-p", "logs", "--lib", "parse::"])
}

/// Seconds with one digit.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// Now, for measuring how long a step takes.
#[expect(clippy::disallowed_methods, reason = "a tool of development measures with its own clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
