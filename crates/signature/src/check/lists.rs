//! Keywords on numbers that a transaction may have several of: `http2.window:>100,all`,
//! `http2.errorcode:!NO_ERROR`, `websocket.opcode:text`.
//!
//! After the comparison may stand which of the numbers it is about: `any` (the default), `all`,
//! `all_or_absent`, `or_absent`, a place (`0`, `-1`), `oob_or 2`, `nb>3` (how many fulfil it), and for all but
//! places a stretch of them (`1:-1`). `count>5` in place of the comparison counts them.

use crate::{
    AppProto, Number,
    check::{
        builder::{Builder, text},
        number,
        rule::{Cmp, TxTest, Which},
    },
    error::RuleError,
};

/// A keyword: its number, its protocol, the largest value, the names of values.
type Row = (&'static str, Number, AppProto, u64, &'static [(&'static str, u64)]);

const KEYWORDS: &[Row] = &[
    ("http2.frametype", Number::Http2FrameType, AppProto::Http2, 255, FRAMES),
    ("http2.errorcode", Number::Http2ErrorCode, AppProto::Http2, u32_max(), ERRORS),
    ("http2.priority", Number::Http2Priority, AppProto::Http2, 255, &[]),
    ("http2.window", Number::Http2Window, AppProto::Http2, u32_max(), &[]),
    ("http2.size_update", Number::Http2SizeUpdate, AppProto::Http2, u64::MAX, &[]),
    ("websocket.opcode", Number::WebsocketOpcode, AppProto::Websocket, 15, OPCODES),
    ("websocket.mask", Number::WebsocketMask, AppProto::Websocket, u32_max(), &[]),
    ("dns.rrtype", Number::DnsRrtype, AppProto::Dns, 65_535, RECORD_TYPES),
    ("dhcp.leasetime", Number::DhcpLeaseTime, AppProto::Dhcp, u64::MAX, &[]),
    ("dhcp.renewal_time", Number::DhcpRenewalTime, AppProto::Dhcp, u64::MAX, &[]),
    ("dhcp.rebinding_time", Number::DhcpRebindingTime, AppProto::Dhcp, u64::MAX, &[]),
    ("ldap.request.operation", Number::LdapRequestOperation, AppProto::Ldap, 255, LDAP_OPERATIONS),
    (
        "ldap.responses.operation",
        Number::LdapResponsesOperation,
        AppProto::Ldap,
        255,
        LDAP_OPERATIONS,
    ),
    ("ldap.responses.count", Number::LdapResponsesCount, AppProto::Ldap, u32_max(), &[]),
    (
        "ldap.responses.result_code",
        Number::LdapResponsesResultCode,
        AppProto::Ldap,
        u32_max(),
        LDAP_RESULTS,
    ),
    ("ntp.version", Number::NtpVersion, AppProto::Ntp, 7, &[]),
    ("ntp.mode", Number::NtpMode, AppProto::Ntp, 7, NTP_MODES),
    ("ntp.stratum", Number::NtpStratum, AppProto::Ntp, 255, &[]),
    ("rfb.sectype", Number::RfbSecurityType, AppProto::Rfb, u32_max(), &[]),
    ("rfb.secresult", Number::RfbSecurityResult, AppProto::Rfb, u32_max(), RFB_RESULTS),
    ("tls.cert_chain_len", Number::TlsChainLength, AppProto::Tls, u32_max(), &[]),
];

const fn u32_max() -> u64 {
    u32::MAX as u64
}

/// RFC 9113 section 6.
const FRAMES: &[(&str, u64)] = &[
    ("data", 0),
    ("headers", 1),
    ("priority", 2),
    ("rststream", 3),
    ("rst_stream", 3),
    ("settings", 4),
    ("pushpromise", 5),
    ("push_promise", 5),
    ("ping", 6),
    ("goaway", 7),
    ("windowupdate", 8),
    ("window_update", 8),
    ("continuation", 9),
];

/// RFC 9113 section 7.
const ERRORS: &[(&str, u64)] = &[
    ("no_error", 0),
    ("protocol_error", 1),
    ("internal_error", 2),
    ("flow_control_error", 3),
    ("settings_timeout", 4),
    ("stream_closed", 5),
    ("frame_size_error", 6),
    ("refused_stream", 7),
    ("cancel", 8),
    ("compression_error", 9),
    ("connect_error", 10),
    ("enhance_your_calm", 11),
    ("inadequate_security", 12),
    ("http_1_1_required", 13),
    ("http11_required", 13),
];

/// RFC 9113 section 6.5.2 and its registry.
const SETTINGS: &[(&str, u64)] = &[
    ("settings_header_table_size", 1),
    ("settings_enable_push", 2),
    ("settings_max_concurrent_streams", 3),
    ("settings_initial_window_size", 4),
    ("settings_max_frame_size", 5),
    ("settings_max_header_list_size", 6),
    ("settings_enable_connect_protocol", 8),
];

/// RFC 6455 section 5.2.
const OPCODES: &[(&str, u64)] = &[
    ("continuation", 0),
    ("text", 1),
    ("binary", 2),
    ("connection_close", 8),
    ("ping", 9),
    ("pong", 10),
];

/// RFC 4511 appendix B.
const LDAP_OPERATIONS: &[(&str, u64)] = &[
    ("bind_request", 0),
    ("bind_response", 1),
    ("unbind_request", 2),
    ("search_request", 3),
    ("search_result_entry", 4),
    ("search_result_done", 5),
    ("modify_request", 6),
    ("modify_response", 7),
    ("add_request", 8),
    ("add_response", 9),
    ("del_request", 10),
    ("del_response", 11),
    ("mod_dn_request", 12),
    ("mod_dn_response", 13),
    ("compare_request", 14),
    ("compare_response", 15),
    ("abandon_request", 16),
    ("search_result_reference", 19),
    ("extended_request", 23),
    ("extended_response", 24),
    ("intermediate_response", 25),
];

/// RFC 4511 section 4.1.9.
const LDAP_RESULTS: &[(&str, u64)] = &[
    ("success", 0),
    ("operations_error", 1),
    ("protocol_error", 2),
    ("time_limit_exceeded", 3),
    ("size_limit_exceeded", 4),
    ("compare_false", 5),
    ("compare_true", 6),
    ("auth_method_not_supported", 7),
    ("stronger_auth_required", 8),
    ("referral", 10),
    ("admin_limit_exceeded", 11),
    ("unavailable_critical_extension", 12),
    ("confidentiality_required", 13),
    ("sasl_bind_in_progress", 14),
    ("no_such_attribute", 16),
    ("undefined_attribute_type", 17),
    ("inappropriate_matching", 18),
    ("constraint_violation", 19),
    ("attribute_or_value_exists", 20),
    ("invalid_attribute_syntax", 21),
    ("no_such_object", 32),
    ("alias_problem", 33),
    ("invalid_dns_syntax", 34),
    ("is_leaf", 35),
    ("alias_dereferencing_problem", 36),
    ("inappropriate_authentication", 48),
    ("invalid_credentials", 49),
    ("insufficient_access_rights", 50),
    ("busy", 51),
    ("unavailable", 52),
    ("unwilling_to_perform", 53),
    ("loop_detect", 54),
    ("naming_violation", 64),
    ("object_class_violation", 65),
    ("not_allowed_on_non_leaf", 66),
    ("not_allowed_on_rdn", 67),
    ("entry_already_exists", 68),
    ("object_class_mods_prohibited", 69),
    ("affects_multiple_dsas", 71),
    ("other", 80),
];

/// RFC 5905 figure 10.
const NTP_MODES: &[(&str, u64)] = &[
    ("symmetric_active", 1),
    ("symmetric_passive", 2),
    ("client", 3),
    ("server", 4),
    ("broadcast", 5),
    ("control", 6),
    ("private", 7),
];

/// RFC 6143 section 7.1.3; `unknown` is any number that means nothing.
const RFB_RESULTS: &[(&str, u64)] = &[("ok", 0), ("fail", 1), ("toomany", 2), ("unknown", 3)];

/// Types of DNS records (IANA, Domain Name System Parameters).
const RECORD_TYPES: &[(&str, u64)] = &[
    ("a", 1),
    ("ns", 2),
    ("cname", 5),
    ("soa", 6),
    ("null", 10),
    ("wks", 11),
    ("ptr", 12),
    ("hinfo", 13),
    ("minfo", 14),
    ("mx", 15),
    ("txt", 16),
    ("sig", 24),
    ("key", 25),
    ("aaaa", 28),
    ("loc", 29),
    ("srv", 33),
    ("naptr", 35),
    ("cert", 37),
    ("dname", 39),
    ("opt", 41),
    ("ds", 43),
    ("sshfp", 44),
    ("rrsig", 46),
    ("nsec", 47),
    ("dnskey", 48),
    ("nsec3", 50),
    ("tlsa", 52),
    ("svcb", 64),
    ("https", 65),
    ("spf", 99),
    ("tkey", 249),
    ("tsig", 250),
    ("axfr", 252),
    ("any", 255),
    ("uri", 256),
    ("caa", 257),
];

/// Flags of the first byte of a WebSocket frame.
const FLAGS: &[(&str, u64)] = &[("fin", 0x80), ("comp", 0x40)];

impl Builder<'_, '_> {
    /// Handles the keywords of this module.
    pub(super) fn list_option(
        &mut self,
        name: &str,
        value: Option<&[u8]>,
    ) -> Result<bool, RuleError> {
        let (number, proto, test) = match name {
            "http2.settings" => {
                (Number::Http2Setting, AppProto::Http2, settings(name, text(name, value)?)?)
            }
            "websocket.flags" => {
                let cmp = flags(name, text(name, value)?)?;
                (Number::WebsocketFlags, AppProto::Websocket, (None, cmp, Which::default()))
            }
            "tls_cert_notbefore" | "tls_cert_notafter" => {
                let number = match name {
                    "tls_cert_notbefore" => Number::TlsNotBefore,
                    _ => Number::TlsNotAfter,
                };
                let cmp = time(name, text(name, value)?)?;
                (number, AppProto::Tls, (None, cmp, Which::default()))
            }
            _ => {
                let Some((_, number, proto, max, names)) =
                    KEYWORDS.iter().find(|row| row.0 == name)
                else {
                    return Ok(false);
                };
                (*number, *proto, several(name, text(name, value)?, *max, names)?)
            }
        };
        self.imply(name, proto)?;
        let (key, cmp, which) = test;
        self.tx_tests.push(TxTest::Numbers { number, key, cmp, which });
        Ok(true)
    }
}

/// What is in the upper half of the number, its comparison, which of the numbers.
type Parsed = (Option<u32>, Cmp, Which);

/// A comparison, or the name of a value with `!` before it or not.
fn value(given: &str, max: u64, names: &[(&str, u64)]) -> Option<Cmp> {
    let word = given.trim().to_ascii_lowercase();
    let (negated, plain) = match word.strip_prefix('!') {
        Some(rest) => (true, rest.trim()),
        None => (false, word.as_str()),
    };
    match names.iter().find(|(known, _)| *known == plain) {
        Some((_, value)) if negated => Some(Cmp::Ne(*value)),
        Some((_, value)) => Some(Cmp::Eq(*value)),
        None => number::compare(&word, max),
    }
}

fn several(name: &str, given: &str, max: u64, names: &[(&str, u64)]) -> Result<Parsed, RuleError> {
    let bad = |why: &str| RuleError::value(name, given.as_bytes(), why);
    let plain = given.trim_matches('"');
    if let Some(count) = plain.trim().strip_prefix("count") {
        let cmp =
            number::compare(count, u32_max()).ok_or_else(|| bad("not a comparison of counts"))?;
        return Ok((None, cmp, Which::Count));
    }
    let (first, rest) = plain.split_once(',').unwrap_or((plain, ""));
    let cmp = value(first, max, names)
        .ok_or_else(|| bad("not a comparison, out of range or no known name"))?;
    let which = which(rest).ok_or_else(|| bad("not one of the known modes"))?;
    Ok((None, cmp, which))
}

fn which(given: &str) -> Option<Which> {
    let (mode, stretch) = match given.split_once(',') {
        Some((mode, stretch)) => (mode.trim(), Some(stretch)),
        None => (given.trim(), None),
    };
    let stretch = match stretch {
        Some(text) => {
            let (from, to) = text.split_once(':')?;
            let one = |text: &str, default| match text.trim() {
                "" => Some(default),
                text => text.parse::<i32>().ok(),
            };
            (one(from, 0)?, one(to, i32::MAX)?)
        }
        None => (0, i32::MAX),
    };
    Some(match mode {
        "" | "any" => Which::Any { absent: false, stretch },
        "or_absent" => Which::Any { absent: true, stretch },
        "all" | "all1" => Which::All { absent: false, stretch },
        "all_or_absent" => Which::All { absent: true, stretch },
        _ => {
            if let Some(count) = mode.strip_prefix("nb") {
                Which::Fulfil { count: number::compare(count, u32_max())?, stretch }
            } else if let Some(place) = mode.strip_prefix("oob_or") {
                Which::At { place: place.trim().parse().ok()?, beyond: true }
            } else {
                Which::At { place: mode.parse().ok()?, beyond: false }
            }
        }
    })
}

/// `SETTINGS_ENABLE_PUSH`, `SETTINGS_INITIAL_WINDOW_SIZE>1000`.
fn settings(name: &str, given: &str) -> Result<Parsed, RuleError> {
    let bad = || RuleError::value(name, given.as_bytes(), "not a setting and a comparison");
    let plain = given.trim().trim_matches('"');
    let end = plain.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(plain.len());
    let (word, rest) = plain.split_at_checked(end).ok_or_else(bad)?;
    let lower = word.to_ascii_lowercase();
    let named = SETTINGS.iter().find(|(known, _)| *known == lower).map(|(_, id)| *id);
    let id = named.or_else(|| number::parse(word)).filter(|id| *id <= 0xffff).ok_or_else(bad)?;
    let (cmp, mode) = rest.split_once(',').unwrap_or((rest, ""));
    let cmp = match cmp.trim() {
        "" => Cmp::Ge(0),
        text => number::compare(text, u32_max()).ok_or_else(bad)?,
    };
    Ok((u32::try_from(id).ok(), cmp, which(mode).ok_or_else(bad)?))
}

/// `fin`, `!fin`, `comp,fin`, `&0x80`: flags that are set and not set.
fn flags(name: &str, given: &str) -> Result<Cmp, RuleError> {
    let bad = || RuleError::value(name, given.as_bytes(), "not a comparison and no known flags");
    let plain = given.trim().trim_matches('"');
    if let Some(cmp) = number::compare(plain, 255) {
        return Ok(cmp);
    }
    let (mut set, mut unset) = (0, 0);
    for word in plain.split(',') {
        let word = word.trim().to_ascii_lowercase();
        let (bits, bare) = match word.strip_prefix('!') {
            Some(bare) => (&mut unset, bare),
            None => (&mut set, word.as_str()),
        };
        *bits |= FLAGS.iter().find(|(known, _)| *known == bare).ok_or_else(bad)?.1;
    }
    Ok(Cmp::Bits { set, unset })
}

/// `>2015`, `2015-10-22<>2020-05-01 12:00:00`: times as seconds since the epoch. A comparison with a year
/// alone begins with its first second.
fn time(name: &str, given: &str) -> Result<Cmp, RuleError> {
    let bad = || RuleError::value(name, given.as_bytes(), "not a comparison of dates");
    let plain = given.trim().trim_matches('"').trim();
    let one = |text: &str| seconds(text.trim()).ok_or_else(bad);
    if let Some((low, high)) = plain.split_once("<>") {
        return Ok(Cmp::Between(one(low)?, one(high)?));
    }
    Ok(match plain.split_at_checked(1) {
        Some((">", rest)) => Cmp::Gt(one(rest)?),
        Some(("<", rest)) => Cmp::Lt(one(rest)?),
        _ => Cmp::Eq(one(plain)?),
    })
}

/// `YYYY[-MM[-DD[THH[:MM[:SS]]]]]` in UTC, seconds since the epoch.
fn seconds(text: &str) -> Option<u64> {
    let mut parts = [0_i64, 1, 1, 0, 0, 0];
    let pieces: Vec<&str> = text.split(['-', 'T', ' ', ':']).collect();
    if pieces.len() > parts.len() {
        return None;
    }
    for (part, piece) in parts.iter_mut().zip(&pieces) {
        *part = piece.parse().ok()?;
    }
    let [year, month, day, hour, minute, second] = parts;
    let valid = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    if !valid {
        return None;
    }
    // Days since the epoch of a date in the Gregorian calendar, with years that begin in March.
    let shifted = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (shifted / 400, shifted % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    u64::try_from(days * 86_400 + hour * 3_600 + minute * 60 + second).ok()
}

/// Whether a keyword is one of this module.
pub(super) fn is_known(name: &str) -> bool {
    KEYWORDS.iter().any(|row| row.0 == name)
        || matches!(
            name,
            "http2.settings" | "websocket.flags" | "tls_cert_notbefore" | "tls_cert_notafter"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_of_several() {
        let all = (0, i32::MAX);
        let cases = [
            ("", Some(Which::Any { absent: false, stretch: all })),
            ("or_absent", Some(Which::Any { absent: true, stretch: all })),
            ("all", Some(Which::All { absent: false, stretch: all })),
            ("all_or_absent", Some(Which::All { absent: true, stretch: all })),
            ("-2", Some(Which::At { place: -2, beyond: false })),
            ("oob_or 2", Some(Which::At { place: 2, beyond: true })),
            ("nb>1,1:-1", Some(Which::Fulfil { count: Cmp::Gt(1), stretch: (1, -1) })),
            ("some", None),
            ("nb", None),
        ];
        for (text, expected) in cases {
            assert_eq!(which(text), expected, "{text}");
        }
    }

    #[test]
    fn lists_are_tested() {
        let holds = |text: &str, list: &[u64]| {
            let (_, cmp, which) = several("x", text, 100_000, &[("ten", 10)]).unwrap();
            which.holds(list, cmp)
        };
        let cases: &[(&str, &[u64], bool)] = &[
            ("ten", &[1, 10], true),
            ("!ten", &[10], false),
            ("ten,all", &[10, 10], true),
            ("ten,all", &[], false),
            ("ten,all_or_absent", &[], true),
            ("ten,or_absent", &[9], false),
            ("ten,1", &[1, 10], true),
            ("ten,-1", &[10, 1], false),
            ("5,oob_or 2", &[1, 2], true),
            ("5,oob_or 2", &[1, 2, 3], false),
            (">3,nb>1", &[4, 5], true),
            (">3,nb>1,1:", &[4, 5], false),
            (">3,nb>1,0:-1", &[4, 5, 6], true),
            ("count>1", &[0, 0], true),
            ("count=0", &[], true),
        ];
        for (text, list, expected) in cases {
            assert_eq!(holds(text, list), *expected, "{text} {list:?}");
        }
    }

    #[test]
    fn dates() {
        let cases = [
            ("1970", Some(0)),
            ("2015", Some(1_420_070_400)),
            ("2000-02-29", Some(951_782_400)),
            ("2025-02-09T18:07:27", Some(1_739_124_447)),
            ("1969", None),
            ("2015-13", None),
            ("x", None),
        ];
        for (text, expected) in cases {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn settings_and_flags() {
        let read = |text| settings("http2.settings", text).ok();
        let any = Which::default();
        assert_eq!(read("SETTINGS_ENABLE_PUSH=0"), Some((Some(2), Cmp::Eq(0), any)));
        assert_eq!(read("SETTINGS_HEADER_TABLE_SIZE>1000"), Some((Some(1), Cmp::Gt(1000), any)));
        assert_eq!(read("SETTINGS_NOTHING"), None);
        let bits = |text| flags("websocket.flags", text).ok();
        assert_eq!(bits("fin"), Some(Cmp::Bits { set: 0x80, unset: 0 }));
        assert_eq!(bits("comp,!fin"), Some(Cmp::Bits { set: 0x40, unset: 0x80 }));
        assert_eq!(bits("&0x40"), Some(Cmp::Mask { mask: 0x40, equal: true }));
        assert_eq!(bits("last"), None);
    }
}
