//! Lines with their ends out of a body that comes in pieces; long ones in pieces of their own.

use super::MAX_LINE;

/// A line, or a piece of a long one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// Content without the line end.
    pub(super) text: &'a [u8],
    /// `\r\n`, `\n`, or nothing when the line goes on or the input has ended.
    pub(super) end: &'static [u8],
    /// It is the beginning of a line.
    pub(super) fresh: bool,
}

/// Cuts input at line ends.
#[derive(Debug, Default)]
pub(super) struct Feed {
    pending: Vec<u8>,
    /// Bytes of `pending` that were given out and are to be forgotten.
    spent_to: usize,
    /// The line under way was given out in part.
    inside: bool,
}

impl Feed {
    /// The next piece of `input`, which loses it; `None` when more bytes are needed.
    pub(super) fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Option<Piece<'a>> {
        self.forget();
        if input.is_empty() {
            return None;
        }
        let fresh = !self.inside;
        let Some(at) = memchr::memchr(b'\n', input) else {
            let room = MAX_LINE.saturating_sub(self.pending.len()).min(input.len());
            let (kept, rest) = input.split_at_checked(room).unwrap_or((input, &[]));
            self.pending.extend_from_slice(kept);
            *input = rest;
            if self.pending.len() < MAX_LINE {
                return None;
            }
            self.inside = true;
            // A carriage return may be half of a line end: it waits for what follows.
            self.spent_to = match self.pending.last() {
                Some(b'\r') => self.pending.len().saturating_sub(1),
                _ => self.pending.len(),
            };
            let text = self.pending.get(..self.spent_to).unwrap_or_default();
            return Some(Piece { text, end: b"", fresh });
        };
        let (line, rest) = input.split_at_checked(at.saturating_add(1)).unwrap_or((input, &[]));
        *input = rest;
        self.inside = false;
        if self.pending.is_empty() {
            return Some(piece(line, fresh));
        }
        self.pending.extend_from_slice(line);
        self.spent_to = self.pending.len();
        Some(piece(&self.pending, fresh))
    }

    fn forget(&mut self) {
        let spent = std::mem::take(&mut self.spent_to).min(self.pending.len());
        self.pending.drain(..spent);
    }

    /// What is left when nothing more comes.
    pub(super) fn rest(&mut self) -> Option<Piece<'_>> {
        self.forget();
        if self.pending.is_empty() {
            return None;
        }
        self.spent_to = self.pending.len();
        let fresh = !std::mem::take(&mut self.inside);
        Some(Piece { text: &self.pending, end: b"", fresh })
    }

    /// Bytes are missing: an unfinished line is given up, what comes is inside of one.
    pub(super) fn lose(&mut self) {
        self.pending.clear();
        self.spent_to = 0;
        self.inside = true;
    }
}

fn piece(line: &[u8], fresh: bool) -> Piece<'_> {
    if let Some(text) = line.strip_suffix(b"\r\n") {
        return Piece { text, end: b"\r\n", fresh };
    }
    match line.strip_suffix(b"\n") {
        Some(text) => Piece { text, end: b"\n", fresh },
        None => Piece { text: line, end: b"", fresh },
    }
}
