//! Health and ledger figures of a store, retention policy and report: plain data.

use std::collections::BTreeMap;

use event::{Ledger, Timestamp};
use serde::{Deserialize, Serialize};

use super::class::ClassName;

/// Something an operator should know of, with the place and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// File or partition.
    pub path: String,
    /// Offset in the file, bytes; 0 when the whole file is meant.
    pub offset: u64,
    /// What was found.
    pub what: String,
    /// What has been done and what to do.
    pub advice: String,
}

/// State and counters of a store, since its opening.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Documents from intake to the log.
    pub intake: Ledger,
    /// Documents from the log to the index.
    pub index: Ledger,
    /// Documents searchable.
    pub documents: u64,
    /// Time partitions.
    pub partitions: u64,
    /// What there is of each class of data, by its name; `default` is what no class picks.
    #[serde(default)]
    pub classes: BTreeMap<String, ClassFigures>,
    /// Summaries of partitions.
    #[serde(default)]
    pub summaries: SummaryFigures,
    /// What lies in the warm folder.
    #[serde(default)]
    pub warm: WarmFigures,
    /// Bytes of the log on disk.
    pub log_bytes: u64,
    /// Bytes of the index on disk.
    pub index_bytes: u64,
    /// Serialised bytes of the documents taken in.
    pub input_bytes: u64,
    /// Syncs to disk done for appends.
    pub syncs: u64,
    /// Commits of the index.
    pub commits: u64,
    /// Segments of all partitions; each keeps six files open.
    #[serde(default)]
    pub segments: u64,
    /// Merges of segments in quiet partitions since the opening.
    #[serde(default)]
    pub merges: u64,
    /// Tries to merge such segments that failed; the partition stays as it was.
    #[serde(default)]
    pub merges_failed: u64,
    /// Records of the log that could not be read back and are gone.
    pub log_records_lost: u64,
    /// By when these had been received; `None` when nothing tells.
    #[serde(default)]
    pub log_lost_until: Option<Timestamp>,
    /// Torn tails dropped at start (never acknowledged).
    pub log_torn_tails: u64,
    /// Segments or partitions of the index that were taken out of service as corrupt.
    pub index_quarantined: u64,
    /// The same by partition.
    #[serde(default)]
    pub set_aside: Vec<SetAside>,
    /// Documents indexed again from the log after damage.
    pub repaired: u64,
    /// Documents gone with dropped partitions.
    pub retention_dropped: u64,
    /// Sequences declared lost because too many newer gaps opened in their source.
    pub gaps_closed: u64,
    /// When the last of them were; `None` when nothing tells.
    #[serde(default)]
    pub gaps_until: Option<Timestamp>,
    /// Sources whose deduplication state was forgotten because there were too many.
    pub sources_evicted: u64,
    /// Values or names that could not be indexed as fields (still in the stored document).
    pub values_capped: u64,
    /// Problems found, newest last, at most 100.
    pub problems: Vec<Problem>,
}

/// Damaged parts of one partition that were taken out of service since the opening.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    /// Its name.
    pub partition: String,
    /// First and last time its events can have; `None` when they can be of any time.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Segments, or 1 for the whole.
    pub count: u64,
}

/// How long and how much to keep, of each class of data. The newest partition of a class is never dropped for size.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionPolicy {
    /// Of the default class, and of classes that are not named here: drop partitions whose newest possible
    /// event is older than this; `None` keeps all.
    pub older_than: Option<Timestamp>,
    /// Of the same: drop oldest partitions until they have at most this many bytes; `None` keeps all.
    pub max_bytes: Option<u64>,
    /// Of each other class.
    #[serde(default)]
    pub classes: Vec<ClassPolicy>,
}

/// How long and how much to keep of one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassPolicy {
    /// Its name.
    pub name: ClassName,
    /// Its limits.
    #[serde(flatten)]
    pub limits: Limits,
}

/// Limits as in [`RetentionPolicy`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// See [`RetentionPolicy::older_than`].
    pub older_than: Option<Timestamp>,
    /// See [`RetentionPolicy::max_bytes`].
    pub max_bytes: Option<u64>,
}

impl RetentionPolicy {
    /// The class whose limits hold for partitions of `class`: itself, or the default class when it is not
    /// configured (any more).
    #[must_use]
    pub fn governs(&self, class: ClassName) -> ClassName {
        let known = self.classes.iter().any(|one| one.name == class);
        if known { class } else { ClassName::DEFAULT }
    }

    /// The limits that hold for partitions of a class.
    #[must_use]
    pub fn limits(&self, class: ClassName) -> Limits {
        let default = Limits { older_than: self.older_than, max_bytes: self.max_bytes };
        self.classes.iter().find(|one| one.name == class).map_or(default, |one| one.limits)
    }
}

/// How the summaries of partitions stand, by which searches skip those that cannot hold what is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SummaryFigures {
    /// Partitions whose summary can be used.
    pub current: u64,
    /// Partitions that have none or one that is older than their commit: they are searched.
    pub outdated: u64,
    /// Partitions whose summary does not open: they are searched, and it is made again.
    pub damaged: u64,
    /// Partitions that searches have skipped because no event is of the time.
    pub skipped_by_time: u64,
    /// Partitions that searches have skipped because they lack a term.
    pub skipped_by_terms: u64,
}

/// What lies in the warm folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarmFigures {
    /// Partitions there.
    pub partitions: u64,
    /// Bytes they take.
    pub bytes: u64,
    /// What is to be told while the folder is not there.
    #[serde(default)]
    pub away: Option<AwayFolder>,
    /// Partitions that cannot be searched because the folder is not there.
    pub missing: u64,
    /// Partitions moved since the opening.
    pub moved: u64,
    /// Tries to move one that failed; it stays where it is.
    pub failed: u64,
}

/// The warm folder, when it is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwayFolder {
    /// Its path.
    pub folder: String,
    /// The times that partitions in it are about, each once: first and last microsecond since the epoch, ascending.
    pub days: Vec<(i64, i64)>,
}

impl AwayFolder {
    /// That it is not there, in words, when so many of its days are asked for.
    #[must_use]
    pub fn words(&self, days: usize) -> String {
        let lack = if days == 1 { "1 day is".to_owned() } else { format!("{days} days are") };
        format!("the warm folder {} is not there: {lack} not searched", self.folder)
    }
}

/// What there is of one class of data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassFigures {
    /// Partitions.
    pub partitions: u64,
    /// Documents searchable.
    pub documents: u64,
    /// Bytes on disk.
    pub bytes: u64,
}

/// One dropped partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedPartition {
    /// Its name.
    pub partition: String,
    /// Documents it held.
    pub documents: u64,
    /// Bytes freed.
    pub bytes: u64,
    /// `age` or `size`.
    pub reason: String,
}

/// What retention did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionReport {
    /// Dropped partitions, oldest first.
    pub dropped: Vec<DroppedPartition>,
}

/// A partition that holds some of the events asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// Its name.
    pub partition: String,
    /// How many of them.
    pub events: u64,
    /// Bytes it takes.
    pub bytes: u64,
}
