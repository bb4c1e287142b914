//! Redaction and sealing anew by the owner of the index: partitions are edited, where that is asked for, and
//! written anew under new keys, then the log before them is let go.
//!
//! What is begun is in the keyring and is gone on with after every failure and at every start, each step
//! as often as it takes. Not here: what an order is ([`crate::redaction`]).

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use event::{Document, EventId};
use tantivy::collector::DocSetCollector;
use tantivy::indexer::{IndexWriterOptions, NoMergePolicy};
use tantivy::query::TermQuery;
use tantivy::schema::IndexRecordOption;
use tantivy::{DocAddress, IndexWriter, TantivyDocument, Term};

use super::{Work, Worker, index_error};
use crate::redaction::{Left, Order, Rewritten, Tombstone, strip};
use crate::store::index::partition::{Partition, PartitionKey};
use crate::store::index::schema::{Ties, source_of};
use crate::store::log::{Entry, Item};
use crate::store::ready::indexable;
use crate::store::{SourceKey, StoreError};
use crate::vault::{Head, Vault, partition_key};

/// An entry and its item as they may be indexed; `None` when the event is redacted.
pub(super) fn screened<'a>(
    vault: &Vault,
    entry: &'a Entry,
    item: &'a Item,
) -> Option<(Cow<'a, Entry>, Cow<'a, Item>)> {
    let left = entry.documents.get(item.index).map(|document| vault.redactions.screen(document));
    match left {
        None | Some(Left::All) => Some((Cow::Borrowed(entry), Cow::Borrowed(item))),
        Some(Left::Nothing) => None,
        Some(Left::Some(document)) => {
            let (alone, item) = alone(document)?;
            Some((Cow::Owned(Entry { received: entry.received, ..alone }), Cow::Owned(item)))
        }
    }
}

/// An event as the only one of an entry.
fn alone(document: Document) -> Option<(Entry, Item)> {
    let id = event::get(&document, "event.id").and_then(|id| id.as_str())?;
    let id: EventId = id.parse().ok()?;
    let time = event::get(&document, "timestamp").and_then(|time| time.as_str());
    let json = serde_json::to_vec(&document).ok()?;
    let item = Item { seq: id.seq, json: 0..json.len(), index: 0 };
    let entry = Entry {
        source: SourceKey { agent: id.agent, boot: id.boot },
        first_seq: id.seq,
        last_seq: id.seq,
        received: time.and_then(|time| time.parse().ok()).unwrap_or(event::Timestamp::EPOCH),
        documents: Arc::new(vec![document]),
        items: vec![item.clone()],
        json: Arc::new(json),
    };
    Some((entry, item))
}

impl Worker {
    /// Begins a redaction and carries it out.
    pub(super) fn redact(&mut self, mut order: Order) -> Work<Tombstone> {
        self.waiting = 0;
        let folders = self.partitions.folders();
        if let Some(warm) = folders.warm.as_ref().filter(|_| self.partitions.is_away()) {
            return Err(StoreError::Away { path: warm.clone() });
        }
        self.settle()?;
        let ids: Vec<&str> = order.events.iter().map(|one| one.id.as_str()).collect();
        for (partition, _) in self.partitions.holders(&ids)? {
            let before = partition.directory.head();
            let part = Rewritten { before, after: None };
            order.partitions.insert(partition.key.to_string(), part);
        }
        if order.partitions.is_empty() {
            return Err(StoreError::Absent);
        }
        let vault = Arc::clone(self.partitions.vault());
        vault.begin_redaction(&order)?;
        self.carry_out(&order)
    }

    /// Goes on with redactions that are begun and not done. One whose partition is out of reach waits for it.
    pub(super) fn go_on(&mut self) -> Work<()> {
        let mut orders = self.partitions.vault().keyring.orders();
        orders.retain(|order| {
            let mut left = order.partitions.iter().filter(|(_, part)| part.after.is_none());
            !left.any(|(name, _)| {
                PartitionKey::parse(name).is_some_and(|key| self.partitions.is_out_of_reach(key))
            })
        });
        orders.iter().try_for_each(|order| self.carry_out(order).map(drop))
    }

    fn carry_out(&mut self, order: &Order) -> Work<Tombstone> {
        for (name, part) in &order.partitions {
            // One that is gone meanwhile was dropped by retention, with its key.
            let partition = PartitionKey::parse(name).and_then(|key| self.partitions.get(key));
            if let (Some(_), Some(key)) = (part.after, PartitionKey::parse(name)) {
                // Its folder may still have to be put in place.
                self.partitions.reopen(key).map_err(|error| index_error((name.clone(), error)))?;
            }
            if let (Some(partition), None) = (partition, part.after) {
                self.quiet(partition.key)?;
                edit(&partition, order).map_err(|error| index_error((name.clone(), error)))?;
                drop(partition);
                if let Some(key) = PartitionKey::parse(name) {
                    self.partitions.rewrite(key, Some(&order.id))?;
                }
                tracing::info!(partition = name, order = order.id, "redacted");
            }
        }
        let head = self.shed_log()?;
        Ok(self.partitions.vault().end_redaction(&order.id, head)?)
    }

