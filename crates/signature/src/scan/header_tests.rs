//! The rule header and the keywords on packet headers, flows and events: each with both sides of its boundary.

use std::net::IpAddr;

use crate::{
    AppProto, Direction, FlowView, IcmpFields, IpFields, IpOption, PacketView, TcpFields,
    tests::{Bench, answer, good, naive, on_packet, packet, segment},
};

/// A header and options without sid, the packet, whether the rule matches.
type Case<'a> = (&'a str, PacketView<'a>, bool);

fn check(cases: &[Case<'_>]) {
    for (rule, packet, expected) in cases {
        let rule = rule.replace("sid", "sid:1;");
        for set in [good(&rule), naive(&rule)] {
            assert_eq!(on_packet(&set, packet) == [1], *expected, "{rule} on {packet:?}");
        }
    }
}

/// The same options on packets that differ in one thing.
fn sweep<'a>(options: &str, yes: &[PacketView<'a>], no: &[PacketView<'a>]) {
    let rule = format!("alert ip any any -> any any ({options} sid)");
    for (packets, expected) in [(yes, true), (no, false)] {
        for packet in packets {
            check(&[(&rule, *packet, expected)]);
        }
    }
}

const UDP: u8 = 17;

#[test]
fn tcp_flags() {
    let with = |flags: &[u8]| -> Vec<PacketView<'static>> {
        flags.iter().map(|f| segment(*f, b"")).collect()
    };
    let cases: &[(&str, &[u8], &[u8])] = &[
        ("S", &[0x02], &[0, 0x12, 0x42, 0x10]),
        ("SA", &[0x12], &[0x02, 0x10, 0x13]),
        ("SA+", &[0x12, 0x13, 0xff], &[0x02, 0x10, 0]),
        ("+SA", &[0x12, 0x13], &[0x02]),
        ("*SA", &[0x02, 0x10, 0x12, 0x1a], &[0, 0x01]),
        // "Not" is satisfied as soon as one of them is missing.
        ("!SA", &[0x02, 0x10, 0, 0x01], &[0x12, 0x13]),
        ("!S", &[0, 0x10], &[0x02, 0x12]),
        ("0", &[0], &[0x01, 0x80]),
        ("!0", &[0x01, 0x80], &[0]),
        ("FSRPAU", &[0x3f], &[0x3e, 0xff]),
        ("FSRPAUEC", &[0xff], &[0x3f]),
        ("12", &[0xc0], &[0x40, 0x80, 0]),
        ("EC", &[0xc0], &[0x40]),
        // What stands behind the comma is not looked at.
        ("S,12", &[0x02, 0x42, 0x82, 0xc2], &[0x12, 0]),
        ("S,CE", &[0xc2], &[0x12]),
        ("FPU,12", &[0x29, 0xe9], &[0x39]),
        ("+S,A", &[0x02, 0x12], &[0x10]),
        ("*A,A", &[], &[0x10, 0x12]),
    ];
    for (flags, yes, no) in cases {
        sweep(&format!("flags:{flags};"), &with(yes), &with(no));
        sweep(&format!("tcp.flags:{flags};"), &with(yes), &with(no));
    }
    sweep("flags:S;", &[], &[packet(b""), PacketView { pseudo: true, ..segment(2, b"") }]);
}

#[test]
fn tcp_numbers() {
    let with = |tcp: TcpFields| PacketView { tcp: Some(tcp), ..segment(0, b"") };
    let seq = |seq| with(TcpFields { seq, ..TcpFields::default() });
    let ack = |ack| with(TcpFields { ack, ..TcpFields::default() });
    let window = |window| with(TcpFields { window, ..TcpFields::default() });
    let mss = |mss| with(TcpFields { mss, ..TcpFields::default() });
    let wscale = |wscale| with(TcpFields { wscale, ..TcpFields::default() });
    sweep("seq:0;", &[seq(0)], &[seq(1), packet(b"")]);
    sweep("tcp.seq:>4294967294;", &[seq(u32::MAX)], &[seq(u32::MAX - 1)]);
    sweep("ack:7;", &[ack(7)], &[ack(8), packet(b"")]);
    sweep("tcp.ack:5<>7;", &[ack(6)], &[ack(5), ack(7)]);
    sweep("window:!100;", &[window(99), window(101)], &[window(100), packet(b"")]);
    sweep("tcp.window:65535;", &[window(u16::MAX)], &[window(0)]);
    sweep("tcp.mss:<=536;", &[mss(Some(536)), mss(Some(0))], &[mss(Some(537)), mss(None)]);
    sweep(
        "tcp.mss:123-1460;",
        &[mss(Some(124)), mss(Some(1459))],
        &[mss(Some(123)), mss(Some(1460))],
    );
    sweep("tcp.wscale:>14;", &[wscale(Some(15))], &[wscale(Some(14)), wscale(None)]);
}

