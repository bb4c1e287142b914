//! Entry points for fuzzers: any bytes, no panic, no unbounded work.

mod stream;
mod web;

pub use stream::fuzz_stream;
pub use web::{fuzz_dns, fuzz_http, fuzz_http2, fuzz_tls, fuzz_websocket};

use crate::app::detect::Transport;
use crate::app::{AppConfig, AppContext, AppLayer, TxList};
use crate::engine::InFlow;
use crate::{
    Chunk, Config, Direction, EndReason, Engine, Flow, LinkType, Meta, Packet, Protocol, Sink,
};

/// A sink that looks at everything and keeps nothing.
#[derive(Debug, Default)]
struct Looker {
    seen: usize,
}

impl Looker {
    fn look(&mut self, text: &str) {
        self.seen = self.seen.wrapping_add(text.len());
    }
}

impl Sink for Looker {
    fn chunk(&mut self, _flow: &Flow, chunk: &Chunk<'_>) {
        self.look(&format!("{chunk:?}"));
    }

    fn packet(&mut self, packet: &Packet<'_>, place: Option<InFlow<'_>>) {
        self.look(&format!("{:?}", packet.anomalies.iter().collect::<Vec<_>>()));
        if let Some(place) = place {
            for (tx, dir) in place.transactions.changed() {
                self.look(&format!("{tx:?}{dir:?}"));
            }
        }
    }

    fn flow_end(&mut self, flow: &mut Flow, transactions: &TxList, reason: EndReason) {
        self.look(&format!(
            "{}{reason:?}{}",
            flow.name().community_id(0),
            transactions.iter().count()
        ));
    }
}

