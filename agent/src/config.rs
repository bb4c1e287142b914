//! The agent's configuration file, `agent.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use link::spool::WhenFull;
use logs::config::LogsConfig;
use schemars::JsonSchema;
use serde::Deserialize;
use service::LogFormat;

/// Everything the agent can be told.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Folder of identity, spool and checkpoints; written by the agent alone.
    pub data: PathBuf,
    /// Collectors as `host:port`, in order of preference; taken from the enrolment when empty.
    #[serde(default)]
    pub collectors: Vec<String>,
    /// Zone the host stands in, such as `dmz`.
    #[serde(default)]
    pub zone: String,
    /// Region or site.
    #[serde(default)]
    pub region: String,
    /// Filter of the agent's own log, such as `info` or `info,link=debug`.
    #[serde(default = "default_filter")]
    pub log: String,
    /// Form of the agent's own log.
    #[serde(default)]
    pub log_format: LogFormat,
    /// Disk spool.
    #[serde(default)]
    pub spool: SpoolConfig,
    /// Rules.
    #[serde(default)]
    pub rules: RulesConfig,
    /// Files in transit that are kept on this host.
    #[serde(default)]
    pub files: FilesConfig,
    /// Interfaces to capture on; none means no capture.
    #[serde(default)]
    pub interfaces: Vec<InterfaceConfig>,
    /// Folder whose capture files are played as if they were happening, then renamed.
    #[serde(default)]
    pub playback: Option<PathBuf>,
    /// Log inputs.
    #[serde(default)]
    pub logs: LogsConfig,
    /// User to become once all sockets are open, when started as root.
    #[serde(default)]
    pub user: Option<String>,
}

fn default_filter() -> String {
    "info".to_owned()
}

/// Disk spool.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SpoolConfig {
    /// Most mebibytes on disk.
    #[schemars(range(min = 16))]
    pub megabytes: u64,
    /// What to do when it is full.
    pub when_full: WhenFull,
}

impl Default for SpoolConfig {
    fn default() -> Self {
        Self { megabytes: 1024, when_full: WhenFull::default() }
    }
}

/// Where rules come from and what their variables mean.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RulesConfig {
    /// Signature files or folders (`*.rules`).
    pub signatures: Vec<PathBuf>,
    /// Seconds between two looks at whether signature files have changed, so that they are loaded
    /// again; 0 to load them again only on SIGHUP.
    pub watch_seconds: u64,
    /// Reputations of addresses, for signatures with `iprep`.
    pub reputation: ReputationConfig,
    /// MaxMind DB with the countries of networks, for signatures with `geoip`.
    pub geoip_database: Option<PathBuf>,
    /// Sigma files or folders (`*.yml`), correlations among them.
    pub sigma: Vec<PathBuf>,
    /// Files or folders of exceptions from Sigma rules.
    pub exceptions: Vec<PathBuf>,
    /// Files or folders of names of fields for Sigma rules, beside those that are built in.
    pub mappings: Vec<PathBuf>,
    /// Values of `%name%` in Sigma rules with the modifier `expand`.
    pub placeholders: BTreeMap<String, Vec<String>>,
    /// Threshold and baseline files or folders (`*.yml`).
    pub anomaly: Vec<PathBuf>,
    /// Variables of signatures, such as `HOME_NET`. A `HOME_NET` that is a plain list of networks
    /// and addresses is what threshold rules mean by `|inside` too; with a negation, `any` or
    /// another variable in it they take the private networks for home.
    pub vars: BTreeMap<String, String>,
}

/// Which files in transit are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeepFiles {
    /// None.
    #[default]
    None,
    /// Those that signatures with `filestore` ask for.
    Wanted,
    /// All.
    All,
}

/// Files in transit (HTTP, SMTP, FTP, SMB) that are kept, sealed, in `files/` of the data folder; `pikett-agent
/// files` lists them and writes them out.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FilesConfig {
    /// Which.
    pub keep: KeepFiles,
    /// Most mebibytes on disk; the oldest files go first.
    #[schemars(range(min = 16))]
    pub megabytes: u64,
    /// Most mebibytes of one file; the rest of a larger one is left out.
    #[schemars(range(min = 1))]
    pub per_file_megabytes: u64,
}

impl Default for FilesConfig {
    fn default() -> Self {
        Self { keep: KeepFiles::default(), megabytes: 1024, per_file_megabytes: 64 }
    }
}

