//! Time partitions: opening, quarantine of what is damaged, the set searches read.
//!
//! What a partition holds is said by its name ([`super::key`]), in which of two folders it lies is the business
//! of `places`.

mod aside;
mod away;
mod places;
mod rewrite;
mod standing;
mod unreadable;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tantivy::index::{SegmentComponent, SegmentMeta};
use tantivy::{Directory as _, Index, IndexReader, ReloadPolicy, SegmentReader};

use super::files::cache::PageCache;
use super::files::directory::SealedDirectory;
pub use super::key::{PartitionKey, Reach, Span};
use super::schema::{Fields, schema, settings, tokenizers};
use super::summary::{Slot, State};
use super::zones::ZoneCache;
use crate::keyring::Deletion;
use crate::store::figures::{ClassFigures, SummaryFigures};
use crate::store::log::Position;
use crate::store::{Problem, SetAside, StoreError};
use crate::vault::{Vault, partition_key};

pub use places::Folders;
pub(crate) use places::{MARK, MOVING, QUARANTINE, is_warm_folder};
pub(crate) use standing::folder;

/// One open partition.
pub struct Partition {
    /// Its identity.
    pub key: PartitionKey,
    /// Its directory.
    pub path: PathBuf,
    /// Its files.
    pub directory: SealedDirectory,
    /// The index.
    pub index: Index,
    /// The fields of its schema, which may be older than the program.
    pub fields: Fields,
    /// Whether its schema is the program's.
    pub is_current: bool,
    /// The committed state, for searches.
    pub reader: IndexReader,
    /// What times its blocks hold.
    pub(super) zones: ZoneCache,
    /// What it holds, in short.
    pub(super) summary: Slot,
    indexed: Mutex<Position>,
}

impl std::fmt::Debug for Partition {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Partition").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Partition {
    /// Everything before this place in the log that belongs here is in the commit.
    #[must_use]
    pub fn indexed(&self) -> Position {
        *self.indexed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a commit.
    pub fn set_indexed(&self, position: Position) {
        *self.indexed.lock().unwrap_or_else(PoisonError::into_inner) = position;
    }

    /// Reads the position back from the commit on disk.
    ///
    /// # Errors
    /// The index library's.
    pub fn reload_indexed(&self) -> tantivy::Result<()> {
        self.set_indexed(payload(&self.index)?);
        self.reload()
    }

    /// Searches see the last commit from here on.
    ///
    /// # Errors
    /// The index library's.
    pub fn reload(&self) -> tantivy::Result<()> {
        self.reader.reload()?;
        self.zones.keep(self.reader.searcher().segment_readers());
        Ok(())
    }

    /// The segments of the commit on disk.
    ///
    /// # Errors
    /// The index library's.
    pub fn segments(&self) -> tantivy::Result<Vec<SegmentMeta>> {
        self.index.searchable_segment_metas()
    }

    /// Bytes on disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let Ok(items) = std::fs::read_dir(&self.path) else { return 0 };
        items.filter_map(|item| item.ok()?.metadata().ok()).map(|meta| meta.len()).sum()
    }

    /// Documents in the commit.
    #[must_use]
    pub fn documents(&self) -> u64 {
        self.reader.searcher().num_docs()
    }
}

fn payload(index: &Index) -> tantivy::Result<Position> {
    let payload = index.load_metas()?.payload;
    Ok(payload.and_then(|text| text.parse().ok()).unwrap_or_default())
}

/// The set of partitions; cheap to snapshot.
#[derive(Debug)]
pub struct Partitions {
    folders: Folders,
    vault: Arc<Vault>,
    cache: Arc<PageCache>,
    open: RwLock<BTreeMap<PartitionKey, Arc<Partition>>>,
    unreadable: unreadable::Unreadable,
    aside: aside::Aside,
    away: away::Away,
    /// What is wrong with where partitions lie.
    misplaced: Vec<Problem>,
}

/// What looking for damage found.
enum Looked {
    /// Segment names and document counts of the segments that do not open.
    Bad(Vec<(String, u64)>),
    /// The list of segments does not open.
    Damaged,
    /// The disk does not give everything now, so that nothing is known.
    Unreadable,
}

/// Something damaged was taken out of service.
#[derive(Clone, Debug)]
pub struct Quarantined {
    /// Which partition it belonged to.
    pub partition: PartitionKey,
    /// Documents it held, as far as known.
    pub documents: u64,
    /// What happened.
    pub problem: Problem,
}

