//! Search for many literals at once by one rare window of four bytes of each.
//!
//! Every window of a text is looked up in a table of bits that stays in the fast cache; where a bit is set
//! the literals with that window are compared byte by byte. So the cost is one look-up a byte, whatever the
//! number of literals, and the memory a few words a literal. Literals shorter than a window go to a small
//! automaton. Texts and literals are in lower case already. Knows nothing of rules but their numbers.

use aho_corasick::AhoCorasick;

use super::rarity;

/// Bytes of a window.
const WINDOW: usize = 4;
/// Most bits of the first table, as a power of two: 128 KiB.
const MAX_BITS: u32 = 20;
/// Fewest bits of the first table, as a power of two.
const MIN_BITS: u32 = 10;

/// Where in a text a literal must stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Anchor {
    Anywhere,
    Start,
    End,
}

/// A literal, and the rules it is a witness of.
#[derive(Debug)]
struct Literal {
    text: Box<[u8]>,
    anchor: Anchor,
    rules: Box<[u32]>,
}

/// A window of a literal.
#[derive(Clone, Copy, Debug)]
struct Window {
    bytes: u32,
    /// Where it stands in the literal.
    offset: u32,
    literal: u32,
}

/// The search.
#[derive(Debug, Default)]
pub(super) struct Grams {
    literals: Box<[Literal]>,
    /// One bit for each value of a window's hash.
    bits: Box<[u64]>,
    bits_shift: u32,
    /// Where the windows of each bucket begin; one more at the end.
    starts: Box<[u32]>,
    starts_shift: u32,
    windows: Box<[Window]>,
    /// Automaton over the short literals, and which these are.
    short: Option<(AhoCorasick, Box<[u32]>)>,
}

const fn hash(bytes: u32) -> u32 {
    bytes.wrapping_mul(0x9e37_79b1)
}

/// The power of two at or above a number, as an exponent.
fn exponent(count: usize) -> u32 {
    count.max(1).next_power_of_two().trailing_zeros()
}

impl Grams {
    /// Over literals, each with its rules.
    pub(super) fn new(literals: Vec<(String, Anchor, Vec<u32>)>) -> Self {
        let literals: Box<[Literal]> = literals
            .into_iter()
            .map(|(text, anchor, rules)| Literal {
                text: text.into_bytes().into_boxed_slice(),
                anchor,
                rules: rules.into_boxed_slice(),
            })
            .collect();
        let mut windows = Vec::new();
        let mut short = Vec::new();
        for (number, literal) in literals.iter().enumerate() {
            let literal_number = crate::compile::number(number);
            match rarity::rarest(&literal.text) {
                Some((offset, bytes, _)) => windows.push(Window {
                    bytes,
                    offset: crate::compile::number(offset),
                    literal: literal_number,
                }),
                None => short.push(literal_number),
            }
        }
        let mut grams = Self { literals, ..Self::default() };
        grams.short = grams.automaton(short);
        if !windows.is_empty() {
            grams.tables(windows);
        }
        grams
    }

    fn automaton(&self, short: Vec<u32>) -> Option<(AhoCorasick, Box<[u32]>)> {
        if short.is_empty() {
            return None;
        }
        let texts = short.iter().filter_map(|&at| self.literals.get(at as usize));
        let automaton = AhoCorasick::new(texts.map(|literal| &literal.text)).ok()?;
        Some((automaton, short.into_boxed_slice()))
    }

