//! SMB 1 (MS-CIFS section 2.2, MS-SMB section 2.2): requests and responses, with what is chained to them.

mod request;
mod response;
#[cfg(test)]
mod tests;

use super::super::TxList;
use super::MAX_NAME;
use super::record::Status;
use super::transfer::{FileId, Flowing, Head, Waiting, Wire};
use super::two::utf16;
use crate::cursor::Cursor;
use crate::flow::Direction;

/// Commands (MS-CIFS section 2.2.2.1).
pub(super) mod command {
    pub(in super::super) const CLOSE: u16 = 0x04;
    pub(in super::super) const RENAME: u16 = 0x07;
    pub(in super::super) const WRITE: u16 = 0x0b;
    pub(in super::super) const LOCKING_ANDX: u16 = 0x24;
    pub(in super::super) const TRANS: u16 = 0x25;
    pub(in super::super) const WRITE_AND_CLOSE: u16 = 0x2c;
    pub(in super::super) const OPEN_ANDX: u16 = 0x2d;
    pub(in super::super) const READ_ANDX: u16 = 0x2e;
    pub(in super::super) const WRITE_ANDX: u16 = 0x2f;
    pub(in super::super) const TRANS2: u16 = 0x32;
    pub(in super::super) const NEGOTIATE: u16 = 0x72;
    pub(in super::super) const SESSION_SETUP_ANDX: u16 = 0x73;
    pub(in super::super) const LOGOFF_ANDX: u16 = 0x74;
    pub(in super::super) const TREE_CONNECT_ANDX: u16 = 0x75;
    pub(in super::super) const NT_CREATE_ANDX: u16 = 0xa2;
    pub(in super::super) const NT_CANCEL: u16 = 0xa4;
}

/// Bytes of the header.
const HEADER: usize = 32;
/// Commands chained in one message.
const MAX_CHAIN: usize = 16;

/// One command of a message: its words and bytes.
#[derive(Clone, Copy)]
struct Block<'a> {
    head: Head,
    unicode: bool,
    words: &'a [u8],
    bytes: &'a [u8],
    /// Where `bytes` begin in the message.
    bytes_at: usize,
    /// The message: offsets count from its header.
    message: &'a [u8],
}

impl<'a> Block<'a> {
    /// Words behind those that chain the next command.
    fn chained_words(&self) -> Option<Cursor<'a>> {
        let mut c = Cursor::new(self.words);
        c.skip(4)?;
        Some(c)
    }

    /// What begins at `offset` from the header, as far as it is there.
    fn at(&self, offset: usize, length: usize) -> &'a [u8] {
        let rest = self.message.get(offset..).unwrap_or_default();
        rest.get(..length).unwrap_or(rest)
    }

    /// Skips to an even place in the message, where UTF-16 begins.
    fn align(&self, c: &mut Cursor<'a>) {
        if self.unicode && self.bytes_at.wrapping_add(c.position()) & 1 == 1 {
            _ = c.skip(1);
        }
    }

    /// A string that ends in a zero.
    fn string(&self, c: &mut Cursor<'a>) -> Vec<u8> {
        self.align(c);
        let text = self.text(c, self.unicode);
        text.unwrap_or_default()
    }

    fn text(&self, c: &mut Cursor<'a>, wide: bool) -> Option<Vec<u8>> {
        let rest = c.rest();
        if !wide {
            let end = memchr::memchr(0, rest).unwrap_or(rest.len());
            let text = c.take(end)?;
            _ = c.skip(1);
            return Some(text.get(..MAX_NAME).unwrap_or(text).to_vec());
        }
        let units = rest.chunks_exact(2).take_while(|pair| *pair != [0, 0]).count();
        let text = c.take(units.saturating_mul(2))?;
        _ = c.skip(2);
        Some(utf16(text.get(..MAX_NAME).unwrap_or(text)))
    }

    /// A name of known length.
    fn name(&self, raw: &[u8]) -> Vec<u8> {
        let raw = raw.get(..MAX_NAME).unwrap_or(raw);
        if self.unicode {
            return utf16(raw);
        }
        raw.iter().copied().filter(|b| *b != 0).collect()
    }
}

/// The header: what it says, whether the server sent it, whether strings are UTF-16.
fn header(message: &[u8]) -> Option<(Head, bool, bool)> {
    let mut c = Cursor::new(message);
    c.skip(4)?;
    let command = c.u8()?;
    let status = c.array::<4>()?;
    let (flags, flags2) = (c.u8()?, c.u16_le()?);
    c.skip(12)?;
    let (tree, process, user, multiplex) = (c.u16_le()?, c.u16_le()?, c.u16_le()?, c.u16_le()?);
    let response = flags & 0x80 != 0;
    let [class, _, low, high] = status;
    let status = if flags2 & 0x4000 != 0 {
        Status::Nt(u32::from_le_bytes(status))
    } else if status == [0; 4] {
        Status::Nt(0)
    } else {
        Status::Dos(class, u16::from_le_bytes([low, high]))
    };
    let head = Head {
        version: 1,
        command: command.into(),
        status: response.then_some(status),
        session: user.into(),
        tree: tree.into(),
        message: u64::from(process) << 16 | u64::from(multiplex),
    };
    Some((head, response, flags2 & 0x8000 != 0))
}

