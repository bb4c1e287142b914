//! `pikett scan`: Sigma rules over log files.
//!
//! Reads NDJSON and text that the agent's parsers know (also under gzip) and EVTX, one event a line or record. `--jobs N` evaluates files on so many threads;
//! the output stays in the order of the files. Matches go to standard output, what could not be read and
//! the summary to standard error. Not part of the live path, which uses the same rule set.

use std::{
    fs::File,
    io::{BufRead, BufReader, IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering},
};

use anyhow::{Context, bail};
use event::Object;
use indicatif::{ProgressBar, ProgressStyle};
use logs::evtx::Log;
use serde::Serialize;
use service::Clock;
use sigma::{Correlator, Record, RuleSet, Scratch, Tape};

use crate::terminal::plain;
use text::Text;

mod text;

/// Longest line of NDJSON that is read.
const MAX_LINE: usize = 32 << 20;

/// Options of `scan`.
#[derive(Debug, clap::Args)]
pub(crate) struct Scan {
    /// Folder or file of Sigma rules (repeatable).
    #[arg(long, value_name = "DIR", required = true)]
    sigma: Vec<PathBuf>,
    /// Run every rule on every event, whatever its log source.
    #[arg(long)]
    no_logsource: bool,
    /// One JSON object for each match, and the summary as JSON.
    #[arg(long)]
    json: bool,
    /// Threads that evaluate.
    #[arg(long, default_value_t = 1, value_name = "N")]
    jobs: usize,
    /// Format of text: syslog, auditd, or a parser (`pikett parsers list`); guessed when absent.
    #[arg(long, value_name = "NAME")]
    format: Option<String>,
    /// Folder of further parsers (repeatable).
    #[arg(long, value_name = "DIR")]
    parsers: Vec<PathBuf>,
    /// Zone of times in text without one.
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// Logs: NDJSON or text, also under gzip, or EVTX.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Debug, Default, Serialize)]
struct Summary {
    files: usize,
    events: u64,
    matches: u64,
    unreadable: u64,
    unparsed: u64,
    rules: usize,
    rejected_rules: usize,
    inert_rules: usize,
    load_seconds: f64,
    seconds: f64,
    events_per_second: f64,
}

#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    event: u64,
    rule: &'a str,
    title: &'a str,
    author: &'a str,
    level: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<&'a str>,
}

/// What one file gave.
#[derive(Debug, Default)]
struct Found {
    out: Vec<u8>,
    errors: Vec<String>,
    events: u64,
    matches: u64,
    unreadable: u64,
    unparsed: u64,
}

/// Runs the scan; 0 when all was read, 1 when a file or record could not be, 2 when no rule loads.
pub(crate) fn run(scan: &Scan) -> anyhow::Result<ExitCode> {
    let clock = Clock::system();
    let seconds = |from: std::time::Duration| clock.monotonic().saturating_sub(from).as_secs_f64();
    let start = clock.monotonic();
    let (rules, report) = crate::rules::load_sigma(&scan.sigma)?;
    for rule in &report.rejected {
        complain(&format!("{}: {} {}", rule.file, rule.id, rule.reason));
    }
    if rules.is_empty() {
        bail!("no rule was loaded");
    }
    let mut summary = Summary {
        files: scan.files.len(),
        rules: report.accepted,
        rejected_rules: report.rejected.len(),
        inert_rules: report.inert.len(),
        load_seconds: seconds(start),
        ..Summary::default()
    };
    let text = text(scan, &clock)?;
    let start = clock.monotonic();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    scan_files(scan, (&rules, &text), &mut summary, &mut out)?;
    out.flush()?;
    summary.seconds = seconds(start);
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = summary.events as f64 / summary.seconds.max(1e-6);
    summary.events_per_second = rate.round();
    if scan.json {
        complain(&serde_json::to_string(&summary)?);
    } else {
        complain(&format!(
            "{} events, {} matches, {:.1} s, {:.0} events/s",
            summary.events, summary.matches, summary.seconds, summary.events_per_second
        ));
    }
    Ok(if summary.unreadable == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Evaluates all files, writing each file's matches as soon as those of the files before it are out.
fn scan_files(
    scan: &Scan,
    (rules, text): (&RuleSet, &Text),
    summary: &mut Summary,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let jobs = scan.jobs.clamp(1, 256).min(scan.files.len().max(1));
    let next = AtomicUsize::new(0);
    let (send, receive) = crossbeam_channel::bounded::<(usize, Found)>(jobs * 4);
    let bar = progress(scan.files.len());
    std::thread::scope(|scope| -> anyhow::Result<()> {
        for number in 0..jobs {
            let (send, next) = (send.clone(), &next);
            std::thread::Builder::new()
                .name(format!("scan-{number}"))
                .spawn_scoped(scope, move || {
                    let mut job = Job { scan, rules, text, scratch: Scratch::new() };
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(file) = scan.files.get(at) else { return };
                        if send.send((at, job.file(file))).is_err() {
                            return;
                        }
                    }
                })
                .context("cannot start a thread")?;
        }
        drop(send);
        let mut waiting = std::collections::BTreeMap::new();
        let mut wanted = 0;
        for (at, found) in receive {
            waiting.insert(at, found);
            while let Some(found) = waiting.remove(&wanted) {
                wanted += 1;
                bar.inc(1);
                out.write_all(&found.out)?;
                found.errors.iter().for_each(|error| complain(error));
                summary.events += found.events;
                summary.matches += found.matches;
                summary.unreadable += found.unreadable;
                summary.unparsed += found.unparsed;
            }
        }
        Ok(())
    })?;
    bar.finish_and_clear();
    Ok(())
}

/// A bar on a terminal, else nothing.
fn progress(files: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(u64::try_from(files).unwrap_or(u64::MAX));
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} files, {eta} left") {
        bar.set_style(style);
    }
    bar
}

