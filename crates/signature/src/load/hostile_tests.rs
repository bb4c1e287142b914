//! Rule files made to cost much: each is refused within its bounds, by name and place, and the good rules beside it
//! load. What is asserted is numbers of entries and words of errors, never time.

use std::fmt::Write as _;

use crate::{LoadOptions, Report, RuleSet, Source};

const GOOD: &str = "alert udp any any -> any any (content:\"good\"; sid:1;)\n";

/// The first reason for refusing `hostile`, with its place; the good rule after it is loaded in any case.
fn refused(hostile: &str) -> String {
    let (rules, report) = load(hostile, &LoadOptions::default());
    assert_eq!((rules.len(), report.accepted), (1, 1), "the good rule loads");
    first(&report)
}

fn load(hostile: &str, options: &LoadOptions) -> (RuleSet, Report) {
    let text = format!("{hostile}\n{GOOD}").into_bytes();
    RuleSet::load(vec![Source { name: "x.rules".to_owned(), text }], options)
}

fn first(report: &Report) -> String {
    report.rejected.first().map_or_else(String::new, |rejected| {
        format!("{}:{} {}", rejected.line, rejected.column, rejected.error)
    })
}

fn rule(options: &str) -> String {
    format!("alert http any any -> any any ({options} sid:2;)")
}

#[test]
fn long_lines() {
    let long = rule(&format!("msg:\"{}\";", "m".repeat(4 << 20)));
    assert_eq!(refused(&long), "1:1 more than 4194304 bytes in one rule");
    let joined = rule(&"nocase;\\\n".repeat(500_000));
    assert_eq!(refused(&joined), "1:1 more than 4194304 bytes in one rule");
    let noise = "x".repeat(16 << 20);
    assert_eq!(refused(&noise), "1:1 more than 4194304 bytes in one rule");
    let name = rule(&format!("{};", "k".repeat(60_000)));
    let shown = format!("1:32 unknown keyword \"{}\"", "k".repeat(60));
    assert_eq!(refused(&name), shown);
}

#[test]
fn many_options_of_one_rule() {
    let options = rule(&"nocase;".repeat(5_000));
    assert_eq!(refused(&options), "1:32 rule header: more than 4096 options");
    // Buffers are counted while they come: the 65th is one too many, whatever follows.
    let buffers = format!("alert dns any any -> any any ({} sid:2;)", "dns.query;".repeat(4_000));
    assert_eq!(refused(&buffers), "1:671 more than 64 buffers in one rule");
    let contents = rule(&"content:\"a\";".repeat(4_000));
    let (rules, report) = load(&contents, &LoadOptions::default());
    assert_eq!(
        (rules.len(), first(&report)),
        (2, String::new()),
        "many contents are slow, not wrong"
    );
}

#[test]
fn deep_nesting() {
    for depth in [17, 20_000] {
        let list = format!("{}1.1.1.1{}", "[".repeat(depth), "]".repeat(depth));
        let nested = format!("alert ip {list} any -> any any (sid:2;)");
        let reason = refused(&nested);
        assert!(reason.contains("address: nested too deeply"), "{depth}: {reason}");
    }
    let groups = rule(&format!("pcre:\"/{}a{}/\";", "(".repeat(20_000), ")".repeat(20_000)));
    assert!(!refused(&groups).is_empty());
}

#[test]
fn huge_numbers() {
    let huge = "99999999999999999999999999999999999999";
    for option in [
        "content:\"a\"; depth:N;",
        "content:\"a\"; offset:N;",
        "content:\"a\"; distance:-N;",
        "isdataat:N;",
        "dsize:>N;",
        "bsize:N;",
        "urilen:N<>N;",
        "byte_test:4,>,N,0;",
        "byte_test:4,>,1,N;",
        "byte_jump:4,0,multiplier N;",
        "byte_extract:N,0,x;",
        "threshold:type limit,track by_src,count N,seconds 1;",
        "threshold:type limit,track by_src,count 1,seconds N;",
        "xbits:set,x,track ip_src,expire N;",
        "flowint:x,+,N;",
        "priority:N;",
        "rev:N;",
        "gid:N;",
        "sid:N;",
        "tag:session,N,packets;",
        "stream_size:client,>,N;",
        "ttl:N;",
        "itype:N;",
        "content:\"abc\"; fast_pattern:N,1;",
    ] {
        let reason = refused(&rule(&option.replace('N', huge)));
        assert!(reason.len() < 250 && reason.starts_with("1:"), "{option}: {reason}");
    }
    let ports = format!("alert tcp any {huge} -> any any (sid:2;)");
    assert!(refused(&ports).contains("port: not understood"));
}

#[test]
fn variables_that_multiply() {
    let mut options = LoadOptions::default();
    for level in 0..6 {
        let inner = format!("$V{},", level + 1).repeat(100);
        options.variables.set(&format!("V{level}"), &format!("[{inner}1.1.1.1]"));
    }
    options.variables.set("V6", "1.1.1.1");
    options.variables.set("LOOP", "[$LOOP,$LOOP]");
    for (name, expected) in
        [("V0", "too many entries"), ("V1", "too many entries"), ("LOOP", "nested")]
    {
        let (rules, report) = load(&format!("alert ip ${name} any -> any any (sid:2;)"), &options);
        assert_eq!(rules.len(), 1, "{name}");
        assert!(first(&report).contains(expected), "{name}: {}", first(&report));
    }
}

#[test]
fn many_variables_and_a_long_list() {
    let mut options = LoadOptions::default();
    let mut all = String::new();
    for n in 0..100_000_u32 {
        let address = std::net::Ipv4Addr::from(n * 2);
        options.variables.set(&format!("N{n}"), &address.to_string());
        write!(all, "$N{n},").unwrap();
    }
    options.variables.set("ALL", &format!("[{}]", all.trim_end_matches(',')));
    let (rules, report) = load("alert ip $ALL any -> !$ALL any (sid:2;)", &options);
    assert_eq!((rules.len(), first(&report)), (2, String::new()));
}

#[test]
fn files_of_garbage_are_reported_up_to_a_number() {
    let (rules, report) = load(&"x\n".repeat(Report::MAX_LISTED + 5), &LoadOptions::default());
    assert_eq!(rules.len(), 1);
    assert_eq!((report.rejected.len(), report.rejected_beyond), (Report::MAX_LISTED, 5));
}

#[test]
fn a_file_of_limits_for_all_rules() {
    let source =
        |text: String| Source { name: "threshold.config".to_owned(), text: text.into_bytes() };
    let options = LoadOptions {
        limits: vec![source("suppress gen_id 0, sig_id 0\n".repeat(100))],
        ..LoadOptions::default()
    };
    let (_, report) = load("", &options);
    assert_eq!(report.rejected.len(), 100 - 64);
    assert_eq!(first(&report), "65:1 more than 64 suppressions of rule 1");
}
