//! One table for each modifier: lines of a selection, events, and whether they fit.

use serde_json::{Value, json};

use super::{load, matched, rule, sound};

pub(super) fn check(lines: &str, events: &[(Value, bool)]) {
    let set = sound(&rule(lines));
    for (event, expected) in events {
        assert_eq!(matched(&set, event.clone()).len() == 1, *expected, "{lines} on {event}");
    }
}

pub(super) fn refused(lines: &str, reason: &str) {
    let (set, report) = load(&rule(lines));
    assert_eq!(set.len(), 0, "{lines} was accepted");
    let found = report.rejected.iter().map(|r| r.reason.clone());
    let inert = report.inert.iter().map(|r| r.reason.clone());
    let reasons: Vec<String> = found.chain(inert).collect();
    assert!(reasons.iter().any(|found| found.contains(reason)), "{lines}: {reasons:?}");
}

pub(super) fn f(value: impl Into<Value>) -> Value {
    json!({ "f": value.into() })
}

#[test]
fn plain_values_are_whole_and_without_case() {
    check(
        "f: Abc",
        &[
            (f("abc"), true),
            (f("ABC"), true),
            (f("abcd"), false),
            (f(""), false),
            (json!({"g": "abc"}), false),
            (json!({"F": "abc"}), false),
            (f(["x", "abc"]), true),
            (f(Value::Null), false),
        ],
    );
    check("f: ''", &[(f(""), true), (f("a"), false), (f(Value::Null), false), (json!({}), false)]);
    check("f: ÄÖ", &[(f("äö"), true), (f("ÄÖ"), true), (f("ao"), false)]);
}

#[test]
fn numbers_and_truth_values() {
    check(
        "f: 4688",
        &[
            (f(4688), true),
            (f("4688"), true),
            (f(4688.0), true),
            (f(46880), false),
            (f("x"), false),
        ],
    );
    check("f: 1.5", &[(f(1.5), true), (f("1.5"), true), (f(15), false)]);
    check("f: true", &[(f(true), true), (f("True"), true), (f(false), false), (f(1), false)]);
    check("f: '4688'", &[(f(4688), true), (f("4688"), true)]);
    check("f: -1", &[(f(-1), true), (f(1), false), (f(u64::MAX), false)]);
}

#[test]
fn wildcards_and_escapes() {
    check("f: a*c", &[(f("abc"), true), (f("ac"), true), (f("abcd"), false), (f("xac"), false)]);
    check("f: a?c", &[(f("abc"), true), (f("aäc"), true), (f("ac"), false), (f("abbc"), false)]);
    check(r"f: a\*c", &[(f("a*c"), true), (f("abc"), false)]);
    check(r"f: 'a\\*c'", &[(f(r"a\bc"), true), (f(r"a\c"), true), (f("a*c"), false)]);
    check(r"f: C:\Windows\x", &[(f(r"c:\windows\X"), true), (f("c:windowsx"), false)]);
    check(r"f: 'x\\\\y'", &[(f(r"x\\y"), true), (f(r"x\y"), false)]);
    check("f: '*'", &[(f("anything"), true), (f(""), true), (json!({}), false), (f(3), true)]);
    check("f: '?'", &[(f("x"), true), (f(""), false), (f("xy"), false)]);
    check("f: '*ab*ab'", &[(f("abab"), true), (f("ab"), false), (f("xabyab"), true)]);
    check("f: 'a*?z'", &[(f("abz"), true), (f("az"), false), (f("azz"), true)]);
    check("f|endswith: 'a?'", &[(f("xxab"), true), (f("xxa"), false), (f("aab"), true)]);
}

#[test]
fn contains_startswith_endswith() {
    check("f|contains: Bc", &[(f("abcd"), true), (f("bc"), true), (f("b"), false)]);
    check("f|startswith: ab", &[(f("ABc"), true), (f("cab"), false), (f(""), false)]);
    check("f|endswith: .EXE", &[(f("a.exe"), true), (f(".exe.txt"), false)]);
    check("f|contains: 68", &[(f(4688), true), (f("x68"), true), (f(46), false)]);
    check("f|contains: 'a*c'", &[(f("xabcx"), true), (f("ca"), false)]);
    check("f|contains:\n  - aa\n  - bb", &[(f("xbb"), true), (f("aax"), true), (f("ab"), false)]);
    check("f|contains|all:\n  - aa\n  - bb", &[(f("aabb"), true), (f("aa"), false)]);
    check("f|contains|all:\n  - aa\n  - bb", &[(f(["aa", "bb"]), true), (f(["aa"]), false)]);
    refused("f|contains|startswith: a", "exclude each other");
    refused("f|contains: null", "needs text");
}

#[test]
fn cased() {
    check("f|cased: Abc", &[(f("Abc"), true), (f("abc"), false), (f("ABC"), false)]);
    check("f|contains|cased: Bc", &[(f("aBcd"), true), (f("abcd"), false)]);
    refused("f|re|cased: a", "no meaning");
}

