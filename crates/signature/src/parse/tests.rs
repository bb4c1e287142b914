//! What the parser makes of good, odd and hostile text.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

fn check(text: &str, expected: &Expect) {
    let shown = match rule(text.as_bytes()) {
        Ok(raw) => {
            let header = [
                raw.header.action,
                raw.header.protocol,
                raw.header.src,
                raw.header.src_port,
                raw.header.direction,
                raw.header.dst,
                raw.header.dst_port,
            ]
            .map(|field| String::from_utf8_lossy(field).into_owned())
            .join(" ~ ");
            let options: Vec<String> = raw
                .options
                .iter()
                .map(|o| {
                    let value = o.value.map(|v| String::from_utf8_lossy(v).into_owned());
                    format!("{}@{} {value:?}", o.name, o.offset)
                })
                .collect();
            format!("{header}\n{}\n", options.join("\n"))
        }
        Err(located) => format!("at {}: {}\n", located.offset, located.error),
    };
    expected.assert_eq(&shown);
}

#[test]
fn splits_header_and_options() {
    check(
        r#"alert tcp [10.0.0.0/8, ![10.1.0.0/16,$X]] any -> any [80,!81] (msg:"a\;b"; content:!"x"; nocase; sid:1;)"#,
        &expect![[r#"
            alert ~ tcp ~ [10.0.0.0/8, ![10.1.0.0/16,$X]] ~ any ~ -> ~ any ~ [80,!81]
            msg@63 Some("\"a\\;b\"")
            content@75 Some("!\"x\"")
            nocase@89 None
            sid@97 Some("1")
        "#]],
    );
}

#[test]
fn names_what_is_missing() {
    check(
        "alert tcp any any",
        &expect![[r#"
        at 17: rule header: no "(" before the options
    "#]],
    );
    check(
        "alert tcp any any -> any (sid:1;)",
        &expect![[r#"
        at 0: rule header: expected 7 fields before "(" (action protocol address port direction address port), found 6
    "#]],
    );
    check(
        "alert tcp any any <- any any (sid:1;)",
        &expect![[r#"
        at 0: rule header: direction must be ->, <> or =>, not "<-"
    "#]],
    );
    check(
        "alert tcp any any -> any any (sid:1)",
        &expect![[r#"
        at 30: rule header: option without closing ";": "sid:1"
    "#]],
    );
    check(
        "alert tcp [any any -> any any (sid:1;)",
        &expect![[r#"
        at 30: rule header: "[" without "]"
    "#]],
    );
    check(
        "alert tcp any any -> any any (sid:1;) x",
        &expect![[r#"
        at 37: rule header: text after the closing ")"
    "#]],
    );
}

#[test]
fn decodes_content() {
    let cases: &[(&str, Result<&[u8], &str>)] = &[
        ("abc", Ok(b"abc")),
        ("a|20 41|b", Ok(b"a Ab")),
        ("|2041|", Ok(b" A")),
        (r#"a\;\:\"\\b"#, Ok(br#"a;:"\b"#)),
        ("|4|", Err("odd number of hex digits")),
        ("|4g|", Err("not a hex digit between \"|\"")),
        ("|41", Err("hex part without closing \"|\"")),
        (r"a\n", Err("a backslash may only stand before \\ ; : \"")),
        ("", Err("empty pattern")),
        ("||", Err("empty pattern")),
    ];
    for (text, expected) in cases {
        let got = decode_content(text.as_bytes());
        assert_eq!(got.as_deref().map_err(|e| *e), *expected, "{text}");
    }
}

#[test]
fn joins_lines_and_keeps_positions() {
    let file = b"# comment \\\nfirst (a;)\n\n  second \\\n  (b; \\\r\n c;)\n#off (d;)\nlast";
    let found: Vec<(String, u32)> = lines(file)
        .map(|line| (String::from_utf8_lossy(&line.text).into_owned(), line.number))
        .collect();
    assert_eq!(
        found,
        [
            ("first (a;)".to_owned(), 2),
            ("  second     (b;     c;)".to_owned(), 4),
            ("last".to_owned(), 8),
        ]
    );
    let second = lines(file).nth(1).unwrap();
    let at = memchr::memchr(b'c', &second.text[10..]).unwrap() + 10;
    assert_eq!(position(file, second.start, second.number, at), (6, 2));
}

#[test]
fn a_rule_of_a_megabyte_is_split() {
    let text = format!("alert ip any any -> any any (content:\"{}\"; sid:1;)", "A".repeat(1 << 20));
    assert_eq!(rule(text.as_bytes()).unwrap().options.len(), 2);
    let text = format!("alert ip any any -> any any ({})", "a;".repeat(1 << 19));
    assert!(rule(text.as_bytes()).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_survived(text in proptest::collection::vec(any::<u8>(), 0..300)) {
        for line in lines(&text) {
            prop_assert!(rule(&line.text).map_or(true, |raw| raw.options.len() <= text.len()));
            let (row, column) = position(&text, line.start, line.number, line.text.len());
            prop_assert!(row >= 1 && column >= 1);
        }
        prop_assert!(decode_content(&text).map_or(true, |bytes| bytes.len() <= text.len()));
    }
}
