//! Suricata's configuration keys, as far as they have a meaning here.
//!
//! One table from those names onto our own settings. A key that is not in it, and a value that would
//! change what we cannot change, is an error, so that a setting is never silently without effect.
//! Accepted without one are only: switches of protocols that we do not parse (their rules are
//! refused by name when they are loaded), and values that say what a replay does in any case.

use net::Protocol;
use net::app::Ports;
use net::app::mime::Schemes;

use super::eve::xff::Mode;
use super::settings::{Handling, Hassh, Input, RecordOptions, SettingError, Settings};

/// Turns the compatibility switches on that need no key.
pub(crate) fn switch_on(settings: &mut Settings) {
    settings.compat = true;
    settings.engine.timeouts.tcp[2] = 60;
    settings.engine.app.ports = Ports::Server;
    settings.engine.decode.offloaded = false;
    // What waits includes what is in order and not acknowledged: as much as a window has.
    settings.engine.wait_for_ack = true;
    settings.engine.stream.waiting = 16 << 20;
    settings.records.compress_ipv6 = false;
    settings.records.alert_references = false;
    settings.records.mail.extended = false;
    settings.records.dhcp_extended = false;
    settings.records.hassh = Hassh::Auto;
    settings.records.arp = true;
    settings.records.stand_ins = true;
}

/// Protocols Suricata knows and we do not parse: switching them off changes nothing.
const NOT_OURS: &[&str] = &[
    "bittorrent-dht",
    "dnp3",
    "enip",
    "ike",
    "imap",
    "modbus",
    "mqtt",
    "nfs",
    "pgsql",
    "rdp",
    "telnet",
    "template",
    "mdns",
    "llmnr",
];

/// Sets one of Suricata's keys.
///
/// # Errors
/// [`SettingError`] for a key that is not understood or a value of the wrong kind.
pub(crate) fn set(settings: &mut Settings, key: &str, value: &str) -> Result<(), SettingError> {
    let input = Input { key, value };
    let unknown = || SettingError::Unknown { key: key.to_owned() };
    if let Some(rest) = key.strip_prefix("app-layer.protocols.") {
        return app_layer(settings, rest, input);
    }
    if let Some(rest) = key.strip_prefix("outputs.eve-log.types.") {
        let (kind, option) = rest.split_once('.').ok_or_else(unknown)?;
        return record_type(settings, kind, option, input);
    }
    if below_application(settings, key, input)? || address_files(settings, input) {
        return Ok(());
    }
    let records = &mut settings.records;
    match key {
        "outputs.file-store.enabled" => settings.store.enabled = input.flag()?,
        "outputs.file-store.force-filestore" => settings.store.all = input.flag()?,
        "outputs.file-store.stream-depth" => settings.store.per_file = input.size64()?,
        "outputs.file-store.write-fileinfo" => settings.store.describe = input.flag()?,
        "stream.midstream" => {
            settings.engine.midstream = input.flag()?;
            // Who may have spoken first unseen may also have been asked.
            if settings.engine.app.ports != Ports::Any {
                let midstream = settings.engine.midstream;
                settings.engine.app.ports =
                    if midstream { Ports::Registered } else { Ports::Server };
            }
        }
        "stream.reassembly.depth" => settings.engine.stream.depth = input.size64()?,
        "outputs.eve-log.community-id-seed" => records.community_seed = input.number16()?,
        // 0 stands for the default.
        "packet-alert-max" => settings.max_alerts = Some(input.number16()?).filter(|max| *max > 0),
        // Pass rules come first, then those that stop.
        "action-order" => {
            let order: Vec<String> = words(input.value).collect();
            if order != ["pass", "drop", "reject", "alert"] {
                return Err(input.wrong("pass,drop,reject,alert, which cannot be changed"));
            }
        }
        "outputs.eve-log.ethernet" => records.ethernet = input.flag()?,
        "outputs.eve-log.ipv6-compress" => records.compress_ipv6 = input.flag()?,
        "outputs.eve-log.community-id" => records.community_id = input.flag()?,
        "outputs.eve-log.metadata" => records.metadata = input.flag()?,
        // VXLAN is always decoded.
        "decoder.vxlan.enabled" | "datasets.enabled" if input.flag()? => {}
        "stream.bypass" if !input.flag()? => {}
        _ => return Err(unknown()),
    }
    Ok(())
}