impl Partitions {
    /// Opens all partitions of the folders, taking damaged segments and partitions out of service.
    ///
    /// # Errors
    /// [`StoreError::Io`] when a folder itself cannot be read.
    pub fn open(
        folders: Folders,
        vault: Arc<Vault>,
        cache: Arc<PageCache>,
    ) -> Result<(Self, Vec<Quarantined>), StoreError> {
        let (open, unreadable) = (RwLock::default(), unreadable::Unreadable::default());
        let (away, misplaced) = (away::Away::default(), Vec::new());
        let aside = aside::Aside::default();
        let mut set = Self { folders, vault, cache, open, unreadable, aside, away, misplaced };
        let mut found = set.find()?;
        set.misplaced.append(&mut found.problems);
        set.miss(&found.partitions.keys().copied().collect());
        let mut damaged = Vec::new();
        for key in found.partitions.into_keys() {
            match set.attempt(key) {
                Ok(partition) => set.insert(partition),
                Err(refused) if refused.unreadable => set.unreadable.note(key, &refused.error),
                Err(refused) => {
                    damaged.extend(set.salvage(key, &refused.error.to_string(), false)?);
                }
            }
        }
        Ok((set, damaged))
    }

    fn directory(&self, key: PartitionKey) -> io::Result<(PathBuf, SealedDirectory)> {
        let path = self.folders.place(key);
        let directory = self.directory_at(key, &path)?;
        Ok((path, directory))
    }

    /// The files of a partition, or of a copy of it, at a path.
    pub(super) fn directory_at(
        &self,
        key: PartitionKey,
        path: &Path,
    ) -> io::Result<SealedDirectory> {
        let name = key.to_string();
        let secret =
            self.vault.keyring.file_key(&partition_key(&name)).map_err(io::Error::other)?;
        Ok(SealedDirectory::new(path.to_owned(), &name, secret, Arc::clone(&self.cache)))
    }

    fn load(&self, key: PartitionKey, create: bool) -> tantivy::Result<Partition> {
        for root in self.folders.roots() {
            rewrite::settle_one(root, &self.vault.keyring, &key.to_string())
                .map_err(io::Error::other)?;
        }
        self.load_at(key, &self.folders.place(key), create)
    }

    fn load_at(&self, key: PartitionKey, path: &Path, create: bool) -> tantivy::Result<Partition> {
        if create {
            let name = partition_key(&key.to_string());
            self.vault.keyring.ensure(&name).map_err(io::Error::other)?;
        }
        let directory = self.directory_at(key, path)?;
        self.load_from(key, (path.to_owned(), directory), create)
    }

    fn load_from(
        &self,
        key: PartitionKey,
        (path, directory): (PathBuf, SealedDirectory),
        create: bool,
    ) -> tantivy::Result<Partition> {
        directory.prepare()?;
        let builder = Index::builder().schema(schema()).tokenizers(tokenizers());
        let mut index = if create {
            std::fs::create_dir_all(&path)?;
            builder.settings(settings()).open_or_create(directory.clone())?
        } else {
            Index::open(directory.clone())?
        };
        index.set_tokenizers(tokenizers());
        for meta in index.searchable_segment_metas()? {
            complete(&directory, &meta)?;
        }
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        let fields = Fields::of(&index.schema())?;
        let is_current = index.schema() == schema();
        let indexed = Mutex::new(payload(&index)?);
        let zones = ZoneCache::default();
        let summary = Slot::read(&directory);
        Ok(Partition {
            key,
            path,
            directory,
            index,
            fields,
            is_current,
            reader,
            zones,
            summary,
            indexed,
        })
    }

    fn insert(&self, partition: Partition) {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        open.insert(partition.key, Arc::new(partition));
    }

    /// The partition of a key, made when there is none.
    ///
    /// # Errors
    /// The index library's.
    pub fn ensure(&self, key: PartitionKey) -> tantivy::Result<Arc<Partition>> {
        if let Some(partition) = self.get(key) {
            return Ok(partition);
        }
        self.insert(self.load(key, true)?);
        self.get(key).ok_or_else(|| tantivy::TantivyError::SystemError("partition gone".to_owned()))
    }

    /// The partition of a key, if there is one.
    #[must_use]
    pub fn get(&self, key: PartitionKey) -> Option<Arc<Partition>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    /// All partitions, oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Partition>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// How the summaries of partitions stand.
    #[must_use]
    pub fn summaries(&self) -> SummaryFigures {
        let mut out = SummaryFigures::default();
        for partition in self.all() {
            let slot = match partition.summary.state(&partition.reader.searcher()) {
                State::Current => &mut out.current,
                State::Outdated => &mut out.outdated,
                State::Damaged => &mut out.damaged,
            };
            *slot = slot.saturating_add(1);
        }
        out
    }

