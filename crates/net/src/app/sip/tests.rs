//! SIP by messages as text: fields, pieces of a stream, holes, hostile lengths.

use proptest::prelude::*;

use super::*;
use crate::flow::Direction::{ToClient, ToServer};

const INVITE: &[u8] = b"INVITE sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/TCP a;branch=z9\r\n\
    f: Ann <sip:ann@example.org>;tag=1\r\nTo: <sip:bob@example.org>\r\nSubject: a\r\n  long one\r\n\
    Via: second\r\nl: 5\r\n\r\nhello";
const OK: &[u8] = b"SIP/2.0 200 All is well\r\nContent-Length: 0\r\n\r\n";
const BYE: &[u8] = b"BYE sip:bob@example.org SIP/2.0\nContent-Length: 2\n\n\r\n";

fn messages(txs: &TxList) -> Vec<Message> {
    let one = |record: &Record| match record {
        Record::Sip(message) => Message::clone(message),
        other => panic!("{other:?}"),
    };
    txs.iter().map(|tx| one(&tx.record)).collect()
}

/// What a stream or a datagram comes to, in pieces of `size`.
fn run(over_tcp: bool, bytes: &[u8], size: usize) -> Vec<Message> {
    let (mut parser, mut txs) = (Parser::new(over_tcp), TxList::default());
    for piece in bytes.chunks(size) {
        parser.data(ToServer, piece, &mut txs);
    }
    messages(&txs)
}

#[test]
fn a_request_has_its_line_and_headers() {
    let message = &run(false, INVITE, usize::MAX)[0];
    assert!(!message.response);
    assert_eq!(message.line, b"INVITE sip:bob@example.org SIP/2.0");
    assert_eq!(
        (&message.verb[..], &message.object[..]),
        (&b"INVITE"[..], &b"sip:bob@example.org"[..])
    );
    assert_eq!(message.protocol, b"SIP/2.0");
    let cases: &[(&str, &[&[u8]])] = &[
        ("via", &[b"SIP/2.0/TCP a;branch=z9", b"second"]),
        ("from", &[b"Ann <sip:ann@example.org>;tag=1"]),
        ("to", &[b"<sip:bob@example.org>"]),
        ("subject", &[b"a long one"]),
        ("content-length", &[b"5"]),
        ("contact", &[]),
    ];
    for (name, expected) in cases {
        assert_eq!(message.values(name).collect::<Vec<_>>(), *expected, "{name}");
    }
}

#[test]
fn a_response_has_code_and_reason() {
    let message = &run(false, OK, usize::MAX)[0];
    assert!(message.response);
    assert_eq!((&message.verb[..], &message.object[..]), (&b"200"[..], &b"All is well"[..]));
}

#[test]
fn what_is_no_sip_is_no_transaction() {
    for bytes in [
        &b""[..],
        b"\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b" sip:a SIP/2.0\r\n\r\n",
        b"INVITE SIP/2.0",
        b"INVITE sip:a SIP/2.0\r\nno colon\r\n\r\n",
    ] {
        assert_eq!(run(false, bytes, usize::MAX), [], "{}", bytes.escape_ascii());
    }
}

#[test]
fn headers_are_bounded() {
    let many = [
        b"OPTIONS sip:a SIP/2.0\r\n".to_vec(),
        b"a: b\r\n".repeat(MAX_HEADERS + 9),
        b"\r\n".to_vec(),
    ];
    assert_eq!(run(true, &many.concat(), 1000)[0].headers.len(), MAX_HEADERS);
    let endless = [&b"OPTIONS sip:a SIP/2.0\r\n"[..], &b"a: b\r\n".repeat(MAX_HEAD)].concat();
    let (mut parser, mut txs) = (Parser::new(true), TxList::default());
    for piece in endless.chunks(1400) {
        parser.data(ToServer, piece, &mut txs);
        assert!(parser.sides.to_server.partial.len() <= MAX_HEAD + 1400);
    }
    parser.data(ToServer, OK, &mut txs);
    assert_eq!(messages(&txs), [], "given up");
}

#[test]
fn hostile_lengths_of_bodies() {
    for (length, expected) in
        [("18446744073709551615", 1), ("99999999999999999999999", 2), ("-1", 2), ("0", 2), ("", 2)]
    {
        let head = format!("OPTIONS sip:a SIP/2.0\r\nContent-Length: {length}\r\n\r\n");
        let bytes = [head.as_bytes(), OK].concat();
        assert_eq!(run(true, &bytes, 7).len(), expected, "{length}");
    }
}

#[test]
fn a_hole_in_a_body_loses_nothing_else() {
    for (missing, expected) in [(5, 2), (6, 1)] {
        let (mut parser, mut txs) = (Parser::new(true), TxList::default());
        parser.data(ToClient, INVITE.strip_suffix(b"hello").unwrap(), &mut txs);
        parser.gap(ToClient, missing, &mut txs);
        parser.data(ToClient, OK, &mut txs);
        assert_eq!(txs.iter().count(), expected, "{missing} bytes");
    }
}

proptest! {
    #[test]
    fn any_split_gives_the_same(size in 1_usize..400, cut in 0_usize..400) {
        let stream = [INVITE, b"\r\n\r\n", OK, BYE, INVITE].concat();
        let whole = run(true, &stream, usize::MAX);
        prop_assert_eq!(whole.len(), 4);
        prop_assert_eq!(&run(true, &stream, size), &whole);
        let (mut parser, mut txs) = (Parser::new(true), TxList::default());
        let (first, second) = stream.split_at(cut.min(stream.len()));
        parser.data(ToServer, first, &mut txs);
        parser.data(ToServer, second, &mut txs);
        prop_assert_eq!(&messages(&txs), &whole);
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300), size in 1_usize..99) {
        let stream = [b"INVITE sip:a SIP/2.0\r\n", &bytes[..], b"\r\n\r\n", &bytes].concat();
        run(true, &stream, size);
        run(false, &stream, size);
    }
}
