//! What keys and evidence a collector has: keyring, journal, signatures.
//!
//! Files in a folder of their own (`vault` in the data folder): `keyring` and `keyring.copy`,
//! `journal`, `checkpoint`. A collector made before there was a keyring moves over by itself (`legacy`).
//! Not here: what is sealed with the keys.

pub mod checkpoint;
mod legacy;
mod redact;
mod sign;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use service::Clock;

use checkpoint::Statement;
pub(crate) use redact::fresh_key;
pub use redact::tombstones;
pub use sign::{Head, Link, Signed, Signer};

use crate::audit::{self, Act, Audit};
use crate::journal::{self, Cut, Entry, Journal, What};
use crate::keyring::{Deletion, Keyring, KeyringError};
use crate::keys::{KeyBytes, KeyError, MasterSource, random};
use crate::redaction::Redactions;
use crate::state::State;
use crate::store::Problem;

/// Names of the keys that every collector has.
pub mod names {
    /// Records of the state database.
    pub const STATE: &str = "state";
    /// Small files of the store.
    pub const STORE: &str = "store";
    /// What detectors remember.
    pub const MEMORY: &str = "memory";
    /// Links in pages.
    pub const LINKS: &str = "page links";
    /// Entries of the journal.
    pub const JOURNAL: &str = "journal";
    /// The chain of the audit log; its files have keys of their own.
    pub const AUDIT: &str = "audit";
    /// Seed of the signing key.
    pub const SIGNING: &str = "signing";
}

/// Why the vault cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The keys cannot be had.
    #[error(transparent)]
    Keys(#[from] KeyringError),
    /// A file cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl VaultError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }
}

impl From<KeyError> for VaultError {
    fn from(error: KeyError) -> Self {
        Self::Keys(KeyringError::Master(error))
    }
}

/// Folder of the vault in a data folder.
#[must_use]
pub fn folder(data: &Path) -> PathBuf {
    data.join("vault")
}

/// Keyring of a data folder.
#[must_use]
pub fn keyring_path(data: &Path) -> PathBuf {
    folder(data).join("keyring")
}

/// Journal of a data folder.
#[must_use]
pub fn journal_path(data: &Path) -> PathBuf {
    folder(data).join("journal")
}

/// Checkpoint of a data folder.
#[must_use]
pub fn checkpoint_path(data: &Path) -> PathBuf {
    folder(data).join("checkpoint")
}

/// Opens the keyring of a data folder, alone: for commands beside a collector that runs. Made, or
/// made out of what an older collector had, when there is none.
///
/// # Errors
/// [`VaultError`]; nothing was written then.
pub fn keyring(data: &Path, source: &MasterSource, clock: Clock) -> Result<Keyring, VaultError> {
    let path = keyring_path(data);
    match Keyring::open(&path, source, clock.clone(), false) {
        Ok((keyring, notes)) => {
            for note in notes {
                let path = note.path.display();
                tracing::error!(%path, what = note.what, "keyring repaired from its other copy");
            }
            Ok(keyring)
        }
        Err(KeyringError::Missing { path: missing }) => {
            let keys = match legacy::keys(data, source)? {
                legacy::Found::Keys(keys) => keys,
                legacy::Found::Nothing => first_keys()?,
                legacy::Found::Data => return Err(KeyringError::Missing { path: missing }.into()),
            };
            let folder = folder(data);
            std::fs::create_dir_all(&folder)
                .map_err(|source| VaultError::io("make", &folder, source))?;
            let keyring = Keyring::create(&path, source, clock, keys)?;
            tracing::info!(path = %path.display(), "keyring made");
            Ok(keyring)
        }
        Err(error) => Err(error.into()),
    }
}

/// Random keys of a new collector.
fn first_keys() -> Result<Vec<(String, KeyBytes, bool)>, KeyError> {
    use names::{AUDIT, JOURNAL, LINKS, MEMORY, SIGNING, STATE, STORE};
    let names = [STATE, STORE, MEMORY, LINKS, JOURNAL, AUDIT, SIGNING];
    names.iter().map(|name| Ok(((*name).to_owned(), random::<32>()?.into(), false))).collect()
}

