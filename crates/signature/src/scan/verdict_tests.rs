//! Order of rules, actions, what a verdict covers, the limit of alerts, streams and packets.

use crate::{
    Action, AppProto, Buffer, Direction, FlowView, MatchSource, PacketView, Scope, Verdict,
    tests::{Bench, Fixed, good, packet, segment, tcp_packet},
};

const NONE: Verdict = Verdict { pass: Scope::None, drop: Scope::None, reject: Scope::None };
const DROP: Verdict = Verdict { drop: Scope::Packet, ..NONE };
const DROP_FLOW: Verdict = Verdict { drop: Scope::Flow, ..NONE };

fn on(rules: &str, packet: &PacketView<'_>) -> (Verdict, Vec<u32>) {
    Bench::new(rules).scan(packet, |scan, _| scan.packet())
}

#[test]
fn actions_in_their_order() {
    let rule = |action: &str, sid: u32| {
        format!("{action} udp any any -> any any (content:\"x\"; sid:{sid};)\n")
    };
    let all = |actions: &[&str]| -> (Verdict, Vec<u32>) {
        let rules: String = (1..).zip(actions).map(|(sid, action)| rule(action, sid)).collect();
        on(&rules, &packet(b"x"))
    };
    let pass = Verdict { pass: Scope::Packet, ..NONE };
    let reject = Verdict { drop: Scope::Packet, reject: Scope::Packet, ..NONE };
    assert_eq!(all(&["alert"]), (NONE, vec![1]));
    assert_eq!(all(&["drop"]), (DROP, vec![1]));
    assert_eq!(all(&["reject"]), (reject, vec![1]));
    assert_eq!(all(&["rejectsrc"]), (reject, vec![1]));
    assert_eq!(all(&["pass"]), (pass, vec![]));
    // Whatever the order in the file: pass, drop, reject, alert.
    assert_eq!(all(&["alert", "reject", "drop"]), (reject, vec![3, 2, 1]));
    assert_eq!(all(&["alert", "drop", "reject", "pass"]), (pass, vec![]));
    assert_eq!(all(&["ALERT", "Drop"]), (DROP, vec![2, 1]));
}

#[test]
fn bits_then_priority_then_the_order_of_the_file() {
    let rules = [
        "content:\"x\"; priority:1;",
        "content:\"x\"; flowbits:isset,b;",
        "content:\"x\"; flowint:n,>,0;",
        "content:\"x\"; flowint:n,+,1;",
        "content:\"x\"; flowbits:isset,a; flowbits:set,b;",
        "content:\"x\"; flowbits:set,a;",
        "content:\"x\"; xbits:isset,h,track ip_src;",
        "content:\"x\"; xbits:set,h,track ip_src;",
        "content:\"x\"; priority:255;",
        "content:\"x\"; classtype:trojan-activity;",
        "content:\"x\"; classtype:trojan-activity; priority:4;",
        "content:\"x\"; priority:4; classtype:trojan-activity;",
        "content:\"x\"; priority:1;",
    ];
    let text: String = (1..)
        .zip(rules)
        .map(|(sid, options)| format!("alert udp any any -> any any ({options} sid:{sid};)\n"))
        .collect();
    assert_eq!(on(&text, &packet(b"x")).1, [6, 5, 2, 4, 3, 8, 7, 1, 10, 13, 11, 12, 9]);
}

