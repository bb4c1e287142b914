//! Every layer cut at every byte: what is missing is named, by the layer that misses it.

use expect_test::{Expect, expect};

use super::*;
use crate::testing::{ether, ipv4, ipv6, ipv6_piece, meta, tcp_body, udp_body, vlan};

/// Names of what is wrong with a frame and the packets inside it, without the common prefix.
fn wrong(link: u16, frame: &[u8]) -> String {
    let mut meta = meta(0, frame.len());
    meta.link = LinkType::from_number(link);
    let options = DecodeOptions { checksums: false, offloaded: true };
    let mut packet = Packet::decode(meta, frame, options);
    let mut names = Vec::new();
    loop {
        names.extend(packet.anomalies.iter().map(|e| e.name().trim_start_matches("decoder.")));
        match packet.inner {
            Some(inner) => packet = packet.decode_inner(inner, options),
            None => return names.join(" "),
        }
    }
}

/// One line per stretch of lengths that are wrong in the same way.
fn check(link: u16, frame: &[u8], expected: &Expect) {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for end in 0..=frame.len() {
        let names = wrong(link, &frame[..end]);
        if lines.last().is_none_or(|(_, last)| *last != names) {
            lines.push((end, names));
        }
    }
    let text: Vec<_> = lines.iter().map(|(from, names)| format!("{from}: {names}")).collect();
    expected.assert_eq(&text.join("\n"));
}

