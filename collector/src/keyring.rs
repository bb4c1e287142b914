//! The keyring: one random key for each thing that is sealed, all of them sealed under the master
//! key.
//!
//! A time partition has a key of its own, a group of log segments too, and so have state,
//! detectors' memory, links in pages and the journal. Changing the master key seals the same keys
//! anew; destroying a key destroys what it sealed, wherever copies of that lie. Two copies of the
//! keyring are kept ([`file`]); both are changed together. Not here: what keys are used for.

mod file;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use service::Clock;
use zeroize::Zeroizing;

use crate::keys::{KeyBytes, KeyError, MasterKey, MasterSource, random};
use crate::redaction::Order;
use crate::store::Key;
use crate::vault::Head;
use file::{Content, Entry, Found};
pub(crate) use file::{hex, replace};

/// Why keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The file cannot be read or written.
    #[error("cannot {action} the keyring {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The master key cannot be had.
    #[error(transparent)]
    Master(#[from] KeyError),
    /// There is data, and no keyring.
    #[error(
        "{} is missing although there is data: restore it or its copy, keyring.copy, from a backup",
        path.display()
    )]
    Missing {
        /// The missing file.
        path: PathBuf,
    },
    /// The keyring is sealed with another master key than the one given.
    #[error(
        "{} is sealed with another master key (identity {sealed}, given is {given}): give the right one in `keys.master`, or restore the keyring that belongs to it",
        path.display()
    )]
    OtherKey {
        /// The keyring.
        path: PathBuf,
        /// Identity of the master key it is sealed with.
        sealed: String,
        /// Identity of the one given.
        given: String,
    },
    /// Neither copy opens.
    #[error("{} and its copy are damaged: restore one of them from a backup", path.display())]
    Damaged {
        /// The keyring.
        path: PathBuf,
    },
    /// There is no key of this name: what it sealed cannot be read any more.
    #[error("the keyring has no key {name}")]
    NoKey {
        /// Which.
        name: String,
    },
    /// Made already.
    #[error("{} is there already", path.display())]
    Exists {
        /// The keyring.
        path: PathBuf,
    },
    /// Only a file can be given a new key by this program.
    #[error("the master key comes from {place}: put a new one beside it and name it with --to")]
    NotOurs {
        /// Where the present one comes from.
        place: String,
    },
}

impl KeyringError {
    fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }
}

/// That a partition is gone for good: what, when, how much, why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// Name of the partition.
    pub partition: String,
    /// When its key was destroyed, microseconds since the epoch.
    pub time: i64,
    /// Documents it held.
    pub documents: u64,
    /// Bytes it took.
    pub bytes: u64,
    /// `age` or `size`.
    pub reason: String,
    /// Whether its key was its own, so that destroying it destroyed every copy of the data; false
    /// for partitions of stores that had one key for all.
    pub shredded: bool,
}

/// What is wrong with one copy of the keyring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The copy.
    pub path: PathBuf,
    /// What is wrong with it.
    pub what: &'static str,
}

/// One key as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// When it was made, microseconds since the epoch.
    pub made: i64,
    /// Whether other entries have the same key.
    pub shared: bool,
}

struct Opened {
    content: Content,
    master: MasterKey,
}

/// The keyring; clones share it. Safe to be changed by several processes.
#[derive(Clone)]
pub struct Keyring {
    path: PathBuf,
    source: MasterSource,
    clock: Clock,
    opened: Arc<RwLock<Opened>>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Keyring").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Name of the second master key file while the master key is being changed.
fn next_of(path: &Path) -> PathBuf {
    path.with_extension("key.next")
}

impl Keyring {
    /// Makes a keyring with these keys.
    ///
    /// # Errors
    /// [`KeyringError`], also when there is one.
    pub fn create(
        path: &Path,
        source: &MasterSource,
        clock: Clock,
        keys: Vec<(String, KeyBytes, bool)>,
    ) -> Result<Self, KeyringError> {
        if path.try_exists().map_err(|source| KeyringError::io("look for", path, source))? {
            return Err(KeyringError::Exists { path: path.to_owned() });
        }
        let master = source.load()?;
        let made = clock.now_micros();
        let entry = |(name, secret, shared)| (name, Entry { secret, made, shared });
        let keys = keys.into_iter().map(entry).collect();
        let content = Content { generation: 1, keys, ..Content::default() };
        file::write(path, &content, &master)?;
        let opened = Arc::new(RwLock::new(Opened { content, master }));
        Ok(Self { path: path.to_owned(), source: source.clone(), clock, opened })
    }

