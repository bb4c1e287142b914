//! The grammar as a whole: what is printed is read back as the same query, errors point into the
//! text, operators bind as they should.

use super::ast::{Expr, Regex, Scalar, Test};
use super::parse::parse;
use super::wildcard::{Part, Wildcard};
use expect_test::{Expect, expect};
use proptest::prelude::*;
use std::ops::Bound;

/// A query as somebody careful would write it.
fn print(expr: &Expr) -> String {
    let all = |parts: &[Expr], between: &str| {
        let parts: Vec<String> = parts.iter().map(|part| format!("({})", print(part))).collect();
        parts.join(between)
    };
    match expr {
        Expr::All => "*".into(),
        Expr::And(parts) => all(parts, " AND "),
        Expr::Or(parts) => all(parts, " OR "),
        Expr::Not(part) => format!("NOT ({})", print(part)),
        Expr::Bare { term, .. } => scalar(term),
        Expr::BareRegex { pattern, .. } => regex(pattern),
        Expr::Field { name, test, .. } => match test {
            Test::Exists => format!("{name}:*"),
            Test::Is(value) => format!("{name}:{}", scalar(value)),
            Test::Regex(pattern) => format!("{name}:{}", regex(pattern)),
            Test::Range { low, high } => {
                let (open, low) = bound(low, "[", "{");
                let (close, high) = bound(high, "]", "}");
                format!("{name}:{open}{low} TO {high}{close}")
            }
        },
    }
}

fn regex(pattern: &Regex) -> String {
    format!("/{}/{}", pattern.source, if pattern.insensitive { "i" } else { "" })
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn bound<'a>(bound: &Bound<String>, included: &'a str, excluded: &'a str) -> (&'a str, String) {
    match bound {
        Bound::Unbounded => (included, "*".into()),
        Bound::Included(text) => (included, quote(text)),
        Bound::Excluded(text) => (excluded, quote(text)),
    }
}

fn scalar(scalar: &Scalar) -> String {
    if let Some(text) = scalar.literal().filter(|_| scalar.quoted) {
        return quote(&text);
    }
    let part = |part: &Part| match part {
        Part::Many => "*".to_owned(),
        Part::One => "?".to_owned(),
        Part::Char(c) if c.is_alphanumeric() => c.to_string(),
        Part::Char(c) => format!("\\{c}"),
    };
    scalar.parts.parts().iter().map(part).collect()
}

/// Columns are of no account here.
fn strip(expr: Expr) -> Expr {
    let all = |parts: Vec<Expr>| parts.into_iter().map(strip).collect();
    match expr {
        Expr::All => Expr::All,
        Expr::And(parts) => Expr::And(all(parts)),
        Expr::Or(parts) => Expr::Or(all(parts)),
        Expr::Not(part) => Expr::Not(Box::new(strip(*part))),
        Expr::Field { name, test: Test::Regex(pattern), .. } => {
            Expr::Field { name, test: Test::Regex(Regex { column: 0, ..pattern }), column: 0 }
        }
        Expr::Field { name, test, .. } => Expr::Field { name, test, column: 0 },
        Expr::Bare { term, .. } => Expr::Bare { term, column: 0 },
        Expr::BareRegex { pattern, .. } => {
            Expr::BareRegex { pattern: Regex { column: 0, ..pattern }, column: 0 }
        }
    }
}

fn text() -> impl Strategy<Value = String> {
    "[ -~éЖ東]{1,12}"
}

fn pattern() -> impl Strategy<Value = Scalar> {
    let part = prop_oneof![
        4 => proptest::char::ranges(vec!['!'..='~', 'Ж'..='я'].into()).prop_map(Part::Char),
        1 => Just(Part::One),
        1 => Just(Part::Many),
    ];
    proptest::collection::vec(part, 1..8)
        .prop_map(|parts| Scalar { parts: Wildcard::new(parts).unwrap(), quoted: false })
        .prop_filter("a star alone means something else", |scalar| !scalar.parts.is_any())
}

fn quoted() -> impl Strategy<Value = Scalar> {
    text().prop_map(|text| Scalar {
        parts: Wildcard::new(text.chars().map(Part::Char).collect()).unwrap(),
        quoted: true,
    })
}

/// One pattern in a query: few are allowed.
fn expression() -> impl Strategy<Value = Regex> {
    ("([a-z|.*é ]|\\\\/){1,8}", any::<bool>()).prop_map(|(source, insensitive)| Regex {
        source,
        insensitive,
        column: 0,
    })
}

fn query() -> impl Strategy<Value = Expr> {
    let value = || prop_oneof![pattern(), quoted()];
    let one = || {
        prop_oneof![
            Just(Bound::Unbounded),
            text().prop_map(Bound::Included),
            text().prop_map(Bound::Excluded)
        ]
    };
    let test = prop_oneof![
        Just(Test::Exists),
        value().prop_map(Test::Is),
        expression().prop_map(Test::Regex),
        (one(), one()).prop_map(|(low, high)| Test::Range {
            // An open bound has no brackets of its own.
            low,
            high,
        }),
    ];
    let leaf = prop_oneof![
        Just(Expr::All),
        value().prop_map(|term| Expr::Bare { term, column: 0 }),
        expression().prop_map(|pattern| Expr::BareRegex { pattern, column: 0 }),
        ("[a-z_]{1,8}(\\.[a-z]{1,5}){0,2}", test).prop_map(|(name, test)| Expr::Field {
            name,
            test,
            column: 0
        }),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Expr::And),
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Expr::Or),
            inner.prop_map(|part| Expr::Not(Box::new(part))),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back(expr in query()) {
        let text = print(&expr);
        let read = parse(&text).map(strip);
        if matches!(&read, Err(error) if error.what.starts_with("too many regular")) {
            return Ok(());
        }
        prop_assert_eq!(read, Ok(expr), "{}", text);
    }

    #[test]
    fn errors_point_into_the_text_and_name_a_way_out(text in "[a-z:()\\[\\]{}\"*?<>= ANDORTO-]{0,30}") {
        if let Err(error) = parse(&text) {
            let length = text.chars().count();
            prop_assert!((1..=length + 1).contains(&error.column), "{:?}: {}", text, error);
            prop_assert!(!error.what.is_empty() && !error.hint.is_empty());
        }
    }

    #[test]
    fn blanks_around_terms_mean_nothing(expr in query(), blanks in "[ \t\n\u{a0}]{1,4}") {
        let text = print(&expr);
        let padded = format!("{blanks}{text}{blanks}");
        prop_assert_eq!(parse(&padded).map(strip), parse(&text).map(strip));
    }
}

