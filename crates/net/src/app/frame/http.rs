//! Messages with a head of lines and a body of announced length: HTTP/1 and SIP.

use super::{Framer, MAX_BYTES, Out, count};
use crate::flow::{Direction, PerDirection};

/// Where a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    /// Bytes of body left.
    Body(u64),
    ChunkSize,
    Chunk(u64),
    Trailers,
    ToEnd,
}

#[derive(Debug, Default)]
struct Side {
    /// Place of the message's first byte.
    offset: u64,
    /// The message so far, as far as it is kept.
    bytes: Vec<u8>,
    length: u64,
    /// Where the line that is read began.
    line: usize,
    state: State,
    /// Length of the first line, and of the head with the empty line.
    first: usize,
    head: usize,
}

impl Side {
    fn at(offset: u64) -> Self {
        Self { offset, ..Self::default() }
    }

    fn push(&mut self, bytes: &[u8]) {
        let room = MAX_BYTES.saturating_mul(2).saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        self.length = self.length.saturating_add(count(bytes));
    }

    /// Takes bytes up to a line's end; true when it is there.
    fn take_line(&mut self, left: &mut &[u8]) -> bool {
        let end = memchr::memchr(b'\n', left).map(|at| at.saturating_add(1));
        let (now, later) = left.split_at_checked(end.unwrap_or(left.len())).unwrap_or((left, &[]));
        self.push(now);
        *left = later;
        end.is_some()
    }

    /// The line that has just ended, without its end.
    fn line(&mut self) -> Vec<u8> {
        let line = self.bytes.get(self.line..).unwrap_or_default().trim_ascii_end().to_vec();
        self.line = self.bytes.len();
        line
    }

    /// Value of a field of the head.
    fn field(&self, name: &[u8]) -> Option<&[u8]> {
        let head = self.bytes.get(..self.head)?;
        head.split(|b| *b == b'\n').find_map(|line| {
            let (field, value) = line.split_at_checked(line.iter().position(|b| *b == b':')?)?;
            let fits = field.trim_ascii().eq_ignore_ascii_case(name);
            fits.then(|| value.get(1..).unwrap_or_default().trim_ascii())
        })
    }

    fn number(&self, name: &[u8]) -> Option<u64> {
        std::str::from_utf8(self.field(name)?).ok()?.parse().ok()
    }

    fn reset(&mut self) {
        let offset = self.offset.saturating_add(self.length);
        *self = Self::at(offset);
    }
}

/// HTTP/1: whole requests and responses.
#[derive(Debug)]
pub(super) struct Http {
    sides: PerDirection<Side>,
    /// Requests without an answer yet that were HEAD, in order.
    heads: std::collections::VecDeque<bool>,
    over: bool,
}

/// Requests that wait for their answers; more are not told apart.
const MAX_REQUESTS: usize = 64;

impl Http {
    pub(super) fn new(at: PerDirection<u64>) -> Self {
        let sides =
            PerDirection { to_server: Side::at(at.to_server), to_client: Side::at(at.to_client) };
        Self { sides, heads: std::collections::VecDeque::new(), over: false }
    }

    /// How the body comes, when the head is there.
    fn body(&mut self, dir: Direction) -> State {
        let side = self.sides.get(dir);
        let chunked = side
            .field(b"transfer-encoding")
            .is_some_and(|v| v.to_ascii_lowercase().ends_with(b"chunked"));
        let length = side.number(b"content-length");
        let first = side.bytes.get(..side.first).unwrap_or_default();
        if dir == Direction::ToServer {
            if self.heads.len() < MAX_REQUESTS {
                self.heads.push_back(first.starts_with(b"HEAD "));
            }
            return if chunked { State::ChunkSize } else { State::Body(length.unwrap_or(0)) };
        }
        let status = first.split(|b| *b == b' ').nth(1).unwrap_or_default();
        let interim = status.starts_with(b"1");
        let to_head = !interim && self.heads.pop_front().unwrap_or(false);
        if to_head || interim || matches!(status, b"204" | b"304") {
            return State::Body(0);
        }
        match (chunked, length) {
            (true, _) => State::ChunkSize,
            (false, Some(length)) => State::Body(length),
            (false, None) => State::ToEnd,
        }
    }

    fn emit(&mut self, dir: Direction, complete: bool, out: &mut Out<'_>) {
        let kind = if dir == Direction::ToServer { "request" } else { "response" };
        let side = self.sides.get_mut(dir);
        if side.length > 0 {
            out.frame(kind, (side.offset, side.length), &side.bytes, complete);
        }
        side.reset();
    }

