//! Every decoder event provoked by a packet made for it, alone.

use super::*;
use crate::testing::{checksum, ether, ipv4, ipv6, ipv6_piece, meta, tcp_body, udp_body, vlan};

/// Events that are defined for rules which name them and that no packet has: their checks are
/// covered by others (`opt_invalid_len`, `udp.hlen_invalid`) or the layer is not looked into.
const NEVER: &[&str] = &[
    "ipv4.opt_unknown",
    "ipv6.exthdr_dupl_eh",
    "udp.hlen_too_small",
    "udp.hlen_invalid",
    "gre.version1_malformed_sre_hdr",
];

/// Events of defragmentation and of the engine: a single packet does not show them.
const ELSEWHERE: &[&str] = &[
    "ipv4.frag_pkt_too_large",
    "ipv4.frag_overlap",
    "ipv6.frag_overlap",
    "ipv4.frag_ignored",
    "ipv6.frag_ignored",
];

type Case = (&'static str, u16, Vec<u8>);

fn at(mut bytes: Vec<u8>, place: usize, value: u8) -> Vec<u8> {
    bytes[place] = value;
    bytes
}

fn raw(name: &'static str, packet: Vec<u8>) -> Case {
    (name, 101, packet)
}

fn eth(name: &'static str, kind: u16, body: &[u8]) -> Case {
    (name, 1, ether(kind, body))
}

fn links() -> Vec<Case> {
    let ip = ipv4(17, &[], &udp_body((1, 2), b"x"));
    let tag3 = vlan(1, 0x8100, &vlan(2, 0x8100, &vlan(3, 0x8100, &vlan(4, 0x0800, &ip))));
    let arp = [&[0, 1, 8, 0, 6, 4, 0, 1][..], &[0; 20]].concat();
    vec![
        ("ethernet.pkt_too_small", 1, vec![0; 13]),
        eth("ethernet.unknown_ethertype", 0xfbb7, b"x"),
        ("sll.pkt_too_small", 113, vec![0; 15]),
        ("sll2.pkt_too_small", 276, vec![0; 19]),
        eth("vlan.unknown_type", 0x8100, &[0, 1, 0xfb, 0xb7, 0]),
        eth("vntag.header_too_small", 0x8926, &[0; 5]),
        eth("vntag.unknown_type", 0x8926, &[0, 0, 0, 0, 0xfb, 0xb7]),
        eth("etag.header_too_small", 0x893f, &[0; 7]),
        eth("etag.unknown_type", 0x893f, &[0, 0, 0, 0, 0, 0, 0xfb, 0xb7]),
        eth("dce.pkt_too_small", 0x8903, &[0; 15]),
        eth("nsh.header_too_small", 0x894f, &[0; 7]),
        eth("nsh.unsupported_version", 0x894f, &[0x40, 2, 2, 1, 0, 0, 0, 0]),
        eth("nsh.bad_header_length", 0x894f, &[0, 3, 2, 1, 0, 0, 0, 0]),
        eth("nsh.reserved_type", 0x894f, &[0, 2, 0, 1, 0, 0, 0, 0]),
        eth("nsh.unsupported_type", 0x894f, &[0, 2, 3, 1, 0, 0, 0, 0]),
        eth("nsh.unknown_payload", 0x894f, &[0, 2, 2, 9, 0, 0, 0, 0]),
        eth(
            "too_many_layers",
            0x88e7,
            &[0u8, 0, 0, 0]
                .iter()
                .copied()
                .chain([0; 12])
                .chain([0x88, 0xe7])
                .cycle()
                .take(18 * 20)
                .collect::<Vec<u8>>(),
        ),
        eth("pppoe.malformed_tags", 0x8863, &[0x11, 9, 0, 1, 0, 6, 1, 1, 0, 3, 1, 2]),
        ("ltnull.pkt_too_small", 0, vec![2, 0, 0]),
        ("ltnull.unsupported_type", 108, vec![0, 0, 0, 99]),
        ("chdlc.pkt_too_small", 104, vec![0x0f, 0, 8]),
        ("ipraw.invalid_ip_version", 101, vec![0x50; 40]),
        eth("vlan.header_too_small", 0x8100, &[0, 1, 8]),
        eth("vlan.too_many_layers", 0x8100, &tag3),
        eth("ieee8021ah.header_too_small", 0x88e7, &[0; 17]),
        ("ppp.vju_pkt_too_small", 9, vec![0xff, 3, 0, 0x2f, 0x45]),
        eth("mpls.header_too_small", 0x8847, &[0, 1, 0]),
        eth("mpls.pkt_too_small", 0x8847, &[0, 1, 1, 1]),
        eth("mpls.bad_label_router_alert", 0x8847, &[&[0, 0, 0x11, 1], ip.as_slice()].concat()),
        eth("mpls.bad_label_implicit_null", 0x8847, &[&[0, 0, 0x31, 1], ip.as_slice()].concat()),
        eth("mpls.bad_label_reserved", 0x8847, &[&[0, 0, 0xf1, 1], ip.as_slice()].concat()),
        eth("mpls.unknown_payload_type", 0x8847, &[0, 1, 1, 1, 0x90, 0]),
        eth("pppoe.pkt_too_small", 0x8864, &[0x11, 0, 0, 1, 0]),
        eth("pppoe.wrong_code", 0x8864, &[0x11, 9, 0, 1, 0, 0, 0, 0x21]),
        eth("ppp.pkt_too_small", 0x8864, &[0x11, 0, 0, 1, 0, 0, 0]),
        eth("ppp.ip4_pkt_too_small", 0x8864, &[0x11, 0, 0, 1, 0, 0, 0, 0x21, 0x45]),
        eth("ppp.ip6_pkt_too_small", 0x8864, &[0x11, 0, 0, 1, 0, 0, 0, 0x57, 0x60]),
        ("ppp.unsup_proto", 9, vec![0xff, 3, 0xc0, 0x21, 1]),
        ("ppp.wrong_type", 9, vec![0xff, 3, 0x12, 0x34, 1]),
        eth("arp.pkt_too_small", 0x0806, &arp[..27]),
        eth("arp.unsupported_hardware", 0x0806, &at(arp.clone(), 1, 6)),
        eth("arp.unsupported_protocol", 0x0806, &at(arp.clone(), 2, 9)),
        eth("arp.invalid_hardware_size", 0x0806, &at(arp.clone(), 4, 8)),
        eth("arp.invalid_protocol_size", 0x0806, &at(arp.clone(), 5, 16)),
        eth("arp.unsupported_opcode", 0x0806, &at(arp, 7, 10)),
    ]
}

fn internet() -> Vec<Case> {
    let udp = udp_body((1, 2), b"x");
    let ip = ipv4(17, &[], &udp);
    let six = |next, headers: &[u8], body: &[u8]| ipv6(next, &[headers, body].concat());
    let end = [0; 8];
    vec![
        raw("ipv4.pkt_too_small", ip[..19].to_vec()),
        raw("ipv4.hlen_too_small", at(ip.clone(), 0, 0x44)),
        raw("ipv4.iplen_smaller_than_hlen", at(at(ip.clone(), 2, 0), 3, 19)),
        raw("ipv4.trunc_pkt", ip[..ip.len() - 1].to_vec()),
        eth("ipv4.wrong_ip_version", 0x0800, &at(ip, 0, 0x65)),
        raw("ipv4.opt_pad_required", ipv4(17, &[148, 4, 0, 0], &udp)),
        raw("ipv4.opt_invalid_len", ipv4(17, &[148, 5, 0, 0, 0, 0, 0, 0], &udp)),
        raw("ipv4.opt_malformed", ipv4(17, &[7, 7, 5, 0, 0, 0, 0, 0], &udp)),
        raw("ipv4.opt_eol_required", ipv4(17, &[1, 1, 1, 1, 1, 1, 1, 148], &udp)),
        raw("ipv4.opt_invalid", ipv4(17, &[99, 4, 0, 0, 0, 0, 0, 0], &udp)),
        raw("ipv4.unknown_protocol", ipv4(253, &[], b"x")),
        raw("ipv4.opt_duplicate", ipv4(17, &[148, 4, 0, 0, 148, 4, 0, 0], &udp)),
        raw("ipv4.icmpv6", ipv4(58, &[], &[128, 0, 0, 0, 0, 0, 0, 0])),
        raw("ipv6.pkt_too_small", ipv6(59, b"")[..39].to_vec()),
        raw("ipv6.trunc_pkt", ipv6(17, &udp)[..48].to_vec()),
        eth("ipv6.wrong_ip_version", 0x86dd, &at(ipv6(59, b""), 0, 0x70)),
        raw("ipv6.trunc_exthdr", six(0, &[], &[17, 1, 1, 4, 0, 0, 0, 0])),
        raw(
            "ipv6.exthdr_dupl_rh",
            six(43, &[43, 0, 4, 0, 0, 0, 0, 0, 17, 0, 4, 0, 0, 0, 0, 0], &udp),
        ),
        raw(
            "ipv6.exthdr_dupl_hh",
            six(0, &[0, 0, 5, 2, 0, 0, 0, 0, 17, 0, 5, 2, 0, 0, 0, 0], &udp),
        ),
        raw(
            "ipv6.exthdr_dupl_ah",
            six(51, &[51, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0, 0], &udp),
        ),
        raw("ipv6.exthdr_ah_res_not_null", six(51, &[17, 0, 0, 1, 0, 0, 0, 0], &udp)),
        raw("ipv6.rh_type_0", six(43, &[17, 0, 0, 0, 0, 0, 0, 0], &udp)),
        raw("ipv6.exthdr_invalid_optlen", six(60, &[17, 0, 0xc9, 9, 0, 0, 0, 0], &udp)),
        raw("ipv6.hopopts_unknown_opt", six(0, &[17, 0, 0x3e, 4, 0, 0, 0, 0], &udp)),
        raw("ipv6.hopopts_only_padding", six(0, &[17, 0, 1, 4, 0, 0, 0, 0], &udp)),
        raw("ipv6.dstopts_unknown_opt", six(60, &[17, 0, 0x3e, 4, 0, 0, 0, 0], &udp)),
        raw("ipv6.dstopts_only_padding", six(60, &[17, 0, 0, 0, 0, 0, 0, 0], &udp)),
        raw("ipv6.zero_len_padn", six(0, &[17, 0, 5, 2, 0, 0, 1, 0], &udp)),
        raw("ipv6.frag_invalid_length", six(44, &ipv6_piece(17, (1, 0, true), b"odd"), b"")),
        raw("ipv6.frag_pkt_too_large", six(44, &[17, 0, 0xff, 0xf8, 0, 0, 0, 1], &end)),
        raw("ipv6.exthdr_useless_fh", six(44, &ipv6_piece(17, (1, 0, false), b""), &udp)),
        raw("ipv6.fh_non_zero_reserved_field", six(44, &[17, 1, 0, 9, 0, 0, 0, 1], &end)),
        raw("ipv6.data_after_none_header", ipv6(59, b"x")),
        raw("ipv6.unknown_next_header", ipv6(253, b"x")),
        raw("ipv6.icmpv4", ipv6(1, &[8, 0, 0, 0, 0, 0, 0, 0])),
        raw("ipv6.ipv4_in_ipv6_too_small", ipv6(4, &[0x45; 19])),
        raw("ipv6.ipv4_in_ipv6_wrong_version", ipv6(4, &[0x65; 20])),
        raw("ipv6.ipv6_in_ipv6_too_small", ipv6(41, &[0x60; 39])),
        raw("ipv6.ipv6_in_ipv6_wrong_version", ipv6(41, &[0x45; 40])),
    ]
}

fn transports() -> Vec<Case> {
    let tcp = |options: &[u8]| ipv4(6, &[], &tcp_body(2, options, b""));
    let icmp =
        |kind, code, rest: &[u8]| ipv4(1, &[], &[&[kind, code, 0, 0, 0, 0, 0, 0], rest].concat());
    let icmp6 =
        |kind, code, rest: &[u8]| ipv6(58, &[&[kind, code, 0, 0, 0, 0, 0, 0], rest].concat());
    let sctp = |vtag: u8, chunks: &[u8]| {
        ipv4(132, &[], &[&[0, 7, 0, 7, 0, 0, 0, vtag, 0, 0, 0, 0], chunks].concat())
    };
    let dot = at(ipv4(6, &[], &tcp_body(2, &[], b"")), 32, 0x40);
    let long = at(ipv4(6, &[], &tcp_body(2, &[], b"")), 32, 0x60);
    vec![
        raw("tcp.pkt_too_small", ipv4(6, &[], &[0; 19])),
        raw("tcp.hlen_too_small", dot),
        raw("tcp.invalid_optlen", long),
        raw("tcp.opt_invalid_len", tcp(&[2, 3, 0, 1])),
        raw("tcp.opt_duplicate", tcp(&[4, 2, 4, 2])),
        raw("udp.pkt_too_small", ipv4(17, &[], &[0; 7])),
        raw("udp.len_invalid", at(ipv4(17, &[], &udp_body((1, 2), b"x")), 25, 7)),
        raw("sctp.pkt_too_small", ipv4(132, &[], &[0; 11])),
        raw("sctp.chunk_too_small", sctp(1, &[3, 0, 0])),
        raw("sctp.chunk_len_invalid", sctp(1, &[3, 0, 0, 9])),
        raw("sctp.init_chunk_not_alone", sctp(0, &[1, 0, 0, 4, 3, 0, 0, 4])),
        raw("sctp.init_with_non_zero_vtag", sctp(1, &[1, 0, 0, 4])),
        raw("sctp.data_with_zero_vtag", sctp(0, &[0, 0, 0, 4])),
        raw("sctp.too_many_chunks", sctp(1, &[3, 0, 0, 4].repeat(17))),
        raw("igmp.pkt_too_small", ipv4(2, &[], &[0x16; 7])),
        raw("igmp.v3_pkt_too_small", ipv4(2, &[], &[0x22, 0, 0, 0, 0, 0, 0, 1])),
        raw("igmp.malformed", ipv4(2, &[], &[0x22, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0])),
        raw("icmpv4.pkt_too_small", ipv4(1, &[], &[8, 0, 0, 0, 0, 1, 0])),
        raw("icmpv4.unknown_type", icmp(77, 0, b"")),
        raw("icmpv4.unknown_code", icmp(8, 1, b"")),
        raw("icmpv4.ipv4_trunc_pkt", icmp(3, 0, &[0x45; 19])),
        raw("icmpv4.ipv4_unknown_ver", icmp(11, 0, &[0x65; 20])),
        raw("icmpv6.pkt_too_small", ipv6(58, &[128, 0, 0, 0, 0, 0, 0])),
        raw("icmpv6.unknown_type", icmp6(0, 0, b"")),
        raw("icmpv6.unknown_code", icmp6(128, 1, b"")),
        raw("icmpv6.ipv6_trunc_pkt", icmp6(1, 0, &[0x60; 39])),
        raw("icmpv6.ipv6_unknown_version", icmp6(2, 0, &[0x45; 40])),
        raw("icmpv6.mld_message_with_invalid_hl", icmp6(130, 0, b"")),
        raw("icmpv6.unassigned_type", icmp6(5, 0, b"")),
        raw("icmpv6.experimentation_type", icmp6(200, 0, b"")),
    ]
}

fn tunnels() -> Vec<Case> {
    let gre = |flags: u16, protocol: u16, rest: &[u8]| {
        let head = [flags.to_be_bytes(), protocol.to_be_bytes()].concat();
        ipv4(47, &[], &[head.as_slice(), rest].concat())
    };
    let vxlan = [&[8, 0, 0, 0, 0, 0, 5, 0][..], &ether(0xfbb7, b"x")].concat();
    let geneve = [0, 0, 0x12, 0x34, 0, 0, 0, 0];
    // Three tags outside, and one more in the ERSPAN header.
    let mirror = gre(
        0x1000,
        0x88be,
        &[&[0, 0, 0, 1, 0x10, 5, 0, 0, 0, 0, 0, 0][..], &ether(0x1234, b"")].concat(),
    );
    let tagged = vlan(1, 0x8100, &vlan(2, 0x8100, &vlan(3, 0x0800, &mirror)));
    vec![
        raw("gre.pkt_too_small", ipv4(47, &[], &[0, 0, 8])),
        raw("gre.wrong_version", gre(2, 0x0800, b"")),
        raw("gre.version0_recur", gre(0x0100, 0x0800, b"")),
        raw("gre.version0_flags", gre(0x0008, 0x0800, b"")),
        raw("gre.version0_hdr_too_big", gre(0x2000, 0x0800, &[0; 3])),
        raw("gre.version0_malformed_sre_hdr", gre(0x4000, 0x0800, &[0; 7])),
        raw("gre.version1_chksum", gre(0xa001, 0x880b, &[0; 4])),
        raw("gre.version1_route", gre(0x6001, 0x880b, &[0; 4])),
        raw("gre.version1_ssr", gre(0x2801, 0x880b, &[0; 4])),
        raw("gre.version1_recur", gre(0x2101, 0x880b, &[0; 4])),
        raw("gre.version1_flags", gre(0x2009, 0x880b, &[0; 4])),
        raw("gre.version1_no_key", gre(0x0001, 0x880b, &[0; 4])),
        raw("gre.version1_wrong_protocol", gre(0x2001, 0x0800, &[0; 4])),
        raw("gre.version1_hdr_too_big", gre(0x3081, 0x880b, &[0; 11])),
        raw("erspan.header_too_small", gre(0x1000, 0x88be, &[0, 0, 0, 1, 0x10, 0, 0])),
        raw(
            "erspan.unsupported_version",
            gre(0x1000, 0x88be, &[0, 0, 0, 1, 0x30, 0, 0, 0, 0, 0, 0, 0]),
        ),
        ("erspan.too_many_vlan_layers", 1, ether(0x8100, &tagged)),
        raw("vxlan.unknown_payload_type", ipv4(17, &[], &udp_body((1, 4789), &vxlan))),
        raw("geneve.unknown_payload_type", ipv4(17, &[], &udp_body((1, 6081), &geneve))),
    ]
}

fn names(link: u16, frame: &[u8]) -> Vec<&'static str> {
    let mut meta = meta(0, frame.len());
    meta.link = LinkType::from_number(link);
    let packet = Packet::decode(meta, frame, DecodeOptions { checksums: false, offloaded: true });
    packet.anomalies.iter().map(|e| e.name().trim_start_matches("decoder.")).collect()
}

