//! DNS messages: every kind of data, compression, damage, limits, framing.

use std::net::IpAddr;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::detect::Transport;
use super::dns::{Message, Rdata, parse};
use super::*;
use Direction::{ToClient, ToServer};

fn name(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in text.split('.').filter(|l| !l.is_empty()) {
        out.push(u8::try_from(label.len()).unwrap());
        out.extend(label.as_bytes());
    }
    out.push(0);
    out
}

/// Sections as counts in the header; then whatever follows it.
fn message(flags: u16, counts: [u16; 4], rest: &[u8]) -> Vec<u8> {
    let mut out = vec![0x12, 0x34];
    out.extend(flags.to_be_bytes());
    out.extend(counts.iter().flat_map(|n| n.to_be_bytes()));
    out.extend(rest);
    out
}

fn question(owner: &str, kind: u16) -> Vec<u8> {
    [name(owner), kind.to_be_bytes().to_vec(), vec![0, 1]].concat()
}

fn record(owner: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(data.len()).unwrap().to_be_bytes();
    [owner, &kind.to_be_bytes()[..], &[0, 1, 0, 0, 1, 0x2c], &len, data].concat()
}

/// A response about `example.com`; its name is at offset 12.
fn response(records: &[Vec<u8>]) -> Vec<u8> {
    let count = u16::try_from(records.len()).unwrap();
    let body = [question("example.com", 255), records.concat()].concat();
    message(0x8180, [1, count, 0, 0], &body)
}

fn show(data: &Rdata) -> String {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    match data {
        Rdata::Address(address) => format!("address {address}"),
        Rdata::Name(n) => format!("name {}", text(n)),
        Rdata::Mx(preference, n) => format!("mx {preference} {}", text(n)),
        Rdata::Text(t) => format!("text {}", text(t)),
        Rdata::Soa(s) => format!("soa {} {} {:?}", text(&s.mname), text(&s.rname), s.numbers),
        Rdata::Srv(a, b, c, n) => format!("srv {a} {b} {c} {}", text(n)),
        Rdata::Sshfp(a, b, n) => format!("sshfp {a} {b} {}", text(n)),
        Rdata::Other(bytes) => format!("other {}", text(bytes)),
    }
}

fn answers(bytes: &[u8]) -> String {
    let (message, whole) = parse(bytes).unwrap();
    let mut lines: Vec<_> = message
        .answers
        .iter()
        .map(|a| format!("{} {} {}", a.name.escape_ascii(), a.kind, show(&a.data)))
        .collect();
    if !whole {
        lines.push("damaged".to_owned());
    }
    if message.cut {
        lines.push("cut".to_owned());
    }
    lines.join("\n")
}

fn check(records: &[Vec<u8>], expected: &Expect) {
    expected.assert_eq(&answers(&response(records)));
}

const SELF: &[u8] = &[0xc0, 12];

