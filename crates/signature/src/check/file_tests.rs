//! Rule files as they come: line ends, encodings, continuations, garbage, repeated sids, many sources; and any
//! mixture of options loads or is refused by name.

use expect_test::expect;
use proptest::prelude::*;

use crate::{
    Buffer, LoadOptions, Report, RuleSet, Source, Variables,
    tests::{everything, load, reasons},
};

const GOOD: &str = "alert ip any any -> any any (content:\"a\"; sid:1;)";

fn accepted(text: &[u8]) -> String {
    reasons(text, &LoadOptions::default())
}

#[test]
fn line_ends_blank_lines_and_comments() {
    let one = "1 accepted\n";
    for text in [
        GOOD.to_owned(),
        format!("{GOOD}\n"),
        format!("{GOOD}\r\n"),
        format!("\r\n\r\n  {GOOD}  \r\n\t\r\n"),
        format!("# comment\n#{GOOD}\n  # {GOOD}\r\n{GOOD}"),
        format!("#comment \\\n{GOOD}"),
        GOOD.replace("; ", "; \\\n  "),
        GOOD.replace("; ", "; \\\r\n\t"),
        GOOD.replace(" any", " \\\n any"),
        format!("{GOOD} \\\n\n"),
        format!("{GOOD}\n\\\n"),
    ] {
        let shown = accepted(text.as_bytes());
        assert!(shown.starts_with(one), "{text:?}: {shown}");
    }
    // A continuation that nothing follows is told.
    let cut = format!("{GOOD} \\\n");
    assert_eq!(
        accepted(cut.as_bytes()),
        "0 accepted\n1:50 sid 1: rule header: text after the closing \")\"\n"
    );
    assert_eq!(accepted(b""), "0 accepted\n");
    assert_eq!(accepted(b"\n\r\n \t \n# nothing"), "0 accepted\n");
}

