//! `pcre`: flags, anchors, the cursor, both engines against each other, and the limits of the backtracking one.

use proptest::prelude::*;

use super::{LazyRegex, regex::Search};
use crate::{
    check::pcre,
    tests::{Bench, PayloadRow, check_rows, packet},
};

#[test]
fn flags() {
    let rows: &[PayloadRow<'_>] = &[
        (r#"pcre:"/ab/";"#, &[b"ab", b"xabx"], &[b"AB", b"a", b""]),
        (r#"pcre:"/ab/i";"#, &[b"AB", b"aB"], &[b"a-b"]),
        (r#"pcre:!"/ab/i";"#, &[b"", b"a-b"], &[b"AB"]),
        // Without s a dot is no line end; without m the anchors are those of the whole.
        (r#"pcre:"/a.b/";"#, &[b"a-b", b"a\rb", b"a\0b", b"a\xffb"], &[b"a\nb", b"ab"]),
        (r#"pcre:"/a.b/s";"#, &[b"a\nb"], &[b"ab"]),
        (r#"pcre:"/^ab/";"#, &[b"ab"], &[b"\nab", b"xab"]),
        (r#"pcre:"/^ab/m";"#, &[b"ab", b"x\nab"], &[b"xab", b"\rab"]),
        (r#"pcre:"/ab$/";"#, &[b"ab", b"ab\n"], &[b"ab\n\n", b"abx", b"ab\r\n"]),
        (r#"pcre:"/ab$/m";"#, &[b"ab", b"ab\nx", b"ab\n"], &[b"abx", b"ab\r\n"]),
        (r#"pcre:"/ab$/E";"#, &[b"ab"], &[b"ab\n", b"abx"]),
        (r#"pcre:"/ab\z/";"#, &[b"ab"], &[b"ab\n"]),
        (r#"pcre:"/ab\Z/";"#, &[b"ab", b"ab\n"], &[b"ab\n\n"]),
        (r#"pcre:"/ab/A";"#, &[b"abx"], &[b"xab"]),
        (r#"pcre:"/a b # comment/x";"#, &[b"ab"], &[b"a b"]),
        // Extended mode leaves blanks inside brackets alone.
        (r#"pcre:"/a[ x]b/x";"#, &[b"a b", b"axb"], &[b"ab"]),
        (r#"pcre:"/a.*b/G"; content:"!"; within:1;"#, &[b"ab!b"], &[b"a-b-b!"]),
        (r#"pcre:"/ab/B";"#, &[b"ab"], &[b"a"]),
        (r#"pcre:"/ab/O";"#, &[b"ab"], &[b"a"]),
        (r#"pcre:"/a\/b/";"#, &[b"a/b"], &[b"ab", br"a\/b"]),
        (r#"pcre:"/a/b/";"#, &[b"a/b"], &[b"ab"]),
        (r#"pcre:"/a\x41\x{42}/";"#, &[b"aAB"], &[b"aA"]),
        ("pcre:\"/\u{e9}/\";", &["\u{e9}".as_bytes()], &[b"e", b"\xe9"]),
        (r#"pcre:"/\;\:/";"#, &[b";:"], &[b":;"]),
    ];
    check_rows(rows);
}

#[test]
fn what_only_a_backtracking_engine_knows() {
    let rows: &[PayloadRow<'_>] = &[
        (r#"pcre:"/(a|b)\1/";"#, &[b"aa", b"abb"], &[b"ab", b"aba"]),
        (r#"pcre:"/(?<x>a|b)-\k<x>/";"#, &[b"a-a", b"b-b"], &[b"a-b"]),
        (r#"pcre:"/a(?=b)/";"#, &[b"ab"], &[b"a", b"ac"]),
        (r#"pcre:"/a(?!b)/";"#, &[b"ac", b"a", b"aba"], &[b"ab"]),
        (r#"pcre:"/(?<=a)b/";"#, &[b"ab"], &[b"b", b"cb"]),
        (r#"pcre:"/(?<!a)b/";"#, &[b"b", b"cb"], &[b"ab"]),
        (r#"pcre:"/a*+a/";"#, &[], &[b"aaa"]),
        (r#"pcre:"/(?>a+)b/";"#, &[b"aab"], &[b"aa"]),
        (r#"pcre:"/^(\((?:[^()]|(?1))*\))$/";"#, &[b"(())", b"(()())"], &[b"(()", b"())"]),
        (r#"pcre:"/(a)(?:b)?(?(1)c)/";"#, &[b"abc", b"ac"], &[b"ab", b"c"]),
        (r#"pcre:!"/(a)\1/";"#, &[b"ab", b""], &[b"aa"]),
    ];
    check_rows(rows);
}

#[test]
fn relative_to_the_last_match() {
    let rows: &[PayloadRow<'_>] = &[
        (r#"content:"ab"; pcre:"/c/R";"#, &[b"abc", b"ab-c"], &[b"cab", b"c"]),
        (r#"content:"ab"; pcre:"/^c/R";"#, &[b"abc", b"ab-abc"], &[b"ab-c", b"cab"]),
        (r#"content:"ab"; pcre:"/^$/R";"#, &[b"ab", b"xab", b"ab\n"], &[b"abx"]),
        (r#"content:"ab"; pcre:!"/^c/R";"#, &[b"ab", b"ab-c", b"abcab"], &[b"abc"]),
        (r#"pcre:"/a+/"; content:"b"; within:1;"#, &[b"aab", b"a-ab"], &[b"a-b"]),
        (r#"pcre:"/a+/"; content:"b"; distance:1; within:1;"#, &[b"aa-b"], &[b"aab", b"a--b"]),
        // The expression is tried further on when its follower fails.
        (r#"pcre:"/k=\d/"; content:"!"; within:1;"#, &[b"k=1-k=2!"], &[b"k=1-k=2-!"]),
        (r#"pcre:"/a/"; pcre:"/^b/R"; pcre:"/^c/R";"#, &[b"abc", b"ab-abc"], &[b"ab-c", b"acb"]),
        (r#"pcre:"/a$/"; isdataat:!1,relative;"#, &[b"a"], &[b"ab"]),
        // The newline that $ looks past is not part of the match.
        (r#"pcre:"/a$/"; content:"|0a|"; within:1;"#, &[b"a\n"], &[b"a"]),
        (r#"pcre:"/a/"; byte_test:1,=,5,0,relative;"#, &[b"a\x05", b"a-a\x05"], &[b"a\x04", b"a"]),
        // An empty match moves nothing.
        (r#"content:"a"; pcre:"/x*/R"; content:"b"; within:1;"#, &[b"ab", b"axxb"], &[b"a-"]),
        (r#"content:"a"; pcre:"/^x?/R"; content:"b"; within:1;"#, &[b"ab", b"axb"], &[b"axxb"]),
    ];
    check_rows(rows);
}

#[test]
fn work_is_bounded_and_counted() {
    let mut bench = Bench::new(r#"alert udp any any -> any any (pcre:"/^(a+)+\1$/"; sid:1;)"#);
    let mut bomb = vec![b'a'; 400];
    bomb.push(b'!');
    assert!(bench.packet(&packet(&bomb)).is_empty());
    assert_eq!(bench.scratch.cut_short(), (0, 1));
    assert_eq!(bench.packet(&packet(b"aaaa")), [1]);
    assert_eq!(
        bench.scratch.cut_short(),
        (0, 1),
        "a match within the limits counts as none cut short"
    );
    // What was cut short is no match, and neither is its negation: nothing is known.
    let mut negated = Bench::new(r#"alert udp any any -> any any (pcre:!"/^(a+)+\1$/"; sid:1;)"#);
    assert!(negated.packet(&packet(&bomb)).is_empty());
    assert_eq!(negated.packet(&packet(b"b")), [1]);
    // The linear engine has no such inputs.
    let mut linear = Bench::new(r#"alert udp any any -> any any (pcre:"/^(a+)+$/"; sid:1;)"#);
    assert!(linear.packet(&packet(&bomb)).is_empty());
    assert_eq!(linear.scratch.cut_short(), (0, 0));
}

#[test]
fn an_expression_too_large_for_the_linear_engine_still_runs() {
    let mut bench = Bench::new(
        r#"alert udp any any -> any any (pcre:"/^(?:[ab]{200}){400}c?$|^xyz$/"; sid:1;)"#,
    );
    assert_eq!(bench.packet(&packet(b"xyz")), [1]);
    assert!(bench.packet(&packet(b"xy")).is_empty());
}

fn both_engines(expression: &str, subject: &[u8]) -> Option<(Search, Search)> {
    let read = pcre::read(format!("\"/{expression}/\"").as_bytes()).ok()?.expression;
    read.linear.as_ref()?;
    let exact = pcre::Expression { linear: None, ..read.clone() };
    Some((LazyRegex::new(read).find(subject, 0), LazyRegex::new(exact).find(subject, 0)))
}

fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[abc]",
        Just(".".to_owned()),
        Just("\\d".to_owned()),
        Just("\\s".to_owned()),
        Just("\\W".to_owned()),
        Just("[^a]".to_owned()),
        Just("[\\w-b]".to_owned()),
        Just("[a[&~]".to_owned()),
        Just("[[:digit:]]".to_owned()),
        Just("\\x0a".to_owned()),
        Just("\\h".to_owned()),
        Just("\\v".to_owned()),
        Just("\\b".to_owned()),
        Just("^".to_owned()),
        Just("{".to_owned()),
        Just("\\/".to_owned()),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            (inner.clone(), prop_oneof!["[*+?]", Just("{1,2}".to_owned()), Just("*?".to_owned())])
                .prop_map(|(one, times)| format!("(?:{one}){times}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("(?:{a}|{b})")),
            inner.prop_map(|one| format!("(?i:{one})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]
    /// An expression that was rewritten for the linear engine means what it meant.
    #[test]
    fn a_rewritten_expression_finds_the_same(
        expression in expression(),
        subject in proptest::collection::vec(prop_oneof![Just(b'a'), Just(b'b'), Just(b'A'), Just(b'1'), Just(b' '), Just(b'\n'), Just(b'\x0b'), Just(b'-'), Just(b'['), Just(b'{'), Just(b'/'), Just(0xff)], 0..12),
    ) {
        if let Some((linear, full)) = both_engines(&expression, &subject) && full != Search::Limit {
            prop_assert_eq!(linear, full, "{} on {:?}", expression, subject);
        }
    }

    /// Any text is an expression or a named error, and any expression survives any bytes.
    #[test]
    fn any_expression_is_survived(text in "[\\\\a-c()\\[\\]{}|*+?^$.:=!<>,0-3PRx/-]{0,16}", flags in "[ismxAEGRUIPQHDMCSYVWBOZk]{0,3}", subject in proptest::collection::vec(any::<u8>(), 0..30)) {
        if let Ok(read) = pcre::read(format!("\"/{text}/{flags}\"").as_bytes()) {
            let regex = LazyRegex::new(read.expression);
            for from in [0, 1, subject.len(), subject.len() + 1] {
                if let Search::Found { start, end } = regex.find(&subject, from) {
                    prop_assert!(from <= start && start <= end && end <= subject.len());
                }
            }
        }
    }
}
