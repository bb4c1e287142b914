//! Datagrams made here byte by byte after RFC 3954 and RFC 7011, whole, cut and hostile.

use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// 2026-11-22T15:04:05Z.
const NOW: Timestamp = Timestamp::from_seconds(1_795_359_845);
const SENT: u32 = 1_795_359_840;

fn exporter() -> SocketAddr {
    "192.0.2.254:4711".parse().unwrap()
}

fn decoder() -> Decoder {
    Decoder::new(Arc::new(Templates::default())).unwrap()
}

fn be(numbers: &[(u32, usize)]) -> Vec<u8> {
    numbers.iter().flat_map(|(value, size)| value.to_be_bytes()[4 - size..].to_vec()).collect()
}

fn shown(events: &[Event]) -> String {
    let one = |event: &Event| {
        format!("{} {} {}\n", event.time, event.kind, Value::Object(event.fields.clone()))
    };
    events.iter().map(one).collect()
}

fn check(events: &[Event], expected: &Expect) {
    expected.assert_eq(&shown(events));
}

/// NetFlow 5 with `count` times the same flow.
fn v5(sequence: u32, count: u32) -> Vec<u8> {
    let mut out = be(&[
        (5, 2),
        (count, 2),
        (600_000, 4),
        (SENT, 4),
        (0, 4),
        (sequence, 4),
        (1, 1),
        (2, 1),
        (0, 2),
    ]);
    for _ in 0..count {
        out.extend([198, 51, 100, 7, 203, 0, 113, 9, 0, 0, 0, 0]);
        out.extend(be(&[(3, 2), (4, 2), (12, 4), (3_456, 4), (590_000, 4), (599_000, 4)]));
        out.extend(be(&[
            (51_000, 2),
            (443, 2),
            (0, 1),
            (0x1b, 1),
            (6, 1),
            (0, 1),
            (0, 2),
            (64_512, 2),
            (0, 1),
            (0, 1),
            (0, 2),
        ]));
    }
    out
}

