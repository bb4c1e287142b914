//! Regular expressions over whole values: one automaton of bounded size, which the in-memory matcher
//! and the index step through alike, so that both mean the same.
//!
//! The syntax is that of the crate `regex`. An expression must fit the whole value, as wildcards do:
//! `/.*failed.*/` looks within. Word boundaries of Unicode, back references and looking around are not
//! to be had. The cost of a value is linear in its length, whatever the expression.

use std::sync::Arc;

use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::primitives::StateID;
use regex_automata::util::{start, syntax};
use regex_automata::{Anchored, MatchKind};

/// Longest expression, characters.
pub const MAX_SOURCE: usize = 512;
/// Deepest nesting of groups.
const MAX_NEST: u32 = 32;
/// Largest intermediate form, bytes.
const MAX_NFA: usize = 512 << 10;
/// Largest automaton, bytes.
const MAX_DFA: usize = 1 << 20;
/// Most memory to work the automaton out, bytes.
const MAX_WORK: usize = 4 << 20;

/// A regular expression that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {hint}")]
pub struct RegexError {
    /// Where in the expression, in characters from 0.
    pub offset: usize,
    /// What is wrong.
    pub what: String,
    /// How it could be written.
    pub hint: &'static str,
}

/// A compiled regular expression. Cheap to clone.
#[derive(Clone)]
pub struct Pattern {
    source: String,
    insensitive: bool,
    compiled: Arc<Compiled>,
}

struct Compiled {
    dfa: dense::DFA<Vec<u32>>,
    start: StateID,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source && self.insensitive == other.insensitive
    }
}

impl std::fmt::Debug for Pattern {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "/{}/{}", self.source, if self.insensitive { "i" } else { "" })
    }
}

impl Pattern {
    /// Compiles an expression.
    ///
    /// # Errors
    /// [`RegexError`]: it is none, uses what cannot be had, or would become too large.
    pub fn new(source: &str, insensitive: bool) -> Result<Self, RegexError> {
        if source.chars().count() > MAX_SOURCE {
            let what = "regular expression is too long".to_owned();
            return Err(RegexError { offset: 0, what, hint: "at most 512 characters are allowed" });
        }
        let syntax = syntax::Config::new()
            .case_insensitive(insensitive)
            .dot_matches_new_line(true)
            .nest_limit(MAX_NEST);
        let parsed = syntax::parse_with(source, &syntax).map_err(|error| wrong(&error))?;
        let nfa = thompson::Compiler::new()
            .configure(thompson::Config::new().nfa_size_limit(Some(MAX_NFA)))
            .build_from_hir(&parsed)
            .map_err(|error| large(&error))?;
        let config = dense::Config::new()
            .start_kind(StartKind::Anchored)
            // Every way to fit is followed: a shorter one must not hide the one that fits the whole.
            .match_kind(MatchKind::All)
            .dfa_size_limit(Some(MAX_DFA))
            .determinize_size_limit(Some(MAX_WORK));
        let dfa = dense::Builder::new()
            .configure(config)
            .build_from_nfa(&nfa)
            .map_err(|error| large(&error))?;
        let start = dfa
            .start_state(&start::Config::new().anchored(Anchored::Yes))
            .map_err(|error| large(&error))?;
        let compiled = Arc::new(Compiled { dfa, start });
        Ok(Self { source: source.to_owned(), insensitive, compiled })
    }

    /// Whether the whole text fits.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let mut state = self.start();
        for byte in text.bytes() {
            if self.dead(state) {
                return false;
            }
            state = self.step(state, byte);
        }
        self.fits(state)
    }

    /// The state before the first byte.
    #[must_use]
    pub fn start(&self) -> StateID {
        self.compiled.start
    }

    /// The state behind one more byte.
    #[must_use]
    pub fn step(&self, state: StateID, byte: u8) -> StateID {
        self.compiled.dfa.next_state(state, byte)
    }

    /// Whether no text can fit any more.
    #[must_use]
    pub fn dead(&self, state: StateID) -> bool {
        self.compiled.dfa.is_dead_state(state)
    }

    /// Whether a text that ends here fits.
    #[must_use]
    pub fn fits(&self, state: StateID) -> bool {
        let dfa = &self.compiled.dfa;
        dfa.is_match_state(dfa.next_eoi_state(state))
    }
}

