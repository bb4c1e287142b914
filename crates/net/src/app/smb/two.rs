//! SMB 2 and 3 (MS-SMB2 section 2.2): requests and responses.

mod request;
mod response;

pub(super) use response::seconds;

use super::super::TxList;
use super::MAX_NAME;
use super::record::Status;
use super::transfer::{FileId, Flowing, Head, Waiting, Wire};
use crate::cursor::Cursor;
use crate::flow::Direction;

/// Commands (MS-SMB2 section 2.2.1.2).
pub(super) mod command {
    pub(in super::super) const NEGOTIATE: u16 = 0;
    pub(in super::super) const SESSION_SETUP: u16 = 1;
    pub(in super::super) const TREE_CONNECT: u16 = 3;
    pub(in super::super) const CREATE: u16 = 5;
    pub(in super::super) const CLOSE: u16 = 6;
    pub(in super::super) const READ: u16 = 8;
    pub(in super::super) const WRITE: u16 = 9;
    pub(in super::super) const IOCTL: u16 = 11;
    pub(in super::super) const CANCEL: u16 = 12;
    pub(in super::super) const QUERY_INFO: u16 = 16;
    pub(in super::super) const SET_INFO: u16 = 17;
}

/// Sent by the server.
const FLAG_RESPONSE: u32 = 1;
/// There is an asynchronous id where the tree is.
const FLAG_ASYNC: u32 = 2;
/// Session, tree and file are those of the message before.
const FLAG_RELATED: u32 = 4;

/// An answer follows later.
const STATUS_PENDING: u32 = 0x103;
/// There is more than was asked for: data are there.
const STATUS_BUFFER_OVERFLOW: u32 = 0x8000_0005;

/// Messages in one compound.
const MAX_COMPOUND: usize = 256;

/// A message: its header, and all of it.
#[derive(Clone, Copy)]
struct Message<'a> {
    head: Head,
    flags: u32,
    status: u32,
    /// Where the next message begins; 0 for the last one.
    next: usize,
    /// From the header on: offsets count from here.
    bytes: &'a [u8],
}

impl<'a> Message<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut c = Cursor::new(bytes);
        c.skip(8)?;
        let (status, command) = (c.u32_le()?, c.u16_le()?);
        c.skip(2)?;
        let (flags, next, message) = (c.u32_le()?, c.u32_le()?, c.u64_le()?);
        c.skip(4)?;
        let tree = c.u32_le()?;
        let session = c.u64_le()?;
        c.skip(16)?;
        let response = flags & FLAG_RESPONSE != 0;
        let head = Head {
            version: 2,
            command,
            status: response.then_some(Status::Nt(status)),
            session,
            tree: if flags & FLAG_ASYNC != 0 { 0 } else { tree },
            message,
        };
        let next = usize::try_from(next).ok()?;
        Some(Self { head, flags, status, next, bytes })
    }

    /// Behind the header and the size of the structure.
    fn body(&self) -> Option<Cursor<'a>> {
        let mut c = Cursor::new(self.bytes);
        c.skip(66)?;
        Some(c)
    }

    /// What begins at `offset` from the header, as far as it is there.
    fn at(&self, offset: usize, length: usize) -> &'a [u8] {
        let rest = self.bytes.get(offset..).unwrap_or_default();
        rest.get(..length).unwrap_or(rest)
    }

    /// UTF-16 text at an offset, as UTF-8.
    fn text(&self, offset: u16, length: u16) -> Vec<u8> {
        let length = usize::from(length).min(MAX_NAME);
        utf16(self.at(usize::from(offset), length))
    }

    fn is_success(&self) -> bool {
        self.status == 0
    }
}

/// UTF-16LE to UTF-8, without zeros.
pub(super) fn utf16(bytes: &[u8]) -> Vec<u8> {
    let units = bytes.chunks_exact(2).map(|pair| match pair {
        [low, high] => u16::from_le_bytes([*low, *high]),
        _ => 0,
    });
    let text: String = char::decode_utf16(units.filter(|unit| *unit != 0))
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    text.into_bytes()
}

