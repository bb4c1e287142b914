//! A protocol to copy: what the next one looks like, compiled and tested, but not part of the product.
//!
//! The protocol here is made up: the client sends lines, `PUT name size` followed by so many bytes or
//! `BYE`; the server answers each with a line `OK` or `NO reason`. Small as it is it has what parsers
//! get wrong: input in any pieces, a length from outside, a file, replies that wait for their commands.
//!
//! # Which files
//!
//! 1. `net/src/app/NAME.rs`: module head, `progress`, the record, limits as constants with their source.
//!    `net/src/app/NAME/parser.rs`: the [`AppParser`]; parts of more than 300 lines get files of their own.
//! 2. `net/src/app/protocol.rs` (name), `transaction.rs` (variant of `Record`, `complete_at`, `protocol`),
//!    `app.rs` (`parser_of`, settings in `AppConfig`), `detect.rs` (first bytes). The compiler finds the rest.
//! 3. `signature/src/protocol.rs` (`Support`), `buffer.rs` (a line for each buffer), `view.rs` (`Number`),
//!    `check/protocol.rs` (keywords that are not buffers), `check/hint.rs` (they are known now).
//! 4. `agent/src/sensor/inspect/NAME.rs` (buffers and numbers), `eve/NAME.rs` (the record),
//!    `report.rs` (when it is written), `compat.rs` (Suricata's keys), `settings.rs` (our own).
//! 5. `net/src/fuzz.rs`: a beginning in `BEGINNINGS`, so that `net_app` gets into the parser.
//!
//! # Which limits
//!
//! Every buffer (here [`MAX_LINE`] by [`Lines`]), every list (waiting commands, open transactions), every
//! length that comes from outside, every nesting. A limit that is hit is an event or a counter. Files are
//! bounded by [`FileConfig`]; transactions by [`TxList`].
//!
//! # Which progress
//!
//! A direction is `complete` when nothing more of it can come: what rules ask for is then `Absent` rather
//! than `Pending`. A transaction goes when both are; its records are written before.
//!
//! # Which tests
//!
//! Tables of sessions in words; the same sessions byte by byte; limits; a gap in each state; any bytes
//! (property). Bytes are made by hand or by programs we ran, never taken from others' captures.

use std::collections::VecDeque;

use super::file::{File, FileConfig};
use super::lines::Lines;
use super::{AppParser, TxList};
use crate::flow::Direction;

/// Bytes of a line.
const MAX_LINE: usize = 512;
/// Commands that wait for their answers; more are not matched.
const MAX_WAITING: usize = 64;

/// Progress numbers of a direction.
mod progress {
    /// Sent, answered.
    pub(super) const DONE: u8 = 1;
}

/// What a transaction is about. A real one is a variant of `Record`; this borrows the one of FTP data,
/// which has a name too.
fn record(name: &[u8]) -> super::Record {
    super::Record::FtpData(Box::new(super::ftp::Transfer {
        command: super::ftp::Command::Stor,
        name: name.to_vec(),
        dir: Direction::ToServer,
    }))
}

/// Parser of one flow.
#[derive(Debug)]
struct Parser {
    commands: Lines,
    replies: Lines,
    /// Bytes of content that are still to come, and the transaction they belong to.
    content: Option<(u64, u64)>,
    waiting: VecDeque<u64>,
}

impl Default for Parser {
    fn default() -> Self {
        Self {
            commands: Lines::new(MAX_LINE),
            replies: Lines::new(MAX_LINE),
            content: None,
            waiting: VecDeque::new(),
        }
    }
}

impl Parser {
    fn command(&mut self, line: &[u8], txs: &mut TxList) {
        let mut words = line.split(|b| *b == b' ');
        let is_put = words.next() == Some(b"PUT");
        let name = words.next().unwrap_or_default();
        let id = txs.push(record(name));
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push_back(id);
        }
        let Some(tx) = txs.get_mut(id) else { return };
        if !is_put {
            return tx.reach(Direction::ToServer, progress::DONE);
        }
        // A number from outside: read whole or not at all.
        let size = words.next().and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
        let Some(size) = size else {
            tx.event(Direction::ToServer, "invalid_size");
            return tx.reach(Direction::ToServer, progress::DONE);
        };
        tx.files.push(File::new(Direction::ToServer, name, &FileConfig::default()));
        self.content = Some((size, id));
        self.take(&mut &b""[..], txs);
    }

    /// Takes what it can of the content.
    fn take(&mut self, input: &mut &[u8], txs: &mut TxList) {
        let Some((left, id)) = self.content else { return };
        let room = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
        let (now, later) = input.split_at_checked(room).unwrap_or((input, &[]));
        *input = later;
        let left = left.saturating_sub(u64::try_from(room).unwrap_or(u64::MAX));
        self.content = (left > 0).then_some((left, id));
        let Some(tx) = txs.get_mut(id) else { return };
        tx.touch(Direction::ToServer);
        if let Some(file) = tx.files.first_mut() {
            file.append(now);
            if left == 0 {
                file.close();
                tx.reach(Direction::ToServer, progress::DONE);
            }
        }
    }

    fn reply(&mut self, txs: &mut TxList) {
        if let Some(tx) = self.waiting.pop_front().and_then(|id| txs.get_mut(id)) {
            tx.reach(Direction::ToClient, progress::DONE);
        }
    }
}

