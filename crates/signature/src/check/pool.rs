//! What all rules of a set share: pattern bytes, addresses, ports, expressions, names of bits.

use hashbrown::HashMap;

use crate::check::{address::AddressSet, pcre::Expression, ranges::Ranges, rule::Pattern};

/// Gives equal values equal numbers.
#[derive(Debug)]
pub(crate) struct Interner<T> {
    numbers: HashMap<T, u32, foldhash::fast::RandomState>,
    values: Vec<T>,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self { numbers: HashMap::default(), values: Vec::new() }
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

impl<T: Clone + std::hash::Hash + Eq> Interner<T> {
    /// With values that have their numbers already.
    fn with(values: &[T]) -> Self {
        let mut interner = Self::default();
        for value in values {
            interner.number(value.clone());
        }
        interner
    }

    pub(crate) fn number(&mut self, value: T) -> u32 {
        if let Some(number) = self.numbers.get(&value) {
            return *number;
        }
        let number = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        self.values.push(value.clone());
        self.numbers.insert(value, number);
        number
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
    patterns: HashMap<Box<[u8]>, Pattern, foldhash::fast::RandomState>,
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
        if let Some(pattern) = self.patterns.get(bytes) {
            return *pattern;
        }
        let pattern = Pattern {
            start: u32::try_from(self.bytes.len()).unwrap_or(u32::MAX),
            len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        };
        self.bytes.extend_from_slice(bytes);
        self.patterns.insert(bytes.into(), pattern);
        pattern
    }

    /// The bytes of a pattern.
    pub(crate) fn bytes(&self, pattern: Pattern) -> &[u8] {
        bytes_of(&self.bytes, pattern)
    }

    /// All bytes, once every rule is checked.
    pub(crate) fn take_bytes(&mut self) -> Vec<u8> {
        self.patterns = HashMap::default();
        std::mem::take(&mut self.bytes)
    }
}

/// The bytes of `pattern` in a pool's bytes.
pub(crate) fn bytes_of(pool: &[u8], pattern: Pattern) -> &[u8] {
    let start = pattern.start as usize;
    pool.get(start..start + pattern.len as usize).unwrap_or_default()
}
