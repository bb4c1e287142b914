use proptest::prelude::*;

use super::*;
use crate::app::{AppParser as _, Record, TxList};
use crate::flow::Direction::{self, ToClient, ToServer};

fn run(pieces: &[(Direction, &[u8])]) -> (Rfb, Vec<&'static str>, u8) {
    let (mut parser, mut txs) = (Parser::default(), TxList::default());
    for (dir, bytes) in pieces {
        parser.data(*dir, bytes, &mut txs);
    }
    let tx = txs.iter().next().unwrap();
    let Record::Rfb(rfb) = &tx.record else { panic!() };
    (Rfb::clone(rfb), tx.events.iter().map(|event| event.name).collect(), tx.progress(ToClient))
}

const SCREEN: &[u8] =
    b"\x03\x20\x02\x58\x20\x18\0\x01\0\xff\0\xff\0\xff\x10\x08\0\0\0\0\0\0\0\x04desk";

fn session() -> Vec<(Direction, &'static [u8])> {
    vec![
        (ToClient, b"RFB 003.008\n"),
        (ToServer, b"RFB 003.008\n"),
        (ToClient, b"\x02\x01\x02"),
        (ToServer, b"\x02"),
        (ToClient, b"0123456789abcdef"),
        (ToServer, b"fedcba9876543210"),
        (ToClient, b"\0\0\0\0"),
        (ToServer, b"\x01"),
        (ToClient, SCREEN),
        (ToClient, b"\0\0\0\x01 what is shown"),
    ]
}

#[test]
fn a_session_whole_and_byte_by_byte() {
    let (rfb, events, progress) = run(&session());
    assert_eq!((events.len(), progress), (0, progress::DONE));
    assert_eq!(rfb.client_version, Some((*b"003", *b"008")));
    assert_eq!((rfb.security_type, rfb.security_result), (Some(security::VNC), Some(0)));
    assert_eq!(rfb.challenge.as_ref(), Some(b"0123456789abcdef"));
    assert_eq!(rfb.shared, Some(true));
    let screen = rfb.screen.as_ref().unwrap();
    assert_eq!((screen.width, screen.height, screen.name.as_slice()), (800, 600, &b"desk"[..]));
    assert_eq!((screen.format.max, screen.format.shift), ([255; 3], [16, 8, 0]));
    let whole = session();
    let single: Vec<(Direction, &[u8])> =
        whole.iter().flat_map(|(dir, bytes)| bytes.chunks(1).map(|b| (*dir, b))).collect();
    assert_eq!(run(&single).0, rfb);
}

#[test]
fn versions_differ_in_who_decides_and_failures_have_reasons() {
    type Pieces = &'static [(Direction, &'static [u8])];
    type Case = (Pieces, Option<u32>, Option<u32>, &'static [&'static str]);
    let cases: [Case; 6] = [
        (
            &[
                (ToClient, b"RFB 003.003\n"),
                (ToServer, b"RFB 003.003\n"),
                (ToClient, b"\0\0\0\x01"),
            ],
            Some(1),
            None,
            &[],
        ),
        (
            &[
                (ToClient, b"RFB 003.007\n\x01\x01"),
                (ToServer, b"RFB 003.007\n\x01\x01"),
                (ToClient, SCREEN),
            ],
            Some(1),
            None,
            &[],
        ),
        (
            &[
                (ToClient, b"RFB 003.008\n\x01\x01"),
                (ToServer, b"RFB 003.008\n\x01"),
                (ToClient, b"\0\0\0\x01\0\0\0\x02no"),
            ],
            Some(1),
            Some(1),
            &[],
        ),
        (
            &[(ToClient, b"RFB 003.008\n\x01\x1e"), (ToServer, b"RFB 003.008\n\x1e")],
            Some(30),
            None,
            &["unimplemented_security_type"],
        ),
        (&[(ToClient, b"RFB 003,008\n")], None, None, &["malformed_message"]),
        (
            &[(ToClient, b"RFB 003.008\n\0\xff\xff\xff\xff"), (ToServer, b"RFB 003.008\n")],
            None,
            None,
            &["malformed_message"],
        ),
    ];
    for (pieces, kind, result, events) in cases {
        let (rfb, found, _) = run(pieces);
        assert_eq!((rfb.security_type, rfb.security_result), (kind, result), "{pieces:?}");
        assert_eq!(found, events, "{pieces:?}");
    }
}

#[test]
fn a_client_that_does_not_stop_is_cut_off() {
    let (_, events, progress) = run(&[(ToServer, &[b'x'; 5000])]);
    assert_eq!((events, progress), (vec!["malformed_message"], progress::DONE));
}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces(
        up in proptest::collection::vec(any::<u8>(), 0..200),
        down in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let begin: [(Direction, &[u8]); 2] =
            [(ToClient, b"RFB 003.008\n"), (ToServer, b"RFB 003.008\n")];
        let whole = [&begin[..], &[(ToClient, &down[..]), (ToServer, &up[..])]].concat();
        let mut single = begin.to_vec();
        single.extend(down.chunks(1).map(|byte| (ToClient, byte)));
        single.extend(up.chunks(1).map(|byte| (ToServer, byte)));
        prop_assert_eq!(run(&single), run(&whole));
    }
}