/// The vault, open. One process has it open at a time (the store's lock), others read.
#[derive(Debug)]
pub struct Vault {
    /// The keys.
    pub keyring: Keyring,
    /// The journal.
    pub journal: Arc<Journal>,
    /// The audit log.
    pub audit: Audit,
    /// What is redacted.
    pub redactions: Redactions,
    signer: Signer,
    clock: Clock,
    /// When partitions were deleted last.
    deleted: Mutex<BTreeMap<String, i64>>,
    checkpoint: PathBuf,
    heads: checkpoint::Heads,
    /// The checkpoint that was found.
    noted: Statement,
    state: OnceLock<Arc<State>>,
    problems: Mutex<Vec<Problem>>,
}

impl Vault {
    /// Opens the vault of a data folder, made when there is none.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn open(data: &Path, source: &MasterSource, clock: Clock) -> Result<Arc<Self>, VaultError> {
        let keyring = keyring(data, source, clock.clone())?;
        // The journal holds it from now on: without it a lost keyring is never taken for an
        // older collector.
        legacy::done(data)?;
        let path = journal_path(data);
        let failed = |source| VaultError::io("read", &path, source);
        let (journal, found) =
            Journal::open(&path, &keyring.file_key(names::JOURNAL)?).map_err(failed)?;
        let signer = Signer::new(&*keyring.get(names::SIGNING)?)?;
        let deleted =
            deletions(&found.entries).map(|(one, _)| (one.partition.clone(), one.time)).collect();
        let deleted = Mutex::new(deleted);
        let path = checkpoint_path(data);
        let (noted, wrong) = match checkpoint::read(&path, &keyring, &signer.public())? {
            Ok(noted) => (noted, None),
            Err(wrong) => (None, Some(wrong)),
        };
        let heads = checkpoint::Heads::default();
        if let Some((signed, statement)) = &noted {
            heads.resume(signed, statement);
        }
        let noted = noted.map(|(_, statement)| statement).unwrap_or_default();
        let (checkpoint, problems) = (path, Mutex::default());
        let state = OnceLock::new();
        let journal = Arc::new(journal);
        let cut = last_cut(&found.entries);
        let audit = Audit::open(&folder(data), (keyring.clone(), clock.clone()), cut, false)
            .map_err(|source| VaultError::io("open", &audit::folder(&folder(data)), source))?;
        let redactions = Redactions::new(&keyring.get(names::JOURNAL)?);
        tombstones(&found.entries).for_each(|(stone, _)| redactions.remember(stone));
        keyring.orders().iter().for_each(|order| redactions.begin(order));
        let vault = Self {
            keyring,
            journal,
            audit,
            redactions,
            signer,
            clock,
            deleted,
            checkpoint,
            heads,
            noted,
            state,
            problems,
        };
        if let Some(wrong) = wrong {
            vault.found(&vault.checkpoint, wrong.to_owned());
        }
        let generation = Head { count: vault.keyring.generation(), digest: Link::default() };
        vault.begin(checkpoint::KEYRING, vault.keyring.path(), Some(generation));
        vault.begin(checkpoint::JOURNAL, vault.journal.path(), Some(found.head()));
        let head = vault.audit_head()?;
        vault.begin(checkpoint::AUDIT, vault.audit.folder(), Some(head));
        vault.settle()?;
        Ok(Arc::new(vault))
    }

    /// Notes how far something has come, and tells when it had come further before.
    pub fn begin(&self, name: &str, path: &Path, present: Option<Head>) {
        if let Some(noted) = self.noted.heads.get(name)
            && let Some(what) = checkpoint::compare(*noted, present)
        {
            self.found(path, what);
        }
        if let Some(present) = present {
            self.heads.set(name, present);
        }
    }

    /// Takes the state database into the checkpoints.
    pub fn watch(&self, state: &Arc<State>, path: &Path) {
        match state.head() {
            Ok(head) => self.begin(checkpoint::STATE, path, Some(head)),
            Err(error) => self.found(path, service::causes(&error)),
        }
        if self.state.set(Arc::clone(state)).is_err() {
            tracing::debug!("the state is in the checkpoints already");
        }
    }

    /// Partitions that the checkpoint knew, without those deleted since.
    #[must_use]
    pub fn noted_partitions(&self) -> Vec<String> {
        let deleted = self.deleted.lock().unwrap_or_else(PoisonError::into_inner);
        let names = self.noted.heads.keys().filter_map(|name| name.strip_prefix("partition/"));
        let there = |name: &&str| deleted.get(*name).is_none_or(|time| *time < self.noted.time);
        names.filter(there).map(str::to_owned).collect()
    }

    /// Keeps what the checkpoint said of something that cannot be looked at now.
    pub fn carry(&self, name: &str) {
        if let Some(noted) = self.noted.heads.get(name) {
            self.heads.set(name, *noted);
        }
    }

    /// Notes how far something has come.
    pub fn set_head(&self, name: &str, head: Head) {
        self.heads.set(name, head);
    }

    /// Writes a checkpoint over how far everything has come; with `durable`, it survives a power
    /// cut.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn checkpoint(&self, durable: bool) -> Result<(), VaultError> {
        let generation = Head { count: self.keyring.generation(), digest: Link::default() };
        self.heads.set(checkpoint::KEYRING, generation);
        self.heads.set(checkpoint::JOURNAL, self.journal.head());
        match self.audit_head() {
            Ok(head) => self.heads.set(checkpoint::AUDIT, head),
            Err(error) => tracing::warn!(
                error = service::causes(&error),
                "the audit log is not in the checkpoint"
            ),
        }
        if let Some(state) = self.state.get() {
            match state.head() {
                Ok(head) => self.heads.set(checkpoint::STATE, head),
                Err(error) => tracing::warn!(%error, "state is not in the checkpoint"),
            }
        }
        let time = (self.clock.now_micros(), durable);
        self.heads.write(&self.checkpoint, (&self.keyring, &self.signer), time)
    }

    /// Problems found since it was opened.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let found = self.problems.lock().unwrap_or_else(PoisonError::into_inner).clone();
        [found, self.audit.problems()].concat()
    }

    fn audit_head(&self) -> Result<Head, VaultError> {
        self.audit.head().map_err(|source| VaultError::io("sync", self.audit.folder(), source))
    }

    /// Removes audit records older than a time (microseconds), and the oldest while they take more than
    /// `most` bytes, whole files at a time. What is removed is signed for before it is.
    ///
    /// # Errors
    /// [`VaultError`]; a cut that is signed for is ended at the next start.
    pub fn retain_audit(&self, older_than: i64, most: u64) -> Result<Option<Cut>, VaultError> {
        let failed = |source| VaultError::io("shorten", self.audit.folder(), source);
        let Some(cut) = self.audit.due(older_than, most).map_err(failed)? else { return Ok(None) };
        let proof = self.signer.sign(&cut)?;
        self.note(What::Cut { cut: cut.clone(), proof })?;
        self.checkpoint(true)?;
        self.audit.carry_out(cut.clone()).map_err(failed)?;
        Ok(Some(cut))
    }

    /// Tells, and notes for ever, that something is not as it was left.
    fn found(&self, path: &Path, what: String) {
        let path = path.display().to_string();
        tracing::error!(path, what, "not as it was left");
        let noted = self.note(What::Found { path: path.clone(), what: what.clone() });
        if let Err(error) = noted {
            tracing::error!(%error, "not noted in the journal");
        }
        let advice = "run `pikett-collector verify` with the collector stopped, and compare with an anchor; \
                      restore from a backup what is missing"
            .to_owned();
        let problem = Problem { path, offset: 0, what, advice };
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).push(problem);
    }

    /// What signs for this collector.
    #[must_use]
    pub const fn signer(&self) -> &Signer {
        &self.signer
    }

    /// Adds an entry to the journal.
    ///
    /// # Errors
    /// [`VaultError::Io`].
    pub fn note(&self, what: What) -> Result<(), VaultError> {
        let failed = |source| VaultError::io("write", self.journal.path(), source);
        self.journal.append(self.clock.now_micros(), what).map_err(failed)
    }

    /// Whether a partition of this name was deleted once.
    #[must_use]
    pub fn was_deleted(&self, partition: &str) -> bool {
        self.deleted.lock().unwrap_or_else(PoisonError::into_inner).contains_key(partition)
    }

    /// Destroys the key of a partition and leaves a signed record of it.
    ///
    /// # Errors
    /// [`VaultError`]. When the journal alone could not be written the key is destroyed all the
    /// same, and the record is written with the next deletion or start.
    pub fn destroy(&self, deletion: Deletion) -> Result<(), VaultError> {
        let key = partition_key(&deletion.partition);
        let deletion = Deletion { time: self.clock.now_micros(), ..deletion };
        let mut deleted = self.deleted.lock().unwrap_or_else(PoisonError::into_inner);
        deleted.insert(deletion.partition.clone(), deletion.time);
        drop(deleted);
        self.keyring.destroy(&key, deletion)?;
        self.heads.forget(&key);
        self.settle()
    }

    /// Brings pending deletions into the journal.
    fn settle(&self) -> Result<(), VaultError> {
        let pending = self.keyring.pending();
        if pending.is_empty() {
            return Ok(());
        }
        let path = self.journal.path();
        let known = journal::scan(path, &self.keyring.file_key(names::JOURNAL)?)
            .map_err(|source| VaultError::io("read", path, source))?;
        for deletion in &pending {
            if deletions(&known.entries).any(|(one, _)| one == deletion) {
                continue;
            }
            let mut deleted = self.deleted.lock().unwrap_or_else(PoisonError::into_inner);
            deleted.insert(deletion.partition.clone(), deletion.time);
            drop(deleted);
            let proof = self.signer.sign(deletion)?;
            self.note(What::Deleted { deletion: deletion.clone(), proof })?;
        }
        self.keyring.settled(&pending);
        Ok(())
    }
}

