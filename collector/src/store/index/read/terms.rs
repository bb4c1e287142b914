//! Searching the dictionary of terms: wildcards and regular expressions stepped through byte by byte.
//!
//! A search of a large dictionary ends early when the search as a whole is over; what it gave until
//! then is marked as partial by whoever asked.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use regex_automata::util::primitives::StateID;
use tantivy::query::{AutomatonWeight, EnableScoring, Query, Weight};
use tantivy::schema::Field;
use tantivy_fst::Automaton;

use super::collect::Deadline;
use crate::search::regex::Pattern;
use crate::search::wildcard::{MAX_PARTS, Part, Wildcard};

/// Steps between two looks at the clock.
const LOOK_EVERY: u32 = 1 << 14;

/// Terms of a field that fit a wildcard pattern; `prefix` stands before all of them in the
/// dictionary. `None` when the pattern is too long.
pub(in crate::store::index) fn like(
    field: Field,
    prefix: &[u8],
    wild: &Wildcard,
    deadline: Option<&Arc<Deadline>>,
) -> Option<Box<dyn Query>> {
    Some(terms(field, prefix, Glob::new(wild)?, deadline))
}

/// Terms of a field that fit a regular expression; as [`like`].
pub(in crate::store::index) fn matching(
    field: Field,
    prefix: &[u8],
    pattern: &Pattern,
    deadline: Option<&Arc<Deadline>>,
) -> Box<dyn Query> {
    terms(field, prefix, pattern.clone(), deadline)
}

fn terms<S: Steps>(
    field: Field,
    prefix: &[u8],
    steps: S,
    deadline: Option<&Arc<Deadline>>,
) -> Box<dyn Query> {
    let deadline = deadline.map(Arc::clone);
    let search = Prefixed { prefix: prefix.to_vec(), steps, deadline, taken: AtomicU32::new(0) };
    Box::new(TermsQuery { field, search: Arc::new(search) })
}

/// How the bytes of a value are stepped through.
trait Steps: Send + Sync + 'static {
    type State: Copy + Send + Sync + 'static;
    fn start(&self) -> Self::State;
    fn step(&self, state: Self::State, byte: u8) -> Self::State;
    fn fits(&self, state: Self::State) -> bool;
    fn dead(&self, state: Self::State) -> bool;
    /// Whether everything that begins so fits.
    fn always(&self, state: Self::State) -> bool;
}

struct TermsQuery<S> {
    field: Field,
    search: Arc<Prefixed<S>>,
}

impl<S> Clone for TermsQuery<S> {
    fn clone(&self) -> Self {
        Self { field: self.field, search: Arc::clone(&self.search) }
    }
}

impl<S> fmt::Debug for TermsQuery<S> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("TermsQuery").field("field", &self.field).finish_non_exhaustive()
    }
}

impl<S: Steps> Query for TermsQuery<S> {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        let search = Arc::clone(&self.search);
        Ok(if search.prefix.is_empty() {
            Box::new(AutomatonWeight::<Prefixed<S>>::new(self.field, search))
        } else {
            let prefix = search.prefix.clone();
            Box::new(AutomatonWeight::<Prefixed<S>>::new_for_json_path(self.field, search, &prefix))
        })
    }
}

/// Steps behind fixed bytes, until the deadline.
struct Prefixed<S> {
    prefix: Vec<u8>,
    steps: S,
    deadline: Option<Arc<Deadline>>,
    taken: AtomicU32,
}

#[derive(Clone, Copy, Debug)]
enum Place<T> {
    Prefix(usize),
    Body(T),
    Dead,
}

impl<S: Steps> Automaton for Prefixed<S> {
    type State = Place<S::State>;

    fn start(&self) -> Self::State {
        if self.prefix.is_empty() { Place::Body(self.steps.start()) } else { Place::Prefix(0) }
    }

    fn is_match(&self, state: &Self::State) -> bool {
        matches!(state, Place::Body(state) if self.steps.fits(*state))
    }

    fn can_match(&self, state: &Self::State) -> bool {
        if let Some(deadline) = &self.deadline
            && self.taken.fetch_add(1, Ordering::Relaxed).is_multiple_of(LOOK_EVERY)
            && deadline.over()
        {
            return false;
        }
        match state {
            Place::Prefix(_) => true,
            Place::Body(state) => !self.steps.dead(*state),
            Place::Dead => false,
        }
    }

    fn will_always_match(&self, state: &Self::State) -> bool {
        matches!(state, Place::Body(state) if self.steps.always(*state))
    }

    fn accept(&self, state: &Self::State, byte: u8) -> Self::State {
        match state {
            Place::Prefix(at) if self.prefix.get(*at) == Some(&byte) => {
                let next = at + 1;
                let begun = next == self.prefix.len();
                if begun { Place::Body(self.steps.start()) } else { Place::Prefix(next) }
            }
            Place::Prefix(_) | Place::Dead => Place::Dead,
            Place::Body(state) => Place::Body(self.steps.step(*state, byte)),
        }
    }
}

impl Steps for Pattern {
    type State = StateID;

    fn start(&self) -> StateID {
        Self::start(self)
    }

    fn step(&self, state: StateID, byte: u8) -> StateID {
        Self::step(self, state, byte)
    }

    fn fits(&self, state: StateID) -> bool {
        Self::fits(self, state)
    }

