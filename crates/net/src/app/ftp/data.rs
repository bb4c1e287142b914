//! A data channel: one file, or a listing.

use super::super::file::{File, FileConfig};
use super::super::{AppParser, Record, TxList};
use super::{Command, progress};
use crate::flow::Direction;

/// What is known of a data channel before it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The command that brought it about.
    pub command: Command,
    /// Name of the file as the command has it; for a listing its argument.
    pub name: Vec<u8>,
    /// Which way the file goes in the data flow, whose client is who opens it.
    pub dir: Direction,
}

/// Parser of a data channel.
#[derive(Debug)]
pub struct DataParser {
    transfer: Transfer,
    files: FileConfig,
    tx: Option<u64>,
}

impl DataParser {
    /// A parser for a transfer.
    #[must_use]
    pub fn new(transfer: Transfer, files: &FileConfig) -> Self {
        Self { transfer, files: *files, tx: None }
    }

    /// Changes the file, which begins with the first bytes.
    fn file(&mut self, txs: &mut TxList, act: impl FnOnce(&mut File)) {
        let id = *self.tx.get_or_insert_with(|| {
            let id = txs.push(Record::FtpData(Box::new(self.transfer.clone())));
            if let Some(tx) = txs.get_mut(id) {
                // A listing is no file.
                if is_file(self.transfer.command) {
                    tx.files.push(File::new(self.transfer.dir, &self.transfer.name, &self.files));
                }
                tx.reach(self.transfer.dir.reverse(), progress::DONE);
            }
            id
        });
        let Some(tx) = txs.get_mut(id) else { return };
        if let Some(file) = tx.files.first_mut() {
            act(file);
        }
        tx.touch(self.transfer.dir);
    }
}

fn is_file(command: Command) -> bool {
    !matches!(command, Command::List | Command::Nlst)
}

impl AppParser for DataParser {
    fn data(&mut self, dir: Direction, bytes: &[u8], txs: &mut TxList) {
        if dir == self.transfer.dir {
            self.file(txs, |file| file.append(bytes));
        }
    }

    fn gap(&mut self, dir: Direction, missing: u64, txs: &mut TxList) {
        if dir == self.transfer.dir {
            self.file(txs, |file| file.gap(missing));
        }
    }

    fn end(&mut self, dir: Direction, txs: &mut TxList) {
        if dir != self.transfer.dir || self.tx.is_none() {
            return;
        }
        self.file(txs, File::close);
        if let Some(tx) = self.tx.and_then(|id| txs.get_mut(id)) {
            tx.reach(dir, progress::DONE);
        }
    }
}