    /// What there is of each class of data, by its name.
    #[must_use]
    pub fn classes(&self) -> BTreeMap<String, ClassFigures> {
        let mut out: BTreeMap<String, ClassFigures> = BTreeMap::new();
        for partition in self.all() {
            let slot = out.entry(partition.key.class.shown().to_owned()).or_default();
            slot.partitions = slot.partitions.saturating_add(1);
            slot.documents = slot.documents.saturating_add(partition.documents());
            slot.bytes = slot.bytes.saturating_add(partition.bytes());
        }
        out
    }

    /// Tells the vault how far each partition has come, and what came less far than it should.
    pub fn begin(&self) {
        let all = self.all();
        for partition in &all {
            let name = partition_key(&partition.key.to_string());
            self.vault.begin(&name, &partition.path, Some(partition.directory.head()));
        }
        let there: BTreeSet<String> = all.iter().map(|one| one.key.to_string()).collect();
        let missing: BTreeSet<String> = self.missing().iter().map(ToString::to_string).collect();
        for name in self.vault.noted_partitions() {
            let unreadable = PartitionKey::parse(&name).is_some_and(|key| self.is_unreadable(key));
            if missing.contains(&name) {
                self.vault.carry(&partition_key(&name));
            } else if !there.contains(&name) && !unreadable {
                self.vault.begin(&partition_key(&name), &self.folders.hot.join(&name), None);
            }
        }
    }

    /// Writes a checkpoint over how far each partition has come.
    ///
    /// # Errors
    /// [`StoreError::Vault`].
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        for partition in self.all() {
            let name = partition_key(&partition.key.to_string());
            self.vault.set_head(&name, partition.directory.head());
        }
        Ok(self.vault.checkpoint(false)?)
    }

    /// Deletes a partition of so many documents and bytes with everything in it, for a reason: its
    /// key is destroyed first, and a record of that is left.
    ///
    /// # Errors
    /// [`StoreError::Vault`], [`StoreError::Io`].
    pub fn remove(
        &self,
        key: PartitionKey,
        (documents, bytes, reason): (u64, u64, &str),
    ) -> Result<(), StoreError> {
        let Some(partition) = self.get(key) else { return Ok(()) };
        self.vault.destroy(Deletion {
            partition: key.to_string(),
            documents,
            bytes,
            reason: reason.to_owned(),
            ..Deletion::default()
        })?;
        self.open.write().unwrap_or_else(PoisonError::into_inner).remove(&key);
        partition.directory.leave();
        places::discard(&partition.path)
    }

    /// What was taken out of service as damaged since the opening.
    #[must_use]
    pub fn set_aside_list(&self) -> Vec<SetAside> {
        self.aside.list()
    }

    /// Takes the damaged segments of a partition out of service, or the whole partition when its
    /// directory cannot be read; the rest stays. With `thorough`, every page is opened.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn salvage(
        &self,
        key: PartitionKey,
        reason: &str,
        thorough: bool,
    ) -> Result<Vec<Quarantined>, StoreError> {
        let out = match self.bad_segments(key, thorough) {
            Looked::Unreadable => {
                self.unreadable.note(key, &reason);
                return Ok(Vec::new());
            }
            Looked::Bad(bad) => {
                let mut out = Vec::new();
                for (segment, documents) in bad {
                    out.push(self.drop_segment(key, &segment, documents, reason)?);
                }
                out
            }
            Looked::Damaged => vec![self.set_aside(key, reason)?],
        };
        match self.attempt(key) {
            Ok(partition) => {
                self.insert(partition);
                Ok(out)
            }
            Err(refused) if refused.unreadable => {
                self.unreadable.note(key, &refused.error);
                Ok(out)
            }
            Err(_) if self.folders.place(key).exists() => {
                let mut out = out;
                out.push(self.set_aside(key, reason)?);
                Ok(out)
            }
            Err(_) => Ok(out),
        }
    }

    /// Looks for segments that do not open.
    fn bad_segments(&self, key: PartitionKey, thorough: bool) -> Looked {
        let Ok((path, directory)) = self.directory(key) else { return Looked::Damaged };
        let look = || -> tantivy::Result<Vec<(String, u64)>> {
            let mut index = Index::open(directory.clone())?;
            index.set_tokenizers(tokenizers());
            let mut bad = Vec::new();
            for meta in index.searchable_segment_metas()? {
                let name = meta.id().uuid_string();
                let documents = u64::from(meta.max_doc());
                let opens = complete(&directory, &meta).is_ok()
                    && SegmentReader::open(&index.segment(meta)).is_ok();
                if !opens || (thorough && !verify(&path, &directory, &name)) {
                    bad.push((name, documents));
                }
            }
            Ok(bad)
        };
        let found = look();
        if directory.is_unreadable() {
            return Looked::Unreadable;
        }
        found.map_or(Looked::Damaged, Looked::Bad)
    }

    fn drop_segment(
        &self,
        key: PartitionKey,
        segment: &str,
        documents: u64,
        reason: &str,
    ) -> Result<Quarantined, StoreError> {
        let place = self.folders.place(key);
        let target = self.folders.quarantine(&place).join(format!("{key}-{segment}"));
        let meta_path = Path::new("meta.json");
        let failed = |source| StoreError::io("take a segment out of", &place, source);
        let (path, directory) = self.directory(key).map_err(failed)?;
        let meta = directory.atomic_read(meta_path).map_err(|e| failed(io::Error::other(e)))?;
        let mut meta: serde_json::Value =
            serde_json::from_slice(&meta).map_err(|e| failed(e.into()))?;
        if let Some(list) = meta.get_mut("segments").and_then(|list| list.as_array_mut()) {
            list.retain(|entry| !segment_is(entry, segment));
        }
        std::fs::create_dir_all(&target).map_err(failed)?;
        directory.atomic_write(meta_path, meta.to_string().as_bytes()).map_err(failed)?;
        for file in files_of(&path, segment) {
            let name = file.file_name().unwrap_or_default();
            std::fs::rename(&file, target.join(name)).map_err(failed)?;
        }
        self.aside.note(key);
        Ok(quarantined(key, documents, &target, &format!("segment {segment}: {reason}")))
    }

    fn set_aside(&self, key: PartitionKey, reason: &str) -> Result<Quarantined, StoreError> {
        self.open.write().unwrap_or_else(PoisonError::into_inner).remove(&key);
        let path = self.folders.place(key);
        let quarantine = self.folders.quarantine(&path);
        let failed = |source| StoreError::io("move to quarantine", &path, source);
        std::fs::create_dir_all(&quarantine).map_err(failed)?;
        let free = (0_u32..).map(|n| quarantine.join(format!("{key}.{n}")));
        let target = free.into_iter().find(|path| !path.exists()).unwrap_or_default();
        std::fs::rename(&path, &target).map_err(failed)?;
        self.aside.note(key);
        Ok(quarantined(key, 0, &target, &format!("partition {key}: {reason}")))
    }
}

