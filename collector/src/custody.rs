//! What an administrator on this machine does with keys and evidence: lists keys and deletions,
//! changes the master key.
//!
//! Listing and changing the master key in its file work beside a collector that runs. Not here:
//! the keyring itself.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, bail};
use event::Timestamp;
use serde::Serialize;
use service::Clock;

use crate::config::Config;
use crate::init::Folder;
use crate::journal::{self, Journal, What};
use crate::keyring::{Deletion, Keyring, Listed};
use crate::keys::MasterSource;
use crate::local;
use crate::redaction::Tombstone;
use crate::vault::{self, Signed, Signer, names};

fn keyring(config: &Config) -> Result<Keyring> {
    Ok(vault::keyring(&config.data, &config.master(), Clock::system())?)
}

/// Keys by name, with the identity of the master key and the public key of signatures.
#[derive(Debug, Serialize)]
pub struct Keys {
    /// Identity of the master key.
    pub master: String,
    /// Public key that checks signatures of this collector, hexadecimal.
    pub public_key: String,
    /// Since when everything is to be sealed anew, microseconds; `None` when that is done.
    pub reseal: Option<i64>,
    /// The keys.
    pub keys: Vec<Listed>,
}

/// What is in the keyring, without what is secret.
///
/// # Errors
/// When the keyring cannot be opened.
pub fn keys(config: &Config) -> Result<Keys> {
    let keyring = keyring(config)?;
    let signer = Signer::new(&*keyring.get(names::SIGNING)?)?;
    let (master, reseal) = (keyring.master()?, keyring.reseal());
    Ok(Keys { master, public_key: signer.public(), reseal, keys: keyring.list() })
}

/// A deletion as it is listed.
#[derive(Debug, Serialize)]
pub struct Proven {
    /// The deletion.
    #[serde(flatten)]
    pub deletion: Deletion,
    /// When, in words.
    pub when: String,
    /// The signed statement of it.
    pub proof: Signed,
}

/// Every partition whose key was destroyed, oldest first, with its proof, as the journal at `path` has it.
///
/// # Errors
/// When keyring or journal cannot be read.
pub fn deletions(path: &Path, keyring: &Keyring) -> Result<Vec<Proven>> {
    let found = journal::scan(path, &keyring.file_key(names::JOURNAL)?)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let proven = |(deletion, proof): (&Deletion, &Signed)| Proven {
        when: Timestamp::from_micros(deletion.time).to_string(),
        deletion: deletion.clone(),
        proof: proof.clone(),
    };
    Ok(vault::deletions(&found.entries).map(proven).collect())
}

/// A redaction as it is listed.
#[derive(Debug, Serialize)]
pub struct Redacted {
    /// The tombstone.
    #[serde(flatten)]
    pub stone: Tombstone,
    /// When it was ordered, in words.
    pub when: String,
    /// The signed statement of it.
    pub proof: Signed,
}

/// Every redaction, oldest first, with its proof, as the journal at `path` has it.
///
/// # Errors
/// When keyring or journal cannot be read.
pub fn redactions(path: &Path, keyring: &Keyring) -> Result<Vec<Redacted>> {
    let found = journal::scan(path, &keyring.file_key(names::JOURNAL)?)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let redacted = |(stone, proof): (&Tombstone, &Signed)| Redacted {
        when: Timestamp::from_micros(stone.time).to_string(),
        stone: stone.clone(),
        proof: proof.clone(),
    };
    Ok(vault::tombstones(&found.entries).map(redacted).collect())
}

/// [`deletions`] of a configured collector.
///
/// # Errors
/// As [`deletions`].
pub fn list_deletions(config: &Config) -> Result<Vec<Proven>> {
    deletions(&vault::journal_path(&config.data), &keyring(config)?)
}

/// Holds the lock of the store: nobody else has the collector's data open meanwhile.
///
/// # Errors
/// When a collector runs, or the file cannot be made.
pub(crate) fn alone(data: &Path) -> Result<File> {
    let events = Folder::new(data).events();
    std::fs::create_dir_all(&events)
        .with_context(|| format!("cannot make {}", events.display()))?;
    let path = events.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            bail!("a collector runs on {}: stop it first", data.display())
        }
        Err(std::fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// Asks that partitions and log be sealed under new keys: a collector that runs does it within seconds, one
/// after the other, else the next one that is started. Gives how many partitions there are to do.
///
/// # Errors
/// When the keyring cannot be opened or changed, or the audit log cannot be written.
pub fn reseal(config: &Config) -> Result<usize> {
    let keyring = keyring(config)?;
    local::note(config, &keyring, "key reseal", &[])?;
    keyring.ask_reseal()?;
    Ok(keyring.list().iter().filter(|key| key.name.starts_with("partition/")).count())
}

/// Seals the keyring with a new master key: a random one in place of the present file, or the one
/// that `next` names. Gives the identity of the new one.
///
/// # Errors
/// When the present or the next master key cannot be had, or a collector runs that would look for
/// the key where the configuration still says.
pub fn rotate(config: &Config, next: Option<&MasterSource>) -> Result<String> {
    let _alone = next.map(|_| alone(&config.data)).transpose()?;
    let keyring = keyring(config)?;
    let to = next.map_or_else(|| "a new file".to_owned(), ToString::to_string);
    local::note(config, &keyring, "key rotate", &[("to", to)])?;
    keyring.rotate(next)?;
    let master = keyring.master()?;
    let path = vault::journal_path(&config.data);
    let noted =
        Journal::open(&path, &keyring.file_key(names::JOURNAL)?).and_then(|(journal, _)| {
            let what = What::MasterChanged { master: master.clone() };
            journal.append(Clock::system().now_micros(), what)
        });
    noted.with_context(|| format!("changed, but not noted in {}", path.display()))?;
    Ok(master)
}
