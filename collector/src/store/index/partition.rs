//! Time partitions: names, opening, quarantine of what is damaged, the set searches read.
//!
//! A partition holds the events of one UTC day. Events claiming to be from too far in the past or
//! future, seen from when they were received, go into partitions of their own by the day of
//! receipt, so that a wrong clock or a replay cannot scatter partitions over the centuries.

mod rewrite;
mod unreadable;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use event::Timestamp;
use tantivy::index::{SegmentComponent, SegmentMeta};
use tantivy::{Directory as _, Index, IndexReader, ReloadPolicy, SegmentReader};

use super::cache::PageCache;
use super::directory::SealedDirectory;
use super::schema::{Fields, schema, settings, tokenizers};
use super::zones::ZoneCache;
use crate::keyring::Deletion;
use crate::store::log::Position;
use crate::store::{Problem, StoreError};
use crate::vault::{Vault, partition_key};

const DAY: i64 = 86_400_000_000;

/// How the days of a partition relate to its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Span {
    /// Events received that day that claim to be much older.
    Past,
    /// Events of that day.
    Day,
    /// Events received that day that claim to be from the future.
    Future,
}

/// Identity of a partition; ordered by day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionKey {
    /// Days since the epoch, UTC.
    pub day: i64,
    /// What the day says of the events.
    pub span: Span,
}

/// How far event times may be from the time of receipt, days.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// Into the past.
    pub past: i64,
    /// Into the future.
    pub future: i64,
}

impl PartitionKey {
    /// Where an event of `time`, received at `received`, belongs (microseconds). Depends on
    /// nothing else, so that a replay of the log gives the same answer.
    #[must_use]
    pub const fn of(time: i64, received: i64, reach: Reach) -> Self {
        let (day, receipt) = (time.div_euclid(DAY), received.div_euclid(DAY));
        if day > receipt.saturating_add(reach.future) {
            Self { day: receipt, span: Span::Future }
        } else if day < receipt.saturating_sub(reach.past) {
            Self { day: receipt, span: Span::Past }
        } else {
            Self { day, span: Span::Day }
        }
    }

    /// First and last microsecond its events can have.
    #[must_use]
    pub const fn bounds(self) -> (i64, i64) {
        match self.span {
            Span::Day => {
                let start = self.day.saturating_mul(DAY);
                (start, start.saturating_add(DAY - 1))
            }
            Span::Past | Span::Future => (i64::MIN, i64::MAX),
        }
    }

    /// End of its day, microseconds, exclusive: its age counts from here.
    #[must_use]
    pub const fn ends(self) -> Timestamp {
        Timestamp::from_micros(self.day.saturating_add(1).saturating_mul(DAY))
    }

    /// From the name of its directory.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (span, day) = match name.split_once('@') {
            Some(("past", day)) => (Span::Past, day),
            Some(("future", day)) => (Span::Future, day),
            Some(_) => return None,
            None => (Span::Day, name),
        };
        let start = format!("{day}T00:00:00Z").parse::<Timestamp>().ok()?;
        let key = Self { day: start.micros().div_euclid(DAY), span };
        (key.to_string() == name).then_some(key)
    }
}

