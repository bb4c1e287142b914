//! Keywords on link, network and transport headers beside those of IP, TCP and ICMP fields:
//! `vlan.id`, `vxlan_vni`, `igmp.type`, `sctp.*`, checksums.

use crate::{
    check::{
        builder::{Builder, none, text},
        content::compare,
        number,
        rule::{Checksum, Cmp, Layers, Test},
    },
    error::RuleError,
};

/// Names of SCTP chunk types (RFC 9260 section 3.2 and its registry).
const CHUNKS: &[(&str, u64)] = &[
    ("data", 0),
    ("init", 1),
    ("init_ack", 2),
    ("sack", 3),
    ("heartbeat", 4),
    ("heartbeat_ack", 5),
    ("abort", 6),
    ("shutdown", 7),
    ("shutdown_ack", 8),
    ("error", 9),
    ("cookie_echo", 10),
    ("cookie_ack", 11),
    ("ecne", 12),
    ("cwr", 13),
    ("shutdown_complete", 14),
    ("auth", 15),
    ("i_data", 64),
    ("asconf_ack", 128),
    ("re_config", 130),
    ("pad", 132),
    ("forward_tsn", 192),
    ("asconf", 193),
    ("i_forward_tsn", 194),
];

/// Adds the test of a keyword of this module; false for other keywords.
pub(super) fn option(
    builder: &mut Builder<'_, '_>,
    name: &str,
    value: Option<&[u8]>,
) -> Result<bool, RuleError> {
    let test = test(name, value)?;
    let known = test.is_some();
    builder.tests.extend(test);
    Ok(known)
}

fn test(name: &str, value: Option<&[u8]>) -> Result<Option<Test>, RuleError> {
    let u32_max = u64::from(u32::MAX);
    Ok(Some(match name {
        "vlan.id" => vlan_id(text(name, value)?)?,
        "vlan.layers" => Test::VlanLayers(compare(name, value, 3)?),
        "vxlan_vni" => Test::Vni(compare(name, value, 0x00ff_ffff)?),
        "igmp.type" => Test::IgmpType(compare(name, value, 255)?),
        "sctp.vtag" => Test::SctpVtag(compare(name, value, u32_max)?),
        "sctp.chunk_cnt" => Test::SctpChunks(compare(name, value, u32_max)?),
        "sctp.chunk_type" => Test::SctpChunkType(chunk_type(text(name, value)?)?),
        "l3_proto" => Test::NetworkVersion(network(text(name, value)?)?),
        "tcp.has_payload" => {
            none(name, value)?;
            Test::Dsize(Cmp::Gt(0))
        }
        _ => match checksum(name) {
            Some(kind) => Test::Checksum { kind, valid: validity(name, value)? },
            None => return Ok(None),
        },
    }))
}

fn checksum(name: &str) -> Option<Checksum> {
    Some(match name {
        "ipv4-csum" => Checksum::Ipv4,
        "tcpv4-csum" => Checksum::Upper { version: 4, proto: 6 },
        "tcpv6-csum" => Checksum::Upper { version: 6, proto: 6 },
        "udpv4-csum" => Checksum::Upper { version: 4, proto: 17 },
        "udpv6-csum" => Checksum::Upper { version: 6, proto: 17 },
        "icmpv4-csum" => Checksum::Upper { version: 4, proto: 1 },
        "icmpv6-csum" => Checksum::Upper { version: 6, proto: 58 },
        "igmp-csum" => Checksum::Upper { version: 4, proto: 2 },
        _ => return None,
    })
}

fn validity(name: &str, value: Option<&[u8]>) -> Result<bool, RuleError> {
    let given = text(name, value)?.trim().trim_matches('"').trim();
    match given.to_ascii_lowercase().as_str() {
        "valid" => Ok(true),
        "invalid" => Ok(false),
        _ => Err(RuleError::value(name, given.as_bytes(), "expected valid or invalid")),
    }
}

