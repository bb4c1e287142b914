//! The inner loops of the prefilter: at which offsets may a pattern be?
//!
//! Two questions, each answered by AVX2 where the processor has it (found out at run time) and by plain code
//! elsewhere, with the same answers: which windows of four bytes have their bits set, at every offset or at even
//! ones ([`windows`]), and where one of a few short runs of bytes may begin ([`runs`]). This is the only room of this crate with `unsafe` code:
//! measured, it makes scanning four times as fast.

#![expect(
    unsafe_code,
    reason = "a gather and calls of functions compiled for AVX2 cannot be had otherwise"
)]

/// Bits of a hash table over windows of four bytes; each window has two in one word.
pub(super) struct Table<'a> {
    /// `2^(27 - shift)` words.
    pub(super) bitmap: &'a [u32],
    /// How far a hash is shifted to be the number of its first bit; ten or more.
    pub(super) shift: u32,
    pub(super) offsets: Offsets,
}

/// Where windows are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Offsets {
    /// At all offsets.
    #[default]
    All,
    /// At even ones.
    Even,
}

const MULTIPLIER: u32 = 0x9E37_79B1;
const FOLD: u32 = 0x2020_2020;

/// Hash of a folded window.
pub(super) const fn hash(gram: u32) -> u32 {
    gram.wrapping_mul(MULTIPLIER)
}

/// The word of a hash and its bits there.
pub(super) const fn place(hash: u32, shift: u32) -> (usize, u32) {
    let (first, second) = (hash >> shift, hash >> (shift - 5));
    ((first / 32) as usize, 1 << (first % 32) | 1 << (second % 32))
}

impl Table<'_> {
    /// Whether the bit of the window is set.
    fn has(&self, window: [u8; 4]) -> bool {
        let (word, bits) = place(hash(u32::from_le_bytes(window) | FOLD), self.shift);
        self.bitmap.get(word).is_some_and(|word| word & bits == bits)
    }
}

/// Four bytes from `at`; behind the end stand zeros.
#[inline]
pub(super) fn window(data: &[u8], at: usize) -> [u8; 4] {
    let rest = data.get(at..).unwrap_or_default();
    if let Some(window) = rest.first_chunk() {
        return *window;
    }
    let mut window = [0; 4];
    window.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    window
}

/// Calls `found` with the offset of every window whose bit is set, in order, until it answers `false`;
/// then returns `false`. The last window is that of the last three bytes and a zero behind them.
#[inline]
pub(super) fn windows(data: &[u8], table: &Table<'_>, found: impl FnMut(usize) -> bool) -> bool {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        return match table.offsets {
            // SAFETY: the processor has AVX2.
            Offsets::All => unsafe { avx2::windows::<1>(data, table, found) },
            // SAFETY: the processor has AVX2.
            Offsets::Even => unsafe { avx2::windows::<2>(data, table, found) },
        };
    }
    plain_windows(data, table, found)
}

fn plain_windows(data: &[u8], table: &Table<'_>, mut found: impl FnMut(usize) -> bool) -> bool {
    let every = if table.offsets == Offsets::Even { 2 } else { 1 };
    let windows = data.len().saturating_sub(2);
    (0..windows).step_by(every).all(|at| !table.has(window(data, at)) || found(at))
}

/// A few runs of one or two bytes, each of whose bytes has its place among eight groups by half-bytes:
/// a run of the data may be one of ours when some group has all four halves.
#[derive(Debug, Default)]
pub(super) struct Runs {
    /// Groups by low and by high half of the first byte, then of the others.
    halves: [[[u8; 16]; 2]; 2],
}

/// The bytes of a run, each with whether both cases will do; where it has no byte any byte will do.
pub(super) type Run = [Option<(u8, bool)>; 2];

