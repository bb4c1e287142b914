//! Settings of a sensor and their keys.

use std::path::PathBuf;

use net::Protocol;

use super::signatures::files::AddressPaths;

/// What records of mails hold beyond the necessary.
#[derive(Clone, Debug, Default)]
pub(crate) struct MailOptions {
    /// Blind copies, message ID, subject, mailer.
    pub(crate) extended: bool,
    /// Further header fields, by name.
    pub(crate) custom: Vec<String>,
    /// MD5 of the body, when it is computed.
    pub(crate) body_md5: bool,
    /// MD5 of the subject.
    pub(crate) subject_md5: bool,
}

/// What records hold beyond the necessary.
#[derive(Clone, Debug)]
pub(crate) struct RecordOptions {
    /// Community IDs in all records about a flow, not its own alone.
    pub(crate) community_id: bool,
    /// What rules noted about the flow in all records about it.
    pub(crate) metadata: bool,
    /// Community ID seed.
    pub(crate) community_seed: u16,
    /// MAC addresses in every record.
    pub(crate) ethernet: bool,
    /// IPv6 addresses in RFC 5952 form instead of all digits.
    pub(crate) compress_ipv6: bool,
    /// HTTP records with all fields.
    pub(crate) http_extended: bool,
    /// TLS records with all fields.
    pub(crate) tls_extended: bool,
    /// Fields of TLS records, when they were chosen one by one.
    pub(crate) tls_custom: Vec<String>,
    /// HTTP records with every header of requests, of responses.
    pub(crate) all_headers: [bool; 2],
    /// JA3 in TLS records.
    pub(crate) ja3: bool,
    /// JA4 in TLS records.
    pub(crate) ja4: bool,
    /// Anomaly records of the decoder.
    pub(crate) anomaly_decode: bool,
    /// Anomaly records of stream reassembly.
    pub(crate) anomaly_stream: bool,
    /// Anomaly records of application protocols.
    pub(crate) anomaly_app: bool,
    /// A record for each ARP message.
    pub(crate) arp: bool,
    /// Words of Suricata's stand for names that were not seen.
    pub(crate) stand_ins: bool,
    /// All DHCP messages are recorded with all fields, not the addresses that were given alone.
    pub(crate) dhcp_extended: bool,
    /// DNS requests are recorded.
    pub(crate) dns_requests: bool,
    /// DNS responses are recorded.
    pub(crate) dns_responses: bool,
    /// Record types whose messages are recorded; empty for all.
    pub(crate) dns_types: Vec<u16>,
    /// Version 2 of DNS records: a record for each question.
    pub(crate) dns_version_2: bool,
    /// Payload of the packet in alert records, base64.
    pub(crate) alert_payload: bool,
    /// The whole packet in alert records, base64.
    pub(crate) alert_packet: bool,
    /// Packets that rules with `tag` want kept get records.
    pub(crate) alert_tagged: bool,
    /// Payload in alert records, printable.
    pub(crate) alert_payload_printable: bool,
    /// Length of the payload in alert records.
    pub(crate) alert_payload_length: bool,
    /// Bytes of stream that alert records show at most.
    pub(crate) alert_payload_size: usize,
    /// Bodies of HTTP in alert records: base64, printable.
    pub(crate) alert_bodies: [bool; 2],
    /// What rules say of themselves, the flow and the application record in alert records.
    pub(crate) alert_metadata: bool,
    /// References of rules in alert records.
    pub(crate) alert_references: bool,
    /// The client behind a proxy in alert records.
    pub(crate) xff: super::eve::xff::Xff,
    /// Records of mails.
    pub(crate) mail: MailOptions,
    /// Records of SSH wait for the fingerprints and show them.
    pub(crate) hassh: Hassh,
    /// Kinds of SMB transactions that get records; all of them when empty.
    pub(crate) smb_types: Vec<String>,
}

impl RecordOptions {
    /// Whether SMB transactions of a kind get records.
    pub(crate) fn smb_wants(&self, kind: &str) -> bool {
        self.smb_types.is_empty() || self.smb_types.iter().any(|wanted| wanted == kind)
    }
}

/// Whether SSH records have fingerprints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Hassh {
    #[default]
    Yes,
    No,
    /// When a rule looks at them.
    Auto,
}