#[test]
fn ip_numbers() {
    let with = |ip: IpFields| PacketView { ip, ..packet(b"") };
    let v4 = IpFields { version: 4, ..IpFields::default() };
    let v6 = IpFields { version: 6, ..IpFields::default() };
    let ttl = |ttl| with(IpFields { ttl, ..v4 });
    let id = |id| with(IpFields { id, ..v4 });
    let tos = |tos| with(IpFields { tos, ..v4 });
    sweep("ttl:64;", &[ttl(64), with(IpFields { ttl: 64, ..v6 })], &[ttl(63), ttl(65)]);
    sweep("ttl:<10;", &[ttl(9), ttl(0)], &[ttl(10)]);
    sweep("ttl:1-3;", &[ttl(2)], &[ttl(1), ttl(3)]);
    sweep("ttl:>=255;", &[ttl(255)], &[ttl(254)]);
    // Only IPv4 has an identification, a TOS byte and fragment bits.
    sweep("id:0;", &[id(0)], &[id(1), with(v6)]);
    sweep("id:65535;", &[id(65_535)], &[id(0)]);
    sweep("tos:!8;", &[tos(0)], &[tos(8), with(v6)]);
    sweep("tos:0x10;", &[tos(16)], &[tos(10)]);
    let proto = |ip_proto| PacketView { ip_proto, ..packet(b"") };
    sweep("ip_proto:47;", &[proto(47)], &[proto(UDP), proto(6)]);
    sweep("ip_proto:GRE;", &[proto(47)], &[proto(46)]);
    sweep("ip_proto:!UDP;", &[proto(6), proto(132)], &[proto(UDP)]);
    sweep("ip_proto:!17;", &[proto(6)], &[proto(UDP)]);
    sweep("ip_proto:>100;", &[proto(101), proto(255)], &[proto(100)]);
    sweep("ip_proto:<=6;", &[proto(6), proto(1)], &[proto(7)]);
    let same = PacketView { dst: packet(b"").src, ..packet(b"") };
    sweep("sameip;", &[same], &[packet(b"")]);
}

#[test]
fn fragments_and_options() {
    let with = |fragment_bits, fragment_offset| {
        let ip = IpFields { version: 4, fragment_bits, fragment_offset, ..IpFields::default() };
        PacketView { ip, ..packet(b"") }
    };
    let bits =
        |bits: &[u8]| -> Vec<PacketView<'static>> { bits.iter().map(|b| with(*b, 0)).collect() };
    let (more, dont, reserved) = (1, 2, 4);
    let cases: &[(&str, &[u8], &[u8])] = &[
        ("M", &[more], &[0, dont, more | dont]),
        ("D", &[dont], &[0, more]),
        ("R", &[reserved], &[0, more]),
        ("MD", &[more | dont], &[more, dont, 7]),
        ("+D", &[dont, dont | more], &[more, 0]),
        ("*MR", &[more, reserved, 7], &[dont, 0]),
        ("!D", &[0, more], &[dont, 7]),
        ("!MD", &[0, more, dont, reserved], &[more | dont, 7]),
    ];
    for (letters, yes, no) in cases {
        sweep(&format!("fragbits:{letters};"), &bits(yes), &bits(no));
    }
    sweep("fragoffset:0;", &[with(0, 0)], &[with(0, 1)]);
    sweep("fragoffset:>0;", &[with(0, 1)], &[with(1, 0)]);
    sweep("flow:only_frag;", &[with(1, 0), with(0, 9)], &[with(0, 0), with(2, 0)]);
    sweep("flow:no_frag;", &[with(0, 0), with(2, 0)], &[with(1, 0), with(0, 9)]);
    // A later fragment has no ports: only rules for any port can match it.
    let later = PacketView { src_port: None, dst_port: None, ..with(1, 9) };
    check(&[
        ("alert udp any any -> any any (dsize:0; sid)", later, true),
        ("alert udp any any -> any 80 (dsize:0; sid)", later, false),
        ("alert udp any any -> any !81 (dsize:0; sid)", later, false),
        ("alert udp any 0: -> any any (dsize:0; sid)", later, true),
    ]);
    let options = |options: &[IpOption]| {
        let options = options.iter().fold(0, |all, one| all | 1 << (*one as u16));
        PacketView { ip: IpFields { options, ..packet(b"").ip }, ..packet(b"") }
    };
    let names = [
        ("rr", IpOption::Rr),
        ("lsrr", IpOption::Lsrr),
        ("eol", IpOption::Eol),
        ("nop", IpOption::Nop),
        ("ts", IpOption::Ts),
        ("sec", IpOption::Sec),
        ("esec", IpOption::Esec),
        ("ssrr", IpOption::Ssrr),
        ("satid", IpOption::Satid),
    ];
    for (name, option) in names {
        let other = if option == IpOption::Rr { IpOption::Ts } else { IpOption::Rr };
        sweep(
            &format!("ipopts:{name};"),
            &[options(&[option]), options(&[other, option])],
            &[options(&[other]), options(&[])],
        );
    }
    sweep("ipopts:any;", &[options(&[IpOption::Nop])], &[options(&[])]);
}

