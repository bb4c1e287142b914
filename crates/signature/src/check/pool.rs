//! What all rules of a set share: pattern bytes, addresses, ports, expressions, names of bits.

use std::hash::{BuildHasher as _, Hash};

use hashbrown::{HashMap, HashTable};

use crate::check::{address::AddressSet, pcre::Expression, ranges::Ranges, rule::Pattern};

/// Gives equal values equal numbers.
#[derive(Debug)]
pub(crate) struct Interner<T> {
    /// Numbers by the hash of their value.
    numbers: HashTable<u32>,
    hasher: foldhash::fast::RandomState,
    values: Vec<T>,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        let hasher = foldhash::fast::RandomState::default();
        Self { numbers: HashTable::new(), hasher, values: Vec::new() }
    }
}

/// Names that states keep by number. A set loaded with those of the one before it gives each name the
/// number it had, so that what flows and hosts remember goes on under newer rules.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// Tells sets that share numbers; 0 for none.
    pub(crate) lineage: u64,
    pub(crate) flow_bits: Vec<Box<str>>,
    pub(crate) host_bits: Vec<Box<str>>,
    pub(crate) flow_ints: Vec<Box<str>>,
}

impl<T: Hash + Eq> Interner<T> {
    /// With values that have their numbers already.
    fn with(values: &[T]) -> Self
    where
        T: Clone,
    {
        let mut interner = Self::default();
        for value in values {
            interner.number(value.clone());
        }
        interner
    }

    pub(crate) fn number(&mut self, value: T) -> u32 {
        let Self { numbers, hasher, values } = self;
        let hash = hasher.hash_one(&value);
        let is_it = |number: &u32| values.get(*number as usize) == Some(&value);
        if let Some(number) = numbers.find(hash, is_it) {
            return *number;
        }
        let number = u32::try_from(values.len()).unwrap_or(u32::MAX);
        numbers.insert_unique(hash, number, |number| {
            values.get(*number as usize).map_or(0, |value| hasher.hash_one(value))
        });
        values.push(value);
        number
    }

    /// How many values have a number.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// The value of a number.
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        self.values.get(number as usize)
    }

    pub(crate) fn into_values(self) -> Vec<T> {
        self.values
    }
}

impl Interner<Expression> {
    /// The same expression in the engine that leaves a final newline out of the match.
    pub(super) fn exact(&mut self, number: u32) -> u32 {
        match self.get(number) {
            Some(expression) if expression.takes_newline => {
                let exact = Expression { linear: None, ..expression.clone() };
                self.number(exact)
            }
            _ => number,
        }
    }
}

/// Shared parts, filled while rules are checked.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    /// Of the names it began with.
    pub(crate) lineage: u64,
    bytes: Vec<u8>,
    /// Patterns by the hash of their bytes.
    patterns: HashTable<Pattern>,
    pattern_hasher: foldhash::fast::RandomState,
    /// All patterns, in the order in which they were first seen.
    pub(super) pattern_order: Vec<Pattern>,
    pub(crate) addresses: Interner<AddressSet>,
    pub(crate) ports: Interner<Ranges<u16>>,
    pub(crate) expressions: Interner<Expression>,
    pub(crate) flow_bits: Interner<Box<str>>,
    pub(crate) host_bits: Interner<Box<str>>,
    pub(crate) flow_ints: Interner<Box<str>>,
    pub(crate) datasets: Vec<crate::check::dataset::Dataset>,
    /// A bit for each category of reputation that a rule names.
    pub(crate) categories: u64,
    /// A rule asks for countries.
    pub(crate) countries_used: bool,
    // Header fields repeat on nearly every rule: their text is looked up before it is understood.
    pub(super) address_text: HashMap<String, u32, foldhash::fast::RandomState>,
    pub(super) port_text: HashMap<String, u32, foldhash::fast::RandomState>,
}

impl Pool {
    /// An empty pool in which these names have their numbers.
    pub(crate) fn with_names(names: &Names) -> Self {
        Self {
            lineage: names.lineage,
            flow_bits: Interner::with(&names.flow_bits),
            host_bits: Interner::with(&names.host_bits),
            flow_ints: Interner::with(&names.flow_ints),
            ..Self::default()
        }
    }

    /// Keeps the bytes of a pattern once.
    pub(crate) fn pattern(&mut self, bytes: &[u8]) -> Pattern {
        let Self { bytes: pool, patterns, pattern_hasher: hasher, .. } = self;
        let hash = hasher.hash_one(bytes);
        if let Some(pattern) = patterns.find(hash, |known| bytes_of(pool, *known) == bytes) {
            return *pattern;
        }
        let pattern = Pattern {
            start: u32::try_from(pool.len()).unwrap_or(u32::MAX),
            len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        };
        pool.extend_from_slice(bytes);
        patterns.insert_unique(hash, pattern, |known| hasher.hash_one(bytes_of(pool, *known)));
        self.pattern_order.push(pattern);
        pattern
    }

    /// The bytes of a pattern.
    pub(crate) fn bytes(&self, pattern: Pattern) -> &[u8] {
        bytes_of(&self.bytes, pattern)
    }

    /// All bytes, once every rule is checked.
    pub(crate) fn take_bytes(&mut self) -> Vec<u8> {
        self.patterns = HashTable::new();
        self.pattern_order = Vec::new();
        std::mem::take(&mut self.bytes)
    }
}

/// The bytes of `pattern` in a pool's bytes.
pub(crate) fn bytes_of(pool: &[u8], pattern: Pattern) -> &[u8] {
    let start = pattern.start as usize;
    pool.get(start..start + pattern.len as usize).unwrap_or_default()
}
