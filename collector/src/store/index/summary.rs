//! A small summary of what a partition holds: its earliest and latest time and, for each field with terms, a
//! filter that knows which terms are certainly not there. A search for a term skips partitions that
//! cannot have it without opening their dictionaries.
//!
//! The file lies in the partition's folder, sealed as every other there, and is read page by page: only its
//! table is kept in memory. It names the segments it was made from and counts for a search only while it covers all
//! that the search sees; after a commit or a merge it is outdated until it is made again
//! (`summarise`). Not here: which terms a query needs (`prune`).
//!
//! Layout: blocks of 64 bytes, field by field; the table as JSON; its length as 8 bytes, little endian. The filters
//! are Bloom filters of which each term has one block and eight bits in it.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use tantivy::directory::FileHandle as _;
use tantivy::schema::{Field, FieldType, Schema};
use tantivy::{HasLen as _, Searcher, Term};

use super::files::directory::SealedDirectory;
use super::files::sealed::SealedFile;
use super::partition::Partition;

/// Name of the file.
pub(super) const NAME: &str = "summary";
/// Largest table that is read, bytes.
const MAX_TABLE: usize = 4 << 20;
/// Bytes of a block.
const BLOCK: usize = 64;
/// Most blocks of one field: 16 MiB, for about 13 million terms.
const MAX_BLOCKS: u64 = 1 << 18;
/// Bits set for a term.
const BITS: usize = 8;
/// Bits of a filter for each term it is made for.
const BITS_A_TERM: u64 = 12;

/// Where the filter of a field lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Filter {
    field: u32,
    offset: u64,
    /// A power of two, or 0 for a field without any term.
    blocks: u64,
}

/// What is known of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Table {
    /// Documents.
    documents: u64,
    /// Earliest and latest time, microseconds.
    first: i64,
    last: i64,
    /// The segments it was made from, by hexadecimal identity.
    segments: BTreeSet<String>,
    filters: Vec<Filter>,
}

/// A summary that was read.
#[derive(Debug)]
pub(super) struct Summary {
    table: Table,
    file: SealedFile,
}

/// How the summary of a partition stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It covers the present commit.
    Current,
    /// There is none, or it is of an older commit.
    Outdated,
    /// It does not open.
    Damaged,
}

/// The summary of a partition, if it has one.
#[derive(Debug, Default)]
pub(super) struct Slot(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    summary: Option<Arc<Summary>>,
    damaged: bool,
    /// The view of the partition that was asked for last, by its number, and whether the summary covers it.
    asked: Option<(u64, bool)>,
}

impl Kept {
    /// The summary, if it covers everything that a search sees.
    fn covering(&mut self, searcher: &Searcher) -> Option<Arc<Summary>> {
        let summary = self.summary.as_ref()?;
        let view = searcher.generation().generation_id();
        let covers = match self.asked {
            Some((asked, covers)) if asked == view => covers,
            _ => summary.covers(searcher),
        };
        self.asked = Some((view, covers));
        covers.then(|| Arc::clone(summary))
    }
}

impl Slot {
    /// Reads the summary of a partition; one that does not open is noted.
    pub(super) fn read(directory: &SealedDirectory) -> Self {
        let slot = Self::default();
        slot.reread(directory);
        slot
    }

    /// Reads it again.
    pub(super) fn reread(&self, directory: &SealedDirectory) {
        let kept = match Summary::open(directory) {
            Ok(summary) => Kept { summary: Some(Arc::new(summary)), ..Kept::default() },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Kept::default(),
            Err(error) => {
                tracing::warn!(%error, "a partition's summary does not open and is made again");
                Kept { damaged: true, ..Kept::default() }
            }
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = kept;
    }

    /// The summary, if it covers everything that a search sees.
    pub(super) fn covering(&self, searcher: &Searcher) -> Option<Arc<Summary>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).covering(searcher)
    }

    /// How it stands.
    pub(super) fn state(&self, searcher: &Searcher) -> State {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.covering(searcher) {
            _ if kept.damaged => State::Damaged,
            Some(_) => State::Current,
            None => State::Outdated,
        }
    }

    /// Gives up a summary of which something could not be read.
    pub(super) fn give_up(&self) {
        let kept = Kept { damaged: true, ..Kept::default() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = kept;
    }
}

