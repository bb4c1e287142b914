//! Modifiers at their edges and beside each other; expected values are those of the specification
//! (Sigma modifiers appendix 2.1) and of other encoders, written out.

use serde_json::{Value, json};

use super::modifiers::{check, f, refused};
use super::{load, matched, rule, sound};

#[test]
fn equal_expressions_with_other_modifiers_are_other_tests() {
    // In one set, where equal tests are shared.
    let text: String = ["re", "re|m", "re|s", "re|m|s", "re|i"]
        .iter()
        .map(|how| {
            format!(
                "{}---\n",
                rule(&format!("f|{how}: '^b.c'")).replace("id: t", &format!("id: {how}"))
            )
        })
        .collect();
    let set = sound(&text);
    for (value, expected) in [
        ("bxc", "re re|m re|s re|m|s re|i"),
        ("a\nbxc", "re|m re|m|s"),
        ("b\nc", "re|s re|m|s"),
        ("a\nb\nc", "re|m|s"),
        ("BXC", "re|i"),
    ] {
        assert_eq!(matched(&set, f(value)).join(" "), expected, "{value:?}");
    }
}

#[test]
fn encodings_as_other_encoders_write_them() {
    for (modifiers, encoded) in [
        ("base64", "cGluZw=="),
        ("wide|base64", "cABpAG4AZwA="),
        ("utf16le|base64", "cABpAG4AZwA="),
        ("utf16be|base64", "AHAAaQBuAGc="),
        ("utf16|base64", "//5wAGkAbgBnAA=="),
    ] {
        check(&format!("f|{modifiers}: ping"), &[(f(encoded), true), (f("cGluZ"), false)]);
    }
    // The three texts of "foobar" at the three offsets.
    for text in ["Zm9vYmFy", "xmb29iYX", "x=Zvb2Jhcg", "AAZvb2Jhcg=="] {
        check("f|base64offset|contains: foobar", &[(f(text), true)]);
    }
    check("f|base64offset|contains: foobar", &[(f("Zm9vYmF"), false), (f(""), false)]);
    refused("f|base64offset|contains: ''", "too short");
    refused("f|wide|base64: 'a?'", "wildcards cannot be encoded");
    refused("f|base64offset: null", "needs text");
}

#[test]
fn orders_at_their_bounds() {
    for (how, below, same, above) in [
        ("lt", true, false, false),
        ("lte", true, true, false),
        ("gt", false, false, true),
        ("gte", false, true, true),
    ] {
        check(&format!("f|{how}: 0"), &[(f(-1), below), (f(0), same), (f(1), above)]);
        check(
            &format!("f|{how}: -0.5"),
            &[(f(-0.75), below), (f("-0.5"), same), (f(-0.25), above)],
        );
        check(
            &format!("f|{how}: 5"),
            &[
                (f("five"), false),
                (f(""), false),
                (f(true), false),
                (f("NaN"), false),
                (f([9, 1]), true),
            ],
        );
        refused(&format!("f|{how}: '*'"), "number");
        refused(&format!("f|{how}: null"), "number");
        refused(&format!("f|{how}: true"), "number");
        refused(&format!("f|{how}|contains: 5"), "exclude each other");
    }
}

#[test]
fn negation_of_one_value() {
    check(
        "f|neq: a",
        &[(f("b"), true), (f("a"), false), (f(Value::Null), false), (f([] as [i32; 0]), false)],
    );
    check("f|neq: ''", &[(f("x"), true), (f(""), false)]);
    check("f|neq: 5", &[(f(6), true), (f("5"), false), (f("x"), true)]);
    check("f|contains|neq: bc", &[(f("abd"), true), (f("aBCd"), false), (json!({}), false)]);
    check("f|cidr|neq: 10.0.0.0/8", &[(f("11.0.0.1"), true), (f("10.0.0.1"), false)]);
    check("f|re|neq: '^a'", &[(f("ba"), true), (f("ab"), false)]);
    check(
        "f|fieldref|neq: g",
        &[(json!({"f": 1, "g": 2}), true), (json!({"f": 1, "g": 1}), false)],
    );
    check("f|neq: [a, b]", &[(f("c"), true), (f("b"), false)]);
}

#[test]
fn networks_at_their_edges() {
    check(
        "f|cidr: 192.168.1.128/25",
        &[
            (f("192.168.1.127"), false),
            (f("192.168.1.128"), true),
            (f("192.168.1.255"), true),
            (f("192.168.2.0"), false),
            (f(" 192.168.1.200 "), true),
            (f("192.168.1.200/32"), false),
            (f("192.168.1.0200"), false),
        ],
    );
    check("f|cidr: 0.0.0.0/0", &[(f("255.255.255.255"), true), (f("::1"), false)]);
    check(
        "f|cidr: '::/0'",
        &[(f("::1"), true), (f("[2001:db8::1]:443"), true), (f("1.2.3.4"), false)],
    );
    check(
        "f|cidr: ['10.0.0.0/8', '2001:db8::/32']",
        &[(f("2001:db8:1::1"), true), (f("2001:db9::"), false)],
    );
    check("f|cidr: 10.0.0.1/8", &[(f("10.9.9.9"), true)]);
    for wrong in ["10.0.0.0/-1", "10.0.0/8", "'::/129'", "''"] {
        refused(&format!("f|cidr: {wrong}"), "not a network");
    }
    refused("f|cidr: '10.0.0.*'", "wildcards cannot be encoded");
}

