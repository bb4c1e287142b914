//! Which sequences of which source are stored: a watermark and a bounded set of ranges above it.
//!
//! The state of a source grows only while its sequences arrive with holes. When there are more
//! than [`MAX_RANGES`] ranges the lowest hole is declared lost and counted. Sources and boots are
//! bounded too; the one that was quiet the longest is forgotten and counted.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use event::{AgentId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::store::SourceKey;

/// Most separate ranges above the watermark of one source.
pub const MAX_RANGES: usize = 1024;
/// Most boots remembered of one agent.
pub const MAX_BOOTS: usize = 64;
/// Most agents remembered.
pub const MAX_AGENTS: usize = 100_000;

/// What is stored of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// All sequences up to here are stored or declared lost.
    watermark: u64,
    /// First to last of each stored range above.
    ranges: BTreeMap<u64, u64>,
    /// When it was last marked, in marks.
    touched: u64,
}

impl Seen {
    /// The parts of `first..=last` that are stored already, ascending.
    #[must_use]
    pub fn overlap(&self, first: u64, last: u64) -> Vec<RangeInclusive<u64>> {
        let mut found = Vec::new();
        if first <= self.watermark {
            found.push(first..=last.min(self.watermark));
        }
        for (&from, &to) in self.ranges.range(..=last) {
            if to >= first {
                found.push(from.max(first)..=to.min(last));
            }
        }
        found
    }

    /// Marks `first..=last` as stored; gives the number of sequences declared lost for it.
    pub fn mark(&mut self, first: u64, last: u64) -> u64 {
        if last <= self.watermark || first > last {
            return 0;
        }
        let (mut from, mut to) = (first, last);
        // Swallow every range that overlaps or touches.
        let reach = to.saturating_add(1);
        let near: Vec<(u64, u64)> = self
            .ranges
            .range(..=reach)
            .rev()
            .take_while(|(_, end)| end.saturating_add(1) >= from)
            .map(|(start, end)| (*start, *end))
            .collect();
        for (start, end) in near {
            self.ranges.remove(&start);
            from = from.min(start);
            to = to.max(end);
        }
        self.ranges.insert(from, to);
        let mut lost = 0;
        self.advance();
        while self.ranges.len() > MAX_RANGES {
            if let Some((&start, _)) = self.ranges.first_key_value() {
                lost += start.saturating_sub(self.watermark).saturating_sub(1);
                self.watermark = start.saturating_sub(1);
            }
            self.advance();
        }
        lost
    }

    fn advance(&mut self) {
        while let Some((&start, &end)) = self.ranges.first_key_value() {
            if start > self.watermark.saturating_add(1) {
                break;
            }
            self.watermark = self.watermark.max(end);
            self.ranges.remove(&start);
        }
    }
}

/// The state of all sources.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Dedup {
    agents: BTreeMap<AgentId, BTreeMap<u64, Seen>>,
    marks: u64,
    /// Sequences declared lost.
    #[serde(default)]
    pub gaps_closed: u64,
    /// When the batch was received for which the last of them was.
    #[serde(default)]
    pub gaps_until: Option<Timestamp>,
    /// Sources forgotten.
    #[serde(default)]
    pub evicted: u64,
}

impl Dedup {
    /// The parts of a range that are stored already.
    #[must_use]
    pub fn overlap(&self, source: &SourceKey, first: u64, last: u64) -> Vec<RangeInclusive<u64>> {
        self.agents
            .get(&source.agent)
            .and_then(|boots| boots.get(&source.boot))
            .map_or_else(Vec::new, |seen| seen.overlap(first, last))
    }

