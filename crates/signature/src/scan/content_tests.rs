//! `content` and everything that places it: positions, edges of the buffer, negation, chains, sizes. Expected
//! values follow the language's documentation (offset and depth from the beginning, distance and within from the
//! end of the last match).

use crate::tests::{PayloadRow, check_rows};

#[test]
fn patterns_of_every_length_at_every_edge() {
    let rows: &[PayloadRow<'_>] = &[
        (r#"content:"a";"#, &[b"a", b"ba", b"ab", b"xxaxx"], &[b"", b"A", b"bcd"]),
        (r#"content:"ab";"#, &[b"ab", b"xab", b"aab", b"abab"], &[b"", b"a", b"ba", b"aB", b"a b"]),
        (r#"content:"abc";"#, &[b"abc", b"ababc"], &[b"ab", b"abab", b"abC"]),
        (r#"content:"abcd";"#, &[b"abcd", b"abcabcd"], &[b"abc", b"abcabc", b"Abcd"]),
        (r#"content:"abcde";"#, &[b"abcde", b"abcdabcde"], &[b"abcd", b"bcde"]),
        (r#"content:"|00|";"#, &[b"\0", b"a\0"], &[b"", b"0"]),
        (r#"content:"|00 00 00 00|";"#, &[b"\0\0\0\0"], &[b"\0\0\0", b"\0\0\0a\0"]),
        (r#"content:"|FF fe|";"#, &[b"\xff\xfe"], &[b"\xfe\xff", b"\xdf\xde"]),
        (r#"content:"a|20|b|7C|";"#, &[b"a b|"], &[b"a b", b"a  b|"]),
        (r#"content:"a\;b\:c\"d\\e";"#, &[br#"a;b:c"d\e"#], &[br#"a;b:c"d\\e"#]),
    ];
    check_rows(rows);
}

#[test]
fn nocase_folds_letters_and_nothing_else() {
    let rows: &[PayloadRow<'_>] = &[
        (r#"content:"aBcZ"; nocase;"#, &[b"abcz", b"ABCZ", b"xAbCzx"], &[b"abc", b"abc\x1a"]),
        // Characters 32 apart that are no letters stay different.
        (r#"content:"@[`{"; nocase;"#, &[b"@[`{"], &[b"`{@[", b"`[`{", b"@{`{"]),
        (r#"content:"k"; nocase;"#, &[b"K", b"k"], &[b"\x0b", b"\xcb", b"\xe2\x84\xaa"]),
        (r#"content:"|E4|x"; nocase;"#, &[b"\xe4X", b"\xe4x"], &[b"\xc4x"]),
        (r#"content:!"aB"; nocase;"#, &[b"", b"a", b"a-b"], &[b"AB", b"xabx"]),
        (
            r#"content:"AB"; nocase; content:"cd"; distance:0;"#,
            &[b"abcd", b"aBcd"],
            &[b"abCD", b"ab"],
        ),
        (
            r#"content:"ab"; content:"CD"; nocase; within:2;"#,
            &[b"abcd", b"abCd"],
            &[b"ABcd", b"ab-cd"],
        ),
        (r#"content:"AbC"; nocase; startswith; endswith;"#, &[b"ABC", b"abc"], &[b"abcd", b" abc"]),
    ];
    check_rows(rows);
}

#[test]
fn offset_and_depth_from_the_beginning() {
    let rows: &[PayloadRow<'_>] = &[
        (r#"content:"ab"; offset:0;"#, &[b"ab", b"xab"], &[b"a"]),
        (r#"content:"ab"; offset:1;"#, &[b"xab", b"xxab", b"abab"], &[b"ab", b"abx"]),
        (r#"content:"ab"; depth:2;"#, &[b"ab", b"abx"], &[b"xab", b"a"]),
        (r#"content:"ab"; depth:3;"#, &[b"ab", b"xab"], &[b"xxab"]),
        (r#"content:"ab"; offset:2; depth:2;"#, &[b"xxab", b"abab"], &[b"xab", b"xxxab", b"xxa"]),
        (r#"content:"ab"; depth:2; offset:2;"#, &[b"xxab"], &[b"ab", b"xxxab"]),
        (r#"content:"ab"; offset:2; depth:3;"#, &[b"xxab", b"xxxab"], &[b"xab", b"xxxxab"]),
        // The window ends behind the data.
        (r#"content:"ab"; offset:1; depth:100;"#, &[b"xab"], &[b"ab"]),
        (r#"content:"ab"; offset:65535;"#, &[], &[b"ab", b""]),
        (r#"content:"ab"; depth:65535;"#, &[b"ab"], &[b""]),
        (r#"content:!"ab"; depth:2;"#, &[b"", b"a", b"xab"], &[b"ab", b"abx"]),
        (r#"content:!"ab"; offset:2;"#, &[b"", b"ab", b"abx"], &[b"xxab", b"abab"]),
        (r#"content:!"ab"; offset:2; depth:2;"#, &[b"ab", b"xxxab"], &[b"xxab"]),
        (
            r#"content:"a"; offset:1; content:"b"; offset:0; depth:1;"#,
            &[b"ba", b"bca"],
            &[b"ab", b"bb"],
        ),
    ];
    check_rows(rows);
}

#[test]
fn starts_and_ends() {
    let rows: &[PayloadRow<'_>] = &[
        (r#"content:"ab"; startswith;"#, &[b"ab", b"abab"], &[b"", b"a", b"xab"]),
        (r#"content:"ab"; endswith;"#, &[b"ab", b"xab", b"abab"], &[b"", b"b", b"abx"]),
        (r#"content:"ab"; startswith; endswith;"#, &[b"ab"], &[b"abab", b"abx", b"xab"]),
        (r#"content:!"ab"; startswith;"#, &[b"", b"a", b"xab"], &[b"ab", b"abx"]),
        (r#"content:!"ab"; endswith;"#, &[b"", b"b", b"abx"], &[b"ab", b"xab"]),
        (r#"content:"ab"; endswith; offset:2;"#, &[b"xxab", b"abab"], &[b"ab", b"xab"]),
        (r#"content:"ab"; endswith; depth:3;"#, &[b"ab", b"xab"], &[b"xxab", b"abx"]),
        (
            r#"content:"x"; content:"ab"; distance:1; endswith;"#,
            &[b"x-ab", b"xx-ab"],
            &[b"xab", b"x-abc"],
        ),
        (
            r#"content:"x"; content:"ab"; within:3; endswith;"#,
            &[b"xab", b"x-ab"],
            &[b"x--ab", b"xab-"],
        ),
        // An earlier "ab" does not end the search for the one at the end.
        (r#"content:"ab"; endswith; nocase;"#, &[b"ab-AB"], &[b"ab-"]),
    ];
    check_rows(rows);
}

#[test]
fn distance_and_within_from_the_last_match() {
    let rows: &[PayloadRow<'_>] = &[
        (
            r#"content:"a"; content:"b"; distance:0;"#,
            &[b"ab", b"a-b", b"bab"],
            &[b"ba", b"a", b"b"],
        ),
        (r#"content:"a"; content:"b"; distance:1;"#, &[b"a-b", b"a--b"], &[b"ab", b"a-"]),
        (r#"content:"a"; content:"b"; distance:-2;"#, &[b"ba", b"xba", b"ab"], &[b"b-a"]),
        // A distance before the beginning counts from the beginning.
        (r#"content:"a"; content:"b"; distance:-100;"#, &[b"ba", b"b---a"], &[b"a"]),
        (r#"content:"ab"; content:"ab"; distance:-2;"#, &[b"ab"], &[b"a"]),
        (r#"content:"ab"; content:"ba"; distance:-1;"#, &[b"aba"], &[b"ab", b"baab"]),
        (r#"content:"a"; content:"b"; within:1;"#, &[b"ab", b"aab", b"a-ab"], &[b"a-b", b"ba"]),
        (r#"content:"a"; content:"b"; within:2;"#, &[b"ab", b"a-b"], &[b"a--b"]),
        // within counts from where distance leads.
        (
            r#"content:"a"; content:"b"; distance:2; within:1;"#,
            &[b"a--b"],
            &[b"a-b", b"a---b", b"ab"],
        ),
        (r#"content:"a"; content:"b"; distance:-2; within:1;"#, &[b"ba", b"xba"], &[b"ab", b"b-a"]),
        (r#"content:"a"; content:"b"; distance:0; within:65535;"#, &[b"ab", b"a---b"], &[b"ba"]),
        (r#"content:"a"; content:!"b"; distance:0;"#, &[b"a", b"ba", b"bbac"], &[b"ab", b"a-b"]),
        (
            r#"content:"a"; content:!"b"; within:1;"#,
            &[b"a", b"ac", b"a-b", b"abac"],
            &[b"ab", b"abab"],
        ),
        (r#"content:"a"; content:!"b"; distance:1; within:1;"#, &[b"a", b"ab", b"abc"], &[b"a-b"]),
        // The first item has nothing to be relative to: it counts from the beginning.
        (r#"content:"a"; distance:2;"#, &[b"--a"], &[b"a", b"-a"]),
        (r#"content:"a"; within:2;"#, &[b"a", b"-a"], &[b"--a"]),
        // depth with distance ends that many bytes behind the last match.
        (
            r#"content:"a"; content:"b"; distance:0; depth:2;"#,
            &[b"ab", b"a-b", b"---ab"],
            &[b"a--b"],
        ),
        (
            r#"content:"a"; content:"b"; distance:0; offset:4;"#,
            &[b"a---b", b"----ab"],
            &[b"ab", b"a-b"],
        ),
    ];
    check_rows(rows);
}

#[test]
fn chains_go_back_for_a_better_start() {
    let three = r#"content:"a"; content:"b"; within:1; content:"c"; within:1;"#;
    let open = r#"content:"a"; content:"b"; distance:0; content:"c"; within:1;"#;
    let rows: &[PayloadRow<'_>] = &[
        (three, &[b"abc", b"ababc", b"aababc", b"ab-abc"], &[b"ab-c", b"a-bc", b"acb"]),
        (open, &[b"a-bc", b"ab-b-bc", b"bcabc"], &[b"ab-c", b"bca", b"bc"]),
        // What comes after the chain from the beginning is a new start, not a follower.
        (
            r#"content:"a"; content:"b"; within:1; content:"z"; content:"y"; within:1;"#,
            &[b"ab-zy", b"zyab", b"a-ab-z-zy"],
            &[b"ab-z-y", b"a-b-zy"],
        ),
        // A negated item in the middle sends the search on.
        (
            r#"content:"a"; content:!"x"; within:1; content:"b"; distance:0;"#,
            &[b"a-b", b"axa-b"],
            &[b"axb", b"ax"],
        ),
        (
            r#"content:"ab"; content:"ab"; distance:0; content:"ab"; distance:0;"#,
            &[b"ababab", b"ab-ab-ab"],
            &[b"abab", b"ababa", b"aba-bab"],
        ),
        // Overlapping candidates: the second "aa" begins inside the first.
        (r#"content:"aa"; content:"b"; within:1;"#, &[b"aaab", b"aaaaab"], &[b"aa-b"]),
        (
            r#"content:"a"; isdataat:2,relative; content:"b"; distance:0; isdataat:!1,relative;"#,
            &[b"a--b", b"ab-b"],
            &[b"ab", b"a-bc", b"a--bc"],
        ),
        (
            r#"content:"k="; pcre:"/^\d/R"; content:"!"; within:1;"#,
            &[b"k=1!", b"k=xk=1!", b"k=1k=2!"],
            &[b"k=1-!", b"k=!"],
        ),
    ];
    check_rows(rows);
}

#[test]
fn is_data_at() {
    let rows: &[PayloadRow<'_>] = &[
        ("isdataat:0;", &[b"a"], &[b""]),
        ("isdataat:3;", &[b"abcd"], &[b"abc", b""]),
        ("isdataat:!3;", &[b"abc", b""], &[b"abcd"]),
        (r#"content:"a"; isdataat:1,relative;"#, &[b"ab", b"aa"], &[b"a"]),
        (r#"content:"a"; isdataat:!1,relative;"#, &[b"a", b"ba", b"aba"], &[b"ab"]),
        // No byte after what must not be there: it must not be at the end.
        (
            r#"content:"a"; content:!"b"; isdataat:!1,relative; content:!"c"; isdataat:!1,relative;"#,
            &[b"a", b"ab-", b"a-", b"ca"],
            &[b"ab", b"ac", b"acbc"],
        ),
        (r#"content:"a"; isdataat:3,relative,rawbytes;"#, &[b"a123"], &[b"a12"]),
        (r#"content:"a"; isdataat:65535,relative;"#, &[], &[b"a"]),
        // The number may come from the traffic.
        ("byte_extract:1,0,n; isdataat:n;", &[b"\x01a"], &[b"\x02a", b""]),
        ("byte_extract:1,0,n; isdataat:!n,relative;", &[b"\x02a", b"\x01"], &[b"\x01a"]),
    ];
    check_rows(rows);
}

#[test]
fn sizes_of_packets() {
    let rows: &[PayloadRow<'_>] = &[
        ("dsize:0;", &[b""], &[b"a"]),
        ("dsize:2;", &[b"ab"], &[b"a", b"abc"]),
        // What is not of that size has a size.
        ("dsize:!2;", &[b"a", b"abc"], &[b"", b"ab"]),
        ("dsize:<2;", &[b"", b"a"], &[b"ab"]),
        ("dsize:>2;", &[b"abc"], &[b"ab", b""]),
        ("dsize:<=2;", &[b"ab", b"a"], &[b"abc"]),
        ("dsize:>=2;", &[b"ab", b"abc"], &[b"a"]),
        // Both ends of a range are outside.
        ("dsize:1<>4;", &[b"ab", b"abc"], &[b"a", b"abcd"]),
        (r#"dsize:3; content:"a"; depth:1;"#, &[b"abc"], &[b"ab", b"bca"]),
    ];
    check_rows(rows);
}

#[test]
fn the_fast_pattern_never_decides() {
    let rows: &[PayloadRow<'_>] = &[
        (
            r#"content:"abcd"; fast_pattern; content:"xy";"#,
            &[b"abcdxy", b"xyabcd"],
            &[b"abcd", b"xy"],
        ),
        (r#"content:"abcd"; content:"xy"; fast_pattern:only;"#, &[b"xyabcd"], &[b"abcd", b"xy"]),
        (r#"content:"abcdef"; fast_pattern:0,6;"#, &[b"abcdef"], &[b"abcde"]),
        (r#"content:"abcdef"; fast_pattern:2,4;"#, &[b"abcdef"], &[b"cdef", b"xxcdef"]),
        (r#"content:"abcdef"; nocase; fast_pattern:1,4;"#, &[b"ABCDEF"], &[b"BCDE", b"xBCDEf"]),
        (r#"content:"abcdef"; endswith; fast_pattern:0,4;"#, &[b"abcdef"], &[b"abcdefg", b"abcd"]),
        (
            r#"content:"abcdef"; startswith; fast_pattern:3,3;"#,
            &[b"abcdefx"],
            &[b"xabcdef", b"defdef"],
        ),
        // A negated pattern announces nothing: the rule is looked at without it.
        (r#"content:!"abcd"; fast_pattern;"#, &[b"", b"abc"], &[b"abcd"]),
        (r#"content:!"abcd"; fast_pattern; content:"xy";"#, &[b"xy"], &[b"xyabcd", b"", b"x"]),
    ];
    check_rows(rows);
}

#[test]
fn a_pattern_may_be_as_long_as_a_packet() {
    let long = "A".repeat(65_535);
    let rule = format!(r#"content:"{long}";"#);
    let mut exact = long.into_bytes();
    assert!(crate::tests::payload_matches(&rule, &exact));
    exact.pop();
    assert!(!crate::tests::payload_matches(&rule, &exact));
}