#[test]
fn escapes_of_the_specification() {
    // A backslash before anything but a wildcard or a backslash is itself.
    for (written, value, fits) in [
        (r"\n", r"\n", true),
        (r"a\b", r"a\b", true),
        (r"a\\b", r"a\b", true),
        (r"a\\\*b", r"a\*b", true),
        (r"a\\\*b", r"a\xb", false),
        (r"a\\\\*", r"a\\anything", true),
        (r"a\?", "a?", true),
        (r"a\?", "ab", false),
        (r"\*", "*", true),
        (r"\*", "x", false),
        (r"*\\", r"ends\", true),
        (r"\\\\host\\c$", r"\\host\c$", true),
    ] {
        check(&format!("f: '{written}'"), &[(f(value), fits)]);
    }
    check(r"f|contains: '\\'", &[(f(r"a\b"), true), (f("ab"), false)]);
    check(r"f|re: '\\\*'", &[(f(r"a\*"), true), (f("a*"), false)]);
}

#[test]
fn placeholders_beside_wildcards_and_each_other() {
    let with = |lines: &str, values: &[(&str, &[&str])]| {
        let placeholders = values
            .iter()
            .map(|(name, all)| {
                ((*name).to_owned(), all.iter().map(|one| (*one).to_owned()).collect())
            })
            .collect();
        let options = crate::Options { placeholders, ..crate::Options::default() };
        crate::RuleSet::load(std::iter::once(("t", rule(lines))), &options)
    };
    let (set, report) =
        with("f|expand|contains: '%a%-*-%b%'", &[("a", &["x", "y"]), ("b", &["1", "2"])]);
    assert_eq!(report.accepted, 1);
    for (value, fits) in
        [("..x-any-2..", true), ("y--1", true), ("x-any-3", false), ("%a%-x-%b%", false)]
    {
        assert_eq!(matched(&set, f(value)).len() == 1, fits, "{value}");
    }
    let (_, report) = with("f|expand: '%a%%b%'", &[("a", &["x"]), ("b", &[])]);
    assert_eq!(report.inert[0].reason, "placeholder %b% has no values");
    let many: Vec<String> = (0..101).map(|n| n.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let (set, report) = with("f|expand: '%a%%a%'", &[("a", &many)]);
    assert_eq!(
        (set.len(), report.rejected[0].reason.as_str()),
        (0, "modifier: expand gives more than 10,000 values")
    );
}

#[test]
fn pairs_without_a_meaning_are_refused_and_not_skipped() {
    let value = |modifier: &str| match modifier {
        "exists" => "true",
        "cidr" => "10.0.0.0/8",
        "gt" | "lt" | "hour" | "year" => "1",
        _ => "abc",
    };
    let kinds = ["re", "cidr", "exists", "gt", "hour", "fieldref"];
    for kind in kinds {
        for other in ["contains", "base64", "wide", "windash", "cased"] {
            let fine = kind == "fieldref" && ["contains", "cased"].contains(&other);
            for modifiers in [format!("{kind}|{other}"), format!("{other}|{kind}")] {
                let (set, report) = load(&rule(&format!("f|{modifiers}: {}", value(kind))));
                assert_eq!(set.len(), usize::from(fine), "{modifiers}: {:?}", report.rejected);
            }
        }
        for other in kinds.into_iter().filter(|other| *other != kind) {
            let (set, _) = load(&rule(&format!("f|{kind}|{other}: {}", value(kind))));
            let parts = [kind, other].contains(&"hour") && [kind, other].contains(&"gt");
            assert_eq!(set.len(), usize::from(parts), "{kind}|{other}");
        }
        if kind != "re" {
            refused(&format!("'|{kind}': {}", value(kind)), "needs a field");
        }
    }
    for pair in ["gt|lt", "gte|gt", "hour|day", "startswith|endswith", "re|i|contains"] {
        refused(&format!("f|{pair}: 1"), "exclude each other");
    }
}

#[test]
fn dashes_before_options_only() {
    let all = ["-", "/", "\u{2013}", "\u{2014}", "\u{2015}"];
    for written in ["-", "/"] {
        let events: Vec<(Value, bool)> =
            all.iter().map(|dash| (f(format!("cmd {dash}enc x")), true)).collect();
        check(&format!("f|windash|contains: ' {written}enc'"), &events);
    }
    check("f|windash|contains|all: [' -a', ' /b']", &[(f("x /a -b"), true), (f("x /a"), false)]);
    check(
        "f|windash|endswith: ' -h'",
        &[(f("x /H"), true), (f("x --h"), false), (f("x-h"), false)],
    );
}
