//! Where events live: one trait, and the embedded store behind it.
//!
//! An append is durable before it is answered, deduplicated by (agent, boot, sequence) and
//! searchable within a second. The embedded store is a sealed durable log ([`log`]) feeding
//! sealed tantivy time partitions ([`index`]); a remote store stands behind the same trait.
//! Not here: the query language and its meaning, which are store-neutral and live in
//! [`crate::search`]; users, alerts and schedules, which are state and not events.

pub mod class;
#[cfg(test)]
pub(crate) mod contract;
pub mod embedded;
mod error;
pub mod figures;
pub mod index;
pub mod key;
pub mod log;
pub mod ready;
pub mod retention;
pub mod storage;

use std::future::Future;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::Arc;

use event::{AgentId, Document, Timestamp};

use crate::redaction::{Order, Tombstone};
use crate::search::{Cancel, FieldSeen, SearchError, SearchRequest, SearchResponse, ValueSeen};

pub use embedded::{Config, Embedded};
pub use error::StoreError;
pub use figures::{
    ClassPolicy, Figures, Holding, Limits, Problem, RetentionPolicy, RetentionReport, SetAside,
};
pub use key::Key;
pub use storage::StorageFigures;

/// A future that can be sent between threads; what an object-safe asynchronous method returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where the store takes the present time from (`service::Clock` in the daemon, a fixed or
/// stepped time in tests).
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// One run of one agent: sequences count within it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceKey {
    /// Who sends.
    pub agent: AgentId,
    /// Which run of it.
    pub boot: u64,
}

/// Documents to be stored durably.
///
/// Every document carries `event.id` of this source (`agent/boot/sequence`); sequences ascend
/// within `first_seq..=last_seq`. Sequences of the range without a document (shed on purpose by
/// the pipeline) count as stored, so that the agent is not asked for them again.
#[derive(Clone, Debug)]
pub struct Append {
    /// Where they come from.
    pub source: SourceKey,
    /// First sequence covered.
    pub first_seq: u64,
    /// Last sequence covered, inclusive.
    pub last_seq: u64,
    /// The documents, ascending by sequence.
    pub documents: Arc<Vec<Document>>,
}

/// What became of an append. In every case all of its sequences are durable now and may be
/// acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendOutcome {
    /// All of it was new.
    Stored {
        /// Documents stored.
        events: u64,
    },
    /// Part of it had been stored before; the rest is stored now.
    Partly {
        /// Documents stored now.
        events: u64,
        /// Sequences that were there already.
        duplicates: Vec<RangeInclusive<u64>>,
    },
    /// All of it had been stored before; nothing was written.
    Duplicate {
        /// The whole range.
        range: RangeInclusive<u64>,
    },
}

impl AppendOutcome {
    /// Documents written by this append.
    #[must_use]
    pub const fn events(&self) -> u64 {
        match self {
            Self::Stored { events } | Self::Partly { events, .. } => *events,
            Self::Duplicate { .. } => 0,
        }
    }
}

/// A place that keeps events durably and finds them again.
///
/// `search`, `retain`, `redact` and `flush` block: call them from a blocking pool.
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Stores documents; the answer comes after they are on disk. Waits while the store is busy.
    fn append(&self, append: Append) -> BoxFuture<'_, Result<AppendOutcome, StoreError>>;

    /// How many of the sequences 1 to `last` of a source are stored, as far as is remembered of it.
    fn covered(&self, source: SourceKey, last: u64) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Finds documents, counts them, groups them.
    ///
    /// # Errors
    /// [`SearchError`]: the query does not parse, a limit was hit, it was cancelled or nothing
    /// could be read. Partitions that could not be read are listed in the response instead.
    fn search(
        &self,
        request: &SearchRequest,
        cancel: &Cancel,
    ) -> Result<SearchResponse, SearchError>;

    /// The fields that events have, by name. For suggestions: events that are gone may still count.
    ///
    /// # Errors
    /// [`SearchError::Failed`].
    fn fields(&self) -> Result<Vec<FieldSeen>, SearchError>;

    /// The most frequent values of a field that begin with `prefix`, at most `count`. For suggestions:
    /// of very many values some are not looked at.
    ///
    /// # Errors
    /// [`SearchError::Failed`].
    fn values(
        &self,
        field: &str,
        prefix: &str,
        count: usize,
    ) -> Result<Vec<ValueSeen>, SearchError>;

    /// Drops whole partitions that are too old or too many, of each class of data oldest first.
    ///
    /// # Errors
    /// [`StoreError::Stopped`] when the store has been shut down.
    fn retain(&self, policy: &RetentionPolicy) -> Result<RetentionReport, StoreError>;

    /// The partitions that hold events, by `event.id`: a redaction of them writes these anew. Oldest first.
    ///
    /// # Errors
    /// [`StoreError::Index`] when one cannot be read.
    fn holding(&self, ids: &[&str]) -> Result<Vec<Holding>, StoreError>;

    /// Takes events, or fields of them, out for good, and leaves a tombstone. Once begun it is carried out
    /// whatever happens.
    ///
    /// # Errors
    /// [`StoreError::Absent`] when none of the events is there; else why it is not done yet.
    fn redact(&self, order: Order) -> Result<Tombstone, StoreError>;

    /// Waits until everything appended before is searchable.
    ///
    /// # Errors
    /// [`StoreError::Stopped`], or why indexing does not get on.
    fn flush(&self) -> Result<(), StoreError>;

    /// Health and loss-ledger figures.
    fn figures(&self) -> Figures;

    /// Where everything lies and how it stands. Looks at the disk.
    fn storage(&self) -> StorageFigures;
}
