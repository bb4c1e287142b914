//! TCP segments to bytes in order.
//!
//! One [`Half`] per direction turns segments, in whatever order and overlap, into [`Chunk`]s at
//! growing offsets. In-order data passes through without a copy; what comes early waits in a
//! buffer; what the receiver has acknowledged but we have not seen becomes a gap. Where segments
//! overlap, the bytes seen first win, and a later copy that differs is an anomaly.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::decode::{Anomalies, DecoderEvent};
use crate::flow::Direction;
use crate::flow::tcp::seq_after;

/// Bytes of one direction at their place in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// Which half of the stream.
    pub dir: Direction,
    /// Offset of the first byte from the beginning of the stream.
    pub offset: u64,
    /// What is there.
    pub content: Content<'a>,
}

/// What a chunk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// Bytes.
    Data(&'a [u8]),
    /// That many bytes were not seen and will not come.
    Gap(u64),
}

/// Limits of reassembly.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes per direction that are followed; 0 for no limit.
    pub depth: u64,
    /// Memory of early segments that wait per direction before a gap is declared: their bytes, and
    /// 64 for each piece's bookkeeping.
    pub waiting: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 1 << 20, waiting: 256 << 10 }
    }
}

/// Bytes a waiting piece is charged for beside its payload: segments of one byte must not cost more
/// than they count for.
const PIECE_OVERHEAD: usize = 64;

/// Memory that all streams of an engine share.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Memory of waiting segments.
    pub used: usize,
    /// Limit.
    pub cap: usize,
}

/// What happened while a segment was taken in; the engine adds it to its counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Gaps declared.
    pub gaps: u32,
    /// The depth was reached with this segment.
    pub depth_reached: bool,
    /// The segment was not kept because of the memory cap.
    pub shed: bool,
}

/// Reassembly state of one direction.
#[derive(Debug, Default)]
pub struct Half {
    /// Sequence number of stream offset 0.
    base: u32,
    started: bool,
    /// Offset up to which chunks have been given out.
    next: u64,
    waiting: BTreeMap<u64, Box<[u8]>>,
    waiting_bytes: usize,
    depth_reached: bool,
}

impl Half {
    /// Sets the sequence number of the first byte; later calls do nothing.
    pub fn start(&mut self, seq: u32) {
        if !self.started {
            self.base = seq;
            self.started = true;
        }
    }

