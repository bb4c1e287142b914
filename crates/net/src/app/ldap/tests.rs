use proptest::prelude::*;

use super::*;
use crate::app::{AppParser as _, Record, TxList};
use crate::flow::Direction::{self, ToClient, ToServer};

/// An element.
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
}

/// A message of that operation with this content.
fn message(id: u8, tag: u8, content: &[u8]) -> Vec<u8> {
    tlv(0x30, &[tlv(2, &[id]), tlv(tag, content)].concat())
}

fn success() -> Vec<u8> {
    [tlv(10, &[0]), tlv(4, b""), tlv(4, b"")].concat()
}

fn run(pieces: &[(Direction, &[u8])]) -> (Vec<String>, bool) {
    let (mut parser, mut txs) = (Parser::new(false), TxList::default());
    let mut switched = false;
    for (dir, bytes) in pieces {
        if switched {
            break;
        }
        parser.data(*dir, bytes, &mut txs);
        switched |= parser.switch().is_some();
    }
    let one = |tx: &crate::app::Transaction| {
        let Record::Ldap(ldap) = &tx.record else { return String::new() };
        let request =
            ldap.request.as_ref().map_or("-", |request| operation_name(request.operation));
        let responses: Vec<&str> =
            ldap.responses.iter().map(|response| operation_name(response.operation)).collect();
        let events: Vec<&str> = tx.events.iter().map(|event| event.name).collect();
        format!("{request} {responses:?} {} {events:?}", tx.is_complete(ToClient))
    };
    (txs.iter().map(one).collect(), switched)
}

fn search() -> Vec<u8> {
    let mut content = tlv(4, b"dc=a");
    for part in [tlv(10, &[2]), tlv(10, &[0]), tlv(2, &[9]), tlv(2, &[5]), tlv(1, &[0])] {
        content.extend_from_slice(&part);
    }
    content.extend_from_slice(&tlv(0x87, b"objectClass"));
    content.extend_from_slice(&tlv(0x30, &tlv(4, b"cn")));
    message(2, 0x63, &content)
}

fn entry() -> Vec<u8> {
    let values = tlv(0x31, &[tlv(4, b"x"), tlv(4, b"y")].concat());
    let attribute = tlv(0x30, &[tlv(4, b"cn"), values].concat());
    message(2, 0x64, &[tlv(4, b"cn=x,dc=a"), tlv(0x30, &attribute)].concat())
}

#[test]
fn operations_are_read() {
    let change =
        tlv(0x30, &[tlv(10, &[1]), tlv(0x30, &[tlv(4, b"cn"), tlv(0x31, b"")].concat())].concat());
    let sasl = tlv(0xa3, &tlv(4, b"GSSAPI"));
    for (bytes, operation, dn, types) in [
        (search(), 3, Some(&b"dc=a"[..]), vec![&b"cn"[..]]),
        (entry(), 4, Some(b"cn=x,dc=a"), vec![b"cn"]),
        (message(1, 0x60, &[tlv(2, &[3]), tlv(4, b"me"), sasl].concat()), 0, Some(b"me"), vec![]),
        (
            message(1, 0x66, &[tlv(4, b"o=x"), tlv(0x30, &change)].concat()),
            6,
            Some(b"o=x"),
            vec![b"cn"],
        ),
        (message(1, 0x4a, b"o=x"), 10, Some(b"o=x"), vec![]),
        (
            message(1, 0x6c, &[tlv(4, b"o=x"), tlv(4, b"o=y"), tlv(1, &[255])].concat()),
            12,
            Some(b"o=x"),
            vec![],
        ),
        (message(1, 0x42, b""), 2, None, vec![]),
        (message(1, 0x50, &[7]), 16, None, vec![]),
        (message(1, 0x65, &success()), 5, None, vec![]),
    ] {
        let read = parse(&bytes).unwrap();
        assert_eq!((read.operation, read.dn.as_deref()), (operation, dn));
        assert_eq!(read.attribute_types().collect::<Vec<_>>(), types);
        assert_eq!(looks_like(&bytes), Some(if read.is_response() { ToClient } else { ToServer }));
        assert!(parse(&bytes[..bytes.len() - 1]).is_none());
    }
}

#[test]
fn requests_find_their_responses_whatever_the_pieces() {
    let abandon = message(3, 0x50, &[9]);
    let down = [entry(), message(2, 0x65, &success()), message(0, 0x78, &success())].concat();
    let up = [search(), abandon].concat();
    let (found, _) = run(&[(ToServer, &up), (ToClient, &down)]);
    let expected = [
        "search_request [\"search_result_entry\", \"search_result_done\"] true []",
        "abandon_request [] true []",
        "- [\"extended_response\"] true []",
    ];
    assert_eq!(found, expected);
    let single: Vec<(Direction, &[u8])> = up
        .chunks(1)
        .map(|byte| (ToServer, byte))
        .chain(down.chunks(1).map(|byte| (ToClient, byte)))
        .collect();
    assert_eq!(run(&single).0, expected);
}

#[test]
fn what_is_wrong_is_told() {
    let early = message(5, 0x65, &success());
    for (piece, dir, expected) in [
        (&b"GET"[..], ToServer, "- [] true [\"invalid_data\"]"),
        (b"\x30\x84\x7f\xff\xff\xff", ToServer, "- [] true [\"invalid_data\"]"),
        (&early, ToClient, "- [\"search_result_done\"] true [\"request_not_found\"]"),
    ] {
        assert_eq!(run(&[(dir, piece)]).0, [expected]);
    }
}

#[test]
fn start_tls_ends_it() {
    let ask = message(1, 0x77, &tlv(0x80, b"1.3.6.1.4.1.1466.20037"));
    let yes = message(1, 0x78, &success());
    let (_, switched) = run(&[(ToServer, &ask), (ToClient, &yes)]);
    assert!(switched);
    let refused = [tlv(10, &[2]), tlv(4, b""), tlv(4, b"")].concat();
    assert!(!run(&[(ToServer, &ask), (ToClient, &message(1, 0x78, &refused))]).1);
}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces(
        bytes in proptest::collection::vec(any::<u8>(), 0..100),
        cut in 0..100_usize,
    ) {
        let up = [&search()[..], &message(4, bytes.first().map_or(0x63, |b| b % 26 | 0x60), &bytes)].concat();
        let (a, b) = up.split_at(cut.min(up.len()));
        prop_assert_eq!(run(&[(ToServer, a), (ToServer, b)]), run(&[(ToServer, &up)]));
    }
}
