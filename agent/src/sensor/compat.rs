//! Suricata's configuration keys, as far as they have a meaning here.
//!
//! One table from those names onto our own settings. A key that is not in it is an error, so that a
//! setting is never silently without effect.

use net::Protocol;

use super::settings::{Input, SettingError, Settings};

/// Turns the compatibility switches on that need no key.
pub(crate) fn switch_on(settings: &mut Settings) {
    settings.compat = true;
    settings.engine.app.dns_ports_only = true;
    settings.records.compress_ipv6 = false;
    settings.records.ja4 = false;
}

/// Protocols Suricata knows and we do not parse: switching them off changes nothing.
const NOT_OURS: &[&str] = &[
    "bittorrent-dht",
    "dcerpc",
    "dhcp",
    "dnp3",
    "enip",
    "ftp",
    "ike",
    "imap",
    "krb5",
    "ldap",
    "modbus",
    "mqtt",
    "nfs",
    "ntp",
    "pgsql",
    "pop3",
    "quic",
    "rdp",
    "rfb",
    "sip",
    "smb",
    "smtp",
    "snmp",
    "ssh",
    "telnet",
    "template",
    "tftp",
    "websocket",
    "http2",
    "doh2",
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
    let records = &mut settings.records;
    match key {
        "stream.midstream" => settings.engine.midstream = input.flag()?,
        "stream.reassembly.depth" => settings.engine.stream.depth = input.size64()?,
        "outputs.eve-log.community-id-seed" => records.community_seed = input.number16()?,
        "outputs.eve-log.ethernet" => records.ethernet = input.flag()?,
        "outputs.eve-log.ipv6-compress" => records.compress_ipv6 = input.flag()?,
        // Community IDs are always in flow records; VXLAN is always decoded.
        "outputs.eve-log.community-id"
        | "decoder.vxlan.enabled"
        | "outputs.eve-log.metadata"
        | "datasets.enabled"
            if input.flag()? => {}
        "stream.async-oneside" | "stream.bypass" if !input.flag()? => {}
        _ => return Err(unknown()),
    }
    Ok(())
}

fn app_layer(settings: &mut Settings, rest: &str, input: Input<'_>) -> Result<(), SettingError> {
    let app = &mut settings.engine.app;
    match rest {
        "http.libhtp.default-config.response-body-decompress-layer-limit" => {
            app.decompress_layers = input.size()?;
        }
        "http.libhtp.default-config.response-body-limit" => {
            app.response_body_limit = no_limit_is_zero(input.size()?);
        }
        "http.libhtp.default-config.request-body-limit" => {
            app.request_body_limit = no_limit_is_zero(input.size()?);
        }
        // Fingerprints are always computed.
        "tls.ja3-fingerprints" | "tls.ja4-fingerprints" if input.flag().is_ok() => {}
        // Bodies are inspected whole up to their limit: windows have no say.
        "http.libhtp.default-config.request-body-minimal-inspect-size"
        | "http.libhtp.default-config.request-body-inspect-window"
        | "http.libhtp.default-config.response-body-minimal-inspect-size"
        | "http.libhtp.default-config.response-body-inspect-window" => {
            input.size()?;
        }
        _ => return protocol_switch(settings, rest, input),
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

fn no_limit_is_zero(limit: usize) -> usize {
    // Suricata's "no limit" still needs a bound here.
    if limit == 0 { 16 << 20 } else { limit }
}

fn record_type(
    settings: &mut Settings,
    kind: &str,
    option: &str,
    input: Input<'_>,
) -> Result<(), SettingError> {
    let records = &mut settings.records;
    match (kind, option) {
        ("http" | "tls", "extended") => records.extended = input.flag()?,
        ("http", "dump-all-headers") => {
            records.all_headers = matches!(input.value, "both" | "request" | "response");
        }
        ("tls", "ja4") => records.ja4 = input.flag()?,
        ("anomaly", "types.decode") => records.anomaly_decode = input.flag()?,
        ("anomaly", "types.stream") => records.anomaly_stream = input.flag()?,
        ("anomaly", "types.applayer") => records.anomaly_app = input.flag()?,
        ("dns", "requests" | "query") => records.dns_requests = input.flag()?,
        ("dns", "responses" | "answer") => records.dns_responses = input.flag()?,
        ("alert", "payload") => records.alert_payload = input.flag()?,
        ("alert", "payload-printable") => records.alert_payload_printable = input.flag()?,
        // Tagged packets are not recorded.
        ("alert", "tagged-packets") if !input.flag()? => {}
        // The application record is always part of an alert.
        ("alert", "http" | "tls" | "ssh" | "smtp" | "metadata") if input.flag()? => {}
        ("alert", "packet") | (_, "payload-buffer-size") => {}
        // Records of protocols that we do not parse are never written.
        _ if NOT_OURS.contains(&kind) => {}
        ("dns", "version") if matches!(input.value, "3") => {}
        _ => return Err(SettingError::Unknown { key: input.key.to_owned() }),
    }
    Ok(())
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

    #[test]
    fn other_keys_are_named() {
        for key in
            ["stream.inline", "outputs.eve-log.types.http.no-such", "app-layer.protocols.x.enabled"]
        {
            let error = set(&mut Settings::default(), key, "yes").unwrap_err();
            assert_eq!(error.to_string(), format!("unknown setting {key}"));
        }
    }
}
