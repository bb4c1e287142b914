//! `iprep` and `geoip`: what they mean on packets, streams and transactions, and how rules are refused.

use std::net::IpAddr;

use expect_test::expect;

use crate::{
    AddressFiles, AppProto, Buffer, ChunkView, Direction, IpFields, LoadOptions, PacketView,
    RuleSet, Source,
    load::small_database,
    tests::{Bench, Fixed, answer, everything, packet, reasons, tcp_packet},
};

fn source(name: &str, text: impl Into<Vec<u8>>) -> Source {
    Source { name: name.to_owned(), text: text.into() }
}

/// 10.0.0.1 has 50 as a bad host, 10.0.0.0/8 20; 8.8.8.8 has 0, 9.0.0.0/8 100; countries of
/// [`small_database`].
fn files() -> AddressFiles {
    let scores = "10.0.0.1,1,50\n10.0.0.0/8,1,20\n8.8.8.8,1,0\n9.0.0.0/8,1,100\n2001:db8::1,1,90\n9.9.9.9,2,1\n";
    AddressFiles {
        categories: Some(source("cat.txt", "1,BadHosts,bad\n2,Good,good\n")),
        reputation: vec![source("rep.list", scores)],
        countries: Some(source("c.mmdb", small_database())),
    }
}

fn options() -> LoadOptions {
    LoadOptions { addresses: files(), ..everything() }
}

fn bench(rules: &str) -> Bench {
    let (set, report) = RuleSet::load(vec![source("r", rules)], &options());
    assert!(report.rejected.is_empty(), "{:?}", report.rejected);
    Bench::with(set)
}

fn between<'a>(src: &str, dst: &str) -> PacketView<'a> {
    let (src, dst): (IpAddr, IpAddr) = (src.parse().unwrap(), dst.parse().unwrap());
    let version = if src.is_ipv4() { 4 } else { 6 };
    PacketView { src, dst, ip: IpFields { version, ..IpFields::default() }, ..packet(b"payload") }
}

/// Whether a packet between two hosts matches each keyword.
fn check(src: &str, dst: &str, cases: &[(&str, bool)]) {
    for (keyword, expected) in cases {
        for header in ["udp any any -> any any", "ip any any -> any any"] {
            let mut bench = bench(&format!("alert {header} ({keyword}; sid:1;)"));
            assert_eq!(
                bench.stray(&between(src, dst)) == [1],
                *expected,
                "{header} {keyword} {src} {dst}"
            );
        }
    }
}

#[test]
fn every_operator_on_a_score() {
    check(
        "10.0.0.1",
        "1.1.1.1",
        &[
            ("iprep:src,BadHosts,>,49", true),
            ("iprep:src,BadHosts,>,50", false),
            ("iprep:src,BadHosts,<,51", true),
            ("iprep:src,BadHosts,<,50", false),
            ("iprep:src,BadHosts,=,50", true),
            ("iprep:src,BadHosts,=,20", false),
            ("iprep:src,BadHosts,>=,50", true),
            ("iprep:src,BadHosts,>=,51", false),
            ("iprep:src,BadHosts,<=,50", true),
            ("iprep:src,BadHosts,<=,49", false),
            ("iprep:src,BadHosts,!=,20", true),
            ("iprep:src,BadHosts,!=,50", false),
            ("iprep:src,BadHosts,isset", true),
            ("iprep:src,BadHosts,isnotset", false),
            // Without a score no comparison holds.
            ("iprep:dst,BadHosts,<,127", false),
            ("iprep:dst,BadHosts,>=,0", false),
            ("iprep:dst,BadHosts,!=,5", false),
            ("iprep:dst,BadHosts,isset", false),
            ("iprep:dst,BadHosts,isnotset", true),
            // A score in one category is none in another.
            ("iprep:src,Good,isset", false),
            (" iprep : src , BadHosts , > , 49 ", true),
        ],
    );
}

#[test]
fn any_both_and_a_score_of_nothing() {
    check(
        "10.0.0.2",
        "9.9.9.9",
        &[
            ("iprep:any,BadHosts,=,20", true),
            ("iprep:any,BadHosts,=,100", true),
            ("iprep:any,BadHosts,=,50", false),
            ("iprep:both,BadHosts,>,10", true),
            ("iprep:both,BadHosts,>,20", false),
            ("iprep:both,BadHosts,isset", true),
            ("iprep:both,Good,isset", false),
            ("iprep:any,Good,isset", true),
            ("iprep:any,Good,isnotset", true),
            ("iprep:both,Good,isnotset", false),
            ("iprep:any,BadHosts,isnotset", false),
        ],
    );
    check(
        "8.8.8.8",
        "1.1.1.1",
        &[
            ("iprep:src,BadHosts,isset", true),
            ("iprep:src,BadHosts,=,0", true),
            ("iprep:any,BadHosts,<,1", true),
            ("iprep:both,BadHosts,<,1", false),
            ("iprep:both,Good,isnotset", true),
        ],
    );
    check(
        "2001:db8::1",
        "2001:db8::2",
        &[("iprep:src,BadHosts,=,90", true), ("iprep:dst,BadHosts,isset", false)],
    );
}

