//! Packets for tests, built here and never captured, and a sink that writes down what it sees.

use std::fmt::Write as _;

use etherparse::PacketBuilder;

use crate::app::{Record, TxList};
use crate::engine::InFlow;
use crate::{
    Chunk, Config, Content, Direction, EndReason, Engine, Flow, LinkType, Meta, Packet, Sink,
};

pub(crate) const CLIENT: [u8; 4] = [10, 0, 0, 1];
pub(crate) const SERVER: [u8; 4] = [10, 0, 0, 2];

pub(crate) fn meta(ts: i64, len: usize) -> Meta {
    Meta {
        ts,
        number: 1,
        interface: 0,
        wire_len: u32::try_from(len).unwrap(),
        link: LinkType::Ethernet,
    }
}

/// An Ethernet frame with UDP.
pub(crate) fn udp(dir: Direction, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let (src, dst, sport, dport) = match dir {
        Direction::ToServer => (CLIENT, SERVER, ports.0, ports.1),
        Direction::ToClient => (SERVER, CLIENT, ports.1, ports.0),
    };
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(src, dst, 64).udp(sport, dport);
    let mut out = Vec::new();
    builder.write(&mut out, payload).unwrap();
    out
}

/// A TCP conversation being made.
pub(crate) struct Tcp {
    pub(crate) ports: (u16, u16),
    pub(crate) next: [u32; 2],
    pub(crate) engine: Engine,
    pub(crate) log: Log,
    pub(crate) ts: i64,
}

impl Tcp {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            ports: (40_000, 80),
            next: [0xffff_fff0, 1000],
            engine: Engine::new(config, 0),
            log: Log::default(),
            ts: 1_000_000,
        }
    }

    /// Three-way handshake done.
    pub(crate) fn connected(config: Config) -> Self {
        let mut tcp = Self::new(config);
        tcp.send(Direction::ToServer, "S", b"");
        tcp.send(Direction::ToClient, "SA", b"");
        tcp.send(Direction::ToServer, "A", b"");
        tcp
    }

    pub(crate) fn frame(&self, dir: Direction, flags: &str, at: u32, payload: &[u8]) -> Vec<u8> {
        let ack = self.next[dir.reverse().index()];
        let (src, dst, sport, dport) = match dir {
            Direction::ToServer => (CLIENT, SERVER, self.ports.0, self.ports.1),
            Direction::ToClient => (SERVER, CLIENT, self.ports.1, self.ports.0),
        };
        let ip = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(src, dst, 64);
        let mut builder = ip.tcp(sport, dport, at, 65_000);
        for flag in flags.chars() {
            builder = match flag {
                'S' => builder.syn(),
                'A' => builder.ack(ack),
                'F' => builder.fin(),
                'R' => builder.rst(),
                'P' => builder.psh(),
                _ => panic!("no such flag"),
            };
        }
        let mut out = Vec::new();
        builder.write(&mut out, payload).unwrap();
        out
    }

    /// Takes in a frame as it is.
    pub(crate) fn raw(&mut self, frame: &[u8]) {
        self.ts += 1000;
        self.engine.packet(meta(self.ts, frame.len()), frame, &mut self.log);
    }

    /// The next segment of a side.
    pub(crate) fn send(&mut self, dir: Direction, flags: &str, payload: &[u8]) {
        let at = self.next[dir.index()];
        let frame = self.frame(dir, flags, at, payload);
        let control = u32::from(flags.contains('S')) + u32::from(flags.contains('F'));
        let length = u32::try_from(payload.len()).unwrap();
        self.next[dir.index()] = at.wrapping_add(length).wrapping_add(control);
        self.raw(&frame);
    }

    pub(crate) fn client_says(&mut self, payload: &[u8]) {
        self.send(Direction::ToServer, "A", payload);
    }

    pub(crate) fn server_says(&mut self, payload: &[u8]) {
        self.send(Direction::ToClient, "A", payload);
    }

    /// Ends all flows; everything the sink saw.
    pub(crate) fn finish(mut self) -> String {
        self.engine.finish(&mut self.log);
        self.log.text
    }
}

/// What a sink saw, as text.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) text: String,
    /// Stream bytes per direction, gaps as `<n>`.
    pub(crate) stream: [Vec<u8>; 2],
    pub(crate) packets: usize,
    /// Transaction, direction of its news, number of the packet with which it was inspected.
    pub(crate) inspected: Vec<(u64, Direction, usize)>,
    pub(crate) ended: usize,
}

impl Log {
    fn transactions(&mut self, transactions: &TxList) {
        for (tx, dir) in transactions.changed() {
            let what = match &tx.record {
                Record::Http(http) => format!(
                    "http {} {} -> {} {:?}",
                    http.request.method.escape_ascii(),
                    http.request.uri.escape_ascii(),
                    http.response.status.escape_ascii(),
                    String::from_utf8_lossy(http.response.body.data()),
                ),
                Record::Dns(dns) => format!("dns {:04x}", dns.id),
                Record::Http2(http2) => format!("http2 {}", http2.stream),
                Record::Websocket(frame) => format!("websocket {}", frame.opcode),
                Record::Tls(tls) => format!("tls {:?}", tls.sni().map(<[u8]>::escape_ascii)),
                Record::Smtp(smtp) => format!("smtp {}", smtp.mail_from.escape_ascii()),
                Record::Ftp(ftp) => format!("ftp {:?}", ftp.command),
                Record::FtpData(transfer) => format!(
                    "ftp-data {:?} {:?}",
                    transfer,
                    tx.files.first().map(|file| file.data().escape_ascii().to_string())
                ),
                Record::Ssh(ssh) => {
                    format!("ssh {}", ssh.sides.to_server.software.escape_ascii())
                }
                other => format!("{other:?}"),
            };
            let progress = tx.progress(dir);
            writeln!(self.text, "tx {} {dir:?} {progress}: {what}", tx.id).unwrap();
            for event in &tx.events {
                writeln!(self.text, "  event {:?} {}", event.dir, event.name).unwrap();
            }
        }
    }
}

