//! Looks through the audit log without changing it: every record must open and follow from the one
//! before, over all files, from where the last cut says that it begins.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use super::{list, path_of, problem, scan};
use crate::journal::Cut;
use crate::keyring::Keyring;
use crate::store::Problem;
use crate::vault::{Head, Link};

/// What looking found.
#[derive(Debug, Default)]
pub struct Looked {
    /// What is not as it was written.
    pub findings: Vec<Problem>,
    /// What is worth knowing and is no sign of a change.
    pub notes: Vec<String>,
    /// How far it has come: records from the very first one on.
    pub end: Head,
    /// Digests after so many records, where they were asked for.
    pub links: BTreeMap<u64, Link>,
    /// Records seen.
    pub records: u64,
}

/// Looks through the audit log in `folder`, of whose beginning `cut` is gone.
///
/// # Errors
/// As the file system.
pub fn look(
    folder: &Path,
    keyring: &Keyring,
    cut: &Cut,
    wanted: &BTreeSet<u64>,
) -> io::Result<Looked> {
    let mut out = Looked { end: cut.upto, ..Looked::default() };
    let (older, numbers): (Vec<u64>, Vec<u64>) =
        list(folder)?.into_iter().partition(|number| *number < cut.first_kept);
    for number in older {
        let path = path_of(folder, number);
        out.notes.push(format!("{}: left behind by a cut that was not ended", path.display()));
    }
    let mut expected = cut.first_kept.max(1);
    // Lines at the end of the file before that did not open.
    let mut torn: Option<(u64, u64)> = None;
    for number in numbers {
        for gone in (expected..number).take(1_000) {
            let what = "file of the audit log is gone".to_owned();
            out.findings.push(problem(&path_of(folder, gone), what));
        }
        expected = number.saturating_add(1);
        let path = path_of(folder, number);
        let before = out.end;
        let found = match scan(keyring, (folder, number), Some(before)) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::Other => {
                // Its key is gone: nothing of it can be read.
                out.findings.push(problem(&path, error.to_string()));
                continue;
            }
            Err(error) => return Err(error),
        };
        for broken in &found.broken {
            let first = broken.line == 1;
            let (number, line) = torn.filter(|_| first).unwrap_or((number, broken.line));
            let place = path_of(folder, number);
            let what = format!("line {line}: {}", broken.what);
            out.findings.push(problem(&place, what));
        }
        torn = found.unread.map(|line| (number, line));
        for line in &found.torn {
            out.notes.push(format!("{}, line {line}: torn by a crash", path.display()));
        }
        for (entry, link) in &found.entries {
            let count = entry.number.saturating_add(1);
            if wanted.contains(&count) {
                out.links.insert(count, *link);
            }
        }
        if wanted.contains(&before.count) {
            out.links.insert(before.count, before.digest);
        }
        out.records = out.records.saturating_add(found.entries.len() as u64);
        out.end = found.head();
    }
    Ok(out)
}
