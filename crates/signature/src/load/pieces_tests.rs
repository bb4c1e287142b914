//! One thread against several: the same set, the same report, the same matches.

use std::num::NonZero;

use proptest::prelude::*;

use super::{load_in_pieces, pieces};
use crate::{
    AddressFiles, LoadOptions, Report, RuleSet, Source, parse,
    tests::{everything, on_packet, packet, segment},
};

/// Rules of all kinds that share numbered values with others, and what is none; `@` stands for a number.
const LINES: &[&str] = &[
    "alert udp any any -> any any (content:\"word@\"; sid:1@;)",
    "alert tcp any any -> any 80 (content:\"Word@\"; nocase; content:\"tail\"; distance:@; sid:2@; rev:@;)",
    "alert tcp [10.0.0.@,192.168.0.0/16] any -> !10.0.0.@ [80@,443] (flags:S; sid:3@;)",
    "alert udp any any -> any any (content:\"word@\"; flowbits:set,bit@; flowbits:noalert; sid:4@;)",
    "alert udp any any -> any any (flowbits:isset,bit1|bit@; flowbits:isnotset,other@; content:\"a@\"; sid:5@;)",
    "alert udp any any -> any any (xbits:set,host@,track ip_src; hostbits:isset,h@,src; content:\"b@\"; sid:6@;)",
    "alert udp any any -> any any (flowint:count@,+,other@; flowint:count@,>,@; content:\"c@\"; sid:7@;)",
    "alert http any any -> any any (http.uri; content:\"/u@\"; pcre:\"/a@+$/\"; pcre:\"/b/R\"; sid:8@;)",
    "alert http any any -> any any (http.uri; xor:\"0a0@\"; content:\"x@\"; sid:9@;)",
    "alert http any any -> any any (http.host; pcrexform:\"(a@)\"; content:\"y@\"; sid:10@;)",
    "alert tls any any -> any any (tls.sni; dotprefix; content:\".e@.org\"; endswith; sid:11@;)",
    "alert udp any any -> any any (content:\"go@\"; base64_decode:relative; base64_data; content:\"in@\"; sid:12@;)",
    "alert dns any any -> any any (dns.query; dataset:isset,names@,type string,load list@; sid:13@;)",
    "alert dns any any -> any any (dns.query; content:\"q@\"; dataset:isset,names@,type md5; sid:14@;)",
    "alert http any any -> any any (content:\"f@\"; filemd5:list@; sid:15@;)",
    "alert udp any any -> any any (content:\"gone@\"; flowbits:set,gone@; lua:x; sid:16@;)",
    "alert udp any any -> any any (content:\"gone@\"; \\\n  pcre:\"/(@/\"; \\\n sid:17@;)",
    "alert udp any any -> any any \\\n (content:\"word@\"; \\\n sid:18@; rev:@;)",
    "alert udp $NO_SUCH any -> any any (sid:19@;)",
    "alert udp any any -> any any (content:\"word@\"; dsize:@; threshold:type limit,track by_src,count 1,seconds @; sid:20@;)",
    "drop ip any any -> 1.2.3.@ any (sid:21@;)",
    "alert udp any any -> any 53 (content:\"|0@ 00|\"; offset:2; depth:2; sid:22@;)",
    "alert udp any any -> any any (iprep:src,C@,isset; content:\"word@\"; sid:23@;)",
    "alert udp any any -> any any (geoip:src,US; content:\"word@\"; sid:24@;)",
    "broken @",
    "# alert udp any any -> any any (sid:@;) \\",
    "",
    "\\",
];

/// A file that a rule names; the third is missing.
fn read(_: &str, name: &str, _: u64) -> std::io::Result<Vec<u8>> {
    match name {
        "list1" => Ok(b"YQ==\nYmI=\n".to_vec()),
        "list2" => Ok(b"900150983cd24fb0d6963f7d28e17f72\n".to_vec()),
        _ => Err(std::io::Error::from(std::io::ErrorKind::NotFound)),
    }
}

/// Lines by number, each file's number of them, the number put in.
fn text(lines: &[(usize, u8)]) -> Vec<u8> {
    let line = |(kind, number): &(usize, u8)| {
        LINES[kind % LINES.len()].replace('@', &number.to_string()) + "\n"
    };
    lines.iter().map(line).collect::<String>().into_bytes()
}

fn load(sources: &[Source], options: &LoadOptions, threads: usize) -> (RuleSet, Report) {
    let options = LoadOptions { threads: NonZero::new(threads), ..options.clone() };
    load_in_pieces(sources.to_vec(), &options, 1)
}

