//! Units with their length in their header: DCERPC, SSH, TLS, DNS over TCP, SMB, WebSocket, HTTP/2, LDAP.

use super::{Framer, MAX_BYTES, Out, count};
use crate::app::Protocol;
use crate::cursor::Cursor;
use crate::flow::{Direction, PerDirection};

/// Bytes of a header that are waited for.
const MAX_HEAD: usize = 128;

/// What the beginning of a unit says.
enum Head {
    /// More of it is needed.
    More,
    /// Its parts; the last one's end is the unit's.
    Unit(Vec<Part>, u64),
    /// That many bytes are no unit.
    Skip(usize),
    /// What follows has no units.
    Over,
}

/// A part of a unit: its name, from where to where.
type Part = (&'static str, u64, u64);

/// A unit that has begun.
#[derive(Debug)]
struct Unit {
    parts: Vec<Part>,
    length: u64,
    seen: u64,
}

#[derive(Debug, Default)]
struct Side {
    /// Place of the first byte of `bytes`.
    offset: u64,
    /// The unit so far, as far as it is kept.
    bytes: Vec<u8>,
    unit: Option<Unit>,
    /// Units before this one.
    begun: bool,
    over: bool,
}

/// The framer.
#[derive(Debug)]
pub(super) struct Units {
    protocol: Protocol,
    sides: PerDirection<Side>,
}

impl Units {
    pub(super) fn new(protocol: Protocol, at: PerDirection<u64>) -> Option<Self> {
        let known = matches!(
            protocol,
            Protocol::Dcerpc
                | Protocol::Ssh
                | Protocol::Tls
                | Protocol::Dns
                | Protocol::Smb
                | Protocol::Websocket
                | Protocol::Http2
                | Protocol::Doh2
                | Protocol::Ldap
        );
        let side = |offset| Side { offset, ..Side::default() };
        let sides = PerDirection { to_server: side(at.to_server), to_client: side(at.to_client) };
        known.then_some(Self { protocol, sides })
    }
}

impl Side {
    /// Takes what the unit still needs; true when it is whole.
    fn fill(&mut self, left: &mut &[u8]) -> bool {
        let Some(unit) = &mut self.unit else { return false };
        let missing = usize::try_from(unit.length.saturating_sub(unit.seen)).unwrap_or(usize::MAX);
        let (now, later) = left.split_at_checked(missing).unwrap_or((left, &[]));
        unit.seen = unit.seen.saturating_add(count(now));
        let room = MAX_BYTES.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(now.get(..room).unwrap_or(now));
        *left = later;
        unit.seen >= unit.length
    }

    /// The unit ends here, whole or not.
    fn end(&mut self, out: &mut Out<'_>) {
        let Some(unit) = self.unit.take() else { return };
        for (kind, from, to) in unit.parts {
            let to = to.min(unit.length);
            let complete = to <= unit.seen;
            let end = to.min(unit.seen);
            if from >= end && to > from {
                continue;
            }
            let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(self.bytes.len());
            let bytes = self.bytes.get(place(from)..place(end)).unwrap_or_default();
            let length = end.saturating_sub(from);
            out.frame(kind, (self.offset.saturating_add(from), length), bytes, complete);
        }
        self.offset = self.offset.saturating_add(unit.seen);
        self.bytes.clear();
        self.begun = true;
    }
}

impl Framer for Units {
    fn data(&mut self, dir: Direction, bytes: &[u8], out: &mut Out<'_>) {
        let protocol = self.protocol;
        let side = self.sides.get_mut(dir);
        let mut left = bytes;
        while !side.over {
            if side.unit.is_some() {
                if !side.fill(&mut left) {
                    return;
                }
                side.over = is_last(protocol, &side.bytes);
                side.end(out);
                continue;
            }
            let Some((first, later)) = left.split_first() else { return };
            side.bytes.push(*first);
            left = later;
            match head(protocol, dir, side.begun, &side.bytes) {
                Head::More if side.bytes.len() < MAX_HEAD => {}
                Head::More | Head::Over => side.over = true,
                Head::Skip(length) => {
                    side.offset = side.offset.saturating_add(u64::try_from(length).unwrap_or(0));
                    side.bytes.clear();
                    side.begun = true;
                }
                Head::Unit(parts, length) => {
                    side.unit = Some(Unit { parts, length, seen: count(&side.bytes) });
                }
            }
        }
        side.bytes = Vec::new();
    }

    fn cut(&mut self, dir: Direction, out: &mut Out<'_>) {
        let side = self.sides.get_mut(dir);
        side.end(out);
        side.over = true;
    }
}

/// Whether units end with this one: SSH is encrypted after its new keys (RFC 4253 section 7.3).
fn is_last(protocol: Protocol, unit: &[u8]) -> bool {
    protocol == Protocol::Ssh && unit.get(5) == Some(&21)
}

/// Reads the header of a unit; called with one byte more each time until it is enough.
fn head(protocol: Protocol, dir: Direction, begun: bool, bytes: &[u8]) -> Head {
    let read = match protocol {
        Protocol::Dcerpc => dcerpc(bytes),
        Protocol::Ssh if !begun => {
            // The banner is a line (RFC 4253 section 4.2).
            return if bytes.ends_with(b"\n") { Head::Skip(bytes.len()) } else { Head::More };
        }
        Protocol::Ssh => ssh(bytes),
        Protocol::Tls => tls(bytes),
        Protocol::Dns => dns(bytes),
        Protocol::Smb => smb(bytes),
        Protocol::Websocket => websocket(bytes),
        Protocol::Http2 | Protocol::Doh2 => {
            const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
            if !begun && dir == Direction::ToServer && PREFACE.starts_with(bytes) {
                let whole = bytes.len() == PREFACE.len();
                return if whole { Head::Skip(bytes.len()) } else { Head::More };
            }
            http2(bytes)
        }
        Protocol::Ldap => ldap(bytes),
        _ => return Head::Over,
    };
    read.unwrap_or(Head::More)
}

/// The usual three: all of it, its header, what follows that.
fn parts(header: u64, length: u64, names: [&'static str; 3]) -> Head {
    let length = length.max(header);
    let [pdu, head, data] = names;
    let mut parts = vec![(pdu, 0, length), (head, 0, header)];
    if length > header {
        parts.push((data, header, length));
    }
    Head::Unit(parts, length)
}

fn dcerpc(bytes: &[u8]) -> Option<Head> {
    let mut c = Cursor::new(bytes);
    if c.u8()? != 5 {
        return Some(Head::Over);
    }
    c.skip(3)?;
    let little = c.u8()? & 0x10 != 0;
    c.skip(3)?;
    let length = if little { c.u16_le()? } else { c.u16()? };
    c.skip(6)?;
    Some(parts(16, length.into(), ["pdu", "hdr", "data"]))
}

/// RFC 4253 section 6; the header as far as it says what the message is.
fn ssh(bytes: &[u8]) -> Option<Head> {
    let mut c = Cursor::new(bytes);
    let length = c.u32()?;
    c.skip(2)?;
    if !(2..=1 << 20).contains(&length) {
        return Some(Head::Over);
    }
    let length = u64::from(length).saturating_add(4);
    Some(parts(6, length, ["record.pdu", "record.hdr", "record.data"]))
}

fn tls(bytes: &[u8]) -> Option<Head> {
    let mut c = Cursor::new(bytes);
    let kind = c.u8()?;
    if !(20..=24).contains(&kind) {
        return Some(Head::Over);
    }
    c.skip(2)?;
    let length = u64::from(c.u16()?).saturating_add(5);
    let mut head = parts(5, length, ["pdu", "hdr", "data"]);
    if let Head::Unit(parts, _) = &mut head {
        match kind {
            21 => parts.push(("alert_data", 5, length)),
            24 => parts.push(("hb_data", 5, length)),
            _ => {}
        }
    }
    Some(head)
}

fn dns(bytes: &[u8]) -> Option<Head> {
    let length = u64::from(Cursor::new(bytes).u16()?).saturating_add(2);
    Some(Head::Unit(vec![("pdu", 2, length)], length))
}

/// NetBIOS session service (RFC 1002 section 4.3.1), and in it the message by its version.
fn smb(bytes: &[u8]) -> Option<Head> {
    let mut c = Cursor::new(bytes);
    let kind = c.u8()?;
    let length = u64::from(c.u24()?).saturating_add(4);
    let names = ["nbss.pdu", "nbss.hdr", "nbss.data"];
    if kind != 0 || length <= 4 {
        return Some(parts(4, length, names));
    }
    let mark = c.u8()?;
    let (header, [pdu, hdr, data]) = match mark {
        0xff => (32, ["smb1.pdu", "smb1.hdr", "smb1.data"]),
        0xfe => (64, ["smb2.pdu", "smb2.hdr", "smb2.data"]),
        0xfd => (52, ["smb3.pdu", "smb3.hdr", "smb3.data"]),
        _ => return Some(parts(4, length, names)),
    };
    let mut head = parts(4, length, names);
    if let Head::Unit(parts, _) = &mut head {
        let end = length.min(u64::saturating_add(header, 4));
        parts.push((pdu, 4, length));
        parts.push((hdr, 4, end));
        if length > end {
            parts.push((data, end, length));
        }
    }
    Some(head)
}

/// RFC 6455 section 5.2.
fn websocket(bytes: &[u8]) -> Option<Head> {
    let mut c = Cursor::new(bytes);
    c.skip(1)?;
    let second = c.u8()?;
    let length = match second & 0x7f {
        126 => u64::from(c.u16()?),
        127 => u64::from(c.u32()?) << 32 | u64::from(c.u32()?),
        short => short.into(),
    };
    if second & 0x80 != 0 {
        c.skip(4)?;
    }
    let header = u64::try_from(c.position()).ok()?;
    Some(parts(header, length.saturating_add(header), ["pdu", "header", "data"]))
}

/// RFC 9113 section 4.1.
fn http2(bytes: &[u8]) -> Option<Head> {
    let mut c = Cursor::new(bytes);
    let length = u64::from(c.u24()?).saturating_add(9);
    c.skip(6)?;
    Some(parts(9, length, ["pdu", "hdr", "data"]))
}

/// A sequence of BER (RFC 4511 section 5.1).
fn ldap(bytes: &[u8]) -> Option<Head> {
    let mut c = Cursor::new(bytes);
    if c.u8()? != 0x30 {
        return Some(Head::Over);
    }
    let length = match c.u8()? {
        short @ 0..=0x7f => u64::from(short),
        0x81 => c.u8()?.into(),
        0x82 => c.u16()?.into(),
        0x83 => c.u24()?.into(),
        0x84 => c.u32()?.into(),
        _ => return Some(Head::Over),
    };
    let length = length.saturating_add(u64::try_from(c.position()).ok()?);
    Some(Head::Unit(vec![("pdu", 0, length)], length))
}
