//! Writing a partition anew under a new key, after which nothing opens its old files, wherever copies lie.
//!
//! The files are copied page by page beside the partition, under a fresh key; then the fresh key takes the
//! place of the old one in one step, which destroys the old one; then the folders change places. A kill
//! before that step leaves the partition as it was, one after it is put right at the next start.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use tantivy::directory::{FileHandle as _, TerminatingWrite as _};
use tantivy::{Directory as _, Term};

use super::super::files::cache::PageCache;
use super::super::files::directory::SealedDirectory;
use super::{DROPPED, Partition, PartitionKey, Partitions};
use crate::keyring::Keyring;
use crate::store::log::segment::sync_directory;
use crate::store::{Holding, StoreError};
use crate::vault::{Head, Vault, fresh_key, partition_key};

/// Prefix of the folder of a partition while it is written anew.
const FRESH: &str = ".fresh-";
/// Bytes copied at once.
const CHUNK: usize = 1 << 20;
/// Files that are replaced as a whole, in the order in which they are written.
const LISTS: [&str; 2] = [".managed.json", LIST];
/// The list of segments.
const LIST: &str = "meta.json";

fn fresh_folder(root: &Path, name: &str) -> PathBuf {
    root.join(format!("{FRESH}{name}"))
}

fn remove(folder: &Path) -> Result<(), StoreError> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::io("remove", folder, error))
        }
        _ => Ok(()),
    }
}

/// Names of partitions that there is a fresh folder of.
fn begun(root: &Path) -> Result<Vec<String>, StoreError> {
    let failed = |source| StoreError::io("list", root, source);
    let mut names = Vec::new();
    for item in std::fs::read_dir(root).map_err(failed)? {
        let name = item.map_err(failed)?.file_name();
        names.extend(name.to_str().and_then(|name| name.strip_prefix(FRESH)).map(str::to_owned));
    }
    Ok(names)
}

/// Whether the fresh folder of a partition is the one that counts: its key has taken the place of the old one. That the
/// fresh key is gone does not say so, for it may have been forgotten while the folder was away; that the
/// partition's key opens the list of segments, which is written last, does.
///
/// # Errors
/// [`StoreError::Io`] when the disk does not say.
fn is_exchanged(root: &Path, keyring: &Keyring, name: &str) -> Result<bool, StoreError> {
    use io::ErrorKind::{InvalidData, NotFound, UnexpectedEof};
    if keyring.get(&fresh_key(name)).is_ok() {
        return Ok(false);
    }
    let Ok(key) = keyring.file_key(&partition_key(name)) else { return Ok(false) };
    let (folder, cache) = (fresh_folder(root, name), Arc::new(PageCache::new(CHUNK)));
    match SealedDirectory::new(folder.clone(), name, key, cache).read_all(Path::new(LIST)) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), InvalidData | NotFound | UnexpectedEof) => Ok(false),
        Err(error) => Err(StoreError::io("read", &folder.join(LIST), error)),
    }
}

/// Partitions whose folder is not yet where it belongs, for who looks and changes nothing: name and the
/// folder that counts.
///
/// # Errors
/// [`StoreError::Io`].
pub(in super::super) fn in_place(
    root: &Path,
    keyring: &Keyring,
) -> Result<BTreeMap<String, PathBuf>, StoreError> {
    let mut out = BTreeMap::new();
    for name in begun(root)? {
        if is_exchanged(root, keyring, &name)? {
            let folder = fresh_folder(root, &name);
            out.insert(name, folder);
        }
    }
    Ok(out)
}

/// Ends or takes back what a kill interrupted in one folder. Keys of what was taken back are forgotten by who has looked
/// through all folders.
///
/// # Errors
/// [`StoreError`].
pub(super) fn settle(root: &Path, vault: &Vault) -> Result<(), StoreError> {
    for name in begun(root)? {
        if is_exchanged(root, &vault.keyring, &name)? {
            change_places(root, &name)?;
        } else if root.join(&name).exists() || vault.was_deleted(&name) {
            remove(&fresh_folder(root, &name))?;
        }
    }
    Ok(())
}

/// Puts the fresh folder of a partition in the place of the old one.
fn change_places(root: &Path, name: &str) -> Result<(), StoreError> {
    let (old, gone) = (root.join(name), root.join(format!("{DROPPED}{name}")));
    let failed = |source| StoreError::io("put in place", &old, source);
    remove(&gone)?;
    match std::fs::rename(&old, &gone) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    std::fs::rename(fresh_folder(root, name), &old).map_err(failed)?;
    sync_directory(root)?;
    remove(&gone)
}

