//! `pikett rules check`: which rules of files or folders load with their full meaning, and why others do not.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use serde::Serialize;
use signature::{LoadOptions, Report, RuleSet, Source};

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
    /// Folder of Sigma rules (repeatable).
    #[arg(long, value_name = "DIR")]
    sigma: Vec<PathBuf>,
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
    signatures: Signatures,
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
    if !check.sigma.is_empty() {
        bail!("--sigma: checking Sigma rules is not part of this build; use --signatures alone");
    }
    let mut sources = Vec::new();
    for path in &check.signatures {
        read(path, &mut sources)?;
    }
    let (_, report) = RuleSet::load(sources, &LoadOptions::default());
    let all = report.rejected.is_empty() && report.rejected_beyond == 0;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    if check.json {
        serde_json::to_writer(&mut out, &answer(report))?;
        writeln!(out)?;
    } else {
        for rule in &report.rejected {
            let sid = rule.sid.map_or_else(String::new, |sid| format!(" sid {sid}"));
            writeln!(out, "{}:{}:{}:{sid} {}", rule.file, rule.line, rule.column, rule.error)?;
        }
        let rejected = report.rejected.len() + report.rejected_beyond;
        writeln!(out, "{} accepted, {rejected} rejected", report.accepted)?;
    }
    out.flush()?;
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn answer(report: Report) -> Answer {
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
    Answer {
        signatures: Signatures {
            accepted: report.accepted,
            rejected,
            rejected_beyond: report.rejected_beyond,
        },
    }
}

/// A file, or every `.rules` file of a folder in order of name.
fn read(path: &Path, sources: &mut Vec<Source>) -> anyhow::Result<()> {
    let shown = || format!("cannot read {}", path.display());
    if !path.is_dir() {
        let text = std::fs::read(path).with_context(shown)?;
        sources.push(Source { name: path.display().to_string(), text });
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
        let shown = serde_json::to_string(&answer(report)).unwrap();
        expect![[r#"{"signatures":{"accepted":1,"rejected":[{"file":"a.rules","line":2,"column":31,"sid":7,"reason":"keyword \"lua\" is not evaluated: no evaluation for it"},{"file":"a.rules","line":3,"column":7,"sid":null,"reason":"rule header: no \"(\" before the options"}]}}"#]].assert_eq(&shown);
    }

    #[test]
    fn a_missing_file_is_a_usage_error() {
        let error = read(Path::new("/no/such/file.rules"), &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "cannot read /no/such/file.rules");
    }

    #[test]
    fn sigma_is_refused_rather_than_ignored() {
        let check = Check { signatures: Vec::new(), sigma: vec![PathBuf::from("x")], json: false };
        assert!(run_check(&check).unwrap_err().to_string().contains("--sigma"));
    }
}
