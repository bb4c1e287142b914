//! What is remembered of flows between packets, in a table beside the engine's slab.

use net::Flow;

use crate::sensor::detect::{Detector, FlowMemory};
use crate::sensor::eve;
use crate::sensor::eve::fields::Fields;

/// What is remembered of a flow.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The flow it is about; slots are reused.
    flow: u64,
    /// The TLS or SSH session has its record.
    pub(super) session_done: bool,
    /// It is encrypted and let pass.
    pub(super) bypassed: bool,
    /// Transactions that rules keep out of the records.
    pub(super) unlogged: Vec<u64>,
    /// What detection remembers.
    pub(super) detection: FlowMemory,
}

/// Slots of the table that are made at once; a power of two.
const BLOCK: usize = 256;

/// What is remembered of all flows, by their slots.
#[derive(Debug, Default)]
pub(super) struct Memories {
    /// In blocks that stay where they are: to move all of them whenever there are more flows than ever
    /// before would cost more than to look for the block.
    blocks: Vec<Box<[Memory]>>,
}

impl Memories {
    /// What is remembered of a flow; nothing yet of a new one.
    #[inline(always)]
    pub(super) fn of(&mut self, flow: &Flow) -> &mut Memory {
        if self.get(flow).is_none() {
            self.begin(flow);
        }
        let slot = flow.slot();
        // The table is long enough now.
        &mut self.blocks[slot / BLOCK][slot % BLOCK]
    }

    /// What is remembered of a flow, if anything.
    #[inline(always)]
    pub(super) fn get(&self, flow: &Flow) -> Option<&Memory> {
        let memory = self.blocks.get(flow.slot() / BLOCK)?.get(flow.slot() % BLOCK)?;
        Some(memory).filter(|memory| memory.flow == flow.id().0)
    }

    #[inline(never)]
    fn begin(&mut self, flow: &Flow) {
        let slot = flow.slot();
        while slot / BLOCK >= self.blocks.len() {
            self.blocks.push((0..BLOCK).map(|_| Memory::default()).collect());
        }
        self.blocks[slot / BLOCK][slot % BLOCK] = Memory { flow: flow.id().0, ..Memory::default() };
    }

    /// Adds what rules have noted about a flow to a record.
    #[inline(always)]
    pub(super) fn note<F: Fields>(&self, flow: &Flow, detector: Option<&Detector>, record: &mut F) {
        if self.get(flow).is_some_and(|memory| memory.detection.has_bits()) {
            self.note_bits(flow, detector, record);
        }
    }

    #[inline(never)]
    fn note_bits<F: Fields>(&self, flow: &Flow, detector: Option<&Detector>, record: &mut F) {
        let mut noted = eve::Object::new();
        self.bits_into(flow, detector, &mut noted);
        for (key, value) in noted {
            record.value(&key, value);
        }
    }

    /// The same into an object that has some already.
    pub(super) fn bits_into(
        &self,
        flow: &Flow,
        detector: Option<&Detector>,
        into: &mut eve::Object,
    ) {
        if let (Some(memory), Some(detector)) = (self.get(flow), detector) {
            eve::noted(memory.detection.bits(detector.rules()), into);
        }
    }
}
