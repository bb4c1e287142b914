//! Reassembly: the result depends on the bytes, not on how they were cut and shuffled.

use proptest::prelude::*;

use super::*;

/// Feeds segments (offset, bytes) in order; what comes out, gaps as `<n>`.
fn run(base: u32, segments: &[(u64, Vec<u8>)], limits: Limits) -> (Vec<u8>, Anomalies, Budget) {
    let mut half = Half::default();
    half.start(base);
    let mut budget = Budget { used: 0, cap: 1 << 20 };
    let mut wrong = Anomalies::default();
    let mut out = Vec::new();
    let mut at = 0;
    let mut sink = |chunk: Chunk<'_>| match chunk.content {
        Content::Data(bytes) => {
            assert_eq!(chunk.offset, at, "chunks follow one another");
            at += bytes.len() as u64;
            out.extend_from_slice(bytes);
        }
        Content::Gap(n) => {
            at += n;
            out.extend(format!("<{n}>").bytes());
        }
    };
    for (offset, data) in segments {
        let seq = base.wrapping_add(u32::try_from(*offset).unwrap());
        let segment = Segment { dir: Direction::ToServer, seq, data };
        let mut env = Env {
            limits,
            budget: &mut budget,
            wrong: &mut wrong,
            policy: OsPolicy::Bsd,
            hold: false,
        };
        half.segment(segment, &mut env, &mut sink);
    }
    let mut env =
        Env { limits, budget: &mut budget, wrong: &mut wrong, policy: OsPolicy::Bsd, hold: false };
    half.finish(Direction::ToServer, &mut env, &mut sink);
    (out, wrong, budget)
}

fn pieces(list: &[(u64, &str)]) -> Vec<(u64, Vec<u8>)> {
    list.iter().map(|(at, text)| (*at, text.as_bytes().to_vec())).collect()
}

fn check(list: &[(u64, &str)], expected: &str) -> Anomalies {
    let (out, wrong, budget) = run(u32::MAX - 3, &pieces(list), Limits::default());
    assert_eq!(String::from_utf8_lossy(&out), expected);
    assert_eq!(budget.used, 0, "all memory was given back");
    wrong
}

#[test]
fn order_does_not_matter() {
    check(&[(0, "abc"), (3, "def")], "abcdef");
    check(&[(3, "def"), (0, "abc")], "abcdef");
    check(&[(6, "g"), (3, "def"), (0, "abc")], "abcdefg");
}

#[test]
fn retransmissions_are_left_out() {
    let wrong = check(&[(0, "abc"), (0, "abc"), (1, "bcd")], "abcd");
    assert!(wrong.contains(DecoderEvent::StreamPktRetransmission));
    assert!(!wrong.contains(DecoderEvent::StreamReassemblyOverlapDifferentData));
}

#[test]
fn an_earlier_beginning_wins_on_the_system_assumed() {
    let wrong = check(&[(2, "cd"), (0, "abXY"), (4, "e")], "abXYe");
    assert!(wrong.contains(DecoderEvent::StreamReassemblyOverlapDifferentData));
}

#[test]
fn each_system_keeps_its_bytes_until_they_are_acknowledged() {
    let deliver = |policy: OsPolicy, list: &[(u64, &str)]| {
        let (mut half, mut wrong) = (Half::default(), Anomalies::default());
        half.start(1);
        let mut budget = Budget { used: 0, cap: 1 << 20 };
        let mut out = String::new();
        let dir = Direction::ToServer;
        let mut sink = |chunk: Chunk<'_>| {
            if let Content::Data(bytes) = chunk.content {
                out.push_str(&String::from_utf8_lossy(bytes));
            }
        };
        let limits = Limits::default();
        let hold = policy.prefers_copies();
        let mut env = Env { limits, budget: &mut budget, wrong: &mut wrong, policy, hold };
        for (at, text) in list {
            let seq = 1 + u32::try_from(*at).unwrap();
            half.segment(Segment { dir, seq, data: text.as_bytes() }, &mut env, &mut sink);
        }
        half.acknowledge(dir, 1 + 4, &mut env, &mut sink);
        half.finish(dir, &mut env, &mut sink);
        assert_eq!(budget.used, 0, "{policy:?}: all memory was given back");
        out
    };
    let copies = [(0, "good"), (0, "evil"), (4, "end")];
    for (policy, expected) in [
        (OsPolicy::Bsd, "goodend"),
        (OsPolicy::Linux, "goodend"),
        (OsPolicy::Vista, "goodend"),
        (OsPolicy::OldLinux, "evilend"),
        (OsPolicy::Solaris, "evilend"),
        (OsPolicy::Last, "evilend"),
    ] {
        assert_eq!(deliver(policy, &copies), expected, "{policy:?}");
    }
    let early = [(2, "OLD"), (1, "new"), (0, "a")];
    assert_eq!(deliver(OsPolicy::Windows, &early), "anewD");
    assert_eq!(deliver(OsPolicy::First, &early), "anOLD");
}

