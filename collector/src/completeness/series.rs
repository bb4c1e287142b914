//! Counts over time, to the minute, bounded: what was counted between two moments, older ones coarser.
//!
//! Not here: what is counted ([`super::history`]).

use std::collections::BTreeMap;

use event::Timestamp;
use serde::{Deserialize, Serialize};

/// Minutes are told apart for so long, minutes; then hours.
const FINE: u32 = 6 * 60;
/// Hours are told apart for so long, minutes; then days.
const COARSE: u32 = 31 * DAY;
/// What is older is forgotten, minutes.
const KEEP: u32 = 400 * DAY;
/// Most spans of one series.
pub(super) const MAX_SPANS: usize = 2_048;
const HOUR: u32 = 60;
const DAY: u32 = 24 * HOUR;
const MICROS: i64 = 60_000_000;

/// The minute of a time, counted from the epoch.
pub(super) fn minute(time: Timestamp) -> u32 {
    u32::try_from(time.micros().div_euclid(MICROS).max(0)).unwrap_or(u32::MAX)
}

/// When a minute begins.
pub(super) fn begins(minute: u32) -> Timestamp {
    Timestamp::from_micros(i64::from(minute).saturating_mul(MICROS))
}

/// What of a series belongs to some minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// What lies wholly within.
    pub(super) within: u64,
    /// What reaches into it and may have happened outside.
    pub(super) reaching: u64,
    /// First and last minute of both.
    pub(super) span: Option<(u32, u32)>,
}

/// Counts by first and last minute in which they happened; spans may overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(u32, u32, u64)>", into = "Vec<(u32, u32, u64)>")]
pub(super) struct Series(BTreeMap<(u32, u32), u64>);

impl From<Vec<(u32, u32, u64)>> for Series {
    fn from(list: Vec<(u32, u32, u64)>) -> Self {
        let mut series = Self::default();
        list.into_iter().for_each(|(first, last, count)| series.add((first, last), count));
        series
    }
}

impl From<Series> for Vec<(u32, u32, u64)> {
    fn from(series: Series) -> Self {
        series.0.into_iter().map(|((first, last), count)| (first, last, count)).collect()
    }
}

impl Series {
    /// Counts what happened in these minutes, both inclusive.
    pub(super) fn add(&mut self, (first, last): (u32, u32), count: u64) {
        if count > 0 {
            let slot = self.0.entry((first.min(last), last)).or_default();
            *slot = slot.saturating_add(count);
        }
    }

    /// What happened from one minute to another, both inclusive.
    pub(super) fn found(&self, (low, high): (u32, u32)) -> Found {
        let mut out = Found::default();
        let touching = self.0.iter().filter(|((first, last), _)| *first <= high && *last >= low);
        for ((first, last), count) in touching {
            let slot =
                if *first >= low && *last <= high { &mut out.within } else { &mut out.reaching };
            *slot = slot.saturating_add(*count);
            let (from, to) = out.span.unwrap_or((*first, *last));
            out.span = Some((from.min(*first), to.max(*last)));
        }
        out
    }

    /// Makes what is old coarser, and so coarse that there is room.
    pub(super) fn thin(&mut self, now: u32) {
        let width = |last: u32| match now.saturating_sub(last) {
            age if age > COARSE => DAY,
            age if age > FINE => HOUR,
            _ => 1,
        };
        self.coarser(|_, last| width(last));
        self.0.retain(|(_, last), _| now.saturating_sub(*last) <= KEEP);
        let mut least = HOUR;
        while self.0.len() > MAX_SPANS {
            // The newer half stays as fine as it is for as long as that is enough.
            let middle = self.0.keys().nth(self.0.len() / 2).map_or(0, |(first, _)| *first);
            self.coarser(|first, last| width(last).max(if first < middle { least } else { 1 }));
            least = least.saturating_mul(2);
        }
    }

    fn coarser(&mut self, width: impl Fn(u32, u32) -> u32) {
        for ((first, last), count) in std::mem::take(&mut self.0) {
            let width = width(first, last).max(1);
            let begins = first - first % width;
            let ends = (last - last % width).saturating_add(width - 1);
            self.add((begins, ends), count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn old_counts_become_coarser_and_are_forgotten_last() {
        let now = 1_000 * DAY;
        let mut series = Series::default();
        for age in [0, 5, FINE - 1, FINE + 90, COARSE - 1, COARSE + 90, KEEP + 2 * DAY] {
            series.add((now - age, now - age), 1);
        }
        series.thin(now);
        let spans: Vec<(u32, u32, u64)> = series.clone().into();
        let shown: Vec<(u32, u32, u64)> =
            spans.iter().map(|(first, last, count)| (now - first, last - first, *count)).collect();
        assert_eq!(
            shown,
            [
                (COARSE + DAY, DAY - 1, 1),
                (COARSE, HOUR - 1, 1),
                (480, HOUR - 1, 1),
                (FINE - 1, 0, 1),
                (5, 0, 1),
                (0, 0, 1)
            ]
        );
        let text = serde_json::to_string(&series).unwrap();
        assert_eq!(serde_json::from_str::<Series>(&text).unwrap(), series);
    }

    proptest! {
        /// Windows that no span reaches over give, added up, the whole; others at least that.
        #[test]
        fn disjoint_windows_add_up(
            counts in prop::collection::vec((0..60 * DAY, 0..200_u32, 1..100_u64), 0..3_000),
            mut cuts in prop::collection::vec(0..62 * DAY, 0..12),
        ) {
            let now = 61 * DAY;
            let mut series = Series::default();
            let mut whole = 0;
            for (first, length, count) in counts {
                series.add((first, first + length), count);
                whole += count;
            }
            series.thin(now);
            prop_assert!(series.0.len() <= MAX_SPANS);
            let all = series.found((0, u32::MAX));
            prop_assert_eq!((all.within, all.reaching), (whole, 0), "nothing is lost by thinning");
            cuts.extend([0, 63 * DAY]);
            cuts.sort_unstable();
            cuts.dedup();
            let windows: Vec<Found> =
                cuts.windows(2).map(|pair| series.found((pair[0], pair[1] - 1))).collect();
            let within: u64 = windows.iter().map(|one| one.within).sum();
            let reaching: u64 = windows.iter().map(|one| one.reaching).sum();
            let over = |border: &u32| {
                let border = *border;
                series.0.iter().filter(move |((a, b), _)| *a < border && *b >= border)
            };
            let straddling: BTreeMap<_, _> = cuts.iter().flat_map(over).collect();
            prop_assert_eq!(within + straddling.values().copied().sum::<u64>(), whole);
            prop_assert!(within + reaching >= whole, "rather too much than too little");
        }
    }
}
