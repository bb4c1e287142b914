use proptest::prelude::*;

use super::*;
use crate::flow::Direction::{ToClient, ToServer};

/// The frames of a session, as `kind offset+length bytes`.
fn run(protocol: Protocol, transport: Transport, pieces: &[(Direction, &[u8])]) -> Vec<String> {
    let mut frames = Frames::new(protocol, transport, PerDirection::default()).unwrap();
    let mut found = Found::default();
    for (dir, bytes) in pieces {
        frames.data(*dir, bytes, &mut found);
    }
    frames.cut(ToServer, &mut found);
    frames.cut(ToClient, &mut found);
    let one = |frame: &Frame| {
        let end = if frame.complete { "" } else { "..." };
        let bytes = frame.bytes.escape_ascii();
        format!("{} {}+{} {bytes}{end}", frame.kind, frame.offset, frame.length)
    };
    found.list().iter().map(one).collect()
}

/// The same in single bytes.
fn single(pieces: &[(Direction, &'static [u8])]) -> Vec<(Direction, &'static [u8])> {
    pieces.iter().flat_map(|(dir, bytes)| bytes.chunks(1).map(|byte| (*dir, byte))).collect()
}

fn check(protocol: Protocol, pieces: &[(Direction, &'static [u8])], expected: &[&str]) {
    assert_eq!(run(protocol, Transport::Tcp, pieces), expected, "{protocol:?}");
    assert_eq!(run(protocol, Transport::Tcp, &single(pieces)), expected, "{protocol:?} in bytes");
}

#[test]
fn units_with_a_length() {
    check(
        Protocol::Dcerpc,
        &[(ToServer, b"\x05\0\x0b\x03\x10\0\0\0\x12\0\0\0\x01\0\0\0ab\x05\0")],
        &[
            r"pdu 0+18 \x05\x00\x0b\x03\x10\x00\x00\x00\x12\x00\x00\x00\x01\x00\x00\x00ab",
            r"hdr 0+16 \x05\x00\x0b\x03\x10\x00\x00\x00\x12\x00\x00\x00\x01\x00\x00\x00",
            "data 16+2 ab",
        ],
    );
    check(
        Protocol::Ssh,
        &[(ToServer, b"SSH-2.0-a\r\n\0\0\0\x04\x01\x14xy\0\0\0\x02\x01\x15\0\0\0\0encrypted")],
        &[
            r"record.pdu 11+8 \x00\x00\x00\x04\x01\x14xy",
            r"record.hdr 11+6 \x00\x00\x00\x04\x01\x14",
            "record.data 17+2 xy",
            r"record.pdu 19+6 \x00\x00\x00\x02\x01\x15",
            r"record.hdr 19+6 \x00\x00\x00\x02\x01\x15",
        ],
    );
    check(
        Protocol::Tls,
        &[(ToClient, b"\x15\x03\x03\0\x02\x02\x28\x17\x03\x03\0\x09abc")],
        &[
            r"pdu 0+7 \x15\x03\x03\x00\x02\x02(",
            r"hdr 0+5 \x15\x03\x03\x00\x02",
            r"data 5+2 \x02(",
            r"alert_data 5+2 \x02(",
            r"pdu 7+8 \x17\x03\x03\x00\tabc...",
            r"hdr 7+5 \x17\x03\x03\x00\t",
            "data 12+3 abc...",
        ],
    );
    check(Protocol::Dns, &[(ToServer, b"\0\x02ab\0\0")], &["pdu 2+2 ab", "pdu 6+0 "]);
    check(
        Protocol::Websocket,
        &[(ToServer, b"\x81\x81KEYSz"), (ToClient, b"\x82\x7e\0\x01q")],
        &[
            r"pdu 0+7 \x81\x81KEYSz",
            r"header 0+6 \x81\x81KEYS",
            "data 6+1 z",
            r"pdu 0+5 \x82~\x00\x01q",
            r"header 0+4 \x82~\x00\x01",
            "data 4+1 q",
        ],
    );
}

#[test]
fn messages_with_a_head() {
    let http: &[(Direction, &'static [u8])] = &[
        (ToServer, b"\r\nPOST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcHEAD /b HTTP/1.1\r\n\r\n"),
        (ToClient, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"),
        (ToClient, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\n\r\nrest"),
    ];
    check(
        Protocol::Http,
        http,
        &[
            r"request 2+41 POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
            r"request 43+20 HEAD /b HTTP/1.1\r\n\r\n",
            r"response 0+58 HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
            r"response 58+38 HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
            r"response 96+23 HTTP/1.1 200 OK\r\n\r\nrest",
        ],
    );
    check(
        Protocol::Sip,
        &[(ToServer, b"INVITE a SIP/2.0\r\nVia: b\r\nContent-Length: 2\r\n\r\nxy\r\n")],
        &[
            r"pdu 0+49 INVITE a SIP/2.0\r\nVia: b\r\nContent-Length: 2\r\n\r\nxy",
            r"request.line 0+18 INVITE a SIP/2.0\r\n",
            r"request.headers 18+27 Via: b\r\nContent-Length: 2\r\n",
            "request.body 47+2 xy",
        ],
    );
}

#[test]
fn lines_and_datagrams() {
    check(
        Protocol::Smtp,
        &[
            (ToServer, b"DATA\r\n"),
            (ToClient, b"354 go\r\n"),
            (ToServer, b"a\r\n..\r\n.\r\nQUIT\r\nbeg"),
        ],
        &[
            r"command_line 0+6 DATA\r\n",
            r"response_line 0+8 354 go\r\n",
            r"data 6+10 a\r\n..\r\n.\r\n",
            r"command_line 16+6 QUIT\r\n",
            "command_line 22+3 beg...",
        ],
    );
    let two: &[(Direction, &[u8])] = &[(ToServer, b"one"), (ToServer, b"two")];
    assert_eq!(run(Protocol::Dns, Transport::Udp, two), ["pdu 0+3 one", "pdu 3+3 two"]);
}

#[test]
fn frames_that_wait_are_bounded_and_their_loss_is_counted() {
    let mut frames = Frames::new(Protocol::Dns, Transport::Tcp, PerDirection::default()).unwrap();
    let mut found = Found::default();
    frames.data(ToServer, &[0; 4 * MAX_WAITING], &mut found);
    assert_eq!(found.list().len(), MAX_WAITING);
    assert_eq!(found.lost(), u64::try_from(MAX_WAITING).unwrap());
    found.settle(Some(ToClient));
    assert_eq!(found.list().len(), MAX_WAITING);
    found.settle(None);
    assert!(found.list().is_empty());
}

const FRAMED: [Protocol; 10] = [
    Protocol::Http,
    Protocol::Smtp,
    Protocol::Sip,
    Protocol::Dcerpc,
    Protocol::Ssh,
    Protocol::Tls,
    Protocol::Smb,
    Protocol::Websocket,
    Protocol::Http2,
    Protocol::Ldap,
];

proptest! {
    #[test]
    fn any_pieces_give_the_same_frames(
        which in 0..FRAMED.len(),
        up in proptest::collection::vec(any::<u8>(), 0..200),
        cut in 0..200_usize,
    ) {
        let whole = run(FRAMED[which], Transport::Tcp, &[(ToServer, &up)]);
        let (a, b) = up.split_at(cut.min(up.len()));
        let parts = run(FRAMED[which], Transport::Tcp, &[(ToServer, a), (ToServer, b)]);
        prop_assert_eq!(parts, whole);
    }
}
