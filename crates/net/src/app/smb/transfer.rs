//! What both versions share: transactions and their answers, content of files, pipes.

use std::collections::BTreeMap;

use super::super::file::{File, FileConfig};
use super::super::{AppConfig, Record, Transaction, TxList};
use super::handle::Memory;
use super::pipe::Pipe;
use super::record::{Dialect, Kind, ShareKind, Smb, Status, TransferOf};
use super::{one, two};
use crate::flow::Direction;

/// Bytes of a file that wait for those before them.
const MAX_HELD: usize = 1 << 20;
/// Pieces of a file that wait for those before them.
const MAX_PIECES: usize = 64;

/// Identifier of an open file: 16 bytes in SMB 2, two in SMB 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct FileId {
    bytes: [u8; 16],
    long: bool,
}

impl FileId {
    pub(super) fn long(bytes: [u8; 16]) -> Self {
        Self { bytes, long: true }
    }

    pub(super) fn short(fid: u16) -> Self {
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(fid.to_le_bytes()) {
            *to = from;
        }
        Self { bytes, long: false }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        let end = if self.long { 16 } else { 2 };
        self.bytes.get(..end).unwrap_or_default()
    }
}

/// What the header of a message says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Head {
    /// 1 or 2.
    pub(super) version: u8,
    pub(super) command: u16,
    pub(super) status: Option<Status>,
    pub(super) session: u64,
    pub(super) tree: u32,
    /// By what request and response find each other.
    pub(super) message: u64,
}

/// A request that has no answer yet.
#[derive(Clone, Copy, Debug)]
pub(super) enum Waiting {
    /// Its transaction.
    Tx(u64),
    /// A read of a file or pipe from an offset on.
    Read(FileId, u64),
    /// A call was written into a pipe: the transaction.
    Call(u64),
    /// A call was written into a pipe and is answered with the response.
    Exchange(FileId),
}

/// Content of a file that is on its way in a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flowing {
    pub(super) id: FileId,
    pub(super) dir: Direction,
    pub(super) offset: u64,
    /// Bytes of content still to come.
    pub(super) left: usize,
    /// Bytes of the message after the content.
    pub(super) skip: usize,
}

/// A file on its way.
#[derive(Debug, Default)]
struct Transfer {
    tx: u64,
    /// All before this was given to the file.
    next: u64,
    /// Pieces behind a hole, by their offset.
    held: BTreeMap<u64, Vec<u8>>,
    held_bytes: usize,
}

/// State of a connection.
#[derive(Debug, Default)]
pub(super) struct Wire {
    pub(super) dialect: Dialect,
    pub(super) negotiated: bool,
    /// A negotiation of SMB 1 that has no answer yet.
    pub(super) negotiating: Option<u64>,
    /// Dialects that a client of SMB 1 offered.
    pub(super) offered: Vec<Vec<u8>>,
    pub(super) files: FileConfig,
    pub(super) limits: super::super::SmbLimits,
    /// Names of open files.
    pub(super) names: Memory<FileId, Vec<u8>>,
    /// Shares by session and tree.
    pub(super) trees: Memory<(u64, u32), (Vec<u8>, ShareKind)>,
    waiting: Memory<(u16, u64), Waiting>,
    transfers: Memory<(FileId, usize), Transfer>,
    pub(super) pipes: Memory<FileId, Pipe>,
    /// The newest transaction: what is wrong with no transaction in particular is told there.
    newest: Option<u64>,
}

impl Wire {
    pub(super) fn new(config: &AppConfig) -> Self {
        Self { files: config.files, limits: config.smb, ..Self::default() }
    }

    /// Something wrong with no transaction in particular.
    pub(super) fn trouble(&self, dir: Direction, name: &'static str, txs: &mut TxList) {
        if let Some(tx) = self.newest.and_then(|id| txs.get_mut(id)) {
            tx.event(dir, name);
        }
    }

    /// A transaction for a request. Of a tree it is only known with the answer what it is.
    pub(super) fn begin(&mut self, head: &Head, kind: Kind, txs: &mut TxList) -> u64 {
        let later = matches!(kind, Kind::TreeConnect(_) | Kind::Pipe(_) | Kind::Transfer(_));
        let smb = Smb {
            version: head.version,
            command: head.command,
            status: None,
            session: head.session,
            tree: head.tree,
            dialect: self.dialect.clone(),
            kind,
        };
        let id = txs.push(Record::Smb(Box::new(smb)));
        self.newest = Some(id);
        if let Some(tx) = txs.get_mut(id) {
            if later {
                tx.touch(Direction::ToServer);
            } else {
                tx.reach(Direction::ToServer, 1);
            }
        }
        id
    }