/// Frames of one link type: a byte for the type, then frames with a length byte before each.
pub fn fuzz_packets(data: &[u8]) {
    let Some((kind, mut rest)) = data.split_first() else { return };
    let numbers = [1, 0, 101, 113, 276, 108, 9, 147];
    let link = numbers.get(usize::from(*kind & 7)).copied().unwrap_or(1);
    let config = Config { midstream: *kind & 8 != 0, ..Config::default() };
    let (mut engine, mut sink) = (Engine::new(config, 0), Looker::default());
    let mut number = 0;
    while let Some((len, tail)) = rest.split_first() {
        let (frame, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        rest = tail;
        number = u64::saturating_add(number, 1);
        let meta = Meta {
            ts: i64::from(*len).wrapping_mul(1_000_000),
            number,
            interface: 0,
            wire_len: u32::from(*len),
            link: LinkType::from_number(link),
        };
        engine.packet(meta, frame, &mut sink);
    }
    engine.finish(&mut sink);
}

/// Fragments of datagrams between two hosts: four bytes each for version and identification, offset
/// in units of eight, length in bytes, and the "more" flag with a step in time.
///
/// # Panics
/// When defragmentation counts what cannot be.
pub fn fuzz_fragments(data: &[u8]) {
    let mut config = Config::default();
    config.defrag.memory = 4096;
    config.defrag.datagrams = 8;
    let (mut engine, mut sink, mut ts) = (Engine::new(config, 0), Looker::default(), 0i64);
    for piece in data.chunks_exact(4) {
        let [kind, offset, length, more] = <[u8; 4]>::try_from(piece).unwrap_or_default();
        ts = ts.saturating_add(i64::from(more >> 1).saturating_mul(1_000_000));
        let frame = fragment(kind, u16::from(offset), usize::from(length), more & 1 == 1);
        let meta = Meta {
            ts,
            number: 1,
            interface: 0,
            wire_len: u32::try_from(frame.len()).unwrap_or(0),
            link: LinkType::Raw,
        };
        engine.packet(meta, &frame, &mut sink);
    }
    engine.finish(&mut sink);
    let stats = engine.stats().defrag;
    let gone = [stats.reassembled, stats.timeouts, stats.shed];
    let gone = gone.iter().fold(0u64, |sum, n| sum.saturating_add(*n));
    assert!(gone <= stats.fragments, "no more datagrams than fragments: {stats:?}");
}

fn fragment(kind: u8, offset: u16, length: usize, more: bool) -> Vec<u8> {
    let payload = vec![kind; length];
    let (id, place) = (kind & 0x7f, u16::saturating_mul(offset, 8));
    if kind & 0x80 == 0 {
        let total = u16::try_from(length.saturating_add(20)).unwrap_or(u16::MAX).to_be_bytes();
        let place = (place >> 3 | if more { 0x2000 } else { 0 }).to_be_bytes();
        let fields = [0x45, 0, total[0], total[1], 0, id, place[0], place[1], 64, 17, 0, 0];
        return [&fields[..], &[1; 4], &[2; 4], &payload].concat();
    }
    let claimed = u16::try_from(length.saturating_add(8)).unwrap_or(u16::MAX).to_be_bytes();
    let place = (place | u16::from(more)).to_be_bytes();
    let fields = [0x60, 0, 0, 0, claimed[0], claimed[1], 44, 64];
    let next = if kind & 1 == 0 { 44 } else { 17 };
    let header = [next, 0, place[0], place[1], 0, 0, 0, id];
    [&fields[..], &[1; 16], &[2; 16], &header, &payload].concat()
}

/// How sessions begin, so that what follows gets into the parsers.
const BEGINNINGS: &[&[(Direction, &[u8])]] = &[
    &[],
    &[(Direction::ToClient, b"220 a ESMTP\r\n"), (Direction::ToServer, b"EHLO b\r\n")],
    &[
        (Direction::ToClient, b"220 a ESMTP\r\n"),
        (Direction::ToServer, b"DATA\r\n"),
        (Direction::ToClient, b"354 \r\n"),
        (Direction::ToServer, b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"),
    ],
    &[(Direction::ToClient, b"220 a FTP\r\n"), (Direction::ToServer, b"PASV\r\n")],
    &[(Direction::ToServer, b"SSH-2.0-a\r\n"), (Direction::ToClient, b"SSH-2.0-b\r\n")],
    &[
        (Direction::ToServer, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
        (Direction::ToClient, b"\0\0\0\x04\0\0\0\0\0"),
    ],
    &[(Direction::ToClient, b"RFB 003.008\n"), (Direction::ToServer, b"RFB 003.008\n")],
];

/// A mail and a form, each read whole and in two pieces, which must come to the same.
///
/// # Panics
/// When it does not.
pub fn fuzz_mime(data: &[u8]) {
    let Some((cut, body)) = data.split_first() else { return };
    let (a, b) = body.split_at_checked(usize::from(*cut)).unwrap_or((body, &[]));
    assert_eq!(mail(&[body]), mail(&[a, b]), "a mail in pieces");
    assert_eq!(form(&[body]), form(&[a, b]), "a form in pieces");
}

fn mail(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Vec<Vec<u8>>, u64) {
    use crate::app::mime::{Config, Mail, Out, Parser};
    let config = Config { body_md5: true, ..Config::default() };
    let mut parser =
        Parser::new(Direction::ToServer, &config, &crate::app::file::FileConfig::default());
    let (mut mail, mut files, mut events) = (Mail::default(), Vec::new(), Vec::new());
    let mut out = Out { mail: &mut mail, files: &mut files, events: &mut events };
    for piece in pieces {
        parser.data(piece, &mut out);
    }
    parser.end(&mut out);
    let size = files.iter().fold(0u64, |sum, file| sum.wrapping_add(file.size()));
    (mail.attachments, mail.urls, size)
}

fn form(pieces: &[&[u8]]) -> (Vec<u8>, usize) {
    use crate::app::mime::{Piece, Splitter};
    let mut splitter = Splitter::new(b"b");
    let (mut content, mut parts) = (Vec::new(), 0usize);
    let mut take = |piece: Piece<'_>| match piece {
        Piece::Begin(_) => parts = usize::wrapping_add(parts, 1),
        Piece::Data(bytes) => content.extend_from_slice(bytes),
        Piece::End => content.push(b'|'),
    };
    for piece in pieces {
        splitter.data(piece, &mut take);
    }
    splitter.end(&mut take);
    (content, parts)
}

/// Application data: a byte for transport and beginning, then pieces with a byte before each for
/// direction, gap and length.
pub fn fuzz_app(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let transport = if *kind & 1 == 0 { Transport::Tcp } else { Transport::Udp };
    let config = AppConfig::default();
    let cx = AppContext { config: &config, transport, ports: (50_000, 53) };
    let mut app = AppLayer::default();
    for (dir, bytes) in BEGINNINGS.get(usize::from(kind >> 1 & 7)).copied().unwrap_or_default() {
        app.data(*dir, bytes, &cx);
    }
    pieces(rest, &mut app, &cx, |piece| piece.to_vec());
}

/// SMB: see [`parser`]; each piece is a message of version 1, 2 or an encrypted one.
pub fn fuzz_smb(data: &[u8]) {
    parser(Protocol::Smb, data, |piece| {
        let version = piece.first().map_or(0xfe, |byte| 0xfd_u8.saturating_add(byte % 3));
        let message = [&[version][..], b"SMB", piece.get(1..).unwrap_or_default()].concat();
        counted(&message)
    });
}

/// DCERPC: see [`parser`]; each piece is a fragment, its first byte says of what kind.
pub fn fuzz_dcerpc(data: &[u8]) {
    parser(Protocol::Dcerpc, data, |piece| {
        let kind = piece.first().map_or(0, |byte| byte % 21);
        let body = piece.get(1..).unwrap_or_default();
        let length = u16::try_from(body.len().saturating_add(16)).unwrap_or(u16::MAX).to_le_bytes();
        let head = [5, 0, kind, 3, 0x10, 0, 0, 0, length[0], length[1], 0, 0, 1, 0, 0, 0];
        [&head[..], body].concat()
    });
}

/// SNMP: see [`parser`]; each piece is in a sequence of version 1, 2c or 3.
pub fn fuzz_snmp(data: &[u8]) {
    parser(Protocol::Snmp, data, |piece| {
        let version = piece.first().map_or(0, |byte| byte & 3);
        let length = u16::try_from(piece.len().saturating_add(2)).unwrap_or(u16::MAX).to_be_bytes();
        let head = [0x30, 0x82, length[0], length[1], 2, 1, version];
        [&head[..], piece.get(1..).unwrap_or_default()].concat()
    });
}

/// SIP: see [`parser`]; each piece has a first line before it and a blank one behind it.
pub fn fuzz_sip(data: &[u8]) {
    parser(Protocol::Sip, data, |piece| {
        [b"OPTIONS sip:a SIP/2.0\r\nl: 4\r\n", piece, b"\r\n\r\n"].concat()
    });
}

/// Kerberos: see [`parser`]; each piece is a sequence in an application tag, with its length.
pub fn fuzz_krb5(data: &[u8]) {
    parser(Protocol::Krb5, data, |piece| {
        let tag = piece.first().map_or(0x6a, |byte| 0x6a_u8.saturating_add(byte % 5));
        let tag = if tag == 0x6e { 0x7e } else { tag };
        let body = piece.get(1..).unwrap_or_default();
        let [high, low] = u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes();
        let inner = [&[0x30, 0x82, high, low][..], body].concat();
        let [high, low] = u16::try_from(inner.len()).unwrap_or(u16::MAX).to_be_bytes();
        counted(&[&[tag, 0x82, high, low][..], &inner].concat())
    });
}

/// LDAP: see [`parser`]; each piece is an operation in a message.
pub fn fuzz_ldap(data: &[u8]) {
    parser(Protocol::Ldap, data, |piece| {
        let tag = piece.first().map_or(0x63, |byte| 0x40 | byte & 0x3f);
        let body = piece.get(1..).unwrap_or_default();
        let [high, low] = u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes();
        let inner = [&[2, 1, 1, tag, 0x82, high, low][..], body].concat();
        let [high, low] = u16::try_from(inner.len()).unwrap_or(u16::MAX).to_be_bytes();
        [&[0x30, 0x82, high, low][..], &inner].concat()
    });
}

/// QUIC: see [`parser`]; each piece is what follows the head of a packet.
pub fn fuzz_quic(data: &[u8]) {
    parser(Protocol::Quic, data, |piece| match piece.first() {
        Some(byte) if byte & 1 == 0 => [&[0xc0, 0, 0, 0, 1][..], piece].concat(),
        _ => [&[0xc3][..], b"Q046\x50", piece].concat(),
    });
}

/// RFB: see [`parser`].
pub fn fuzz_rfb(data: &[u8]) {
    parser(Protocol::Rfb, data, <[u8]>::to_vec);
}

/// POP3: see [`parser`]; each piece is a line.
pub fn fuzz_pop3(data: &[u8]) {
    parser(Protocol::Pop3, data, |piece| [piece, b"\r\n"].concat());
}

/// DHCP: see [`parser`]; each piece is what options a message has.
pub fn fuzz_dhcp(data: &[u8]) {
    parser(Protocol::Dhcp, data, |piece| {
        let mut message = vec![1, 1, 6];
        message.resize(236, 0);
        [&message[..], &[0x63, 0x82, 0x53, 0x63], piece].concat()
    });
}

/// SSH: see [`parser`]; each piece is a packet behind the banners.
pub fn fuzz_ssh(data: &[u8]) {
    parser(Protocol::Ssh, data, |piece| {
        let message = [&[4, 20][..], piece, &[0; 4]].concat();
        counted(&message)
    });
}

/// SMTP: see [`parser`]; each piece is a line.
pub fn fuzz_smtp(data: &[u8]) {
    parser(Protocol::Smtp, data, |piece| [piece, b"\r\n"].concat());
}

/// FTP: see [`parser`]; each piece is a line.
pub fn fuzz_ftp(data: &[u8]) {
    parser(Protocol::Ftp, data, |piece| [piece, b"\r\n"].concat());
}

/// A message with its length before it.
fn counted(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&length[..], message].concat()
}

/// How a session of this protocol begins, for those whose parser waits for it.
fn beginning(protocol: Protocol, which: u8) -> &'static [(Direction, &'static [u8])] {
    let at = match protocol {
        Protocol::Smtp => 1_usize.saturating_add(usize::from(which & 1)),
        Protocol::Ftp => 3,
        Protocol::Ssh => 4,
        Protocol::Http2 => 5,
        Protocol::Rfb => 6,
        _ => 0,
    };
    BEGINNINGS.get(at).copied().unwrap_or_default()
}

