//! Patterns with `*` (any run) and `?` (one character): parsing and matching of one string.
//!
//! Matching is linear in pattern times text with no backtracking beyond the last star. Stores
//! turn the parts into an automaton of their own.

use std::fmt;

/// Most parts of a pattern.
pub const MAX_PARTS: usize = 255;

/// One part of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// This very character.
    Char(char),
    /// Any one character.
    One,
    /// Any run of characters, also none.
    Many,
}

/// A pattern, runs of stars folded into one.
#[derive(Clone, PartialEq, Eq)]
pub struct Wildcard(Vec<Part>);

impl Wildcard {
    /// From parts; `None` when there are more than [`MAX_PARTS`].
    #[must_use]
    pub fn new(mut parts: Vec<Part>) -> Option<Self> {
        parts.dedup_by(|a, b| *a == Part::Many && *b == Part::Many);
        (parts.len() <= MAX_PARTS).then_some(Self(parts))
    }

    /// From the parts of a written value, whose length the parser has checked.
    pub(super) fn from_scalar(mut parts: Vec<Part>) -> Self {
        parts.dedup_by(|a, b| *a == Part::Many && *b == Part::Many);
        Self(parts)
    }

    /// Plain text of any length, without wildcards.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self(text.chars().map(Part::Char).collect())
    }

    /// The parts.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// The same pattern with its characters lowercased.
    #[must_use]
    pub fn lowercase(&self) -> Self {
        let lower = |part: &Part| match part {
            Part::Char(c) => c.to_lowercase().map(Part::Char).collect(),
            other => vec![*other],
        };
        Self(self.0.iter().flat_map(lower).take(MAX_PARTS).collect())
    }

    /// Whether it is `*` alone.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.0 == [Part::Many]
    }

    /// Whether the whole text fits the pattern.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut at, mut part) = (0_usize, 0_usize);
        let mut retry: Option<(usize, usize)> = None;
        while at < text.len() {
            let fits = match self.0.get(part) {
                Some(Part::Many) => {
                    retry = Some((part, at));
                    part += 1;
                    continue;
                }
                Some(Part::One) => true,
                Some(Part::Char(c)) => text.get(at) == Some(c),
                None => false,
            };
            if fits {
                at += 1;
                part += 1;
            } else if let Some((star, from)) = retry {
                retry = Some((star, from + 1));
                at = from + 1;
                part = star + 1;
            } else {
                return false;
            }
        }
        self.0.get(part..).is_some_and(|rest| rest.iter().all(|p| *p == Part::Many))
    }
}

impl fmt::Display for Wildcard {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for part in &self.0 {
            match part {
                Part::Char(c @ ('*' | '?' | '\\')) => write!(out, "\\{c}")?,
                Part::Char(c) => out.write_char(*c)?,
                Part::One => out.write_char('?')?,
                Part::Many => out.write_char('*')?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Wildcard {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Wildcard({self})")
    }
}

#[cfg(test)]
pub(crate) fn pattern(text: &str) -> Wildcard {
    let part = |c| match c {
        '*' => Part::Many,
        '?' => Part::One,
        c => Part::Char(c),
    };
    Wildcard::new(text.chars().map(part).collect()).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn table() {
        for (text, yes, no) in [
            ("*", vec!["", "a", "ab"], vec![]),
            ("a*", vec!["a", "ab"], vec!["", "ba"]),
            ("*a", vec!["a", "ba", "aa"], vec!["ab"]),
            ("a?c", vec!["abc", "aéc"], vec!["ac", "abbc"]),
            ("*ab*ab", vec!["abab", "abxabab"], vec!["ab", "abba"]),
            ("a", vec!["a"], vec!["A", "", "aa"]),
        ] {
            for value in yes {
                assert!(pattern(text).matches(value), "{text} {value}");
            }
            for value in no {
                assert!(!pattern(text).matches(value), "{text} {value}");
            }
        }
    }

    #[test]
    fn hostile_stars_do_not_explode() {
        let wild = pattern(&"*a".repeat(120));
        assert!(!wild.matches(&"ab".repeat(100)));
        assert!(Wildcard::new(vec![Part::One; 256]).is_none());
    }

    proptest! {
        #[test]
        fn agrees_with_a_regex(glob in "[ab*?]{0,8}", text in "[ab]{0,8}") {
            let regex = format!("^{}$", glob.replace('*', ".*").replace('?', "."));
            let expected = regex::Regex::new(&regex).unwrap().is_match(&text);
            prop_assert_eq!(pattern(&glob).matches(&text), expected);
        }
    }
}
