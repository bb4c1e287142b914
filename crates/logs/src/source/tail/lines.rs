//! Bytes of a file into lines, and lines into records of several lines.

use std::collections::VecDeque;

use regex::Regex;

/// Longest record kept, bytes; the rest of it is cut and counted.
pub(super) const MAX_LINE: usize = 1024 * 1024;
/// Most lines in one record.
const MAX_JOINED: usize = 500;

/// One record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// Its bytes, without the last line end.
    pub(super) bytes: Vec<u8>,
    /// Offset of its first byte in the file.
    pub(super) start: u64,
    /// Offset behind its last line end.
    pub(super) end: u64,
    /// Bytes that were cut off because it was too long.
    pub(super) cut: u64,
    joined: usize,
}

/// Cuts what is fed into records. What is incomplete stays inside.
#[derive(Debug)]
pub(super) struct Assembler {
    /// Offset in the file behind everything fed.
    read_to: u64,
    partial: Line,
    lines: VecDeque<Line>,
    pending: Option<Line>,
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

impl Assembler {
    /// Starts at an offset of the file.
    pub(super) fn at(offset: u64) -> Self {
        let partial = Line { start: offset, end: offset, ..Line::default() };
        Self { read_to: offset, partial, lines: VecDeque::new(), pending: None }
    }

    /// Offset behind everything fed.
    pub(super) const fn read_to(&self) -> u64 {
        self.read_to
    }

    /// Takes the next bytes of the file.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, tail) = rest.split_at_checked(at.saturating_add(1)).unwrap_or((rest, &[]));
            rest = tail;
            self.extend(line.strip_suffix(b"\n").unwrap_or(line), length(line));
            let start = self.partial.end;
            let next = Line { start, end: start, ..Line::default() };
            self.lines.push_back(std::mem::replace(&mut self.partial, next));
        }
        self.extend(rest, length(rest));
        self.read_to = self.read_to.saturating_add(length(bytes));
    }

    fn extend(&mut self, bytes: &[u8], consumed: u64) {
        append(&mut self.partial, bytes);
        self.partial.end = self.partial.end.saturating_add(consumed);
    }

    /// The next complete record. With `starts_with`, lines that do not match it continue the one before.
    pub(super) fn next(&mut self, starts_with: Option<&Regex>) -> Option<Line> {
        let Some(pattern) = starts_with else { return self.lines.pop_front() };
        while let Some(line) = self.lines.pop_front() {
            let begins = pattern.is_match(&String::from_utf8_lossy(&line.bytes));
            match &mut self.pending {
                Some(pending) if !begins && pending.joined < MAX_JOINED => {
                    append(pending, b"\n");
                    append(pending, &line.bytes);
                    pending.cut = pending.cut.saturating_add(line.cut);
                    pending.end = line.end;
                    pending.joined = pending.joined.saturating_add(1);
                }
                pending => {
                    if let Some(done) = pending.replace(line) {
                        return Some(done);
                    }
                }
            }
        }
        None
    }

    /// The record that waits for a continuation, if any.
    pub(super) fn flush(&mut self) -> Option<Line> {
        self.pending.take()
    }
}

/// Appends what fits and counts the rest as cut.
fn append(line: &mut Line, bytes: &[u8]) {
    let room = MAX_LINE.saturating_sub(line.bytes.len());
    let (kept, cut) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
    line.bytes.extend_from_slice(kept);
    line.cut = line.cut.saturating_add(length(cut));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(assembler: &mut Assembler, pattern: Option<&Regex>) -> Vec<String> {
        std::iter::from_fn(|| assembler.next(pattern))
            .map(|line| {
                format!("{}-{}:{}", line.start, line.end, String::from_utf8_lossy(&line.bytes))
            })
            .collect()
    }

    #[test]
    fn incomplete_lines_wait() {
        let mut assembler = Assembler::at(100);
        assembler.feed(b"one\ntw");
        assert_eq!(texts(&mut assembler, None), ["100-104:one"]);
        assembler.feed(b"o\n");
        assert_eq!(texts(&mut assembler, None), ["104-108:two"]);
        assert_eq!(assembler.read_to(), 108);
    }

    #[test]
    fn continuations_are_joined() {
        let pattern = Regex::new("^[A-Z]").unwrap();
        let mut assembler = Assembler::at(0);
        assembler.feed(b"A\n at x\n at y\nB\n");
        assert_eq!(texts(&mut assembler, Some(&pattern)), ["0-14:A\n at x\n at y"]);
        assert_eq!(assembler.flush().unwrap().bytes, b"B");
        assert_eq!(assembler.flush(), None);
    }

    #[test]
    fn a_ten_megabyte_line_is_cut_and_the_next_is_whole() {
        let mut assembler = Assembler::at(0);
        for _ in 0..10 {
            assembler.feed(&vec![b'x'; 1024 * 1024]);
        }
        assembler.feed(b"\nnext\n");
        let long = assembler.next(None).unwrap();
        assert_eq!((long.bytes.len(), long.cut), (MAX_LINE, 9 * 1024 * 1024));
        assert_eq!(assembler.next(None).unwrap().bytes, b"next");
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_they_are_fed(
            text in "[a\n]{0,60}", cuts in prop::collection::vec(0_usize..60, 0..5),
        ) {
            let mut whole = Assembler::at(0);
            whole.feed(text.as_bytes());
            let mut pieces = Assembler::at(0);
            let mut cuts: Vec<_> = cuts.into_iter().filter(|cut| *cut < text.len()).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            for pair in cuts.windows(2) {
                pieces.feed(&text.as_bytes()[pair[0]..pair[1]]);
            }
            prop_assert_eq!(texts(&mut whole, None), texts(&mut pieces, None));
        }
    }
}