#[test]
fn each_event_has_a_packet_that_shows_it_and_nothing_else() {
    let mut shown = Vec::new();
    for (name, link, frame) in [links(), internet(), transports(), tunnels()].concat() {
        assert_eq!(names(link, &frame), [name], "{}", frame.escape_ascii());
        shown.push(name);
    }
    for event in DecoderEvent::ALL.iter().filter(|event| !event.is_stream()) {
        let name = event.name().trim_start_matches("decoder.");
        let lists = [shown.contains(&name), NEVER.contains(&name), ELSEWHERE.contains(&name)];
        // Both fragment headers and these need two headers: see below.
        if matches!(name, "ipv6.exthdr_dupl_fh" | "ipv6.exthdr_dupl_dh") {
            continue;
        }
        assert_eq!(lists.iter().filter(|l| **l).count(), 1, "{name} is in one list");
    }
}

#[test]
fn a_header_may_come_as_often_as_the_rfc_says() {
    let destination = |next| vec![next, 0, 0xc9, 4, 0, 0, 0, 0];
    let atomic = |next| ipv6_piece(next, (9, 0, false), b"");
    let udp = udp_body((1, 2), b"");
    let twice = [destination(60), destination(17), udp.clone()].concat();
    assert_eq!(names(101, &ipv6(60, &twice)), Vec::<&str>::new(), "before and after routing");
    let thrice = [destination(60), twice].concat();
    assert_eq!(names(101, &ipv6(60, &thrice)), ["ipv6.exthdr_dupl_dh"]);
    let fragments = [atomic(44), atomic(17), udp].concat();
    let both = ["ipv6.exthdr_dupl_fh", "ipv6.exthdr_useless_fh"];
    assert_eq!(names(101, &ipv6(44, &fragments)), both);
}