/// Reputations and countries; false for keys of other places.
fn address_files(settings: &mut Settings, input: Input<'_>) -> bool {
    let addresses = &mut settings.addresses;
    match input.key {
        "reputation-categories-file" => addresses.categories = Some(input.value.into()),
        "default-reputation-path" => addresses.folder = input.value.into(),
        "reputation-files" => addresses.reputation = input.paths(),
        "geoip-database" => addresses.countries = Some(input.value.into()),
        _ => return false,
    }
    true
}

/// Decoder, defragmentation, flows, streams; false for keys of other places.
fn below_application(
    settings: &mut Settings,
    key: &str,
    input: Input<'_>,
) -> Result<bool, SettingError> {
    let engine = &mut settings.engine;
    if let Some(system) = key.strip_prefix("host-os-policy.") {
        let unknown = || SettingError::Unknown { key: key.to_owned() };
        let policy = net::policy::OsPolicy::named(system).ok_or_else(unknown)?;
        for network in input.value.split(',') {
            if !engine.hosts.add(network, policy) {
                return Err(input.wrong("a list of networks"));
            }
        }
        return Ok(true);
    }
    match key {
        "stream.inline" => engine.inline = input.flag()?,
        "stream.async-oneside" => engine.one_sided = input.flag()?,
        // Exceptions are not applied to what is merely watched.
        "stream.midstream-policy" if input.value == "ignore" => {}
        "stream.memcap" | "stream.reassembly.memcap" => engine.stream_memory = input.size()?,
        "defrag.memcap" => engine.defrag.memory = input.size()?,
        "defrag.timeout" => engine.defrag.timeout = input.seconds()?,
        "defrag.trackers" => engine.defrag.datagrams = input.size()?,
        "vlan.use-for-tracking" => {
            engine.vlan_tracking = input.flag()?;
            engine.defrag.vlan = engine.vlan_tracking;
        }
        "decoder.recursion-level.use-for-tracking" => engine.depth_tracking = input.flag()?,
        // Counters of events are always in the figures.
        "stats.decoder-events" | "stats.stream-events" if input.flag()? => {}
        _ => return Ok(false),
    }
    Ok(true)
}

fn app_layer(settings: &mut Settings, rest: &str, input: Input<'_>) -> Result<(), SettingError> {
    let app = &mut settings.engine.app;
    match rest {
        "http.libhtp.default-config.response-body-decompress-layer-limit" => {
            app.decompress_layers = input.size()?;
        }
        "http.libhtp.default-config.lzma-enabled" => app.lzma = input.flag()?,
        "http.libhtp.default-config.response-body-limit" => {
            app.response_body_limit = no_limit_is_zero(input.size()?);
        }
        "http.libhtp.default-config.request-body-limit" => {
            app.request_body_limit = no_limit_is_zero(input.size()?);
        }
        // Rules find fingerprints in any case; this is whether records show them.
        "tls.ja3-fingerprints" => settings.records.ja3 = input.flag()?,
        "tls.ja4-fingerprints" => settings.records.ja4 = input.flag()?,
        "smb.max-read-size" => app.smb.max_read = input.size32()?,
        "smb.max-write-size" => app.smb.max_write = input.size32()?,
        // How bodies are inspected while they grow is fixed at Suricata's defaults.
        "http.libhtp.default-config.request-body-minimal-inspect-size" => {
            fixed(input, 32 << 10, "32kb, which cannot be changed")?;
        }
        "http.libhtp.default-config.response-body-minimal-inspect-size" => {
            fixed(input, 40 << 10, "40kb, which cannot be changed")?;
        }
        "http.libhtp.default-config.request-body-inspect-window" => {
            fixed(input, 4 << 10, "4kb, which cannot be changed")?;
        }
        "http.libhtp.default-config.response-body-inspect-window" => {
            fixed(input, 16 << 10, "16kb, which cannot be changed")?;
        }
        "ftp.max-line-length" => app.ftp.max_line = input.size()?.clamp(1, 1 << 20),
        "ftp.max-tx" => app.ftp.max_transactions = input.size()?.max(1),
        "ssh.hassh" => {
            settings.records.hassh = match input.value {
                "auto" => Hassh::Auto,
                _ if input.flag()? => Hassh::Yes,
                _ => Hassh::No,
            };
        }
        "ssh.encryption-handling" => settings.encrypted.ssh = handling(input)?,
        "tls.encryption-handling" => settings.encrypted.tls = handling(input)?,
        _ => match rest.strip_prefix("smtp.mime.") {
            Some(option) => return mime(settings, option, input),
            None => return protocol_switch(settings, rest, input),
        },
    }
    Ok(())
}