#[test]
fn countries_of_either_end() {
    check(
        "10.2.0.1",
        "10.1.0.1",
        &[
            ("geoip:src,CH", true),
            ("geoip:src,US", false),
            ("geoip:dst,CH,US", true),
            ("geoip:any,US", true),
            ("geoip:US", true),
            ("geoip:!US", true),
            ("geoip:both,US", false),
            ("geoip:both,US,CH", true),
            ("geoip:both,!US", false),
            ("geoip:both,!CN", true),
            ("geoip:src,!CH", false),
            ("geoip:src,!US,DE", true),
            ("geoip:src,US,!DE", true),
            ("geoip: any, DE, FR", false),
        ],
    );
    // Of no known country: neither in one nor outside of one.
    check(
        "1.1.1.1",
        "172.16.0.1",
        &[("geoip:any,CH", false), ("geoip:any,!CH", false), ("geoip:!CH", false)],
    );
    check(
        "2001:db8::1",
        "2001:db9::1",
        &[("geoip:src,US", true), ("geoip:dst,T1", true), ("geoip:both,!CH", true)],
    );
}

#[test]
fn a_reputation_is_asked_once_a_flow_and_direction_a_country_always() {
    let mut bench = bench(
        "alert ip any any -> any any (iprep:src,BadHosts,=,50; sid:1;)\n\
         alert ip any any -> any any (iprep:dst,BadHosts,=,50; sid:2;)\n\
         alert ip any any -> any any (flow:to_server; iprep:src,BadHosts,=,50; sid:3;)\n\
         alert udp any any -> any any (dsize:7; iprep:src,BadHosts,=,50; sid:4;)\n\
         alert ip any any -> any any (geoip:src,CH; sid:5;)\n\
         alert ip 10.0.0.2 any -> any any (iprep:src,BadHosts,isset; sid:6;)",
    );
    let there = between("10.0.0.1", "8.8.8.8");
    assert_eq!(bench.packet(&there), [1, 3, 4, 5]);
    assert_eq!(bench.packet(&there), [3, 4, 5]);
    assert_eq!(bench.packet(&answer(there)), [2]);
    assert!(bench.packet(&answer(there)).is_empty());
    let made_up = PacketView { pseudo: true, ..there };
    assert_eq!(bench.packet(&made_up), [3]);
}

#[test]
fn packets_without_addresses_have_no_reputation() {
    let mut bench = bench(
        "alert pkthdr any any -> any any (iprep:src,BadHosts,isnotset; sid:1;)\n\
         alert pkthdr any any -> any any (geoip:!CH; sid:2;)\n\
         alert pkthdr any any -> any any (sid:3;)",
    );
    let bare =
        PacketView { ip: IpFields::default(), link_header: &[0; 14], is_arp: true, ..packet(b"x") };
    assert_eq!(bench.stray(&bare), [3]);
    assert_eq!(bench.stray(&between("10.1.0.1", "10.1.0.2")), [2, 3]);
}

#[test]
fn streams_and_transactions_are_those_of_their_sender() {
    let mut streams = bench(
        "alert tcp any any -> any any (content:\"request\"; iprep:src,BadHosts,=,50; geoip:src,CH; sid:1;)\n\
         alert tcp any any -> any any (content:\"answer\"; iprep:dst,BadHosts,=,50; geoip:dst,CH; sid:2;)\n\
         alert tcp any any -> any any (content:\"answer\"; iprep:src,BadHosts,=,50; sid:3;)",
    );
    // The server's acknowledgement completes the client's data.
    let acknowledged = answer(tcp_packet());
    let chunk = |direction, data| ChunkView { direction, offset: 0, data, last: false };
    let found = streams.scan(&acknowledged, |scan, _| {
        scan.stream(&chunk(Direction::ToServer, b"request"));
        scan.stream(&chunk(Direction::ToClient, b"answer"));
    });
    assert_eq!(found.1, [1, 2]);
    let mut pages = bench(
        "alert http any any -> any any (http.uri; content:\"/x\"; iprep:src,BadHosts,=,50; sid:1;)\n\
         alert http any any -> any any (http.uri; content:\"/x\"; iprep:dst,BadHosts,>,0; sid:2;)",
    );
    let request = Fixed::new(AppProto::Http, &[(Buffer::HttpUri, "/x")]);
    let found = pages.scan(&acknowledged, |scan, state| {
        scan.transaction(&request, state, Direction::ToServer);
    });
    assert_eq!(found.1, [1]);
}

