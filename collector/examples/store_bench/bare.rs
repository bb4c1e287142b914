//! The index library by itself: same schema, same documents, same compression, its own defaults.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use event::Document;
use pikett_collector::store::Key;
use pikett_collector::store::SourceKey;
use pikett_collector::store::index::files::cache::PageCache;
use pikett_collector::store::index::files::directory::SealedDirectory;
use pikett_collector::store::index::schema::{Fields, Ties, schema, settings, tokenizers};
use pikett_collector::store::log::{Entry, Item};
use pikett_collector::store::ready::indexable;
use tantivy::directory::MmapDirectory;
use tantivy::{Index, IndexWriter, TantivyDocument};

use super::Mode;

/// Memory of its writer, bytes.
const HEAP: usize = 256 << 20;

/// Opened pages that are kept, bytes; as the store has it.
const CACHE: usize = 64 << 20;

/// Opens or makes the index.
pub(crate) fn open(mode: Mode, directory: &Path) -> Result<Index> {
    let path = directory.join(if mode == Mode::Bare { "bare" } else { "sealed" });
    std::fs::create_dir_all(&path)?;
    let builder = Index::builder().schema(schema()).tokenizers(tokenizers()).settings(settings());
    let mut index = if mode == Mode::Bare {
        builder.open_or_create(MmapDirectory::open(&path)?)?
    } else {
        let cache = Arc::new(PageCache::new(CACHE));
        builder.open_or_create(SealedDirectory::new(path, "bench", Key::new([1; 32]), cache))?
    };
    index.set_tokenizers(tokenizers());
    Ok(index)
}

/// Adds documents.
pub(crate) struct Writer {
    writer: IndexWriter<TantivyDocument>,
    fields: Fields,
}

impl Writer {
    pub(crate) fn new(index: &Index) -> Result<Self> {
        let writer = index.writer_with_num_threads(1, HEAP)?;
        Ok(Self { writer, fields: Fields::of(&index.schema())? })
    }

    /// Adds the documents of one batch; `json` holds their lines at `ranges`.
    pub(crate) fn add(
        &mut self,
        source: &SourceKey,
        documents: Vec<Document>,
        json: Vec<u8>,
        ranges: Vec<(u64, std::ops::Range<usize>)>,
    ) -> Result<()> {
        let first_seq = ranges.first().map_or(1, |(seq, _)| *seq);
        let last_seq = ranges.last().map_or(1, |(seq, _)| *seq);
        let item = |(index, (seq, json))| Item { seq, json, index };
        let entry = Entry {
            source: source.clone(),
            first_seq,
            last_seq,
            received: event::Timestamp::from_seconds(super::make::BEGIN + 7_200),
            documents: Arc::new(documents),
            items: ranges.into_iter().enumerate().map(item).collect(),
            json: Arc::new(json),
        };
        let ties = Ties::new(source);
        for event in entry.items.iter().filter_map(|item| indexable(&entry, item, ties)) {
            self.writer.add_document(self.fields.document(&event).0)?;
        }
        Ok(())
    }

    /// Commits and waits for merges.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.writer.commit()?;
        Ok(self.writer.wait_merging_threads()?)
    }
}