#[test]
fn icmp_numbers() {
    let with = |icmp: IcmpFields| PacketView {
        ip_proto: 1,
        icmp: Some(icmp),
        src_port: None,
        dst_port: None,
        ..packet(b"")
    };
    let kind = |kind| with(IcmpFields { kind, ..IcmpFields::default() });
    let code = |code| with(IcmpFields { code, ..IcmpFields::default() });
    let id = |id| with(IcmpFields { id, ..IcmpFields::default() });
    let seq = |seq| with(IcmpFields { seq, ..IcmpFields::default() });
    let mtu = |mtu| with(IcmpFields { mtu, ..IcmpFields::default() });
    sweep("itype:8;", &[kind(8)], &[kind(0), packet(b"")]);
    sweep("itype:>8;", &[kind(9), kind(255)], &[kind(8)]);
    sweep("itype:8<>11;", &[kind(9), kind(10)], &[kind(8), kind(11)]);
    sweep("icode:!0;", &[code(1)], &[code(0), packet(b"")]);
    sweep("icode:<2;", &[code(0), code(1)], &[code(2)]);
    sweep("icmp_id:0;", &[id(Some(0))], &[id(Some(1)), id(None)]);
    sweep(r#"icmp_id:"512";"#, &[id(Some(512))], &[id(None)]);
    sweep("icmp_seq:65535;", &[seq(Some(65_535))], &[seq(Some(0)), seq(None)]);
    sweep("icmpv6.mtu:<1280;", &[mtu(Some(1_279))], &[mtu(Some(1_280)), mtu(None)]);
}

#[test]
fn protocols_of_the_header() {
    let proto = |ip_proto, version| PacketView {
        ip_proto,
        ip: IpFields { version, ..packet(b"").ip },
        ..packet(b"a")
    };
    let all = [(6, 4), (6, 6), (17, 4), (17, 6), (1, 4), (58, 6), (132, 4), (47, 4)];
    let cases: &[(&str, &[(u8, u8)])] = &[
        ("ip", &all),
        ("ip4", &[(6, 4), (17, 4), (1, 4), (132, 4), (47, 4)]),
        ("ipv4", &[(6, 4), (17, 4), (1, 4), (132, 4), (47, 4)]),
        ("ip6", &[(6, 6), (17, 6), (58, 6)]),
        ("ipv6", &[(6, 6), (17, 6), (58, 6)]),
        ("tcp", &[(6, 4), (6, 6)]),
        ("tcp-pkt", &[(6, 4), (6, 6)]),
        ("udp", &[(17, 4), (17, 6)]),
        ("icmp", &[(1, 4), (58, 6)]),
        ("icmpv4", &[(1, 4)]),
        ("icmpv6", &[(58, 6)]),
        ("sctp", &[(132, 4)]),
        ("pkthdr", &all),
    ];
    for (name, matching) in cases {
        for (ip_proto, version) in all {
            let rule = format!("alert {name} any any -> any any (dsize:1; sid)");
            check(&[(&rule, proto(ip_proto, version), matching.contains(&(ip_proto, version)))]);
        }
    }
    // Without an IP header only pkthdr rules on an event see a packet.
    let broken =
        PacketView { ip: IpFields::default(), events: &["ipv4.pkt_too_small"], ..packet(b"") };
    check(&[
        ("alert pkthdr any any -> any any (decode-event:ipv4.pkt_too_small; sid)", broken, true),
        ("alert ip any any -> any any (decode-event:ipv4.pkt_too_small; sid)", broken, false),
        ("alert pkthdr any any -> any any (ttl:0; sid)", broken, false),
    ]);
}

#[test]
fn addresses_and_ports_of_the_header() {
    let p = packet(b"a");
    let v6: [IpAddr; 2] = ["2001:db8::1".parse().unwrap(), "2001:db8:1::1".parse().unwrap()];
    let six = PacketView { src: v6[0], dst: v6[1], ip: IpFields { version: 6, ..p.ip }, ..p };
    let headers: &[(&str, bool, bool)] = &[
        ("any any -> any any", true, true),
        ("10.0.0.1 any -> any any", true, false),
        ("!10.0.0.1 any -> any any", false, true),
        ("10.0.0.0/30 any -> any any", true, false),
        ("10.0.0.0/255.255.255.252 any -> any any", true, false),
        ("10.0.0.2/31 any -> any any", false, false),
        ("10.0.0.0-10.0.0.1 any -> any any", true, false),
        ("10.0.0.2-10.0.0.9 any -> any any", false, false),
        ("[10.0.0.1,2001:db8::1] any -> any any", true, true),
        ("[!10.0.0.1,!10.0.0.2] any -> any any", false, true),
        ("[10.0.0.0/8,!10.0.0.1] any -> any any", false, false),
        ("[10.0.0.0/8,!10.0.0.2] any -> any any", true, false),
        ("![10.0.0.0/8,!10.0.0.1] any -> any any", true, true),
        ("$HOME_NET any -> $EXTERNAL_NET any", true, false),
        ("$EXTERNAL_NET any -> $HOME_NET any", false, false),
        ("!$HOME_NET any -> any any", false, true),
        ("[$HOME_NET,2001:db8::/32] any -> ![$HOME_NET] any", true, true),
        ("2001:db8::/64 any -> 2001:db8:1::/64 any", false, true),
        ("2001:db8::2-2001:db8::9 any -> any any", false, false),
        ("any 40000 -> any 80", true, true),
        ("any any -> any 81", false, false),
        ("any any -> any !80", false, false),
        ("any any -> any [80,443]", true, true),
        ("any any -> any [79:81,!80]", false, false),
        ("any any -> any [1:79,81:]", false, false),
        ("any :40000 -> any 80:", true, true),
        ("any :39999 -> any any", false, false),
        ("any 40001: -> any any", false, false),
        ("any $HTTP_PORTS -> any any", false, false),
        ("any any -> any $HTTP_PORTS", true, true),
        ("any ![1:1024] -> any [$HTTP_PORTS,8080]", true, true),
        ("any 80 <> any 40000", true, true),
        ("8.8.8.8 80 <> 10.0.0.1 40000", true, false),
        ("8.8.8.8 40000 <> 10.0.0.1 80", false, false),
        ("any 80 -> any 40000", false, false),
    ];
    for (header, four, expected) in headers {
        let rule = format!("alert udp {header} (content:\"a\"; sid)");
        check(&[(&rule, p, *four), (&rule, six, *expected)]);
    }
    // More ports than get a search of their own, and both ends of the number line.
    let listed: Vec<String> = (0..40).map(|n| (n * 7).to_string()).collect();
    let rule = format!("alert udp any any -> any [{}] (content:\"a\"; sid)", listed.join(","));
    let to = |port| PacketView { dst_port: Some(port), ..p };
    check(&[
        (&rule, to(0), true),
        (&rule, to(273), true),
        (&rule, to(274), false),
        (&rule, to(65_535), false),
    ]);
    check(&[("alert udp any any -> any 65535 (content:\"a\"; sid)", to(65_535), true)]);
}

#[test]
fn flow_words() {
    let p = packet(b"a");
    let back = answer(p);
    let fresh = PacketView { flow: Some(FlowView::default()), ..p };
    let none = PacketView { flow: None, direction: None, ..p };
    let rows: &[(&str, [bool; 4])] = &[
        // Established forward, established backward, not yet established, no flow.
        ("established", [true, true, false, false]),
        ("not_established", [false, false, true, true]),
        ("stateless", [true, true, true, true]),
        ("to_server", [true, false, true, false]),
        ("from_client", [true, false, true, false]),
        ("to_client", [false, true, false, false]),
        ("from_server", [false, true, false, false]),
        ("established,to_client", [false, true, false, false]),
        ("to_server, stateless", [true, false, true, false]),
        ("Established,No_Frag", [true, true, false, false]),
        ("no_stream,to_server", [true, false, true, false]),
    ];
    for (words, expected) in rows {
        let rule = format!("alert udp any any -> any any (flow:{words}; content:\"a\"; sid)");
        for (packet, expected) in [p, back, fresh, none].into_iter().zip(expected) {
            check(&[(&rule, packet, *expected)]);
        }
    }
}

#[test]
fn counters_of_the_flow() {
    let flow = FlowView {
        established: true,
        stream_size: [10, 500],
        packets: [3, 7],
        bytes: [100, 900],
        age: 60,
        ..FlowView::default()
    };
    let tcp = PacketView { flow: Some(flow), ..segment(0x10, b"") };
    let cases: &[(&str, bool)] = &[
        // The first number of a pair is what the client sent, towards the server.
        ("flow.pkts_toserver:3;", true),
        ("flow.pkts_toserver:7;", false),
        ("flow.pkts_toclient:7;", true),
        ("flow.pkts_toclient:3;", false),
        ("flow.bytes_toserver:<=100;", true),
        ("flow.bytes_toserver:>100;", false),
        ("flow.bytes_toclient:>899;", true),
        ("flow.pkts:toserver,3;", true),
        ("flow.pkts:toclient,>6;", true),
        ("flow.pkts:toclient,<7;", false),
        ("flow.pkts:either,7;", true),
        ("flow.pkts:either,8;", false),
        ("flow.pkts:both,>2;", true),
        ("flow.pkts:both,>3;", false),
        ("flow.bytes:toserver,100;", true),
        ("flow.bytes:both,>=100;", true),
        ("flow.age:>59;", true),
        ("flow.age:60<>70;", false),
        ("stream_size:client,=,10;", true),
        ("stream_size:server,=,10;", false),
        ("stream_size:server,>,499;", true),
        ("stream_size:both,<,500;", false),
        ("stream_size:both,<=,500;", true),
        ("stream_size:either,>,499;", true),
        ("stream_size:either,>,500;", false),
        ("stream_size:client,!=,10;", false),
    ];
    for (options, expected) in cases {
        let rule = format!("alert tcp any any -> any any ({options} sid)");
        check(&[(&rule, tcp, *expected), (&rule, PacketView { flow: None, ..tcp }, false)]);
    }
    let udp = PacketView { flow: Some(flow), ..packet(b"") };
    check(&[("alert ip any any -> any any (stream_size:either,>,0; sid)", udp, false)]);
}

#[test]
fn protocols_of_the_flow() {
    let with = |app, app_by_direction| {
        let flow = FlowView { established: true, app, app_by_direction, ..FlowView::default() };
        PacketView { flow: Some(flow), ..segment(0x10, b"a") }
    };
    let http = with(AppProto::Http, None);
    let mixed = with(AppProto::Http, Some([AppProto::Http, AppProto::Tls]));
    let (open, failed) = (with(AppProto::Unknown, None), with(AppProto::Failed, None));
    let rows: &[(&str, [bool; 4])] = &[
        ("app-layer-protocol:http;", [true, true, false, false]),
        ("app-layer-protocol:!http;", [false, false, false, true]),
        ("app-layer-protocol:tls;", [false, true, false, false]),
        ("app-layer-protocol:http,toserver;", [true, true, false, false]),
        ("app-layer-protocol:http,toclient;", [true, false, false, false]),
        ("app-layer-protocol:tls,toclient;", [false, true, false, false]),
        ("app-layer-protocol:http,both;", [true, false, false, false]),
        ("app-layer-protocol:tls,to_client;", [false, true, false, false]),
        ("app-layer-protocol:tls,to_server;", [false, false, false, false]),
        ("app-layer-protocol:failed;", [false, false, false, true]),
        ("app-layer-protocol:unknown;", [false, false, true, false]),
        ("app-layer-protocol:ssl,either;", [false, true, false, false]),
    ];
    for (options, expected) in rows {
        let rule = format!("alert tcp any any -> any any ({options} sid)");
        for (packet, expected) in [http, mixed, open, failed].into_iter().zip(expected) {
            check(&[(&rule, packet, *expected)]);
        }
    }
    check(&[
        ("alert http any any -> any any (content:\"a\"; sid)", http, true),
        ("alert http1 any any -> any any (content:\"a\"; sid)", http, true),
        ("alert tls any any -> any any (content:\"a\"; sid)", http, false),
        ("alert http any any -> any any (content:\"a\"; sid)", open, false),
        (
            "alert http any any -> any any (content:\"a\"; sid)",
            PacketView { flow: None, ..http },
            false,
        ),
    ]);
}

#[test]
fn events_of_the_packet() {
    let odd = |events| PacketView { events, ..packet(b"") };
    let decode = odd(&["ipv4.pkt_too_small", "udp.hlen_invalid"]);
    let stream = odd(&["stream.wrong_thread"]);
    let app = odd(&["app-layer.applayer_mismatch_protocol_both_directions"]);
    sweep("decode-event:udp.hlen_invalid;", &[decode], &[stream, packet(b"")]);
    sweep("decode-event:udp.hlen;", &[], &[decode]);
    sweep("stream-event:wrong_thread;", &[stream], &[decode]);
    sweep("stream-event:stream.wrong_thread;", &[stream], &[decode]);
    sweep("app-layer-event:applayer_mismatch_protocol_both_directions;", &[app], &[stream]);
}

#[test]
fn buffers_of_packet_headers() {
    let header = |ip_proto, version| PacketView {
        ip_proto,
        ip: IpFields { version, ..packet(b"").ip },
        transport_header: b"\x00\x50transport",
        ip_header: b"\x45\x00ip",
        ..packet(b"payload")
    };
    let rows: &[(&str, u8, u8)] =
        &[("tcp.hdr", 6, 4), ("udp.hdr", 17, 4), ("icmpv4.hdr", 1, 4), ("icmpv6.hdr", 58, 6)];
    for (name, proto, version) in rows {
        let found = format!("{name}; content:\"|00 50|trans\"; startswith; bsize:11;");
        sweep(
            &found,
            &[header(*proto, *version)],
            &[header(47, 4), PacketView { transport_header: b"", ..header(*proto, *version) }],
        );
        sweep(&format!("{name}; content:\"payload\";"), &[], &[header(*proto, *version)]);
        sweep(
            &format!(
                "{name}; content:!\"payload\"; content:\"transport\"; pkt_data; content:\"payload\";"
            ),
            &[header(*proto, *version)],
            &[],
        );
    }
    sweep("ipv4.hdr; byte_test:1,=,4,0,bitmask 0xf0;", &[header(17, 4)], &[header(17, 6)]);
    sweep("ipv6.hdr; content:\"ip\"; endswith;", &[header(17, 6)], &[header(17, 4)]);
}

#[test]
fn rules_on_addresses_alone_run_once_a_flow_and_direction() {
    let mut bench = Bench::new(
        "alert ip [10.0.0.1,10.0.0.7] any -> any any (sid:1;)\nalert ip any any -> 10.0.0.0/8 any (sid:2;)",
    );
    let there = packet(b"");
    assert_eq!(bench.packet(&there), [1]);
    assert!(bench.packet(&there).is_empty());
    assert_eq!(bench.packet(&answer(there)), [2]);
    assert!(bench.packet(&answer(there)).is_empty());
    // A packet of no flow has nothing to remember it by.
    assert_eq!(bench.stray(&there), [1]);
    assert_eq!(bench.stray(&there), [1]);
}

#[test]
fn stream_data_of_the_other_direction_turns_the_ends_round() {
    let mut bench = Bench::new(
        "alert tcp 10.0.0.1 any -> 8.8.8.8 80 (content:\"request\"; sid:1;)\n\
         alert tcp 8.8.8.8 80 -> 10.0.0.1 any (content:\"answer\"; sid:2;)\n\
         alert tcp any 80 -> any 40000 (flow:to_client; content:\"answer\"; sid:3;)",
    );
    let acknowledged = answer(crate::tests::tcp_packet());
    // The server's acknowledgement completes the client's data.
    let chunk = |direction, data| crate::ChunkView { direction, offset: 0, data, last: false };
    let found = bench.scan(&acknowledged, |scan, _| {
        scan.packet();
        scan.stream(&chunk(Direction::ToServer, b"request"));
    });
    assert_eq!(found.1, [1]);
    let found =
        bench.scan(&acknowledged, |scan, _| scan.stream(&chunk(Direction::ToClient, b"answer")));
    assert_eq!(found.1, [2, 3]);
    assert!(
        bench
            .scan(&acknowledged, |scan, _| scan.stream(&chunk(Direction::ToServer, b"answer")))
            .1
            .is_empty()
    );
}
