//! `pikett search --export` and `--output`: everything a search finds, to standard output or into a file.
//!
//! Into a file it goes sealed ([`api::export`]) unless plain text is asked for. The last line of a file is the
//! collector's summary, which says whether it is everything; to standard output it goes as remarks alone.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use api::client::Client;
use serde_json::Value;
use service::pieces::PieceWriter;

use crate::output::Output;
use crate::remote::say;
use crate::sealing::Sealing;
use crate::search::{remark, remarks};

/// What stands under this name is the summary of an export.
const SUMMARY: &str = "_summary";

/// To standard output.
pub(crate) fn print(client: &Client, path: &str) -> Result<ExitCode> {
    let summary = lines(client, path, &mut |line| {
        say(line);
        Ok(())
    })?;
    told(summary_of(summary.as_bytes()).as_ref())
}

/// Into a file, sealed unless `plain`.
pub(crate) fn save(
    client: &Client,
    path: &str,
    target: &Path,
    sealing: Option<&Sealing>,
) -> Result<ExitCode> {
    let output = Output::create(target)?;
    let key = sealing.map(Sealing::for_sealing).transpose()?;
    let file = BufWriter::new(output.file());
    let mut sink = match &key {
        Some(key) => Sink::Sealed(Box::new(api::export::seal(file, key)?)),
        None => Sink::Plain(file),
    };
    let summary = lines(client, path, &mut |line| sink.line(line, target))?;
    sink.line(&summary, target)?;
    sink.finish().with_context(|| format!("cannot write {}", target.display()))?;
    output.finish()?;
    told(summary_of(summary.as_bytes()).as_ref())
}

/// Where lines go.
enum Sink<'a> {
    Plain(BufWriter<&'a File>),
    Sealed(Box<PieceWriter<BufWriter<&'a File>>>),
}

impl Sink<'_> {
    fn line(&mut self, line: &str, target: &Path) -> Result<()> {
        let to: &mut dyn Write = match self {
            Self::Plain(file) => file,
            Self::Sealed(file) => file,
        };
        let written = to.write_all(line.as_bytes()).and_then(|()| to.write_all(b"\n"));
        written.with_context(|| format!("cannot write {}", target.display()))
    }

    fn finish(self) -> std::io::Result<()> {
        match self {
            Self::Plain(mut file) => file.flush(),
            Self::Sealed(file) => file.finish()?.flush(),
        }
    }
}

/// Gives every line of an export but its summary to `each`; the summary.
fn lines(client: &Client, path: &str, each: &mut dyn FnMut(&str) -> Result<()>) -> Result<String> {
    // The last line is the summary: whatever an event may look like, it is not the last.
    let mut last: Option<String> = None;
    let mut failed = None;
    client.lines(path, &mut |line| {
        let done = last.replace(line.to_owned()).map_or(Ok(()), |before| each(&before));
        failed = done.err();
        failed.is_none()
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    match last.filter(|line| summary_of(line.as_bytes()).is_some()) {
        Some(summary) => Ok(summary),
        None => bail!("the export is torn: its summary is missing"),
    }
}

/// The summary of an export, if the line is one.
pub(crate) fn summary_of(line: &[u8]) -> Option<Value> {
    serde_json::from_slice::<Value>(line).ok()?.get(SUMMARY).cloned()
}

/// Says what is missing from an export; the exit code is 1 when anything is.
pub(crate) fn told(summary: Option<&Value>) -> Result<ExitCode> {
    let Some(summary) = summary else {
        remark("partial: the summary of the export is missing");
        return Ok(ExitCode::from(1));
    };
    remarks(summary).iter().for_each(|line| remark(line));
    if let Some(error) = summary.get("error").and_then(Value::as_str) {
        remark(&format!("partial: {error}"));
    }
    let complete = summary.get("complete").and_then(Value::as_bool).unwrap_or(false);
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_known_and_an_event_is_none() {
        let check = |line: &str, expected: Option<Value>| {
            assert_eq!(summary_of(line.as_bytes()), expected, "{line}");
        };
        check(r#"{"_summary":{"complete":true}}"#, Some(serde_json::json!({"complete": true})));
        check(r#"{"message":"_summary"}"#, None);
        check("torn", None);
        check("", None);
    }
}