/// Takes in a message, or several that came together.
pub(super) fn messages(wire: &mut Wire, dir: Direction, bytes: &[u8], txs: &mut TxList) {
    let mut rest = bytes;
    let mut before = Head::default();
    let mut file = None;
    for _ in 0..MAX_COMPOUND {
        let Some(mut message) = Message::read(rest) else {
            return wire.trouble(dir, "malformed_data", txs);
        };
        let next = message.next;
        if next > 0 {
            message.bytes = rest.get(..next).unwrap_or(rest);
        }
        if message.flags & FLAG_RELATED != 0 && dir == Direction::ToServer {
            message.head.session = before.session;
            message.head.tree = before.tree;
        }
        before = message.head;
        one(wire, dir, &message, &mut file, txs);
        rest = match rest.get(next..) {
            Some(rest) if next > 0 && !rest.is_empty() => rest,
            _ => return,
        };
    }
}

/// `file` is the one of the message before, for related ones.
fn one(
    wire: &mut Wire,
    dir: Direction,
    message: &Message<'_>,
    file: &mut Option<FileId>,
    txs: &mut TxList,
) {
    let response = message.flags & FLAG_RESPONSE != 0;
    match (dir, response) {
        (Direction::ToServer, false) => request::take(wire, message, file, txs),
        (Direction::ToClient, true) if message.status == STATUS_PENDING => {}
        (Direction::ToClient, true) => response::take(wire, message, txs),
        (Direction::ToServer, true) => wire.trouble(dir, "response_to_server", txs),
        (Direction::ToClient, false) => wire.trouble(dir, "request_to_client", txs),
    }
}

/// Where the content of a write request is: file, offset in it, place in the message, length.
struct Content {
    id: FileId,
    offset: u64,
    from: usize,
    length: usize,
}

fn written(message: &Message<'_>) -> Option<Content> {
    let mut c = message.body()?;
    let (from, length, offset) = (c.u16_le()?, c.u32_le()?, c.u64_le()?);
    let id = FileId::long(c.array()?);
    Some(Content { id, offset, from: from.into(), length: usize::try_from(length).ok()? })
}

/// The content of a read response: what was asked for is known from its request.
fn read(message: &Message<'_>, asked: (FileId, u64)) -> Option<Content> {
    let mut c = message.body()?;
    let (from, _, length) = (c.u8()?, c.u8()?, c.u32_le()?);
    c.skip(4)?;
    let (id, offset) = asked;
    Some(Content { id, offset, from: from.into(), length: usize::try_from(length).ok()? })
}

/// See [`Wire::begin_content`]: for the last message of a compound it is put together first.
pub(super) fn begin_content(
    wire: &mut Wire,
    dir: Direction,
    body: &[u8],
    length: usize,
    txs: &mut TxList,
) -> Option<Flowing> {
    let message = Message::read(body).filter(|message| message.next == 0)?;
    let response = message.flags & FLAG_RESPONSE != 0;
    let head = message.head;
    let content = match (dir, response, head.command) {
        (Direction::ToServer, false, command::WRITE) => written(&message)?,
        (Direction::ToClient, true, command::READ) if has_data(&message) => {
            let Waiting::Read(id, offset) = wire.waits_for(&head)? else { return None };
            read(&message, (id, offset))?
        }
        _ => return None,
    };
    let data = body.get(content.from..).filter(|_| content.from >= 64)?;
    let known = wire.is_pipe(&head).is_some() || data.len() >= 16;
    if !known || wire.is_of_pipe(&head, &content.id, data) {
        return None;
    }
    match dir {
        Direction::ToServer => request::check_write(wire, content.length, txs),
        Direction::ToClient => _ = wire.answered(&head),
    }
    let room = length.saturating_sub(content.from);
    let all = content.length.min(room);
    let mut flowing = Flowing {
        id: content.id,
        dir,
        offset: content.offset,
        left: all,
        skip: room.saturating_sub(all),
    };
    wire.transfer(&head, &flowing, txs);
    let here = data.get(..all).unwrap_or(data);
    wire.content(&mut flowing, here, txs);
    flowing.left = all.saturating_sub(here.len());
    flowing.skip = flowing.skip.saturating_sub(data.len().saturating_sub(here.len()));
    Some(flowing)
}

fn has_data(message: &Message<'_>) -> bool {
    message.is_success() || message.status == STATUS_BUFFER_OVERFLOW
}