pub(super) use away::Turn;
pub(super) use rewrite::in_place;

/// Prefix of partitions being deleted.
pub(crate) const DROPPED: &str = ".dropped-";

fn quarantined(key: PartitionKey, documents: u64, target: &Path, what: &str) -> Quarantined {
    Quarantined {
        partition: key,
        documents,
        problem: Problem {
            path: target.display().to_string(),
            offset: 0,
            what: what.to_owned(),
            advice: "its files are in quarantine; what the log still holds is indexed again; \
                     restore the rest from a backup and check the disk"
                .to_owned(),
        },
    }
}

/// Whether an entry of the list of segments is this one; the list has hyphenated UUIDs.
fn segment_is(entry: &serde_json::Value, segment: &str) -> bool {
    let id = entry.get("segment_id").and_then(|id| id.as_str()).unwrap_or_default();
    id.replace('-', "") == segment
}

fn files_of(path: &Path, segment: &str) -> Vec<PathBuf> {
    let Ok(items) = std::fs::read_dir(path) else { return Vec::new() };
    items
        .filter_map(|item| Some(item.ok()?.path()))
        .filter(|file| {
            file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(segment))
        })
        .collect()
}

/// Whether the positions of a segment are there. The index library takes a segment without that
/// file for one without positions, and would find no phrase in it from then on.
fn complete(directory: &SealedDirectory, meta: &SegmentMeta) -> io::Result<()> {
    directory.sealed(&meta.relative_path(SegmentComponent::Positions)).map(drop)
}

fn verify(path: &Path, directory: &SealedDirectory, segment: &str) -> bool {
    files_of(path, segment).iter().all(|file| {
        let name = Path::new(file.file_name().unwrap_or_default());
        directory.sealed(name).and_then(|sealed| sealed.verify()).is_ok()
    })
}
