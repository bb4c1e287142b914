//! Responses of SMB 1.

use super::super::super::{Record, TxList};
use super::super::record::{Dialect, Host, Kind, ShareKind, Smb, Status};
use super::super::transfer::{FileId, Flowing, Waiting, Wire};
use super::super::two::seconds;
use super::{Block, command, read};
use crate::cursor::Cursor;
use crate::flow::Direction;

const SIDE: Direction = Direction::ToClient;

/// More data are to come, or more steps: not an error.
const MORE: [u32; 3] = [0xc000_0016, 0x8000_0005, 0x103];

fn is_success(block: &Block<'_>) -> bool {
    match block.head.status {
        Some(Status::Nt(status)) => status == 0 || MORE.contains(&status),
        _ => false,
    }
}

/// Takes in a response.
pub(super) fn take(wire: &mut Wire, block: &Block<'_>, txs: &mut TxList) {
    let head = &block.head;
    let Some(waiting) = wire.answered(head) else { return };
    let read = match waiting {
        Waiting::Read(id, offset) if is_success(block) => take_read(wire, block, (id, offset), txs),
        Waiting::Call(id) => {
            if let Some(smb) = smb_of(txs, id) {
                smb.status = head.status;
            }
            Some(())
        }
        Waiting::Exchange(id) if is_success(block) => exchange(wire, block, id, txs),
        Waiting::Read(..) | Waiting::Exchange(_) => Some(()),
        Waiting::Tx(id) => {
            let read = if is_success(block) { describe(wire, block, id, txs) } else { Some(()) };
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
    block: &Block<'_>,
    asked: (FileId, u64),
    txs: &mut TxList,
) -> Option<()> {
    let content = read(block, asked)?;
    let data = block.at(content.from, content.length);
    if wire.is_of_pipe(&block.head, &content.id, data) {
        wire.pipe((&block.head, &content.id), SIDE, data, txs);
        return Some(());
    }
    let mut flowing =
        Flowing { id: content.id, dir: SIDE, offset: content.offset, left: 0, skip: 0 };
    wire.transfer(&block.head, &flowing, txs);
    wire.content(&mut flowing, data, txs);
    (data.len() == content.length).then_some(())
}

/// A write and read of a pipe in one.
fn exchange(wire: &mut Wire, block: &Block<'_>, id: FileId, txs: &mut TxList) -> Option<()> {
    let mut c = Cursor::new(block.words);
    c.skip(12)?;
    let (length, from) = (c.u16_le()?, c.u16_le()?);
    let data = block.at(from.into(), length.into());
    wire.pipe((&block.head, &id), SIDE, data, txs);
    Some(())
}

fn smb_of(txs: &mut TxList, id: u64) -> Option<&mut Smb> {
    match &mut txs.get_mut(id)?.record {
        Record::Smb(smb) => Some(smb),
        _ => None,
    }
}

/// Adds to a transaction what its response says.
fn describe(wire: &mut Wire, block: &Block<'_>, id: u64, txs: &mut TxList) -> Option<()> {
    match block.head.command {
        command::NEGOTIATE => negotiated(wire, block, id, txs)?,
        command::SESSION_SETUP_ANDX => {
            let mut c = Cursor::new(block.bytes);
            if block.words.len() >= 8 {
                let mut words = block.chained_words()?;
                words.skip(2)?;
                c.skip(usize::from(words.u16_le()?).min(c.remaining()))?;
            }
            let native_os = block.string(&mut c);
            let host = Host { native_os, native_lm: block.string(&mut c) };
            if let Kind::SessionSetup(setup) = &mut smb_of(txs, id)?.kind {
                setup.server = Some(host);
            }
        }
        command::TREE_CONNECT_ANDX => {
            let mut c = Cursor::new(block.bytes);
            let service = block.text(&mut c, false)?;
            let kind = match service.as_slice() {
                b"IPC" => ShareKind::Pipe,
                b"LPT1:" => ShareKind::Print,
                b"A:" => ShareKind::Disk,
                _ => ShareKind::Other,
            };
            if let Kind::TreeConnect(tree) = &mut smb_of(txs, id)?.kind {
                tree.kind = Some(kind);
                tree.service.1 = Some(service);
                let share = tree.share.clone();
                wire.trees.insert((block.head.session, block.head.tree), (share, kind));
            }
        }
        command::NT_CREATE_ANDX => created(wire, block, id, txs)?,
        _ => {}
    }
    Some(())
}

fn negotiated(wire: &mut Wire, block: &Block<'_>, id: u64, txs: &mut TxList) -> Option<()> {
    wire.negotiated = true;
    wire.negotiating = None;
    let chosen = Cursor::new(block.words).u16_le()?;
    if let Some(name) = wire.offered.get(usize::from(chosen)) {
        wire.dialect = Dialect::One(name.as_slice().into());
    }
    let Kind::Negotiate(negotiate) = &mut smb_of(txs, id)?.kind else { return Some(()) };
    // With extended security the server names itself.
    if block.words.len() >= 34 && block.bytes.len() >= 16 && block.words.last() == Some(&0) {
        negotiate.server_guid = *block.bytes.first_chunk()?;
    }
    Some(())
}

fn created(wire: &mut Wire, block: &Block<'_>, id: u64, txs: &mut TxList) -> Option<()> {
    let mut c = block.chained_words()?;
    c.skip(1)?;
    let file = FileId::short(c.u16_le()?);
    c.skip(4)?;
    let times = [c.u64_le()?, c.u64_le()?, c.u64_le()?, c.u64_le()?].map(seconds);
    c.skip(12)?;
    let size = c.u64_le()?;
    if let Kind::Create(create) = &mut smb_of(txs, id)?.kind {
        create.times = times;
        create.size = size;
        create.id = file.as_slice().to_vec();
        wire.names.insert(file, create.name.clone());
    }
    Some(())
}
