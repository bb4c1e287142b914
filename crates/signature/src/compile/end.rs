//! Search for patterns that must stand at the end of a whole buffer: most rules on domain names.

use hashbrown::HashMap;

/// Patterns that must be the end of the buffer: hash of every suffix whose length some pattern has.
#[derive(Debug, Default)]
pub(super) struct EndSet {
    /// One bit per length.
    lengths: Vec<u64>,
    longest: usize,
    by_hash: HashMap<u64, Vec<u32>, foldhash::fast::RandomState>,
}

const ROLL: u64 = 0x0000_0100_0000_01B3;

const fn roll(hash: u64, byte: u8) -> u64 {
    (hash ^ (byte | 0x20) as u64).wrapping_mul(ROLL)
}

impl EndSet {
    pub(super) fn new(patterns: &[(u32, Vec<u8>)]) -> Self {
        let mut set = Self::default();
        for (number, bytes) in patterns {
            let hash = bytes.iter().rev().fold(0, |hash, byte| roll(hash, *byte));
            set.by_hash.entry(hash).or_default().push(*number);
            set.longest = set.longest.max(bytes.len());
            set.lengths.resize(set.longest / 64 + 1, 0);
            set.lengths[bytes.len() / 64] |= 1 << (bytes.len() % 64);
        }
        set
    }

    pub(super) fn scan(&self, data: &[u8], mut hit: impl FnMut(u32, usize)) {
        let mut hash = 0;
        for (len, byte) in
            data.iter().rev().take(self.longest).enumerate().map(|(at, byte)| (at + 1, byte))
        {
            hash = roll(hash, *byte);
            if self.lengths[len / 64] >> (len % 64) & 1 != 0
                && let Some(numbers) = self.by_hash.get(&hash)
            {
                numbers.iter().for_each(|number| hit(*number, data.len() - len));
            }
        }
    }
}