#[test]
fn positions_in_rules_over_several_lines() {
    let text = "# first\r\nalert ip any any -> any any ( \\\r\n   content:\"a\"; \\\r\n  nocas; \\\r\n sid:1;)\r\n\
        alert ip any any -> any any (msg:\"ok\"; sid:2;)\nalert ip any any -> any any (nocase; sid:3;)";
    expect![[r#"
        1 accepted
        4:3 sid 1: unknown keyword "nocas"; did you mean nocase?
        7:30 sid 3: nocase: needs a preceding content
    "#]]
    .assert_eq(&accepted(text.as_bytes()));
}

#[test]
fn encodings() {
    // Text in the message may be anything; keywords and numbers are ASCII.
    let latin = b"alert ip any any -> any any (msg:\"caf\xe9\"; content:\"\xe9\"; metadata:a \xff; reference:url,\xfe; sid:1;)";
    let source = Source { name: "latin".to_owned(), text: latin.to_vec() };
    let (set, report) = RuleSet::load(vec![source], &LoadOptions::default());
    assert_eq!(report.accepted, 1, "{report:?}");
    let rule = set.rule(set.ids().next().unwrap()).unwrap();
    assert_eq!(rule.msg, "caf\u{fffd}");
    assert_eq!(rule.text, latin);
    assert!(
        accepted(
            "alert ip any any -> any any (msg:\"\u{1f980} \u{65e5}\u{672c}\"; sid:1;)".as_bytes()
        )
        .starts_with("1 ")
    );
    expect![[r#"
        0 accepted
        1:30 sid -: sid: is not text: "�1"
        0 accepted
        1:30 sid 1: flow: is not text: "est�"
        1 accepted
        0 accepted
        1:17 sid -: rule header: no "(" before the options
    "#]]
    .assert_eq(&format!(
        "{}{}{}{}",
        accepted(b"alert ip any any -> any any (sid:\xff1;)"),
        accepted(b"alert ip any any -> any any (flow:est\xff; sid:1;)"),
        accepted(b"\xef\xbb\xbfalert ip any any -> any any (sid:1;)"),
        accepted(b"a\0l\0e\0r\0t\0 \0i\0p\0"),
    ));
}

#[test]
fn quotes_and_brackets() {
    let text = r#"alert ip any any -> any any (msg:"a (b) c"; content:"(|29|"; sid:1;)
alert ip any any -> any any (msg:"a\;b\"c\\d"; content:"\;"; sid:2;)
alert ip any any -> any any (msg:"open; sid:3;)
alert ip any any -> any any (content:"a; content:"b"; sid:4;)
alert ip any any -> any any (content:"a"; sid:5;
alert ip any any -> any any content:"a"; sid:6;)
alert ip any any -> any any (content:"a"; sid:7) trailing
alert ip any any -> any any (content:"a"; sid:8;))
alert ip any any -> any any (content:"a" sid:9;)
alert ip any any -> any any (content:"a";; sid:10;)
alert ip any any -> any any ()
alert ip any any -> any any (sid: 11 ; rev : 2 ;)
"#;
    expect![[r#"
        3 accepted
        3:30 sid 3: msg: unbalanced quotes: ""open"
        4:30 sid 4: content: unbalanced quotes: ""a"
        5:49 sid 5: rule header: no ")" after the options
        6:49 sid 6: rule header: no "(" before the options
        7:49 sid 7: rule header: text after the closing ")"
        8:49 sid 8: rule header: option without closing ";": ")"
        9:30 sid 9: content: unbalanced quotes: ""a" sid:9"
        10:42 sid 10: unknown keyword ""
        11:1 sid -: no sid
    "#]]
    .assert_eq(&accepted(text.as_bytes()));
}

#[test]
fn one_sid_many_times() {
    let rule = |sid: u32, rev: u32, gid: u32| {
        format!(
            "alert ip any any -> any any (msg:\"{rev}\"; content:\"a\"; gid:{gid}; sid:{sid}; rev:{rev};)\n"
        )
    };
    let text =
        [rule(1, 2, 1), rule(1, 1, 1), rule(1, 3, 1), rule(1, 3, 1), rule(1, 9, 2), rule(2, 0, 1)]
            .concat();
    let (set, report) = load(&text);
    let kept: Vec<_> = set
        .ids()
        .map(|id| set.rule(id).unwrap())
        .map(|rule| (rule.gid, rule.sid, rule.rev, rule.line))
        .collect();
    assert_eq!(kept, [(1, 1, 3, 3), (2, 1, 9, 5), (1, 2, 0, 6)]);
    // The losers are listed with their own lines.
    assert_eq!(report.rejected.iter().map(|lost| lost.line).collect::<Vec<_>>(), [2, 1, 4]);
    let flood: String = (0..30_000).map(|rev| rule(7, rev, 1)).collect();
    let (set, report) = load(&flood);
    assert_eq!((set.len(), report.accepted, report.rejected.len()), (1, 1, 29_999));
    assert_eq!(set.rule(set.ids().next().unwrap()).unwrap().msg, "29999");
}

#[test]
fn several_sources() {
    let source =
        |name: &str, text: &str| Source { name: name.to_owned(), text: text.as_bytes().to_vec() };
    let (set, report) = RuleSet::load(
        vec![
            source("a.rules", "# nothing here\n"),
            source("b.rules", &format!("\n{GOOD}")),
            source("c.rules", "alert ip any any -> any any (sid:2;)\nbroken\n"),
            source("d.rules", GOOD),
        ],
        &LoadOptions::default(),
    );
    let from: Vec<_> = set
        .ids()
        .map(|id| set.rule(id).unwrap())
        .map(|rule| (rule.file, rule.line, rule.sid))
        .collect();
    assert_eq!(from, [("b.rules", 2, 1), ("c.rules", 1, 2)]);
    let lost: Vec<_> =
        report.rejected.iter().map(|lost| (lost.file.as_str(), lost.line, lost.sid)).collect();
    assert_eq!(lost, [("c.rules", 2, None), ("d.rules", 1, Some(1))]);
}

#[test]
fn variables() {
    let mut variables = Variables::default();
    for (name, value) in [
        ("MINE", "[10.1.0.0/16,$EXTRA]"),
        ("EXTRA", "192.0.2.0/24"),
        ("ME", "!$MINE"),
        ("A", "$B"),
        ("B", "$A"),
        ("P", "[80,$Q]"),
        ("Q", "8000:8100"),
        ("EMPTY", ""),
    ] {
        variables.set(name, value);
    }
    let options = LoadOptions { variables, ..LoadOptions::default() };
    let text = "alert tcp $MINE any -> $ME $P (sid:1;)\n\
        alert tcp $A any -> any any (sid:2;)\n\
        alert tcp any $A -> any any (sid:3;)\n\
        alert tcp $EMPTY any -> any any (sid:4;)\n\
        alert tcp $P any -> any any (sid:5;)\n\
        alert tcp any $MINE -> any any (sid:6;)\n\
        alert tcp $ any -> any any (sid:7;)\n\
        alert tcp [$MINE,!$EXTRA] any -> [$ME] any (sid:8;)\n";
    expect![[r#"
        2 accepted
        2:1 sid 2: address: nested too deeply: "$A"
        3:1 sid 3: port: nested too deeply: "$A"
        4:1 sid 4: address: not understood: ""
        5:1 sid 5: address: not understood: "80"
        6:1 sid 6: port: not understood: "10.1.0.0/16"
        7:1 sid 7: variable $ is not defined
    "#]]
    .assert_eq(&reasons(text.as_bytes(), &options));
}

#[test]
fn enormous_lines() {
    let (_, report) = load(&"a".repeat(10 << 20));
    assert_eq!((report.accepted, report.rejected.len()), (0, 1));
    // One rule with a comment of a megabyte in its message loads, one of ten does not.
    for (length, accepted) in [(1 << 20, 1), (10 << 20, 0)] {
        let rule = format!("alert ip any any -> any any (msg:\"{}\"; sid:1;)", "m".repeat(length));
        let (set, report) = load(&rule);
        assert_eq!((report.accepted, report.rejected.len()), (accepted, 1 - accepted));
        assert!(set.ids().all(|id| set.rule(id).unwrap().msg.len() == length));
    }
    for open in [
        "(",
        "[",
        "\"",
        "alert ip any any -> any any (",
        "alert ip [",
        "alert ip any any -> any any (content:\"|",
        "\\\n",
    ] {
        let (_, report) = load(&open.repeat((1 << 20) / open.len()));
        assert!(report.accepted == 0 && report.rejected.len() <= 1, "{open}");
    }
    let list = vec!["10.0.0.0/8"; 50_000].join(",");
    assert_eq!(load(&format!("alert ip [{list}] any -> any any (sid:1;)")).1.accepted, 1);
    let many = (0..60_000_u32)
        .map(|n| format!("10.{}.{}.1", n >> 8, n & 255))
        .collect::<Vec<_>>()
        .join(",");
    assert_eq!(load(&format!("alert ip any any -> [{many}] any (sid:1;)")).1.accepted, 1);
}

#[test]
fn more_rejected_than_listed_are_counted() {
    let text = "x\n".repeat(Report::MAX_LISTED + 5);
    let (_, report) = load(&text);
    assert_eq!((report.rejected.len(), report.rejected_beyond), (Report::MAX_LISTED, 5));
}

#[test]
fn what_hints_name_exists() {
    // A word one letter away from each keyword is answered with a keyword that is really taken.
    for word in super::hint::known() {
        let (_, report) = load(&format!("alert ip any any -> any any ({word}; sid:1;)"));
        let error = report.rejected.first().map(|lost| lost.error.to_string()).unwrap_or_default();
        assert!(
            !error.contains("unknown keyword") && !error.contains("no evaluation for it"),
            "{word}: {error}"
        );
    }
    for word in super::hint::not_evaluated() {
        let word =
            if word.ends_with(['.', '_']) { format!("{word}zzzzzzzzzz") } else { word.to_owned() };
        let (_, report) = load(&format!("alert ip any any -> any any ({word}:x; sid:1;)"));
        let error = report.rejected.first().map(|lost| lost.error.to_string()).unwrap_or_default();
        assert!(
            error.contains("no evaluation for it"),
            "{word} is evaluated, or told as a typing error: {error}"
        );
    }
}

/// Options that make sense, ones that do not, and values in between.
fn soup() -> impl Strategy<Value = String> {
    let names: Vec<String> = super::hint::known()
        .map(str::to_owned)
        .chain(Buffer::all().map(|buffer| buffer.name().to_owned()))
        .chain(
            ["http_uri", "http_header", "strip_pseudo_headers", "seq", "id", "zzz"]
                .map(str::to_owned),
        )
        .collect();
    let value = prop_oneof![
        3 => Just(String::new()),
        2 => "\"[a-c|0-9 \\\\!]{0,6}\"".prop_map(|text| format!(":\"{text}\"")),
        2 => "[0-9<>!,=-]{1,6}".prop_map(|text| format!(":{text}")),
        1 => Just(":\"abc\"".to_owned()),
        1 => Just(":1,0,n".to_owned()),
        1 => Just(":n".to_owned()),
        1 => Just(":1,=,n,0,relative".to_owned()),
        1 => Just(":isset,a".to_owned()),
        1 => Just(":set,a,track ip_src".to_owned()),
        1 => Just(":established,to_server".to_owned()),
        1 => Just(":type limit,track by_src,count 1,seconds 1".to_owned()),
        1 => Just(":\"/a(b|c)*/R\"".to_owned()),
        1 => "[ -~]{0,12}".prop_map(|text| format!(":{text}")),
    ];
    (proptest::sample::select(names), value).prop_map(|(name, value)| format!("{name}{value}; "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    /// Whatever stands in a rule: it is taken and then scans, or refused at a place inside the file.
    #[test]
    fn option_soup(
        proto in prop_oneof!["tcp", "udp", "ip", "http", "dns", "tls", "icmp", "tcp-pkt", "smb", "pkthdr"],
        arrow in prop_oneof![4 => Just("->"), 1 => Just("<>"), 1 => Just("=>")],
        options in proptest::collection::vec(soup(), 0..7),
        traffic in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let text = format!("alert {proto} any any {arrow} any any ({}sid:1;)", options.concat());
        let (set, report) = load(&text);
        prop_assert_eq!(set.len() + report.rejected.len(), 1, "{}", text);
        for lost in &report.rejected {
            prop_assert!(lost.line == 1 && (1..=text.len() + 1).contains(&(lost.column as usize)), "{}", text);
            prop_assert!(!lost.error.to_string().is_empty());
        }
        let mut bench = crate::tests::Bench::with(set);
        bench.packet(&crate::tests::packet(&traffic));
        bench.packet(&crate::tests::segment(2, &traffic));
        bench.stream(crate::Direction::ToClient, 7, &traffic);
        let shown = String::from_utf8_lossy(&traffic).into_owned();
        for proto in [crate::AppProto::Http, crate::AppProto::Dns, crate::AppProto::Tls] {
            let buffers: Vec<_> = Buffer::all().filter(|buffer| buffer.protocols().contains(&proto)).map(|buffer| (buffer, shown.as_str())).collect();
            bench.state = crate::TxState::default();
            for direction in [crate::Direction::ToServer, crate::Direction::ToClient] {
                bench.tx(&crate::tests::Fixed::new(proto, &buffers), direction);
            }
        }
    }

    /// Lines in any order, with any line end, say the same of each rule.
    #[test]
    fn order_and_line_ends_do_not_matter(order in Just((0..6_usize).collect::<Vec<_>>()).prop_shuffle(), ends in proptest::collection::vec(prop_oneof!["\n", "\r\n", "\n\n# x\n"], 6)) {
        let rules = [GOOD, "alert ip any any -> any any (nocas; sid:2;)", "alert udp any 53 -> any any (content:\"b\"; sid:3;)",
            "alert ip any any -> any any (content:\"a; sid:4;)", "drop tcp any any -> any any (flags:S; sid:5;)", "alert tcp any (sid:6;)"];
        let text: String = order.iter().zip(&ends).map(|(at, end)| format!("{}{end}", rules[*at])).collect();
        let (set, report) = RuleSet::load(vec![Source { name: "r".to_owned(), text: text.into_bytes() }], &everything());
        let mut good: Vec<u32> = set.ids().filter_map(|id| Some(set.rule(id)?.sid)).collect();
        good.sort_unstable();
        prop_assert_eq!(good, [1, 3, 5]);
        let mut bad: Vec<(Option<u32>, String)> = report.rejected.iter().map(|lost| (lost.sid, lost.error.to_string())).collect();
        bad.sort();
        prop_assert_eq!(bad.iter().map(|(sid, _)| *sid).collect::<Vec<_>>(), [Some(2), Some(4), Some(6)]);
    }
}
