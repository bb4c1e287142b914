//! What is refused and why; what a real rule set does.

use std::{io::Read as _, path::PathBuf};

use expect_test::{Expect, expect};

use crate::{AppProto, LoadOptions, ProtoSet, RuleSet, Source, Support, tests::reasons};

fn check(options: &[&str], expected: &Expect) {
    let text: String = options
        .iter()
        .map(|option| format!("alert tcp any any -> any any (msg:\"m\"; {option} sid:1;)\n"))
        .collect();
    expected.assert_eq(&reasons(text.as_bytes(), &LoadOptions::default()));
}

#[test]
fn unknown_and_unsupported_keywords_are_named() {
    check(
        &[
            "contnet:\"x\";",
            "lua:x.lua;",
            "content:\"x\"; nocas;",
            "dataset:isset,x;",
            "mqtt.type; content:\"x\";",
            "ssh.proto; content:\"x\";",
        ],
        &expect![[r#"
            1 accepted
            1:40 sid 1: unknown keyword "contnet"; did you mean content?
            2:40 sid 1: keyword "lua" is not evaluated: no evaluation for it
            3:53 sid 1: unknown keyword "nocas"; did you mean nocase?
            4:40 sid 1: dataset: the set needs a type: "x"
            5:40 sid 1: keyword "mqtt.type" is not evaluated: no evaluation for it
        "#]],
    );
}

#[test]
fn misplaced_modifiers_are_refused() {
    check(
        &[
            "nocase;",
            "content:\"abc\"; depth:2;",
            "content:\"abc\"; within:2;",
            "content:\"abc\"; nocase; nocase;",
            "content:\"abc\"; depth:5; startswith;",
            "content:\"abc\"; offset:var;",
            "content:\"abc\"; fast_pattern; content:\"d\"; fast_pattern;",
            "content:\"abc\"; fast_pattern:2,5;",
            "http.uri; content:\"abc\"; http_uri;",
            "http_uri;",
            "bsize:5;",
            "http.uri;",
            "http.uri; content:\"a\"; dotprefix;",
            "content:abc;",
            "content:\"\";",
            "content:\"|0|\";",
            "pcre:\"abc\";",
            "pcre:\"/a(b/\";",
            "pcre:\"/a/UP\";",
            "http.uri; pcre:\"/a/P\";",
            "byte_test:9,=,1,0;",
            "byte_jump:2;",
            "base64_data; content:\"a\";",
            "http.uri; content:\"a\"; http.stat_code; content:\"200\";",
            "flow:to_client; http.uri; content:\"a\";",
            "flow:established,stateless;",
            "flow:sideways;",
            "http.uri; content:\"a\"; tls.sni; content:\"b\";",
            "dsize:>5; http.uri; content:\"a\";",
            "threshold:type limit,track by_src,count 1;",
            "flowbits:set;",
            "xbits:set,a;",
            "classtype:nonsense;",
            "reference:nonsense;",
        ],
        &expect![[r#"
            0 accepted
            1:40 sid 1: nocase: needs a preceding content
            2:55 sid 1: depth: smaller than the content: "2"
            3:55 sid 1: within: smaller than the content: "2"
            4:63 sid 1: nocase: given twice
            5:64 sid 1: startswith: cannot be combined with depth, offset, distance or within
            6:55 sid 1: offset: neither a number nor a value read before: "var"
            7:82 sid 1: fast_pattern: given for two contents
            8:55 sid 1: fast_pattern: the part is not inside the content
            9:65 sid 1: http_uri: the content is already in a buffer
            10:40 sid 1: http_uri: needs a preceding content
            11:40 sid 1: bsize: needs a buffer
            12:1 sid 1: http.uri: a buffer without anything to look for
            13:1 sid 1: http.uri: a buffer without anything to look for
            14:40 sid 1: content: needs quotes: "abc"
            15:40 sid 1: content: empty pattern: """"
            16:40 sid 1: content: odd number of hex digits: ""|0|""
            17:40 sid 1: pcre: expected /expression/flags: ""abc""
            18:40 sid 1: pcre: invalid expression: PCRE2: error compiling pattern at offset 3: missing closing parenthesis: ""/a(b/""
            19:40 sid 1: pcre: two buffer flags: ""/a/UP""
            20:50 sid 1: pcre: its buffer flag contradicts the buffer it stands in
            21:40 sid 1: byte_test: byte count and encoding do not fit: "9,=,1,0"
            22:40 sid 1: byte_jump: expected bytes,offset: "2"
            23:40 sid 1: base64_data: must follow base64_decode
            24:1 sid 1: http.uri is of requests and http.stat_code of responses: one rule cannot use both without =>
            25:1 sid 1: http.uri does not exist with flow to_client
            26:40 sid 1: flow: contradicting words: "established,stateless"
            27:40 sid 1: flow: unknown word: "sideways"
            28:1 sid 1: tls.sni belongs to another protocol than the rest of the rule
            29:1 sid 1: dsize: packet sizes have no meaning on streams and transactions
            30:40 sid 1: threshold: seconds are needed: "type limit,track by_src,count 1"
            31:40 sid 1: flowbits: needs a name: "set"
            32:40 sid 1: xbits: needs track: "set,a"
            33:40 sid 1: classtype: unknown class: "nonsense"
            34:40 sid 1: reference: expected system,id: "nonsense"
        "#]],
    );
}

#[test]
fn headers_are_checked() {
    let rules = "alrt tcp any any -> any any (sid:1;)\n\
        alert tpc any any -> any any (sid:2;)\n\
        alert tcp $NOPE any -> any any (sid:3;)\n\
        alert tcp any 99999 -> any any (sid:4;)\n\
        alert tcp any any -> any any (msg:\"no sid\";)\n\
        alert rdp any any -> any any (sid:5;)\n\
        alert dns any any -> any any (http.uri; content:\"a\"; sid:6;)\n\
        alert icmp any any -> any any (http.uri; content:\"a\"; sid:7;)\n\
        alert tcp any any -> any any (sid:8; rev:1;)\n\
        alert tcp any any -> any any (sid:8; rev:2;)\n\
        alert tcp any any -> any any (msg:\"a; sid:9;)\n";
    expect![[r#"
        1 accepted
        1:1 sid 1: rule header: unknown action "alrt"
        2:1 sid 2: rule header: unknown protocol "tpc"
        3:1 sid 3: variable $NOPE is not defined
        4:1 sid 4: port: not understood: "99999"
        5:1 sid -: no sid
        6:1 sid 5: keyword "rdp" is not evaluated: this protocol is not detected
        7:31 sid 6: http.uri: does not exist in dns
        8:1 sid 7: application buffers do not exist in icmp
        9:1 sid 8: another rule has the same sid and the same or a higher rev
        11:31 sid 9: msg: unbalanced quotes: ""a"
    "#]]
    .assert_eq(&reasons(rules.as_bytes(), &LoadOptions::default()));
}

#[test]
fn more_protocols_make_more_rules_good() {
    let all = ProtoSet::of(&[AppProto::Http, AppProto::Smtp]);
    let options = LoadOptions {
        support: Support {
            detected: all,
            parsed: all,
            file_magic: &["PE32 executable", "PDF document"],
        },
        ..LoadOptions::default()
    };
    let source = Source {
        name: "r".to_owned(),
        text: b"alert smtp any any -> any any (smtp.helo; content:\"x\"; sid:1;)".to_vec(),
    };
    assert_eq!(RuleSet::load(vec![source], &options).1.accepted, 1);
}

#[test]
fn what_a_rule_says_of_itself() {
    let text = b"# c\nalert dns any any -> any any (msg:\"A \\\"b\\\"\\; c\"; dns.query; content:\"x\"; classtype:trojan-activity; \
        reference:url,example.org/a; metadata:mitre_tactic_id TA0011, mitre_technique_id T1071; target:src_ip; tag:session,5,packets; sid:7; rev:3;)";
    let source = Source { name: "r".to_owned(), text: text.to_vec() };
    let (set, _) = RuleSet::load(vec![source], &LoadOptions::default());
    let rule = set.rule(set.ids().next().unwrap()).unwrap();
    assert_eq!((rule.sid, rule.gid, rule.rev, rule.line, rule.priority), (7, 1, 3, 2, 1));
    assert_eq!((rule.msg, rule.category), ("A \"b\"; c", "A Network Trojan was detected"));
    assert_eq!(rule.attack_ids().collect::<Vec<_>>(), ["TA0011", "T1071"]);
    assert_eq!(rule.references[0].1.as_ref(), "example.org/a");
    assert!(rule.tag.is_some() && rule.target.is_some() && rule.text.starts_with(b"alert dns"));
}

#[test]
fn garbage_is_reported_line_by_line_and_bounded() {
    let mut garbage: Vec<u8> =
        (0..200_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    garbage.extend_from_slice(&b"\n(".repeat(150_000));
    let source = Source { name: "g".to_owned(), text: garbage };
    let (set, report) = RuleSet::load(vec![source], &LoadOptions::default());
    assert!(set.is_empty());
    assert_eq!(report.rejected.len(), crate::Report::MAX_LISTED);
    assert!(report.rejected_beyond > 0);
}

#[test]
fn a_rule_of_a_megabyte_is_bounded() {
    for piece in ["content:\"a\";", "http.uri; content:\"b\";", "flowbits:set,x;"] {
        let text = format!(
            "alert tcp any any -> any any ({}sid:1;)",
            piece.repeat((1 << 20) / piece.len())
        );
        let (_, report) = RuleSet::load(
            vec![Source { name: "m".to_owned(), text: text.into_bytes() }],
            &LoadOptions::default(),
        );
        assert_eq!(report.accepted + report.rejected.len(), 1);
    }
}

/// Folder of third-party test data, when it is there.
fn corpus() -> Option<PathBuf> {
    let root = std::env::var_os("PIKETT_CORPUS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus")),
        PathBuf::from,
    );
    root.is_dir().then_some(root)
}

#[test]
fn the_corpus_loads() {
    let Some(path) =
        corpus().map(|root| root.join("et-open/et-open.rules.gz")).filter(|path| path.is_file())
    else {
        println!("skipped: no corpus");
        return;
    };
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap())
        .take(64 << 20)
        .read_to_end(&mut text)
        .unwrap();
    let source = Source { name: "et".to_owned(), text };
    let (set, report) = RuleSet::load(vec![source], &LoadOptions::default());
    let share = set.len() * 1_000 / (set.len() + report.rejected.len());
    assert!(share >= 990, "only {share} per mille");
}
