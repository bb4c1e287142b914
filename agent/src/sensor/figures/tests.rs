//! The table of losses: every counter has its own row and reaches the `stats` record.

use std::collections::BTreeSet;

use super::*;
use crate::sensor::eve::stats;

/// Figures whose counters are all different.
fn figures() -> Figures {
    let mut figures = Figures::default();
    let Figures { net, scan, .. } = &mut figures;
    let all: [&mut u64; 30] = [
        &mut net.packets,
        &mut net.bytes,
        &mut net.ipv4,
        &mut net.ipv6,
        &mut net.tcp,
        &mut net.udp,
        &mut net.icmp,
        &mut net.sctp,
        &mut net.other_ip,
        &mut net.no_ip,
        &mut net.bad_checksum,
        &mut net.flows,
        &mut net.flows_active,
        &mut net.flows_shed,
        &mut net.flows_evicted,
        &mut net.tcp_ignored,
        &mut net.stream_gaps,
        &mut net.stream_depth_reached,
        &mut net.stream_shed,
        &mut net.defrag.timeouts,
        &mut net.defrag.shed,
        &mut scan.scan.inspections,
        &mut scan.scan.partials_lost,
        &mut scan.scan.beyond_limit,
        &mut scan.scan.instances_beyond,
        &mut scan.scan.flow_state_full,
        &mut scan.budget_hits,
        &mut scan.pcre_limits,
        &mut scan.frames_lost,
        &mut scan.alerts,
    ];
    for (n, counter) in (1_000_u64..).zip(all) {
        *counter = n;
    }
    figures
}

#[test]
fn every_loss_counts_something_of_its_own_and_is_in_the_stats_record() {
    let figures = figures();
    let counts: BTreeSet<u64> = LOSSES.iter().map(|loss| (loss.count)(&figures)).collect();
    assert_eq!(counts.len(), LOSSES.len(), "two rows count the same");
    let names: BTreeSet<&str> = LOSSES.iter().map(|loss| loss.name).collect();
    assert_eq!(names.len(), LOSSES.len());
    assert!(ORDINARY.iter().all(|name| names.contains(name)));
    let mut shown = BTreeSet::new();
    let record = stats::counters(&figures);
    for group in record.as_object().unwrap().values() {
        shown.extend(group.as_object().unwrap().values().filter_map(|n| n.as_u64()));
    }
    let missing: Vec<_> = counts.difference(&shown).collect();
    assert!(missing.is_empty(), "not in the stats record: {missing:?}");
}

#[test]
fn adding_doubles_every_counter_and_saturates() {
    let one = figures();
    let mut two = one;
    two.add(&one);
    for loss in &LOSSES {
        assert_eq!((loss.count)(&two), 2 * (loss.count)(&one), "{}", loss.name);
    }
    assert_eq!((two.scan.alerts, two.net.packets), (2 * one.scan.alerts, 2_000));
    let mut full = Figures::default();
    full.scan.budget_hits = u64::MAX;
    full.add(&one);
    assert_eq!(full.scan.budget_hits, u64::MAX);
}