fn wrong(error: &regex_syntax::Error) -> RegexError {
    let (what, column) = match error {
        regex_syntax::Error::Parse(error) => (error.kind().to_string(), error.span().start.column),
        regex_syntax::Error::Translate(error) => {
            (error.kind().to_string(), error.span().start.column)
        }
        other => (other.to_string(), 1),
    };
    RegexError {
        offset: column.saturating_sub(1),
        what,
        hint: "write as in /[a-z]+\\.example/, with \\/ for a slash; the whole value must fit",
    }
}

fn large(error: &dyn std::error::Error) -> RegexError {
    let causes = service::causes(error);
    let (what, hint) = if causes.contains("word boundary") || causes.contains("Unicode word") {
        let hint = "leave out \\b; words of text are looked at one by one";
        ("word boundaries cannot be had".to_owned(), hint)
    } else {
        let hint = "write fewer or smaller repetitions";
        ("regular expression becomes too large".to_owned(), hint)
    };
    RegexError { offset: 0, what, hint }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use proptest::prelude::*;

    fn pattern(source: &str) -> Pattern {
        Pattern::new(source, false).unwrap_or_else(|error| panic!("{source}: {error}"))
    }

    #[test]
    fn the_whole_value_must_fit() {
        for (source, yes, no) in [
            ("a|ab", vec!["a", "ab"], vec!["", "b", "abb", "xa"]),
            ("^ab$", vec!["ab"], vec!["xab", "abx"]),
            ("ab.*", vec!["ab", "abc", "ab\nc"], vec!["xab"]),
            (".", vec!["é", "東", "\n"], vec!["", "ab"]),
            ("[a-f0-9]{4}", vec!["12af"], vec!["12AF", "12a"]),
            ("(?i)evil", vec!["EvIL"], vec!["devil"]),
            (r"\/usr\/bin", vec!["/usr/bin"], vec!["usr/bin"]),
            (r"\d+", vec!["12", "٣"], vec!["", "a"]),
            ("", vec![""], vec!["a"]),
        ] {
            let pattern = pattern(source);
            for text in yes {
                assert!(pattern.matches(text), "{source} {text:?}");
            }
            for text in no {
                assert!(!pattern.matches(text), "{source} {text:?}");
            }
        }
        assert!(Pattern::new("straße", true).unwrap().matches("STRAßE"));
    }

    #[test]
    fn refusals_name_the_place() {
        let lines: Vec<String> = [
            "a(b",
            "éé[z-a]",
            "a**{2",
            r"\bword\b",
            r"(a)\1",
            "(?=a)",
            ".*a.{40}b",
            "(((a{64}){64}){64}){64}",
            "\\pX{5}",
            &"a".repeat(513),
            &("(".repeat(40) + "a" + &")".repeat(40)),
        ]
        .iter()
        .map(|source| {
            let error = Pattern::new(source, false).unwrap_err();
            format!(
                "{} at {}: {}",
                source.chars().take(20).collect::<String>(),
                error.offset,
                error.what
            )
        })
        .collect();
        expect![[r#"
            a(b at 1: unclosed group
            éé[z-a] at 3: invalid character class range, the start must be <= the end
            a**{2 at 3: unclosed counted repetition
            \bword\b at 0: word boundaries cannot be had
            (a)\1 at 3: backreferences are not supported
            (?=a) at 0: look-around, including look-ahead and look-behind, is not supported
            .*a.{40}b at 0: regular expression becomes too large
            (((a{64}){64}){64}){ at 0: regular expression becomes too large
            \pX{5} at 0: Unicode property not found
            aaaaaaaaaaaaaaaaaaaa at 0: regular expression is too long
            (((((((((((((((((((( at 32: exceed the maximum number of nested parentheses/brackets (32)"#]].assert_eq(&lines.join("\n"));
    }

    proptest! {
        #[test]
        fn agrees_with_the_regex_crate(source in "[ab.*+?|()\\[\\]é^$]{0,10}", text in "[abé]{0,8}", insensitive: bool) {
            let plain = regex::RegexBuilder::new(&format!("^(?:{source})$"))
                .case_insensitive(insensitive).dot_matches_new_line(true).build();
            // Wrapping can make an expression of what is none, such as `a)(b`.
            if let (Ok(plain), Ok(pattern)) = (plain, Pattern::new(&source, insensitive)) {
                prop_assert_eq!(pattern.matches(&text), plain.is_match(&text), "{}", source);
            }
        }

        #[test]
        fn any_expression_ends(source in ".{0,60}") {
            drop(Pattern::new(&source, true));
        }
    }
}
