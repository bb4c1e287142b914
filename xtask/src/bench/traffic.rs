//! A capture made by code: the same bytes every time, so that what they cost can be compared.
//!
//! Sessions of DNS, HTTP, TLS and plain bulk TCP between a few hundred hosts, several at a time. Not
//! traffic as it is anywhere: it goes through every stage of the sensor, in known shares.

use std::io::{self, Write};

/// A packet with its time in microseconds since the first one.
struct Packet {
    micros: u64,
    frame: Vec<u8>,
}

/// Numbers that look random and are always the same (an xorshift of 64 bits, Marsaglia 2003).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn low_byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.low_byte()).collect()
    }
}

/// Ones' complement sum of RFC 1071 over big-endian words.
fn sum(parts: &[&[u8]]) -> u16 {
    let bytes: Vec<u8> = parts.concat();
    let words = bytes
        .chunks(2)
        .map(|word| u32::from(u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or(0)])));
    let mut total: u32 = words.sum();
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    !u16::try_from(total).unwrap_or(0)
}

fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes()
}

/// A frame around a transport header whose checksum is still to be put at `place`.
fn frame(protocol: u8, from: [u8; 4], to: [u8; 4], transport: &[u8], place: usize) -> Vec<u8> {
    let mut transport = transport.to_vec();
    let size = length(transport.len());
    let pseudo = [&from[..], &to, &[0, protocol], &size].concat();
    let check = sum(&[&pseudo, &transport]).to_be_bytes();
    transport[place..place + 2].copy_from_slice(&check);
    let total = length(transport.len() + 20);
    let mut ip = [0x45, 0, total[0], total[1], 0, 0, 0x40, 0, 64, protocol, 0, 0].to_vec();
    ip.extend(from);
    ip.extend(to);
    let check = sum(&[&ip]).to_be_bytes();
    ip[10..12].copy_from_slice(&check);
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0][..], &ip, &transport].concat()
}

/// One TCP connection being written.
struct Connection {
    ends: [([u8; 4], u16); 2],
    next: [u32; 2],
    micros: u64,
}

impl Connection {
    fn send(&mut self, side: usize, flags: u8, payload: &[u8], into: &mut Vec<Packet>) {
        let (from, to) = (self.ends[side], self.ends[1 - side]);
        let mut header = [from.1.to_be_bytes(), to.1.to_be_bytes()].concat();
        header.extend(self.next[side].to_be_bytes());
        header.extend(self.next[1 - side].to_be_bytes());
        header.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        header.extend(payload);
        let step = u32::try_from(payload.len()).unwrap_or(0) + u32::from(flags & 3 != 0);
        self.next[side] = self.next[side].wrapping_add(step);
        into.push(Packet { micros: self.micros, frame: frame(6, from.0, to.0, &header, 16) });
        self.micros += 150;
    }

    fn open(&mut self, into: &mut Vec<Packet>) {
        self.send(0, 0x02, b"", into);
        self.send(1, 0x12, b"", into);
        self.send(0, 0x10, b"", into);
    }

    /// Data in segments, each second one acknowledged.
    fn data(&mut self, side: usize, bytes: &[u8], into: &mut Vec<Packet>) {
        for (number, piece) in bytes.chunks(1448).enumerate() {
            self.send(side, 0x18, piece, into);
            if number % 2 == 1 {
                self.send(1 - side, 0x10, b"", into);
            }
        }
        self.send(1 - side, 0x10, b"", into);
    }

    fn close(&mut self, into: &mut Vec<Packet>) {
        self.send(0, 0x11, b"", into);
        self.send(1, 0x11, b"", into);
        self.send(0, 0x10, b"", into);
    }
}

fn name(numbers: &mut Numbers) -> String {
    format!("host-{:x}.site-{}.example", numbers.below(1 << 24), numbers.below(200))
}

fn dns(numbers: &mut Numbers, client: [u8; 4], micros: u64, into: &mut Vec<Packet>) {
    let port = 20_000 + u16::try_from(numbers.below(40_000)).unwrap_or(0);
    let id = length(usize::try_from(numbers.below(65_536)).unwrap_or(0));
    let mut question = Vec::new();
    for label in name(numbers).split('.') {
        question.push(u8::try_from(label.len()).unwrap_or(0));
        question.extend(label.bytes());
    }
    question.extend([0, 0, 1, 0, 1]);
    let query = [&id[..], &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0], &question].concat();
    let address = numbers.bytes(4);
    let record = [&[0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 0, 0, 4][..], &address].concat();
    let answer = [&id[..], &[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0], &question, &record].concat();
    let server = ([10, 0, 0, 53], 53_u16);
    let sides = [((client, port), server, query, 0), (server, (client, port), answer, 900)];
    for (from, to, payload, later) in sides {
        let mut header = [from.1.to_be_bytes(), to.1.to_be_bytes()].concat();
        header.extend(length(payload.len() + 8));
        header.extend([0, 0]);
        header.extend(payload);
        into.push(Packet { micros: micros + later, frame: frame(17, from.0, to.0, &header, 6) });
    }
}