/// Identities of the segments a search sees.
pub(super) fn segments(searcher: &Searcher) -> BTreeSet<String> {
    searcher.segment_readers().iter().map(|one| one.segment_id().uuid_string()).collect()
}

/// Where the bits of a term are: number of the block, and bits in it.
fn places(blocks: u64, term: &[u8]) -> (u64, [usize; BITS]) {
    let digest = digest(&SHA256, term);
    let (head, rest) = digest.as_ref().split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
    let mut bits = [0; BITS];
    for (bit, pair) in bits.iter_mut().zip(rest.chunks_exact(2)) {
        *bit = pair.iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte)) % (BLOCK * 8);
    }
    (u64::from_le_bytes(*head) & blocks.saturating_sub(1), bits)
}

/// A filter while it is made.
struct Making {
    bytes: Vec<u8>,
}

impl Making {
    /// For at most so many terms.
    fn new(terms: u64) -> Self {
        let bits = terms.saturating_mul(BITS_A_TERM);
        let blocks = bits.div_ceil(BLOCK as u64 * 8).clamp(1, MAX_BLOCKS).next_power_of_two();
        Self { bytes: vec![0; usize::try_from(blocks).unwrap_or(1).saturating_mul(BLOCK)] }
    }

    fn blocks(&self) -> u64 {
        (self.bytes.len() / BLOCK) as u64
    }

    fn add(&mut self, term: &[u8]) {
        let (block, bits) = places(self.blocks(), term);
        let start = usize::try_from(block).unwrap_or(0).saturating_mul(BLOCK);
        for bit in bits {
            if let Some(byte) = self.bytes.get_mut(start.saturating_add(bit / 8)) {
                *byte |= 1 << (bit % 8);
            }
        }
    }

    fn ones(bytes: impl Iterator<Item = u8>) -> usize {
        bytes.map(|byte| byte.count_ones() as usize).sum()
    }

    /// Folds it in halves while at most half of its bits are set then: terms that several segments have were
    /// counted several times. `None` when there were too many terms for it to tell anything.
    fn finish(mut self) -> Option<Vec<u8>> {
        if Self::ones(self.bytes.iter().copied()) > self.bytes.len().saturating_mul(5) {
            return None;
        }
        loop {
            let half = self.bytes.len() / 2;
            let (low, high) = self.bytes.split_at(half);
            let folded = || low.iter().zip(high).map(|(one, other)| one | other);
            if half < BLOCK || Self::ones(folded()) > half.saturating_mul(4) {
                return Some(self.bytes);
            }
            self.bytes = folded().collect();
        }
    }
}

/// Fields whose terms are in a dictionary.
fn searched(schema: &Schema) -> Vec<Field> {
    let has_terms = |kind: &FieldType| {
        matches!(kind, FieldType::Str(_) | FieldType::JsonObject(_) | FieldType::IpAddr(_))
    };
    let fields = schema.fields();
    fields.filter(|(_, e)| e.is_indexed() && has_terms(e.field_type())).map(|(f, _)| f).collect()
}

impl Summary {
    /// Reads the table of the file.
    ///
    /// # Errors
    /// As the file system; `InvalidData` when it is none.
    fn open(directory: &SealedDirectory) -> io::Result<Self> {
        let file = directory.sealed(Path::new(NAME))?;
        let length = file.len();
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, "is no summary");
        let tail = length.checked_sub(8).ok_or_else(wrong)?;
        let size = file.read_bytes(tail..length)?;
        let size = size.as_slice().first_chunk::<8>().ok_or_else(wrong)?;
        let size = usize::try_from(u64::from_le_bytes(*size)).map_err(|_| wrong())?;
        let start = tail.checked_sub(size).filter(|_| size <= MAX_TABLE).ok_or_else(wrong)?;
        let table = Table::read(file.read_bytes(start..tail)?.as_slice(), start as u64);
        Ok(Self { table: table.ok_or_else(wrong)?, file })
    }

    fn covers(&self, searcher: &Searcher) -> bool {
        let known = |id: String| self.table.segments.contains(&id);
        searcher.segment_readers().iter().all(|one| known(one.segment_id().uuid_string()))
    }

    /// Whether some event may have a time of `low..=high`.
    pub(super) const fn touches(&self, low: i64, high: i64) -> bool {
        self.table.first <= high && self.table.last >= low
    }

    /// Whether the partition may have a term.
    ///
    /// # Errors
    /// When the filter cannot be read.
    pub(super) fn may_have(&self, term: &Term) -> io::Result<bool> {
        let field = term.field().field_id();
        let Some(filter) = self.table.filters.iter().find(|one| one.field == field) else {
            return Ok(true);
        };
        if filter.blocks == 0 {
            return Ok(false);
        }
        let (block, bits) = places(filter.blocks, term.serialized_value_bytes());
        let offset = filter.offset.saturating_add(block.saturating_mul(BLOCK as u64));
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let bytes = self.file.read_bytes(start..start.saturating_add(BLOCK))?;
        let is_set =
            |bit: usize| bytes.get(bit / 8).is_some_and(|byte| byte & (1 << (bit % 8)) != 0);
        Ok(bits.into_iter().all(is_set))
    }
}

