//! Search for patterns that can only stand at one place counted from the beginning: a look at each place
//! instead of a scan.

/// A pattern with its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fixed<'p> {
    /// Offset of its first byte from the beginning of the data.
    pub(super) at: u64,
    /// Lowercase when `nocase`.
    pub(super) bytes: &'p [u8],
    pub(super) nocase: bool,
    /// The data is at least this long.
    pub(super) least: u64,
    pub(super) rule: u32,
}

/// A pattern under one spelling of its first byte.
#[derive(Debug, Clone, Copy)]
struct Entry {
    first: u8,
    nocase: bool,
    /// Its first eight bytes, folded when `nocase`, and which of them exist.
    head: u64,
    mask: u64,
    /// Its last eight bytes, when it has as many.
    tail: u64,
    rule: u32,
    /// Where the whole pattern is in the pool.
    start: u32,
    len: u32,
    /// What is left of the data from its place on is at least this long.
    least: u32,
}

/// All patterns of one place.
#[derive(Debug)]
struct Place {
    at: u32,
    /// One bit per first byte.
    firsts: [u32; 8],
    entries: Box<[Entry]>,
}

/// Patterns at fixed places, in the order of these.
#[derive(Debug, Default)]
pub(crate) struct FixedSet {
    places: Box<[Place]>,
    pool: Box<[u8]>,
}

const FOLD: u64 = 0x2020_2020_2020_2020;

/// The first eight bytes as a number; zeros behind the end.
#[inline]
fn word(bytes: &[u8]) -> u64 {
    if let Some(chunk) = bytes.first_chunk() {
        return u64::from_le_bytes(*chunk);
    }
    let mut room = [0_u8; 8];
    room.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    u64::from_le_bytes(room)
}

impl FixedSet {
    pub(super) fn new(mut patterns: Vec<Fixed<'_>>) -> Self {
        patterns.sort_unstable_by(|a, b| (a.at, a.bytes, a.rule).cmp(&(b.at, b.bytes, b.rule)));
        let mut pool = Vec::new();
        let places = patterns.chunk_by(|a, b| a.at == b.at).filter_map(|group| {
            let at = u32::try_from(group.first()?.at).ok()?;
            let mut entries = Vec::new();
            let mut firsts = [0_u32; 8];
            for Fixed { bytes, nocase, rule, least, .. } in group {
                let Some(first) = bytes.first() else { continue };
                let start = u32::try_from(pool.len()).unwrap_or(u32::MAX);
                pool.extend_from_slice(bytes);
                let mask = u64::MAX >> (64 - 8 * bytes.len().min(8));
                let head = if *nocase { (word(bytes) | FOLD) & mask } else { word(bytes) & mask };
                let tail = bytes.last_chunk().map_or(0, |tail| u64::from_le_bytes(*tail));
                let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                let least = least.saturating_sub(u64::from(at));
                let least = u32::try_from(least).unwrap_or(u32::MAX).max(len);
                let other = first.to_ascii_uppercase();
                let second = (*nocase && other != *first).then_some(other);
                for first in [Some(*first), second].into_iter().flatten() {
                    let (nocase, rule) = (*nocase, *rule);
                    firsts[usize::from(first / 32)] |= 1 << (first % 32);
                    let known = Entry { first, nocase, head, mask, tail, rule, start, len, least };
                    entries.push(known);
                }
            }
            entries.sort_unstable_by_key(|entry| (entry.first, entry.rule));
            Some(Place { at, firsts, entries: entries.into() })
        });
        let places = places.collect();
        Self { places, pool: pool.into() }
    }

    /// Every rule in it.
    #[cfg(test)]
    pub(crate) fn rules(&self) -> Vec<u32> {
        self.places.iter().flat_map(|place| &place.entries).map(|entry| entry.rule).collect()
    }

    /// Adds to `out` the rules whose pattern stands at its place in `data`, which begins at `offset`.
    #[inline]
    pub(crate) fn scan(&self, data: &[u8], offset: u64, out: &mut Vec<u32>) {
        let Ok(offset) = u32::try_from(offset) else { return };
        for place in &self.places {
            let Some(here) = place.at.checked_sub(offset) else { continue };
            let Some(first) = data.get(here as usize) else { return };
            if place.firsts[usize::from(first / 32)] >> (first % 32) & 1 != 0 {
                self.look(place, &data[here as usize..], *first, out);
            }
        }
    }

    #[inline(never)]
    fn look(&self, place: &Place, rest: &[u8], first: u8, out: &mut Vec<u32>) {
        let plain = word(rest);
        let from = place.entries.partition_point(|entry| entry.first < first);
        for entry in place.entries[from..].iter().take_while(|entry| entry.first == first) {
            let have = if entry.nocase { plain | FOLD } else { plain };
            if have & entry.mask == entry.head && self.is_whole(entry, rest) {
                out.push(entry.rule);
            }
        }
    }

    fn is_whole(&self, entry: &Entry, rest: &[u8]) -> bool {
        if rest.len() < entry.least as usize {
            return false;
        }
        let (start, len) = (entry.start as usize, entry.len as usize);
        // All of it was compared, unless a letter stands for another byte that differs in the same bit.
        if len <= 8 && !entry.nocase {
            return true;
        }
        let Some(there) = rest.get(..len) else { return false };
        if len <= 16 && !entry.nocase {
            return there.last_chunk().is_some_and(|tail| u64::from_le_bytes(*tail) == entry.tail);
        }
        let pattern = &self.pool[start..start + len];
        if entry.nocase { there.eq_ignore_ascii_case(pattern) } else { there == pattern }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_plain_comparison(
            patterns in proptest::collection::vec(
                (0_u64..6, proptest::collection::vec(0_u8..4, 1..11), any::<bool>(), 0_u64..25), 1..30),
            data in proptest::collection::vec(0_u8..4, 0..20),
            offset in 0_u64..4,
        ) {
            let letter = |byte: &u8| [b'a', b'A', b'@', 0][usize::from(*byte)];
            let data: Vec<u8> = data.iter().map(letter).collect();
            let texts: Vec<Vec<u8>> = patterns.iter().map(|(_, bytes, nocase, _)| {
                let mut bytes: Vec<u8> = bytes.iter().map(letter).collect();
                if *nocase { bytes.make_ascii_lowercase(); }
                bytes
            }).collect();
            let fixed: Vec<Fixed<'_>> = (0_u32..).zip(&patterns).zip(&texts).map(|((rule, one), bytes)| {
                let (at, _, nocase, least) = one;
                Fixed { at: *at, bytes, nocase: *nocase, least: *least, rule }
            }).collect();
            let mut got = Vec::new();
            FixedSet::new(fixed.clone()).scan(&data, offset, &mut got);
            got.sort_unstable();
            let plain: Vec<u32> = fixed.iter().filter(|one| {
                let at = one.at.checked_sub(offset).and_then(|at| usize::try_from(at).ok());
                let there = at.and_then(|at| data.get(at..at + one.bytes.len()));
                let there = there.filter(|_| offset + data.len() as u64 >= one.least);
                there.is_some_and(|there| if one.nocase {
                    there.eq_ignore_ascii_case(one.bytes)
                } else {
                    there == one.bytes
                })
            }).map(|one| one.rule).collect();
            prop_assert_eq!(got, plain);
        }
    }
}
