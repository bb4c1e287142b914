//! Requests of SMB 2 and 3.

use super::super::super::TxList;
use super::super::MAX_NAMES;
use super::super::auth;
use super::super::record::{Create, Kind, Negotiate, Rename, SessionSetup, SetInfo, TreeConnect};
use super::super::transfer::{FileId, Flowing, Waiting, Wire};
use super::{Message, command, utf16, written};
use crate::cursor::Cursor;
use crate::flow::Direction;

/// `FSCTL_PIPE_TRANSCEIVE` (MS-FSCC section 2.3): a write and a read in one.
pub(super) const PIPE_TRANSCEIVE: u32 = 0x0011_c017;

/// Classes of information on files (MS-FSCC section 2.4).
const RENAME: u8 = 10;
const DISPOSITION: u8 = 13;

const SIDE: Direction = Direction::ToServer;

/// Takes in a request.
pub(super) fn take(
    wire: &mut Wire,
    message: &Message<'_>,
    file: &mut Option<FileId>,
    txs: &mut TxList,
) {
    let head = &message.head;
    let read = match head.command {
        command::NEGOTIATE => negotiate(wire, message, txs),
        command::SESSION_SETUP => session_setup(wire, message, txs),
        command::TREE_CONNECT => tree_connect(wire, message, txs),
        command::CREATE => create(wire, message, file, txs),
        command::CLOSE => close(wire, message, file, txs),
        command::READ => ask_read(wire, message, file, txs),
        command::WRITE => write(wire, message, file, txs),
        command::IOCTL => control(wire, message, txs),
        command::SET_INFO => set_info(wire, message, file, txs),
        command::QUERY_INFO => Some(()),
        command::CANCEL => {
            // Has no response.
            let id = wire.begin(head, Kind::Generic, txs);
            if let Some(tx) = txs.get_mut(id) {
                tx.reach(Direction::ToClient, 1);
            }
            Some(())
        }
        _ => {
            wire.ask(head, Kind::Generic, txs);
            Some(())
        }
    };
    if read.is_none() {
        wire.trouble(SIDE, "malformed_data", txs);
    }
}

/// The file of a request: all ones for that of the message before.
fn file_of(id: FileId, before: Option<FileId>) -> FileId {
    if id == FileId::long([0xff; 16]) { before.unwrap_or(id) } else { id }
}

fn negotiate(wire: &mut Wire, message: &Message<'_>, txs: &mut TxList) -> Option<()> {
    let mut c = message.body()?;
    let count = c.u16_le()?;
    c.skip(8)?;
    let client_guid = c.array()?;
    c.skip(8)?;
    let mut dialects = Vec::new();
    let mut whole = true;
    for _ in 0..usize::from(count).min(MAX_NAMES) {
        let Some(dialect) = c.u16_le() else {
            whole = false;
            break;
        };
        dialects.push(dialect);
    }
    let negotiate =
        Negotiate { dialects2: dialects, client_guid: Some(client_guid), ..Negotiate::default() };
    wire.ask(&message.head, Kind::Negotiate(negotiate), txs);
    if wire.negotiated {
        wire.trouble(SIDE, "duplicate_negotiate", txs);
    }
    if !whole {
        wire.trouble(SIDE, "negotiate_malformed_dialects", txs);
    }
    Some(())
}

fn session_setup(wire: &mut Wire, message: &Message<'_>, txs: &mut TxList) -> Option<()> {
    let mut c = message.body()?;
    c.skip(10)?;
    let (offset, length) = (c.u16_le()?, c.u16_le()?);
    let blob = message.at(offset.into(), length.into());
    let mut setup = SessionSetup::default();
    let event = auth::read(blob, &mut setup);
    wire.ask(&message.head, Kind::SessionSetup(setup), txs);
    if let Some(event) = event {
        wire.trouble(SIDE, event, txs);
    }
    Some(())
}

fn tree_connect(wire: &mut Wire, message: &Message<'_>, txs: &mut TxList) -> Option<()> {
    let mut c = message.body()?;
    c.skip(2)?;
    let (offset, length) = (c.u16_le()?, c.u16_le()?);
    let share = message.text(offset, length);
    wire.ask(
        &message.head,
        Kind::TreeConnect(TreeConnect { share, ..TreeConnect::default() }),
        txs,
    );
    Some(())
}

fn create(
    wire: &mut Wire,
    message: &Message<'_>,
    file: &mut Option<FileId>,
    txs: &mut TxList,
) -> Option<()> {
    let mut c = message.body()?;
    c.skip(34)?;
    let (disposition, options) = (c.u32_le()?, c.u32_le()?);
    let (offset, length) = (c.u16_le()?, c.u16_le()?);
    let create = Create {
        name: message.text(offset, length),
        disposition,
        delete_on_close: options & 0x1000 != 0,
        directory: options & 1 != 0,
        ..Create::default()
    };
    // Messages related to this one name the file by all ones.
    let stand_in = FileId::long([0xff; 16]);
    wire.names.insert(stand_in, create.name.clone());
    *file = Some(stand_in);
    wire.ask(&message.head, Kind::Create(create), txs);
    Some(())
}

