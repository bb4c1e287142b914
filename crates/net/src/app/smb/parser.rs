//! Streams of both directions to messages, and content of files that goes past unbuffered.

use super::super::{AppConfig, AppParser, TxList};
use super::transfer::{Flowing, Wire};
use super::{MAX_MESSAGE, frame, one, two};
use crate::flow::{Direction, PerDirection};

/// Fewer bytes of a message than this are never handled as the beginning of a transfer.
const MIN_STREAMED: usize = 512;

/// Where a direction stands.
#[derive(Debug, Default)]
enum State {
    /// At or in a message.
    #[default]
    Message,
    /// In the content of a file.
    Content(Flowing),
    /// That many bytes are of no interest.
    Skip(usize),
    /// The next message has to be found.
    Lost,
}

#[derive(Debug, Default)]
struct Side {
    state: State,
    /// The beginning of a message: at most [`MAX_MESSAGE`].
    partial: Vec<u8>,
}

/// Parser of one flow.
#[derive(Debug)]
pub struct Parser {
    sides: PerDirection<Side>,
    wire: Wire,
}

impl Parser {
    /// With the limits of `config`.
    #[must_use]
    pub fn new(config: &AppConfig) -> Self {
        Self { sides: PerDirection::default(), wire: Wire::new(config) }
    }

    /// Takes in bytes; what is left is the beginning of a message.
    fn consume<'a>(&mut self, dir: Direction, bytes: &'a [u8], txs: &mut TxList) -> &'a [u8] {
        let mut rest = bytes;
        while !rest.is_empty() {
            let side = self.sides.get_mut(dir);
            match &mut side.state {
                State::Content(flowing) => {
                    let n = flowing.left.min(rest.len());
                    let (content, tail) = rest.split_at_checked(n).unwrap_or((rest, &[]));
                    self.wire.content(flowing, content, txs);
                    flowing.left = flowing.left.saturating_sub(n);
                    if flowing.left == 0 {
                        side.state = State::Skip(flowing.skip);
                    }
                    rest = tail;
                }
                State::Skip(left) => {
                    let n = (*left).min(rest.len());
                    *left = left.saturating_sub(n);
                    if *left == 0 {
                        side.state = State::Message;
                    }
                    rest = rest.get(n..).unwrap_or_default();
                }
                State::Lost => match frame::find(rest) {
                    Some(at) => {
                        rest = rest.get(at..).unwrap_or_default();
                        side.state = State::Message;
                    }
                    None => {
                        // A header may lie across two pieces.
                        let keep = rest.len().min(frame::HEADER.saturating_add(3));
                        let from = rest.len().saturating_sub(keep);
                        return rest.get(from..).unwrap_or_default();
                    }
                },
                State::Message => match self.message(dir, rest, txs) {
                    Some(used) => rest = rest.get(used..).unwrap_or_default(),
                    None => return rest,
                },
            }
        }
        rest
    }

    /// Takes in the message at the front; how many bytes of it, or `None` when more are needed.
    fn message(&mut self, dir: Direction, bytes: &[u8], txs: &mut TxList) -> Option<usize> {
        let (kind, length) = frame::header(bytes)?;
        let body = bytes.get(frame::HEADER..)?;
        if !frame::is_known(kind) || kind == 0 && is_garbage(body, length) {
            self.wire.trouble(dir, "malformed_data", txs);
            self.sides.get_mut(dir).state = State::Lost;
            // Past the byte that is wrong, or this would not end.
            return Some(1);
        }
        if kind == 0
            && let Some(message) = body.get(..length)
        {
            self.whole(dir, message, txs);
            return Some(length.saturating_add(frame::HEADER));
        }
        if kind != 0 {
            self.sides.get_mut(dir).state = State::Skip(length);
            return Some(frame::HEADER);
        }
        self.begun(dir, body, length, txs)
    }

    /// A message of which not all is there yet.
    fn begun(
        &mut self,
        dir: Direction,
        body: &[u8],
        length: usize,
        txs: &mut TxList,
    ) -> Option<usize> {
        if body.len() >= MIN_STREAMED
            && let Some(flowing) = self.wire.begin_content(dir, body, length, txs)
        {
            let used = body.len().saturating_add(frame::HEADER);
            let done = flowing.left == 0;
            let side = self.sides.get_mut(dir);
            side.state = if done { State::Skip(flowing.skip) } else { State::Content(flowing) };
            return Some(used);
        }
        let sealed = matches!(body, [0xfc | 0xfd, b'S', b'M', b'B', ..]);
        if sealed || length > MAX_MESSAGE && body.len() >= MIN_STREAMED {
            if !sealed {
                self.wire.trouble(dir, "record_overflow", txs);
            }
            let left = length.saturating_sub(body.len());
            self.sides.get_mut(dir).state = State::Skip(left);
            return Some(body.len().saturating_add(frame::HEADER));
        }
        None
    }

    fn whole(&mut self, dir: Direction, message: &[u8], txs: &mut TxList) {
        match message.first_chunk::<4>() {
            Some(&frame::ONE) => one::message(&mut self.wire, dir, message, txs),
            Some(&frame::TWO) => two::messages(&mut self.wire, dir, message, txs),
            _ => {}
        }
    }
}

/// Whether the body of a session message cannot be SMB.
fn is_garbage(body: &[u8], length: usize) -> bool {
    match body {
        [0xfc..=0xff, b'S', b'M', b'B', ..] => false,
        [_, _, _, _, ..] => true,
        // Too short to be anything.
        _ => length < 4,
    }
}

impl AppParser for Parser {
    fn data(&mut self, dir: Direction, bytes: &[u8], txs: &mut TxList) {
        let side = self.sides.get_mut(dir);
        if side.partial.is_empty() {
            let rest = self.consume(dir, bytes, txs);
            self.sides.get_mut(dir).partial.extend_from_slice(rest);
            return;
        }
        let mut held = std::mem::take(&mut side.partial);
        held.extend_from_slice(bytes);
        let left = self.consume(dir, &held, txs).len();
        held.drain(..held.len().saturating_sub(left));
        self.sides.get_mut(dir).partial = held;
    }

    fn gap(&mut self, dir: Direction, missing: u64, txs: &mut TxList) {
        let side = self.sides.get_mut(dir);
        let missing = usize::try_from(missing).unwrap_or(usize::MAX);
        side.partial.clear();
        match &mut side.state {
            State::Skip(left) if missing < *left => *left = left.saturating_sub(missing),
            State::Content(flowing) if missing < flowing.left => {
                self.wire.hole(flowing, missing, txs);
                flowing.left = flowing.left.saturating_sub(missing);
            }
            _ => side.state = State::Lost,
        }
    }

    fn end(&mut self, _dir: Direction, _txs: &mut TxList) {}
}
