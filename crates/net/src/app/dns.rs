//! DNS messages (RFC 1035) over UDP and TCP; also mDNS and LLMNR, which share the format.
//!
//! Each message is a transaction of its own, on the side of its QR bit. Names are bytes with dots
//! between labels; what is not text is for the writer of a record to escape.

use super::{AppParser, Record, TxList};
use crate::cursor::Cursor;
use crate::flow::{Direction, PerDirection};

/// Labels followed per name, pointers included.
const MAX_LABELS: usize = 255;
/// Bytes kept of a name.
const MAX_NAME: usize = 1025;
/// Records kept per section.
const MAX_RECORDS: usize = 1000;
/// Records that room is made for before the first is read; the header may promise what it likes.
const ROOM: usize = 4;
/// Records of a section whose room is kept for the next message.
const KEPT: usize = 16;

/// A name as text, dots between labels. Most are short enough to stand where they are, without a place of their own.
pub type Name = smallvec::SmallVec<[u8; 40]>;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Name asked for.
    pub name: Name,
    /// Type number.
    pub kind: u16,
    /// Class number.
    pub class: u16,
}

/// Data of a resource record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rdata {
    /// An IPv4 or IPv6 address.
    Address(std::net::IpAddr),
    /// NS, CNAME, PTR and other records that are one name.
    Name(Name),
    /// MX: preference and name.
    Mx(u16, Name),
    /// One string of a TXT record; a record with several becomes several.
    Text(Name),
    /// SOA.
    Soa(Box<Soa>),
    /// SRV: priority, weight, port and target.
    Srv(u16, u16, u16, Name),
    /// SSHFP: algorithm, type and fingerprint.
    Sshfp(u8, u8, Vec<u8>),
    /// Anything else.
    Other(Vec<u8>),
}

/// Start of a zone of authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Soa {
    /// Primary name server.
    pub mname: Name,
    /// Mailbox of the person responsible.
    pub rname: Name,
    /// Serial, refresh, retry, expire, minimum.
    pub numbers: [u32; 5],
}

/// A resource record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Owner name.
    pub name: Name,
    /// Type number.
    pub kind: u16,
    /// Class number.
    pub class: u16,
    /// Seconds it may be cached.
    pub ttl: u32,
    /// Its data.
    pub data: Rdata,
}

/// A DNS message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Identifier.
    pub id: u16,
    /// Flags word.
    pub flags: u16,
    /// Question section.
    pub queries: Vec<Query>,
    /// Answer section.
    pub answers: Vec<Answer>,
    /// Authority section.
    pub authorities: Vec<Answer>,
    /// Additional section.
    pub additionals: Vec<Answer>,
    /// There were more questions, records or strings than are kept.
    pub cut: bool,
    /// Bytes after the last record.
    pub trailing: usize,
}

impl Message {
    /// True when it answers.
    #[must_use]
    pub fn is_response(&self) -> bool {
        self.flags & 0x8000 != 0
    }

    /// Empties it and keeps its room for the next one; false where that is more than most need.
    pub fn empty(&mut self) -> bool {
        let Self { queries, answers, authorities, additionals, .. } = self;
        let sections = [answers, authorities, additionals];
        if queries.capacity() > KEPT || sections.iter().any(|section| section.capacity() > KEPT) {
            return false;
        }
        queries.clear();
        sections.into_iter().for_each(Vec::clear);
        (self.cut, self.trailing) = (false, 0);
        true
    }

    /// Operation code.
    #[must_use]
    pub fn opcode(&self) -> u16 {
        self.flags >> 11 & 15
    }

    /// Response code.
    #[must_use]
    pub fn rcode(&self) -> u16 {
        self.flags & 15
    }
}

/// What bytes look like to detection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// A query.
    Query,
    /// A response.
    Response,
    /// Too short to say.
    Short,
    /// Not DNS.
    Other,
}

