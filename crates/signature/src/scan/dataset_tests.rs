//! Data sets, files, entropy: what is loaded, what rules change, near misses, and what is refused.

use crate::{
    AppProto, Buffer, Direction, FileFacts, LoadOptions, Note, PacketView, Report, RuleSet, Source,
    tests::{Bench, Fixed, everything, packet, segment},
};

/// "evil" and ".evil.org" in base64, digests, reputations, JSON.
fn read(_: &str, name: &str, _: u64) -> std::io::Result<Vec<u8>> {
    let text: &[u8] = match name {
        "names" => b"ZXZpbA==\n\n# none\nLmV2aWwub3Jn\n",
        "md5" => b"0CC175B9C0F1B6A831C399E269772661  a.txt\n",
        "ips" => b"10.0.0.1\n",
        "ips6" => b"::ffff:8.8.8.8\n2001:db8::1\n",
        "rep" => b"ZXZpbA==,200\n",
        "json" => br#"{"a":{"list":[{"v":{"name":"evil"},"why":1},{"other":2}]}}"#,
        "ndjson" => b"{\"v\":\"evil\",\"why\":1}\n\n{\"v\":\"bad\"}",
        "wrong" => b"\xff\xfe,?\n",
        _ => return Err(std::io::ErrorKind::NotFound.into()),
    };
    Ok(text.to_vec())
}

fn load(options: &str) -> (RuleSet, Report) {
    let text = format!("alert http any any -> any any ({options} sid:1;)");
    let source = Source { name: "a.rules".into(), text: text.into_bytes() };
    RuleSet::load(vec![source], &LoadOptions { read: Some(read), ..everything() })
}

fn bench(options: &str) -> Bench {
    let (set, report) = load(options);
    assert!(report.rejected.is_empty(), "{options}: {:?}", report.rejected);
    Bench::with(set)
}

fn fires(bench: &mut Bench, host: &str) -> bool {
    bench.state = crate::TxState::default();
    let tx = Fixed::new(AppProto::Http, &[(Buffer::HttpHost, host)]);
    bench.tx(&tx, Direction::ToServer) == [1]
}

#[test]
fn members_of_loaded_sets() {
    let cases: &[(&str, &[&str], &[&str])] = &[
        (
            "http.host; dataset:isset,n,type string,load names;",
            &["evil"],
            &["EVIL", "evi", "xevil"],
        ),
        ("http.host; dataset:isnotset,n,type string,load names;", &["good"], &["evil"]),
        (
            "http.host; dotprefix; dataset:isset,n,type string,match subdomain,load names;",
            &["evil.org", "a.b.evil.org"],
            &["notevil.org", "evil.org.x", "org"],
        ),
        ("http.host; to_md5; dataset:isset,h,type md5,load md5;", &["a"], &["b"]),
        ("http.host; datarep:r,>,100,load rep,type string;", &["evil"], &["good"]),
        ("http.host; datarep:r,<,100,load rep,type string;", &[], &["evil", "good"]),
        ("http.host; datarep:r,==,200,load rep,type string;", &["evil"], &[]),
        ("ip.src; dataset:isset,i,type ipv4,load ips; http.host; content:\"x\";", &["x"], &["y"]),
        ("ip.dst; dataset:isset,i,type ip,load ips6; http.host; content:\"x\";", &["x"], &[]),
        ("ip.dst; dataset:isset,i,type ipv4,load ips; http.host; content:\"x\";", &[], &["x"]),
        ("http.host; dataset:isset,s,type string,state none;", &[], &["evil"]),
    ];
    for (options, yes, no) in cases {
        let mut bench = bench(options);
        for (hosts, expected) in [(yes, true), (no, false)] {
            for host in *hosts {
                assert_eq!(fires(&mut bench, host), expected, "{options} on {host}");
            }
        }
    }
}

