//! Files in transit, kept: written as they come, named by their SHA-256 when they end and are wanted.
//!
//! Wanted are all of them, or those that rules with `filestore` ask for. Whether a rule will is only known
//! later, so that every file is written from its beginning and removed again when nobody wanted it. What
//! is written is bounded per file and in all; what was not kept for that says so in its record.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use net::Direction;
use net::app::Transaction;
use net::app::file::{File, FileState};
use sha2::{Digest as _, Sha256};
use signature::{FileStore, FileStoreScope};

use super::eve::file::hex;
use crate::filestore::{FileKey, SealedFile};

/// Files that are written at a time.
const MAX_OPEN: usize = 256;
/// Flows whose files somebody asked for.
const MAX_FLOWS: usize = 65_536;
/// Transactions of a flow likewise.
const MAX_TRANSACTIONS: usize = 64;

/// What is kept and where.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) enabled: bool,
    /// Every file, whatever rules say.
    pub(crate) all: bool,
    /// Bytes of one file; 0 is no limit.
    pub(crate) per_file: u64,
    /// Bytes of all files of a run.
    pub(crate) quota: u64,
    /// A description beside each file.
    pub(crate) describe: bool,
    /// Where they go.
    pub(crate) folder: PathBuf,
    /// They are sealed with this key.
    pub(crate) seal: Option<FileKey>,
    /// What all workers have written.
    pub(crate) used: Used,
}

/// Bytes and number of the files that are kept or under way, of all workers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Used(Arc<(AtomicU64, AtomicUsize)>);

impl Used {
    pub(crate) fn get(&self) -> u64 {
        self.0.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, bytes: u64) {
        self.0.0.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn files(&self) -> usize {
        self.0.1.load(Ordering::Relaxed)
    }

    pub(crate) fn set_files(&self, files: usize) {
        self.0.1.store(files, Ordering::Relaxed);
    }

    fn add(&self, bytes: u64) {
        self.0.0.fetch_add(bytes, Ordering::Relaxed);
    }

    fn take(&self, bytes: u64) {
        // Whoever makes room counts anew: what is under way may be in no count.
        let mut used = self.get();
        let exchange = |used: u64| {
            let less = used.saturating_sub(bytes);
            self.0.0.compare_exchange_weak(used, less, Ordering::Relaxed, Ordering::Relaxed)
        };
        while let Err(now) = exchange(used) {
            used = now;
        }
    }

    fn one_more(&self) {
        self.0.1.fetch_add(1, Ordering::Relaxed);
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            enabled: false,
            all: false,
            per_file: 0,
            quota: 4 << 30,
            describe: false,
            folder: PathBuf::new(),
            seal: None,
            used: Used::default(),
        }
    }
}

/// What became of a file, or is about to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nobody wants it.
    Unwanted,
    /// It is wanted and under way.
    Storing,
    /// It is kept under this digest.
    Stored(String),
    /// It was wanted and is not kept.
    Refused(&'static str),
}

/// Flow, transaction, place in the transaction.
type Key = (u64, u64, usize);

/// Where the bytes of a file go.
#[derive(Debug)]
enum Target {
    Plain(fs::File),
    Sealed(Box<SealedFile>),
}

impl Target {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.write_all(bytes),
            Self::Sealed(file) => file.write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Sealed(file) => file.finish(),
        }
    }
}

#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: Option<Target>,
    digest: Sha256,
    size: u64,
    refused: Option<&'static str>,
}

/// What rules asked for in a flow, per direction.
#[derive(Debug, Default)]
struct Wanted {
    flow: [bool; 2],
    transactions: Vec<(u64, [bool; 2])>,
}

/// The store of one worker.
#[derive(Debug)]
pub(crate) struct Store {
    options: Options,
    made: u64,
    /// Files that were wanted and are not kept.
    refused: u64,
    open: BTreeMap<Key, Open>,
    wanted: BTreeMap<u64, Wanted>,
}

impl Store {
    pub(crate) fn new(options: &Options) -> Option<Self> {
        let options = options.clone();
        let (open, wanted) = (BTreeMap::new(), BTreeMap::new());
        options.enabled.then_some(Self { options, made: 0, refused: 0, open, wanted })
    }

    /// A rule asks for files of a flow; without a transaction, for all of the flow.
    pub(crate) fn want(&mut self, flow: u64, asked: FileStore, tx: Option<u64>) {
        if self.wanted.len() >= MAX_FLOWS && !self.wanted.contains_key(&flow) {
            self.refused = self.refused.saturating_add(1);
            return;
        }
        let wanted = self.wanted.entry(flow).or_default();
        let sides = [Direction::ToServer, Direction::ToClient]
            .map(|dir| asked.direction.is_none_or(|of| super::inspect::our_direction(of) == dir));
        let place = match tx.filter(|_| asked.scope != FileStoreScope::Flow) {
            None => &mut wanted.flow,
            Some(tx) => {
                if let Some(at) = wanted.transactions.iter().position(|(known, _)| *known == tx) {
                    &mut wanted.transactions[at].1
                } else {
                    if wanted.transactions.len() >= MAX_TRANSACTIONS {
                        wanted.transactions.remove(0);
                    }
                    wanted.transactions.push((tx, [false; 2]));
                    let Some((_, sides)) = wanted.transactions.last_mut() else { return };
                    sides
                }
            }
        };
        for (place, side) in place.iter_mut().zip(sides) {
            *place |= side;
        }
    }

