//! `pikett rules check`: which rules of files or folders load with their full meaning, and why others do not.

use std::{
    io::{Read as _, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use serde::Serialize;
use sigma::Exceptions;
use signature::{AddressFiles, LoadOptions, Report, RuleSet, Source};

use crate::terminal::plain;

/// Commands on rules.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Check that rules load with their full meaning.
    Check(Check),
}

/// Options of `rules check`.
#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// Signature file, or folder of `.rules` files (repeatable).
    #[arg(long, value_name = "FILE_OR_DIR", required_unless_present = "sigma")]
    signatures: Vec<PathBuf>,
    /// Categories of reputations, for `iprep`.
    #[arg(long, value_name = "FILE", requires = "signatures")]
    reputation_categories: Option<PathBuf>,
    /// Reputations of addresses, for `iprep` (repeatable).
    #[arg(long, value_name = "FILE", requires = "signatures")]
    reputation: Vec<PathBuf>,
    /// MaxMind DB of countries, for `geoip`.
    #[arg(long, value_name = "FILE", requires = "signatures")]
    geoip_database: Option<PathBuf>,
    /// Folder of Sigma rules (repeatable).
    #[arg(long, value_name = "DIR")]
    sigma: Vec<PathBuf>,
    /// File or folder of exceptions from Sigma rules (repeatable).
    #[arg(long, value_name = "FILE_OR_DIR", requires = "sigma")]
    exceptions: Vec<PathBuf>,
    /// One JSON document on standard output.
    #[arg(long)]
    json: bool,
}

/// Runs a command; the exit code says whether all rules were accepted.
pub(crate) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Check(check) => run_check(check),
    }
}

#[derive(Debug, Serialize)]
struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    signatures: Option<Signatures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sigma: Option<Sigma>,
}

#[derive(Debug, Serialize)]
struct Sigma {
    #[serde(flatten)]
    report: sigma::Report,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exceptions_rejected: Vec<sigma::Rejected>,
    /// Bytes of memory in use after loading less those before, where the system tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Signatures {
    accepted: usize,
    rejected: Vec<Refused>,
    #[serde(skip_serializing_if = "is_zero")]
    rejected_beyond: usize,
}

#[derive(Debug, Serialize)]
struct Refused {
    file: String,
    line: u32,
    column: u32,
    sid: Option<u32>,
    reason: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
const fn is_zero(count: &usize) -> bool {
    *count == 0
}

fn run_check(check: &Check) -> anyhow::Result<ExitCode> {
    let mut sources = Vec::new();
    for path in &check.signatures {
        let before = sources.len();
        read(path, &mut sources)?;
        anyhow::ensure!(sources.len() > before, "no *.rules file in {} or below", path.display());
    }
    let options = LoadOptions { addresses: addresses(check)?, ..LoadOptions::default() };
    let signatures =
        (!check.signatures.is_empty()).then(|| answer(RuleSet::load(sources, &options).1));
    let sigma = if check.sigma.is_empty() { None } else { Some(check_sigma(check)?) };
    let all = signatures.as_ref().is_none_or(|s| s.rejected.is_empty() && s.rejected_beyond == 0)
        && sigma.as_ref().is_none_or(|s| {
            s.report.rejected.is_empty()
                && s.report.inert.is_empty()
                && s.exceptions_rejected.is_empty()
        });
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    if check.json {
        serde_json::to_writer(&mut out, &Answer { signatures, sigma })?;
        writeln!(out)?;
    } else {
        show(&mut out, signatures.as_ref(), sigma.as_ref())?;
    }
    out.flush()?;
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The files of what is known of addresses.
fn addresses(check: &Check) -> anyhow::Result<AddressFiles> {
    let one = |path: &Option<PathBuf>| path.as_deref().map(source).transpose();
    Ok(AddressFiles {
        categories: one(&check.reputation_categories)?,
        reputation: check.reputation.iter().map(|path| source(path)).collect::<Result<_, _>>()?,
        countries: one(&check.geoip_database)?,
    })
}

/// A file as it is. Of one that is too long to be loaded no more than says so.
fn source(path: &Path) -> anyhow::Result<Source> {
    let most = u64::try_from(Source::MAX_LEN)?.saturating_add(1);
    let mut text = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(most).read_to_end(&mut text))
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Source { name: path.display().to_string(), text })
}

fn show(
    out: &mut impl Write,
    signatures: Option<&Signatures>,
    sigma: Option<&Sigma>,
) -> std::io::Result<()> {
    if let Some(signatures) = signatures {
        for rule in &signatures.rejected {
            let sid = rule.sid.map_or_else(String::new, |sid| format!(" sid {sid}"));
            let place = format!("{}:{}:{}", rule.file, rule.line, rule.column);
            writeln!(out, "{}", plain(&format!("{place}:{sid} {}", rule.reason)))?;
        }
        let rejected = signatures.rejected.len() + signatures.rejected_beyond;
        writeln!(out, "{} accepted, {rejected} rejected", signatures.accepted)?;
    }
    if let Some(Sigma { report: sigma, exceptions_rejected, .. }) = sigma {
        for rule in sigma.rejected.iter().chain(exceptions_rejected) {
            writeln!(out, "{}", plain(&format!("{}: {} {}", rule.file, rule.id, rule.reason)))?;
        }
        for rule in &sigma.inert {
            writeln!(out, "{}", plain(&format!("{} can never fire: {}", rule.id, rule.reason)))?;
        }
        let (rejected, inert) = (sigma.rejected.len(), sigma.inert.len());
        writeln!(out, "sigma: {} accepted, {rejected} rejected, {inert} inert", sigma.accepted)?;
    }
    Ok(())
}