#[test]
fn rules_add_and_take_away() {
    let mut set = bench("http.host; dataset:set,n,type string,load names;");
    // What is known is no news.
    assert!(!fires(&mut set, "evil"));
    assert!(fires(&mut set, "new"));
    assert!(!fires(&mut set, "new"));
    let mut unset = bench("http.host; dataset:unset,n,type string,load names;");
    assert!(fires(&mut unset, "evil"));
    assert!(!fires(&mut unset, "evil"));
    assert!(!fires(&mut unset, "new"));
    let mut kept = bench("http.host; dataset:set,k,type string,load names,save out;");
    assert!(fires(&mut kept, "new"));
    let saved: Vec<(&str, Vec<u8>)> = kept.set.datasets_to_save(&kept.tables).collect();
    assert_eq!(saved, [("out", b"LmV2aWwub3Jn\nZXZpbA==\nbmV3\n".to_vec())]);
    assert_eq!(unset.set.datasets_to_save(&unset.tables).count(), 0);
    let long = "x".repeat(5_000);
    assert!(!fires(&mut set, &long), "values are bounded");
}

#[test]
fn contexts_of_json_stand_with_the_match() {
    let cases = [
        (
            "load json,format json,value_key v.name,array_key a.list",
            "evil",
            r#"{"v":{"name":"evil"},"why":1}"#,
        ),
        (
            "load json,format json,value_key v.name,array_key a.list,remove_key",
            "evil",
            r#"{"v":{},"why":1}"#,
        ),
        ("load ndjson,format ndjson,value_key v", "bad", r#"{"v":"bad"}"#),
    ];
    for (load, host, expected) in cases {
        let mut bench =
            bench(&format!("http.host; dataset:isset,j,type string,{load},context_key why;"));
        let tx = Fixed::new(AppProto::Http, &[(Buffer::HttpHost, host)]);
        let view = segment(0x10, b"");
        let mut scan = crate::Scan::begin(
            &bench.set,
            &bench.tables,
            &mut bench.scratch,
            &view,
            Some(&mut bench.flow),
        );
        scan.transaction(&tx, &mut bench.state, Direction::ToServer);
        let found = scan.finish().matches[0];
        let note = found.notes[0].unwrap();
        assert_eq!(bench.set.context(note), Some(("why", expected)), "{load}");
        assert_eq!(bench.set.context(Note::Context { set: 9, context: 0 }), None);
    }
}

#[test]
fn what_cannot_be_loaded_is_refused() {
    for options in [
        "dataset:isset,n,type string,load names;",
        "http.host; dataset:isset,n,load names;",
        "http.host; dataset:isset,n,type string,load missing;",
        "http.host; dataset:isset,n,type string,load wrong;",
        "http.host; dataset:isset,n,type md5,load names;",
        "http.host; dataset:isset,n,type string,load names,format json,value_key v;",
        "http.host; dataset:isset,n,type string,load json,format json;",
        "http.host; dataset:set,n,type string,match subdomain;",
        "http.host; dataset:isset,n,type string,nonsense;",
        "http.host; dataset:isset,n,type string; dataset:isset,n,type md5;",
        "http.host; datarep:r,~,100,load rep,type string;",
        "http.host; datarep:r,>,100,load names,type string;",
        "filemd5:missing;",
        "filemd5:names;",
        "filestore:sideways;",
        "filesize:>1XB;",
        "http.host; entropy: value > 9;",
        "http.host; content:\"a\"; xor:\"\";",
        "http.host; subslice: x;",
        "http.host; from_base64: mode odd;",
        "http.host; gunzip: max-size 0;",
        "http.host; pcrexform:\"none\";",
        "requires: version >= 10; content:\"x\";",
        "requires: keyword nosuch;",
        "requires: foo bar;",
        "flowbits:isset,a; flowbits:isnotset,a;",
    ] {
        let (set, report) = load(options);
        assert_eq!((set.len(), report.rejected.len()), (0, 1), "{options}");
    }
    assert_eq!(load("requires: version >= 10;").1.skipped(), 1);
    assert_eq!(load("nonsense;").1.skipped(), 0);
}

/// Whether a rule fires on a transaction with these files.
fn on_files(options: &str, files: &[FileFacts<'static>], complete: bool) -> bool {
    let mut bench = bench(options);
    let mut tx = Fixed::new(AppProto::Http, &[]);
    tx.complete = complete;
    tx.files = files.to_vec();
    bench.tx(&tx, Direction::ToClient) == [1]
}

#[test]
fn tests_of_files_hold_for_one_file() {
    let a = FileFacts {
        name: b"dir/Report.PDF",
        size: 2_048,
        md5: Some(*b"\x0c\xc1\x75\xb9\xc0\xf1\xb6\xa8\x31\xc3\x99\xe2\x69\x77\x26\x61"),
        complete: true,
        magic: Some("PDF document, version 1.4"),
        ..FileFacts::default()
    };
    let b = FileFacts { name: b"pdf", size: 9, complete: true, ..FileFacts::default() };
    let growing = FileFacts { complete: false, md5: None, ..a };
    let cut = FileFacts { truncated: true, complete: true, md5: None, ..a };
    let cases: &[(&str, FileFacts<'static>, bool)] = &[
        ("fileext:\"pdf\";", a, true),
        ("fileext:\"pdf\";", b, false),
        ("fileext:!\"pdf\";", b, true),
        ("filename:\"report\";", a, true),
        ("filename:!\"report\";", a, false),
        ("filesize:2048;", a, true),
        ("filesize:2KB;", a, true),
        ("filesize:1KB<>3KB;", a, true),
        ("filesize:<2KiB;", a, false),
        ("filesize:>2000;", growing, true),
        ("filesize:<9000;", growing, false),
        ("filesize:<9000;", cut, false),
        ("filesize:>=2048;", cut, true),
        ("filemd5:md5;", a, true),
        ("filemd5:md5;", b, false),
        ("filemd5:!md5;", a, false),
        ("filemd5:md5;", growing, false),
        ("filemagic:\"pdf document\";", a, true),
        ("filemagic:\"pdf document\";", b, false),
        ("filestore;", a, true),
        ("filestore; fileext:\"pdf\"; filesize:9;", a, false),
    ];
    for (options, file, expected) in cases {
        assert_eq!(on_files(options, &[*file], true), *expected, "{options} {file:?}");
    }
    // The tests of a rule must all hold for the same file, which may be a later one.
    assert!(!on_files("filesize:9; fileext:\"pdf\";", &[a, b], true));
    assert!(on_files("filesize:9; filename:\"pdf\";", &[a, b], true));
    assert!(!on_files("filestore;", &[], true));
}

#[test]
fn a_file_that_grows_is_asked_again() {
    let mut bench = bench("filesize:100;");
    let mut tx = Fixed::new(AppProto::Http, &[]);
    tx.complete = false;
    let file = FileFacts { size: 100, ..FileFacts::default() };
    tx.files = vec![file];
    assert!(bench.tx(&tx, Direction::ToClient).is_empty());
    tx.files = vec![FileFacts { complete: true, ..file }];
    assert_eq!(bench.tx(&tx, Direction::ToClient), [1]);
    assert!(bench.tx(&tx, Direction::ToClient).is_empty(), "once");
    assert_eq!(bench.tx(&tx, Direction::ToServer), [1], "each direction has files of its own");
}

#[test]
fn entropy_is_measured_where_it_is_asked() {
    let mixed: Vec<u8> = (0..=255).collect();
    let half = [vec![0; 64], mixed.clone()].concat();
    let cases: &[(&str, &[u8], bool)] = &[
        ("entropy: value = 8;", &mixed, true),
        ("entropy: 8;", &mixed, true),
        ("entropy: value < 8;", &mixed, false),
        ("entropy: value = 0;", b"aaaa", true),
        ("entropy: value = 1;", b"abab", true),
        ("entropy: value 0.5-1.5;", b"abab", true),
        ("entropy: value !0.5-1.5;", b"abab", false),
        ("entropy: value != 1;", b"abab", false),
        ("entropy: offset 64, value >= 8;", &half, true),
        ("entropy: bytes 64, value = 0;", &half, true),
        ("entropy: value >= 8;", &half, false),
        ("entropy: offset 9, value >= 0;", b"abab", false),
    ];
    for (options, payload, expected) in cases {
        let found = crate::tests::payload_matches(options, payload);
        assert_eq!(found, *expected, "{options}");
    }
}

#[test]
fn a_rule_on_the_protocol_alone_fires_when_it_is_known() {
    let rule = "alert tcp any any -> any any (app-layer-protocol:tls; sid:1;)";
    let mut bench = Bench::new(rule);
    let with = |app| {
        let mut view = PacketView { ..segment(0x10, b"x") };
        view.flow = Some(crate::FlowView { app, ..crate::FlowView::default() });
        view
    };
    assert!(bench.packet(&with(AppProto::Unknown)).is_empty());
    assert_eq!(bench.packet(&with(AppProto::Tls)), [1]);
    assert!(bench.packet(&with(AppProto::Tls)).is_empty(), "once");
    assert!(bench.packet(&with(AppProto::Http)).is_empty());
    assert_eq!(bench.packet(&with(AppProto::Tls)), [1], "changed again");
}

#[test]
fn unique_ports_count_once() {
    let rule = "alert udp any any -> any any (detection_filter:track by_src, count 1, \
                seconds 60, unique_on src_port; sid:1;)";
    let mut bench = Bench::new(rule);
    let mut from = |port: u16| bench.packet(&PacketView { src_port: Some(port), ..packet(b"") });
    assert!(from(1).is_empty());
    assert!(from(1).is_empty());
    assert_eq!(from(2), [1]);
    assert!(
        Bench::new("alert udp any any -> any any (tag:session; sid:1;)")
            .packet(&packet(b""))
            .contains(&1)
    );
    let (_, report) = crate::tests::load(
        "alert udp any any -> any any (detection_filter:track by_src, count 257, seconds 1, unique_on dst_port; sid:1;)",
    );
    assert_eq!(report.rejected.len(), 1);
}

#[test]
fn pieces_that_overlap_match_once() {
    let mut bench = Bench::new("alert tcp any any -> any any (content:\"EICAR\"; sid:1;)");
    assert_eq!(bench.stream(Direction::ToServer, 0, b"..EICAR"), [1]);
    // The same bytes again, with new ones behind them.
    assert!(bench.stream(Direction::ToServer, 2, b"EICAR....").is_empty());
    assert!(bench.stream(Direction::ToServer, 2, b"EICAR").is_empty());
    assert_eq!(bench.stream(Direction::ToServer, 2, b"EICAR....EICAR"), [1], "a second one");
    assert_eq!(bench.stream(Direction::ToClient, 0, b"..EICAR"), [1], "the other direction");
    // A match across the border of the pieces is new when there was none before.
    let mut bench = Bench::new("alert tcp any any -> any any (content:\"EICAR\"; sid:1;)");
    assert!(bench.stream(Direction::ToServer, 0, b"..EIC").is_empty());
    assert_eq!(bench.stream(Direction::ToServer, 0, b"..EICAR"), [1]);
}

#[test]
fn a_direction_is_a_match_of_its_own_and_config_is_no_alert() {
    let tx = Fixed::new(AppProto::Http, &[(Buffer::HttpHeader, "x")]);
    let mut bench = bench("http.header; content:\"x\";");
    assert_eq!(bench.tx(&tx, Direction::ToServer), [1]);
    assert_eq!(bench.tx(&tx, Direction::ToClient), [1]);
    assert!(bench.tx(&tx, Direction::ToClient).is_empty());
    let rules = "config http any any -> any any (http.header; content:\"x\"; \
                 config:logging disable, type tx, scope tx; sid:1;)
                 pass http any any -> any any (http.header; content:\"x\"; alert; sid:2;)";
    let set = crate::tests::good(rules);
    let first = set.rule(crate::RuleId(1)).unwrap();
    assert_eq!((first.sid, first.action), (1, crate::Action::Config), "runs last");
    for bad in [
        "config http any any -> any any (http.header; content:\"x\"; sid:1;)",
        "alert http any any -> any any (http.header; content:\"x\"; config:logging disable, type tx, scope tx; sid:1;)",
        "config http any any -> any any (http.header; content:\"x\"; config:logging disable, type flow, scope tx; sid:1;)",
    ] {
        assert_eq!(crate::tests::load(bad).1.rejected.len(), 1, "{bad}");
    }
}
