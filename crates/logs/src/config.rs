//! What can be configured of log sources; the same keys in the files of agent and collector.

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::parse::{Library, Parser, Zone};

mod audit;
mod evtx;
mod inventory;
mod listen;
mod quiet;

pub use audit::AuditConfig;
pub use evtx::EvtxConfig;
pub use inventory::InventoryConfig;
pub use listen::{NetflowConfig, SyslogConfig, SyslogPeer, Transport};
pub use quiet::Quiet;

/// Log inputs. When they are read from a file their parsers are loaded, and every format is checked.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, remote = "Self")]
pub struct LogsConfig {
    /// Files to follow.
    pub files: Vec<FileConfig>,
    /// Logs of containers.
    pub containers: Option<ContainersConfig>,
    /// The systemd journal.
    pub journald: Option<JournaldConfig>,
    /// Records of the Linux audit system.
    pub audit: Vec<AuditConfig>,
    /// Windows event log files.
    pub evtx: Vec<EvtxConfig>,
    /// Syslog listeners.
    pub syslog: Vec<SyslogConfig>,
    /// Listeners for NetFlow and IPFIX.
    pub netflow: Vec<NetflowConfig>,
    /// What there is on this host, and what changes of it.
    pub inventory: Option<InventoryConfig>,
    /// Commands whose output is taken.
    pub commands: Vec<CommandConfig>,
    /// Folders of further parsers (`NAME.toml`); one replaces a built-in one of the same name.
    pub parsers: Vec<PathBuf>,
}

impl<'de> Deserialize<'de> for LogsConfig {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut config = Self::deserialize(deserializer)?;
        config.resolve().map_err(serde::de::Error::custom)?;
        Ok(config)
    }
}

impl LogsConfig {
    fn resolve(&mut self) -> Result<(), String> {
        let parsers = resolve(&self.parsers, &mut self.files, &mut self.syslog)?;
        let mut problems = Vec::new();
        if let Some(containers) = &mut self.containers {
            problems.extend(parsers.problem("containers", containers.format));
            containers.parsers = parsers.clone();
        }
        for (number, command) in self.commands.iter_mut().enumerate() {
            problems.extend(parsers.problem(&format!("commands[{number}]"), command.format));
            command.parsers = parsers.clone();
        }
        for evtx in &mut self.evtx {
            evtx.parsers = parsers.clone();
        }
        if let Some(journald) = &mut self.journald {
            journald.parsers = parsers;
        }
        if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
    }
}

/// Loads the parsers of `folders` and gives them to every source.
///
/// # Errors
/// Everything that is wrong with them and with the formats of sources, a line each.
pub fn resolve(
    folders: &[PathBuf],
    files: &mut [FileConfig],
    syslog: &mut [SyslogConfig],
) -> Result<Parsers, String> {
    let library = Library::load(folders).map_err(|errors| {
        errors.iter().map(|error| service::causes(error)).collect::<Vec<_>>().join("\n")
    })?;
    let parsers = Parsers(library);
    let mut problems = Vec::new();
    let mut check =
        |place: String, format: Format| problems.extend(parsers.problem(&place, format));
    for (number, file) in files.iter_mut().enumerate() {
        check(format!("files[{number}]"), file.format);
        file.parsers = parsers.clone();
    }
    for (number, listener) in syslog.iter_mut().enumerate() {
        check(format!("syslog[{number}]"), listener.format);
        for (at, peer) in listener.peer.iter().enumerate() {
            check(format!("syslog[{number}].peer[{at}]"), peer.format.unwrap_or_default());
        }
        listener.parsers = parsers.clone();
    }
    if problems.is_empty() { Ok(parsers) } else { Err(problems.join("\n")) }
}

/// The parsers that a source is read with; the built-in ones unless its configuration names more.
#[derive(Clone, Debug)]
pub struct Parsers(Arc<Library>);

impl Default for Parsers {
    fn default() -> Self {
        Self(Library::built_in())
    }
}

impl Parsers {
    /// What is wrong with the format of a source, with its place in the configuration.
    fn problem(&self, place: &str, format: Format) -> Option<String> {
        let error = Parser::with(&self.0, &format, Zone::utc()).err()?;
        Some(format!("{place}.format: {error}"))
    }

    /// A parser of a format that was checked with the configuration.
    #[must_use]
    pub fn parser(&self, format: Format, zone: Zone) -> Parser {
        Parser::with(&self.0, &format, zone.clone()).unwrap_or_else(|_| Parser::new(format, zone))
    }
}

