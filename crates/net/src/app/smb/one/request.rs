//! Requests of SMB 1.

use super::super::super::TxList;
use super::super::auth;
use super::super::record::{
    Create, Host, Kind, Negotiate, Rename, SessionSetup, SetInfo, TreeConnect,
};
use super::super::transfer::{FileId, Flowing, Waiting, Wire};
use super::{Block, Content, command, written};
use crate::cursor::Cursor;
use crate::flow::Direction;

const SIDE: Direction = Direction::ToServer;

/// Dialects kept of a negotiation.
const MAX_DIALECTS: usize = 64;
/// Information levels of TRANS2 (MS-CIFS section 2.2.2.3.4, MS-FSCC section 2.4).
const LEVEL_DISPOSITION: [u16; 2] = [0x0102, 1013];
const LEVEL_RENAME: u16 = 1010;

/// Takes in a request.
pub(super) fn take(wire: &mut Wire, block: &Block<'_>, txs: &mut TxList) {
    let read = match block.head.command {
        command::NEGOTIATE => negotiate(wire, block, txs),
        command::SESSION_SETUP_ANDX => session_setup(wire, block, txs),
        command::TREE_CONNECT_ANDX => tree_connect(wire, block, txs),
        command::NT_CREATE_ANDX => create(wire, block, txs),
        command::READ_ANDX => ask_read(wire, block),
        command::WRITE_ANDX => written(block).and_then(|content| {
            let data = block.at(content.from, content.length);
            write(wire, block, &content, data, txs)
        }),
        command::WRITE | command::WRITE_AND_CLOSE => plain_write(wire, block, txs),
        command::TRANS => trans(wire, block, txs),
        command::TRANS2 => trans2(wire, block, txs),
        command::RENAME => rename(wire, block, txs),
        command::CLOSE => close(wire, block, txs),
        command::NT_CANCEL => {
            // Has no response.
            let id = wire.begin(&block.head, Kind::Generic, txs);
            if let Some(tx) = txs.get_mut(id) {
                tx.reach(Direction::ToClient, 1);
            }
            Some(())
        }
        _ => {
            wire.ask(&block.head, Kind::Generic, txs);
            Some(())
        }
    };
    if read.is_none() {
        wire.trouble(SIDE, "malformed_data", txs);
    }
}

fn negotiate(wire: &mut Wire, block: &Block<'_>, txs: &mut TxList) -> Option<()> {
    let mut c = Cursor::new(block.bytes);
    let mut dialects = Vec::new();
    let mut sound = true;
    while !c.is_empty() && dialects.len() < MAX_DIALECTS {
        if c.u8() != Some(2) {
            sound = false;
            break;
        }
        dialects.push(block.text(&mut c, false)?);
    }
    wire.offered.clone_from(&dialects);
    let negotiate = Negotiate { dialects, ..Negotiate::default() };
    let id = wire.ask(&block.head, Kind::Negotiate(negotiate), txs);
    if wire.negotiated || wire.negotiating.replace(id).is_some() {
        wire.trouble(SIDE, "duplicate_negotiate", txs);
    }
    if !sound {
        wire.trouble(SIDE, "negotiate_malformed_dialects", txs);
    }
    Some(())
}

fn session_setup(wire: &mut Wire, block: &Block<'_>, txs: &mut TxList) -> Option<()> {
    let mut words = block.chained_words()?;
    words.skip(10)?;
    let mut c = Cursor::new(block.bytes);
    let mut setup = SessionSetup::default();
    let mut event = None;
    match block.words.len() {
        24 => {
            let blob = words.u16_le()?;
            event = auth::read(c.take(usize::from(blob).min(c.remaining()))?, &mut setup);
        }
        26 => {
            let passwords = [words.u16_le()?, words.u16_le()?].map(usize::from);
            c.skip(passwords.iter().fold(0, |sum, n| sum.saturating_add(*n)))?;
            // Account and domain.
            block.string(&mut c);
            block.string(&mut c);
        }
        _ => {
            let password = words.u16_le()?;
            c.skip(usize::from(password).min(c.remaining()))?;
            block.string(&mut c);
            block.string(&mut c);
        }
    }
    let native_os = block.string(&mut c);
    setup.client = Some(Host { native_os, native_lm: block.string(&mut c) });
    wire.ask(&block.head, Kind::SessionSetup(setup), txs);
    if let Some(event) = event {
        wire.trouble(SIDE, event, txs);
    }
    Some(())
}

fn tree_connect(wire: &mut Wire, block: &Block<'_>, txs: &mut TxList) -> Option<()> {
    let mut words = block.chained_words()?;
    words.skip(2)?;
    let password = words.u16_le()?;
    let mut c = Cursor::new(block.bytes);
    c.skip(usize::from(password))?;
    let share = block.string(&mut c);
    let service = block.text(&mut c, false);
    let tree = TreeConnect { share, service: (service, None), ..TreeConnect::default() };
    wire.ask(&block.head, Kind::TreeConnect(tree), txs);
    Some(())
}

fn create(wire: &mut Wire, block: &Block<'_>, txs: &mut TxList) -> Option<()> {
    let mut c = block.chained_words()?;
    c.skip(1)?;
    let length = usize::from(c.u16_le()?);
    c.skip(28)?;
    let (disposition, options) = (c.u32_le()?, c.u32_le()?);
    let mut bytes = Cursor::new(block.bytes);
    block.align(&mut bytes);
    let raw = bytes.rest();
    let create = Create {
        name: block.name(raw.get(..length).unwrap_or(raw)),
        disposition,
        delete_on_close: options & 0x1000 != 0,
        directory: options & 1 != 0,
        ..Create::default()
    };
    wire.ask(&block.head, Kind::Create(create), txs);
    Some(())
}

