//! Rules with memory: flowbits, xbits, hostbits, flowint, thresholds with the edges of their windows, and what
//! becomes of all that when rules change.

use std::net::IpAddr;

use crate::{
    Direction, FlowState, LoadOptions, PacketView, RuleSet, Scope, Source,
    tests::{Bench, answer, good, packet},
};

const SECOND: u64 = 1_000_000;

fn udp(options: &[&str]) -> String {
    (1..)
        .zip(options)
        .map(|(sid, o)| format!("alert udp any any -> any any ({o} sid:{sid};)\n"))
        .collect()
}

fn at(second: u64, payload: &[u8]) -> PacketView<'_> {
    PacketView { time: second * SECOND, ..packet(payload) }
}

#[test]
fn flowbits() {
    let mut bench = Bench::new(&udp(&[
        r#"content:"set-a"; flowbits:set,a; noalert;"#,
        r#"content:"set-b"; flowbits:set, b; flowbits:noalert;"#,
        r#"content:"unset-a"; flowbits:unset,a; noalert;"#,
        r#"content:"turn-a"; flowbits:toggle,a; noalert;"#,
        r#"content:"?"; flowbits:isset,a;"#,
        r#"content:"?"; flowbits:isnotset,a;"#,
        r#"content:"?"; flowbits:isset,a|b;"#,
        r#"content:"?"; flowbits:isnotset,a|b;"#,
        r#"content:"?"; flowbits:isset,a; flowbits:isset,b;"#,
        r#"content:"?"; flowbits:isset,a; flowbits:isnotset,b;"#,
    ]));
    let mut ask = |steps: &[&'static str]| {
        for step in steps {
            assert!(bench.packet(&packet(step.as_bytes())).is_empty(), "{step}");
        }
        let mut sids = bench.packet(&packet(b"?"));
        sids.sort_unstable();
        sids
    };
    // With several names, isset asks for one that is set and isnotset for one that is not.
    assert_eq!(ask(&[]), [6, 8]);
    assert_eq!(ask(&["set-a"]), [5, 7, 8, 10]);
    assert_eq!(ask(&["set-b"]), [5, 7, 9]);
    assert_eq!(ask(&["unset-a"]), [6, 7, 8]);
    assert_eq!(ask(&["turn-a"]), [5, 7, 9]);
    assert_eq!(ask(&["turn-a", "turn-a", "turn-a"]), [6, 7, 8]);
    // Without a flow no question about it is answered.
    assert!(bench.stray(&packet(b"?")).is_empty());
}

#[test]
fn a_bit_is_seen_by_later_rules_of_the_same_packet_and_kept_when_silent() {
    let mut bench = Bench::new(&udp(&[
        r#"content:"x"; flowbits:isset,b;"#,
        r#"content:"x"; flowbits:isset,a; flowbits:set,b;"#,
        r#"content:"x"; flowbits:set,a; threshold:type limit,track by_src,count 1,seconds 60;"#,
    ]));
    assert_eq!(bench.packet(&packet(b"x")), [3, 2, 1]);
    bench.flow = FlowState::default();
    // The first rule is silent by now; what it sets is set.
    assert_eq!(bench.packet(&packet(b"x")), [2, 1]);
    let names: Vec<&str> =
        bench.flow.flow_bits().filter_map(|bit| bench.set.flow_bit_name(bit)).collect();
    assert_eq!(names, ["b", "a"]);
}