/// A command that is run on a schedule, without a shell.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandConfig {
    /// Name of it in events (`event.dataset`).
    pub name: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Seconds between two runs.
    #[schemars(range(min = 1, max = 2_592_000))]
    pub every_seconds: u64,
    /// Seconds after which it is ended, with all it has started.
    #[serde(default = "command_timeout")]
    #[schemars(range(min = 1, max = 3600))]
    pub timeout_seconds: u64,
    /// User that it runs as, with that user's own group alone; the user of the agent when absent. Becoming another needs
    /// CAP_SETUID, CAP_SETGID and CAP_KILL, which the agent then keeps: with them it could become anybody.
    #[serde(default)]
    pub user: Option<String>,
    /// Silence after which an alarm is raised, such as `15m`, or `never`; learned when absent.
    #[serde(default)]
    pub quiet_after: Option<Quiet>,
    /// How its lines are read.
    #[serde(default)]
    pub format: Format,
    /// Time zone of times without one; UTC when absent.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// Set when the whole configuration is read.
    #[serde(skip)]
    pub parsers: Parsers,
}

const fn command_timeout() -> u64 {
    30
}

/// How the lines of a source are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub enum Format {
    /// JSON when a line begins with `{`, audit and known heads by how they begin, else syslog.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// RFC 5424, RFC 3164 or the local form `Nov 22 15:04:05 host app[1]: text`.
    Syslog,
    /// `audit.log` of the Linux audit system.
    Auditd,
    /// Text only.
    Plain,
    /// `eve.json` of a Suricata; its alerts become alerts here.
    Eve,
    /// Logs of a Zeek, JSON or TSV.
    Zeek,
    /// A parser of the library, such as `nginx`; `pikett parsers list` names them.
    Named(Name),
}

/// The name of a parser: at most 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name {
    bytes: [u8; 32],
    length: usize,
}

impl Name {
    /// A name; `None` when it is too long.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self { bytes, length: text.len() })
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.length).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl std::fmt::Debug for Name {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_str().fmt(out)
    }
}

impl Format {
    /// Names of the formats that are no parsers of the library.
    pub const NAMES: [&str; 7] = ["auto", "json", "syslog", "auditd", "plain", "eve", "zeek"];

    /// The format of this name; `None` when it is longer than the name of a parser may be. Whether there is
    /// such a parser is for the library to say.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "auto" => Self::Auto,
            "json" => Self::Json,
            "syslog" => Self::Syslog,
            "auditd" => Self::Auditd,
            "plain" => Self::Plain,
            "eve" => Self::Eve,
            "zeek" => Self::Zeek,
            _ => Self::Named(Name::new(name)?),
        })
    }
}

impl TryFrom<String> for Format {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Self::named(&name)
            .ok_or_else(|| format!("{name:?} is longer than the name of a parser may be"))
    }
}

impl JsonSchema for Format {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Format".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "auto, json, syslog, auditd, plain, eve, zeek, or the name of a parser"
        })
    }
}

/// Files to follow.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileConfig {
    /// Paths; `*`, `?` in any component, `**` for any number of folders.
    pub paths: Vec<String>,
    /// Files not to follow, in the same language; a pattern without `/` is about the file's name alone.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// How lines are read.
    #[serde(default)]
    pub format: Format,
    /// Encoding by its name, such as `utf-16le` or `windows-1252`; UTF-8 when absent, or what a byte
    /// order mark says.
    #[serde(default)]
    pub encoding: Option<String>,
    /// A line that does not match this regular expression continues the one before it.
    #[serde(default)]
    pub starts_with: Option<String>,
    /// A line that matches this regular expression continues the one before it.
    #[serde(default)]
    pub continues_with: Option<String>,
    /// Milliseconds without a further line after which a record of several lines is complete.
    #[serde(default = "join_wait")]
    #[schemars(range(min = 50, max = 60_000))]
    pub join_milliseconds: u64,
    /// Most lines joined into one record; the rest of a longer one comes as a further part.
    #[serde(default = "join_lines")]
    #[schemars(range(min = 2, max = 10_000))]
    pub join_lines: usize,
    /// Read files from their beginning when they are met for the first time; else from their end.
    #[serde(default = "yes")]
    pub from_start: bool,
    /// Files met for the first time that were last written to longer ago, in hours, are left alone.
    #[serde(default)]
    pub ignore_older_hours: Option<u64>,
    /// Time zone of times without one, such as `Europe/Zurich`; UTC when absent.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// Silence after which an alarm is raised, such as `15m`, or `never`; learned when absent.
    #[serde(default)]
    pub quiet_after: Option<Quiet>,
    /// Set when the whole configuration is read.
    #[serde(skip)]
    pub parsers: Parsers,
    /// Lines are wrapped as container runtimes do it.
    #[serde(skip)]
    pub containers: bool,
}

const fn yes() -> bool {
    true
}

const fn join_wait() -> u64 {
    1_000
}

const fn join_lines() -> usize {
    500
}