/// Compares bytes with a DNS message; `lenient` where the port already speaks for DNS.
#[must_use]
pub fn looks_like(bytes: &[u8], lenient: bool) -> Likeness {
    let mut c = Cursor::new(bytes);
    let (Some(_), Some(flags)) = (c.u16(), c.u16()) else { return Likeness::Short };
    let (Some(questions), Some(answers), Some(authority), Some(additional)) =
        (c.u16(), c.u16(), c.u16(), c.u16())
    else {
        return Likeness::Short;
    };
    // Off its port a set Z bit and an unknown opcode speak against DNS; on it, they must not hide the
    // message (`z_flag_set`, `invalid_opcode`).
    if !lenient && (flags & 0x0040 != 0 || flags >> 11 & 15 > 6) {
        return Likeness::Other;
    }
    let kind = if flags & 0x8000 == 0 { Likeness::Query } else { Likeness::Response };
    let records = [answers, authority, additional]
        .iter()
        .fold(0u32, |sum, n| sum.saturating_add(u32::from(*n)));
    if questions == 0 && records == 0 {
        return Likeness::Other;
    }
    if lenient {
        // Each question is at least 5 bytes, each record 11.
        let least = u64::from(questions)
            .saturating_mul(5)
            .saturating_add(u64::from(records).saturating_mul(11));
        let room = u64::try_from(c.remaining()).unwrap_or(u64::MAX);
        return if questions <= 64 && (least <= room || bytes.len() >= 512) {
            kind
        } else {
            Likeness::Other
        };
    }
    if questions != 1 || records > 64 {
        return Likeness::Other;
    }
    match parse(bytes) {
        Some((message, true)) if message.trailing == 0 && plausible(&message) => kind,
        _ => Likeness::Other,
    }
}

fn plausible(message: &Message) -> bool {
    message.queries.iter().all(|q| {
        matches!(q.class & 0x7fff, 1 | 3 | 4 | 255)
            && !q.name.is_empty()
            && q.name.iter().all(|b| b.is_ascii_graphic())
    })
}

/// Reads a message: what could be read, and whether every record it announces was there. `None`
/// without a header.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<(Message, bool)> {
    let mut message = Message::default();
    let whole = read(bytes, &mut message)?;
    Some((message, whole))
}

/// Fills in an empty message.
fn read(bytes: &[u8], message: &mut Message) -> Option<bool> {
    let mut c = Cursor::new(bytes);
    (message.id, message.flags) = (c.u16()?, c.u16()?);
    let counts = [c.u16()?, c.u16()?, c.u16()?, c.u16()?];
    let [questions, answers, authorities, additionals] = counts.map(usize::from);
    message.cut = counts.iter().any(|n| usize::from(*n) > MAX_RECORDS);
    message.queries.reserve_exact(questions.min(ROOM));
    for _ in 0..questions.min(MAX_RECORDS) {
        let query = name(bytes, &mut c)
            .and_then(|name| Some(Query { name, kind: c.u16()?, class: c.u16()? }));
        let Some(query) = query else { return Some(false) };
        message.queries.push(query);
    }
    let mut whole = true;
    let sections = [
        (answers, &mut message.answers),
        (authorities, &mut message.authorities),
        (additionals, &mut message.additionals),
    ];
    let mut reader = Records { bytes, asked: message.queries.first() };
    for (count, section) in sections {
        if count > 0 && whole {
            section.reserve_exact(count.min(ROOM));
        }
        for _ in 0..count.min(MAX_RECORDS) {
            if !whole {
                break;
            }
            match reader.record(&mut c, section) {
                Some(all) => message.cut |= !all,
                None => whole = false,
            }
        }
    }
    message.trailing = c.remaining();
    Some(whole)
}

/// Reads the records of a message.
struct Records<'a> {
    bytes: &'a [u8],
    /// The first question, whose name most answers point at.
    asked: Option<&'a Query>,
}

