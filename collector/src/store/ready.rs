//! Documents as the index takes them, made where their events are taken in: what was just parsed is still in
//! the processor's cache there, several appends are worked on at a time, and the one thread of the index
//! need only file them.
//!
//! For the log they are freight, handed on with an entry. What the index reads from the log it makes
//! itself, by the same [`Fields`]; both ways give the same.

use event::Document;
use tantivy::TantivyDocument;

use super::SourceKey;
use super::class::{self, Class, ClassName};
use super::index::schema::{Fields, Indexable, Ties, event_time, schema};
use super::log::{Entry, Item};

/// A document of the index and what its place depends on.
#[derive(Debug)]
pub struct Filed {
    /// Its class of data.
    pub class: ClassName,
    /// When it happened, microseconds.
    pub time: i64,
    /// Values that were left out.
    pub left_out: u32,
    /// What is indexed.
    pub document: TantivyDocument,
}

/// The documents of an entry, one for each of its items.
#[derive(Debug)]
pub struct Ready {
    /// What was known of redactions when they were made.
    pub learned: u64,
    /// In the order of the items.
    pub documents: Vec<Filed>,
}

impl Ready {
    /// Leaves those for which `keep` says so.
    pub fn retain(&mut self, keep: &[bool]) {
        let mut keep = keep.iter();
        self.documents.retain(|_| keep.next().copied().unwrap_or(false));
    }
}

/// Makes documents for partitions of the present schema.
#[derive(Clone, Debug)]
pub struct Maker {
    fields: Fields,
    /// Those that hold for everything that is appended from now on.
    classes: Vec<Class>,
}

impl Maker {
    /// For these classes.
    ///
    /// # Errors
    /// The index library's, when the schema lacks a field.
    pub fn new(classes: &[Class]) -> tantivy::Result<Self> {
        Ok(Self { fields: Fields::of(&schema())?, classes: classes.to_vec() })
    }

    /// Makes all documents of an entry; `None` when it lacks one of them.
    #[must_use]
    pub fn make(&self, entry: &Entry, learned: u64) -> Option<Ready> {
        let ties = Ties::new(&entry.source);
        let make = |item: &Item| {
            let event = indexable(entry, item, ties)?;
            let (document, left_out) = self.fields.document(&event);
            let class = class::of(&self.classes, event.document);
            Some(Filed { class, time: event.time, left_out, document })
        };
        let documents = entry.items.iter().map(make).collect::<Option<Vec<_>>>()?;
        Some(Ready { learned, documents })
    }
}

/// An item of an entry on its way into the index.
#[must_use]
pub fn indexable<'a>(entry: &'a Entry, item: &Item, ties: Ties) -> Option<Indexable<'a>> {
    let (document, json) = entry.parts(item)?;
    let time = event_time(document, entry.received);
    Some(Indexable { document, time, tie: ties.of(item.seq), json })
}

/// The sequence in an `event.id` of a source. The usual form is compared, not parsed.
pub(super) struct Sequences<'a> {
    source: &'a SourceKey,
    prefix: String,
}

impl<'a> Sequences<'a> {
    pub(super) fn new(source: &'a SourceKey) -> Self {
        Self { source, prefix: format!("{}/{:016x}/", source.agent, source.boot) }
    }

    /// The sequence of a document.
    ///
    /// # Errors
    /// What is wrong with its identity.
    pub(super) fn of(&self, document: &Document) -> Result<u64, &'static str> {
        let id = event::get(document, "event.id").and_then(|id| id.as_str());
        let id = id.ok_or("has no event.id")?;
        if let Some(digits) = id.strip_prefix(&self.prefix) {
            return digits.parse().map_err(|_| "has no event.id");
        }
        let id: event::EventId = id.parse().map_err(|_| "has no event.id")?;
        if id.agent != self.source.agent || id.boot != self.source.boot {
            return Err("belongs to another source");
        }
        Ok(id.seq)
    }
}
