//! Every cap of the scan reached, and counted: work per buffer, half-matched rules, instances, state of a flow,
//! the prefilter's budget.

use crate::{
    AppProto, Buffer, Direction,
    tests::{Bench, Fixed, naive, packet, sids},
};

#[test]
fn backtracking_stops_at_its_budget() {
    let chain = |links: usize| {
        format!(
            r#"alert udp any any -> any any (content:"a"; {} content:"b"; distance:0; within:1; sid:1;)"#,
            r#"content:"a"; distance:0; "#.repeat(links)
        )
    };
    // 8 starts of 8, 7, 6, ... followers: hundreds of steps, within the budget.
    let mut bench = Bench::new(&chain(2));
    assert!(bench.packet(&packet(b"aaaaaaaac b")).is_empty());
    assert_eq!(bench.scratch.cut_short(), (0, 0));
    let mut bench = Bench::new(&chain(12));
    let mut bomb = vec![b'a'; 4_000];
    bomb.push(b'-');
    bomb.push(b'b');
    for hits in 1..4 {
        assert!(bench.packet(&packet(&bomb)).is_empty());
        assert_eq!(bench.scratch.cut_short(), (hits, 0));
    }
    // What matches at once matches, however long the chain and the payload are.
    bomb.splice(13.., *b"b");
    assert_eq!(bench.packet(&packet(&bomb)), [1]);
    assert_eq!(bench.scratch.cut_short(), (3, 0));
}

