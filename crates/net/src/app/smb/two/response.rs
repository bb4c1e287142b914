//! Responses of SMB 2 and 3.

use super::super::super::{Record, TxList};
use super::super::record::{Dialect, Kind, ShareKind, Smb};
use super::super::transfer::{FileId, Flowing, Waiting, Wire};
use super::{Message, command, has_data, read};
use crate::flow::Direction;

const SIDE: Direction = Direction::ToClient;

/// 1601 to 1970, in seconds.
const EPOCH: u64 = 11_644_473_600;

/// A Windows time (100 ns since 1601) in seconds since 1970.
pub(in super::super) fn seconds(time: u64) -> u64 {
    time.checked_div(10_000_000).unwrap_or(0).saturating_sub(EPOCH)
}

/// Takes in a response.
pub(super) fn take(wire: &mut Wire, message: &Message<'_>, txs: &mut TxList) {
    let head = &message.head;
    let Some(waiting) = wire.answered(head) else {
        // The request was not seen: what the response says of itself is taken.
        if head.command == command::NEGOTIATE
            && message.is_success()
            && learn_dialect(wire, message).is_some()
            && let Some(id) = wire.negotiating.take()
        {
            // The request was one of SMB 1 that offered SMB 2.
            describe(wire, message, id, txs);
            wire.complete(id, head, txs);
        }
        return;
    };
    let read = match waiting {
        Waiting::Read(id, offset) if has_data(message) => {
            take_read(wire, message, (id, offset), txs)
        }
        Waiting::Read(..) => Some(()),
        Waiting::Call(id) => {
            if let Some(tx) = txs.get_mut(id)
                && let Record::Smb(smb) = &mut tx.record
            {
                smb.status = head.status;
            }
            Some(())
        }
        Waiting::Exchange(id) => exchange(wire, message, id, txs),
        Waiting::Tx(id) => {
            let read = describe(wire, message, id, txs);
            wire.complete(id, head, txs);
            read
        }
    };
    if read.is_none() {
        wire.trouble(SIDE, "malformed_data", txs);
    }
}

fn take_read(
    wire: &mut Wire,
    message: &Message<'_>,
    asked: (FileId, u64),
    txs: &mut TxList,
) -> Option<()> {
    let content = read(message, asked)?;
    let data = message.at(content.from, content.length);
    if wire.is_of_pipe(&message.head, &content.id, data) {
        wire.pipe((&message.head, &content.id), SIDE, data, txs);
        return Some(());
    }
    let mut flowing =
        Flowing { id: content.id, dir: SIDE, offset: content.offset, left: 0, skip: 0 };
    wire.transfer(&message.head, &flowing, txs);
    wire.content(&mut flowing, data, txs);
    (data.len() == content.length).then_some(())
}

/// A write and read of a pipe in one.
fn exchange(wire: &mut Wire, message: &Message<'_>, id: FileId, txs: &mut TxList) -> Option<()> {
    if !has_data(message) {
        return Some(());
    }
    let mut c = message.body()?;
    c.skip(30)?;
    let (offset, length) = (c.u32_le()?, c.u32_le()?);
    let data = message.at(usize::try_from(offset).ok()?, usize::try_from(length).ok()?);
    wire.pipe((&message.head, &id), SIDE, data, txs);
    Some(())
}

fn smb_of(txs: &mut TxList, id: u64) -> Option<&mut Smb> {
    match &mut txs.get_mut(id)?.record {
        Record::Smb(smb) => Some(smb),
        _ => None,
    }
}

/// Adds to a transaction what its response says.
fn describe(wire: &mut Wire, message: &Message<'_>, id: u64, txs: &mut TxList) -> Option<()> {
    if !message.is_success() {
        return Some(());
    }
    match message.head.command {
        command::NEGOTIATE => {
            let (server_guid, max_read, max_write) = learn_dialect(wire, message)?;
            if let Kind::Negotiate(negotiate) = &mut smb_of(txs, id)?.kind {
                negotiate.server_guid = server_guid;
                negotiate.max_read = max_read;
                negotiate.max_write = max_write;
            }
        }
        command::TREE_CONNECT => {
            let kind = match message.body()?.u8()? {
                1 => ShareKind::Disk,
                2 => ShareKind::Pipe,
                3 => ShareKind::Print,
                _ => ShareKind::Other,
            };
            if let Kind::TreeConnect(tree) = &mut smb_of(txs, id)?.kind {
                tree.kind = Some(kind);
                let share = tree.share.clone();
                wire.trees.insert((message.head.session, message.head.tree), (share, kind));
            }
        }
        command::CREATE => created(wire, message, id, txs)?,
        _ => {}
    }
    Some(())
}

/// GUID of the server, most bytes of a read, of a write.
fn learn_dialect(wire: &mut Wire, message: &Message<'_>) -> Option<([u8; 16], u32, u32)> {
    let mut c = message.body()?;
    c.skip(2)?;
    let dialect = c.u16_le()?;
    c.skip(2)?;
    let guid = c.array()?;
    c.skip(8)?;
    let (max_read, max_write) = (c.u32_le()?, c.u32_le()?);
    wire.dialect = Dialect::Two(dialect);
    // The answer to a negotiation of SMB 1 that only says "2": another one follows.
    wire.negotiated = dialect != 0x02ff;
    Some((guid, max_read, max_write))
}

fn created(wire: &mut Wire, message: &Message<'_>, id: u64, txs: &mut TxList) -> Option<()> {
    let mut c = message.body()?;
    c.skip(6)?;
    let times = [c.u64_le()?, c.u64_le()?, c.u64_le()?, c.u64_le()?].map(seconds);
    c.skip(8)?;
    let size = c.u64_le()?;
    c.skip(8)?;
    let file = FileId::long(c.array()?);
    if let Kind::Create(create) = &mut smb_of(txs, id)?.kind {
        create.times = times;
        create.size = size;
        create.id = file.as_slice().to_vec();
        wire.names.insert(file, create.name.clone());
    }
    Some(())
}