/// Each keyword in a rule of its own, and why it is refused.
fn refused(keywords: &[&str], options: &LoadOptions) -> String {
    let rule = |keyword: &&str| format!("alert ip any any -> any any ({keyword}; sid:1;)\n");
    reasons(keywords.iter().map(rule).collect::<String>().as_bytes(), options)
}

#[test]
fn keywords_that_are_not_understood() {
    expect![[r#"
        0 accepted
        1:30 sid 1: iprep: needs a value: ""
        2:30 sid 1: iprep: expected side,category,operator,score or side,category,isset: "src"
        3:30 sid 1: iprep: expected side,category,operator,score or side,category,isset: "src,BadHosts"
        4:30 sid 1: iprep: expected side,category,operator,score or side,category,isset: "src,BadHosts,>"
        5:30 sid 1: iprep: the side is none of src, dst, any, both: "source,BadHosts,>,1"
        6:30 sid 1: iprep: the operator is none of < > = <= >= !=: "src,BadHosts,=>,1"
        7:30 sid 1: iprep: the score is not from 0 to 127: "src,BadHosts,>,128"
        8:30 sid 1: iprep: the score is not from 0 to 127: "src,BadHosts,>,-1"
        9:30 sid 1: iprep: the score is not from 0 to 127: "src,BadHosts,>,"
        10:30 sid 1: iprep: the score is not from 0 to 127: "src,BadHosts,>,0x10"
        11:30 sid 1: iprep: no such category in cat.txt, did you mean BadHosts?: "BadHost"
        12:30 sid 1: iprep: no such category in cat.txt: "Zombies"
        13:30 sid 1: iprep: the operator is none of < > = <= >= !=: "src,BadHosts,isset,1"
        14:30 sid 1: geoip: needs a value: ""
        15:30 sid 1: geoip: expected 1 to 64 countries: "src"
        16:30 sid 1: geoip: expected src, dst, any or both, then codes of countries in capitals, as US: "src,us"
        17:30 sid 1: geoip: expected src, dst, any or both, then codes of countries in capitals, as US: "source,US"
        18:30 sid 1: geoip: expected src, dst, any or both, then codes of countries in capitals, as US: "src,US,"
        19:30 sid 1: geoip: expected src, dst, any or both, then codes of countries in capitals, as US: "src,!"
        20:30 sid 1: geoip: expected src, dst, any or both, then codes of countries in capitals, as US: "src,USA"
    "#]]
    .assert_eq(&refused(
        &[
            "iprep",
            "iprep:src",
            "iprep:src,BadHosts",
            "iprep:src,BadHosts,>",
            "iprep:source,BadHosts,>,1",
            "iprep:src,BadHosts,=>,1",
            "iprep:src,BadHosts,>,128",
            "iprep:src,BadHosts,>,-1",
            "iprep:src,BadHosts,>,",
            "iprep:src,BadHosts,>,0x10",
            "iprep:src,BadHost,>,1",
            "iprep:src,Zombies,>,1",
            "iprep:src,BadHosts,isset,1",
            "geoip",
            "geoip:src",
            "geoip:src,us",
            "geoip:source,US",
            "geoip:src,US,",
            "geoip:src,!",
            "geoip:src,USA",
        ],
        &options(),
    ));
    let many = format!("geoip:src,{}US", "US,".repeat(64));
    assert!(refused(&[&many], &options()).contains("expected 1 to 64 countries"));
}

#[test]
fn rules_that_lack_a_file_say_which() {
    let keywords = ["iprep:src,BadHosts,isset", "geoip:src,CH"];
    expect![[r#"
        0 accepted
        1:30 sid 1: keyword "iprep" is not evaluated: no file of categories is loaded; set rules.reputation.categories
        2:30 sid 1: keyword "geoip" is not evaluated: no database of countries is loaded; set rules.geoip_database
    "#]]
    .assert_eq(&refused(&keywords, &everything()));
    let mut without = options();
    without.addresses.reputation.clear();
    expect![[r#"
        0 accepted
        1:30 sid 1: keyword "iprep" is not evaluated: no file of reputations is loaded; set rules.reputation.files
    "#]]
    .assert_eq(&refused(&keywords[..1], &without));
    let mut broken = options();
    broken.addresses.countries = Some(source("c.mmdb", "none"));
    let told = refused(&keywords[1..], &broken);
    assert!(
        told.contains("not a usable database of countries")
            && told.contains("set rules.geoip_database"),
        "{told}"
    );
}
