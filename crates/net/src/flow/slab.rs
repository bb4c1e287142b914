//! Room for flows, by number: grows in pieces that stay where they are.
//!
//! One long array would be copied as it grows, and be there twice while it is.

use super::Flow;
use crate::prefetch::prefetch;

/// Flows of a piece, a power of two.
const PIECE: usize = 1024;

/// Numbered places for flows, used again once they are free.
#[derive(Debug, Default)]
pub(super) struct Slab {
    pieces: Vec<Vec<Option<Flow>>>,
    free: Vec<u32>,
    /// Places there are, taken or free.
    len: u32,
}

/// Piece and place in it.
fn split(slot: u32) -> (usize, usize) {
    let slot = usize::try_from(slot).unwrap_or(usize::MAX);
    (slot >> PIECE.trailing_zeros(), slot & PIECE.wrapping_sub(1))
}

impl Slab {
    /// Places there are: all numbers below it.
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    #[inline]
    pub(super) fn get(&self, slot: u32) -> Option<&Flow> {
        let (piece, at) = split(slot);
        self.pieces.get(piece)?.get(at)?.as_ref()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Flow> {
        let (piece, at) = split(slot);
        self.pieces.get_mut(piece)?.get_mut(at)?.as_mut()
    }

    /// Asks for a place ahead of time.
    pub(super) fn prefetch(&self, slot: u32) {
        let (piece, at) = split(slot);
        if let Some(place) = self.pieces.get(piece).and_then(|piece| piece.get(at)) {
            prefetch(place);
        }
    }

    /// The place that will be used next, when one is free.
    pub(super) fn next_free(&self) -> Option<u32> {
        self.free.last().copied()
    }

    /// Takes in a flow that is made for its place; `None` when all numbers are taken.
    pub(super) fn insert(&mut self, make: impl FnOnce(u32) -> Flow) -> Option<u32> {
        if let Some(slot) = self.free.pop() {
            let (piece, at) = split(slot);
            *self.pieces.get_mut(piece)?.get_mut(at)? = Some(make(slot));
            return Some(slot);
        }
        let slot = self.len;
        self.len = self.len.checked_add(1)?;
        if self.pieces.last().is_none_or(|piece| piece.len() == PIECE) {
            self.pieces.push(Vec::with_capacity(PIECE));
        }
        self.pieces.last_mut()?.push(Some(make(slot)));
        Some(slot)
    }

    /// Frees a place.
    pub(super) fn remove(&mut self, slot: u32) {
        let (piece, at) = split(slot);
        let place = self.pieces.get_mut(piece).and_then(|piece| piece.get_mut(at));
        if let Some(place @ Some(_)) = place {
            *place = None;
            self.free.push(slot);
        }
    }

    /// The highest number that is taken. Gives back the places beyond it; those below it that are free
    /// are not used again, so this is for the end.
    pub(super) fn last(&mut self) -> Option<u32> {
        self.free.clear();
        loop {
            let piece = self.pieces.last_mut()?;
            match piece.last() {
                Some(Some(flow)) => return Some(flow.slot),
                Some(None) => {
                    piece.pop();
                    self.len = self.len.saturating_sub(1);
                }
                None => {
                    self.pieces.pop();
                }
            }
        }
    }
}
