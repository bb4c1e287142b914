//! Rule files and what they name, read for a replay or for live capture.

use std::io::Read as _;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use net::Protocol;
use signature::{
    AddressFiles, AppProto, LoadOptions, Names, ProtoSet, Rejected, Report, RuleSet, Source,
    Support,
};

use crate::config::RulesConfig;

/// Files of what is known of addresses.
#[derive(Clone, Debug, Default)]
pub(crate) struct AddressPaths {
    /// Names of categories of reputations.
    pub(crate) categories: Option<PathBuf>,
    /// Folder of the files of reputations that have no path from the root.
    pub(crate) folder: PathBuf,
    pub(crate) reputation: Vec<PathBuf>,
    /// Database of countries.
    pub(crate) countries: Option<PathBuf>,
}

impl AddressPaths {
    /// The files of a configuration.
    pub(crate) fn of(config: &RulesConfig) -> Self {
        Self {
            categories: config.reputation.categories.clone(),
            folder: PathBuf::new(),
            reputation: config.reputation.files.clone(),
            countries: config.geoip_database.clone(),
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = PathBuf> {
        let reputation = self.reputation.iter().map(|path| self.folder.join(path));
        self.categories.iter().chain(&self.countries).cloned().chain(reputation)
    }

    fn read(&self) -> anyhow::Result<AddressFiles> {
        let one = |path: &Option<PathBuf>| path.as_deref().map(source).transpose();
        let reputation = self.reputation.iter().map(|path| source(&self.folder.join(path)));
        Ok(AddressFiles {
            categories: one(&self.categories)?,
            reputation: reputation.collect::<anyhow::Result<_>>()?,
            countries: one(&self.countries)?,
        })
    }
}

/// Reads rule files, and `*.rules` in folders and below, with the given variables.
///
/// # Errors
/// When a file cannot be read, or a folder has none. Rules that cannot be loaded are in the report.
pub(crate) fn load(
    paths: &[PathBuf],
    variables: &[(String, String)],
    addresses: &AddressPaths,
) -> anyhow::Result<(RuleSet, Report)> {
    load_after(paths, variables, addresses, (&Names::default(), None))
}

/// As [`load`], for a set that will replace the one with these names; on so many threads, or as many as there are cores.
///
/// # Errors
/// As [`load`].
pub(crate) fn load_after(
    paths: &[PathBuf],
    variables: &[(String, String)],
    addresses: &AddressPaths,
    (names, threads): (&Names, Option<NonZero<usize>>),
) -> anyhow::Result<(RuleSet, Report)> {
    let mut files = Vec::new();
    for path in paths {
        let found = service::files::find(std::slice::from_ref(path), &["rules"])?;
        anyhow::ensure!(!found.is_empty(), "no *.rules file in {} or below", path.display());
        files.extend(found);
    }
    let sources = files.iter().map(|path| source(path)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut options =
        LoadOptions { support: support(), read: Some(read_named), ..LoadOptions::default() };
    options.names = names.clone();
    options.threads = threads;
    options.limits = limits(&files)?;
    options.addresses = addresses.read()?;
    for (name, value) in variables {
        options.variables.set(name, value);
    }
    Ok(RuleSet::load(sources, &options))
}

/// Files of limits on alerts: `threshold.config` beside the rules.
fn limits(files: &[PathBuf]) -> anyhow::Result<Vec<Source>> {
    let mut paths: Vec<PathBuf> =
        files.iter().map(|file| file.with_file_name("threshold.config")).collect();
    paths.sort_unstable();
    paths.dedup();
    paths.iter().filter(|path| path.is_file()).map(|path| source(path)).collect()
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
    Support {
        parsed,
        detected: parsed.union(ProtoSet::of(&recognised)),
        file_magic: crate::sensor::inspect::magic::DESCRIPTIONS,
    }
}

/// A file that a rule names: beside the rule file, or in the working folder.
fn read_named(rule_file: &str, name: &str, limit: u64) -> std::io::Result<Vec<u8>> {
    let beside = Path::new(rule_file).parent().map(|folder| folder.join(name));
    let path = beside.filter(|path| path.exists()).unwrap_or_else(|| PathBuf::from(name));
    let mut content = Vec::new();
    std::fs::File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut content)?;
    if u64::try_from(content.len()).unwrap_or(u64::MAX) > limit {
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, "the file is too large"));
    }
    Ok(content)
}

/// A file as it is: rules may hold bytes that are no UTF-8. Of one that is too long to be loaded no more than says so.
fn source(path: &Path) -> anyhow::Result<Source> {
    let most = u64::try_from(Source::MAX_LEN).unwrap_or(u64::MAX).saturating_add(1);
    let mut text = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| {
            // Room for all of it at once: it is not copied while it grows.
            let length = file.metadata()?.len().min(most);
            text.reserve_exact(usize::try_from(length).unwrap_or_default());
            file.take(most).read_to_end(&mut text)
        })
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Source { name: path.display().to_string(), text })
}

/// A rejected rule in one line.
pub(crate) fn describe(rejected: &Rejected) -> String {
    let sid = rejected.sid.map_or_else(String::new, |sid| format!(" sid {sid}"));
    format!("{}:{}:{}:{sid} {}", rejected.file, rejected.line, rejected.column, rejected.error)
}
