//! Connectionless DCERPC over UDP (C706 section 12.5).

use std::collections::VecDeque;

use super::super::{Record, TxList};
use super::pdu::Numbers;
use super::{Call, Interface, kind};
use crate::cursor::Cursor;
use crate::flow::Direction;

/// Calls that may wait for more fragments or a response.
const MAX_OPEN: usize = 64;

/// More fragments follow.
const LAST_FRAGMENT: u8 = 2;
/// The PDU is a fragment.
const FRAGMENT: u8 = 4;

/// The header of a datagram.
struct Header {
    kind: u8,
    flags: u8,
    little: bool,
    interface: [u8; 16],
    activity: [u8; 16],
    version: (u16, u16),
    sequence: u32,
    opnum: u16,
    length: u16,
}

fn read(bytes: &[u8]) -> Option<(Header, &[u8])> {
    let mut c = Cursor::new(bytes);
    if c.u8()? != 4 {
        return None;
    }
    let (kind, flags, _) = (c.u8()? & 0x1f, c.u8()?, c.u8()?);
    let [integers, floats, _, _] = c.array::<4>()?;
    if kind > kind::LAST || integers & 0xee != 0 || floats > 3 {
        return None;
    }
    let mut n = Numbers { c, little: integers & 0x10 != 0 };
    // The third byte of the representation is followed by the serial number; then the object.
    n.c.skip(16)?;
    let (interface, activity) = (n.uuid()?, n.uuid()?);
    n.c.skip(4)?;
    let (major, minor) = version(&mut n)?;
    let (sequence, opnum) = (n.u32()?, n.u16()?);
    n.c.skip(4)?;
    let length = n.u16()?;
    n.c.skip(4)?;
    let body = n.c.rest();
    let head = Header {
        kind,
        flags,
        little: n.little,
        interface,
        activity,
        version: (major, minor),
        sequence,
        opnum,
        length,
    };
    Some((head, body))
}

/// The version is one number: the major one is its lower half.
fn version(n: &mut Numbers<'_>) -> Option<(u16, u16)> {
    let both = n.u32()?;
    Some((u16::try_from(both & 0xffff).ok()?, u16::try_from(both >> 16).ok()?))
}

/// Whether a datagram is one of DCERPC.
pub(super) fn looks_like(bytes: &[u8]) -> bool {
    read(bytes).is_some_and(|(head, body)| {
        usize::from(head.length) <= body.len() && head.interface != [0; 16]
    })
}

/// Datagrams of one flow.
#[derive(Debug, Default)]
pub(super) struct Datagrams {
    open: VecDeque<([u8; 16], u32, u64)>,
}

impl Datagrams {
    pub(super) fn data(&mut self, dir: Direction, bytes: &[u8], txs: &mut TxList) {
        let Some((head, body)) = read(bytes) else { return };
        let stub = body.get(..usize::from(head.length)).unwrap_or(body);
        let wanted = match dir {
            Direction::ToServer => head.kind == kind::REQUEST,
            Direction::ToClient => matches!(head.kind, kind::RESPONSE | kind::FAULT | kind::REJECT),
        };
        if !wanted {
            return;
        }
        let known = self
            .open
            .iter()
            .find(|(activity, sequence, _)| {
                *activity == head.activity && *sequence == head.sequence
            })
            .map(|(_, _, id)| *id);
        let id = known.unwrap_or_else(|| self.begin(&head, txs));
        let Some(tx) = txs.get_mut(id) else { return };
        let Record::Dcerpc(call) = &mut tx.record else { return };
        if dir == Direction::ToServer {
            call.opnum = Some(head.opnum);
        }
        let half = call.halves.get_mut(dir);
        half.kind = Some(head.kind);
        half.little = head.little;
        half.add(stub);
        if body.len() < usize::from(head.length) {
            tx.event(dir, "malformed_data");
        }
        if head.flags & FRAGMENT == 0 || head.flags & LAST_FRAGMENT != 0 {
            tx.reach(dir, 1);
        } else {
            tx.touch(dir);
        }
    }

    fn begin(&mut self, head: &Header, txs: &mut TxList) -> u64 {
        let interface = Interface {
            uuid: head.interface,
            version: head.version,
            context: 0,
            answer: Some((0, 0)),
            first: true,
        };
        let call = Call {
            version: (4, 0),
            interfaces: vec![interface],
            activity: Some((head.activity, head.sequence)),
            ..Call::default()
        };
        let id = txs.push(Record::Dcerpc(Box::new(call)));
        if self.open.len() >= MAX_OPEN {
            self.open.pop_front();
        }
        self.open.push_back((head.activity, head.sequence, id));
        id
    }
}
