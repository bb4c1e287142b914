//! A sum over a sliding window: twelve buckets of a twelfth of it each.
//!
//! The sum covers between eleven and twelve twelfths of the window.

use serde::{Deserialize, Serialize};

/// Buckets per window.
pub(crate) const BUCKETS: i64 = 12;

/// Sums by bucket; the newest bucket is `head`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ring {
    head: i64,
    sums: [f64; 12],
}

impl Default for Ring {
    /// Empty, before any time.
    fn default() -> Self {
        Self { head: i64::MIN, sums: Default::default() }
    }
}

/// Microseconds of one bucket of a window of `timespan`.
fn width(timespan: i64) -> i64 {
    (timespan / BUCKETS).max(1)
}

impl Ring {
    /// Moves the window so that it ends at `time`; never back.
    pub(crate) fn advance(&mut self, time: i64, timespan: i64) {
        let bucket = time.div_euclid(width(timespan));
        let steps = bucket.saturating_sub(self.head);
        if steps <= 0 {
            return;
        }
        for step in 1..=steps.min(BUCKETS) {
            // Only the last twelve can still hold something.
            let passed = bucket.saturating_sub(step.saturating_sub(1));
            if let Some(slot) = self.slot(passed) {
                *slot = 0.0;
            }
        }
        self.head = bucket;
    }

    /// Adds to the bucket of `time`; what is older than the window is left out.
    pub(crate) fn add(&mut self, time: i64, timespan: i64, amount: f64) {
        self.advance(time, timespan);
        let bucket = time.div_euclid(width(timespan));
        if self.head.saturating_sub(bucket) < BUCKETS
            && let Some(slot) = self.slot(bucket)
        {
            *slot += amount;
        }
    }

    fn slot(&mut self, bucket: i64) -> Option<&mut f64> {
        let at = usize::try_from(bucket.rem_euclid(BUCKETS)).ok()?;
        self.sums.get_mut(at)
    }

    /// The sum over the window.
    pub(crate) fn total(&self) -> f64 {
        self.sums.iter().sum()
    }

    /// Empties it; any time may follow.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn slides() {
        let mut ring = Ring::default();
        let mut seen = Vec::new();
        for time in [0, 5, 11, 12, 23, 24, 100, 99, 50] {
            ring.add(time, 12, 1.0);
            seen.push(ring.total());
        }
        // 12 leaves 0 behind, 23 leaves 11, 100 leaves all; 99 is in the window, 50 is not.
        assert_eq!(seen, [1.0, 2.0, 3.0, 3.0, 2.0, 2.0, 1.0, 2.0, 2.0]);
    }

    proptest! {
        #[test]
        fn is_the_naive_sum(times in prop::collection::vec(0_i64..400, 1..80)) {
            let mut ring = Ring::default();
            let mut kept = Vec::new();
            let mut head = 0;
            for time in times {
                head = head.max(time / 10);
                ring.add(time, 120, 1.0);
                if head - time / 10 < BUCKETS { kept.push(time / 10); }
                kept.retain(|bucket| head - bucket < BUCKETS);
                prop_assert_eq!(ring.total(), kept.len() as f64);
            }
        }

        #[test]
        fn any_time_is_survived(times in prop::collection::vec(any::<i64>(), 1..20)) {
            let mut ring = Ring::default();
            for time in times { ring.add(time, 1_000, 1.0); }
            prop_assert!(ring.total() >= 0.0);
        }
    }
}