#[test]
fn what_a_verdict_covers() {
    let app = |app| PacketView {
        flow: Some(FlowView { established: true, app, ..FlowView::default() }),
        ..segment(0x10, b"x")
    };
    let cases: &[(&str, Scope)] = &[
        // Packets, and streams without state.
        ("udp any any -> any any (content:\"x\";", Scope::None),
        ("tcp-pkt any any -> any any (content:\"x\";", Scope::Packet),
        ("tcp any any -> any any (content:\"x\";", Scope::Packet),
        ("tcp any any -> any any (flags:A;", Scope::Packet),
        ("ip any any -> any any (ttl:64;", Scope::Packet),
        ("tcp any any -> any any (flow:established; dsize:1;", Scope::Packet),
        // Streams with state, addresses alone, protocols.
        ("tcp any any -> any any (flow:established; content:\"x\";", Scope::Flow),
        ("http any any -> any any (content:\"x\";", Scope::Flow),
        ("ip 10.0.0.1 any -> any any (", Scope::Flow),
        ("ip any any -> any any (", Scope::Flow),
        ("http any any -> any any (", Scope::Flow),
        ("tcp any any -> any any (app-layer-protocol:http;", Scope::Flow),
        ("http any any -> any any (dsize:1;", Scope::Packet),
    ];
    for (rule, scope) in cases {
        for action in ["drop", "reject", "pass"] {
            let mut bench = Bench::new(&format!("{action} {rule} sid:1;)"));
            let packet = app(AppProto::Http);
            let (verdict, _) = bench.scan(&packet, |scan, _| scan.packet());
            let (given, other) = if action == "pass" {
                (verdict.pass, verdict.drop)
            } else {
                (verdict.drop, verdict.pass)
            };
            assert_eq!((given, other), (*scope, Scope::None), "{action} {rule}");
            assert_eq!(verdict.reject, if action == "reject" { *scope } else { Scope::None });
            let flow = *scope == Scope::Flow;
            assert_eq!(
                (bench.flow.is_passed(), bench.flow.is_dropped()),
                (flow && action == "pass", flow && action != "pass")
            );
        }
    }
    let mut bench = Bench::new("drop http any any -> any any (http.uri; content:\"x\"; sid:1;)");
    let tx = Fixed::new(AppProto::Http, &[(Buffer::HttpUri, "x")]);
    let (verdict, _) =
        bench.scan(&tcp_packet(), |scan, state| scan.transaction(&tx, state, Direction::ToServer));
    assert_eq!(verdict, DROP_FLOW);
}

#[test]
fn a_passed_flow_is_looked_at_no_more() {
    let mut bench = Bench::new(
        "pass http any any -> any any (http.host; content:\"good.example\"; sid:1;)\n\
         alert http any any -> any any (http.uri; content:\"evil\"; sid:2;)\n\
         alert tcp any any -> any any (content:\"evil\"; sid:3;)",
    );
    let good = Fixed::new(
        AppProto::Http,
        &[(Buffer::HttpHost, "good.example"), (Buffer::HttpUri, "/evil")],
    );
    let bad = Fixed::new(
        AppProto::Http,
        &[(Buffer::HttpHost, "bad.example"), (Buffer::HttpUri, "/evil")],
    );
    assert_eq!(bench.stream(Direction::ToServer, 0, b"evil"), [3]);
    assert!(
        bench.tx(&good, Direction::ToServer).is_empty(),
        "the pass rule stands before the alert"
    );
    bench.state = crate::TxState::default();
    assert!(bench.tx(&bad, Direction::ToServer).is_empty());
    assert!(bench.stream(Direction::ToServer, 9, b"evil").is_empty());
    assert!(bench.packet(&segment(0x10, b"evil")).is_empty());
    // Another flow is another matter.
    bench.flow = crate::FlowState::default();
    assert_eq!(bench.stream(Direction::ToServer, 0, b"evil"), [3]);
}

#[test]
fn a_pass_of_one_packet_spares_only_that_packet() {
    let mut bench = Bench::new(
        "pass udp any any -> any any (content:\"known\"; sid:1;)\nalert udp any any -> any any (content:\"evil\"; sid:2;)",
    );
    assert!(bench.packet(&packet(b"known evil")).is_empty());
    assert_eq!(bench.packet(&packet(b"evil")), [2]);
    // A threshold or noalert does not keep a pass rule from passing.
    let mut silent = Bench::new(
        "pass udp any any -> any any (content:\"known\"; threshold:type limit,track by_src,count 1,seconds 60; noalert; sid:1;)\n\
         alert udp any any -> any any (content:\"evil\"; sid:2;)",
    );
    assert!(silent.packet(&packet(b"known evil")).is_empty());
    assert!(silent.packet(&packet(b"known evil")).is_empty());
}

#[test]
fn drops_beyond_the_limit_of_alerts_still_drop() {
    let alerts: String = (1..=15)
        .map(|sid| format!("drop udp any any -> any any (content:\"x\"; sid:{sid};)\n"))
        .collect();
    for (more, shown, beyond) in [
        ("", 15, 0),
        ("reject udp any any -> any any (content:\"x\"; sid:16;)", 15, 1),
        ("drop udp any any -> any any (content:\"x\"; noalert; sid:16;)", 15, 0),
    ] {
        let mut bench = Bench::new(&format!("{alerts}{more}"));
        let (verdict, sids) = bench.scan(&packet(b"x"), |scan, _| scan.packet());
        assert_eq!((sids.len(), bench.scratch.stats().beyond_limit), (shown, beyond));
        assert_eq!(verdict.reject == Scope::Packet, more.starts_with("reject"));
    }
}

