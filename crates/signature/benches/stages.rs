//! What prefilter and evaluation cost, on rules and payloads made here.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use signature::{IpFields, LoadOptions, PacketView, RuleSet, Scan, Scratch, Source, Tables};

fn rules(text: String) -> RuleSet {
    let source = Source { name: "bench.rules".to_owned(), text: text.into_bytes() };
    let (rules, report) = RuleSet::load(vec![source], &LoadOptions::default());
    assert!(report.rejected.is_empty(), "{:?}", report.rejected);
    rules
}

/// Words that look like text and hold no pattern.
fn payload(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let letters = b"etaoinshrdlu cmfwypvbgkjqxz";
    let letter = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        letters[usize::try_from(state % 27).unwrap_or(0)]
    };
    (0..bytes).map(letter).collect()
}

fn run(rules: &RuleSet, payload: &[u8], c: &mut Criterion, name: &str, expected: usize) {
    let (tables, mut scratch) = (Tables::default(), Scratch::new(rules));
    let packet = PacketView {
        ip: IpFields { version: 4, ..IpFields::default() },
        ip_proto: 17,
        src_port: Some(1),
        dst_port: Some(80),
        payload,
        ..PacketView::default()
    };
    let mut group = c.benchmark_group("signature");
    group.throughput(Throughput::Bytes(u64::try_from(payload.len()).unwrap_or(0)));
    group.bench_function(name, |b| {
        b.iter(|| {
            let mut scan = Scan::begin(rules, &tables, &mut scratch, &packet, None);
            scan.packet();
            assert_eq!(black_box(scan.finish().matches.len()), expected);
        });
    });
}

fn stages(c: &mut Criterion) {
    let many: String = (1..=4_000_u32)
        .map(|sid| {
            let word = sid.wrapping_mul(2_654_435_761);
            format!("alert udp any any -> any any (content:\"KEY-{word:08x}\"; sid:{sid};)\n")
        })
        .collect();
    run(&rules(many), &payload(1_400), c, "prefilter, 4,000 patterns", 0);
    let one = "alert udp any any -> any any (content:\"start\"; content:\"a\"; distance:1; within:40; byte_test:1,>,64,0,relative; pcre:\"/end[0-9]+$/\"; sid:1;)\n";
    let mut hit = payload(600);
    hit.extend(b"start of what is looked for end123");
    run(&rules(one.to_owned()), &hit, c, "prefilter and evaluate, one rule", 1);
}

criterion_group!(benches, stages);
criterion_main!(benches);