    fn dead(&self, state: StateID) -> bool {
        Self::dead(self, state)
    }

    fn always(&self, _: StateID) -> bool {
        false
    }
}

/// Words of a state set: enough for [`MAX_PARTS`] parts, each two steps, and the end.
const WORDS: usize = (MAX_PARTS * 4 + 2).div_ceil(64);
type States = [u64; WORDS];

/// One step over the bytes of a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Byte(u8),
    /// First byte of any character.
    Lead,
    /// Continuation bytes, any number.
    Rest,
    /// Any bytes.
    Many,
}

/// A pattern as an automaton over bytes: the set of steps it can stand before.
struct Glob {
    steps: Vec<Step>,
}

impl Glob {
    fn new(wild: &Wildcard) -> Option<Self> {
        let mut steps = Vec::new();
        for part in wild.parts() {
            match part {
                Part::Char(c) => {
                    let mut buffer = [0; 4];
                    steps.extend(c.encode_utf8(&mut buffer).bytes().map(Step::Byte));
                }
                Part::One => steps.extend([Step::Lead, Step::Rest]),
                Part::Many => steps.push(Step::Many),
            }
        }
        (steps.len() < WORDS * 64).then_some(Self { steps })
    }

    /// Adds a step and those reachable without a byte.
    fn enter(&self, states: &mut States, mut at: usize) {
        loop {
            if let Some(word) = states.get_mut(at / 64) {
                *word |= 1 << (at % 64);
            }
            match self.steps.get(at) {
                Some(Step::Rest | Step::Many) => at += 1,
                _ => return,
            }
        }
    }

    fn has(states: &States, at: usize) -> bool {
        states.get(at / 64).is_some_and(|word| word & (1 << (at % 64)) != 0)
    }
}

impl Steps for Glob {
    type State = States;

    fn start(&self) -> States {
        let mut states = [0; WORDS];
        self.enter(&mut states, 0);
        states
    }

    fn step(&self, states: States, byte: u8) -> States {
        let mut next = [0; WORDS];
        let continuation = byte & 0xc0 == 0x80;
        for (at, step) in self.steps.iter().enumerate().filter(|(at, _)| Self::has(&states, *at)) {
            match step {
                Step::Byte(wanted) if *wanted == byte => self.enter(&mut next, at + 1),
                Step::Lead if !continuation => self.enter(&mut next, at + 1),
                Step::Rest if continuation => self.enter(&mut next, at),
                Step::Many => self.enter(&mut next, at),
                Step::Byte(_) | Step::Lead | Step::Rest => {}
            }
        }
        next
    }

    fn fits(&self, states: States) -> bool {
        Self::has(&states, self.steps.len())
    }

    fn dead(&self, states: States) -> bool {
        states == [0; WORDS]
    }

    fn always(&self, states: States) -> bool {
        let last = self.steps.len().wrapping_sub(1);
        self.steps.last() == Some(&Step::Many) && Self::has(&states, last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::Cancel;
    use crate::search::wildcard::pattern;
    use proptest::prelude::*;
    use std::time::Duration;

    fn search<S: Steps>(prefix: &[u8], steps: S, cancel: &Cancel) -> Prefixed<S> {
        let deadline = Arc::new(Deadline::new(cancel.clone(), Duration::from_secs(60)));
        Prefixed {
            prefix: prefix.to_vec(),
            steps,
            deadline: Some(deadline),
            taken: AtomicU32::new(0),
        }
    }

    fn run<S: Steps>(search: &Prefixed<S>, text: &[u8]) -> bool {
        let mut state = search.start();
        for byte in text {
            if !search.can_match(&state) {
                return false;
            }
            state = search.accept(&state, *byte);
        }
        search.is_match(&state)
    }

    #[test]
    fn a_search_that_is_over_finds_no_further_term() {
        let cancel = Cancel::new();
        let search = search(b"", Pattern::new("a*", false).unwrap(), &cancel);
        assert!(run(&search, b"aa") && !run(&search, b"ab"));
        cancel.cancel();
        let long = vec![b'a'; usize::try_from(2 * LOOK_EVERY).unwrap()];
        assert!(!run(&search, &long));
    }

    proptest! {
        #[test]
        fn the_automaton_agrees_with_plain_matching(glob in "[abé*?]{0,8}", text in "[abé€]{0,8}") {
            let wild = pattern(&glob);
            let expected = wild.matches(&text);
            let cancel = Cancel::new();
            prop_assert_eq!(run(&search(b"", Glob::new(&wild).unwrap(), &cancel), text.as_bytes()), expected);
            let with_prefix = search(b"p\0s", Glob::new(&wild).unwrap(), &cancel);
            prop_assert_eq!(run(&with_prefix, &[b"p\0s", text.as_bytes()].concat()), expected);
            prop_assert!(!run(&with_prefix, &[b"q\0s", text.as_bytes()].concat()));
        }

        #[test]
        fn so_does_a_regular_expression(source in "[abé.*|]{0,8}", text in "[abé€]{0,8}") {
            if let Ok(pattern) = Pattern::new(&source, false) {
                let expected = pattern.matches(&text);
                let search = search(b"p\0s", pattern, &Cancel::new());
                prop_assert_eq!(run(&search, &[b"p\0s", text.as_bytes()].concat()), expected);
            }
        }
    }
}
