//! A tantivy `Directory` whose files are sealed ([`super::sealed`]).
//!
//! Locks are no files here: the store's own lock guarantees one owner, and nothing stale stays
//! behind after a crash. Within the process the lock of the list of segments is kept: whoever reads the list must
//! have opened its files before those that it no longer names are removed.

use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};

use tantivy::Directory;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    DirectoryLock, FileHandle, Lock, WatchCallback, WatchCallbackList, WatchHandle, WritePtr,
};

use super::cache::PageCache;
use super::manifest::{Manifest, Written};
use super::opened::Opened;
use super::sealed::{SealedFile, SealedWriter, Trouble};
use crate::store::Key;
use crate::vault::Head;

/// The sealed directory of one partition; clones share everything.
#[derive(Clone)]
pub struct SealedDirectory {
    root: PathBuf,
    partition: String,
    key: Key,
    cache: Arc<PageCache>,
    watchers: Arc<WatchCallbackList>,
    segments: Arc<SegmentsLock>,
    opened: Arc<Opened>,
    /// What is known of its files; read with the first need.
    manifest: Arc<OnceLock<Arc<Mutex<Manifest>>>>,
    trouble: Trouble,
}

/// The list of segments, replaced with each commit and merge.
const LIST: &str = "meta.json";

/// Held while the list of segments and their files must agree.
#[derive(Debug, Default)]
struct SegmentsLock {
    held: Mutex<bool>,
    free: Condvar,
}

/// The lock, given back when dropped.
struct Held(Arc<SegmentsLock>);

impl SegmentsLock {
    fn take(lock: &Arc<Self>) -> Held {
        let held = lock.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held =
            lock.free.wait_while(held, |held| *held).unwrap_or_else(PoisonError::into_inner);
        *held = true;
        Held(Arc::clone(lock))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        *self.0.held.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.0.free.notify_one();
    }
}

impl std::fmt::Debug for SealedDirectory {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("SealedDirectory").field("root", &self.root).finish_non_exhaustive()
    }
}

impl SealedDirectory {
    /// The directory `root` of a partition, whose name is bound into its files.
    #[must_use]
    pub fn new(root: PathBuf, partition: &str, key: Key, cache: Arc<PageCache>) -> Self {
        let partition = partition.to_owned();
        let (watchers, segments, opened) = (Arc::default(), Arc::default(), Arc::default());
        let (manifest, trouble) = (Arc::default(), Trouble::default());
        Self { root, partition, key, cache, watchers, segments, opened, manifest, trouble }
    }

    /// The same, new, with lists of segments that follow from `head`.
    #[must_use]
    pub(in crate::store::index) fn following(self, head: Head) -> Self {
        let manifest = Manifest { head, ..Manifest::default() };
        let manifest = OnceLock::from(Arc::new(Mutex::new(manifest)));
        Self { manifest: Arc::new(manifest), ..self }
    }