impl Default for RecordOptions {
    fn default() -> Self {
        Self {
            community_id: false,
            metadata: true,
            community_seed: 0,
            ethernet: false,
            compress_ipv6: true,
            http_extended: true,
            tls_extended: true,
            tls_custom: Vec::new(),
            all_headers: [false; 2],
            ja3: true,
            ja4: true,
            anomaly_decode: false,
            anomaly_stream: false,
            anomaly_app: true,
            arp: false,
            stand_ins: false,
            dhcp_extended: true,
            dns_requests: true,
            dns_responses: true,
            dns_types: Vec::new(),
            dns_version_2: false,
            alert_payload: false,
            alert_packet: false,
            alert_tagged: true,
            alert_payload_printable: false,
            alert_payload_length: false,
            alert_payload_size: 4 << 10,
            alert_bodies: [false; 2],
            alert_metadata: true,
            alert_references: true,
            xff: super::eve::xff::Xff::default(),
            mail: MailOptions { extended: true, ..MailOptions::default() },
            hassh: Hassh::Yes,
            smb_types: Vec::new(),
        }
    }
}

/// Everything a sensor worker needs to know.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// Decoding, flows, streams, parsers.
    pub(crate) engine: net::Config,
    /// Records.
    pub(crate) records: RecordOptions,
    /// Exactly as Suricata, where that differs from better.
    pub(crate) compat: bool,
    /// What becomes of flows that are encrypted from some point on.
    pub(crate) encrypted: Encrypted,
    /// Files that are kept.
    pub(crate) store: super::store::Options,
    /// Most alerts of one packet.
    pub(crate) max_alerts: Option<u16>,
    /// Files that rules look addresses up in.
    pub(crate) addresses: AddressPaths,
}

/// What becomes of the encrypted part of flows, by protocol.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Encrypted {
    pub(crate) tls: Handling,
    pub(crate) ssh: Handling,
}

/// What becomes of the encrypted part of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Handling {
    /// Counted, not scanned.
    #[default]
    Track,
    /// Rules on raw streams look into it.
    Scan,
    /// As `Track`, and the flow's record says that it was let pass.
    Bypass,
}

/// A key that cannot be set.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingError {
    /// There is no such key.
    #[error("unknown setting {key}")]
    Unknown {
        /// The key.
        key: String,
    },
    /// The key exists, the value does not fit.
    #[error("setting {key}: {value:?} is not {wanted}")]
    Value {
        /// The key.
        key: String,
        /// The value given.
        value: String,
        /// What would be accepted.
        wanted: &'static str,
    },
}

impl Settings {
    /// Sets one of our own keys.
    ///
    /// # Errors
    /// [`SettingError`] for an unknown key or a value of the wrong kind.
    pub(crate) fn set(&mut self, key: &str, value: &str) -> Result<(), SettingError> {
        let input = Input { key, value };
        match key {
            "flow.max" => self.engine.max_flows = input.size()?,
            "flow.timeout.tcp.new" => self.engine.timeouts.tcp[0] = input.seconds()?,
            "flow.timeout.tcp.established" => self.engine.timeouts.tcp[1] = input.seconds()?,
            "flow.timeout.tcp.closed" => self.engine.timeouts.tcp[2] = input.seconds()?,
            "flow.timeout.udp.new" => self.engine.timeouts.udp[0] = input.seconds()?,
            "flow.timeout.udp.established" => self.engine.timeouts.udp[1] = input.seconds()?,
            "flow.timeout.icmp.new" => self.engine.timeouts.icmp[0] = input.seconds()?,
            "flow.timeout.icmp.established" => self.engine.timeouts.icmp[1] = input.seconds()?,
            "stream.depth" => self.engine.stream.depth = input.size64()?,
            "stream.memory" => self.engine.stream_memory = input.size()?,
            "stream.midstream" => self.engine.midstream = input.flag()?,
            "stream.inline" => self.engine.inline = input.flag()?,
            "stream.one-sided" => self.engine.one_sided = input.flag()?,
            "flow.vlan" => self.engine.vlan_tracking = input.flag()?,
            "records.arp" => self.records.arp = input.flag()?,
            "defrag.memory" => self.engine.defrag.memory = input.size()?,
            "defrag.timeout" => self.engine.defrag.timeout = input.seconds()?,
            "http.request-body-limit" => self.engine.app.request_body_limit = input.size()?,
            "http.response-body-limit" => self.engine.app.response_body_limit = input.size()?,
            "http.decompress-layers" => self.engine.app.decompress_layers = input.size()?,
            "files.store" => self.store.enabled = input.flag()?,
            "files.store.all" => self.store.all = input.flag()?,
            "files.store.per-file" => self.store.per_file = input.size64()?,
            "files.store.quota" => self.store.quota = input.size64()?,
            "files.store.describe" => self.store.describe = input.flag()?,
            "rules.reputation.categories" => self.addresses.categories = Some(value.into()),
            "rules.reputation.files" => self.addresses.reputation = input.paths(),
            "rules.geoip_database" => self.addresses.countries = Some(value.into()),
            "records.community-id-seed" => self.records.community_seed = input.number16()?,
            "records.ethernet" => self.records.ethernet = input.flag()?,
            "records.anomaly.decode" => self.records.anomaly_decode = input.flag()?,
            "records.anomaly.stream" => self.records.anomaly_stream = input.flag()?,
            "records.anomaly.app" => self.records.anomaly_app = input.flag()?,
            "records.http.all-headers" => self.records.all_headers = [input.flag()?; 2],
            "records.alert.payload" => self.records.alert_payload = input.flag()?,
            "records.alert.packet" => self.records.alert_packet = input.flag()?,
            "records.alert.http-body" => self.records.alert_bodies[0] = input.flag()?,
            "records.alert.http-body-printable" => self.records.alert_bodies[1] = input.flag()?,
            "records.alert.payload-printable" => {
                self.records.alert_payload_printable = input.flag()?;
            }
            _ => return Err(SettingError::Unknown { key: key.to_owned() }),
        }
        Ok(())
    }