/// The command at `offset` in a message.
fn block<'a>(message: &'a [u8], offset: usize, head: Head, unicode: bool) -> Option<Block<'a>> {
    let mut c = Cursor::new(message);
    c.skip(offset)?;
    let count = c.u8()?;
    let words = c.take(usize::from(count).saturating_mul(2))?;
    let length = c.u16_le()?;
    let bytes_at = c.position();
    let rest = c.rest();
    // Large writes have more bytes than their count can say.
    let large = matches!(head.command, command::WRITE_ANDX | command::READ_ANDX);
    let bytes = if large { rest } else { rest.get(..usize::from(length)).unwrap_or(rest) };
    Some(Block { head, unicode, words, bytes, bytes_at, message })
}

fn is_chained(command: u16) -> bool {
    matches!(
        command,
        command::LOCKING_ANDX
            | command::OPEN_ANDX
            | command::READ_ANDX
            | command::WRITE_ANDX
            | command::SESSION_SETUP_ANDX
            | command::LOGOFF_ANDX
            | command::TREE_CONNECT_ANDX
            | command::NT_CREATE_ANDX
    )
}

/// Takes in a message.
pub(super) fn message(wire: &mut Wire, dir: Direction, bytes: &[u8], txs: &mut TxList) {
    let Some((mut head, response, unicode)) = header(bytes) else {
        return wire.trouble(dir, "malformed_data", txs);
    };
    match (dir, response) {
        (Direction::ToServer, true) => return wire.trouble(dir, "response_to_server", txs),
        (Direction::ToClient, false) => return wire.trouble(dir, "request_to_client", txs),
        _ => {}
    }
    let mut offset = HEADER;
    for _ in 0..MAX_CHAIN {
        let Some(block) = block(bytes, offset, head, unicode) else {
            if head.status.is_none_or(|status| status == Status::Nt(0)) {
                wire.trouble(dir, "malformed_data", txs);
            }
            return;
        };
        match dir {
            Direction::ToServer => request::take(wire, &block, txs),
            Direction::ToClient => response::take(wire, &block, txs),
        }
        if !is_chained(head.command) {
            return;
        }
        match block.words {
            [next, _, low, high, ..] if *next != 0xff => {
                let at = usize::from(u16::from_le_bytes([*low, *high]));
                // Chains only go forward, or they would not end.
                if at <= offset {
                    return;
                }
                offset = at;
                head.command = (*next).into();
            }
            _ => return,
        }
    }
}

/// Where content is: file, offset in it, place in the message, length.
struct Content {
    id: FileId,
    offset: u64,
    from: usize,
    length: usize,
}

fn written(block: &Block<'_>) -> Option<Content> {
    let mut c = block.chained_words()?;
    let id = FileId::short(c.u16_le()?);
    let low = c.u32_le()?;
    c.skip(8)?;
    let (length_high, length, from) = (c.u16_le()?, c.u16_le()?, c.u16_le()?);
    let high = c.u32_le().unwrap_or(0);
    Some(Content {
        id,
        offset: u64::from(high) << 32 | u64::from(low),
        from: from.into(),
        length: usize::from(length_high) << 16 | usize::from(length),
    })
}

fn read(block: &Block<'_>, (id, offset): (FileId, u64)) -> Option<Content> {
    let mut c = block.chained_words()?;
    c.skip(6)?;
    let (length, from, high) = (c.u16_le()?, c.u16_le()?, c.u16_le()?);
    let length = usize::from(high) << 16 | usize::from(length);
    Some(Content { id, offset, from: from.into(), length })
}

/// See [`Wire::begin_content`].
pub(super) fn begin_content(
    wire: &mut Wire,
    dir: Direction,
    body: &[u8],
    length: usize,
    txs: &mut TxList,
) -> Option<Flowing> {
    let (head, response, unicode) = header(body)?;
    let block = block(body, HEADER, head, unicode)?;
    if block.words.first() != Some(&0xff) {
        return None;
    }
    let content = match (dir, response, head.command) {
        (Direction::ToServer, false, command::WRITE_ANDX) => written(&block)?,
        (Direction::ToClient, true, command::READ_ANDX) if block.words.len() >= 24 => {
            let Waiting::Read(id, offset) = wire.waits_for(&head)? else { return None };
            read(&block, (id, offset))?
        }
        _ => return None,
    };
    let data = body.get(content.from..).filter(|_| content.from >= block.bytes_at)?;
    let known = wire.is_pipe(&head).is_some() || data.len() >= 16;
    if !known || wire.is_of_pipe(&head, &content.id, data) {
        return None;
    }
    if dir == Direction::ToClient {
        wire.answered(&head);
    }
    let room = length.saturating_sub(content.from);
    let all = content.length.min(room);
    let id = content.id;
    let mut flowing = Flowing { id, dir, offset: content.offset, left: all, skip: room };
    wire.transfer(&head, &flowing, txs);
    let here = data.get(..all).unwrap_or(data);
    wire.content(&mut flowing, here, txs);
    flowing.left = all.saturating_sub(here.len());
    flowing.skip = room.saturating_sub(all.max(data.len()));
    Some(flowing)
}
