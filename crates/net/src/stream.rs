//! TCP segments to bytes in order.
//!
//! One [`Half`] per direction turns segments, in whatever order and overlap, into [`Chunk`]s at
//! growing offsets. In-order data passes through without a copy; what comes early waits in a
//! buffer; what the receiver has acknowledged but we have not seen becomes a gap. Where segments
//! overlap, the receiver's [`OsPolicy`] says whose bytes count, and copies that differ are an
//! anomaly. For systems that prefer later copies nothing is given out before it is acknowledged.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::decode::{Anomalies, DecoderEvent};
use crate::flow::Direction;
use crate::flow::tcp::seq_after;
use crate::policy::OsPolicy;

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
    /// 96 for each piece's bookkeeping.
    pub waiting: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 1 << 20, waiting: 256 << 10 }
    }
}

/// Bytes a waiting piece is charged for beside its payload: segments of one byte must not cost more
/// than they count for.
const PIECE_OVERHEAD: usize = 96;

/// Bytes that wait, and where the segment they came with began and ended.
#[derive(Debug)]
struct Piece {
    bytes: Box<[u8]>,
    came: (u64, u64),
}

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
    waiting: BTreeMap<u64, Piece>,
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
        if offset == self.next && self.waiting.is_empty() && !env.hold {
            self.give(segment.dir, data, env, out);
        } else {
            self.park(offset, data, env, &mut outcome);
            if !env.hold {
                self.drain(segment.dir, u64::MAX, env, out);
            }
        }
        while self.waiting_bytes > env.limits.waiting && !self.depth_reached {
            self.skip_hole((segment.dir, u64::MAX), env, out, &mut outcome);
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
        let acked = if self.waiting.is_empty() { None } else { self.offset_of(ack) };
        let limit = if env.hold { acked.unwrap_or(0) } else { u64::MAX };
        while let (Some(first), Some(acked)) = (self.first_waiting(), acked) {
            if acked < first || (env.hold && acked == first) || self.depth_reached {
                break;
            }
            self.skip_hole((dir, limit), env, out, &mut outcome);
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
            self.skip_hole((dir, u64::MAX), env, out, &mut outcome);
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

    /// Gives out waiting segments that have become in order, up to `limit`.
    fn drain(
        &mut self,
        dir: Direction,
        limit: u64,
        env: &mut Env<'_>,
        out: &mut impl FnMut(Chunk<'_>),
    ) {
        while self.first_waiting() == Some(self.next) && self.next < limit && !self.depth_reached {
            let Some((start, piece)) = self.pop_waiting(env.budget) else { return };
            let most = usize::try_from(limit.saturating_sub(start)).unwrap_or(usize::MAX);
            let (now, later) = piece.bytes.split_at(most.min(piece.bytes.len()));
            self.give(dir, now, env, out);
            if !later.is_empty() {
                // It waited before, so that there is room for it.
                self.keep(limit, later, piece.came, env.budget);
            }
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
        (dir, limit): (Direction, u64),
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
        self.drain(dir, limit, env, out);
    }

    /// Keeps of a segment what the receiver's system would keep of it.
    fn park(&mut self, offset: u64, data: &[u8], env: &mut Env<'_>, outcome: &mut Outcome) {
        let came = (offset, offset.saturating_add(len64(data)));
        self.replace(came, data, env);
        let (mut at, mut data) = (offset, data);
        while !data.is_empty() {
            if let Some((start, seen)) = self.waiting.range(..=at).next_back() {
                let end = start.saturating_add(len64(&seen.bytes));
                if end > at {
                    let n = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
                    data = data.get(n..).unwrap_or_default();
                    at = end;
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
                env.wrong.add(DecoderEvent::StreamReassemblyInsertMemcap);
                return;
            }
            self.keep(at, now, came, env.budget);
            at = at.saturating_add(len64(now));
            data = rest;
        }
    }

    /// Compares a segment with what waits in its place, and takes away what it replaces.
    fn replace(&mut self, new: (u64, u64), data: &[u8], env: &mut Env<'_>) {
        let first = self.waiting.range(..new.0).next_back().map_or(new.0, |(start, _)| *start);
        let touched: Vec<u64> = self
            .waiting
            .range(first..new.1)
            .filter(|(start, piece)| start.saturating_add(len64(&piece.bytes)) > new.0)
            .map(|(start, _)| *start)
            .collect();
        for start in touched {
            let Some(piece) = self.waiting.get(&start) else { continue };
            if !agree((start, &piece.bytes), (new.0, data)) {
                env.wrong.add(DecoderEvent::StreamReassemblyOverlapDifferentData);
            }
            if env.policy.segment_replaces(piece.came, new) {
                self.cut(start, new, env.budget);
            }
        }
    }

    /// Leaves of a waiting piece what lies before and after `hole`.
    fn cut(&mut self, start: u64, hole: (u64, u64), budget: &mut Budget) {
        let Some(piece) = self.waiting.remove(&start) else { return };
        self.uncharge(piece.bytes.len(), budget);
        let before = usize::try_from(hole.0.saturating_sub(start)).unwrap_or(usize::MAX);
        if let Some(bytes) = piece.bytes.get(..before).filter(|bytes| !bytes.is_empty()) {
            self.keep(start, bytes, piece.came, budget);
        }
        let after = usize::try_from(hole.1.saturating_sub(start)).unwrap_or(usize::MAX);
        if let Some(bytes) = piece.bytes.get(after..).filter(|bytes| !bytes.is_empty()) {
            self.keep(hole.1, bytes, piece.came, budget);
        }
    }

    fn keep(&mut self, at: u64, bytes: &[u8], came: (u64, u64), budget: &mut Budget) {
        let cost = bytes.len().saturating_add(PIECE_OVERHEAD);
        budget.used = budget.used.saturating_add(cost);
        self.waiting_bytes = self.waiting_bytes.saturating_add(cost);
        self.waiting.insert(at, Piece { bytes: bytes.into(), came });
    }

    fn uncharge(&mut self, length: usize, budget: &mut Budget) {
        let cost = length.saturating_add(PIECE_OVERHEAD);
        self.waiting_bytes = self.waiting_bytes.saturating_sub(cost);
        budget.used = budget.used.saturating_sub(cost);
    }

    fn first_waiting(&self) -> Option<u64> {
        self.waiting.first_key_value().map(|(start, _)| *start)
    }

    fn pop_waiting(&mut self, budget: &mut Budget) -> Option<(u64, Piece)> {
        let (start, piece) = self.waiting.pop_first()?;
        self.uncharge(piece.bytes.len(), budget);
        Some((start, piece))
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
    /// System of the receiver.
    pub policy: OsPolicy,
    /// Nothing is given out before it is acknowledged.
    pub hold: bool,
}

/// Whether two stretches of a stream have the same bytes where both have some.
fn agree(a: (u64, &[u8]), b: (u64, &[u8])) -> bool {
    let from = a.0.max(b.0);
    let rest = |part: (u64, &'_ [u8])| -> Option<usize> {
        usize::try_from(from.saturating_sub(part.0)).ok()
    };
    let (Some(left), Some(right)) = (rest(a), rest(b)) else { return true };
    let (left, right) = (a.1.get(left..), b.1.get(right..));
    let (Some(left), Some(right)) = (left, right) else { return true };
    left.iter().zip(right).all(|(x, y)| x == y)
}

fn len64(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