fn close(
    wire: &mut Wire,
    message: &Message<'_>,
    file: &mut Option<FileId>,
    txs: &mut TxList,
) -> Option<()> {
    let mut c = message.body()?;
    c.skip(6)?;
    let id = file_of(FileId::long(c.array()?), *file);
    wire.close(&id, txs);
    wire.ask(&message.head, Kind::Generic, txs);
    Some(())
}

fn ask_read(
    wire: &mut Wire,
    message: &Message<'_>,
    file: &mut Option<FileId>,
    txs: &mut TxList,
) -> Option<()> {
    let mut c = message.body()?;
    c.skip(2)?;
    let (length, offset) = (c.u32_le()?, c.u64_le()?);
    let id = file_of(FileId::long(c.array()?), *file);
    *file = Some(id);
    if wire.limits.max_read > 0 && length > wire.limits.max_read {
        wire.trouble(SIDE, "read_request_too_large", txs);
    }
    wire.wait(&message.head, Waiting::Read(id, offset));
    Some(())
}

/// A write that is larger than it may be.
pub(super) fn check_write(wire: &Wire, length: usize, txs: &mut TxList) {
    let limit = usize::try_from(wire.limits.max_write).unwrap_or(usize::MAX);
    if limit > 0 && length > limit {
        wire.trouble(SIDE, "write_request_too_large", txs);
    }
}

fn write(
    wire: &mut Wire,
    message: &Message<'_>,
    file: &mut Option<FileId>,
    txs: &mut TxList,
) -> Option<()> {
    let content = written(message)?;
    let id = file_of(content.id, *file);
    *file = Some(id);
    let data = message.at(content.from, content.length);
    check_write(wire, content.length, txs);
    if wire.is_of_pipe(&message.head, &id, data) {
        if let Some(tx) = wire.pipe((&message.head, &id), SIDE, data, txs) {
            wire.wait(&message.head, Waiting::Call(tx));
        }
        return Some(());
    }
    let mut flowing = Flowing { id, dir: SIDE, offset: content.offset, left: 0, skip: 0 };
    wire.transfer(&message.head, &flowing, txs);
    wire.content(&mut flowing, data, txs);
    (data.len() == content.length).then_some(())
}

fn control(wire: &mut Wire, message: &Message<'_>, txs: &mut TxList) -> Option<()> {
    let mut c = message.body()?;
    c.skip(2)?;
    let code = c.u32_le()?;
    let id = FileId::long(c.array()?);
    let (offset, length) = (c.u32_le()?, c.u32_le()?);
    if code == PIPE_TRANSCEIVE {
        let data = message.at(usize::try_from(offset).ok()?, usize::try_from(length).ok()?);
        if wire.pipe((&message.head, &id), SIDE, data, txs).is_some() {
            wire.wait(&message.head, Waiting::Exchange(id));
            return Some(());
        }
    }
    wire.ask(&message.head, Kind::Control(code), txs);
    Some(())
}

fn set_info(
    wire: &mut Wire,
    message: &Message<'_>,
    file: &mut Option<FileId>,
    txs: &mut TxList,
) -> Option<()> {
    let mut c = message.body()?;
    let (class, level) = (c.u8()?, c.u8()?);
    let (length, offset) = (c.u32_le()?, c.u16_le()?);
    c.skip(6)?;
    let id = file_of(FileId::long(c.array()?), *file);
    *file = Some(id);
    let data = message.at(offset.into(), usize::try_from(length).ok()?);
    let name = || wire.names.get(&id).cloned().unwrap_or_else(|| b"<unknown>".to_vec());
    let kind = match (class, level) {
        (1, RENAME) => {
            let mut c = Cursor::new(data);
            c.skip(16)?;
            let length = usize::try_from(c.u32_le()?).ok()?;
            let raw = c.rest();
            let to = utf16(raw.get(..length.min(super::MAX_NAME)).unwrap_or(raw));
            Kind::Rename(Rename { id: id.as_slice().to_vec(), from: name(), to })
        }
        (1, DISPOSITION) => Kind::SetInfo(SetInfo {
            id: id.as_slice().to_vec(),
            name: name(),
            class: class.into(),
            level: level.into(),
            delete_on_close: data.first()? & 1 != 0,
        }),
        _ => return Some(()),
    };
    wire.ask(&message.head, kind, txs);
    Some(())
}