fn http(numbers: &mut Numbers, tcp: &mut Connection, into: &mut Vec<Packet>) {
    tcp.open(into);
    for _ in 0..=numbers.below(3) {
        let request = format!(
            "GET /path/{:x}/page.html?item={} HTTP/1.1\r\nHost: {}\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) Generated/1.0\r\nAccept: text/html\r\nAccept-Encoding: identity\r\nConnection: keep-alive\r\n\r\n",
            numbers.below(1 << 32),
            numbers.below(1000),
            name(numbers),
        );
        tcp.data(0, request.as_bytes(), into);
        let text = "<p>Words that a page has, line after line, until it is long enough.</p>\n";
        let body = text.repeat(1 + usize::try_from(numbers.below(120)).unwrap_or(0));
        let head = format!(
            "HTTP/1.1 200 OK\r\nServer: generated\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        tcp.data(1, [head.as_bytes(), body.as_bytes()].concat().as_slice(), into);
    }
    tcp.close(into);
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3][..], &length(body.len()), body].concat()
}

fn tls(numbers: &mut Numbers, tcp: &mut Connection, into: &mut Vec<Packet>) {
    let host = name(numbers);
    let entry = [&[0][..], &length(host.len()), host.as_bytes()].concat();
    let list = [&length(entry.len())[..], &entry].concat();
    let mut extensions = [&[0, 0][..], &length(list.len()), &list].concat();
    extensions
        .extend([0, 10, 0, 4, 0, 2, 0, 29, 0, 11, 0, 2, 1, 0, 0, 16, 0, 5, 0, 3, 2, b'h', b'2']);
    extensions.extend([0, 43, 0, 3, 2, 3, 4]);
    let hello = |start: &[u8], extensions: &[u8], kind: u8, random: &[u8]| {
        let body =
            [&[3, 3][..], random, &[0], start, &length(extensions.len()), extensions].concat();
        let size = length(body.len());
        record(22, &[&[kind, 0, size[0], size[1]][..], &body].concat())
    };
    let suites = [0, 6, 0x13, 1, 0x13, 2, 0xc0, 0x2f, 1, 0];
    let client = hello(&suites, &extensions, 1, &numbers.bytes(32));
    let server = hello(&[0x13, 1, 0], &[0, 43, 0, 2, 3, 4], 2, &numbers.bytes(32));
    tcp.open(into);
    tcp.data(0, &client, into);
    let secret = record(23, &numbers.bytes(2_400));
    tcp.data(1, &[server, record(20, &[1]), secret].concat(), into);
    for side in [0, 1, 0, 1] {
        let size = 200 + usize::try_from(numbers.below(4_000)).unwrap_or(0);
        tcp.data(side, &record(23, &numbers.bytes(size)), into);
    }
    tcp.close(into);
}

fn bulk(numbers: &mut Numbers, tcp: &mut Connection, into: &mut Vec<Packet>) {
    tcp.open(into);
    tcp.data(0, b"\x07get the file\n", into);
    for _ in 0..1 + numbers.below(4) {
        tcp.data(1, &numbers.bytes(20_000), into);
    }
    tcp.close(into);
}

/// A capture in the classic pcap format, of `count` packets.
pub(crate) fn write(count: usize, mut out: impl Write) -> io::Result<()> {
    let mut numbers = Numbers(0x5eed_7ea5_1ab1_0b57);
    let (mut packets, mut started) = (Vec::new(), 0_u64);
    // As many again as are wanted: the last sessions are cut off by time, as in any capture.
    while packets.len() < count + count / 8 {
        started += numbers.below(600);
        let client = [10, 1, numbers.low_byte() & 1, numbers.low_byte()];
        let server = [192, 0, 2, numbers.low_byte()];
        let port = 20_000 + u16::try_from(numbers.below(40_000)).unwrap_or(0);
        let kind = numbers.below(10);
        let service = [80, 80, 443, 443, 9_100][usize::try_from(kind / 2).unwrap_or(0)];
        let next = [numbers.next(), numbers.next()].map(|n| u32::try_from(n >> 32).unwrap_or(0));
        let ends = [(client, port), (server, service)];
        let mut tcp = Connection { ends, next, micros: started };
        for _ in 0..4 {
            dns(&mut numbers, client, started, &mut packets);
        }
        match kind {
            0..=3 => http(&mut numbers, &mut tcp, &mut packets),
            4..=7 => tls(&mut numbers, &mut tcp, &mut packets),
            _ => bulk(&mut numbers, &mut tcp, &mut packets),
        }
    }
    packets.sort_by_key(|packet| packet.micros);
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        out.write_all(&word.to_le_bytes())?;
    }
    for Packet { micros, frame } in packets.iter().take(count) {
        let at = 1_700_000_000_000_000 + micros;
        let size = u32::try_from(frame.len()).unwrap_or(0);
        let [seconds, rest] =
            [at / 1_000_000, at % 1_000_000].map(|n| u32::try_from(n).unwrap_or(0));
        for word in [seconds, rest, size, size] {
            out.write_all(&word.to_le_bytes())?;
        }
        out.write_all(frame)?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_same_every_time_and_has_the_packets_wanted() {
        let make = |count| {
            let mut bytes = Vec::new();
            write(count, &mut bytes).unwrap();
            bytes
        };
        let bytes = make(2_000);
        assert_eq!(bytes, make(2_000));
        let (mut rest, mut count, mut ports) = (&bytes[24..], 0, std::collections::BTreeSet::new());
        while !rest.is_empty() {
            let size = u32::from_le_bytes(rest[8..12].try_into().unwrap());
            let (frame, after) = rest[16..].split_at(usize::try_from(size).unwrap());
            // A checksum over a whole header comes to nothing.
            assert_eq!(sum(&[&frame[14..34]]), 0);
            ports.insert(u16::from_be_bytes([frame[36], frame[37]]).min(9_999));
            (rest, count) = (after, count + 1);
        }
        assert_eq!(count, 2_000);
        assert!([53, 80, 443, 9_100].iter().all(|port| ports.contains(port)), "{ports:?}");
    }
}