#[test]
fn one_rules_bomb_costs_no_other_rule_its_turn() {
    let mut rules = String::from(r#"alert udp any any -> any any (content:"a"; "#);
    rules.push_str(&r#"content:"a"; distance:0; "#.repeat(10));
    rules.push_str("content:\"zz\"; distance:0; sid:1;)\nalert udp any any -> any any (content:\"a\"; content:\"-\"; distance:0; sid:2;)");
    let mut bomb = vec![b'a'; 2_000];
    bomb.extend_from_slice(b"-z");
    // Each rule has its own budget; the prefilter is out of the way.
    let mut bench = Bench::with(naive(&rules));
    assert_eq!(bench.packet(&packet(&bomb)), [2]);
    assert_eq!(bench.scratch.cut_short(), (1, 0));
}

#[test]
fn what_follows_a_content_shares_its_budget() {
    // Each place of the content is a place to look for the rest: by expression, by number, by variable.
    for rest in [
        r#"pcre:"/[^a]x/R";"#,
        r#"pcre:"/(.)\1x/R";"#,
        r#"byte_test:1,>,200,0,relative;"#,
        r#"byte_jump:1,0,relative; content:"x"; within:1;"#,
        r#"byte_extract:1,0,n,relative; content:"x"; distance:n; within:1;"#,
        r#"isdataat:9000,relative;"#,
        r#"content:!"a"; within:1; content:"x"; distance:0;"#,
    ] {
        let rule = format!(r#"alert udp any any -> any any (content:"a"; {rest} sid:1;)"#);
        let mut bench = Bench::with(naive(&rule));
        assert!(bench.packet(&packet(&[b'a'; 8_000])).is_empty(), "{rest}");
        let (budget, expressions) = bench.scratch.cut_short();
        assert_eq!((budget, bench.scratch.stats().inspections), (1, 1), "{rest}");
        assert!(expressions <= 3_000, "{rest}");
    }
}

#[test]
fn half_matched_rules_of_one_transaction() {
    let rules: String = (1..=600)
        .map(|sid| format!("alert http any any -> any any (http.uri; content:\"/x\"; http.request_body; content:\"body{sid}!\"; fast_pattern; sid:{sid};)\n"))
        .collect();
    let mut bench = Bench::new(&rules);
    let mut tx = Fixed::new(AppProto::Http, &[(Buffer::HttpUri, "/x")]);
    tx.complete = false;
    // The patterns of the bodies are the better ones: only a body makes a candidate.
    assert!(bench.tx(&tx, Direction::ToServer).is_empty());
    assert_eq!(bench.scratch.stats().partials_lost, 0);
    tx.put((Buffer::HttpRequestBody, Direction::ToServer, 0), b"body600!", (0, false));
    assert_eq!(bench.tx(&tx, Direction::ToServer), [600]);

    let rules: String = (1..=600)
        .map(|sid| format!("alert http any any -> any any (http.uri; content:\"/a-long-path\"; fast_pattern; http.request_body; content:\"b{sid}!\"; sid:{sid};)\n"))
        .collect();
    let mut bench = Bench::new(&rules);
    let mut tx = Fixed::new(AppProto::Http, &[(Buffer::HttpUri, "/a-long-path")]);
    tx.complete = false;
    assert!(bench.tx(&tx, Direction::ToServer).is_empty());
    assert_eq!(bench.scratch.stats().partials_lost, 600 - 512);
    // Those that were kept go on.
    tx.put((Buffer::HttpRequestBody, Direction::ToServer, 0), b"b1! b600!", (0, true));
    tx.complete = true;
    assert_eq!(bench.tx(&tx, Direction::ToServer), [1]);
}

#[test]
fn instances_of_one_buffer() {
    let mut bench = Bench::new(
        "alert dns any any -> any any (dns.query; content:\"needle\"; sid:1;)\n\
         alert dns any any -> any any (dns.query; pcre:\"/^nee+dle$/\"; sid:2;)",
    );
    for (before, found, counted) in
        [(0, vec![1, 2], 0), (1_023, vec![1, 2], 0), (1_024, vec![], 1), (5_000, vec![], 2)]
    {
        bench.state = crate::TxState::default();
        let mut tx = Fixed::new(AppProto::Dns, &[]);
        for instance in 0..before {
            tx.put((Buffer::DnsQuery, Direction::ToServer, instance), b"hay", (0, true));
        }
        tx.put((Buffer::DnsQuery, Direction::ToServer, before), b"needle", (0, true));
        assert_eq!(bench.tx(&tx, Direction::ToServer), found, "after {before} others");
        assert_eq!(bench.scratch.stats().instances_beyond, counted, "after {before} others");
    }
}

#[test]
fn counters_and_thresholds_of_one_flow() {
    let rules: String = (1..=1_100)
        .map(|sid| format!("alert udp any any -> any any (content:\"x\"; flowint:n{sid},+,1; noalert; sid:{sid};)\n"))
        .collect();
    let mut bench = Bench::new(&format!(
        "{rules}alert udp any any -> any any (content:\"?\"; flowint:n1,>,0; sid:5000;)\nalert udp any any -> any any (content:\"?\"; flowint:n1100,isset; sid:5001;)"
    ));
    assert!(bench.packet(&packet(b"x")).is_empty());
    assert_eq!(bench.scratch.stats().flow_state_full, 1_100 - 1_024);
    assert_eq!(bench.packet(&packet(b"?")), [5_000]);
    // Counters that exist go on counting in a full flow.
    assert!(bench.packet(&packet(b"x")).is_empty());
    assert_eq!(bench.scratch.stats().flow_state_full, 2 * (1_100 - 1_024));

    let rules: String = (1..=1_030)
        .map(|sid| format!("alert udp any any -> any any (content:\"x\"; threshold:type limit,track by_flow,count 1,seconds 60; sid:{sid};)\n"))
        .collect();
    let mut bench = Bench::new(&rules);
    assert_eq!(bench.packet(&packet(b"x")).len(), 15);
    assert_eq!(bench.scratch.stats().flow_state_full, 6);
    // The six without room alert again; nothing is lost for want of memory.
    assert_eq!(bench.packet(&packet(b"x")), [1_025, 1_026, 1_027, 1_028, 1_029, 1_030]);
}

#[test]
fn a_flood_of_candidates_goes_to_the_bounded_engine() {
    let rules: String = (0..2_000)
        .map(|n| {
            format!("alert udp any any -> any any (content:\"qqqqqqqq{n:05}\"; sid:{};)\n", n + 1)
        })
        .collect();
    let mut bench = Bench::new(&rules);
    assert_eq!(bench.packet(&packet(b"ordinary qqqqqqqq00041 traffic")), [42]);
    assert_eq!(bench.scratch.prefilter_stats().fallbacks, 0);
    // Every end of a pattern over and over: each offset looks at many entries.
    let mut flood: Vec<u8> =
        (0..8_000_u32).flat_map(|n| format!("{:05}", n % 2_000).into_bytes()).collect();
    flood.extend_from_slice(b"qqqqqqqq01999");
    let expected = bench.packet(&packet(b"qqqqqqqq01999"));
    assert_eq!(expected, [2_000]);
    assert_eq!(bench.packet(&packet(&flood)), expected);
    let same: String = (4..300)
        .map(|n| {
            format!("alert udp any any -> any any (content:\"{}\"; sid:{n};)\n", "z".repeat(n))
        })
        .collect();
    let (mut with, mut without) = (Bench::new(&same), Bench::with(naive(&same)));
    let flood = vec![b'z'; 3_000];
    assert_eq!(with.packet(&packet(&flood)), without.packet(&packet(&flood)));
    assert_eq!(with.scratch.prefilter_stats().fallbacks, 1);
    assert_eq!(with.scratch.stats().beyond_limit, 296 - 15);
}

#[test]
fn counters_add_up_over_packets_and_sets() {
    let mut bench = Bench::new("alert udp any any -> any any (content:\"abcd\"; sid:1;)");
    for _ in 0..3 {
        assert_eq!(bench.packet(&packet(b"abcd")), [1]);
        assert!(bench.packet(&packet(b"nothing")).is_empty());
    }
    assert_eq!(
        bench.scratch.stats().inspections,
        3,
        "what the prefilter excludes is not inspected"
    );
    assert_eq!(bench.scratch.prefilter_stats().bytes, 3 * (4 + 7));
    // The scratch of one set serves another.
    bench.set = crate::tests::good("alert udp any any -> any any (content:\"efgh\"; sid:2;)");
    assert_eq!(bench.packet(&packet(b"abcdefgh")), [2]);
    assert!(sids(&bench.set, &[]).is_empty());
}
