//! Where partitions lie and how they stand: plain data, which any store can give.

use serde::Serialize;

/// Where everything lies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StorageFigures {
    /// The folders, that which is written to first.
    pub folders: Vec<FolderFigures>,
    /// The partitions, oldest first.
    pub partitions: Vec<PartitionFigures>,
}

/// A folder that partitions lie in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FolderFigures {
    /// Its path.
    pub path: String,
    /// Whether it is the warm folder.
    pub warm: bool,
    /// Whether it is there.
    pub there: bool,
    /// Partitions in it that are searched.
    pub partitions: u64,
    /// Bytes they take.
    pub bytes: u64,
    /// Bytes free on its disk; not known when absent.
    pub free: Option<u64>,
    /// Bytes of its disk; not known when absent.
    pub size: Option<u64>,
}

/// How a partition stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It is searched.
    #[default]
    Searched,
    /// It cannot be read now.
    Unreadable,
    /// It lies in a folder that is not there.
    Away,
}

/// A partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PartitionFigures {
    /// Its name.
    pub name: String,
    /// Whether it lies in the warm folder.
    pub warm: bool,
    /// How it stands.
    pub standing: Standing,
    /// Documents in it; not known when absent.
    pub documents: Option<u64>,
    /// Bytes it takes, as far as known.
    pub bytes: u64,
}