fn copy(from: &SealedDirectory, to: &SealedDirectory) -> io::Result<()> {
    for name in from.files()? {
        let path = Path::new(&name);
        let file = from.sealed(path)?;
        let mut writer = to.open_write(path).map_err(io::Error::other)?;
        let length = tantivy::HasLen::len(&file);
        for start in (0..length).step_by(CHUNK) {
            let end = start.saturating_add(CHUNK).min(length);
            writer.write_all(file.read_bytes(start..end)?.as_slice())?;
        }
        writer.flush()?;
        writer.terminate()?;
    }
    for name in LISTS {
        let path = Path::new(name);
        to.atomic_write(path, &from.read_all(path)?)?;
    }
    Ok(())
}

/// Puts the fresh folder of one partition in place, if its key says that it counts.
pub(super) fn settle_one(root: &Path, keyring: &Keyring, name: &str) -> Result<(), StoreError> {
    if fresh_folder(root, name).exists() && is_exchanged(root, keyring, name)? {
        change_places(root, name)?;
    }
    Ok(())
}

impl Partition {
    /// The term that an event has by its identity.
    pub(in super::super) fn term(&self, id: &str) -> Option<Term> {
        let field = self.fields.known.get("event.id")?;
        Some(Term::from_field_text(*field, id))
    }

    fn holds(&self, id: &str) -> tantivy::Result<bool> {
        let Some(term) = self.term(id) else { return Ok(false) };
        Ok(self.reader.searcher().doc_freq(&term)? > 0)
    }
}

impl Partitions {
    /// The partitions that hold any of these events, by `event.id`, and how many of them. Oldest first.
    ///
    /// # Errors
    /// [`StoreError::Index`].
    pub(in super::super) fn holders(
        &self,
        ids: &[&str],
    ) -> Result<Vec<(Arc<Partition>, u64)>, StoreError> {
        let mut out = Vec::new();
        for partition in self.all() {
            let mut held = 0_u64;
            for id in ids {
                let holds = partition.holds(id).map_err(|error| StoreError::Index {
                    partition: partition.key.to_string(),
                    reason: error.to_string(),
                })?;
                held = held.saturating_add(u64::from(holds));
            }
            if held > 0 {
                out.push((partition, held));
            }
        }
        Ok(out)
    }

    /// As [`Self::holders`], as it is told.
    ///
    /// # Errors
    /// [`StoreError::Index`].
    pub(crate) fn holding(&self, ids: &[&str]) -> Result<Vec<Holding>, StoreError> {
        let told = |(partition, events): (Arc<Partition>, u64)| Holding {
            partition: partition.key.to_string(),
            events,
            bytes: partition.bytes(),
        };
        Ok(self.holders(ids)?.into_iter().map(told).collect())
    }

    /// Opens a partition that is there and not open.
    pub(in super::super) fn reopen(&self, key: PartitionKey) -> tantivy::Result<()> {
        let name = key.to_string();
        let mut roots = self.folders.roots();
        let there =
            roots.any(|root| root.join(&name).exists() || fresh_folder(root, &name).exists());
        if there && self.get(key).is_none() {
            self.insert(self.load(key, false)?);
        }
        Ok(())
    }

    /// The keys, and what is told of them.
    pub(in super::super) const fn vault(&self) -> &Arc<Vault> {
        &self.vault
    }

    /// Writes a partition anew under a new key, for an order or for nothing but the key, and destroys the
    /// old one. Nobody may write to it meanwhile; searches go on. Gives how far it has come with it.
    ///
    /// # Errors
    /// [`StoreError`]; the partition is as it was then, or is put right at the next start.
    pub(in crate::store) fn rewrite(
        &self,
        key: PartitionKey,
        order: Option<&str>,
    ) -> Result<Option<Head>, StoreError> {
        let Some(partition) = self.get(key) else { return Ok(None) };
        let name = key.to_string();
        let root = partition.path.parent().unwrap_or(&self.folders.hot);
        let folder = fresh_folder(root, &name);
        let failed = |source| StoreError::io("write anew", &folder, source);
        remove(&folder)?;
        // A key of a try that failed may be half used.
        self.vault.keyring.forget(|one| one == fresh_key(&name))?;
        let secret = self.vault.keyring.ensure(&fresh_key(&name))?;
        std::fs::create_dir(&folder).map_err(failed)?;
        let fresh = SealedDirectory::new(folder.clone(), &name, secret, Arc::clone(&self.cache))
            .following(partition.directory.head());
        copy(&partition.directory, &fresh).map_err(failed)?;
        let after = fresh.head();
        self.vault.exchange(&name, order, after)?;
        partition.directory.leave();
        if let Err(error) = change_places(root, &name) {
            // Nobody may write to the old folder any more; opening it again puts the fresh one in place.
            self.open.write().unwrap_or_else(PoisonError::into_inner).remove(&key);
            return Err(error);
        }
        let opened = self.load(key, false);
        self.insert(
            opened.map_err(|error| StoreError::Index {
                partition: name,
                reason: error.to_string(),
            })?,
        );
        Ok(Some(after))
    }
}
