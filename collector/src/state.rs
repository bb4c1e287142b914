//! What the collector knows besides events: users, tokens, agents, alerts, schedules.
//!
//! SQLite holds sealed records: in clear is the kind alone, a name of this program's own; the
//! identity is a keyed hash, the content is under AES-256-GCM with both as associated data, so
//! that a record cannot be read, changed or moved. A sealed sum over the records of each kind
//! (`sums`) tells when one was removed or put back. Rooms keep their own records in memory and
//! write through; this is the only place that names SQLite.

mod older;
mod seal;
mod sums;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::{
    Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, params,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::keys::KeyBytes;
use crate::vault::Head;
pub use older::is_older;
use seal::Sealer;

/// A kind of record.
pub trait Record: Serialize + DeserializeOwned {
    /// Its name in the database; never changes.
    const KIND: &'static str;
    /// Its identity within the kind.
    fn id(&self) -> &str;
}

/// Why state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The database refuses.
    #[error("state database {}: cannot {action}", path.display())]
    Database {
        /// File.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// A record cannot be opened: it was changed, moved, or the key is another.
    #[error("state record {kind}/{id} is damaged or sealed with another key")]
    Sealed {
        /// Kind.
        kind: String,
        /// Identity, or the first digits of its hash.
        id: String,
    },
    /// A record's content is not of its type.
    #[error("state record {kind}/{id} cannot be read")]
    Content {
        /// Kind.
        kind: &'static str,
        /// Identity, or the first digits of its hash.
        id: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Sealing failed.
    #[error("state record could not be sealed")]
    Crypto,
}

impl StateError {
    /// What the disk did, if it is to blame.
    #[must_use]
    pub fn disk(&self) -> Option<service::Disk> {
        let Self::Database { source, .. } = self else { return None };
        match source.sqlite_error_code()? {
            // A file that cannot be opened though it is there is one that the disk does not give.
            ErrorCode::SystemIoFailure | ErrorCode::CannotOpen => Some(service::Disk::Fails),
            ErrorCode::ReadOnly => Some(service::Disk::ReadOnly),
            ErrorCode::DiskFull => Some(service::Disk::Full),
            _ => None,
        }
    }
}

/// The state database. One connection; calls are short and serialised.
pub struct State {
    path: PathBuf,
    connection: Mutex<Connection>,
    sealer: Sealer,
}

impl std::fmt::Debug for State {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("State").field("path", &self.path).finish_non_exhaustive()
    }
}

/// What is deleted is overwritten, in the database and with the next checkpoint in its log.
const SCHEMA: &str = "
    PRAGMA busy_timeout = 5000;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA secure_delete = ON;
    CREATE TABLE IF NOT EXISTS sealed (
        kind TEXT NOT NULL, id BLOB NOT NULL, content BLOB NOT NULL, PRIMARY KEY (kind, id)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS sums (kind TEXT PRIMARY KEY, content BLOB NOT NULL) WITHOUT ROWID;
";

impl State {
    /// Opens or makes the database at `path`; one of an older version is brought to this one.
    ///
    /// # Errors
    /// [`StateError::Database`], [`StateError::Sealed`] when `key` is not its key.
    pub fn open(path: &Path, key: &KeyBytes) -> Result<Self, StateError> {
        let failed =
            |action| move |source| StateError::Database { path: path.to_owned(), action, source };
        let mut connection = Connection::open(path).map_err(failed("open it"))?;
        connection.execute_batch(SCHEMA).map_err(failed("prepare it"))?;
        let sealer = Sealer::new(key)?;
        older::migrate(&mut connection, &sealer, path)?;
        let truncated = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        truncated.map_err(failed("tidy it up"))?;
        let state = Self { path: path.to_owned(), connection: Mutex::new(connection), sealer };
        // Another key is refused here, before anything is written with it.
        state.head()?;
        Ok(state)
    }

    fn failed(&self, action: &'static str) -> impl FnOnce(rusqlite::Error) -> StateError {
        let path = self.path.clone();
        move |source| StateError::Database { path, action, source }
    }

    /// How often the database was written to, and the sum over its records.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn head(&self) -> Result<Head, StateError> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = sums::read(&connection, &self.sealer, sums::ALL);
        drop(connection);
        Ok(sum.map_err(|error| error.at(&self.path))?.head())
    }

    /// A number that differs from the one before when another process has written in between; cheap.
    /// Source: SQLite, `PRAGMA data_version`.
    ///
    /// # Errors
    /// [`StateError::Database`].
    pub fn written_elsewhere(&self) -> Result<i64, StateError> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let version = connection.query_row("PRAGMA data_version", [], |row| row.get(0));
        version.map_err(self.failed("look whether it was written to"))
    }

