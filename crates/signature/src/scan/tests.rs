//! Rules over several steps: buffers that come later, streams, bits from rule to rule; prefiltered = naive.

use proptest::prelude::*;

use super::*;
use crate::{
    AppProto, Buffer,
    tests::{Fixed, answer, good, naive, on_packet, on_tx, packet, sids, tcp_packet, tx_case},
};

#[test]
fn transaction_keywords() {
    let request = Fixed::new(
        AppProto::Http,
        &[
            (Buffer::HttpMethod, "POST"),
            (Buffer::HttpUri, "/gate.php?id=1"),
            (Buffer::HttpUriRaw, "/gate.php?id=1"),
            (Buffer::HttpHost, "www.evil.example"),
            (Buffer::HttpUserAgent, "Mozilla/5.0"),
            (Buffer::HttpHeaderNames, "\r\nHost\r\nUser-Agent\r\n\r\n"),
            (Buffer::HttpRequestBody, "key=value"),
        ],
    );
    let to_server = [
        (r#"http.method; content:"POST"; http.uri; content:"/gate.php"; startswith;"#, true),
        (r#"content:"POST"; http_method; content:"/GATE.php"; nocase; http_uri;"#, true),
        (r#"http.method; content:"GET"; http.uri; content:"/gate.php";"#, false),
        (r#"http.host; content:"evil.example"; endswith;"#, true),
        (r#"http.host; content:".EVIL.example"; nocase; endswith;"#, true),
        (r#"http.host; dotprefix; content:".www.evil.example"; endswith; bsize:17;"#, true),
        (r#"http.host; content:"www.evil.example"; bsize:16;"#, true),
        (r#"http.host; content:"www.evil.example"; bsize:>16;"#, false),
        (r#"http.header_names; content:!"|0d 0a|Referer|0d 0a|";"#, true),
        (r#"http.header_names; content:!"|0d 0a|Host|0d 0a|";"#, false),
        // A negated content does not match a buffer that is not there.
        (r#"http.referer; content:!"x";"#, false),
        (r#"http.method; content:"POST"; http.referer; absent;"#, true),
        (r#"http.method; content:"POST"; http.user_agent; absent;"#, false),
        (r#"http.referer; absent:or_else; content:"abc";"#, true),
        (r#"urilen:14;"#, true),
        (r#"urilen:>14,norm;"#, false),
        (r#"http.uri; to_uppercase; content:"/GATE.PHP";"#, true),
        (r#"http.user_agent; to_md5; content:"|00|";"#, false),
        (r#"http.uri; pcre:"/\?id=\d$/";"#, true),
        (r#"content:"gate"; http_uri; pcre:"/^\.php\?id=\d+$/UR";"#, true),
        (r#"http.request_body; content:"key="; pcre:"/^val/R";"#, true),
        (r#"flow:established,to_client; http.content_type; content:"x";"#, false),
        (r#"content:"id=1"; http_uri; isdataat:!1,relative;"#, true),
        (r#"content:"id="; http_uri; isdataat:!1,relative;"#, false),
        (r#"content:"id=1"; isdataat:!1,relative; http_uri;"#, true),
        (r#"content:"id="; isdataat:!1,relative; http_uri;"#, false),
        (r#"content:"id="; http_uri; content:!"id"; http_uri; isdataat:!1,relative;"#, true),
        (
            r#"http.host; content:"www"; startswith; dotprefix; content:".www.evil"; startswith;"#,
            true,
        ),
        (r#"content:"GET"; nocase; http_method; content:"x"; http_uri;"#, false),
    ];
    for (options, expected) in to_server {
        let rule = format!("alert http any any -> any any ({options} sid:1;)");
        tx_case(&rule, &request, Direction::ToServer, expected);
    }
    let response = Fixed::new(
        AppProto::Http,
        &[
            (Buffer::HttpStatCode, "200"),
            (Buffer::FileData, "<html>x"),
            (Buffer::FileData, "MZ second"),
        ],
    );
    let rule = r#"alert http any any -> any any (http.stat_code; content:"200"; file.data; content:"MZ"; startswith; sid:1;)"#;
    tx_case(rule, &response, Direction::ToClient, true);
    let rule = r#"alert tcp any any -> any any (flow:to_client; file_data; content:"<html>"; content:"second"; sid:1;)"#;
    tx_case(rule, &response, Direction::ToClient, false);
}

#[test]
fn a_rule_waits_for_buffers_that_come_later() {
    let set = good(
        r#"alert http any any -> any any (http.uri; content:"/gate.php"; http.request_body; content:"secret"; sid:1;)
           alert http any any => any any (http.uri; content:"/gate.php"; http.stat_code; content:"200"; sid:2;)"#,
    );
    let (tables, mut scratch, mut flow, mut state) =
        (Tables::default(), Scratch::new(&set), FlowState::default(), TxState::default());
    let mut tx = Fixed::new(AppProto::Http, &[(Buffer::HttpUri, "/gate.php")]);
    tx.complete = false;
    let packet = tcp_packet();
    let mut step = |tx: &Fixed, direction| {
        let mut scan = Scan::begin(&set, &tables, &mut scratch, &packet, Some(&mut flow));
        scan.transaction(tx, &mut state, direction);
        sids(&set, scan.finish().matches)
    };
    assert!(step(&tx, Direction::ToServer).is_empty());
    // The body grows in windows.
    tx.put((Buffer::HttpRequestBody, Direction::ToServer, 0), b"aaa", (0, false));
    assert!(step(&tx, Direction::ToServer).is_empty());
    tx.put((Buffer::HttpRequestBody, Direction::ToServer, 0), b"a secret", (2, false));
    assert_eq!(step(&tx, Direction::ToServer), [1]);
    tx.put((Buffer::HttpStatCode, Direction::ToClient, 0), b"200", (0, true));
    assert_eq!(step(&tx, Direction::ToClient), [2]);
    tx.complete = true;
    assert!(step(&tx, Direction::ToClient).is_empty());
    assert!(step(&tx, Direction::ToServer).is_empty());
}

fn on_stream(set: &RuleSet, data: &[u8], offset: u64) -> Vec<u32> {
    let (tables, mut scratch, mut flow) =
        (Tables::default(), Scratch::new(set), FlowState::default());
    let packet = tcp_packet();
    let mut scan = Scan::begin(set, &tables, &mut scratch, &packet, Some(&mut flow));
    scan.packet();
    scan.stream(&ChunkView { direction: Direction::ToServer, offset, data, last: false });
    sids(set, scan.finish().matches)
}

#[test]
fn streams() {
    let cases = [
        (r#"alert tcp any any -> any 80 (content:"pattern"; sid:1;)"#, 0, true),
        (r#"alert tcp any any -> any 81 (content:"pattern"; sid:1;)"#, 0, false),
        (r#"alert tcp-pkt any any -> any 80 (content:"pattern"; sid:1;)"#, 0, false),
        (r#"alert tcp any any -> any any (flow:to_client; content:"pattern"; sid:1;)"#, 0, false),
        (r#"alert tcp any any -> any any (content:"pattern"; depth:10; sid:1;)"#, 0, true),
        (r#"alert tcp any any -> any any (content:"pattern"; depth:10; sid:1;)"#, 100, false),
        (r#"alert tcp any any -> any any (content:"pattern"; offset:100; sid:1;)"#, 100, true),
        (r#"alert tcp any any -> any any (flow:no_stream; content:"pattern"; sid:1;)"#, 0, false),
        (r#"alert http any any -> any any (content:"pattern"; sid:1;)"#, 0, false),
        (r#"alert ip any any -> any any (content:"pattern"; sid:1;)"#, 0, true),
        (r#"alert tcp-stream any any -> any any (content:"pattern"; sid:1;)"#, 0, true),
        (r#"alert tcp [10.0.0.1] any -> any any (pcre:"/pat+ern/"; sid:1;)"#, 0, true),
        (r#"alert tcp [10.0.0.2] any -> any any (pcre:"/pat+ern/"; sid:1;)"#, 0, false),
    ];
    for (rule, offset, expected) in cases {
        assert_eq!(on_stream(&good(rule), b"a pattern here", offset) == [1], expected, "{rule}");
        assert_eq!(on_stream(&naive(rule), b"a pattern here", offset) == [1], expected, "{rule}");
    }
}

#[test]
fn bits_carry_from_rule_to_rule() {
    let set = good(
        r#"alert udp any any -> any any (content:"two"; flowbits:isset,one; sid:2;)
           alert udp any any -> any any (content:"one"; flowbits:set,one; flowbits:noalert; sid:1;)
           alert udp any any -> any any (content:"zilch"; flowbits:isnotset,one; sid:3;)
           alert udp any any -> any any (content:"count"; flowint:n,+,1; noalert; sid:4;)
           alert udp any any -> any any (content:"count"; flowint:n,>=,2; sid:5;)
           alert udp any any -> any any (content:"mark"; xbits:set,m,track ip_src,expire 10; sid:6;)
           alert udp any any -> any any (content:"look"; xbits:isset,m,track ip_src; sid:7;)
           alert udp any any -> any any (content:"clear"; flowbits:unset,one; noalert; sid:8;)"#,
    );
    let (tables, mut scratch, mut flow) =
        (Tables::default(), Scratch::new(&set), FlowState::default());
    let mut step = |payload: &'static [u8], time: u64| {
        let packet = PacketView { time, ..packet(payload) };
        let mut scan = Scan::begin(&set, &tables, &mut scratch, &packet, Some(&mut flow));
        scan.packet();
        sids(&set, scan.finish().matches)
    };
    assert_eq!(step(b"two zilch", 1), [3]);
    // The setter runs before the reader in the same packet, though it stands later in the file.
    assert_eq!(step(b"one two", 2), [2]);
    assert!(step(b"zilch", 3).is_empty());
    assert!(step(b"clear", 4).is_empty());
    assert_eq!(step(b"zilch", 5), [3]);
    assert!(step(b"count", 6).is_empty());
    assert_eq!(step(b"count", 7), [5]);
    assert!(step(b"look", 8).is_empty());
    assert_eq!(step(b"mark", 9), [6]);
    assert_eq!(step(b"look", 10_000_000), [7]);
    assert!(step(b"look", 10_000_010).is_empty());
}

#[test]
fn at_most_fifteen_alerts_a_packet() {
    let rules: String = (1..=40)
        .map(|sid| format!("alert udp any any -> any any (content:\"abcd\"; sid:{sid};)\n"))
        .collect();
    let set = good(&rules);
    let (tables, mut scratch) = (Tables::default(), Scratch::new(&set));
    let packet = packet(b"abcd");
    let mut scan = Scan::begin(&set, &tables, &mut scratch, &packet, None);
    scan.packet();
    let outcome = scan.finish();
    assert_eq!((outcome.matches.len(), outcome.beyond_limit), (15, 25));
    assert_eq!(scratch.stats().beyond_limit, 25);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    /// Whatever the rules and the traffic: the prefilter loses nothing and adds nothing.
    #[test]
    fn prefiltered_is_naive(
        contents in proptest::collection::vec(("[a-cA-C.]{1,7}", any::<bool>(), 0..5_u8), 1..12),
        payload in "[a-cA-C.]{0,60}",
    ) {
        let rules: String = contents.iter().enumerate().map(|(sid, (content, nocase, modifier))| {
            let nocase = if *nocase { "nocase;" } else { "" };
            let modifier = match modifier { 0 => "endswith;", 1 => "startswith;", 2 => "offset:3;", _ => "" };
            format!("alert udp any any -> any any (content:\"{content}\"; {nocase} {modifier} sid:{};)\n\
                     alert http any any -> any any (http.uri; content:\"{content}\"; {nocase} {modifier} sid:{};)\n", sid + 1, sid + 101)
        }).collect();
        let packet = packet(payload.as_bytes());
        let (with, without) = (good(&rules), naive(&rules));
        prop_assert_eq!(on_packet(&with, &packet), on_packet(&without, &packet));
        let tx = Fixed::new(AppProto::Http, &[(Buffer::HttpUri, &payload)]);
        prop_assert_eq!(on_tx(&with, &tx, Direction::ToServer), on_tx(&without, &tx, Direction::ToServer));
    }
}

/// Groups by direction, ports and size must not lose a rule: each answer is known without them.
#[test]
fn direction_ports_and_size_decide_alone() {
    let flows =
        [("", true, true), ("flow:to_server; ", true, false), ("flow:to_client; ", false, true)];
    // Shortest and longest payload.
    let sizes = [
        ("", 0, 400),
        ("dsize:<200; ", 0, 199),
        ("dsize:>300; ", 301, 400),
        ("dsize:12; ", 12, 12),
        ("isdataat:257; ", 258, 400),
    ];
    let ports = [("any", "any"), ("any", "80"), ("80", "any"), ("40000", "any"), ("any", "40000")];
    for (flow, to_server, to_client) in flows {
        for (size, least, most) in sizes {
            for (from, to) in ports {
                for pattern in ["qzx~", "qzx~needle", "|00 00 01 00|"] {
                    let rule = format!(
                        "alert udp any {from} -> any {to} ({flow}{size}content:\"{pattern}\"; sid:1;)"
                    );
                    let set = good(&rule);
                    for len in [12, 199, 256, 257, 258, 400] {
                        let mut payload = vec![b'.'; len];
                        payload[..10].copy_from_slice(b"qzx~needle");
                        payload[len - 4..].copy_from_slice(&[0, 0, 1, 0]);
                        // In the shortest one the end is written over the needle.
                        let there = pattern != "qzx~needle" || len >= 14;
                        for (view, wanted) in
                            [(packet(&payload), to_server), (answer(packet(&payload)), to_client)]
                        {
                            let port = |text: &str, port: Option<u16>| {
                                text == "any" || text.parse().ok() == port
                            };
                            let expected = wanted
                                && there
                                && (least..=most).contains(&len)
                                && port(from, view.src_port)
                                && port(to, view.dst_port);
                            assert_eq!(
                                on_packet(&set, &view) == [1],
                                expected,
                                "{rule} {len} {view:?}"
                            );
                        }
                    }
                }
            }
        }
    }
}