#[test]
fn every_kind_of_data_is_read() {
    let soa = [name("ns.a"), name("mail.a"), [0, 0, 0, 9].repeat(5)].concat();
    check(
        &[
            record(SELF, 1, &[192, 0, 2, 1]),
            record(SELF, 28, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]),
            record(SELF, 2, &name("ns.example.net")),
            record(SELF, 5, &[1, b'w', 0xc0, 12]),
            record(SELF, 12, &name("host")),
            record(SELF, 39, &name("d.name")),
            record(SELF, 15, &[&[0, 10][..], &name("mx")].concat()),
            record(SELF, 6, &soa),
            record(SELF, 33, &[&[0, 1, 0, 2, 0x1f, 0x90][..], &name("srv")].concat()),
            record(SELF, 44, &[4, 2, 0xab, 0xcd]),
            record(SELF, 16, b"\x05v=spf\x03-al"),
            record(SELF, 257, b"\0\x05issueca"),
            record(SELF, 65_280, b""),
        ],
        &expect![[r"
            example.com 1 address 192.0.2.1
            example.com 28 address 2001:db8::9
            example.com 2 name ns.example.net
            example.com 5 name w.example.com
            example.com 12 name host
            example.com 39 name d.name
            example.com 15 mx 10 mx
            example.com 6 soa ns.a mail.a [9, 9, 9, 9, 9]
            example.com 33 srv 1 2 8080 srv
            example.com 44 sshfp 4 2 \xab\xcd
            example.com 16 text v=spf
            example.com 16 text -al
            example.com 257 other \x00\x05issueca
            example.com 65280 other "]],
    );
}

#[test]
fn data_of_the_wrong_shape_stays_bytes() {
    check(
        &[
            record(SELF, 1, &[192, 0, 2]),
            record(SELF, 28, &[0; 15]),
            record(SELF, 44, &[4]),
            record(SELF, 2, &[0xc0, 200]),
            record(SELF, 1, &[127, 0, 0, 1]),
        ],
        &expect![[r"
            example.com 1 other \xc0\x00\x02
            example.com 28 other \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00
            example.com 44 other \x04
            example.com 2 other \xc0\xc8
            example.com 1 address 127.0.0.1"]],
    );
}

#[test]
fn names_are_read_as_the_rfc_writes_them() {
    let long = [&[63][..], &[b'a'; 63], &[0]].concat();
    let cases: &[(&[u8], &str)] = &[
        (b"\0", " 1 address 1.1.1.1"),
        // A dot within a label is kept as it is: bytes, not text.
        (b"\x01.\x01\0\0", r"..\x00 1 address 1.1.1.1"),
        (b"\x03\xff\x00 \0", r"\xff\x00  1 address 1.1.1.1"),
        // Length bits 01 and 10 mean nothing (RFC 1035 section 4.1.4, RFC 6891 took one back).
        (b"\x41a\0", "damaged"),
        (b"\x80a\0", "damaged"),
        // To itself, forwards, past the end, to a name that points back here.
        (b"\xc0\x1d", "damaged"),
        (b"\xc0\x30", "damaged"),
        (b"\xff\xff", "damaged"),
        (b"\x01a\xc0\x1d", "damaged"),
    ];
    for (owner, expected) in cases {
        let got = answers(&response(&[record(owner, 1, &[1, 1, 1, 1])]));
        assert_eq!(got, *expected, "{}", owner.escape_ascii());
    }
    let got = answers(&response(&[record(&long, 1, &[1, 1, 1, 1])]));
    assert!(got.starts_with(&"a".repeat(63)));
}

#[test]
fn pointers_may_lead_back_step_by_step_but_not_for_ever() {
    // A chain in the data of one record, which the name of the next points back to: each link is
    // one label and a pointer to the link before.
    let mut blob = name("z");
    let mut last = 0;
    let begin = 12 + question("example.com", 255).len() + 12;
    for _ in 0..200 {
        let next = blob.len();
        blob.extend([1, b'a']);
        blob.extend((0xc000u16 | u16::try_from(begin + last).unwrap()).to_be_bytes());
        last = next;
    }
    let records = |links: usize| {
        // The first link points at `z`, each later one four bytes further on.
        let place = if links == 0 { 0 } else { 3 + (links - 1) * 4 };
        let pointer = (0xc000u16 | u16::try_from(begin + place).unwrap()).to_be_bytes();
        response(&[record(SELF, 10, &blob), record(&pointer, 1, &[1, 1, 1, 1])])
    };
    let read = |links| parse(&records(links)).unwrap();
    let (message, whole) = read(100);
    assert!(whole);
    assert_eq!(message.answers[1].name.to_vec(), format!("{}z", "a.".repeat(100)).into_bytes());
    let (message, whole) = read(200);
    assert!(!whole, "255 steps are enough for any name");
    assert_eq!(message.answers.len(), 1);
}

#[test]
fn names_of_absurd_length_are_refused() {
    // 17 labels of 63 make more than any name has.
    let label = [&[63][..], &[b'a'; 63]].concat();
    for (labels, whole) in [(16, true), (17, false)] {
        let owner = [label.repeat(labels), vec![0]].concat();
        let bytes = message(0, [1, 0, 0, 0], &[owner, vec![0, 1, 0, 1]].concat());
        assert_eq!(parse(&bytes).unwrap().1, whole, "{labels} labels");
    }
}

#[test]
fn every_cut_says_that_something_is_missing() {
    let whole = response(&[
        record(SELF, 1, &[1, 2, 3, 4]),
        record(SELF, 15, &[&[0, 10][..], &name("mx")].concat()),
    ]);
    assert_eq!(
        parse(&whole).map(|(m, all)| (m.answers.len(), m.trailing, all)),
        Some((2, 0, true))
    );
    for end in 0..whole.len() {
        match parse(&whole[..end]) {
            None => assert!(end < 12, "a header is 12 bytes"),
            Some((_, all)) => assert!(!all && end >= 12, "{end} bytes"),
        }
    }
    let more = [whole.as_slice(), b"xyz"].concat();
    assert_eq!(parse(&more).map(|(m, all)| (m.trailing, all)), Some((3, true)));
}

#[test]
fn all_sections_and_edns_are_kept_apart() {
    let opt = [&[0][..], &41u16.to_be_bytes(), &[0x10, 0, 0, 0, 0x80, 0, 0, 0]].concat();
    let body =
        [question("a", 1), record(SELF, 1, &[1; 4]), record(SELF, 2, &name("ns")), opt].concat();
    let (message, whole) = parse(&message(0x8583, [1, 1, 1, 1], &body)).unwrap();
    assert!(whole && message.is_response());
    assert_eq!((message.opcode(), message.rcode(), message.id), (0, 3, 0x1234));
    let kinds = |list: &[dns::Answer]| list.iter().map(|a| a.kind).collect::<Vec<_>>();
    assert_eq!(kinds(&message.answers), [1]);
    assert_eq!(kinds(&message.authorities), [2]);
    assert_eq!(kinds(&message.additionals), [41]);
    // The class of an OPT record is the size of datagrams (RFC 6891 section 6.1.2).
    assert_eq!((message.additionals[0].class, message.additionals[0].ttl), (4096, 0x8000));
}

struct Run {
    app: AppLayer,
    transport: Transport,
}

impl Run {
    fn new(transport: Transport) -> Self {
        Self { app: AppLayer::default(), transport }
    }

    fn give(&mut self, dir: Direction, bytes: &[u8]) {
        let config = AppConfig::default();
        let cx = AppContext { config: &config, transport: self.transport, ports: (40_000, 53) };
        self.app.data(dir, bytes, &cx);
    }

    /// Identifier and events of each transaction.
    fn seen(&self) -> String {
        let one = |tx: &Transaction| {
            let Record::Dns(message) = &tx.record else { panic!("not DNS") };
            let names: Vec<_> = tx.events.iter().map(|e| e.name).collect();
            format!("{:04x} {}", message.id, names.join(" ")).trim_end().to_owned()
        };
        self.app.open().iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

#[test]
fn what_is_wrong_with_a_message_is_an_event() {
    let query = message(0x0100, [1, 0, 0, 0], &question("a.bc", 1));
    let many = [query[12..].to_vec(), record(SELF, 1, &[1; 4]).repeat(1001)].concat();
    let cases = [
        (query.clone(), "1234"),
        (message(0x0140, [1, 0, 0, 0], &question("a.bc", 1)), "1234 z_flag_set"),
        (query[..query.len() - 1].to_vec(), "1234 malformed_data"),
        (message(0x8180, [1, 1001, 0, 0], &many), "1234 too_many_records"),
    ];
    for (bytes, expected) in cases {
        let mut run = Run::new(Transport::Udp);
        // A good message first: what a port is for is settled by then.
        run.give(ToServer, &query);
        run.app.settle(None);
        run.give(ToServer, &bytes);
        assert_eq!(run.seen(), expected);
    }
}

#[test]
fn a_record_of_empty_strings_does_not_become_thousands_of_answers() {
    let owner = [[&[63][..], &[b'a'; 63]].concat().repeat(3), vec![0]].concat();
    let (message, whole) = parse(&response(&[record(&owner, 16, &[0; 60_000])])).unwrap();
    assert_eq!((message.answers.len(), message.cut, whole), (1000, true, true));
    let (message, _) = parse(&response(&[record(&owner, 16, &[0; 1000])])).unwrap();
    assert_eq!((message.answers.len(), message.cut), (1000, false));
}

#[test]
fn queries_and_answers_are_on_their_sides_whatever_the_packet_says() {
    let mut run = Run::new(Transport::Udp);
    let query = message(0x0100, [1, 0, 0, 0], &question("a.bc", 1));
    let answer = message(0x8180, [1, 0, 0, 0], &question("a.bc", 1));
    run.give(ToServer, &query);
    run.give(ToClient, &answer);
    let sides: Vec<_> = run.app.open().changed().map(|(tx, dir)| (tx.id, dir)).collect();
    assert_eq!(sides, [(0, ToServer), (1, ToClient)]);
    assert!(run.app.open().iter().all(|tx| tx.is_complete(ToServer) && tx.is_complete(ToClient)));
}

#[test]
fn a_gap_in_tcp_loses_what_follows_and_nothing_before() {
    let query = message(0x0100, [1, 0, 0, 0], &question("a.bc", 1));
    let framed = [&u16::try_from(query.len()).unwrap().to_be_bytes()[..], &query].concat();
    let mut run = Run::new(Transport::Tcp);
    run.give(ToServer, &framed);
    run.give(ToServer, &framed[..10]);
    run.app.gap(ToServer, 5);
    run.give(ToServer, &framed);
    assert_eq!(run.seen(), "1234", "there is no telling where the next message begins");
    run.give(ToClient, &framed);
    assert_eq!(run.seen(), "1234, 1234", "the other side goes on");
}

proptest! {
    /// TCP framing: however the stream is cut, the same messages come out.
    #[test]
    fn tcp_messages_are_independent_of_segmentation(
        sizes in proptest::collection::vec(1usize..30, 1..8),
        cuts in proptest::collection::vec(1usize..50, 1..40),
    ) {
        let mut stream = Vec::new();
        for (n, size) in sizes.iter().enumerate() {
            let mut query = message(0x0100, [1, 0, 0, 0], &question(&"x".repeat(*size), 1));
            query[0] = u8::try_from(n).unwrap();
            stream.extend(u16::try_from(query.len()).unwrap().to_be_bytes());
            stream.extend(query);
        }
        let mut whole = Run::new(Transport::Tcp);
        whole.give(ToServer, &stream);
        prop_assert_eq!(whole.app.transactions(), sizes.len() as u64);
        let mut run = Run::new(Transport::Tcp);
        let (mut rest, mut cuts) = (stream.as_slice(), cuts.iter().cycle());
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
            run.give(ToServer, piece);
            rest = tail;
        }
        prop_assert_eq!(run.seen(), whole.seen());
    }

    /// Names as written are names as read, also through a pointer.
    #[test]
    fn names_come_back(labels in proptest::collection::vec("[a-z0-9_-]{1,20}", 1..6), v4 in any::<[u8; 4]>()) {
        let owner = labels.join(".");
        let body = [question(&owner, 1), record(SELF, 1, &v4), record(&name(&owner), 1, &v4)].concat();
        let (message, whole) = parse(&message(0x8180, [1, 2, 0, 0], &body)).unwrap();
        prop_assert!(whole);
        prop_assert_eq!(message.trailing, 0);
        for answer in &message.answers {
            prop_assert_eq!(answer.name.as_slice(), owner.as_bytes());
            prop_assert_eq!(&answer.data, &Rdata::Address(IpAddr::from(v4)));
        }
    }

    /// Any bytes: no panic, and never more records than bytes could hold.
    #[test]
    fn any_message_is_bounded(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Some((Message { answers, authorities, additionals, queries, .. }, _)) = parse(&bytes) {
            let records = answers.len() + authorities.len() + additionals.len();
            prop_assert!(queries.len() * 5 <= bytes.len() && records <= bytes.len());
        }
    }
}

#[test]
fn a_set_z_bit_does_not_hide_a_message_where_the_port_speaks_for_dns() {
    use crate::app::dns::{Likeness, looks_like};
    let marked = message(0x0140, [1, 0, 0, 0], &question("a.bc", 1));
    let plain = message(0x0100, [1, 0, 0, 0], &question("a.bc", 1));
    assert!(matches!(looks_like(&marked, true), Likeness::Query));
    assert!(matches!(looks_like(&marked, false), Likeness::Other));
    assert!(matches!(looks_like(&plain, false), Likeness::Query));
}
