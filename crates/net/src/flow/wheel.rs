//! A coarse timer wheel on packet time: slots of one second, entries that may be stale.
//!
//! Entries are never removed early; whoever takes one out looks up whether the flow still exists
//! and when it really ends, and schedules again if that is later. So touching a flow costs nothing.

/// One turn in seconds; longer timeouts go around again.
const SLOTS: i64 = 1024;

/// Slot index and generation of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handle {
    pub(super) slot: u32,
    pub(super) generation: u32,
}

#[derive(Debug)]
pub(super) struct Wheel {
    slots: Vec<Vec<Handle>>,
    /// Second that is being emptied.
    at: Option<i64>,
    /// That second is empty, and nothing is added to it.
    empty: bool,
}

impl Wheel {
    pub(super) fn new() -> Self {
        let slots = (0..SLOTS).map(|_| Vec::new()).collect();
        Self { slots, at: None, empty: false }
    }

    pub(super) fn schedule(&mut self, second: i64, handle: Handle) {
        let at = self.at.unwrap_or(second);
        let second = second.clamp(at.saturating_add(1), at.saturating_add(SLOTS.saturating_sub(1)));
        if let Some(slot) = self.slot_mut(second) {
            slot.push(handle);
        }
    }

    /// Nothing is due at `now` (a second), nor will be in it.
    #[inline]
    pub(super) fn is_done(&self, now: i64) -> bool {
        self.empty && self.at == Some(now)
    }

    /// The next entry that is due at `now` (a second), in time order.
    pub(super) fn poll(&mut self, now: i64) -> Option<Handle> {
        let Some(mut at) = self.at else {
            self.at = Some(now);
            return None;
        };
        // The clock may step back: waiting for it to catch up would stop every timer until then.
        // After a leap in time every slot is due once; more turns would find nothing new.
        at = at.clamp(now.saturating_sub(SLOTS), now);
        loop {
            self.at = Some(at);
            self.empty = false;
            if let Some(handle) = self.slot_mut(at).and_then(Vec::pop) {
                return Some(handle);
            }
            if at >= now {
                self.empty = true;
                return None;
            }
            at = at.saturating_add(1);
        }
    }

    /// The entry that will come out after `n` others, if it is due in the same second.
    pub(super) fn ahead(&self, n: usize) -> Option<Handle> {
        let slot = self.slots.get(usize::try_from(self.at?.rem_euclid(SLOTS)).ok()?)?;
        slot.iter().rev().nth(n).copied()
    }

    fn slot_mut(&mut self, second: i64) -> Option<&mut Vec<Handle>> {
        self.slots.get_mut(usize::try_from(second.rem_euclid(SLOTS)).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle(slot: u32) -> Handle {
        Handle { slot, generation: 0 }
    }

    #[test]
    fn entries_come_out_when_due() {
        let mut wheel = Wheel::new();
        assert_eq!(wheel.poll(100), None);
        wheel.schedule(105, handle(1));
        wheel.schedule(103, handle(2));
        assert_eq!(wheel.poll(102), None);
        assert_eq!(wheel.poll(104), Some(handle(2)));
        assert_eq!(wheel.poll(104), None);
        assert_eq!(wheel.poll(500_000), Some(handle(1)), "a leap in time loses nothing");
        assert_eq!(wheel.poll(500_000), None);
    }

    #[test]
    fn far_away_goes_around_again() {
        let mut wheel = Wheel::new();
        wheel.poll(0);
        wheel.schedule(1_000_000, handle(7));
        assert_eq!(wheel.poll(SLOTS), Some(handle(7)), "early: the taker schedules it again");
    }
}