    /// Lets go of the log up to now, with its keys: all of it is indexed before. Gives how far it had come.
    fn shed_log(&mut self) -> Work<Head> {
        let log = Arc::clone(&self.feed.log);
        let place = log.lock().unwrap_or_else(PoisonError::into_inner).roll()?;
        // Everything before the new segment must be indexed before it goes.
        self.settle()?;
        if self.committed < place {
            self.next = self.next.max(place);
            self.commit()?;
        }
        log.lock().unwrap_or_else(PoisonError::into_inner).shed(place)
    }

    /// Seals one partition anew, if that was asked for and is due, or in the end the log; one step at a time,
    /// so that indexing goes on between.
    pub(super) fn reseal(&mut self) -> Work<()> {
        let vault = Arc::clone(self.partitions.vault());
        vault.keyring.refresh()?;
        let Some(asked) = vault.keyring.reseal() else { return Ok(()) };
        let is_due = |partition: &Arc<Partition>| {
            let made = vault.keyring.made(&partition_key(&partition.key.to_string()));
            made.is_some_and(|made| made < asked)
        };
        let mut due = self.partitions.all();
        due.retain(is_due);
        if let Some(partition) = due.first() {
            self.settle()?;
            self.quiet(partition.key)?;
            self.partitions.rewrite(partition.key, None)?;
            let left = due.len().saturating_sub(1);
            tracing::info!(partition = %partition.key, left, "partition sealed anew");
            return Ok(());
        }
        if self.partitions.is_away() || !self.partitions.problems().is_empty() {
            // What cannot be read now is sealed anew when it can.
            return Ok(());
        }
        let head = self.shed_log()?;
        vault.end_reseal(asked, head)?;
        tracing::info!("everything is sealed anew");
        Ok(())
    }

    /// Closes the writer of a partition, whose merges end before; all is committed.
    fn quiet(&mut self, key: PartitionKey) -> Work<()> {
        self.commit()?;
        let Some(writer) = self.writers.remove(&key) else { return Ok(()) };
        let ended = writer.writer.wait_merging_threads();
        ended.map_err(|error| index_error((key.to_string(), error)))
    }
}

/// Takes the events of an order, or their fields, out of a partition. Done again it changes nothing.
fn edit(partition: &Partition, order: &Order) -> tantivy::Result<()> {
    let options = IndexWriterOptions::builder()
        .num_worker_threads(1)
        .num_merge_threads(1)
        .memory_budget_per_thread(15_000_000)
        .build();
    let mut writer: IndexWriter<TantivyDocument> = partition.index.writer_with_options(options)?;
    writer.set_merge_policy(Box::new(NoMergePolicy));
    let fields: BTreeSet<String> = order.fields.iter().cloned().collect();
    for one in &order.events {
        let Some(term) = partition.term(&one.id) else { continue };
        let left =
            if fields.is_empty() { Vec::new() } else { stripped(partition, &term, &fields)? };
        writer.delete_term(term);
        for document in left {
            writer.add_document(document)?;
        }
    }
    let mut prepared = writer.prepare_commit()?;
    prepared.set_payload(&partition.indexed().to_string());
    prepared.commit()?;
    for meta in partition.index.searchable_segment_metas()? {
        if meta.num_deleted_docs() > 0 {
            // Written anew without what is deleted.
            writer.merge(&[meta.id()]).wait()?;
        }
    }
    writer.garbage_collect_files().wait()?;
    writer.wait_merging_threads()?;
    partition.reload()
}

/// What is left of the events that have this term, as index documents.
fn stripped(
    partition: &Partition,
    term: &Term,
    fields: &BTreeSet<String>,
) -> tantivy::Result<Vec<TantivyDocument>> {
    let searcher = partition.reader.searcher();
    let query = TermQuery::new(term.clone(), IndexRecordOption::Basic);
    let mut out = Vec::new();
    let found: BTreeSet<DocAddress> =
        searcher.search(&query, &DocSetCollector)?.into_iter().collect();
    for address in found {
        let document: TantivyDocument = searcher.doc(address)?;
        let left = source_of(&partition.fields, &document).and_then(|mut document| {
            strip(&mut document, fields);
            alone(document)
        });
        let (entry, item) = left.ok_or_else(|| {
            tantivy::TantivyError::InternalError("a stored document is unreadable".to_owned())
        })?;
        let event = indexable(&entry, &item, Ties::new(&entry.source));
        out.extend(event.map(|event| partition.fields.document(&event).0));
    }
    Ok(out)
}