/// Keeps an audit record from a command beside a collector, or without one.
///
/// # Errors
/// [`VaultError`].
pub fn note_beside(data: &Path, keyring: &Keyring, act: Act) -> Result<(), VaultError> {
    let path = journal_path(data);
    let found = journal::scan(&path, &keyring.file_key(names::JOURNAL)?)
        .map_err(|source| VaultError::io("read", &path, source))?;
    let (cut, folder) = (last_cut(&found.entries), folder(data));
    let failed = |source| VaultError::io("write", &audit::folder(&folder), source);
    keyring.ensure(names::AUDIT)?;
    let audit = Audit::open(&folder, (keyring.clone(), Clock::system()), cut, true);
    audit.and_then(|audit| audit.append(act, true)).map(drop).map_err(failed)
}

/// Name of a partition's key.
#[must_use]
pub fn partition_key(partition: &str) -> String {
    format!("partition/{partition}")
}

/// The last cut of the audit log among entries.
#[must_use]
pub fn last_cut(entries: &[(Entry, Link)]) -> Cut {
    let cuts = entries.iter().rev().filter_map(|(entry, _)| match &entry.what {
        What::Cut { cut, .. } => Some(cut.clone()),
        _ => None,
    });
    cuts.take(1).next().unwrap_or_default()
}

/// The deletions among entries, with their proofs.
pub fn deletions(entries: &[(Entry, Link)]) -> impl Iterator<Item = (&Deletion, &Signed)> {
    entries.iter().filter_map(|(entry, _)| match &entry.what {
        What::Deleted { deletion, proof } => Some((deletion, proof)),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