/// All of a set but for what tells it from others, sorted: tables by hash have no order.
fn image(set: &RuleSet) -> Vec<String> {
    let told = ["generation: ", "lineage: "];
    let all = format!("{set:#?}");
    let lines = all.lines().filter(|line| !told.iter().any(|word| line.contains(word)));
    let mut lines: Vec<String> = lines.map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

fn same(sources: &[Source], options: &LoadOptions, threads: usize) -> (RuleSet, Report) {
    let (one, one_report) = load(sources, options, 1);
    let (many, many_report) = load(sources, options, threads);
    assert_eq!(one_report, many_report);
    assert_eq!(one.rules, many.rules);
    let places = |set: &RuleSet| format!("{:?}", set.places);
    assert_eq!(places(&one), places(&many));
    assert_eq!(one.pool, many.pool);
    assert_eq!(one.ports, many.ports);
    assert_eq!(one.names.flow_bits, many.names.flow_bits);
    assert_eq!(one.names.host_bits, many.names.host_bits);
    assert_eq!(one.names.flow_ints, many.names.flow_ints);
    assert!(image(&one) == image(&many), "searches differ");
    for payload in [&b"word1 word2 WORD3tail"[..], b"xx\x01\x00a1b2c3", b"go1aW4x", b""] {
        for packet in [packet(payload), segment(0x18, payload), segment(2, payload)] {
            assert_eq!(on_packet(&one, &packet), on_packet(&many, &packet));
        }
    }
    (many, many_report)
}

fn options() -> LoadOptions {
    let limits = "suppress gen_id 1, sig_id 11, track by_src, ip 10.9.8.7\n\
        threshold gen_id 1, sig_id 999, type limit, track by_src, count 1, seconds 9\n";
    let limits = Source { name: "threshold.config".to_owned(), text: limits.into() };
    let file = |name: &str, text: Vec<u8>| Source { name: name.to_owned(), text };
    let addresses = AddressFiles {
        categories: Some(file("categories", b"1,C1,\n2,C2,\n".to_vec())),
        reputation: vec![file("scores", b"10.0.0.0/8,1,5\n10.0.0.1,2,7\n".to_vec())],
        countries: Some(file("countries", super::small_database())),
    };
    LoadOptions { read: Some(read), limits: vec![limits], addresses, ..everything() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn any_number_of_threads_gives_the_same(
        files in proptest::collection::vec(
            proptest::collection::vec((0..LINES.len(), 1_u8..4), 0..40), 1..4),
        threads in 2_usize..9,
    ) {
        let source = |(number, lines): (usize, &Vec<_>)| {
            Source { name: format!("{number}.rules"), text: text(lines) }
        };
        let sources: Vec<Source> = files.iter().enumerate().map(source).collect();
        let (set, _) = same(&sources, &options(), threads);
        // Also after a set whose names keep their numbers.
        let again = LoadOptions { names: set.names().clone(), ..options() };
        same(&sources, &again, threads);
    }

    #[test]
    fn pieces_have_the_lines_of_the_files(
        files in proptest::collection::vec(
            proptest::collection::vec(
                proptest::sample::select(vec!["a", "\\", "\n", "\n", " ", "#", "\r", "\u{feff}"]), 0..60),
            1..4),
        threads in 1_usize..9,
        least in 1_usize..20,
    ) {
        let source = |text: &Vec<&str>| Source { name: String::new(), text: text.concat().into() };
        let sources: Vec<Source> = files.iter().map(source).collect();
        let pieces = pieces::cut(&sources, threads, least);
        prop_assert!(pieces.len() <= threads.max(1));
        let of_pieces: Vec<_> = pieces.iter().flatten().flat_map(|span| {
            let lines = parse::lines_in(&sources[span.source].text, span.bytes.clone(), span.lines);
            lines.map(|line| (span.source, line)).collect::<Vec<_>>()
        }).collect();
        let of_files: Vec<_> = sources.iter().enumerate().flat_map(|(number, source)| {
            parse::lines(&source.text).map(move |line| (number, line))
        }).collect();
        prop_assert_eq!(of_pieces, of_files);
    }
}

#[test]
fn every_kind_of_line_is_taken_or_refused_as_meant() {
    let lines: Vec<(usize, u8)> =
        (0..LINES.len()).flat_map(|kind| [(kind, 1), (kind, 2)]).collect();
    let source = Source { name: "x.rules".to_owned(), text: text(&lines) };
    let (set, report) = same(&[source], &options(), 4);
    let refused: Vec<String> = report
        .rejected
        .iter()
        .map(|one| format!("{}:{}:{} {}", one.file, one.line, one.column, one.error))
        .collect();
    expect_test::expect![[r#"
        x.rules:27:56 dataset: the set is defined otherwise by a rule before: "names1"
        x.rules:28:56 dataset: the set is defined otherwise by a rule before: "names2"
        x.rules:29:46 filemd5: list1: line 1: not such a value: "filemd5, list1"
        x.rules:31:68 keyword "lua" is not evaluated: no evaluation for it
        x.rules:32:68 keyword "lua" is not evaluated: no evaluation for it
        x.rules:34:3 pcre: invalid expression: PCRE2: error compiling pattern at offset 2: missing closing parenthesis: ""/(1/""
        x.rules:37:3 pcre: invalid expression: PCRE2: error compiling pattern at offset 2: missing closing parenthesis: ""/(2/""
        x.rules:45:1 variable $NO_SUCH is not defined
        x.rules:46:1 variable $NO_SUCH is not defined
        x.rules:57:9 rule header: no "(" before the options
        x.rules:58:9 rule header: no "(" before the options
        x.rules:64:1 rule header: no "(" before the options
        threshold.config:2:1 no rule 1:999"#]].assert_eq(&refused.join("\n"));
    // 24 kinds of rules with two numbers each, less the nine refused.
    assert_eq!(set.len(), 39);
}

#[test]
fn as_many_errors_are_listed_and_in_the_same_order() {
    let mut text = "x\n".repeat(120_000);
    text.push_str("alert udp any any -> any any (content:\"good\"; sid:1;)\n");
    text.push_str(&"y\n".repeat(120_000));
    let source = Source { name: "x.rules".to_owned(), text: text.into() };
    let (_, report) = same(&[source], &LoadOptions::default(), 3);
    assert_eq!((report.accepted, report.rejected.len()), (1, Report::MAX_LISTED));
    assert_eq!(report.rejected_beyond, 240_000 - Report::MAX_LISTED);
}

#[test]
fn threads_are_bounded() {
    let options = LoadOptions { threads: NonZero::new(5_000), ..LoadOptions::default() };
    assert_eq!(options.threads(), LoadOptions::MAX_THREADS);
    assert!((1..=LoadOptions::MAX_THREADS).contains(&LoadOptions::default().threads()));
}