#[test]
fn where_a_match_comes_from() {
    let sources = |rule: &str, packet: &PacketView<'_>| {
        let mut bench = Bench::new(&format!("alert {rule} sid:1;)"));
        let chunk = crate::ChunkView {
            direction: Direction::ToServer,
            offset: 0,
            data: b"xy",
            last: false,
        };
        let mut scan = crate::Scan::begin(
            &bench.set,
            &bench.tables,
            &mut bench.scratch,
            packet,
            Some(&mut bench.flow),
        );
        scan.packet();
        if packet.in_stream {
            scan.stream(&chunk);
        }
        scan.finish().matches.iter().map(|found| (found.source, found.action)).collect::<Vec<_>>()
    };
    let in_stream = PacketView { payload: b"xy", ..tcp_packet() };
    let loose = segment(0x10, b"xy");
    let (from_packet, from_stream) =
        (vec![(MatchSource::Packet, Action::Alert)], vec![(MatchSource::Stream, Action::Alert)]);
    for (rule, streamed, apart) in [
        ("tcp any any -> any any (content:\"xy\";", &from_stream, &from_stream),
        ("tcp-stream any any -> any any (content:\"xy\";", &from_stream, &from_stream),
        ("tcp any any -> any any (flow:only_stream; content:\"xy\";", &from_stream, &from_stream),
        ("tcp-pkt any any -> any any (content:\"xy\";", &from_packet, &from_packet),
        ("tcp any any -> any any (flow:no_stream; content:\"xy\";", &from_packet, &from_packet),
        ("tcp any any -> any any (dsize:2; content:\"xy\";", &from_packet, &from_packet),
        // A position from the beginning may be meant of the packet: both, and one alert.
        ("tcp any any -> any any (content:\"xy\"; depth:2;", &from_packet, &from_packet),
        ("tcp any any -> any any (content:\"xy\"; startswith;", &from_packet, &from_packet),
        (
            "tcp any any -> any any (stream_size:either,>=,0; content:\"xy\";",
            &from_stream,
            &from_stream,
        ),
        ("ip any any -> any any (content:\"xy\";", &from_stream, &from_stream),
    ] {
        assert_eq!(&sources(rule, &in_stream), streamed, "{rule}");
        assert_eq!(&sources(rule, &loose), apart, "{rule}");
    }
}

#[test]
fn positions_in_streams_are_of_the_whole_direction() {
    let cases: &[(&str, u64, &[u8], bool)] = &[
        ("content:\"ab\"; offset:100;", 98, b"abab", true),
        ("content:\"ab\"; offset:101;", 98, b"abab", false),
        ("content:\"ab\"; depth:100;", 98, b"ab", true),
        ("content:\"ab\"; depth:99;", 98, b"ab", false),
        ("content:\"ab\"; depth:100;", 99, b"ab", false),
        ("content:\"ab\"; offset:10; depth:4;", 11, b"xab", true),
        ("content:\"ab\"; startswith;", 0, b"ab", true),
        ("content:\"ab\"; startswith;", 1, b"ab", false),
        ("content:!\"ab\"; startswith; content:\"c\";", 1, b"abc", true),
        ("content:\"ab\"; depth:300;", 290, b"ab", true),
        ("content:\"ab\"; depth:300;", 299, b"ab", false),
        // Relative positions are of what was found, wherever it is.
        ("content:\"a\"; content:\"b\"; distance:1; within:1;", 5_000, b"a-b", true),
        ("content:\"ab\"; offset:1;", u64::MAX - 2, b"ab", true),
        ("content:\"ab\"; depth:65535;", u64::MAX - 2, b"ab", false),
    ];
    for (options, offset, data, expected) in cases {
        let rule = format!("alert tcp-stream any any -> any any ({options} sid:1;)");
        for set in [good(&rule), crate::tests::naive(&rule)] {
            let found = Bench::with(set).stream(Direction::ToServer, *offset, data);
            assert_eq!(found == [1], *expected, "{options} at {offset}");
        }
    }
}