impl AppParser for Parser {
    fn data(&mut self, dir: Direction, bytes: &[u8], txs: &mut TxList) {
        let mut input = bytes;
        match dir {
            Direction::ToServer => {
                while !input.is_empty() {
                    if self.content.is_some() {
                        self.take(&mut input, txs);
                        continue;
                    }
                    // The lines are taken out while a line of theirs is read.
                    let mut lines = std::mem::replace(&mut self.commands, Lines::new(1));
                    if let Some(line) = lines.next(&mut input) {
                        self.command(line.bytes, txs);
                    }
                    self.commands = lines;
                }
            }
            Direction::ToClient => {
                let mut lines = std::mem::replace(&mut self.replies, Lines::new(1));
                while lines.next(&mut input).is_some() {
                    self.reply(txs);
                }
                self.replies = lines;
            }
        }
    }

    fn gap(&mut self, dir: Direction, missing: u64, txs: &mut TxList) {
        match (dir, self.content) {
            // Within content its length is known: the place after it is not lost.
            (Direction::ToServer, Some((left, id))) if missing < left => {
                self.content = Some((left.saturating_sub(missing), id));
                if let Some(file) = txs.get_mut(id).and_then(|tx| tx.files.first_mut()) {
                    file.gap(missing);
                }
            }
            (Direction::ToServer, _) => {
                self.content = None;
                self.commands.lose();
            }
            (Direction::ToClient, _) => self.replies.lose(),
        }
    }

    fn end(&mut self, _dir: Direction, _txs: &mut TxList) {}
}

mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(pieces: &[(Direction, &[u8])]) -> Vec<String> {
        let (mut parser, mut txs) = (Parser::default(), TxList::default());
        for (dir, bytes) in pieces {
            parser.data(*dir, bytes, &mut txs);
        }
        let one = |tx: &super::super::Transaction| {
            let file = tx.files.first().map(|file| (file.data().to_vec(), file.state()));
            let done = [Direction::ToServer, Direction::ToClient].map(|dir| tx.progress(dir));
            let events: Vec<&str> = tx.events.iter().map(|event| event.name).collect();
            format!("{done:?} {file:?} {events:?}")
        };
        txs.iter().map(one).collect()
    }

    const CLIENT: &[u8] = b"PUT a 5\r\nab\r\ncPUT b 0\r\nPUT c x\r\nBYE\r\n";
    const SERVER: &[u8] = b"OK\r\nNO room\r\n";

    #[test]
    fn a_session_whole_and_byte_by_byte() {
        let whole = run(&[(Direction::ToServer, CLIENT), (Direction::ToClient, SERVER)]);
        expect_test::expect![[r#"
            [
                "[1, 1] Some(([97, 98, 13, 10, 99], Closed)) []",
                "[1, 1] Some(([], Closed)) []",
                "[1, 0] None [\"invalid_size\"]",
                "[1, 0] None []",
            ]
        "#]]
        .assert_debug_eq(&whole);
        let single = CLIENT.chunks(1).map(|byte| (Direction::ToServer, byte));
        let single = single.chain(SERVER.chunks(1).map(|byte| (Direction::ToClient, byte)));
        assert_eq!(run(&single.collect::<Vec<_>>()), whole);
    }

    #[test]
    fn a_gap_within_content_keeps_the_place() {
        let (mut parser, mut txs) = (Parser::default(), TxList::default());
        parser.data(Direction::ToServer, b"PUT a 5\r\nab", &mut txs);
        parser.gap(Direction::ToServer, 2, &mut txs);
        parser.data(Direction::ToServer, b"eBYE\r\n", &mut txs);
        parser.gap(Direction::ToServer, 2, &mut txs);
        parser.gap(Direction::ToClient, 2, &mut txs);
        parser.end(Direction::ToServer, &mut txs);
        let first = txs.iter().next().unwrap();
        assert_eq!((first.files[0].size(), first.files[0].has_gaps()), (5, true));
        assert_eq!(txs.created(), 2);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let up = run(&[(Direction::ToServer, &bytes), (Direction::ToClient, &bytes)]);
            let single: Vec<(Direction, &[u8])> = bytes
                .chunks(1)
                .map(|byte| (Direction::ToServer, byte))
                .chain(bytes.chunks(1).map(|byte| (Direction::ToClient, byte)))
                .collect();
            prop_assert_eq!(run(&single), up);
        }
    }
}
