//! Why the store could not do what it was asked for.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::keyring::KeyringError;
use crate::vault::VaultError;

/// An error of the store. Nothing that ends in one has been acknowledged.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk has no room; appends work again when there is some.
    #[error("no space left for {path}: free some or lower the retention, then retry")]
    Full {
        /// The file that could not be written.
        path: PathBuf,
    },
    /// Reading or writing failed.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: Arc<io::Error>,
    },
    /// Another process has this store open.
    #[error("{path} is in use by another process")]
    InUse {
        /// Directory of the store.
        path: PathBuf,
    },
    /// A key cannot be had or changed.
    #[error(transparent)]
    Vault(#[from] Arc<VaultError>),
    /// A document cannot be stored as it is.
    #[error("document {index} of the batch {problem}")]
    Document {
        /// Position in the batch, from 0.
        index: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The batch covers an empty or inverted range, or is larger than one record may be.
    #[error("batch {first_seq}..={last_seq} {problem}")]
    Batch {
        /// First sequence.
        first_seq: u64,
        /// Last sequence.
        last_seq: u64,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The index refused to go on; it is tried again and the log keeps everything meanwhile.
    #[error("index of partition {partition}: {reason}")]
    Index {
        /// Which partition.
        partition: String,
        /// What the index said.
        reason: String,
    },
    /// None of the events asked for is stored.
    #[error("none of these events is stored")]
    Absent,
    /// The warm folder is not there, and may hold the events asked for.
    #[error("the warm folder {path} is not there, and may hold some of the events: mount it first")]
    Away {
        /// The folder.
        path: PathBuf,
    },
    /// Sealing or random numbers failed, which only a broken machine does.
    #[error("cryptographic operation failed: {action}")]
    Crypto {
        /// What was tried.
        action: &'static str,
    },
    /// The store has been shut down.
    #[error("store is shut down")]
    Stopped,
}

impl From<VaultError> for StoreError {
    fn from(error: VaultError) -> Self {
        Self::Vault(Arc::new(error))
    }
}

impl From<KeyringError> for StoreError {
    fn from(error: KeyringError) -> Self {
        VaultError::from(error).into()
    }
}

impl StoreError {
    /// Whether nothing went wrong: what was asked for cannot be done as things are.
    pub(crate) const fn is_refusal(&self) -> bool {
        matches!(self, Self::Absent | Self::Away { .. })
    }

    /// Wraps an IO error, telling a full disk apart.
    pub(crate) fn io(action: &'static str, path: &std::path::Path, source: io::Error) -> Self {
        if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            return Self::Full { path: path.to_owned() };
        }
        Self::Io { action, path: path.to_owned(), source: Arc::new(source) }
    }
}