/// Files of reputations.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReputationConfig {
    /// Names of categories, lines of `id,short name,description`.
    pub categories: Option<PathBuf>,
    /// Scores, lines of `address or network,category id,score`.
    pub files: Vec<PathBuf>,
}

/// What an interface sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Traffic coming in from outside.
    Ingress,
    /// Traffic going out.
    Egress,
    /// Traffic within.
    #[default]
    Internal,
    /// A mirror port or tap.
    Mirror,
}

impl Role {
    /// Its name in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
            Self::Internal => "internal",
            Self::Mirror => "mirror",
        }
    }
}

/// How frames come from the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CaptureMethod {
    /// The ring on Linux, libpcap where it cannot be had; the log says which and why.
    #[default]
    Auto,
    /// The kernel's ring (`TPACKET_V3`), read without a copy.
    Ring,
    /// libpcap.
    Libpcap,
}

/// Which packets come to the same worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkerShare {
    /// Those of a flow. The kernel joins IPv4 fragments first, so that they follow their flow: they
    /// count as one packet, and what it will not join is not seen.
    #[default]
    Flows,
    /// Those between two hosts: fragments come as they are and stay with their flows, but all flows
    /// of two hosts go to one worker.
    Hosts,
}

/// One interface.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InterfaceConfig {
    /// Device, such as `eth0`.
    pub device: String,
    /// Name in records; the device when absent.
    #[serde(default)]
    pub name: Option<String>,
    /// What it sees.
    #[serde(default)]
    pub role: Role,
    /// Zone; the agent's when absent.
    #[serde(default)]
    pub zone: Option<String>,
    /// How frames come from the kernel.
    #[serde(default)]
    pub method: CaptureMethod,
    /// BPF filter; everything when absent.
    #[serde(default)]
    pub filter: Option<String>,
    /// Bytes kept of each packet.
    #[serde(default = "default_snap")]
    #[schemars(range(min = 64, max = 262_144))]
    pub snap_length: u32,
    /// Capture ring in mebibytes.
    #[serde(default = "default_ring")]
    #[schemars(range(min = 1, max = 4096))]
    pub ring_megabytes: u32,
    /// Verify checksums. Off by default: the packets a host sends itself have none yet when they
    /// are captured, because the network card fills them in. Turn it on for a mirror port. The ring
    /// knows which packets have none yet and leaves them out, so that it may be on everywhere.
    #[serde(default)]
    pub verify_checksums: bool,
    /// Packet workers.
    #[serde(default = "default_workers")]
    #[schemars(range(min = 1, max = 64))]
    pub workers: usize,
    /// What several workers share packets by.
    #[serde(default)]
    pub share: WorkerShare,
}

const fn default_snap() -> u32 {
    65_535
}

const fn default_ring() -> u32 {
    64
}

const fn default_workers() -> usize {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_file_is_enough() {
        let config: Config = service::config::parse("a", "data = \"/var/lib/pikett\"\n").unwrap();
        assert_eq!(config.spool.megabytes, 1024);
        assert!(config.interfaces.is_empty() && config.logs.files.is_empty());
    }

    #[test]
    fn files_about_addresses() {
        let text = "data = \"/x\"\n[rules]\nreputation = { categories = \"c\", files = [\"a\", \"b\"] }\n\
                    geoip_database = \"g.mmdb\"\n";
        let rules = service::config::parse::<Config>("a", text).unwrap().rules;
        assert_eq!(rules.reputation.categories, Some("c".into()));
        assert_eq!(rules.reputation.files, [PathBuf::from("a"), PathBuf::from("b")]);
        assert_eq!(rules.geoip_database, Some("g.mmdb".into()));
        let wrong = text.replace("files", "file");
        let error = service::config::parse::<Config>("a", &wrong).unwrap_err().to_string();
        assert!(error.contains("rules.reputation.file: unknown key"), "{error}");
    }

    #[test]
    fn mistakes_are_named_with_their_lines() {
        let text = "data = \"/x\"\n[[interfaces]]\ndevice = \"eth0\"\nrole = \"ingres\"\nring_megabytes = 0\n[logs]\nfile = []\n";
        let error = service::config::parse::<Config>("agent.toml", text).unwrap_err();
        expect_test::expect![[r#"
            agent.toml:4: interfaces[0].role: "ingres" is not one of ingress, egress, internal, mirror
            agent.toml:5: interfaces[0].ring_megabytes: must be at least 1
            agent.toml:7: logs.file: unknown key, did you mean "files"?"#]]
        .assert_eq(&error.to_string());
    }
}