    /// Opens a keyring. A copy that is damaged, missing or older is made again from the other,
    /// unless `look` is set: then nothing is written. Gives what was wrong too.
    ///
    /// # Errors
    /// [`KeyringError`]; nothing was written then.
    pub fn open(
        path: &Path,
        source: &MasterSource,
        clock: Clock,
        look: bool,
    ) -> Result<(Self, Vec<Note>), KeyringError> {
        let (master, content, notes) = load(path, source, look)?;
        if !notes.is_empty() && !look {
            file::write(path, &content, &master)?;
        }
        let opened = Arc::new(RwLock::new(Opened { content, master }));
        Ok((Self { path: path.to_owned(), source: source.clone(), clock, opened }, notes))
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn with<T>(&self, read: impl FnOnce(&Content) -> T) -> T {
        read(&self.opened.read().unwrap_or_else(PoisonError::into_inner).content)
    }

    /// How often it was changed.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.with(|content| content.generation)
    }

    /// The key of a name.
    ///
    /// # Errors
    /// [`KeyringError::NoKey`].
    pub fn get(&self, name: &str) -> Result<KeyBytes, KeyringError> {
        let found = self.with(|content| content.keys.get(name).map(|entry| entry.secret.clone()));
        found.ok_or_else(|| KeyringError::NoKey { name: name.to_owned() })
    }

    /// The key of a name, for files.
    ///
    /// # Errors
    /// [`KeyringError::NoKey`].
    pub fn file_key(&self, name: &str) -> Result<Key, KeyringError> {
        Ok(Key::new(*self.get(name)?))
    }

    /// The key of a name, for files; made durably when there is none.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub fn ensure(&self, name: &str) -> Result<Key, KeyringError> {
        if let Ok(key) = self.file_key(name) {
            return Ok(key);
        }
        let (secret, made) = (Zeroizing::new(random::<32>()?), self.clock.now_micros());
        self.change(|content| {
            let fresh = Entry { secret, made, shared: false };
            content.keys.entry(name.to_owned()).or_insert(fresh);
        })?;
        self.file_key(name)
    }

