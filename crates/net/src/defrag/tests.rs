//! Datagrams from fragments: orders, overlaps, holes, limits.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::decode::DecodeOptions;
use crate::policy::{HostPolicies, OsPolicy};
use crate::testing::{Log, ipv4_piece, ipv6, ipv6_piece, meta, noise};
use crate::{Config, Engine, LinkType, Meta};

const OPTIONS: DecodeOptions = DecodeOptions { checksums: false, offloaded: true };

/// A fragment by place, "more" flag and bytes.
type Piece<'a> = (u16, bool, &'a [u8]);

struct Run {
    defrag: Defrag,
    ts: i64,
}

impl Run {
    fn new(limits: Limits) -> Self {
        Self { defrag: Defrag::new(limits, HostPolicies::default()), ts: 0 }
    }

    /// Takes in a raw packet: the datagram it completes, and what is wrong with it.
    fn give(&mut self, packet: &[u8]) -> (Option<Vec<u8>>, String) {
        let meta = Meta { link: LinkType::Raw, ..meta(self.ts, packet.len()) };
        let mut packet = Packet::decode(meta, packet, OPTIONS);
        let datagram = self.defrag.push(&mut packet);
        let names: Vec<_> = packet.anomalies.iter().map(DecoderEvent::name).collect();
        (datagram.map(|whole| whole.bytes), names.join(" "))
    }

    fn v4(&mut self, id: u16, (offset, more, bytes): Piece<'_>) -> (Option<Vec<u8>>, String) {
        self.give(&ipv4_piece(17, &[], (id, offset, more), bytes))
    }

    fn v6(&mut self, id: u32, (offset, more, bytes): Piece<'_>) -> (Option<Vec<u8>>, String) {
        self.give(&ipv6(44, &ipv6_piece(17, (id, offset, more), bytes)))
    }
}

