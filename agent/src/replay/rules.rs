//! Rule files of a replay.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use net::Protocol;
use signature::{AppProto, LoadOptions, ProtoSet, Rejected, Report, RuleSet, Source, Support};

/// Reads rule files, and `*.rules` in folders and below, with the given variables.
///
/// # Errors
/// When a file cannot be read. Rules that cannot be loaded are in the report.
pub(crate) fn load(
    paths: &[PathBuf],
    variables: &[(String, String)],
) -> anyhow::Result<(RuleSet, Report)> {
    let files = service::files::find(paths, &["rules"])?;
    let sources = files.iter().map(|path| source(path)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut options = LoadOptions { support: support(), ..LoadOptions::default() };
    for (name, value) in variables {
        options.variables.set(name, value);
    }
    Ok(RuleSet::load(sources, &options))
}

/// Protocols that rules may name: those that are parsed and those that are recognised.
fn support() -> Support {
    let parsed = Support::default().parsed;
    let recognised: Vec<AppProto> = [
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

/// A file as it is: rules may hold bytes that are no UTF-8.
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
