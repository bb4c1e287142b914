//! Which segments are merged.
//!
//! While a partition is written to ([`WhileWritten`]) what comes second by second is written again until it is
//! of some size; what comes in bulk never, as that costs a quarter of indexing and a search pays for a segment
//! with some microseconds. When it is quiet ([`when_quiet`]) its segments are made few and large: each keeps
//! six files open. Both bound the documents of a merge, and with them its memory.

use tantivy::index::{SegmentId, SegmentMeta};
use tantivy::merge_policy::{MergeCandidate, MergePolicy};

/// Segments of one level that are merged.
const FAN_IN: usize = 16;
/// Levels end at these documents; of the last, segments are merged until there are [`ENOUGH`] documents.
const LEVELS: [u32; 3] = [32, 512, 8_192];
/// Documents of a segment from which on it is left as it is while its partition is written to.
const LARGE: u32 = 50_000;
/// Documents of a merge of the last level from which on no segment is added.
const ENOUGH: u32 = 100_000;
/// Most documents of a merge in a quiet partition.
const QUIET: u32 = 1_000_000;
/// Fewest segments of a merge in a quiet partition, so that a late event does not have a million written again.
const QUIET_LEAST: usize = 4;

/// The policy for a partition that is written to.
#[derive(Clone, Copy, Debug)]
pub(in crate::store::index) struct WhileWritten;

impl MergePolicy for WhileWritten {
    fn compute_merge_candidates(&self, segments: &[SegmentMeta]) -> Vec<MergeCandidate> {
        let sizes: Vec<u32> = segments.iter().map(SegmentMeta::num_docs).collect();
        let ids = |group: Vec<usize>| {
            MergeCandidate(group.iter().filter_map(|at| Some(segments.get(*at)?.id())).collect())
        };
        while_written(&sizes).into_iter().map(ids).collect()
    }
}

/// Groups to merge of segments of these sizes.
fn while_written(sizes: &[u32]) -> Vec<Vec<usize>> {
    let mut levels: [Vec<usize>; LEVELS.len()] = Default::default();
    let mut last = Vec::new();
    for (at, size) in sizes.iter().enumerate().filter(|(_, size)| **size < LARGE) {
        match LEVELS.iter().zip(&mut levels).find(|(end, _)| size < end) {
            Some((_, level)) => level.push(at),
            None => last.push(at),
        }
    }
    let mut out: Vec<Vec<usize>> = Vec::new();
    for level in levels {
        out.extend(level.chunks_exact(FAN_IN).map(<[usize]>::to_vec));
    }
    let (mut group, mut sum) = (Vec::new(), 0_u32);
    for at in last {
        group.push(at);
        sum = sum.saturating_add(sizes.get(at).copied().unwrap_or(0));
        if sum >= ENOUGH {
            out.push(std::mem::take(&mut group));
            sum = 0;
        }
    }
    out
}

/// Segments of a quiet partition to merge into one, smallest first; none when they are few enough.
pub(in crate::store::index) fn when_quiet(segments: &[SegmentMeta]) -> Vec<SegmentId> {
    let sizes: Vec<u32> = segments.iter().map(SegmentMeta::num_docs).collect();
    let group = quiet(&sizes);
    group.iter().filter_map(|at| Some(segments.get(*at)?.id())).collect()
}

fn quiet(sizes: &[u32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|at| sizes.get(*at));
    let (mut group, mut sum) = (Vec::new(), 0_u32);
    for at in order {
        sum = sum.saturating_add(sizes.get(at).copied().unwrap_or(0));
        if sum > QUIET {
            break;
        }
        group.push(at);
    }
    if group.len() < QUIET_LEAST { Vec::new() } else { group }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(sizes: &mut Vec<u32>, groups: &[Vec<usize>]) -> u64 {
        let of = |group: &Vec<usize>| group.iter().map(|at| sizes[*at]).sum::<u32>();
        let made: Vec<u32> = groups.iter().map(of).collect();
        let gone: Vec<usize> = groups.iter().flatten().copied().collect();
        let mut at = 0;
        sizes.retain(|_| {
            at += 1;
            !gone.contains(&(at - 1))
        });
        sizes.extend(&made);
        made.iter().map(|size| u64::from(*size)).sum()
    }

    /// Segments of `size` documents come one after the other; gives the most small ones there are at a time and
    /// how often a document was written.
    fn fill(size: u32, count: u32) -> (usize, u64) {
        let (mut sizes, mut most, mut written) = (Vec::new(), 0, 0);
        for _ in 0..count {
            sizes.push(size);
            written += u64::from(size);
            loop {
                let groups = while_written(&sizes);
                if groups.is_empty() {
                    break;
                }
                written += merged(&mut sizes, &groups);
            }
            most = most.max(sizes.iter().filter(|size| **size < LARGE).count());
        }
        (most, written / (u64::from(size) * u64::from(count)))
    }

    #[test]
    fn segments_stay_few_and_documents_are_written_few_times() {
        for (size, count) in [(1, 100_000), (40, 20_000), (2_000, 5_000), (20_000, 500)] {
            let (most, written) = fill(size, count);
            assert!(
                most <= FAN_IN * (LEVELS.len() + 1) && written <= 4,
                "{size}: {most} {written}"
            );
        }
        assert_eq!(fill(LARGE, 100), (0, 1));
    }

    #[test]
    fn a_merge_is_bounded() {
        let sizes: Vec<u32> = (0..2_000).map(|n| n * 7_919 % 70_000).collect();
        for group in while_written(&sizes) {
            assert!(group.len() > 1);
            assert!(group.iter().map(|at| sizes[*at]).sum::<u32>() < ENOUGH + LARGE);
        }
    }

    #[test]
    fn a_quiet_partition_ends_with_few_segments() {
        for (size, count, left) in [(130_000, 77, 11), (2, 60, 1), (900, 3, 3), (999_999, 20, 20)] {
            let mut sizes = vec![size; count];
            let mut merges = 0;
            loop {
                let group = quiet(&sizes);
                if group.is_empty() {
                    break;
                }
                let docs = merged(&mut sizes, &[group]);
                assert!(docs <= u64::from(QUIET));
                merges += 1;
            }
            assert_eq!(sizes.len(), left, "{size}: {merges}");
        }
        // A late event alone changes nothing.
        assert!(quiet(&[1, 900_000]).is_empty());
    }
}