#[test]
fn good_packets_have_no_anomaly() {
    let udp = udp_body((1, 2), b"payload");
    let good = [
        ipv4(17, &[], &udp),
        ipv4(17, &[148, 4, 0, 0, 0, 0, 0, 0], &udp),
        ipv4(17, &[7, 7, 4, 0, 0, 0, 0, 0], &udp),
        ipv4(
            6,
            &[],
            &tcp_body(2, &[2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7], b""),
        ),
        ipv4(6, &[], &tcp_body(2, &[0, 9, 9, 9], b"after the end of the list anything goes")),
        ipv6(17, &udp),
        ipv6(0, &[&[17, 0, 5, 2, 0, 0, 0, 0][..], &udp].concat()),
        ipv6(50, b"\0\0\0\x01encrypted"),
        ipv6(59, b""),
        ipv4(50, &[], b"\0\0\0\x01encrypted"),
        ipv4(51, &[], b"authenticated"),
        ipv4(2, &[], &[0x16, 0, 0, 0, 239, 1, 1, 1]),
        ipv4(132, &[], &[0, 7, 0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 3, 0, 0, 6, 1, 2, 0, 0, 10, 0, 0, 4]),
    ];
    for packet in good {
        assert_eq!(names(101, &packet), Vec::<&str>::new(), "{}", packet.escape_ascii());
    }
}

