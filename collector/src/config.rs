//! The collector's configuration file, `collector.toml`.

mod storage;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use service::LogFormat;

use crate::init::Folder;
use crate::keys::MasterSource;
use crate::oncall::deliver::mail::MailConfig;
use crate::oncall::deliver::webhook::WebhookConfig;
use crate::receive::ReceiveConfig;

pub use storage::{ClassConfig, RetentionConfig, StorageConfig};

/// Everything the collector can be told.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Folder of keys, certificates, state and events; made by `pikett-collector init`.
    pub data: PathBuf,
    /// Address of console and API.
    #[serde(default = "default_web")]
    #[schemars(with = "String")]
    pub web: SocketAddr,
    /// Address agents connect to.
    #[serde(default = "default_link")]
    #[schemars(with = "String")]
    pub link: SocketAddr,
    /// Address of the console as people reach it, for links in pages.
    pub console_url: String,
    /// Address of the link as agents reach it, `host:port`, then further collectors.
    pub link_names: Vec<String>,
    /// Filter of the collector's own log.
    #[serde(default = "default_filter")]
    pub log: String,
    /// Form of the collector's own log.
    #[serde(default)]
    pub log_format: LogFormat,
    /// Where the master key is found.
    #[serde(default)]
    pub keys: KeysConfig,
    /// How long and how much to keep.
    #[serde(default)]
    pub retention: RetentionConfig,
    /// How events lie on disk.
    #[serde(default)]
    pub storage: StorageConfig,
    /// Mail server for pages.
    #[serde(default)]
    pub mail: Option<MailConfig>,
    /// Webhook for pages.
    #[serde(default)]
    pub webhook: Option<WebhookConfig>,
    /// Rules the collector evaluates over all events.
    #[serde(default)]
    pub rules: RulesConfig,
    /// What it reads itself.
    #[serde(default)]
    pub receive: ReceiveConfig,
}

fn default_web() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], 8443))
}

fn default_link() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], 8444))
}

fn default_filter() -> String {
    "info".to_owned()
}

/// Where the master key is found, which seals the keyring.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KeysConfig {
    /// A file (`keys/master.key` in the data folder when absent), an environment variable, a
    /// credential of the systemd unit, or a command.
    pub master: Option<MasterSource>,
}

impl Config {
    /// Where the master key is found.
    #[must_use]
    pub fn master(&self) -> MasterSource {
        let file = || MasterSource::File(Folder::new(&self.data).master_key());
        self.keys.master.clone().unwrap_or_else(file)
    }
}

/// Where rules come from.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RulesConfig {
    /// Sigma files or folders; only correlations are evaluated here, single events in the agents.
    pub sigma: Vec<PathBuf>,
    /// Files or folders of exceptions from Sigma rules.
    pub exceptions: Vec<PathBuf>,
    /// Files or folders of names of fields for Sigma rules, beside those that are built in.
    pub mappings: Vec<PathBuf>,
    /// Values of `%name%` in Sigma rules with the modifier `expand`.
    pub placeholders: BTreeMap<String, Vec<String>>,
    /// Threshold and baseline files or folders.
    pub anomaly: Vec<PathBuf>,
}

#[cfg(test)]
mod tests;
