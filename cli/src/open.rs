//! `pikett open`: a sealed export, readable again.
//!
//! Nothing goes out before it proved genuine. A terminal gets text that cannot drive it, everything else the bytes
//! as they are. What is wrong with a file is told with how far it is whole.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, IsTerminal as _, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use api::export::{ExportError, SealedExport};
use clap::Args;
use service::pieces::PieceError;

use crate::export::{summary_of, told};
use crate::output::Output;
use crate::sealing::Sealing;
use crate::search::remark;
use crate::terminal::plain;

/// Longest line that is looked at whole: longer ones are shown in parts, and are no summary.
const LINE: usize = 4 << 20;

/// `pikett open`.
#[derive(Debug, Args)]
pub(crate) struct Open {
    /// The sealed file.
    file: PathBuf,
    /// Where what it holds goes, as plain text that only its owner can read; standard output when absent.
    #[arg(long, value_name = "PATH")]
    output: Option<PathBuf>,
    #[command(flatten)]
    sealing: Sealing,
}

pub(crate) fn run(options: &Open) -> Result<ExitCode> {
    let name = options.file.display();
    let file = File::open(&options.file).with_context(|| format!("cannot read {name}"))?;
    let output = options.output.as_deref().map(Output::create).transpose()?;
    let export = SealedExport::read(BufReader::new(file));
    let export = export.with_context(|| name.to_string())?;
    let kind = export.kind();
    let key = options.sealing.for_opening(kind).with_context(|| name.to_string())?;
    let mut to = match &output {
        Some(output) => To::Bytes(Box::new(BufWriter::new(output.file()))),
        None if io::stdout().is_terminal() => To::Terminal(Box::new(io::stdout().lock())),
        None => To::Bytes(Box::new(io::stdout().lock())),
    };
    let mut lines = Lines::default();
    let done = export.open(&key, &mut |plain| lines.take(plain, &mut to));
    match done.and_then(|_| to.end(&lines).map_err(ExportError::Write)) {
        Ok(()) => {}
        Err(error) if closed(&error) => return Ok(ExitCode::SUCCESS),
        Err(error @ ExportError::Pieces(PieceError::Damaged { .. })) => {
            to.end(&lines).context("cannot write")?;
            remark(&format!("pikett: {name}: {error}"));
            if options.output.is_some() {
                remark("nothing was kept: without --output, what is whole goes to standard output");
            }
            return Ok(ExitCode::from(1));
        }
        Err(error) => return Err(anyhow::Error::new(error).context(name.to_string())),
    }
    drop(to);
    output.map(Output::finish).transpose()?;
    told(summary_of(lines.last()).as_ref())
}

/// Whether nobody reads any more what is written.
fn closed(error: &ExportError) -> bool {
    let (ExportError::Write(error) | ExportError::Pieces(PieceError::Write(error))) = error else {
        return false;
    };
    error.kind() == io::ErrorKind::BrokenPipe
}

/// Where what a file holds goes.
enum To<'a> {
    /// As it is.
    Bytes(Box<dyn Write + 'a>),
    /// Line by line, harmless.
    Terminal(Box<dyn Write + 'a>),
}

impl To<'_> {
    /// Ends what has no end of line.
    fn end(&mut self, lines: &Lines) -> io::Result<()> {
        match self {
            Self::Bytes(to) => to.flush(),
            Self::Terminal(to) if lines.line.is_empty() => to.flush(),
            Self::Terminal(to) => show(to, &lines.line).and_then(|()| to.flush()),
        }
    }
}

fn show(to: &mut dyn Write, line: &[u8]) -> io::Result<()> {
    writeln!(to, "{}", plain(&String::from_utf8_lossy(line)))
}

/// Lines out of pieces that end anywhere.
#[derive(Debug, Default)]
struct Lines {
    /// Of a line without an end so far.
    line: Vec<u8>,
    /// The last whole line.
    last: Vec<u8>,
}

impl Lines {
    fn take(&mut self, piece: &[u8], to: &mut To<'_>) -> io::Result<()> {
        if let To::Bytes(to) = to {
            to.write_all(piece)?;
        }
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = part.strip_suffix(b"\n").map_or((part, false), |text| (text, true));
            self.line.extend_from_slice(text);
            if !ends && self.line.len() < LINE {
                continue;
            }
            if let To::Terminal(to) = to {
                show(to, &self.line)?;
            }
            std::mem::swap(&mut self.last, &mut self.line);
            self.line.clear();
        }
        Ok(())
    }

    /// The last line, whether it has an end or not.
    fn last(&self) -> &[u8] {
        if self.line.is_empty() { &self.last } else { &self.line }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What goes to a terminal and elsewhere when it comes in pieces of this size, and the last line.
    fn shown(text: &[u8], size: usize) -> (String, Vec<u8>, Vec<u8>) {
        let (mut terminal, mut bytes) = (Vec::new(), Vec::new());
        let mut last = Vec::new();
        for (out, is_terminal) in [(&mut terminal, true), (&mut bytes, false)] {
            let out: Box<dyn Write> = Box::new(out);
            let mut to = if is_terminal { To::Terminal(out) } else { To::Bytes(out) };
            let mut lines = Lines::default();
            text.chunks(size).for_each(|piece| lines.take(piece, &mut to).unwrap());
            to.end(&lines).unwrap();
            last = lines.last().to_vec();
        }
        (String::from_utf8(terminal).unwrap(), bytes, last)
    }

    #[test]
    fn pieces_become_lines_and_a_terminal_is_not_driven() {
        let text = "{\"a\":\"é\u{1b}[2J\"}\n\nx\u{202e}y\nlast".as_bytes();
        for size in [1, 2, 3, 7, 100] {
            let (terminal, bytes, last) = shown(text, size);
            assert_eq!(terminal, "{\"a\":\"é\u{fffd}[2J\"}\n\nx\u{fffd}y\nlast\n", "{size}");
            assert_eq!((bytes.as_slice(), last.as_slice()), (text, &b"last"[..]));
        }
        assert_eq!(shown(b"one\ntwo\n", 5).2, b"two");
        assert_eq!(shown(b"", 5), (String::new(), Vec::new(), Vec::new()));
        assert_eq!(shown(b"\xff\n", 1).0, "\u{fffd}\n");
    }

    #[test]
    fn a_line_without_an_end_takes_bounded_memory() {
        let (mut lines, mut to) = (Lines::default(), To::Terminal(Box::new(io::sink())));
        for _ in 0..6 {
            lines.take(&vec![b'x'; 1 << 20], &mut to).unwrap();
            assert!(lines.line.len() <= LINE);
        }
    }
}