/// What becomes of what is encrypted.
fn handling(input: Input<'_>) -> Result<Handling, SettingError> {
    match input.value {
        "full" => Ok(Handling::Scan),
        "track-only" | "default" => Ok(Handling::Track),
        "bypass" => Ok(Handling::Bypass),
        _ => Err(input.wrong("full, track-only or bypass")),
    }
}

/// `app-layer.protocols.smtp.mime`.
fn mime(settings: &mut Settings, option: &str, input: Input<'_>) -> Result<(), SettingError> {
    let smtp = &mut settings.engine.app.smtp;
    match option {
        "decode-mime" => smtp.decode_mime = input.flag()?,
        "header-value-depth" => smtp.mime.header_value = input.size()?.min(1 << 20),
        "extract-urls" => {
            smtp.mime.schemes = if input.flag()? { Schemes::HTTP } else { Schemes::NONE };
        }
        "extract-urls-schemes" => {
            let names = input.value.split(',').map(str::trim).filter(|name| !name.is_empty());
            smtp.mime.schemes =
                Schemes::named(names).map_err(|_| input.wrong("a list of known schemes"))?;
        }
        "log-url-scheme" => smtp.mime.keep_scheme = input.flag()?,
        "body-md5" => smtp.mime.body_md5 = input.value == "auto" || input.flag()?,
        // Both are always undone.
        "decode-base64" | "decode-quoted-printable" if input.flag()? => {}
        _ => return Err(SettingError::Unknown { key: input.key.to_owned() }),
    }
    Ok(())
}

fn protocol_switch(
    settings: &mut Settings,
    rest: &str,
    input: Input<'_>,
) -> Result<(), SettingError> {
    let unknown = || SettingError::Unknown { key: input.key.to_owned() };
    let name = rest.strip_suffix(".enabled").ok_or_else(unknown)?;
    let enabled = match input.value {
        "detection-only" => true,
        _ => input.flag()?,
    };
    // `dns.udp` and `dns.tcp` are switched together with `dns`.
    let name = name.split('.').next().unwrap_or(name);
    match Protocol::named(name) {
        Some(protocol) if input.value != "detection-only" => settings.enable(protocol, enabled),
        _ if NOT_OURS.contains(&name) => {}
        _ => return Err(unknown()),
    }
    Ok(())
}

/// A size that has to be what it is here in any case.
fn fixed(input: Input<'_>, size: u64, wanted: &'static str) -> Result<(), SettingError> {
    if input.size64()? == size { Ok(()) } else { Err(input.wrong(wanted)) }
}

fn no_limit_is_zero(limit: usize) -> usize {
    // Suricata's "no limit" still needs a bound here.
    if limit == 0 { 16 << 20 } else { limit }
}

fn dns_records(
    records: &mut RecordOptions,
    option: &str,
    input: Input<'_>,
) -> Result<(), SettingError> {
    match option {
        "requests" | "query" => records.dns_requests = input.flag()?,
        "responses" | "answer" => records.dns_responses = input.flag()?,
        "types" => {
            for name in words(input.value) {
                let kind = super::eve::dns::type_number(&name);
                records.dns_types.push(kind.ok_or_else(|| input.wrong("a list of record types"))?);
            }
        }
        "version" => {
            records.dns_version_2 = match input.value {
                "2" => true,
                "3" => false,
                _ => return Err(input.wrong("2 or 3")),
            };
        }
        _ => return Err(SettingError::Unknown { key: input.key.to_owned() }),
    }
    Ok(())
}