/// One evaluating thread.
struct Job<'a> {
    scan: &'a Scan,
    rules: &'a RuleSet,
    text: &'a Text,
    scratch: Scratch,
}

impl Job<'_> {
    fn file(&mut self, path: &Path) -> Found {
        let mut found = Found::default();
        let name = path.display().to_string();
        // Correlations run over the events of one file: files have no order among each other.
        let mut correlator = Correlator::new(self.rules);
        let text = self.text;
        let mut each = |event: Result<&Record<'_>, String>, found: &mut Found| {
            found.events += 1;
            match event {
                Ok(record) => self.event(&name, record, &mut correlator, found),
                Err(error) => {
                    found.unreadable += 1;
                    found.errors.push(format!("{name}:{}: {error}", found.events));
                }
            }
        };
        let done = if path.extension().is_some_and(|known| known.eq_ignore_ascii_case("evtx")) {
            read_evtx(path, &mut found, &mut each)
        } else {
            read_lines(path, text, &mut found, &mut each)
        };
        if let Err(error) = done {
            found.unreadable += 1;
            found.errors.push(format!("{name}: {error:#}"));
        }
        found
    }

    fn event(
        &mut self,
        name: &str,
        record: &Record<'_>,
        correlator: &mut Correlator,
        found: &mut Found,
    ) {
        let matched = if self.scan.no_logsource {
            self.rules.evaluate_all(record, &mut self.scratch)
        } else {
            self.rules.evaluate(record, &mut self.scratch)
        };
        if matched.is_empty() {
            return;
        }
        let correlated =
            if correlator.is_empty() { Vec::new() } else { correlator.observe(record, matched) };
        for &rule in matched.iter().filter(|&&rule| self.rules.speaks(rule)) {
            let Some(meta) = self.rules.meta(rule) else { continue };
            let line = Line {
                file: name,
                event: found.events,
                rule: &meta.id,
                title: &meta.title,
                author: &meta.author,
                level: meta.level.as_str(),
                explanation: None,
            };
            write_line(self.scan.json, &line, found);
        }
        for finding in correlated {
            let line = Line {
                file: name,
                event: found.events,
                rule: &finding.rule_id,
                title: &finding.title,
                author: &finding.author,
                level: finding.level.as_str(),
                explanation: Some(&finding.explanation),
            };
            write_line(self.scan.json, &line, found);
        }
    }
}

