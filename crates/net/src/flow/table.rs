//! The flow table: hash index over a slab, timeouts on packet time, bounded in number.

use std::hash::BuildHasher as _;

use super::index::Index;
use super::slab::Slab;
use super::wheel::{Handle, Wheel};
use super::{Flow, FlowId, FlowKey, FlowState};

/// Seconds of silence after which a flow ends, by protocol and state.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// TCP before, within and after the connection.
    pub tcp: [i64; 3],
    /// UDP with one, with both sides seen.
    pub udp: [i64; 2],
    /// ICMP with one, with both sides seen.
    pub icmp: [i64; 2],
    /// Other protocols with one, with both sides seen.
    pub other: [i64; 2],
}

impl Default for Timeouts {
    fn default() -> Self {
        // A closed connection is told of soon, so that a scan is seen while it goes on.
        Self { tcp: [60, 600, 5], udp: [30, 300], icmp: [30, 300], other: [30, 300] }
    }
}

impl Timeouts {
    /// Seconds for a flow as it is now.
    #[must_use]
    pub fn of(&self, flow: &Flow) -> i64 {
        let [new, established] = match flow.proto() {
            6 => {
                let [new, established, closed] = self.tcp;
                return match flow.state() {
                    FlowState::New => new,
                    FlowState::Established => established,
                    FlowState::Closed => closed,
                };
            }
            17 => self.udp,
            1 | 58 => self.icmp,
            _ => self.other,
        };
        if flow.both_seen() { established } else { new }
    }
}

/// Why a new flow was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shed {
    /// The table is full.
    MaxFlows,
}

/// All flows of one worker.
#[derive(Debug)]
pub struct FlowTable {
    index: Index,
    slab: Slab,
    next_id: u64,
    hasher: foldhash::fast::RandomState,
    wheel: Wheel,
    timeouts: Timeouts,
    max: usize,
    /// Where the search for a flow to give up goes on.
    hand: u32,
}

/// Flows looked at to find one to give up: the work for one packet is bounded.
const LOOKED_AT: u32 = 16;
/// Seconds of silence after which a flow with one side seen, with both sides seen, may be given up for a
/// newer one. One that is over may be at once.
const GIVEN_UP: [i64; 2] = [1, 60];

impl FlowTable {
    /// An empty table for at most `max` flows. `first_id` keeps ids of several engines apart.
    #[must_use]
    pub fn new(max: usize, timeouts: Timeouts, first_id: u64) -> Self {
        Self {
            index: Index::default(),
            slab: Slab::default(),
            next_id: first_id,
            hasher: foldhash::fast::RandomState::default(),
            wheel: Wheel::new(),
            timeouts,
            max,
            hand: 0,
        }
    }

