//! `pikett parsers`: which parsers there are, whether they do what their fixtures say, what lines become.
//!
//! The same library as in the agent. Exit codes: 0 fine, 1 a fixture does not fit, 2 a file is no parser.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use event::Timestamp;
use logs::config::Format;
use logs::parse::{Entry, Library, Parser, Zone, fixture};
use service::Clock;

use crate::terminal::plain;

/// Longest line that is read, bytes.
const MAX_LINE: u64 = 16 << 20;
/// Longest head of a file, bytes.
const MAX_HEAD: usize = 64 << 10;

/// Commands on parsers.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the parsers, built in and of folders.
    List(List),
    /// Run fixtures: the built-in ones, or those of folders.
    Test(Test),
    /// Show what lines become.
    Try(Try),
}

/// Options of `parsers list`.
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Folder of further parsers (repeatable).
    #[arg(long, value_name = "DIR")]
    parsers: Vec<PathBuf>,
    /// One JSON document on standard output.
    #[arg(long)]
    json: bool,
}

/// Options of `parsers test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Test {
    /// Folder of further parsers (repeatable).
    #[arg(long, value_name = "DIR")]
    parsers: Vec<PathBuf>,
    /// Write what lines become into the fixtures, to be read before it is kept.
    #[arg(long, requires = "fixtures")]
    accept: bool,
    /// Fixtures: files or folders of them; the built-in ones when absent.
    #[arg(value_name = "FILE_OR_DIR")]
    fixtures: Vec<PathBuf>,
}

/// Options of `parsers try`.
#[derive(Debug, clap::Args)]
pub(crate) struct Try {
    /// Folder of further parsers (repeatable).
    #[arg(long, value_name = "DIR")]
    parsers: Vec<PathBuf>,
    /// Format of the lines: auto, json, syslog, auditd, plain, or a parser.
    #[arg(long, default_value = "auto", value_name = "NAME")]
    format: String,
    /// Zone of times without one.
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// One JSON object a line on standard output.
    #[arg(long)]
    json: bool,
    /// Show only lines that no parser knows, or of which only the header is known.
    #[arg(long)]
    unknown: bool,
    /// Show no lines, only what became of them.
    #[arg(long)]
    summary: bool,
    /// Log file; standard input when absent.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Runs a command.
pub(crate) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::List(options) => list(options),
        Command::Test(options) => test(options),
        Command::Try(options) => attempt(options),
    }
}

/// The built-in parsers and those of folders; all that is wrong with them as one error.
pub(crate) fn library(folders: &[PathBuf]) -> anyhow::Result<Arc<Library>> {
    Library::load(folders).map_err(|errors| {
        let texts: Vec<_> =
            errors.into_iter().map(|error| format!("{:#}", anyhow::Error::from(error))).collect();
        anyhow::anyhow!("{}", texts.join("\n"))
    })
}

/// The parser of a format by name.
pub(crate) fn parser(library: &Arc<Library>, name: &str, zone: Zone) -> anyhow::Result<Parser> {
    let format = Format::named(name).with_context(|| format!("{name:?} is no format"))?;
    Ok(Parser::with(library, &format, zone)?)
}

/// A zone by name, UTC without one.
pub(crate) fn zone(name: Option<&str>) -> anyhow::Result<Zone> {
    name.map_or_else(
        || Ok(Zone::utc()),
        |name| Zone::named(name).with_context(|| format!("{name:?} is no time zone")),
    )
}