    /// One record, if it is there.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn get<R: Record>(&self, id: &str) -> Result<Option<R>, StateError> {
        let hash = self.sealer.hash(R::KIND, id);
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let sealed: Option<Vec<u8>> = connection
            .prepare_cached("SELECT content FROM sealed WHERE kind = ?1 AND id = ?2")
            .and_then(|mut query| {
                query.query_row(params![R::KIND, hash], |row| row.get(0)).optional()
            })
            .map_err(self.failed("read a record"))?;
        sealed.map(|sealed| self.sealer.unseal(id, &hash, &sealed)).transpose()
    }

    /// All records of a kind, by identity.
    ///
    /// # Errors
    /// [`StateError`]; one unreadable record fails the whole, naming it.
    pub fn list<R: Record>(&self) -> Result<Vec<R>, StateError> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let rows: Vec<(Vec<u8>, Vec<u8>)> = connection
            .prepare_cached("SELECT id, content FROM sealed WHERE kind = ?1")
            .and_then(|mut query| {
                query.query_map([R::KIND], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
            })
            .map_err(self.failed("list records"))?;
        drop(connection);
        let open = |(hash, sealed): (Vec<u8>, Vec<u8>)| {
            self.sealer.unseal(&seal::short(&hash), &hash, &sealed)
        };
        let mut records: Vec<R> = rows.into_iter().map(open).collect::<Result<_, _>>()?;
        records.sort_by(|a, b| a.id().cmp(b.id()));
        Ok(records)
    }

    /// Writes one record durably.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn put<R: Record>(&self, record: &R) -> Result<(), StateError> {
        self.write(|batch| batch.put(record))
    }

    /// Removes one record; true when it was there.
    ///
    /// # Errors
    /// [`StateError::Database`].
    pub fn remove<R: Record>(&self, id: &str) -> Result<bool, StateError> {
        let mut removed = false;
        self.write(|batch| {
            removed = batch.remove::<R>(id)?;
            Ok(())
        })?;
        Ok(removed)
    }

    /// Writes several records in one transaction: all or none of them.
    ///
    /// # Errors
    /// [`StateError`], or what `body` returns; then nothing was written.
    pub fn write(
        &self,
        body: impl FnOnce(&Batch<'_>) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        // Sums are read and written: nobody may write between.
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(self.failed("begin to write"))?;
        let batch = Batch { state: self, transaction };
        body(&batch)?;
        batch.transaction.commit().map_err(self.failed("commit"))
    }
}

/// Looks through a database without writing to it: gives what was changed, removed or put back,
/// each with its place, and how far it has come.
///
/// # Errors
/// [`StateError`] when it cannot be read as a database.
pub fn verify(path: &Path, key: &KeyBytes) -> Result<(Vec<(String, String)>, Head), StateError> {
    let failed =
        |action| move |source| StateError::Database { path: path.to_owned(), action, source };
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = Connection::open_with_flags(path, flags).map_err(failed("open it"))?;
    let sealer = Sealer::new(key)?;
    sums::verify(&connection, &sealer).map_err(failed("read it through"))
}

/// Writes of one transaction.
#[derive(Debug)]
pub struct Batch<'a> {
    state: &'a State,
    transaction: Transaction<'a>,
}

impl Batch<'_> {
    /// Writes one record.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn put<R: Record>(&self, record: &R) -> Result<(), StateError> {
        let sealer = &self.state.sealer;
        let hash = sealer.hash(R::KIND, record.id());
        let content = sealer.seal(&hash, record)?;
        let before = self.content(R::KIND, &hash)?;
        self.transaction
            .prepare_cached("INSERT OR REPLACE INTO sealed (kind, id, content) VALUES (?1, ?2, ?3)")
            .and_then(|mut query| query.execute(params![R::KIND, hash, content]))
            .map_err(self.state.failed("write a record"))?;
        self.count(R::KIND, &hash, (before.as_deref(), Some(&content)))
    }

    /// Removes one record; true when it was there.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn remove<R: Record>(&self, id: &str) -> Result<bool, StateError> {
        let hash = self.state.sealer.hash(R::KIND, id);
        let Some(before) = self.content(R::KIND, &hash)? else { return Ok(false) };
        self.transaction
            .prepare_cached("DELETE FROM sealed WHERE kind = ?1 AND id = ?2")
            .and_then(|mut query| query.execute(params![R::KIND, hash]))
            .map_err(self.state.failed("remove a record"))?;
        self.count(R::KIND, &hash, (Some(&before), None))?;
        Ok(true)
    }

    fn content(&self, kind: &str, hash: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.transaction
            .prepare_cached("SELECT content FROM sealed WHERE kind = ?1 AND id = ?2")
            .and_then(|mut query| query.query_row(params![kind, hash], |row| row.get(0)).optional())
            .map_err(self.state.failed("read a record"))
    }

    fn count(&self, kind: &str, hash: &[u8], change: sums::Change<'_>) -> Result<(), StateError> {
        let sealer = &self.state.sealer;
        sums::change(&self.transaction, sealer, (kind, hash), change)
            .map_err(|error| error.at(&self.state.path))
    }
}

#[cfg(test)]
mod tests;