/// One parser from its first byte on. A byte says transport, beginning and whether pieces are as they
/// come or made into messages, so that a fuzzer need not find lengths; then pieces as in [`fuzz_app`].
fn parser(protocol: Protocol, data: &[u8], message: impl Fn(&[u8]) -> Vec<u8>) {
    let Some((kind, rest)) = data.split_first() else { return };
    let transport = if *kind & 1 == 0 { Transport::Tcp } else { Transport::Udp };
    let config = AppConfig { frames: *kind & 0x80 != 0, ..AppConfig::default() };
    let cx = AppContext { config: &config, transport, ports: (50_000, 50_001) };
    let mut app = AppLayer::started(protocol, &cx);
    if *kind & 2 == 0 {
        for (dir, bytes) in beginning(protocol, kind >> 3) {
            app.data(*dir, bytes, &cx);
        }
    }
    let raw = *kind & 4 != 0;
    pieces(rest, &mut app, &cx, |piece| if raw { piece.to_vec() } else { message(piece) });
}

/// Gives pieces to a flow, and ends it.
fn pieces(
    mut rest: &[u8],
    app: &mut AppLayer,
    cx: &AppContext<'_>,
    message: impl Fn(&[u8]) -> Vec<u8>,
) {
    while let Some((head, tail)) = rest.split_first() {
        let dir = if head & 1 == 0 { Direction::ToServer } else { Direction::ToClient };
        let (piece, tail) = tail.split_at(usize::from(head >> 2).saturating_mul(4).min(tail.len()));
        rest = tail;
        if head & 2 != 0 && piece.len() > 200 {
            app.gap(dir, u64::from(*head));
        } else {
            app.data(dir, &message(piece), cx);
        }
        app.settle(None);
    }
    app.finish();
    assert!(app.open().changed().count() <= 1026, "transactions are bounded");
}
