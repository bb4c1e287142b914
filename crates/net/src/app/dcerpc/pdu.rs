//! The bytes of connection-oriented PDUs (C706 section 12.6).

use super::{Interface, MAX_INTERFACES};
use crate::cursor::Cursor;

/// Bytes of the common header.
pub(super) const HEADER: usize = 16;

/// First fragment.
const PFC_FIRST: u8 = 1;
/// Last fragment.
const PFC_LAST: u8 = 2;

/// The common header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Major and minor version.
    pub version: (u8, u8),
    /// Kind of PDU, see [`super::kind`].
    pub kind: u8,
    /// Flags.
    pub flags: u8,
    /// Numbers are little endian.
    pub little: bool,
    /// Bytes of the fragment, header included.
    pub length: u16,
    /// Bytes of authentication at its end.
    pub auth: u16,
    /// Number of the call.
    pub call_id: u32,
}

impl Header {
    /// The first fragment of its PDU.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.flags & PFC_FIRST != 0
    }

    /// The last fragment of its PDU.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.flags & PFC_LAST != 0
    }
}

/// Reads the common header; `None` when it is short or is of no known representation.
#[must_use]
pub fn header(bytes: &[u8]) -> Option<Header> {
    let mut c = Cursor::new(bytes);
    let version = (c.u8()?, c.u8()?);
    let (kind, flags) = (c.u8()?, c.u8()?);
    // Integers and characters, then floating point; the rest is nothing.
    let [integers, floats, _, _] = c.array::<4>()?;
    if integers & 0xee != 0 || floats > 3 {
        return None;
    }
    let mut n = Numbers { c, little: integers & 0x10 != 0 };
    let (length, auth, call_id) = (n.u16()?, n.u16()?, n.u32()?);
    Some(Header { version, kind, flags, little: n.little, length, auth, call_id })
}

/// A cursor that reads numbers in the order of the sender.
#[derive(Clone, Copy)]
pub(super) struct Numbers<'a> {
    pub(super) c: Cursor<'a>,
    pub(super) little: bool,
}

impl Numbers<'_> {
    pub(super) fn u16(&mut self) -> Option<u16> {
        if self.little { self.c.u16_le() } else { self.c.u16() }
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        if self.little { self.c.u32_le() } else { self.c.u32() }
    }

    /// A UUID in the order in which it is written.
    pub(super) fn uuid(&mut self) -> Option<[u8; 16]> {
        let raw = self.c.array::<16>()?;
        if !self.little {
            return Some(raw);
        }
        let [a, b, c, d, e, f, g, h, rest @ ..] = raw;
        let [i, j, k, l, m, n, o, p] = rest;
        Some([d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p])
    }
}

/// A fragment: its header and what follows.
#[derive(Clone, Copy)]
pub(super) struct Pdu<'a> {
    pub(super) head: Header,
    /// Behind the common header, authentication at the end included.
    body: &'a [u8],
}

impl<'a> Pdu<'a> {
    /// `bytes` are a whole fragment.
    pub(super) fn new(head: Header, bytes: &'a [u8]) -> Self {
        Self { head, body: bytes.get(HEADER..).unwrap_or_default() }
    }

    fn numbers(&self) -> Numbers<'a> {
        Numbers { c: Cursor::new(self.body), little: self.head.little }
    }

    /// The interfaces of a bind or alter-context.
    pub(super) fn interfaces(&self) -> Option<Vec<Interface>> {
        let mut n = self.numbers();
        // Fragment sizes and association group.
        n.c.skip(8)?;
        let count = n.c.u8()?;
        n.c.skip(3)?;
        let mut list = Vec::new();
        for _ in 0..usize::from(count).min(MAX_INTERFACES) {
            let context = n.u16()?;
            let syntaxes = n.c.u8()?;
            n.c.skip(1)?;
            let uuid = n.uuid()?;
            let version = (n.u16()?, n.u16()?);
            n.c.skip(usize::from(syntaxes).saturating_mul(20))?;
            let first = self.head.is_first();
            list.push(Interface { uuid, version, context, answer: None, first });
        }
        Some(list)
    }

    /// Result and reason for each interface asked for, of the answer to a bind or alter-context.
    pub(super) fn results(&self) -> Option<Vec<(u16, u16)>> {
        let mut n = self.numbers();
        n.c.skip(8)?;
        let address = usize::from(n.u16()?);
        n.c.skip(address)?;
        // What follows begins at a multiple of four from the beginning of the PDU.
        let pad = n.c.position().wrapping_neg() & 3;
        n.c.skip(pad)?;
        let count = n.c.u8()?;
        n.c.skip(3)?;
        let mut list = Vec::new();
        for _ in 0..usize::from(count).min(MAX_INTERFACES) {
            list.push((n.u16()?, n.u16()?));
            // The transfer syntax.
            n.c.skip(20)?;
        }
        Some(list)
    }

    /// Context, procedure and arguments of a request. An object UUID, when there is one, counts as
    /// arguments: rules are written for that.
    pub(super) fn request(&self) -> Option<(u16, u16, &'a [u8])> {
        let mut n = self.numbers();
        n.c.skip(4)?;
        let (context, opnum) = (n.u16()?, n.u16()?);
        Some((context, opnum, n.c.rest()))
    }

    /// Results of a response or fault; with the eight bytes of hint, context and cancels before them
    /// when `whole`.
    pub(super) fn response(&self, whole: bool) -> Option<&'a [u8]> {
        self.body.get(if whole { 0 } else { 8 }..)
    }
}