impl<'a> Records<'a> {
    /// One record; whether all of its strings were kept.
    fn record(&mut self, c: &mut Cursor<'a>, section: &mut Vec<Answer>) -> Option<bool> {
        let owner = self.owner(c)?;
        let (kind, class, ttl) = (c.u16()?, c.u16()?, c.u32()?);
        let at = c.position().saturating_add(2);
        let data = c.vec16()?;
        if kind == 16 {
            let mut strings = Cursor::new(data);
            while let Some(text) = strings.vec8() {
                // A record of empty strings would become 65,535 of them, each with the owner's name.
                if section.len() >= MAX_RECORDS {
                    return Some(false);
                }
                let data = Rdata::Text(Name::from_slice(text));
                let name = Name::from_slice(&owner);
                section.push(Answer { name, kind, class, ttl, data });
            }
            return Some(true);
        }
        let data = rdata(self.bytes, at, kind, data).unwrap_or_else(|| Rdata::Other(data.to_vec()));
        section.push(Answer { name: owner, kind, class, ttl, data });
        Some(true)
    }

    /// The name at the beginning of a record.
    fn owner(&self, c: &mut Cursor<'a>) -> Option<Name> {
        match (c.rest(), self.asked) {
            // A pointer to what follows the header: the question, read before. A name that is not long
            // has no more labels than may be followed.
            ([0xc0, 12, ..], Some(asked)) if asked.name.len() < MAX_LABELS => {
                c.skip(2)?;
                Some(Name::from_slice(&asked.name))
            }
            _ => name(self.bytes, c),
        }
    }
}

/// `at` is the place of `data` in the message: names inside may point anywhere before.
fn rdata(message: &[u8], at: usize, kind: u16, data: &[u8]) -> Option<Rdata> {
    let mut c = Cursor::new(message);
    match kind {
        1 => {
            let octets: [u8; 4] = data.try_into().ok()?;
            return Some(Rdata::Address(std::net::IpAddr::V4(octets.into())));
        }
        28 => {
            let octets: [u8; 16] = data.try_into().ok()?;
            return Some(Rdata::Address(std::net::IpAddr::V6(octets.into())));
        }
        44 => {
            let mut c = Cursor::new(data);
            return Some(Rdata::Sshfp(c.u8()?, c.u8()?, c.rest().to_vec()));
        }
        2 | 5 | 6 | 12 | 15 | 33 | 39 => c.skip(at)?,
        _ => return None,
    }
    match kind {
        15 => Some(Rdata::Mx(c.u16()?, name(message, &mut c)?)),
        6 => {
            let (mname, rname) = (name(message, &mut c)?, name(message, &mut c)?);
            let numbers = [c.u32()?, c.u32()?, c.u32()?, c.u32()?, c.u32()?];
            Some(Rdata::Soa(Box::new(Soa { mname, rname, numbers })))
        }
        33 => Some(Rdata::Srv(c.u16()?, c.u16()?, c.u16()?, name(message, &mut c)?)),
        _ => Some(Rdata::Name(name(message, &mut c)?)),
    }
}

/// A name, following compression pointers, which may only point backwards.
fn name<'a>(message: &'a [u8], c: &mut Cursor<'a>) -> Option<Name> {
    let Some(length) = plain_length(c.rest()) else { return compressed_name(message, c) };
    let mut labels = Cursor::new(c.take(length)?);
    c.skip(1)?;
    let mut length = usize::from(labels.u8().unwrap_or(0));
    // Labels with their lengths before them are the text, once the lengths between them are dots.
    let mut out = Name::from_slice(labels.rest());
    while let Some(place) = out.get_mut(length) {
        length = length.saturating_add(usize::from(*place)).saturating_add(1);
        *place = b'.';
    }
    Some(out)
}

/// Bytes of the labels of a name that is whole and without pointers, as nearly all are that are read first.
fn plain_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 0usize;
    loop {
        match *bytes.get(at)? {
            0 => return Some(at),
            length @ 1..=63 => at = at.saturating_add(usize::from(length)).saturating_add(1),
            _ => return None,
        }
        if at >= MAX_LABELS {
            return None;
        }
    }
}

