//! Unknown keywords: language keywords that are not evaluated are told apart from typing errors.

use crate::{Buffer, error::RuleError};

/// Evaluated keywords that are not buffers, for hints.
const KNOWN: &[&str] = &[
    "content",
    "nocase",
    "depth",
    "offset",
    "distance",
    "within",
    "startswith",
    "endswith",
    "fast_pattern",
    "rawbytes",
    "pcre",
    "prefilter",
    "isdataat",
    "bsize",
    "urilen",
    "absent",
    "byte_test",
    "byte_jump",
    "byte_extract",
    "byte_math",
    "base64_decode",
    "base64_data",
    "asn1",
    "flow",
    "dsize",
    "ttl",
    "tos",
    "ip_proto",
    "itype",
    "icode",
    "icmp_id",
    "icmp_seq",
    "tcp.mss",
    "fragoffset",
    "flags",
    "fragbits",
    "sameip",
    "ipopts",
    "stream_size",
    "app-layer-event",
    "app-layer-protocol",
    "decode-event",
    "stream-event",
    "tls.version",
    "dns.opcode",
    "ftp.mode",
    "ftp.dynamic_port",
    "ftp.reply_received",
    "ftpbounce",
    "ftpdata_command",
    "frame",
    "tls.subject",
    "tls.issuerdn",
    "tls.fingerprint",
    "dns.rrtype",
    "ssh.protoversion",
    "ssh.softwareversion",
    "flowbits",
    "xbits",
    "hostbits",
    "flowint",
    "noalert",
    "threshold",
    "detection_filter",
    "tag",
    "msg",
    "sid",
    "gid",
    "rev",
    "priority",
    "classtype",
    "reference",
    "metadata",
    "target",
    "dotprefix",
    "to_lowercase",
    "to_md5",
    "to_sha1",
    "to_sha256",
    "strip_whitespace",
    "compress_whitespace",
    "url_decode",
    "xor",
    "pkt_data",
    "window",
    "dataset",
    "datarep",
    "iprep",
    "geoip",
    "filestore",
    "filename",
    "fileext",
    "filemagic",
    "filemd5",
    "filesha1",
    "filesha256",
    "filesize",
    "replace",
    "entropy",
    "config",
    "requires",
    "alert",
    "pcrexform",
    "gunzip",
    "zlib_deflate",
    "from_base64",
    "subslice",
    "to_uppercase",
    "strip_pseudo_headers",
    "header_lowercase",
    "uricontent",
    "dcerpc.iface",
    "dcerpc.opnum",
    "smb.version",
    "snmp.version",
    "snmp.pdu_type",
    "krb5_msg_type",
    "krb5.msg_type",
    "krb5_err_code",
    "krb5.err_code",
    "krb5.ticket_encryption",
];

/// Words of the language that are known and not evaluated, by prefix when they end in a dot or underscore.
const NOT_EVALUATED: &[&str] = &[
    "lua",
    "luajit",
    "file.magic",
    "rpc",
    "csum",
    "bypass",
    "flowvar",
    "pktvar",
    "vlan.",
    "tls_store",
    "tls.store",
    "tlsstore",
    "ssl_state",
    "tls_cert",
    "tls.",
    "tls_",
    "ssh.",
    "http2.",
    "smb.",
    "smb_",
    "dcerpc.",
    "dce_",
    "smtp.",
    "email.",
    "ftp.",
    "krb5",
    "krb5.",
    "snmp.",
    "sip.",
    "mqtt.",
    "ike.",
    "dnp3",
    "dnp3_",
    "modbus",
    "cip_service",
    "enip",
    "enip.",
    "nfs",
    "nfs_",
    "pgsql.",
    "sdp.",
    "websocket.",
    "igmp.",
    "arp.",
    "http.",
    "http_",
    "dns.",
    "dns_",
    "mdns.",
    "ja4",
    "template",
    "nsap",
    "flow.",
    "tcp.",
    "ipv6.",
    "cyu.",
    "bittorrent_dht.",
    "pop3.",
    "imap.",
    "app-layer-state",
];

/// Whether a keyword that is no buffer is evaluated.
pub(super) fn is_evaluated(name: &str) -> bool {
    KNOWN.contains(&name) || super::lists::is_known(name)
}

/// The error for a keyword that nothing evaluates.
pub(super) fn unknown(name: &str) -> RuleError {
    let lower = name.to_ascii_lowercase();
    let keywords = KNOWN.iter().copied().chain(Buffer::all().skip(1).map(Buffer::name));
    let hint = nearest(&lower, keywords);
    let close = hint.is_some_and(|(_, distance)| distance <= 2);
    let listed = NOT_EVALUATED.iter().any(|word| {
        *word == lower || (word.ends_with(['.', '_']) && lower.starts_with(word) && !close)
    });
    if listed {
        return RuleError::unsupported(name, "no evaluation for it");
    }
    let hint = match hint {
        Some((word, distance)) if distance <= 3 && distance < name.len().div_ceil(2) => {
            format!("; did you mean {word}?")
        }
        _ => String::new(),
    };
    RuleError::UnknownKeyword { name: name.chars().take(60).collect(), hint }
}

/// The word with the fewest edits, when they are few.
pub(super) fn closest<'w>(name: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let (word, distance) = nearest(name, words)?;
    (distance <= 2 && distance < name.len().div_ceil(2)).then_some(word)
}

/// The word with the fewest edits, and how many.
fn nearest<'w>(name: &str, words: impl Iterator<Item = &'w str>) -> Option<(&'w str, usize)> {
    if name.len() > 40 {
        return None;
    }
    words
        .map(|word| (word, edits(name.as_bytes(), word.as_bytes())))
        .min_by_key(|(_, distance)| *distance)
}

/// Levenshtein distance.
fn edits(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b) {
            let up = *cell;
            let value = (diagonal + usize::from(x != y)).min(up + 1).min(left + 1);
            diagonal = up;
            left = value;
            *cell = value;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// The words that hints may name.
#[cfg(test)]
pub(super) fn known() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().copied()
}

/// The words that are known and not evaluated.
#[cfg(test)]
pub(super) fn not_evaluated() -> impl Iterator<Item = &'static str> {
    NOT_EVALUATED.iter().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_typing_errors_from_what_is_missing() {
        let cases = [
            ("nocas", "unknown keyword \"nocas\"; did you mean nocase?"),
            ("http.urii", "unknown keyword \"http.urii\"; did you mean http.uri?"),
            ("lua", "keyword \"lua\" is not evaluated: no evaluation for it"),
            (
                "mqtt.connect.flags",
                "keyword \"mqtt.connect.flags\" is not evaluated: no evaluation for it",
            ),
            ("qqqqqqqqqqqq", "unknown keyword \"qqqqqqqqqqqq\""),
        ];
        for (name, expected) in cases {
            assert_eq!(unknown(name).to_string(), expected);
        }
    }
}
