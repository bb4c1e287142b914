//! Where partitions lie: in the folder that is written to, or, moved there when their day is over, in a second
//! and slower one, the warm folder.
//!
//! A partition is moved by copying it under another name, checking every page of the copy against the
//! commit, and renaming it: from then on the copy counts and the original is removed. A crash leaves an
//! unfinished copy, which is removed, or two whole ones, of which the original is. What was moved is never written to
//! again but to repair it. While the warm folder is not there, what lies in it is missing and everything else
//! is served ([`super::away`]). Not here: what is moved when ([`crate::store::retention::movable`], [`super::super::write::mover`]).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{DROPPED, PartitionKey, Partitions};
use crate::journal::What;
use crate::store::figures::WarmFigures;
use crate::store::log::segment::sync_directory;
use crate::store::retention::Held;
use crate::store::{Problem, StoreError};
use crate::vault::{Head, Vault, fresh_key, partition_key};

/// Prefix of partitions being copied.
pub(crate) const MOVING: &str = ".moving-";
/// A file in the warm folder that says that it is one: an empty folder is a disk that is not mounted.
pub(crate) const MARK: &str = "pikett-warm";
/// Folder in the warm folder where damaged files of its partitions go.
pub(crate) const QUARANTINE: &str = "quarantine";

/// The folders of the partitions.
#[derive(Clone, Debug)]
pub struct Folders {
    /// The one that is written to.
    pub hot: PathBuf,
    /// The one where partitions go whose day is over.
    pub warm: Option<PathBuf>,
    /// Where damaged files go.
    pub quarantine: PathBuf,
}

/// What lies where, and what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) partitions: BTreeMap<PartitionKey, PathBuf>,
    pub(super) problems: Vec<Problem>,
}

/// Whether a folder was made as a warm one, and is there.
pub(crate) fn is_warm_folder(folder: &Path) -> bool {
    folder.join(MARK).exists()
}

impl Folders {
    /// The folders that are there.
    pub(super) fn roots(&self) -> impl Iterator<Item = &Path> {
        let warm = self.warm.as_deref().filter(|_| self.has_warm());
        std::iter::once(self.hot.as_path()).chain(warm)
    }

    /// Where a partition lies: in the hot folder, unless it lies in the warm one alone.
    pub(super) fn place(&self, key: PartitionKey) -> PathBuf {
        let hot = self.hot.join(key.to_string());
        let warm = self.warm.as_ref().map(|warm| warm.join(key.to_string()));
        warm.filter(|warm| !hot.exists() && warm.exists()).unwrap_or(hot)
    }

    /// Where damaged files of a partition go: on the same file system.
    pub(super) fn quarantine(&self, partition: &Path) -> PathBuf {
        match self.warm.as_ref().filter(|warm| partition.starts_with(warm)) {
            Some(warm) => warm.join(QUARANTINE),
            None => self.quarantine.clone(),
        }
    }

    /// Whether the warm folder is one that was made before.
    pub(super) fn has_warm(&self) -> bool {
        self.warm.as_deref().is_some_and(is_warm_folder)
    }

    /// Makes the warm folder, and gives it.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub(crate) fn make_warm(&self) -> Result<Option<&Path>, StoreError> {
        let Some(warm) = self.warm.as_deref() else { return Ok(None) };
        let mark = warm.join(MARK);
        if !mark.exists() {
            let failed = |source| StoreError::io("make", &mark, source);
            std::fs::create_dir_all(warm).map_err(failed)?;
            std::fs::File::create(&mark).and_then(|file| file.sync_all()).map_err(failed)?;
            sync_directory(warm)?;
        }
        Ok(Some(warm))
    }
}

/// Lists the partitions of a folder; what was being dropped or copied when the process died is removed.
pub(super) fn list(
    root: &Path,
    vault: &Vault,
    out: &mut Vec<(PartitionKey, PathBuf)>,
) -> Result<(), StoreError> {
    let failed = |action, source| StoreError::io(action, root, source);
    for item in std::fs::read_dir(root).map_err(|source| failed("list", source))? {
        let item = item.map_err(|source| failed("list", source))?;
        let name = item.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(DROPPED) || name.starts_with(MOVING) {
            drop(std::fs::remove_dir_all(item.path()));
        }
        let Some(key) = PartitionKey::parse(&name) else { continue };
        let sealed = vault.keyring.get(&partition_key(&name)).is_ok();
        if !sealed && vault.was_deleted(&name) {
            // Killed between the destruction of its key and the removal of its files.
            std::fs::remove_dir_all(item.path()).map_err(|source| failed("empty", source))?;
            continue;
        }
        out.push((key, item.path()));
    }
    Ok(())
}

/// Removes a partition's files. Renamed first: a crash meanwhile must not leave half a partition in service.
///
/// # Errors
/// [`StoreError::Io`].
pub(super) fn discard(path: &Path) -> Result<(), StoreError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let gone = path.with_file_name(format!("{DROPPED}{name}"));
    std::fs::rename(path, &gone)
        .and_then(|()| std::fs::remove_dir_all(&gone))
        .map_err(|source| StoreError::io("delete", path, source))
}

