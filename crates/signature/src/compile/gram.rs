//! Multi-pattern search by the rarest four-byte window of each pattern.
//!
//! Scan: at every offset a window is hashed and one bit tested ([`simd`]); on a hit the window is looked up,
//! eight further folded bytes are compared, then the pattern itself. No state between calls.

use crate::{compile::simd, rarity};

/// Most patterns that share one window while another choice exists.
const MAX_PER_GRAM: u32 = 16;

/// A pattern as the gram search knows it.
#[derive(Debug, Clone, Copy)]
struct Entry {
    gram: u32,
    /// Pattern number in the matcher.
    pattern: u32,
    /// Where in the pattern the window is.
    at: u16,
    len: u16,
    /// First bytes of the pattern, folded, and which of them exist.
    head: u64,
    mask: u64,
}

/// Search for patterns of four bytes and more.
#[derive(Debug, Default)]
pub(super) struct GramSet {
    /// One bit per hash of a window; its length is a power of two, `2^(27 - shift)` words.
    bitmap: Vec<u32>,
    shift: u32,
    /// Open hash: a window and the index into `entries` of its first entry, plus one; 0 = free.
    slots: Vec<(u32, u32)>,
    slot_shift: u32,
    entries: Vec<Entry>,
}

const FOLD: u64 = 0x2020_2020_2020_2020;

fn head_of(bytes: &[u8]) -> (u64, u64) {
    let mut head = [0_u8; 8];
    let mut mask = [0_u8; 8];
    for ((to, m), from) in head.iter_mut().zip(&mut mask).zip(bytes) {
        *to = *from;
        *m = 0xff;
    }
    let mask = u64::from_le_bytes(mask);
    ((u64::from_le_bytes(head) | FOLD) & mask, mask)
}

impl GramSet {
    /// Builds from (pattern number, bytes); every pattern has four bytes or more.
    pub(super) fn new(patterns: &[(u32, &[u8])]) -> Self {
        if patterns.is_empty() {
            return Self::default();
        }
        let mut used: hashbrown::HashMap<u32, u32, foldhash::fast::RandomState> =
            hashbrown::HashMap::default();
        let mut entries: Vec<Entry> = Vec::with_capacity(patterns.len());
        for (pattern, bytes) in patterns {
            let best = bytes
                .windows(4)
                .enumerate()
                .take(usize::from(u16::MAX))
                .filter_map(|(at, window)| Some((at, <[u8; 4]>::try_from(window).ok()?)))
                .map(|(at, window)| {
                    let gram = rarity::fold(u32::from_le_bytes(window));
                    let shared = used.get(&gram).copied().unwrap_or(0);
                    let crowding =
                        if shared >= MAX_PER_GRAM { 64 } else { shared.ilog2_or_zero() * 2 };
                    (rarity::gram_cost(window) + crowding, at, gram)
                })
                .min();
            let Some((_, at, gram)) = best else { continue };
            *used.entry(gram).or_default() += 1;
            let (head, mask) = head_of(bytes);
            entries.push(Entry {
                gram,
                pattern: *pattern,
                at: u16::try_from(at).unwrap_or(u16::MAX),
                len: u16::try_from(bytes.len()).unwrap_or(u16::MAX),
                head,
                mask,
            });
        }
        entries.sort_unstable_by_key(|entry| (entry.gram, entry.pattern));
        Self::index(entries, used.len())
    }

    fn index(entries: Vec<Entry>, grams: usize) -> Self {
        let bits = (grams * 64).next_power_of_two().clamp(1 << 10, 1 << 19);
        let shift = 32 - bits.ilog2();
        let slots = (grams * 2).next_power_of_two().max(16);
        let slot_shift = 32 - slots.ilog2();
        let mut set = Self {
            bitmap: vec![0; bits / 32],
            shift,
            slots: vec![(0, 0); slots],
            slot_shift,
            entries,
        };
        let mut before = None;
        for at in 0..set.entries.len() {
            let gram = set.entries[at].gram;
            if before == Some(gram) {
                continue;
            }
            before = Some(gram);
            let bit = (simd::hash(gram) >> set.shift) as usize;
            set.bitmap[bit / 32] |= 1 << (bit % 32);
            let mut slot = (simd::hash(gram) >> set.slot_shift) as usize;
            while set.slots[slot].1 != 0 {
                slot = (slot + 1) % set.slots.len();
            }
            set.slots[slot] = (gram, u32::try_from(at + 1).unwrap_or(u32::MAX));
        }
        set
    }

    /// Calls `hit(pattern, start)` for every candidate whose first bytes agree; the caller compares the whole.
    /// Gives up (returns `false`) after `budget` looked-at entries.
    #[inline]
    pub(super) fn scan(
        &self,
        data: &[u8],
        mut budget: usize,
        mut hit: impl FnMut(u32, usize),
    ) -> bool {
        if self.entries.is_empty() {
            return true;
        }
        let table = simd::Table { bitmap: &self.bitmap, shift: self.shift };
        simd::windows(data, &table, |at| {
            let Some(window) = data.get(at..at + 4).and_then(|w| <[u8; 4]>::try_from(w).ok())
            else {
                return true;
            };
            let gram = rarity::fold(u32::from_le_bytes(window));
            let Some(first) = self.find(gram, simd::hash(gram)) else { return true };
            for entry in self.entries[first..].iter().take_while(|entry| entry.gram == gram) {
                let Some(left) = budget.checked_sub(1) else { return false };
                budget = left;
                let Some(start) = at.checked_sub(usize::from(entry.at)) else { continue };
                if start + usize::from(entry.len) > data.len() {
                    continue;
                }
                if head_at(data, start) & entry.mask == entry.head {
                    hit(entry.pattern, start);
                }
            }
            true
        })
    }

    #[inline]
    fn find(&self, gram: u32, hashed: u32) -> Option<usize> {
        let mut slot = (hashed >> self.slot_shift) as usize;
        loop {
            let (known, first) = self.slots[slot];
            let first = (first as usize).checked_sub(1)?;
            if known == gram {
                return Some(first);
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }
}

/// Eight folded bytes from `start`; bytes behind the end are zero.
#[inline]
fn head_at(data: &[u8], start: usize) -> u64 {
    if let Some(chunk) =
        data.get(start..start + 8).and_then(|chunk| <[u8; 8]>::try_from(chunk).ok())
    {
        return u64::from_le_bytes(chunk) | FOLD;
    }
    head_of(&data[start..]).0
}

/// `ilog2` that takes zero.
trait LogOrZero {
    fn ilog2_or_zero(self) -> u32;
}

impl LogOrZero for u32 {
    fn ilog2_or_zero(self) -> u32 {
        self.checked_ilog2().map_or(0, |log| log + 1)
    }
}