    /// Switches a protocol's parser.
    pub(crate) fn enable(&mut self, protocol: Protocol, enabled: bool) {
        if enabled {
            self.engine.app.disabled &= !protocol.bit();
        } else {
            self.engine.app.disable(protocol);
        }
    }
}

/// A key and the text given for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'a> {
    pub(crate) key: &'a str,
    pub(crate) value: &'a str,
}

impl Input<'_> {
    pub(crate) fn wrong(&self, wanted: &'static str) -> SettingError {
        SettingError::Value { key: self.key.to_owned(), value: self.value.to_owned(), wanted }
    }

    /// Yes or no, in any of the usual words.
    pub(crate) fn flag(&self) -> Result<bool, SettingError> {
        match self.value.to_ascii_lowercase().as_str() {
            "yes" | "true" | "on" | "1" => Ok(true),
            "no" | "false" | "off" | "0" => Ok(false),
            _ => Err(self.wrong("yes or no")),
        }
    }

    /// Paths between commas.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        let paths = self.value.split(',').map(str::trim);
        paths.filter(|path| !path.is_empty()).map(PathBuf::from).collect()
    }

    pub(crate) fn seconds(&self) -> Result<i64, SettingError> {
        self.value.parse().ok().filter(|n| *n >= 0).ok_or_else(|| self.wrong("seconds"))
    }

    pub(crate) fn number16(&self) -> Result<u16, SettingError> {
        self.value.parse().map_err(|_| self.wrong("a number below 65536"))
    }

    /// A number of bytes: `100`, `100kb`, `1mb`, `1gb`.
    pub(crate) fn size64(&self) -> Result<u64, SettingError> {
        let text = self.value.trim().to_ascii_lowercase();
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
        let unit = text.strip_prefix(digits).unwrap_or_default().trim();
        let factor = match unit {
            "" | "b" => 1,
            "k" | "kb" | "kib" => 1 << 10,
            "m" | "mb" | "mib" => 1 << 20,
            "g" | "gb" | "gib" => 1 << 30,
            _ => return Err(self.wrong("a size such as 100kb")),
        };
        let number: u64 = digits.parse().map_err(|_| self.wrong("a size such as 100kb"))?;
        number.checked_mul(factor).ok_or_else(|| self.wrong("a size that fits"))
    }

    pub(crate) fn size32(&self) -> Result<u32, SettingError> {
        u32::try_from(self.size64()?).map_err(|_| self.wrong("a size below 4gb"))
    }

    pub(crate) fn size(&self) -> Result<usize, SettingError> {
        usize::try_from(self.size64()?).map_err(|_| self.wrong("a size that fits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_understood_or_named() {
        let mut settings = Settings::default();
        settings.set("stream.depth", "8kb").unwrap();
        assert_eq!(settings.engine.stream.depth, 8192);
        settings.set("stream.midstream", "Yes").unwrap();
        assert!(settings.engine.midstream);
        let unknown = settings.set("stream.dept", "1").unwrap_err();
        assert_eq!(unknown.to_string(), "unknown setting stream.dept");
        let wrong = settings.set("stream.depth", "8 bananas").unwrap_err();
        expect_test::expect![[r#"setting stream.depth: "8 bananas" is not a size such as 100kb"#]]
            .assert_eq(&wrong.to_string());
    }

    #[test]
    fn sizes_do_not_overflow() {
        let input = Input { key: "k", value: "99999999999999999gb" };
        assert!(input.size64().is_err());
        assert_eq!(Input { key: "k", value: "2 mb" }.size64().unwrap(), 2 << 20);
    }
}
