//! Kerberos by messages that are made here: fields, splits, holes, hostile lengths.

use proptest::prelude::*;

use super::*;
use crate::app::{AppParser, Record, TxList};
use crate::flow::Direction::{self, ToClient, ToServer};

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    match content.len() {
        0..=0x7f => [&[tag, length[1]][..], content].concat(),
        _ => [&[tag, 0x82, length[0], length[1]][..], content].concat(),
    }
}

fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    der(0x30, &parts.concat())
}

fn field(number: u8, content: &[u8]) -> Vec<u8> {
    der(0xa0 | number, content)
}

fn int(number: u8, value: i16) -> Vec<u8> {
    field(number, &der(2, &value.to_be_bytes()))
}

fn text(value: &str) -> Vec<u8> {
    der(0x1b, value.as_bytes())
}

fn name(value: &str) -> Vec<u8> {
    let parts: Vec<_> = value.split('/').map(text).collect();
    sequence(&[int(0, 1), field(1, &sequence(&parts))])
}

fn request(kind: u8, client: Option<&str>) -> Vec<u8> {
    let client = client.map(|client| field(1, &name(client))).unwrap_or_default();
    let body = sequence(&[
        field(0, &der(3, &[0, 0x40, 0, 0, 0])),
        client,
        field(2, &text("EXAMPLE.ORG")),
        field(3, &name("krbtgt/EXAMPLE.ORG")),
        field(5, &der(0x18, b"20370101000000Z")),
    ]);
    let padata = field(3, &sequence(&[vec![]]));
    der(0x60 | kind, &sequence(&[int(1, 5), int(2, kind.into()), padata, field(4, &body)]))
}

fn sealed(cipher: i16) -> Vec<u8> {
    sequence(&[int(0, cipher), field(2, &der(4, &[7; 150]))])
}

fn reply(kind: u8, ticket: i16, cipher: i16) -> Vec<u8> {
    let ticket = sequence(&[
        int(0, 5),
        field(1, &text("EXAMPLE.ORG")),
        field(2, &name("ldap/dc.example.org")),
        field(3, &sealed(ticket)),
    ]);
    let parts = [
        int(0, 5),
        int(1, kind.into()),
        field(3, &text("EXAMPLE.ORG")),
        field(4, &name("ann")),
        field(5, &der(0x61, &ticket)),
        field(6, &sealed(cipher)),
    ];
    der(0x60 | kind, &sequence(&parts))
}

fn error(code: i16) -> Vec<u8> {
    let parts = [
        int(0, 5),
        int(1, 30),
        field(4, &der(0x18, b"20260101000000Z")),
        int(5, 1),
        int(6, code),
        field(9, &text("EXAMPLE.ORG")),
        field(10, &name("krbtgt/EXAMPLE.ORG")),
    ];
    der(0x7e, &sequence(&parts))
}

fn joined(principal: Option<&Principal>) -> Option<String> {
    principal.map(|p| String::from_utf8(p.components.join(&b'/')).unwrap())
}

#[test]
fn requests_have_names_and_realm() {
    for (kind, client) in [(kind::AS_REQ, Some("ann/admin")), (kind::TGS_REQ, None)] {
        let message = parse(&request(kind, client)).unwrap();
        assert_eq!(message.kind, kind);
        assert_eq!(joined(message.client.as_ref()).as_deref(), client);
        assert_eq!(joined(message.service.as_ref()).unwrap(), "krbtgt/EXAMPLE.ORG");
        assert_eq!(message.realm.as_deref(), Some(&b"EXAMPLE.ORG"[..]));
        assert_eq!((message.encryption, message.ticket_encryption), (None, None));
    }
}

#[test]
fn replies_have_two_ciphers() {
    for (kind, ticket, cipher) in [(kind::AS_REP, 18, 17), (kind::TGS_REP, 23, -133)] {
        let message = parse(&reply(kind, ticket, cipher)).unwrap();
        assert_eq!(message.ticket_encryption, Some(ticket.into()));
        assert_eq!(message.encryption, Some(cipher.into()));
        assert_eq!(joined(message.service.as_ref()).unwrap(), "ldap/dc.example.org");
        assert_eq!(joined(message.client.as_ref()).unwrap(), "ann");
    }
}

#[test]
fn numbers_have_names() {
    assert_eq!(encryption_name(23), Some("rc4-hmac"));
    assert_eq!(encryption_name(4), None);
    assert_eq!(error_name(6), Some("KDC_ERR_C_PRINCIPAL_UNKNOWN"));
    assert_eq!(error_name(43), None);
    for (cipher, weak) in
        [(-128, true), (3, true), (17, false), (20, false), (23, true), (26, false)]
    {
        assert_eq!(is_weak(cipher), weak, "{cipher}");
    }
}