fn list(options: &List) -> anyhow::Result<ExitCode> {
    let all = library(&options.parsers)?.list();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    if options.json {
        serde_json::to_writer(&mut out, &all)?;
        writeln!(out)?;
    } else {
        for one in all {
            let from = if one.file.is_empty() { String::new() } else { format!(" ({})", one.file) };
            let programs = one.programs.join(", ");
            let programs = if programs.is_empty() { programs } else { format!(" [{programs}]") };
            writeln!(out, "{}", plain(&format!("{:16} {}{programs}{from}", one.name, one.title)))?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn test(options: &Test) -> anyhow::Result<ExitCode> {
    let library = library(&options.parsers)?;
    let files = texts(&options.fixtures)?;
    let (mut cases, mut failed) = (0_usize, 0_usize);
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for (name, text) in files {
        let outcomes = fixture::run(&library, &name, &text)?;
        cases += outcomes.len();
        if options.accept {
            std::fs::write(&name, fixture::accept(&text, &outcomes))
                .with_context(|| format!("cannot write {name}"))?;
            continue;
        }
        for outcome in outcomes.iter().filter(|outcome| !outcome.fits()) {
            failed += 1;
            writeln!(out, "{}", plain(&format!("{name}: {}", outcome.case.line)))?;
            for line in difference(&outcome.case.gives, &outcome.found) {
                writeln!(out, "  {}", plain(&line))?;
            }
        }
    }
    writeln!(out, "{cases} cases, {failed} failed")?;
    out.flush()?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Name and text of every file of fixtures: the built-in ones when no path is given.
fn texts(paths: &[PathBuf]) -> anyhow::Result<Vec<(String, String)>> {
    if paths.is_empty() {
        return Ok(fixture::built_in());
    }
    let mut files = Vec::new();
    for path in paths {
        let before = files.len();
        fixtures(path, &mut files)?;
        anyhow::ensure!(files.len() > before, "no *.toml file in {}", path.display());
    }
    let read = |file: PathBuf| {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {name}"))?;
        Ok((name, text))
    };
    files.into_iter().map(read).collect()
}

/// Files of fixtures below a path, in order.
fn fixtures(path: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let failed = || format!("cannot read {}", path.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).with_context(failed)? {
        let path = entry.with_context(failed)?.path();
        if path.extension().is_some_and(|known| known == "toml") {
            found.push(path);
        }
    }
    found.sort();
    files.append(&mut found);
    Ok(())
}

/// Lines that are missing (`-`) and that are too many (`+`); both texts are sorted by name.
fn difference(wanted: &str, found: &str) -> Vec<String> {
    let lines = |text: &str| -> Vec<String> { text.trim().lines().map(str::to_owned).collect() };
    let (wanted, found) = (lines(wanted), lines(found));
    let missing =
        wanted.iter().filter(|line| !found.contains(line)).map(|line| format!("- {line}"));
    let more = found.iter().filter(|line| !wanted.contains(line)).map(|line| format!("+ {line}"));
    let mut all: Vec<_> = missing.chain(more).collect();
    // The two values of one field stand together.
    all.sort_by(|a, b| (a.get(2..), b.get(..1)).cmp(&(b.get(2..), a.get(..1))));
    all
}

fn attempt(options: &Try) -> anyhow::Result<ExitCode> {
    let library = library(&options.parsers)?;
    let zone = zone(options.time_zone.as_deref())?;
    let parser = parser(&library, &options.format, zone)?;
    let mut input: Box<dyn BufRead> = match &options.file {
        Some(path) => Box::new(BufReader::new(
            File::open(path).with_context(|| format!("cannot read {}", path.display()))?,
        )),
        None => Box::new(std::io::stdin().lock()),
    };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let now = Timestamp::from_micros(Clock::system().now_micros());
    let mut line = Vec::new();
    let mut tally = Tally::default();
    let (mut head, mut of_file) = (Vec::new(), None);
    loop {
        line.clear();
        if input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if parser.wants_head() && line.starts_with(b"#") && head.len() < MAX_HEAD {
            if parser.begins_head(&line) {
                head.clear();
            }
            head.extend_from_slice(&line);
            of_file = Some(parser.of_file(&head));
            continue;
        }
        let text = String::from_utf8_lossy(&line);
        let entry = of_file.as_ref().unwrap_or(&parser).line(&text, now);
        tally.count(&entry);
        let understood = entry.parsed && !entry.is_header_only();
        if options.summary || (options.unknown && understood) {
            continue;
        }
        if options.json {
            serde_json::to_writer(&mut out, &entry.fields)?;
            writeln!(out)?;
            continue;
        }
        writeln!(out, "{}", plain(text.trim_end()))?;
        writeln!(out, "  time = {}", entry.time)?;
        for field in fixture::show(&entry).lines().filter(|line| !line.starts_with("time = ")) {
            writeln!(out, "  {}", plain(field))?;
        }
        writeln!(out)?;
    }
    out.flush()?;
    tally.show();
    Ok(ExitCode::SUCCESS)
}

/// What became of lines.
#[derive(Debug, Default)]
struct Tally {
    lines: u64,
    unparsed: u64,
    header_only: u64,
    modules: BTreeMap<String, u64>,
}

impl Tally {
    fn count(&mut self, entry: &Entry) {
        self.unparsed += u64::from(!entry.parsed);
        self.header_only += u64::from(entry.is_header_only());
        if let Some(module) = entry.module().filter(|_| entry.parsed) {
            *self.modules.entry(module.to_owned()).or_default() += 1;
        }
        self.lines += 1;
    }

    #[expect(clippy::print_stderr, reason = "the tool talks to its user")]
    fn show(&self) {
        let Self { lines, unparsed, header_only, .. } = self;
        let modules = self.modules.iter().map(|(name, count)| format!(", {count} {name}"));
        let modules: String = modules.collect();
        eprintln!("{lines} lines, {unparsed} not understood, {header_only} header only{modules}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_by_line_and_both_values_stand_together() {
        let found = difference("a = 1\nb = 2\nc = 3\n", "a = 1\nb = 5\nd = 4");
        assert_eq!(found, ["- b = 2", "+ b = 5", "- c = 3", "+ d = 4"]);
        assert!(difference("a = 1", "a = 1\n").is_empty());
    }

    #[test]
    fn each_line_is_counted_once_and_by_what_became_of_it() {
        let parser = Parser::new(Format::Auto, Zone::utc());
        let mut tally = Tally::default();
        for line in [
            "Nov 22 15:04:05 web1 sshd[7]: Accepted publickey for a from 192.0.2.1 port 1 ssh2",
            "Nov 22 15:04:05 web1 sshd[7]: something new",
            "something new",
            "{\"a\":1}",
        ] {
            tally.count(&parser.line(line, Timestamp::EPOCH));
        }
        assert_eq!((tally.lines, tally.unparsed, tally.header_only), (4, 1, 1));
        let modules = [("json".to_owned(), 1), ("sshd".to_owned(), 1)];
        assert_eq!(tally.modules, BTreeMap::from(modules));
    }

    #[test]
    fn the_built_in_fixtures_fit() {
        let options = Test { parsers: Vec::new(), accept: false, fixtures: Vec::new() };
        assert_eq!(format!("{:?}", test(&options).unwrap()), format!("{:?}", ExitCode::SUCCESS));
        assert!(texts(&[]).unwrap().len() > 30);
    }

    #[test]
    fn a_parser_of_ones_own_is_listed_tested_and_its_errors_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let (parsers, fixtures) = (folder.path().join("p"), folder.path().join("f"));
        std::fs::create_dir(&parsers).unwrap();
        std::fs::create_dir(&fixtures).unwrap();
        std::fs::write(
            parsers.join("door.toml"),
            "title = \"door\"\nprogram = [\"door\"]\n[[pattern]]\nline = 'opened by %{user.name:rest}'\n",
        )
        .unwrap();
        std::fs::write(
            fixtures.join("door.toml"),
            "[[case]]\nline = 'Nov 22 15:04:05 h door[1]: opened by x'\ngives = 'user.name = \"y\"'\n",
        )
        .unwrap();
        let options = |accept| Test {
            parsers: vec![parsers.clone()],
            accept,
            fixtures: vec![fixtures.clone()],
        };
        let code = |accept| format!("{:?}", test(&options(accept)).unwrap());
        assert_eq!(code(false), format!("{:?}", ExitCode::FAILURE));
        code(true);
        assert_eq!(code(false), format!("{:?}", ExitCode::SUCCESS));
        let names: Vec<_> = library(std::slice::from_ref(&parsers)).unwrap().list();
        assert!(names.iter().any(|one| one.name == "door" && !one.file.is_empty()));
        std::fs::write(parsers.join("bad.toml"), "titl = \"x\"\n[[pattern]]\nline = '%{a'\n")
            .unwrap();
        let error = library(&[parsers]).unwrap_err().to_string();
        assert!(
            error.contains("bad.toml:1: titl: unknown key, did you mean \"title\"?"),
            "{error}"
        );
    }
}