#[test]
fn flows_and_hosts_remember_over_a_change_of_rules_when_the_names_go_on() {
    let old = udp(&[
        r#"content:"set"; flowbits:set,b; flowbits:set,a; noalert;"#,
        r#"content:"set"; flowint:n,+,1; noalert;"#,
        r#"content:"set"; xbits:set,x,track ip_src; noalert;"#,
    ]);
    // Other names come first, so that the numbers would be others.
    let new = udp(&[
        r#"content:"?"; flowbits:isset,new; flowint:m,notset; xbits:isset,new,track ip_src;"#,
        r#"content:"?"; flowbits:isset,a;"#,
        r#"content:"?"; flowint:n,==,1;"#,
        r#"content:"?"; xbits:isset,x,track ip_src;"#,
        r#"content:"?"; xbits:isset,other,track ip_src;"#,
    ]);
    let load = |text: &str, names: &crate::Names| {
        let source = Source { name: "new.rules".into(), text: text.into() };
        RuleSet::load(vec![source], &LoadOptions { names: names.clone(), ..LoadOptions::default() })
    };
    let mut bench = Bench::new(&old);
    assert!(bench.packet(&packet(b"set")).is_empty());
    let (set, report) = load(&new, bench.set.names());
    assert!(report.rejected.is_empty(), "{report:?}");
    bench.replace(set);
    assert_eq!(bench.packet(&packet(b"?")), [2, 3, 4]);
    // A third set, and one that does not go on: what the flow remembers means nothing there.
    let (set, _) = load(&new, bench.set.names());
    bench.replace(set);
    assert_eq!(bench.packet(&packet(b"?")), [2, 3, 4]);
    bench.replace(load(&new, &crate::Names::default()).0);
    assert!(!bench.packet(&packet(b"?")).contains(&2));
}