    /// Number of flows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// True without flows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.len() == 0
    }

    /// True when no further flow is taken in.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.index.len() >= self.max
    }

    /// Hash of a key, for [`Self::fetch`] and those that go on from it.
    pub(crate) fn hash(&self, key: &FlowKey) -> u32 {
        u32::try_from(self.hasher.hash_one(key) >> 32).unwrap_or(0)
    }

    /// Fetches the place of a hash in the index, for [`Self::likely`].
    pub(crate) fn fetch(&self, hash: u32) {
        self.index.fetch(hash);
    }

    /// The slot of what is likely to be the flow of a hash; fetches the flow.
    pub(crate) fn likely(&self, hash: u32) -> Option<u32> {
        let slot = self.index.find(hash, |_| true)?;
        self.slab.prefetch(slot);
        Some(slot)
    }

    /// The slot that the next new flow will have, as far as there is one free; fetches it.
    pub(crate) fn next_room(&self) -> Option<u32> {
        let slot = self.slab.next_free()?;
        self.slab.prefetch(slot);
        Some(slot)
    }

    /// Slot of the flow with this key.
    #[must_use]
    pub fn find(&self, key: &FlowKey) -> Option<u32> {
        self.find_hashed(key, self.hash(key))
    }

    /// The same with the key's hash.
    #[inline]
    pub(crate) fn find_hashed(&self, key: &FlowKey, hash: u32) -> Option<u32> {
        let is_it = |slot| self.slab.get(slot).is_some_and(|flow| flow.key() == *key);
        self.index.find(hash, is_it)
    }

    /// The flow in a slot.
    #[must_use]
    pub fn get(&self, slot: u32) -> Option<&Flow> {
        self.slab.get(slot)
    }

    /// The flow in a slot.
    pub fn get_mut(&mut self, slot: u32) -> Option<&mut Flow> {
        self.slab.get_mut(slot)
    }

    /// A new flow, whose first packet was seen at `ts`.
    ///
    /// # Errors
    /// [`Shed`] when the table is full.
    pub fn insert(&mut self, key: FlowKey, source_is_low: bool, ts: i64) -> Result<u32, Shed> {
        self.insert_hashed((key, self.hash(&key)), source_is_low, ts)
    }

    /// The same with the key's hash.
    ///
    /// # Errors
    /// As [`Self::insert`].
    pub(crate) fn insert_hashed(
        &mut self,
        (key, hash): (FlowKey, u32),
        source_is_low: bool,
        ts: i64,
    ) -> Result<u32, Shed> {
        if self.is_full() {
            return Err(Shed::MaxFlows);
        }
        let id = FlowId(self.next_id.wrapping_add(1));
        let make = |slot| Flow { slot, hash, ..Flow::new(key, source_is_low, id, ts) };
        let slot = self.slab.insert(make).ok_or(Shed::MaxFlows)?;
        self.next_id = id.0;
        self.index.insert(hash, slot);
        if let Some(flow) = self.slab.get(slot) {
            let deadline = self.deadline(flow);
            self.wheel.schedule(deadline, Handle { slot, generation: flow.generation() });
        }
        Ok(slot)
    }

    /// When the table is full: the flow that is of least use among some, by turns of the whole
    /// table. What is over goes first, then what only one side has spoken in, then what has been silent
    /// for long; `None` when all of those looked at are of more use than one that is just beginning.
    pub fn least_useful(&mut self, ts: i64) -> Option<u32> {
        let mut least: Option<(usize, i64, u32)> = None;
        for _ in 0..LOOKED_AT.min(self.slab.len()) {
            self.hand = if self.hand >= self.slab.len() { 0 } else { self.hand };
            let flow = self.slab.get(self.hand);
            self.hand = self.hand.saturating_add(1);
            let Some(flow) = flow else { continue };
            let both = usize::from(flow.both_seen() && flow.state() != FlowState::New);
            let over = flow.proto() == 6 && flow.state() == FlowState::Closed;
            let (rank, allowed) =
                if over { (0, 0) } else { (both.saturating_add(1), *GIVEN_UP.get(both)?) };
            let silence = ts.saturating_sub(flow.last);
            if silence < allowed.saturating_mul(1_000_000) {
                continue;
            }
            let this = (rank, flow.last, flow.slot);
            least = Some(least.map_or(this, |least| least.min(this)));
        }
        least.map(|(_, _, slot)| slot)
    }

    /// Forgets a flow; false when there is none in the slot.
    pub fn remove(&mut self, slot: u32) -> bool {
        let Some(flow) = self.slab.get(slot) else { return false };
        self.index.remove(flow.hash, slot);
        self.slab.remove(slot);
        true
    }

    /// True when a flow has been silent for too long at `ts` (microseconds).
    #[must_use]
    pub fn is_timed_out(&self, flow: &Flow, ts: i64) -> bool {
        let silence = ts.saturating_sub(flow.last);
        silence > self.timeouts.of(flow).saturating_mul(1_000_000)
    }

    /// A flow that has timed out at `ts`, which is to be removed; looks at no more than `budget` timers,
    /// which it counts down.
    #[inline]
    pub fn expired(&mut self, ts: i64, budget: &mut u32) -> Option<u32> {
        let now = ts.div_euclid(1_000_000);
        if self.wheel.is_done(now) { None } else { self.turn(now, budget) }
    }

    fn turn(&mut self, now: i64, budget: &mut u32) -> Option<u32> {
        while *budget > 0 {
            let handle = self.wheel.poll(now)?;
            *budget = budget.saturating_sub(1);
            if let Some(later) = self.wheel.ahead(2) {
                self.slab.prefetch(later.slot);
            }
            let flow = self.slab.get(handle.slot);
            let Some(flow) = flow.filter(|flow| flow.generation() == handle.generation) else {
                continue;
            };
            let deadline = self.deadline(flow);
            if deadline <= now {
                return Some(handle.slot);
            }
            self.wheel.schedule(deadline, handle);
        }
        None
    }

    /// The slot whose timer is looked at next.
    pub(crate) fn next_timer(&self) -> Option<u32> {
        self.wheel.ahead(0).map(|handle| handle.slot)
    }

    /// The flow of the highest slot, which is to be removed: for shutdown.
    pub fn last(&mut self) -> Option<u32> {
        self.slab.last()
    }

    /// First second at which the flow is silent for too long.
    fn deadline(&self, flow: &Flow) -> i64 {
        let silent_at = flow.last.div_euclid(1_000_000).saturating_add(self.timeouts.of(flow));
        silent_at.saturating_add(1)
    }
}