    /// Whether a file is wanted so far.
    fn is_wanted(&self, flow: u64, tx: u64, dir: Direction) -> bool {
        let Some(wanted) = self.wanted.get(&flow) else { return self.options.all };
        let of_tx = wanted.transactions.iter().find(|(known, _)| *known == tx);
        let side = |sides: &[bool; 2]| sides.get(dir.index()).copied().unwrap_or_default();
        self.options.all || side(&wanted.flow) || of_tx.is_some_and(|(_, sides)| side(sides))
    }

    /// What becomes of a file, as far as it is known.
    pub(crate) fn fate(&self, flow: u64, tx: u64, file: &File) -> Fate {
        match self.is_wanted(flow, tx, file.dir) {
            true => Fate::Storing,
            false => Fate::Unwanted,
        }
    }

    /// Takes in what is new of the files of a transaction.
    pub(crate) fn news(&mut self, flow: u64, tx: &Transaction) {
        for (at, file) in tx.files.iter().enumerate() {
            let over = file.state() != FileState::Open && !file.has_ended_now();
            if !over && (!file.fresh().is_empty() || file.has_ended_now()) {
                self.write((flow, tx.id, at), file.fresh());
            }
        }
    }

    pub(crate) fn write(&mut self, key: Key, bytes: &[u8]) {
        if !self.open.contains_key(&key) {
            let open = self.begin();
            self.open.insert(key, open);
        }
        let Some(open) = self.open.get_mut(&key) else { return };
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let limit = if self.options.per_file == 0 { u64::MAX } else { self.options.per_file };
        let room = usize::try_from(limit.saturating_sub(open.size)).unwrap_or(usize::MAX);
        let bytes = bytes.get(..room).unwrap_or(bytes);
        let Some(file) = &mut open.file else { return };
        let used = &self.options.used;
        if used.get().saturating_add(size) > self.options.quota {
            open.refused = Some("quota");
        } else if file.write_all(bytes).is_err() {
            open.refused = Some("error");
        }
        if open.refused.is_some() {
            open.file = None;
            used.take(open.size);
            remove(&open.path);
            return;
        }
        open.digest.update(bytes);
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        open.size = open.size.saturating_add(size);
        used.add(size);
    }

    /// A file to be written to, under a name of its own.
    fn begin(&mut self) -> Open {
        // Of all workers of this process.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        self.made = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = self.options.folder.join("tmp");
        let path = folder.join(format!("{}-{}", std::process::id(), self.made));
        let (file, refused) = if self.open.len() >= MAX_OPEN {
            (None, Some("too many"))
        } else {
            let made = fs::create_dir_all(&folder)
                .and_then(|()| fs::File::options().write(true).create_new(true).open(&path))
                .and_then(|file| match &self.options.seal {
                    Some(key) => SealedFile::begin(file, key).map(Box::new).map(Target::Sealed),
                    None => Ok(Target::Plain(file)),
                });
            match made {
                Ok(file) => (Some(file), None),
                Err(_) => (None, Some("error")),
            }
        };
        Open { path, file, digest: Sha256::new(), size: 0, refused }
    }

    /// A file has ended: it gets its name, or goes.
    pub(crate) fn end(&mut self, flow: u64, tx: u64, (at, file): (usize, &File)) -> Fate {
        let wanted = self.is_wanted(flow, tx, file.dir);
        let Some(open) = self.open.remove(&(flow, tx, at)) else { return Fate::Unwanted };
        if !wanted {
            self.options.used.take(open.size);
            remove(&open.path);
            return Fate::Unwanted;
        }
        let Open { path, file: target, digest, size, refused } = open;
        if let Some(why) = refused {
            return self.refuse(why);
        }
        let name = hex(&digest.finalize());
        let folder = self.options.folder.join(name.get(..2).unwrap_or_default());
        let kept = folder.join(&name);
        let length = || fs::metadata(&kept).map(|about| about.len()).ok();
        let before = length();
        let moved = target
            .map_or(Ok(()), Target::finish)
            .and_then(|()| fs::create_dir_all(&folder))
            .and_then(|()| fs::rename(&path, &kept));
        self.options.used.take(size);
        if moved.is_err() {
            remove(&path);
            return self.refuse("error");
        }
        // On disk it is longer than it was when it is sealed, and takes the place of the same one.
        self.options.used.add(length().unwrap_or(size));
        match before {
            Some(before) => self.options.used.take(before),
            None => self.options.used.one_more(),
        }
        if self.options.describe {
            self.describe(&kept, (flow, tx), file);
        }
        Fate::Stored(name)
    }

    fn refuse(&mut self, why: &'static str) -> Fate {
        self.refused = self.refused.saturating_add(1);
        Fate::Refused(why)
    }