impl Partitions {
    /// Finds the partitions of both folders, and ends moves that were cut short.
    pub(super) fn find(&self) -> Result<Found, StoreError> {
        let hot = &self.folders.hot;
        std::fs::create_dir_all(hot).map_err(|source| StoreError::io("make", hot, source))?;
        let (mut all, mut found) = (Vec::new(), Found::default());
        for root in self.folders.roots() {
            super::rewrite::settle(root, &self.vault)?;
        }
        // What was begun in a folder that is not there does not open without, and goes when the folder is back.
        self.vault.keyring.forget(|name| name.starts_with(&fresh_key("")))?;
        list(hot, &self.vault, &mut all)?;
        found.partitions.extend(all.drain(..));
        let Some(warm) = self.folders.warm.as_deref().filter(|_| self.folders.has_warm()) else {
            return Ok(found);
        };
        list(warm, &self.vault, &mut all)?;
        for (key, path) in all {
            match found.partitions.get(&key) {
                None => drop(found.partitions.insert(key, path)),
                Some(hot) if self.are_same(key, hot, &path) => {
                    // Killed between the end of the copy and the removal of the original.
                    discard(hot)?;
                    found.partitions.insert(key, path);
                }
                Some(hot) => found.problems.push(Problem {
                    path: path.display().to_string(),
                    offset: 0,
                    what: format!(
                        "partition {key} lies in {} too, with another content",
                        hot.display()
                    ),
                    advice:
                        "the one there is used; look which one is right and take the other away"
                            .to_owned(),
                }),
            }
        }
        Ok(found)
    }

    /// Whether a partition that lies in two places has come equally far in both.
    fn are_same(&self, key: PartitionKey, one: &Path, other: &Path) -> bool {
        let head = self.head_at(key, one);
        head.is_some() && head == self.head_at(key, other)
    }

    fn head_at(&self, key: PartitionKey, path: &Path) -> Option<Head> {
        let head = self.directory_at(key, path).ok()?.head();
        // A list of segments that does not open has come no step.
        (head.count > 0).then_some(head)
    }

    /// All partitions by name, also those that are missing.
    #[must_use]
    pub fn keys(&self) -> Vec<PartitionKey> {
        self.all().iter().map(|one| one.key).chain(self.missing().iter().copied()).collect()
    }

    /// The folders.
    #[must_use]
    pub const fn folders(&self) -> &Folders {
        &self.folders
    }

    pub(super) fn is_warm(&self, path: &Path) -> bool {
        self.folders.warm.as_ref().is_some_and(|warm| path.starts_with(warm))
    }

    /// The partitions in the hot folder.
    #[must_use]
    pub fn hot(&self) -> Vec<Held> {
        let all = self.all();
        let hot = all.iter().filter(|one| !self.is_warm(&one.path));
        hot.map(|one| Held { key: one.key, bytes: one.bytes() }).collect()
    }

    /// What lies in the warm folder.
    #[must_use]
    pub fn warm(&self) -> WarmFigures {
        let (missing, away) = (self.missing().len() as u64, self.away_folder());
        let mut out = WarmFigures { missing, away, ..WarmFigures::default() };
        for one in self.all().iter().filter(|one| self.is_warm(&one.path)) {
            out.partitions = out.partitions.saturating_add(1);
            out.bytes = out.bytes.saturating_add(one.bytes());
        }
        out
    }

    /// Puts a checked copy, which has come as far as `head`, into the place of a partition. False when the
    /// partition has changed since it was copied.
    ///
    /// # Errors
    /// [`StoreError`]. The partition is where it was then, or moved and its original still there.
    pub fn take_copy(&self, key: PartitionKey, head: Head) -> Result<bool, StoreError> {
        let (Some(old), Some(warm)) = (self.get(key), self.folders.warm.as_deref()) else {
            return Ok(false);
        };
        if old.directory.head() != head || self.is_warm(&old.path) {
            return Ok(false);
        }
        let (copy, place) = (warm.join(format!("{MOVING}{key}")), warm.join(key.to_string()));
        let bytes = old.bytes();
        std::fs::rename(&copy, &place).map_err(|source| StoreError::io("rename", &copy, source))?;
        sync_directory(warm)?;
        let moved = self.load_at(key, &place, false).map_err(|error| StoreError::Index {
            partition: key.to_string(),
            reason: error.to_string(),
        })?;
        self.insert(moved);
        let about = [("partition", key.to_string()), ("to", place.display().to_string())];
        self.vault.note(What::Did {
            who: "collector".to_owned(),
            action: "partition-moved".to_owned(),
            about: about.map(|(name, text)| (name.to_owned(), text)).into(),
        })?;
        old.directory.leave();
        discard(&old.path)?;
        tracing::info!(partition = %key, bytes, to = %place.display(), "partition moved");
        Ok(true)
    }
}