fn is_ok(packet: &[u8]) -> bool {
    let mut meta = meta(0, packet.len());
    meta.link = LinkType::Raw;
    let off = Packet::decode(meta, packet, DecodeOptions { checksums: false, offloaded: true });
    assert!(off.checksum_ok, "what is not verified is not wrong");
    Packet::decode(meta, packet, DecodeOptions { checksums: true, offloaded: true }).checksum_ok
}

#[test]
fn checksums_of_every_layer_are_verified_bit_by_bit() {
    let six = |proto: u8, mut body: Vec<u8>, place: usize| {
        body[place..place + 2].fill(0);
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        let ends = [crate::testing::CLIENT6, crate::testing::SERVER6].concat();
        let sum = checksum(&[&ends, &length, &[0, 0, 0, proto], &body]);
        body[place..place + 2].copy_from_slice(&sum);
        ipv6(proto, &body)
    };
    let mut echo = vec![8, 0, 0, 0, 0, 1, 0, 2, b'o', b'd', b'd'];
    let sum = checksum(&[&echo]);
    echo[2..4].copy_from_slice(&sum);
    let packets = [
        // Where the checked part begins: what precedes it in IPv6 is not covered.
        (0, ipv4(6, &[], &tcp_body(0x18, &[], b"odd"))),
        (0, ipv4(1, &[], &echo)),
        (40, six(6, tcp_body(0x18, &[], b"even"), 16)),
        (40, six(17, udp_body((1, 2), b"odd"), 6)),
        (40, six(58, vec![128, 0, 0, 0, 0, 1, 0, 2, b'x'], 2)),
    ];
    for (from, packet) in packets {
        assert!(is_ok(&packet), "{}", packet.escape_ascii());
        for place in from..packet.len() {
            // Lengths and versions decide what is read at all.
            if matches!(packet[0] >> 4, 4) && matches!(place, 0 | 2 | 3 | 6 | 7 | 9 | 32)
                || place == 52
            {
                continue;
            }
            let mut damaged = packet.clone();
            damaged[place] ^= 0x10;
            let is_length = packet[0] >> 4 == 6 && packet[6] == 17 && matches!(place, 44 | 45);
            assert!(is_length || !is_ok(&damaged), "byte {place} of {}", packet.escape_ascii());
        }
    }
    assert!(is_ok(&ipv4(17, &[], &udp_body((1, 2), b"x"))), "zero means none in UDP over IPv4");
}

#[test]
fn headers_without_end_end() {
    // As many as fit: a walk that called itself for each would run out of stack.
    let tags = (0..60_000).fold(Vec::new(), |mut out: Vec<u8>, _| {
        out.extend(ether(0x88e7, &[0, 0, 1, 0]));
        out
    });
    assert_eq!(names(1, &tags), ["too_many_layers"], "a bounded number of headers is followed");
    let atomic = ipv6_piece(44, (1, 0, false), b"").repeat(8000);
    let both = ["ipv6.trunc_exthdr", "ipv6.exthdr_dupl_fh", "ipv6.exthdr_useless_fh"];
    assert_eq!(names(101, &ipv6(44, &atomic)), both);
    let labels = [0, 1, 0, 1].repeat(10_000);
    assert_eq!(names(1, &ether(0x8847, &labels)), ["mpls.header_too_small"]);
}
