//! The server's side: replies and what they make of the commands that waited for them.

use super::super::lines::{Line, Lines};
use super::super::{Switch, TxList};
use super::parser::{Command, Dots, Mode, Parser};
use super::{MAX_LINE, progress};
use crate::flow::Direction;

impl Parser {
    /// Takes in bytes of the server; what follows a granted STARTTLS is left in `input`.
    pub(super) fn read_server(&mut self, input: &mut &[u8], txs: &mut TxList) {
        let mut lines = std::mem::replace(&mut self.replies, Lines::new(MAX_LINE));
        while self.upgraded.is_none() {
            let Some(line) = lines.next(input) else { break };
            self.reply(line, txs);
        }
        self.replies = lines;
    }

    fn reply(&mut self, line: Line<'_>, txs: &mut TxList) {
        let text = line.bytes;
        // RFC 5321 section 4.2.1.
        let code =
            text.get(..3).filter(|code| matches!(code, [b'2'..=b'5', b'0'..=b'5', b'0'..=b'9']));
        let Some(code) = code else {
            return self.event(Direction::ToClient, "invalid_reply", txs);
        };
        if line.cut {
            self.event(Direction::ToClient, "max_reply_line_len_exceeded", txs);
        }
        self.multiline = text.get(3) == Some(&b'-');
        let Some((command, id)) = self.waiting.front().copied() else {
            if !self.greeted {
                self.greeted = !self.multiline;
                if code != b"220" {
                    self.event(Direction::ToClient, "invalid_pipelined_sequence", txs);
                }
            }
            return;
        };
        if code == b"250" && text.get(4..).is_some_and(|t| t.eq_ignore_ascii_case(b"pipelining")) {
            self.pipelining = true;
        }
        if self.multiline {
            return;
        }
        self.waiting.pop_front();
        self.answered(command, id, code, txs);
    }

    /// The last line of the reply to a command of that transaction.
    fn answered(&mut self, command: Command, id: u64, code: &[u8], txs: &mut TxList) {
        let mut events: Option<&'static str> = None;
        let mut done = false;
        match (command, code) {
            (Command::StartTls, b"220") => {
                done = true;
                self.upgraded = Some(Switch::default());
            }
            (Command::StartTls, _) => events = Some("tls_rejected"),
            (Command::Data, b"354") => self.data_granted(id),
            (Command::Data, _) => {
                events = Some("data_command_rejected");
                self.data_rejected(id, txs);
            }
            (Command::Hello(anew), b"250") => done = anew,
            (Command::Rset, b"250") | (Command::MailEnd, _) => done = true,
            _ => {}
        }
        let Some(tx) = txs.get_mut(id) else { return };
        tx.touch(Direction::ToClient);
        if let Some(name) = events {
            tx.event(Direction::ToClient, name);
        }
        if !done {
            return;
        }
        tx.reach(Direction::ToServer, progress::DONE);
        tx.reach(Direction::ToClient, progress::DONE);
        if self.tx == Some(id) {
            self.resetting = false;
            self.mime = None;
        }
    }

    /// The mail follows, if it was not sent ahead.
    fn data_granted(&mut self, id: u64) {
        if !matches!(self.mode, Mode::Mail(_)) && self.tx == Some(id) {
            self.mode = Mode::Mail(Dots::default());
        }
    }

    /// No mail follows, unless it was sent ahead already.
    fn data_rejected(&mut self, id: u64, txs: &TxList) {
        if self.tx != Some(id) || txs.get(id).is_none() {
            return;
        }
        if matches!(self.mode, Mode::Mail(Dots { begun: false, .. })) {
            self.mode = Mode::Commands;
        }
        if !matches!(self.mode, Mode::Mail(_)) {
            self.mime = None;
        }
    }
}