#[test]
fn regular_expressions() {
    check("f|re: 'a.c'", &[(f("xabcx"), true), (f("ABC"), false), (f("ac"), false)]);
    check("f|re|i: 'a.c$'", &[(f("xABC"), true), (f("abcx"), false)]);
    check("f|re: '^b$'", &[(f("a\nb"), false), (f("b"), true)]);
    check("f|re|m: '^b$'", &[(f("a\nb"), true), (f("ab"), false)]);
    check("f|re: 'a.b'", &[(f("a\nb"), false), (f("axb"), true)]);
    check("f|re|s: 'a.b'", &[(f("a\nb"), true)]);
    check("f|re: '(?i)PoWer(shell|cat)'", &[(f("POWERCAT"), true), (f("power"), false)]);
    check("f|re: '[0-9]{3,}'", &[(f(4688), true), (f("46"), false)]);
    check("f|re: '(foo|bar)+baz'", &[(f("foobarbaz"), true), (f("baz"), false)]);
    check(r"f|re: '\\d'", &[(f(r"\d"), true), (f("1"), false)]);
    refused("f|re: '('", "regular expression");
    refused("f|re: '(?=a)'", "regular expression");
    refused("f|i: a", "belong to re");
    refused("f|re|contains: a", "exclude each other");
}

#[test]
fn networks() {
    check(
        "f|cidr: 10.0.0.0/8",
        &[
            (f("10.1.2.3"), true),
            (f("11.0.0.1"), false),
            (f("::ffff:10.0.0.1"), true),
            (f("host"), false),
            (f(10), false),
        ],
    );
    check(
        "f|cidr: 'fe80::/10'",
        &[(f("fe80::1"), true), (f("::1"), false), (f("10.0.0.1"), false)],
    );
    check("f|cidr: 127.0.0.1", &[(f("127.0.0.1"), true), (f("127.0.0.2"), false)]);
    refused("f|cidr: 10.0.0.0/33", "not a network");
    refused("f|cidr: nonsense", "not a network");
}

#[test]
fn encodings() {
    check("f|base64: 'foo bar'", &[(f("Zm9vIGJhcg=="), true), (f("foo bar"), false)]);
    // "/bin/bash" behind 0, 1 and 2 other bytes, as any encoder writes it.
    for prefix in ["", "x", "xy", "xyz"] {
        let text = crate::encode::base64(format!("{prefix}/bin/bash -c id").as_bytes());
        check("f|base64offset|contains: /bin/bash", &[(f(text), true), (f("L2Jpbi9"), false)]);
    }
    let wide: Vec<u8> = "ping".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = "ping".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let marked = [&[0xff, 0xfe][..], &wide].concat();
    for (modifier, bytes) in
        [("wide", &wide), ("utf16le", &wide), ("utf16be", &big), ("utf16", &marked)]
    {
        let text = crate::encode::base64(bytes);
        check(
            &format!("f|{modifier}|base64: ping"),
            &[(f(text.clone()), true), (f("ping"), false)],
        );
        check(&format!("f|{modifier}|base64offset|contains: ping"), &[(f(text), true)]);
    }
    check("f|wide|contains: ab", &[(f("xa\0b\0"), true), (f("ab"), false)]);
    refused("f|utf16: ping", "needs base64");
    refused("f|base64: 'a*'", "wildcards cannot be encoded");
}

#[test]
fn dashes() {
    check(
        "f|windash|contains: ' -foo'",
        &[
            (f("a -foo"), true),
            (f("a /foo"), true),
            (f("a \u{2013}foo"), true),
            (f("a \u{2014}foo"), true),
            (f("a \u{2015}foo"), true),
            (f("a foo"), false),
        ],
    );
    check("f|contains|windash: '/x'", &[(f("a -x"), true), (f("a /x"), true)]);
    check("f|windash: 'a-b -c'", &[(f("a-b /c"), true), (f("a/b -c"), false)]);
    check("f|windash|contains: ' - '", &[(f("x - y"), true), (f("x / y"), false)]);
}

#[test]
fn fields_against_fields() {
    check(
        "f|fieldref: g",
        &[
            (json!({"f": "A", "g": "a"}), true),
            (json!({"f": "a", "g": "b"}), false),
            (json!({"f": 1, "g": "1"}), true),
            (json!({"f": ["x", "y"], "g": "y"}), true),
            (json!({"f": "a"}), false),
            (json!({"g": "a"}), false),
            (json!({}), false),
            (json!({"f": null, "g": null}), false),
        ],
    );
    check("f|fieldref|contains: g", &[(json!({"f": "abc", "g": "B"}), true)]);
    check("f|fieldref|startswith: g", &[(json!({"f": "abc", "g": "b"}), false)]);
    check("f|fieldref|endswith: g", &[(json!({"f": "abc", "g": "c"}), true)]);
    check("f|fieldref|cased: g", &[(json!({"f": "A", "g": "a"}), false)]);
}

