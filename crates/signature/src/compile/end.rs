//! Search for patterns that must stand at the end of a whole buffer: most rules on domain names.

use hashbrown::HashMap;

/// A pattern that must be the end of the buffer.
#[derive(Debug, Clone)]
pub(super) struct End<'p> {
    /// Number in the matcher.
    pub(super) pattern: u32,
    pub(super) bytes: &'p [u8],
    /// Begins with a dot that may also be the one before the buffer (`dotprefix`).
    pub(super) dotted: bool,
}

/// Hash of every suffix whose length some pattern has.
#[derive(Debug, Default)]
pub(super) struct EndSet {
    longest: usize,
    any_dotted: bool,
    /// One bit per hash of length and bytes; a power of two of them.
    filter: Vec<u64>,
    by_hash: HashMap<u64, Vec<(u32, bool)>, foldhash::fast::RandomState>,
}

const ROLL: u64 = 0x0000_0100_0000_01B3;
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// Hash of a suffix that is one byte longer; begins with a hash of 1, so that lengths differ too.
const fn roll(hash: u64, byte: u8) -> u64 {
    (hash ^ (byte | 0x20) as u64).wrapping_mul(ROLL).rotate_left(5)
}

impl EndSet {
    pub(super) fn new(patterns: &[End<'_>]) -> Self {
        if patterns.is_empty() {
            return Self::default();
        }
        let bits = (patterns.len() * 32).next_power_of_two().clamp(1 << 10, 1 << 18);
        let mut set = Self { filter: vec![0; bits / 64], ..Self::default() };
        for End { pattern, bytes, dotted } in patterns {
            let hash = bytes.iter().rev().fold(1, |hash, byte| roll(hash, *byte));
            set.by_hash.entry(hash).or_default().push((*pattern, *dotted));
            set.longest = set.longest.max(bytes.len());
            set.any_dotted |= dotted;
            let bit = set.bit(hash);
            set.filter[bit / 64] |= 1 << (bit % 64);
        }
        set
    }

    #[inline]
    fn bit(&self, hash: u64) -> usize {
        let bits = self.filter.len() * 64;
        (hash.wrapping_mul(SPREAD) >> 40) as usize & (bits - 1)
    }

    #[inline]
    fn has(&self, hash: u64) -> bool {
        let bit = self.bit(hash);
        self.filter[bit / 64] >> (bit % 64) & 1 != 0
    }

    /// Calls `hit(pattern, start)` for every pattern whose hash is that of an end; start is `None` when the
    /// pattern begins with the dot before the buffer.
    pub(super) fn scan(&self, data: &[u8], mut hit: impl FnMut(u32, Option<usize>)) {
        if self.filter.is_empty() {
            return;
        }
        let mut hash = 1;
        for (at, byte) in data.iter().rev().take(self.longest).enumerate() {
            hash = roll(hash, *byte);
            if self.has(hash)
                && let Some(numbers) = self.by_hash.get(&hash)
            {
                let start = data.len() - at - 1;
                numbers.iter().for_each(|(number, _)| hit(*number, Some(start)));
            }
        }
        if self.any_dotted && data.len() < self.longest {
            hash = roll(hash, b'.');
            let numbers = self.by_hash.get(&hash).filter(|_| self.has(hash));
            for (number, _) in numbers.into_iter().flatten().filter(|(_, dotted)| *dotted) {
                hit(*number, None);
            }
        }
    }
}