    /// A transaction that the response with this header completes.
    pub(super) fn ask(&mut self, head: &Head, kind: Kind, txs: &mut TxList) -> u64 {
        let id = self.begin(head, kind, txs);
        self.wait(head, Waiting::Tx(id));
        id
    }

    pub(super) fn wait(&mut self, head: &Head, waiting: Waiting) {
        self.waiting.insert((head.command, head.message), waiting);
    }

    /// What waits for a response.
    pub(super) fn waits_for(&self, head: &Head) -> Option<Waiting> {
        self.waiting.get(&(head.command, head.message)).copied()
    }

    /// What waited for a response.
    pub(super) fn answered(&mut self, head: &Head) -> Option<Waiting> {
        self.waiting.remove(&(head.command, head.message))
    }

    /// Completes a transaction with the status of its response.
    pub(super) fn complete(&self, id: u64, head: &Head, txs: &mut TxList) {
        let Some(tx) = txs.get_mut(id) else { return };
        if let Record::Smb(smb) = &mut tx.record {
            smb.status = head.status;
            smb.dialect.clone_from(&self.dialect);
            if matches!(smb.kind, Kind::TreeConnect(_) | Kind::SessionSetup(_)) {
                smb.session = head.session;
                smb.tree = head.tree;
            }
        }
        tx.reach(Direction::ToServer, 1);
        tx.reach(Direction::ToClient, 1);
    }

    /// Whether a tree holds pipes; `None` when it is not known.
    pub(super) fn is_pipe(&self, head: &Head) -> Option<bool> {
        let (_, kind) = self.trees.get(&(head.session, head.tree))?;
        Some(*kind == ShareKind::Pipe)
    }

    /// Whether data read or written is that of a pipe: by its tree, else by what is known of the
    /// file, else by the data themselves.
    pub(super) fn is_of_pipe(&self, head: &Head, id: &FileId, data: &[u8]) -> bool {
        self.is_pipe(head).unwrap_or_else(|| {
            self.pipes.get(id).is_some()
                || (data.len() >= 16
                    && super::super::dcerpc::looks_like(data, super::super::detect::Transport::Tcp))
        })
    }

    /// Handles the beginning of a message that carries content of a file, all of which is not there
    /// yet; `None` when it is none or has to be put together first.
    pub(super) fn begin_content(
        &mut self,
        dir: Direction,
        body: &[u8],
        length: usize,
        txs: &mut TxList,
    ) -> Option<Flowing> {
        match body {
            [0xff, ..] => one::begin_content(self, dir, body, length, txs),
            [0xfe, ..] => two::begin_content(self, dir, body, length, txs),
            _ => None,
        }
    }

    /// More content of a file.
    pub(super) fn content(&mut self, flowing: &mut Flowing, bytes: &[u8], txs: &mut TxList) {
        let length = u64::try_from(bytes.len()).unwrap_or(0);
        if let Some(transfer) = self.transfers.get_mut(&(flowing.id, flowing.dir.index()))
            && let Some(tx) = txs.get_mut(transfer.tx)
        {
            transfer.piece(tx, flowing.dir, flowing.offset, bytes);
        }
        flowing.offset = flowing.offset.saturating_add(length);
    }

    /// Content of a file is missing.
    pub(super) fn hole(&mut self, flowing: &mut Flowing, missing: usize, txs: &mut TxList) {
        let length = u64::try_from(missing).unwrap_or(0);
        if let Some(transfer) = self.transfers.get_mut(&(flowing.id, flowing.dir.index()))
            && let Some(tx) = txs.get_mut(transfer.tx)
        {
            transfer.hole(tx, flowing.offset.saturating_add(length));
        }
        flowing.offset = flowing.offset.saturating_add(length);
    }

    /// Content begins: makes the transaction of the file when it is the first.
    pub(super) fn transfer(&mut self, head: &Head, flowing: &Flowing, txs: &mut TxList) {
        let key = (flowing.id, flowing.dir.index());
        let open = self.transfers.get(&key).and_then(|transfer| txs.get_mut(transfer.tx));
        if let Some(tx) = open {
            if let Record::Smb(smb) = &mut tx.record {
                smb.status = head.status.or(smb.status);
            }
            return tx.touch(flowing.dir);
        }
        let name = self.names.get(&flowing.id).cloned().unwrap_or_default();
        let share = self.trees.get(&(head.session, head.tree)).map(|(share, _)| share.clone());
        let mut file = File::new(flowing.dir, &name, &self.files);
        file.name.retain(|b| *b != 0);
        let record = TransferOf {
            id: flowing.id.as_slice().to_vec(),
            name,
            share: share.unwrap_or_default(),
            dir: flowing.dir,
        };
        let id = self.begin(head, Kind::Transfer(record), txs);
        if let Some(tx) = txs.get_mut(id) {
            tx.files.push(file);
            tx.touch(flowing.dir);
        }
        self.transfers.insert(key, Transfer { tx: id, ..Transfer::default() });
    }