#[test]
fn version_5() {
    let mut decoder = decoder();
    check(
        &decoder.datagram(exporter(), &v5(100, 1), NOW),
        &expect![[r#"
            2026-11-22T15:03:59.000000+0000 netflow {"src_ip":"198.51.100.7","src_port":51000,"dest_ip":"203.0.113.9","dest_port":443,"proto":"TCP","netflow":{"pkts":12,"bytes":3456,"start":"2026-11-22T15:03:50.000000+0000","end":"2026-11-22T15:03:59.000000+0000","age":9,"elements":{"ingressInterface":3,"egressInterface":4,"bgpDestinationAsNumber":64512},"version":5,"domain":258},"tcp":{"tcp_flags":"1b"},"observer":{"ip":"192.0.2.254"},"event":{"module":"netflow"}}
        "#]],
    );
}

#[test]
fn what_exporters_numbers_say_is_missing_is_counted() {
    let mut decoder = decoder();
    for (sequence, count, lost) in [
        (100, 2, 0),
        (102, 1, 0),
        // Five flows never came.
        (108, 1, 5),
        // Out of order, and started again: no loss.
        (103, 1, 5),
        (0, 1, 5),
        (1, 1, 5),
    ] {
        assert_eq!(decoder.datagram(exporter(), &v5(sequence, count), NOW).len(), count as usize);
        assert_eq!(decoder.figures().lost, lost, "at {sequence}");
    }
    let other = "192.0.2.253:1".parse().unwrap();
    decoder.datagram(other, &v5(7_000, 1), NOW);
    assert_eq!(decoder.figures(), Figures { lost: 5, ..Figures::default() });
}

fn set(id: u32, body: &[u8]) -> Vec<u8> {
    [be(&[(id, 2), (u32::try_from(body.len()).unwrap() + 4, 2)]), body.to_vec()].concat()
}

fn v9(sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let count = u32::try_from(sets.len()).unwrap();
    let head = be(&[(9, 2), (count, 2), (600_000, 4), (SENT, 4), (sequence, 4), (77, 4)]);
    [head, sets.concat()].concat()
}

fn ipfix(sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let body = sets.concat();
    let length = u32::try_from(body.len()).unwrap() + 16;
    [be(&[(10, 2), (length, 2), (SENT, 4), (sequence, 4), (78, 4)]), body].concat()
}

fn template(id: u32, fields: &[(u32, u32)]) -> Vec<u8> {
    let count = u32::try_from(fields.len()).unwrap();
    let fields: Vec<_> = fields.iter().flat_map(|(kind, size)| [(*kind, 2), (*size, 2)]).collect();
    [be(&[(id, 2), (count, 2)]), be(&fields)].concat()
}

const FIELDS: [(u32, u32); 9] =
    [(8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (1, 4), (2, 4), (22, 4), (21, 4)];

fn flow() -> Vec<u8> {
    let addresses = [198, 51, 100, 8, 203, 0, 113, 9];
    let rest = [(40_000, 2), (53, 2), (17, 1), (80, 4), (1, 4), (599_500, 4), (599_500, 4)];
    [addresses.to_vec(), be(&rest)].concat()
}

#[test]
fn version_9_needs_its_template() {
    let mut decoder = decoder();
    assert!(decoder.datagram(exporter(), &v9(1, &[set(256, &flow())]), NOW).is_empty());
    assert_eq!(decoder.figures(), Figures { without_template: 1, ..Figures::default() });
    decoder.datagram(exporter(), &v9(2, &[set(0, &template(256, &FIELDS))]), NOW);
    check(
        &decoder.datagram(exporter(), &v9(3, &[set(256, &flow())]), NOW),
        &expect![[r#"
            2026-11-22T15:03:59.500000+0000 netflow {"src_ip":"198.51.100.8","src_port":40000,"dest_ip":"203.0.113.9","dest_port":53,"proto":"UDP","netflow":{"pkts":1,"bytes":80,"start":"2026-11-22T15:03:59.500000+0000","end":"2026-11-22T15:03:59.500000+0000","age":0,"version":9,"domain":77},"observer":{"ip":"192.0.2.254"},"event":{"module":"netflow"}}
        "#]],
    );
    decoder.datagram(exporter(), &v9(9, &[set(256, &flow())]), NOW);
    assert_eq!(decoder.figures().lost, 5, "datagrams, as version 9 counts them");
}

#[test]
fn ipfix_with_addresses_of_version_6_and_what_has_no_name_of_ours() {
    let fields = [
        (27, 16),
        (28, 16),
        (4, 1),
        (139, 2),
        (85, 8),
        (152, 8),
        (153, 8),
        (96, 65_535),
        (136, 1),
        (0x8001, 4),
    ];
    let mut described = template(300, &fields);
    described.extend(be(&[(29_305, 4)]));
    let mut record = vec![0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    record.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 58, 128, 0]);
    record.extend(104_u64.to_be_bytes());
    record.extend((u64::from(SENT) * 1_000 - 1_500).to_be_bytes());
    record.extend((u64::from(SENT) * 1_000).to_be_bytes());
    record.extend(b"\x04ping\x01\x00\x00\x00\x63");
    let events =
        decoder().datagram(exporter(), &ipfix(5, &[set(2, &described), set(300, &record)]), NOW);
    check(
        &events,
        &expect![[r#"
            2026-11-22T15:04:00.000000+0000 netflow {"src_ip":"2001:db8::1","dest_ip":"2001:db8::2","proto":"IPv6-ICMP","icmp_type":128,"icmp_code":0,"netflow":{"bytes":104,"start":"2026-11-22T15:03:58.500000+0000","end":"2026-11-22T15:04:00.000000+0000","age":1,"elements":{"applicationName":"ping","flowEndReason":1,"reverseOctetDeltaCount":99},"version":10,"domain":78},"observer":{"ip":"192.0.2.254"},"event":{"module":"netflow"}}
        "#]],
    );
}

#[test]
fn templates_survive_a_restart_and_belong_to_their_exporter() {
    let templates = Arc::new(Templates::default());
    let mut before = Decoder::new(Arc::clone(&templates)).unwrap();
    before.datagram(exporter(), &v9(1, &[set(0, &template(256, &FIELDS))]), NOW);
    let kept = templates.snapshot().unwrap();
    assert!(templates.snapshot().is_none(), "nothing new");
    before.datagram(exporter(), &v9(2, &[set(0, &template(256, &FIELDS))]), NOW);
    assert!(templates.snapshot().is_none(), "the same again is nothing new");

    let restored = Arc::new(Templates::restore(&kept).unwrap());
    assert_eq!(restored.len(), 1);
    let mut after = Decoder::new(Arc::clone(&restored)).unwrap();
    // Another port, as after a restart of the exporter.
    let again = "192.0.2.254:999".parse().unwrap();
    assert_eq!(after.datagram(again, &v9(3, &[set(256, &flow())]), NOW).len(), 1);
    let other = "192.0.2.253:4711".parse().unwrap();
    assert!(after.datagram(other, &v9(3, &[set(256, &flow())]), NOW).is_empty());
    assert_eq!(after.figures(), Figures { without_template: 1, ..Figures::default() });

    for (bytes, words) in [
        (&b"{"[..], "kept templates cannot be read"),
        (b"{\"version\":9,\"templates\":[]}", "kept templates are of version 9"),
    ] {
        assert_eq!(Templates::restore(bytes).unwrap_err().to_string(), words);
    }
}

#[test]
fn cut_at_every_byte_it_gives_no_more_than_there_is() {
    let whole = [v5(1, 3), v9(2, &[set(0, &template(256, &FIELDS)), set(256, &flow())])];
    for datagram in whole {
        for length in 0..datagram.len() {
            let mut decoder = decoder();
            let events = decoder.datagram(exporter(), &datagram[..length], NOW);
            assert!(events.len() <= 3, "{length}");
        }
    }
    let mut decoder = decoder();
    decoder.datagram(exporter(), &v5(1, 3)[..60], NOW);
    assert_eq!(decoder.figures().malformed, 1);
}

#[test]
fn a_flood_of_exporters_and_templates_is_bounded() {
    let templates = Arc::new(Templates::default());
    let mut decoder = Decoder::new(Arc::clone(&templates)).unwrap();
    for number in 0..20_u8 {
        for id in 256..1_000 {
            let address = SocketAddr::from(([10, 0, 0, number], 1));
            decoder.datagram(address, &v9(id, &[set(0, &template(id, &FIELDS))]), NOW);
        }
    }
    assert!(templates.len() <= 20 * MAX_TEMPLATES, "{}", templates.len());
}

#[test]
fn elements_without_room_are_counted() {
    let mut decoder = decoder();
    let fields: Vec<_> = (0..80).map(|n| (400 + n, 1)).collect();
    decoder.datagram(exporter(), &v9(1, &[set(0, &template(256, &fields))]), NOW);
    let events = decoder.datagram(exporter(), &v9(2, &[set(256, &[7; 80])]), NOW);
    let netflow = &events[0].fields["netflow"];
    let kept = netflow["elements"].as_object().unwrap().len();
    let dropped = netflow["dropped_elements"].as_u64().unwrap();
    assert_eq!((kept, dropped), (64, 16), "{netflow}");
}

#[test]
fn a_template_without_length_does_not_multiply_records() {
    let mut decoder = decoder();
    let empty = template(256, &[(8, 0), (12, 0)]);
    decoder.datagram(exporter(), &v9(1, &[set(0, &empty)]), NOW);
    let events = decoder.datagram(exporter(), &v9(2, &[set(256, &[0; 1_400])]), NOW);
    assert!(events.len() <= 1_400, "{}", events.len());
}

proptest! {
    #[test]
    fn any_bytes(version in prop::sample::select(vec![5_u8, 7, 9, 10]), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut decoder = decoder();
        let datagram = [&[0, version][..], &bytes].concat();
        for _ in 0..2 {
            for event in decoder.datagram(exporter(), &datagram, NOW) {
                prop_assert_eq!(event.kind.as_str(), "netflow");
            }
        }
    }

    #[test]
    fn any_template_and_data(
        fields in prop::collection::vec((0_u32..500, prop::sample::select(vec![0_u32, 1, 2, 4, 8, 16, 65_535])), 1..12),
        data in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut decoder = decoder();
        let sets = [set(2, &template(256, &fields)), set(256, &data)];
        let events = decoder.datagram(exporter(), &ipfix(1, &sets), NOW);
        prop_assert!(events.len() <= data.len().max(1));
    }
}