#[test]
fn malformed_messages_are_none() {
    let good = request(kind::AS_REQ, Some("ann"));
    let other_number = [&[0x6c][..], &good[1..]].concat();
    let unknown = [&[0x6e][..], &good[1..]].concat();
    for bytes in
        [&[][..], &[0x6a], &other_number, &unknown, &good[1..], &[0x6a, 0x84, 255, 255, 255, 255]]
    {
        assert_eq!(parse(bytes), None, "{bytes:x?}");
    }
    for end in 0..good.len() {
        assert_eq!(parse(&good[..end]), None, "cut at {end}");
    }
}

/// Feeds messages, with their lengths before them when it is a stream, in pieces.
fn run(messages: &[(Direction, Vec<u8>)], over_tcp: bool, size: usize) -> TxList {
    let (mut parser, mut txs) = (Parser::new(over_tcp), TxList::default());
    for (dir, message) in messages {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let framed = if over_tcp { [&length[..], message].concat() } else { message.clone() };
        for piece in framed.chunks(if over_tcp { size } else { usize::MAX }) {
            parser.data(*dir, piece, &mut txs);
        }
    }
    txs
}

fn kinds(txs: &TxList) -> Vec<(u8, Option<u8>, Vec<&'static str>)> {
    let one = |tx: &crate::app::Transaction| match &tx.record {
        Record::Krb5(message) => {
            (message.kind, message.failed_request, tx.events.iter().map(|e| e.name).collect())
        }
        other => panic!("{other:?}"),
    };
    txs.iter().map(one).collect()
}

fn login() -> Vec<(Direction, Vec<u8>)> {
    vec![
        (ToServer, request(kind::AS_REQ, Some("ann"))),
        (ToClient, error(25)),
        (ToServer, request(kind::AS_REQ, Some("ann"))),
        (ToClient, reply(kind::AS_REP, 18, 23)),
        (ToClient, error(60)),
        (ToServer, der(0x6e, &sequence(&[int(0, 5), int(1, 14)]))),
        (ToClient, error(37)),
    ]
}

#[test]
fn errors_know_what_failed() {
    let expected = [
        (kind::AS_REQ, None, vec![]),
        (kind::ERROR, Some(kind::AS_REQ), vec![]),
        (kind::AS_REQ, None, vec![]),
        (kind::AS_REP, None, vec!["weak_encryption"]),
        (kind::ERROR, None, vec![]),
        (kind::ERROR, Some(kind::AP_REQ), vec![]),
    ];
    for over_tcp in [false, true] {
        assert_eq!(kinds(&run(&login(), over_tcp, usize::MAX)), expected, "tcp {over_tcp}");
    }
}

#[test]
fn what_is_malformed_is_an_event() {
    let txs = run(&[(ToServer, b"\x6a\x03\x30\x01\x01".to_vec())], false, 1);
    assert_eq!(kinds(&txs), [(0, None, vec!["malformed_data"])]);
    let (mut parser, mut txs) = (Parser::new(true), TxList::default());
    parser.data(ToServer, &[0xff; 9], &mut txs);
    parser.data(ToServer, &[0; 100], &mut txs);
    assert_eq!(kinds(&txs), [(0, None, vec!["malformed_data"])], "too long to follow");
}

#[test]
fn a_hole_costs_one_message() {
    let message = request(kind::AS_REQ, Some("ann"));
    let length = u32::try_from(message.len()).unwrap();
    let framed = [&length.to_be_bytes()[..], &message].concat();
    for (missing, expected) in [(20, 1), (length - 20, 1), (length, 0)] {
        let (mut parser, mut txs) = (Parser::new(true), TxList::default());
        parser.data(ToServer, &framed[..24], &mut txs);
        parser.gap(ToServer, missing.into(), &mut txs);
        let after = framed.get(24 + usize::try_from(missing).unwrap()..).unwrap_or_default();
        parser.data(ToServer, after, &mut txs);
        parser.data(ToServer, &framed, &mut txs);
        assert_eq!(txs.iter().count(), expected, "{missing} bytes missing");
    }
}

proptest! {
    #[test]
    fn any_split_gives_the_same(size in 1_usize..400) {
        let whole = run(&login(), true, usize::MAX);
        prop_assert_eq!(kinds(&run(&login(), true, size)), kinds(&whole));
    }

    #[test]
    fn damage_is_survived(at in 0_usize..700, flip in 1_u8.., which in 0_usize..7) {
        let mut messages = login();
        if let Some(byte) = messages[which].1.get_mut(at) {
            *byte ^= flip;
        }
        for over_tcp in [false, true] {
            prop_assert!(run(&messages, over_tcp, 50).iter().count() <= messages.len());
        }
    }
}
