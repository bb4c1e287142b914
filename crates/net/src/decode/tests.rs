//! Frames of every kind, whole and damaged.

use etherparse::PacketBuilder;
use expect_test::{Expect, expect};

use super::*;
use crate::testing::{meta, noise};

const OPTIONS: DecodeOptions = DecodeOptions { checksums: true, offloaded: true };

/// One line per level of encapsulation.
fn describe(link: u16, bytes: &[u8]) -> String {
    let mut meta = meta(0, bytes.len());
    meta.link = LinkType::from_number(link);
    let mut out = String::new();
    let mut packet = Packet::decode(meta, bytes, OPTIONS);
    loop {
        let kind = match &packet.transport {
            Transport::None => "none",
            Transport::Tcp(_) => "tcp",
            Transport::Udp { .. } => "udp",
            Transport::Sctp(_) => "sctp",
            Transport::Igmp(_) => "igmp",
            Transport::Arp(_) => "arp",
            Transport::Icmp(_) => "icmp",
            Transport::Esp => "esp",
        };
        let (src, dst) = packet.ports();
        let names: Vec<_> = packet.anomalies.iter().map(DecoderEvent::name).collect();
        out.push_str(&format!(
            "{}:{src} > {}:{dst} {kind} {}B vlan {:?} ok {} {names:?}\n",
            packet.src,
            packet.dst,
            packet.payload.len(),
            packet.vlan.ids(),
            packet.checksum_ok,
        ));
        match packet.inner {
            Some(inner) if packet.depth < MAX_TUNNEL_DEPTH => {
                packet = packet.decode_inner(inner, OPTIONS);
            }
            _ => return out,
        }
    }
}

fn check(link: u16, bytes: &[u8], expected: &Expect) {
    expected.assert_eq(&describe(link, bytes));
}

fn udp_packet() -> Vec<u8> {
    let mut out = Vec::new();
    PacketBuilder::ipv4([1, 2, 3, 4], [5, 6, 7, 8], 9)
        .udp(10, 11)
        .write(&mut out, b"data")
        .unwrap();
    out
}

fn ether(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut out = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    out.extend(kind.to_be_bytes());
    out.extend(body);
    out
}