#[test]
fn links_and_tags() {
    let udp = ipv4(17, &[], &udp_body((1000, 2000), b"data"));
    // 14 Ethernet, 4 per tag, 20 IPv4, 8 UDP, 4 payload.
    check(
        1,
        &ether(0x88a8, &vlan(5, 0x8100, &vlan(6, 0x0800, &udp))),
        &expect![[r#"
            0: ethernet.pkt_too_small
            14: vlan.header_too_small
            22: ipv4.pkt_too_small
            42: ipv4.trunc_pkt
            54: "#]],
    );
    let pppoe = [&[0x11, 0, 0, 1, 0, 34, 0, 0x21], udp.as_slice()].concat();
    check(
        1,
        &ether(0x8864, &pppoe),
        &expect![[r#"
            0: ethernet.pkt_too_small
            14: pppoe.pkt_too_small
            20: ppp.pkt_too_small
            22: ppp.ip4_pkt_too_small
            42: ipv4.trunc_pkt
            54: "#]],
    );
    check(
        1,
        &ether(0x8847, &[&[0, 1, 0, 1, 0, 1, 1, 1], udp.as_slice()].concat()),
        &expect![[r#"
            0: ethernet.pkt_too_small
            14: mpls.header_too_small
            22: mpls.pkt_too_small
            23: ipv4.pkt_too_small
            42: ipv4.trunc_pkt
            54: "#]],
    );
}

#[test]
fn other_links() {
    let udp = ipv4(17, &[], &udp_body((1000, 2000), b"data"));
    check(
        113,
        &[&[0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0], udp.as_slice()].concat(),
        &expect![[r#"
            0: sll.pkt_too_small
            16: ipv4.pkt_too_small
            36: ipv4.trunc_pkt
            48: "#]],
    );
    check(
        276,
        &[&[8, 0][..], &[0; 18], &udp].concat(),
        &expect![[r#"
            0: sll2.pkt_too_small
            20: ipv4.pkt_too_small
            40: ipv4.trunc_pkt
            52: "#]],
    );
    check(
        104,
        &[&[0x0f, 0, 8, 0], udp.as_slice()].concat(),
        &expect![[r#"
            0: chdlc.pkt_too_small
            4: ipv4.pkt_too_small
            24: ipv4.trunc_pkt
            36: "#]],
    );
    check(
        0,
        &[&[30, 0, 0, 0], ipv6(17, &udp_body((1, 2), b"")).as_slice()].concat(),
        &expect![[r#"
            0: ltnull.pkt_too_small
            4: ipv6.pkt_too_small
            44: ipv6.trunc_pkt
            52: "#]],
    );
    check(
        1,
        &ether(0x0806, &[&[0, 1, 8, 0, 6, 4, 0, 1][..], &[0; 20]].concat()),
        &expect![[r#"
            0: ethernet.pkt_too_small
            14: arp.pkt_too_small
            42: "#]],
    );
    check(
        1,
        &ether(0x88e7, &[&[0, 0, 1, 0][..], &ether(0x0800, &udp)].concat()),
        &expect![[r#"
            0: ethernet.pkt_too_small
            14: ieee8021ah.header_too_small
            32: ipv4.pkt_too_small
            52: ipv4.trunc_pkt
            64: "#]],
    );
}

/// Cuts the body of an IP packet and lets the IP length follow: nothing but the inner layer can
/// notice.
fn check_body(wrap: impl Fn(&[u8]) -> Vec<u8>, body: &[u8], expected: &Expect) {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for end in 0..=body.len() {
        let names = wrong(101, &wrap(&body[..end]));
        if lines.last().is_none_or(|(_, last)| *last != names) {
            lines.push((end, names));
        }
    }
    let text: Vec<_> = lines.iter().map(|(from, names)| format!("{from}: {names}")).collect();
    expected.assert_eq(&text.join("\n"));
}

#[test]
fn transports() {
    check_body(
        |body| ipv4(6, &[], body),
        &tcp_body(0x18, &[2, 4, 5, 0xb4, 1, 1, 4, 2], b"xy"),
        &expect![[r#"
            0: tcp.pkt_too_small
            20: tcp.invalid_optlen
            28: "#]],
    );
    check_body(
        |body| ipv6(17, body),
        &udp_body((1, 2), b"xy"),
        &expect![[r#"
            0: udp.pkt_too_small
            10: "#]],
    );
    check_body(
        |body| ipv4(132, &[], body),
        &[0; 13],
        &expect![[r#"
            0: sctp.pkt_too_small
            12: 
            13: sctp.chunk_too_small"#]],
    );
    check_body(
        |body| ipv4(1, &[], body),
        &[8, 0, 0, 0, 0, 1, 0, 1, b'p'],
        &expect![[r#"
            0: icmpv4.pkt_too_small
            8: "#]],
    );
    let quoted = ipv4(17, &[], &udp_body((1, 2), b""));
    check_body(
        |body| ipv4(1, &[], body),
        &[&[3, 3, 0, 0, 0, 0, 0, 0], quoted.as_slice()].concat(),
        &expect![[r#"
            0: icmpv4.pkt_too_small
            8: 
            9: icmpv4.ipv4_trunc_pkt
            28: "#]],
    );
    let quoted = ipv6(17, &udp_body((1, 2), b""));
    check_body(
        |body| ipv6(58, body),
        &[&[1, 4, 0, 0, 0, 0, 0, 0], quoted.as_slice()].concat(),
        &expect![[r#"
            0: icmpv6.pkt_too_small
            8: icmpv6.ipv6_trunc_pkt
            48: "#]],
    );
}

#[test]
fn extension_headers() {
    let hop = [43, 0, 5, 2, 0, 0, 0, 0];
    let routing = [44, 0, 4, 0, 0, 0, 0, 0];
    let fragment = ipv6_piece(51, (7, 0, false), b"");
    let authentication = [60, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let destination = [59, 0, 0xc9, 4, 0, 0, 0, 0];
    let chain = [&hop[..], &routing, &fragment, &authentication, &destination].concat();
    check_body(
        |body| ipv6(0, body),
        &chain,
        &expect![[r#"
            0: ipv6.trunc_exthdr
            24: ipv6.trunc_exthdr ipv6.exthdr_useless_fh
            44: ipv6.exthdr_useless_fh"#]],
    );
}

#[test]
fn tunnels() {
    let inside = ipv4(17, &[], &udp_body((1, 2), b""));
    // Checksum, key, sequence: 4 + 3 * 4.
    check_body(
        |body| ipv4(47, &[], body),
        &[&[0xb0, 0, 8, 0][..], &[0; 12], &inside].concat(),
        &expect![[r#"
            0: gre.pkt_too_small
            4: gre.version0_hdr_too_big
            16: ipraw.invalid_ip_version
            17: ipv4.pkt_too_small
            36: ipv4.trunc_pkt
            44: "#]],
    );
    // With source routes (RFC 1701): one entry of 4 bytes, then the empty one.
    let routes = [0, 0, 0, 0, 8, 0, 0, 4, 1, 2, 3, 4, 0, 0, 0, 0];
    check_body(
        |body| ipv4(47, &[], body),
        &[&[0x40, 0, 8, 0][..], &routes, &inside].concat(),
        &expect![[r#"
            0: gre.pkt_too_small
            4: gre.version0_hdr_too_big
            8: gre.version0_malformed_sre_hdr
            20: ipraw.invalid_ip_version
            21: ipv4.pkt_too_small
            40: ipv4.trunc_pkt
            48: "#]],
    );
    // ERSPAN type II, whose sequence number tells it from type I.
    let erspan = [0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0, 0, 0, 0, 0, 0, 0];
    check_body(
        |body| ipv4(47, &[], body),
        &[&erspan, ether(0x0800, &inside).as_slice()].concat(),
        &expect![[r#"
            0: gre.pkt_too_small
            4: gre.version0_hdr_too_big
            8: erspan.header_too_small
            16: ethernet.pkt_too_small
            30: ipv4.pkt_too_small
            50: ipv4.trunc_pkt
            58: "#]],
    );
    check_body(
        |body| ipv6(4, body),
        &inside,
        &expect![[r#"
            0: ipv6.ipv4_in_ipv6_too_small
            20: ipv4.trunc_pkt
            28: "#]],
    );
    check_body(
        |body| ipv6(41, body),
        &ipv6(17, &udp_body((1, 2), b"")),
        &expect![[r#"
            0: ipv6.ipv6_in_ipv6_too_small
            40: ipv6.trunc_pkt
            48: "#]],
    );
}