#[test]
fn what_was_seen_first_wins() {
    let wrong = check(&[(2, "cd"), (2, "XYe"), (0, "ab")], "abcde");
    assert!(wrong.contains(DecoderEvent::StreamReassemblyOverlapDifferentData));
    let wrong = check(&[(3, "def"), (4, "XXg"), (0, "abc")], "abcdefg");
    assert!(wrong.contains(DecoderEvent::StreamReassemblyOverlapDifferentData));
}

#[test]
fn gaps_are_told() {
    let wrong = check(&[(0, "ab"), (5, "fg")], "ab<3>fg");
    assert!(wrong.contains(DecoderEvent::StreamReassemblySeqGap));
}

#[test]
fn an_acknowledgement_declares_a_gap() {
    let mut half = Half::default();
    half.start(100);
    let (mut budget, mut wrong) = (Budget { used: 0, cap: 1000 }, Anomalies::default());
    let mut env = Env {
        limits: Limits::default(),
        budget: &mut budget,
        wrong: &mut wrong,
        policy: OsPolicy::Bsd,
        hold: false,
    };
    let mut out = String::new();
    let mut sink = |chunk: Chunk<'_>| out.push_str(&format!("{:?} ", chunk.content));
    let dir = Direction::ToServer;
    half.segment(Segment { dir, seq: 105, data: b"xy" }, &mut env, &mut sink);
    half.acknowledge(dir, 104, &mut env, &mut sink);
    half.acknowledge(dir, 107, &mut env, &mut sink);
    assert_eq!(out, "Gap(5) Data([120, 121]) ");
}

#[test]
fn the_depth_ends_delivery() {
    let limits = Limits { depth: 4, waiting: 1000 };
    let (out, wrong, _) = run(0, &pieces(&[(0, "abc"), (3, "def"), (6, "ghi")]), limits);
    assert_eq!(out, b"abcd");
    assert!(wrong.contains(DecoderEvent::StreamReassemblyDepthReached));
    let unlimited = Limits { depth: 0, waiting: 1000 };
    assert_eq!(run(0, &pieces(&[(0, "abc"), (3, "def")]), unlimited).0, b"abcdef");
}

#[test]
fn early_segments_wait_only_so_long() {
    let limits = Limits { depth: 0, waiting: 10 };
    let flood: Vec<_> = (0..100u64).map(|n| (10 + n * 7, vec![b'x'; 6])).collect();
    let (out, _, budget) = run(0, &flood, limits);
    assert!(out.starts_with(b"<10>xxxxxx<1>"));
    assert_eq!(budget.used, 0);
}

#[test]
fn the_memory_cap_is_kept_and_counted() {
    let mut half = Half::default();
    half.start(0);
    let (mut budget, mut wrong) =
        (Budget { used: 0, cap: 2 * (4 + PIECE_OVERHEAD) }, Anomalies::default());
    let mut env = Env {
        limits: Limits::default(),
        budget: &mut budget,
        wrong: &mut wrong,
        policy: OsPolicy::Bsd,
        hold: false,
    };
    let mut shed = 0;
    for n in 1..10 {
        let segment = Segment { dir: Direction::ToClient, seq: n * 10, data: b"abcd" };
        shed += u32::from(half.segment(segment, &mut env, &mut |_| {}).shed);
    }
    assert_eq!(half.waiting_bytes(), 2 * (4 + PIECE_OVERHEAD));
    assert_eq!(shed, 7);
}

proptest! {
    /// However a stream is cut, shuffled and repeated, the same bytes come out.
    #[test]
    fn reassembly_is_independent_of_segmentation(
        data in proptest::collection::vec(any::<u8>(), 1..400),
        cuts in proptest::collection::vec((0usize..400, 1usize..60), 0..40),
        base in any::<u32>(),
        seed in any::<u64>(),
    ) {
        let mut segments: Vec<(u64, Vec<u8>)> = data
            .chunks(37)
            .enumerate()
            .map(|(n, piece)| (n as u64 * 37, piece.to_vec()))
            .collect();
        for (from, len) in cuts {
            let from = from % data.len();
            let end = (from + len).min(data.len());
            segments.push((from as u64, data[from..end].to_vec()));
        }
        let order = crate::testing::noise(seed, segments.len());
        let mut shuffled: Vec<_> = order.into_iter().zip(segments).collect();
        shuffled.sort_by_key(|(key, _)| *key);
        let segments: Vec<_> = shuffled.into_iter().map(|(_, segment)| segment).collect();
        let (out, wrong, budget) = run(base, &segments, Limits::default());
        prop_assert_eq!(out, data);
        prop_assert!(!wrong.contains(DecoderEvent::StreamReassemblyOverlapDifferentData));
        prop_assert_eq!(budget.used, 0);
    }
}
