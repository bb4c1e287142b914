//! Rule files of a replay.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use net::Protocol;
use signature::{AppProto, LoadOptions, ProtoSet, Rejected, Report, RuleSet, Source, Support};

/// Reads rule files, and folders of `*.rules`, with the given variables.
///
/// # Errors
/// When a file cannot be read. Rules that cannot be loaded are in the report.
pub(crate) fn load(
    paths: &[PathBuf],
    variables: &[(String, String)],
) -> anyhow::Result<(RuleSet, Report)> {
    let mut sources = Vec::new();
    for path in paths {
        if path.is_dir() {
            for file in rule_files(path)? {
                sources.push(source(&file)?);
            }
        } else {
            sources.push(source(path)?);
        }
    }
    let mut options = LoadOptions { support: support(), ..LoadOptions::default() };
    for (name, value) in variables {
        options.variables.set(name, value);
    }
    Ok(RuleSet::load(sources, &options))
}

/// Protocols that rules may name: those that are parsed and those that are recognised.
fn support() -> Support {
    let parsed = ProtoSet::of(&[AppProto::Http, AppProto::Dns, AppProto::Tls]);
    let recognised: Vec<AppProto> = [
        Protocol::Ssh,
        Protocol::Smtp,
        Protocol::Ftp,
        Protocol::Smb,
        Protocol::Dcerpc,
        Protocol::Rdp,
        Protocol::Krb5,
        Protocol::Snmp,
        Protocol::Ntp,
        Protocol::Dhcp,
        Protocol::Sip,
        Protocol::Rfb,
        Protocol::Mqtt,
        Protocol::Ldap,
        Protocol::Pop3,
        Protocol::Imap,
        Protocol::Mdns,
    ]
    .iter()
    .filter_map(|protocol| AppProto::from_name(protocol.name()))
    .collect();
    Support { parsed, detected: parsed.union(ProtoSet::of(&recognised)) }
}

/// The rule files of a folder, by name.
fn rule_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("cannot read rule folder {}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "rules") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn source(path: &Path) -> anyhow::Result<Source> {
    let text =
        std::fs::read(path).with_context(|| format!("cannot read rule file {}", path.display()))?;
    Ok(Source { name: path.display().to_string(), text })
}

/// A rejected rule in one line.
pub(crate) fn describe(rejected: &Rejected) -> String {
    let sid = rejected.sid.map_or_else(String::new, |sid| format!(" sid {sid}"));
    format!("{}:{}:{}:{sid} {}", rejected.file, rejected.line, rejected.column, rejected.error)
}
