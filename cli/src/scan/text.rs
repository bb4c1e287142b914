//! Log files that are text: lines through the parsers of the agent, of a format that is named or guessed.
//!
//! A line that begins with a blank continues the record before it. NDJSON does not come here.

use std::io::{BufRead, Read};
use std::sync::Arc;

use event::{Object, Timestamp};
use logs::config::Format;
use logs::parse::{Library, Parser, Zone};
use serde_json::Value;

/// Lines by which a format is guessed.
const SAMPLE: usize = 20;
/// Bytes by which a format is guessed.
pub(super) const SAMPLE_BYTES: usize = 32 << 10;

/// How text is read.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    /// All parsers.
    pub(super) library: Arc<Library>,
    /// Format that was asked for.
    pub(super) format: Option<Format>,
    /// Zone of times without one.
    pub(super) zone: Zone,
    /// Time of reading.
    pub(super) now: Timestamp,
}

impl Text {
    /// The parser for a file that begins so; `None` when it is NDJSON or nothing that is known.
    pub(super) fn parser(&self, head: &[u8]) -> Option<Parser> {
        if let Some(format) = self.format {
            let json = format == Format::Json;
            return Parser::with(&self.library, &format, self.zone.clone()).ok().filter(|_| !json);
        }
        if head.trim_ascii_start().first().is_none_or(|first| *first == b'{') {
            return None;
        }
        let lines: Vec<_> = head.split(|byte| *byte == b'\n').take(SAMPLE).collect();
        let lines: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(line)).collect();
        let understood = |parser: &Parser| {
            let known = |line: &&std::borrow::Cow<'_, str>| {
                !line.trim().is_empty() && parser.line(line, self.now).parsed
            };
            lines.iter().filter(known).count()
        };
        // Of those that understand as much, the first counts; plain text and pairs would understand anything.
        let names = ["auto", "auditd"].into_iter().chain(self.library.names());
        let mut best: Option<(usize, Parser)> = None;
        for name in names.filter(|name| *name != "kv") {
            let Some(format) = Format::named(name) else { continue };
            let made = Parser::with(&self.library, &format, self.zone.clone());
            let Ok(parser) = made else { continue };
            let count = understood(&parser);
            if count > best.as_ref().map_or(0, |(most, _)| *most) {
                best = Some((count, parser));
            }
        }
        best.map(|(_, parser)| parser)
    }
}

/// Reads records of text: calls `each` with the lines that a record has, its event, and whether a parser
/// understood it.
pub(super) fn read(
    file: &mut dyn BufRead,
    parser: &Parser,
    now: Timestamp,
    each: &mut dyn FnMut(u64, Result<Object, String>, bool),
) -> anyhow::Result<()> {
    let (mut record, mut next) = (Vec::new(), Vec::new());
    let mut lines = 0_u64;
    loop {
        next.clear();
        let most = u64::try_from(super::MAX_LINE).unwrap_or(u64::MAX);
        let length = file.take(most).read_until(b'\n', &mut next)?;
        if length == super::MAX_LINE {
            anyhow::bail!("a line longer than {} bytes", super::MAX_LINE);
        }
        let continues = next.starts_with(b" ") || next.starts_with(b"\t");
        let room = record.len() + next.len() < super::MAX_LINE;
        if continues && !record.is_empty() && room {
            record.append(&mut next);
            lines += 1;
            continue;
        }
        if lines > 0 {
            give(&record, lines, parser, now, each);
        }
        if length == 0 {
            return Ok(());
        }
        std::mem::swap(&mut record, &mut next);
        lines = 1;
    }
}

/// One record as the agent makes it: an event with its time.
fn give(
    record: &[u8],
    lines: u64,
    parser: &Parser,
    now: Timestamp,
    each: &mut dyn FnMut(u64, Result<Object, String>, bool),
) {
    if record.trim_ascii().is_empty() {
        // No event, and counts as a line.
        return each(lines, Ok(Object::new()), true);
    }
    let (event, parsed) = parser.event(record, now);
    let mut fields = event.fields;
    fields.insert("event_type".to_owned(), Value::from(event.kind.as_str()));
    fields.insert("timestamp".to_owned(), Value::from(event.time.to_string()));
    each(lines, Ok(fields), parsed);
}
