use proptest::prelude::*;

use super::keys::Keys;
use super::*;
use crate::app::{AppParser as _, Record, TxList};
use crate::flow::Direction::{self, ToClient, ToServer};

/// What the flow came to: versions, names, events.
fn run(datagrams: &[(Direction, Vec<u8>)]) -> Vec<String> {
    let (mut parser, mut txs) = (Parser::default(), TxList::default());
    for (dir, bytes) in datagrams {
        parser.data(*dir, bytes, &mut txs);
    }
    let one = |tx: &crate::app::Transaction| {
        let Record::Quic(quic) = &tx.record else { return String::new() };
        let name = quic.sni().map(|sni| sni.escape_ascii().to_string());
        let events: Vec<&str> = tx.events.iter().map(|event| event.name).collect();
        format!("{} {name:?} {} {events:?}", version_name(quic.version), quic.server.is_some())
    };
    txs.iter().map(one).collect()
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap()).collect()
}

const ID: [u8; 8] = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];

/// The server's packet of RFC 9001 appendix A.3.
const SERVER: &str = "cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a5816b6394100f37a1c69\
    797554780bb38cc5a99f5ede4cf73c3ec2493a1839b3dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19\
    fb84022f8ef4cdd93795d77d06edbb7aaf2f58891850abbdca3d20398c276456cbc42158407dd074ee";

/// A client hello that asks for a name.
fn client_hello(name: &str) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap();
    let mut extensions = vec![0, 0, 0, length + 5, 0, length + 3, 0, 0, length];
    extensions.extend_from_slice(name.as_bytes());
    let mut body = vec![3, 3];
    body.extend_from_slice(&[7; 32]);
    body.extend_from_slice(&[0, 0, 2, 0x13, 1, 1, 0, 0, u8::try_from(extensions.len()).unwrap()]);
    body.extend_from_slice(&extensions);
    let mut message = vec![1, 0, 0, u8::try_from(body.len()).unwrap()];
    message.extend_from_slice(&body);
    message
}

/// A piece of the handshake stream in a frame.
fn crypto(offset: usize, bytes: &[u8]) -> Vec<u8> {
    let (offset, length) = (u8::try_from(offset).unwrap(), u8::try_from(bytes.len()).unwrap());
    [&[6, 0x40, offset, 0x40, length], bytes].concat()
}

/// An Initial packet of the client with these frames.
fn initial(version: u32, id: &[u8], number: u8, frames: &[u8]) -> Vec<u8> {
    let mut payload = frames.to_vec();
    payload.resize(payload.len().max(64), 0);
    let first = if version == VERSION_2 { 0xd0 } else { 0xc0 };
    let mut header = vec![first];
    header.extend_from_slice(&version.to_be_bytes());
    header.push(u8::try_from(id.len()).unwrap());
    header.extend_from_slice(id);
    header.extend_from_slice(&[0, 0]);
    let length = u16::try_from(payload.len() + 17).unwrap() | 0x4000;
    header.extend_from_slice(&length.to_be_bytes());
    header.push(number);
    Keys::initial(version, id).unwrap().seal(&header, number, &payload)
}

#[test]
fn the_packet_of_the_standard_is_opened() {
    let bytes = from_hex(SERVER);
    let packet = packet::next(&mut &bytes[..]).unwrap();
    let payload = Keys::initial(VERSION_1, &ID).unwrap().open(ToClient, &packet).unwrap();
    let mut stream = reassembly::Stream::default();
    assert_eq!(stream.frames(&payload), reassembly::Frames::Good);
    let (kind, body) = stream.message().unwrap();
    assert_eq!((kind, body.len()), (2, 0x56));
}

