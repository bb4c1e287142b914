//! Reassembly against what it must come to: however a stream is cut, ordered, repeated and
//! acknowledged, its bytes come out at their places, once, and nothing that came is called a gap.

use crate::decode::{Anomalies, DecoderEvent};
use crate::policy::OsPolicy;
use crate::stream::{Budget, Chunk, Content, Env, Half, Limits, Outcome, Segment};

/// Longest stream.
const LENGTH: usize = 2048;
/// Memory of all that waits: enough for anything of that length, so that nothing is shed.
const MEMORY: usize = 1 << 20;

/// What has come and what was given out.
struct Expected {
    stream: Vec<u8>,
    came: Vec<bool>,
    /// Offset up to which chunks were given out.
    given: u64,
    gaps: u32,
}

impl Expected {
    fn new(base: u32) -> Self {
        // Bytes that say where they stand, so that a wrong place shows.
        let stream =
            (0..LENGTH).map(|at| (at ^ (at >> 8)).to_le_bytes()[0] ^ base.to_le_bytes()[0]);
        Self { stream: stream.collect(), came: vec![false; LENGTH], given: 0, gaps: 0 }
    }

    fn chunk(&mut self, chunk: Chunk<'_>) {
        assert_eq!(chunk.offset, self.given, "chunks follow one another");
        let start = usize::try_from(self.given).unwrap_or(usize::MAX);
        let count = match chunk.content {
            Content::Data(bytes) => bytes.len(),
            Content::Gap(count) => usize::try_from(count).unwrap_or(usize::MAX),
        };
        let place = start..start.saturating_add(count);
        let came = self.came.get(place.clone()).unwrap_or_default();
        match chunk.content {
            Content::Data(bytes) => {
                assert_eq!(self.stream.get(place), Some(bytes), "the stream's own bytes");
                assert!(came.iter().all(|came| *came), "bytes that came");
            }
            Content::Gap(_) => {
                self.gaps = self.gaps.saturating_add(1);
                assert!(!came.iter().any(|came| *came), "no gap over what came");
            }
        }
        self.given = self.given.saturating_add(u64::try_from(count).unwrap_or(0));
    }

    /// Length of the stretch from the beginning that has come as a whole.
    fn whole(&self) -> u64 {
        u64::try_from(self.came.iter().take_while(|came| **came).count()).unwrap_or(0)
    }
}

/// The receiver's systems: the default, one that keeps what came first, one that takes what comes last.
const POLICIES: [OsPolicy; 4] = [OsPolicy::Bsd, OsPolicy::First, OsPolicy::Last, OsPolicy::Linux];

/// A byte for policy and holding back, one for the first sequence number; then four bytes for each
/// segment: place, length, and whether what follows is an acknowledgement.
///
/// # Panics
/// When bytes come out that are not the stream's.
pub fn fuzz_stream(data: &[u8]) {
    let Some(([kind, base], rest)) = data.split_first_chunk::<2>() else { return };
    // Near the end of the sequence space as well as at its beginning.
    let base = if *kind & 8 == 0 { u32::from(*base) } else { u32::MAX ^ u32::from(*base) };
    let policy = POLICIES.get(usize::from(*kind & 3)).copied().unwrap_or_default();
    let hold = *kind & 4 != 0;
    let (mut half, mut expected) = (Half::default(), Expected::new(base));
    let (mut budget, mut wrong) = (Budget { used: 0, cap: MEMORY }, Anomalies::default());
    half.start(base);
    let dir = crate::Direction::ToServer;
    for piece in rest.chunks_exact(4) {
        let [low, high, length, ack] = <[u8; 4]>::try_from(piece).unwrap_or_default();
        let at = usize::from(u16::from_le_bytes([low, high])) % LENGTH;
        let end = at.saturating_add(usize::from(length)).min(LENGTH);
        let seq = base.wrapping_add(u32::try_from(at).unwrap_or(0));
        let mut env =
            Env { limits: Limits::default(), budget: &mut budget, wrong: &mut wrong, policy, hold };
        let outcome = if ack & 1 == 0 {
            expected.came.get_mut(at..end).unwrap_or_default().fill(true);
            let data = expected.stream.get(at..end).unwrap_or_default().to_vec();
            let segment = Segment { dir, seq, data: &data };
            half.segment(segment, &mut env, &mut |chunk| expected.chunk(chunk))
        } else {
            half.acknowledge(dir, seq, &mut env, &mut |chunk| expected.chunk(chunk))
        };
        assert!(!outcome.shed && !outcome.depth_reached, "there is room: {outcome:?}");
        if !hold {
            assert!(expected.given >= expected.whole(), "what is in order is given out");
        }
    }
    let mut env =
        Env { limits: Limits::default(), budget: &mut budget, wrong: &mut wrong, policy, hold };
    let Outcome { shed, .. } = half.finish(dir, &mut env, &mut |chunk| expected.chunk(chunk));
    assert!(!shed && expected.given >= expected.whole(), "all that came is given out");
    assert_eq!(budget.used, 0, "memory is given back");
    let differs = DecoderEvent::StreamReassemblyOverlapDifferentData;
    assert!(!wrong.contains(differs), "copies never differ");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_cut_gives_the_same_bytes() {
        for seed in 0..2_000 {
            fuzz_stream(&crate::testing::noise(seed, 200));
        }
    }
}