    /// Marks a range as stored, which was received at a time.
    pub fn mark(&mut self, source: &SourceKey, (first, last): (u64, u64), received: Timestamp) {
        self.marks = self.marks.saturating_add(1);
        if !self.agents.contains_key(&source.agent) && self.agents.len() >= MAX_AGENTS {
            self.evict_agent();
        }
        let boots = self.agents.entry(source.agent.clone()).or_default();
        if !boots.contains_key(&source.boot) && boots.len() >= MAX_BOOTS {
            let oldest = boots.iter().min_by_key(|(_, seen)| seen.touched).map(|(boot, _)| *boot);
            if let Some(boot) = oldest {
                boots.remove(&boot);
                self.evicted = self.evicted.saturating_add(1);
            }
        }
        let seen = boots.entry(source.boot).or_default();
        seen.touched = self.marks;
        let lost = seen.mark(first, last);
        self.gaps_closed = self.gaps_closed.saturating_add(lost);
        if lost > 0 {
            self.gaps_until = self.gaps_until.max(Some(received));
        }
    }

    fn evict_agent(&mut self) {
        let newest = |boots: &BTreeMap<u64, Seen>| boots.values().map(|s| s.touched).max();
        let oldest = self.agents.iter().min_by_key(|(_, boots)| newest(boots));
        if let Some(agent) = oldest.map(|(agent, _)| agent.clone())
            && let Some(boots) = self.agents.remove(&agent)
        {
            self.evicted = self.evicted.saturating_add(boots.len() as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn source(boot: u64) -> SourceKey {
        SourceKey { agent: AgentId::new("a").unwrap(), boot }
    }

    #[test]
    fn gaps_are_bounded_and_counted() {
        let mut seen = Seen::default();
        let mut lost = 0;
        for n in 0..3000_u64 {
            lost += seen.mark(n * 2 + 2, n * 2 + 2);
        }
        assert!(seen.ranges.len() <= MAX_RANGES);
        assert_eq!(lost, 3000 - MAX_RANGES as u64);
    }

    #[test]
    fn boots_are_bounded_and_the_quiet_one_goes() {
        let mut dedup = Dedup::default();
        for boot in 0..MAX_BOOTS as u64 {
            dedup.mark(&source(boot), (1, 5), Timestamp::EPOCH);
        }
        dedup.mark(&source(0), (6, 6), Timestamp::EPOCH);
        dedup.mark(&source(999), (1, 1), Timestamp::EPOCH);
        assert_eq!(dedup.evicted, 1);
        assert_eq!(dedup.overlap(&source(0), 1, 6), [1..=6]);
        assert!(dedup.overlap(&source(1), 1, 5).is_empty());
    }

    /// What was lost happened before it was declared so, and that is all that is known of its time.
    #[test]
    fn gaps_have_the_time_at_which_the_last_was_declared_lost() {
        let mut dedup = Dedup::default();
        let holes = MAX_RANGES as u64 + 2;
        for n in 0..holes {
            let received = Timestamp::from_seconds(i64::try_from(n).unwrap());
            dedup.mark(&source(1), (n * 2 + 2, n * 2 + 2), received);
        }
        dedup.mark(&source(2), (1, 1), Timestamp::from_seconds(1_000_000));
        let last = i64::try_from(holes).unwrap() - 1;
        assert_eq!((dedup.gaps_closed, dedup.gaps_until), (2, Some(Timestamp::from_seconds(last))));
    }

    #[test]
    fn extremes() {
        let mut seen = Seen::default();
        seen.mark(u64::MAX, u64::MAX);
        seen.mark(0, u64::MAX - 1);
        assert_eq!(seen.overlap(0, u64::MAX), [0..=u64::MAX]);
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_set(
            marks in proptest::collection::vec((1_u64..60, 0_u64..8), 0..40),
            first in 1_u64..60, more in 0_u64..20,
        ) {
            let (mut seen, mut set) = (Seen::default(), BTreeSet::new());
            for (from, width) in marks {
                seen.mark(from, from + width);
                set.extend(from..=from + width);
                // Marking twice changes nothing.
                let before = seen.clone();
                seen.mark(from, from + width);
                prop_assert_eq!(&before, &seen);
            }
            let found: BTreeSet<u64> =
                seen.overlap(first, first + more).into_iter().flatten().collect();
            let expected: BTreeSet<u64> = set.range(first..=first + more).copied().collect();
            prop_assert_eq!(found, expected);
        }
    }
}
