//! What the collector knows besides events: users, tokens, agents, alerts, schedules.
//!
//! SQLite holds sealed records: kind and identity in clear, the content under AES-256-GCM with
//! both as associated data, so that a record cannot be read, changed or moved. Rooms keep their
//! own records in memory and write through; this is the only place that names SQLite.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::keys::{KeyBytes, random};

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
        kind: &'static str,
        /// Identity.
        id: String,
    },
    /// A record's content is not of its type.
    #[error("state record {kind}/{id} cannot be read")]
    Content {
        /// Kind.
        kind: &'static str,
        /// Identity.
        id: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Sealing failed.
    #[error("state record could not be sealed")]
    Crypto,
}

/// The state database. One connection; calls are short and serialised.
pub struct State {
    path: PathBuf,
    connection: Mutex<Connection>,
    key: LessSafeKey,
}

impl std::fmt::Debug for State {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("State").field("path", &self.path).finish_non_exhaustive()
    }
}

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA busy_timeout = 5000;
    CREATE TABLE IF NOT EXISTS records (
        kind TEXT NOT NULL, id TEXT NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (kind, id)
    ) WITHOUT ROWID;
";

impl State {
    /// Opens or makes the database at `path`.
    ///
    /// # Errors
    /// [`StateError::Database`].
    pub fn open(path: &Path, key: &KeyBytes) -> Result<Self, StateError> {
        let failed =
            |action| move |source| StateError::Database { path: path.to_owned(), action, source };
        let connection = Connection::open(path).map_err(failed("open it"))?;
        connection.execute_batch(SCHEMA).map_err(failed("prepare it"))?;
        let key = UnboundKey::new(&AES_256_GCM, &**key).map_err(|_| StateError::Crypto)?;
        Ok(Self {
            path: path.to_owned(),
            connection: Mutex::new(connection),
            key: LessSafeKey::new(key),
        })
    }

    fn failed(&self, action: &'static str) -> impl FnOnce(rusqlite::Error) -> StateError {
        let path = self.path.clone();
        move |source| StateError::Database { path, action, source }
    }

    fn seal<R: Record>(&self, record: &R) -> Result<Vec<u8>, StateError> {
        let id = record.id();
        let mut content = serde_json::to_vec(record).map_err(|source| StateError::Content {
            kind: R::KIND,
            id: id.to_owned(),
            source,
        })?;
        let nonce = random::<12>().map_err(|_| StateError::Crypto)?;
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                associated(R::KIND, id),
                &mut content,
            )
            .map_err(|_| StateError::Crypto)?;
        let mut out = nonce.to_vec();
        out.extend_from_slice(&content);
        Ok(out)
    }

    fn unseal<R: Record>(&self, id: &str, sealed: &[u8]) -> Result<R, StateError> {
        let damaged = || StateError::Sealed { kind: R::KIND, id: id.to_owned() };
        let (nonce, content) = sealed.split_first_chunk::<12>().ok_or_else(damaged)?;
        let mut content = content.to_vec();
        let plain = self
            .key
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                associated(R::KIND, id),
                &mut content,
            )
            .map_err(|_| damaged())?;
        serde_json::from_slice(plain).map_err(|source| StateError::Content {
            kind: R::KIND,
            id: id.to_owned(),
            source,
        })
    }

    /// One record, if it is there.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn get<R: Record>(&self, id: &str) -> Result<Option<R>, StateError> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let sealed: Option<Vec<u8>> = connection
            .prepare_cached("SELECT sealed FROM records WHERE kind = ?1 AND id = ?2")
            .and_then(|mut query| {
                query.query_row(params![R::KIND, id], |row| row.get(0)).optional()
            })
            .map_err(self.failed("read a record"))?;
        sealed.map(|sealed| self.unseal(id, &sealed)).transpose()
    }

    /// All records of a kind, by identity.
    ///
    /// # Errors
    /// [`StateError`]; one unreadable record fails the whole, naming it.
    pub fn list<R: Record>(&self) -> Result<Vec<R>, StateError> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let rows: Vec<(String, Vec<u8>)> = connection
            .prepare_cached("SELECT id, sealed FROM records WHERE kind = ?1 ORDER BY id")
            .and_then(|mut query| {
                query.query_map([R::KIND], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
            })
            .map_err(self.failed("list records"))?;
        drop(connection);
        rows.into_iter().map(|(id, sealed)| self.unseal(&id, &sealed)).collect()
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
        let transaction = connection.transaction().map_err(self.failed("begin to write"))?;
        let batch = Batch { state: self, transaction };
        body(&batch)?;
        batch.transaction.commit().map_err(self.failed("commit"))
    }
}

