//! Places where what a byte means is only seen from what follows it, in whatever pieces that comes.

use super::{Parser, State, take};
use crate::app::TxList;
use crate::app::http::line;
use crate::flow::Direction;

/// Longest name of a field that is waited for behind stray CRs.
const MAX_NAME: usize = 64;
/// How a response begins.
const BEGINNING: &[u8] = b"HTTP/";

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

impl Parser {
    /// Decides what is undecided. True when bytes were taken or the state has changed, or all bytes wait.
    pub(super) fn look_ahead(
        &mut self,
        dir: Direction,
        data: &mut &[u8],
        txs: &mut TxList,
    ) -> bool {
        let side = self.sides.get(dir);
        if side.stray {
            return self.after_stray(dir, data, txs);
        }
        let in_body = matches!(side.state, State::Length(_) | State::ChunkSize | State::ToEnd);
        if !in_body || !(side.blank_end || side.unlikely) {
            return false;
        }
        if side.blank_end {
            return self.after_blanks(dir, data, txs);
        }
        self.unlikely_body(dir, data, txs)
    }

    /// Behind stray CRs either the fields go on, or the headers have ended.
    fn after_stray(&mut self, dir: Direction, data: &mut &[u8], txs: &mut TxList) -> bool {
        let side = self.sides.get_mut(dir);
        let room = MAX_NAME.saturating_sub(side.held.len());
        let tokens = data.iter().take(room).take_while(|byte| is_token(**byte)).count();
        side.held.extend_from_slice(take(data, tokens));
        if data.is_empty() && side.held.len() < MAX_NAME {
            return true;
        }
        let mut name = side.held.clone();
        name.extend(data.first());
        side.stray = false;
        if !line::is_field(&name) {
            self.end_headers(dir, txs);
        }
        self.replay(dir, txs);
        true
    }

    fn end_headers(&mut self, dir: Direction, txs: &mut TxList) {
        let held = std::mem::take(&mut self.sides.get_mut(dir).held);
        self.header_line(dir, b"", txs);
        let side = self.sides.get_mut(dir);
        side.held = held;
        side.blank_end = side.held.is_empty();
    }

    /// Takes in what was held, whose place is clear now.
    fn replay(&mut self, dir: Direction, txs: &mut TxList) {
        let held = std::mem::take(&mut self.sides.get_mut(dir).held);
        let mut rest = held.as_slice();
        while !rest.is_empty() && self.step(dir, &mut rest, txs) {}
    }

    /// A line end right behind headers that blanks have ended is still theirs.
    fn after_blanks(&mut self, dir: Direction, data: &mut &[u8], txs: &mut TxList) -> bool {
        let side = self.sides.get_mut(dir);
        if side.held.is_empty() && data.starts_with(b"\r") {
            side.held.extend_from_slice(take(data, 1));
            if data.is_empty() {
                return true;
            }
        }
        side.blank_end = false;
        if data.starts_with(b"\n") {
            side.held.clear();
            take(data, 1);
        } else {
            self.replay(dir, txs);
        }
        true
    }

    /// A message that should have no body has one, unless the next message follows.
    fn unlikely_body(&mut self, dir: Direction, data: &mut &[u8], txs: &mut TxList) -> bool {
        let side = self.sides.get_mut(dir);
        let wanted = BEGINNING.get(side.held.len()..).unwrap_or_default();
        let same = data.iter().zip(wanted).take_while(|(have, want)| have == want).count();
        side.held.extend_from_slice(take(data, same));
        let is_next = side.held.len() == BEGINNING.len();
        if !is_next && data.is_empty() {
            return true;
        }
        side.unlikely = false;
        if is_next {
            self.complete(dir, txs);
        }
        self.replay(dir, txs);
        true
    }

    /// The direction has ended: what was waited with is what it looks like now.
    pub(super) fn nothing_follows(&mut self, dir: Direction, txs: &mut TxList) {
        if std::mem::take(&mut self.sides.get_mut(dir).stray) {
            self.end_headers(dir, txs);
        }
        let side = self.sides.get_mut(dir);
        side.blank_end = false;
        side.unlikely = false;
        self.replay(dir, txs);
    }
}