fn check_sigma(check: &Check) -> anyhow::Result<Sigma> {
    let before = resident();
    let (rules, report) = load_sigma(&check.sigma)?;
    let memory_bytes = resident().zip(before).map(|(after, before)| after.saturating_sub(before));
    let options = sigma::Options::default();
    let texts = texts(&check.exceptions)?;
    let (_, exceptions_rejected) = Exceptions::load(texts.into_iter(), &rules, &options);
    Ok(Sigma { report, exceptions_rejected, memory_bytes })
}

/// Bytes of memory this process has in use, as Linux tells.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Names and texts of the YAML files (`.yml`, `.yaml`) of files and folders, in order of name.
pub(crate) fn texts(paths: &[PathBuf]) -> anyhow::Result<Vec<(String, String)>> {
    let mut texts = Vec::new();
    paths.iter().try_for_each(|path| read_sigma(path, &mut texts))?;
    Ok(texts)
}

/// Loads the Sigma rules (`.yml`, `.yaml`) of files and folders, in order of name.
pub(crate) fn load_sigma(paths: &[PathBuf]) -> anyhow::Result<(sigma::RuleSet, sigma::Report)> {
    Ok(sigma::RuleSet::load(texts(paths)?.into_iter(), &sigma::Options::default()))
}

fn read_sigma(path: &Path, texts: &mut Vec<(String, String)>) -> anyhow::Result<()> {
    let shown = || format!("cannot read {}", path.display());
    if !path.is_dir() {
        let bytes = std::fs::read(path).with_context(shown)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        texts.push((path.display().to_string(), text));
        return Ok(());
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).with_context(shown)? {
        let inside = entry.with_context(shown)?.path();
        let rule = inside.extension().is_some_and(|known| known == "yml" || known == "yaml");
        if inside.is_dir() || rule {
            found.push(inside);
        }
    }
    found.sort_unstable();
    found.iter().try_for_each(|inside| read_sigma(inside, texts))
}

fn answer(report: Report) -> Signatures {
    let rejected = report
        .rejected
        .into_iter()
        .map(|rule| Refused {
            reason: rule.error.to_string(),
            file: rule.file,
            line: rule.line,
            column: rule.column,
            sid: rule.sid,
        })
        .collect();
    Signatures { accepted: report.accepted, rejected, rejected_beyond: report.rejected_beyond }
}

/// A file, or every `.rules` file of a folder in order of name.
fn read(path: &Path, sources: &mut Vec<Source>) -> anyhow::Result<()> {
    let shown = || format!("cannot read {}", path.display());
    if !path.is_dir() {
        sources.push(source(path)?);
        return Ok(());
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).with_context(shown)? {
        let inside = entry.with_context(shown)?.path();
        if inside.is_dir() || inside.extension().is_some_and(|extension| extension == "rules") {
            found.push(inside);
        }
    }
    found.sort_unstable();
    found.iter().try_for_each(|inside| read(inside, sources))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_folder_is_read_in_order_and_bad_rules_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("b.rules", "alert tcp any any -> any any (msg:\"b\"; sid:2;)\n");
        write("a.rules", "# off\nalert tcp any any -> any any (lua:x; sid:7;)\nbroken\n");
        write("readme.txt", "not rules");
        let mut sources = Vec::new();
        read(folder.path(), &mut sources).unwrap();
        for source in &mut sources {
            source.name = source.name.rsplit('/').next().unwrap_or_default().to_owned();
        }
        let (_, report) = RuleSet::load(sources, &LoadOptions::default());
        let shown = Answer { signatures: Some(answer(report)), sigma: None };
        let shown = serde_json::to_string(&shown).unwrap();
        expect![[r#"{"signatures":{"accepted":1,"rejected":[{"file":"a.rules","line":2,"column":31,"sid":7,"reason":"keyword \"lua\" is not evaluated: no evaluation for it"},{"file":"a.rules","line":3,"column":7,"sid":null,"reason":"rule header: no \"(\" before the options"}]}}"#]].assert_eq(&shown);
    }

    #[test]
    fn a_missing_file_is_a_usage_error() {
        let error = read(Path::new("/no/such/file.rules"), &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "cannot read /no/such/file.rules");
    }

    #[test]
    fn sigma_rules_are_read_in_order_and_bad_ones_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("b.yml", "title: b\nid: b\ndetection:\n  s:\n    f: x\n  condition: s\n");
        write("a.yaml", "title: a\nid: a\ndetection:\n  s:\n    f|foo: x\n  condition: s\n");
        write("c.yml", "title: c\nid: c\ndetection:\n  s:\n    f|expand: '%p%'\n  condition: s\n");
        write("readme.md", "not rules");
        let (set, mut report) = load_sigma(&[folder.path().to_owned()]).unwrap();
        for rule in &mut report.rejected {
            rule.file = rule.file.rsplit('/').next().unwrap_or_default().to_owned();
        }
        assert_eq!(set.len(), 1);
        let sigma = Sigma { report, exceptions_rejected: Vec::new(), memory_bytes: None };
        let shown = Answer { signatures: None, sigma: Some(sigma) };
        let shown = serde_json::to_string(&shown).unwrap();
        expect![[r#"{"sigma":{"accepted":1,"rejected":[{"file":"a.yaml","id":"a","reason":"Unknown modifier 'foo'"}],"inert":[{"id":"c","reason":"placeholder %p% has no values"}]}}"#]].assert_eq(&shown);
    }
}