impl Sink for Log {
    fn chunk(&mut self, _flow: &Flow, chunk: &Chunk<'_>) {
        let stream = &mut self.stream[chunk.dir.index()];
        match chunk.content {
            Content::Data(bytes) => stream.extend_from_slice(bytes),
            Content::Gap(n) => stream.extend_from_slice(format!("<{n}>").as_bytes()),
        }
    }

    fn packet(&mut self, packet: &Packet<'_>, place: Option<InFlow<'_>>) {
        self.packets += 1;
        for event in packet.anomalies.iter() {
            writeln!(self.text, "anomaly {}", event.name()).unwrap();
        }
        if let Some(place) = place {
            self.transactions(place.transactions);
            let only = place.one_way.then_some(place.dir);
            for (tx, dir) in place.transactions.to_inspect(only) {
                self.inspected.push((tx.id, dir, self.packets));
            }
        }
    }

    fn flow_end(&mut self, flow: &mut Flow, transactions: &TxList, reason: EndReason) {
        self.ended += 1;
        self.transactions(transactions);
        let (packets, state) = (flow.packets(), flow.tcp_state().name());
        let protocol = flow.protocol().name();
        let (up, down) = (packets.to_server, packets.to_client);
        writeln!(self.text, "flow {protocol} {up}/{down} {state} {reason:?}").unwrap();
    }
}

/// Bytes that look random and are the same in every run.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            u8::try_from(state >> 32 & 0xff).unwrap()
        })
        .collect()
}

/// The Internet checksum (RFC 1071) of some pieces, for headers built here.
pub(crate) fn checksum(pieces: &[&[u8]]) -> [u8; 2] {
    let mut sum: u32 = 0;
    for (n, byte) in pieces.concat().iter().enumerate() {
        sum += u32::from(*byte) << (if n % 2 == 0 { 8 } else { 0 });
    }
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!u16::try_from(sum).unwrap()).to_be_bytes()
}

fn len16(n: usize) -> [u8; 2] {
    u16::try_from(n).unwrap().to_be_bytes()
}

/// An Ethernet header of that type around a body.
pub(crate) fn ether(kind: u16, body: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], &kind.to_be_bytes()[..], body].concat()
}

/// A VLAN tag and what follows it: the body of an Ethernet frame of type 0x8100.
pub(crate) fn vlan(id: u16, kind: u16, body: &[u8]) -> Vec<u8> {
    [&id.to_be_bytes()[..], &kind.to_be_bytes(), body].concat()
}

/// An IPv4 packet with options (a multiple of four bytes) and a right checksum.
pub(crate) fn ipv4(proto: u8, options: &[u8], body: &[u8]) -> Vec<u8> {
    ipv4_piece(proto, options, (0, 0, false), body)
}

/// An IPv4 fragment: identification, offset in bytes, whether more follow.
pub(crate) fn ipv4_piece(
    proto: u8,
    options: &[u8],
    (id, offset, more): (u16, u16, bool),
    body: &[u8],
) -> Vec<u8> {
    assert!(options.len().is_multiple_of(4) && offset.is_multiple_of(8));
    let words = u8::try_from(5 + options.len() / 4).unwrap();
    let mut header = vec![0x40 | words, 0];
    header.extend(len16(usize::from(words) * 4 + body.len()));
    header.extend(id.to_be_bytes());
    let more = if more { 0x2000 } else { 0 };
    header.extend((offset / 8 + more).to_be_bytes());
    header.extend([64, proto, 0, 0]);
    header.extend(CLIENT);
    header.extend(SERVER);
    header.extend(options);
    let sum = checksum(&[&header]);
    header[10..12].copy_from_slice(&sum);
    header.extend(body);
    header
}

pub(crate) const CLIENT6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
pub(crate) const SERVER6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

/// An IPv6 packet whose first header after the fixed one is `next`.
pub(crate) fn ipv6(next: u8, body: &[u8]) -> Vec<u8> {
    let fixed = [&[0x60, 0, 0, 0], &len16(body.len())[..], &[next, 64]].concat();
    [&fixed[..], &CLIENT6, &SERVER6, body].concat()
}

/// An IPv6 fragment header and its piece: the body of an IPv6 packet with next header 44.
pub(crate) fn ipv6_piece(next: u8, (id, offset, more): (u32, u16, bool), body: &[u8]) -> Vec<u8> {
    let place = (offset | u16::from(more)).to_be_bytes();
    [&[next, 0], &place[..], &id.to_be_bytes(), body].concat()
}

/// A UDP header without checksum and its payload.
pub(crate) fn udp_body(ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let (src, dst) = (ports.0.to_be_bytes(), ports.1.to_be_bytes());
    [&src[..], &dst, &len16(8 + payload.len()), &[0, 0], payload].concat()
}

/// A TCP header with options (a multiple of four bytes) and a payload; the checksum is that of the
/// IPv4 addresses used here.
pub(crate) fn tcp_body(flags: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let words = u8::try_from(5 + options.len() / 4).unwrap();
    let mut out = vec![0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, words << 4, flags];
    out.extend([0xff, 0xff, 0, 0, 0, 0]);
    out.extend(options);
    out.extend(payload);
    let sum = checksum(&[&CLIENT, &SERVER, &[0, 6], &len16(out.len()), &out]);
    out[16..18].copy_from_slice(&sum);
    out
}
