//! Lines into records of several lines, such as stack traces.

use regex::bytes::Regex;

use super::container::Outer;
use super::lines::{Line, Within};
use super::print::Print;

/// What makes one record of several lines.
#[derive(Debug)]
pub(super) struct Rules {
    /// Lines that do not match continue.
    pub(super) starts_with: Option<Regex>,
    /// Lines that match continue.
    pub(super) continues_with: Option<Regex>,
    /// Most lines of one record.
    pub(super) lines: usize,
    /// Most bytes of one record.
    pub(super) bytes: usize,
}

impl Rules {
    /// How a line stands to the one before it.
    pub(super) fn glue(&self, line: &[u8]) -> Glue {
        let continues = self.starts_with.as_ref().is_some_and(|pattern| !pattern.is_match(line))
            || self.continues_with.as_ref().is_some_and(|pattern| pattern.is_match(line));
        if continues { Glue::Line } else { Glue::Begins }
    }
}

/// A record, or a part of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// Its bytes, lines joined by line feeds.
    pub(super) bytes: Vec<u8>,
    /// Offset of its first byte in the file.
    pub(super) start: u64,
    /// Offset behind its last line end.
    pub(super) end: u64,
    /// What tells its place.
    pub(super) print: Print,
    /// The record it is a part of; `parts` is 0 for a whole one.
    pub(super) within: Within,
    /// No further part follows.
    pub(super) last: bool,
    /// What a container runtime wrote around its first line.
    pub(super) outer: Option<Outer>,
    lines: usize,
}

/// Joins lines. The record that may still be continued stays inside.
#[derive(Debug, Default)]
pub(super) struct Joiner {
    pending: Option<Record>,
}

/// How a line stands to the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Glue {
    /// It begins a record.
    Begins,
    /// It continues the record as a further line.
    Line,
    /// It continues the line.
    Piece,
}

/// A line and what is known of it.
#[derive(Debug)]
pub(super) struct Next<'a> {
    pub(super) line: &'a Line<'a>,
    /// Its text.
    pub(super) text: &'a [u8],
    pub(super) glue: Glue,
    pub(super) outer: Option<Outer>,
}

impl Joiner {
    /// Takes a line; gives the record that it ends, if any.
    pub(super) fn take(&mut self, rules: &Rules, next: Next<'_>) -> Option<Record> {
        let Next { line, text, glue, .. } = next;
        let Some(pending) = &mut self.pending else {
            self.pending = Some(begun(next, Within::default()));
            return None;
        };
        let continues = glue != Glue::Begins;
        let lines = pending.lines.saturating_add(usize::from(glue == Glue::Line));
        let room =
            lines <= rules.lines && pending.bytes.len().saturating_add(text.len()) < rules.bytes;
        if continues && room {
            if glue == Glue::Line {
                pending.bytes.push(b'\n');
            }
            pending.bytes.extend_from_slice(text);
            pending.end = line.end;
            pending.print = line.print();
            pending.lines = lines;
            return None;
        }
        // What continues a record that is full is a further part of it.
        let within = if continues { next_part(pending) } else { Within::default() };
        let mut done = self.pending.replace(begun(next, within))?;
        done.last = !continues;
        Some(done)
    }

    /// The record that waits for a continuation, if any.
    pub(super) fn flush(&mut self) -> Option<Record> {
        self.pending.take()
    }

    /// Whether a record waits for a continuation.
    pub(super) const fn waits(&self) -> bool {
        self.pending.is_some()
    }
}

fn next_part(pending: &mut Record) -> Within {
    if pending.within.parts == 0 {
        pending.within = Within { start: pending.start, parts: 1 };
    }
    Within { parts: pending.within.parts.saturating_add(1), ..pending.within }
}

fn begun(next: Next<'_>, within: Within) -> Record {
    let Next { line, text, outer, .. } = next;
    Record {
        bytes: text.to_vec(),
        start: line.start,
        end: line.end,
        print: line.print(),
        within,
        last: true,
        outer,
        lines: 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tail::encoding::Unit;
    use crate::source::tail::lines::{Cut, Splitter};
    use expect_test::{Expect, expect};

    fn check(starts: Option<&str>, continues: Option<&str>, text: &str, expected: &Expect) {
        let pattern = |text: &str| Regex::new(text).unwrap();
        let rules = Rules {
            starts_with: starts.map(pattern),
            continues_with: continues.map(pattern),
            lines: 3,
            bytes: 40,
        };
        let mut splitter = Splitter::default();
        splitter
            .put::<()>(text.len(), |room| {
                room.copy_from_slice(text.as_bytes());
                Ok(text.len())
            })
            .unwrap();
        let mut joiner = Joiner::default();
        let mut found = Vec::new();
        let cut = Cut { unit: Unit::Byte, part: 64, json: false };
        while let Some(line) = splitter.next(cut) {
            let text = line.bytes.to_vec();
            let next = Next { line: &line, text: &text, glue: rules.glue(&text), outer: None };
            found.extend(joiner.take(&rules, next));
        }
        assert!(joiner.waits());
        found.extend(joiner.flush());
        let lines = found.iter().map(|record| {
            let text = String::from_utf8_lossy(&record.bytes).replace('\n', "|");
            let Record { start, end, within, last, .. } = record;
            format!("{start}-{end} part {} of {} last {last}: {text}\n", within.parts, within.start)
        });
        expected.assert_eq(&lines.collect::<String>());
    }

    #[test]
    fn records() {
        check(
            Some("^[A-Z]"),
            None,
            "A\n at x\n at y\nB\n",
            &expect![[r#"
                0-14 part 0 of 0 last true: A| at x| at y
                14-16 part 0 of 0 last true: B
            "#]],
        );
        check(
            None,
            Some("^\\s"),
            "a\n\tb\nc\nd\n  e\n",
            &expect![[r#"
                0-5 part 0 of 0 last true: a|	b
                5-7 part 0 of 0 last true: c
                7-13 part 0 of 0 last true: d|  e
            "#]],
        );
        // A first line that continues what was before it is a record.
        check(
            Some("^\\d"),
            None,
            " rest\n1 a\n",
            &expect![[r#"
                0-6 part 0 of 0 last true:  rest
                6-10 part 0 of 0 last true: 1 a
            "#]],
        );
    }

    #[test]
    fn what_is_too_long_comes_in_parts() {
        check(
            Some("^\\d"),
            None,
            "1\n a\n b\n c\n d\n e\n f\n2\n",
            &expect![[r#"
                0-8 part 1 of 0 last false: 1| a| b
                8-17 part 2 of 0 last false:  c| d| e
                17-20 part 3 of 0 last true:  f
                20-22 part 0 of 0 last true: 2
            "#]],
        );
        check(
            Some("^\\d"),
            None,
            "1 aaaaaaaaaaaaaaaaaaaaaaaaaaa\n bbbbbbbbbbbbbbbbbbb\n2\n",
            &expect![[r#"
                0-30 part 1 of 0 last false: 1 aaaaaaaaaaaaaaaaaaaaaaaaaaa
                30-51 part 2 of 0 last true:  bbbbbbbbbbbbbbbbbbb
                51-53 part 0 of 0 last true: 2
            "#]],
        );
    }
}
