//! SMB 2 and pipes by hand-made messages: any split gives the same transactions.

use proptest::prelude::*;

use super::super::{AppConfig, AppParser, Record, TxList};
use super::*;
use crate::app::file::FileState;
use crate::flow::Direction::{self, ToClient, ToServer};

const ID: [u8; 16] = [7; 16];

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&length[..], message].concat()
}

/// A message of SMB 2 in session 9 and tree 1.
fn two(command: u16, response: bool, number: u64, body: &[u8]) -> Vec<u8> {
    let mut m = b"\xfeSMB\x40\0\0\0\0\0\0\0".to_vec();
    m.extend(command.to_le_bytes());
    m.extend([1, 0]);
    m.extend(u32::from(response).to_le_bytes());
    m.extend([0; 4]);
    m.extend(number.to_le_bytes());
    m.extend([0, 0, 0, 0, 1, 0, 0, 0]);
    m.extend(9_u64.to_le_bytes());
    m.extend([0; 16]);
    m.extend(body);
    framed(&m)
}

fn create(name: &str) -> (Vec<u8>, Vec<u8>) {
    let wide: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut ask = vec![57, 0];
    ask.extend([0; 34]);
    ask.extend([2, 0, 0, 0, 0, 0, 0, 0, 120, 0]);
    ask.extend(u16::try_from(wide.len()).unwrap().to_le_bytes());
    ask.extend([0; 8]);
    ask.extend(&wide);
    let mut answer = vec![89, 0];
    answer.extend([0; 62]);
    answer.extend(ID);
    answer.extend([0; 8]);
    (two(5, false, 1, &ask), two(5, true, 1, &answer))
}

fn write(number: u64, offset: u64, data: &[u8]) -> Vec<u8> {
    let mut ask = vec![49, 0, 112, 0];
    ask.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
    ask.extend(offset.to_le_bytes());
    ask.extend(ID);
    ask.extend([0; 16]);
    ask.extend(data);
    two(9, false, number, &ask)
}

fn close(number: u64) -> Vec<u8> {
    let body = [&[24, 0, 0, 0, 0, 0, 0, 0][..], &ID].concat();
    two(6, false, number, &body)
}

/// Feeds pieces of a conversation, each side cut into pieces of `size`.
fn run(sides: &[(Direction, Vec<u8>)], size: usize) -> TxList {
    let mut parser = Parser::new(&AppConfig::default());
    let mut txs = TxList::default();
    for (dir, bytes) in sides {
        for piece in bytes.chunks(size) {
            parser.data(*dir, piece, &mut txs);
        }
    }
    txs
}

fn said(txs: &TxList) -> String {
    txs.iter().map(|tx| format!("{:?}{:?}{:?}\n", tx.record, tx.events, tx.files)).collect()
}

fn upload() -> Vec<(Direction, Vec<u8>)> {
    let (ask, answer) = create("a.txt");
    let first: Vec<u8> = (0..1500_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    // The pieces come in the wrong order, and one of them twice.
    let writes = [write(3, 1500, b"tail"), write(2, 0, &first), write(4, 0, b"again")].concat();
    vec![(ToServer, ask), (ToClient, answer), (ToServer, writes), (ToServer, close(5))]
}

#[test]
fn a_file_is_put_together_by_offsets() {
    let txs = run(&upload(), usize::MAX);
    let tx = txs.iter().find(|tx| !tx.files.is_empty()).unwrap();
    let file = &tx.files[0];
    assert_eq!((file.name.as_slice(), file.size()), (&b"a.txt"[..], 1504));
    assert_eq!(file.state(), FileState::Closed);
    assert!(file.data().ends_with(b"tail"));
    let names: Vec<_> = tx.events.iter().map(|event| event.name).collect();
    assert_eq!(names, ["file_overlap"]);
}

#[test]
fn a_hole_that_is_never_filled_is_a_gap() {
    let (ask, answer) = create("b");
    let sides = [
        (ToServer, ask),
        (ToClient, answer),
        (ToServer, write(2, 100, b"late")),
        (ToServer, close(3)),
    ];
    let txs = run(&sides, usize::MAX);
    let file = &txs.iter().find(|tx| !tx.files.is_empty()).unwrap().files[0];
    assert_eq!((file.size(), file.has_gaps(), file.state()), (104, true, FileState::Truncated));
}

#[test]
fn a_call_in_a_pipe() {
    let request = b"\x05\x00\x00\x03\x10\0\0\0\x1c\0\0\0\x05\0\0\0\x04\0\0\0\0\0\x0f\0abcd";
    let (ask, answer) = create("svcctl");
    let txs =
        run(&[(ToServer, ask), (ToClient, answer), (ToServer, write(2, 0, request))], usize::MAX);
    let call = txs.iter().find_map(|tx| match &tx.record {
        Record::Smb(smb) => smb.call(),
        _ => None,
    });
    let call = call.unwrap();
    assert_eq!(
        (call.opnum, call.call_id, call.half(ToServer).stub.as_slice()),
        (Some(15), 5, &b"abcd"[..])
    );
}

#[test]
fn garbage_is_skipped_up_to_the_next_message() {
    let sides = [(ToServer, b"not SMB at all".to_vec()), (ToServer, close(1))];
    for size in [1, 3, 1000] {
        assert_eq!(run(&sides, size).iter().count(), 1, "pieces of {size}");
    }
}

proptest! {
    #[test]
    fn any_split_gives_the_same(size in 1_usize..700) {
        let whole = run(&upload(), usize::MAX);
        prop_assert_eq!(said(&run(&upload(), size)), said(&whole));
    }

    #[test]
    fn any_bytes_are_survived(
        mark in prop::sample::select(vec![&b"\xffSMB"[..], b"\xfeSMB", b"\xfdSMB"]),
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        size in 1_usize..200,
    ) {
        let message = framed(&[mark, &bytes[..]].concat());
        let mut twice = message.clone();
        twice.extend(&bytes);
        run(&[(ToServer, message), (ToClient, twice)], size);
    }
}
