//! The inner loops of the prefilter: at which offsets may a pattern be?
//!
//! Two questions, each answered by AVX2 where the processor has it (found out at run time) and by plain code
//! elsewhere, with the same answers: which windows of four bytes have their bit set ([`windows`]), and where
//! one of a few short runs of bytes may begin ([`runs`]). This is the only room of this crate with `unsafe` code:
//! measured, it makes scanning four times as fast.

#![expect(
    unsafe_code,
    reason = "a gather and calls of functions compiled for AVX2 cannot be had otherwise"
)]

/// Bits of a hash table over windows of four bytes.
pub(super) struct Table<'a> {
    /// `2^(27 - shift)` words.
    pub(super) bitmap: &'a [u32],
    /// How far a hash is shifted to be the number of a bit.
    pub(super) shift: u32,
}

const MULTIPLIER: u32 = 0x9E37_79B1;
const FOLD: u32 = 0x2020_2020;

/// Hash of a folded window.
pub(super) const fn hash(gram: u32) -> u32 {
    gram.wrapping_mul(MULTIPLIER)
}

impl Table<'_> {
    /// Whether the bit of the window is set.
    fn has(&self, window: [u8; 4]) -> bool {
        let bit = hash(u32::from_le_bytes(window) | FOLD) >> self.shift;
        self.bitmap.get((bit / 32) as usize).is_some_and(|word| word >> (bit % 32) & 1 != 0)
    }
}

/// Calls `found` with the offset of every window whose bit is set, in order, until it answers `false`;
/// then returns `false`.
#[inline]
pub(super) fn windows(data: &[u8], table: &Table<'_>, found: impl FnMut(usize) -> bool) -> bool {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        return unsafe { avx2::windows(data, table, found) };
    }
    plain_windows(data, table, found)
}

fn plain_windows(data: &[u8], table: &Table<'_>, mut found: impl FnMut(usize) -> bool) -> bool {
    data.windows(4).enumerate().all(|(at, window)| {
        let window = [window[0], window[1], window[2], window[3]];
        !table.has(window) || found(at)
    })
}

/// A few runs of one to three bytes, each of whose bytes has its place among eight groups by half-bytes:
/// a run of the data may be one of ours when some group has all six halves.
#[derive(Debug, Default)]
pub(super) struct Runs {
    /// Groups by low and by high half of the first byte, then of the second and the third.
    halves: [[[u8; 16]; 2]; 3],
}

/// A run; where it has no byte any byte will do.
pub(super) type Run = (u8, Option<u8>, Option<u8>);

impl Runs {
    pub(super) fn new(runs: impl Iterator<Item = Run>) -> Self {
        let mut all: Vec<_> = runs.collect();
        all.sort_unstable();
        all.dedup();
        let per_group = all.len().div_ceil(8).max(1);
        let mut halves = [[[0_u8; 16]; 2]; 3];
        for (number, (first, second, third)) in all.into_iter().enumerate() {
            let group = 1_u8 << (number / per_group).min(7);
            for ([low, high], byte) in halves.iter_mut().zip([Some(first), second, third]) {
                match byte {
                    Some(byte) => {
                        low[usize::from(byte & 15)] |= group;
                        high[usize::from(byte >> 4)] |= group;
                    }
                    None => low.iter_mut().chain(high).for_each(|groups| *groups |= group),
                }
            }
        }
        Self { halves }
    }