fn record_type(
    settings: &mut Settings,
    kind: &str,
    option: &str,
    input: Input<'_>,
) -> Result<(), SettingError> {
    let records = &mut settings.records;
    match (kind, option) {
        ("http", "extended") => records.http_extended = input.flag()?,
        ("tls", "extended") => records.tls_extended = input.flag()?,
        ("tls", "custom") => return tls_fields(records, input),
        ("http", "dump-all-headers") => {
            records.all_headers = match input.value {
                "both" => [true; 2],
                "request" => [true, false],
                "response" => [false, true],
                "none" => [false; 2],
                _ => return Err(input.wrong("both, request, response or none")),
            };
        }
        ("smtp", "extended") => records.mail.extended = input.flag()?,
        ("smtp", "custom") => records.mail.custom = words(input.value).collect(),
        ("smtp", "md5") => {
            records.mail.body_md5 = words(input.value).any(|word| word == "body");
            records.mail.subject_md5 = words(input.value).any(|word| word == "subject");
        }
        ("files", "force-hash") => {
            let files = &mut settings.engine.app.files;
            for word in words(input.value) {
                match word.as_str() {
                    "md5" => files.md5 = true,
                    "sha1" => files.sha1 = true,
                    "sha256" => files.sha256 = true,
                    _ => return Err(input.wrong("a list of md5, sha1, sha256")),
                }
            }
        }
        ("dhcp", "extended") => records.dhcp_extended = input.flag()?,
        ("tls" | "quic", "ja4") => records.ja4 = input.flag()?,
        ("anomaly", "types.decode") => records.anomaly_decode = input.flag()?,
        ("anomaly", "types.stream") => records.anomaly_stream = input.flag()?,
        ("anomaly", "types.applayer") => records.anomaly_app = input.flag()?,
        ("dns", option) => return dns_records(records, option, input),
        ("alert", "payload") => records.alert_payload = input.flag()?,
        ("alert", "payload-printable") => records.alert_payload_printable = input.flag()?,
        ("alert", "tagged-packets") => records.alert_tagged = input.flag()?,
        // The application record is always part of an alert.
        ("alert", "http" | "tls" | "dns" | "smtp" | "ftp" | "ssh") if input.flag()? => {}
        ("alert", "packet") => records.alert_packet = input.flag()?,
        ("alert", "payload-length") => records.alert_payload_length = input.flag()?,
        ("alert", "payload-buffer-size") => {
            records.alert_payload_size = input.size()?.min(1 << 20);
        }
        ("alert", "metadata") => records.alert_metadata = input.flag()?,
        ("alert", "reference" | "metadata.rule.reference") => {
            records.alert_references = input.flag()?;
        }
        ("alert", "xff.enabled") => records.xff.enabled = input.flag()?,
        ("alert", "xff.header") => input.value.clone_into(&mut records.xff.header),
        ("alert", "xff.mode") => {
            records.xff.mode = match input.value {
                "extra-data" => Mode::Extra,
                "overwrite" => Mode::Overwrite,
                _ => return Err(input.wrong("extra-data or overwrite")),
            };
        }
        ("alert", "xff.deployment") => {
            records.xff.reverse = match input.value {
                "reverse" => true,
                "forward" => false,
                _ => return Err(input.wrong("reverse or forward")),
            };
        }
        // There are no records of dropped packets: packets are looked at, not held.
        ("drop", "alerts" | "verdict") => {
            input.flag()?;
        }
        ("drop", "flows") if matches!(input.value, "all" | "start") => {}
        ("files", "force-md5") => settings.engine.app.files.md5 |= input.flag()?,
        ("alert", "http-body") => records.alert_bodies[0] = input.flag()?,
        ("alert", "http-body-printable") => records.alert_bodies[1] = input.flag()?,
        _ => return Err(SettingError::Unknown { key: input.key.to_owned() }),
    }
    Ok(())
}

/// Fields of TLS records, chosen one by one.
fn tls_fields(records: &mut RecordOptions, input: Input<'_>) -> Result<(), SettingError> {
    records.tls_custom = words(input.value).collect();
    if records.tls_custom.iter().all(|word| super::eve::tls::is_choice(word)) {
        Ok(())
    } else {
        Err(input.wrong("a list of fields of TLS records"))
    }
}

