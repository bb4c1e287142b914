//! Rule files to logical lines: comments, disabled rules, line continuations.

use std::{borrow::Cow, ops::Range};

/// One rule's text within its file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// Text; continuation marks and line ends inside are blanks, so that offsets stay those of the file.
    pub(crate) text: Cow<'a, [u8]>,
    /// Byte range of it in the file.
    pub(crate) start: usize,
    /// Line number of its first byte, from 1.
    pub(crate) number: u32,
}

/// Iterates over the enabled rules of a file; blank lines, comments and disabled rules are skipped.
pub(crate) fn lines(file: &[u8]) -> impl Iterator<Item = Line<'_>> {
    lines_in(file, 0..file.len(), 0)
}

/// The same of the part of a file that begins where [`rule_start`] says, behind as many lines.
pub(crate) fn lines_in(
    file: &[u8],
    part: Range<usize>,
    mut number: u32,
) -> impl Iterator<Item = Line<'_>> {
    let file = file.get(..part.end).unwrap_or(file);
    // A mark of the encoding that some editors write is no part of the first rule.
    let marked = part.start == 0 && file.starts_with(b"\xef\xbb\xbf");
    let mut at = if marked { 3_usize } else { part.start };
    std::iter::from_fn(move || {
        loop {
            if at >= file.len() {
                return None;
            }
            let start = at;
            let first = number.saturating_add(1);
            let mut continued = false;
            loop {
                let rest = file.get(at..).unwrap_or_default();
                let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                number = number.saturating_add(1);
                let line = rest.get(..end).unwrap_or_default();
                at = at.saturating_add(end).saturating_add(1);
                let joined = line.trim_ascii_end().last() == Some(&b'\\') && at < file.len();
                // A comment never continues.
                let comment = !continued && line.trim_ascii_start().first() == Some(&b'#');
                if !joined || comment {
                    break;
                }
                continued = true;
            }
            let stop = at.saturating_sub(1).min(file.len());
            let text = file.get(start..stop).unwrap_or_default();
            let shown = text.trim_ascii_start();
            if shown.is_empty() || shown.first() == Some(&b'#') {
                continue;
            }
            let text = if continued { Cow::Owned(blank_joins(text)) } else { Cow::Borrowed(text) };
            return Some(Line { text, start, number: first });
        }
    })
}

/// The first place behind `from` where a file can be cut: the beginning of a line that continues no other, or its end.
pub(crate) fn rule_start(file: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(end) = memchr::memchr(b'\n', file.get(at..).unwrap_or_default()) {
        let end = at.saturating_add(end);
        let before = file.get(..end).unwrap_or_default();
        let begin = memchr::memrchr(b'\n', before).map_or(0, |at| at.saturating_add(1));
        let line = before.get(begin..).unwrap_or_default();
        at = end.saturating_add(1);
        if line.trim_ascii_end().last() != Some(&b'\\') {
            return at;
        }
    }
    file.len()
}

/// Replaces each backslash at a line end, and the line end, by blanks.
fn blank_joins(text: &[u8]) -> Vec<u8> {
    let mut out = text.to_vec();
    let mut blank = false;
    for byte in out.iter_mut().rev() {
        match *byte {
            b'\n' => {
                blank = true;
                *byte = b' ';
            }
            b'\\' if blank => {
                blank = false;
                *byte = b' ';
            }
            b'\r' if blank => *byte = b' ',
            b' ' | b'\t' | b'\r' => {}
            _ => blank = false,
        }
    }
    if out.last() == Some(&b'\\') {
        out.pop();
    }
    out
}

/// Line and column (from 1) of byte `offset` of a rule that begins at `start` in `file`, line `number`.
pub(crate) fn position(file: &[u8], start: usize, number: u32, offset: usize) -> (u32, u32) {
    let end = start.saturating_add(offset).min(file.len());
    let before = file.get(start..end).unwrap_or_default();
    let breaks = u32::try_from(memchr::memchr_iter(b'\n', before).count()).unwrap_or(u32::MAX);
    let column = match memchr::memrchr(b'\n', before) {
        Some(at) => before.len().saturating_sub(at),
        None => before.len().saturating_add(1),
    };
    (number.saturating_add(breaks), u32::try_from(column).unwrap_or(u32::MAX))
}