    /// Files that were wanted and are not kept.
    pub(crate) const fn refused(&self) -> u64 {
        self.refused
    }

    /// Writes beside a file what is known of it.
    fn describe(&mut self, kept: &Path, (flow, tx): (u64, u64), file: &File) {
        let mut about = super::eve::Object::new();
        let name = kept.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        super::eve::file::of(&mut about, file, (tx, &Fate::Stored(name.to_owned())), None);
        about.insert("flow_id".into(), flow.into());
        let mut path = kept.as_os_str().to_owned();
        path.push(format!(".{}.json", self.made));
        // The file is kept in any case; its record says the same.
        if fs::write(path, serde_json::Value::from(about).to_string()).is_err() {
            tracing::warn!(path = %kept.display(), "description of a kept file not written");
        }
    }

    /// A flow is over: so are its files.
    pub(crate) fn forget(&mut self, flow: u64) {
        self.wanted.remove(&flow);
        let left: Vec<Key> = self
            .open
            .range((flow, 0, 0)..=(flow, u64::MAX, usize::MAX))
            .map(|(key, _)| *key)
            .collect();
        for key in left {
            if let Some(open) = self.open.remove(&key) {
                self.options.used.take(open.size);
                remove(&open.path);
            }
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        for open in self.open.values() {
            self.options.used.take(open.size);
            remove(&open.path);
        }
        // Only when nothing of another worker is in it.
        drop(fs::remove_dir(self.options.folder.join("tmp")));
    }
}

/// Removes what was written; what cannot be removed is told, for it takes room.
fn remove(path: &Path) {
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(path = %path.display(), %error, "part of a file not removed"),
    }
}

#[cfg(test)]
mod tests {
    use net::app::file::FileConfig;

    use super::*;

    fn config() -> FileConfig {
        FileConfig { stream: true, ..FileConfig::default() }
    }

    /// A store in a folder, and a file that holds so much.
    fn set_up(folder: &Path, change: impl FnOnce(&mut Options)) -> (Store, File) {
        let folder = folder.to_path_buf();
        let mut options = Options { enabled: true, folder, ..Options::default() };
        change(&mut options);
        let mut file = File::new(Direction::ToClient, b"a.txt", &config());
        file.append(b"content");
        (Store::new(&options).unwrap(), file)
    }

    /// What is in a folder and those below it, by name.
    fn names(folder: &Path) -> Vec<String> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let below = self::names(&entry.path());
            if below.is_empty() && entry.path().is_file() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
            names.extend(below);
        }
        names
    }

    const DIGEST: &str = "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73";

    #[test]
    fn files_that_are_wanted_stay_under_their_digest() {
        let asked = |direction, scope| FileStore { direction, scope };
        let to_client = Some(signature::Direction::ToClient);
        let to_server = Some(signature::Direction::ToServer);
        for (asked, tx, stays) in [
            (None, None, false),
            (Some(asked(None, FileStoreScope::Flow)), Some(9), true),
            (Some(asked(to_client, FileStoreScope::Transaction)), Some(5), true),
            (Some(asked(to_client, FileStoreScope::Transaction)), Some(6), false),
            (Some(asked(to_server, FileStoreScope::Flow)), None, false),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let (mut store, mut file) = set_up(folder.path(), |_| {});
            store.write((1, 5, 0), file.fresh());
            if let Some(asked) = asked {
                store.want(1, asked, tx);
            }
            file.close();
            let fate = store.end(1, 5, (0, &file));
            drop(store);
            let expected = if stays { Fate::Stored(DIGEST.to_owned()) } else { Fate::Unwanted };
            assert_eq!(fate, expected, "{asked:?}");
            let left: &[&str] = if stays { &[DIGEST] } else { &[] };
            assert_eq!(names(folder.path()), left);
        }
    }

    #[test]
    fn limits_hold_and_are_told() {
        for (quota, per_file, fate) in [
            (3, 0, Fate::Refused("quota")),
            // Its name is that of what was kept.
            (100, 3, Fate::Stored(String::new())),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let (mut store, mut file) = set_up(folder.path(), |options| {
                (options.all, options.quota, options.per_file) = (true, quota, per_file);
            });
            store.write((1, 5, 0), file.fresh());
            file.close();
            match (store.end(1, 5, (0, &file)), fate) {
                (Fate::Stored(name), Fate::Stored(_)) => {
                    let kept = folder.path().join(name.get(..2).unwrap()).join(&name);
                    assert_eq!(fs::read(kept).unwrap(), b"con");
                }
                (found, expected) => assert_eq!(found, expected),
            }
        }
    }

    #[test]
    fn what_a_flow_leaves_behind_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (mut store, file) = set_up(folder.path(), |options| options.all = true);
        store.write((1, 5, 0), file.fresh());
        store.write((2, 5, 0), file.fresh());
        assert_eq!(names(folder.path()).len(), 2);
        store.forget(1);
        assert_eq!(names(folder.path()).len(), 1);
        drop(store);
        assert!(names(folder.path()).is_empty());
    }
}