impl Runs {
    pub(super) fn new(mut all: Vec<Run>) -> Self {
        all.sort_unstable();
        all.dedup();
        let per_group = all.len().div_ceil(8).max(1);
        let mut halves = [[[0_u8; 16]; 2]; 2];
        for (number, run) in all.into_iter().enumerate() {
            let group = 1_u8 << (number / per_group).min(7);
            for ([low, high], byte) in halves.iter_mut().zip(run) {
                match byte {
                    Some((byte, both)) => {
                        let cases = [byte.to_ascii_lowercase(), byte.to_ascii_uppercase()];
                        for byte in if both { cases } else { [byte; 2] } {
                            low[usize::from(byte & 15)] |= group;
                            high[usize::from(byte >> 4)] |= group;
                        }
                    }
                    None => low.iter_mut().chain(high).for_each(|groups| *groups |= group),
                }
            }
        }
        Self { halves }
    }

    fn may_be(&self, run: [u8; 2]) -> bool {
        let groups =
            self.halves.iter().zip(run).map(|([low, high], byte)| {
                low[usize::from(byte & 15)] & high[usize::from(byte >> 4)]
            });
        groups.fold(0xff, |all, groups| all & groups) != 0
    }
}

/// Calls `found` with every offset at which one of the runs may begin, in order. Behind the last byte stand zeros.
#[inline]
pub(super) fn runs(data: &[u8], runs: &Runs, found: impl FnMut(usize)) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        return unsafe { avx2::runs(data, runs, found) };
    }
    plain_runs(data, runs, found);
}