    /// A file is closed: its content in both directions is complete.
    pub(super) fn close(&mut self, id: &FileId, txs: &mut TxList) {
        for dir in [Direction::ToServer, Direction::ToClient] {
            let Some(mut transfer) = self.transfers.remove(&(*id, dir.index())) else { continue };
            let Some(tx) = txs.get_mut(transfer.tx) else { continue };
            transfer.flush(tx);
            if let Record::Smb(smb) = &mut tx.record {
                smb.status = Some(Status::Nt(0));
                smb.dialect.clone_from(&self.dialect);
            }
            for file in &mut tx.files {
                file.close();
            }
            tx.reach(Direction::ToServer, 1);
            tx.reach(Direction::ToClient, 1);
        }
        self.names.remove(id);
        self.pipes.remove(id);
    }

    /// Data of a pipe; the transaction of the call that they belong to.
    pub(super) fn pipe(
        &mut self,
        (head, id): (&Head, &FileId),
        dir: Direction,
        data: &[u8],
        txs: &mut TxList,
    ) -> Option<u64> {
        if self.pipes.get(id).is_none() {
            self.pipes.insert(*id, Pipe::default());
        }
        let mut pipe = self.pipes.remove(id)?;
        let tx = pipe.data(self, head, (dir, data), txs);
        self.pipes.insert(*id, pipe);
        tx
    }
}

impl Transfer {
    /// A piece of content: in its place, before it (seen already), or behind a hole.
    fn piece(&mut self, tx: &mut Transaction, dir: Direction, offset: u64, bytes: &[u8]) {
        tx.touch(dir);
        if bytes.is_empty() {
            return;
        }
        if offset > self.next {
            let fits = self.held_bytes.saturating_add(bytes.len()) <= MAX_HELD;
            if fits && self.held.len() < MAX_PIECES {
                self.held_bytes = self.held_bytes.saturating_add(bytes.len());
                self.hold(offset, bytes);
                return;
            }
            self.hole(tx, offset);
        }
        self.give(tx, dir, offset, bytes);
        self.follow(tx, dir);
    }

    fn hold(&mut self, offset: u64, bytes: &[u8]) {
        // Pieces of one message come one after the other.
        if let Some((begin, last)) = self.held.range_mut(..=offset).next_back() {
            let end = begin.saturating_add(u64::try_from(last.len()).unwrap_or(u64::MAX));
            if end == offset {
                return last.extend_from_slice(bytes);
            }
        }
        self.held.entry(offset).or_insert_with(|| bytes.to_vec());
    }

    /// Gives the part of a piece that is new.
    fn give(&mut self, tx: &mut Transaction, dir: Direction, offset: u64, bytes: &[u8]) {
        let before = self.next.saturating_sub(offset);
        if before > 0 {
            tx.event(dir, "file_overlap");
        }
        let new = usize::try_from(before).ok().and_then(|n| bytes.get(n..)).unwrap_or_default();
        if let Some(file) = tx.files.first_mut() {
            file.append(new);
        }
        self.next = self.next.saturating_add(u64::try_from(new.len()).unwrap_or(0));
    }

    /// Pieces that waited for what has come now.
    fn follow(&mut self, tx: &mut Transaction, dir: Direction) {
        while let Some(entry) = self.held.first_entry() {
            if *entry.key() > self.next {
                return;
            }
            let (offset, bytes) = entry.remove_entry();
            self.held_bytes = self.held_bytes.saturating_sub(bytes.len());
            self.give(tx, dir, offset, &bytes);
        }
    }

    /// What lies before `offset` and has not come will not come.
    fn hole(&mut self, tx: &mut Transaction, offset: u64) {
        while self.next < offset {
            let until = self.held.first_key_value().map_or(offset, |(at, _)| offset.min(*at));
            if let Some(file) = tx.files.first_mut()
                && until > self.next
            {
                file.gap(until.saturating_sub(self.next));
            }
            self.next = self.next.max(until);
            let dir = tx.files.first().map_or(Direction::ToServer, |file| file.dir);
            self.follow(tx, dir);
        }
    }

    fn flush(&mut self, tx: &mut Transaction) {
        while let Some((at, _)) = self.held.first_key_value() {
            let at = *at;
            self.hole(tx, at);
            let dir = tx.files.first().map_or(Direction::ToServer, |file| file.dir);
            self.follow(tx, dir);
        }
    }
}
