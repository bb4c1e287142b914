//! The most frequent values of a group and sample identities of its events.
//!
//! Space-saving with eight counters (Metwally et al. 2005): the least frequent gives way to a new
//! value and leaves it its count, so that a count is at most too high.

use serde::{Deserialize, Serialize};

/// Counters held.
const COUNTERS: usize = 8;
/// Sample identities held: the first and the latest.
const SAMPLES: usize = 8;
/// Longest value kept, bytes.
const MAX_VALUE: usize = 128;

/// Frequent values and samples.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Top {
    counts: Vec<(Box<str>, u64)>,
    samples: Vec<Box<str>>,
}

/// A text cut to `most` bytes at a character.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or_default()
}

impl Top {
    /// Counts one value.
    pub(crate) fn add(&mut self, value: &str) {
        let value = cut(value, MAX_VALUE);
        if let Some((_, count)) = self.counts.iter_mut().find(|(known, _)| **known == *value) {
            *count = count.saturating_add(1);
        } else if self.counts.len() < COUNTERS {
            self.counts.push((value.into(), 1));
        } else if let Some(least) = self.counts.iter_mut().min_by_key(|(_, count)| *count) {
            *least = (value.into(), least.1.saturating_add(1));
        }
    }

    /// Keeps the identity of an event: the first one and the latest seven.
    pub(crate) fn sample(&mut self, id: &str) {
        if self.samples.len() >= SAMPLES {
            self.samples.remove(1);
        }
        self.samples.push(cut(id, MAX_VALUE).into());
    }

    /// The values, most frequent first.
    pub(crate) fn values(&self) -> Vec<(String, u64)> {
        let mut out: Vec<_> = self.counts.iter().map(|(v, n)| (v.to_string(), *n)).collect();
        out.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        out
    }

    /// The identities.
    pub(crate) fn samples(&self) -> Vec<String> {
        self.samples.iter().map(|id| id.to_string()).collect()
    }

    /// Approximate size, bytes.
    pub(crate) fn bytes(&self) -> usize {
        let counts: usize =
            self.counts.iter().map(|(v, _)| v.len() + size_of::<(Box<str>, u64)>()).sum();
        let samples: usize = self.samples.iter().map(|id| id.len() + size_of::<Box<str>>()).sum();
        counts.saturating_add(samples)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frequent_survive_the_many() {
        let mut top = Top::default();
        for n in 0..1_000 {
            top.add("often");
            top.add(&format!("rare {n}"));
        }
        assert_eq!(top.values()[0].0, "often");
        assert!(top.values()[0].1 >= 1_000);
        top.add(&"\u{e9}".repeat(1_000));
        assert!(top.bytes() < 4_000);
    }

    #[test]
    fn samples_are_the_first_and_the_latest() {
        let mut top = Top::default();
        (0..100).for_each(|n| top.sample(&n.to_string()));
        assert_eq!(top.samples(), ["0", "93", "94", "95", "96", "97", "98", "99"]);
    }
}