    fn tables(&mut self, mut windows: Vec<Window>) {
        let bits = (exponent(windows.len()) + 5).clamp(MIN_BITS, MAX_BITS);
        let buckets = (exponent(windows.len()) + 1).min(bits);
        (self.bits_shift, self.starts_shift) = (32 - bits, 32 - buckets);
        let mut table = vec![0_u64; 1 << (bits - 6)];
        let mut starts = vec![0_u32; (1 << buckets) + 1];
        windows.sort_by_key(|window| hash(window.bytes));
        for window in &windows {
            let hash = hash(window.bytes);
            let bit = hash >> self.bits_shift;
            if let Some(word) = table.get_mut(bit as usize / 64) {
                *word |= 1 << (bit % 64);
            }
            if let Some(count) = starts.get_mut((hash >> self.starts_shift) as usize + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        self.bits = table.into_boxed_slice();
        self.starts = starts.into_boxed_slice();
        self.windows = windows.into_boxed_slice();
    }

    /// Whether there is nothing to look for.
    pub(super) fn is_empty(&self) -> bool {
        self.literals.is_empty()
    }

    /// Calls `found` with the rules of every literal in the text, perhaps more than once.
    pub(super) fn scan(&self, text: &[u8], found: &mut impl FnMut(u32)) {
        if !self.windows.is_empty() {
            for (at, window) in text.windows(WINDOW).enumerate() {
                let Some(bytes) = window.first_chunk() else { continue };
                let bytes = u32::from_le_bytes(*bytes);
                let hash = hash(bytes);
                let bit = hash >> self.bits_shift;
                let word = self.bits.get(bit as usize / 64).copied().unwrap_or_default();
                if word >> (bit % 64) & 1 == 1 {
                    self.compare(text, (at, bytes, hash), found);
                }
            }
        }
        if let Some((automaton, literals)) = &self.short {
            for hit in automaton.find_overlapping_iter(text) {
                let literal = literals.get(hit.pattern().as_usize());
                let literal = literal.and_then(|&at| self.literals.get(at as usize));
                if let Some(literal) = literal.filter(|literal| literal.stands(text, hit.start())) {
                    literal.rules.iter().for_each(|&rule| found(rule));
                }
            }
        }
    }

    #[cold]
    fn compare(
        &self,
        text: &[u8],
        (at, bytes, hash): (usize, u32, u32),
        found: &mut impl FnMut(u32),
    ) {
        let bucket = (hash >> self.starts_shift) as usize;
        let range = self.starts.get(bucket).zip(self.starts.get(bucket + 1));
        let windows = range.and_then(|(&from, &to)| self.windows.get(from as usize..to as usize));
        for window in windows.into_iter().flatten().filter(|window| window.bytes == bytes) {
            let Some(start) = at.checked_sub(window.offset as usize) else { continue };
            let literal = self.literals.get(window.literal as usize);
            if let Some(literal) = literal.filter(|literal| literal.stands(text, start)) {
                literal.rules.iter().for_each(|&rule| found(rule));
            }
        }
    }

    /// Bytes on the heap.
    pub(super) fn memory(&self) -> usize {
        let one = |literal: &Literal| {
            size_of::<Literal>() + literal.text.len() + size_of_val(&*literal.rules)
        };
        let short = self.short.as_ref();
        self.literals.iter().map(one).sum::<usize>()
            + size_of_val(&*self.bits)
            + size_of_val(&*self.starts)
            + size_of_val(&*self.windows)
            + short.map_or(0, |(automaton, all)| automaton.memory_usage() + size_of_val(&**all))
    }
}

impl Literal {
    /// Whether it stands at this place, and may stand there.
    fn stands(&self, text: &[u8], start: usize) -> bool {
        let Some(rest) = text.get(start..) else { return false };
        rest.starts_with(&self.text)
            && match self.anchor {
                Anchor::Anywhere => true,
                Anchor::Start => start == 0,
                Anchor::End => rest.len() == self.text.len(),
            }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(grams: &Grams, text: &str) -> Vec<u32> {
        let mut rules = Vec::new();
        grams.scan(text.as_bytes(), &mut |rule| rules.push(rule));
        rules.sort_unstable();
        rules.dedup();
        rules
    }

    #[test]
    fn anchors_and_short_literals() {
        let literals = [
            ("\\cmd.exe", Anchor::End),
            ("\\cmd.exe", Anchor::Anywhere),
            ("cmd", Anchor::Start),
            ("/c", Anchor::Anywhere),
            ("c:\\w", Anchor::Start),
        ];
        let grams = Grams::new(
            literals
                .iter()
                .zip(0..)
                .map(|((text, anchor), rule)| ((*text).to_owned(), *anchor, vec![rule]))
                .collect(),
        );
        for (text, expected) in [
            ("c:\\windows\\cmd.exe", &[0, 1, 4][..]),
            ("\\cmd.exe /c", &[1, 3]),
            ("cmd /c dir", &[2, 3]),
            ("xc:\\w", &[]),
            ("c:\\w", &[4]),
            ("cm", &[]),
            ("", &[]),
        ] {
            assert_eq!(found(&grams, text), expected, "{text}");
        }
        assert!(grams.memory() > 0 && !grams.is_empty());
        assert!(found(&Grams::new(Vec::new()), "anything").is_empty());
    }

    proptest! {
        #[test]
        fn finds_what_a_plain_search_finds(
            literals in prop::collection::vec(("[abü]{1,9}", 0..3_u8), 0..40),
            text in "[abü]{0,60}",
        ) {
            let anchors = [Anchor::Anywhere, Anchor::Start, Anchor::End];
            let holds = |literal: &str, anchor| match anchor {
                Anchor::Anywhere => text.contains(literal),
                Anchor::Start => text.starts_with(literal),
                Anchor::End => text.ends_with(literal),
            };
            let all: Vec<_> = literals.iter().zip(0..).map(|((text, anchor), rule)| {
                (text.clone(), anchors[usize::from(*anchor)], vec![rule])
            }).collect();
            let expected: Vec<u32> = all
                .iter()
                .filter(|(literal, anchor, _)| holds(literal, *anchor))
                .map(|(.., rules)| rules[0])
                .collect();
            prop_assert_eq!(found(&Grams::new(all), &text), expected);
        }
    }
}
