//! The matcher against a plain search, and what hostile bytes cost it.

use proptest::prelude::*;

use super::{
    matcher::{MatchScratch, Matcher, Wanted},
    order,
};
use crate::{LoadOptions, RuleSet, Source, rarity};

/// Lowercase ones stay for as long as the test runs.
fn wanted<'p>(patterns: &[(&'p [u8], bool, bool)]) -> Vec<Wanted<'p>> {
    (0_u32..)
        .zip(patterns)
        .map(|(rule, (bytes, nocase, at_end))| Wanted {
            bytes: if *nocase { bytes.to_ascii_lowercase().leak() } else { bytes },
            nocase: *nocase,
            at_end: *at_end,
            dotted: false,
            rule,
        })
        .collect()
}

fn found(matcher: &Matcher, data: &[u8], scratch: &mut MatchScratch) -> Vec<u32> {
    let mut out = Vec::new();
    matcher.scan(data, true, scratch, &mut out);
    out.sort_unstable();
    out
}

fn plain(patterns: &[Wanted<'_>], data: &[u8]) -> Vec<u32> {
    let same = |there: &[u8], one: &Wanted<'_>| {
        if one.nocase { there.eq_ignore_ascii_case(one.bytes) } else { there == one.bytes }
    };
    patterns
        .iter()
        .filter(|one| {
            if one.at_end {
                data.len() >= one.bytes.len() && same(&data[data.len() - one.bytes.len()..], one)
            } else {
                data.windows(one.bytes.len()).any(|there| same(there, one))
            }
        })
        .map(|one| one.rule)
        .collect()
}

#[test]
fn finds_short_long_and_final_patterns() {
    let patterns = wanted(&[
        (b"a", false, false),
        (b"B", true, false),
        (b"xy", false, false),
        (b"xyz", true, false),
        (b"hello world", true, false),
        (b"Hello", false, false),
        (b".example.org", true, true),
        (b"rg", false, true),
        (b"\x00\x01\x02\x03", false, false),
    ]);
    let matcher = Matcher::new(patterns.clone());
    let mut scratch = MatchScratch::default();
    let cases: [&[u8]; 6] =
        [b"", b"a", b"say hello worlD", b"Hello XYZ", b"www.Example.org", b"\x00\x01\x02\x03b"];
    for data in cases {
        assert_eq!(found(&matcher, data, &mut scratch), plain(&patterns, data), "{data:?}");
    }
    assert_eq!(scratch.stats.fallbacks, 0);
}

#[test]
fn hostile_bytes_switch_to_the_bounded_engine_and_lose_nothing() {
    // Many patterns with one window: each byte of the traffic would look at all of them.
    let texts: Vec<Vec<u8>> =
        (0..2_000_u32).map(|n| format!("qqqqqqqq{n:05}").into_bytes()).collect();
    let list: Vec<(&[u8], bool, bool)> =
        texts.iter().map(|text| (text.as_slice(), false, false)).collect();
    let patterns = wanted(&list);
    let matcher = Matcher::new(patterns.clone());
    let mut scratch = MatchScratch::default();
    let mut data = vec![b'q'; 20_000];
    data.extend_from_slice(b"00042");
    for n in 0..2_000 {
        data.extend_from_slice(format!("q{n:05}").as_bytes());
    }
    assert_eq!(found(&matcher, &data, &mut scratch), plain(&patterns, &data));
    let flood: Vec<u8> =
        (0..4_000_u32).flat_map(|n| format!("{:05}", n % 100).into_bytes()).collect();
    assert_eq!(found(&matcher, &flood, &mut scratch), plain(&patterns, &flood));
    let same: Vec<Vec<u8>> =
        (0..300_u32).map(|n| format!("zzzz{}", "z".repeat(n as usize)).into_bytes()).collect();
    let list: Vec<(&[u8], bool, bool)> =
        same.iter().map(|text| (text.as_slice(), false, false)).collect();
    let patterns = wanted(&list);
    let matcher = Matcher::new(patterns.clone());
    let data = vec![b'z'; 2_000];
    assert_eq!(found(&matcher, &data, &mut scratch), plain(&patterns, &data));
    assert!(scratch.stats.fallbacks >= 1);
}

#[test]
fn seldom_windows_cost_less() {
    assert!(rarity::gram_cost(*b"zq~}") < rarity::gram_cost(*b"http"));
    assert!(rarity::gram_cost([0; 4]) > rarity::gram_cost(*b"\x90\xa7\x13\xfe"));
    assert!(rarity::pattern_cost(b"ab") > rarity::pattern_cost(b"abzq"));
}

#[test]
fn rules_run_in_their_order() {
    let text = br#"alert ip any any -> any any (ip_proto:1; priority:3; sid:1;)
alert ip any any -> any any (ip_proto:1; priority:1; sid:2;)
alert ip any any -> any any (ip_proto:1; flowbits:isset,a; sid:3;)
alert ip any any -> any any (ip_proto:1; flowbits:set,a; sid:4;)
drop ip any any -> any any (ip_proto:1; sid:5;)
pass ip any any -> any any (ip_proto:1; sid:6;)
"#;
    let source = Source { name: "o".to_owned(), text: text.to_vec() };
    let (set, _) = RuleSet::load(vec![source], &LoadOptions::default());
    let sids: Vec<u32> = set.ids().filter_map(|id| Some(set.rule(id)?.sid)).collect();
    assert_eq!(sids, [6, 5, 4, 3, 2, 1]);
    assert!(set.rules.is_sorted_by_key(order::key));
}

proptest! {
    #[test]
    fn matcher_is_a_plain_search(
        patterns in proptest::collection::vec((proptest::collection::vec(0..4_u8, 1..9), any::<bool>(), any::<bool>()), 1..40),
        data in proptest::collection::vec(0..4_u8, 0..200),
    ) {
        // Letters of both cases, so that folding matters.
        let letter = |byte: &u8| [b'a', b'A', b'@', b'`'][usize::from(*byte)];
        let texts: Vec<(Vec<u8>, bool, bool)> =
            patterns.iter().map(|(bytes, nocase, end)| (bytes.iter().map(letter).collect(), *nocase, *end)).collect();
        let list: Vec<(&[u8], bool, bool)> = texts.iter().map(|(bytes, nocase, end)| (bytes.as_slice(), *nocase, *end)).collect();
        let patterns = wanted(&list);
        let data: Vec<u8> = data.iter().map(letter).collect();
        let mut scratch = MatchScratch::default();
        let got = found(&Matcher::new(patterns.clone()), &data, &mut scratch);
        prop_assert_eq!(got, plain(&patterns, &data));
    }
}