/// `200`, `200,0`, `!300,all`, `>=100,-1`: a comparison and the layers it is about.
fn vlan_id(given: &str) -> Result<Test, RuleError> {
    let bad = |why: &str| RuleError::value("vlan.id", given.as_bytes(), why);
    let (number, layer) = match given.split_once(',') {
        Some((number, layer)) => (number, layer.trim()),
        None => (given, "any"),
    };
    let cmp = number::compare(number, 4095).ok_or_else(|| bad("not a comparison"))?;
    let layer = match layer {
        "any" => Layers::Any,
        "all" => Layers::All,
        "0" | "1" | "2" => Layers::FromOutside(layer.bytes().next().unwrap_or(b'0') - b'0'),
        "-1" | "-2" | "-3" => Layers::FromInside(layer.bytes().last().unwrap_or(b'1') - b'1'),
        _ => return Err(bad("layers are 0 to 2, -1 to -3, all or any")),
    };
    Ok(Test::VlanId { cmp, layer })
}

fn chunk_type(given: &str) -> Result<Cmp, RuleError> {
    let name = given.trim().trim_matches('"').to_ascii_lowercase();
    let (negated, plain) = match name.strip_prefix('!') {
        Some(rest) => (true, rest.trim()),
        None => (false, name.as_str()),
    };
    match CHUNKS.iter().find(|(known, _)| *known == plain) {
        Some((_, kind)) if negated => Ok(Cmp::Ne(*kind)),
        Some((_, kind)) => Ok(Cmp::Eq(*kind)),
        None => number::compare(&name, 255).ok_or_else(|| {
            RuleError::value("sctp.chunk_type", given.as_bytes(), "no such chunk type")
        }),
    }
}

fn network(given: &str) -> Result<u8, RuleError> {
    match given.trim() {
        "4" | "ipv4" | "ip4" => Ok(4),
        "6" | "ipv6" | "ip6" => Ok(6),
        _ => Err(RuleError::value("l3_proto", given.as_bytes(), "expected ipv4 or ipv6")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, value: &str) -> Option<Test> {
        test(name, Some(value.as_bytes())).ok().flatten()
    }

    #[test]
    fn keywords_to_tests() {
        let vlan = |cmp, layer| Some(Test::VlanId { cmp, layer });
        let cases = [
            ("vlan.id", "200", vlan(Cmp::Eq(200), Layers::Any)),
            ("vlan.id", "0x12C,1", vlan(Cmp::Eq(300), Layers::FromOutside(1))),
            ("vlan.id", "!500,all", vlan(Cmp::Ne(500), Layers::All)),
            ("vlan.id", ">= 7, -1", vlan(Cmp::Ge(7), Layers::FromInside(0))),
            ("vlan.id", "5,3", None),
            ("vlan.id", "4096", None),
            ("vlan.layers", "3", Some(Test::VlanLayers(Cmp::Eq(3)))),
            ("vlan.layers", "4", None),
            ("sctp.chunk_type", "init_ack", Some(Test::SctpChunkType(Cmp::Eq(2)))),
            ("sctp.chunk_type", "!data", Some(Test::SctpChunkType(Cmp::Ne(0)))),
            ("sctp.chunk_type", "nothing", None),
            ("sctp.vtag", "3559606418", Some(Test::SctpVtag(Cmp::Eq(3_559_606_418)))),
            ("igmp.type", "0xff", Some(Test::IgmpType(Cmp::Eq(255)))),
            ("ipv4-csum", "invalid", Some(Test::Checksum { kind: Checksum::Ipv4, valid: false })),
            ("ipv4-csum", "wrong", None),
            ("l3_proto", "ipv6", Some(Test::NetworkVersion(6))),
            ("dsize", "5", None),
        ];
        for (name, value, expected) in cases {
            assert_eq!(read(name, value), expected, "{name}:{value}");
        }
    }
}