fn plain_runs(data: &[u8], runs: &Runs, mut found: impl FnMut(usize)) {
    let seconds = data.iter().skip(1).chain(&[0]);
    for (at, (first, second)) in data.iter().zip(seconds).enumerate() {
        if runs.may_be([*first, *second]) {
            found(at);
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{
        __m128i, __m256i, _mm_cvtsi32_si128, _mm_loadu_si128, _mm256_and_si256,
        _mm256_andnot_si256, _mm256_broadcastsi128_si256, _mm256_castsi256_ps, _mm256_cmpeq_epi8,
        _mm256_i32gather_epi32, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_movemask_ps,
        _mm256_mullo_epi32, _mm256_or_si256, _mm256_set_m128i, _mm256_set1_epi8, _mm256_set1_epi32,
        _mm256_setr_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_sllv_epi32,
        _mm256_srl_epi32, _mm256_srli_epi16, _mm256_srli_epi32,
    };

    use super::{FOLD, MULTIPLIER, Runs, Table};

    /// Bytes that are loaded for eight windows, which begin in the first eight or sixteen of them.
    const LOADED: usize = 24;
    /// Bytes that are loaded for sixteen windows.
    const STEP_LOADED: usize = 40;

    #[target_feature(enable = "avx2")]
    fn sixteen(bytes: &[u8; 16]) -> __m128i {
        // SAFETY: the reference is to sixteen bytes, and the load asks for no alignment.
        unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
    }

    /// Sixteen bytes, once in each half.
    #[target_feature(enable = "avx2")]
    fn twice(bytes: &[u8; 16]) -> __m256i {
        _mm256_broadcastsi128_si256(sixteen(bytes))
    }

    #[target_feature(enable = "avx2")]
    fn wide(bytes: &[u8; 32]) -> __m256i {
        // SAFETY: the reference is to thirty-two bytes, and the load asks for no alignment.
        unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
    }

    /// Which of eight windows, at every offset (`EVERY` 1) or every second, have their bits set.
    #[target_feature(enable = "avx2")]
    fn eight<const EVERY: usize>(bytes: &[u8; LOADED], table: &Table<'_>) -> u32 {
        let second = bytes.get(4 * EVERY..).and_then(<[u8]>::first_chunk);
        let (Some(low), Some(high)) = (bytes.first_chunk(), second) else { return 0 };
        let spread = if EVERY == 1 {
            _mm256_setr_epi8(
                0, 1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 5, 3, 4, 5, 6, 0, 1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 5,
                3, 4, 5, 6,
            )
        } else {
            _mm256_setr_epi8(
                0, 1, 2, 3, 2, 3, 4, 5, 4, 5, 6, 7, 6, 7, 8, 9, 0, 1, 2, 3, 2, 3, 4, 5, 4, 5, 6, 7,
                6, 7, 8, 9,
            )
        };
        let fold = _mm256_set1_epi32(FOLD.cast_signed());
        let both = _mm256_set_m128i(sixteen(high), sixteen(low));
        let grams = _mm256_or_si256(_mm256_shuffle_epi8(both, spread), fold);
        let hashes = _mm256_mullo_epi32(grams, _mm256_set1_epi32(MULTIPLIER.cast_signed()));
        let bits = _mm256_srl_epi32(hashes, _mm_cvtsi32_si128(table.shift.cast_signed()));
        let words = _mm256_srli_epi32::<5>(bits);
        // SAFETY: the number of a bit has 32 - shift bits, that of its word five fewer, and `windows` has made
        // sure that the bitmap has 2^(27 - shift) words.
        let loaded = unsafe { _mm256_i32gather_epi32::<4>(table.bitmap.as_ptr().cast(), words) };
        // Each wanted bit goes to the top of its word.
        let second = _mm256_srl_epi32(hashes, _mm_cvtsi32_si128(table.shift.cast_signed() - 5));
        let top = _mm256_set1_epi32(31);
        let signs = _mm256_and_si256(
            _mm256_sllv_epi32(loaded, _mm256_andnot_si256(bits, top)),
            _mm256_sllv_epi32(loaded, _mm256_andnot_si256(second, top)),
        );
        _mm256_movemask_ps(_mm256_castsi256_ps(signs)).cast_unsigned()
    }

    /// The same of sixteen windows.
    #[target_feature(enable = "avx2")]
    fn sixteen_windows<const EVERY: usize>(bytes: &[u8; STEP_LOADED], table: &Table<'_>) -> u32 {
        match (bytes.first_chunk(), bytes.get(8 * EVERY..).and_then(<[u8]>::first_chunk)) {
            (Some(first), Some(second)) => {
                eight::<EVERY>(first, table) | eight::<EVERY>(second, table) << 8
            }
            _ => 0,
        }
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn windows<const EVERY: usize>(
        data: &[u8],
        table: &Table<'_>,
        mut found: impl FnMut(usize) -> bool,
    ) -> bool {
        let words = 1_usize.checked_shl(27_u32.saturating_sub(table.shift));
        if words != Some(table.bitmap.len()) || table.shift > 27 {
            return super::plain_windows(data, table, found);
        }
        let Some(last) = data.len().checked_sub(3) else { return true };
        let mut at = 0;
        let mut rest = data;
        while let Some(bytes) = rest.first_chunk() {
            let mut mask = sixteen_windows::<EVERY>(bytes, table);
            while mask != 0 {
                if !found(at + EVERY * mask.trailing_zeros() as usize) {
                    return false;
                }
                mask &= mask - 1;
            }
            at += 16 * EVERY;
            rest = rest.get(16 * EVERY..).unwrap_or_default();
        }
        // Fewer than STEP_LOADED bytes are left: in small steps, with zeros behind.
        let mut tail = [0_u8; STEP_LOADED + LOADED];
        tail.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        for step in (0..STEP_LOADED).step_by(8 * EVERY) {
            let Some(bytes) = tail.get(step..).and_then(<[u8]>::first_chunk) else { break };
            if at + step > last {
                break;
            }
            let mut mask = eight::<EVERY>(bytes, table);
            while mask != 0 {
                let here = at + step + EVERY * mask.trailing_zeros() as usize;
                if here > last {
                    return true;
                }
                if !found(here) {
                    return false;
                }
                mask &= mask - 1;
            }
        }
        true
    }

    /// Groups of the bytes in one place of a run.
    #[target_feature(enable = "avx2")]
    fn groups(bytes: &[u8; 32], [low, high]: &[__m256i; 2]) -> __m256i {
        let half = _mm256_set1_epi8(15);
        let bytes = wide(bytes);
        let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), half);
        _mm256_and_si256(
            _mm256_shuffle_epi8(*low, _mm256_and_si256(bytes, half)),
            _mm256_shuffle_epi8(*high, upper),
        )
    }

    /// At which of the first 32 of these bytes a run may begin; a bit for each.
    #[target_feature(enable = "avx2")]
    fn thirty_two(bytes: &[u8; 33], [one, two]: &[[__m256i; 2]; 2]) -> u32 {
        let (Some(first), Some(second)) = (bytes.first_chunk(), bytes.last_chunk()) else {
            return 0;
        };
        let all = _mm256_and_si256(groups(first, one), groups(second, two));
        let none = _mm256_cmpeq_epi8(all, _mm256_setzero_si256());
        !_mm256_movemask_epi8(none).cast_unsigned()
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn runs(data: &[u8], runs: &Runs, mut found: impl FnMut(usize)) {
        let [[low, high], [second_low, second_high]] = &runs.halves;
        let tables = [[twice(low), twice(high)], [twice(second_low), twice(second_high)]];
        let (mut at, mut rest) = (0, data);
        while let Some(bytes) = rest.first_chunk() {
            let mut mask = thirty_two(bytes, &tables);
            while mask != 0 {
                found(at + mask.trailing_zeros() as usize);
                mask &= mask - 1;
            }
            at += 32;
            rest = rest.get(32..).unwrap_or_default();
        }
        // Fewer than 33 bytes are left: in two steps, with zeros behind.
        let mut tail = [0_u8; 65];
        tail.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        for step in [0, 32] {
            let Some(bytes) = tail.get(step..).and_then(<[u8]>::first_chunk) else { return };
            if step >= rest.len() {
                return;
            }
            let mut mask = thirty_two(bytes, &tables);
            while mask != 0 && step + (mask.trailing_zeros() as usize) < rest.len() {
                found(at + step + mask.trailing_zeros() as usize);
                mask &= mask - 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn wide_and_plain_windows_agree(
            data in proptest::collection::vec(any::<u8>(), 0..200),
            bits in proptest::collection::vec(any::<u32>(), 32),
            even: bool,
        ) {
            let offsets = if even { Offsets::Even } else { Offsets::All };
            let table = Table { bitmap: &bits, shift: 22, offsets };
            let (mut wide, mut plain) = (Vec::new(), Vec::new());
            windows(&data, &table, |at| { wide.push(at); true });
            plain_windows(&data, &table, |at| { plain.push(at); true });
            prop_assert_eq!(&wide, &plain);
            let mut first = Vec::new();
            let all = windows(&data, &table, |at| { first.push(at); false });
            prop_assert_eq!(all, plain.is_empty());
            prop_assert_eq!(first.first(), plain.first());
            prop_assert!(first.len() <= 1);
        }

        #[test]
        fn wide_and_plain_runs_agree_and_miss_none(
            data in proptest::collection::vec(prop_oneof![0_u8..16, any::<u8>()], 0..200),
            wanted in proptest::collection::vec(
                proptest::array::uniform2(proptest::option::of((0_u8..16, any::<bool>()))), 0..30),
        ) {
            let set = Runs::new(wanted.clone());
            let (mut wide, mut plain) = (Vec::new(), Vec::new());
            runs(&data, &set, |at| wide.push(at));
            plain_runs(&data, &set, |at| plain.push(at));
            prop_assert_eq!(&wide, &plain);
            for at in 0..data.len() {
                let byte = |n: usize| data.get(at + n).copied().unwrap_or(0);
                let is_wanted = wanted.iter().any(|run| {
                    run.iter().enumerate().all(|(n, one)| one.is_none_or(|(one, _)| one == byte(n)))
                });
                prop_assert!(!is_wanted || wide.contains(&at));
            }
        }
    }

    #[test]
    fn a_table_of_the_wrong_size_is_searched_without_it() {
        let table = Table { bitmap: &[u32::MAX], shift: 22, offsets: Offsets::All };
        let mut found = Vec::new();
        windows(&[0; 64], &table, |at| {
            found.push(at);
            true
        });
        assert!(found.is_empty() || found.len() == 62);
    }
}
