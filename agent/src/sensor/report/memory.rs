//! What is remembered of flows beside the engine's slab: by the same slot numbers.
//!
//! Grows in pieces that stay where they are: one long array would be there twice while it grows.

use net::Flow;

use super::FlowMemory;

/// Flows of a piece, a power of two.
const PIECE: usize = 1024;

/// Most transactions of a flow that are remembered as kept out of the records.
const MAX_UNLOGGED: usize = 1_024;

/// What is remembered of a flow.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The flow it is about; slots are reused.
    flow: u64,
    /// The TLS or SSH session has its record.
    pub(super) session_done: bool,
    /// It is encrypted and let pass.
    pub(super) bypassed: bool,
    /// Transactions that rules keep out of the records; few flows have one.
    pub(super) unlogged: Option<Box<Unlogged>>,
    /// What detection remembers.
    pub(super) detection: FlowMemory,
}

impl Memory {
    /// For another flow.
    #[inline(never)]
    fn begin(&mut self, flow: u64) {
        *self = Self { flow, ..Self::default() };
    }

    /// True when rules keep a transaction out of the records.
    pub(super) fn is_unlogged(&self, tx: u64) -> bool {
        self.unlogged.as_ref().is_some_and(|unlogged| unlogged.0.contains(&tx))
    }
}

/// Transactions that rules keep out of the records.
#[derive(Debug, Default)]
pub(super) struct Unlogged(Vec<u64>);

impl Unlogged {
    /// One more; of too many the oldest goes.
    pub(super) fn add(&mut self, tx: u64) {
        if self.0.len() >= MAX_UNLOGGED {
            self.0.remove(0);
        }
        self.0.push(tx);
    }
}

/// What is remembered of all flows.
#[derive(Debug, Default)]
pub(super) struct Memories {
    pieces: Vec<Vec<Memory>>,
}

/// Piece and place in it.
fn split(flow: &Flow) -> (usize, usize) {
    (flow.slot() >> PIECE.trailing_zeros(), flow.slot() % PIECE)
}

impl Memories {
    /// What is remembered of a flow that there is something of.
    pub(super) fn get(&self, flow: &Flow) -> Option<&Memory> {
        let (piece, at) = split(flow);
        self.pieces.get(piece)?.get(at).filter(|memory| memory.flow == flow.id().0)
    }

    /// What is remembered of a flow; nothing yet, when it is new.
    #[inline]
    pub(super) fn of(&mut self, flow: &Flow) -> &mut Memory {
        let (piece, at) = split(flow);
        if piece >= self.pieces.len() {
            self.grow(piece);
        }
        // There are pieces up to this one, and all of them are whole.
        let memory = &mut self.pieces[piece][at];
        if memory.flow != flow.id().0 {
            memory.begin(flow.id().0);
        }
        memory
    }

    /// Has what is remembered of the flow in a slot in the processor's cache.
    #[inline]
    pub(super) fn fetch(&self, slot: usize) {
        let piece = self.pieces.get(slot >> PIECE.trailing_zeros());
        if let Some(memory) = piece.and_then(|piece| piece.get(slot % PIECE)) {
            net::prefetch::prefetch(memory);
        }
    }

    #[cold]
    fn grow(&mut self, piece: usize) {
        let whole = || {
            let mut piece = Vec::new();
            piece.resize_with(PIECE, Memory::default);
            piece
        };
        self.pieces.resize_with(piece.saturating_add(1), whole);
    }
}
