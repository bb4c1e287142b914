//! Listeners: syslog, NetFlow and IPFIX.
//!
//! What may be configured, not how it is served: that is `crate::source`.

use std::path::PathBuf;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Format, Parsers, Quiet};

/// Transport of a syslog listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Datagrams (RFC 5426).
    Udp,
    /// Streams, both framings of RFC 6587.
    Tcp,
    /// Streams under TLS 1.2 or 1.3 (RFC 5425); both framings are read.
    Tls,
}

/// What differs for some senders of a syslog listener.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SyslogPeer {
    /// Networks and addresses, such as `10.0.0.0/8`; the first entry that has a sender counts.
    pub networks: Vec<String>,
    /// Time zone of times without one.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// How messages are read.
    #[serde(default)]
    pub format: Option<Format>,
}

/// One listener for NetFlow 5, 7, 9 and IPFIX over UDP.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetflowConfig {
    /// Address and port, such as `0.0.0.0:2055`.
    pub listen: String,
    /// Networks that flows are taken from: nothing else tells who sends a datagram.
    #[schemars(with = "Vec<String>")]
    pub from: Vec<IpNet>,
    /// Receive buffer asked of the kernel, mebibytes.
    #[serde(default = "receive")]
    #[schemars(range(min = 1, max = 1024))]
    pub receive_megabytes: usize,
    /// Silence after which an alarm is raised, such as `15m`, or `never`; learned when absent.
    #[serde(default)]
    pub quiet_after: Option<Quiet>,
}

impl NetflowConfig {
    /// A listener that takes flows from nowhere yet.
    #[must_use]
    pub fn new(listen: &str) -> Self {
        Self {
            listen: listen.to_owned(),
            from: Vec::new(),
            receive_megabytes: receive(),
            quiet_after: None,
        }
    }
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
    /// How messages are read.
    #[serde(default = "syslog_format")]
    pub format: Format,
    /// What differs for some senders.
    #[serde(default)]
    pub peer: Vec<SyslogPeer>,
    /// Certificate chain for TLS, PEM.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// Its key, PEM.
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// Authority that certificates of senders must come from, PEM; senders need none when absent.
    #[serde(default)]
    pub client_authority: Option<PathBuf>,
    /// Most connections at once.
    #[serde(default = "connections")]
    #[schemars(range(min = 1, max = 65_536))]
    pub connections: usize,
    /// Most connections at once from one address.
    #[serde(default = "connections_each")]
    #[schemars(range(min = 1, max = 65_536))]
    pub connections_per_peer: usize,
    /// Seconds after which a silent connection is ended.
    #[serde(default = "idle")]
    #[schemars(range(min = 1))]
    pub idle_seconds: u64,
    /// Receive buffer asked of the kernel for datagrams, mebibytes.
    #[serde(default = "receive")]
    #[schemars(range(min = 1, max = 1024))]
    pub receive_megabytes: usize,
    /// Silence after which an alarm is raised, such as `15m`, or `never`; learned when absent.
    #[serde(default)]
    pub quiet_after: Option<Quiet>,
    /// Set when the whole configuration is read.
    #[serde(skip)]
    pub parsers: Parsers,
}

const fn syslog_format() -> Format {
    Format::Syslog
}

const fn connections() -> usize {
    1024
}

const fn connections_each() -> usize {
    512
}

const fn idle() -> u64 {
    3600
}

const fn receive() -> usize {
    16
}

impl SyslogConfig {
    /// A listener with everything else as usual.
    #[must_use]
    pub fn new(listen: &str, transport: Transport) -> Self {
        Self {
            listen: listen.to_owned(),
            transport,
            time_zone: None,
            format: syslog_format(),
            peer: Vec::new(),
            certificate: None,
            key: None,
            client_authority: None,
            connections: connections(),
            connections_per_peer: connections_each(),
            idle_seconds: idle(),
            receive_megabytes: receive(),
            quiet_after: None,
            parsers: Parsers::default(),
        }
    }
}
