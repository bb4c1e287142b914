//! The shared tables: how many entries they hold, which go first when they are full, that each loss is counted,
//! and that workers do not lose each other's counts.

use std::net::Ipv4Addr;

use super::*;
use crate::tests::packet;

const EVERY: Threshold =
    Threshold { kind: ThresholdKind::Limit, by: CountBy::Src, count: 1, seconds: 60, unique: None };

fn host(n: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(n))
}

fn hit(tables: &Tables, n: u32, second: u64) -> Ruling {
    let packet = PacketView { time: second * SECOND, ..packet(b"") };
    tables.threshold(&EVERY, (1, 1), &packet, (host(n), host(0)))
}

fn entries(tables: &Tables) -> u64 {
    tables.counts.iter().map(|shard| shard.lock().unwrap().len() as u64).sum()
}

#[test]
fn what_goes_out_of_a_full_table_is_counted() {
    let tables = Tables::default();
    let all = 300_000;
    for n in 0..all {
        assert_eq!(hit(&tables, n, u64::from(n / 10_000)), Ruling::Show, "host {n} is new");
    }
    assert!(entries(&tables) <= (SHARDS * MAX_ENTRIES) as u64);
    assert_eq!(entries(&tables) + tables.evicted(), u64::from(all));
    assert!(tables.evicted() > 0);
    // Those that end last stay.
    assert_eq!(hit(&tables, all - 1, 29), Ruling::Silent);
    // What was thrown out counts anew.
    assert_eq!(hit(&tables, 0, 29), Ruling::Show);
}

#[test]
fn entries_that_are_over_make_room_without_loss() {
    let tables = Tables::default();
    for n in 0..200_000 {
        hit(&tables, n, 0);
    }
    let before = tables.evicted();
    assert_eq!(before, 0, "it fits");
    for n in 200_000..400_000 {
        hit(&tables, n, 1_000);
    }
    assert_eq!(tables.evicted(), 0, "only windows that had ended made room");
    assert_eq!(hit(&tables, 399_999, 1_000), Ruling::Silent);
}

#[test]
fn bits_are_bounded_too() {
    let tables = Tables::default();
    let set = |n: u32, expire: u32| {
        let packet = PacketView { src: host(n), time: SECOND, ..packet(b"") };
        tables.change_bit(0, Track::Src, BitOp::Set, &packet, expire);
    };
    let has = |n: u32| {
        let packet = PacketView { src: host(n), time: SECOND, ..packet(b"") };
        tables.has_bit(0, Track::Src, &packet)
    };
    for n in 0..150_000 {
        set(n, 9_000);
    }
    for n in 150_000..350_000 {
        set(n, 5);
    }
    let here = (0..350_000).filter(|n| has(*n)).count() as u64;
    assert!(here <= (SHARDS * MAX_ENTRIES) as u64);
    assert_eq!(here + tables.evicted(), 350_000);
    assert!((0..150_000).filter(|n| has(*n)).count() > 140_000, "what lasts longer stays longer");
}

#[test]
fn workers_share_one_count() {
    let tables = Tables::default();
    let third = Threshold {
        kind: ThresholdKind::Threshold,
        by: CountBy::Rule,
        count: 3,
        seconds: 60,
        unique: None,
    };
    let shown: usize = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let packet = packet(b"");
                    (0..300)
                        .filter(|_| {
                            let ruling =
                                tables.threshold(&third, (1, 7), &packet, (host(1), host(2)));
                            ruling == Ruling::Show
                        })
                        .count()
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert_eq!(shown, 4 * 300 / 3);
}
