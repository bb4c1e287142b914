//! Tests of files in transfer, and which files are to be kept.
//!
//! Plain data; evaluated by `scan::datasets`.

use super::Cmp;

/// Digest of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Digest {
    Md5,
    Sha1,
    Sha256,
}

/// A test of a file in transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FileTest {
    /// Any file.
    Any,
    Size(Cmp),
    /// Part of the name, lowercase; `extension`: its end after a dot.
    Name {
        part: Box<[u8]>,
        extension: bool,
        negated: bool,
    },
    /// Part of the type found by its content, lowercase.
    Magic {
        part: Box<[u8]>,
        negated: bool,
    },
    /// Member of a list of digests: number of the data set.
    Listed {
        digest: Digest,
        set: u32,
        negated: bool,
    },
}

/// `filestore`: which file content is to be kept after a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileStore {
    /// Direction of the files; `None` for both.
    pub direction: Option<crate::Direction>,
    /// How far it reaches.
    pub scope: FileStoreScope,
}

/// Reach of a [`FileStore`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileStoreScope {
    /// The file that matched.
    File,
    /// All files of the transaction.
    Transaction,
    /// All files of the flow.
    Flow,
}
