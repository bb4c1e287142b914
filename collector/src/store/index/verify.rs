//! Looks through the partitions without changing them: every file that a commit names must be
//! there, of its length, and open page by page to what the commit says.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::files::cache::PageCache;
use super::files::directory::SealedDirectory;
use super::files::manifest::{self, Table};
use super::partition::{MARK, PartitionKey, QUARANTINE};
use super::summary;
use crate::keyring::Keyring;
use crate::store::{Problem, StoreError};
use crate::vault::{Head, partition_key};

/// What looking found.
#[derive(Debug, Default)]
pub struct Looked {
    /// What is not as it was written.
    pub findings: Vec<Problem>,
    /// What is there and belongs to nothing: left behind by a crash.
    pub left: Vec<String>,
    /// How far each partition has come.
    pub heads: BTreeMap<String, Head>,
    /// Files looked at.
    pub files: u64,
}

fn problem(path: &Path, what: String) -> Problem {
    let advice = "restore it from a backup, or start the collector: what the log still holds is indexed again";
    Problem { path: path.display().to_string(), offset: 0, what, advice: advice.to_owned() }
}

/// Looks through the partitions below `root`; `progress` is told the bytes that were read.
///
/// # Errors
/// [`StoreError::Io`] when the directory cannot be read.
pub fn verify(
    root: &Path,
    keys: &Keyring,
    progress: &mut dyn FnMut(u64),
) -> Result<Looked, StoreError> {
    let mut out = Looked::default();
    if !root.exists() {
        return Ok(out);
    }
    let failed = |source| StoreError::io("list", root, source);
    let mut names = BTreeSet::new();
    for item in std::fs::read_dir(root).map_err(failed)? {
        names.extend(item.map_err(failed)?.file_name().into_string().ok());
    }
    // A kill while partitions were written anew: their folders change places at the next start.
    let elsewhere = super::partition::in_place(root, keys)?;
    names.extend(elsewhere.keys().cloned());
    for name in names {
        let path = elsewhere.get(&name).cloned().unwrap_or_else(|| root.join(&name));
        if name == MARK || name == QUARANTINE {
            continue;
        }
        if PartitionKey::parse(&name).is_none() {
            out.left.push(path.display().to_string());
            continue;
        }
        match keys.file_key(&partition_key(&name)) {
            Err(error) => out.findings.push(problem(&path, error.to_string())),
            Ok(key) => {
                let cache = Arc::new(PageCache::new(1 << 20));
                let directory = SealedDirectory::new(path.clone(), &name, key, cache);
                if let Some(head) = partition(&path, &directory, &mut out, progress) {
                    out.heads.insert(name, head);
                }
            }
        }
    }
    Ok(out)
}

/// One partition; gives how far it has come when its list of segments opens.
pub(super) fn partition(
    path: &Path,
    directory: &SealedDirectory,
    out: &mut Looked,
    progress: &mut dyn FnMut(u64),
) -> Option<Head> {
    let list = path.join("meta.json");
    let read = directory.read_all(Path::new("meta.json"));
    let read = read.map_err(|error| error.to_string()).and_then(|bytes| {
        manifest::read(&bytes).ok_or_else(|| "is no list of segments".to_owned())
    });
    let (table, head) = match read {
        Ok(read) => read,
        Err(error) => {
            out.findings.push(problem(&list, error));
            // What it names is not known; each file opens by itself or does not.
            files(path, directory, (&Table::default(), Head::default()), out, progress);
            return None;
        }
    };
    files(path, directory, (&table, head), out, progress);
    Some(head)
}

fn files(
    path: &Path,
    directory: &SealedDirectory,
    (table, head): (&Table, Head),
    out: &mut Looked,
    progress: &mut dyn FnMut(u64),
) {
    let managed = Path::new(".managed.json");
    if let Err(error) = directory.sealed(managed).and_then(|file| file.check()) {
        out.findings.push(problem(&path.join(managed), gone(&error)));
    }
    for (name, written) in &table.files {
        out.files = out.files.saturating_add(1);
        progress(written.length);
        let wrong = match directory.sealed(Path::new(name)).and_then(|file| file.check()) {
            Ok(found) if found == *written => continue,
            Ok(_) => "is another file than was written under this name".to_owned(),
            Err(error) => gone(&error),
        };
        out.findings.push(problem(&path.join(name), wrong));
    }
    let Ok(items) = std::fs::read_dir(path) else { return };
    for name in items.filter_map(|item| item.ok()?.file_name().into_string().ok()) {
        if name == summary::NAME {
            // Made from the files that the table names, and made again when it is missing.
            if let Err(error) = directory.sealed(Path::new(&name)).and_then(|file| file.check()) {
                out.findings.push(problem(&path.join(&name), error.to_string()));
            }
            continue;
        }
        let known =
            name == "meta.json" || name == ".managed.json" || table.files.contains_key(&name);
        // A partition of an older version has no table: its files open or do not.
        let sound = || directory.sealed(Path::new(&name)).and_then(|file| file.check());
        if known {
            continue;
        } else if head.count > 0 {
            out.left.push(path.join(&name).display().to_string());
        } else if let Err(error) = sound() {
            out.findings.push(problem(&path.join(&name), error.to_string()));
        }
    }
}

fn gone(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound {
        "file is gone".to_owned()
    } else {
        error.to_string()
    }
}