#[test]
fn hellos_of_all_versions_both_ways() {
    let hello = client_hello("example.org");
    for (version, name) in [
        (VERSION_1, "1"),
        (VERSION_2, "6b3343cf"),
        (0xff00_001d, "ff00001d"),
        (0xff00_001b, "ff00001b"),
    ] {
        let sent = initial(version, &ID, 0, &crypto(0, &hello));
        assert!(looks_like(&sent));
        assert_eq!(run(&[(ToServer, sent)]), [format!("{name} Some(\"example.org\") false []")]);
    }
    let both = [(ToServer, initial(1, &ID, 0, &crypto(0, &hello))), (ToClient, from_hex(SERVER))];
    assert_eq!(run(&both), ["1 Some(\"example.org\") false []", "1 None true []"]);
}

#[test]
fn a_hello_in_pieces_in_any_order() {
    let hello = client_hello("example.org");
    let (a, b) = hello.split_at(20);
    let (a, b) = (crypto(0, a), crypto(20, b));
    let expected = ["1 Some(\"example.org\") false []"];
    let together = [&b[..], &[1, 0], &a].concat();
    assert_eq!(run(&[(ToServer, initial(1, &ID, 0, &together))]), expected);
    let (first, second) = (initial(1, &ID, 0, &b), initial(1, &ID, 1, &a));
    assert_eq!(run(&[(ToServer, first.clone()), (ToServer, second.clone())]), expected);
    assert_eq!(run(&[(ToServer, [first, second].concat())]), expected);
}

#[test]
fn after_a_retry_the_client_begins_anew() {
    let hello = client_hello("example.org");
    let retry = [&[0xf0, 0, 0, 0, 1, 0, 4, 9, 9, 9, 9][..], &[0; 20]].concat();
    let found = run(&[
        (ToServer, initial(1, &ID, 0, &crypto(0, &hello))),
        (ToClient, retry.clone()),
        (ToServer, initial(1, &[9, 9, 9, 9], 1, &crypto(0, &hello))),
        (ToClient, retry),
    ]);
    assert_eq!(found, ["1 Some(\"example.org\") false []"; 2]);
}

#[test]
fn what_cannot_be_read_is_told() {
    let mut spoilt = initial(1, &ID, 0, &crypto(0, &client_hello("a")));
    *spoilt.last_mut().unwrap() ^= 1;
    let unknown = initial(1, &ID, 0, &[0x30]);
    let far = initial(1, &ID, 0, &[6, 0x80, 2, 0, 0, 1, 7]);
    let none = initial(1, &ID, 0, &crypto(0, &[9, 0, 0, 1, 7]));
    for (datagram, event) in [
        (spoilt, "failed_decrypt"),
        (unknown, "error_on_data"),
        (far, "crypto_frag_too_long"),
        (none, "error_on_data"),
    ] {
        assert_eq!(run(&[(ToServer, datagram)]), [format!("1 None false [{event:?}]")]);
    }
    // The server's packet alone cannot be opened by anybody.
    assert!(run(&[(ToClient, from_hex(SERVER))]).is_empty());
}

#[test]
fn hellos_of_googles_versions() {
    let mut hello = b"CHLO\x03\0\0\0PAD\0\x02\0\0\0SNI\0\x05\0\0\0UAID\x06\0\0\0".to_vec();
    hello.extend_from_slice(b"--abcz");
    let frame = [&[0xa0, 1, 0, u8::try_from(hello.len()).unwrap()][..], &hello].concat();
    let public = [&[0x09][..], &ID, b"Q043", &[1], &[0; 12], &frame].concat();
    let long = [&[0xc3][..], b"Q046", &[0x50], &ID, &[0, 0, 0, 1], &[0; 12], &frame].concat();
    for (datagram, name) in [(public, "Q043"), (long, "Q046")] {
        assert!(looks_like(&datagram), "{name}");
        let expected = [format!("{name} Some(\"abc\") false []")];
        assert_eq!(run(&[(ToServer, datagram)]), expected);
    }
}

proptest! {
    #[test]
    fn any_datagrams_are_survived(
        datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..100), 0..4),
        frames in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut all = vec![(ToServer, initial(1, &ID, 0, &frames))];
        all.extend(datagrams.into_iter().map(|bytes| (ToServer, [&[0xc0, 0, 0, 0, 1][..], &bytes].concat())));
        run(&all);
    }
}