fn compressed_name<'a>(message: &'a [u8], c: &mut Cursor<'a>) -> Option<Name> {
    let mut out = Name::new();
    let mut place = *c;
    let mut jumped = false;
    for _ in 0..MAX_LABELS {
        let before = place.position();
        let length = place.u8()?;
        match length >> 6 {
            0 if length == 0 => {
                if !jumped {
                    *c = place;
                }
                return Some(out);
            }
            0 => {
                let label = place.take(usize::from(length))?;
                if !out.is_empty() {
                    out.push(b'.');
                }
                out.extend_from_slice(label);
                if out.len() > MAX_NAME {
                    return None;
                }
            }
            3 => {
                let low = place.u8()?;
                if !jumped {
                    *c = place;
                }
                jumped = true;
                let target = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                if target >= before {
                    return None;
                }
                place = Cursor::new(message);
                place.skip(target)?;
            }
            _ => return None,
        }
    }
    None
}

/// A message by itself, from a datagram or a stream.
fn message(dir: Direction, bytes: &[u8], txs: &mut TxList) {
    let mut message = txs.empty_message();
    let Some(whole) = read(bytes, &mut message) else { return };
    let side = if message.is_response() { Direction::ToClient } else { Direction::ToServer };
    let z = message.flags & 0x0040 != 0;
    let cut = message.cut;
    let unknown = message.opcode() > 6;
    txs.push(Record::Dns(message));
    let Some(tx) = txs.newest() else { return };
    if !whole {
        tx.event(dir, "malformed_data");
    }
    if cut {
        tx.event(dir, "too_many_records");
    }
    if unknown {
        tx.event(dir, "invalid_opcode");
    }
    if z {
        tx.event(dir, "z_flag_set");
    }
    tx.reach(side, 1);
    // The other side of a message has nothing to say: complete, but without news.
    tx.close_silently(side.reverse(), 1);
}

/// Parser of a flow of datagrams, which remembers nothing.
#[derive(Debug)]
pub struct Datagrams;

impl AppParser for Datagrams {
    fn data(&mut self, dir: Direction, bytes: &[u8], txs: &mut TxList) {
        message(dir, bytes, txs);
    }

    fn gap(&mut self, _dir: Direction, _missing: u64, _txs: &mut TxList) {}

    fn end(&mut self, _dir: Direction, _txs: &mut TxList) {}
}

/// Parser of a stream: a length before each message (RFC 1035 section 4.2.2).
#[derive(Debug, Default)]
pub struct Parser {
    partial: PerDirection<Vec<u8>>,
    lost: PerDirection<bool>,
}

impl AppParser for Parser {
    fn data(&mut self, dir: Direction, bytes: &[u8], txs: &mut TxList) {
        if *self.lost.get(dir) {
            return;
        }
        let partial = self.partial.get_mut(dir);
        partial.extend_from_slice(bytes);
        let mut c = Cursor::new(partial);
        while let Some(bytes) = c.vec16() {
            message(dir, bytes, txs);
        }
        // At most one message of 64 KiB stays.
        let done = c.position();
        partial.drain(..done);
    }

    fn gap(&mut self, dir: Direction, _missing: u64, _txs: &mut TxList) {
        // Without a length there is no way to find the next message.
        *self.lost.get_mut(dir) = true;
        self.partial.get_mut(dir).clear();
    }

    fn end(&mut self, _dir: Direction, _txs: &mut TxList) {}
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The short way for names without pointers says what the long way does.
        #[test]
        fn names_are_read_alike(bytes in prop::collection::vec(
            prop_oneof![6 => 0u8..4, 2 => 60u8..66, 1 => Just(0xc0u8), 1 => any::<u8>()], 0..300,
        ), at in 0usize..40) {
            let mut short = Cursor::new(&bytes);
            short.skip(at);
            let mut long = short;
            prop_assert_eq!(name(&bytes, &mut short), compressed_name(&bytes, &mut long));
            prop_assert_eq!(short.position(), long.position());
        }
    }
}
