//! What can be configured of log sources; the same keys in the files of agent and collector.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// Log inputs.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogsConfig {
    /// Files to follow.
    pub files: Vec<FileConfig>,
    /// The systemd journal.
    pub journald: Option<JournaldConfig>,
    /// Syslog listeners.
    pub syslog: Vec<SyslogConfig>,
}

/// How the lines of a source are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// JSON when a line begins with `{`, else syslog when it has such a header, else plain.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// RFC 5424, RFC 3164 or the local form `Nov 22 15:04:05 host app[1]: text`.
    Syslog,
    /// Access log of nginx or Apache, common or combined.
    Access,
    /// `audit.log` of the Linux audit system.
    Auditd,
    /// Text only.
    Plain,
}

/// Files to follow.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileConfig {
    /// Paths; `*`, `?` in any component.
    pub paths: Vec<String>,
    /// How lines are read.
    #[serde(default)]
    pub format: Format,
    /// A line that does not match this regular expression continues the one before it.
    #[serde(default)]
    pub starts_with: Option<String>,
    /// Read files from their beginning when they are met for the first time; else from their end.
    #[serde(default = "yes")]
    pub from_start: bool,
    /// Time zone of times without one, such as `Europe/Zurich`; UTC when absent.
    #[serde(default)]
    pub time_zone: Option<String>,
}

const fn yes() -> bool {
    true
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
}

/// Transport of a syslog listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Datagrams (RFC 5426).
    Udp,
    /// Streams, both framings of RFC 6587.
    Tcp,
}

/// One syslog listener.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SyslogConfig {
    /// Address and port, such as `0.0.0.0:514`.
    pub listen: String,
    /// Transport.
    pub transport: Transport,
    /// Time zone of times without one; UTC when absent.
    #[serde(default)]
    pub time_zone: Option<String>,
}

impl Default for FileConfig {
    fn default() -> Self {
        Self {
            paths: Vec::new(),
            format: Format::Auto,
            starts_with: None,
            from_start: true,
            time_zone: None,
        }
    }
}