/// Payload of the datagram that both versions of IP make of the pieces, and all anomalies.
fn check(pieces: &[Piece<'_>], expected: &Expect) {
    let mut lines = Vec::new();
    for version in [4, 6] {
        let (mut run, mut wrong, mut whole) = (Run::new(Limits::default()), Vec::new(), None);
        run.defrag.hosts.add("0.0.0.0/0", OsPolicy::First);
        run.defrag.hosts.add("::/0", OsPolicy::First);
        for piece in pieces {
            let (datagram, names) =
                if version == 4 { run.v4(1, *piece) } else { run.v6(1, *piece) };
            wrong.push(names.replace(&format!("decoder.ipv{version}."), ""));
            whole = whole.or(datagram);
        }
        let header = if version == 4 { 20 } else { 40 };
        let payload = whole.map(|d| String::from_utf8_lossy(&d[header..]).into_owned());
        lines.push(format!("{payload:?} {}", wrong.join(",")));
    }
    assert_eq!(lines[0], lines[1], "both versions do the same");
    expected.assert_eq(&lines[0]);
}

#[test]
fn pieces_make_a_whole_in_every_order() {
    let pieces: [Piece<'_>; 3] =
        [(0, true, b"abcdefgh"), (8, true, b"ijklmnop"), (16, false, b"qrs")];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        check(&order.map(|n| pieces[n]), &expect![[r#"Some("abcdefghijklmnopqrs") ,,"#]]);
    }
}

#[test]
fn what_is_missing_keeps_it_waiting() {
    check(&[(0, true, b"abcdefgh"), (16, false, b"qrs")], &expect![[r#"None ,"#]]);
    check(&[(8, true, b"ijklmnop"), (16, false, b"qrs")], &expect![[r#"None ,"#]]);
    check(&[(0, true, b"abcdefgh"), (8, true, b"ijklmnop")], &expect![[r#"None ,"#]]);
}

#[test]
fn what_was_seen_first_wins_and_overlaps_are_named() {
    let last: Piece<'_> = (16, false, b"end");
    // The same again; the same place with other bytes.
    check(
        &[(0, true, b"abcdefgh"), (0, true, b"abcdefgh"), (8, true, b"ijklmnop"), last],
        &expect![[r#"Some("abcdefghijklmnopend") ,frag_overlap,,"#]],
    );
    check(
        &[(0, true, b"abcdefgh"), (0, true, b"ABCDEFGH"), (8, true, b"ijklmnop"), last],
        &expect![[r#"Some("abcdefghijklmnopend") ,frag_overlap,,"#]],
    );
    // From before, from behind, around, within.
    check(
        &[(8, true, b"ijklmnop"), (0, true, b"ABCDEFGHIJKLMNOP"), last],
        &expect![[r#"Some("ABCDEFGHijklmnopend") ,frag_overlap,"#]],
    );
    check(
        &[(0, true, b"abcdefghijklmnop"), (8, true, b"IJKLMNOPQRSTUVWX"), (24, false, b"!")],
        &expect![[r#"Some("abcdefghijklmnopQRSTUVWX!") ,frag_overlap,"#]],
    );
    check(
        &[(8, true, b"ijklmnop"), (0, true, b"ABCDEFGHIJKLMNOPQRSTUVWX"), (24, false, b"!")],
        &expect![[r#"Some("ABCDEFGHijklmnopQRSTUVWX!") ,frag_overlap,"#]],
    );
    check(
        &[(0, true, b"abcdefghijklmnop"), (8, true, b"IJKLMNOP"), last],
        &expect![[r#"Some("abcdefghijklmnopend") ,frag_overlap,"#]],
    );
}

#[test]
fn an_end_is_an_end() {
    // Two ends: the first one seen counts, whichever side of it the other lies.
    check(
        &[(8, false, b"end"), (8, false, b"END!!"), (0, true, b"abcdefgh")],
        &expect![[r#"Some("abcdefghend") ,frag_overlap,"#]],
    );
    check(&[(16, false, b"END"), (8, false, b"end"), (0, true, b"abcdefgh")], &expect!["None ,,"]);
    // Bytes after the end are left out.
    check(
        &[(8, false, b"end"), (16, true, b"qrstuvwx"), (0, true, b"abcdefgh")],
        &expect![[r#"Some("abcdefghend") ,,"#]],
    );
}

#[test]
fn impossible_fragments_are_refused() {
    let mut run = Run::new(Limits::default());
    let refused = |(datagram, names): (Option<Vec<u8>>, String)| {
        assert_eq!(datagram, None);
        names
    };
    assert_eq!(refused(run.v4(1, (8, false, b""))), "decoder.ipv4.frag_ignored");
    assert_eq!(refused(run.v6(1, (8, false, b""))), "decoder.ipv6.frag_ignored");
    // RFC 8200 section 4.5: all but the last in units of 8.
    let both = "decoder.ipv6.frag_ignored decoder.ipv6.frag_invalid_length";
    assert_eq!(refused(run.v6(1, (0, true, b"abc"))), both);
    // An IPv4 datagram is at most 65,535 bytes long with its header, IPv6's payload without.
    let (fits, over) = ([0; 65_515 - 65_512], [0; 65_516 - 65_512]);
    assert_eq!(refused(run.v4(2, (65_512, false, &fits))), "");
    assert_eq!(refused(run.v4(3, (65_512, false, &over))), "decoder.ipv4.frag_pkt_too_large");
    assert_eq!(refused(run.v6(2, (65_528, false, &[0; 7]))), "");
    assert_eq!(refused(run.v6(3, (65_528, false, &[0; 8]))), "decoder.ipv6.frag_pkt_too_large");
    assert_eq!(run.defrag.stats().fragments, 7, "each was counted");
}

#[test]
fn the_longest_datagram_keeps_every_byte() {
    let payload = noise(5, 65_515);
    let mut run = Run::new(Limits::default());
    let mut whole = None;
    for (n, piece) in payload.chunks(1480).enumerate() {
        let place = u16::try_from(n * 1480).unwrap();
        let more = usize::from(place) + piece.len() < payload.len();
        let (datagram, _) = run.v4(7, (place, more, piece));
        whole = whole.or(datagram);
    }
    let whole = whole.unwrap();
    assert_eq!((whole.len(), &whole[2..4], &whole[6..8]), (65_535, &[255, 255][..], &[0, 0][..]));
    let meta = Meta { link: LinkType::Raw, ..meta(0, whole.len()) };
    let packet = Packet::decode(meta, &whole, OPTIONS);
    assert_eq!((packet.bytes.len(), packet.fragment), (65_535, None));
    assert_eq!(&packet.bytes[20..], payload);
}

#[test]
fn datagrams_of_different_hosts_ids_protocols_and_networks_are_apart() {
    let mut run = Run::new(Limits::default());
    let halves = |proto: u8, id: u16, place: u16| {
        let (more, body) = if place == 0 { (true, b"abcdefgh") } else { (false, b"ijklmnop") };
        ipv4_piece(proto, &[], (id, place, more), body)
    };
    let mut other_host = halves(17, 1, 8);
    other_host[15] = 99;
    for packet in [halves(17, 1, 0), halves(6, 1, 8), halves(17, 2, 8), other_host] {
        assert_eq!(run.give(&packet).0, None);
    }
    let tagged = crate::testing::vlan(5, 0x0800, &halves(17, 1, 8));
    let frame = crate::testing::ether(0x8100, &tagged);
    let mut packet = Packet::decode(meta(0, frame.len()), &frame, OPTIONS);
    assert!(run.defrag.push(&mut packet).is_none());
    assert!(run.give(&halves(17, 1, 8)).0.is_some());
}

#[test]
fn options_of_the_first_fragment_are_those_of_the_whole() {
    let mut run = Run::new(Limits::default());
    // The copied option stands in both (RFC 791 section 3.1); the later header does not count.
    assert_eq!(run.give(&ipv4_piece(17, &[], (1, 8, false), b"end")).0, None);
    let first = ipv4_piece(17, &[148, 4, 0, 0], (1, 0, true), b"abcdefgh");
    let whole = run.give(&first).0.unwrap();
    assert_eq!((whole[0], &whole[20..24]), (0x46, &[148, 4, 0, 0][..]));
    assert_eq!((&whole[2..4], &whole[24..]), (&[0, 35][..], &b"abcdefghend"[..]));
}

#[test]
fn silence_gives_a_datagram_up_after_the_timeout_and_not_before() {
    for (seconds, completes) in [(60, true), (61, false)] {
        let mut run = Run::new(Limits::default());
        run.v4(1, (0, true, b"abcdefgh"));
        run.ts = seconds * 1_000_000;
        assert_eq!(run.v4(1, (8, false, b"end")).0.is_some(), completes, "{seconds} s");
        let expected = Stats {
            fragments: 2,
            reassembled: u64::from(completes),
            timeouts: u64::from(!completes),
            ..Stats::default()
        };
        assert_eq!(run.defrag.stats(), expected);
    }
}

#[test]
fn a_clock_that_goes_back_gives_nothing_up() {
    let mut run = Run::new(Limits::default());
    run.ts = 1_000_000_000;
    run.v4(1, (0, true, b"abcdefgh"));
    run.ts = i64::MIN;
    assert!(run.v4(1, (8, false, b"end")).0.is_some());
    assert_eq!(run.defrag.stats().timeouts, 0);
}

#[test]
fn the_oldest_datagram_makes_room() {
    // Room for three pieces of eight bytes with their headers.
    let limits = Limits { memory: 3 * (8 + 20 + PIECE_OVERHEAD), ..Limits::default() };
    let mut run = Run::new(limits);
    for id in 1..=4 {
        run.v4(id, (0, true, b"abcdefgh"));
    }
    assert_eq!(run.defrag.stats().shed, 1);
    assert!(run.v4(1, (8, false, b"end")).0.is_none(), "the first was given up");
    assert!(run.v4(4, (8, false, b"end")).0.is_some(), "the newest was not");
    assert!(run.defrag.memory <= limits.memory);
}

#[test]
fn equal_times_do_not_make_the_ages_grow() {
    let mut run = Run::new(Limits { datagrams: 10, ..Limits::default() });
    run.v4(1, (0, true, b"abcdefgh"));
    for _ in 0..500 {
        // One key, begun and completed again and again in the same microsecond.
        run.v4(2, (0, true, b"abcdefgh"));
        assert!(run.v4(2, (8, false, b"end")).0.is_some());
        assert!(run.defrag.ages.len() <= 21, "{}", run.defrag.ages.len());
    }
    assert!(run.v4(1, (8, false, b"end")).0.is_some(), "the waiting one was not given up");
    assert_eq!((run.defrag.stats().shed, run.defrag.memory), (0, 0));
}

#[test]
fn a_fragment_inside_a_reassembled_datagram_is_not_joined_again() {
    let config = Config { decode: OPTIONS, ..Config::default() };
    let (mut engine, mut log) = (Engine::new(config, 0), Log::default());
    let mut give = |packet: &[u8]| {
        let meta = Meta { link: LinkType::Raw, ..meta(0, packet.len()) };
        engine.packet(meta, packet, &mut log);
    };
    // The heads of many datagrams, each within the one before; their tails are there already.
    let levels = 2000u32;
    for id in 0..levels {
        give(&ipv6(44, &ipv6_piece(44, (id, 32_000, false), b"tail")));
    }
    let heads: Vec<u8> = (0..levels).flat_map(|id| ipv6_piece(44, (id, 0, true), b"")).collect();
    let filler = vec![0; 32_008 - heads.len()];
    give(&ipv6(44, &[heads, filler].concat()));
    assert_eq!(engine.stats().defrag.reassembled, 1);
    assert!(log.text.contains("decoder.ipv6.exthdr_dupl_fh"), "{}", log.text);
}

proptest! {
    /// However a datagram is cut and shuffled, the same bytes come out, once.
    #[test]
    fn reassembly_is_independent_of_fragmentation_and_order(
        units in 2usize..40,
        tail in 1usize..=8,
        cuts in proptest::collection::btree_set(1usize..40, 1..12),
        extra in proptest::collection::vec((0usize..40, 1usize..10), 0..6),
        seed in any::<u64>(),
        is_v4 in any::<bool>(),
    ) {
        let data = noise(seed, units * 8 + tail);
        let mut places: Vec<usize> = cuts.into_iter().filter(|c| *c <= units).collect();
        if places.is_empty() {
            places.push(1);
        }
        places.insert(0, 0);
        let mut pieces: Vec<(usize, usize)> = places
            .iter()
            .enumerate()
            .map(|(n, from)| (from * 8, places.get(n + 1).map_or(data.len(), |to| to * 8)))
            .collect();
        // Retransmitted and overlapping fragments with the same bytes.
        for (from, count) in extra {
            let from = from.min(units);
            pieces.push((from * 8, ((from + count) * 8).min(data.len())));
        }
        let keys = noise(seed ^ 1, pieces.len());
        let mut order: Vec<_> = keys.into_iter().zip(pieces).collect();
        order.sort_unstable();
        let mut run = Run::new(Limits::default());
        let mut whole = None;
        for (_, (from, to)) in &order {
            let piece = (u16::try_from(*from).unwrap(), *to < data.len(), &data[*from..*to]);
            let datagram = if is_v4 { run.v4(9, piece).0 } else { run.v6(9, piece).0 };
            whole = whole.or(datagram);
        }
        let header = if is_v4 { 20 } else { 40 };
        prop_assert_eq!(whole.map(|d| d[header..].to_vec()), Some(data));
        prop_assert!(run.defrag.stats().reassembled >= 1);
    }

    /// Whatever comes, the limits hold and what is kept is what is counted.
    #[test]
    fn limits_hold_under_any_input(
        pieces in proptest::collection::vec((0u16..6, 0u16..20, any::<bool>(), 1usize..60, 0i64..30), 1..200),
    ) {
        let limits = Limits { memory: 1000, datagrams: 4, timeout: 60, vlan: true };
        let mut run = Run::new(limits);
        for (id, place, more, length, step) in pieces {
            run.ts += step * 1_000_000;
            run.v4(id, (place * 8, more, &vec![b'x'; length]));
            let kept: usize = run.defrag.table.values().map(|d| d.bytes).sum();
            prop_assert_eq!(kept, run.defrag.memory);
            // One piece may fill holes around others: each part is a piece of its own.
            prop_assert!(run.defrag.memory <= limits.memory + 20 + 8 * PIECE_OVERHEAD);
            prop_assert!(run.defrag.table.len() <= limits.datagrams);
        }
        let stats = run.defrag.stats();
        let gone = stats.reassembled + stats.timeouts + stats.shed;
        prop_assert!(gone + u64::try_from(run.defrag.table.len()).unwrap() <= stats.fragments);
    }
}
