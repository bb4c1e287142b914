//! The signed checkpoint: how far log, partitions, state, journal and keyring have come, in one
//! statement that names the digest of the one before.
//!
//! Replaced after each commit of the index, kept sealed in the vault. What has come less far than
//! the last checkpoint says was rolled back, cut or removed. Given outside (`pikett-collector
//! anchor`) it tells that of a whole data folder too. Not here: the chains themselves.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::{Head, Link, Signed, Signer, VaultError, names};
use crate::keyring::Keyring;
use crate::store::log::checkpoint::{self as file, Found};

/// Name of the log's head: records ever written.
pub const LOG: &str = "log";
/// Name of the head at the beginning of the oldest log segment.
pub const LOG_BEGIN: &str = "log begin";
/// Name of the head at which the log was closed; it is back at the beginning while the log is open.
pub const LOG_CLOSED: &str = "log closed";
/// Name of the journal's head.
pub const JOURNAL: &str = "journal";
/// Name of the audit log's head: records ever kept.
pub const AUDIT: &str = "audit";
/// Name of the state's head.
pub const STATE: &str = "state";
/// Name of the keyring's generation.
pub const KEYRING: &str = "keyring";

/// How far everything had come at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Counts checkpoints.
    pub number: u64,
    /// Digest of the statement before.
    pub previous: Link,
    /// When, microseconds since the epoch.
    pub time: i64,
    /// Heads by name: `log`, `log begin`, `log closed`, `journal`, `audit`, `state`, `keyring`, `partition/NAME`.
    pub heads: BTreeMap<String, Head>,
}

/// Digest of a statement's text.
fn digest_of(text: &str) -> Link {
    Link::of(&digest(&SHA256, text.as_bytes()))
}

/// A checkpoint, `None` when there is none; or what is wrong with it.
pub type Read = Result<Option<(Signed, Statement)>, &'static str>;

/// Reads the checkpoint of a vault.
///
/// # Errors
/// [`VaultError`] when it cannot be read; what is wrong with its content is in [`Read`].
pub fn read(path: &Path, keyring: &Keyring, public_key: &str) -> Result<Read, VaultError> {
    let key = keyring.file_key(names::STORE)?;
    let found = file::read(path, &key)
        .map_err(|error| VaultError::io("read", path, std::io::Error::other(error)))?;
    let bytes = match found {
        Found::Nothing => return Ok(Ok(None)),
        Found::Damaged => return Ok(Err("does not open: changed or moved")),
        Found::Content(bytes) => bytes,
    };
    let signed: Option<Signed> = serde_json::from_slice(&bytes).ok();
    let read = signed.and_then(|signed| {
        let statement = signed.check(public_key)?;
        Some((signed, statement))
    });
    Ok(read.map_or(Err("is not signed by this collector"), |read| Ok(Some(read))))
}

/// What a head says of one that was noted before, when it is not further along the same way.
#[must_use]
pub fn compare(noted: Head, present: Option<Head>) -> Option<String> {
    let Some(present) = present else {
        return Some(format!("is gone; it had come to step {}", noted.count));
    };
    if present.count < noted.count {
        return Some(format!(
            "has been put back or cut: it is at step {}, and had come to step {}",
            present.count, noted.count
        ));
    }
    (present.count == noted.count && present.digest != noted.digest)
        .then(|| format!("has another content at step {} than was noted", noted.count))
}

/// Heads as they come, and the checkpoint over them.
#[derive(Debug, Default)]
pub(super) struct Heads {
    heads: Mutex<BTreeMap<String, Head>>,
    last: Mutex<(u64, Link)>,
}

impl Heads {
    /// Goes on behind a checkpoint.
    pub(super) fn resume(&self, signed: &Signed, statement: &Statement) {
        let link = digest_of(&signed.statement);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = (statement.number, link);
    }

    pub(super) fn set(&self, name: &str, head: Head) {
        let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        match heads.get_mut(name) {
            Some(slot) => *slot = head,
            None => drop(heads.insert(name.to_owned(), head)),
        }
    }

    pub(super) fn forget(&self, name: &str) {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// Writes a checkpoint over the heads there are.
    pub(super) fn write(
        &self,
        path: &Path,
        (keyring, signer): (&Keyring, &Signer),
        (time, durable): (i64, bool),
    ) -> Result<(), VaultError> {
        let key = keyring.file_key(names::STORE)?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let statement =
            Statement { number: last.0.saturating_add(1), previous: last.1, time, heads };
        let signed = signer.sign(&statement)?;
        let failed = |error| VaultError::io("write", path, error);
        let bytes = serde_json::to_vec(&signed).map_err(|error| failed(error.into()))?;
        file::write(path, &key, &bytes, durable)
            .map_err(|error| failed(std::io::Error::other(error)))?;
        *last = (statement.number, digest_of(&signed.statement));
        Ok(())
    }
}