impl std::fmt::Display for PartitionKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self.span {
            Span::Past => "past@",
            Span::Day => "",
            Span::Future => "future@",
        })?;
        out.write_str(&Timestamp::from_micros(self.day.saturating_mul(DAY)).day())
    }
}

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
    /// The committed state, for searches.
    pub reader: IndexReader,
    /// What times its blocks hold.
    pub(super) zones: ZoneCache,
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
    root: PathBuf,
    quarantine: PathBuf,
    vault: Arc<Vault>,
    cache: Arc<PageCache>,
    open: RwLock<BTreeMap<PartitionKey, Arc<Partition>>>,
    unreadable: unreadable::Unreadable,
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
    /// Opens all partitions below `root`, taking damaged segments and partitions out of service.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the directory itself cannot be read.
    pub fn open(
        root: PathBuf,
        quarantine: PathBuf,
        vault: Arc<Vault>,
        cache: Arc<PageCache>,
    ) -> Result<(Self, Vec<Quarantined>), StoreError> {
        let failed = |action, source| StoreError::io(action, &root, source);
        std::fs::create_dir_all(&root).map_err(|source| failed("make", source))?;
        rewrite::settle(&root, &vault)?;
        let mut keys = Vec::new();
        for item in std::fs::read_dir(&root).map_err(|source| failed("list", source))? {
            let item = item.map_err(|source| failed("list", source))?;
            let name = item.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(DROPPED) {
                drop(std::fs::remove_dir_all(item.path()));
            }
            let Some(key) = PartitionKey::parse(&name) else { continue };
            let sealed = vault.keyring.get(&partition_key(&name)).is_ok();
            if !sealed && vault.was_deleted(&name) {
                // Killed between the destruction of its key and the removal of its files.
                std::fs::remove_dir_all(item.path()).map_err(|source| failed("empty", source))?;
                continue;
            }
            keys.push(key);
        }
        let (open, unreadable) = (RwLock::default(), unreadable::Unreadable::default());
        let set = Self { root, quarantine, vault, cache, open, unreadable };
        let mut damaged = Vec::new();
        for key in keys {
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
        let name = key.to_string();
        let path = self.root.join(&name);
        let secret =
            self.vault.keyring.file_key(&partition_key(&name)).map_err(io::Error::other)?;
        let directory = SealedDirectory::new(path.clone(), &name, secret, Arc::clone(&self.cache));
        Ok((path, directory))
    }

    fn load(&self, key: PartitionKey, create: bool) -> tantivy::Result<Partition> {
        rewrite::settle_one(&self.root, &self.vault.keyring, &key.to_string())
            .map_err(io::Error::other)?;
        if create {
            let name = partition_key(&key.to_string());
            self.vault.keyring.ensure(&name).map_err(io::Error::other)?;
        }
        let (path, directory) = self.directory(key)?;
        self.load_from(key, (path, directory), create)
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
        let indexed = Mutex::new(payload(&index)?);
        let zones = ZoneCache::default();
        Ok(Partition { key, path, directory, index, fields, reader, zones, indexed })
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

    /// Tells the vault how far each partition has come, and what came less far than it should.
    pub fn begin(&self) {
        let all = self.all();
        for partition in &all {
            let name = partition_key(&partition.key.to_string());
            self.vault.begin(&name, &partition.path, Some(partition.directory.head()));
        }
        let there: BTreeSet<String> = all.iter().map(|one| one.key.to_string()).collect();
        for name in self.vault.noted_partitions() {
            let unreadable = PartitionKey::parse(&name).is_some_and(|key| self.is_unreadable(key));
            if !there.contains(&name) && !unreadable {
                self.vault.begin(&partition_key(&name), &self.root.join(&name), None);
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
        // Renamed first: a crash while deleting must not leave half a partition in service.
        let gone = self.root.join(format!("{DROPPED}{key}"));
        std::fs::rename(&partition.path, &gone)
            .and_then(|()| std::fs::remove_dir_all(&gone))
            .map_err(|source| StoreError::io("delete", &partition.path, source))
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
            Err(_) if self.root.join(key.to_string()).exists() => {
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
        let target = self.quarantine.join(format!("{key}-{segment}"));
        let meta_path = Path::new("meta.json");
        let failed = |source| {
            StoreError::io("take a segment out of", &self.root.join(key.to_string()), source)
        };
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
        Ok(quarantined(key, documents, &target, &format!("segment {segment}: {reason}")))
    }

    fn set_aside(&self, key: PartitionKey, reason: &str) -> Result<Quarantined, StoreError> {
        self.open.write().unwrap_or_else(PoisonError::into_inner).remove(&key);
        let path = self.root.join(key.to_string());
        let failed = |source| StoreError::io("move to quarantine", &path, source);
        std::fs::create_dir_all(&self.quarantine).map_err(failed)?;
        let free = (0_u32..).map(|n| self.quarantine.join(format!("{key}.{n}")));
        let target = free.into_iter().find(|path| !path.exists()).unwrap_or_default();
        std::fs::rename(&path, &target).map_err(failed)?;
        Ok(quarantined(key, 0, &target, &format!("partition {key}: {reason}")))
    }
}

pub(super) use rewrite::in_place;

/// Prefix of partitions being deleted.
const DROPPED: &str = ".dropped-";

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routing_and_names() {
        let reach = Reach { past: 30, future: 2 };
        let micros = |text: &str| text.parse::<Timestamp>().unwrap().micros();
        let received = micros("2026-11-22T12:00:00Z");
        for (time, expected) in [
            ("2026-11-22T23:59:59.999999Z", "2026-11-22"),
            ("2026-11-24T00:00:00Z", "2026-11-24"),
            ("2026-11-25T00:00:00Z", "future@2026-11-22"),
            ("2026-10-23T00:00:00Z", "2026-10-23"),
            ("2026-10-22T23:59:59Z", "past@2026-11-22"),
            ("1960-01-01T00:00:00Z", "past@2026-11-22"),
        ] {
            let key = PartitionKey::of(micros(time), received, reach);
            assert_eq!(key.to_string(), expected);
            assert_eq!(PartitionKey::parse(expected), Some(key));
        }
        for name in ["", "x", "2026-11-22.0", "other@2026-11-22", "2026-1-2", ".dropped-2026-11-22"]
        {
            assert_eq!(PartitionKey::parse(name), None, "{name}");
        }
    }
}