    /// Names of all files that the present list of segments needs, the list itself apart.
    ///
    /// # Errors
    /// As the file system; `InvalidData` when the list does not open.
    pub(in crate::store::index) fn files(&self) -> io::Result<Vec<String>> {
        let list = self.read_all(Path::new(LIST))?;
        let (table, head) = super::manifest::read(&list)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "is no list of segments"))?;
        if head.count > 0 {
            return Ok(table.files.into_keys().collect());
        }
        // Of an older version: it has no table.
        let mut names = Vec::new();
        for item in std::fs::read_dir(&self.root)? {
            names.extend(item?.file_name().into_string().ok());
        }
        names.retain(|name| !name.ends_with(".json") && !name.ends_with(".new"));
        Ok(names)
    }

    fn name(&self, path: &Path) -> String {
        format!("{}/{}", self.partition, path.display())
    }

    /// Opens one of its files.
    ///
    /// # Errors
    /// As [`SealedFile::open`].
    pub fn sealed(&self, path: &Path) -> io::Result<SealedFile> {
        let cache = Arc::clone(&self.cache);
        let opened = SealedFile::open(&self.root.join(path), &self.name(path), &self.key, cache);
        let opened = opened.inspect_err(|error| self.trouble.note(error))?;
        Ok(opened.telling(&self.trouble))
    }

    /// Its files are about to be removed, or to lie elsewhere: whoever has them open reads on.
    pub(in crate::store::index) fn leave(&self) {
        self.opened.remove_all();
    }

    /// Whether the disk has refused to give something since this was asked last: then what did not open
    /// is not known to be damaged.
    pub(in crate::store::index) fn is_unreadable(&self) -> bool {
        self.trouble.take()
    }

    /// Reads what is known of its files, so that nothing is written without it.
    ///
    /// # Errors
    /// As the file system when the list is there and cannot be read.
    pub(in crate::store) fn prepare(&self) -> io::Result<()> {
        use io::ErrorKind::{InvalidData, NotFound, UnexpectedEof};
        match self.read_all(Path::new(LIST)) {
            Ok(list) => {
                self.manifest.get_or_init(|| Arc::new(Mutex::new(Manifest::of(&list))));
                Ok(())
            }
            Err(error) if matches!(error.kind(), InvalidData | NotFound | UnexpectedEof) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Everything in one of its files.
    ///
    /// # Errors
    /// As [`SealedFile::open`].
    pub(in crate::store::index) fn read_all(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.sealed(path)?;
        let length = tantivy::HasLen::len(&file);
        Ok(file.read_bytes(0..length)?.as_slice().to_vec())
    }

    fn manifest(&self) -> &Arc<Mutex<Manifest>> {
        self.manifest.get_or_init(|| {
            // A list that is not there or does not open is the business of who opens the index.
            let list = self.read_all(Path::new(LIST)).unwrap_or_default();
            Arc::new(Mutex::new(Manifest::of(&list)))
        })
    }

    /// How far the partition has come: lists of segments written, and the digest of the last.
    #[must_use]
    pub fn head(&self) -> Head {
        self.manifest().lock().unwrap_or_else(PoisonError::into_inner).head
    }

    /// Files of a segment that an older version has written.
    fn written_before(&self, segment: &str) -> Vec<(String, Written)> {
        let names = std::fs::read_dir(&self.root).into_iter().flatten();
        let names = names.filter_map(|item| item.ok()?.file_name().into_string().ok());
        let of = names.filter(|name| name.starts_with(segment));
        let written = |name: String| {
            let written = self.sealed(Path::new(&name)).and_then(|file| file.written());
            Some((name, written.ok()?))
        };
        of.filter_map(written).collect()
    }

    /// Replaces the list of segments, with the table of its files in it.
    fn replace_list(&self, data: &[u8]) -> io::Result<()> {
        let mut manifest = self.manifest().lock().unwrap_or_else(PoisonError::into_inner);
        let (list, head) = manifest.amend(data, |segment| self.written_before(segment))?;
        self.replace(Path::new(LIST), &list)?;
        manifest.head = head;
        Ok(())
    }

    fn replace(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        let mut writer = self.begin(path)?;
        writer.write_all(data)?;
        writer.finish()?;
        self.put(path)
    }

    /// Begins a file that replaces another one when it is [`Self::put`] in its place.
    ///
    /// # Errors
    /// As the file system.
    pub(in crate::store::index) fn begin(&self, path: &Path) -> io::Result<SealedWriter> {
        let fresh = self.root.join(path).with_extension("new");
        match std::fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        SealedWriter::create(&fresh, &self.name(path), &self.key)
    }

    /// Puts a finished file in its place.
    ///
    /// # Errors
    /// As the file system.
    pub(in crate::store::index) fn put(&self, path: &Path) -> io::Result<()> {
        let place = self.root.join(path);
        std::fs::rename(place.with_extension("new"), &place)?;
        // A commit is only finished when its name survives a power cut too.
        self.sync_directory()
    }
}

fn read_error(path: &Path, error: io::Error) -> OpenReadError {
    if error.kind() == io::ErrorKind::NotFound {
        return OpenReadError::FileDoesNotExist(path.to_owned());
    }
    OpenReadError::IoError { io_error: Arc::new(error), filepath: path.to_owned() }
}

impl Directory for SealedDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        // From the disk also when somebody has it open: what others removed or changed is to be met.
        match self.sealed(path) {
            Ok(file) => Ok(self.opened.share(path, file)),
            Err(error) => match self.opened.gone(path) {
                Some(file) => Ok(file),
                None => Err(read_error(path, error)),
            },
        }
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        if let Some(name) = path.to_str() {
            let mut manifest = self.manifest().lock().unwrap_or_else(PoisonError::into_inner);
            manifest.files.remove(name);
        }
        self.opened.remove(path);
        std::fs::remove_file(self.root.join(path)).map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                return DeleteError::FileDoesNotExist(path.to_owned());
            }
            DeleteError::IoError { io_error: Arc::new(error), filepath: path.to_owned() }
        })
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.root.join(path).try_exists().map_err(|error| read_error(path, error))
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        match SealedWriter::create(&self.root.join(path), &self.name(path), &self.key) {
            Ok(mut writer) => {
                let name = path.display().to_string();
                writer.announce(name, Arc::clone(self.manifest()));
                Ok(BufWriter::new(Box::new(writer)))
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(OpenWriteError::FileAlreadyExists(path.to_owned()))
            }
            Err(error) => Err(OpenWriteError::wrap_io_error(error, path.to_owned())),
        }
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        self.read_all(path).map_err(|error| read_error(path, error))
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        if path == Path::new(LIST) { self.replace_list(data) } else { self.replace(path, data) }
    }

    fn sync_directory(&self) -> io::Result<()> {
        std::fs::File::open(&self.root)?.sync_all()
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        // The other lock is the writer's: the store has one of them by itself.
        if lock.is_blocking {
            return Ok(DirectoryLock::from(Box::new(SegmentsLock::take(&self.segments))));
        }
        Ok(DirectoryLock::from(Box::new(())))
    }

    fn watch(&self, callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(self.watchers.subscribe(callback))
    }
}
