//! Search for one content in a window of a buffer.
//!
//! Jumps by the byte of the pattern that traffic has least, which the rule knows since it was loaded: buffers are
//! short and searched once, so that nothing may be prepared here.

use crate::check::rule::Content;

/// First place of the pattern in the window that also fulfils `endswith`.
pub(super) fn find(
    pattern: &[u8],
    content: &Content,
    data: &[u8],
    window: (usize, usize),
) -> Option<usize> {
    let (from, to) = window;
    if content.ends {
        let start = data.len().checked_sub(pattern.len())?;
        return (start >= from
            && to >= data.len()
            && same(pattern, content.nocase, data.get(start..)?))
        .then_some(start);
    }
    let room = data.get(from..to)?;
    let last_start = room.len().checked_sub(pattern.len())?;
    if last_start == 0 {
        return same(pattern, content.nocase, room).then_some(from);
    }
    let at = usize::from(content.rare);
    let byte = pattern.get(at).copied()?;
    let search = room.get(at..=last_start + at)?;
    let is_here = |start: &usize| {
        room.get(*start..*start + pattern.len())
            .is_some_and(|there| same(pattern, content.nocase, there))
    };
    let found = if content.nocase && byte.is_ascii_lowercase() {
        memchr::memchr2_iter(byte, byte.to_ascii_uppercase(), search).find(is_here)
    } else {
        memchr::memchr_iter(byte, search).find(is_here)
    };
    found.map(|start| from + start)
}

fn same(pattern: &[u8], nocase: bool, there: &[u8]) -> bool {
    if nocase { there.eq_ignore_ascii_case(pattern) } else { there == pattern }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::{LoadOptions, RuleSet, Source, check::rule::Item};

    /// A rule with one content.
    fn rule_with(content: &str) -> RuleSet {
        let rule = format!("alert udp any any -> any any (content:{content}; sid:1;)");
        let source = Source { name: "t".to_owned(), text: rule.into_bytes() };
        RuleSet::load(vec![source], &LoadOptions::default()).0
    }

    proptest! {
        #[test]
        fn is_a_plain_search(
            pattern in "[abAB]{1,4}",
            nocase: bool,
            data in proptest::collection::vec(prop_oneof![Just(b'a'), Just(b'B'), Just(b'b'), Just(b'A')], 0..24),
            window in (0_usize..24, 0_usize..24),
        ) {
            let word = if nocase { "; nocase" } else { "" };
            let set = rule_with(&format!("\"{pattern}\"{word}"));
            let Item::Content(content) = &set.rules[0].blocks[0].items[0] else { panic!() };
            let bytes = crate::check::pool::bytes_of(&set.pool, content.pattern);
            let to = window.1.min(data.len());
            let from = window.0.min(to);
            let plain = data[from..to].windows(bytes.len()).position(|there| super::same(bytes, nocase, there));
            prop_assert_eq!(super::find(bytes, content, &data, (from, to)), plain.map(|at| from + at));
        }
    }
}
