//! The loss ledger: what each hop saw and what became of it.
//!
//! For every hop `seen = processed + shed(reasons) + dropped`. The difference is the residue; one
//! that is not zero is a defect of the product or an attack on it, and alarms.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A place where things can be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hop {
    /// Kernel to packet worker, packets.
    Capture,
    /// Packet worker to events, packets.
    Sensor,
    /// Log inputs to events, lines.
    Logs,
    /// Events to the spool, events.
    Outbox,
    /// Spool to collector, events.
    Link,
    /// Collector's intake to its log, events.
    Intake,
    /// Collector's log to its index, events.
    Index,
}

/// Counters of one hop since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Arrived at this hop.
    pub seen: u64,
    /// Went on to the next hop or was fully used here.
    pub processed: u64,
    /// Given up on purpose, by reason.
    #[serde(default)]
    pub shed: BTreeMap<String, u64>,
    /// Lost before this hop could act, as the kernel or peer counts it (part of `seen`).
    #[serde(default)]
    pub dropped: u64,
    /// Still inside this hop.
    #[serde(default)]
    pub pending: u64,
}

impl Ledger {
    /// Counts `count` as given up for `reason`.
    pub fn shed(&mut self, reason: &str, count: u64) {
        if count > 0 {
            let slot = self.shed.entry(reason.to_owned()).or_default();
            *slot = slot.saturating_add(count);
        }
    }

    /// Total given up on purpose.
    #[must_use]
    pub fn shed_total(&self) -> u64 {
        self.shed.values().fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// What is unaccounted for: positive when things vanished, negative when they were counted twice.
    #[must_use]
    pub fn residue(&self) -> i128 {
        i128::from(self.seen)
            - i128::from(self.processed)
            - i128::from(self.shed_total())
            - i128::from(self.dropped)
            - i128::from(self.pending)
    }

    /// Adds the counters of another part of the same hop.
    pub fn merge(&mut self, other: &Self) {
        self.seen = self.seen.saturating_add(other.seen);
        self.processed = self.processed.saturating_add(other.processed);
        self.dropped = self.dropped.saturating_add(other.dropped);
        self.pending = self.pending.saturating_add(other.pending);
        for (reason, count) in &other.shed {
            self.shed(reason, *count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn residue_is_what_nobody_accounts_for() {
        let mut ledger = Ledger { seen: 10, processed: 6, dropped: 1, ..Ledger::default() };
        assert_eq!(ledger.residue(), 3);
        ledger.shed("queue_full", 2);
        ledger.pending = 1;
        assert_eq!(ledger.residue(), 0);
        ledger.processed += 1;
        assert_eq!(ledger.residue(), -1);
    }

    #[test]
    fn residue_at_the_bounds() {
        let most = Ledger { seen: u64::MAX, ..Ledger::default() };
        let least =
            Ledger { processed: u64::MAX, dropped: u64::MAX, pending: 1, ..Ledger::default() };
        assert!(
            most.residue() > 0 && least.residue() < 0,
            "{} {}",
            most.residue(),
            least.residue()
        );
        let even = Ledger { seen: u64::MAX, processed: u64::MAX, ..Ledger::default() };
        assert_eq!(even.residue(), 0);
        let mut shed = Ledger::default();
        shed.shed("a", u64::MAX);
        shed.shed("a", 1);
        shed.shed("b", 1);
        assert_eq!((shed.shed["a"], shed.shed_total()), (u64::MAX, u64::MAX));
    }

    proptest::proptest! {
        /// Whatever way hops are merged, the account is that of all of them.
        #[test]
        fn merging_keeps_the_account(
            parts in proptest::collection::vec((0..1_000_u64, 0..1_000_u64, 0..1_000_u64, 0..1_000_u64, "[ab]"), 0..8),
        ) {
            let ledgers: Vec<Ledger> = parts
                .iter()
                .map(|(seen, processed, dropped, shed, reason)| {
                    let mut one = Ledger { seen: *seen, processed: *processed, dropped: *dropped, ..Ledger::default() };
                    one.shed(reason, *shed);
                    one
                })
                .collect();
            let mut forward = Ledger::default();
            ledgers.iter().for_each(|one| forward.merge(one));
            let mut backward = Ledger::default();
            ledgers.iter().rev().for_each(|one| backward.merge(one));
            proptest::prop_assert_eq!(&forward, &backward);
            let residues: i64 = ledgers.iter().map(|one| i64::try_from(one.residue()).unwrap()).sum();
            proptest::prop_assert_eq!(i64::try_from(forward.residue()).unwrap(), residues);
        }
    }

    #[test]
    fn merge_adds_by_reason() {
        let mut left = Ledger { seen: 1, ..Ledger::default() };
        left.shed("a", 1);
        let mut right = Ledger { seen: 2, processed: u64::MAX, ..Ledger::default() };
        right.shed("a", 1);
        right.shed("b", 0);
        left.merge(&right);
        left.merge(&right);
        assert_eq!((left.seen, left.processed, left.shed_total()), (5, u64::MAX, 3));
        assert_eq!(left.shed.keys().collect::<Vec<_>>(), ["a"]);
    }
}
