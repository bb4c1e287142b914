//! DCERPC over TCP by hand-made fragments.

use proptest::prelude::*;

use super::super::{AppParser, Record, TxList};
use super::*;
use crate::flow::Direction::{ToClient, ToServer};

fn pdu(kind: u8, flags: u8, call: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 16).unwrap().to_le_bytes();
    let head = [5, 0, kind, flags, 0x10, 0, 0, 0, length[0], length[1], 0, 0, call, 0, 0, 0];
    [&head[..], body].concat()
}

fn bind() -> (Vec<u8>, Vec<u8>) {
    let mut ask = vec![0; 8];
    // One interface of context 3, version 2.1, one transfer syntax.
    ask.extend([1, 0, 0, 0, 3, 0, 1, 0]);
    ask.extend([0x81, 0xbb, 0x7a, 0x36, 0x44, 0x98, 0xf1, 0x35]);
    ask.extend([0xad, 0x32, 0x98, 0xf0, 0x38, 0, 0x10, 3, 2, 0, 1, 0]);
    ask.extend([0; 20]);
    let mut answer = vec![0; 8];
    answer.extend([0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    answer.extend([0; 20]);
    (pdu(kind::BIND, 3, 1, &ask), pdu(kind::BIND_ACK, 3, 1, &answer))
}

fn run(size: usize) -> TxList {
    let (ask, answer) = bind();
    let request = [
        pdu(kind::REQUEST, 1, 2, b"\0\0\0\0\x03\0\x0f\0first "),
        pdu(kind::REQUEST, 2, 2, b"\0\0\0\0\x03\0\x0f\0last"),
    ];
    let response = pdu(kind::RESPONSE, 3, 2, b"\0\0\0\0\0\0\0\0done");
    let sides =
        [(ToServer, ask), (ToClient, answer), (ToServer, request.concat()), (ToClient, response)];
    let (mut parser, mut txs) = (Parser::new(Transport::Tcp), TxList::default());
    for (dir, bytes) in sides {
        for piece in bytes.chunks(size) {
            parser.data(dir, piece, &mut txs);
        }
    }
    txs
}

fn calls(txs: &TxList) -> Vec<Call> {
    let call = |record: &Record| match record {
        Record::Dcerpc(call) => Call::clone(call),
        other => panic!("{other:?}"),
    };
    txs.iter().map(|tx| call(&tx.record)).collect()
}

#[test]
fn fragments_make_a_call_of_its_interface() {
    let calls = calls(&run(usize::MAX));
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].interfaces[0].answer, Some((0, 0)));
    let call = &calls[1];
    assert_eq!((call.opnum, call.half(ToServer).fragments), (Some(15), 2));
    assert_eq!(call.half(ToServer).stub, b"first last");
    let interface = call.interfaces[0];
    assert_eq!((interface.version, interface.answer), ((2, 1), Some((0, 0))));
    assert_eq!(service(&interface.uuid), Some("svcctl"));
    assert_eq!(procedure(&interface.uuid, 15), Some("OpenSCManagerW"));
    assert_eq!(procedure(&interface.uuid, 6000), None);
}

proptest! {
    #[test]
    fn any_split_gives_the_same(size in 1_usize..120) {
        prop_assert_eq!(calls(&run(size)), calls(&run(usize::MAX)));
    }

    #[test]
    fn any_bytes_are_survived(kind in 0_u8..25, body in prop::collection::vec(any::<u8>(), 0..200)) {
        let (mut parser, mut txs) = (Parser::new(Transport::Tcp), TxList::default());
        for dir in [ToServer, ToClient] {
            parser.data(dir, &pdu(kind, 3, 1, &body), &mut txs);
        }
        Parser::new(Transport::Udp).data(ToServer, &body, &mut txs);
    }
}