#[test]
fn bits_of_the_flow_hold_in_both_directions_and_beyond_one_word() {
    let many: Vec<String> =
        (0..130).map(|n| format!(r#"content:"go"; flowbits:set,bit{n}; noalert;"#)).collect();
    let mut rules = udp(&many.iter().map(String::as_str).collect::<Vec<_>>());
    rules.push_str("alert udp any any -> any any (content:\"?\"; flowbits:isset,bit129; flowbits:isset,bit0; sid:900;)");
    let mut bench = Bench::new(&rules);
    assert!(bench.packet(&packet(b"?")).is_empty());
    assert!(bench.packet(&packet(b"go")).is_empty());
    assert_eq!(bench.packet(&answer(packet(b"?"))), [900]);
    assert_eq!(bench.flow.flow_bits().count(), 130);
}

#[test]
fn xbits_and_hostbits_by_host_and_pair() {
    let rules = |keyword: &str| {
        udp(&[
            &format!(r#"content:"src"; {keyword}:set,s,track ip_src,expire 10; noalert;"#),
            &format!(r#"content:"dst"; {keyword}:set,d,track ip_dst,expire 10; noalert;"#),
            &format!(r#"content:"pair"; {keyword}:set,p,track ip_pair,expire 10; noalert;"#),
            &format!(r#"content:"?"; {keyword}:isset,s,track ip_src;"#),
            &format!(r#"content:"?"; {keyword}:isset,d,track ip_dst;"#),
            &format!(r#"content:"?"; {keyword}:isset,p,track ip_pair;"#),
            &format!(r#"content:"?"; {keyword}:isset,s,track ip_dst;"#),
            &format!(r#"content:"!"; {keyword}:isnotset,s,track ip_src;"#),
            &format!(r#"content:"clear"; {keyword}:unset,s,track ip_src; noalert;"#),
            &format!(r#"content:"turn"; {keyword}:toggle,s,track ip_src; noalert;"#),
        ])
    };
    for keyword in ["xbits", "hostbits"] {
        let mut bench = Bench::new(&rules(keyword));
        for (payload, found) in [
            ("?", vec![]),
            ("!", vec![8]),
            ("src dst pair", vec![]),
            ("?", vec![4, 5, 6]),
            ("!", vec![]),
        ] {
            assert_eq!(bench.packet(&at(1, payload.as_bytes())), found, "{keyword} {payload}");
        }
        // The answer comes from the other host: what was marked at the source is now the destination.
        assert_eq!(bench.packet(&answer(at(1, b"?"))), [6, 7], "{keyword}");
        // Other flows of the same hosts see it, other hosts do not.
        bench.flow = FlowState::default();
        assert_eq!(bench.packet(&at(2, b"?")), [4, 5, 6]);
        let stranger = PacketView { src: IpAddr::from([10, 9, 9, 9]), ..at(2, b"?") };
        assert_eq!(bench.packet(&stranger), [5]);
        // Up to and with its last second.
        assert_eq!(bench.packet(&at(11, b"?")), [4, 5, 6]);
        assert!(bench.packet(&PacketView { time: 11 * SECOND + 1, ..at(0, b"?") }).is_empty());
        assert_eq!(bench.packet(&at(12, b"!")), [8]);
        assert!(bench.packet(&at(12, b"turn !")).len() <= 1);
        assert_eq!(bench.packet(&at(13, b"?")), [4]);
        assert!(bench.packet(&at(14, b"clear")).is_empty());
        assert!(bench.packet(&at(14, b"?")).is_empty());
        assert!(bench.packet(&at(14, b"turn")).is_empty());
        assert!(bench.packet(&at(14, b"turn")).is_empty());
        assert!(bench.packet(&at(14, b"?")).is_empty(), "turned twice");
    }
}

#[test]
fn bits_without_expire_last_as_documented() {
    for (keyword, lasts) in [("xbits", 30), ("hostbits", 300)] {
        let mut bench = Bench::new(&udp(&[
            &format!(r#"content:"mark"; {keyword}:set,m,track ip_src; noalert;"#),
            &format!(r#"content:"?"; {keyword}:isset,m,track ip_src;"#),
        ]));
        assert!(bench.packet(&at(0, b"mark")).is_empty());
        assert_eq!(bench.packet(&at(lasts, b"?")), [2]);
        assert!(bench.packet(&at(lasts + 1, b"?")).is_empty());
    }
    // An xbit and a hostbit of one name are two things.
    let mut bench = Bench::new(&udp(&[
        r#"content:"x"; xbits:set,m,track ip_src;"#,
        r#"content:"x"; hostbits:isset,m;"#,
        r#"content:"x"; xbits:isset,m,track ip_src;"#,
    ]));
    assert_eq!(bench.packet(&at(0, b"x")), [1, 3]);
}

#[test]
fn flowint() {
    let comparisons = [
        ("<", [1, 0, 0]),
        ("<=", [1, 1, 0]),
        ("==", [0, 1, 0]),
        ("!=", [1, 0, 1]),
        (">=", [0, 1, 1]),
        (">", [0, 0, 1]),
    ];
    for (op, expected) in comparisons {
        for (have, expected) in [4, 5, 6].into_iter().zip(expected) {
            let mut bench = Bench::new(&udp(&[
                &format!(r#"content:"go"; flowint:n,=,{have}; flowint:five,=,5; noalert;"#),
                &format!(r#"content:"?"; flowint:n,{op},5;"#),
                &format!(r#"content:"?"; flowint:n,{op},five;"#),
                &format!(r#"content:"?"; flowint:other,{op},5;"#),
            ]));
            assert!(bench.packet(&packet(b"?")).is_empty(), "never set, {op}");
            assert!(bench.packet(&packet(b"go")).is_empty());
            let found = if expected == 1 { vec![2, 3] } else { vec![] };
            assert_eq!(bench.packet(&packet(b"?")), found, "{have} {op} 5");
        }
    }
    let mut bench = Bench::new(&udp(&[
        r#"content:"up"; flowint:n,+,2; noalert;"#,
        r#"content:"down"; flowint:n,-,3; noalert;"#,
        r#"content:"?"; flowint:n,isset;"#,
        r#"content:"?"; flowint:n,isnotset;"#,
        r#"content:"?"; flowint:n,==,0;"#,
        r#"content:"?"; flowint:n,==,2;"#,
        r#"content:"top"; flowint:n,=,4294967295; noalert;"#,
        r#"content:"?"; flowint:n,==,0xffffffff;"#,
    ]));
    for (payload, found) in [
        ("?", vec![4]),
        ("up", vec![]),
        ("?", vec![3, 6]),
        ("down", vec![]),
        ("?", vec![3, 5]),
        ("top", vec![]),
        ("up", vec![]),
        ("?", vec![3, 8]),
    ] {
        assert_eq!(bench.packet(&packet(payload.as_bytes())), found, "{payload}");
    }
}

/// Seconds of hits; after each `+` one that alerts, after each `-` one that does not.
fn threshold(option: &str, hits: &str) {
    let mut bench = Bench::new(&udp(&[&format!(r#"content:"x"; {option};"#)]));
    for hit in hits.split(' ') {
        let (sign, second) = hit.split_at(1);
        let alerts = !bench.packet(&at(second.parse().unwrap(), b"x")).is_empty();
        assert_eq!(alerts, sign == "+", "{option} at {hit} of {hits}");
    }
}

#[test]
fn windows_of_thresholds() {
    let limit = |count, seconds| {
        format!("threshold:type limit,track by_src,count {count},seconds {seconds}")
    };
    let threshold_ = |count, seconds| {
        format!("threshold:type threshold,track by_src,count {count},seconds {seconds}")
    };
    let both = |count, seconds| {
        format!("threshold:type both,track by_src,count {count},seconds {seconds}")
    };
    let filter =
        |count, seconds| format!("detection_filter:track by_src,count {count},seconds {seconds}");
    // The window begins with the first hit and includes its last second.
    threshold(&limit(1, 10), "+0 -0 -5 -10 +11 -21 +22");
    threshold(&limit(3, 10), "+0 +1 +2 -3 -10 +11 +12 +13 -14");
    threshold(&limit(1, 1), "+0 -1 +2 -3 +4");
    threshold(&threshold_(3, 10), "-0 -1 +2 -3 -4 +5");
    threshold(&threshold_(1, 10), "+0 +0 +1");
    threshold(&threshold_(3, 10), "-0 -1 -11 -12 +13");
    threshold(&threshold_(2, 10), "-0 +10 -11 +12");
    threshold(&both(3, 10), "-0 -1 +2 -3 -10 -11 -12 +13");
    threshold(&both(1, 10), "+0 -1 -10 +11");
    threshold(&filter(2, 10), "-0 -1 +2 +3 +10 -11 -12 +13");
    threshold(&filter(1, 10), "-0 +1 +1 -20 +21");
    threshold(
        "threshold:type backoff,track by_flow,count 2,multiplier 3",
        "-0 +1 -2 -3 -4 +5 -6 -9999",
    );
    // Time may stand still and, between workers, run backwards.
    threshold(&limit(2, 10), "+100 +50 -40 -110 +111");
}

#[test]
fn what_thresholds_count_by() {
    let host = |n: u8| IpAddr::from([10, 0, 0, n]);
    // Pairs of source and destination; every one is new except those marked.
    let steps: [(u8, u8); 5] = [(1, 9), (1, 9), (1, 8), (2, 9), (9, 1)];
    let cases: [(&str, [bool; 5]); 5] = [
        ("by_src", [true, false, false, true, true]),
        ("by_dst", [true, false, true, false, true]),
        ("by_both", [true, false, true, true, true]),
        ("by_rule", [true, false, false, false, false]),
        ("by_flow", [true, false, false, false, false]),
    ];
    for (track, expected) in cases {
        let mut bench = Bench::new(&udp(&[
            &format!(r#"content:"x"; threshold:type limit,track {track},count 1,seconds 60;"#),
            r#"content:"x"; threshold:type limit,track by_src,count 100,seconds 60;"#,
        ]));
        for ((src, dst), expected) in steps.into_iter().zip(expected) {
            let packet = PacketView { src: host(src), dst: host(dst), ..at(1, b"x") };
            // The second rule counts for itself.
            let found = if expected { vec![1, 2] } else { vec![2] };
            assert_eq!(bench.packet(&packet), found, "{track} {src} to {dst}");
        }
        bench.flow = FlowState::default();
        let again = bench.packet(&PacketView { src: host(1), dst: host(9), ..at(1, b"x") });
        assert_eq!(again.contains(&1), track == "by_flow", "{track} in another flow");
        // Without a flow there is nothing to count in: the alert is shown.
        if track == "by_flow" {
            assert_eq!(bench.stray(&at(1, b"x")), [1, 2]);
            assert_eq!(bench.stray(&at(1, b"x")), [1, 2]);
        }
    }
}

#[test]
fn source_and_destination_are_those_of_the_data() {
    let mut bench = Bench::new(
        "alert tcp any any -> any any (content:\"x\"; threshold:type limit,track by_src,count 1,seconds 60; sid:1;)",
    );
    let chunk =
        crate::ChunkView { direction: Direction::ToServer, offset: 0, data: b"x", last: false };
    let forth = crate::tests::tcp_packet();
    assert_eq!(bench.scan(&forth, |scan, _| scan.stream(&chunk)).1, [1]);
    // The same direction of data, scanned with the server's packet: the same source.
    assert!(bench.scan(&answer(forth), |scan, _| scan.stream(&chunk)).1.is_empty());
}

#[test]
fn what_a_silenced_rule_still_does() {
    let drops = |option: &str| {
        let mut bench =
            Bench::new(&format!("drop udp any any -> any any (content:\"x\"; {option}; sid:1;)"));
        (0..4)
            .map(|n| {
                let (verdict, sids) = bench.scan(&at(n, b"x"), |scan, _| scan.packet());
                (verdict.drop == Scope::Packet, sids.len() == 1)
            })
            .collect::<Vec<_>>()
    };
    // (dropped, shown) for each of four hits.
    let (both, neither, drop) = ((true, true), (false, false), (true, false));
    assert_eq!(
        drops("threshold:type limit,track by_src,count 2,seconds 60"),
        [both, both, drop, drop]
    );
    assert_eq!(
        drops("threshold:type threshold,track by_src,count 2,seconds 60"),
        [neither, both, neither, both]
    );
    assert_eq!(
        drops("threshold:type both,track by_src,count 2,seconds 60"),
        [neither, both, drop, drop]
    );
    assert_eq!(
        drops("detection_filter:track by_src,count 2,seconds 60"),
        [neither, neither, both, both]
    );
    assert_eq!(drops("noalert"), [drop; 4]);
}

#[test]
fn a_new_set_of_rules_forgets_what_numbers_meant() {
    let rules = udp(&[
        r#"content:"set"; flowbits:set,a; flowint:n,=,1; noalert;"#,
        r#"content:"?"; flowbits:isset,a;"#,
        r#"content:"?"; flowint:n,isset;"#,
        r#"content:"x"; threshold:type limit,track by_src,count 1,seconds 60;"#,
        r#"content:"x"; threshold:type limit,track by_flow,count 1,seconds 60;"#,
    ]);
    let mut bench = Bench::new(&rules);
    assert!(bench.packet(&at(1, b"set")).is_empty());
    assert_eq!(bench.packet(&at(1, b"?")), [2, 3]);
    assert_eq!(bench.packet(&at(1, b"x")), [4, 5]);
    assert!(bench.packet(&at(1, b"x")).is_empty());
    bench.set = good(&rules);
    assert!(bench.packet(&at(1, b"?")).is_empty());
    // The table counts by sid, across sets; the flow counts by number of the rule, anew.
    assert_eq!(bench.packet(&at(1, b"x")), [5]);
    // What became of the flow stays.
    bench.set = good("pass ip any any -> any any (sid:9;)");
    assert!(bench.packet(&at(1, b"x")).is_empty());
    assert!(bench.flow.is_passed());
    bench.set = good(&rules);
    assert!(bench.packet(&at(99, b"x")).is_empty() && bench.flow.is_passed());
}