    /// Destroys the keys whose names `gone` picks; nothing is written when it picks none.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub fn forget(&self, gone: impl Fn(&str) -> bool) -> Result<(), KeyringError> {
        if self.with(|content| content.keys.keys().any(|name| gone(name))) {
            self.change(|content| content.keys.retain(|name, _| !gone(name)))?;
        }
        Ok(())
    }

    /// Destroys the key `name` and notes the deletion, both in one step. Tells the deletion as it
    /// is noted.
    ///
    /// # Errors
    /// [`KeyringError`]; then the key is still there.
    pub fn destroy(&self, name: &str, mut deletion: Deletion) -> Result<Deletion, KeyringError> {
        self.change(|content| {
            let own = content.keys.remove(name).is_some_and(|entry| !entry.shared);
            deletion.shredded = own;
            content.pending.push(deletion.clone());
        })?;
        Ok(deletion)
    }

    /// Deletions that are noted here and not settled yet.
    #[must_use]
    pub fn pending(&self) -> Vec<Deletion> {
        self.with(|content| content.pending.clone())
    }

    /// Says that pending deletions are in the journal now. Written with the next change.
    pub fn settled(&self, done: &[Deletion]) {
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        opened.content.pending.retain(|pending| !done.contains(pending));
    }

    /// Puts the key `fresh` in the place of the key `name`, which is destroyed. Of the order `order`, if it
    /// is for one, the partition that `name` is of is noted as done with `after`; all in one step.
    ///
    /// # Errors
    /// [`KeyringError`]; then nothing is changed.
    pub(crate) fn exchange(
        &self,
        (fresh, name): (&str, &str),
        order: Option<&str>,
        after: Head,
    ) -> Result<(), KeyringError> {
        self.change(|content| {
            let Some(key) = content.keys.remove(fresh) else { return };
            content.keys.insert(name.to_owned(), key);
            let partition = name.split_once('/').map_or("", |(_, partition)| partition);
            let orders = content.orders.iter_mut().filter(|one| order == Some(one.id.as_str()));
            for part in orders.filter_map(|one| one.partitions.get_mut(partition)) {
                part.after = Some(after);
            }
        })
    }

    /// Notes that a redaction is begun.
    ///
    /// # Errors
    /// [`KeyringError`]; then it is not begun.
    pub(crate) fn order(&self, order: Order) -> Result<(), KeyringError> {
        self.change(|content| content.orders.push(order))
    }

    /// Redactions that are begun and not done.
    #[must_use]
    pub fn orders(&self) -> Vec<Order> {
        self.with(|content| content.orders.clone())
    }

    /// Notes that a redaction is done: its order is overwritten.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub(crate) fn done(&self, order: &str) -> Result<(), KeyringError> {
        self.change(|content| content.orders.retain(|one| one.id != order))
    }

    /// Asks that partitions and log be sealed anew, whose keys were made before now. Gives when, microseconds
    /// since the epoch.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub fn ask_reseal(&self) -> Result<i64, KeyringError> {
        let now = self.clock.now_micros();
        self.change(|content| content.reseal = Some(now))?;
        Ok(now)
    }

    /// When it was asked that everything be sealed anew, if that is not done yet.
    #[must_use]
    pub fn reseal(&self) -> Option<i64> {
        self.with(|content| content.reseal)
    }

    /// Notes that everything is sealed anew that was asked for at `asked`.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub(crate) fn resealed(&self, asked: i64) -> Result<(), KeyringError> {
        self.change(|content| {
            if content.reseal == Some(asked) {
                content.reseal = None;
            }
        })
    }

    /// When the key of a name was made, microseconds since the epoch.
    #[must_use]
    pub fn made(&self, name: &str) -> Option<i64> {
        self.with(|content| content.keys.get(name).map(|entry| entry.made))
    }

    /// Takes notice of what another process has changed meanwhile.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub(crate) fn refresh(&self) -> Result<(), KeyringError> {
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        let _lock = self.lock()?;
        // Another master key is met when the keyring is changed.
        if let Found::Content(mut content) = file::read(&self.path, &opened.master)?
            && content.generation > opened.content.generation
        {
            content.pending.retain(|pending| opened.content.pending.contains(pending));
            opened.content = *content;
        }
        Ok(())
    }

    /// All keys by name, without what is secret.
    #[must_use]
    pub fn list(&self) -> Vec<Listed> {
        let one = |(name, entry): (&String, &Entry)| Listed {
            name: name.clone(),
            made: entry.made,
            shared: entry.shared,
        };
        self.with(|content| content.keys.iter().map(one).collect())
    }

    /// Identity of the master key, as hexadecimal digits.
    ///
    /// # Errors
    /// [`KeyError::Crypto`].
    pub fn master(&self) -> Result<String, KeyError> {
        let opened = self.opened.read().unwrap_or_else(PoisonError::into_inner);
        Ok(hex(&opened.master.id()?))
    }

    fn lock(&self) -> Result<File, KeyringError> {
        let path = self.path.with_extension("lock");
        let failed = |source| KeyringError::io("lock", &path, source);
        let file = File::create(&path).map_err(failed)?;
        file.lock().map_err(failed)?;
        Ok(file)
    }

    /// Changes the content on disk and here. Another process may have changed it, or the master
    /// key, meanwhile: what lies on disk counts.
    fn change(&self, change: impl FnOnce(&mut Content)) -> Result<(), KeyringError> {
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        let _lock = self.lock()?;
        let (master, mut content) = match file::read(&self.path, &opened.master)? {
            Found::Content(content) => (opened.master.clone(), *content),
            _ => load(&self.path, &self.source, false).map(|(master, all, _)| (master, all))?,
        };
        // What was settled here and not written yet.
        content.pending.retain(|pending| opened.content.pending.contains(pending));
        change(&mut content);
        content.generation = content.generation.saturating_add(1);
        file::write(&self.path, &content, &master)?;
        *opened = Opened { content, master };
        Ok(())
    }

    /// Seals the keyring with another master key: the one `next` gives, or a new one in place of
    /// the present file. A kill at any moment leaves a keyring that opens with the one or the
    /// other. A collector that runs reads its source again when it next changes the keyring.
    ///
    /// # Errors
    /// [`KeyringError`]; then the old master key still holds.
    pub fn rotate(&self, next: Option<&MasterSource>) -> Result<(), KeyringError> {
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        let _lock = self.lock()?;
        let (_, content, _) = load(&self.path, &self.source, false)?;
        let master = match (next, &self.source) {
            (Some(next), _) => {
                let master = next.load()?;
                file::write(&self.path, &content, &master)?;
                master
            }
            (None, MasterSource::File(path)) => {
                let fresh = next_of(path);
                match std::fs::remove_file(&fresh) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(KeyringError::io("remove", &fresh, error));
                    }
                    _ => {}
                }
                let master = MasterKey::create(&fresh)?;
                file::write(&self.path, &content, &master)?;
                take_over(path)?;
                master
            }
            (None, source) => return Err(KeyringError::NotOurs { place: source.to_string() }),
        };
        *opened = Opened { content, master };
        Ok(())
    }
}

