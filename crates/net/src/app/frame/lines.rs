//! Units that are lines, and those that are datagrams.

use super::{Framer, MAX_BYTES, Out, count};
use crate::flow::{Direction, PerDirection};

/// Datagrams, each a message.
#[derive(Debug, Default)]
pub(super) struct Datagrams {
    at: PerDirection<u64>,
}

impl Framer for Datagrams {
    fn data(&mut self, dir: Direction, bytes: &[u8], out: &mut Out<'_>) {
        let at = self.at.get_mut(dir);
        out.frame("pdu", (*at, count(bytes)), bytes, true);
        *at = at.saturating_add(count(bytes));
    }

    fn cut(&mut self, _dir: Direction, _out: &mut Out<'_>) {}
}

#[derive(Debug, Default)]
struct Side {
    /// Place of the first byte of `bytes`.
    offset: u64,
    bytes: Vec<u8>,
    length: u64,
}

/// SMTP: lines of commands and replies, and mails.
#[derive(Debug)]
pub(super) struct Smtp {
    sides: PerDirection<Side>,
    /// The client wants to send a mail.
    asked: bool,
    /// The server lets it: the mail, until its last line.
    in_data: bool,
    over: bool,
}

impl Smtp {
    pub(super) fn new(at: PerDirection<u64>) -> Self {
        let side = |offset| Side { offset, ..Side::default() };
        let sides = PerDirection { to_server: side(at.to_server), to_client: side(at.to_client) };
        Self { sides, asked: false, in_data: false, over: false }
    }
}

impl Side {
    /// The place where what is there ends: after a line, or after the last line of a mail.
    fn end(&self, in_data: bool) -> bool {
        if in_data {
            self.bytes.ends_with(b"\r\n.\r\n") || self.bytes == b".\r\n"
        } else {
            self.bytes.ends_with(b"\n")
        }
    }

    fn emit(&mut self, kind: &'static str, complete: bool, out: &mut Out<'_>) {
        if self.length > 0 {
            out.frame(kind, (self.offset, self.length), &self.bytes, complete);
        }
        self.offset = self.offset.saturating_add(self.length);
        self.length = 0;
        self.bytes.clear();
    }
}

impl Framer for Smtp {
    fn data(&mut self, dir: Direction, bytes: &[u8], out: &mut Out<'_>) {
        for byte in bytes {
            if self.over {
                return;
            }
            let in_data = self.in_data && dir == Direction::ToServer;
            let side = self.sides.get_mut(dir);
            if side.bytes.len() >= MAX_BYTES {
                // The end is found by the last bytes; those in the middle make room.
                side.bytes.remove(MAX_BYTES.saturating_sub(8));
            }
            side.bytes.push(*byte);
            side.length = side.length.saturating_add(1);
            if !side.end(in_data) {
                continue;
            }
            let starts = |word: &[u8]| {
                side.bytes.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word))
            };
            match dir {
                Direction::ToServer if in_data => self.in_data = false,
                Direction::ToServer => self.asked = starts(b"DATA"),
                Direction::ToClient => self.in_data |= self.asked && starts(b"354"),
            }
            let side = self.sides.get_mut(dir);
            let kind = match dir {
                Direction::ToServer if in_data => "data",
                Direction::ToServer => "command_line",
                Direction::ToClient => "response_line",
            };
            side.emit(kind, true, out);
        }
    }

    fn cut(&mut self, dir: Direction, out: &mut Out<'_>) {
        let kind = match dir {
            Direction::ToServer if self.in_data => "data",
            Direction::ToServer => "command_line",
            Direction::ToClient => "response_line",
        };
        self.sides.get_mut(dir).emit(kind, false, out);
        self.over = true;
    }
}
