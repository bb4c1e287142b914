//! What the packet path does, counted, so that the compiler knows what to lay out and inline for speed.
//!
//! The agent is built with counters and replays the generated capture; the counts are kept in the project, and every
//! build takes them (`xtask/profile/rustc`): nobody has to count first. Functions that did nothing meanwhile are left
//! out: they are compiled as if there were no counts, not as cold.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use crate::bench::{Folder, capture, number, replay_command, stats};
use crate::setup;
use crate::steps::{done, now, root, seconds};

/// Packets of the generated capture: enough that loading rules is a small part of what is counted.
const PACKETS: usize = 400_000;
/// Where counts are kept.
const PROFILE: &str = "xtask/profile/packets.profdata";

/// What is counted.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Signatures; our own when absent. Better are as many as sensors have: ours are few and leave searches cold.
    #[arg(long)]
    rules: Option<PathBuf>,
}

/// Major version of the compiler's LLVM: older ones cannot read the format of newer ones.
fn llvm_version(said: &str) -> Option<&str> {
    said.lines().find_map(|line| line.strip_prefix("LLVM version: "))?.split('.').next()
}

/// The program that joins counts: of the compiler's component llvm-tools, or the distribution's of that version.
fn joiner() -> Result<PathBuf> {
    let ask = |what: &[&str]| -> Result<String> {
        let said = Command::new("rustc").args(what).output().context("cannot start rustc")?;
        Ok(String::from_utf8_lossy(&said.stdout).into_owned())
    };
    let said = ask(&["-vV"])?;
    let version = llvm_version(&said).context("rustc does not say its LLVM version")?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    let sysroot = ask(&["--print", "sysroot"])?;
    let component =
        Path::new(sysroot.trim()).join("lib/rustlib").join(host).join("bin/llvm-profdata");
    if component.exists() {
        return Ok(component);
    }
    let packaged = format!("llvm-profdata-{version}");
    if setup::in_path(&packaged) {
        return Ok(packaged.into());
    }
    bail!(
        "no llvm-profdata of LLVM {version}; install it and start again:\n  rustup component add llvm-tools\n  or Debian, Ubuntu: apt-get install llvm-{version}"
    )
}

/// Counts and keeps them.
///
/// # Errors
/// When the agent cannot be built or run, or counts cannot be joined.
pub(crate) fn profile(options: &Options) -> Result<()> {
    let (began, joiner, target) = (now(), joiner()?, root().join("target/profile"));
    println!("building the agent with counters");
    done(
        Command::new("cargo")
            .args(["build", "--release", "--quiet", "--package", "pikett-agent"])
            .env("CARGO_TARGET_DIR", &target)
            .env("PIKETT_PROFILE", "count"),
    )?;
    println!("  built in {}", seconds(began.elapsed()));
    let folder = Folder::new()?;
    let (made, out, counts) = (folder.at("made.pcap"), folder.at("out"), folder.at("counts"));
    capture(PACKETS, &made)?;
    std::fs::create_dir_all(&out)?;
    let own = root().join("rules/signatures");
    let rules = options.rules.as_deref().unwrap_or(&own);
    println!("counting with {}", rules.display());
    let mut replay = replay_command(&target.join("release/pikett-agent"), Some(rules), &out, &made);
    replay.env("LLVM_PROFILE_FILE", &counts);
    done(replay.stdout(Stdio::null()).stderr(Stdio::null()))?;
    let seen = number(&stats(&out)?, "/packets")?;
    ensure!(seen == u64::try_from(PACKETS)?, "{seen} of {PACKETS} packets seen");
    done(Command::new(joiner).args(["merge", "--sparse", "--output", PROFILE]).arg(counts))?;
    let size = std::fs::metadata(root().join(PROFILE))?.len();
    println!("{PROFILE}: {} KiB, {} in all", size / 1024, seconds(began.elapsed()));
    println!("then: cargo xtask bench instructions --update");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_llvm_is_read() {
        assert_eq!(llvm_version("rustc 1.95.0\nhost: x\nLLVM version: 22.1.2\n"), Some("22"));
        assert_eq!(llvm_version("rustc 1.95.0\n"), None);
    }

    /// What the wrapper has cargo's call come to.
    fn wrapped(arguments: &[&str], counting: bool) -> Vec<String> {
        let mut command = Command::new(root().join("xtask/profile/rustc"));
        command.arg("echo").args(arguments).env_remove("PIKETT_PROFILE");
        if counting {
            command.env("PIKETT_PROFILE", "count");
        }
        let said = command.output().expect("bash");
        assert!(said.status.success());
        let text = String::from_utf8(said.stdout).expect("text");
        text.split_whitespace().skip(arguments.len()).map(str::to_owned).collect()
    }

    #[test]
    fn only_optimised_crates_of_the_packet_path_are_compiled_by_counts() {
        let used = wrapped(&["--crate-name", "signature", "-C", "opt-level=3"], false);
        let [_, file, ..] = used.as_slice() else { panic!("{used:?}") };
        let file = file.strip_prefix("profile-use=").expect("a profile");
        assert!(Path::new(file).is_file(), "{file}");
        let counted = wrapped(&["--crate-name", "net", "-C", "opt-level=3"], true);
        assert_eq!(counted, ["-C", "profile-generate"]);
        for plain in [
            &["--crate-name", "signature"][..],
            &["--crate-name", "tantivy", "-C", "opt-level=3"],
            &["--crate-name", "net", "-C", "opt-level=3", "--cfg", "fuzzing"],
            &["--crate-name", "net", "-C", "opt-level=3", "-C", "instrument-coverage"],
        ] {
            assert!(wrapped(plain, true).is_empty(), "{plain:?}");
        }
    }

    #[test]
    fn they_have_one_name_whatever_is_built_with_them() {
        let mut command = Command::new(root().join("xtask/profile/rustc"));
        command.args(["echo", "--crate-name", "net", "-C", "metadata=1f", "-C", "opt-level=3"]);
        let said = String::from_utf8(command.output().expect("bash").stdout).expect("text");
        assert!(
            said.contains("-C metadata=pikett-net ") && !said.contains("metadata=1f"),
            "{said}"
        );
    }

    #[test]
    fn the_environment_reaches_the_compiler_whole() {
        let mut command = Command::new(root().join("xtask/profile/rustc"));
        let said = command.args(["printenv", "CARGO_BIN_EXE_pikett-agent"]);
        let said = said.env("CARGO_BIN_EXE_pikett-agent", "here").output().expect("bash");
        assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), "here");
    }
}