    fn may_be(&self, run: [u8; 3]) -> bool {
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
    let thirds = data.iter().skip(2).chain(&[0, 0]);
    for (at, ((first, second), third)) in data.iter().zip(seconds).zip(thirds).enumerate() {
        if runs.may_be([*first, *second, *third]) {
            found(at);
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{
        __m256i, _mm_cvtsi32_si128, _mm_loadu_si128, _mm256_and_si256, _mm256_andnot_si256,
        _mm256_broadcastsi128_si256, _mm256_castsi256_ps, _mm256_cmpeq_epi8,
        _mm256_i32gather_epi32, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_movemask_ps,
        _mm256_mullo_epi32, _mm256_or_si256, _mm256_set1_epi8, _mm256_set1_epi32, _mm256_setr_epi8,
        _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_sllv_epi32, _mm256_srl_epi32,
        _mm256_srli_epi16, _mm256_srli_epi32,
    };

    use super::{FOLD, MULTIPLIER, Runs, Table};

    /// Windows looked at in one step.
    const STEP: usize = 16;
    /// Bytes those windows are in, and those that are loaded with them.
    const LOADED: usize = 24;

    /// Sixteen bytes, once in each half.
    #[target_feature(enable = "avx2")]
    fn twice(bytes: &[u8; 16]) -> __m256i {
        // SAFETY: the reference is to sixteen bytes, and the load asks for no alignment.
        _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
    }

    #[target_feature(enable = "avx2")]
    fn wide(bytes: &[u8; 32]) -> __m256i {
        // SAFETY: the reference is to thirty-two bytes, and the load asks for no alignment.
        unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
    }

    /// Which of the windows that begin at the first eight of these bytes have their bit set.
    #[target_feature(enable = "avx2")]
    fn eight(bytes: &[u8; 16], table: &Table<'_>) -> u32 {
        let spread = _mm256_setr_epi8(
            0, 1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 5, 3, 4, 5, 6, 4, 5, 6, 7, 5, 6, 7, 8, 6, 7, 8, 9, 7,
            8, 9, 10,
        );
        let fold = _mm256_set1_epi32(FOLD.cast_signed());
        let grams = _mm256_or_si256(_mm256_shuffle_epi8(twice(bytes), spread), fold);
        let hashes = _mm256_mullo_epi32(grams, _mm256_set1_epi32(MULTIPLIER.cast_signed()));
        let bits = _mm256_srl_epi32(hashes, _mm_cvtsi32_si128(table.shift.cast_signed()));
        let words = _mm256_srli_epi32::<5>(bits);
        // SAFETY: the number of a bit has 32 - shift bits, that of its word five fewer, and `windows` has made
        // sure that the bitmap has 2^(27 - shift) words.
        let loaded = unsafe { _mm256_i32gather_epi32::<4>(table.bitmap.as_ptr().cast(), words) };
        // The wanted bit goes to the top of its word.
        let up = _mm256_andnot_si256(bits, _mm256_set1_epi32(31));
        let signs = _mm256_sllv_epi32(loaded, up);
        _mm256_movemask_ps(_mm256_castsi256_ps(signs)).cast_unsigned()
    }

    #[target_feature(enable = "avx2")]
    fn sixteen(bytes: &[u8; LOADED], table: &Table<'_>) -> u32 {
        let part = |at: usize| bytes.get(at..).and_then(<[u8]>::first_chunk);
        match (part(0), part(8)) {
            (Some(first), Some(second)) => eight(first, table) | eight(second, table) << 8,
            _ => 0,
        }
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn windows(
        data: &[u8],
        table: &Table<'_>,
        mut found: impl FnMut(usize) -> bool,
    ) -> bool {
        let words = 1_usize.checked_shl(27_u32.saturating_sub(table.shift));
        if words != Some(table.bitmap.len()) || table.shift > 27 {
            return super::plain_windows(data, table, found);
        }
        let Some(last) = data.len().checked_sub(4) else { return true };
        let mut at = 0;
        let mut rest = data;
        while let Some(bytes) = rest.first_chunk() {
            let mut mask = sixteen(bytes, table);
            while mask != 0 {
                if !found(at + mask.trailing_zeros() as usize) {
                    return false;
                }
                mask &= mask - 1;
            }
            at += STEP;
            rest = rest.get(STEP..).unwrap_or_default();
        }
        // Fewer than LOADED bytes are left: in two steps, with zeros behind.
        let mut tail = [0_u8; LOADED + STEP];
        tail.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        for step in [0, STEP] {
            let Some(bytes) = tail.get(step..).and_then(<[u8]>::first_chunk) else { break };
            if at + step > last {
                break;
            }
            let mut mask = sixteen(bytes, table);
            while mask != 0 {
                let here = at + step + mask.trailing_zeros() as usize;
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
    fn thirty_two(bytes: &[u8; 34], tables: &[[__m256i; 2]; 3]) -> u32 {
        let part = |at: usize| bytes.get(at..).and_then(<[u8]>::first_chunk);
        let (Some(first), Some(second), Some(third)) = (part(0), part(1), part(2)) else {
            return 0;
        };
        let [one, two, three] = tables;
        let all = _mm256_and_si256(
            _mm256_and_si256(groups(first, one), groups(second, two)),
            groups(third, three),
        );
        let none = _mm256_cmpeq_epi8(all, _mm256_setzero_si256());
        !_mm256_movemask_epi8(none).cast_unsigned()
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn runs(data: &[u8], runs: &Runs, mut found: impl FnMut(usize)) {
        let [[l1, h1], [l2, h2], [l3, h3]] = &runs.halves;
        let tables = [[twice(l1), twice(h1)], [twice(l2), twice(h2)], [twice(l3), twice(h3)]];
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
        // Fewer than 34 bytes are left: in two steps, with zeros behind.
        let mut tail = [0_u8; 66];
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
        ) {
            let table = Table { bitmap: &bits, shift: 22 };
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
                (0_u8..16, proptest::option::of(0_u8..16), proptest::option::of(0_u8..16)), 0..30),
        ) {
            let set = Runs::new(wanted.iter().copied());
            let (mut wide, mut plain) = (Vec::new(), Vec::new());
            runs(&data, &set, |at| wide.push(at));
            plain_runs(&data, &set, |at| plain.push(at));
            prop_assert_eq!(&wide, &plain);
            for at in 0..data.len() {
                let byte = |n: usize| data.get(at + n).copied().unwrap_or(0);
                let is_wanted = wanted.iter().any(|(a, b, c)| {
                    *a == byte(0) && b.is_none_or(|b| b == byte(1)) && c.is_none_or(|c| c == byte(2))
                });
                prop_assert!(!is_wanted || wide.contains(&at));
            }
        }
    }

    #[test]
    fn a_table_of_the_wrong_size_is_searched_without_it() {
        let table = Table { bitmap: &[u32::MAX], shift: 22 };
        let mut found = Vec::new();
        windows(&[0; 64], &table, |at| {
            found.push(at);
            true
        });
        assert!(found.is_empty() || found.len() == 61);
    }
}
