//! Lines of a text protocol out of a stream, with a limit on their length.
//!
//! Shared by the protocols whose commands are lines. A line ends with LF or CRLF; a line longer than
//! the limit is given once, cut to the limit, and the rest of it up to its end is passed over.

/// One line without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) bytes: &'a [u8],
    /// The line is longer than the limit; these are its first bytes.
    pub(super) cut: bool,
}

/// Collects the lines of one direction.
#[derive(Debug)]
pub(super) struct Lines {
    pending: Vec<u8>,
    limit: usize,
    /// `pending` was given out and is to be forgotten.
    spent: bool,
    /// The rest of a cut line is passed over.
    skipping: bool,
}

impl Lines {
    /// Lines of at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { pending: Vec::new(), limit: limit.max(1), spent: false, skipping: false }
    }

    /// True within a line that was given out cut: its end is still to come.
    pub(super) fn is_inside(&self) -> bool {
        self.skipping
    }

    /// Forgets an unfinished line; what comes next is taken to begin in the middle of one.
    pub(super) fn lose(&mut self) {
        self.pending = Vec::new();
        self.spent = false;
        self.skipping = true;
    }

    /// The unfinished line, taken away.
    pub(super) fn take(&mut self) -> Vec<u8> {
        if std::mem::take(&mut self.spent) {
            self.pending.clear();
        }
        std::mem::take(&mut self.pending)
    }

    /// The next line of `input`, which loses it; `None` when more bytes are needed.
    pub(super) fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Option<Line<'a>> {
        if std::mem::take(&mut self.spent) {
            self.pending.clear();
        }
        if self.skipping {
            let at = memchr::memchr(b'\n', input);
            *input = at.and_then(|at| input.get(at.saturating_add(1)..)).unwrap_or_default();
            at?;
            self.skipping = false;
        }
        let Some(at) = memchr::memchr(b'\n', input) else {
            let room = self.limit.saturating_sub(self.pending.len());
            let kept = input.get(..room).unwrap_or(input);
            self.pending.extend_from_slice(kept);
            *input = &[];
            if self.pending.len() < self.limit {
                return None;
            }
            self.skipping = true;
            self.spent = true;
            return Some(cut(&self.pending, self.limit));
        };
        let (line, rest) = input.split_at_checked(at.saturating_add(1)).unwrap_or((input, &[]));
        *input = rest;
        if self.pending.is_empty() {
            return Some(limited(line, self.limit));
        }
        self.pending.extend_from_slice(line);
        self.spent = true;
        Some(limited(&self.pending, self.limit))
    }
}

/// A line with its end, which counts towards the limit.
fn limited(line: &[u8], limit: usize) -> Line<'_> {
    if line.len() > limit {
        return cut(line, limit);
    }
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    Line { bytes: line.strip_suffix(b"\r").unwrap_or(line), cut: false }
}

fn cut(line: &[u8], limit: usize) -> Line<'_> {
    let line = line.get(..limit).unwrap_or(line);
    Line { bytes: line.strip_suffix(b"\r").unwrap_or(line), cut: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(limit: usize, pieces: &[&[u8]]) -> Vec<(Vec<u8>, bool)> {
        let mut lines = Lines::new(limit);
        let mut out = Vec::new();
        for piece in pieces {
            let mut input = *piece;
            while let Some(line) = lines.next(&mut input) {
                out.push((line.bytes.to_vec(), line.cut));
            }
        }
        out
    }

    #[test]
    fn lines_come_out_the_same_in_any_pieces() {
        let text = b"one\r\ntwo\n\r\nfour is longer than ten\r\nfive\r\n9 bytes..\r\nrest";
        let whole = lines(10, &[text]);
        let expected: Vec<(Vec<u8>, bool)> = vec![
            (b"one".to_vec(), false),
            (b"two".to_vec(), false),
            (b"".to_vec(), false),
            (b"four is lo".to_vec(), true),
            (b"five".to_vec(), false),
            (b"9 bytes..".to_vec(), true),
        ];
        assert_eq!(whole, expected);
        for at in 0..text.len() {
            let (a, b) = text.split_at(at);
            assert_eq!(lines(10, &[a, b]), expected, "split at {at}");
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(lines(10, &bytes), expected);
    }

    #[test]
    fn a_line_without_end_is_bounded() {
        let mut lines = Lines::new(8);
        let mut count = 0;
        for _ in 0..1000 {
            let mut input: &[u8] = b"aaaaaaaaaaaaaaaa";
            while lines.next(&mut input).is_some() {
                count += 1;
            }
            assert!(lines.pending.len() <= 8);
        }
        assert_eq!(count, 1);
    }
}