fn associated(kind: &str, id: &str) -> Aad<Vec<u8>> {
    Aad::from(format!("{kind}\0{id}").into_bytes())
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
        let sealed = self.state.seal(record)?;
        self.transaction
            .prepare_cached("INSERT OR REPLACE INTO records (kind, id, sealed) VALUES (?1, ?2, ?3)")
            .and_then(|mut query| query.execute(params![R::KIND, record.id(), sealed]))
            .map_err(self.state.failed("write a record"))?;
        Ok(())
    }

    /// Removes one record; true when it was there.
    ///
    /// # Errors
    /// [`StateError::Database`].
    pub fn remove<R: Record>(&self, id: &str) -> Result<bool, StateError> {
        let count = self
            .transaction
            .prepare_cached("DELETE FROM records WHERE kind = ?1 AND id = ?2")
            .and_then(|mut query| query.execute(params![R::KIND, id]))
            .map_err(self.state.failed("remove a record"))?;
        Ok(count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use zeroize::Zeroizing;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Thing {
        id: String,
        secret: String,
    }

    impl Record for Thing {
        const KIND: &'static str = "thing";
        fn id(&self) -> &str {
            &self.id
        }
    }

    fn thing(id: &str) -> Thing {
        Thing { id: id.into(), secret: "attack at dawn".into() }
    }

    fn open(folder: &tempfile::TempDir, key: u8) -> State {
        State::open(&folder.path().join("state.db"), &Zeroizing::new([key; 32])).unwrap()
    }

    #[test]
    fn records_survive_and_are_sealed() {
        let folder = tempfile::tempdir().unwrap();
        let state = open(&folder, 1);
        state.put(&thing("b")).unwrap();
        state.put(&thing("a")).unwrap();
        drop(state);
        let state = open(&folder, 1);
        assert_eq!(state.list::<Thing>().unwrap(), [thing("a"), thing("b")]);
        assert_eq!(state.get::<Thing>("c").unwrap(), None);
        assert!(state.remove::<Thing>("a").unwrap());
        assert!(!state.remove::<Thing>("a").unwrap());
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(6).any(|window| window == b"attack"));
        }
    }

    #[test]
    fn another_key_and_moved_records_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let state = open(&folder, 1);
        state.put(&thing("a")).unwrap();
        let error = open(&folder, 2).get::<Thing>("a").unwrap_err().to_string();
        assert_eq!(error, "state record thing/a is damaged or sealed with another key");
        let connection = state.connection.lock().unwrap();
        connection.execute("UPDATE records SET id = 'admin'", []).unwrap();
        drop(connection);
        assert!(state.get::<Thing>("admin").is_err());
    }

    #[test]
    fn a_failed_transaction_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let state = open(&folder, 1);
        let outcome = state.write(|batch| {
            batch.put(&thing("a"))?;
            Err(StateError::Crypto)
        });
        assert!(outcome.is_err());
        assert_eq!(state.get::<Thing>("a").unwrap(), None);
    }

    #[test]
    fn a_record_changed_in_any_byte_or_under_another_name_does_not_open() {
        let folder = tempfile::tempdir().unwrap();
        let state = open(&folder, 1);
        let sealed = state.seal(&thing("a")).unwrap();
        assert_eq!(state.unseal::<Thing>("a", &sealed).unwrap(), thing("a"));
        assert!(state.unseal::<Thing>("b", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[at] ^= 1;
            assert!(state.unseal::<Thing>("a", &bad).is_err(), "byte {at}");
            assert!(state.unseal::<Thing>("a", &sealed[..at]).is_err(), "cut at {at}");
        }
        assert_ne!(state.seal(&thing("a")).unwrap(), sealed, "no nonce is used twice");
    }

    #[test]
    fn content_of_another_shape_names_the_record() {
        #[derive(Debug, Serialize, Deserialize)]
        struct Other {
            id: String,
            number: u32,
        }
        impl Record for Other {
            const KIND: &'static str = "thing";
            fn id(&self) -> &str {
                &self.id
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let state = open(&folder, 1);
        state.put(&thing("a")).unwrap();
        let error = state.get::<Other>("a").unwrap_err();
        assert_eq!(
            service::causes(&error),
            "state record thing/a cannot be read: missing field `number` at line 1 column 36"
        );
    }

    #[test]
    fn files_that_are_no_database_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        std::fs::write(&path, vec![b'x'; 8192]).unwrap();
        let error = State::open(&path, &Zeroizing::new([1; 32])).unwrap_err().to_string();
        assert!(error.ends_with("state.db: cannot prepare it"), "{error}");
        let missing = folder.path().join("no/such/state.db");
        let error = State::open(&missing, &Zeroizing::new([1; 32])).unwrap_err().to_string();
        assert!(error.ends_with("state.db: cannot open it"), "{error}");
    }

    #[test]
    fn many_threads_write_and_nothing_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let state = open(&folder, 1);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let state = &state;
                scope.spawn(move || {
                    (0..10).for_each(|n| state.put(&thing(&format!("{thread}-{n}"))).unwrap());
                });
            }
        });
        assert_eq!(state.list::<Thing>().unwrap().len(), 40);
    }
}