    /// Goes on with the message; true when there is more to do with `left`.
    fn step(&mut self, dir: Direction, left: &mut &[u8], out: &mut Out<'_>) -> bool {
        let side = self.sides.get_mut(dir);
        match side.state {
            State::Head | State::ChunkSize | State::Trailers => {
                if !side.take_line(left) {
                    return false;
                }
                let line = side.line();
                match side.state {
                    State::Head if side.first == 0 && line.is_empty() => side.reset(),
                    State::Head if line.is_empty() => {
                        side.head = side.bytes.len();
                        let state = self.body(dir);
                        self.sides.get_mut(dir).state = state;
                        if state == State::Body(0) {
                            self.emit(dir, true, out);
                        }
                    }
                    State::Head if side.first == 0 => side.first = side.bytes.len(),
                    State::ChunkSize => {
                        let digits = line.split(|b| *b == b';').next().unwrap_or_default();
                        let size = std::str::from_utf8(digits.trim_ascii()).ok();
                        let size = size.and_then(|text| u64::from_str_radix(text, 16).ok());
                        side.state = match size {
                            Some(0) => State::Trailers,
                            Some(size) => State::Chunk(size.saturating_add(2)),
                            None => State::ToEnd,
                        };
                    }
                    State::Trailers if line.is_empty() => self.emit(dir, true, out),
                    _ => {}
                }
            }
            State::Body(wanted) | State::Chunk(wanted) => {
                let room = usize::try_from(wanted).unwrap_or(usize::MAX);
                let (now, later) = left.split_at_checked(room).unwrap_or((left, &[]));
                side.push(now);
                *left = later;
                let wanted = wanted.saturating_sub(count(now));
                match (side.state, wanted) {
                    (State::Body(_), 0) => self.emit(dir, true, out),
                    (State::Body(_), _) => side.state = State::Body(wanted),
                    (_, 0) => {
                        side.state = State::ChunkSize;
                        side.line = side.bytes.len();
                    }
                    _ => side.state = State::Chunk(wanted),
                }
            }
            State::ToEnd => side.push(std::mem::take(left)),
        }
        !left.is_empty()
    }
}

impl Framer for Http {
    fn data(&mut self, dir: Direction, bytes: &[u8], out: &mut Out<'_>) {
        let mut left = bytes;
        while !self.over && self.step(dir, &mut left, out) {}
    }

    fn cut(&mut self, dir: Direction, out: &mut Out<'_>) {
        let complete = self.sides.get(dir).state == State::ToEnd;
        self.emit(dir, complete, out);
        self.over = true;
    }
}

/// SIP: whole messages, first lines, headers, bodies.
#[derive(Debug)]
pub(super) struct Sip {
    sides: PerDirection<Side>,
    datagrams: bool,
}

impl Sip {
    pub(super) fn datagrams() -> Self {
        Self { sides: PerDirection::default(), datagrams: true }
    }

    pub(super) fn stream(at: PerDirection<u64>) -> Self {
        let sides =
            PerDirection { to_server: Side::at(at.to_server), to_client: Side::at(at.to_client) };
        Self { sides, datagrams: false }
    }

    fn emit(&mut self, dir: Direction, complete: bool, out: &mut Out<'_>) {
        let side = self.sides.get_mut(dir);
        let response = side.bytes.starts_with(b"SIP/");
        let [line, headers, body] = if response {
            ["response.line", "response.headers", "response.body"]
        } else {
            ["request.line", "request.headers", "request.body"]
        };
        let place = |from: usize| side.offset.saturating_add(u64::try_from(from).unwrap_or(0));
        // The empty line between headers and body is in neither.
        let whole = side.bytes.get(..side.head).unwrap_or_default();
        let blank = if whole.ends_with(b"\r\n") { 2 } else { 1 };
        let end = side.head.saturating_sub(blank);
        let mut part = |kind, from: usize, to: Option<usize>| {
            let bytes = match to {
                Some(to) => side.bytes.get(from..to),
                None => side.bytes.get(from..),
            };
            let bytes = bytes.unwrap_or_default();
            let length = match to {
                Some(_) => count(bytes),
                None => side.length.saturating_sub(u64::try_from(from).unwrap_or(0)),
            };
            if length > 0 {
                out.frame(kind, (place(from), length), bytes, complete || to.is_some());
            }
        };
        part("pdu", 0, None);
        if side.first > 0 {
            part(line, 0, Some(side.first));
        }
        if side.head > 0 {
            part(headers, side.first, Some(end));
            part(body, side.head, None);
        }
        side.reset();
    }
}

impl Framer for Sip {
    fn data(&mut self, dir: Direction, bytes: &[u8], out: &mut Out<'_>) {
        let mut left = bytes;
        while !left.is_empty() {
            let side = self.sides.get_mut(dir);
            match side.state {
                State::Head => {
                    if !side.take_line(&mut left) {
                        break;
                    }
                    let line = side.line();
                    match (side.first, line.is_empty()) {
                        // Line ends between messages keep the connection alive.
                        (0, true) => side.reset(),
                        (0, false) => side.first = side.bytes.len(),
                        (_, true) => {
                            side.head = side.bytes.len();
                            let length =
                                side.number(b"content-length").or_else(|| side.number(b"l"));
                            // A datagram without it ends the body by its own end.
                            let unknown = if self.datagrams { u64::MAX } else { 0 };
                            side.state = State::Body(length.unwrap_or(unknown));
                        }
                        (_, false) => {}
                    }
                }
                State::Body(wanted) => {
                    let room = usize::try_from(wanted).unwrap_or(usize::MAX);
                    let (now, later) = left.split_at_checked(room).unwrap_or((left, &[]));
                    side.push(now);
                    left = later;
                    side.state = State::Body(wanted.saturating_sub(count(now)));
                }
                _ => return,
            }
            if self.sides.get(dir).state == State::Body(0) {
                self.emit(dir, true, out);
            }
        }
        if self.datagrams && self.sides.get(dir).length > 0 {
            let unknown = matches!(self.sides.get(dir).state, State::Body(left) if left > 1 << 32);
            self.emit(dir, unknown, out);
        }
    }

    fn cut(&mut self, dir: Direction, out: &mut Out<'_>) {
        if self.sides.get(dir).length > 0 {
            self.emit(dir, false, out);
        }
    }
}