impl Table {
    /// Reads a table; its filters must lie within `room` bytes.
    fn read(bytes: &[u8], room: u64) -> Option<Self> {
        let table: Self = serde_json::from_slice(bytes).ok()?;
        let fits = |filter: &Filter| {
            let length = filter.blocks.checked_mul(BLOCK as u64);
            let end = length.and_then(|length| filter.offset.checked_add(length));
            (filter.blocks == 0 || filter.blocks.is_power_of_two())
                && end.is_some_and(|end| end <= room)
        };
        table.filters.iter().all(fits).then_some(table)
    }
}

/// Makes the summary of what a partition holds now, and puts it beside it.
///
/// # Errors
/// The index library's.
pub(in crate::store) fn make(partition: &Partition) -> tantivy::Result<()> {
    let searcher = partition.reader.searcher();
    let path = Path::new(NAME);
    let mut out = partition.directory.begin(path)?;
    let mut table = Table {
        documents: searcher.num_docs(),
        segments: segments(&searcher),
        first: i64::MAX,
        last: i64::MIN,
        filters: Vec::new(),
    };
    for reader in searcher.segment_readers() {
        let zones = partition.zones.get(reader)?;
        table.first = table.first.min(zones.whole.first);
        table.last = table.last.max(zones.whole.last);
    }
    let mut offset = 0_u64;
    for field in searched(&partition.index.schema()) {
        let Some(bytes) = filter(&searcher, field)? else { continue };
        out.write_all(&bytes)?;
        let blocks = (bytes.len() / BLOCK) as u64;
        table.filters.push(Filter { field: field.field_id(), offset, blocks });
        offset = offset.saturating_add(bytes.len() as u64);
    }
    let bytes = serde_json::to_vec(&table).map_err(io::Error::from)?;
    out.write_all(&bytes)?;
    out.write_all(&(bytes.len() as u64).to_le_bytes())?;
    out.finish()?;
    partition.directory.put(path)?;
    partition.summary.reread(&partition.directory);
    Ok(())
}

/// The filter of a field; empty without any term, `None` when there are too many.
fn filter(searcher: &Searcher, field: Field) -> tantivy::Result<Option<Vec<u8>>> {
    let dictionaries = searcher.segment_readers().iter().map(|one| one.inverted_index(field));
    let dictionaries: Vec<_> = dictionaries.collect::<tantivy::Result<_>>()?;
    let terms = dictionaries.iter().map(|one| one.terms().num_terms() as u64);
    let terms = terms.fold(0, u64::saturating_add);
    if terms == 0 {
        return Ok(Some(Vec::new()));
    }
    let mut making = Making::new(terms);
    for dictionary in &dictionaries {
        let mut stream = dictionary.terms().stream()?;
        while stream.advance() {
            making.add(stream.key());
        }
    }
    Ok(making.finish())
}

/// Reads hostile bytes as a table.
#[cfg(any(test, feature = "fuzzing"))]
pub fn fuzz_table(bytes: &[u8]) {
    drop(Table::read(bytes, bytes.len() as u64));
}

#[cfg(test)]
#[path = "summary_tests.rs"]
mod tests;