/// Writes to memory, which does not fail.
fn write_line(json: bool, line: &Line<'_>, found: &mut Found) {
    found.matches += 1;
    let done = if json {
        serde_json::to_writer(&mut found.out, line).map_err(std::io::Error::from)
    } else {
        let author = if line.author.is_empty() { "unknown" } else { line.author };
        let text = format!(
            "{}:{} {} {} ({}, by {author})",
            line.file, line.event, line.level, line.title, line.rule
        );
        write!(found.out, "{}", plain(&text))
    };
    if let Err(error) = done.and_then(|()| writeln!(found.out)) {
        found.errors.push(error.to_string());
    }
}

/// The lines of a file, through gzip when it begins as such.
fn open_lines(path: &Path) -> std::io::Result<Box<dyn BufRead>> {
    let mut file = BufReader::with_capacity(1 << 16, File::open(path)?);
    if !file.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
        return Ok(Box::new(file));
    }
    let plain = flate2::bufread::MultiGzDecoder::new(file);
    Ok(Box::new(BufReader::with_capacity(1 << 16, plain)))
}

/// Reads NDJSON or text, also under gzip; an empty line is no event, and counts as a line.
fn read_lines(
    path: &Path,
    text: &Text,
    found: &mut Found,
    each: &mut impl FnMut(Result<&Record<'_>, String>, &mut Found),
) -> anyhow::Result<()> {
    let mut file = open_lines(path)?;
    let head = file.fill_buf()?;
    let head = head.get(..text::SAMPLE_BYTES).unwrap_or(head);
    if let Some(parser) = text.parser(head) {
        return text::read(&mut *file, &parser, text.now, &mut |lines, event, parsed| {
            if event.as_ref().is_ok_and(Object::is_empty) {
                found.events += lines;
                return;
            }
            found.unparsed += u64::from(!parsed);
            match event {
                Ok(event) => each(Ok(&Record::new(&event)), found),
                Err(error) => each(Err(error), found),
            }
            // An event has the number of its first line.
            found.events += lines.saturating_sub(1);
        });
    }
    let mut line = Vec::new();
    let mut tape = Tape::new();
    loop {
        line.clear();
        let length = {
            use std::io::Read;
            let most = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
            file.by_ref().take(most).read_until(b'\n', &mut line)?
        };
        if length == 0 {
            return Ok(());
        }
        if length == MAX_LINE {
            bail!("a line longer than {MAX_LINE} bytes");
        }
        if line.trim_ascii().is_empty() {
            found.events += 1;
            continue;
        }
        match tape.read(&line) {
            Ok(()) => each(Ok(&Record::of(&tape)), found),
            Err(error) => each(Err(error.to_string()), found),
        }
    }
}

/// Reads an EVTX file as its writer nests it: `{"Event": {"System": ..}}`, in the order of its records.
fn read_evtx(
    path: &Path,
    found: &mut Found,
    each: &mut impl FnMut(Result<&Record<'_>, String>, &mut Found),
) -> anyhow::Result<()> {
    let log = Log::open(File::open(path)?)?;
    for head in log.heads() {
        let records = log.chunk(head.number).and_then(|mut chunk| chunk.records(None));
        let records = match records {
            Ok(records) => records,
            Err(error) => {
                each(Err(service::causes(&error)), found);
                continue;
            }
        };
        for record in records {
            match record.map(|record| serde_json::from_str(&record.json)) {
                Ok(Ok(object)) => each(Ok(&Record::new(&object)), found),
                Ok(Err(error)) => each(Err(error.to_string()), found),
                Err(damage) => each(Err(damage.reason), found),
            }
        }
    }
    for &number in log.damaged() {
        each(Err(format!("chunk {number} does not begin as one")), found);
    }
    if log.rest() > 0 {
        bail!("{} bytes behind the last whole chunk are not read", log.rest());
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "the tool talks to its user")]
fn complain(text: &str) {
    eprintln!("{}", plain(text));
}

/// How text is read.
fn text(scan: &Scan, clock: &Clock) -> anyhow::Result<Text> {
    let library = crate::parsers::library(&scan.parsers)?;
    let zone = crate::parsers::zone(scan.time_zone.as_deref())?;
    let format = match &scan.format {
        Some(name) => {
            crate::parsers::parser(&library, name, zone.clone())?;
            logs::config::Format::named(name)
        }
        None => None,
    };
    let now = event::Timestamp::from_micros(clock.now_micros());
    Ok(Text { library, format, zone, now })
}

#[cfg(test)]
mod tests;
