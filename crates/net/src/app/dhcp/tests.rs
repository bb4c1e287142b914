use proptest::prelude::*;

use super::*;

/// A message with these options, and what the fields for names hold.
fn message(op: u8, options: &[u8], file: &[u8]) -> Vec<u8> {
    let mut bytes = vec![op, 1, 6, 0, 0, 0, 0x12, 0x34, 0, 0, 0, 0];
    bytes.extend_from_slice(&[0, 0, 0, 0, 10, 0, 0, 7, 10, 0, 0, 1, 0, 0, 0, 0]);
    bytes.extend_from_slice(&[2, 0, 0, 0, 0, 9]);
    bytes.resize(108, 0);
    bytes.extend_from_slice(file);
    bytes.resize(236, 0);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(options);
    bytes
}

#[test]
fn messages_are_read_with_their_options() {
    let offer = message(2, &[53, 1, 2, 0, 51, 4, 0, 0, 14, 16, 52, 1, 1, 255], &[12, 1, b'h', 255]);
    let (read, events) = parse(&offer).unwrap();
    assert!(read.reply && events.is_empty());
    assert_eq!((read.id, read.kind(), kind_name(read.kind())), (0x1234, 2, "offer"));
    assert_eq!(read.assigned_ip, Ipv4Addr::new(10, 0, 0, 7));
    assert_eq!(read.client_mac, [2, 0, 0, 0, 0, 9]);
    assert_eq!(read.option(code::LEASE_TIME), Some(&[0, 0, 14, 16][..]));
    assert_eq!(read.option(code::HOST_NAME), Some(&b"h"[..]));
}

#[test]
fn options_that_are_wrong_are_told() {
    for (options, event) in [
        (&[53, 1, 1][..], "truncated_options"),
        (&[53, 1, 1, 12][..], "truncated_options"),
        (&[53, 1, 1, 12, 9, b'x'][..], "truncated_options"),
        (&[53, 2, 1, 1, 255][..], "malformed_options"),
        (&[53, 1, 1, 51, 2, 0, 1, 255][..], "malformed_options"),
    ] {
        let (_, events) = parse(&message(1, options, &[])).unwrap();
        assert_eq!(events, [event], "{options:?}");
    }
    assert!(parse(&message(3, &[255], &[])).is_none());
    assert!(parse(&message(1, &[255], &[])[..200]).is_none());
}

#[test]
fn each_message_is_a_transaction() {
    let mut txs = TxList::default();
    Parser.data(Direction::ToServer, &message(1, &[53, 1, 1, 255], &[]), &mut txs);
    Parser.data(Direction::ToClient, &message(2, &[53, 1, 2], &[]), &mut txs);
    let events: Vec<usize> = txs.iter().map(|tx| tx.events.len()).collect();
    assert_eq!(events, [0, 1]);
    assert!(txs.iter().all(|tx| tx.is_complete(Direction::ToServer)));
}

proptest! {
    #[test]
    fn any_options_are_survived(options in proptest::collection::vec(any::<u8>(), 0..300)) {
        let read = parse(&message(1, &options, &options[..options.len().min(128)]));
        prop_assert!(read.is_some());
    }
}