/// Each query with its error under the character it means.
fn pointed(queries: &[&str], expected: &Expect) {
    let each = queries.iter().map(|query| {
        let error = parse(query).unwrap_err();
        format!("{query}\n{}^ {}", " ".repeat(error.column - 1), error.what)
    });
    expected.assert_eq(&each.collect::<Vec<_>>().join("\n"));
}

#[test]
fn columns_count_characters_and_point_at_the_mistake() {
    pointed(
        &[
            "é東 (a",
            "\u{1f600} AND",
            "user.name:alice AND src_ip:[10.0.0.1 10.0.0.9]",
            "a OR OR b",
            "(a AND (b OR c) AND \"d e)",
            "x:{1 TO 2",
            "NOT",
            "a AND NOT",
            "f:>=",
            "f:[* TO *",
            "f:<(1)",
            "a ) b",
            "\"open",
            "f:\"open",
            "f IN (a, b",
            "f IN ()",
        ],
        &expect![[r#"
            é東 (a
               ^ parenthesis is not closed
            😀 AND
                 ^ a term is missing
            user.name:alice AND src_ip:[10.0.0.1 10.0.0.9]
                                                 ^ TO expected in a range
            a OR OR b
                 ^ a term is missing
            (a AND (b OR c) AND "d e)
                                ^ quote is not closed
            x:{1 TO 2
                     ^ range is not closed
            NOT
               ^ a term is missing
            a AND NOT
                     ^ a term is missing
            f:>=
                ^ a value was expected, found the end
            f:[* TO *
                     ^ range is not closed
            f:<(1)
               ^ a value was expected, found '('
            a ) b
              ^ unexpected ')'
            "open
            ^ quote is not closed
            f:"open
              ^ quote is not closed
            f IN (a, b
                 ^ list is not closed
            f IN ()
                  ^ empty list"#]],
    );
}

#[test]
fn what_other_languages_write_is_pointed_at() {
    pointed(
        &[
            "src_ip = 10.0.0.1",
            "é src_ip=10.0.0.1",
            "user.name!=\"a b\"",
            "own==\"x\"",
            "message=~\"err.*\"",
            "_exists_:user.name",
            "a | b",
            "|",
        ],
        &expect![[r#"
            src_ip = 10.0.0.1
                   ^ = is no operator
            é src_ip=10.0.0.1
                    ^ = is no operator
            user.name!="a b"
                     ^ != is no operator
            own=="x"
               ^ == is no operator
            message=~"err.*"
                   ^ =~ is no operator
            _exists_:user.name
            ^ existence is written with a star
            a | b
              ^ no stages are taken here
            |
            ^ no stages are taken here"#]],
    );
}

#[test]
fn operators_bind_and_words_that_look_like_them_do_not() {
    for (one, two) in [
        ("a AND b OR c AND d", "(a AND b) OR (c AND d)"),
        ("a OR b AND c OR d", "a OR (b AND c) OR d"),
        ("a b OR c d", "(a AND b) OR (c AND d)"),
        ("NOT a b", "(NOT a) AND b"),
        ("NOT a OR b", "(NOT a) OR b"),
        ("-a -b", "(NOT a) AND (NOT b)"),
        ("!a && !b || c", "((NOT a) AND (NOT b)) OR c"),
        ("f:(a b)", "f:a AND f:b"),
        ("f:(a OR NOT b)", "f:a OR NOT f:b"),
        ("f:(a OR (b AND c))", "f:a OR (f:b AND f:c)"),
        ("((a))", "a"),
        ("a\tb\nc", "a b c"),
        ("f>5", "f:>5"),
        ("f >= 5", "f:>=5"),
        ("f:[1 TO *]", "f:>=1"),
        ("f:{* TO 1}", "f:<1"),
        ("f IN (a, b)", "f:a OR f:b"),
        ("f IN (a b  \"c, d\" ,)", "f:a OR f:b OR f:\"c, d\""),
        ("f NOT IN (a,b) c", "(NOT (f:a OR f:b)) AND c"),
        ("f IN (a*,/b+/i)", "f:a* OR f:/b+/i"),
        ("f IN (a)", "f:a"),
        ("a||b", "a OR b"),
        ("*:*", "*"),
        ("(*:*) a", "* AND a"),
        ("/a b/ c", "(/a b/) AND c"),
    ] {
        let read = |text: &str| parse(text).map(strip);
        assert_eq!(read(one), read(two), "{one}");
    }
    for word in [
        "and", "Or", "nOT", "ANDroid", "ORacle", "NOTe", "TO", "a-b", "x&y", "id=1", "/usr/bin",
        "IN",
    ] {
        let Ok(Expr::Bare { term, .. }) = parse(word) else { panic!("{word}") };
        assert_eq!(term.literal().as_deref(), Some(word));
    }
}
