//! The raw stream of one direction, as far as rules still look at it.
//!
//! Filled by [`super::detect`] with what reassembly gives out. Keeps what was not scanned and a stretch
//! of what was, for rules that mix it with other buffers and for what alerts show. Blocks on the two
//! sides of a gap are apart: they are scanned each for itself.

use std::ops::Range;

/// Bytes of raw stream kept for rules that mix it with other buffers.
const KEPT: usize = 8 << 10;

/// Raw stream of one direction.
#[derive(Debug, Default)]
pub(super) struct Raw {
    bytes: Vec<u8>,
    /// Stream offset of the first byte, or of the gap before it.
    offset: u64,
    /// Where in `bytes` something is missing, and how many bytes; in order.
    gaps: Vec<(usize, u64)>,
    /// Bytes that have been scanned.
    scanned: usize,
    /// Bytes that had been scanned before the newest packet: older ones are no news to show.
    shown: usize,
    /// Bytes seen so far.
    seen: u64,
}

impl Raw {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Stream offset up to which there was data.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// Bytes that wait for their scan.
    pub(super) fn unscanned(&self) -> usize {
        self.bytes.len().saturating_sub(self.scanned)
    }

    /// A packet begins.
    pub(super) fn begin(&mut self) {
        self.shown = self.scanned;
    }

    pub(super) fn add(&mut self, offset: u64, bytes: &[u8]) {
        if self.bytes.is_empty() && self.gaps.is_empty() {
            self.offset = offset;
        }
        self.bytes.extend_from_slice(bytes);
        self.seen = offset.saturating_add(len64(bytes.len()));
    }

    pub(super) fn gap(&mut self, offset: u64, missing: u64) {
        if self.bytes.is_empty() && self.gaps.is_empty() {
            self.offset = offset;
        }
        let here = self.bytes.len();
        match self.gaps.last_mut() {
            Some((at, more)) if *at == here => *more = more.saturating_add(missing),
            _ => self.gaps.push((here, missing)),
        }
        self.seen = offset.saturating_add(missing);
    }

    /// The blocks that are to be scanned, each with its stream offset: what was not, and `overlap` bytes
    /// before it when nothing is missing there.
    pub(super) fn blocks(&self, overlap: usize) -> impl Iterator<Item = (u64, &[u8])> {
        let from = self.scanned.saturating_sub(overlap);
        let before =
            self.gaps.iter().filter(|(at, _)| *at <= self.scanned).map(|(at, _)| *at).next_back();
        let from = before.map_or(from, |at| at.max(from));
        self.ranges(from).map(|(missing, range)| {
            let offset = self.offset.saturating_add(len64(range.start)).saturating_add(missing);
            (offset, self.bytes.get(range).unwrap_or_default())
        })
    }

    /// Stretches without gaps from a position on, with the number of bytes missing before each.
    fn ranges(&self, from: usize) -> impl Iterator<Item = (u64, Range<usize>)> {
        let mut start = from;
        let passed = self.gaps.iter().filter(move |(at, _)| *at <= from);
        let mut missing = passed.fold(0u64, |sum, (_, n)| sum.saturating_add(*n));
        let later = self.gaps.iter().filter(move |(at, _)| *at > from).copied();
        later.chain([(self.bytes.len(), 0)]).map(move |(end, n)| {
            let range = start..end;
            let before = missing;
            (start, missing) = (end, missing.saturating_add(n));
            (before, range)
        })
    }

    /// Everything was scanned.
    pub(super) fn settle(&mut self) {
        self.scanned = self.bytes.len();
    }

    /// What an alert shows: what is new since the packet before, gaps in words, at most `most` bytes.
    pub(super) fn evidence(&self, most: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let mut at = self.shown;
        for (gap, missing) in self.gaps.iter().filter(|(gap, _)| *gap >= self.shown) {
            out.extend_from_slice(self.bytes.get(at..*gap).unwrap_or_default());
            out.extend_from_slice(format!("[{missing} bytes missing]").as_bytes());
            at = *gap;
            if out.len() >= most {
                break;
            }
        }
        out.extend_from_slice(self.bytes.get(at..).unwrap_or_default());
        out.truncate(most);
        out
    }

    /// Forgets all but the newest bytes.
    pub(super) fn trim(&mut self) {
        if self.bytes.len() <= KEPT {
            return;
        }
        let cut = self.bytes.len().saturating_sub(KEPT >> 1).min(self.scanned);
        let lost = self.gaps.iter().filter(|(at, _)| *at <= cut).map(|(_, missing)| *missing);
        let lost = lost.fold(len64(cut), u64::saturating_add);
        self.gaps.retain(|(at, _)| *at > cut);
        for (at, _) in &mut self.gaps {
            *at = at.saturating_sub(cut);
        }
        self.bytes.drain(..cut);
        self.scanned = self.scanned.saturating_sub(cut);
        self.shown = self.shown.saturating_sub(cut);
        self.offset = self.offset.saturating_add(lost);
    }

    /// Forgets everything and gives the memory back.
    pub(super) fn clear(&mut self) {
        *self = Self { seen: self.seen, ..Self::default() };
    }
}

fn len64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(raw: &Raw, overlap: usize) -> Vec<(u64, String)> {
        raw.blocks(overlap).map(|(at, bytes)| (at, bytes.escape_ascii().to_string())).collect()
    }

    #[test]
    fn what_lies_on_both_sides_of_a_gap_is_scanned_apart() {
        let mut raw = Raw::default();
        raw.add(0, b"very");
        raw.gap(4, 4);
        raw.add(8, b"data");
        assert_eq!(blocks(&raw, 2), [(0, "very".to_owned()), (8, "data".to_owned())]);
        assert_eq!(raw.evidence(100), b"very[4 bytes missing]data");
        assert_eq!(raw.evidence(6), b"very[4");
        raw.settle();
        raw.begin();
        raw.add(12, b"more");
        assert_eq!(blocks(&raw, 2), [(10, "tamore".to_owned())]);
        assert_eq!(blocks(&raw, 100), [(8, "datamore".to_owned())], "not across the gap");
        assert_eq!(raw.evidence(100), b"more");
    }

    #[test]
    fn a_gap_at_the_beginning_or_at_the_end() {
        let mut raw = Raw::default();
        raw.gap(0, 3);
        raw.gap(3, 1);
        raw.add(4, b"good");
        raw.gap(8, 2);
        assert_eq!(blocks(&raw, 9), [(4, "good".to_owned()), (10, String::new())]);
        assert_eq!(raw.evidence(100), b"[4 bytes missing]good[2 bytes missing]");
        assert_eq!(raw.seen(), 10);
    }

    #[test]
    fn old_bytes_are_forgotten_with_their_gaps_and_offsets_stay_true() {
        let mut raw = Raw::default();
        raw.add(0, &[b'a'; 3000]);
        raw.gap(3000, 500);
        raw.add(3500, &[b'b'; 6000]);
        raw.settle();
        raw.trim();
        raw.add(9500, b"end");
        assert_eq!(blocks(&raw, 0), [(9500, "end".to_owned())]);
        assert!(raw.bytes().len() <= KEPT);
    }
}
