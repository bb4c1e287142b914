//! SNMP by hand-made messages of each version, and by damage.

use proptest::prelude::*;

use super::*;
use crate::flow::Direction::ToServer;

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    assert!(content.len() < 128, "the short form will do here");
    [&[tag, u8::try_from(content.len()).unwrap()][..], content].concat()
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    der(SEQUENCE, &parts.concat())
}

const ONE: &[u8] = b"\x06\x03\x2b\x06\x01";
const NULL: &[u8] = b"\x05\0";
/// `snmpTrapOID.0`.
const TRAP: &[u8] = b"\x06\x0a\x2b\x06\x01\x06\x03\x01\x01\x04\x01\0";

/// Request id 9, status and index, variables.
fn body(status: u8, variables: &[(&[u8], &[u8])]) -> Vec<u8> {
    let list: Vec<u8> = variables.iter().flat_map(|(n, v)| sequence(&[n, v])).collect();
    [&[2, 1, 9, 2, 1, status, 2, 1, 0][..], &der(SEQUENCE, &list)].concat()
}

fn by_community(version: u8, pdu: u8, body: &[u8]) -> Vec<u8> {
    sequence(&[&[2, 1, version], &der(4, b"public"), &der(0xa0 | pdu, body)])
}

fn version_3(scoped: &[u8]) -> Vec<u8> {
    let header =
        sequence(&[b"\x02\x01\x05", b"\x02\x02\x05\xdc", b"\x04\x01\x04", b"\x02\x01\x03"]);
    let usm = sequence(&[
        b"\x04\x02ab",
        b"\x02\x01\x01",
        b"\x02\x01\x02",
        b"\x04\x03ann",
        b"\x04\0",
        b"\x04\0",
    ]);
    sequence(&[&[2, 1, 3], &header, &der(4, &usm), scoped])
}

#[test]
fn each_kind_of_message_says_what_it_is() {
    let one = body(0, &[(ONE, NULL)]);
    for (version, pdu, name) in [
        (0, 0, "get_request"),
        (0, 1, "get_next_request"),
        (1, 2, "response"),
        (1, 3, "set_request"),
        (1, 5, "get_bulk_request"),
        (1, 6, "inform_request"),
        (1, 7, "trap_v2"),
        (1, 8, "report"),
    ] {
        let message = parse(&by_community(version, pdu, &one)).unwrap();
        assert_eq!((message.version, message.pdu), (version + 1, Some(pdu)), "{name}");
        assert_eq!(pdu_name(message.pdu), name);
        assert_eq!(message.community.as_deref(), Some(&b"public"[..]));
        assert_eq!(message.variables, ["1.3.6.1"]);
        assert_eq!(message.usm, None);
    }
    assert_eq!(pdu_name(None), "encrypted");
}

#[test]
fn an_error_status_is_none_in_a_bulk_request() {
    for (pdu, expected) in [(2, Some(5)), (5, None)] {
        assert_eq!(parse(&by_community(1, pdu, &body(5, &[]))).unwrap().error, expected);
    }
}

#[test]
fn traps_say_what_was_trapped() {
    let body_2 = body(0, &[(ONE, NULL), (TRAP, ONE)]);
    for (pdu, expected) in [(7, Some("1.3.6.1")), (6, Some("1.3.6.1")), (2, None)] {
        let message = parse(&by_community(1, pdu, &body_2)).unwrap();
        assert_eq!(message.trap_oid.as_deref(), expected);
        assert_eq!(message.variables, ["1.3.6.1", TRAP_OID]);
    }
    let address = der(0x40, &[10, 0, 0, 7]);
    let body_1 =
        [ONE, &address, b"\x02\x01\x06", b"\x02\x01\0", b"\x43\x01\x09", b"\x30\0"].concat();
    let message = parse(&by_community(0, 4, &body_1)).unwrap();
    assert_eq!(message.trap, Some((6, [10, 0, 0, 7])));
    assert_eq!(message.trap_oid.as_deref(), Some("1.3.6.1"));
}

#[test]
fn version_3_has_a_user_and_may_be_encrypted() {
    let open = sequence(&[b"\x04\x02ab", b"\x04\0", &der(0xa0, &body(0, &[(ONE, NULL)]))]);
    for (scoped, pdu) in [(open, Some(0)), (der(4, b"sealed"), None)] {
        let message = parse(&version_3(&scoped)).unwrap();
        assert_eq!((message.version, message.pdu, message.community), (3, pdu, None));
        assert_eq!(message.usm.as_deref(), Some(&b"ann"[..]));
    }
    assert_eq!(parse(&version_3(&der(2, &[1]))), None, "neither open nor sealed");
}

#[test]
fn malformed_messages_are_an_event() {
    let good = by_community(1, 0, &body(0, &[(ONE, NULL)]));
    for end in 0..good.len() {
        assert_eq!(parse(&good[..end]), None, "cut at {end}");
    }
    for bytes in
        [&b"\x30\x84\xff\xff\xff\xff"[..], b"\x30\x80\x02\x01\0", b"\x30\x06\x02\x01\x02\x04\x01a"]
    {
        let mut txs = TxList::default();
        Parser.data(ToServer, bytes, &mut txs);
        let tx = txs.iter().next().unwrap();
        assert_eq!(tx.events.iter().map(|e| e.name).collect::<Vec<_>>(), ["malformed_data"]);
        assert!(tx.is_complete(ToServer));
    }
}

#[test]
fn variables_are_bounded_and_a_broken_one_ends_them() {
    let one = sequence(&[ONE, NULL]);
    let list = one.repeat(MAX_VARIABLES + 5);
    let long = |tag: u8, content: &[u8]| {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x82, length[0], length[1]][..], content].concat()
    };
    let pdu = [&b"\x02\x01\x09\x02\x01\0\x02\x01\0"[..], &long(SEQUENCE, &list)].concat();
    let bytes = long(SEQUENCE, &[&b"\x02\x01\x01\x04\x01a"[..], &long(0xa0, &pdu)].concat());
    assert_eq!(parse(&bytes).unwrap().variables.len(), MAX_VARIABLES);
    let broken = by_community(1, 0, &body(0, &[(ONE, NULL), (NULL, NULL), (ONE, NULL)]));
    assert_eq!(parse(&broken).unwrap().variables.len(), 1);
}

proptest! {
    #[test]
    fn damage_is_survived(at in 0_usize..60, to in any::<u8>()) {
        let sealed = version_3(&der(4, b"x"));
        for mut bytes in [by_community(0, 0, &body(0, &[(ONE, NULL)])), sealed] {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = to;
            }
            let message = parse(&bytes);
            prop_assert!(message.is_none_or(|message| message.variables.len() <= 1));
        }
    }
}
