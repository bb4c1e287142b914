//! Lists of the rule header: `any`, `!x`, `[a,!b,[c,d]]`, `$NAME`.
//!
//! One walker serves addresses and ports: it resolves variables, nesting and negation and hands each
//! leaf on. The meaning is "in some positive entry (or no positive is given) and in no negated one",
//! per nesting level as the language defines it: a negated group takes away what the group means.

use std::cell::Cell;

use crate::{
    check::{ranges::Ranges, vars::Variables},
    error::RuleError,
};

/// Deepest nesting of lists and variables.
const MAX_DEPTH: u8 = 16;

/// Most entries of a list once its variables are put in.
const MAX_ENTRIES: u32 = 1 << 18;

/// How much deeper a list may go, and how many more entries it may have.
type Room<'a> = (u8, &'a Cell<u32>);

/// How one kind of list reads its leaves.
pub(super) struct Reader<'a, T> {
    pub(super) keyword: &'static str,
    pub(super) variables: &'a Variables,
    pub(super) leaf: &'a dyn Fn(&str) -> Option<Ranges<T>>,
}

impl<T: Copy + Ord + crate::check::ranges::Step> Reader<'_, T> {
    /// The set that `text` means. Nothing left is an error: such a rule could never match.
    pub(super) fn read(&self, text: &str) -> Result<Ranges<T>, RuleError> {
        let left = Cell::new(MAX_ENTRIES);
        let set = self.entry(text, (MAX_DEPTH, &left))?;
        if set.is_empty() {
            return Err(RuleError::value(self.keyword, text.as_bytes(), "nothing can match this"));
        }
        Ok(set)
    }

    fn entry(&self, text: &str, room: Room<'_>) -> Result<Ranges<T>, RuleError> {
        let bad = |why: &str| RuleError::value(self.keyword, text.as_bytes(), why);
        let depth = room.0.checked_sub(1).ok_or_else(|| bad("nested too deeply"))?;
        let left = room.1.get().checked_sub(1).ok_or_else(|| bad("too many entries"))?;
        room.1.set(left);
        let room = (depth, room.1);
        let text = text.trim();
        if let Some(rest) = text.strip_prefix('!') {
            if rest.trim_start().starts_with('!') {
                return Err(bad("doubly negated"));
            }
            return Ok(self.entry(rest, room)?.complement());
        }
        if let Some(name) = text.strip_prefix('$') {
            return self.entry(self.variables.get(name)?, room);
        }
        if let Some(rest) = text.strip_prefix('[') {
            let inner = rest.strip_suffix(']').ok_or_else(|| bad("unbalanced brackets"))?;
            return self.list(inner, room);
        }
        if text.eq_ignore_ascii_case("any") {
            return Ok(Ranges::all());
        }
        if text.contains(',') {
            return self.list(text, room);
        }
        (self.leaf)(text).ok_or_else(|| bad("not understood"))
    }

    fn list(&self, inner: &str, room: Room<'_>) -> Result<Ranges<T>, RuleError> {
        let mut positive: Option<Vec<(T, T)>> = None;
        let mut negative = Vec::new();
        for entry in split(inner) {
            if entry.trim().is_empty() {
                return Err(RuleError::value(
                    self.keyword,
                    inner.as_bytes(),
                    "empty entry in list",
                ));
            }
            // A variable may itself be a negation (EXTERNAL_NET): its complement is then what is negative.
            match entry.trim().strip_prefix('!') {
                Some(rest) => negative.extend(self.entry(rest, room)?.into_inner()),
                None => match self.negation_of(entry.trim())? {
                    Some(inner) => negative.extend(self.entry(&inner, room)?.into_inner()),
                    None => positive
                        .get_or_insert_default()
                        .extend(self.entry(entry, room)?.into_inner()),
                },
            }
        }
        let positive = positive.map_or_else(Ranges::all, Ranges::new);
        Ok(positive.without(&Ranges::new(negative)))
    }

    /// What follows the `!` when `text` is a variable whose value is a negation.
    fn negation_of(&self, text: &str) -> Result<Option<String>, RuleError> {
        match text.strip_prefix('$') {
            Some(name) => Ok(self.variables.get(name)?.trim().strip_prefix('!').map(str::to_owned)),
            None => Ok(None),
        }
    }
}

/// Splits at commas outside of brackets.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_i32;
    text.split(move |c| {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    })
}