fn ask_read(wire: &mut Wire, block: &Block<'_>) -> Option<()> {
    let mut c = block.chained_words()?;
    let id = FileId::short(c.u16_le()?);
    let low = c.u32_le()?;
    c.skip(10)?;
    let high = c.u32_le().unwrap_or(0);
    let offset = u64::from(high) << 32 | u64::from(low);
    wire.wait(&block.head, Waiting::Read(id, offset));
    Some(())
}

fn write(
    wire: &mut Wire,
    block: &Block<'_>,
    content: &Content,
    data: &[u8],
    txs: &mut TxList,
) -> Option<()> {
    let head = &block.head;
    if wire.is_of_pipe(head, &content.id, data) {
        if let Some(tx) = wire.pipe((head, &content.id), SIDE, data, txs) {
            wire.wait(head, Waiting::Call(tx));
        }
        return Some(());
    }
    let mut flowing =
        Flowing { id: content.id, dir: SIDE, offset: content.offset, left: 0, skip: 0 };
    wire.transfer(head, &flowing, txs);
    wire.content(&mut flowing, data, txs);
    (data.len() >= content.length).then_some(())
}

/// `WRITE` and `WRITE_AND_CLOSE`.
fn plain_write(wire: &mut Wire, block: &Block<'_>, txs: &mut TxList) -> Option<()> {
    let mut c = Cursor::new(block.words);
    let id = FileId::short(c.u16_le()?);
    let (length, offset) = (c.u16_le()?, c.u32_le()?);
    let closes = block.head.command == command::WRITE_AND_CLOSE;
    let before = if closes { 1 } else { 3 };
    let data = block.bytes.get(before..)?;
    let data = data.get(..usize::from(length)).unwrap_or(data);
    let content = Content { id, offset: offset.into(), from: 0, length: data.len() };
    write(wire, block, &content, data, txs)?;
    if closes {
        wire.close(&id, txs);
    }
    Some(())
}

/// Parameters, data and setup of a TRANS or TRANS2 request.
struct Trans<'a> {
    params: &'a [u8],
    data: &'a [u8],
    setup: Cursor<'a>,
}

fn trans_of<'a>(block: &Block<'a>) -> Option<Trans<'a>> {
    let mut c = Cursor::new(block.words);
    c.skip(18)?;
    let (params, params_at) = (c.u16_le()?, c.u16_le()?);
    let (data, data_at) = (c.u16_le()?, c.u16_le()?);
    c.skip(2)?;
    let part = |length: u16, at: u16| block.at(at.into(), length.into());
    Some(Trans { params: part(params, params_at), data: part(data, data_at), setup: c })
}

fn trans(wire: &mut Wire, block: &Block<'_>, txs: &mut TxList) -> Option<()> {
    let Trans { data, mut setup, .. } = trans_of(block)?;
    // A transaction of a named pipe: its function, then the file.
    if let (Some(0x26), Some(fid)) = (setup.u16_le(), setup.u16_le()) {
        let id = FileId::short(fid);
        wire.pipe((&block.head, &id), SIDE, data, txs);
        wire.wait(&block.head, Waiting::Exchange(id));
    }
    Some(())
}

fn trans2(wire: &mut Wire, block: &Block<'_>, txs: &mut TxList) -> Option<()> {
    let Trans { params, data, mut setup } = trans_of(block)?;
    let mut c = Cursor::new(params);
    let class = setup.u16_le()?;
    let (id, level) = match class {
        6 => {
            let level = c.u16_le()?;
            c.skip(4)?;
            (None, level)
        }
        8 => (Some(FileId::short(c.u16_le()?)), c.u16_le()?),
        _ => return Some(()),
    };
    let name = match &id {
        Some(id) => wire.names.get(id).cloned().unwrap_or_else(|| b"<unknown>".to_vec()),
        None => block.name(c.rest()),
    };
    let id = id.map(|id| id.as_slice().to_vec()).unwrap_or_default();
    let kind = if LEVEL_DISPOSITION.contains(&level) {
        let delete_on_close = data.first()? & 1 != 0;
        Kind::SetInfo(SetInfo { id, name, class, level, delete_on_close })
    } else if level == LEVEL_RENAME {
        let mut c = Cursor::new(data);
        c.skip(8)?;
        let length = usize::try_from(c.u32_le()?).ok()?;
        let raw = c.rest();
        let to = super::utf16(raw.get(..length.min(super::MAX_NAME)).unwrap_or(raw));
        Kind::Rename(Rename { id, from: name, to })
    } else {
        return Some(());
    };
    wire.ask(&block.head, kind, txs);
    Some(())
}

fn rename(wire: &mut Wire, block: &Block<'_>, txs: &mut TxList) -> Option<()> {
    let mut c = Cursor::new(block.bytes);
    c.skip(1)?;
    let from = block.string(&mut c);
    c.skip(1)?;
    let to = block.string(&mut c);
    wire.ask(&block.head, Kind::Rename(Rename { id: Vec::new(), from, to }), txs);
    Some(())
}

fn close(wire: &mut Wire, block: &Block<'_>, txs: &mut TxList) -> Option<()> {
    let id = FileId::short(Cursor::new(block.words).u16_le()?);
    wire.close(&id, txs);
    wire.ask(&block.head, Kind::Generic, txs);
    Some(())
}