    /// Offset up to which chunks have been given out.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.next
    }

    /// True when the depth limit stopped this direction.
    #[must_use]
    pub fn depth_reached(&self) -> bool {
        self.depth_reached
    }

    pub(crate) fn swap_with(&mut self, other: &mut Self) {
        std::mem::swap(self, other);
    }

    /// Memory held by waiting segments.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Takes in the payload of one segment and gives out what is now in order.
    pub fn segment(
        &mut self,
        segment: Segment<'_>,
        env: &mut Env<'_>,
        out: &mut impl FnMut(Chunk<'_>),
    ) -> Outcome {
        let mut outcome = Outcome::default();
        if self.depth_reached || segment.data.is_empty() {
            return outcome;
        }
        self.start(segment.seq);
        let Some((offset, data)) = self.unseen(&segment, env.wrong) else { return outcome };
        if offset == self.next {
            self.in_order(segment.dir, data, env, out);
        } else {
            self.park(offset, data, env, &mut outcome);
        }
        while self.waiting_bytes > env.limits.waiting && !self.depth_reached {
            self.skip_hole(segment.dir, env, out, &mut outcome);
        }
        outcome.depth_reached = self.depth_reached;
        outcome
    }

    /// The receiver has everything up to `ack`: what is missing before it will not come.
    pub fn acknowledge(
        &mut self,
        dir: Direction,
        ack: u32,
        env: &mut Env<'_>,
        out: &mut impl FnMut(Chunk<'_>),
    ) -> Outcome {
        let (mut outcome, before) = (Outcome::default(), self.depth_reached);
        while let Some(first) = self.first_waiting() {
            if self.offset_of(ack).is_none_or(|acked| acked < first) {
                break;
            }
            self.skip_hole(dir, env, out, &mut outcome);
        }
        outcome.depth_reached = self.depth_reached && !before;
        outcome
    }

    /// The stream has ended: gives out what waits, with the gaps between.
    pub fn finish(
        &mut self,
        dir: Direction,
        env: &mut Env<'_>,
        out: &mut impl FnMut(Chunk<'_>),
    ) -> Outcome {
        let (mut outcome, before) = (Outcome::default(), self.depth_reached);
        while !self.waiting.is_empty() && !self.depth_reached {
            self.skip_hole(dir, env, out, &mut outcome);
        }
        self.release(env.budget);
        outcome.depth_reached = self.depth_reached && !before;
        outcome
    }

    /// Gives the memory of waiting segments back.
    pub fn release(&mut self, budget: &mut Budget) {
        budget.used = budget.used.saturating_sub(self.waiting_bytes);
        self.waiting.clear();
        self.waiting_bytes = 0;
    }

    /// Offset and bytes of what a segment has beyond the point of delivery.
    fn unseen<'a>(&self, s: &Segment<'a>, wrong: &mut Anomalies) -> Option<(u64, &'a [u8])> {
        let Some(offset) = self.offset_of(s.seq) else {
            // Begins before the stream: a keep-alive probe, or garbage.
            wrong.add(DecoderEvent::StreamReassemblySegmentBeforeBaseSeq);
            let before = u64::from(self.base.wrapping_sub(s.seq)).checked_add(self.next)?;
            let rest = s.data.get(usize::try_from(before).ok()?..)?;
            return Some((self.next, rest)).filter(|_| !rest.is_empty());
        };
        if offset >= self.next {
            return Some((offset, s.data));
        }
        let seen = usize::try_from(self.next.saturating_sub(offset)).ok()?;
        match s.data.get(seen..) {
            Some(rest) if !rest.is_empty() => Some((self.next, rest)),
            _ => {
                wrong.add(DecoderEvent::StreamPktRetransmission);
                None
            }
        }
    }

    /// Data that begins where delivery stands; waiting bytes were seen first and win.
    fn in_order(
        &mut self,
        dir: Direction,
        data: &[u8],
        env: &mut Env<'_>,
        out: &mut impl FnMut(Chunk<'_>),
    ) {
        let mut data = data;
        let mut at = self.next;
        while !data.is_empty() && !self.depth_reached {
            let room = match self.first_waiting() {
                Some(first) => usize::try_from(first.saturating_sub(at)).unwrap_or(usize::MAX),
                None => usize::MAX,
            };
            if room == 0 {
                let Some(seen) = self.pop_waiting(env.budget) else { return };
                let (same, rest) = data.split_at(seen.len().min(data.len()));
                if !seen.starts_with(same) {
                    env.wrong.add(DecoderEvent::StreamReassemblyOverlapDifferentData);
                }
                at = at.saturating_add(len64(&seen));
                data = rest;
                self.give(dir, &seen, env, out);
            } else {
                let (now, rest) = data.split_at(room.min(data.len()));
                at = at.saturating_add(len64(now));
                data = rest;
                self.give(dir, now, env, out);
            }
        }
        self.drain(dir, env, out);
    }

    /// Gives out waiting segments that have become in order.
    fn drain(&mut self, dir: Direction, env: &mut Env<'_>, out: &mut impl FnMut(Chunk<'_>)) {
        while self.first_waiting() == Some(self.next) && !self.depth_reached {
            let Some(bytes) = self.pop_waiting(env.budget) else { return };
            self.give(dir, &bytes, env, out);
        }
        if self.depth_reached {
            self.release(env.budget);
        }
    }

    fn give(
        &mut self,
        dir: Direction,
        bytes: &[u8],
        env: &mut Env<'_>,
        out: &mut impl FnMut(Chunk<'_>),
    ) {
        let mut bytes = bytes;
        let depth = env.limits.depth;
        if depth > 0 && self.next.saturating_add(len64(bytes)) >= depth {
            let left = usize::try_from(depth.saturating_sub(self.next)).unwrap_or(usize::MAX);
            bytes = bytes.get(..left).unwrap_or(bytes);
            self.depth_reached = true;
            env.wrong.add(DecoderEvent::StreamReassemblyDepthReached);
        }
        if bytes.is_empty() {
            return;
        }
        let offset = self.next;
        self.next = self.next.saturating_add(len64(bytes));
        out(Chunk { dir, offset, content: Content::Data(bytes) });
    }

    /// Declares what is missing before the first waiting segment lost.
    fn skip_hole(
        &mut self,
        dir: Direction,
        env: &mut Env<'_>,
        out: &mut impl FnMut(Chunk<'_>),
        outcome: &mut Outcome,
    ) {
        let Some(first) = self.first_waiting() else { return };
        let missing = first.saturating_sub(self.next);
        if missing > 0 {
            env.wrong.add(DecoderEvent::StreamReassemblySeqGap);
            outcome.gaps = outcome.gaps.saturating_add(1);
            let offset = self.next;
            self.next = first;
            out(Chunk { dir, offset, content: Content::Gap(missing) });
        }
        self.drain(dir, env, out);
    }

    /// Keeps the parts of an early segment that are not waiting already.
    fn park(&mut self, offset: u64, data: &[u8], env: &mut Env<'_>, outcome: &mut Outcome) {
        let (mut at, mut data) = (offset, data);
        while !data.is_empty() {
            if let Some((start, seen)) = self.waiting.range(..=at).next_back() {
                let into = usize::try_from(at.saturating_sub(*start)).unwrap_or(usize::MAX);
                if let Some(seen) = seen.get(into..).filter(|s| !s.is_empty()) {
                    let (same, rest) = data.split_at(seen.len().min(data.len()));
                    if !seen.starts_with(same) {
                        env.wrong.add(DecoderEvent::StreamReassemblyOverlapDifferentData);
                    }
                    at = at.saturating_add(len64(same));
                    data = rest;
                    continue;
                }
            }
            let room = match self.waiting.range(at..).next() {
                Some((start, _)) => usize::try_from(start.saturating_sub(at)).unwrap_or(usize::MAX),
                None => usize::MAX,
            };
            let (now, rest) = data.split_at(room.min(data.len()));
            let cost = now.len().saturating_add(PIECE_OVERHEAD);
            if env.budget.used.saturating_add(cost) > env.budget.cap {
                outcome.shed = true;
                return;
            }
            env.budget.used = env.budget.used.saturating_add(cost);
            self.waiting_bytes = self.waiting_bytes.saturating_add(cost);
            self.waiting.insert(at, now.into());
            at = at.saturating_add(len64(now));
            data = rest;
        }
    }

    fn first_waiting(&self) -> Option<u64> {
        self.waiting.first_key_value().map(|(start, _)| *start)
    }

    fn pop_waiting(&mut self, budget: &mut Budget) -> Option<Box<[u8]>> {
        let (_, bytes) = self.waiting.pop_first()?;
        let cost = bytes.len().saturating_add(PIECE_OVERHEAD);
        self.waiting_bytes = self.waiting_bytes.saturating_sub(cost);
        budget.used = budget.used.saturating_sub(cost);
        Some(bytes)
    }

    /// Offset of a sequence number near the point of delivery; `None` before the stream's start.
    fn offset_of(&self, seq: u32) -> Option<u64> {
        let [.., a, b, c, d] = self.next.to_be_bytes();
        let expected = self.base.wrapping_add(u32::from_be_bytes([a, b, c, d]));
        if seq == expected || seq_after(seq, expected) {
            self.next.checked_add(u64::from(seq.wrapping_sub(expected)))
        } else {
            self.next.checked_sub(u64::from(expected.wrapping_sub(seq)))
        }
    }
}

/// The payload of one segment.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// Which half it belongs to.
    pub dir: Direction,
    /// Sequence number of its first byte.
    pub seq: u32,
    /// Payload.
    pub data: &'a [u8],
}

/// What reassembly works against.
#[derive(Debug)]
pub struct Env<'a> {
    /// Limits per direction.
    pub limits: Limits,
    /// Memory shared by all streams.
    pub budget: &'a mut Budget,
    /// Where anomalies go.
    pub wrong: &'a mut Anomalies,
}

fn len64(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