/// The words of a list.
fn words(list: &str) -> impl Iterator<Item = String> {
    list.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_keys_reach_our_settings() {
        let mut settings = Settings::default();
        let layers =
            "app-layer.protocols.http.libhtp.default-config.response-body-decompress-layer-limit";
        set(&mut settings, layers, "3").unwrap();
        assert_eq!(settings.engine.app.decompress_layers, 3);
        set(&mut settings, "stream.midstream", "true").unwrap();
        assert!(settings.engine.midstream);
        set(&mut settings, "outputs.eve-log.types.anomaly.types.decode", "yes").unwrap();
        assert!(settings.records.anomaly_decode);
    }

    #[test]
    fn a_switched_off_protocol_is_not_parsed() {
        let mut settings = Settings::default();
        set(&mut settings, "app-layer.protocols.tls.enabled", "no").unwrap();
        assert_eq!(settings.engine.app.disabled, Protocol::Tls.bit());
        set(&mut settings, "app-layer.protocols.tls.enabled", "yes").unwrap();
        assert_eq!(settings.engine.app.disabled, 0);
    }

    /// What a key and value come to: an error in words, or the settings that changed.
    fn outcome(key: &str, value: &str) -> String {
        let mut settings = Settings::default();
        switch_on(&mut settings);
        let before = format!("{settings:?}");
        match set(&mut settings, key, value) {
            Err(error) => error.to_string(),
            Ok(()) if format!("{settings:?}") == before => "no change".to_owned(),
            Ok(()) => "changed".to_owned(),
        }
    }

    /// What each key with its value comes to.
    fn check<const N: usize>(cases: [(String, &str, &str); N]) {
        for (key, value, expected) in cases {
            let found = outcome(&key, value);
            assert!(found.contains(expected), "{key}={value}: {found}");
        }
    }

    #[test]
    fn a_key_changes_something_says_what_is_so_or_is_refused() {
        let record = "outputs.eve-log.types";
        check([
            (format!("{record}.alert.payload"), "yes", "changed"),
            (format!("{record}.alert.packet"), "yes", "changed"),
            (format!("{record}.alert.packet"), "perhaps", "not yes or no"),
            (format!("{record}.alert.payload-buffer-size"), "4kb", "no change"),
            (format!("{record}.alert.payload-buffer-size"), "5kb", "changed"),
            (format!("{record}.alert.payload-length"), "yes", "changed"),
            (format!("{record}.alert.payload-buffer-size"), "much", "not a size such as 100kb"),
            (format!("{record}.alert.tls"), "yes", "no change"),
            (format!("{record}.alert.tls"), "no", "unknown setting"),
            (format!("{record}.alert.smtp"), "yes", "no change"),
            (format!("{record}.alert.smtp"), "no", "unknown setting"),
            (format!("{record}.alert.tagged-packets"), "no", "changed"),
            (format!("{record}.alert.tagged-packets"), "yes", "no change"),
            (format!("{record}.smtp.extended"), "yes", "changed"),
            (format!("{record}.alert.metadata"), "no", "changed"),
            (format!("{record}.alert.reference"), "yes", "changed"),
            (format!("{record}.alert.xff.enabled"), "yes", "changed"),
            (format!("{record}.alert.xff.mode"), "overwrite", "changed"),
            (format!("{record}.alert.xff.mode"), "both", "not extra-data or overwrite"),
            (format!("{record}.alert.xff.deployment"), "forward", "changed"),
            (format!("{record}.alert.xff.deployment"), "sideways", "not reverse or forward"),
            (format!("{record}.alert.http-body"), "no", "no change"),
            (format!("{record}.alert.http-body-printable"), "yes", "changed"),
            (format!("{record}.tls.custom"), "subject, sni", "changed"),
            (format!("{record}.tls.custom"), "subject, hat", "not a list of fields of TLS records"),
            (format!("{record}.drop.flows"), "all", "no change"),
            (format!("{record}.dns.version"), "2", "changed"),
            (format!("{record}.dns.version"), "1", "not 2 or 3"),
            (format!("{record}.dns.types"), "mx, https", "changed"),
            (format!("{record}.dns.types"), "nonsense", "not a list of record types"),
            ("reputation-categories-file".into(), "categories.txt", "changed"),
            ("default-reputation-path".into(), "/etc/iprep", "changed"),
            ("reputation-files".into(), "a.list, b.list", "changed"),
            ("geoip-database".into(), "c.mmdb", "changed"),
            ("packet-alert-max".into(), "20", "changed"),
            ("packet-alert-max".into(), "0", "no change"),
            ("action-order".into(), "pass, drop, reject, alert", "no change"),
            ("action-order".into(), "alert,pass,drop,reject", "which cannot be changed"),
            (format!("{record}.smtp.custom"), "received, bcc", "changed"),
            (format!("{record}.smtp.md5"), "body,subject", "changed"),
            (format!("{record}.files.force-hash"), "sha256,md5", "changed"),
            (format!("{record}.files.force-hash"), "crc", "not a list of md5, sha1, sha256"),
        ]);
    }

    #[test]
    fn keys_of_protocols_and_streams_likewise() {
        let http = "app-layer.protocols.http.libhtp.default-config";
        let record = "outputs.eve-log.types";
        check([
            ("app-layer.protocols.ssh.hassh".into(), "yes", "changed"),
            ("app-layer.protocols.ssh.hassh".into(), "auto", "no change"),
            ("app-layer.protocols.ssh.encryption-handling".into(), "full", "changed"),
            (
                "app-layer.protocols.tls.encryption-handling".into(),
                "half",
                "not full, track-only or bypass",
            ),
            ("app-layer.protocols.ftp.max-line-length".into(), "5kb", "changed"),
            ("app-layer.protocols.smtp.mime.body-md5".into(), "auto", "changed"),
            ("app-layer.protocols.smtp.mime.extract-urls-schemes".into(), "http,ftp", "changed"),
            (
                "app-layer.protocols.smtp.mime.extract-urls-schemes".into(),
                "x",
                "not a list of known schemes",
            ),
            ("app-layer.protocols.smtp.mime.no-such".into(), "yes", "unknown setting"),
            (format!("{record}.http.extended"), "no", "changed"),
            (format!("{record}.tls.extended"), "no", "changed"),
            (format!("{record}.http.dump-all-headers"), "request", "changed"),
            (format!("{record}.http.dump-all-headers"), "none", "no change"),
            (
                format!("{record}.http.dump-all-headers"),
                "all",
                "not both, request, response or none",
            ),
            (format!("{record}.http"), "yes", "unknown setting"),
            (format!("{http}.request-body-minimal-inspect-size"), "32kb", "no change"),
            (
                format!("{http}.request-body-minimal-inspect-size"),
                "1kb",
                "not 32kb, which cannot be changed",
            ),
            (format!("{http}.response-body-inspect-window"), "16384", "no change"),
            (
                format!("{http}.response-body-inspect-window"),
                "16385",
                "not 16kb, which cannot be changed",
            ),
            ("app-layer.protocols.tls.ja3-fingerprints".into(), "no", "changed"),
            ("app-layer.protocols.tls.ja4-fingerprints".into(), "no", "changed"),
            ("app-layer.protocols.pgsql.enabled".into(), "yes", "no change"),
            ("app-layer.protocols.pgsql.enabled".into(), "maybe", "not yes or no"),
            ("app-layer.protocols.nonsense.enabled".into(), "yes", "unknown setting"),
            ("outputs.eve-log.metadata".into(), "yes", "no change"),
            ("outputs.eve-log.metadata".into(), "no", "changed"),
            ("outputs.eve-log.community-id".into(), "yes", "changed"),
            ("stream.async-oneside".into(), "true", "changed"),
            ("stream.inline".into(), "yes", "changed"),
            ("host-os-policy.linux".into(), "10.0.0.0/8", "changed"),
            ("host-os-policy.linux".into(), "everywhere", "not a list of networks"),
            ("host-os-policy.beos".into(), "10.0.0.0/8", "unknown setting"),
            ("vlan.use-for-tracking".into(), "no", "changed"),
            ("stream.reassembly.depth".into(), "-1", "not a size such as 100kb"),
            ("outputs.eve-log.community-id-seed".into(), "65536", "not a number below 65536"),
            ("".into(), "", "unknown setting"),
        ]);
    }

    #[test]
    fn other_keys_are_named() {
        for key in
            ["stream.bypass", "outputs.eve-log.types.http.no-such", "app-layer.protocols.x.enabled"]
        {
            let error = set(&mut Settings::default(), key, "yes").unwrap_err();
            assert_eq!(error.to_string(), format!("unknown setting {key}"));
        }
    }
}