/// Logs of containers: Docker's `json-file`, and the CRI format of containerd and CRI-O.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ContainersConfig {
    /// Paths of the logs; where Docker and Kubernetes keep them when absent.
    pub paths: Vec<String>,
    /// Logs not to follow.
    pub exclude: Vec<String>,
    /// How the lines inside are read.
    pub format: Format,
    /// A line that does not match this regular expression continues the one before it.
    pub starts_with: Option<String>,
    /// A line that matches this regular expression continues the one before it.
    pub continues_with: Option<String>,
    /// Read logs from their beginning when they are met for the first time; else from their end.
    pub from_start: bool,
    /// Time zone of times without one; UTC when absent.
    pub time_zone: Option<String>,
    /// Silence after which an alarm is raised, such as `15m`, or `never`; learned when absent.
    pub quiet_after: Option<Quiet>,
    /// Set when the whole configuration is read.
    #[serde(skip)]
    pub parsers: Parsers,
}

impl Default for ContainersConfig {
    fn default() -> Self {
        let paths = ["/var/lib/docker/containers/*/*-json.log", "/var/log/pods/*/*/*.log"];
        Self {
            paths: paths.map(str::to_owned).to_vec(),
            exclude: Vec::new(),
            format: Format::Auto,
            starts_with: None,
            continues_with: None,
            from_start: true,
            time_zone: None,
            quiet_after: None,
            parsers: Parsers::default(),
        }
    }
}

impl LogsConfig {
    /// All files to follow, those of containers among them.
    #[must_use]
    pub fn all_files(&self) -> Vec<FileConfig> {
        let containers = self.containers.clone().map(|config| FileConfig {
            paths: config.paths,
            exclude: config.exclude,
            format: config.format,
            starts_with: config.starts_with,
            continues_with: config.continues_with,
            from_start: config.from_start,
            time_zone: config.time_zone,
            containers: true,
            quiet_after: config.quiet_after,
            parsers: config.parsers,
            ..FileConfig::default()
        });
        self.files.iter().cloned().chain(containers).collect()
    }
}

/// The systemd journal, read through `journalctl`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JournaldConfig {
    /// Units to read; all when empty.
    #[serde(default)]
    pub units: Vec<String>,
    /// Program to run; `journalctl` when absent.
    #[serde(default)]
    pub command: Option<PathBuf>,
    /// Silence after which an alarm is raised, such as `15m`, or `never`; learned when absent.
    #[serde(default)]
    pub quiet_after: Option<Quiet>,
    /// Set when the whole configuration is read.
    #[serde(skip)]
    pub parsers: Parsers,
}

impl Default for FileConfig {
    fn default() -> Self {
        Self {
            paths: Vec::new(),
            exclude: Vec::new(),
            format: Format::Auto,
            encoding: None,
            starts_with: None,
            continues_with: None,
            join_milliseconds: join_wait(),
            join_lines: join_lines(),
            from_start: true,
            ignore_older_hours: None,
            containers: false,
            quiet_after: None,
            time_zone: None,
            parsers: Parsers::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<LogsConfig, String> {
        service::config::parse("agent.toml", text).map_err(|error| error.to_string())
    }

    #[test]
    fn formats_are_checked_with_the_configuration() {
        let error = read(
            "[[files]]\npaths = [\"/a\"]\nformat = \"ngnix\"\n[[syslog]]\nlisten = \"x\"\n\
             transport = \"udp\"\nformat = \"zzzzzzzz\"\n",
        )
        .unwrap_err();
        assert!(
            error.contains("files[0].format: \"ngnix\" is no format; did you mean \"nginx\"?")
                && error.contains("syslog[0].format: \"zzzzzzzz\" is no format"),
            "{error}"
        );
        let error = read("parsers = [\"/no/such/folder\"]\n").unwrap_err();
        assert!(error.contains("cannot read /no/such/folder"), "{error}");
        let error = read("parser = []\n").unwrap_err();
        assert!(error.contains("unknown key"), "{error}");
    }

    #[test]
    fn parsers_of_a_folder_reach_every_source() {
        let folder = tempfile::tempdir().unwrap();
        let file = "title = \"door\"\nprogram = [\"door\"]\n[[pattern]]\nline = 'opened by %{user.name}'\n";
        std::fs::write(folder.path().join("door.toml"), file).unwrap();
        let text = format!(
            "parsers = [{:?}]\n[journald]\n[[files]]\npaths = [\"/a\"]\nformat = \"door\"\n\
             [[syslog]]\nlisten = \"x\"\ntransport = \"udp\"\n",
            folder.path()
        );
        let config = read(&text).unwrap();
        let line = "Nov 22 15:04:05 h door: opened by x";
        for parsers in [
            &config.files[0].parsers,
            &config.syslog[0].parsers,
            &config.journald.as_ref().unwrap().parsers,
        ] {
            let parser = parsers.parser(Format::Syslog, Zone::utc());
            let entry = parser.line(line, event::Timestamp::EPOCH);
            assert_eq!(event::get(&entry.fields, "event.module").unwrap(), "door");
        }
    }
}