#[test]
fn presence_and_null() {
    check("f|exists: true", &[(f(1), true), (f(Value::Null), true), (json!({}), false)]);
    check("f|exists: true", &[(f(json!({"g": 1})), true), (f(json!([])), true)]);
    check("f|exists: false", &[(json!({}), true), (f(""), false)]);
    check("f: null", &[(json!({}), true), (f(Value::Null), true), (f(""), false)]);
    check("f: null", &[(f(json!({"g": 1})), false), (f(0), false)]);
    check("f:\n  - null\n  - ''", &[(json!({}), true), (f(""), true), (f("x"), false)]);
    refused("f|exists: 3", "true or false");
    refused("f|exists|all: true", "alone");
}

#[test]
fn orders() {
    check("f|gt: 5", &[(f(6), true), (f(5), false), (f("5.5"), true), (f("x"), false)]);
    check("f|gte: 5", &[(f(5), true), (f(4.9), false)]);
    check("f|lt: 5", &[(f(4), true), (f(5), false), (json!({}), false), (f(Value::Null), false)]);
    check("f|lte: '5'", &[(f(5), true), (f(6), false)]);
    check("f|neq: a", &[(f("b"), true), (f("A"), false), (json!({}), false)]);
    check("f|neq:\n  - a\n  - b", &[(f("c"), true), (f("b"), false)]);
    refused("f|gt: a", "needs a number");
    refused("f|gt|lt: 1", "exclude each other");
}

#[test]
fn parts_of_times() {
    let time = || f("2026-11-22T15:04:05Z");
    for (part, value) in
        [("minute", 4), ("hour", 15), ("day", 22), ("week", 47), ("month", 11), ("year", 2026)]
    {
        check(&format!("f|{part}: {value}"), &[(time(), true), (f("noon"), false)]);
        check(&format!("f|{part}: {}", value - 1), &[(time(), false)]);
        check(&format!("f|{part}|gte: {value}"), &[(time(), true)]);
        check(&format!("f|{part}|lt: {value}"), &[(time(), false)]);
    }
    check("f|hour: 14", &[(f("2026-11-22T15:04:05+01:00"), true)]);
    refused("f|hour: noon", "number");
}

#[test]
fn placeholders() {
    let text = rule("f|expand: 'x%who%'");
    refused("f|expand: 'x%who%'", "has no values");
    let mut options = crate::Options::default();
    options.placeholders.insert("who".into(), vec!["a".into(), "b*".into()]);
    let (set, report) = crate::RuleSet::load(std::iter::once(("t", text)), &options);
    assert_eq!(report.accepted, 1);
    for (value, expected) in [("xa", 1), ("XBcd", 1), ("xc", 0), ("x%who%", 0)] {
        assert_eq!(matched(&set, f(value)).len(), expected, "{value}");
    }
    check("f|expand: 'no placeholder'", &[(f("no placeholder"), true)]);
}

#[test]
fn keywords() {
    let set =
        sound("title: t\ndetection:\n  s:\n    - foo\n    - 'b?r'\n    - 42\n  condition: s\n");
    for (event, expected) in [
        (json!({"a": "xFOOx"}), 1),
        (json!({"a": {"b": ["bar"]}}), 1),
        (json!({"a": 1423}), 1),
        (json!({"foo": "x"}), 0),
        (json!({"a": "br"}), 0),
    ] {
        assert_eq!(matched(&set, event.clone()).len(), expected, "{event}");
    }
    let set = sound(
        "title: t\ndetection:\n  s:\n    '|all':\n      - foo\n      - bar\n  condition: s\n",
    );
    assert_eq!(matched(&set, json!({"a": "foo", "b": "bar"})).len(), 1);
    assert_eq!(matched(&set, json!({"a": "foo"})).len(), 0);
    let set = sound("title: t\ndetection:\n  s:\n    '|re': 'f[o]+$'\n  condition: s\n");
    assert_eq!(matched(&set, json!({"a": "xfoo"})).len(), 1);
    refused("'|cidr': 10.0.0.0/8", "needs a field");
}

#[test]
fn nested_names_and_lists_of_objects() {
    check(
        "a.b: x",
        &[
            (json!({"a": {"b": "x"}}), true),
            (json!({"a.b": "x"}), true),
            (json!({"a": [{"b": "y"}, {"b": "x"}]}), true),
            (json!({"a": {"c": "x"}}), false),
            (json!({"b": "x"}), false),
        ],
    );
}

#[test]
fn names_of_either_convention() {
    check("src_ip: 10.0.0.1", &[(json!({"source": {"ip": "10.0.0.1"}}), true)]);
    check("source.ip: 10.0.0.1", &[(json!({"src_ip": "10.0.0.1"}), true)]);
    check("http.request.method: GET", &[(json!({"http": {"http_method": "get"}}), true)]);
}