/// Puts the next master key in the place of the present one, which is overwritten.
fn take_over(path: &Path) -> Result<(), KeyringError> {
    let fresh = next_of(path);
    let failed = |source| KeyringError::io("change the master key of", path, source);
    let bytes = Zeroizing::new(std::fs::read(&fresh).map_err(failed)?);
    replace(path, &bytes).map_err(failed)?;
    std::fs::remove_file(&fresh).map_err(failed)
}

type Loaded = (MasterKey, Content, Vec<Note>);

/// Reads master key and keyring; ends a change of the master key that was cut short.
fn load(path: &Path, source: &MasterSource, look: bool) -> Result<Loaded, KeyringError> {
    let master = source.load()?;
    let refused = match best(path, &master) {
        Ok((content, notes)) => return Ok((master, content, notes)),
        Err(refused) => refused,
    };
    if let (MasterSource::File(key), KeyringError::OtherKey { .. }) = (source, &refused)
        && next_of(key).exists()
    {
        let next = MasterKey::load(&next_of(key))?;
        if let Ok((content, notes)) = best(path, &next) {
            if !look {
                take_over(key)?;
            }
            return Ok((next, content, notes));
        }
    }
    Err(refused)
}

/// The newer of the copies that open, and what is wrong with the other.
fn best(path: &Path, master: &MasterKey) -> Result<(Content, Vec<Note>), KeyringError> {
    let copy = file::copy_of(path);
    let mut notes = Vec::new();
    let mut other = None;
    let (mut best, mut missing): (Option<Content>, _) = (None, 0);
    for place in [path, &copy] {
        let note = |what| Note { path: place.to_owned(), what };
        match file::read(place, master)? {
            Found::Content(content) => match &best {
                Some(first) if first.generation == content.generation => {}
                Some(first) => {
                    notes.push(note("is of another generation than the other copy"));
                    if content.generation > first.generation {
                        best = Some(*content);
                    }
                }
                None => best = Some(*content),
            },
            Found::Nothing => {
                missing += 1;
                notes.push(note("is missing"));
            }
            Found::OtherKey(id) => {
                notes.push(note("is sealed with another master key"));
                other = other.or(Some(id));
            }
            Found::Damaged => notes.push(note("is damaged")),
        }
    }
    let path = path.to_owned();
    match (best, other) {
        (Some(content), _) => Ok((content, notes)),
        (None, Some(id)) => {
            Err(KeyringError::OtherKey { path, sealed: hex(&id), given: hex(&master.id()?) })
        }
        (None, None) if missing == 2 => Err(KeyringError::Missing { path }),
        (None, None) => Err(KeyringError::Damaged { path }),
    }
}

/// Opens hostile bytes as a keyring.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn fuzz_open(bytes: &[u8]) {
    let master = MasterKey::new(Zeroizing::new([0; 32]));
    drop(file::open(bytes, &master));
}

#[cfg(test)]
mod tests;
