//! Installs what a fresh machine lacks: with apt as root or through sudo, else it says the command.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// One thing that is needed, how to see that it is there, and the package that brings it.
struct Need {
    what: &'static str,
    debian: &'static str,
    fedora: &'static str,
    present: fn() -> bool,
}

const NEEDS: &[Need] = &[
    Need {
        what: "libpcap with its headers",
        debian: "libpcap-dev",
        fedora: "libpcap-devel",
        present: || {
            ["/usr/include/pcap/pcap.h", "/usr/include/pcap.h"]
                .iter()
                .any(|p| Path::new(p).exists())
        },
    },
    Need {
        what: "curl, for the demonstration",
        debian: "curl",
        fedora: "curl",
        present: || answers("curl"),
    },
    Need {
        what: "Node.js, for the console",
        debian: "nodejs",
        fedora: "nodejs",
        present: || answers("node"),
    },
    Need {
        what: "npm, for the console",
        debian: "npm",
        fedora: "nodejs-npm",
        present: || answers("npm"),
    },
];

/// What some whole-system tests use. Without it they say that they are skipped.
const FOR_TESTS: &[Need] = &[
    Need {
        what: "ip, for network namespaces",
        debian: "iproute2",
        fedora: "iproute",
        present: || in_path("ip"),
    },
    Need { what: "nmap", debian: "nmap", fedora: "nmap", present: || in_path("nmap") },
    Need { what: "dig", debian: "dnsutils", fedora: "bind-utils", present: || in_path("dig") },
    Need {
        what: "strace, to let system calls fail",
        debian: "strace",
        fedora: "strace",
        present: || in_path("strace"),
    },
    Need {
        what: "valgrind, to count instructions",
        debian: "valgrind",
        fedora: "valgrind",
        present: || answers("valgrind"),
    },
    Need {
        what: "libfaketime, for clocks that jump",
        debian: "faketime",
        fedora: "libfaketime",
        present: || in_path("faketime"),
    },
];

/// Whether a program is in the path.
pub(crate) fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).exists())
}

/// Whether a program is there and says its version.
pub(crate) fn answers(program: &str) -> bool {
    let mut command = Command::new(program);
    let quiet = command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Installs what is missing, or says how.
///
/// # Errors
/// When something is missing and cannot be installed from here.
pub(crate) fn ensure() -> Result<()> {
    install(NEEDS)
}

/// What the tests can use beyond that; when it cannot be had, they run without it.
///
/// # Errors
/// As [`ensure`].
pub(crate) fn ensure_for_tests() -> Result<()> {
    ensure()?;
    if let Err(error) = install(FOR_TESTS) {
        println!("some whole-system tests will be skipped and say so; {error:#}");
    }
    Ok(())
}

fn install(needs: &[Need]) -> Result<()> {
    let missing: Vec<&Need> = needs.iter().filter(|need| !(need.present)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for need in &missing {
        println!("missing: {}", need.what);
    }
    let debian: Vec<&str> = missing.iter().map(|need| need.debian).collect();
    let fedora: Vec<&str> = missing.iter().map(|need| need.fedora).collect();
    let advice = format!(
        "install it and start again:\n  Debian, Ubuntu: apt-get install {}\n  Fedora: dnf install {}",
        debian.join(" "),
        fedora.join(" ")
    );
    if !answers("apt-get") {
        bail!(advice);
    }
    let prefix: &[&str] = if is_root() {
        &[]
    } else if sudo_works() {
        &["sudo", "-n"]
    } else {
        bail!(advice);
    };
    apt(prefix, &["update", "-qq"])?;
    let mut install = vec!["install", "-y", "-qq", "--no-install-recommends"];
    install.extend(&debian);
    apt(prefix, &install)?;
    let still: Vec<&str> = needs.iter().filter(|n| !(n.present)()).map(|n| n.what).collect();
    if still.is_empty() { Ok(()) } else { bail!("still missing: {}\n{advice}", still.join(", ")) }
}

pub(crate) fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn sudo_works() -> bool {
    let mut command = Command::new("sudo");
    let quiet = command.args(["-n", "true"]).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

fn apt(prefix: &[&str], arguments: &[&str]) -> Result<()> {
    let mut words: Vec<&str> = prefix.to_vec();
    words.push("apt-get");
    words.extend(arguments);
    println!("$ {}", words.join(" "));
    let (program, rest) = words.split_first().context("no command")?;
    let status = Command::new(program)
        .args(rest)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot start {program}"))?;
    if status.success() { Ok(()) } else { bail!("{} failed", words.join(" ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_there_or_not() {
        assert!(answers("cargo"));
        assert!(!answers("no-such-program-of-ours"));
        // There, and it fails.
        assert!(!answers("false"));
    }

    #[test]
    fn every_need_names_its_packages() {
        for need in NEEDS {
            let package = |name: &str| {
                !name.is_empty()
                    && name
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            };
            assert!(
                !need.what.is_empty() && package(need.debian) && package(need.fedora),
                "{}",
                need.what
            );
        }
    }
}