#[test]
fn links_lead_to_the_same_packet() {
    let packet = udp_packet();
    let tagged = ether(0x88a8, &[&[0, 7, 0x81, 0, 0, 8, 8, 0], packet.as_slice()].concat());
    check(
        1,
        &tagged,
        &expect![[r#"
        1.2.3.4:10 > 5.6.7.8:11 udp 4B vlan [7, 8] ok true []
    "#]],
    );
    let plain = expect![[r#"
        1.2.3.4:10 > 5.6.7.8:11 udp 4B vlan [] ok true []
    "#]];
    let mut sll = vec![0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0];
    sll.extend(&packet);
    let mut sll2 = vec![8, 0];
    sll2.extend([0; 18]);
    sll2.extend(&packet);
    let mpls = ether(0x8847, &[&[0, 1, 0, 1, 0, 0, 1, 1], packet.as_slice()].concat());
    let bottom = ether(0x8847, &[&[0, 1, 0, 0x40, 0x40, 0, 0x11, 1], packet.as_slice()].concat());
    let pppoe = ether(0x8864, &[&[0x11, 0, 0, 1, 0, 34, 0, 0x21], packet.as_slice()].concat());
    let frames = [
        (1, ether(0x0800, &packet)),
        (101, packet.clone()),
        (0, [&[2, 0, 0, 0], packet.as_slice()].concat()),
        (108, [&[0, 0, 0, 2], packet.as_slice()].concat()),
        (113, sll),
        (276, sll2),
        (1, mpls),
        (1, bottom),
        (1, pppoe),
        (104, [&[0x0f, 0, 8, 0], packet.as_slice()].concat()),
        (9, [&[0xff, 3, 0, 0x21], packet.as_slice()].concat()),
    ];
    for (link, frame) in frames {
        plain.assert_eq(&describe(link, &frame));
    }
}

#[test]
fn tunnels_hold_packets() {
    let inside = ether(0x0800, &udp_packet());
    let mut vxlan = Vec::new();
    let body = [&[8, 0, 0, 0, 0, 0, 5, 0], inside.as_slice()].concat();
    PacketBuilder::ipv4([9; 4], [8; 4], 64).udp(1000, 4789).write(&mut vxlan, &body).unwrap();
    check(
        101,
        &vxlan,
        &expect![[r#"
        9.9.9.9:1000 > 8.8.8.8:4789 udp 54B vlan [] ok true []
        1.2.3.4:10 > 5.6.7.8:11 udp 4B vlan [] ok true []
    "#]],
    );
    let mut geneve = Vec::new();
    let body = [&[1, 0, 0x65, 0x58, 0, 0, 5, 0, 1, 2, 3, 0], inside.as_slice()].concat();
    PacketBuilder::ipv4([9; 4], [8; 4], 64).udp(1000, 6081).write(&mut geneve, &body).unwrap();
    check(
        101,
        &geneve,
        &expect![[r#"
        9.9.9.9:1000 > 8.8.8.8:6081 udp 58B vlan [] ok true []
        1.2.3.4:10 > 5.6.7.8:11 udp 4B vlan [] ok true []
    "#]],
    );
    let gre = |header: &[u8], body: &[u8]| {
        let mut out = Vec::new();
        let payload = [header, body].concat();
        PacketBuilder::ipv4([9; 4], [8; 4], 64).write(&mut out, 47.into(), &payload).unwrap();
        describe(101, &out)
    };
    let inner = "1.2.3.4:10 > 5.6.7.8:11 udp 4B";
    assert!(gre(&[0x20, 0, 8, 0, 1, 2, 3, 4], &udp_packet()).contains(inner));
    assert!(
        gre(&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0, 0, 0, 0, 0, 0, 0], &inside).contains(inner)
    );
    assert!(gre(&[0, 0, 0x65, 0x58], &inside).contains(inner));
    assert!(gre(&[0, 5, 8, 0], &udp_packet()).contains("decoder.gre.wrong_version"));
    assert!(gre(&[0x80, 0, 8, 0], &[]).contains("decoder.gre.version0_hdr_too_big"));
}

#[test]
fn nesting_is_followed_only_so_far() {
    let mut packet = udp_packet();
    for _ in 0..12 {
        let mut outer = Vec::new();
        PacketBuilder::ipv4([9; 4], [8; 4], 64).write(&mut outer, 4.into(), &packet).unwrap();
        packet = outer;
    }
    assert_eq!(describe(101, &packet).lines().count(), 1 + usize::from(MAX_TUNNEL_DEPTH));
}

#[test]
fn ipv6_extension_headers_are_walked() {
    let mut udp = vec![0, 10, 0, 11, 0, 8, 0, 0];
    let extensions = [&[60, 0, 1, 4, 0, 0, 0, 0][..], &[17, 0, 1, 2, 0, 0, 0x3e, 0][..]].concat();
    let mut body = extensions;
    body.append(&mut udp);
    let mut packet = vec![0x60, 0, 0, 0, 0, u8::try_from(body.len()).unwrap(), 0, 64];
    packet.extend([1; 16]);
    packet.extend([2; 16]);
    packet.extend(&body);
    check(
        101,
        &packet,
        &expect![[r#"
        101:101:101:101:101:101:101:101:10 > 202:202:202:202:202:202:202:202:11 udp 0B vlan [] ok true ["decoder.ipv6.hopopts_only_padding", "decoder.ipv6.dstopts_unknown_opt"]
    "#]],
    );
}

#[test]
fn what_is_wrong_is_named() {
    let anomalies = |link, bytes: &[u8]| describe(link, bytes);
    let packet = udp_packet();
    assert!(anomalies(1, &[0; 13]).contains("decoder.ethernet.pkt_too_small"));
    assert!(anomalies(101, &packet[..19]).contains("decoder.ipv4.pkt_too_small"));
    assert!(anomalies(101, &packet[..31]).contains("decoder.ipv4.trunc_pkt"));
    let change = |at: usize, value: u8| {
        let mut copy = packet.clone();
        copy[at] = value;
        describe(101, &copy)
    };
    assert!(change(0, 0x44).contains("decoder.ipv4.hlen_too_small"));
    assert!(change(3, 19).contains("decoder.ipv4.iplen_smaller_than_hlen"));
    assert!(change(25, 7).contains("decoder.udp.len_invalid"));
    assert!(change(25, 11).contains("udp 3B"), "what it says is used");
    assert!(change(31, b'!').contains("ok false"), "the checksum does not fit any more");
    assert!(change(8, 1).contains("ok false"), "nor does that of the header");
    assert!(change(9, 58).contains("decoder.ipv4.icmpv6"));
    assert!(anomalies(0, &[9, 9, 9, 9]).contains("decoder.ltnull.unsupported_type"));
    assert!(anomalies(1, &ether(0x0806, &[0; 8])).contains("decoder.arp.pkt_too_small"));
}

#[test]
fn a_length_of_zero_is_that_of_the_frame() {
    let mut packet = udp_packet();
    packet[2..4].fill(0);
    assert!(describe(101, &packet).contains("5.6.7.8:11 udp 4B"));
}

#[test]
fn tcp_options_are_checked_and_found() {
    let mut packet = Vec::new();
    PacketBuilder::ipv4([1; 4], [2; 4], 64)
        .tcp(1, 2, 3, 4)
        .options_raw(&[2, 4, 5, 0xb4, 3, 3, 7, 2, 4, 0, 9, 2, 3, 0, 0, 0, 0])
        .unwrap()
        .write(&mut packet, b"")
        .unwrap();
    let mut meta = meta(0, packet.len());
    meta.link = LinkType::Raw;
    let decoded = Packet::decode(meta, &packet, OPTIONS);
    let tcp = decoded.tcp().unwrap();
    assert_eq!(tcp.option(2), Some(&[5, 0xb4][..]));
    assert_eq!(tcp.option(3), Some(&[7][..]));
    assert_eq!(tcp.option(8), None);
    assert!(decoded.anomalies.contains(DecoderEvent::TcpOptInvalidLen));
    assert!(decoded.anomalies.contains(DecoderEvent::TcpOptDuplicate));
}

#[test]
fn every_cut_and_every_flipped_byte_is_survived() {
    let inside = ether(0x0800, &udp_packet());
    let body = [&[8, 0, 0, 0, 0, 0, 5, 0], inside.as_slice()].concat();
    let mut vxlan = Vec::new();
    PacketBuilder::ethernet2([1; 6], [2; 6])
        .ipv6([1; 16], [2; 16], 64)
        .udp(1000, 4789)
        .write(&mut vxlan, &body)
        .unwrap();
    for end in 0..vxlan.len() {
        describe(1, &vxlan[..end]);
        let mut flipped = vxlan.clone();
        flipped[end] ^= 0xff;
        describe(1, &flipped);
    }
}

#[test]
fn noise_is_survived_on_every_link() {
    for seed in 0..400 {
        let bytes = noise(seed, usize::try_from(seed % 97).unwrap());
        for link in [0, 1, 9, 101, 108, 113, 276, 999] {
            describe(link, &bytes);
        }
        describe(1, &ether(0x86dd, &[&[0x60, 0, 0, 0, 0, 40, 0, 1], bytes.as_slice()].concat()));
    }
}

#[test]
fn a_length_of_nothing_stands_for_all_where_segmentation_is_offloaded() {
    let mut packet = udp_packet();
    packet[2..4].fill(0);
    for (offloaded, expected) in [(true, (4, false)), (false, (0, true))] {
        let options = DecodeOptions { checksums: false, offloaded };
        let mut meta = meta(0, packet.len());
        meta.link = LinkType::Raw;
        let decoded = Packet::decode(meta, &packet, options);
        assert_eq!((decoded.payload.len(), decoded.invalid), expected, "{offloaded}");
    }
}
